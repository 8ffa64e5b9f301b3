//! Tests of sessions: one alone, fed by hand, and two that talk to each other in [`world`].

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use siskin_net::{Asn, BgpIdentifier, Family, FamilySet, Timestamp};

use super::*;
use crate::wire::{ErrorCode, Message, Notification, Open, RefreshKind, RouteRefresh, frame};

mod opens;
mod restart;
mod timing;
mod transitions;
mod world;

use Direction::{Incoming, Outgoing};

const START: Timestamp = Timestamp(1_000_000);

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// A session of AS 64500 with a peer of AS 64501.
fn config() -> SessionConfig {
    SessionConfig::new(Asn(64500), PeerAs::Exactly(Asn(64501)), BgpIdentifier(10))
}

/// The peer's side of it.
fn peer_config() -> SessionConfig {
    SessionConfig::new(Asn(64501), PeerAs::Exactly(Asn(64500)), BgpIdentifier(20))
}

fn octets(write: impl FnOnce(&mut BytesMut)) -> Bytes {
    let mut out = BytesMut::new();
    write(&mut out);
    out.freeze()
}

fn open_of(config: &SessionConfig) -> Bytes {
    octets(|out| negotiate::our_open(config).encode(out))
}

fn keepalive() -> Bytes {
    octets(crate::wire::encode_keepalive)
}

fn notification(error: ErrorCode) -> Bytes {
    octets(|out| Notification::new(error).encode(out))
}

/// A session and what it said last.
struct Alone {
    session: Session,
    now: Timestamp,
}

impl Alone {
    fn new(config: SessionConfig) -> Alone {
        Alone { session: Session::new(config), now: START }
    }

    fn give(&mut self, input: Input<'_>) -> Vec<Output> {
        let mut out = Vec::new();
        self.session.handle(input, self.now, &mut out);
        out
    }

    fn hear(&mut self, direction: Direction, message: &Bytes) -> Vec<Output> {
        self.give(Input::Message(direction, message))
    }

    /// Goes to the next deadline.
    fn wait(&mut self) -> Vec<Output> {
        self.now = self.session.deadline().expect("a deadline").max(self.now);
        self.give(Input::Timer)
    }

    /// Goes `duration` on, timers included.
    fn wait_for(&mut self, duration: Duration) -> Vec<Output> {
        let end = self.now + duration;
        let mut out = Vec::new();
        while self.session.deadline().is_some_and(|at| at <= end) {
            out.extend(self.wait());
        }
        self.now = end;
        out
    }

    fn established(config: SessionConfig, peer: &SessionConfig) -> Alone {
        let mut alone = Alone::new(config);
        alone.give(Input::Start);
        alone.give(Input::Connected(Outgoing));
        alone.hear(Outgoing, &open_of(peer));
        alone.hear(Outgoing, &keepalive());
        assert_eq!(alone.session.state(), State::Established);
        alone
    }
}

/// The messages sent, read.
fn sent(out: &[Output]) -> Vec<Message> {
    let read = |octets: &Bytes| {
        let mut buffer = BytesMut::from(&octets[..]);
        let message = frame(&mut buffer, 4096).unwrap().expect("a whole message");
        assert!(buffer.is_empty());
        Message::decode(&message).unwrap()
    };
    out.iter()
        .filter_map(|o| if let Output::Send(_, octets) = o { Some(read(octets)) } else { None })
        .collect()
}

/// The error of the only NOTIFICATION sent.
fn refused_with(out: &[Output]) -> ErrorCode {
    match &sent(out)[..] {
        [Message::Notification(n)] => n.error,
        other => panic!("not one NOTIFICATION: {other:?}"),
    }
}

#[test]
fn an_operator_s_text_reaches_the_last_error_of_both_sides() {
    let mut us = Alone::established(config(), &peer_config());
    let out = us.give(Input::Stop(AdminStop::Shutdown("rack move at 22:00".into())));
    let words = "sent NOTIFICATION Cease / Administrative Shutdown: \"rack move at 22:00\"";
    assert_eq!(us.session.last_error().unwrap().reason.to_string(), words);
    assert!(out.iter().any(|o| matches!(o, Output::Down(_))));
    assert_eq!((us.session.state(), us.session.deadline()), (State::Idle, None));

    let Some(Output::Send(_, message)) = out.first() else { panic!("{out:?}") };
    let mut peer = Alone::established(peer_config(), &config());
    let out = peer.hear(Outgoing, message);
    let words = "received NOTIFICATION Cease / Administrative Shutdown: \"rack move at 22:00\"";
    assert_eq!(peer.session.last_error().unwrap().reason.to_string(), words);
    assert!(sent(&out).is_empty(), "a NOTIFICATION is never answered");
    assert!(out.contains(&Output::Close(Outgoing)));
}

