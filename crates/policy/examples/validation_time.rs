//! Validates every prefix of two real tables against all real VRPs, prints the counts, and how much processor time it takes:
//! `cargo run --release --example validation_time [DATA-FOLDER]`. The folder is that of the shared data, whose README
//! has the counts that two other readers came to; `bzip2` and `gzip` must be installed.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "it ends where its data are not as expected")]

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use siskin_net::{Asn, Family, Prefix, Vrp};
use siskin_policy::{Rpki, VrpTable};

const VRPS: &str = "rpki/rpki-client-20250720T093135Z.json.bz2";
const TABLES: [&str; 2] = ["prefixes/pfx2as-v4-20240406.gz", "prefixes/pfx2as-v6-20220504.gz"];

/// The processor time this thread has had: on a busy machine the clock would tell of others' work.
fn now() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    Duration::from_nanos(text.split(' ').next().unwrap().parse().unwrap())
}

fn unpacked(program: &str, file: &Path) -> String {
    let output = Command::new(program).arg("-dc").arg(file).output().expect("the program runs");
    assert!(output.status.success(), "{program} {}", file.display());
    String::from_utf8(output.stdout).expect("text")
}

fn read_vrps(folder: &Path) -> Vec<Vrp> {
    let json: serde_json::Value = serde_json::from_str(&unpacked("bzip2", &folder.join(VRPS))).unwrap();
    let number = |value: &serde_json::Value| value.as_u64().unwrap();
    let roas = json["roas"].as_array().unwrap();
    roas.iter()
        .map(|roa| Vrp {
            prefix: roa["prefix"].as_str().unwrap().parse().unwrap(),
            max_len: number(&roa["maxLength"]).try_into().unwrap(),
            asn: Asn(number(&roa["asn"]).try_into().unwrap()),
        })
        .collect()
}

/// Prefixes with their first origins; lines are `address length origins` or `prefix origin`.
fn read_table(text: &str) -> Vec<(Prefix, Asn)> {
    let line = |line: &str| {
        let fields: Vec<&str> = line.split('\t').collect();
        let (prefix, origins) = match *fields {
            [address, len, origins] => (format!("{address}/{len}"), origins),
            [prefix, origins] => (prefix.to_owned(), origins),
            _ => return None,
        };
        let first = origins.split(['_', ',']).next()?;
        Some((prefix.parse().ok()?, first.parse().ok()?))
    };
    text.lines().filter(|l| !l.starts_with(';')).filter_map(line).collect()
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

fn each(total: Duration, count: usize) -> String {
    format!("{:.1} ns", total.as_secs_f64() * 1e9 / count as f64)
}

fn measure_lookups(table: &VrpTable, title: &str, routes: &[(Prefix, Asn)]) {
    let start = now();
    let mut counts = [0usize; 3];
    for (prefix, origin) in routes {
        match table.validate(*prefix, Some(*origin)) {
            Rpki::Valid => counts[0] += 1,
            Rpki::NotFound => counts[1] += 1,
            Rpki::Invalid => counts[2] += 1,
        }
    }
    let each = each(now() - start, routes.len());
    println!("{title}: {each} a lookup, {} valid, {} not found, {} invalid", counts[0], counts[1], counts[2]);
}

fn main() {
    let default = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let folder = std::env::args().nth(1).map_or_else(default, PathBuf::from);
    let vrps = read_vrps(&folder);
    let start = now();
    let table: VrpTable = vrps.iter().copied().collect();
    let built = now() - start;
    let count = table.len(Family::Ipv4) + table.len(Family::Ipv6);
    println!("{count} VRPs, {} of them IPv6; the table was made in {built:.0?}", table.len(Family::Ipv6));
    println!("{:.1} bytes a VRP", table.bytes() as f64 / count as f64);
    for (name, title) in TABLES.iter().zip(["IPv4", "IPv6"]) {
        let mut routes = read_table(&unpacked("gzip", &folder.join(name)));
        measure_lookups(&table, &format!("{title} in order"), &routes);
        shuffle(&mut routes);
        measure_lookups(&table, &format!("{title} in no order"), &routes);
    }
    let mut order = vrps;
    shuffle(&mut order);
    let changes: Vec<&[Vrp]> = order.chunks_exact(10).take(1000).collect();
    let start = now();
    for ten in &changes {
        black_box(table.apply(ten, &[]));
    }
    let change = (now() - start) / u32::try_from(changes.len()).unwrap();
    println!("{} µs a change of ten", change.as_micros());
}
