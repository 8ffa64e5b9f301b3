//! Forms of values, one row each: text of the key, what it means.

use std::time::Duration;

use siskin_net::{Asn, Family, FamilySet};

use super::{check, config, with_router};
use crate::*;

/// The peer of a file that says only this about it.
fn peer(keys: &str) -> Peer {
    config(&with_router(&format!("[peer.a]\naddress = '192.0.2.1'\nasn = 65001\n{keys}\n"))).peers["a"]
        .clone()
}

#[test]
fn asn_forms() {
    let rule = |asn: &str| {
        config(&with_router(&format!("[peer.a]\naddress = '192.0.2.1'\nasn = {asn}\n"))).peers["a"]
            .session
            .asn
            .clone()
    };
    assert_eq!(rule("65001"), AsnRule::Is(Asn(65001)));
    assert_eq!(rule("'AS65001'"), AsnRule::Is(Asn(65001)));
    assert_eq!(rule("'1.10'"), AsnRule::Is(Asn(65546)));
    assert_eq!(rule("'external'"), AsnRule::External);
    assert_eq!(rule("'internal'"), AsnRule::Internal);
    assert_eq!(
        rule("['65101-65199', 65001]"),
        AsnRule::OneOf(vec![Asn(65001)..=Asn(65001), Asn(65101)..=Asn(65199)])
    );
}

#[test]
fn ttl_forms() {
    let ttl = |keys: &str| peer(keys).session.ttl;
    assert_eq!(ttl(""), Ttl::Send(1));
    assert_eq!(ttl("multihop = true"), Ttl::Send(64));
    assert_eq!(ttl("multihop = 5"), Ttl::Send(5));
    assert_eq!(ttl("ttl-security = true"), Ttl::Security(1));
    assert_eq!(ttl("ttl-security = true\nmultihop = 3"), Ttl::Security(3));
    assert_eq!(ttl("ttl-security = 4"), Ttl::Security(4));
    assert_eq!((Ttl::Security(1).minimum(), Ttl::Security(4).minimum()), (255, 252));
    assert_eq!((Ttl::Security(4).send(), Ttl::Send(5).send(), Ttl::Send(5).minimum()), (255, 5, 0));
    assert!(ttl("").is_direct() && !ttl("multihop = 2").is_direct());
}

#[test]
fn families_forms() {
    let session = |keys: &str| peer(keys).session;
    assert_eq!(session("families = ['ipv6-unicast']").families, FamilySet::EMPTY.with(Family::Ipv6));
    let table = session("families = { ipv4-unicast = { next-hop = 'ipv6' } }");
    assert_eq!(table.families, FamilySet::EMPTY.with(Family::Ipv4));
    assert!(table.extended_next_hop);
    assert!(!session("families = { ipv4-unicast = {}, ipv6-unicast = {} }").extended_next_hop);
}

#[test]
fn durations_and_hold_time() {
    assert_eq!(peer("hold-time = '0s'").session.hold_time, Duration::ZERO);
    assert_eq!(peer("hold-time = '1m30s'").session.hold_time, Duration::from_secs(90));
    for (text, milliseconds) in [("50ms", 50), ("1h30m", 5_400_000), ("0", 0), ("2d", 172_800_000)] {
        assert_eq!(crate::duration::parse(text), Some(Duration::from_millis(milliseconds)), "{text}");
    }
    for text in ["", "s", "5", "5 s", "-5s", "5x", "1.5h", "99999999999999999999s", "9999999d", "s5", "5ſ"] {
        assert_eq!(crate::duration::parse(text), None, "{text}");
    }
}

#[test]
fn add_path_graceful_restart_and_bfd_forms() {
    let session = |keys: &str| peer(keys).session;
    let add_path = |receive, send| AddPath { receive, send };
    assert_eq!(session("").add_path, add_path(false, AddPathSend::Off));
    assert_eq!(session("add-path = 'receive'").add_path, add_path(true, AddPathSend::Off));
    assert_eq!(session("add-path = 'both'").add_path, add_path(true, AddPathSend::All));
    assert_eq!(
        session("add-path = { receive = true, send = 4 }").add_path,
        add_path(true, AddPathSend::Best(4))
    );
    assert_eq!(session("graceful-restart = false").graceful_restart, None);
    let restart = session("graceful-restart = { time = '60s' }").graceful_restart.unwrap();
    assert_eq!((restart.time.as_secs(), restart.stale.as_secs()), (60, 300));
    assert_eq!(peer("bfd = false").routes.bfd, None);
    let bfd = peer("bfd = { min-tx = '300ms', strict = true }").routes.bfd.unwrap();
    assert_eq!(
        (bfd.min_tx.as_millis(), bfd.min_rx.as_millis(), bfd.multiplier, bfd.strict),
        (300, 50, 3, true)
    );
}

