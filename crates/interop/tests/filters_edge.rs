//! The edge policy as its neighbours see it: each check with a route that it is for, roles and Only-to-Customer with FRR and BIRD,
//! who is given what, communities, blackholes, GRACEFUL_SHUTDOWN and draining. RFC 7999, RFC 8326, RFC 9234.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use siskin_interop::Result;
use siskin_interop::frr::Frr;
use siskin_interop::irrd::{Irrd, Registry};
use siskin_interop::kernel;
use siskin_interop::lab::lab;
use siskin_interop::peeringdb::{self, PeeringDb};
use siskin_interop::plain::{at_peer, ip};
use siskin_interop::router::{Announcement, Attributes, Config, Neighbor, Router as _};
use siskin_interop::siskin::Siskin;
use siskin_interop::stayrtr::StayRtr;
use siskin_interop::wait::{SOON, stays, wait_for, wait_some};
use siskin_interop::world::{Network, ROUTER, US, World};

const OWN: &str =
    "\n[[originate]]\nprefix = \"20.200.0.0/16\"\n\n[[originate]]\nprefix = \"2a0e:200::/32\"\n";

/// Waits until a route is rejected by this rule, and returns what more is said of it.
fn rejected(siskin: &Siskin, peer: &str, prefix: &str, rule: &str) -> Result<String> {
    let mut seen = Value::Null;
    let found = wait_some(&format!("{prefix} of {peer} to be rejected by {rule}"), SOON, || {
        seen = siskin.filtered_from(prefix, peer)?.unwrap_or_default()["rejected"].clone();
        Ok((seen["rule"] == rule).then(|| seen["text"].as_str().unwrap_or_default().to_owned()))
    });
    found.map_err(|error| error.during(format!("{seen}")))
}

fn accepted(siskin: &Siskin, peer: &str, prefix: &str) -> Result<Value> {
    wait_some(&format!("{prefix} of {peer} to be accepted"), SOON, || siskin.path_from(prefix, peer))
}

