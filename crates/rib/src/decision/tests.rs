use proptest::prelude::*;

use super::*;

const RELAXED: Sharing = Sharing { multipath: Multipath::Relaxed, max_paths: 8 };

/// A candidate like every other, but for its number.
fn candidate(n: u8) -> Candidate {
    Candidate {
        path: n.into(),
        peer: PeerId(n.into()),
        key: DecisionKey { local_pref: 100, path_len: 3, neighbor_as: 64600, ..DecisionKey::default() },
        weight: 0,
        table: 0,
        local: false,
        external: true,
        forwarded: true,
        metric: 10,
        identifier: u32::from(n),
        cluster_list_len: 0,
        address: Some([192, 0, 2, n].into()),
    }
}

/// Takes notes of who lost where to whom, and of who does not share.
#[derive(Default, Debug)]
struct Notes {
    lost: Vec<(u16, Step, u16)>,
    not_shared: Vec<(u16, NotShared)>,
}

impl Observer for Notes {
    fn lost(&mut self, loser: &Candidate, step: Step, winner: &Candidate) {
        self.lost.push((loser.peer.0, step, winner.peer.0));
    }
    fn not_shared(&mut self, candidate: &Candidate, why: NotShared) {
        self.not_shared.push((candidate.peer.0, why));
    }
}

fn decided(mut candidates: Vec<Candidate>, sharing: Sharing) -> (Vec<u16>, Notes) {
    let mut notes = Notes::default();
    let selected = decide(&mut candidates, sharing, &mut notes);
    (candidates[..selected].iter().map(|c| c.peer.0).collect(), notes)
}

/// The second candidate has the higher identifier, so it wins by nothing but the change.
#[test]
fn every_step_decides_when_those_before_are_equal() {
    type Change = fn(&mut Candidate);
    let steps: [(Step, Change); 11] = [
        (Step::Weight, |c| c.weight = 1),
        (Step::LocalPref, |c| c.key.local_pref = 101),
        (Step::LocalOrigin, |c| c.local = true),
        (Step::AsPathLength, |c| c.key.path_len = 2),
        (Step::Origin, |c| c.key.origin = 0),
        (Step::Med, |c| c.key.med = 4),
        (Step::External, |c| c.external = true),
        (Step::IgpMetric, |c| c.metric = 9),
        (Step::RouterId, |c| c.identifier = 0),
        (Step::ClusterListLength, |c| c.cluster_list_len = 0),
        (Step::PeerAddress, |c| c.address = Some([192, 0, 2, 0].into())),
    ];
    for (at, (step, change)) in steps.iter().enumerate() {
        let base = |n| Candidate {
            key: DecisionKey { origin: 2, med: 5, ..candidate(n).key },
            external: false,
            identifier: 7,
            cluster_list_len: 1,
            ..candidate(n)
        };
        let (mut first, mut second) = (base(1), base(2));
        change(&mut second);
        // What comes later in the order does not matter.
        for (_, later) in &steps[at + 1..] {
            later(&mut first);
        }
        let (selected, notes) = decided(vec![first, second], RELAXED);
        assert_eq!(selected[0], 2, "{step:?}");
        assert_eq!(notes.lost[0], (1, *step, 2));
        assert_eq!(selected.len(), if *step > Step::IgpMetric { 2 } else { 1 }, "{step:?}");
    }
}

#[test]
fn nothing_and_a_single_path_need_no_decision() {
    assert_eq!(decided(vec![], RELAXED).0, [0u16; 0]);
    let (selected, notes) = decided(vec![candidate(1)], RELAXED);
    assert_eq!((selected.as_slice(), notes.lost.len()), (&[1][..], 0));
}

/// A beats B by cost, B beats C by being external, C beats A by MED: only taking A out first gives one answer.
#[test]
fn the_classic_three_paths_have_one_outcome_in_any_order() {
    let a = Candidate {
        key: DecisionKey { med: 20, neighbor_as: 1, ..candidate(1).key },
        metric: 1,
        external: false,
        ..candidate(1)
    };
    let b = Candidate {
        key: DecisionKey { med: 0, neighbor_as: 2, ..candidate(2).key },
        metric: 5,
        external: false,
        ..candidate(2)
    };
    let c = Candidate {
        key: DecisionKey { med: 10, neighbor_as: 1, ..candidate(3).key },
        metric: 9,
        external: false,
        ..candidate(3)
    };
    for order in [[a, b, c], [a, c, b], [b, a, c], [b, c, a], [c, a, b], [c, b, a]] {
        let (selected, mut notes) = decided(order.to_vec(), RELAXED);
        notes.lost.sort_unstable();
        assert_eq!(selected, [2]);
        assert_eq!(notes.lost, [(1, Step::Med, 3), (3, Step::IgpMetric, 2)]);
    }
}

#[test]
fn med_of_different_neighbouring_as_is_not_compared() {
    let with = |n, med, neighbor_as| Candidate {
        key: DecisionKey { med, neighbor_as, ..candidate(n).key },
        ..candidate(n)
    };
    assert_eq!(decided(vec![with(1, 50, 1), with(2, 0, 2)], RELAXED).0, [1, 2]);
    assert_eq!(decided(vec![with(1, 50, 1), with(2, 0, 1)], RELAXED).0, [2]);
}

