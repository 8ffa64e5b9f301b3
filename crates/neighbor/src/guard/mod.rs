//! The filter: nftables rules that let a VM's port speak as its owner alone, made from what the claims know.
//!
//! Pure: a [`View`] goes in, text for `nft -f -` comes out, and so do lines for `bridge -batch -`. Whoever runs the
//! programs keeps the last [`Ruleset`] that was installed; [`Ruleset::update_from`] is then the difference, a few
//! elements of sets, and never the whole table for an event of one port.
//!
//! Ports of a bridge are judged in the family `bridge`, by one chain for all of them and sets keyed by port: a port that
//! comes and goes costs a few elements, and none of it can fail because a port is gone already. An interface that is
//! itself a VM's port (a routed tap) has no bridge hook; for these there is a table of the same rules in the family
//! `netdev`, with a chain on each. Both hooks come after packet sockets: the snooper hears also what is dropped here.
//!
//! What each rule is for: RFC 2827 (BCP 38), RFC 6105 and RFC 7113 (router advertisements), RFC 6980 (neighbour
//! discovery in fragments), RFC 7610 (DHCP answers). Left out: the source and target link-layer address options of
//! neighbour discovery, and traffic towards VMs.

mod elements;
mod flags;
mod reason;
mod rules;
mod ruleset;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use siskin_net::Prefix;

use crate::Mac;
use crate::claims::{Gateway, Guard};
pub use elements::{Element, Key, Set};
pub use flags::PortFlags;
pub use reason::Reason;
pub use ruleset::{Counts, PortCount, Ruleset, TABLE, remove};

/// Where ports are judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Hook {
    /// Ports of bridges, before the bridge learns from a frame.
    Bridge,
    /// Interfaces that are a VM's port themselves.
    Netdev,
}

impl Hook {
    /// Both.
    pub const ALL: [Hook; 2] = [Hook::Bridge, Hook::Netdev];

    /// The family of the table, as nftables spells it.
    #[must_use]
    pub const fn family(self) -> &'static str {
        match self {
            Hook::Bridge => "bridge",
            Hook::Netdev => "netdev",
        }
    }
}

/// What the filter needs of the claims: the domains with `filter = true`, as they are now.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct View {
    /// The domains, by name.
    pub domains: Vec<DomainView>,
    /// The router's own addresses: no VM speaks from them.
    pub own: Vec<IpAddr>,
    /// Names of ports that carry VLANs by tag: these are not judged.
    pub tagged: Vec<Arc<str>>,
}

/// One domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DomainView {
    /// The name of its interface.
    pub name: Arc<str>,
    /// Where its ports are judged.
    pub hook: Hook,
    /// The bridge that its ports are of, if any.
    pub bridge: Option<Arc<str>>,
    /// Who may have an address.
    pub guard: Guard,
    /// Whether its ports are kept apart: frames go to and from the bridge itself alone.
    pub isolate: bool,
    /// The gateway's addresses.
    pub gateway: Gateway,
    /// The interface's MAC address, while it is there.
    pub mac: Option<Mac>,
    /// Nothing outside is ever a VM's.
    pub prefixes: Vec<Prefix>,
    /// Declared addresses: first heard from their MAC address alone, on any port.
    pub declared: Vec<(Mac, IpAddr)>,
    /// Its ports.
    pub ports: Vec<PortView>,
    /// Addresses in the kernel whose port is not known: left by the run before, and not heard yet.
    pub unplaced: Vec<(Mac, IpAddr)>,
}

/// A port and who owns what behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortView {
    /// Its index.
    pub index: u32,
    /// Its name.
    pub name: Arc<str>,
    /// Addresses that may be spoken from: those in the kernel or gone silent, not those that are only wanted.
    pub owners: Vec<(Mac, IpAddr)>,
}

impl View {
    /// The domains judged at `hook`, with the number that stands in the names of their chains: the same for all whose
    /// rules are the same, as those of one pattern are.
    fn at(&self, hook: Hook) -> impl Iterator<Item = (usize, &DomainView)> {
        let mut numbers: BTreeMap<(u8, &[Prefix]), usize> = BTreeMap::new();
        let here = self.domains.iter().filter(move |domain| domain.hook == hook);
        here.map(move |domain| {
            let next = numbers.len();
            (*numbers.entry((domain.guard as u8, &domain.prefixes)).or_insert(next), domain)
        })
    }

    /// Puts addresses of a previous run where that run's filter had them, until they are heard.
    pub fn place(&mut self, before: &Ruleset) {
        for domain in &mut self.domains {
            let ports = &mut domain.ports;
            domain.unplaced.retain(|(mac, address)| {
                let home = ports.iter_mut().find(|port| before.allowed(&port.name, *mac, *address));
                home.map(|port| port.owners.push((*mac, *address))).is_none()
            });
        }
    }

    /// Addresses that nobody knows the port of.
    #[must_use]
    pub fn unplaced(&self) -> usize {
        self.domains.iter().map(|domain| domain.unplaced.len()).sum()
    }
}

/// Whether a name can stand in the ruleset as it is. Others are possible, and are never a hypervisor's: quotes and
/// stars mean something to nftables, and what looks like an address would be taken for one when it is read back.
#[must_use]
pub fn is_plain_name(name: &str) -> bool {
    let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-@:+".contains(&b));
    let address = name.starts_with("0x") || name.parse::<IpAddr>().is_ok() || name.parse::<Mac>().is_ok();
    plain && !name.is_empty() && !address
}

#[cfg(test)]
mod tests;
