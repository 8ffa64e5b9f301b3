//! As many claims as there may be: no event of one of them takes longer because of the others.

use std::net::Ipv4Addr;

use super::*;

const PORTS: u32 = 4096;
const PER_PORT: u32 = 16;

fn address(n: u32) -> IpAddr {
    IpAddr::V4(Ipv4Addr::from_bits(u32::from(Ipv4Addr::new(10, 0, 0, 1)) + n))
}

fn station(port: u32) -> Mac {
    let [a, b, c, d] = port.to_be_bytes();
    Mac([0x52, 1, a, b, c, d])
}

/// Does `body` for every claim; how long one took on average must not grow with their number.
fn measure(world: &mut World, what: &str, mut body: impl FnMut(&mut Claims, u32)) {
    // The claims have no clock; the test of what they cost has.
    #[expect(clippy::disallowed_methods, reason = "measures")]
    let start = std::time::Instant::now();
    for n in 0..PORTS * PER_PORT {
        body(&mut world.claims, n);
        world.claims.take_outputs();
    }
    let each = start.elapsed().as_secs_f64() * 1e6 / f64::from(PORTS * PER_PORT);
    println!("{what}: {each:.2} us");
    // Generous, for a loaded machine: what grows with the number of claims takes milliseconds here.
    assert!(each < 500.0, "{what}: {each} us");
}

#[test]
fn with_all_claims_there_may_be_each_event_is_small() {
    let prefixes = vec!["10.0.0.0/8".parse().unwrap()];
    let mut world = World::new(DomainConfig { prefixes, ..config(Guard::Pinned) });
    let domain = world.domain();
    for port in 0..PORTS {
        world.claims.set_port(100 + port, &Arc::from(format!("tap{port}")), domain, true, world.now);
    }
    let now = world.now;
    let hear = |claims: &mut Claims, n: u32, now| {
        let seen = Sighting {
            mac: station(n / PER_PORT),
            vlan: None,
            address: Some(address(n)),
            kind: EvidenceKind::ArpRequest,
        };
        claims.sighted(100 + n / PER_PORT, Ok(seen), now);
    };
    measure(&mut world, "first evidence", |claims, n| hear(claims, n, now));
    measure(&mut world, "more evidence", |claims, n| hear(claims, n, now));
    let remote = |n: u32, sequence| Remote {
        sequence,
        binding: Some(binding_of(station(n / PER_PORT))),
        originator: BgpIdentifier(1),
        elevated: Some(true),
    };
    measure(&mut world, "yield", |claims, n| claims.remote(address(n), Some(remote(n, 1)), now));
    let later = now + SECOND * 2;
    measure(&mut world, "one claim's timer", |claims, n| {
        // All are due at once; one call does 512 of them.
        if n % 512 == 0 {
            claims.expire(later);
        }
    });
    while world.claims.next_deadline().is_some_and(|at| at <= later) {
        world.claims.expire(later);
    }
    measure(&mut world, "take over", |claims, n| hear(claims, n, later));
    measure(&mut world, "nobody else", |claims, n| claims.remote(address(n), None, later));
    let host = |n: u32| IpAddr::V6(std::net::Ipv6Addr::from_bits((0xfe80u128 << 112) | u128::from(n)));
    measure(&mut world, "an address of ours", |claims, n| claims.set_own_addresses([host(n)], later));
    measure(&mut world, "a port's end", |claims, n| {
        if n % PER_PORT == 0 {
            claims.port_gone(100 + n / PER_PORT, later);
        }
    });
    assert_eq!(world.claims.iter().count(), 0);
    assert_eq!(world.claims.move_counters().taken_over, u64::from(PORTS * PER_PORT));
}
