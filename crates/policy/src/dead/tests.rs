//! Which rules are warned of, and above all which are not.

use siskin_bgp::PathAttributes;
use siskin_net::RouteSource;

use crate::tests::{compile_one, sets, source};
use crate::*;

/// The places of the rules that are warned of, from 1, and why.
fn warned(rules: &[&str]) -> Vec<(usize, String)> {
    let sources =
        vec![source("test", rules), source("decides", &["accept"]), source("changes", &["set med 1"])];
    let set = PolicySet::compile(sources, &sets()).unwrap();
    set.warnings().iter().map(|w| (w.rule + 1, w.message.clone())).collect()
}

fn dead(rules: &[&str]) -> Vec<usize> {
    warned(rules).into_iter().map(|(rule, _)| rule).collect()
}

#[test]
fn what_cannot_hold() {
    for condition in [
        "prefix.len > 40 and family = ipv4",
        "family = ipv4 and family = ipv6",
        "family = ipv6 and (med = 1 and family = ipv4)",
        "prefix.len > 24 and prefix.len < 20",
        "prefix.len > 128",
        "local-pref < 0",
        "not med >= 0",
        "med = 1 and not med < 7",
        "rpki valid and rpki invalid",
        "peer = left and peer = right",
        "peer-role = customer and prefix in own and not peer-role = customer",
        "community has 1:1 and not community has 1:1",
        "not not origin = igp and origin = egp and not origin = egp",
        "prefix.len > 128 or family = ipv4 and family = ipv6",
        "otc = 1 and otc = 2",
        "source = bgp and source = static",
    ] {
        let rules = [format!("reject if {condition}"), "accept".to_owned()];
        let rules: Vec<&str> = rules.iter().map(String::as_str).collect();
        assert_eq!(
            warned(&rules),
            [(1, "this rule never applies: its condition cannot hold".to_owned())],
            "{condition}"
        );
    }
    for condition in [
        "prefix.len > 40 and family = ipv6",
        "prefix.len > 31 and family = ipv4",
        "prefix.len > 40 or family = ipv4",
        "prefix.len > 24 and prefix.len != 25",
        "as-path has 1 and as-path has 2",
        "community has 1:1 and community has 1:2",
        "otc and otc != 1",
        "not peer = left and not peer = right",
        "family = ipv4 and (prefix.len > 40 or prefix.len < 8)",
        "prefix.len > 128 or med = 1",
        "med >= 4294967295",
    ] {
        let rule = format!("reject if {condition}");
        assert_eq!(dead(&[&rule, "accept"]), [0; 0], "{condition}");
    }
}

#[test]
fn what_an_earlier_rule_decides() {
    assert_eq!(
        warned(&["accept if med = 1", "set weight 1", "reject if med = 1", "accept"]),
        [(3, "this rule never applies: rule 1 decides on these routes before it".to_owned())]
    );
    for rules in [
        ["reject if family = ipv4", "accept if family = ipv4 and med = 1"],
        ["reject if med = 1 or med = 2", "set weight 7 if med = 2"],
        ["reject if med = 1 or weight = 2", "accept if weight = 2 or med = 1"],
        ["reject if med = 1 and weight = 2", "accept if weight = 2 and prefix in own and med = 1"],
        ["reject if prefix.len > 24", "reject if prefix.len > 48 and family = ipv6"],
        ["reject if prefix.len >= 24", "reject if prefix.len = 28"],
        ["reject if not prefix.len < 24", "reject if prefix.len = 28"],
        ["call decides if prefix in own", "reject if prefix in [203.0.113.0/24, 2001:db8::/32+]"],
    ] {
        assert_eq!(dead(&[rules[0], rules[1], "accept"]), [2], "{rules:?}");
    }
    for rules in [
        ["reject if family = ipv4 and med = 1", "accept if family = ipv4"],
        ["reject if med = 1", "accept if med = 1 or med = 2"],
        ["set weight 1 if med = 1", "accept if med = 1"],
        ["call changes if prefix in own", "reject if prefix in own"],
        ["reject if prefix.len > 48", "reject if prefix.len > 24"],
        ["reject if prefix.len != 24", "reject if prefix.len > 24"],
        ["reject if not med = 1", "reject if med = 1"],
    ] {
        assert_eq!(dead(&[rules[0], rules[1], "accept"]), [0; 0], "{rules:?}");
    }
}

#[test]
fn what_changes_in_between_is_not_decided() {
    for (condition, change) in [
        ("med = 2", "set med 2"),
        ("local-pref = 2", "set local-pref 2 if family = ipv4"),
        ("weight = 2", "set weight 2"),
        ("origin = egp", "set origin egp"),
        ("next-hop in [192.0.2.1/32]", "set next-hop 192.0.2.1"),
        ("community has 1:1", "add community 1:1"),
        ("as-path.len > 5", "prepend 1 x5"),
        ("origin-as = 1", "prepend 1"),
        ("rpki invalid", "prepend 1"),
        ("med = 1", "call changes"),
    ] {
        let rule = format!("reject if {condition}");
        assert_eq!(dead(&[&rule, change, &rule, "accept"]), [0; 0], "{condition}, {change}");
        assert_eq!(dead(&[&rule, &rule, change, "accept"]), [2], "{condition}");
    }
    let lasting =
        ["reject if prefix in own and otc", "call changes", "reject if otc and prefix in own", "accept"];
    assert_eq!(dead(&lasting), [3], "nothing changes these");
}

#[test]
fn many_rules_do_not_take_for_ever() {
    let rules: Vec<String> = (0..5000).map(|i| format!("reject if med = {i} and weight = {i}")).collect();
    let rules: Vec<&str> = rules.iter().map(String::as_str).chain(["accept", "reject"]).collect();
    assert_eq!(dead(&rules), [5002]);
}

/// Dead rules say nothing of any route, whether they are there or not.
#[test]
fn a_policy_without_its_dead_rules_is_the_same() {
    let rules = [
        "reject if prefix.len > 24",
        "accept if prefix.len = 25",
        "set med 7",
        "accept if med = 7 and family = ipv6 and family = ipv4",
        "accept if med = 7",
        "reject",
    ];
    assert_eq!(dead(&rules), [2, 4]);
    let alive = compile_one(&["reject if prefix.len > 24", "set med 7", "accept if med = 7", "reject"]);
    let all = compile_one(&rules);
    let attributes = PathAttributes::originated("192.0.2.1".parse().unwrap());
    for prefix in ["10.0.0.0/8", "10.0.0.0/25", "2600::/25", "10.0.0.0/26"] {
        let route = RouteView {
            prefix: prefix.parse().unwrap(),
            attributes: &attributes,
            source: RouteSource::Static,
            peer: None,
        };
        let run = |policy: &Compiled| evaluate(policy, route, &NoFacts);
        assert_eq!((run(&all).outcome, run(&all).attributes), (run(&alive).outcome, run(&alive).attributes));
    }
}
