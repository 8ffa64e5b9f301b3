//! One cache, driven octet by octet and hour by hour: sequences and timers here, the rest by kind.

mod conversations;
mod faults;
mod versions;

use siskin_net::Vrp;

use super::*;
use crate::pdus;
use crate::set::Conflict;
use crate::union::{Source, Union};

/// What a session says to its cache, and the union its answers end in.
#[derive(Default)]
struct Driver {
    union: Union,
    sent: Vec<u8>,
}

impl Host for Driver {
    fn send(&mut self, octets: &[u8]) {
        self.sent.extend(octets);
    }

    fn apply(&mut self, payload: Payload, expires: Timestamp) -> Result<(), Refused> {
        self.union.apply(&Source::Cache("c".into()), payload, expires).map(drop)
    }
}

/// What was sent to a cache.
#[derive(Debug, PartialEq, Eq)]
enum Sent {
    Reset(u8),
    Serial(u8, u16, u32),
    Error(u8, u16),
}

struct World {
    session: Session,
    driver: Driver,
    now: Timestamp,
}

const A: (&str, u32) = ("192.0.2.0/24", 64496);
const B: (&str, u32) = ("2001:db8::/32", 64497);

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

impl World {
    fn with(timers: Timers, limits: Limits) -> World {
        let now = Timestamp(86_400_000_000);
        World { session: Session::new(timers, limits, now), driver: Driver::default(), now }
    }

    /// A session that has not connected yet.
    fn new() -> World {
        World::with(Timers::default(), Limits::default())
    }

    /// A session that has A of serial 1 in `version`, and is connected.
    fn loaded(version: u8) -> World {
        let mut world = World::new();
        assert_eq!(world.connect(), [Sent::Reset(2)]);
        world.get(&pdus::answer(version, 7, 1, &[A])).unwrap();
        world
    }

    fn connect(&mut self) -> Vec<Sent> {
        let retry = self.session.retry_at().expect("not connected");
        self.now = self.now.max(retry);
        self.session.connected(self.now, &mut self.driver);
        self.sent()
    }

    fn sent(&mut self) -> Vec<Sent> {
        let octets = std::mem::take(&mut self.driver.sent);
        let mut rest = &octets[..];
        let mut all = Vec::new();
        while let Some((frame, length)) = wire::decode(rest, 0).unwrap() {
            rest = &rest[length..];
            all.push(match frame.pdu {
                Pdu::ResetQuery => Sent::Reset(frame.version),
                Pdu::SerialQuery { session, serial } => Sent::Serial(frame.version, session, serial),
                Pdu::ErrorReport { code, .. } => Sent::Error(frame.version, code),
                other => panic!("{other:?}"),
            });
        }
        all
    }

    /// Takes octets; an error closes, as the driver would.
    fn get(&mut self, octets: &[u8]) -> Result<(), End> {
        let result = self.session.received(self.now, octets, &mut self.driver);
        result.map(drop).inspect_err(|end| self.session.closed(self.now, end))
    }

    /// Lets the next deadline come.
    fn wait(&mut self) -> Result<(), End> {
        self.now = self.now.max(self.session.deadline().expect("connected"));
        let result = self.session.tick(self.now, &mut self.driver);
        result.inspect_err(|end| self.session.closed(self.now, end))
    }

    fn hang_up(&mut self) {
        let end = self.session.hung_up();
        self.session.closed(self.now, &end);
    }

    fn pause(&self) -> Duration {
        self.session.retry_at().expect("not connected").since(self.now)
    }

    fn has(&self, vrps: &[(&str, u32)]) -> bool {
        let data = self.driver.union.said(&Source::Cache("c".into()));
        let count: usize = data.map_or(0, |d| d.vrps.counts().iter().map(|(_, n)| n).sum());
        let there = vrps.iter().all(|(prefix, asn)| {
            let prefix: siskin_net::Prefix = prefix.parse().unwrap();
            let vrp = Vrp { prefix, max_len: prefix.len(), asn: siskin_net::Asn(*asn) };
            data.is_some_and(|d| d.vrps.contains(vrp))
        });
        there && count == vrps.len()
    }
}

#[test]
fn a_serial_outlives_its_connection() {
    let mut world = World::loaded(2);
    assert!(world.has(&[A]));
    world.hang_up();
    assert_eq!(world.connect(), [Sent::Serial(2, 7, 1)]);
    let mut delta = pdus::response(2, 7);
    delta.extend(pdus::vrp(2, false, A.0, 24, A.1));
    delta.extend(pdus::vrp(2, true, B.0, 32, B.1));
    world.get(&delta).unwrap();
    assert!(world.has(&[A]), "half an answer changes nothing");
    world.get(&pdus::end(2, 7, 2)).unwrap();
    assert!(world.has(&[B]));
    assert_eq!(world.session.position(), Some((7, 2)));
    assert_eq!(world.sent(), []);
}

