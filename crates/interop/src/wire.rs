//! The least BGP that feeding and counting need (RFC 4271 section 4, RFC 4760, RFC 6793): OPEN, KEEPALIVE and
//! UPDATE to write, message headers and NLRI to read.
//!
//! Four-octet AS paths only: a peer without that capability is refused by the speaker, not translated for.

use std::net::{IpAddr, Ipv4Addr};

use siskin_net::{Family, Prefix};

use crate::{Error, Result, fail};

/// Octets of the message header.
pub const HEADER: usize = 19;
/// The most octets a message may have without RFC 8654.
pub const MAX_MESSAGE: usize = 4096;
/// Message type OPEN.
pub const OPEN: u8 = 1;
/// Message type UPDATE.
pub const UPDATE: u8 = 2;
/// Message type NOTIFICATION.
pub const NOTIFICATION: u8 = 3;
/// Message type KEEPALIVE.
pub const KEEPALIVE: u8 = 4;
/// Message type ROUTE-REFRESH (RFC 2918).
pub const ROUTE_REFRESH: u8 = 5;

/// Path attribute type of MP_REACH_NLRI.
pub const MP_REACH: u8 = 14;
/// Path attribute type of MP_UNREACH_NLRI.
pub const MP_UNREACH: u8 = 15;

/// A whole message of this type around `body`.
///
/// # Errors
/// When the body is longer than a message can be.
pub fn message(kind: u8, body: &[u8]) -> Result<Vec<u8>> {
    let length =
        u16::try_from(HEADER + body.len()).map_err(|_| Error::new("a message above 65,535 octets"))?;
    let mut out = vec![0xff; 16];
    out.extend(length.to_be_bytes());
    out.push(kind);
    out.extend(body);
    Ok(out)
}

/// An OPEN with the capabilities for these families, route refresh and four-octet AS numbers.
///
/// # Errors
/// Never for real families; the length fields are checked all the same.
pub fn open(asn: u32, hold: u16, id: Ipv4Addr, families: &[Family]) -> Result<Vec<u8>> {
    let mut capabilities = vec![2, 0];
    for family in families {
        capabilities.extend([1, 4]);
        capabilities.extend(family.afi().to_be_bytes());
        capabilities.extend([0, family.safi()]);
    }
    capabilities.extend([65, 4]);
    capabilities.extend(asn.to_be_bytes());
    let length = u8::try_from(capabilities.len()).map_err(|_| Error::new("too many capabilities"))?;
    let mut body = vec![4];
    body.extend(u16::try_from(asn).unwrap_or(23_456).to_be_bytes());
    body.extend(hold.to_be_bytes());
    body.extend(id.octets());
    body.extend([length.saturating_add(2), 2, length]);
    body.extend(capabilities);
    message(OPEN, &body)
}

/// One path attribute, with the long length field where it is needed.
pub fn attribute(out: &mut Vec<u8>, flags: u8, kind: u8, value: &[u8]) {
    match u8::try_from(value.len()) {
        Ok(length) => out.extend([flags & !0x10, kind, length]),
        Err(_) => {
            out.extend([flags | 0x10, kind]);
            let length = u16::try_from(value.len()).unwrap_or(u16::MAX);
            out.extend(length.to_be_bytes());
        }
    }
    out.extend(value);
}

/// A prefix as NLRI: its length in bits, then as many octets as that needs.
pub fn nlri(out: &mut Vec<u8>, prefix: Prefix) {
    out.push(prefix.len());
    let octets = usize::from(prefix.len().div_ceil(8));
    let bits = prefix.bits().to_be_bytes();
    out.extend(bits.iter().take(octets));
}

