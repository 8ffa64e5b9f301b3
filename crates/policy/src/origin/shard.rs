//! One shard of a table of VRPs: sorted, each VRP linked to the next longest that covers whatever it covers.
//!
//! A search finds the last VRP not after a prefix. That one, or one it is linked to, is the longest that covers the
//! prefix, and from there every link leads to another that does. A small index narrows the search, which saves most
//! of its cache misses.

use siskin_net::{Asn, Family, Prefix, Vrp, mask};

/// The bits of a prefix behind its shard's, and how many they are, in one number that sorts as prefixes do: the bits
/// first, left-aligned, then the length in the last octet.
pub(super) trait Key: Copy + Ord {
    /// How many leading bits tell the shards of the family apart.
    const SHARD_BITS: u8;
    /// The family.
    const FAMILY: Family;
    /// From left-aligned bits.
    fn pack(bits: u128, len: u8) -> Self;
    /// The bits, left-aligned.
    fn bits(self) -> u128;
    /// How many they are.
    fn len(self) -> u8;
}

impl Key for u32 {
    const SHARD_BITS: u8 = 8;
    const FAMILY: Family = Family::Ipv4;

    fn pack(bits: u128, len: u8) -> u32 {
        ((bits >> 96) as u32) & !0xff | u32::from(len)
    }

    fn bits(self) -> u128 {
        u128::from(self & !0xff) << 96
    }

    #[expect(clippy::cast_possible_truncation, reason = "the last octet")]
    fn len(self) -> u8 {
        self as u8
    }
}

impl Key for u128 {
    const SHARD_BITS: u8 = 16;
    const FAMILY: Family = Family::Ipv6;

    fn pack(bits: u128, len: u8) -> u128 {
        bits & !0xff | u128::from(len)
    }

    fn bits(self) -> u128 {
        self & !0xff
    }

    #[expect(clippy::cast_possible_truncation, reason = "the last octet")]
    fn len(self) -> u8 {
        self as u8
    }
}

/// A VRP of a shard.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Item<K> {
    key: K,
    max_len: u8,
    asn: u32,
}

impl<K: Key> Item<K> {
    /// `sharded`: it has a shard's leading bits, which are left out.
    pub(super) fn new(vrp: Vrp, sharded: bool) -> Item<K> {
        let shift = if sharded { K::SHARD_BITS } else { 0 };
        Item { key: pack(vrp.prefix, shift), max_len: vrp.max_len, asn: vrp.asn.0 }
    }
}

fn pack<K: Key>(prefix: Prefix, shift: u8) -> K {
    K::pack(prefix.bits() << shift, prefix.len().saturating_sub(shift))
}

/// VRPs with the same leading bits, sorted by prefix. At most [`Shard::MAX_LEN`]: the last of more are left out.
pub(super) struct Shard<K> {
    /// The leading bits that the keys leave out, left-aligned, and how many.
    leading: u128,
    shift: u8,
    entries: Box<[Entry<K>]>,
    /// How many bits of a key select a bucket, and the number of the first VRP of each bucket and of the end.
    index_bits: u32,
    starts: Box<[u32]>,
}

/// A VRP and where to look next. All in one place: a lookup waits for memory, for little else.
struct Entry<K> {
    key: K,
    asn: u32,
    /// In the upper 24 bits the next VRP to look at, counted from 1: the one before it of the same prefix, else of the
    /// longest prefix that covers this one; 0: there is none. In the last octet the longest length allowed.
    link_and_max_len: u32,
}

impl<K> Entry<K> {
    fn new(item: Item<K>, link: u32) -> Entry<K> {
        let Item { key, max_len, asn } = item;
        Entry { key, asn, link_and_max_len: link << 8 | u32::from(max_len) }
    }

    fn link(&self) -> usize {
        (self.link_and_max_len >> 8) as usize
    }

    #[expect(clippy::cast_possible_truncation, reason = "the last octet")]
    fn max_len(&self) -> u8 {
        self.link_and_max_len as u8
    }
}

impl<K> Default for Shard<K> {
    fn default() -> Shard<K> {
        Shard { leading: 0, shift: 0, entries: Box::default(), index_bits: 0, starts: Box::default() }
    }
}

/// A VRP in its shard.
pub(super) struct Found<'a, K> {
    shard: &'a Shard<K>,
    entry: &'a Entry<K>,
}

impl<K: Key> Found<'_, K> {
    pub(super) fn asn(&self) -> Asn {
        Asn(self.entry.asn)
    }

    pub(super) fn max_len(&self) -> u8 {
        self.entry.max_len()
    }

    pub(super) fn vrp(self) -> Vrp {
        let Shard { leading, shift, .. } = *self.shard;
        let key = self.entry.key;
        let prefix =
            Prefix::from_bits(K::FAMILY, leading | key.bits() >> shift, key.len().saturating_add(shift));
        Vrp { prefix, max_len: self.max_len(), asn: self.asn() }
    }
}

