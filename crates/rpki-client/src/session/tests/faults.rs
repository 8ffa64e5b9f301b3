//! What a cache sends and should not.

use super::*;
use crate::set::Conflict;

#[test]
fn operations_that_do_not_fit_lead_to_a_whole_set_once_at_once() {
    let twice = pdus::answer(2, 7, 2, &[A]);
    let unknown = [pdus::response(2, 7), pdus::vrp(2, false, B.0, 32, B.1), pdus::end(2, 7, 2)].concat();
    for (octets, conflict, code) in [(twice, Conflict::Duplicate, 7), (unknown, Conflict::Unknown, 6)] {
        let mut world = World::loaded(2);
        world.wait().unwrap();
        world.sent();
        assert_eq!(world.get(&octets), Err(End::Refused(conflict.into())));
        assert!(world.has(&[A]));
        assert_eq!(world.pause(), Duration::ZERO);
        assert_eq!(world.connect(), [Sent::Error(2, code), Sent::Reset(2)]);
        let withdrawal = [pdus::response(2, 7), pdus::vrp(2, false, B.0, 32, B.1)].concat();
        assert_eq!(world.get(&withdrawal), Err(End::Refused(Conflict::Unknown.into())));
        assert_eq!(world.pause(), s(1), "the second time there is a pause");
    }
}

#[test]
fn a_whole_set_with_a_vrp_twice_counts_it_once() {
    let mut world = World::new();
    world.connect();
    world.get(&pdus::answer(2, 7, 1, &[A, B, A])).unwrap();
    assert!(world.has(&[A, B]));
}

#[test]
fn floods_end_at_the_limits() {
    let limits = Limits { vrps: 3, aspas: 2, providers: 4, all_providers: 6 };
    let connected = || {
        let mut world = World::with(Timers::default(), limits);
        world.connect();
        world.get(&pdus::response(2, 7)).unwrap();
        world
    };
    let mut world = connected();
    for _ in 0..3 {
        world.get(&pdus::vrp(2, true, A.0, 24, A.1)).unwrap();
    }
    let refused = world.get(&pdus::vrp(2, true, A.0, 24, A.1));
    assert_eq!(refused, Err(End::Refused(Refused::Limit { limit: 3, what: "VRPs in one answer" })));

    let mut world = connected();
    world.get(&pdus::aspa(1, &[1, 2, 3, 4])).unwrap();
    let refused = world.get(&pdus::aspa(2, &[1, 2, 3]));
    assert_eq!(refused, Err(End::Refused(Refused::Limit { limit: 6, what: "providers in one answer" })));

    let mut world = connected();
    world.get(&pdus::aspa(1, &[1])).unwrap();
    world.get(&pdus::aspa(2, &[1])).unwrap();
    let refused = world.get(&pdus::aspa(3, &[1]));
    assert_eq!(refused, Err(End::Refused(Refused::Limit { limit: 2, what: "ASPAs in one answer" })));

    // Deltas that each keep within the limit must not add up to more.
    let mut world = World::with(Timers::default(), limits);
    world.connect();
    world.get(&pdus::answer(2, 7, 1, &[A, B])).unwrap();
    world.wait().unwrap();
    let refused = world.get(&pdus::answer(2, 7, 2, &[("10.0.0.0/8", 1), ("11.0.0.0/8", 1)]));
    assert_eq!(refused, Err(End::Refused(Refused::Limit { limit: 3, what: "VRPs" })));
    assert!(world.has(&[A, B]));
}

#[test]
fn garbage_is_answered_with_an_error_report_and_an_error_report_with_nothing() {
    let mut world = World::new();
    world.connect();
    let end = world.get(b"HTTP/1.1 400 Bad Request\r\n").unwrap_err();
    assert!(matches!(end, End::Malformed(_)), "{end:?}");
    assert_eq!(world.sent(), [Sent::Error(2, 5)]);

    let mut world = World::loaded(2);
    let mut broken = pdus::error(2, 0, "x");
    broken[8] = 0xff;
    assert!(matches!(world.get(&broken), Err(End::Malformed(_))));
    assert_eq!(world.sent(), []);
}

#[test]
fn pdus_out_of_place_end_the_connection() {
    let misplaced = [
        pdus::vrp(2, true, A.0, 24, A.1),
        pdus::aspa(1, &[2]),
        pdus::response(2, 7),
        pdus::end(2, 7, 2),
        vec![2, 2, 0, 0, 0, 0, 0, 8],
    ];
    for octets in misplaced {
        let mut world = World::loaded(2);
        assert!(matches!(world.get(&octets), Err(End::Unexpected(_))), "{octets:?}");
        assert_eq!(world.sent(), [Sent::Error(2, 0)]);
        assert!(world.has(&[A]));
    }
}

#[test]
fn what_a_cache_reports_is_told_without_its_control_characters() {
    let mut world = World::loaded(2);
    let end = world.get(&pdus::error(2, 1, "disk\u{1b}[31m full\n")).unwrap_err();
    assert_eq!(end.to_string(), "the cache reported error 1: disk[31m full");
}
