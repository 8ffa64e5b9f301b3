//! `siskin-bench --edge`: what filtering costs. A full table in from one peer and out to another, without filters and with
//! those of an edge: bogons, lengths, a registry's list of 100,000 entries, and the real VRPs of a day from StayRTR. BIRD 2
//! has the same lists as prefix sets, filter and ROA tables, and must come to the same number of routes.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use siskin_interop::bird::Bird;
use siskin_interop::install::our_binary;
use siskin_interop::lab::{Lab, Ns};
use siskin_interop::mrt;
use siskin_interop::process::Daemon;
use siskin_interop::router::{Config, Neighbor};
use siskin_interop::siskin::Siskin;
use siskin_interop::stayrtr::StayRtr;
use siskin_interop::tool::{Tool, at};
use siskin_interop::wait::{SOON, wait_some};
use siskin_interop::{Error, Result};
use siskin_net::{Family, Prefix};

use super::{Arguments, HEAD, LIMIT, Sample, Subject, columns, line, median, number, ratio, rest};
use siskin_interop::make::Make;

/// Entries of the registry's list.
const ENTRIES: usize = 100_000;
/// The longest prefixes taken, and the lengths that an entry of the list allows.
const LONGEST: [(Family, u8); 2] = [(Family::Ipv4, 24), (Family::Ipv6, 48)];
const BOGONS: [(Family, &[&str]); 2] = [
    (
        Family::Ipv4,
        &[
            "0.0.0.0/8",
            "10.0.0.0/8",
            "100.64.0.0/10",
            "127.0.0.0/8",
            "169.254.0.0/16",
            "172.16.0.0/12",
            "192.0.2.0/24",
            "192.168.0.0/16",
            "198.18.0.0/15",
            "198.51.100.0/24",
            "203.0.113.0/24",
            "224.0.0.0/3",
        ],
    ),
    (
        Family::Ipv6,
        &[
            "::/8",
            "100::/8",
            "200::/7",
            "400::/6",
            "800::/5",
            "1000::/4",
            "2001:db8::/32",
            "2002::/16",
            "3ffe::/16",
            "fc00::/7",
            "fe80::/10",
            "fec0::/10",
            "ff00::/8",
        ],
    ),
];

/// What filters look into.
struct Lists {
    vrps: Vec<(String, u8, u32)>,
    entries: Vec<Prefix>,
}

/// A daemon with or without filters.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Setup {
    kind: Make,
    filters: bool,
}

const SETUPS: [Setup; 4] = [
    Setup { kind: Make::Bird, filters: false },
    Setup { kind: Make::Bird, filters: true },
    Setup { kind: Make::Siskin, filters: false },
    Setup { kind: Make::Siskin, filters: true },
];

impl Setup {
    fn name(self) -> String {
        let kind = format!("{:?}", self.kind).to_lowercase();
        format!("{kind}{}", if self.filters { " edge" } else { "" })
    }
}

pub(super) fn run_all(mrt: &Path, arguments: &Arguments) -> Result {
    let lists = Lists::read(mrt, arguments.as_peer)?;
    println!("{} entries of a registry, {} VRPs", lists.entries.len(), lists.vrps.len());
    let left = surviving(mrt, arguments, &lists)?;
    println!("filters leave {} IPv4 and {} IPv6 prefixes", left.0, left.1);
    let mut samples: Vec<Vec<Sample>> = SETUPS.iter().map(|_| Vec::new()).collect();
    for round in 1..=arguments.rounds {
        for (setup, list) in SETUPS.iter().zip(&mut samples) {
            let sample = in_lab(*setup, mrt, arguments, &lists, Some(left))?.1;
            println!("round {round} {:12} {}", setup.name(), line(&sample));
            list.push(sample);
        }
    }
    println!("\nmedians of {}", arguments.rounds);
    println!("{:22} {HEAD}", "");
    let medians: Vec<Sample> = samples.iter().map(|list| median(list)).collect();
    for (setup, sample) in SETUPS.iter().zip(&medians) {
        println!("{:22} {}", setup.name(), line(sample));
    }
    if let [bird, bird_edge, siskin, siskin_edge] = medians.as_slice() {
        println!("{:22} {}", "bird: edge / off", columns(&ratio(bird_edge, bird), 2));
        println!("{:22} {}", "siskin: edge / off", columns(&ratio(siskin_edge, siskin), 2));
        println!("{:22} {}", "edge: siskin / bird", columns(&ratio(siskin_edge, bird_edge), 2));
    }
    Ok(())
}

