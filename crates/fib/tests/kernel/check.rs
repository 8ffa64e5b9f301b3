//! Comparing wanted and kernel: nothing is found where nothing is wrong, every lie is, and it is mended.

use crate::world::{World, group, hop, ip, prefix, run, shown};
use siskin_fib::{Difference, DifferenceKind, FibChange, FibCheck, FibConfig};
use siskin_net::{Family, Prefix};

fn nth(n: u32) -> Prefix {
    Prefix::from_bits(Family::Ipv4, u128::from((1 << 24) + (n << 8)) << 96, 24)
}

fn difference(prefix: Prefix, kind: DifferenceKind) -> Difference {
    Difference { table: 254, prefix, kind }
}

fn check(world: &mut World) -> FibCheck {
    world.fib.begin_check().unwrap();
    for _ in 0..100_000 {
        if let Some(found) = world.fib.check_slice(1).unwrap() {
            assert!(!world.fib.is_checking());
            return found;
        }
    }
    panic!("the comparison does not end");
}

/// Routes of both families that go both ways.
fn fill(world: &mut World, count: u32) {
    let both = group(&[hop("192.0.2.1", "a0"), hop("198.51.100.1", "b0")]);
    let six = group(&[hop("2001:db8:a::1", "a0"), hop("2001:db8:b::1", "b0")]);
    for n in 0..count {
        world.fib.want(FibChange { table: None, prefix: nth(n), target: Some(both.clone()) });
        let bits = (0x2a00_u128 << 112) | u128::from(n) << 80;
        let prefix = Prefix::from_bits(Family::Ipv6, bits, 48);
        world.fib.want(FibChange { table: None, prefix, target: Some(six.clone()) });
    }
    world.write();
}

#[test]
fn every_lie_is_found_and_mended() {
    for nexthop_groups in [true, false] {
        std::thread::spawn(move || {
            let mut world = World::with(FibConfig { nexthop_groups, ..FibConfig::default() });
            world.fib.sweep();
            fill(&mut world, 2_000);
            let found = check(&mut world);
            assert_eq!(found, FibCheck { routes: 4_000, ..FibCheck::default() });
            let before = ip("route show proto 201") + &ip("-6 route show proto 201");
            // Nobody listens to these.
            run(&format!("route del {}", nth(7)));
            run("-6 route del 2a00:0:9::/48");
            run(&format!("route replace {} via 192.0.2.9 metric 32 proto 201", nth(8)));
            run("route add 203.0.113.0/24 via 192.0.2.9 metric 32 proto 201");
            run(&format!("route append {} via 192.0.2.9 metric 32 proto 201", nth(11)));
            let found = check(&mut world);
            assert_eq!((found.different, found.objects, found.failed), (5, 0, 0), "{found:?}");
            let expected = [
                difference(nth(7), DifferenceKind::Missing),
                difference(nth(8), DifferenceKind::Changed),
                difference(nth(11), DifferenceKind::Changed),
                difference(prefix("203.0.113.0/24"), DifferenceKind::Surplus),
                difference(prefix("2a00:0:9::/48"), DifferenceKind::Missing),
            ];
            assert_eq!(found.differences, expected);
            world.write();
            assert_eq!(ip("route show proto 201") + &ip("-6 route show proto 201"), before);
            assert_eq!(check(&mut world), FibCheck { routes: 4_000, ..FibCheck::default() });
        })
        .join()
        .unwrap();
    }
}

#[test]
fn objects_are_compared_too() {
    let mut world = World::new();
    fill(&mut world, 10);
    let member = world.fib.nexthops().iter().find(|o| !o.group).unwrap().id;
    ip(&format!("nexthop del id {member}"));
    let found = check(&mut world);
    assert_eq!((found.objects, found.different), (2, 0), "the object, and the group that had it: {found:?}");
    world.write();
    assert!(shown(&nth(3).to_string()).contains("via 192.0.2.1"));
    assert_eq!(check(&mut world).objects, 0);
}

#[test]
fn a_route_the_kernel_refuses_is_a_difference_of_its_own() {
    let mut world = World::new();
    run("route add 203.0.113.0/24 via 192.0.2.9 metric 32 proto static");
    world.want("203.0.113.0/24", Some(&group(&[hop("192.0.2.1", "a0")])));
    world.write();
    let found = check(&mut world);
    assert_eq!((found.failed, found.different), (1, 0));
}

/// While thousands of routes change, a comparison finds nothing: what is under way is no lie.
#[test]
fn churn_is_no_difference() {
    let mut world = World::new();
    world.fib.sweep();
    fill(&mut world, 5_000);
    let ways = [
        Some(group(&[hop("192.0.2.1", "a0")])),
        None,
        Some(group(&[hop("192.0.2.1", "a0"), hop("198.51.100.1", "b0")])),
    ];
    let mut checks = 0;
    let mut step = 0_u32;
    world.fib.begin_check().unwrap();
    while checks < 5 {
        for n in 0..500 {
            let n = step.wrapping_mul(2_654_435_761).wrapping_add(n * 7_919) % 6_000;
            let target = ways[(step as usize + n as usize) % 3].clone();
            world.fib.want(FibChange { table: None, prefix: nth(n), target });
        }
        step += 1;
        world.fib.write(200);
        if let Some(found) = world.fib.check_slice(1).unwrap() {
            assert_eq!((found.different, found.objects, found.failed), (0, 0, 0), "{found:?}");
            checks += 1;
            world.fib.begin_check().unwrap();
        }
    }
    assert!(step > 50, "{step}");
}
