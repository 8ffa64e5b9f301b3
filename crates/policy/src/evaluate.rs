//! Running a policy on a route.
//!
//! Conditions see what earlier rules changed. A condition is true, false or, where a fact it needs is missing,
//! unknown; `not`, `and` and `or` treat unknown as Kleene's logic does, and a rule applies only if its condition
//! is true. Nothing is allocated until a rule really changes an attribute.

use std::net::IpAddr;

use siskin_bgp::PathAttributes;
use siskin_net::{Asn, Prefix, Role, RouteSource};

use crate::ast::{Action, AsnField, Condition, Irr, Number};
use crate::compiled::{Bound, BoundRule, Compiled};
use crate::{Builtin, Facts, Needs, RuleId};

/// The LOCAL_PREF of a route that carries none.
const DEFAULT_LOCAL_PREF: u32 = 100;

/// The peer a route was learned from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerView<'a> {
    /// Its name in the configuration.
    pub name: &'a str,
    /// Its AS number.
    pub asn: Asn,
    /// What it is to us, if its `role` is configured.
    pub role: Option<Role>,
}

/// A route as policies see it.
#[derive(Clone, Copy, Debug)]
pub struct RouteView<'a> {
    /// The prefix. Of no consequence to a policy that does not depend on it.
    pub prefix: Prefix,
    /// The attributes, before any change.
    pub attributes: &'a PathAttributes,
    /// By what kind of source it entered.
    pub source: RouteSource,
    /// The peer it was learned from, on import and on export alike; `None` of routes of our own.
    pub peer: Option<PeerView<'a>>,
}

/// What becomes of a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It goes on.
    Accept,
    /// It ends here.
    Reject,
}

/// What `set next-hop` asked for. The caller carries it out: policies know no addresses of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum NextHopAction {
    /// No rule said anything: the protocol's own rules hold.
    #[default]
    Default,
    /// Our address on the session.
    SelfAddress,
    /// The next hop as received.
    Unchanged,
    /// The address of the peer the session is with.
    Peer,
    /// Nowhere: the kernel drops what is sent to the prefix (RFC 7999).
    Blackhole,
    /// This address.
    Address(IpAddr),
}

/// The outcome of a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Whether the route goes on.
    pub outcome: Outcome,
    /// The rule that decided.
    pub rule: RuleId,
    /// The attributes after all changes; `None`: as they were given. Always `None` of a rejected route.
    pub attributes: Option<PathAttributes>,
    /// What is to be done about the next hop. Always `Default` of a rejected route.
    pub next_hop: NextHopAction,
}

/// Runs the policy. Allocates only if a rule changes an attribute.
#[must_use]
pub fn evaluate<F: Facts + ?Sized>(policy: &Compiled, route: RouteView<'_>, facts: &F) -> Verdict {
    Run::new(route, facts, &mut Unobserved).finish(policy)
}

/// As [`evaluate`], on attributes that differ already from those of the route: conditions see `changed`, and so does
/// the verdict, unless the policy changed everything back.
#[must_use]
pub fn evaluate_changed<F: Facts + ?Sized>(
    policy: &Compiled,
    route: RouteView<'_>,
    changed: PathAttributes,
    facts: &F,
) -> Verdict {
    let mut observer = Unobserved;
    let mut run = Run::new(route, facts, &mut observer);
    run.state.changed = Some(changed);
    run.finish(policy)
}

/// One who is told of every rule that is looked at.
pub(crate) trait Observer {
    /// Before a rule; `depth` counts the calls that led here.
    fn before(&mut self, _policy: &Compiled, _index: usize, _depth: usize, _state: &State<'_>) {}
    /// After its condition was judged and, unless it is a call, its action was taken.
    fn after(&mut self, _rule: &BoundRule, _matched: Option<bool>, _missing: Needs, _state: &State<'_>) {}
    /// The policy's end was reached without a decision.
    fn fell_off(&mut self, _policy: &Compiled, _depth: usize) {}
}

struct Unobserved;

impl Observer for Unobserved {}

/// The route as the rules so far have left it.
pub(crate) struct State<'a> {
    given: &'a PathAttributes,
    changed: Option<PathAttributes>,
    pub(crate) next_hop: NextHopAction,
}

impl State<'_> {
    pub(crate) fn attributes(&self) -> &PathAttributes {
        self.changed.as_ref().unwrap_or(self.given)
    }

