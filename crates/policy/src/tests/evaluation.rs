//! Every condition, true and false, and every action, on one route.

use siskin_bgp::attr::{Origin, SegmentKind};
use siskin_net::Family;

use super::*;

fn holds_with(condition: &str, facts: &Fixed) -> bool {
    let policy = compile_one(&[&format!("accept if {condition}")]);
    let attributes = attributes();
    let verdict = evaluate(&policy, view(&attributes), facts);
    assert_eq!(verdict.attributes, None, "a condition changes nothing");
    verdict.outcome == Outcome::Accept
}

#[test]
fn conditions_on_a_route() {
    let table = [
        ("prefix in [192.0.2.0/24]", true),
        ("prefix in [192.0.0.0/16]", false),
        ("prefix in [192.0.0.0/16+]", true),
        ("prefix in [192.0.0.0/16{17,23}, 10.0.0.0/8]", false),
        ("prefix in [192.0.0.0/16{24}]", true),
        ("prefix in [::/0+]", false),
        ("prefix in own", false),
        ("prefix.len = 24", true),
        ("prefix.len != 24", false),
        ("prefix.len < 24", false),
        ("prefix.len <= 24", true),
        ("prefix.len > 24", false),
        ("prefix.len >= 24", true),
        ("family = ipv4", true),
        ("family != ipv4", false),
        ("family = ipv6", false),
        ("as-path ~ \"_65002_\"", true),
        ("as-path ~ \"^65002\"", false),
        ("as-path has 65002", true),
        ("as-path has [1-64999, 65010]", false),
        ("as-path has [64999-65001]", true),
        ("as-path.len = 3", true),
        ("as-path.len > 3", false),
        ("origin-as in [65000-65010]", true),
        ("origin-as = 65003", true),
        ("origin-as != 65003", false),
        ("origin-as in [65001]", false),
        ("neighbor-as = 65001", true),
        ("neighbor-as in [65002, 65003]", false),
        ("community has 64500:100", true),
        ("community has 64500:101", false),
        ("community has 64500:*", true),
        ("community has 64500:100-199", true),
        ("community has 64500:101-199", false),
        ("community has no-export", true),
        ("community has NO_ADVERTISE", false),
        ("community has 64500:0:7", true),
        ("community has 64500:0:*", true),
        ("community has *:1:*", false),
        ("community has rt:64500:9", true),
        ("community has rt:*:*", true),
        ("community has soo:*:*", false),
        ("community has ext:0002fbf400000009", true),
        ("community has drain", false),
        ("community has internal", true),
        ("community has [drain, 1:1]", false),
        ("community has [drain, 65001:200]", true),
        ("peer = left", true),
        ("peer = \"left\"", true),
        ("peer != left", false),
        ("peer = right", false),
        ("peer-role = customer", true),
        ("peer-role = provider", false),
        ("source = bgp", true),
        ("source = host-route", false),
        ("next-hop in [198.51.100.0/24]", true),
        ("next-hop in [198.51.101.0/24]", false),
        ("local-pref = 100", true),
        ("local-pref > 100", false),
        ("med = 0", true),
        ("weight >= 1", false),
        ("origin = igp", true),
        ("origin != igp", false),
        ("origin = incomplete", false),
        ("otc", true),
        ("otc = 65001", true),
        ("otc = 1", false),
        ("otc != 1", true),
        ("originator-id = 192.0.2.99", true),
        ("originator-id != 192.0.2.98", true),
        ("cluster-list has 0.0.0.7", true),
        ("cluster-list has 192.0.2.2", false),
    ];
    for (condition, expected) in table {
        assert_eq!(holds_with(condition, &UNKNOWN), expected, "{condition}");
        assert_eq!(holds_with(&format!("not {condition}"), &UNKNOWN), !expected, "not {condition}");
    }
}

