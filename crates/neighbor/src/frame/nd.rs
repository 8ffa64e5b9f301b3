//! Neighbour discovery in IPv6 (RFC 4861): Router Solicitation, Neighbor Solicitation and Advertisement, with the
//! validations of sections 6.1.1, 7.1.1 and 7.1.2. A Router Advertisement is only recognised: a VM must not send one.
//!
//! Left out: Redirect, SEND (RFC 3971), and every option but the two link-layer addresses.

use std::net::Ipv6Addr;

use super::FrameError;
use super::ethernet::be16;
use crate::Mac;

/// IPv6 next header of ICMPv6.
const ICMPV6: u8 = 58;
/// The hop limit that proves a message was sent on this link.
const ON_LINK: u8 = 255;

/// A message of neighbour discovery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Discovery {
    /// The IPv6 source; unspecified in duplicate address detection.
    pub source: Ipv6Addr,
    /// The IPv6 destination.
    pub destination: Ipv6Addr,
    /// The message.
    pub message: Message,
}

/// The ICMPv6 part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message {
    /// Type 133.
    RouterSolicitation {
        /// SLLAO.
        source_mac: Option<Mac>,
    },
    /// Type 134: no more is read than that it is one.
    RouterAdvertisement,
    /// Type 135.
    NeighborSolicitation {
        /// The address asked for.
        target: Ipv6Addr,
        /// SLLAO.
        source_mac: Option<Mac>,
    },
    /// Type 136.
    NeighborAdvertisement {
        /// The address advertised.
        target: Ipv6Addr,
        /// The S flag: an answer.
        solicited: bool,
        /// TLLAO.
        target_mac: Option<Mac>,
    },
}

/// The solicited-node multicast address of `address` (RFC 4291 section 2.7.1).
pub(super) fn solicited_node(address: Ipv6Addr) -> Ipv6Addr {
    const BASE: u128 = 0xff02_0000_0000_0000_0000_0001_ff00_0000;
    Ipv6Addr::from_bits(BASE | address.to_bits() & 0x00ff_ffff)
}

/// The Ethernet group of an IPv6 multicast address (RFC 2464 section 7).
pub(super) fn multicast_mac(address: Ipv6Addr) -> Mac {
    let [.., a, b, c, d] = address.octets();
    Mac([0x33, 0x33, a, b, c, d])
}

