//! How long a set takes from a server to the daemon, and what it costs in memory:
//! `irr_load HOST:PORT SET [STATE-DIR]`. With a state folder the second run shows the way from disk.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use siskin_irr::{Config, HostPort, Names, PeerRequest, SetName, SetRequest, Update, start};
use siskin_net::{Asn, Family, FamilySet};

/// Octets of a line of `/proc/self/status`, such as `VmRSS` (now) or `VmHWM` (the most so far).
fn memory(line: &str) -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let found =
        status.lines().find_map(|text| text.strip_prefix(line)?.strip_prefix(':')?.split_whitespace().next());
    found.and_then(|kilobytes| kilobytes.parse::<usize>().ok()).unwrap_or_default() * 1024
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(server), Some(set)) = (arguments.next(), arguments.next()) else {
        return Err("usage: irr_load HOST:PORT SET [STATE-DIR]".into());
    };
    let server = HostPort::parse(&server, 43)?;
    let name: SetName = set.parse()?;
    let state_dir = arguments.next().map(Into::into);
    let (sender, mut updates) = tokio::sync::mpsc::channel(4);
    let (before, begun) = (memory("VmRSS"), Instant::now());
    let client = start(Config { server, state_dir, ..Config::default() }, sender);
    let sets = SetRequest {
        names: Names::Sets(vec![name]),
        sources: None,
        families: FamilySet::BOTH,
        members: false,
    };
    let request = PeerRequest { asn: Asn(1), sets: Some(sets), peeringdb: false };
    client.set_requests(BTreeMap::from([("peer".to_owned(), request)]), false);
    while let Some(update) = updates.recv().await {
        let Update::Lists { lists, .. } = update else { continue };
        let list = |family| lists.prefixes[family].as_ref().map_or(0, |list| list.len());
        let entries = Family::ALL.into_iter().map(list).sum::<usize>();
        if entries == 0 {
            continue;
        }
        let took = begun.elapsed();
        let most = memory("VmHWM").saturating_sub(before);
        // What is still being written to disk is not held.
        tokio::time::sleep(Duration::from_secs(3)).await;
        let held = memory("VmRSS").saturating_sub(before);
        println!(
            "{set}: {entries} prefixes in {} ms; octets a prefix: {} held, {} at most while loading",
            took.as_millis(),
            held / entries,
            most / entries
        );
        break;
    }
    client.stop().await;
    Ok(())
}
