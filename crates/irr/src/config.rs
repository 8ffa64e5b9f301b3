//! What the client is told: where the sources are and how patient to be with them, and what each peer wants.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use siskin_net::{Asn, FamilySet, HostPort};

use crate::SetName;

/// Where the sources are, how often to ask them, and where to keep what they said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The IRRd server (whois, port 43 by default).
    pub server: HostPort,
    /// The registries to trust, first one first; empty: the server's own choice.
    pub sources: Vec<String>,
    /// How old a list becomes before it is asked for again; up to a tenth is added or taken off.
    pub refresh: Duration,
    /// How long a server may say nothing. A whole set may take ten times as long.
    pub timeout: Duration,
    /// How many connections to the server may be open at once, at least 1.
    pub parallel: usize,
    /// The folder for the last good lists and records (`irr/` and `peeringdb.json` in it); `None`: nothing is kept.
    pub state_dir: Option<PathBuf>,
    /// PeeringDB.
    pub peeringdb: PeeringDbConfig,
}

/// Where PeeringDB is and who asks.
#[derive(Clone, PartialEq, Eq)]
pub struct PeeringDbConfig {
    /// The API without a final slash, `https://…` or `http://…`.
    pub url: String,
    /// The key that doubles the number of queries allowed.
    pub api_key: Option<String>,
    /// How old a record becomes before it is asked for again.
    pub refresh: Duration,
}

/// What one peer wants to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerRequest {
    /// The peer's AS number.
    pub asn: Asn,
    /// The sets whose routes it may announce; `None`: no IRR filter.
    pub sets: Option<SetRequest>,
    /// Whether its PeeringDB record is wanted, for limits.
    pub peeringdb: bool,
}

/// Which sets, from where, and what of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetRequest {
    /// The names.
    pub names: Names,
    /// Registries for this peer instead of [`Config::sources`].
    pub sources: Option<Vec<String>>,
    /// The families whose prefixes are wanted.
    pub families: FamilySet,
    /// Whether the AS numbers in the sets are wanted too, to check origins.
    pub members: bool,
}

/// Where the names of the sets come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Names {
    /// From `irr_as_set` of the peer's PeeringDB record; where that is empty, the AS number itself.
    Auto,
    /// From the configuration; their union counts.
    Sets(Vec<SetName>),
}

impl Default for Config {
    fn default() -> Self {
        Config {
            server: HostPort { host: "rr.ntt.net".into(), port: 43 },
            sources: Vec::new(),
            refresh: Duration::from_secs(12 * 3600),
            timeout: Duration::from_secs(120),
            parallel: 4,
            state_dir: None,
            peeringdb: PeeringDbConfig::default(),
        }
    }
}

impl Default for PeeringDbConfig {
    fn default() -> Self {
        PeeringDbConfig {
            url: "https://www.peeringdb.com/api".into(),
            api_key: None,
            refresh: Duration::from_secs(24 * 3600),
        }
    }
}

/// Without the key: logs must not hold it.
impl fmt::Debug for PeeringDbConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PeeringDbConfig")
            .field("url", &self.url)
            .field("api_key", &self.api_key.as_ref().map(|_| "…"))
            .field("refresh", &self.refresh)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_not_shown() {
        let config = PeeringDbConfig { api_key: Some("secret".into()), ..Default::default() };
        assert!(!format!("{config:?}").contains("secret"));
    }
}
