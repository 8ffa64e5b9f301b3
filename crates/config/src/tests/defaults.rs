//! The whole of the contract in one file, and what the least file means.

use std::time::Duration;

use siskin_net::{Asn, Family, FamilySet, Role};

use super::{check, config, with_router};
use crate::*;

const INTERFACE: &str = include_str!("interface.toml");

#[test]
fn every_section_of_the_contract_is_taken() {
    let config = config(INTERFACE);
    assert_eq!(config.router.asn, Asn(64500));
    assert_eq!(config.router.listen.len(), 2);
    assert_eq!(config.kernel.table, 254);
    assert_eq!(config.kernel.prefsrc[Family::Ipv6], Some("2001:db8::10".parse().unwrap()));
    assert_eq!(config.api.http, Some("127.0.0.1:9179".parse().unwrap()));
    assert_eq!(config.originate[0].communities.standard.len(), 1);
    let domain = &config.host_routes["vmbr1"];
    assert_eq!(domain.gateway[Family::Ipv4], Some("169.254.0.1".parse().unwrap()));
    assert_eq!(domain.vms[0].mac, MacAddress([0x52, 0x02, 0x45, 0x76, 0xd2, 0x35]));
    assert_eq!(domain.policy.as_ref().unwrap().name(), "vms");
    assert_eq!(config.rpki.servers[1].server, HostPort { host: "2001:db8::53".to_owned(), port: 3323 });
    assert_eq!(config.irr.server, HostPort { host: "rr.ntt.net".to_owned(), port: 43 });

    let transit = &config.peers["transit-a"];
    assert_eq!(transit.session.role, Some(Role::Provider));
    let by_role = |choice: &PolicyChoice| match choice {
        PolicyChoice::Role(role, policy) => (*role, policy.name().to_owned()),
        other => panic!("{other:?}"),
    };
    assert_eq!(by_role(&transit.routes.import), (Role::Provider, "(provider import)".to_owned()));
    assert_eq!(by_role(&transit.routes.export), (Role::Provider, "(provider export AS64496)".to_owned()));
    assert_eq!(transit.routes.rpki, RpkiMode::RejectInvalid);
    let limit = transit.routes.max_prefix.as_ref().unwrap();
    assert_eq!(limit.action, LimitAction::Restart { after: Duration::from_secs(900) });
    let tor = &config.peers["tor-left"];
    assert_eq!(tor.endpoint, Endpoint::Unnumbered { interface: "enp196s0f0np0".to_owned() });
    assert!(tor.session.extended_next_hop);
    assert_eq!(tor.routes.export.policy().unwrap().name(), "fabric-out");

    let tenants = &config.dynamic_peers["tenants"];
    assert_eq!(tenants.limit, 200);
    assert!(tenants.session.accepts(Asn(65150)) && !tenants.session.accepts(Asn(65200)));
    let endpoint = Endpoint::Address { address: "10.20.0.7".parse().unwrap(), interface: None };
    assert_eq!(tenants.peer("tenants-1".to_owned(), endpoint).routes, tenants.routes);
}

#[test]
fn what_this_version_does_not_do_is_listed_once_each() {
    let loaded = check(INTERFACE).unwrap();
    let keys: Vec<&str> = loaded.config.not_yet().iter().map(|n| n.key.as_str()).collect();
    assert!(keys.contains(&"peer.transit-a.bfd"), "{keys:?}");
    // Besides, the key of PeeringDB is not on this machine.
    assert_eq!(loaded.warnings.len(), keys.len() + 1, "{}", loaded.warnings);
    assert!(loaded.warnings.iter().all(|w| w.severity == Severity::Warning && w.line > 0));

    let two = "[peer-group.g]\nbfd = true\nasn = 65001\nimport = 'accept-all'\nexport = 'accept-all'\n\
               [peer.a]\ngroup = 'g'\naddress = '192.0.2.1'\n[peer.b]\ngroup = 'g'\naddress = '192.0.2.2'\n";
    assert_eq!(config(&with_router(two)).not_yet().len(), 1, "a group's key is written once");
}

