//! A few frames against what is known of them.

use super::*;

#[test]
fn lengths_and_checksum() {
    let mac = [0x52, 0, 0, 0, 0, 1];
    let address = "2001:db8:100::11".parse::<Ipv6Addr>().unwrap_or(Ipv6Addr::UNSPECIFIED);
    let gateway = "fe80::1".parse::<Ipv6Addr>().unwrap_or(Ipv6Addr::UNSPECIFIED);
    assert_eq!(arp_request(mac, Ipv4Addr::LOCALHOST, Ipv4Addr::LOCALHOST).len(), 60);
    let seen = |frame: &[u8]| siskin_neighbor::frame::parse(frame, None);
    assert!(seen(&arp_request(mac, Ipv4Addr::LOCALHOST, Ipv4Addr::BROADCAST)).is_ok());
    assert!(seen(&rarp(mac)).is_ok());
    let solicitation = Discovery::solicitation(mac, address, gateway);
    assert_eq!(solicitation.frame().len(), 86);
    assert!(seen(&solicitation.frame()).is_ok(), "the other side's checksum agrees");
    assert!(seen(&Discovery::duplicate_detection(mac, address).frame()).is_ok());
    assert!(seen(&Discovery::advertisement(mac, address, address, 0x20).frame()).is_ok());
    assert!(seen(&Discovery::router_advertisement(mac, gateway).frame()).is_ok());
    assert!(solicitation.fragments().iter().all(|fragment| seen(fragment).is_err()));
    assert_eq!(tagged(&rarp(mac), &[5, 6]).len(), 68);
}