#[test]
fn and_binds_closer_than_or_and_not_closest() {
    let (t, f) = ("family = ipv4", "family = ipv6");
    let table = [
        (format!("{t} or {t} and {f}"), true),
        (format!("({t} or {t}) and {f}"), false),
        (format!("not {t} or {t}"), true),
        (format!("not ({t} or {t})"), false),
        (format!("not {f} and {f}"), false),
        (format!("not not {t}"), true),
        (format!("{f} and {f} or {t}"), true),
    ];
    for (condition, expected) in table {
        assert_eq!(holds_with(&condition, &UNKNOWN), expected, "{condition}");
    }
}

#[test]
fn facts_and_what_is_missing() {
    let valid = Fixed { rpki: Some(Rpki::Valid), aspa: Some(Aspa::Invalid), irr: Some(true) };
    let other = Fixed { rpki: Some(Rpki::NotFound), aspa: Some(Aspa::Unknown), irr: Some(false) };
    let table = [
        ("rpki valid", [true, false, false]),
        ("not rpki valid", [false, true, false]),
        ("rpki not-found", [false, true, false]),
        ("not rpki invalid", [true, true, false]),
        ("aspa invalid", [true, false, false]),
        ("aspa unknown", [false, true, false]),
        ("irr match", [true, false, false]),
        ("not irr match", [false, true, false]),
        ("irr covers", [true, false, false]),
        ("not irr origin", [false, true, false]),
        ("rpki valid or family = ipv4", [true, true, true]),
        ("rpki valid and family = ipv6", [false, false, false]),
        ("not (rpki valid and family = ipv6)", [true, true, true]),
    ];
    for (condition, expected) in table {
        assert_eq!(
            [&valid, &other, &UNKNOWN].map(|facts| holds_with(condition, facts)),
            expected,
            "{condition}"
        );
    }
    let dynamic: &dyn Facts = &NoFacts;
    let attributes = attributes();
    let verdict = evaluate(&compile_one(&["accept if rpki valid"]), view(&attributes), dynamic);
    assert_eq!(verdict.rule, Builtin::DefaultReject.into());
}

#[test]
fn a_route_of_our_own_has_no_peer_and_no_origin() {
    let own = PathAttributes::originated("192.0.2.1".parse().unwrap());
    let route = RouteView { source: RouteSource::Originate, peer: None, ..view(&own) };
    for (condition, expected) in [
        ("peer = left", false),
        ("peer != left", true),
        ("peer-role = customer", false),
        ("origin-as in [0-4294967295]", false),
        ("neighbor-as != 1", true),
        ("as-path ~ \"^$\"", true),
        ("as-path.len = 0", true),
        ("source = originate", true),
        ("irr match", false),
        ("otc", false),
        ("otc != 1", true),
        ("originator-id = 0.0.0.0", false),
    ] {
        let policy = compile_one(&[&format!("accept if {condition}")]);
        let accepted = evaluate(&policy, route, &NoFacts).outcome == Outcome::Accept;
        assert_eq!(accepted, expected, "{condition}");
    }
}

/// The attributes after one action, or none if it had nothing to change.
fn after(action: &str) -> (Option<PathAttributes>, NextHopAction) {
    let attributes = attributes();
    let verdict = evaluate(&compile_one(&[action, "accept"]), view(&attributes), &NoFacts);
    assert_eq!(verdict.outcome, Outcome::Accept);
    (verdict.attributes, verdict.next_hop)
}

/// What an action is to do, written by hand.
type Change = &'static dyn Fn(&mut PathAttributes);

