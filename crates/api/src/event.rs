//! `GET /v1/events`: what happens, as server-sent events. The event's name is its `type`, its data this JSON.

use std::net::IpAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use siskin_net::{Family, Prefix};

use crate::{IrrSetState, LastError, LimitState, PeerState, schema};

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Event {
    /// When, in milliseconds of Unix time.
    pub at_ms: u64,
    /// What.
    #[serde(flatten)]
    pub body: EventBody,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum EventBody {
    /// A session changed its state.
    PeerState {
        /// The peer.
        peer: String,
        /// State before.
        from: PeerState,
        /// State now.
        to: PeerState,
        /// Why, when it went down.
        error: Option<LastError>,
    },
    /// A host route changed.
    HostRoute {
        /// The interface of the configuration.
        interface: String,
        /// The address.
        address: IpAddr,
        /// The MAC address.
        mac: String,
        /// The port.
        port: String,
        /// What changed.
        change: HostRouteChange,
        /// Why.
        text: String,
    },
    /// The kernel refused a route.
    FibRefused {
        /// The prefix.
        #[schemars(with = "schema::Prefix")]
        prefix: Prefix,
        /// The kernel's text.
        text: String,
    },
    /// A configuration came into force or was refused.
    Config {
        /// Whether it is in force.
        applied: bool,
        /// The generation in force.
        generation: u64,
        /// In one sentence.
        text: String,
    },
    /// Validated data changed, and paths were judged again.
    Rpki {
        /// VRPs and ASPA records that came.
        announced: u64,
        /// VRPs and ASPA records that went.
        withdrawn: u64,
        /// Paths judged again.
        paths_judged: u64,
        /// Of these, paths whose verdict or attributes changed.
        changed: u64,
        /// Microseconds this took.
        took_us: u64,
    },
    /// A registry's list of a peer came, was kept, needs a confirmation or is missing.
    Irr {
        /// The peer.
        peer: String,
        /// Where the list stands now.
        state: IrrSetState,
        /// In one sentence.
        text: String,
    },
    /// A prefix limit came near, was reached, or has room again.
    Limit {
        /// The peer.
        peer: String,
        /// The family.
        #[schemars(with = "schema::Family")]
        family: Family,
        /// Where the limit stands now.
        state: LimitState,
        /// In one sentence, with the numbers.
        text: String,
    },
    /// A peer or the whole router was drained, or announces again.
    Drain {
        /// The peer; `null`: the whole router.
        peer: Option<String>,
        /// Whether it is drained now.
        drained: bool,
    },
    /// This client reads too slowly: events were left out.
    Lagged {
        /// How many.
        missed: u64,
    },
}

impl EventBody {
    /// The word of `type`.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            EventBody::PeerState { .. } => "peer_state",
            EventBody::HostRoute { .. } => "host_route",
            EventBody::FibRefused { .. } => "fib_refused",
            EventBody::Config { .. } => "config",
            EventBody::Rpki { .. } => "rpki",
            EventBody::Irr { .. } => "irr",
            EventBody::Limit { .. } => "limit",
            EventBody::Drain { .. } => "drain",
            EventBody::Lagged { .. } => "lagged",
        }
    }
}

/// What changed about a host route.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HostRouteChange {
    /// It is announced.
    Announced,
    /// It is withdrawn.
    Withdrawn,
    /// It is behind another port.
    Moved,
    /// A claim was not believed.
    Refused,
}
