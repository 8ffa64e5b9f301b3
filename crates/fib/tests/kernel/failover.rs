//! A lost gateway leaves the groups at once, whatever number of routes uses them, and comes back when told so.

use std::collections::BTreeSet;
use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::world::{World, address, group, hop, index, ip, run, shown};
use siskin_fib::{Fib, FibChange, FibConfig, KernelEvent, Monitor, NextHopKind, ResilientGroups, RouteState};
use siskin_net::{Family, Hop, NextHopGroup, Prefix};

const ROUTES: u32 = 10_000;
const A: &str = "192.0.2.1";
const B: &str = "198.51.100.1";
const C: &str = "203.0.113.1";
const A6: &str = "2001:db8:a::1";
const B6: &str = "2001:db8:b::1";

/// A world with a third link, where gateways resolve: the kernel prefers IPv6 members that do.
fn world() -> World {
    let mut world = World::new();
    ip("link add c0 type veth peer name c1");
    ip("link set c1 up");
    ip("link set c0 up");
    ip("address add 203.0.113.10/24 dev c0");
    for (gateway, link) in [(A, "a0"), (B, "b0"), (C, "c0"), (A6, "a0"), (B6, "b0")] {
        ip(&format!("neighbor replace {gateway} lladdr 02:00:00:00:00:01 dev {link} nud permanent"));
    }
    world.settle();
    world
}

fn nth(family: Family, n: u32) -> Prefix {
    match family {
        Family::Ipv4 => Prefix::from_bits(family, u128::from((1 << 24) + (n << 8)) << 96, 24),
        Family::Ipv6 => Prefix::from_bits(family, (0x2a00_u128 << 112) | u128::from(n) << 80, 48),
    }
}

fn want_all(world: &mut World, family: Family, hops: Option<&[(&str, &str)]>) {
    let target = hops.map(|hops| group(&hops.iter().map(|(g, l)| hop(g, l)).collect::<Vec<_>>()));
    for n in 0..ROUTES {
        world.fib.want(FibChange { table: None, prefix: nth(family, n), target: target.clone() });
    }
    world.write();
}

/// The gateways that packets to some of the destinations take, sorted.
fn ways(family: Family) -> Vec<String> {
    let lookup = |n: u32| {
        let text = ip(&format!("route get {}", nth(family, n * 317).address()));
        text.split_whitespace().skip_while(|w| *w != "via").nth(1).map(str::to_owned).unwrap()
    };
    let mut ways: Vec<String> = (0..30).map(lookup).collect();
    ways.sort();
    ways.dedup();
    ways
}

/// What a listener of all heard: members of each group that was announced, and the number of routes.
fn heard(monitor: &mut Monitor) -> (Vec<usize>, usize) {
    let (mut groups, mut routes) = (Vec::new(), 0);
    loop {
        let events = monitor.recv(Some(Duration::from_millis(100))).unwrap();
        if events.is_empty() {
            return (groups, routes);
        }
        for event in events {
            match event {
                KernelEvent::NextHop { nexthop } => match nexthop.kind {
                    NextHopKind::Group(members) => groups.push(members.len()),
                    other => panic!("only groups change: {other:?}"),
                },
                KernelEvent::Route { .. } => routes += 1,
                other => panic!("{other:?}"),
            }
        }
    }
}

/// Hops that the kernel uses, of the groups.
fn active(world: &World) -> Vec<usize> {
    world.fib.nexthops().iter().filter(|o| o.group).map(|o| o.active).collect()
}

