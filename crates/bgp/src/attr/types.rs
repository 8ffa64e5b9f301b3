//! The typed form of a path's attributes, as policies see and change them.
//!
//! What tables store is the compact encoding of this (see `compact`): one run of bytes a distinct set.

use std::net::IpAddr;

use siskin_net::{Asn, BgpIdentifier, NextHop};
use smallvec::SmallVec;

use super::AsPath;

/// ORIGIN (RFC 4271 section 5.1.1), in order of preference.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum Origin {
    /// Interior to the originating AS.
    Igp = 0,
    /// Learned by EGP (RFC 904).
    Egp = 1,
    /// Learned by some other means.
    Incomplete = 2,
}

/// A standard community (RFC 1997).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Community(pub u32);

/// A large community (RFC 8092).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LargeCommunity(pub u32, pub u32, pub u32);

/// An extended community (RFC 4360), its eight octets as a big-endian number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExtendedCommunity(pub u64);

/// AGGREGATOR (RFC 4271 section 5.1.7).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Aggregator {
    /// The AS that aggregated.
    pub asn: Asn,
    /// The speaker that aggregated.
    pub identifier: BgpIdentifier,
}

/// An optional transitive attribute we do not know: passed on with the Partial bit set (RFC 4271 section 9).
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct UnknownAttribute {
    /// The flags octet as it will be sent (the Extended Length bit is recomputed).
    pub flags: u8,
    /// The type code.
    pub code: u8,
    /// The value.
    pub value: Vec<u8>,
}

/// All attributes of a path. Two paths with equal values would be sent the same way; NLRI are not part of it.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct PathAttributes {
    /// ORIGIN.
    pub origin: Origin,
    /// AS_PATH, with AS4_PATH merged in (RFC 6793).
    pub as_path: AsPath,
    /// NEXT_HOP, or the next hop of MP_REACH_NLRI.
    pub next_hop: NextHop,
    /// MULTI_EXIT_DISC.
    pub med: Option<u32>,
    /// LOCAL_PREF; `None` from an external peer until policy sets it (100 counts then).
    pub local_pref: Option<u32>,
    /// ATOMIC_AGGREGATE.
    pub atomic_aggregate: bool,
    /// AGGREGATOR, with AS4_AGGREGATOR merged in.
    pub aggregator: Option<Aggregator>,
    /// COMMUNITIES, sorted and distinct.
    pub communities: SmallVec<[Community; 8]>,
    /// EXTENDED COMMUNITIES, sorted and distinct.
    pub ext_communities: SmallVec<[ExtendedCommunity; 2]>,
    /// LARGE_COMMUNITY, sorted and distinct.
    pub large_communities: SmallVec<[LargeCommunity; 4]>,
    /// ORIGINATOR_ID (RFC 4456).
    pub originator_id: Option<BgpIdentifier>,
    /// CLUSTER_LIST (RFC 4456), nearest first.
    pub cluster_list: SmallVec<[u32; 2]>,
    /// OTC (RFC 9234).
    pub otc: Option<Asn>,
    /// Unknown optional transitive attributes, by type code.
    pub unknown: Vec<UnknownAttribute>,
    /// Local weight, higher wins before LOCAL_PREF; never sent.
    pub weight: u32,
    /// The kernel's table the route is for; 0: that of the configuration. Never sent.
    pub table: u32,
    /// Our AS number is put before the path this many times more when it is told to another AS; never sent.
    pub border_prepend: u8,
}

impl PathAttributes {
    /// The attributes of a route originated here: IGP, an empty path, and a next hop.
    #[must_use]
    pub fn originated(next_hop: IpAddr) -> PathAttributes {
        PathAttributes {
            origin: Origin::Igp,
            as_path: AsPath::default(),
            next_hop: NextHop::new(next_hop),
            med: None,
            local_pref: None,
            atomic_aggregate: false,
            aggregator: None,
            communities: SmallVec::new(),
            ext_communities: SmallVec::new(),
            large_communities: SmallVec::new(),
            originator_id: None,
            cluster_list: SmallVec::new(),
            otc: None,
            unknown: Vec::new(),
            weight: 0,
            table: 0,
            border_prepend: 0,
        }
    }
}

impl std::fmt::Debug for Community {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

impl std::fmt::Display for LargeCommunity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}:{}", self.0, self.1, self.2)
    }
}

impl std::fmt::Debug for LargeCommunity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

impl std::fmt::Debug for ExtendedCommunity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}
