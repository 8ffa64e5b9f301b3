//! The parser against texts of all kinds, its normal form, and the examples of the documentation.

use proptest::prelude::*;
use siskin_bgp::attr::Community;
use siskin_net::BgpIdentifier;

use super::*;
use crate::as_path_regex::AsPathRegex;
use crate::ast::*;
use crate::numbers::{AsnSet, Range};
use crate::parse::parse_rule;

fn name() -> impl Strategy<Value = Name> {
    let text = prop_oneof!["[a-z][a-z0-9_.-]{0,8}", "[ a-z\"\\\\'ü]{0,6}"];
    text.prop_filter("well-known names are no sets", |t| !t.starts_with("no-")).prop_map(|text| Name {
        text,
        left: 0,
        width: 0,
    })
}

fn one_of<T: Copy + std::fmt::Debug>(table: &'static [(&'static str, T)]) -> impl Strategy<Value = T> {
    prop::sample::select(table).prop_map(|(_, value)| value)
}

fn patterns() -> impl Strategy<Value = PrefixList> {
    let text = prop::sample::select(
        &["10.0.0.0/8", "10.0.0.0/8+", "0.0.0.0/0{8,24}", "::/0+", "2001:db8::/32{48}"][..],
    );
    prop_oneof![
        name().prop_map(PrefixList::Set),
        prop::collection::vec(text.prop_map(|t| t.parse().unwrap()), 1..4).prop_map(PrefixList::Literals),
    ]
}

fn community() -> impl Strategy<Value = CommunityValue> {
    let texts =
        &["1:2", "no-export", "4200000000:1:2", "rt:1:2", "soo:192.0.2.1:3", "ext:8006000012345678"][..];
    prop_oneof![
        any::<u32>().prop_map(|c| CommunityValue::Standard(Community(c))),
        prop::sample::select(texts).prop_map(|t| t.parse().unwrap()),
    ]
}

fn community_items() -> impl Strategy<Value = Vec<CommunityItem>> {
    let texts = &["64500:*", "*:666", "64500:100-199", "1:*:*", "rt:*:*", "rt:1-9:*", "soo:192.0.2.1:*"][..];
    let item = prop_oneof![
        name().prop_map(CommunityItem::Set),
        community().prop_map(|c| CommunityItem::Pattern(c.into())),
        prop::sample::select(texts).prop_map(|t| CommunityItem::Pattern(t.parse().unwrap())),
    ];
    prop::collection::vec(item, 1..4)
}

fn asns() -> impl Strategy<Value = AsnSet> {
    let range = (any::<u32>(), any::<u32>()).prop_map(|(a, b)| Range { first: a.min(b), last: a.max(b) });
    prop::collection::vec(prop_oneof![range, (0u32..99).prop_map(Range::exact)], 1..4).prop_map(AsnSet::new)
}

fn comparison() -> impl Strategy<Value = Condition<Parsed>> {
    use Number::*;
    let number = prop::sample::select(&[LocalPref, Med, Weight, PrefixLen, AsPathLen][..]);
    (number, one_of(Comparison::SIGNS), any::<u32>()).prop_map(|(n, c, v)| Condition::Compare(n, c, v))
}

fn leaf() -> impl Strategy<Value = Condition<Parsed>> {
    let field = prop::sample::select(&[AsnField::Anywhere, AsnField::Origin, AsnField::Neighbor][..]);
    let regex = prop::sample::select(&["_1_", "^$", r"\{1 2\}", "^(1|2)[0-9]+$"][..]);
    prop_oneof![
        patterns().prop_map(Condition::PrefixIn),
        patterns().prop_map(Condition::NextHopIn),
        community_items().prop_map(Condition::CommunityHas),
        comparison(),
        regex.prop_map(|r| Condition::AsPath(AsPathRegex::new(r).unwrap())),
        (field, asns()).prop_map(|(f, a)| Condition::Asn(f, a)),
        one_of(FAMILIES).prop_map(Condition::Family),
        one_of(ORIGINS).prop_map(Condition::Origin),
        one_of(SOURCES).prop_map(Condition::Source),
        name().prop_map(Condition::Peer),
        one_of(ROLES).prop_map(Condition::PeerRole),
        one_of(Rpki::WORDS).prop_map(Condition::Rpki),
        one_of(Aspa::WORDS).prop_map(Condition::Aspa),
        one_of(Irr::WORDS).prop_map(Condition::Irr),
        prop::option::of(any::<u32>()).prop_map(|asn| Condition::Otc(asn.map(Asn))),
        any::<u32>().prop_map(|id| Condition::OriginatorId(BgpIdentifier(id))),
        any::<u32>().prop_map(|id| Condition::ClusterHas(BgpIdentifier(id))),
    ]
}

