//! Path attributes: their typed form, their table, their encodings.

mod as_path;
mod types;

pub use as_path::{AsPath, SegmentKind};
pub use types::{
    Aggregator, Community, ExtendedCommunity, LargeCommunity, Origin, PathAttributes, UnknownAttribute,
};
