//! Any sequence of events: kernel and BGP, replayed from the actions, are never out of order, never hold what they
//! must not, and always agree with the claims.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use proptest::prelude::*;

use super::*;

const LIMITS: Limits = Limits { per_port: 3, candidates_per_port: 2, frames_per_second: 50, burst: 100 };

#[derive(Clone, Debug)]
enum Op {
    Hear { port: IfIndex, mac: u8, address: usize, kind: EvidenceKind },
    Port { port: IfIndex, up: bool },
    PortGone(IfIndex),
    Link(bool),
    LinkGone,
    Adopt { address: usize, mac: u8 },
    Remove(usize),
    Mismatch(usize),
    Remote { address: usize, sequence: u32, binding: Option<u8>, originator: u32 },
    RemoteGone(usize),
    Declare { address: usize, mac: u8, port: bool, standby: bool },
    Undeclare(usize),
    Migrate(usize),
    Release(usize),
    Restart,
    Configure(Guard),
    Pass(u64),
}

/// Addresses in and outside the prefixes, ours, the gateway's, and what is no host's.
const ADDRESSES: [&str; 14] = [
    "198.51.100.1",
    "198.51.100.2",
    "198.51.100.3",
    "198.51.100.4",
    "198.51.100.5",
    "2001:db8:100::1",
    "2001:db8:100::2",
    "198.51.100.254",
    "203.0.113.1",
    "169.254.0.1",
    "fe80::1",
    "fe80::2",
    "ff02::1",
    "0.0.0.0",
];
const OWN: &str = "198.51.100.254";

fn kinds() -> impl Strategy<Value = EvidenceKind> {
    prop_oneof![
        Just(EvidenceKind::ArpRequest),
        Just(EvidenceKind::ArpReply),
        Just(EvidenceKind::ArpProbe),
        Just(EvidenceKind::DuplicateAddressDetection),
        Just(EvidenceKind::NeighborAdvertisement),
        Just(EvidenceKind::Rarp),
    ]
}

/// Four ports of the first domain; the fifth is the second's.
fn port() -> impl Strategy<Value = IfIndex> {
    1u32..6
}

fn ops() -> impl Strategy<Value = Op> {
    let address = 0..ADDRESSES.len();
    let guard = prop_oneof![Just(Guard::Open), Just(Guard::Pinned), Just(Guard::Provisioned)];
    prop_oneof![
        12 => (port(), 1u8..4, address.clone(), kinds())
            .prop_map(|(port, mac, address, kind)| Op::Hear { port, mac, address, kind }),
        3 => (port(), any::<bool>()).prop_map(|(port, up)| Op::Port { port, up }),
        1 => port().prop_map(Op::PortGone),
        1 => any::<bool>().prop_map(Op::Link),
        1 => Just(Op::LinkGone),
        2 => (address.clone(), 1u8..4).prop_map(|(address, mac)| Op::Adopt { address, mac }),
        1 => address.clone().prop_map(Op::Remove),
        1 => address.clone().prop_map(Op::Mismatch),
        4 => (address.clone(), 0u32..8, proptest::option::of(1u8..4), 1u32..4).prop_map(
            |(address, sequence, binding, originator)| Op::Remote { address, sequence, binding, originator }
        ),
        3 => address.clone().prop_map(Op::RemoteGone),
        2 => (address.clone(), 1u8..4, any::<bool>(), any::<bool>())
            .prop_map(|(address, mac, port, standby)| Op::Declare { address, mac, port, standby }),
        1 => address.clone().prop_map(Op::Undeclare),
        1 => address.clone().prop_map(Op::Migrate),
        1 => address.prop_map(Op::Release),
        1 => Just(Op::Restart),
        1 => guard.prop_map(Op::Configure),
        6 => prop_oneof![0u64..500, 500u64..20_000, 20_000u64..700_000].prop_map(Op::Pass),
    ]
}

fn model_config(guard: Guard) -> DomainConfig {
    let vm = Vm {
        name: "vm".into(),
        mac: mac(1),
        addresses: vec![ip("198.51.100.1"), ip("2001:db8:100::1")],
        port: None,
    };
    DomainConfig { vms: vec![vm], limits: LIMITS, announce_without_evidence: true, ..config(guard) }
}

