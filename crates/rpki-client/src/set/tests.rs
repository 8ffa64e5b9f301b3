//! Sets against the standard library's, which is slow and right.

use std::collections::BTreeSet;

use proptest::collection::{btree_set, vec};
use proptest::prelude::*;
use siskin_net::{Asn, Prefix};

use super::*;

fn entry(n: u32) -> V4 {
    V4::new(Vrp { prefix: Prefix::v4((n << 8).into(), 24), max_len: 24, asn: Asn(n % 3) })
}

fn set(numbers: &BTreeSet<u32>) -> Set<V4> {
    Set::from_unsorted(numbers.iter().rev().map(|n| entry(*n)).collect())
}

proptest! {
    #[test]
    fn changes_turn_one_set_into_the_other(a in btree_set(0u32..300, 0..120), b in btree_set(0u32..300, 0..120)) {
        let (old, new) = (set(&a), set(&b));
        let changes = old.changes_to(&new);
        prop_assert_eq!(changes.announced.len(), b.difference(&a).count());
        prop_assert_eq!(changes.withdrawn.len(), a.difference(&b).count());
        let mut moved = old.clone();
        moved.apply(&changes);
        prop_assert_eq!(&moved, &new);
        prop_assert!(a.iter().all(|n| moved.contains(entry(*n)) == b.contains(n)));
    }

    #[test]
    fn changes_one_after_the_other_are_the_changes_between_the_ends(
        a in btree_set(0u32..60, 0..40), b in btree_set(0u32..60, 0..40), c in btree_set(0u32..60, 0..40)
    ) {
        let (a, b, c) = (set(&a), set(&b), set(&c));
        let mut both = a.changes_to(&b);
        both.then(b.changes_to(&c));
        prop_assert_eq!(both, a.changes_to(&c));
    }

    #[test]
    fn operations_are_judged_in_the_order_of_their_coming(
        base in btree_set(0u32..20, 0..20), operations in vec((0u32..20, any::<bool>()), 0..30)
    ) {
        let mut model = base.clone();
        let fits = operations.iter().all(|(n, announce)| {
            if *announce { model.insert(*n) } else { model.remove(n) }
        });
        let resolved = set(&base).resolve(operations.iter().map(|(n, a)| (entry(*n), *a)).collect());
        match resolved {
            Ok(changes) => {
                prop_assert!(fits);
                prop_assert_eq!(changes, set(&base).changes_to(&set(&model)));
            }
            Err(_) => prop_assert!(!fits),
        }
    }

    #[test]
    fn seek_is_the_partition_point(numbers in btree_set(0u32..400, 0..200), from in 0usize..200, wanted in 0u32..400) {
        let sorted: Vec<V4> = set(&numbers).iter().collect();
        let from = from.min(sorted.len());
        let expected = from + sorted[from..].partition_point(|e| *e < entry(wanted));
        prop_assert_eq!(seek(&sorted, from, entry(wanted)), expected);
    }
}

#[test]
fn a_set_on_disk_must_be_in_order() {
    assert!(Set::from_sorted(vec![entry(1), entry(2)]).is_some());
    assert!(Set::from_sorted(vec![entry(2), entry(1)]).is_none());
    assert!(Set::from_sorted(vec![entry(1), entry(1)]).is_none());
}
