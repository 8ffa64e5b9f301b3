//! The machine itself (RFC 4271 section 8.2.2): phases that own their data, connections that come and go, timers. What
//! messages mean stands in `receive`.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use siskin_net::{Family, IfIndex, Timestamp};

use super::negotiate::our_open;
use super::timers::{Jitter, Timer, Timers};
use super::{
    AdminStop, Counters, Direction, DownReason, Input, LastError, Negotiated, Output, SendQueue,
    SessionConfig, State,
};
use crate::wire::{
    ErrorCode, MAX_LEN, MessageType, Notification, RefreshKind, RouteRefresh, encode_keepalive,
};

/// Connections that both sides opened at once have met by then.
const CROSSING: Duration = Duration::from_secs(5);

/// One session, whatever connections it has.
#[derive(Debug)]
pub struct Session {
    pub(super) config: SessionConfig,
    pub(super) phase: Phase,
    timers: Timers,
    jitter: Jitter,
    /// Errors in a row; sets how long Idle lasts.
    errors: u32,
    pub(super) counters: Counters,
    last_error: Option<LastError>,
    /// The state last told.
    told: State,
}

#[derive(Debug)]
pub(super) enum Phase {
    /// Not wanted.
    Stopped,
    /// Idle after an error, until a deadline.
    Held,
    /// On the way up.
    Opening(Opening),
    /// Up.
    Established(Up),
}

#[derive(Debug, Default)]
pub(super) struct Opening {
    dialing: bool,
    outgoing: Option<Half>,
    incoming: Option<Half>,
}

/// A connection that is not Established yet.
#[derive(Debug)]
pub(super) enum Half {
    OpenSent,
    OpenConfirm(Box<Negotiated>),
}

#[derive(Debug)]
pub(super) struct Up {
    pub(super) direction: Direction,
    pub(super) negotiated: Box<Negotiated>,
    pub(super) since: Timestamp,
}

impl Opening {
    pub(super) fn half(&mut self, direction: Direction) -> &mut Option<Half> {
        match direction {
            Direction::Outgoing => &mut self.outgoing,
            Direction::Incoming => &mut self.incoming,
        }
    }

    fn halves(&self) -> impl Iterator<Item = &Half> {
        self.outgoing.iter().chain(&self.incoming)
    }

    fn state(&self) -> State {
        let of = |half: &Half| match half {
            Half::OpenSent => State::OpenSent,
            Half::OpenConfirm(_) => State::OpenConfirm,
        };
        let alone = if self.dialing { State::Connect } else { State::Active };
        self.halves().map(of).max().unwrap_or(alone)
    }
}

impl Session {
    /// A session that waits for [`Input::Start`].
    #[must_use]
    pub fn new(config: SessionConfig) -> Session {
        let jitter = Jitter::new(config.jitter_seed);
        Session {
            config,
            phase: Phase::Stopped,
            timers: Timers::default(),
            jitter,
            errors: 0,
            counters: Counters::default(),
            last_error: None,
            told: State::Idle,
        }
    }

    /// Takes what happened at `now`, and appends what is to be done.
    pub fn handle(&mut self, input: Input<'_>, now: Timestamp, out: &mut Vec<Output>) {
        match input {
            Input::Start => self.start(now, out),
            Input::Stop(reason) => self.stop(&reason, now, out),
            Input::Connected(direction) => self.connected(direction, now, out),
            Input::ConnectFailed(text) => self.connect_failed(text, now),
            Input::Closed(direction, text) => {
                self.ended(direction, DownReason::Closed(text.to_owned()), now, out);
            }
            Input::Message(direction, message) => self.message(direction, message, now, out),
            Input::Framing(direction, notification) => self.fail(direction, notification, now, out),
            Input::Timer => self.expire(now, out),
            Input::SendQueue(direction, queue) => self.send_queue(direction, queue, now),
            Input::SendRefresh(family) => self.send_refresh(family, out),
            Input::Readable(direction) => self.alive(direction, now),
        }
        let state = self.state();
        if state != self.told {
            self.told = state;
            out.push(Output::StateChanged(state));
        }
    }

    /// When [`Input::Timer`] is to come next.
    #[must_use]
    pub fn deadline(&self) -> Option<Timestamp> {
        self.timers.next()
    }

    /// The state of the connection that has come furthest.
    #[must_use]
    pub fn state(&self) -> State {
        match &self.phase {
            Phase::Stopped | Phase::Held => State::Idle,
            Phase::Opening(opening) => opening.state(),
            Phase::Established(_) => State::Established,
        }
    }

