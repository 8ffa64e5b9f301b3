//! From a BGP next hop to interfaces: one longest match over what others put into the kernel's tables.
//!
//! The rules, where BIRD and FRR agree their common one:
//! - A link-local next hop, or one that came with a link-local address on a known interface (RFC 2545), is on that
//!   interface's link if the link is up with carrier.
//! - The unspecified address on a known interface is the interface itself: what is routed there is on its link.
//! - Else the longest match among connected and foreign routes counts, by lowest metric. Routes whose interfaces are all
//!   down are passed over, as FRR does, whose connected routes vanish with the carrier.
//! - A match without gateway means that the next hop is on the link: it is the gateway itself. A match with
//!   gateways lends them: the kernel demands that those are on a link, so one step is enough.
//! - A blackhole, unreachable or prohibit route makes the next hop unreachable.
//! - A default route does not count unless asked for ([`super::StateConfig::resolve_via_default`]).
//! - One of our own addresses is no next hop.
//! - The length of what matched is told with the answer: routes that are not in the kernel's tables, or are there as ours,
//!   may be longer. On a network that is connected nothing is.
//! - A gateway that does not answer ARP or ND ([`KernelState::set_answers`]) is no way: with several the others are, and
//!   if it was the only one, the next hop is unreachable, whatever less specific route there is.

use std::net::IpAddr;

use siskin_net::{Hop, NextHop, NextHopAnswer, Resolution};
use smallvec::{SmallVec, smallvec};

use super::KernelState;
use crate::event::KernelRoute;
use crate::wire::link::Link;
use crate::wire::nexthop::NextHopKind;
use crate::wire::route::{RTPROT_KERNEL, RouteKind};

impl KernelState {
    /// Where a next hop leads; `None`: nowhere. The cost is 0 when it is connected, else the metric of the route.
    #[must_use]
    pub fn resolve(&self, next_hop: &NextHop) -> Option<Resolution> {
        self.look_up(next_hop).found
    }

    /// Where a next hop leads, and the length of the route that says so: a longer one of somebody who knows more routes
    /// than the kernel's counts before it.
    #[must_use]
    pub fn look_up(&self, next_hop: &NextHop) -> NextHopAnswer {
        let way = self.way(next_hop);
        NextHopAnswer { found: way.found.as_ref().and_then(|way| self.answering(way)), ..way }
    }

    /// Of a resolution, what is left of it without gateways that do not answer.
    pub(crate) fn answering(&self, way: &Resolution) -> Option<Resolution> {
        let mut way = way.clone();
        way.hops.retain(|h| !h.gateway.is_some_and(|gateway| self.silent.contains(&(h.interface, gateway))));
        (!way.hops.is_empty()).then_some(way)
    }

    /// As [`KernelState::look_up`], if every gateway answers.
    pub(crate) fn way(&self, next_hop: &NextHop) -> NextHopAnswer {
        let settled = |found| NextHopAnswer { found, matched: NextHopAnswer::FINAL };
        let gateway = on_link(next_hop);
        if gateway.is_some() || next_hop.address.is_unspecified() && next_hop.interface != 0 {
            let usable = self.links.get(&next_hop.interface).is_some_and(Link::usable);
            let hop = Hop { gateway, interface: next_hop.interface, weight: 1, onlink: false };
            return settled(usable.then(|| Resolution { metric: 0, hops: smallvec![hop] }));
        }
        if is_link_local(next_hop.address) || self.is_local(next_hop.address) {
            return settled(None);
        }
        for route in self.routes.covering(next_hop.address) {
            let matched = Some(route.prefix.len());
            if route.prefix.len() == 0 && !self.config.resolve_via_default {
                break;
            }
            if route.kind != RouteKind::Unicast {
                return NextHopAnswer { found: None, matched };
            }
            let hops = self.usable_hops(route, next_hop.address);
            if !hops.is_empty() {
                let connected = route.protocol == RTPROT_KERNEL
                    && hops.iter().all(|h| h.gateway == Some(next_hop.address));
                if connected {
                    return settled(Some(Resolution { metric: 0, hops }));
                }
                return NextHopAnswer { found: Some(Resolution { metric: route.metric, hops }), matched };
            }
        }
        NextHopAnswer::default()
    }

    /// Whether packets that take a route get anywhere, or are discarded as it says.
    pub(super) fn is_usable(&self, route: &KernelRoute) -> bool {
        match route.kind {
            RouteKind::Unicast => {
                let hops = self.hops_of(route);
                hops.iter().any(|h| self.links.get(&h.interface).is_some_and(Link::usable))
            }
            RouteKind::Blackhole | RouteKind::Unreachable | RouteKind::Prohibit => true,
            RouteKind::Other => false,
        }
    }

    fn hops_of(&self, route: &KernelRoute) -> SmallVec<[Hop; 2]> {
        if route.nexthop_id != 0 { self.object_hops(route.nexthop_id) } else { route.hops.clone() }
    }

    fn usable_hops(&self, route: &KernelRoute, address: IpAddr) -> SmallVec<[Hop; 2]> {
        let mut hops = self.hops_of(route);
        hops.retain(|h| self.links.get(&h.interface).is_some_and(Link::usable));
        for hop in &mut hops {
            if hop.gateway.is_none() {
                hop.gateway = Some(address);
            }
        }
        hops.sort_unstable();
        hops.dedup();
        hops
    }

    /// The ways of a next-hop object: with `nexthop_compat_mode` 0 routes name nothing else.
    fn object_hops(&self, id: u32) -> SmallVec<[Hop; 2]> {
        let single = |id: u32, weight: u16| match self.nexthops.get(&id) {
            Some(NextHopKind::Single { gateway, interface, onlink, .. }) => {
                Some(Hop { gateway: *gateway, interface: *interface, weight, onlink: *onlink })
            }
            _ => None,
        };
        match self.nexthops.get(&id) {
            Some(NextHopKind::Group(members)) => {
                members.iter().filter_map(|(member, weight)| single(*member, *weight)).collect()
            }
            _ => single(id, 1).into_iter().collect(),
        }
    }
}

/// The link-local gateway, where the next hop has one on a known interface.
fn on_link(next_hop: &NextHop) -> Option<IpAddr> {
    if next_hop.interface == 0 {
        return None;
    }
    match next_hop.link_local {
        Some(address) => Some(IpAddr::V6(address)),
        None => is_link_local(next_hop.address).then_some(next_hop.address),
    }
}

/// IPv6 alone: an IPv4 link-local address (169.254/16) is found by its connected route like any other.
fn is_link_local(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(a) if a.is_unicast_link_local())
}
