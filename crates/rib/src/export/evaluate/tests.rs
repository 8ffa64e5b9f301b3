use std::sync::Arc;

use siskin_bgp::attr::SegmentKind;
use siskin_bgp::wire::{EncodeContext, MAX_LEN};
use siskin_net::{BgpIdentifier, FamilyMap, FamilySet};
use siskin_policy::{CommunityValue, Compiled, PolicySet, PolicySource, RuleSource, Sets};

use super::*;
use crate::config::FibAction;
use crate::import::ImportProfile;

const LOCAL: Asn = Asn(64500);
const PEER: Asn = Asn(64600);

fn policy(rules: &[&str]) -> Option<Arc<Compiled>> {
    let rules = rules.iter().map(|text| RuleSource { text: (*text).into(), location: "test".into() });
    let source = PolicySource { name: "test".into(), rules: rules.collect() };
    PolicySet::compile(vec![source], &Sets::default()).unwrap().get("test")
}

fn own(family: Family) -> NextHop {
    NextHop::new(match family {
        Family::Ipv4 => "192.0.2.254".parse().unwrap(),
        Family::Ipv6 => "2001:db8::fe".parse().unwrap(),
    })
}

/// A session whose policy accepts all.
fn profile(external: bool) -> ExportProfile {
    ExportProfile {
        families: FamilySet::BOTH,
        local_asn: LOCAL,
        external,
        role: None,
        policy: policy(&["accept"]),
        next_hop: NextHopMode::Default,
        self_next_hop: FamilyMap::from_fn(|family| Some(own(family))),
        peer_address: Some([192, 0, 2, 9].into()),
        remove_private_as: false,
        prepend: 0,
        med: None,
        communities: Vec::new(),
        ext_communities: true,
        default_originate: FamilySet::EMPTY,
        reflector_client: false,
        cluster_id: 77,
        identifier: BgpIdentifier(0x0a00_0001),
        limits: FamilyMap::default(),
        drain: Drain::No,
        encode: EncodeContext {
            four_octet_as: true,
            max_len: MAX_LEN,
            extended_next_hop: false,
            add_path: FamilySet::EMPTY,
            external,
        },
    }
}

/// Where a route came from.
fn source(external: bool, reflector_client: bool) -> PeerInfo {
    let import = ImportProfile::local("from".into(), RouteSource::Bgp, PEER, 7);
    let info = PeerInfo::local(Arc::new(import), BgpIdentifier(0x0a00_0063), FibAction::Resolve);
    PeerInfo { external, reflector_client, ..info }
}

fn local() -> PeerInfo {
    let import = ImportProfile::local("static".into(), RouteSource::Originate, LOCAL, 7);
    PeerInfo::local(Arc::new(import), BgpIdentifier(0x0a00_0001), FibAction::Blackhole)
}

fn route() -> PathAttributes {
    let mut attributes = PathAttributes::originated([198, 51, 100, 1].into());
    attributes.as_path = AsPath::from_sequence([PEER, Asn(64700)]);
    attributes.med = Some(30);
    attributes.local_pref = Some(200);
    attributes.weight = 9;
    attributes
}

fn export_of(
    profile: &ExportProfile,
    source: Option<&PeerInfo>,
    attributes: &PathAttributes,
    prefix: &str,
) -> Result<PathAttributes, Option<Builtin>> {
    let outcome = profile.export(Outgoing { prefix: prefix.parse().unwrap(), attributes, source });
    outcome.attributes.ok_or(outcome.rule.builtin())
}

/// What becomes of an IPv4 route from an external peer.
fn export(profile: &ExportProfile, attributes: &PathAttributes) -> Result<PathAttributes, Option<Builtin>> {
    export_of(profile, Some(&source(true, false)), attributes, "203.0.113.0/24")
}

fn asns(attributes: &PathAttributes) -> Vec<u32> {
    attributes.as_path.asns().map(|asn| asn.0).collect()
}

#[test]
fn what_stays_inside_the_as_does_not_cross_its_border() {
    let mut received = route();
    received.originator_id = Some(BgpIdentifier(5));
    received.cluster_list = [1, 2].into_iter().collect();
    received.ext_communities =
        [ExtendedCommunity(0x0002_0000_0000_0001), ExtendedCommunity(0x4300_0000_0000_0001)]
            .into_iter()
            .collect();
    let sent = export(&profile(true), &received).unwrap();
    assert_eq!(asns(&sent), [64500, 64600, 64700]);
    assert_eq!((sent.local_pref, sent.med, sent.weight, sent.originator_id), (None, None, 0, None));
    assert!(sent.cluster_list.is_empty());
    assert_eq!(sent.ext_communities.to_vec(), [ExtendedCommunity(0x0002_0000_0000_0001)]);
    let sent = export(&profile(false), &received).unwrap();
    assert_eq!((asns(&sent), sent.local_pref, sent.med), (vec![64600, 64700], Some(200), Some(30)));
    assert_eq!((sent.weight, sent.ext_communities.len()), (0, 2));
    assert!(
        export(&ExportProfile { ext_communities: false, ..profile(false) }, &received)
            .unwrap()
            .ext_communities
            .is_empty()
    );
    received.local_pref = None;
    assert_eq!(export(&profile(false), &received).unwrap().local_pref, Some(100));
}

