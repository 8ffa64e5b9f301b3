//! Resolution, and the mirror's picture after events; no kernel.

use std::net::IpAddr;

use siskin_net::{Hop, NextHop, RouteSource};
use smallvec::smallvec;

use super::*;
use crate::tracker::Tracker;
use crate::wire::route::RouteKind;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn link(index: IfIndex, up: bool, carrier: bool) -> KernelEvent {
    let link = Link {
        index,
        name: format!("eth{index}"),
        up,
        carrier,
        loopback: index == 1,
        master: None,
        mac: None,
        mtu: 1500,
        kind: String::new(),
        lower: None,
        vlan: None,
        vlan_filtering: false,
    };
    KernelEvent::Link { link, deleted: false }
}

fn address(interface: IfIndex, address: &str, prefix: &str) -> KernelEvent {
    let address = InterfaceAddress { interface, address: ip(address), prefix: prefix.parse().unwrap() };
    KernelEvent::Address { address, deleted: false }
}

fn route(prefix: &str, protocol: u8, metric: u32, gateway: Option<&str>, interface: IfIndex) -> KernelRoute {
    KernelRoute {
        prefix: prefix.parse().unwrap(),
        table: MAIN_TABLE,
        protocol,
        metric,
        kind: RouteKind::Unicast,
        hops: smallvec![Hop { gateway: gateway.map(ip), interface, weight: 1, onlink: false }],
        nexthop_id: 0,
        prefsrc: None,
    }
}

fn event(route: &KernelRoute, deleted: bool) -> KernelEvent {
    KernelEvent::Route { route: route.clone(), deleted, replaced: false, port: 7 }
}

fn state(events: &[KernelEvent]) -> KernelState {
    let mut state = KernelState::empty(StateConfig::default());
    for event in events {
        state.apply(event).unwrap();
    }
    state
}

fn way(state: &KernelState, address: &str) -> Option<(u32, String)> {
    let resolution = state.resolve(&NextHop::new(ip(address)))?;
    let hops = resolution.hops.iter().map(|h| format!("{}%{}", h.gateway.unwrap(), h.interface));
    Some((resolution.metric, hops.collect::<Vec<_>>().join(" ")))
}

fn two_links() -> KernelState {
    state(&[
        link(1, true, true),
        link(2, true, true),
        link(3, true, true),
        address(2, "192.0.2.10", "192.0.2.0/24"),
        event(&route("192.0.2.0/24", 2, 0, None, 2), false),
        event(&route("10.0.0.0/8", 4, 50, Some("192.0.2.1"), 2), false),
        event(&route("10.1.0.0/16", 4, 60, Some("fe80::1"), 3), false),
        event(&route("0.0.0.0/0", 4, 0, Some("192.0.2.1"), 2), false),
    ])
}

#[test]
fn the_longest_match_with_a_usable_link_counts() {
    let mut state = two_links();
    assert_eq!(way(&state, "192.0.2.7"), Some((0, "192.0.2.7%2".into())));
    assert_eq!(way(&state, "10.2.0.1"), Some((50, "192.0.2.1%2".into())));
    assert_eq!(way(&state, "10.1.0.1"), Some((60, "fe80::1%3".into())));
    state.apply(&link(3, true, false)).unwrap();
    assert_eq!(way(&state, "10.1.0.1"), Some((50, "192.0.2.1%2".into())), "no carrier: the next best");
    state.apply(&link(3, true, true)).unwrap();
    assert_eq!(way(&state, "10.1.0.1"), Some((60, "fe80::1%3".into())));
    state.apply(&link(3, false, false)).unwrap();
    state.apply(&link(3, true, true)).unwrap();
    assert_eq!(way(&state, "10.1.0.1"), Some((50, "192.0.2.1%2".into())), "the kernel dropped it silently");
}

#[test]
fn what_leads_nowhere_is_no_resolution() {
    let mut state = two_links();
    assert_eq!(way(&state, "8.8.8.8"), None, "the default route does not count");
    assert_eq!(way(&state, "192.0.2.10"), None, "our own address");
    assert_eq!(way(&state, "fe80::5"), None, "link-local without interface");
    let blackhole =
        KernelRoute { kind: RouteKind::Blackhole, hops: smallvec![], ..route("10.3.0.0/16", 4, 0, None, 0) };
    state.apply(&event(&blackhole, false)).unwrap();
    assert_eq!(way(&state, "10.3.0.1"), None);
    let mut generous =
        KernelState { config: StateConfig { resolve_via_default: true, ..state.config }, ..two_links() };
    assert_eq!(way(&generous, "8.8.8.8"), Some((0, "192.0.2.1%2".into())));
    generous.apply(&event(&route("0.0.0.0/0", 4, 0, Some("192.0.2.1"), 2), true)).unwrap();
    assert_eq!(way(&generous, "8.8.8.8"), None);
}