fn condition() -> impl Strategy<Value = Condition<Parsed>> {
    leaf().prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 2..4).prop_map(Condition::And),
            prop::collection::vec(inner.clone(), 2..4).prop_map(Condition::Or),
            inner.prop_map(|c| Condition::Not(Box::new(c))),
        ]
    })
}

fn action() -> impl Strategy<Value = Action<Parsed>> {
    let number = prop::sample::select(&[Number::LocalPref, Number::Med, Number::Weight][..]);
    let next_hop = prop_oneof![
        Just(NextHopAction::SelfAddress),
        Just(NextHopAction::Unchanged),
        Just(NextHopAction::Peer),
        Just(NextHopAction::Blackhole),
        any::<std::net::IpAddr>().prop_map(NextHopAction::Address),
    ];
    prop_oneof![
        Just(Action::Accept),
        prop::option::of("\\PC{0,8}").prop_map(Action::Reject),
        (number, any::<u32>()).prop_map(|(n, v)| Action::SetNumber(n, v)),
        one_of(ORIGINS).prop_map(Action::SetOrigin),
        (1u32..).prop_filter("the kernel's own", |t| *t != 255).prop_map(Action::SetTable),
        next_hop.prop_map(Action::SetNextHop),
        prop::collection::vec(community(), 1..4).prop_map(Action::AddCommunities),
        community_items().prop_map(Action::RemoveCommunities),
        (any::<u32>(), 1u8..=25).prop_map(|(asn, times)| Action::Prepend { asn: Asn(asn), times }),
        name().prop_map(Action::Call),
    ]
}

/// Words of the language and things near to them, in any order.
fn word_salad() -> impl Strategy<Value = String> {
    let words = &[
        "accept",
        "reject",
        "set",
        "local-pref",
        "add",
        "remove",
        "community",
        "prepend",
        "call",
        "if",
        "and",
        "or",
        "not",
        "(",
        ")",
        "[",
        "]",
        ",",
        "prefix",
        "prefix.len",
        "in",
        "has",
        "=",
        "==",
        "!=",
        "<",
        "~",
        "\"_1_\"",
        "'",
        "\"",
        "10.0.0.0/8{24,28}",
        "64500:*",
        "rt:1:2",
        "x3",
        "64500",
        "own",
        "as-path",
        "peer",
        "ü",
        "\\",
        "rpki",
        "valid",
        "otc",
        "cluster-list",
    ][..];
    prop::collection::vec(prop::sample::select(words), 0..14).prop_map(|words| words.join(" "))
}

proptest! {
    #[test]
    fn a_printed_rule_reads_back_as_itself(action in action(), condition in prop::option::of(condition())) {
        let rule = Rule::<Parsed> { action, condition };
        let text = rule.to_string();
        let again = parse_rule(&text);
        prop_assert_eq!(again.as_ref(), Ok(&rule), "{}", &text);
        prop_assert_eq!(again.unwrap().to_string(), text);
    }

    #[test]
    fn the_parser_never_panics_and_points_into_the_text(text in prop_oneof![word_salad(), "\\PC{0,40}", "accept if \\PC{0,30}"]) {
        if let Err(error) = normalize(&text) {
            prop_assert!(text.get(error.span.start..error.span.end).is_some(), "{:?}: {:?}", text, error);
        }
    }
}

#[test]
fn the_normal_form() {
    for (text, expected) in [
        ("  accept\tif  family=ipv4 ", "accept if family = ipv4"),
        ("reject 'no'", "reject \"no\""),
        ("accept if neighbor-as != AS65001", "accept if not neighbor-as = 65001"),
        ("accept if origin-as in [1.0, 3, 2, 1-2,]", "accept if origin-as in [1-3, 65536]"),
        ("accept if as-path has [7]", "accept if as-path has 7"),
        ("accept if community has 65535:65281", "accept if community has no-export"),
        ("accept if community has [NO_EXPORT]", "accept if community has no-export"),
        ("accept if (med=1 and (weight=2)) or not(med=2)", "accept if med = 1 and weight = 2 or not med = 2"),
        ("accept if (med=1 or med=2) and med=3", "accept if (med = 1 or med = 2) and med = 3"),
        ("prepend 64500", "prepend 64500 x1"),
        (
            "accept if prefix in [10.0.0.0/8{8,32}, 10.0.0.0/8{8}]",
            "accept if prefix in [10.0.0.0/8+, 10.0.0.0/8]",
        ),
        ("remove community 65535:*, drain", "remove community 65535:*, drain"),
        ("reject if otc != AS64500 or otc and med=1", "reject if not otc = 64500 or otc and med = 1"),
        ("set next-hop  blackhole", "set next-hop blackhole"),
        ("accept if originator-id != 192.0.2.1", "accept if not originator-id = 192.0.2.1"),
        ("set table  254", "set table main"),
        ("set next-hop 2001:DB8:0::1", "set next-hop 2001:db8::1"),
    ] {
        assert_eq!(normalize(text).as_deref(), Ok(expected), "{text}");
    }
}

