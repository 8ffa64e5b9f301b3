//! A VM that moves between hypervisors while both are alive: the new one announces it with the first frame, the leaf above
//! prefers it at once, the old one yields and forwards what still comes to it. FRR and BIRD as leaves, which know nothing of
//! moves.

use std::time::{Duration, Instant};

use siskin_interop::Result;
use siskin_interop::fabric::{Fabric, LEAF, Plan};
use siskin_interop::kernel::siskin_route;
use siskin_interop::lab::lab;
use siskin_interop::router::Kind;
use siskin_interop::stream::Streams;
use siskin_interop::vm::Vm;
use siskin_interop::wait::{SOON, stays, wait_for};

/// How long a fresh announcement is preferred.
const HOLD: Duration = Duration::from_secs(3);
/// What may pass between a VM's first frame and the leaf's new route on a busy machine that also runs the router's own
/// command line. The bench measures what it takes.
const PROMPTLY: Duration = Duration::from_secs(2);

fn plan(leaf: Kind) -> Plan {
    Plan { leaf, multipath: None, hold: HOLD }
}

/// The whole move, with traffic to and from the VM before and after.
fn a_move_is_followed(kind: Kind) -> Result {
    lab(&format!("move-{kind}"), |lab| {
        let fabric = Fabric::new(lab, &plan(kind))?;
        let [(hv1, _), (hv2, _)] = &fabric.hypervisors;
        let vm = Vm::new(lab, "web01", 10)?;
        vm.plug(hv1)?;
        vm.speak()?;
        for prefix in [vm.v4(), vm.v6()] {
            fabric.wait_path(&prefix, "65101 65101", SOON)?;
        }
        wait_for("an answer to the leaf", SOON, || fabric.leaf_ns.pings(&vm.address4(), 1))?;

        fabric.cut(&vm)?;
        vm.plug(hv2)?;
        let begun = Instant::now();
        vm.speak_once()?;
        for prefix in [vm.v4(), vm.v6()] {
            fabric.wait_path(&prefix, "65102", PROMPTLY)?;
        }
        println!("{kind}: both families at the leaf after {:?}", begun.elapsed());
        for address in [vm.address4(), vm.address6()] {
            wait_for("the old hypervisor to yield", SOON, || Ok(fabric.state(0, &address)? == "moved"))?;
            assert_eq!(fabric.state(1, &address)?, "active");
        }
        // The old hypervisor forwards what still comes to it: by BGP, not to its bridge.
        for prefix in [vm.v4(), vm.v6()] {
            wait_for("a route by the leaf in the old hypervisor's kernel", SOON, || {
                Ok(siskin_route(hv1, &prefix)?
                    .is_some_and(|r| r.hops.iter().all(|hop| hop.ends_with("%up0"))))
            })?;
        }
        wait_for("no neighbour entry left there", SOON, || {
            let left = hv1.ip("neigh show dev vmbr1 nud permanent")?;
            Ok(!left.contains(&vm.address4()) && !left.contains(&vm.address6()))
        })?;
        for address in [vm.address4(), vm.address6()] {
            assert!(
                fabric.leaf_ns.pings(&address, 3)? && hv1.pings(&address, 3)?,
                "{address} is not reached"
            );
        }
        // Back to normal: a settled route, and not a packet lost on the way there.
        let (four, six) = (vm.address4(), vm.address6());
        let streams = Streams::start((&fabric.leaf_ns, &LEAF), (vm.ns(), &[&four, &six]))?;
        for prefix in [vm.v4(), vm.v6()] {
            fabric.wait_path(&prefix, "65102 65102", HOLD + SOON)?;
        }
        for loss in streams.finish()? {
            println!("{kind}: {loss}");
            assert_eq!(loss.lost, 0, "{loss}");
        }
        stays("the settled state", Duration::from_secs(2), || {
            Ok(fabric.path(&vm.v4())? == "65102 65102" && fabric.state(0, &four)? == "moved")
        })
    })
}

#[test]
fn a_move_is_followed_below_frr() -> Result {
    a_move_is_followed(Kind::Frr)
}

#[test]
fn a_move_is_followed_below_bird() -> Result {
    a_move_is_followed(Kind::Bird)
}

/// There and back again: the sequence number grows, and the right one wins.
#[test]
fn a_vm_that_comes_back_is_followed_too() -> Result {
    lab("move-back", |lab| {
        let fabric = Fabric::new(lab, &plan(Kind::Bird))?;
        let vm = Vm::new(lab, "web01", 10)?;
        vm.plug(&fabric.hypervisors[0].0)?;
        vm.speak()?;
        fabric.wait_path(&vm.v4(), "65101 65101", SOON)?;
        for (round, to) in [(1, 1usize), (2, 0), (3, 1)] {
            fabric.cut(&vm)?;
            let (hypervisor, siskin) = &fabric.hypervisors[to];
            if round > 1 {
                // Its port of the time before is taken away only now.
                hypervisor.ip("link del tap10i0")?;
            }
            vm.plug(hypervisor)?;
            vm.speak_once()?;
            for prefix in [vm.v4(), vm.v6()] {
                fabric.wait_path(&prefix, &format!("6510{}", to + 1), PROMPTLY)?;
            }
            let told = siskin.cli_json(&["host-routes"])?.to_string();
            assert!(told.contains(&format!("\"sequence\":{round}")), "{told}");
            wait_for("an answer to the leaf", SOON, || fabric.leaf_ns.pings(&vm.address4(), 1))?;
            assert_eq!(fabric.leaf_ns.ip(&format!("route show {}", vm.v4()))?.lines().count(), 1);
        }
        Ok(())
    })
}