#[test]
fn filter_forms() {
    let routes = |keys: &str| peer(keys).routes;
    assert_eq!(routes("max-prefix = 'off'").max_prefix, None);
    assert_eq!(
        routes("max-prefix = 'peeringdb'").max_prefix.unwrap().source,
        MaxPrefixSource::PeeringDb(Limits::default())
    );
    let limit = routes("max-prefix = { received = { ipv4 = 10 }, action = 'block', warn-at = 50 }")
        .max_prefix
        .unwrap();
    assert_eq!((limit.warn_at, limit.action), (50, LimitAction::Block));
    let MaxPrefixSource::Limits(limits) = limit.source else { panic!("numbers are numbers") };
    assert_eq!((limits.accepted[Family::Ipv4], limits.received[Family::Ipv4]), (None, Some(10)));

    let irr =
        routes("irr = { as-set = ['RIPE::as-example', 'AS65001:AS-CUST'], max-length = { ipv4 = 24 } }")
            .irr
            .unwrap();
    let IrrSource::Sets(sets) = irr.as_set else { panic!("sets are sets") };
    let names: Vec<String> = sets.iter().map(ToString::to_string).collect();
    assert_eq!(names, ["RIPE::AS-EXAMPLE", "AS65001:AS-CUST"]);
    assert_eq!(irr.max_length[Family::Ipv4], Some(24));
    assert_eq!(routes("irr = { as-set = 'auto' }").irr.unwrap().as_set, IrrSource::Auto);
    assert_eq!(routes("irr = false").irr, None);
    assert_eq!(routes("rpki = 'require-valid'").rpki, RpkiMode::RequireValid);
    assert_eq!(
        routes("default-originate = ['ipv6-unicast']").default_originate,
        FamilySet::EMPTY.with(Family::Ipv6)
    );
    assert_eq!(routes("allow-own-as = true").allow_own_as, 1);
}

#[test]
fn communities_of_all_kinds() {
    let text = "communities = ['65001:1', 'no-export', '65001:1:2', 'rt:65001:7', 'rt:192.0.2.1:7', 'ro:70000:7', '65001:1']";
    let communities = peer(text).routes.communities_out;
    assert_eq!(communities.standard.len(), 2, "no duplicates");
    assert_eq!(communities.large.len(), 1);
    let values: Vec<u64> = communities.extended.iter().map(|c| c.0).collect();
    assert_eq!(values, [0x0002_fde9_0000_0007, 0x0102_c000_0201_0007, 0x0203_0001_1170_0007]);
    let both = peer("communities = { import = ['65001:1'], export = ['65001:2'] }").routes;
    assert_eq!(
        (both.communities_in.standard[0].0 & 0xffff, both.communities_out.standard[0].0 & 0xffff),
        (1, 2)
    );
    for bad in ["65536:1", "1:65536", "1", "1:2:3:4", "rt:1", "rt:70000:70000", "*:1", ""] {
        let text =
            with_router(&format!("[peer.a]\naddress = '192.0.2.1'\nasn = 65001\ncommunities = ['{bad}']\n"));
        assert!(check(&text).is_err(), "{bad}");
    }
}

#[test]
fn mac_addresses() {
    assert_eq!("52-02-45-76-D2-35".parse::<MacAddress>().unwrap().to_string(), "52:02:45:76:d2:35");
    for bad in [
        "",
        "52:02:45:76:d2",
        "52:02:45:76:d2:35:36",
        "5:2:4:5:6:7",
        "01:00:5e:00:00:01",
        "00:00:00:00:00:00",
    ] {
        assert!(bad.parse::<MacAddress>().is_err(), "{bad}");
    }
}

#[test]
fn name_patterns() {
    for (pattern, name, matches) in [
        ("swp*", "swp12", true),
        ("swp*", "swp", true),
        ("swp*", "eth0", false),
        ("swp?", "swp1", true),
        ("swp?", "swp12", false),
        ("*.toml", "a.toml", true),
        ("*.toml", "a.toml~", false),
        ("a*b*c", "aXbYbZc", true),
        ("a*b*c", "aXbYbZ", false),
        ("", "", true),
        ("*", "", true),
        ("ä?", "äö", true),
    ] {
        assert_eq!(siskin_net::NamePattern::new(pattern).matches(name), matches, "{pattern} {name}");
    }
}

