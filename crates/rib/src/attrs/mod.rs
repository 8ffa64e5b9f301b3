//! The attribute interner: one copy of each distinct set of path attributes, named by an [`AttrId`].
//!
//! A set is kept in its compact encoding, and beside it the few numbers the decision compares, so that deciding touches
//! no bytes. The hash is seeded: peers choose these keys.

mod arena;
mod summary;

use hashbrown::HashTable;
use siskin_bgp::PathAttributes;
use siskin_bgp::attr::compact;

use crate::nexthop::{NextHopTable, NhId};
use crate::slab::{Slab, Slot};
use arena::{Arena, Place};

pub(crate) use summary::{DEFAULT_LOCAL_PREF, Encoded, encode};

/// An interned attribute set; [`AttrId::NONE`] is none.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub(crate) struct AttrId(pub(crate) u32);

impl AttrId {
    /// No attribute set.
    pub(crate) const NONE: AttrId = AttrId(0);
}

/// What the decision needs of a set.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct DecisionKey {
    pub(crate) local_pref: u32,
    pub(crate) med: u32,
    /// The neighbouring AS; 0: none, the path is empty or begins with a set.
    pub(crate) neighbor_as: u32,
    pub(crate) next_hop: NhId,
    pub(crate) path_len: u16,
    pub(crate) origin: u8,
    /// What the bytes hold that is to be looked for there.
    pub(crate) flags: u8,
}

impl DecisionKey {
    /// A weight, an ORIGINATOR_ID or a CLUSTER_LIST.
    pub(crate) const RARE: u8 = 1;
    /// The bandwidth of a link.
    pub(crate) const BANDWIDTH: u8 = 2;
    /// A kernel table of its own.
    pub(crate) const TABLE: u8 = 4;

    /// Whether the set has what a flag says.
    #[inline]
    pub(crate) const fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Entry {
    hash: u32,
    refs: u32,
    place: Place,
    len: u32,
    key: DecisionKey,
}

impl Slot for Entry {
    fn link(&self) -> u32 {
        self.len
    }
    fn set_link(&mut self, link: u32) {
        self.len = link;
    }
}

/// All attribute sets in use.
#[derive(Debug)]
pub(crate) struct Interner {
    entries: Slab<Entry>,
    index: HashTable<u32>,
    arena: Arena,
    /// The next hops the sets name.
    pub(crate) next_hops: NextHopTable,
}

/// Spreads the 32 bits kept of a hash over the 64 the index looks at.
fn widen(hash: u32) -> u64 {
    u64::from(hash) << 32 | u64::from(hash)
}

impl Interner {
    pub(crate) fn new(hash_seed: u64) -> Interner {
        let mut entries = Slab::default();
        // Number 0 stands for 'none' and is never given out.
        entries.insert(Entry::default());
        Interner {
            entries,
            index: HashTable::new(),
            arena: Arena::default(),
            next_hops: NextHopTable::new(hash_seed),
        }
    }

    /// The id of a set, with one more reference to it.
    pub(crate) fn intern(&mut self, bytes: &[u8], set: &Encoded) -> AttrId {
        let (entries, arena) = (&mut self.entries, &mut self.arena);
        let same = |id: &u32| {
            let entry = entries.get(*id);
            entry.hash == set.hash && arena.get(entry.place, entry.len as usize) == bytes
        };
        if let Some(id) = self.index.find(widen(set.hash), same) {
            let id = *id;
            entries.get_mut(id).refs += 1;
            return AttrId(id);
        }
        let place = arena.insert(bytes);
        let key = set.summary.key(self.next_hops.acquire(set.summary.next_hop));
        let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let id = entries.insert(Entry { hash: set.hash, refs: 1, place, len, key });
        self.index.insert_unique(widen(set.hash), id, |id| widen(entries.get(*id).hash));
        AttrId(id)
    }

    /// One more reference to a set.
    #[inline]
    pub(crate) fn retain(&mut self, id: AttrId) {
        self.entries.get_mut(id.0).refs += 1;
    }

    /// One reference less; a set nobody refers to is forgotten. [`AttrId::NONE`] is ignored.
    #[inline]
    pub(crate) fn release(&mut self, id: AttrId) {
        if id == AttrId::NONE {
            return;
        }
        let entry = self.entries.get_mut(id.0);
        entry.refs -= 1;
        if entry.refs == 0 {
            self.forget(id);
        }
    }

    fn forget(&mut self, id: AttrId) {
        let entry = *self.entries.get(id.0);
        if let Ok(found) = self.index.find_entry(widen(entry.hash), |other| *other == id.0) {
            found.remove();
        }
        self.arena.remove(entry.place);
        self.entries.remove(id.0);
        self.next_hops.dismiss(entry.key.next_hop);
        if self.index.len() < self.index.capacity() / 8 && self.index.capacity() > 1024 {
            let entries = &self.entries;
            self.index.shrink_to(0, |id| widen(entries.get(*id).hash));
        }
    }

    /// What the decision needs of a set.
    #[inline]
    pub(crate) fn key(&self, id: AttrId) -> &DecisionKey {
        &self.entries.get(id.0).key
    }

    /// The compact bytes of a set.
    pub(crate) fn bytes(&self, id: AttrId) -> &[u8] {
        let entry = self.entries.get(id.0);
        self.arena.get(entry.place, entry.len as usize)
    }

    /// The set itself.
    pub(crate) fn decode(&self, id: AttrId) -> PathAttributes {
        compact::decode(self.bytes(id))
    }

    /// The kernel's table that a set is for; 0: that of the configuration.
    #[inline]
    pub(crate) fn table(&self, id: AttrId) -> u32 {
        if !self.key(id).has(DecisionKey::TABLE) {
            return 0;
        }
        compact::parts(self.bytes(id)).map_or(0, |parts| parts.table)
    }

    /// How many sets there are.
    pub(crate) fn len(&self) -> usize {
        self.entries.len() - 1
    }

    /// Bytes on the heap: entries and index, and the sets themselves.
    pub(crate) fn memory(&self) -> (usize, usize) {
        let index = self.index.allocation_size();
        (self.entries.memory() + index, self.arena.memory())
    }

    /// The sum of all references, to prove in tests that none is lost.
    #[cfg(test)]
    pub(crate) fn references(&self) -> u64 {
        self.index.iter().map(|id| u64::from(self.entries.get(*id).refs)).sum()
    }
}

#[cfg(test)]
mod tests;
