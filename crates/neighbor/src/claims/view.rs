//! What can be seen of claims and ports from outside.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use siskin_net::{IfIndex, Timestamp};

use super::domain::DomainId;
use super::machine::StateName;
use super::port::PortCounters;
use super::{Claims, EvidenceKind, Mobility, Remote};
use crate::{Mac, guard};

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

    /// Grows with every change of owners, ports or configuration.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// What the filter needs. The caller knows links: of an interface by its index the bridge that its VMs are behind,
    /// of a port by its number the device, and whether its frames come without a tag.
    #[must_use]
    pub fn filter_view(
        &self,
        bridge_of: impl Fn(IfIndex) -> Option<Arc<str>>,
        device_of: impl Fn(IfIndex) -> (IfIndex, bool),
    ) -> guard::View {
        let mut tagged = Vec::new();
        let mut domains: Vec<(DomainId, guard::DomainView)> = Vec::new();
        for (id, domain) in &self.domains {
            let Some((filter, link)) = domain.config.filter.zip(domain.link) else { continue };
            let config = &domain.config;
            let bridge = bridge_of(link.index);
            let declared = domain.declared_after(None).map(|(address, vm)| (vm.mac, address));
            domains.push((
                *id,
                guard::DomainView {
                    name: domain.name.clone(),
                    hook: if bridge.is_some() { guard::Hook::Bridge } else { guard::Hook::Netdev },
                    bridge,
                    guard: config.guard,
                    isolate: filter.isolate,
                    gateway: config.gateway,
                    mac: link.mac.is_station().then_some(link.mac),
                    prefixes: config.prefixes.clone(),
                    declared: declared.collect(),
                    ports: Vec::new(),
                    unplaced: Vec::new(),
                },
            ));
        }
        if domains.is_empty() {
            return guard::View { domains: Vec::new(), own: self.own.iter().copied().collect(), tagged };
        }
        let places: BTreeMap<DomainId, usize> =
            domains.iter().enumerate().map(|(place, (id, _))| (*id, place)).collect();
        for (index, port) in &self.ports {
            let home = places.get(&port.domain).and_then(|place| domains.get_mut(*place));
            let Some((id, domain)) = home else { continue };
            let (device, untagged) = device_of(*index);
            if !untagged {
                tagged.push(port.name.clone());
                continue;
            }
            let owners = port.addresses.iter().filter_map(|address| {
                let claim = self.claims.get(&(*id, *address))?;
                may_speak(claim.state.name()).then_some((claim.owner.mac, *address))
            });
            let mut owners: Vec<_> = owners.collect();
            // Whose port is declared may speak there before it was heard.
            let behind = self.domains.get(id).into_iter().flat_map(|d| {
                let addresses = d.declared_behind(&port.name);
                addresses.filter_map(|address| d.declared(address).map(|vm| (vm.mac, address)))
            });
            owners.extend(behind);
            domain.ports.push(guard::PortView { index: device, name: port.name.clone(), owners });
        }
        for (key, claim) in &self.claims {
            if claim.owner.port.is_some() || !claim.state.in_kernel() {
                continue;
            }
            let home = places.get(&key.0).and_then(|place| domains.get_mut(*place));
            let Some((_, domain)) = home else { continue };
            let owner = (claim.owner.mac, key.1);
            let expected = self.expected.get(key);
            match domain.ports.iter_mut().find(|port| Some(&port.name) == expected) {
                Some(port) => port.owners.push(owner),
                None => domain.unplaced.push(owner),
            }
        }
        let domains = domains.into_iter().map(|(_, domain)| domain).collect();
        guard::View { domains, own: self.own.iter().copied().collect(), tagged }
    }
}

/// Whether the owner of an address may send data from it: not before it is one, nor when another router has it.
pub(super) fn may_speak(state: StateName) -> bool {
    !matches!(state, StateName::Candidate | StateName::Standby | StateName::Moved)
}
