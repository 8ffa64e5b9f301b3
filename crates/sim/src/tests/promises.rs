//! Single promises of the RIB, each in the smallest world that shows it.

use siskin_bgp::wire::Update;
use siskin_policy::Builtin;

use super::*;
use crate::{Listener, Node, through_the_wire};

const PLAIN: Settings =
    Settings { import: 1, export: 1, next_hop_self: false, default_originate: false, generation: 0 };

/// A node whose queues hold `limit` bytes, with these peers up and all next hops reachable.
fn node(limit: usize, peers: &[u16]) -> Node {
    let mut node = Node::new(config(Multipath::Relaxed, 4), limit);
    for (family, number) in Family::ALL.into_iter().flat_map(|family| (1..4).map(move |n| (family, n))) {
        node.set_next_hop(next_hop(family, number), Some(resolution(number, 10)));
    }
    for peer in peers {
        node.peer_up(id(*peer), info(*peer, PLAIN));
    }
    node
}

fn v4(n: u32) -> Prefix {
    Prefix::from_bits(Family::Ipv4, u128::from(0x0b00_0000 + (n << 8)) << 96, 24)
}

fn announce(node: &mut Node, peer: u16, attributes: &PathAttributes, prefixes: &[Prefix]) {
    for update in through_the_wire(attributes, prefixes, kind(peer) == Kind::External) {
        node.push(id(peer), update);
    }
}

fn withdraw(node: &mut Node, peer: u16, prefix: Prefix) {
    node.builder(id(peer)).unwrap().withdraw(prefix);
}

fn hear(node: &mut Node, peer: u16, listener: &mut Listener) {
    loop {
        node.settle();
        let Some(bytes) = node.outboxes.take(id(peer)) else { return };
        listener.hear(&bytes);
    }
}

#[test]
fn a_slow_peer_holds_nobody_back_and_learns_the_newest_state_alone() {
    let mut node = node(300, &[0, 1, 2]);
    let (mut fast, mut slow) = (Listener::new(true), Listener::new(true));
    for round in 0..20 {
        for n in 0..50 {
            let attributes = attributes(0, Family::Ipv4, (round + n) % 2 * 32);
            announce(&mut node, 0, &attributes, &[v4(n)]);
        }
        hear(&mut node, 1, &mut fast);
        assert_eq!(fast.routes.len(), 50, "in round {round}");
    }
    hear(&mut node, 2, &mut slow);
    assert_eq!(slow.routes.len(), 50);
    assert!(fast.announced >= 20 * 50 - 50, "{}", fast.announced);
    assert!(slow.announced < 3 * 50, "what changed while it slept it heard once: {}", slow.announced);
    let path = |listener: &Listener| listener.routes.values().cloned().collect::<Vec<_>>();
    assert_eq!(path(&fast), path(&slow));
}

#[test]
fn members_with_room_are_given_the_same_bytes() {
    let mut node = node(100_000, &[0, 1, 2]);
    announce(&mut node, 0, &attributes(0, Family::Ipv4, 0), &(0..100).map(v4).collect::<Vec<_>>());
    node.settle();
    let pointers = |node: &mut Node, peer| {
        std::iter::from_fn(|| node.outboxes.take(id(peer)))
            .map(|bytes| (bytes.as_ptr(), bytes.len()))
            .collect::<Vec<_>>()
    };
    let (one, two) = (pointers(&mut node, 1), pointers(&mut node, 2));
    assert!(!one.is_empty());
    assert!(one.iter().any(|message| two.contains(message)), "{one:?} {two:?}");
    let heard = pointers(&mut node, 0);
    assert!(
        heard.iter().all(|message| !one.contains(message)),
        "and it never goes back to where it came from"
    );
}

#[test]
fn a_new_export_policy_sends_only_what_it_changes() {
    let mut node = node(100_000, &[0, 1]);
    let mut listener = Listener::new(true);
    let inside: Vec<Prefix> = ["10.1.0.0/16", "10.1.2.0/24"].map(|p| p.parse().unwrap()).to_vec();
    let short = "10.0.0.0/8".parse().unwrap();
    announce(&mut node, 0, &attributes(0, Family::Ipv4, 0), &[inside[0], inside[1], short]);
    announce(&mut node, 0, &attributes(0, Family::Ipv4, 0), &(0..500).map(v4).collect::<Vec<_>>());
    hear(&mut node, 1, &mut listener);
    assert_eq!((listener.routes.len(), listener.announced), (503, 503));

    // By prefix: two are rejected, 500 get a community, one stays as it is.
    node.update_profiles(id(1), &info(1, Settings { export: 3, ..PLAIN }));
    hear(&mut node, 1, &mut listener);
    assert_eq!((listener.routes.len(), listener.announced), (501, 1003));
    assert!(inside.iter().all(|prefix| !listener.routes.contains_key(prefix)));

    // Policies of other words and the same outcome: not a byte.
    let heard = listener.heard.len();
    node.update_profiles(id(1), &info(1, Settings { export: 3, next_hop_self: true, ..PLAIN }));
    hear(&mut node, 1, &mut listener);
    assert_eq!(listener.heard.len(), heard, "{:?}", &listener.heard[heard..]);
}

