//! The lists and rules of the built-in edge policy, as `siskin-policy` ships them, in the types of the model.

use std::sync::{Arc, LazyLock};

use siskin_net::{Asn, Family, Role};
use siskin_policy::edge;

use crate::model::{AsnRanges, Patterns};

pub(crate) use siskin_policy::edge::{MAX_PATH_LEN, Own, blackhole_community};

static BOGON_PREFIXES: LazyLock<Patterns> =
    LazyLock::new(|| Arc::new(edge::BOGON_PREFIXES.iter().filter_map(|text| text.parse().ok()).collect()));

static BOGON_ASNS: LazyLock<AsnRanges> =
    LazyLock::new(|| Arc::new(edge::BOGON_ASNS.iter().map(|(low, high)| Asn(*low)..=Asn(*high)).collect()));

static TRANSIT_ASNS: LazyLock<AsnRanges> =
    LazyLock::new(|| Arc::new(edge::TRANSIT_ASNS.iter().map(|asn| Asn(*asn)..=Asn(*asn)).collect()));

/// Prefixes that are never routed between AS.
pub(crate) fn bogon_prefixes() -> Patterns {
    Arc::clone(&BOGON_PREFIXES)
}

/// AS numbers that never stand in a path between AS.
pub(crate) fn bogon_asns() -> AsnRanges {
    Arc::clone(&BOGON_ASNS)
}

/// AS numbers of transit-free networks.
pub(crate) fn transit_asns() -> AsnRanges {
    Arc::clone(&TRANSIT_ASNS)
}

/// The shortest and the longest prefix that is routed between AS.
pub(crate) fn prefix_lengths(family: Family) -> (u8, u8) {
    let lengths = match family {
        Family::Ipv4 => edge::PREFIX_LENGTHS_V4,
        Family::Ipv6 => edge::PREFIX_LENGTHS_V6,
    };
    (*lengths.start(), *lengths.end())
}

/// The rules of a role's import policy. `local_pref` is set before it and stays; `blackhole`: the peer may ask for one.
pub(crate) fn import_rules(role: Role, own: Own, local_pref: Option<u32>, blackhole: bool) -> Vec<String> {
    let mut rules = if blackhole { edge::blackhole_import_rules(own) } else { Vec::new() };
    rules.extend(edge::import_rules(role, own, local_pref));
    rules
}

/// The rules of a role's export policy; `peer` is the AS number that communities can name.
pub(crate) fn export_rules(role: Role, own: Own, peer: Option<Asn>) -> Vec<String> {
    edge::export_rules(role, own, peer)
}
