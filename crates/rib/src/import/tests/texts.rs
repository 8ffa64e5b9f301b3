//! What `siskin policy show` prints of a check is what the check does: each text, compiled and run as a policy, says of any
//! route what the native check says.

use std::net::IpAddr;

use proptest::prelude::*;
use siskin_bgp::attr::{LargeCommunity, SegmentKind};
use siskin_net::Vrp;
use siskin_policy::edge::checks;
use siskin_policy::{AspaTable, Outcome, PrefixPattern, PrefixSet, VrpTable, evaluate};

use super::*;
use crate::import::{EdgeRules, Facts, IrrFilter, IrrList, PrefixCheck, RpkiMode};

const OWN_PREFIX: &str = "198.51.100.0/24";
const BOGONS: [&str; 2] = ["10.0.0.0/8+", "2001:db8::/32+"];
const LISTED: [&str; 3] = ["203.0.113.0/24{24,26}", "192.0.2.0/24", "2a00::/29{29,48}"];
const NUMBERS: [u32; 7] = [64500, 64600, 64700, 64701, 3356, 174, 23456];
const PREFIXES: [&str; 13] = [
    "203.0.113.0/24",
    "203.0.113.0/25",
    "203.0.113.7/32",
    "198.51.100.0/24",
    "198.51.100.64/26",
    "10.1.0.0/16",
    "192.0.2.0/24",
    "100.0.0.0/7",
    "0.0.0.0/0",
    "127.0.0.0/8",
    "2001:db8:1::/48",
    "2a00::/32",
    "2a00::/64",
];

fn patterns(list: &[&str]) -> Vec<PrefixPattern> {
    list.iter().map(|text| text.parse().unwrap()).collect()
}

fn set(list: &[&str]) -> PrefixSet {
    patterns(list).into_iter().collect()
}

fn blackhole() -> LargeCommunity {
    LargeCommunity(64500, 1, 666)
}

/// A customer with every check.
fn everything() -> ImportProfile {
    let vrp = |of: &str, max_len, asn| Vrp { prefix: prefix(of), max_len, asn: Asn(asn) };
    let vrps = [vrp("203.0.113.0/24", 24, 64700), vrp("100.0.0.0/6", 8, 64701), vrp("2a00::/29", 48, 0)];
    let aspa = siskin_net::Aspa { customer: Asn(64700), providers: vec![Asn(64701)] };
    let list = IrrList {
        prefixes: set(&LISTED),
        entries: FamilyMap::from_fn(|_| Some(3)),
        members: Some([64700, 64600].map(Asn).into_iter().collect()),
        fetched: 0,
    };
    ImportProfile {
        role: Some(Role::Customer),
        edge: EdgeRules {
            rpki: RpkiMode::RequireValid,
            bogon_prefixes: Some(Arc::new(set(&BOGONS))),
            bogon_asns: Some(Arc::new([23456].map(Asn).into_iter().collect())),
            prefix_length: Some(FamilyMap::from_fn(|f| if f == Family::Ipv4 { (8, 24) } else { (12, 48) })),
            path_length: Some(4),
            own_prefixes: Some(Arc::new(
                [PrefixPattern::or_longer(prefix(OWN_PREFIX))].into_iter().collect(),
            )),
            transit_asns: Some(Arc::new([3356, 174].map(Asn).into_iter().collect())),
            next_hop: true,
            never_via_route_server: true,
            blocked_asns: Some(Arc::new([64701].map(Asn).into_iter().collect())),
            blocked_prefixes: Some(Arc::new(set(&["100.0.0.0/6+"]))),
            aspa: true,
            leaks_allowed: false,
            blackhole: Some(blackhole()),
            drained: false,
        },
        irr: Some(IrrFilter {
            label: "AS-EXAMPLE".into(),
            list: Some(Arc::new(list)),
            accept_rpki_valid: true,
            check_origin: true,
        }),
        facts: Arc::new(Facts {
            vrps: Some(VrpTable::new().apply(&[], &vrps)),
            aspas: Some(Arc::new(AspaTable::new([aspa]))),
            never_via_route_servers: Some(Arc::new([174].map(Asn).into_iter().collect())),
            ..Facts::default()
        }),
        ..profile()
    }
}

