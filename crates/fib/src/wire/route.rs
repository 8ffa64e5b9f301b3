//! `RTM_NEWROUTE`, `RTM_DELROUTE`, `RTM_GETROUTE`: `struct rtmsg` and the attributes of a route.
//!
//! Read are the destination, table, priority, next hops (single, multipath, via, next-hop id), preferred source
//! and of the metrics (`RTA_METRICS`) the MTU; encapsulation and multicast are left out.

use std::net::IpAddr;

use siskin_net::{Family, Hop, IfIndex, Prefix};
use smallvec::SmallVec;

use super::batch::Batch;
use super::{Attribute, Attributes, Message, address, af, family_of, u8_at, u16_at, u32_at};

pub(crate) const RTM_NEWROUTE: u16 = 24;
pub(crate) const RTM_DELROUTE: u16 = 25;
pub(crate) const RTM_GETROUTE: u16 = 26;

/// `struct rtmsg`.
pub(crate) const RTMSG: usize = 12;

const RTA_DST: u16 = 1;
const RTA_OIF: u16 = 4;
const RTA_GATEWAY: u16 = 5;
const RTA_PRIORITY: u16 = 6;
const RTA_PREFSRC: u16 = 7;
const RTA_METRICS: u16 = 8;
const RTA_MULTIPATH: u16 = 9;
const RTA_TABLE: u16 = 15;
const RTA_VIA: u16 = 18;
const RTA_NH_ID: u16 = 30;
const RTAX_MTU: u16 = 2;

const RT_SCOPE_UNIVERSE: u8 = 0;
const RT_SCOPE_LINK: u8 = 253;
const RT_SCOPE_NOWHERE: u8 = 255;

const RTN_UNICAST: u8 = 1;
const RTN_BLACKHOLE: u8 = 6;
const RTN_UNREACHABLE: u8 = 7;
const RTN_PROHIBIT: u8 = 8;

/// `RTPROT_KERNEL`: connected routes, made with an address.
pub(crate) const RTPROT_KERNEL: u8 = 2;

const RTM_F_CLONED: u32 = 0x200;
const RTNH_F_DEAD: u8 = 1;
const RTNH_F_ONLINK: u8 = 4;

/// The table an operator means by `main`.
pub const MAIN_TABLE: u32 = 254;

/// What a kernel route does with packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RouteKind {
    /// Sends them to its next hops.
    Unicast,
    /// Drops them silently.
    Blackhole,
    /// Drops them with ICMP unreachable.
    Unreachable,
    /// Drops them with ICMP administratively prohibited.
    Prohibit,
    /// Something else (local, broadcast, multicast, throw …).
    Other,
}

/// A route as read, its lists still raw: a dump of a million must not allocate for each.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RouteMessage<'a> {
    pub(crate) prefix: Prefix,
    pub(crate) table: u32,
    pub(crate) protocol: u8,
    pub(crate) kind: RouteKind,
    pub(crate) metric: u32,
    pub(crate) nexthop_id: u32,
    pub(crate) prefsrc: Option<IpAddr>,
    /// The largest packet, in bytes; 0: none given.
    pub(crate) mtu: u32,
    flags: u8,
    interface: IfIndex,
    gateway: Option<IpAddr>,
    multipath: &'a [u8],
}

