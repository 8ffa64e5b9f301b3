//! A change of facts judges again what it can touch and nothing else; prefix limits hold, tell and let go.

use siskin_net::Vrp;
use siskin_policy::VrpTable;

use super::*;
use crate::import::{EdgeRules, LimitAction, PrefixLimits, RpkiMode};

fn vrp(of: Prefix, asn: u32) -> Vrp {
    Vrp { prefix: of, max_len: of.len(), asn: Asn(asn) }
}

fn facts(generation: u32, vrps: &[Vrp]) -> Arc<Facts> {
    let vrps = Some(VrpTable::new().apply(&[], vrps));
    Arc::new(Facts { generation, vrps, ..Facts::default() })
}

/// Gives peers another import profile while their sessions stay.
fn change(world: &mut World, peer: u16, edit: impl FnOnce(&mut ImportProfile)) {
    let info = world.rib.peer_info(PeerId(peer)).unwrap();
    let mut profile = (*info.import).clone();
    profile.generation += 1;
    edit(&mut profile);
    let export = info.export.clone();
    world.rib.update_profiles(PeerId(peer), Arc::new(profile), export);
    world.settle();
}

fn validating(peers: &[u16]) -> World {
    let mut world = World::new(peers);
    for peer in peers {
        change(&mut world, *peer, |p| {
            p.edge = EdgeRules { rpki: RpkiMode::RejectInvalid, ..EdgeRules::default() }
        });
    }
    world.rib.take_events();
    world
}

fn judged(world: &mut World) -> Judged {
    let events = world.rib.take_events();
    let judged = events.iter().find_map(|event| match event {
        RibEvent::Judged(judged) => Some(*judged),
        RibEvent::Limit { .. } => None,
    });
    judged.unwrap_or_else(|| panic!("nothing was judged: {events:?}"))
}

fn accepted(world: &World, peer: u16) -> u64 {
    world.rib.peer_counts(PeerId(peer))[Family::Ipv4].paths.accepted
}

#[test]
fn a_vrp_that_comes_and_goes_takes_a_route_with_it() {
    let mut world = validating(&[1, 2]);
    world.announce(1, 0..10, &route(1));
    world.settle();
    assert_eq!(world.heard(2).len(), 10);

    world.rib.set_facts(facts(1, &[vrp(prefix(3), 1)]), Touched::Within(vec![prefix(3)]));
    world.settle();
    assert_eq!(judged(&mut world), Judged { paths: 1, now_accepted: 0, now_rejected: 1 });
    assert_eq!(world.heard(2), [Heard::Withdrawn(prefix(3))]);
    assert!(!world.kernel.contains_key(&prefix(3)) && world.kernel.len() == 9);
    let path = &world.rib.lookup(prefix(3)).unwrap().paths[0];
    assert_eq!(path.rejected, Some(Builtin::RpkiInvalid.into()));

    world.rib.set_facts(facts(2, &[]), Touched::Within(vec![prefix(3)]));
    world.settle();
    assert_eq!(judged(&mut world), Judged { paths: 1, now_accepted: 1, now_rejected: 0 });
    assert_eq!(world.heard(2), [Heard::Announced(prefix(3))]);
}

#[test]
fn changes_that_come_while_one_is_judged_are_judged_too() {
    let mut world = validating(&[1]);
    world.announce(1, 0..2_000, &route(1));
    world.settle();
    world.rib.set_facts(facts(1, &[vrp(prefix(3), 1)]), Touched::Within(vec![prefix(3)]));
    world.rib.turn(10);
    let both = [vrp(prefix(3), 1), vrp(prefix(1_999), 1), vrp(prefix(0), 1)];
    world.rib.set_facts(facts(2, &both), Touched::Within(vec![prefix(1_999), prefix(0)]));
    world.settle();
    assert_eq!(accepted(&world, 1), 1_997);
}

#[test]
fn a_batch_judged_by_older_facts_is_judged_again() {
    let mut world = validating(&[1]);
    let import = world.rib.peer_info(PeerId(1)).unwrap().import.clone();
    let mut builder = BatchBuilder::new(PeerId(1), import);
    builder.announce_local(prefix(1), &route(1));
    builder.announce_local(prefix(2), &route(1));
    let newer = facts(1, &[vrp(prefix(1), 1)]);
    world.rib.set_facts(newer.clone(), Touched::Within(vec![prefix(1)]));
    // The task hears of them in the middle of a batch.
    builder.set_facts(newer);
    world.rib.apply(builder.take());
    world.settle();
    assert_eq!(accepted(&world, 1), 1);
    assert!(!world.kernel.contains_key(&prefix(1)));
}

