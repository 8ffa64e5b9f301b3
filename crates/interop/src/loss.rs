//! What is lost of 1,000 packets a second, family and direction through a hypervisor while something happens to it: the
//! events, and the network they happen in.
//!
//! ```text
//! VM ── hypervisor ──(up0) left  ── beyond
//!                  ──(up1) right ──
//! ```
//!
//! Left, right and beyond are BIRD. The hypervisor's two paths share the load; which way an address beyond is taken is
//! asked of its kernel before each event, so that in either family one stream of two goes left, where things happen. What
//! comes back takes one way, the left one as long as beyond has it: there the upstreams' own reaction counts, too.

use std::time::Duration;

use crate::bird::{self, Bird};
use crate::lab::{Lab, Ns};
use crate::make::{HOLD, Hypervisor, LEFT, MORE, Make, OWN, RIGHT_AS, Setup, first_link4, first_link6};
use crate::plain::{OUR_AS, PEER_AS, first_link, second_link};
use crate::process::run;
use crate::router::{Announcement, Config, Neighbor, Router};
use crate::stream::{Loss, PORT, Streams};
use crate::vm::{Vm, hypervisor_bridge};
use crate::wait::{SOON, wait_for};
use crate::{Error, Result};

const BEYOND_AS: u32 = 65_010;
const BEYOND: [&str; 2] = ["10.100.0.0/16", "2001:db8:f::/48"];
/// So many addresses beyond are tried for one that is taken left and one right.
const HOSTS: u8 = 24;
/// How long packets go on after an event that is over at once.
const AFTER: Duration = Duration::from_secs(3);

/// Something that happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// The configuration is loaded again, with a further prefix in it.
    Reload,
    /// The left link's bandwidth triples: so does its weight.
    Weight,
    /// The daemon is stopped, keeping its routes, and started again.
    Restart,
    /// The daemon is killed and started again.
    Crash,
    /// The left link loses its carrier.
    LinkDown,
    /// The left link has been down and comes back.
    LinkUp,
    /// The left upstream closes the session and forwards on.
    SessionClosed,
    /// The left upstream's daemon is killed; its kernel forwards on.
    PeerKilled,
    /// The left upstream's daemon is stopped, and takes its routes out of its kernel.
    PeerStopped,
    /// The left upstream hears nothing any more and is silent in ARP and neighbour discovery: link and session stay up.
    Silent,
    /// The hypervisor gets other addresses on the left link: new ones are added, the session moves, the old ones go.
    OwnAddress,
    /// The left upstream gets other addresses, in the same way.
    TheirAddress,
}

impl Event {
    /// All of them; the last ones leave other addresses behind.
    pub const ALL: [Event; 12] = [
        Event::Reload,
        Event::Weight,
        Event::Restart,
        Event::Crash,
        Event::LinkDown,
        Event::LinkUp,
        Event::SessionClosed,
        Event::PeerKilled,
        Event::PeerStopped,
        Event::Silent,
        Event::OwnAddress,
        Event::TheirAddress,
    ];

    /// A few words for a table.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Event::Reload => "reload",
            Event::Weight => "weight change",
            Event::Restart => "restart (SIGTERM)",
            Event::Crash => "crash (SIGKILL)",
            Event::LinkDown => "link down",
            Event::LinkUp => "link up",
            Event::SessionClosed => "session closed by peer",
            Event::PeerKilled => "peer's daemon killed",
            Event::PeerStopped => "peer stopped, its routes go",
            Event::Silent => "next hop silent",
            Event::OwnAddress => "own address renumbered",
            Event::TheirAddress => "upstream renumbered",
        }
    }
}

/// What an event cost: from the VM, and to it.
pub type Outcome = [Loss; 2];

/// The network.
#[derive(Debug)]
pub struct Scene {
    make: Make,
    us: Ns,
    left_ns: Ns,
    right_ns: Ns,
    beyond_ns: Ns,
    left: Bird,
    left_config: Config,
    _right: Bird,
    _beyond: Bird,
    hypervisor: Hypervisor,
    vm: Vm,
}

