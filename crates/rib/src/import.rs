//! Import: the checks before policy (RFC 4271 sections 6.3 and 9.1.2, RFC 4456 section 8, RFC 8212, RFC 9234), then the
//! import policy. The same code runs on the peers' tasks, in the RIB when it judges again, and to explain.
//!
//! What depends on the attributes alone is judged once an UPDATE, what depends on the prefix once a prefix.

mod checks;
mod edge;
mod facts;
mod limits;
mod reason;

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

use siskin_bgp::PathAttributes;
use siskin_bgp::attr::Community;
use siskin_net::{Asn, BgpIdentifier, Family, FamilyMap, NextHop, Prefix, Role, RouteSource};
use siskin_policy::{
    Builtin, CommunityValue, Compiled, NextHopAction, Outcome, PeerView, RouteView, RuleId, evaluate,
    evaluate_changed,
};
use smallvec::SmallVec;

pub(crate) use checks::Stage;
pub use checks::{Check, PrefixCheck};
pub use edge::{EdgeRules, RpkiMode};
pub use facts::{Facts, IrrFilter, IrrList, Touched};
pub use limits::{LimitAction, PrefixLimits};

/// NO_EXPORT (RFC 1997).
const NO_EXPORT: Community = Community(0xffff_ff01);

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
    /// The kernel's table its routes are for, unless policy sets one; 0: that of the configuration.
    pub table: u32,
    /// Communities added before policy.
    pub communities: Vec<CommunityValue>,
    /// Our addresses, sorted: a next hop among them is refused.
    pub own_addresses: Arc<[IpAddr]>,
    /// The peer's address, for `set next-hop peer`.
    pub address: Option<IpAddr>,
    /// Our address on the session, for `set next-hop self`.
    pub local_address: Option<IpAddr>,
    /// The import policy. `None`: an external peer gives nothing (RFC 8212), any other source everything.
    pub policy: Option<Arc<Compiled>>,
    /// The built-in rules it has.
    pub edge: EdgeRules,
    /// Its prefixes must be registered; `None`: they need not.
    pub irr: Option<IrrFilter>,
    /// How many prefixes are taken.
    pub limits: FamilyMap<PrefixLimits>,
    /// What is known of the routing system. The RIB puts its own in the place of older ones.
    pub facts: Arc<Facts>,
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
            table: 0,
            communities: Vec::new(),
            own_addresses: Arc::new([]),
            address: None,
            local_address: None,
            policy: None,
            edge: EdgeRules::default(),
            irr: None,
            limits: FamilyMap::default(),
            facts: Arc::default(),
        }
    }
}

/// Import's judgement of an attribute set, before any prefix was looked at.
#[derive(Clone, Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "one at a time, on the stack of an UPDATE; few are rejected whole"
)]
pub(crate) enum SetVerdict<'a> {
    /// Whatever the prefix.
    Rejected(RuleId),
    /// The checks of prefixes follow, and what the policy said or is still to say.
    Passed {
        /// What these checks want to know.
        stage: Stage,
        /// The policy's word, if it does not depend on the prefix.
        word: PolicyWord,
        /// The attributes as accepted, or as the policy gets to see them.
        attributes: Cow<'a, PathAttributes>,
    },
}

/// What the import policy says of an attribute set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum PolicyWord {
    /// Accepted whatever the prefix, by this rule.
    Accepts(RuleId),
    /// Rejected whatever the prefix, by this rule.
    Rejects(RuleId),
    /// It wants to see the prefix.
    Asks,
}

impl SetVerdict<'_> {
    /// The verdict with attributes of its own.
    pub(crate) fn into_owned(self) -> SetVerdict<'static> {
        match self {
            SetVerdict::Rejected(rule) => SetVerdict::Rejected(rule),
            SetVerdict::Passed { stage, word, attributes } => {
                SetVerdict::Passed { stage, word, attributes: Cow::Owned(attributes.into_owned()) }
            }
        }
    }
}

impl ImportProfile {
    /// Whether a change of [`Facts`] can change a verdict.
    pub(crate) fn asks_facts(&self) -> bool {
        self.edge.rpki != RpkiMode::Off
            || self.edge.aspa
            || self.edge.never_via_route_server
            || self.irr.as_ref().is_some_and(|irr| irr.accept_rpki_valid)
            || self.policy.as_ref().is_some_and(|policy| !policy.needs().is_empty())
    }

