//! Secrets, in the file itself or in files of their own.

use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::Checker;
use crate::model::Secret;
use crate::read::raw::Key;

/// A secret that stands in one of two keys.
pub(super) struct SecretKeys<'a> {
    /// The key of the secret itself: `password`.
    pub(super) key: &'static str,
    pub(super) value: &'a Key<String>,
    /// The key of its file, the other's name with `-file` after it.
    pub(super) file: &'a Key<PathBuf>,
    /// The most octets.
    pub(super) max: usize,
    /// Whether a file that cannot be read is an error; if not, it is a warning and there is no secret.
    pub(super) required: bool,
}

impl Checker<'_> {
    /// The secret of one of the two keys. Of a file that cannot be read the reason is reported.
    pub(super) fn secret(&mut self, keys: &SecretKeys<'_>) -> Option<Secret> {
        let key = keys.key;
        match (keys.value, keys.file) {
            (Some(value), Some(file)) => {
                self.report
                    .error(file.at, format!("`{key}` and `{key}-file` exclude each other"))
                    .label("one too many")
                    .also(value.at, "the other");
                None
            }
            (Some(value), None) => Some(Secret::new(value.value.clone())),
            (None, Some(file)) => {
                let path = self.base.join(&file.value);
                match read(&path, keys.max) {
                    Ok(secret) => {
                        let readable = is_world_readable(&path);
                        if readable && self.warned.insert(("a secret", file.at)) {
                            self.report
                                .warning(file.at, format!("`{}` can be read by everybody", path.display()))
                                .label("a secret")
                                .help("chmod o-r it");
                        }
                        Some(secret)
                    }
                    Err(why) => {
                        let message = format!("the {key} cannot be read from `{}`", path.display());
                        if keys.required {
                            self.report.error(file.at, message).label(why);
                        } else {
                            self.report.warning(file.at, message).label(why).help("it goes on without one");
                        }
                        None
                    }
                }
            }
            (None, None) => None,
        }
    }
}

/// Reads a secret: the file's only line, without its end.
///
/// # Errors
/// Why not, in a few words.
fn read(path: &Path, max: usize) -> Result<Secret, String> {
    let file = std::fs::File::open(path).map_err(|error| error.to_string())?;
    let mut text = String::new();
    file.take(4096).read_to_string(&mut text).map_err(|error| error.to_string())?;
    let text = text.trim_end_matches(['\r', '\n']);
    match text.len() {
        0 => Err("the file is empty".to_owned()),
        n if n > max => Err(format!("it has at most {max} octets, this one {n}")),
        _ if text.contains('\n') => Err("expected a single line".to_owned()),
        _ => Ok(Secret::new(text.to_owned())),
    }
}

/// Whether everybody on the machine may read the file.
fn is_world_readable(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|meta| meta.mode() & 0o004 != 0)
}
