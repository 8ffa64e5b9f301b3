//! `siskin-stream`: one end of a packet stream whose losses are counted. It sends numbered UDP packets to any number of
//! destinations at a fixed rate, and counts what the other end sends.
//!
//! Commands on standard input: `go`, `stop` (send no more), `count`, `quit`. Events on standard output: `started`,
//! `sent` (stream, destination and packets) and `received` (stream, distinct packets, the longest run of numbers that are
//! missing before the highest one, and the one behind that). A packet is the number of its stream (four octets), which is
//! the place of its destination in the list, and its own (eight): where it comes from says nothing, for a machine may
//! change its address while it sends.

use std::collections::{BTreeMap, BTreeSet};
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

/// The numbers that came of one stream.
type Heard = BTreeSet<u64>;

type Table = Arc<Mutex<BTreeMap<u32, Heard>>>;

fn main() -> Result {
    let arguments = Arguments::parse();
    let table = Table::default();
    let socket = listen(arguments.port)?;
    let heard = Arc::clone(&table);
    thread::spawn(move || receive(&socket, &heard));
    let stop = Arc::new(AtomicBool::new(false));
    let mut senders: Vec<(u32, IpAddr, JoinHandle<u64>)> = Vec::new();
    emit("started", json!({}));
    for line in std::io::stdin().lock().lines() {
        match line?.trim() {
            "" => {}
            "go" => {
                for (stream, to) in (0..).zip(&arguments.to) {
                    let (stop, to, rate) = (Arc::clone(&stop), *to, arguments.rate);
                    let destination = SocketAddr::new(to, arguments.port);
                    senders.push((stream, to, thread::spawn(move || send(stream, destination, rate, &stop))));
                }
            }
            "stop" => {
                stop.store(true, Ordering::Relaxed);
                for (stream, to, sender) in senders.drain(..) {
                    let Ok(packets) = sender.join() else { return fail("a sender failed") };
                    emit("sent", json!({ "stream": stream, "to": to, "packets": packets }));
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
    while let Ok(length) = socket.recv(&mut packet) {
        let octets = packet.get(..length).unwrap_or_default();
        let Some((stream, rest)) = octets.split_first_chunk() else { continue };
        let Ok(number) = rest.try_into() else { continue };
        let mut table = table.lock().unwrap_or_else(PoisonError::into_inner);
        table.entry(u32::from_be_bytes(*stream)).or_default().insert(u64::from_be_bytes(number));
    }
}

/// Sends packet after packet, each at its time or as soon as there is time; says how many there were. One the kernel does
/// not take is lost as well as any other, and counts as sent.
fn send(stream: u32, to: SocketAddr, rate: u32, stop: &AtomicBool) -> u64 {
    let any: IpAddr = if to.is_ipv4() { [0, 0, 0, 0].into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let Ok(socket) = UdpSocket::bind(SocketAddr::new(any, 0)) else { return 0 };
    let mut number: u64 = 0;
    let mut due = Instant::now();
    while !stop.load(Ordering::Relaxed) {
        let packet: Vec<u8> = stream.to_be_bytes().into_iter().chain(number.to_be_bytes()).collect();
        let _ = socket.send_to(&packet, to);
        number += 1;
        due += Duration::from_secs(1) / rate;
        thread::sleep(due.saturating_duration_since(Instant::now()));
    }
    number
}

fn count(table: &Table) {
    let table = table.lock().unwrap_or_else(PoisonError::into_inner);
    for (stream, heard) in &*table {
        let (mut next, mut longest) = (0, 0);
        for number in heard {
            longest = longest.max(number - next);
            next = number + 1;
        }
        let packets = heard.len();
        emit(
            "received",
            json!({ "stream": stream, "packets": packets, "longest_run": longest, "next": next }),
        );
    }
    emit("counted", json!({}));
}
