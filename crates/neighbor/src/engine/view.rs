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
    /// The section of the configuration: the interface's name, its bridge's, or the pattern that matches it.
    pub section: Arc<str>,
    /// The name of the interface.
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
    /// The section of the configuration that it belongs to.
    pub section: Arc<str>,
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
            section: self.claims.section_of(claim.domain).unwrap_or_else(|| claim.domain.clone()),
            interface: self.name_of(claim.interface, claim.domain),
            interface_index: claim.interface,
            address: claim.address,
            mac: claim.mac,
            port: claim.port.map(|port| self.ears.device_of(port).0),
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

    /// An interface's name; a domain is called by its section's, which names a bridge where it also names a VLAN.
    fn name_of(&self, interface: IfIndex, domain: &Arc<str>) -> Arc<str> {
        let name =
            self.links.get(&interface).map(|link| link.name.as_str()).filter(|name| *name != &**domain);
        name.map_or_else(|| domain.clone(), Arc::from)
    }

    /// All ports, by index; asks the kernel for each one's drops.
    pub fn ports(&mut self) -> Vec<PortStatus> {
        let (snooper, ears, claims) = (&mut self.snooper, &self.ears, &self.claims);
        let all = claims.ports().map(|port| (ears.device_of(port.index).0, port));
        all.map(|(device, port)| PortStatus {
            index: device,
            name: port.name.clone(),
            section: claims.section_of(port.domain).unwrap_or_else(|| port.domain.clone()),
            interface: port.domain.clone(),
            up: port.up,
            heard: snooper.has_port(device),
            addresses: port.addresses.to_vec(),
            counters: port.counters,
            dropped: snooper.dropped(device),
        })
        .collect()
    }

    /// Grows with every change that [`HostRoutes::filter_view`] could show.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.claims.revision()
    }

    /// What the filter needs, of the domains that have one and whose interface is there.
    #[must_use]
    pub fn filter_view(&self) -> crate::guard::View {
        let bridge_of = |index: IfIndex| {
            let bridge = self.homes.get(&index)?.reach.bridge()?;
            Some(Arc::from(self.links.get(&bridge)?.name.as_str()))
        };
        let device_of = |port: IfIndex| {
            let device = self.ears.device_of(port).0;
            (device, self.ears.is_untagged(device))
        };
        self.claims.filter_view(bridge_of, device_of)
    }
}
