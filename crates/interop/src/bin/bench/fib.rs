//! The kernel's table: how fast routes get in, change and go, and how soon packets take another way after a failure;
//! Siskin beside BIRD 2, FRR and a writer that does nothing else, in turns.
//!
//! Two peers announce the same table. What the kernel forwards by is seen through iproute2, in a sample of the routes
//! that is spread over the table, so each figure of a sample is a few milliseconds late; whether the whole is there is asked
//! when the daemon rests, for counting a million routes delays whoever writes them. The figures are seconds.

mod flow;
mod look;
mod raw;

use std::path::Path;
use std::time::{Duration, Instant};

use siskin_interop::Result;
use siskin_interop::bird::Bird;
use siskin_interop::frr::Frr;
use siskin_interop::lab::{Lab, Ns};
use siskin_interop::make::Make;
use siskin_interop::process::{Daemon, run};
use siskin_interop::router::{Config, Neighbor, Router};
use siskin_interop::siskin::Siskin;
use siskin_interop::tool::{Tool, at};
use siskin_interop::wait::SOON;

use super::{Arguments, LIMIT, counted4, counted6, number, rest};
use flow::Flow;
use look::{Look, Objects, SAMPLE};

/// How long a step may take.
const STEP: Duration = Duration::from_secs(60);
/// How long a daemon has to put back what somebody deleted.
const PATIENCE: Duration = Duration::from_secs(20);
const FIRST: &str = "10.0.0.1";
const SECOND: &str = "10.0.1.1";

/// What is measured, in order: the table from one peer; the second path of all routes; the second session's end, until the
/// first message about next-hop objects and until no route of the sample goes there; routes that somebody deleted; the
/// end of all; the table from both peers at once; the loss of the second link, until no route of the sample goes there and,
/// of a flow that went there, the milliseconds whose packets were lost, as seconds.
const STEPS: [&str; 9] = [
    "install",
    "second path",
    "lost: objects",
    "lost: routes",
    "1,000 deleted",
    "remove all",
    "both at once",
    "link down",
    "its packets",
];

/// Seconds of each step; `None`: not within the time given.
type Sample = [Option<f64>; STEPS.len()];

/// Runs all rounds and prints the medians.
pub(super) fn run_all(mrt: &Path, arguments: &Arguments) -> Result {
    let makes = arguments.makes(&Make::ALL);
    let mut samples: Vec<(String, Vec<Sample>)> = vec![("raw".to_owned(), Vec::new())];
    samples.extend(makes.iter().map(|make| (make.to_string(), Vec::new())));
    for round in 1..=arguments.rounds {
        for ((name, list), make) in
            samples.iter_mut().zip([None].into_iter().chain(makes.iter().copied().map(Some)))
        {
            let lab = Lab::new("fib")?;
            let sample = match make {
                Some(make) => measure(&lab, make, mrt, arguments),
                None => raw::install(&lab, mrt, arguments).map(only_install),
            };
            if sample.is_err() {
                lab.keep();
            }
            let sample = sample.map_err(|e| e.during(&*name))?;
            println!("round {round} {name:8}{}", columns(&sample));
            list.push(sample);
        }
    }
    println!("\nmedians of {}, seconds", arguments.rounds);
    let head: String = STEPS.iter().map(|step| format!("{step:>15}")).collect();
    println!("{:8}{head}", "");
    let medians: Vec<(String, Sample)> =
        samples.into_iter().map(|(name, list)| (name, std::array::from_fn(|n| median(&list, n)))).collect();
    for (name, sample) in &medians {
        println!("{name:8}{}", columns(sample));
    }
    if let Some(((_, siskin), others)) = medians.split_last() {
        for (name, other) in others {
            let ratio: Sample =
                std::array::from_fn(|n| Some(siskin.get(n)?.as_ref()? / other.get(n)?.as_ref()?));
            println!("/ {name:6}{}", columns(&ratio));
        }
    }
    Ok(())
}