#[test]
fn a_session_that_comes_up_with_old_facts_gets_the_new_ones() {
    let mut world = validating(&[1]);
    let old = world.rib.peer_info(PeerId(1)).unwrap().clone();
    world.rib.set_facts(facts(1, &[vrp(prefix(1), 1)]), Touched::Everything);
    world.rib.peer_down(PeerId(1));
    world.rib.peer_up(PeerId(1), old);
    world.announce(1, 0..3, &route(1));
    world.settle();
    assert_eq!(accepted(&world, 1), 2);
}

#[test]
fn the_gate_opens_for_everything_at_once() {
    let mut world = validating(&[1, 2]);
    let closed = Facts { generation: 1, gate_closed: true, ..Facts::default() };
    world.rib.set_facts(Arc::new(closed), Touched::Everything);
    world.announce(1, 0..5, &route(1));
    world.settle();
    assert!(world.heard(2).is_empty() && world.kernel.is_empty());
    world.rib.take_events();
    world.rib.set_facts(facts(2, &[vrp(prefix(4), 1)]), Touched::Everything);
    world.settle();
    assert_eq!(judged(&mut world), Judged { paths: 5, now_accepted: 4, now_rejected: 0 });
    assert_eq!(world.heard(2), (0..4).map(|n| Heard::Announced(prefix(n))).collect::<Vec<_>>());
    assert!(world.rib.is_judged());
}

#[test]
fn export_policies_that_ask_for_facts_follow_them() {
    let mut world = World::new(&[1, 2]);
    let info = world.rib.peer_info(PeerId(2)).unwrap();
    let (import, mut profile) = (info.import.clone(), info.export.clone().unwrap());
    profile.policy = policy(&["reject if rpki invalid", "accept"]);
    world.rib.update_profiles(PeerId(2), import, Some(profile));
    world.announce(1, 0..3, &route(1));
    world.settle();
    assert_eq!(world.heard(2).len(), 3);
    world.rib.set_facts(facts(1, &[vrp(prefix(1), 1)]), Touched::Within(vec![prefix(1)]));
    world.settle();
    assert_eq!(world.heard(2), [Heard::Withdrawn(prefix(1))]);
    world.rib.set_facts(facts(2, &[]), Touched::Everything);
    world.settle();
    assert!(world.heard(2).contains(&Heard::Announced(prefix(1))));
}

fn limits(received: Option<u32>, accepted: Option<u32>, action: LimitAction) -> FamilyMap<PrefixLimits> {
    FamilyMap::from_fn(|_| PrefixLimits { received, accepted, warn_at: 80, action })
}

fn limited(limits: FamilyMap<PrefixLimits>) -> World {
    let mut world = World::new(&[1, 2]);
    change(&mut world, 1, |profile| profile.limits = limits);
    world
}

/// The news of peer 1's limits.
fn news(world: &mut World) -> Vec<(LimitKind, LimitOf, u64)> {
    let events = world.rib.take_events();
    let limit = |event: &RibEvent| match event {
        RibEvent::Limit { limit, .. } => Some((limit.kind, limit.of, limit.count)),
        RibEvent::Judged(_) => None,
    };
    events.iter().filter_map(limit).collect()
}

#[test]
fn beyond_a_limit_that_blocks_routes_are_kept_out_until_there_is_room() {
    let mut world = limited(limits(None, Some(5), LimitAction::Block));
    world.announce(1, 0..4, &route(1));
    assert_eq!(news(&mut world), [(LimitKind::Near, LimitOf::Accepted, 4)]);
    world.announce(1, 0..8, &route(1));
    world.settle();
    assert_eq!(news(&mut world), [(LimitKind::Over, LimitOf::Accepted, 8)]);
    let counts = world.rib.peer_counts(PeerId(1))[Family::Ipv4].paths;
    assert_eq!((counts.received, counts.accepted, counts.blocked), (8, 5, 3));
    assert_eq!(world.kernel.len(), 5);
    let kept_out = &world.rib.lookup(prefix(7)).unwrap().paths[0];
    assert_eq!(kept_out.rejected, Some(Builtin::MaxPrefix.into()));

    // All fit again: those that were kept out come in by themselves.
    world.withdraw(1, 0..3);
    world.settle();
    let counts = world.rib.peer_counts(PeerId(1))[Family::Ipv4].paths;
    assert_eq!((counts.received, counts.accepted, counts.blocked), (5, 5, 0));

    // And when the limit is raised.
    world.announce(1, 0..8, &route(1));
    change(&mut world, 1, |profile| profile.limits = limits(None, Some(100), LimitAction::Block));
    assert_eq!(accepted(&world, 1), 8);
    assert_eq!(news(&mut world).last().map(|n| n.0), Some(LimitKind::Below));
}

