//! A mirror of what the kernel knows and others made: links, addresses, routes that are not ours, next-hop objects.
//!
//! It answers where a BGP next hop leads ([`KernelState::resolve`]) and what `redistribute` may announce. Policy rules
//! (`ip rule`), VRFs and routes with a TOS or source selector are left out.

mod resolve;
mod routes;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use foldhash::HashMap;
use siskin_net::{BgpIdentifier, Family, IfIndex, PortVlans, Prefix, RouteSource};

use crate::channel::Channel;
use crate::error::FibError;
use crate::event::{KernelEvent, KernelRoute};
use crate::wire::AF_UNSPEC;
use crate::wire::link::{self, BridgeNote, InterfaceAddress, Link};
use crate::wire::neighbor::{self, KernelNeighbor};
use crate::wire::nexthop::{self, KernelNextHop, NextHopKind};
use crate::wire::route::{self, MAIN_TABLE, RTPROT_KERNEL, RouteMessage};
use routes::Routes;

/// What the mirror holds and how it resolves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StateConfig {
    /// Our table; its foreign routes are mirrored besides those of `main`.
    pub table: u32,
    /// A next hop may be reached by a default route. Off, as in FRR (`ip nht resolve-via-default`): a peer's next
    /// hop that nothing more specific leads to is mostly a fault, and the route would point back to where it came from.
    pub resolve_via_default: bool,
}

impl Default for StateConfig {
    fn default() -> StateConfig {
        StateConfig { table: MAIN_TABLE, resolve_via_default: false }
    }
}

/// A prefix that is connected to an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Connected {
    /// The prefix.
    pub prefix: Prefix,
    /// The interface.
    pub interface: IfIndex,
}

/// The mirror.
#[derive(Debug)]
pub struct KernelState {
    config: StateConfig,
    links: BTreeMap<IfIndex, Link>,
    /// The VLANs of bridges' ports and of bridges themselves, while one of them heeds VLANs.
    vlans: BTreeMap<IfIndex, PortVlans>,
    /// Ordered by address, so that [`KernelState::is_local`] need not look at all.
    addresses: BTreeSet<(IpAddr, IfIndex, Prefix)>,
    routes: Routes,
    nexthops: HashMap<u32, NextHopKind>,
    /// Gateways that were asked for and did not answer; whoever follows the neighbour events sets them.
    silent: BTreeSet<(IfIndex, IpAddr)>,
    generation: u64,
    link_generation: u64,
    /// When each link last came, went up or down, by [`KernelState::link_generation`].
    touched: HashMap<IfIndex, u64>,
}

impl KernelState {
    /// An empty mirror, to be filled by events.
    #[must_use]
    pub fn empty(config: StateConfig) -> KernelState {
        KernelState {
            config,
            links: BTreeMap::new(),
            vlans: BTreeMap::new(),
            addresses: BTreeSet::new(),
            routes: Routes::default(),
            nexthops: HashMap::default(),
            silent: BTreeSet::new(),
            generation: 0,
            link_generation: 0,
            touched: HashMap::default(),
        }
    }

    /// Reads everything from the kernel.
    ///
    /// # Errors
    /// What the netlink socket or the kernel says.
    pub fn load(config: StateConfig) -> Result<KernelState, FibError> {
        let mut state = KernelState::empty(config);
        state.reload()?;
        Ok(state)
    }

    /// Reads everything again, as after [`KernelEvent::Overrun`].
    ///
    /// # Errors
    /// What the netlink socket or the kernel says; the mirror may then be incomplete.
    pub fn reload(&mut self) -> Result<(), FibError> {
        let mut channel = Channel::open()?;
        self.generation += 1;
        self.link_generation += 1;
        self.touched.clear();
        channel.dump(
            "reading links",
            link::dump_links,
            self,
            |s| s.links.clear(),
            |s, message| {
                if let Some(link) = Link::decode(message) {
                    s.links.insert(link.index, link);
                }
            },
        )?;
        channel.dump(
            "reading addresses",
            link::dump_addresses,
            self,
            |s| s.addresses.clear(),
            |s, message| {
                if let Some(a) = InterfaceAddress::decode(message) {
                    s.addresses.insert((a.address, a.interface, a.prefix));
                }
            },
        )?;
        self.look_after_silent(&mut channel)?;
        self.load_vlans(&mut channel)?;
        self.load_nexthops(&mut channel)?;
        self.routes.clear();
        let mut tables = vec![MAIN_TABLE];
        if self.config.table != MAIN_TABLE {
            tables.push(self.config.table);
        }
        for table in tables {
            for family in Family::ALL {
                self.load_routes(&mut channel, family, table)?;
            }
        }
        Ok(())
    }

