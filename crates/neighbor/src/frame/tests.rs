//! Frames byte by byte, malformed ones, and parsers that survive anything.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;

use super::build::icmpv6_frame;
use super::nd::{checksum, multicast_mac, solicited_node};
use super::*;
use crate::Mac;

const VM: Mac = Mac([0x52, 0, 0, 0, 0, 1]);
const GATEWAY_MAC: Mac = Mac([2, 0, 0xa9, 0xfe, 0, 1]);
const GATEWAY4: Ipv4Addr = Ipv4Addr::new(169, 254, 0, 1);
const VM4: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 11);

fn gateway6() -> Ipv6Addr {
    "fe80::1".parse().unwrap()
}

fn vm6() -> Ipv6Addr {
    "2001:db8:100::11".parse().unwrap()
}

fn arp(operation: u16, sender: Ipv4Addr, target: Ipv4Addr) -> Vec<u8> {
    let mut frame =
        [&[0xff; 6][..], &VM.0, &[8, 6, 0, 1, 8, 0, 6, 4], &operation.to_be_bytes(), &VM.0].concat();
    frame.extend_from_slice(&sender.octets());
    frame.extend_from_slice(&[0; 6]);
    frame.extend_from_slice(&target.octets());
    frame.resize(60, 0);
    frame
}

/// Neighbour discovery from the VM: type, flags, target, options.
fn nd(
    to: Ipv6Addr,
    from: Ipv6Addr,
    kind: u8,
    flags: u8,
    target: Option<Ipv6Addr>,
    options: &[u8],
) -> Vec<u8> {
    let mut message = vec![kind, 0, 0, 0, flags, 0, 0, 0];
    message.extend(target.iter().flat_map(Ipv6Addr::octets));
    message.extend_from_slice(options);
    icmpv6_frame((multicast_mac(to), to), (VM, from), &message)
}

fn seen(frame: &[u8]) -> Result<(Option<IpAddr>, EvidenceKind), FrameError> {
    let seen = sighting(&parse(frame, None)?)?;
    assert_eq!(seen.mac, VM);
    Ok((seen.address, seen.kind))
}

#[test]
fn what_arp_says() {
    let zero = Ipv4Addr::UNSPECIFIED;
    let vm4 = Some(IpAddr::V4(VM4));
    assert_eq!(seen(&arp(1, VM4, GATEWAY4)), Ok((vm4, EvidenceKind::ArpRequest)));
    assert_eq!(seen(&arp(2, VM4, GATEWAY4)), Ok((vm4, EvidenceKind::ArpReply)));
    assert_eq!(seen(&arp(1, VM4, VM4)), Ok((vm4, EvidenceKind::GratuitousArp)));
    assert_eq!(seen(&arp(2, VM4, VM4)), Ok((vm4, EvidenceKind::GratuitousArp)));
    assert_eq!(seen(&arp(1, zero, VM4)), Ok((vm4, EvidenceKind::ArpProbe)));
    assert_eq!(seen(&arp(3, VM4, VM4)), Err(FrameError::Unrelated), "RARP's operation in ARP");
    let mut rarp = arp(3, zero, zero);
    rarp[12..14].copy_from_slice(&[0x80, 0x35]);
    assert_eq!(seen(&rarp), Ok((None, EvidenceKind::Rarp)));
}

#[test]
fn malformed_arp_is_refused() {
    let good = arp(1, VM4, GATEWAY4);
    for length in 0..42 {
        assert_eq!(parse(&good[..length], None), Err(FrameError::Truncated), "{length}");
    }
    assert!(parse(&good[..42], None).is_ok(), "padding is not needed");
    for (octet, value) in [(15, 6), (16, 9), (18, 8), (19, 16)] {
        let mut bad = good.clone();
        bad[octet] = value;
        assert!(matches!(parse(&bad, None), Err(FrameError::Malformed(_))), "octet {octet}");
    }
    let mut two_macs = good.clone();
    two_macs[27] = 9;
    assert!(matches!(seen(&two_macs), Err(FrameError::Malformed(_))));
    let mut group_source = good;
    group_source[6] |= 1;
    assert!(matches!(sighting(&parse(&group_source, None).unwrap()), Err(FrameError::Malformed(_))));
}

