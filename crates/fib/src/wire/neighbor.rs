//! `RTM_NEWNEIGH` and its kin: ARP and ND entries, and the forwarding database of bridges (`AF_BRIDGE`).

use std::net::IpAddr;

use siskin_net::IfIndex;

use super::batch::Batch;
use super::{AF_BRIDGE, Message, address, af, family_of, family_of_address, flag, u8_at, u16_at, u32_at};

pub(crate) const RTM_NEWNEIGH: u16 = 28;
pub(crate) const RTM_DELNEIGH: u16 = 29;
pub(crate) const RTM_GETNEIGH: u16 = 30;

/// `struct ndmsg`.
pub(crate) const NDMSG: usize = 12;

const NDA_DST: u16 = 1;
const NDA_LLADDR: u16 = 2;
const NDA_VLAN: u16 = 5;
const NDA_MASTER: u16 = 9;
pub(crate) const NDA_PROTOCOL: u16 = 12;

const NUD_REACHABLE: u16 = 0x02;
const NUD_STALE: u16 = 0x04;
const NUD_DELAY: u16 = 0x08;
const NUD_PROBE: u16 = 0x10;
const NUD_FAILED: u16 = 0x20;
const NUD_NOARP: u16 = 0x40;
const NUD_PERMANENT: u16 = 0x80;
/// The kernel is to use the entry now: it asks for the MAC address unless it has it.
const NTF_USE: u8 = 1;

/// A link-layer fact: which MAC an address has, or behind which bridge port a MAC is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KernelNeighbor {
    /// The interface; of a bridge's forwarding entry the port.
    pub interface: IfIndex,
    /// The IP address; `None`: an entry of a bridge's forwarding database.
    pub address: Option<IpAddr>,
    /// The MAC address, if it is known.
    pub mac: Option<[u8; 6]>,
    /// Set by hand, not learned.
    pub permanent: bool,
    /// The entry is usable: reachable, stale, being probed, permanent.
    pub valid: bool,
    /// The machine did not answer when it was asked for.
    pub failed: bool,
    /// Who made it (`NDA_PROTOCOL`); 0: unknown.
    pub protocol: u8,
    /// The bridge, of a forwarding entry.
    pub bridge: Option<IfIndex>,
    /// The VLAN, of a forwarding entry.
    pub vlan: Option<u16>,
}

impl KernelNeighbor {
    /// Reads an entry; `None` for what is cut short or of another family.
    pub(crate) fn decode(message: &Message<'_>) -> Option<KernelNeighbor> {
        let body = message.body;
        let family = u8_at(body, 0)?;
        if family != AF_BRIDGE {
            family_of(family)?;
        }
        let state = u16_at(body, 8)?;
        let usable = NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE | NUD_NOARP | NUD_PERMANENT;
        let mut neighbor = KernelNeighbor {
            interface: u32_at(body, 4)?,
            address: None,
            mac: None,
            permanent: state & NUD_PERMANENT != 0,
            valid: state & usable != 0,
            failed: state & NUD_FAILED != 0,
            protocol: 0,
            bridge: None,
            vlan: None,
        };
        for attribute in message.attributes(NDMSG) {
            match attribute.kind {
                NDA_DST if family != AF_BRIDGE => neighbor.address = address(attribute.data),
                NDA_LLADDR => neighbor.mac = attribute.data.try_into().ok(),
                NDA_VLAN => neighbor.vlan = u16_at(attribute.data, 0),
                NDA_MASTER => neighbor.bridge = attribute.u32(),
                NDA_PROTOCOL => neighbor.protocol = attribute.u8()?,
                _ => {}
            }
        }
        Some(neighbor)
    }
}

/// A request that makes a permanent entry, in place of what was there.
pub(crate) fn put(batch: &mut Batch, interface: IfIndex, address: IpAddr, mac: [u8; 6], protocol: u8) {
    begin(batch, RTM_NEWNEIGH, flag::CREATE | flag::REPLACE, interface, address);
    batch.attribute(NDA_LLADDR, &mac);
    batch.attribute(NDA_PROTOCOL, &[protocol]);
    batch.end();
}

/// A request that has the kernel ask for a MAC address, as if there were a packet to send.
pub(crate) fn ask(batch: &mut Batch, interface: IfIndex, address: IpAddr) {
    let [a, b, c, d] = interface.to_ne_bytes();
    let fixed = [af(family_of_address(address)), 0, 0, 0, a, b, c, d, 0, 0, NTF_USE, 0];
    batch.begin(RTM_NEWNEIGH, flag::CREATE | flag::REPLACE, &fixed);
    batch.address(NDA_DST, address);
    batch.end();
}

/// A request that removes an entry.
pub(crate) fn remove(batch: &mut Batch, interface: IfIndex, address: IpAddr) {
    begin(batch, RTM_DELNEIGH, 0, interface, address);
    batch.end();
}

fn begin(batch: &mut Batch, kind: u16, flags: u16, interface: IfIndex, address: IpAddr) {
    let [a, b, c, d] = interface.to_ne_bytes();
    let [s0, s1] = NUD_PERMANENT.to_ne_bytes();
    batch.begin(kind, flags, &[af(family_of_address(address)), 0, 0, 0, a, b, c, d, s0, s1, 0, 0]);
    batch.address(NDA_DST, address);
}

/// A request for the dump of ARP and ND entries (`family` unspecified) or of bridges' forwarding databases.
pub(crate) fn dump(batch: &mut Batch, family: u8) {
    let mut fixed = [0; NDMSG];
    if let Some(first) = fixed.first_mut() {
        *first = family;
    }
    batch.begin(RTM_GETNEIGH, flag::DUMP, &fixed);
    batch.end();
}
