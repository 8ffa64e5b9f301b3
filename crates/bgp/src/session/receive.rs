//! What a message from the peer means in each state (RFC 4271 section 8.2.2, events 19 to 28), and which of two
//! connections stays (section 6.8).

use bytes::Bytes;
use siskin_net::Timestamp;

use super::machine::{Half, Phase, Session, Up};
use super::negotiate::negotiate;
use super::{Direction, Negotiated, Output, State};
use crate::wire::{ErrorCode, Message, Notification, Open, RefreshKind, RouteRefresh, decode_update};

impl Session {
    pub(super) fn message(
        &mut self,
        direction: Direction,
        message: &Bytes,
        now: Timestamp,
        out: &mut Vec<Output>,
    ) {
        if !self.has(direction) {
            return;
        }
        let message = match Message::decode(message) {
            Ok(message) => message,
            Err(notification) => return self.fail(direction, notification, now, out),
        };
        self.counters.count_received(message.kind());
        self.alive(direction, now);
        match (message, self.state_of(direction)) {
            (Message::Notification(notification), _) => {
                out.push(Output::Close(direction));
                self.ended(direction, super::DownReason::Received(notification), now, out);
            }
            (Message::Open(open), State::OpenSent) => self.opened(direction, &open, now, out),
            (Message::Keepalive, State::OpenConfirm) => self.establish(direction, now, out),
            (Message::Keepalive, State::Established) => {}
            (Message::Update(body), State::Established) => self.update(direction, &body, now, out),
            (Message::RouteRefresh(refresh), State::Established) => self.refreshed(refresh, out),
            // RFC 6608 section 3: the subcode says in which state, the data which message.
            (unexpected, state) => {
                let code = match state {
                    State::OpenSent => ErrorCode::UNEXPECTED_IN_OPEN_SENT,
                    State::OpenConfirm => ErrorCode::UNEXPECTED_IN_OPEN_CONFIRM,
                    _ => ErrorCode::UNEXPECTED_IN_ESTABLISHED,
                };
                let notification = Notification::with_data(code, &[unexpected.kind() as u8]);
                self.fail(direction, notification, now, out);
            }
        }
    }

    /// The state of one connection, which is there.
    fn state_of(&self, direction: Direction) -> State {
        match (&self.phase, self.agreed(direction)) {
            (Phase::Established(_), _) => State::Established,
            (_, Some(_)) => State::OpenConfirm,
            (_, None) => State::OpenSent,
        }
    }

    /// The peer's OPEN came: judge it, and settle a collision now that its identifier is known (RFC 4271 section 6.8).
    fn opened(&mut self, direction: Direction, open: &Open, now: Timestamp, out: &mut Vec<Output>) {
        let negotiated = match negotiate(&self.config, open) {
            Ok(negotiated) => negotiated,
            Err(notification) => return self.fail(direction, notification, now, out),
        };
        self.cancel_dial(out);
        if self.agreed(direction.other()).is_some() {
            let loser = if self.survives(direction, &negotiated) { direction.other() } else { direction };
            self.fail(loser, Notification::new(ErrorCode::CONNECTION_COLLISION), now, out);
            if loser == direction {
                return;
            }
        }
        if let Phase::Opening(opening) = &mut self.phase {
            *opening.half(direction) = Some(Half::OpenConfirm(Box::new(negotiated)));
        }
        self.send_keepalive(direction, out);
        self.alive(direction, now);
        self.keepalive_later(direction, now);
    }

    /// Whether the connection of this direction outlives the other: it does if the speaker with the higher identifier, or
    /// where they are equal the higher AS (RFC 6286), opened it.
    fn survives(&self, direction: Direction, negotiated: &Negotiated) -> bool {
        let ours = (self.config.identifier, self.config.local_asn);
        let theirs = (negotiated.peer_identifier, negotiated.peer_asn);
        let opener = if theirs > ours { Direction::Incoming } else { Direction::Outgoing };
        opener == direction
    }

    fn establish(&mut self, direction: Direction, now: Timestamp, out: &mut Vec<Output>) {
        self.fail(direction.other(), Notification::new(ErrorCode::CONNECTION_COLLISION), now, out);
        self.cancel_dial(out);
        let Phase::Opening(opening) = &mut self.phase else { return };
        if let Some(Half::OpenConfirm(negotiated)) = opening.half(direction).take() {
            out.push(Output::Established(direction, negotiated.clone()));
            self.phase = Phase::Established(Up { direction, negotiated, since: now });
        }
    }

    fn update(&mut self, direction: Direction, body: &Bytes, now: Timestamp, out: &mut Vec<Output>) {
        let Phase::Established(up) = &mut self.phase else { return };
        match decode_update(body, &up.negotiated.decode) {
            Ok(update) => {
                for family in update.disabled.iter() {
                    up.negotiated.decode.families = up.negotiated.decode.families.without(family);
                    out.push(Output::FamilyDisabled(family));
                }
                out.push(Output::Update(Box::new(update)));
            }
            Err(notification) => self.fail(direction, notification, now, out),
        }
    }

    fn refreshed(&mut self, refresh: Option<RouteRefresh>, out: &mut Vec<Output>) {
        let (Phase::Established(up), Some(RouteRefresh { family, kind })) = (&self.phase, refresh) else {
            return;
        };
        // RFC 2918 section 4, RFC 7313 section 4: what was not agreed on is ignored.
        let agreed = kind == RefreshKind::Request || up.negotiated.enhanced_refresh;
        if agreed && up.negotiated.families.contains(family) {
            out.push(Output::RouteRefresh { family, kind });
        }
    }
}
