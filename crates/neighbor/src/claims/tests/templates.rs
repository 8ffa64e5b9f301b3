//! Interfaces that a pattern makes domains of, and addresses that go from one to the other.

use super::*;

const TAP_MAC: Mac = Mac([2, 0, 0, 0, 0, 9]);

/// `tap1` to `tap3`, each a domain of its own from one template.
fn taps(guard: Guard) -> World {
    let mut world = World { claims: Claims::new(), now: Timestamp(1_000_000_000) };
    world.claims.configure(vec![("tap*".to_owned(), config(guard))], world.now);
    for tap in 1..=3 {
        tap_comes(&mut world, tap);
    }
    world.outputs();
    world
}

fn tap_comes(world: &mut World, tap: IfIndex) {
    let name = format!("tap{tap}");
    let id = world.claims.instantiate(&name, world.now).unwrap();
    world.claims.set_link(id, Some(DomainLink { index: tap, mac: TAP_MAC, up: true }), world.now);
    world.claims.set_port(tap, &Arc::from(name), id, true, world.now);
}

fn installed_on(world: &mut World) -> Vec<(IfIndex, bool)> {
    let outputs = world.claims.take_outputs();
    let kernel = outputs.into_iter().filter_map(|output| match output {
        Output::Action(Action::Install { interface, .. }) => Some((interface, true)),
        Output::Action(Action::Remove { interface, .. }) => Some((interface, false)),
        _ => None,
    });
    kernel.collect()
}

#[test]
fn each_interface_is_a_domain_of_its_own() {
    let mut world = taps(Guard::Pinned);
    assert_eq!(world.claims.instantiate("eth0", world.now), None, "no pattern matches");
    let seen = Sighting { mac: mac(1), vlan: None, address: Some(ip(V4)), kind: EvidenceKind::ArpRequest };
    world.claims.sighted(2, Ok(seen), world.now);
    assert_eq!(installed_on(&mut world), [(2, true)]);
    let view = world.claims.iter().next().unwrap();
    assert_eq!((&**view.domain, &*world.claims.section_of("tap2").unwrap()), ("tap2", "tap*"));
    // The interface goes, and its domain with it.
    let id = world.claims.domain("tap2").unwrap();
    world.claims.discard(id, world.now);
    assert_eq!(world.outputs(), "withdraw 198.51.100.11, remove 198.51.100.11");
    assert_eq!(world.claims.domain("tap2"), None);
    assert_eq!(
        world.arp(3, 2, V4),
        "install 198.51.100.11 2, announce 198.51.100.11",
        "and the address is free"
    );
}

#[test]
fn an_address_moves_to_the_tap_where_its_mac_speaks_once_the_old_one_is_silent() {
    let mut world = taps(Guard::Pinned);
    world.arp(1, 1, V4);
    assert_eq!(world.arp(2, 1, V4), "probe 198.51.100.11 1 via 1");
    assert_eq!(
        world.hear(1, 1, V4, EvidenceKind::ArpReply),
        "refused wrong-port 0",
        "the owner is there: nothing moves"
    );
    world.arp(2, 1, V4);
    assert_eq!(
        world.pass(Duration::from_millis(310)),
        "probe 198.51.100.11 1 via 1, probe 198.51.100.11 1 via 1, withdraw 198.51.100.11, remove 198.51.100.11, \
         install 198.51.100.11 1, announce 198.51.100.11, Moved"
    );
    assert_eq!(world.state(V4), Some((StateName::Active, Some(2))));
    assert_eq!(world.claims.iter().next().unwrap().moves, 1);
    // The old tap's end decides sooner than its silence.
    world.arp(3, 1, V4);
    world.outputs();
    world.claims.port_gone(2, world.now);
    assert_eq!(installed_on(&mut world), [(2, false), (3, true)]);
}