fn only_install(seconds: f64) -> Sample {
    std::array::from_fn(|step| (step == 0).then_some(seconds))
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
    fn start(kind: Make, ns: &Ns, asn: u32) -> Result<Subject> {
        let neighbors =
            || vec![Neighbor::new([10, 0, 0, 1], asn).passive(), Neighbor::new([10, 0, 1, 1], asn).passive()];
        let config = || Config::new(64_500, [10, 0, 0, 2], neighbors(), Vec::new()).with_kernel();
        match kind {
            Make::Siskin => Siskin::start(ns, &siskin_config(asn)).map(Subject::Siskin),
            Make::Bird => Bird::start_raw(ns, &config(), &bird_config(asn)).map(Subject::Bird),
            Make::Frr => Frr::start(ns, &config()).map(Subject::Frr),
        }
    }

    fn daemon(&mut self) -> &mut Daemon {
        match self {
            Subject::Siskin(siskin) => siskin.daemon(),
            Subject::Bird(bird) => bird.daemon(),
            Subject::Frr(frr) => frr.daemon(),
        }
    }

    /// CPU seconds of all its processes.
    fn cpu_seconds(&mut self) -> Result<f64> {
        let zebra = match self {
            Subject::Frr(frr) => frr.zebra().map_or(Ok(0.0), Daemon::cpu_seconds)?,
            _ => 0.0,
        };
        Ok(self.daemon().cpu_seconds()? + zebra)
    }
}

/// With the kernel's compatibility mode on, as it is by itself: iproute2 would not show the hops of our routes without. It
/// costs a notification for each route of a group that changes, which is in the figures; only while a session is lost it
/// is off, for the kernel would be too busy to say when it changed the group.
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
        session("peer0", FIRST),
        session("peer1", SECOND)
    )
}

/// The two peers and the daemon between them.
struct Net {
    us: Ns,
    peers: [Ns; 2],
    play: [String; 2],
}

impl Net {
    fn new(lab: &Lab, mrt: &Path, arguments: &Arguments) -> Result<Net> {
        let (one, us, two) = (lab.ns("one")?, lab.ns("us")?, lab.ns("two")?);
        for (ns, interface, net) in [(&one, "up0", 0), (&two, "up1", 1)] {
            let addresses = |n: u8| [format!("10.0.{net}.{n}/24"), format!("2001:db8:{net}::{n}/64")];
            let (theirs, ours) = (addresses(1), addresses(2));
            lab.link(
                (ns, "eth0", &theirs.each_ref().map(String::as_str)),
                (&us, interface, &ours.each_ref().map(String::as_str)),
            )?;
        }
        let play = [0, 1].map(|net| {
            format!(
                "--connect 10.0.{net}.2 --asn {} --mrt {} --next-hop4 10.0.{net}.1 --next-hop6 2001:db8:{net}::1 \
                 --limit {}",
                arguments.as_peer,
                mrt.display(),
                arguments.limit
            )
        });
        Ok(Net { us, peers: [one, two], play })
    }

    /// The players of both peers, ready to go once somebody listens.
    fn players(&self) -> Result<[Tool; 2]> {
        let ([one, two], [play1, play2]) = (&self.peers, &self.play);
        Ok([Self::player(one, play1)?, Self::player(two, play2)?])
    }

    fn player(ns: &Ns, play: &str) -> Result<Tool> {
        let mut tool = Tool::play(ns, &format!("play{}", now()), play)?;
        tool.event("encoded", LIMIT)?;
        Ok(tool)
    }
}

