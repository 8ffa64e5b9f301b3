mod edge;
mod texts;

use siskin_bgp::attr::AsPath;
use siskin_policy::{AsnSet, PolicySet, PolicySource, RuleSource, Sets};

use siskin_net::PeerId;

use super::*;
use crate::batch::{BatchBuilder, Judged, Operation};

const LOCAL: Asn = Asn(64500);
const PEER: Asn = Asn(64600);

fn policy(rules: &[&str]) -> Option<Arc<Compiled>> {
    let rules = rules.iter().map(|text| RuleSource { text: (*text).into(), location: "test".into() });
    let source = PolicySource { name: "test".into(), rules: rules.collect() };
    PolicySet::compile(vec![source], &Sets::default()).unwrap().get("test")
}

/// An external peer whose policy accepts all.
fn profile() -> ImportProfile {
    let mut profile = ImportProfile::local("transit".into(), RouteSource::Bgp, PEER, 7);
    profile.external = true;
    profile.local_asns = [LOCAL].into_iter().collect();
    profile.identifier = BgpIdentifier(0x0a00_0001);
    profile.cluster_id = 77;
    profile.enforce_first_as = true;
    profile.own_addresses = Arc::new(["192.0.2.254".parse().unwrap(), "2001:db8::fe".parse().unwrap()]);
    profile.address = Some([192, 0, 2, 1].into());
    profile.local_address = Some([192, 0, 2, 254].into());
    profile.policy = policy(&["accept"]);
    profile
}

fn route() -> PathAttributes {
    let mut attributes = PathAttributes::originated([192, 0, 2, 1].into());
    attributes.as_path = AsPath::from_sequence([PEER, Asn(64700)]);
    attributes
}

fn prefix(text: &str) -> Prefix {
    text.parse().unwrap()
}

/// What import makes of one prefix.
fn import(profile: &ImportProfile, attributes: &PathAttributes, of: &str) -> Result<PathAttributes, RuleId> {
    let verdict = profile.judge(attributes);
    let (outcome, rule) = profile.judge_prefix(&verdict, prefix(of));
    outcome.map(Cow::into_owned).map_err(|()| rule)
}

fn rejected(profile: &ImportProfile, attributes: &PathAttributes) -> Option<Builtin> {
    import(profile, attributes, "203.0.113.0/24").err().and_then(RuleId::builtin)
}

#[test]
fn a_sound_route_passes_every_check() {
    assert_eq!(import(&profile(), &route(), "203.0.113.0/24"), Ok(route()));
    assert!(Check::ALL.iter().all(|check| check.passes(&profile(), &route())));
}

#[test]
fn each_check_rejects_by_its_name() {
    type Damage = fn(&mut PathAttributes);
    let cases: [(Builtin, Damage); 6] = [
        (Builtin::AsLoop, |a| a.as_path = AsPath::from_sequence([PEER, LOCAL])),
        (Builtin::FirstAs, |a| a.as_path = AsPath::from_sequence([Asn(64700)])),
        (Builtin::OriginatorLoop, |a| a.originator_id = Some(BgpIdentifier(0x0a00_0001))),
        (Builtin::ClusterLoop, |a| a.cluster_list = [5, 77].into_iter().collect()),
        (Builtin::OwnNextHop, |a| a.next_hop = NextHop::new([192, 0, 2, 254].into())),
        (Builtin::Martian, |a| a.next_hop = NextHop::new([127, 0, 0, 1].into())),
    ];
    for (reason, damage) in cases {
        let mut damaged = route();
        damage(&mut damaged);
        assert_eq!(rejected(&profile(), &damaged), Some(reason));
        let failed: Vec<Builtin> = Check::ALL
            .iter()
            .filter(|check| !check.passes(&profile(), &damaged))
            .map(|check| check.reason)
            .collect();
        assert_eq!(failed, [reason]);
    }
}

#[test]
fn checks_bend_to_the_profile() {
    let mut looped = route();
    looped.as_path = AsPath::from_sequence([PEER, LOCAL, LOCAL]);
    for (allowed, outcome) in [(0, Some(Builtin::AsLoop)), (1, Some(Builtin::AsLoop)), (2, None)] {
        assert_eq!(rejected(&ImportProfile { allow_own_as: allowed, ..profile() }, &looped), outcome);
    }
    let mut route_server = route();
    route_server.as_path = AsPath::from_sequence([Asn(64700)]);
    assert_eq!(rejected(&ImportProfile { enforce_first_as: false, ..profile() }, &route_server), None);
    assert_eq!(rejected(&ImportProfile { external: false, ..profile() }, &route_server), None);
    let mut empty = route();
    empty.as_path = AsPath::default();
    assert_eq!(rejected(&profile(), &empty), Some(Builtin::FirstAs));
}

#[test]
fn roles_reject_leaks_and_mark_what_comes_from_above() {
    let with = |role| ImportProfile { role: Some(role), ..profile() };
    let mut marked = route();
    marked.otc = Some(Asn(64700));
    for role in [Role::Customer, Role::RouteServerClient, Role::Peer] {
        assert_eq!(rejected(&with(role), &marked), Some(Builtin::RoleLeak), "{role:?}");
    }
    for role in [Role::Provider, Role::RouteServer] {
        assert_eq!(import(&with(role), &marked, "203.0.113.0/24"), Ok(marked.clone()), "{role:?}");
    }
    for role in [Role::Provider, Role::RouteServer, Role::Peer] {
        assert_eq!(import(&with(role), &route(), "203.0.113.0/24").unwrap().otc, Some(PEER), "{role:?}");
    }
    marked.otc = Some(PEER);
    assert_eq!(rejected(&with(Role::Peer), &marked), None, "a lateral peer may mark its own");
    assert_eq!(import(&with(Role::Customer), &route(), "203.0.113.0/24").unwrap().otc, None);
}

