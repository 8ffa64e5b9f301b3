//! Destinations: every prefix somebody names has a dense number, found through a seeded hash index.
//!
//! One generic table over the width of an address serves both families; the longest match walks the lengths that are
//! in use, at most 33 or 129 probes.

use std::hash::{BuildHasher, Hash};
use std::ops::Range;

use foldhash::fast::FixedState;
use hashbrown::HashTable;
use siskin_net::{Family, Prefix};

use crate::slab::{NONE, Slab, Slot};

/// The number of a destination.
pub(crate) type DestId = u32;

/// The address part of a key, in as few bytes as its family needs.
trait Address: Copy + Eq + Hash + Default {
    const FAMILY: Family;
    fn from_bits(bits: u128) -> Self;
    fn bits(self) -> u128;
}

impl Address for u32 {
    const FAMILY: Family = Family::Ipv4;
    fn from_bits(bits: u128) -> u32 {
        (bits >> 96) as u32
    }
    fn bits(self) -> u128 {
        u128::from(self) << 96
    }
}

/// An IPv6 address that asks for no more alignment than the rest of an entry.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
struct Wide([u32; 4]);

impl Address for Wide {
    const FAMILY: Family = Family::Ipv6;
    #[expect(clippy::cast_possible_truncation, reason = "four quarters of 128 bits")]
    fn from_bits(bits: u128) -> Wide {
        Wide([(bits >> 96) as u32, (bits >> 64) as u32, (bits >> 32) as u32, bits as u32])
    }
    fn bits(self) -> u128 {
        self.0.iter().fold(0, |bits, quarter| bits << 32 | u128::from(*quarter))
    }
}

/// A length no prefix has: the slot is free.
const FREE: u8 = u8::MAX;

#[derive(Clone, Copy, Debug)]
struct Entry<A> {
    address: A,
    /// First path, or [`NONE`]; of a free slot the next free one.
    first: u32,
    len: u8,
    /// A path that mattered to the last decision is gone.
    disturbed: bool,
}

impl<A: Default> Default for Entry<A> {
    fn default() -> Self {
        Entry { address: A::default(), first: NONE, len: FREE, disturbed: false }
    }
}

impl<A: Address> Slot for Entry<A> {
    fn link(&self) -> u32 {
        self.first
    }
    fn set_link(&mut self, link: u32) {
        self.first = link;
        self.len = FREE;
    }
}

#[derive(Debug)]
struct Dense<A> {
    entries: Slab<Entry<A>>,
    index: HashTable<DestId>,
    hasher: FixedState,
    /// Prefixes of each length, so that a longest match probes only lengths in use.
    lengths: Vec<u32>,
}

impl<A: Address> Dense<A> {
    fn new(hash_seed: u64) -> Dense<A> {
        Dense {
            entries: Slab::default(),
            index: HashTable::new(),
            hasher: FixedState::with_seed(hash_seed),
            lengths: vec![0; usize::from(A::FAMILY.max_len()) + 1],
        }
    }

    #[inline]
    fn find(&self, prefix: Prefix) -> Option<DestId> {
        let (address, len) = (A::from_bits(prefix.bits()), prefix.len());
        let hash = self.hasher.hash_one((address, len));
        let entries = &self.entries;
        let same = |id: &DestId| {
            let entry = entries.get(*id);
            entry.address == address && entry.len == len
        };
        self.index.find(hash, same).copied()
    }

    #[inline]
    fn find_or_insert(&mut self, prefix: Prefix) -> DestId {
        let (address, len) = (A::from_bits(prefix.bits()), prefix.len());
        let hash = self.hasher.hash_one((address, len));
        let entries = &self.entries;
        let same = |id: &DestId| {
            let entry = entries.get(*id);
            entry.address == address && entry.len == len
        };
        if let Some(id) = self.index.find(hash, same) {
            return *id;
        }
        let id = self.entries.insert(Entry { address, first: NONE, len, disturbed: false });
        self.lengths[usize::from(len)] += 1;
        let (entries, hasher) = (&self.entries, &self.hasher);
        self.index.insert_unique(hash, id, |id| {
            let entry = entries.get(*id);
            hasher.hash_one((entry.address, entry.len))
        });
        id
    }

    fn remove(&mut self, id: DestId) {
        let Entry { address, len, .. } = *self.entries.get(id);
        if let Ok(found) = self.index.find_entry(self.hasher.hash_one((address, len)), |other| *other == id) {
            found.remove();
        }
        self.lengths[usize::from(len)] -= 1;
        self.entries.remove(id);
        if self.index.len() < self.index.capacity() / 8 && self.index.capacity() > 1024 {
            let (entries, hasher) = (&self.entries, &self.hasher);
            self.index.shrink_to(0, |id| {
                let entry = entries.get(*id);
                hasher.hash_one((entry.address, entry.len))
            });
        }
    }

