//! `[rpki]`, `[irr]` and `[peeringdb]`: where facts about routes come from.

use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

use super::{HostPort, serialize};

/// `[rpki]`: RTR caches (RFC 8210), all used, their union counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Default)]
#[serde(rename_all = "kebab-case")]
pub struct Rpki {
    /// The caches; the default port is 323.
    pub servers: Vec<HostPort>,
    /// A SLURM file (RFC 8416) of local exceptions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slurm: Option<PathBuf>,
}

/// `[irr]`: the registry that resolves as-sets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Irr {
    /// The IRRd whois server; the default port is 43.
    pub server: HostPort,
    /// The databases asked, in order of trust.
    pub sources: Vec<String>,
    /// Time between refreshes, at least five minutes.
    #[serde(serialize_with = "serialize::duration")]
    pub refresh: Duration,
}

/// `[peeringdb]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct PeeringDb {
    /// The API's base, without a slash at its end.
    pub url: String,
    /// A file with the API key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_key_file: Option<PathBuf>,
}
