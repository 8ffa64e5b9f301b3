//! A server's name or address with its port.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use serde::{Serialize, Serializer};

/// A server: a DNS name or an address, and a port. Written `name:port`, `192.0.2.1:port` or `[2001:db8::1]:port`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HostPort {
    /// A DNS name or an address without brackets.
    pub host: String,
    /// The TCP port.
    pub port: u16,
}

/// The text names no server: what was expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ParseHostPortError(pub &'static str);

impl HostPort {
    /// Reads `host`, `host:port` and `[v6]:port`; where there is no port it is `default_port`.
    ///
    /// # Errors
    /// What was expected.
    pub fn parse(text: &str, default_port: u16) -> Result<HostPort, ParseHostPortError> {
        const EXPECTED: ParseHostPortError =
            ParseHostPortError("expected a host, like rtr.example.net:323 or [2001:db8::53]:323");
        let (host, port) = if let Some(rest) = text.strip_prefix('[') {
            let (host, after) = rest.split_once(']').ok_or(ParseHostPortError("expected a closing ']'"))?;
            host.parse::<Ipv6Addr>()
                .map_err(|_| ParseHostPortError("expected an IPv6 address within the brackets"))?;
            match after {
                "" => (host, None),
                _ => (host, Some(after.strip_prefix(':').ok_or(EXPECTED)?)),
            }
        } else if text.parse::<Ipv6Addr>().is_ok() {
            (text, None)
        } else {
            match text.rsplit_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (text, None),
            }
        };
        let port = match port {
            None => default_port,
            Some(port) => (port.parse().ok().filter(|p| *p != 0))
                .ok_or(ParseHostPortError("expected a port from 1 to 65535"))?,
        };
        let is_address = host.parse::<IpAddr>().is_ok();
        if is_address || is_host_name(host) {
            Ok(HostPort { host: host.to_owned(), port })
        } else {
            Err(EXPECTED)
        }
    }
}

fn is_host_name(text: &str) -> bool {
    let label = |l: &str| {
        !l.is_empty()
            && l.len() <= 63
            && !l.starts_with('-')
            && !l.ends_with('-')
            && l.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    };
    text.len() <= 253 && text.strip_suffix('.').unwrap_or(text).split('.').all(label)
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

impl Serialize for HostPort {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_with_ports() {
        let parse = |text: &str| HostPort::parse(text, 323).map(|h| h.to_string());
        assert_eq!(parse("rtr.example.net").as_deref(), Ok("rtr.example.net:323"));
        assert_eq!(parse("rtr.example.net:3323").as_deref(), Ok("rtr.example.net:3323"));
        assert_eq!(parse("192.0.2.1:1").as_deref(), Ok("192.0.2.1:1"));
        assert_eq!(parse("2001:db8::1").as_deref(), Ok("[2001:db8::1]:323"));
        assert_eq!(parse("[2001:db8::1]:1").as_deref(), Ok("[2001:db8::1]:1"));
        for bad in [
            "",
            "a b",
            "host:",
            "host:0",
            "host:65536",
            "[x]:1",
            "[2001:db8::1",
            "-a.example",
            "a..b",
            "[::1]x",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
