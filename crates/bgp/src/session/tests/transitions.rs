//! The whole transition table: every state against every input.

use super::*;

/// Every way to be in a state.
#[derive(Clone, Copy, Debug)]
enum At {
    Stopped,
    Held,
    Connect,
    Active,
    OpenSent,
    OpenConfirm,
    Established,
}

fn at(place: At) -> Alone {
    let mut alone = Alone::new(config());
    if matches!(place, At::Stopped) {
        return alone;
    }
    alone.give(Input::Start);
    match place {
        At::Stopped | At::Connect => return alone,
        At::Active => {
            alone.give(Input::ConnectFailed("refused"));
            return alone;
        }
        _ => {}
    }
    alone.give(Input::Connected(Outgoing));
    if matches!(place, At::Held) {
        alone.hear(Outgoing, &notification(ErrorCode::CONNECTION_REJECTED));
    }
    if matches!(place, At::OpenConfirm | At::Established) {
        alone.hear(Outgoing, &open_of(&peer_config()));
    }
    if matches!(place, At::Established) {
        alone.hear(Outgoing, &keepalive());
    }
    alone
}

/// What comes, by its column in the table.
fn give(alone: &mut Alone, column: &str) {
    match column {
        "start" => alone.give(Input::Start),
        "stop" => alone.give(Input::Stop(AdminStop::PeerDeconfigured)),
        "connected" => alone.give(Input::Connected(Outgoing)),
        "incoming" => alone.give(Input::Connected(Incoming)),
        "failed" => alone.give(Input::ConnectFailed("refused")),
        "closed" => alone.give(Input::Closed(Outgoing, "reset by peer")),
        "framing" => {
            alone.give(Input::Framing(Outgoing, Notification::new(ErrorCode::CONNECTION_NOT_SYNCHRONIZED)))
        }
        "open" => alone.hear(Outgoing, &open_of(&peer_config())),
        "keepalive" => alone.hear(Outgoing, &keepalive()),
        "update" => alone.hear(Outgoing, &update(&[])),
        "notification" => alone.hear(Outgoing, &notification(ErrorCode::ADMINISTRATIVE_RESET)),
        "refresh" => {
            let refresh = RouteRefresh { family: Family::Ipv4, kind: RefreshKind::Request };
            alone.hear(Outgoing, &octets(|out| refresh.encode(out)))
        }
        "deadline" if alone.session.deadline().is_none() => alone.give(Input::Timer),
        "deadline" => alone.wait(),
        other => panic!("{other}"),
    };
}

const COLUMNS: [&str; 13] = [
    "start",
    "stop",
    "connected",
    "incoming",
    "failed",
    "closed",
    "framing",
    "open",
    "keepalive",
    "update",
    "notification",
    "refresh",
    "deadline",
];

#[rustfmt::skip]
const TABLE: [(At, [State; 13]); 7] = {
    use State::{Idle as I, Connect as C, Active as A, OpenSent as S, OpenConfirm as O, Established as E};
    [
        //                 start stop conn inc  fail clsd frmg open keep updt notf rfsh dead
        (At::Stopped,     [C,    I,   I,   I,   I,   I,   I,   I,   I,   I,   I,   I,   I]),
        (At::Held,        [C,    I,   I,   S,   I,   I,   I,   I,   I,   I,   I,   I,   C]),
        (At::Connect,     [C,    I,   S,   S,   A,   C,   C,   C,   C,   C,   C,   C,   C]),
        (At::Active,      [A,    I,   A,   S,   A,   A,   A,   A,   A,   A,   A,   A,   C]),
        (At::OpenSent,    [S,    I,   S,   S,   S,   A,   I,   O,   I,   I,   I,   I,   I]),
        (At::OpenConfirm, [O,    I,   O,   O,   O,   A,   I,   I,   E,   I,   I,   I,   O]),
        (At::Established, [E,    I,   E,   E,   E,   I,   I,   I,   E,   E,   I,   E,   E]),
    ]
};

#[test]
fn every_state_takes_every_input_where_the_table_says() {
    for (place, row) in TABLE {
        for (column, expected) in COLUMNS.iter().zip(row) {
            let mut alone = at(place);
            give(&mut alone, column);
            assert_eq!(alone.session.state(), expected, "{column} in {place:?}");
        }
    }
}

#[test]
fn every_ended_connection_is_closed_and_every_error_said() {
    for (place, _) in TABLE {
        for column in ["open", "keepalive", "update", "framing"] {
            let mut alone = at(place);
            let before = alone.session.state();
            let mut out = Vec::new();
            let message = match column {
                "open" => open_of(&peer_config()),
                "keepalive" => keepalive(),
                _ => update(&[]),
            };
            match column {
                "framing" => {
                    let bad = Notification::new(ErrorCode::BAD_MESSAGE_LENGTH);
                    alone.session.handle(Input::Framing(Outgoing, bad), START, &mut out);
                }
                _ => alone.session.handle(Input::Message(Outgoing, &message), START, &mut out),
            }
            if before > State::Active && alone.session.state() == State::Idle {
                let expected = match (column, before) {
                    ("framing", _) => ErrorCode::BAD_MESSAGE_LENGTH,
                    (_, State::OpenSent) => ErrorCode::UNEXPECTED_IN_OPEN_SENT,
                    (_, State::OpenConfirm) => ErrorCode::UNEXPECTED_IN_OPEN_CONFIRM,
                    _ => ErrorCode::UNEXPECTED_IN_ESTABLISHED,
                };
                assert_eq!(refused_with(&out), expected, "{column} in {place:?}");
                assert!(out.contains(&Output::Close(Outgoing)));
                let told = out.iter().filter(|o| matches!(o, Output::Down(_) | Output::Failed(..))).count();
                assert_eq!(told, 1);
            }
        }
    }
}

#[test]
fn idle_takes_a_connection_after_a_first_error_and_none_after_a_second() {
    let mut alone = at(At::Held);
    assert!(alone.session.accepts(Incoming));
    alone.give(Input::Connected(Incoming));
    alone.hear(Incoming, &notification(ErrorCode::BAD_PEER_AS));
    assert_eq!(alone.session.state(), State::Idle);
    assert!(!alone.session.accepts(Incoming));
    assert_eq!(alone.give(Input::Connected(Incoming)), [Output::Close(Incoming)]);
}

#[test]
fn a_silent_connection_does_not_keep_us_from_trying() {
    let mut alone = at(At::OpenSent);
    alone.give(Input::Connected(Incoming));
    alone.give(Input::Closed(Outgoing, "reset by peer"));
    assert!(alone.wait_for(seconds(7)).contains(&Output::Connect));
    assert_eq!(alone.session.state(), State::OpenSent);
}

#[test]
fn a_connection_nobody_waits_for_is_closed() {
    let mut alone = at(At::Active);
    assert_eq!(alone.give(Input::Connected(Outgoing)), [Output::Close(Outgoing)]);
    assert!(!at(At::Established).session.accepts(Incoming));
    assert!(at(At::OpenSent).session.accepts(Incoming));
}
