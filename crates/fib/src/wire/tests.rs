//! The codec read against itself, and against broken input.

use std::net::IpAddr;

use siskin_net::{Hop, Prefix};

use super::batch::Batch;
use super::neighbor::KernelNeighbor;
use super::nexthop::{KernelNextHop, NextHopKind, SingleHop};
use super::route::{Frame, RouteKind, RouteMessage, Way};
use super::*;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn hop(gateway: &str, interface: u32, weight: u16) -> Hop {
    Hop { gateway: Some(ip(gateway)), interface, weight, onlink: false }
}

fn frame() -> Frame {
    Frame { table: 1000, metric: 32, protocol: 201, prefsrc: Some(ip("192.0.2.10")), mtu: 1400 }
}

fn one(batch: &mut Batch) -> Vec<u8> {
    batch.seal().to_vec()
}

#[test]
fn a_route_survives_the_way_there_and_back() {
    let prefix: Prefix = "203.0.113.0/24".parse().unwrap();
    let hops = [hop("192.0.2.1", 3, 1), hop("fe80::1", 4, 200)];
    let mut batch = Batch::new();
    route::put(&mut batch, flag::CREATE, prefix, &frame(), Way::Hops(&hops));
    let bytes = one(&mut batch);
    let message = Messages(&bytes).next().unwrap();
    assert_eq!(message.flags, flag::REQUEST | flag::CREATE | flag::ACK);
    let route = RouteMessage::decode(&message).unwrap();
    assert_eq!((route.prefix, route.table, route.metric), (prefix, 1000, 32));
    assert_eq!((route.protocol, route.kind, route.nexthop_id), (201, RouteKind::Unicast, 0));
    assert_eq!(route.prefsrc, Some(ip("192.0.2.10")));
    assert_eq!(route.hops().as_slice(), hops);
}

#[test]
fn single_hops_and_objects_are_told_apart() {
    let prefix: Prefix = "2001:db8::/32".parse().unwrap();
    let mut batch = Batch::new();
    route::put(&mut batch, 0, prefix, &frame(), Way::Hops(&[hop("fe80::1", 7, 1)]));
    route::put(&mut batch, 0, prefix, &frame(), Way::Object { id: 42, link: false });
    route::put(&mut batch, 0, prefix, &frame(), Way::Blackhole);
    let bytes = one(&mut batch);
    let routes: Vec<_> = Messages(&bytes).map(|m| RouteMessage::decode(&m).unwrap()).collect();
    assert_eq!(routes[0].hops().as_slice(), [hop("fe80::1", 7, 1)]);
    assert_eq!((routes[1].nexthop_id, routes[1].hops().len()), (42, 0));
    assert_eq!((routes[2].kind, routes[2].prefsrc), (RouteKind::Blackhole, None));
    let seqs: Vec<u32> = Messages(&bytes).map(|m| m.seq).collect();
    assert_eq!(seqs, [0, 1, 2]);
}

#[test]
fn next_hop_objects_survive_the_way_there_and_back() {
    let single = SingleHop { family: Family::Ipv6, gateway: Some(ip("fe80::1")), interface: 9, onlink: true };
    let mut batch = Batch::new();
    nexthop::put_single(&mut batch, 5, 201, &single);
    nexthop::put_group(&mut batch, 6, 201, &[(5, 1), (7, 256)], None);
    let (idle, unbalanced) = (std::time::Duration::from_secs(60), std::time::Duration::ZERO);
    let resilient = crate::ResilientGroups { buckets: 128, idle, unbalanced };
    nexthop::put_group(&mut batch, 8, 201, &[(5, 1)], Some(&resilient));
    let bytes = one(&mut batch);
    let objects: Vec<_> = Messages(&bytes).map(|m| KernelNextHop::decode(&m).unwrap()).collect();
    let kind = NextHopKind::Single {
        family: Some(Family::Ipv6),
        gateway: single.gateway,
        interface: 9,
        onlink: true,
    };
    assert_eq!(objects[0], KernelNextHop { id: 5, protocol: 201, kind, buckets: None });
    let NextHopKind::Group(members) = &objects[1].kind else { panic!("not a group") };
    assert_eq!(members.as_slice(), [(5, 1), (7, 256)]);
    assert_eq!((objects[1].buckets, objects[2].buckets), (None, Some(128)));
}

