//! The kernel's table: how fast routes get in, change and go, and how soon packets take another way after a failure;
//! Siskin beside BIRD 2 and FRR, in turns.
//!
//! Two peers announce the same table. What the kernel forwards by is seen through iproute2, in a sample of the routes
//! that is spread over the table, so each figure of a sample is a few milliseconds late. The figures are seconds.

use std::fmt;
use std::path::Path;
use std::time::{Duration, Instant};

use siskin_interop::bird::Bird;
use siskin_interop::frr::Frr;
use siskin_interop::lab::{Lab, Ns};
use siskin_interop::process::{Daemon, run};
use siskin_interop::router::{Config, Neighbor, Router};
use siskin_interop::siskin::Siskin;
use siskin_interop::tool::{Tool, at};
use siskin_interop::wait::SOON;
use siskin_interop::{Error, Result};

use super::{Arguments, LIMIT, counted4, counted6, number, rest};

/// Routes that are looked at one by one.
const SAMPLE: usize = 50;
/// Routes that somebody else takes away.
const STOLEN: usize = 1_000;
/// How long a daemon has to put them back.
const PATIENCE: Duration = Duration::from_secs(20);
const FIRST: &str = "10.0.0.1";
const SECOND: &str = "10.0.1.1";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Siskin,
    Bird,
    Frr,
}

/// What is measured, in order.
const STEPS: [&str; 7] =
    ["install", "second path", "link down", "link up", "session down", "1,000 deleted", "remove all"];

/// Seconds of each step; `None`: not within the time given.
type Sample = [Option<f64>; STEPS.len()];

/// Runs all rounds and prints the medians.
pub(super) fn run_all(mrt: &Path, arguments: &Arguments) -> Result {
    let kinds = [Kind::Bird, Kind::Frr, Kind::Siskin];
    let mut samples: Vec<Vec<Sample>> = kinds.iter().map(|_| Vec::new()).collect();
    for round in 1..=arguments.rounds {
        for (kind, list) in kinds.iter().zip(&mut samples) {
            let lab = Lab::new("fib")?;
            let sample = measure(&lab, *kind, mrt, arguments);
            if sample.is_err() {
                lab.keep();
            }
            let sample = sample.map_err(|e| e.during(format!("{kind:?}")))?;
            println!("round {round} {:8}{}", kind.to_string(), columns(&sample));
            list.push(sample);
        }
    }
    println!("\nmedians of {}, seconds", arguments.rounds);
    let head: String = STEPS.iter().map(|step| format!("{step:>15}")).collect();
    println!("{:8}{head}", "");
    let medians: Vec<Sample> = samples.iter().map(|list| std::array::from_fn(|n| median(list, n))).collect();
    for (kind, sample) in kinds.iter().zip(&medians) {
        println!("{:8}{}", kind.to_string(), columns(sample));
    }
    if let [bird, frr, siskin] = medians.as_slice() {
        for (name, other) in [("/ BIRD", bird), ("/ FRR", frr)] {
            let ratio: Sample =
                std::array::from_fn(|n| Some(siskin.get(n)?.as_ref()? / other.get(n)?.as_ref()?));
            println!("{name:8}{}", columns(&ratio));
        }
    }
    Ok(())
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Siskin => "siskin",
            Kind::Bird => "bird",
            Kind::Frr => "frr",
        })
    }
}

fn columns(sample: &Sample) -> String {
    let one = |value: &Option<f64>| value.map_or_else(|| format!("{:>15}", "-"), |v| format!("{v:15.3}"));
    sample.iter().map(one).collect()
}

/// The median; a step that failed once in two rounds has none.
fn median(list: &[Sample], step: usize) -> Option<f64> {
    let mut values: Vec<f64> =
        list.iter().map(|s| s.get(step).copied().flatten().unwrap_or(f64::INFINITY)).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().filter(|v| v.is_finite())
}

/// A daemon under measurement.
enum Subject {
    Siskin(Siskin),
    Bird(Bird),
    Frr(Frr),
}