#[test]
fn ten_thousand_routes_of_each_family_fail_over_with_one_message_and_come_back() {
    let mut world = world();
    // Otherwise the kernel announces all routes of a changed group.
    fs::write("/proc/sys/net/ipv4/nexthop_compat_mode", "0").unwrap();
    want_all(&mut world, Family::Ipv4, Some(&[(A, "a0"), (B, "b0")]));
    want_all(&mut world, Family::Ipv6, Some(&[(A6, "a0"), (B6, "b0")]));
    assert_eq!(
        (ways(Family::Ipv4), ways(Family::Ipv6)),
        (vec![A.into(), B.into()], vec![A6.into(), B6.into()])
    );
    let mut listener = Monitor::open().unwrap();
    let (a0, before) = (index("a0"), ip("route show proto 201"));

    let start = Instant::now();
    let edited = world.fib.fail_gateways(&[(a0, address(A)), (a0, address(A6))]);
    let took = start.elapsed();
    assert_eq!(edited, 2);
    // Well below a millisecond on an idle machine; the bound is for busy ones.
    assert!(took < Duration::from_secs(1), "{took:?}");
    println!("20,000 routes fail over in {took:?}");
    assert_eq!(heard(&mut listener), (vec![1, 1], 0), "one message a group, none a route");
    assert_eq!((ways(Family::Ipv4), ways(Family::Ipv6)), (vec![B.to_owned()], vec![B6.to_owned()]));
    assert_eq!(active(&world), [1, 1]);
    assert!(world.fib.nexthops().iter().filter(|o| o.group).all(|o| o.hops.len() == 2));
    assert_eq!(world.fib.fail_gateways(&[(a0, address(A))]), 0, "nothing is left to do");
    world.write();
    assert_eq!((heard(&mut listener), active(&world)), ((vec![], 0), vec![1, 1]));

    world.fib.restore_gateways();
    assert_eq!(heard(&mut listener), (vec![2, 2], 0));
    assert_eq!(
        (ways(Family::Ipv4), ways(Family::Ipv6)),
        (vec![A.into(), B.into()], vec![A6.into(), B6.into()])
    );
    assert_eq!((active(&world), ip("route show proto 201")), (vec![2, 2], before));
    world.fib.restore_gateways();
    assert_eq!(heard(&mut listener), (vec![], 0));
    assert_eq!(world.fib.resync().unwrap(), 0, "the books are true");
}

#[test]
fn nothing_heals_a_failed_gateway_before_it_is_restored() {
    let mut world = world();
    world.want("10.0.0.0/24", Some(&group(&[hop(A, "a0"), hop(B, "b0")])));
    world.want("10.0.1.0/24", Some(&group(&[hop(B, "b0"), hop(C, "c0")])));
    world.settle();
    let only_b = |world: &World, what: &str| {
        let text = shown("10.0.0.0/24");
        assert!(text.contains(B) && !text.contains(A), "{what}: {text}");
        assert_eq!(shown("10.0.1.0/24").matches("nexthop via").count(), 2, "{what}");
        assert_eq!(world.state_of("10.0.0.0/24"), Some(RouteState::Installed), "{what}");
    };
    assert_eq!(world.fib.fail_gateways(&[(index("a0"), address(A))]), 1);
    only_b(&world, "failed");
    ip("link set c0 down");
    world.settle();
    assert_eq!(shown("10.0.1.0/24").matches(C).count(), 0);
    ip("link set c0 up");
    world.settle();
    only_b(&world, "a link elsewhere flapped");
    ip("link set a0 down");
    ip("link set a0 up");
    world.settle();
    only_b(&world, "its own link flapped");
    assert_eq!(world.fib.resync().unwrap(), 0);
    world.write();
    only_b(&world, "a comparison");
    world.fib.on_event(&KernelEvent::Overrun);
    world.write();
    only_b(&world, "lost events");
    let objects = world.fib.nexthops();
    let id = |gateway: &str| {
        objects.iter().find(|o| !o.group && o.hops[0].gateway == Some(address(gateway))).unwrap().id
    };
    let edited = objects.iter().find(|o| o.group && o.active == 1).unwrap().id;
    for members in [format!("{}/{}", id(A), id(B)), id(A).to_string()] {
        run(&format!("nexthop replace id {edited} group {members} proto 201"));
        assert!(shown("10.0.0.0/24").contains(A), "somebody puts it back");
        world.settle();
        only_b(&world, "somebody put it back");
    }
    ip("nexthop flush");
    world.settle();
    only_b(&world, "all objects were deleted");
    world.fib.restore_gateways();
    world.settle();
    assert_eq!(shown("10.0.0.0/24").matches("nexthop via").count(), 2, "{}", shown("10.0.0.0/24"));
}

