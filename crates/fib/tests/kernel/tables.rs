//! Routes that move from one table of the kernel to another.

use std::process::{Command, Stdio};
use std::sync::Arc;

use siskin_fib::{FibChange, RouteState};
use siskin_net::{NextHopGroup, Prefix};

use crate::world::{World, group, hop, ip, prefix, shown};

const V4: &str = "203.0.113.0/24";
const V6: &str = "2001:db8:f::/48";

/// Wants a route in a table in which it was not so far.
fn moved(world: &mut World, prefix: Prefix, tables: (u32, u32), target: &Arc<NextHopGroup>) {
    let wish = FibChange { table: Some(tables.1), prefix, target: Some(target.clone()) };
    world.fib.want_moved(wish, Some(tables.0));
}

fn in_table(prefix: &str, table: u32) -> String {
    let family = if prefix.contains(':') { "-6" } else { "-4" };
    ip(&format!("{family} route show exact {prefix} table {table}"))
}

/// Whichever table comes first in the order of writing, the kernel says that the route is in the new one before it says
/// that it is gone from the old one.
#[test]
fn a_route_is_in_its_new_table_before_it_leaves_the_old() {
    let mut world = World::new();
    let ways = [group(&[hop("192.0.2.1", "a0")]), group(&[hop("2001:db8:a::1", "a0")])];
    for (text, way) in [(V4, &ways[0]), (V6, &ways[1])] {
        world.want(text, Some(way));
    }
    world.write();
    // Tables that have never had a route do not exist, and a dump of them fails.
    let mut monitor =
        Command::new("ip").args(["monitor", "route"]).stdout(Stdio::piped()).spawn().expect("the program ip");
    std::thread::sleep(std::time::Duration::from_millis(300));
    let hops = [(254, 1000), (1000, 900), (900, 254), (254, 900), (900, 1000), (1000, 254)];
    for tables in hops {
        for (text, way) in [(V4, &ways[0]), (V6, &ways[1])] {
            moved(&mut world, prefix(text), tables, way);
        }
        world.write();
        for text in [V4, V6] {
            assert!(in_table(text, tables.1).contains("proto 201"), "{text} {tables:?}");
            assert!(world.fib.get_in(tables.0, prefix(text)).is_none(), "{text} {tables:?}");
        }
    }
    std::thread::sleep(std::time::Duration::from_millis(300));
    monitor.kill().unwrap();
    let output = monitor.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    for family in [V4, V6] {
        let lines: Vec<&str> = text.lines().filter(|line| line.contains(family)).collect();
        let gone: Vec<bool> = lines.iter().map(|line| line.starts_with("Deleted")).collect();
        assert_eq!(gone, [false, true].repeat(hops.len()), "{text}");
    }
    assert_eq!(world.fib.resync().unwrap(), 0, "the kernel has what the books say");
}

/// What cannot stand in the new table does not stay in the old one; what is wanted there again stays.
#[test]
fn a_move_ends_however_the_new_table_takes_it() {
    let mut world = World::new();
    let way = group(&[hop("192.0.2.1", "a0")]);
    ip(&format!("route add {V4} via 192.0.2.9 dev a0 table 1000 metric 32 proto static"));
    world.want(V4, Some(&way));
    world.write();
    moved(&mut world, prefix(V4), (254, 1000), &way);
    assert!(shown(V4).contains("192.0.2.1"), "nothing is written yet");
    world.write();
    let refused = world.fib.get_in(1000, prefix(V4)).unwrap();
    assert!(matches!(refused.state, RouteState::Failed { .. }), "{refused:?}");
    assert_eq!(shown(V4), "");
    moved(&mut world, prefix(V4), (1000, 254), &way);
    world.write();
    assert!(shown(V4).contains("192.0.2.1"));
    assert!(in_table(V4, 1000).contains("192.0.2.9"), "the route of somebody else");
    // There and back before anything was written.
    moved(&mut world, prefix(V4), (254, 900), &way);
    moved(&mut world, prefix(V4), (900, 254), &way);
    world.write();
    assert!(shown(V4).contains("192.0.2.1"));
    assert!(world.fib.get_in(900, prefix(V4)).is_none());
    // On the way, and then not wanted at all.
    moved(&mut world, prefix(V4), (254, 900), &way);
    world.fib.want(FibChange { table: Some(900), prefix: prefix(V4), target: None });
    world.write();
    assert_eq!(shown(V4), "");
    assert_eq!(world.fib.routes(None, 10), []);
}

/// Many routes move while a group is shared by both tables, and in the end nothing is left behind.
#[test]
fn many_routes_move_and_all_are_removed() {
    let mut world = World::new();
    let way = group(&[hop("192.0.2.1", "a0"), hop("198.51.100.1", "b0")]);
    let nth = |n: u32| Prefix::v4(std::net::Ipv4Addr::from_bits(0x0a00_0000 | n << 8), 24);
    for n in 0..10_000 {
        world.fib.want(FibChange { table: None, prefix: nth(n), target: Some(way.clone()) });
    }
    world.write();
    (0..10_000).for_each(|n| moved(&mut world, nth(n), (254, 1000), &way));
    world.write();
    let count = |table: u32| ip(&format!("route show table {table} proto 201")).matches("10.").count();
    assert_eq!(world.fib.routes(None, 20_000).iter().filter(|r| r.table == 1000).count(), 10_000);
    assert!(count(254) == 0 && count(1000) >= 10_000);
    // The next start adopts them where they are, and moves them back without a gap.
    drop(world);
    let mut world = World::open(siskin_fib::FibConfig::default());
    assert_eq!(world.fib.routes(None, 20_000).len(), 10_000);
    (0..10_000).for_each(|n| moved(&mut world, nth(n), (1000, 254), &way));
    world.fib.sweep();
    world.write();
    assert_eq!((count(1000), count(254) >= 10_000), (0, true));
    assert_eq!(world.fib.flush(), 0);
    assert_eq!((count(1000), count(254)), (0, 0));
}