impl Subject {
    fn start(kind: Kind, ns: &Ns, asn: u32) -> Result<Subject> {
        let neighbors =
            || vec![Neighbor::new([10, 0, 0, 1], asn).passive(), Neighbor::new([10, 0, 1, 1], asn).passive()];
        let config = || Config::new(64_500, [10, 0, 0, 2], neighbors(), Vec::new()).with_kernel();
        match kind {
            Kind::Siskin => Siskin::start(ns, &siskin_config(asn)).map(Subject::Siskin),
            Kind::Bird => Bird::start_raw(ns, &config(), &bird_config(asn)).map(Subject::Bird),
            Kind::Frr => Frr::start(ns, &config()).map(Subject::Frr),
        }
    }

    fn daemon(&mut self) -> &mut Daemon {
        match self {
            Subject::Siskin(siskin) => siskin.daemon(),
            Subject::Bird(bird) => bird.daemon(),
            Subject::Frr(frr) => frr.daemon(),
        }
    }
}

fn siskin_config(asn: u32) -> String {
    let peer = |name: &str, address: &str| {
        format!(
            "[peer.{name}]\naddress = \"{address}\"\nasn = {asn}\npassive = true\nimport = \"accept-all\"\n\
             export = \"reject-all\"\n"
        )
    };
    format!(
        "asn = 64500\nrouter-id = \"10.0.0.2\"\n\n[kernel]\nnexthop-compat-mode = \"keep\"\n\n{}{}",
        peer("first", FIRST),
        peer("second", SECOND)
    )
}

fn bird_config(asn: u32) -> String {
    let session = |name: &str, address: &str| {
        format!(
            "protocol bgp {name} {{ local as 64500; neighbor {address} as {asn}; passive on; \
             ipv4 {{ import all; export none; }}; ipv6 {{ import all; export none; }}; }}\n"
        )
    };
    let kernel = |family: &str| {
        format!("protocol kernel {{ merge paths on; {family} {{ import none; export all; }}; }}\n")
    };
    format!(
        "log stderr all;\nrouter id 10.0.0.2;\nprotocol device {{}}\nprotocol direct {{ ipv4; ipv6; }}\n{}{}{}{}",
        kernel("ipv4"),
        kernel("ipv6"),
        session("first", FIRST),
        session("second", SECOND)
    )
}

fn measure(lab: &Lab, kind: Kind, mrt: &Path, arguments: &Arguments) -> Result<Sample> {
    let (one, us, two) = (lab.ns("one")?, lab.ns("us")?, lab.ns("two")?);
    for (ns, interface, net) in [(&one, "up0", 0), (&two, "up1", 1)] {
        let addresses = |n: u8| [format!("10.0.{net}.{n}/24"), format!("2001:db8:{net}::{n}/64")];
        let (theirs, ours) = (addresses(1), addresses(2));
        lab.link(
            (ns, "eth0", &theirs.each_ref().map(String::as_str)),
            (&us, interface, &ours.each_ref().map(String::as_str)),
        )?;
    }
    let player = |ns: &Ns, net: u8| {
        let play = format!(
            "--connect 10.0.{net}.2 --asn {} --mrt {} --next-hop4 10.0.{net}.1 --next-hop6 2001:db8:{net}::1 \
             --limit {}",
            arguments.as_peer,
            mrt.display(),
            arguments.limit
        );
        Tool::play(ns, "play", &play)
    };
    let (mut first, mut second) = (player(&one, 0)?, player(&two, 1)?);
    let encoded = first.event("encoded", LIMIT)?;
    let (four, six) = (number(&encoded, "ipv4")?, number(&encoded, "ipv6")?);
    second.event("encoded", LIMIT)?;
    let mut subject = Subject::start(kind, &us, arguments.as_peer)?;
    for tool in [&mut first, &mut second] {
        tool.event("established", SOON)?;
    }
    rest(subject.daemon())?;
    let pid = subject.daemon().pid();
    let (base4, base6) = (counted4(pid)?, counted6(pid)?);
    let full = || Ok(counted4(pid)? >= four && counted6(pid)? >= base6 + six);
    first.send("go")?;
    let install = since(at(&first.event("started", SOON)?)?, LIMIT, full)?;
    rest(subject.daemon())?;
    let look = Look::new(&us)?;

    second.send("go")?;
    let two_ways = || Ok(look.ways(SECOND)? == SAMPLE && look.ways(FIRST)? == SAMPLE);
    let ecmp = since(at(&second.event("started", SOON)?)?, LIMIT, two_ways)?;
    rest(subject.daemon())?;
    let left = || Ok(look.ways(SECOND)? == 0);
    let start = now();
    two.ip("link set eth0 down")?;
    let link_down = since(start, LIMIT, left)?;
    rest(subject.daemon())?;
    let start = now();
    two.ip("link set eth0 up")?;
    let link_up = since(start, LIMIT, two_ways)?;
    rest(subject.daemon())?;
    let start = now();
    drop(second);
    let session_down = since(start, LIMIT, left)?;
    rest(subject.daemon())?;
    let before = counted4(pid)?;
    let start = now();
    look.steal()?;
    let repair = since(start, PATIENCE, || Ok(counted4(pid)? >= before))?;
    let start = now();
    drop(first);
    let remove = since(start, LIMIT, || Ok(counted4(pid)? <= base4 + 5 && counted6(pid)? <= base6 + 5))?;
    Ok([install, ecmp, link_down, link_up, session_down, repair, remove])
}

