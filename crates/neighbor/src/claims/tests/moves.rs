//! Moves between hypervisors, declarations at run time and restarts, by example.

use super::*;

const OURS: BgpIdentifier = BgpIdentifier(5);
const LOWER: u32 = 4;
const HIGHER: u32 = 6;

fn world(config: DomainConfig) -> World {
    let mut world = World::new(config);
    world.claims.set_identifier(OURS, world.now);
    world
}

/// A route of another router, bound to the MAC address `n`; 0: it tells none.
fn remote(sequence: u32, n: u8, originator: u32) -> Option<Remote> {
    let binding = (n != 0).then(|| binding_of(mac(n)));
    Some(Remote { sequence, binding, originator: BgpIdentifier(originator), elevated: None })
}

fn vm(n: u8, address: &str, port: Option<&str>) -> Vm {
    let port = port.map(str::to_owned);
    Vm { name: format!("vm{n}"), mac: mac(n), addresses: vec![ip(address)], port }
}

impl World {
    fn remote(&mut self, address: &str, remote: Option<Remote>) -> String {
        self.claims.remote(ip(address), remote, self.now);
        self.outputs()
    }

    fn rarp(&mut self, port: IfIndex, n: u8) -> String {
        let seen = Sighting { mac: mac(n), vlan: None, address: None, kind: EvidenceKind::Rarp };
        self.claims.sighted(port, Ok(seen), self.now);
        self.outputs()
    }

    /// Lets time pass for a VM that speaks every five seconds.
    fn live(&mut self, port: IfIndex, n: u8, address: &str, seconds: u32) -> String {
        let mut said = Vec::new();
        for _ in 0..seconds / 5 {
            said.push(self.pass(SECOND * 5));
            said.push(self.arp(port, n, address));
        }
        said.retain(|s| !s.is_empty());
        said.join(", ")
    }

    fn name(&self, address: &str) -> &'static str {
        self.state(address).map_or("", |(state, _)| state.name())
    }
}

#[test]
fn the_first_evidence_takes_over_elevated_and_is_normal_after_thirty_seconds() {
    let mut world = world(config(Guard::Pinned));
    world.remote(V4, remote(4, 1, LOWER));
    let taken = "install 198.51.100.11 1, announce 198.51.100.11 #5 elevated, TakenOver";
    assert_eq!(world.arp(1, 1, V4), taken);
    // The other router yields.
    assert_eq!(world.remote(V4, None), "");
    assert_eq!(world.live(1, 1, V4, 25), "");
    assert_eq!(world.pass(Duration::from_millis(4_900)), "");
    assert_eq!(
        world.pass(Duration::from_millis(200)),
        "announce 198.51.100.11 #5",
        "the same number, and no withdrawal"
    );
    // Without another router there is nothing to be higher than.
    assert_eq!(world.arp(2, 2, "198.51.100.12"), "install 198.51.100.12 2, announce 198.51.100.12");
    let moves = world.claims.history();
    assert_eq!(moves.len(), 1);
    let first = moves.front().unwrap();
    assert_eq!((first.kind, first.sequence), (NoticeKind::TakenOver, 5));
    assert_eq!(first.remote, Some(BgpIdentifier(LOWER)));
    assert_eq!(world.claims.move_counters().taken_over, 1);
}

#[test]
fn a_router_that_does_not_yield_is_told_of() {
    let mut world = world(config(Guard::Pinned));
    world.remote(V4, remote(0, 1, LOWER));
    world.arp(1, 1, V4);
    assert_eq!(world.live(1, 1, V4, 35), "announce 198.51.100.11 #1, Duplicate");
    assert_eq!(world.claims.move_counters().duplicates, 1);
}

#[test]
fn rarp_takes_over_all_that_is_announced_for_its_mac() {
    let mut world = world(config(Guard::Pinned));
    world.remote(V4, remote(0, 1, LOWER));
    world.remote(V6, remote(2, 1, LOWER));
    world.remote("198.51.100.12", remote(0, 2, LOWER));
    world.remote("203.0.113.1", remote(0, 1, LOWER));
    let said = world.rarp(1, 1);
    assert!(said.contains("announce 198.51.100.11 #1 elevated"), "{said}");
    assert!(said.contains("announce 2001:db8:100::11 #3 elevated"), "{said}");
    assert_eq!(said.matches("announce").count(), 2, "{said}");
    // An address that has moved back is not taken over by what the MAC address once had.
    world.remote("198.51.100.12", None);
    assert_eq!(world.rarp(2, 2), "");
}

