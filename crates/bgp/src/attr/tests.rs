//! Tests of attributes: texts, sets, paths, the compact form, the table.
#![expect(clippy::arithmetic_side_effects, reason = "the numbers of a test are its own")]

use std::net::IpAddr;

use proptest::prelude::*;
use siskin_net::{Asn, BgpIdentifier, NextHop};
use smallvec::SmallVec;

use super::*;

fn path(text: &str) -> AsPath {
    let mut path = AsPath::default();
    for segment in text.split_inclusive(['}', ')']).flat_map(|s| s.split_inclusive(" {").map(str::trim)) {
        let set = segment.ends_with('}');
        let confederation = segment.ends_with(')');
        let clean = segment.trim_matches(|c: char| !c.is_ascii_digit());
        let asns: Vec<Asn> = clean.split(' ').filter_map(|n| n.parse().ok()).collect();
        let kind = match (set, confederation) {
            (true, _) => SegmentKind::Set,
            (_, true) => SegmentKind::ConfedSequence,
            _ => SegmentKind::Sequence,
        };
        path.push_segment(kind, &asns);
    }
    path
}

#[test]
fn four_octet_numbers_come_back_as_rfc_6793_says() {
    // The two-octet path, the path beside it, what comes of them.
    let cases = [
        ("64500 23456 23456", "70000 70001", Some("64500 70000 70001")),
        ("23456", "70000", Some("70000")),
        ("64500 64501 64502", "70000", Some("64500 64501 70000")),
        ("64500", "70000 70001", None),
        ("64500 {64501 64502}", "{64501 64502}", Some("64500 {64501 64502}")),
    ];
    for (old, new, merged) in cases {
        let is = path(old).merged_with(&path(new)).map(|p| p.to_string());
        assert_eq!(is.as_deref(), merged, "{old} with {new}");
    }
}

#[test]
fn what_is_no_path_is_refused_with_its_reason() {
    let cases: [(&[u8], AsPathError); 5] = [
        (&[5, 1, 0, 0, 0, 1], AsPathError::Kind),
        (&[2, 0], AsPathError::Empty),
        (&[2, 2, 0, 0, 0, 1], AsPathError::Truncated),
        (&[2], AsPathError::Truncated),
        (&[2, 1, 0, 0, 0, 0], AsPathError::Zero),
    ];
    for (octets, error) in cases {
        assert_eq!(AsPath::from_wire(octets), Err(error));
    }
    assert_eq!(AsPath::from_wire(&[]), Ok(AsPath::default()));
}

#[test]
fn a_long_path_takes_a_prepend_in_a_segment_of_its_own() {
    let long = AsPath::from_sequence((1..=255).map(Asn));
    let longer = long.prepended(Asn(64500), 2);
    assert_eq!((longer.decision_len(), longer.neighbor_as()), (257, Some(Asn(64500))));
    assert_eq!(longer.segments().count(), 2);
    assert_eq!(AsPath::from_wire(longer.as_wire()), Ok(longer));
}

#[test]
fn communities_read_and_write_their_usual_texts() {
    for (text, value) in [("64500:100", 0xfbf4_0064), ("no-export", 0xffff_ff01), ("blackhole", 0xffff_029a)]
    {
        assert_eq!(text.parse(), Ok(Community(value)));
        assert_eq!(Community(value).to_string(), text);
    }
    assert_eq!("65535:65281".parse(), Ok(Community::NO_EXPORT));
    for bad in ["", "1", "1:", ":1", "65536:1", "1:65536", "+1:2", "1:2:3", "No-Export"] {
        assert_eq!(bad.parse::<Community>(), Err(ParseCommunityError::Standard), "{bad}");
    }
    assert_eq!("4200000000:1:2".parse(), Ok(LargeCommunity(4_200_000_000, 1, 2)));
    for bad in ["1:2", "1:2:3:4", "1:2:4294967296", "1:2:"] {
        assert_eq!(bad.parse::<LargeCommunity>(), Err(ParseCommunityError::Large), "{bad}");
    }
    let extended = [
        ("rt:64500:100", 0x0002_fbf4_0000_0064),
        ("so:192.0.2.1:5", 0x0103_c000_0201_0005),
        ("rt:4200000000:7", 0x0202_fa56_ea00_0007),
        ("rt:64500L:7", 0x0202_0000_fbf4_0007),
        ("0x4004fbf400000064", 0x4004_fbf4_0000_0064),
    ];
    for (text, value) in extended {
        assert_eq!(text.parse(), Ok(ExtendedCommunity(value)), "{text}");
        assert_eq!(ExtendedCommunity(value).to_string(), text);
    }
    for bad in ["64500:100", "rt:64500", "rt:70000:65536", "0x12", "rt:1:2:3", "xx:1:2"] {
        assert_eq!(bad.parse::<ExtendedCommunity>(), Err(ParseCommunityError::Extended), "{bad}");
    }
    assert!(ExtendedCommunity(0x0002_0000_0000_0000).is_transitive());
    assert!(!ExtendedCommunity(0x4004_0000_0000_0000).is_transitive());
}

