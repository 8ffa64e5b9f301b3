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

/// VRPs with the same leading bits, sorted by prefix. What a search reads stands apart from what only a hit does.
pub(super) struct Shard<K> {
    /// The leading bits that the keys leave out, left-aligned, and how many.
    leading: u128,
    shift: u8,
    keys: Box<[K]>,
    nodes: Box<[Node]>,
    max_lens: Box<[u8]>,
    /// How many bits of a key select a bucket, and the number of the first VRP of each bucket and of the end.
    index_bits: u32,
    starts: Box<[u32]>,
}

struct Node {
    /// The next VRP to look at, counted from 1: the one before it of the same prefix, else of the longest prefix that
    /// covers this one; 0: there is none.
    link: u32,
    asn: u32,
}

impl<K> Default for Shard<K> {
    fn default() -> Shard<K> {
        Shard {
            leading: 0,
            shift: 0,
            keys: Box::default(),
            nodes: Box::default(),
            max_lens: Box::default(),
            index_bits: 0,
            starts: Box::default(),
        }
    }
}

/// A VRP in its shard.
#[derive(Clone, Copy)]
pub(super) struct Found<'a, K> {
    shard: &'a Shard<K>,
    index: usize,
}

impl<K: Key> Found<'_, K> {
    pub(super) fn asn(self) -> Asn {
        Asn(self.shard.nodes.get(self.index).map_or(0, |node| node.asn))
    }

    pub(super) fn max_len(self) -> u8 {
        self.shard.max_lens.get(self.index).copied().unwrap_or(0)
    }

    pub(super) fn vrp(self) -> Vrp {
        let shard = self.shard;
        let (bits, len) = shard.keys.get(self.index).map_or((0, 0), |key| (key.bits(), key.len()));
        let bits = shard.leading | bits >> shard.shift;
        let prefix = Prefix::from_bits(K::FAMILY, bits, len.saturating_add(shard.shift));
        Vrp { prefix, max_len: self.max_len(), asn: self.asn() }
    }
}

impl<K> Shard<K> {
    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    /// The memory it takes, in octets.
    pub(super) fn bytes(&self) -> usize {
        size_of::<Shard<K>>()
            + size_of_val(&*self.keys)
            + size_of_val(&*self.nodes)
            + size_of_val(&*self.max_lens)
            + size_of_val(&*self.starts)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Found<'_, K>> {
        (0..self.keys.len()).map(|index| Found { shard: self, index })
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
        let kept = self.items().filter(|item| withdrawn.binary_search(item).is_err());
        items.extend(kept);
        // Two sorted runs: this sort sees that and only merges them.
        items.sort();
        items.dedup();
        Shard::from_sorted(leading, shift, &items)
    }

    fn items(&self) -> impl Iterator<Item = Item<K>> {
        let parts = self.keys.iter().zip(&*self.nodes).zip(&*self.max_lens);
        parts.map(|((key, node), max_len)| Item { key: *key, max_len: *max_len, asn: node.asn })
    }

    fn from_sorted(leading: u128, shift: u8, items: &[Item<K>]) -> Shard<K> {
        let mut shard = Shard {
            leading,
            shift,
            keys: items.iter().map(|item| item.key).collect(),
            nodes: Box::default(),
            max_lens: items.iter().map(|item| item.max_len).collect(),
            index_bits: items.len().checked_ilog2().unwrap_or(0).saturating_sub(2).min(Self::MAX_INDEX_BITS),
            starts: Box::default(),
        };
        // The prefixes that cover the one at hand, the number of the last VRP of each.
        let mut open: Vec<(K, u32)> = Vec::new();
        let mut nodes = Vec::with_capacity(items.len());
        let mut starts: Vec<u32> = Vec::new();
        for (number, item) in (1u32..).zip(items) {
            while open.last().is_some_and(|(key, _)| !covers(*key, item.key.bits(), item.key.len())) {
                open.pop();
            }
            nodes.push(Node { link: open.last().map_or(0, |(_, number)| *number), asn: item.asn });
            if open.last().is_some_and(|(key, _)| *key == item.key) {
                open.pop();
            }
            open.push((item.key, number));
            let buckets = shard.bucket(item.key).saturating_add(1);
            starts.resize(starts.len().max(buckets), number.saturating_sub(1));
        }
        starts.resize((1 << shard.index_bits) + 1, u32::try_from(items.len()).unwrap_or(u32::MAX));
        (shard.nodes, shard.starts) = (nodes.into(), starts.into());
        shard
    }

    fn bucket(&self, key: K) -> usize {
        let leading = key.bits().checked_shr(128 - self.index_bits).unwrap_or(0);
        usize::try_from(leading).unwrap_or(0)
    }

    /// The VRPs that cover `prefix`, the longest first.
    pub(super) fn covering(&self, prefix: Prefix) -> impl Iterator<Item = Found<'_, K>> {
        let mut next = self.closest(prefix);
        std::iter::from_fn(move || {
            let index = next.checked_sub(1)?;
            next = self.nodes.get(index)?.link as usize;
            Some(Found { shard: self, index })
        })
    }

    /// The longest VRP that covers `prefix`, counted from 1; 0: there is none.
    fn closest(&self, prefix: Prefix) -> usize {
        let wanted: K = pack(prefix, self.shift);
        let bucket = self.bucket(wanted);
        let start = |bucket: usize| self.starts.get(bucket).map_or(0, |start| *start as usize);
        let range = start(bucket)..start(bucket.saturating_add(1));
        let Some(keys) = self.keys.get(range.clone()) else { return 0 };
        let mut next = range.start + keys.partition_point(|key| *key <= wanted);
        let (bits, len) = (prefix.bits() << self.shift, prefix.len().saturating_sub(self.shift));
        while let Some(index) = next.checked_sub(1) {
            match (self.keys.get(index), self.nodes.get(index)) {
                (Some(key), _) if covers(*key, bits, len) => return next,
                (_, Some(node)) => next = node.link as usize,
                (_, None) => return 0,
            }
        }
        0
    }
}

/// Whether the prefix of a key covers one of `len` left-aligned `bits`.
fn covers<K: Key>(key: K, bits: u128, len: u8) -> bool {
    key.len() <= len && (key.bits() ^ bits) & mask(key.len()) == 0
}
