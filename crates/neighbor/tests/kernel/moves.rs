//! Another router announces a VM's address: what the hypervisor asks a real VM, and does to the real kernel.

use std::net::IpAddr;
use std::time::Duration;

use siskin_neighbor::{Action, Mac, NoticeKind, Remote, SavedBinding, binding_of};
use siskin_net::BgpIdentifier;

use crate::world::{Hypervisor, Vm, active, bridge, config, in_namespace, run};

const SOON: Duration = Duration::from_secs(4);
const VM_MAC: Mac = Mac([0x52, 0, 0, 0, 0, 1]);
const ADDRESSES: [&str; 2] = ["198.51.100.11", "2001:db8:100::11"];

fn remote(sequence: u32) -> Option<Remote> {
    let binding = Some(binding_of(VM_MAC));
    Some(Remote { sequence, binding, originator: BgpIdentifier(1), elevated: Some(true) })
}

impl Hypervisor {
    fn hear_of(&mut self, address: &str, remote: Option<Remote>) {
        let now = self.now();
        self.routes.remote(address.parse().unwrap(), remote, now);
    }

    fn last_announced(&self, address: &str) -> (u32, bool) {
        let wanted: IpAddr = address.parse().unwrap();
        let announced = self.actions.iter().rev().find_map(|(_, action)| match action {
            Action::Announce { address, mobility, .. } if *address == wanted => Some(mobility),
            _ => None,
        });
        announced.map(|mobility| (mobility.sequence, mobility.elevated)).unwrap()
    }
}

/// A VM that has spoken, and is quiet now.
fn quiet_vm(hypervisor: &mut Hypervisor) -> Vm {
    let vm = Vm::on_bridge(1, 1);
    hypervisor.feed_links();
    vm.addresses(11);
    let pings = vm.speak(11);
    hypervisor
        .until("announced", SOON, |routes| ADDRESSES.iter().all(|address| active(routes, address, "tap1")));
    drop(pings);
    vm
}

#[test]
fn a_vm_that_is_still_here_answers_and_gets_its_addresses_back() {
    in_namespace("moves::a_vm_that_is_still_here_answers_and_gets_its_addresses_back", || {
        bridge();
        let mut hypervisor = Hypervisor::new("vmbr1", config());
        let _vm = quiet_vm(&mut hypervisor);
        for address in ADDRESSES {
            hypervisor.hear_of(address, remote(6));
        }
        hypervisor.run_for(Duration::from_millis(100));
        let entries = run("ip neigh show dev vmbr1 nud permanent") + &run("ip -6 neigh show dev vmbr1");
        for address in ADDRESSES {
            assert_eq!(hypervisor.state(address), "moved");
            assert!(hypervisor.history(address).ends_with(&["withdraw"]));
            assert!(entries.contains(address), "the entry outlives the route: {entries}");
        }
        hypervisor
            .until("back", SOON, |routes| ADDRESSES.iter().all(|address| active(routes, address, "tap1")));
        for address in ADDRESSES {
            let history = hypervisor.history(address);
            assert!(history.ends_with(&["withdraw", "remove", "install", "announce"]), "{history:?}");
            assert_eq!(hypervisor.last_announced(address), (7, true));
        }
        let statistics = hypervisor.routes.statistics();
        assert_eq!((statistics.moves.yielded, statistics.moves.taken_over, statistics.elevated), (2, 2, 2));
        // Both were announced when they came, and again now.
        assert!(statistics.latency.count >= 4 && statistics.latency.longest < Duration::from_secs(1));
        let kinds: Vec<NoticeKind> = hypervisor.routes.history().iter().map(|record| record.kind).collect();
        assert_eq!(kinds.iter().filter(|kind| **kind == NoticeKind::TakenOver).count(), 2, "{kinds:?}");
    });
}

#[test]
fn a_vm_that_has_left_stays_away_until_its_new_router_is_gone_and_it_is_back() {
    in_namespace("moves::a_vm_that_has_left_stays_away_until_its_new_router_is_gone_and_it_is_back", || {
        bridge();
        let mut hypervisor = Hypervisor::new("vmbr1", config());
        let vm = quiet_vm(&mut hypervisor);
        // The VM is stopped, and its port is still there.
        vm.run("ip link set eth0 arp off");
        vm.run("ip -6 addr flush dev eth0");
        vm.run("ip addr flush dev eth0");
        for address in ADDRESSES {
            hypervisor.hear_of(address, remote(1));
        }
        hypervisor.run_for(Duration::from_secs(2));
        for address in ADDRESSES {
            assert_eq!(hypervisor.history(address), ["install", "announce", "withdraw", "remove"]);
            assert_eq!(hypervisor.state(address), "moved");
        }
        assert!(!run("ip neigh show dev vmbr1").contains("PERMANENT"));
        // It is back without a word, and then its other router goes.
        vm.run("ip link set eth0 arp on");
        vm.addresses(11);
        for address in ADDRESSES {
            hypervisor.hear_of(address, None);
        }
        hypervisor
            .until("back", SOON, |routes| ADDRESSES.iter().all(|address| active(routes, address, "tap1")));
        for address in ADDRESSES {
            assert_eq!(hypervisor.last_announced(address), (1, false), "{address}");
        }
    });
}

#[test]
fn a_restart_announces_with_the_number_of_before() {
    in_namespace("moves::a_restart_announces_with_the_number_of_before", || {
        bridge();
        let mut hypervisor = Hypervisor::new("vmbr1", config());
        hypervisor.hear_of(ADDRESSES[0], remote(3));
        let _vm = quiet_vm(&mut hypervisor);
        assert_eq!(hypervisor.last_announced(ADDRESSES[0]), (4, true));
        let saved: Vec<SavedBinding> = hypervisor.routes.bindings();
        assert_eq!(saved.len(), 2);

        let mut again = Hypervisor::new("vmbr1", config());
        let now = again.now();
        again.routes.restore(saved, now);
        let interface = siskin_neighbor::HostRoute::clone(&hypervisor.routes.snapshot()[0]).interface_index;
        let left = ADDRESSES.map(|address| siskin_neighbor::Adopted {
            interface,
            address: address.parse().unwrap(),
            mac: VM_MAC,
        });
        again.routes.adopt(left, now);
        again.until("both are proven", SOON * 2, |routes| {
            ADDRESSES.iter().all(|address| active(routes, address, "tap1"))
        });
        assert_eq!(again.last_announced(ADDRESSES[0]), (4, false));
        assert_eq!(again.history(ADDRESSES[0]), ["install", "announce"], "and never withdrawn");
    });
}
