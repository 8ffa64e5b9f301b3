//! Autonomous System numbers (RFC 6793: four octets; RFC 5396: asplain text).

use std::fmt;
use std::str::FromStr;

/// A four-octet Autonomous System number.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, serde::Serialize, serde::Deserialize,
)]
#[serde(transparent)]
pub struct Asn(pub u32);

impl Asn {
    /// AS_TRANS (RFC 6793): stands in where a four-octet number does not fit two octets.
    pub const TRANS: Asn = Asn(23456);

    /// The two-octet form sent to an old speaker: itself, or AS_TRANS.
    #[must_use]
    pub fn to_two_octets(self) -> u16 {
        u16::try_from(self.0).unwrap_or(23456)
    }

    /// Whether the number is for private use (RFC 6996).
    #[must_use]
    pub fn is_private(self) -> bool {
        matches!(self.0, 64512..=65534 | 4_200_000_000..=4_294_967_294)
    }
}

impl fmt::Display for Asn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Asn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AS{}", self.0)
    }
}

/// The text is no AS number.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected an AS number from 0 to 4294967295, like 64500")]
pub struct ParseAsnError;

impl FromStr for Asn {
    type Err = ParseAsnError;

    /// Reads asplain (`64500`, `AS64500`) and asdot (`1.10`).
    fn from_str(text: &str) -> Result<Self, ParseAsnError> {
        let digits = text.strip_prefix("AS").or_else(|| text.strip_prefix("as")).unwrap_or(text);
        let number = |part: &str| -> Result<u32, ParseAsnError> {
            if part.is_empty() || !part.bytes().all(|b| b.is_ascii_digit()) {
                return Err(ParseAsnError);
            }
            part.parse().map_err(|_| ParseAsnError)
        };
        match digits.split_once('.') {
            None => number(digits).map(Asn),
            Some((high, low)) => match (number(high)?, number(low)?) {
                (high @ 0..=0xffff, low @ 0..=0xffff) => Ok(Asn(high << 16 | low)),
                _ => Err(ParseAsnError),
            },
        }
    }
}
