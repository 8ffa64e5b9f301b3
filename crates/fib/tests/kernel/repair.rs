//! What others do to us, and to what is theirs: foreign routes, deletions, links that go and come, restarts, refusals.

use std::sync::Arc;
use std::time::Duration;

use crate::world::{World, address, group, hop, index, ip, namespace, prefix, shown};
use siskin_fib::{FibConfig, FibError, KernelEvent, RouteState};
use siskin_net::{Family, FamilyMap, NextHop, NextHopGroup};

const V4: &str = "203.0.113.0/24";
const V6: &str = "2001:db8:1::/48";

fn inline() -> FibConfig {
    FibConfig { nexthop_groups: false, ..FibConfig::default() }
}

/// Runs a test with kernel next-hop objects and without, each in a namespace of its own.
fn both_ways(test: fn(World)) {
    for config in [FibConfig::default(), inline()] {
        std::thread::spawn(move || test(World::with(config))).join().unwrap();
    }
}

#[test]
fn a_foreign_route_of_the_same_metric_is_never_touched() {
    namespace();
    ip(&format!("route add {V4} via 192.0.2.7 metric 32 proto static"));
    ip(&format!("-6 route add {V6} via 2001:db8:a::7 metric 32 proto static"));
    let mut world = World::open(FibConfig::default());
    let before = (shown(V4), shown(V6));
    world.want(V4, Some(&group(&[hop("192.0.2.1", "a0")])));
    world.want(V6, Some(&group(&[hop("2001:db8:a::1", "a0")])));
    world.write();
    assert_eq!(world.failure(V4), "a route of protocol static with the same metric 32 exists");
    assert_eq!(world.failure(V6), "a route of protocol static with the same metric 32 exists");
    assert_eq!((shown(V4), shown(V6)), before);
    assert_eq!(world.fib.counts()[Family::Ipv4].failed, 1);
    world.want(V6, None);
    world.write();
    assert_eq!(shown(V6), before.1, "withdrawing what was refused removes nothing");
    ip(&format!("route del {V4} via 192.0.2.7 metric 32"));
    world.settle();
    assert_eq!(world.state_of(V4), Some(RouteState::Installed), "its place is free");
    assert!(shown(V4).contains("via 192.0.2.1"));
}

#[test]
fn a_foreign_route_that_no_event_told_of_is_not_touched_either() {
    let mut world = World::new();
    for (prefix, family, gateway) in [(V4, "-4", "192.0.2.7"), (V6, "-6", "2001:db8:a::7")] {
        ip(&format!("{family} route add {prefix} via {gateway} metric 32 proto bird"));
    }
    world.want(V4, Some(&group(&[hop("192.0.2.1", "a0")])));
    world.want(V6, Some(&group(&[hop("2001:db8:a::1", "a0")])));
    world.write();
    for prefix in [V4, V6] {
        assert_eq!(world.failure(prefix), "another route with the same metric 32 exists");
        assert!(
            shown(prefix).contains("proto bird") && shown(prefix).lines().count() == 1,
            "{}",
            shown(prefix)
        );
    }
    world.fib.resync().unwrap();
    std::thread::sleep(Duration::from_millis(1100));
    world.write();
    assert_eq!(world.failure(V4), "a route of protocol bird with the same metric 32 exists");
}

#[test]
fn foreign_routes_of_other_metrics_live_beside_ours() {
    let mut world = World::new();
    ip(&format!("route add {V4} via 192.0.2.7 metric 100 proto static"));
    world.want(V4, Some(&group(&[hop("192.0.2.1", "a0")])));
    world.settle();
    assert_eq!(shown(V4).lines().count(), 2);
    world.want(V4, None);
    world.settle();
    assert!(shown(V4).contains("via 192.0.2.7") && shown(V4).lines().count() == 1);
}

#[test]
fn what_others_delete_or_replace_comes_back() {
    both_ways(|mut world| {
        world.want(V4, Some(&group(&[hop("192.0.2.1", "a0")])));
        world.want(V6, Some(&group(&[hop("2001:db8:a::1", "a0"), hop("2001:db8:b::1", "b0")])));
        world.settle();
        let before = (shown(V4), shown(V6));
        ip(&format!("route del {V4}"));
        ip(&format!("-6 route del {V6}"));
        assert_eq!(shown(V4), "");
        world.settle();
        assert_eq!((shown(V4), shown(V6)), before);
        ip(&format!("route replace {V4} via 198.51.100.9 metric 32 proto 201"));
        world.settle();
        assert_eq!(shown(V4), before.0, "changed under our number");
        ip(&format!("route replace {V4} via 198.51.100.9 metric 32 proto static"));
        world.settle();
        assert_eq!(world.failure(V4), "a route of protocol static with the same metric 32 exists");
        ip(&format!("route del {V4} proto static"));
        world.settle();
        assert_eq!(shown(V4), before.0);
    });
}

