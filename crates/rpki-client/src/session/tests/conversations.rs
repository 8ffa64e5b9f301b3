//! Conversations by chance: whatever a cache says, in whatever pieces.

use proptest::collection::vec;
use proptest::prelude::*;
use siskin_net::Family;

use super::*;

/// Parts of a conversation that a cache may hold in any order.
fn any_part() -> impl Strategy<Value = Vec<u8>> {
    let vrp = (any::<bool>(), 0u8..4, 0u32..3)
        .prop_map(|(announce, third, asn)| pdus::vrp(2, announce, &format!("10.0.{third}.0/24"), 24, asn));
    prop_oneof![
        4 => vrp,
        2 => Just(pdus::response(2, 7)),
        2 => (0u32..4).prop_map(|serial| pdus::end(2, 7, serial)),
        1 => Just(pdus::reset(2)),
        1 => (6u16..8, 0u32..4).prop_map(|(session, serial)| pdus::notify(2, session, serial)),
        1 => (0u32..3, vec(0u32..5, 0..3)).prop_map(|(customer, providers)| pdus::aspa(customer, &providers)),
        1 => (0u8..3, 0u16..9).prop_map(|(version, code)| pdus::error(version, code, "")),
        1 => vec(any::<u8>(), 0..12),
    ]
}

/// Hands `octets` over in pieces of `piece` octets, as a driver does; returns how it ended and what stands.
fn hold(octets: &[u8], piece: usize) -> (Option<End>, Vec<Sent>, usize) {
    let mut world = World::loaded(2);
    world.wait().unwrap();
    let mut buffer = Vec::new();
    let mut end = None;
    for piece in octets.chunks(piece) {
        buffer.extend(piece);
        match world.session.received(world.now, &buffer, &mut world.driver) {
            Ok(used) => drop(buffer.drain(..used)),
            Err(why) => {
                end = Some(why);
                break;
            }
        }
        if world.session.deadline().is_some_and(|at| at <= world.now) {
            world.session.tick(world.now, &mut world.driver).unwrap();
        }
    }
    let count = world.driver.union.counts()[Family::Ipv4];
    (end, world.sent(), count)
}

proptest! {
    #[test]
    fn no_conversation_breaks_a_session(parts in vec(any_part(), 0..40), piece in 1usize..60) {
        let octets = parts.concat();
        let (end, _, count) = hold(&octets, piece);
        prop_assert!(count <= 13);
        prop_assert!(end.is_none_or(|end| !end.to_string().is_empty()));
    }

    #[test]
    fn where_the_octets_are_cut_does_not_matter(parts in vec(any_part(), 0..12), piece in 1usize..40) {
        // Without notifies, whose question may come before or after what follows.
        let octets: Vec<u8> = parts.iter().filter(|p| p.get(1) != Some(&0)).flatten().copied().collect();
        let (end, sent, count) = hold(&octets, octets.len().max(1));
        prop_assert_eq!(hold(&octets, piece), (end, sent, count));
    }
}
