//! VMs that start, speak, fall silent, move, steal and go.

use std::time::Duration;

use siskin_neighbor::{Action, Adopted, DomainConfig, Refusal, Timers};

use crate::world::{BRIDGE_MAC, Hypervisor, Vm, active, attempt, bridge, config, in_namespace, links, run};

const SOON: Duration = Duration::from_secs(4);

fn short_timers() -> DomainConfig {
    let timers = Timers {
        probe_interval: Duration::from_millis(600),
        probe_gap: Duration::from_millis(200),
        ..Timers::default()
    };
    DomainConfig { timers, ..config() }
}

#[test]
fn a_vm_that_speaks_is_routed_until_its_port_goes() {
    in_namespace("vms::a_vm_that_speaks_is_routed_until_its_port_goes", || {
        bridge();
        let mut hypervisor = Hypervisor::new("vmbr1", config());
        let vm = Vm::on_bridge(1, 1);
        hypervisor.feed_links();
        vm.addresses(11);
        let _pings = vm.speak(11);
        hypervisor.until("both families announced", SOON, |routes| {
            active(routes, "198.51.100.11", "tap1") && active(routes, "2001:db8:100::11", "tap1")
        });
        assert_eq!(hypervisor.routes.snapshot().len(), 2, "link-local addresses are nobody's claim");
        assert!(
            run("ip neigh show dev vmbr1")
                .contains("198.51.100.11 lladdr 52:00:00:00:00:01 PERMANENT proto 201")
        );
        assert!(run("ip -6 route show proto 201").contains("2001:db8:100::11 dev vmbr1"));
        run("ping -c 1 -W 2 198.51.100.11");
        run("ping -c 1 -W 2 2001:db8:100::11");

        run("ip link del tap1");
        let time = hypervisor.until("both are gone", SOON, <[_]>::is_empty);
        println!("port deleted, withdrawn by a polling test after {time:?}");
        for address in ["198.51.100.11", "2001:db8:100::11"] {
            assert_eq!(hypervisor.history(address), ["install", "announce", "withdraw", "remove"]);
        }
        assert_eq!(run("ip route show proto 201") + &run("ip -6 route show proto 201"), "");
        assert!(!run("ip neigh show dev vmbr1").contains("PERMANENT"));
    });
}

#[test]
fn a_dad_probe_alone_is_not_announced_before_the_address_answers() {
    in_namespace("vms::a_dad_probe_alone_is_not_announced_before_the_address_answers", || {
        bridge();
        let mut hypervisor = Hypervisor::new("vmbr1", config());
        let vm = Vm::on_bridge(1, 1);
        hypervisor.feed_links();
        // The kernel's own duplicate address detection; nothing else is sent from the address.
        vm.run("ip addr add 2001:db8:100::77/128 dev eth0");
        hypervisor.until("seen as a candidate", SOON, |routes| {
            routes.iter().any(|r| r.state.name() == "candidate" && !r.announced)
        });
        hypervisor.until("announced", SOON, |routes| active(routes, "2001:db8:100::77", "tap1"));
    });
}

#[test]
fn a_silent_vm_goes_after_its_probes_and_comes_back_when_it_speaks() {
    in_namespace("vms::a_silent_vm_goes_after_its_probes_and_comes_back_when_it_speaks", || {
        bridge();
        let mut hypervisor = Hypervisor::new("vmbr1", short_timers());
        let vm = Vm::on_bridge(1, 1);
        hypervisor.feed_links();
        vm.addresses(11);
        let pings = vm.speak(11);
        hypervisor.until("announced", SOON, |routes| {
            active(routes, "198.51.100.11", "tap1") && active(routes, "2001:db8:100::11", "tap1")
        });
        drop(pings);
        hypervisor.run_for(Duration::from_secs(2));
        let alive = hypervisor.routes.snapshot();
        assert!(
            alive.iter().all(|r| r.announced && r.probes_sent > 0),
            "answered probes keep it: {alive:#?}"
        );

        vm.run("ip addr flush dev eth0");
        hypervisor
            .until("gone", SOON, |routes| routes.iter().all(|r| r.state.name() == "gone" && !r.announced));
        assert_eq!(run("ip route show proto 201"), "");

        vm.addresses(11);
        let _pings = vm.speak(11);
        hypervisor.until("back", SOON, |routes| active(routes, "198.51.100.11", "tap1"));
    });
}

