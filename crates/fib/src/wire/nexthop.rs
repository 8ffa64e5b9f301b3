//! `RTM_NEWNEXTHOP`, `RTM_DELNEXTHOP`, `RTM_GETNEXTHOP` (linux/nexthop.h): single next hops and groups of them.
//!
//! Left out: encapsulation, FDB next hops, the buckets of resilient groups, statistics.

use std::net::IpAddr;
use std::time::Duration;

use siskin_net::{Family, IfIndex};
use smallvec::SmallVec;

use super::batch::Batch;
use super::{Attribute, Message, address, af, flag, u8_at, u16_at, u32_at};
use crate::fib::ResilientGroups;

pub(crate) const RTM_NEWNEXTHOP: u16 = 104;
pub(crate) const RTM_DELNEXTHOP: u16 = 105;
pub(crate) const RTM_GETNEXTHOP: u16 = 106;

/// `struct nhmsg`: family, scope, protocol, reserved, flags.
const NHMSG: usize = 8;

const NHA_ID: u16 = 1;
const NHA_GROUP: u16 = 2;
const NHA_GROUP_TYPE: u16 = 3;
const NHA_BLACKHOLE: u16 = 4;
const NHA_OIF: u16 = 5;
const NHA_GATEWAY: u16 = 6;
const NHA_RES_GROUP: u16 = 12;

/// `NLA_F_NESTED`, which strict checking wants.
const NESTED: u16 = 0x8000;

const NEXTHOP_GRP_TYPE_RES: u16 = 1;
const NHA_RES_GROUP_BUCKETS: u16 = 1;
const NHA_RES_GROUP_IDLE_TIMER: u16 = 2;
const NHA_RES_GROUP_UNBALANCED_TIMER: u16 = 3;

/// The kernel tells these times in hundredths of a second (`USER_HZ`).
const USER_HZ: u128 = 100;

const RTNH_F_ONLINK: u32 = 4;

/// A next-hop object of the kernel, anybody's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KernelNextHop {
    /// Its id.
    pub id: u32,
    /// Who made it (`RTPROT_*`).
    pub protocol: u8,
    /// What it is.
    pub kind: NextHopKind,
    /// Of a resilient group, how many buckets it has.
    pub buckets: Option<u16>,
}

/// What a next-hop object is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NextHopKind {
    /// One way.
    Single {
        /// The family it was made for.
        family: Option<Family>,
        /// The gateway; `None`: the interface alone.
        gateway: Option<IpAddr>,
        /// The interface.
        interface: IfIndex,
        /// The gateway counts as on-link.
        onlink: bool,
    },
    /// Several objects that share the load: id and weight (1 to 65,536, here cut to 65,535).
    Group(SmallVec<[(u32, u16); 4]>),
    /// Drops packets.
    Blackhole,
}

impl KernelNextHop {
    /// Reads an object; `None` for what is cut short or has no id.
    pub(crate) fn decode(message: &Message<'_>) -> Option<KernelNextHop> {
        let family = super::family_of(u8_at(message.body, 0)?);
        let protocol = u8_at(message.body, 2)?;
        let onlink = u32_at(message.body, 4)? & RTNH_F_ONLINK != 0;
        let (mut id, mut gateway, mut interface, mut blackhole) = (0, None, 0, false);
        let (mut group, mut buckets) = (SmallVec::new(), None);
        for attribute in message.attributes(NHMSG) {
            match attribute.kind {
                NHA_ID => id = attribute.u32()?,
                NHA_GROUP => group.extend(attribute.data.chunks_exact(8).filter_map(member)),
                NHA_BLACKHOLE => blackhole = true,
                NHA_OIF => interface = attribute.u32()?,
                NHA_GATEWAY => gateway = address(attribute.data),
                NHA_RES_GROUP => buckets = buckets_of(&attribute),
                _ => {}
            }
        }
        let kind = if blackhole {
            NextHopKind::Blackhole
        } else if group.is_empty() {
            NextHopKind::Single { family, gateway, interface, onlink }
        } else {
            group.sort_unstable();
            NextHopKind::Group(group)
        };
        (id != 0).then_some(KernelNextHop { id, protocol, kind, buckets })
    }
}

/// The number of buckets among the attributes of a resilient group.
fn buckets_of(group: &Attribute<'_>) -> Option<u16> {
    u16_at(group.nested().find(|attribute| attribute.kind == NHA_RES_GROUP_BUCKETS)?.data, 0)
}

