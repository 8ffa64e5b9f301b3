//! Sorted sets of compact VRPs, and changes between them. One set is one `Vec`: no pointers, no hash, binary search.

use siskin_net::{Family, FamilyMap, Vrp};

use crate::entry::{Entry, V4, V6};

/// Entries in order, each once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Set<E>(Vec<E>);

/// What turns one set into another: both lists in order, without a common entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Changes<E> {
    /// In the new set alone.
    pub(crate) announced: Vec<E>,
    /// In the old set alone.
    pub(crate) withdrawn: Vec<E>,
}

/// Why a delta does not fit the set it is for (RFC 8210 section 12, codes 6 and 7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Conflict {
    /// A withdrawal of what is not there.
    #[error("a withdrawal of what the cache had not announced")]
    Unknown,
    /// An announcement of what is there.
    #[error("an announcement of what the cache had announced before")]
    Duplicate,
    /// There is no set: it expired while the delta came in.
    #[error("a delta to data that have expired")]
    NoBase,
}

impl<E> Default for Set<E> {
    fn default() -> Self {
        Set(Vec::new())
    }
}

impl<E> Default for Changes<E> {
    fn default() -> Self {
        Changes { announced: Vec::new(), withdrawn: Vec::new() }
    }
}

/// The index of the first item of `sorted` from `from` on that is not below `entry`, found in steps that double:
/// questions asked in order cost the distance between them, not the length of the list.
fn seek<E: Entry>(sorted: &[E], from: usize, entry: E) -> usize {
    let rest = sorted.get(from..).unwrap_or_default();
    let mut step = 1;
    while rest.get(step).is_some_and(|e| *e < entry) {
        step *= 2;
    }
    let low = step / 2;
    let window = rest.get(low..rest.len().min(step + 1)).unwrap_or_default();
    from + low + window.partition_point(|e| *e < entry)
}

/// The items of `a` that are not in `b`; both are in order.
fn subtract<E: Entry>(a: &[E], b: &[E]) -> Vec<E> {
    let mut at = 0;
    a.iter()
        .filter(|e| {
            at = seek(b, at, **e);
            b.get(at) != Some(*e)
        })
        .copied()
        .collect()
}

/// Two lists in order become one.
fn merge<E: Entry>(a: Vec<E>, b: Vec<E>) -> Vec<E> {
    match (a.is_empty(), b.is_empty()) {
        (true, _) => b,
        (_, true) => a,
        (false, false) => {
            let mut all = a;
            all.extend(b);
            // Two runs in order: the stable sort finds and merges them.
            all.sort();
            all.dedup();
            all
        }
    }
}

impl<E: Entry> Set<E> {
    /// A set of what came in any order, perhaps twice. Gives back the memory that growing took too much.
    pub(crate) fn from_unsorted(mut entries: Vec<E>) -> Set<E> {
        entries.sort_unstable();
        entries.dedup();
        entries.shrink_to_fit();
        Set(entries)
    }

    /// A set of entries that must be in order, each once; `None` if they are not.
    pub(crate) fn from_sorted(entries: Vec<E>) -> Option<Set<E>> {
        entries.is_sorted_by(|a, b| a < b).then_some(Set(entries))
    }