#[test]
fn the_next_hop_follows_the_mode_and_the_kind_of_session() {
    let kept = route().next_hop;
    let cases = [
        (NextHopMode::Default, true, own(Family::Ipv4)),
        (NextHopMode::Default, false, kept),
        (NextHopMode::SelfAddress, true, own(Family::Ipv4)),
        (NextHopMode::SelfAddress, false, own(Family::Ipv4)),
        (NextHopMode::Unchanged, true, kept),
        (NextHopMode::Unchanged, false, kept),
    ];
    for (mode, external, expected) in cases {
        let profile = ExportProfile { next_hop: mode, ..profile(external) };
        assert_eq!(export(&profile, &route()).unwrap().next_hop, expected, "{mode:?} external {external}");
    }
    let sent = export_of(&profile(false), Some(&local()), &route(), "203.0.113.0/24").unwrap();
    assert_eq!(sent.next_hop, own(Family::Ipv4), "a route of our own leads to us");
    let rule = |text| {
        let profile = ExportProfile { policy: policy(&[text, "accept"]), ..profile(true) };
        export(&profile, &route()).unwrap().next_hop.address.to_string()
    };
    assert_eq!(rule("set next-hop unchanged"), "198.51.100.1");
    assert_eq!(rule("set next-hop peer"), "192.0.2.9");
    assert_eq!(rule("set next-hop self"), "192.0.2.254");
    assert_eq!(rule("set next-hop 203.0.113.7"), "203.0.113.7");
}

#[test]
fn a_next_hop_that_means_nothing_to_the_peer_is_replaced_or_the_route_stays() {
    let mut received = route();
    received.next_hop = NextHop { interface: 3, ..NextHop::new("fe80::1".parse().unwrap()) };
    let from = source(true, false);
    let sent = |profile: &ExportProfile| export_of(profile, Some(&from), &received, "2001:db8:9::/48");
    assert_eq!(sent(&profile(false)).unwrap().next_hop, own(Family::Ipv6));
    let homeless = ExportProfile { self_next_hop: FamilyMap::default(), ..profile(false) };
    assert_eq!(sent(&homeless), Err(Some(Builtin::NoNextHop)));
    // With its link-local address the global one stays, and the link is forgotten.
    let global = "2001:db8::1".parse().unwrap();
    received.next_hop =
        NextHop { address: global, link_local: Some("fe80::1".parse().unwrap()), interface: 3 };
    let kept = export_of(&profile(false), Some(&from), &received, "2001:db8:9::/48").unwrap();
    assert_eq!(kept.next_hop, NextHop::new(global));
    // An IPv6 next hop for IPv4 goes only where that was negotiated.
    assert_eq!(export(&profile(false), &received), Err(Some(Builtin::NoNextHop)));
    let mut extended = profile(false);
    extended.encode.extended_next_hop = true;
    assert_eq!(export(&extended, &received).unwrap().next_hop, NextHop::new(global));
}

#[test]
fn a_route_may_ask_to_be_prepended_at_the_border() {
    let attributes = PathAttributes { border_prepend: 1, ..PathAttributes::originated([0, 0, 0, 0].into()) };
    let sent =
        |external| export_of(&profile(external), Some(&local()), &attributes, "203.0.113.7/32").unwrap();
    assert_eq!((asns(&sent(true)), sent(true).border_prepend), (vec![64500, 64500], 0));
    assert_eq!((asns(&sent(false)), sent(false).border_prepend), (vec![], 0), "not inside the AS");
}

#[test]
fn the_path_is_prepended_and_cleaned_of_private_numbers() {
    let prepended = ExportProfile { prepend: 2, ..profile(true) };
    assert_eq!(asns(&export(&prepended, &route()).unwrap()), [64500, 64500, 64500, 64600, 64700]);
    assert_eq!(
        asns(&export(&ExportProfile { external: false, ..prepended }, &route()).unwrap()),
        [64600, 64700]
    );
    let mut received = route();
    received.as_path = AsPath::from_sequence([3356, 64512, 65534, 4_200_000_000, 1299].map(Asn));
    received.as_path.push_segment(SegmentKind::Set, &[Asn(64513)]);
    let cleaned = ExportProfile { remove_private_as: true, local_asn: Asn(174), ..profile(true) };
    let sent = export(&cleaned, &received).unwrap();
    assert_eq!(asns(&sent), [174, 3356, 1299]);
    assert_eq!(sent.as_path.segments().count(), 1, "a segment without members is no segment");
}

