//! Prefix sets: one binary search answers, however many entries the set has.
//!
//! Entries are sorted; each carries the lengths allowed by itself and by every entry that covers it, so the longest
//! covering entry alone decides. It is found from the last entry not after the prefix: that one, or one it lies in.
//! The search is narrowed by a table of where each run of equal leading bits begins, which saves most cache misses.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::ops::Range;

use siskin_net::Prefix;

use crate::PrefixPattern;

/// Prefix lengths from 0 to 128.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
struct Lengths {
    below_128: u128,
    full: bool,
}

impl Lengths {
    fn of(pattern: PrefixPattern) -> Lengths {
        let (shortest, longest) = pattern.lengths();
        (shortest..=longest).fold(Lengths::default(), |mut set, len| {
            match 1u128.checked_shl(u32::from(len)) {
                Some(bit) => set.below_128 |= bit,
                None => set.full = true,
            }
            set
        })
    }

    fn contains(self, len: u8) -> bool {
        match 1u128.checked_shl(u32::from(len)) {
            Some(bit) => self.below_128 & bit != 0,
            None => self.full,
        }
    }

    /// The lengths from `len` on: what a cover allows to a prefix of that length and those within it.
    fn from(self, len: u8) -> Lengths {
        let below_128 = u128::MAX.checked_shl(u32::from(len)).unwrap_or(0);
        Lengths { below_128: self.below_128 & below_128, full: self.full }
    }

    fn union(self, other: Lengths) -> Lengths {
        Lengths { below_128: self.below_128 | other.below_128, full: self.full | other.full }
    }
}

/// A compiled set of [`PrefixPattern`]s. Takes 32 to 40 bytes an entry; sets of the same patterns compare equal.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct PrefixSet {
    entries: Vec<Entry>,
    lengths: Vec<Lengths>,
    index: Index,
}

/// Where to search: entries in buckets by family and the leading `bits` of their addresses.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
struct Index {
    /// From [`Index::MIN_BITS`] to [`Index::MAX_BITS`], and so many that a bucket holds about one entry if they are spread
    /// evenly.
    bits: u32,
    /// The number of the first entry of each bucket, and at the end how many there are.
    starts: Vec<u32>,
}

impl Index {
    /// Few enough for 2 KiB a set, and so many that what a short list says of most addresses is an empty bucket.
    const MIN_BITS: u32 = 8;
    const MAX_BITS: u32 = 16;

    /// `entries` are sorted.
    fn new(entries: &[Entry]) -> Index {
        if entries.is_empty() {
            return Index::default();
        }
        let bits = entries.len().checked_ilog2().unwrap_or(0).clamp(Index::MIN_BITS, Index::MAX_BITS);
        let mut index = Index { bits, starts: Vec::new() };
        for (number, entry) in (0u32..).zip(entries) {
            let bucket = index.bucket(entry.prefix);
            index.starts.resize(index.starts.len().max(bucket.saturating_add(1)), number);
        }
        index.starts.resize((2 << bits) + 1, u32::try_from(entries.len()).unwrap_or(u32::MAX));
        index
    }

    fn bucket(&self, prefix: Prefix) -> usize {
        let leading = prefix.bits().checked_shr(128 - self.bits).unwrap_or(0);
        let family = (prefix.family() as usize) << self.bits;
        family | usize::try_from(leading).unwrap_or(0)
    }

    /// The entries among which the last one not after `prefix` is, unless it is the one before them.
    fn range(&self, prefix: Prefix) -> Option<Range<usize>> {
        let bucket = self.bucket(prefix);
        let start = |bucket: usize| self.starts.get(bucket).map(|s| *s as usize);
        Some(start(bucket)?..start(bucket.saturating_add(1))?)
    }
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Entry {
    prefix: Prefix,
    /// The nearest entry that covers this one, counted from 1; 0: there is none.
    parent: u32,
    /// An index into `lengths`.
    lengths: u32,
}

impl Entry {
    /// Whether it sorts before or with a prefix of its family. As [`Ord`] has it, without a jump to guess wrong.
    #[inline]
    fn not_after(&self, prefix: Prefix) -> bool {
        let (own, other) = (self.prefix.bits(), prefix.bits());
        (own < other) | (own == other) & (self.prefix.len() <= prefix.len())
    }
}

impl PrefixSet {
    /// Whether one of the patterns matches `prefix`.
    #[must_use]
    pub fn contains(&self, prefix: Prefix) -> bool {
        self.longest_cover(prefix)
            .and_then(|entry| self.lengths.get(entry.lengths as usize))
            .is_some_and(|lengths| lengths.contains(prefix.len()))
    }

