//! The VMs of one hypervisor, thousands if need be: ports on its bridges whose other ends share one namespace. What a VM
//! says is made by hand, and so is what it answers when it is asked for its addresses; its kernel has none. A bridge has at
//! most 1,023 ports, so there are several.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use siskin_neighbor::snoop::{Snooper, Waker};
use siskin_net::{IfIndex, Prefix};

use crate::frames::{Arp, Discovery, Mac, arp_request, ethernet};
use crate::lab::{Batch, Lab, Ns};
use crate::vm::gateway_bridge;
use crate::{Error, Result};

/// VMs on one bridge.
const A_BRIDGE: u16 = 1_000;
/// The gateway of all VMs.
pub const GATEWAY4: Ipv4Addr = Ipv4Addr::new(169, 254, 0, 1);
/// The same for IPv6.
pub const GATEWAY6: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
/// From here on interfaces of VMs are numbered: far from those that the kernel numbers.
const FIRST_INDEX: u32 = 100_000;
/// How long a port may take to be there.
const PORT: Duration = Duration::from_secs(5);

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

/// How many bridges VMs up to this one need.
#[must_use]
pub fn bridges_for(last: u16) -> u16 {
    last / A_BRIDGE + 1
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

/// The ports, and the VMs behind them.
pub struct Ports {
    hv: Ns,
    vms: Ns,
    socket: Snooper,
    indexes: BTreeMap<u16, IfIndex>,
    next: IfIndex,
    ip: Batch,
    answers: Answers,
}

impl Ports {
    /// Bridges in a hypervisor's namespace, without a VM; VMs' ends will be in a namespace of this name.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn new(lab: &Lab, hv: &Ns, name: &str, bridges: u16) -> Result<Ports> {
        let vms = lab.ns(name)?;
        for bridge in 0..bridges {
            let name = format!("vmbr{bridge}");
            gateway_bridge(hv, &name)?;
            // As the guide has it. A bridge without one takes the lowest of its ports', and at each change the kernel drops
            // all its neighbour entries, permanent ones too.
            hv.ip(&format!("link set {name} address 02:00:a9:fe:00:01"))?;
        }
        let socket = vms.within(|| Ok(Snooper::open()?))?;
        let answers = Answers::start(&vms)?;
        let ip = Batch::start(hv)?;
        Ok(Ports { hv: hv.clone(), vms, socket, indexes: BTreeMap::new(), next: FIRST_INDEX, ip, answers })
    }

    /// The namespace of the VMs' ends.
    #[must_use]
    pub fn vms(&self) -> &Ns {
        &self.vms
    }

    /// Makes the ports of these VMs. They say nothing of themselves, but answer when they are asked.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn plug(&mut self, vms: impl IntoIterator<Item = u16>) -> Result {
        let (mut ports, mut ends) = (String::new(), String::new());
        let mut made = Vec::new();
        for vm in vms {
            let index = self.next;
            self.next += 1;
            let [a, b, c, d, e, f] = mac(vm);
            let mac = format!("{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}");
            let (namespace, bridge) = (self.hv.full_name(), vm / A_BRIDGE);
            // Made from this side: of the other end `ip` does not choose the number.
            let _ = writeln!(
                ends,
                "link add vm{vm} index {index} address {mac} type veth peer name tap{vm} netns {namespace}\n\
                 link set vm{vm} addrgenmode none\nlink set vm{vm} arp off\nlink set vm{vm} up"
            );
            let _ = writeln!(
                ports,
                "link set tap{vm} addrgenmode none\nlink set tap{vm} master vmbr{bridge}\n\
                 link set tap{vm} type bridge_slave isolated on\nlink set tap{vm} up"
            );
            made.push((vm, index));
        }
        self.batch(&self.vms, &ends)?;
        self.batch(&self.hv, &ports)?;
        for (vm, index) in &made {
            self.answers.tell(Voice { vm: *vm, index: *index, here: true })?;
        }
        self.indexes.extend(made);
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

    /// The VM is not there any more; its port stays, with carrier.
    ///
    /// # Errors
    /// When the thread that answers has ended.
    pub fn silence(&mut self, vm: u16) -> Result {
        let Some(index) = self.indexes.remove(&vm) else { return Ok(()) };
        self.answers.tell(Voice { vm, index, here: false })
    }

    /// Removes a VM's port, whether or not it is there; when the order was given. It is done a moment later.
    ///
    /// # Errors
    /// When `ip` has ended.
    pub fn unplug(&mut self, vm: u16) -> Result<Instant> {
        self.silence(vm)?;
        let now = Instant::now();
        self.ip.tell(&format!("link del tap{vm}\n"))?;
        Ok(now)
    }

    /// Waits until no port of a VM is left.
    ///
    /// # Errors
    /// When it stays.
    pub fn wait_unplugged(&self, vm: u16) -> Result {
        crate::wait::wait_for("the port's end", PORT, || {
            Ok(self.hv.ip(&format!("link show tap{vm}")).is_err())
        })
    }
}

/// A VM that is there from now on, or is not any more.
struct Voice {
    vm: u16,
    index: IfIndex,
    here: bool,
}

/// A thread that answers what VMs are asked.
struct Answers {
    voices: mpsc::Sender<Voice>,
    waker: Waker,
}

impl Answers {
    /// Until the process ends, or the other end of the channel is gone.
    fn start(vms: &Ns) -> Result<Answers> {
        let mut socket = vms.within(|| Ok(Snooper::open()?))?;
        let waker = socket.waker();
        let (sender, voices) = mpsc::channel::<Voice>();
        let ns = vms.clone();
        std::thread::spawn(move || {
            // Sockets belong to the namespace of the thread that makes them.
            let _gone = ns.within(move || {
                let mut vm_of = BTreeMap::new();
                let mut ready = Vec::new();
                while socket.wait(None, &mut ready).is_ok() {
                    loop {
                        match voices.try_recv() {
                            Ok(Voice { vm, index, here: true }) => {
                                socket.add_port(index, true)?;
                                vm_of.insert(index, vm);
                            }
                            Ok(Voice { index, .. }) => {
                                socket.remove_port(index);
                                vm_of.remove(&index);
                            }
                            Err(mpsc::TryRecvError::Empty) => break,
                            Err(mpsc::TryRecvError::Disconnected) => return Ok(()),
                        }
                    }
                    for port in ready.drain(..) {
                        if let Some(vm) = vm_of.get(&port) {
                            answer_all(&mut socket, port, *vm);
                        }
                    }
                }
                Ok(())
            });
        });
        Ok(Answers { voices: sender, waker })
    }

    fn tell(&self, voice: Voice) -> Result {
        self.voices.send(voice).map_err(|_| Error::new("nobody answers for the VMs"))?;
        self.waker.wake();
        Ok(())
    }
}

fn answer_all(socket: &mut Snooper, port: IfIndex, vm: u16) {
    let mut frame = [0; 128];
    loop {
        match socket.receive(port, &mut frame) {
            Ok(Some(received)) => {
                if let Some(answer) = answer(vm, frame.get(..received.len).unwrap_or_default()) {
                    let _full = socket.send(port, &answer);
                }
            }
            Ok(None) => return,
            Err(_) => return socket.remove_port(port),
        }
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