#[test]
fn another_mac_address_gets_nothing_from_a_tap_that_is_alive() {
    let mut world = taps(Guard::Pinned);
    world.arp(1, 1, V4);
    assert_eq!(world.arp(2, 2, V4), "probe 198.51.100.11 1 via 1, refused wrong-port 0");
    world.hear(1, 1, V4, EvidenceKind::ArpReply);
    assert_eq!(world.state(V4), Some((StateName::Active, Some(1))));
    assert_eq!(
        world.hear(3, 3, V4, EvidenceKind::ArpProbe),
        "probe 198.51.100.11 1 via 1, refused wrong-port 0"
    );
}

#[test]
fn the_open_guard_lets_the_last_tap_have_it_but_not_for_ever() {
    let mut world = taps(Guard::Open);
    world.arp(1, 1, V4);
    let moved = "withdraw 198.51.100.11, remove 198.51.100.11, install 198.51.100.11 2, announce 198.51.100.11, Moved";
    assert_eq!(world.arp(2, 2, V4), moved);
    for turn in 0..4 {
        assert!(world.arp(1 + turn % 2, 7, V4).ends_with("Moved"));
    }
    assert_eq!(world.arp(1, 1, V4), "refused damped 0");
}

#[test]
fn a_new_configuration_follows_to_all_interfaces() {
    let mut world = taps(Guard::Pinned);
    world.arp(1, 1, V4);
    world.arp(2, 2, "198.51.100.77");
    let narrow =
        DomainConfig { prefixes: vec!["198.51.100.64/26".parse().unwrap()], ..config(Guard::Pinned) };
    let both = vec![("tap*".to_owned(), config(Guard::Pinned)), ("tap2*".to_owned(), narrow.clone())];
    world.claims.configure(both, world.now);
    assert_eq!(world.outputs(), "", "each address is still allowed");
    assert_eq!(&*world.claims.section_of("tap2").unwrap(), "tap2*", "the pattern that says more");
    world.claims.configure(vec![("tap*".to_owned(), narrow)], world.now);
    assert_eq!(world.outputs(), "withdraw 198.51.100.11, remove 198.51.100.11");
    world.claims.configure(Vec::new(), world.now);
    assert_eq!(world.outputs(), "withdraw 198.51.100.77, remove 198.51.100.77");
    assert_eq!(world.claims.ports().count(), 0);
}

#[test]
fn what_others_announce_is_known_before_the_first_interface_of_a_pattern() {
    let mut claims = Claims::new();
    let now = Timestamp(1_000_000_000);
    let remote = Remote { sequence: 4, binding: None, originator: BgpIdentifier(9), elevated: None };
    claims.configure(vec![("tap*".to_owned(), config(Guard::Pinned))], now);
    claims.remote(ip(V4), Some(remote), now);
    claims.configure(vec![("tap*".to_owned(), config(Guard::Pinned))], now);
    assert_eq!(claims.remote_of(ip(V4)), Some(remote));
    claims.configure(Vec::new(), now);
    assert_eq!(claims.remote_of(ip(V4)), None);
}

#[test]
fn bindings_of_a_previous_run_wait_for_the_interfaces_of_a_pattern() {
    let now = Timestamp(1_000_000_000);
    let saved = |domain: &str, address: &str| SavedBinding {
        domain: domain.to_owned(),
        address: ip(address),
        mac: mac(1),
        port: Some(domain.to_owned()),
        sequence: 7,
    };
    let mut claims = Claims::new();
    claims.configure(vec![("tap*".to_owned(), config(Guard::Pinned))], now);
    claims.restore(vec![saved("tap1", V4), saved("eth9", V6)], now);
    assert_eq!(claims.iter().count(), 0);
    let id = claims.instantiate("tap1", now).unwrap();
    claims.set_link(id, Some(DomainLink { index: 31, mac: BRIDGE_MAC, up: true }), now);
    let kept: Vec<(IpAddr, StateName, u32)> =
        claims.iter().map(|claim| (claim.address, claim.state, claim.mobility.sequence)).collect();
    assert_eq!(kept, [(ip(V4), StateName::Gone, 7)]);
    assert!(claims.adopt(31, ip(V4), mac(1), now));
    assert_eq!(claims.bindings(), [saved("tap1", V4)]);
}
