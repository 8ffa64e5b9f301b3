//! Gateways that answer no more: the kernel's word for it, what it makes of next hops and groups, and the way back.

use std::fs;
use std::net::IpAddr;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use crate::world::{World, address, group, hop, index, ip, shown};
use siskin_fib::{KernelEvent, Tracker};
use siskin_net::NextHop;

const A: &str = "192.0.2.1";
const B: &str = "198.51.100.1";
const A6: &str = "2001:db8:a::1";
const NET: &str = "203.0.113.0/24";

/// The far end of a link, in a network namespace of its own: here it would not answer its own machine.
struct FarEnd(Child);

impl FarEnd {
    fn of(link: &str, addresses: &[&str]) -> FarEnd {
        let child = Command::new("unshare").args(["-n", "sleep", "600"]).spawn().unwrap();
        let own = fs::read_link("/proc/thread-self/ns/net").unwrap();
        let theirs = format!("/proc/{}/ns/net", child.id());
        while fs::read_link(&theirs).unwrap() == own {
            std::thread::sleep(Duration::from_millis(5));
        }
        ip(&format!("link set {link} netns {}", child.id()));
        let far = FarEnd(child);
        far.run(&format!("ip link set {link} up"));
        for address in addresses {
            let nodad = if address.contains(':') { " nodad" } else { "" };
            far.run(&format!("ip address add {address} dev {link}{nodad}"));
        }
        far
    }

    fn run(&self, command: &str) {
        let target = self.0.id().to_string();
        let words = command.split_whitespace();
        let status =
            Command::new("nsenter").args(["-t", &target, "-n"]).args(words).status().expect("nsenter");
        assert!(status.success(), "{command}");
    }
}

