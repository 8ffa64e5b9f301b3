//! Host routes: how soon a VM's first frame and its port's end are on the wire, 4,000 VMs at once and at rest, and what a
//! flood does to the others. Frames are real, on real bridges; the clock is that of a peer in this process.
//!
//! A VM is a veth whose other end answers probes. Times are from the frame's sending, or the order to delete the port,
//! to the UPDATE in the peer's hands.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use siskin_interop::fleet::{Fleet, News};
use siskin_interop::frames::{Discovery, Wire, arp_request};
use siskin_interop::lab::Lab;
use siskin_interop::ports::{address4, address6, bridges_for, mac, prefixes};
use siskin_interop::process::run;
use siskin_interop::wait::wait_for;
use siskin_interop::{Error, Result};

use super::Arguments;

/// VMs of the hypervisor that is full.
const MANY: u16 = 4_000;
/// VMs whose starts and ends are timed one by one.
const TIMED: u16 = 300;
/// How long the full hypervisor is watched at rest.
const REST: Duration = Duration::from_secs(60);
/// How long 4,000 VMs may take.
const LIMIT: Duration = Duration::from_secs(60);
/// Frames a second of the flood.
const FLOOD: u32 = 100_000;

/// Runs all and prints the table.
pub(super) fn run_all(arguments: &Arguments) -> Result {
    let lab = Lab::new("hosts")?;
    let result = measure(&lab, arguments);
    if result.is_err() {
        lab.keep();
    }
    result
}

fn measure(lab: &Lab, arguments: &Arguments) -> Result {
    let many = arguments.vms.unwrap_or(MANY);
    let bridges = bridges_for(many + TIMED);
    let mut fleet = Fleet::start(lab, bridges, "")?;
    fleet.ports.plug(1..=TIMED)?;
    std::thread::sleep(Duration::from_secs(2));
    let starts = starts(&fleet, 1..=TIMED)?;
    show("first frame to UPDATE", &starts);

    flood(&mut fleet)?;

    for vm in 1..=TIMED {
        fleet.ports.speak(vm)?;
    }
    fleet.watch.wait_count(usize::from(TIMED) * 2, LIMIT)?;
    let (mut ends, mut orders, mut kernel) = (Vec::new(), Vec::new(), Vec::new());
    let news = News::start(&fleet.hv)?;
    std::thread::sleep(Duration::from_millis(500));
    for vm in 1..=TIMED {
        let order = fleet.ports.unplug(vm)?;
        let [four, six] = prefixes(vm);
        let heard = fleet.watch.wait_for(four, false, LIMIT)?.max(fleet.watch.wait_for(six, false, LIMIT)?);
        orders.push(heard.saturating_duration_since(order));
        std::thread::sleep(Duration::from_millis(30));
        if let Some((first, last)) = news.of(&format!("tap{vm}")) {
            ends.push(heard.saturating_duration_since(first));
            kernel.push(last.saturating_duration_since(order));
        }
    }
    show("the kernel's first word of a port's end to withdrawal", &ends);
    show("the order to delete the port to withdrawal", &orders);
    show("the order to the kernel's last word", &kernel);

    let first = TIMED + 1;
    // What is sent to a VM is handled in its sender's time, and a VM's kernel is no part of a hypervisor.
    run(fleet.ports.vms().command("sysctl").args(["-q", "-w", "net.ipv6.conf.default.disable_ipv6=1"]))?;
    let made = Instant::now();
    fleet.ports.plug(first..first + many)?;
    println!("{many} ports made in {:.1} s", made.elapsed().as_secs_f64());
    // Bridges whose first ports these are have no carrier before: the kernel tells of a hundred links a second.
    wait_for("the kernel to have settled all links", LIMIT, || {
        let links = fleet.hv.ip("-o link show")?;
        Ok(links.lines().filter(|l| l.contains("tap") || l.contains("vmbr")).all(|l| l.contains("state UP")))
    })?;
    println!("the kernel has settled their links after {:.1} s", made.elapsed().as_secs_f64());
    let before = fleet.siskin.daemon().cpu_seconds()?;
    let start = Instant::now();
    for vm in first..first + many {
        fleet.ports.speak(vm)?;
    }
    let sent = start.elapsed();
    let all = fleet.watch.wait_count(usize::from(many) * 2, LIMIT)?;
    println!(
        "{many} VMs at once: first frames sent in {:.2} s, all {} addresses announced after {:.2} s, {:.2} s CPU",
        sent.as_secs_f64(),
        usize::from(many) * 2,
        all.saturating_duration_since(start).as_secs_f64(),
        fleet.siskin.daemon().cpu_seconds()? - before
    );
    at_rest(&mut fleet, many)
}