#[test]
fn an_answer_that_breaks_off_is_as_if_it_never_came() {
    let mut world = World::loaded(2);
    world.wait().unwrap();
    assert_eq!(world.sent(), [Sent::Serial(2, 7, 1)]);
    let whole = pdus::answer(2, 7, 2, &[B]);
    world.get(&whole[..whole.len() - 1]).unwrap();
    world.hang_up();
    assert!(world.has(&[A]));
    assert_eq!(world.connect(), [Sent::Serial(2, 7, 1)]);
}

#[test]
fn a_cache_reset_asks_for_everything_and_keeps_what_there_is_until_it_came() {
    let mut world = World::loaded(1);
    world.wait().unwrap();
    assert_eq!(world.sent(), [Sent::Serial(1, 7, 1)]);
    world.get(&pdus::reset(1)).unwrap();
    assert_eq!(world.sent(), [Sent::Reset(1)]);
    assert!(world.has(&[A]));
    world.get(&pdus::answer(1, 8, 1, &[B])).unwrap();
    assert!(world.has(&[B]));
    assert_eq!(world.session.position(), Some((8, 1)));
    assert_eq!(world.get(&pdus::reset(1)), Err(End::Unexpected("a Cache Reset")));
}

#[test]
fn another_session_id_means_a_whole_new_set_at_once() {
    let openings = [pdus::response(2, 8), [pdus::response(2, 7), pdus::end(2, 8, 2)].concat()];
    for opening in openings {
        let mut world = World::loaded(2);
        world.wait().unwrap();
        world.sent();
        assert_eq!(world.get(&opening), Err(End::SessionChanged(7, 8)));
        assert_eq!(world.sent(), [Sent::Error(2, 0)]);
        assert!(world.has(&[A]), "old data stand until new ones are whole");
        assert_eq!(world.pause(), Duration::ZERO);
        assert_eq!(world.connect(), [Sent::Reset(2)]);
    }
    let mut world = World::loaded(2);
    assert_eq!(world.get(&pdus::notify(2, 8, 2)), Err(End::SessionChanged(7, 8)));
    assert_eq!(world.connect(), [Sent::Error(2, 0), Sent::Reset(2)]);
}

#[test]
fn a_cache_that_goes_back_in_time_is_asked_for_everything() {
    let mut world = World::new();
    world.connect();
    world.get(&pdus::answer(2, 7, 1000, &[A])).unwrap();
    world.wait().unwrap();
    assert_eq!(world.sent(), [Sent::Serial(2, 7, 1000)]);
    assert_eq!(world.get(&pdus::answer(2, 7, 999, &[B])), Err(End::OldSerial(1000, 999)));
    assert!(world.has(&[A]));
    assert_eq!(world.connect(), [Sent::Error(2, 0), Sent::Reset(2)]);
    world.get(&pdus::answer(2, 7, 999, &[B])).unwrap();
    assert!(world.has(&[B]), "a whole set may have any serial");
}

#[test]
fn serials_wrap() {
    assert!(is_before(1, 2) && is_before(u32::MAX, 0) && is_before(u32::MAX - 5, 5));
    assert!(!is_before(2, 1) && !is_before(0, u32::MAX) && !is_before(3, 3));
}

#[test]
fn a_session_id_that_a_cache_reports_as_an_error_is_forgotten() {
    let mut world = World::loaded(2);
    world.hang_up();
    assert_eq!(world.connect(), [Sent::Serial(2, 7, 1)]);
    let end = world.get(&pdus::error(2, 0, "Session ID mismatch")).unwrap_err();
    assert!(matches!(end, End::Reported(0, _)));
    assert_eq!(world.pause(), Duration::ZERO);
    assert_eq!(world.connect(), [Sent::Reset(2)]);
    assert!(world.has(&[A]));
}

#[test]
fn a_cache_without_data_is_asked_again_later() {
    let mut world = World::new();
    world.connect();
    assert_eq!(world.get(&pdus::error(2, 2, "")), Err(End::NoData));
    assert_eq!(world.pause(), s(1));
    assert_eq!(world.connect(), [Sent::Reset(2)]);
}

#[test]
fn pauses_double_up_to_the_retry_interval() {
    let mut world = World::new();
    world.connect();
    world.get(&pdus::answer(2, 7, 1, &[])).unwrap();
    world.hang_up();
    let mut pauses = Vec::new();
    for _ in 0..12 {
        world.now = world.session.retry_at().unwrap();
        world.session.closed(world.now, &End::Connect("refused".into()));
        pauses.push(world.pause().as_secs());
    }
    assert_eq!(pauses, [2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600, 600]);
}

