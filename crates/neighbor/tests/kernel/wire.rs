//! Frames made by hand: what passes the filter, what a flood costs, how fast a frame becomes an action.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use siskin_neighbor::snoop::Snooper;
use siskin_neighbor::{Action, DomainConfig, HostRoutes, Limits, Mac, Refusal};
use siskin_net::Timestamp;

use crate::world::{Hypervisor, Wire, active, bridge, config, in_namespace, links, run};

const VM_MAC: Mac = Mac([0x52, 0, 0, 0, 0, 1]);
const SOON: Duration = Duration::from_secs(4);

#[test]
fn frames_with_a_vlan_tag_claim_nothing() {
    in_namespace("wire::frames_with_a_vlan_tag_claim_nothing", || {
        bridge();
        let mut hypervisor = Hypervisor::new("vmbr1", config());
        let wire = Wire::on_bridge("wire");
        hypervisor.feed_links();
        let plain = Wire::claim(VM_MAC, "198.51.100.11".parse().unwrap());
        let tagged = |tags: &[u8]| [&plain[..12], tags, &plain[12..]].concat();
        wire.send(&tagged(&[0x81, 0, 0, 5]));
        wire.send(&tagged(&[0x88, 0xa8, 0, 5]));
        wire.send(&tagged(&[0x81, 0, 0, 5, 0x81, 0, 0, 6]));
        hypervisor.run_for(Duration::from_millis(100));
        assert!(hypervisor.routes.snapshot().is_empty());
        let refused = hypervisor.port("wire").counters.refused(Refusal::Tagged);
        assert_eq!(refused, 2, "tags the kernel took out are seen; two tags do not pass the filter");
        // Priority alone is no VLAN.
        wire.send(&tagged(&[0x81, 0, 0xe0, 0]));
        hypervisor.until("announced", SOON, |routes| active(routes, "198.51.100.11", "wire"));
    });
}

#[test]
fn only_arp_rarp_and_discovery_from_this_link_reach_user_space() {
    in_namespace("wire::only_arp_rarp_and_discovery_from_this_link_reach_user_space", || {
        bridge();
        let mut hypervisor = Hypervisor::new("vmbr1", config());
        let wire = Wire::on_bridge("wire");
        hypervisor.feed_links();
        hypervisor.run_for(Duration::from_millis(50));
        let before = hypervisor.port("wire").counters.frames;
        let probe = siskin_neighbor::frame::neighbor_probe(
            (VM_MAC, "2001:db8:100::11".parse().unwrap()),
            Mac::BROADCAST,
            "fe80::1".parse().unwrap(),
        );
        let changed = |at: usize, value: u8| {
            let mut frame = probe.clone();
            frame[at] = value;
            frame
        };
        // Another EtherType, UDP, a hop limit that was routed, echo request, redirect, a multicast report.
        for (at, value) in [(13, 0), (20, 17), (21, 64), (54, 128), (54, 137), (54, 143), (54, 132)] {
            wire.send(&changed(at, value));
        }
        hypervisor.run_for(Duration::from_millis(50));
        assert_eq!(hypervisor.port("wire").counters.frames, before);
        for kind in 133..=136 {
            wire.send(&changed(54, kind));
        }
        hypervisor.until("announced", SOON, |routes| active(routes, "2001:db8:100::11", "wire"));
        let counters = hypervisor.port("wire").counters;
        assert_eq!((counters.frames - before, counters.router_advertisements), (4, 1));
        assert_eq!(counters.refused(Refusal::Malformed), 2, "two wrong checksums");
    });
}

/// Packet sockets of this process.
fn packet_sockets() -> usize {
    let text = std::fs::read_to_string("/proc/net/packet").unwrap();
    text.lines().count().saturating_sub(1)
}

#[test]
fn sockets_of_ports_that_go_are_closed() {
    in_namespace("wire::sockets_of_ports_that_go_are_closed", || {
        const PORTS: u32 = 200;
        let mut snooper = Snooper::open().unwrap();
        let without = packet_sockets();
        let indexes: Vec<u32> = (0..PORTS)
            .map(|number| {
                run(&format!("ip link add d{number} index {} type veth peer name e{number}", number + 1_000));
                run(&format!("ip link set d{number} up"));
                number + 1_000
            })
            .collect();
        for index in &indexes {
            snooper.add_port(*index, false).unwrap();
        }
        assert_eq!(packet_sockets(), without + 200);
        // One that is not listened on, and one whose device is gone, are closed too.
        snooper.listen(1_000, false).unwrap();
        run("ip link del d1");
        for index in indexes.iter().take(100) {
            snooper.remove_port(*index);
        }
        let deadline = Instant::now() + SOON;
        while packet_sockets() > without + 100 && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(10));
        }
        assert_eq!(packet_sockets(), without + 100, "the others are heard on");
        let mut ready = Vec::new();
        snooper.wait(Some(Duration::ZERO), &mut ready).unwrap();
        assert!(ready.iter().all(|port| snooper.has_port(*port)), "{ready:?}");
        drop(snooper);
        assert_eq!(packet_sockets(), without - 1, "when it is dropped, all are closed at once");
    });
}

