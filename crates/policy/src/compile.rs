//! From the texts of rules to policies: binds the names of sets and policies, refuses cycles, warns of dead rules.
//!
//! Policies are compiled in the order of their calls, each once, and all errors are collected.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::ast::{Action, CommunityItem, Condition, Name, Parsed, PrefixList, Rule};
use crate::community_set::CommunitySet;
use crate::compiled::{Bound, BoundRule, Compiled};
use crate::dead::dead_rules;
use crate::error::did_you_mean;
use crate::parse::parse_rule;
use crate::policy_set::Entry;
use crate::{Builtin, PolicyError, PolicySet, PolicySource, PrefixSet, RuleSource, Sets, Span, SyntaxError};

/// How many calls deep a policy may be.
const MAX_DEPTH: usize = 16;
/// How many rules one run may look at, those of called policies included.
const MAX_COST: u32 = 100_000;

/// The policies that every set has, each of one rule whose id is the reason's.
const BUILT_IN: &[(Builtin, Action<Bound>)] =
    &[(Builtin::AcceptAll, Action::Accept), (Builtin::RejectAll, Action::Reject(None))];

/// See [`PolicySet::compile`] and [`PolicySet::recompile`].
pub(crate) fn compile(
    sources: Vec<PolicySource>,
    sets: &Sets,
    previous: &PolicySet,
) -> Result<PolicySet, Vec<PolicyError>> {
    let mut set = PolicySet::empty();
    set.next = previous.next;
    for (builtin, action) in BUILT_IN {
        let rule = Rule { action: action.clone(), condition: None };
        let text = if *builtin == Builtin::AcceptAll { "accept" } else { "reject" };
        let rules = vec![BoundRule { text: text.to_owned(), rule }];
        let policy = Arc::new(Compiled::new(builtin.name().to_owned(), (*builtin).into(), rules));
        set.policies
            .insert(builtin.name().to_owned(), Entry { policy, locations: vec!["built in".to_owned()] });
    }
    let mut compiler = Compiler {
        parsed: BTreeMap::new(),
        declared: set.policies.keys().cloned().collect(),
        sets,
        previous,
        set,
        prefix_sets: BTreeMap::new(),
        community_sets: BTreeMap::new(),
        calling: Vec::new(),
        errors: Vec::new(),
    };
    let order = compiler.parse(sources);
    for name in &order {
        compiler.policy(name);
    }
    let Compiler { set, mut errors, .. } = compiler;
    if errors.is_empty() {
        return Ok(set);
    }
    let place = |error: &PolicyError| order.iter().position(|name| *name == error.policy);
    errors.sort_by_key(|error| (place(error), error.rule, error.span));
    errors.dedup();
    Err(errors)
}

/// A policy whose rules have been read; `None` where one could not be.
struct ParsedPolicy {
    rules: Vec<Option<Rule<Parsed>>>,
    /// The lengths of the rules' texts, in bytes.
    lens: Vec<usize>,
    locations: Vec<String>,
}

struct Compiler<'a> {
    /// What is left to compile.
    parsed: BTreeMap<String, ParsedPolicy>,
    /// The names of all policies, whether they compile or not.
    declared: BTreeSet<String>,
    sets: &'a Sets,
    previous: &'a PolicySet,
    set: PolicySet,
    /// The sets that rules have named so far.
    prefix_sets: BTreeMap<String, Arc<PrefixSet>>,
    community_sets: BTreeMap<String, Arc<CommunitySet>>,
    /// The policies that are being compiled, each called by the one before it.
    calling: Vec<String>,
    errors: Vec<PolicyError>,
}

/// The rule that is being bound.
#[derive(Clone, Copy)]
struct Place<'a> {
    policy: &'a str,
    rule: usize,
    /// The length of its text.
    len: usize,
}

impl Place<'_> {
    fn span(self, name: &Name) -> Span {
        name.span(self.len)
    }

    fn error(self, error: SyntaxError) -> PolicyError {
        let SyntaxError { span, message, help } = error;
        PolicyError { policy: self.policy.to_owned(), rule: self.rule, span, message, help }
    }
}

fn at(span: Span, message: String) -> SyntaxError {
    SyntaxError { span, message, help: None }
}

