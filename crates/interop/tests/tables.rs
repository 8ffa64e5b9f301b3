//! Tables of the kernel: peers and policies that choose one, and a policy that chooses what the kernel gets.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use siskin_interop::Result;
use siskin_interop::kernel::{KernelRoute, routes};
use siskin_interop::lab::{Ns, lab};
use siskin_interop::plain::{OPEN, PEER, PEER_AS, ROUTER, at_peer, chain, peer, peer_config, second_config};
use siskin_interop::router::{Announcement, Kind};
use siskin_interop::siskin::Siskin;
use siskin_interop::wait::{SOON, stays, wait_for};
use siskin_net::Family;

const V4: &str = "10.100.0.0/16";
const V6: &str = "2001:db8:f::/48";
const OTHER: &str = "10.101.0.0/16";
const SECOND_AS: u32 = 65_003;

/// Siskin's routes of a prefix in a table, `all` for every one.
fn in_table(ns: &Ns, dst: &str, table: &str) -> Vec<KernelRoute> {
    let family = if dst.contains(':') { Family::Ipv6 } else { Family::Ipv4 };
    // `ip` calls a table that holds nothing yet an error.
    let found = routes(ns, family, &format!("table {table} proto 201")).unwrap_or_default();
    found.into_iter().filter(|route| route.dst == dst).collect()
}

fn wait_in(ns: &Ns, dst: &str, table: &str) -> Result {
    wait_for(&format!("{dst} in table {table} alone"), SOON, || {
        Ok(in_table(ns, dst, table).len() == 1 && in_table(ns, dst, "all").len() == 1)
    })
}

/// Looks all the time, from another thread, whether a route is in some table.
struct Watch {
    end: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<bool>,
}

impl Watch {
    fn start(ns: &Ns, dst: &'static str) -> Watch {
        let end = Arc::new(AtomicBool::new(false));
        let (ns, flag) = (ns.clone(), end.clone());
        let thread = std::thread::spawn(move || {
            let mut there = true;
            while !flag.load(Ordering::Relaxed) {
                there &= !in_table(&ns, dst, "all").is_empty();
                std::thread::sleep(Duration::from_millis(5));
            }
            there
        });
        Watch { end, thread }
    }

    fn never_missing(self) -> bool {
        self.end.store(true, Ordering::Relaxed);
        self.thread.join().unwrap_or(false)
    }
}

fn config(first: &str, tables: &str) -> String {
    let second = peer("second", "10.0.1.1", SECOND_AS, OPEN);
    format!("{ROUTER}{}{second}{tables}", peer("first", PEER, PEER_AS, &format!("{OPEN}\n{first}")))
}

/// A peer's key and a policy choose the table, a reload moves the routes and loses none on the way, and the next start
/// finds them where they are.
#[test]
fn routes_stand_in_the_table_of_their_peer_or_policy() -> Result {
    lab("peer-table", |lab| {
        let (first_ns, us, second_ns) = chain(lab)?;
        let both = vec![Announcement::plain(V4)?, Announcement::plain(V6)?];
        let _first = Kind::Frr.start(&first_ns, &peer_config(both))?;
        let second = second_config(SECOND_AS, vec![Announcement::plain(OTHER)?]);
        let second = Kind::Bird.start(&second_ns, &second)?;
        let mut siskin = Siskin::start(&us, &config("table = 100", ""))?;
        wait_in(&us, V4, "100")?;
        wait_in(&us, V6, "100")?;
        wait_in(&us, OTHER, "main")?;
        let shown = siskin.cli_text(&["fib", V4])?;
        assert!(shown.contains(&format!("{V4} table 100")), "{shown}");
        let explained = siskin.cli_text(&["explain", V4])?;
        assert!(explained.contains("table 100"), "{explained}");
        assert_eq!(siskin.cli(&["fib", "--check"])?.status.code(), Some(0));
        // The table is nobody else's business.
        at_peer(second.as_ref(), V4)?;
        // A policy has the last word, for a part of the routes.
        let policy = format!(
            "\n[policy.sorted]\nrules = [\"set table 200 if prefix in [{V4}]\", \"set table main if family = ipv6\", \
             \"accept\"]\n"
        );
        let sorted = config("table = 100", &policy).replacen("accept-all", "sorted", 1);
        let watches = [Watch::start(&us, V4), Watch::start(&us, V6), Watch::start(&us, OTHER)];
        siskin.write_config(&sorted)?;
        siskin.reload()?;
        wait_in(&us, V4, "200")?;
        wait_in(&us, V6, "main")?;
        wait_in(&us, OTHER, "main")?;
        siskin.daemon().kill();
        siskin.start_again()?;
        siskin.wait_established("first")?;
        wait_for("ready", SOON, || Ok(siskin.api("/v1/status")?["ready"] == true))?;
        wait_in(&us, V4, "200")?;
        wait_in(&us, V6, "main")?;
        // What others remove is put back, there as well.
        assert!(watches.into_iter().all(Watch::never_missing), "a route was in no table");
        us.ip(&format!("route del {V4} table 200"))?;
        wait_in(&us, V4, "200")?;
        siskin.write_config(&config("", ""))?;
        siskin.reload()?;
        wait_in(&us, V4, "main")?;
        wait_in(&us, V6, "main")?;
        assert_eq!(siskin.cli(&["fib", "--check"])?.status.code(), Some(0));
        siskin.write_config(&config("table = 300", "\n[kernel]\non-stop = \"flush\"\n"))?;
        siskin.reload()?;
        wait_in(&us, V4, "300")?;
        siskin.stop()?;
        for dst in [V4, V6, OTHER] {
            assert!(in_table(&us, dst, "all").is_empty(), "{dst} is left");
        }
        Ok(())
    })
}