    /// Of the gateways that did not answer, forgets those that do by now, and those whose link is gone.
    fn look_after_silent(&mut self, channel: &mut Channel) -> Result<(), FibError> {
        let links = &self.links;
        self.silent.retain(|(interface, _)| links.get(interface).is_some_and(Link::usable));
        if self.silent.is_empty() {
            return Ok(());
        }
        channel.dump(
            "reading gateways",
            |batch| neighbor::dump(batch, AF_UNSPEC),
            self,
            |_| {},
            |s, message| {
                let found = KernelNeighbor::decode(message).filter(|neighbor| neighbor.valid);
                if let Some(KernelNeighbor { interface, address: Some(address), .. }) = found {
                    s.silent.remove(&(interface, address));
                }
            },
        )
    }

    fn load_vlans(&mut self, channel: &mut Channel) -> Result<(), FibError> {
        self.vlans.clear();
        if !self.heeds_vlans() {
            return Ok(());
        }
        channel.dump(
            "reading bridges' VLANs",
            link::dump_bridge_notes,
            self,
            |s| s.vlans.clear(),
            |s, message| {
                if let Some(BridgeNote { port, vlans: Some(vlans) }) = BridgeNote::decode(message) {
                    s.vlans.insert(port, vlans);
                }
            },
        )
    }

    /// Reads the VLANs of bridges' ports again: when the first bridge heeds them, once notes are heard.
    ///
    /// # Errors
    /// What the netlink socket or the kernel says.
    pub fn reload_vlans(&mut self) -> Result<(), FibError> {
        self.load_vlans(&mut Channel::open()?)
    }

    /// Whether any bridge heeds its ports' VLANs.
    #[must_use]
    pub fn heeds_vlans(&self) -> bool {
        self.links.values().any(|link| link.vlan_filtering)
    }

    /// The VLANs of bridges' ports and of bridges themselves; empty while no bridge heeds them.
    pub fn vlans(&self) -> impl Iterator<Item = (IfIndex, &PortVlans)> {
        self.vlans.iter().map(|(port, vlans)| (*port, vlans))
    }

    fn load_nexthops(&mut self, channel: &mut Channel) -> Result<(), FibError> {
        let dump = channel.dump(
            "reading next hops",
            nexthop::dump,
            self,
            |s| s.nexthops.clear(),
            |s, message| {
                if let Some(nexthop) = KernelNextHop::decode(message) {
                    s.nexthops.insert(nexthop.id, nexthop.kind);
                }
            },
        );
        // Kernels before 5.3 know no such objects.
        dump.or_else(|error| if unsupported(&error) { Ok(()) } else { Err(error) })
    }

    fn load_routes(&mut self, channel: &mut Channel, family: Family, table: u32) -> Result<(), FibError> {
        let build = |batch: &mut crate::wire::batch::Batch| route::dump(batch, family, table);
        let dump = channel.dump(
            "reading routes",
            build,
            self,
            |_| {},
            |s, message| {
                if let Some(route) = RouteMessage::decode(message)
                    && route.table == table
                    && route.protocol != crate::PROTOCOL
                    && route.matters()
                {
                    s.routes.insert(KernelRoute::from(&route), false);
                }
            },
        );
        dump.or_else(|error| if no_such_table(&error) { Ok(()) } else { Err(error) })
    }

    /// Takes over one change. [`KernelEvent::Overrun`] reads everything again.
    ///
    /// # Errors
    /// Only after an overrun: as [`KernelState::reload`].
    pub fn apply(&mut self, event: &KernelEvent) -> Result<(), FibError> {
        match event {
            KernelEvent::Link { link, deleted } => self.apply_link(link, *deleted),
            KernelEvent::Bridge(BridgeNote { port, vlans: Some(vlans) }) => {
                self.vlans.insert(*port, vlans.clone());
            }
            // Some notes leave the VLANs out.
            KernelEvent::Bridge(BridgeNote { vlans: None, .. }) => {
                return self.reload_vlans();
            }
            KernelEvent::Address { address, deleted } => {
                // A link-local address is no next hop's way, and every interface has one.
                if is_announceable(address.address) || address.address.is_ipv4() {
                    self.generation += 1;
                }
                let key = (address.address, address.interface, address.prefix);
                if *deleted {
                    self.addresses.remove(&key);
                } else {
                    self.addresses.insert(key);
                }
            }
            KernelEvent::Route { route, deleted, replaced, .. } => {
                self.apply_route(route, *deleted, *replaced);
            }
            KernelEvent::NextHop { nexthop } => {
                self.generation += 1;
                self.nexthops.insert(nexthop.id, nexthop.kind.clone());
            }
            KernelEvent::NextHopDeleted { id } => {
                self.generation += 1;
                self.nexthops.remove(id);
            }
            KernelEvent::Neighbor { .. } | KernelEvent::OurRules => {}
            KernelEvent::Overrun => return self.reload(),
        }
        Ok(())
    }

