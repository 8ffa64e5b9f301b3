//! Sets and policies: compiled together, their errors carried to the place in the file.

use std::collections::BTreeMap;
use std::sync::Arc;

use siskin_net::Asn;
use siskin_policy::{
    CommunityPattern, Compiled, Needs, PolicyError, PolicySet, PolicySource, PrefixPattern, RuleSource, Sets,
};

use super::{Checker, builtin};
use crate::diagnostic::Report;
use crate::model::Rpki;
use crate::read::raw::{Named, Raw, RawPolicy, RawSet};
use crate::read::within;
use crate::source::{Location, Spanned};
use crate::suggest;

/// The names a file cannot give to a policy of its own.
const BUILT_IN: [&str; 2] = ["accept-all", "reject-all"];

/// The most rules of one policy.
const MAX_RULES: usize = 10_000;

/// What came of the policies.
pub(super) struct Policies {
    /// `None` if one could not be compiled.
    pub(super) set: Option<Arc<PolicySet>>,
    pub(super) rules: BTreeMap<String, Vec<String>>,
    pub(super) prefix_sets: BTreeMap<String, Vec<String>>,
    pub(super) community_sets: BTreeMap<String, Vec<String>>,
}

impl Checker<'_> {
    /// Warns of conditions over RPKI data where there will be none.
    pub(super) fn conditions_without_data(
        &mut self,
        raw: &[Named<RawPolicy>],
        policies: &Policies,
        rpki: &Rpki,
    ) {
        const FACTS: [(Needs, &str, &str); 2] = [
            (Needs::RPKI, "rpki", "every route is `not-found`"),
            (Needs::ASPA, "aspa", "every path is `unknown`"),
        ];
        if !rpki.servers.is_empty() {
            return;
        }
        for Named { name, value } in raw {
            let Some(policy) = policies.set.as_ref().and_then(|set| set.get(&name.value)) else { continue };
            for (_, word, effect) in FACTS.iter().filter(|(needs, ..)| policy.needs().contains(*needs)) {
                // A policy that only calls another has no such rule of its own.
                let rule = value.rules.iter().find(|rule| rule.value.split_whitespace().any(|w| w == *word));
                let Some(rule) = rule else { continue };
                let start = rule.value.find(word).unwrap_or(0);
                let at = within(rule.at, &rule.value, start, start + word.len(), self.report);
                let message =
                    format!("policy `{}` asks for `{word}`, but [rpki] has no `servers`", name.value);
                self.report.warning(at, message).label(*effect);
            }
        }
    }
}

impl Policies {
    /// The policy of a name, or a report that there is none.
    pub(super) fn find(&self, name: &Spanned<String>, report: &mut Report) -> Option<Arc<Compiled>> {
        if !self.rules.contains_key(&name.value) && !BUILT_IN.contains(&name.value.as_str()) {
            let names: Vec<&str> = self.rules.keys().map(String::as_str).chain(BUILT_IN).collect();
            report
                .error(name.at, format!("there is no policy `{}`", name.value))
                .label("not declared")
                .maybe_help(suggest::help(&name.value, names.iter().copied(), "declared policies"));
            return None;
        }
        self.set.as_ref()?.get(&name.value)
    }

    /// A policy that no file declares.
    pub(super) fn built_in(&self, name: &str) -> Option<Arc<Compiled>> {
        self.set.as_ref()?.get(name)
    }
}

