//! Identities: who a route came from.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

/// A BGP Identifier (RFC 6286: any non-zero 32 bits), written as a dotted quad.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct BgpIdentifier(pub u32);

impl fmt::Display for BgpIdentifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Ipv4Addr::from_bits(self.0).fmt(f)
    }
}

impl fmt::Debug for BgpIdentifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for BgpIdentifier {
    type Err = std::net::AddrParseError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse::<Ipv4Addr>().map(|a| BgpIdentifier(a.to_bits()))
    }
}

/// A dense number the daemon gives each peer, and each source of local routes: never reused while a path names it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct PeerId(pub u16);

/// The local side's view of what a peer is (RFC 9234 section 4, from the peer's side: `Provider` is a peer that is
/// our provider).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// The peer is our transit provider.
    Provider,
    /// The peer is our customer.
    Customer,
    /// A lateral peer.
    Peer,
    /// The peer is a route server.
    RouteServer,
    /// We are the route server, the peer its client.
    RouteServerClient,
}

impl Role {
    /// The word in configurations and policies.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Role::Provider => "provider",
            Role::Customer => "customer",
            Role::Peer => "peer",
            Role::RouteServer => "route-server",
            Role::RouteServerClient => "route-server-client",
        }
    }
}

/// What kind of source a route entered by. The words of `source = …` in policies.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RouteSource {
    /// A BGP session.
    Bgp,
    /// `[[originate]]`.
    Originate,
    /// `[redistribute.connected]`.
    Connected,
    /// `[redistribute.static]`.
    Static,
    /// `[redistribute.kernel]`.
    Kernel,
    /// `[host-routes.*]`.
    HostRoute,
}

impl RouteSource {
    /// The word used in policies, JSON and tables.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            RouteSource::Bgp => "bgp",
            RouteSource::Originate => "originate",
            RouteSource::Connected => "connected",
            RouteSource::Static => "static",
            RouteSource::Kernel => "kernel",
            RouteSource::HostRoute => "host-route",
        }
    }
}
