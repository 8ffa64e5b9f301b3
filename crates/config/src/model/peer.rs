//! Peers: whom we speak with ([`Endpoint`]), how the session is made ([`SessionSettings`]), and what happens to
//! routes on it ([`RouteSettings`]).
//!
//! The two structs are split by what a change costs: a different [`SessionSettings`] needs a new session, a
//! different [`RouteSettings`] applies to the running one.

use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use serde::{Serialize, Serializer};
use siskin_net::{Asn, FamilySet, Prefix, Role};
use siskin_policy::Compiled;

use super::{Communities, IrrFilter, MaxPrefix, NamePattern, RpkiMode, Secret, serialize};

/// One `[peer.NAME]`, its group merged in and defaults applied.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Peer {
    /// The table's name: `[a-zA-Z0-9_.-]{1,64}`.
    #[serde(skip)]
    pub name: String,
    /// Words for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// `false`: known, but administratively down.
    pub enabled: bool,
    /// The peer group whose keys it took.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Whom to speak with.
    #[serde(flatten)]
    pub endpoint: Endpoint,
    /// What a session is made of.
    #[serde(flatten)]
    pub session: SessionSettings,
    /// What happens to routes.
    #[serde(flatten)]
    pub routes: RouteSettings,
}

impl Peer {
    /// Whether going from this to `new` needs a new session; everything else applies to the running one.
    #[must_use]
    pub fn session_differs(&self, new: &Peer) -> bool {
        self.endpoint != new.endpoint || self.session != new.session
    }
}

/// Whom to speak with.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(untagged)]
pub enum Endpoint {
    /// A known address.
    Address {
        /// The peer's address.
        address: IpAddr,
        /// The interface it is on; always there for a link-local address.
        #[serde(skip_serializing_if = "Option::is_none")]
        interface: Option<String>,
    },
    /// BGP unnumbered: whoever sends router advertisements on the interface.
    Unnumbered {
        /// The interface.
        interface: String,
    },
}

impl Endpoint {
    /// The address, if it is known from the configuration.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        match self {
            Endpoint::Address { address, .. } => Some(*address),
            Endpoint::Unnumbered { .. } => None,
        }
    }

    /// The interface, if one is named.
    #[must_use]
    pub fn interface(&self) -> Option<&str> {
        match self {
            Endpoint::Address { interface, .. } => interface.as_deref(),
            Endpoint::Unnumbered { interface } => Some(interface),
        }
    }

    /// Whether the session runs between link-local addresses.
    #[must_use]
    pub fn is_link_local(&self) -> bool {
        match self {
            Endpoint::Address { address: IpAddr::V6(address), .. } => address.is_unicast_link_local(),
            Endpoint::Address { .. } => false,
            Endpoint::Unnumbered { .. } => true,
        }
    }
}

/// Everything whose change needs a new session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct SessionSettings {
    /// The AS numbers the peer may have.
    pub asn: AsnRule,
    /// The AS number we speak as: `local-asn`, else `router.asn`.
    pub local_asn: Asn,
    /// The peer's TCP port.
    pub port: u16,
    /// Our address of the session; of the peer's family.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<IpAddr>,
    /// We only wait for the peer to connect.
    pub passive: bool,
    /// TCP MD5 key (RFC 2385).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<Secret>,
    /// How far away the peer may be.
    #[serde(flatten)]
    pub ttl: Ttl,
    /// The Hold Time we propose: zero (never) or 3 to 65,535 seconds.
    #[serde(serialize_with = "serialize::duration")]
    pub hold_time: Duration,
    /// The families we offer; never empty.
    #[serde(serialize_with = "serialize::families")]
    pub families: FamilySet,
    /// IPv4 routes with IPv6 next hops are offered (RFC 8950): asked for, or implied by a link-local session.
    pub extended_next_hop: bool,
    /// ADD-PATH (RFC 7911).
    pub add_path: AddPath,
    /// Graceful restart (RFC 4724); `None`: off.
    #[serde(serialize_with = "off_option")]
    pub graceful_restart: Option<GracefulRestart>,
    /// What the peer is to us (RFC 9234).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
}

impl SessionSettings {
    /// Internal or external, as far as the configuration decides it (`asn` lists never mix the two).
    #[must_use]
    pub fn kind(&self) -> PeerKind {
        let internal = match &self.asn {
            AsnRule::Is(asn) => *asn == self.local_asn,
            AsnRule::Internal => true,
            AsnRule::External => false,
            AsnRule::OneOf(ranges) => ranges.iter().any(|range| range.contains(&self.local_asn)),
        };
        if internal { PeerKind::Internal } else { PeerKind::External }
    }

