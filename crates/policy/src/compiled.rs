//! A policy ready to run, its identity, and what it asks of a route.

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use crate::ast::{Action, Condition, Irr, Number, Rule, Stage};
use crate::community_set::CommunitySet;
use crate::{Needs, NextHopAction, PrefixSet, RuleId};

/// The tree with its names bound.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Bound;

impl Stage for Bound {
    type Prefixes = Arc<PrefixSet>;
    type Communities = Arc<CommunitySet>;
    type Policy = Arc<Compiled>;
}

/// A rule and its text in normal form.
#[derive(PartialEq, Eq, Hash)]
pub(crate) struct BoundRule {
    pub(crate) text: String,
    pub(crate) rule: Rule<Bound>,
}

impl BoundRule {
    /// The text of a `reject "text"`.
    pub(crate) fn reason(&self) -> Option<&str> {
        match &self.rule.action {
            Action::Reject(reason) => reason.as_deref(),
            _ => None,
        }
    }
}

/// A policy ready to run. Two are equal, and have equal hashes, if name, rules, the contents of the sets and the
/// policies they call are equal; where the rules stand in the configuration and their [`RuleId`]s do not count.
pub struct Compiled {
    name: String,
    first: RuleId,
    rules: Vec<BoundRule>,
    inputs: Inputs,
    /// A hash of all that counts for equality, so that hashing a policy does not walk its sets.
    fingerprint: u64,
}

/// What the outcome can depend on besides the attributes.
#[derive(Clone, Copy, Default)]
struct Inputs {
    prefix: bool,
    peer: bool,
    /// A rule sets the next hop to the peer's address.
    next_hop_peer: bool,
    needs: Needs,
    /// No route falls off the end.
    decides: bool,
    /// Rules that run at most, those of called policies included.
    cost: u32,
    /// How many calls deep a run can get.
    depth: usize,
}

impl Compiled {
    pub(crate) fn new(name: String, first: RuleId, rules: Vec<BoundRule>) -> Compiled {
        let mut hasher = DefaultHasher::new();
        (&name, &rules).hash(&mut hasher);
        let mut inputs = Inputs::default();
        for rule in &rules {
            inputs.add_rule(&rule.rule);
        }
        Compiled { name, first, rules, inputs, fingerprint: hasher.finish() }
    }

    /// The policy's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The rules in normal form, in order, each with its id.
    pub fn rules(&self) -> impl ExactSizeIterator<Item = (RuleId, &str)> {
        self.rules.iter().enumerate().map(|(i, rule)| (self.id(i), rule.text.as_str()))
    }

    /// Whether the verdict can differ between two prefixes of the same attributes: the policy, or one that it
    /// calls, asks for the prefix, its length or family, for RPKI or for IRR. If not, one run serves a whole UPDATE.
    #[must_use]
    pub fn depends_on_prefix(&self) -> bool {
        self.inputs.prefix
    }

    /// Whether the verdict can differ between two sources of the same attributes and prefix: the policy asks for
    /// the peer, its role, or the kind of source.
    #[must_use]
    pub fn depends_on_peer(&self) -> bool {
        self.inputs.peer
    }

    /// Whether a rule says `set next-hop peer`: only then does export need to know the peer's address.
    #[must_use]
    pub fn sets_next_hop_peer(&self) -> bool {
        self.inputs.next_hop_peer
    }

    /// The facts the policy, or one that it calls, asks for.
    #[must_use]
    pub fn needs(&self) -> Needs {
        self.inputs.needs
    }

    pub(crate) fn bound_rules(&self) -> &[BoundRule] {
        &self.rules
    }

    pub(crate) fn first(&self) -> RuleId {
        self.first
    }

    /// The id of a rule by its place, from 0.
    pub(crate) fn id(&self, index: usize) -> RuleId {
        RuleId(self.first.0.saturating_add(u32::try_from(index).unwrap_or(u32::MAX)))
    }

    /// Whether no route can fall off the end.
    pub(crate) fn decides(&self) -> bool {
        self.inputs.decides
    }

    /// How many calls deep a run can get: 0 if it calls nothing.
    pub(crate) fn depth(&self) -> usize {
        self.inputs.depth
    }

    /// How many rules one run looks at, at most.
    pub(crate) fn cost(&self) -> u32 {
        self.inputs.cost
    }
}

impl Inputs {
    fn add_rule(&mut self, rule: &Rule<Bound>) {
        self.cost = self.cost.saturating_add(1);
        if let Some(condition) = &rule.condition {
            self.add_condition(condition);
        }
        let decides = match &rule.action {
            Action::Accept | Action::Reject(_) => true,
            Action::Call(policy) => {
                self.prefix |= policy.inputs.prefix;
                self.peer |= policy.inputs.peer;
                self.next_hop_peer |= policy.inputs.next_hop_peer;
                self.needs = self.needs | policy.inputs.needs;
                self.cost = self.cost.saturating_add(policy.inputs.cost);
                self.depth = self.depth.max(policy.inputs.depth.saturating_add(1));
                policy.inputs.decides
            }
            Action::SetNextHop(NextHopAction::Peer) => {
                self.next_hop_peer = true;
                false
            }
            _ => false,
        };
        self.decides |= decides && rule.condition.is_none();
    }

    fn add_condition(&mut self, condition: &Condition<Bound>) {
        match condition {
            Condition::And(parts) | Condition::Or(parts) => parts.iter().for_each(|p| self.add_condition(p)),
            Condition::Not(inner) => self.add_condition(inner),
            Condition::PrefixIn(_) | Condition::Family(_) | Condition::Compare(Number::PrefixLen, ..) => {
                self.prefix = true;
            }
            Condition::Peer(_) | Condition::PeerRole(_) | Condition::Source(_) => self.peer = true,
            Condition::Rpki(_) => {
                self.prefix = true;
                self.needs = self.needs | Needs::RPKI;
            }
            Condition::Irr(question) => {
                self.prefix |= *question != Irr::Origin;
                self.peer = true;
                self.needs = self.needs | Needs::IRR;
            }
            Condition::Aspa(_) => {
                self.peer = true;
                self.needs = self.needs | Needs::ASPA;
            }
            Condition::NextHopIn(_)
            | Condition::CommunityHas(_)
            | Condition::Compare(..)
            | Condition::AsPath(_)
            | Condition::Asn(..)
            | Condition::Origin(_)
            | Condition::Otc(_)
            | Condition::OriginatorId(_)
            | Condition::ClusterHas(_) => {}
        }
    }
}

impl PartialEq for Compiled {
    fn eq(&self, other: &Self) -> bool {
        self.fingerprint == other.fingerprint && self.name == other.name && self.rules == other.rules
    }
}

impl Eq for Compiled {}

impl Hash for Compiled {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.fingerprint);
    }
}

impl fmt::Debug for Compiled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compiled")
            .field("name", &self.name)
            .field("first", &self.first)
            .finish_non_exhaustive()
    }
}