#[test]
fn the_waker_ends_a_wait() {
    in_namespace("wire::the_waker_ends_a_wait", || {
        let mut routes = HostRoutes::new(Vec::new()).unwrap();
        let waker = routes.waker();
        let start = Instant::now();
        let clock = move || Timestamp::default() + start.elapsed();
        let other = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(50));
            waker.wake();
        });
        assert!(routes.turn(clock, None).unwrap().is_empty());
        other.join().unwrap();
        let woken = start.elapsed();
        routes.turn(clock, Some(Duration::from_millis(30))).unwrap();
        assert!(start.elapsed() - woken >= Duration::from_millis(30), "one wake ends one wait");
    });
}

/// Claims 250 addresses on a port, one every 4 ms; from each frame's sending to its announcement, in order.
fn latencies(routes: &mut HostRoutes, wire: Wire, start: Instant) -> Vec<Duration> {
    let clock = move || Timestamp::default() + Duration::from_secs(1) + start.elapsed();
    let speaker = std::thread::spawn(move || {
        let mut sent = Vec::new();
        for host in 1..=250 {
            std::thread::sleep(Duration::from_millis(4));
            sent.push(start.elapsed());
            wire.send(&Wire::claim(VM_MAC, [198, 51, 100, host].into()));
        }
        sent
    });
    let mut heard = Vec::new();
    while heard.len() < 250 && start.elapsed() < Duration::from_secs(20) {
        let actions = routes.turn(clock, Some(Duration::from_millis(500))).unwrap();
        let announced = actions.iter().filter(|action| match action {
            Action::Announce { address, .. } => address.is_ipv4(),
            _ => false,
        });
        heard.extend(announced.map(|_| start.elapsed()));
    }
    let sent = speaker.join().unwrap();
    assert_eq!(heard.len(), 250);
    let mut times: Vec<Duration> =
        heard.iter().zip(&sent).map(|(heard, sent)| heard.saturating_sub(*sent)).collect();
    times.sort_unstable();
    println!("frame sent to action: median {:?}, p99 {:?}, longest {:?}", times[125], times[247], times[249]);
    times
}

fn many_addresses() -> DomainConfig {
    let limits = Limits { per_port: 250, frames_per_second: 1000, ..Limits::default() };
    DomainConfig { limits, ..config() }
}

/// Host routes on the bridge, its links known.
fn started(start: Instant) -> HostRoutes {
    let mut routes = HostRoutes::new(vec![("vmbr1".to_owned(), many_addresses())]).unwrap();
    let now = Timestamp::default() + Duration::from_secs(1) + start.elapsed();
    links().into_values().for_each(|link| routes.link_event(link, now));
    routes
}

#[test]
fn from_frame_to_action_in_less_than_a_millisecond() {
    in_namespace("wire::from_frame_to_action_in_less_than_a_millisecond", || {
        bridge();
        let wire = Wire::on_bridge("wire");
        let start = Instant::now();
        let times = latencies(&mut started(start), wire, start);
        assert!(times[125] < Duration::from_millis(1), "median {:?}", times[125]);
    });
}

#[test]
fn a_flood_costs_its_own_port_alone() {
    in_namespace("wire::a_flood_costs_its_own_port_alone", || {
        bridge();
        let (hostile, wire) = (Wire::on_bridge("hostile"), Wire::on_bridge("wire"));
        let start = Instant::now();
        let mut routes = started(start);
        let stop = Arc::new(AtomicBool::new(false));
        let flood = std::thread::spawn({
            let stop = stop.clone();
            move || {
                // False IPv6 addresses, so that only the other port's VM announces IPv4.
                let address = |low: u16| std::net::Ipv6Addr::new(0x2001, 0xdb8, 0x100, 0, 0, 0, 1, low);
                let mut sent = 0u64;
                while !stop.load(Ordering::Relaxed) {
                    let [.., high, low] = sent.to_be_bytes();
                    let from = (Mac([0x52, 0, 0, 1, high, low]), address(u16::from_be_bytes([high, low])));
                    hostile.send(&siskin_neighbor::frame::unsolicited_advertisement(from));
                    sent += 1;
                }
                sent
            }
        });
        let times = latencies(&mut routes, wire, start);
        stop.store(true, Ordering::Relaxed);
        let (sent, took) = (flood.join().unwrap(), start.elapsed());
        let ports = routes.ports();
        let port = ports.iter().find(|port| &*port.name == "hostile").unwrap();
        println!(
            "{sent} hostile frames in {took:?}: {} read, {} dropped",
            port.counters.frames, port.dropped
        );
        assert!(port.dropped > 0 && port.counters.throttled > 0);
        assert!(u128::from(port.counters.frames) < 200 + 1100 * took.as_millis() / 1000);
        assert!(port.addresses.len() <= 250);
        // Two processors, one of them the flood's: the median tells, the tail is the machine's.
        assert!(times[125] < Duration::from_millis(10), "median {:?}", times[125]);
    });
}
