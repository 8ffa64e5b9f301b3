//! Comparing what the kernel has with what the books say, in slices, while routes go on being written.
//!
//! A route that is written meanwhile is not compared. What differs is looked for a second time before it counts: while
//! its table changes, the kernel's dump may show a route twice or not at all. What differs then is mended.

use std::net::IpAddr;

use foldhash::HashMap;
use siskin_net::{Family, Prefix};

use super::Fib;
use super::book::Book;
use super::place::{Place, TableId};
use super::table::{GroupId, NONE, state};
use crate::channel::Channel;
use crate::error::FibError;
use crate::state::no_such_table;
use crate::wire::batch::Batch;
use crate::wire::route::{self, RouteKind, RouteMessage};

/// Differences that a report names; all are counted.
const NAMED: usize = 1_000;

/// What is wrong with a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DifferenceKind {
    /// The kernel does not have it.
    Missing,
    /// The kernel has another route in its place.
    Changed,
    /// The kernel has a route of ours that nobody wants.
    Surplus,
}

/// A route that differed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Difference {
    /// The kernel's table.
    pub table: u32,
    /// The prefix.
    pub prefix: Prefix,
    /// What was wrong.
    pub kind: DifferenceKind,
}

/// What a comparison found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FibCheck {
    /// Routes of ours that the kernel showed.
    pub routes: usize,
    /// Next-hop objects that were missing or changed.
    pub objects: usize,
    /// Routes that differed; they are mended.
    pub different: usize,
    /// The first of them, in order.
    pub differences: Vec<Difference>,
    /// Routes that the kernel refused before, and still lacks.
    pub failed: usize,
}

/// A comparison under way.
#[derive(Debug)]
pub(super) struct Check {
    channel: Channel,
    /// The dump that is being read.
    dump: Option<((TableId, Family), u32)>,
    /// What is still to be read in this pass.
    rest: Vec<(TableId, Family)>,
    by_id: HashMap<u32, GroupId>,
    routes: usize,
    objects: usize,
    suspects: HashMap<Place, DifferenceKind>,
    /// What the first pass found; `None` during the first pass.
    first: Option<HashMap<Place, DifferenceKind>>,
}

impl Fib {
    /// Starts a comparison; one under way goes on.
    ///
    /// # Errors
    /// What the socket or the kernel says.
    pub fn begin_check(&mut self) -> Result<(), FibError> {
        if self.check.is_some() {
            return Ok(());
        }
        let mut objects = 0;
        if self.book.objects.enabled {
            let before = self.book.objects.count_present();
            let lost = self.book.objects.verify(&mut self.channel)?;
            objects = before.saturating_sub(self.book.objects.count_present());
            self.book.lost(&lost);
            self.hurry_objects();
        }
        self.check = Some(Check {
            channel: Channel::open()?,
            dump: None,
            rest: Vec::new(),
            by_id: HashMap::default(),
            routes: 0,
            objects,
            suspects: HashMap::default(),
            first: None,
        });
        self.begin_pass();
        Ok(())
    }

    /// Whether a comparison is under way: [`Fib::check_slice`] is to be called.
    #[must_use]
    pub fn is_checking(&self) -> bool {
        self.check.is_some()
    }

    /// Goes on with a comparison: reads at most `datagrams` of the kernel, of some 300 routes each. The result when it is
    /// over; [`Fib::write`] then mends what differed.
    ///
    /// # Errors
    /// What the socket or the kernel says; the comparison is over.
    pub fn check_slice(&mut self, datagrams: usize) -> Result<Option<FibCheck>, FibError> {
        let Some(mut check) = self.check.take() else { return Ok(None) };
        let result = check.advance(&mut self.book, datagrams)?;
        if !result {
            self.check = Some(check);
            return Ok(None);
        }
        for place in self.book.unseen() {
            check.suspects.entry(place).or_insert(DifferenceKind::Missing);
        }
        // What was written since it was read is as we wrote it.
        check.suspects.retain(|place, _| !self.book.cell(*place).is(state::WRITTEN));
        match check.first.take() {
            None if !check.suspects.is_empty() => {
                check.first = Some(std::mem::take(&mut check.suspects));
                check.routes = 0;
                self.check = Some(check);
                self.begin_pass();
                Ok(None)
            }
            first => {
                let first = first.unwrap_or_default();
                check.suspects.retain(|place, _| first.contains_key(place));
                Ok(Some(self.conclude(check)))
            }
        }
    }

