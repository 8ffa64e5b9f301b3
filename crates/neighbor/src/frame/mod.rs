//! Frames a VM speaks about addresses: Ethernet, ARP (RFC 826, RFC 5227), RARP (RFC 903) and the ICMPv6 messages of
//! neighbour discovery (RFC 4861). Pure: bytes in, values out, and values in, bytes out.
//!
//! Left out: IPv6 extension headers (RFC 6980 forbids fragments here, and no stack sends others), 802.1ad double
//! tags, DHCP. What a frame says about an address is [`sighting`]'s business.

mod arp;
mod build;
mod ethernet;
mod nd;
mod sighting;

pub use arp::{Arp, ArpOperation};
pub use build::{arp_probe, gratuitous_arp, neighbor_probe, unsolicited_advertisement};
pub use ethernet::{EtherType, Ethernet};
pub use nd::{Discovery, Message};
pub use sighting::{EvidenceKind, Sighting, sighting};

/// Bytes of a frame that matter: the longest message we read is 86 bytes, the rest is room for options.
pub const SNAP_LEN: usize = 128;

/// Why a frame is not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// It ends before its own headers say so, or was longer than the snapshot.
    #[error("truncated")]
    Truncated,
    /// Some other protocol or message: nothing is wrong with it.
    #[error("not about addresses")]
    Unrelated,
    /// It breaks its protocol; the rule it broke.
    #[error("malformed: {0}")]
    Malformed(&'static str),
}

/// A frame's network part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// ARP for IPv4 over Ethernet, and RARP, which shares its layout.
    Arp(Arp),
    /// Neighbour or router discovery.
    Discovery(Discovery),
}

/// A whole frame, read and validated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The link-layer header, its tag taken in.
    pub ethernet: Ethernet,
    /// What it carries.
    pub body: Body,
}

/// Reads a frame as a packet socket gives it. `stripped_vlan` is the tag control information the kernel took out of
/// the frame before we saw it (`PACKET_AUXDATA`).
pub fn parse(bytes: &[u8], stripped_vlan: Option<u16>) -> Result<Frame, FrameError> {
    let (ethernet, payload) = Ethernet::parse(bytes, stripped_vlan)?;
    let body = match ethernet.ether_type {
        EtherType::ARP | EtherType::RARP => Body::Arp(Arp::parse(ethernet.ether_type, payload)?),
        EtherType::IPV6 => Body::Discovery(Discovery::parse(payload)?),
        _ => return Err(FrameError::Unrelated),
    };
    Ok(Frame { ethernet, body })
}

#[cfg(test)]
mod tests;
