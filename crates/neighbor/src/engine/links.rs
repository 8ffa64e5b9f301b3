//! Which interfaces are domains, and which ports they have: of a bridge, or of a bridge's VLAN device, those ports of
//! the bridge that are VMs' and members of the VLAN; else the interface itself (a routed tap or veth). Interfaces and
//! ports may come in any order, go, and change names, masters and VLANs.

use std::collections::BTreeSet;
use std::sync::Arc;

use siskin_net::{IfIndex, PortVlans, Timestamp};

use super::HostRoutes;
use super::ears::Lane;
use crate::claims::{DomainId, DomainLink};
use crate::mac::Mac;

/// Kinds of links behind which are networks and not a VM; hardware has no kind at all.
const UPLINKS: [&str; 18] = [
    "",
    "bond",
    "team",
    "vlan",
    "vxlan",
    "geneve",
    "wireguard",
    "batadv",
    "gretap",
    "ip6gretap",
    "erspan",
    "ip6erspan",
    "l2tp",
    "macsec",
    "hsr",
    "bridge",
    "ovpn",
    "amt",
];

/// A link as netlink describes it.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct LinkInfo {
    /// Its index.
    pub index: IfIndex,
    /// Its name.
    pub name: String,
    /// Its MAC address; zero if it has none.
    pub mac: Mac,
    /// Administratively up (IFF_UP).
    pub up: bool,
    /// It has carrier (IFF_LOWER_UP).
    pub carrier: bool,
    /// The bridge, bond or VRF it belongs to.
    pub master: Option<IfIndex>,
    /// What the driver calls it: `bridge`, `vlan`, `veth`, `tun` …; empty for hardware.
    pub kind: String,
    /// What a VLAN device stands on.
    pub lower: Option<IfIndex>,
    /// The VLAN of a VLAN device.
    pub vlan: Option<u16>,
    /// A bridge that heeds its ports' VLANs.
    pub vlan_filtering: bool,
    /// The event says that it is gone.
    pub deleted: bool,
}

impl LinkInfo {
    fn is_bridge(&self) -> bool {
        self.kind == "bridge"
    }
}

/// The interface of a domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Home {
    pub(super) domain: DomainId,
    pub(super) reach: Reach,
}

/// Where a domain's VMs are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// Behind the interface itself.
    Itself,
    /// Behind ports of a bridge.
    Bridge {
        /// The bridge.
        bridge: IfIndex,
        /// The VLAN; `None`: the bridge heeds none.
        vlan: Option<u16>,
    },
    /// A bridge that heeds VLANs and is in none: no frame comes to it.
    Nowhere,
}

impl Reach {
    pub(super) fn bridge(self) -> Option<IfIndex> {
        match self {
            Reach::Bridge { bridge, .. } => Some(bridge),
            Reach::Itself | Reach::Nowhere => None,
        }
    }
}

impl HostRoutes {
    /// A link came, changed or went. At start: one for each link there is, in any order.
    pub fn link_event(&mut self, link: LinkInfo, now: Timestamp) {
        let index = link.index;
        if link.deleted {
            self.leave(index, now);
            self.set_ports(index, &[], now);
            self.links.remove(&index);
            self.vlans.remove(&index);
            return;
        }
        let before = self.links.insert(index, link.clone());
        if before.as_ref() == Some(&link) {
            return;
        }
        self.settle_link(index, now);
        let filtering = |l: &LinkInfo| (l.is_bridge(), l.vlan_filtering);
        if before.as_ref().map(filtering) != Some(filtering(&link)) && link.is_bridge() {
            self.settle_around(index, now);
        }
    }

    /// All links there are, after netlink lost events: those not named are gone.
    pub fn resync_links(&mut self, links: Vec<LinkInfo>, now: Timestamp) {
        let there: BTreeSet<IfIndex> = links.iter().map(|link| link.index).collect();
        let gone: Vec<LinkInfo> =
            self.links.values().filter(|l| !there.contains(&l.index)).cloned().collect();
        for link in gone {
            self.link_event(LinkInfo { deleted: true, ..link }, now);
        }
        for link in links {
            self.link_event(link, now);
        }
    }

    /// The VLANs of bridges' ports, and of bridges themselves. `all`: those not named have none.
    pub fn set_vlans(
        &mut self,
        vlans: impl IntoIterator<Item = (IfIndex, PortVlans)>,
        all: bool,
        now: Timestamp,
    ) {
        let mut changed = Vec::new();
        let mut named = BTreeSet::new();
        for (index, vlans) in vlans {
            named.insert(index);
            if self.vlans.get(&index) != Some(&vlans) {
                changed.push(index);
                self.vlans.insert(index, vlans);
            }
        }
        if all {
            changed.extend(self.vlans.keys().filter(|index| !named.contains(index)));
            self.vlans.retain(|index, _| named.contains(index));
        }
        for index in changed {
            let bridge = self.links.get(&index).is_some_and(LinkInfo::is_bridge);
            self.settle_link(index, now);
            if bridge {
                self.settle_around(index, now);
            }
        }
    }

