//! Registry filters as users see them: what is registered comes in, all else is named with the list and its age; every option of
//! `irr`; a start without a server, with and without a list on disk; an alarm and its acceptance. The server is the stand-in of
//! `irrd`. Its failures, one by one, are in `filters_failures`.

use std::net::SocketAddr;

use serde_json::Value;
use siskin_interop::Result;
use siskin_interop::frr::Frr;
use siskin_interop::irrd::{Failure, Irrd, Registry};
use siskin_interop::lab::{Ns, lab};
use siskin_interop::peeringdb::{self, PeeringDb};
use siskin_interop::plain::ip;
use siskin_interop::router::{Announcement, Config, Neighbor};
use siskin_interop::siskin::Siskin;
use siskin_interop::stayrtr::StayRtr;
use siskin_interop::wait::{SOON, wait_for, wait_some};
use siskin_interop::world::{Network, ROUTER, US, World};

const IRR: &str = "\n[irr]\nserver = \"127.0.0.1:4343\"\nsources = [\"RIPE\"]\ntimeout = \"1s\"\n";

/// Keys of a peer with this filter.
fn keys(irr: &str) -> String {
    format!("import = \"accept-all\"\nexport = \"reject-all\"\nirr = {irr}")
}

fn start_irrd(us: &Ns, text: &str) -> Result<Irrd> {
    let registry = Registry::read(text)?;
    us.within(|| Irrd::start(SocketAddr::from(([127, 0, 0, 1], 4343)), registry))
}

/// Waits until a route is rejected by this rule, and returns what more is said of it.
fn rejected(siskin: &Siskin, peer: &str, prefix: &str, rule: &str) -> Result<String> {
    wait_some(&format!("{prefix} of {peer} to be rejected by {rule}"), SOON, || {
        let path = siskin.filtered_from(prefix, peer)?.unwrap_or_default();
        let is_it = path["rejected"]["rule"] == rule;
        Ok(is_it.then(|| path["rejected"]["text"].as_str().unwrap_or_default().to_owned()))
    })
}

fn accepted(siskin: &Siskin, peer: &str, prefix: &str) -> Result {
    wait_for(&format!("{prefix} of {peer} to be accepted"), SOON, || {
        Ok(siskin.path_from(prefix, peer)?.is_some())
    })
}

/// The state of a set, as `siskin irr` has it.
fn set(siskin: &Siskin, name: &str, family: &str) -> Result<Value> {
    let all = siskin.cli_json(&["irr"])?;
    let sets = all["sets"].as_array().cloned().unwrap_or_default();
    Ok(sets.into_iter().find(|set| set["as_set"] == name && set["family"] == family).unwrap_or_default())
}

fn wait_state(siskin: &Siskin, name: &str, state: &str) -> Result<Value> {
    wait_some(&format!("{name} to be {state}"), SOON, || {
        Ok(Some(set(siskin, name, "ipv4")?).filter(|set| set["state"] == state))
    })
}

const REGISTRY: &str = "
set AS-TEST AS401011 AS-NESTED
set AS-NESTED AS401099
route AS401011 20.1.0.0/16 2a0e:1::/32
route AS401099 20.2.0.0/16
set AS-AUTO AS401016
route AS401016 20.6.0.0/16
set AS-MORE AS401077
route AS401077 20.77.0.0/16
source RADB
set AS-ELSEWHERE AS401078
route AS401078 20.78.0.0/16
";

