//! Host routes, ready for a thread to turn: claims, sockets and the links they hang on.
//!
//! One thread owns a [`HostRoutes`], feeds it what netlink tells, calls [`HostRoutes::turn`] in a loop and does the
//! [`Action`]s it returns, in order. Other threads reach it through the owner, whom [`HostRoutes::waker`] wakes. Feed
//! link events before each turn: a frame that is faster than the event of its port is not heard.
//!
//! Frames to VMs that follow an action (the gateway's announcement after an address is installed) go out at the start
//! of the next turn, when the caller has done the action.

mod links;
mod moves;
mod view;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::IpAddr;
use std::time::Duration;

use siskin_net::{IfIndex, Timestamp};

pub use crate::claims::{Action, Notice, NoticeKind};
use crate::claims::{Claims, DomainConfig, Gateway, Output};
use crate::frame::{self, Body, Message};
use crate::mac::Mac;
use crate::snoop::{Snooper, Waker};
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
    /// Interfaces of domains that are there, and how their VMs are found.
    homes: BTreeMap<IfIndex, links::Home>,
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
            homes: BTreeMap::new(),
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
        let before: BTreeSet<IfIndex> = self.homes.keys().copied().collect();
        self.claims.configure(domains, now);
        for index in before {
            let named = self.links.get(&index).is_some_and(|link| self.claims.domain(&link.name).is_some());
            if !named {
                self.leave(index, now);
            }
        }
        let unknown: Vec<IfIndex> = self
            .links
            .iter()
            .filter(|(index, l)| !self.homes.contains_key(index) && self.claims.domain(&l.name).is_some())
            .map(|(index, _)| *index)
            .collect();
        for index in unknown {
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
        for (interface, frame) in std::mem::take(&mut self.frames) {
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

    /// Reads a port, up to its share of the turn and its rate.
    fn read(&mut self, port: IfIndex, clock: &impl Fn() -> Timestamp) {
        let mut buffer = [0; frame::SNAP_LEN];
        for _ in 0..FRAMES_PER_VISIT {
            let received = match self.snooper.receive(port, &mut buffer) {
                Ok(Some(received)) => received,
                Ok(None) => return,
                Err(error) => {
                    tracing::warn!(port, %error, "port cannot be read any more");
                    self.snooper.remove_port(port);
                    return;
                }
            };
            let now = clock();
            self.heard.get_or_insert(now);
            if !self.claims.admit_frame(port, now) {
                self.pause(port, now);
                return;
            }
            let bytes = buffer.get(..received.len).unwrap_or(&[]);
            let parsed = frame::parse(bytes, received.stripped_vlan);
            if let Ok(frame::Frame { body: Body::Discovery(discovery), .. }) = &parsed
                && discovery.message == Message::RouterAdvertisement
            {
                self.claims.router_advertisement(port);
            }
            self.claims.sighted(port, parsed.and_then(|frame| frame::sighting(&frame)), now);
        }
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
                Output::Action(action) => {
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
