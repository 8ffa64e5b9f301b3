//! The decision on every destination that was touched, once a turn, and the end of destinations nobody names.

use siskin_net::{Family, FamilyMap};

use super::Rib;
use super::recursion::leads_back;
use crate::attrs::{DecisionKey, Interner};
use crate::decision::{Candidate, Sharing, decide};
use crate::peers::Peers;
use crate::slab::NONE;
use crate::table::{DestId, Path, PathFlags, PathId, Table};

/// Why a path takes no part in the decision.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Unusable {
    /// Its session is gone.
    Dead,
    /// Import rejected it.
    Rejected,
    /// Its next hop cannot be reached, as far as is known.
    Unreachable,
}

/// What there is to know about a path.
#[derive(Clone, Copy)]
pub(super) struct World<'a> {
    tables: &'a FamilyMap<Table>,
    peers: &'a Peers,
    attrs: &'a Interner,
    kernel_table: u32,
}

/// What the decision compares of a path, if it may be used.
#[inline]
pub(super) fn candidate(
    id: PathId,
    path: &Path,
    family: Family,
    dest: DestId,
    world: &World<'_>,
) -> Result<Candidate, Unusable> {
    let World { tables, peers, attrs, kernel_table } = *world;
    if !peers.lives(path, family) {
        return Err(Unusable::Dead);
    }
    let peer = peers.get(path.peer).ok_or(Unusable::Dead)?;
    let accepted = path.accepted().ok_or(Unusable::Rejected)?;
    let key = *attrs.key(accepted);
    let resolves = peer.resolves();
    let metric =
        if resolves { attrs.next_hops.metric(key.next_hop).ok_or(Unusable::Unreachable)? } else { 0 };
    if resolves && leads_back(tables, attrs, key.next_hop, family, dest) {
        return Err(Unusable::Unreachable);
    }
    let mut candidate = Candidate {
        path: id,
        peer: path.peer,
        key,
        weight: 0,
        table: Some(attrs.table(accepted)).filter(|table| *table != kernel_table).unwrap_or(0),
        local: peer.info.is_local(),
        external: peer.info.external,
        forwarded: resolves,
        metric,
        identifier: peer.info.identifier.0,
        cluster_list_len: 0,
        address: peer.info.address,
    };
    if key.has(DecisionKey::RARE) {
        let attributes = attrs.decode(accepted);
        candidate.weight = attributes.weight;
        candidate.identifier = attributes.originator_id.map_or(candidate.identifier, |id| id.0);
        candidate.cluster_list_len = u32::try_from(attributes.cluster_list.len()).unwrap_or(u32::MAX);
    }
    Ok(candidate)
}

impl Rib {
    pub(super) fn world(&self) -> World<'_> {
        let kernel_table = self.config.kernel_table;
        World { tables: &self.tables, peers: &self.peers, attrs: &self.attrs, kernel_table }
    }

    pub(super) fn sharing(&self) -> Sharing {
        Sharing { multipath: self.config.multipath, max_paths: self.config.max_paths }
    }

    /// Decides up to `budget` destinations; true if there are more.
    pub(super) fn decide_dirty(&mut self, budget: usize) -> bool {
        let mut left = budget;
        for family in Family::ALL {
            let mut at = 0;
            while let Some(dest) = self.tables[family].dirty.next(at) {
                if left == 0 {
                    return true;
                }
                left -= 1;
                at = dest + 1;
                self.tables[family].dirty.remove(dest);
                self.decide(family, dest);
            }
        }
        false
    }

    /// Decides one destination, and notes who must know.
    fn decide(&mut self, family: Family, dest: DestId) {
        let mut candidates = std::mem::take(&mut self.candidates);
        candidates.clear();
        let table = &self.tables[family];
        candidates.extend(
            table.chain(dest).filter_map(|(id, path)| candidate(id, path, family, dest, &self.world()).ok()),
        );
        if self.watch.is_active() {
            self.watch.look(table.dests.prefix(dest), &candidates, table, &self.attrs);
        }
        let selected = decide(&mut candidates, self.sharing(), &mut ());
        let change = self.select(family, dest, &candidates[..selected]);
        self.candidates = candidates;
        if change.route {
            self.groups.mark(family, dest);
        }
        // The kernel's policy looks at all attributes.
        if change.forwarding || change.route && self.kernel.policy.is_some() {
            self.tables[family].fib.insert(dest);
        }
        self.note_covered(family, dest);
    }

    /// Marks the selected paths, the best first, and says what is different from before.
    fn select(&mut self, family: Family, dest: DestId, selected: &[Candidate]) -> Change {
        let table = &mut self.tables[family];
        let disturbed = table.dests.take_disturbed(dest);
        let mut change = Change { route: disturbed, forwarding: disturbed };
        let best = selected.first().map(|candidate| candidate.path);
        let mut next = table.dests.first(dest);
        while next != NONE {
            let id = next;
            let path = table.paths.get_mut(id);
            next = path.next;
            let before = path.flags;
            let shares = selected.iter().any(|candidate| candidate.path == id);
            let is_best = best == Some(id);
            path.flags.set(PathFlags::UNSEEN, false);
            path.flags.set(PathFlags::MULTIPATH, shares);
            path.flags.set(PathFlags::BEST, is_best);
            let (was_best, shared) = (before.has(PathFlags::BEST), before.has(PathFlags::MULTIPATH));
            change.route |= is_best != was_best || is_best && before.has(PathFlags::CHANGED);
            change.forwarding |=
                is_best != was_best || shares != shared || shares && before.has(PathFlags::MOVED);
            if shares != shared
                && let Some(counts) = self.peers.counts_of(path, family)
            {
                counts.selected = if shares { counts.selected + 1 } else { counts.selected - 1 };
            }
        }
        if let Some(best) = best {
            table.bring_to_front(dest, best);
        }
        change
    }

    /// Frees destinations without a path that nobody names any more, looking at up to `budget`; true if there are more
    /// that can be freed.
    pub(super) fn free_idle(&mut self, budget: usize) -> bool {
        let mut freed = false;
        for family in Family::ALL {
            let start = self.kernel.idle_cursor[family];
            let mut left = budget;
            freed |= self.free_range(family, start, DestId::MAX, &mut left);
            freed |= self.free_range(family, 0, start, &mut left);
        }
        freed && Family::ALL.into_iter().any(|family| !self.tables[family].idle.is_empty())
    }

    fn free_range(&mut self, family: Family, from: DestId, to: DestId, left: &mut usize) -> bool {
        let mut freed = false;
        let mut at = from;
        while *left > 0
            && let Some(dest) = self.tables[family].idle.next(at).filter(|dest| *dest < to)
        {
            *left -= 1;
            at = dest + 1;
            let table = &mut self.tables[family];
            let due = table.dirty.contains(dest) || self.kernel.in_use && table.fib.contains(dest);
            if !due && !self.groups.names(family, dest) {
                table.idle.remove(dest);
                table.fib.remove(dest);
                table.dests.remove(dest);
                freed = true;
            }
        }
        self.kernel.idle_cursor[family] = at;
        freed
    }
}

/// What a decision changed.
struct Change {
    /// What peers are told.
    route: bool,
    /// Where packets go.
    forwarding: bool,
}