#[test]
fn actions_change_what_they_name_and_nothing_else() {
    let changes: &[(&str, Change)] = &[
        ("set local-pref 200", &|a| a.local_pref = Some(200)),
        ("set local-pref 100", &|a| a.local_pref = Some(100)),
        ("set med 0", &|a| a.med = Some(0)),
        ("set weight 7", &|a| a.weight = 7),
        ("set table 100", &|a| a.table = 100),
        ("set table main", &|a| a.table = 254),
        ("set origin incomplete", &|a| a.origin = Origin::Incomplete),
        ("add community 1:1, 2:2:2, rt:3:3, blackhole", &|a| {
            ["1:1", "2:2:2", "rt:3:3", "blackhole"]
                .iter()
                .for_each(|c| c.parse::<CommunityValue>().unwrap().add_to(a));
        }),
        ("remove community 64500:100", &|a| a.communities.retain(|c| c.0 != 64500 << 16 | 100)),
        ("remove community internal, no-export", &|a| {
            a.communities.retain(|c| c.0 == 65001 << 16 | 200);
            a.large_communities.clear();
            a.ext_communities.clear();
        }),
        ("prepend 64500 x3", &|a| a.as_path = a.as_path.prepended(Asn(64500), 3)),
        ("prepend 64500", &|a| a.as_path = a.as_path.prepended(Asn(64500), 1)),
    ];
    for (action, change) in changes {
        let mut expected = attributes();
        change(&mut expected);
        assert_eq!(after(action), (Some(expected), NextHopAction::Default), "{action}");
    }
    for action in [
        "set weight 0",
        "set origin igp",
        "add community 64500:100",
        "remove community drain",
        "set med 3 if family = ipv6",
    ] {
        assert_eq!(after(action), (None, NextHopAction::Default), "{action} has nothing to change");
    }
    for (action, expected) in [
        ("set next-hop self", NextHopAction::SelfAddress),
        ("set next-hop unchanged", NextHopAction::Unchanged),
        ("set next-hop peer", NextHopAction::Peer),
        ("set next-hop blackhole", NextHopAction::Blackhole),
        ("set next-hop 192.0.2.9", NextHopAction::Address("192.0.2.9".parse().unwrap())),
        ("set next-hop 2001:db8::1", NextHopAction::Address("2001:db8::1".parse().unwrap())),
    ] {
        assert_eq!(after(action), (None, expected), "{action}");
    }
}

#[test]
fn later_rules_see_what_earlier_ones_changed() {
    let attributes = attributes();
    let run = |rules: &[&str]| evaluate(&compile_one(rules), view(&attributes), &NoFacts);
    assert_eq!(run(&["set med 5", "accept if med = 5"]).outcome, Outcome::Accept);
    assert_eq!(run(&["prepend 7 x2", "accept if as-path ~ \"^7 7 65001_\""]).outcome, Outcome::Accept);
    assert_eq!(
        run(&["set next-hop 10.0.0.1", "accept if next-hop in [10.0.0.0/8]"]).outcome,
        Outcome::Accept
    );
    let there_and_back = run(&["add community 9:9", "remove community 9:9", "accept"]);
    assert_eq!(there_and_back.attributes, None);
    let rejected = run(&["set med 5", "set next-hop self", "reject"]);
    assert_eq!((rejected.attributes, rejected.next_hop), (None, NextHopAction::Default));
}

#[test]
fn calls_end_the_run_or_return() {
    let sources = vec![
        source("outer", &["call inner", "accept if med = 1", "reject"]),
        source("inner", &["reject if family = ipv6", "set med 1"]),
    ];
    let set = PolicySet::compile(sources, &sets()).unwrap();
    let (outer, inner) = (set.get("outer").unwrap(), set.get("inner").unwrap());
    let rule = |policy: &Compiled, index: usize| policy.rules().nth(index).unwrap().0;
    let attributes = attributes();
    let accepted = evaluate(&outer, view(&attributes), &NoFacts);
    assert_eq!((accepted.outcome, accepted.rule), (Outcome::Accept, rule(&outer, 1)));
    assert_eq!(accepted.attributes.unwrap().med, Some(1));
    let v6 = RouteView { prefix: prefix("2001:db8::/32"), ..view(&attributes) };
    let rejected = evaluate(&outer, v6, &NoFacts);
    assert_eq!((rejected.outcome, rejected.rule), (Outcome::Reject, rule(&inner, 0)));
    assert_eq!(set.describe(rejected.rule), "policy inner rule 1, siskin.toml:1: reject if family = ipv6");
    let fallen = evaluate(&inner, view(&attributes), &NoFacts);
    assert_eq!((fallen.outcome, fallen.rule), (Outcome::Reject, Builtin::DefaultReject.into()));
}