impl<'a> RouteMessage<'a> {
    /// Reads a route; `None` for what is cut short, of another family, a cached clone, or has a source selector or TOS.
    pub(crate) fn decode(message: &Message<'a>) -> Option<RouteMessage<'a>> {
        let body = message.body;
        let family = family_of(u8_at(body, 0)?)?;
        let length = u8_at(body, 1)?;
        let flags = u32_at(body, 8)?;
        if flags & RTM_F_CLONED != 0 || u8_at(body, 2)? != 0 || u8_at(body, 3)? != 0 {
            return None;
        }
        let mut route = RouteMessage {
            prefix: Prefix::from_bits(family, 0, length),
            table: u32::from(u8_at(body, 4)?),
            protocol: u8_at(body, 5)?,
            kind: kind(u8_at(body, 7)?),
            metric: 0,
            nexthop_id: 0,
            prefsrc: None,
            mtu: 0,
            flags: (flags & 0xff) as u8,
            interface: 0,
            gateway: None,
            multipath: &[],
        };
        for attribute in message.attributes(RTMSG) {
            route.take(attribute, length)?;
        }
        Some(route)
    }

    fn take(&mut self, attribute: Attribute<'a>, length: u8) -> Option<()> {
        match attribute.kind {
            RTA_DST => self.prefix = Prefix::new(address(attribute.data)?, length),
            RTA_TABLE => self.table = attribute.u32()?,
            RTA_PRIORITY => self.metric = attribute.u32()?,
            RTA_NH_ID => self.nexthop_id = attribute.u32()?,
            RTA_PREFSRC => self.prefsrc = address(attribute.data),
            RTA_METRICS => {
                let mtu = attribute.nested().find(|metric| metric.kind == RTAX_MTU);
                self.mtu = mtu.and_then(|metric| metric.u32()).unwrap_or(0);
            }
            RTA_OIF => self.interface = attribute.u32()?,
            RTA_GATEWAY => self.gateway = address(attribute.data),
            RTA_VIA => self.gateway = via(attribute.data),
            RTA_MULTIPATH => self.multipath = attribute.data,
            _ => {}
        }
        Some(())
    }

    /// Whether it may matter to anybody but the kernel: IPv6 link-local and multicast prefixes, of which every interface
    /// has some, lead no BGP next hop anywhere. What is ours does in any case.
    pub(crate) fn matters(&self) -> bool {
        let local = match self.prefix.address() {
            IpAddr::V6(a) => a.is_unicast_link_local() || a.is_multicast(),
            IpAddr::V4(_) => false,
        };
        !local || self.protocol == crate::PROTOCOL
    }

    /// Its next hops as far as the message names them (with a next-hop id perhaps none), without dead ones.
    pub(crate) fn hops(&self) -> SmallVec<[Hop; 2]> {
        let mut hops = SmallVec::new();
        if self.interface != 0 && self.flags & RTNH_F_DEAD == 0 {
            let onlink = self.flags & RTNH_F_ONLINK != 0;
            hops.push(Hop { gateway: self.gateway, interface: self.interface, weight: 1, onlink });
        }
        let mut rest = self.multipath;
        while let Some((hop, next)) = multipath_hop(rest) {
            hops.extend(hop);
            rest = next;
        }
        hops.sort_unstable();
        hops.dedup();
        hops
    }
}

/// One `struct rtnexthop` (`None` inside: a dead one) and what follows it.
fn multipath_hop(bytes: &[u8]) -> Option<(Option<Hop>, &[u8])> {
    let length = usize::from(u16_at(bytes, 0)?);
    let flags = u8_at(bytes, 2)?;
    let weight = u16::from(u8_at(bytes, 3)?) + 1;
    let mut hop =
        Hop { gateway: None, interface: u32_at(bytes, 4)?, weight, onlink: flags & RTNH_F_ONLINK != 0 };
    for attribute in Attributes(bytes.get(8..length)?) {
        match attribute.kind {
            RTA_GATEWAY => hop.gateway = address(attribute.data),
            RTA_VIA => hop.gateway = via(attribute.data),
            _ => {}
        }
    }
    let next = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    Some(((flags & RTNH_F_DEAD == 0).then_some(hop), next))
}

/// `struct rtvia`: a family and an address.
fn via(data: &[u8]) -> Option<IpAddr> {
    address(data.get(2..)?)
}

fn kind(rtm_type: u8) -> RouteKind {
    match rtm_type {
        RTN_UNICAST => RouteKind::Unicast,
        RTN_BLACKHOLE => RouteKind::Blackhole,
        RTN_UNREACHABLE => RouteKind::Unreachable,
        RTN_PROHIBIT => RouteKind::Prohibit,
        _ => RouteKind::Other,
    }
}

/// How a route's way is written.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Way<'a> {
    /// A kernel next-hop object; `link`: it has no gateway (the scope of the route).
    Object {
        id: u32,
        link: bool,
    },
    /// Inline; more than one is a multipath.
    Hops(&'a [Hop]),
    Blackhole,
    Unreachable,
    Prohibit,
}

/// What all routes of ours have in common.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame {
    pub(crate) table: u32,
    pub(crate) metric: u32,
    pub(crate) protocol: u8,
    pub(crate) prefsrc: Option<IpAddr>,
    /// The largest packet, in bytes; 0: that of the link.
    pub(crate) mtu: u32,
}

