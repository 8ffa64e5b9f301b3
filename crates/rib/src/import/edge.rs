//! The built-in rules of an edge as a peer has them: which are on, with which lists.

use std::sync::Arc;

use siskin_bgp::PathAttributes;
use siskin_bgp::attr::{Community, LargeCommunity};
use siskin_net::FamilyMap;
use siskin_policy::{AsnSet, PrefixSet};

/// BLACKHOLE (RFC 7999).
const BLACKHOLE: Community = Community(0xffff_029a);

/// What origin validation decides.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum RpkiMode {
    /// Nothing.
    #[default]
    Off,
    /// Invalid routes are rejected (RFC 6811).
    RejectInvalid,
    /// Only valid routes are taken.
    RequireValid,
}

/// The built-in rules a peer has; the default has none of them. Lists are shared among peers.
#[derive(Clone, Debug, Default)]
pub struct EdgeRules {
    /// `rpki`.
    pub rpki: RpkiMode,
    /// `bogon-prefix`: prefixes nobody may announce.
    pub bogon_prefixes: Option<Arc<PrefixSet>>,
    /// `bogon-asn`: AS numbers no path may hold.
    pub bogon_asns: Option<Arc<AsnSet>>,
    /// `prefix-length`: the shortest and the longest prefix taken.
    pub prefix_length: Option<FamilyMap<(u8, u8)>>,
    /// `path-length`: the longest AS path taken, counted as the decision does.
    pub path_length: Option<u32>,
    /// `own-prefix`: what only we announce.
    pub own_prefixes: Option<Arc<PrefixSet>>,
    /// `transit-asn`: AS numbers that sell transit to all, and are not reached through this peer.
    pub transit_asns: Option<Arc<AsnSet>>,
    /// `next-hop`: the next hop is the peer itself.
    pub next_hop: bool,
    /// `never-via-route-server`: with the AS numbers of [`Facts`](super::Facts).
    pub never_via_route_server: bool,
    /// `blocklist`: AS numbers and prefixes.
    pub blocked_asns: Option<Arc<AsnSet>>,
    /// `blocklist`: prefixes, and what lies within them.
    pub blocked_prefixes: Option<Arc<PrefixSet>>,
    /// `aspa`: invalid paths are rejected.
    pub aspa: bool,
    /// `role-leak` is off.
    pub leaks_allowed: bool,
    /// `blackhole`: BLACKHOLE and this large community are honoured; `None`: they mean nothing.
    pub blackhole: Option<LargeCommunity>,
    /// The peer is drained: what it gives is the last resort (RFC 8326).
    pub drained: bool,
}

impl EdgeRules {
    /// Whether the route asks for its destination to be discarded, and that is honoured.
    pub(crate) fn is_blackhole(&self, attributes: &PathAttributes) -> bool {
        self.blackhole.is_some_and(|own| {
            attributes.communities.binary_search(&BLACKHOLE).is_ok()
                || attributes.large_communities.binary_search(&own).is_ok()
        })
    }
}
