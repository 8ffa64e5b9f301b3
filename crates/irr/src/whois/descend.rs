//! A set of one named registry, followed down by us: the set itself from there, the sets in it from all registries.
//!
//! The server cannot do it: its own recursion looks for every set in the same registries. A set that was seen is never asked
//! for again, so that a circle cannot lead to a set of the same name elsewhere.

use std::collections::BTreeSet;

use siskin_net::{Asn, Family, Prefix};

use super::connection::Connection;
use super::expand::{AHEAD, blocking};
use super::reply::Reply;
use super::{FetchError, MAX_REPLY, Query};
use crate::name::Kind;
use crate::parse::{self, ParseListError, is_reserved};

/// How many sets we follow. The largest as-sets have some tens of thousands in them.
const MAX_SETS: usize = 100_000;

/// What stands in sets.
#[derive(Debug, Default)]
pub(crate) struct Members {
    asns: BTreeSet<Asn>,
    /// Of route-sets.
    prefixes: BTreeSet<Prefix>,
    /// Sets, by name in upper case.
    sets: BTreeSet<String>,
}

impl Members {
    /// Reads the words of a reply to `!i`.
    pub(crate) fn read(data: &[u8]) -> Result<Members, ParseListError> {
        let mut members = Members::default();
        for word in parse::words(data) {
            match (parse::member(word), parse::prefix(word)) {
                (Some(Kind::As(asn)), _) => {
                    members.asns.insert(asn);
                }
                (Some(Kind::AsSet | Kind::RouteSet), _) => {
                    members.sets.insert(String::from_utf8_lossy(word).to_ascii_uppercase());
                }
                (None, Some(prefix)) => members.prefixes.extend(prefix),
                // A name that RPSL gives to something else, or that an old registry let in: no server would resolve it.
                (None, None) if word.iter().all(|b| b.is_ascii_alphanumeric() || b"-_:.".contains(b)) => {}
                (None, None) => return Err(ParseListError::new(word, "AS number, set or prefix")),
            }
        }
        Ok(members)
    }

    /// The AS numbers that may be used on the Internet, sorted.
    pub(crate) fn asns(&self) -> Vec<Asn> {
        self.asns.iter().copied().filter(|asn| !is_reserved(*asn)).collect()
    }

    /// The prefixes of a family, sorted.
    pub(crate) fn prefixes(&self, family: Family) -> Vec<Prefix> {
        self.prefixes.iter().copied().filter(|prefix| prefix.family() == family).collect()
    }
}

/// The AS numbers and prefixes of a set of `source`, and of the sets in it; `None`: it has no such set.
///
/// # Errors
/// A failure anywhere: a set with holes is no set. A set in it that no registry has is no failure, but nothing.
pub(super) async fn descend(
    connection: &mut Connection,
    query: &Query,
    source: &str,
) -> Result<Option<Members>, FetchError> {
    let usual;
    let sources = if query.sources.is_empty() {
        usual = connection.usual_sources().await?;
        &usual
    } else {
        &query.sources
    };
    connection.choose(&[source.to_owned()]).await?;
    let Some(mut found) = direct(connection, std::slice::from_ref(&query.name)).await? else {
        return Ok(None);
    };
    connection.choose(sources).await?;
    let mut seen = BTreeSet::from([query.name.clone()]);
    loop {
        let open: Vec<String> =
            std::mem::take(&mut found.sets).into_iter().filter(|set| !seen.contains(set)).collect();
        if open.is_empty() {
            return Ok(Some(found));
        }
        seen.extend(open.iter().cloned());
        if seen.len() > MAX_SETS {
            return Err(FetchError::TooLarge(MAX_REPLY));
        }
        for some in open.chunks(AHEAD) {
            let Some(more) = direct(connection, some).await? else { continue };
            found.asns.extend(more.asns);
            found.prefixes.extend(more.prefixes);
            found.sets.extend(more.sets);
        }
    }
}

/// `!i` of each set, together; `None` if there is none of them.
async fn direct(connection: &mut Connection, sets: &[String]) -> Result<Option<Members>, FetchError> {
    let queries: String = sets.iter().map(|set| format!("!i{set}\n")).collect();
    connection.send(&queries).await?;
    let mut data = Vec::new();
    for set in sets {
        match connection.receive().await? {
            Reply::Data(members) => data.push(members),
            Reply::Done => data.push(bytes::Bytes::new()),
            Reply::NotFound => {}
            Reply::Failed(text) => return Err(FetchError::Failed(format!("{set}: {text}"))),
            Reply::Several => return Err(FetchError::Unexpected(format!("!i{set}"))),
        }
    }
    if data.is_empty() {
        Ok(None)
    } else {
        blocking(move || Members::read(&data.join(&b' '))).await.map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_told_apart() {
        let members = Members::read(
            b"AS3333 as112 AS64512 as-nested RS-X 192.0.2.0/24^+ 10.0.0.0/8^- FLTR-X AS-odd.name",
        )
        .unwrap();
        assert_eq!(members.asns(), [Asn(112), Asn(3333)], "a private number is no member");
        assert_eq!(members.sets.iter().map(String::as_str).collect::<Vec<_>>(), ["AS-NESTED", "RS-X"]);
        assert_eq!(members.prefixes(Family::Ipv4), ["192.0.2.0/24".parse().unwrap()]);
        assert_eq!(members.prefixes(Family::Ipv6), []);
        assert!(Members::read(b"AS3333 <html>").is_err());
    }
}
