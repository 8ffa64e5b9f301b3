//! The failure table: every source of filters, every way it fails, and what becomes of routes. The rows are what was seen; the
//! table of the guide to edges says the same in general words.
//!
//! `cargo test -p siskin-interop --test filters_failures -- --nocapture` prints it.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use serde_json::Value;
use siskin_interop::irrd::{self, Irrd, Registry};
use siskin_interop::lab::{Ns, lab};
use siskin_interop::peeringdb::{self, PeeringDb};
use siskin_interop::siskin::Siskin;
use siskin_interop::stayrtr::{StayRtr, Vrp};
use siskin_interop::wait::{SOON, stays, wait_for, wait_some};
use siskin_interop::world::{Network, ROUTER, World};
use siskin_interop::{Error, Result};

/// What becomes of each route: `in`, the rule that refuses it, or `gone`.
type Routes = BTreeMap<String, String>;

/// The rows of a source.
struct Table<'a> {
    source: &'a str,
    /// Peers and prefixes that are looked at.
    watched: Vec<(&'a str, String)>,
    rows: Vec<String>,
}

impl<'a> Table<'a> {
    fn new(source: &'a str, watched: &[(&'a str, &str)]) -> Table<'a> {
        let watched = watched.iter().map(|(peer, prefix)| (*peer, (*prefix).to_owned())).collect();
        Table { source, watched, rows: Vec::new() }
    }

    fn routes(&self, siskin: &Siskin) -> Result<Routes> {
        let mut routes = Routes::new();
        for (peer, prefix) in &self.watched {
            let verdict = if siskin.path_from(prefix, peer)?.is_some() {
                "in".to_owned()
            } else {
                let path = siskin.filtered_from(prefix, peer)?.unwrap_or_default();
                path["rejected"]["rule"].as_str().unwrap_or("gone").to_owned()
            };
            routes.insert(format!("{prefix} of {peer}"), verdict);
        }
        Ok(routes)
    }

    /// Waits for these verdicts, in the order of `watched`.
    fn reach(&self, siskin: &Siskin, verdicts: &[&str]) -> Result {
        let mut seen = Routes::new();
        let expected = self.watched.iter().zip(verdicts);
        let expected: Routes =
            expected.map(|((peer, prefix), v)| (format!("{prefix} of {peer}"), (*v).to_owned())).collect();
        let reached = wait_for(&format!("{}: {expected:?}", self.source), SOON, || {
            seen = self.routes(siskin)?;
            Ok(seen == expected)
        });
        reached.map_err(|error| error.during(format!("{seen:?}")))
    }

    /// A row: with `verdicts` the routes come to these, without they stay as they were for a second.
    fn row(
        &mut self,
        siskin: &Siskin,
        failure: &str,
        before: &Routes,
        verdicts: Option<&[&str]>,
        said: &str,
    ) -> Result {
        match verdicts {
            Some(verdicts) => self.reach(siskin, verdicts)?,
            None => stays(
                &format!("{}, {failure}: routes as before", self.source),
                Duration::from_secs(1),
                || Ok(self.routes(siskin)? == *before),
            )?,
        }
        let after = self.routes(siskin)?;
        let changes: Vec<String> = after
            .iter()
            .filter(|(route, verdict)| before.get(*route) != Some(verdict))
            .map(|(route, verdict)| format!("{route}: {} → {verdict}", before[route]))
            .collect();
        let what = if changes.is_empty() { "nothing".to_owned() } else { changes.join(", ") };
        self.rows.push(format!("| {} | {failure} | {what} | {} |", self.source, said.replace('|', "/")));
        Ok(())
    }
}

