//! What a stranger's octets amount to, without a connection: for `siskin-fuzz`.

use std::time::SystemTime;

use siskin_net::Family;

use crate::peeringdb;
use crate::whois::{MAX_REPLY, Members, Replies};

/// How many whole replies of an IRRd server a stream begins with, if it comes in pieces of `piece` octets (at least 1).
///
/// # Errors
/// What in it is no reply, in words.
pub fn replies(stream: &[u8], piece: usize) -> Result<usize, String> {
    let mut replies = Replies::new(MAX_REPLY);
    let mut count = 0usize;
    for piece in stream.chunks(piece.max(1)) {
        replies.buffer().extend_from_slice(piece);
        while replies.next().map_err(|error| error.to_string())?.is_some() {
            count = count.saturating_add(1);
        }
    }
    match replies.at_end() {
        Some(error) => Err(error.to_string()),
        None => Ok(count),
    }
}

/// How many different AS numbers and prefixes of use stand in a reply to `!i`.
///
/// # Errors
/// What in it is no member of a set, in words.
pub fn members(data: &[u8]) -> Result<usize, String> {
    let members = Members::read(data).map_err(|error| error.to_string())?;
    let prefixes: usize = Family::ALL.into_iter().map(|family| members.prefixes(family).len()).sum();
    Ok(members.asns().len().saturating_add(prefixes))
}

/// How many networks an answer of PeeringDB describes.
///
/// # Errors
/// Why it is no answer, in words.
pub fn peeringdb_records(body: &[u8]) -> Result<usize, String> {
    peeringdb::parse_records(body, SystemTime::UNIX_EPOCH)
        .map(|records| records.len())
        .map_err(|error| error.to_string())
}