/// Each option with a peer of its own; all of them announce the same.
#[test]
fn registered_routes_come_in_and_every_option_does_what_it_says() -> Result {
    lab("irr", |lab| {
        let (world_ns, us) = World::place(lab)?;
        let irrd = start_irrd(&us, REGISTRY)?;
        let record = peeringdb::record(401_016, "RIPE::AS-AUTO", 0, 0);
        let peeringdb =
            us.within(|| PeeringDb::start(SocketAddr::from(([127, 0, 0, 1], 8080)), vec![record]))?;
        let _cache = StayRtr::start(&us, 8282, &[("20.8.0.0/16", 16, 401_088)])?;
        let peers = [
            ("plain", 11, r#"{ as-set = "AS-TEST" }"#),
            ("longer", 12, r#"{ as-set = "AS-TEST", max-length = { ipv4 = 24 }, extra = ["20.9.0.0/16"] }"#),
            ("origin", 13, r#"{ as-set = "AS-TEST", check-origin = true }"#),
            ("valid", 14, r#"{ as-set = "AS-TEST", accept-rpki-valid = true }"#),
            ("several", 15, r#"{ as-set = ["AS-NESTED", "RIPE::AS-MORE", "AS401011"] }"#),
            ("auto", 16, r#"{ as-set = "auto" }"#),
            ("radb", 17, r#"{ as-set = "AS-ELSEWHERE", sources = ["RADB"] }"#),
        ];
        let mut toml = format!(
            "{ROUTER}\n[rpki]\nservers = [\"127.0.0.1:8282\"]\n{IRR}\n[peeringdb]\nurl = \"{}\"\n",
            peeringdb.url()
        );
        let networks = peers.map(|(name, host, irr)| {
            let network = Network::new(name, host, 401_000 + u32::from(host), &[])
                .behind("20.1.0.0/16", &[401_011])
                .behind("20.1.1.0/24", &[401_011])
                .behind("20.1.1.128/25", &[401_011])
                .behind("2a0e:1::/32", &[401_011])
                .behind("20.2.0.0/16", &[401_099])
                .behind("20.3.0.0/16", &[401_099])
                .behind("20.8.0.0/16", &[401_088])
                .behind("20.9.0.0/16", &[401_088])
                .behind("20.6.0.0/16", &[401_016])
                .behind("20.77.0.0/16", &[401_077])
                .behind("20.78.0.0/16", &[401_078]);
            toml.push_str(&network.peer(&keys(irr)));
            network
        });
        // The origin of a registered prefix that is no member of the set.
        let [plain, longer, origin, rest @ ..] = networks;
        let origin = origin.behind("20.1.0.0/16", &[401_088]);
        let origin = Network { routes: origin.routes[1..].to_vec(), ..origin };
        let siskin = Siskin::start(&us, &toml)?;
        let mut all = vec![plain, longer, origin];
        all.extend(rest);
        let _world = World::start(&world_ns, all)?;

        for prefix in ["20.1.0.0/16", "2a0e:1::/32", "20.2.0.0/16"] {
            accepted(&siskin, "plain", prefix)?;
        }
        for prefix in ["20.1.1.0/24", "20.3.0.0/16", "20.8.0.0/16", "20.78.0.0/16"] {
            let text = rejected(&siskin, "plain", prefix, "irr")?;
            assert!(text.starts_with("not in AS-TEST (2 prefixes, ") && text.ends_with(" s old)"), "{text}");
        }
        let explained = siskin.cli_text(&["explain", "20.3.0.0/16", "--peer", "plain"])?;
        assert!(
            explained.contains("irr") && explained.contains("not in AS-TEST (2 prefixes, "),
            "{explained}"
        );

        accepted(&siskin, "longer", "20.1.1.0/24")?;
        accepted(&siskin, "longer", "20.9.0.0/16")?;
        rejected(&siskin, "longer", "20.1.1.128/25", "irr")?;

        let text = rejected(&siskin, "origin", "20.1.0.0/16", "irr-origin")?;
        assert_eq!(text, "AS 401088 is no member of AS-TEST");
        accepted(&siskin, "origin", "20.2.0.0/16")?;

        accepted(&siskin, "valid", "20.8.0.0/16")?;
        rejected(&siskin, "valid", "20.9.0.0/16", "irr")?;

        for prefix in ["20.1.0.0/16", "20.2.0.0/16", "20.77.0.0/16"] {
            accepted(&siskin, "several", prefix)?;
        }
        rejected(&siskin, "several", "20.78.0.0/16", "irr")?;

        accepted(&siskin, "auto", "20.6.0.0/16")?;
        let text = rejected(&siskin, "auto", "20.1.0.0/16", "irr")?;
        assert!(text.starts_with("not in RIPE::AS-AUTO (1 prefix, "), "{text}");

        // A set is told with its source where it has one, and with who uses it.
        assert_eq!(set(&siskin, "RIPE::AS-AUTO", "ipv4")?["peers"], serde_json::json!(["auto"]));
        let users = serde_json::json!(["longer", "origin", "plain", "valid"]);
        assert_eq!(set(&siskin, "AS-TEST", "ipv4")?["peers"], users);

        accepted(&siskin, "radb", "20.78.0.0/16")?;
        rejected(&siskin, "radb", "20.1.0.0/16", "irr")?;

        let shown = siskin.cli_json(&["irr", "show", "AS-TEST"])?;
        assert_eq!(
            shown["prefixes"],
            serde_json::json!(["20.1.0.0/16", "20.2.0.0/16", "2a0e:1::/32"]),
            "{shown}"
        );
        assert!(irrd.queries().iter().any(|query| query == "!a4AS-TEST"), "{:?}", irrd.queries());
        Ok(())
    })
}

/// FRR announces these: ten and more, so that a loss counts.
fn twelve() -> Vec<String> {
    (0..12).map(|n| format!("20.{}.0.0/16", 100 + n)).collect()
}

fn registry_of(prefixes: &[String]) -> String {
    format!("set AS-TEST AS401001\nroute AS401001 {}\n", prefixes.join(" "))
}

/// Without a list on disk and without a server nothing comes in; with a list on disk nobody misses the server. `D` and a
/// loss of more than half ask for the operator.
#[test]
fn a_list_outlives_its_server_and_an_alarm_waits_for_the_operator() -> Result {
    lab("irr-start", |lab| {
        let (frr_ns, us) = (lab.ns("frr")?, lab.ns("us")?);
        lab.link((&frr_ns, "eth0", &["10.0.0.1/24"]), (&us, "up0", &["10.0.0.2/24"]))?;
        let prefixes = twelve();
        let mut routes = prefixes.iter().map(|p| Announcement::plain(p)).collect::<Result<Vec<_>>>()?;
        routes.push(Announcement::plain("20.99.0.0/16")?);
        let neighbor = Neighbor::new(ip("10.0.0.2"), US);
        let _frr = Frr::start(&frr_ns, &Config::new(401_001, [10, 0, 0, 1], vec![neighbor], routes))?;
        let peer = format!(
            "\n[peer.frr]\naddress = \"10.0.0.1\"\nasn = 401001\n{}",
            keys(r#"{ as-set = "AS-TEST" }"#)
        );
        let mut siskin = Siskin::start(&us, &format!("{ROUTER}{IRR}{peer}"))?;

        siskin.wait_established("frr")?;
        let text = rejected(&siskin, "frr", "20.100.0.0/16", "irr-missing")?;
        assert_eq!(text, "no list of AS-TEST yet, so nothing is imported");
        let missing = wait_state(&siskin, "AS-TEST", "missing")?;
        println!("without a server: {}", missing["reason"]);
        let shown = siskin.cli_text(&["peers"])?;
        let hint = "frr: there is no ipv4 or ipv6 list of AS-TEST yet: nothing of it is imported";
        assert!(shown.contains(hint), "{shown}");
        assert_eq!(siskin.peer("frr")?["families"][0]["accepted"], 0);

        let irrd = start_irrd(&us, &registry_of(&prefixes))?;
        siskin.cli_text(&["irr", "refresh", "frr"])?;
        accepted(&siskin, "frr", "20.100.0.0/16")?;
        rejected(&siskin, "frr", "20.99.0.0/16", "irr")?;
        assert_eq!(
            siskin.cli(&["irr", "accept", "frr"])?.status.code(),
            Some(5),
            "nothing waits for acceptance"
        );

        drop(irrd);
        assert!(siskin.stop()?.success());
        siskin.start_again()?;
        for prefix in &prefixes {
            accepted(&siskin, "frr", prefix)?;
        }
        rejected(&siskin, "frr", "20.99.0.0/16", "irr")?;
        let kept = set(&siskin, "AS-TEST", "ipv4")?;
        assert_eq!(kept["entries"], 12, "{kept}");

        // A registry that lost more than half of it.
        let irrd = start_irrd(&us, &registry_of(&prefixes[..5]))?;
        siskin.cli_text(&["irr", "refresh"])?;
        let alarm = wait_state(&siskin, "AS-TEST", "alarm")?;
        assert_eq!((&alarm["offered"], &alarm["entries"]), (&5.into(), &12.into()), "{alarm}");
        let shown = siskin.cli_text(&["irr"])?;
        assert!(shown.contains("siskin irr accept frr"), "{shown}");
        accepted(&siskin, "frr", &prefixes[11])?;
        siskin.cli_text(&["irr", "accept", "frr"])?;
        for prefix in &prefixes[5..] {
            let text = rejected(&siskin, "frr", prefix, "irr")?;
            assert!(text.starts_with("not in AS-TEST (5 prefixes, "), "{text}");
        }
        accepted(&siskin, "frr", &prefixes[0])?;

        // A registry that does not know the set any more.
        irrd.fail(Some(Failure::NotFound));
        siskin.cli_text(&["irr", "refresh"])?;
        let alarm = wait_state(&siskin, "AS-TEST", "alarm")?;
        assert_eq!((&alarm["offered"], &alarm["entries"]), (&0.into(), &5.into()), "{alarm}");
        accepted(&siskin, "frr", &prefixes[0])?;
        siskin.cli_text(&["irr", "accept", "frr"])?;
        let text = rejected(&siskin, "frr", &prefixes[0], "irr")?;
        assert!(text.starts_with("not in AS-TEST (0 prefixes, "), "{text}");
        assert_eq!(siskin.api("/v1/peers/frr")?["established_count"], 1, "the session stayed");
        Ok(())
    })
}