#[test]
fn the_refresh_timer_asks_and_silence_ends_the_connection() {
    let mut world = World::loaded(2);
    let begin = world.now;
    world.wait().unwrap();
    assert_eq!(world.now.since(begin), s(3600));
    assert_eq!(world.sent(), [Sent::Serial(2, 7, 1)]);
    assert_eq!(world.wait(), Err(End::Silent(s(30), "after a query")));
    assert_eq!(world.now.since(begin), s(3630));
    assert!(world.has(&[A]));
}

#[test]
fn the_timers_of_end_of_data_count() {
    let mut world = World::new();
    world.connect();
    world.get(&pdus::response(1, 7)).unwrap();
    world.get(&pdus::end_timed(1, 7, 1, [20, 10, 900])).unwrap();
    let begin = world.now;
    assert_eq!(world.driver.union.next_expiry(), Some(begin + s(900)));
    world.wait().unwrap();
    assert_eq!(world.now.since(begin), s(20));
}

#[test]
fn a_stalled_answer_times_out() {
    let mut world = World::new();
    world.connect();
    world.get(&pdus::response(2, 7)).unwrap();
    world.now = world.now + s(20);
    world.get(&pdus::vrp(2, true, A.0, 24, A.1)).unwrap();
    world.now = world.now + s(29);
    world.session.tick(world.now, &mut world.driver).unwrap();
    assert_eq!(world.wait(), Err(End::Silent(s(30), "in the middle of an answer")));
}

#[test]
fn an_answer_that_trickles_times_out() {
    let mut world = World::new();
    world.connect();
    world.get(&pdus::response(2, 7)).unwrap();
    let begin = world.now;
    let end = loop {
        world.now = world.now + s(25);
        if let Err(end) = world.session.tick(world.now, &mut world.driver) {
            break end;
        }
        world.get(&pdus::vrp(2, true, A.0, 24, A.1)).unwrap();
    };
    assert_eq!(end, End::Slow(s(600)));
    assert!(world.now.since(begin) < s(650));
}

#[test]
fn expired_data_are_asked_for_anew() {
    let mut world = World::loaded(2);
    world.hang_up();
    world.now = world.now + s(7201);
    assert_eq!(world.driver.union.expire(world.now), [Source::Cache("c".into())]);
    assert_eq!(world.connect(), [Sent::Reset(2)]);
}

#[test]
fn a_delta_whose_base_expired_meanwhile_is_refused() {
    let mut world = World::loaded(2);
    world.hang_up();
    world.now = world.now + s(7195);
    assert_eq!(world.connect(), [Sent::Serial(2, 7, 1)]);
    world.now = world.now + s(10);
    world.driver.union.expire(world.now);
    assert_eq!(world.get(&pdus::answer(2, 7, 2, &[B])), Err(End::Refused(Conflict::NoBase.into())));
    assert_eq!(world.connect(), [Sent::Error(2, 0), Sent::Reset(2)]);
}

#[test]
fn a_notify_asks_at_once_and_a_flood_of_them_ten_times_a_second() {
    let mut world = World::new();
    world.connect();
    world.get(&pdus::notify(2, 99, 5)).unwrap();
    world.get(&pdus::answer(2, 7, 1, &[A])).unwrap();
    assert_eq!(world.sent(), [], "a notify before the first answer says nothing");
    world.now = world.now + s(10);
    world.get(&pdus::notify(2, 7, 2)).unwrap();
    let begin = world.now;
    for serial in 2..5 {
        world.wait().unwrap();
        assert_eq!(world.sent(), [Sent::Serial(2, 7, serial - 1)]);
        let mut answer = pdus::answer(2, 7, serial, &[]);
        for _ in 0..100 {
            answer.extend(pdus::notify(2, 7, serial + 1));
        }
        world.get(&answer).unwrap();
    }
    assert_eq!(world.now.since(begin), Duration::from_millis(200));
}

#[test]
fn aspas_are_replaced_and_withdrawn_by_customer() {
    let mut world = World::new();
    world.connect();
    let answer = |serial, aspas: &[(u32, &[u32])]| {
        let aspas = aspas.iter().flat_map(|(customer, providers)| pdus::aspa(*customer, providers));
        [pdus::response(2, 7), aspas.collect(), pdus::end(2, 7, serial)].concat()
    };
    world.get(&answer(1, &[(10, &[3, 1, 3]), (11, &[0])])).unwrap();
    let told = |world: &World| -> Vec<(u32, Vec<u32>)> {
        let aspas = world.driver.union.aspas().iter();
        aspas.map(|a| (a.customer.0, a.providers.iter().map(|p| p.0).collect())).collect()
    };
    assert_eq!(told(&world), [(10, vec![1, 3]), (11, vec![0])]);
    world.wait().unwrap();
    world.get(&answer(2, &[(10, &[9]), (11, &[])])).unwrap();
    assert_eq!(told(&world), [(10, vec![9])]);
    world.wait().unwrap();
    assert_eq!(world.get(&answer(3, &[(11, &[])])), Err(End::Refused(Conflict::Unknown.into())));
}