#[test]
fn a_better_route_elsewhere_is_yielded_to_at_once_and_the_neighbour_entry_outlives_the_route() {
    for better in [remote(1, 1, HIGHER), remote(0, 1, LOWER), remote(0, 0, LOWER)] {
        let mut world = world(config(Guard::Pinned));
        world.arp(1, 1, V4);
        assert_eq!(world.remote(V4, remote(0, 1, HIGHER)), "", "a tie goes to the lower identifier");
        assert_eq!(world.remote(V4, better), "withdraw 198.51.100.11, Yielded", "{better:?}");
        // What was on its way does not bring it back.
        world.now = world.now + Duration::from_millis(3);
        assert_eq!(world.arp(1, 1, V4), "");
        assert_eq!(world.pass(Duration::from_millis(990)), "");
        let probe = "probe 198.51.100.11 1 via 1";
        assert_eq!(world.pass(Duration::from_millis(20)), format!("remove 198.51.100.11, {probe}"));
        assert_eq!(world.pass(SECOND), [probe; 2].join(", "));
        assert_eq!(world.name(V4), "moved");
        assert_eq!(world.pass(SECOND * 3000), "", "it is bound to its port as long as that is there");
        // New evidence does.
        let sequence = better.unwrap().sequence + 1;
        let back = format!("install 198.51.100.11 1, announce 198.51.100.11 #{sequence} elevated, TakenOver");
        assert_eq!(world.arp(1, 1, V4), back);
    }
}

#[test]
fn a_vm_that_is_here_all_the_same_says_so_when_asked() {
    let mut world = world(config(Guard::Pinned));
    world.arp(1, 1, V4);
    world.remote(V4, remote(7, 1, HIGHER));
    assert!(world.pass(Duration::from_millis(1010)).ends_with("probe 198.51.100.11 1 via 1"));
    let answer = world.hear(1, 1, V4, EvidenceKind::ArpReply);
    assert_eq!(answer, "install 198.51.100.11 1, announce 198.51.100.11 #8 elevated, TakenOver");
}

#[test]
fn an_address_whose_router_is_gone_is_asked_for_where_it_was() {
    let mut world = world(config(Guard::Pinned));
    world.arp(1, 1, V4);
    world.remote(V4, remote(3, 1, LOWER));
    world.pass(SECOND * 5);
    assert_eq!(world.remote(V4, None), "probe 198.51.100.11 1 via 1");
    let back = world.hear(1, 1, V4, EvidenceKind::ArpReply);
    assert_eq!(back, "install 198.51.100.11 1, announce 198.51.100.11 #3", "normal, with what was seen");
}

#[test]
fn the_port_may_go_before_the_route_has_changed() {
    let mut world = world(config(Guard::Pinned));
    world.arp(1, 1, V4);
    world.remote(V4, remote(1, 1, LOWER));
    world.claims.port_gone(1, world.now);
    assert_eq!(world.outputs(), "", "the neighbour entry is still needed");
    assert!(world.pass(SECOND * 2).starts_with("remove 198.51.100.11"));
}

