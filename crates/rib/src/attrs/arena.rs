//! Where the compact bytes of attribute sets lie: pages of slots of one size, so that a set costs its length rounded up
//! to eight and no header. A page that empties goes back to the allocator.

/// Slots come in multiples of this many bytes.
const GRAIN: usize = 8;
/// Longer sets get a page of their own.
const LARGEST: usize = 512;
/// Bytes of a page of slots.
const PAGE: usize = 32 * 1024;
const NO_SLOT: u16 = u16::MAX;

/// Where bytes lie: page and slot.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Place {
    page: u32,
    slot: u16,
}

#[derive(Debug, Default)]
struct Page {
    bytes: Box<[u8]>,
    slot: u32,
    live: u16,
    /// Slots from here on were never used.
    fresh: u16,
    /// First slot that was used before; each holds the number of the next in its first two bytes.
    free: u16,
    open: bool,
}

#[derive(Debug)]
pub(super) struct Arena {
    pages: Vec<Page>,
    /// Numbers of pages without bytes.
    vacant: Vec<u32>,
    /// For each size the pages with room.
    open: Vec<Vec<u32>>,
}

impl Default for Arena {
    fn default() -> Self {
        Arena { pages: Vec::new(), vacant: Vec::new(), open: vec![Vec::new(); LARGEST / GRAIN + 1] }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "pages, slots and sizes are small by construction")]
impl Arena {
    /// Stores a copy of `bytes`.
    pub(super) fn insert(&mut self, bytes: &[u8]) -> Place {
        let size = bytes.len().max(1).next_multiple_of(GRAIN);
        let index = if size > LARGEST { self.new_page(size, 1) } else { self.page_with_room(size) };
        let page = &mut self.pages[index as usize];
        let slot = if page.free == NO_SLOT {
            page.fresh += 1;
            page.fresh - 1
        } else {
            let slot = page.free;
            let start = usize::from(slot) * page.slot as usize;
            page.free = u16::from_ne_bytes([page.bytes[start], page.bytes[start + 1]]);
            slot
        };
        page.live += 1;
        let start = usize::from(slot) * page.slot as usize;
        page.bytes[start..start + bytes.len()].copy_from_slice(bytes);
        if page.live as usize == page.bytes.len() / page.slot as usize {
            page.open = false;
            if size <= LARGEST {
                self.open[size / GRAIN].pop();
            }
        }
        Place { page: index, slot }
    }

    fn page_with_room(&mut self, size: usize) -> u32 {
        if let Some(index) = self.open[size / GRAIN].last() {
            return *index;
        }
        let index = self.new_page(size, PAGE / size);
        self.open[size / GRAIN].push(index);
        index
    }

    fn new_page(&mut self, slot: usize, slots: usize) -> u32 {
        let page = Page {
            bytes: vec![0; slot * slots].into_boxed_slice(),
            slot: slot as u32,
            live: 0,
            fresh: 0,
            free: NO_SLOT,
            open: true,
        };
        if let Some(index) = self.vacant.pop() {
            self.pages[index as usize] = page;
            return index;
        }
        self.pages.push(page);
        self.pages.len() as u32 - 1
    }

    /// The `len` bytes at `place`, which is in use.
    pub(super) fn get(&self, place: Place, len: usize) -> &[u8] {
        let page = &self.pages[place.page as usize];
        let start = usize::from(place.slot) * page.slot as usize;
        &page.bytes[start..start + len]
    }

    /// Frees `place`, which is in use.
    pub(super) fn remove(&mut self, place: Place) {
        let Place { page: index, slot } = place;
        let page = &mut self.pages[index as usize];
        let size = page.slot as usize;
        page.live -= 1;
        if page.live == 0 {
            if size <= LARGEST {
                self.open[size / GRAIN].retain(|open| *open != index);
            }
            *page = Page::default();
            self.vacant.push(index);
            return;
        }
        let start = usize::from(slot) * size;
        page.bytes[start..start + 2].copy_from_slice(&page.free.to_ne_bytes());
        page.free = slot;
        if !page.open {
            page.open = true;
            self.open[size / GRAIN].push(index);
        }
    }

    /// Bytes on the heap.
    pub(super) fn memory(&self) -> usize {
        let bytes: usize = self.pages.iter().map(|p| p.bytes.len()).sum();
        bytes + self.pages.capacity() * size_of::<Page>()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn keeps_what_it_was_given(steps in prop::collection::vec((0usize..2000, any::<u8>(), any::<bool>()), 1..400)) {
            let mut arena = Arena::default();
            let mut model: Vec<(Place, Vec<u8>)> = Vec::new();
            for (number, fill, add) in steps {
                if add || model.is_empty() {
                    let bytes = vec![fill; if number > 700 { number } else { number % 90 }];
                    model.push((arena.insert(&bytes), bytes));
                } else {
                    let (place, _) = model.swap_remove(number % model.len());
                    arena.remove(place);
                }
                for (place, bytes) in &model {
                    prop_assert_eq!(arena.get(*place, bytes.len()), &bytes[..]);
                }
            }
            for (place, _) in model {
                arena.remove(place);
            }
            prop_assert_eq!(arena.pages.iter().map(|p| p.bytes.len()).sum::<usize>(), 0);
        }
    }
}
