//! `siskin-bench`: a full table in from one peer and out to another, Siskin beside BIRD 2 in the same run.
//!
//! The player has all its messages ready before the clock starts, the sink does no more than count, and the
//! two daemons take turns, so that what else the machine does falls on both. Time is from the player's first
//! octet to the sink's last prefix; with `--kernel` also to the last route in the kernel. CPU and the peak of
//! memory are the daemon's own, read when it has come to rest.

mod edge;
mod fib;
mod hosts;
mod loss;
mod moves;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Parser;
use siskin_interop::bird::Bird;
use siskin_interop::lab::{Lab, Ns, clean_up_on_signals};
use siskin_interop::make::Make;
use siskin_interop::process::Daemon;
use siskin_interop::router::{Config, Neighbor, Router};
use siskin_interop::siskin::Siskin;
use siskin_interop::tool::{Tool, at};
use siskin_interop::wait::{SOON, wait_some};
use siskin_interop::{Error, Result, table};

/// Longest time for a table through the slowest daemon on a busy machine.
const LIMIT: Duration = Duration::from_secs(300);

/// Full table in, one peer out: Siskin against BIRD 2.
///
/// Example: siskin-bench --rounds 5 --kernel
#[derive(Debug, Parser)]
struct Arguments {
    /// Rounds for each daemon; medians are shown.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Table to play (TABLE_DUMP_V2); default: the full table of the shared data.
    #[arg(long)]
    mrt: Option<PathBuf>,
    /// Peer of the table to play, by AS number.
    #[arg(long, default_value_t = table::PEERS[0])]
    as_peer: u32,
    /// At most so many prefixes of each family.
    #[arg(long, default_value_t = u64::MAX)]
    limit: u64,
    /// Write the routes into the kernel of the daemon's namespace, too.
    #[arg(long)]
    kernel: bool,
    /// Measure what becomes of routes in the kernel instead: install, second path, failures, repair, removal, beside
    /// BIRD 2 and FRR.
    #[arg(long, conflicts_with = "kernel")]
    fib: bool,
    /// Measure what filtering costs instead: without filters and with those of an edge, beside BIRD 2 with the same lists.
    #[arg(long, conflicts_with_all = ["kernel", "only", "fib"])]
    edge: bool,
    /// Measure host routes instead: starts and ends of VMs, many at once, many at rest, and a flood beside them.
    #[arg(long, conflicts_with_all = ["kernel", "only", "fib", "edge"])]
    host_routes: bool,
    /// VMs with --host-routes; default 4,000.
    #[arg(long, requires = "host_routes")]
    vms: Option<u16>,
    /// Measure what is lost of packets through a hypervisor while something happens to it, beside BIRD 2 and FRR.
    #[arg(long, conflicts_with_all = ["kernel", "fib", "edge"])]
    loss: bool,
    /// Measure what a VM loses that moves between two hypervisors, below FRR and BIRD; a round is a move.
    #[arg(long, conflicts_with_all = ["kernel", "only", "fib", "edge", "host_routes", "loss"])]
    moves: bool,
    /// Measure this daemon alone.
    #[arg(long, value_enum)]
    only: Option<Make>,
}

impl Arguments {
    /// Those of a list that are to be measured.
    fn makes(&self, all: &[Make]) -> Vec<Make> {
        all.iter().copied().filter(|make| self.only.is_none_or(|only| only == *make)).collect()
    }
}

/// What one round found.
#[derive(Debug, Clone, Copy)]
struct Sample {
    /// First octet to last prefix, s.
    through: f64,
    /// First octet to last kernel route, s (0 without `--kernel`).
    kernel: f64,
    /// First octet of the withdrawal to the sink's last loss, s.
    withdraw: f64,
    /// CPU of the load, s.
    cpu: f64,
    /// Peak resident memory, MiB.
    peak: f64,
}