/// The kernel gets what its policy accepts, in the tables that it names; peers get everything; `explain` says why.
#[test]
fn a_policy_chooses_what_the_kernel_gets() -> Result {
    lab("selective", |lab| {
        let (first_ns, us, second_ns) = chain(lab)?;
        let (four, six) = ("default", "default");
        let mut routes = vec![Announcement::plain(V4)?, Announcement::plain(V6)?];
        routes.extend([Announcement::plain("0.0.0.0/0")?, Announcement::plain("::/0")?]);
        let _first = Kind::Bird.start(&first_ns, &peer_config(routes))?;
        let second = Kind::Frr.start(&second_ns, &second_config(SECOND_AS, Vec::new()))?;
        let only = "\n[kernel]\npolicy = \"default-only\"\n\
                    \n[policy.default-only]\nrules = [\"accept if prefix in [0.0.0.0/0, ::/0]\", \"reject\"]\n";
        let siskin = Siskin::start(&us, &config("", only))?;
        wait_for("the IPv4 default route", SOON, || Ok(in_table(&us, four, "main").len() == 1))?;
        let default6 = || Ok(siskin_default6(&us)? == 1);
        wait_for("the IPv6 default route", SOON, default6)?;
        at_peer(second.as_ref(), V4)?;
        at_peer(second.as_ref(), V6)?;
        stays("no other route", Duration::from_secs(1), || {
            Ok(in_table(&us, V4, "all").is_empty() && in_table(&us, V6, "all").is_empty())
        })?;
        let explained = siskin.cli_text(&["explain", V4])?;
        assert!(explained.contains("not installed"), "{explained}");
        assert!(explained.contains("kept out by kernel.policy: default-only rule 2"), "{explained}");
        let kernel = siskin.api(&format!("/v1/explain?prefix={V4}"))?["kernel"].clone();
        assert_eq!(
            (&kernel["state"], &kernel["policy"]["accepted"]),
            (&"not_installed".into(), &false.into())
        );
        // Another policy: what it does not concern is not touched.
        let watch = Watch::start(&us, six);
        let tables = only.replace("\"reject\"", "\"set table 50 if family = ipv6\", \"accept\"");
        siskin.write_config(&config("", &tables))?;
        siskin.reload()?;
        wait_in(&us, V4, "main")?;
        wait_in(&us, V6, "50")?;
        assert!(watch.never_missing(), "the default route was away");
        let explained = siskin.cli_text(&["explain", V6])?;
        assert!(explained.contains("set table 50 if family = ipv6"), "{explained}");
        siskin.write_config(&config("", &only.replace("[0.0.0.0/0, ::/0]", "[10.0.0.0/8+]")))?;
        siskin.reload()?;
        wait_for("no default route", SOON, || {
            Ok(in_table(&us, four, "all").is_empty() && siskin_default6(&us)? == 0)
        })?;
        wait_in(&us, V4, "main")?;
        assert!(in_table(&us, V6, "all").is_empty());
        siskin.write_config(&config("", ""))?;
        siskin.reload()?;
        wait_in(&us, V6, "main")?;
        wait_for("the default routes", SOON, || {
            Ok(in_table(&us, four, "main").len() == 1 && siskin_default6(&us)? == 1)
        })
    })
}

/// How many IPv6 default routes of ours there are.
fn siskin_default6(ns: &Ns) -> Result<usize> {
    Ok(routes(ns, Family::Ipv6, "default proto 201")?.len())
}