/// Replacing changes but one of several routes with the same metric; ours must be the only one of ours.
#[test]
fn routes_beside_ours_with_our_number_go() {
    both_ways(|mut world| {
        world.fib.sweep();
        for (prefix, gateway, other) in [
            ("203.0.113.0/24", "192.0.2.1", "192.0.2.9"),
            ("2001:db8:1::/48", "2001:db8:a::1", "2001:db8:a::9"),
        ] {
            let discard = Arc::new(NextHopGroup::BLACKHOLE);
            world.want(prefix, Some(&discard));
            world.write();
            let family = if prefix.contains(':') { "-6" } else { "-4" };
            ip(&format!("{family} route append {prefix} via {other} metric 32 proto 201"));
            world.settle();
            assert_eq!(shown(prefix).lines().count(), 1, "{}", shown(prefix));
            assert!(shown(prefix).starts_with("blackhole"), "{}", shown(prefix));
            // The same, and nobody listens: a comparison finds it, and a removal removes all.
            ip(&format!("{family} route append {prefix} via {other} metric 32 proto 201"));
            world.monitor.recv(Some(Duration::from_millis(100))).unwrap();
            world.fib.resync().unwrap();
            world.write();
            assert_eq!(shown(prefix).lines().count(), 1, "{}", shown(prefix));
            ip(&format!("{family} route append {prefix} via {other} metric 32 proto 201"));
            world.want(prefix, Some(&group(&[hop(gateway, "a0")])));
            world.settle();
            assert!(shown(prefix).contains(&format!("via {gateway} ")), "{}", shown(prefix));
            assert_eq!(shown(prefix).lines().count(), 1, "{}", shown(prefix));
            ip(&format!("{family} route append {prefix} via {other} metric 32 proto 201"));
            world.want(prefix, None);
            world.settle();
            assert_eq!(shown(prefix), "");
        }
    });
}

#[test]
fn one_hop_of_an_inline_ipv6_multipath_comes_back() {
    let mut world = World::with(inline());
    world.want(V6, Some(&group(&[hop("2001:db8:a::1", "a0"), hop("2001:db8:b::1", "b0")])));
    world.settle();
    ip(&format!("-6 route del {V6} via 2001:db8:a::1"));
    assert_eq!(shown(V6).matches("via").count(), 1);
    world.settle();
    assert_eq!(shown(V6).matches("nexthop via").count(), 2, "{}", shown(V6));
}

#[test]
fn deleted_next_hop_objects_come_back_with_their_routes() {
    let mut world = World::new();
    world.want(V4, Some(&group(&[hop("192.0.2.1", "a0"), hop("198.51.100.1", "b0")])));
    world.want("203.0.112.0/24", Some(&group(&[hop("192.0.2.1", "a0")])));
    world.settle();
    ip("nexthop flush");
    assert_eq!(shown(V4), "");
    world.settle();
    assert_eq!(shown(V4).matches("nexthop via").count(), 2);
    assert!(shown("203.0.112.0/24").contains("via 192.0.2.1"));
    let one = world.fib.nexthops().iter().find(|o| !o.group).unwrap().id;
    ip(&format!("nexthop del id {one}"));
    world.settle();
    assert_eq!(shown(V4).matches("nexthop via").count(), 2, "{}", ip("nexthop show"));
}

/// An id of ours that others gave to an object of the other kind is left to them, and ours get new ones.
#[test]
fn ids_that_others_took_are_left_to_them() {
    let mut world = World::new();
    let (a, b) = (hop("192.0.2.1", "a0"), hop("198.51.100.1", "b0"));
    world.want(V4, Some(&group(&[a, b])));
    world.want("203.0.112.0/24", Some(&group(&[a])));
    world.write();
    let before = (shown(V4), shown("203.0.112.0/24"));
    let id = |world: &World, group| world.fib.nexthops().iter().find(|o| o.group == group).unwrap().id;
    let (single, set) = (id(&world, false), id(&world, true));
    ip("nexthop flush proto 201");
    ip(&format!("nexthop add id {set} via 192.0.2.77 dev a0"));
    ip(&format!("nexthop add id {single} group {set}"));
    world.settle();
    std::thread::sleep(Duration::from_millis(1100));
    world.settle();
    let without_id = |text: &str| text.split_once(" nhid ").map(|(a, b)| format!("{a}{}", &b[10..]));
    assert_eq!(without_id(&shown(V4)), without_id(&before.0));
    assert_eq!(without_id(&shown("203.0.112.0/24")), without_id(&before.1));
    assert!(ip("nexthop show").contains("192.0.2.77"), "theirs stay");
}