impl Scene {
    /// A network whose hypervisor runs a daemon of this make; all routes are there.
    ///
    /// # Errors
    /// When something does not start or come.
    pub fn new(lab: &Lab, make: Make) -> Result<Scene> {
        let (us, beyond_ns) = (lab.ns("us")?, lab.ns("beyond")?);
        let (left_ns, right_ns) = (lab.ns("left")?, lab.ns("right")?);
        let mut beyond_neighbors = Vec::new();
        for (ns, net, asn) in [(&left_ns, 2, PEER_AS), (&right_ns, 3, RIGHT_AS)] {
            let addresses =
                |host: u8| [format!("10.0.{net}.{host}/24"), format!("2001:db8:{net}::{host}/64")];
            let (theirs, beyonds) = (addresses(1), addresses(2));
            lab.link(
                (&beyond_ns, &ns.name, &beyonds.each_ref().map(String::as_str)),
                (ns, "eth1", &theirs.each_ref().map(String::as_str)),
            )?;
            let own6: std::net::IpAddr = format!("2001:db8:{net}::2").parse()?;
            beyond_neighbors.push(Neighbor::new([10, 0, net, 1], asn).next_hop(own6));
        }
        // Last, so that both ends of a link have different interface numbers: only then the kernel tells of a lost carrier
        // at once, and not up to a second after whatever other link of this machine has changed before.
        first_link(lab, &left_ns, &us)?;
        second_link(lab, &right_ns, &us)?;
        (1..=HOSTS).flat_map(host).try_for_each(|address| {
            let length = if address.contains(':') { 128 } else { 32 };
            beyond_ns.addr("lo", &format!("{address}/{length}"))
        })?;
        settings(&us, &left_ns)?;
        hypervisor_bridge(&us)?;
        let routes = BEYOND.into_iter().map(Announcement::plain).collect::<Result<_>>()?;
        let beyond_config = Config::new(BEYOND_AS, [10, 100, 0, 1], beyond_neighbors, routes).with_kernel();
        let (left_config, right_config) = (left_config(LEFT[0])?, right_config()?);
        let beyond = Bird::start(&beyond_ns, &beyond_config)?;
        let left = Bird::start_raw(&left_ns, &left_config, &upstream(&left_config, 1.0))?;
        let right = Bird::start_raw(&right_ns, &right_config, &upstream(&right_config, 1.0))?;
        let vm = Vm::new(lab, "vm", 10)?;
        vm.plug(&us)?;
        run(vm.ns().command("sysctl").args(["-q", "-w", "net.ipv6.auto_flowlabels=0"]))?;
        let hypervisor = Hypervisor::start(make, &us, &vm)?;
        vm.speak()?;
        let (_right, _beyond) = (right, beyond);
        let scene = Scene {
            make,
            us,
            left_ns,
            right_ns,
            beyond_ns,
            left,
            left_config,
            _right,
            _beyond,
            hypervisor,
            vm,
        };
        scene.is_whole()?;
        Ok(scene)
    }

    /// Waits until every route is where it belongs: two ways out, and the way back on both upstreams.
    fn is_whole(&self) -> Result {
        self.goes_by(&self.us, &BEYOND, &["up0", "up1"])?;
        let vm = [self.vm.v4(), self.vm.v6()];
        let vm = [&*vm[0], &*vm[1]];
        self.goes_by(&self.left_ns, &vm, &["eth0"])?;
        self.goes_by(&self.right_ns, &vm, &["eth0"])?;
        self.goes_by(&self.beyond_ns, &vm, &[""])
    }

    /// Waits until a kernel has routes by these interfaces, and no others.
    fn goes_by(&self, ns: &Ns, prefixes: &[&str], interfaces: &[&str]) -> Result {
        for prefix in prefixes {
            let flag = if prefix.contains(':') { "-6" } else { "-4" };
            let what = format!("{prefix} by {interfaces:?} in {} of {}", ns.name, self.make);
            wait_for(&what, SOON, || {
                let text = ns.ip(&format!("{flag} route show exact {prefix}"))?;
                let by = |name: &&str| text.contains(&format!("dev {name}"));
                Ok(interfaces.iter().all(by) && text.matches(" dev ").count() == interfaces.len())
            })?;
        }
        Ok(())
    }

    /// Lets an event happen under traffic. `None`: this daemon cannot do it. [`Scene::put_right`] comes next.
    ///
    /// # Errors
    /// When something does not come that must.
    pub fn run(&mut self, event: Event) -> Result<Option<Outcome>> {
        if event == Event::Weight && self.make == Make::Bird {
            return Ok(None);
        }
        if event == Event::LinkUp {
            self.left_ns.ip("link set eth0 down")?;
            self.goes_by(&self.us, &BEYOND, &["up1"])?;
            pause(1);
        }
        let targets = self.targets(if event == Event::LinkUp { ["up1", "up1"] } else { ["up0", "up1"] })?;
        self.wake(&targets)?;
        let targets: Vec<&str> = targets.iter().map(String::as_str).collect();
        let own = [self.vm.address4(), self.vm.address6()];
        let streams = Streams::start((self.vm.ns(), &[&*own[0], &*own[1]]), (&self.beyond_ns, &targets))?;
        pause(1);
        let done = self.happens(event)?;
        std::thread::sleep(self.after(event));
        let losses = streams.finish()?;
        Ok(done.then_some(losses))
    }

