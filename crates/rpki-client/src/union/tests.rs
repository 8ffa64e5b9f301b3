//! The union against a slow model: whatever happens, the updates add up to what all sources say under the exceptions.

use std::collections::{BTreeMap, BTreeSet};

use proptest::collection::{btree_set, vec};
use proptest::prelude::*;
use siskin_net::{Asn, Family, Prefix};

use super::*;
use crate::payload::Limits;

fn vrp(n: u8) -> Vrp {
    let family = if n.is_multiple_of(3) { Family::Ipv6 } else { Family::Ipv4 };
    let prefix = Prefix::from_bits(family, u128::from(n) << 120, 8);
    Vrp { prefix, max_len: 8, asn: Asn(u32::from(n) % 4) }
}

fn cache(n: u8) -> Source {
    Source::Cache(format!("cache{n}"))
}

fn full(vrps: &BTreeSet<u8>) -> Payload {
    let mut payload = Payload::new(true, Limits::default());
    vrps.iter().for_each(|n| payload.vrp(true, vrp(*n)).unwrap());
    payload
}

/// A Slurm file that filters an AS, filters a prefix, and asserts a VRP.
fn slurm(asn: Option<u32>, prefix: Option<u8>, asserted: Option<u8>) -> Slurm {
    let asn = asn.map(|a| format!("{{\"asn\": {a}}}"));
    let prefix = prefix.map(|n| format!("{{\"prefix\": \"{}\"}}", vrp(n).prefix));
    let filters: Vec<String> = asn.into_iter().chain(prefix).collect();
    let asserted =
        asserted.map(|n| format!("{{\"asn\": {}, \"prefix\": \"{}\"}}", vrp(n).asn, vrp(n).prefix));
    let text = format!(
        r#"{{"slurmVersion": 1, "validationOutputFilters": {{"prefixFilters": [{}]}},
            "locallyAddedAssertions": {{"prefixAssertions": [{}]}}}}"#,
        filters.join(","),
        asserted.unwrap_or_default()
    );
    Slurm::parse(text.as_bytes()).unwrap()
}

#[derive(Debug, Clone)]
enum Step {
    Full(u8, BTreeSet<u8>),
    Toggle(u8, BTreeSet<u8>),
    Remove(u8),
    Slurm(Option<u32>, Option<u8>, Option<u8>),
    Take,
}

fn any_step() -> impl Strategy<Value = Step> {
    use proptest::option::of;
    prop_oneof![
        3 => (0u8..3, btree_set(0u8..24, 0..16)).prop_map(|(c, s)| Step::Full(c, s)),
        4 => (0u8..3, btree_set(0u8..24, 0..6)).prop_map(|(c, s)| Step::Toggle(c, s)),
        1 => (0u8..3).prop_map(Step::Remove),
        2 => (of(0u32..4), of(0u8..24), of(0u8..24)).prop_map(|(a, p, v)| Step::Slurm(a, p, v)),
        3 => Just(Step::Take),
    ]
}

/// The model: sets, and rules as closures over them.
#[derive(Default)]
struct Model {
    caches: BTreeMap<u8, BTreeSet<u8>>,
    rules: (Option<u32>, Option<u8>, Option<u8>),
}

impl Model {
    fn given(&self) -> BTreeSet<Vrp> {
        let (asn, prefix, asserted) = self.rules;
        let said: BTreeSet<u8> = self.caches.values().flatten().copied().collect();
        let hidden = |n: &u8| {
            asn == Some(vrp(*n).asn.0) || prefix.is_some_and(|p| vrp(p).prefix.covers(vrp(*n).prefix))
        };
        said.into_iter().filter(|n| !hidden(n)).chain(asserted).map(vrp).collect()
    }
}

fn step(union: &mut Union, model: &mut Model, step: Step) {
    match step {
        Step::Full(c, vrps) => {
            union.apply(&cache(c), full(&vrps), Timestamp(9)).unwrap();
            model.caches.insert(c, vrps);
        }
        Step::Toggle(c, vrps) => {
            let Some(there) = model.caches.get_mut(&c) else { return };
            let mut payload = Payload::new(false, Limits::default());
            for n in vrps {
                let announce = there.insert(n);
                if !announce {
                    there.remove(&n);
                }
                payload.vrp(announce, vrp(n)).unwrap();
            }
            union.apply(&cache(c), payload, Timestamp(9)).unwrap();
        }
        Step::Remove(c) => {
            union.remove(&cache(c));
            model.caches.remove(&c);
        }
        Step::Slurm(a, p, v) => {
            union.set_slurm(slurm(a, p, v));
            model.rules = (a, p, v);
        }
        Step::Take => {}
    }
}

proptest! {
    #[test]
    fn updates_add_up_to_what_is_said(steps in vec(any_step(), 0..40)) {
        let (mut union, mut model) = (Union::default(), Model::default());
        let mut table = BTreeSet::new();
        for next in steps.into_iter().chain([Step::Take]) {
            let take = matches!(next, Step::Take);
            step(&mut union, &mut model, next);
            prop_assert_eq!(union.counts().iter().map(|(_, n)| n).sum::<usize>(), model.given().len());
            if take {
                let (announced, withdrawn) = union.take().delta.into_vrps();
                for vrp in withdrawn {
                    prop_assert!(table.remove(&vrp), "{vrp:?} withdrawn, was not there");
                }
                for vrp in announced {
                    prop_assert!(table.insert(vrp), "{vrp:?} announced, was there");
                }
                prop_assert_eq!(&table, &model.given());
                prop_assert!(!union.has_pending());
            }
        }
        let said: usize = model.caches.values().flatten().collect::<BTreeSet<_>>().len();
        prop_assert_eq!(union.snapshot().vrps.counts().iter().map(|(_, n)| n).sum::<usize>(), said);
    }
}