#[test]
fn objects_flushed_behind_our_back_are_noticed_when_writing() {
    let mut world = World::new();
    let way = group(&[hop("192.0.2.1", "a0")]);
    world.want(V4, Some(&way));
    world.write();
    ip("nexthop flush");
    world.want("203.0.112.0/24", Some(&way));
    world.write();
    assert!(shown("203.0.112.0/24").contains("via 192.0.2.1"), "without any event");
    assert!(shown(V4).contains("via 192.0.2.1"));
}

#[test]
fn links_take_hops_along_and_bring_them_back() {
    both_ways(|mut world| {
        let both = group(&[hop("192.0.2.1", "a0"), hop("198.51.100.1", "b0")]);
        world.want(V4, Some(&both));
        world.want("203.0.112.0/24", Some(&group(&[hop("198.51.100.1", "b0")])));
        world.want(V6, Some(&group(&[hop("fe80::1", "a0"), hop("fe80::2", "b0")])));
        world.settle();
        let before = shown(V4);
        assert_eq!(before.matches("nexthop via").count(), 2);
        ip("link set b0 down");
        world.settle();
        assert!(shown(V4).contains("via 192.0.2.1") && !shown(V4).contains("198.51.100.1"), "{}", shown(V4));
        assert!(shown(V6).contains("fe80::1") && !shown(V6).contains("fe80::2"), "{}", shown(V6));
        assert_eq!(shown("203.0.112.0/24"), "");
        assert_eq!(world.failure("203.0.112.0/24"), "the next hop's interface is down");
        assert_eq!(world.state_of(V4), Some(RouteState::Installed));
        ip("link set b0 up");
        world.settle();
        assert_eq!(shown(V4), before);
        assert!(shown("203.0.112.0/24").contains("via 198.51.100.1 dev b0"));
        assert_eq!(world.fib.counts()[Family::Ipv4].failed, 0);
        // The other end goes: no carrier.
        ip("link set b1 down");
        world.settle();
        assert!(!shown(V4).contains("198.51.100.1"), "{}", shown(V4));
        ip("link set b1 up");
        world.settle();
        assert_eq!(shown(V4), before);
        assert_eq!(shown(V6).matches("nexthop via").count(), 2, "{}", shown(V6));
    });
}

#[test]
fn a_fast_flap_is_mended_too() {
    let mut world = World::new();
    world.want(V4, Some(&group(&[hop("192.0.2.1", "a0"), hop("198.51.100.1", "b0")])));
    world.want("203.0.112.0/24", Some(&group(&[hop("192.0.2.1", "a0")])));
    world.settle();
    for _ in 0..5 {
        ip("link set a0 down");
        ip("link set a0 up");
    }
    world.settle();
    assert_eq!(shown(V4).matches("nexthop via").count(), 2);
    assert!(shown("203.0.112.0/24").contains("via 192.0.2.1"));
}

#[test]
fn a_route_waits_for_a_link_that_is_down_from_the_start() {
    namespace();
    ip("link set b0 down");
    let mut world = World::open(FibConfig::default());
    world.want(V4, Some(&group(&[hop("198.51.100.1", "b0")])));
    world.want("203.0.112.0/24", Some(&group(&[hop("192.0.2.1", "a0"), hop("198.51.100.1", "b0")])));
    world.write();
    assert_eq!(world.failure(V4), "Nexthop device is not up", "the kernel's own words");
    assert!(shown("203.0.112.0/24").contains("192.0.2.1"), "what can be used is");
    ip("link set b0 up");
    world.settle();
    assert!(shown(V4).contains("via 198.51.100.1"));
    assert_eq!(shown("203.0.112.0/24").matches("nexthop via").count(), 2);
}

