//! `GET /v1/explain`: why a prefix is routed as it is, from what was received to whom it was sent.

use std::net::{IpAddr, Ipv4Addr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use siskin_net::{Asn, Prefix};

use crate::{Attributes, Hop, Path, PeerKind, RouteKind, Selector, schema};

/// The query of `GET /v1/explain`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExplainQuery {
    /// A prefix, or an address (longest match).
    #[schemars(with = "schema::Selector")]
    pub prefix: Selector,
    /// Only the path from this peer, and what was sent to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<String>,
}

/// Why a prefix is routed as it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Explanation {
    /// The prefix found.
    #[schemars(with = "schema::Prefix")]
    pub prefix: Prefix,
    /// The peer asked about, if one was.
    pub peer: Option<String>,
    /// The whole in one plain sentence; see [`Explanation::sentence`].
    pub summary: String,
    /// Every path: best, multipaths, losing ones, unusable ones, rejected ones.
    pub paths: Vec<ExplainedPath>,
    /// What the kernel has.
    pub kernel: KernelOutcome,
    /// What each peer was sent, and why not.
    pub exports: Vec<ExportOutcome>,
}

/// One path with everything that was decided about it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ExplainedPath {
    /// The path; its attributes are those after import (of a rejected one, as received).
    #[serde(flatten)]
    pub path: Path,
    /// The peer's address.
    pub peer_address: Option<IpAddr>,
    /// The peer's AS number.
    #[schemars(with = "Option<schema::Asn>")]
    pub peer_asn: Option<Asn>,
    /// The peer's BGP Identifier.
    pub peer_router_id: Option<Ipv4Addr>,
    /// External or internal peer; `null`: not from a peer.
    pub kind: Option<PeerKind>,
    /// Cost to reach the next hop, for the IGP step of the decision; `null` if it cannot be reached.
    pub igp_metric: Option<u32>,
    /// Attributes as received, before checks and policy.
    pub received: Attributes,
    /// The checks before policy, in their order, to the first that failed.
    pub checks: Vec<Check>,
    /// What the import policy did; `null`: a check ended it before, or there is no policy.
    pub policy: Option<PolicyTrace>,
    /// What import changed.
    pub changes: Vec<AttributeChange>,
    /// What it lost to; `null`: it is the best, or never took part.
    pub lost: Option<Lost>,
    /// Of a path that did not lose by preference and still is no multipath: why not.
    pub no_multipath: Option<String>,
}

/// One check before policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Check {
    /// A stable name, like `as-loop`, `first-as`, `next-hop`.
    pub name: String,
    /// Whether it passed.
    pub passed: bool,
    /// What was looked at and found.
    pub text: String,
}

/// What a policy did with a path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PolicyTrace {
    /// The policy's name.
    pub policy: String,
    /// Whether it accepted.
    pub accepted: bool,
    /// The rule that ended it.
    pub rule: String,
    /// The rules that ran, in order.
    pub steps: Vec<PolicyStep>,
}

/// One rule that ran.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PolicyStep {
    /// Policy and number, like `fabric-in rule 3`.
    pub rule: String,
    /// The rule itself.
    pub text: String,
    /// Whether its condition held (a rule without one always does).
    pub matched: bool,
    /// What it did, like `local-pref 100 → 200`, `accept`; `null`: nothing.
    pub effect: Option<String>,
}

/// One attribute that import or export changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AttributeChange {
    /// The attribute, like `local_pref`.
    pub attribute: String,
    /// Its value before; `null`: it was absent.
    pub from: Option<String>,
    /// Its value after; `null`: it was removed.
    pub to: Option<String>,
}

