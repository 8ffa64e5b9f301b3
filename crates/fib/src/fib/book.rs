//! The books: what is wanted, what is installed, what waits, what failed. No request is sent from here.

use std::sync::Arc;
use std::time::Instant;

use foldhash::{HashMap, HashSet};
use siskin_net::{Family, FamilyMap, NextHopGroup, Prefix};
use smallvec::SmallVec;

use super::failures::Failures;
use super::objects::{Objects, Stand};
use super::place::{Place, TableId, Tables};
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
    pub(super) tables: Tables,
    pub(super) objects: Objects,
    pub(super) queue: Queue,
    pub(super) failures: Failures,
    /// Routes of others with our table and metric, and the protocol they carry: we must not touch them.
    pub(super) foreign: HashMap<Place, u8>,
    /// Routes of ours with a metric of an earlier configuration.
    pub(super) leftovers: Vec<(Place, u32)>,
    /// Groups that could not be used when a route of theirs was to be written.
    blocked: HashSet<GroupId>,
    /// Routes on their way from one table to another: where they still stand, and where they go.
    pub(super) moving: HashMap<Prefix, SmallVec<[(TableId, TableId); 1]>>,
    /// The grace for adopted routes is over: what is found now and not wanted is removed.
    pub(super) swept: bool,
    table: Table,
    counts: FamilyMap<FibCounts>,
    /// Prefixes that wait to be removed.
    pub(super) removals: usize,
    page: Vec<Place>,
}

/// How many prefixes a walk sorts at once.
const PAGE: usize = 64 * 1024;