#[test]
fn vlan_tags_in_the_frame_and_beside_it() {
    let plain = arp(1, VM4, GATEWAY4);
    let tagged = [&plain[..12], &[0x81, 0, 0x20, 5], &plain[12..]].concat();
    let vlan = |bytes: &[u8], stripped| parse(bytes, stripped).map(|frame| frame.ethernet.vlan);
    assert_eq!(vlan(&plain, None), Ok(None));
    assert_eq!(vlan(&plain, Some(0x2005)), Ok(Some(5)), "priority bits are no part of the identifier");
    assert_eq!(vlan(&plain, Some(0xe000)), Ok(None), "a priority tag is no VLAN");
    assert_eq!(vlan(&tagged, None), Ok(Some(5)));
    assert!(matches!(vlan(&tagged, Some(7)), Err(FrameError::Malformed(_))));
    let twice = [&tagged[..16], &[0x81, 0, 0, 6], &tagged[16..]].concat();
    assert!(matches!(vlan(&twice, None), Err(FrameError::Malformed(_))));
}

#[test]
fn what_neighbour_discovery_says() {
    let (gateway, group) = (gateway6(), solicited_node(vm6()));
    let all_nodes = "ff02::1".parse().unwrap();
    let option = |kind: u8| [&[kind, 1][..], &VM.0].concat();
    let vm = Some(IpAddr::V6(vm6()));
    let ns = EvidenceKind::NeighborSolicitation;
    assert_eq!(seen(&nd(gateway, vm6(), 135, 0, Some(gateway), &option(1))), Ok((vm, ns)));
    assert_eq!(seen(&nd(gateway, vm6(), 135, 0, Some(gateway), &[])), Ok((vm, ns)), "without SLLAO too");
    let dad = nd(group, Ipv6Addr::UNSPECIFIED, 135, 0, Some(vm6()), &[]);
    assert_eq!(seen(&dad), Ok((vm, EvidenceKind::DuplicateAddressDetection)));
    // A nonce (RFC 7527) is an option to pass over.
    let nonce = [14, 1, 1, 2, 3, 4, 5, 6];
    let dad = nd(group, Ipv6Addr::UNSPECIFIED, 135, 0, Some(vm6()), &nonce);
    assert_eq!(seen(&dad), Ok((vm, EvidenceKind::DuplicateAddressDetection)));
    let na = EvidenceKind::NeighborAdvertisement;
    assert_eq!(seen(&nd(all_nodes, vm6(), 136, 0x20, Some(vm6()), &option(2))), Ok((vm, na)));
    assert_eq!(
        seen(&nd(gateway, vm6(), 136, 0x40, Some(vm6()), &[])),
        Ok((vm, na)),
        "an answer without TLLAO"
    );
    let all_routers = "ff02::2".parse().unwrap();
    assert_eq!(
        seen(&nd(all_routers, vm6(), 133, 0, None, &option(1))),
        Ok((vm, EvidenceKind::RouterSolicitation))
    );
    assert_eq!(seen(&nd(all_routers, Ipv6Addr::UNSPECIFIED, 133, 0, None, &[])), Err(FrameError::Unrelated));
    let advertisement = nd(all_nodes, gateway, 134, 0, None, &[]);
    assert_eq!(seen(&advertisement), Err(FrameError::Unrelated));
    let Body::Discovery(discovery) = parse(&advertisement, None).unwrap().body else { panic!() };
    assert_eq!(discovery.message, Message::RouterAdvertisement);
    let long = nd(all_nodes, gateway, 134, 0, None, &[0; 200]);
    assert!(parse(&long[..SNAP_LEN], None).is_ok(), "one that is cut is one too");
}

