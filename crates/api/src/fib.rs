//! `GET /v1/fib`, `GET /v1/nexthops`: what we want the kernel to have, and whether it does.

use std::net::IpAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use siskin_net::{Family, Prefix};

use crate::{Selector, schema};

/// What a route does with packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RouteKind {
    /// Sends them to its hops.
    Unicast,
    /// Drops them without a word.
    Blackhole,
    /// Drops them and tells the sender.
    Unreachable,
    /// Drops them and tells the sender that it is forbidden.
    Prohibit,
}

/// Where packets go next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Hop {
    /// The gateway; `null`: the destination is on the link.
    pub gateway: Option<IpAddr>,
    /// The interface's name.
    pub interface: String,
    /// Share of the load, 1 to 256.
    pub weight: u16,
}

/// State of a route of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FibState {
    /// The kernel has it.
    Installed,
    /// Still to be written.
    Pending,
    /// The kernel refused it; it is tried again.
    Failed,
}

/// A refusal of the kernel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FibError {
    /// The positive `errno`; `null` if we did not even try.
    pub errno: Option<i32>,
    /// The kernel's text, or ours.
    pub text: String,
}

/// A route of ours.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FibRoute {
    /// The kernel's table.
    pub table: u32,
    /// The prefix.
    #[schemars(with = "schema::Prefix")]
    pub prefix: Prefix,
    /// Whether the kernel has it.
    pub state: FibState,
    /// What it does.
    pub kind: RouteKind,
    /// Where packets go; empty unless unicast.
    pub hops: Vec<Hop>,
    /// The kernel's next-hop object, where one is used.
    pub nexthop_id: Option<u32>,
    /// The refusal of a failed one.
    pub error: Option<FibError>,
}

/// The query of `GET /v1/fib`.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FibQuery {
    /// A prefix, or an address (longest match). Absent: all.
    #[schemars(with = "Option<schema::Selector>")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<Selector>,
    /// Only routes in this state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<FibState>,
    /// Only this family.
    #[schemars(with = "Option<schema::Family>")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub family: Option<Family>,
    /// `next_cursor` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// Routes in a page: 1000 by default, 10000 at most. 0: only `total` is wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

impl FibQuery {
    /// The page size to use: the default where none is given, cut to the maximum.
    #[must_use]
    pub fn page_limit(&self) -> usize {
        self.limit.unwrap_or(crate::DEFAULT_LIMIT).min(crate::MAX_LIMIT) as usize
    }
}

/// A page of routes of ours.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct FibPage {
    /// The routes, in the order of their prefixes.
    pub routes: Vec<FibRoute>,
    /// Pass as `cursor` to get the next page; `null`: this was the last.
    pub next_cursor: Option<String>,
    /// How many there are in all pages; `null` where the daemon would have to walk the table to know.
    pub total: Option<u64>,
}

/// What is wrong with a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FibFault {
    /// The kernel did not have it.
    Missing,
    /// The kernel had another route in its place.
    Changed,
    /// The kernel had a route of ours that nobody wants.
    Surplus,
}

/// A route that differed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FibDifference {
    /// The kernel's table.
    pub table: u32,
    /// The prefix.
    #[schemars(with = "schema::Prefix")]
    pub prefix: Prefix,
    /// What was wrong.
    pub fault: FibFault,
}

/// What `GET /v1/fib/check` found. What differed is mended by now, or will be within a moment.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct FibCheck {
    /// Routes of ours that the kernel has.
    pub routes: u64,
    /// Routes that differed.
    pub different: u64,
    /// Next-hop objects that differed.
    pub objects: u64,
    /// Routes that the kernel refuses: wanted, and not there.
    pub failed: u64,
    /// The first of the routes that differed, 1000 at most.
    pub differences: Vec<FibDifference>,
}

/// How routes go to the kernel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct KernelMode {
    /// Next-hop objects are used; if not, next hops stand in every route.
    pub nexthop_objects: bool,
    /// `net.ipv4.nexthop_compat_mode`; `null` where it does not matter.
    pub nexthop_compat_mode: Option<bool>,
    /// What of this costs speed, and what to do about it; whole sentences.
    pub advice: Vec<String>,
}

/// Next hops: as the kernel has them, and as BGP names them.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct NextHops {
    /// Next-hop objects of ours in the kernel.
    pub objects: Vec<NextHopObject>,
    /// How routes go to the kernel; `null`: they do not.
    pub kernel: Option<KernelMode>,
    /// Next hops of BGP paths that are tracked.
    pub tracked: Vec<TrackedNextHop>,
}

/// A next-hop object of ours in the kernel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NextHopObject {
    /// Its identifier in the kernel.
    pub id: u32,
    /// Identifiers of the members of a group; empty for a single hop.
    pub members: Vec<u32>,
    /// The hops.
    pub hops: Vec<Hop>,
    /// Routes that use it.
    pub routes: u64,
}

/// A next hop of BGP paths.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TrackedNextHop {
    /// Its address.
    pub address: IpAddr,
    /// The interface of a link-local one.
    pub interface: Option<String>,
    /// Whether it can be reached: if not, no path through it is used.
    pub reachable: bool,
    /// The cost to reach it.
    pub metric: Option<u32>,
    /// How it is reached.
    pub hops: Vec<Hop>,
    /// The route of ours that leads there; absent: it is on a link, or a kernel route of others does.
    #[schemars(with = "Option<schema::Prefix>")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub via: Option<Prefix>,
    /// Paths that name it, where counted.
    pub paths: Option<u64>,
}
