//! Prefix limits as users see them: each action, before and after policy, in both directions, and what PeeringDB says. RFC 4486
//! (Maximum Number of Prefixes Reached). The networks are many sessions of one BIRD; PeeringDB is a stand-in.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use siskin_interop::Result;
use siskin_interop::frr::Frr;
use siskin_interop::lab::{Ns, lab};
use siskin_interop::peeringdb::{self, Failure, PeeringDb};
use siskin_interop::plain::ip;
use siskin_interop::router::{Announcement, Config, Neighbor, Router as _};
use siskin_interop::siskin::Siskin;
use siskin_interop::wait::{SOON, stays, wait_for, wait_some};
use siskin_interop::world::{Network, ROUTER, US, World};

const OPEN: &str = "import = \"accept-all\"\nexport = \"accept-all\"\n";

fn keys(limit: &str) -> String {
    format!("{OPEN}max-prefix = {limit}")
}

/// `count` prefixes of each of two families that belong to nobody else here.
fn prefixes(host: u8, count: u8) -> Vec<(String, String)> {
    let four = (0..count).map(|n| (format!("20.{host}.{n}.0/24"), String::new()));
    let six = (0..count).map(|n| (format!("2a0e:{host:x}:{n:x}::/48"), String::new()));
    four.chain(six).collect()
}

fn network(name: &str, host: u8, count: u8) -> Network {
    Network { routes: prefixes(host, count), ..Network::new(name, host, 401_000 + u32::from(host), &[]) }
}

fn family(siskin: &Siskin, peer: &str, family: &str) -> Result<Value> {
    let peer = siskin.peer(peer)?;
    let families = peer["families"].as_array().cloned().unwrap_or_default();
    Ok(families.into_iter().find(|f| f["family"] == family).unwrap_or_default())
}

/// Waits until so many prefixes of IPv4 are accepted and so many kept out by a limit.
fn counts(siskin: &Siskin, peer: &str, accepted: u64, blocked: u64) -> Result<Value> {
    wait_some(&format!("{peer}: {accepted} accepted, {blocked} blocked"), SOON, || {
        let four = family(siskin, peer, "ipv4")?;
        Ok((four["accepted"] == accepted && four["blocked"] == blocked).then_some(four))
    })
}

/// Waits until the session was ended by a limit (Cease/Maximum Number of Prefixes Reached).
fn ended(siskin: &Siskin, peer: &str) -> Result<Value> {
    wait_some(&format!("the session {peer} to end"), SOON, || {
        let peer = siskin.peer(peer)?;
        let error = &peer["last_error"];
        // Of a peer with graceful restart it is inside a Hard Reset (RFC 8538), so that it keeps nothing.
        let name = error["name"].as_str().unwrap_or_default();
        let is_it =
            name.contains("Cease / Maximum Number of Prefixes Reached") && error["direction"] == "sent";
        Ok(is_it.then(|| peer.clone()))
    })
}

fn established_count(siskin: &Siskin, peer: &str) -> Result<u64> {
    Ok(siskin.api(&format!("/v1/peers/{peer}"))?["established_count"].as_u64().unwrap_or_default())
}