#[test]
fn a_hijack_from_another_port_changes_nothing() {
    in_namespace("vms::a_hijack_from_another_port_changes_nothing", || {
        bridge();
        let mut hypervisor = Hypervisor::new("vmbr1", config());
        let (owner, thief) = (Vm::on_bridge(1, 1), Vm::on_bridge(2, 2));
        hypervisor.feed_links();
        owner.addresses(11);
        let _pings = owner.speak(11);
        let both = |routes: &[_]| {
            active(routes, "198.51.100.11", "tap1") && active(routes, "2001:db8:100::11", "tap1")
        };
        hypervisor.until("announced", SOON, both);
        let before = hypervisor.actions.len();

        thief.run("ip addr add 198.51.100.11/32 dev eth0");
        thief.run("ip addr add 2001:db8:100::11/128 dev eth0 nodad");
        thief.run("ip route replace 169.254.0.1 dev eth0 scope link");
        thief.run("ip addr add 169.254.0.1/32 dev lo");
        let _pings = thief.speak(11);
        hypervisor.run_for(Duration::from_secs(1));
        assert!(both(&hypervisor.routes.snapshot()));
        let refused = hypervisor.port("tap2").counters.refused(Refusal::WrongPort);
        assert!(refused > 0, "the attempt is counted");
        assert!(hypervisor.told(Refusal::WrongPort));
        let later = &hypervisor.actions[before..];
        assert!(later.iter().all(|(_, a)| matches!(a, Action::Notice(_))), "{later:?}");
        assert_eq!(later.len(), 1, "many attempts, one notice");

        // With the owner's MAC address too, the owner is asked, and answers.
        thief.run("ip link set eth0 address 52:00:00:00:00:01");
        let _pings = thief.speak(11);
        hypervisor.run_for(Duration::from_secs(2));
        assert!(
            hypervisor
                .routes
                .snapshot()
                .iter()
                .all(|r| r.port_name.as_deref() == Some("tap1") && r.announced)
        );
        assert_eq!(hypervisor.history("198.51.100.11"), ["install", "announce"]);
    });
}

#[test]
fn a_vm_moves_to_another_port_when_the_old_one_is_silent_or_gone() {
    in_namespace("vms::a_vm_moves_to_another_port_when_the_old_one_is_silent_or_gone", || {
        bridge();
        let mut hypervisor = Hypervisor::new("vmbr1", config());
        let (here, there) = (Vm::on_bridge(1, 1), Vm::on_bridge(2, 1));
        hypervisor.feed_links();
        here.addresses(11);
        let _pings = here.speak(11);
        hypervisor.until("announced", SOON, |routes| {
            active(routes, "198.51.100.11", "tap1") && active(routes, "2001:db8:100::11", "tap1")
        });
        here.run("ip addr flush dev eth0");
        there.addresses(11);
        let _pings = there.speak(11);
        let time = hypervisor.until("moved", SOON, |routes| active(routes, "198.51.100.11", "tap2"));
        println!("silent old port: moved after {time:?}");
        assert_eq!(
            hypervisor.history("198.51.100.11"),
            ["install", "announce"],
            "a move needs no withdrawal"
        );
        hypervisor.until("moved", SOON, |routes| active(routes, "2001:db8:100::11", "tap2"));

        let third = Vm::on_bridge(3, 1);
        hypervisor.feed_links();
        run("ip link del tap2");
        third.addresses(11);
        let _pings = third.speak(11);
        hypervisor.until("moved again", SOON, |routes| active(routes, "198.51.100.11", "tap3"));
    });
}