fn main() -> Result {
    let arguments = Arguments::parse();
    clean_up_on_signals();
    if arguments.host_routes {
        return hosts::run_all(&arguments);
    }
    if arguments.moves {
        return moves::run_all(&arguments);
    }
    if arguments.loss {
        return loss::run_all(&arguments);
    }
    let mrt = match &arguments.mrt {
        Some(path) => path.clone(),
        None => table::full_or_own(100_000)?.path,
    };
    if arguments.fib {
        println!("table {}, {} rounds", mrt.display(), arguments.rounds);
        return fib::run_all(&mrt, &arguments);
    }
    if arguments.edge {
        println!("table {}, {} rounds", mrt.display(), arguments.rounds);
        return edge::run_all(&mrt, &arguments);
    }
    let kinds = arguments.makes(&[Make::Bird, Make::Siskin]);
    println!("table {}, {} rounds, kernel {}", mrt.display(), arguments.rounds, arguments.kernel);
    let mut samples: Vec<Vec<Sample>> = kinds.iter().map(|_| Vec::new()).collect();
    for round in 1..=arguments.rounds {
        for (kind, list) in kinds.iter().zip(&mut samples) {
            let sample = measure(*kind, &mrt, &arguments)?;
            println!("round {round} {kind:?}: {}", line(&sample));
            list.push(sample);
        }
    }
    println!("\nmedians of {}", arguments.rounds);
    println!("{:8} {}", "", HEAD);
    let medians: Vec<Sample> = samples.iter().map(|list| median(list)).collect();
    for (kind, sample) in kinds.iter().zip(&medians) {
        println!("{:8} {}", format!("{kind:?}").to_lowercase(), line(sample));
    }
    if let [bird, siskin] = medians.as_slice() {
        println!("{:8} {}", "ratio", columns(&ratio(siskin, bird), 2));
    }
    Ok(())
}

const HEAD: &str = " through s  kernel s withdraw s     CPU s   peak MiB";

fn line(sample: &Sample) -> String {
    columns(sample, 1)
}

/// The figures under [`HEAD`]; what was not measured is a dash.
fn columns(sample: &Sample, peak_digits: usize) -> String {
    let Sample { through, kernel, withdraw, cpu, peak } = sample;
    let kernel = if *kernel == 0.0 { "-".to_owned() } else { format!("{kernel:.2}") };
    format!("{through:10.2} {kernel:>9} {withdraw:10.2} {cpu:9.2} {peak:10.peak_digits$}")
}