    /// How many entries there are.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The entries in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = E> {
        self.0.iter().copied()
    }

    /// Whether `entry` is there.
    pub(crate) fn contains(&self, entry: E) -> bool {
        self.0.binary_search(&entry).is_ok()
    }

    /// What turns this set into `new`.
    pub(crate) fn changes_to(&self, new: &Set<E>) -> Changes<E> {
        Changes { announced: subtract(&new.0, &self.0), withdrawn: subtract(&self.0, &new.0) }
    }

    /// Keeps of `entries`, which are in order, those this set lacks.
    pub(crate) fn without_mine(&self, entries: Vec<E>) -> Vec<E> {
        if self.0.is_empty() { entries } else { subtract(&entries, &self.0) }
    }

    /// Becomes the new set in place: one pass down to close the gaps, one pass up to open new ones, in which the
    /// stretches between changes move as blocks.
    pub(crate) fn apply(&mut self, changes: &Changes<E>) {
        self.remove(&changes.withdrawn);
        self.insert(&changes.announced);
    }

    fn remove(&mut self, withdrawn: &[E]) {
        let (mut write, mut read) = (0, 0);
        for entry in withdrawn {
            let at = seek(&self.0, read, *entry);
            if self.0.get(at) != Some(entry) {
                continue;
            }
            if write != read {
                self.0.copy_within(read..at, write);
            }
            write += at - read;
            read = at + 1;
        }
        if write != read {
            self.0.copy_within(read.., write);
            self.0.truncate(self.0.len() - (read - write));
        }
    }

    fn insert(&mut self, announced: &[E]) {
        let Some(filler) = announced.first() else { return };
        let mut end = self.0.len();
        // Some room, and not half as much again as a growing vector would take.
        if self.0.capacity() - end < announced.len() {
            self.0.reserve_exact(announced.len() + end / 64);
        }
        self.0.resize(end + announced.len(), *filler);
        for (before, entry) in announced.iter().enumerate().rev() {
            let at = self.0.get(..end).map_or(0, |old| old.partition_point(|e| e < entry));
            self.0.copy_within(at..end, at + before + 1);
            if let Some(place) = self.0.get_mut(at + before) {
                *place = *entry;
            }
            end = at;
        }
    }

    /// What `operations`, in the order of their coming, change in this set.
    ///
    /// # Errors
    ///
    /// The first operation, by the order of entries, that does not fit.
    pub(crate) fn resolve(&self, mut operations: Vec<(E, bool)>) -> Result<Changes<E>, Conflict> {
        operations.sort_by_key(|(entry, _)| *entry);
        let mut changes = Changes::default();
        for of_one in operations.chunk_by(|a, b| a.0 == b.0) {
            let Some((entry, _)) = of_one.first() else { continue };
            let before = self.contains(*entry);
            let mut there = before;
            for (_, announce) in of_one {
                match (there, announce) {
                    (true, true) => return Err(Conflict::Duplicate),
                    (false, false) => return Err(Conflict::Unknown),
                    _ => there = *announce,
                }
            }
            match (before, there) {
                (false, true) => changes.announced.push(*entry),
                (true, false) => changes.withdrawn.push(*entry),
                _ => {}
            }
        }
        Ok(changes)
    }
}

impl<E: Entry> Changes<E> {
    /// Whether nothing changes.
    pub(crate) fn is_empty(&self) -> bool {
        self.announced.is_empty() && self.withdrawn.is_empty()
    }

    /// These changes followed by `next`: what comes and goes again is no change.
    pub(crate) fn then(&mut self, next: Changes<E>) {
        if self.is_empty() {
            *self = next;
            return;
        }
        let announced = subtract(&next.announced, &self.withdrawn);
        let withdrawn = subtract(&next.withdrawn, &self.announced);
        self.announced = merge(subtract(&self.announced, &next.withdrawn), announced);
        self.withdrawn = merge(subtract(&self.withdrawn, &next.announced), withdrawn);
    }
}

/// A set of each family.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sets {
    /// IPv4.
    pub(crate) v4: Set<V4>,
    /// IPv6.
    pub(crate) v6: Set<V6>,
}

/// Changes of each family.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Delta {
    /// IPv4.
    pub(crate) v4: Changes<V4>,
    /// IPv6.
    pub(crate) v6: Changes<V6>,
}

impl Sets {
    /// How many VRPs there are.
    pub(crate) fn counts(&self) -> FamilyMap<usize> {
        FamilyMap::from_fn(|family| match family {
            Family::Ipv4 => self.v4.len(),
            Family::Ipv6 => self.v6.len(),
        })
    }

    /// What turns these sets into `new`.
    pub(crate) fn changes_to(&self, new: &Sets) -> Delta {
        Delta { v4: self.v4.changes_to(&new.v4), v6: self.v6.changes_to(&new.v6) }
    }

