//! The configuration file: TOML text → raw tables → checked [`Config`], and every error with its place.
//!
//! Three steps, each with its own types: `read` gives every key its type and every value its place (raw tables);
//! `check` resolves names, merges groups, applies defaults and refuses what contradicts itself; [`model`] is what
//! comes out. All errors of all files are collected before anything is said ([`Diagnostics`]).
//!
//! The reference for operators is `docs/configuration.md`. The rule language and the text forms of prefix and
//! community patterns belong to `siskin-policy`. The daemon and the command line share this crate, so
//! `siskin config check` says what the daemon would say.

mod check;
mod diagnostic;
mod diff;
mod duration;
mod glob;
mod load;
pub mod model;
mod not_yet;
mod read;
mod shipped;
mod source;
mod suggest;

use std::path::Path;
use std::sync::Arc;

pub use diagnostic::{Diagnostic, Diagnostics, Severity};
pub use diff::{Change, ChangeKind};
pub use model::*;
pub use not_yet::NotYet;
pub use source::SourceFile;

use diagnostic::Report;
use read::raw::Raw;
use source::{Location, Sources};
use toml::de::DeTable;

/// A configuration that may be used, and what its author should hear about it.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// Warnings alone: unreachable rules, keys that do nothing yet, readable secrets.
    pub warnings: Diagnostics,
}

/// Reads a configuration file and what it includes, and checks it.
///
/// # Errors
/// Everything wrong with it, warnings too; nothing of it may be used then.
pub fn load(path: &Path) -> Result<Loaded, Diagnostics> {
    load_after(path, None)
}

/// As [`load`], in place of a configuration that is in force: rules that are the same keep their ids, so that what
/// was judged by them can still be explained.
///
/// # Errors
/// As [`load`].
pub fn reload(path: &Path, running: &Config) -> Result<Loaded, Diagnostics> {
    load_after(path, Some(running))
}

fn load_after(path: &Path, running: Option<&Config>) -> Result<Loaded, Diagnostics> {
    let files = load::files(path)?;
    parse_in(files, path.parent().unwrap_or(Path::new("")), running)
}

/// Checks configuration texts; the first is the main file, the others stand for what it includes. Relative paths
/// of secrets begin in the current directory.
///
/// # Errors
/// As [`load`].
pub fn parse(files: Vec<SourceFile>) -> Result<Loaded, Diagnostics> {
    parse_in(files, Path::new(""), None)
}

fn parse_in(files: Vec<SourceFile>, base: &Path, running: Option<&Config>) -> Result<Loaded, Diagnostics> {
    let sources = Arc::new(Sources::new(files));
    let mut report = Report::new(Arc::clone(&sources));
    let mut raw = Raw::default();
    let mut well_formed = true;
    for (file, source) in sources.files().iter().enumerate() {
        if source.text.len() > load::MAX_FILE {
            report.error(Location::file(file), "the file is larger than 16 MiB");
            well_formed = false;
            continue;
        }
        let (table, errors) = DeTable::parse_recoverable(&source.text);
        if errors.is_empty() {
            raw.read_file(table.get_ref(), file, &mut report);
            continue;
        }
        well_formed = false;
        let mut last_line = None;
        for error in errors {
            let at =
                error.span().map_or(Location::file(file), |s| Location { file, start: s.start, end: s.end });
            // The parser goes on after a slip, and mostly stumbles over the rest of the line.
            let line = sources.line_column(at).0;
            if last_line.replace(line) != Some(line) {
                report.error(at, format!("this is not TOML: {}", error.message()));
            }
        }
    }
    // A table that could not be read may hold the names others use: no errors that only follow from that.
    let config = if well_formed { check::check(raw, base, running, &mut report) } else { None };
    let diagnostics = report.into_diagnostics();
    match config {
        Some(config) => Ok(Loaded { config, warnings: diagnostics }),
        None => Err(diagnostics),
    }
}

#[cfg(test)]
mod tests;
