//! Host routes, ready for a thread to turn: claims, sockets and the links they hang on.
//!
//! One thread owns a [`HostRoutes`], feeds it what netlink tells, calls [`HostRoutes::turn`] in a loop and does the
//! [`Action`]s it returns, in order. Other threads reach it through the owner, whom [`HostRoutes::waker`] wakes. Feed
//! link events before each turn: a frame that is faster than the event of its port is not heard.
//!
//! Frames to VMs that follow an action (the gateway's announcement after an address is installed) go out at the start
//! of the next turn, when the caller has done the action.

mod ears;
mod links;
mod moves;
mod view;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::IpAddr;
use std::time::Duration;

use siskin_net::{IfIndex, PortVlans, Timestamp};

pub use crate::claims::{Action, Notice, NoticeKind};
use crate::claims::{Claims, DomainConfig, Gateway, Output};
use crate::frame::{self, Body, Message};
use crate::mac::Mac;
use crate::snoop::{Received, Snooper, Waker};
use ears::{Ears, Lane};
pub use links::LinkInfo;
pub use view::{HostRoute, Latency, PortStatus, Statistics};

/// Frames read of one port before the next port has its turn.
const FRAMES_PER_VISIT: usize = 32;

/// How long a port that used up its rate is not read.
const PAUSE: Duration = Duration::from_millis(100);

/// An entry that a previous run left in the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Adopted {
    /// The interface it is on.
    pub interface: IfIndex,
    /// The VM's address.
    pub address: IpAddr,
    /// The MAC address of its neighbour entry.
    pub mac: Mac,
}

/// Claims, sockets and links.
#[derive(Debug)]
pub struct HostRoutes {
    claims: Claims,
    snooper: Snooper,
    links: BTreeMap<IfIndex, LinkInfo>,
    /// The VLANs of bridges' ports and of bridges, while a bridge heeds them.
    vlans: BTreeMap<IfIndex, PortVlans>,
    /// Interfaces of domains that are there, and how their VMs are found.
    homes: BTreeMap<IfIndex, links::Home>,
    /// Of these, those whose VMs are behind a bridge's ports.
    homes_by_bridge: BTreeMap<IfIndex, BTreeSet<IfIndex>>,
    ears: Ears,
    paused: BTreeSet<(Timestamp, IfIndex)>,
    /// To be sent when the turn begins.
    frames: Vec<(IfIndex, Vec<u8>)>,
    ready: Vec<IfIndex>,
    /// When the first frame of this turn was read.
    heard: Option<Timestamp>,
    latency: Latency,
}

impl HostRoutes {
    /// Host routes on the named interfaces. Fails without CAP_NET_RAW, which is needed for as long as it lives:
    /// every port gets a socket when it comes.
    pub fn new(domains: Vec<(String, DomainConfig)>) -> io::Result<HostRoutes> {
        let mut claims = Claims::new();
        claims.configure(domains, Timestamp::default());
        Ok(HostRoutes {
            claims,
            snooper: Snooper::open()?,
            links: BTreeMap::new(),
            vlans: BTreeMap::new(),
            homes: BTreeMap::new(),
            homes_by_bridge: BTreeMap::new(),
            ears: Ears::default(),
            paused: BTreeSet::new(),
            frames: Vec::new(),
            ready: Vec::new(),
            heard: None,
            latency: Latency::default(),
        })
    }

    /// Ends the wait of [`HostRoutes::turn`] from another thread.
    #[must_use]
    pub fn waker(&self) -> Waker {
        self.snooper.waker()
    }

    /// Another configuration: claims that it still allows stay as they are, interfaces not named any more are left.
    pub fn reconfigure(&mut self, domains: Vec<(String, DomainConfig)>, now: Timestamp) {
        self.claims.configure(domains, now);
        // Bridges before their ports or after them: each brings the other in line.
        let all: Vec<IfIndex> = self.links.keys().copied().collect();
        for index in all {
            self.settle_link(index, now);
        }
    }

