//! Filters: what a role switches on, what `checks` and `[edge]` change about it, and what cannot work.

use std::fs;
use std::sync::Arc;

use siskin_bgp::attr::LargeCommunity;
use siskin_net::{Asn, Family};

use super::{check, config, errors, with_router};
use crate::{Checks, Config, MaxPrefixSource, PolicyChoice, RouteSettings, load};

/// The routes of a peer of AS 65001 with these keys, in a file with these sections.
fn routes_in(sections: &str, keys: &str) -> RouteSettings {
    let text = format!("{sections}\n[peer.a]\naddress = '192.0.2.1'\nasn = 65001\n{keys}\n");
    config(&with_router(&text)).peers["a"].routes.clone()
}

fn checks(keys: &str) -> Checks {
    routes_in("", keys).checks
}

/// The names of the checks that are on, as the effective configuration has them.
fn on(checks: &Checks) -> Vec<String> {
    let table = toml::Table::try_from(checks).unwrap();
    let off = toml::Value::Boolean(false);
    table.into_iter().filter(|(_, value)| *value != off).map(|(name, _)| name).collect()
}

/// Of every message, one line.
fn warnings(text: &str) -> Vec<String> {
    check(&with_router(text)).unwrap().warnings.iter().map(|w| w.message.clone()).collect()
}

const ALL: [&str; 7] =
    ["aspa", "bogon-asn", "bogon-prefix", "own-prefix", "path-length", "prefix-length", "role-leak"];

#[test]
fn a_role_switches_its_checks_on() {
    for (role, more) in [
        ("provider", &["next-hop"][..]),
        ("peer", &["next-hop", "transit-asn"]),
        ("customer", &["blackhole", "next-hop", "transit-asn"]),
        ("route-server", &["never-via-route-server", "transit-asn"]),
        ("route-server-client", &["blackhole", "transit-asn"]),
    ] {
        let mut expected: Vec<&str> = ALL.iter().chain(more).copied().collect();
        expected.sort_unstable();
        assert_eq!(on(&checks(&format!("role = '{role}'"))), expected, "{role}");
    }
    assert_eq!(on(&checks("")), [""; 0], "and without a role nothing is checked");
    let far = checks("role = 'peer'\nmultihop = true");
    assert!(!far.next_hop && far.transit_asns.is_some(), "a distant peer's next hop is not its address");
}

#[test]
fn a_role_decides_other_defaults_too() {
    for (role, hides_private, first_as) in [
        ("provider", true, true),
        ("peer", true, true),
        ("customer", false, true),
        ("route-server", true, false),
        ("route-server-client", false, true),
    ] {
        let routes = routes_in("", &format!("role = '{role}'"));
        assert_eq!((routes.remove_private_as, routes.enforce_first_as), (hides_private, first_as), "{role}");
    }
    let routes = routes_in("", "role = 'peer'\nremove-private-as = false\nenforce-first-as = false");
    assert!(!routes.remove_private_as && !routes.enforce_first_as);
}

#[test]
fn checks_are_switched_extended_and_replaced() {
    let text = |list: &[std::ops::RangeInclusive<Asn>]| {
        list.iter().map(crate::model::range_text).collect::<Vec<_>>().join(" ")
    };
    let shipped = checks("role = 'peer'");
    let off = checks("role = 'peer'\nchecks = { transit-asn = false, path-length = false, aspa = false }");
    assert_eq!((off.transit_asns, off.path_length, off.aspa), (None, None, false));
    let some = checks("checks = { bogon-asn = true, next-hop = true, prefix-length = true }");
    assert_eq!(on(&some), ["bogon-asn", "next-hop", "prefix-length"]);
    assert_eq!(some.bogon_asns, shipped.bogon_asns);

    let extra = checks("role = 'peer'\nchecks = { transit-asn = { extra = [64499, '64505-64507'] } }");
    let all = text(&extra.transit_asns.unwrap());
    assert!(all.starts_with("174 701 ") && all.ends_with(" 7018 64499 64505-64507"), "{all}");
    let only = checks("role = 'peer'\nchecks = { transit-asn = { only = [64499] } }");
    assert_eq!(text(&only.transit_asns.unwrap()), "64499");
    let bogons = checks("role = 'peer'\nchecks = { bogon-prefix = { extra = ['9.0.0.0/8+'] } }");
    let bogons = bogons.bogon_prefixes.unwrap();
    assert_eq!(bogons.len(), shipped.bogon_prefixes.unwrap().len() + 1);
    assert!(bogons.iter().any(|bogon| bogon.matches("9.1.0.0/16".parse().unwrap())));

    let lengths = checks("role = 'peer'\nchecks = { prefix-length = { ipv4 = [8, 25] }, path-length = 30 }");
    let by_family = lengths.prefix_length.unwrap();
    assert_eq!((by_family[Family::Ipv4], by_family[Family::Ipv6]), ((8, 25), (12, 48)));
    assert_eq!((lengths.path_length, shipped.path_length), (Some(30), Some(100)));
}

