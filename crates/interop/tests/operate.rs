//! Operating it: reload and apply, bad configurations, a port in use, a missing capability, interfaces that
//! come later, a slow peer, metrics.

use std::time::Duration;

use siskin_interop::Result;
use siskin_interop::lab::lab;
use siskin_interop::plain::{
    OPEN, PEER, ROUTER, US, best, chain, first_link, open_to_both, open_to_peer, pair, peer, peer_config,
    second_config,
};
use siskin_interop::router::{Announcement, Kind};
use siskin_interop::siskin::{Siskin, check, http};
use siskin_interop::table;
use siskin_interop::tool::Tool;
use siskin_interop::wait::{SOON, stays, wait_for};

const V4: &str = "10.1.0.0/24";

#[test]
fn a_reload_leaves_unchanged_sessions_alone() -> Result {
    lab("reload", |lab| {
        let (peer_ns, us, second_ns) = chain(lab)?;
        let siskin = Siskin::start(&us, &open_to_peer())?;
        let _first = Kind::Frr.start(&peer_ns, &peer_config(vec![Announcement::plain(V4)?]))?;
        let second_routes = vec![Announcement::plain("10.2.0.0/24")?];
        let _second = Kind::Bird.start(&second_ns, &second_config(65_003, second_routes))?;
        best(&siskin, V4)?;
        // SIGHUP brings a second peer.
        siskin.write_config(&open_to_both(65_003))?;
        siskin.reload()?;
        best(&siskin, "10.2.0.0/24")?;
        // `config apply` changes a policy of the first: its routes are judged again, its session stays.
        let policy = "\n[policy.in]\nrules = [\"set local-pref 222\", \"accept\"]\n";
        let changed = open_to_both(65_003).replacen("import = \"accept-all\"", "import = \"in\"", 1);
        siskin.write_config(&format!("{changed}{policy}"))?;
        siskin.cli_text(&["config", "apply"])?;
        wait_for("the new policy's work", SOON, || {
            Ok(siskin.best(V4)?.is_some_and(|best| best.local_pref == Some(222)))
        })?;
        // The second goes again; its routes go with it.
        siskin.write_config(&open_to_peer())?;
        siskin.reload()?;
        wait_for("the second peer's end", SOON, || Ok(siskin.paths("10.2.0.0/24")?.is_empty()))?;
        let first = siskin.api("/v1/peers/first")?;
        assert_eq!((&first["state"], &first["established_count"]), (&"established".into(), &1.into()));
        Ok(())
    })
}

#[test]
fn a_bad_reload_changes_nothing() -> Result {
    lab("bad-reload", |lab| {
        let (peer_ns, us) = pair(lab)?;
        let siskin = Siskin::start(&us, &open_to_peer())?;
        let _router = Kind::Bird.start(&peer_ns, &peer_config(vec![Announcement::plain(V4)?]))?;
        best(&siskin, V4)?;
        siskin.write_config(&open_to_peer().replace("address =", "adress ="))?;
        siskin.reload()?;
        stays("the session", Duration::from_secs(3), || siskin.established("first"))?;
        let apply = siskin.cli(&["config", "apply"])?;
        let text =
            format!("{}{}", String::from_utf8_lossy(&apply.stdout), String::from_utf8_lossy(&apply.stderr));
        assert_eq!(apply.status.code(), Some(4), "{text}");
        assert!(text.contains("adress") && text.contains('^'), "{text}");
        assert!(siskin.best(V4)?.is_some());
        assert_eq!(siskin.api("/v1/peers/first")?["established_count"], 1);
        Ok(())
    })
}

