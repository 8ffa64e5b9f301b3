//! The built-in rules of an edge: each rejects by its name and says what it objects to, and none acts that is off.

use siskin_bgp::attr::{LargeCommunity, SegmentKind};
use siskin_net::Vrp;
use siskin_policy::{AspaTable, PrefixPattern, PrefixSet, VrpTable};

use super::*;
use crate::import::{EdgeRules, Facts, IrrFilter, IrrList, LimitAction, PrefixLimits, RpkiMode};

const NOW: u64 = 1_000_000;

fn prefixes(list: &[&str]) -> Arc<PrefixSet> {
    Arc::new(list.iter().map(|text| text.parse::<PrefixPattern>().unwrap()).collect())
}

fn asns(list: &[u32]) -> Arc<AsnSet> {
    Arc::new(list.iter().copied().map(Asn).collect())
}

fn with(edge: EdgeRules) -> ImportProfile {
    ImportProfile { edge, ..profile() }
}

fn with_path(path: &[u32]) -> PathAttributes {
    PathAttributes { as_path: AsPath::from_sequence(path.iter().copied().map(Asn)), ..route() }
}

fn vrps(list: &[(&str, u8, u32)]) -> VrpTable {
    let vrp =
        |(of, max_len, asn): &(&str, u8, u32)| Vrp { prefix: prefix(of), max_len: *max_len, asn: Asn(*asn) };
    VrpTable::new().apply(&[], &list.iter().map(vrp).collect::<Vec<_>>())
}

fn validating(mode: RpkiMode, facts: Facts) -> ImportProfile {
    ImportProfile { facts: Arc::new(facts), ..with(EdgeRules { rpki: mode, ..EdgeRules::default() }) }
}

fn registered(list: &[&str]) -> IrrFilter {
    IrrFilter {
        label: "AS-EXAMPLE".into(),
        list: Some(Arc::new(IrrList {
            prefixes: (*prefixes(list)).clone(),
            entries: FamilyMap::from_fn(|_| Some(list.len())),
            members: None,
            fetched: NOW - 3 * 3600,
        })),
        accept_rpki_valid: false,
        check_origin: false,
    }
}

/// Why a prefix is rejected: `rule: reason`, or `accepted`.
fn why(profile: &ImportProfile, attributes: &PathAttributes, of: &str) -> String {
    match import(profile, attributes, of) {
        Ok(_) => "accepted".to_owned(),
        Err(rule) => {
            let name = rule.builtin().map_or("a policy", Builtin::name);
            match profile.reason(rule, prefix(of), attributes, NOW) {
                Some(reason) => format!("{name}: {reason}"),
                None => name.to_owned(),
            }
        }
    }
}

const OF: &str = "203.0.113.0/24";

#[test]
fn rules_of_attributes_say_what_they_object_to() {
    let edge = EdgeRules::default;
    let cases: [(EdgeRules, PathAttributes, &str); 7] = [
        (EdgeRules { bogon_asns: Some(asns(&[64700])), ..edge() }, route(), "bogon-asn: 64700 in the path"),
        (
            EdgeRules { transit_asns: Some(asns(&[3356, 174])), ..edge() },
            with_path(&[64600, 3356, 1]),
            "transit-asn: 3356 in the path",
        ),
        (
            EdgeRules { path_length: Some(2), ..edge() },
            with_path(&[64600, 1, 1]),
            "path-length: 3 AS numbers, at most 2",
        ),
        (
            EdgeRules { next_hop: true, ..edge() },
            PathAttributes { next_hop: NextHop::new([192, 0, 2, 9].into()), ..route() },
            "next-hop: 192.0.2.9 is not the peer 192.0.2.1",
        ),
        (EdgeRules { blocked_asns: Some(asns(&[64700])), ..edge() }, route(), "blocklist: 64700 in the path"),
        (edge(), with_path(&[64999]), "first-as: the path begins with 64999, the peer is 64600"),
        (edge(), PathAttributes { otc: Some(Asn(5)), ..route() }, "role-leak: OTC 5 from a customer"),
    ];
    for (edge, attributes, expected) in cases {
        let profile = ImportProfile { role: Some(Role::Customer), ..with(edge) };
        assert_eq!(why(&profile, &attributes, OF), expected);
        let name = expected.split(':').next().unwrap();
        if !["first-as", "role-leak"].contains(&name) {
            assert_eq!(why(&profile_without_rules(), &attributes, OF), "accepted", "{name} is off");
        }
    }
}

