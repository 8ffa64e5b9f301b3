//! Origin validation as users see it: FRR and BIRD announce what StayRTR's VRPs forbid, a third peer and the kernel are watched
//! for what gets through. RFC 6811, RFC 8210, RFC 8416 (SLURM). Failures of caches are in `filters_failures`.

use std::time::{Duration, Instant};

use serde_json::Value;
use siskin_interop::Result;
use siskin_interop::frr::Frr;
use siskin_interop::kernel;
use siskin_interop::lab::{Lab, Ns, lab};
use siskin_interop::plain::{at_peer, gone_at_peer, ip};
use siskin_interop::process::Daemon;
use siskin_interop::router::{Announcement, Config, Neighbor};
use siskin_interop::siskin::Siskin;
use siskin_interop::stayrtr::{StayRtr, Vrp};
use siskin_interop::wait::{SOON, stays, wait_for, wait_some};
use siskin_interop::world::{Network, ROUTER, US, World};

const PORT: u16 = 8282;
const FRR_AS: u32 = 401_001;
const BIRD_AS: u32 = 401_003;

/// What both announce: an invalid and a valid route of each family. No VRP covers the rest.
const FRR_ROUTES: [&str; 5] = ["20.1.0.0/24", "2a0e:1::/48", "20.11.0.0/16", "2a0e:11::/32", "20.21.0.0/16"];
const BIRD_ROUTES: [&str; 4] = ["20.2.0.0/24", "2a0e:2::/48", "20.12.0.0/16", "2a0e:12::/32"];
const INVALID: [(&str, &str, &str); 4] = [
    ("20.1.0.0/24", "frr", "VRP 20.1.0.0/16 max 16 AS 401001"),
    ("2a0e:1::/48", "frr", "VRP 2a0e:1::/32 max 48 AS 401999"),
    ("20.2.0.0/24", "bird", "VRP 20.2.0.0/16 max 24 AS 401999"),
    ("2a0e:2::/48", "bird", "VRP 2a0e:2::/32 max 32 AS 401003"),
];
const VALID: [&str; 5] = ["20.11.0.0/16", "2a0e:11::/32", "20.21.0.0/16", "20.12.0.0/16", "2a0e:12::/32"];
const VRPS: [Vrp<'static>; 8] = [
    ("20.1.0.0/16", 16, FRR_AS),
    ("2a0e:1::/32", 48, 401_999),
    ("20.2.0.0/16", 24, 401_999),
    ("2a0e:2::/32", 32, BIRD_AS),
    ("20.11.0.0/16", 16, FRR_AS),
    ("2a0e:11::/32", 32, FRR_AS),
    ("20.12.0.0/16", 16, BIRD_AS),
    ("2a0e:12::/32", 32, BIRD_AS),
];

/// What makes the invalid ones invalid is at the front.
const GOOD_VRPS: usize = 4;

/// The keys of a peer that is judged, and of one that is not.
const JUDGED: &str = "import = \"accept-all\"\nexport = \"accept-all\"\nrpki = \"reject-invalid\"";
const OPEN: &str = "import = \"accept-all\"\nexport = \"accept-all\"";

/// FRR on a link of its own, and the world: BIRD as a peer and as another that is only told.
fn place(lab: &Lab) -> Result<(Ns, Ns, Ns)> {
    let (world, us) = World::place(lab)?;
    let frr = lab.ns("frr")?;
    lab.link(
        (&frr, "eth0", &["10.0.1.1/24", "2001:db8:1::1/64"]),
        (&us, "up1", &["10.0.1.2/24", "2001:db8:1::2/64"]),
    )?;
    Ok((frr, world, us))
}

fn start_frr(ns: &Ns) -> Result<Frr> {
    let routes = FRR_ROUTES.iter().map(|p| Announcement::plain(p)).collect::<Result<Vec<_>>>()?;
    let neighbor = Neighbor::new(ip("10.0.1.2"), US).next_hop(ip("2001:db8:1::1"));
    Frr::start(ns, &Config::new(FRR_AS, [10, 0, 1, 1], vec![neighbor], routes))
}