fn measure(lab: &Lab, make: Make, mrt: &Path, arguments: &Arguments) -> Result<Sample> {
    let net = Net::new(lab, mrt, arguments)?;
    let us = &net.us;
    let [mut first, mut second] = net.players()?;
    let encoded = first.event("encoded", LIMIT)?;
    let (four, six) = (number(&encoded, "ipv4")?, number(&encoded, "ipv6")?);
    let mut subject = Subject::start(make, us, arguments.as_peer)?;
    for tool in [&mut first, &mut second] {
        tool.event("established", SOON)?;
    }
    rest(subject.daemon())?;
    let pid = subject.daemon().pid();
    let (base4, base6) = (counted4(pid)?, counted6(pid)?);
    let full = || Ok(counted4(pid)? >= four && counted6(pid)? >= base6 + six);
    first.send("go")?;
    let install = since_busy(at(&first.event("started", SOON)?)?, LIMIT, &mut subject, full)?;
    rest(subject.daemon())?;
    let look = Look::new(us, FIRST)?;
    let two_ways = || Ok(look.ways(SECOND)? == SAMPLE && look.ways(FIRST)? == SAMPLE);
    let left = || Ok(look.ways(SECOND)? == 0);

    second.send("go")?;
    let ecmp = since_busy(at(&second.event("started", SOON)?)?, STEP, &mut subject, two_ways)?;
    rest(subject.daemon())?;
    let objects = Objects::watch(us)?;
    compatible(us, false)?;
    let start = now();
    drop(second);
    let edited = since(start, Duration::from_secs(1), || Ok(objects.changed()))?;
    compatible(us, true)?;
    let followed = since(start, STEP, left)?;
    drop(objects);
    rest(subject.daemon())?;

    let before = counted4(pid)?;
    let start = now();
    look.steal()?;
    let repair = since(start, PATIENCE, || Ok(counted4(pid)? >= before))?;
    rest(subject.daemon())?;
    let gone = || Ok(counted4(pid)? <= base4 + 5 && counted6(pid)? <= base6 + 5);
    let start = now();
    drop(first);
    let remove = since_busy(start, STEP, &mut subject, gone)?;
    rest(subject.daemon())?;

    let mut both = net.players()?;
    for tool in &mut both {
        tool.event("established", SOON)?;
    }
    rest(subject.daemon())?;
    for tool in &mut both {
        tool.send("go")?;
    }
    let start = at(&both[0].event("started", SOON)?)?;
    let together = since_busy(start, STEP, &mut subject, || Ok(full()? && two_ways()?))?;
    rest(subject.daemon())?;
    let flow = Flow::start(us, &net.peers, &look)?;
    let start = now();
    net.peers[1].ip("link set eth0 down")?;
    let link_down = since(start, STEP, left)?;
    let lost = flow.finish()?;
    Ok([install, ecmp, edited, followed, repair, remove, together, link_down, Some(lost)])
}

/// The kernel's `nexthop_compat_mode`.
fn compatible(ns: &Ns, on: bool) -> Result {
    let key = format!("net.ipv4.nexthop_compat_mode={}", u8::from(on));
    run(ns.command("sysctl").args(["-q", "-w", &key])).map(drop)
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

/// The same for what is dear to ask, in time of the processors that are measured and in waiting for the kernel's readers
/// to have done (which a writer of routes does): it is asked when the daemon rests. The time is when it was last seen
/// to do something, to some hundredths of a second.
fn since_busy(
    start: f64,
    limit: Duration,
    subject: &mut Subject,
    mut holds: impl FnMut() -> Result<bool>,
) -> Result<Option<f64>> {
    const TICK: Duration = Duration::from_millis(10);
    const RESTS: Duration = Duration::from_millis(60);
    let begun = Instant::now();
    let (mut cpu, mut busy, mut busy_at) = (subject.cpu_seconds()?, Instant::now(), now());
    while begun.elapsed() < limit {
        std::thread::sleep(TICK);
        let used = subject.cpu_seconds()?;
        if used > cpu {
            (cpu, busy, busy_at) = (used, Instant::now(), now());
        } else if busy.elapsed() >= RESTS {
            if holds()? {
                return Ok(Some(busy_at - start));
            }
            busy = Instant::now();
        }
    }
    Ok(None)
}