#[test]
fn bogons_is_the_default_of_two_checks() {
    assert_eq!(on(&checks("bogons = true")), ["bogon-asn", "bogon-prefix"]);
    let off = checks("role = 'peer'\nbogons = false\nchecks = { bogon-asn = true }");
    assert!(off.bogon_prefixes.is_none() && off.bogon_asns.is_some());
}

#[test]
fn a_peers_checks_win_one_by_one_over_the_groups() {
    let config = config(&with_router(
        "[peer-group.g]\nrole = 'peer'\nchecks = { path-length = 20, transit-asn = false }\n\
         [peer.a]\ngroup = 'g'\naddress = '192.0.2.1'\nasn = 65001\nchecks = { transit-asn = true }\n\
         [peer.b]\ngroup = 'g'\naddress = '192.0.2.2'\nasn = 65002\n",
    ));
    let (a, b) = (&config.peers["a"].routes.checks, &config.peers["b"].routes.checks);
    assert_eq!((a.path_length, b.path_length), (Some(20), Some(20)));
    assert!(a.transit_asns.is_some() && b.transit_asns.is_none());
}

#[test]
fn equal_lists_are_one() {
    let peer = |name: &str, host: u8, list: &str| {
        format!(
            "[peer.{name}]\naddress = '192.0.2.{host}'\nasn = 6500{host}\nrole = 'peer'\n\
             checks = {{ transit-asn = {{ extra = [{list}] }} }}\n"
        )
    };
    let config = config(&with_router(&[peer("a", 1, "1"), peer("b", 2, "1"), peer("c", 3, "2")].concat()));
    let list = |name: &str| config.peers[name].routes.checks.transit_asns.clone().unwrap();
    assert!(Arc::ptr_eq(&list("a"), &list("b")) && !Arc::ptr_eq(&list("a"), &list("c")));
    let bogons = |name: &str| config.peers[name].routes.checks.bogon_prefixes.clone().unwrap();
    assert!(
        Arc::ptr_eq(&bogons("a"), &bogons("c")) && Arc::ptr_eq(&bogons("a"), &config.edge.bogon_prefixes)
    );
}

#[test]
fn own_prefixes_are_those_the_file_originates() {
    let sections = "[[originate]]\nprefix = '203.0.113.0/24'\n[[originate]]\nprefix = '0.0.0.0/0'\n\
                    [host-routes.vmbr1]\nprefixes = ['198.51.100.0/24', '203.0.113.0/24']\n";
    let own = |config: &Config| {
        config.edge.own_prefixes.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
    };
    let found = config(&with_router(sections));
    assert_eq!(own(&found), "198.51.100.0/24+ 203.0.113.0/24+", "a default route is nobody's");
    let given = config(&with_router(&format!("{sections}[edge]\nown-prefixes = ['192.0.2.0/24']\n")));
    assert_eq!(own(&given), "192.0.2.0/24");
    let peer = routes_in(sections, "role = 'peer'").checks.own_prefixes.unwrap();
    assert_eq!(peer, found.edge.own_prefixes);
}

