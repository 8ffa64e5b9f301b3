//! All policies of a configuration, and the meaning of the rule ids they gave out.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use crate::compile::compile;
use crate::{CommunityPattern, Compiled, PolicyError, PrefixPattern, RuleId};

/// A rule as configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleSource {
    /// The rule.
    pub text: String,
    /// Where it stands, for people: `siskin.toml:88`.
    pub location: String,
}

/// A policy as configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicySource {
    /// Its name.
    pub name: String,
    /// Its rules, first to last.
    pub rules: Vec<RuleSource>,
}

/// What the rules can name besides policies.
#[derive(Clone, Debug, Default)]
pub struct Sets {
    /// `[prefix-set.NAME]`.
    pub prefix_sets: BTreeMap<String, Vec<PrefixPattern>>,
    /// `[community-set.NAME]`.
    pub community_sets: BTreeMap<String, Vec<CommunityPattern>>,
    /// The names of the configured peers, if known: a rule that names another one is warned about (it may be a
    /// dynamic peer, so it is no error).
    pub peers: Option<BTreeSet<String>>,
}

/// What a rule id stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RuleInfo<'a> {
    /// The policy's name.
    pub policy: &'a str,
    /// Which of its rules, counted from 0.
    pub index: usize,
    /// Where it stands: `siskin.toml:88`.
    pub location: &'a str,
    /// The rule in normal form.
    pub text: &'a str,
    /// The text of a `reject "text"`.
    pub reason: Option<&'a str>,
}

/// A policy and where its rules stand.
pub(crate) struct Entry {
    pub(crate) policy: Arc<Compiled>,
    pub(crate) locations: Vec<String>,
}

/// The policies of one configuration, compiled together. `accept-all` and `reject-all` are always among them.
pub struct PolicySet {
    pub(crate) policies: BTreeMap<String, Entry>,
    /// Names by the first id of each policy.
    pub(crate) by_id: BTreeMap<RuleId, String>,
    pub(crate) warnings: Vec<PolicyError>,
    /// The first id that was never given out, by this set or those before it.
    pub(crate) next: RuleId,
}

impl PolicySet {
    /// No policy at all, not even the built-in ones: what [`PolicySet::compile`] starts from.
    pub(crate) fn empty() -> PolicySet {
        PolicySet {
            policies: BTreeMap::new(),
            by_id: BTreeMap::new(),
            warnings: Vec::new(),
            next: RuleId::FIRST_OF_POLICIES,
        }
    }

    /// Compiles all policies.
    ///
    /// # Errors
    /// Every error of every rule, in the order of the policies and rules.
    pub fn compile(sources: Vec<PolicySource>, sets: &Sets) -> Result<PolicySet, Vec<PolicyError>> {
        compile(sources, sets, &PolicySet::empty())
    }

    /// Compiles a new configuration's policies so that rule ids keep their meaning: a policy that is equal to one
    /// of this set keeps its ids, all others get ids that were never given out before.
    ///
    /// # Errors
    /// As [`PolicySet::compile`].
    pub fn recompile(&self, sources: Vec<PolicySource>, sets: &Sets) -> Result<PolicySet, Vec<PolicyError>> {
        compile(sources, sets, self)
    }

    /// The policy of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Arc<Compiled>> {
        self.policies.get(name).map(|entry| Arc::clone(&entry.policy))
    }

    /// The names of all policies, the built-in ones included, in alphabetical order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.policies.keys().map(String::as_str)
    }

    /// What is allowed but probably not meant: rules that never apply, peers that are not configured.
    #[must_use]
    pub fn warnings(&self) -> &[PolicyError] {
        &self.warnings
    }

    /// The rule of a policy that an id stands for; `None` of built-in reasons and of ids of policies that are gone.
    #[must_use]
    pub fn rule(&self, id: RuleId) -> Option<RuleInfo<'_>> {
        let (first, name) = self.by_id.range(..=id).next_back()?;
        let entry = self.policies.get(name)?;
        let index = usize::try_from(id.0.checked_sub(first.0)?).ok()?;
        let rule = entry.policy.bound_rules().get(index)?;
        Some(RuleInfo {
            policy: name,
            index,
            location: entry.locations.get(index)?,
            text: &rule.text,
            reason: rule.reason(),
        })
    }

    /// The rule or reason in words: `policy fabric-in rule 3, siskin.toml:88: reject if …`,
    /// `as-loop: our own AS number is in the AS path`.
    #[must_use]
    pub fn describe(&self, id: RuleId) -> String {
        if let Some(builtin) = id.builtin() {
            return builtin.to_string();
        }
        match self.rule(id) {
            Some(rule) => {
                let number = rule.index.saturating_add(1);
                format!("policy {} rule {number}, {}: {}", rule.policy, rule.location, rule.text)
            }
            None => "a rule of an earlier configuration".to_owned(),
        }
    }
}

impl fmt::Debug for PolicySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.policies.keys()).finish()
    }
}
