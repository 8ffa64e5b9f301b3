//! VLANs of a bridge, as a kernel whose bridges heed them describes links and ports; frames and sockets are real.

use std::time::Duration;

use siskin_neighbor::{HostRoutes, LinkInfo, Mac, Refusal};
use siskin_net::{IfIndex, PortVlans, Timestamp, VlanRange};

use crate::world::{Wire, bridge, config, in_namespace, links, run};

const VM: Mac = Mac([0x52, 0, 0, 0, 0, 1]);

/// Two interfaces that play the bridge's VLAN devices.
fn devices() {
    for vlan in [100, 200] {
        run(&format!("ip link add vmbr1.{vlan} type veth peer name end{vlan}"));
        run(&format!("ip link set vmbr1.{vlan} addrgenmode none up"));
        run(&format!("ip link set end{vlan} up"));
    }
}

struct World {
    routes: HostRoutes,
    now: Timestamp,
}

impl World {
    fn turn(&mut self) {
        for _ in 0..5 {
            self.now = self.now + Duration::from_millis(10);
            let now = self.now;
            let _actions = self.routes.turn(move || now, Some(Duration::from_millis(10))).unwrap();
        }
    }

    fn learned(&self) -> Vec<String> {
        let all = self.routes.snapshot();
        all.iter().map(|r| format!("{} {} {}", r.section, r.interface, r.address)).collect()
    }

    fn vlans(&mut self, port: IfIndex, pvid: Option<u16>, ranges: &[(u16, bool)]) {
        let range = |(id, untagged): &(u16, bool)| VlanRange { first: *id, last: *id, untagged: *untagged };
        let vlans = PortVlans { pvid, ranges: ranges.iter().map(range).collect() };
        self.routes.set_vlans([(port, vlans)], false, self.now);
    }
}

/// What netlink would say: the bridge heeds VLANs, and both devices stand on it.
fn as_vlans(link: LinkInfo, bridge: IfIndex) -> LinkInfo {
    match link.name.as_str() {
        "vmbr1" => LinkInfo { vlan_filtering: true, ..link },
        "vmbr1.100" => LinkInfo { kind: "vlan".to_owned(), lower: Some(bridge), vlan: Some(100), ..link },
        "vmbr1.200" => LinkInfo { kind: "vlan".to_owned(), lower: Some(bridge), vlan: Some(200), ..link },
        _ => link,
    }
}

fn claim(host: u8, tag: Option<u16>) -> Vec<u8> {
    let mut frame = Wire::claim(VM, [198, 51, 100, host].into());
    if let Some(tag) = tag {
        let [high, low] = tag.to_be_bytes();
        frame.splice(12..12, [0x81, 0, high, low]);
    }
    frame
}