    fn apply_link(&mut self, link: &Link, deleted: bool) {
        let before = self.links.get(&link.index).map(|l| (l.up, l.usable()));
        let after = if deleted { None } else { Some((link.up, link.usable())) };
        if before != after {
            self.link_generation += 1;
            self.touched.insert(link.index, self.link_generation);
            // Of the many interfaces of a host of virtual machines, most have no address and no route.
            if self.leads_over(link.index) {
                self.generation += 1;
            }
        }
        if before.is_some_and(|(up, _)| up) && !after.is_some_and(|(up, _)| up) {
            self.drop_silent_losses(link.index);
        }
        if !after.is_some_and(|(_, usable)| usable) {
            self.silent.retain(|(interface, _)| *interface != link.index);
        }
        if deleted {
            self.touched.remove(&link.index);
            self.links.remove(&link.index);
            self.vlans.remove(&link.index);
            self.addresses.retain(|(_, interface, _)| *interface != link.index);
        } else {
            self.links.insert(link.index, link.clone());
        }
    }

    /// Whether what is routed may go by an interface: it has an address that is not link-local, or a route does.
    fn leads_over(&self, interface: IfIndex) -> bool {
        self.routes.lead_over(interface) || self.global_addresses().any(|(_, i, _)| *i == interface)
    }

    /// The addresses without the IPv6 link-local ones.
    fn global_addresses(&self) -> impl Iterator<Item = &(IpAddr, IfIndex, Prefix)> {
        let none = Prefix::default_route(Family::Ipv4);
        let local = |address: u128| (IpAddr::V6(Ipv6Addr::from_bits(address)), 0, none);
        let (first, behind) = (local(0xfe80 << 112), local(0xfec0 << 112));
        self.addresses.range(..first).chain(self.addresses.range(behind..))
    }

    /// A number that counts changes of links, and whether a link has changed since it was `since`; one that does not
    /// exist may have.
    pub(crate) fn link_generation(&self) -> u64 {
        self.link_generation
    }

    pub(crate) fn link_changed(&self, interface: IfIndex, since: u64) -> bool {
        self.touched.get(&interface).is_none_or(|at| *at > since)
    }

    /// A link that goes down takes IPv4 routes and next-hop objects with it, and the kernel does not say so.
    fn drop_silent_losses(&mut self, interface: IfIndex) {
        if self.routes.lead_over(interface) {
            self.routes.drop_interface(interface);
        }
        self.nexthops
            .retain(|_, kind| !matches!(kind, NextHopKind::Single { interface: i, .. } if *i == interface));
    }

    fn apply_route(&mut self, route: &KernelRoute, deleted: bool, replaced: bool) {
        if route.protocol == crate::PROTOCOL || ![MAIN_TABLE, self.config.table].contains(&route.table) {
            return;
        }
        self.generation += 1;
        if deleted {
            self.routes.remove(route);
        } else {
            self.routes.insert(route.clone(), replaced);
        }
    }

    /// Says whether a gateway answers ARP or ND. One that does not is no way, until it is said to answer again, its link
    /// goes down, or everything is read again and the kernel has an answer of it.
    pub fn set_answers(&mut self, interface: IfIndex, gateway: IpAddr, answers: bool) {
        let key = (interface, gateway);
        if if answers { self.silent.remove(&key) } else { self.silent.insert(key) } {
            self.generation += 1;
        }
    }

