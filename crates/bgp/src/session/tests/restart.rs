//! Graceful restart as the session sees it (RFC 4724, RFC 8538): what is offered, what outlives which end, and a peer
//! that is back before anybody noticed that it was gone.

use super::*;
use crate::wire::GracefulRestart;

/// We keep forwarding over our restarts.
fn keeping() -> SessionConfig {
    SessionConfig { graceful_restart: Some(120), forwarding: FamilySet::BOTH, ..config() }
}

/// A peer whose OPEN has this capability.
fn peer_with(restart: Option<GracefulRestart>) -> Bytes {
    let mut open = negotiate::our_open(&peer_config());
    open.capabilities.graceful_restart = restart;
    octets(|out| open.encode(out))
}

fn capability(notification: bool) -> GracefulRestart {
    let families = FamilySet::EMPTY.with(Family::Ipv4);
    GracefulRestart { restart_time: 90, notification, families, ..GracefulRestart::default() }
}

fn up(config: SessionConfig, restart: Option<GracefulRestart>) -> Alone {
    let mut alone = Alone::new(config);
    alone.give(Input::Start);
    alone.give(Input::Connected(Outgoing));
    alone.hear(Outgoing, &peer_with(restart));
    alone.hear(Outgoing, &keepalive());
    assert_eq!(alone.session.state(), State::Established);
    alone
}

/// The reason of the end, and what outlives it.
fn end(alone: &mut Alone, input: Input<'_>) -> (DownReason, FamilySet, Vec<Output>) {
    let negotiated = alone.session.negotiated().unwrap().clone();
    let out = alone.give(input);
    let reason =
        out.iter().find_map(|o| if let Output::Down(reason) = o { Some(reason.clone()) } else { None });
    let reason = reason.expect("the session ends");
    let kept = negotiated.kept_after(&reason);
    (reason, kept, out)
}

#[test]
fn the_open_says_what_is_so() {
    let of = |restarting, preserved| {
        let config = SessionConfig { restarting, preserved, ..keeping() };
        negotiate::our_open(&config).capabilities.graceful_restart.unwrap()
    };
    let fresh = of(false, false);
    assert_eq!((fresh.restarting, fresh.restart_time), (false, 120));
    assert_eq!((fresh.families, fresh.forwarding), (FamilySet::BOTH, FamilySet::EMPTY));
    assert!(fresh.notification);
    assert_eq!(of(true, true).forwarding, FamilySet::BOTH);
    assert!(of(true, true).restarting && !of(false, true).restarting);
}

#[test]
fn a_lost_connection_keeps_the_families_the_peer_named() {
    let ipv4 = FamilySet::EMPTY.with(Family::Ipv4);
    for (config, restart, kept) in [
        (keeping(), Some(capability(false)), ipv4),
        (keeping(), None, FamilySet::EMPTY),
        (keeping(), Some(GracefulRestart { restart_time: 0, ..capability(false) }), FamilySet::EMPTY),
        (config(), Some(capability(false)), FamilySet::EMPTY),
    ] {
        let mut alone = up(config, restart);
        assert_eq!(end(&mut alone, Input::Closed(Outgoing, "reset")).1, kept, "{restart:?}");
    }
}

#[test]
fn a_notification_ends_it_unless_both_sides_say_otherwise() {
    let message = notification(ErrorCode::HOLD_TIMER_EXPIRED);
    let hard = octets(|out| Notification::new(ErrorCode::ADMINISTRATIVE_RESET).hardened().encode(out));
    for (restart, message, kept) in [
        (capability(true), &message, true),
        (capability(true), &hard, false),
        (capability(false), &message, false),
    ] {
        let mut alone = up(keeping(), Some(restart));
        let (_, families, _) = end(&mut alone, Input::Message(Outgoing, message));
        assert_eq!(!families.is_empty(), kept, "{restart:?}");
    }
    // The same for what we send.
    let mut alone = up(keeping(), Some(capability(true)));
    let negotiated = alone.session.negotiated().unwrap().clone();
    let out = alone.wait_for(seconds(91));
    let down =
        out.iter().find_map(|o| if let Output::Down(reason) = o { Some(reason) } else { None }).unwrap();
    assert!(matches!(down, DownReason::Sent(n) if n.error == ErrorCode::HOLD_TIMER_EXPIRED));
    assert_eq!(negotiated.kept_after(down), FamilySet::EMPTY.with(Family::Ipv4));
}

#[test]
fn who_ends_it_on_purpose_wants_the_routes_gone() {
    let stop = || Input::Stop(AdminStop::Shutdown("enough".into()));
    let mut alone = up(keeping(), Some(capability(true)));
    let (reason, kept, out) = end(&mut alone, stop());
    assert_eq!(refused_with(&out), ErrorCode::HARD_RESET);
    assert_eq!(
        reason.to_string(),
        "sent NOTIFICATION Cease / Hard Reset (Cease / Administrative Shutdown): \"enough\""
    );
    assert!(kept.is_empty());
    let mut alone = up(keeping(), Some(capability(false)));
    let (_, kept, out) = end(&mut alone, stop());
    assert_eq!(refused_with(&out), ErrorCode::ADMINISTRATIVE_SHUTDOWN);
    assert!(kept.is_empty());
}

#[test]
fn before_our_restart_we_only_hang_up_on_whom_it_concerns_not() {
    let restart = || Input::Stop(AdminStop::Restart);
    let mut alone = up(keeping(), Some(GracefulRestart::default()));
    let (reason, _, out) = end(&mut alone, restart());
    assert_eq!(reason, DownReason::Closed("we restart".into()));
    assert!(sent(&out).is_empty() && out.contains(&Output::Close(Outgoing)));
    // Who does not keep our routes, or was not asked to, is told.
    for (config, peer) in [(keeping(), None), (config(), Some(GracefulRestart::default()))] {
        let (_, _, out) = end(&mut up(config, peer), restart());
        assert_eq!(refused_with(&out), ErrorCode::ADMINISTRATIVE_SHUTDOWN);
    }
}

#[test]
fn a_peer_that_is_back_takes_the_place_of_its_old_connection() {
    let mut alone = up(keeping(), Some(capability(false)));
    assert_eq!(alone.session.yields(alone.now), None, "the connections may have crossed");
    alone.now = alone.now + seconds(10);
    assert_eq!(alone.session.yields(alone.now), Some(Outgoing));
    let (_, kept, _) = end(&mut alone, Input::Closed(Outgoing, "the peer opened another connection"));
    assert!(!kept.is_empty() && alone.session.accepts(Incoming));
    let plain = up(keeping(), None);
    assert_eq!(plain.session.yields(plain.now + seconds(10)), None);
}
