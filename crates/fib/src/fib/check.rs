//! Comparing what the kernel has with what the books say, in slices, while routes go on being written.
//!
//! A route that is written meanwhile is not compared. What differs is looked for a second time before it counts: while
//! its table changes, the kernel's dump may show a route twice or not at all. What differs then is mended.

use std::net::IpAddr;

use foldhash::HashMap;
use siskin_net::{Family, Prefix};

use super::Fib;
use super::book::Book;
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
    pub differences: Vec<(Prefix, DifferenceKind)>,
    /// Routes that the kernel refused before, and still lacks.
    pub failed: usize,
}

/// A comparison under way.
#[derive(Debug)]
pub(super) struct Check {
    channel: Channel,
    /// The dump that is being read.
    dump: Option<(Family, u32)>,
    /// Families still to be read in this pass.
    rest: Vec<Family>,
    by_id: HashMap<u32, GroupId>,
    routes: usize,
    objects: usize,
    suspects: HashMap<Prefix, DifferenceKind>,
    /// What the first pass found; `None` during the first pass.
    first: Option<HashMap<Prefix, DifferenceKind>>,
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
        for prefix in self.book.unseen() {
            check.suspects.entry(prefix).or_insert(DifferenceKind::Missing);
        }
        // What was written since it was read is as we wrote it.
        check.suspects.retain(|prefix, _| !self.book.cell(*prefix).is(state::WRITTEN));
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
                check.suspects.retain(|prefix, _| first.contains_key(prefix));
                Ok(Some(self.conclude(check)))
            }
        }
    }

    /// Starts reading from the top: at the start, for the second look, and when a full comparison came between.
    pub(super) fn begin_pass(&mut self) {
        let Some(check) = &mut self.check else { return };
        for family in Family::ALL {
            self.book.forget_seen(family);
        }
        check.suspects.clear();
        check.routes = 0;
        check.dump = None;
        check.rest = Family::ALL.into_iter().rev().collect();
        check.by_id = self.book.objects.kernel_index();
    }

    fn conclude(&mut self, check: Check) -> FibCheck {
        let mut differences: Vec<(Prefix, DifferenceKind)> = check.suspects.into_iter().collect();
        differences.sort_unstable();
        for (prefix, kind) in &differences {
            match kind {
                DifferenceKind::Missing => self.book.vanished(*prefix),
                DifferenceKind::Changed if self.book.cell(*prefix).is(state::SEEN) => {
                    self.book.several(*prefix)
                }
                DifferenceKind::Changed => self.book.doubt(*prefix),
                DifferenceKind::Surplus => self.book.stray(*prefix),
            }
        }
        let different = differences.len();
        differences.truncate(NAMED);
        let failed = self.book.counts().iter().map(|(_, counts)| counts.failed).sum();
        FibCheck { routes: check.routes, objects: check.objects, different, differences, failed }
    }
}

impl Check {
    /// Reads on; `true` at the end of a pass.
    fn advance(&mut self, book: &mut Book, datagrams: usize) -> Result<bool, FibError> {
        const ACTION: &str = "comparing routes";
        let (family, seq) = match self.dump {
            Some(dump) => dump,
            None => {
                let Some(family) = self.rest.pop() else { return Ok(true) };
                let table = book.config.table;
                let begun = self.channel.begin_dump(|batch: &mut Batch| route::dump(batch, family, table));
                (family, begun.map_err(FibError::io(ACTION))?)
            }
        };
        self.dump = Some((family, seq));
        let (routes, suspects) = (&mut self.routes, &mut self.suspects);
        let slice = self.channel.dump_slice(ACTION, seq, datagrams, |message| {
            if let Some(route) = RouteMessage::decode(message)
                && book.is_ours(&route)
            {
                *routes += 1;
                if let Some(kind) = book.compare(&route) {
                    suspects.insert(route.prefix, kind);
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
    fn is_ours(&self, route: &RouteMessage<'_>) -> bool {
        route.table == self.config.table
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
    fn compare(&mut self, route: &RouteMessage<'_>) -> Option<DifferenceKind> {
        let prefix = route.prefix;
        let cell = self.cell(prefix);
        let changing = state::WRITTEN | state::PENDING | state::FAILED | state::REWRITE | state::ADOPTED;
        if cell.is(state::SEEN) && !cell.is(changing) {
            // One more of the same prefix and metric.
            return Some(DifferenceKind::Changed);
        }
        if cell.is(changing) || self.has_frame(route) && self.objects.is_written_as(cell.installed, route) {
            self.update(prefix, |cell| cell.set(state::SEEN));
            return None;
        }
        Some(if cell.installed == NONE { DifferenceKind::Surplus } else { DifferenceKind::Changed })
    }

    /// The routes that should be in the kernel, and that no dump showed since [`Book::forget_seen`].
    fn unseen(&self) -> Vec<Prefix> {
        let mut unseen = Vec::new();
        for family in Family::ALL {
            self.each(family, |prefix, cell| {
                if cell.installed != NONE && !cell.is(state::SEEN | state::WRITTEN | state::PENDING) {
                    unseen.push(prefix);
                }
            });
        }
        unseen
    }
}
