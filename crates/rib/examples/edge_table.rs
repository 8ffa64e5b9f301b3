//! What the edge policy costs: a full table in from one peer and out to another, without policy, with the checks of an
//! edge before a policy that accepts all, and with the whole policy of a role; then all of it judged again, and a change
//! of ten VRPs. One process and one thread, no sockets.
//!
//! `cargo run --release -p siskin-rib --example edge_table -- TABLE.mrt [ROUNDS]`: an MRT TABLE_DUMP_V2 file, not
//! compressed. The VRPs are those of the shared data (`SISKIN_DATA`, or `../shared/data` beside the project); `bzip2`
//! must be installed. Times are of the processor, as other work on the machine is not meant; the parts of one are exact to
//! a tick of the scheduler's clock.

#![expect(clippy::disallowed_methods, reason = "a measurement needs a clock")]
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "it ends where its data are not as expected")]

mod table;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use serde::Deserialize;
use siskin_bgp::wire::{HEADER_LEN, MAX_LEN, Update, decode_update, frame};
use siskin_net::{Asn, Family, FamilyMap, Hop, PeerId, Prefix, Resolution, Role, RouteSource, Vrp};
use siskin_policy::{PolicySet, PolicySource, PrefixPattern, RuleSource, Sets, VrpTable, edge};
use siskin_rib::{
    BatchBuilder, EdgeRules, Facts, ImportProfile, IrrFilter, IrrList, NextHopRequest, Rib, RibEvent,
    RpkiMode, Touched,
};
use table::{LOCAL, Sink, Table, address, decode_context, messages, read_table, resident, rib_config};

/// Announces the table.
const IN: PeerId = PeerId(1);
/// Its AS number: a public one, as others are bogons.
const IN_ASN: Asn = Asn(6939);
/// Gets the table.
const OUT: PeerId = PeerId(200);
const BATCH: usize = 16_384;
/// Changes of VRPs, and VRPs in each.
const CHANGES: usize = 50;
const CHANGED: usize = 10;

/// What import does.
#[derive(Clone, Copy)]
enum Kind {
    /// It accepts all; only loops and martians are looked for.
    Off,
    /// The checks of an edge, and it accepts what is left as it is.
    Checks,
    /// The checks, OTC and the import policy of a peer: LOCAL_PREF and communities are new on each route.
    Role,
}

/// The processor time this thread has had.
fn now() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    Duration::from_nanos(text.split(' ').next().unwrap().parse().unwrap())
}