#[test]
fn a_trunk_and_an_access_port_of_two_domains() {
    in_namespace("vlans::a_trunk_and_an_access_port_of_two_domains", || {
        bridge();
        devices();
        let (access, trunk) = (Wire::on_bridge("access"), Wire::on_bridge("trunk"));
        let by_key = siskin_neighbor::DomainConfig { vlan: Some(200), ..config() };
        let domains = vec![("vmbr1.100".to_owned(), config()), ("vmbr1".to_owned(), by_key)];
        let mut world = World { routes: HostRoutes::new(domains).unwrap(), now: Timestamp(1_000_000_000) };
        let links = links();
        let index = |name: &str| links.values().find(|link| link.name == name).unwrap().index;
        let (bridge, access_port, trunk_port) = (index("vmbr1"), index("access"), index("trunk"));
        for link in links.values() {
            world.routes.link_event(as_vlans(link.clone(), bridge), world.now);
        }
        assert!(world.routes.ports().is_empty(), "memberships are not known yet");
        world.vlans(access_port, Some(100), &[(100, true)]);
        world.vlans(trunk_port, Some(1), &[(1, true), (100, false), (200, false)]);
        let ports = |world: &mut World| {
            let ports = world.routes.ports();
            ports.iter().map(|p| format!("{} {}", p.name, p.section)).collect::<Vec<_>>()
        };
        let mut there = ports(&mut world);
        there.sort();
        assert_eq!(there, ["access vmbr1.100", "trunk vmbr1", "trunk vmbr1.100"]);

        access.send(&claim(10, None));
        trunk.send(&claim(21, Some(100)));
        trunk.send(&claim(22, Some(200)));
        world.turn();
        let learned = [
            "vmbr1.100 vmbr1.100 198.51.100.10",
            "vmbr1.100 vmbr1.100 198.51.100.21",
            "vmbr1 vmbr1.200 198.51.100.22",
        ];
        let mut found = world.learned();
        found.sort_by_key(|text| text.rsplit('.').next().map(str::to_owned));
        assert_eq!(found, learned);
        // Another VLAN, the trunk's own, and a tag on the access port are nobody's, and no offence.
        trunk.send(&claim(31, None));
        trunk.send(&claim(32, Some(300)));
        access.send(&claim(33, Some(200)));
        world.turn();
        assert_eq!(world.learned().len(), 3);
        let refused = |world: &mut World| {
            let ports = world.routes.ports();
            ports
                .iter()
                .map(|p| Refusal::ALL.iter().map(|r| p.counters.refused(*r)).sum::<u64>())
                .sum::<u64>()
        };
        assert_eq!(refused(&mut world), 0);
        // The same address in the other VLAN: the owner is asked there first.
        trunk.send(&claim(10, Some(200)));
        world.turn();
        assert!(world.learned().contains(&learned[0].to_owned()));

        // Memberships change: the port leaves VLAN 100 alone, and its claims there go.
        world.vlans(trunk_port, Some(200), &[(200, true)]);
        world.turn();
        assert!(!world.learned().iter().any(|text| text.ends_with(".21")));
        assert!(world.learned().contains(&learned[2].to_owned()), "a new tagging is the same port");
        trunk.send(&claim(23, None));
        world.turn();
        assert!(world.learned().contains(&"vmbr1 vmbr1.200 198.51.100.23".to_owned()));
        // The bridge heeds VLANs no more: the devices get what is tagged, from all ports.
        world.routes.link_event(links[&bridge].clone(), world.now);
        world.routes.set_vlans([], true, world.now);
        access.send(&claim(41, Some(100)));
        access.send(&claim(42, None));
        world.turn();
        let learned = world.learned();
        assert!(learned.contains(&"vmbr1.100 vmbr1.100 198.51.100.41".to_owned()), "{learned:?}");
        assert!(!learned.iter().any(|text| text.ends_with(".42")), "{learned:?}");
    });
}

#[test]
fn frames_to_a_vm_carry_the_tag_that_its_port_has() {
    in_namespace("vlans::frames_to_a_vm_carry_the_tag_that_its_port_has", || {
        bridge();
        devices();
        let trunk = Wire::on_bridge("trunk");
        let domains = vec![("vmbr1.100".to_owned(), config())];
        let mut world = World { routes: HostRoutes::new(domains).unwrap(), now: Timestamp(1_000_000_000) };
        let links = links();
        let index = |name: &str| links.values().find(|link| link.name == name).unwrap().index;
        let mut ear = siskin_neighbor::snoop::Snooper::open().unwrap();
        ear.add_port(index("trunk-end"), true).unwrap();
        for link in links.values() {
            world.routes.link_event(as_vlans(link.clone(), index("vmbr1")), world.now);
        }
        world.vlans(index("trunk"), None, &[(100, false)]);
        trunk.send(&claim(11, Some(100)));
        world.turn();
        let mut buffer = [0; 128];
        let mut tags = Vec::new();
        while let Some(received) = ear.receive(index("trunk-end"), &mut buffer).unwrap() {
            tags.push(received.stripped_vlan);
        }
        assert!(tags.len() >= 2, "the gateway's announcement in both families: {tags:?}");
        assert!(tags.iter().all(|tag| *tag == Some(100)), "{tags:?}");
    });
}
