//! What the API shows of a session: kept by its task, read by anyone.

use std::net::SocketAddr;
use std::sync::Mutex;
use std::time::{SystemTime, UNIX_EPOCH};

use siskin_api::{self as api, LastError};
use siskin_bgp::session::{Counters, DownReason, Negotiated, Session, State};
use siskin_bgp::wire::{ErrorCode, Notification};
use siskin_net::{FamilySet, Timestamp};

use super::{api_state, lock};

/// The session as it was after its last event.
#[derive(Debug)]
pub(crate) struct PeerShared {
    inner: Mutex<SessionView>,
}

/// A copy of what there is to see.
#[derive(Debug, Clone)]
pub(crate) struct SessionView {
    pub(crate) state: State,
    pub(crate) since: Option<Timestamp>,
    pub(crate) established_since: Option<Timestamp>,
    pub(crate) deadline: Option<Timestamp>,
    pub(crate) negotiated: Option<Box<Negotiated>>,
    pub(crate) ends: Option<(SocketAddr, SocketAddr)>,
    pub(crate) last_error: Option<LastError>,
    pub(crate) counters: Counters,
    pub(crate) updates_sent: u64,
    pub(crate) bytes_received: u64,
    pub(crate) bytes_sent: u64,
    pub(crate) established_count: u64,
    pub(crate) dropped_count: u64,
    /// Families whose End-of-RIB came in this session.
    pub(crate) end_of_rib: FamilySet,
}

impl PeerShared {
    pub(crate) fn new() -> PeerShared {
        let view = SessionView {
            state: State::Idle,
            since: None,
            established_since: None,
            deadline: None,
            negotiated: None,
            ends: None,
            last_error: None,
            counters: Counters::default(),
            updates_sent: 0,
            bytes_received: 0,
            bytes_sent: 0,
            established_count: 0,
            dropped_count: 0,
            end_of_rib: FamilySet::EMPTY,
        };
        PeerShared { inner: Mutex::new(view) }
    }

    /// A copy of everything.
    pub(crate) fn view(&self) -> SessionView {
        lock(&self.inner).clone()
    }

    /// The API's state of the session.
    pub(crate) fn state(&self, down: bool) -> api::PeerState {
        match lock(&self.inner).state {
            State::Idle if down => api::PeerState::Down,
            state => api_state(state),
        }
    }

    /// Whether the session is established and has sent its whole table.
    pub(crate) fn has_table(&self) -> bool {
        let view = lock(&self.inner);
        view.state == State::Established
            && view
                .negotiated
                .as_ref()
                .is_some_and(|n| n.families.iter().all(|f| view.end_of_rib.contains(f)))
    }

    /// Whether a restart of ours waits for its table; `patient`: also where there is no session yet.
    pub(crate) fn is_awaited(&self, patient: bool) -> bool {
        let view = lock(&self.inner);
        let negotiated = view.negotiated.as_ref().filter(|_| view.state == State::Established);
        let Some(negotiated) = negotiated else { return patient };
        let keeps = negotiated.graceful_restart.is_some_and(|restart| !restart.restarting);
        keeps && negotiated.families.iter().any(|f| !view.end_of_rib.contains(f))
    }

    /// Copies what the session knows after an event.
    pub(super) fn publish(&self, session: &Session, end_of_rib: FamilySet, sent: (u64, u64), received: u64) {
        let mut view = lock(&self.inner);
        view.state = session.state();
        view.established_since = session.established_since();
        view.deadline = session.deadline();
        view.counters = *session.counters();
        view.end_of_rib = end_of_rib;
        (view.bytes_sent, view.updates_sent) = sent;
        view.bytes_received = received;
    }

    pub(super) fn established(
        &self,
        negotiated: &Negotiated,
        ends: (SocketAddr, SocketAddr),
        now: Timestamp,
    ) {
        let mut view = lock(&self.inner);
        view.negotiated = Some(Box::new(negotiated.clone()));
        view.ends = Some(ends);
        view.since = Some(now);
        view.established_count += 1;
    }

    pub(super) fn down(&self, now: Timestamp) {
        let mut view = lock(&self.inner);
        view.since = Some(now);
        view.ends = None;
        view.dropped_count += 1;
    }

    pub(super) fn note_error(&self, reason: &DownReason) {
        lock(&self.inner).last_error = Some(last_error(reason));
    }
}

/// Of a wrong AS number, the number.
fn wrong_as(direction: api::Direction, notification: &Notification) -> Option<String> {
    let number = u32::from_be_bytes(notification.data.as_slice().try_into().ok()?);
    match (notification.error == ErrorCode::BAD_PEER_AS, direction) {
        (true, api::Direction::Sent) => Some(format!("the peer says that it is AS {number}")),
        (true, _) => Some(format!("the peer does not expect AS {number}")),
        (false, _) => None,
    }
}

/// A reason in the API's form.
fn last_error(reason: &DownReason) -> LastError {
    let at = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
    let notification = |direction, n: &Notification| LastError {
        direction,
        code: Some(n.error.code),
        subcode: Some(n.error.subcode),
        name: n.name(),
        text: n.shutdown_text().filter(|t| !t.is_empty()).or_else(|| wrong_as(direction, n)),
        at,
    };
    let local = |name: &str, text: &str| LastError {
        direction: api::Direction::Local,
        code: None,
        subcode: None,
        name: name.into(),
        text: Some(text.to_owned()),
        at,
    };
    match reason {
        DownReason::Sent(n) => notification(api::Direction::Sent, n),
        DownReason::Received(n) => notification(api::Direction::Received, n),
        DownReason::Closed(text) => local("connection closed", text),
        DownReason::ConnectFailed(text) => local("cannot connect", text),
    }
}
