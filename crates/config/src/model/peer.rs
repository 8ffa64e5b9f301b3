//! Peers: whom we speak with ([`Endpoint`]), how the session is made ([`SessionSettings`]), and what happens to
//! routes on it ([`RouteSettings`]).
//!
//! The two structs are split by what a change costs: a different [`SessionSettings`] needs a new session, a
//! different [`RouteSettings`] applies to the running one.

use std::net::IpAddr;

use serde::Serialize;
use siskin_net::{NamePattern, Prefix};

use super::{RouteSettings, SessionSettings};

/// One `[peer.NAME]`, its group merged in and defaults applied.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Peer {
    /// The table's name: `[a-zA-Z0-9_.-]{1,64}`.
    #[serde(skip)]
    pub name: String,
    /// Words for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// `false`: known, but administratively down.
    pub enabled: bool,
    /// The peer group whose keys it took.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Whom to speak with.
    #[serde(flatten)]
    pub endpoint: Endpoint,
    /// What a session is made of.
    #[serde(flatten)]
    pub session: SessionSettings,
    /// What happens to routes.
    #[serde(flatten)]
    pub routes: RouteSettings,
}

impl Peer {
    /// Whether going from this to `new` needs a new session; everything else applies to the running one.
    #[must_use]
    pub fn session_differs(&self, new: &Peer) -> bool {
        self.endpoint != new.endpoint || self.session != new.session
    }
}

/// Whom to speak with.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(untagged)]
pub enum Endpoint {
    /// A known address.
    Address {
        /// The peer's address.
        address: IpAddr,
        /// The interface it is on; always there for a link-local address.
        #[serde(skip_serializing_if = "Option::is_none")]
        interface: Option<String>,
    },
    /// BGP unnumbered: whoever sends router advertisements on the interface.
    Unnumbered {
        /// The interface.
        interface: String,
    },
}

impl Endpoint {
    /// The address, if it is known from the configuration.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        match self {
            Endpoint::Address { address, .. } => Some(*address),
            Endpoint::Unnumbered { .. } => None,
        }
    }

    /// The interface, if one is named.
    #[must_use]
    pub fn interface(&self) -> Option<&str> {
        match self {
            Endpoint::Address { interface, .. } => interface.as_deref(),
            Endpoint::Unnumbered { interface } => Some(interface),
        }
    }

    /// Whether the session runs between link-local addresses.
    #[must_use]
    pub fn is_link_local(&self) -> bool {
        match self {
            Endpoint::Address { address: IpAddr::V6(address), .. } => address.is_unicast_link_local(),
            Endpoint::Address { .. } => false,
            Endpoint::Unnumbered { .. } => true,
        }
    }
}

/// One `[dynamic-peer.NAME]`: peers accepted without being named one by one.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct DynamicPeer {
    /// The table's name.
    #[serde(skip)]
    pub name: String,
    /// Where they may come from; distinct, and empty only if `interfaces` is not.
    pub range: Vec<Prefix>,
    /// Interfaces on which they are found by their router advertisements.
    pub interfaces: Vec<NamePattern>,
    /// How many there may be at once.
    pub limit: u32,
    /// Words for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// `false`: none is accepted.
    pub enabled: bool,
    /// The peer group whose keys it took.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// What a session is made of.
    #[serde(flatten)]
    pub session: SessionSettings,
    /// What happens to routes.
    #[serde(flatten)]
    pub routes: RouteSettings,
}

impl DynamicPeer {
    /// The peer that one of them becomes.
    #[must_use]
    pub fn peer(&self, name: String, endpoint: Endpoint) -> Peer {
        let mut session = self.session.clone();
        session.extended_next_hop |= endpoint.is_link_local();
        Peer {
            name,
            description: self.description.clone(),
            enabled: self.enabled,
            group: self.group.clone(),
            endpoint,
            session,
            routes: self.routes.clone(),
        }
    }
}
