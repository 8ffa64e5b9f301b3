//! From a path to all files of a configuration: the main one and what it includes.

use std::collections::BTreeSet;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use siskin_net::NamePattern;
use toml::de::{DeTable, DeValue};

use crate::diagnostic::{Diagnostics, Report};
use crate::glob;
use crate::read::Value;
use crate::source::{Location, SourceFile, Sources};

/// The largest file taken, in octets.
pub(crate) const MAX_FILE: usize = 16 << 20;

/// The most files, the main one among them.
const MAX_FILES: usize = 4096;

/// Reads the main file and those it includes, in the order of the patterns and sorted within each.
///
/// # Errors
/// Diagnostics of files that are missing, too large or no text, and of patterns that name nothing.
pub(crate) fn files(path: &Path) -> Result<Vec<SourceFile>, Diagnostics> {
    let main = read(path).map_err(|why| unreadable(path, &why))?;
    let mut files = vec![main];
    let mut paths: BTreeSet<PathBuf> = path.canonicalize().into_iter().collect();
    let sources = Arc::new(Sources::new(files.clone()));
    let mut report = Report::new(Arc::clone(&sources));
    let table = DeTable::parse_recoverable(sources.text(0)).0;
    for (pattern, at) in includes(table.get_ref(), &mut report) {
        let pattern = path.parent().unwrap_or(Path::new("")).join(pattern);
        for found in matching(&pattern, at, &mut report) {
            // The same file by two patterns, or the main one itself, is read once.
            if found.canonicalize().is_ok_and(|real| !paths.insert(real)) {
                continue;
            }
            if files.len() == MAX_FILES {
                report.error(at, format!("more than {MAX_FILES} files are included")).label("too many");
                break;
            }
            match read(&found) {
                Ok(file) => files.push(file),
                Err(why) => {
                    report.error(at, format!("`{}` cannot be read", found.display())).label(why);
                }
            }
        }
    }
    if report.failed() { Err(report.into_diagnostics()) } else { Ok(files) }
}

fn unreadable(path: &Path, why: &str) -> Diagnostics {
    let name = path.display().to_string();
    let mut report = Report::new(Arc::new(Sources::new(vec![SourceFile { name, text: String::new() }])));
    report.error(Location::file(0), format!("the configuration cannot be read: {why}"));
    report.into_diagnostics()
}

fn read(path: &Path) -> Result<SourceFile, String> {
    let file = std::fs::File::open(path).map_err(|error| error.to_string())?;
    let mut bytes = Vec::new();
    file.take(MAX_FILE as u64 + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() > MAX_FILE {
        return Err("the file is larger than 16 MiB".to_owned());
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let before = error.as_bytes().get(..valid).unwrap_or_default();
        let line = before.iter().filter(|b| **b == b'\n').count() + 1;
        format!("line {line} is not UTF-8 text")
    })?;
    Ok(SourceFile { name: path.display().to_string(), text })
}

/// The patterns of `include`, with their places.
fn includes(table: &DeTable<'_>, report: &mut Report) -> Vec<(String, Location)> {
    let Some(value) = table.get("include") else { return Vec::new() };
    let value = Value::new(value, 0);
    if let DeValue::String(one) = value.toml {
        return vec![(one.to_string(), value.at)];
    }
    let list = value.list("file names and patterns", report, |v, r| v.text("a file name or a pattern", r));
    list.unwrap_or_default().into_iter().map(|pattern| (pattern.value, pattern.at)).collect()
}

fn matching(pattern: &Path, at: Location, report: &mut Report) -> Vec<PathBuf> {
    let in_directory = pattern.parent().is_some_and(|p| NamePattern::is_pattern(&p.to_string_lossy()));
    if in_directory {
        report.error(at, "`*` and `?` stand only in the last part of a path").label("in a directory's name");
        return Vec::new();
    }
    if !pattern.file_name().is_some_and(|name| NamePattern::is_pattern(&name.to_string_lossy())) {
        return vec![pattern.to_owned()];
    }
    match glob::files(pattern) {
        Ok(files) => files,
        Err(error) => {
            report.error(at, "the directory cannot be read").label(error.to_string());
            Vec::new()
        }
    }
}