#[test]
fn what_has_no_other_member_is_left_alone() {
    let mut world = world();
    world.want("10.0.0.0/24", Some(&group(&[hop(A, "a0")])));
    world.want("10.0.1.0/24", Some(&group(&[hop(A, "a0"), hop("192.0.2.2", "a0")])));
    world.want("10.0.2.0/24", Some(&group(&[hop(A, "a0"), hop(B, "b0"), hop(C, "c0")])));
    world.settle();
    let a0 = index("a0");
    let before = (shown("10.0.0.0/24"), shown("10.0.1.0/24"));
    assert_eq!(world.fib.fail_gateways(&[]), 0);
    assert_eq!(world.fib.fail_gateways(&[(index("b0"), address(A)), (a0, address("192.0.2.77"))]), 0);
    assert_eq!(world.fib.fail_gateways(&[(a0, address(A)), (a0, address("192.0.2.2"))]), 1);
    world.settle();
    assert_eq!((shown("10.0.0.0/24"), shown("10.0.1.0/24")), before);
    let third = || shown("10.0.2.0/24");
    assert!(!third().contains(A) && third().contains(B) && third().contains(C), "{}", third());
    assert_eq!(world.fib.fail_gateways(&[(index("b0"), address(B))]), 1, "one after the other");
    assert!(third().contains(C) && !third().contains(B), "{}", third());
    assert_eq!(world.fib.fail_gateways(&[(index("c0"), address(C))]), 0, "the last one stays");
    world.settle();
    assert!(third().contains(C), "{}", third());
    world.fib.restore_gateways();
    assert_eq!(third().matches("nexthop via").count(), 3);
}

#[test]
fn groups_that_came_later_are_complete_and_those_that_went_are_no_error() {
    let mut world = world();
    world.fib.sweep();
    let (ab, abc) = ([(A, "a0"), (B, "b0")], [(A, "a0"), (B, "b0"), (C, "c0")]);
    want_all(&mut world, Family::Ipv4, Some(&ab));
    assert_eq!(world.fib.fail_gateways(&[(index("a0"), address(A))]), 1);
    want_all(&mut world, Family::Ipv4, Some(&abc));
    assert_eq!(ways(Family::Ipv4), [A, B, C], "the RIB knows better");
    assert_eq!(active(&world), [3], "the edited group is gone");
    want_all(&mut world, Family::Ipv4, Some(&ab));
    assert_eq!(ways(Family::Ipv4), [A, B], "wanted anew, it is complete");
    assert_eq!(world.fib.fail_gateways(&[(index("a0"), address(A))]), 1);
    want_all(&mut world, Family::Ipv4, Some(&[(B, "b0")]));
    let mut listener = Monitor::open().unwrap();
    world.fib.restore_gateways();
    assert_eq!(heard(&mut listener), (vec![], 0));
    world.settle();
    assert_eq!((ways(Family::Ipv4), active(&world)), (vec![B.to_owned()], vec![]));
    want_all(&mut world, Family::Ipv4, None);
    assert_eq!(ip("nexthop show"), "");
}