#[test]
fn malformed_neighbour_discovery_is_refused() {
    let gateway = gateway6();
    let nowhere = Ipv6Addr::UNSPECIFIED;
    let option = [&[1, 1][..], &VM.0].concat();
    let other = [1, 1, 0x52, 0, 0, 0, 0, 9];
    let good = nd(gateway, vm6(), 135, 0, Some(gateway), &option);
    for length in 0..good.len() {
        assert_eq!(parse(&good[..length], None), Err(FrameError::Truncated), "{length}");
    }
    let all_nodes: Ipv6Addr = "ff02::1".parse().unwrap();
    let refused = [
        ("target is a group", nd(gateway, vm6(), 135, 0, Some(all_nodes), &[])),
        ("target is unspecified", nd(gateway, vm6(), 136, 0, Some(nowhere), &[])),
        ("option of length 0", nd(gateway, vm6(), 135, 0, Some(gateway), &[1, 0, 0, 0, 0, 0, 0, 0])),
        (
            "option longer than the message",
            nd(gateway, vm6(), 135, 0, Some(gateway), &[1, 2, 0, 0, 0, 0, 0, 0]),
        ),
        ("half an option", nd(gateway, vm6(), 135, 0, Some(gateway), &[1, 1, 0])),
        ("one octet of an option", nd(gateway, vm6(), 135, 0, Some(gateway), &[1])),
        (
            "long link-layer address",
            nd(gateway, vm6(), 135, 0, Some(gateway), &[[1, 2].as_slice(), &[0; 14]].concat()),
        ),
        ("another link-layer address", nd(gateway, vm6(), 135, 0, Some(gateway), &other)),
        ("DAD to a node", nd(gateway, nowhere, 135, 0, Some(vm6()), &[])),
        ("DAD with SLLAO", nd(solicited_node(vm6()), nowhere, 135, 0, Some(vm6()), &option)),
        ("solicited NA to a group", nd(all_nodes, vm6(), 136, 0x40, Some(vm6()), &[])),
        ("NA from nowhere", nd(all_nodes, nowhere, 136, 0, Some(vm6()), &[])),
        ("group as source", nd(gateway, all_nodes, 135, 0, Some(gateway), &[])),
        ("RS from nowhere with SLLAO", nd(all_nodes, nowhere, 133, 0, None, &option)),
    ];
    for (what, frame) in refused {
        let result = parse(&frame, None).and_then(|frame| sighting(&frame));
        assert!(
            matches!(result, Err(FrameError::Malformed(_) | FrameError::Truncated)),
            "{what}: {result:?}"
        );
    }
    // Version, hop limit, checksum, code, in this order.
    for (octet, value) in [(14, 0x40), (21, 254), (60, 1), (55, 1)] {
        let mut bad = good.clone();
        bad[octet] = value;
        assert!(matches!(parse(&bad, None), Err(FrameError::Malformed(_))), "octet {octet}");
    }
    for (octet, value) in [(20, 17), (20, 44), (54, 137), (12, 8)] {
        let mut unrelated = good.clone();
        unrelated[octet] = value;
        assert_eq!(parse(&unrelated, None), Err(FrameError::Unrelated), "octet {octet}");
    }
}

#[test]
fn what_we_send_is_what_guests_answer() {
    let probe = arp_probe((GATEWAY_MAC, GATEWAY4), VM, VM4);
    let expected: [u8; 42] = [
        0x52, 0, 0, 0, 0, 1, 2, 0, 0xa9, 0xfe, 0, 1, 8, 6, 0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0xa9, 0xfe, 0, 1,
        169, 254, 0, 1, 0, 0, 0, 0, 0, 0, 198, 51, 100, 11,
    ];
    assert_eq!(probe, expected);
    let gratuitous = gratuitous_arp((GATEWAY_MAC, GATEWAY4));
    assert_eq!(gratuitous[..6], [0xff; 6]);
    assert_eq!(sighting(&parse(&gratuitous, None).unwrap()).unwrap().kind, EvidenceKind::GratuitousArp);

    let probe = parse(&neighbor_probe((GATEWAY_MAC, gateway6()), VM, vm6()), None).unwrap();
    assert_eq!(probe.ethernet.destination, VM);
    let Body::Discovery(discovery) = probe.body else { panic!() };
    assert_eq!((discovery.source, discovery.destination), (gateway6(), vm6()));
    let source_mac = Some(GATEWAY_MAC);
    assert_eq!(discovery.message, Message::NeighborSolicitation { target: vm6(), source_mac });

    let bytes = unsolicited_advertisement((GATEWAY_MAC, gateway6()));
    assert_eq!(bytes[58], 0xa0, "router and override, not solicited");
    let advertisement = parse(&bytes, None).unwrap();
    assert_eq!(advertisement.ethernet.destination, Mac([0x33, 0x33, 0, 0, 0, 1]));
    let seen = sighting(&advertisement).unwrap();
    assert_eq!((seen.mac, seen.address), (GATEWAY_MAC, Some(IpAddr::V6(gateway6()))));
}

