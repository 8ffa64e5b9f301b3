//! Routes of every kind, in the kernel: what we want is what `ip route` shows.

use crate::world::{World, address, group, hop, index, ip, namespace, shown};
use siskin_fib::{DEFAULT_NEXTHOP_ID_BASE, Fib, FibChange, FibConfig, FibError, RouteState};
use siskin_net::{Family, FamilyMap, Hop, NextHopGroup};
use std::sync::Arc;

const V4: &str = "203.0.113.0/24";
const V6: &str = "2001:db8:1::/48";

fn inline() -> FibConfig {
    FibConfig { nexthop_groups: false, ..FibConfig::default() }
}

#[test]
fn single_hops_are_objects_shared_by_routes() {
    let mut world = World::new();
    let v4 = group(&[hop("192.0.2.1", "a0")]);
    let v6 = group(&[hop("2001:db8:a::1", "a0")]);
    world.want(V4, Some(&v4));
    world.want("203.0.112.0/24", Some(&v4));
    world.want(V6, Some(&v6));
    assert_eq!(world.fib.pending(), 3);
    world.write();
    let id = DEFAULT_NEXTHOP_ID_BASE;
    assert_eq!(shown(V4), format!("{V4} nhid {id} via 192.0.2.1 dev a0 proto 201 metric 32"));
    assert!(shown("203.0.112.0/24").contains(&format!("nhid {id} ")));
    assert!(shown(V6).contains("via 2001:db8:a::1 dev a0 proto 201 metric 32"), "{}", shown(V6));
    assert_eq!(world.state_of(V4), Some(RouteState::Installed));
    assert_eq!(world.fib.nexthops().len(), 2);
    let counts = world.fib.counts();
    assert_eq!((counts[Family::Ipv4].installed, counts[Family::Ipv6].installed), (2, 1));
    world.fib.sweep();
    for prefix in [V4, "203.0.112.0/24", V6] {
        world.want(prefix, None);
    }
    world.write();
    assert_eq!(shown(V4) + &shown(V6), "");
    assert_eq!(ip("nexthop show"), "", "unused objects go");
    assert_eq!(world.fib.counts(), FamilyMap::default());
}

#[test]
fn several_hops_are_a_kernel_group_with_weights() {
    let mut world = World::new();
    let heavy = Hop { weight: 3, ..hop("198.51.100.1", "b0") };
    let both = group(&[hop("192.0.2.1", "a0"), heavy]);
    world.want(V4, Some(&both));
    world.write();
    let text = shown(V4);
    assert!(text.contains("nexthop via 192.0.2.1 dev a0 weight 1"), "{text}");
    assert!(text.contains("nexthop via 198.51.100.1 dev b0 weight 3"), "{text}");
    let objects = world.fib.nexthops();
    let of_group = objects.iter().find(|o| o.group).unwrap();
    assert_eq!((of_group.hops.len(), of_group.active, of_group.refs), (2, 2, 2));
    assert_eq!(objects.len(), 3);
}

/// Weights that others change in the kernel's group are ours again, and a group of other weights is another group.
#[test]
fn weights_are_kept_and_told_apart() {
    let mut world = World::new();
    let weighted = |a, b| {
        group(&[Hop { weight: a, ..hop("192.0.2.1", "a0") }, Hop { weight: b, ..hop("198.51.100.1", "b0") }])
    };
    world.want(V4, Some(&weighted(256, 64)));
    world.want("203.0.112.0/24", Some(&weighted(1, 2)));
    world.write();
    let (first, second) = (shown(V4), shown("203.0.112.0/24"));
    assert!(first.contains("a0 weight 256") && first.contains("b0 weight 64"), "{first}");
    assert!(second.contains("a0 weight 1\n") && second.contains("b0 weight 2"), "{second}");
    let objects = world.fib.nexthops();
    assert_eq!((objects.len(), objects.iter().filter(|o| o.group).count()), (4, 2), "hops are shared");
    let id = |weight| objects.iter().find(|o| o.group && o.hops[0].weight == weight).unwrap().id;
    let hops: Vec<u32> = objects.iter().filter(|o| !o.group).map(|o| o.id).collect();
    ip(&format!("nexthop replace id {} group {},7/{},9 proto 201", id(256), hops[0], hops[1]));
    assert!(shown(V4).contains("weight 7"));
    world.settle();
    assert_eq!((shown(V4), shown("203.0.112.0/24")), (first, second.clone()));
    // The last route of a group takes it along.
    world.fib.sweep();
    world.want(V4, None);
    world.write();
    assert_eq!(world.fib.nexthops().iter().filter(|o| o.group).count(), 1);
    assert_eq!(shown("203.0.112.0/24"), second);
}

