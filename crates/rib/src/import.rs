//! Import: the checks before policy (RFC 4271 sections 6.3 and 9.1.2, RFC 4456 section 8, RFC 8212, RFC 9234), then the
//! import policy. The same code runs on the peers' tasks, in the RIB when it judges again, and to explain.
//!
//! What depends on the attributes alone is judged once an UPDATE, what depends on the prefix once a prefix.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

use siskin_bgp::PathAttributes;
use siskin_bgp::attr::Community;
use siskin_net::{Asn, BgpIdentifier, Family, NextHop, Prefix, Role, RouteSource};
use siskin_policy::{
    Builtin, Compiled, NextHopAction, NoFacts, Outcome, PeerView, RouteView, RuleId, evaluate,
};
use smallvec::SmallVec;

/// All that import needs to know of a peer, or of a source of local routes.
#[derive(Clone, Debug)]
pub struct ImportProfile {
    /// [`RibConfig::hash_seed`](crate::RibConfig::hash_seed): the peer's task hashes for the RIB.
    pub hash_seed: u64,
    /// Counts up whenever anything below, or a fact policies ask for, changes while the session stays. The RIB judges
    /// again what an older generation judged.
    pub generation: u32,
    /// The peer's name in the configuration.
    pub name: Arc<str>,
    /// How its routes enter.
    pub source: RouteSource,
    /// Its AS number.
    pub asn: Asn,
    /// What it is to us.
    pub role: Option<Role>,
    /// It is in another AS.
    pub external: bool,
    /// Our AS numbers: a path that holds one of them more than `allow_own_as` times is a loop.
    pub local_asns: SmallVec<[Asn; 2]>,
    /// How often our own AS number may stand in a path.
    pub allow_own_as: u8,
    /// Our BGP Identifier: what carries it as ORIGINATOR_ID is a loop.
    pub identifier: BgpIdentifier,
    /// Our cluster: what carries it in CLUSTER_LIST is a loop.
    pub cluster_id: u32,
    /// The path of an external peer must begin with its AS number (off for route servers).
    pub enforce_first_as: bool,
    /// LOCAL_PREF given before policy.
    pub local_pref: Option<u32>,
    /// Communities added before policy.
    pub communities: Vec<Community>,
    /// Our addresses, sorted: a next hop among them is refused.
    pub own_addresses: Arc<[IpAddr]>,
    /// The peer's address, for `set next-hop peer`.
    pub address: Option<IpAddr>,
    /// Our address on the session, for `set next-hop self`.
    pub local_address: Option<IpAddr>,
    /// The import policy. `None`: an external peer gives nothing (RFC 8212), any other source everything.
    pub policy: Option<Arc<Compiled>>,
}

impl ImportProfile {
    /// A source of local routes: nothing is checked, and without a policy everything is accepted.
    #[must_use]
    pub fn local(name: Arc<str>, source: RouteSource, local_asn: Asn, hash_seed: u64) -> ImportProfile {
        ImportProfile {
            hash_seed,
            generation: 0,
            name,
            source,
            asn: local_asn,
            role: None,
            external: false,
            local_asns: SmallVec::new(),
            allow_own_as: 0,
            identifier: BgpIdentifier(0),
            cluster_id: 0,
            enforce_first_as: false,
            local_pref: None,
            communities: Vec::new(),
            own_addresses: Arc::new([]),
            address: None,
            local_address: None,
            policy: None,
        }
    }
}

/// One of the checks made before policy, in the order of [`Check::ALL`].
#[derive(Clone, Copy, Debug)]
pub struct Check {
    /// What a path that fails it is rejected with.
    pub reason: Builtin,
    fails: fn(&ImportProfile, &PathAttributes) -> bool,
}

