//! Scenarios that took thought, each alone: queues without room, changes that cross each other, peers that come back.

use siskin_rib::View;

use super::*;
use crate::{Listener, Node, through_the_wire};

fn settings() -> Settings {
    Settings { import: 1, export: 1, next_hop_self: false, default_originate: false, generation: 0 }
}

/// A node with these peers up and every next hop reachable; queues hold `limit` octets.
fn node(peers: &[u16], limit: usize) -> Node {
    let mut node = Node::new(config(Multipath::Relaxed, 2), limit);
    for family in Family::ALL {
        (1..4).for_each(|n| node.set_next_hop(next_hop(family, n), Some(resolution(n, 10))));
    }
    peers.iter().for_each(|peer| node.peer_up(id(*peer), info(*peer, settings())));
    node
}

fn many(count: u32) -> Vec<Prefix> {
    (0..count)
        .map(|n| Prefix::from_bits(Family::Ipv4, u128::from(0x0b00_0000 + (n << 8)) << 96, 24))
        .collect()
}

fn announce(node: &mut Node, peer: u16, prefixes: &[Prefix], variant: u32) {
    let attributes = attributes(peer, Family::Ipv4, variant);
    for update in through_the_wire(&attributes, prefixes, kind(peer) == Kind::External) {
        node.push(id(peer), update);
    }
}

fn read_all(node: &mut Node, peer: u16, listener: &mut Listener) {
    node.settle();
    while let Some(bytes) = node.outboxes.take(id(peer)) {
        listener.hear(&bytes);
        node.settle();
    }
}

#[test]
fn a_table_larger_than_the_queue_arrives_whole_and_once() {
    let mut node = node(&[0, 1], 64);
    let prefixes = many(20_000);
    announce(&mut node, 0, &prefixes, 0);
    let mut listener = Listener::new(true);
    read_all(&mut node, 1, &mut listener);
    assert_eq!((listener.routes.len(), listener.announced, listener.repeated), (20_000, 20_000, 0));
    assert_eq!(listener.end_of_rib, FamilyMap::from_fn(|_| 1));
}

#[test]
fn a_peer_that_reads_nothing_hears_the_last_word_alone() {
    let mut node = node(&[0, 1, 2], 1);
    let prefixes = many(500);
    let mut quick = Listener::new(true);
    // ORIGIN and MED change; the rest keeps the next hop the same.
    for variant in [0, 0x8040, 0x4020, 0x60] {
        announce(&mut node, 0, &prefixes, variant);
        read_all(&mut node, 1, &mut quick);
    }
    assert_eq!(quick.announced, 2 * 500, "a change of MED alone is not told to another AS");
    let mut slow = Listener::new(true);
    read_all(&mut node, 2, &mut slow);
    assert_eq!(slow.routes, quick.routes);
    assert_eq!(slow.announced, 500, "what was overtaken is never sent");
}

#[test]
fn an_import_that_changes_while_a_batch_is_on_its_way_judges_it_anew() {
    let mut node = node(&[0, 1], usize::MAX);
    // Community 64500:9 is rejected by policy 2.
    announce(&mut node, 0, &many(10), 1 << 11);
    node.send(id(0));
    node.update_profiles(id(0), &info(0, Settings { import: 2, generation: 1, ..settings() }));
    node.settle();
    let start = siskin_rib::Cursor::start(Family::Ipv4);
    let count = |view| node.rib.count_routes(start, view, None, None, 1000).0;
    assert_eq!((count(View::Filtered), count(View::All)), (10, 0));
}

#[test]
fn peers_that_change_together_stay_together_and_hear_differences_alone() {
    let mut node = node(&[0, 1, 2], usize::MAX);
    announce(&mut node, 0, &many(300), 0);
    let mut listeners = [Listener::new(true), Listener::new(true)];
    for (peer, listener) in (1..).zip(&mut listeners) {
        read_all(&mut node, peer, listener);
    }
    assert_eq!(node.rib.group_count(), 1);
    for peer in 0..3 {
        node.update_profiles(id(peer), &info(peer, Settings { export: 2, ..settings() }));
    }
    for (peer, listener) in (1..).zip(&mut listeners) {
        read_all(&mut node, peer, listener);
        assert_eq!(
            (listener.announced, listener.routes.len()),
            (300, 300),
            "the new policy changes nothing here"
        );
    }
    assert_eq!(node.rib.group_count(), 1);
    node.update_profiles(id(1), &info(1, Settings { export: 0, ..settings() }));
    for (peer, listener) in (1..).zip(&mut listeners) {
        read_all(&mut node, peer, listener);
    }
    assert_eq!((listeners[0].routes.len(), listeners[1].routes.len()), (0, 300));
    assert_eq!(node.rib.group_count(), 2);
}

#[test]
fn a_peer_that_comes_back_with_the_same_routes_moves_nothing_in_the_kernel() {
    let mut node = node(&[0, 1], usize::MAX);
    announce(&mut node, 0, &many(50), 0);
    node.settle();
    let kernel = node.kernel.clone();
    assert_eq!(kernel.len(), 50);
    node.peer_down(id(0));
    node.peer_up(id(0), info(0, settings()));
    announce(&mut node, 0, &many(50), 0);
    node.settle();
    assert_eq!(node.kernel, kernel);
    node.peer_down(id(0));
    node.settle();
    assert!(node.kernel.is_empty() && node.tracked.is_empty());
}
