//! `GET /v1/policy/{peer}`, `POST /v1/policy/{peer}/test`, `POST /v1/policy/{peer}/test-mrt`: what import and export of a
//! peer do, as text, with one made-up route, and with a whole table from a file.

use std::net::IpAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use siskin_net::{Asn, Prefix, Role};

use crate::{AttributeChange, Attributes, Check, PolicyTrace, schema};

/// What a peer's import and export do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PolicyView {
    /// The peer.
    pub peer: String,
    /// `role` of the configuration, which brings checks and policies.
    #[schemars(with = "Option<schema::Role>")]
    pub role: Option<Role>,
    /// What happens to routes from it.
    pub import: PolicySide,
    /// What happens to routes to it.
    pub export: PolicySide,
}

/// One direction: the checks first, then the policy.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct PolicySide {
    /// Built-in rules, in the order in which they are applied.
    pub checks: Vec<PolicyCheck>,
    /// The policy's name; `null`: none, nothing passes (RFC 8212).
    pub policy: Option<String>,
    /// The policy's rules, in their order, those of called policies after it.
    pub rules: Vec<PolicyRule>,
}

/// A built-in rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PolicyCheck {
    /// Its stable name, which rejections and the configuration use, like `rpki-invalid`.
    pub name: String,
    /// What it does, in the rule language where that can say it.
    pub rule: String,
    /// Whether it is on for this peer.
    pub on: bool,
    /// What an operator should know: why it is off, what its list is and how old.
    pub note: Option<String>,
}

/// A rule of a policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PolicyRule {
    /// Policy and number, like `fabric-in rule 3`.
    pub rule: String,
    /// The rule itself.
    pub text: String,
    /// Where it stands, `siskin.toml:88`; `null`: it is built in.
    pub location: Option<String>,
    /// Why it can never be reached; `null`: it can.
    pub dead: Option<String>,
}

/// Which of a peer's two ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PolicyDirection {
    /// From the peer.
    #[default]
    Import,
    /// To the peer.
    Export,
}

/// The body of `POST /v1/policy/{peer}/test`: a route that need not exist.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicyTestRequest {
    /// From the peer or to it.
    #[serde(default)]
    pub direction: PolicyDirection,
    /// The prefix.
    #[schemars(with = "schema::Prefix")]
    pub prefix: Prefix,
    /// AS_PATH, like `64496 64511 {64512 64513}`; `null`: the peer's AS number alone (import), empty (export).
    #[serde(default)]
    pub as_path: Option<String>,
    /// Communities of every kind, as the configuration writes them: `64500:100`, `64500:1:2`, `rt:64500:1`, `no-export`.
    #[serde(default)]
    pub communities: Vec<String>,
    /// NEXT_HOP; `null`: the peer's address (import).
    #[serde(default)]
    pub next_hop: Option<IpAddr>,
    /// ORIGIN: `igp` (the default), `egp`, `incomplete`.
    #[serde(default)]
    pub origin: Option<String>,
    /// MULTI_EXIT_DISC.
    #[serde(default)]
    pub med: Option<u32>,
    /// LOCAL_PREF.
    #[serde(default)]
    pub local_pref: Option<u32>,
    /// Only to Customer (RFC 9234).
    #[schemars(with = "Option<schema::Asn>")]
    #[serde(default)]
    pub otc: Option<Asn>,
    /// With `export`: the peer the route came from; `null`: a route of our own.
    #[serde(default)]
    pub from: Option<String>,
}

/// What became of a tested route.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PolicyOutcome {
    /// It would be used (import) or sent (export).
    Accepted,
    /// It would not.
    Rejected,
}

/// The answer of `POST /v1/policy/{peer}/test`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PolicyTestResult {
    /// The peer.
    pub peer: String,
    /// From it or to it.
    pub direction: PolicyDirection,
    /// The prefix.
    #[schemars(with = "schema::Prefix")]
    pub prefix: Prefix,
    /// What became of it.
    pub outcome: PolicyOutcome,
    /// The rule that decided: a built-in rule's name, or policy and number.
    pub rule: String,
    /// The rule in words, with the facts it decided by.
    pub text: String,
    /// The checks before policy, in their order, to the first that failed.
    pub checks: Vec<Check>,
    /// What the policy did; `null`: a check ended it before, or there is no policy.
    pub policy: Option<PolicyTrace>,
    /// What was changed.
    pub changes: Vec<AttributeChange>,
    /// The attributes afterwards; of a rejected route as they were given.
    pub attributes: Attributes,
}

/// The body of `POST /v1/policy/{peer}/test-mrt`: a table that is run through a peer's import. The daemon reads the file itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicyMrtRequest {
    /// Absolute path of an MRT file (RFC 6396, TABLE_DUMP_V2 or BGP4MP) on the daemon's machine, plain or gzip.
    pub file: String,
}

/// The answer of `POST /v1/policy/{peer}/test-mrt`.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct PolicyMrtReport {
    /// The peer.
    pub peer: String,
    /// The file.
    pub file: String,
    /// Routes read: prefix and attributes of one peer of the collector.
    pub routes: u64,
    /// Of these, accepted.
    pub accepted: u64,
    /// Of these, rejected.
    pub rejected: u64,
    /// Records that could not be understood and were left out.
    pub unreadable: u64,
    /// How many routes each rule decided, the most first.
    pub by_rule: Vec<RuleCount>,
    /// Milliseconds it took, reading included.
    pub took_ms: u64,
}

/// How many routes a rule decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RuleCount {
    /// The rule: a built-in rule's name, or policy and number.
    pub rule: String,
    /// The rule in words.
    pub text: String,
    /// Whether it accepts.
    pub outcome: PolicyOutcome,
    /// How many.
    pub count: u64,
    /// One of them.
    #[schemars(with = "schema::Prefix")]
    pub example: Prefix,
}
