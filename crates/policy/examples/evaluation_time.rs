//! Prints how long one evaluation takes, for policies of different kinds: `cargo run --release --example evaluation_time`.

#![expect(clippy::disallowed_methods, reason = "it measures time")]
#![expect(clippy::unwrap_used, reason = "the rules and sets are its own")]

use std::hint::black_box;
use std::time::Instant;

use siskin_bgp::PathAttributes;
use siskin_bgp::attr::AsPath;
use siskin_net::{Asn, Prefix, Role, RouteSource};
use siskin_policy::{
    CommunityValue, NoFacts, PeerView, PolicySet, PolicySource, PrefixPattern, RouteView, RuleSource, Sets,
    evaluate,
};

const POLICIES: &[(&str, &[&str])] = &[
    ("one accept", &["accept"]),
    ("prefix in a set of 100,000", &["accept if prefix in big"]),
    ("prefix in a list of two", &["accept if prefix in [0.0.0.0/0, ::/0]"]),
    ("as-path expression", &["accept if as-path ~ \"_65001_\""]),
    ("as-path expression, no match", &["accept if as-path ~ \"^65001(_65001)*$\""]),
    ("as-path has a list", &["accept if as-path has [0, 23456, 64496-64511, 64512-65534]"]),
    ("community pattern", &["accept if community has 64500:*"]),
    ("a set of changes", &["set local-pref 200", "add community 64500:1", "prepend 64500 x2", "accept"]),
    (
        "an edge policy of ten rules",
        &[
            "reject if prefix in bogons",
            "reject if family = ipv4 and (prefix.len < 8 or prefix.len > 24)",
            "reject if family = ipv6 and (prefix.len < 12 or prefix.len > 48)",
            "reject if as-path.len > 100",
            "reject if as-path has [0, 23456, 64496-64511, 65535]",
            "reject if as-path has [174, 701, 1299, 2914, 3257, 3320, 3356, 6461, 6762, 6830, 7018]",
            "reject if rpki invalid",
            "set local-pref 50 if community has graceful-shutdown",
            "accept if prefix in big",
            "reject",
        ],
    ),
];

/// Numbers without pattern, the same every time.
fn random(state: &mut u64) -> u32 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    u32::try_from(*state >> 32).unwrap_or_default()
}

fn random_prefix(state: &mut u64) -> Prefix {
    let len = 12 + u8::try_from(random(state) % 13).unwrap_or_default();
    Prefix::v4(random(state).into(), len)
}

fn main() {
    let mut state = 1;
    let big = (0..100_000).map(|_| PrefixPattern::exact(random_prefix(&mut state))).collect();
    let bogons = ["10.0.0.0/8+", "127.0.0.0/8+", "192.168.0.0/16+", "::/8+"].map(|t| t.parse().unwrap());
    let mut sets = Sets::default();
    sets.prefix_sets.insert("big".to_owned(), big);
    sets.prefix_sets.insert("bogons".to_owned(), bogons.to_vec());
    let prefixes: Vec<Prefix> = (0..1_000_000).map(|_| random_prefix(&mut state)).collect();

    let mut attributes = PathAttributes::originated("192.0.2.1".parse().unwrap());
    attributes.as_path = AsPath::from_sequence([65010, 6939, 13335, 65001].map(Asn));
    for text in ["65010:1", "65010:20", "65010:300"] {
        text.parse::<CommunityValue>().unwrap().add_to(&mut attributes);
    }
    let peer = PeerView { name: "left", asn: Asn(65010), role: Some(Role::Customer) };

    for (title, rules) in POLICIES {
        let rule = |text: &&str| RuleSource { text: (*text).to_owned(), location: String::new() };
        let source = PolicySource { name: "bench".to_owned(), rules: rules.iter().map(rule).collect() };
        let policy = PolicySet::compile(vec![source], &sets).unwrap().get("bench").unwrap();
        let start = Instant::now();
        for prefix in &prefixes {
            let route = RouteView {
                prefix: *prefix,
                attributes: &attributes,
                source: RouteSource::Bgp,
                peer: Some(peer),
            };
            black_box(evaluate(&policy, black_box(route), &NoFacts));
        }
        let each = start.elapsed().as_nanos() / prefixes.len() as u128;
        println!("{each:6} ns  {title}");
    }
}