#[test]
fn a_link_that_is_gone_leaves_nothing_behind() {
    both_ways(|mut world| {
        world.want(V4, Some(&group(&[hop("198.51.100.1", "b0")])));
        world.settle();
        ip("link del b0");
        world.settle();
        assert!(matches!(world.state_of(V4), Some(RouteState::Failed { .. })));
        world.want(V4, None);
        world.fib.sweep();
        world.settle();
        assert_eq!((world.state_of(V4), ip("nexthop show").as_str()), (None, ""));
        assert_eq!(world.fib.counts(), FamilyMap::default());
    });
}

#[test]
fn the_kernels_refusal_is_reported_in_its_words() {
    let mut world = World::new();
    world.want(V4, Some(&group(&[hop("10.9.9.9", "a0")])));
    world.write();
    assert_eq!(world.failure(V4), "Nexthop has invalid gateway");
    let progress = world.fib.write(1);
    assert!(progress.retry_after.is_some_and(|t| t <= Duration::from_secs(1)), "{progress:?}");
    ip("address add 10.9.9.1/24 dev a0");
    world.settle();
    assert_eq!(world.state_of(V4), Some(RouteState::Installed), "a new address is a reason to try again");
}

#[test]
fn a_missing_source_address_is_reported_and_its_return_heals() {
    let prefsrc = FamilyMap::from_fn(|f| (f == Family::Ipv4).then(|| address("192.0.2.99")));
    let mut world = World::with(FibConfig { prefsrc, ..FibConfig::default() });
    world.want(V4, Some(&group(&[hop("192.0.2.1", "a0")])));
    world.write();
    assert!(world.failure(V4).contains("prefsrc"), "{}", world.failure(V4));
    ip("address add 192.0.2.99/32 dev lo");
    world.settle();
    assert!(shown(V4).contains("src 192.0.2.99"));
    ip("address del 192.0.2.99/32 dev lo");
    world.settle();
    assert_eq!(shown(V4), "");
    assert!(matches!(world.state_of(V4), Some(RouteState::Failed { .. })), "{:?}", world.state_of(V4));
    ip("address add 192.0.2.99/32 dev lo");
    world.settle();
    assert!(shown(V4).contains("src 192.0.2.99"));
}

#[test]
fn a_restart_adopts_and_sweeps() {
    both_ways(|mut world| {
        let config = world.fib.config();
        let both = group(&[hop("192.0.2.1", "a0"), hop("198.51.100.1", "b0")]);
        let one = group(&[hop("192.0.2.1", "a0")]);
        world.want(V4, Some(&both));
        world.want("203.0.112.0/24", Some(&one));
        world.want("203.0.111.0/24", Some(&both));
        world.want(V6, Some(&group(&[hop("2001:db8:a::1", "a0")])));
        world.write();
        let before = (shown(V4), ip("nexthop show"));
        drop(world);
        let mut world = World::open(config);
        assert_eq!(world.state_of(V4), Some(RouteState::Adopted));
        assert_eq!(world.fib.get(prefix(V4)).unwrap().group, Some(both.clone()));
        world.want(V4, Some(&both));
        world.want("203.0.111.0/24", Some(&one));
        assert_eq!(world.fib.pending(), 1, "what is the same is not written again");
        world.write();
        assert_eq!((shown(V4), ip("nexthop show")), before, "nothing was taken away yet");
        assert_eq!(world.fib.sweep(), 2);
        world.write();
        assert_eq!((shown(V4), shown("203.0.112.0/24"), shown(V6)), (before.0, String::new(), String::new()));
        assert!(shown("203.0.111.0/24").contains("via 192.0.2.1"));
        assert!(!ip("nexthop show").contains("2001:db8:a::1"), "its object went too");
    });
}

#[test]
fn a_restart_with_another_form_rewrites_in_place() {
    let mut world = World::new();
    let both = group(&[hop("192.0.2.1", "a0"), hop("198.51.100.1", "b0")]);
    world.want(V4, Some(&both));
    world.write();
    drop(world);
    let mut world = World::open(inline());
    world.want(V4, Some(&both));
    world.write();
    world.fib.sweep();
    world.write();
    assert!(!shown(V4).contains("nhid") && shown(V4).matches("nexthop via").count() == 2, "{}", shown(V4));
    assert_eq!(ip("nexthop show"), "");
    drop(world);
    let mut world = World::open(FibConfig { metric: 50, ..FibConfig::default() });
    world.want(V4, Some(&both));
    world.write();
    assert_eq!(shown(V4).matches(V4).count(), 2, "the old metric stays until the sweep");
    assert_eq!(world.fib.sweep(), 1);
    world.write();
    assert!(shown(V4).contains("metric 50") && shown(V4).matches(V4).count() == 1, "{}", shown(V4));
}

