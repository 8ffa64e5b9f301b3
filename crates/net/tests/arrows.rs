//! The arrows between the rooms (see ARCHITECTURE.md): which crate may use which, read from the manifests.
#![expect(clippy::expect_used, reason = "a test that cannot read the manifests has failed")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Each room with the rooms it may use. A room that is missing here is an error, as is an arrow that is.
const ARROWS: &[(&str, &[&str])] = &[
    ("net", &[]),
    ("bgp", &["net"]),
    ("policy", &["net", "bgp"]),
    ("config", &["net", "bgp", "policy"]),
    ("rib", &["net", "bgp", "policy"]),
    ("fib", &["net"]),
    ("neighbor", &["net"]),
    ("rpki-client", &["net"]),
    ("irr", &["net"]),
    ("api", &["net"]),
    ("daemon", &["net", "bgp", "policy", "config", "rib", "fib", "neighbor", "rpki-client", "irr", "api"]),
    ("cli", &["net", "api", "config"]),
    ("sim", &["net", "bgp", "policy", "rib", "neighbor"]),
    ("interop", &["net", "neighbor"]),
    ("fuzz", &["net", "bgp", "policy", "config", "rib", "fib", "neighbor", "rpki-client", "irr", "api"]),
];

/// What no pure room may depend on: threads of execution, sockets, clocks, randomness.
const IMPURE: &[&str] =
    &["tokio", "socket2", "libc", "netlink-sys", "rand", "getrandom", "mio", "rustix", "nix"];
/// The pure rooms: time and bytes are arguments.
const PURE: &[&str] = &["net", "bgp", "policy", "rib"];

/// The dependencies of every room, from the `[dependencies]` sections of the manifests.
fn manifests() -> BTreeMap<String, BTreeSet<String>> {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("crates/");
    let mut rooms = BTreeMap::new();
    for entry in std::fs::read_dir(crates).expect("crates/ is readable") {
        let dir = entry.expect("a directory entry").path();
        let Ok(text) = std::fs::read_to_string(dir.join("Cargo.toml")) else { continue };
        let name = dir.file_name().expect("a name").to_string_lossy().into_owned();
        let mut section = "";
        let mut used = BTreeSet::new();
        for line in text.lines() {
            if line.starts_with('[') {
                section = line;
            } else if section.ends_with("dependencies]") && section != "[dev-dependencies]" {
                let key = line.split(['.', '=', ' ']).next().unwrap_or("");
                if !key.is_empty() && !key.starts_with('#') {
                    used.insert(key.to_string());
                }
            }
        }
        rooms.insert(name, used);
    }
    rooms
}

#[test]
fn rooms_use_only_what_the_architecture_allows() {
    let allowed: BTreeMap<_, _> = ARROWS.iter().copied().collect();
    for (room, used) in manifests() {
        let may = allowed.get(room.as_str()).unwrap_or_else(|| panic!("{room}: no row in ARROWS"));
        for dependency in used.iter().filter_map(|d| d.strip_prefix("siskin-")) {
            assert!(
                may.contains(&dependency),
                "{room} uses {dependency}, which the architecture does not allow"
            );
        }
    }
}

#[test]
fn pure_rooms_use_nothing_impure_and_ban_the_clock() {
    let rooms = manifests();
    for room in PURE {
        for impure in IMPURE {
            assert!(!rooms[*room].contains(*impure), "{room} is pure and must not use {impure}");
        }
        let clippy =
            Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("crates/").join(room).join("clippy.toml");
        let text = std::fs::read_to_string(&clippy).unwrap_or_else(|e| panic!("{}: {e}", clippy.display()));
        assert!(text.contains("std::time::Instant::now"), "{} does not ban the clock", clippy.display());
    }
}
