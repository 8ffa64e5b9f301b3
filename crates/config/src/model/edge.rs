//! `[edge]`, the lists of the built-in rules, and `checks`, which of the rules hold for a peer.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::Arc;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use siskin_bgp::attr::LargeCommunity;
use siskin_net::{Asn, FamilyMap};
use siskin_policy::{CommunityValue, PrefixPattern};

use crate::shipped;

/// Patterns of prefixes, shared by all peers that have the same.
pub type Patterns = Arc<Vec<PrefixPattern>>;

/// Ranges of AS numbers, shared by all peers that have the same.
pub type AsnRanges = Arc<Vec<RangeInclusive<Asn>>>;

/// `[edge]`: what the built-in rules of all peers go by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edge {
    /// Prefixes that are never routed between AS.
    pub bogon_prefixes: Patterns,
    /// AS numbers that never stand in a path between AS.
    pub bogon_asns: AsnRanges,
    /// AS numbers of transit-free networks, which no peer or customer transits.
    pub transit_asns: AsnRanges,
    /// Our own prefixes, which nobody outside may give us.
    pub own_prefixes: Patterns,
    /// The files the blocklist was read from, as written.
    pub blocklist_files: Vec<PathBuf>,
    /// What the files block.
    pub blocklist: Arc<Blocklist>,
    /// Local routes are marked with the large community `asn:0:100`.
    pub communities: bool,
    /// Asks for a blackhole like BLACKHOLE (RFC 7999).
    pub blackhole_community: LargeCommunity,
}

impl Serialize for Edge {
    /// A shipped list is told by its length, the blocklist by its files and size.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("bogon-prefixes", &patterns(&self.bogon_prefixes, &shipped::bogon_prefixes()))?;
        map.serialize_entry("bogon-asns", &ranges(&self.bogon_asns, &shipped::bogon_asns()))?;
        map.serialize_entry("transit-asns", &ranges(&self.transit_asns, &shipped::transit_asns()))?;
        map.serialize_entry("own-prefixes", &patterns(&self.own_prefixes, &[]))?;
        map.serialize_entry("blocklist-files", &self.blocklist_files)?;
        if !self.blocklist_files.is_empty() {
            let Blocklist { asns, prefixes } = &*self.blocklist;
            let text = format!("{} AS numbers, {} prefixes", asns.len(), prefixes.len());
            map.serialize_entry("blocklist", &text)?;
        }
        map.serialize_entry("communities", &self.communities)?;
        let blackhole = CommunityValue::Large(self.blackhole_community).to_string();
        map.serialize_entry("blackhole-community", &blackhole)?;
        map.end()
    }
}

/// What no peer may give us, from `edge.blocklist-files`.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Blocklist {
    /// AS numbers that may not stand anywhere in a path; sorted and distinct.
    pub asns: Vec<Asn>,
    /// Prefixes, with everything within them; sorted and distinct.
    pub prefixes: Vec<PrefixPattern>,
}

impl Blocklist {
    /// Whether nothing is blocked.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.asns.is_empty() && self.prefixes.is_empty()
    }
}

/// The built-in rules that hold for a peer, resolved: what a check needs is here, `None` or `false` switches it off.
/// They act before the import policy. The default is that none does.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Checks {
    /// `bogon-prefix`: prefixes that are refused.
    pub bogon_prefixes: Option<Patterns>,
    /// `bogon-asn`: AS numbers that may not stand in the path.
    pub bogon_asns: Option<AsnRanges>,
    /// `prefix-length`: the shortest and the longest prefix taken.
    pub prefix_length: Option<FamilyMap<(u8, u8)>>,
    /// `path-length`: the most AS numbers in the path.
    pub path_length: Option<u32>,
    /// `own-prefix`: prefixes that are ours.
    pub own_prefixes: Option<Patterns>,
    /// `transit-asn`: AS numbers that this peer does not transit.
    pub transit_asns: Option<AsnRanges>,
    /// `next-hop`: the next hop is the peer itself.
    pub next_hop: bool,
    /// `never-via-route-server`: AS whose PeeringDB record says so are refused.
    pub never_via_route_server: bool,
    /// `blocklist`: what is refused; never empty.
    pub blocklist: Option<Arc<Blocklist>>,
    /// `aspa`: ASPA-invalid paths are refused.
    pub aspa: bool,
    /// `blackhole`: BLACKHOLE is honoured within the peer's own set.
    pub blackhole: bool,
    /// `role-leak`: what the roles forbid by Only-to-Customer is refused (RFC 9234 section 5).
    pub role_leak: bool,
}

impl Serialize for Checks {
    /// By the names of the rules; own prefixes and blocklist are the same for all peers and shown in `[edge]`.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        let shipped = shipped::bogon_prefixes();
        map.serialize_entry(
            "bogon-prefix",
            &Shown(self.bogon_prefixes.as_ref().map(|l| patterns(l, &shipped))),
        )?;
        let shipped = shipped::bogon_asns();
        map.serialize_entry("bogon-asn", &Shown(self.bogon_asns.as_ref().map(|l| ranges(l, &shipped))))?;
        map.serialize_entry("prefix-length", &Shown(self.prefix_length.as_ref().map(lengths)))?;
        map.serialize_entry("path-length", &Shown(self.path_length))?;
        map.serialize_entry("own-prefix", &self.own_prefixes.is_some())?;
        map.serialize_entry("next-hop", &self.next_hop)?;
        let shipped = shipped::transit_asns();
        map.serialize_entry("transit-asn", &Shown(self.transit_asns.as_ref().map(|l| ranges(l, &shipped))))?;
        map.serialize_entry("never-via-route-server", &self.never_via_route_server)?;
        map.serialize_entry("blocklist", &self.blocklist.is_some())?;
        map.serialize_entry("aspa", &self.aspa)?;
        map.serialize_entry("blackhole", &self.blackhole)?;
        map.serialize_entry("role-leak", &self.role_leak)?;
        map.end()
    }
}

/// A check that is off is `false`.
struct Shown<T>(Option<T>);

impl<T: Serialize> Serialize for Shown<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        crate::model::serialize::off_option(&self.0, serializer)
    }
}

/// `{ ipv4 = [8, 24], ipv6 = [12, 48] }`.
fn lengths(map: &FamilyMap<(u8, u8)>) -> std::collections::BTreeMap<&'static str, (u8, u8)> {
    map.iter().map(|(family, lengths)| (family.name(), *lengths)).collect()
}

fn patterns(list: &[PrefixPattern], shipped: &[PrefixPattern]) -> Vec<String> {
    listed(list, shipped, ToString::to_string)
}

fn ranges(list: &[RangeInclusive<Asn>], shipped: &[RangeInclusive<Asn>]) -> Vec<String> {
    listed(list, shipped, range_text)
}

/// `65101`, or `65101-65199`.
pub(crate) fn range_text(range: &RangeInclusive<Asn>) -> String {
    let (low, high) = (range.start(), range.end());
    if low == high { low.to_string() } else { format!("{low}-{high}") }
}

/// The members of a list; a shipped one at its beginning is told by its length.
fn listed<T: PartialEq>(list: &[T], shipped: &[T], text: impl Fn(&T) -> String) -> Vec<String> {
    match list.strip_prefix(shipped) {
        Some(rest) if !shipped.is_empty() => {
            std::iter::once(format!("shipped ({})", shipped.len())).chain(rest.iter().map(text)).collect()
        }
        _ => list.iter().map(text).collect(),
    }
}
