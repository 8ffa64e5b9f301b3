//! `GET /v1/rpki`, `GET /v1/rpki/check`: validated data of relying-party caches (RFC 8210, RFC 6811, RFC 9319 ASPA), and
//! what it says about one origin. Which paths it concerns is said by `GET /v1/explain`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use siskin_net::{Asn, Prefix};

use crate::{Gate, PerFamily, schema};

/// Relying-party caches and their data.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct RpkiStatus {
    /// Whether validated data is in use; `false`: `rpki valid`, `invalid` and `not-found` are all false in policies.
    pub configured: bool,
    /// The gate that import of peers with `rpki` waits for; `null`: not configured.
    pub gate: Option<Gate>,
    /// VRPs in use: the union of all caches, changed by SLURM.
    pub vrps: PerFamily<u64>,
    /// ASPA records in use, one a customer AS.
    pub aspas: u64,
    /// Where the data in use comes from.
    pub origin: DataOrigin,
    /// Seconds since the data in use was last confirmed by a cache; `null`: there is none.
    pub age_s: Option<u64>,
    /// Each cache of the configuration.
    pub servers: Vec<RpkiServer>,
    /// The file of local exceptions (RFC 8416), where one is configured.
    pub slurm: Option<SlurmStatus>,
    /// What the last change of the data did; `null`: none since the start.
    pub last_change: Option<RpkiChange>,
}

/// Where data of an outside source comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DataOrigin {
    /// From the source itself, since the daemon started.
    Live,
    /// The last good data on disk: the source has not answered since the daemon started.
    Persisted,
    /// There is none.
    #[default]
    None,
}

/// One cache (RFC 8210).
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct RpkiServer {
    /// `host:port` of the configuration.
    pub server: String,
    /// Whether the session is up.
    pub connected: bool,
    /// Version of the RTR protocol that both speak: 0 (RFC 6810), 1 (RFC 8210) or 2.
    pub version: Option<u8>,
    /// Session ID of the data.
    pub session_id: Option<u16>,
    /// Serial number of the data.
    pub serial: Option<u32>,
    /// VRPs of this cache.
    pub vrps: PerFamily<u64>,
    /// ASPA records of this cache.
    pub aspas: u64,
    /// Seconds since its data last changed or was confirmed; `null`: it has given none.
    pub age_s: Option<u64>,
    /// Why it is not connected, or why it last failed.
    pub last_error: Option<String>,
    /// Seconds until the next attempt to connect.
    pub retry_in_s: Option<u64>,
}

/// The file of local exceptions (SLURM, RFC 8416).
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct SlurmStatus {
    /// The file.
    pub path: String,
    /// Filters in force: VRPs of the caches that are left out.
    pub filters: u64,
    /// Assertions in force: VRPs that are added.
    pub assertions: u64,
    /// Why the file as it is now is not in force: what was read before it stays.
    pub error: Option<String>,
}

/// What a change of the validated data did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct RpkiChange {
    /// Seconds since then.
    pub age_s: u64,
    /// VRPs and ASPA records that came.
    pub announced: u64,
    /// VRPs and ASPA records that went.
    pub withdrawn: u64,
    /// Paths that were judged again: those the change can touch.
    pub paths_judged: u64,
    /// Of these, paths whose verdict or attributes changed.
    pub changed: u64,
    /// Microseconds this took.
    pub took_us: u64,
}

/// The query of `GET /v1/rpki/check`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RpkiCheckQuery {
    /// The prefix.
    #[schemars(with = "schema::Prefix")]
    pub prefix: Prefix,
    /// The AS number of its origin.
    #[schemars(with = "schema::Asn")]
    pub asn: Asn,
}

/// What validated data says about an origin (RFC 6811).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RpkiState {
    /// A VRP covers the prefix, and permits its length and origin.
    Valid,
    /// VRPs cover the prefix, and none permits its length and origin.
    Invalid,
    /// No VRP covers the prefix.
    NotFound,
    /// There is no data: nothing is configured, or nothing has come yet.
    Unknown,
}

impl RpkiState {
    /// The word of the rule language; `unknown` has none there.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            RpkiState::Valid => "valid",
            RpkiState::Invalid => "invalid",
            RpkiState::NotFound => "not-found",
            RpkiState::Unknown => "unknown",
        }
    }
}

/// The answer of `GET /v1/rpki/check`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RpkiCheck {
    /// The prefix asked about.
    #[schemars(with = "schema::Prefix")]
    pub prefix: Prefix,
    /// The origin asked about.
    #[schemars(with = "schema::Asn")]
    pub asn: Asn,
    /// The verdict.
    pub state: RpkiState,
    /// Every VRP that covers the prefix, the shortest first.
    pub covering: Vec<CoveringVrp>,
}

/// A VRP that covers the prefix asked about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CoveringVrp {
    /// Its prefix.
    #[schemars(with = "schema::Prefix")]
    pub prefix: Prefix,
    /// The longest length it permits.
    pub max_length: u8,
    /// The origin it permits.
    #[schemars(with = "schema::Asn")]
    pub asn: Asn,
    /// Whether it makes the route valid.
    pub matches: bool,
}