impl Compiler<'_> {
    /// Reads all rules; returns the names in the order of the configuration.
    fn parse(&mut self, sources: Vec<PolicySource>) -> Vec<String> {
        let mut order = Vec::new();
        for PolicySource { name, rules } in sources {
            let mut policy = ParsedPolicy { rules: Vec::new(), lens: Vec::new(), locations: Vec::new() };
            for (index, RuleSource { text, location }) in rules.into_iter().enumerate() {
                let place = Place { policy: &name, rule: index, len: text.len() };
                let rule = parse_rule(&text).map_err(|error| self.errors.push(place.error(error)));
                policy.rules.push(rule.ok());
                policy.lens.push(text.len());
                policy.locations.push(location);
            }
            if !self.declared.insert(name.clone()) {
                let message = if self.set.policies.contains_key(&name) {
                    format!("`{name}` is a built-in policy: give this one another name")
                } else {
                    format!("there are two policies named `{name}`")
                };
                self.errors
                    .push(Place { policy: &name, rule: 0, len: 0 }.error(at(Span::default(), message)));
            } else {
                self.parsed.insert(name.clone(), policy);
            }
            order.push(name);
        }
        order
    }

    /// Compiles a policy unless that is done; `None` if it has errors, which are collected already.
    fn policy(&mut self, name: &str) -> Option<Arc<Compiled>> {
        if let Some(entry) = self.set.policies.get(name) {
            return Some(Arc::clone(&entry.policy));
        }
        let ParsedPolicy { rules, lens, locations } = self.parsed.remove(name)?;
        self.calling.push(name.to_owned());
        let mut bound = Some(Vec::with_capacity(rules.len()));
        for (index, (rule, len)) in rules.into_iter().zip(&lens).enumerate() {
            let rule = rule.and_then(|rule| self.rule(Place { policy: name, rule: index, len: *len }, rule));
            match (&mut bound, rule) {
                (Some(bound), Some(rule)) => bound.push(rule),
                _ => bound = None,
            }
        }
        self.calling.pop();
        let policy = Compiled::new(name.to_owned(), self.set.next, bound?);
        if policy.cost() > MAX_COST {
            let message =
                format!("a run of this policy could look at {} rules: at most {MAX_COST}", policy.cost());
            let place = Place { policy: name, rule: 0, len: 0 };
            self.errors.push(place.error(at(Span::default(), message)));
            return None;
        }
        let policy = self.identify(policy);
        self.warn_of_dead_rules(&policy, &lens);
        self.set.by_id.insert(policy.first(), name.to_owned());
        self.set.policies.insert(name.to_owned(), Entry { policy: Arc::clone(&policy), locations });
        Some(policy)
    }

    /// The equal policy of the previous set, so that its ids live on; else this one, whose ids are new.
    fn identify(&mut self, policy: Compiled) -> Arc<Compiled> {
        if let Some(previous) = self.previous.get(policy.name()).filter(|previous| **previous == policy) {
            return previous;
        }
        // An empty policy takes a number too: no two policies begin at the same id.
        self.set.next = policy.id(policy.rules().len().max(1));
        Arc::new(policy)
    }

    fn warn_of_dead_rules(&mut self, policy: &Compiled, lens: &[usize]) {
        for (index, message) in dead_rules(policy.bound_rules()) {
            let len = lens.get(index).copied().unwrap_or(0);
            let place = Place { policy: policy.name(), rule: index, len };
            self.set.warnings.push(place.error(at(Span { start: 0, end: len }, message)));
        }
    }

    /// Binds a rule. Every name in it is looked at, so that all errors are found.
    fn rule(&mut self, place: Place<'_>, rule: Rule<Parsed>) -> Option<BoundRule> {
        let text = rule.to_string();
        let condition = rule.condition.map(|condition| self.condition(place, condition));
        let action = self.action(place, rule.action)?;
        let condition = match condition {
            None => None,
            Some(bound) => Some(bound?),
        };
        Some(BoundRule { text, rule: Rule { action, condition } })
    }

    fn action(&mut self, place: Place<'_>, action: Action<Parsed>) -> Option<Action<Bound>> {
        Some(match action {
            Action::Accept => Action::Accept,
            Action::Reject(text) => Action::Reject(text),
            Action::SetNumber(number, value) => Action::SetNumber(number, value),
            Action::SetOrigin(origin) => Action::SetOrigin(origin),
            Action::SetTable(table) => Action::SetTable(table),
            Action::SetNextHop(next_hop) => Action::SetNextHop(next_hop),
            Action::AddCommunities(values) => Action::AddCommunities(values),
            Action::RemoveCommunities(items) => Action::RemoveCommunities(self.communities(place, items)?),
            Action::Prepend { asn, times } => Action::Prepend { asn, times },
            Action::Call(name) => Action::Call(self.call(place, &name)?),
        })
    }

    fn condition(&mut self, place: Place<'_>, condition: Condition<Parsed>) -> Option<Condition<Bound>> {
        Some(match condition {
            Condition::And(parts) => Condition::And(self.conditions(place, parts)?),
            Condition::Or(parts) => Condition::Or(self.conditions(place, parts)?),
            Condition::Not(inner) => Condition::Not(Box::new(self.condition(place, *inner)?)),
            Condition::PrefixIn(list) => Condition::PrefixIn(self.prefixes(place, list)?),
            Condition::NextHopIn(list) => Condition::NextHopIn(self.prefixes(place, list)?),
            Condition::CommunityHas(items) => Condition::CommunityHas(self.communities(place, items)?),
            Condition::Compare(number, comparison, value) => Condition::Compare(number, comparison, value),
            Condition::AsPath(regex) => Condition::AsPath(regex),
            Condition::Asn(field, set) => Condition::Asn(field, set),
            Condition::Family(family) => Condition::Family(family),
            Condition::Origin(origin) => Condition::Origin(origin),
            Condition::Source(source) => Condition::Source(source),
            Condition::Peer(name) => {
                self.warn_of_unknown_peer(place, &name);
                Condition::Peer(name)
            }
            Condition::PeerRole(role) => Condition::PeerRole(role),
            Condition::Otc(asn) => Condition::Otc(asn),
            Condition::OriginatorId(id) => Condition::OriginatorId(id),
            Condition::ClusterHas(id) => Condition::ClusterHas(id),
            Condition::Rpki(state) => Condition::Rpki(state),
            Condition::Aspa(state) => Condition::Aspa(state),
            Condition::Irr(question) => Condition::Irr(question),
        })
    }

    fn conditions(
        &mut self,
        place: Place<'_>,
        parts: Vec<Condition<Parsed>>,
    ) -> Option<Vec<Condition<Bound>>> {
        let bound: Vec<_> = parts.into_iter().map(|part| self.condition(place, part)).collect();
        bound.into_iter().collect()
    }

    fn prefixes(&mut self, place: Place<'_>, list: PrefixList) -> Option<Arc<PrefixSet>> {
        let name = match list {
            PrefixList::Literals(patterns) => return Some(Arc::new(patterns.into_iter().collect())),
            PrefixList::Set(name) => name,
        };
        if let Some(set) = self.prefix_sets.get(&name.text) {
            return Some(Arc::clone(set));
        }
        let Some(patterns) = self.sets.prefix_sets.get(&name.text) else {
            self.unknown(place, &name, "prefix set", self.sets.prefix_sets.keys().map(String::as_str));
            return None;
        };
        let set: Arc<PrefixSet> = Arc::new(patterns.iter().copied().collect());
        self.prefix_sets.insert(name.text, Arc::clone(&set));
        Some(set)
    }

    fn communities(&mut self, place: Place<'_>, items: Vec<CommunityItem>) -> Option<Arc<CommunitySet>> {
        if let [CommunityItem::Set(name)] = items.as_slice()
            && let Some(set) = self.community_sets.get(&name.text)
        {
            return Some(Arc::clone(set));
        }
        let mut patterns = Some(Vec::new());
        for item in &items {
            match (item, self.sets) {
                (CommunityItem::Pattern(pattern), _) => {
                    patterns.iter_mut().for_each(|all| all.push(*pattern))
                }
                (CommunityItem::Set(name), Sets { community_sets, .. }) => {
                    match community_sets.get(&name.text) {
                        Some(set) => patterns.iter_mut().for_each(|all| all.extend(set)),
                        None => {
                            let names = community_sets.keys().map(String::as_str);
                            let known = siskin_bgp::attr::Community::well_known().map(|(known, _)| known);
                            self.unknown(place, name, "community set", names.chain(known));
                            patterns = None;
                        }
                    }
                }
            }
        }
        let set: Arc<CommunitySet> = Arc::new(patterns?.into_iter().collect());
        if let [CommunityItem::Set(name)] = items.as_slice() {
            self.community_sets.insert(name.text.clone(), Arc::clone(&set));
        }
        Some(set)
    }

    fn call(&mut self, place: Place<'_>, name: &Name) -> Option<Arc<Compiled>> {
        if let Some(first) = self.calling.iter().position(|calling| *calling == name.text) {
            let cycle = self.calling.iter().skip(first).chain([&name.text]);
            let message = format!(
                "policies call each other in a circle: {}",
                cycle.cloned().collect::<Vec<_>>().join(" → ")
            );
            self.errors.push(place.error(at(place.span(name), message)));
            return None;
        }
        let too_deep = || {
            place.error(at(
                place.span(name),
                format!("calls are nested too deeply: at most {MAX_DEPTH} levels"),
            ))
        };
        if self.calling.len() > MAX_DEPTH {
            self.errors.push(too_deep());
            return None;
        }
        if !self.declared.contains(&name.text) {
            let names = self.declared.clone();
            self.unknown(place, name, "policy", names.iter().map(String::as_str));
            return None;
        }
        let policy = self.policy(&name.text)?;
        if self.calling.len().saturating_add(policy.depth()) > MAX_DEPTH {
            self.errors.push(too_deep());
            return None;
        }
        Some(policy)
    }

    fn unknown<'n>(
        &mut self,
        place: Place<'_>,
        name: &Name,
        what: &str,
        known: impl Iterator<Item = &'n str>,
    ) {
        let help = did_you_mean(&name.text, known);
        let message = format!("no {what} is named `{}`", name.text);
        self.errors.push(place.error(at(place.span(name), message).with_help(help)));
    }

    fn warn_of_unknown_peer(&mut self, place: Place<'_>, name: &Name) {
        if let Some(peers) = self.sets.peers.as_ref().filter(|peers| !peers.contains(&name.text)) {
            let help = did_you_mean(&name.text, peers.iter().map(String::as_str));
            let message = format!("no peer is named `{}`", name.text);
            self.set.warnings.push(place.error(at(place.span(name), message).with_help(help)));
        }
    }
}