#[test]
fn what_is_beyond_the_limit_of_received_prefixes_is_not_stored() {
    let mut world = limited(limits(Some(5), None, LimitAction::Block));
    world.announce(1, 0..8, &route(1));
    world.settle();
    assert_eq!(news(&mut world), [(LimitKind::Over, LimitOf::Received, 8)]);
    let counts = world.rib.peer_counts(PeerId(1))[Family::Ipv4].paths;
    assert_eq!((counts.received, counts.refused), (5, 3));
    assert!(world.rib.lookup(prefix(7)).is_none());
    // A known prefix may still change.
    let mut other = route(1);
    other.med = Some(7);
    world.announce(1, 0..1, &other);
    assert_eq!(world.rib.lookup(prefix(0)).unwrap().paths[0].received.med, Some(7));
    world.withdraw(1, 0..3);
    world.settle();
    assert_eq!(news(&mut world).last().map(|n| n.0), Some(LimitKind::Room), "the peer is to be asked");
}

#[test]
fn a_limit_that_ends_the_session_takes_no_more_and_one_that_warns_takes_all() {
    let mut world = limited(limits(None, Some(5), LimitAction::End));
    world.announce(1, 0..50, &route(1));
    world.settle();
    assert_eq!(accepted(&world, 1), 5);
    assert_eq!(news(&mut world), [(LimitKind::Over, LimitOf::Accepted, 50)]);
    world.rib.peer_down(PeerId(1));
    world.settle();
    assert!(world.kernel.is_empty());

    let mut world = limited(limits(None, Some(5), LimitAction::Warn));
    world.announce(1, 0..50, &route(1));
    world.settle();
    assert_eq!(accepted(&world, 1), 50);
    assert_eq!(news(&mut world), [(LimitKind::Over, LimitOf::Accepted, 50)]);
}

#[test]
fn no_more_is_sent_than_the_outbound_limit_allows() {
    let mut world = World::new(&[1, 2]);
    let info = world.rib.peer_info(PeerId(2)).unwrap();
    let (import, mut profile) = (info.import.clone(), info.export.clone().unwrap());
    profile.limits = limits(None, Some(5), LimitAction::Block);
    world.rib.update_profiles(PeerId(2), import, Some(profile));
    world.settle();
    world.announce(1, 0..8, &route(1));
    world.settle();
    assert_eq!(world.heard(2).len(), 5);
    let counts = world.rib.peer_counts(PeerId(2))[Family::Ipv4];
    assert_eq!((counts.advertised, counts.held), (5, 3));
    let told: Vec<_> = news(&mut world);
    assert!(told.contains(&(LimitKind::Over, LimitOf::Advertised, 8)), "{told:?}");

    // Two of those sent go: two of those held back follow. One of those held back goes for good.
    world.withdraw(1, 0..2);
    world.settle();
    let heard = world.heard(2);
    assert_eq!(heard.iter().filter(|h| matches!(h, Heard::Announced(_))).count(), 2, "{heard:?}");
    world.withdraw(1, 2..8);
    world.settle();
    let counts = world.rib.peer_counts(PeerId(2))[Family::Ipv4];
    assert_eq!((counts.advertised, counts.held), (0, 0));
}

#[test]
fn a_drained_peer_is_told_first_and_then_nothing() {
    let mut world = World::new(&[1, 2]);
    world.announce(1, 0..3, &route(1));
    world.settle();
    world.heard(2);
    for (drain, announced, withdrawn) in [(Drain::Graceful, 3, 0), (Drain::Silent, 0, 3), (Drain::No, 3, 0)] {
        let info = world.rib.peer_info(PeerId(2)).unwrap();
        let (import, mut profile) = (info.import.clone(), info.export.clone().unwrap());
        profile.drain = drain;
        world.rib.update_profiles(PeerId(2), import, Some(profile));
        world.settle();
        let heard = world.heard(2);
        let count = |of: fn(&Heard) -> bool| heard.iter().filter(|h| of(h)).count();
        assert_eq!(count(|h| matches!(h, Heard::Announced(_))), announced, "{drain:?}");
        assert_eq!(count(|h| matches!(h, Heard::Withdrawn(_))), withdrawn, "{drain:?}");
    }
}

#[test]
fn a_blackhole_is_dropped_in_the_kernel_and_needs_no_way() {
    let mut world = World::new(&[1]);
    change(&mut world, 1, |profile| profile.policy = policy(&["set next-hop blackhole", "accept"]));
    world.lost.insert(next_hop(1));
    world.announce(1, 0..1, &route(1));
    world.settle();
    assert_eq!(world.kernel.get(&prefix(0)), Some(&siskin_net::NextHopGroup::BLACKHOLE));
    world.withdraw(1, 0..1);
    world.settle();
    assert!(world.kernel.is_empty());
}