#[test]
fn the_checksum_of_a_known_message() {
    // A Neighbor Solicitation as Linux sends it, summed by hand.
    let message = [0x87, 0, 0, 0, 0, 0, 0, 0];
    let (from, to) = ("fe80::1".parse().unwrap(), "fe80::2".parse().unwrap());
    // fe80 + 1 + fe80 + 2 + 8 + 3a + 8700 = 2_8445 -> 8447, complemented.
    assert_eq!(checksum(from, to, &message), !0x8447);
    assert_eq!(checksum(from, to, &[0x87, 0, 0x7b, 0xb8, 0, 0, 0, 0]), 0);
}

#[test]
fn mac_text() {
    assert_eq!("52:02:45:76:d2:35".parse(), Ok(Mac([0x52, 2, 0x45, 0x76, 0xd2, 0x35])));
    assert_eq!("52-02-45-76-D2-35".parse::<Mac>().unwrap().to_string(), "52:02:45:76:d2:35");
    for bad in [
        "",
        "52:02:45:76:d2",
        "52:02:45:76:d2:35:00",
        "52:02:45:76:d2:3",
        "52:02:45:76:d2:+5",
        "5202.4576.d235",
    ] {
        assert!(bad.parse::<Mac>().is_err(), "{bad}");
    }
}

proptest! {
    #[test]
    fn no_bytes_make_the_parsers_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), tag in any::<Option<u16>>()) {
        let _any = parse(&bytes, tag).and_then(|frame| sighting(&frame));
    }

    #[test]
    fn no_change_of_a_good_frame_makes_them_panic(
        at in 0usize..86, value in any::<u8>(), cut in 0usize..=86, which in 0u8..4,
    ) {
        let mut frame = match which {
            0 => arp(1, VM4, GATEWAY4),
            1 => neighbor_probe((GATEWAY_MAC, gateway6()), VM, vm6()),
            2 => unsolicited_advertisement((GATEWAY_MAC, gateway6())),
            _ => nd(solicited_node(vm6()), Ipv6Addr::UNSPECIFIED, 135, 0, Some(vm6()), &[]),
        };
        if let Some(octet) = frame.get_mut(at) {
            *octet = value;
        }
        frame.truncate(cut);
        let _any = parse(&frame, None).and_then(|frame| sighting(&frame));
    }

    #[test]
    fn one_wrong_octet_after_the_type_never_passes_the_checksum(at in 55usize..86, flip in 1u8..) {
        let mut frame = neighbor_probe((GATEWAY_MAC, gateway6()), VM, vm6());
        frame[at] ^= flip;
        prop_assert!(parse(&frame, None).is_err());
    }

    #[test]
    fn probes_read_back(vm in any::<[u8; 6]>(), v4 in any::<u32>(), v6 in any::<u128>()) {
        let vm = Mac(vm);
        let v4 = Ipv4Addr::from_bits(v4);
        let Body::Arp(arp) = parse(&arp_probe((GATEWAY_MAC, GATEWAY4), vm, v4), None).unwrap().body else { panic!() };
        prop_assert_eq!((arp.operation, arp.sender, arp.target), (ArpOperation::Request, GATEWAY4, v4));
        let v6 = Ipv6Addr::from_bits(v6);
        let parsed = parse(&neighbor_probe((GATEWAY_MAC, gateway6()), vm, v6), None);
        prop_assert_eq!(parsed.is_ok(), !v6.is_multicast() && !v6.is_unspecified());
    }
}
