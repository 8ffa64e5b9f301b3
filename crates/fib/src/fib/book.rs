//! The books: what is wanted, what is installed, what waits, what failed. No request is sent from here.

use std::sync::Arc;
use std::time::Instant;

use foldhash::{HashMap, HashSet};
use siskin_net::{Family, FamilyMap, NextHopGroup, Prefix};

use super::failures::Failures;
use super::objects::{Objects, Stand};
use super::queue::Queue;
use super::table::{Cell, GroupId, NONE, Table, state};
use super::{FibConfig, FibCounts, InstalledRoute, RouteState};
use crate::error::KernelError;
use crate::wire::route::{Frame, RouteKind, RouteMessage};

/// What to do about a prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing: wanted and installed agree.
    Nothing,
    /// Install where nothing of ours is; the kernel must refuse if something foreign is.
    Create(GroupId),
    /// Put in place of ours.
    Replace(GroupId),
    /// Remove ours.
    Remove,
}

/// All bookkeeping of the FIB.
#[derive(Debug)]
pub(super) struct Book {
    pub(super) config: FibConfig,
    pub(super) objects: Objects,
    pub(super) queue: Queue,
    pub(super) failures: Failures,
    /// Routes of others with our table and metric, and the protocol they carry: we must not touch them.
    pub(super) foreign: HashMap<Prefix, u8>,
    /// Routes of ours with a metric of an earlier configuration.
    pub(super) leftovers: Vec<(Prefix, u32)>,
    /// The grace for adopted routes is over: what is found now and not wanted is removed.
    pub(super) swept: bool,
    table: Table,
    counts: FamilyMap<FibCounts>,
    /// Prefixes that wait to be removed.
    pub(super) removals: usize,
    page: Vec<Prefix>,
}

/// How many prefixes a walk sorts at once.
const PAGE: usize = 64 * 1024;

impl Book {
    pub(super) fn new(config: FibConfig, objects: Objects) -> Book {
        Book {
            config,
            objects,
            queue: Queue::new(),
            failures: Failures::default(),
            foreign: HashMap::default(),
            leftovers: Vec::new(),
            swept: false,
            table: Table::new(),
            counts: FamilyMap::default(),
            removals: 0,
            page: Vec::new(),
        }
    }

    pub(super) fn counts(&self) -> FamilyMap<FibCounts> {
        self.counts
    }

    pub(super) fn cell(&self, prefix: Prefix) -> Cell {
        self.table.get(prefix)
    }

    /// Changes a cell and everything that is counted by it.
    pub(super) fn update(&mut self, prefix: Prefix, change: impl FnOnce(&mut Cell)) {
        let (old, new) = self.table.modify(prefix, change);
        if new == old {
            return;
        }
        for (was, is) in [(old.wanted, new.wanted), (old.installed, new.installed)] {
            if was != is {
                self.objects.count(is, true);
                self.objects.count(was, false);
            }
        }
        let removal = |cell: &Cell| {
            cell.is(state::PENDING)
                && !cell.is(state::ADOPTED)
                && cell.wanted == NONE
                && cell.installed != NONE
        };
        let stand = |cell: &Cell| Stand { installed: cell.installed, leaving: removal(cell) };
        self.objects.moved(stand(&old), stand(&new));
        self.removals = self.removals + usize::from(removal(&new)) - usize::from(removal(&old));
        if new.is(state::PENDING) && !old.is(state::PENDING) {
            self.queue.push(prefix);
        }
        let counts = &mut self.counts[prefix.family()];
        let adjust = |count: &mut usize, was: bool, is: bool| {
            *count = count.wrapping_add(usize::from(is)).wrapping_sub(usize::from(was));
        };
        adjust(&mut counts.installed, old.installed != NONE, new.installed != NONE);
        adjust(&mut counts.pending, old.is(state::PENDING), new.is(state::PENDING));
        adjust(&mut counts.failed, old.is(state::FAILED), new.is(state::FAILED));
    }

    /// Takes over what the RIB wants.
    pub(super) fn want(&mut self, prefix: Prefix, target: Option<Arc<NextHopGroup>>) {
        let wanted = target.map_or(NONE, |group| self.objects.intern(&group, prefix.family()));
        self.failures.forget(prefix);
        self.update(prefix, |cell| {
            cell.wanted = wanted;
            cell.clear(state::ADOPTED | state::FAILED);
            if wanted != cell.installed || cell.is(state::REWRITE) {
                cell.set(state::PENDING);
            }
        });
    }

