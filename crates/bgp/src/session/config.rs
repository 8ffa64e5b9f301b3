//! What a session is told about itself and its peer. Values are taken as checked: the configuration's reader refuses a
//! Hold Time of 1 or 2 seconds and the like with a better message than could be given here.

use std::ops::RangeInclusive;
use std::time::Duration;

use siskin_net::{Asn, BgpIdentifier, FamilySet, IfIndex, Role};

use crate::wire::{AddPath, Fqdn};

/// Which AS numbers a peer may have.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PeerAs {
    /// This one.
    Exactly(Asn),
    /// Any but ours.
    External,
    /// Ours.
    Internal,
    /// Any in these ranges.
    OneOf(Vec<RangeInclusive<u32>>),
}

impl PeerAs {
    /// Whether a peer with `asn` will do for a speaker of `local`.
    #[must_use]
    pub fn admits(&self, asn: Asn, local: Asn) -> bool {
        match self {
            PeerAs::Exactly(wanted) => *wanted == asn,
            PeerAs::External => asn != local,
            PeerAs::Internal => asn == local,
            PeerAs::OneOf(ranges) => ranges.iter().any(|range| range.contains(&asn.0)),
        }
    }
}

/// The settings of a session; they last as long as it does.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SessionConfig {
    /// Our AS towards this peer.
    pub local_asn: Asn,
    /// The peer's.
    pub peer_asn: PeerAs,
    /// Our identifier, not 0.
    pub identifier: BgpIdentifier,
    /// The Hold Time we propose, in seconds: 0 (no keepalives) or at least 3.
    pub hold_time: u16,
    /// The shortest Hold Time we accept from the peer, in seconds; a proposal of 0 is accepted where this is 0.
    pub min_hold_time: u16,
    /// The families to offer.
    pub families: FamilySet,
    /// Wait for the peer to connect.
    pub passive: bool,
    /// What the peer is to us (RFC 9234); `None`: no role is sent.
    pub role: Option<Role>,
    /// Refuse a peer that sends no role.
    pub strict_role: bool,
    /// The Restart Time to announce, in seconds below 4096; `None`: no graceful restart.
    pub graceful_restart: Option<u16>,
    /// We have restarted and still wait for End-of-RIB (the R bit).
    pub restarting: bool,
    /// Families whose forwarding state outlives a restart of ours: the peer is asked to keep our routes of these. Without
    /// any, the capability only asks for End-of-RIB (RFC 4724 section 3).
    pub forwarding: FamilySet,
    /// The forwarding state of these families is still what it was when the session was last up (the F bit).
    pub preserved: bool,
    /// Families to take IPv6 next hops for (RFC 8950): IPv4, or none.
    pub extended_next_hop: FamilySet,
    /// Offer messages of up to 65,535 octets.
    pub extended_message: bool,
    /// What to offer of ADD-PATH.
    pub add_path: AddPath,
    /// Our name, for the peer's operators.
    pub fqdn: Option<Fqdn>,
    /// How long to wait between attempts to connect, and for one of them; ± a quarter.
    pub connect_retry: Duration,
    /// How long to stay Idle after the first error; doubles with each that follows, ± a quarter.
    pub idle_hold: Duration,
    /// The longest stay in Idle.
    pub idle_hold_max: Duration,
    /// How long a session is Established before its errors are forgotten.
    pub stable_after: Duration,
    /// How long to wait for the peer's OPEN (RFC 4271 section 8.2.2 suggests four minutes).
    pub open_hold: Duration,
    /// How long the peer may take no octet (RFC 9687); `None`: the greater of eight minutes and twice the Hold Time.
    pub send_hold: Option<Duration>,
    /// The interface of the session, for link-local next hops; 0: none.
    pub interface: IfIndex,
    /// Makes this session's jitter differ from others'.
    pub jitter_seed: u32,
}

impl SessionConfig {
    /// The defaults: Hold Time 90 s, both families, active, first retry after 5 s, 1 to 60 s Idle after errors.
    #[must_use]
    pub fn new(local_asn: Asn, peer_asn: PeerAs, identifier: BgpIdentifier) -> SessionConfig {
        SessionConfig {
            local_asn,
            peer_asn,
            identifier,
            hold_time: 90,
            min_hold_time: 0,
            families: FamilySet::BOTH,
            passive: false,
            role: None,
            strict_role: false,
            graceful_restart: None,
            restarting: false,
            forwarding: FamilySet::EMPTY,
            preserved: false,
            extended_next_hop: FamilySet::EMPTY,
            extended_message: true,
            add_path: AddPath::default(),
            fqdn: None,
            connect_retry: Duration::from_secs(5),
            idle_hold: Duration::from_secs(1),
            idle_hold_max: Duration::from_secs(60),
            stable_after: Duration::from_secs(300),
            open_hold: Duration::from_secs(240),
            send_hold: None,
            interface: 0,
            jitter_seed: 1,
        }
    }
}