#[test]
fn link_local_next_hops_are_on_their_link() {
    let state = two_links();
    let mut next_hop = NextHop { interface: 3, ..NextHop::new(ip("fe80::5")) };
    let hops = state.resolve(&next_hop).unwrap().hops;
    assert_eq!((hops[0].gateway, hops[0].interface), (Some(ip("fe80::5")), 3));
    next_hop = NextHop { address: ip("2001:db8::1"), link_local: "fe80::6".parse().ok(), interface: 3 };
    assert_eq!(state.resolve(&next_hop).unwrap().hops[0].gateway, Some(ip("fe80::6")));
    next_hop.interface = 99;
    assert_eq!(state.resolve(&next_hop), None, "an interface we do not know");
}

#[test]
fn routes_by_next_hop_id_are_followed() {
    let mut state = two_links();
    let single = |id, gateway, interface| KernelEvent::NextHop {
        nexthop: KernelNextHop {
            id,
            protocol: 11,
            kind: NextHopKind::Single {
                family: Some(Family::Ipv4),
                gateway: Some(ip(gateway)),
                interface,
                onlink: false,
            },
            buckets: None,
        },
    };
    let group = NextHopKind::Group(smallvec![(1, 1), (2, 3)]);
    state.apply(&single(1, "192.0.2.1", 2)).unwrap();
    state.apply(&single(2, "fe80::2", 3)).unwrap();
    state
        .apply(&KernelEvent::NextHop {
            nexthop: KernelNextHop { id: 3, protocol: 11, kind: group, buckets: None },
        })
        .unwrap();
    let by_id = KernelRoute { nexthop_id: 3, hops: smallvec![], ..route("172.16.0.0/12", 11, 20, None, 0) };
    state.apply(&event(&by_id, false)).unwrap();
    assert_eq!(way(&state, "172.16.0.1"), Some((20, "192.0.2.1%2 fe80::2%3".into())));
    state.apply(&KernelEvent::NextHopDeleted { id: 2 }).unwrap();
    assert_eq!(way(&state, "172.16.0.1"), Some((20, "192.0.2.1%2".into())));
}

#[test]
fn metric_decides_and_replacement_replaces() {
    let mut state = two_links();
    state.apply(&event(&route("10.0.0.0/8", 4, 10, Some("192.0.2.9"), 2), false)).unwrap();
    assert_eq!(way(&state, "10.2.0.1"), Some((10, "192.0.2.9%2".into())));
    let bird = route("10.0.0.0/8", 12, 10, Some("192.0.2.8"), 2);
    state.apply(&KernelEvent::Route { route: bird, deleted: false, replaced: true, port: 7 }).unwrap();
    assert_eq!(
        way(&state, "10.2.0.1"),
        Some((10, "192.0.2.8%2".into())),
        "another protocol, the same metric"
    );
    state.apply(&event(&route("10.0.0.0/8", 12, 10, Some("192.0.2.8"), 2), true)).unwrap();
    assert_eq!(way(&state, "10.2.0.1"), Some((50, "192.0.2.1%2".into())));
    assert!(state.routes().all(|r| r.protocol != 12));
}

#[test]
fn of_an_ipv6_multipath_one_hop_can_go() {
    let mut state = state(&[link(2, true, true), link(3, true, true)]);
    let mut both = route("2001:db8::/32", 4, 1024, Some("fe80::1"), 2);
    both.hops.extend(route("2001:db8::/32", 4, 1024, Some("fe80::2"), 3).hops);
    state.apply(&event(&both, false)).unwrap();
    assert_eq!(way(&state, "2001:db8::9"), Some((1024, "fe80::1%2 fe80::2%3".into())));
    state.apply(&event(&route("2001:db8::/32", 4, 1024, Some("fe80::1"), 2), true)).unwrap();
    assert_eq!(way(&state, "2001:db8::9"), Some((1024, "fe80::2%3".into())));
    state.apply(&event(&route("2001:db8::/32", 4, 1024, Some("fe80::2"), 3), true)).unwrap();
    assert_eq!(way(&state, "2001:db8::9"), None);
    assert_eq!(state.routes().count(), 0);
}