    /// Every neighbour that packets will need is asked for, there and back: what this costs is not the event's doing.
    fn wake(&self, targets: &[String]) -> Result {
        targets.iter().try_for_each(|address| {
            wait_for(&format!("an answer from {address}"), SOON, || self.vm.ns().pings(address, 3))
        })
    }

    /// Addresses beyond, for each family one by each of these interfaces.
    fn targets(&self, interfaces: [&str; 2]) -> Result<Vec<String>> {
        let mut targets = Vec::new();
        for (family, flag) in ["-4", "-6"].into_iter().enumerate() {
            let from = if family == 0 { self.vm.address4() } else { self.vm.address6() };
            for interface in interfaces {
                let hosts = (1..=HOSTS).filter_map(|n| host(n).into_iter().nth(family));
                let mut found = None;
                for address in hosts.filter(|address| !targets.contains(address)).collect::<Vec<_>>() {
                    let flow = format!("ipproto udp sport {PORT} dport {PORT}");
                    let text =
                        self.us.ip(&format!("{flag} route get {address} from {from} iif vmbr1 {flow}"))?;
                    if text.contains(&format!("dev {interface} ")) {
                        found = Some(address);
                        break;
                    }
                }
                let missing = || Error::new(format!("no address beyond is taken by {interface}"));
                targets.push(found.ok_or_else(missing)?);
            }
        }
        Ok(targets)
    }

    /// The event itself; `false`: it had no effect on this daemon.
    fn happens(&mut self, event: Event) -> Result<bool> {
        let setup = self.hypervisor.setup();
        match event {
            Event::Reload => {
                self.hypervisor.reload(Setup { more: true, ..setup })?;
                self.goes_by(&self.right_ns, &[MORE], &["eth0"])?;
            }
            Event::Weight => {
                self.left.configure(&upstream(&self.left_config, 3.0))?;
                let changed = wait_for("another weight", Duration::from_secs(6), || self.is_weighted());
                return Ok(changed.is_ok());
            }
            Event::Restart | Event::Crash => {
                if event == Event::Crash {
                    self.hypervisor.kill()
                } else {
                    self.hypervisor.stop()?
                }
                pause(2);
                self.hypervisor.start_again()?;
                self.is_whole()?;
            }
            Event::LinkDown => drop(self.left_ns.ip("link set eth0 down")?),
            Event::LinkUp => {
                self.left_ns.ip("link set eth0 up")?;
                pause(5);
            }
            Event::SessionClosed => drop(self.left.birdc("disable peer0")?),
            Event::PeerKilled => self.left.daemon().kill(),
            Event::PeerStopped => drop(self.left.daemon().stop(SOON)?),
            Event::Silent => {
                let rules = "table netdev silent {
                    chain hear { type filter hook ingress device eth0 priority 0; policy drop; }
                    chain say { type filter hook egress device eth0 priority 0;
                        ether type arp drop; meta l4proto ipv6-icmp drop; }
                }";
                run(self.left_ns.command("nft").arg(rules))?;
            }
            Event::OwnAddress => {
                let own = (first_link4(OWN[1]), first_link6(OWN[1]));
                addresses(&self.us, "up0", "add", OWN[1])?;
                self.hypervisor.reload(Setup { own, ..setup })?;
                let vm = self.vm.v4();
                let what = format!("the way to the VM by {} of {}", own.0, self.make);
                wait_for(&what, SOON, || {
                    let text = self.left_ns.ip(&format!("-4 route show exact {vm}"))?;
                    Ok(text.contains(&format!("via {} ", own.0)))
                })?;
                self.is_whole()?;
                addresses(&self.us, "up0", "del", OWN[0])?;
            }
            Event::TheirAddress => {
                let left = first_link4(LEFT[1]);
                addresses(&self.left_ns, "eth0", "add", LEFT[1])?;
                self.left_config = left_config(LEFT[1])?;
                self.left.configure(&upstream(&self.left_config, 1.0))?;
                self.hypervisor.reload(Setup { left, ..setup })?;
                let what = format!("the way out by {left} of {}", self.make);
                wait_for(&what, SOON, || {
                    let text = self.us.ip(&format!("-4 route show exact {}", BEYOND[0]))?;
                    Ok(text.contains(&format!("via {left} ")))
                })?;
                self.is_whole()?;
                addresses(&self.left_ns, "eth0", "del", LEFT[0])?;
            }
        }
        Ok(true)
    }

    /// How long packets go on after an event: until the slowest way to notice it has had its time.
    fn after(&self, event: Event) -> Duration {
        match event {
            Event::Silent if self.make == Make::Siskin => Duration::from_secs(15),
            Event::Silent => Duration::from_secs(u64::from(HOLD) + 6),
            _ => AFTER,
        }
    }

    /// Undoes what an event left behind, and waits until everything is as before.
    ///
    /// # Errors
    /// When it does not become so in time.
    pub fn put_right(&mut self, event: Event) -> Result {
        match event {
            Event::Weight => self.left.configure(&upstream(&self.left_config, 1.0))?,
            Event::LinkDown => drop(self.left_ns.ip("link set eth0 up")?),
            Event::SessionClosed => drop(self.left.birdc("enable peer0")?),
            Event::PeerKilled | Event::PeerStopped => self.left.start_again()?,
            Event::Silent => {
                drop(run(self.left_ns.command("nft").args(["delete", "table", "netdev", "silent"]))?);
            }
            _ => {}
        }
        self.is_whole()
    }

    fn is_weighted(&self) -> Result<bool> {
        let text = self.us.ip(&format!("-j -4 route show exact {}", BEYOND[0]))?;
        let list: serde_json::Value = serde_json::from_str(&text)?;
        let hops = list[0]["nexthops"].as_array().cloned().unwrap_or_default();
        Ok(hops.len() == 2 && hops[0]["weight"] != hops[1]["weight"])
    }
}

