use proptest::prelude::*;

use super::*;

fn path(peer: u16) -> Path {
    Path { peer: PeerId(peer), ..Path::default() }
}

fn peers(table: &Table, dest: DestId) -> Vec<u16> {
    table.chain(dest).map(|(_, path)| path.peer.0).collect()
}

#[test]
fn a_chain_keeps_its_first_path_first() {
    let mut table = Table::new(Family::Ipv6, 1);
    let dest = table.find_or_insert("2001:db8::/32".parse().unwrap());
    let ids: Vec<PathId> = (0..4).map(|peer| table.link(dest, path(peer))).collect();
    assert_eq!(peers(&table, dest), [0, 3, 2, 1]);
    table.bring_to_front(dest, ids[2]);
    assert_eq!(peers(&table, dest), [2, 0, 3, 1]);
    table.unlink(dest, ids[0]);
    table.unlink(dest, ids[2]);
    assert_eq!(peers(&table, dest), [3, 1]);
    assert_eq!(table.path_of(dest, PeerId(1)), Some(ids[1]));
    table.unlink(dest, ids[1]);
    table.unlink(dest, ids[3]);
    assert!(table.idle.contains(dest));
}

#[test]
fn entries_are_as_small_as_their_family_allows() {
    let mut table = Table::new(Family::Ipv4, 1);
    for n in 0..4096u32 {
        table.find_or_insert(Prefix::from_bits(Family::Ipv4, u128::from(n) << 104, 24));
    }
    let index = 8192 * 5 + 32;
    assert!(table.dests.memory() <= 4096 * 12 + index + 1024, "{}", table.dests.memory());
}

proptest! {
    #[test]
    fn the_longest_match_is_the_longest(
        prefixes in prop::collection::vec((any::<u16>(), 0u8..=32), 1..60),
        address in any::<u16>(),
    ) {
        // Few bits, so that prefixes cover each other.
        let make = |bits: u16, len: u8| Prefix::from_bits(Family::Ipv4, u128::from(bits) << 112, len);
        let mut table = Table::new(Family::Ipv4, 3);
        let all: Vec<Prefix> = prefixes.into_iter().map(|(bits, len)| make(bits, len)).collect();
        for prefix in &all {
            table.find_or_insert(*prefix);
        }
        let host = make(address, 32);
        let expected = all.iter().copied().filter(|p| p.covers(host)).max_by_key(|p| p.len());
        let found = table.longest_match(host, |_| true).map(|dest| table.dests.prefix(dest));
        prop_assert_eq!(found, expected);
    }
}
