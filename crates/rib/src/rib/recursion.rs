//! Next hops that are reached by routes of our own: an iBGP next hop behind another BGP route, loopbacks that a fabric
//! carries in BGP.
//!
//! The longest match counts, among the kernel's routes (somebody else looks those up, see
//! [`NextHopAnswer`](siskin_net::NextHopAnswer)) and the best routes here; where both have the same length, the kernel's.
//! What the route shares its load among is carried over, each of its next hops with its part. Which routes do not count:
//!
//! - those whose own next hops depend on the next hop in question, and deeper chains than [`MAX_DEPTH`];
//! - a default route, unless asked for;
//! - those for another table of the kernel, and those of sources that need no route of ours: the kernel has them already.
//!
//! The other way round, no path is used whose next hop is reached by the destination of the path itself (`leads_back`), so
//! no circle closes, whoever comes first. A destination with a path through a next hop of its own is the last resort for
//! that next hop. Circles through several destinations are broken where they would close, which may depend on the order
//! in which routes came; nothing flaps.

use std::collections::BTreeSet;

use siskin_net::{Family, FamilyMap, Prefix, Resolution};

use super::Rib;
use crate::attrs::Interner;
use crate::config::FibAction;
use crate::nexthop::{NhId, share};
use crate::table::{DestId, PathFlags, Table};

/// How many routes in a row may lead from a next hop to its gateway.
pub(super) const MAX_DEPTH: u8 = 8;

/// How many rounds of changes may follow from each other without news from outside: more than any chain is long.
const MAX_ROUNDS: u32 = 1_000;

/// The next hops to look at again.
#[derive(Debug, Default)]
pub(super) struct Recursion {
    due: BTreeSet<NhId>,
    /// Those that stay as they are until it is known how others are reached.
    waiting: BTreeSet<NhId>,
    /// Rounds of changes since the last news.
    pub(super) rounds: u32,
}

impl Recursion {
    /// Whether all next hops are resolved by what is known.
    pub(super) fn is_settled(&self) -> bool {
        self.due.is_empty() && self.waiting.is_empty()
    }

    /// Something came from outside.
    pub(super) fn news(&mut self) {
        self.rounds = 0;
    }
}

/// Where a next hop leads, and the destination of ours that says so.
type WayTo = (Option<Resolution>, Option<(Family, DestId)>);

/// What a route has to offer a next hop within its prefix.
enum Offer {
    /// It does not count.
    Nothing,
    /// Packets would be discarded.
    DeadEnd,
    /// A way.
    Way(Resolution),
}

impl Rib {
    /// A destination was decided: next hops within it may be reached otherwise now.
    pub(super) fn note_covered(&mut self, family: Family, dest: DestId) {
        if self.attrs.next_hops.all_found() {
            return;
        }
        let prefix = self.tables[family].dests.prefix(dest);
        if prefix.len() > 0 || self.config.resolve_via_default {
            self.recursion.due.extend(self.attrs.next_hops.within(prefix));
        }
    }

    /// Resolves next hops again that may be reached otherwise; true if that changed something.
    pub(super) fn resolve_due(&mut self) -> bool {
        // An answer that was waited for has its effect with the walk that follows from it.
        if self.walks.is_empty() {
            self.recursion.due.append(&mut self.recursion.waiting);
        }
        if self.recursion.due.is_empty() || self.recursion.rounds >= MAX_ROUNDS {
            self.recursion.due.clear();
            return false;
        }
        let mut changed = false;
        for id in std::mem::take(&mut self.recursion.due) {
            changed |= self.resolve(id);
        }
        self.recursion.rounds += u32::from(changed);
        changed
    }

    /// Resolves a next hop by what is known now; true if it is reached otherwise than before.
    pub(super) fn resolve(&mut self, id: NhId) -> bool {
        let Some((resolution, via)) = self.way_to(id) else {
            self.recursion.waiting.insert(id);
            return false;
        };
        let changed = self.attrs.next_hops.update(id, resolution, via);
        if changed {
            self.walks.waiting().next_hops.insert(id);
        }
        changed
    }

