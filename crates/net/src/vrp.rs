//! Validated ROA Payloads (RFC 6811 section 2).

use crate::{Asn, Prefix};

/// One VRP: `asn` may originate `prefix` down to `max_len`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Vrp {
    /// The covering prefix.
    pub prefix: Prefix,
    /// The longest length allowed, at least the prefix's own.
    pub max_len: u8,
    /// The origin AS; AS 0 allows nobody (RFC 7607).
    pub asn: Asn,
}