#[test]
fn martian_prefixes_are_rejected_and_their_neighbours_are_not() {
    let bad = ["0.0.0.0/8", "0.1.0.0/16", "127.0.0.0/8", "127.0.0.1/32", "224.0.0.0/4", "239.1.0.0/16"];
    let bad6 = ["ff00::/8", "ff02::1/128", "fe80::/10", "fe80::1/128", "::/127", "::1/128", "::/128"];
    for text in bad.into_iter().chain(bad6) {
        assert!(import(&profile(), &route(), text).is_err(), "{text}");
        let outcome = import(&profile(), &route(), text);
        assert_eq!(outcome, Err(Builtin::Martian.into()), "{text}");
    }
    for text in
        ["0.0.0.0/0", "0.0.0.0/1", "126.0.0.0/8", "240.0.0.0/4", "10.0.0.0/8", "::/0", "2001:db8::/32"]
    {
        assert!(import(&profile(), &route(), text).is_ok(), "{text}");
    }
}

#[test]
fn without_a_policy_an_external_peer_gives_nothing() {
    let silent = ImportProfile { policy: None, ..profile() };
    assert_eq!(rejected(&silent, &route()), Some(Builtin::NoPolicy));
    assert_eq!(rejected(&ImportProfile { external: false, ..silent }, &route()), None);
}

#[test]
fn preparation_comes_before_policy() {
    let mut profile = profile();
    profile.local_pref = Some(150);
    profile.communities = [3, 1].map(|n| CommunityValue::Standard(Community(64500 << 16 | n))).to_vec();
    profile.policy =
        policy(&["reject if local-pref != 150", "set local-pref 90 if community has 64500:3", "accept"]);
    let mut received = route();
    received.communities = [Community(64500 << 16 | 2)].into_iter().collect();
    let accepted = import(&profile, &received, "203.0.113.0/24").unwrap();
    assert_eq!(accepted.local_pref, Some(90));
    let expected: Vec<Community> = (1..=3).map(|n| Community(64500 << 16 | n)).collect();
    assert_eq!(accepted.communities.to_vec(), expected, "sorted");
}

#[test]
fn the_policy_sets_next_hops() {
    let next_hop = |rule| {
        let profile = ImportProfile { policy: policy(&[rule, "accept"]), ..profile() };
        let mut received = route();
        received.next_hop = NextHop::new([198, 51, 100, 9].into());
        import(&profile, &received, "203.0.113.0/24").unwrap().next_hop.address
    };
    assert_eq!(next_hop("set next-hop self"), IpAddr::from([192, 0, 2, 254]));
    assert_eq!(next_hop("set next-hop peer"), IpAddr::from([192, 0, 2, 1]));
    assert_eq!(next_hop("set next-hop 203.0.113.9"), IpAddr::from([203, 0, 113, 9]));
    assert_eq!(next_hop("set med 5"), IpAddr::from([198, 51, 100, 9]));
}

#[test]
fn a_local_source_is_not_checked() {
    let local = ImportProfile::local("static".into(), RouteSource::Originate, LOCAL, 7);
    let attributes = PathAttributes::originated([127, 0, 0, 1].into());
    assert_eq!(import(&local, &attributes, "127.0.0.0/8"), Ok(attributes));
}

/// The operations a batch holds for one run of prefixes with equal attributes.
fn operations(profile: ImportProfile, prefixes: &[&str]) -> Vec<(Judged, u32)> {
    let mut builder = BatchBuilder::new(PeerId(1), Arc::new(profile));
    let mut update = siskin_bgp::wire::Update::default();
    let attributes = route();
    update.reach.push(siskin_bgp::wire::Reach {
        family: Family::Ipv4,
        next_hop: attributes.next_hop,
        prefixes: prefixes.iter().map(|text| prefix(text)).collect(),
        path_ids: Vec::new(),
    });
    update.attributes = Some(attributes);
    builder.push(update);
    let batch = builder.take();
    assert!(builder.is_empty());
    assert_eq!(batch.len(), prefixes.len());
    let announced = |operation: &Operation| match operation {
        Operation::Announce { received: 0, judged, count } => (*judged, *count),
        other => unreachable!("{other:?}"),
    };
    batch.operations.iter().map(announced).collect()
}

#[test]
fn a_batch_judges_attributes_once_and_prefixes_where_the_policy_asks() {
    let four = ["203.0.113.0/24", "198.51.100.0/24", "10.1.0.0/16", "10.2.0.0/16"];
    assert_eq!(operations(profile(), &four), [(Judged::Accepted(0), 4)], "as received: no second set");
    let changed = ImportProfile { local_pref: Some(150), ..profile() };
    assert_eq!(operations(changed, &four), [(Judged::Accepted(1), 4)]);
    let by_prefix = ImportProfile {
        policy: policy(&[
            "set local-pref 50 if prefix in [10.0.0.0/8+]",
            "reject if prefix.len = 24",
            "accept",
        ]),
        ..profile()
    };
    let outcome = operations(by_prefix, &four);
    assert!(matches!(outcome[0], (Judged::Rejected(_), 2)), "{outcome:?}");
    assert_eq!(outcome[1..], [(Judged::Accepted(1), 2)]);
    let martian = operations(profile(), &["203.0.113.0/24", "127.0.0.0/8", "10.1.0.0/16"]);
    let expected = [Judged::Accepted(0), Judged::Rejected(Builtin::Martian.into()), Judged::Accepted(0)];
    assert_eq!(martian, expected.map(|judged| (judged, 1)));
}