fn profile_without_rules() -> ImportProfile {
    with(EdgeRules::default())
}

#[test]
fn the_peer_itself_may_be_a_transit_network() {
    let profile = ImportProfile {
        asn: Asn(3356),
        ..with(EdgeRules { transit_asns: Some(asns(&[3356, 174])), ..EdgeRules::default() })
    };
    assert_eq!(why(&profile, &with_path(&[3356, 1]), OF), "accepted");
    assert_eq!(why(&profile, &with_path(&[3356, 174]), OF), "transit-asn: 174 in the path");
}

#[test]
fn next_hops_of_another_family_or_link_cannot_be_compared() {
    let strict = with(EdgeRules { next_hop: true, ..EdgeRules::default() });
    let other_family = PathAttributes { next_hop: NextHop::new("2001:db8::9".parse().unwrap()), ..route() };
    assert_eq!(why(&strict, &other_family, OF), "accepted");
    let link_local = ImportProfile { address: Some("fe80::1".parse().unwrap()), ..strict.clone() };
    assert_eq!(why(&link_local, &other_family, OF), "accepted");
    assert_eq!(why(&strict, &route(), OF), "accepted");
}

#[test]
fn rules_of_prefixes_say_what_they_object_to() {
    let lengths = FamilyMap::from_fn(|f| if f == Family::Ipv4 { (8, 24) } else { (12, 48) });
    let profile = with(EdgeRules {
        bogon_prefixes: Some(prefixes(&["10.0.0.0/8+", "2001:db8::/32+"])),
        own_prefixes: Some(prefixes(&["198.51.100.0/24+"])),
        prefix_length: Some(lengths),
        blocked_prefixes: Some(prefixes(&["192.88.99.0/24+"])),
        ..EdgeRules::default()
    });
    let cases = [
        (OF, "accepted"),
        ("10.1.0.0/16", "bogon-prefix: 10.1.0.0/16 belongs to nobody"),
        ("2001:db8:1::/48", "bogon-prefix: 2001:db8:1::/48 belongs to nobody"),
        ("198.51.100.128/25", "own-prefix: 198.51.100.128/25 is ours"),
        ("203.0.113.0/25", "prefix-length: /25 is not within /8 to /24"),
        ("0.0.0.0/0", "prefix-length: /0 is not within /8 to /24"),
        ("2a00::/49", "prefix-length: /49 is not within /12 to /48"),
        ("192.88.99.0/24", "blocklist: 192.88.99.0/24 is blocked"),
    ];
    for (of, expected) in cases {
        assert_eq!(why(&profile, &route(), of), expected, "{of}");
    }
}

#[test]
fn invalid_origins_are_rejected_and_named() {
    let table = vrps(&[("203.0.113.0/24", 24, 64700), ("192.0.2.0/24", 24, 64496), ("192.0.3.0/24", 24, 0)]);
    let facts = || Facts { vrps: Some(table.clone()), ..Facts::default() };
    let lax = validating(RpkiMode::RejectInvalid, facts());
    assert_eq!(why(&lax, &route(), OF), "accepted");
    assert_eq!(why(&lax, &route(), "192.0.2.0/24"), "rpki-invalid: VRP 192.0.2.0/24 max 24 AS 64496");
    assert_eq!(why(&lax, &route(), "203.0.113.0/25"), "rpki-invalid: VRP 203.0.113.0/24 max 24 AS 64700");
    assert!(why(&lax, &route(), "192.0.3.0/24").starts_with("rpki-invalid"), "AS 0 allows nobody");
    assert_eq!(why(&lax, &route(), "100.0.0.0/24"), "accepted");
    let mut set = route();
    set.as_path.push_segment(SegmentKind::Set, &[Asn(64700)]);
    assert!(why(&lax, &set, OF).starts_with("rpki-invalid"), "an AS_SET has no origin");

    let strict = validating(RpkiMode::RequireValid, facts());
    assert_eq!(why(&strict, &route(), OF), "accepted");
    assert_eq!(why(&strict, &route(), "100.0.0.0/24"), "rpki-not-valid: no VRP covers it");
    let off = validating(RpkiMode::Off, facts());
    assert_eq!(why(&off, &route(), "192.0.2.0/24"), "accepted");
}