    /// Whether a peer that says in its OPEN it is `asn` is the one meant.
    #[must_use]
    pub fn accepts(&self, asn: Asn) -> bool {
        match &self.asn {
            AsnRule::Is(expected) => asn == *expected,
            AsnRule::Internal => asn == self.local_asn,
            AsnRule::External => asn != self.local_asn,
            AsnRule::OneOf(ranges) => ranges.iter().any(|range| range.contains(&asn)),
        }
    }
}

/// Whether a peer is of our AS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PeerKind {
    /// Of our AS (iBGP).
    Internal,
    /// Of another AS (eBGP).
    External,
}

/// Which AS numbers a peer may have.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum AsnRule {
    /// This one.
    Is(Asn),
    /// Any but ours.
    External,
    /// Ours.
    Internal,
    /// One of these ranges, sorted.
    OneOf(Vec<RangeInclusive<Asn>>),
}

impl Serialize for AsnRule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            AsnRule::Is(asn) => asn.serialize(serializer),
            AsnRule::External => serializer.serialize_str("external"),
            AsnRule::Internal => serializer.serialize_str("internal"),
            AsnRule::OneOf(ranges) => serializer.collect_seq(ranges.iter().map(|range| {
                let (low, high) = (range.start(), range.end());
                if low == high { low.to_string() } else { format!("{low}-{high}") }
            })),
        }
    }
}

/// How far away a peer may be, as the IP TTL or hop limit says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum Ttl {
    /// We send with this TTL and accept any: 1 for a direct external peer, 64 for an internal one, or `multihop`.
    #[serde(rename = "ttl")]
    Send(u8),
    /// GTSM (RFC 5082): we send with 255 and accept only what came at most this many hops (1: direct).
    #[serde(rename = "ttl-security")]
    Security(u8),
}

impl Ttl {
    /// The TTL or hop limit we send with.
    #[must_use]
    pub const fn send(self) -> u8 {
        match self {
            Ttl::Send(ttl) => ttl,
            Ttl::Security(_) => 255,
        }
    }

    /// The least TTL or hop limit a packet must arrive with; 0: any.
    #[must_use]
    pub const fn minimum(self) -> u8 {
        match self {
            Ttl::Send(_) => 0,
            Ttl::Security(hops) => 255 - hops.saturating_sub(1),
        }
    }

    /// Whether the peer must be on a network of ours.
    #[must_use]
    pub const fn is_direct(self) -> bool {
        matches!(self, Ttl::Send(1) | Ttl::Security(1))
    }
}

/// The peer key `add-path`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct AddPath {
    /// We take several paths of a prefix.
    pub receive: bool,
    /// We send several paths of a prefix.
    pub send: AddPathSend,
}

/// How many paths of a prefix are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum AddPathSend {
    /// The best alone, without ADD-PATH.
    Off,
    /// All that export policy accepts.
    All,
    /// The best so many.
    #[serde(untagged)]
    Best(u16),
}

/// The peer key `graceful-restart`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct GracefulRestart {
    /// How long the peer waits for our session to come back, at most 4,095 seconds.
    #[serde(serialize_with = "serialize::duration")]
    pub time: Duration,
    /// How long we keep the peer's stale routes.
    #[serde(serialize_with = "serialize::duration")]
    pub stale: Duration,
}

/// The peer key `bfd` (RFC 5880).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Bfd {
    /// Desired Min TX Interval.
    #[serde(serialize_with = "serialize::duration")]
    pub min_tx: Duration,
    /// Required Min RX Interval.
    #[serde(serialize_with = "serialize::duration")]
    pub min_rx: Duration,
    /// Detect Mult.
    pub multiplier: u8,
    /// The BGP session waits for BFD to be up.
    pub strict: bool,
}