#[test]
fn a_limit_says_which_and_how_many() {
    let mut us = Alone::established(config(), &peer_config());
    let out = us.give(Input::Stop(AdminStop::MaxPrefixes { family: Family::Ipv6, limit: 1000 }));
    let [Message::Notification(n)] = &sent(&out)[..] else { panic!("{out:?}") };
    assert_eq!((n.error, &n.data[..]), (ErrorCode::MAX_PREFIXES, &[0, 2, 1, 0, 0, 3, 232][..]));
}

#[test]
fn refreshes_pass_where_they_were_agreed_on() {
    let refresh = |family, kind| octets(|out| RouteRefresh { family, kind }.encode(out));
    let mut us = Alone::established(config(), &peer_config());
    for kind in [RefreshKind::Request, RefreshKind::Begin, RefreshKind::End] {
        let out = us.hear(Outgoing, &refresh(Family::Ipv6, kind));
        assert_eq!(out, [Output::RouteRefresh { family: Family::Ipv6, kind }]);
    }
    let out = us.give(Input::SendRefresh(Family::Ipv4));
    let asked = RouteRefresh { family: Family::Ipv4, kind: RefreshKind::Request };
    assert_eq!(sent(&out), [Message::RouteRefresh(Some(asked))]);

    let ipv4 = FamilySet::EMPTY.with(Family::Ipv4);
    let mut us = Alone::established(config(), &SessionConfig { families: ipv4, ..peer_config() });
    assert_eq!(us.hear(Outgoing, &refresh(Family::Ipv6, RefreshKind::Request)), []);
    assert_eq!(us.give(Input::SendRefresh(Family::Ipv6)), []);
}

/// An UPDATE of these attributes alone.
fn update(attributes: &[u8]) -> Bytes {
    let body = [&[0, 0, 0, u8::try_from(attributes.len()).unwrap()], attributes].concat();
    let length = u8::try_from(19 + body.len()).unwrap();
    [&[0xff; 16][..], &[0, length, 2], &body].concat().into()
}

/// MP_UNREACH_NLRI whose NLRI end inside a prefix.
const BROKEN_IPV6: [u8; 8] = [0x80, 15, 5, 0, 2, 1, 64, 0x20];

#[test]
fn a_family_beyond_reading_is_given_up_alone() {
    let mut us = Alone::established(config(), &peer_config());
    let out = us.hear(Outgoing, &update(&BROKEN_IPV6));
    assert!(matches!(out[..], [Output::FamilyDisabled(Family::Ipv6), Output::Update(_)]), "{out:?}");
    // From now on not even looked at.
    let out = us.hear(Outgoing, &update(&BROKEN_IPV6));
    let [Output::Update(update)] = &out[..] else { panic!("{out:?}") };
    assert_eq!(update.disposition, crate::attr::Disposition::DiscardAttribute);
    assert_eq!(us.session.state(), State::Established);
}

#[test]
fn the_only_family_beyond_reading_ends_the_session() {
    let ipv6 = FamilySet::EMPTY.with(Family::Ipv6);
    let mut us = Alone::established(SessionConfig { families: ipv6, ..config() }, &peer_config());
    let out = us.hear(Outgoing, &update(&BROKEN_IPV6));
    assert_eq!(refused_with(&out), ErrorCode::OPTIONAL_ATTRIBUTE_ERROR);
    assert!(matches!(out.last(), Some(Output::StateChanged(State::Idle))));
}

#[test]
fn messages_are_counted() {
    use crate::wire::MessageType::*;
    let mut us = Alone::established(config(), &peer_config());
    us.hear(Outgoing, &keepalive());
    us.hear(Outgoing, &update(&[]));
    let counters = us.session.counters();
    assert_eq!([Open, Update, Keepalive].map(|k| counters.received(k)), [1, 1, 2]);
    assert_eq!([Open, Update, Keepalive].map(|k| counters.sent(k)), [1, 0, 1]);
}
