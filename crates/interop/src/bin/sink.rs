//! `siskin-sink`: a peer that takes everything, counts distinct prefixes and says when it has them all.
//!
//! Commands on standard input: `count`, `pause` (stop reading; keepalives go on), `resume`, `quit`. Events on
//! standard output: `established`, `end_of_rib`, `reached`, `empty`, `count`, `notification`, `closed`.

use std::io::BufRead;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use clap::Parser;
use hashbrown::HashSet;
use serde_json::json;
use siskin_interop::speaker::{Options, Session, emit, notification};
use siskin_interop::{Result, fail, wire};
use siskin_net::Family;

/// Speaks BGP to one peer and counts what it announces.
///
/// Example: siskin-sink --connect 192.0.2.1 --asn 64999 --expect4 990000 --expect6 155000
#[derive(Debug, Parser)]
struct Arguments {
    /// Our AS number.
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
    #[arg(long, default_value = "192.0.2.202")]
    router_id: Ipv4Addr,
    /// Hold time to propose, seconds.
    #[arg(long, default_value_t = 90)]
    hold: u16,
    /// Say `reached` when so many IPv4 prefixes are there (and --expect6 IPv6 prefixes).
    #[arg(long, default_value_t = 0)]
    expect4: u64,
    /// See --expect4.
    #[arg(long, default_value_t = 0)]
    expect6: u64,
}

/// What the reading thread and the commands share.
#[derive(Debug, Default)]
struct Shared {
    ipv4: AtomicU64,
    ipv6: AtomicU64,
    paused: AtomicBool,
}

fn main() -> Result {
    let arguments = Arguments::parse();
    let port = arguments.port;
    let mut table = Table::new(&arguments);
    let session = Session::establish(&Options {
        asn: arguments.asn,
        router_id: arguments.router_id,
        hold: arguments.hold,
        families: Family::ALL.to_vec(),
        local: arguments.local,
        connect: arguments.connect.map(|address| SocketAddr::new(address, port)),
        listen: arguments.listen.map(|address| SocketAddr::new(address, port)),
    })?;
    session.writer().keep_alive(Duration::from_secs((arguments.hold / 3).max(1).into()));
    let shared = Arc::clone(&table.shared);
    thread::spawn(move || {
        let result = read(session, &mut table);
        let text = result.err().map(|error| error.to_string());
        emit("closed", json!({ "text": text }));
    });
    for line in std::io::stdin().lock().lines() {
        match line?.trim() {
            "" => {}
            "count" => emit(
                "count",
                json!({ "ipv4": shared.ipv4.load(Ordering::Relaxed), "ipv6": shared.ipv6.load(Ordering::Relaxed) }),
            ),
            "pause" => shared.paused.store(true, Ordering::Relaxed),
            "resume" => shared.paused.store(false, Ordering::Relaxed),
            "quit" => return Ok(()),
            other => return fail(format!("no command `{other}`: count, pause, resume, quit")),
        }
    }
    loop {
        thread::park();
    }
}

fn read(mut session: Session, table: &mut Table) -> Result {
    loop {
        while table.shared.paused.load(Ordering::Relaxed) {
            thread::sleep(Duration::from_millis(50));
        }
        match session.reader.message()? {
            Some((wire::UPDATE, body)) => table.update(body)?,
            Some((wire::NOTIFICATION, body)) => notification(body),
            Some(_) => {}
            None => return Ok(()),
        }
    }
}

/// The distinct prefixes that are announced at the moment.
#[derive(Debug)]
struct Table {
    ipv4: HashSet<u64, foldhash::fast::RandomState>,
    ipv6: HashSet<(u128, u8), foldhash::fast::RandomState>,
    expect: (u64, u64),
    reached: bool,
    shared: Arc<Shared>,
}

impl Table {
    /// Room for what is expected, so that growing does not cost time while somebody measures.
    fn new(arguments: &Arguments) -> Table {
        let room = |count: u64| usize::try_from(count).unwrap_or(0).min(4_000_000);
        Table {
            ipv4: HashSet::with_capacity_and_hasher(room(arguments.expect4), Default::default()),
            ipv6: HashSet::with_capacity_and_hasher(room(arguments.expect6), Default::default()),
            expect: (arguments.expect4, arguments.expect6),
            reached: false,
            shared: Arc::default(),
        }
    }

    fn update(&mut self, body: &[u8]) -> Result {
        let parts = wire::parts(body)?;
        match parts {
            wire::Parts { reach4: [], unreach4: [], reach6: [], unreach6: None } => {
                emit("end_of_rib", json!({ "family": "ipv4" }));
            }
            wire::Parts { reach4: [], unreach4: [], reach6: [], unreach6: Some([]) } => {
                emit("end_of_rib", json!({ "family": "ipv6" }));
            }
            _ => {}
        }
        let Table { ipv4, ipv6, .. } = self;
        wire::walk_nlri(parts.unreach4, Family::Ipv4, |bits, len| {
            ipv4.remove(&key(bits, len));
        })?;
        wire::walk_nlri(parts.unreach6.unwrap_or_default(), Family::Ipv6, |bits, len| {
            ipv6.remove(&(bits, len));
        })?;
        wire::walk_nlri(parts.reach4, Family::Ipv4, |bits, len| {
            ipv4.insert(key(bits, len));
        })?;
        wire::walk_nlri(parts.reach6, Family::Ipv6, |bits, len| {
            ipv6.insert((bits, len));
        })?;
        self.tell();
        Ok(())
    }

    /// Publishes the counts, and says when all is there and when all is gone again.
    fn tell(&mut self) {
        let counts = (self.ipv4.len() as u64, self.ipv6.len() as u64);
        self.shared.ipv4.store(counts.0, Ordering::Relaxed);
        self.shared.ipv6.store(counts.1, Ordering::Relaxed);
        let full = counts.0 >= self.expect.0 && counts.1 >= self.expect.1 && counts != (0, 0);
        if full && !self.reached {
            self.reached = true;
            emit("reached", json!({ "ipv4": counts.0, "ipv6": counts.1 }));
        }
        if counts == (0, 0) && self.reached {
            self.reached = false;
            emit("empty", json!({}));
        }
    }
}

/// An IPv4 prefix in one number.
fn key(bits: u128, len: u8) -> u64 {
    u64::try_from(bits >> 96).unwrap_or(u64::MAX) << 8 | u64::from(len)
}
