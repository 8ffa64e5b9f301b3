//! Keys that are known, checked and kept, but that this version does nothing with.
//!
//! Nothing a user writes is ignored in silence: each use of such a key is a warning. Whoever implements one
//! deletes its row.

use serde::Serialize;

/// One use of a key that does nothing yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NotYet {
    /// The key as one would write it: `peer.transit-a.bfd`.
    pub key: String,
    /// The file.
    pub file: String,
    /// The line, from 1.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
    /// A whole sentence for a log.
    pub message: String,
}

/// Sections by name (`dynamic-peer`), keys within them by `section.key`; those of peers, groups and dynamic peers by
/// `peer.key`. The text says what happens instead.
const ROWS: &[(&str, &str)] = &[
    ("dynamic-peer", "none of these peers is accepted"),
    ("peer.interface", "a peer without an address is not found by itself"),
    ("peer.bfd", "the session is watched by its hold timer alone"),
    ("peer.add-path", "one path of a prefix is sent and taken"),
];

/// What happens instead of `key`; `None` if the key is done.
pub(crate) fn instead_of(key: &str) -> Option<&'static str> {
    ROWS.iter().find(|(row, _)| *row == key).map(|(_, instead)| *instead)
}