    /// The router's own addresses, all of them, whenever they change: no VM may have one.
    pub fn set_own_addresses(&mut self, own: impl IntoIterator<Item = IpAddr>, now: Timestamp) {
        self.claims.set_own_addresses(own, now);
    }

    /// Takes over what a previous run left in the kernel, once all links are known. Wanted entries are installed and
    /// announced again (which changes nothing if they are there), probed, and swept if nobody proves them; the others
    /// are removed.
    pub fn adopt(&mut self, entries: impl IntoIterator<Item = Adopted>, now: Timestamp) {
        for entry in entries {
            self.claims.adopt(entry.interface, entry.address, entry.mac, now);
        }
    }

    /// Netlink says that our route or neighbour entry for `address` was removed or changed by somebody else.
    pub fn kernel_mismatch(&mut self, interface: IfIndex, address: IpAddr, now: Timestamp) {
        self.claims.kernel_mismatch(interface, address, now);
    }

    /// Forgets an address and its binding, on the operator's word; `false`: it is not known. Its VM gets it back with
    /// its next frame.
    pub fn remove(&mut self, domain: &str, address: IpAddr, now: Timestamp) -> bool {
        self.claims.remove(domain, address, now)
    }

    /// Waits for frames, timers, the waker or `timeout` (`None`: as long as it takes), and returns what is to be done
    /// now. It does not wait if there is something to be done already. `clock` is asked before and after the wait.
    pub fn turn(
        &mut self,
        clock: impl Fn() -> Timestamp,
        timeout: Option<Duration>,
    ) -> io::Result<Vec<Action>> {
        for (port, frame) in std::mem::take(&mut self.frames) {
            let (interface, tag) = self.ears.device_of(port);
            let frame = match tag {
                Some(vlan) => ears::tagged(frame, vlan),
                None => frame,
            };
            // A port that is down or full is no news: probes are repeated.
            if let Err(error) = self.snooper.send(interface, &frame) {
                tracing::debug!(interface, %error, "frame not sent");
            }
        }
        let mut actions = Vec::new();
        self.drain(&mut actions);
        let waiting = actions.len();
        let now = clock();
        self.resume(now);
        let pending = !actions.is_empty() || !self.frames.is_empty();
        let wait = if pending { Some(Duration::ZERO) } else { self.patience(now, timeout) };
        let mut ready = std::mem::take(&mut self.ready);
        let waited = self.snooper.wait(wait, &mut ready);
        for port in ready.drain(..) {
            self.read(port, &clock);
        }
        self.ready = ready;
        waited?;
        self.drain(&mut actions);
        if let Some(heard) = self.heard.take() {
            let caused = actions.get(waiting..).unwrap_or_default();
            let announced = caused.iter().filter(|action| matches!(action, Action::Announce { .. })).count();
            let time = clock().since(heard);
            (0..announced).for_each(|_| self.latency.record(time));
        }
        self.claims.expire(clock());
        self.drain(&mut actions);
        Ok(actions)
    }

    /// How long a turn may wait.
    fn patience(&self, now: Timestamp, timeout: Option<Duration>) -> Option<Duration> {
        let resume = self.paused.first().map(|(at, _)| *at);
        let due = [self.claims.next_deadline(), resume].into_iter().flatten().min().map(|at| at.since(now));
        [due, timeout].into_iter().flatten().min()
    }

    /// Reads a device, up to its share of the turn and its ports' rates.
    fn read(&mut self, device: IfIndex, clock: &impl Fn() -> Timestamp) {
        let mut buffer = [0; frame::SNAP_LEN];
        for _ in 0..FRAMES_PER_VISIT {
            let received = match self.snooper.receive(device, &mut buffer) {
                Ok(Some(received)) => received,
                Ok(None) => return,
                Err(error) => {
                    tracing::warn!(device, %error, "port cannot be read any more");
                    self.snooper.remove_port(device);
                    return;
                }
            };
            let now = clock();
            self.heard.get_or_insert(now);
            let port = self.ears.port_of(device, received.stripped_vlan);
            // Frames of VLANs that are no domain's cost something too.
            let charged = port.or_else(|| self.ears.of(device).first().copied());
            let Some(charged) = charged else { return };
            if !self.claims.admit_frame(charged.number, now) {
                self.pause(device, now);
                return;
            }
            let Some(port) = port else { continue };
            self.heed(port, buffer.get(..received.len).unwrap_or(&[]), received, now);
        }
    }