#[test]
fn carrier_loss_withdraws_after_its_delay_and_probes_bring_a_silent_vm_back() {
    in_namespace("vms::carrier_loss_withdraws_after_its_delay_and_probes_bring_a_silent_vm_back", || {
        bridge();
        let mut hypervisor = Hypervisor::new("vmbr1", config());
        let vm = Vm::on_bridge(1, 1);
        hypervisor.feed_links();
        vm.addresses(11);
        let pings = vm.speak(11);
        hypervisor.until("announced", SOON, |routes| active(routes, "198.51.100.11", "tap1"));
        drop(pings);
        vm.run("ip link set eth0 down");
        let time =
            hypervisor.until("withdrawn", SOON, |routes| routes.iter().all(|r| r.state.name() == "gone"));
        assert!(time > Duration::from_millis(800), "{time:?}");
        // IPv4 alone: Linux drops IPv6 addresses with the link.
        vm.run("ip link set eth0 up");
        hypervisor.until("back", SOON, |routes| active(routes, "198.51.100.11", "tap1"));
    });
}

#[test]
fn a_routed_veth_without_a_bridge_is_its_own_port() {
    in_namespace("vms::a_routed_veth_without_a_bridge_is_its_own_port", || {
        run("ip link set lo up");
        // The interface comes after the daemon.
        let mut hypervisor = Hypervisor::new("tap1", config());
        let vm = Vm::start(1, 1);
        run("ip addr add 169.254.0.1/32 dev tap1");
        run("ip addr add fe80::1/64 dev tap1 nodad");
        hypervisor.feed_links();
        vm.addresses(11);
        let _pings = vm.speak(11);
        hypervisor.until("announced", SOON, |routes| {
            active(routes, "198.51.100.11", "tap1") && active(routes, "2001:db8:100::11", "tap1")
        });
        run("ip link del tap1");
        hypervisor.until("gone", SOON, <[_]>::is_empty);
    });
}

#[test]
fn what_a_previous_run_left_is_taken_over_proven_and_swept() {
    in_namespace("vms::what_a_previous_run_left_is_taken_over_proven_and_swept", || {
        bridge();
        let vm = Vm::on_bridge(1, 1);
        vm.addresses(11);
        // Duplicate address detection is over before the daemon starts.
        run("sleep 2.5");
        let mut config = config();
        config.timers.adopt_sweep = Duration::from_secs(5);
        let mut hypervisor = Hypervisor::new("vmbr1", config);
        let interface = links().into_values().find(|link| link.name == "vmbr1").unwrap().index;
        let left = |address: &str, mac: &str| Adopted {
            interface,
            address: address.parse().unwrap(),
            mac: mac.parse().unwrap(),
        };
        let now = hypervisor.now();
        hypervisor.routes.adopt(
            [
                left("198.51.100.11", "52:00:00:00:00:01"),
                left("2001:db8:100::11", "52:00:00:00:00:01"),
                left("198.51.100.99", "52:00:00:00:00:99"),
                left("203.0.113.1", "52:00:00:00:00:01"),
            ],
            now,
        );
        hypervisor.run_for(Duration::from_millis(5));
        assert_eq!(hypervisor.state("198.51.100.99"), "unverified");
        assert_eq!(hypervisor.history("198.51.100.99"), ["install", "announce"]);
        assert_eq!(hypervisor.history("203.0.113.1"), ["remove"], "outside the prefixes");
        hypervisor.until("proven by probes alone", SOON, |routes| {
            active(routes, "198.51.100.11", "tap1") && active(routes, "2001:db8:100::11", "tap1")
        });
        hypervisor.until("swept", Duration::from_secs(10), |routes| routes.len() == 2);
        assert_eq!(hypervisor.history("198.51.100.99"), ["install", "announce", "withdraw", "remove"]);
        assert_eq!(hypervisor.history("198.51.100.11"), ["install", "announce"], "no flap over a restart");
    });
}

