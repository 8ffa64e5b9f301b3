//! The user's reference and the examples say only what is so.

use std::fs;
use std::path::PathBuf;

use super::{check, config, with_router};
use crate::{RpkiMode, load};

fn project() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The ```toml fences of a Markdown text, with the line each begins at.
fn fences(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut open: Option<(usize, String)> = None;
    for (index, line) in text.lines().enumerate() {
        match (&mut open, line.trim_end()) {
            (None, "```toml") => open = Some((index + 2, String::new())),
            (Some(_), "```") => found.extend(open.take()),
            (Some((_, text)), line) => {
                text.push_str(line);
                text.push('\n');
            }
            (None, _) => {}
        }
    }
    found
}

/// Whether a fence is a file of its own or needs a router section.
fn complete(fence: &str) -> String {
    if fence.contains("[router]") { fence.to_owned() } else { with_router(fence) }
}

#[test]
fn every_example_of_the_reference_is_right() {
    let text = fs::read_to_string(project().join("docs/configuration.md")).unwrap();
    let fences = fences(&text);
    assert!(fences.len() > 20, "only {} examples", fences.len());
    // The files that examples name.
    let directory = tempfile::tempdir().unwrap();
    fs::create_dir(directory.path().join("keys")).unwrap();
    for (name, text) in [("keys/core", "secret\n"), ("keys/rtr", "secret\n"), ("blocklist.txt", "AS64499\n")]
    {
        fs::write(directory.path().join(name), text).unwrap();
    }
    let main = directory.path().join("siskin.toml");
    for (line, fence) in fences {
        fs::write(&main, complete(&fence)).unwrap();
        if let Err(diagnostics) = load(&main) {
            panic!("docs/configuration.md:{line}\n{diagnostics}");
        }
    }
}

#[test]
fn the_configurations_of_the_guides_are_complete_and_right() {
    for name in [
        "README.md",
        "docs/guides/hypervisor.md",
        "docs/guides/edge.md",
        "docs/guides/fabric.md",
        "docs/guides/restarts.md",
    ] {
        let fences = fences(&fs::read_to_string(project().join(name)).unwrap());
        assert!(!fences.is_empty(), "{name} has no configuration");
        for (line, fence) in fences {
            match check(&fence) {
                Ok(loaded) => assert!(loaded.warnings.is_empty(), "{name}:{line}\n{}", loaded.warnings),
                Err(diagnostics) => panic!("{name}:{line}\n{diagnostics}"),
            }
        }
    }
}

#[test]
fn every_key_is_in_the_reference() {
    let text = fs::read_to_string(project().join("docs/configuration.md")).unwrap();
    // An unknown key's help lists all keys of its place: the reader's own knowledge.
    for section in [
        "router",
        "kernel",
        "api",
        "edge",
        "rpki",
        "irr",
        "peeringdb",
        "peer.x",
        "peer.x.checks",
        "peer.x.max-prefix",
        "peer.x.irr",
        "dynamic-peer.x",
        "host-routes.x",
    ] {
        let wrong = format!("[router]\nasn = 1\n[{section}]\nqqqqqqqqqqqqqqqq = 1\n")
            .replace("[router]\nasn = 1\n[router]", "[router]");
        let diagnostics = check(&wrong).unwrap_err();
        let help = diagnostics
            .iter()
            .find_map(|d| d.help.clone().filter(|h| h.starts_with("known here: ")))
            .unwrap();
        for key in help.trim_start_matches("known here: ").split(", ") {
            assert!(text.contains(&format!("`{key}`")), "[{section}] {key} is not in docs/configuration.md");
        }
    }
}

/// The table of the rules by role is read and compared with what the checks are.
#[test]
fn the_table_of_the_edge_policy_is_what_a_role_brings() {
    let text = fs::read_to_string(project().join("docs/configuration.md")).unwrap();
    let (_, section) = text.split_once("\n## Edge policy\n").unwrap();
    let mut roles: Vec<&str> = Vec::new();
    let mut seen = 0;
    for line in section.lines().filter(|line| line.starts_with("| ")) {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        if cells[0] == "rule" {
            roles = cells[1..].to_vec();
        }
        for name in cells[0].split('`').skip(1).step_by(2) {
            for (role, cell) in roles.iter().zip(&cells[1..]) {
                let key = if *role == "no role" { String::new() } else { format!("role = '{role}'") };
                let peer = format!(
                    "[edge]\nblocklist-files = ['{}']\n[peer.a]\naddress = '192.0.2.1'\nasn = 65001\n{key}\n",
                    project().join("crates/config/src/tests/blocklist.txt").display()
                );
                let routes = &config(&with_router(&peer)).peers["a"].routes;
                let table = toml::Table::try_from(routes).unwrap();
                let value = match name {
                    "rpki = \"reject-invalid\"" => {
                        toml::Value::Boolean(routes.rpki == RpkiMode::RejectInvalid)
                    }
                    _ => match table["checks"].get(name).or_else(|| table.get(name)) {
                        Some(value) => value.clone(),
                        // The row speaks of another key.
                        None => continue,
                    },
                };
                let on = value != toml::Value::Boolean(false);
                assert_eq!(cell.starts_with("on"), on, "{name} of {role}: the table says {cell}");
                seen += 1;
            }
        }
    }
    assert_eq!(seen, 15 * 6, "every rule, every role");
}

#[test]
fn every_example_file_is_right() {
    let mut names = Vec::new();
    for entry in fs::read_dir(project().join("examples")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "toml") {
            match load(&path) {
                Ok(loaded) => assert!(loaded.warnings.is_empty(), "{}", loaded.warnings),
                Err(diagnostics) => panic!("{diagnostics}"),
            }
            names.push(path.file_stem().unwrap().to_string_lossy().into_owned());
        }
    }
    names.sort();
    assert_eq!(names, ["edge", "fabric", "hypervisor", "minimal", "route-server-client"]);
}