#[test]
fn every_action_does_what_it_says() -> Result {
    lab("limits", |lab| {
        let (world_ns, us) = World::place(lab)?;
        let networks = [
            (network("block", 11, 5), "{ ipv4 = 3, action = \"block\" }"),
            (network("restart", 12, 5), "{ ipv4 = 3, action = \"restart\", restart-after = \"2s\" }"),
            (network("shutdown", 13, 5), "{ ipv4 = 3, action = \"shutdown\" }"),
            (network("warn", 14, 5), "{ ipv4 = 3, action = \"warn\" }"),
            (network("near", 15, 4), "{ ipv4 = 5, warn-at = 80, action = \"block\" }"),
        ];
        // Four of five are refused by policy: a limit of two after it is none before it.
        let received = network("received", 16, 5);
        let accepted = network("accepted", 17, 5);
        let policy = "import = \"one\"\nexport = \"reject-all\"\n";
        let full = Network::new("full", 18, 401_018, &[]);
        let config = |block: u32| {
            let mut toml = ROUTER.to_owned();
            for (network, limit) in &networks {
                toml.push_str(&network.peer(&keys(&limit.replace(
                    "{ ipv4 = 3, action = \"block\"",
                    &format!("{{ ipv4 = {block}, action = \"block\""),
                ))));
            }
            toml.push_str(&received.peer(&format!(
                "{policy}max-prefix = {{ received = {{ ipv4 = 4 }}, action = \"shutdown\" }}"
            )));
            toml.push_str(
                &accepted.peer(&format!("{policy}max-prefix = {{ ipv4 = 2, action = \"shutdown\" }}")),
            );
            toml.push_str(&full.peer(&format!("{OPEN}max-prefix-out = {{ ipv4 = 6, action = \"block\" }}")));
            toml + "\n[policy.one]\nrules = [\"accept if prefix in [20.16.0.0/24, 20.17.0.0/24]\", \"reject\"]\n"
        };
        let mut siskin = Siskin::start(&us, &config(3))?;
        let all = networks.iter().map(|(network, _)| network.clone());
        let mut world =
            World::start(&world_ns, all.chain([received.clone(), accepted.clone(), full.clone()]).collect())?;

        let four = counts(&siskin, "block", 3, 2)?;
        let limit = &four["max_prefix"];
        assert_eq!(
            (&limit["state"], &limit["limit"], &four["received"]),
            (&"blocked".into(), &3.into(), &5.into())
        );
        assert_eq!(family(&siskin, "block", "ipv6")?["accepted"], 5, "the other family has no limit");
        let kept_out = siskin.cli_json(&["routes", "--filtered", "--peer", "block"])?;
        let reason = &kept_out["routes"][0]["paths"][0]["rejected"];
        assert_eq!(
            (&reason["rule"], &reason["text"]),
            (&"max-prefix".into(), &"the limit of 3 prefixes is reached".into())
        );
        assert!(siskin.established("block")?, "the session stays");

        ended(&siskin, "shutdown")?;
        ended(&siskin, "received")?;
        counts(&siskin, "accepted", 1, 0)?;
        assert!(siskin.established("accepted")?);
        assert_eq!(counts(&siskin, "warn", 5, 0)?["max_prefix"]["state"], "over");
        assert_eq!(counts(&siskin, "near", 4, 0)?["max_prefix"]["state"], "warning");
        let log = siskin.daemon().log();
        for text in
            ["4 ipv4 prefixes accepted, 5 are allowed", "prefixes accepted, 3 are allowed: nothing is done"]
        {
            assert!(log.contains(text), "no line with {text}");
        }

        // Beyond its limit a peer comes back after the time, and again; with fewer routes it stays.
        ended(&siskin, "restart")?;
        wait_for("the session to be tried again", SOON, || Ok(established_count(&siskin, "restart")? >= 2))?;
        world.change("restart", |network| network.routes = prefixes(12, 3))?;
        wait_for("the session to stay up", SOON, || {
            Ok(siskin.established("restart")? && family(&siskin, "restart", "ipv4")?["accepted"] == 3)
        })?;
        let count = established_count(&siskin, "restart")?;
        stays("the session", Duration::from_secs(1), || Ok(established_count(&siskin, "restart")? == count))?;

        // `shutdown` waits for the operator.
        assert!(!siskin.established("shutdown")?);
        assert_eq!(established_count(&siskin, "shutdown")?, 1, "it was not tried again");
        world.change("shutdown", |network| network.routes = prefixes(13, 2))?;
        siskin.cli_text(&["peer", "shutdown", "up"])?;
        siskin.wait_established("shutdown")?;
        counts(&siskin, "shutdown", 2, 0)?;

        // A limit that is raised lets in what was kept out, in the running session.
        siskin.write_config(&config(10))?;
        siskin.cli_text(&["config", "apply"])?;
        let four = counts(&siskin, "block", 5, 0)?;
        assert_eq!(four["max_prefix"]["state"], "ok", "{four}");
        assert_eq!(established_count(&siskin, "block")?, 1, "the session stayed");
        // And one that is lowered takes nothing away.
        siskin.write_config(&config(3))?;
        siskin.cli_text(&["config", "apply"])?;
        wait_for("the limit to be passed", SOON, || {
            Ok(family(&siskin, "block", "ipv4")?["max_prefix"]["limit"] == 3)
        })?;
        assert!(siskin.established("block")?);

        // What is given has a limit, too.
        let out = wait_some("the limit of what is given", SOON, || {
            let four = family(&siskin, "full", "ipv4")?;
            Ok((four["advertised"] == 6 && four["max_prefix_out"]["state"] == "blocked").then_some(four))
        })?;
        assert_eq!(out["max_prefix_out"]["limit"], 6, "{out}");
        let told = world.bird().birdc("show route table n_full_ipv4 count")?;
        assert!(told.contains("6 of 6 routes"), "{told}");
        Ok(())
    })
}

fn start_peeringdb(us: &Ns, records: Vec<Value>) -> Result<PeeringDb> {
    us.within(|| PeeringDb::start(SocketAddr::from(([127, 0, 0, 1], 8080)), records))
}

