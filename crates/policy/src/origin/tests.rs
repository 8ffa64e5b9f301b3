//! RFC 6811 case by case, and tables under change against a list that is searched from end to end.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

fn prefix(text: &str) -> Prefix {
    text.parse().unwrap()
}

fn vrp(text: &str, max_len: u8, asn: u32) -> Vrp {
    Vrp { prefix: prefix(text), max_len, asn: Asn(asn) }
}

#[test]
fn the_states_of_rfc_6811() {
    let table: VrpTable = [
        vrp("192.0.2.0/24", 24, 64496),
        vrp("198.51.100.0/22", 24, 64496),
        vrp("198.51.100.0/24", 24, 64497),
        vrp("203.0.113.0/24", 32, 0),
        vrp("2001:db8::/32", 48, 64496),
        vrp("::/0", 0, 64500),
        vrp("64.0.0.0/6", 8, 64501),
    ]
    .map(|v| Vrp { prefix: Prefix::from_bits(v.prefix.family(), v.prefix.bits(), v.prefix.len()), ..v })
    .into_iter()
    .collect();
    for (route, origin, state) in [
        ("192.0.2.0/24", Some(64496), Rpki::Valid),
        ("192.0.2.0/24", Some(64497), Rpki::Invalid),
        ("192.0.2.0/24", None, Rpki::Invalid),
        ("192.0.2.0/25", Some(64496), Rpki::Invalid),
        ("192.0.0.0/16", Some(64496), Rpki::NotFound),
        ("192.0.3.0/24", None, Rpki::NotFound),
        ("198.51.100.0/24", Some(64496), Rpki::Valid),
        ("198.51.100.0/24", Some(64497), Rpki::Valid),
        ("198.51.101.0/24", Some(64497), Rpki::Invalid),
        ("203.0.113.0/24", Some(0), Rpki::Invalid),
        ("203.0.113.7/32", Some(64496), Rpki::Invalid),
        ("2001:db8:1::/48", Some(64496), Rpki::Valid),
        ("2001:db8:1:1::/64", Some(64496), Rpki::Invalid),
        ("::/0", Some(64500), Rpki::Valid),
        ("2001:db9::/32", Some(64500), Rpki::Invalid),
        ("65.0.0.0/8", Some(64501), Rpki::Valid),
        ("65.1.0.0/16", Some(64501), Rpki::Invalid),
        ("64.0.0.0/6", Some(64501), Rpki::Valid),
        ("0.0.0.0/0", Some(64501), Rpki::NotFound),
    ] {
        assert_eq!(table.validate(prefix(route), origin.map(Asn)), state, "{route} from {origin:?}");
    }
    assert_eq!(VrpTable::new().validate(prefix("192.0.2.0/24"), Some(Asn(1))), Rpki::NotFound);
}

#[test]
fn a_change_leaves_the_table_before_it_as_it_was() {
    let old: VrpTable = [vrp("192.0.2.0/24", 24, 1), vrp("10.0.0.0/8", 8, 1)].into_iter().collect();
    let new = old.apply(&[vrp("192.0.2.0/24", 24, 1)], &[vrp("192.0.2.0/24", 24, 2)]);
    let state = |table: &VrpTable, asn| table.validate(prefix("192.0.2.0/24"), Some(Asn(asn)));
    assert_eq!([state(&old, 1), state(&old, 2)], [Rpki::Valid, Rpki::Invalid]);
    assert_eq!([state(&new, 1), state(&new, 2)], [Rpki::Invalid, Rpki::Valid]);
    assert!(Arc::ptr_eq(old.0.v4.shard(10).unwrap(), new.0.v4.shard(10).unwrap()), "untouched, so shared");
    assert!(!Arc::ptr_eq(old.0.v4.shard(192).unwrap(), new.0.v4.shard(192).unwrap()));
    let both = old.apply(&[vrp("10.0.0.0/8", 8, 1)], &[vrp("10.0.0.0/8", 8, 1)]);
    assert_eq!(both.len(Family::Ipv4), 2, "withdrawn first, then announced");
    let gone = new.apply(&new.iter().collect::<Vec<_>>(), &[]);
    assert!(gone.is_empty());
    assert_eq!(gone.iter().count(), 0);
}

#[test]
fn size_is_what_it_says() {
    let vrps = (0..40_000u32).map(|i| Vrp {
        prefix: Prefix::v4((i << 12).into(), 20),
        max_len: 24,
        asn: Asn(i % 1000),
    });
    let table: VrpTable = vrps.collect();
    assert_eq!((table.len(Family::Ipv4), table.len(Family::Ipv6)), (40_000, 0));
    assert!(table.bytes() < 40_000 * 15 + 60_000, "{}", table.bytes());
}

