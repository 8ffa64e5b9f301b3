//! The form tables keep: one run of bytes a distinct set of attributes.
//!
//! First what is ours or belongs to a message rather than to the set on the wire (next hop, interface, weight, table,
//! prepends), then the
//! attributes as a four-octet speaker is sent them, each with flags, code and length, by code; unknown ones last. Writing
//! an UPDATE is mostly a copy of it. The form is canonical: equal values give equal bytes and the other way round, for
//! values as the decoder and the helpers of [`PathAttributes`] make them (sets sorted, no known code among the unknown).
//!
//! | octets | what |
//! | --- | --- |
//! | 1 | which of the next five are there, see the constants |
//! | 4 or 16 | next hop |
//! | 16 | its link-local address |
//! | 4 | its interface |
//! | 4 | weight |
//! | 4 | table |
//! | 1 | prepends at the border of the AS |
//! | the rest | attributes, NEXT_HOP and MP_REACH_NLRI left out |

use std::net::{IpAddr, Ipv6Addr};

use siskin_net::NextHop;

use super::table::{EXTENDED_LENGTH, Gathered, PARTIAL, TRANSITIVE};
use super::{Category, PathAttributes, UnknownAttribute, find, is_known, rows};
use crate::wire::DecodeContext;

const IPV6_NEXT_HOP: u8 = 1;
const LINK_LOCAL: u8 = 2;
const INTERFACE: u8 = 4;
const WEIGHT: u8 = 8;
const TABLE: u8 = 16;
const BORDER_PREPEND: u8 = 32;

/// Appends the compact form of `attributes` to `out`.
pub fn encode(attributes: &PathAttributes, out: &mut Vec<u8>) {
    let NextHop { address, link_local, interface } = attributes.next_hop;
    let PathAttributes { weight, table, .. } = *attributes;
    let bit = |present: bool, bit: u8| if present { bit } else { 0 };
    out.push(
        bit(address.is_ipv6(), IPV6_NEXT_HOP)
            | bit(link_local.is_some(), LINK_LOCAL)
            | bit(interface != 0, INTERFACE)
            | bit(weight != 0, WEIGHT)
            | bit(table != 0, TABLE)
            | bit(attributes.border_prepend != 0, BORDER_PREPEND),
    );
    match address {
        IpAddr::V4(a) => out.extend_from_slice(&a.octets()),
        IpAddr::V6(a) => out.extend_from_slice(&a.octets()),
    }
    if let Some(local) = link_local {
        out.extend_from_slice(&local.octets());
    }
    for number in [interface, weight, table] {
        if number != 0 {
            out.extend_from_slice(&number.to_be_bytes());
        }
    }
    if attributes.border_prepend != 0 {
        out.push(attributes.border_prepend);
    }
    for row in rows() {
        if let Some(encode) = row.encode {
            put_attribute(row.category.flags(), row.code, out, |out| encode(attributes, out));
        }
    }
    for attribute in attributes.unknown.iter().filter(|a| !is_known(a.code)) {
        put_attribute(attribute.flags & !EXTENDED_LENGTH, attribute.code, out, |out| {
            out.extend_from_slice(&attribute.value);
            true
        });
    }
}

/// Appends one attribute whose value `put` writes; nothing if it returns `false`.
pub(crate) fn put_attribute(flags: u8, code: u8, out: &mut Vec<u8>, put: impl FnOnce(&mut Vec<u8>) -> bool) {
    let start = out.len();
    out.extend_from_slice(&[flags, code, 0]);
    let value = out.len();
    if !put(out) {
        out.truncate(start);
        return;
    }
    // No message carries a longer value; such a one is cut off here rather than written wrongly.
    out.truncate(value.saturating_add(usize::from(u16::MAX)));
    let length = u16::try_from(out.len().saturating_sub(value)).unwrap_or(u16::MAX);
    let [high, low] = length.to_be_bytes();
    let long = length > u16::from(u8::MAX);
    if let Some([first, _, field]) = out.get_mut(start..value) {
        *field = if long { high } else { low };
        if long {
            *first |= EXTENDED_LENGTH;
            out.insert(value, low);
        }
    }
}

/// One attribute of a run: flags (Extended Length included), code, value, and all its octets.
#[derive(Clone, Copy, Debug)]
pub struct RawAttribute<'a> {
    /// The flags octet.
    pub flags: u8,
    /// The type code.
    pub code: u8,
    /// The value.
    pub value: &'a [u8],
    /// The whole attribute.
    pub octets: &'a [u8],
}