#[test]
fn a_pinned_address_is_taken_over_by_the_mac_it_is_bound_to_alone() {
    let mut world = world(config(Guard::Pinned));
    world.remote(V4, remote(4, 1, LOWER));
    assert_eq!(world.arp(2, 2, V4), "refused conflict 0");
    assert_eq!(world.hear(2, 2, V4, EvidenceKind::ArpProbe), "");
    assert_eq!(world.refused(2, Refusal::Conflict), 2);
    assert_eq!(world.state(V4), None);
    world.remote(V6, remote(0, 0, LOWER));
    world.arp(1, 1, V6);
    assert_eq!(world.refused(1, Refusal::Conflict), 1, "a route that tells nothing is no permission");
    // Declared here, it is that VM's whatever another router says.
    world.claims.declare("vmbr1", &vm(2, V4, None), true, world.now).unwrap();
    assert!(world.arp(2, 2, V4).contains("announce 198.51.100.11 #5 elevated"));
    // Once nobody announces it, it is free.
    world.remote(V6, None);
    assert!(world.arp(1, 1, V6).contains("announce 2001:db8:100::11"));

    let mut world = self::world(config(Guard::Open));
    world.remote(V4, remote(4, 1, LOWER));
    assert!(world.arp(2, 2, V4).contains("announce 198.51.100.11 #5 elevated"));
}

#[test]
fn another_mac_elsewhere_is_believed_only_if_the_owner_here_is_silent() {
    let mut world = world(config(Guard::Pinned));
    world.arp(1, 1, V4);
    assert_eq!(world.remote(V4, remote(9, 2, LOWER)), "probe 198.51.100.11 1 via 1");
    assert_eq!(world.hear(1, 1, V4, EvidenceKind::ArpReply), "Duplicate");
    assert_eq!(world.state(V4), Some((StateName::Active, Some(1))));

    assert_eq!(world.remote(V4, remote(10, 2, LOWER)), "probe 198.51.100.11 1 via 1");
    let said = world.pass(Duration::from_millis(310));
    assert!(said.ends_with("withdraw 198.51.100.11, Yielded"), "{said}");
    world.pass(SECOND * 2);
    assert_eq!(world.arp(1, 1, V4), "refused conflict 0", "and that MAC address has it now");

    // A declared owner need not answer.
    let mut world = self::world(DomainConfig { vms: vec![vm(1, V4, None)], ..config(Guard::Provisioned) });
    world.arp(1, 1, V4);
    assert_eq!(world.remote(V4, remote(9, 2, LOWER)), "Duplicate");
    assert_eq!(world.name(V4), "active");
    // Under the open guard the other router is the last to speak.
    let mut world = self::world(config(Guard::Open));
    world.arp(1, 1, V4);
    assert_eq!(world.remote(V4, remote(9, 2, LOWER)), "withdraw 198.51.100.11, Yielded");
}

#[test]
fn an_address_that_is_alive_twice_is_frozen_after_five_moves() {
    let mut world = world(config(Guard::Pinned));
    world.arp(1, 1, V4);
    let mut sequence = 0;
    for _ in 0..2 {
        sequence += 1;
        assert_eq!(world.remote(V4, remote(sequence, 1, HIGHER)), "withdraw 198.51.100.11, Yielded");
        world.pass(Duration::from_millis(1050));
        sequence += 1;
        assert!(world.hear(1, 1, V4, EvidenceKind::ArpReply).contains(&format!("#{sequence} elevated")));
    }
    assert_eq!(world.remote(V4, remote(5, 1, HIGHER)), "withdraw 198.51.100.11, Frozen");
    assert_eq!(world.pass(SECOND * 10), "remove 198.51.100.11");
    assert_eq!(world.arp(1, 1, V4), "refused damped 0");
    assert_eq!(world.name(V4), "frozen");
    assert_eq!(world.claims.move_counters().frozen, 1);
    // After half an hour it is asked again.
    assert_eq!(world.pass(SECOND * 1785), "");
    assert!(world.pass(SECOND * 10).starts_with("probe 198.51.100.11 1 via 1"));
    assert!(world.arp(1, 1, V4).contains("#6 elevated"));
}