fn numbers(of: &[u8]) -> BTreeSet<u8> {
    of.iter().copied().collect()
}

#[test]
fn a_vrp_of_two_caches_goes_when_both_lack_it() {
    let mut union = Union::default();
    union.apply(&cache(1), full(&numbers(&[1, 2])), Timestamp(9)).unwrap();
    union.apply(&cache(2), full(&numbers(&[2, 3])), Timestamp(9)).unwrap();
    assert_eq!(union.take().delta.len(), (3, 0));
    union.apply(&cache(1), full(&numbers(&[1])), Timestamp(9)).unwrap();
    assert!(!union.has_pending(), "an unchanged union says nothing");
    union.apply(&cache(2), full(&numbers(&[3])), Timestamp(9)).unwrap();
    assert_eq!(union.take().delta.into_vrps(), (vec![], vec![vrp(2)]));
}

#[test]
fn what_comes_and_goes_before_it_was_taken_is_never_told() {
    let mut union = Union::default();
    union.apply(&cache(1), full(&numbers(&[1])), Timestamp(9)).unwrap();
    union.take();
    for _ in 0..3 {
        union.apply(&cache(1), full(&numbers(&[1, 2])), Timestamp(9)).unwrap();
        union.apply(&cache(1), full(&numbers(&[1])), Timestamp(9)).unwrap();
    }
    assert!(!union.has_pending());
}

#[test]
fn each_source_expires_in_its_time() {
    let mut union = Union::default();
    union.apply(&cache(1), full(&numbers(&[1, 2])), Timestamp(10)).unwrap();
    union.apply(&cache(2), full(&numbers(&[2])), Timestamp(20)).unwrap();
    union.take();
    assert_eq!(union.next_expiry(), Some(Timestamp(10)));
    assert!(union.expire(Timestamp(9)).is_empty());
    assert_eq!(union.expire(Timestamp(10)), [cache(1)]);
    assert_eq!(union.take().delta.into_vrps(), (vec![], vec![vrp(1)]));
    union.shorten(&cache(2), Timestamp(30));
    assert_eq!(union.next_expiry(), Some(Timestamp(20)), "shortening lengthens nothing");
    assert_eq!(union.expire(Timestamp(25)), [cache(2)]);
    assert_eq!((union.next_expiry(), union.said(&cache(2))), (None, None));
}

#[test]
fn an_answer_that_does_not_fit_leaves_the_source_as_it_was() {
    let mut union = Union::default();
    union.apply(&cache(1), full(&numbers(&[1])), Timestamp(10)).unwrap();
    union.take();
    let mut payload = Payload::new(false, Limits::default());
    payload.vrp(true, vrp(5)).unwrap();
    payload.vrp(false, vrp(6)).unwrap();
    assert!(union.apply(&cache(1), payload, Timestamp(20)).is_err());
    assert!(!union.has_pending());
    assert_eq!(union.next_expiry(), Some(Timestamp(10)), "nor does it live longer");
    assert!(union.said(&cache(1)).unwrap().vrps.contains(vrp(1)));
}

#[test]
fn aspas_unite_by_customer_and_exceptions_replace_them() {
    let aspas = |customer: u32, providers: &[u32]| {
        let mut payload = Payload::new(true, Limits::default());
        payload.aspa(Asn(customer), None, Some(providers.iter().map(|p| Asn(*p)).collect())).unwrap();
        payload
    };
    let told = |union: &mut Union| -> Option<Vec<(u32, Vec<u32>)>> {
        let all = union.take().aspas?;
        Some(all.iter().map(|a| (a.customer.0, a.providers.iter().map(|p| p.0).collect())).collect())
    };
    let mut union = Union::default();
    union.apply(&cache(1), aspas(10, &[1, 2]), Timestamp(9)).unwrap();
    union.apply(&cache(2), aspas(10, &[2, 3]), Timestamp(9)).unwrap();
    assert_eq!(told(&mut union), Some(vec![(10, vec![1, 2, 3])]));
    union.apply(&cache(2), aspas(10, &[2]), Timestamp(9)).unwrap();
    assert_eq!(told(&mut union), Some(vec![(10, vec![1, 2])]));
    union.apply(&cache(2), aspas(10, &[1]), Timestamp(9)).unwrap();
    assert_eq!(told(&mut union), None, "the union is the same");
    let text = r#"{"slurmVersion": 2, "validationOutputFilters": {"aspaFilters": [{"customerAsn": 10}]},
        "locallyAddedAssertions": {"aspaAssertions": [{"customerAsn": 10, "providerAsns": [7]}]}}"#;
    union.set_slurm(Slurm::parse(text.as_bytes()).unwrap());
    assert_eq!(told(&mut union), Some(vec![(10, vec![7])]));
}
