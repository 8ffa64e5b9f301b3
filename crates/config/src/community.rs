//! Communities as values (no wildcards): standard `64500:100`, large `64500:1:2`, extended `rt:64500:1`, and the
//! well-known names of the IANA registry (RFC 1997, 7999, 8326, 9494).

use siskin_bgp::attr::{Community, ExtendedCommunity, LargeCommunity};

use crate::model::Communities;

const WELL_KNOWN: [(&str, u32); 9] = [
    ("graceful-shutdown", 0xffff_0000),
    ("accept-own", 0xffff_0001),
    ("llgr-stale", 0xffff_0006),
    ("no-llgr", 0xffff_0007),
    ("blackhole", 0xffff_029a),
    ("no-export", 0xffff_ff01),
    ("no-advertise", 0xffff_ff02),
    ("no-export-subconfed", 0xffff_ff03),
    ("no-peer", 0xffff_ff04),
];

/// The names, for suggestions.
pub(crate) fn well_known_names() -> impl Iterator<Item = &'static str> {
    WELL_KNOWN.iter().map(|(name, _)| *name)
}

/// Adds what `text` says to `to`; `None` if it is no community.
pub(crate) fn add(text: &str, to: &mut Communities) -> Option<()> {
    if let Some((_, value)) = WELL_KNOWN.iter().find(|(name, _)| name.eq_ignore_ascii_case(text)) {
        insert(&mut to.standard, Community(*value));
        return Some(());
    }
    if let Some(rest) = text.strip_prefix("rt:").or_else(|| text.strip_prefix("ro:")) {
        insert(&mut to.extended, extended(text.starts_with("ro:"), rest)?);
        return Some(());
    }
    let parts: Vec<&str> = text.split(':').collect();
    match parts[..] {
        [high, low] => {
            let (high, low) = (number(high, 0xffff)?, number(low, 0xffff)?);
            insert(&mut to.standard, Community(high << 16 | low));
        }
        [a, b, c] => {
            let part = |text| number(text, u32::MAX);
            insert(&mut to.large, LargeCommunity(part(a)?, part(b)?, part(c)?));
        }
        _ => return None,
    }
    Some(())
}

fn insert<T: Ord>(list: &mut Vec<T>, value: T) {
    if let Err(at) = list.binary_search(&value) {
        list.insert(at, value);
    }
}

fn number(text: &str, max: u32) -> Option<u32> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    text.parse().ok().filter(|n| *n <= max)
}

/// Route target or origin (RFC 4360 section 4 and 5): two-octet AS, IPv4 address, or four-octet AS (RFC 5668).
fn extended(origin: bool, rest: &str) -> Option<ExtendedCommunity> {
    let subtype: u64 = if origin { 0x03 } else { 0x02 };
    let (left, right) = rest.split_once(':')?;
    let (kind, left, right) = if let Ok(address) = left.parse::<std::net::Ipv4Addr>() {
        (0x01u64, u64::from(address.to_bits()) << 16, u64::from(number(right, 0xffff)?))
    } else {
        match number(left, u32::MAX)? {
            asn @ 0..=0xffff => (0x00, u64::from(asn) << 32, u64::from(number(right, u32::MAX)?)),
            asn => (0x02, u64::from(asn) << 16, u64::from(number(right, 0xffff)?)),
        }
    };
    Some(ExtendedCommunity(kind << 56 | subtype << 48 | left | right))
}

/// The text of an extended community: `rt:…`, `ro:…`, or its octets in hexadecimal.
pub(crate) fn extended_text(community: ExtendedCommunity) -> String {
    let [kind, subtype, a, b, c, d, e, f] = community.0.to_be_bytes();
    let name = match subtype {
        0x02 => "rt",
        0x03 => "ro",
        _ => return format!("{:016x}", community.0),
    };
    match kind {
        0x00 => format!("{name}:{}:{}", u16::from_be_bytes([a, b]), u32::from_be_bytes([c, d, e, f])),
        0x01 => format!("{name}:{a}.{b}.{c}.{d}:{}", u16::from_be_bytes([e, f])),
        0x02 => format!("{name}:{}:{}", u32::from_be_bytes([a, b, c, d]), u16::from_be_bytes([e, f])),
        _ => format!("{:016x}", community.0),
    }
}