#[test]
fn an_operator_ends_a_freeze_and_the_winner_keeps_the_address_meanwhile() {
    let mut world = world(config(Guard::Pinned));
    world.remote(V4, remote(0, 1, HIGHER));
    for sequence in [1, 3, 5] {
        let said = world.arp(1, 1, V4);
        assert!(said.contains(&format!("announce 198.51.100.11 #{sequence} elevated")), "{said}");
        if sequence < 5 {
            world.remote(V4, remote(sequence + 1, 1, HIGHER));
            world.pass(Duration::from_millis(1050));
        }
    }
    assert_eq!(world.name(V4), "frozen");
    assert!(world.claims.iter().next().unwrap().announced, "the last winner keeps it");
    assert_eq!(world.arp(1, 1, V4), "");
    assert_eq!(world.arp(2, 1, V4), "refused damped 0");
    assert!(world.remote(V4, remote(6, 1, HIGHER)).starts_with("withdraw 198.51.100.11"));
    assert!(world.claims.release("vmbr1", ip(V4), world.now));
    assert_eq!(world.outputs(), "remove 198.51.100.11");
    assert!(world.arp(1, 1, V4).contains("announce 198.51.100.11 #7 elevated"));
    assert_eq!(world.name(V4), "active");
}

#[test]
fn a_released_address_waits_for_its_vm_without_asking() {
    let mut world = world(config(Guard::Pinned));
    world.arp(1, 1, V4);
    assert!(!world.claims.release("vmbr1", ip(V6), world.now));
    assert!(world.claims.release("vmbr1", ip(V4), world.now));
    assert_eq!(world.outputs(), "withdraw 198.51.100.11, remove 198.51.100.11");
    world.port(1, false);
    world.port(1, true);
    assert_eq!(world.pass(SECOND * 60), "");
    assert_eq!(world.name(V4), "standby");
    assert_eq!(world.arp(2, 2, V4), "refused wrong-port 0", "it is still bound");
    assert!(world.arp(1, 1, V4).contains("announce 198.51.100.11"));
}

#[test]
fn a_planned_move_is_marked_and_yields_to_any_other_route() {
    let mut world = world(config(Guard::Pinned));
    assert!(!world.claims.migrate("vmbr1", ip(V4), world.now));
    world.arp(1, 1, V4);
    assert!(world.claims.migrate("vmbr1", ip(V4), world.now));
    assert_eq!(world.outputs(), "announce 198.51.100.11 leaving", "nothing else changes");
    assert_eq!(world.arp(1, 1, V4), "");
    assert_eq!(world.remote(V4, remote(0, 0, HIGHER)), "withdraw 198.51.100.11, Yielded");

    // A move that never came is forgotten, or taken back.
    world.arp(2, 2, V6);
    world.claims.migrate("vmbr1", ip(V6), world.now);
    assert!(world.outputs().ends_with("leaving"));
    world.live(2, 2, V6, 3600);
    let view = world.claims.iter().find(|c| c.address == ip(V6)).unwrap();
    assert!(view.announced && !view.mobility.leaving);
    world.claims.migrate("vmbr1", ip(V6), world.now);
    world.outputs();
    world.claims.declare("vmbr1", &vm(2, V6, None), false, world.now).unwrap();
    assert_eq!(world.outputs(), "announce 2001:db8:100::11");
}

#[test]
fn an_incoming_migration_announced_too_early_does_no_harm() {
    let mut world = world(config(Guard::Provisioned));
    world.remote(V4, remote(2, 1, LOWER));
    world.claims.declare("vmbr1", &vm(1, V4, Some("tap1")), true, world.now).unwrap();
    world.port(1, false);
    world.port(1, true);
    assert_eq!(world.pass(SECOND * 60), "", "not asked for, not announced");
    assert_eq!(world.name(V4), "standby");
    assert_eq!(world.arp(2, 1, V4), "refused wrong-port 0");
    assert_eq!(world.arp(1, 3, V4), "refused wrong-mac 0");
    assert_eq!(world.state(V4), Some((StateName::Standby, None)));
    // RARP, which names no address, is enough on its port.
    assert_eq!(world.rarp(1, 1), "install 198.51.100.11 1, announce 198.51.100.11 #3 elevated, TakenOver");
}

