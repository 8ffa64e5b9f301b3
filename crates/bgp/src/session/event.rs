//! What goes into a session and what comes out of it.

use std::fmt;

use bytes::Bytes;
use siskin_net::{Family, Timestamp};

use super::Negotiated;
use crate::wire::{ErrorCode, MessageType, Notification, RefreshKind, Update};

/// Who opened a connection. There is at most one of each, so this is also its name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Direction {
    /// We connected.
    Outgoing,
    /// The peer connected.
    Incoming,
}

impl Direction {
    /// Both.
    pub const ALL: [Direction; 2] = [Direction::Outgoing, Direction::Incoming];

    /// The other one.
    #[must_use]
    pub const fn other(self) -> Direction {
        match self {
            Direction::Outgoing => Direction::Incoming,
            Direction::Incoming => Direction::Outgoing,
        }
    }

    /// The name used in JSON and logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Direction::Outgoing => "outgoing",
            Direction::Incoming => "incoming",
        }
    }
}

/// The state of the session: that of its connection which has come furthest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum State {
    /// Stopped, or waiting after an error.
    Idle,
    /// An attempt to connect is under way.
    Connect,
    /// Waiting for the peer to connect, or for the next attempt.
    Active,
    /// Waiting for the peer's OPEN.
    OpenSent,
    /// Waiting for the first KEEPALIVE.
    OpenConfirm,
    /// Exchanging routes.
    Established,
}

impl State {
    /// The name as RFC 4271 writes it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            State::Idle => "Idle",
            State::Connect => "Connect",
            State::Active => "Active",
            State::OpenSent => "OpenSent",
            State::OpenConfirm => "OpenConfirm",
            State::Established => "Established",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Why the local side ends a session: the Cease it sends (RFC 4486, RFC 9003, RFC 9384).
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum AdminStop {
    /// An operator shut it down, with a text for the peer's, perhaps empty.
    Shutdown(String),
    /// An operator restarts it, with a text for the peer's, perhaps empty. [`Input::Start`] is to follow.
    Reset(String),
    /// We stop and are to come back, while the kernel forwards on: a peer that keeps our routes until then is told
    /// nothing (RFC 4724), any other that we shut down.
    Restart,
    /// The peer is no longer configured.
    PeerDeconfigured,
    /// The connection is not wanted at this time.
    ConnectionRejected,
    /// Settings changed that need a new session.
    ConfigurationChange,
    /// We are short of something.
    OutOfResources,
    /// The peer announced more than it may.
    MaxPrefixes {
        /// Of this family.
        family: Family,
        /// This many were allowed.
        limit: u32,
    },
    /// BFD lost the peer.
    BfdDown,
}

impl AdminStop {
    /// The NOTIFICATION it is said with.
    #[must_use]
    pub fn notification(&self) -> Notification {
        match self {
            AdminStop::Shutdown(text) => Notification::with_text(ErrorCode::ADMINISTRATIVE_SHUTDOWN, text),
            AdminStop::Reset(text) => Notification::with_text(ErrorCode::ADMINISTRATIVE_RESET, text),
            AdminStop::Restart => Notification::new(ErrorCode::ADMINISTRATIVE_SHUTDOWN),
            AdminStop::PeerDeconfigured => Notification::new(ErrorCode::PEER_DECONFIGURED),
            AdminStop::ConnectionRejected => Notification::new(ErrorCode::CONNECTION_REJECTED),
            AdminStop::ConfigurationChange => Notification::new(ErrorCode::OTHER_CONFIGURATION_CHANGE),
            AdminStop::OutOfResources => Notification::new(ErrorCode::OUT_OF_RESOURCES),
            AdminStop::MaxPrefixes { family, limit } => {
                let [afi_high, afi_low] = family.afi().to_be_bytes();
                let [a, b, c, d] = limit.to_be_bytes();
                Notification::with_data(
                    ErrorCode::MAX_PREFIXES,
                    &[afi_high, afi_low, family.safi(), a, b, c, d],
                )
            }
            AdminStop::BfdDown => Notification::new(ErrorCode::BFD_DOWN),
        }
    }
}

/// How the driver's queue of unsent octets moved.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum SendQueue {
    /// Nothing is left to send.
    Empty,
    /// TCP took some, some is left.
    Progress,
    /// Something is to be sent and TCP takes nothing now.
    Blocked,
}

