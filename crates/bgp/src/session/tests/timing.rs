//! Timers: a long-lived session in no time, silence in both directions, patience after errors.

use super::*;

#[test]
fn a_day_goes_by_with_a_keepalive_every_half_minute() {
    let mut us = Alone::established(config(), &peer_config());
    let mut sent_in_all = 0;
    for _ in 0..24 * 60 * 4 {
        sent_in_all += sent(&us.wait_for(seconds(15))).len();
        us.hear(Outgoing, &keepalive());
    }
    assert_eq!(us.session.state(), State::Established);
    assert_eq!(us.now.since(us.session.established_since().unwrap()), seconds(86400));
    // 30 s less up to a quarter.
    assert!((2880..=3840).contains(&sent_in_all), "{sent_in_all}");
}

#[test]
fn silence_ends_the_session_after_the_hold_time() {
    let mut us = Alone::established(config(), &peer_config());
    assert!(!us.wait_for(seconds(89)).iter().any(|o| matches!(o, Output::Down(_))));
    let out = us.wait_for(seconds(1));
    assert_eq!(refused_with(&out), ErrorCode::HOLD_TIMER_EXPIRED);
    assert!(out.contains(&Output::Close(Outgoing)));
    assert_eq!(us.session.state(), State::Idle);
}

#[test]
fn input_that_waits_counts_as_life() {
    let mut us = Alone::established(config(), &peer_config());
    us.wait_for(seconds(80));
    us.give(Input::Readable(Outgoing));
    us.wait_for(seconds(80));
    assert_eq!(us.session.state(), State::Established);
}

#[test]
fn a_hold_time_of_zero_means_no_timers() {
    let us = Alone::established(SessionConfig { hold_time: 0, ..config() }, &peer_config());
    assert_eq!(us.session.deadline(), None);
}

#[test]
fn a_peer_that_takes_nothing_is_left_after_the_send_hold_time() {
    let mut us = Alone::established(config(), &peer_config());
    let live = |us: &mut Alone, minutes: u64| {
        let mut out = Vec::new();
        for _ in 0..minutes {
            out.extend(us.wait_for(seconds(60)));
            out.extend(us.hear(Outgoing, &keepalive()));
        }
        out
    };
    us.give(Input::SendQueue(Outgoing, SendQueue::Blocked));
    live(&mut us, 7);
    us.give(Input::SendQueue(Outgoing, SendQueue::Progress));
    live(&mut us, 7);
    us.give(Input::SendQueue(Outgoing, SendQueue::Empty));
    live(&mut us, 20);
    assert_eq!(us.session.state(), State::Established);
    us.give(Input::SendQueue(Outgoing, SendQueue::Blocked));
    live(&mut us, 7);
    us.give(Input::SendQueue(Outgoing, SendQueue::Blocked));
    let out = live(&mut us, 1);
    let reason = DownReason::Sent(Notification::new(ErrorCode::SEND_HOLD_TIMER_EXPIRED));
    assert!(out.contains(&Output::Down(reason)), "{out:?}");
}

#[test]
fn a_peer_that_never_sends_its_open_is_left_after_four_minutes() {
    let mut us = Alone::new(config());
    us.give(Input::Start);
    us.give(Input::Connected(Outgoing));
    assert!(sent(&us.wait_for(seconds(239))).is_empty());
    assert_eq!(refused_with(&us.wait_for(seconds(1))), ErrorCode::HOLD_TIMER_EXPIRED);
}

/// How long the session stays Idle now.
fn idle(us: &mut Alone) -> f64 {
    assert_eq!(us.session.state(), State::Idle);
    let before = us.now;
    assert!(us.wait().contains(&Output::Connect));
    us.now.since(before).as_secs_f64()
}

#[test]
fn errors_in_a_row_make_idle_longer_and_an_hour_up_makes_it_short_again() {
    let mut us = Alone::new(config());
    us.give(Input::Start);
    for nominal in [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0] {
        us.give(Input::Connected(Outgoing));
        us.hear(Outgoing, &notification(ErrorCode::BAD_PEER_AS));
        let waited = idle(&mut us) / nominal;
        assert!((0.75..=1.25).contains(&waited), "{waited} of {nominal} s");
    }
    us.give(Input::Connected(Outgoing));
    us.hear(Outgoing, &open_of(&SessionConfig { hold_time: 0, ..peer_config() }));
    us.hear(Outgoing, &keepalive());
    us.wait_for(seconds(3600));
    us.give(Input::Closed(Outgoing, "reset by peer"));
    assert!(idle(&mut us) <= 1.25);
}

#[test]
fn a_peer_that_is_away_is_tried_every_five_seconds() {
    let mut us = Alone::new(config());
    assert_eq!(us.give(Input::Start)[0], Output::Connect);
    for _ in 0..20 {
        us.give(Input::ConnectFailed("connection refused"));
        let before = us.now;
        assert!(us.wait().contains(&Output::Connect));
        assert!((3750..=6250).contains(&us.now.since(before).as_millis()));
    }
    // An attempt without an answer is given up as soon.
    assert_eq!(us.wait()[..2], [Output::CancelConnect, Output::Connect]);
    let error = us.session.last_error().unwrap().reason.to_string();
    assert_eq!(error, "cannot connect: no answer");
}

#[test]
fn seeds_spread_sessions_and_repeat_themselves() {
    let first_retry = |seed| {
        let mut us = Alone::new(SessionConfig { jitter_seed: seed, ..config() });
        us.give(Input::Start);
        us.session.deadline().unwrap()
    };
    assert_eq!(first_retry(7), first_retry(7));
    let mut all: Vec<Timestamp> = (0..100).map(first_retry).collect();
    all.sort_unstable();
    all.dedup();
    assert!(all.len() > 90, "{} distinct", all.len());
}