#[test]
fn without_data_nothing_is_invalid_and_the_gate_waits() {
    assert_eq!(why(&validating(RpkiMode::RejectInvalid, Facts::default()), &route(), OF), "accepted");
    let strict = validating(RpkiMode::RequireValid, Facts::default());
    assert_eq!(why(&strict, &route(), OF), "rpki-not-valid: there are no VRPs");
    let waiting = || Facts { gate_closed: true, ..Facts::default() };
    assert_eq!(why(&validating(RpkiMode::RejectInvalid, waiting()), &route(), OF), "rpki-gate");
    assert_eq!(why(&validating(RpkiMode::Off, waiting()), &route(), OF), "accepted", "it does not wait");
}

#[test]
fn an_aspa_names_the_hop_that_it_forbids() {
    let record = siskin_net::Aspa { customer: Asn(64700), providers: vec![Asn(64701)] };
    let facts = Facts { aspas: Some(Arc::new(AspaTable::new([record]))), ..Facts::default() };
    let edge = EdgeRules { aspa: true, ..EdgeRules::default() };
    let profile = ImportProfile { role: Some(Role::Customer), facts: Arc::new(facts), ..with(edge) };
    let text = why(&profile, &with_path(&[64600, 64700]), OF);
    assert!(text.starts_with("aspa-invalid: ") && text.contains("64700"), "{text}");
    assert_eq!(why(&profile, &with_path(&[64600]), OF), "accepted");
}

#[test]
fn the_registry_allows_what_it_lists() {
    let profile = ImportProfile { irr: Some(registered(&[OF, "2001:db8::/32{32,48}"])), ..profile() };
    assert_eq!(why(&profile, &route(), OF), "accepted");
    assert_eq!(why(&profile, &route(), "2001:db8:7::/48"), "accepted");
    let expected = "irr: not in AS-EXAMPLE (2 prefixes, 3 h old)";
    assert_eq!(why(&profile, &route(), "203.0.113.0/25"), expected);

    let none = IrrFilter { list: None, ..registered(&[]) };
    let missing = ImportProfile { irr: Some(none), ..profile.clone() };
    let expected = "irr-missing: no list of AS-EXAMPLE yet, so nothing is imported";
    assert_eq!(why(&missing, &route(), OF), expected);

    // What the configuration adds needs no list.
    let extra = IrrList { prefixes: (*prefixes(&[OF])).clone(), ..IrrList::default() };
    let extra = IrrFilter { list: Some(Arc::new(extra)), ..registered(&[]) };
    let extra = ImportProfile { irr: Some(extra), ..profile };
    assert_eq!(why(&extra, &route(), OF), "accepted");
    assert!(why(&extra, &route(), "192.0.2.0/24").starts_with("irr-missing"));
}

#[test]
fn a_valid_origin_may_stand_in_for_an_object_and_the_origin_be_a_member() {
    let facts = Facts { vrps: Some(vrps(&[(OF, 24, 64700)])), ..Facts::default() };
    let lenient = IrrFilter { accept_rpki_valid: true, ..registered(&["192.0.2.0/24"]) };
    let profile = ImportProfile { irr: Some(lenient), facts: Arc::new(facts), ..profile() };
    assert!(profile.asks_facts());
    assert_eq!(why(&profile, &route(), OF), "accepted");
    assert!(why(&profile, &route(), "100.0.0.0/24").starts_with("irr:"));

    let mut list = (**registered(&[OF]).list.as_ref().unwrap()).clone();
    list.members = Some((*asns(&[64701])).clone());
    let strict = IrrFilter { list: Some(Arc::new(list)), check_origin: true, ..registered(&[]) };
    let profile = ImportProfile { irr: Some(strict), ..super::profile() };
    assert_eq!(why(&profile, &route(), OF), "irr-origin: AS 64700 is no member of AS-EXAMPLE");
    assert_eq!(why(&profile, &with_path(&[64600, 64701]), OF), "accepted");
}

