//! Where VMs may be: behind some of a bridge's ports, behind interfaces of their own, in VLANs of a bridge.

use siskin_interop::Result;
use siskin_interop::frames::{Wire, arp_request};
use siskin_interop::hypervisor::{Uplink, upstream};
use siskin_interop::kernel::siskin_route;
use siskin_interop::lab::{Lab, Ns, lab};
use siskin_interop::plain::{at_peer, gone_at_peer};
use siskin_interop::router::{Kind, Router};
use siskin_interop::siskin::Siskin;
use siskin_interop::vm::{Vm, hypervisor_bridge, hypervisor_tables};
use siskin_interop::wait::{SOON, stays, wait_for};

struct World {
    hv: Ns,
    router: Box<dyn Router>,
    siskin: Siskin,
    upstream: Ns,
}

/// A hypervisor with these tables under BIRD; `prepare` makes its interfaces before Siskin starts.
fn world(lab: &Lab, tables: &str, prepare: impl FnOnce(&Ns) -> Result) -> Result<World> {
    let upstream_ns = lab.ns("upstream")?;
    let uplink = Uplink { number: 1 };
    let hv = uplink.plug(lab, &upstream_ns)?;
    prepare(&hv)?;
    let siskin = uplink.start(&hv, tables)?;
    let router = upstream(&upstream_ns, Kind::Bird, 1)?;
    siskin.wait_established("up")?;
    Ok(World { hv, router, siskin, upstream: upstream_ns })
}

impl World {
    fn on_device(&self, prefix: &str, device: &str) -> Result<bool> {
        let route = siskin_route(&self.hv, prefix)?;
        Ok(route.is_some_and(|r| r.hops.iter().all(|hop| hop.ends_with(&format!("%{device}")))))
    }

    /// Announced in both families, routed to `device`, and reached from above.
    fn reached(&self, vm: &Vm, device: &str) -> Result {
        for prefix in [vm.v4(), vm.v6()] {
            at_peer(self.router.as_ref(), &prefix)?;
            wait_for(&format!("{prefix} on {device}"), SOON, || self.on_device(&prefix, device))?;
        }
        for address in [vm.address4(), vm.address6()] {
            wait_for(&format!("a ping to {address}"), SOON, || self.upstream.pings(&address, 3))?;
        }
        Ok(())
    }

    fn gone(&self, vm: &Vm) -> Result {
        gone_at_peer(self.router.as_ref(), &vm.v4())?;
        gone_at_peer(self.router.as_ref(), &vm.v6())
    }
}

fn section(name: &str, keys: &str) -> String {
    hypervisor_tables().replace("[host-routes.vmbr1]\n", &format!("[host-routes.\"{name}\"]\n{keys}\n"))
}

#[test]
fn interfaces_of_their_own_by_a_pattern() -> Result {
    lab("taps", |lab| {
        let world = world(lab, &section("tap*", ""), |_| Ok(()))?;
        let (one, two) = (Vm::new(lab, "one", 10)?, Vm::new(lab, "two", 20)?);
        one.plug_routed(&world.hv, "tap10i0")?;
        two.plug_routed(&world.hv, "tap20i0")?;
        one.speak()?;
        two.speak()?;
        world.reached(&one, "tap10i0")?;
        world.reached(&two, "tap20i0")?;
        assert!(one.ns().pings(&two.address4(), 3)?, "from VM to VM");
        let shown = world.siskin.cli_json(&["host-routes"])?;
        let interfaces = shown["interfaces"].as_array().cloned().unwrap_or_default();
        assert_eq!(interfaces.len(), 1, "one section, one line");
        assert_eq!(interfaces[0]["name"], "tap*");
        assert_eq!(interfaces[0]["ports"], 2);
        assert_eq!(interfaces[0]["active"], 4);

        // The VM goes to another tap: the first is gone, or only silent.
        one.unplug()?;
        world.gone(&one)?;
        one.plug_routed(&world.hv, "tap11i0")?;
        one.speak()?;
        world.reached(&one, "tap11i0")?;
        let again = Vm::new(lab, "again", 20)?;
        two.ns().ip("link set eth0 down")?;
        again.plug_routed(&world.hv, "tap21i0")?;
        again.speak()?;
        world.reached(&again, "tap21i0")?;
        let old = world.hv.ip("neigh show dev tap20i0")?;
        assert!(!old.contains("PERMANENT"), "nothing stays behind: {old}");
        // An interface that becomes a bridge's port is none of the pattern's.
        world.hv.bridge("other")?;
        world.hv.ip("link set tap11i0 master other")?;
        world.gone(&one)
    })
}