/// The ICMPv6 checksum over pseudo-header and `message` (RFC 4443 section 2.3), to be written, or 0 of a message
/// that carries its right one.
pub(super) fn checksum(source: Ipv6Addr, destination: Ipv6Addr, message: &[u8]) -> u16 {
    // Sums of 16-bit words in 64 bits cannot overflow below 2^48 words.
    let words = |bytes: &[u8]| -> u64 {
        let chunks = bytes.chunks(2);
        chunks
            .map(|c| {
                u64::from(c.first().copied().unwrap_or(0)) << 8 | u64::from(c.get(1).copied().unwrap_or(0))
            })
            .sum()
    };
    let length = message.len() as u64;
    let mut sum =
        words(&source.octets()) + words(&destination.octets()) + length + u64::from(ICMPV6) + words(message);
    while sum > 0xffff {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    !u16::try_from(sum).unwrap_or(u16::MAX)
}

impl Discovery {
    /// Reads an IPv6 packet that holds one message.
    pub fn parse(bytes: &[u8]) -> Result<Discovery, FrameError> {
        let (&[version, _, _, _], rest) = bytes.split_first_chunk().ok_or(FrameError::Truncated)?;
        if version >> 4 != 6 {
            return Err(FrameError::Malformed("not IP version 6"));
        }
        let (length, rest) = be16(rest)?;
        let (&[next_header, hop_limit], rest) = rest.split_first_chunk().ok_or(FrameError::Truncated)?;
        let (source, rest) = rest.split_first_chunk::<16>().ok_or(FrameError::Truncated)?;
        let (destination, rest) = rest.split_first_chunk::<16>().ok_or(FrameError::Truncated)?;
        if next_header != ICMPV6 {
            return Err(FrameError::Unrelated);
        }
        let (source, destination) = (Ipv6Addr::from(*source), Ipv6Addr::from(*destination));
        let kind = rest.first().copied().ok_or(FrameError::Truncated)?;
        if !matches!(kind, 133..=136) {
            return Err(FrameError::Unrelated);
        }
        if hop_limit != ON_LINK {
            return Err(FrameError::Malformed("hop limit is not 255"));
        }
        if kind == 134 {
            // Often longer than the snapshot, so its checksum cannot be verified; it is only counted.
            return Ok(Discovery { source, destination, message: Message::RouterAdvertisement });
        }
        let message = rest.get(..usize::from(length)).ok_or(FrameError::Truncated)?;
        if source.is_multicast() {
            return Err(FrameError::Malformed("multicast source"));
        }
        if checksum(source, destination, message) != 0 {
            return Err(FrameError::Malformed("checksum"));
        }
        Message::parse(source, destination, message).map(|message| Discovery { source, destination, message })
    }
}

impl Message {
    fn parse(source: Ipv6Addr, destination: Ipv6Addr, bytes: &[u8]) -> Result<Message, FrameError> {
        let (&[kind, code, _, _], rest) = bytes.split_first_chunk().ok_or(FrameError::Truncated)?;
        if code != 0 {
            return Err(FrameError::Malformed("ICMPv6 code"));
        }
        let (&[flags, _, _, _], rest) = rest.split_first_chunk().ok_or(FrameError::Truncated)?;
        match kind {
            133 => {
                let source_mac = link_layer_option(rest, 1)?;
                if source.is_unspecified() && source_mac.is_some() {
                    return Err(FrameError::Malformed("link-layer address of the unspecified address"));
                }
                Ok(Message::RouterSolicitation { source_mac })
            }
            135 => {
                let (target, options) = target(rest)?;
                let source_mac = link_layer_option(options, 1)?;
                if source.is_unspecified() {
                    if destination != solicited_node(target) {
                        return Err(FrameError::Malformed("duplicate address detection to a wrong group"));
                    }
                    if source_mac.is_some() {
                        return Err(FrameError::Malformed("link-layer address of the unspecified address"));
                    }
                }
                Ok(Message::NeighborSolicitation { target, source_mac })
            }
            136 => {
                let (target, options) = target(rest)?;
                let solicited = flags & 0x40 != 0;
                if solicited && destination.is_multicast() {
                    return Err(FrameError::Malformed("solicited advertisement to a group"));
                }
                if source.is_unspecified() {
                    return Err(FrameError::Malformed("advertisement without a source"));
                }
                Ok(Message::NeighborAdvertisement {
                    target,
                    solicited,
                    target_mac: link_layer_option(options, 2)?,
                })
            }
            _ => Err(FrameError::Unrelated),
        }
    }
}

fn target(bytes: &[u8]) -> Result<(Ipv6Addr, &[u8]), FrameError> {
    let (octets, rest) = bytes.split_first_chunk::<16>().ok_or(FrameError::Truncated)?;
    let target = Ipv6Addr::from(*octets);
    if target.is_multicast() || target.is_unspecified() {
        return Err(FrameError::Malformed("target is no unicast address"));
    }
    Ok((target, rest))
}

/// The first link-layer address option of type `wanted` (RFC 4861 section 4.6); every option's length is checked.
fn link_layer_option(mut options: &[u8], wanted: u8) -> Result<Option<Mac>, FrameError> {
    let mut found = None;
    while let Some((&[kind, units], _)) = options.split_first_chunk() {
        if units == 0 {
            return Err(FrameError::Malformed("option of length 0"));
        }
        let length = usize::from(units).saturating_mul(8);
        let (option, rest) = options.split_at_checked(length).ok_or(FrameError::Truncated)?;
        if kind == wanted && found.is_none() {
            if units != 1 {
                return Err(FrameError::Malformed("link-layer address of another length"));
            }
            found = option.get(2..).and_then(|o| o.first_chunk()).map(|octets| Mac(*octets));
        }
        options = rest;
    }
    if options.is_empty() { Ok(found) } else { Err(FrameError::Truncated) }
}