#[test]
fn the_least_file_has_all_defaults() {
    let config = config("[router]\nasn = 64500\n");
    assert_eq!(config.router.router_id, None);
    let listen: Vec<String> = config.router.listen.iter().map(ToString::to_string).collect();
    assert_eq!(listen, ["0.0.0.0:179", "[::]:179"]);
    assert_eq!(config.router.multipath, Multipath::Relaxed);
    assert_eq!(config.router.state_dir.to_str(), Some("/var/lib/siskin"));
    let kernel = &config.kernel;
    assert!(kernel.install && kernel.nexthop_groups);
    assert_eq!((kernel.table, kernel.metric, kernel.max_paths, kernel.on_stop), (254, 32, 16, OnStop::Keep));
    assert_eq!(config.api.socket.to_str(), Some("/run/siskin/siskin.sock"));
    assert_eq!(config.api.http, None);
    assert!(config.not_yet().is_empty());
}

#[test]
fn an_external_peer_takes_and_gives_nothing_by_itself() {
    let config = config(&with_router("[peer.a]\naddress = '192.0.2.1'\nasn = 65001\n"));
    let peer = &config.peers["a"];
    assert_eq!((&peer.routes.import, &peer.routes.export), (&PolicyChoice::None, &PolicyChoice::None));
    assert_eq!(peer.session.kind(), PeerKind::External);
    assert_eq!((peer.session.ttl, peer.session.port), (Ttl::Send(1), 179));
    assert_eq!(peer.session.hold_time, Duration::from_secs(90));
    assert_eq!(peer.session.families, FamilySet::BOTH);
    assert!(peer.session.graceful_restart.is_some() && !peer.session.extended_next_hop);
    assert!(peer.routes.enforce_first_as && peer.enabled && !peer.session.passive);
}

#[test]
fn an_internal_peer_takes_and_gives_everything_by_itself() {
    for asn in ["64500", "'internal'", "['64500']"] {
        let config = config(&with_router(&format!("[peer.a]\naddress = '192.0.2.1'\nasn = {asn}\n")));
        let peer = &config.peers["a"];
        assert_eq!(peer.session.kind(), PeerKind::Internal, "{asn}");
        assert_eq!(peer.routes.import.policy().unwrap().name(), "accept-all");
        assert_eq!(peer.routes.export.policy().unwrap().name(), "accept-all");
        assert_eq!(peer.session.ttl, Ttl::Send(64));
        assert!(!peer.routes.enforce_first_as);
    }
}

#[test]
fn a_route_servers_own_as_need_not_come_first() {
    let config =
        config(&with_router("[peer.rs]\naddress = '192.0.2.1'\nasn = 65001\nrole = 'route-server'\n"));
    assert!(!config.peers["rs"].routes.enforce_first_as);
}

#[test]
fn a_peers_own_keys_win_over_its_group() {
    let config = config(&with_router(
        "[peer-group.g]\nasn = 65001\nhold-time = '30s'\npassword = 'theirs'\nnext-hop-unchanged = true\nprepend = 2\n\
         [peer.a]\ngroup = 'g'\naddress = '192.0.2.1'\nhold-time = '9s'\nnext-hop-self = true\n\
         [peer.b]\ngroup = 'g'\naddress = '192.0.2.2'\n",
    ));
    let (a, b) = (&config.peers["a"], &config.peers["b"]);
    assert_eq!(a.session.hold_time, Duration::from_secs(9));
    assert_eq!(b.session.hold_time, Duration::from_secs(30));
    assert_eq!(a.session.password.as_ref().unwrap().expose(), "theirs");
    assert_eq!((a.routes.next_hop, b.routes.next_hop), (NextHopMode::SelfAddress, NextHopMode::Unchanged));
    assert_eq!((a.routes.prepend, b.routes.prepend), (2, 2));
}

#[test]
fn secrets_are_not_shown() {
    let config = config(&with_router("[peer.a]\naddress = '192.0.2.1'\nasn = 65001\npassword = 'hunter2'\n"));
    let shown = toml::to_string(&config).unwrap();
    assert!(shown.contains("password = \"***\"") && !shown.contains("hunter2"));
    assert!(!format!("{config:?}").contains("hunter2"));
}

#[test]
fn the_effective_configuration_says_everything() {
    insta::assert_snapshot!(toml::to_string(&config(INTERFACE)).unwrap());
}