    /// Looks again at what depends on a bridge: its ports, and the VLAN devices on it.
    fn settle_around(&mut self, bridge: IfIndex, now: Timestamp) {
        let of_bridge = |l: &&LinkInfo| l.master == Some(bridge) || l.lower == Some(bridge);
        let around: Vec<IfIndex> = self.links.values().filter(of_bridge).map(|l| l.index).collect();
        for index in around {
            self.settle_link(index, now);
        }
    }

    /// Brings home and ports in line with what is known of a link.
    pub(super) fn settle_link(&mut self, index: IfIndex, now: Timestamp) {
        let Some(link) = self.links.get(&index).cloned() else { return };
        let domain = self.domain_of(&link);
        let reach = self.reach_of(&link);
        if self.homes.get(&index).is_some_and(|home| Some(home.domain) != domain || home.reach != reach) {
            self.leave(index, now);
        }
        // Leaving ends the domain of an interface that only a pattern names.
        if let Some(domain) = self.domain_of(&link).or_else(|| self.new_instance(&link, now)) {
            self.enter(&link, Home { domain, reach }, now);
        }
        self.settle_port(&link, now);
    }

    /// The domain of an interface: one that names it, or names its bridge and its VLAN, or one that a pattern made.
    fn domain_of(&self, link: &LinkInfo) -> Option<DomainId> {
        let named = self.claims.domain(&link.name);
        if let Some(id) = named.filter(|id| !self.claims.is_instance(*id)) {
            match self.claims.vlan_of(id) {
                None => return Some(id),
                // The bridge's own VLAN, for which there need be no device.
                own if link.is_bridge() && own == self.vlans.get(&link.index).and_then(|v| v.pvid) => {
                    return Some(id);
                }
                Some(_) => return None,
            }
        }
        let lower = link.lower.filter(|_| link.kind == "vlan").and_then(|lower| self.links.get(&lower));
        let by_vlan = lower.and_then(|lower| self.claims.domain(&lower.name));
        by_vlan
            .filter(|id| link.vlan.is_some() && self.claims.vlan_of(*id) == link.vlan)
            .or_else(|| named.filter(|_| !self.is_bridge_port(link)))
    }

    /// Patterns are for interfaces that stand alone: a bridge's port is heard by the bridge's domain.
    fn new_instance(&mut self, link: &LinkInfo, now: Timestamp) -> Option<DomainId> {
        if self.is_bridge_port(link) || self.claims.domain(&link.name).is_some() {
            return None;
        }
        self.claims.instantiate(&link.name, now)
    }

    fn is_bridge_port(&self, link: &LinkInfo) -> bool {
        link.master.and_then(|master| self.links.get(&master)).is_some_and(LinkInfo::is_bridge)
    }

    /// Where the VMs of an interface's domain are.
    fn reach_of(&self, link: &LinkInfo) -> Reach {
        let lower = link.lower.filter(|_| link.kind == "vlan").and_then(|lower| self.links.get(&lower));
        if let (Some(bridge), Some(_)) = (lower.filter(|l| l.is_bridge()), link.vlan) {
            return Reach::Bridge { bridge: bridge.index, vlan: link.vlan };
        }
        match self.vlans.get(&link.index).and_then(|vlans| vlans.pvid) {
            _ if !link.is_bridge() => Reach::Itself,
            _ if !link.vlan_filtering => Reach::Bridge { bridge: link.index, vlan: None },
            None => Reach::Nowhere,
            own => Reach::Bridge { bridge: link.index, vlan: own },
        }
    }

    fn enter(&mut self, link: &LinkInfo, home: Home, now: Timestamp) {
        let known = self.homes.contains_key(&link.index);
        if !known {
            // Another interface may have had the name before, and its end may not have been told yet.
            let usurped =
                |(index, other): (&IfIndex, &Home)| other.domain == home.domain && *index != link.index;
            if let Some(index) = self.homes.iter().find(|entry| usurped(*entry)).map(|(index, _)| *index) {
                self.leave(index, now);
            }
            self.homes.insert(link.index, home);
            if let Some(bridge) = home.reach.bridge() {
                self.homes_by_bridge.entry(bridge).or_default().insert(link.index);
            }
        }
        let state = DomainLink { index: link.index, mac: link.mac, up: link.up };
        self.claims.set_link(home.domain, Some(state), now);
        if let (false, Some(bridge)) = (known, home.reach.bridge()) {
            self.settle_ports_of(bridge, now);
        }
    }