#[test]
fn each_check_refuses_what_it_is_for() -> Result {
    lab("edge-checks", |lab| {
        let (world_ns, us) = World::place(lab)?;
        let mut shy = peeringdb::record(401_777, "", 0, 0);
        shy["info_never_via_route_servers"] = true.into();
        let peeringdb =
            us.within(|| PeeringDb::start(SocketAddr::from(([127, 0, 0, 1], 8080)), vec![shy]))?;
        // 401098 is the only provider of 401099; 401013 is none.
        let _cache =
            StayRtr::start_with(&us, 8282, &[("20.99.0.0/16", 16, 401_099)], &[(401_099, &[401_098])])?;
        us.file("block.txt", "# not these\nAS401666\n20.66.0.0/16 ; nor these\n")?;
        let long = [401_999; 100];

        let peer = Network::new("peer", 12, 401_012, &["20.12.0.0/16", "2a0e:12::/32"])
            .with("100.64.5.0/24", "")
            .with("2001:db8:5::/48", "")
            .behind("20.12.1.0/24", &[64_512])
            .with("20.12.2.0/25", "")
            .with("2a0e:12:0:1::/64", "")
            .with("16.0.0.0/7", "")
            .with("20.200.1.0/24", "")
            .behind("20.12.3.0/24", &[401_500, 3356])
            .with("20.12.4.0/24", "")
            .behind("20.12.5.0/24", &long)
            .with("20.66.1.0/24", "")
            .behind("20.12.6.0/24", &[401_500, 401_666])
            .with("20.12.7.0/24", "bgp_otc = 401888;")
            .behind("20.12.8.0/24", &[US])
            .filter("if net = 20.12.4.0/24 then bgp_next_hop = 10.0.12.99;");
        let provider = Network::new("provider", 11, 401_011, &[])
            .behind("20.11.0.0/16", &[3356, 1299])
            .with("20.11.1.0/24", "bgp_otc = 401888;");
        let customer = Network::new("customer", 13, 401_013, &["20.13.0.0/16"])
            .with("20.13.1.0/24", "bgp_otc = 401013;")
            .behind("20.13.2.0/24", &[174])
            .behind("20.99.0.0/16", &[401_099]);
        let servers = Network::new("servers", 14, 401_014, &[])
            .behind("20.14.0.0/16", &[401_501])
            .behind("20.14.1.0/24", &[401_777])
            .session("rs client;");
        let wrong_first = Network::new("wrong-first", 15, 401_015, &[])
            .behind("20.15.0.0/16", &[401_501])
            .session("rs client;");
        let lenient = Network::new("lenient", 16, 401_016, &["20.16.0.0/26", "20.16.1.0/24"])
            .behind("20.16.2.0/24", &[3356])
            .behind("20.16.3.0/24", &[401_500, 401_501, 401_502])
            .with("20.16.4.0/24", "")
            .with("20.66.2.0/24", "")
            .with("100.64.6.0/24", "")
            .filter("if net = 20.16.4.0/24 then bgp_next_hop = 10.0.16.99;");
        let checks = "role = \"peer\"\nchecks = { transit-asn = false, next-hop = false, blocklist = false, path-length = 3, \
                      bogon-prefix = { extra = [\"20.16.1.0/24\"] }, prefix-length = { ipv4 = [8, 26] } }";
        let toml = [
            format!("{ROUTER}{OWN}\n[edge]\nblocklist-files = [\"block.txt\"]\n"),
            format!(
                "\n[rpki]\nservers = [\"127.0.0.1:8282\"]\n\n[peeringdb]\nurl = \"{}\"\n",
                peeringdb.url()
            ),
            peer.peer("role = \"peer\""),
            provider.peer("role = \"provider\""),
            customer.peer("role = \"customer\""),
            servers.peer("role = \"route-server\""),
            wrong_first.peer("role = \"peer\""),
            lenient.peer(checks),
        ];
        let siskin = Siskin::start(&us, &toml.concat())?;
        let _world = World::start(&world_ns, vec![peer, provider, customer, servers, wrong_first, lenient])?;

        for (network, prefix, rule, text) in [
            ("peer", "100.64.5.0/24", "bogon-prefix", "100.64.5.0/24 belongs to nobody"),
            ("peer", "2001:db8:5::/48", "bogon-prefix", "2001:db8:5::/48 belongs to nobody"),
            ("peer", "20.12.1.0/24", "bogon-asn", "64512 in the path"),
            ("peer", "20.12.2.0/25", "prefix-length", "/25 is not within /8 to /24"),
            ("peer", "2a0e:12:0:1::/64", "prefix-length", "/64 is not within /12 to /48"),
            ("peer", "16.0.0.0/7", "prefix-length", "/7 is not within /8 to /24"),
            ("peer", "20.200.1.0/24", "own-prefix", "20.200.1.0/24 is ours"),
            ("peer", "20.12.3.0/24", "transit-asn", "3356 in the path"),
            ("peer", "20.12.4.0/24", "next-hop", "10.0.12.99 is not the peer 10.0.12.1"),
            ("peer", "20.12.5.0/24", "path-length", "101 AS numbers, at most 100"),
            ("peer", "20.66.1.0/24", "blocklist", "20.66.1.0/24 is blocked"),
            ("peer", "20.12.6.0/24", "blocklist", "401666 in the path"),
            ("peer", "20.12.7.0/24", "role-leak", "OTC 401888 from a peer"),
            ("customer", "20.13.1.0/24", "role-leak", "OTC 401013 from a customer"),
            ("customer", "20.13.2.0/24", "transit-asn", "174 in the path"),
            ("servers", "20.14.1.0/24", "never-via-route-server", "401777 in the path"),
            ("wrong-first", "20.15.0.0/16", "first-as", "the path begins with 401501, the peer is 401015"),
            ("lenient", "20.16.1.0/24", "bogon-prefix", "20.16.1.0/24 belongs to nobody"),
            ("lenient", "100.64.6.0/24", "bogon-prefix", "100.64.6.0/24 belongs to nobody"),
            ("lenient", "20.16.3.0/24", "path-length", "4 AS numbers, at most 3"),
        ] {
            assert_eq!(rejected(&siskin, network, prefix, rule)?, text, "{network} {prefix}");
        }
        rejected(&siskin, "peer", "20.12.8.0/24", "as-loop")?;
        let text = rejected(&siskin, "customer", "20.99.0.0/16", "aspa-invalid")?;
        assert!(text.contains("401099"), "{text}");
        for (network, prefix) in [
            ("peer", "20.12.0.0/16"),
            ("peer", "2a0e:12::/32"),
            ("provider", "20.11.0.0/16"),
            ("provider", "20.11.1.0/24"),
            ("customer", "20.13.0.0/16"),
            ("servers", "20.14.0.0/16"),
            ("lenient", "20.16.0.0/26"),
            ("lenient", "20.16.2.0/24"),
            ("lenient", "20.16.4.0/24"),
            ("lenient", "20.66.2.0/24"),
        ] {
            accepted(&siskin, network, prefix)?;
        }
        // A word in a blocklist that is none: the configuration in force stays.
        us.file("block.txt", "AS401666\nnonsense\n")?;
        let refused = siskin.cli(&["config", "apply"])?;
        let text =
            String::from_utf8_lossy(&refused.stdout).into_owned() + &String::from_utf8_lossy(&refused.stderr);
        assert_eq!(refused.status.code(), Some(4), "{text}");
        assert!(text.contains("block.txt:2"), "{text}");
        us.file("block.txt", "AS401012\n")?;
        siskin.cli_text(&["config", "apply"])?;
        assert_eq!(rejected(&siskin, "peer", "20.12.0.0/16", "blocklist")?, "401012 in the path");
        rejected(&siskin, "peer", "20.12.6.0/24", "blocklist")?;
        Ok(())
    })
}

