use std::collections::BTreeSet;
use std::path::Path;

use super::*;

/// One peer, one interface: every family of metrics shows itself.
fn snapshot() -> Snapshot {
    let fixture = |name: &str| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../api/fixtures").join(name);
        std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
    };
    Snapshot {
        status: serde_json::from_str(&fixture("status.json")).unwrap(),
        peers: vec![serde_json::from_str(&fixture("peer.json")).unwrap()],
        host_routes: serde_json::from_str(&fixture("host-routes.json")).unwrap(),
        host_statistics: siskin_neighbor::Statistics::default(),
        filter: FilterStatus::default(),
        memory: siskin_rib::Memory::default(),
        nexthops: 3,
        subscribers: 1,
        rpki: serde_json::from_str(&fixture("rpki.json")).unwrap(),
        irr: serde_json::from_str(&fixture("irr.json")).unwrap(),
    }
}

#[test]
fn the_reference_lists_exactly_what_is_there() {
    let text = Counters::new().render(&snapshot());
    let shown: BTreeSet<&str> =
        text.lines().filter_map(|l| l.strip_prefix("# TYPE ")).filter_map(|l| l.split(' ').next()).collect();
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/metrics.md");
    let docs = std::fs::read_to_string(docs).unwrap();
    let listed: BTreeSet<&str> = docs
        .lines()
        .filter_map(|l| l.strip_prefix("| `siskin_"))
        .filter_map(|l| l.split('`').next())
        .collect();
    let listed: BTreeSet<String> = listed.into_iter().map(|name| format!("siskin_{name}")).collect();
    assert_eq!(listed, shown.into_iter().map(str::to_owned).collect());
}

#[test]
fn a_peer_is_in_one_state() {
    let text = Counters::new().render(&snapshot());
    let states = text.lines().filter(|l| l.starts_with("siskin_peer_state{"));
    assert_eq!(states.clone().count(), STATES.len());
    assert_eq!(states.filter(|l| l.ends_with(" 1")).count(), 1);
}
