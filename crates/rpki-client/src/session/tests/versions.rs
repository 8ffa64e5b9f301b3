//! Which version is spoken (RFC 8210 section 7), with caches that say so and caches that just hang up.

use super::*;

#[test]
fn an_unsupported_version_error_lowers_step_by_step() {
    let mut world = World::new();
    assert_eq!(world.connect(), [Sent::Reset(2)]);
    assert_eq!(world.get(&pdus::error(1, 4, "no")), Err(End::Downgrade(1)));
    assert_eq!(world.pause(), Duration::ZERO);
    assert_eq!(world.connect(), [Sent::Reset(1)], "an Error Report is not answered");
    assert_eq!(world.get(&pdus::error(1, 4, "still no")), Err(End::Downgrade(0)));
    assert_eq!(world.connect(), [Sent::Reset(0)]);
    world.get(&pdus::answer(0, 7, 1, &[A])).unwrap();
    assert!(world.has(&[A]));
    assert_eq!(world.session.version(), Some(0));
    world.hang_up();
    assert_eq!(world.connect(), [Sent::Serial(0, 7, 1)], "what worked is kept");
    world.now = world.now + s(25 * 3600);
    world.hang_up();
    assert_eq!(world.connect(), [Sent::Reset(2)], "and forgotten after a day");
}

#[test]
fn an_answer_in_a_lower_version_settles_it() {
    let mut world = World::loaded(1);
    assert_eq!(world.session.version(), Some(1));
    world.wait().unwrap();
    assert_eq!(world.sent(), [Sent::Serial(1, 7, 1)]);
    assert_eq!(world.get(&pdus::response(2, 7)), Err(End::Version(2, 1)));
    assert_eq!(world.sent(), [Sent::Error(1, 8)]);
}

#[test]
fn a_cache_that_was_replaced_by_an_older_one_is_asked_for_everything() {
    let mut world = World::loaded(2);
    world.hang_up();
    assert_eq!(world.connect(), [Sent::Serial(2, 7, 1)]);
    assert_eq!(world.get(&pdus::response(1, 7)), Err(End::Version(1, 2)));
    assert_eq!(world.connect(), [Sent::Error(2, 8), Sent::Reset(2)]);
    world.get(&pdus::answer(1, 7, 1, &[B])).unwrap();
    assert!(world.has(&[B]));
}

#[test]
fn an_answer_in_a_higher_version_is_refused() {
    let mut world = World::new();
    world.connect();
    assert_eq!(world.get(&pdus::response(3, 7)), Err(End::Version(3, 2)));
    assert_eq!(world.sent(), [Sent::Error(2, 8)]);
}

#[test]
fn caches_that_hang_up_on_an_unknown_version_get_the_ones_below() {
    let mut world = World::new();
    for version in [2, 1, 0] {
        assert_eq!(world.connect(), [Sent::Reset(version)]);
        world.hang_up();
    }
    assert_eq!(world.connect(), [Sent::Reset(2)], "none worked: from the top");
    world.get(&pdus::answer(2, 7, 1, &[A])).unwrap();
    world.hang_up();
    assert_eq!(world.connect(), [Sent::Serial(2, 7, 1)]);
    world.hang_up();
    for _ in 0..3 {
        assert_eq!(
            world.connect(),
            [Sent::Reset(2)],
            "a version that has worked is not doubted, a session id is"
        );
        world.hang_up();
    }
}

#[test]
fn a_version_that_was_guessed_is_doubted_once() {
    // A relay that accepts and hangs up while its cache is away.
    let mut world = World::new();
    world.connect();
    world.hang_up();
    assert_eq!(world.connect(), [Sent::Reset(1)]);
    world.get(&pdus::answer(1, 7, 1, &[A])).unwrap();
    let begin = world.now;
    assert_eq!(world.wait(), Err(End::Probe));
    assert_eq!((world.now.since(begin), world.pause()), (s(60), Duration::ZERO));
    assert_eq!(world.connect(), [Sent::Reset(2)]);
    world.get(&pdus::answer(2, 8, 1, &[A])).unwrap();
    world.wait().unwrap();
    assert_eq!(world.sent(), [Sent::Serial(2, 8, 1)]);

    // A cache that does not know version 2.
    let mut world = World::new();
    world.connect();
    world.hang_up();
    world.connect();
    world.get(&pdus::answer(1, 7, 1, &[A])).unwrap();
    assert_eq!(world.wait(), Err(End::Probe));
    assert_eq!(world.connect(), [Sent::Reset(2)]);
    world.hang_up();
    assert_eq!(world.connect(), [Sent::Serial(1, 7, 1)], "what worked, at once, from where it was");
    world.get(&pdus::answer(1, 7, 1, &[])).unwrap();
    let begin = world.now;
    world.wait().unwrap();
    assert_eq!(world.now.since(begin), s(3600), "and it stays so");
}
