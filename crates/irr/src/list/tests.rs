use proptest::prelude::*;
use siskin_net::Family;

use super::*;

const NOW: SystemTime = SystemTime::UNIX_EPOCH;
const V4: Part = Part::Prefixes(Family::Ipv4);

fn prefixes(count: u128) -> Arc<[Prefix]> {
    (0..count).map(|n| Prefix::from_bits(Family::Ipv4, n << 104, 24)).collect()
}

fn list_of(count: u128) -> List {
    let mut list = List::new(V4);
    assert!(list.answer(Answer::Prefixes(prefixes(count)), NOW));
    list
}

fn entries(list: &List) -> Option<usize> {
    list.good().map(|g| g.data.len())
}

#[test]
fn a_failure_keeps_the_list_and_says_why() {
    let mut list = list_of(3);
    list.fail(&FetchError::Closed, NOW);
    assert_eq!(entries(&list), Some(3));
    assert_eq!(list.state().name(), "kept");
    assert!(list.state().reason().is_some_and(|r| r.contains("closed")));
    assert!(list.answer(Answer::Prefixes(prefixes(4)), NOW));
    assert_eq!((entries(&list), list.state()), (Some(4), &State::Fresh));
}

#[test]
fn without_a_list_nothing_is_in_force() {
    let mut list = List::new(V4);
    list.fail(&FetchError::Closed, NOW);
    assert_eq!((entries(&list), list.state().name()), (None, "missing"));
    assert!(!list.answer(Answer::NotFound, NOW));
    assert_eq!((entries(&list), list.state().name(), list.accept()), (None, "missing", None));
}

#[test]
fn no_such_set_is_an_alarm_until_accepted() {
    let mut list = list_of(3);
    assert!(!list.answer(Answer::NotFound, NOW));
    assert_eq!((entries(&list), list.state().name()), (Some(3), "alarm"));
    list.fail(&FetchError::Closed, NOW);
    assert_eq!(list.state().name(), "alarm");
    assert_eq!(list.accept(), Some((3, 0)));
    assert_eq!((entries(&list), list.state()), (Some(0), &State::Fresh));
    assert!(list.answer(Answer::NotFound, NOW), "accepted once is enough");
    assert_eq!(list.state(), &State::Fresh);
    assert_eq!(list.accept(), None);
}

#[test]
fn a_loss_of_more_than_half_is_an_alarm_that_a_good_answer_ends() {
    let mut list = list_of(11_204);
    assert!(!list.answer(Answer::Prefixes(prefixes(3000)), NOW));
    assert_eq!(list.state(), &State::Alarm { reason: "shrank from 11,204 to 3,000".into() });
    assert!(list.answer(Answer::Prefixes(prefixes(11_000)), NOW));
    assert_eq!((entries(&list), list.state()), (Some(11_000), &State::Fresh));
    assert_eq!(list.accept(), None);
}

#[test]
fn small_lists_may_shrink_but_not_vanish() {
    assert_eq!(doubt(Some(9), Some(1)), None);
    assert!(doubt(Some(9), Some(0)).is_some());
    assert!(doubt(Some(1), Some(0)).is_some());
    assert!(doubt(Some(10), Some(4)).is_some());
    assert_eq!(doubt(Some(10), Some(5)), None);
    assert!(doubt(Some(11), Some(5)).is_some());
    assert_eq!(doubt(Some(0), Some(0)), None);
    assert_eq!(doubt(None, Some(0)), None);
}

#[test]
fn what_the_disk_has_is_fresh_for_a_refresh_only() {
    let good = || Good { data: Data::Prefixes(prefixes(1)), fetched: NOW };
    let hour = Duration::from_secs(3600);
    let mut list = List::new(V4);
    list.load(Ok(Some(good())), hour, NOW + hour);
    assert_eq!(list.state(), &State::Fresh);
    list.load(Ok(Some(good())), hour, NOW + 2 * hour);
    assert_eq!(list.state().name(), "kept");
    let mut list = List::new(V4);
    list.load(Err("damaged".into()), hour, NOW);
    assert_eq!(list.state(), &State::Missing { reason: "damaged".into() });
}

proptest! {
    /// Whatever happens, a list with entries never becomes empty or absent but by `accept`.
    #[test]
    fn nothing_but_the_operator_empties_a_list(events in prop::collection::vec((0u8..4, 0u128..40), 1..40)) {
        let mut list = List::new(V4);
        for (event, count) in events {
            let before = entries(&list).unwrap_or(0);
            match event {
                0 => list.fail(&FetchError::Closed, NOW),
                1 => { list.answer(Answer::NotFound, NOW); }
                _ => { list.answer(Answer::Prefixes(prefixes(count)), NOW); }
            }
            prop_assert!(before == 0 || entries(&list).is_some_and(|n| n > 0));
        }
    }
}