#[test]
fn a_group_that_fell_out_of_use_before_the_sweep_is_made_complete_when_wanted_again() {
    let mut world = world();
    let both = group(&[hop(A, "a0"), hop(B, "b0")]);
    world.want("10.0.0.0/24", Some(&both));
    world.write();
    assert_eq!(world.fib.fail_gateways(&[(index("a0"), address(A))]), 1);
    world.want("10.0.0.0/24", Some(&group(&[hop(B, "b0")])));
    world.write();
    assert_eq!(active(&world), [1], "before the sweep it stays");
    world.fib.restore_gateways();
    assert_eq!(active(&world), [1], "nobody uses it");
    world.want("10.0.0.0/24", Some(&both));
    world.write();
    assert_eq!(shown("10.0.0.0/24").matches("nexthop via").count(), 2, "{}", shown("10.0.0.0/24"));
}

#[test]
fn a_member_that_vanished_without_a_word_does_not_stop_it() {
    let mut world = world();
    world.want("10.0.0.0/24", Some(&group(&[hop(A, "a0"), hop(B, "b0"), hop(C, "c0")])));
    world.want("10.0.1.0/24", Some(&group(&[hop(A, "a0"), hop(B, "b0")])));
    world.settle();
    ip("link set a0 down");
    assert_eq!(world.fib.fail_gateways(&[(index("b0"), address(B))]), 1);
    assert!(
        shown("10.0.0.0/24").contains(C) && !shown("10.0.0.0/24").contains(B),
        "{}",
        shown("10.0.0.0/24")
    );
    assert!(shown("10.0.1.0/24").contains(B), "it has no other member left");
    ip("link set a0 up");
    world.settle();
    assert_eq!(shown("10.0.0.0/24").matches("nexthop via").count(), 2, "{}", shown("10.0.0.0/24"));
    assert!(!shown("10.0.0.0/24").contains(B), "{}", shown("10.0.0.0/24"));
    world.fib.restore_gateways();
    assert_eq!(shown("10.0.0.0/24").matches("nexthop via").count(), 3);
    assert_eq!(shown("10.0.1.0/24").matches("nexthop via").count(), 2);
}

#[test]
fn a_gateway_whose_link_is_down_already_does_not_come_back_with_it() {
    let mut world = world();
    world.want("10.0.0.0/24", Some(&group(&[hop(A, "a0"), hop(B, "b0")])));
    world.settle();
    ip("link set a0 down");
    world.settle();
    assert_eq!(world.fib.fail_gateways(&[(index("a0"), address(A))]), 0, "the kernel has done it");
    ip("link set a0 up");
    world.settle();
    assert!(!shown("10.0.0.0/24").contains(A), "{}", shown("10.0.0.0/24"));
    ip("link set b0 down");
    world.settle();
    assert_eq!(shown("10.0.0.0/24"), "", "both are gone");
    world.fib.restore_gateways();
    world.write();
    assert!(shown("10.0.0.0/24").contains(A), "usable again, and its routes with it");
}

#[test]
fn inline_routes_wait_for_the_rib() {
    let mut world = World::with(FibConfig { nexthop_groups: false, ..FibConfig::default() });
    world.want("10.0.0.0/24", Some(&group(&[hop(A, "a0"), hop(B, "b0")])));
    world.settle();
    let before = shown("10.0.0.0/24");
    assert_eq!(world.fib.fail_gateways(&[(index("a0"), address(A))]), 0);
    world.fib.restore_gateways();
    world.settle();
    assert_eq!(shown("10.0.0.0/24"), before);
}

/// A route whose only next hop had no carrier goes in as soon as the hop's object is there, also when it was made for
/// another group.
#[test]
fn a_blocked_route_goes_in_when_another_group_brings_its_hop_back() {
    let mut world = World::new();
    let (a, b) = (hop("192.0.2.1", "a0"), hop("198.51.100.1", "b0"));
    ip("link set b1 down");
    world.want("203.0.113.0/24", Some(&group(&[b])));
    world.write();
    assert!(world.failure("203.0.113.0/24").contains("down"), "{:?}", world.state_of("203.0.113.0/24"));
    ip("link set b1 up");
    // No event is read: the wish for the other route comes first.
    world.want("203.0.112.0/24", Some(&group(&[a, b])));
    world.write();
    assert!(shown("203.0.112.0/24").contains("198.51.100.1"), "{}", shown("203.0.112.0/24"));
    assert_eq!(world.state_of("203.0.113.0/24"), Some(RouteState::Installed));
    assert!(shown("203.0.113.0/24").contains("via 198.51.100.1"), "{}", shown("203.0.113.0/24"));
}