fn networks() -> [Network; 2] {
    [Network::new("bird", 13, BIRD_AS, &BIRD_ROUTES), Network::new("other", 14, 401_004, &[])]
}

/// The peers of the world alone.
fn world_config(rpki: &str) -> String {
    let [bird, other] = networks();
    format!("{ROUTER}\n[rpki]\n{rpki}\n{}{}", bird.peer(JUDGED), other.peer(OPEN))
}

/// These and FRR.
fn config(rpki: &str) -> String {
    let frr = format!("\n[peer.frr]\naddress = \"10.0.1.1\"\nasn = {FRR_AS}\n{JUDGED}\n");
    world_config(rpki) + &frr
}

fn one_cache() -> String {
    format!("servers = [\"127.0.0.1:{PORT}\"]")
}

/// Waits until import has judged a route, and checks that it was rejected for this reason.
fn rejected(siskin: &Siskin, (prefix, peer, text): (&str, &str, &str)) -> Result {
    wait_for(&format!("{prefix} to be rejected for {text}"), SOON, || {
        let path = siskin.filtered_from(prefix, peer)?;
        Ok(path.is_some_and(|p| p["rejected"]["rule"] == "rpki-invalid" && p["rejected"]["text"] == text))
    })?;
    assert_eq!(siskin.path_from(prefix, peer)?, None, "{prefix} is in the table");
    Ok(())
}

fn accepted(siskin: &Siskin, prefix: &str) -> Result {
    wait_for(&format!("{prefix} to be accepted"), SOON, || Ok(!siskin.paths(prefix)?.is_empty()))
}

fn rpki(siskin: &Siskin) -> Result<Value> {
    siskin.cli_json(&["rpki"])
}

/// How often a line was logged.
fn logged(siskin: &mut Siskin, text: &str) -> usize {
    siskin.daemon().log().lines().filter(|line| line.contains(text)).count()
}

/// Every change of the kernel's routes from here on.
fn watch_kernel(us: &Ns) -> Result<Daemon> {
    let watch =
        Daemon::spawn("kernel", us.command("ip").args(["monitor", "route"]), &us.dir().join("kernel.log"))?;
    wait_for("the kernel's monitor", SOON, || {
        us.ip("route add 192.0.2.1/32 dev lo")?;
        us.ip("route delete 192.0.2.1/32 dev lo")?;
        Ok(watch.log().contains("192.0.2.1"))
    })?;
    Ok(watch)
}

/// The kernel was given none of the invalid routes, and the other peer was told of none.
fn nothing_leaked(watch: &Daemon, world: &World) {
    for (prefix, ..) in INVALID {
        let lines: Vec<String> =
            watch.log().lines().filter(|l| l.contains(prefix)).map(str::to_owned).collect();
        assert!(lines.is_empty(), "the kernel was given {lines:?}");
        assert!(!world.ever_had("other", prefix), "the other peer was told of {prefix}");
    }
}

