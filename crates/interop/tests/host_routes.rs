//! Virtual machines as namespaces on a bridge: learned by what they send, in the kernel, announced to FRR and
//! BIRD, followed when they move, withdrawn when they are gone.

use std::time::{Duration, Instant};

use siskin_interop::Result;
use siskin_interop::hypervisor::{Uplink, upstream};
use siskin_interop::kernel::siskin_route;
use siskin_interop::lab::{Lab, Ns, lab};
use siskin_interop::plain::{at_peer, gone_at_peer};
use siskin_interop::router::{Kind, Router};
use siskin_interop::siskin::Siskin;
use siskin_interop::vm::{Vm, hypervisor_bridge, hypervisor_tables};
use siskin_interop::wait::{SOON, stays, wait_for};

fn hypervisor(lab: &Lab, upstream: &Ns, number: u8) -> Result<(Ns, Siskin)> {
    let uplink = Uplink { number };
    let ns = uplink.plug(lab, upstream)?;
    hypervisor_bridge(&ns)?;
    let siskin = uplink.start(&ns, &hypervisor_tables())?;
    Ok((ns, siskin))
}

fn learned_and_withdrawn(kind: Kind) -> Result {
    lab("vm", |lab| {
        let upstream_ns = lab.ns("upstream")?;
        let (hv, siskin) = hypervisor(lab, &upstream_ns, 1)?;
        let router = upstream(&upstream_ns, kind, 1)?;
        siskin.wait_established("up")?;
        let vm = Vm::new(lab, "web01", 10)?;
        vm.plug(&hv)?;
        vm.speak()?;
        for prefix in [vm.v4(), vm.v6()] {
            let got = at_peer(router.as_ref(), &prefix)?;
            assert_eq!(got.as_path, "65101 65101", "settled: a fresh one is shorter; {got:?}");
            wait_for("the kernel's route to the bridge", SOON, || {
                Ok(siskin_route(&hv, &prefix)?
                    .is_some_and(|r| r.hops.iter().all(|hop| hop.ends_with("%vmbr1"))))
            })?;
        }
        let neighbors = hv.ip("neigh show dev vmbr1")?;
        assert!(neighbors.contains(&vm.address4()) && neighbors.contains(&vm.address6()), "{neighbors}");
        wait_for("a ping from above", SOON, || upstream_ns.pings(&vm.address4(), 3))?;
        wait_for("the same over IPv6", SOON, || upstream_ns.pings(&vm.address6(), 3))?;
        let text = siskin.cli_text(&["host-routes"])?;
        assert!(text.contains(&vm.address4()) && text.contains(&vm.address6()), "{text}");
        assert!(siskin.cli_text(&["explain", &vm.v4()])?.contains("vmbr1"));
        // The VM's port goes: its routes go at once, not after some timer of minutes.
        let start = Instant::now();
        vm.unplug()?;
        gone_at_peer(router.as_ref(), &vm.v4())?;
        gone_at_peer(router.as_ref(), &vm.v6())?;
        assert!(start.elapsed() < Duration::from_secs(15), "withdrawn after {:?}", start.elapsed());
        wait_for("an empty kernel", SOON, || {
            Ok(siskin_route(&hv, &vm.v4())?.is_none() && siskin_route(&hv, &vm.v6())?.is_none())
        })
    })
}

#[test]
fn a_vm_is_announced_to_frr_and_withdrawn() -> Result {
    learned_and_withdrawn(Kind::Frr)
}

#[test]
fn a_vm_is_announced_to_bird_and_withdrawn() -> Result {
    learned_and_withdrawn(Kind::Bird)
}

/// The traffic follows a VM that moves to another hypervisor.
#[test]
fn a_vm_that_moves_is_followed() -> Result {
    lab("move", |lab| {
        let upstream_ns = lab.ns("upstream")?;
        let (hv1, one) = hypervisor(lab, &upstream_ns, 1)?;
        let (hv2, two) = hypervisor(lab, &upstream_ns, 2)?;
        let router = upstream(&upstream_ns, Kind::Bird, 2)?;
        one.wait_established("up")?;
        two.wait_established("up")?;
        let vm = Vm::new(lab, "web01", 10)?;
        vm.plug(&hv1)?;
        vm.speak()?;
        let path =
            |prefix: String| move |router: &dyn Router| at_peer(router, &prefix).map(|got| got.as_path);
        let (four, six) = (path(vm.v4()), path(vm.v6()));
        assert_eq!(
            (four(router.as_ref())?, six(router.as_ref())?),
            ("65101 65101".into(), "65101 65101".into())
        );
        vm.unplug()?;
        vm.plug(&hv2)?;
        vm.speak()?;
        wait_for("the routes through the second hypervisor", SOON, || {
            Ok(four(router.as_ref())?.starts_with("65102") && six(router.as_ref())?.starts_with("65102"))
        })?;
        wait_for("a ping there", SOON, || upstream_ns.pings(&vm.address4(), 3))?;
        wait_for("the same over IPv6", SOON, || upstream_ns.pings(&vm.address6(), 3))
    })
}

/// What is outside `prefixes` is never announced, whoever claims it.
#[test]
fn an_address_outside_the_prefixes_is_never_learned() -> Result {
    lab("outside", |lab| {
        let upstream_ns = lab.ns("upstream")?;
        let (hv, siskin) = hypervisor(lab, &upstream_ns, 1)?;
        let router = upstream(&upstream_ns, Kind::Bird, 1)?;
        siskin.wait_established("up")?;
        let vm = Vm::new(lab, "web01", 10)?;
        vm.plug(&hv)?;
        vm.ns().addr("eth0", "192.0.2.66/32")?;
        vm.speak()?;
        vm.ns().ip("route replace 169.254.0.1/32 dev eth0 src 192.0.2.66")?;
        vm.speak_from("192.0.2.66")?;
        at_peer(router.as_ref(), &vm.v4())?;
        stays("silence about 192.0.2.66", Duration::from_secs(3), || {
            Ok(router.route("192.0.2.66/32".parse()?)?.is_none()
                && siskin_route(&hv, "192.0.2.66/32")?.is_none())
        })
    })
}

/// The bridge may come after the daemon.
#[test]
fn the_bridge_may_come_later() -> Result {
    lab("later-bridge", |lab| {
        let upstream_ns = lab.ns("upstream")?;
        let uplink = Uplink { number: 1 };
        let ns = uplink.plug(lab, &upstream_ns)?;
        let siskin = uplink.start(&ns, &hypervisor_tables())?;
        let router = upstream(&upstream_ns, Kind::Bird, 1)?;
        siskin.wait_established("up")?;
        hypervisor_bridge(&ns)?;
        let vm = Vm::new(lab, "web01", 10)?;
        vm.plug(&ns)?;
        vm.speak()?;
        at_peer(router.as_ref(), &vm.v4())?;
        at_peer(router.as_ref(), &vm.v6()).map(drop)
    })
}
