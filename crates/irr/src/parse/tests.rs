use proptest::prelude::*;

use super::*;

fn prefixes(text: &str, family: Family) -> Vec<String> {
    parse_prefixes(text.as_bytes(), family).unwrap().iter().map(ToString::to_string).collect()
}

#[test]
fn lists_are_sorted_and_without_doubles() {
    let text = "193.0.4.0/23 10.0.0.0/8\n193.0.4.0/23 193.0.4.0/24 2001:db8::/32";
    assert_eq!(prefixes(text, Family::Ipv4), ["10.0.0.0/8", "193.0.4.0/23", "193.0.4.0/24"]);
    assert_eq!(prefixes(text, Family::Ipv6), ["2001:db8::/32"]);
    assert_eq!(prefixes("", Family::Ipv4), [""; 0]);
}

#[test]
fn range_operators_never_widen() {
    let text = "10.0.0.0/8^+ 11.0.0.0/8^- 12.0.0.0/8^8-24 13.0.0.0/8^24 14.0.0.0/8^8 2001:db8::/32^32-48";
    assert_eq!(prefixes(text, Family::Ipv4), ["10.0.0.0/8", "12.0.0.0/8", "14.0.0.0/8"]);
    assert_eq!(prefixes(text, Family::Ipv6), ["2001:db8::/32"]);
}

#[test]
fn one_wrong_word_spoils_the_list() {
    for text in [
        "192.0.2.0/24 junk",
        "192.0.2.1/24",
        "192.0.2.0",
        "192.0.2.0/33",
        "192.0.2/24",
        "192.0.2.0/",
        "192.0.2.0/24^",
        "192.0.02.0/24",
        "256.0.0.0/8",
        "10.0.0.0/8,",
    ] {
        assert!(parse_prefixes(text.as_bytes(), Family::Ipv4).is_err(), "{text}");
    }
    assert!(parse_asns(b"AS112 <html>").is_err());
}

#[test]
fn numbers_are_sorted_and_the_reserved_known() {
    assert_eq!(parse_asns(b"AS3333 AS112\nas112 AS131072").unwrap(), [Asn(112), Asn(3333), Asn(131_072)]);
    let reserved = [0, 23_456, 64_496, 64_512, 65_535, 65_536, 131_071, 4_200_000_000, u32::MAX];
    assert!(reserved.into_iter().all(|asn| is_reserved(Asn(asn))));
    assert!([1, 23_455, 64_495, 131_072, 4_199_999_999].into_iter().all(|asn| !is_reserved(Asn(asn))));
}

proptest! {
    #[test]
    fn the_short_way_reads_what_the_strict_parser_reads(text in "[0-9./]{1,20}") {
        let strict: Option<Prefix> = text.parse().ok();
        prop_assert_eq!(ipv4(text.as_bytes()), strict);
    }

    #[test]
    fn every_prefix_reads_back(bits: u128, len in 0u8..=128, six: bool) {
        let prefix = Prefix::from_bits(if six { Family::Ipv6 } else { Family::Ipv4 }, bits, len);
        prop_assert_eq!(super::prefix(prefix.to_string().as_bytes()), Some(Some(prefix)));
    }

    #[test]
    fn no_bytes_make_it_panic(data in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse_prefixes(&data, Family::Ipv6);
        let _ = parse_asns(&data);
    }
}
