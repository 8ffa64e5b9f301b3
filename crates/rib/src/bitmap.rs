//! A set of dense numbers, one bit each, with a summary bit for every word: finding the next member of a sparse set
//! of a million looks at a few hundred words, not at all of them.

const BITS: usize = 64;

/// A growing set of `u32`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bitmap {
    words: Vec<u64>,
    summary: Vec<u64>,
    count: usize,
}

impl Bitmap {
    /// How many members there are.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// Whether there is no member.
    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Whether `member` is in the set.
    pub(crate) fn contains(&self, member: u32) -> bool {
        let (word, bit) = split(member);
        self.words.get(word).is_some_and(|w| w & bit != 0)
    }

    /// Adds `member`; true if it was not there.
    pub(crate) fn insert(&mut self, member: u32) -> bool {
        let (word, bit) = split(member);
        if word >= self.words.len() {
            self.words.resize((word + 1).next_multiple_of(BITS), 0);
            self.summary.resize(self.words.len() / BITS, 0);
        }
        let was = self.words[word];
        self.words[word] = was | bit;
        self.summary[word / BITS] |= 1 << (word % BITS);
        let added = was & bit == 0;
        self.count += usize::from(added);
        added
    }

    /// Takes `member` out; true if it was there.
    pub(crate) fn remove(&mut self, member: u32) -> bool {
        let (word, bit) = split(member);
        let Some(slot) = self.words.get_mut(word) else { return false };
        if *slot & bit == 0 {
            return false;
        }
        *slot &= !bit;
        self.count -= 1;
        if *slot == 0 {
            self.summary[word / BITS] &= !(1 << (word % BITS));
        }
        true
    }

    /// The first member that is not below `from`.
    pub(crate) fn next(&self, from: u32) -> Option<u32> {
        let (word, bit) = split(from);
        let rest = self.words.get(word)? & !(bit - 1);
        if rest != 0 {
            return Some(join(word, rest));
        }
        let mut group = (word + 1) / BITS;
        let mut groups = self.summary.get(group)? & (u64::MAX << ((word + 1) % BITS));
        loop {
            if groups != 0 {
                let word = group * BITS + groups.trailing_zeros() as usize;
                return Some(join(word, self.words[word]));
            }
            group += 1;
            groups = *self.summary.get(group)?;
        }
    }

    /// The members in order.
    #[cfg(test)]
    pub(crate) fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        let mut from = Some(0);
        std::iter::from_fn(move || {
            let found = self.next(from?)?;
            from = found.checked_add(1);
            Some(found)
        })
    }

    /// Bytes on the heap.
    pub(crate) fn memory(&self) -> usize {
        (self.words.capacity() + self.summary.capacity()) * size_of::<u64>()
    }
}

impl Extend<u32> for Bitmap {
    fn extend<I: IntoIterator<Item = u32>>(&mut self, members: I) {
        for member in members {
            self.insert(member);
        }
    }
}

fn split(member: u32) -> (usize, u64) {
    (member as usize / BITS, 1 << (member % 64))
}

#[expect(clippy::cast_possible_truncation, reason = "a word index came from a u32")]
fn join(word: usize, bits: u64) -> u32 {
    (word * BITS) as u32 + bits.trailing_zeros()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn behaves_as_a_set(operations in prop::collection::vec((any::<bool>(), 0u32..20_000), 0..300)) {
            let (mut bitmap, mut model) = (Bitmap::default(), BTreeSet::new());
            for (add, member) in operations {
                if add {
                    prop_assert_eq!(bitmap.insert(member), model.insert(member));
                } else {
                    prop_assert_eq!(bitmap.remove(member), model.remove(&member));
                }
                prop_assert_eq!(bitmap.next(member), model.range(member..).next().copied());
            }
            prop_assert_eq!(bitmap.count(), model.len());
            prop_assert_eq!(bitmap.iter().collect::<Vec<_>>(), model.into_iter().collect::<Vec<_>>());
        }
    }
}