#[test]
fn flush_leaves_nothing_of_ours_and_everything_else() {
    both_ways(|mut world| {
        ip("route add 172.16.0.0/12 via 192.0.2.7");
        ip("nexthop add id 77 via 192.0.2.7 dev a0");
        world.want(V4, Some(&group(&[hop("192.0.2.1", "a0"), hop("198.51.100.1", "b0")])));
        world.want(V6, Some(&group(&[hop("2001:db8:a::1", "a0")])));
        world.write();
        world.fib.set_neighbor(index("a0"), address("192.0.2.30"), [2, 0, 0, 0, 0, 3]).unwrap();
        assert_eq!(world.fib.flush(), 0);
        assert_eq!(shown(V4) + &shown(V6), "");
        assert!(!ip("neighbor show").contains("192.0.2.30"));
        assert!(ip("route show").contains("172.16.0.0/12"));
        assert!(ip("nexthop show").starts_with("id 77 ") && ip("nexthop show").lines().count() == 1);
    });
}

#[test]
fn an_overrun_is_followed_by_a_comparison() {
    both_ways(|mut world| {
        let way = group(&[hop("192.0.2.1", "a0")]);
        for third in 0..100 {
            world.want(&format!("10.0.{third}.0/24"), Some(&way));
        }
        world.write();
        for third in 0..50 {
            ip(&format!("route del 10.0.{third}.0/24"));
        }
        ip("route add 10.1.0.0/16 via 192.0.2.1 metric 32 proto 201");
        world.fib.sweep();
        world.fib.on_event(&KernelEvent::Overrun);
        world.write();
        let text = ip("route show proto 201");
        assert_eq!(text.matches("via 192.0.2.1").count(), 100);
        assert!(!text.contains("10.1.0.0/16"), "unknown routes of ours are removed after the sweep");
    });
}

#[test]
fn neighbors_are_kept_restored_and_adopted() {
    let mut world = World::new();
    let (a0, mac) = (index("a0"), [2, 0, 0, 0, 0, 0x30]);
    for vm in ["192.0.2.30", "2001:db8:a::30"] {
        world.fib.set_neighbor(a0, address(vm), mac).unwrap();
    }
    let shown = || ip("neighbor show dev a0");
    assert_eq!(shown().matches("lladdr 02:00:00:00:00:30 PERMANENT").count(), 2, "{}", shown());
    ip("neighbor del 192.0.2.30 dev a0");
    world.settle();
    assert_eq!(shown().matches("PERMANENT").count(), 2, "{}", shown());
    ip("link set a0 down");
    ip("link set a0 up");
    world.settle();
    assert_eq!(shown().matches("PERMANENT").count(), 2, "{}", shown());
    // What nobody tells of is found by looking: changed, of another kind, gone, and not wanted any more.
    assert_eq!(world.fib.compare_neighbors().unwrap(), 0);
    ip("neighbor replace 192.0.2.30 lladdr 02:00:00:00:00:31 dev a0 nud reachable");
    ip("neighbor del 2001:db8:a::30 dev a0");
    ip("neighbor add 192.0.2.41 lladdr 02:00:00:00:00:41 dev a0 nud permanent protocol 201");
    assert_eq!(world.fib.compare_neighbors().unwrap(), 3);
    assert_eq!(shown().matches("lladdr 02:00:00:00:00:30 PERMANENT").count(), 2, "{}", shown());
    assert!(!shown().contains("192.0.2.41"), "{}", shown());
    assert_eq!(world.fib.compare_neighbors().unwrap(), 0);
    drop(world);
    let mut world = World::open(FibConfig::default());
    let ours = world.fib.neighbors_of_ours();
    assert_eq!(ours.iter().map(|n| (n.interface, n.mac)).collect::<Vec<_>>(), [(a0, mac), (a0, mac)]);
    ip("neighbor add 192.0.2.40 lladdr 02:00:00:00:00:40 dev a0");
    world.fib.remove_neighbor(a0, address("192.0.2.40")).unwrap();
    assert!(shown().contains("192.0.2.40"), "not ours");
    world.fib.remove_neighbor(a0, address("192.0.2.30")).unwrap();
    assert!(!shown().contains("192.0.2.30 "), "{}", shown());
    let error = world.fib.set_neighbor(9999, address("192.0.2.50"), mac).unwrap_err();
    assert_eq!(error.errno, libc::ENODEV);
}

