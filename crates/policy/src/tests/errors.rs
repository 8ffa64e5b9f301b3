//! What errors say and point at.

use super::*;

/// The rule, carets under the span, message and help.
fn show(text: &str, span: Span, message: &str, help: Option<&str>) -> String {
    let before = text.get(..span.start).expect("spans begin on a character");
    let inside = text.get(span.start..span.end).expect("spans lie within the text");
    let carets = "^".repeat(inside.chars().count().max(1));
    let help = help.map(|h| format!("\n  help: {h}")).unwrap_or_default();
    format!("{text}\n{}{carets} {message}{help}", " ".repeat(before.chars().count()))
}

fn syntax(rules: &[&str]) -> String {
    let one = |rule: &&str| {
        let error = normalize(rule).expect_err(rule);
        show(rule, error.span, &error.message, error.help.as_deref())
    };
    rules.iter().map(one).collect::<Vec<_>>().join("\n")
}

#[test]
fn errors_in_actions() {
    insta::assert_snapshot!(syntax(&[
        "acept",
        "",
        "drop if rpki invalid",
        "accept prefix in own",
        "accept if",
        "reject \"no",
        "set localpref 100",
        "set local-pref",
        "set local-pref 4294967296",
        "set local-pref high",
        "set next-hop sefl",
        "set origin ipg",
        "set table mian",
        "set table 0",
        "set table 255",
        "add communty 1:2",
        "add community 1:2:3:4",
        "add community 65536:1",
        "add community 64500:*",
        "add community no-exprt",
        "add community 1:2 3:4",
        "add community rt:70000:65536",
        "remove community",
        "prepend 64500 3",
        "prepend 64500 x26",
        "prepend AS-FOO x2",
        "call",
    ]), @r#"
    acept
    ^^^^^ expected `accept`, `reject`, `set`, `add`, `remove`, `prepend` or `call`, found `acept`
      help: did you mean `accept`?

    ^ expected `accept`, `reject`, `set`, `add`, `remove`, `prepend` or `call`, found the end of the rule
    drop if rpki invalid
    ^^^^ expected `accept`, `reject`, `set`, `add`, `remove`, `prepend` or `call`, found `drop`
    accept prefix in own
           ^^^^^^ expected `if` or the end of the rule, found `prefix`
    accept if
             ^ expected a condition like `prefix in [192.0.2.0/24]`, found the end of the rule
    reject "no
           ^ this quote is never closed
    set localpref 100
        ^^^^^^^^^ expected `local-pref`, `med`, `weight`, `next-hop`, `origin` or `table`, found `localpref`
      help: did you mean `local-pref`?
    set local-pref
                  ^ expected a number, found the end of the rule
    set local-pref 4294967296
                   ^^^^^^^^^^ 4294967296 is out of range: 0 to 4294967295
    set local-pref high
                   ^^^^ expected a number, found `high`
    set next-hop sefl
                 ^^^^ expected an address, `self`, `unchanged`, `peer` or `blackhole`, found `sefl`
      help: did you mean `self`?
    set origin ipg
               ^^^ expected `igp`, `egp` or `incomplete`, found `ipg`
      help: did you mean `igp`?
    set table mian
              ^^^^ expected a kernel table: `main` or a number, found `mian`
      help: did you mean `main`?
    set table 0
              ^ 0 is out of range: 1 to 4294967295
    set table 255
              ^^^ table 255 (`local`) belongs to the kernel
    add communty 1:2
        ^^^^^^^^ expected `community`, found `communty`
      help: did you mean `community`?
    add community 1:2:3:4
                  ^^^^^^^ expected a community of two or three numbers, found `1:2:3:4`
    add community 65536:1
                  ^^^^^ 65536 is too large: at most 65535
    add community 64500:*
                  ^^^^^^^ `64500:*` is a pattern; one community is expected here
    add community no-exprt
                  ^^^^^^^^ expected a community like 64500:100, found `no-exprt`
      help: did you mean `no-export`?
    add community 1:2 3:4
                      ^^^ expected `,`, `if` or the end of the rule, found `3:4`
    add community rt:70000:65536
                           ^^^^^ 65536 is too large: at most 65535
    remove community
                    ^ expected a community like 64500:100, a pattern or the name of a community set, found the end of the rule
    prepend 64500 3
                  ^ expected how often, like `x3`, found `3`
      help: did you mean `x3`?
    prepend 64500 x26
                  ^^^ `x26` is out of range: x1 to x25
    prepend AS-FOO x2
            ^^^^^^ expected an AS number like 64500, found `AS-FOO`
    call
        ^ expected the name of a policy, found the end of the rule
    "#);
}

#[test]
fn errors_in_conditions() {
    insta::assert_snapshot!(syntax(&[
        "accept if prefx in own",
        "accept if prefix own",
        "accept if prefix not in own",
        "accept if prefix in 10.0.0.0/8",
        "accept if prefix in [10.0.0.1/8]",
        "accept if prefix in [10.0.0.0/33]",
        "accept if prefix in [10.0.0.0]",
        "accept if prefix in [10.0.0.0/8{28,24}]",
        "accept if prefix in [10.0.0.0/8, ]x",
        "accept if prefix in [10.0.0.0/8 10.1.0.0/16]",
        "accept if prefix in []",
        "accept if prefix.len == 24",
        "accept if prefix.len 24",
        "accept if prefix.len >= x",
        "accept if family = ip4",
        "accept if rpki unknown",
        "accept if irr ok",
        "accept if as-path ~ 65000",
        "accept if as-path matches \"x\"",
        "accept if as-path ~ \"_(65001_\"",
        "accept if as-path ~ \"\\\\(_AS65001_\"",
        "accept if as-path ~ \"*1\"",
        "accept if as-path has [65010-65001]",
        "accept if as-path has [AS-X]",
        "accept if neighbor-as > 1",
        "accept if peer =",
        "accept if peer-role = upstream",
        "accept if source = static-route",
        "accept if (med = 1",
        "accept if med = 1)",
        "accept if med = 1 an weight = 1",
        "accept if med = 1 and",
        "reject if “x”",
    ]), @r#"
    accept if prefx in own
              ^^^^^ expected a condition, found `prefx`
      help: did you mean `prefix`?
    accept if prefix own
                     ^^^ expected `in`, found `own`
    accept if prefix not in own
                     ^^^ expected `in`, found `not`
      help: `not` stands before the whole condition
    accept if prefix in 10.0.0.0/8
                        ^^^^^^^^^^ expected the name of a prefix set or `[`, found `10.0.0.0/8`
      help: did you mean `[10.0.0.0/8]`?
    accept if prefix in [10.0.0.1/8]
                         ^^^^^^^^^^ `10.0.0.1/8` has bits set beyond its length
      help: did you mean `10.0.0.0/8`?
    accept if prefix in [10.0.0.0/33]
                                  ^^ the prefix length must be at most 32
    accept if prefix in [10.0.0.0]
                         ^^^^^^^^ expected a prefix like 192.0.2.0/24 or 2001:db8::/32, found `10.0.0.0`
      help: a single address is `10.0.0.0/32`
    accept if prefix in [10.0.0.0/8{28,24}]
                                    ^^^^^ the lengths must rise and lie between 8 and 32
    accept if prefix in [10.0.0.0/8, ]x
                                      ^ expected `and`, `or` or the end of the rule, found `x`
    accept if prefix in [10.0.0.0/8 10.1.0.0/16]
                                    ^^^^^^^^^^^ expected `,` or `]`, found `10.1.0.0/16`
    accept if prefix in []
                         ^ expected a prefix like 192.0.2.0/24, found `]`
    accept if prefix.len == 24
                         ^^ expected `=`, `!=`, `<`, `<=`, `>` or `>=`, found `==`
      help: equality is a single `=`
    accept if prefix.len 24
                         ^^ expected `=`, `!=`, `<`, `<=`, `>` or `>=`, found `24`
    accept if prefix.len >= x
                            ^ expected a number, found `x`
    accept if family = ip4
                       ^^^ expected `ipv4` or `ipv6`, found `ip4`
      help: did you mean `ipv4`?
    accept if rpki unknown
                   ^^^^^^^ expected `valid`, `invalid` or `not-found`, found `unknown`
    accept if irr ok
                  ^^ expected `match`, `covers` or `origin`, found `ok`
    accept if as-path ~ 65000
                        ^^^^^ expected a regular expression in quotes, found `65000`
    accept if as-path matches "x"
                      ^^^^^^^ expected `~` or `has`, found `matches`
    accept if as-path ~ "_(65001_"
                          ^ this `(` is never closed
    accept if as-path ~ "\\(_AS65001_"
                             ^ `A` never stands in an AS path: expected digits, `_` or one of . ^ $ * + ? | ( ) [ ]
    accept if as-path ~ "*1"
                         ^ `*` has nothing before it to repeat
    accept if as-path has [65010-65001]
                           ^^^^^^^^^^^ the range `65010-65001` is empty
      help: write `65001-65010`
    accept if as-path has [AS-X]
                           ^^^^ expected an AS number like 64500 or a range like 64512-65534, found `AS-X`
    accept if neighbor-as > 1
                          ^ expected `=`, `!=` or `in`, found `>`
    accept if peer =
                    ^ expected the name of a peer, found the end of the rule
    accept if peer-role = upstream
                          ^^^^^^^^ expected `provider`, `customer`, `peer`, `route-server` or `route-server-client`, found `upstream`
    accept if source = static-route
                       ^^^^^^^^^^^^ expected `bgp`, `originate`, `connected`, `static`, `kernel` or `host-route`, found `static-route`
    accept if (med = 1
                      ^ expected `and`, `or` or `)`, found the end of the rule
    accept if med = 1)
                     ^ expected `and`, `or` or the end of the rule, found `)`
    accept if med = 1 an weight = 1
                      ^^ expected `and`, `or` or the end of the rule, found `an`
    accept if med = 1 and
                         ^ expected a condition like `prefix in [192.0.2.0/24]`, found the end of the rule
    reject if “x”
              ^^^ expected a condition, found `“x”`
      help: conditions begin with prefix, family, rpki, aspa, irr, as-path, origin-as, neighbor-as, community, peer, peer-role, source, next-hop, local-pref, med, weight, origin, otc, originator-id or cluster-list
    "#);
}

#[test]
fn nesting_and_length_are_limited() {
    let deep = format!("accept if {}med = 1{}", "(".repeat(40), ")".repeat(40));
    assert_eq!(normalize(&deep).unwrap_err().message, "the condition is nested too deeply");
    let nots = format!("accept if {}med = 1", "not ".repeat(40));
    assert_eq!(normalize(&nots).unwrap_err().message, "the condition is nested too deeply");
    let long = format!("reject {:?}", "x".repeat(70_000));
    assert_eq!(normalize(&long).unwrap_err().message, "the rule is longer than 65536 bytes");
    let regex = |text: &str| normalize(&format!("accept if as-path ~ {text:?}")).unwrap_err().message;
    assert_eq!(regex(&"(".repeat(40)), "groups nest too deeply");
    assert_eq!(
        regex("((1{200}){200}){200}"),
        "the expression is too complex: write fewer or smaller repetitions"
    );
}

fn all_errors(sources: Vec<PolicySource>) -> String {
    let texts: BTreeMap<(String, usize), String> = sources
        .iter()
        .flat_map(|p| p.rules.iter().enumerate().map(|(i, r)| ((p.name.clone(), i), r.text.clone())))
        .collect();
    let errors = PolicySet::compile(sources, &sets()).expect_err("there are errors");
    let one = |e: &PolicyError| {
        let text = &texts[&(e.policy.clone(), e.rule)];
        format!("{} {}: {}", e.policy, e.rule, show(text, e.span, &e.message, e.help.as_deref()))
    };
    errors.iter().map(one).collect::<Vec<_>>().join("\n")
}

#[test]
fn all_errors_of_all_rules_are_collected() {
    insta::assert_snapshot!(all_errors(vec![
        source("first", &[
            "accept if prefix in ownn and community has drian or community has internl",
            "acept",
            "call secnod",
            "call second",
            "accept if next-hop in nowhere",
        ]),
        source("second", &["remove community  'no-such'", "call third"]),
        source("third", &["call fourth"]),
        source("fourth", &["call third"]),
        source("self", &["accept if med = 1", "call self"]),
        source("accept-all", &["accept"]),
        source("self", &["reject"]),
    ]), @r#"
    first 0: accept if prefix in ownn and community has drian or community has internl
                        ^^^^ no prefix set is named `ownn`
      help: did you mean `own`?
    first 0: accept if prefix in ownn and community has drian or community has internl
                                               ^^^^^ no community set is named `drian`
      help: did you mean `drain`?
    first 0: accept if prefix in ownn and community has drian or community has internl
                                                                      ^^^^^^^ no community set is named `internl`
      help: did you mean `internal`?
    first 1: acept
    ^^^^^ expected `accept`, `reject`, `set`, `add`, `remove`, `prepend` or `call`, found `acept`
      help: did you mean `accept`?
    first 2: call secnod
         ^^^^^^ no policy is named `secnod`
      help: did you mean `second`?
    first 4: accept if next-hop in nowhere
                          ^^^^^^^ no prefix set is named `nowhere`
    second 0: remove community  'no-such'
                      ^^^^^^^^^ no community set is named `no-such`
    fourth 0: call third
         ^^^^^ policies call each other in a circle: third → fourth → third
    self 0: reject
    ^ there are two policies named `self`
    self 1: call self
         ^^^^ policies call each other in a circle: self → self
    accept-all 0: accept
    ^ `accept-all` is a built-in policy: give this one another name
    "#);
}

#[test]
fn a_broken_policy_is_not_reported_as_missing() {
    let sources = vec![source("c", &["bogus"]), source("b", &["call c"]), source("a", &["call b", "call c"])];
    let errors = PolicySet::compile(sources, &sets()).unwrap_err();
    assert_eq!(errors.iter().map(|e| e.policy.as_str()).collect::<Vec<_>>(), ["c"]);
}

#[test]
fn calls_are_limited_in_depth_and_in_rules() {
    let chain = |len: usize, reversed: bool| {
        let mut all: Vec<_> = (0..len)
            .map(|i| {
                let next = format!("call p{}", i + 1);
                source(&format!("p{i}"), &[if i + 1 < len { &next } else { "accept" }])
            })
            .collect();
        if reversed {
            all.reverse();
        }
        PolicySet::compile(all, &sets())
    };
    for reversed in [false, true] {
        assert!(chain(17, reversed).is_ok());
        let errors = chain(18, reversed).unwrap_err();
        assert_eq!(errors[0].message, "calls are nested too deeply: at most 16 levels");
        assert!(chain(2000, reversed).is_err());
    }
    let doubling: Vec<_> = (0..17)
        .map(|i| {
            let next = format!("call p{}", i + 1);
            source(&format!("p{i}"), &if i < 16 { vec![next.as_str(); 4] } else { vec!["set med 1"] })
        })
        .collect();
    let errors = PolicySet::compile(doubling, &sets()).unwrap_err();
    assert!(errors[0].message.starts_with("a run of this policy could look at"), "{errors:?}");
}

#[test]
fn dead_rules_and_unknown_peers_are_warned_of() {
    let mut sets = sets();
    sets.peers = Some(["left".to_owned(), "right".to_owned()].into());
    let sources = vec![
        source("a", &["accept if peer = leftt", "call b", "accept", "reject"]),
        source("b", &["set med 1", "reject"]),
    ];
    let set = PolicySet::compile(sources, &sets).unwrap();
    let warnings: Vec<String> = set.warnings().iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(warnings.join("\n"), @r#"
    policy a rule 1: no peer is named `leftt` (did you mean `left`?)
    policy a rule 3: this rule is never reached: rule 2 ends every run
    policy a rule 4: this rule is never reached: rule 2 ends every run
    "#);
}