impl Drop for FarEnd {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// Waits for the kernel's word about a gateway: whether it answers.
fn word(world: &mut World, gateway: &str, answers: bool) -> Duration {
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(15) {
        for event in world.monitor.recv(Some(Duration::from_secs(1))).unwrap() {
            world.fib.on_event(&event);
            world.state.apply(&event).unwrap();
            if let KernelEvent::Neighbor { neighbor, deleted: false } = &event
                && neighbor.address == Some(address(gateway))
                && (neighbor.valid, neighbor.failed) == (answers, !answers)
            {
                return start.elapsed();
            }
        }
    }
    panic!("no word about {gateway}");
}

#[test]
fn a_gateway_that_stops_answering_leaves_and_comes_back() {
    let mut world = World::new();
    let far = FarEnd::of("a1", &["192.0.2.1/24", "2001:db8:a::1/64"]);
    world.settle();
    let a0 = index("a0");
    world.monitor.filter().set(world.fib.port(), &[a0], false).unwrap();
    world.want(NET, Some(&group(&[hop(A, "a0"), hop(B, "b0")])));
    world.write();
    let mut tracker = Tracker::new();
    let next_hop = NextHop::new(address(A));
    assert!(tracker.register(next_hop, &world.state).found.is_some());
    assert_eq!(tracker.gateways().map(|g| g.into_iter().collect::<Vec<_>>()), Some(vec![(a0, address(A))]));
    assert_eq!(tracker.gateways(), None, "nothing new");
    for gateway in [A, A6] {
        world.fib.ask_for(&[(a0, address(gateway))]);
        word(&mut world, gateway, true);
    }

    far.run("ip link set a1 arp off");
    far.run("ip address del 2001:db8:a::1/64 dev a1");
    for gateway in [A, A6] {
        ip(&format!("neighbor del {gateway} dev a0"));
    }
    // Deleting is not failing: the kernel says both in one breath.
    world.settle_quietly(&[address(A), address(A6)]);
    for gateway in [A, A6] {
        world.fib.ask_for(&[(a0, address(gateway))]);
        println!("{gateway}: silence noticed after {:?}", word(&mut world, gateway, false));
    }
    assert_eq!(world.fib.fail_gateways(&[(a0, address(A))]), 1);
    world.state.set_answers(a0, address(A), false);
    let changes = tracker.refresh(&world.state);
    assert!(
        matches!(changes.as_slice(), [(n, a)] if *n == next_hop && a.found.is_none()),
        "the only way does not answer"
    );
    assert_eq!(tracker.gateways(), None, "the gateway is still the one to watch");
    assert!(shown(NET).contains(&format!("via {B}")) && !shown(NET).contains(&format!("via {A}")));

    far.run("ip link set a1 arp on");
    world.fib.ask_for(&[(a0, address(A))]);
    println!("{A}: back after {:?}", word(&mut world, A, true));
    world.fib.gateways_are_back(&[(a0, address(A))]);
    world.state.set_answers(a0, address(A), true);
    assert!(tracker.refresh(&world.state).iter().all(|(_, answer)| answer.found.is_some()));
    assert!(shown(NET).contains(&format!("via {B}")) && shown(NET).contains(&format!("via {A}")));
}

#[test]
fn reading_everything_again_asks_the_kernel_who_answers() {
    let mut world = World::new();
    let far = FarEnd::of("a1", &["192.0.2.1/24"]);
    world.settle();
    let a0 = index("a0");
    world.monitor.filter().set(world.fib.port(), &[a0], false).unwrap();
    far.run("ip link set a1 arp off");
    world.state.set_answers(a0, address(A), false);
    world.state.set_answers(a0 + 1_000, address(A), false);
    world.state.apply(&KernelEvent::Overrun).unwrap();
    assert_eq!(world.state.silent().collect::<Vec<_>>(), [(a0, address(A))], "the other's link is gone");
    assert_eq!(world.state.resolve(&NextHop::new(address(A))), None, "it still does not answer");

    far.run("ip link set a1 arp on");
    world.fib.ask_for(&[(a0, address(A))]);
    word(&mut world, A, true);
    world.state.apply(&KernelEvent::Overrun).unwrap();
    assert_eq!(world.state.silent().count(), 0);
    assert!(world.state.resolve(&NextHop::new(address(A))).is_some());
}

#[test]
fn a_link_that_goes_down_forgets_that_its_gateways_were_silent() {
    let mut world = World::new();
    let a0 = index("a0");
    world.state.set_answers(a0, address(A), false);
    assert_eq!(world.state.resolve(&NextHop::new(address(A))), None);
    ip("link set a0 down");
    world.settle();
    ip("link set a0 up");
    world.settle();
    assert!(world.state.resolve(&NextHop::new(address(A))).is_some());
    assert_eq!(world.state.silent().count(), 0);
}

#[test]
fn neighbors_on_other_interfaces_are_not_heard_of() {
    let mut world = World::new();
    let b0 = index("b0");
    world.monitor.filter().set(world.fib.port(), &[b0], false).unwrap();
    world.settle();
    ip("neighbor replace 192.0.2.77 lladdr 02:00:00:00:00:77 dev a0 nud permanent");
    ip("neighbor replace 198.51.100.77 lladdr 02:00:00:00:00:77 dev b0 nud permanent");
    let events = world.monitor.recv(Some(Duration::from_secs(1))).unwrap();
    let heard: Vec<Option<IpAddr>> = events
        .iter()
        .filter_map(|e| match e {
            KernelEvent::Neighbor { neighbor, .. } => Some(neighbor.address),
            _ => None,
        })
        .collect();
    assert_eq!(heard, [Some(address("198.51.100.77"))]);
    // More interfaces than the filter can name: all are heard.
    let many: Vec<u32> = (1000..1100).collect();
    world.monitor.filter().set(world.fib.port(), &many, false).unwrap();
    ip("neighbor del 192.0.2.77 dev a0");
    let events = world.monitor.recv(Some(Duration::from_secs(1))).unwrap();
    assert!(events.iter().any(|e| matches!(e, KernelEvent::Neighbor { deleted: true, .. })));
    assert!(
        !events
            .iter()
            .any(|e| matches!(e, KernelEvent::Neighbor { neighbor, deleted: false } if neighbor.failed))
    );
}
