//! Where full tables come from: the shared data's generator where it is there, else a small table of our own.

use std::path::{Path, PathBuf};
use std::process::Command;

use siskin_net::Prefix;

use crate::process::run;
use crate::{Error, Result, mrt, wire};

/// AS numbers of the two peers of every table here.
pub const PEERS: [u32; 2] = [1299, 3356];

/// Where made tables stay between runs.
const CACHE: &str = "/var/tmp/siskin";

/// A table in MRT form.
#[derive(Debug, Clone)]
pub struct Table {
    /// The file.
    pub path: PathBuf,
    /// Whether it is the real-sized one.
    pub full: bool,
}

/// The full table: `SISKIN_TABLE` names a file, else it is made by `../shared/data/make_table.py` once.
/// Without that, a table of `own` prefixes of each family, which has no real data in it.
///
/// # Errors
/// When the generator fails or the cache cannot be written.
pub fn full_or_own(own: u32) -> Result<Table> {
    if let Some(path) = std::env::var_os("SISKIN_TABLE") {
        return Ok(Table { path: path.into(), full: true });
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/make_table.py");
    std::fs::create_dir_all(CACHE)?;
    if !script.is_file() {
        return Ok(Table { path: make_own(own)?, full: false });
    }
    let path = Path::new(CACHE).join("full.mrt");
    if !path.is_file() {
        let part = Path::new(CACHE).join(format!("full.{}.part", std::process::id()));
        run(Command::new("python3").arg(script).arg("synth").arg("-o").arg(&part))
            .map_err(|e| e.during("making the full table"))?;
        std::fs::rename(&part, &path)?;
    }
    Ok(Table { path, full: true })
}

/// A table of `count` prefixes of each family that both peers have, with 16 prefixes to an attribute set.
///
/// # Errors
/// When it cannot be written.
pub fn make_own(count: u32) -> Result<PathBuf> {
    std::fs::create_dir_all(CACHE)?;
    let path = Path::new(CACHE).join(format!("small-{count}.mrt"));
    if path.is_file() {
        return Ok(path);
    }
    let mut entries = Vec::new();
    for index in 0..count {
        let four = Prefix::v4((0x2000_0000_u32.wrapping_add(index << 8)).into(), 24);
        entries.push((four, routes(index)));
    }
    for index in 0..count {
        let six = Prefix::v6(((0x2a00 << 112) + (u128::from(index) << 80)).into(), 48);
        entries.push((six, routes(index)));
    }
    let part = Path::new(CACHE).join(format!("small-{count}.{}.part", std::process::id()));
    mrt::write(&part, &PEERS, &entries)?;
    std::fs::rename(&part, &path).map_err(|e| Error::from(e).during(path.display()))?;
    Ok(path)
}

/// The attributes that each peer gives the prefix of this number; their paths are of equal length, so
/// that both are used.
fn routes(index: u32) -> Vec<Option<Vec<u8>>> {
    let origin_as = 397_000 + index / 16;
    PEERS
        .iter()
        .map(|peer| {
            let mut out = Vec::new();
            wire::attribute(&mut out, 0x40, 1, &[0]);
            // Public numbers: those of the tests are private, and a router drops a path with its own in it.
            let transit = 396_000 + index / 16 % 50;
            let hops = [*peer, transit, origin_as].map(u32::to_be_bytes).concat();
            wire::attribute(&mut out, 0x40, 2, &[&[2, 3], hops.as_slice()].concat());
            wire::attribute(&mut out, 0x40, 3, &[192, 0, 2, 1]);
            Some(out)
        })
        .collect()
}