#[test]
fn declarations_at_run_time_outlive_a_new_configuration_and_end_with_a_word() {
    let mut world = world(config(Guard::Provisioned));
    let declare = |world: &mut World, vm: &Vm| world.claims.declare("vmbr1", vm, false, world.now);
    assert_eq!(declare(&mut world, &vm(1, V4, None)), Ok(()));
    assert_eq!(declare(&mut world, &vm(1, V4, None)), Ok(()), "a hook may say it twice");
    assert_eq!(world.pass(SECOND), ["probe 198.51.100.11 1 via 10"; 3].join(", "));
    assert!(world.arp(1, 1, V4).contains("announce"));
    let taken = DeclareError::Taken { address: ip(V4), name: "vm1".into() };
    assert_eq!(declare(&mut world, &vm(2, V4, None)), Err(taken));
    let outside = ip("203.0.113.1");
    assert_eq!(declare(&mut world, &vm(2, "203.0.113.1", None)), Err(DeclareError::Forbidden(outside)));
    let none = Vm { addresses: Vec::new(), ..vm(2, V4, None) };
    assert_eq!(declare(&mut world, &none), Err(DeclareError::NoAddress));
    let group = Vm { mac: Mac::BROADCAST, ..vm(2, V6, None) };
    assert_eq!(declare(&mut world, &group), Err(DeclareError::NoStation(Mac::BROADCAST)));
    let elsewhere = world.claims.declare("vmbr9", &vm(2, V6, None), false, world.now);
    assert_eq!(elsewhere, Err(DeclareError::UnknownDomain("vmbr9".into())));

    world.claims.configure(vec![("vmbr1".into(), config(Guard::Provisioned))], world.now);
    assert_eq!(world.outputs(), "");
    // Declared behind another port than the one it is on, it is not where it was.
    assert_eq!(declare(&mut world, &vm(1, V4, Some("tap2"))), Ok(()));
    assert!(world.outputs().starts_with("withdraw 198.51.100.11, remove 198.51.100.11"));
    assert_eq!(world.arp(1, 1, V4), "refused wrong-port 0");
    assert!(world.arp(2, 1, V4).contains("announce 198.51.100.11"));
    assert!(world.claims.undeclare("vmbr1", ip(V4), world.now));
    assert_eq!(world.outputs(), "withdraw 198.51.100.11, remove 198.51.100.11");
    assert!(!world.claims.undeclare("vmbr1", ip(V4), world.now));
    assert_eq!(world.claims.iter().count(), 0);

    // Under a guard that does not need it, what was announced stays.
    let mut world = self::world(config(Guard::Pinned));
    declare(&mut world, &vm(1, V4, None)).unwrap();
    world.arp(1, 1, V4);
    world.claims.undeclare("vmbr1", ip(V4), world.now);
    assert_eq!((world.outputs().as_str(), world.name(V4)), ("", "active"));
}

#[test]
fn a_configured_vm_is_announced_with_its_port_if_that_is_wanted() {
    let vms = vec![vm(1, V4, Some("tap1")), vm(2, V6, Some("tap2"))];
    let config = DomainConfig { vms, announce_without_evidence: true, ..config(Guard::Pinned) };
    let mut world = world(DomainConfig { announce_without_evidence: false, ..config.clone() });
    world.pass(SECOND * 5);
    assert_eq!(world.name(V4), "standby", "declared alone is not enough");
    let mut world = self::world(config);
    assert_eq!((world.name(V4), world.name(V6)), ("verify", "verify"));
    world.pass(SECOND * 30);
    assert_eq!(world.state(V4), Some((StateName::Active, Some(1))), "it may be silent");
    // Not what another router has.
    world.port(1, false);
    world.pass(SECOND * 2);
    world.remote(V4, remote(0, 1, HIGHER));
    world.port(1, true);
    assert!(!world.outputs().contains("announce"));
    assert_eq!(world.name(V4), "gone");
    assert!(world.arp(1, 1, V4).contains("announce 198.51.100.11 #1 elevated"));
    // Nor an incoming migration.
    world.claims.declare("vmbr1", &vm(3, "198.51.100.13", Some("tap3")), true, world.now).unwrap();
    assert_eq!(world.name("198.51.100.13"), "standby");
}

