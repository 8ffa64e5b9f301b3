//! What the kernel tells unasked, as values.

use std::net::IpAddr;

use siskin_net::{Hop, Prefix};
use smallvec::SmallVec;

use crate::wire::link::{
    BridgeNote, InterfaceAddress, Link, RTM_DELADDR, RTM_DELLINK, RTM_NEWADDR, RTM_NEWLINK,
};
use crate::wire::neighbor::{KernelNeighbor, RTM_DELNEIGH, RTM_NEWNEIGH};
use crate::wire::nexthop::{self, KernelNextHop, RTM_DELNEXTHOP, RTM_NEWNEXTHOP};
use crate::wire::route::{RTM_DELROUTE, RTM_NEWROUTE, RouteKind, RouteMessage};
use crate::wire::rule::{KernelRule, RTM_DELRULE, RTM_NEWRULE};
use crate::wire::{Message, flag};

/// A route of the kernel, anybody's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KernelRoute {
    /// Its destination.
    pub prefix: Prefix,
    /// Its table.
    pub table: u32,
    /// Who installed it (`RTPROT_*`): 2 the kernel, 3 boot, 4 static, 12 BIRD, 186 FRR's bgpd, [`crate::PROTOCOL`] us.
    pub protocol: u8,
    /// Its priority: lower is better.
    pub metric: u32,
    /// What it does with packets.
    pub kind: RouteKind,
    /// Its ways as the message names them, sorted; with `nexthop_id` there may be none.
    pub hops: SmallVec<[Hop; 2]>,
    /// The next-hop object it uses; 0: none.
    pub nexthop_id: u32,
    /// The preferred source address.
    pub prefsrc: Option<IpAddr>,
}

impl From<&RouteMessage<'_>> for KernelRoute {
    fn from(message: &RouteMessage<'_>) -> KernelRoute {
        KernelRoute {
            prefix: message.prefix,
            table: message.table,
            protocol: message.protocol,
            metric: message.metric,
            kind: message.kind,
            hops: message.hops(),
            nexthop_id: message.nexthop_id,
            prefsrc: message.prefsrc,
        }
    }
}

/// A change that somebody, or the kernel itself, made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KernelEvent {
    /// A link is new or changed, or gone.
    Link {
        /// The link as it is now, or was last.
        link: Link,
        /// It is gone.
        deleted: bool,
    },
    /// A bridge's note on a port or on itself; only while a bridge heeds VLANs ([`crate::MonitorFilter::set`]).
    Bridge(BridgeNote),
    /// An address was added or removed.
    Address {
        /// The address.
        address: InterfaceAddress,
        /// It is gone.
        deleted: bool,
    },
    /// A route was added, replaced or removed. The kernel is silent about IPv4 routes that go with a link.
    Route {
        /// The route; of a removed IPv6 multipath member only that member's hop.
        route: KernelRoute,
        /// It is gone.
        deleted: bool,
        /// It took the place of one with the same prefix, table and metric, whosesoever.
        replaced: bool,
        /// The netlink port of who did it; 0: the kernel.
        port: u32,
    },
    /// A neighbour or bridge forwarding entry changed.
    Neighbor {
        /// The entry.
        neighbor: KernelNeighbor,
        /// It is gone.
        deleted: bool,
    },
    /// A next-hop object was made or replaced.
    NextHop {
        /// The object.
        nexthop: KernelNextHop,
    },
    /// A next-hop object was deleted. The kernel is silent about objects that go with a link.
    NextHopDeleted {
        /// Its id.
        id: u32,
    },
    /// A policy rule with our protocol number came or went.
    OurRules,
    /// The socket's buffer was full and events are lost: the listener must read everything again.
    Overrun,
}

impl KernelEvent {
    /// Reads a notification; `None` for kinds we do not follow.
    pub(crate) fn decode(message: &Message<'_>) -> Option<KernelEvent> {
        let kind = message.kind;
        match kind {
            RTM_NEWLINK | RTM_DELLINK => {
                if let Some(note) = BridgeNote::decode(message) {
                    // That a port left its bridge is told of the link too.
                    return (kind == RTM_NEWLINK).then_some(KernelEvent::Bridge(note));
                }
                Some(KernelEvent::Link { link: Link::decode(message)?, deleted: kind == RTM_DELLINK })
            }
            RTM_NEWADDR | RTM_DELADDR => Some(KernelEvent::Address {
                address: InterfaceAddress::decode(message)?,
                deleted: kind == RTM_DELADDR,
            }),
            RTM_NEWROUTE | RTM_DELROUTE => Some(KernelEvent::Route {
                route: KernelRoute::from(&RouteMessage::decode(message).filter(RouteMessage::matters)?),
                deleted: kind == RTM_DELROUTE,
                replaced: message.flags & flag::REPLACE != 0,
                port: message.port,
            }),
            RTM_NEWNEIGH | RTM_DELNEIGH => Some(KernelEvent::Neighbor {
                neighbor: KernelNeighbor::decode(message)?,
                deleted: kind == RTM_DELNEIGH,
            }),
            RTM_NEWNEXTHOP => Some(KernelEvent::NextHop { nexthop: KernelNextHop::decode(message)? }),
            RTM_DELNEXTHOP => Some(KernelEvent::NextHopDeleted { id: nexthop::id_of(message)? }),
            RTM_NEWRULE | RTM_DELRULE => {
                let ours = KernelRule::decode(message)?.protocol == crate::PROTOCOL;
                ours.then_some(KernelEvent::OurRules)
            }
            _ => None,
        }
    }
}