impl<K> Shard<K> {
    /// What 24 bits can count.
    const MAX_LEN: usize = 0xff_ffff;

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The memory it takes, in octets.
    pub(super) fn bytes(&self) -> usize {
        size_of::<Shard<K>>() + size_of_val(&*self.entries) + size_of_val(&*self.starts)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Found<'_, K>> {
        self.entries.iter().map(|entry| Found { shard: self, entry })
    }
}

impl<K: Key> Shard<K> {
    /// The largest index: 65,536 buckets.
    const MAX_INDEX_BITS: u32 = 16;

    /// This shard without `withdrawn`, then with `announced`. It is named by `shift` `leading` bits.
    pub(super) fn changed(
        &self,
        leading: u128,
        shift: u8,
        mut withdrawn: Vec<Item<K>>,
        announced: Vec<Item<K>>,
    ) -> Shard<K> {
        withdrawn.sort_unstable();
        let mut items = announced;
        items.sort_unstable();
        items.reserve(self.entries.len());
        items.extend(self.items().filter(|item| withdrawn.binary_search(item).is_err()));
        // Two sorted runs: this sort sees that and only merges them.
        items.sort();
        items.dedup();
        items.truncate(Self::MAX_LEN);
        Shard::from_sorted(leading, shift, &items)
    }

    fn items(&self) -> impl Iterator<Item = Item<K>> {
        self.entries.iter().map(|entry| Item { key: entry.key, max_len: entry.max_len(), asn: entry.asn })
    }

    fn from_sorted(leading: u128, shift: u8, items: &[Item<K>]) -> Shard<K> {
        let index_bits = items.len().checked_ilog2().unwrap_or(0).saturating_sub(2).min(Self::MAX_INDEX_BITS);
        // The prefixes that cover the one at hand, with the number of the last VRP of each.
        let mut open: Vec<(K, u32)> = Vec::new();
        let mut entries = Vec::with_capacity(items.len());
        let mut starts: Vec<u32> = Vec::with_capacity((1 << index_bits) + 1);
        for (number, item) in (1u32..).zip(items) {
            while open.last().is_some_and(|(key, _)| !covers(*key, item.key.bits(), item.key.len())) {
                open.pop();
            }
            entries.push(Entry::new(*item, open.last().map_or(0, |(_, number)| *number)));
            if open.last().is_some_and(|(key, _)| *key == item.key) {
                open.pop();
            }
            open.push((item.key, number));
            let buckets = bucket(item.key, index_bits).saturating_add(1);
            starts.resize(starts.len().max(buckets), number.saturating_sub(1));
        }
        starts.resize((1 << index_bits) + 1, u32::try_from(items.len()).unwrap_or(u32::MAX));
        Shard { leading, shift, entries: entries.into(), index_bits, starts: starts.into() }
    }

    /// The VRPs that cover `prefix`, the longest first.
    pub(super) fn covering(&self, prefix: Prefix) -> impl Iterator<Item = Found<'_, K>> {
        let mut next = self.closest(prefix);
        std::iter::from_fn(move || {
            let entry = next?;
            next = self.numbered(entry.link());
            Some(Found { shard: self, entry })
        })
    }

    /// The longest VRP that covers `prefix`.
    fn closest(&self, prefix: Prefix) -> Option<&Entry<K>> {
        let wanted: K = pack(prefix, self.shift);
        let bucket = bucket(wanted, self.index_bits);
        let start = |bucket: usize| self.starts.get(bucket).map(|start| *start as usize);
        let range = start(bucket)?..start(bucket.saturating_add(1))?;
        let entries = self.entries.get(range.clone())?;
        // The last one not after the prefix: it, or one it is linked to, covers the prefix if any does.
        let last = range.start + entries.partition_point(|entry| entry.key <= wanted);
        let (bits, len) = (prefix.bits() << self.shift, prefix.len().saturating_sub(self.shift));
        let mut entry = self.numbered(last)?;
        while !covers(entry.key, bits, len) {
            entry = self.numbered(entry.link())?;
        }
        Some(entry)
    }

    fn numbered(&self, number: usize) -> Option<&Entry<K>> {
        self.entries.get(number.checked_sub(1)?)
    }
}

fn bucket<K: Key>(key: K, index_bits: u32) -> usize {
    let leading = key.bits().checked_shr(128 - index_bits).unwrap_or(0);
    usize::try_from(leading).unwrap_or(0)
}

/// Whether the prefix of a key covers one of `len` left-aligned `bits`.
fn covers<K: Key>(key: K, bits: u128, len: u8) -> bool {
    key.len() <= len && (key.bits() ^ bits) & mask(key.len()) == 0
}