#[test]
fn entries_that_somebody_removes_come_back() {
    in_namespace("vms::entries_that_somebody_removes_come_back", || {
        bridge();
        let mut hypervisor = Hypervisor::new("vmbr1", config());
        let vm = Vm::on_bridge(1, 1);
        hypervisor.feed_links();
        vm.addresses(11);
        let _pings = vm.speak(11);
        hypervisor.until("announced", SOON, |routes| active(routes, "198.51.100.11", "tap1"));
        run("ip neigh del 198.51.100.11 dev vmbr1");
        let interface = hypervisor.routes.snapshot()[0].interface_index;
        let now = hypervisor.now();
        hypervisor.routes.kernel_mismatch(interface, "198.51.100.11".parse().unwrap(), now);
        hypervisor.run_for(Duration::from_millis(20));
        assert!(run("ip neigh show dev vmbr1").contains("198.51.100.11 lladdr 52:00:00:00:00:01 PERMANENT"));
    });
}

#[test]
fn a_bridge_that_goes_down_and_up_has_its_routes_again() {
    in_namespace("vms::a_bridge_that_goes_down_and_up_has_its_routes_again", || {
        bridge();
        run("sysctl -qw net.ipv6.conf.vmbr1.keep_addr_on_down=1");
        let mut hypervisor = Hypervisor::new("vmbr1", config());
        let vm = Vm::on_bridge(1, 1);
        hypervisor.feed_links();
        vm.addresses(11);
        let pings = vm.speak(11);
        hypervisor.until("announced", SOON, |routes| {
            active(routes, "198.51.100.11", "tap1") && active(routes, "2001:db8:100::11", "tap1")
        });
        drop(pings);
        run("ip link set vmbr1 down");
        hypervisor.until("withdrawn", SOON, |routes| routes.iter().all(|r| !r.announced));
        run("ip link set vmbr1 up");
        hypervisor.until("back", SOON, |routes| {
            active(routes, "198.51.100.11", "tap1") && active(routes, "2001:db8:100::11", "tap1")
        });
        assert!(attempt("ip route show proto 201").0.contains("198.51.100.11"));
        run("ping -c 1 -W 2 198.51.100.11");
    });
}

#[test]
fn after_lost_netlink_events_a_resync_finds_what_went() {
    in_namespace("vms::after_lost_netlink_events_a_resync_finds_what_went", || {
        bridge();
        let mut hypervisor = Hypervisor::new("vmbr1", config());
        let vm = Vm::on_bridge(1, 1);
        hypervisor.feed_links();
        vm.addresses(11);
        let _pings = vm.speak(11);
        hypervisor.until("announced", SOON, |routes| active(routes, "198.51.100.11", "tap1"));
        run("ip link del tap1");
        let now = hypervisor.now();
        hypervisor.routes.resync_links(links().into_values().collect(), now);
        assert!(hypervisor.routes.snapshot().is_empty());
        assert!(hypervisor.routes.ports().is_empty());
    });
}

#[test]
fn a_vm_that_arrives_with_the_gateway_of_another_hypervisor_learns_ours() {
    in_namespace("vms::a_vm_that_arrives_with_the_gateway_of_another_hypervisor_learns_ours", || {
        bridge();
        let mut hypervisor = Hypervisor::new("vmbr1", config());
        let vm = Vm::on_bridge(1, 1);
        hypervisor.feed_links();
        // What is announced to a port that comes is over by then.
        hypervisor.run_for(Duration::from_millis(1500));
        for gateway in ["-4 neigh replace 169.254.0.1", "-6 neigh replace fe80::1"] {
            vm.run(&format!("ip {gateway} lladdr 02:00:00:00:00:99 dev eth0 router nud reachable"));
        }
        // It sends nothing but its duplicate address detection.
        vm.run("ip addr add 2001:db8:100::11/128 dev eth0");
        hypervisor.until("announced", SOON, |routes| active(routes, "2001:db8:100::11", "tap1"));
        hypervisor.run_for(Duration::from_millis(50));
        let ipv4 = vm.run("ip -4 neigh show 169.254.0.1 dev eth0");
        assert!(ipv4.contains(BRIDGE_MAC), "{ipv4}");
        let ipv6 = vm.run("ip -6 neigh show fe80::1 dev eth0");
        assert!(ipv6.contains(BRIDGE_MAC) && ipv6.contains("router"), "{ipv6}");
    });
}