    fn prefix(&self, id: DestId) -> Prefix {
        let entry = self.entries.get(id);
        Prefix::from_bits(A::FAMILY, entry.address.bits(), entry.len)
    }

    fn find_address(&self, range: Range<DestId>, wanted: impl Fn(u128) -> bool) -> Option<DestId> {
        let mut slots = self.entries.slots(range);
        slots.find(|(_, entry)| entry.len != FREE && wanted(entry.address.bits())).map(|(id, _)| id)
    }

    fn in_use(&self, id: DestId) -> bool {
        self.entries.peek(id).is_some_and(|entry| entry.len != FREE)
    }
}

/// The destinations of one family.
#[derive(Debug)]
pub(crate) enum Destinations {
    V4(V4),
    V6(V6),
}

/// See [`Destinations`].
#[derive(Debug)]
pub(crate) struct V4(Dense<u32>);
/// See [`Destinations`].
#[derive(Debug)]
pub(crate) struct V6(Dense<Wide>);

/// The same expression for either width.
macro_rules! either {
    ($self:expr, $dense:ident => $body:expr) => {
        match $self {
            Destinations::V4(V4($dense)) => $body,
            Destinations::V6(V6($dense)) => $body,
        }
    };
}

impl Destinations {
    pub(crate) fn new(family: Family, hash_seed: u64) -> Destinations {
        match family {
            Family::Ipv4 => Destinations::V4(V4(Dense::new(hash_seed))),
            Family::Ipv6 => Destinations::V6(V6(Dense::new(hash_seed))),
        }
    }

    /// The number of a prefix of this family, if it has one.
    #[inline]
    pub(crate) fn find(&self, prefix: Prefix) -> Option<DestId> {
        either!(self, dense => dense.find(prefix))
    }

    /// The number of a prefix of this family.
    #[inline]
    pub(crate) fn find_or_insert(&mut self, prefix: Prefix) -> DestId {
        either!(self, dense => dense.find_or_insert(prefix))
    }

    /// Frees a number that is in use.
    pub(crate) fn remove(&mut self, id: DestId) {
        either!(self, dense => dense.remove(id));
    }

    /// The prefix of a number that is in use.
    #[inline]
    pub(crate) fn prefix(&self, id: DestId) -> Prefix {
        either!(self, dense => dense.prefix(id))
    }

    /// Whether the number stands for a prefix.
    pub(crate) fn in_use(&self, id: DestId) -> bool {
        either!(self, dense => dense.in_use(id))
    }

    /// The first number in use, of a range, whose prefix has a wanted first address (left-aligned bits).
    pub(crate) fn find_address(&self, range: Range<DestId>, wanted: impl Fn(u128) -> bool) -> Option<DestId> {
        either!(self, dense => dense.find_address(range, wanted))
    }

    /// The first path, or [`NONE`].
    #[inline]
    pub(crate) fn first(&self, id: DestId) -> u32 {
        either!(self, dense => dense.entries.get(id).first)
    }

    /// Sets the first path.
    #[inline]
    pub(crate) fn set_first(&mut self, id: DestId, path: u32) {
        either!(self, dense => dense.entries.get_mut(id).first = path);
    }

    /// Notes that a selected path went; the next decision must count as a change.
    pub(crate) fn disturb(&mut self, id: DestId) {
        either!(self, dense => dense.entries.get_mut(id).disturbed = true);
    }

    /// Whether [`Destinations::disturb`] was called since the last question.
    #[inline]
    pub(crate) fn take_disturbed(&mut self, id: DestId) -> bool {
        either!(self, dense => std::mem::take(&mut dense.entries.get_mut(id).disturbed))
    }

    /// How many prefixes there are.
    pub(crate) fn len(&self) -> usize {
        either!(self, dense => dense.entries.len())
    }

    /// Every number in use is below this.
    pub(crate) fn end(&self) -> DestId {
        either!(self, dense => dense.entries.end())
    }

    /// Whether some prefix has this length.
    pub(crate) fn has_length(&self, len: u8) -> bool {
        either!(self, dense => dense.lengths.get(usize::from(len)).is_some_and(|count| *count > 0))
    }

    /// Bytes on the heap.
    pub(crate) fn memory(&self) -> usize {
        either!(self, dense => dense.entries.memory() + dense.index.allocation_size())
    }
}
