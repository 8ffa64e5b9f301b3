//! Address prefixes of both families in one type: the bits stand left-aligned in 128, so that length,
//! containment and order are the same code for IPv4 and IPv6.

use std::cmp::Ordering;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use crate::Family;

/// An IPv4 or IPv6 prefix. No bit beyond its length is ever set, and the length fits its family.
///
/// The order is by family, then address, then length: the order that keeps the kernel's trie warm.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Prefix {
    high: u64,
    low: u64,
    len: u8,
    family: Family,
}

/// A mask of `len` leading ones in 128 bits; `len` above 128 counts as 128.
#[must_use]
pub const fn mask(len: u8) -> u128 {
    if len == 0 {
        0
    } else if len >= 128 {
        u128::MAX
    } else {
        u128::MAX << (128 - len)
    }
}

impl Prefix {
    /// 0.0.0.0/0 or ::/0.
    #[must_use]
    pub const fn default_route(family: Family) -> Prefix {
        Prefix { high: 0, low: 0, len: 0, family }
    }

    /// From left-aligned bits; host bits are cleared, a length beyond the family's is cut to it.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "the two halves of 128 bits")]
    pub const fn from_bits(family: Family, bits: u128, len: u8) -> Prefix {
        let len = if len > family.max_len() { family.max_len() } else { len };
        let bits = bits & mask(len);
        Prefix { high: (bits >> 64) as u64, low: bits as u64, len, family }
    }

    /// The prefix of `len` that covers `address`: host bits are cleared, too long a length is cut.
    #[must_use]
    pub const fn new(address: IpAddr, len: u8) -> Prefix {
        match address {
            IpAddr::V4(a) => Self::v4(a, len),
            IpAddr::V6(a) => Self::v6(a, len),
        }
    }

    /// As [`Prefix::new`], for IPv4.
    #[must_use]
    pub const fn v4(address: Ipv4Addr, len: u8) -> Prefix {
        Self::from_bits(Family::Ipv4, (address.to_bits() as u128) << 96, len)
    }

    /// As [`Prefix::new`], for IPv6.
    #[must_use]
    pub const fn v6(address: Ipv6Addr, len: u8) -> Prefix {
        Self::from_bits(Family::Ipv6, address.to_bits(), len)
    }

    /// The /32 or /128 of an address.
    #[must_use]
    pub const fn host(address: IpAddr) -> Prefix {
        Self::new(address, 128)
    }

    /// The address bits, left-aligned.
    #[must_use]
    pub const fn bits(self) -> u128 {
        (self.high as u128) << 64 | self.low as u128
    }

    /// The prefix length in bits.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a prefix length, not a count of items")]
    pub const fn len(self) -> u8 {
        self.len
    }

    /// Its address family.
    #[must_use]
    pub const fn family(self) -> Family {
        self.family
    }

    /// The network address.
    #[must_use]
    pub const fn address(self) -> IpAddr {
        match self.family {
            Family::Ipv4 => IpAddr::V4(Ipv4Addr::from_bits((self.high >> 32) as u32)),
            Family::Ipv6 => IpAddr::V6(Ipv6Addr::from_bits(self.bits())),
        }
    }

    /// Whether it is a /32 or /128.
    #[must_use]
    pub const fn is_host(self) -> bool {
        self.len == self.family.max_len()
    }

    /// Whether `other` is this prefix or lies within it.
    #[must_use]
    pub fn covers(self, other: Prefix) -> bool {
        self.family == other.family
            && self.len <= other.len
            && (self.bits() ^ other.bits()) & mask(self.len) == 0
    }

    /// Whether `address` lies within it.
    #[must_use]
    pub fn contains(self, address: IpAddr) -> bool {
        self.covers(Prefix::host(address))
    }

    /// The prefix one bit shorter; `None` of a default route.
    #[must_use]
    pub fn parent(self) -> Option<Prefix> {
        self.len.checked_sub(1).map(|len| Prefix::from_bits(self.family, self.bits(), len))
    }
}

impl Ord for Prefix {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.family, self.high, self.low, self.len).cmp(&(other.family, other.high, other.low, other.len))
    }
}

impl PartialOrd for Prefix {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}/{}", self.address(), self.len))
    }
}

impl fmt::Debug for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<ipnet::IpNet> for Prefix {
    fn from(net: ipnet::IpNet) -> Self {
        Prefix::new(net.addr(), net.prefix_len())
    }
}

/// Why a text is no prefix.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParsePrefixError {
    /// There is no `/`, or what stands beside it is no address or number.
    #[error("expected a prefix like 192.0.2.0/24 or 2001:db8::/32")]
    Syntax,
    /// The length does not fit the family.
    #[error("the prefix length must be at most {0}")]
    Length(u8),
    /// Bits beyond the length are set; the prefix that was probably meant.
    #[error("bits beyond the prefix length are set; did you mean {0}?")]
    HostBits(Prefix),
}

impl FromStr for Prefix {
    type Err = ParsePrefixError;

    /// Strict: set host bits are an error, as is a missing length.
    fn from_str(text: &str) -> Result<Self, ParsePrefixError> {
        let (address, len) = text.split_once('/').ok_or(ParsePrefixError::Syntax)?;
        let address: IpAddr = address.parse().map_err(|_| ParsePrefixError::Syntax)?;
        if len.is_empty() || len.len() > 3 || !len.bytes().all(|b| b.is_ascii_digit()) {
            return Err(ParsePrefixError::Syntax);
        }
        let len: u16 = len.parse().map_err(|_| ParsePrefixError::Syntax)?;
        let host = Prefix::host(address);
        let max = host.family().max_len();
        let len = u8::try_from(len).ok().filter(|l| *l <= max).ok_or(ParsePrefixError::Length(max))?;
        let prefix = Prefix::new(address, len);
        if prefix.bits() == host.bits() { Ok(prefix) } else { Err(ParsePrefixError::HostBits(prefix)) }
    }
}

impl serde::Serialize for Prefix {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Prefix {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}
