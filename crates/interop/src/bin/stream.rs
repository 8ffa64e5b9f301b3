//! `siskin-stream`: one end of a packet stream whose losses are counted. It sends numbered UDP packets to any number of
//! destinations at a fixed rate, and counts what the other end sends.
//!
//! Commands on standard input: `go`, `stop` (send no more), `count`, `quit`. Events on standard output: `started`,
//! `sent` (destination and packets) and `received` (source, distinct packets, longest gap in milliseconds). A packet is a
//! number of eight octets and nothing else; a destination is its source address at the other end.

use std::collections::{BTreeMap, HashSet};
use std::io::BufRead;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use clap::Parser;
use serde_json::json;
use siskin_interop::speaker::emit;
use siskin_interop::{Result, fail};
use socket2::{Domain, Socket, Type};

/// Sends and counts numbered UDP packets.
///
/// Example: siskin-stream --port 5000 --to 198.51.100.10 --to 2001:db8:100::10 --rate 1000
#[derive(Debug, Parser)]
struct Arguments {
    /// The port both ends listen on.
    #[arg(long)]
    port: u16,
    /// Send to this address; may be given several times.
    #[arg(long)]
    to: Vec<IpAddr>,
    /// Packets a second to each destination.
    #[arg(long, default_value_t = 1000)]
    rate: u32,
}

/// What came from one source.
#[derive(Debug, Default)]
struct Heard {
    numbers: HashSet<u64>,
    last: Option<Instant>,
    longest: Duration,
}

type Table = Arc<Mutex<BTreeMap<IpAddr, Heard>>>;

fn main() -> Result {
    let arguments = Arguments::parse();
    let table = Table::default();
    let socket = listen(arguments.port)?;
    let heard = Arc::clone(&table);
    thread::spawn(move || receive(&socket, &heard));
    let stop = Arc::new(AtomicBool::new(false));
    let mut senders: Vec<(IpAddr, JoinHandle<u64>)> = Vec::new();
    emit("started", json!({}));
    for line in std::io::stdin().lock().lines() {
        match line?.trim() {
            "" => {}
            "go" => {
                for to in &arguments.to {
                    let (stop, to, rate) = (Arc::clone(&stop), *to, arguments.rate);
                    let destination = SocketAddr::new(to, arguments.port);
                    senders.push((to, thread::spawn(move || send(destination, rate, &stop))));
                }
            }
            "stop" => {
                stop.store(true, Ordering::Relaxed);
                for (to, sender) in senders.drain(..) {
                    let Ok(packets) = sender.join() else { return fail("a sender failed") };
                    emit("sent", json!({ "to": to, "packets": packets }));
                }
                emit("stopped", json!({}));
            }
            "count" => count(&table),
            "quit" => return Ok(()),
            other => return fail(format!("no command `{other}`: go, stop, count, quit")),
        }
    }
    Ok(())
}

/// One socket for both families, with room for a while in which nobody reads.
fn listen(port: u16) -> Result<UdpSocket> {
    let socket = Socket::new(Domain::IPV6, Type::DGRAM, None)?;
    socket.set_only_v6(false)?;
    socket.set_recv_buffer_size(4 << 20)?;
    socket.bind(&SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), port).into())?;
    Ok(socket.into())
}

fn receive(socket: &UdpSocket, table: &Table) {
    let mut packet = [0; 64];
    while let Ok((length, from)) = socket.recv_from(&mut packet) {
        let Some(number) = packet.get(..length).and_then(|octets| octets.try_into().ok()) else { continue };
        let now = Instant::now();
        let mut table = table.lock().unwrap_or_else(PoisonError::into_inner);
        let heard = table.entry(from.ip().to_canonical()).or_default();
        heard.numbers.insert(u64::from_be_bytes(number));
        let gap = heard.last.replace(now).map_or(Duration::ZERO, |last| now - last);
        heard.longest = heard.longest.max(gap);
    }
}

/// Sends packet after packet, each at its time or as soon as there is time; says how many there were. One the kernel does
/// not take is lost as well as any other, and counts as sent.
fn send(to: SocketAddr, rate: u32, stop: &AtomicBool) -> u64 {
    let any: IpAddr = if to.is_ipv4() { [0, 0, 0, 0].into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let Ok(socket) = UdpSocket::bind(SocketAddr::new(any, 0)) else { return 0 };
    let mut number: u64 = 0;
    let mut due = Instant::now();
    while !stop.load(Ordering::Relaxed) {
        let _ = socket.send_to(&number.to_be_bytes(), to);
        number += 1;
        due += Duration::from_secs(1) / rate;
        thread::sleep(due.saturating_duration_since(Instant::now()));
    }
    number
}

fn count(table: &Table) {
    let table = table.lock().unwrap_or_else(PoisonError::into_inner);
    for (from, heard) in &*table {
        emit(
            "received",
            json!({ "from": from, "packets": heard.numbers.len(), "longest_gap_ms": heard.longest.as_millis() }),
        );
    }
    emit("counted", json!({}));
}