/// The steps of the decision (RFC 4271 section 9.1.2, RFC 4456 section 9, and the local weight), in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DecisionStep {
    /// Higher local weight.
    Weight,
    /// Higher LOCAL_PREF.
    LocalPref,
    /// A route of our own before a learned one.
    LocalOrigin,
    /// Shorter AS_PATH.
    AsPathLength,
    /// Lower ORIGIN.
    Origin,
    /// Lower MULTI_EXIT_DISC, among paths of one neighbouring AS.
    Med,
    /// From an external peer before an internal one.
    External,
    /// Lower cost to the next hop.
    IgpMetric,
    /// Lower BGP Identifier of the sender, or ORIGINATOR_ID.
    RouterId,
    /// Shorter CLUSTER_LIST.
    ClusterListLength,
    /// Lower address of the peer.
    PeerAddress,
}

impl DecisionStep {
    /// All of them, in the order of the decision.
    pub const ALL: [DecisionStep; 11] = [
        DecisionStep::Weight,
        DecisionStep::LocalPref,
        DecisionStep::LocalOrigin,
        DecisionStep::AsPathLength,
        DecisionStep::Origin,
        DecisionStep::Med,
        DecisionStep::External,
        DecisionStep::IgpMetric,
        DecisionStep::RouterId,
        DecisionStep::ClusterListLength,
        DecisionStep::PeerAddress,
    ];

    /// Its name for people, like `AS path length`.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            DecisionStep::Weight => "weight",
            DecisionStep::LocalPref => "local preference",
            DecisionStep::LocalOrigin => "own route",
            DecisionStep::AsPathLength => "AS path length",
            DecisionStep::Origin => "origin",
            DecisionStep::Med => "MED",
            DecisionStep::External => "external before internal",
            DecisionStep::IgpMetric => "cost to next hop",
            DecisionStep::RouterId => "router id",
            DecisionStep::ClusterListLength => "cluster list length",
            DecisionStep::PeerAddress => "peer address",
        }
    }

    /// Which value wins, like `shorter`.
    #[must_use]
    pub const fn preference(self) -> &'static str {
        match self {
            DecisionStep::Weight | DecisionStep::LocalPref => "higher",
            DecisionStep::LocalOrigin => "own",
            DecisionStep::AsPathLength | DecisionStep::ClusterListLength => "shorter",
            DecisionStep::External => "external",
            DecisionStep::Origin
            | DecisionStep::Med
            | DecisionStep::IgpMetric
            | DecisionStep::RouterId
            | DecisionStep::PeerAddress => "lower",
        }
    }
}

/// The comparison a path lost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Lost {
    /// The peer (or source) whose path beat it.
    pub to: String,
    /// The step that decided.
    pub step: DecisionStep,
    /// The winner's value.
    pub winner: String,
    /// This path's value.
    pub own: String,
}

/// Where a route stands between us and the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum KernelState {
    /// The kernel has it.
    Installed,
    /// It will be written.
    Pending,
    /// The kernel refused it; see `error`.
    Failed,
    /// It is not for the kernel: no usable path, the kernel's own route, or `install = false`.
    NotInstalled,
}

/// What the kernel has for the prefix.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct KernelOutcome {
    /// Where it stands.
    pub state: KernelState,
    /// Number of the kernel's table.
    pub table: Option<u32>,
    /// The route's metric in the kernel.
    pub metric: Option<u32>,
    /// What kind of route.
    pub kind: Option<RouteKind>,
    /// Where packets go.
    pub hops: Vec<Hop>,
    /// The kernel's next-hop object, where one is used.
    pub nexthop_id: Option<u32>,
    /// The kernel's refusal.
    pub error: Option<String>,
    /// What `kernel.policy` did with the route; absent: there is no such policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<PolicyTrace>,
    /// Why it is not installed.
    pub reason: Option<String>,
}

/// What one peer was sent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ExportOutcome {
    /// The peer.
    pub peer: String,
    /// Whether it was sent the route (or will be: see `pending`).
    pub sent: bool,
    /// Whether the latest state still waits to be sent.
    pub pending: bool,
    /// The rule that decided: a built-in reason (`split-horizon`, `no-export`) or policy and number.
    pub rule: String,
    /// The rule in words.
    pub text: String,
    /// The attributes as sent.
    pub attributes: Option<Attributes>,
}
