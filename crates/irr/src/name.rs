//! Names of sets as operators write them and as PeeringDB holds them: `AS-X`, `AS64500:AS-X`, `AS64500`, `RS-X`, each
//! also as `SOURCE::NAME` or `NAME@SOURCE` (RFC 2622 sections 2 and 5).

use std::fmt;
use std::str::FromStr;

use siskin_net::Asn;

use crate::MAX_NAME;

/// A set, or an AS number that stands for its own routes, and the registry it must come from, if one was named. Both are
/// in upper case: registries compare them so.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SetName {
    /// The one registry that the set itself may come from (`RIPE`); `None`: the first of the configured ones that has it.
    pub source: Option<String>,
    /// The name of the set (`AS-EXAMPLE`) or an AS number (`AS64500`).
    pub name: String,
}

/// What a name is a name of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An AS number: its routes are those with it as origin.
    As(Asn),
    /// An as-set.
    AsSet,
    /// A route-set.
    RouteSet,
}

/// The text names no set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no as-set: expected a name like AS-EXAMPLE, AS64500:AS-CUSTOMERS, RIPE::AS-EXAMPLE or AS64500"
)]
pub struct ParseSetNameError(pub String);

impl SetName {
    /// The set of one AS number: what it originates itself.
    #[must_use]
    pub fn of_asn(asn: Asn) -> SetName {
        SetName { source: None, name: format!("AS{asn}") }
    }
}

/// What `name` (in upper case) is; `None` if RPSL knows no such name.
pub(crate) fn kind(name: &str) -> Option<Kind> {
    if name.len() > MAX_NAME {
        return None;
    }
    let mut found = None;
    for part in name.split(':') {
        let this = component(part)?;
        found = match (found, this) {
            (None, _) | (Some(Kind::As(_)), Kind::AsSet | Kind::RouteSet) => Some(this),
            (Some(Kind::As(_)), Kind::As(_)) => return None,
            (Some(set), Kind::As(_)) => Some(set),
            (Some(Kind::RouteSet), _) | (_, Kind::RouteSet) => Some(Kind::RouteSet),
            (Some(Kind::AsSet), Kind::AsSet) => Some(Kind::AsSet),
        };
    }
    found
}

/// One part of a hierarchical name (RFC 2622 section 5).
fn component(part: &str) -> Option<Kind> {
    let word = |rest: &str| {
        !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
    };
    if let Some(digits) = part.strip_prefix("AS").filter(|d| d.bytes().all(|b| b.is_ascii_digit())) {
        return digits.parse().ok().map(Kind::As);
    }
    match (part.strip_prefix("AS-"), part.strip_prefix("RS-")) {
        (Some(rest), _) if word(rest) => Some(Kind::AsSet),
        (_, Some(rest)) if word(rest) => Some(Kind::RouteSet),
        _ => None,
    }
}

impl FromStr for SetName {
    type Err = ParseSetNameError;

    fn from_str(text: &str) -> Result<SetName, ParseSetNameError> {
        let upper = text.trim().to_ascii_uppercase();
        let (source, name) = match (upper.split_once("::"), upper.split_once('@')) {
            (Some((source, name)), None) => (Some(source), name),
            (None, Some((name, source))) => (Some(source), name),
            (None, None) => (None, upper.as_str()),
            _ => return Err(ParseSetNameError(text.to_owned())),
        };
        if kind(name).is_none() || !source.is_none_or(is_source) {
            return Err(ParseSetNameError(text.to_owned()));
        }
        Ok(SetName { source: source.map(str::to_owned), name: name.to_owned() })
    }
}

/// Whether `text` can be the name of a registry; what cannot be is never sent to a server.
pub(crate) fn is_source(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
}

/// As it is written: `AS-X` or `SOURCE::AS-X`.
impl fmt::Display for SetName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.source {
            Some(source) => write!(f, "{source}::{}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

/// The sets that PeeringDB's `irr_as_set` names (separated by commas or spaces, doubles left out), and the words in it
/// that are none.
#[must_use]
pub fn from_peeringdb(field: &str) -> (Vec<SetName>, Vec<String>) {
    let mut sets = Vec::new();
    let mut ignored = Vec::new();
    for word in field.split(|c: char| c.is_whitespace() || ",;/|".contains(c)).filter(|w| !w.is_empty()) {
        match word.parse::<SetName>() {
            Ok(set) if !sets.contains(&set) => sets.push(set),
            Ok(_) => {}
            Err(ParseSetNameError(word)) => ignored.push(word),
        }
    }
    (sets, ignored)
}

#[cfg(test)]
mod tests;
