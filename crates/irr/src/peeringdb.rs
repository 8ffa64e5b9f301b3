//! PeeringDB: the records of networks that matter for limits and filters, how its replies are read, and which questions are
//! asked. `http` fetches, `pace` keeps within what PeeringDB allows.

pub(crate) mod http;
pub(crate) mod pace;

use std::time::{Duration, SystemTime};

use serde::Deserialize;
use serde_json::Value;
use siskin_net::{Asn, Family, FamilyMap};

/// How many AS numbers one query may name.
pub(crate) const MAX_BATCH: usize = 150;

/// What a network says of itself in PeeringDB.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetRecord {
    /// Its AS number.
    pub asn: Asn,
    /// Its name.
    pub name: String,
    /// `irr_as_set`, as it was written; may hold several sets, or nothing.
    pub irr_as_set: String,
    /// `info_prefixes4/6`: how many prefixes it announces. 0 and null mean that nobody filled it in: `None`.
    pub prefixes: FamilyMap<Option<u32>>,
    /// `info_never_via_route_servers`.
    pub never_via_route_servers: bool,
    /// When the record was fetched.
    pub fetched: SystemTime,
}

/// The limit for a network that says it announces `announced` prefixes: a tenth more, at least 10 more.
#[must_use]
pub fn limit_with_headroom(announced: u32) -> u32 {
    announced.saturating_add(announced.div_ceil(10).max(10))
}

/// Why PeeringDB could not be asked, or its reply not be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PeeringDbError {
    /// No connection, a bad certificate, a broken reply.
    #[error("{0}")]
    Transport(String),
    /// Nothing came in time.
    #[error("no answer in time")]
    Timeout,
    /// Another status than 200; how many seconds it asks us to wait.
    #[error("HTTP status {status}")]
    Status {
        /// The status.
        status: u16,
        /// `Retry-After`.
        retry_after: Option<u64>,
    },
    /// `meta.error` in a reply.
    #[error("PeeringDB says: {0}")]
    Meta(String),
    /// The reply is no JSON of the expected form.
    #[error("the reply cannot be read: {0}")]
    Json(String),
}

/// The shortest time that nothing is asked after PeeringDB said that it is too much, and the longest, whatever it says.
const HOLD: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(86_400));

impl PeeringDbError {
    /// How long nothing at all may be asked after this; `None`: only this question waits.
    pub(crate) fn hold(&self) -> Option<Duration> {
        match self {
            PeeringDbError::Status { status: 429, retry_after } => {
                Some(Duration::from_secs(retry_after.unwrap_or_default()).clamp(HOLD.0, HOLD.1))
            }
            _ => None,
        }
    }
}

/// A reply of the API.
#[derive(Deserialize)]
struct Envelope {
    #[serde(default)]
    data: Option<Vec<Value>>,
    #[serde(default)]
    meta: Option<Value>,
}

/// The fields we ask for. What is missing or null counts as not filled in.
#[derive(Deserialize)]
struct Net {
    asn: u32,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    irr_as_set: Option<String>,
    #[serde(default)]
    info_prefixes4: Option<u32>,
    #[serde(default)]
    info_prefixes6: Option<u32>,
    #[serde(default)]
    info_never_via_route_servers: Option<bool>,
}

/// The path and query for the records of `asns` (at most [`MAX_BATCH`]).
pub(crate) fn records_query(asns: &[Asn]) -> String {
    let asns: Vec<String> = asns.iter().map(ToString::to_string).collect();
    format!(
        "/net?asn__in={}&fields=asn,name,irr_as_set,info_prefixes4,info_prefixes6,info_never_via_route_servers",
        asns.join(",")
    )
}

/// The path and query for the networks that are never behind a route server.
pub(crate) const NEVER_QUERY: &str = "/net?info_never_via_route_servers=1&fields=asn";

/// The objects of a reply.
fn objects(body: &[u8]) -> Result<Vec<Value>, PeeringDbError> {
    let envelope: Envelope = serde_json::from_slice(body).map_err(|e| PeeringDbError::Json(e.to_string()))?;
    if let Some(error) = envelope.meta.as_ref().and_then(|meta| meta.get("error")).filter(|e| !e.is_null()) {
        let text = error.as_str().map_or_else(|| error.to_string(), str::to_owned);
        return Err(PeeringDbError::Meta(text.chars().take(200).collect()));
    }
    envelope.data.ok_or_else(|| PeeringDbError::Json("no data".into()))
}

/// The records in a reply. One that cannot be read is left out and costs the others nothing.
///
/// # Errors
/// The reply as a whole is none, or says that it failed.
pub(crate) fn parse_records(body: &[u8], now: SystemTime) -> Result<Vec<NetRecord>, PeeringDbError> {
    let read = |object: Value| serde_json::from_value::<Net>(object).ok().map(|net| net.into_record(now));
    Ok(objects(body)?.into_iter().filter_map(read).collect())
}

/// The AS numbers in a reply, sorted.
///
/// # Errors
/// As [`parse_records`].
pub(crate) fn parse_asns(body: &[u8]) -> Result<Vec<Asn>, PeeringDbError> {
    let mut asns: Vec<Asn> =
        objects(body)?.iter().filter_map(|o| u32::try_from(o.get("asn")?.as_u64()?).ok()).map(Asn).collect();
    asns.sort_unstable();
    asns.dedup();
    Ok(asns)
}

impl Net {
    fn into_record(self, now: SystemTime) -> NetRecord {
        NetRecord {
            asn: Asn(self.asn),
            name: self.name.unwrap_or_default().chars().take(200).collect(),
            irr_as_set: self.irr_as_set.unwrap_or_default().chars().take(1000).collect(),
            prefixes: FamilyMap::from_fn(|family| match family {
                Family::Ipv4 => self.info_prefixes4.filter(|n| *n > 0),
                Family::Ipv6 => self.info_prefixes6.filter(|n| *n > 0),
            }),
            never_via_route_servers: self.info_never_via_route_servers.unwrap_or_default(),
            fetched: now,
        }
    }
}

#[cfg(test)]
mod tests;