    /// What the cell of a waiting prefix asks for.
    pub(super) fn step(&self, prefix: Prefix) -> Step {
        let cell = self.cell(prefix);
        let rewrite = cell.is(state::REWRITE);
        match (cell.wanted, cell.installed) {
            _ if cell.is(state::ADOPTED) => Step::Nothing,
            _ if cell.is(state::SEVERAL) => Step::Remove,
            (NONE, NONE) if !rewrite => Step::Nothing,
            (NONE, _) => Step::Remove,
            (wanted, installed) if wanted == installed && !rewrite => Step::Nothing,
            (wanted, NONE) if !rewrite => Step::Create(wanted),
            (wanted, _) => Step::Replace(wanted),
        }
    }

    /// The kernel has what is wanted.
    pub(super) fn done(&mut self, prefix: Prefix) {
        self.failures.forget(prefix);
        self.update(prefix, |cell| {
            cell.installed = cell.wanted;
            cell.clear(state::PENDING | state::FAILED | state::REWRITE | state::SEVERAL);
            // Whoever compares meanwhile need not look.
            cell.set(state::WRITTEN);
        });
    }

    /// The kernel removed a route of ours. Of one that may not have been the only one that is not the end.
    pub(super) fn removed(&mut self, prefix: Prefix) {
        if self.cell(prefix).is(state::REWRITE | state::SEVERAL) {
            self.queue.push(prefix);
        } else {
            self.done(prefix);
        }
    }

    /// The kernel has no route of ours left to remove; what is wanted comes next.
    pub(super) fn nothing_left(&mut self, prefix: Prefix) {
        self.update(prefix, |cell| {
            cell.installed = NONE;
            cell.clear(state::REWRITE | state::SEVERAL);
        });
        if self.cell(prefix).wanted == NONE {
            self.done(prefix);
        } else {
            self.queue.push(prefix);
        }
    }

    /// Nothing had to be done.
    pub(super) fn settled(&mut self, prefix: Prefix) {
        self.failures.forget(prefix);
        self.update(prefix, |cell| cell.clear(state::PENDING | state::FAILED));
    }

    /// The kernel refused; it is tried again later.
    pub(super) fn refused(&mut self, prefix: Prefix, error: KernelError, now: Instant) {
        self.failures.record(prefix, error, now);
        self.update(prefix, |cell| {
            cell.clear(state::PENDING);
            cell.set(state::FAILED);
        });
    }

    /// Its group cannot be used: it waits for the group, not for a time.
    pub(super) fn blocked(&mut self, prefix: Prefix) {
        self.failures.forget(prefix);
        self.update(prefix, |cell| {
            cell.clear(state::PENDING);
            cell.set(state::FAILED);
        });
    }

    /// It is not known whether the kernel took it; it stays pending.
    pub(super) fn unsure(&mut self, prefix: Prefix) {
        self.update(prefix, |cell| cell.set(state::REWRITE));
        self.queue.push(prefix);
    }

    /// Tries a failed prefix again.
    pub(super) fn retry(&mut self, prefix: Prefix) {
        if !self.cell(prefix).is(state::FAILED) {
            return self.failures.forget(prefix);
        }
        self.update(prefix, |cell| {
            cell.clear(state::FAILED);
            cell.set(state::PENDING);
        });
    }

    /// The prefixes whose cells satisfy a condition.
    pub(super) fn select(&self, mut condition: impl FnMut(Cell) -> bool) -> Vec<Prefix> {
        let mut selected = Vec::new();
        for family in Family::ALL {
            self.table.for_each(family, |prefix, cell| {
                if condition(cell) {
                    selected.push(prefix);
                }
            });
        }
        selected
    }

    /// Groups vanished, and their routes with them.
    pub(super) fn lost(&mut self, groups: &HashSet<GroupId>) {
        if groups.is_empty() {
            return;
        }
        for prefix in self.select(|cell| groups.contains(&cell.installed)) {
            self.vanished(prefix);
        }
    }

    /// The objects of groups were deleted, and the routes that used them are gone. Of a route that may have been changed
    /// behind our back this is not known: it is removed like any other.
    pub(super) fn dropped(&mut self, groups: &[GroupId]) {
        if groups.is_empty() {
            return;
        }
        let gone = |cell: Cell| groups.contains(&cell.installed) && !cell.is(state::REWRITE);
        for prefix in self.select(gone) {
            self.vanished(prefix);
        }
    }

    /// The kernel has no route of ours for this prefix any more.
    pub(super) fn vanished(&mut self, prefix: Prefix) {
        self.update(prefix, |cell| {
            cell.installed = NONE;
            cell.clear(state::ADOPTED);
            if cell.wanted != NONE && !cell.is(state::FAILED) {
                cell.set(state::PENDING);
            }
        });
    }

