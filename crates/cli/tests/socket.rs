//! The built program against the daemon's own API server with a fake daemon behind it: exit codes, what goes to which
//! stream, and that `--json` is what the API answers.

#![expect(clippy::unwrap_used, reason = "a test fails where it cannot go on")]

#[path = "../../daemon/src/http/mod.rs"]
mod http;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

use serde_json::Value;

use http::fake::Fake;
use http::{Limits, Listeners, Server, ServerConfig};

struct World {
    fake: Arc<Fake>,
    server: Server,
    socket: PathBuf,
    folder: tempfile::TempDir,
}

fn world() -> World {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("siskin.sock");
    let config = ServerConfig {
        socket: socket.clone(),
        group: "no-such-group".into(),
        daemon_uid: 4711,
        http: None,
        limits: Limits::default(),
    };
    let fake = Arc::new(Fake::new());
    let server = Server::start(Listeners::bind(&config).unwrap(), fake.clone()).unwrap();
    World { fake, server, socket, folder }
}

/// Runs the program on a thread of its own: the server runs on this one.
async fn siskin(socket: &Path, line: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_siskin"));
    command.args(line.split_whitespace()).env("SISKIN_SOCKET", socket).env_remove("NO_COLOR");
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

fn stderr(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}

impl World {
    async fn run(&self, line: &str) -> Output {
        siskin(&self.socket, line).await
    }
}

#[tokio::test]
async fn exit_codes_are_those_of_the_contract() {
    let world = world();
    for (line, code, complaint) in [
        ("status", 0, ""),
        ("peers", 0, ""),
        ("peers transit-a", 0, ""),
        ("peers 192.0.2.1", 0, ""),
        ("peers nobody", 1, "there is no peer nobody"),
        ("peers 192.0.2.99", 1, "no peer has the address 192.0.2.99"),
        ("routes", 0, ""),
        ("routes 203.0.113.1", 0, ""),
        ("routes 203.0.113.0/24 --detail", 0, ""),
        ("routes 192.0.2.0/24", 1, "there is no such route for 192.0.2.0/24"),
        ("routes 192.0.2.0/24 --count", 1, ""),
        ("routes 192.0.2.1/24", 2, "did you mean 192.0.2.0/24?"),
        ("routes --exported", 2, "--peer <PEER>"),
        ("routes --best --filtered", 2, "cannot be used with"),
        ("routes 203.0.113.1 --longer", 2, "longer=true needs prefix=PREFIX"),
        ("explain 203.0.113.0/24", 0, ""),
        ("explain 192.0.2.0/24", 1, "no table has 192.0.2.0/24"),
        ("fib", 0, ""),
        ("nexthops", 0, ""),
        ("host-routes", 0, ""),
        ("host-routes list", 0, ""),
        ("host-routes add vmbr1 198.51.100.30 2001:db8:100::80 --mac 52:02:45:76:d2:35", 0, ""),
        ("host-routes add vmbr1 198.51.100.99 --mac 52:02:45:76:d2:35", 5, "declared for db01 already"),
        (
            "host-routes add vmbr9 198.51.100.30 --mac 52:02:45:76:d2:35",
            1,
            "not configured on interface vmbr9",
        ),
        ("host-routes add vmbr1 198.51.100.30", 2, "--mac <MAC>"),
        ("host-routes add vmbr1 --mac 52:02:45:76:d2:35", 2, "<ADDRESS>"),
        ("host-routes remove vmbr1 198.51.100.30", 0, ""),
        ("host-routes migrate vmbr1 198.51.100.30", 0, ""),
        ("host-routes release vmbr9 198.51.100.30", 1, "is not known on vmbr9"),
        ("guard", 0, ""),
        ("guard remove", 0, ""),
        ("config show", 0, ""),
        ("config apply", 4, "nothing was changed"),
        ("config apply /etc/good", 0, ""),
        ("peer transit-a restart", 0, ""),
        ("peer down-already restart", 5, "the session is not established"),
        (
            "peer transit-a explode",
            2,
            "possible values: up, down, restart, refresh-in, refresh-out, drain, undrain",
        ),
        ("show bgp summary", 0, ""),
        ("show route for 203.0.113.1 all", 0, ""),
        ("show ospf", 2, "`show ospf` has no counterpart here"),
        ("rpki", 0, ""),
        ("rpki status", 0, ""),
        ("rpki check 192.0.2.0/25 64496", 0, ""),
        ("rpki check 192.0.2.0/25 AS64511", 1, ""),
        ("rpki check 198.51.100.0/24 64496", 1, ""),
        ("rpki check 192.0.2.1/25 64496", 2, "did you mean 192.0.2.0/25?"),
        ("rpki check 192.0.2.0/25", 2, "<ASN>"),
        ("irr", 0, ""),
        ("irr status", 0, ""),
        ("irr show ripe::as-example", 0, ""),
        ("irr show AS-NOBODY", 1, "no peer uses AS-NOBODY"),
        ("irr show RIPE::AS-EXAMPLE --limit 0", 2, "0 is not in"),
        ("irr refresh", 0, ""),
        ("irr refresh 192.0.2.1", 0, ""),
        ("irr accept ix-neighbour", 0, ""),
        ("irr accept transit-a", 5, "no list that waits"),
        ("policy show ix-neighbour", 0, ""),
        ("policy show nobody", 1, "there is no peer nobody"),
        ("policy test ix-neighbour 192.0.2.0/24 --as-path 64499", 1, ""),
        ("policy test ix-neighbour 192.0.2.0/24 --export", 0, ""),
        ("policy test ix-neighbour", 2, "<PREFIX>"),
        ("policy test ix-neighbour 192.0.2.0/24 --from transit-a", 2, "--export"),
        ("policy test ix-neighbour 192.0.2.0/24 --mrt x", 2, "cannot be used with"),
        ("policy test --mrt /tmp/apicli-rib ix-neighbour", 1, ""),
        ("policy test --mrt /tmp/apicli-good ix-neighbour", 0, ""),
        ("drain", 0, ""),
        ("undrain", 0, ""),
        ("peer transit-a drain", 0, ""),
        ("peer transit-a undrain", 0, ""),
        ("show rpki cache-connection", 0, ""),
        ("config plan", 2, "`siskin config plan` is not part of this version"),
        ("frobnicate", 2, "unrecognized subcommand"),
        ("", 2, "Usage"),
        ("--help", 0, ""),
        ("routes --help", 0, ""),
        ("--version", 0, ""),
        ("completions bash", 0, ""),
        ("man", 0, ""),
    ] {
        let output = world.run(line).await;
        assert_eq!(output.status.code(), Some(code), "siskin {line}: {}", stderr(&output));
        assert!(stderr(&output).contains(complaint), "siskin {line}: {}", stderr(&output));
        if code == 0 {
            assert!(
                !output.stdout.is_empty() && output.stderr.is_empty(),
                "siskin {line}: {}",
                stderr(&output)
            );
            assert!(!output.stdout.contains(&0x1b), "siskin {line}: no colour where nobody looks");
        }
    }
    let vm = "{\"mac\":\"52:02:45:76:d2:35\",\"port\":null,\"name\":null,\"standby\":false}";
    let declared = ["198.51.100.30", "2001:db8:100::80"].map(|address| format!("declare {address} {vm}"));
    let [first, second] = &declared;
    let changes = [
        first,
        second,
        "Remove 198.51.100.30",
        "Migrate 198.51.100.30",
        "guard remove",
        "apply /etc/good",
        "transit-a restart",
        "irr refresh all",
        "irr refresh transit-a",
        "irr accept ix-neighbour",
        "drain",
        "undrain",
        "transit-a drain",
        "transit-a undrain",
    ];
    assert_eq!(*world.fake.changes.lock().unwrap(), changes);
    world.server.shutdown().await;
}

macro_rules! fixture {
    ($name:literal) => {
        include_str!(concat!("../../api/fixtures/", $name, ".json"))
    };
}

#[tokio::test]
async fn json_is_what_the_api_answers() {
    let world = world();
    for (line, fixture) in [
        ("status --json", fixture!("status")),
        ("--json peers", fixture!("peers")),
        ("peers transit-a --json", fixture!("peer")),
        ("routes --json", fixture!("routes")),
        ("routes --filtered --json", fixture!("routes-filtered")),
        ("fib --json", fixture!("fib")),
        ("nexthops --json", fixture!("nexthops")),
        ("host-routes --json", fixture!("host-routes")),
        ("config show --json", fixture!("config")),
        ("rpki --json", fixture!("rpki")),
        ("irr --json", fixture!("irr")),
        ("irr show RIPE::AS-EXAMPLE --json", fixture!("irr-set")),
        ("policy show ix-neighbour --json", fixture!("policy")),
        ("policy test ix-neighbour 203.0.113.0/24 --export --json", fixture!("policy-test-accepted")),
    ] {
        let output = world.run(line).await;
        let shown: Value = serde_json::from_str(stdout(&output)).unwrap();
        let expected: Value = serde_json::from_str(fixture).unwrap();
        assert_eq!(shown, expected, "siskin {line}");
        assert_eq!(output.status.code(), Some(0));
    }
    let count = world.run("routes --count --json").await;
    assert_eq!(stdout(&count), "{\"routes\":[],\"next_cursor\":null,\"total\":3}\n");
    let limited: Value = serde_json::from_str(stdout(&world.run("routes --limit 2 --json").await)).unwrap();
    assert_eq!(limited["routes"].as_array().unwrap().len(), 2);
    assert_eq!(limited["next_cursor"], "2");
    let explain = world.run("explain 203.0.113.0/24 --json").await;
    let explain: Value = serde_json::from_str(stdout(&explain)).unwrap();
    assert!(explain["summary"].as_str().unwrap().starts_with("203.0.113.0/24 goes to transit-a"));
    // A negative answer is an answer, too.
    for (line, fixture) in [
        ("rpki check 192.0.2.0/25 64511 --json", fixture!("rpki-check")),
        ("policy test ix-neighbour 192.0.2.0/24 --json", fixture!("policy-test-rejected")),
        ("policy test ix-neighbour --mrt /var/tmp/rib.20260101.0000.gz --json", fixture!("policy-mrt")),
    ] {
        let output = world.run(line).await;
        let shown: Value = serde_json::from_str(stdout(&output)).unwrap();
        assert_eq!(shown, serde_json::from_str::<Value>(fixture).unwrap(), "siskin {line}");
        assert_eq!((output.status.code(), stderr(&output)), (Some(1), ""), "siskin {line}");
    }
    let missing = world.run("explain 192.0.2.0/24 --json").await;
    let missing: Value = serde_json::from_str(stdout(&missing)).unwrap();
    assert_eq!(missing["error"]["code"], "not_found");
    let none = world.run("routes 192.0.2.0/24 --json").await;
    assert_eq!(stdout(&none), "{\"routes\":[],\"next_cursor\":null,\"total\":0}\n");
    assert_eq!(none.status.code(), Some(1));
}

#[tokio::test]
async fn a_daemon_that_does_not_answer_is_told_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("none.sock");
    let output = siskin(&missing, "status").await;
    assert_eq!(output.status.code(), Some(3));
    assert!(stderr(&output).contains("systemctl start siskin"), "{}", stderr(&output));

    let dead = folder.path().join("dead.sock");
    drop(std::os::unix::net::UnixListener::bind(&dead).unwrap());
    let output = siskin(&missing, &format!("--socket {} peers", dead.display())).await;
    assert_eq!(output.status.code(), Some(3));
    assert!(stderr(&output).contains("nobody answers"), "{}", stderr(&output));
}

