//! `GET /v1/peers`, `GET /v1/peers/{name}`, `POST /v1/peers/{name}/{action}`: BGP sessions.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use siskin_net::{Asn, Family, Role};

use crate::{MaxPrefix, schema};

/// State of the finite state machine (RFC 4271 section 8.2.2), and `down` of a peer that is switched off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PeerState {
    /// Switched off, by `enabled = false` or by hand.
    Down,
    /// Waits before it tries again.
    Idle,
    /// The TCP connection is being made.
    Connect,
    /// Waits for the peer to connect.
    Active,
    /// OPEN sent, the peer's awaited.
    OpenSent,
    /// OPEN accepted, KEEPALIVE awaited.
    OpenConfirm,
    /// Routes are exchanged.
    Established,
}

impl PeerState {
    /// The RFC's spelling, for people.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            PeerState::Down => "Down",
            PeerState::Idle => "Idle",
            PeerState::Connect => "Connect",
            PeerState::Active => "Active",
            PeerState::OpenSent => "OpenSent",
            PeerState::OpenConfirm => "OpenConfirm",
            PeerState::Established => "Established",
        }
    }
}

/// Whether the session crosses an AS border.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PeerKind {
    /// Another AS (eBGP).
    External,
    /// Our own AS (iBGP).
    Internal,
}

/// One peer in the list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PeerSummary {
    /// Its name in the configuration.
    pub name: String,
    /// `description` of the configuration.
    pub description: Option<String>,
    /// Its group in the configuration.
    pub group: Option<String>,
    /// Its address; of an unnumbered peer once it is found.
    pub address: Option<IpAddr>,
    /// The interface, of an unnumbered or link-local peer.
    pub interface: Option<String>,
    /// Its AS number; `null` while `asn = "external"` and the session was never up.
    #[schemars(with = "Option<schema::Asn>")]
    pub asn: Option<Asn>,
    /// The AS number we use with it.
    #[schemars(with = "schema::Asn")]
    pub local_asn: Asn,
    /// External or internal; `null` while its AS number is not known.
    pub kind: Option<PeerKind>,
    /// `role` of the configuration.
    #[schemars(with = "Option<schema::Role>")]
    pub role: Option<Role>,
    /// The role as negotiated; `null`: none is configured, or the session is not established.
    pub role_state: Option<RoleState>,
    /// State of the session.
    pub state: PeerState,
    /// Seconds in state Established; `null` in any other state.
    pub uptime_s: Option<u64>,
    /// Seconds since the state was last entered or left Established; `null` if it never changed.
    pub since_s: Option<u64>,
    /// Whether it is drained, by itself or with the whole router: nothing is announced to it (RFC 8326).
    pub drained: bool,
    /// One entry for each family of the configuration.
    pub families: Vec<PeerFamily>,
    /// Why the session last ended or could not come up.
    pub last_error: Option<LastError>,
    /// What an operator should know at a glance, like that RFC 8212 keeps all routes out.
    pub hint: Option<String>,
}

/// Routes of one family exchanged with a peer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PeerFamily {
    /// The family.
    #[schemars(with = "schema::Family")]
    pub family: Family,
    /// Whether both sides agreed on it.
    pub negotiated: bool,
    /// Prefixes in Adj-RIB-In: accepted and filtered.
    pub received: u64,
    /// Of these, accepted by import.
    pub accepted: u64,
    /// Of these, rejected, and kept with the rule.
    pub filtered: u64,
    /// Of the filtered, kept out by a prefix limit whose action is `block`.
    pub blocked: u64,
    /// Of the accepted, used as the best or as a multipath.
    pub best: u64,
    /// Of those received, kept from before the peer's restart until it confirms them (RFC 4724).
    pub stale: u64,
    /// Prefixes in Adj-RIB-Out.
    pub advertised: u64,
    /// Prefixes still to be sent.
    pub pending: u64,
    /// Whether the peer's End-of-RIB has come.
    pub end_of_rib: bool,
    /// The limit of what it may send, where one is set.
    pub max_prefix: Option<MaxPrefix>,
    /// The limit of what it is sent, where one is set.
    pub max_prefix_out: Option<MaxPrefix>,
}

/// What both sides said of their roles (RFC 9234).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RoleState {
    /// The peer said its role, and it fits ours.
    Agreed,
    /// The peer said nothing of its role: ours is applied by us alone.
    Unconfirmed,
}

/// Who reported an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// We sent a NOTIFICATION.
    Sent,
    /// The peer sent a NOTIFICATION.
    Received,
    /// No NOTIFICATION: TCP or the operating system.
    Local,
}