#[test]
fn an_mtu_stands_in_every_unicast_route() {
    for nexthop_groups in [true, false] {
        std::thread::spawn(move || {
            let config = FibConfig { mtu: 1400, nexthop_groups, ..FibConfig::default() };
            let mut world = World::with(config.clone());
            world.want(V4, Some(&group(&[hop("192.0.2.1", "a0")])));
            world.want(V6, Some(&group(&[hop("2001:db8:a::1", "a0"), hop("2001:db8:b::1", "b0")])));
            world.want("203.0.112.0/24", Some(&Arc::new(NextHopGroup::BLACKHOLE)));
            world.write();
            assert!(shown(V4).contains("mtu 1400"), "{}", shown(V4));
            assert!(shown(V6).contains("mtu 1400"), "{}", shown(V6));
            assert!(!shown("203.0.112.0/24").contains("mtu"));
            assert_eq!(world.fib.resync().unwrap(), 0, "and is recognised");
            // Somebody replaces the route by one that differs in the MTU alone.
            ip(&format!("route replace {V4} via 192.0.2.1 dev a0 metric 32 proto 201 mtu 1300"));
            world.settle();
            assert!(shown(V4).contains("mtu 1400"), "{}", shown(V4));
        })
        .join()
        .unwrap();
    }
    let wrong = FibConfig { mtu: 67, ..FibConfig::default() };
    assert!(matches!(Fib::open(wrong), Err(FibError::Config(_))));
}

#[test]
fn the_compatibility_mode_is_told_and_switched_off_on_demand() {
    let world = World::new();
    assert_eq!(world.fib.compat_mode(), Some(true), "a fresh namespace");
    let world = World::open(FibConfig { compat_mode_off: true, ..world.fib.config() });
    assert_eq!(world.fib.compat_mode(), Some(false));
    assert_eq!(World::open(inline()).fib.compat_mode(), None, "it does not matter then");
    assert_eq!(std::fs::read_to_string("/proc/sys/net/ipv4/nexthop_compat_mode").unwrap().trim(), "0");
}

#[test]
fn without_objects_hops_are_inline() {
    let mut world = World::with(inline());
    let both = [hop("192.0.2.1", "a0"), hop("198.51.100.1", "b0")];
    let both6 = [hop("2001:db8:a::1", "a0"), hop("2001:db8:b::1", "b0")];
    world.want(V4, Some(&group(&both)));
    world.want(V6, Some(&group(&both6)));
    world.write();
    assert!(!shown(V4).contains("nhid") && shown(V4).matches("nexthop via").count() == 2, "{}", shown(V4));
    assert_eq!(shown(V6).matches("nexthop via").count(), 2, "{}", shown(V6));
    // IPv6 would append to a multipath route where IPv4 replaces: both must end with the one hop that is wanted.
    world.want(V4, Some(&group(&both[1..])));
    world.want(V6, Some(&group(&both6[1..])));
    world.write();
    assert_eq!(shown(V4), format!("{V4} via 198.51.100.1 dev b0 proto 201 metric 32"));
    assert!(shown(V6).starts_with(&format!("{V6} via 2001:db8:b::1 dev b0")), "{}", shown(V6));
    assert_eq!(shown(V6).lines().count(), 1);
    world.want(V4, Some(&group(&both)));
    world.want(V6, Some(&group(&both6)));
    world.write();
    assert_eq!((shown(V4).matches("nexthop").count(), shown(V6).matches("nexthop").count()), (2, 2));
    assert_eq!(ip("nexthop show"), "");
    world.want(V6, None);
    world.write();
    assert_eq!(shown(V6), "", "all hops of the multipath go");
}

#[test]
fn ipv4_goes_by_ipv6_hops() {
    for config in [FibConfig::default(), inline()] {
        std::thread::spawn(move || {
            let mut world = World::with(config);
            world.want(V4, Some(&group(&[hop("fe80::1", "a0")])));
            world.want("203.0.112.0/24", Some(&group(&[hop("fe80::1", "a0"), hop("198.51.100.1", "b0")])));
            world.write();
            assert!(shown(V4).contains("via inet6 fe80::1 dev a0"), "{}", shown(V4));
            let both = shown("203.0.112.0/24");
            assert!(both.contains("via inet6 fe80::1 dev a0 weight 1"), "{both}");
            assert!(both.contains("via 198.51.100.1 dev b0 weight 1"), "{both}");
        })
        .join()
        .unwrap();
    }
}

#[test]
fn hops_without_gateway_are_on_the_link() {
    let mut world = World::new();
    let link = group(&[Hop { gateway: None, interface: index("a0"), weight: 1, onlink: false }]);
    world.want("203.0.113.30/32", Some(&link));
    world.want("2001:db8:1::30/128", Some(&link));
    world.write();
    assert!(shown("203.0.113.30/32").contains("dev a0 proto 201 scope link"), "{}", shown("203.0.113.30/32"));
    assert!(shown("2001:db8:1::30/128").contains("dev a0 proto 201"));
}