#[test]
fn the_lists_of_edge_replace_the_shipped_ones() {
    let sections =
        "[edge]\nbogon-prefixes = ['10.0.0.0/8+']\nbogon-asns = [0, '64496-64511']\ntransit-asns = [64499]\n";
    let checks = routes_in(sections, "role = 'peer'").checks;
    assert_eq!(checks.bogon_prefixes.unwrap().len(), 1);
    assert_eq!(*checks.bogon_asns.unwrap(), [Asn(0)..=Asn(0), Asn(64496)..=Asn(64511)]);
    assert_eq!(*checks.transit_asns.unwrap(), [Asn(64499)..=Asn(64499)]);
    let extra = routes_in(sections, "role = 'peer'\nchecks = { transit-asn = { extra = [64500] } }").checks;
    assert_eq!(extra.transit_asns.unwrap().len(), 2, "what is added is added to the list of [edge]");
}

#[test]
fn communities_of_the_edge_come_with_the_first_role() {
    let peer = "[peer.a]\naddress = '192.0.2.1'\nasn = 65001\n";
    let edge = |text: &str| config(&with_router(text)).edge.communities;
    assert!(!edge(peer) && edge(&format!("{peer}role = 'peer'\n")));
    assert!(edge(&format!("[edge]\ncommunities = true\n{peer}")));
    assert!(!edge(&format!("[edge]\ncommunities = false\n{peer}role = 'peer'\n")));
    assert_eq!(config(&with_router("")).edge.blackhole_community, LargeCommunity(64500, 1, 666));
}

/// The rules of the policy of one direction.
fn rules(choice: &PolicyChoice) -> Vec<String> {
    choice.policy().unwrap().rules().map(|(_, text)| text.to_owned()).collect()
}

#[test]
fn the_policies_of_roles_are_compiled_where_a_peer_uses_them() {
    let text = "[peer.a]\naddress = '192.0.2.1'\nasn = 65001\nrole = 'customer'\n\
                [peer.b]\naddress = '192.0.2.2'\nasn = 65002\nrole = 'customer'\nlocal-pref = 150\n\
                [peer.c]\naddress = '192.0.2.3'\nasn = 65003\nrole = 'peer'\nimport = 'reject-all'\nexport = 'accept-all'\n\
                [dynamic-peer.d]\nrange = '192.0.2.0/24'\nasn = 'external'\nrole = 'provider'\nimport = 'reject-all'\n";
    let config = config(&with_router(text));
    let names: Vec<&str> = config.policies.names().filter(|name| name.starts_with('(')).collect();
    assert_eq!(
        names,
        [
            "(customer export AS65001)",
            "(customer export AS65002)",
            "(customer import local-pref 150)",
            "(customer import)",
            "(provider export)",
        ]
    );
    let routes = |name: &str| &config.peers[name].routes;
    assert!(rules(&routes("a").import).iter().any(|rule| rule == "set local-pref 200"));
    assert!(rules(&routes("b").import).iter().any(|rule| rule == "set local-pref 150"));
    assert!(matches!(&routes("c").import, PolicyChoice::Named(policy) if policy.name() == "reject-all"));
    let rule = routes("a").import.policy().unwrap().rules().next().unwrap().0;
    assert!(config.policies.describe(rule).contains("built-in"), "{}", config.policies.describe(rule));
    assert!(check(&with_router("[policy.'(customer import)']\nrules = ['accept']\n")).is_err());
}

#[test]
fn whoever_may_ask_for_a_blackhole_has_the_rules_of_it() {
    let import = |sections: &str, keys: &str| rules(&routes_in(sections, keys).import).join("\n");
    assert!(import("", "role = 'customer'").contains("64500:1:666"));
    assert!(!import("", "role = 'customer'\nchecks = { blackhole = false }").contains("next-hop blackhole"));
    assert!(import("", "role = 'peer'\nchecks = { blackhole = true }").contains("next-hop blackhole"));
    let other = import("[edge]\nblackhole-community = '64500:666:0'\n", "role = 'customer'");
    assert!(other.contains("64500:666:0") && !other.contains("64500:1:666"), "{other}");
}

