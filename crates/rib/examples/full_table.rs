//! Measures the way of a full table through the RIB: UPDATEs as they come from the wire are decoded, judged, applied,
//! decided and exported to a second peer, in one thread.
//!
//! `cargo run --release -p siskin-rib --example full_table -- TABLE.mrt [PEERS]`: an MRT TABLE_DUMP_V2 file (RFC 6396),
//! not compressed; the first peer's routes are taken, and announced by PEERS peers (1).

#![expect(clippy::disallowed_methods, reason = "a measurement needs a clock")]

use std::collections::HashMap;
use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use siskin_bgp::PathAttributes;
use siskin_bgp::attr::compact;
use siskin_bgp::wire::{
    DecodeContext, EncodeContext, HEADER_LEN, MAX_LEN, decode_update, encode_update, frame,
};
use siskin_net::{
    Asn, BgpIdentifier, Family, FamilyMap, FamilySet, Hop, NextHop, PeerId, Prefix, Resolution, RouteSource,
};
use siskin_policy::{PolicySet, Sets};
use siskin_rib::{
    BatchBuilder, ExportProfile, FibAction, ImportProfile, Multipath, NextHopMode, NextHopRequest, Outbox,
    PeerInfo, Rib, RibConfig,
};

const LOCAL: Asn = Asn(64500);
const BATCH: usize = 16_384;

/// The attributes of the first peer's entry of each prefix, by their bytes in the dump.
fn read_table(mrt: &[u8]) -> HashMap<(Family, Vec<u8>), Vec<Prefix>> {
    let mut table: HashMap<(Family, Vec<u8>), Vec<Prefix>> = HashMap::new();
    let mut rest = mrt;
    while let Some((header, after)) = rest.split_first_chunk::<12>() {
        let number = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
        let length = u32::from_be_bytes([header[8], header[9], header[10], header[11]]) as usize;
        let (body, after) = after.split_at(length.min(after.len()));
        rest = after;
        let family = match (number(4), number(6)) {
            (13, 2) => Family::Ipv4,
            (13, 4) => Family::Ipv6,
            _ => continue,
        };
        if let Some((prefix, attributes)) = read_entry(family, body) {
            table.entry((family, attributes.to_vec())).or_default().push(prefix);
        }
    }
    table
}

fn read_entry(family: Family, body: &[u8]) -> Option<(Prefix, &[u8])> {
    let (&len, body) = body.get(4..)?.split_first()?;
    let (octets, body) = body.split_at_checked(usize::from(len).div_ceil(8))?;
    let mut bits = [0; 16];
    bits[..octets.len()].copy_from_slice(octets);
    let length = u16::from_be_bytes([*body.get(8)?, *body.get(9)?]);
    let attributes = body.get(10..10 + usize::from(length))?;
    Some((Prefix::from_bits(family, u128::from_be_bytes(bits), len), attributes))
}

/// Attributes as they stand in a dump, read by way of an UPDATE that carries them; next hops are left out.
fn attributes_of(mut dumped: &[u8]) -> Option<PathAttributes> {
    let mut kept = vec![0x40, 3, 4, 192, 0, 2, 1];
    while let Some(attribute) = compact::next_attribute(&mut dumped) {
        if ![3, 14, 15].contains(&attribute.code) {
            kept.extend_from_slice(attribute.octets);
        }
    }
    let mut body = vec![0, 0];
    body.extend_from_slice(&u16::try_from(kept.len()).ok()?.to_be_bytes());
    body.extend_from_slice(&kept);
    body.push(0);
    decode_update(&body, &decode_context()).ok()?.attributes
}

fn decode_context() -> DecodeContext {
    DecodeContext {
        four_octet_as: true,
        families: FamilySet::BOTH,
        add_path: FamilySet::EMPTY,
        external: true,
        extended_next_hop: false,
        interface: 0,
    }
}

