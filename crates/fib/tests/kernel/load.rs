//! Many routes, and many hands: bulk writes, and a random quarrel with another process that must end as we want it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::world::{Dice, World, group, hop, ip, prefix, run, shown};
use siskin_fib::{FibChange, FibConfig, RouteState};
use siskin_net::{Family, FamilyMap, NextHopGroup, Prefix};

const MANY: u32 = 200_000;

fn nth(n: u32) -> Prefix {
    Prefix::from_bits(Family::Ipv4, u128::from((1 << 24) + (n << 8)) << 96, 24)
}

#[test]
fn two_hundred_thousand_routes_go_in_change_and_go() {
    let mut world = World::new();
    let ways =
        [group(&[hop("192.0.2.1", "a0")]), group(&[hop("192.0.2.1", "a0"), hop("198.51.100.1", "b0")])];
    for way in &ways {
        // Backwards, so that sorting has something to do.
        for n in (0..MANY).rev() {
            world.fib.want(FibChange { table: None, prefix: nth(n), target: Some(way.clone()) });
        }
        let first = world.fib.write(1000);
        assert_eq!((first.written, first.refused, first.pending), (1000, 0, 199_000), "the budget holds");
        world.write();
        assert_eq!(ip("route show proto 201").lines().filter(|l| l.contains("nhid")).count(), MANY as usize);
        assert_eq!(world.fib.counts()[Family::Ipv4].installed, MANY as usize);
    }
    assert_eq!(world.fib.resync().unwrap(), 0, "the books are true");
    let mut seen = Vec::new();
    loop {
        let page = world.fib.routes(seen.last().map(|p| (254, *p)), 777);
        if page.is_empty() {
            break;
        }
        assert!(page.iter().all(|r| r.state == RouteState::Installed && r.group.as_ref() == Some(&ways[1])));
        seen.extend(page.iter().map(|r| r.prefix));
    }
    assert_eq!(seen, (0..MANY).map(nth).collect::<Vec<_>>(), "a walk shows each once, in order");
    world.fib.sweep();
    for n in 0..MANY {
        world.fib.want(FibChange { table: None, prefix: nth(n), target: None });
    }
    world.write();
    assert_eq!((ip("route show proto 201"), ip("nexthop show")), (String::new(), String::new()));
}

/// Routes that all leave at once go with their group, and what shares a hop with them stays.
#[test]
fn all_routes_of_a_group_go_with_one_message() {
    let mut world = World::new();
    let a = hop("192.0.2.1", "a0");
    let both = group(&[a, hop("198.51.100.1", "b0")]);
    let single = group(&[a]);
    for n in 0..20_000 {
        world.fib.want(FibChange { table: None, prefix: nth(n), target: Some(both.clone()) });
    }
    world.want("203.0.113.0/24", Some(&single));
    world.write();
    world.fib.sweep();
    // One of them was changed by somebody, with our number; it must go as well.
    ip(&format!("route replace {} via 192.0.2.7 metric 32 proto 201", nth(7)));
    let event = world.monitor.recv(Some(Duration::from_secs(1))).unwrap();
    event.iter().for_each(|e| world.fib.on_event(e));
    for n in 0..20_000 {
        world.fib.want(FibChange { table: None, prefix: nth(n), target: None });
    }
    let progress = world.fib.write(0);
    assert_eq!((progress.written, progress.refused), (0, 0));
    let left = ip("route show proto 201");
    assert_eq!(left.lines().count(), 2, "gone before any route was written: {left}");
    world.write();
    assert_eq!(ip("route show proto 201").lines().count(), 1);
    assert!(shown("203.0.113.0/24").contains("via 192.0.2.1"));
    assert_eq!(world.fib.counts()[Family::Ipv4].installed, 1);
    assert_eq!(world.fib.resync().unwrap(), 0, "the books are true");
    // The hop's own object is shared with no group now: it goes with its routes, too.
    for n in 0..20_000 {
        world.fib.want(FibChange { table: None, prefix: nth(n), target: Some(single.clone()) });
    }
    world.write();
    for n in 0..20_000 {
        world.fib.want(FibChange { table: None, prefix: nth(n), target: None });
    }
    world.want("203.0.113.0/24", None);
    world.fib.write(0);
    assert_eq!(ip("route show proto 201"), "");
    world.write();
    assert_eq!((ip("nexthop show"), world.fib.counts()), (String::new(), FamilyMap::default()));
}

#[test]
fn a_few_changes_overtake_a_long_run() {
    let mut world = World::new();
    let way = group(&[hop("192.0.2.1", "a0")]);
    for n in 0..50_000 {
        world.fib.want(FibChange { table: None, prefix: nth(n), target: Some(way.clone()) });
    }
    world.fib.write(1000);
    world.want("203.0.113.30/32", Some(&way));
    world.want("2001:db8:1::30/128", Some(&group(&[hop("2001:db8:a::1", "a0")])));
    world.fib.write(100);
    assert_eq!(world.state_of("203.0.113.30/32"), Some(RouteState::Installed));
    assert_eq!(world.state_of("2001:db8:1::30/128"), Some(RouteState::Installed));
    assert!(world.fib.pending() > 48_000);
}