#[tokio::test]
async fn the_queries_say_what_was_asked_for() {
    let world = world();
    world.run("routes 203.0.113.0/24 --longer --received --peer 192.0.2.1 -4 --limit 1").await;
    let query = world.fake.queries.lock().unwrap().pop().unwrap();
    assert_eq!(query.prefix.unwrap().to_string(), "203.0.113.0/24");
    assert!(query.longer);
    assert_eq!((query.peer.as_deref(), query.view), (Some("transit-a"), siskin_api::View::Received));
    assert_eq!((query.family, query.limit), (Some(siskin_net::Family::Ipv4), Some(1)));

    world
        .run(
            "policy test 192.0.2.1 203.0.113.0/24 --as-path 64496 --community 64496:1,no-export --community rt:1:2 \
             --next-hop 192.0.2.9 --origin egp --med 5 --local-pref 200 --otc AS64496 --export --from 192.0.2.1",
        )
        .await;
    let (peer, test) = world.fake.tests.lock().unwrap().pop().unwrap();
    assert_eq!((peer.as_str(), test.from.as_deref()), ("transit-a", Some("transit-a")));
    assert_eq!(test.direction, siskin_api::PolicyDirection::Export);
    assert_eq!(test.as_path.as_deref(), Some("64496"));
    assert_eq!(test.communities, ["64496:1", "no-export", "rt:1:2"]);
    assert_eq!((test.next_hop, test.origin.as_deref()), (Some([192, 0, 2, 9].into()), Some("egp")));
    assert_eq!((test.med, test.local_pref, test.otc.map(|asn| asn.0)), (Some(5), Some(200), Some(64496)));
}

