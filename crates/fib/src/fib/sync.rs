//! Reading the kernel's table: at the start, after lost events, on doubt; and leaving nothing behind.

use std::time::Instant;

use siskin_net::{Family, FamilyMap};

use super::Fib;
use super::book::Book;
use super::place::TableId;
use super::table::{GroupId, NONE, state};
use crate::error::FibError;
use crate::state::no_such_table;
use crate::wire::route::{self, RouteMessage};
use crate::wire::{batch::Batch, nexthop};

impl Fib {
    /// Reads our tables and marks what differs from what we thought: missing routes wait to be written, changed ones to
    /// be replaced, unknown ones of ours are adopted (after [`Fib::sweep`]: removed). Returns how many routes were
    /// missing or changed; [`Fib::write`] then mends them.
    ///
    /// # Errors
    /// What the socket or the kernel says; the books may then be behind, and it should be called again.
    pub fn resync(&mut self) -> Result<usize, FibError> {
        self.resync_at = None;
        let before = self.book.counts();
        if self.book.objects.enabled && before != FamilyMap::default() {
            let lost = self.book.objects.verify(&mut self.channel)?;
            self.book.lost(&lost);
            self.heal_at = Some(Instant::now());
        }
        let by_id = self.book.objects.kernel_index();
        for table in self.book.tables.ids() {
            for family in Family::ALL {
                self.dump(table, family, &by_id)?;
            }
        }
        self.new_tables.clear();
        self.begin_pass();
        let after = self.book.counts();
        Ok(Family::ALL.into_iter().map(|f| after[f].pending.saturating_sub(before[f].pending)).sum())
    }

    /// Reads tables that were not ours before: somebody else's routes may be there, or a previous run's.
    ///
    /// # Errors
    /// As of [`Fib::resync`].
    pub(super) fn read_new_tables(&mut self) -> Result<(), FibError> {
        if self.new_tables.is_empty() {
            return Ok(());
        }
        let by_id = self.book.objects.kernel_index();
        while let Some(table) = self.new_tables.last().copied() {
            for family in Family::ALL {
                self.dump(table, family, &by_id)?;
            }
            self.new_tables.pop();
        }
        self.begin_pass();
        Ok(())
    }

    /// Looks for routes of ours in tables other than that of the configuration, where a previous run may have left some:
    /// those tables are ours then.
    ///
    /// # Errors
    /// As of [`Fib::resync`].
    pub(super) fn find_tables(&mut self) -> Result<(), FibError> {
        for family in Family::ALL {
            let build = |batch: &mut Batch| route::dump_protocol(batch, family, crate::PROTOCOL);
            self.channel.dump(
                "looking for routes of ours",
                build,
                &mut self.book.tables,
                |_| {},
                |tables, message| {
                    if let Some(route) =
                        RouteMessage::decode(message).filter(|r| r.protocol == crate::PROTOCOL)
                    {
                        tables.add(route.table);
                    }
                },
            )?;
        }
        Ok(())
    }

    fn dump(
        &mut self,
        id: TableId,
        family: Family,
        by_id: &foldhash::HashMap<u32, GroupId>,
    ) -> Result<(), FibError> {
        let table = self.book.tables.number(id);
        let build = |batch: &mut Batch| route::dump(batch, family, table);
        let begin = |book: &mut Book| book.begin_dump(id, family);
        let dump = self.channel.dump("reading routes", build, &mut self.book, begin, |book, message| {
            if let Some(route) = RouteMessage::decode(message).filter(|r| r.table == table) {
                book.observe(&route, by_id);
            }
        });
        match dump {
            Err(error) if !no_such_table(&error) => return Err(error),
            _ => {}
        }
        self.book.end_dump(id, family);
        Ok(())
    }

    /// Takes everything of ours out of the kernel: policy rules, routes, next-hop objects, neighbour entries; for `on-stop = "flush"`.
    /// Objects go first, and the kernel drops their routes with them, which is faster than one by one. Returns how many
    /// routes could not be removed.
    pub fn flush(&mut self) -> usize {
        if let Err(error) = self.rules.flush(&mut self.channel, &mut self.batch) {
            tracing::warn!(%error, "flushing policy rules failed");
        }
        self.book.swept = true;
        self.book.moving.clear();
        for place in self.book.select(|_| true) {
            self.book.failures.forget(place);
            self.book.update(place, |cell| {
                cell.wanted = NONE;
                cell.clear(state::ADOPTED | state::FAILED);
                cell.set(state::PENDING);
            });
        }
        if let Err(error) = self.delete_objects() {
            tracing::warn!(%error, "flushing next-hop objects failed: routes are removed one by one");
        }
        loop {
            let before = self.pending();
            self.write(usize::MAX);
            if self.pending() == 0 || self.pending() >= before {
                break;
            }
        }
        if let Err(error) = self.neighbors.flush(&mut self.channel, &mut self.batch) {
            tracing::warn!(%error, "flushing neighbour entries failed");
        }
        Family::ALL.into_iter().map(|f| self.book.counts()[f].installed).sum()
    }

    fn delete_objects(&mut self) -> Result<(), FibError> {
        let ids = self.book.objects.kernel_ids();
        for part in ids.chunks(512) {
            self.channel.prepare(&mut self.batch);
            for id in part {
                nexthop::remove(&mut self.batch, *id);
            }
            let exchange =
                self.channel.exchange(&mut self.batch, |_, error| tracing::debug!(%error, "flushing"));
            exchange.map_err(FibError::io("deleting next-hop objects"))?;
        }
        if !ids.is_empty() {
            self.resync()?;
        }
        Ok(())
    }
}