/// Compiles all policies of the file and those of the roles its peers have; `running` are those whose rule ids are
/// in use.
pub(super) fn compile(
    raw: &Raw,
    local_asn: Asn,
    running: Option<&PolicySet>,
    report: &mut Report,
) -> Policies {
    let sets = Sets {
        prefix_sets: members(&raw.prefix_sets, report, |text| {
            text.parse::<PrefixPattern>().map_err(|e| (e.span.start, e.span.end, e.message, e.help))
        }),
        community_sets: members(&raw.community_sets, report, |text| {
            text.parse::<CommunityPattern>().map_err(|e| (e.span.start, e.span.end, e.message, e.help))
        }),
        peers: Some(raw.peers.iter().map(|peer| peer.name.value.clone()).collect()),
    };
    let mut sources: Vec<PolicySource> =
        raw.policies.iter().filter_map(|policy| source(policy, report)).collect();
    sources.extend(builtin::sources(raw, local_asn));
    let compiled = match running {
        Some(running) => running.recompile(sources, &sets),
        None => PolicySet::compile(sources, &sets),
    };
    let set = match compiled {
        Ok(set) => {
            for warning in set.warnings().iter().filter(|w| !builtin::is_name(&w.policy)) {
                let (at, message) = place(&raw.policies, warning, report);
                report.warning(at, message).maybe_help(warning.help.clone());
            }
            Some(Arc::new(set))
        }
        Err(errors) => {
            for error in errors {
                let (at, message) = place(&raw.policies, &error, report);
                report.error(at, message).maybe_help(error.help.clone());
            }
            None
        }
    };
    Policies {
        set,
        rules: raw.policies.iter().map(|p| (p.name.value.clone(), texts(&p.value.rules))).collect(),
        prefix_sets: raw
            .prefix_sets
            .iter()
            .map(|s| (s.name.value.clone(), texts(&s.value.members)))
            .collect(),
        community_sets: raw
            .community_sets
            .iter()
            .map(|s| (s.name.value.clone(), texts(&s.value.members)))
            .collect(),
    }
}

fn texts(list: &[Spanned<String>]) -> Vec<String> {
    list.iter().map(|text| text.value.clone()).collect()
}

/// Start, end, message and help of a syntax error in one string.
type SyntaxFault = (usize, usize, String, Option<String>);

fn members<T>(
    sets: &[Named<RawSet>],
    report: &mut Report,
    parse: impl Fn(&str) -> Result<T, SyntaxFault>,
) -> BTreeMap<String, Vec<T>> {
    let mut all = BTreeMap::new();
    for set in sets {
        let mut list = Vec::with_capacity(set.value.members.len());
        for member in &set.value.members {
            match parse(&member.value) {
                Ok(pattern) => list.push(pattern),
                Err((start, end, message, help)) => {
                    let at = within(member.at, &member.value, start, end, report);
                    report.error(at, message).maybe_help(help);
                }
            }
        }
        all.insert(set.name.value.clone(), list);
    }
    all
}

fn source(policy: &Named<RawPolicy>, report: &mut Report) -> Option<PolicySource> {
    let name = &policy.name;
    if BUILT_IN.contains(&name.value.as_str()) {
        report.error(name.at, format!("`{}` is a built-in policy", name.value)).label("choose another name");
        return None;
    }
    if policy.value.rules.len() > MAX_RULES {
        report.error(policy.value.at, format!("policy `{}` has more than {MAX_RULES} rules", name.value));
        return None;
    }
    if policy.value.rules.is_empty() {
        report
            .warning(name.at, format!("policy `{}` has no rules: it rejects everything", name.value))
            .label("empty");
    }
    let rules = policy
        .value
        .rules
        .iter()
        .map(|rule| RuleSource { text: rule.value.clone(), location: report.sources().file_line(rule.at) });
    Some(PolicySource { name: name.value.clone(), rules: rules.collect() })
}

/// Where in the file a policy error is, and its message.
fn place(policies: &[Named<RawPolicy>], error: &PolicyError, report: &Report) -> (Location, String) {
    let policy = policies.iter().find(|p| p.name.value == error.policy);
    let rule = policy.and_then(|p| p.value.rules.get(error.rule));
    let at = match (rule, policy) {
        (Some(rule), _) => within(rule.at, &rule.value, error.span.start, error.span.end, report),
        (None, Some(policy)) => policy.name.at,
        (None, None) => Location::file(0),
    };
    (at, format!("policy `{}` rule {}: {}", error.policy, error.rule + 1, error.message))
}
