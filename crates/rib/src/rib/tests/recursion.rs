//! Next hops that are reached by other routes of ours.

use siskin_net::{GroupTarget, NextHopAnswer, NextHopGroup};

use super::*;

/// A world in which these next hops are on no link, and no kernel route leads to them.
fn far(peers: &[u16], next_hops: &[&str]) -> World {
    let mut world = World::new(peers);
    world.lost.extend(next_hops.iter().map(|text| NextHop::new(text.parse().unwrap())));
    world.rib.configure(RibConfig { max_paths: 8, ..world.rib.config });
    world
}

fn pfx(text: &str) -> Prefix {
    text.parse().unwrap()
}

/// A peer's route of a prefix by a next hop.
fn offer(world: &mut World, peer: u16, prefix: &str, next_hop: &str) {
    let mut attributes = route(peer);
    attributes.next_hop = NextHop::new(next_hop.parse().unwrap());
    offer_as(world, peer, prefix, &attributes);
}

fn offer_as(world: &mut World, peer: u16, prefix: &str, attributes: &PathAttributes) {
    let import = world.rib.peer_info(PeerId(peer)).unwrap().import.clone();
    let mut builder = BatchBuilder::new(PeerId(peer), import);
    builder.announce_local(pfx(prefix), attributes);
    world.rib.apply(builder.take());
    world.settle();
}

fn take_back(world: &mut World, peer: u16, prefix: &str) {
    let import = world.rib.peer_info(PeerId(peer)).unwrap().import.clone();
    let mut builder = BatchBuilder::new(PeerId(peer), import);
    builder.withdraw(pfx(prefix));
    world.rib.apply(builder.take());
    world.settle();
}

/// Gateways with weights, of what the kernel has.
fn ways(world: &World, prefix: &str) -> Vec<(String, u16)> {
    let hops = world.kernel.get(&pfx(prefix)).map(NextHopGroup::hops).unwrap_or_default();
    hops.iter().map(|hop| (hop.gateway.unwrap().to_string(), hop.weight)).collect()
}

fn one(gateway: &str) -> Vec<(String, u16)> {
    vec![(gateway.to_owned(), 1)]
}

/// A kernel route of this length leads to the next hop by a gateway.
fn kernel_says(world: &mut World, next_hop: &str, len: u8, gateway: Option<&str>, metric: u32) {
    let hop =
        |text: &str| Hop { gateway: Some(text.parse().unwrap()), interface: 9, weight: 1, onlink: false };
    let found = gateway.map(|text| Resolution { metric, hops: [hop(text)].into_iter().collect() });
    let answer = NextHopAnswer { found, matched: Some(len) };
    world.rib.set_next_hop(NextHop::new(next_hop.parse().unwrap()), answer);
    world.settle();
}

const LOOPBACK: &str = "203.0.113.9";

#[test]
fn a_loopback_that_another_session_announces_is_a_next_hop() {
    let mut world = far(&[1, 2, 3], &[LOOPBACK]);
    offer(&mut world, 2, "10.5.0.0/16", LOOPBACK);
    assert_eq!(ways(&world, "10.5.0.0/16"), []);
    offer(&mut world, 1, "203.0.113.9/32", "198.51.100.1");
    assert_eq!(ways(&world, "10.5.0.0/16"), one("198.51.100.1"));
    let view = world.rib.next_hops().into_iter().find(|view| view.via.is_some()).unwrap();
    assert_eq!(
        (view.next_hop.address.to_string(), view.via),
        (LOOPBACK.to_owned(), Some(pfx("203.0.113.9/32")))
    );
    // The resolving route changes, goes, and comes back by a less specific one.
    offer(&mut world, 1, "203.0.113.9/32", "198.51.100.3");
    assert_eq!(ways(&world, "10.5.0.0/16"), one("198.51.100.3"));
    take_back(&mut world, 1, "203.0.113.9/32");
    assert_eq!(ways(&world, "10.5.0.0/16"), []);
    assert!(!world.rib.lookup(pfx("10.5.0.0/16")).unwrap().paths[0].next_hop_reachable());
    offer(&mut world, 3, "203.0.113.0/24", "198.51.100.3");
    assert_eq!(ways(&world, "10.5.0.0/16"), one("198.51.100.3"));
    world.rib.peer_down(PeerId(3));
    world.settle();
    assert_eq!(ways(&world, "10.5.0.0/16"), []);
    assert!(world.rib.is_settled());
}