/// The server `at` as `siskin rpki` has it.
fn cache(siskin: &Siskin, at: usize) -> Result<Value> {
    Ok(siskin.api("/v1/rpki")?["servers"][at].clone())
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

const VRPS: [Vrp<'static>; 3] =
    [("20.11.0.0/16", 16, 401_011), ("20.12.0.0/16", 16, 401_012), ("20.31.0.0/16", 16, 401_999)];

/// The bad cache goes silent in the middle, and has done so.
const STALL: u8 = 0;
const STALLED: u8 = 100;

/// A cache that never ends its answer: what it said so far must not count. It says that 20.41.0.0/16 is another's.
fn bad_cache(us: &Ns, port: u16) -> Result<Arc<AtomicU8>> {
    let listener = us.within(|| Ok(TcpListener::bind(("127.0.0.1", port))?))?;
    let mode = Arc::new(AtomicU8::new(1));
    let shown = mode.clone();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut query = [0; 256];
            let Ok(_) = stream.read(&mut query) else { continue };
            // Cache Response, and one IPv4 Prefix, of version 1 (RFC 8210 sections 5.5 and 5.6).
            let mut answer =
                vec![1, 3, 0, 7, 0, 0, 0, 8, 1, 4, 0, 0, 0, 0, 0, 20, 1, 16, 16, 0, 20, 41, 0, 0];
            answer.extend(401_999_u32.to_be_bytes());
            match shown.load(Ordering::SeqCst) {
                // Nothing more comes; the connection stays.
                STALL | STALLED => {
                    let _ = stream.write_all(&answer);
                    shown.store(STALLED, Ordering::SeqCst);
                    std::thread::spawn(move || std::io::copy(&mut stream, &mut std::io::sink()));
                }
                // It ends there.
                1 => {
                    let _ = stream.write_all(&answer);
                }
                // A length that is none.
                2 => {
                    answer[12..16].copy_from_slice(&0xffff_fff0_u32.to_be_bytes());
                    let _ = stream.write_all(&answer);
                }
                _ => {
                    let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
                }
            }
        }
    });
    Ok(mode)
}

