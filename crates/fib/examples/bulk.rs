//! How fast a full table goes into the kernel, beside a bound: a raw writer that does nothing but send ready-made
//! messages in the same batches; and how fast a lost gateway leaves it. In a network namespace of its own; needs root.
//!
//! `cargo run --release -p siskin-fib --example bulk [IPV4-ROUTES] [IPV6-ROUTES]` (default 1,000,000 and 150,000)

use std::error::Error;
use std::io;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use siskin_fib::{Fib, FibChange, FibConfig};
use siskin_net::{Family, Hop, NextHopGroup, Prefix};

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    let mut counts = std::env::args().skip(1).map(|a| a.parse());
    let v4: u32 = counts.next().unwrap_or(Ok(1_000_000))?;
    let v6: u32 = counts.next().unwrap_or(Ok(150_000))?;
    // SAFETY: no pointers; it concerns this thread alone, and the result is checked.
    if unsafe { libc::unshare(libc::CLONE_NEWNET) } != 0 {
        return Err("making a network namespace needs root".into());
    }
    for command in [
        "link add a0 type veth peer name a1",
        "link set a1 up",
        "link set a0 up",
        "address add 192.0.2.10/24 dev a0",
        "address add 2001:db8:a::10/64 dev a0 nodad",
        "link set lo up",
    ] {
        Command::new("ip").args(command.split(' ')).status()?;
    }
    println!("{v4} IPv4 and {v6} IPv6 routes");
    for family in Family::ALL {
        let count = if family == Family::Ipv4 { v4 } else { v6 };
        let prefixes: Vec<Prefix> = (0..count).map(|n| prefix(family, n)).collect();
        for compat in [false, true] {
            failover(family, &prefixes, compat)?;
        }
        for (name, hops) in [("one hop", 1), ("two hops", 2)] {
            for shuffled in [false, true] {
                measure(
                    family,
                    name,
                    &prefixes,
                    &group(family, hops, 1)?,
                    &group(family, hops, 3)?,
                    shuffled,
                )?;
            }
        }
    }
    Ok(())
}

/// How long it takes to take one of two gateways from all routes, and to give it back: the median of some rounds, and
/// the worst. For each group the kernel waits until all processors have let go of the old one (RCU), so load shows.
fn failover(family: Family, prefixes: &[Prefix], compat: bool) -> Outcome<()> {
    std::fs::write("/proc/sys/net/ipv4/nexthop_compat_mode", if compat { "1" } else { "0" })?;
    let mut fib = Fib::open(FibConfig::default())?;
    fib.sweep();
    let both = group(family, 2, 1)?;
    for prefix in prefixes {
        fib.want(FibChange { table: None, prefix: *prefix, target: Some(both.clone()) });
    }
    write(&mut fib);
    let lost = both.hops().first().and_then(|h| Some((h.interface, h.gateway?))).ok_or("no gateway")?;
    let (mut edited, mut fail, mut restore) = (0, [0.0; 9], [0.0; 9]);
    for (fail, restore) in fail.iter_mut().zip(&mut restore) {
        *fail = timed(|| edited += fib.fail_gateways(&[lost])).as_secs_f64() * 1000.0;
        *restore = timed(|| fib.restore_gateways()).as_secs_f64() * 1000.0;
    }
    fail.sort_by(f64::total_cmp);
    restore.sort_by(f64::total_cmp);
    println!(
        "{family} failover of {} routes, nexthop_compat_mode={}, {edited} rounds: fail {:.3} ms (worst {:.3}), \
         restore {:.3} ms (worst {:.3})",
        prefixes.len(),
        u8::from(compat),
        fail[4],
        fail[8],
        restore[4],
        restore[8],
    );
    fib.flush();
    Ok(())
}

fn prefix(family: Family, n: u32) -> Prefix {
    match family {
        Family::Ipv4 => Prefix::from_bits(family, u128::from((1 << 24) + (n << 8)) << 96, 24),
        Family::Ipv6 => Prefix::from_bits(family, (0x2a00_u128 << 112) | u128::from(n) << 80, 48),
    }
}

fn group(family: Family, hops: u8, first: u8) -> Outcome<Arc<NextHopGroup>> {
    let index = index()?;
    let gateway = |n: u8| match family {
        Family::Ipv4 => format!("192.0.2.{n}"),
        Family::Ipv6 => format!("2001:db8:a::{n}"),
    };
    let mut list = Vec::new();
    for n in first..first + hops {
        list.push(Hop { gateway: Some(gateway(n).parse()?), interface: index, weight: 1, onlink: false });
    }
    Ok(Arc::new(NextHopGroup::from_hops(list).ok_or("no hops")?))
}

/// /sys shows the namespace it was mounted in, so `ip` is asked.
fn index() -> Outcome<u32> {
    let output = Command::new("ip").args(["-o", "link", "show", "dev", "a0"]).output()?;
    let text = String::from_utf8(output.stdout)?;
    Ok(text.split(':').next().unwrap_or_default().trim().parse()?)
}

