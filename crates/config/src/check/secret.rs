//! Secrets that stand in files of their own.

use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::model::Secret;

/// Reads a password: the file's first 80 octets at most, without the line end after them.
///
/// # Errors
/// Why not, in a few words.
pub(super) fn read(path: &Path) -> Result<Secret, String> {
    let file = std::fs::File::open(path).map_err(|error| error.to_string())?;
    let mut text = String::new();
    file.take(4096).read_to_string(&mut text).map_err(|error| error.to_string())?;
    let text = text.trim_end_matches(['\r', '\n']);
    match text.len() {
        0 => Err("the file is empty".to_owned()),
        1..=80 if !text.contains('\n') => Ok(Secret::new(text.to_owned())),
        1..=80 => Err("expected a single line".to_owned()),
        n => Err(format!("a TCP MD5 key has at most 80 octets, this one {n}")),
    }
}

/// Whether everybody on the machine may read the file.
pub(super) fn is_world_readable(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|meta| meta.mode() & 0o004 != 0)
}