/// A request that puts a route in place.
pub(crate) fn put(batch: &mut Batch, flags: u16, prefix: Prefix, frame: &Frame, way: Way<'_>) {
    let (scope, kind) = match way {
        Way::Object { link, .. } => (if link { RT_SCOPE_LINK } else { RT_SCOPE_UNIVERSE }, RTN_UNICAST),
        Way::Hops(hops) if hops.iter().all(|h| h.gateway.is_none()) => (RT_SCOPE_LINK, RTN_UNICAST),
        Way::Hops(_) => (RT_SCOPE_UNIVERSE, RTN_UNICAST),
        Way::Blackhole => (RT_SCOPE_UNIVERSE, RTN_BLACKHOLE),
        Way::Unreachable => (RT_SCOPE_UNIVERSE, RTN_UNREACHABLE),
        Way::Prohibit => (RT_SCOPE_UNIVERSE, RTN_PROHIBIT),
    };
    let onlink = matches!(way, Way::Hops([hop]) if hop.onlink && hop.gateway.is_some());
    begin(batch, RTM_NEWROUTE, flags, prefix, frame, [scope, kind, if onlink { RTNH_F_ONLINK } else { 0 }]);
    match way {
        Way::Object { id, .. } => batch.u32(RTA_NH_ID, id),
        Way::Hops([hop]) => {
            batch.u32(RTA_OIF, hop.interface);
            put_gateway(batch, prefix.family(), hop.gateway);
        }
        Way::Hops(hops) => put_multipath(batch, prefix.family(), hops),
        Way::Blackhole | Way::Unreachable | Way::Prohibit => {}
    }
    if kind == RTN_UNICAST {
        if let Some(source) = frame.prefsrc {
            batch.address(RTA_PREFSRC, source);
        }
        if frame.mtu != 0 {
            let [k0, k1] = RTA_METRICS.to_ne_bytes();
            let metrics = batch.open(&[0, 0, k0, k1]);
            batch.u32(RTAX_MTU, frame.mtu);
            batch.close(metrics);
        }
    }
    batch.end();
}

/// A request that removes our route of a prefix, whatever its way. It carries our protocol number, so a foreign
/// route of the same metric stays.
pub(crate) fn remove(batch: &mut Batch, prefix: Prefix, frame: &Frame) {
    begin(batch, RTM_DELROUTE, 0, prefix, frame, [RT_SCOPE_NOWHERE, 0, 0]);
    batch.end();
}

/// A request for the dump of one family and table; strict checking lets the kernel select.
pub(crate) fn dump(batch: &mut Batch, family: Family, table: u32) {
    let fixed = [af(family), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    batch.begin(RTM_GETROUTE, super::flag::DUMP, &fixed);
    batch.u32(RTA_TABLE, table);
    batch.end();
}

/// A request for the dump of one family in all tables, of one protocol; strict checking lets the kernel select.
pub(crate) fn dump_protocol(batch: &mut Batch, family: Family, protocol: u8) {
    batch.begin(RTM_GETROUTE, super::flag::DUMP, &[af(family), 0, 0, 0, 0, protocol, 0, 0, 0, 0, 0, 0]);
    batch.end();
}

fn begin(batch: &mut Batch, request: u16, flags: u16, prefix: Prefix, frame: &Frame, rest: [u8; 3]) {
    let [scope, kind, hop_flags] = rest;
    let small = u8::try_from(frame.table).unwrap_or(0);
    let [a, b, c, d] = u32::from(hop_flags).to_ne_bytes();
    let fixed = [af(prefix.family()), prefix.len(), 0, 0, small, frame.protocol, scope, kind, a, b, c, d];
    batch.begin(request, flags, &fixed);
    if small == 0 {
        batch.u32(RTA_TABLE, frame.table);
    }
    batch.address(RTA_DST, prefix.address());
    batch.u32(RTA_PRIORITY, frame.metric);
}

fn put_gateway(batch: &mut Batch, family: Family, gateway: Option<IpAddr>) {
    match (family, gateway) {
        (Family::Ipv4, Some(IpAddr::V6(v6))) => {
            let mut via = [0; 18];
            let bytes = u16::from(super::AF_INET6).to_ne_bytes().into_iter().chain(v6.octets());
            for (slot, byte) in via.iter_mut().zip(bytes) {
                *slot = byte;
            }
            batch.attribute(RTA_VIA, &via);
        }
        (_, Some(gateway)) => batch.address(RTA_GATEWAY, gateway),
        (_, None) => {}
    }
}

fn put_multipath(batch: &mut Batch, family: Family, hops: &[Hop]) {
    let [k0, k1] = RTA_MULTIPATH.to_ne_bytes();
    let list = batch.open(&[0, 0, k0, k1]);
    for hop in hops {
        let flags = if hop.onlink && hop.gateway.is_some() { RTNH_F_ONLINK } else { 0 };
        let weight = u8::try_from(hop.weight.clamp(1, 256) - 1).unwrap_or(u8::MAX);
        let [a, b, c, d] = hop.interface.to_ne_bytes();
        let entry = batch.open(&[0, 0, flags, weight, a, b, c, d]);
        put_gateway(batch, family, hop.gateway);
        batch.close(entry);
    }
    batch.close(list);
}