    /// Whether a new connection of this direction is welcome. An incoming one that is not is to be answered with
    /// [`Session::rejection`] and closed, without a word here.
    #[must_use]
    pub fn accepts(&self, direction: Direction) -> bool {
        match (&self.phase, direction) {
            (Phase::Opening(opening), Direction::Outgoing) => opening.dialing,
            (Phase::Opening(opening), Direction::Incoming) => opening.incoming.is_none(),
            // After a first error only our own attempts wait: a peer that was restarted is not turned away.
            (Phase::Held, Direction::Incoming) => self.errors <= 1,
            (Phase::Stopped | Phase::Held | Phase::Established(_), _) => false,
        }
    }

    /// The NOTIFICATION for a connection that is not welcome: Cease, Connection Rejected.
    #[must_use]
    pub fn rejection() -> Bytes {
        let mut octets = BytesMut::new();
        Notification::new(ErrorCode::CONNECTION_REJECTED).encode(&mut octets);
        octets.freeze()
    }

    /// The longest message the framer is to take on a connection now.
    #[must_use]
    pub fn max_len(&self, direction: Direction) -> usize {
        match &self.phase {
            Phase::Established(up) if up.direction == direction => up.negotiated.max_len(),
            _ => MAX_LEN,
        }
    }

    /// What the Established session agreed on.
    #[must_use]
    pub fn negotiated(&self) -> Option<&Negotiated> {
        match &self.phase {
            Phase::Established(up) => Some(&up.negotiated),
            _ => None,
        }
    }

    /// Since when it is Established.
    #[must_use]
    pub fn established_since(&self) -> Option<Timestamp> {
        match &self.phase {
            Phase::Established(up) => Some(up.since),
            _ => None,
        }
    }

    /// What went wrong last; stays over a new start.
    #[must_use]
    pub fn last_error(&self) -> Option<&LastError> {
        self.last_error.as_ref()
    }

    /// The messages counted since the session was made.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// The connection that one the peer opens now takes the place of: a peer that keeps routes over a restart and opens
    /// another connection has lost the one there is (RFC 4724 section 4.2). It is to be dropped and said to be
    /// [`Input::Closed`] before the new one is looked at. In the first seconds the two may only have crossed.
    #[must_use]
    pub fn yields(&self, now: Timestamp) -> Option<Direction> {
        match &self.phase {
            Phase::Established(up)
                if up.negotiated.graceful_restart.is_some() && now.since(up.since) >= CROSSING =>
            {
                Some(up.direction)
            }
            _ => None,
        }
    }

    /// Tells what the next OPEN says of graceful restart: we have restarted (R), and forwarding is as it was (F).
    pub fn set_restart(&mut self, restarting: bool, preserved: bool) {
        self.config.restarting = restarting;
        self.config.preserved = preserved;
    }

    /// Tells it which interface the next connection is on, for the link-local next hops that come over it.
    pub fn set_interface(&mut self, interface: IfIndex) {
        self.config.interface = interface;
    }

    /// Its settings.
    #[must_use]
    pub fn config(&self) -> &SessionConfig {
        &self.config
    }

    fn start(&mut self, now: Timestamp, out: &mut Vec<Output>) {
        if matches!(self.phase, Phase::Stopped | Phase::Held) {
            self.errors = 0;
            self.open(now, out);
        }
    }

    /// Begins to look for a connection.
    fn open(&mut self, now: Timestamp, out: &mut Vec<Output>) {
        self.timers = Timers::default();
        self.phase = Phase::Opening(Opening::default());
        self.dial(now, out);
    }

    fn dial(&mut self, now: Timestamp, out: &mut Vec<Output>) {
        let Phase::Opening(opening) = &mut self.phase else { return };
        if self.config.passive || opening.outgoing.is_some() {
            return;
        }
        if opening.dialing {
            out.push(Output::CancelConnect);
            let reason = DownReason::ConnectFailed("no answer".to_owned());
            self.last_error = Some(LastError { at: now, reason });
        }
        opening.dialing = true;
        out.push(Output::Connect);
        self.retry_later(now);
    }

    fn retry_later(&mut self, now: Timestamp) {
        if !self.config.passive {
            let wait = self.jitter.around(self.config.connect_retry);
            self.timers.set(Timer::ConnectRetry, Some(now + wait));
        }
    }

    /// Gives up an attempt to connect, for another connection is as good.
    pub(super) fn cancel_dial(&mut self, out: &mut Vec<Output>) {
        self.timers.set(Timer::ConnectRetry, None);
        if let Phase::Opening(opening) = &mut self.phase
            && std::mem::take(&mut opening.dialing)
        {
            out.push(Output::CancelConnect);
        }
    }