/// Our identifier in the model: others are above and below.
const OURS: BgpIdentifier = BgpIdentifier(2);

/// The world outside, as the actions have made it.
#[derive(Default)]
struct Outside {
    kernel: BTreeMap<IpAddr, Mac>,
    announced: BTreeMap<IpAddr, Mobility>,
    /// No address may change its MAC address while it is there.
    pinned: bool,
}

impl Outside {
    fn obey(&mut self, outputs: Vec<Output>) {
        for output in outputs {
            let Output::Action(action) = output else { continue };
            match action {
                Action::Install { address, mac, .. } => {
                    let before = self.kernel.insert(address, mac);
                    assert!(!self.pinned || before.is_none_or(|owner| owner == mac), "{address}: stolen");
                }
                Action::Remove { address, .. } => {
                    assert!(
                        !self.announced.contains_key(&address),
                        "{address}: removed before it was withdrawn"
                    );
                    assert!(self.kernel.remove(&address).is_some(), "{address}: removed and was not there");
                }
                Action::Announce { address, mobility, .. } => {
                    assert!(
                        self.kernel.contains_key(&address),
                        "{address}: announced before it was installed"
                    );
                    assert_eq!(
                        self.kernel.get(&address),
                        Some(&mobility.mac),
                        "{address}: not its MAC address"
                    );
                    let before = self.announced.insert(address, mobility);
                    assert_ne!(before, Some(mobility), "{address}: announced twice");
                    // Within one announcement the sequence number never goes back.
                    assert!(
                        before.is_none_or(|b| b.sequence <= mobility.sequence),
                        "{address}: back in time"
                    );
                }
                Action::Withdraw { address, .. } => {
                    assert!(
                        self.announced.remove(&address).is_some(),
                        "{address}: withdrawn and was not announced"
                    );
                }
                Action::Notice(_) => {}
            }
        }
    }

    fn agrees(&self, claims: &Claims, now: Timestamp, guard: Guard) {
        let mut kernel = BTreeMap::new();
        let mut announced = BTreeMap::new();
        let mut bound: BTreeMap<IfIndex, usize> = BTreeMap::new();
        for claim in claims.iter() {
            assert!(config(Guard::Open).permits(claim.address) && claim.address != ip(OWN), "{claim:?}");
            if claim.installed {
                let other = kernel.insert(claim.address, claim.mac);
                assert_eq!(other, None, "{claim:?}: two owners");
            }
            if claim.announced {
                assert!(claim.installed, "{claim:?}");
                announced.insert(claim.address, claim.mobility);
                // Whoever has precedence is yielded to, unless it means another VM.
                let wins = claim.remote.is_some_and(|r| r.beats(claim.mobility.sequence, OURS));
                let other_vm = claim.remote.is_some_and(|r| r.contradicts(claim.mac));
                assert!(!wins || other_vm && guard != Guard::Open, "{claim:?}");
            } else {
                assert!(!claim.mobility.elevated && !claim.mobility.leaving, "{claim:?}");
            }
            if matches!(claim.state, StateName::Active | StateName::Candidate) {
                assert!(claim.port.is_some(), "{claim:?}");
            }
            if let Some(port) = claim.port {
                *bound.entry(port).or_default() += 1;
                let port = claims.ports().find(|p| p.index == port).expect("a claim's port is there");
                assert!(port.addresses.contains(&claim.address), "{claim:?}");
            }
        }
        assert_eq!((&kernel, &announced), (&self.kernel, &self.announced));
        assert!(bound.values().all(|count| *count <= LIMITS.per_port), "{bound:?}");
        let on_ports: usize = claims.ports().map(|port| port.addresses.len()).sum();
        assert_eq!(on_ports, bound.values().sum::<usize>(), "no port names an address that is not its");
        assert!(claims.next_deadline().is_none_or(|at| at > now), "all that was due is done");
        assert!(claims.history().len() <= 20);
    }
}

