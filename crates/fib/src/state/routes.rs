//! The foreign routes, found by exact prefix or by longest match.

use foldhash::HashMap;
use siskin_net::{Family, FamilyMap, Hop, IfIndex, Prefix};
use smallvec::SmallVec;
use std::net::IpAddr;

use crate::event::KernelRoute;

/// Routes by prefix; how many there are of each length says which lengths a longest match must try.
#[derive(Debug)]
pub(super) struct Routes {
    by_prefix: HashMap<Prefix, SmallVec<[KernelRoute; 1]>>,
    lengths: FamilyMap<[u32; 129]>,
    /// How many hops lead over each interface; by 0, of routes that name a next-hop object and no interface.
    interfaces: HashMap<IfIndex, usize>,
}

impl Default for Routes {
    fn default() -> Routes {
        Routes {
            by_prefix: HashMap::default(),
            lengths: FamilyMap::from_fn(|_| [0; 129]),
            interfaces: HashMap::default(),
        }
    }
}

impl Routes {
    pub(super) fn clear(&mut self) {
        *self = Routes::default();
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &KernelRoute> {
        self.by_prefix.values().flatten()
    }

    /// Adds a route. With `replaced` it takes the place of one of the same table and metric; else only of itself: both
    /// families allow several of one metric (IPv4 after `append`, IPv6 on several interfaces).
    pub(super) fn insert(&mut self, route: KernelRoute, replaced: bool) {
        let prefix = route.prefix;
        let routes = self.by_prefix.entry(prefix).or_default();
        tally(&mut self.interfaces, routes, false);
        if routes.is_empty()
            && let Some(count) = self.lengths[prefix.family()].get_mut(usize::from(prefix.len()))
        {
            *count += 1;
        }
        let kin = routes.iter().position(|old| is_kin(old, &route));
        let place = kin.or_else(|| routes.iter().position(|old| replaced && same_slot(old, &route)));
        match place.and_then(|place| routes.get_mut(place)) {
            Some(old) => *old = route,
            None => {
                routes.push(route);
                routes.sort_by_key(|r| r.metric);
            }
        }
        tally(&mut self.interfaces, routes, true);
    }

    /// Removes a route, or of an IPv6 multipath route the hops that `gone` names.
    pub(super) fn remove(&mut self, gone: &KernelRoute) {
        self.edit(gone.prefix, |routes| {
            let same = |r: &KernelRoute| same_slot(r, gone) && r.protocol == gone.protocol;
            if gone.prefix.family() == Family::Ipv6 && !gone.hops.is_empty() {
                let named = |hop: &Hop| gone.hops.iter().any(|g| same_way(g, hop));
                routes.retain(|route| {
                    if same(route) {
                        route.hops.retain(|hop| !named(hop));
                        return !route.hops.is_empty();
                    }
                    true
                });
                return;
            }
            let exact = routes.iter().position(|r| same(r) && r.hops == gone.hops);
            if let Some(place) = exact.or_else(|| routes.iter().position(same)) {
                routes.remove(place);
            }
        });
    }

    /// Removes all that leads over an interface alone, and the hops over it of what has others too.
    pub(super) fn drop_interface(&mut self, interface: IfIndex) {
        let touched: Vec<Prefix> = self
            .by_prefix
            .iter()
            .filter(|(_, routes)| routes.iter().any(|r| r.hops.iter().any(|h| h.interface == interface)))
            .map(|(prefix, _)| *prefix)
            .collect();
        for prefix in touched {
            self.edit(prefix, |routes| {
                routes.retain(|route| {
                    let had = route.hops.len();
                    route.hops.retain(|h| h.interface != interface);
                    route.hops.len() == had || !route.hops.is_empty()
                });
            });
        }
    }

    /// Whether a route may lead over an interface.
    pub(super) fn lead_over(&self, interface: IfIndex) -> bool {
        self.interfaces.contains_key(&interface) || self.interfaces.contains_key(&0)
    }

    fn edit(&mut self, prefix: Prefix, change: impl FnOnce(&mut SmallVec<[KernelRoute; 1]>)) {
        let Some(routes) = self.by_prefix.get_mut(&prefix) else { return };
        tally(&mut self.interfaces, routes, false);
        change(routes);
        tally(&mut self.interfaces, routes, true);
        if routes.is_empty() {
            self.by_prefix.remove(&prefix);
            if let Some(count) = self.lengths[prefix.family()].get_mut(usize::from(prefix.len())) {
                *count = count.saturating_sub(1);
            }
        }
    }

    /// The routes that cover an address, longest prefix first, and of one prefix the lowest metric first.
    pub(super) fn covering(&self, address: IpAddr) -> impl Iterator<Item = &KernelRoute> {
        let host = Prefix::host(address);
        let lengths = &self.lengths[host.family()];
        let present = (0..=128u8)
            .rev()
            .filter(|length| lengths.get(usize::from(*length)).is_some_and(|count| *count > 0));
        present.filter_map(move |length| self.by_prefix.get(&Prefix::new(address, length))).flatten()
    }
}

/// Counts the hops of routes that came, or went.
fn tally(interfaces: &mut HashMap<IfIndex, usize>, routes: &[KernelRoute], came: bool) {
    for route in routes {
        let unnamed = route.hops.is_empty() && route.nexthop_id != 0;
        for interface in route.hops.iter().map(|h| h.interface).chain(unnamed.then_some(0)) {
            let count = interfaces.entry(interface).or_default();
            *count = if came { *count + 1 } else { count.saturating_sub(1) };
            if *count == 0 {
                interfaces.remove(&interface);
            }
        }
    }
}

/// The slot that `ip route replace` fills anew.
fn same_slot(a: &KernelRoute, b: &KernelRoute) -> bool {
    (a.table, a.metric) == (b.table, b.metric)
}

fn same_way(a: &Hop, b: &Hop) -> bool {
    (a.gateway, a.interface) == (b.gateway, b.interface)
}

/// Whether `new` tells of the same route anew. IPv6 routes with gateways are one multipath route, of which each
/// notification names all hops.
fn is_kin(old: &KernelRoute, new: &KernelRoute) -> bool {
    let gateways = |r: &KernelRoute| r.hops.iter().any(|h| h.gateway.is_some());
    let same = same_slot(old, new) && old.protocol == new.protocol;
    same && (old.hops == new.hops || (new.prefix.family() == Family::Ipv6 && gateways(old) && gateways(new)))
}