/// Numbers with 10 % and at least 10 more; 0 and a missing record set none; numbers of the configuration win; errors and a
/// restart change nothing.
#[test]
fn peeringdb_sets_limits_and_its_failures_change_none() -> Result {
    lab("limits-peeringdb", |lab| {
        let (world_ns, us) = World::place(lab)?;
        let records = vec![peeringdb::record(401_011, "", 200, 20), peeringdb::record(401_012, "", 0, 30)];
        let mut peeringdb = start_peeringdb(&us, records)?;
        let all = [network("both", 11, 1), network("zero", 12, 1), network("unknown", 13, 1)];
        let mut toml = format!("{ROUTER}\n[peeringdb]\nurl = \"{}\"\n", peeringdb.url());
        toml.push_str(&all[0].peer(&keys("\"peeringdb\"")));
        toml.push_str(&all[1].peer(&keys("{ peeringdb = true, ipv6 = 7 }")));
        toml.push_str(&all[2].peer(&keys("\"peeringdb\"")));
        let mut siskin = Siskin::start(&us, &toml)?;
        let _world = World::start(&world_ns, all.to_vec())?;
        let limits = |siskin: &Siskin, peer: &str| -> Result<[Value; 2]> {
            let of =
                |name| -> Result<Value> { Ok(family(siskin, peer, name)?["max_prefix"]["limit"].clone()) };
            Ok([of("ipv4")?, of("ipv6")?])
        };
        let as_recorded = |siskin: &Siskin| -> Result<bool> {
            Ok(limits(siskin, "both")? == [Value::from(220), Value::from(30)]
                && limits(siskin, "zero")? == [Value::Null, Value::from(7)]
                && limits(siskin, "unknown")? == [Value::Null, Value::Null])
        };
        wait_for("the limits of PeeringDB", SOON, || as_recorded(&siskin))?;
        assert_eq!(family(&siskin, "both", "ipv4")?["max_prefix"]["source"], "peeringdb");
        let requests = peeringdb.requests();
        assert!(
            requests.iter().any(|head| head.contains("asn__in=401011,401012,401013")),
            "one batch: {requests:?}"
        );

        for failure in [Failure::Status(500), Failure::Garbage, Failure::Meta, Failure::TooMany(3600)] {
            peeringdb.fail(Some(failure));
            let asked = peeringdb.requests().len();
            siskin.cli_text(&["irr", "refresh", "both"])?;
            let error = wait_some(&format!("{failure:?}"), SOON, || {
                let known = siskin.cli_json(&["irr"])?["peeringdb"]["last_error"].clone();
                Ok(Some(known).filter(|error| peeringdb.requests().len() > asked && !error.is_null()))
            })?;
            println!("{failure:?}: {error}");
            assert!(as_recorded(&siskin)?, "{failure:?} changed a limit");
        }
        assert!(siskin.stop()?.success());
        peeringdb.fail(Some(Failure::Status(503)));
        siskin.start_again()?;
        wait_for("the limits of the last run", SOON, || as_recorded(&siskin))?;
        drop(peeringdb);
        assert!(siskin.stop()?.success());
        siskin.start_again()?;
        wait_for("the limits of the last run", SOON, || as_recorded(&siskin))?;
        // Another record counts at once.
        peeringdb = start_peeringdb(&us, vec![peeringdb::record(401_013, "", 1000, 1000)])?;
        siskin.cli_text(&["irr", "refresh", "unknown"])?;
        wait_for("another record", SOON, || {
            Ok(limits(&siskin, "unknown")? == [Value::from(1100), Value::from(1100)])
        })?;
        drop(peeringdb);
        Ok(())
    })
}

/// FRR is told why its session ended, and comes back by itself.
#[test]
fn frr_is_told_of_the_limit_and_comes_back() -> Result {
    lab("limits-frr", |lab| {
        let (frr_ns, us) = (lab.ns("frr")?, lab.ns("us")?);
        lab.link((&frr_ns, "eth0", &["10.0.0.1/24"]), (&us, "up0", &["10.0.0.2/24"]))?;
        let plain = |count: u8| {
            (0..count).map(|n| Announcement::plain(&format!("20.1.{n}.0/24"))).collect::<Result<Vec<_>>>()
        };
        let neighbor = Neighbor::new(ip("10.0.0.2"), US);
        let mut frr = Frr::start(&frr_ns, &Config::new(401_001, [10, 0, 0, 1], vec![neighbor], plain(5)?))?;
        let limit = keys("{ ipv4 = 3, action = \"restart\", restart-after = \"3s\" }");
        let siskin = Siskin::start(
            &us,
            &format!("{ROUTER}\n[peer.frr]\naddress = \"10.0.0.1\"\nasn = 401001\n{limit}"),
        )?;
        ended(&siskin, "frr")?;
        let shown = siskin.cli_text(&["peers"])?;
        assert!(shown.contains("Maximum Number of Prefixes Reached"), "{shown}");
        wait_for("FRR to know why", SOON, || {
            let seen = frr.json("show bgp neighbors 10.0.0.2 json")?;
            let reason = seen["10.0.0.2"]["lastNotificationReason"].as_str().unwrap_or_default().to_owned();
            Ok(reason.contains("Maximum Number of Prefixes"))
        })?;
        frr.announce(&plain(2)?)?;
        counts(&siskin, "frr", 2, 0).map(drop)
    })
}