    /// The attributes if they are not as given. The common case, no change, moves nothing.
    fn difference(&mut self) -> Option<PathAttributes> {
        match &self.changed {
            Some(changed) if changed != self.given => self.changed.take(),
            _ => None,
        }
    }

    fn change(&mut self) -> &mut PathAttributes {
        self.changed.get_or_insert_with(|| self.given.clone())
    }
}

/// A run under way.
pub(crate) struct Run<'a, F: ?Sized, O> {
    route: RouteView<'a>,
    facts: &'a F,
    observer: &'a mut O,
    state: State<'a>,
    /// The facts that the condition being judged asked for in vain.
    missing: Needs,
}

impl<'a, F: Facts + ?Sized, O: Observer> Run<'a, F, O> {
    pub(crate) fn new(route: RouteView<'a>, facts: &'a F, observer: &'a mut O) -> Run<'a, F, O> {
        let state = State { given: route.attributes, changed: None, next_hop: NextHopAction::Default };
        Run { route, facts, observer, state, missing: Needs::NONE }
    }

    pub(crate) fn finish(&mut self, policy: &Compiled) -> Verdict {
        match self.policy(policy, 0) {
            Some((Outcome::Accept, rule)) => Verdict {
                outcome: Outcome::Accept,
                rule,
                attributes: self.state.difference(),
                next_hop: self.state.next_hop,
            },
            rejected => Verdict {
                outcome: Outcome::Reject,
                rule: rejected.map_or(Builtin::DefaultReject.into(), |(_, rule)| rule),
                attributes: None,
                next_hop: NextHopAction::Default,
            },
        }
    }

    /// Runs the rules; `None` if no rule decided. Calls end: cycles and deep ones do not compile.
    fn policy(&mut self, policy: &Compiled, depth: usize) -> Option<(Outcome, RuleId)> {
        for (index, bound) in policy.bound_rules().iter().enumerate() {
            self.observer.before(policy, index, depth, &self.state);
            self.missing = Needs::NONE;
            let matched = bound.rule.condition.as_ref().map_or(Some(true), |c| self.test(c));
            let action = matched.unwrap_or(false).then_some(&bound.rule.action);
            if let Some(action) = action {
                self.apply(action);
            }
            self.observer.after(bound, matched, self.missing, &self.state);
            match action {
                Some(Action::Accept) => return Some((Outcome::Accept, policy.id(index))),
                Some(Action::Reject(_)) => return Some((Outcome::Reject, policy.id(index))),
                Some(Action::Call(called)) => {
                    let decided = self.policy(called, depth.saturating_add(1));
                    if decided.is_some() {
                        return decided;
                    }
                }
                _ => {}
            }
        }
        self.observer.fell_off(policy, depth);
        None
    }

    /// Makes the change an action asks for, if it is one; attributes that have the value already stay untouched.
    fn apply(&mut self, action: &Action<Bound>) {
        let now = self.state.attributes();
        match action {
            Action::SetNumber(Number::LocalPref, value) if now.local_pref != Some(*value) => {
                self.state.change().local_pref = Some(*value);
            }
            Action::SetNumber(Number::Med, value) if now.med != Some(*value) => {
                self.state.change().med = Some(*value);
            }
            Action::SetNumber(Number::Weight, value) if now.weight != *value => {
                self.state.change().weight = *value;
            }
            Action::SetTable(table) if now.table != *table => self.state.change().table = *table,
            Action::SetOrigin(origin) if now.origin != *origin => self.state.change().origin = *origin,
            Action::SetNextHop(next_hop) => self.state.next_hop = *next_hop,
            Action::AddCommunities(values) => {
                for value in values {
                    if !value.is_in(self.state.attributes()) {
                        value.add_to(self.state.change());
                    }
                }
            }
            Action::RemoveCommunities(set) if set.intersects(now) => set.remove_from(self.state.change()),
            Action::Prepend { asn, times } => {
                let path = now.as_path.prepended(*asn, usize::from(*times));
                self.state.change().as_path = path;
            }
            _ => {}
        }
    }

    /// Whether the condition holds; `None` if a missing fact leaves it open.
    fn test(&mut self, condition: &Condition<Bound>) -> Option<bool> {
        let attributes = self.state.attributes();
        let peer = self.route.peer;
        Some(match condition {
            Condition::And(parts) => return self.test_all(parts, true),
            Condition::Or(parts) => return self.test_all(parts, false),
            Condition::Not(inner) => return self.test(inner).map(|holds| !holds),
            Condition::Rpki(wanted) => {
                let state = self.facts.rpki(self.route.prefix, attributes.as_path.origin_as());
                return self.known(Needs::RPKI, state).map(|state| state == *wanted);
            }
            Condition::Aspa(wanted) => {
                let state = self.facts.aspa(&attributes.as_path, peer);
                return self.known(Needs::ASPA, state).map(|state| state == *wanted);
            }
            Condition::Irr(question) => {
                let origin = attributes.as_path.origin_as();
                let state = peer.and_then(|peer| match question {
                    Irr::Match => self.facts.irr(peer.name, self.route.prefix, origin),
                    Irr::Covers => self.facts.irr_covers(peer.name, self.route.prefix),
                    Irr::Origin => self.facts.irr_origin(peer.name, origin),
                });
                return self.known(Needs::IRR, state);
            }
            Condition::PrefixIn(set) => set.contains(self.route.prefix),
            Condition::NextHopIn(set) => match self.state.next_hop {
                NextHopAction::Address(address) => set.contains_address(address),
                _ => {
                    let next_hop = attributes.next_hop;
                    set.contains_address(next_hop.address)
                        || next_hop.link_local.is_some_and(|address| set.contains_address(address.into()))
                }
            },
            Condition::CommunityHas(set) => set.intersects(attributes),
            Condition::Compare(number, comparison, value) => comparison.holds(self.number(*number), *value),
            Condition::AsPath(regex) => regex.is_match(&attributes.as_path),
            Condition::Asn(AsnField::Anywhere, set) => attributes.as_path.asns().any(|asn| set.contains(asn)),
            Condition::Asn(AsnField::Origin, set) => {
                attributes.as_path.origin_as().is_some_and(|asn| set.contains(asn))
            }
            Condition::Asn(AsnField::Neighbor, set) => {
                attributes.as_path.neighbor_as().is_some_and(|asn| set.contains(asn))
            }
            Condition::Family(family) => self.route.prefix.family() == *family,
            Condition::Origin(origin) => attributes.origin == *origin,
            Condition::Otc(None) => attributes.otc.is_some(),
            Condition::Otc(wanted) => attributes.otc == *wanted,
            Condition::OriginatorId(id) => attributes.originator_id == Some(*id),
            Condition::ClusterHas(id) => attributes.cluster_list.contains(&id.0),
            Condition::Source(source) => self.route.source == *source,
            Condition::Peer(name) => peer.is_some_and(|peer| peer.name == name.text),
            Condition::PeerRole(role) => peer.is_some_and(|peer| peer.role == Some(*role)),
        })
    }

    /// `and` if `wanted`, else `or`: the first part that is not as wanted decides, whatever is unknown before it.
    fn test_all(&mut self, parts: &[Condition<Bound>], wanted: bool) -> Option<bool> {
        let mut result = Some(wanted);
        for part in parts {
            match self.test(part) {
                Some(holds) if holds == wanted => {}
                Some(holds) => return Some(holds),
                None => result = None,
            }
        }
        result
    }

    fn known<T>(&mut self, need: Needs, fact: Option<T>) -> Option<T> {
        if fact.is_none() {
            self.missing = self.missing | need;
        }
        fact
    }

    fn number(&self, number: Number) -> u32 {
        let attributes = self.state.attributes();
        match number {
            Number::LocalPref => attributes.local_pref.unwrap_or(DEFAULT_LOCAL_PREF),
            Number::Med => attributes.med.unwrap_or(0),
            Number::Weight => attributes.weight,
            Number::PrefixLen => u32::from(self.route.prefix.len()),
            Number::AsPathLen => attributes.as_path.decision_len(),
        }
    }
}
