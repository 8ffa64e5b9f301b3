//! What can be seen of claims and ports from outside.

use std::net::IpAddr;
use std::sync::Arc;

use siskin_net::{IfIndex, Timestamp};

use super::machine::StateName;
use super::port::PortCounters;
use super::{Claims, EvidenceKind, Mobility, Remote};
use crate::Mac;

/// One claim, as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimView<'a> {
    /// The domain: the name of its interface.
    pub domain: &'a Arc<str>,
    /// The index of that interface.
    pub interface: IfIndex,
    /// The address.
    pub address: IpAddr,
    /// Its owner's MAC address.
    pub mac: Mac,
    /// Its owner's port; `None` while an entry of a previous run is unverified.
    pub port: Option<IfIndex>,
    /// The name of that port.
    pub port_name: Option<&'a Arc<str>>,
    /// Its state.
    pub state: StateName,
    /// Whether it is announced.
    pub announced: bool,
    /// Whether its neighbour entry is in the kernel.
    pub installed: bool,
    /// What goes with its route while it is announced; else the highest sequence number seen.
    pub mobility: Mobility,
    /// What another router announces for the address.
    pub remote: Option<Remote>,
    /// When it came into that state.
    pub since: Timestamp,
    /// The last evidence for it.
    pub evidence: EvidenceKind,
    /// When that came.
    pub evidence_at: Timestamp,
    /// Probes sent to its owner.
    pub probes_sent: u64,
    /// Times it changed its port or MAC address.
    pub moves: u64,
    /// The declared VM that owns it.
    pub vm: Option<&'a str>,
}

/// One port, as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortView<'a> {
    /// Its index.
    pub index: IfIndex,
    /// Its name.
    pub name: &'a Arc<str>,
    /// The domain.
    pub domain: &'a Arc<str>,
    /// Administratively up, with carrier.
    pub up: bool,
    /// Addresses bound to it.
    pub addresses: &'a [IpAddr],
    /// What it did.
    pub counters: PortCounters,
}

impl Claims {
    /// All claims, by domain and address.
    pub fn iter(&self) -> impl Iterator<Item = ClaimView<'_>> {
        self.claims.iter().filter_map(|((id, address), claim)| {
            let domain = self.domains.get(id)?;
            Some(ClaimView {
                domain: &domain.name,
                interface: claim.interface,
                address: *address,
                mac: claim.owner.mac,
                port: claim.owner.port,
                port_name: claim.owner.port.and_then(|p| self.ports.get(&p)).map(|p| &p.name),
                state: claim.state.name(),
                announced: claim.state.announced(),
                installed: claim.state.in_kernel(),
                mobility: claim.mobility(),
                remote: self.remotes.get(address).copied(),
                since: claim.since,
                evidence: claim.evidence,
                evidence_at: claim.evidence_at,
                probes_sent: claim.probes_sent,
                moves: claim.moves,
                vm: domain.declared(*address).map(|d| &*d.name),
            })
        })
    }

    /// All ports, by index.
    pub fn ports(&self) -> impl Iterator<Item = PortView<'_>> {
        self.ports.iter().filter_map(|(index, port)| {
            Some(PortView {
                index: *index,
                name: &port.name,
                domain: &self.domains.get(&port.domain)?.name,
                up: port.up,
                addresses: &port.addresses,
                counters: port.counters,
            })
        })
    }
}