/// RFC 9234 with BIRD: agreed, untold, refused; OTC on what is given.
#[test]
fn roles_are_agreed_on_and_wrong_ones_refused() -> Result {
    lab("edge-roles", |lab| {
        let (world_ns, us) = World::place(lab)?;
        let networks = vec![
            Network::new("agreed", 11, 401_011, &["20.11.0.0/16"]).session("local role customer;"),
            Network::new("untold", 12, 401_012, &["20.12.0.0/16"]),
            Network::new("wrong", 13, 401_013, &["20.13.0.0/16"]).session("local role provider;"),
            Network::new("strict", 14, 401_014, &["20.14.0.0/16"]),
            Network::new("provider", 15, 401_015, &["20.15.0.0/16"]).session("local role provider;"),
            Network::new("lateral", 16, 401_016, &["20.16.0.0/16"])
                .session("local role peer; require roles;"),
        ];
        let role = |name: &str| match name {
            "provider" => "role = \"provider\"",
            "lateral" => "role = \"peer\"",
            "strict" => "role = \"customer\"\nrole-strict = true",
            _ => "role = \"customer\"",
        };
        let toml: String = networks.iter().map(|network| network.peer(role(&network.name))).collect();
        let siskin = Siskin::start(&us, &format!("{ROUTER}{OWN}{toml}"))?;
        let world = World::start(&world_ns, networks)?;
        for (name, state) in
            [("agreed", "agreed"), ("untold", "unconfirmed"), ("provider", "agreed"), ("lateral", "agreed")]
        {
            siskin.wait_established(name)?;
            assert_eq!(siskin.peer(name)?["role_state"], state, "{name}");
        }
        for name in ["wrong", "strict"] {
            // Whoever looks first refuses.
            wait_for(&format!("{name} to be refused"), SOON, || {
                let error = &siskin.peer(name)?["last_error"];
                Ok(error["code"] == 2 && error["subcode"] == 11)
            })?;
            assert!(!siskin.established(name)?, "{name}");
        }
        let shown = siskin.cli_text(&["peers", "wrong"])?;
        assert!(shown.contains("Role Mismatch"), "{shown}");

        // What goes down or sideways is marked; what came with a mark from above keeps it.
        world.gets("agreed", "20.200.0.0/16")?;
        world.gets("lateral", "20.200.0.0/16")?;
        world.gets("agreed", "20.15.0.0/16")?;
        let otc = |name: &str, prefix: &str| world.shown(name, prefix);
        assert!(
            otc("agreed", "20.200.0.0/16")?.contains("BGP.otc: 401000"),
            "{}",
            otc("agreed", "20.200.0.0/16")?
        );
        assert!(otc("lateral", "20.200.0.0/16")?.contains("BGP.otc: 401000"));
        assert!(
            otc("agreed", "20.15.0.0/16")?.contains("BGP.otc: 401015"),
            "{}",
            otc("agreed", "20.15.0.0/16")?
        );
        world.gets("provider", "20.200.0.0/16")?;
        assert!(!otc("provider", "20.200.0.0/16")?.contains("BGP.otc"));
        Ok(())
    })
}

