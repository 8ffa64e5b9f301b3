//! Dense numbers for values of one size: numbers are reused, storage grows by whole chunks (nothing is ever copied to
//! grow, so no update waits for it), and a chunk that empties goes back to the allocator.

use std::ops::Range;

/// Values in a chunk.
const CHUNK: usize = 4096;
/// No slot.
pub(crate) const NONE: u32 = u32::MAX;

/// A value that can hold the number of the next free slot while it is free itself.
pub(crate) trait Slot: Copy + Default {
    /// The number kept by [`Slot::set_link`].
    fn link(&self) -> u32;
    /// Keeps a number; the value itself is free and may be overwritten.
    fn set_link(&mut self, link: u32);
}

#[derive(Debug)]
struct Chunk<T> {
    /// Empty while the chunk has no live value.
    items: Box<[T]>,
    /// First free slot that was used before, or [`NONE`].
    free: u32,
    /// Slots from here on were never used.
    fresh: u32,
    live: u32,
    /// Whether the chunk is in `Slab::open`.
    open: bool,
}

/// Values numbered from 0.
#[derive(Debug)]
pub(crate) struct Slab<T> {
    chunks: Vec<Chunk<T>>,
    /// Chunks with room.
    open: Vec<u32>,
    len: usize,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Slab { chunks: Vec::new(), open: Vec::new(), len: 0 }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "slot numbers are u32 by design; 4096 fits")]
impl<T: Slot> Slab<T> {
    /// How many values there are.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Every number in use is below this.
    pub(crate) fn end(&self) -> u32 {
        let full = self.chunks.len().saturating_sub(1) * CHUNK;
        full as u32 + self.chunks.last().map_or(0, |last| last.fresh)
    }

    /// Stores `value` and returns its number.
    pub(crate) fn insert(&mut self, value: T) -> u32 {
        let index = match self.open.last() {
            Some(index) => *index as usize,
            None => {
                let index = self.chunks.len();
                self.chunks.push(Chunk { items: Box::default(), free: NONE, fresh: 0, live: 0, open: true });
                self.open.push(index as u32);
                index
            }
        };
        let chunk = &mut self.chunks[index];
        if chunk.items.is_empty() {
            chunk.items = vec![T::default(); CHUNK].into_boxed_slice();
        }
        let slot = if chunk.free == NONE {
            chunk.fresh += 1;
            chunk.fresh - 1
        } else {
            let slot = chunk.free;
            chunk.free = chunk.items[slot as usize].link();
            slot
        };
        chunk.items[slot as usize] = value;
        chunk.live += 1;
        if chunk.live as usize == CHUNK {
            chunk.open = false;
            self.open.pop();
        }
        self.len += 1;
        (index * CHUNK) as u32 + slot
    }

    /// Frees the number `id`, which is in use.
    pub(crate) fn remove(&mut self, id: u32) {
        let index = id as usize / CHUNK;
        let slot = id as usize % CHUNK;
        let chunk = &mut self.chunks[index];
        chunk.items[slot].set_link(chunk.free);
        chunk.free = slot as u32;
        chunk.live -= 1;
        self.len -= 1;
        if !chunk.open {
            chunk.open = true;
            self.open.push(index as u32);
        }
        if chunk.live == 0 {
            chunk.items = Box::default();
            chunk.free = NONE;
            chunk.fresh = 0;
            self.drop_empty_tail();
        }
    }

    /// Forgets empty chunks at the end, so that walks do not visit numbers long gone.
    fn drop_empty_tail(&mut self) {
        let kept = self.chunks.iter().rposition(|c| c.live > 0).map_or(0, |last| last + 1);
        if kept < self.chunks.len() {
            self.chunks.truncate(kept);
            self.open.retain(|index| (*index as usize) < kept);
        }
    }

    /// The value of a number that is in use.
    #[inline]
    pub(crate) fn get(&self, id: u32) -> &T {
        &self.chunks[id as usize / CHUNK].items[id as usize % CHUNK]
    }

    /// The value of a number that is in use, to change it.
    #[inline]
    pub(crate) fn get_mut(&mut self, id: u32) -> &mut T {
        &mut self.chunks[id as usize / CHUNK].items[id as usize % CHUNK]
    }

    /// What stands at `id`: a value in use, or whatever its slot holds while free; `None` where no slot is.
    pub(crate) fn peek(&self, id: u32) -> Option<&T> {
        self.chunks.get(id as usize / CHUNK)?.items.get(id as usize % CHUNK)
    }

    /// What stands at the numbers of a range, as [`Slab::peek`] has it, with the numbers.
    pub(crate) fn slots(&self, range: Range<u32>) -> impl Iterator<Item = (u32, &T)> {
        let (from, to) = (range.start as usize, range.end as usize);
        let chunks = self.chunks.iter().enumerate().take(to.div_ceil(CHUNK)).skip(from / CHUNK);
        chunks.flat_map(move |(index, chunk)| {
            let start = index * CHUNK;
            let first = from.saturating_sub(start);
            let end = (to - start).min(chunk.items.len());
            let items = chunk.items.get(first..end).unwrap_or_default();
            ((start + first) as u32..).zip(items)
        })
    }

    /// Bytes on the heap.
    pub(crate) fn memory(&self) -> usize {
        let items: usize = self.chunks.iter().map(|c| size_of_val(&*c.items)).sum();
        items + self.chunks.capacity() * size_of::<Chunk<T>>() + self.open.capacity() * size_of::<u32>()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    impl Slot for u32 {
        fn link(&self) -> u32 {
            *self
        }
        fn set_link(&mut self, link: u32) {
            *self = link;
        }
    }

    #[test]
    fn numbers_are_dense_reused_and_given_back() {
        let mut slab = Slab::default();
        let ids: Vec<u32> = (0..10_000).map(|n| slab.insert(n)).collect();
        assert_eq!(ids, (0..10_000).collect::<Vec<u32>>());
        for id in (0..10_000).filter(|id| id % 3 == 0) {
            slab.remove(id);
        }
        let model: BTreeMap<u32, u32> =
            (0..4000).map(|n| (slab.insert(n + 1_000_000), n + 1_000_000)).collect();
        assert_eq!(model.len(), 4000, "no number is given twice");
        for (id, value) in &model {
            assert_eq!(slab.get(*id), value);
        }
        for id in (0..10_000).filter(|id| id % 3 != 0) {
            assert_eq!(*slab.get(id), id);
        }
        let held: Vec<(u32, u32)> = slab.slots(4000..9000).map(|(id, value)| (id, *value)).collect();
        assert_eq!(held, (4000..9000).map(|id| (id, *slab.get(id))).collect::<Vec<_>>());
        assert_eq!(slab.slots(9_999..20_000).next(), Some((9_999, slab.get(9_999))));
        assert_eq!(slab.slots(20_000..30_000).next(), None);
        let full = slab.memory();
        for id in (0..10_000).filter(|id| id % 3 != 0).chain(model.into_keys()) {
            slab.remove(id);
        }
        assert_eq!((slab.len(), slab.end()), (0, 0));
        assert!(slab.memory() < full / 100);
        assert_eq!(slab.insert(7), 0);
    }
}
