//! The data of replies, and of our own files: prefixes and AS numbers separated by white space.
//!
//! One word that is neither makes the whole list worthless: a list cut or mixed up on its way must not become a filter.

use std::net::Ipv4Addr;

use siskin_net::{Asn, Family, Prefix};

use crate::name::{self, Kind};

/// The list holds a word that does not belong there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{word:?} is no {expected}")]
pub struct ParseListError {
    /// The word, shortened to 40 characters.
    pub word: String,
    /// What should stand there.
    pub expected: &'static str,
}

impl ParseListError {
    pub(crate) fn new(word: &[u8], expected: &'static str) -> ParseListError {
        ParseListError { word: String::from_utf8_lossy(word).chars().take(40).collect(), expected }
    }
}

/// The words of `data`.
pub(crate) fn words(data: &[u8]) -> impl Iterator<Item = &[u8]> {
    data.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty())
}

/// The prefixes of `family` in `data`, sorted and without doubles; those of the other family are passed over.
///
/// A range operator of a route-set member (RFC 2622 section 2: `^+`, `^-`, `^n`, `^n-m`) is narrowed to the prefix itself
/// if it includes that, and else drops it: a filter may be too narrow, never too wide.
///
/// # Errors
/// A word that is no prefix.
pub fn parse_prefixes(data: &[u8], family: Family) -> Result<Vec<Prefix>, ParseListError> {
    // A line of a registry has 9 to 18 octets of IPv4, more of IPv6; doubling a vector would cost more than this guess.
    let mut list = Vec::with_capacity(data.len() / 16);
    for word in words(data) {
        let prefix = prefix(word).ok_or_else(|| ParseListError::new(word, "prefix"))?;
        list.extend(prefix.filter(|p| p.family() == family));
    }
    sort(&mut list);
    Ok(list)
}

/// Sorts, drops doubles and gives spare room back.
pub(crate) fn sort<T: Ord>(list: &mut Vec<T>) {
    if !list.is_sorted() {
        list.sort_unstable();
    }
    list.dedup();
    list.shrink_to_fit();
}

/// A prefix with or without a range operator; the inner `None`: the operator leaves the prefix itself out.
pub(crate) fn prefix(word: &[u8]) -> Option<Option<Prefix>> {
    if let Some(prefix) = ipv4(word) {
        return Some(Some(prefix));
    }
    let text = std::str::from_utf8(word).ok()?;
    let Some((text, range)) = text.split_once('^') else { return text.parse().ok().map(Some) };
    let prefix: Prefix = text.parse().ok()?;
    let includes = match range {
        "+" => true,
        "-" => false,
        _ => {
            let (from, to) = range.split_once('-').unwrap_or((range, range));
            let (from, to): (u8, u8) = (from.parse().ok()?, to.parse().ok()?);
            (from..=to).contains(&prefix.len())
        }
    };
    Some(Some(prefix).filter(|_| includes))
}

/// The plain form of most words in most lists, without the detour through text; `None`: read it another way.
fn ipv4(word: &[u8]) -> Option<Prefix> {
    let slash = word.iter().rposition(|b| *b == b'/')?;
    let (address, len) = (word.get(..slash)?, word.get(slash + 1..)?);
    let mut octets = [0u8; 4];
    let mut parts = address.split(|b| *b == b'.');
    for octet in &mut octets {
        *octet = decimal(parts.next()?)?;
    }
    let len = decimal(len).filter(|l| *l <= 32)?;
    let address = Ipv4Addr::from(octets);
    let prefix = Prefix::v4(address, len);
    (parts.next().is_none() && prefix.bits() == Prefix::host(address.into()).bits()).then_some(prefix)
}

/// One to three digits that make a number below 256, without leading zeros.
fn decimal(digits: &[u8]) -> Option<u8> {
    if digits.is_empty() || digits.len() > 3 || (digits.len() > 1 && digits.starts_with(b"0")) {
        return None;
    }
    let mut value = 0u16;
    for digit in digits {
        let digit = digit.checked_sub(b'0').filter(|d| *d < 10)?;
        value = value * 10 + u16::from(digit);
    }
    u8::try_from(value).ok()
}

/// The AS numbers in `data`, sorted and without doubles.
///
/// # Errors
/// A word that is none.
pub(crate) fn parse_asns(data: &[u8]) -> Result<Vec<Asn>, ParseListError> {
    let mut list = Vec::new();
    for word in words(data) {
        match member(word) {
            Some(Kind::As(asn)) => list.push(asn),
            _ => return Err(ParseListError::new(word, "AS number")),
        }
    }
    sort(&mut list);
    Ok(list)
}

/// What kind of member a word names; `None` for a prefix or anything else.
pub(crate) fn member(word: &[u8]) -> Option<Kind> {
    name::kind(&std::str::from_utf8(word).ok()?.to_ascii_uppercase())
}

/// Whether an AS number is reserved, private or for documentation (RFC 7607, 6793, 5398, 6996, 7300, and IANA's
/// reserved block up to 131071).
#[must_use]
pub fn is_reserved(asn: Asn) -> bool {
    matches!(asn.0, 0 | 23_456 | 64_496..=131_071 | 4_200_000_000..)
}

#[cfg(test)]
mod tests;
