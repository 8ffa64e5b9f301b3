//! The last good lists and records on disk: one file a list, readable by people, written whole or not at all.
//!
//! A file is a line that says what it is, a line of JSON that says whose it is, the entries one a line, and a CRC-32 of all
//! that as the last line. A file that fails it, or is of another set, is refused: no list is better than a wrong one.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Read, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::list::{Data, Good};
use crate::parse::{parse_asns, parse_prefixes};
use crate::{Part, Query};

/// The longest name of a set; it becomes part of a file's name.
pub const MAX_NAME: usize = 180;
/// The largest file that is read, octets: more than the largest reply makes.
const MAX_FILE: u64 = 256 << 20;
/// How long a list that nobody uses is kept.
const UNUSED: Duration = Duration::from_secs(90 * 86_400);
const FIRST_LINE: &str = "siskin-irr 1";
const LAST_LINE: &str = "crc32 ";

/// Whose list a file holds.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Header {
    name: String,
    source: Option<String>,
    sources: Vec<String>,
    part: String,
    /// Seconds since 1970.
    fetched: u64,
    entries: usize,
}

/// The file of a list: the name for people, and a check sum of what makes it unique.
fn file(folder: &Path, query: &Query, part: Part) -> PathBuf {
    let name: String = query
        .name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || "-_".contains(c) { c } else { '+' })
        .collect();
    let unique = crc32fast::hash(format!("{:?}", (&query.name, &query.source, &query.sources)).as_bytes());
    folder.join("irr").join(format!("{name}.{unique:08x}.{part}"))
}

/// Reads a list; `None` if there is none.
///
/// # Errors
/// The file cannot be read, is damaged, or is of another set: a sentence that names it.
pub(crate) fn load(folder: &Path, query: &Query, part: Part) -> Result<Option<Good>, String> {
    let path = file(folder, query, part);
    let refuse = |why: &str| format!("{}: {why}", path.display());
    let Some(bytes) = read(&path).map_err(|e| refuse(&e.to_string()))? else { return Ok(None) };
    let text = checked(&bytes).ok_or_else(|| refuse("damaged"))?;
    let (header, entries) = split_header(text).ok_or_else(|| refuse("of another kind"))?;
    let of = Query { name: header.name, source: header.source, sources: header.sources };
    if of != *query || header.part != part.to_string() {
        return Err(refuse("of another set"));
    }
    let data = match part {
        Part::Prefixes(family) => parse_prefixes(entries, family).map(|list| Data::Prefixes(list.into())),
        Part::Members => parse_asns(entries).map(|list| Data::Members(list.into())),
    };
    let data = data.map_err(|e| refuse(&e.to_string()))?;
    if data.len() != header.entries {
        return Err(refuse("damaged"));
    }
    Ok(Some(Good { data, fetched: SystemTime::UNIX_EPOCH + Duration::from_secs(header.fetched) }))
}

/// Writes a list in the place of the last one.
///
/// # Errors
/// As the file system says, with the path.
pub(crate) fn save(folder: &Path, query: &Query, part: Part, good: &Good) -> io::Result<()> {
    let header = Header {
        name: query.name.clone(),
        source: query.source.clone(),
        sources: query.sources.clone(),
        part: part.to_string(),
        fetched: seconds(good.fetched),
        entries: good.data.len(),
    };
    let mut text = String::with_capacity(good.data.len() * 20 + 200);
    let _ = writeln!(text, "{FIRST_LINE}\n{}", serde_json::to_string(&header)?);
    // Writing to a string cannot fail.
    match &good.data {
        Data::Prefixes(list) => list.iter().for_each(|prefix| {
            let _ = writeln!(text, "{prefix}");
        }),
        Data::Members(list) => list.iter().for_each(|asn| {
            let _ = writeln!(text, "AS{asn}");
        }),
    }
    write(&file(folder, query, part), text)
}

/// Deletes lists that nobody in `used` names and that are older than [`UNUSED`]: a peer that comes back within that time finds
/// its list.
pub(crate) fn prune(folder: &Path, used: &[(Query, Part)], clock: SystemTime) -> io::Result<()> {
    let used: BTreeSet<PathBuf> = used.iter().map(|(query, part)| file(folder, query, *part)).collect();
    for entry in fs::read_dir(folder.join("irr"))? {
        let entry = entry?;
        let age = clock.duration_since(entry.metadata()?.modified()?).unwrap_or_default();
        if age > UNUSED && !used.contains(&entry.path()) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Reads the JSON of a checked file in `folder`; `None` if there is none.
///
/// # Errors
/// As [`load`].
pub(crate) fn load_json(folder: &Path, name: &str) -> Result<Option<Value>, String> {
    let path = folder.join(name);
    let refuse = |why: &str| format!("{}: {why}", path.display());
    let Some(bytes) = read(&path).map_err(|e| refuse(&e.to_string()))? else { return Ok(None) };
    let text = checked(&bytes).ok_or_else(|| refuse("damaged"))?;
    serde_json::from_slice(text).map(Some).map_err(|e| refuse(&e.to_string()))
}

/// Writes JSON as a checked file.
///
/// # Errors
/// As the file system says, with the path.
pub(crate) fn save_json(folder: &Path, name: &str, value: &Value) -> io::Result<()> {
    write(&folder.join(name), format!("{value:#}\n"))
}

fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut bytes = Vec::new();
    file.take(MAX_FILE).read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

/// The text before the last line, if the check sum there is right.
fn checked(bytes: &[u8]) -> Option<&[u8]> {
    let start = bytes.len().checked_sub(LAST_LINE.len() + 9)?;
    let (text, last) = bytes.split_at_checked(start)?;
    (last == format!("{LAST_LINE}{:08x}\n", crc32fast::hash(text)).as_bytes()).then_some(text)
}

fn split_header(text: &[u8]) -> Option<(Header, &[u8])> {
    let rest = text.strip_prefix(FIRST_LINE.as_bytes())?.strip_prefix(b"\n")?;
    let end = rest.iter().position(|b| *b == b'\n')?;
    Some((serde_json::from_slice(rest.get(..end)?).ok()?, rest.get(end + 1..)?))
}

/// Beside the old file, to the disk, then in its place: a crash leaves the old or the new.
fn write(path: &Path, mut text: String) -> io::Result<()> {
    let _ = writeln!(text, "{LAST_LINE}{:08x}", crc32fast::hash(text.as_bytes()));
    let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(named)?;
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    let mut file = File::create(&new).map_err(named)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(named)?;
    fs::rename(&new, path).and_then(|()| File::open(folder)?.sync_all()).map_err(named)
}

/// Seconds since 1970; 0 for times before.
pub(crate) fn seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |d| d.as_secs())
}

#[cfg(test)]
mod tests;
