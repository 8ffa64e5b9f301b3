//! Many VMs on one hypervisor: ports on bridges whose other ends share one namespace, with addresses whose kernel answers
//! probes, and frames made by hand. A bridge has at most 1,023 ports, so there are several.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::process::{Child, ChildStdin, Stdio};
use std::time::{Duration, Instant};

use siskin_neighbor::snoop::Snooper;
use siskin_net::Prefix;

use crate::frames::{Discovery, Mac, arp_request};
use crate::hypervisor::Uplink;
use crate::lab::{Lab, Ns};
use crate::siskin::Siskin;
use crate::wait::SOON;
use crate::watch::Watch;
use crate::{Error, Result};

/// VMs on one bridge.
const A_BRIDGE: u16 = 1_000;
const GATEWAY4: Ipv4Addr = Ipv4Addr::new(169, 254, 0, 1);
const GATEWAY6: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);

/// A hypervisor with room for many VMs, and a peer that notes when it hears of them.
pub struct Fleet {
    /// The hypervisor.
    pub hv: Ns,
    /// The VMs' ends.
    pub vms: Ns,
    /// Siskin.
    pub siskin: Siskin,
    /// The peer.
    pub watch: Watch,
    socket: Snooper,
    indexes: BTreeMap<u16, u32>,
    ip: Batch,
}

/// `ip -batch` that takes commands while it runs: what it is told it does at once.
struct Batch {
    child: Child,
    input: ChildStdin,
}

