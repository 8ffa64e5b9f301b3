//! Measures the way of a full table through the RIB: UPDATEs as they come from the wire are decoded, judged, applied,
//! decided and exported to a second peer, in one thread.
//!
//! `cargo run --release -p siskin-rib --example full_table -- TABLE.mrt [PEERS]`: an MRT TABLE_DUMP_V2 file (RFC 6396),
//! not compressed; the first peer's routes are taken, and announced by PEERS peers (1).

#![expect(clippy::disallowed_methods, reason = "a measurement needs a clock")]

mod table;

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use siskin_bgp::wire::{HEADER_LEN, MAX_LEN, decode_update, frame};
use siskin_net::{Asn, Hop, PeerId, Resolution, RouteSource};
use siskin_policy::{PolicySet, Sets};
use siskin_rib::{BatchBuilder, ImportProfile, NextHopRequest, PeerInfo, Rib};
use table::{LOCAL, Sink, decode_context, messages, read_table, resident, rib_config};

const BATCH: usize = 16_384;

fn peer_asn(peer: u8) -> Asn {
    Asn(64600 + u32::from(peer))
}

fn import_profile(peer: u8, policies: &PolicySet) -> ImportProfile {
    let mut import = ImportProfile::local(format!("p{peer}").into(), RouteSource::Bgp, peer_asn(peer), 7);
    import.external = true;
    import.enforce_first_as = true;
    import.local_asns = [LOCAL].into_iter().collect();
    import.policy = policies.get("accept-all");
    import
}

fn peer_info(peer: u8, policies: &PolicySet) -> PeerInfo {
    let policy = policies.get(if peer == 200 { "accept-all" } else { "reject-all" });
    table::peer_info(peer, Arc::new(import_profile(peer, policies)), policy)
}

/// Time spent in each part.
#[derive(Default)]
struct Times {
    decode: Duration,
    import: Duration,
    apply: Duration,
    decide: Duration,
    kernel: Duration,
    export: Duration,
}

fn timed<T>(total: &mut Duration, work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = work();
    *total += start.elapsed();
    result
}

struct World {
    rib: Rib,
    sink: Sink,
    times: Times,
    kernel: usize,
}

impl World {
    fn feed(&mut self, builder: &mut BatchBuilder, stream: &mut BytesMut) -> Result<(), Box<dyn Error>> {
        let context = decode_context();
        while let Some(message) = frame(stream, MAX_LEN).map_err(|e| format!("{e:?}"))? {
            let update = timed(&mut self.times.decode, || decode_update(&message[HEADER_LEN..], &context));
            let update = update.map_err(|e| format!("{e:?}"))?;
            timed(&mut self.times.import, || builder.push(update));
            if builder.len() >= BATCH {
                self.turn(builder);
            }
        }
        self.turn(builder);
        while self.work() {}
        Ok(())
    }

    fn turn(&mut self, builder: &mut BatchBuilder) {
        let batch = timed(&mut self.times.import, || builder.take());
        timed(&mut self.times.apply, || self.rib.apply(batch));
        for request in self.rib.take_next_hop_requests() {
            if let NextHopRequest::Track(next_hop) = request {
                let hop = Hop { gateway: Some(next_hop.address), interface: 2, weight: 1, onlink: false };
                let hops = [hop].into_iter().collect();
                self.rib.set_next_hop(next_hop, Some(Resolution { metric: 0, hops }));
            }
        }
        self.work();
    }

    fn work(&mut self) -> bool {
        let mut more = timed(&mut self.times.decide, || self.rib.turn(65_536));
        let mut changes = Vec::new();
        more |= timed(&mut self.times.kernel, || self.rib.drain_fib(8192, &mut changes));
        self.kernel += changes.len();
        more | timed(&mut self.times.export, || self.rib.export_turn(&mut self.sink, 16_384))
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().ok_or("usage: full_table TABLE.mrt [PEERS]")?;
    let peers: u8 = arguments.next().map_or(Ok(1), |n| n.parse())?;
    let table = read_table(&std::fs::read(path)?);
    let policies = PolicySet::compile(Vec::new(), &Sets::default()).map_err(|e| format!("{e:?}"))?;
    let mut streams: Vec<_> = (1..=peers).map(|peer| messages(&table, peer, peer_asn(peer))).collect();
    drop(table);
    let mut world =
        World { rib: Rib::new(rib_config()), sink: Sink::default(), times: Times::default(), kernel: 0 };
    world.rib.peer_up(PeerId(200), peer_info(200, &policies));
    for (peer, (stream, updates, prefixes)) in (1..).zip(&mut streams) {
        let octets = stream.len();
        world.times = Times::default();
        let before = resident();
        let start = Instant::now();
        let info = peer_info(peer, &policies);
        let mut builder = BatchBuilder::new(PeerId(peer.into()), info.import.clone());
        world.rib.peer_up(PeerId(peer.into()), info);
        world.feed(&mut builder, stream)?;
        let elapsed = start.elapsed();
        println!("peer {peer}: {prefixes} prefixes, {updates} UPDATEs, {octets} octets in {elapsed:?}");
        report(&world.times, *prefixes);
        println!("  sent {} octets, {} kernel changes so far", world.sink.octets, world.kernel);
        println!("  resident {} MiB, before {} MiB", resident() / 1024, before / 1024);
    }
    println!("{:?}\n{:?}", world.rib.memory(), world.rib.counts());
    new_peer_and_drop(&mut world, peers, &policies);
    Ok(())
}

fn report(times: &Times, prefixes: usize) {
    let parts = [
        ("decode", times.decode),
        ("import", times.import),
        ("apply", times.apply),
        ("decide", times.decide),
        ("kernel", times.kernel),
        ("export", times.export),
    ];
    let mut total = 0;
    for (name, time) in parts {
        let each = time.as_nanos() / prefixes.max(1) as u128;
        total += each;
        println!("  {name:8} {:>7.1} ms {each:>5} ns/prefix", time.as_secs_f64() * 1000.0);
    }
    println!("  {:8} {:>10} {total:>5} ns/prefix", "sum", "");
}

/// The dump to one more peer, and the loss of all that announced.
fn new_peer_and_drop(world: &mut World, peers: u8, policies: &PolicySet) {
    let start = Instant::now();
    let mut info = peer_info(200, policies);
    info.name = "late".into();
    world.rib.peer_up(PeerId(201), info);
    while world.work() {}
    println!("dump to a new peer: {:?}", start.elapsed());
    let start = Instant::now();
    for peer in 1..=peers {
        world.rib.peer_down(PeerId(peer.into()));
    }
    while world.work() {}
    println!("all peers lost: {:?}, resident {} MiB", start.elapsed(), resident() / 1024);
    println!("{:?}\n{:?}", world.rib.memory(), world.rib.counts());
}
