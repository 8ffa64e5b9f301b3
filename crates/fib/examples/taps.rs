//! What a hypervisor full of taps that come and go costs the listener to the kernel's news: as qemu does it, each tap is
//! made, put into a bridge and switched on, and vanishes with its descriptor. In a network namespace of its own; needs
//! root.
//!
//! `cargo run --release -p siskin-fib --example taps [TAPS] [CHANGES-A-SECOND] [SECONDS]` (default 4,000, 20 and 20; a
//! change is one tap that goes and one that comes)

use std::collections::VecDeque;
use std::error::Error;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use siskin_fib::{Fib, FibConfig, KernelEvent, KernelState, Monitor, StateConfig, Tracker};
use siskin_net::{NextHop, RouteSource};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// A bridge has 1,023 ports at most.
const PORTS: u64 = 512;
const BRIDGES: u64 = 16;
/// Next hops of BGP paths that are followed meanwhile.
const NEXT_HOPS: u8 = 100;

fn main() -> Outcome<()> {
    let mut numbers = std::env::args().skip(1).map(|a| a.parse::<u64>());
    let taps = numbers.next().unwrap_or(Ok(4_000))?;
    let rate = numbers.next().unwrap_or(Ok(20))?;
    let seconds = numbers.next().unwrap_or(Ok(20))?;
    let limit = libc::rlimit { rlim_cur: taps + 1_000, rlim_max: taps + 1_000 };
    // SAFETY: the pointer names a structure that lives through the call.
    if unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) } != 0 {
        return Err(io::Error::last_os_error().into());
    }
    // SAFETY: no pointers; it concerns this thread and those it starts, and the result is checked.
    if unsafe { libc::unshare(libc::CLONE_NEWNET) } != 0 {
        return Err("making a network namespace needs root".into());
    }
    for command in [
        "link add a0 type veth peer name a1",
        "link set a0 up",
        "link set a1 up",
        "address add 192.0.2.10/24 dev a0",
        "link set lo up",
    ] {
        Command::new("ip").args(command.split(' ')).status()?;
    }
    for bridge in 0..BRIDGES {
        for command in [format!("link add br{bridge} type bridge"), format!("link set br{bridge} up")] {
            Command::new("ip").args(command.split(' ')).status()?;
        }
    }
    let (stop, cpu, events) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        let listener = scope.spawn(|| listen(&stop, &cpu, &events).map_err(|e| e.to_string()));
        let result = world(taps, rate, seconds, &cpu, &events);
        stop.store(true, Ordering::SeqCst);
        listener.join().map_err(|_| "the listener failed")??;
        result
    })
}

/// What the daemon's two kernel threads do, in one, with its CPU time.
fn listen(stop: &AtomicBool, cpu: &AtomicU64, counted: &AtomicU64) -> Outcome<()> {
    let mut monitor = Monitor::open()?;
    let mut fib = Fib::open(FibConfig::default())?;
    monitor.ignore_port(fib.port())?;
    let mut state = KernelState::load(StateConfig::default())?;
    let mut tracker = Tracker::new();
    for n in 1..=NEXT_HOPS {
        tracker.register(NextHop::new([192, 0, 2, n].into()), &state);
    }
    let mut generation = 0;
    while !stop.load(Ordering::SeqCst) {
        let events = monitor.recv(Some(Duration::from_millis(100)))?;
        for event in &events {
            if *event == KernelEvent::Overrun {
                println!("overrun");
            }
            state.apply(event)?;
            fib.on_event(event);
        }
        tracker.refresh(&state);
        if state.generation() != generation {
            generation = state.generation();
            for source in [RouteSource::Connected, RouteSource::Static] {
                std::hint::black_box(state.redistributable(source));
            }
        }
        fib.write(4_096);
        counted.fetch_add(events.len() as u64, Ordering::SeqCst);
        // As the daemon does: news that come in quick succession cost one wake-up.
        std::thread::sleep(Duration::from_millis(2));
        cpu.store(u64::try_from(thread_cpu().as_nanos()).unwrap_or(0), Ordering::SeqCst);
    }
    Ok(())
}

fn world(taps: u64, rate: u64, seconds: u64, cpu: &AtomicU64, events: &AtomicU64) -> Outcome<()> {
    let mut ip = Command::new("ip")
        .args(["-force", "-batch", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let mut commands = ip.stdin.take().ok_or("no input")?;
    let mut open = VecDeque::new();
    let mut number = 0;
    let mut birth = |open: &mut VecDeque<File>| -> Outcome<()> {
        let name = format!("tap{number}");
        number += 1;
        open.push_back(tap(&name)?);
        writeln!(commands, "link set {name} master br{} up", number / PORTS % BRIDGES)?;
        commands.flush()?;
        Ok(())
    };
    let measure = |what: &str, work: &mut dyn FnMut() -> Outcome<()>| -> Outcome<()> {
        let before = (cpu.load(Ordering::SeqCst), events.load(Ordering::SeqCst), Instant::now());
        work()?;
        std::thread::sleep(Duration::from_secs(1));
        let spent = Duration::from_nanos(cpu.load(Ordering::SeqCst) - before.0);
        let heard = events.load(Ordering::SeqCst) - before.1;
        let elapsed = before.2.elapsed();
        println!(
            "{what}: {heard} events in {:.1} s, {:.3} s of CPU: {:.2} %, {:.1} µs an event",
            elapsed.as_secs_f64(),
            spent.as_secs_f64(),
            100.0 * spent.as_secs_f64() / elapsed.as_secs_f64(),
            spent.as_secs_f64() * 1e6 / heard.max(1) as f64
        );
        Ok(())
    };
    measure(&format!("{taps} taps come"), &mut || (0..taps).try_for_each(|_| birth(&mut open)))?;
    measure(&format!("{rate} of {taps} come and go a second"), &mut || {
        for _ in 0..rate * seconds {
            let due = Instant::now() + Duration::from_secs(1) / u32::try_from(rate)?;
            drop(open.pop_front());
            birth(&mut open)?;
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
        }
        Ok(())
    })?;
    drop(commands);
    ip.wait()?;
    Ok(())
}

/// A tap with carrier, as long as the file is open.
fn tap(name: &str) -> Outcome<File> {
    const TUNSETIFF: libc::Ioctl = 0x4004_54ca;
    const IFF_TAP: i16 = 2;
    const IFF_NO_PI: i16 = 0x1000;
    let file = File::options().read(true).write(true).open("/dev/net/tun")?;
    // SAFETY: ifreq is plain old data, for which all zeroes is a valid value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (slot, byte) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *slot = byte as libc::c_char;
    }
    request.ifr_ifru.ifru_flags = IFF_TAP | IFF_NO_PI;
    // SAFETY: the pointer names an ifreq that lives through the call.
    if unsafe { libc::ioctl(file.as_raw_fd(), TUNSETIFF, &raw mut request) } < 0 {
        return Err(io::Error::last_os_error().into());
    }
    Ok(file)
}

/// CPU time of this thread, the kernel's work for it included.
fn thread_cpu() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer names a timespec that lives through the call.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}
