//! What each rule did to a route: for `explain` and `policy test`. It is the same run as [`evaluate`](crate::evaluate),
//! with someone who takes notes.

use std::fmt;

use siskin_bgp::PathAttributes;

use crate::ast::{Action, ORIGINS, word_of};
use crate::compiled::{BoundRule, Compiled};
use crate::evaluate::{Observer, Run, State};
use crate::{Builtin, CommunityValue, Facts, Needs, NextHopAction, RouteView, RuleId};

/// One rule that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The rule, or [`Builtin::DefaultReject`] where the end was reached.
    pub rule: RuleId,
    /// The policy it belongs to.
    pub policy: String,
    /// How many calls led to it: 0 in the policy itself.
    pub depth: usize,
    /// The rule in normal form.
    pub text: String,
    /// Whether its condition was true.
    pub matched: bool,
    /// The facts its condition asked for in vain; with any, a condition that was not true may have been unknown.
    pub missing: Needs,
    /// What it did.
    pub effect: Effect,
}

/// What a rule did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Its condition was false.
    Skipped,
    /// Its condition could not be judged without the missing facts.
    Unknown,
    /// It accepted the route.
    Accepted,
    /// It rejected the route, with the text of `reject "text"`.
    Rejected(Option<String>),
    /// It changed these things, in words: `local-pref 100 → 200`.
    Changed(Vec<String>),
    /// The route had the value already.
    Unchanged,
    /// It called a policy; the steps of that follow, one deeper.
    Called,
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Effect::Skipped => f.write_str("not matched"),
            Effect::Unknown => f.write_str("unknown: data is missing"),
            Effect::Accepted => f.write_str("accepted"),
            Effect::Rejected(None) => f.write_str("rejected"),
            Effect::Rejected(Some(text)) => write!(f, "rejected: {text}"),
            Effect::Changed(changes) => f.write_str(&changes.join(", ")),
            Effect::Unchanged => f.write_str("nothing to change"),
            Effect::Called => f.write_str("called"),
        }
    }
}

/// Runs the policy and tells what every rule that was looked at did, in order; the last one decided.
#[must_use]
pub fn trace<F: Facts + ?Sized>(policy: &Compiled, route: RouteView<'_>, facts: &F) -> Vec<Step> {
    let mut notes = Notes { steps: Vec::new(), before: None };
    Run::new(route, facts, &mut notes).finish(policy);
    notes.steps
}

struct Notes {
    steps: Vec<Step>,
    /// The attributes and the next hop before the rule being looked at.
    before: Option<(PathAttributes, NextHopAction)>,
}

impl Observer for Notes {
    fn before(&mut self, policy: &Compiled, index: usize, depth: usize, state: &State<'_>) {
        self.before = Some((state.attributes().clone(), state.next_hop));
        self.steps.push(Step {
            rule: policy.id(index),
            policy: policy.name().to_owned(),
            depth,
            text: String::new(),
            matched: false,
            missing: Needs::NONE,
            effect: Effect::Skipped,
        });
    }

    fn after(&mut self, bound: &BoundRule, matched: Option<bool>, missing: Needs, state: &State<'_>) {
        let (Some(step), Some((before, next_hop))) = (self.steps.last_mut(), self.before.take()) else {
            return;
        };
        step.text.clone_from(&bound.text);
        step.matched = matched == Some(true);
        step.missing = missing;
        step.effect = match (matched, &bound.rule.action) {
            (Some(false), _) => Effect::Skipped,
            (None, _) => Effect::Unknown,
            (_, Action::Accept) => Effect::Accepted,
            (_, Action::Reject(text)) => Effect::Rejected(text.clone()),
            (_, Action::Call(_)) => Effect::Called,
            _ => {
                let mut changes = differences(&before, state.attributes());
                if next_hop != state.next_hop {
                    changes.push(format!("next-hop {}", state.next_hop));
                }
                if changes.is_empty() { Effect::Unchanged } else { Effect::Changed(changes) }
            }
        };
    }

    fn fell_off(&mut self, policy: &Compiled, depth: usize) {
        if depth == 0 {
            self.steps.push(Step {
                rule: Builtin::DefaultReject.into(),
                policy: policy.name().to_owned(),
                depth,
                text: Builtin::DefaultReject.text().to_owned(),
                matched: true,
                missing: Needs::NONE,
                effect: Effect::Rejected(None),
            });
        }
    }
}

/// What differs, in words.
fn differences(before: &PathAttributes, after: &PathAttributes) -> Vec<String> {
    let number = |value: Option<u32>| value.map_or_else(|| "unset".to_owned(), |n| n.to_string());
    let table = |attributes: &PathAttributes| number(Some(attributes.table).filter(|table| *table != 0));
    let origin = |attributes: &PathAttributes| word_of(ORIGINS, &attributes.origin).to_owned();
    let values = [
        ("local-pref", number(before.local_pref), number(after.local_pref)),
        ("med", number(before.med), number(after.med)),
        ("weight", before.weight.to_string(), after.weight.to_string()),
        ("table", table(before), table(after)),
        ("origin", origin(before), origin(after)),
        ("as-path", before.as_path.to_string(), after.as_path.to_string()),
    ];
    let mut changes: Vec<String> = values
        .into_iter()
        .filter(|(_, old, new)| old != new)
        .map(|(name, old, new)| format!("{name} {old} → {new}"))
        .collect();
    let (old, new) = (communities(before), communities(after));
    changes.extend(new.iter().filter(|c| !old.contains(c)).map(|c| format!("community +{c}")));
    changes.extend(old.iter().filter(|c| !new.contains(c)).map(|c| format!("community -{c}")));
    changes
}

fn communities(attributes: &PathAttributes) -> Vec<CommunityValue> {
    let standard = attributes.communities.iter().map(|c| CommunityValue::Standard(*c));
    let large = attributes.large_communities.iter().map(|c| CommunityValue::Large(*c));
    let extended = attributes.ext_communities.iter().map(|c| CommunityValue::Extended(*c));
    standard.chain(large).chain(extended).collect()
}