#[test]
fn blocklists_are_read_from_files_beside_the_configuration() {
    let directory = tempfile::tempdir().unwrap();
    let main = directory.path().join("siskin.toml");
    let text = "router = { asn = 64500 }\n[edge]\nblocklist-files = ['bad.txt']\n\
                [peer.a]\naddress = '192.0.2.1'\nasn = 65001\n[peer.b]\naddress = '192.0.2.2'\nasn = 64500\n\
                [peer.c]\naddress = '192.0.2.3'\nasn = 65003\nchecks = { blocklist = false }\n";
    fs::write(&main, text).unwrap();
    let missing = load(&main).unwrap_err().render(false);
    assert!(missing.contains("bad.txt` cannot be read") && missing.contains("siskin.toml:3"), "{missing}");

    fs::write(directory.path().join("bad.txt"), "64499\nexample.net\n").unwrap();
    let wrong = load(&main).unwrap_err().render(false);
    assert!(wrong.contains("bad.txt:2: `example.net`"), "{wrong}");

    fs::write(directory.path().join("bad.txt"), "AS64499 64498 64499 # one\n198.51.100.7\n").unwrap();
    let loaded = load(&main).unwrap();
    assert!(loaded.warnings.is_empty(), "{}", loaded.warnings);
    let list = |name: &str| loaded.config.peers[name].routes.checks.blocklist.clone();
    let blocklist = list("a").unwrap();
    assert_eq!(blocklist.asns, [Asn(64498), Asn(64499)]);
    assert!(blocklist.prefixes[0].matches("198.51.100.7/32".parse().unwrap()));
    assert!(list("b").is_none() && list("c").is_none(), "an internal peer, and one that is trusted");

    fs::write(directory.path().join("bad.txt"), "AS64499 64497\n198.51.100.7\n").unwrap();
    let changes: Vec<String> =
        loaded.config.diff(&load(&main).unwrap().config).iter().map(ToString::to_string).collect();
    assert_eq!(changes, ["~ edge: blocklist: -AS64498 +AS64497"], "the sizes are the same");
}

#[test]
fn a_change_of_a_check_is_told_by_its_name() {
    let with = |keys: &str| {
        config(&with_router(&format!(
            "[peer.a]\naddress = '192.0.2.1'\nasn = 65001\nrole = 'peer'\n{keys}\n"
        )))
    };
    let told =
        |old: &str, new: &str| with(old).diff(&with(new)).iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(
        told("", "checks = { aspa = false, transit-asn = { extra = [1] } }"),
        ["~ peer.a: checks.aspa: true → false, checks.transit-asn: +\"1\""]
    );
    let client = |on: &str| {
        let peer = format!("[peer.a]\naddress = '192.0.2.1'\nasn = 64500\nroute-reflector-client = {on}\n");
        config(&with_router(&peer)).peers["a"].clone()
    };
    assert!(
        client("false").session_differs(&client("true")),
        "what a client was told is told by another answer"
    );
    assert_eq!(told("", "drain = true"), ["~ peer.a: drain: false → true"]);
    assert_eq!(
        told("", "role-strict = true"),
        ["~ peer.a: role-strict: false → true (the session restarts)"]
    );
}

#[test]
fn secrets_of_sections_change_too() {
    let with = |password: &str| {
        config(&with_router(&format!(
            "[rpki]\nservers = [{{ server = '192.0.2.9', password = '{password}' }}]\n[peeringdb]\napi-key = '{password}'\n"
        )))
    };
    let (old, new) = (with("one"), with("two"));
    let changes: Vec<String> = old.diff(&new).iter().map(ToString::to_string).collect();
    assert_eq!(changes, ["~ peeringdb: api-key changed", "~ rpki: password of 192.0.2.9:323 changed"]);
    let shown = toml::to_string(&old).unwrap();
    assert!(!shown.contains("one") && shown.contains("password = \"***\""), "{shown}");
}

#[test]
fn limits_of_peeringdb_are_extended_by_numbers() {
    let limit =
        routes_in("", "max-prefix = { peeringdb = true, ipv6 = 9, action = 'warn' }").max_prefix.unwrap();
    let MaxPrefixSource::PeeringDb(limits) = limit.source else { panic!("from PeeringDB") };
    assert_eq!((limits.accepted[Family::Ipv4], limits.accepted[Family::Ipv6]), (None, Some(9)));
}