/// `struct nexthop_grp`: id, weight less one in two parts.
fn member(entry: &[u8]) -> Option<(u32, u16)> {
    let weight = u16::from(u8_at(entry, 4)?) | u16::from(u8_at(entry, 5)?) << 8;
    Some((u32_at(entry, 0)?, weight.saturating_add(1)))
}

/// Reads the id alone, as a deletion needs it.
pub(crate) fn id_of(message: &Message<'_>) -> Option<u32> {
    message.attributes(NHMSG).find(|a| a.kind == NHA_ID)?.u32()
}

/// A request that makes or replaces a single next hop.
pub(crate) fn put_single(batch: &mut Batch, id: u32, protocol: u8, hop: &SingleHop) {
    let flags = if hop.onlink && hop.gateway.is_some() { RTNH_F_ONLINK } else { 0 };
    let [a, b, c, d] = flags.to_ne_bytes();
    let fixed = [af(hop.family), 0, protocol, 0, a, b, c, d];
    batch.begin(RTM_NEWNEXTHOP, flag::CREATE | flag::REPLACE, &fixed);
    batch.u32(NHA_ID, id);
    batch.u32(NHA_OIF, hop.interface);
    if let Some(gateway) = hop.gateway {
        batch.address(NHA_GATEWAY, gateway);
    }
    batch.end();
}

/// A request that makes an object which drops packets.
pub(crate) fn put_blackhole(batch: &mut Batch, id: u32, protocol: u8) {
    batch.begin(RTM_NEWNEXTHOP, flag::CREATE | flag::REPLACE, &[super::AF_INET, 0, protocol, 0, 0, 0, 0, 0]);
    batch.u32(NHA_ID, id);
    batch.attribute(NHA_BLACKHOLE, &[]);
    batch.end();
}

/// A way as the kernel's single next-hop object holds it: no weight, but a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct SingleHop {
    /// The gateway's family; of a way without gateway, that of the routes that use it.
    pub(crate) family: Family,
    pub(crate) gateway: Option<IpAddr>,
    pub(crate) interface: IfIndex,
    pub(crate) onlink: bool,
}

/// A request that makes or replaces a group of (id, weight).
pub(crate) fn put_group(
    batch: &mut Batch,
    id: u32,
    protocol: u8,
    members: &[(u32, u16)],
    resilient: Option<&ResilientGroups>,
) {
    batch.begin(
        RTM_NEWNEXTHOP,
        flag::CREATE | flag::REPLACE,
        &[super::AF_UNSPEC, 0, protocol, 0, 0, 0, 0, 0],
    );
    batch.u32(NHA_ID, id);
    let [k0, k1] = NHA_GROUP.to_ne_bytes();
    let list = batch.open(&[0, 0, k0, k1]);
    for (member, weight) in members {
        let [a, b, c, d] = member.to_ne_bytes();
        let weight = u8::try_from((*weight).clamp(1, 256) - 1).unwrap_or(u8::MAX);
        // An entry has no length of its own, so it stays unclosed.
        let _entry = batch.open(&[a, b, c, d, weight, 0, 0, 0]);
    }
    batch.close(list);
    if let Some(ResilientGroups { buckets, idle, unbalanced }) = resilient {
        batch.attribute(NHA_GROUP_TYPE, &NEXTHOP_GRP_TYPE_RES.to_ne_bytes());
        let [k0, k1] = (NHA_RES_GROUP | NESTED).to_ne_bytes();
        let nested = batch.open(&[0, 0, k0, k1]);
        batch.attribute(NHA_RES_GROUP_BUCKETS, &buckets.to_ne_bytes());
        let ticks = |time: &Duration| u32::try_from(time.as_millis() * USER_HZ / 1_000).unwrap_or(u32::MAX);
        batch.u32(NHA_RES_GROUP_IDLE_TIMER, ticks(idle));
        batch.u32(NHA_RES_GROUP_UNBALANCED_TIMER, ticks(unbalanced));
        batch.close(nested);
    }
    batch.end();
}

/// A request that deletes an object, and with it every route that still uses it.
pub(crate) fn remove(batch: &mut Batch, id: u32) {
    batch.begin(RTM_DELNEXTHOP, 0, &[0; NHMSG]);
    batch.u32(NHA_ID, id);
    batch.end();
}

/// A request for the dump of all objects: the kernel cannot select by protocol.
pub(crate) fn dump(batch: &mut Batch) {
    batch.begin(RTM_GETNEXTHOP, flag::DUMP, &[0; NHMSG]);
    batch.end();
}
