//! Many VMs on one hypervisor: ports on bridges whose other ends share one namespace, with addresses whose kernel answers
//! probes, and frames made by hand. A bridge has at most 1,023 ports, so there are several.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::process::{Child, ChildStdout, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use siskin_neighbor::snoop::Snooper;
use siskin_net::Prefix;

use crate::frames::{Arp, Discovery, Mac, arp_request, ethernet};
use crate::hypervisor::Uplink;
use crate::lab::{Batch, Lab, Ns};
use crate::process::run;
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
    /// Whether the VMs' kernel has their addresses, and so answers for them. It needs a neighbour entry for each VM that
    /// is asked, of which a machine has 1,024 unless told otherwise; [`Fleet::answer`] needs none.
    pub kernel_answers: bool,
}

/// `ip monitor link`, with the time of each line.
pub struct News {
    child: Child,
    lines: mpsc::Receiver<(Instant, String)>,
}

impl News {
    /// What the kernel says of the links of `ns`.
    ///
    /// # Errors
    /// When `ip` cannot be started.
    pub fn start(ns: &Ns) -> Result<News> {
        let mut command = ns.command("ip");
        command.args(["-o", "monitor", "link"]).stdout(Stdio::piped());
        let mut child = command.spawn()?;
        let output: ChildStdout = child.stdout.take().ok_or_else(|| Error::new("no output"))?;
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(std::io::Result::ok) {
                if sender.send((Instant::now(), line)).is_err() {
                    return;
                }
            }
        });
        Ok(News { child, lines })
    }

    /// When the first and the last line came that name a port; forgets what came before.
    #[must_use]
    pub fn of(&self, port: &str) -> Option<(Instant, Instant)> {
        let about = |line: &str| line.split([' ', '@', ':']).any(|word| word == port);
        let times: Vec<Instant> = self.lines.try_iter().filter(|(_, l)| about(l)).map(|(at, _)| at).collect();
        Some((*times.first()?, *times.last()?))
    }
}

impl Drop for News {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a VM answers to a frame: an ARP reply or a solicited NA if it is asked for an address of its own.
fn answer(vm: u16, frame: &[u8]) -> Option<Vec<u8>> {
    const ETHERNET: usize = 14;
    let (asker, payload) = (frame.get(6..12)?.try_into().ok()?, frame.get(ETHERNET..)?);
    match frame.get(12..ETHERNET)? {
        [0x08, 0x06] if payload.get(6..8)? == [0, 1] && payload.get(24..28)? == address4(vm).octets() => {
            let target = Ipv4Addr::from(<[u8; 4]>::try_from(payload.get(14..18)?).ok()?);
            let reply =
                Arp { operation: 2, sender_mac: mac(vm), sender: address4(vm), target_mac: asker, target };
            Some(ethernet(asker, mac(vm), 0x0806, &reply.octets()))
        }
        [0x86, 0xdd] if payload.get(40)? == &135 && payload.get(48..64)? == address6(vm).octets() => {
            const SOLICITED_OVERRIDE: u8 = 0x60;
            let from = Ipv6Addr::from(<[u8; 16]>::try_from(payload.get(8..24)?).ok()?);
            let address = address6(vm);
            let answer = Discovery::advertisement(mac(vm), address, address, SOLICITED_OVERRIDE);
            Some(Discovery { to: from, ..answer }.frame_to(asker))
        }
        _ => None,
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
            // As the guide has it. A bridge without one takes the lowest of its ports', and at each change the kernel drops
            // all its neighbour entries, permanent ones too.
            hv.ip(&format!("link set {name} address 02:00:a9:fe:00:01"))?;
            hv.addr(&name, &format!("{GATEWAY4}/32"))?;
            hv.addr(&name, &format!("{GATEWAY6}/64"))?;
        }
        let watch = Watch::start(&upstream, uplink.theirs().parse()?, crate::hypervisor::UPSTREAM_AS);
        let siskin = uplink.start(&hv, &tables(bridges, keys))?;
        watch.wait_established(SOON)?;
        let socket = vms.within(|| Ok(Snooper::open()?))?;
        let ip = Batch::start(&hv)?;
        Ok(Fleet { hv, vms, siskin, watch, socket, indexes: BTreeMap::new(), ip, kernel_answers: true })
    }

    /// Makes the ports of these VMs, whose kernel answers for their addresses but says nothing of itself.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn plug(&mut self, vms: impl IntoIterator<Item = u16>) -> Result {
        if !self.kernel_answers {
            // A probe is handled in its sender's time, and a VM's kernel is no part of a hypervisor's.
            run(self.vms.command("sysctl").args(["-q", "-w", "net.ipv6.conf.default.disable_ipv6=1"]))?;
        }
        let (mut ports, mut ends) = (String::new(), String::new());
        for vm in vms {
            let [a, b, c, d, e, f] = mac(vm);
            let mac = format!("{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}");
            let namespace = self.vms.full_name();
            let bridge = bridge_of(vm);
            let _ = writeln!(
                ports,
                "link add tap{vm} type veth peer name vm{vm} address {mac} netns {namespace}\n\
                 link set tap{vm} addrgenmode none\nlink set tap{vm} master vmbr{bridge}\n\
                 link set tap{vm} type bridge_slave isolated on\nlink set tap{vm} up"
            );
            let _ = writeln!(
                ends,
                "link set vm{vm} addrgenmode none\nlink set vm{vm} arp off\nlink set vm{vm} up"
            );
            if self.kernel_answers {
                let (four, six) = (address4(vm), address6(vm));
                let _ = writeln!(
                    ends,
                    "link set vm{vm} arp on\naddress add {four}/32 dev vm{vm}\n\
                     address add {six}/128 dev vm{vm} nodad"
                );
            }
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

    /// Answers what these VMs are asked, on a thread of its own, until the process ends: each with its own addresses.
    ///
    /// # Errors
    /// When a socket cannot be opened.
    pub fn answer(&self, vms: impl IntoIterator<Item = u16>) -> Result {
        let mut vm_of = BTreeMap::new();
        let mut socket = self.vms.within(|| Ok(Snooper::open()?))?;
        for vm in vms {
            let index = *self.indexes.get(&vm).ok_or_else(|| Error::new(format!("no VM {vm}")))?;
            self.vms.within(|| Ok(socket.add_port(index, true)?))?;
            vm_of.insert(index, vm);
        }
        std::thread::spawn(move || {
            let mut ready = Vec::new();
            while socket.wait(None, &mut ready).is_ok() {
                for port in ready.drain(..) {
                    let Some(vm) = vm_of.get(&port) else { continue };
                    let mut frame = [0; 128];
                    while let Ok(Some(received)) = socket.receive(port, &mut frame) {
                        let heard = frame.get(..received.len).unwrap_or_default();
                        if let Some(answer) = answer(*vm, heard) {
                            let _full = socket.send(port, &answer);
                        }
                    }
                }
            }
        });
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
        self.ip.tell(&order)?;
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
