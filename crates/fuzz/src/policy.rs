//! Texts of operators: rules, and the entries of sets.

use std::collections::BTreeMap;

use siskin_bgp::PathAttributes;
use siskin_net::{Prefix, RouteSource};
use siskin_policy::{
    CommunityPattern, CommunityValue, NoFacts, PolicySet, PolicySource, PrefixPattern, PrefixSet, RouteView,
    RuleSource, Sets, SyntaxError, evaluate, normalize, trace,
};

/// An error points into the text it is about.
fn points_into(text: &str, error: &SyntaxError) {
    let span = error.span;
    assert!(text.get(span.start..span.end).is_some(), "{span:?} is no place in {text:?}");
}

/// Rules, one a line: each is read or refused with its place; what is read prints as it reads; and a policy of all
/// of them runs to the same end with and without a trace.
pub(crate) fn rule_language(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut rules = Vec::new();
    for line in text.lines() {
        match normalize(line) {
            Ok(normal) => {
                assert_eq!(normalize(&normal).as_ref(), Ok(&normal), "of {line:?}");
                rules.push(normal);
            }
            Err(error) => points_into(line, &error),
        }
    }
    let texts: Vec<String> = rules.clone();
    let rules = rules.into_iter().map(|text| RuleSource { text, location: String::new() });
    let policy = PolicySource { name: "fuzz".to_owned(), rules: rules.collect() };
    let sets = Sets {
        prefix_sets: BTreeMap::from([("own".to_owned(), Vec::new())]),
        community_sets: BTreeMap::from([("drain".to_owned(), Vec::new())]),
        peers: None,
    };
    match PolicySet::compile(vec![policy], &sets) {
        Ok(set) => run(&set),
        Err(errors) => {
            for error in errors {
                let rule = texts.get(error.rule).map_or("", String::as_str);
                assert!(rule.get(error.span.start..error.span.end).is_some(), "{error} of {rule:?}");
            }
        }
    }
}

fn run(set: &PolicySet) {
    let Some(policy) = set.get("fuzz") else { return };
    let attributes = PathAttributes::originated(std::net::Ipv4Addr::LOCALHOST.into());
    let route = RouteView {
        prefix: Prefix::host(std::net::Ipv4Addr::LOCALHOST.into()),
        attributes: &attributes,
        source: RouteSource::Originate,
        peer: None,
    };
    let verdict = evaluate(&policy, route, &NoFacts);
    let steps = trace(&policy, route, &NoFacts);
    assert_eq!(steps.last().map(|step| step.rule), Some(verdict.rule));
    let dead: Vec<usize> = set.warnings().iter().map(|warning| warning.rule).collect();
    let place = set.rule(verdict.rule).map(|rule| rule.index);
    assert!(
        !place.is_some_and(|index| dead.contains(&index)),
        "a dead rule decided: {}",
        set.describe(verdict.rule)
    );
}

/// Entries of prefix and community sets, one a line: what is read prints as it reads, and a set has what it was given.
pub(crate) fn patterns(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut prefixes: Vec<PrefixPattern> = Vec::new();
    for line in text.lines() {
        match line.parse::<PrefixPattern>() {
            Ok(pattern) => {
                assert_eq!(pattern.to_string().parse(), Ok(pattern));
                prefixes.push(pattern);
            }
            Err(error) => points_into(line, &error),
        }
        match line.parse::<CommunityPattern>() {
            Ok(pattern) => assert_eq!(pattern.to_string().parse(), Ok(pattern)),
            Err(error) => points_into(line, &error),
        }
        match line.parse::<CommunityValue>() {
            Ok(value) => assert_eq!(value.to_string().parse(), Ok(value)),
            Err(error) => points_into(line, &error),
        }
    }
    let set: PrefixSet = prefixes.iter().copied().collect();
    assert!(set.len() <= prefixes.len());
    for pattern in &prefixes {
        assert_eq!(set.contains(pattern.prefix()), prefixes.iter().any(|p| p.matches(pattern.prefix())));
        assert!(set.covers(pattern.prefix()));
    }
}
