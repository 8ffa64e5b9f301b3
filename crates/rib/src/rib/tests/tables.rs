//! Tables of the kernel: which one a route is for, and which routes the kernel gets at all.

use super::*;

/// The tables in which a prefix stands.
fn tables_of(world: &World, n: u32) -> Vec<u32> {
    let of = |(table, at): &(u32, Prefix)| (*at == prefix(n)).then_some(*table);
    world.places.keys().filter_map(of).collect()
}

/// A peer whose import is another from now on.
fn judged_by(world: &mut World, peer: u16, generation: u32, table: u32, rules: &[&str]) {
    let import = Arc::new(ImportProfile { table, ..(*import(peer, generation, rules)).clone() });
    world.rib.update_profiles(PeerId(peer), import, Some(export(&["accept"])));
    world.settle();
}

#[test]
fn the_best_path_says_the_table_and_a_change_moves_the_route() {
    let mut world = World::new(&[1, 2]);
    world.announce(1, [1, 2], &route(1));
    world.settle();
    assert_eq!((tables_of(&world, 1), tables_of(&world, 2)), (vec![0], vec![0]));
    judged_by(&mut world, 1, 1, 100, &["accept"]);
    assert_eq!((tables_of(&world, 1), tables_of(&world, 2)), (vec![100], vec![100]));
    // A rule wins over the peer's own.
    let rule = format!("set table 101 if prefix in [{}]", prefix(1));
    judged_by(&mut world, 1, 2, 100, &[&rule, "accept"]);
    assert_eq!((tables_of(&world, 1), tables_of(&world, 2)), (vec![101], vec![100]));
    // A better path is for the table of the configuration.
    let mut better = route(2);
    better.as_path = AsPath::from_sequence([Asn(64602)]);
    world.announce(2, [1], &better);
    world.settle();
    assert_eq!((world.best(1), tables_of(&world, 1)), (Some(2), vec![0]));
    world.withdraw(2, [1]);
    world.settle();
    assert_eq!((world.best(1), tables_of(&world, 1)), (Some(1), vec![101]));
    // Nobody is told of tables.
    let sent = world.rib.exported(PeerId(2), prefix(1)).unwrap();
    assert_eq!(sent.attributes.table, 0);
    judged_by(&mut world, 1, 3, 0, &["accept"]);
    assert_eq!((tables_of(&world, 1), tables_of(&world, 2)), (vec![0], vec![0]));
    world.withdraw(1, [1, 2]);
    world.settle();
    assert!(world.places.is_empty(), "{:?}", world.places);
}

#[test]
fn a_route_in_another_table_leaves_nothing_behind() {
    let mut world = World::new(&[1]);
    judged_by(&mut world, 1, 1, 100, &["accept"]);
    world.announce(1, 0..50, &route(1));
    world.settle();
    assert_eq!(world.places.len(), 50);
    world.rib.peer_down(PeerId(1));
    world.settle();
    assert!(world.places.is_empty());
    // The numbers of destinations are given out anew, and with them no table.
    world.rib.peer_up(PeerId(1), info(1));
    world.announce(1, 100..150, &route(1));
    world.settle();
    assert!(world.places.keys().all(|(table, _)| *table == 0) && world.places.len() == 50);
}

#[test]
fn paths_for_different_tables_share_no_load() {
    let mut world = World::new(&[1, 2]);
    world.rib.configure(RibConfig { max_paths: 4, ..world.rib.config });
    world.announce(1, [1], &route(1));
    world.announce(2, [1], &route(2));
    world.settle();
    assert_eq!(world.kernel[&prefix(1)].hops().len(), 2);
    // The usual table by its name is no other.
    judged_by(&mut world, 2, 1, 254, &["accept"]);
    assert_eq!((world.kernel[&prefix(1)].hops().len(), tables_of(&world, 1)), (2, vec![0]));
    judged_by(&mut world, 2, 2, 100, &["accept"]);
    assert_eq!(world.kernel[&prefix(1)].hops().len(), 1);
    let explained = world.rib.explain(prefix(1), None).unwrap();
    let other = explained.paths.iter().find(|path| path.path.peer == PeerId(2)).unwrap();
    assert_eq!(other.not_shared, Some(crate::decision::NotShared::OtherTable));
}

#[test]
fn the_kernel_gets_what_its_policy_accepts_and_peers_get_all() {
    let mut world = World::new(&[1, 2]);
    let community = Community(64500 << 16 | 7);
    world.announce(1, [1, 2], &route(1));
    world.settle();
    world.heard(2);
    let rules =
        ["accept if community has 64500:7", "set table 77 if peer = p2", "reject if peer = p1", "accept"];
    world.rib.set_kernel_policy(policy(&rules));
    world.settle();
    assert!(world.places.is_empty());
    assert_eq!(world.heard(2), [], "nobody else is concerned");
    let explained = world.rib.explain(prefix(1), None).unwrap();
    let kernel = explained.kernel.unwrap();
    assert!(explained.forwarding.is_none() && kernel.rejected.is_some());
    assert_eq!(kernel.policy.unwrap().1.last().unwrap().text, "reject if peer = p1");
    // Attributes that have nothing to do with the way count, too.
    let mut tagged = route(1);
    tagged.communities.push(community);
    world.announce(1, [2], &tagged);
    world.announce(2, [3], &route(2));
    world.settle();
    assert_eq!(
        (tables_of(&world, 1), tables_of(&world, 2), tables_of(&world, 3)),
        (vec![], vec![0], vec![77])
    );
    world.announce(1, [2], &route(1));
    world.rib.set_kernel_policy(policy(&rules[2..]));
    world.settle();
    assert_eq!((tables_of(&world, 1), tables_of(&world, 2), tables_of(&world, 3)), (vec![], vec![], vec![0]));
    world.rib.set_kernel_policy(None);
    world.settle();
    assert_eq!(world.places.keys().map(|(table, _)| *table).collect::<Vec<_>>(), [0, 0, 0]);
    assert!(world.rib.is_settled());
}

#[test]
fn the_kernel_follows_facts_that_its_policy_asks_for() {
    use siskin_policy::VrpTable;
    let mut world = World::new(&[1]);
    world.rib.set_kernel_policy(policy(&["reject if rpki invalid", "accept"]));
    world.announce(1, [1, 2], &route(1));
    world.settle();
    assert_eq!((tables_of(&world, 1), tables_of(&world, 2)), (vec![0], vec![0]));
    let vrps = |asn: u32| {
        let vrp = siskin_net::Vrp { prefix: prefix(1), max_len: 24, asn: Asn(asn) };
        Some(VrpTable::new().apply(&[], &[vrp]))
    };
    let mut generation = 0;
    let mut learn = |world: &mut World, vrps, touched| {
        generation += 1;
        world.rib.set_facts(Arc::new(Facts { generation, vrps, ..Facts::default() }), touched);
        world.settle();
    };
    learn(&mut world, vrps(64999), Touched::Within(vec![prefix(1)]));
    assert_eq!((tables_of(&world, 1), tables_of(&world, 2)), (vec![], vec![0]));
    learn(&mut world, vrps(64700), Touched::Everything);
    assert_eq!(tables_of(&world, 1), [0]);
}
