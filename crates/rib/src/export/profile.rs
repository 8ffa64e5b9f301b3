//! All that may change what a peer is sent.

use std::net::IpAddr;
use std::sync::Arc;

use siskin_bgp::wire::EncodeContext;
use siskin_net::{Asn, BgpIdentifier, FamilyMap, FamilySet, NextHop, Role};
use siskin_policy::{CommunityValue, Compiled};

use crate::import::PrefixLimits;

/// What stands as the next hop of routes we send, where the policy does not say.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum NextHopMode {
    /// Our own address to external peers; to internal ones the next hop stays, as far as it means something to them.
    #[default]
    Default,
    /// Our own address.
    SelfAddress,
    /// As it is.
    Unchanged,
}

/// Whether a peer is being taken out of service.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Drain {
    /// It is not.
    #[default]
    No,
    /// Everything is sent with GRACEFUL_SHUTDOWN (RFC 8326), so that the peer finds other ways first.
    Graceful,
    /// Nothing is sent.
    Silent,
}

/// The key of an update group, and export's only view of a peer: peers with equal profiles are sent the same bytes.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct ExportProfile {
    /// Families the session carries.
    pub families: FamilySet,
    /// Our AS number with this peer.
    pub local_asn: Asn,
    /// It is in another AS.
    pub external: bool,
    /// What it is to us.
    pub role: Option<Role>,
    /// The export policy. `None`: an external peer is sent nothing (RFC 8212), an internal one everything.
    pub policy: Option<Arc<Compiled>>,
    /// Where the next hop comes from.
    pub next_hop: NextHopMode,
    /// Our own next hop for each family: with IPv6 also the link-local address where the peer is on the link (RFC 2545),
    /// for IPv4 an IPv6 address where that was negotiated (RFC 8950). `None`: we have none, routes that need it stay.
    pub self_next_hop: FamilyMap<Option<NextHop>>,
    /// The peer's address, for `set next-hop peer`; leave it out where no rule says that, or every peer is a group of its
    /// own.
    pub peer_address: Option<IpAddr>,
    /// Private AS numbers are taken out of the path sent to an external peer.
    pub remove_private_as: bool,
    /// Our AS number is put before the path this many times more.
    pub prepend: u8,
    /// MED sent where the policy sets none.
    pub med: Option<u32>,
    /// Communities added after policy.
    pub communities: Vec<CommunityValue>,
    /// Extended communities are sent.
    pub ext_communities: bool,
    /// A default route of these families is sent, whether we have one or not; it does not pass the policy.
    pub default_originate: FamilySet,
    /// It is our route reflection client.
    pub reflector_client: bool,
    /// Our cluster (RFC 4456).
    pub cluster_id: u32,
    /// Our BGP Identifier.
    pub identifier: BgpIdentifier,
    /// How many prefixes are sent.
    pub limits: FamilyMap<PrefixLimits>,
    /// Whether the peer is being taken out of service.
    pub drain: Drain,
    /// How messages are written.
    pub encode: EncodeContext,
}

impl ExportProfile {
    /// Whether a change of [`Facts`](crate::Facts) can change what is sent.
    pub(crate) fn asks_facts(&self) -> bool {
        self.policy.as_ref().is_some_and(|policy| !policy.needs().is_empty())
    }
}