#[test]
fn silent_declared_vms_are_asked_every_ten_seconds_while_nobody_else_announces_them() {
    let vms = vec![vm(1, V4, Some("tap2")), vm(2, V6, None)];
    let mut world = world(DomainConfig { vms, ..config(Guard::Pinned) });
    let both = "probe 198.51.100.11 1 via 2, probe 2001:db8:100::11 2 via 10";
    assert_eq!(world.pass(SECOND), [both; 3].join(", "), "through its own port, or whichever it is");
    assert_eq!(world.pass(SECOND * 30), [both; 3].join(", "));
    world.remote(V6, remote(0, 2, LOWER));
    let first = "probe 198.51.100.11 1 via 2";
    assert_eq!(world.pass(SECOND * 20), [first; 2].join(", "));
    world.port(2, false);
    assert_eq!(world.pass(SECOND * 20), "", "there is no port to ask through");
    world.port(2, true);
    assert_eq!(world.pass(SECOND), [first; 3].join(", "), "not for what is announced elsewhere");
    world.remote(V4, remote(0, 1, LOWER));
    assert_eq!(world.pass(SECOND * 20), "");
    world.port(2, false);
    world.port(2, true);
    assert_eq!(world.pass(SECOND), [first; 3].join(", "), "unless its own port comes");
    // Another router's end is a reason to hurry.
    assert_eq!(world.remote(V6, None), "");
    let said = world.pass(SECOND);
    assert_eq!(said.matches("probe 2001:db8:100::11 2 via 10").count(), 3, "{said}");
}

#[test]
fn many_vms_that_are_nowhere_do_not_fill_every_port_with_probes() {
    let absent = |n: u8| vm(1, &format!("198.51.100.{n}"), None);
    let vms = (1..=100).map(|n| Vm { mac: mac(n), ..absent(n) }).collect();
    let mut world = world(DomainConfig { vms, ..config(Guard::Pinned) });
    assert_eq!(world.pass(SECOND).matches("probe").count(), 300);
    let later = world.pass(SECOND * 60).matches("probe").count();
    assert_eq!(later, 3 * 32 + 4 + 2 * 32, "32 every ten seconds, and from the beginning again");
}

#[test]
fn an_address_is_announced_anew_ten_times_a_minute_at_most() {
    let mut world = world(config(Guard::Pinned));
    let mut announced = 0;
    for _ in 0..20 {
        announced += usize::from(world.arp(1, 1, V4).contains("announce"));
        world.port(1, false);
        world.pass(SECOND);
        world.port(1, true);
        world.outputs();
    }
    assert_eq!(announced, 7, "the first, five that are saved up, and one that grew back");
    assert_ne!(world.refused(1, Refusal::Damped), 0);
}

#[test]
fn a_restart_keeps_sequence_numbers_and_whom_an_address_is_bound_to() {
    let mut world = world(config(Guard::Pinned));
    world.remote(V4, remote(6, 1, LOWER));
    world.arp(1, 1, V4);
    world.arp(2, 2, V6);
    world.port(2, false);
    world.pass(SECOND * 2);
    let saved = world.claims.bindings();
    let of = |address: &str| saved.iter().find(|b| b.address == ip(address)).unwrap();
    assert_eq!((of(V4).sequence, of(V4).port.as_deref()), (7, Some("tap1")));
    assert_eq!((of(V6).mac, of(V6).port.as_deref()), (mac(2), Some("tap2")));

    let mut world = self::world(config(Guard::Pinned));
    world.claims.restore(saved.clone(), world.now);
    assert_eq!(world.outputs(), "", "a binding alone is nothing to announce");
    assert!(world.claims.adopt(BRIDGE, ip(V4), mac(1), world.now));
    assert_eq!(world.outputs(), "install 198.51.100.11 1, announce 198.51.100.11 #7", "and not elevated");
    assert!(!world.claims.adopt(BRIDGE, ip(V6), mac(3), world.now), "another MAC address' entry");
    assert_eq!(world.outputs(), "remove 2001:db8:100::11");
    assert_eq!(world.claims.bindings(), saved);
    assert_eq!(world.arp(3, 3, V6), "refused wrong-port 0", "its port is there");
    assert_eq!(world.refused(3, Refusal::WrongPort), 1);
    assert_eq!(world.arp(3, 2, V6), "", "and even its own MAC address has to come from there");
    assert_eq!(world.refused(3, Refusal::WrongPort), 2);
    assert!(world.arp(2, 2, V6).contains("announce 2001:db8:100::11"));
    // Meanwhile the VM may have moved away.
    assert_eq!(world.remote(V4, remote(8, 1, HIGHER)), "withdraw 198.51.100.11, Yielded");

    // The same, known before the entry is seen.
    let mut world = self::world(config(Guard::Pinned));
    world.claims.restore(saved, world.now);
    world.remote(V4, remote(8, 1, HIGHER));
    assert!(world.claims.adopt(BRIDGE, ip(V4), mac(1), world.now));
    assert_eq!(world.outputs(), "install 198.51.100.11 1, Yielded", "never announced");
    assert!(world.pass(SECOND * 2).starts_with("remove 198.51.100.11"));
    // One with precedence over nobody is announced.
    world.remote(V6, remote(0, 2, HIGHER));
    assert!(world.claims.adopt(BRIDGE, ip(V6), mac(2), world.now));
    assert_eq!(world.outputs(), "install 2001:db8:100::11 2, announce 2001:db8:100::11");
}