    /// Where a next hop leads, and the destination that says so if it is one of ours. `None`: that is to be seen; as long as
    /// a route that would lead there has a path by a next hop nobody has answered for, everything stays as it is, or a
    /// million routes would go and come back.
    fn way_to(&self, id: NhId) -> Option<WayTo> {
        let next_hops = &self.attrs.next_hops;
        let answer = || next_hops.answer(id).cloned();
        let Some((address, matched)) = next_hops.open(id) else { return Some((answer(), None)) };
        let host = Prefix::host(address);
        let family = host.family();
        let dests = &self.tables[family].dests;
        let least = matched.map_or(u8::from(!self.config.resolve_via_default), |len| len.saturating_add(1));
        let mut last_resort = None;
        for len in (least..=host.len()).rev().filter(|len| dests.has_length(*len)) {
            let Some(dest) = dests.find(Prefix::from_bits(family, host.bits(), len)) else { continue };
            match self.offer(family, dest, id) {
                Offer::Nothing if self.is_undecided(family, dest) => return None,
                Offer::Nothing => {}
                Offer::DeadEnd if last_resort.is_none() => return Some((None, Some((family, dest)))),
                Offer::DeadEnd => break,
                Offer::Way(way) if self.has_path_through(family, dest, id) => {
                    last_resort.get_or_insert((way, dest));
                }
                Offer::Way(way) => return Some((Some(way), Some((family, dest)))),
            }
        }
        Some(match (answer(), last_resort) {
            (None, Some((way, dest))) => (Some(way), Some((family, dest))),
            (answer, _) => (answer, None),
        })
    }

    /// Whether a destination is to be decided, or has a path by a next hop that nobody has answered for.
    fn is_undecided(&self, family: Family, dest: DestId) -> bool {
        let table = &self.tables[family];
        let waits = |set| self.attrs.next_hops.is_unanswered(self.attrs.key(set).next_hop);
        table.dirty.contains(dest)
            || table.chain(dest).any(|(_, path)| {
                self.peers.lives(path, family)
                    && self.peers.get(path.peer).is_some_and(|peer| peer.resolves())
                    && path.accepted().is_some_and(waits)
            })
    }

    /// Whether a destination has a path through this very next hop.
    fn has_path_through(&self, family: Family, dest: DestId, id: NhId) -> bool {
        self.tables[family].chain(dest).any(|(_, path)| {
            self.peers.lives(path, family)
                && path.accepted().is_some_and(|set| self.attrs.key(set).next_hop == id)
        })
    }

    fn offer(&self, family: Family, dest: DestId, id: NhId) -> Offer {
        let Some((action, set)) = self.action(family, dest) else { return Offer::Nothing };
        match action {
            FibAction::None => return Offer::Nothing,
            FibAction::Blackhole | FibAction::Unreachable | FibAction::Prohibit => return Offer::DeadEnd,
            FibAction::Resolve => {}
        }
        if self.table_of(set) != 0 {
            return Offer::Nothing;
        }
        let mut ways = self.selected_next_hops(family, dest);
        ways.retain(|(way, _)| *way != id && !depends(&self.tables, &self.attrs, *way, Some(id), None));
        let known: Vec<(&Resolution, u64)> = ways
            .iter()
            .filter_map(|(way, bandwidth)| Some((self.attrs.next_hops.resolution(*way)?, *bandwidth)))
            .collect();
        let metric = known.iter().map(|(way, _)| way.metric).min();
        let hops = share(&known);
        match metric {
            Some(metric) if !hops.is_empty() => Offer::Way(Resolution { metric, hops: hops.into() }),
            _ => Offer::Nothing,
        }
    }
}

/// Whether a next hop is reached by this destination, directly or by way of others.
pub(super) fn leads_back(
    tables: &FamilyMap<Table>,
    attrs: &Interner,
    id: NhId,
    family: Family,
    dest: DestId,
) -> bool {
    let Some(via) = attrs.next_hops.via(id) else { return false };
    if via == (family, dest) {
        return true;
    }
    // Most chains end with the first route, and a million paths may ask.
    let goes_on = selected(tables, attrs, via).any(|way| attrs.next_hops.via(way).is_some());
    goes_on && depends(tables, attrs, id, None, Some((family, dest)))
}

/// The next hops of the paths of a destination that share the load.
fn selected(
    tables: &FamilyMap<Table>,
    attrs: &Interner,
    (family, dest): (Family, DestId),
) -> impl Iterator<Item = NhId> {
    let paths = tables[family].chain(dest).filter(|(_, path)| path.flags.has(PathFlags::MULTIPATH));
    paths.filter_map(|(_, path)| Some(attrs.key(path.accepted()?).next_hop))
}

/// Whether a next hop is reached by way of another, or of a destination, as things are selected now. Of a chain that is too
/// long this is taken for granted.
fn depends(
    tables: &FamilyMap<Table>,
    attrs: &Interner,
    id: NhId,
    next_hop: Option<NhId>,
    dest: Option<(Family, DestId)>,
) -> bool {
    let mut front = vec![id];
    let mut seen = BTreeSet::from([id]);
    for _ in 0..MAX_DEPTH {
        let mut behind = Vec::new();
        for (family, via) in front.iter().filter_map(|id| attrs.next_hops.via(*id)) {
            if dest == Some((family, via)) {
                return true;
            }
            behind.extend(selected(tables, attrs, (family, via)).filter(|way| seen.insert(*way)));
        }
        if next_hop.is_some_and(|next_hop| behind.contains(&next_hop)) {
            return true;
        }
        if behind.is_empty() {
            return false;
        }
        front = behind;
    }
    true
}