fn apply(world: &mut World, outside: &mut Outside, op: &Op) {
    let now = world.now;
    let address = |at: &usize| ip(ADDRESSES[*at]);
    match op {
        Op::Hear { port, mac: n, address: at, kind } => {
            let address = (*kind != EvidenceKind::Rarp).then(|| address(at));
            let seen = Sighting { mac: mac(*n), vlan: None, address, kind: *kind };
            world.claims.sighted(*port, Ok(seen), now);
        }
        Op::Port { port, up } => world.port(*port, *up),
        Op::PortGone(port) => world.claims.port_gone(*port, now),
        Op::Link(up) => world.link(*up),
        Op::LinkGone => {
            let domain = world.domain();
            world.claims.set_link(domain, None, now);
        }
        Op::Adopt { address: at, mac: n } => {
            // What is adopted was in the kernel; an entry we have now is not left by a previous run.
            if let Entry::Vacant(entry) = outside.kernel.entry(address(at)) {
                entry.insert(mac(*n));
                world.claims.adopt(BRIDGE, address(at), mac(*n), now);
            }
        }
        Op::Remove(at) => {
            world.claims.remove("vmbr1", address(at), now);
        }
        Op::Mismatch(at) => world.claims.kernel_mismatch(BRIDGE, address(at), now),
        Op::Remote { address: at, sequence, binding, originator } => {
            let remote = Remote {
                sequence: *sequence,
                binding: binding.map(|n| binding_of(mac(n))),
                originator: BgpIdentifier(*originator),
                elevated: None,
            };
            world.claims.remote(address(at), Some(remote), now);
        }
        Op::RemoteGone(at) => world.claims.remote(address(at), None, now),
        Op::Declare { address: at, mac: n, port, standby } => {
            let port = port.then(|| "tap2".to_owned());
            let vm = Vm { name: format!("vm{n}"), mac: mac(*n), addresses: vec![address(at)], port };
            drop(world.claims.declare("vmbr1", &vm, *standby, now));
        }
        Op::Undeclare(at) => {
            world.claims.undeclare("vmbr1", address(at), now);
        }
        Op::Migrate(at) => {
            world.claims.migrate("vmbr1", address(at), now);
        }
        Op::Release(at) => {
            world.claims.release("vmbr1", address(at), now);
        }
        // What is kept is taken in again beside what is there: it never does harm.
        Op::Restart => world.claims.restore(world.claims.bindings(), now),
        Op::Configure(guard) => world.configure_two(model_config(*guard)),
        Op::Pass(millis) => {
            let end = now + Duration::from_millis(*millis);
            while let Some(at) = world.claims.next_deadline().filter(|at| *at <= end) {
                world.now = at;
                world.claims.expire(at);
                outside.obey(world.claims.take_outputs());
            }
            world.now = end;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn kernel_and_bgp_are_always_in_order(ops in proptest::collection::vec(ops(), 1..120)) {
        let mut world = World::with_two(model_config(Guard::Pinned));
        world.claims.set_own_addresses([ip(OWN)], world.now);
        world.claims.set_identifier(OURS, world.now);
        let mut outside = Outside::default();
        outside.obey(world.claims.take_outputs());
        let mut guard = Guard::Pinned;
        for op in &ops {
            if let Op::Configure(new) = op {
                guard = *new;
            }
            apply(&mut world, &mut outside, op);
            outside.obey(world.claims.take_outputs());
            outside.agrees(&world.claims, world.now, guard);
        }
        world.claims.configure(Vec::new(), world.now);
        outside.obey(world.claims.take_outputs());
        prop_assert!(outside.kernel.is_empty() && outside.announced.is_empty());
        prop_assert_eq!(world.claims.next_deadline(), None);
    }

    /// Under the pinned guard an address never goes from one MAC address to another without a withdrawal between.
    #[test]
    fn a_pinned_owner_loses_to_another_mac_only_after_a_withdrawal(
        ops in proptest::collection::vec(ops(), 1..120),
    ) {
        let mut world = World::with_two(DomainConfig { limits: LIMITS, ..config(Guard::Pinned) });
        let mut outside = Outside { pinned: true, ..Outside::default() };
        let told = |op: &Op| {
            !matches!(op, Op::Configure(_) | Op::Adopt { .. } | Op::Declare { .. } | Op::Undeclare(_))
        };
        for op in ops.iter().filter(|op| told(op)) {
            apply(&mut world, &mut outside, op);
            outside.obey(world.claims.take_outputs());
        }
    }
}