fn pause(seconds: u64) {
    std::thread::sleep(Duration::from_secs(seconds));
}

/// An address beyond in either family.
fn host(number: u8) -> [String; 2] {
    [format!("10.100.0.{number}"), format!("2001:db8:f::{number}")]
}

/// The way of a packet depends on addresses alone; addresses stay when a link goes or another address does; and the
/// kernel asks a silent gateway after a second or so, not after half a minute.
fn settings(us: &Ns, left: &Ns) -> Result {
    let set = |ns: &Ns, key: &str| run(ns.command("sysctl").args(["-q", "-w", key])).map(drop);
    for family in ["ipv4", "ipv6"] {
        set(us, &format!("net.{family}.fib_multipath_hash_policy=0"))?;
        for key in ["base_reachable_time_ms=2000", "delay_first_probe_time=1", "retrans_time_ms=250"] {
            set(us, &format!("net.{family}.neigh.up0.{key}"))?;
        }
    }
    set(left, "net.ipv6.conf.eth0.keep_addr_on_down=1")?;
    set(left, "net.ipv4.conf.all.promote_secondaries=1")?;
    set(us, "net.ipv4.conf.all.promote_secondaries=1")
}

/// Adds or takes away the addresses with this last number on the left link.
fn addresses(ns: &Ns, interface: &str, verb: &str, number: u8) -> Result {
    let nodad = if verb == "add" { " nodad" } else { "" };
    ns.ip(&format!("address {verb} {}/24 dev {interface}", first_link4(number)))?;
    ns.ip(&format!("address {verb} {}/64 dev {interface}{nodad}", first_link6(number))).map(drop)
}

/// The left upstream with these addresses. It knows the hypervisor by old and new ones; nobody uses the new ones at first.
fn left_config(own: u8) -> Result<Config> {
    let session = |theirs: u8| {
        let session = Neighbor::new(first_link4(theirs), OUR_AS).from(first_link4(own));
        session.next_hop(first_link6(own)).hold(HOLD)
    };
    let beyond: std::net::IpAddr = "2001:db8:2::1".parse()?;
    let beyond = Neighbor::new([10, 0, 2, 2], BEYOND_AS).next_hop(beyond);
    let neighbors = vec![session(OWN[0]), session(OWN[1]).passive(), beyond];
    Ok(Config::new(PEER_AS, [10, 0, 0, 1], neighbors, Vec::new()).with_kernel())
}

fn right_config() -> Result<Config> {
    let (us, beyond): (std::net::IpAddr, std::net::IpAddr) =
        ("2001:db8:1::1".parse()?, "2001:db8:3::1".parse()?);
    let neighbors = vec![
        Neighbor::new([10, 0, 1, 2], OUR_AS).next_hop(us).hold(HOLD),
        Neighbor::new([10, 0, 3, 2], BEYOND_AS).next_hop(beyond),
    ];
    Ok(Config::new(RIGHT_AS, [10, 0, 1, 1], neighbors, Vec::new()).with_kernel())
}

/// An upstream that says how much its link carries, in 100 MB a second.
fn upstream(config: &Config, hundreds: f32) -> String {
    let bits = (hundreds * 100e6).to_bits();
    let says = format!(
        "if source = RTS_BGP then {{ bgp_ext_community.add((generic, 0x0004fde9, {bits:#x})); accept; }}\n  reject;\n}}"
    );
    let accept = "if source = RTS_STATIC || source = RTS_BGP then accept;\n  reject;\n}";
    bird::text(config).replace(accept, &says)
}