#[test]
fn sets_in_a_path_count_one_and_have_no_origin() {
    let mut attributes = attributes();
    attributes.as_path.push_segment(SegmentKind::Set, &[Asn(65010), Asn(65011)]);
    let holds = |condition: &str| {
        let policy = compile_one(&[&format!("accept if {condition}")]);
        evaluate(&policy, view(&attributes), &NoFacts).outcome == Outcome::Accept
    };
    assert!(holds("as-path.len = 4"));
    assert!(holds("as-path has 65011"));
    assert!(!holds("origin-as in [0-4294967295]"));
    assert!(holds(r#"as-path ~ "_65003_65010_65011_$""#));
    assert!(holds(r#"as-path ~ "\{65010 65011\}$""#));
}

#[test]
fn what_a_policy_depends_on() {
    let table: &[(&str, bool, bool, Needs)] = &[
        ("accept", false, false, Needs::NONE),
        ("accept if as-path has 1 and community has 1:1 and med = 1", false, false, Needs::NONE),
        ("accept if next-hop in [10.0.0.0/8]", false, false, Needs::NONE),
        ("accept if prefix in own", true, false, Needs::NONE),
        ("accept if not (med = 1 or prefix.len > 24)", true, false, Needs::NONE),
        ("accept if family = ipv4", true, false, Needs::NONE),
        ("accept if peer = left", false, true, Needs::NONE),
        ("accept if source = bgp", false, true, Needs::NONE),
        ("accept if rpki valid", true, false, Needs::RPKI),
        ("accept if aspa valid", false, true, Needs::ASPA),
        ("accept if irr match", true, true, Needs::IRR),
        ("accept if irr covers", true, true, Needs::IRR),
        ("accept if irr origin", false, true, Needs::IRR),
        ("accept if otc and originator-id = 1.1.1.1", false, false, Needs::NONE),
    ];
    for (rule, prefix, peer, needs) in table {
        let called =
            PolicySet::compile(vec![source("a", &["call b"]), source("b", &[rule])], &sets()).unwrap();
        for policy in [compile_one(&[rule]), called.get("a").unwrap()] {
            let actual = (policy.depends_on_prefix(), policy.depends_on_peer(), policy.needs());
            assert_eq!(actual, (*prefix, *peer, *needs), "{rule}");
        }
    }
}

#[test]
fn a_trace_tells_what_each_rule_did() {
    let sources = vec![
        source(
            "in",
            &[
                "reject if rpki invalid",
                "reject if family = ipv6",
                "call tag",
                "set weight 0",
                "set next-hop self",
                "reject 'not today' if med = 3",
            ],
        ),
        source(
            "tag",
            &[
                "set local-pref 200",
                "add community 1:1",
                "remove community no-export",
                "prepend 7",
                "set med 3",
            ],
        ),
    ];
    let set = PolicySet::compile(sources, &sets()).unwrap();
    let attributes = attributes();
    let policy = set.get("in").unwrap();
    let steps = trace(&policy, view(&attributes), &NoFacts);
    let told: Vec<String> = steps
        .iter()
        .map(|s| {
            format!("{}{}{}: {}", "  ".repeat(s.depth), if s.matched { "*" } else { "-" }, s.text, s.effect)
        })
        .collect();
    insta::assert_snapshot!(told.join("\n"), @r#"
    -reject if rpki invalid: unknown: data is missing
    -reject if family = ipv6: not matched
    *call tag: called
      *set local-pref 200: local-pref unset → 200
      *add community 1:1: community +1:1
      *remove community no-export: community -no-export
      *prepend 7 x1: as-path 65001 65002 65003 → 7 65001 65002 65003
      *set med 3: med unset → 3
    *set weight 0: nothing to change
    *set next-hop self: next-hop self
    *reject "not today" if med = 3: rejected: not today
    "#);
    assert_eq!(steps[0].missing, Needs::RPKI);
    assert_eq!(steps.last().unwrap().rule, evaluate(&policy, view(&attributes), &NoFacts).rule);
    let fallen = trace(&compile_one(&["accept if prefix.len = 1"]), view(&attributes), &NoFacts);
    assert_eq!(fallen.last().unwrap().rule, Builtin::DefaultReject.into());
    assert_eq!(prefix("0.0.0.0/0").family(), Family::Ipv4);
}