/// The same with FRR, which has them since 8.4.
#[test]
fn frr_agrees_on_roles() -> Result {
    lab("edge-roles-frr", |lab| {
        let (frr_ns, us) = (lab.ns("frr")?, lab.ns("us")?);
        lab.link((&frr_ns, "eth0", &["10.0.0.1/24"]), (&us, "up0", &["10.0.0.2/24"]))?;
        let config = Config::new(
            401_001,
            [10, 0, 0, 1],
            vec![Neighbor::new(ip("10.0.0.2"), US)],
            vec![Announcement::plain("20.1.0.0/16")?],
        );
        let role = |role: &str| format!("router bgp 401001\n neighbor 10.0.0.2 local-role {role}\nexit\n");
        let toml =
            "\n[peer.frr]\naddress = \"10.0.0.1\"\nasn = 401001\nrole = \"customer\"\nrole-strict = true\n";
        let siskin = Siskin::start(&us, &format!("{ROUTER}{OWN}{toml}"))?;
        let frr = Frr::start_with(&frr_ns, &config, &role("customer strict-mode"))?;
        siskin.wait_established("frr")?;
        assert_eq!(siskin.peer("frr")?["role_state"], "agreed");
        at_peer(&frr, "20.200.0.0/16")?;
        accepted(&siskin, "frr", "20.1.0.0/16")?;
        let seen = frr.json("show bgp ipv4 unicast 20.200.0.0/16 json")?;
        assert_eq!(seen["paths"][0]["otc"], US, "{seen}");

        frr.vtysh(&["configure terminal", "router bgp 401001", "neighbor 10.0.0.2 local-role peer"])?;
        frr.reset(ip("10.0.0.2"))?;
        wait_for("the wrong role to be refused", SOON, || {
            let error = &siskin.peer("frr")?["last_error"];
            Ok(error["code"] == 2 && error["subcode"] == 11)
        })?;
        stays("the session is refused", Duration::from_secs(2), || Ok(!siskin.established("frr")?))
    })
}

/// Those of our own large communities, for reading.
fn ours(attributes: &Attributes) -> BTreeSet<&str> {
    attributes.large_communities.iter().map(String::as_str).filter(|c| c.starts_with("401000:")).collect()
}

fn local_pref(path: &Value) -> u64 {
    path["attributes"]["local_pref"].as_u64().unwrap_or_default()
}

