//! The Ethernet II header with at most one 802.1Q tag, in the frame or stripped by the kernel.

use super::FrameError;
use crate::Mac;

/// An EtherType.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EtherType(pub u16);

impl EtherType {
    /// ARP.
    pub const ARP: EtherType = EtherType(0x0806);
    /// Reverse ARP: what QEMU sends after a migration.
    pub const RARP: EtherType = EtherType(0x8035);
    /// IPv6.
    pub const IPV6: EtherType = EtherType(0x86dd);
    /// An 802.1Q tag.
    pub const VLAN: EtherType = EtherType(0x8100);
    /// An 802.1ad service tag.
    pub const SERVICE_VLAN: EtherType = EtherType(0x88a8);

    const fn is_tag(self) -> bool {
        matches!(self, EtherType::VLAN | EtherType::SERVICE_VLAN)
    }
}

/// The header of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ethernet {
    /// Who it is for.
    pub destination: Mac,
    /// Who sent it, or says so.
    pub source: Mac,
    /// The VLAN, 1 to 4095; `None` for untagged and for priority-tagged (VLAN 0) frames, which mean the same.
    pub vlan: Option<u16>,
    /// What follows.
    pub ether_type: EtherType,
}

impl Ethernet {
    /// The header and what follows it. A second tag is an error: no VM needs it, and bridges disagree about it.
    pub fn parse(bytes: &[u8], stripped_vlan: Option<u16>) -> Result<(Ethernet, &[u8]), FrameError> {
        let (destination, rest) = bytes.split_first_chunk().ok_or(FrameError::Truncated)?;
        let (source, rest) = rest.split_first_chunk().ok_or(FrameError::Truncated)?;
        let (mut ether_type, mut rest) = be16(rest)?;
        let mut tag = stripped_vlan;
        if EtherType(ether_type).is_tag() {
            if tag.is_some() {
                return Err(FrameError::Malformed("two VLAN tags"));
            }
            let (control, inner) = be16(rest)?;
            tag = Some(control);
            (ether_type, rest) = be16(inner)?;
            if EtherType(ether_type).is_tag() {
                return Err(FrameError::Malformed("two VLAN tags"));
            }
        }
        let header = Ethernet {
            destination: Mac(*destination),
            source: Mac(*source),
            vlan: tag.map(|t| t & 0x0fff).filter(|id| *id != 0),
            ether_type: EtherType(ether_type),
        };
        Ok((header, rest))
    }

    /// The header's bytes, without a tag whatever `vlan` says: we speak on ports, where frames are untagged.
    pub(super) fn push_to(self, frame: &mut Vec<u8>) {
        frame.extend_from_slice(&self.destination.0);
        frame.extend_from_slice(&self.source.0);
        frame.extend_from_slice(&self.ether_type.0.to_be_bytes());
    }
}

/// Two octets in network order, and the rest.
pub(super) fn be16(bytes: &[u8]) -> Result<(u16, &[u8]), FrameError> {
    let (octets, rest) = bytes.split_first_chunk().ok_or(FrameError::Truncated)?;
    Ok((u16::from_be_bytes(*octets), rest))
}