#[test]
fn what_was_on_a_port_that_is_gone_has_one_look_to_prove_itself() {
    let mut world = world(config(Guard::Pinned));
    world.arp(1, 1, V4);
    world.arp(2, 2, V6);
    let saved = world.claims.bindings();
    let mut world = self::world(config(Guard::Pinned));
    world.claims.port_gone(1, world.now);
    world.claims.restore(saved, world.now);
    world.claims.adopt(BRIDGE, ip(V4), mac(1), world.now);
    world.claims.adopt(BRIDGE, ip(V6), mac(2), world.now);
    assert_eq!(world.outputs().matches("announce").count(), 2, "it may have changed its port");
    let said = world.pass(SECOND * 8);
    assert!(said.contains("withdraw 198.51.100.11, remove 198.51.100.11, Silent"), "{said}");
    assert_eq!((world.name(V4), world.name(V6)), ("", "unverified"));
}

#[test]
fn a_sequence_number_outlives_the_port() {
    let mut world = world(config(Guard::Pinned));
    world.remote(V4, remote(6, 1, LOWER));
    world.arp(1, 1, V4);
    world.remote(V4, None);
    world.claims.port_gone(1, world.now);
    world.outputs();
    assert_eq!(world.claims.iter().count(), 0);
    world.port(1, true);
    assert!(world.arp(1, 1, V4).contains("announce 198.51.100.11 #7"));
}

#[test]
fn routes_of_our_own_that_come_back_and_what_is_too_much_are_not_taken_in() {
    let mut world = world(config(Guard::Pinned));
    world.arp(1, 1, V4);
    assert_eq!(world.remote(V4, remote(9, 1, OURS.0)), "");
    assert_eq!(world.claims.remote_of(ip(V4)), None);
    // The identifier decides ties, also when it changes.
    world.remote(V4, remote(0, 1, HIGHER));
    assert_eq!(world.name(V4), "active");
    world.claims.set_identifier(BgpIdentifier(HIGHER + 1), world.now);
    assert_eq!(world.outputs(), "withdraw 198.51.100.11, Yielded");
    // Outside the prefixes nothing is kept after the next configuration.
    world.remote("203.0.113.1", remote(0, 1, HIGHER));
    world.claims.configure(vec![("vmbr1".into(), config(Guard::Pinned))], world.now);
    assert_eq!(world.claims.remote_of(ip("203.0.113.1")), None);
    assert!(world.claims.remote_of(ip(V4)).is_some());
}

#[test]
fn the_timers_of_rdnbrd_miss_a_vm_after_three_seconds() {
    let timers = Timers::RDNBRD;
    let mut world = world(DomainConfig { timers, ..config(Guard::Pinned) });
    world.arp(1, 1, V4);
    let probe = "probe 198.51.100.11 1 via 1";
    assert_eq!(world.pass(Duration::from_millis(2_700)), [probe; 2].join(", "));
    assert_eq!(
        world.pass(Duration::from_millis(500)),
        "withdraw 198.51.100.11, remove 198.51.100.11, Silent"
    );
}