#[test]
fn the_longest_match_counts_and_the_kernels_where_they_are_equal() {
    let mut world = far(&[1, 2], &[LOOPBACK]);
    offer(&mut world, 2, "10.5.0.0/16", LOOPBACK);
    offer(&mut world, 1, "203.0.113.0/24", "198.51.100.1");
    for (len, by_kernel) in [(16, false), (24, true), (32, true)] {
        kernel_says(&mut world, LOOPBACK, len, Some("192.0.2.77"), 20);
        let expected = if by_kernel { "192.0.2.77" } else { "198.51.100.1" };
        assert_eq!(ways(&world, "10.5.0.0/16"), one(expected), "{len}");
    }
    // An unreachable route, or a gateway that does not answer, is an answer, too.
    kernel_says(&mut world, LOOPBACK, 28, None, 0);
    assert_eq!(ways(&world, "10.5.0.0/16"), []);
    kernel_says(&mut world, LOOPBACK, 8, None, 0);
    assert_eq!(ways(&world, "10.5.0.0/16"), one("198.51.100.1"));
}

#[test]
fn a_default_route_leads_to_no_next_hop_unless_asked_for() {
    let mut world = far(&[1, 2], &[LOOPBACK]);
    offer(&mut world, 2, "10.5.0.0/16", LOOPBACK);
    offer(&mut world, 1, "0.0.0.0/0", "198.51.100.1");
    assert_eq!(ways(&world, "10.5.0.0/16"), []);
    let mut world = far(&[1, 2], &[LOOPBACK]);
    world.rib.configure(RibConfig { resolve_via_default: true, ..world.rib.config });
    offer(&mut world, 2, "10.5.0.0/16", LOOPBACK);
    offer(&mut world, 1, "0.0.0.0/0", "198.51.100.1");
    assert_eq!(ways(&world, "10.5.0.0/16"), one("198.51.100.1"));
}

#[test]
fn no_route_is_reached_by_itself() {
    let mut world = far(&[1, 2], &[LOOPBACK]);
    offer(&mut world, 2, "203.0.113.0/24", LOOPBACK);
    assert_eq!(ways(&world, "203.0.113.0/24"), []);
    // Another path of the same prefix reaches the next hop for everybody but the path through it.
    offer(&mut world, 1, "203.0.113.0/24", "198.51.100.1");
    offer(&mut world, 2, "10.5.0.0/16", LOOPBACK);
    assert_eq!(ways(&world, "203.0.113.0/24"), one("198.51.100.1"));
    assert_eq!(ways(&world, "10.5.0.0/16"), one("198.51.100.1"));
    // A less specific route of the kernel makes the path usable, and better.
    kernel_says(&mut world, LOOPBACK, 8, Some("192.0.2.77"), 20);
    assert_eq!(ways(&world, "10.5.0.0/16"), one("192.0.2.77"));
    let own = world.rib.lookup(pfx("203.0.113.0/24")).unwrap();
    assert!(own.paths.iter().all(PathView::next_hop_reachable));
    assert!(world.rib.is_settled());
}

