//! What changes with ports and owners: the elements of the ruleset's sets.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use super::{Hook, View, is_plain_name};
use crate::Mac;
use crate::claims::Guard;

/// A set of the ruleset. IPv6 addresses are held as integers: the target of a neighbour advertisement has no name in
/// older nftables, and a set has one type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Set {
    /// The domain's chain for each port: a port that is not in it is not judged.
    Ports,
    /// Ports that have an owner.
    Bound,
    /// Port and MAC address of its owners.
    Macs,
    /// Port and IPv4 address.
    Ipv4,
    /// Port and IPv6 address.
    Ipv6,
    /// MAC addresses that belong to some port.
    TakenMacs,
    /// IPv4 addresses that belong to some port or are declared.
    TakenIpv4,
    /// The same, IPv6.
    TakenIpv6,
    /// MAC address and declared IPv4 address.
    DeclaredIpv4,
    /// MAC address and declared IPv6 address.
    DeclaredIpv6,
    /// Addresses of gateways and of the router, IPv4.
    RouterIpv4,
    /// The same, IPv6.
    RouterIpv6,
    /// MAC addresses of the interfaces.
    RouterMacs,
}

impl Set {
    /// All.
    pub const ALL: [Set; 13] = [
        Set::Ports,
        Set::Bound,
        Set::Macs,
        Set::Ipv4,
        Set::Ipv6,
        Set::TakenMacs,
        Set::TakenIpv4,
        Set::TakenIpv6,
        Set::DeclaredIpv4,
        Set::DeclaredIpv6,
        Set::RouterIpv4,
        Set::RouterIpv6,
        Set::RouterMacs,
    ];

    /// Its name in the ruleset.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Set::Ports => "ports",
            Set::Bound => "bound",
            Set::Macs => "port_mac",
            Set::Ipv4 => "port_ipv4",
            Set::Ipv6 => "port_ipv6",
            Set::TakenMacs => "taken_mac",
            Set::TakenIpv4 => "taken_ipv4",
            Set::TakenIpv6 => "taken_ipv6",
            Set::DeclaredIpv4 => "declared_ipv4",
            Set::DeclaredIpv6 => "declared_ipv6",
            Set::RouterIpv4 => "router_ipv4",
            Set::RouterIpv6 => "router_ipv6",
            Set::RouterMacs => "router_mac",
        }
    }

    /// Its type, as nftables spells it.
    pub(super) const fn kind(self) -> &'static str {
        match self {
            Set::Ports => "type ifname : verdict",
            Set::Bound => "type ifname",
            Set::Macs => "type ifname . ether_addr",
            Set::Ipv4 => "type ifname . ipv4_addr",
            Set::Ipv6 => "typeof iifname . @nh,64,128",
            Set::TakenMacs | Set::RouterMacs => "type ether_addr",
            Set::TakenIpv4 | Set::RouterIpv4 => "type ipv4_addr",
            Set::TakenIpv6 | Set::RouterIpv6 => "typeof @nh,64,128",
            Set::DeclaredIpv4 => "type ether_addr . ipv4_addr",
            Set::DeclaredIpv6 => "typeof ether saddr . @nh,64,128",
        }
    }
}

/// What an element is made of; what its set has no place for is `None`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Key {
    /// The port's name.
    pub port: Option<Arc<str>>,
    /// The MAC address.
    pub mac: Option<Mac>,
    /// The address.
    pub address: Option<IpAddr>,
    /// The number of the domain whose chain judges the port.
    pub domain: Option<usize>,
}

/// One element.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Element {
    /// Its set.
    pub set: Set,
    /// What it is.
    pub key: Key,
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut between = "";
        if let Some(port) = &self.port {
            write!(f, "\"{port}\"")?;
            between = " . ";
        }
        if let Some(mac) = self.mac {
            write!(f, "{between}{mac}")?;
            between = " . ";
        }
        match self.address {
            Some(IpAddr::V4(address)) => write!(f, "{between}{address}")?,
            Some(IpAddr::V6(address)) => write!(f, "{between}{}", integer(address))?,
            None => {}
        }
        match self.domain {
            Some(domain) => write!(f, " : goto d{domain}"),
            None => Ok(()),
        }
    }
}

/// An IPv6 address as nftables writes the integers of raw expressions.
pub(super) fn integer(address: Ipv6Addr) -> String {
    format!("{:#034x}", address.to_bits())
}

/// All elements of the table at `hook`.
pub(super) fn of(view: &View, hook: Hook) -> BTreeSet<Element> {
    let mut all = BTreeSet::new();
    let mut add = |set, port: Option<&Arc<str>>, mac, address, domain| {
        all.insert(Element { set, key: Key { port: port.cloned(), mac, address, domain } });
    };
    for (number, domain) in view.at(hook) {
        for port in domain.ports.iter().filter(|port| is_plain_name(&port.name)) {
            let name = Some(&port.name);
            add(Set::Ports, name, None, None, Some(number));
            for (mac, address) in &port.owners {
                add(Set::Bound, name, None, None, None);
                add(Set::Macs, name, Some(*mac), None, None);
                let set = if address.is_ipv4() { Set::Ipv4 } else { Set::Ipv6 };
                add(set, name, None, Some(*address), None);
            }
        }
    }
    let taken = |address: &IpAddr| if address.is_ipv4() { Set::TakenIpv4 } else { Set::TakenIpv6 };
    let router = |address: &IpAddr| if address.is_ipv4() { Set::RouterIpv4 } else { Set::RouterIpv6 };
    for domain in &view.domains {
        // The last to speak has it: nothing is ever taken.
        if domain.guard != Guard::Open {
            for (mac, address) in domain.ports.iter().flat_map(|port| &port.owners) {
                add(Set::TakenMacs, None, Some(*mac), None, None);
                add(taken(address), None, None, Some(*address), None);
            }
        }
        for (mac, address) in &domain.declared {
            let set = if address.is_ipv4() { Set::DeclaredIpv4 } else { Set::DeclaredIpv6 };
            add(set, None, Some(*mac), Some(*address), None);
            add(taken(address), None, None, Some(*address), None);
        }
        if let Some(mac) = domain.mac {
            add(Set::RouterMacs, None, Some(mac), None, None);
        }
        let gateways = [domain.gateway.ipv4.map(IpAddr::V4), domain.gateway.ipv6.map(IpAddr::V6)];
        for address in gateways.iter().flatten().chain(&view.own) {
            add(router(address), None, None, Some(*address), None);
        }
    }
    all
}
