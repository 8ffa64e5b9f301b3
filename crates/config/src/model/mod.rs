//! The checked configuration: every name resolved, every group merged, every default applied.
//!
//! A value of these types is right by construction; the daemon asks no further questions of it. The types
//! serialize to the configuration's own key names (the effective configuration of `GET /v1/config`), secrets
//! shown as `***`.

mod address;
mod data;
mod edge;
mod filter;
mod hosts;
mod local;
mod peer;
mod router;
mod routes;
mod rule;
mod secret;
pub(crate) mod serialize;
mod session;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use siskin_policy::PolicySet;

pub use address::MacAddress;
pub use data::{Irr, PeeringDb, Rpki, RtrServer};
pub(crate) use edge::range_text;
pub use edge::{AsnRanges, Blocklist, Checks, Edge, Patterns};
pub use filter::{AsSet, IrrFilter, IrrSource, LimitAction, Limits, MaxPrefix, MaxPrefixSource, RpkiMode};
pub use hosts::{HostLimits, HostTimers};
pub use local::{
    Communities, Guard, HostRoutes, Originate, OriginateKernel, Redistribute, Redistribution, Vm,
};
pub use peer::{DynamicPeer, Endpoint, Peer};
pub use router::{Api, CompatMode, Kernel, Multipath, OnStop, ResilientGroups, Router};
pub use routes::{Bfd, NextHopMode, PolicyChoice, RouteSettings};
pub use rule::{Mark, Rule};
pub use secret::Secret;
pub use session::{AddPath, AddPathSend, AsnRule, GracefulRestart, PeerKind, SessionSettings, Ttl};
pub use siskin_net::HostPort;

use crate::not_yet::NotYet;

/// The whole checked configuration.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Config {
    /// `[router]`.
    pub router: Router,
    /// `[kernel]`.
    pub kernel: Kernel,
    /// `[api]`.
    pub api: Api,
    /// `[[originate]]`, in the file's order; no prefix twice.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub originate: Vec<Originate>,
    /// `[[rule]]`, in the file's order.
    #[serde(rename = "rule", skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<Rule>,
    /// `[redistribute.*]`.
    pub redistribute: Redistribute,
    /// `[host-routes.INTERFACE]` by interface name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub host_routes: BTreeMap<String, HostRoutes>,
    /// `[edge]`: lists of the built-in rules.
    pub edge: Edge,
    /// `[rpki]`; without servers, nothing is validated.
    pub rpki: Rpki,
    /// `[irr]`: where as-sets of peers are resolved.
    pub irr: Irr,
    /// `[peeringdb]`.
    pub peeringdb: PeeringDb,
    /// `[peer.NAME]` by name.
    #[serde(rename = "peer", skip_serializing_if = "BTreeMap::is_empty")]
    pub peers: BTreeMap<String, Peer>,
    /// `[dynamic-peer.NAME]` by name.
    #[serde(rename = "dynamic-peer", skip_serializing_if = "BTreeMap::is_empty")]
    pub dynamic_peers: BTreeMap<String, DynamicPeer>,
    /// `[policy.NAME]`, compiled together with the sets they name; `accept-all` and `reject-all` are there too.
    #[serde(skip)]
    pub policies: Arc<PolicySet>,
    /// The rules of each `[policy.NAME]` as written, for the effective configuration and for [`Config::diff`].
    #[serde(
        rename = "policy",
        serialize_with = "serialize::rules",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub policy_rules: BTreeMap<String, Vec<String>>,
    /// The members of each `[prefix-set.NAME]` as written.
    #[serde(
        rename = "prefix-set",
        serialize_with = "serialize::prefixes",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub prefix_sets: BTreeMap<String, Vec<String>>,
    /// The members of each `[community-set.NAME]` as written.
    #[serde(
        rename = "community-set",
        serialize_with = "serialize::communities",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub community_sets: BTreeMap<String, Vec<String>>,
    #[serde(skip)]
    pub(crate) not_yet: Vec<NotYet>,
}

impl Config {
    /// What the file asks for and this version does not do yet, in the order found: the daemon logs one warning
    /// each. [`crate::Loaded::warnings`] holds the same as diagnostics with excerpts.
    #[must_use]
    pub fn not_yet(&self) -> &[NotYet] {
        &self.not_yet
    }
}
