//! The draft's procedures on hand-made topologies, and against a model that follows its definitions word by word.

use proptest::prelude::*;

use super::*;

fn path(numbers: &[u32]) -> AsPath {
    AsPath::from_sequence(numbers.iter().copied().map(Asn))
}

fn table(records: &[(u32, &[u32])]) -> AspaTable {
    AspaTable::new(records.iter().map(|(customer, providers)| siskin_net::Aspa {
        customer: Asn(*customer),
        providers: providers.iter().copied().map(Asn).collect(),
    }))
}

const A: u32 = 65000;
const B: u32 = 65010;
const C: u32 = 65020;
const D: u32 = 65030;
const E: u32 = 65040;
const F: u32 = 65050;
const G: u32 = 65060;

/// A buys from C and D, B from E, C from F, D from F and G; G has no provider. E and F said nothing. C and D, D and
/// E, F and G are lateral peers.
fn topology() -> AspaTable {
    table(&[(A, &[C, D]), (B, &[E]), (C, &[F]), (D, &[F, G]), (G, &[0])])
}

#[test]
fn upstream_and_downstream_on_a_topology() {
    let table = topology();
    for (numbers, upstream, downstream) in [
        (&[E][..], Aspa::Valid, Aspa::Valid),
        (&[C, A], Aspa::Valid, Aspa::Valid),
        (&[F, C, A], Aspa::Valid, Aspa::Valid),
        (&[E, G, D, A], Aspa::Invalid, Aspa::Valid),
        (&[E, G, F, C, A], Aspa::Invalid, Aspa::Unknown),
        (&[E, D, C, A], Aspa::Invalid, Aspa::Unknown),
        (&[E, G, D, C, A], Aspa::Invalid, Aspa::Invalid),
        (&[G, F, C, A], Aspa::Unknown, Aspa::Valid),
        (&[C, D, A], Aspa::Invalid, Aspa::Valid),
        (&[C, D, G, E, B], Aspa::Invalid, Aspa::Invalid),
        (&[D, G, E, B], Aspa::Invalid, Aspa::Valid),
    ] {
        let from = |role| table.verify(&path(numbers), Asn(numbers[0]), Some(role));
        for role in [Role::Customer, Role::Peer, Role::RouteServer, Role::RouteServerClient] {
            assert_eq!(from(role), upstream, "{numbers:?} from a {role:?}");
        }
        assert_eq!(from(Role::Provider), downstream, "{numbers:?} from a provider");
        assert_eq!(table.verify(&path(numbers), Asn(numbers[0]), None), Aspa::Unknown);
    }
}

#[test]
fn what_no_record_can_mend() {
    let table = topology();
    let verify = |path: &AsPath, role| table.verify(path, Asn(C), Some(role));
    for role in [Role::Customer, Role::Provider] {
        assert_eq!(verify(&AsPath::default(), role), Aspa::Invalid);
        assert_eq!(verify(&path(&[F, C, A]), role), Aspa::Invalid, "the neighbor is not first");
        let mut set = path(&[C]);
        set.push_segment(SegmentKind::Set, &[Asn(A)]);
        assert_eq!(verify(&set, role), Aspa::Invalid);
        assert_eq!(table.detail(&set, Asn(C), Some(role)), "the AS path has an AS_SET");
    }
    assert_eq!(
        table.detail(&path(&[F, C]), Asn(C), Some(Role::Peer)),
        "the AS path begins with AS 65050, not with AS 65020"
    );
    assert_eq!(table.detail(&AsPath::default(), Asn(C), Some(Role::Peer)), "the AS path is empty");
}

#[test]
fn a_route_server_need_not_be_in_the_path() {
    let table = topology();
    assert_eq!(table.verify(&path(&[C, A]), Asn(64999), Some(Role::RouteServer)), Aspa::Valid);
    assert_eq!(table.verify(&path(&[C, A]), Asn(64999), Some(Role::RouteServerClient)), Aspa::Invalid);
    let detail = table.detail(&path(&[64999, C, A]), Asn(64999), Some(Role::RouteServer));
    assert_eq!(detail, "AS 65020 does not name AS 64999 as a provider", "one that is must be named");
}

#[test]
fn prepending_and_confederations_change_nothing() {
    let table = topology();
    let mut prepended = AsPath::default();
    prepended.push_segment(SegmentKind::ConfedSequence, &[Asn(64600), Asn(64601)]);
    prepended.push_segment(SegmentKind::Sequence, &[C, C, C, A, A].map(Asn));
    assert_eq!(table.verify(&prepended, Asn(C), Some(Role::Customer)), Aspa::Valid);
}