/// Takes the first attribute off a run; `None` at its end, and where the octets end inside an attribute (then `run`
/// keeps the rest).
pub fn next_attribute<'a>(run: &mut &'a [u8]) -> Option<RawAttribute<'a>> {
    let (&[flags, code], rest) = run.split_first_chunk::<2>()?;
    let (length, rest) = if flags & EXTENDED_LENGTH == 0 {
        let (&length, rest) = rest.split_first()?;
        (usize::from(length), rest)
    } else {
        let (&length, rest) = rest.split_first_chunk::<2>()?;
        (usize::from(u16::from_be_bytes(length)), rest)
    };
    let (value, rest) = rest.split_at_checked(length)?;
    let octets = run.get(..run.len().saturating_sub(rest.len()))?;
    *run = rest;
    Some(RawAttribute { flags, code, value, octets })
}

/// The parts of a compact form.
#[derive(Clone, Copy, Debug)]
pub struct Parts<'a> {
    /// The next hop.
    pub next_hop: NextHop,
    /// The weight.
    pub weight: u32,
    /// The kernel's table.
    pub table: u32,
    /// Prepends at the border of the AS.
    pub border_prepend: u8,
    /// The attributes as a four-octet speaker is sent them, without NEXT_HOP and MP_REACH_NLRI; for
    /// [`next_attribute`].
    pub attributes: &'a [u8],
}

/// Takes a compact form apart; `None` if it is none.
#[must_use]
pub fn parts(compact: &[u8]) -> Option<Parts<'_>> {
    let (&bits, mut rest) = compact.split_first()?;
    let address = if bits & IPV6_NEXT_HOP == 0 {
        IpAddr::from(*take::<4>(&mut rest)?)
    } else {
        IpAddr::from(*take::<16>(&mut rest)?)
    };
    let link_local =
        if bits & LINK_LOCAL == 0 { None } else { Some(Ipv6Addr::from(*take::<16>(&mut rest)?)) };
    let mut number = |bit| {
        if bits & bit == 0 { Some(0) } else { Some(u32::from_be_bytes(*take::<4>(&mut rest)?)) }
    };
    let (interface, weight, table) = (number(INTERFACE)?, number(WEIGHT)?, number(TABLE)?);
    let [border_prepend] = if bits & BORDER_PREPEND == 0 { [0] } else { *take::<1>(&mut rest)? };
    let next_hop = NextHop { address, link_local, interface };
    Some(Parts { next_hop, weight, table, border_prepend, attributes: rest })
}

fn take<'a, const N: usize>(rest: &mut &'a [u8]) -> Option<&'a [u8; N]> {
    let (first, after) = rest.split_first_chunk::<N>()?;
    *rest = after;
    Some(first)
}

/// The value of a compact form. Of bytes that are none, what can be read.
#[must_use]
pub fn decode(compact: &[u8]) -> PathAttributes {
    let mut gathered = Gathered::new(false);
    let Some(Parts { next_hop, weight, table, border_prepend, attributes: mut run }) = parts(compact) else {
        return gathered.attributes;
    };
    let ctx = DecodeContext::trusted();
    while let Some(attribute) = next_attribute(&mut run) {
        match find(attribute.code) {
            Some(row) if row.encode.is_some() => {
                // Own output has no faults; of other bytes the faulty attribute is left out.
                let _ = (row.decode)(&mut gathered, attribute.value, &ctx);
            }
            Some(row) if !row.carried => {}
            _ => gathered.attributes.unknown.push(UnknownAttribute::from_raw(&attribute)),
        }
    }
    gathered.attributes.next_hop = next_hop;
    gathered.attributes.weight = weight;
    gathered.attributes.table = table;
    gathered.attributes.border_prepend = border_prepend;
    gathered.attributes
}

impl UnknownAttribute {
    /// As it stands in a run, without the Extended Length bit.
    pub(crate) fn from_raw(attribute: &RawAttribute<'_>) -> UnknownAttribute {
        let flags = attribute.flags & !EXTENDED_LENGTH;
        UnknownAttribute { flags, code: attribute.code, value: attribute.value.to_vec() }
    }

    /// What becomes of an attribute we do not know (RFC 4271 section 9): a transitive one is kept, marked Partial.
    pub(crate) fn received(attribute: &RawAttribute<'_>) -> Option<UnknownAttribute> {
        let kept = attribute.flags & TRANSITIVE != 0;
        kept.then(|| {
            let mut unknown = UnknownAttribute::from_raw(attribute);
            // The four low bits have no meaning and are sent as 0 (RFC 4271 section 4.3).
            unknown.flags = Category::OptionalTransitive.flags() | PARTIAL;
            unknown
        })
    }
}
