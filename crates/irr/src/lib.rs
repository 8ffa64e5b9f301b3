//! Routing registries (IRRd whois) and PeeringDB become prefix sets and prefix limits, with the last good answer on disk.
//!
//! [`start`] gives a [`Client`]: it is told what peers want ([`PeerRequest`]) and answers with [`Update`]s. Its promise
//! is that no failure of a source ever opens a filter or empties a list: what was good stays until something good, or
//! the operator's [`Client::accept`], replaces it. `whois` speaks the protocol of IRRd, `peeringdb` the HTTP API,
//! `store` keeps files, `list` decides what an answer does to a list, `book` knows who wants what, `run` and `records`
//! are the tasks that move it all.
//!
//! It leaves out near-real-time mirroring, RPSL objects and filters (only sets, their members and route prefixes are
//! asked for), and range operators of route-set members, which are narrowed to the prefix itself.

mod backoff;
mod book;
pub mod check;
mod client;
mod config;
mod list;
mod name;
mod parse;
mod peeringdb;
mod records;
mod run;
mod status;
mod store;
#[cfg(test)]
mod testing;
mod update;
mod whois;

pub use client::{Client, start};
pub use config::{Config, Names, PeerRequest, PeeringDbConfig, SetRequest};
pub use name::{ParseSetNameError, SetName, from_peeringdb};
pub use parse::{ParseListError, is_reserved, parse_prefixes};
pub use peeringdb::{NetRecord, limit_with_headroom};
pub use siskin_net::HostPort;
pub use status::{
    AcceptError, Accepted, AcceptedList, PeerStatus, PeeringDbStatus, SetStatus, SetView, State, Status,
};
pub use store::MAX_NAME;
pub use update::{Part, PeerLists, Update};
pub use whois::{Answer, Ask, FetchError, Query, fetch};
