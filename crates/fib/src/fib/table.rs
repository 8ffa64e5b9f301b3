//! What is wanted and what is installed, one compact cell a prefix: 16 bytes (IPv4) or 28 (IPv6), and a byte of the
//! hash table. Peers choose the keys, so the hash is seeded.

use std::hash::{BuildHasher, Hash};
use std::net::{Ipv4Addr, Ipv6Addr};

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use siskin_net::{Family, Prefix};

use super::place::{Place, TableId};

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

/// The cells of one kernel table, of both families.
#[derive(Debug)]
struct Halves {
    v4: Half<u32>,
    v6: Half<[u16; 8]>,
}

/// The cells of all our tables.
#[derive(Debug)]
pub(super) struct Table {
    tables: Vec<Halves>,
}

impl Table {
    pub(super) fn new() -> Table {
        Table { tables: Vec::new() }
    }

    /// The cell of a place; an empty one if nothing is known.
    pub(super) fn get(&self, place: Place) -> Cell {
        let halves = self.tables.get(usize::from(place.table));
        let cell = halves.and_then(|halves| match place.family() {
            Family::Ipv4 => halves.v4.get(place.prefix),
            Family::Ipv6 => halves.v6.get(place.prefix),
        });
        cell.unwrap_or(Cell::EMPTY)
    }

    /// Changes a cell; returns what it was and is. One with nothing wanted, installed or waiting frees its place.
    pub(super) fn modify(&mut self, place: Place, change: impl FnOnce(&mut Cell)) -> (Cell, Cell) {
        let at = usize::from(place.table);
        while self.tables.len() <= at {
            self.tables.push(Halves { v4: Half::new(), v6: Half::new() });
        }
        match (self.tables.get_mut(at), place.family()) {
            (Some(halves), Family::Ipv4) => halves.v4.modify(place.prefix, change),
            (Some(halves), Family::Ipv6) => halves.v6.modify(place.prefix, change),
            (None, _) => (Cell::EMPTY, Cell::EMPTY),
        }
    }

    /// Visits the cells of a family in all tables, in no order.
    pub(super) fn for_each(&self, family: Family, mut visit: impl FnMut(Place, Cell)) {
        for table in 0..TableId::try_from(self.tables.len()).unwrap_or(TableId::MAX) {
            self.for_each_in(table, family, &mut visit);
        }
    }

    /// Visits the cells of a family in one table, in no order.
    pub(super) fn for_each_in(&self, table: TableId, family: Family, mut visit: impl FnMut(Place, Cell)) {
        let Some(halves) = self.tables.get(usize::from(table)) else { return };
        let mut visit = |prefix, cell| visit(Place { table, prefix }, cell);
        match family {
            Family::Ipv4 => halves.v4.for_each(&mut visit),
            Family::Ipv6 => halves.v6.for_each(&mut visit),
        }
    }

    /// Clears flags that neither count nor make a cell empty ([`state::SEEN`], [`state::WRITTEN`]) in all cells of a
    /// family in one table.
    pub(super) fn clear_flag(&mut self, table: TableId, family: Family, flag: u8) {
        let Some(halves) = self.tables.get_mut(usize::from(table)) else { return };
        match family {
            Family::Ipv4 => halves.v4.clear_flag(flag),
            Family::Ipv6 => halves.v6.clear_flag(flag),
        }
    }

    /// Gives memory back that larger tables needed.
    pub(super) fn shrink(&mut self) {
        for halves in &mut self.tables {
            halves.v4.shrink();
            halves.v6.shrink();
        }
    }
}

#[cfg(test)]
mod tests;
