//! Shell patterns over one name: `*` and `?`; for include files and interface names.

use std::path::{Path, PathBuf};

/// Whether `name` matches `pattern`, in time linear in their product at worst.
pub(crate) fn matches(pattern: &str, name: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let name: Vec<char> = name.chars().collect();
    let (mut p, mut n) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while n < name.len() {
        match (pattern.get(p), name.get(n)) {
            (Some('*'), _) => {
                retry = Some((p + 1, n));
                p += 1;
            }
            (Some(a), Some(b)) if *a == '?' || a == b => {
                p += 1;
                n += 1;
            }
            _ => match retry {
                Some((after_star, from)) => {
                    retry = Some((after_star, from + 1));
                    p = after_star;
                    n = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern.iter().skip(p).all(|c| *c == '*')
}

/// Whether a text has pattern characters at all.
pub(crate) fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?'])
}

/// The files a path with patterns in its last part names, sorted; hidden ones only if the pattern begins with a
/// dot. A directory that is not there has no files.
///
/// # Errors
/// What the operating system said of the directory.
pub(crate) fn files(pattern: &Path) -> std::io::Result<Vec<PathBuf>> {
    let directory = pattern.parent().unwrap_or(Path::new(""));
    let directory = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
    let name_pattern = pattern.file_name().and_then(|n| n.to_str()).unwrap_or_default();
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
        if !hidden && matches(name_pattern, name) && entry.path().is_file() {
            found.push(pattern.with_file_name(name));
        }
    }
    found.sort();
    Ok(found)
}