/// A bundle that goes another way takes all its routes along, with one message and no route touched.
#[test]
fn a_bundle_moves_with_all_its_routes() {
    let mut world = World::with(FibConfig { compat_mode_off: true, ..FibConfig::default() });
    let bundle = |hops: &[Hop]| Arc::new(NextHopGroup { bundle: 7, ..(*group(hops)).clone() });
    let (a, b) = (hop("192.0.2.1", "a0"), hop("198.51.100.1", "b0"));
    let (first, second, both) = (bundle(&[a]), bundle(&[b]), bundle(&[a, b]));
    let direct = group(&[a]);
    for n in 0..500 {
        world.fib.want(FibChange { table: None, prefix: nth(Family::Ipv4, n), target: Some(first.clone()) });
    }
    world.want("203.0.113.0/24", Some(&direct));
    world.write();
    // Without the compatibility mode routes name their object alone: where packets go is asked of the kernel.
    let gateways = || -> BTreeSet<String> {
        let lookup = |n: u32| ip(&format!("route get {}", nth(Family::Ipv4, n * 12).address()));
        let via =
            |text: String| text.split_whitespace().skip_while(|w| *w != "via").nth(1).map(str::to_owned);
        (0..40).filter_map(|n| via(lookup(n))).collect()
    };
    let of = |group: &NextHopGroup| -> BTreeSet<String> {
        group.hops().iter().filter_map(|hop| Some(hop.gateway?.to_string())).collect()
    };
    let object = |prefix: &str| {
        shown(prefix).split("nhid ").nth(1).and_then(|t| t.split(' ').next()).map(str::to_owned)
    };
    let nth_object = |n: u32| object(&nth(Family::Ipv4, n).to_string());
    let id = nth_object(7).expect("a next-hop object");
    assert_eq!(gateways(), of(&first));
    assert_ne!(object("203.0.113.0/24"), Some(id.clone()));
    let mut monitor = std::process::Command::new("ip")
        .args(["monitor", "route"])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    std::thread::sleep(Duration::from_millis(300));
    for (from, to) in [(&first, &second), (&second, &both), (&both, &first)] {
        assert!(world.fib.retarget(from, to));
        assert_eq!(world.fib.pending(), 0);
        assert_eq!(gateways(), of(to));
        assert!([0, 7, 499].into_iter().all(|n| nth_object(n) == Some(id.clone())));
        // What the RIB says of each route afterwards is what it has.
        for n in 0..500 {
            world.fib.want(FibChange { table: None, prefix: nth(Family::Ipv4, n), target: Some(to.clone()) });
        }
        assert_eq!(world.fib.pending(), 0);
    }
    std::thread::sleep(Duration::from_millis(300));
    monitor.kill().unwrap();
    let told = String::from_utf8(monitor.wait_with_output().unwrap().stdout).unwrap();
    assert_eq!(told, "", "no route was written");
    assert!(ip("route get 203.0.113.1").contains("192.0.2.1"));
    // Nothing to do, or nothing that could be done so.
    assert!(!world.fib.retarget(&second, &both), "nobody has it");
    ip("link set b0 down");
    world.settle();
    assert!(!world.fib.retarget(&first, &second), "no way there");
    assert_eq!(gateways(), of(&first));
    ip("link set b0 up");
    world.settle();
    assert!(world.fib.retarget(&first, &second));
    assert_eq!(gateways(), of(&second));
    assert_eq!(world.fib.resync().unwrap(), 0);
    // With its last link, and back.
    ip("link set b0 down");
    world.settle();
    assert_eq!(nth_object(7), None);
    ip("link set b0 up");
    world.settle();
    assert_eq!(gateways(), of(&second));
    // A next start knows the routes again, whatever they were bundled by.
    drop(world);
    let mut world = World::open(FibConfig::default());
    for n in 0..500 {
        world.fib.want(FibChange { table: None, prefix: nth(Family::Ipv4, n), target: Some(first.clone()) });
    }
    world.fib.sweep();
    world.write();
    assert_eq!((gateways(), object("203.0.113.0/24")), (of(&first), None));
    for n in 0..500 {
        world.fib.want(FibChange { table: None, prefix: nth(Family::Ipv4, n), target: None });
    }
    world.write();
    world.write();
    assert_eq!(world.fib.nexthops(), []);
    assert!(!ip("nexthop show").contains("proto 201"), "{}", ip("nexthop show"));
}