#[test]
fn invalid_routes_stay_out_and_come_in_when_their_vrp_goes() -> Result {
    lab("rpki", |lab| {
        let (frr_ns, world_ns, us) = place(lab)?;
        let mut cache = StayRtr::start(&us, PORT, &VRPS)?;
        let mut siskin = Siskin::start(&us, &config(&one_cache()))?;
        let frr = start_frr(&frr_ns)?;
        let world = World::start(&world_ns, networks().into())?;
        INVALID.into_iter().try_for_each(|route| rejected(&siskin, route))?;
        VALID.into_iter().try_for_each(|prefix| world.gets("other", prefix).map(drop))?;
        for (prefix, peer, text) in INVALID {
            let listed = siskin.cli_json(&["routes", "--filtered", "--peer", peer, prefix])?;
            let rejected = &listed["routes"][0]["paths"][0]["rejected"];
            assert_eq!((&rejected["rule"], &rejected["text"]), (&"rpki-invalid".into(), &text.into()));
            let explained = siskin.cli_text(&["explain", prefix])?;
            assert!(explained.contains("rpki-invalid") && explained.contains(text), "{explained}");
            world.stays_without("other", prefix)?;
            assert!(kernel::siskin_route(&us, prefix)?.is_none(), "{prefix} is in the kernel");
        }
        let status = rpki(&siskin)?;
        assert_eq!((&status["origin"], &status["vrps"]["ipv4"]), (&"live".into(), &4.into()), "{status}");
        assert_eq!(
            (&status["servers"][0]["version"], &status["vrps"]["ipv6"]),
            (&2.into(), &4.into()),
            "{status}"
        );

        let before = logged(&mut siskin, "RPKI data changed");
        let told = Instant::now();
        cache.set(&VRPS[GOOD_VRPS..])?;
        INVALID.into_iter().try_for_each(|(prefix, ..)| accepted(&siskin, prefix))?;
        let took = told.elapsed();
        INVALID.into_iter().try_for_each(|(prefix, ..)| world.gets("other", prefix).map(drop))?;
        let change = wait_some("the change", SOON, || {
            Ok(Some(rpki(&siskin)?["last_change"].clone()).filter(|change| change["withdrawn"] == 4))
        })?;
        println!("StayRTR read other data, {took:.2?} later all routes were in; {change}");
        assert_eq!((&change["announced"], &change["changed"]), (&0.into(), &4.into()), "{change}");
        assert!(change["took_us"].as_u64().is_some_and(|us| us < 1_000_000), "{change}");
        assert_eq!(logged(&mut siskin, "RPKI data changed"), before + 1, "one line a change");
        assert_eq!(logged(&mut siskin, "announced=0 withdrawn=4 paths=4 now_accepted=4 now_rejected=0"), 1);

        cache.set(&VRPS)?;
        INVALID.into_iter().try_for_each(|route| rejected(&siskin, route))?;
        INVALID.into_iter().try_for_each(|(prefix, ..)| world.loses("other", prefix))?;
        wait_for("the kernel to lose 20.1.0.0/24", SOON, || {
            Ok(kernel::siskin_route(&us, "20.1.0.0/24")?.is_none())
        })?;
        // Neither peer was asked for its routes again.
        for peer in ["frr", "bird"] {
            let detail = siskin.api(&format!("/v1/peers/{peer}"))?;
            assert_eq!(detail["messages"]["sent"]["route_refresh"], 0, "{peer}");
            assert_eq!(detail["established_count"], 1, "{peer}");
        }
        let seen = frr.json("show bgp neighbors 10.0.1.2 json")?;
        let counters = &seen["10.0.1.2"]["messageStats"];
        assert_eq!(counters["routeRefreshRecv"], 0, "{counters}");
        Ok(())
    })
}

