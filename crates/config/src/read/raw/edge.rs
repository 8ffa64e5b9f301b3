//! `[edge]`.

use std::ops::RangeInclusive;
use std::path::PathBuf;

use siskin_bgp::attr::LargeCommunity;
use siskin_net::Asn;
use siskin_policy::{CommunityValue, PrefixPattern};

use super::sections::{Key, List, path};
use crate::diagnostic::Report;
use crate::read::checks::{any_asn_range, pattern};
use crate::read::{Section, Value};

/// `[edge]`.
#[derive(Default)]
pub(crate) struct RawEdge {
    pub(crate) bogon_prefixes: Key<List<PrefixPattern>>,
    pub(crate) bogon_asns: Key<List<RangeInclusive<Asn>>>,
    pub(crate) transit_asns: Key<List<RangeInclusive<Asn>>>,
    pub(crate) own_prefixes: Key<List<PrefixPattern>>,
    pub(crate) blocklist_files: Key<List<PathBuf>>,
    pub(crate) communities: Key<bool>,
    pub(crate) blackhole_community: Key<LargeCommunity>,
}

impl RawEdge {
    pub(crate) fn read(mut section: Section<'_>, report: &mut Report) -> RawEdge {
        let asns = |v: Value<'_>, r: &mut Report| v.list("AS numbers and ranges", r, any_asn_range);
        let patterns = |v: Value<'_>, r: &mut Report| v.list("prefixes and patterns", r, pattern);
        let raw = RawEdge {
            bogon_prefixes: section.get("bogon-prefixes", report, patterns),
            bogon_asns: section.get("bogon-asns", report, asns),
            transit_asns: section.get("transit-asns", report, asns),
            own_prefixes: section.get("own-prefixes", report, patterns),
            blocklist_files: section.get("blocklist-files", report, |v, r| v.list("file names", r, path)),
            communities: section.get("communities", report, Value::boolean),
            blackhole_community: section.get("blackhole-community", report, large_community),
        };
        section.finish(report);
        raw
    }
}

fn large_community(value: Value<'_>, report: &mut Report) -> Option<LargeCommunity> {
    value.parsed("a large community", report, |text| match text.parse() {
        Ok(CommunityValue::Large(community)) => Ok(community),
        _ => Err("expected three numbers, like 64500:1:666"),
    })
}
