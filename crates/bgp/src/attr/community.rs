//! Communities as text: standard (RFC 1997, names of the registry), large (RFC 8092), extended (RFC 4360, 5668: route
//! target and route origin by name, all others in hexadecimal).

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use super::{Community, ExtendedCommunity, LargeCommunity};

/// The text is no community of the wanted kind.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ParseCommunityError {
    /// No standard community.
    #[error("expected a community like 64500:100 or no-export, with both numbers at most 65535")]
    Standard,
    /// No large community.
    #[error("expected a large community like 64500:1:2, with three numbers of at most 4294967295")]
    Large,
    /// No extended community.
    #[error("expected an extended community like rt:64500:100, so:192.0.2.1:5 or 0x0002fbf400000064")]
    Extended,
}

/// The names of the registry (IANA, BGP Well-known Communities).
const WELL_KNOWN: [(&str, u32); 13] = [
    ("graceful-shutdown", 0xffff_0000),
    ("accept-own", 0xffff_0001),
    ("route-filter-translated-v4", 0xffff_0002),
    ("route-filter-v4", 0xffff_0003),
    ("route-filter-translated-v6", 0xffff_0004),
    ("route-filter-v6", 0xffff_0005),
    ("llgr-stale", 0xffff_0006),
    ("no-llgr", 0xffff_0007),
    ("blackhole", 0xffff_029a),
    ("no-export", 0xffff_ff01),
    ("no-advertise", 0xffff_ff02),
    ("no-export-subconfed", 0xffff_ff03),
    ("no-peer", 0xffff_ff04),
];

/// A number of decimal digits alone, at most `max`.
fn number(text: &str, max: u32) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|n| digits && *n <= max)
}

impl Community {
    /// NO_EXPORT: not beyond this AS.
    pub const NO_EXPORT: Community = Community(0xffff_ff01);
    /// NO_ADVERTISE: to nobody.
    pub const NO_ADVERTISE: Community = Community(0xffff_ff02);
    /// NO_EXPORT_SUBCONFED: to no external peer, those of a confederation included.
    pub const NO_EXPORT_SUBCONFED: Community = Community(0xffff_ff03);
    /// GRACEFUL_SHUTDOWN (RFC 8326): prefer any other path.
    pub const GRACEFUL_SHUTDOWN: Community = Community(0xffff_0000);
    /// BLACKHOLE (RFC 7999): discard what is sent there.
    pub const BLACKHOLE: Community = Community(0xffff_029a);

    /// The name of a well-known community.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        WELL_KNOWN.iter().find(|(_, value)| *value == self.0).map(|(name, _)| *name)
    }

    /// All well-known communities and their names.
    pub fn well_known() -> impl Iterator<Item = (&'static str, Community)> {
        WELL_KNOWN.iter().map(|(name, value)| (*name, Community(*value)))
    }
}

impl fmt::Display for Community {
    /// `64500:100`; a well-known one by its name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.pad(name),
            None => write!(f, "{}:{}", self.0 >> 16, self.0 & 0xffff),
        }
    }
}

impl FromStr for Community {
    type Err = ParseCommunityError;

    /// Reads `64500:100` and the names of well-known communities.
    fn from_str(text: &str) -> Result<Self, ParseCommunityError> {
        if let Some((_, value)) = WELL_KNOWN.iter().find(|(name, _)| *name == text) {
            return Ok(Community(*value));
        }
        let parts = text.split_once(':').and_then(|(a, b)| Some((number(a, 0xffff)?, number(b, 0xffff)?)));
        parts.map(|(high, low)| Community(high << 16 | low)).ok_or(ParseCommunityError::Standard)
    }
}

impl FromStr for LargeCommunity {
    type Err = ParseCommunityError;

    fn from_str(text: &str) -> Result<Self, ParseCommunityError> {
        let mut parts = text.split(':').map(|part| number(part, u32::MAX));
        match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(Some(a)), Some(Some(b)), Some(Some(c)), None) => Ok(LargeCommunity(a, b, c)),
            _ => Err(ParseCommunityError::Large),
        }
    }
}

/// The types with an administrator and a number (RFC 4360 sections 3.1 and 3.2, RFC 5668), and the subtypes with a name.
const TWO_OCTET_AS: u8 = 0x00;
const IPV4_ADDRESS: u8 = 0x01;
const FOUR_OCTET_AS: u8 = 0x02;
const ROUTE_TARGET: u8 = 0x02;
const ROUTE_ORIGIN: u8 = 0x03;
/// Link bandwidth, of the two-octet AS type: transitive or not (draft-ietf-idr-link-bandwidth section 2).
const LINK_BANDWIDTH: [u16; 2] = [0x0004, 0x4004];