/// The body of an UPDATE from its three parts.
///
/// # Errors
/// When a part is longer than its length field can say.
pub fn update(withdrawn: &[u8], attributes: &[u8], nlri: &[u8]) -> Result<Vec<u8>> {
    let long = |_| Error::new("an UPDATE part above 65,535 octets");
    let mut body = u16::try_from(withdrawn.len()).map_err(long)?.to_be_bytes().to_vec();
    body.extend(withdrawn);
    body.extend(u16::try_from(attributes.len()).map_err(long)?.to_be_bytes());
    body.extend(attributes);
    body.extend(nlri);
    message(UPDATE, &body)
}

/// The End-of-RIB marker of a family (RFC 4724 section 2).
///
/// # Errors
/// As [`update`].
pub fn end_of_rib(family: Family) -> Result<Vec<u8>> {
    match family {
        Family::Ipv4 => update(&[], &[], &[]),
        Family::Ipv6 => {
            let mut attributes = Vec::new();
            attribute(&mut attributes, 0x80, MP_UNREACH, &[0, 2, 1]);
            update(&[], &attributes, &[])
        }
    }
}

/// The octets of a next hop.
#[must_use]
pub fn next_hop(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(a) => a.octets().to_vec(),
        IpAddr::V6(a) => a.octets().to_vec(),
    }
}

/// Walks NLRI octets; `each` gets every prefix as left-aligned bits and a length.
///
/// # Errors
/// When a length is impossible or the octets end in the middle of a prefix.
pub fn walk_nlri(mut octets: &[u8], family: Family, mut each: impl FnMut(u128, u8)) -> Result {
    while let Some((&length, rest)) = octets.split_first() {
        let size = usize::from(length.div_ceil(8));
        if length > family.max_len() || rest.len() < size {
            return fail("NLRI that do not add up");
        }
        let (prefix, after) = rest.split_at(size);
        let bits = prefix.iter().fold(0u128, |bits, octet| bits << 8 | u128::from(*octet));
        each(if size == 0 { 0 } else { bits << (128 - 8 * size) }, length);
        octets = after;
    }
    Ok(())
}

/// The parts of a received UPDATE that say which prefixes come and go.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Parts<'a> {
    /// IPv4 NLRI of the message itself.
    pub reach4: &'a [u8],
    /// IPv4 withdrawn routes of the message itself.
    pub unreach4: &'a [u8],
    /// IPv6 NLRI in MP_REACH_NLRI.
    pub reach6: &'a [u8],
    /// IPv6 NLRI in MP_UNREACH_NLRI; `Some` of nothing is End-of-RIB when nothing else is there.
    pub unreach6: Option<&'a [u8]>,
}

/// Splits the body of an UPDATE.
///
/// # Errors
/// When its lengths do not add up.
pub fn parts(body: &[u8]) -> Result<Parts<'_>> {
    split(body).ok_or_else(|| Error::new("an UPDATE whose lengths do not add up"))
}

fn split(body: &[u8]) -> Option<Parts<'_>> {
    let (unreach4, rest) = counted(body)?;
    let (mut attributes, reach4) = counted(rest)?;
    let mut parts = Parts { reach4, unreach4, ..Parts::default() };
    while let [flags, kind, rest @ ..] = attributes {
        let (value, after) = if flags & 0x10 == 0 {
            let (length, rest) = rest.split_first()?;
            rest.split_at_checked((*length).into())?
        } else {
            counted(rest)?
        };
        match (*kind, value) {
            (MP_REACH, [0, 2, 1, hop, rest @ ..]) => parts.reach6 = rest.get(usize::from(*hop) + 1..)?,
            (MP_UNREACH, [0, 2, 1, rest @ ..]) => parts.unreach6 = Some(rest),
            _ => {}
        }
        attributes = after;
    }
    Some(parts)
}

/// A two-octet count, so many octets, and what follows them.
fn counted(octets: &[u8]) -> Option<(&[u8], &[u8])> {
    let (count, rest) = octets.split_first_chunk::<2>()?;
    rest.split_at_checked(u16::from_be_bytes(*count).into())
}

#[cfg(test)]
mod tests;