/// How many prefixes the filters leave, as our own daemon counts them.
fn surviving(mrt: &Path, arguments: &Arguments, lists: &Lists) -> Result<(u64, u64)> {
    let setup = Setup { kind: Make::Siskin, filters: true };
    Ok(in_lab(setup, mrt, arguments, lists, None)?.0)
}

fn in_lab(
    setup: Setup,
    mrt: &Path,
    arguments: &Arguments,
    lists: &Lists,
    left: Option<(u64, u64)>,
) -> Result<((u64, u64), Sample)> {
    let lab = Lab::new("edge")?;
    let result = round(&lab, setup, mrt, arguments, lists, left);
    if result.is_err() {
        lab.keep();
    }
    result.map_err(|e| e.during(setup.name()))
}

fn round(
    lab: &Lab,
    setup: Setup,
    mrt: &Path,
    arguments: &Arguments,
    lists: &Lists,
    left: Option<(u64, u64)>,
) -> Result<((u64, u64), Sample)> {
    let (feeder, subject_ns, taker) = super::network(lab)?;
    let mut play = Tool::play(&feeder, "play", &super::play_arguments(mrt, arguments))?;
    let encoded = play.event("encoded", LIMIT)?;
    let all = (number(&encoded, "ipv4")?, number(&encoded, "ipv6")?);
    let _sources = if setup.filters { Some(Sources::start(&subject_ns, lists)?) } else { None };
    let mut subject = start(setup, &subject_ns, arguments, lists)?;
    let expected = match (setup.filters, left) {
        (false, _) => all,
        (true, Some(left)) => left,
        // Never reached: this round only counts.
        (true, None) => (all.0 + 1, all.1 + 1),
    };
    let sink = format!("--connect 10.0.1.2 --asn 64999 --expect4 {} --expect6 {}", expected.0, expected.1);
    let mut sink = Tool::sink(&taker, "sink", &sink)?;
    play.event("established", SOON)?;
    sink.event("established", SOON)?;
    rest(subject.daemon())?;
    let before = subject.daemon().cpu_seconds()?;
    play.send("go")?;
    let start = at(&play.event("started", SOON)?)?;
    let through = match left {
        None if setup.filters => 0.0,
        _ => at(&sink.event("reached", LIMIT)?)? - start,
    };
    rest(subject.daemon())?;
    let cpu = subject.daemon().cpu_seconds()? - before;
    let counted = sink.counts()?;
    #[expect(clippy::cast_precision_loss, reason = "KiB of a process fit a double")]
    let peak = subject.daemon().peak_kib()? as f64 / 1024.0;
    if left.is_some() && counted != expected {
        return Err(Error::new(format!("{counted:?} prefixes came out, and not {expected:?}")));
    }
    Ok((counted, Sample { through, kernel: 0.0, withdraw: 0.0, cpu, peak }))
}

/// The cache and the registry, in the namespace of the daemon.
struct Sources {
    _cache: StayRtr,
    _registry: Daemon,
}

impl Sources {
    fn start(ns: &Ns, lists: &Lists) -> Result<Sources> {
        let vrps: Vec<(&str, u8, u32)> =
            lists.vrps.iter().map(|(p, max, asn)| (p.as_str(), *max, *asn)).collect();
        let cache = StayRtr::start(ns, 8282, &vrps)?;
        let mut text = String::from("set AS-BENCH AS3333\n");
        for entry in &lists.entries {
            text.push_str(&format!("route AS3333 {entry}\n"));
        }
        let data = ns.file("registry.txt", &text)?;
        let mut command = ns.command(our_binary("siskin-stand-in")?);
        command.args(["irrd", "--listen", "127.0.0.1:4343", "--data"]).arg(data);
        let registry = Daemon::spawn("registry", &mut command, &ns.dir().join("registry.log"))?;
        Ok(Sources { _cache: cache, _registry: registry })
    }
}