#[test]
fn who_is_given_what_and_how_it_is_marked() -> Result {
    lab("edge-export", |lab| {
        let (world_ns, us) = World::place(lab)?;
        let large = |text: &str| format!("bgp_large_community.add(({text}));");
        let networks = vec![
            Network::new("provider", 11, 401_011, &["2a0e:11::/32"])
                // A lie, and requests that are not a provider's to make.
                .with(
                    "20.11.0.0/16",
                    &[large("401000,0,103"), large("401000,1,303"), large("401011,5,5")].concat(),
                ),
            Network::new("peer", 12, 401_012, &["20.12.0.0/16"]),
            Network::new("customer", 13, 401_013, &["20.13.0.0/16"])
                .with("20.13.1.0/24", &large("401000,1,200"))
                .with("20.13.2.0/24", &large("401000,1,201"))
                .with("20.13.3.0/24", &large("401000,1,202"))
                .with("20.13.4.0/24", &large("401000,1,302"))
                .with("20.13.5.0/24", &large("401000,2,401012"))
                .with("20.13.6.0/24", &large("401000,303,401011"))
                .with("20.13.7.0/24", "bgp_community.add((65535,0));"),
            Network::new("second", 14, 401_014, &["20.14.0.0/16"]),
            Network::new("servers", 15, 401_015, &["20.15.0.0/16"]),
            Network::new("client", 16, 401_016, &["20.16.0.0/16"]),
        ];
        let role = |name: &str| {
            match name {
                "second" => "customer",
                "servers" => "route-server",
                "client" => "route-server-client",
                other => other,
            }
            .to_owned()
        };
        let tables: String =
            networks.iter().map(|n| n.peer(&format!("role = \"{}\"", role(&n.name)))).collect();
        let siskin = Siskin::start(&us, &format!("{ROUTER}{OWN}{tables}"))?;
        let world = World::start(&world_ns, networks)?;
        world.all_established()?;

        // A row each: the prefix, who has it from us, its mark.
        let all = ["provider", "peer", "customer", "second", "servers", "client"];
        let below = ["customer", "second", "client"];
        for (prefix, from, given, mark) in [
            ("20.200.0.0/16", "", &all[..], "401000:0:100"),
            ("2a0e:200::/32", "", &all[..], "401000:0:100"),
            ("20.11.0.0/16", "provider", &below[..], "401000:0:101"),
            ("2a0e:11::/32", "provider", &below[..], "401000:0:101"),
            ("20.12.0.0/16", "peer", &below[..], "401000:0:102"),
            ("20.15.0.0/16", "servers", &below[..], "401000:0:102"),
            ("20.13.0.0/16", "customer", &all[..], "401000:0:103"),
            ("20.14.0.0/16", "second", &all[..], "401000:0:103"),
            ("20.16.0.0/16", "client", &all[..], "401000:0:102"),
        ] {
            for name in given.iter().filter(|name| **name != from) {
                let got = world.gets(name, prefix)?;
                assert_eq!(ours(&got), BTreeSet::from([mark]), "{prefix} at {name}: {got:?}");
            }
        }
        for (prefix, without) in [
            ("20.11.0.0/16", &["peer", "servers"][..]),
            ("20.12.0.0/16", &["provider", "servers"]),
            ("20.15.0.0/16", &["provider", "peer"]),
            ("20.13.1.0/24", &["provider"]),
            ("20.13.2.0/24", &["peer", "servers"]),
            ("20.13.3.0/24", &["second"]),
            ("20.13.5.0/24", &["peer"]),
        ] {
            for name in without {
                world.stays_without(name, prefix)?;
            }
        }
        // What is asked for happens where it is asked for, and the request is not passed on.
        for (prefix, name, path) in [
            ("20.13.1.0/24", "peer", "401000 401013"),
            ("20.13.2.0/24", "provider", "401000 401013"),
            ("20.13.3.0/24", "peer", "401000 401013"),
            ("20.13.4.0/24", "provider", "401000 401000 401000 401013"),
            ("20.13.4.0/24", "peer", "401000 401000 401000 401013"),
            ("20.13.5.0/24", "provider", "401000 401013"),
            ("20.13.6.0/24", "provider", "401000 401000 401000 401000 401013"),
            ("20.13.6.0/24", "peer", "401000 401013"),
            ("20.11.0.0/16", "second", "401000 401011"),
        ] {
            let got = world.gets(name, prefix)?;
            assert_eq!(got.as_path, path, "{prefix} at {name}");
            assert!(ours(&got).iter().all(|community| community.starts_with("401000:0:")), "{got:?}");
        }
        assert!(world.gets("second", "20.11.0.0/16")?.large_communities.contains("401011:5:5"));
        for (prefix, name, preference) in [
            ("20.11.0.0/16", "provider", 80),
            ("20.12.0.0/16", "peer", 100),
            ("20.13.0.0/16", "customer", 200),
            ("20.15.0.0/16", "servers", 90),
            ("20.16.0.0/16", "client", 200),
            ("20.13.7.0/24", "customer", 0),
        ] {
            assert_eq!(local_pref(&accepted(&siskin, name, prefix)?), preference, "{prefix} of {name}");
        }
        let why = siskin.cli_text(&["explain", "20.12.0.0/16"])?;
        assert!(why.contains("it would be a route leak (RFC 9234)"), "{why}");
        Ok(())
    })
}

