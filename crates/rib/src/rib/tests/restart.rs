//! Graceful restart, step by step (RFC 4724). Random sequences are in `siskin-sim`.

use super::*;

const IPV4: FamilySet = FamilySet::EMPTY.with(Family::Ipv4);

fn end_of_rib(world: &mut World, peer: u16) {
    let import = world.rib.peer_info(PeerId(peer)).unwrap().import.clone();
    let mut builder = BatchBuilder::new(PeerId(peer), import);
    builder.end_of_rib(Family::Ipv4);
    world.rib.apply(builder.take());
}

fn stale(world: &World, peer: u16) -> u64 {
    world.rib.stale(PeerId(peer))[Family::Ipv4]
}

/// Peer 1 has announced ten routes, and restarts.
fn restarting() -> World {
    let mut world = World::new(&[1, 2, 3]);
    world.announce(1, 0..10, &route(1));
    world.settle();
    world.heard(3);
    world.rib.peer_restarts(PeerId(1), IPV4);
    world.settle();
    world
}

#[test]
fn nobody_hears_of_a_restart_that_changes_nothing() {
    let mut world = restarting();
    assert_eq!((stale(&world, 1), world.kernel.len()), (10, 10));
    let path = world.rib.lookup(prefix(0)).unwrap().paths.remove(0);
    assert!(path.stale && path.best);
    world.rib.peer_up(PeerId(1), info(1));
    world.announce(1, 0..10, &route(1));
    end_of_rib(&mut world, 1);
    world.settle();
    assert_eq!((stale(&world, 1), world.kernel.len()), (0, 10));
    assert_eq!(world.heard(3), [], "not a word");
    assert_eq!(world.rib.peer_counts(PeerId(1))[Family::Ipv4].paths.accepted, 10);
}

#[test]
fn what_is_not_announced_again_goes_with_end_of_rib() {
    let mut world = restarting();
    world.rib.peer_up(PeerId(1), info(1));
    world.announce(1, 0..4, &route(1));
    world.settle();
    assert_eq!((stale(&world, 1), world.heard(3)), (6, Vec::new()));
    end_of_rib(&mut world, 1);
    world.settle();
    assert_eq!(world.heard(3), withdrawn(4..10));
    assert_eq!(world.kernel.len(), 4);
}

#[test]
fn stale_routes_lose_and_go_like_others() {
    let mut world = restarting();
    // Another peer's better route wins, and a next hop that is dead takes its routes along.
    let mut better = route(2);
    better.local_pref = Some(500);
    world.announce(2, 0..1, &better);
    world.lost.insert(next_hop(1));
    world.resolve(next_hop(1));
    world.settle();
    assert_eq!((world.best(0), world.best(1)), (Some(2), None));
    assert_eq!(stale(&world, 1), 10, "they are kept, should the next hop come back");
    world.rib.end_stale(PeerId(1), IPV4);
    world.settle();
    assert!(world.rib.lookup(prefix(1)).is_none());
    assert_eq!(world.kernel.len(), 1);
}

#[test]
fn a_second_restart_keeps_what_the_first_confirmed_alone() {
    let mut world = restarting();
    world.rib.peer_up(PeerId(1), info(1));
    world.announce(1, 0..3, &route(1));
    world.rib.peer_restarts(PeerId(1), IPV4);
    world.settle();
    assert_eq!((stale(&world, 1), world.kernel.len()), (3, 3));
}

#[test]
fn nothing_outlives_a_hard_end_or_another_peer_in_the_same_place() {
    let mut world = restarting();
    world.rib.peer_down(PeerId(1));
    world.settle();
    assert_eq!((stale(&world, 1), world.kernel.len()), (0, 0));
    let mut world = restarting();
    world.rib.peer_up(PeerId(1), PeerInfo { identifier: BgpIdentifier(99), ..info(1) });
    world.settle();
    assert_eq!((stale(&world, 1), world.kernel.len()), (0, 0));
}

#[test]
fn a_held_rib_says_nothing_and_then_all_at_once() {
    let mut world = World::new(&[1]);
    world.rib.hold(true);
    world.rib.peer_up(PeerId(3), info(3));
    world.announce(1, 0..5, &route(1));
    world.settle();
    assert_eq!((world.heard(3), world.kernel.len()), (Vec::new(), 0), "no End-of-RIB either");
    assert!(!world.rib.is_settled());
    world.rib.hold(false);
    world.settle();
    let heard = world.heard(3);
    assert_eq!(heard[..5], announced(0..5));
    assert!(heard.contains(&Heard::EndOfRib(Family::Ipv4)));
    assert_eq!(world.kernel.len(), 5);
}

#[test]
fn bandwidth_weighs_the_load_where_all_paths_tell_it() {
    let mut world = World::new(&[1, 2]);
    world.rib.configure(RibConfig { max_paths: 4, ..world.rib.config });
    let with = |peer, bandwidth: f32| {
        let mut attributes = route(peer);
        let community = 0x0004_fbf4 << 32 | u64::from(bandwidth.to_bits());
        attributes.add_ext_community(siskin_bgp::attr::ExtendedCommunity(community));
        attributes
    };
    let weights = |world: &mut World| {
        world.settle();
        let hops = world.kernel.values().next().unwrap().hops().to_vec();
        hops.iter().map(|hop| hop.weight).collect::<Vec<_>>()
    };
    world.announce(1, 0..1, &with(1, 1e9));
    world.announce(2, 0..1, &with(2, 4e9));
    assert_eq!(weights(&mut world), [1, 4]);
    world.announce(2, 0..1, &with(2, 2e9));
    assert_eq!(weights(&mut world), [1, 2], "another bandwidth, the same next hop");
    world.announce(2, 0..1, &route(2));
    assert_eq!(weights(&mut world), [1, 1]);
}