fn at_rest(fleet: &mut Fleet, many: u16) -> Result {
    std::thread::sleep(Duration::from_secs(10));
    let before = fleet.siskin.daemon().cpu_seconds()?;
    let start = Instant::now();
    std::thread::sleep(REST);
    let share = (fleet.siskin.daemon().cpu_seconds()? - before) / start.elapsed().as_secs_f64() * 100.0;
    let announced = fleet.watch.announced().len();
    println!(
        "{many} VMs at rest for {} s: {share:.2} % CPU, {:.1} MiB resident, {announced} addresses announced",
        REST.as_secs(),
        resident(fleet.siskin.daemon().pid())?
    );
    let start = Instant::now();
    fleet.siskin.daemon().stop(LIMIT)?;
    println!("stopped, with a socket on each of their ports, after {:.2} s", start.elapsed().as_secs_f64());
    fleet.siskin.start_again()?;
    let sockets = format!("/proc/{}/net/packet", fleet.siskin.daemon().pid());
    wait_for("a socket on each of them again", LIMIT, || {
        Ok(std::fs::read_to_string(&sockets)?.lines().count() > usize::from(many))
    })?;
    let start = Instant::now();
    fleet.siskin.daemon().kill();
    println!("killed, it was gone after {:.2} s", start.elapsed().as_secs_f64());
    Ok(())
}

/// Resident memory now, MiB.
fn resident(pid: u32) -> Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
    Ok(kib.ok_or_else(|| Error::new("no VmRSS"))? / 1024.0)
}

/// Starts VMs one after the other, in IPv4 and IPv6 by turns.
fn starts(fleet: &Fleet, vms: impl Iterator<Item = u16>) -> Result<Vec<Duration>> {
    let mut times = Vec::new();
    for vm in vms {
        times.push(fleet.start_one(vm, vm % 2 == 0)?);
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(times)
}

/// The other VMs' events while one of them floods, beside the same without.
fn flood(fleet: &mut Fleet) -> Result {
    const HOSTILE: u16 = 800;
    const FIRST: u16 = 500;
    const EVENTS: u16 = 100;
    fleet.ports.plug((FIRST..FIRST + 2 * EVENTS).chain([HOSTILE]))?;
    std::thread::sleep(Duration::from_secs(2));
    let quiet = starts(fleet, FIRST..FIRST + EVENTS)?;
    let wire = Wire::open(fleet.ports.vms(), &format!("vm{HOSTILE}"))?;
    let stop = Arc::new(AtomicBool::new(false));
    let flooding = std::thread::spawn({
        let stop = stop.clone();
        move || {
            let (start, mut sent) = (Instant::now(), 0);
            while !stop.load(Ordering::Relaxed) {
                sent += wire.flood(FLOOD, Duration::from_millis(200), |n| hostile_frame(HOSTILE, n));
            }
            (sent, start.elapsed())
        }
    });
    std::thread::sleep(Duration::from_millis(500));
    let cpu = fleet.siskin.daemon().cpu_seconds()?;
    let (began, loud) = (Instant::now(), starts(fleet, FIRST + EVENTS..FIRST + 2 * EVENTS));
    let cpu = (fleet.siskin.daemon().cpu_seconds()? - cpu) / began.elapsed().as_secs_f64() * 100.0;
    stop.store(true, Ordering::Relaxed);
    let (sent, took) = flooding.join().map_err(|_| Error::new("the flood panicked"))?;
    #[expect(clippy::cast_precision_loss, reason = "frames of some seconds fit a double")]
    let rate = sent as f64 / took.as_secs_f64();
    show("the same, quiet", &quiet);
    show(&format!("during {rate:.0} false frames/s ({cpu:.1} % CPU)"), &loud?);
    for vm in (FIRST..FIRST + 2 * EVENTS).chain([HOSTILE]) {
        fleet.ports.unplug(vm)?;
    }
    Ok(())
}

/// Addresses of others, and addresses that are nobody's.
fn hostile_frame(attacker: u16, n: u64) -> Vec<u8> {
    let [.., high, low] = n.to_be_bytes();
    let other = u16::from_be_bytes([high & 1, low]).max(1);
    match n % 4 {
        0 => arp_request(mac(attacker), address4(other), address4(other)),
        1 => Discovery::advertisement(mac(attacker), address6(other), address6(other), 0x20).frame(),
        2 => {
            arp_request([0x52, 0x66, 0, 0, high, low], [203, 0, high, low].into(), [203, 0, high, low].into())
        }
        _ => {
            let nobodys =
                std::net::Ipv6Addr::new(0x2001, 0xdb8, 0xbad, 0, 0, 0, u16::from(high), u16::from(low));
            Discovery::advertisement([0x52, 0x66, 0, 0, high, low], nobodys, nobodys, 0x20).frame()
        }
    }
}

fn show(what: &str, times: &[Duration]) {
    let mut sorted: Vec<f64> = times.iter().map(|time| time.as_secs_f64() * 1e3).collect();
    sorted.sort_by(f64::total_cmp);
    let at = |share: usize| sorted.get((sorted.len() * share / 100).min(sorted.len().saturating_sub(1)));
    let (half, most, last) = (at(50), at(99), sorted.last());
    let text = |value: Option<&f64>| value.map_or("-".to_owned(), |value| format!("{value:.2}"));
    println!(
        "{what}: {} VMs, p50 {} ms, p99 {} ms, longest {} ms",
        times.len(),
        text(half),
        text(most),
        text(last)
    );
}
