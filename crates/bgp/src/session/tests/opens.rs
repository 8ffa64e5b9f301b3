//! OPENs and what is made of them.

use siskin_net::Role;

use super::*;
use crate::wire::{AddPath, Capabilities, Fqdn, GracefulRestart};

/// What `config` answers to the OPEN that `change` makes of an ordinary one.
fn answer(config: SessionConfig, change: impl FnOnce(&mut Open)) -> Result<Negotiated, Notification> {
    let mut open = negotiate::our_open(&peer_config());
    change(&mut open);
    let body = octets(|out| open.encode(out)).slice(19..);
    negotiate::negotiate(&config, &Open::decode(&body)?)
}

fn refusal(config: SessionConfig, change: impl FnOnce(&mut Open)) -> ErrorCode {
    answer(config, change).expect_err("refused").error
}

#[test]
fn a_peer_with_the_wrong_fields_is_told_which() {
    let four_octets = |asn| move |open: &mut Open| open.capabilities.four_octet_as = Some(Asn(asn));
    assert_eq!(refusal(config(), four_octets(64502)), ErrorCode::BAD_PEER_AS);
    assert_eq!(
        refusal(SessionConfig { peer_asn: PeerAs::External, ..config() }, four_octets(0)),
        ErrorCode::BAD_PEER_AS
    );
    assert_eq!(refusal(config(), |open| open.identifier = BgpIdentifier(0)), ErrorCode::BAD_BGP_IDENTIFIER);
    for seconds in [1, 2] {
        assert_eq!(refusal(config(), |open| open.hold_time = seconds), ErrorCode::UNACCEPTABLE_HOLD_TIME);
    }
    let at_least_30 = SessionConfig { min_hold_time: 30, ..config() };
    assert_eq!(refusal(at_least_30.clone(), |open| open.hold_time = 0), ErrorCode::UNACCEPTABLE_HOLD_TIME);
    assert_eq!(answer(at_least_30, |open| open.hold_time = 30).unwrap().keepalive, 10);
}

#[test]
fn equal_identifiers_are_wrong_in_one_as_alone() {
    let equal = |open: &mut Open| open.identifier = BgpIdentifier(10);
    assert!(answer(config(), equal).is_ok(), "RFC 6286");
    let internal = SessionConfig { local_asn: Asn(64501), peer_asn: PeerAs::Internal, ..config() };
    assert_eq!(refusal(internal.clone(), equal), ErrorCode::BAD_BGP_IDENTIFIER);
    assert!(!answer(internal, |_| ()).unwrap().external);
}

#[test]
fn as_numbers_are_admitted_as_configured() {
    let admits = |peer_asn: PeerAs| answer(SessionConfig { peer_asn, ..config() }, |_| ()).is_ok();
    assert!(admits(PeerAs::External));
    assert!(!admits(PeerAs::Internal));
    assert!(admits(PeerAs::OneOf(vec![1..=2, 64501..=64599])));
    assert!(!admits(PeerAs::OneOf(vec![64502..=64599])));
}

#[test]
fn another_version_is_told_ours() {
    let mut body = octets(|out| negotiate::our_open(&peer_config()).encode(out)).slice(19..).to_vec();
    body[0] = 3;
    let refusal = Open::decode(&body).unwrap_err();
    assert_eq!((refusal.error, refusal.data), (ErrorCode::UNSUPPORTED_VERSION, vec![0, 4]));
}

#[test]
fn a_silent_peer_speaks_ipv4_of_two_octets() {
    let bare = |open: &mut Open| open.capabilities = Capabilities::default();
    let agreed = answer(config(), bare).unwrap();
    assert_eq!(agreed.families, FamilySet::EMPTY.with(Family::Ipv4));
    assert!(!agreed.four_octet_as && !agreed.route_refresh && !agreed.extended_message);
    assert_eq!(agreed.encode.max_len, 4096);
    let ipv6 = SessionConfig { families: FamilySet::EMPTY.with(Family::Ipv6), ..config() };
    let refusal = answer(ipv6, bare).unwrap_err();
    assert_eq!((refusal.error, refusal.data), (ErrorCode::UNSUPPORTED_CAPABILITY, vec![1, 4, 0, 2, 0, 1]));
}