#[test]
fn a_link_bandwidth_is_a_float_of_octets_a_second() {
    let of = |head: u64, bandwidth: f32| ExtendedCommunity(head << 32 | u64::from(bandwidth.to_bits()));
    assert_eq!(of(0x4004_fbf4, 1.25e9).link_bandwidth(), Some(1_250_000_000));
    assert_eq!(of(0x0004_fbf4, 1.25e9).link_bandwidth(), Some(1_250_000_000), "the transitive form");
    assert_eq!(of(0x0002_fbf4, 1.25e9).link_bandwidth(), None, "a route target");
    for nothing in [0.0, -1.0, 0.5, f32::NAN, f32::NEG_INFINITY] {
        assert_eq!(of(0x4004_fbf4, nothing).link_bandwidth(), None, "{nothing}");
    }
    assert_eq!(of(0x4004_fbf4, f32::INFINITY).link_bandwidth(), Some(u64::MAX));
    let mut attributes = PathAttributes::originated(IpAddr::from([192, 0, 2, 1]));
    assert_eq!(attributes.link_bandwidth(), None);
    for bandwidth in [3e6, 2e6] {
        attributes.add_ext_community(of(0x4004_fbf4, bandwidth));
    }
    assert_eq!(attributes.link_bandwidth(), Some(2_000_000), "the least counts");
}

#[test]
fn sets_stay_sorted_and_distinct() {
    let mut attributes = PathAttributes::originated(IpAddr::from([192, 0, 2, 1]));
    for community in [3, 1, 2, 1] {
        let new = attributes.add_community(Community(community));
        assert_eq!(
            new,
            attributes.communities.len() < 4 && community != 1 || attributes.communities.len() == 2
        );
    }
    assert_eq!(attributes.communities[..], [1, 2, 3].map(Community));
    assert!(attributes.has_community(Community(2)));
    assert!(attributes.remove_communities(|c| c.0 > 1));
    assert!(!attributes.remove_communities(|c| c.0 > 1));
    assert_eq!(attributes.communities[..], [Community(1)]);
}

#[test]
fn the_table_is_in_order_and_its_index_true() {
    assert!(rows().is_sorted_by_key(|row| row.code));
    for row in rows() {
        assert_eq!(find(row.code).map(|r| r.name), Some(row.name));
    }
    assert!(find(99).is_none() && !is_known(25) && is_known(8));
    assert_eq!(attribute_name(14), Some("MP_REACH_NLRI"));
}

#[test]
fn dispositions_are_ordered_by_severity() {
    use Disposition::*;
    assert!([Accept, DiscardAttribute, TreatAsWithdraw, DisableFamily, ResetSession].is_sorted());
}

fn any_path() -> impl Strategy<Value = AsPath> {
    let segment = (0..4usize, proptest::collection::vec(1..u32::MAX, 1..6));
    proptest::collection::vec(segment, 0..4).prop_map(|segments| {
        let kinds =
            [SegmentKind::Set, SegmentKind::Sequence, SegmentKind::ConfedSequence, SegmentKind::ConfedSet];
        let mut path = AsPath::default();
        for (kind, asns) in segments {
            path.push_segment(kinds[kind], &asns.into_iter().map(Asn).collect::<Vec<_>>());
        }
        path
    })
}

fn sorted<T: Ord, A: smallvec::Array<Item = T>>(items: Vec<T>) -> SmallVec<A> {
    let mut set: SmallVec<A> = items.into_iter().collect();
    set.sort_unstable();
    set.dedup();
    set
}