/// Why a session ended or could not come up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LastError {
    /// Who reported it.
    pub direction: Direction,
    /// NOTIFICATION error code (RFC 4271 section 4.5); `null` if local.
    pub code: Option<u8>,
    /// NOTIFICATION error subcode; `null` if local.
    pub subcode: Option<u8>,
    /// The registered name, like `Cease / Administrative Shutdown`, or a short local one, like `connection refused`.
    pub name: String,
    /// What more is known: the peer's shutdown text (RFC 9003), what we expected.
    pub text: Option<String>,
    /// When, in seconds of Unix time.
    pub at: u64,
}

/// One peer in full.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PeerDetail {
    /// All of the list's fields.
    #[serde(flatten)]
    pub summary: PeerSummary,
    /// The peer's BGP Identifier, from its OPEN.
    pub router_id: Option<Ipv4Addr>,
    /// Our end of the TCP connection, `address:port`.
    pub local_address: Option<String>,
    /// The peer's end of the TCP connection, `address:port`.
    pub remote_address: Option<String>,
    /// Whether we only wait for the peer to connect.
    pub passive: bool,
    /// The import policy's name; `null`: none, see `hint`.
    pub import: Option<String>,
    /// The export policy's name; `null`: none, see `hint`.
    pub export: Option<String>,
    /// Capabilities of the session.
    pub capabilities: Capabilities,
    /// Timers of the session.
    pub timers: Timers,
    /// Messages since the daemon started.
    pub messages: Messages,
    /// How often the session reached Established since the daemon started.
    pub established_count: u64,
    /// How often it left Established since the daemon started.
    pub dropped_count: u64,
}

/// Capabilities (RFC 5492), named as the IANA registry names them, with their parameters in brackets.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Capabilities {
    /// Ours.
    pub local: Vec<String>,
    /// The peer's; empty until its OPEN came.
    pub remote: Vec<String>,
    /// What is in use.
    pub negotiated: Vec<String>,
}

/// Timers of a session, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Timers {
    /// Hold time: negotiated, or of the configuration before that. 0: none.
    pub hold_time_s: u64,
    /// Time between our KEEPALIVEs.
    pub keepalive_s: u64,
    /// Time until the hold timer expires.
    pub hold_remaining_s: Option<u64>,
    /// Time until the next attempt to connect.
    pub retry_in_s: Option<u64>,
}

/// Messages in both directions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Messages {
    /// From the peer.
    pub received: MessageCounts,
    /// To the peer.
    pub sent: MessageCounts,
}

/// Messages by type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct MessageCounts {
    /// OPEN.
    pub open: u64,
    /// UPDATE.
    pub update: u64,
    /// NOTIFICATION.
    pub notification: u64,
    /// KEEPALIVE.
    pub keepalive: u64,
    /// ROUTE-REFRESH.
    pub route_refresh: u64,
    /// Octets of all of them, headers included.
    pub bytes: u64,
}

/// What can be done to a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PeerAction {
    /// Switch it on.
    Up,
    /// Switch it off: Cease/Administrative Shutdown.
    Down,
    /// End the session and start it again: Cease/Administrative Reset.
    Restart,
    /// Ask the peer for all its routes (ROUTE-REFRESH).
    RefreshIn,
    /// Send the peer all routes again.
    RefreshOut,
    /// Move traffic away: announce with GRACEFUL_SHUTDOWN (RFC 8326), then nothing.
    Drain,
    /// Announce to it again.
    Undrain,
}

impl PeerAction {
    /// All of them.
    pub const ALL: [PeerAction; 7] = [
        PeerAction::Up,
        PeerAction::Down,
        PeerAction::Restart,
        PeerAction::RefreshIn,
        PeerAction::RefreshOut,
        PeerAction::Drain,
        PeerAction::Undrain,
    ];

    /// The word in paths and on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            PeerAction::Up => "up",
            PeerAction::Down => "down",
            PeerAction::Restart => "restart",
            PeerAction::RefreshIn => "refresh-in",
            PeerAction::RefreshOut => "refresh-out",
            PeerAction::Drain => "drain",
            PeerAction::Undrain => "undrain",
        }
    }
}

impl fmt::Display for PeerAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for PeerAction {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        PeerAction::ALL.into_iter().find(|a| a.name() == text).ok_or_else(|| {
            let words = PeerAction::ALL.map(PeerAction::name).join(", ");
            format!("`{text}` is no action; there are {words}")
        })
    }
}

/// The answer to an action.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ActionDone {
    /// The peer.
    pub peer: String,
    /// What was done.
    pub action: PeerAction,
    /// What happens now, in one sentence.
    pub text: String,
}

/// The answer of a changing verb that is not about one peer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Done {
    /// What happens now, in one sentence.
    pub text: String,
}
