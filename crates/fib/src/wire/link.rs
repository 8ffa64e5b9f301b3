//! `RTM_NEWLINK` and `RTM_NEWADDR` with their deletions and dumps: interfaces and the addresses on them.

use std::net::IpAddr;

use siskin_net::{IfIndex, PortVlans, Prefix, VlanRange};

use super::batch::Batch;
use super::{AF_BRIDGE, AF_UNSPEC, Message, address, family_of, flag, u8_at, u16_at, u32_at};

pub(crate) const RTM_NEWLINK: u16 = 16;
pub(crate) const RTM_DELLINK: u16 = 17;
pub(crate) const RTM_GETLINK: u16 = 18;
pub(crate) const RTM_NEWADDR: u16 = 20;
pub(crate) const RTM_DELADDR: u16 = 21;
pub(crate) const RTM_GETADDR: u16 = 22;

/// `struct ifinfomsg`.
const IFINFOMSG: usize = 16;
/// `struct ifaddrmsg`.
const IFADDRMSG: usize = 8;

const IFLA_ADDRESS: u16 = 1;
const IFLA_IFNAME: u16 = 3;
const IFLA_MTU: u16 = 4;
const IFLA_LINK: u16 = 5;
const IFLA_MASTER: u16 = 10;
const IFLA_LINKINFO: u16 = 18;
const IFLA_AF_SPEC: u16 = 26;
const IFLA_EXT_MASK: u16 = 29;
const IFLA_INFO_KIND: u16 = 1;
const IFLA_INFO_DATA: u16 = 2;
const IFLA_VLAN_ID: u16 = 1;
const IFLA_BR_VLAN_FILTERING: u16 = 7;
const IFLA_BRIDGE_VLAN_INFO: u16 = 2;
const RTEXT_FILTER_BRVLAN_COMPRESSED: u32 = 4;
const RTEXT_FILTER_SKIP_STATS: u32 = 8;

const VLAN_PVID: u16 = 2;
const VLAN_UNTAGGED: u16 = 4;
const VLAN_RANGE_BEGIN: u16 = 8;
const VLAN_RANGE_END: u16 = 16;

const IFF_UP: u32 = 1;
const IFF_LOOPBACK: u32 = 8;
const IFF_RUNNING: u32 = 0x40;

const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const IFA_FLAGS: u16 = 8;
const IFA_F_DADFAILED: u32 = 8;

/// A network interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Its index: a new one whenever it is made anew.
    pub index: IfIndex,
    /// Its name.
    pub name: String,
    /// The administrator switched it on (`IFF_UP`).
    pub up: bool,
    /// It has carrier and may pass packets (`IFF_RUNNING`).
    pub carrier: bool,
    /// It is `lo`.
    pub loopback: bool,
    /// The bridge, bond or VRF it belongs to.
    pub master: Option<IfIndex>,
    /// Its Ethernet address, if it has one.
    pub mac: Option<[u8; 6]>,
    /// The largest packet, in bytes.
    pub mtu: u32,
    /// What the driver calls it: `bridge`, `veth`, `tun` …; empty for hardware.
    pub kind: String,
    /// What a VLAN device stands on; of other kinds it may be the index of an interface elsewhere.
    pub lower: Option<IfIndex>,
    /// The VLAN of a VLAN device.
    pub vlan: Option<u16>,
    /// A bridge that heeds its ports' VLANs.
    pub vlan_filtering: bool,
}

impl Link {
    /// Whether packets can leave by it: switched on and with carrier.
    #[must_use]
    pub fn usable(&self) -> bool {
        self.up && self.carrier
    }

    /// Reads a link; `None` for what is cut short, and for the bridge's own notes on its ports (`AF_BRIDGE`), whose
    /// deletion means that a port left the bridge, not that the link is gone.
    pub(crate) fn decode(message: &Message<'_>) -> Option<Link> {
        let body = message.body;
        if u8_at(body, 0)? != AF_UNSPEC {
            return None;
        }
        let flags = u32_at(body, 8)?;
        let mut link = Link {
            index: u32_at(body, 4)?,
            name: String::new(),
            up: flags & IFF_UP != 0,
            carrier: flags & IFF_RUNNING != 0,
            loopback: flags & IFF_LOOPBACK != 0,
            master: None,
            mac: None,
            mtu: 0,
            kind: String::new(),
            lower: None,
            vlan: None,
            vlan_filtering: false,
        };
        for attribute in message.attributes(IFINFOMSG) {
            match attribute.kind {
                IFLA_ADDRESS => link.mac = attribute.data.try_into().ok(),
                IFLA_IFNAME => link.name = attribute.text(),
                IFLA_MTU => link.mtu = attribute.u32()?,
                IFLA_MASTER => link.master = attribute.u32().filter(|m| *m != 0),
                IFLA_LINK => link.lower = attribute.u32().filter(|l| *l != 0),
                IFLA_LINKINFO => link.take_info(&attribute),
                _ => {}
            }
        }
        Some(link)
    }