    /// What the kernel has for this prefix may differ from what we wrote: it is written again.
    pub(super) fn doubt(&mut self, prefix: Prefix) {
        self.update(prefix, |cell| {
            // Where nothing of ours is, there is nothing to replace, and creating is safer.
            if cell.installed != NONE {
                cell.set(state::REWRITE);
            }
            let known = cell.wanted != NONE || cell.installed != NONE;
            if known && !cell.is(state::ADOPTED | state::FAILED) {
                cell.set(state::PENDING);
            }
        });
    }

    /// Somebody writes with our protocol number: the kernel may have several routes of ours. All go, and what is wanted
    /// is made anew.
    pub(super) fn several(&mut self, prefix: Prefix) {
        self.update(prefix, |cell| cell.set(state::SEVERAL));
        self.doubt(prefix);
    }

    /// A foreign route took its place.
    pub(super) fn replaced(&mut self, prefix: Prefix) {
        self.vanished(prefix);
        self.update(prefix, |cell| cell.clear(state::REWRITE | state::SEVERAL));
    }

    /// Others deleted it, or a part of it.
    pub(super) fn disturbed(&mut self, prefix: Prefix) {
        self.doubt(prefix);
        self.vanished(prefix);
    }

    /// Groups that could not be used can be used now.
    pub(super) fn unblocked(&mut self, groups: &HashSet<GroupId>) {
        if groups.is_empty() {
            return;
        }
        for prefix in self.select(|cell| cell.is(state::FAILED) && groups.contains(&cell.wanted)) {
            self.retry(prefix);
        }
    }

    /// What every route of a prefix's family carries.
    pub(super) fn frame(&self, family: Family) -> Frame {
        let FibConfig { table, metric, mtu, .. } = self.config;
        Frame { table, metric, protocol: crate::PROTOCOL, prefsrc: self.config.prefsrc[family], mtu }
    }

    /// The metric as the kernel stores it: IPv6 turns 0 into 1024.
    pub(super) fn metric(&self, family: Family) -> u32 {
        match (family, self.config.metric) {
            (Family::Ipv6, 0) => 1024,
            (_, metric) => metric,
        }
    }

    /// Before the kernel shows the routes of a family.
    pub(super) fn forget_seen(&mut self, family: Family) {
        self.table.clear_flag(family, state::SEEN | state::WRITTEN);
    }

    /// Visits the cells of a family, in no order.
    pub(super) fn each(&self, family: Family, mut visit: impl FnMut(Prefix, Cell)) {
        self.table.for_each(family, &mut visit);
    }

    /// Before the dump of a family.
    pub(super) fn begin_dump(&mut self, family: Family) {
        self.forget_seen(family);
        self.foreign.retain(|prefix, _| prefix.family() != family);
        self.leftovers.retain(|(prefix, _)| prefix.family() != family);
    }

    /// A route of the dump.
    pub(super) fn observe(&mut self, route: &RouteMessage<'_>, by_id: &HashMap<u32, GroupId>) {
        let (prefix, family) = (route.prefix, route.prefix.family());
        if route.table != self.config.table {
            return;
        }
        let same_metric = route.metric == self.metric(family);
        match (route.protocol == crate::PROTOCOL, same_metric) {
            (false, true) => {
                self.foreign.insert(prefix, route.protocol);
            }
            (true, false) => self.leftovers.push((prefix, route.metric)),
            (true, true) => self.observe_ours(route, by_id),
            (false, false) => {}
        }
    }

    fn observe_ours(&mut self, route: &RouteMessage<'_>, by_id: &HashMap<u32, GroupId>) {
        let prefix = route.prefix;
        let cell = self.cell(prefix);
        if cell.is(state::SEEN) {
            // One more of the same prefix and metric.
            return self.several(prefix);
        }
        let same_frame = self.has_frame(route);
        if cell.installed != NONE && same_frame && self.objects.is_written_as(cell.installed, route) {
            self.update(prefix, |cell| cell.set(state::SEEN));
            return;
        }
        let found = self.group_of(route, by_id);
        let exact = same_frame && self.objects.is_written_as(found, route);
        let swept = self.swept;
        self.update(prefix, |cell| {
            cell.installed = found;
            cell.set(state::SEEN);
            if !exact {
                cell.set(state::REWRITE);
            }
            if cell.wanted == NONE && !cell.is(state::PENDING) {
                cell.set(if swept { state::PENDING } else { state::ADOPTED });
            } else if cell.wanted != found || !exact {
                cell.clear(state::FAILED);
                cell.set(state::PENDING);
            }
        });
    }