#[test]
fn import_waits_for_the_first_data_and_nothing_invalid_ever_gets_out() -> Result {
    lab("rpki-gate", |lab| {
        let (frr_ns, world_ns, us) = place(lab)?;
        let watch = watch_kernel(&us)?;
        let siskin = Siskin::start(&us, &config(&one_cache()))?;
        let frr = start_frr(&frr_ns)?;
        let world = World::start(&world_ns, networks().into())?;
        siskin.wait_established("frr")?;
        wait_for("routes at the gate", SOON, || {
            let held = |prefix, peer| -> Result<bool> {
                Ok(siskin.filtered_from(prefix, peer)?.is_some_and(|p| p["rejected"]["rule"] == "rpki-gate"))
            };
            Ok(held("20.11.0.0/16", "frr")? && held("2a0e:2::/48", "bird")?)
        })?;
        let (status, body) = siskin.request("GET", "/readyz")?;
        assert_eq!(status, 503, "{body}");
        assert!(body.contains("rpki"), "{body}");
        let shown = siskin.cli_text(&["status"])?;
        assert!(shown.contains("waiting for RPKI data, 60 s at most"), "{shown}");
        assert_eq!(rpki(&siskin)?["gate"]["open"], false);
        assert_eq!(siskin.peer("bird")?["hint"], "takes nothing until there are RPKI data (rpki-gate)");
        stays("nothing is imported", Duration::from_secs(1), || {
            Ok(siskin.paths("20.11.0.0/16")?.is_empty() && siskin.paths("20.12.0.0/16")?.is_empty())
        })?;

        let _cache = StayRtr::start(&us, PORT, &VRPS)?;
        VALID.into_iter().try_for_each(|prefix| world.gets("other", prefix).map(drop))?;
        INVALID.into_iter().try_for_each(|route| rejected(&siskin, route))?;
        wait_for("readiness", SOON, || Ok(siskin.request("GET", "/readyz")?.0 == 200))?;
        assert_eq!(rpki(&siskin)?["gate"]["open"], true);
        at_peer(&frr, "20.12.0.0/16")?;
        wait_for("the kernel", SOON, || Ok(kernel::siskin_route(&us, "20.12.0.0/16")?.is_some()))?;
        nothing_leaked(&watch, &world);
        Ok(())
    })
}

/// `startup-deadline`: routes come in unjudged, except where only valid ones are wanted.
#[test]
fn after_the_deadline_import_goes_on_without_data() -> Result {
    lab("rpki-deadline", |lab| {
        let (_, world_ns, us) = place(lab)?;
        let [bird, other] = networks();
        let strict = Network::new("strict", 15, 401_005, &["20.3.0.0/16"]);
        let deadline = format!("{}\nstartup-deadline = \"3s\"", one_cache());
        let tables = format!(
            "{}{}{}",
            bird.peer(JUDGED),
            other.peer(OPEN),
            strict.peer(&JUDGED.replace("reject-invalid", "require-valid"))
        );
        let mut siskin = Siskin::start(&us, &format!("{ROUTER}\n[rpki]\n{deadline}\n{tables}"))?;
        let world = World::start(&world_ns, vec![bird, other, strict])?;
        for prefix in BIRD_ROUTES {
            world.gets("other", prefix)?;
        }
        let log = siskin.daemon().log();
        assert!(log.contains("no RPKI data came within 3 s: import goes on without"), "{log}");
        let path = siskin.filtered_from("20.3.0.0/16", "strict")?.unwrap_or_default();
        assert_eq!(path["rejected"]["rule"], "rpki-not-valid", "{path}");
        let shown = siskin.cli_text(&["rpki"])?;
        assert!(shown.contains("there is none"), "{shown}");
        let gate = &rpki(&siskin)?["gate"];
        assert_eq!(
            (&gate["open"], gate["text"].as_str().unwrap_or_default().contains("goes on without")),
            (&true.into(), true)
        );
        // Data that come late count all the same.
        let _cache = StayRtr::start(&us, PORT, &[&VRPS[..], &[("20.3.0.0/16", 16, 401_005)]].concat())?;
        for (prefix, ..) in INVALID.into_iter().filter(|(_, peer, _)| *peer == "bird") {
            world.loses("other", prefix)?;
        }
        world.gets("other", "20.3.0.0/16").map(drop)
    })
}