#[test]
fn what_says_nothing_about_the_way_out_is_warned_of() {
    let peer = |key: &str| format!("[peer.a]\naddress = '192.0.2.1'\nasn = 65001\nmax-prefix-out = {key}\n");
    let out = |key: &str| config(&with_router(&peer(key))).peers["a"].routes.max_prefix_out.clone();
    assert_eq!(out("'peeringdb'"), None);
    assert_eq!(warnings(&peer("'peeringdb'")), ["`peeringdb` in `peer.a.max-prefix-out` limits nothing"]);
    let limit = out("{ ipv4 = 7, received = { ipv4 = 9 } }").unwrap();
    let MaxPrefixSource::Limits(limits) = limit.source else { panic!("numbers are numbers") };
    assert_eq!((limits.accepted[Family::Ipv4], limits.received[Family::Ipv4]), (Some(7), None));
    assert_eq!(warnings(&peer("{ received = { ipv6 = 9 } }")).len(), 1);
}

#[test]
fn an_irr_condition_needs_a_set() {
    let text = "[policy.p]\nrules = ['accept if irr match']\n\
                [peer.a]\naddress = '192.0.2.1'\nasn = 65001\nimport = 'p'\n";
    assert_eq!(warnings(text), ["policy `p` asks for the IRR set of the peer"]);
    assert_eq!(warnings(&format!("{text}irr = {{ as-set = 'AS-EXAMPLE' }}\n")), [""; 0]);
}

#[test]
fn data_that_nobody_delivers_are_warned_of() {
    let peer = "[peer.a]\naddress = '192.0.2.1'\nasn = 65001\n";
    let rpki = "[rpki]\nservers = ['192.0.2.9']\n";
    let rules = "[policy.p]\nrules = ['reject if rpki invalid', 'reject if aspa invalid', 'accept']\n";
    assert_eq!(
        warnings(&format!("{rules}{peer}rpki = 'reject-invalid'\n")),
        [
            "policy `p` asks for `rpki`, but [rpki] has no `servers`",
            "policy `p` asks for `aspa`, but [rpki] has no `servers`",
            "`peer.a.rpki` is set, but [rpki] has no `servers`",
        ]
    );
    assert_eq!(warnings(&format!("{rpki}{rules}{peer}rpki = 'require-valid'\n")), [""; 0]);
    assert_eq!(warnings(&format!("{peer}role = 'peer'\n")), [""; 0], "a default is no request");
    assert_eq!(
        warnings(&format!("{peer}checks = {{ aspa = true, blocklist = true, role-leak = false }}\n")),
        ["`peer.a.checks.aspa` rejects nothing", "`peer.a.checks.blocklist` rejects nothing"]
    );
}

#[test]
fn one_as_number_is_needed_to_ask_peeringdb() {
    let with = |asn: &str, key: &str| {
        check(&with_router(&format!("[peer.a]\naddress = '192.0.2.1'\nasn = {asn}\n{key}\n"))).is_ok()
    };
    for key in ["irr = { as-set = 'auto' }", "max-prefix = 'peeringdb'", "max-prefix = { peeringdb = true }"]
    {
        assert!(with("65001", key), "{key}");
        assert!(!with("'external'", key) && !with("['65001-65009']", key), "{key}");
    }
    assert!(with("'external'", "irr = { as-set = 'AS-EXAMPLE' }"));
    assert!(with("65001", "role = 'provider'\nirr = { as-set = 'AS-EXAMPLE' }"));
}

#[test]
fn what_is_wrong_in_filters_is_told() {
    insta::assert_snapshot!(errors(&with_router(
        "[rpki]\nservers = ['192.0.2.9', { server = '192.0.2.9:323' }, { password = 'x' }]\nrefresh = '1h'\nexpire = '30m'\n\
         [edge]\nbogon-prefixs = []\nbogon-prefixes = ['10.0.0.1/8']\nbogon-asns = ['64511-64496', 'x']\nblackhole-community = '65535:666'\n\
         [peer-group.a]\nchecks = { transit-asns = true, prefix-length = { ipv4 = [24, 8] }, path-length = 0 }\n\
         [peer-group.b]\nchecks = { bogon-asn = { extra = [1], only = [2] }, bogon-prefix = {}, aspa = 1 }\n\
         [peer.a]\naddress = '192.0.2.1'\nasn = 65001\nrole-strict = true\nmax-prefix = { action = 'warn' }\n",
    ))
    .render(false));
}