    /// Somebody else installed a route with our protocol number where none of ours was.
    pub(super) fn stray(&mut self, prefix: Prefix) {
        let unnamed = self.objects.intern(&Arc::new(NextHopGroup::UNREACHABLE), prefix.family());
        let swept = self.swept;
        self.failures.forget(prefix);
        self.update(prefix, |cell| {
            cell.installed = unnamed;
            cell.clear(state::FAILED);
            cell.set(state::REWRITE | state::SEVERAL);
            cell.set(if cell.wanted != NONE || swept { state::PENDING } else { state::ADOPTED });
        });
    }

    /// The group a kernel route goes by. One that we cannot name counts as unreachable: it is never written so, it only
    /// says that something is there.
    fn group_of(&mut self, route: &RouteMessage<'_>, by_id: &HashMap<u32, GroupId>) -> GroupId {
        if let Some(id) = by_id.get(&route.nexthop_id) {
            return *id;
        }
        let value = match route.kind {
            RouteKind::Blackhole => NextHopGroup::BLACKHOLE,
            RouteKind::Prohibit => NextHopGroup::PROHIBIT,
            RouteKind::Unicast => NextHopGroup::from_hops(route.hops()).unwrap_or(NextHopGroup::UNREACHABLE),
            _ => NextHopGroup::UNREACHABLE,
        };
        self.objects.intern(&Arc::new(value), route.prefix.family())
    }

    /// After the dump of a family: what it did not show is not there. Returns how many routes were missing.
    pub(super) fn end_dump(&mut self, family: Family) -> usize {
        let mut missing = Vec::new();
        self.table.for_each(family, |prefix, cell| {
            if cell.installed != NONE && !cell.is(state::SEEN) {
                missing.push(prefix);
            }
        });
        for prefix in &missing {
            self.vanished(*prefix);
        }
        missing.len()
    }

    /// The state of a prefix, for display.
    pub(super) fn route(&self, prefix: Prefix) -> Option<InstalledRoute> {
        let cell = self.cell(prefix);
        let shown = if cell.wanted == NONE { cell.installed } else { cell.wanted };
        if shown == NONE && !cell.is(state::PENDING) {
            return None;
        }
        let state = if cell.is(state::FAILED) {
            let known = self.failures.get(prefix).cloned();
            let error = known.or_else(|| self.objects.way(cell.wanted).err());
            let error = error.unwrap_or_else(|| KernelError::from_errno(libc::EAGAIN));
            RouteState::Failed { errno: error.errno, text: error.text }
        } else if cell.is(state::PENDING) {
            RouteState::Pending
        } else if cell.is(state::ADOPTED) {
            RouteState::Adopted
        } else {
            RouteState::Installed
        };
        Some(InstalledRoute { prefix, group: self.objects.value(shown), state })
    }

    /// The routes behind `from`, in order.
    pub(super) fn walk(&mut self, from: Option<Prefix>, limit: usize) -> Vec<InstalledRoute> {
        let mut routes = Vec::new();
        let mut last = from;
        while routes.len() < limit {
            let page = std::mem::take(&mut self.page);
            let within = last.and_then(|p| page.binary_search(&p).ok()).map(|at| at + 1);
            let start = match within.filter(|at| *at < page.len()) {
                Some(start) => {
                    self.page = page;
                    start
                }
                None => {
                    self.page = self.next_page(last);
                    0
                }
            };
            let keys: Vec<Prefix> =
                self.page.iter().skip(start).take(limit - routes.len()).copied().collect();
            let Some(end) = keys.last() else { break };
            last = Some(*end);
            routes.extend(keys.into_iter().filter_map(|prefix| self.route(prefix)));
        }
        routes
    }

    /// The first [`PAGE`] prefixes behind `from`, sorted.
    fn next_page(&self, from: Option<Prefix>) -> Vec<Prefix> {
        let mut page: Vec<Prefix> = Vec::new();
        for family in Family::ALL {
            if page.len() >= PAGE || from.is_some_and(|f| f.family() > family) {
                continue;
            }
            self.table.for_each(family, |prefix, _| {
                if from.is_none_or(|f| prefix > f) {
                    page.push(prefix);
                    if page.len() == 2 * PAGE {
                        page.select_nth_unstable(PAGE);
                        page.truncate(PAGE);
                    }
                }
            });
        }
        page.sort_unstable();
        page.truncate(PAGE);
        page
    }

    /// Gives memory back that a larger table needed.
    pub(super) fn shrink(&mut self) {
        self.table.shrink();
    }
}
