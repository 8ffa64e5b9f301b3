//! The table of one family: destinations, and the paths chained from each.
//!
//! A path is 16 bytes. The best path, where there is one, is first in its chain and carries [`PathFlags::BEST`]: that is
//! the Loc-RIB. A destination keeps its number until no path, no due decision and no update group names it.

mod destinations;

use siskin_net::{Family, PeerId, Prefix};
use siskin_policy::RuleId;

use crate::attrs::AttrId;
use crate::bitmap::Bitmap;
use crate::slab::{NONE, Slab, Slot};

pub(crate) use destinations::{DestId, Destinations};

/// The number of a path in its family's slab.
pub(crate) type PathId = u32;

/// What is known of a path beside its attributes: a set of bits.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct PathFlags(u8);

impl PathFlags {
    /// Import rejected it.
    pub(crate) const REJECTED: PathFlags = PathFlags(1);
    /// It is the best path.
    pub(crate) const BEST: PathFlags = PathFlags(2);
    /// It shares the load (the best path itself included).
    pub(crate) const MULTIPATH: PathFlags = PathFlags(4);
    /// Its attributes are not those the last decision saw.
    pub(crate) const CHANGED: PathFlags = PathFlags(8);
    /// Its next hop is not the one the last decision saw.
    pub(crate) const MOVED: PathFlags = PathFlags(16);

    /// The last decision chose it.
    pub(crate) const SELECTED: PathFlags = PathFlags(2 | 4);
    /// The last decision did not see it as it is.
    pub(crate) const UNSEEN: PathFlags = PathFlags(8 | 16);

    #[inline]
    pub(crate) const fn has(self, other: PathFlags) -> bool {
        self.0 & other.0 != 0
    }

    #[inline]
    pub(crate) fn set(&mut self, other: PathFlags, value: bool) {
        if value {
            self.0 |= other.0;
        } else {
            self.0 &= !other.0;
        }
    }
}

/// One path: what a peer sent for a prefix, and what import made of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Path {
    /// The next path of the destination, or [`NONE`].
    pub(crate) next: PathId,
    /// As received.
    pub(crate) received: AttrId,
    /// As accepted; of a rejected path the rule's number.
    pub(crate) accepted: AttrId,
    /// Who it came from.
    pub(crate) peer: PeerId,
    /// Which of the peer's sessions it belongs to.
    pub(crate) session: u8,
    pub(crate) flags: PathFlags,
}

const _: () = assert!(size_of::<Path>() == 16);

impl Default for Path {
    fn default() -> Self {
        Path {
            next: NONE,
            received: AttrId::NONE,
            accepted: AttrId::NONE,
            peer: PeerId(0),
            session: 0,
            flags: PathFlags::default(),
        }
    }
}

impl Slot for Path {
    fn link(&self) -> u32 {
        self.next
    }
    fn set_link(&mut self, link: u32) {
        self.next = link;
    }
}

impl Path {
    /// The attributes after import, of a path that was accepted.
    #[inline]
    pub(crate) fn accepted(&self) -> Option<AttrId> {
        (!self.flags.has(PathFlags::REJECTED)).then_some(self.accepted)
    }

    /// The rule that rejected it.
    pub(crate) fn rejected_by(&self) -> Option<RuleId> {
        self.flags.has(PathFlags::REJECTED).then_some(RuleId(self.accepted.0))
    }
}

/// All routes of one family.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) family: Family,
    pub(crate) dests: Destinations,
    pub(crate) paths: Slab<Path>,
    /// Destinations to decide.
    pub(crate) dirty: Bitmap,
    /// Destinations whose route in the kernel may have changed.
    pub(crate) fib: Bitmap,
    /// Destinations without a path: to be freed once nothing else names them.
    pub(crate) idle: Bitmap,
}