/// Two caches, of which one dies; a restart while both are away; SLURM while all this goes on.
#[test]
fn a_restart_begins_with_the_last_good_data() -> Result {
    lab("rpki-restart", |lab| {
        let (_, world_ns, us) = place(lab)?;
        let slurm = us.file("slurm.json", &slurm("[]"))?;
        let servers =
            format!("servers = [\"127.0.0.1:{PORT}\", \"127.0.0.1:{}\"]\nslurm = {slurm:?}", PORT + 1);
        // The union: each cache lacks what the other has.
        let first = StayRtr::start(&us, PORT, &VRPS[..6])?;
        let second = StayRtr::start(&us, PORT + 1, &VRPS[2..])?;
        let mut siskin = Siskin::start(&us, &world_config(&servers))?;
        let world = World::start(&world_ns, networks().into())?;
        let of_bird = INVALID.into_iter().filter(|(_, peer, _)| *peer == "bird");
        let all_there = |siskin: &Siskin| -> Result<bool> {
            let vrps = &rpki(siskin)?["vrps"];
            Ok(vrps["ipv4"] == 4 && vrps["ipv6"] == 4)
        };
        wait_for("the union of both caches", SOON, || all_there(&siskin))?;
        of_bird.clone().try_for_each(|route| rejected(&siskin, route))?;
        world.gets("other", "20.12.0.0/16")?;

        drop(first);
        wait_for("the first cache to be missed", SOON, || {
            Ok(rpki(&siskin)?["servers"][0]["connected"] == false)
        })?;
        stays("its data count", Duration::from_secs(1), || all_there(&siskin))?;
        of_bird.clone().try_for_each(|route| rejected(&siskin, route))?;
        drop(second);
        wait_for("the second cache to be missed", SOON, || {
            Ok(rpki(&siskin)?["servers"][1]["connected"] == false)
        })?;
        stays("its data count", Duration::from_secs(1), || all_there(&siskin))?;

        assert!(siskin.stop()?.success());
        let watch = watch_kernel(&us)?;
        siskin.start_again()?;
        let status = rpki(&siskin)?;
        assert_eq!(
            (&status["origin"], &status["gate"]["open"]),
            (&"persisted".into(), &true.into()),
            "{status}"
        );
        assert!(status["age_s"].as_u64().is_some(), "{status}");
        let shown = siskin.cli_text(&["rpki"])?;
        assert!(shown.contains("the last good data on disk, confirmed"), "{shown}");
        world.gets("other", "20.12.0.0/16")?;
        of_bird.clone().try_for_each(|route| rejected(&siskin, route))?;
        nothing_leaked(&watch, &world);

        // A filter lets one in; a file that is none changes nothing.
        us.file("slurm.json", &self::slurm(r#"[{"prefix": "20.2.0.0/16"}]"#))?;
        world.gets("other", "20.2.0.0/24")?;
        us.file("slurm.json", "{ this is none")?;
        let error = wait_some("the file to be refused", SOON, || {
            Ok(rpki(&siskin)?["slurm"]["error"].as_str().map(str::to_owned))
        })?;
        println!("SLURM: {error}");
        assert!(world.route("other", "20.2.0.0/24")?.is_some(), "the exceptions read last count");
        us.file("slurm.json", &self::slurm("[]"))?;
        world.loses("other", "20.2.0.0/24")?;
        of_bird.clone().try_for_each(|route| rejected(&siskin, route))
    })
}

fn slurm(filters: &str) -> String {
    format!(
        r#"{{"slurmVersion": 1,
            "validationOutputFilters": {{"prefixFilters": {filters}, "bgpsecFilters": []}},
            "locallyAddedAssertions": {{"prefixAssertions": [], "bgpsecAssertions": []}}}}"#
    )
}

/// FRR as the peer that is told, and takes back.
#[test]
fn frr_loses_what_becomes_invalid() -> Result {
    lab("rpki-frr", |lab| {
        let (frr_ns, world_ns, us) = place(lab)?;
        let mut cache = StayRtr::start(&us, PORT, &VRPS[GOOD_VRPS..])?;
        let _siskin = Siskin::start(&us, &config(&one_cache()))?;
        let frr = start_frr(&frr_ns)?;
        let _world = World::start(&world_ns, networks().into())?;
        at_peer(&frr, "20.2.0.0/24")?;
        at_peer(&frr, "2a0e:2::/48")?;
        cache.set(&VRPS)?;
        gone_at_peer(&frr, "20.2.0.0/24")?;
        gone_at_peer(&frr, "2a0e:2::/48")
    })
}