fn rpki() -> Result<Vec<String>> {
    let mut rows = Vec::new();
    lab("failures-rpki", |lab| {
        let (world_ns, us) = World::place(lab)?;
        let watched = [
            ("judged", "20.11.0.0/16"),
            ("judged", "20.31.0.0/16"),
            ("judged", "20.41.0.0/16"),
            ("strict", "20.12.0.0/16"),
        ];
        let mut table = Table::new("RPKI caches", &watched);
        let judged = Network::new("judged", 11, 401_011, &["20.11.0.0/16", "20.31.0.0/16", "20.41.0.0/16"]);
        let strict = Network::new("strict", 12, 401_012, &["20.12.0.0/16"]);
        let keys = |mode| format!("import = \"accept-all\"\nexport = \"reject-all\"\nrpki = \"{mode}\"");
        let slurm = us.file("slurm.json", SLURM)?;
        let toml = format!(
            "{ROUTER}\n[rpki]\nservers = [\"127.0.0.1:8282\", \"127.0.0.1:8283\", \"127.0.0.1:8284\"]\nrefresh = \"1s\"\n\
             retry = \"1s\"\nexpire = \"5s\"\nstartup-deadline = \"4s\"\nslurm = {slurm:?}\n{}{}",
            judged.peer(&keys("reject-invalid")),
            strict.peer(&keys("require-valid"))
        );
        let mut good = StayRtr::start(&us, 8282, &VRPS)?;
        let other = StayRtr::start(&us, 8283, &VRPS)?;
        let mode = bad_cache(&us, 8284)?;
        let mut siskin = Siskin::start(&us, &toml)?;
        let _world = World::start(&world_ns, vec![judged, strict])?;
        table.reach(&siskin, &["in", "rpki-invalid", "in", "in"])?;
        let usual = table.routes(&siskin)?;

        let mut error = Value::Null;
        for (number, failure) in
            [(1, "one closes in the middle"), (2, "one lies about a length"), (3, "one sends no RTR")]
        {
            mode.store(number, Ordering::SeqCst);
            let next = wait_some(failure, SOON, || {
                let now = cache(&siskin, 2)?["last_error"].clone();
                Ok(Some(now).filter(|now| now.is_string() && *now != error))
            });
            error = next.map_err(|e| e.during(&error))?;
            table.row(&siskin, failure, &usual, None, &text(&error))?;
        }
        mode.store(STALL, Ordering::SeqCst);
        wait_for("the cache to stall", SOON, || Ok(mode.load(Ordering::SeqCst) == STALLED))?;
        let said = "it has no VRPs in `siskin rpki`";
        table.row(&siskin, "one stops in the middle of its data", &usual, None, said)?;
        assert_eq!(cache(&siskin, 2)?["vrps"]["ipv4"], 0);
        drop(other);
        let error = wait_some("the cache to be missed", SOON, || {
            let cache = cache(&siskin, 1)?;
            Ok((cache["connected"] == false).then(|| text(&cache["last_error"])))
        })?;
        table.row(&siskin, "one of several is away", &usual, None, &error)?;
        us.file("slurm.json", "none")?;
        let error = wait_some("the file to be refused", SOON, || {
            Ok(siskin.api("/v1/rpki")?["slurm"]["error"].as_str().map(str::to_owned))
        })?;
        table.row(&siskin, "SLURM file cannot be read", &usual, None, &error)?;

        good.set(&VRPS[..2])?;
        table.row(
            &siskin,
            "a record goes",
            &usual,
            Some(&["in", "in", "in", "in"]),
            "one line in the log",
        )?;
        let without = table.routes(&siskin)?;
        drop(good);
        let good = StayRtr::start(&us, 8282, &VRPS)?;
        let as_usual = ["in", "rpki-invalid", "in", "in"];
        table.row(
            &siskin,
            "another session, other data",
            &without,
            Some(&as_usual),
            "one line in the log",
        )?;
        drop(good);
        wait_for("the cache to be missed", SOON, || Ok(cache(&siskin, 0)?["connected"] == false))?;
        table.row(
            &siskin,
            "all are away, for a while",
            &usual,
            None,
            &text(&cache(&siskin, 0)?["last_error"]),
        )?;

        let expired = ["in", "in", "in", "rpki-not-valid"];
        table.row(
            &siskin,
            "all are away, data expire",
            &usual,
            Some(&expired),
            "no VRPs in `siskin rpki`, log",
        )?;
        let unjudged = table.routes(&siskin)?;

        assert!(siskin.stop()?.success());
        siskin.start_again()?;
        let said = "their age in `siskin rpki`";
        table.row(&siskin, "away at a start, data on disk", &unjudged, Some(&as_usual), said)?;
        assert_eq!(siskin.api("/v1/rpki")?["origin"], "persisted");

        assert!(siskin.stop()?.success());
        std::fs::remove_file(us.dir().join("siskind-state/rpki.vrps"))?;
        siskin.start_again()?;
        table.reach(&siskin, &["rpki-gate"; 4])?;
        let (status, body) = siskin.request("GET", "/readyz")?;
        assert_eq!((status, body.contains("rpki")), (503, true), "{body}");
        let gate = text(&siskin.api("/v1/rpki")?["gate"]["text"]);
        table.row(&siskin, "away at a start, nothing on disk", &usual, Some(&["rpki-gate"; 4]), &gate)?;
        let waiting = table.routes(&siskin)?;
        table.row(
            &siskin,
            "still away after the deadline",
            &waiting,
            Some(&expired),
            "log, `siskin status`",
        )?;
        let _good = StayRtr::start(&us, 8282, &VRPS)?;
        table.row(&siskin, "back", &table.routes(&siskin)?, Some(&as_usual), "log")?;
        rows = table.rows;
        Ok(())
    })?;
    Ok(rows)
}

const SLURM: &str = r#"{"slurmVersion": 1,
    "validationOutputFilters": {"prefixFilters": [], "bgpsecFilters": []},
    "locallyAddedAssertions": {"prefixAssertions": [], "bgpsecAssertions": []}}"#;

fn registered(count: u8) -> String {
    let prefixes: Vec<String> = (0..count).map(|n| format!("20.{}.0.0/16", 100 + n)).collect();
    format!("set AS-TEST AS401013\nroute AS401013 {}\n", prefixes.join(" "))
}