impl ExtendedCommunity {
    /// Whether it may leave an AS (RFC 4360 section 2: the T bit is 0).
    #[must_use]
    pub const fn is_transitive(self) -> bool {
        self.0 >> 62 & 1 == 0
    }

    /// The octets a second of a link bandwidth community; `None`: it is another, or its number is no bandwidth.
    #[must_use]
    pub fn link_bandwidth(self) -> Option<u64> {
        let [kind, subtype, _, _, octets @ ..] = self.0.to_be_bytes();
        let bandwidth = f32::from_be_bytes(octets);
        let is_one = LINK_BANDWIDTH.contains(&u16::from_be_bytes([kind, subtype]));
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "at least 1, and cut to the largest"
        )]
        let whole = (bandwidth >= 1.0).then_some(bandwidth as u64);
        whole.filter(|_| is_one)
    }

    /// From type, subtype and the six octets of the value.
    const fn of(kind: u8, subtype: u8, value: u64) -> ExtendedCommunity {
        ExtendedCommunity((kind as u64) << 56 | (subtype as u64) << 48 | value & 0xffff_ffff_ffff)
    }

    fn named(subtype: u8, administrator: &str, assigned: &str) -> Option<ExtendedCommunity> {
        if let Ok(address) = administrator.parse::<Ipv4Addr>() {
            let value = u64::from(address.to_bits()) << 16 | u64::from(number(assigned, 0xffff)?);
            return Some(Self::of(IPV4_ADDRESS, subtype, value));
        }
        let (administrator, four) = match administrator.strip_suffix('L') {
            Some(digits) => (number(digits, u32::MAX)?, true),
            None => (number(administrator, u32::MAX)?, false),
        };
        if four || administrator > 0xffff {
            let value = u64::from(administrator) << 16 | u64::from(number(assigned, 0xffff)?);
            return Some(Self::of(FOUR_OCTET_AS, subtype, value));
        }
        let value = u64::from(administrator) << 32 | u64::from(number(assigned, u32::MAX)?);
        Some(Self::of(TWO_OCTET_AS, subtype, value))
    }
}

impl fmt::Display for ExtendedCommunity {
    /// `rt:64500:100`, `so:192.0.2.1:5`; `rt:64500L:100` where four octets hold a number that fits two; all else as
    /// `0x` and 16 digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [kind, subtype, a, b, c, d, e, g] = self.0.to_be_bytes();
        let name = match subtype {
            ROUTE_TARGET => "rt",
            ROUTE_ORIGIN => "so",
            _ => return write!(f, "0x{:016x}", self.0),
        };
        let short = u16::from_be_bytes([e, g]);
        let long = u32::from_be_bytes([a, b, c, d]);
        match kind {
            TWO_OCTET_AS => {
                let assigned = u32::from_be_bytes([c, d, e, g]);
                write!(f, "{name}:{}:{assigned}", u16::from_be_bytes([a, b]))
            }
            IPV4_ADDRESS => write!(f, "{name}:{}:{short}", Ipv4Addr::from_bits(long)),
            FOUR_OCTET_AS if long <= 0xffff => write!(f, "{name}:{long}L:{short}"),
            FOUR_OCTET_AS => write!(f, "{name}:{long}:{short}"),
            _ => write!(f, "0x{:016x}", self.0),
        }
    }
}

impl FromStr for ExtendedCommunity {
    type Err = ParseCommunityError;

    /// Reads what [`fmt::Display`] writes.
    fn from_str(text: &str) -> Result<Self, ParseCommunityError> {
        let read = || {
            if let Some(digits) = text.strip_prefix("0x") {
                let hex = digits.len() == 16 && digits.bytes().all(|b| b.is_ascii_hexdigit());
                return hex.then(|| u64::from_str_radix(digits, 16).ok().map(ExtendedCommunity))?;
            }
            let mut parts = text.split(':');
            let (kind, administrator, assigned) = (parts.next()?, parts.next()?, parts.next()?);
            let subtype = match kind {
                "rt" => ROUTE_TARGET,
                "so" | "soo" => ROUTE_ORIGIN,
                _ => return None,
            };
            parts.next().is_none().then(|| ExtendedCommunity::named(subtype, administrator, assigned))?
        };
        read().ok_or(ParseCommunityError::Extended)
    }
}