#[test]
fn an_uplink_among_a_bridges_ports_is_no_vms() -> Result {
    lab("uplink-port", |lab| {
        let named = section("vmbr1", "ports = [\"tap*\"]");
        let world = world(lab, &named, hypervisor_bridge)?;
        let outside = lab.ns("outside")?;
        lab.veth((&world.hv, "lan0"), (&outside, "eth0"))?;
        world.hv.ip("link set lan0 master vmbr1 up")?;
        outside.ip("link set eth0 up")?;
        let wire = Wire::open(&outside, "eth0")?;
        let claim = arp_request([0x52, 0, 0, 0, 0, 0x66], "198.51.100.66".parse()?, "169.254.0.1".parse()?);
        let vm = Vm::new(lab, "web01", 10)?;
        vm.plug(&world.hv)?;
        vm.speak()?;
        world.reached(&vm, "vmbr1")?;
        stays("silence about what is outside", std::time::Duration::from_secs(1), || {
            wire.send(&claim)?;
            Ok(siskin_route(&world.hv, "198.51.100.66/32")?.is_none())
        })?;
        let ports = |siskin: &Siskin| {
            Ok::<_, siskin_interop::Error>(
                siskin.cli_json(&["host-routes"])?["interfaces"][0]["ports"].clone(),
            )
        };
        assert_eq!(ports(&world.siskin)?, 1);

        // Without names every veth is a VM's, but no tunnel to elsewhere.
        world.hv.ip("link set lan0 nomaster")?;
        world.hv.ip("link add overlay0 type vxlan id 5 dstport 4789 local 10.0.1.2")?;
        world.hv.ip("link set overlay0 master vmbr1 up")?;
        world.siskin.write_config(&Uplink { number: 1 }.config(&hypervisor_tables()))?;
        world.siskin.reload()?;
        wait_for("the VM's port alone", SOON, || Ok(ports(&world.siskin)? == 1))?;
        world.hv.ip("link set lan0 master vmbr1")?;
        wait_for("the other veth too", SOON, || Ok(ports(&world.siskin)? == 2))?;
        wire.send(&claim)?;
        wait_for("its claim", SOON, || Ok(siskin_route(&world.hv, "198.51.100.66/32")?.is_some()))
    })
}

/// A bridge that heeds VLANs, with devices of VLANs 100 and 200 that have the gateway's addresses.
fn vlan_bridge(hv: &Ns) -> Result {
    hv.ip("link add vmbr1 type bridge stp_state 0 forward_delay 0 vlan_filtering 1")?;
    hv.ip("link set vmbr1 up")?;
    for vlan in [100, 200] {
        bridge(hv, &format!("vlan add dev vmbr1 vid {vlan} self"))?;
        hv.ip(&format!("link add link vmbr1 name vmbr1.{vlan} type vlan id {vlan}"))?;
        hv.ip(&format!("link set vmbr1.{vlan} up"))?;
        hv.addr(&format!("vmbr1.{vlan}"), "169.254.0.1/32")?;
        hv.addr(&format!("vmbr1.{vlan}"), "fe80::1/64")?;
    }
    Ok(())
}

fn bridge(hv: &Ns, arguments: &str) -> Result {
    let output = hv.command("bridge").args(arguments.split_whitespace()).output()?;
    assert!(output.status.success(), "bridge {arguments}: {output:?}");
    Ok(())
}