#[test]
fn a_link_local_peer_needs_its_link() {
    let text = |more: &str| with_router(&format!("[peer.a]\naddress = 'fe80::1'\nasn = 65001\n{more}\n"));
    assert!(check(&text("")).is_err());
    let peer = config(&text("interface = 'eth0'")).peers["a"].clone();
    assert_eq!(peer.endpoint.interface(), Some("eth0"));
    assert!(peer.session.extended_next_hop);
    let two = "[peer.a]\naddress = 'fe80::1'\ninterface = 'eth0'\nasn = 65001\n\
               [peer.b]\naddress = 'fe80::1'\ninterface = 'eth1'\nasn = 65001\n";
    assert_eq!(config(&with_router(two)).peers.len(), 2, "the same link-local address on two links");
}

#[test]
fn tables_of_peers_and_the_policy_of_the_kernel() {
    assert_eq!(peer("").routes.table, None);
    assert_eq!(peer("table = 100").routes.table, Some(100));
    assert_eq!(peer("table = 'main'").routes.table, Some(254));
    let text = "[peer-group.tenants]\ntable = 7\n\n[peer.a]\ngroup = 'tenants'\naddress = '192.0.2.1'\nasn = 65001\n\
                [dynamic-peer.b]\ngroup = 'tenants'\nrange = '10.0.0.0/8'\nasn = 65002\n";
    let loaded = config(&with_router(text));
    assert_eq!(loaded.peers["a"].routes.table, Some(7));
    assert_eq!(loaded.dynamic_peers["b"].routes.table, Some(7));
    let wrong =
        check(&with_router("[peer.a]\naddress = '192.0.2.1'\nasn = 65001\ntable = 255\n")).unwrap_err();
    assert!(
        wrong.render(false).contains("table 255 (`local`) belongs to the kernel"),
        "{}",
        wrong.render(false)
    );
    let kernel = |keys: &str| format!("[kernel]\n{keys}\n[policy.few]\nrules = ['set table 9', 'accept']\n");
    assert_eq!(config(&with_router(&kernel(""))).kernel.policy, None);
    let few = config(&with_router(&kernel("policy = 'few'"))).kernel;
    assert_eq!(few.policy.map(|policy| policy.name().to_owned()).as_deref(), Some("few"));
    let wrong = check(&with_router(&kernel("policy = 'fwe'"))).unwrap_err();
    assert!(wrong.render(false).contains("there is no policy `fwe`"), "{}", wrong.render(false));
}

#[test]
fn resilient_groups_forms() {
    let kernel = |keys: &str| with_router(&format!("[kernel]\n{keys}\n"));
    let groups = |keys: &str| config(&kernel(keys)).kernel.resilient_groups;
    let usual = ResilientGroups { buckets: 128, idle: Duration::from_secs(60), unbalanced: Duration::ZERO };
    assert_eq!((groups(""), groups("resilient-groups = false")), (None, None));
    assert_eq!(groups("resilient-groups = true"), Some(usual));
    assert_eq!(
        groups("resilient-groups = { buckets = 512, unbalanced = '2m' }"),
        Some(ResilientGroups { buckets: 512, unbalanced: Duration::from_secs(120), ..usual })
    );
    for (keys, message) in [
        ("resilient-groups = { bucket = 1 }", "unknown key `bucket`"),
        ("resilient-groups = { buckets = 8 }", "a resilient group needs a bucket for each next hop"),
        ("resilient-groups = 'yes'", "expected `true`, `false` or a table"),
    ] {
        let errors = check(&kernel(keys)).unwrap_err().render(false);
        assert!(errors.contains(message), "{errors}");
    }
}

#[test]
fn ports_of_host_routes() {
    let section = |name: &str, keys: &str| {
        with_router(&format!("[host-routes.\"{name}\"]\nprefixes = ['198.51.100.0/24']\n{keys}\n"))
    };
    let bridge = config(&section("vmbr1", "vlan = 100\nports = ['tap*', 'fwpr?']"));
    let bridge = &bridge.host_routes["vmbr1"];
    assert_eq!(bridge.vlan, Some(100));
    assert!(bridge.ports[0].matches("tap10i0") && !bridge.ports[1].matches("eth0"));
    let taps = config(&section("tap*", ""));
    assert_eq!((taps.host_routes["tap*"].vlan, taps.host_routes["tap*"].ports.len()), (None, 0));
    assert!(config(&section("vmbr1.100", "")).host_routes.contains_key("vmbr1.100"));
    for (name, keys) in
        [("tap*", "vlan = 5"), ("vmbr1", "vlan = 4095"), ("vmbr1", "ports = ['a b']"), ("a/b", "")]
    {
        assert!(check(&section(name, keys)).is_err(), "{name} {keys}");
    }
}
