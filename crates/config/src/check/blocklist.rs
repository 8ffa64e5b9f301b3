//! Files of what no peer may give us: AS numbers (`AS64496`, `64496`), prefixes and addresses, one or more a line.
//! What follows `#` or `;` is a comment, as in the lists that are in use.

use std::io::Read;
use std::net::IpAddr;
use std::path::Path;

use siskin_net::{Asn, ParsePrefixError, Prefix};
use siskin_policy::PrefixPattern;

use crate::load::MAX_FILE;
use crate::model::Blocklist;

/// The most entries of one file.
const MAX_ENTRIES: usize = 1_000_000;

/// The most faults of one file that are told.
const MAX_FAULTS: usize = 10;

/// A word of a file that is none of the three.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// From 1.
    pub(super) line: usize,
    pub(super) token: String,
    pub(super) why: String,
}

/// Reads a file: what it blocks, in its order, and the first words that are wrong.
///
/// # Errors
/// Why it cannot be read, in a few words.
pub(super) fn read(path: &Path) -> Result<(Blocklist, Vec<Fault>), String> {
    let file = std::fs::File::open(path).map_err(|error| error.to_string())?;
    let mut text = String::new();
    let size = file.take(MAX_FILE as u64 + 1).read_to_string(&mut text).map_err(|error| error.to_string())?;
    if size > MAX_FILE {
        return Err("the file is larger than 16 MiB".to_owned());
    }
    parse(&text)
}

fn parse(text: &str) -> Result<(Blocklist, Vec<Fault>), String> {
    let mut list = Blocklist::default();
    let mut faults = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let content = line.split(['#', ';']).next().unwrap_or_default();
        for token in content.split_whitespace() {
            if list.asns.len() + list.prefixes.len() == MAX_ENTRIES {
                return Err(format!("line {}: more than {MAX_ENTRIES} entries", index + 1));
            }
            match entry(token) {
                Ok(Entry::Asn(asn)) => list.asns.push(asn),
                Ok(Entry::Prefix(prefix)) => list.prefixes.push(PrefixPattern::or_longer(prefix)),
                Err(why) if faults.len() < MAX_FAULTS => {
                    faults.push(Fault { line: index + 1, token: token.to_owned(), why });
                }
                Err(_) => {}
            }
        }
    }
    Ok((list, faults))
}

enum Entry {
    Asn(Asn),
    Prefix(Prefix),
}

fn entry(token: &str) -> Result<Entry, String> {
    if token.contains('/') {
        return match token.parse::<Prefix>() {
            Ok(prefix) if prefix.len() == 0 => Err("this would block everything".to_owned()),
            Ok(prefix) => Ok(Entry::Prefix(prefix)),
            Err(ParsePrefixError::HostBits(meant)) => {
                Err(format!("bits beyond the prefix length are set; did you mean {meant}?"))
            }
            Err(error) => Err(error.to_string()),
        };
    }
    if let Ok(address) = token.parse::<IpAddr>() {
        return Ok(Entry::Prefix(Prefix::host(address)));
    }
    let asn = token.parse::<Asn>();
    asn.map(Entry::Asn).map_err(|_| "expected an AS number, a prefix or an address".to_owned())
}

#[cfg(test)]
mod tests;