#[test]
fn a_new_import_policy_needs_no_route_refresh() {
    let mut node = node(100_000, &[0, 1]);
    let mut listener = Listener::new(true);
    let inside: Prefix = "10.1.2.0/24".parse().unwrap();
    announce(&mut node, 0, &attributes(0, Family::Ipv4, 0), &[inside, v4(1)]);
    for (generation, import, expected) in [(1, 3, vec![v4(1)]), (2, 0, vec![]), (3, 1, vec![inside, v4(1)])] {
        node.update_profiles(id(0), &info(0, Settings { import, generation, ..PLAIN }));
        hear(&mut node, 1, &mut listener);
        assert_eq!(listener.routes.keys().copied().collect::<Vec<_>>(), expected);
        let counts = node.rib.peer_counts(id(0))[Family::Ipv4].paths;
        assert_eq!((counts.received, counts.accepted), (2, expected.len() as u64));
        if import == 0 {
            let rejected = node.rib.lookup(inside).unwrap().paths[0].rejected;
            assert_eq!(rejected, Some(Builtin::NoPolicy.into()), "RFC 8212");
        }
    }
}

#[test]
fn another_best_path_that_is_exported_the_same_sends_nothing() {
    let mut node = node(100_000, &[4, 5, 1]);
    let mut listener = Listener::new(true);
    // Two internal peers with the same path and another next hop; LOCAL_PREF stays inside.
    announce(&mut node, 4, &attributes(4, Family::Ipv4, 0), &[v4(1)]);
    hear(&mut node, 1, &mut listener);
    let heard = listener.heard.len();
    announce(&mut node, 5, &attributes(5, Family::Ipv4, 1 | 1 << 3 | 1 << 4), &[v4(1)]);
    hear(&mut node, 1, &mut listener);
    let best = node.rib.lookup(v4(1)).unwrap().paths[0].clone();
    assert_eq!((best.best, best.peer), (true, id(5)));
    assert_eq!(listener.heard.len(), heard);
}

#[test]
fn a_lost_next_hop_moves_routes_and_its_return_brings_them_back() {
    let mut node = node(100_000, &[0, 1, 2]);
    let mut listener = Listener::new(true);
    let short = attributes(0, Family::Ipv4, 0);
    let long = attributes(1, Family::Ipv4, 1 | 1 << 2);
    announce(&mut node, 0, &short, &[v4(1)]);
    announce(&mut node, 1, &long, &[v4(1)]);
    let best = |node: &Node| node.rib.lookup(v4(1)).unwrap().paths.iter().find(|p| p.best).map(|p| p.peer);
    hear(&mut node, 2, &mut listener);
    assert_eq!(best(&node), Some(id(0)));
    let before = node.kernel[&v4(1)].clone();

    node.set_next_hop(short.next_hop, None);
    hear(&mut node, 2, &mut listener);
    assert_eq!(best(&node), Some(id(1)));
    assert_ne!(node.kernel[&v4(1)], before);

    node.set_next_hop(long.next_hop, None);
    hear(&mut node, 2, &mut listener);
    assert_eq!(best(&node), None);
    assert!(node.kernel.is_empty() && listener.routes.is_empty());

    node.set_next_hop(short.next_hop, Some(resolution(1, 10)));
    hear(&mut node, 2, &mut listener);
    assert_eq!(best(&node), Some(id(0)));
    assert_eq!((node.kernel[&v4(1)].clone(), listener.routes.len()), (before, 1));
}

#[test]
fn a_default_route_is_made_for_who_asks_and_taken_back() {
    let mut node = node(100_000, &[0]);
    let mut listener = Listener::new(true);
    let default = Prefix::default_route(Family::Ipv4);
    node.update_profiles(id(0), &info(0, Settings { default_originate: true, export: 0, ..PLAIN }));
    hear(&mut node, 0, &mut listener);
    assert_eq!(
        listener.routes.keys().copied().collect::<Vec<_>>(),
        [default, Prefix::default_route(Family::Ipv6)]
    );
    assert_eq!(listener.routes[&default].next_hop, self_next_hop()[Family::Ipv4].unwrap());
    assert!(node.rib.lookup(default).is_none(), "it is in no table of ours");
    node.update_profiles(id(0), &info(0, PLAIN));
    hear(&mut node, 0, &mut listener);
    assert!(listener.routes.is_empty());
    assert_eq!(node.rib.counts()[Family::Ipv4].prefixes, 0);
}