impl Book {
    pub(super) fn new(config: FibConfig, objects: Objects) -> Book {
        Book {
            tables: Tables::new(config.table),
            config,
            objects,
            queue: Queue::new(),
            failures: Failures::default(),
            foreign: HashMap::default(),
            leftovers: Vec::new(),
            blocked: HashSet::default(),
            moving: HashMap::default(),
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

    pub(super) fn cell(&self, place: Place) -> Cell {
        self.table.get(place)
    }

    /// Changes a cell and everything that is counted by it.
    pub(super) fn update(&mut self, place: Place, change: impl FnOnce(&mut Cell)) {
        let (old, new) = self.table.modify(place, change);
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
            self.queue.push(place);
        }
        let counts = &mut self.counts[place.family()];
        let adjust = |count: &mut usize, was: bool, is: bool| {
            *count = count.wrapping_add(usize::from(is)).wrapping_sub(usize::from(was));
        };
        adjust(&mut counts.installed, old.installed != NONE, new.installed != NONE);
        adjust(&mut counts.pending, old.is(state::PENDING), new.is(state::PENDING));
        adjust(&mut counts.failed, old.is(state::FAILED), new.is(state::FAILED));
        if !self.moving.is_empty() && old.is(state::PENDING) && !new.is(state::PENDING) {
            self.arrived(place);
        }
    }

    /// Takes over what the RIB wants of a route that stood in another table so far: it leaves that one as soon as it is in
    /// its new one, or cannot be, so that no packet finds it in neither.
    pub(super) fn want_moved(&mut self, place: Place, from: TableId, target: Option<Arc<NextHopGroup>>) {
        self.want(place, target);
        let old = Place { table: from, ..place };
        if from == place.table {
            return;
        }
        let cell = self.cell(old);
        if cell.installed == NONE || !self.cell(place).is(state::PENDING) {
            return self.want(old, None);
        }
        self.moving.entry(place.prefix).or_default().push((from, place.table));
    }

    /// A place waits no more: routes that came there leave where they were.
    fn arrived(&mut self, place: Place) {
        let Some(moves) = self.moving.get_mut(&place.prefix) else { return };
        let mut left: SmallVec<[TableId; 1]> = SmallVec::new();
        moves.retain(|(from, to)| {
            let arrived = *to == place.table;
            left.extend(arrived.then_some(*from));
            !arrived
        });
        if moves.is_empty() {
            self.moving.remove(&place.prefix);
        }
        for table in left {
            self.want(Place { table, ..place }, None);
        }
    }

    /// Takes over what the RIB wants.
    pub(super) fn want(&mut self, place: Place, target: Option<Arc<NextHopGroup>>) {
        let wanted = target.map_or(NONE, |group| self.objects.intern(&group, place.family()));
        if !self.moving.is_empty()
            && let Some(moves) = self.moving.get_mut(&place.prefix)
        {
            // It stays, or goes at once.
            moves.retain(|(from, _)| *from != place.table);
            if moves.is_empty() {
                self.moving.remove(&place.prefix);
            }
        }
        self.failures.forget(place);
        self.update(place, |cell| {
            cell.wanted = wanted;
            cell.clear(state::ADOPTED | state::FAILED);
            if wanted != cell.installed || cell.is(state::REWRITE) {
                cell.set(state::PENDING);
            }
        });
    }

    /// What the cell of a waiting prefix asks for.
    pub(super) fn step(&self, place: Place) -> Step {
        let cell = self.cell(place);
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
    pub(super) fn done(&mut self, place: Place) {
        self.failures.forget(place);
        self.update(place, |cell| {
            cell.installed = cell.wanted;
            cell.clear(state::PENDING | state::FAILED | state::REWRITE | state::SEVERAL);
            // Whoever compares meanwhile need not look.
            cell.set(state::WRITTEN);
        });
    }

    /// The kernel removed a route of ours. Of one that may not have been the only one that is not the end.
    pub(super) fn removed(&mut self, place: Place) {
        if self.cell(place).is(state::REWRITE | state::SEVERAL) {
            self.queue.push(place);
        } else {
            self.done(place);
        }
    }

    /// The kernel has no route of ours left to remove; what is wanted comes next.
    pub(super) fn nothing_left(&mut self, place: Place) {
        self.update(place, |cell| {
            cell.installed = NONE;
            cell.clear(state::REWRITE | state::SEVERAL);
        });
        if self.cell(place).wanted == NONE {
            self.done(place);
        } else {
            self.queue.push(place);
        }
    }

    /// Nothing had to be done.
    pub(super) fn settled(&mut self, place: Place) {
        self.failures.forget(place);
        self.update(place, |cell| cell.clear(state::PENDING | state::FAILED));
    }

    /// The kernel refused; it is tried again later.
    pub(super) fn refused(&mut self, place: Place, error: KernelError, now: Instant) {
        self.failures.record(place, error, now);
        self.update(place, |cell| {
            cell.clear(state::PENDING);
            cell.set(state::FAILED);
        });
    }

    /// Its group cannot be used: it waits for the group, not for a time.
    pub(super) fn blocked(&mut self, place: Place) {
        self.failures.forget(place);
        self.blocked.insert(self.cell(place).wanted);
        self.update(place, |cell| {
            cell.clear(state::PENDING);
            cell.set(state::FAILED);
        });
    }

    /// Tries the routes again whose groups can be used by now, whoever made the objects: a route of another group with a
    /// hop in common, perhaps.
    pub(super) fn unblock(&mut self) {
        let (blocked, objects) = (&mut self.blocked, &self.objects);
        let usable: HashSet<GroupId> = blocked.extract_if(|id| objects.way(*id).is_ok()).collect();
        self.unblocked(&usable);
    }

    /// It is not known whether the kernel took it; it stays pending.
    pub(super) fn unsure(&mut self, place: Place) {
        self.update(place, |cell| cell.set(state::REWRITE));
        self.queue.push(place);
    }

    /// Tries a failed prefix again.
    pub(super) fn retry(&mut self, place: Place) {
        if !self.cell(place).is(state::FAILED) {
            return self.failures.forget(place);
        }
        self.update(place, |cell| {
            cell.clear(state::FAILED);
            cell.set(state::PENDING);
        });
    }

    /// The prefixes whose cells satisfy a condition.
    pub(super) fn select(&self, mut condition: impl FnMut(Cell) -> bool) -> Vec<Place> {
        let mut selected = Vec::new();
        for family in Family::ALL {
            self.table.for_each(family, |place, cell| {
                if condition(cell) {
                    selected.push(place);
                }
            });
        }
        selected
    }

    /// Groups vanished, and their routes with them.
    pub(super) fn lost(&mut self, groups: &HashSet<GroupId>) {
        let doubtful = std::mem::take(&mut self.objects.doubtful);
        if !doubtful.is_empty() {
            for place in self.select(|cell| doubtful.contains(&cell.installed)) {
                self.disturbed(place);
            }
        }
        if groups.is_empty() {
            return;
        }
        for place in self.select(|cell| groups.contains(&cell.installed)) {
            self.vanished(place);
        }
    }

    /// The objects of groups were deleted, and the routes that used them are gone. Of a route that may have been changed
    /// behind our back this is not known: it is removed like any other.
    pub(super) fn dropped(&mut self, groups: &[GroupId]) {
        if groups.is_empty() {
            return;
        }
        let gone = |cell: Cell| groups.contains(&cell.installed) && !cell.is(state::REWRITE);
        for place in self.select(gone) {
            self.vanished(place);
        }
    }

    /// The kernel has no route of ours for this prefix any more.
    pub(super) fn vanished(&mut self, place: Place) {
        self.update(place, |cell| {
            cell.installed = NONE;
            cell.clear(state::ADOPTED);
            if cell.wanted != NONE && !cell.is(state::FAILED) {
                cell.set(state::PENDING);
            }
        });
    }

    /// What the kernel has for this prefix may differ from what we wrote: it is written again.
    pub(super) fn doubt(&mut self, place: Place) {
        self.update(place, |cell| {
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
    pub(super) fn several(&mut self, place: Place) {
        self.update(place, |cell| cell.set(state::SEVERAL));
        self.doubt(place);
    }

    /// Others deleted it, or a part of it.
    pub(super) fn disturbed(&mut self, place: Place) {
        self.doubt(place);
        self.vanished(place);
    }

    /// Groups that could not be used can be used now.
    pub(super) fn unblocked(&mut self, groups: &HashSet<GroupId>) {
        if groups.is_empty() {
            return;
        }
        for place in self.select(|cell| cell.is(state::FAILED) && groups.contains(&cell.wanted)) {
            self.retry(place);
        }
    }

    /// What every route of a family in a table carries.
    pub(super) fn frame(&self, table: TableId, family: Family) -> Frame {
        let FibConfig { metric, mtu, .. } = self.config;
        let table = self.tables.number(table);
        Frame { table, metric, protocol: crate::PROTOCOL, prefsrc: self.config.prefsrc[family], mtu }
    }

    /// The metric as the kernel stores it: IPv6 turns 0 into 1024.
    pub(super) fn metric(&self, family: Family) -> u32 {
        match (family, self.config.metric) {
            (Family::Ipv6, 0) => 1024,
            (_, metric) => metric,
        }
    }

    /// Before the kernel shows the routes of a family in a table.
    pub(super) fn forget_seen(&mut self, table: TableId, family: Family) {
        self.table.clear_flag(table, family, state::SEEN | state::WRITTEN);
    }

    /// Visits the cells of a family, in no order.
    pub(super) fn each(&self, family: Family, mut visit: impl FnMut(Place, Cell)) {
        self.table.for_each(family, &mut visit);
    }

    /// Before the dump of a family in a table.
    pub(super) fn begin_dump(&mut self, table: TableId, family: Family) {
        self.forget_seen(table, family);
        let other = |place: &Place| (place.table, place.family()) != (table, family);
        self.foreign.retain(|place, _| other(place));
        self.leftovers.retain(|(place, _)| other(place));
    }

    /// A route of the dump.
    pub(super) fn observe(&mut self, route: &RouteMessage<'_>, by_id: &HashMap<u32, GroupId>) {
        let Some(table) = self.tables.find(route.table) else { return };
        let (place, family) = (Place { table, prefix: route.prefix }, route.prefix.family());
        let same_metric = route.metric == self.metric(family);
        match (route.protocol == crate::PROTOCOL, same_metric) {
            (false, true) => {
                self.foreign.insert(place, route.protocol);
            }
            (true, false) => self.leftovers.push((place, route.metric)),
            (true, true) => self.observe_ours(place, route, by_id),
            (false, false) => {}
        }
    }

    fn observe_ours(&mut self, place: Place, route: &RouteMessage<'_>, by_id: &HashMap<u32, GroupId>) {
        let cell = self.cell(place);
        if cell.is(state::SEEN) {
            // One more of the same prefix and metric.
            return self.several(place);
        }
        let same_frame = self.has_frame(route);
        if cell.installed != NONE && same_frame && self.objects.is_written_as(cell.installed, route) {
            self.update(place, |cell| cell.set(state::SEEN));
            return;
        }
        let found = self.group_of(route, by_id);
        let exact = same_frame && self.objects.is_written_as(found, route);
        let swept = self.swept;
        self.update(place, |cell| {
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
    pub(super) fn stray(&mut self, place: Place) {
        let unnamed = self.objects.intern(&Arc::new(NextHopGroup::UNREACHABLE), place.family());
        let swept = self.swept;
        self.failures.forget(place);
        self.update(place, |cell| {
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

    /// After the dump of a family in a table: what it did not show is not there. Returns how many routes were missing.
    pub(super) fn end_dump(&mut self, table: TableId, family: Family) -> usize {
        let mut missing = Vec::new();
        self.table.for_each_in(table, family, |place, cell| {
            if cell.installed != NONE && !cell.is(state::SEEN) {
                missing.push(place);
            }
        });
        for place in &missing {
            self.vanished(*place);
        }
        missing.len()
    }

    /// The state of a prefix, for display.
    pub(super) fn route(&self, place: Place) -> Option<InstalledRoute> {
        let cell = self.cell(place);
        let shown = if cell.wanted == NONE { cell.installed } else { cell.wanted };
        if shown == NONE && !cell.is(state::PENDING) {
            return None;
        }
        let state = if cell.is(state::FAILED) {
            let known = self.failures.get(place).cloned();
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
        let table = self.tables.number(place.table);
        Some(InstalledRoute { table, prefix: place.prefix, group: self.objects.value(shown), state })
    }

    /// The routes behind `from`, in order.
    pub(super) fn walk(&mut self, from: Option<Place>, limit: usize) -> Vec<InstalledRoute> {
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
            let keys: Vec<Place> = self.page.iter().skip(start).take(limit - routes.len()).copied().collect();
            let Some(end) = keys.last() else { break };
            last = Some(*end);
            routes.extend(keys.into_iter().filter_map(|place| self.route(place)));
        }
        routes
    }

    /// The first [`PAGE`] prefixes behind `from`, sorted.
    fn next_page(&self, from: Option<Place>) -> Vec<Place> {
        let mut page: Vec<Place> = Vec::new();
        for (table, family) in self.tables.ids().flat_map(|t| Family::ALL.map(|f| (t, f))) {
            let behind = from.is_some_and(|f| (f.table, f.family()) > (table, family));
            if page.len() >= PAGE || behind {
                continue;
            }
            self.table.for_each_in(table, family, |place, _| {
                if from.is_none_or(|f| place > f) {
                    page.push(place);
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