/// What happened.
#[derive(Clone, Debug)]
pub enum Input<'a> {
    /// The operator wants the session.
    Start,
    /// The operator, or a limit, ends it; it stays Idle until [`Input::Start`].
    Stop(AdminStop),
    /// TCP is there. An incoming one only after [`Session::accepts`](super::Session::accepts).
    Connected(Direction),
    /// The attempt asked for by [`Output::Connect`] failed, with the system's words.
    ConnectFailed(&'a str),
    /// TCP ended, with the system's words; not to be said after [`Output::Close`].
    Closed(Direction, &'a str),
    /// One framed message.
    Message(Direction, &'a Bytes),
    /// Framing failed: what [`frame`](crate::wire::frame) said.
    Framing(Direction, Notification),
    /// A deadline may have come. Unread input is to be reported before ([`Input::Readable`]).
    Timer,
    /// The queue of a connection moved (RFC 9687).
    SendQueue(Direction, SendQueue),
    /// Ask the peer for the routes of a family again.
    SendRefresh(Family),
    /// There is input the driver does not read for now: the peer lives.
    Readable(Direction),
}

/// What is to be done, in order.
#[derive(Clone, PartialEq, Debug)]
pub enum Output {
    /// Connect to the peer.
    Connect,
    /// Give up the attempt to connect.
    CancelConnect,
    /// Send these octets.
    Send(Direction, Bytes),
    /// Send what was asked for, without waiting long, and close; nothing more is to be said of this connection.
    Close(Direction),
    /// The session is up, over this connection.
    Established(Direction, Box<Negotiated>),
    /// An UPDATE came.
    Update(Box<Update>),
    /// The peer's reachability of a family is beyond reading: drop its routes. The session ignores the family from now on.
    FamilyDisabled(Family),
    /// A ROUTE-REFRESH came.
    RouteRefresh {
        /// Of this family, which was negotiated.
        family: Family,
        /// A request, or the ends of an answer.
        kind: RefreshKind,
    },
    /// The Established session ended.
    Down(DownReason),
    /// A connection ended before it was Established; for the log.
    Failed(Direction, DownReason),
    /// The state is now another.
    StateChanged(State),
}

/// Why a connection ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum DownReason {
    /// We sent this.
    Sent(Notification),
    /// The peer sent this.
    Received(Notification),
    /// TCP ended, with the system's words.
    Closed(String),
    /// TCP never was, with the system's words.
    ConnectFailed(String),
}

impl fmt::Display for DownReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DownReason::Sent(notification) => write!(f, "sent NOTIFICATION {notification}"),
            DownReason::Received(notification) => write!(f, "received NOTIFICATION {notification}"),
            DownReason::Closed(text) => write!(f, "connection closed: {text}"),
            DownReason::ConnectFailed(text) => write!(f, "cannot connect: {text}"),
        }
    }
}

/// The last thing that went wrong.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LastError {
    /// When.
    pub at: Timestamp,
    /// What.
    pub reason: DownReason,
}

/// How many messages of each kind came and went. UPDATEs and ROUTE-REFRESHes the driver sends by itself are not in it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counters {
    received: [u64; 5],
    sent: [u64; 5],
}

impl Counters {
    /// How many of a kind were received.
    #[must_use]
    pub fn received(&self, kind: MessageType) -> u64 {
        self.received.get(Self::place(kind)).copied().unwrap_or(0)
    }

    /// How many of a kind the session sent.
    #[must_use]
    pub fn sent(&self, kind: MessageType) -> u64 {
        self.sent.get(Self::place(kind)).copied().unwrap_or(0)
    }

    pub(super) fn count_received(&mut self, kind: MessageType) {
        if let Some(n) = self.received.get_mut(Self::place(kind)) {
            *n = n.saturating_add(1);
        }
    }

    pub(super) fn count_sent(&mut self, kind: MessageType) {
        if let Some(n) = self.sent.get_mut(Self::place(kind)) {
            *n = n.saturating_add(1);
        }
    }

    const fn place(kind: MessageType) -> usize {
        (kind as usize).saturating_sub(1)
    }
}