fn measure(
    family: Family,
    name: &str,
    prefixes: &[Prefix],
    group: &Arc<NextHopGroup>,
    other: &Arc<NextHopGroup>,
    shuffled: bool,
) -> Outcome<()> {
    let mut order = prefixes.to_vec();
    if shuffled {
        // Multiplying by an odd constant and sorting by it is shuffle enough.
        order.sort_unstable_by_key(|p| ((p.bits() >> 64) as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    }
    let id = 77;
    let gateway = if family == Family::Ipv4 { "192.0.2.1" } else { "2001:db8:a::1" };
    let arguments = format!("nexthop add id {id} via {gateway} dev a0");
    Command::new("ip").args(arguments.split(' ')).status()?;
    let batches = batches(&order, id);
    let start = cpu();
    let raw = raw_writer(&batches)?;
    let raw_cpu = cpu() - start;
    // Taking the object away takes its routes along.
    Command::new("ip").args(["nexthop", "del", "id", "77"]).status()?;
    let before = resident();
    let mut fib = Fib::open(FibConfig::default())?;
    fib.sweep();
    let start = cpu();
    let want = timed(|| {
        order
            .iter()
            .for_each(|p| fib.want(FibChange { table: None, prefix: *p, target: Some(group.clone()) }))
    });
    let install = timed(|| write(&mut fib));
    let install_cpu = cpu() - start;
    let memory = resident().saturating_sub(before) as f64 * 1024.0 / prefixes.len() as f64;
    let resync = timed(|| drop(fib.resync()));
    for p in &order {
        fib.want(FibChange { table: None, prefix: *p, target: Some(other.clone()) });
    }
    let replace = timed(|| write(&mut fib));
    for p in &order {
        fib.want(FibChange { table: None, prefix: *p, target: None });
    }
    let remove = timed(|| write(&mut fib));
    let rate = |t: Duration| prefixes.len() as f64 / t.as_secs_f64() / 1000.0;
    println!(
        "{family} {name}, {}: install {:.0}k/s (raw bound {:.0}k/s: {:.2} of its time, {:.2} of its CPU time), replace {:.0}k/s, remove {:.0}k/s, \
         want {:.0} ns, resync {:.2} s, {memory:.0} bytes a route",
        if shuffled { "shuffled" } else { "in order" },
        rate(want + install),
        rate(raw),
        (want + install).as_secs_f64() / raw.as_secs_f64(),
        install_cpu.as_secs_f64() / raw_cpu.as_secs_f64(),
        rate(replace),
        rate(remove),
        want.as_nanos() as f64 / prefixes.len() as f64,
        resync.as_secs_f64(),
    );
    Ok(())
}

fn write(fib: &mut Fib) {
    while fib.write(16 * 1024).pending > 0 {}
}

fn timed(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

/// CPU time of this thread, the kernel's work for it included: on a busy machine it says more than the clock.
fn cpu() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer names a timespec that lives through the call.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// Resident memory in KiB.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|l| l.starts_with("VmRSS")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).unwrap_or(0)
}

/// Ready-made RTM_NEWROUTE messages by next-hop id, sorted, 64 KiB a batch.
fn batches(prefixes: &[Prefix], id: u32) -> Vec<Vec<u8>> {
    let mut sorted = prefixes.to_vec();
    sorted.sort_unstable();
    let mut batches: Vec<Vec<u8>> = vec![Vec::new()];
    for prefix in sorted {
        let message = message(prefix, id);
        match batches.last_mut().filter(|b| b.len() + message.len() <= 64 * 1024) {
            Some(batch) => batch.extend(message),
            None => batches.push(message),
        }
    }
    batches
}

/// Sends batches without asking for answers.
fn raw_writer(batches: &[Vec<u8>]) -> Outcome<Duration> {
    // SAFETY: no pointers; the result is checked.
    let fd =
        unsafe { libc::socket(libc::AF_NETLINK, libc::SOCK_RAW | libc::SOCK_CLOEXEC, libc::NETLINK_ROUTE) };
    if fd < 0 {
        return Err(io::Error::last_os_error().into());
    }
    let start = Instant::now();
    for batch in batches {
        // SAFETY: the pointer and length describe `batch`, which lives through the call.
        if unsafe { libc::send(fd, batch.as_ptr().cast(), batch.len(), 0) } < 0 {
            return Err(io::Error::last_os_error().into());
        }
    }
    let elapsed = start.elapsed();
    // SAFETY: `fd` is ours and used no more.
    unsafe { libc::close(fd) };
    Ok(elapsed)
}

fn message(prefix: Prefix, id: u32) -> Vec<u8> {
    let bits = prefix.bits().to_be_bytes();
    let (family, address) = match prefix.family() {
        Family::Ipv4 => (2, &bits[..4]),
        Family::Ipv6 => (10, &bits[..]),
    };
    let mut message = vec![0; 16];
    message.extend([family, prefix.len(), 0, 0, 254, 201, 0, 1, 0, 0, 0, 0]);
    for (kind, data) in [(1u16, address), (6, &32u32.to_ne_bytes()[..]), (30, &id.to_ne_bytes()[..])] {
        message.extend(u16::try_from(4 + data.len()).unwrap_or(0).to_ne_bytes());
        message.extend(kind.to_ne_bytes());
        message.extend(data);
    }
    let length = u32::try_from(message.len()).unwrap_or(0);
    message[..4].copy_from_slice(&length.to_ne_bytes());
    message[4..6].copy_from_slice(&24u16.to_ne_bytes());
    message[6..8].copy_from_slice(&(1u16 | 0x400 | 0x200).to_ne_bytes());
    message
}
