//! Path attributes: their typed form, their table, their encodings.
//!
//! [`PathAttributes`] is what policies see; [`compact`] is what tables keep; the table has one row an attribute with its
//! flags, its rule at the border of the AS, its codec and what RFC 7606 says of its faults.
#![deny(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

mod as_path;
mod community;
pub mod compact;
mod edit;
mod fault;
mod mp;
mod table;
mod types;
mod values;

#[cfg(test)]
pub(crate) mod tests;

pub use as_path::{AsPath, AsPathError, SegmentKind};
pub use community::ParseCommunityError;
pub use fault::{Disposition, Fault};
pub(crate) use mp::put_next_hop;
pub(crate) use table::{Category, Gathered, Problem, Row, Scope, find, rows};
pub use table::{attribute_name, is_known};
pub use types::{
    Aggregator, Community, ExtendedCommunity, LargeCommunity, Origin, PathAttributes, UnknownAttribute,
};