fn any_next_hop() -> impl Strategy<Value = NextHop> {
    let address =
        prop_oneof![any::<[u8; 4]>().prop_map(IpAddr::from), any::<[u8; 16]>().prop_map(IpAddr::from)];
    (address, any::<Option<[u8; 16]>>(), any::<Option<u32>>()).prop_map(|(address, local, interface)| {
        NextHop { address, link_local: local.map(Into::into), interface: interface.unwrap_or(0) }
    })
}

fn any_unknown() -> impl Strategy<Value = Vec<UnknownAttribute>> {
    let one = (50..100u8, proptest::collection::vec(any::<u8>(), 0..300))
        .prop_map(|(code, value)| UnknownAttribute { flags: 0xe0, code, value });
    proptest::collection::vec(one, 0..3).prop_map(|mut list| {
        list.sort_by_key(|a| a.code);
        list.dedup_by_key(|a| a.code);
        list
    })
}

/// Any attributes as the decoder and the helpers make them.
pub(crate) fn any_attributes() -> impl Strategy<Value = PathAttributes> {
    let list = |max| proptest::collection::vec(any::<u32>(), 0..max);
    let first =
        (0..3u8, any_path(), any_next_hop(), any::<Option<u32>>(), any::<Option<u32>>(), any::<bool>());
    let second = (any::<Option<(u32, u32)>>(), list(80), proptest::collection::vec(any::<u64>(), 0..5));
    let third = (proptest::collection::vec(any::<(u32, u32, u32)>(), 0..30), any::<Option<u32>>(), list(4));
    let number = || prop_oneof![Just(0u32), any::<u32>()];
    let ours = (number(), number(), prop_oneof![Just(0u8), any::<u8>()]);
    let fourth = (any::<Option<u32>>(), any_unknown(), ours);
    (first, second, third, fourth).prop_map(|(first, second, third, fourth)| PathAttributes {
        origin: [Origin::Igp, Origin::Egp, Origin::Incomplete][usize::from(first.0)],
        as_path: first.1,
        next_hop: first.2,
        med: first.3,
        local_pref: first.4,
        atomic_aggregate: first.5,
        aggregator: second
            .0
            .map(|(asn, id)| Aggregator { asn: Asn(asn.max(1)), identifier: BgpIdentifier(id) }),
        communities: sorted(second.1.into_iter().map(Community).collect()),
        ext_communities: sorted(second.2.into_iter().map(ExtendedCommunity).collect()),
        large_communities: sorted(third.0.into_iter().map(|(a, b, c)| LargeCommunity(a, b, c)).collect()),
        originator_id: third.1.map(BgpIdentifier),
        cluster_list: third.2.into(),
        otc: fourth.0.map(|asn| Asn(asn.max(1))),
        unknown: fourth.1,
        weight: fourth.2.0,
        table: fourth.2.1,
        border_prepend: fourth.2.2,
    })
}

fn form(attributes: &PathAttributes) -> Vec<u8> {
    let mut out = Vec::new();
    compact::encode(attributes, &mut out);
    out
}

proptest! {
    #[test]
    fn the_compact_form_gives_back_what_went_in(attributes in any_attributes()) {
        prop_assert_eq!(compact::decode(&form(&attributes)), attributes);
    }

    #[test]
    fn equal_values_have_equal_forms_and_only_they(a in any_attributes(), b in any_attributes()) {
        prop_assert_eq!(form(&a) == form(&b), a == b);
        prop_assert_eq!(form(&a), form(&a.clone()));
    }

    #[test]
    fn bytes_that_are_no_form_read_as_something(octets in proptest::collection::vec(any::<u8>(), 0..200)) {
        let read = compact::decode(&octets);
        prop_assert_eq!(compact::decode(&form(&read)), read);
    }

    #[test]
    fn a_damaged_form_reads_as_something(attributes in any_attributes(), at in any::<usize>(), to in any::<u8>()) {
        let mut octets = form(&attributes);
        let at = at % octets.len();
        octets[at] = to;
        let _ = compact::decode(&octets);
        let _ = compact::decode(&octets[..at]);
    }

    #[test]
    fn paths_come_back_from_their_wire_form(path in any_path()) {
        prop_assert_eq!(AsPath::from_wire(path.as_wire()), Ok(path));
    }

    #[test]
    fn communities_come_back_from_their_texts(a in any::<u32>(), b in any::<u64>()) {
        prop_assert_eq!(Community(a).to_string().parse(), Ok(Community(a)));
        prop_assert_eq!(ExtendedCommunity(b).to_string().parse(), Ok(ExtendedCommunity(b)));
    }
}