/// Everything that may change without a new session.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct RouteSettings {
    /// Which routes are taken.
    pub import: PolicyChoice,
    /// Which routes are given.
    pub export: PolicyChoice,
    /// RPKI before `import`.
    pub rpki: RpkiMode,
    /// IRR filter before `import`.
    #[serde(serialize_with = "off_option")]
    pub irr: Option<IrrFilter>,
    /// Bogon prefixes and AS numbers are rejected before `import`.
    pub bogons: bool,
    /// Limits of what is taken.
    #[serde(serialize_with = "off_option")]
    pub max_prefix: Option<MaxPrefix>,
    /// Limits of what is given.
    #[serde(serialize_with = "off_option")]
    pub max_prefix_out: Option<MaxPrefix>,
    /// A default route of these families is given, whether or not we have one.
    #[serde(serialize_with = "serialize::families")]
    pub default_originate: FamilySet,
    /// The next hop given.
    pub next_hop: NextHopMode,
    /// The internal peer is a route reflection client (RFC 4456).
    pub route_reflector_client: bool,
    /// Private AS numbers are removed from what is given.
    pub remove_private_as: bool,
    /// How often our own AS may stand in a received path.
    pub allow_own_as: u8,
    /// The first AS of a received path must be the peer's.
    pub enforce_first_as: bool,
    /// LOCAL_PREF of what is taken, before `import`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub local_pref: Option<u32>,
    /// MED of what is given, after `export`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub med: Option<u32>,
    /// How often our AS is prepended to what is given, 0 to 25.
    pub prepend: u8,
    /// Communities added to what is taken, before `import`.
    #[serde(skip_serializing_if = "Communities::is_empty")]
    pub communities_in: Communities,
    /// Communities added to what is given, after `export`.
    #[serde(skip_serializing_if = "Communities::is_empty")]
    pub communities_out: Communities,
    /// BFD watches the peer; `None`: off.
    #[serde(serialize_with = "off_option")]
    pub bfd: Option<Bfd>,
}

/// Which policy judges routes in one direction.
#[derive(Clone, Debug, PartialEq)]
pub enum PolicyChoice {
    /// A policy of the file, or a built-in one by name. An internal peer without `import` or `export` has
    /// `accept-all` there.
    Named(Arc<Compiled>),
    /// The built-in edge policy of a role.
    Role(Role),
    /// None at all: nothing passes (RFC 8212).
    None,
}

impl PolicyChoice {
    /// The policy, if there is a named one.
    #[must_use]
    pub fn policy(&self) -> Option<&Arc<Compiled>> {
        match self {
            PolicyChoice::Named(policy) => Some(policy),
            PolicyChoice::Role(_) | PolicyChoice::None => None,
        }
    }
}

impl Serialize for PolicyChoice {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            PolicyChoice::Named(policy) => serializer.serialize_str(policy.name()),
            PolicyChoice::Role(_) => serializer.serialize_str("(role)"),
            PolicyChoice::None => serializer.serialize_str("(none)"),
        }
    }
}

/// The next hop given to a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum NextHopMode {
    /// As RFC 4271 section 5.1.3 says: our own towards external peers, unchanged towards internal ones.
    Default,
    /// Always our own.
    #[serde(rename = "self")]
    SelfAddress,
    /// Always as received.
    Unchanged,
}

/// One `[dynamic-peer.NAME]`: peers accepted without being named one by one.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct DynamicPeer {
    /// The table's name.
    #[serde(skip)]
    pub name: String,
    /// Where they may come from; distinct, and empty only if `interfaces` is not.
    pub range: Vec<Prefix>,
    /// Interfaces on which they are found by their router advertisements.
    pub interfaces: Vec<NamePattern>,
    /// How many there may be at once.
    pub limit: u32,
    /// Words for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// `false`: none is accepted.
    pub enabled: bool,
    /// The peer group whose keys it took.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// What a session is made of.
    #[serde(flatten)]
    pub session: SessionSettings,
    /// What happens to routes.
    #[serde(flatten)]
    pub routes: RouteSettings,
}

impl DynamicPeer {
    /// The peer that one of them becomes.
    #[must_use]
    pub fn peer(&self, name: String, endpoint: Endpoint) -> Peer {
        let mut session = self.session.clone();
        session.extended_next_hop |= endpoint.is_link_local();
        Peer {
            name,
            description: self.description.clone(),
            enabled: self.enabled,
            group: self.group.clone(),
            endpoint,
            session,
            routes: self.routes.clone(),
        }
    }
}

/// An absent part is written `false`, as the file switches it off.
fn off_option<S: Serializer, T: Serialize>(value: &Option<T>, serializer: S) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => value.serialize(serializer),
        None => serializer.serialize_bool(false),
    }
}