/// Every form that the language is promised to have.
#[test]
fn each_form_of_the_language_is_accepted() {
    let actions = [
        "accept",
        "reject",
        "reject \"text\"",
        "set local-pref 1",
        "set med 1",
        "set next-hop 192.0.2.1",
        "set next-hop 2001:db8::1",
        "set next-hop self",
        "set next-hop unchanged",
        "set next-hop peer",
        "set next-hop blackhole",
        "set origin igp",
        "set origin egp",
        "set origin incomplete",
        "set weight 1",
        "set table main",
        "set table 4000000000",
        "add community 1:2",
        "add community 1:2, 1:2:3, rt:1:2, no-export",
        "remove community 1:2",
        "remove community 1:*, *:2:3, rt:*:*",
        "remove community drain",
        "prepend 64500 x3",
        "call other",
    ];
    let conditions = [
        "prefix in own",
        "prefix in [192.0.2.0/24, 10.0.0.0/8+, 10.0.0.0/8{16,24}]",
        "prefix.len = 1 or prefix.len != 1 or prefix.len < 1 or prefix.len <= 1 or prefix.len > 1 or prefix.len >= 1",
        "family = ipv4 or family = ipv6",
        "rpki valid or rpki invalid or rpki not-found",
        "aspa valid or aspa invalid or aspa unknown",
        "irr match and irr covers and irr origin",
        "as-path ~ \"^65001(_65001)*$\"",
        "as-path has 64500",
        "as-path has [64500, 64512-65534]",
        "as-path.len > 1",
        "origin-as in [64500]",
        "origin-as = 64500",
        "neighbor-as = 64500",
        "neighbor-as in [64500, 1.10]",
        "community has 1:2",
        "community has 1:2:3",
        "community has rt:1:2",
        "community has graceful-shutdown",
        "community has 1:*",
        "community has [drain, 1:2]",
        "community has drain",
        "peer = left",
        "peer-role = provider or peer-role = customer or peer-role = peer",
        "peer-role = route-server or peer-role = route-server-client",
        "source = bgp or source = originate or source = connected",
        "source = static or source = kernel or source = host-route",
        "next-hop in [192.0.2.0/24]",
        "next-hop in own",
        "local-pref < 1 and med = 1 and weight >= 1",
        "origin = igp or origin = egp or origin = incomplete",
        "otc",
        "otc = 64500 or otc != 64500",
        "originator-id = 192.0.2.1",
        "cluster-list has 192.0.2.1",
        "not (family = ipv4 and not med = 1)",
    ];
    for action in actions {
        for condition in conditions {
            let rule = format!("{action} if {condition}");
            let sources = vec![source("test", &[action, &rule]), source("other", &["set med 1"])];
            if let Err(errors) = PolicySet::compile(sources, &sets()) {
                panic!("{rule}: {errors:?}");
            }
        }
    }
}

/// Blocks fenced as ```` ```policy ```` are rules, one a line; `#` begins a remark.
#[test]
fn the_examples_of_the_documentation_compile() {
    let text = include_str!("../../../../docs/policy.md");
    let mut sets = sets();
    for name in ["bogons", "loopbacks"] {
        sets.prefix_sets.insert(name.to_owned(), vec!["192.0.2.0/24+".parse().unwrap()]);
    }
    let mut blocks = 0;
    for block in text.split("```policy\n").skip(1) {
        let block = block.split("```").next().unwrap();
        let rules: Vec<&str> = block
            .lines()
            .map(|line| line.split(" #").next().unwrap().trim())
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .collect();
        let all = vec![source("example", &rules), source("tag-customer", &["set local-pref 200"])];
        if let Err(errors) = PolicySet::compile(all, &sets) {
            panic!("{rules:?}: {errors:?}");
        }
        blocks += 1;
    }
    assert!(blocks >= 5, "{blocks}");
}