    fn stop(&mut self, reason: &AdminStop, now: Timestamp, out: &mut Vec<Output>) {
        self.cancel_dial(out);
        for direction in Direction::ALL {
            if self.has(direction) {
                let negotiated = self.negotiated();
                let reason = if *reason == AdminStop::Restart && negotiated.is_some_and(|n| n.kept_by_peer) {
                    DownReason::Closed("we restart".to_owned())
                } else {
                    // Whoever ends a session on purpose wants the routes gone (RFC 8538 section 3.1).
                    let hard = negotiated.is_some_and(|n| n.notification_support);
                    let said = reason.notification();
                    let notification = if hard { said.hardened() } else { said };
                    self.send(direction, &notification, out);
                    DownReason::Sent(notification)
                };
                out.push(Output::Close(direction));
                self.last_error = Some(LastError { at: now, reason: reason.clone() });
                out.push(match &self.phase {
                    Phase::Established(_) => Output::Down(reason),
                    _ => Output::Failed(direction, reason),
                });
            }
        }
        self.phase = Phase::Stopped;
        self.timers = Timers::default();
        self.errors = 0;
    }

    /// Whether there is a connection of this direction.
    pub(super) fn has(&self, direction: Direction) -> bool {
        match &self.phase {
            Phase::Stopped | Phase::Held => false,
            Phase::Opening(opening) => match direction {
                Direction::Outgoing => opening.outgoing.is_some(),
                Direction::Incoming => opening.incoming.is_some(),
            },
            Phase::Established(up) => up.direction == direction,
        }
    }

    fn connected(&mut self, direction: Direction, now: Timestamp, out: &mut Vec<Output>) {
        if !self.accepts(direction) {
            // The driver's attempt and our giving it up crossed: there is no such connection here to be named.
            if !self.has(direction) {
                out.push(Output::Close(direction));
            }
            return;
        }
        if matches!(self.phase, Phase::Held) {
            self.timers = Timers::default();
            self.phase = Phase::Opening(Opening::default());
            self.retry_later(now);
        }
        let Phase::Opening(opening) = &mut self.phase else { return };
        *opening.half(direction) = Some(Half::OpenSent);
        if direction == Direction::Outgoing {
            opening.dialing = false;
            self.timers.set(Timer::ConnectRetry, None);
        }
        self.timers.set(Timer::Hold(direction), Some(now + self.config.open_hold));
        let mut octets = BytesMut::new();
        our_open(&self.config).encode(&mut octets);
        self.counters.count_sent(MessageType::Open);
        out.push(Output::Send(direction, octets.freeze()));
    }

    fn connect_failed(&mut self, text: &str, now: Timestamp) {
        let Phase::Opening(opening) = &mut self.phase else { return };
        if std::mem::take(&mut opening.dialing) {
            let reason = DownReason::ConnectFailed(text.to_owned());
            self.last_error = Some(LastError { at: now, reason });
            self.retry_later(now);
        }
    }

    fn send(&mut self, direction: Direction, notification: &Notification, out: &mut Vec<Output>) {
        let mut octets = BytesMut::new();
        notification.encode(&mut octets);
        self.counters.count_sent(MessageType::Notification);
        out.push(Output::Send(direction, octets.freeze()));
    }

    pub(super) fn send_keepalive(&mut self, direction: Direction, out: &mut Vec<Output>) {
        let mut octets = BytesMut::with_capacity(crate::wire::HEADER_LEN);
        encode_keepalive(&mut octets);
        self.counters.count_sent(MessageType::Keepalive);
        out.push(Output::Send(direction, octets.freeze()));
    }

    /// Ends a connection with a NOTIFICATION of ours.
    pub(super) fn fail(
        &mut self,
        direction: Direction,
        notification: Notification,
        now: Timestamp,
        out: &mut Vec<Output>,
    ) {
        if self.has(direction) {
            self.send(direction, &notification, out);
            out.push(Output::Close(direction));
            self.ended(direction, DownReason::Sent(notification), now, out);
        }
    }

    /// A connection is no more: what follows from that.
    pub(super) fn ended(
        &mut self,
        direction: Direction,
        reason: DownReason,
        now: Timestamp,
        out: &mut Vec<Output>,
    ) {
        if !self.has(direction) {
            return;
        }
        self.timers.clear_connection(direction);
        let harmless = reason.is_harmless();
        if let Phase::Established(up) = &self.phase {
            if now.since(up.since) >= self.config.stable_after {
                self.errors = 0;
            }
            self.last_error = Some(LastError { at: now, reason: reason.clone() });
            out.push(Output::Down(reason));
            self.hold(now);
            return;
        }
        let Phase::Opening(opening) = &mut self.phase else { return };
        *opening.half(direction) = None;
        let alone = opening.halves().next().is_none();
        let settled = opening.halves().any(|half| matches!(half, Half::OpenConfirm(_)));
        let dialing = opening.dialing;
        if !reason.is_collision() {
            self.last_error = Some(LastError { at: now, reason: reason.clone() });
        }
        out.push(Output::Failed(direction, reason));
        if alone && !harmless {
            self.cancel_dial(out);
            self.hold(now);
        } else if !dialing && !settled {
            self.retry_later(now);
        }
    }