    /// An interface is no domain's any more.
    pub(super) fn leave(&mut self, index: IfIndex, now: Timestamp) {
        let Some(home) = self.homes.remove(&index) else { return };
        if self.claims.is_instance(home.domain) {
            self.claims.discard(home.domain, now);
        } else {
            self.claims.set_link(home.domain, None, now);
        }
        if let Some(bridge) = home.reach.bridge() {
            if let Some(homes) = self.homes_by_bridge.get_mut(&bridge) {
                homes.remove(&index);
                if homes.is_empty() {
                    self.homes_by_bridge.remove(&bridge);
                }
            }
            self.settle_ports_of(bridge, now);
        }
        if let Some(link) = self.links.get(&index).cloned() {
            self.settle_port(&link, now);
        }
    }

    fn settle_ports_of(&mut self, bridge: IfIndex, now: Timestamp) {
        let ports: Vec<LinkInfo> =
            self.links.values().filter(|l| l.master == Some(bridge)).cloned().collect();
        for port in ports {
            self.settle_port(&port, now);
        }
    }

    /// The domains a link is a port of, and which of its frames are theirs.
    fn roles_of(&self, link: &LinkInfo) -> Vec<(DomainId, Lane)> {
        if let Some(home) = self.homes.get(&link.index).filter(|home| home.reach == Reach::Itself) {
            return vec![(home.domain, Lane::All)];
        }
        let Some(bridge) = link.master.and_then(|master| self.links.get(&master)) else { return Vec::new() };
        let homes = self.homes_by_bridge.get(&bridge.index).into_iter().flatten();
        let mut roles: Vec<(DomainId, Lane)> = homes
            .filter_map(|home| self.homes.get(home))
            .filter(|home| self.is_vm_port(home.domain, link))
            .filter_map(|home| Some((home.domain, self.lane(home.reach, bridge, link)?)))
            .collect();
        // A port that is heard whole has one domain.
        if roles.iter().any(|(_, lane)| *lane == Lane::All) {
            roles.retain(|(_, lane)| *lane == Lane::All);
            roles.truncate(1);
        }
        roles
    }

    fn is_vm_port(&self, domain: DomainId, link: &LinkInfo) -> bool {
        match self.claims.port_names(domain) {
            [] => !UPLINKS.contains(&link.kind.as_str()),
            names => names.iter().any(|name| name.matches(&link.name)),
        }
    }

    /// Which of a port's frames are of a domain; `None`: it is no member of the domain's VLAN.
    fn lane(&self, reach: Reach, bridge: &LinkInfo, port: &LinkInfo) -> Option<Lane> {
        let Reach::Bridge { vlan, .. } = reach else { return None };
        let Some(id) = vlan else { return Some(Lane::All) };
        if !bridge.vlan_filtering {
            return Some(Lane::Vlan { id, takes_untagged: false, leaves_untagged: false });
        }
        let vlans = self.vlans.get(&port.index)?;
        let leaves_untagged = vlans.leaves_untagged(id)?;
        Some(Lane::Vlan { id, takes_untagged: vlans.of_frame(None) == Some(id), leaves_untagged })
    }

    fn settle_port(&mut self, link: &LinkInfo, now: Timestamp) {
        let roles = self.roles_of(link);
        self.set_ports(link.index, &roles, now);
        if roles.is_empty() {
            return;
        }
        if !self.snooper.has_port(link.index) {
            let itself = self.homes.contains_key(&link.index);
            // Without a socket the port is still known: its end is told by the next link event.
            if let Err(error) = self.snooper.add_port(link.index, itself) {
                tracing::warn!(port = link.name, %error, "cannot listen on the port");
            }
        }
        let name = Arc::from(link.name.as_str());
        for port in self.ears.of(link.index).to_vec() {
            self.claims.set_port(port.number, &name, port.domain, link.up && link.carrier, now);
            if !link.up {
                self.claims.port_switched_off(port.number, now);
            }
        }
    }

    /// Takes from a device the ports that it is no longer.
    fn set_ports(&mut self, device: IfIndex, roles: &[(DomainId, Lane)], now: Timestamp) {
        for number in self.ears.set(device, roles) {
            self.claims.port_gone(number, now);
        }
        if roles.is_empty() && self.snooper.has_port(device) {
            self.snooper.remove_port(device);
            self.paused.retain(|(_, port)| *port != device);
        }
    }
}