/// The same, whoever came first.
#[test]
fn what_leads_to_a_next_hop_does_not_depend_on_the_order() {
    let steps: [fn(&mut World); 4] = [
        |world| offer(world, 1, "203.0.113.0/24", "198.51.100.1"),
        |world| {
            let mut better = route(2);
            better.next_hop = NextHop::new(LOOPBACK.parse().unwrap());
            better.as_path = AsPath::from_sequence([Asn(64602)]);
            offer_as(world, 2, "203.0.113.0/24", &better);
        },
        |world| offer(world, 3, "203.0.0.0/16", "198.51.100.3"),
        |world| offer(world, 1, "10.5.0.0/16", LOOPBACK),
    ];
    let mut seen = BTreeSet::new();
    for first in 0..24usize {
        let mut world = far(&[1, 2, 3], &[LOOPBACK]);
        let mut left: Vec<usize> = (0..4).collect();
        for (at, base) in [(first / 6, 4), (first / 2 % 3, 3), (first % 2, 2), (0, 1)] {
            assert_eq!(left.len(), base);
            steps[left.remove(at)](&mut world);
        }
        let state: Vec<_> =
            ["203.0.113.0/24", "203.0.0.0/16", "10.5.0.0/16"].map(|prefix| ways(&world, prefix)).into();
        seen.insert(state);
    }
    assert_eq!(seen.len(), 1, "{seen:?}");
}

#[test]
fn circles_do_not_close_and_nothing_flaps() {
    let (one_hop, two_hop) = ("203.0.113.1", "203.0.114.1");
    let mut world = far(&[1, 2, 3], &[one_hop, two_hop]);
    offer(&mut world, 1, "203.0.113.0/24", two_hop);
    offer(&mut world, 2, "203.0.114.0/24", one_hop);
    assert_eq!((ways(&world, "203.0.113.0/24"), ways(&world, "203.0.114.0/24")), (vec![], vec![]));
    // Both have a way out, and would rather take the way through the other.
    let mut poor = route(3);
    poor.as_path = AsPath::from_sequence([Asn(64603), Asn(64700), Asn(64701)]);
    offer_as(&mut world, 3, "203.0.113.0/24", &poor);
    offer_as(&mut world, 3, "203.0.114.0/24", &poor);
    for prefix in ["203.0.113.0/24", "203.0.114.0/24"] {
        assert_eq!(ways(&world, prefix), one("198.51.100.3"), "{prefix}");
    }
    let by_others = [(1, "203.0.113.0/24"), (2, "203.0.114.0/24")]
        .iter()
        .filter(|(peer, prefix)| {
            let paths = world.rib.lookup(pfx(prefix)).unwrap().paths;
            paths.iter().any(|path| path.best && path.peer == PeerId(*peer))
        })
        .count();
    assert_eq!(by_others, 1, "one goes through the other, which does not come back");
    take_back(&mut world, 3, "203.0.113.0/24");
    take_back(&mut world, 3, "203.0.114.0/24");
    assert_eq!((ways(&world, "203.0.113.0/24"), ways(&world, "203.0.114.0/24")), (vec![], vec![]));
    assert!(world.rib.is_settled());
}

#[test]
fn chains_have_an_end() {
    let address = |n: usize| format!("203.0.113.{n}");
    let names: Vec<String> = (1..=12).map(address).collect();
    let mut world = far(&[1], &names.iter().map(String::as_str).collect::<Vec<_>>());
    offer(&mut world, 1, "203.0.113.1/32", "198.51.100.1");
    for n in 2..=12 {
        offer(&mut world, 1, &format!("203.0.113.{n}/32"), &address(n - 1));
    }
    let reached = (1..=12).filter(|n| !ways(&world, &format!("203.0.113.{n}/32")).is_empty()).count();
    assert_eq!(reached, usize::from(super::super::recursion::MAX_DEPTH));
    // A change at the far end reaches all.
    offer(&mut world, 1, "203.0.113.1/32", "198.51.100.7");
    assert_eq!(ways(&world, "203.0.113.8/32"), one("198.51.100.7"));
}

