//! The guard, the limits and the order of actions, by example; then a model of kernel and BGP that any sequence of
//! events must leave in order.

mod fleet;
mod model;
mod moves;
mod scale;
mod templates;

use std::net::IpAddr;
use std::time::Duration;

use siskin_net::{IfIndex, Timestamp};

use super::*;

const BRIDGE: IfIndex = 10;
const OTHER_BRIDGE: IfIndex = 11;
const BRIDGE_MAC: Mac = Mac([2, 0, 0xa9, 0xfe, 0, 1]);

fn mac(n: u8) -> Mac {
    Mac([0x52, 0, 0, 0, 0, n])
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn config(guard: Guard) -> DomainConfig {
    DomainConfig {
        prefixes: vec!["198.51.100.0/24".parse().unwrap(), "2001:db8:100::/56".parse().unwrap()],
        gateway: Gateway {
            ipv4: Some("169.254.0.1".parse().unwrap()),
            ipv6: Some("fe80::1".parse().unwrap()),
        },
        guard,
        ..DomainConfig::default()
    }
}

/// A domain on a bridge with ports 1 to 3, perhaps another with port 5, and a clock.
struct World {
    claims: Claims,
    now: Timestamp,
}

impl World {
    fn new(config: DomainConfig) -> World {
        let mut world = World { claims: Claims::new(), now: Timestamp(1_000_000_000) };
        world.claims.configure(vec![("vmbr1".to_owned(), config)], world.now);
        world.link(true);
        for port in 1..=3 {
            world.port(port, true);
        }
        world.outputs();
        world
    }

    /// With a second domain, of the same prefixes.
    fn with_two(config: DomainConfig) -> World {
        let mut world = World::new(config.clone());
        world.configure_two(config);
        let link = DomainLink { index: OTHER_BRIDGE, mac: BRIDGE_MAC, up: true };
        world.claims.set_link(world.claims.domain("vmbr2").unwrap(), Some(link), world.now);
        world.port(5, true);
        world.outputs();
        world
    }

    fn configure_two(&mut self, config: DomainConfig) {
        let domains = vec![("vmbr1".to_owned(), config.clone()), ("vmbr2".to_owned(), config)];
        self.claims.configure(domains, self.now);
    }

    fn domain(&self) -> DomainId {
        self.claims.domain("vmbr1").unwrap()
    }

    fn link(&mut self, up: bool) {
        let link = DomainLink { index: BRIDGE, mac: BRIDGE_MAC, up };
        self.claims.set_link(self.domain(), Some(link), self.now);
    }

    fn port(&mut self, port: IfIndex, up: bool) {
        let domain = self.claims.domain(if port == 5 { "vmbr2" } else { "vmbr1" }).unwrap();
        self.claims.set_port(port, &Arc::from(format!("tap{port}")), domain, up, self.now);
    }

    fn hear(&mut self, port: IfIndex, n: u8, address: &str, kind: EvidenceKind) -> String {
        let seen = Sighting { mac: mac(n), vlan: None, address: Some(ip(address)), kind };
        self.claims.sighted(port, Ok(seen), self.now);
        self.outputs()
    }

    fn arp(&mut self, port: IfIndex, n: u8, address: &str) -> String {
        self.hear(port, n, address, EvidenceKind::ArpRequest)
    }

    /// Lets time pass, stopping at every deadline.
    fn pass(&mut self, time: Duration) -> String {
        let end = self.now + time;
        let mut said = Vec::new();
        while let Some(at) = self.claims.next_deadline().filter(|at| *at <= end) {
            self.now = at.max(self.now);
            self.claims.expire(self.now);
            said.push(self.outputs());
        }
        self.now = end;
        said.retain(|s| !s.is_empty());
        said.join(", ")
    }

    /// What came out, as words; announcements of the gateway left out.
    fn outputs(&mut self) -> String {
        let words = self.claims.take_outputs().into_iter().filter_map(|output| {
            Some(match output {
                Output::AnnounceGateway { .. } => return None,
                Output::Probe { via, mac, address, .. } => format!("probe {address} {} via {via}", mac.0[5]),
                Output::Action(Action::Install { address, mac, .. }) => {
                    format!("install {address} {}", mac.0[5])
                }
                Output::Action(Action::Remove { address, .. }) => format!("remove {address}"),
                Output::Action(Action::Announce { address, mobility, .. }) => {
                    let sequence = match mobility.sequence {
                        0 => String::new(),
                        sequence => format!(" #{sequence}"),
                    };
                    let elevated = if mobility.elevated { " elevated" } else { "" };
                    let leaving = if mobility.leaving { " leaving" } else { "" };
                    format!("announce {address}{sequence}{elevated}{leaving}")
                }
                Output::Action(Action::Withdraw { address, .. }) => format!("withdraw {address}"),
                Output::Action(Action::Notice(notice)) => match notice.kind {
                    NoticeKind::Refused(why, more) => format!("refused {why} {more}"),
                    kind => format!("{kind:?}"),
                },
            })
        });
        words.collect::<Vec<_>>().join(", ")
    }

    fn state(&self, address: &str) -> Option<(StateName, Option<IfIndex>)> {
        self.claims.iter().find(|c| c.address == ip(address)).map(|c| (c.state, c.port))
    }

    fn refused(&self, port: IfIndex, reason: Refusal) -> u64 {
        self.claims.ports().find(|p| p.index == port).unwrap().counters.refused(reason)
    }
}

const V4: &str = "198.51.100.11";
const V6: &str = "2001:db8:100::11";
const SECOND: Duration = Duration::from_secs(1);

#[test]
fn the_first_frame_announces_and_the_ports_end_withdraws() {
    let mut world = World::new(config(Guard::Pinned));
    world.pass(SECOND * 3);
    assert_eq!(world.claims.next_deadline(), None, "the gateway is announced to ports that came");
    assert_eq!(world.arp(1, 1, V4), "install 198.51.100.11 1, announce 198.51.100.11");
    assert_eq!(world.arp(1, 1, V4), "", "known");
    let solicited = world.hear(1, 1, V6, EvidenceKind::NeighborSolicitation);
    assert_eq!(solicited, "install 2001:db8:100::11 1, announce 2001:db8:100::11");
    world.claims.port_gone(1, world.now);
    let gone =
        "withdraw 198.51.100.11, remove 198.51.100.11, withdraw 2001:db8:100::11, remove 2001:db8:100::11";
    assert_eq!(world.outputs(), gone);
    assert_eq!(world.claims.next_deadline(), None, "nothing is waited for");
}

#[test]
fn the_gateway_is_announced_three_times_to_the_port_of_an_arrival() {
    let mut world = World::new(config(Guard::Pinned));
    world.pass(SECOND * 3);
    let start = world.now;
    world.claims.sighted(
        1,
        Ok(Sighting { mac: mac(1), vlan: None, address: Some(ip(V4)), kind: EvidenceKind::GratuitousArp }),
        world.now,
    );
    let mut times = Vec::new();
    while world.now <= start + SECOND * 2 {
        for output in world.claims.take_outputs() {
            if let Output::AnnounceGateway { via, from: (mac, _) } = output {
                assert_eq!((via, mac), (1, BRIDGE_MAC));
                times.push(world.now.since(start).as_millis());
            }
        }
        world.now = world.claims.next_deadline().unwrap();
        world.claims.expire(world.now);
    }
    assert_eq!(times, [10, 110, 1010]);
}

#[test]
fn what_no_vm_may_have_is_refused_and_counted() {
    let mut world = World::new(config(Guard::Open));
    world.claims.set_own_addresses([ip("198.51.100.1")], world.now);
    let refused = [
        ("203.0.113.1", Refusal::OutsidePrefixes),
        ("2001:db8::1", Refusal::OutsidePrefixes),
        ("169.254.0.1", Refusal::Forbidden),
        ("fe80::1", Refusal::Forbidden),
        ("198.51.100.1", Refusal::Forbidden),
        ("0.0.0.0", Refusal::Forbidden),
        ("224.0.0.5", Refusal::Forbidden),
        ("255.255.255.255", Refusal::Forbidden),
        ("127.0.0.1", Refusal::Forbidden),
        ("ff02::1", Refusal::Forbidden),
        ("::1", Refusal::Forbidden),
    ];
    for (address, reason) in refused {
        let before = world.refused(1, reason);
        world.arp(1, 1, address);
        assert_eq!(world.refused(1, reason), before + 1, "{address}");
    }
    assert_eq!(world.arp(1, 1, "fe80::5054:ff:fe00:1"), "", "a link-local address is nobody's business");
    let vlan = Sighting { mac: mac(1), vlan: Some(5), address: Some(ip(V4)), kind: EvidenceKind::ArpRequest };
    world.claims.sighted(1, Ok(vlan), world.now);
    assert_eq!(world.refused(1, Refusal::Tagged), 1);
    let ours = Sighting { mac: BRIDGE_MAC, vlan: None, ..vlan };
    world.claims.sighted(1, Ok(ours), world.now);
    assert_eq!(world.refused(1, Refusal::OurMac), 1);
    assert_eq!(world.claims.iter().count(), 0);
    // An address that becomes our own is taken back.
    world.arp(1, 1, V4);
    world.claims.set_own_addresses([ip(V4)], world.now);
    assert_eq!(world.outputs(), "withdraw 198.51.100.11, remove 198.51.100.11");
}

#[test]
fn a_pinned_address_cannot_be_stolen_and_refusals_are_told_once_an_interval() {
    let mut world = World::new(config(Guard::Pinned));
    world.arp(1, 1, V4);
    assert_eq!(world.arp(2, 2, V4), "refused wrong-port 0");
    for _ in 0..50 {
        assert_eq!(world.arp(2, 2, V4), "");
        assert_eq!(world.hear(2, 2, V4, EvidenceKind::ArpProbe), "");
    }
    assert_eq!(world.refused(2, Refusal::WrongPort), 101);
    assert_eq!(world.arp(1, 2, V4), "refused wrong-mac 0", "another MAC address on the same port");
    world.now = world.now + SECOND * 10;
    assert_eq!(world.arp(2, 2, V4), "refused wrong-port 100");
    assert_eq!(world.state(V4), Some((StateName::Active, Some(1))));
    // Silent, gone, and still bound; free when the port goes.
    assert!(world.pass(SECOND * 30).ends_with("Silent"));
    assert_eq!(world.state(V4), Some((StateName::Gone, Some(1))));
    assert_eq!(world.arp(2, 2, V4), "refused wrong-port 0");
    world.claims.port_gone(1, world.now);
    assert_eq!(world.arp(2, 2, V4), "install 198.51.100.11 2, announce 198.51.100.11");
}

#[test]
fn an_owner_that_fell_silent_is_forgotten_after_its_time() {
    let mut world = World::new(config(Guard::Pinned));
    world.arp(1, 1, V4);
    world.pass(SECOND * 30);
    world.pass(SECOND * 580);
    assert_eq!(world.state(V4), Some((StateName::Gone, Some(1))));
    world.pass(SECOND * 30);
    assert_eq!(world.state(V4), None);
}

#[test]
fn liveness_is_three_probes_a_second_apart_after_silence() {
    let mut world = World::new(config(Guard::Pinned));
    world.arp(1, 1, V4);
    assert_eq!(world.pass(Duration::from_millis(13_100)), "");
    let probes = "probe 198.51.100.11 1 via 1, probe 198.51.100.11 1 via 1, probe 198.51.100.11 1 via 1";
    let end = "withdraw 198.51.100.11, remove 198.51.100.11, Silent";
    assert_eq!(world.pass(SECOND * 7), format!("{probes}, {end}"));
    // An answer at any time makes it whole again.
    world.arp(1, 1, V4);
    let mut said = String::new();
    while !said.contains("probe") {
        said = world.pass(Duration::from_millis(500));
    }
    assert_eq!(world.hear(1, 1, V4, EvidenceKind::ArpReply), "");
    assert_eq!(world.state(V4), Some((StateName::Active, Some(1))));
    assert_eq!(world.pass(SECOND * 13), "");
}

#[test]
fn a_rival_with_the_owners_mac_gets_the_address_of_a_silent_port_alone() {
    let mut world = World::new(config(Guard::Pinned));
    world.arp(1, 1, V4);
    assert_eq!(world.arp(2, 1, V4), "probe 198.51.100.11 1 via 1");
    world.now = world.now + Duration::from_millis(20);
    let defended = "refused wrong-port 0";
    assert_eq!(world.hear(1, 1, V4, EvidenceKind::ArpReply), defended, "told of the rival's port");
    assert_eq!(world.refused(2, Refusal::WrongPort), 1);
    assert_eq!(world.state(V4), Some((StateName::Active, Some(1))));

    world.arp(2, 1, V4);
    let said = world.pass(Duration::from_millis(310));
    assert_eq!(
        said, "probe 198.51.100.11 1 via 1, probe 198.51.100.11 1 via 1, Moved",
        "nothing to install anew"
    );
    assert_eq!(world.state(V4), Some((StateName::Active, Some(2))));

    // A guest that starts elsewhere may ask for its address once, and never name it again.
    assert_eq!(world.hear(3, 1, V4, EvidenceKind::ArpProbe), "probe 198.51.100.11 1 via 2");
    // The old port's end decides sooner than its silence.
    world.claims.port_gone(2, world.now);
    assert_eq!(world.outputs(), "Moved");
    assert_eq!(world.state(V4), Some((StateName::Active, Some(3))));

    // A rival whose port goes loses.
    world.arp(1, 1, V4);
    world.claims.port_gone(1, world.now);
    assert_eq!(world.pass(Duration::from_millis(110)), "probe 198.51.100.11 1 via 3", "asked once more");
    assert_eq!(world.state(V4), Some((StateName::Verify, Some(3))));
}

#[test]
fn the_open_guard_lets_the_last_speaker_have_it_but_not_for_ever() {
    let mut world = World::new(config(Guard::Open));
    world.arp(1, 1, V4);
    assert_eq!(world.arp(2, 2, V4), "install 198.51.100.11 2, announce 198.51.100.11, Moved");
    for turn in 0..4 {
        assert!(!world.arp(1 + turn % 2, 1 + u8::try_from(turn % 2).unwrap(), V4).is_empty());
    }
    assert_eq!(world.arp(1, 1, V4), "refused damped 0");
    world.now = world.now + SECOND * 36;
    assert_eq!(world.arp(1, 1, V4), "install 198.51.100.11 1, announce 198.51.100.11, Moved");
}

#[test]
fn a_probe_for_a_free_address_is_a_candidate_until_it_answers() {
    let mut world = World::new(config(Guard::Pinned));
    assert_eq!(world.hear(1, 1, V6, EvidenceKind::DuplicateAddressDetection), "");
    assert_eq!(world.pass(Duration::from_millis(1190)), "");
    assert_eq!(world.pass(Duration::from_millis(20)), "probe 2001:db8:100::11 1 via 1");
    let answer = world.hear(1, 1, V6, EvidenceKind::NeighborAdvertisement);
    assert_eq!(answer, "install 2001:db8:100::11 1, announce 2001:db8:100::11");
    // One that never answers leaves nothing.
    world.hear(2, 2, V4, EvidenceKind::ArpProbe);
    let probe = "probe 198.51.100.11 2 via 2";
    assert_eq!(world.pass(SECOND * 4), [probe; 3].join(", "));
    assert_eq!(world.state(V4), None);
    // One whose address somebody has does not get it.
    world.hear(2, 2, V4, EvidenceKind::ArpProbe);
    assert_eq!(world.arp(1, 1, V4), "install 198.51.100.11 1, announce 198.51.100.11");
}

#[test]
fn declared_addresses_are_their_vms_alone() {
    let vm = Vm { name: "web01".into(), mac: mac(1), addresses: vec![ip(V4), ip("203.0.113.1")], port: None };
    let mut world = World::new(DomainConfig { vms: vec![vm], ..config(Guard::Provisioned) });
    assert_eq!(world.arp(2, 2, V4), "refused wrong-mac 0");
    assert_eq!(world.arp(1, 1, "198.51.100.12"), "refused not-declared 0");
    world.arp(1, 1, "203.0.113.1");
    assert_eq!(world.refused(1, Refusal::OutsidePrefixes), 1, "a declaration does not widen the prefixes");
    // RARP names the MAC address; the declaration knows the rest.
    let rarp = Sighting { mac: mac(1), vlan: None, address: None, kind: EvidenceKind::Rarp };
    world.claims.sighted(1, Ok(rarp), world.now);
    assert!(world.outputs().starts_with("install 198.51.100.11 1, announce 198.51.100.11"));
    assert_eq!(world.claims.iter().next().unwrap().vm, Some("web01"));
    // It may be silent while its port is there, and is told of once.
    let said = world.pass(SECOND * 60);
    assert_eq!(said.matches("Silent").count(), 1, "{said}");
    assert_eq!(world.state(V4).unwrap().0, StateName::Active);
    world.port(1, false);
    assert_eq!(world.pass(SECOND * 2), "withdraw 198.51.100.11, remove 198.51.100.11");
}

#[test]
fn silent_declared_vms_are_looked_for_when_a_port_comes() {
    let vm = Vm { name: "web01".into(), mac: mac(1), addresses: vec![ip(V4), ip(V6)], port: None };
    let mut world = World::new(DomainConfig { vms: vec![vm], ..config(Guard::Pinned) });
    let both = "probe 198.51.100.11 1 via 10, probe 2001:db8:100::11 1 via 10";
    assert_eq!(world.pass(SECOND * 2), [both; 3].join(", "), "the interface finds the port");
    world.port(1, false);
    world.port(1, true);
    world.hear(1, 1, V4, EvidenceKind::ArpReply);
    world.outputs();
    assert_eq!(world.pass(Duration::from_millis(300)), "probe 2001:db8:100::11 1 via 10", "the absent one");
}

#[test]
fn a_ports_limit_makes_room_by_what_is_gone() {
    let limits = Limits { per_port: 3, candidates_per_port: 2, ..Limits::default() };
    let mut world = World::new(DomainConfig { limits, ..config(Guard::Pinned) });
    for n in 1..=3 {
        world.arp(1, 1, &format!("198.51.100.{n}"));
    }
    assert_eq!(world.arp(1, 1, "198.51.100.4"), "refused port-limit 0");
    assert_ne!(world.arp(2, 2, "198.51.100.4"), "", "another port has its own");
    world.pass(SECOND * 10);
    world.arp(1, 1, "198.51.100.2");
    world.arp(1, 1, "198.51.100.3");
    world.pass(SECOND * 10);
    assert_eq!(world.state("198.51.100.1").unwrap().0, StateName::Gone);
    assert_eq!(world.arp(1, 1, "198.51.100.5"), "install 198.51.100.5 1, announce 198.51.100.5");
    assert_eq!(world.state("198.51.100.1"), None);
    for n in 1..=3 {
        world.hear(3, 3, &format!("2001:db8:100::{n}"), EvidenceKind::DuplicateAddressDetection);
        world.pass(Duration::from_millis(1));
    }
    assert_eq!(world.state("2001:db8:100::1"), None, "the oldest candidate goes");
    assert!(world.state("2001:db8:100::3").is_some());
}

#[test]
fn a_ports_rate_is_fifty_a_second_after_a_hundred() {
    let mut world = World::new(config(Guard::Pinned));
    let admitted = (0..1000).filter(|_| world.claims.admit_frame(1, world.now)).count();
    assert_eq!(admitted, 100);
    assert!(world.claims.admit_frame(2, world.now), "another port has its own");
    world.now = world.now + SECOND;
    let admitted = (0..1000).filter(|_| world.claims.admit_frame(1, world.now)).count();
    assert_eq!(admitted, 50);
    assert!(!world.claims.admit_frame(99, world.now), "not a port");
}

#[test]
fn carrier_has_a_second_and_its_return_is_verified() {
    let mut world = World::new(config(Guard::Pinned));
    world.arp(1, 1, V4);
    world.port(1, false);
    assert_eq!(world.pass(Duration::from_millis(900)), "");
    world.port(1, true);
    assert_eq!(world.outputs(), "probe 198.51.100.11 1 via 1");
    world.hear(1, 1, V4, EvidenceKind::ArpReply);
    world.port(1, false);
    assert_eq!(world.pass(SECOND), "withdraw 198.51.100.11, remove 198.51.100.11");
    world.port(1, true);
    assert_eq!(world.outputs(), "probe 198.51.100.11 1 via 1", "a silent guest is asked");
    assert_ne!(world.hear(1, 1, V4, EvidenceKind::ArpReply), "");
}

#[test]
fn a_frame_may_be_faster_than_its_ports_event_but_not_for_long() {
    let mut world = World::new(config(Guard::Pinned));
    world.port(4, false);
    assert_ne!(world.arp(4, 4, V4), "");
    // The kernel takes its time to tell of many ports; a VM without one is silent, which is found out sooner.
    assert!(!world.pass(10 * SECOND).contains("withdraw"));
    assert!(world.pass(60 * SECOND).contains("withdraw 198.51.100.11, remove 198.51.100.11"));
}

#[test]
fn an_interface_that_is_down_has_nothing_and_asks_when_it_is_back() {
    let mut world = World::new(config(Guard::Pinned));
    world.arp(1, 1, V4);
    world.arp(2, 1, V4);
    world.link(false);
    assert_eq!(world.outputs().matches("withdraw").count(), 1);
    assert_eq!(world.arp(1, 1, V4), "refused interface-down 0");
    assert_eq!(world.refused(1, Refusal::InterfaceDown), 1);
    world.link(true);
    assert!(world.outputs().starts_with("probe 198.51.100.11 1"));
}

#[test]
fn adopted_entries_are_announced_with_a_live_port_and_proven_or_swept() {
    let mut world = World::new(config(Guard::Pinned));
    assert!(world.claims.adopt(BRIDGE, ip(V4), mac(1), world.now));
    assert_eq!(world.outputs(), "install 198.51.100.11 1, announce 198.51.100.11");
    assert!(world.claims.adopt(BRIDGE, ip(V6), mac(2), world.now));
    assert!(!world.claims.adopt(BRIDGE, ip("203.0.113.1"), mac(2), world.now));
    assert!(!world.claims.adopt(77, ip("198.51.100.12"), mac(2), world.now));
    assert!(world.outputs().ends_with("remove 203.0.113.1, remove 198.51.100.12"));
    assert!(
        world.pass(SECOND * 3).contains("probe 198.51.100.11 1 via 10"),
        "through the bridge: no port is known"
    );
    assert_eq!(world.arp(2, 9, V4), "refused wrong-mac 0", "nobody else may have it meanwhile");
    assert_eq!(world.hear(2, 1, V4, EvidenceKind::ArpReply), "", "proven: nothing changes");
    assert_eq!(world.state(V4), Some((StateName::Active, Some(2))));
    assert!(world.pass(SECOND * 62).contains("withdraw 2001:db8:100::11, remove 2001:db8:100::11, Silent"));

    // Without a live port nothing is announced; with the first one it is.
    let mut world = World::new(config(Guard::Pinned));
    (1..=3).for_each(|port| world.claims.port_gone(port, world.now));
    world.claims.adopt(BRIDGE, ip(V4), mac(1), world.now);
    assert_eq!(world.outputs(), "install 198.51.100.11 1");
    world.port(1, true);
    assert_eq!(world.outputs(), "announce 198.51.100.11");
}

#[test]
fn a_new_configuration_keeps_what_it_allows() {
    let mut world = World::new(config(Guard::Pinned));
    world.arp(1, 1, V4);
    world.hear(1, 1, V6, EvidenceKind::NeighborAdvertisement);
    let narrower =
        DomainConfig { prefixes: vec!["198.51.100.0/28".parse().unwrap()], ..config(Guard::Pinned) };
    world.claims.configure(vec![("vmbr1".into(), narrower)], world.now);
    assert_eq!(world.outputs(), "withdraw 2001:db8:100::11, remove 2001:db8:100::11");
    world.claims.configure(vec![("vmbr1".into(), config(Guard::Provisioned))], world.now);
    assert_eq!(world.outputs(), "withdraw 198.51.100.11, remove 198.51.100.11", "not declared");
    world.claims.configure(Vec::new(), world.now);
    assert_eq!(world.claims.ports().count(), 0);
    assert_eq!(world.claims.domain("vmbr1"), None);
}

#[test]
fn repairs_are_made_and_limited() {
    let mut world = World::new(config(Guard::Pinned));
    world.arp(1, 1, V4);
    world.claims.kernel_mismatch(BRIDGE, ip(V4), world.now);
    assert_eq!(world.outputs(), "install 198.51.100.11 1, Mended");
    (0..100).for_each(|_| world.claims.kernel_mismatch(BRIDGE, ip(V4), world.now));
    assert_eq!(world.outputs().matches("install").count(), 4);
    world.claims.kernel_mismatch(BRIDGE, ip(V6), world.now);
    assert_eq!(world.outputs(), "", "not ours");
    assert!(world.claims.remove("vmbr1", ip(V4), world.now));
    assert!(!world.claims.remove("vmbr1", ip(V4), world.now));
}

#[test]
fn domains_that_share_prefixes_share_no_address() {
    let mut world = World::with_two(config(Guard::Pinned));
    world.arp(1, 1, V4);
    // The same VM behind another bridge: the old place is asked, and loses when it is silent.
    assert_eq!(world.arp(5, 1, V4), "probe 198.51.100.11 1 via 1");
    assert_eq!(world.arp(5, 2, V4), "refused wrong-port 0", "another MAC address gets nothing by that");
    assert!(world.pass(Duration::from_millis(310)).ends_with(
        "withdraw 198.51.100.11, remove 198.51.100.11, install 198.51.100.11 1, announce 198.51.100.11, Moved"
    ));
    assert_eq!(world.claims.iter().count(), 1);
    assert!(!world.claims.adopt(BRIDGE, ip(V4), mac(1), world.now), "a stale entry on the old bridge");
}
