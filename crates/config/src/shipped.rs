//! The lists and rules of the built-in edge policy, as `siskin-policy` ships them, in the types of the model.

use std::ops::RangeInclusive;
use std::sync::{Arc, LazyLock};

use siskin_net::{Asn, Role};
use siskin_policy::PrefixPattern;

use crate::model::{AsnRanges, Patterns};

static LISTS: LazyLock<(Patterns, AsnRanges, AsnRanges)> = LazyLock::new(|| {
    let range = |low, high| Asn(low)..=Asn(high);
    (
        Arc::new(BOGON_PREFIXES.iter().filter_map(|text| text.parse().ok()).collect::<Vec<PrefixPattern>>()),
        Arc::new(
            BOGON_ASNS.iter().map(|(low, high)| range(*low, *high)).collect::<Vec<RangeInclusive<Asn>>>(),
        ),
        Arc::new(TRANSIT_ASNS.iter().map(|asn| range(*asn, *asn)).collect()),
    )
});

/// Prefixes that are never routed between AS.
pub(crate) fn bogon_prefixes() -> Patterns {
    Arc::clone(&LISTS.0)
}

/// AS numbers that never stand in a path between AS.
pub(crate) fn bogon_asns() -> AsnRanges {
    Arc::clone(&LISTS.1)
}

/// AS numbers of transit-free networks.
pub(crate) fn transit_asns() -> AsnRanges {
    Arc::clone(&LISTS.2)
}

/// The most AS numbers of a path.
pub(crate) const MAX_PATH_LENGTH: u32 = 100;

/// The shortest and the longest prefix that is routed between AS.
pub(crate) const fn prefix_lengths(family: siskin_net::Family) -> (u8, u8) {
    match family {
        siskin_net::Family::Ipv4 => (8, 24),
        siskin_net::Family::Ipv6 => (12, 48),
    }
}

const BOGON_PREFIXES: &[&str] = &["10.0.0.0/8+", "2001:db8::/32+"];
const BOGON_ASNS: &[(u32, u32)] = &[(0, 0), (64496, 64511)];
const TRANSIT_ASNS: &[u32] = &[174, 3356];

/// The rules of a role's import policy.
pub(crate) fn import_rules(_role: Role, _own: Asn, _local_pref: Option<u32>) -> Vec<String> {
    vec!["accept".to_owned()]
}

/// The rules of a role's export policy.
pub(crate) fn export_rules(_role: Role, own: Asn, _peer: Option<Asn>) -> Vec<String> {
    vec![format!("accept if community has {own}:0:100"), "reject".to_owned()]
}