fn start(setup: Setup, ns: &Ns, arguments: &Arguments, lists: &Lists) -> Result<Subject> {
    match (setup.kind, setup.filters) {
        (kind @ Make::Frr, _) | (kind, false) => Subject::start(kind, ns, arguments),
        (Make::Siskin, true) => {
            let siskin = Siskin::start(ns, &siskin_config(arguments))?;
            wait_some("VRPs and lists", LIMIT, || {
                std::thread::sleep(Duration::from_millis(200));
                let (rpki, irr) = (siskin.api("/v1/rpki")?, siskin.api("/v1/irr")?);
                let vrps = ["ipv4", "ipv6"].iter().filter_map(|f| rpki["vrps"][*f].as_u64()).sum::<u64>();
                let sets = irr["sets"].as_array().cloned().unwrap_or_default();
                let fresh = sets.len() == 2 && sets.iter().all(|set| set["state"] == "fresh");
                Ok((vrps == lists.vrps.len() as u64 && fresh).then_some(()))
            })?;
            Ok(Subject::Siskin(siskin))
        }
        (Make::Bird, true) => {
            let neighbors =
                vec![Neighbor::new([10, 0, 0, 1], arguments.as_peer), Neighbor::new([10, 0, 1, 1], 64_999)];
            let config = Config::new(64_500, [10, 0, 0, 2], neighbors, Vec::new());
            let bird = Bird::start_raw(ns, &config, &bird_config(arguments, lists))?;
            wait_some("VRPs in BIRD", LIMIT, || {
                std::thread::sleep(Duration::from_millis(200));
                let count = |table: &str| -> Result<usize> {
                    let text = bird.birdc(&format!("show route table {table} count"))?;
                    let words = text.split_whitespace();
                    Ok(words.filter_map(|word| word.parse::<usize>().ok()).max().unwrap_or(0))
                };
                Ok((count("r4")? + count("r6")? >= lists.vrps.len()).then_some(()))
            })?;
            Ok(Subject::Bird(bird))
        }
    }
}

fn siskin_config(arguments: &Arguments) -> String {
    let quoted = BOGONS.iter().flat_map(|(_, list)| list.iter()).map(|p| format!("\"{p}+\""));
    let bogons = quoted.collect::<Vec<_>>().join(", ");
    format!(
        "asn = 64500\nrouter-id = \"10.0.0.2\"\n\n[kernel]\ninstall = false\n\n\
         [rpki]\nservers = [\"127.0.0.1:8282\"]\n\n[irr]\nserver = \"127.0.0.1:4343\"\nsources = [\"RIPE\"]\n\n\
         [edge]\nbogon-prefixes = [{bogons}]\nbogon-asns = [23456, \"64496-64511\", \"65536-131071\"]\n\n\
         [peer.in]\naddress = \"10.0.0.1\"\nasn = {}\npassive = true\nimport = \"accept-all\"\n\
         export = \"reject-all\"\nrpki = \"reject-invalid\"\n\
         irr = {{ as-set = \"AS-BENCH\", max-length = {{ ipv4 = 24, ipv6 = 48 }} }}\n\
         checks = {{ bogon-prefix = true, bogon-asn = true, prefix-length = true, path-length = 100 }}\n\n\
         [peer.out]\naddress = \"10.0.1.1\"\nasn = 64999\npassive = true\nimport = \"reject-all\"\n\
         export = \"accept-all\"\n",
        arguments.as_peer
    )
}