impl Check {
    /// The checks of attributes, in order. [`Check::prefix`] follows for each prefix.
    pub const ALL: [Check; 7] = [
        Check { reason: Builtin::AsLoop, fails: as_loop },
        Check { reason: Builtin::FirstAs, fails: first_as },
        Check { reason: Builtin::OriginatorLoop, fails: |p, a| a.originator_id == Some(p.identifier) },
        Check { reason: Builtin::ClusterLoop, fails: |p, a| a.cluster_list.contains(&p.cluster_id) },
        Check { reason: Builtin::OwnNextHop, fails: own_next_hop },
        Check { reason: Builtin::Martian, fails: |_, a| is_martian_next_hop(a.next_hop) },
        Check { reason: Builtin::RoleLeak, fails: role_leak },
    ];

    /// Whether a path passes.
    #[must_use]
    pub fn passes(&self, profile: &ImportProfile, attributes: &PathAttributes) -> bool {
        !(self.fails)(profile, attributes)
    }

    /// Whether a prefix may be routed at all.
    #[must_use]
    pub fn prefix(prefix: Prefix) -> bool {
        !is_martian(prefix)
    }
}

fn as_loop(profile: &ImportProfile, attributes: &PathAttributes) -> bool {
    let own = attributes.as_path.asns().filter(|asn| profile.local_asns.contains(asn)).count();
    own > usize::from(profile.allow_own_as)
}

fn first_as(profile: &ImportProfile, attributes: &PathAttributes) -> bool {
    profile.enforce_first_as && profile.external && attributes.as_path.neighbor_as() != Some(profile.asn)
}

fn own_next_hop(profile: &ImportProfile, attributes: &PathAttributes) -> bool {
    profile.own_addresses.binary_search(&attributes.next_hop.address).is_ok()
}

/// RFC 9234 section 5, ingress: OTC from below, or from a lateral peer that did not set it, is a leak.
fn role_leak(profile: &ImportProfile, attributes: &PathAttributes) -> bool {
    match (profile.role, attributes.otc) {
        (Some(Role::Customer | Role::RouteServerClient), Some(_)) => true,
        (Some(Role::Peer), Some(otc)) => otc != profile.asn,
        _ => false,
    }
}

fn is_martian_next_hop(next_hop: NextHop) -> bool {
    match next_hop.address {
        IpAddr::V4(a) => a.is_unspecified() || a.is_loopback() || a.is_multicast() || a.is_broadcast(),
        IpAddr::V6(a) => a.is_unspecified() || a.is_loopback() || a.is_multicast(),
    }
}

/// Prefixes no table should hold: "this network" and its parts, loopback, multicast, link-local of IPv6.
fn is_martian(prefix: Prefix) -> bool {
    let (bits, len) = (prefix.bits(), prefix.len());
    match prefix.family() {
        Family::Ipv4 => {
            let first = bits >> 120;
            len >= 8 && (first == 0 || first == 127) || len >= 4 && bits >> 124 == 0xe
        }
        Family::Ipv6 => {
            len >= 8 && bits >> 120 == 0xff
                || len >= 10 && bits >> 118 == 0xfe80 >> 6
                || len >= 127 && bits >> 1 == 0
        }
    }
}

/// Import's judgement of an attribute set, before any prefix was looked at.
pub(crate) enum SetVerdict<'a> {
    /// Whatever the prefix.
    Rejected(RuleId),
    /// Whatever the prefix, martians apart.
    Accepted(RuleId, Cow<'a, PathAttributes>),
    /// The policy wants to see the prefix, and these attributes.
    AskPolicy(&'a Compiled, Cow<'a, PathAttributes>),
}