/// Every mistake is shown with file, line and caret, exit code 4, and nothing runs.
#[test]
fn bad_configurations_are_explained_and_refused() -> Result {
    lab("bad-config", |lab| {
        let good = format!("[router]\n{}", open_to_peer());
        let cases = [
            ("an unknown key", good.replace("address =", "adress ="), "address"),
            ("a wrong type", good.replace("asn = 65001", "asn = \"many\""), "asn"),
            ("a bad address", good.replace("10.0.0.1\"", "10.0.0.1000\""), "10.0.0.1000"),
            (
                "an unknown policy",
                good.replace("import = \"accept-all\"", "import = \"acept-all\""),
                "accept-all",
            ),
            (
                "a policy with a syntax error",
                format!("{good}\n[policy.p]\nrules = [\"accept if prefix inn [10.0.0.0/8]\"]\n"),
                "inn",
            ),
            ("text that is no TOML", format!("{good}\n[peer.x\n"), "peer.x"),
        ];
        let fine = check(lab.dir(), &good)?;
        assert!(fine.status.success(), "{}", String::from_utf8_lossy(&fine.stderr));
        let ns = lab.ns("nobody")?;
        for (what, toml, hint) in cases {
            let output = check(lab.dir(), &toml)?;
            let text = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(4), "{what}: {text}");
            assert!(text.contains("check.toml:"), "{what}: no file and line: {text}");
            assert!(text.contains('^'), "{what}: no caret: {text}");
            assert!(text.contains(hint), "{what}: {text}");
            let mut daemon = Siskin::spawn(&ns, "bad", &toml.replacen("[router]\n", "", 1))?;
            assert_eq!(daemon.daemon().wait(SOON)?.code(), Some(4), "{what}: started");
        }
        Ok(())
    })
}

#[test]
fn a_port_in_use_says_what_to_do() -> Result {
    lab("port", |lab| {
        let (_peer, us) = pair(lab)?;
        let _first = Siskin::start(&us, &open_to_peer())?;
        let mut siskin = Siskin::spawn(&us, "second", &open_to_peer())?;
        wait_for("the message", SOON, || {
            let log = siskin.daemon().log();
            Ok(log.contains("in use") && log.contains("179"))
        })
    })
}

#[test]
fn a_missing_capability_is_named() -> Result {
    lab("capability", |lab| {
        let (_peer, us) = pair(lab)?;
        let without = ["setpriv", "--bounding-set", "-net_admin", "--inh-caps", "-net_admin", "--"];
        let mut siskin = Siskin::spawn_under(&us, "siskind", &open_to_peer(), &without)?;
        wait_for("CAP_NET_ADMIN in the log", SOON, || Ok(siskin.daemon().log().contains("CAP_NET_ADMIN")))
    })
}

/// The link comes after the daemon: the session follows, without a restart or a reload.
#[test]
fn an_interface_may_come_later() -> Result {
    lab("later", |lab| {
        let (peer_ns, us) = (lab.ns("peer")?, lab.ns("us")?);
        let siskin = Siskin::start(&us, &open_to_peer())?;
        stays("the daemon", Duration::from_secs(1), || Ok(!siskin.established("first")?))?;
        first_link(lab, &peer_ns, &us)?;
        let _router = Kind::Frr.start(&peer_ns, &peer_config(vec![Announcement::plain(V4)?]))?;
        best(&siskin, V4).map(drop)
    })
}

