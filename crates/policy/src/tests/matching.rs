//! Sets and expressions against models that are too simple to be wrong.

use proptest::prelude::*;
use siskin_bgp::attr::{Community, ExtendedCommunity, LargeCommunity, SegmentKind};
use siskin_net::Family;

use super::*;
use crate::as_path_regex::AsPathRegex;
use crate::community_set::CommunitySet;

/// Prefixes crowded into a small space, so that they often cover each other.
fn crowded_prefix() -> impl Strategy<Value = Prefix> {
    (any::<bool>(), any::<u8>(), 0u8..=10, prop::bool::weighted(0.05)).prop_map(|(v4, bits, len, host)| {
        let family = if v4 { Family::Ipv4 } else { Family::Ipv6 };
        Prefix::from_bits(family, u128::from(bits) << 120, if host { 128 } else { len })
    })
}

fn any_pattern() -> impl Strategy<Value = PrefixPattern> {
    (crowded_prefix(), any::<u8>(), any::<u8>()).prop_map(|(prefix, a, b)| {
        let max = prefix.family().max_len();
        let span = max - prefix.len() + 1;
        let (a, b) = (prefix.len() + a % span, prefix.len() + b % span);
        PrefixPattern::with_lengths(prefix, a.min(b), a.max(b)).unwrap()
    })
}

proptest! {
    #[test]
    fn a_prefix_set_is_any_of_its_patterns(
        patterns in prop::collection::vec(any_pattern(), 0..40),
        prefixes in prop::collection::vec(crowded_prefix(), 40),
    ) {
        let set: PrefixSet = patterns.iter().copied().collect();
        for prefix in prefixes {
            prop_assert_eq!(set.contains(prefix), patterns.iter().any(|p| p.matches(prefix)), "{} in {:?}", prefix, patterns);
            let covered = patterns.iter().any(|p| p.prefix().contains(prefix.address()));
            prop_assert_eq!(set.contains_address(prefix.address()), covered);
            prop_assert_eq!(set.covers(prefix), patterns.iter().any(|p| p.prefix().covers(prefix)));
        }
        prop_assert_eq!(set.patterns().collect::<PrefixSet>(), set.clone());
        let mut shuffled = patterns.clone();
        shuffled.reverse();
        prop_assert_eq!(set, shuffled.into_iter().collect::<PrefixSet>());
    }

    #[test]
    fn prefix_pattern_text_round_trips(pattern in any_pattern()) {
        prop_assert_eq!(pattern.to_string().parse::<PrefixPattern>(), Ok(pattern));
    }

    #[test]
    fn community_text_round_trips(bits in any::<u64>(), known in 0usize..3, low in any::<u16>()) {
        let formed = [bits & 0x0003_ffff_ffff_ffff, bits & 0x0200_ffff_ffff_ffff, bits];
        let values = [
            CommunityValue::Standard(Community(u32::try_from(bits >> 32).unwrap())),
            CommunityValue::Standard(Community(0xffff_0000 | u32::from(low))),
            CommunityValue::Large(LargeCommunity(u32::from(low), u32::try_from(bits >> 32).unwrap(), 0)),
            CommunityValue::Extended(ExtendedCommunity(formed[known])),
        ];
        for value in values {
            let text = value.to_string();
            prop_assert_eq!(text.parse::<CommunityValue>(), Ok(value), "{}", &text);
            let pattern: CommunityPattern = text.parse().unwrap();
            prop_assert_eq!(CommunityPattern::from(value), pattern);
            prop_assert!(pattern.matches(value));
            prop_assert_eq!(pattern.to_string(), text);
        }
    }

    #[test]
    fn pattern_texts_never_panic(text in "[0-9a-z:.*/{},+ -]{0,24}|\\PC{0,12}") {
        let whole = |span: Span| text.get(span.start..span.end).is_some();
        if let Err(error) = text.parse::<PrefixPattern>() {
            prop_assert!(whole(error.span), "{:?} {:?}", text, error);
        }
        if let Err(error) = text.parse::<CommunityPattern>() {
            prop_assert!(whole(error.span), "{:?} {:?}", text, error);
        }
    }

    #[test]
    fn regex_texts_never_panic(text in "[0-9_^$.|()\\[\\]{},*+?\\\\ -]{0,16}|\\PC{0,8}") {
        if let Err(error) = AsPathRegex::new(&text) {
            prop_assert!(text.get(error.span.start..error.span.end).is_some(), "{:?} {:?}", text, error);
        }
    }

    #[test]
    fn a_regex_sees_the_text_of_the_path(
        segments in prop::collection::vec((1u8..=4, prop::collection::vec(prop_oneof![0u32..30, any::<u32>()], 1..4)), 0..4),
        wanted in 0u32..30,
    ) {
        let mut path = AsPath::default();
        for (kind, asns) in segments {
            let asns: Vec<Asn> = asns.into_iter().map(Asn).collect();
            path.push_segment(SegmentKind::from_wire(kind).unwrap(), &asns);
        }
        let matches = |pattern: &str| AsPathRegex::new(pattern).unwrap().is_match(&path);
        prop_assert_eq!(matches(&format!("_{wanted}_")), path.contains(Asn(wanted)));
        let text = path.to_string();
        let plain = text.replace(['{', '}', '(', ')', '[', ']'], ".");
        prop_assert!(matches(&format!("^{plain}$")), "{}", text);
        prop_assert_eq!(matches("^$"), path.is_empty());
        prop_assert_eq!(matches("^[0-9]+$"), !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()));
    }
}