#[tokio::test]
async fn pages_follow_each_other_and_a_closed_pipe_is_no_error() {
    let world = world();
    let output = world.run("routes").await;
    let text = stdout(&output);
    assert_eq!(text.matches("PREFIX").count(), 1, "{text}");
    assert!(text.contains("203.0.113.0/24") && text.contains("2001:db8:100::80/128"), "{text}");
    assert_eq!(world.fake.queries.lock().unwrap().len(), 3);

    let socket = world.socket.clone();
    let status = tokio::task::spawn_blocking(move || {
        let mut child = Command::new(env!("CARGO_BIN_EXE_siskin"))
            .arg("routes")
            .env("SISKIN_SOCKET", socket)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        child.wait().unwrap()
    });
    assert_eq!(status.await.unwrap().code(), Some(0));
}

#[tokio::test]
async fn a_configuration_is_checked_without_a_daemon() {
    let world = world();
    let file = |name: &str, text: &str| {
        let path = world.folder.path().join(name);
        std::fs::File::create(&path).unwrap().write_all(text.as_bytes()).unwrap();
        path.display().to_string()
    };
    let good = file("good.toml", "[router]\nasn = 64500\nrouter-id = \"192.0.2.10\"\n");
    let bad = file("bad.toml", "[router]\nadress = 1\n");
    let nowhere = Path::new("/nonexistent");
    let output = siskin(nowhere, &format!("config check {good}")).await;
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(stdout(&output).ends_with("good.toml is valid.\n"));
    let output = siskin(nowhere, &format!("config check {bad}")).await;
    assert_eq!(output.status.code(), Some(4));
    assert!(stderr(&output).contains("adress"), "{}", stderr(&output));
    assert!(output.stdout.is_empty());
    let output = siskin(nowhere, &format!("config check {bad} --json")).await;
    let report: Value = serde_json::from_str(stdout(&output)).unwrap();
    assert_eq!(report["valid"], false);
    let lines: Vec<_> = report["diagnostics"].as_array().unwrap().iter().map(|d| &d["line"]).collect();
    assert!(lines.contains(&&Value::from(2)), "{report}");
    assert_eq!(output.status.code(), Some(4));
}

#[tokio::test]
async fn manual_pages_are_written_for_every_command() {
    let folder = tempfile::tempdir().unwrap();
    let output = siskin(Path::new("/nonexistent"), &format!("man --out {}", folder.path().display())).await;
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    for page in ["siskin.1", "siskin-explain.1", "siskin-config-check.1", "siskin-policy-test.1"] {
        assert!(folder.path().join(page).exists(), "{page}");
    }
}