#[test]
fn the_load_is_shared_as_the_resolving_route_shares_it() {
    let second = "203.0.113.10";
    let mut world = far(&[1, 2, 3, 4], &[LOOPBACK, second]);
    offer(&mut world, 1, "203.0.113.9/32", "198.51.100.1");
    offer(&mut world, 3, "203.0.113.9/32", "198.51.100.3");
    offer(&mut world, 4, "203.0.113.10/32", "198.51.100.4");
    offer(&mut world, 2, "10.5.0.0/16", LOOPBACK);
    let both = vec![("198.51.100.1".to_owned(), 1), ("198.51.100.3".to_owned(), 1)];
    assert_eq!(ways(&world, "10.5.0.0/16"), both);
    // Two next hops, half of the load each.
    offer(&mut world, 4, "10.5.0.0/16", second);
    let mut all = both;
    all.push(("198.51.100.4".to_owned(), 2));
    assert_eq!(ways(&world, "10.5.0.0/16"), all);
    take_back(&mut world, 3, "203.0.113.9/32");
    let two = vec![("198.51.100.1".to_owned(), 1), ("198.51.100.4".to_owned(), 1)];
    assert_eq!(ways(&world, "10.5.0.0/16"), two);
}

#[test]
fn the_cost_of_the_resolving_route_counts() {
    let mut world = far(&[1, 2], &["203.0.113.1", "203.0.113.2"]);
    for (n, metric) in [(1, 30), (2, 20)] {
        let next_hop = format!("198.51.100.{n}");
        offer(&mut world, n, &format!("203.0.113.{n}/32"), &next_hop);
        kernel_says(&mut world, &next_hop, 24, Some(&format!("192.0.2.{n}")), metric);
        offer(&mut world, n, "10.5.0.0/16", &format!("203.0.113.{n}"));
    }
    assert_eq!(ways(&world, "10.5.0.0/16"), one("192.0.2.2"));
    let paths = world.rib.lookup(pfx("10.5.0.0/16")).unwrap().paths;
    assert_eq!(paths.iter().map(|path| path.igp_metric).collect::<Vec<_>>(), [Some(20), Some(30)]);
}

#[test]
fn a_discarding_route_reaches_nothing_and_other_tables_do_not_count() {
    let mut world = far(&[1, 2], &[LOOPBACK]);
    offer(&mut world, 2, "10.5.0.0/16", LOOPBACK);
    offer(&mut world, 1, "203.0.112.0/23", "198.51.100.1");
    assert_eq!(ways(&world, "10.5.0.0/16"), one("198.51.100.1"));
    let local = ImportProfile::local("originate".into(), RouteSource::Originate, LOCAL, 7);
    let source = PeerInfo::local(Arc::new(local), BgpIdentifier(1), FibAction::Blackhole);
    world.rib.peer_up(PeerId(9), source);
    offer_as(&mut world, 9, "203.0.113.0/24", &PathAttributes::originated([0, 0, 0, 0].into()));
    assert_eq!(world.kernel[&pfx("203.0.113.0/24")].target, GroupTarget::Blackhole);
    assert_eq!(ways(&world, "10.5.0.0/16"), []);
    take_back(&mut world, 9, "203.0.113.0/24");
    assert_eq!(ways(&world, "10.5.0.0/16"), one("198.51.100.1"));
    let import = Arc::new(ImportProfile { table: 100, ..(*import(1, 1, &["accept"])).clone() });
    world.rib.update_profiles(PeerId(1), import, Some(export(&["accept"])));
    world.settle();
    assert_eq!(ways(&world, "10.5.0.0/16"), []);
}

