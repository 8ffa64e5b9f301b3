//! What the client is told: where the sources are and how patient to be with them, and what each peer wants.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use siskin_net::{Asn, FamilySet};

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

/// A host name or address, and a port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HostPort {
    /// A name or an address, IPv6 without brackets.
    pub host: String,
    /// The TCP port.
    pub port: u16,
}

/// The text names no server.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a server like rr.ntt.net, 192.0.2.1:43 or [2001:db8::1]:43")]
pub struct ParseHostPortError;

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
            server: HostPort { host: "rr.ntt.net".into(), port: HostPort::WHOIS },
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

impl HostPort {
    /// The port of whois.
    pub const WHOIS: u16 = 43;
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl FromStr for HostPort {
    type Err = ParseHostPortError;

    /// The port may be left out; an IPv6 address with a port stands in brackets.
    fn from_str(text: &str) -> Result<HostPort, ParseHostPortError> {
        let (host, port) = if let Some(rest) = text.strip_prefix('[') {
            let (host, port) = rest.split_once(']').ok_or(ParseHostPortError)?;
            let port =
                if port.is_empty() { None } else { Some(port.strip_prefix(':').ok_or(ParseHostPortError)?) };
            (host, port)
        } else if text.matches(':').count() == 1 {
            text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port)))
        } else {
            (text, None)
        };
        let port = port.map_or(Ok(HostPort::WHOIS), |p| p.parse().map_err(|_| ParseHostPortError))?;
        let odd = host.bytes().any(|b| !b.is_ascii_alphanumeric() && !b".-_:%".contains(&b));
        if host.is_empty() || odd {
            Err(ParseHostPortError)
        } else {
            Ok(HostPort { host: host.to_owned(), port })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_read_as_people_write_them() {
        for (text, shown) in [
            ("rr.ntt.net", "rr.ntt.net:43"),
            ("127.0.0.1:4343", "127.0.0.1:4343"),
            ("[2001:db8::1]:43", "[2001:db8::1]:43"),
            ("2001:db8::1", "[2001:db8::1]:43"),
            ("[::1]", "[::1]:43"),
        ] {
            assert_eq!(text.parse::<HostPort>().unwrap().to_string(), shown);
        }
        for text in ["", ":43", "a b", "[::1", "[::1]43", "host:port", "host:70000"] {
            assert!(text.parse::<HostPort>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn the_key_is_not_shown() {
        let config = PeeringDbConfig { api_key: Some("secret".into()), ..Default::default() };
        assert!(!format!("{config:?}").contains("secret"));
    }
}
