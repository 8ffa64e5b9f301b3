//! Small nouns of the file: a MAC address.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

/// A unicast EUI-48 address, six octets in the order of transmission.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MacAddress(pub [u8; 6]);

impl FromStr for MacAddress {
    type Err = &'static str;

    /// Reads `52:02:45:76:d2:35`, with colons or hyphens; group addresses and zero are refused.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const EXPECTED: &str = "expected a MAC address like 52:02:45:76:d2:35";
        let separator = if text.contains('-') { '-' } else { ':' };
        let mut octets = [0u8; 6];
        let mut parts = text.split(separator);
        for octet in &mut octets {
            let part = parts.next().ok_or(EXPECTED)?;
            if part.len() != 2 || !part.bytes().all(|b| b.is_ascii_hexdigit()) {
                return Err(EXPECTED);
            }
            *octet = u8::from_str_radix(part, 16).map_err(|_| EXPECTED)?;
        }
        match octets {
            _ if parts.next().is_some() => Err(EXPECTED),
            [0, 0, 0, 0, 0, 0] => Err("the MAC address is zero"),
            [first, ..] if first & 1 == 1 => {
                Err("this is a group address; a VM's own MAC address is even in its first octet")
            }
            _ => Ok(MacAddress(octets)),
        }
    }
}

impl fmt::Display for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl fmt::Debug for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for MacAddress {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