    /// Whether `prefix` is or lies within one of the prefixes, whatever lengths their patterns ask for.
    #[must_use]
    pub fn covers(&self, prefix: Prefix) -> bool {
        self.longest_cover(prefix).is_some()
    }

    /// Whether `address` lies within one of the prefixes, whatever lengths their patterns ask for.
    #[must_use]
    pub fn contains_address(&self, address: IpAddr) -> bool {
        self.covers(Prefix::host(address))
    }

    /// Patterns that make this set again, in order; some may be implied by others.
    pub fn patterns(&self) -> impl Iterator<Item = PrefixPattern> + '_ {
        self.entries.iter().flat_map(|entry| {
            let lengths = self.lengths.get(entry.lengths as usize).copied().unwrap_or_default();
            let range = entry.prefix.len()..=entry.prefix.family().max_len();
            let all: Vec<u8> = range.filter(|len| lengths.contains(*len)).collect();
            let runs = all.chunk_by(|a, b| a.saturating_add(1) == *b);
            let pattern = |run: &[u8]| PrefixPattern::with_lengths(entry.prefix, *run.first()?, *run.last()?);
            runs.filter_map(pattern).collect::<Vec<_>>()
        })
    }

    /// How many entries the set takes; patterns that another one implies are not kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nothing matches.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn longest_cover(&self, prefix: Prefix) -> Option<&Entry> {
        let range = self.index.range(prefix)?;
        let bucket = self.entries.get(range.clone())?;
        let mut index = range.start + bucket.partition_point(|entry| entry.not_after(prefix));
        loop {
            let entry = self.entries.get(index.checked_sub(1)?)?;
            if entry.prefix.covers(prefix) {
                return Some(entry);
            }
            index = entry.parent as usize;
        }
    }
}

impl fmt::Debug for PrefixSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.entries.iter().map(|entry| entry.prefix)).finish()
    }
}

impl FromIterator<PrefixPattern> for PrefixSet {
    fn from_iter<I: IntoIterator<Item = PrefixPattern>>(patterns: I) -> PrefixSet {
        let mut patterns: Vec<PrefixPattern> = patterns.into_iter().collect();
        patterns.sort_unstable();
        let mut set = PrefixSet {
            entries: Vec::with_capacity(patterns.len()),
            lengths: Vec::new(),
            index: Index::default(),
        };
        let mut numbers: BTreeMap<Lengths, u32> = BTreeMap::new();
        let mut covering: Vec<(Prefix, u32, Lengths)> = Vec::new();
        for group in patterns.chunk_by(|a, b| a.prefix() == b.prefix()) {
            let Some(prefix) = group.first().map(|p| p.prefix()) else { continue };
            while covering.last().is_some_and(|(outer, ..)| !outer.covers(prefix)) {
                covering.pop();
            }
            let (parent, inherited) = match covering.last() {
                Some((_, number, lengths)) => (*number, lengths.from(prefix.len())),
                None => (0, Lengths::default()),
            };
            let lengths = group.iter().map(|p| Lengths::of(*p)).fold(inherited, Lengths::union);
            if lengths == inherited {
                continue;
            }
            let number = *numbers.entry(lengths).or_insert_with(|| {
                set.lengths.push(lengths);
                u32::try_from(set.lengths.len() - 1).unwrap_or(u32::MAX)
            });
            set.entries.push(Entry { prefix, parent, lengths: number });
            covering.push((prefix, u32::try_from(set.entries.len()).unwrap_or(u32::MAX), lengths));
        }
        set.entries.shrink_to_fit();
        set.index = Index::new(&set.entries);
        set
    }
}