#[test]
fn a_family_that_cannot_be_read_is_dropped_until_the_next_session() {
    let mut node = node(100_000, &[0]);
    for family in Family::ALL {
        let prefix = if family == Family::Ipv4 { v4(1) } else { prefix(9) };
        announce(&mut node, 0, &attributes(0, family, 0), &[prefix]);
    }
    node.push(id(0), Update { disabled: FamilySet::EMPTY.with(Family::Ipv6), ..Update::default() });
    announce(&mut node, 0, &attributes(0, Family::Ipv6, 0), &[prefix(10)]);
    node.settle();
    let paths = |node: &Node| node.rib.counts().iter().map(|(_, counts)| counts.paths).collect::<Vec<_>>();
    assert_eq!(paths(&node), [1, 0]);
    node.peer_down(id(0));
    node.peer_up(id(0), info(0, PLAIN));
    announce(&mut node, 0, &attributes(0, Family::Ipv6, 0), &[prefix(10)]);
    node.settle();
    assert_eq!(paths(&node), [0, 1]);
}

#[test]
fn a_flap_before_it_is_sent_is_not_sent() {
    let mut node = node(100_000, &[0, 1]);
    let mut listener = Listener::new(true);
    hear(&mut node, 1, &mut listener);
    let heard = listener.heard.len();
    for _ in 0..10 {
        announce(&mut node, 0, &attributes(0, Family::Ipv4, 0), &[v4(1)]);
        withdraw(&mut node, 0, v4(1));
    }
    hear(&mut node, 1, &mut listener);
    assert_eq!(listener.heard.len(), heard);
}

#[test]
fn what_is_not_decided_yet_is_told_to_nobody() {
    let mut node = node(100_000, &[0, 1, 2]);
    let mut listener = Listener::new(true);
    announce(&mut node, 0, &attributes(0, Family::Ipv4, 0), &[v4(1)]);
    announce(&mut node, 1, &attributes(1, Family::Ipv4, 1 | 1 << 2), &[v4(1)]);
    hear(&mut node, 2, &mut listener);
    let before = node.kernel[&v4(1)].clone();

    // The best path goes, and before the next is chosen everybody has a reason to look at the prefix.
    withdraw(&mut node, 0, v4(1));
    node.deliver();
    node.update_profiles(id(2), &info(2, Settings { export: 3, ..PLAIN }));
    node.set_next_hop(attributes(0, Family::Ipv4, 0).next_hop, Some(resolution(1, 20)));
    node.rib.turn(0);
    node.drain_fib(1000);
    node.export(1000);
    assert_eq!(node.kernel.get(&v4(1)), Some(&before));
    assert!(node.outboxes.take(id(2)).is_none(), "neither withdrawn nor announced yet");
    hear(&mut node, 2, &mut listener);
    assert!(
        listener.heard.iter().all(|update| update.unreach.is_empty()),
        "the second path took over at once"
    );
    assert_eq!(listener.routes.len(), 1);
    assert_ne!(node.kernel[&v4(1)], before);
}

#[test]
fn the_kernel_is_not_told_of_a_gap_between_two_paths() {
    let mut node = node(100_000, &[0, 1]);
    announce(&mut node, 0, &attributes(0, Family::Ipv4, 0), &[v4(1)]);
    announce(&mut node, 1, &attributes(1, Family::Ipv4, 1 | 1 << 2), &[v4(1)]);
    node.deliver();
    node.answer_next_hops();
    while node.rib.turn(1000) {}
    // Due for the kernel, and then undecided again.
    withdraw(&mut node, 0, v4(1));
    node.deliver();
    let mut updates = Vec::new();
    node.rib.drain_fib(1000, &mut updates);
    assert_eq!(updates, [], "nothing to say before the decision");
    while node.rib.turn(1000) {}
    node.rib.drain_fib(1000, &mut updates);
    assert_eq!(updates.len(), 1);
    assert!(updates[0].target.is_some());
}

#[test]
fn explain_names_the_step_a_path_lost_at() {
    let mut node = node(100_000, &[0, 1, 2]);
    announce(&mut node, 0, &attributes(0, Family::Ipv4, 0), &[v4(1)]);
    announce(&mut node, 1, &attributes(1, Family::Ipv4, 1 << 2), &[v4(1)]);
    announce(&mut node, 2, &attributes(2, Family::Ipv4, 1 << 12 | 1 << 13), &[v4(1)]);
    node.settle();
    let explanation = node.rib.explain(v4(1), None).unwrap();
    let [best, longer, looped] = &explanation.paths[..] else { panic!("{explanation:?}") };
    assert!(best.path.best && best.lost.is_none());
    let lost = longer.lost.clone().unwrap();
    assert_eq!(
        (lost.to, lost.step, &*lost.winner, &*lost.own),
        (id(0), siskin_rib::Step::AsPathLength, "2", "3")
    );
    assert_eq!(looped.path.rejected, Some(Builtin::AsLoop.into()));
    assert!(!looped.checks[0].passed && looped.policy.is_none());
    let rule_for = |peer| explanation.exports.iter().find(|export| export.peer == id(peer)).unwrap().rule;
    assert_eq!(rule_for(0), Some(Builtin::SplitHorizon.into()));
    assert!(explanation.exports.iter().filter(|export| export.attributes.is_some()).count() == 2);
}