    /// Judges what the attributes alone decide.
    pub(crate) fn judge<'a>(&self, received: &'a PathAttributes) -> SetVerdict<'a> {
        if self.source == RouteSource::Bgp
            && let Some(check) = Check::ALL.iter().find(|check| !check.passes(self, received))
        {
            return SetVerdict::Rejected(check.reason.into());
        }
        let stage = Stage::of(self, received);
        let attributes = self.prepare(received);
        let (word, attributes) = match &self.policy {
            None if self.external => (PolicyWord::Rejects(Builtin::NoPolicy.into()), attributes),
            None => (PolicyWord::Accepts(Builtin::AcceptAll.into()), attributes),
            Some(policy) if policy.depends_on_prefix() => (PolicyWord::Asks, attributes),
            Some(policy) => match self.run(policy, Prefix::default_route(Family::Ipv4), received, attributes)
            {
                (Ok(attributes), rule) => (PolicyWord::Accepts(rule), attributes),
                (Err(()), rule) => (PolicyWord::Rejects(rule), Cow::Borrowed(received)),
            },
        };
        let attributes = match word {
            PolicyWord::Accepts(_) => self.accept(stage, attributes),
            PolicyWord::Rejects(_) | PolicyWord::Asks => attributes,
        };
        SetVerdict::Passed { stage, word, attributes }
    }

    /// What is set whatever the policy says: LOCAL_PREF, the table, communities, OTC (RFC 9234 section 5).
    pub(crate) fn prepare<'a>(&self, received: &'a PathAttributes) -> Cow<'a, PathAttributes> {
        let mut attributes = Cow::Borrowed(received);
        if let Some(local_pref) = self.local_pref
            && received.local_pref != Some(local_pref)
        {
            attributes.to_mut().local_pref = Some(local_pref);
        }
        if received.table != self.table {
            attributes.to_mut().table = self.table;
        }
        for community in &self.communities {
            if !community.is_in(&attributes) {
                community.add_to(attributes.to_mut());
            }
        }
        if matches!(self.role, Some(Role::Provider | Role::Peer | Role::RouteServer))
            && received.otc.is_none()
        {
            attributes.to_mut().otc = Some(self.asn);
        }
        attributes
    }

    /// Runs the policy on attributes that [`ImportProfile::prepare`] made of those received.
    pub(crate) fn run<'a>(
        &self,
        policy: &Compiled,
        prefix: Prefix,
        received: &'a PathAttributes,
        prepared: Cow<'a, PathAttributes>,
    ) -> (Result<Cow<'a, PathAttributes>, ()>, RuleId) {
        let (verdict, attributes) = match prepared {
            Cow::Borrowed(same) => (evaluate(policy, self.view(prefix, same), self), same),
            Cow::Owned(own) => (evaluate_changed(policy, self.view(prefix, received), own, self), received),
        };
        if verdict.outcome == Outcome::Reject {
            return (Err(()), verdict.rule);
        }
        let mut attributes = verdict.attributes.map_or(Cow::Borrowed(attributes), Cow::Owned);
        let next_hop = match verdict.next_hop {
            NextHopAction::Default | NextHopAction::Unchanged => None,
            NextHopAction::SelfAddress => self.local_address.map(NextHop::new),
            NextHopAction::Peer => self.address.map(NextHop::new),
            NextHopAction::Address(address) => Some(NextHop::new(address)),
            NextHopAction::Blackhole => Some(NextHop::DISCARD),
        };
        if let Some(next_hop) = next_hop.filter(|new| new.address != attributes.next_hop.address) {
            attributes.to_mut().next_hop = next_hop;
        }
        (Ok(attributes), verdict.rule)
    }

    /// What is set on an accepted route whatever the policy said: one of a drained peer is the last resort (RFC 8326
    /// section 4), BLACKHOLE goes nowhere and does not leave the AS (RFC 7999 section 3.2).
    fn accept<'a>(&self, stage: Stage, mut attributes: Cow<'a, PathAttributes>) -> Cow<'a, PathAttributes> {
        if self.edge.drained && attributes.local_pref != Some(0) {
            attributes.to_mut().local_pref = Some(0);
        }
        if stage.blackhole {
            let changed = attributes.to_mut();
            changed.next_hop = NextHop::DISCARD;
            if let Err(at) = changed.communities.binary_search(&NO_EXPORT) {
                changed.communities.insert(at, NO_EXPORT);
            }
        }
        attributes
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
        let (stage, word, attributes) = match verdict {
            SetVerdict::Rejected(rule) => return (Err(()), *rule),
            SetVerdict::Passed { stage, word, attributes } => (*stage, *word, &**attributes),
        };
        if self.source == RouteSource::Bgp
            && let Some(reason) = PrefixCheck::first_objection(self, prefix, stage)
        {
            return (Err(()), reason.into());
        }
        match (word, &self.policy) {
            (PolicyWord::Rejects(rule), _) => (Err(()), rule),
            (PolicyWord::Accepts(rule), _) => (Ok(Cow::Borrowed(attributes)), rule),
            (PolicyWord::Asks, Some(policy)) => {
                let (outcome, rule) = self.run(policy, prefix, attributes, Cow::Borrowed(attributes));
                (outcome.map(|attributes| self.accept(stage, attributes)), rule)
            }
            // A policy that asks is there.
            (PolicyWord::Asks, None) => (Err(()), Builtin::NoPolicy.into()),
        }
    }
}

#[cfg(test)]
mod tests;
