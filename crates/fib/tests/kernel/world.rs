//! A network namespace of a test's own, with two links that are up and have carrier: `a0` with 192.0.2.10/24 and
//! 2001:db8:a::10/64, `b0` with 198.51.100.10/24 and 2001:db8:b::10/64. Their other ends are `a1` and `b1`.
//!
//! It belongs to the test's thread and vanishes with it. Without root nothing of this can be had: the tests fail.

use std::net::IpAddr;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use siskin_fib::{Fib, FibChange, FibConfig, KernelEvent, KernelState, Monitor, RouteState, StateConfig};
use siskin_net::{Hop, NextHopGroup, Prefix};

pub(crate) struct World {
    pub(crate) fib: Fib,
    pub(crate) monitor: Monitor,
    pub(crate) state: KernelState,
}

/// Moves this thread into a fresh namespace and makes its links.
pub(crate) fn namespace() {
    // SAFETY: no pointers; it concerns this thread alone, and the result is checked.
    let result = unsafe { libc::unshare(libc::CLONE_NEWNET) };
    assert_eq!(result, 0, "these tests need root (CAP_SYS_ADMIN) to make network namespaces");
    std::fs::write("/proc/sys/net/ipv6/conf/default/accept_dad", "0").unwrap();
    for (link, v4, v6) in
        [("a", "192.0.2.10/24", "2001:db8:a::10/64"), ("b", "198.51.100.10/24", "2001:db8:b::10/64")]
    {
        ip(&format!("link add {link}0 type veth peer name {link}1"));
        ip(&format!("link set {link}1 up"));
        ip(&format!("link set {link}0 up"));
        ip(&format!("address add {v4} dev {link}0"));
        ip(&format!("address add {v6} dev {link}0 nodad"));
    }
    ip("link set lo up");
}

/// Runs `ip` and returns what it prints; it must succeed.
pub(crate) fn ip(arguments: &str) -> String {
    let output = Command::new("ip").args(arguments.split_whitespace()).output().expect("the program ip");
    assert!(output.status.success(), "ip {arguments}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Runs `ip`, whatever comes of it.
pub(crate) fn run(arguments: &str) {
    Command::new("ip").args(arguments.split_whitespace()).output().expect("the program ip");
}

/// The kernel's routes of a prefix, one a line, without what this `ip` adds for display.
pub(crate) fn shown(prefix: &str) -> String {
    let family = if prefix.contains(':') { "-6" } else { "-4" };
    let text = ip(&format!("{family} route show exact {prefix}"));
    text.lines().map(|l| l.split_whitespace().collect::<Vec<_>>().join(" ")).collect::<Vec<_>>().join("\n")
}

pub(crate) fn index(link: &str) -> u32 {
    let line = ip(&format!("-o link show dev {link}"));
    line.split(':').next().and_then(|n| n.trim().parse().ok()).expect("an interface index")
}

pub(crate) fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

pub(crate) fn prefix(text: &str) -> Prefix {
    text.parse().unwrap()
}

pub(crate) fn hop(gateway: &str, link: &str) -> Hop {
    Hop { gateway: Some(address(gateway)), interface: index(link), weight: 1, onlink: false }
}

pub(crate) fn group(hops: &[Hop]) -> Arc<NextHopGroup> {
    Arc::new(NextHopGroup::from_hops(hops.iter().copied()).unwrap())
}

/// A reproducible sequence: xorshift.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % sides
    }
}

impl World {
    pub(crate) fn new() -> World {
        World::with(FibConfig::default())
    }

    /// A fresh namespace and a FIB in it.
    pub(crate) fn with(config: FibConfig) -> World {
        namespace();
        World::open(config)
    }

    /// A FIB in the namespace as it is: the daemon started again.
    pub(crate) fn open(config: FibConfig) -> World {
        let monitor = Monitor::open().unwrap();
        let fib = Fib::open(config).unwrap();
        monitor.ignore_port(fib.port()).unwrap();
        let state = KernelState::load(StateConfig::default()).unwrap();
        World { fib, monitor, state }
    }

    pub(crate) fn want(&mut self, text: &str, target: Option<&Arc<NextHopGroup>>) {
        self.fib.want(FibChange { table: None, prefix: prefix(text), target: target.cloned() });
    }

    /// Writes until nothing waits.
    pub(crate) fn write(&mut self) {
        for _ in 0..1000 {
            if self.fib.write(100_000).pending == 0 {
                return;
            }
        }
        panic!("the FIB does not come to rest");
    }

    /// Takes events until the kernel is quiet, writing what they lead to.
    pub(crate) fn settle(&mut self) {
        let mut quiet = 0;
        while quiet < 3 {
            let events = self.monitor.recv(Some(Duration::from_millis(50))).unwrap();
            quiet = if events.is_empty() { quiet + 1 } else { 0 };
            for event in &events {
                self.fib.on_event(event);
                self.state.apply(event).unwrap();
            }
            self.write();
        }
    }

    /// Takes events for a moment; none may say that one of these addresses does not answer.
    pub(crate) fn settle_quietly(&mut self, addresses: &[IpAddr]) {
        for event in self.monitor.recv(Some(Duration::from_millis(200))).unwrap() {
            if let KernelEvent::Neighbor { neighbor, deleted } = &event
                && neighbor.address.is_some_and(|a| addresses.contains(&a))
            {
                assert!(*deleted || !neighbor.failed, "{event:?}");
            }
        }
    }

    pub(crate) fn state_of(&self, text: &str) -> Option<RouteState> {
        self.fib.get(prefix(text)).map(|route| route.state)
    }

    /// The reason why a route failed.
    pub(crate) fn failure(&self, text: &str) -> String {
        match self.state_of(text) {
            Some(RouteState::Failed { text, .. }) => text.to_string(),
            other => panic!("{text} has not failed: {other:?}"),
        }
    }
}