/// What another process may do to one prefix, link or object.
fn quarrel(dice: &mut Dice, prefix: &str, world: &World) {
    let (family, gateway) = if prefix.contains(':') { ("-6", "2001:db8:a::7") } else { ("-4", "192.0.2.7") };
    let link = ["a0", "b0", "a1", "b1"][dice.roll(4)];
    match dice.roll(12) {
        0..=3 => run(&format!("{family} route del {prefix} metric 32")),
        4 => run(&format!("{family} route replace {prefix} via {gateway} metric 32 proto static")),
        5 => run(&format!("{family} route add {prefix} via {gateway} metric 10 proto static")),
        6 => run(&format!("{family} route replace {prefix} via {gateway} metric 32 proto 201")),
        7 => run("nexthop flush"),
        8 => {
            let objects = world.fib.nexthops();
            if !objects.is_empty() {
                run(&format!("nexthop del id {}", objects[dice.roll(objects.len())].id));
            }
        }
        9 => {
            run(&format!("link set {link} down"));
            run(&format!("link set {link} up"));
        }
        10 => run(&format!("link set {link} down")),
        _ => run(&format!("link set {link} up")),
    }
}

#[test]
fn a_random_quarrel_ends_as_wanted() {
    let seeds = [1, 2, 3, 4];
    let threads = seeds.map(|seed| std::thread::spawn(move || quarrel_of(seed, seed % 2 == 0)));
    for thread in threads {
        thread.join().unwrap();
    }
}

fn quarrel_of(seed: u64, groups: bool) {
    let mut world = World::with(FibConfig { nexthop_groups: groups, ..FibConfig::default() });
    let mut dice = Dice(seed * 0x9e37_79b9 + 1);
    let (a, b) = (hop("192.0.2.1", "a0"), hop("198.51.100.1", "b0"));
    let (a6, b6) = (hop("fe80::1", "a0"), hop("fe80::2", "b0"));
    let v4: [Option<Arc<NextHopGroup>>; 6] = [
        None,
        Some(group(&[a])),
        Some(group(&[b])),
        Some(group(&[a, b])),
        Some(group(&[a6, b])),
        Some(Arc::new(NextHopGroup::BLACKHOLE)),
    ];
    let v6 = [None, Some(group(&[a6])), Some(group(&[b6])), Some(group(&[a6, b6]))];
    let prefixes: Vec<String> = (0..12)
        .map(|n| if n < 8 { format!("203.0.113.{}/28", n * 16) } else { format!("2001:db8:{n}::/48") })
        .collect();
    let mut wanted: BTreeMap<String, Option<Arc<NextHopGroup>>> = BTreeMap::new();
    world.fib.sweep();
    for _ in 0..400 {
        let text = &prefixes[dice.roll(prefixes.len())];
        if dice.roll(3) == 0 {
            quarrel(&mut dice, text, &world);
        } else {
            let targets: &[Option<Arc<NextHopGroup>>] = if text.contains(':') { &v6 } else { &v4 };
            let target = targets[dice.roll(targets.len())].clone();
            world.want(text, target.as_ref());
            wanted.insert(text.clone(), target);
        }
        match dice.roll(4) {
            0 => world.settle(),
            1 => world.write(),
            _ => {}
        }
    }
    // Peace: everything foreign goes, every link comes.
    for link in ["a1", "b1", "a0", "b0"] {
        run(&format!("link set {link} up"));
    }
    for family in ["-4", "-6"] {
        run(&format!("{family} route flush proto static"));
    }
    for (link, v6) in [("a0", "2001:db8:a::10/64"), ("b0", "2001:db8:b::10/64")] {
        run(&format!("address replace {v6} dev {link} nodad"));
    }
    world.settle();
    std::thread::sleep(Duration::from_millis(1200));
    world.settle();
    for (text, target) in &wanted {
        let ways = shown(text);
        let state = world.fib.get(prefix(text)).map(|r| r.state);
        let context = format!("seed {seed}, {text}, {state:?}, kernel: {ways}");
        let Some(target) = target else {
            assert_eq!((ways.as_str(), state), ("", None), "{context}");
            continue;
        };
        assert_eq!(state, Some(RouteState::Installed), "{context}");
        assert_eq!(ways.matches("proto 201").count(), 1, "{context}");
        assert_eq!(ways.starts_with("blackhole"), target.hops().is_empty(), "{context}");
        assert_eq!(ways.matches(" via ").count(), target.hops().len(), "{context}");
        for hop in target.hops() {
            assert!(ways.contains(&format!("{} dev", hop.gateway.unwrap())), "{context}");
        }
    }
    assert_eq!(world.fib.resync().unwrap(), 0, "seed {seed}: the books are true");
}