    /// Idle for a while, longer with every error in a row.
    fn hold(&mut self, now: Timestamp) {
        self.phase = Phase::Held;
        self.timers = Timers::default();
        let doubled = self.config.idle_hold.saturating_mul(1 << self.errors.min(16));
        let wait = self.jitter.around(doubled.min(self.config.idle_hold_max));
        self.errors = self.errors.saturating_add(1);
        self.timers.set(Timer::IdleHold, Some(now + wait));
    }

    fn expire(&mut self, now: Timestamp, out: &mut Vec<Output>) {
        while let Some(timer) = self.timers.take_expired(now) {
            match timer {
                Timer::IdleHold => self.open(now, out),
                Timer::ConnectRetry => self.dial(now, out),
                Timer::Hold(direction) => {
                    self.fail(direction, Notification::new(ErrorCode::HOLD_TIMER_EXPIRED), now, out);
                }
                Timer::Keepalive(direction) => {
                    self.send_keepalive(direction, out);
                    self.keepalive_later(direction, now);
                }
                Timer::SendHold => {
                    if let Phase::Established(Up { direction, .. }) = self.phase {
                        self.fail(direction, Notification::new(ErrorCode::SEND_HOLD_TIMER_EXPIRED), now, out);
                    }
                }
            }
        }
    }

    /// What a connection agreed on, once it has.
    pub(super) fn agreed(&self, direction: Direction) -> Option<&Negotiated> {
        let half = match (&self.phase, direction) {
            (Phase::Established(up), _) if up.direction == direction => return Some(&up.negotiated),
            (Phase::Opening(opening), Direction::Outgoing) => opening.outgoing.as_ref(),
            (Phase::Opening(opening), Direction::Incoming) => opening.incoming.as_ref(),
            _ => None,
        };
        match half {
            Some(Half::OpenConfirm(negotiated)) => Some(negotiated),
            Some(Half::OpenSent) | None => None,
        }
    }

    pub(super) fn keepalive_later(&mut self, direction: Direction, now: Timestamp) {
        let interval = self.agreed(direction).map_or(0, |n| n.keepalive);
        if interval > 0 {
            let wait = self.jitter.below(Duration::from_secs(interval.into()));
            self.timers.set(Timer::Keepalive(direction), Some(now + wait));
        }
    }

    /// The peer showed a sign of life.
    pub(super) fn alive(&mut self, direction: Direction, now: Timestamp) {
        let Some(hold_time) = self.agreed(direction).map(|n| n.hold_time) else { return };
        let deadline = (hold_time > 0).then(|| now + Duration::from_secs(hold_time.into()));
        self.timers.set(Timer::Hold(direction), deadline);
    }

    fn send_queue(&mut self, direction: Direction, queue: SendQueue, now: Timestamp) {
        let Phase::Established(up) = &self.phase else { return };
        if up.direction != direction || (queue == SendQueue::Blocked && self.timers.is_set(Timer::SendHold)) {
            return;
        }
        let twice_hold = Duration::from_secs(u64::from(up.negotiated.hold_time) * 2);
        let patience = self.config.send_hold.unwrap_or(twice_hold.max(Duration::from_secs(480)));
        self.timers.set(Timer::SendHold, (queue != SendQueue::Empty).then(|| now + patience));
    }

    fn send_refresh(&mut self, family: Family, out: &mut Vec<Output>) {
        let Phase::Established(up) = &self.phase else { return };
        if up.negotiated.route_refresh && up.negotiated.decode.families.contains(family) {
            let mut octets = BytesMut::new();
            RouteRefresh { family, kind: RefreshKind::Request }.encode(&mut octets);
            out.push(Output::Send(up.direction, octets.freeze()));
            self.counters.count_sent(MessageType::RouteRefresh);
        }
    }
}

impl DownReason {
    /// The connection lost against the other one.
    fn is_collision(&self) -> bool {
        matches!(self, DownReason::Sent(n) | DownReason::Received(n) if n.error == ErrorCode::CONNECTION_COLLISION)
    }

    /// Nothing that would come again at once: the next attempt may follow after the usual time, from Active.
    fn is_harmless(&self) -> bool {
        self.is_collision() || matches!(self, DownReason::Closed(_) | DownReason::ConnectFailed(_))
    }
}