#[test]
fn the_mirror_follows_the_kernel() {
    let mut world = World::new();
    let resolve = |world: &World, a: &str| {
        let hops = world.state.resolve(&NextHop::new(address(a)))?.hops;
        Some(hops.iter().map(|h| (h.gateway.unwrap().to_string(), h.interface)).collect::<Vec<_>>())
    };
    let (a0, b0) = (index("a0"), index("b0"));
    assert_eq!(resolve(&world, "192.0.2.1"), Some(vec![("192.0.2.1".into(), a0)]));
    assert_eq!(resolve(&world, "2001:db8:b::1"), Some(vec![("2001:db8:b::1".into(), b0)]));
    ip("nexthop add id 5 via 198.51.100.1 dev b0");
    ip("route add 10.0.0.0/8 nhid 5 metric 9");
    world.settle();
    assert_eq!(resolve(&world, "10.1.2.3"), Some(vec![("198.51.100.1".into(), b0)]));
    ip("link set b0 down");
    world.settle();
    assert_eq!((resolve(&world, "10.1.2.3"), resolve(&world, "2001:db8:b::1")), (None, None));
    ip("link set b0 up");
    world.settle();
    assert_eq!(resolve(&world, "198.51.100.1"), Some(vec![("198.51.100.1".into(), b0)]));
    ip("link add br7 type bridge");
    ip("link set b1 master br7");
    ip("address add 203.0.113.77/32 dev lo");
    world.settle();
    let bridge = world.state.link_by_name("br7").unwrap();
    assert_eq!(bridge.kind, "bridge");
    let ports: Vec<&str> = world.state.ports(bridge.index).map(|l| l.name.as_str()).collect();
    assert_eq!(ports, ["b1"]);
    assert_eq!(world.state.router_id_candidate().unwrap().to_string(), "203.0.113.77");
    let connected: Vec<String> = world.state.connected().iter().map(|c| c.prefix.to_string()).collect();
    assert!(connected.contains(&"203.0.113.77/32".into()) && connected.contains(&"192.0.2.0/24".into()));
    ip("link set b1 nomaster");
    ip("address del 203.0.113.77/32 dev lo");
    world.settle();
    assert_eq!(world.state.ports(world.state.link_by_name("br7").unwrap().index).count(), 0);
    assert!(world.state.link_by_name("b1").is_some(), "leaving a bridge is not being deleted");
    let fresh = siskin_fib::KernelState::load(siskin_fib::StateConfig::default()).unwrap();
    assert_eq!(fresh.links().collect::<Vec<_>>(), world.state.links().collect::<Vec<_>>());
    assert_eq!(fresh.addresses().collect::<Vec<_>>(), world.state.addresses().collect::<Vec<_>>());
    let sorted = |state: &siskin_fib::KernelState| {
        let mut routes: Vec<String> = state.routes().map(|r| format!("{r:?}")).collect();
        routes.sort();
        routes
    };
    assert_eq!(sorted(&fresh), sorted(&world.state), "the events lead to what a dump shows");
}

#[test]
fn the_monitor_does_not_hear_our_own_writes() -> Result<(), FibError> {
    let mut world = World::new();
    world.settle();
    let way = group(&[hop("192.0.2.1", "a0")]);
    for third in 0..200 {
        world.want(&format!("10.0.{third}.0/24"), Some(&way));
    }
    world.write();
    world.fib.set_neighbor(index("a0"), address("192.0.2.30"), [2, 0, 0, 0, 0, 3]).unwrap();
    let events = world.monitor.recv(Some(Duration::from_millis(200))).unwrap();
    assert_eq!(events, []);
    ip("neighbor add 192.0.2.40 lladdr 02:00:00:00:00:40 dev a0");
    ip("address add 10.77.0.1/24 dev a0");
    let events = world.monitor.recv(Some(Duration::from_millis(200))).unwrap();
    assert!(
        !events.iter().any(|e| matches!(e, KernelEvent::Neighbor { .. })),
        "a stranger's neighbour: {events:?}"
    );
    let connected = |e: &KernelEvent| matches!(e, KernelEvent::Route { route, .. } if route.table == 254);
    assert!(events.iter().any(connected), "{events:?}");
    assert!(!events.iter().any(|e| matches!(e, KernelEvent::Route { route, .. } if route.table == 255)));
    Ok(())
}