    /// Becomes the new sets in place.
    pub(crate) fn apply(&mut self, delta: &Delta) {
        self.v4.apply(&delta.v4);
        self.v6.apply(&delta.v6);
    }

    /// Whether `vrp` is there.
    pub(crate) fn contains(&self, vrp: Vrp) -> bool {
        match vrp.prefix.family() {
            Family::Ipv4 => self.v4.contains(V4::new(vrp)),
            Family::Ipv6 => self.v6.contains(V6::new(vrp)),
        }
    }

    /// Takes out of `delta` what these sets have: it changes nothing in a union with them.
    pub(crate) fn hide(&self, delta: Delta) -> Delta {
        Delta { v4: hide(&self.v4, delta.v4), v6: hide(&self.v6, delta.v6) }
    }
}

fn hide<E: Entry>(set: &Set<E>, changes: Changes<E>) -> Changes<E> {
    Changes { announced: set.without_mine(changes.announced), withdrawn: set.without_mine(changes.withdrawn) }
}

impl Delta {
    /// Whether nothing changes.
    pub(crate) fn is_empty(&self) -> bool {
        self.v4.is_empty() && self.v6.is_empty()
    }

    /// These changes followed by `next`.
    pub(crate) fn then(&mut self, next: Delta) {
        self.v4.then(next.v4);
        self.v6.then(next.v6);
    }

    /// Keeps what `keep` wants.
    pub(crate) fn retain(&mut self, keep: impl Fn(Vrp) -> bool) {
        self.v4.announced.retain(|e| keep(e.vrp()));
        self.v4.withdrawn.retain(|e| keep(e.vrp()));
        self.v6.announced.retain(|e| keep(e.vrp()));
        self.v6.withdrawn.retain(|e| keep(e.vrp()));
    }

    /// The changes of two lists of VRPs, in any order, without a common one.
    pub(crate) fn of(announced: &[Vrp], withdrawn: &[Vrp]) -> Delta {
        fn list<E: Entry>(vrps: &[Vrp], family: Family) -> Vec<E> {
            let of_family = vrps.iter().filter(|v| v.prefix.family() == family);
            Set::from_unsorted(of_family.map(|v| E::new(*v)).collect()).0
        }
        Delta {
            v4: Changes {
                announced: list(announced, Family::Ipv4),
                withdrawn: list(withdrawn, Family::Ipv4),
            },
            v6: Changes {
                announced: list(announced, Family::Ipv6),
                withdrawn: list(withdrawn, Family::Ipv6),
            },
        }
    }

    /// How many VRPs come, and how many go.
    pub(crate) fn len(&self) -> (usize, usize) {
        let come = self.v4.announced.len() + self.v6.announced.len();
        (come, self.v4.withdrawn.len() + self.v6.withdrawn.len())
    }

    /// What `counts` becomes through these changes.
    pub(crate) fn count(&self, counts: &mut FamilyMap<usize>) {
        let v4 = &mut counts[Family::Ipv4];
        *v4 = (*v4 + self.v4.announced.len()).saturating_sub(self.v4.withdrawn.len());
        let v6 = &mut counts[Family::Ipv6];
        *v6 = (*v6 + self.v6.announced.len()).saturating_sub(self.v6.withdrawn.len());
    }

    /// The announced and the withdrawn VRPs, IPv4 first.
    pub(crate) fn into_vrps(self) -> (Vec<Vrp>, Vec<Vrp>) {
        fn both(v4: Vec<V4>, v6: Vec<V6>) -> Vec<Vrp> {
            let mut vrps = Vec::with_capacity(v4.len() + v6.len());
            vrps.extend(v4.into_iter().map(Entry::vrp));
            vrps.extend(v6.into_iter().map(Entry::vrp));
            vrps
        }
        (both(self.v4.announced, self.v6.announced), both(self.v4.withdrawn, self.v6.withdrawn))
    }
}

#[cfg(test)]
mod tests;
