//! What has to be there before anything starts: root, Debian packages, our own binaries.
//!
//! A missing piece fails the test with what to do. Skipping would leave a green run that tested nothing.

use std::path::{Path, PathBuf};

use crate::{Result, fail};

/// FRR's daemons, where Debian puts them.
pub const FRR_DIR: &str = "/usr/lib/frr";

/// Programs and the Debian package of each; the list of `make setup`.
const NEEDED: [(&str, &str); 9] = [
    ("/usr/lib/frr/bgpd", "frr"),
    ("/usr/lib/frr/zebra", "frr"),
    ("/usr/bin/vtysh", "frr"),
    ("/usr/sbin/bird", "bird2"),
    ("/usr/sbin/birdc", "bird2"),
    ("/usr/bin/stayrtr", "stayrtr"),
    ("/usr/bin/setpriv", "util-linux"),
    ("/usr/bin/ping", "iputils-ping"),
    ("/usr/bin/python3", "python3-minimal"),
];

/// Checks that we are root and that the peers' programs are installed.
///
/// # Errors
/// Names what is missing and says `make setup`.
pub fn ensure_installed() -> Result {
    if !is_root() {
        return fail("network namespaces need root: run this as root (or with sudo)");
    }
    let mut missing: Vec<&str> = NEEDED
        .iter()
        .filter(|(program, _)| !Path::new(program).exists())
        .map(|(_, package)| *package)
        .collect();
    if which("ip").is_none() {
        missing.push("iproute2");
    }
    missing.dedup();
    if missing.is_empty() {
        Ok(())
    } else {
        fail(format!("missing: {}; run `make setup`", missing.join(", ")))
    }
}

/// Whether the effective user is root, as `/proc` tells it.
fn is_root() -> bool {
    std::fs::read_to_string("/proc/self/status")
        .ok()
        .and_then(|text| {
            let line = text.lines().find(|l| l.starts_with("Uid:"))?;
            line.split_whitespace().nth(2).map(|uid| uid == "0")
        })
        .unwrap_or(false)
}

/// The first file of this name on `PATH` or in the system's `sbin` folders.
#[must_use]
pub fn which(program: &str) -> Option<PathBuf> {
    let path = std::env::var("PATH").unwrap_or_default();
    path.split(':')
        .chain(["/usr/sbin", "/sbin"])
        .map(|dir| Path::new(dir).join(program))
        .find(|file| file.is_file())
}

/// One of this project's binaries: in `SISKIN_BIN_DIR`, else beside the running program or, for a test, one
/// folder above it.
///
/// # Errors
/// When it was not built.
pub fn our_binary(name: &str) -> Result<PathBuf> {
    if let Some(dir) = std::env::var_os("SISKIN_BIN_DIR") {
        let file = Path::new(&dir).join(name);
        return if file.is_file() {
            Ok(file)
        } else {
            fail(format!("{} is not there (SISKIN_BIN_DIR names its folder)", file.display()))
        };
    }
    let me = std::env::current_exe()?;
    me.ancestors()
        .skip(1)
        .take(2)
        .map(|dir| dir.join(name))
        .find(|file| file.is_file())
        .map_or_else(|| fail(format!("`{name}` is not built: run `make build`, or set SISKIN_BIN_DIR")), Ok)
}
