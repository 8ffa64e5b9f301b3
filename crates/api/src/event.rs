//! `GET /v1/events`: what happens, as server-sent events. The event's name is its `type`, its data this JSON.

use std::net::IpAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use siskin_net::Prefix;

use crate::{LastError, PeerState, schema};

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
