//! What the client says: lists of peers, PeeringDB records, networks that are never behind route servers.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use siskin_net::{Asn, Family, FamilyMap, Prefix};

use crate::NetRecord;

/// Something is known, or known anew.
#[derive(Clone, Debug)]
pub enum Update {
    /// The lists of a peer that asked for sets. Comes once soon after the request, with what the disk has (which may be
    /// nothing), then whenever they change.
    Lists {
        /// The peer's name in the request.
        peer: String,
        /// Its lists.
        lists: Arc<PeerLists>,
    },
    /// The PeeringDB record of a peer that asked for it, from disk or fresh.
    Record {
        /// The peer's name in the request.
        peer: String,
        /// The record of its AS number.
        record: NetRecord,
    },
    /// The AS numbers that say they are never to be seen behind a route server, sorted.
    NeverViaRouteServers(Arc<[Asn]>),
}

/// What a peer may announce, as its sets say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerLists {
    /// The sets in force, for people: `AS-EXAMPLE`, `RIPE::AS-A, AS-B`.
    pub label: String,
    /// The registered prefixes, sorted, without doubles. `None`: there is no list yet (or the family was not asked for),
    /// so nothing may come in; this is never to be read as 'no filter'.
    pub prefixes: FamilyMap<Option<Arc<[Prefix]>>>,
    /// The AS numbers in the sets, sorted; `None`: not asked for, or no list yet.
    pub members: Option<Arc<[Asn]>>,
    /// When the oldest part was fetched; the epoch if there is none.
    pub fetched: SystemTime,
}

/// What is asked of a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// The prefixes of a family.
    Prefixes(Family),
    /// The AS numbers.
    Members,
}

impl Part {
    /// All, in the order they are asked for and shown.
    pub const ALL: [Part; 3] = [Part::Prefixes(Family::Ipv4), Part::Prefixes(Family::Ipv6), Part::Members];
}

/// `ipv4`, `ipv6` or `members`.
impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Part::Prefixes(family) => family.fmt(f),
            Part::Members => f.write_str("members"),
        }
    }
}