/// RFC 7999: host routes inside the customer's own set go to the kernel as blackholes and nowhere else.
#[test]
fn blackholes_stay_inside_and_reach_the_kernel() -> Result {
    lab("edge-blackhole", |lab| {
        let (world_ns, us) = World::place(lab)?;
        let registry = Registry::read("set AS-TEST AS401013\nroute AS401013 20.13.0.0/16 2a0e:13::/32\n")?;
        let _irrd = us.within(|| Irrd::start(SocketAddr::from(([127, 0, 0, 1], 4343)), registry))?;
        // The length of a ROA is not made for host routes; its origin holds.
        let _cache =
            StayRtr::start(&us, 8282, &[("20.13.0.0/16", 16, 401_013), ("2a0e:13:40::/44", 128, 401_999)])?;
        let standard = "bgp_community.add((65535,666));";
        let networks = vec![
            Network::new("customer", 13, 401_013, &["20.13.0.0/16"])
                .with("20.13.1.1/32", standard)
                .with("2a0e:13::1/128", standard)
                .with("20.13.1.2/32", "bgp_large_community.add((401000,1,666));")
                .with("20.13.2.0/24", standard)
                .with("20.14.1.1/32", standard)
                .with("2a0e:13:40::1/128", standard)
                .with("20.13.1.3/32", ""),
            Network::new("bare", 14, 401_014, &[]).with("20.14.2.2/32", standard),
            Network::new("provider", 11, 401_011, &[]).with("20.11.1.1/32", standard),
            Network::new("second", 15, 401_015, &[]),
        ];
        let tables = [
            networks[0].peer("role = \"customer\"\nirr = { as-set = \"AS-TEST\" }"),
            networks[1].peer("role = \"customer\""),
            networks[2].peer("role = \"provider\""),
            networks[3].peer("role = \"customer\""),
        ];
        let sources = "\n[irr]\nserver = \"127.0.0.1:4343\"\nsources = [\"RIPE\"]\n\n[rpki]\nservers = [\"127.0.0.1:8282\"]\n";
        let siskin = Siskin::start(&us, &format!("{ROUTER}{OWN}{sources}{}", tables.concat()))?;
        let world = World::start(&world_ns, networks)?;
        for prefix in ["20.13.1.1/32", "2a0e:13::1/128", "20.13.1.2/32"] {
            let path = accepted(&siskin, "customer", prefix)?;
            let communities = path["attributes"]["communities"].to_string();
            assert!(communities.contains("no-export"), "{prefix} has no NO_EXPORT: {path}");
            let route = wait_some("the kernel's blackhole", SOON, || kernel::siskin_route(&us, prefix))?;
            assert_eq!(route.kind, "blackhole", "{route:?}");
        }
        world.gets("second", "20.13.0.0/16")?;
        for prefix in ["20.13.1.1/32", "2a0e:13::1/128", "20.13.1.2/32"] {
            assert!(
                !world.ever_had("second", prefix) && !world.ever_had("provider", prefix),
                "{prefix} got out"
            );
        }
        assert_eq!(
            rejected(&siskin, "customer", "20.13.2.0/24", "blackhole")?,
            "20.13.2.0/24 is no single address"
        );
        let text = rejected(&siskin, "customer", "20.14.1.1/32", "blackhole")?;
        assert!(text.starts_with("not within AS-TEST (1 prefix, "), "{text}");
        let text = rejected(&siskin, "bare", "20.14.2.2/32", "blackhole")?;
        assert_eq!(text, "the peer has no `irr` that says what is its own");
        let text = rejected(&siskin, "customer", "2a0e:13:40::1/128", "rpki-invalid")?;
        assert_eq!(text, "VRP 2a0e:13:40::/44 max 128 AS 401999");
        // Without the community a host route is too long, and from a provider the community means nothing.
        rejected(&siskin, "customer", "20.13.1.3/32", "prefix-length")?;
        rejected(&siskin, "provider", "20.11.1.1/32", "prefix-length")?;
        Ok(())
    })
}