impl Table {
    pub(crate) fn new(family: Family, hash_seed: u64) -> Table {
        Table {
            family,
            dests: Destinations::new(family, hash_seed),
            paths: Slab::default(),
            dirty: Bitmap::default(),
            fib: Bitmap::default(),
            idle: Bitmap::default(),
        }
    }

    /// The paths of a destination, the best first.
    #[inline]
    pub(crate) fn chain(&self, dest: DestId) -> impl Iterator<Item = (PathId, &Path)> {
        let mut next = self.dests.first(dest);
        std::iter::from_fn(move || {
            if next == NONE {
                return None;
            }
            let id = next;
            let path = self.paths.get(id);
            next = path.next;
            Some((id, path))
        })
    }

    /// The best path of a destination, as last decided.
    #[inline]
    pub(crate) fn best(&self, dest: DestId) -> Option<&Path> {
        let first = self.dests.first(dest);
        if first == NONE {
            return None;
        }
        Some(self.paths.get(first)).filter(|path| path.flags.has(PathFlags::BEST))
    }

    /// The path of a peer, if it sent one.
    #[inline]
    pub(crate) fn path_of(&self, dest: DestId, peer: PeerId) -> Option<PathId> {
        self.chain(dest).find(|(_, path)| path.peer == peer).map(|(id, _)| id)
    }

    /// Adds a path to a destination: behind the best, so that this stays first.
    #[inline]
    pub(crate) fn link(&mut self, dest: DestId, mut path: Path) -> PathId {
        let first = self.dests.first(dest);
        if first == NONE {
            self.idle.remove(dest);
            path.next = NONE;
            let id = self.paths.insert(path);
            self.dests.set_first(dest, id);
            return id;
        }
        path.next = self.paths.get(first).next;
        let id = self.paths.insert(path);
        self.paths.get_mut(first).next = id;
        id
    }

    /// Takes a path out of its destination's chain, and frees it.
    pub(crate) fn unlink(&mut self, dest: DestId, path: PathId) -> Path {
        self.detach(dest, path);
        let removed = *self.paths.get(path);
        self.paths.remove(path);
        if self.dests.first(dest) == NONE {
            self.idle.insert(dest);
        }
        removed
    }

    fn detach(&mut self, dest: DestId, path: PathId) {
        let next = self.paths.get(path).next;
        let mut at = self.dests.first(dest);
        if at == path {
            self.dests.set_first(dest, next);
            return;
        }
        while at != NONE {
            let link = &mut self.paths.get_mut(at).next;
            if *link == path {
                *link = next;
                return;
            }
            at = *link;
        }
    }

    /// Makes a path the first of its chain.
    pub(crate) fn bring_to_front(&mut self, dest: DestId, path: PathId) {
        let first = self.dests.first(dest);
        if first != path {
            self.detach(dest, path);
            self.paths.get_mut(path).next = self.dests.first(dest);
            self.dests.set_first(dest, path);
        }
    }

    /// The number of a prefix; a new one has no path yet.
    #[inline]
    pub(crate) fn find_or_insert(&mut self, prefix: Prefix) -> DestId {
        self.dests.find_or_insert(prefix)
    }

    /// As [`Table::find_or_insert`], for a prefix that may stay without a path.
    pub(crate) fn reserve(&mut self, prefix: Prefix) -> DestId {
        let dest = self.dests.find_or_insert(prefix);
        if self.dests.first(dest) == NONE {
            self.idle.insert(dest);
        }
        dest
    }

    /// The most specific destination that covers `prefix` and satisfies `suits`.
    pub(crate) fn longest_match(&self, prefix: Prefix, suits: impl Fn(DestId) -> bool) -> Option<DestId> {
        (0..=prefix.len())
            .rev()
            .filter(|len| self.dests.has_length(*len))
            .filter_map(|len| self.dests.find(Prefix::from_bits(self.family, prefix.bits(), len)))
            .find(|dest| suits(*dest))
    }
}

#[cfg(test)]
mod tests;