    /// Tells the claims what a frame says.
    fn heed(&mut self, port: ears::Port, bytes: &[u8], received: Received, now: Timestamp) {
        let parsed = frame::parse(bytes, received.stripped_vlan).map(|mut frame| {
            if port.lane != Lane::All {
                frame.ethernet.vlan = None;
            }
            frame
        });
        if let Ok(frame::Frame { body: Body::Discovery(discovery), .. }) = &parsed
            && discovery.message == Message::RouterAdvertisement
        {
            self.claims.router_advertisement(port.number);
        }
        self.claims.sighted(port.number, parsed.and_then(|frame| frame::sighting(&frame)), now);
    }

    fn pause(&mut self, port: IfIndex, now: Timestamp) {
        match self.snooper.listen(port, false) {
            Ok(()) => {
                self.paused.insert((now + PAUSE, port));
            }
            Err(error) => tracing::warn!(port, %error, "port cannot be paused"),
        }
    }

    fn resume(&mut self, now: Timestamp) {
        while let Some((at, port)) = self.paused.first().copied().filter(|(at, _)| *at <= now) {
            self.paused.remove(&(at, port));
            if let Err(error) = self.snooper.listen(port, true) {
                tracing::warn!(port, %error, "port cannot be read any more");
            }
        }
    }

    /// Sorts the machine's outputs: actions for the caller, frames for the next turn, notices for the log too.
    fn drain(&mut self, actions: &mut Vec<Action>) {
        for output in self.claims.take_outputs() {
            match output {
                Output::Action(mut action) => {
                    if let Action::Notice(Notice { port, .. }) = &mut action {
                        *port = port.map(|port| self.ears.device_of(port).0);
                    }
                    if let Action::Notice(notice) = &action {
                        self.log(notice);
                    }
                    actions.push(action);
                }
                Output::Probe { via, from, mac, address } => {
                    self.frames.extend(probe(from, mac, address).map(|frame| (via, frame)));
                }
                Output::AnnounceGateway { via, from: (our_mac, gateway) } => {
                    let arp = gateway.ipv4.map(|address| frame::gratuitous_arp((our_mac, address)));
                    let advertisement =
                        gateway.ipv6.map(|address| frame::unsolicited_advertisement((our_mac, address)));
                    self.frames.extend(arp.into_iter().chain(advertisement).map(|frame| (via, frame)));
                }
            }
        }
    }

    fn log(&self, notice: &Notice) {
        let port = notice.port.and_then(|port| self.links.get(&port)).map(|link| link.name.as_str());
        let port = port.unwrap_or("-");
        let domain = &*notice.domain;
        match notice.kind {
            NoticeKind::Refused(why, _) if why.is_suspicious() => tracing::warn!(domain, port, "{notice}"),
            NoticeKind::Refused(..) => tracing::debug!(domain, port, "{notice}"),
            NoticeKind::Silent | NoticeKind::Moved => tracing::info!(domain, port, "{notice}"),
            NoticeKind::TakenOver | NoticeKind::Yielded => tracing::info!(domain, port, "{notice}"),
            NoticeKind::Mended | NoticeKind::Duplicate | NoticeKind::Frozen => {
                tracing::warn!(domain, port, "{notice}")
            }
        }
    }
}

/// The frame that asks for `address`, if the gateway has an address of its family.
fn probe((our_mac, gateway): (Mac, Gateway), mac: Mac, address: IpAddr) -> Option<Vec<u8>> {
    match address {
        IpAddr::V4(address) => gateway.ipv4.map(|from| frame::arp_probe((our_mac, from), mac, address)),
        IpAddr::V6(address) => gateway.ipv6.map(|from| frame::neighbor_probe((our_mac, from), mac, address)),
    }
}