impl Batch {
    fn start(ns: &Ns) -> Result<Batch> {
        let mut command = ns.command("ip");
        command.args(["-force", "-batch", "-"]).stdin(Stdio::piped());
        let mut child = command.spawn()?;
        let input = child.stdin.take().ok_or_else(|| Error::new("no input"))?;
        Ok(Batch { child, input })
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A VM's MAC address.
#[must_use]
pub fn mac(vm: u16) -> Mac {
    let [high, low] = vm.to_be_bytes();
    [0x52, 0x10, 0, 0, high, low]
}

/// A VM's IPv4 address.
#[must_use]
pub fn address4(vm: u16) -> Ipv4Addr {
    let [high, low] = vm.to_be_bytes();
    Ipv4Addr::new(198, 18, high, low)
}

/// A VM's IPv6 address.
#[must_use]
pub fn address6(vm: u16) -> Ipv6Addr {
    Ipv6Addr::new(0x2001, 0xdb8, 0x100, 0, 0, 0, 1, vm)
}

/// Both its prefixes.
#[must_use]
pub fn prefixes(vm: u16) -> [Prefix; 2] {
    [Prefix::host(IpAddr::V4(address4(vm))), Prefix::host(IpAddr::V6(address6(vm)))]
}

fn bridge_of(vm: u16) -> u16 {
    vm / A_BRIDGE
}

/// `[host-routes.vmbrN]` for so many bridges, with more keys.
#[must_use]
pub fn tables(bridges: u16, keys: &str) -> String {
    let mut text = String::new();
    for bridge in 0..bridges {
        let _ = write!(
            text,
            "\n[host-routes.vmbr{bridge}]\nprefixes = [\"198.18.0.0/15\", \"2001:db8:100::/56\"]\n\
             gateway = {{ ipv4 = \"{GATEWAY4}\", ipv6 = \"{GATEWAY6}\" }}\n{keys}\n"
        );
    }
    text
}

impl Fleet {
    /// A hypervisor with so many bridges and no VM.
    ///
    /// # Errors
    /// When something does not start.
    pub fn start(lab: &Lab, bridges: u16, keys: &str) -> Result<Fleet> {
        let upstream = lab.ns("upstream")?;
        let uplink = Uplink { number: 1 };
        let hv = uplink.plug(lab, &upstream)?;
        let vms = lab.ns("vms")?;
        for bridge in 0..bridges {
            let name = format!("vmbr{bridge}");
            hv.bridge(&name)?;
            hv.addr(&name, &format!("{GATEWAY4}/32"))?;
            hv.addr(&name, &format!("{GATEWAY6}/64"))?;
        }
        let watch = Watch::start(&upstream, uplink.theirs().parse()?, crate::hypervisor::UPSTREAM_AS);
        let siskin = uplink.start(&hv, &tables(bridges, keys))?;
        watch.wait_established(SOON)?;
        let socket = vms.within(|| Ok(Snooper::open()?))?;
        let ip = Batch::start(&hv)?;
        Ok(Fleet { hv, vms, siskin, watch, socket, indexes: BTreeMap::new(), ip })
    }

    /// Makes the ports of these VMs, whose kernel answers for their addresses but says nothing of itself.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn plug(&mut self, vms: impl IntoIterator<Item = u16>) -> Result {
        let (mut ports, mut ends) = (String::new(), String::new());
        for vm in vms {
            let [a, b, c, d, e, f] = mac(vm);
            let mac = format!("{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}");
            let namespace = self.vms.full_name();
            let bridge = bridge_of(vm);
            let _ = writeln!(
                ports,
                "link add tap{vm} type veth peer name vm{vm} address {mac} netns {namespace}\n\
                 link set tap{vm} addrgenmode none\nlink set tap{vm} master vmbr{bridge}\nlink set tap{vm} up"
            );
            let _ = writeln!(
                ends,
                "link set vm{vm} addrgenmode none\nlink set vm{vm} up\n\
                 address add {}/32 dev vm{vm}\naddress add {}/128 dev vm{vm} nodad",
                address4(vm),
                address6(vm)
            );
        }
        self.batch(&self.hv, &ports)?;
        self.batch(&self.vms, &ends)?;
        let shown = self.vms.ip("-o link show")?;
        let known = shown.lines().filter_map(|line| {
            let mut words = line.split(": ");
            let index = words.next()?.trim().parse().ok()?;
            let name = words.next()?.split('@').next()?;
            Some((name.strip_prefix("vm")?.parse().ok()?, index))
        });
        self.indexes = known.collect();
        Ok(())
    }

    fn batch(&self, ns: &Ns, text: &str) -> Result {
        let file = ns.file("batch", text)?;
        ns.ip(&format!("-batch {}", file.display())).map(drop)
    }

    /// A VM's first words: an ARP request for its gateway, and a Neighbor Solicitation.
    ///
    /// # Errors
    /// When it has no port.
    pub fn speak(&self, vm: u16) -> Result {
        self.send(vm, &arp_request(mac(vm), address4(vm), GATEWAY4))?;
        self.send(vm, &Discovery::solicitation(mac(vm), address6(vm), GATEWAY6).frame())
    }

    /// Sends a frame as a VM would.
    ///
    /// # Errors
    /// When it has no port.
    pub fn send(&self, vm: u16, frame: &[u8]) -> Result {
        let index = self.indexes.get(&vm).ok_or_else(|| Error::new(format!("no VM {vm}")))?;
        Ok(self.socket.send(*index, frame)?)
    }

    /// Removes a VM's port; when the order was given.
    ///
    /// # Errors
    /// When `ip` has ended.
    pub fn unplug(&mut self, vm: u16) -> Result<Instant> {
        self.indexes.remove(&vm);
        let order = format!("link del tap{vm}\n");
        let now = Instant::now();
        self.ip.input.write_all(order.as_bytes())?;
        self.ip.input.flush()?;
        Ok(now)
    }

    /// From a VM's first frame of one family to its UPDATE.
    ///
    /// # Errors
    /// When it does not come.
    pub fn start_one(&self, vm: u16, ipv6: bool) -> Result<Duration> {
        let [four, six] = prefixes(vm);
        let frame = match ipv6 {
            true => Discovery::solicitation(mac(vm), address6(vm), GATEWAY6).frame(),
            false => arp_request(mac(vm), address4(vm), GATEWAY4),
        };
        let start = Instant::now();
        self.send(vm, &frame)?;
        let heard = self.watch.wait_for(if ipv6 { six } else { four }, true, SOON)?;
        Ok(heard.saturating_duration_since(start))
    }
}