#[test]
fn blackholes_are_single_addresses_of_the_peers_own() {
    let own = LargeCommunity(64500, 1, 666);
    let lengths = FamilyMap::from_fn(|_| (8, 24));
    let edge = EdgeRules {
        blackhole: Some(own),
        prefix_length: Some(lengths),
        rpki: RpkiMode::RejectInvalid,
        ..EdgeRules::default()
    };
    let facts = Facts { vrps: Some(vrps(&[(OF, 24, 64700)])), ..Facts::default() };
    let profile = ImportProfile { irr: Some(registered(&[OF])), facts: Arc::new(facts), ..with(edge) };
    let mut marked = route();
    marked.communities.push(Community(0xffff_029a));
    let accepted = import(&profile, &marked, "203.0.113.7/32").unwrap();
    assert!(accepted.next_hop.is_discard());
    assert!(accepted.communities.contains(&NO_EXPORT), "it does not leave the AS");
    let mut large = route();
    large.large_communities.push(own);
    assert!(import(&profile, &large, "203.0.113.7/32").unwrap().next_hop.is_discard());

    assert_eq!(why(&profile, &marked, OF), "blackhole: 203.0.113.0/24 is no single address");
    let foreign = why(&profile, &marked, "192.0.2.7/32");
    assert_eq!(foreign, "blackhole: not within AS-EXAMPLE (1 prefix, 3 h old)");
    let unlisted = ImportProfile { irr: None, ..profile.clone() };
    let text = why(&unlisted, &marked, "203.0.113.7/32");
    assert_eq!(text, "blackhole: the peer has no `irr` that says what is its own");
    let hijacked = PathAttributes { as_path: AsPath::from_sequence([PEER, Asn(64999)]), ..marked };
    assert!(why(&profile, &hijacked, "203.0.113.7/32").starts_with("rpki-invalid"), "another's origin");
    assert_eq!(why(&profile, &route(), "203.0.113.7/32"), "prefix-length: /32 is not within /8 to /24");
}

#[test]
fn a_drained_peer_is_the_last_resort() {
    let drained = with(EdgeRules { drained: true, ..EdgeRules::default() });
    assert_eq!(import(&drained, &route(), OF).unwrap().local_pref, Some(0));
    let asking = ImportProfile { policy: policy(&["accept if prefix in [203.0.113.0/24]"]), ..drained };
    assert_eq!(import(&asking, &route(), OF).unwrap().local_pref, Some(0));
}

#[test]
fn a_full_limit_is_named() {
    let limits =
        PrefixLimits { accepted: Some(11_204), action: LimitAction::Block, ..PrefixLimits::default() };
    let profile = ImportProfile { limits: FamilyMap::from_fn(|_| limits), ..profile() };
    let reason = profile.reason(Builtin::MaxPrefix.into(), prefix(OF), &route(), NOW);
    assert_eq!(reason.as_deref(), Some("the limit of 11,204 prefixes is reached"));
}

#[test]
fn the_checks_shown_are_those_the_peer_has() {
    let names = |profile: &ImportProfile| -> Vec<&'static str> {
        profile.run_checks(prefix(OF), &route()).iter().map(|outcome| outcome.reason.name()).collect()
    };
    let plain = ["as-loop", "first-as", "originator-loop", "cluster-loop", "own-next-hop", "martian"];
    assert_eq!(names(&profile()), plain);
    let edge = EdgeRules { rpki: RpkiMode::RejectInvalid, path_length: Some(9), ..EdgeRules::default() };
    let shown = names(&with(edge));
    assert!(shown.contains(&"path-length") && shown.contains(&"rpki-invalid"), "{shown:?}");
}
