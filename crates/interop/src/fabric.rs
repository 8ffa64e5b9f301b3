//! Hypervisors below a leaf that knows nothing of moves, and VMs that go from one to another while all are alive.

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

use crate::frames::{Discovery, Wire, gratuitous_reply};
use crate::hypervisor::{Uplink, upstream_config};
use crate::lab::{Batch, Lab, Ns};
use crate::plain::at_peer;
use crate::router::{Announcement, Config, Kind, Router};
use crate::siskin::Siskin;
use crate::vm::{Vm, hypervisor_bridge, hypervisor_tables};
use crate::wait::wait_for;
use crate::{Error, Result};

/// The leaf's own addresses, from which traffic to the VMs comes.
pub const LEAF: [&str; 2] = ["10.100.0.1", "2001:db8:f::1"];

/// What a fabric is to be.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// What the leaf is.
    pub leaf: Kind,
    /// Whether the leaf uses all equally good paths; `None`: as it does by itself.
    pub multipath: Option<bool>,
    /// How long a fresh announcement is preferred, whole seconds.
    pub hold: Duration,
}

/// Two hypervisors below a leaf, and a place where a VM's old cable ends.
pub struct Fabric {
    /// The leaf's namespace.
    pub leaf_ns: Ns,
    /// The leaf.
    pub leaf: Box<dyn Router>,
    /// The hypervisors.
    pub hypervisors: [(Ns, Siskin); 2],
    limbo: Ns,
    cuts: Cell<u8>,
}

impl Fabric {
    /// All of it, with sessions.
    ///
    /// # Errors
    /// When something does not start.
    pub fn new(lab: &Lab, plan: &Plan) -> Result<Fabric> {
        let leaf_ns = lab.ns("leaf")?;
        for address in LEAF {
            leaf_ns.addr("lo", &format!("{address}/{}", if address.contains(':') { 128 } else { 32 }))?;
        }
        let hypervisors = [hypervisor(lab, &leaf_ns, 1, plan)?, hypervisor(lab, &leaf_ns, 2, plan)?];
        let routes =
            ["10.0.0.0/8", "2001:db8::/32"].into_iter().map(Announcement::plain).collect::<Result<_>>()?;
        let config = Config { multipath: plan.multipath, routes, ..upstream_config(2) };
        let leaf = plan.leaf.start(&leaf_ns, &config)?;
        for (_, siskin) in &hypervisors {
            siskin.wait_established("up")?;
        }
        Ok(Fabric { leaf_ns, leaf, hypervisors, limbo: lab.ns("limbo")?, cuts: Cell::new(0) })
    }

    /// The VM's port at its hypervisor stays, with carrier, and nobody is there any more.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn cut(&self, vm: &Vm) -> Result {
        let old = format!("old{}", self.cuts.replace(self.cuts.get() + 1));
        vm.ns().ip(&format!("link set eth0 netns {} name {old}", self.limbo.full_name()))?;
        self.limbo.ip(&format!("link set {old} up")).map(drop)
    }

    /// The AS path of the leaf's best route.
    ///
    /// # Errors
    /// When there is none for long.
    pub fn path(&self, prefix: &str) -> Result<String> {
        at_peer(self.leaf.as_ref(), prefix).map(|route| route.as_path)
    }

    /// Waits until the leaf's best route has this AS path.
    ///
    /// # Errors
    /// When it has not in time.
    pub fn wait_path(&self, prefix: &str, path: &str, patience: Duration) -> Result {
        wait_for(&format!("{prefix} by {path}"), patience, || Ok(self.path(prefix)? == path))
    }

    /// What a hypervisor calls the state of an address.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn state(&self, hypervisor: usize, address: &str) -> Result<String> {
        let (_, siskin) = self.hypervisors.get(hypervisor).ok_or_else(|| Error::new("no such hypervisor"))?;
        let all = siskin.cli_json(&["host-routes"])?;
        let routes = all["routes"].as_array().cloned().unwrap_or_default();
        let found = routes.iter().find(|route| route["address"] == address);
        Ok(found.and_then(|route| route["state"].as_str()).unwrap_or("unknown").to_owned())
    }
}

fn hypervisor(lab: &Lab, leaf: &Ns, number: u8, plan: &Plan) -> Result<(Ns, Siskin)> {
    let uplink = Uplink { number };
    let ns = uplink.plug(lab, leaf)?;
    hypervisor_bridge(&ns)?;
    ns.ip("link set vmbr1 address 02:00:a9:fe:00:01")?;
    let timers = format!("timers = {{ takeover-hold = \"{}s\" }}\n", plan.hold.as_secs());
    let siskin = uplink.start(&ns, &format!("{}{timers}", hypervisor_tables()))?;
    Ok((ns, siskin))
}

/// A VM with a cable to each hypervisor, one of which it uses: it goes to the other within a millisecond or two, so that
/// what is lost is lost by the routing.
pub struct Roamer {
    vm: Vm,
    wire: Wire,
    ip: RefCell<Batch>,
}

impl Roamer {
    /// On the first hypervisor, silent. Both have a port of it, with carrier.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn new(lab: &Lab, fabric: &Fabric, number: u8) -> Result<Roamer> {
        let vm = Vm::new(lab, &format!("vm{number}"), number)?;
        vm.ns().bridge("eth0")?;
        for (cable, (hypervisor, _)) in (1..).zip(&fabric.hypervisors) {
            let (port, name) = (vm.port(), format!("cable{cable}"));
            hypervisor
                .ip(&format!("link add {port} type veth peer name {name} netns {}", vm.ns().full_name()))?;
            vm.ns().ip(&format!("link set {name} addrgenmode none"))?;
            vm.ns().ip(&format!("link set {name} up"))?;
            hypervisor.ip(&format!("link set {port} master vmbr1"))?;
            hypervisor.ip(&format!("link set {port} up"))?;
        }
        vm.ns().ip("link set cable1 master eth0")?;
        vm.configure()?;
        let wire = Wire::open(vm.ns(), "eth0")?;
        let ip = RefCell::new(Batch::start(vm.ns())?);
        Ok(Roamer { vm, wire, ip })
    }

    /// The VM.
    #[must_use]
    pub fn vm(&self) -> &Vm {
        &self.vm
    }

    /// Leaves the first hypervisor for the second and says so in both families, as a guest does that was resumed there.
    /// So long it was on no cable, at the most.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn go(&self) -> Result<Duration> {
        let start = Instant::now();
        self.ip.borrow_mut().tell("link set cable1 nomaster\nlink set cable2 master eth0\n")?;
        let (four, six) = (self.vm.address4().parse()?, self.vm.address6().parse()?);
        let mac = self.vm.mac();
        wait_for("the other cable", Duration::from_secs(1), || {
            Ok(self.vm.ns().ip("-o link show master eth0")?.contains("cable2"))
        })?;
        self.wire.send(&gratuitous_reply(mac, four))?;
        self.wire.send(&Discovery::advertisement(mac, six, six, 0x20).frame())?;
        Ok(start.elapsed())
    }
}