#[test]
fn who_shares_the_load_and_who_does_not() {
    let of =
        |n, neighbor_as| Candidate { key: DecisionKey { neighbor_as, ..candidate(n).key }, ..candidate(n) };
    let paths = vec![of(4, 1), of(1, 1), of(3, 2), of(2, 1)];
    assert_eq!(decided(paths.clone(), RELAXED).0, [1, 2, 3, 4]);
    let (selected, notes) = decided(paths.clone(), Sharing { multipath: Multipath::SameAs, max_paths: 8 });
    assert_eq!((selected, notes.not_shared), (vec![1, 2, 4], vec![(3, NotShared::OtherNeighborAs)]));
    let (selected, notes) = decided(paths.clone(), Sharing { multipath: Multipath::Relaxed, max_paths: 2 });
    assert_eq!(selected, [1, 2]);
    assert_eq!(notes.not_shared, [(3, NotShared::MaxPaths), (4, NotShared::MaxPaths)]);
    assert_eq!(decided(paths, Sharing { multipath: Multipath::Relaxed, max_paths: 0 }).0, [1]);
    let blackhole = Candidate { forwarded: false, ..candidate(2) };
    let (selected, notes) = decided(vec![candidate(1), blackhole], RELAXED);
    assert_eq!((selected, notes.not_shared), (vec![1], vec![(2, NotShared::NotForwarded)]));
}

#[test]
fn sources_without_an_address_are_told_apart_by_number() {
    let source = |n| Candidate { address: None, identifier: 1, ..candidate(n) };
    assert_eq!(decided(vec![source(9), source(3)], RELAXED).0, [3, 9]);
    assert_eq!(Step::PeerAddress.value(&source(9)), "source 9");
}

#[test]
fn values_read_as_people_write_them() {
    let one = Candidate { identifier: 0x0a00_0001, ..candidate(1) };
    assert_eq!(Step::RouterId.value(&one), "10.0.0.1");
    assert_eq!(Step::Origin.value(&one), "igp");
    assert_eq!(Step::LocalPref.value(&one), "100");
    assert_eq!(Step::External.value(&one), "external");
    assert_eq!(Step::LocalOrigin.value(&one), "learned");
    assert_eq!(Step::PeerAddress.value(&one), "192.0.2.1");
}

/// Candidates with few different values, so that every step gets to decide.
fn any_candidate() -> impl Strategy<Value = Candidate> {
    let small = || 0u32..2;
    let key = (small(), small(), 0u16..2, 0u8..2, 0u32..3);
    (key, any::<[bool; 4]>(), small(), small(), small()).prop_map(|(key, flags, metric, identifier, list)| {
        let (local_pref, med, path_len, origin, neighbor_as) = key;
        Candidate {
            key: DecisionKey { local_pref, med, path_len, origin, neighbor_as, ..DecisionKey::default() },
            local: flags[0] && flags[1],
            external: flags[2],
            forwarded: flags[3] || flags[1],
            metric,
            identifier,
            cluster_list_len: list,
            ..candidate(0)
        }
    })
}

proptest! {
    #[test]
    fn the_outcome_and_its_reasons_do_not_depend_on_the_order(
        (paths, shuffled) in prop::collection::vec(any_candidate(), 1..9).prop_flat_map(|mut paths| {
            for (n, path) in (1..).zip(&mut paths) {
                (path.path, path.peer, path.address) = (n.into(), PeerId(n.into()), Some([192, 0, 2, n].into()));
            }
            (Just(paths.clone()), Just(paths).prop_shuffle())
        }),
        same_as: bool,
        max_paths in 0u16..4,
    ) {
        let multipath = if same_as { Multipath::SameAs } else { Multipath::Relaxed };
        let sharing = Sharing { multipath, max_paths };
        let all: Vec<u16> = paths.iter().map(|p| p.peer.0).collect();
        let (selected, notes) = decided(paths, sharing);
        let (again, mut notes_again) = decided(shuffled, sharing);
        prop_assert_eq!(&selected, &again);
        prop_assert!(selected.len() <= usize::from(max_paths.max(1)));
        // All but the best lost exactly once; who is as good as the best shares the load or is told why not.
        let best = selected[0];
        let mut losers: Vec<u16> = notes.lost.iter().map(|(peer, ..)| *peer).collect();
        losers.sort_unstable();
        let others: Vec<u16> = all.into_iter().filter(|peer| *peer != best).collect();
        prop_assert_eq!(losers, others);
        for (loser, step, _) in &notes.lost {
            let refused = notes.not_shared.iter().any(|(peer, _)| peer == loser);
            prop_assert_eq!(*step > Step::IgpMetric, refused || selected.contains(loser));
            prop_assert!(!(refused && selected.contains(loser)));
        }
        let mut notes = notes;
        let strip = |lost: &mut Vec<(u16, Step, u16)>| {
            lost.sort_unstable();
            lost.iter().map(|(loser, step, _)| (*loser, *step)).collect::<Vec<_>>()
        };
        prop_assert_eq!(strip(&mut notes.lost), strip(&mut notes_again.lost));
        notes.not_shared.sort_unstable_by_key(|(peer, _)| *peer);
        notes_again.not_shared.sort_unstable_by_key(|(peer, _)| *peer);
        prop_assert_eq!(notes.not_shared, notes_again.not_shared);
    }
}
