//! `GET /v1/irr`, `GET /v1/irr/sets/{name}`, `POST /v1/irr/refresh`, `POST /v1/irr/accept/{peer}`: routing registries and
//! PeeringDB, what they last said and what of it is in force.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use siskin_net::{Asn, Family, Prefix};

use crate::{DEFAULT_LIMIT, MAX_LIMIT, PerFamily, schema};

/// Routing registries and PeeringDB.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct IrrStatus {
    /// Whether registry data is in use; `false`: `irr match` is false in policies.
    pub configured: bool,
    /// `host:port` that is asked.
    pub server: Option<String>,
    /// Sources in the order of the configuration; empty: those of the server.
    pub sources: Vec<String>,
    /// One entry for each as-set and family in use, by name.
    pub sets: Vec<IrrSet>,
    /// PeeringDB; `null`: no peer needs it.
    pub peeringdb: Option<PeeringDbStatus>,
    /// What PeeringDB says about each peer that needs it, by name.
    pub records: Vec<PeeringDbRecord>,
}

/// Whether a set is as the registry has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum IrrSetState {
    /// The registry's last answer is in force.
    Fresh,
    /// The registry did not answer: the list before is in force.
    Kept,
    /// The registry answered that the set is gone or has lost more than half: the list before is in force until
    /// `POST /v1/irr/accept/{peer}`.
    Alarm,
    /// There is no list at all: the peer's sessions are up and import nothing.
    Missing,
}

impl IrrSetState {
    /// The word in the JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            IrrSetState::Fresh => "fresh",
            IrrSetState::Kept => "kept",
            IrrSetState::Alarm => "alarm",
            IrrSetState::Missing => "missing",
        }
    }
}

/// The prefixes of an as-set in one family.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct IrrSet {
    /// Peers that use it, by name.
    pub peers: Vec<String>,
    /// The as-set as asked for: `AS-EXAMPLE`, `RIPE::AS-EXAMPLE`, `AS64496`.
    pub as_set: String,
    /// Sources asked, in their order; empty: those of the server.
    pub sources: Vec<String>,
    /// The family.
    #[schemars(with = "schema::Family")]
    pub family: Family,
    /// Prefixes in force.
    pub entries: u64,
    /// AS numbers that are members.
    pub members: u64,
    /// Seconds since the registry gave the list in force; `null`: there is none.
    pub age_s: Option<u64>,
    /// Seconds since the registry was last asked; `null`: not since the start.
    pub last_attempt_s: Option<u64>,
    /// Whether the list in force is what the registry has.
    pub state: IrrSetState,
    /// With `alarm`: how many prefixes the registry offers and would be in force if accepted.
    pub offered: Option<u64>,
    /// Why it is not `fresh`.
    pub reason: Option<String>,
}

/// PeeringDB as a source.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct PeeringDbStatus {
    /// `url` of the configuration.
    pub url: String,
    /// Networks that are known.
    pub records: u64,
    /// Seconds since it last answered; `null`: never.
    pub age_s: Option<u64>,
    /// Why it last failed, if its last answer was none.
    pub last_error: Option<String>,
    /// Queries in the last minute; 20 at most.
    pub queries_last_minute: u64,
}

/// What PeeringDB says about a peer's AS.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PeeringDbRecord {
    /// The peer.
    pub peer: String,
    /// Its AS number.
    #[schemars(with = "schema::Asn")]
    pub asn: Asn,
    /// The network's name; `null`: PeeringDB does not know the AS number.
    pub name: Option<String>,
    /// `info_prefixes4` and `info_prefixes6`; `null`: unset (0 counts as unset).
    pub info_prefixes: PerFamily<Option<u64>>,
    /// `irr_as_set`.
    pub irr_as_set: Option<String>,
    /// Seconds since PeeringDB said so; `null`: it has not.
    pub age_s: Option<u64>,
}

/// The query of `GET /v1/irr/sets/{name}`.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IrrSetQuery {
    /// Only this family.
    #[schemars(with = "Option<schema::Family>")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub family: Option<Family>,
    /// The most prefixes, and the most members: 1000 by default, 10000 at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

impl IrrSetQuery {
    /// The number to use: the default where none is given, cut to the maximum.
    #[must_use]
    pub fn page_limit(&self) -> usize {
        self.limit.unwrap_or(DEFAULT_LIMIT).min(MAX_LIMIT) as usize
    }
}

/// The answer of `GET /v1/irr/sets/{name}`.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct IrrSetView {
    /// The as-set as asked for.
    pub as_set: String,
    /// It in each family (and, where peers ask different sources, from each).
    pub sets: Vec<IrrSet>,
    /// AS numbers that are members, ascending, up to the limit.
    #[schemars(with = "Vec<schema::Asn>")]
    pub members: Vec<Asn>,
    /// Prefixes in force, IPv4 first, ascending, up to the limit in all.
    #[schemars(with = "Vec<schema::Prefix>")]
    pub prefixes: Vec<Prefix>,
    /// Whether the limit left something out.
    pub truncated: bool,
}

/// The body of `POST /v1/irr/refresh`.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct IrrRefreshRequest {
    /// Only the sets (and the PeeringDB record) of this peer; `null`: all.
    pub peer: Option<String>,
}