fn read_vrps() -> Vec<Vrp> {
    #[derive(Deserialize)]
    struct Dump {
        roas: Vec<Roa>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Roa {
        prefix: String,
        max_length: u8,
        asn: u32,
    }
    let default = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let folder = std::env::var_os("SISKIN_DATA").map_or_else(default, PathBuf::from);
    let file = folder.join("rpki/rpki-client-20250720T093135Z.json.bz2");
    let output = Command::new("bzip2").arg("-dc").arg(&file).output().expect("bzip2 runs");
    assert!(output.status.success(), "{}", file.display());
    let dump: Dump = serde_json::from_slice(&output.stdout).unwrap();
    let vrp =
        |roa: Roa| Vrp { prefix: roa.prefix.parse().unwrap(), max_len: roa.max_length, asn: Asn(roa.asn) };
    dump.roas.into_iter().map(vrp).collect()
}

/// The registry's list, of about 100,000 objects: the table's prefixes cut to 18 and 32 bits, with what the internet
/// carries of them.
fn irr_list(prefixes: &[Prefix]) -> IrrList {
    let cut = |prefix: &Prefix| {
        let longest = if prefix.family() == Family::Ipv4 { 18 } else { 32 };
        Prefix::from_bits(prefix.family(), prefix.bits(), prefix.len().min(longest))
    };
    let mut objects: Vec<Prefix> = prefixes.iter().map(cut).collect();
    objects.sort_unstable();
    objects.dedup_by(|inner, outer| outer.covers(*inner));
    let longest = |family| if family == Family::Ipv4 { 24 } else { 48 };
    let pattern = |prefix: &Prefix| {
        PrefixPattern::with_lengths(*prefix, prefix.len(), longest(prefix.family()).max(prefix.len()))
            .unwrap()
    };
    let count = |family| Some(objects.iter().filter(|prefix| prefix.family() == family).count());
    IrrList {
        entries: FamilyMap::from_fn(count),
        prefixes: objects.iter().map(pattern).collect(),
        ..IrrList::default()
    }
}

/// The same order every time, and none.
fn shuffle<T>(list: &mut [T]) {
    let mut state = 1u64;
    for i in (1..list.len()).rev() {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let to = usize::try_from(state >> 33).unwrap() % (i + 1);
        list.swap(i, to);
    }
}

/// As many AS numbers as are shipped, next to them, and none that the table has: nothing is to be rejected by them.
fn transit_asns(stream: &BytesMut) -> Vec<Asn> {
    let mut used = HashSet::new();
    let mut stream = stream.clone();
    while let Some(update) = next_update(&mut stream) {
        used.extend(update.attributes.iter().flat_map(|a| a.as_path.asns().collect::<Vec<_>>()));
    }
    let unused = |asn: &u32| (*asn..).map(Asn).find(|asn| !used.contains(asn)).unwrap();
    edge::TRANSIT_ASNS.iter().map(unused).collect()
}

fn next_update(stream: &mut BytesMut) -> Option<Update> {
    let message = frame(stream, MAX_LEN).unwrap()?;
    Some(decode_update(&message[HEADER_LEN..], &decode_context()).unwrap())
}

fn policies() -> PolicySet {
    let rule = |text| RuleSource { text, location: "shipped".to_owned() };
    let rules = edge::import_rules(Role::Peer, LOCAL, None).into_iter().map(rule).collect();
    let sources = vec![PolicySource { name: "peer".to_owned(), rules }];
    PolicySet::compile(sources, &Sets::default()).expect("the shipped rules compile")
}

fn profile(asn: Asn, name: &str, policies: &PolicySet) -> ImportProfile {
    let mut import = ImportProfile::local(name.into(), RouteSource::Bgp, asn, rib_config().hash_seed);
    import.external = true;
    import.enforce_first_as = true;
    import.local_asns = [LOCAL].into_iter().collect();
    import.policy = policies.get("accept-all");
    import
}

/// All that the rounds share.
struct Setup {
    stream: BytesMut,
    prefixes: usize,
    policies: PolicySet,
    rules: EdgeRules,
    irr: IrrFilter,
    facts: Arc<Facts>,
}

impl Setup {
    fn new(table: &Table, vrps: VrpTable) -> Setup {
        let (stream, updates, prefixes) = messages(table, 1, IN_ASN);
        let list = irr_list(&table.values().flatten().copied().collect::<Vec<_>>());
        println!("{prefixes} prefixes, {updates} UPDATEs, {} objects in the registry", list.prefixes.len());
        let bogons = edge::BOGON_PREFIXES.iter().map(|text| text.parse::<PrefixPattern>().unwrap());
        let lengths = |family| match family {
            Family::Ipv4 => edge::PREFIX_LENGTHS_V4.into_inner(),
            Family::Ipv6 => edge::PREFIX_LENGTHS_V6.into_inner(),
        };
        let rules = EdgeRules {
            rpki: RpkiMode::RejectInvalid,
            bogon_prefixes: Some(Arc::new(bogons.collect())),
            bogon_asns: Some(Arc::new(
                edge::BOGON_ASNS.iter().map(|(low, high)| Asn(*low)..=Asn(*high)).collect(),
            )),
            prefix_length: Some(FamilyMap::from_fn(lengths)),
            path_length: Some(edge::MAX_PATH_LEN),
            own_prefixes: Some(Arc::new(
                [PrefixPattern::or_longer("203.0.113.0/24".parse().unwrap())].into_iter().collect(),
            )),
            transit_asns: Some(Arc::new(transit_asns(&stream).into_iter().collect())),
            next_hop: true,
            ..EdgeRules::default()
        };
        let irr = IrrFilter {
            label: "AS-EXAMPLE".into(),
            list: Some(Arc::new(list)),
            accept_rpki_valid: false,
            check_origin: false,
        };
        let facts = Arc::new(Facts { generation: 1, vrps: Some(vrps), ..Facts::default() });
        Setup { stream, prefixes, policies: policies(), rules, irr, facts }
    }

    fn import(&self, kind: Kind) -> Arc<ImportProfile> {
        let mut import = profile(IN_ASN, "in", &self.policies);
        import.address = Some(address(Family::Ipv4, 1));
        if !matches!(kind, Kind::Off) {
            import.edge = self.rules.clone();
            import.irr = Some(self.irr.clone());
        }
        if matches!(kind, Kind::Role) {
            import.role = Some(Role::Peer);
            import.policy = self.policies.get("peer");
        }
        import.facts = self.facts.clone();
        Arc::new(import)
    }
}

/// Processor time of a load, and of its parts.
#[derive(Clone, Copy, Default)]
struct Times {
    wall: Duration,
    decode: Duration,
    import: Duration,
    rib: Duration,
}

impl Times {
    fn total(&self) -> Duration {
        self.decode + self.import + self.rib
    }
}

struct World {
    rib: Rib,
    sink: Sink,
}

impl World {
    fn new(setup: &Setup, kind: Kind) -> World {
        let mut rib = Rib::new(rib_config());
        rib.set_facts(setup.facts.clone(), Touched::Everything);
        let out = Arc::new(profile(Asn(64_999), "out", &setup.policies));
        rib.peer_up(OUT, table::peer_info(200, out, setup.policies.get("accept-all")));
        rib.peer_up(IN, table::peer_info(1, setup.import(kind), setup.policies.get("reject-all")));
        let mut world = World { rib, sink: Sink::default() };
        world.settle();
        world.rib.take_events();
        world
    }

    fn load(&mut self, setup: &Setup, kind: Kind) -> Times {
        let mut stream = setup.stream.clone();
        let mut builder = BatchBuilder::new(IN, setup.import(kind));
        let mut times = Times::default();
        let wall = Instant::now();
        let mut at = now();
        let mut lap = |total: &mut Duration| {
            let before = std::mem::replace(&mut at, now());
            *total += at - before;
        };
        loop {
            let (mut updates, mut prefixes) = (Vec::new(), 0);
            while prefixes < BATCH
                && let Some(update) = next_update(&mut stream)
            {
                prefixes += update.reach.iter().map(|reach| reach.prefixes.len()).sum::<usize>();
                updates.push(update);
            }
            lap(&mut times.decode);
            if updates.is_empty() {
                break;
            }
            updates.into_iter().for_each(|update| builder.push(update));
            let batch = builder.take();
            lap(&mut times.import);
            self.rib.apply(batch);
            self.work();
            lap(&mut times.rib);
        }
        self.settle();
        lap(&mut times.rib);
        times.wall = wall.elapsed();
        times
    }

    fn work(&mut self) -> bool {
        for request in self.rib.take_next_hop_requests() {
            if let NextHopRequest::Track(next_hop) = request {
                let hop = Hop { gateway: Some(next_hop.address), interface: 2, weight: 1, onlink: false };
                self.rib.set_next_hop(
                    next_hop,
                    Some(Resolution { metric: 0, hops: [hop].into_iter().collect() }),
                );
            }
        }
        let mut more = self.rib.turn(65_536);
        more |= self.rib.drain_fib(8192, &mut Vec::new());
        more | self.rib.export_turn(&mut self.sink, 16_384)
    }

    fn settle(&mut self) {
        while self.work() {}
    }

    /// Gives new facts and turns until what they touch is judged: what came of it, and the time it took.
    fn judge_again(&mut self, facts: Facts, touched: Touched) -> (siskin_rib::Judged, Duration, Duration) {
        let (start, wall) = (now(), Instant::now());
        self.rib.set_facts(Arc::new(facts), touched);
        loop {
            self.rib.turn(65_536);
            let judged = self.rib.take_events().into_iter().find_map(|event| match event {
                RibEvent::Judged(judged) => Some(judged),
                RibEvent::Limit { .. } => None,
            });
            if let Some(judged) = judged {
                return (judged, now() - start, wall.elapsed());
            }
        }
    }
}

fn median(mut list: Vec<Duration>) -> Duration {
    list.sort_unstable();
    list[list.len() / 2]
}

fn ms(time: Duration) -> String {
    format!("{:.0} ms", time.as_secs_f64() * 1e3)
}

/// Loads the table `rounds` times with each kind in turn; the world of the last load with the whole policy.
fn measure_loads(setup: &Setup, rounds: usize) -> World {
    let kinds = [(Kind::Off, "off"), (Kind::Checks, "checks"), (Kind::Role, "role")];
    let mut times: [Vec<Times>; 3] = Default::default();
    let mut last = None;
    for round in 0..rounds {
        for ((kind, name), times) in kinds.iter().zip(&mut times) {
            drop(last.take());
            let mut world = World::new(setup, *kind);
            times.push(world.load(setup, *kind));
            if round == 0 {
                let counts = world.rib.peer_counts(IN);
                let accepted: u64 = Family::ALL.iter().map(|family| counts[*family].paths.accepted).sum();
                println!("{name}: {accepted} accepted, {} octets sent", world.sink.octets);
            }
            last = Some(world);
        }
    }
    println!("processor time, medians of {rounds}, and what it is of that without policy:");
    let of = |list: &[Times], part: fn(&Times) -> Duration| median(list.iter().map(part).collect());
    let off = of(&times[0], Times::total);
    for ((_, name), list) in kinds.iter().zip(&times) {
        let total = of(list, Times::total);
        let [decode, import, rib] =
            [|t: &Times| t.decode, |t: &Times| t.import, |t: &Times| t.rib].map(|part| ms(of(list, part)));
        let ratio = total.as_secs_f64() / off.as_secs_f64();
        let wall = ms(of(list, |t| t.wall));
        println!(
            "{name:7} {} = {ratio:.2}; decode {decode}, import {import}, RIB {rib}; wall {wall}",
            ms(total)
        );
    }
    last.expect("a round")
}

fn measure_changes(world: &mut World, setup: &Setup, vrps: &[Vrp]) {
    let facts = |generation, vrps| Facts { generation, vrps: Some(vrps), ..Facts::default() };
    let all = setup.facts.vrps.clone().unwrap();
    for (generation, vrps, title) in [
        (2, all.clone(), "the same facts"),
        (3, VrpTable::new(), "all VRPs gone"),
        (4, all.clone(), "all VRPs back"),
    ] {
        let (judged, cpu, wall) = world.judge_again(facts(generation, vrps), Touched::Everything);
        println!("{title}: {judged:?} in {} of the processor, wall {}", ms(cpu), ms(wall));
        world.settle();
    }
    let mut order: Vec<Vrp> = vrps.to_vec();
    shuffle(&mut order);
    let (mut generation, mut walls, mut paths) = (4, Vec::new(), 0);
    let mut cpu = Duration::ZERO;
    for ten in order.chunks(CHANGED).take(CHANGES) {
        let start = now();
        let wall = Instant::now();
        let table = all.apply(ten, &[]);
        generation += 1;
        let touched = Touched::Within(ten.iter().map(|vrp| vrp.prefix).collect());
        let (judged, ..) = world.judge_again(facts(generation, table), touched);
        walls.push(wall.elapsed());
        cpu += now() - start;
        paths += judged.paths;
    }
    let each = cpu.as_secs_f64() * 1e3 / CHANGES as f64;
    println!(
        "ten VRPs gone, mean of {CHANGES}: {each:.2} ms of the processor ({} paths judged), median wall {:.2} ms",
        paths / CHANGES as u64,
        median(walls).as_secs_f64() * 1e3
    );
}

/// Tables of their own, so many that the resident memory is theirs.
fn measure_memory(vrps: &[Vrp]) -> VrpTable {
    const TABLES: usize = 8;
    let before = resident();
    let mut tables: Vec<VrpTable> = (0..TABLES).map(|_| vrps.iter().copied().collect()).collect();
    let grown = (resident().saturating_sub(before)) * 1024 / TABLES;
    let table = tables.pop().expect("some");
    let count = table.len(Family::Ipv4) + table.len(Family::Ipv6);
    let each = |bytes: usize| bytes as f64 / count as f64;
    println!("{count} VRPs: {:.1} bytes each, resident {:.1}", each(table.bytes()), each(grown));
    table
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().expect("usage: edge_table TABLE.mrt [ROUNDS]");
    let rounds = arguments.next().map_or(3, |n| n.parse().unwrap());
    let vrps = read_vrps();
    let table = measure_memory(&vrps);
    let setup = Setup::new(&read_table(&std::fs::read(path).unwrap()), table);
    let mut world = measure_loads(&setup, rounds);
    measure_changes(&mut world, &setup, &vrps);
    println!("{} prefixes, resident {} MiB", setup.prefixes, resident() / 1024);
}
