//! Prefix limits of a peer, as part of `GET /v1/peers` and of events.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A prefix limit of one family, with where it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MaxPrefix {
    /// The most accepted prefixes (`max_prefix_out`: the most announced ones); `null`: only `received_limit` is set.
    pub limit: Option<u64>,
    /// The most prefixes before import, rejected ones included; `null`: not limited.
    pub received_limit: Option<u64>,
    /// Where the numbers come from.
    pub source: LimitSource,
    /// Percent of a limit at which a warning is logged.
    pub warn_at: u8,
    /// What happens beyond: `warn`, `block`, `restart`, `shutdown`.
    pub action: String,
    /// Percent of the limit that is used; where there are two, of the one that is nearer. 0 while the session is down.
    pub reached_percent: u64,
    /// Where it stands.
    pub state: LimitState,
    /// With `restart`: seconds until the session is tried again.
    pub restarts_in_s: Option<u64>,
}

/// Where a limit comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LimitSource {
    /// The configuration.
    #[default]
    Config,
    /// `info_prefixes4` and `info_prefixes6` of PeeringDB.
    PeeringDb,
}

/// Where a prefix limit stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LimitState {
    /// Below the warning.
    #[default]
    Ok,
    /// Beyond the warning.
    Warning,
    /// Reached: the session stays, and no more prefixes are taken (or sent).
    Blocked,
    /// Exceeded: with `warn` only said, with `restart` and `shutdown` the session is down.
    Over,
}

impl LimitState {
    /// The word in the JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            LimitState::Ok => "ok",
            LimitState::Warning => "warning",
            LimitState::Blocked => "blocked",
            LimitState::Over => "over",
        }
    }
}