/// With resilient groups a flow stays on its hop while another hop leaves and comes back; with plain ones some do not. What
/// a previous run left of the other kind is replaced.
#[test]
fn flows_stay_where_groups_are_resilient() {
    let resilient =
        ResilientGroups { buckets: 128, idle: Duration::from_secs(60), unbalanced: Duration::ZERO };
    let config = FibConfig { resilient: Some(resilient), ..FibConfig::default() };
    let mut world = World::with(config.clone());
    let hops = [hop(A, "a0"), hop("192.0.2.2", "a0"), hop(B, "b0")];
    let all = group(&hops);
    let kind = || ip("nexthop show").lines().any(|l| l.contains("resilient") && l.contains("buckets 128"));
    let flows = || -> Vec<String> {
        let lookup = |n: u32| ip(&format!("route get 203.0.113.{n}"));
        let via =
            |text: String| text.split_whitespace().skip_while(|w| *w != "via").nth(1).map(str::to_owned);
        (0..120).filter_map(|n| via(lookup(n))).collect()
    };
    // How many of the flows that do not go by B are moved when it leaves, and of all when it is back.
    let moved = |world: &mut World| {
        let before = flows();
        assert!(hops.iter().all(|hop| before.contains(&hop.gateway.unwrap().to_string())), "{before:?}");
        assert_eq!(world.fib.fail_gateways(&[(index("b0"), address(B))]), 1);
        let without = flows();
        assert!(!without.contains(&B.to_owned()));
        let others = before.iter().zip(&without).filter(|(was, is)| *was != B && was != is).count();
        world.fib.restore_gateways();
        world.write();
        let after = flows();
        (others, without.iter().zip(&after).filter(|(was, is)| was != is).count())
    };
    world.want("203.0.113.0/24", Some(&all));
    world.write();
    assert!(kind(), "{}", ip("nexthop show"));
    assert!(!world.fib.lacks_resilient_groups() && world.fib.config().resilient == Some(resilient));
    assert_eq!(moved(&mut world), (0, 0));
    assert_eq!(world.fib.resync().unwrap(), 0);
    // The next start takes the group over as it is.
    drop(world);
    let mut world = World::open(config.clone());
    let objects = ip("nexthop show");
    world.want("203.0.113.0/24", Some(&all));
    assert_eq!(world.fib.pending(), 0);
    drop(world);
    assert_eq!(ip("nexthop show"), objects);
    // And one with plain groups replaces it.
    let mut world = World::open(FibConfig::default());
    world.want("203.0.113.0/24", Some(&all));
    world.fib.sweep();
    world.write();
    world.write();
    assert!(!kind(), "{}", ip("nexthop show"));
    let (others, back) = moved(&mut world);
    assert!(others + back > 0, "plain groups move flows");
    drop(world);
    // A group needs a bucket for each hop it may have.
    assert!(Fib::open(FibConfig { max_paths: 200, ..config }).is_err());
}