fn of(samples: &[Sample], field: impl Fn(&Sample) -> f64) -> f64 {
    let mut values: Vec<f64> = samples.iter().map(field).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The median; of an even number the upper one.
fn median_of<T: Ord>(values: impl Iterator<Item = T>) -> Option<T> {
    let mut values: Vec<T> = values.collect();
    values.sort_unstable();
    let middle = values.len() / 2;
    values.into_iter().nth(middle)
}

fn median(samples: &[Sample]) -> Sample {
    Sample {
        through: of(samples, |s| s.through),
        kernel: of(samples, |s| s.kernel),
        withdraw: of(samples, |s| s.withdraw),
        cpu: of(samples, |s| s.cpu),
        peak: of(samples, |s| s.peak),
    }
}

fn ratio(ours: &Sample, theirs: &Sample) -> Sample {
    let divide = |a: f64, b: f64| if b == 0.0 { 0.0 } else { a / b };
    Sample {
        through: divide(ours.through, theirs.through),
        kernel: divide(ours.kernel, theirs.kernel),
        withdraw: divide(ours.withdraw, theirs.withdraw),
        cpu: divide(ours.cpu, theirs.cpu),
        peak: divide(ours.peak, theirs.peak),
    }
}

/// A daemon under measurement.
enum Subject {
    Siskin(Siskin),
    Bird(Bird),
}

impl Subject {
    fn start(kind: Make, ns: &Ns, arguments: &Arguments) -> Result<Subject> {
        match kind {
            Make::Siskin => Siskin::start(ns, &siskin_config(arguments)).map(Subject::Siskin),
            Make::Bird => {
                let neighbors = vec![
                    Neighbor::new([10, 0, 0, 1], arguments.as_peer),
                    Neighbor::new([10, 0, 1, 1], 64_999),
                ];
                let config = Config::new(64_500, [10, 0, 0, 2], neighbors, Vec::new());
                Bird::start_raw(ns, &config, &bird_config(arguments)).map(Subject::Bird)
            }
            Make::Frr => Err(Error::new("FRR is measured with --fib and --loss alone")),
        }
    }

    fn daemon(&mut self) -> &mut Daemon {
        match self {
            Subject::Siskin(siskin) => siskin.daemon(),
            Subject::Bird(bird) => bird.daemon(),
        }
    }
}

fn siskin_config(arguments: &Arguments) -> String {
    format!(
        "asn = 64500\nrouter-id = \"10.0.0.2\"\n\n[kernel]\ninstall = {}\n\n\
         [peer.in]\naddress = \"10.0.0.1\"\nasn = {}\npassive = true\nimport = \"accept-all\"\n\
         export = \"reject-all\"\n\n\
         [peer.out]\naddress = \"10.0.1.1\"\nasn = 64999\npassive = true\nimport = \"reject-all\"\n\
         export = \"accept-all\"\n",
        arguments.kernel, arguments.as_peer
    )
}

fn bird_config(arguments: &Arguments) -> String {
    let kernel = if arguments.kernel {
        "protocol kernel { ipv4 { import none; export all; }; }\n\
         protocol kernel { ipv6 { import none; export all; }; }\n"
    } else {
        ""
    };
    let session = |name: &str, address: &str, asn: u32, import: &str, export: &str, hop: &str| {
        format!(
            "protocol bgp {name} {{ local as 64500; neighbor {address} as {asn}; passive on; \
             ipv4 {{ import {import}; export {export}; }}; \
             ipv6 {{ import {import}; export {export}; next hop address {hop}; }}; }}\n"
        )
    };
    format!(
        "log stderr all;\nrouter id 10.0.0.2;\nprotocol device {{}}\nprotocol direct {{ ipv4; ipv6; }}\n{kernel}{}{}",
        session("peer0", "10.0.0.1", arguments.as_peer, "all", "none", "2001:db8::2"),
        session("peer1", "10.0.1.1", 64_999, "none", "where source = RTS_BGP", "2001:db8:1::2"),
    )
}

/// One round: a lab of its own, so that nothing is left from the round before.
fn measure(kind: Make, mrt: &Path, arguments: &Arguments) -> Result<Sample> {
    let lab = Lab::new("bench")?;
    let result = round(&lab, kind, mrt, arguments);
    if result.is_err() {
        lab.keep();
    }
    result.map_err(|e| e.during(format!("{kind:?}")))
}

fn round(lab: &Lab, kind: Make, mrt: &Path, arguments: &Arguments) -> Result<Sample> {
    let (feeder, subject_ns, taker) = network(lab)?;
    let mut play = Tool::play(&feeder, "play", &play_arguments(mrt, arguments))?;
    let encoded = play.event("encoded", LIMIT)?;
    let (four, six) = (number(&encoded, "ipv4")?, number(&encoded, "ipv6")?);
    let mut subject = Subject::start(kind, &subject_ns, arguments)?;
    let sink = format!("--connect 10.0.1.2 --asn 64999 --expect4 {four} --expect6 {six}");
    let mut sink = Tool::sink(&taker, "sink", &sink)?;
    play.event("established", SOON)?;
    sink.event("established", SOON)?;
    rest(subject.daemon())?;
    let before = subject.daemon().cpu_seconds()?;
    play.send("go")?;
    let start = at(&play.event("started", SOON)?)?;
    let kernel = match arguments.kernel {
        true => kernel_has(&subject_ns, subject.daemon().pid(), four, six)? - start,
        false => 0.0,
    };
    let through = at(&sink.event("reached", LIMIT)?)? - start;
    rest(subject.daemon())?;
    let cpu = subject.daemon().cpu_seconds()? - before;
    #[expect(clippy::cast_precision_loss, reason = "KiB of a process fit a double")]
    let peak = subject.daemon().peak_kib()? as f64 / 1024.0;
    play.send("withdraw")?;
    let gone = at(&sink.event("empty", LIMIT)?)?;
    let withdraw = gone - at(&play.nth_event("started", 2, SOON)?)?;
    Ok(Sample { through, kernel, withdraw, cpu, peak })
}

/// A peer that feeds, the daemon, and a peer that counts.
fn network(lab: &Lab) -> Result<(Ns, Ns, Ns)> {
    let (feeder, subject, taker) = (lab.ns("feeder")?, lab.ns("subject")?, lab.ns("taker")?);
    lab.link(
        (&feeder, "eth0", &["10.0.0.1/24", "2001:db8::1/64"]),
        (&subject, "in0", &["10.0.0.2/24", "2001:db8::2/64"]),
    )?;
    lab.link(
        (&taker, "eth0", &["10.0.1.1/24", "2001:db8:1::1/64"]),
        (&subject, "out0", &["10.0.1.2/24", "2001:db8:1::2/64"]),
    )?;
    Ok((feeder, subject, taker))
}

fn play_arguments(mrt: &Path, arguments: &Arguments) -> String {
    format!(
        "--connect 10.0.0.2 --asn {} --mrt {} --next-hop4 10.0.0.1 --next-hop6 2001:db8::1 --limit {}",
        arguments.as_peer,
        mrt.display(),
        arguments.limit
    )
}

fn number(event: &serde_json::Value, key: &str) -> Result<u64> {
    event[key].as_u64().ok_or_else(|| Error::new(format!("an event without `{key}`")))
}

/// Waits until a daemon has used no CPU to speak of for a second.
fn rest(daemon: &Daemon) -> Result {
    let mut last = daemon.cpu_seconds()?;
    wait_some("the daemon to come to rest", LIMIT, || {
        std::thread::sleep(Duration::from_millis(700));
        let now = daemon.cpu_seconds()?;
        let busy = now - last;
        last = now;
        Ok((busy < 0.03).then_some(()))
    })
}

/// When the kernel of a process's namespace had so many more routes of each family, in seconds since the
/// epoch. The kernel's own counters are read, for a dump of a million routes would disturb what is measured.
fn kernel_has(ns: &Ns, pid: u32, four: u64, six: u64) -> Result<f64> {
    let base6 = counted6(pid)?;
    let start = Instant::now();
    loop {
        if counted4(pid)? >= four && counted6(pid)? >= base6 + six {
            let now = std::time::SystemTime::now().duration_since(std::time::SystemTime::UNIX_EPOCH);
            return Ok(now.unwrap_or_default().as_secs_f64());
        }
        if start.elapsed() > LIMIT {
            let found = (counted4(pid)?, counted6(pid)?);
            return Err(Error::new(format!("the kernel of {} has only {found:?} routes", ns.name)));
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Prefixes in the largest IPv4 table.
fn counted4(pid: u32) -> Result<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/net/fib_triestat"))?;
    let counts = text.lines().filter_map(|line| line.trim().strip_prefix("Prefixes:"));
    Ok(counts.filter_map(|n| n.trim().parse().ok()).max().unwrap_or(0))
}

/// Entries of all IPv6 tables.
fn counted6(pid: u32) -> Result<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/net/rt6_stats"))?;
    let field = text.split_whitespace().nth(3).unwrap_or_default();
    Ok(u64::from_str_radix(field, 16)?)
}
