//! What is wanted and what is installed, one compact cell a prefix: 16 bytes (IPv4) or 28 (IPv6), and a byte of the
//! hash table. Peers choose the keys, so the hash is seeded.

use std::hash::{BuildHasher, Hash};
use std::net::{Ipv4Addr, Ipv6Addr};

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use siskin_net::{Family, Prefix};

/// Names a group of [`super::objects::Objects`].
pub(super) type GroupId = u32;
/// No group: nothing wanted, or nothing installed.
pub(super) const NONE: GroupId = GroupId::MAX;

/// Bits of [`Cell::flags`].
pub(super) mod state {
    /// In the queue, exactly once.
    pub(in crate::fib) const PENDING: u8 = 1;
    /// The kernel refused it, or its group has no usable hop.
    pub(in crate::fib) const FAILED: u8 = 2;
    /// Found at the start, and nobody has said yet that it is wanted.
    pub(in crate::fib) const ADOPTED: u8 = 4;
    /// What the kernel holds may not be what we would write: replace it even if the group is the same.
    pub(in crate::fib) const REWRITE: u8 = 8;
    /// The dump that runs has shown it.
    pub(in crate::fib) const SEEN: u8 = 16;
    /// It was written since the dump that runs began.
    pub(in crate::fib) const WRITTEN: u8 = 32;
    /// The kernel may have several routes of ours, of which replacing would change but one: all are removed first.
    pub(in crate::fib) const SEVERAL: u8 = 64;
}

/// What is known of one prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cell {
    pub(super) wanted: GroupId,
    pub(super) installed: GroupId,
    pub(super) flags: u8,
}

impl Cell {
    const EMPTY: Cell = Cell { wanted: NONE, installed: NONE, flags: 0 };

    pub(super) fn is(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    pub(super) fn set(&mut self, flag: u8) {
        self.flags |= flag;
    }

    pub(super) fn clear(&mut self, flag: u8) {
        self.flags &= !flag;
    }
}

/// An address as a key: its family's bits, as small and as little aligned as can be.
trait Key: Copy + Eq + Hash {
    fn of(prefix: Prefix) -> Self;
    fn prefix(self, length: u8) -> Prefix;
}

impl Key for u32 {
    fn of(prefix: Prefix) -> u32 {
        (prefix.bits() >> 96) as u32
    }

    fn prefix(self, length: u8) -> Prefix {
        Prefix::v4(Ipv4Addr::from_bits(self), length)
    }
}

impl Key for [u16; 8] {
    fn of(prefix: Prefix) -> [u16; 8] {
        Ipv6Addr::from_bits(prefix.bits()).segments()
    }

    fn prefix(self, length: u8) -> Prefix {
        Prefix::v6(Ipv6Addr::from(self), length)
    }
}

#[derive(Debug)]
struct Row<K> {
    key: K,
    wanted: GroupId,
    installed: GroupId,
    length: u8,
    flags: u8,
}

impl<K: Key> Row<K> {
    fn cell(&self) -> Cell {
        Cell { wanted: self.wanted, installed: self.installed, flags: self.flags }
    }
}

#[derive(Debug)]
struct Half<K> {
    rows: HashTable<Row<K>>,
    hasher: RandomState,
}

impl<K: Key> Half<K> {
    fn new() -> Half<K> {
        Half { rows: HashTable::new(), hasher: RandomState::default() }
    }

    fn get(&self, prefix: Prefix) -> Option<Cell> {
        let (key, length) = (K::of(prefix), prefix.len());
        let hash = self.hasher.hash_one((key, length));
        self.rows.find(hash, |r| r.key == key && r.length == length).map(Row::cell)
    }

    fn modify(&mut self, prefix: Prefix, change: impl FnOnce(&mut Cell)) -> (Cell, Cell) {
        let (key, length) = (K::of(prefix), prefix.len());
        let hash = self.hasher.hash_one((key, length));
        let hasher = &self.hasher;
        let rehash = |r: &Row<K>| hasher.hash_one((r.key, r.length));
        let entry = self.rows.entry(hash, |r| r.key == key && r.length == length, rehash);
        let old = match &entry {
            Entry::Occupied(row) => row.get().cell(),
            Entry::Vacant(_) => Cell::EMPTY,
        };
        let mut new = old;
        change(&mut new);
        if new.wanted == NONE && new.installed == NONE && !new.is(state::PENDING) {
            new = Cell::EMPTY;
        }
        match entry {
            Entry::Occupied(row) if new == Cell::EMPTY => {
                row.remove();
            }
            Entry::Occupied(mut row) => {
                let row = row.get_mut();
                (row.wanted, row.installed, row.flags) = (new.wanted, new.installed, new.flags);
            }
            Entry::Vacant(_) if new == Cell::EMPTY => {}
            Entry::Vacant(row) => {
                let Cell { wanted, installed, flags } = new;
                row.insert(Row { key, wanted, installed, length, flags });
            }
        }
        (old, new)
    }

    fn for_each(&self, visit: &mut impl FnMut(Prefix, Cell)) {
        for row in &self.rows {
            visit(row.key.prefix(row.length), row.cell());
        }
    }

    fn clear_flag(&mut self, flag: u8) {
        for row in &mut self.rows {
            row.flags &= !flag;
        }
    }

    /// Gives memory back once three quarters of it stand empty.
    fn shrink(&mut self) {
        if self.rows.capacity() > 1024 && self.rows.len() < self.rows.capacity() / 4 {
            let hasher = &self.hasher;
            self.rows.shrink_to(0, |r| hasher.hash_one((r.key, r.length)));
        }
    }
}

/// The cells of both families.
#[derive(Debug)]
pub(super) struct Table {
    v4: Half<u32>,
    v6: Half<[u16; 8]>,
}

impl Table {
    pub(super) fn new() -> Table {
        Table { v4: Half::new(), v6: Half::new() }
    }

    /// The cell of a prefix; an empty one if nothing is known.
    pub(super) fn get(&self, prefix: Prefix) -> Cell {
        let cell = match prefix.family() {
            Family::Ipv4 => self.v4.get(prefix),
            Family::Ipv6 => self.v6.get(prefix),
        };
        cell.unwrap_or(Cell::EMPTY)
    }

    /// Changes a cell; returns what it was and is. One with nothing wanted, installed or waiting frees its place.
    pub(super) fn modify(&mut self, prefix: Prefix, change: impl FnOnce(&mut Cell)) -> (Cell, Cell) {
        match prefix.family() {
            Family::Ipv4 => self.v4.modify(prefix, change),
            Family::Ipv6 => self.v6.modify(prefix, change),
        }
    }

    /// Visits the cells of a family, in no order.
    pub(super) fn for_each(&self, family: Family, mut visit: impl FnMut(Prefix, Cell)) {
        match family {
            Family::Ipv4 => self.v4.for_each(&mut visit),
            Family::Ipv6 => self.v6.for_each(&mut visit),
        }
    }

    /// Clears flags that neither count nor make a cell empty ([`state::SEEN`], [`state::WRITTEN`]) in all cells of a family.
    pub(super) fn clear_flag(&mut self, family: Family, flag: u8) {
        match family {
            Family::Ipv4 => self.v4.clear_flag(flag),
            Family::Ipv6 => self.v6.clear_flag(flag),
        }
    }

    /// Gives memory back that a larger table needed.
    pub(super) fn shrink(&mut self) {
        self.v4.shrink();
        self.v6.shrink();
    }
}

#[cfg(test)]
mod tests;