const GRACEFUL_SHUTDOWN: &str = "65535:0";

/// By hand: first notice, then silence; by configuration: silence at once. The session stays, routes are still taken.
#[test]
fn draining_gives_notice_and_then_nothing() -> Result {
    lab("edge-drain", |lab| {
        let (world_ns, us) = World::place(lab)?;
        let networks = vec![
            Network::new("first", 11, 401_011, &["20.11.0.0/16"]),
            Network::new("second", 12, 401_012, &["20.12.0.0/16"]),
            Network::new("third", 13, 401_013, &["20.13.0.0/16"]),
        ];
        let config = |third: &str| {
            let tables = [
                networks[0].peer("role = \"customer\""),
                networks[1].peer("role = \"customer\""),
                networks[2].peer(&format!("role = \"customer\"\n{third}")),
            ];
            format!("{ROUTER}{OWN}{}", tables.concat())
        };
        let siskin = Siskin::start(&us, &config(""))?;
        let world = World::start(&world_ns, networks.clone())?;
        let warned = |name: &str, is: bool| {
            wait_for(&format!("{name} to have GRACEFUL_SHUTDOWN: {is}"), SOON, || {
                let route = world.route(name, "20.200.0.0/16")?;
                Ok(route.is_some_and(|route| route.communities.contains(GRACEFUL_SHUTDOWN) == is))
            })
        };
        for name in ["first", "second", "third"] {
            warned(name, false)?;
        }
        accepted(&siskin, "first", "20.11.0.0/16")?;

        siskin.cli_text(&["peer", "first", "drain"])?;
        warned("first", true)?;
        warned("second", false)?;
        wait_for("routes of the drained peer to be the last resort", SOON, || {
            let path = siskin.path_from("20.11.0.0/16", "first")?.unwrap_or_default();
            Ok(path["attributes"]["local_pref"] == 0)
        })?;
        assert_eq!(siskin.peer("first")?["drained"], true);
        siskin.cli_text(&["peer", "first", "undrain"])?;
        warned("first", false)?;
        wait_for("routes to count again", SOON, || {
            Ok(local_pref(&siskin.path_from("20.11.0.0/16", "first")?.unwrap_or_default()) == 200)
        })?;

        // By configuration there is no notice.
        siskin.write_config(&config("drain = true"))?;
        siskin.cli_text(&["config", "apply"])?;
        world.loses("third", "20.200.0.0/16")?;
        assert!(siskin.established("third")?);

        siskin.cli_text(&["drain"])?;
        warned("first", true)?;
        warned("second", true)?;
        let shown = siskin.cli_text(&["status"])?;
        assert!(shown.contains("Drained"), "{shown}");
        // A minute after the notice nothing is given any more, and routes are still taken.
        for name in ["first", "second"] {
            wait_for(&format!("{name} to be given nothing"), Duration::from_secs(90), || {
                Ok(world.route(name, "20.200.0.0/16")?.is_none())
            })?;
            assert!(siskin.established(name)?);
        }
        accepted(&siskin, "first", "20.11.0.0/16")?;
        siskin.cli_text(&["undrain"])?;
        warned("first", false)?;
        warned("second", false)?;
        assert!(world.route("third", "20.200.0.0/16")?.is_none(), "the configuration drains it still");
        Ok(())
    })
}
