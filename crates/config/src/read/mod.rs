//! From TOML to raw values: every key has its type, every value its place, no name is resolved yet.
//!
//! [`Section`] reads the keys of one table and reports those nobody asked for; [`Value`] reads one value;
//! `raw` has the tables of the file.

pub(crate) mod checks;
mod filter_values;
mod host_values;
mod literal;
mod peer_values;
pub(crate) mod raw;
mod section;
mod value;

#[cfg(test)]
pub(crate) use literal::raw_offset;
pub(crate) use peer_values::{TtlSecurity, role_name};
pub(crate) use section::Section;
pub(crate) use value::{Value, within};
