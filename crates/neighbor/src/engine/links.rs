//! Which ports a domain has: the ports of its interface if that is a bridge, else the interface itself (a routed tap
//! or veth, a VLAN device). Interfaces and ports may come in any order, go, and change names and masters.

use std::collections::BTreeSet;
use std::sync::Arc;

use siskin_net::{IfIndex, Timestamp};

use super::HostRoutes;
use crate::claims::{DomainId, DomainLink};
use crate::mac::Mac;
use crate::snoop::is_bridge;

/// A link as netlink describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
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
    /// The event says that it is gone.
    pub deleted: bool,
}

/// The interface of a domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Home {
    pub(super) domain: DomainId,
    pub(super) bridge: bool,
}

impl HostRoutes {
    /// A link came, changed or went. At start: one for each link there is, in any order.
    pub fn link_event(&mut self, link: LinkInfo, now: Timestamp) {
        let index = link.index;
        if link.deleted {
            self.leave(index, now);
            self.drop_port(index, now);
            self.links.remove(&index);
            return;
        }
        self.links.insert(index, link);
        self.settle_link(index, now);
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

    /// Brings home and port in line with what is known of a link.
    pub(super) fn settle_link(&mut self, index: IfIndex, now: Timestamp) {
        let Some(link) = self.links.get(&index).cloned() else { return };
        let domain = self.claims.domain(&link.name);
        if self.homes.get(&index).is_some_and(|home| Some(home.domain) != domain) {
            self.leave(index, now);
        }
        if let Some(domain) = domain {
            self.enter(&link, domain, now);
        }
        self.settle_port(&link, now);
    }

    fn enter(&mut self, link: &LinkInfo, domain: DomainId, now: Timestamp) {
        let known = self.homes.contains_key(&link.index);
        let bridge = self.homes.get(&link.index).map_or_else(|| is_bridge(&link.name), |home| home.bridge);
        // Another interface may have had the name before, and its end may not have been told yet.
        let usurped = |(index, home): (&IfIndex, &Home)| home.domain == domain && *index != link.index;
        if let Some(index) = self.homes.iter().find(|entry| usurped(*entry)).map(|(index, _)| *index) {
            self.leave(index, now);
        }
        self.homes.insert(link.index, Home { domain, bridge });
        let state = DomainLink { index: link.index, mac: link.mac, up: link.up };
        self.claims.set_link(domain, Some(state), now);
        if !known && bridge {
            let members: Vec<LinkInfo> =
                self.links.values().filter(|l| l.master == Some(link.index)).cloned().collect();
            for member in members {
                self.settle_port(&member, now);
            }
        }
    }

    /// An interface is no domain's any more.
    pub(super) fn leave(&mut self, index: IfIndex, now: Timestamp) {
        let Some(home) = self.homes.remove(&index) else { return };
        self.claims.set_link(home.domain, None, now);
        let ports: Vec<IfIndex> = self
            .links
            .values()
            .filter(|l| l.index == index || l.master == Some(index))
            .map(|l| l.index)
            .collect();
        for port in ports {
            self.drop_port(port, now);
        }
    }

    /// The domain a link is a port of.
    fn domain_of_port(&self, link: &LinkInfo) -> Option<DomainId> {
        let itself = self.homes.get(&link.index).filter(|home| !home.bridge);
        let by_bridge = || link.master.and_then(|m| self.homes.get(&m)).filter(|home| home.bridge);
        itself.or_else(by_bridge).map(|home| home.domain)
    }

    fn settle_port(&mut self, link: &LinkInfo, now: Timestamp) {
        let Some(domain) = self.domain_of_port(link) else { return self.drop_port(link.index, now) };
        if !self.snooper.has_port(link.index) {
            let itself = self.homes.contains_key(&link.index);
            // Without a socket the port is still known: its end is told by the next link event.
            if let Err(error) = self.snooper.add_port(link.index, itself) {
                tracing::warn!(port = link.name, %error, "cannot listen on the port");
            }
        }
        let name = Arc::from(link.name.as_str());
        self.claims.set_port(link.index, &name, domain, link.up && link.carrier, now);
    }

    fn drop_port(&mut self, index: IfIndex, now: Timestamp) {
        self.snooper.remove_port(index);
        self.paused.retain(|(_, port)| *port != index);
        self.claims.port_gone(index, now);
    }
}
