//! `GET /v1/routes`: prefixes with their paths, in pages.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use siskin_net::{Asn, Family, ParsePrefixError, Prefix, RouteSource};

use crate::schema;

/// Prefixes in a page where the request does not say.
pub const DEFAULT_LIMIT: u32 = 1000;
/// The most prefixes a page may have; more is cut to this.
pub const MAX_LIMIT: u32 = 10_000;

/// A prefix itself, or an address: then the longest prefix that covers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Selector {
    /// Exactly this prefix (with `longer`: what lies within, too).
    Prefix(Prefix),
    /// The longest match of this address.
    Address(IpAddr),
}

impl Selector {
    /// The family asked about.
    #[must_use]
    pub fn family(self) -> Family {
        match self {
            Selector::Prefix(prefix) => prefix.family(),
            Selector::Address(IpAddr::V4(_)) => Family::Ipv4,
            Selector::Address(IpAddr::V6(_)) => Family::Ipv6,
        }
    }
}

impl FromStr for Selector {
    type Err = ParsePrefixError;
    fn from_str(text: &str) -> Result<Self, ParsePrefixError> {
        match text.parse() {
            Ok(address) => Ok(Selector::Address(address)),
            Err(_) => text.parse().map(Selector::Prefix),
        }
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Selector::Prefix(prefix) => prefix.fmt(f),
            Selector::Address(address) => address.fmt(f),
        }
    }
}

impl Serialize for Selector {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Selector {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|e| serde::de::Error::custom(format!("`{text}`: {e}")))
    }
}

/// Which paths are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum View {
    /// Every path of the table, rejected ones left out.
    #[default]
    All,
    /// Adj-RIB-In: as the peers sent them, rejected ones included.
    Received,
    /// Rejected by import, with the rule that did it.
    Filtered,
    /// Loc-RIB: the best path alone.
    Best,
    /// Adj-RIB-Out of `peer` (which must be given), with the attributes as sent.
    Exported,
    /// Prefixes that are in the kernel, with the best path and its multipaths.
    Fib,
}

impl View {
    /// The word in the query.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            View::All => "all",
            View::Received => "received",
            View::Filtered => "filtered",
            View::Best => "best",
            View::Exported => "exported",
            View::Fib => "fib",
        }
    }
}

/// The query of `GET /v1/routes`.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RoutesQuery {
    /// A prefix, or an address (longest match). Absent: the whole table.
    #[schemars(with = "Option<schema::Selector>")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<Selector>,
    /// With a prefix: everything within it, too.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub longer: bool,
    /// Only paths from this peer (`exported`: sent to this peer).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<String>,
    /// Which paths.
    #[serde(default)]
    pub view: View,
    /// Only this family.
    #[schemars(with = "Option<schema::Family>")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub family: Option<Family>,
    /// `next_cursor` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// Prefixes in a page: 1000 by default, 10000 at most. 0: only `total` is wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

impl RoutesQuery {
    /// The page size to use: the default where none is given, cut to the maximum.
    #[must_use]
    pub fn page_limit(&self) -> usize {
        self.limit.unwrap_or(DEFAULT_LIMIT).min(MAX_LIMIT) as usize
    }
}

/// A page of routes.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct RoutesPage {
    /// Prefixes with at least one path that was asked for.
    pub routes: Vec<Route>,
    /// Pass as `cursor` to get the next page; `null`: this was the last.
    pub next_cursor: Option<String>,
    /// How many prefixes there are in all pages; `null` where the daemon would have to walk the table to know.
    pub total: Option<u64>,
}

/// A prefix with its paths, the best first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Route {
    /// The prefix.
    #[schemars(with = "schema::Prefix")]
    pub prefix: Prefix,
    /// Its paths: best, multipaths, the other usable ones, unusable ones, rejected ones.
    pub paths: Vec<Path>,
}

/// One path of a prefix.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Path {
    /// The peer's name; of a route that did not come by BGP the name of its source (`originate`, `vmbr1`).
    pub peer: String,
    /// How it entered.
    #[schemars(with = "schema::RouteSource")]
    pub source: RouteSource,
    /// The peer's ADD-PATH identifier (RFC 7911), where it sends them.
    pub path_id: Option<u32>,
    /// Attributes: after import; with `received` and of a rejected path as the peer sent them; with `exported` as
    /// we sent them.
    pub attributes: Attributes,
    /// Whether it is the best path.
    pub best: bool,
    /// Whether it shares the load with the best path (the best path itself included).
    pub multipath: bool,
    /// Why import rejected it; `null`: it was accepted.
    pub rejected: Option<Rejection>,
    /// Whether the next hop can be reached: if not the path is not used.
    pub next_hop_reachable: bool,
    /// Whether it is kept from before the peer's restart (RFC 4724).
    pub stale: bool,
    /// Seconds since it came, where that is known.
    pub age_s: Option<u64>,
}

/// Why a path was rejected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Rejection {
    /// The rule: a stable name of a built-in one (`as-loop`, `rpki-invalid`), or policy and number (`fabric-in rule 3`).
    pub rule: String,
    /// The rule in words: its text and where it stands, or the facts by which the built-in one decided
    /// (`VRP 192.0.2.0/24 max 24 AS 64496`).
    pub text: String,
}

/// Path attributes in text.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Attributes {
    /// ORIGIN: `igp`, `egp`, `incomplete`.
    pub origin: String,
    /// AS_PATH, like `64500 64501 {64502 64503}`; empty for a route of our own.
    pub as_path: String,
    /// Its length as the decision counts it: a set is one.
    pub as_path_length: u32,
    /// NEXT_HOP.
    pub next_hop: Option<IpAddr>,
    /// The link-local next hop beside a global one (RFC 2545).
    pub link_local_next_hop: Option<IpAddr>,
    /// The interface of a link-local next hop.
    pub next_hop_interface: Option<String>,
    /// MULTI_EXIT_DISC.
    pub med: Option<u32>,
    /// LOCAL_PREF; `null` counts as 100.
    pub local_pref: Option<u32>,
    /// Local weight, higher wins before LOCAL_PREF.
    pub weight: u32,
    /// The kernel's table the route is for; absent: that of the configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<u32>,
    /// Standard communities, like `64500:100` or `no-export`.
    pub communities: Vec<String>,
    /// Large communities, like `64500:1:2`.
    pub large_communities: Vec<String>,
    /// Extended communities, like `rt:64500:1`.
    pub ext_communities: Vec<String>,
    /// ATOMIC_AGGREGATE.
    pub atomic_aggregate: bool,
    /// AGGREGATOR.
    pub aggregator: Option<AggregatorView>,
    /// ORIGINATOR_ID (RFC 4456).
    pub originator_id: Option<Ipv4Addr>,
    /// CLUSTER_LIST (RFC 4456), nearest first.
    pub cluster_list: Vec<Ipv4Addr>,
    /// Only to Customer (RFC 9234).
    #[schemars(with = "Option<schema::Asn>")]
    pub otc: Option<Asn>,
    /// Attributes we pass on without knowing them.
    pub unknown: Vec<UnknownView>,
}

/// AGGREGATOR (RFC 4271 section 5.1.7).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AggregatorView {
    /// The AS that aggregated.
    #[schemars(with = "schema::Asn")]
    pub asn: Asn,
    /// The speaker that aggregated.
    pub router_id: Ipv4Addr,
}

/// An attribute we do not know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UnknownView {
    /// Type code.
    pub code: u8,
    /// Flags octet.
    pub flags: u8,
    /// The value in hexadecimal.
    pub value: String,
}
