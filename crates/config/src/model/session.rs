//! What a session is made of: the settings whose change needs a new one.

use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use serde::{Serialize, Serializer};
use siskin_net::{Asn, FamilySet, Role};

use super::{Secret, range_text, serialize};

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
    #[serde(serialize_with = "serialize::off_option")]
    pub graceful_restart: Option<GracefulRestart>,
    /// What the peer is to us (RFC 9234).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    /// The peer must tell a role too, and one that fits (RFC 9234 section 4.2, strict mode).
    pub role_strict: bool,
    /// The internal peer is a route reflection client (RFC 4456). Which routes it may have, and which of its own
    /// are told to whom, hangs on it, so the routes of a session belong to one answer.
    pub route_reflector_client: bool,
}

impl SessionSettings {
    /// Internal or external, as far as the configuration decides it (`asn` lists never mix the two).
    #[must_use]
    pub fn kind(&self) -> PeerKind {
        if self.asn.is_internal(self.local_asn) { PeerKind::Internal } else { PeerKind::External }
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

impl AsnRule {
    /// Whether it names our own AS; a list that does names no other.
    #[must_use]
    pub fn is_internal(&self, local_asn: Asn) -> bool {
        match self {
            AsnRule::Is(asn) => *asn == local_asn,
            AsnRule::Internal => true,
            AsnRule::External => false,
            AsnRule::OneOf(ranges) => ranges.iter().any(|range| range.contains(&local_asn)),
        }
    }
}

impl Serialize for AsnRule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            AsnRule::Is(asn) => asn.serialize(serializer),
            AsnRule::External => serializer.serialize_str("external"),
            AsnRule::Internal => serializer.serialize_str("internal"),
            AsnRule::OneOf(ranges) => serializer.collect_seq(ranges.iter().map(range_text)),
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
