//! A VM that moves between hypervisors while both are alive: the new one announces it with the first frame, the leaf above
//! prefers it at once, the old one yields and forwards what still comes to it. FRR and BIRD as leaves, which know nothing of
//! moves.

use std::cell::Cell;
use std::time::{Duration, Instant};

use siskin_interop::kernel::siskin_route;
use siskin_interop::lab::{Lab, Ns, lab};
use siskin_interop::plain::{at_peer, ip};
use siskin_interop::router::{Config, Kind, Neighbor, Router};
use siskin_interop::siskin::Siskin;
use siskin_interop::stream::Streams;
use siskin_interop::vm::{Vm, hypervisor_bridge, hypervisor_tables};
use siskin_interop::wait::{SOON, stays, wait_for};
use siskin_interop::{Error, Result};

const LEAF_AS: u32 = 65_001;
/// How long a fresh announcement is preferred.
const HOLD: Duration = Duration::from_secs(3);
/// What may pass between a VM's first frame and the leaf's new route on a busy machine that also runs the router's own
/// command line. The bench measures what it takes.
const PROMPTLY: Duration = Duration::from_secs(2);

/// Two hypervisors below a leaf, and a place where a VM's old cable ends.
struct Fabric {
    leaf_ns: Ns,
    leaf: Box<dyn Router>,
    limbo: Ns,
    hypervisors: Vec<(Ns, Siskin)>,
    cuts: Cell<u8>,
}

impl Fabric {
    fn new(lab: &Lab, kind: Kind, keys: &str) -> Result<Fabric> {
        let leaf_ns = lab.ns("leaf")?;
        for address in ["10.100.0.1/32", "2001:db8:f::1/128"] {
            leaf_ns.addr("lo", address)?;
        }
        let hypervisors =
            (1..=2).map(|number| hypervisor(lab, &leaf_ns, number, keys)).collect::<Result<Vec<_>>>()?;
        let neighbors = (1..=2u32).map(|number| {
            let address = ip(&format!("10.0.{number}.2"));
            Neighbor::new(address, 65_100 + number).next_hop(ip(&format!("2001:db8:{number}::1")))
        });
        let routes = ["10.0.0.0/8", "2001:db8::/32"]
            .into_iter()
            .map(siskin_interop::router::Announcement::plain)
            .collect::<Result<Vec<_>>>()?;
        let config = Config::new(LEAF_AS, [10, 0, 0, 1], neighbors.collect(), routes).with_kernel();
        let leaf = kind.start(&leaf_ns, &config)?;
        for (_, siskin) in &hypervisors {
            siskin.wait_established("up")?;
        }
        Ok(Fabric { leaf_ns, leaf, limbo: lab.ns("limbo")?, hypervisors, cuts: Cell::new(0) })
    }

    /// The VM's port at its hypervisor stays, with carrier, and nobody is there any more.
    fn cut(&self, vm: &Vm) -> Result {
        let old = format!("old{}", self.cuts.replace(self.cuts.get() + 1));
        vm.ns().ip(&format!("link set eth0 netns {} name {old}", self.limbo.full_name()))?;
        self.limbo.ip(&format!("link set {old} up")).map(drop)
    }

    fn path(&self, prefix: &str) -> Result<String> {
        at_peer(self.leaf.as_ref(), prefix).map(|route| route.as_path)
    }

    fn wait_path(&self, prefix: &str, path: &str, patience: Duration) -> Result {
        wait_for(&format!("{prefix} by {path}"), patience, || Ok(self.path(prefix)? == path))
    }

    fn state(&self, hypervisor: usize, address: &str) -> Result<String> {
        let (_, siskin) = self.hypervisors.get(hypervisor).ok_or_else(|| Error::new("no such hypervisor"))?;
        let all = siskin.cli_json(&["host-routes"])?;
        let routes = all["routes"].as_array().cloned().unwrap_or_default();
        let found = routes.iter().find(|route| route["address"] == address);
        Ok(found.and_then(|route| route["state"].as_str()).unwrap_or("unknown").to_owned())
    }
}

fn hypervisor(lab: &Lab, leaf: &Ns, number: u8, keys: &str) -> Result<(Ns, Siskin)> {
    let ns = lab.ns(&format!("hv{number}"))?;
    let (four, six) =
        (|host: u8| format!("10.0.{number}.{host}/24"), |host: u8| format!("2001:db8:{number}::{host}/64"));
    lab.link((leaf, &format!("hv{number}"), &[&four(1), &six(1)]), (&ns, "up0", &[&four(2), &six(2)]))?;
    hypervisor_bridge(&ns)?;
    ns.ip("link set vmbr1 address 02:00:a9:fe:00:01")?;
    let siskin = Siskin::start(
        &ns,
        &format!(
            "asn = {}\nrouter-id = \"10.0.{number}.2\"\n{}timers = {{ takeover-hold = \"{}s\" }}\n{keys}\n\
             [peer.up]\naddress = \"10.0.{number}.1\"\nasn = {LEAF_AS}\nimport = \"accept-all\"\n\
             export = \"accept-all\"\n",
            65_100 + u32::from(number),
            hypervisor_tables(),
            HOLD.as_secs(),
        ),
    )?;
    Ok((ns, siskin))
}

/// The whole move, with traffic to and from the VM before and after.
fn a_move_is_followed(kind: Kind) -> Result {
    lab(&format!("move-{kind}"), |lab| {
        let fabric = Fabric::new(lab, kind, "")?;
        let [(hv1, _), (hv2, _)] = &fabric.hypervisors[..] else { return Err(Error::new("two hypervisors")) };
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
        let streams =
            Streams::start((&fabric.leaf_ns, &["10.100.0.1", "2001:db8:f::1"]), (vm.ns(), &[&four, &six]))?;
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
        let fabric = Fabric::new(lab, Kind::Bird, "")?;
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