impl ImportProfile {
    /// Judges what the attributes alone decide.
    pub(crate) fn judge<'a>(&'a self, received: &'a PathAttributes) -> SetVerdict<'a> {
        if self.source == RouteSource::Bgp
            && let Some(check) = Check::ALL.iter().find(|check| !check.passes(self, received))
        {
            return SetVerdict::Rejected(check.reason.into());
        }
        let attributes = self.prepare(received);
        match &self.policy {
            None if self.external => SetVerdict::Rejected(Builtin::NoPolicy.into()),
            None => SetVerdict::Accepted(Builtin::AcceptAll.into(), attributes),
            Some(policy) if policy.depends_on_prefix() => SetVerdict::AskPolicy(policy, attributes),
            Some(policy) => match self.run(policy, Prefix::default_route(Family::Ipv4), attributes) {
                (Ok(attributes), rule) => SetVerdict::Accepted(rule, attributes),
                (Err(()), rule) => SetVerdict::Rejected(rule),
            },
        }
    }

    /// What is set whatever the policy says: LOCAL_PREF, communities, OTC (RFC 9234 section 5).
    pub(crate) fn prepare<'a>(&self, received: &'a PathAttributes) -> Cow<'a, PathAttributes> {
        let mut attributes = Cow::Borrowed(received);
        if let Some(local_pref) = self.local_pref
            && received.local_pref != Some(local_pref)
        {
            attributes.to_mut().local_pref = Some(local_pref);
        }
        for community in &self.communities {
            if let Err(at) = attributes.communities.binary_search(community) {
                attributes.to_mut().communities.insert(at, *community);
            }
        }
        if matches!(self.role, Some(Role::Provider | Role::Peer | Role::RouteServer))
            && received.otc.is_none()
        {
            attributes.to_mut().otc = Some(self.asn);
        }
        attributes
    }

    /// Runs the policy on attributes that [`ImportProfile::prepare`] made.
    pub(crate) fn run<'a>(
        &self,
        policy: &Compiled,
        prefix: Prefix,
        attributes: Cow<'a, PathAttributes>,
    ) -> (Result<Cow<'a, PathAttributes>, ()>, RuleId) {
        let verdict = evaluate(policy, self.view(prefix, &attributes), &NoFacts);
        if verdict.outcome == Outcome::Reject {
            return (Err(()), verdict.rule);
        }
        let mut attributes = verdict.attributes.map_or(attributes, Cow::Owned);
        let address = match verdict.next_hop {
            NextHopAction::Default | NextHopAction::Unchanged | NextHopAction::Blackhole => None,
            NextHopAction::SelfAddress => self.local_address,
            NextHopAction::Peer => self.address,
            NextHopAction::Address(address) => Some(address),
        };
        if let Some(address) = address.filter(|address| *address != attributes.next_hop.address) {
            attributes.to_mut().next_hop = NextHop::new(address);
        }
        (Ok(attributes), verdict.rule)
    }

    /// A route of this peer as policies see it.
    pub(crate) fn view<'a>(&'a self, prefix: Prefix, attributes: &'a PathAttributes) -> RouteView<'a> {
        let peer = PeerView { name: &self.name, asn: self.asn, role: self.role };
        let peer = (self.source == RouteSource::Bgp).then_some(peer);
        RouteView { prefix, attributes, source: self.source, peer }
    }

    /// Judges one prefix by its attributes' verdict.
    pub(crate) fn judge_prefix<'a>(
        &self,
        verdict: &'a SetVerdict<'_>,
        prefix: Prefix,
    ) -> (Result<Cow<'a, PathAttributes>, ()>, RuleId) {
        if let SetVerdict::Rejected(rule) = verdict {
            return (Err(()), *rule);
        }
        if self.source == RouteSource::Bgp && !Check::prefix(prefix) {
            return (Err(()), Builtin::Martian.into());
        }
        match verdict {
            SetVerdict::Rejected(rule) => (Err(()), *rule),
            SetVerdict::Accepted(rule, attributes) => (Ok(Cow::Borrowed(&**attributes)), *rule),
            SetVerdict::AskPolicy(policy, attributes) => {
                self.run(policy, prefix, Cow::Borrowed(&**attributes))
            }
        }
    }
}

#[cfg(test)]
mod tests;
