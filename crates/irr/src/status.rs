//! How things stand, for `siskin irr`, the API and metrics.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use siskin_net::{Asn, Family, FamilyMap, Prefix};

use crate::Part;

/// Every list, every peer, and PeeringDB.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// One row a set, registries and part (family or members), by name.
    pub sets: Vec<SetStatus>,
    /// Peers that asked for sets, by name.
    pub peers: BTreeMap<String, PeerStatus>,
    /// PeeringDB.
    pub peeringdb: PeeringDbStatus,
}

/// One list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetStatus {
    /// The set as it is written: `AS-X`, `RIPE::AS-X`.
    pub name: String,
    /// The registries asked, in their order; empty: the server's own choice.
    pub sources: Vec<String>,
    /// Which of its lists.
    pub part: Part,
    /// How many entries the list in force has; `None`: there is no list.
    pub entries: Option<usize>,
    /// With [`State::Alarm`]: how many entries the registry offers, which [`crate::Client::accept`] would put in force.
    pub offered: Option<usize>,
    /// The peers that use it.
    pub peers: Vec<String>,
    /// How old the list in force is.
    pub age: Option<Duration>,
    /// When the server was last asked.
    pub last_attempt: Option<SystemTime>,
    /// What the list is worth.
    pub state: State,
}

/// What a list is worth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// It is as the registry said, not longer ago than a refresh.
    Fresh,
    /// An older one is in force, because asking again failed.
    Kept {
        /// Why: `rr.example.net:43: connection refused`.
        reason: String,
    },
    /// An older one is in force until [`crate::Client::accept`], because the new one cannot be believed.
    Alarm {
        /// Why: `shrank from 11,204 to 3,000`.
        reason: String,
    },
    /// There is none: its peers import nothing of it.
    Missing {
        /// Why there is none yet.
        reason: String,
    },
}

impl State {
    /// `fresh`, `kept`, `alarm` or `missing`, for JSON and metrics.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            State::Fresh => "fresh",
            State::Kept { .. } => "kept",
            State::Alarm { .. } => "alarm",
            State::Missing { .. } => "missing",
        }
    }

    /// The reason, where there is one.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        match self {
            State::Fresh => None,
            State::Kept { reason } | State::Alarm { reason } | State::Missing { reason } => Some(reason),
        }
    }
}

/// A peer that asked for sets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerStatus {
    /// Its AS number.
    pub asn: Asn,
    /// The sets it wants now, as they are written.
    pub wanted: Vec<String>,
    /// The sets in force. They differ from `wanted` only while a newly named set has no list yet.
    pub in_force: Vec<String>,
    /// What people should know: `PeeringDB names no as-set: the AS number itself is used`.
    pub notes: Vec<String>,
    /// Entries over all sets, of the families asked for; `None`: no list, the peer imports nothing of the family.
    pub entries: FamilyMap<Option<usize>>,
    /// The families it asked for in which it imports nothing, because there is no list.
    pub imports_nothing: Vec<Family>,
}

/// PeeringDB.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PeeringDbStatus {
    /// How many records there are.
    pub records: usize,
    /// AS numbers that were asked for and have no record there.
    pub without_record: Vec<Asn>,
    /// The age of the oldest record that is in use.
    pub oldest: Option<Duration>,
    /// When it was last asked.
    pub last_attempt: Option<SystemTime>,
    /// Why the last query failed; `None`: it did not.
    pub last_error: Option<String>,
    /// Queries in the last minute; PeeringDB allows 20, with a key 40.
    pub queries_last_minute: usize,
}

/// One set, for `siskin irr show AS-SET`.
#[derive(Clone, Debug)]
pub struct SetView {
    /// The set as it is written: `AS-X`, `RIPE::AS-X`.
    pub name: String,
    /// The registries asked.
    pub sources: Vec<String>,
    /// The prefixes in force.
    pub prefixes: FamilyMap<Option<Arc<[Prefix]>>>,
    /// The AS numbers in force; `None`: not asked for or no list.
    pub members: Option<Arc<[Asn]>>,
    /// The age of the oldest part.
    pub age: Option<Duration>,
    /// The state of each part that is wanted.
    pub states: BTreeMap<Part, State>,
    /// The peers that use it.
    pub peers: Vec<String>,
}

/// What [`crate::Client::accept`] put in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// The lists that changed.
    pub lists: Vec<AcceptedList>,
    /// Other peers that use these lists too, and changed with them.
    pub also: Vec<String>,
}

/// One list that [`crate::Client::accept`] put in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcceptedList {
    /// The set as it is written.
    pub name: String,
    /// Which of its lists.
    pub part: Part,
    /// Entries before.
    pub from: usize,
    /// Entries now.
    pub to: usize,
}

/// Why [`crate::Client::accept`] did nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AcceptError {
    /// No such peer asked for sets.
    #[error("no peer {0} has an IRR filter")]
    UnknownPeer(String),
    /// None of its lists is in alarm.
    #[error("no list of {0} waits to be accepted")]
    Nothing(String),
}