#[test]
fn the_hop_that_fails_is_named() {
    let table = topology();
    let detail = |numbers: &[u32], role| table.detail(&path(numbers), Asn(numbers[0]), Some(role));
    assert_eq!(detail(&[E, G, D, A], Role::Customer), "AS 65060 does not name AS 65040 as a provider");
    assert_eq!(
        detail(&[E, G, D, C, A], Role::Provider),
        "AS 65020 does not name AS 65030 as a provider and AS 65060 does not name AS 65030 as a provider"
    );
    assert_eq!(detail(&[E, G, F, C, A], Role::Provider), "AS 65050 has no ASPA record");
    assert_eq!(detail(&[E, D, C, A], Role::Provider), "AS 65040 has no ASPA record");
    assert_eq!(detail(&[F, C, A], Role::Peer), "every hop is attested");
    assert!(table.detail(&path(&[C, A]), Asn(C), None).starts_with("the peer has no role"));
}

#[test]
fn records_of_one_customer_are_united() {
    let table = table(&[(1, &[3, 2]), (2, &[0]), (1, &[2, 4])]);
    assert_eq!((table.len(), table.is_empty()), (2, false));
    for provider in [2, 3, 4] {
        assert_eq!(table.verify(&path(&[provider, 1]), Asn(provider), Some(Role::Customer)), Aspa::Valid);
    }
    assert_eq!(table.verify(&path(&[5, 1]), Asn(5), Some(Role::Customer)), Aspa::Invalid);
    assert!(AspaTable::default().is_empty());
}

/// The draft's definitions: AS(1) is the origin, AS(N) the neighbor; ramps are found by trying every length.
fn model(records: &BTreeMap<u32, Vec<u32>>, numbers: &[u32], provider: bool) -> Aspa {
    let mut hops: Vec<u32> = numbers.iter().rev().copied().collect();
    hops.dedup();
    let n = hops.len();
    let asn = |i: usize| hops[i - 1];
    let not_provider = |i: usize, j: usize| records.get(&asn(i)).is_some_and(|p| !p.contains(&asn(j)));
    let is_provider = |i: usize, j: usize| records.get(&asn(i)).is_some_and(|p| p.contains(&asn(j)));
    let longest = |holds: &dyn Fn(usize) -> bool| (1..=n).filter(|len| holds(*len)).max().unwrap();
    let max_up = longest(&|len| (1..len).all(|i| !not_provider(i, i + 1)));
    let min_up = longest(&|len| (1..len).all(|i| is_provider(i, i + 1)));
    let max_down = longest(&|len| (n + 2 - len..=n).all(|j| !not_provider(j, j - 1)));
    let min_down = longest(&|len| (n + 2 - len..=n).all(|j| is_provider(j, j - 1)));
    let (max, min) = if provider { (max_up + max_down, min_up + min_down) } else { (max_up, min_up) };
    match (max < n, min < n) {
        (true, _) => Aspa::Invalid,
        (false, true) => Aspa::Unknown,
        (false, false) => Aspa::Valid,
    }
}

proptest! {
    #[test]
    fn as_the_definitions_say(
        records in prop::collection::btree_map(1u32..8, prop::collection::vec(0u32..8, 0..5), 0..8),
        numbers in prop::collection::vec(1u32..8, 1..9),
        provider: bool,
    ) {
        let table = AspaTable::new(records.iter().map(|(customer, providers)| siskin_net::Aspa {
            customer: Asn(*customer),
            providers: providers.iter().copied().map(Asn).collect(),
        }));
        let role = if provider { Role::Provider } else { Role::Customer };
        let state = table.verify(&path(&numbers), Asn(numbers[0]), Some(role));
        prop_assert_eq!(state, model(&records, &numbers, provider));
        let detail = table.detail(&path(&numbers), Asn(numbers[0]), Some(role));
        match state {
            Aspa::Valid => prop_assert_eq!(detail, "every hop is attested"),
            Aspa::Invalid => prop_assert!(detail.contains("does not name"), "{}", detail),
            Aspa::Unknown => {
                let asn: u32 = detail.split(' ').nth(1).unwrap().parse().unwrap();
                prop_assert!(!records.contains_key(&asn), "{}", detail);
            }
        }
    }
}