/// The texts of the checks, by the reason that each is known by.
fn texts(profile: &ImportProfile) -> Vec<(Builtin, Vec<String>)> {
    let peer = profile.address.unwrap();
    let one = |text: Option<String>| text.into_iter().collect::<Vec<_>>();
    vec![
        (Builtin::AsLoop, one(checks::as_loop_rule(&profile.local_asns, profile.allow_own_as))),
        (Builtin::FirstAs, vec![checks::first_as_rule(profile.asn)]),
        (Builtin::OriginatorLoop, vec![checks::originator_loop_rule(profile.identifier)]),
        (Builtin::ClusterLoop, vec![checks::cluster_loop_rule(profile.cluster_id)]),
        (Builtin::OwnNextHop, checks::own_next_hop_rules(&profile.own_addresses)),
        (Builtin::RoleLeak, one(checks::role_leak_rule(Role::Customer, profile.asn))),
        (Builtin::NextHop, one(checks::next_hop_rule(peer))),
        (Builtin::BogonAsn, checks::bogon_asn_rules(&[(23456, 23456)])),
        (Builtin::PathLength, vec![checks::path_length_rule(4)]),
        (Builtin::TransitAsn, checks::transit_asn_rules(&[3356, 174], profile.asn)),
        (Builtin::NeverViaRouteServer, checks::never_via_route_server_rules(&[174])),
        (Builtin::AspaInvalid, vec![checks::aspa_rule()]),
        (Builtin::OwnPrefix, checks::own_prefix_rules(&[prefix(OWN_PREFIX)])),
        (Builtin::BogonPrefix, checks::bogon_prefix_rules(&patterns(&BOGONS))),
        (Builtin::Blackhole, vec![checks::blackhole_rule(blackhole(), true)]),
        (Builtin::PrefixLength, one(checks::prefix_length_rule(8..=24, 12..=48, Some(blackhole())))),
        (Builtin::Irr, vec![checks::irr_rule(true, Some(blackhole())), checks::irr_origin_rule()]),
        (Builtin::RpkiInvalid, checks::rpki_rules(true)),
    ]
}

prop_compose! {
    fn any_route()(
        path in prop::collection::vec(prop::sample::select(&NUMBERS[..]), 0..6),
        ends_in_set in prop::bool::weighted(0.1),
        next_hop in prop::sample::select(vec!["192.0.2.1", "192.0.2.9", "192.0.2.254", "2001:db8::9"]),
        dropped in prop::sample::select(vec![None, Some(false), Some(true)]),
        otc in prop::option::of(prop::sample::select(&NUMBERS[..])),
        loops in prop::bool::weighted(0.1),
        of in prop::sample::select(&PREFIXES[..]),
    ) -> (PathAttributes, Prefix) {
        let mut attributes = PathAttributes::originated(next_hop.parse::<IpAddr>().unwrap());
        attributes.as_path = AsPath::from_sequence(path.into_iter().map(Asn));
        if ends_in_set {
            attributes.as_path.push_segment(SegmentKind::Set, &[Asn(64700)]);
        }
        match dropped {
            Some(false) => attributes.communities.push(Community(0xffff_029a)),
            Some(true) => attributes.large_communities.push(blackhole()),
            None => {}
        }
        attributes.otc = otc.map(Asn);
        if loops {
            attributes.originator_id = Some(BgpIdentifier(0x0a00_0001));
            attributes.cluster_list.push(77);
        }
        (attributes, prefix(of))
    }
}

/// Whether the check of this reason objects.
fn objects(profile: &ImportProfile, reason: Builtin, of: Prefix, attributes: &PathAttributes) -> bool {
    if let Some(check) = Check::ALL.iter().find(|check| check.reason == reason) {
        return !check.passes(profile, attributes);
    }
    let check = PrefixCheck::ALL.iter().find(|check| check.reason == reason).unwrap();
    check.objection(profile, of, Stage::of(profile, attributes)).is_some()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn texts_and_checks_agree((attributes, of) in any_route()) {
        let profile = everything();
        let dropped = profile.edge.is_blackhole(&attributes);
        for (reason, rules) in texts(&profile) {
            // Where the texts say less: the length of a BLACKHOLE route is not what its VRP or its object was made for.
            let lengths_matter = matches!(reason, Builtin::RpkiInvalid | Builtin::Irr);
            // An empty path comes from our own AS, which the language cannot say.
            if (dropped || attributes.as_path.is_empty()) && lengths_matter {
                continue;
            }
            let mut rules: Vec<&str> = rules.iter().map(String::as_str).collect();
            rules.push("accept");
            let policy = policy(&rules).unwrap();
            let verdict = evaluate(&policy, profile.view(of, &attributes), &profile);
            let text = verdict.outcome == Outcome::Reject;
            prop_assert_eq!(text, objects(&profile, reason, of, &attributes), "{:?} {} {:?}", reason, of, rules);
        }
    }
}
