//! Shell patterns in the names of include files: `*` and `?`.

use std::path::{Path, PathBuf};

use siskin_net::NamePattern;

/// The files a path with patterns in its last part names, sorted; hidden ones only if the pattern begins with a
/// dot. A directory that is not there has no files.
///
/// # Errors
/// What the operating system said of the directory.
pub(crate) fn files(pattern: &Path) -> std::io::Result<Vec<PathBuf>> {
    let directory = pattern.parent().unwrap_or(Path::new(""));
    let directory = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
    let name_pattern = pattern.file_name().and_then(|n| n.to_str()).unwrap_or_default();
    let pattern_of_name = NamePattern::new(name_pattern);
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        let hidden = name.starts_with('.') && !name_pattern.starts_with('.');
        if !hidden && pattern_of_name.matches(name) && entry.path().is_file() {
            found.push(pattern.with_file_name(name));
        }
    }
    found.sort();
    Ok(found)
}