#[test]
fn neighbors_survive_the_way_there_and_back() {
    let mut batch = Batch::new();
    neighbor::put(&mut batch, 3, ip("198.51.100.30"), [2, 0, 0, 0, 0, 1], 201);
    let bytes = one(&mut batch);
    let neighbor = KernelNeighbor::decode(&Messages(&bytes).next().unwrap()).unwrap();
    assert_eq!((neighbor.interface, neighbor.address), (3, Some(ip("198.51.100.30"))));
    assert_eq!((neighbor.mac, neighbor.permanent, neighbor.protocol), (Some([2, 0, 0, 0, 0, 1]), true, 201));
}

#[test]
fn a_refusal_gives_the_kernels_own_words() {
    let mut body = (-22i32).to_ne_bytes().to_vec();
    body.extend([0; HEADER]);
    let text = b"Nexthop has invalid gateway\0";
    body.extend(u16::try_from(4 + text.len()).unwrap().to_ne_bytes());
    body.extend(1u16.to_ne_bytes());
    body.extend(text);
    let flags = flag::CAPPED | flag::ACK_TLVS;
    let message = Message { kind: NLMSG_ERROR, flags, seq: 1, port: 0, body: &body };
    let error = message.refusal().unwrap();
    assert_eq!((error.errno, &*error.text), (22, "Nexthop has invalid gateway"));
    let bare = Message { flags: 0, body: body.get(..20).unwrap(), ..message };
    assert_eq!(&*bare.refusal().unwrap().text, "Invalid argument");
}

#[test]
fn vlans_of_a_bridges_port() {
    let attribute = |kind: u16, data: &[u8]| {
        let length = u16::try_from(4 + data.len()).unwrap();
        let mut bytes = [length.to_ne_bytes(), kind.to_ne_bytes()].concat();
        bytes.extend_from_slice(data);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    };
    let vlan = |flags: u16, id: u16| attribute(2, &[flags.to_ne_bytes(), id.to_ne_bytes()].concat());
    let mut body = vec![7, 0, 0, 0];
    body.extend(9u32.to_ne_bytes());
    body.resize(16, 0);
    let bare = body.clone();
    // PVID 7 untagged, then 100 to 200 tagged, as the kernel writes a range.
    body.extend(attribute(26, &[vlan(6, 7), vlan(8, 100), vlan(16, 200)].concat()));
    let message = Message { kind: 16, flags: 0, seq: 1, port: 0, body: &body };
    let note = link::BridgeNote::decode(&message).unwrap();
    let vlans = note.vlans.unwrap();
    assert_eq!((note.port, vlans.pvid), (9, Some(7)));
    assert_eq!((vlans.leaves_untagged(7), vlans.leaves_untagged(150)), (Some(true), Some(false)));
    assert_eq!((vlans.leaves_untagged(99), vlans.ranges.len()), (None, 2));
    let said_nothing = link::BridgeNote::decode(&Message { body: &bare, ..message }).unwrap();
    assert_eq!(said_nothing.vlans, None);
    assert_eq!(link::BridgeNote::decode(&Message { body: &[0; 16], ..message }), None, "a link");
}

/// Every message, cut at every length and with every byte bent, is read or passed over, never fatal.
#[test]
fn broken_input_never_panics() {
    let mut batch = Batch::new();
    let prefix: Prefix = "203.0.113.0/24".parse().unwrap();
    let hops = [hop("192.0.2.1", 3, 1), hop("fe80::1", 4, 200)];
    route::put(&mut batch, 0, prefix, &frame(), Way::Hops(&hops));
    nexthop::put_group(&mut batch, 6, 201, &[(5, 1), (7, 256)], None);
    neighbor::put(&mut batch, 3, ip("2001:db8::1"), [2, 0, 0, 0, 0, 1], 201);
    let bytes = one(&mut batch);
    let mut read = 0;
    let mut all = |bytes: &[u8]| {
        for message in Messages(bytes) {
            for kind in [16, 20, 24, 28, 104, 105, message.kind] {
                let message = Message { kind, ..message };
                read += usize::from(crate::event::KernelEvent::decode(&message).is_some());
                read += usize::from(message.refusal().is_some());
                read += RouteMessage::decode(&message).map_or(0, |r| r.hops().len());
            }
        }
    };
    for end in 0..bytes.len() {
        all(bytes.get(..end).unwrap());
    }
    for at in 0..bytes.len() {
        for value in [0, 1, 3, 0x7f, 0xff] {
            let mut bent = bytes.clone();
            bent[at] = value;
            all(&bent);
        }
    }
    assert!(read > 1000);
}