/// All routes that share a next hop follow with one change, and what is said of each then is what they have already.
#[test]
fn routes_of_a_bundle_move_together() {
    let mut world = far(&[1, 2], &[LOOPBACK]);
    offer(&mut world, 1, "203.0.113.9/32", "198.51.100.1");
    for n in 0..20 {
        offer(&mut world, 2, &format!("10.{n}.0.0/16"), LOOPBACK);
    }
    offer(&mut world, 1, "10.99.0.0/16", "198.51.100.1");
    assert_eq!(world.rib.take_group_moves(), []);
    let before = world.kernel[&pfx("10.0.0.0/16")].clone();
    let direct = world.kernel[&pfx("10.99.0.0/16")].clone();
    assert!(before.bundle != 0 && direct.bundle == 0 && before.target == direct.target);
    offer(&mut world, 1, "203.0.113.9/32", "198.51.100.2");
    let moves = world.rib.take_group_moves();
    let [only] = moves.as_slice() else { panic!("{moves:?}") };
    assert_eq!(*only.from, before);
    for n in 0..20 {
        assert_eq!(world.kernel[&pfx(&format!("10.{n}.0.0/16"))], *only.to);
    }
    assert_eq!(world.kernel[&pfx("10.99.0.0/16")], direct, "what has its own next hop stays");
    // A kernel route that changes is no different.
    kernel_says(&mut world, LOOPBACK, 32, Some("192.0.2.77"), 20);
    assert_eq!(world.rib.take_group_moves().len(), 1);
    assert_eq!(ways(&world, "10.7.0.0/16"), one("192.0.2.77"));
    // One that cannot be reached any more moves nowhere.
    kernel_says(&mut world, LOOPBACK, 32, None, 0);
    assert_eq!(world.rib.take_group_moves(), []);
    assert_eq!(ways(&world, "10.7.0.0/16"), []);
}

/// Routes that lead to each other's next hops at random come to rest after few rounds, leave by gateways on links alone, and
/// none by way of itself.
#[test]
fn a_tangle_of_routes_comes_to_rest() {
    let loopback = |n: u64| format!("203.0.{}.1", 112 + n);
    let names: Vec<String> = (0..6).map(loopback).collect();
    let mut world = far(&[1, 2, 3], &names.iter().map(String::as_str).collect::<Vec<_>>());
    let mut seed = 0x2545_f491_4f6c_dd1d_u64;
    let mut roll = |sides: u64| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        (seed >> 33) % sides
    };
    let prefixes: Vec<String> = (112..118)
        .flat_map(|n| [format!("203.0.{n}.0/24"), format!("203.0.{n}.1/32")])
        .chain(["203.0.112.0/20".into(), "203.0.0.0/16".into(), "10.5.0.0/16".into()])
        .collect();
    let (mut worst, mut reached) = (0, 0);
    for _ in 0..3_000 {
        let (peer, prefix) =
            (u16::try_from(1 + roll(3)).unwrap(), &prefixes[usize::try_from(roll(15)).unwrap()]);
        match roll(8) {
            0 | 1 => take_back(&mut world, peer, prefix),
            2 => {
                let found = (roll(2) == 0).then_some("192.0.2.77");
                let len = u8::try_from([0, 16, 20, 24, 32][usize::try_from(roll(5)).unwrap()]).unwrap();
                kernel_says(&mut world, &loopback(roll(6)), len, found, 20);
            }
            way => {
                let mut attributes = route(peer);
                let by = if way < 5 { format!("198.51.100.{}", 1 + roll(3)) } else { loopback(roll(6)) };
                attributes.next_hop = NextHop::new(by.parse().unwrap());
                attributes.as_path =
                    attributes.as_path.prepended(Asn(64800), usize::try_from(roll(3)).unwrap());
                offer_as(&mut world, peer, prefix, &attributes);
            }
        }
        worst = worst.max(world.rib.recursion.rounds);
        assert!(world.rib.is_settled());
        for (prefix, group) in &world.kernel {
            reached += group.hops().len();
            let on_link = |hop: &Hop| {
                let gateway = hop.gateway.unwrap().to_string();
                gateway.starts_with("198.51.100.") || gateway == "192.0.2.77"
            };
            assert!(group.hops().iter().all(on_link), "{prefix}: {group:?}");
            // What is shown agrees with what was handed over.
            assert_eq!(world.rib.forwarding(*prefix).unwrap().target, group.target, "{prefix}");
        }
    }
    println!("at most {worst} rounds, {reached} hops looked at");
    assert!(worst < 40 && reached > 10_000, "{worst} rounds, {reached} hops");
}
