//! The dates of retries.

use super::*;

#[test]
fn waits_double_up_to_a_minute() {
    let mut failures = Failures::default();
    let place = Place { table: 0, prefix: "203.0.113.0/24".parse().unwrap() };
    let error = || KernelError::new(22, "no");
    let start = Instant::now();
    let mut waits = Vec::new();
    for _ in 0..8 {
        failures.record(place, error(), start);
        let due = failures.by_place[&place].due;
        waits.push((due - start).as_secs());
        assert!(failures.due(due - Duration::from_millis(1)).is_empty());
        assert_eq!(failures.due(due), [place]);
    }
    assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60]);
    failures.record(place, error(), start);
    failures.hurry(start);
    assert_eq!(failures.due(start), [place]);
    failures.forget(place);
    assert_eq!(failures.get(place), None);
    failures.record(place, error(), start);
    assert_eq!((failures.by_place[&place].due - start).as_secs(), 1, "forgotten means from the start");
}

#[test]
fn equal_texts_are_kept_once() {
    let mut failures = Failures::default();
    let now = Instant::now();
    for n in 0..10u8 {
        let prefix = siskin_net::Prefix::v4(std::net::Ipv4Addr::new(10, n, 0, 0), 16);
        let place = Place { table: 0, prefix };
        failures.record(place, KernelError::new(22, "no".to_owned()), now);
    }
    let texts: HashSet<*const u8> = failures.by_place.values().map(|f| f.error.text.as_ptr()).collect();
    assert_eq!(texts.len(), 1);
}
