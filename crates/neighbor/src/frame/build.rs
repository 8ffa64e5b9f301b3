//! Frames we send: the probes that ask a VM whether it is there, and the announcements that tell it the gateway's MAC
//! address. All are untagged.
//!
//! Probes come from the gateway's address, never from 0.0.0.0 or `::`: those would be conflict tests (RFC 5227
//! section 2.1.1, RFC 4862 section 5.4), which guests defend against and log.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::arp::{Arp, ArpOperation};
use super::ethernet::{EtherType, Ethernet};
use super::nd::{checksum, multicast_mac};
use crate::Mac;

/// An ARP request for `address`, unicast to `mac` (RFC 1122 section 2.3.2.1), from the gateway.
#[must_use]
pub fn arp_probe(gateway: (Mac, Ipv4Addr), mac: Mac, address: Ipv4Addr) -> Vec<u8> {
    let (our_mac, sender) = gateway;
    let arp = Arp {
        operation: ArpOperation::Request,
        sender_mac: our_mac,
        sender,
        target_mac: Mac::ZERO,
        target: address,
    };
    arp_frame(mac, our_mac, arp)
}

/// A gratuitous ARP request that tells every VM on the port the gateway's MAC address.
#[must_use]
pub fn gratuitous_arp(gateway: (Mac, Ipv4Addr)) -> Vec<u8> {
    let (our_mac, sender) = gateway;
    let arp = Arp {
        operation: ArpOperation::Request,
        sender_mac: our_mac,
        sender,
        target_mac: Mac::ZERO,
        target: sender,
    };
    arp_frame(Mac::BROADCAST, our_mac, arp)
}

fn arp_frame(destination: Mac, source: Mac, arp: Arp) -> Vec<u8> {
    let mut frame = Vec::with_capacity(42);
    Ethernet { destination, source, vlan: None, ether_type: EtherType::ARP }.push_to(&mut frame);
    arp.push_to(&mut frame);
    frame
}

/// A unicast Neighbor Solicitation for `address` to `mac` (RFC 4861 section 7.3.3), from the gateway, with SLLAO.
#[must_use]
pub fn neighbor_probe(gateway: (Mac, Ipv6Addr), mac: Mac, address: Ipv6Addr) -> Vec<u8> {
    let (our_mac, source) = gateway;
    let mut message = vec![135, 0, 0, 0, 0, 0, 0, 0];
    message.extend_from_slice(&address.octets());
    message.extend_from_slice(&[1, 1]);
    message.extend_from_slice(&our_mac.0);
    icmpv6_frame((mac, address), (our_mac, source), &message)
}

/// An unsolicited Neighbor Advertisement of the gateway to all nodes: flags R and O with TLLAO, S clear. Without O
/// guests keep the old MAC address; without R they forget that the gateway is a router.
#[must_use]
pub fn unsolicited_advertisement(gateway: (Mac, Ipv6Addr)) -> Vec<u8> {
    const ROUTER_AND_OVERRIDE: u8 = 0x80 | 0x20;
    let all_nodes = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
    let (our_mac, source) = gateway;
    let mut message = vec![136, 0, 0, 0, ROUTER_AND_OVERRIDE, 0, 0, 0];
    message.extend_from_slice(&source.octets());
    message.extend_from_slice(&[2, 1]);
    message.extend_from_slice(&our_mac.0);
    icmpv6_frame((multicast_mac(all_nodes), all_nodes), gateway, &message)
}

/// Ethernet and IPv6 headers before `message`, whose checksum octets (the third and fourth) are zero.
pub(super) fn icmpv6_frame(to: (Mac, Ipv6Addr), from: (Mac, Ipv6Addr), message: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(54 + message.len());
    Ethernet { destination: to.0, source: from.0, vlan: None, ether_type: EtherType::IPV6 }
        .push_to(&mut frame);
    let length = u16::try_from(message.len()).unwrap_or(u16::MAX);
    frame.extend_from_slice(&[0x60, 0, 0, 0]);
    frame.extend_from_slice(&length.to_be_bytes());
    frame.extend_from_slice(&[58, 255]);
    frame.extend_from_slice(&from.1.octets());
    frame.extend_from_slice(&to.1.octets());
    let sum = checksum(from.1, to.1, message).to_be_bytes();
    frame.extend_from_slice(message.get(..2).unwrap_or(message));
    frame.extend_from_slice(&sum);
    frame.extend_from_slice(message.get(4..).unwrap_or(&[]));
    frame
}