    /// Starts reading from the top: at the start, for the second look, and when a full comparison came between.
    pub(super) fn begin_pass(&mut self) {
        let Some(check) = &mut self.check else { return };
        let all = self.book.tables.ids().flat_map(|table| Family::ALL.map(|family| (table, family)));
        check.rest = all.collect();
        for (table, family) in &check.rest {
            self.book.forget_seen(*table, *family);
        }
        check.rest.reverse();
        check.suspects.clear();
        check.routes = 0;
        check.dump = None;
        check.by_id = self.book.objects.kernel_index();
    }

    fn conclude(&mut self, check: Check) -> FibCheck {
        let mut suspects: Vec<(Place, DifferenceKind)> = check.suspects.into_iter().collect();
        suspects.sort_unstable();
        for (place, kind) in &suspects {
            match kind {
                DifferenceKind::Missing => self.book.vanished(*place),
                DifferenceKind::Changed if self.book.cell(*place).is(state::SEEN) => {
                    self.book.several(*place)
                }
                DifferenceKind::Changed => self.book.doubt(*place),
                DifferenceKind::Surplus => self.book.stray(*place),
            }
        }
        let different = suspects.len();
        let named = suspects.into_iter().take(NAMED);
        let table = |place: Place| self.book.tables.number(place.table);
        let differences = named
            .map(|(place, kind)| Difference { table: table(place), prefix: place.prefix, kind })
            .collect();
        let failed = self.book.counts().iter().map(|(_, counts)| counts.failed).sum();
        FibCheck { routes: check.routes, objects: check.objects, different, differences, failed }
    }
}

impl Check {
    /// Reads on; `true` at the end of a pass.
    fn advance(&mut self, book: &mut Book, datagrams: usize) -> Result<bool, FibError> {
        const ACTION: &str = "comparing routes";
        let (what, seq) = match self.dump {
            Some(dump) => dump,
            None => {
                let Some((table, family)) = self.rest.pop() else { return Ok(true) };
                let number = book.tables.number(table);
                let begun = self.channel.begin_dump(|batch: &mut Batch| route::dump(batch, family, number));
                ((table, family), begun.map_err(FibError::io(ACTION))?)
            }
        };
        self.dump = Some((what, seq));
        let table = what.0;
        let (routes, suspects) = (&mut self.routes, &mut self.suspects);
        let slice = self.channel.dump_slice(ACTION, seq, datagrams, |message| {
            if let Some(route) = RouteMessage::decode(message)
                && book.is_ours(table, &route)
            {
                *routes += 1;
                let place = Place { table, prefix: route.prefix };
                if let Some(kind) = book.compare(place, &route) {
                    suspects.insert(place, kind);
                }
            }
        });
        match slice {
            Err(error) if !no_such_table(&error) => return Err(error),
            Ok(false) => return Ok(false),
            _ => self.dump = None,
        }
        Ok(self.rest.is_empty())
    }
}

impl Book {
    fn is_ours(&self, table: TableId, route: &RouteMessage<'_>) -> bool {
        route.table == self.tables.number(table)
            && route.protocol == crate::PROTOCOL
            && route.metric == self.metric(route.prefix.family())
    }

    /// What every route of ours carries: source and MTU.
    pub(super) fn has_frame(&self, route: &RouteMessage<'_>) -> bool {
        let expected: (Option<IpAddr>, u32) = match route.kind {
            RouteKind::Unicast => (self.config.prefsrc[route.prefix.family()], self.config.mtu),
            _ => (None, 0),
        };
        expected == (route.prefsrc, route.mtu)
    }

    /// Compares a route of ours in the kernel with its cell; what is being changed does not count as different.
    fn compare(&mut self, place: Place, route: &RouteMessage<'_>) -> Option<DifferenceKind> {
        let cell = self.cell(place);
        let changing = state::WRITTEN | state::PENDING | state::FAILED | state::REWRITE | state::ADOPTED;
        if cell.is(state::SEEN) && !cell.is(changing) {
            // One more of the same prefix and metric.
            return Some(DifferenceKind::Changed);
        }
        if cell.is(changing) || self.has_frame(route) && self.objects.is_written_as(cell.installed, route) {
            self.update(place, |cell| cell.set(state::SEEN));
            return None;
        }
        Some(if cell.installed == NONE { DifferenceKind::Surplus } else { DifferenceKind::Changed })
    }

    /// The routes that should be in the kernel, and that no dump showed since [`Book::forget_seen`].
    fn unseen(&self) -> Vec<Place> {
        let mut unseen = Vec::new();
        for family in Family::ALL {
            self.each(family, |place, cell| {
                if cell.installed != NONE && !cell.is(state::SEEN | state::WRITTEN | state::PENDING) {
                    unseen.push(place);
                }
            });
        }
        unseen
    }
}