#[test]
fn what_discards_is_a_route_type() {
    let mut world = World::new();
    let blackhole = Arc::new(NextHopGroup::BLACKHOLE);
    let unreachable = Arc::new(NextHopGroup::UNREACHABLE);
    let prohibit = Arc::new(NextHopGroup::PROHIBIT);
    for prefix in [V4, V6] {
        world.want(prefix, Some(&blackhole));
    }
    world.write();
    assert!(shown(V4).starts_with(&format!("blackhole {V4} proto 201 metric 32")));
    assert!(shown(V6).starts_with(&format!("blackhole {V6}")), "{}", shown(V6));
    for prefix in [V4, V6] {
        world.want(prefix, Some(&unreachable));
    }
    world.write();
    assert!(shown(V4).starts_with("unreachable") && shown(V6).starts_with("unreachable"));
    for prefix in [V4, V6] {
        world.want(prefix, Some(&prohibit));
    }
    world.write();
    assert!(shown(V4).starts_with("prohibit") && shown(V6).starts_with("prohibit"));
    assert_eq!(world.fib.resync().unwrap(), 0, "each is recognised");
    world.want(V4, Some(&group(&[hop("192.0.2.1", "a0")])));
    world.want(V6, Some(&group(&[hop("2001:db8:a::1", "a0")])));
    world.write();
    assert!(shown(V4).contains("via 192.0.2.1") && shown(V6).contains("via 2001:db8:a::1"));
    assert_eq!((shown(V4).lines().count(), shown(V6).lines().count()), (1, 1));
}

#[test]
fn table_metric_and_source_are_as_configured() {
    let mut prefsrc = FamilyMap::default();
    prefsrc[Family::Ipv4] = Some(address("192.0.2.10"));
    prefsrc[Family::Ipv6] = Some(address("2001:db8:a::10"));
    let config = FibConfig { table: 1000, metric: 77, prefsrc, ..FibConfig::default() };
    let mut world = World::with(config.clone());
    world.want(V4, Some(&group(&[hop("192.0.2.1", "a0")])));
    world.want(V6, Some(&group(&[hop("2001:db8:a::1", "a0")])));
    world.write();
    let (v4, v6) = (ip("route show table 1000"), ip("-6 route show table 1000"));
    assert!(v4.contains("src 192.0.2.10") && v4.contains("metric 77"), "{v4}");
    assert!(v6.contains("src 2001:db8:a::10") && v6.contains("metric 77"), "{v6}");
    assert_eq!(shown(V4), "");
    drop(world);
    let mut again = World::open(config);
    again.want(V4, Some(&group(&[hop("192.0.2.1", "a0")])));
    assert_eq!(again.fib.pending(), 0, "the adopted route is just what is wanted");
}

/// Routes go to the tables that are asked for, and are looked after in each as in the first.
#[test]
fn several_tables_are_kept_apart() {
    let mut world = World::new();
    world.fib.sweep();
    ip(&format!("route add {V4} via 192.0.2.9 dev a0 table 2000 metric 32 proto static"));
    let ways = [group(&[hop("192.0.2.1", "a0")]), group(&[hop("198.51.100.1", "b0")])];
    let in_table = |table: u32, target: Option<&Arc<NextHopGroup>>| FibChange {
        table: Some(table),
        prefix: V4.parse().unwrap(),
        target: target.cloned(),
    };
    world.want(V4, Some(&ways[0]));
    for table in [1000, 2000, 0, 255] {
        world.fib.want(in_table(table, Some(&ways[1])));
    }
    world.write();
    let table = |n: u32| ip(&format!("route show table {n} proto 201"));
    assert!(shown(V4).contains("192.0.2.1") && table(1000).contains("198.51.100.1"));
    assert_eq!(table(2000), "", "a foreign route is there, and was looked for");
    let state = |world: &World, n| world.fib.get_in(n, V4.parse().unwrap()).map(|r| r.state);
    assert!(matches!(state(&world, 2000), Some(RouteState::Failed { .. })));
    let tables: Vec<u32> = world.fib.routes(None, 10).iter().map(|r| r.table).collect();
    assert_eq!(tables, [254, 1000, 2000], "and none in the kernel's own");

    ip(&format!("route del {V4} table 1000"));
    ip(&format!("route del {V4} table 2000"));
    world.settle();
    assert!(table(1000).contains("198.51.100.1") && table(2000).contains("198.51.100.1"));
    world.fib.begin_check().unwrap();
    let found = loop {
        if let Some(found) = world.fib.check_slice(10).unwrap() {
            break found;
        }
    };
    assert_eq!((found.routes, found.different), (3, 0));
    // The next start finds them in all tables, and removes what nobody wants.
    drop(world);
    let mut world = World::open(FibConfig::default());
    world.fib.want(in_table(1000, Some(&ways[1])));
    assert_eq!(world.fib.pending(), 0);
    assert_eq!(world.fib.sweep(), 2);
    world.write();
    assert_eq!((shown(V4), table(2000)), (String::new(), String::new()));
    assert!(table(1000).contains("198.51.100.1"));
    assert_eq!(world.fib.flush(), 0);
    assert_eq!(table(1000), "");
}