#[test]
fn med_is_ours_to_set() {
    let with = |rules: &[&str], med| ExportProfile { policy: policy(rules), med, ..profile(true) };
    let sent = |profile: ExportProfile| export(&profile, &route()).unwrap().med;
    assert_eq!(sent(with(&["accept"], Some(7))), Some(7));
    assert_eq!(sent(with(&["set med 5", "accept"], Some(7))), Some(5));
    let originated = export_of(&profile(true), Some(&local()), &route(), "203.0.113.0/24").unwrap();
    assert_eq!(originated.med, Some(30), "the MED of a route of our own is meant for the peer");
}

#[test]
fn reflection_follows_rfc_4456() {
    let client = ExportProfile { reflector_client: true, ..profile(false) };
    let send = |profile: &ExportProfile, from_client, attributes: &PathAttributes| {
        export_of(profile, Some(&source(false, from_client)), attributes, "203.0.113.0/24")
    };
    assert_eq!(send(&profile(false), false, &route()), Err(Some(Builtin::NoReflection)));
    for (to, from_client) in [(&client, false), (&client, true), (&profile(false), true)] {
        let sent = send(to, from_client, &route()).unwrap();
        assert_eq!(sent.originator_id, Some(BgpIdentifier(0x0a00_0063)));
        assert_eq!(sent.cluster_list.to_vec(), [77]);
        assert_eq!((sent.next_hop, asns(&sent)), (route().next_hop, vec![64600, 64700]));
    }
    let mut reflected = route();
    reflected.originator_id = Some(BgpIdentifier(5));
    reflected.cluster_list = [1].into_iter().collect();
    let sent = send(&client, true, &reflected).unwrap();
    assert_eq!((sent.originator_id, sent.cluster_list.to_vec()), (Some(BgpIdentifier(5)), vec![77, 1]));
    assert!(send(&profile(true), false, &route()).is_ok(), "external peers get everything");
    let direct = export(&client, &route()).unwrap();
    assert_eq!(
        (direct.originator_id, direct.cluster_list.len()),
        (None, 0),
        "what comes from outside is not reflected"
    );
}

#[test]
fn well_known_communities_keep_routes() {
    let with = |community| {
        let mut received = route();
        received.communities = [community].into_iter().collect();
        received
    };
    for (community, external, internal) in [
        (NO_EXPORT, Some(Builtin::NoExport), None),
        (NO_EXPORT_SUBCONFED, Some(Builtin::NoExport), None),
        (NO_ADVERTISE, Some(Builtin::NoAdvertise), Some(Builtin::NoAdvertise)),
        (Community(64500 << 16 | 1), None, None),
    ] {
        assert_eq!(export(&profile(true), &with(community)).err().flatten(), external, "{community}");
        assert_eq!(export(&profile(false), &with(community)).err().flatten(), internal, "{community}");
    }
    let added = ExportProfile { communities: vec![CommunityValue::Standard(NO_EXPORT)], ..profile(true) };
    let sent = export(&added, &with(Community(64500 << 16 | 1))).unwrap();
    assert_eq!(sent.communities.to_vec(), [Community(64500 << 16 | 1), NO_EXPORT]);
}

#[test]
fn without_a_policy_an_external_peer_is_sent_nothing_but_its_default_route() {
    let silent = ExportProfile { policy: None, ..profile(true) };
    assert_eq!(export(&silent, &route()), Err(Some(Builtin::NoPolicy)));
    assert!(export(&ExportProfile { policy: None, ..profile(false) }, &route()).is_ok());
    let default = PathAttributes::originated(own(Family::Ipv4).address);
    let sent = export_of(&silent, None, &default, "0.0.0.0/0").unwrap();
    assert_eq!((asns(&sent), sent.next_hop), (vec![64500], own(Family::Ipv4)));
    let v6 = ExportProfile { families: FamilySet::EMPTY.with(Family::Ipv6), ..profile(true) };
    assert_eq!(export(&v6, &route()), Err(Some(Builtin::FamilyNotNegotiated)));
}

#[test]
fn roles_keep_leaks_in_and_mark_what_goes_down() {
    let to = |role| ExportProfile { role: Some(role), ..profile(true) };
    let mut marked = route();
    marked.otc = Some(PEER);
    for role in [Role::Provider, Role::Peer, Role::RouteServer] {
        assert_eq!(export(&to(role), &marked), Err(Some(Builtin::RoleLeak)), "{role:?}");
    }
    for role in [Role::Customer, Role::RouteServerClient] {
        assert_eq!(export(&to(role), &marked).unwrap().otc, Some(PEER), "{role:?}");
    }
    for role in [Role::Customer, Role::RouteServerClient, Role::Peer] {
        assert_eq!(export(&to(role), &route()).unwrap().otc, Some(LOCAL), "{role:?}");
    }
    assert_eq!(export(&to(Role::Provider), &route()).unwrap().otc, None);
}

#[test]
fn the_rule_that_refused_is_named() {
    let profile = ExportProfile { policy: policy(&["reject if prefix.len > 20", "accept"]), ..profile(true) };
    assert!(profile.depends_on_prefix());
    assert_eq!(export(&profile, &route()), Err(None), "a rule of the policy, none of ours");
    assert!(export_of(&profile, Some(&source(true, false)), &route(), "10.0.0.0/8").is_ok());
}
