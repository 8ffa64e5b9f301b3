//! `[rpki]`, `[irr]` and `[peeringdb]`: where facts about routes come from.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Serialize, Serializer};

use super::{HostPort, Secret, serialize};

/// `[rpki]`: RTR caches (RFC 8210), all used, their union counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Rpki {
    /// The caches, no two of the same host and port; empty: nothing is validated.
    pub servers: Vec<RtrServer>,
    /// A SLURM file (RFC 8416) of local exceptions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slurm: Option<PathBuf>,
    /// How long after the start peers whose import rests on RPKI wait for the first data at most; zero: they do
    /// not wait.
    #[serde(serialize_with = "serialize::duration")]
    pub startup_deadline: Duration,
    /// Time between Serial Queries in place of what the caches say (RFC 8210 section 6).
    #[serde(serialize_with = "serialize::duration_option", skip_serializing_if = "Option::is_none")]
    pub refresh: Option<Duration>,
    /// Time before a failed query is repeated, in place of what the caches say.
    #[serde(serialize_with = "serialize::duration_option", skip_serializing_if = "Option::is_none")]
    pub retry: Option<Duration>,
    /// How long data are used without a word of their cache, in place of what the caches say.
    #[serde(serialize_with = "serialize::duration_option", skip_serializing_if = "Option::is_none")]
    pub expire: Option<Duration>,
    /// Whether the last good data are kept in `router.state-dir` for the next start.
    pub state: bool,
}

impl Default for Rpki {
    fn default() -> Rpki {
        Rpki {
            servers: Vec::new(),
            slurm: None,
            startup_deadline: Duration::from_secs(60),
            refresh: None,
            retry: None,
            expire: None,
            state: true,
        }
    }
}

/// An RTR cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RtrServer {
    /// Where it is; the default port is 323.
    pub server: HostPort,
    /// TCP MD5 key (RFC 2385).
    pub password: Option<Secret>,
}

impl Serialize for RtrServer {
    /// As the file has it: a string, or a table where there is a password.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Table<'a> {
            server: &'a HostPort,
            password: &'a Secret,
        }
        match &self.password {
            None => self.server.serialize(serializer),
            Some(password) => Table { server: &self.server, password }.serialize(serializer),
        }
    }
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
    /// How long the server may be silent before a query counts as failed.
    #[serde(serialize_with = "serialize::duration")]
    pub timeout: Duration,
    /// How many connections to the server there may be at once, at least 1.
    pub parallel: u8,
}

/// `[peeringdb]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct PeeringDb {
    /// The API's base, without a slash at its end.
    pub url: String,
    /// The API key, given or read from its file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_key: Option<Secret>,
    /// Time between refreshes of a record, at least five minutes.
    #[serde(serialize_with = "serialize::duration")]
    pub refresh: Duration,
}