#[test]
fn what_both_offer_is_agreed() {
    let agreed = answer(config(), |_| ()).unwrap();
    assert_eq!(agreed.families, FamilySet::BOTH);
    assert!(
        agreed.four_octet_as && agreed.extended_message && agreed.route_refresh && agreed.enhanced_refresh
    );
    assert_eq!((agreed.hold_time, agreed.keepalive, agreed.encode.max_len), (90, 30, 65535));
    assert!(agreed.external && agreed.decode.external && agreed.encode.external);

    let ipv4 = FamilySet::EMPTY.with(Family::Ipv4);
    let wide = SessionConfig {
        extended_next_hop: ipv4,
        add_path: AddPath { receive: FamilySet::BOTH, send: FamilySet::EMPTY },
        ..config()
    };
    let agreed = answer(wide, |open| {
        open.capabilities.extended_next_hop = ipv4;
        open.capabilities.add_path = AddPath { receive: FamilySet::BOTH, send: ipv4 };
    });
    let agreed = agreed.unwrap();
    assert!(agreed.decode.extended_next_hop && agreed.encode.extended_next_hop);
    assert_eq!(agreed.add_path, AddPath { receive: ipv4, send: FamilySet::EMPTY });
    assert_eq!(agreed.decode.add_path, ipv4);
}

#[test]
fn roles_must_be_each_other_s() {
    let pairs = [
        (Role::Provider, 0),
        (Role::RouteServer, 1),
        (Role::RouteServerClient, 2),
        (Role::Customer, 3),
        (Role::Peer, 4),
    ];
    for (role, right) in pairs {
        let us = SessionConfig { role: Some(role), ..config() };
        for sent in 0..6 {
            let answer = answer(us.clone(), |open| open.capabilities.roles = [sent].into());
            match answer {
                Ok(agreed) => assert_eq!((agreed.peer_role, sent), (Some(role), right)),
                Err(refusal) => assert!(refusal.error == ErrorCode::ROLE_MISMATCH && sent != right),
            }
        }
        let two = |open: &mut Open| open.capabilities.roles = vec![right, (right + 1) % 5].into();
        assert_eq!(refusal(us.clone(), two), ErrorCode::ROLE_MISMATCH);
        assert!(answer(us.clone(), |_| ()).is_ok());
        assert_eq!(refusal(SessionConfig { strict_role: true, ..us }, |_| ()), ErrorCode::ROLE_MISMATCH);
    }
}

#[test]
fn our_open_reads_as_it_was_meant() {
    let all = SessionConfig {
        local_asn: Asn(4_200_000_000),
        role: Some(Role::Customer),
        graceful_restart: Some(120),
        restarting: true,
        preserved: true,
        forwarding: FamilySet::EMPTY.with(Family::Ipv6),
        extended_next_hop: FamilySet::EMPTY.with(Family::Ipv4),
        add_path: AddPath { receive: FamilySet::BOTH, send: FamilySet::EMPTY.with(Family::Ipv4) },
        fqdn: Some(Fqdn { host: "hv1".into(), domain: "example.net".into() }),
        ..config()
    };
    let open = negotiate::our_open(&all);
    let message = octets(|out| open.encode(out));
    assert_eq!(Open::decode(&message[19..]), Ok(open.clone()));
    assert_eq!((open.my_as, open.asn()), (23456, Asn(4_200_000_000)));
    assert_eq!(&open.capabilities.roles[..], [0], "the customer's provider");
    let restart = GracefulRestart {
        restarting: true,
        notification: true,
        restart_time: 120,
        families: FamilySet::EMPTY.with(Family::Ipv6),
        forwarding: FamilySet::EMPTY.with(Family::Ipv6),
    };
    assert_eq!(open.capabilities.graceful_restart, Some(restart));
}