fn bird_config(arguments: &Arguments, lists: &Lists) -> String {
    let mut text = String::from(
        "log stderr all;\nrouter id 10.0.0.2;\nprotocol device {}\nprotocol direct { ipv4; ipv6; }\n\
         roa4 table r4;\nroa6 table r6;\n\
         protocol rpki { roa4 { table r4; }; roa6 { table r6; }; remote 127.0.0.1 port 8282; }\n",
    );
    for ((family, longest), (_, bogons)) in LONGEST.iter().zip(BOGONS) {
        let n = if *family == Family::Ipv4 { 4 } else { 6 };
        let shortest = if n == 4 { 8 } else { 12 };
        let own = lists.entries.iter().filter(|entry| entry.family() == *family);
        let entries: Vec<String> = own.map(|e| format!("{e}{{{},{longest}}}", e.len())).collect();
        let bogons: Vec<String> = bogons.iter().map(|p| format!("{p}+")).collect();
        text.push_str(&format!(
            "define IRR{n} = [ {} ];\ndefine BOGONS{n} = [ {} ];\n\
             filter edge{n} {{ if net ~ BOGONS{n} then reject; \
             if net.len < {shortest} || net.len > {longest} then reject; if bgp_path.len > 100 then reject; \
             if bgp_path ~ [ 23456, 64496..64511, 65536..131071 ] then reject; \
             if !(net ~ IRR{n}) then reject; \
             if roa_check(r{n}, net, bgp_path.last) = ROA_INVALID then reject; accept; }}\n",
            entries.join(", "),
            bogons.join(", "),
        ));
    }
    for (name, address, asn, taken, given, hop) in [
        ("peer0", "10.0.0.1", arguments.as_peer, true, "none", "2001:db8::2"),
        ("peer1", "10.0.1.1", 64_999, false, "where source = RTS_BGP", "2001:db8:1::2"),
    ] {
        let import = |n: u8| if taken { format!("filter edge{n}") } else { "none".to_owned() };
        text.push_str(&format!(
            "protocol bgp {name} {{ local as 64500; neighbor {address} as {asn}; passive on; \
             ipv4 {{ import {}; export {given}; }}; \
             ipv6 {{ import {}; export {given}; next hop address {hop}; }}; }}\n",
            import(4),
            import(6)
        ));
    }
    text
}

impl Lists {
    fn read(mrt: &Path, peer: u32) -> Result<Lists> {
        let mut all: BTreeSet<Prefix> = BTreeSet::new();
        mrt::routes(mrt, peer, |prefix, _| {
            all.insert(prefix);
            Ok(())
        })?;
        // What covers much first, so that most of the table is registered: blocks, then what is longer.
        let block = |prefix: &Prefix| if prefix.family() == Family::Ipv4 { 16 } else { 32 };
        let mut entries: BTreeSet<Prefix> = all
            .iter()
            .map(|prefix| Prefix::from_bits(prefix.family(), prefix.bits(), prefix.len().min(block(prefix))))
            .collect();
        let missing = ENTRIES.saturating_sub(entries.len());
        let longer = all.iter().filter(|prefix| prefix.len() > block(prefix)).take(missing);
        let longer: Vec<Prefix> = longer.copied().collect();
        entries.extend(longer);
        Ok(Lists { vrps: read_vrps()?, entries: entries.into_iter().collect() })
    }
}

/// The VRPs of the shared data.
fn read_vrps() -> Result<Vec<(String, u8, u32)>> {
    let data = std::env::var_os("SISKIN_DATA").map_or_else(|| PathBuf::from("../shared/data"), PathBuf::from);
    let file = data.join("rpki/rpki-client-20250720T093135Z.json.bz2");
    let output = Command::new("bzip2").arg("-dc").arg(&file).output()?;
    if !output.status.success() {
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(Error::new(format!("{}: {error}", file.display())));
    }
    let page: Value = serde_json::from_slice(&output.stdout)?;
    let roas = page["roas"].as_array().cloned().unwrap_or_default();
    let one = |roa: &Value| {
        let prefix = roa["prefix"].as_str()?.to_owned();
        Some((
            prefix,
            u8::try_from(roa["maxLength"].as_u64()?).ok()?,
            u32::try_from(roa["asn"].as_u64()?).ok()?,
        ))
    };
    // Two trust anchors may say the same.
    let distinct: BTreeSet<(String, u8, u32)> = roas.iter().filter_map(one).collect();
    Ok(distinct.into_iter().collect())
}
