//! Small files in the state folder: written whole or not at all, read up to a limit.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

/// The largest file that is read, octets.
const MAX_FILE: u64 = 64 << 20;

/// Writes a value as JSON in the place of what the file held.
///
/// # Errors
/// As the file system says, with the path.
pub(crate) fn save(path: &Path, value: &impl Serialize) -> io::Result<()> {
    let named = |e: io::Error| io::Error::new(e.kind(), format!("{}: {e}", path.display()));
    let text = serde_json::to_vec(value).map_err(io::Error::other).map_err(named)?;
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(named)?;
    let draft = path.with_extension("new");
    let mut file = File::create(&draft).map_err(named)?;
    file.write_all(&text).and_then(|()| file.sync_all()).map_err(named)?;
    fs::rename(&draft, path).and_then(|()| File::open(folder)?.sync_all()).map_err(named)
}

/// Reads a value; `None` if there is no file.
///
/// # Errors
/// A sentence that names the file: it cannot be read, is too long, or holds something else.
pub(crate) fn load<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, String> {
    let refuse = |why: &dyn std::fmt::Display| format!("{}: {why}", path.display());
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(refuse(&error)),
    };
    let mut text = Vec::new();
    file.take(MAX_FILE + 1).read_to_end(&mut text).map_err(|e| refuse(&e))?;
    if text.len() as u64 > MAX_FILE {
        return Err(refuse(&"too long"));
    }
    serde_json::from_slice(&text).map(Some).map_err(|e| refuse(&e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_saved_is_loaded_and_what_is_broken_is_named() {
        let folder = std::env::temp_dir().join(format!("siskin-state-{}", std::process::id()));
        let path = folder.join("deep").join("a.json");
        assert_eq!(load::<Vec<u32>>(&path), Ok(None));
        save(&path, &[1, 2, 3]).unwrap();
        save(&path, &[4, 5]).unwrap();
        assert_eq!(load::<Vec<u32>>(&path), Ok(Some(vec![4, 5])));
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "no draft is left");
        fs::write(&path, "[1,").unwrap();
        assert!(load::<Vec<u32>>(&path).unwrap_err().contains("a.json"));
        fs::remove_dir_all(&folder).unwrap();
    }
}
