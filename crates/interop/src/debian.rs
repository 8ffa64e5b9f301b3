//! Debian file systems, made from the distribution's packages.

use std::path::Path;
use std::process::Command;

use crate::Result;
use crate::process::run;

/// What outlives a test: images, and what they are made of.
pub const CACHE: &str = "/var/cache/siskin-test";

/// The release that images are made of.
const SUITE: &str = "bookworm";

/// Unpacks a minimal Debian with these packages into `root`, which must not exist; takes minutes.
///
/// # Errors
/// When `debootstrap` fails.
pub fn bootstrap(root: &Path, packages: &[&str]) -> Result {
    let include = format!("--include={}", packages.join(","));
    run(Command::new("debootstrap").args(["--variant=minbase", &include, SUITE]).arg(root)).map(drop)
}

/// Removes such a tree.
pub fn remove(root: &Path) {
    // What is left over is found by whoever looks into the cache.
    let _ = run(Command::new("rm").args(["-rf", "--one-file-system"]).arg(root));
}
