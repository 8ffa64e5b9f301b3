//! Work that looks at whole tables, in slices: sweeping out the paths of sessions that ended, judging again after a
//! change of policy, and finding the destinations a next hop matters to.
//!
//! One walk is under way at a time and one more waits; whatever comes meanwhile joins the one that waits, so a storm of
//! changes costs two walks.

use foldhash::fast::FixedState;
use hashbrown::HashSet;
use siskin_net::{Family, PeerId};
use smallvec::SmallVec;

use super::Rib;
use super::apply::{Judge, remove, set_accepted};
use super::event::{Judged, RibEvent};
use super::scope::Scope;
use crate::bitmap::Bitmap;
use crate::nexthop::NhId;
use crate::table::{DestId, PathFlags, PathId};

/// What a walk is for.
#[derive(Debug, Default)]
pub(super) struct Walk {
    /// Peers whose session ended.
    pub(super) gone: Vec<PeerId>,
    /// There are dead paths for another reason.
    pub(super) sweep: bool,
    /// Peers whose routes are to be judged again.
    pub(super) judge: Bitmap,
    /// Within these prefixes, the routes of all peers whose verdicts depend on facts.
    pub(super) touched: Scope,
    /// Facts changed: what came of it is told.
    pub(super) facts: bool,
    /// Next hops of which there is news.
    pub(super) next_hops: HashSet<NhId, FixedState>,
    /// Every destination is to be decided.
    pub(super) everything: bool,
    /// The kernel's policy, or what it asks about, changed: what the kernel gets is looked at again.
    pub(super) kernel: bool,
    /// Where it stands.
    family: usize,
    dest: DestId,
    judged: Judged,
}

impl Walk {
    /// Whether only destinations within [`Walk::touched`] matter.
    fn is_narrow(&self) -> bool {
        !self.sweep
            && !self.everything
            && !self.kernel
            && self.gone.is_empty()
            && self.judge.is_empty()
            && self.next_hops.is_empty()
    }
}

/// The walk under way, and the one that follows.
#[derive(Debug, Default)]
pub(super) struct Walks {
    active: Option<Walk>,
    waiting: Option<Walk>,
}

impl Walks {
    /// Whether there is nothing to walk for.
    pub(super) fn is_empty(&self) -> bool {
        self.active.is_none() && self.waiting.is_none()
    }

    /// The walk that has not begun yet.
    pub(super) fn waiting(&mut self) -> &mut Walk {
        self.waiting.get_or_insert_default()
    }
}

impl Rib {
    /// Goes on with the walks for up to `budget` destinations; true if there is more.
    pub(super) fn walk(&mut self, budget: usize) -> bool {
        let mut left = budget;
        while let Some(mut walk) = self.walks.active.take().or_else(|| self.walks.waiting.take()) {
            if self.walk_on(&mut walk, &mut left) {
                self.finish_walk(&walk);
            } else {
                self.walks.active = Some(walk);
                return true;
            }
        }
        false
    }

    /// Walks until the end (then true) or until nothing is left of the budget.
    fn walk_on(&mut self, walk: &mut Walk, left: &mut usize) -> bool {
        let mut judge = Judge::default();
        let mut ended = false;
        let narrow = walk.is_narrow();
        loop {
            let Some(family) = Family::ALL.get(walk.family).copied() else {
                ended = true;
                break;
            };
            let dests = &self.tables[family].dests;
            let end = dests.end();
            if walk.dest >= end || narrow && walk.touched.lacks(family) {
                (walk.family, walk.dest) = (walk.family + 1, 0);
                continue;
            }
            if *left == 0 {
                break;
            }
            if narrow {
                self.pass_over(walk, family, left);
                if walk.dest >= end || *left == 0 {
                    continue;
                }
            }
            *left -= 1;
            if dests.in_use(walk.dest) && (!narrow || walk.touched.contains(dests.prefix(walk.dest))) {
                self.visit(walk, family, &mut judge);
            }
            walk.dest += 1;
        }
        judge.finish(&mut self.attrs);
        ended
    }

    /// Goes to the next destination that the prefixes touched may hold, or as far as `left` allows: in a row, as there are
    /// hundreds of thousands to look at for ten VRPs.
    fn pass_over(&self, walk: &mut Walk, family: Family, left: &mut usize) {
        let dests = &self.tables[family].dests;
        let budget = DestId::try_from(*left).unwrap_or(DestId::MAX);
        let stop = dests.end().min(walk.dest.saturating_add(budget));
        let may = |address| walk.touched.may_contain(family, address);
        let found = dests.find_address(walk.dest..stop, may).unwrap_or(stop);
        *left -= (found - walk.dest) as usize;
        walk.dest = found;
    }

    fn visit(&mut self, walk: &mut Walk, family: Family, judge: &mut Judge) {
        let dest = walk.dest;
        let table = &mut self.tables[family];
        let touched = walk.touched.contains(table.dests.prefix(dest));
        if touched {
            self.groups.mark_asking(family, dest);
        }
        if (walk.kernel || touched && self.kernel.asks_facts()) && table.best(dest).is_some() {
            table.fib.insert(dest);
        }
        let paths: SmallVec<[PathId; 8]> = table.chain(dest).map(|(id, _)| id).collect();
        for id in paths {
            let path = *table.paths.get(id);
            if !self.peers.lives(&path, family) {
                remove(table, &mut self.attrs, &mut self.peers, dest, id);
                continue;
            }
            if let Some(accepted) = path.accepted()
                && !walk.next_hops.is_empty()
                && walk.next_hops.contains(&self.attrs.key(accepted).next_hop)
            {
                if path.flags.has(PathFlags::MULTIPATH) {
                    table.paths.get_mut(id).flags.set(PathFlags::MOVED, true);
                }
                table.dirty.insert(dest);
            }
            if let Some(peer) = self.peers.get_mut(path.peer)
                && (walk.judge.contains(path.peer.0.into()) || touched && peer.info.import.asks_facts())
            {
                let prefix = table.dests.prefix(dest);
                let import = &peer.info.import;
                let accepted = judge.judge(import, path.peer, path.received, prefix, &mut self.attrs);
                walk.judged.note(path.accepted().is_some(), accepted.is_ok());
                let (limits, resolves) = (import.limits[family], peer.resolves());
                let Some(counts) = peer.counts_of(path.session, family) else { continue };
                set_accepted(table, &mut self.attrs, counts, limits, resolves, dest, id, accepted);
            }
            if walk.everything {
                table.dirty.insert(dest);
            }
        }
    }

    fn finish_walk(&mut self, walk: &Walk) {
        if walk.facts {
            self.events.push(RibEvent::Judged(walk.judged));
        }
        if walk.judged.paths > 0 {
            self.check_all_limits();
        }
        for id in &walk.gone {
            let again = self.walks.waiting.as_ref().is_some_and(|waiting| waiting.gone.contains(id));
            if !again && let Some(peer) = self.peers.get_mut(*id) {
                peer.unswept = 0;
            }
        }
    }
}