#[test]
fn what_is_told_of_a_rejection() {
    let table: VrpTable = [
        vrp("192.0.2.0/24", 24, 64496),
        vrp("198.51.100.0/22", 22, 64499),
        vrp("198.51.100.0/24", 24, 64497),
        vrp("198.51.100.0/24", 24, 64498),
        vrp("198.51.100.0/23", 24, 64500),
    ]
    .into_iter()
    .map(|v| Vrp { prefix: Prefix::from_bits(Family::Ipv4, v.prefix.bits(), v.prefix.len()), ..v })
    .collect();
    let told = |route: &str, origin: u32| explain_origin(&table, prefix(route), Some(Asn(origin)));
    assert_eq!(told("192.0.2.0/24", 1), "VRP 192.0.2.0/24 max 24 AS 64496");
    assert_eq!(told("192.0.3.0/24", 1), "no VRP covers 192.0.3.0/24");
    assert_eq!(
        told("198.51.101.0/24", 1),
        "VRP 198.51.100.0/23 max 24 AS 64500 and VRP 198.51.100.0/22 max 22 AS 64499"
    );
    assert_eq!(
        told("198.51.100.0/24", 1),
        "VRP 198.51.100.0/24 max 24 AS 64498, VRP 198.51.100.0/24 max 24 AS 64497 and 2 more"
    );
    let own_first = told("198.51.100.0/24", 64499);
    assert!(own_first.starts_with("VRP 198.51.100.0/22 max 22 AS 64499, VRP"), "{own_first}");
    let without = explain_origin(&table, prefix("192.0.2.0/24"), None);
    assert_eq!(without, "VRP 192.0.2.0/24 max 24 AS 64496");
}

/// The RFC's definition.
fn model(vrps: &BTreeSet<Vrp>, route: Prefix, origin: Option<Asn>) -> Rpki {
    let covering: Vec<&Vrp> = vrps.iter().filter(|v| v.prefix.covers(route)).collect();
    let matches = |v: &Vrp| Some(v.asn) == origin && v.asn.0 != 0 && route.len() <= v.max_len;
    match (covering.is_empty(), covering.iter().any(|v| matches(v))) {
        (true, _) => Rpki::NotFound,
        (false, true) => Rpki::Valid,
        (false, false) => Rpki::Invalid,
    }
}

/// Prefixes that lie within each other more often than not, with few leading bits, in both families.
fn prefixes() -> impl Strategy<Value = Prefix> {
    let bits = (0u128..4, 0u128..8, any::<u8>(), any::<bool>()).prop_map(|(first, rest, low, deep)| {
        let tail = if deep { u128::from(low) << 80 | u128::from(low) } else { 0 };
        first << 126 | rest << 112 | tail
    });
    (bits, 0u8..=128, any::<bool>()).prop_map(|(bits, len, six)| match six {
        true => Prefix::from_bits(Family::Ipv6, bits, len),
        false => Prefix::from_bits(Family::Ipv4, bits, len % 33),
    })
}

fn vrps() -> impl Strategy<Value = Vec<Vrp>> {
    let one = (prefixes(), 0u8..=128, 0u32..4).prop_map(|(prefix, longer, asn)| {
        let max_len = prefix.len().saturating_add(longer % 9).min(prefix.family().max_len());
        Vrp { prefix, max_len, asn: Asn(asn) }
    });
    prop::collection::vec(one, 0..60)
}

proptest! {
    #[test]
    fn a_table_judges_as_the_list_of_its_vrps_does(
        first in vrps(),
        changes in prop::collection::vec((vrps(), vrps(), any::<bool>()), 0..4),
        routes in prop::collection::vec((prefixes(), prop::option::of(0u32..4)), 1..80),
    ) {
        let mut table: VrpTable = first.iter().copied().collect();
        let mut list: BTreeSet<Vrp> = first.into_iter().collect();
        for (mut withdrawn, announced, real) in changes {
            if real {
                withdrawn.extend(list.iter().step_by(3));
            }
            table = table.apply(&withdrawn, &announced);
            withdrawn.iter().for_each(|v| { list.remove(v); });
            list.extend(announced);
        }
        prop_assert_eq!(table.iter().collect::<BTreeSet<_>>(), list.clone());
        let count = table.len(Family::Ipv4) + table.len(Family::Ipv6);
        prop_assert_eq!(count, list.len());
        prop_assert_eq!(table.is_empty(), list.is_empty());
        for (route, origin) in routes.into_iter().chain(list.iter().map(|v| (v.prefix, Some(v.asn.0)))) {
            let origin = origin.map(Asn);
            prop_assert_eq!(table.validate(route, origin), model(&list, route, origin), "{} {:?}", route, origin);
            let found: Vec<Vrp> = table.covering(route).collect();
            prop_assert!(found.is_sorted_by_key(|v| std::cmp::Reverse(v.prefix.len())));
            let covering: BTreeSet<Vrp> = list.iter().filter(|v| v.prefix.covers(route)).copied().collect();
            prop_assert_eq!(found.len(), covering.len());
            prop_assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), covering);
        }
    }
}