    fn take_info(&mut self, info: &super::Attribute<'_>) {
        if let Some(kind) = info.nested().find(|a| a.kind == IFLA_INFO_KIND) {
            self.kind = kind.text();
        }
        for data in info.nested().filter(|a| a.kind == IFLA_INFO_DATA).flat_map(|a| a.nested()) {
            match (self.kind.as_str(), data.kind) {
                ("vlan", IFLA_VLAN_ID) => self.vlan = u16_at(data.data, 0),
                ("bridge", IFLA_BR_VLAN_FILTERING) => self.vlan_filtering = u8_at(data.data, 0) == Some(1),
                _ => {}
            }
        }
    }
}

/// A bridge's note on one of its ports, or on itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BridgeNote {
    /// The port, or the bridge.
    pub port: IfIndex,
    /// Its VLANs; `None`: the note does not say, or there are none.
    pub vlans: Option<PortVlans>,
}

impl BridgeNote {
    /// Reads a note; `None` for other messages and for what is cut short.
    pub(crate) fn decode(message: &Message<'_>) -> Option<BridgeNote> {
        if u8_at(message.body, 0)? != AF_BRIDGE {
            return None;
        }
        let port = u32_at(message.body, 4)?;
        let spec = message.attributes(IFINFOMSG).find(|a| a.kind == IFLA_AF_SPEC);
        let mut vlans = PortVlans::default();
        let mut first = None;
        for info in spec.iter().flat_map(|a| a.nested()).filter(|a| a.kind == IFLA_BRIDGE_VLAN_INFO) {
            let (flags, vlan) = (u16_at(info.data, 0)?, u16_at(info.data, 2)?);
            if flags & VLAN_PVID != 0 {
                vlans.pvid = Some(vlan);
            }
            if flags & VLAN_RANGE_BEGIN != 0 {
                first = Some(vlan);
                continue;
            }
            let begun = first.take().filter(|_| flags & VLAN_RANGE_END != 0);
            let untagged = flags & VLAN_UNTAGGED != 0;
            vlans.ranges.push(VlanRange { first: begun.unwrap_or(vlan), last: vlan, untagged });
        }
        let said = !vlans.ranges.is_empty();
        Some(BridgeNote { port, vlans: said.then_some(vlans) })
    }
}

/// An address of an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct InterfaceAddress {
    /// The interface.
    pub interface: IfIndex,
    /// The address itself.
    pub address: IpAddr,
    /// The prefix it makes connected; on a point-to-point link that of the other end.
    pub prefix: Prefix,
}

impl InterfaceAddress {
    /// Reads an address; `None` for what is cut short, or an address that duplicate detection found taken.
    pub(crate) fn decode(message: &Message<'_>) -> Option<InterfaceAddress> {
        let body = message.body;
        family_of(u8_at(body, 0)?)?;
        let length = u8_at(body, 1)?;
        let interface = u32_at(body, 4)?;
        let (mut remote, mut local, mut flags) = (None, None, u32::from(u8_at(body, 2)?));
        for attribute in message.attributes(IFADDRMSG) {
            match attribute.kind {
                IFA_ADDRESS => remote = address(attribute.data),
                IFA_LOCAL => local = address(attribute.data),
                IFA_FLAGS => flags = attribute.u32()?,
                _ => {}
            }
        }
        if flags & IFA_F_DADFAILED != 0 {
            return None;
        }
        let address = local.or(remote)?;
        Some(InterfaceAddress { interface, address, prefix: Prefix::new(remote.unwrap_or(address), length) })
    }
}

/// A request for the dump of all links, without their counters.
pub(crate) fn dump_links(batch: &mut Batch) {
    batch.begin(RTM_GETLINK, flag::DUMP, &[0; IFINFOMSG]);
    batch.u32(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
    batch.end();
}

/// A request for the dump of all bridges' notes, with VLANs.
pub(crate) fn dump_bridge_notes(batch: &mut Batch) {
    let mut header = [0; IFINFOMSG];
    if let Some(family) = header.first_mut() {
        *family = AF_BRIDGE;
    }
    batch.begin(RTM_GETLINK, flag::DUMP, &header);
    batch.u32(IFLA_EXT_MASK, RTEXT_FILTER_BRVLAN_COMPRESSED);
    batch.end();
}

/// A request for the dump of all addresses of both families.
pub(crate) fn dump_addresses(batch: &mut Batch) {
    batch.begin(RTM_GETADDR, flag::DUMP, &[0; IFADDRMSG]);
    batch.end();
}
