//! Ethernet MAC addresses (IEEE 802, EUI-48).

use std::fmt;
use std::str::FromStr;

/// A 48-bit MAC address, written `52:02:45:76:d2:35`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Mac(pub [u8; 6]);

impl Mac {
    /// ff:ff:ff:ff:ff:ff.
    pub const BROADCAST: Mac = Mac([0xff; 6]);
    /// All zero: what ARP writes where it asks for an address.
    pub const ZERO: Mac = Mac([0; 6]);

    /// Whether it can name one station: neither a group address nor zero.
    #[must_use]
    pub const fn is_station(self) -> bool {
        let Mac([first, ..]) = self;
        first & 1 == 0 && !matches!(self, Mac::ZERO)
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Mac([a, b, c, d, e, g]) = self;
        f.pad(&format!("{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}"))
    }
}

impl fmt::Debug for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is no MAC address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a MAC address like 52:02:45:76:d2:35")]
pub struct ParseMacError;

impl FromStr for Mac {
    type Err = ParseMacError;

    /// Six groups of two hexadecimal digits, between colons or hyphens.
    fn from_str(text: &str) -> Result<Mac, ParseMacError> {
        let mut octets = [0; 6];
        let mut groups = text.split([':', '-']);
        for octet in &mut octets {
            let group = groups.next().filter(|g| g.len() == 2 && g.bytes().all(|b| b.is_ascii_hexdigit()));
            *octet = u8::from_str_radix(group.ok_or(ParseMacError)?, 16).map_err(|_| ParseMacError)?;
        }
        if groups.next().is_some() { Err(ParseMacError) } else { Ok(Mac(octets)) }
    }
}