#[test]
fn regular_expressions_as_operators_write_them() {
    let path = |asns: &[u32]| AsPath::from_sequence(asns.iter().copied().map(Asn));
    let table: &[(&str, &[u32], bool)] = &[
        (".*", &[], true),
        ("^$", &[], true),
        ("^$", &[1], false),
        ("_65001_", &[65001], true),
        ("_65001_", &[1, 65001, 2], true),
        ("_65001_", &[165001], false),
        ("_65001_", &[650011], false),
        ("^65001$", &[65001], true),
        ("^65001$", &[65001, 65001], false),
        ("^65001_", &[65001, 2], true),
        ("^(65001_)+$", &[65001, 65001], true),
        ("^65001(_65001)*$", &[65001, 65001, 65001], true),
        ("^65001(_65001)*$", &[65001, 65002], false),
        ("_65001_65002_", &[1, 65001, 65002], true),
        ("_65001_65002_", &[65001, 3, 65002], false),
        ("^[0-9]+$", &[65001], true),
        ("^[0-9]+$", &[65001, 65002], false),
        ("^[0-9]+_[0-9]+$", &[65001, 65002], true),
        ("^(1|2)_", &[2, 5], true),
        ("^(1|2)_", &[3, 5], false),
        ("_(6451[2-9]|645[2-9][0-9])_", &[1, 64530], true),
        ("_(6451[2-9]|645[2-9][0-9])_", &[1, 64511], false),
        (r"^\d{4}_", &[3356, 1], true),
        (r"^\d{4}_", &[33561], false),
        ("^([0-9]+_){3}", &[1, 2, 3], true),
        ("^([0-9]+_){3}", &[1, 2], false),
        ("_[^1-9]$", &[1, 0], true),
        ("4294967295", &[4_294_967_295], true),
        ("10?1$", &[11], true),
    ];
    for (pattern, asns, expected) in table {
        assert_eq!(
            AsPathRegex::new(pattern).unwrap().is_match(&path(asns)),
            *expected,
            "{pattern} on {asns:?}"
        );
    }
}

#[test]
fn an_empty_set_has_nothing() {
    let set: PrefixSet = [].into_iter().collect();
    assert_eq!(set, PrefixSet::default());
    assert!(set.is_empty() && !set.contains(prefix("0.0.0.0/0")));
}

/// A set as IRR makes it: 100,000 prefixes of one registry's size, some inside others.
#[test]
fn a_hundred_thousand_entries_answer_as_a_table_of_them_does() {
    let mut state = 1u64;
    let mut random = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        u32::try_from(state >> 32).unwrap()
    };
    let mut patterns = BTreeMap::new();
    while patterns.len() < 100_000 {
        let len = 8 + u8::try_from(random() % 17).unwrap();
        let prefix = Prefix::v4((random() & 0x3fff_ffff).into(), len);
        let longest = len + u8::try_from(random() % u32::from(33 - len)).unwrap();
        patterns.insert(prefix, PrefixPattern::with_lengths(prefix, len, longest).unwrap());
    }
    let set: PrefixSet = patterns.values().copied().collect();
    assert!(set.len() <= patterns.len() && set.len() > 10_000);
    let (mut inside, mut outside) = (0, 0);
    for _ in 0..100_000 {
        let prefix = Prefix::v4((random() & 0x7fff_ffff).into(), u8::try_from(random() % 33).unwrap());
        let covers = std::iter::successors(Some(prefix), |p| p.parent());
        let expected = covers.filter_map(|cover| patterns.get(&cover)).any(|pattern| pattern.matches(prefix));
        assert_eq!(set.contains(prefix), expected, "{prefix}");
        if expected { inside += 1 } else { outside += 1 }
    }
    assert!(inside > 5_000 && outside > 5_000, "{inside} {outside}");
}

#[test]
fn route_targets_match_in_either_encoding() {
    let two_octets = ExtendedCommunity(0x0002_fbf4_0000_0009);
    let four_octets = ExtendedCommunity(0x0202_0000_fbf4_0009);
    let set: CommunitySet = ["rt:64500:9".parse().unwrap()].into_iter().collect();
    assert!(set.contains(CommunityValue::Extended(two_octets)));
    assert!(set.contains(CommunityValue::Extended(four_octets)));
    assert!(
        !set.contains(CommunityValue::Extended(ExtendedCommunity(0x4002_fbf4_0000_0009))),
        "not transitive"
    );
    let pattern: CommunityPattern = "rt:192.0.2.1:*".parse().unwrap();
    assert!(pattern.matches("rt:192.0.2.1:7".parse().unwrap()));
    assert!(!pattern.matches("rt:192.0.2.2:7".parse().unwrap()));
    assert!(!pattern.matches("soo:192.0.2.1:7".parse().unwrap()));
    assert_eq!(CommunityValue::Extended(four_octets).to_string(), "ext:02020000fbf40009");
}
