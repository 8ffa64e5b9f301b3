//! What the API and the metrics show: host routes and ports, owned, as they are now.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use siskin_net::{IfIndex, Timestamp};

use super::HostRoutes;
use crate::claims::{EvidenceKind, Mobility, MoveCounters, PortCounters, Remote, StateName};
use crate::mac::Mac;

/// A host route, or an address on its way to become one or that was one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostRoute {
    /// The name of the interface, which is the domain's.
    pub interface: Arc<str>,
    /// Its index.
    pub interface_index: IfIndex,
    /// The address.
    pub address: IpAddr,
    /// Its owner's MAC address.
    pub mac: Mac,
    /// Its owner's port; `None` while an entry of a previous run is unverified.
    pub port: Option<IfIndex>,
    /// The name of that port.
    pub port_name: Option<Arc<str>>,
    /// Its state.
    pub state: StateName,
    /// Whether it is announced.
    pub announced: bool,
    /// What goes with its route while it is announced; else the highest sequence number seen.
    pub mobility: Mobility,
    /// What another router announces for the address.
    pub remote: Option<Remote>,
    /// When it came into that state.
    pub since: Timestamp,
    /// The last evidence for it.
    pub last_evidence: EvidenceKind,
    /// When that came.
    pub last_evidence_at: Timestamp,
    /// Probes sent to its owner.
    pub probes_sent: u64,
    /// Times it changed its port or MAC address.
    pub moves: u64,
    /// The declared VM that owns it.
    pub vm: Option<String>,
}

/// A VM-facing port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortStatus {
    /// Its index.
    pub index: IfIndex,
    /// Its name.
    pub name: Arc<str>,
    /// The name of its domain's interface.
    pub interface: Arc<str>,
    /// Administratively up, with carrier.
    pub up: bool,
    /// Whether there is a socket on it.
    pub heard: bool,
    /// Addresses bound to it.
    pub addresses: Vec<IpAddr>,
    /// What it did.
    pub counters: PortCounters,
    /// Frames that the kernel dropped because the port had used up its rate and its buffer.
    pub dropped: u64,
}

/// How long it takes from a frame to the announcement it causes: from reading it off its socket to handing out the
/// [`super::Action`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Latency {
    /// Announcements that a frame caused.
    pub count: u64,
    /// All of them together.
    pub total: Duration,
    /// The longest since the start.
    pub longest: Duration,
}

impl Latency {
    pub(super) fn record(&mut self, time: Duration) {
        self.count += 1;
        self.total = self.total.saturating_add(time);
        self.longest = self.longest.max(time);
    }
}

/// What metrics show of all host routes together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Addresses in each state, in the order of [`StateName::ALL`].
    pub states: [u64; StateName::ALL.len()],
    /// Addresses announced elevated.
    pub elevated: u64,
    /// Moves between routers since the start.
    pub moves: MoveCounters,
    /// From a frame to its announcement.
    pub latency: Latency,
}

impl HostRoutes {
    /// All in numbers.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        let mut statistics =
            Statistics { moves: self.claims.move_counters(), latency: self.latency, ..Statistics::default() };
        for claim in self.claims.iter() {
            if let Some(count) = statistics.states.get_mut(claim.state as usize) {
                *count += 1;
            }
            statistics.elevated += u64::from(claim.mobility.elevated);
        }
        statistics
    }

    /// All host routes, by domain and address.
    #[must_use]
    pub fn snapshot(&self) -> Vec<HostRoute> {
        let all = self.claims.iter();
        all.map(|claim| HostRoute {
            interface: claim.domain.clone(),
            interface_index: claim.interface,
            address: claim.address,
            mac: claim.mac,
            port: claim.port,
            port_name: claim.port_name.cloned(),
            state: claim.state,
            announced: claim.announced,
            mobility: claim.mobility,
            remote: claim.remote,
            since: claim.since,
            last_evidence: claim.evidence,
            last_evidence_at: claim.evidence_at,
            probes_sent: claim.probes_sent,
            moves: claim.moves,
            vm: claim.vm.map(str::to_owned),
        })
        .collect()
    }

    /// All ports, by index; asks the kernel for each one's drops.
    pub fn ports(&mut self) -> Vec<PortStatus> {
        let snooper = &mut self.snooper;
        let all = self.claims.ports();
        all.map(|port| PortStatus {
            index: port.index,
            name: port.name.clone(),
            interface: port.domain.clone(),
            up: port.up,
            heard: snooper.has_port(port.index),
            addresses: port.addresses.to_vec(),
            counters: port.counters,
            dropped: snooper.dropped(port.index),
        })
        .collect()
    }
}
