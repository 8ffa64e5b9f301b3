//! The user's reference and the examples say only what is so.

use std::fs;
use std::path::PathBuf;

use super::{check, with_router};
use crate::load;

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
    fs::write(directory.path().join("keys/core"), "secret\n").unwrap();
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
    for section in
        ["router", "kernel", "api", "rpki", "irr", "peeringdb", "peer.x", "dynamic-peer.x", "host-routes.x"]
    {
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
