//! Reads BGP messages out of MRT update files (RFC 6396: BGP4MP and BGP4MP_ET), as far as tests and measurements need.

use std::io::Read;
use std::path::{Path, PathBuf};

/// One message as a collector saw it.
pub(crate) struct Seen {
    /// The collector's session had four-octet AS numbers.
    pub(crate) four_octet_as: bool,
    /// The peer's AS is not the collector's.
    pub(crate) external: bool,
    /// The whole message, header included.
    pub(crate) message: Vec<u8>,
}

/// The folder of real data beside the project, if it is there; `SISKIN_DATA` names another.
pub(crate) fn data() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let folder = std::env::var_os("SISKIN_DATA").map_or(beside, PathBuf::from);
    folder.is_dir().then_some(folder)
}

/// A file's bytes, unpacked if its name ends in `.gz`.
pub(crate) fn read(path: &Path) -> Vec<u8> {
    let raw = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    if path.extension().is_none_or(|e| e != "gz") {
        return raw;
    }
    let mut bytes = Vec::new();
    flate2::read::MultiGzDecoder::new(&raw[..]).read_to_end(&mut bytes).expect("a gzip file");
    bytes
}

/// All messages of an update file, in order.
pub(crate) fn messages(mut bytes: &[u8]) -> Vec<Seen> {
    let mut seen = Vec::new();
    while let Some((header, rest)) = bytes.split_first_chunk::<12>() {
        let number =
            |at: usize, len: usize| header[at..at + len].iter().fold(0, |n, b| n << 8 | usize::from(*b));
        let (kind, subtype, length) = (number(4, 2), number(6, 2), number(8, 4));
        let (mut record, rest) = rest.split_at(length.min(rest.len()));
        bytes = rest;
        if kind == 17 {
            record = &record[4..];
        }
        // BGP4MP_MESSAGE and BGP4MP_MESSAGE_AS4.
        if !matches!((kind, subtype), (16 | 17, 1 | 4)) {
            continue;
        }
        let four_octet_as = subtype == 4;
        let size = if four_octet_as { 4 } else { 2 };
        let external = record[..size] != record[size..2 * size];
        let family = &record[2 * size + 2..2 * size + 4];
        let addresses = if family == [0, 1] { 8 } else { 32 };
        let message = record[2 * size + 4 + addresses..].to_vec();
        seen.push(Seen { four_octet_as, external, message });
    }
    seen
}