/// Packets are looked up all the while: not one may find the route missing.
#[test]
fn replacement_leaves_no_gap() {
    for config in [FibConfig::default(), inline()] {
        std::thread::spawn(move || {
            let mut world = World::with(config);
            let ways = [hop("192.0.2.1", "a0"), hop("198.51.100.1", "b0")];
            let ways6 = [hop("2001:db8:a::1", "a0"), hop("2001:db8:b::1", "b0")];
            let sets = |w: &[Hop; 2]| [group(&w[..1]), group(&w[1..]), group(w)];
            let (v4, v6) = (sets(&ways), sets(&ways6));
            world.want(V4, Some(&v4[0]));
            world.want(V6, Some(&v6[0]));
            world.write();
            // `ip monitor` sees each removal the kernel makes in between.
            let mut monitor = std::process::Command::new("ip")
                .args(["monitor", "route"])
                .stdout(std::process::Stdio::piped())
                .spawn()
                .unwrap();
            std::thread::sleep(std::time::Duration::from_millis(200));
            for round in 0..60 {
                world.want(V4, Some(&v4[round % 3]));
                world.want(V6, Some(&v6[round % 3]));
                world.write();
            }
            std::thread::sleep(std::time::Duration::from_millis(200));
            monitor.kill().unwrap();
            let output = monitor.wait_with_output().unwrap();
            let text = String::from_utf8_lossy(&output.stdout);
            assert!(text.lines().count() >= 100, "the monitor saw the replacements");
            assert!(!text.contains("Deleted"), "{text}");
            assert_eq!((shown(V4).is_empty(), shown(V6).is_empty()), (false, false));
        })
        .join()
        .unwrap();
    }
}

#[test]
fn the_newest_wish_counts_and_flapping_costs_nothing() {
    let mut world = World::new();
    let (a, b) = (group(&[hop("192.0.2.1", "a0")]), group(&[hop("198.51.100.1", "b0")]));
    for _ in 0..1000 {
        world.want(V4, Some(&a));
        world.want(V4, None);
        world.want(V4, Some(&b));
    }
    assert_eq!(world.fib.pending(), 1);
    let progress = world.fib.write(10);
    assert_eq!((progress.written, progress.pending, progress.retry_after), (1, 0, None));
    assert!(shown(V4).contains("via 198.51.100.1"));
    world.want(V4, None);
    world.want(V4, Some(&b));
    let progress = world.fib.write(10);
    assert_eq!((progress.written, progress.refused), (0, 0), "back where it was: nothing to write");
}

#[test]
fn at_most_max_paths_hops_are_used() {
    let mut world = World::with(FibConfig { max_paths: 2, ..FibConfig::default() });
    world
        .want(V4, Some(&group(&[hop("192.0.2.1", "a0"), hop("192.0.2.2", "a0"), hop("198.51.100.1", "b0")])));
    world.write();
    assert_eq!(shown(V4).matches("nexthop via").count(), 2);
}

#[test]
fn without_the_capability_opening_says_what_to_do() {
    namespace();
    // SAFETY: a user id and no pointers; the raw call changes this thread alone.
    let result = unsafe { libc::syscall(libc::SYS_setresuid, 65534, 65534, 65534) };
    assert_eq!(result, 0);
    let error = Fib::open(FibConfig::default()).unwrap_err();
    assert!(matches!(error, FibError::Permission));
    assert!(error.to_string().contains("AmbientCapabilities=CAP_NET_ADMIN"));
}

#[test]
fn impossible_settings_are_refused() {
    for config in [
        FibConfig { table: 0, ..FibConfig::default() },
        FibConfig { max_paths: 0, ..FibConfig::default() },
        FibConfig { nexthop_id_base: u32::MAX, ..FibConfig::default() },
        FibConfig { prefsrc: FamilyMap::from_fn(|_| Some(address("192.0.2.1"))), ..FibConfig::default() },
    ] {
        assert!(matches!(Fib::open(config), Err(FibError::Config(_))));
    }
}
