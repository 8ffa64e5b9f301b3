//! Another process changes routes, objects and links as fast as it can while our tables churn; at the end the kernel has
//! what is wanted, and the books know it.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::history::History;
use crate::world::{Dice, World, group, hop, ip, prefix, run};
use siskin_fib::{DEFAULT_NEXTHOP_ID_BASE, FibChange, FibCheck, FibConfig, RouteState};
use siskin_net::NextHopGroup;

/// Commands that the other process is given.
const COMMANDS: usize = 4_000;

type Target = Option<Arc<NextHopGroup>>;

fn name(n: usize) -> String {
    if n < 160 { format!("203.{}.{}.0/24", n / 100, n % 100) } else { format!("2001:db8:{n:x}::/48") }
}

/// One `ip -batch` process with a socket of its own, fed by a thread.
fn other_process(seed: u64) -> JoinHandle<()> {
    let mut child = Command::new("ip")
        .args(["-force", "-batch", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program ip");
    let mut input = child.stdin.take().unwrap();
    std::thread::spawn(move || {
        let mut dice = Dice(seed * 0x9e37_79b9 + 7);
        for _ in 0..COMMANDS {
            writeln!(input, "{}", mischief(&mut dice)).unwrap();
        }
        drop(input);
        child.wait().unwrap();
    })
}

fn mischief(dice: &mut Dice) -> String {
    let name = name(dice.roll(240));
    let six = name.contains(':');
    let (family, gateway) = if six { ("-6", "2001:db8:a::7") } else { ("-4", "192.0.2.7") };
    let id = DEFAULT_NEXTHOP_ID_BASE + u32::try_from(dice.roll(12)).unwrap();
    match dice.roll(400) {
        0..120 => format!("{family} route del {name} metric 32"),
        120..200 => format!("{family} route replace {name} via {gateway} metric 32 proto static"),
        200..240 => format!("{family} route replace {name} via {gateway} metric 32 proto 201"),
        240..270 => format!("{family} route append {name} via {gateway} metric 32 proto static"),
        270..300 => format!("{family} route add {name} via {gateway} metric 10 proto static"),
        300..330 => format!("{family} route del {name} metric 10"),
        330..360 => format!("nexthop del id {id}"),
        360..370 => format!("nexthop replace id {id} via 192.0.2.99 dev a0"),
        370..372 => "nexthop flush proto 201".to_owned(),
        372..380 => format!("link set {} down", ["a0", "b0", "a1", "b1"][dice.roll(4)]),
        380..396 => format!("link set {} up", ["a0", "b0", "a1", "b1"][dice.roll(4)]),
        _ => format!("{family} route flush proto static"),
    }
}

fn storm(seed: u64, nexthop_groups: bool, wishes_at_once: usize) {
    let mut world = World::with(FibConfig { nexthop_groups, ..FibConfig::default() });
    let (a, b) = (hop("192.0.2.1", "a0"), hop("198.51.100.1", "b0"));
    let (a6, b6) = (hop("fe80::1", "a0"), hop("fe80::2", "b0"));
    let ways: [Target; 6] = [
        None,
        Some(group(&[a])),
        Some(group(&[a, b])),
        Some(group(&[a6, b6])),
        Some(group(&[a6])),
        Some(Arc::new(NextHopGroup::BLACKHOLE)),
    ];
    world.fib.sweep();
    let history = History::start(world.fib.port());
    let mut dice = Dice(seed);
    let mut wanted: BTreeMap<String, Target> = BTreeMap::new();
    let others = [other_process(seed), other_process(seed + 100)];
    let (mut wishes, mut events) = (0, 0);
    while others.iter().any(|o| !o.is_finished()) {
        for _ in 0..dice.roll(wishes_at_once) {
            let name = name(dice.roll(240));
            let target = match name.contains(':') {
                true => ways[[0, 3, 4, 5][dice.roll(4)]].clone(),
                false => ways[dice.roll(6)].clone(),
            };
            world.fib.want(FibChange { table: None, prefix: prefix(&name), target: target.clone() });
            wanted.insert(name, target);
            wishes += 1;
        }
        for event in world.monitor.recv(Some(Duration::from_millis(1))).unwrap() {
            events += 1;
            world.fib.on_event(&event);
            world.state.apply(&event).unwrap();
        }
        world.fib.write(64);
    }
    others.into_iter().for_each(|o| o.join().unwrap());
    println!("seed {seed}: {} commands of others, {wishes} wishes of ours, {events} events", 2 * COMMANDS);
    peace(&mut world);
    let found = mend(&mut world);
    for difference in &found.differences {
        println!("seed {seed}: {difference:?} was missed; what the kernel told:");
        history.print(difference.prefix);
    }
    assert_eq!(found.different, 0, "seed {seed}: routes that no event told of");
    compare(&mut world, seed, &wanted);
}

/// What is foreign goes, every link comes, and what they take along returns.
fn peace(world: &mut World) {
    for link in ["a1", "b1", "a0", "b0"] {
        run(&format!("link set {link} up"));
    }
    run("route flush proto static");
    run("-6 route flush proto static");
    for (link, v6) in [("a0", "2001:db8:a::10/64"), ("b0", "2001:db8:b::10/64")] {
        run(&format!("address replace {v6} dev {link} nodad"));
    }
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(3) {
        world.settle();
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// What the daemon does every ten minutes: a comparison with the kernel, which mends what events did not tell.
fn mend(world: &mut World) -> FibCheck {
    world.fib.begin_check().unwrap();
    let found = loop {
        if let Some(found) = world.fib.check_slice(100).unwrap() {
            break found;
        }
    };
    for _ in 0..5 {
        world.settle();
        std::thread::sleep(Duration::from_millis(100));
    }
    found
}

fn compare(world: &mut World, seed: u64, wanted: &BTreeMap<String, Target>) {
    let mut routes: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for family in ["-4", "-6"] {
        for line in ip(&format!("{family} -o route show proto 201")).lines() {
            let mut words = line.split_whitespace();
            let first = words.next().unwrap();
            let name = if first == "blackhole" { words.next().unwrap() } else { first };
            routes.entry(name.to_owned()).or_default().push(line.to_owned());
        }
    }
    for (name, target) in wanted {
        let lines = routes.remove(name).unwrap_or_default();
        let state = world.fib.get(prefix(name)).map(|r| r.state);
        let context = format!("seed {seed}, {name}, {state:?}, kernel: {lines:?}, wanted: {target:?}");
        let Some(target) = target else {
            assert_eq!((lines.len(), state), (0, None), "{context}");
            continue;
        };
        assert_eq!((lines.len(), state), (1, Some(RouteState::Installed)), "{context}");
        assert_eq!(lines[0].starts_with("blackhole"), target.hops().is_empty(), "{context}");
        assert_eq!(lines[0].matches(" via ").count(), target.hops().len(), "{context}");
        for hop in target.hops() {
            assert!(lines[0].contains(&format!("{} dev", hop.gateway.unwrap())), "{context}");
        }
    }
    assert_eq!(routes, BTreeMap::new(), "seed {seed}: nothing of ours is left over");
    world.fib.begin_check().unwrap();
    let found = loop {
        if let Some(found) = world.fib.check_slice(100).unwrap() {
            break found;
        }
    };
    let count = wanted.values().flatten().count();
    assert_eq!(found, FibCheck { routes: count, ..FibCheck::default() }, "seed {seed}");
    assert_eq!(world.fib.resync().unwrap(), 0, "seed {seed}: the books are true");
}

/// Two storms at a time, of which the second is over a kernel without next-hop objects. Where we wish for little, what
/// others do is not undone by our next wish for the same prefix.
#[test]
fn a_storm_of_foreign_changes_ends_as_wanted() {
    // More of them, to look for what is rare: SISKIN_STORMS=60.
    let storms = std::env::var("SISKIN_STORMS").map_or(4, |text| text.parse().expect("a number of storms"));
    for pair in 0..storms / 2 {
        let wishes_at_once = [6, 40, 3][usize::try_from(pair).unwrap() % 3];
        let threads = [true, false].map(|groups| {
            let seed = 11 + 2 * pair + u64::from(!groups);
            std::thread::spawn(move || storm(seed, groups, wishes_at_once))
        });
        for thread in threads {
            thread.join().unwrap();
        }
    }
}