    /// The gateways that do not answer.
    pub fn silent(&self) -> impl Iterator<Item = (IfIndex, IpAddr)> + '_ {
        self.silent.iter().copied()
    }

    /// A number that changes whenever an answer of [`KernelState::resolve`] may have changed, or one of
    /// [`KernelState::redistributable`]; of next hops that name their interface, a change of that link apart.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// All links, by index.
    pub fn links(&self) -> impl Iterator<Item = &Link> {
        self.links.values()
    }

    /// A link by its index.
    #[must_use]
    pub fn link(&self, index: IfIndex) -> Option<&Link> {
        self.links.get(&index)
    }

    /// A link by its name.
    #[must_use]
    pub fn link_by_name(&self, name: &str) -> Option<&Link> {
        self.links.values().find(|l| l.name == name)
    }

    /// The ports of a bridge (or the members of a bond or VRF).
    pub fn ports(&self, master: IfIndex) -> impl Iterator<Item = &Link> {
        self.links.values().filter(move |l| l.master == Some(master))
    }

    /// All addresses, sorted.
    pub fn addresses(&self) -> impl Iterator<Item = InterfaceAddress> + '_ {
        self.addresses.iter().map(|(address, interface, prefix)| InterfaceAddress {
            interface: *interface,
            address: *address,
            prefix: *prefix,
        })
    }

    /// Whether an address is one of this machine's.
    #[must_use]
    pub fn is_local(&self, address: IpAddr) -> bool {
        let first = (address, 0, Prefix::default_route(Family::Ipv4));
        self.addresses.range(first..).next().is_some_and(|(a, ..)| *a == address)
    }

    /// The routes others installed in `main` and in our table, in no particular order.
    pub fn routes(&self) -> impl Iterator<Item = &KernelRoute> {
        self.routes.iter()
    }

    /// What `redistribute connected` means, as in FRR: the prefixes of addresses on links that are up with carrier,
    /// those on `lo` included; without loopback (127/8, ::1), link-local and multicast. Sorted, without repetitions.
    #[must_use]
    pub fn connected(&self) -> Vec<Connected> {
        let mut connected: Vec<Connected> = self
            .global_addresses()
            .filter(|(_, _, prefix)| is_announceable(prefix.address()))
            .filter(|(_, interface, _)| self.links.get(interface).is_some_and(Link::usable))
            .map(|(_, interface, prefix)| Connected { prefix: *prefix, interface: *interface })
            .collect();
        connected.sort_unstable();
        connected.dedup();
        connected
    }

    /// What a source of redistributed routes has now. Static routes are those of the kernel protocols static and boot;
    /// kernel routes are all others that others made: not the kernel's own, and not ours. Of both only those that can be
    /// used, discarding ones included, and like [`KernelState::connected`] none that is loopback, link-local or multicast.
    #[must_use]
    pub fn redistributable(&self, source: RouteSource) -> BTreeSet<Prefix> {
        const BOOT: u8 = 3;
        const STATIC: u8 = 4;
        let wanted: fn(&KernelRoute) -> bool = match source {
            RouteSource::Connected => return self.connected().into_iter().map(|c| c.prefix).collect(),
            RouteSource::Static => |route| [BOOT, STATIC].contains(&route.protocol),
            RouteSource::Kernel => |route| ![RTPROT_KERNEL, BOOT, STATIC].contains(&route.protocol),
            _ => return BTreeSet::new(),
        };
        let announceable = |route: &&KernelRoute| is_announceable(route.prefix.address());
        let routes = self.routes.iter().filter(|r| wanted(r)).filter(announceable);
        routes.filter(|r| self.is_usable(r)).map(|r| r.prefix).collect()
    }

    /// The identifier to use when none is configured: the highest IPv4 address of `lo`, else of any interface.
    /// Loopback and link-local addresses do not count: all machines have the same ones.
    #[must_use]
    pub fn router_id_candidate(&self) -> Option<BgpIdentifier> {
        let highest = |of_loopback: bool| {
            let on = |a: &InterfaceAddress| self.links.get(&a.interface).is_some_and(|l| l.loopback);
            let candidates = self.addresses().filter(|a| !of_loopback || on(a));
            candidates.filter_map(|a| identifier(a.address)).max()
        };
        highest(true).or_else(|| highest(false)).map(|a| BgpIdentifier(a.to_bits()))
    }
}

fn identifier(address: IpAddr) -> Option<Ipv4Addr> {
    match address {
        IpAddr::V4(a) if is_announceable(address) && !a.is_unspecified() => Some(a),
        _ => None,
    }
}

fn is_announceable(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(a) => !a.is_loopback() && !a.is_link_local() && !a.is_multicast(),
        IpAddr::V6(a) => !a.is_loopback() && !a.is_unicast_link_local() && !a.is_multicast(),
    }
}

/// The kernel does not know the kind of request.
pub(crate) fn unsupported(error: &FibError) -> bool {
    matches!(error, FibError::Kernel { source, .. } if [libc::EOPNOTSUPP, libc::EINVAL].contains(&source.errno))
}

/// A strictly checked dump names a table that has never had a route.
pub(crate) fn no_such_table(error: &FibError) -> bool {
    matches!(error, FibError::Kernel { source, .. } if source.errno == libc::ENOENT)
}

#[cfg(test)]
mod tests;
