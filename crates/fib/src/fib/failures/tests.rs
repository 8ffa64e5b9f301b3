//! The dates of retries.

use super::*;

#[test]
fn waits_double_up_to_a_minute() {
    let mut failures = Failures::default();
    let prefix: Prefix = "203.0.113.0/24".parse().unwrap();
    let error = || KernelError::new(22, "no");
    let start = Instant::now();
    let mut waits = Vec::new();
    for _ in 0..8 {
        failures.record(prefix, error(), start);
        let due = failures.by_prefix[&prefix].due;
        waits.push((due - start).as_secs());
        assert!(failures.due(due - Duration::from_millis(1)).is_empty());
        assert_eq!(failures.due(due), [prefix]);
    }
    assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60]);
    failures.record(prefix, error(), start);
    failures.hurry(start);
    assert_eq!(failures.due(start), [prefix]);
    failures.forget(prefix);
    assert_eq!(failures.get(prefix), None);
    failures.record(prefix, error(), start);
    assert_eq!((failures.by_prefix[&prefix].due - start).as_secs(), 1, "forgotten means from the start");
}

#[test]
fn equal_texts_are_kept_once() {
    let mut failures = Failures::default();
    let now = Instant::now();
    for n in 0..10u8 {
        let prefix = Prefix::v4(std::net::Ipv4Addr::new(10, n, 0, 0), 16);
        failures.record(prefix, KernelError::new(22, "no".to_owned()), now);
    }
    let texts: HashSet<*const u8> = failures.by_prefix.values().map(|f| f.error.text.as_ptr()).collect();
    assert_eq!(texts.len(), 1);
}