fn encode_context() -> EncodeContext {
    EncodeContext {
        four_octet_as: true,
        max_len: MAX_LEN,
        extended_next_hop: false,
        add_path: FamilySet::EMPTY,
        external: true,
    }
}

fn address(family: Family, host: u8) -> std::net::IpAddr {
    match family {
        Family::Ipv4 => [192, 0, 2, host].into(),
        Family::Ipv6 => [0x2001, 0xdb8, 0, 0, 0, 0, 0, u16::from(host)].into(),
    }
}

/// The messages one peer sends: the dump's routes behind its own AS number.
fn messages(table: &HashMap<(Family, Vec<u8>), Vec<Prefix>>, peer: u8) -> (BytesMut, usize, usize) {
    let mut sets: Vec<_> = table.iter().collect();
    sets.sort_by_key(|(_, prefixes)| prefixes.first().copied());
    let mut out = BytesMut::new();
    let (mut updates, mut prefixes_sent) = (0, 0);
    for ((family, attributes), prefixes) in sets {
        let Some(mut form) = attributes_of(attributes) else { continue };
        form.next_hop = NextHop::new(address(*family, peer));
        form.as_path = form.as_path.prepended(peer_asn(peer), 1);
        updates += encode_update(&form, *family, prefixes, &encode_context(), &mut out).unwrap_or(0);
        prefixes_sent += prefixes.len();
    }
    (out, updates, prefixes_sent)
}

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
    let next_hop = |family| Some(NextHop::new(address(family, 254)));
    let export = ExportProfile {
        families: FamilySet::BOTH,
        local_asn: LOCAL,
        external: true,
        role: None,
        policy: policies.get(if peer == 200 { "accept-all" } else { "reject-all" }),
        next_hop: NextHopMode::Default,
        self_next_hop: FamilyMap::from_fn(next_hop),
        peer_address: None,
        remove_private_as: false,
        prepend: 0,
        med: None,
        communities: Vec::new(),
        ext_communities: true,
        default_originate: FamilySet::EMPTY,
        reflector_client: false,
        cluster_id: 1,
        identifier: BgpIdentifier(1),
        encode: encode_context(),
        limits: FamilyMap::default(),
        drain: siskin_rib::Drain::No,
    };
    PeerInfo {
        name: format!("p{peer}").into(),
        source: RouteSource::Bgp,
        asn: peer_asn(peer),
        identifier: BgpIdentifier(100 + u32::from(peer)),
        address: Some(address(Family::Ipv4, peer)),
        external: true,
        role: None,
        reflector_client: false,
        enhanced_refresh: false,
        import: Arc::new(import_profile(peer, policies)),
        export: Some(export),
        fib: FibAction::Resolve,
    }
}

/// Counts what is sent and forgets it.
#[derive(Default)]
struct Sink {
    octets: usize,
}

impl Outbox for Sink {
    fn room(&self, _: PeerId) -> bool {
        true
    }
    fn send(&mut self, _: PeerId, bytes: Bytes) {
        self.octets += bytes.len();
    }
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

/// Resident memory in KiB, as the kernel counts it.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).unwrap_or(0)
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().ok_or("usage: full_table TABLE.mrt [PEERS]")?;
    let peers: u8 = arguments.next().map_or(Ok(1), |n| n.parse())?;
    let table = read_table(&std::fs::read(path)?);
    let policies = PolicySet::compile(Vec::new(), &Sets::default()).map_err(|e| format!("{e:?}"))?;
    let config = RibConfig {
        asn: LOCAL,
        identifier: BgpIdentifier(1),
        cluster_id: 1,
        multipath: Multipath::Relaxed,
        max_paths: 16,
        hash_seed: 7,
    };
    let mut streams: Vec<_> = (1..=peers).map(|peer| messages(&table, peer)).collect();
    drop(table);
    let mut world =
        World { rib: Rib::new(config), sink: Sink::default(), times: Times::default(), kernel: 0 };
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
