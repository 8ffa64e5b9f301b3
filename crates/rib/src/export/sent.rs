//! Adj-RIB-Out of an update group: for each destination the attribute set, before export, whose export was sent last,
//! and who it came from. What was sent follows from that, so it is never stored itself.

use siskin_net::PeerId;

use crate::attrs::AttrId;
use crate::table::DestId;

const CHUNK: usize = 4096;

/// The route a group was sent the export of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Input {
    pub(crate) attributes: AttrId,
    /// Who it came from; [`OWN_DEFAULT`] of a default route made for the group.
    pub(crate) source: PeerId,
}

/// Stands for the source of `default_originate`.
pub(crate) const OWN_DEFAULT: PeerId = PeerId(u16::MAX);

#[derive(Clone, Debug)]
struct Chunk {
    attributes: [AttrId; CHUNK],
    sources: [PeerId; CHUNK],
    live: u32,
}

/// What was sent, by destination. Whoever changes it keeps the references to the sets.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sent {
    chunks: Vec<Option<Box<Chunk>>>,
    count: u64,
    /// How many entries came from each peer.
    by_source: Vec<u64>,
}

impl Sent {
    #[inline]
    pub(crate) fn get(&self, dest: DestId) -> Option<Input> {
        let chunk = self.chunks.get(dest as usize / CHUNK)?.as_deref()?;
        let attributes = chunk.attributes[dest as usize % CHUNK];
        (attributes != AttrId::NONE)
            .then(|| Input { attributes, source: chunk.sources[dest as usize % CHUNK] })
    }

    /// Sets an entry and returns what stood there.
    pub(crate) fn set(&mut self, dest: DestId, input: Option<Input>) -> Option<Input> {
        let old = self.get(dest);
        if old == input {
            return old;
        }
        let (index, slot) = (dest as usize / CHUNK, dest as usize % CHUNK);
        if index >= self.chunks.len() {
            self.chunks.resize(index + 1, None);
        }
        let chunk = self.chunks[index].get_or_insert_with(|| {
            Box::new(Chunk { attributes: [AttrId::NONE; CHUNK], sources: [PeerId(0); CHUNK], live: 0 })
        });
        if let Some(old) = old {
            self.count -= 1;
            self.by_source[usize::from(old.source.0)] -= 1;
            chunk.live -= 1;
        }
        chunk.attributes[slot] = input.map_or(AttrId::NONE, |input| input.attributes);
        if let Some(input) = input {
            chunk.sources[slot] = input.source;
            chunk.live += 1;
            self.count += 1;
            let source = usize::from(input.source.0);
            if source >= self.by_source.len() {
                self.by_source.resize(source + 1, 0);
            }
            self.by_source[source] += 1;
        } else if chunk.live == 0 {
            self.chunks[index] = None;
        }
        old
    }

    /// How many entries did not come from `peer`: what it was sent.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// Entries that a peer is sent: not its own.
    pub(crate) fn count_for(&self, peer: PeerId) -> u64 {
        self.count - self.by_source.get(usize::from(peer.0)).copied().unwrap_or(0)
    }

    /// The entries in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (DestId, Input)> + '_ {
        let chunks = self.chunks.iter().enumerate().filter_map(|(n, c)| Some((n, c.as_deref()?)));
        chunks.flat_map(|(n, chunk)| {
            chunk.attributes.iter().zip(&chunk.sources).enumerate().filter_map(move |(slot, (a, s))| {
                let dest = DestId::try_from(n * CHUNK + slot).unwrap_or(DestId::MAX);
                (*a != AttrId::NONE).then_some((dest, Input { attributes: *a, source: *s }))
            })
        })
    }

    /// Takes entries out, a chunk at a time, until `left` is used up. True if there are more.
    pub(crate) fn release_some(&mut self, left: &mut usize, mut release: impl FnMut(Input)) -> bool {
        while *left > 0 {
            let Some(chunk) = self.chunks.pop() else { return false };
            let Some(chunk) = chunk else { continue };
            *left = left.saturating_sub(CHUNK);
            for (attributes, source) in chunk.attributes.iter().zip(&chunk.sources) {
                if *attributes != AttrId::NONE {
                    release(Input { attributes: *attributes, source: *source });
                }
            }
        }
        !self.chunks.is_empty()
    }

    /// Bytes on the heap.
    pub(crate) fn memory(&self) -> usize {
        let chunks = self.chunks.iter().flatten().count();
        chunks * size_of::<Chunk>() + self.chunks.capacity() * size_of::<Option<Box<Chunk>>>()
    }
}