fn now() -> f64 {
    let now = std::time::SystemTime::now().duration_since(std::time::SystemTime::UNIX_EPOCH);
    now.unwrap_or_default().as_secs_f64()
}

/// Seconds from `start` (since the epoch) until something holds; `None` if it does not within `limit`.
fn since(start: f64, limit: Duration, mut holds: impl FnMut() -> Result<bool>) -> Result<Option<f64>> {
    let begun = Instant::now();
    while begun.elapsed() < limit {
        if holds()? {
            return Ok(Some(now() - start));
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    Ok(None)
}

/// A sample of the IPv4 routes in a namespace, and a look at it: one process of iproute2, not one a route.
struct Look<'a> {
    ns: &'a Ns,
    sample: std::path::PathBuf,
    stolen: std::path::PathBuf,
}

impl Look<'_> {
    fn new(ns: &Ns) -> Result<Look<'_>> {
        let text = ns.ip("-4 -o route show")?;
        let routes: Vec<&str> = text.lines().filter(|line| line.contains(FIRST)).collect();
        if routes.len() < SAMPLE + STOLEN {
            return Err(Error::new(format!("only {} routes go by {FIRST}", routes.len())));
        }
        let prefix = |line: &str| line.split(' ').next().unwrap_or_default().to_owned();
        let every = |count: usize| {
            let step = routes.len() / count;
            routes.iter().step_by(step).take(count).map(|line| prefix(line)).collect::<Vec<_>>()
        };
        let shows: String = every(SAMPLE).iter().map(|p| format!("route show exact {p}\n")).collect();
        let deletes: String = every(STOLEN).iter().map(|p| format!("route del {p}\n")).collect();
        let sample = ns.file("sample", &shows)?;
        let stolen = ns.file("stolen", &deletes)?;
        Ok(Look { ns, sample, stolen })
    }

    fn batch(&self, file: &Path) -> Result<String> {
        run(std::process::Command::new("ip").args(["-n", self.ns.full_name(), "-o", "-batch"]).arg(file))
    }

    /// How many routes of the sample go by a gateway.
    fn ways(&self, gateway: &str) -> Result<usize> {
        let text = self.batch(&self.sample)?;
        Ok(text.lines().filter(|line| line.contains(&format!("via {gateway} "))).count())
    }

    /// Takes routes away as somebody else would.
    fn steal(&self) -> Result {
        self.batch(&self.stolen).map(drop)
    }
}
