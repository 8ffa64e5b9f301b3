//! When policies are equal, and what rule ids mean over a change of configuration.

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};

use super::*;

fn hash(policy: &Compiled) -> u64 {
    BuildHasherDefault::<DefaultHasher>::default().hash_one(policy)
}

#[test]
fn equal_content_is_an_equal_policy() {
    let base = compile_one(&["accept if prefix in own and as-path ~ \"_1_\"", "reject"]);
    let same = compile_one(&["accept  if prefix in own and (as-path~'_1_')", "reject"]);
    assert_eq!(base, same);
    assert_eq!(hash(&base), hash(&same));
    assert_ne!(base, compile_one(&["accept if prefix in own and as-path ~ \"_2_\"", "reject"]));
    let mut sets = sets();
    sets.prefix_sets.insert("own".to_owned(), vec!["203.0.113.0/24".parse().unwrap()]);
    let rules = ["accept if prefix in own and as-path ~ \"_1_\"", "reject"];
    let other_set = PolicySet::compile(vec![source("test", &rules)], &sets).unwrap();
    assert_ne!(*base, *other_set.get("test").unwrap(), "a set's content counts");
    let other_name = PolicySet::compile(vec![source("name", &rules)], &sets).unwrap();
    assert_ne!(*other_set.get("test").unwrap(), *other_name.get("name").unwrap());
}

#[test]
fn a_called_policy_counts() {
    let compile = |inner: &str| {
        let sources = vec![source("outer", &["call inner"]), source("inner", &[inner])];
        PolicySet::compile(sources, &sets()).unwrap().get("outer").unwrap()
    };
    assert_eq!(compile("accept"), compile("accept"));
    assert_ne!(compile("accept"), compile("reject"));
}

#[test]
fn ids_keep_their_meaning_when_recompiled() {
    let old = PolicySet::compile(
        vec![source("a", &["reject"]), source("b", &["call c", "accept"]), source("c", &["set med 1"])],
        &sets(),
    )
    .unwrap();
    let rule = |set: &PolicySet, name: &str| set.get(name).unwrap().rules().next().unwrap().0;
    let (a, b, c) = (rule(&old, "a"), rule(&old, "b"), rule(&old, "c"));
    let mut moved = source("b", &["call c", "accept"]);
    moved.rules[0].location = "siskin.toml:99".to_owned();
    let new = old
        .recompile(vec![source("a", &["reject", "accept"]), moved, source("c", &["set med 1"])], &sets())
        .unwrap();
    assert_eq!((rule(&new, "b"), rule(&new, "c")), (b, c));
    assert!(Arc::ptr_eq(&old.get("b").unwrap(), &new.get("b").unwrap()));
    assert_eq!(new.describe(b), "policy b rule 1, siskin.toml:99: call c");
    assert!(rule(&new, "a") > a.max(b).max(c));
    assert_eq!(new.describe(a), "a rule of an earlier configuration");
    assert_eq!(new.rule(a), None);
}

#[test]
fn built_in_policies_and_reasons() {
    let set = PolicySet::compile(vec![source("empty", &[])], &sets()).unwrap();
    assert_eq!(set.names().collect::<Vec<_>>(), ["accept-all", "empty", "reject-all"]);
    let attributes = attributes();
    let run = |name: &str| evaluate(&set.get(name).unwrap(), view(&attributes), &NoFacts);
    assert_eq!(
        (run("accept-all").outcome, run("accept-all").rule),
        (Outcome::Accept, Builtin::AcceptAll.into())
    );
    assert_eq!(
        (run("reject-all").outcome, run("reject-all").rule),
        (Outcome::Reject, Builtin::RejectAll.into())
    );
    assert_eq!(run("empty").rule, Builtin::DefaultReject.into());
    assert_eq!(set.describe(Builtin::AsLoop.into()), "as-loop: our own AS number is in the AS path");
    for (number, builtin) in (0u32..).zip(Builtin::ALL) {
        assert_eq!(RuleId::from(*builtin), RuleId(number));
        assert_eq!(RuleId(number).builtin(), Some(*builtin));
        assert!(RuleId(number) < RuleId::FIRST_OF_POLICIES);
    }
    assert_eq!(RuleId::FIRST_OF_POLICIES.builtin(), None);
}

#[test]
fn a_reason_is_kept() {
    let set = PolicySet::compile(vec![source("p", &["reject 'say \"why\"' if med = 1"])], &sets()).unwrap();
    let id = set.get("p").unwrap().rules().next().unwrap().0;
    let info = set.rule(id).unwrap();
    assert_eq!((info.policy, info.index, info.reason), ("p", 0, Some("say \"why\"")));
    assert_eq!(info.text, r#"reject "say \"why\"" if med = 1"#);
}