/// A peer that does not read costs the others nothing, and gets everything when it reads again.
#[test]
fn a_slow_peer_delays_nobody() -> Result {
    const ROUTES: u32 = 100_000;
    lab("slow", |lab| {
        let (first_ns, us, second_ns) = chain(lab)?;
        let third_ns = lab.ns("third")?;
        lab.link(
            (&third_ns, "eth0", &["10.0.2.1/24", "2001:db8:2::1/64"]),
            (&us, "up2", &["10.0.2.2/24", "2001:db8:2::2/64"]),
        )?;
        let tables = format!(
            "\n[kernel]\ninstall = false\n{}{}{}",
            peer("first", PEER, 1299, OPEN),
            peer("slow", "10.0.1.1", 65_003, OPEN),
            peer("quick", "10.0.2.1", 65_004, OPEN)
        );
        let siskin = Siskin::start(&us, &format!("{ROUTER}{tables}"))?;
        let expect = format!("--expect4 {ROUTES} --expect6 {ROUTES}");
        let mut slow = Tool::sink(&second_ns, "slow", &format!("--connect 10.0.1.2 --asn 65003 {expect}"))?;
        let mut quick = Tool::sink(&third_ns, "quick", &format!("--connect 10.0.2.2 --asn 65004 {expect}"))?;
        slow.event("established", SOON)?;
        quick.event("established", SOON)?;
        slow.send("pause")?;
        let mrt = table::make_own(ROUTES)?;
        let play = format!(
            "--connect {US} --asn 1299 --mrt {} --next-hop4 {PEER} --next-hop6 2001:db8::1 --go",
            mrt.display()
        );
        let mut play = Tool::play(&first_ns, "play", &play)?;
        quick.event("reached", Duration::from_secs(60))?;
        let (four, _) = slow.counts()?;
        assert!(four < u64::from(ROUTES), "the slow peer was not slow");
        // All goes while it sleeps: what it never heard of need not be told.
        play.send("withdraw")?;
        quick.event("empty", Duration::from_secs(60))?;
        play.send("go")?;
        quick.nth_event("reached", 2, Duration::from_secs(60))?;
        assert!(siskin.established("slow")? && siskin.established("quick")? && siskin.established("first")?);
        slow.send("resume")?;
        wait_for("the slow peer's table", Duration::from_secs(60), || {
            Ok(slow.counts()? == (ROUTES.into(), ROUTES.into()))
        })?;
        assert!(slow.events("closed").is_empty());
        Ok(())
    })
}

#[test]
fn metrics_health_and_the_commands_answer() -> Result {
    lab("metrics", |lab| {
        let (peer_ns, us) = pair(lab)?;
        let siskin = Siskin::start(&us, &format!("{}\n[api]\nhttp = \"127.0.0.1:9179\"\n", open_to_peer()))?;
        let _router = Kind::Bird.start(&peer_ns, &peer_config(vec![Announcement::plain(V4)?]))?;
        best(&siskin, V4)?;
        let curl = |path: &str| -> Result<String> {
            let url = format!("http://127.0.0.1:9179{path}");
            let script = format!("import urllib.request as u; print(u.urlopen({url:?}).read().decode())");
            siskin_interop::process::run(us.command("python3").args(["-c", &script]))
        };
        let metrics = curl("/metrics")?;
        assert!(metrics.lines().any(|line| line.starts_with("siskin_")), "{metrics}");
        wait_for("readiness", SOON, || Ok(curl("/readyz").is_ok()))?;
        curl("/healthz")?;
        let openapi: serde_json::Value = serde_json::from_str(&curl("/openapi.json")?)?;
        assert!(openapi["paths"]["/v1/peers"].is_object());
        for command in [&["status"][..], &["peers"], &["routes"], &["fib"], &["nexthops"], &["host-routes"]] {
            assert!(!siskin.cli_text(command)?.is_empty(), "{command:?}");
            siskin.cli_json(command)?;
        }
        assert_eq!(siskin.cli(&["routes", "192.0.2.0/24"])?.status.code(), Some(1));
        assert_eq!(siskin.cli(&["no-such-command"])?.status.code(), Some(2));
        let socket = us.dir().join("siskind.sock");
        assert_eq!(http(&socket, "GET", "/v1/nothing")?.0, 404);
        Ok(())
    })
}

#[test]
fn without_a_daemon_the_command_says_so() -> Result {
    lab("unreachable", |lab| {
        let ns = lab.ns("us")?;
        let mut siskin = Siskin::start(&ns, ROUTER)?;
        assert!(siskin.stop()?.success());
        assert_eq!(siskin.cli(&["status"])?.status.code(), Some(3));
        Ok(())
    })
}
