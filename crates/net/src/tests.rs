use std::net::IpAddr;

use proptest::prelude::*;

use crate::*;

#[test]
fn prefix_text_is_strict_and_names_what_was_meant() {
    let parse = |t: &str| t.parse::<Prefix>();
    assert_eq!(parse("192.0.2.0/24").unwrap().to_string(), "192.0.2.0/24");
    assert_eq!(parse("2001:DB8::/32").unwrap().to_string(), "2001:db8::/32");
    assert_eq!(parse("192.0.2.1/24"), Err(ParsePrefixError::HostBits("192.0.2.0/24".parse().unwrap())));
    assert_eq!(parse("192.0.2.0/33"), Err(ParsePrefixError::Length(32)));
    assert_eq!(parse("2001:db8::/999"), Err(ParsePrefixError::Length(128)));
    for bad in ["192.0.2.0", "192.0.2.0/", "192.0.2.0/+8", "x/8", "/8", "192.0.2/24"] {
        assert_eq!(parse(bad), Err(ParsePrefixError::Syntax), "{bad}");
    }
}

#[test]
fn families_never_cover_each_other() {
    assert!(!Prefix::default_route(Family::Ipv4).covers(Prefix::default_route(Family::Ipv6)));
    assert!(Prefix::default_route(Family::Ipv6).contains("::1".parse().unwrap()));
}

#[test]
fn asn_reads_plain_dot_and_prefixed() {
    assert_eq!("AS64500".parse(), Ok(Asn(64500)));
    assert_eq!("1.10".parse(), Ok(Asn(65546)));
    for bad in ["", "AS", "-1", "+1", "4294967296", "1.65536", "1.2.3"] {
        assert_eq!(bad.parse::<Asn>(), Err(ParseAsnError), "{bad}");
    }
}

#[test]
fn equal_hop_sets_are_equal_groups() {
    let hop =
        |n: u8| Hop { gateway: Some(IpAddr::from([192, 0, 2, n])), interface: 2, weight: 1, onlink: false };
    assert_eq!(NextHopGroup::from_hops([hop(2), hop(1), hop(2)]), NextHopGroup::from_hops([hop(1), hop(2)]));
    assert_eq!(NextHopGroup::from_hops([]), None);
}

fn any_prefix() -> impl Strategy<Value = Prefix> {
    (any::<bool>(), any::<u128>(), 0u8..=128).prop_map(|(v4, bits, len)| {
        Prefix::from_bits(if v4 { Family::Ipv4 } else { Family::Ipv6 }, bits, len)
    })
}

proptest! {
    #[test]
    fn text_round_trips(prefix in any_prefix()) {
        prop_assert_eq!(prefix.to_string().parse::<Prefix>(), Ok(prefix));
    }

    #[test]
    fn a_parent_covers_its_child(prefix in any_prefix()) {
        if let Some(parent) = prefix.parent() {
            prop_assert!(parent.covers(prefix));
            prop_assert!(!prefix.covers(parent));
        }
        prop_assert!(prefix.covers(prefix));
    }
}

#[test]
fn vlans_of_a_port() {
    use crate::{PortVlans, VlanRange};
    let range = |first, last, untagged| VlanRange { first, last, untagged };
    let port = PortVlans { pvid: Some(7), ranges: vec![range(7, 7, true), range(100, 200, false)] };
    assert_eq!((port.leaves_untagged(7), port.leaves_untagged(150)), (Some(true), Some(false)));
    assert_eq!(port.leaves_untagged(201), None);
    assert_eq!(port.of_frame(None), Some(7));
    assert_eq!((port.of_frame(Some(200)), port.of_frame(Some(8))), (Some(200), None));
    let no_member = PortVlans { pvid: Some(9), ..port };
    assert_eq!(no_member.of_frame(None), None);
}

#[test]
fn name_patterns_say_more_or_less() {
    use crate::NamePattern;
    let weight = |text: &str| NamePattern::new(text).weight();
    assert!(weight("tap1*") > weight("tap*") && weight("tap*") > weight("*"));
    assert!(NamePattern::is_pattern("swp?") && !NamePattern::is_pattern("vmbr1.100"));
}