#[test]
fn vlans_of_a_bridge_are_domains_of_their_own() -> Result {
    lab("vlans", |lab| {
        let probe = lab.ns("probe")?;
        if let Err(error) = probe.ip("link add vmbr1 type bridge vlan_filtering 1") {
            // The tests of `siskin-neighbor` and `siskin-fib` feed the same with what such a kernel says.
            println!("this kernel's bridges heed no VLANs, nothing is tested here: {error}");
            assert!(error.to_string().contains("not supported"), "{error}");
            return Ok(());
        }
        let by_device = section("vmbr1.100", "");
        let by_key = section("vmbr1", "vlan = 200").replace("198.51.100.0/24", "203.0.113.0/24");
        let world = world(lab, &(by_device + &by_key), vlan_bridge)?;
        let access = Vm::new(lab, "access", 10)?;
        access.plug(&world.hv)?;
        bridge(&world.hv, "vlan del dev tap10i0 vid 1")?;
        bridge(&world.hv, "vlan add dev tap10i0 vid 100 pvid untagged")?;
        access.speak()?;
        world.reached(&access, "vmbr1.100")?;

        // A trunk carries both; one socket, two ports.
        let trunk = Vm::new(lab, "trunk", 20)?;
        trunk.plug(&world.hv)?;
        bridge(&world.hv, "vlan add dev tap20i0 vid 100-200")?;
        let wire = Wire::open(trunk.ns(), "eth0")?;
        let claim = |address: &str, tag: u16| -> Result {
            let frame = arp_request(trunk.mac(), address.parse()?, "169.254.0.1".parse()?);
            let tags = [tag];
            Ok(wire.send(&siskin_interop::frames::tagged(&frame, if tag == 0 { &[] } else { &tags }))?)
        };
        wait_for("tagged frames of VLAN 100", SOON, || {
            claim("198.51.100.21", 100)?;
            world.on_device("198.51.100.21/32", "vmbr1.100")
        })?;
        wait_for("tagged frames of VLAN 200", SOON, || {
            claim("203.0.113.22", 200)?;
            world.on_device("203.0.113.22/32", "vmbr1.200")
        })?;
        // The answer to a probe needs the tag: a VM that has none hears nothing.
        trunk.ns().ip("link add link eth0 name eth0.200 type vlan id 200")?;
        trunk.ns().ip("link set eth0.200 up")?;
        trunk.ns().addr("eth0.200", "203.0.113.23/32")?;
        trunk.ns().ip("route add 169.254.0.1/32 dev eth0.200 src 203.0.113.23")?;
        let mut asked = trunk.ns().command("ping");
        asked.args(["-n", "-c", "2", "-W", "1", "-I", "203.0.113.23", "169.254.0.1"]);
        wait_for("a VM in a VLAN of its own", SOON, || {
            let _answers = asked.output()?;
            world.on_device("203.0.113.23/32", "vmbr1.200")
        })?;

        // What is in no VLAN of ours is nobody's: not learned, and not refused either.
        let refused = |siskin: &Siskin| -> Result<u64> {
            let shown = siskin.cli_json(&["host-routes"])?;
            let each = shown["interfaces"].as_array().cloned().unwrap_or_default();
            Ok(each.iter().filter_map(|i| i["refused"].as_u64()).sum())
        };
        let before = refused(&world.siskin)?;
        for (address, tag) in [("198.51.100.31", 0), ("198.51.100.32", 150), ("203.0.113.33", 300)] {
            claim(address, tag)?;
        }
        std::thread::sleep(std::time::Duration::from_millis(300));
        for address in ["198.51.100.31", "198.51.100.32", "203.0.113.33"] {
            assert!(siskin_route(&world.hv, &format!("{address}/32"))?.is_none(), "{address}");
        }
        assert_eq!(refused(&world.siskin)?, before);
        // In the wrong VLAN an address is outside the prefixes.
        claim("203.0.113.34", 100)?;
        wait_for("a refusal", SOON, || Ok(refused(&world.siskin)? > before))?;

        // A membership that ends takes its VMs along, at once; the other VLAN's stay.
        bridge(&world.hv, "vlan del dev tap20i0 vid 100-199")?;
        wait_for("the end of VLAN 100 there", SOON, || {
            Ok(siskin_route(&world.hv, "198.51.100.21/32")?.is_none())
        })?;
        assert!(world.on_device("203.0.113.22/32", "vmbr1.200")?);
        bridge(&world.hv, "vlan del dev tap10i0 vid 100")?;
        world.gone(&access)?;
        bridge(&world.hv, "vlan add dev tap10i0 vid 100 pvid untagged")?;
        access.speak()?;
        world.reached(&access, "vmbr1.100")
    })
}

/// With strict reverse path filtering the kernel does not answer a VM's first ARP: there is no route to the VM yet. What
/// the daemon tells the port of an arrival, the gateway's MAC address, is the answer; the VM need not ask again, which
/// takes a second.
#[test]
fn the_first_ping_of_a_vm_does_not_wait_for_its_second_question() -> Result {
    lab("first-ping", |lab| {
        let world = world(lab, &hypervisor_tables(), |hv| {
            hypervisor_bridge(hv)?;
            let strict = ["-qw", "net.ipv4.conf.vmbr1.rp_filter=1"];
            siskin_interop::process::run(hv.command("sysctl").args(strict)).map(drop)
        })?;
        let mut times = Vec::new();
        for number in 10..15 {
            let vm = Vm::new(lab, &format!("vm{number}"), number)?;
            vm.plug(&world.hv)?;
            // What is announced to a port that comes is over by then, and forgotten.
            std::thread::sleep(std::time::Duration::from_millis(1_500));
            vm.ns().ip("neighbor flush dev eth0")?;
            let mut ping = vm.ns().command("ping");
            ping.args(["-n", "-c", "1", "-W", "3", "-I", &vm.address4(), "169.254.0.1"]);
            let said = String::from_utf8_lossy(&ping.output()?.stdout).into_owned();
            let time =
                said.split("time=").nth(1).and_then(|rest| rest.split(' ').next()?.parse::<f64>().ok());
            times.push(time.ok_or_else(|| siskin_interop::Error::new(format!("no answer: {said}")))?);
        }
        println!("first pings, ms: {times:?}");
        times.sort_by(f64::total_cmp);
        assert!(times[2] < 500.0, "{times:?}");
        Ok(())
    })
}