fn irr() -> Result<Vec<String>> {
    use irrd::Failure;
    let mut rows = Vec::new();
    lab("failures-irr", |lab| {
        let (world_ns, us) = World::place(lab)?;
        let mut table = Table::new(
            "IRR server",
            &[("listed", "20.100.0.0/16"), ("listed", "20.111.0.0/16"), ("listed", "20.33.0.0/16")],
        );
        let listed = Network::new("listed", 13, 401_013, &["20.100.0.0/16", "20.111.0.0/16", "20.33.0.0/16"]);
        let keys = "import = \"accept-all\"\nexport = \"reject-all\"\nirr = { as-set = \"AS-TEST\" }";
        let toml = format!(
            "{ROUTER}\n[irr]\nserver = \"127.0.0.1:4343\"\nsources = [\"RIPE\"]\ntimeout = \"1s\"\n{}",
            listed.peer(keys)
        );
        let start = |count| {
            us.within(|| {
                Irrd::start(SocketAddr::from(([127, 0, 0, 1], 4343)), Registry::read(&registered(count))?)
            })
        };
        let mut siskin = Siskin::start(&us, &toml)?;
        let _world = World::start(&world_ns, vec![listed])?;
        let missing = ["irr-missing"; 3];
        let none = Routes::from(
            ["20.100.0.0/16", "20.111.0.0/16", "20.33.0.0/16"]
                .map(|p| (format!("{p} of listed"), "gone".into())),
        );
        table.row(
            &siskin,
            "away at a start, nothing on disk",
            &none,
            Some(&missing),
            "`irr-missing`, `siskin peers`",
        )?;
        let server = start(12)?;
        siskin.cli_text(&["irr", "refresh"])?;
        let as_usual = ["in", "in", "irr"];
        table.reach(&siskin, &as_usual)?;
        let usual = table.routes(&siskin)?;
        let state = |siskin: &Siskin, state: &str| {
            wait_some(&format!("the list to be {state}"), SOON, || {
                let all = siskin.api("/v1/irr")?;
                let set =
                    all["sets"].as_array().into_iter().flatten().find(|set| set["family"] == "ipv4").cloned();
                Ok(set.filter(|set| set["state"] == state).map(|set| text(&set["reason"])))
            })
        };
        for (failure, name, becomes) in [
            (Failure::Refuse, "refuses", "kept"),
            (Failure::Hang, "hangs", "kept"),
            (Failure::Close, "closes in the middle", "kept"),
            (Failure::Failed, "answers `F`", "kept"),
            (Failure::LongLength, "announces more than comes", "kept"),
            (Failure::ShortLength, "announces less than comes", "kept"),
            (Failure::Garbage, "sends no reply", "kept"),
            (Failure::Junk, "sends what is no prefix", "kept"),
            (Failure::NotFound, "knows no such set (`D`)", "alarm"),
        ] {
            server.fail(Some(failure));
            siskin.cli_text(&["irr", "refresh"])?;
            let reason = state(&siskin, becomes).map_err(|error| error.during(name))?;
            table.row(&siskin, name, &usual, None, &format!("{becomes}: {reason}"))?;
            server.fail(None);
            siskin.cli_text(&["irr", "refresh"])?;
            state(&siskin, "fresh").map_err(|error| error.during(name))?;
        }
        server.update(|registry| {
            if let Ok(smaller) = Registry::read(&registered(5)) {
                *registry = smaller;
            }
        });
        siskin.cli_text(&["irr", "refresh"])?;
        let reason = state(&siskin, "alarm")?;
        table.row(&siskin, "gives less than half", &usual, None, &format!("alarm: {reason}"))?;
        siskin.cli_text(&["irr", "accept", "listed"])?;
        table.row(&siskin, "that is accepted", &usual, Some(&["in", "irr", "irr"]), "fresh")?;
        let less = table.routes(&siskin)?;
        drop(server);
        assert!(siskin.stop()?.success());
        siskin.start_again()?;
        table.reach(&siskin, &["in", "irr", "irr"])?;
        table.row(&siskin, "away at a start, list on disk", &less, None, "its age in `siskin irr`")?;
        assert_eq!(siskin.api("/v1/peers/listed")?["dropped_count"], 0, "no session ends for a filter");
        rows = table.rows;
        Ok(())
    })?;
    Ok(rows)
}

