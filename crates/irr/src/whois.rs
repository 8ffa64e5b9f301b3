//! One set asked of an IRRd server: which queries, and what their replies say (IRRd's whois protocol, pipelined).
//!
//! Whole sets are asked for with `!a4` and `!a6`. A server that lacks these, and AS numbers in the place of sets, get
//! `!i…,1` and then `!g` or `!6` for each AS number; sets of a named registry are followed down one `!i` at a time. An answer is either whole or an error; there is no partial list.

mod connection;
mod descend;
mod error;
mod expand;
mod reply;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use siskin_net::{Asn, Family, FamilySet, Prefix};

use crate::name::{self, Kind};
use crate::{HostPort, Part};
use connection::Connection;
pub(crate) use descend::Members;
pub use error::FetchError;
use expand::{answer_of_asns, answer_of_set};
pub(crate) use reply::Replies;

/// How many octets all replies to one question may have. The largest as-sets are below half of it.
pub(crate) const MAX_REPLY: usize = 64 << 20;
/// How often a server's silence fits into the time of a whole set.
const WHOLE: u32 = 10;

/// A set and the registries to ask for it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Query {
    /// The set, or an AS number, without a source.
    pub name: String,
    /// The registry that the set itself must come from (`RIPE::AS-X`), so that nobody's set of the same name elsewhere counts.
    /// Sets in it and routes may come from all `sources`, as with bgpq4. Of an AS number, its routes must come from here.
    pub source: Option<String>,
    /// The registries, first one first; empty: the server's own choice.
    pub sources: Vec<String>,
}

/// What of the set is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ask {
    /// Prefixes of these families.
    pub prefixes: FamilySet,
    /// The AS numbers.
    pub members: bool,
}

/// What a server said of one part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The prefixes, sorted and without doubles; empty where the set is known and leads to none.
    Prefixes(Arc<[Prefix]>),
    /// The AS numbers, likewise.
    Members(Arc<[Asn]>),
    /// `D`: the registry says that there is no such set, or nothing at all in it.
    NotFound,
}

/// As it is written, with the registries it is asked of: `RIPE::AS-X (RIPE,ARIN)`.
impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.source {
            Some(source) => write!(f, "{source}::{}", self.name)?,
            None => f.write_str(&self.name)?,
        }
        if self.sources.is_empty() { Ok(()) } else { write!(f, " ({})", self.sources.join(",")) }
    }
}

impl Ask {
    /// What has these parts.
    pub(crate) fn of(parts: &BTreeSet<Part>) -> Ask {
        let families = Family::ALL.into_iter().filter(|family| parts.contains(&Part::Prefixes(*family)));
        Ask { prefixes: families.collect(), members: parts.contains(&Part::Members) }
    }

    /// The parts, in the order they are asked.
    pub(crate) fn parts(self) -> impl Iterator<Item = Part> {
        Part::ALL.into_iter().filter(move |part| match part {
            Part::Prefixes(family) => self.prefixes.contains(*family),
            Part::Members => self.members,
        })
    }
}

/// Asks `server` for a set. Each part comes with its answer or its own error.
///
/// # Errors
/// What hinders all parts: no connection, a source the server does not have, a name that is none.
pub async fn fetch(
    server: &HostPort,
    timeout: Duration,
    query: &Query,
    ask: Ask,
) -> Result<Vec<(Part, Result<Answer, FetchError>)>, FetchError> {
    let whole = timeout.saturating_mul(WHOLE);
    match tokio::time::timeout(whole, fetch_unhurried(server, timeout, query, ask)).await {
        Ok(answer) => answer,
        Err(_) => Err(FetchError::TooSlow(whole)),
    }
}

async fn fetch_unhurried(
    server: &HostPort,
    timeout: Duration,
    query: &Query,
    ask: Ask,
) -> Result<Vec<(Part, Result<Answer, FetchError>)>, FetchError> {
    let kind = name::kind(&query.name).ok_or_else(|| FetchError::Name(query.name.clone()))?;
    if let Some(odd) = query.source.iter().chain(&query.sources).find(|s| !name::is_source(s)) {
        return Err(FetchError::Name(odd.clone()));
    }
    let mut connection = Connection::open(server, timeout).await?;
    let answers = match kind {
        Kind::As(asn) => {
            let only: Vec<String> = query.source.iter().cloned().collect();
            connection.choose(if only.is_empty() { &query.sources } else { &only }).await?;
            answer_of_asns(&mut connection, asn, ask).await
        }
        Kind::AsSet | Kind::RouteSet => answer_of_set(&mut connection, query, kind, ask).await?,
    };
    connection.close().await;
    Ok(answers)
}

#[cfg(test)]
mod tests;
