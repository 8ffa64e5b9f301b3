//! `siskin-play`: a peer that announces the routes of an MRT table as fast as TCP takes them, or whatever
//! messages it is told to send.
//!
//! The UPDATEs are encoded before the session opens, so that a measurement sees the receiver and not us.
//! Commands on standard input: `go` (announce), `withdraw`, `raw HEX` (one whole message body follows its
//! type octet), `refresh`, `quit`. Events on standard output: `encoded`, `established`, `started`, `sent`,
//! `update`, `notification`, `closed`.

use std::io::BufRead;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use clap::Parser;
use serde_json::json;
use siskin_interop::speaker::{Options, Session, Writer, emit, notification};
use siskin_interop::{Error, Result, fail, feed, wire};
use siskin_net::Family;

/// Speaks BGP to one peer and announces the routes of a table dump.
///
/// Example: siskin-play --connect 192.0.2.1 --asn 1299 --mrt full.mrt --next-hop4 192.0.2.2 --go
#[derive(Debug, Parser)]
struct Arguments {
    /// Our AS number; also the peer of the table to play, unless --as-peer says otherwise.
    #[arg(long)]
    asn: u32,
    /// Connect to this address (port 179).
    #[arg(long, conflicts_with = "listen")]
    connect: Option<IpAddr>,
    /// Listen on this address (port 179) instead.
    #[arg(long)]
    listen: Option<IpAddr>,
    /// Source address of our connections.
    #[arg(long)]
    local: Option<IpAddr>,
    /// The other side's port, or ours with --listen.
    #[arg(long, default_value_t = 179)]
    port: u16,
    /// BGP identifier.
    #[arg(long, default_value = "192.0.2.201")]
    router_id: Ipv4Addr,
    /// Hold time to propose, seconds.
    #[arg(long, default_value_t = 90)]
    hold: u16,
    /// TABLE_DUMP_V2 file, plain or .gz.
    #[arg(long)]
    mrt: Option<PathBuf>,
    /// The AS number of the table's peer to play.
    #[arg(long)]
    as_peer: Option<u32>,
    /// Next hop of the IPv4 routes; without it none are sent.
    #[arg(long)]
    next_hop4: Option<IpAddr>,
    /// Next hop of the IPv6 routes; without it none are sent.
    #[arg(long)]
    next_hop6: Option<IpAddr>,
    /// At most so many routes of each family.
    #[arg(long, default_value_t = u64::MAX)]
    limit: u64,
    /// Announce at once instead of waiting for `go`.
    #[arg(long)]
    go: bool,
}

fn main() -> Result {
    let arguments = Arguments::parse();
    let port = arguments.port;
    let feeding = feed::Options {
        asn: arguments.as_peer.unwrap_or(arguments.asn),
        next_hop4: arguments.next_hop4,
        next_hop6: arguments.next_hop6,
        limit: arguments.limit,
    };
    let announce = match &arguments.mrt {
        Some(path) => feed::announce(path, &feeding)?,
        None => feed::Feed::default(),
    };
    emit(
        "encoded",
        json!({ "ipv4": announce.ipv4, "ipv6": announce.ipv6, "messages": announce.messages,
                "bytes": announce.bytes.len() }),
    );
    let session = Session::establish(&Options {
        asn: arguments.asn,
        router_id: arguments.router_id,
        hold: arguments.hold,
        families: Family::ALL.to_vec(),
        local: arguments.local,
        connect: arguments.connect.map(|address| SocketAddr::new(address, port)),
        listen: arguments.listen.map(|address| SocketAddr::new(address, port)),
    })?;
    let writer = session.writer();
    writer.keep_alive(Duration::from_secs((arguments.hold / 3).max(1).into()));
    thread::spawn(move || read(session));
    if arguments.go {
        send(&writer, &announce.bytes)?;
    }
    for line in std::io::stdin().lock().lines() {
        command(&line?, &writer, &announce, || match &arguments.mrt {
            Some(path) => feed::withdraw(path, &feeding),
            None => Ok(feed::Feed::default()),
        })?;
    }
    loop {
        thread::park();
    }
}

fn command(
    line: &str,
    writer: &Writer,
    announce: &feed::Feed,
    withdraw: impl FnOnce() -> Result<feed::Feed>,
) -> Result {
    let (word, rest) = line.trim().split_once(' ').unwrap_or((line.trim(), ""));
    match word {
        "" => Ok(()),
        "go" => send(writer, &announce.bytes),
        "withdraw" => send(writer, &withdraw()?.bytes),
        "raw" => {
            let octets = hex(rest)?;
            let (kind, body) = octets.split_first().ok_or_else(|| Error::new("raw needs a message type"))?;
            send(writer, &wire::message(*kind, body)?)
        }
        "refresh" => {
            for family in Family::ALL {
                let [high, low] = family.afi().to_be_bytes();
                send(writer, &wire::message(wire::ROUTE_REFRESH, &[high, low, 0, family.safi()])?)?;
            }
            Ok(())
        }
        "quit" => std::process::exit(0),
        other => fail(format!("no command `{other}`: go, withdraw, raw, refresh, quit")),
    }
}

fn send(writer: &Writer, messages: &[u8]) -> Result {
    emit("started", json!({ "bytes": messages.len() }));
    writer.send(messages)?;
    emit("sent", json!({ "bytes": messages.len() }));
    Ok(())
}

/// Reads to the end of the session; what comes is looked at only as far as the events need.
fn read(mut session: Session) {
    let mut updates = 0u64;
    loop {
        match session.reader.message() {
            Ok(Some((wire::NOTIFICATION, body))) => notification(body),
            Ok(Some((wire::ROUTE_REFRESH, _))) => emit("refresh", json!({})),
            Ok(Some((wire::UPDATE, _))) => updates += 1,
            Ok(Some(_)) => {}
            Ok(None) | Err(_) => break,
        }
    }
    emit("closed", json!({ "updates": updates }));
}

fn hex(text: &str) -> Result<Vec<u8>> {
    let digits: Vec<char> = text.chars().filter(|c| !c.is_whitespace()).collect();
    let pairs = digits.chunks(2).map(|pair| pair.iter().collect::<String>());
    pairs.map(|pair| u8::from_str_radix(&pair, 16).map_err(Error::from)).collect()
}