fn peeringdb_and_files() -> Result<Vec<String>> {
    use peeringdb::Failure;
    let mut rows = Vec::new();
    lab("failures-peeringdb", |lab| {
        let (world_ns, us) = World::place(lab)?;
        let mut table = Table::new("PeeringDB", &[("limited", "20.14.0.0/16")]);
        let server = us.within(|| {
            let records = vec![peeringdb::record(401_014, "", 200, 0)];
            PeeringDb::start(SocketAddr::from(([127, 0, 0, 1], 8080)), records)
        })?;
        let limited = Network::new("limited", 14, 401_014, &["20.14.0.0/16"]);
        let keys = "import = \"accept-all\"\nexport = \"reject-all\"\nmax-prefix = \"peeringdb\"";
        us.file("block.txt", "20.99.0.0/16\n")?;
        let toml = format!(
            "{ROUTER}\n[edge]\nblocklist-files = [\"block.txt\"]\n\n[peeringdb]\nurl = \"{}\"\n{}",
            server.url(),
            limited.peer(keys)
        );
        let mut siskin = Siskin::start(&us, &toml)?;
        let _world = World::start(&world_ns, vec![limited])?;
        table.reach(&siskin, &["in"])?;
        let usual = table.routes(&siskin)?;
        let limits = |siskin: &Siskin| -> Result<String> {
            let families = siskin.peer("limited")?["families"].clone();
            let of = |at: usize| families[at]["max_prefix"]["limit"].clone();
            Ok(format!("limits {} and {}", of(0), of(1)))
        };
        wait_for("the limits", SOON, || Ok(limits(&siskin)? == "limits 220 and null"))?;
        table.row(&siskin, "0 as a number of prefixes", &usual, None, &limits(&siskin)?)?;
        for failure in
            [Failure::Status(500), Failure::Close, Failure::Garbage, Failure::Meta, Failure::TooMany(60)]
        {
            server.fail(Some(failure));
            let asked = server.requests().len();
            siskin.cli_text(&["irr", "refresh"])?;
            let error = wait_some(&format!("{failure:?}"), SOON, || {
                let error = siskin.api("/v1/irr")?["peeringdb"]["last_error"].clone();
                Ok((server.requests().len() > asked && error.is_string()).then(|| text(&error)))
            })?;
            table.row(
                &siskin,
                &format!("{failure:?}"),
                &usual,
                None,
                &format!("{error}; {}", limits(&siskin)?),
            )?;
            assert_eq!(limits(&siskin)?, "limits 220 and null", "{failure:?}");
        }
        drop(server);
        assert!(siskin.stop()?.success());
        siskin.start_again()?;
        table.reach(&siskin, &["in"])?;
        wait_for("the limits", SOON, || Ok(limits(&siskin)? == "limits 220 and null"))?;
        table.row(&siskin, "away at a start, record on disk", &usual, None, &limits(&siskin)?)?;

        table.source = "files";
        let refused = |siskin: &Siskin| -> Result<String> {
            let answer = siskin.cli(&["config", "apply"])?;
            assert_eq!(answer.status.code(), Some(4));
            let all = String::from_utf8_lossy(&answer.stdout).into_owned()
                + &String::from_utf8_lossy(&answer.stderr);
            let line = all.lines().find(|line| line.contains("error")).unwrap_or_default().trim().to_owned();
            Ok(line)
        };
        us.file("block.txt", "20.14.0.0/16\nnonsense\n")?;
        let error = refused(&siskin)?;
        table.row(&siskin, "a word of a blocklist is wrong", &usual, None, &error)?;
        std::fs::remove_file(us.dir().join("block.txt"))?;
        let error = refused(&siskin)?;
        table.row(&siskin, "a blocklist is gone", &usual, None, &error)?;
        us.file("block.txt", "20.14.0.0/16\n")?;
        siskin.write_config(&toml.replace("max-prefix", "max-prefx"))?;
        let error = refused(&siskin)?;
        table.row(&siskin, "the configuration is wrong", &usual, None, &error)?;
        rows = table.rows;
        Ok(())
    })?;
    Ok(rows)
}

#[test]
fn no_failure_opens_a_filter_or_ends_a_session() -> Result {
    let parts = std::thread::scope(|scope| {
        let parts = [rpki, irr, peeringdb_and_files].map(|part| scope.spawn(part));
        parts.map(|part| part.join().unwrap_or_else(|_| Err(Error::new("a part of the table panicked"))))
    });
    println!("| source | failure | what happened to routes | what says so |\n| --- | --- | --- | --- |");
    for part in parts {
        println!("{}", part?.join("\n"));
    }
    Ok(())
}