#[test]
fn our_own_routes_and_other_tables_are_not_mirrored() {
    let mut state = two_links();
    state.apply(&event(&route("172.16.0.0/12", crate::PROTOCOL, 32, Some("192.0.2.1"), 2), false)).unwrap();
    let other = KernelRoute { table: 99, ..route("172.17.0.0/16", 4, 0, Some("192.0.2.1"), 2) };
    state.apply(&event(&other, false)).unwrap();
    assert_eq!((way(&state, "172.16.0.1"), way(&state, "172.17.0.1")), (None, None));
}

#[test]
fn connected_and_router_id_follow_the_addresses() {
    let mut state = state(&[
        link(1, true, true),
        link(2, true, true),
        link(3, true, false),
        address(1, "127.0.0.1", "127.0.0.0/8"),
        address(2, "198.51.100.9", "198.51.100.0/24"),
        address(2, "fe80::1", "fe80::/64"),
        address(2, "169.254.0.1", "169.254.0.1/32"),
        address(3, "203.0.113.1", "203.0.113.0/24"),
    ]);
    let connected = |state: &KernelState| {
        state.connected().iter().map(|c| c.prefix.to_string()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(connected(&state), "198.51.100.0/24");
    assert_eq!(state.router_id_candidate().unwrap().to_string(), "203.0.113.1");
    state.apply(&address(1, "192.0.2.10", "192.0.2.10/32")).unwrap();
    state.apply(&link(3, true, true)).unwrap();
    assert_eq!(connected(&state), "192.0.2.10/32 198.51.100.0/24 203.0.113.0/24");
    assert_eq!(state.router_id_candidate().unwrap().to_string(), "192.0.2.10", "lo comes first");
}

#[test]
fn redistribution_takes_what_others_made_and_can_be_used() {
    let mut routes = vec![
        route("203.0.113.0/24", 4, 0, Some("192.0.2.1"), 2),
        route("203.0.112.0/24", 3, 0, Some("192.0.2.1"), 2),
        route("198.18.0.0/15", 12, 32, Some("192.0.2.1"), 2),
        route("0.0.0.0/0", 16, 100, Some("192.0.2.1"), 2),
        route("192.0.2.0/24", 2, 0, None, 2),
        route("10.0.0.0/8", crate::PROTOCOL, 32, Some("192.0.2.1"), 2),
        route("fe80::/64", 4, 256, None, 2),
        route("2001:db8:f::/48", 4, 1024, None, 9),
    ];
    routes[1].kind = RouteKind::Blackhole;
    routes[1].hops.clear();
    let mut mirror = state(&[link(1, true, true), link(2, true, true)]);
    for route in &routes {
        mirror.apply(&event(route, false)).unwrap();
    }
    let of = |state: &KernelState, source| -> Vec<String> {
        state.redistributable(source).iter().map(ToString::to_string).collect()
    };
    assert_eq!(of(&mirror, RouteSource::Static), ["203.0.112.0/24", "203.0.113.0/24"]);
    assert_eq!(of(&mirror, RouteSource::Kernel), ["0.0.0.0/0", "198.18.0.0/15"]);
    assert_eq!(of(&mirror, RouteSource::Bgp), [""; 0]);
    mirror.apply(&event(&routes[0], true)).unwrap();
    mirror.apply(&link(2, true, false)).unwrap();
    assert_eq!(of(&mirror, RouteSource::Static), ["203.0.112.0/24"], "what discards needs no link");
    assert_eq!(of(&mirror, RouteSource::Kernel), [""; 0]);
}

#[test]
fn the_tracker_reports_differences_alone() {
    let mut state = two_links();
    let mut tracker = Tracker::new();
    let next_hops = ["192.0.2.7", "10.1.0.1", "8.8.8.8"].map(|a| NextHop::new(ip(a)));
    let first: Vec<bool> = next_hops.iter().map(|n| tracker.register(*n, &state).found.is_some()).collect();
    assert_eq!(first, [true, true, false]);
    assert!(tracker.refresh(&state).is_empty());
    state.apply(&link(3, true, false)).unwrap();
    let changes = tracker.refresh(&state);
    assert_eq!(changes.len(), 1);
    assert_eq!((changes[0].0, changes[0].1.found.as_ref().unwrap().metric), (next_hops[1], 50));
    tracker.unregister(&next_hops[1]);
    state.apply(&link(2, false, false)).unwrap();
    let changes = tracker.refresh(&state);
    assert!(matches!(changes.as_slice(), [(n, a)] if *n == next_hops[0] && a.found.is_none()), "{changes:?}");
    assert_eq!(tracker.len(), 2);
}
