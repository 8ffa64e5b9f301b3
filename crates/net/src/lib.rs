//! The nouns every room shares: prefixes, address families, AS numbers, identifiers, next hops, servers, VRPs, time.
//!
//! Nothing here does I/O, reads a clock or knows a protocol message. Text forms follow the field's habits
//! (RFC 5396 asplain, RFC 5952 IPv6).

mod asn;
mod aspa;
mod family;
mod host_port;
mod nexthop;
mod pattern;
mod peer;
mod prefix;
mod time;
mod vlan;
mod vrp;

pub use asn::{Asn, ParseAsnError};
pub use aspa::Aspa;
pub use family::{Family, FamilyMap, FamilySet};
pub use host_port::{HostPort, ParseHostPortError};
pub use nexthop::{GroupTarget, Hop, NextHop, NextHopAnswer, NextHopGroup, Resolution};
pub use pattern::NamePattern;
pub use peer::{BgpIdentifier, PeerId, Role, RouteSource};
pub use prefix::{ParsePrefixError, Prefix, mask};
pub use time::Timestamp;
pub use vlan::{PortVlans, VlanRange};
pub use vrp::Vrp;

/// A kernel interface index (`ifindex`); never zero for a real interface.
pub type IfIndex = u32;

#[cfg(test)]
mod tests;
