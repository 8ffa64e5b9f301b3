//! Writing: next-hop objects first, then routes in sorted order, one acknowledgement a batch.

use std::io;
use std::time::{Duration, Instant};

use foldhash::HashSet;
use siskin_net::Family;

use super::book::Step;
use super::place::Place;
use super::table::{GroupId, state};
use super::{Fib, WriteProgress};
use crate::error::KernelError;
use crate::wire::{flag, route};

/// How many prefixes are prepared together: a batch of plain routes holds about as many.
const SLICE: usize = 1024;
/// Incomplete groups are tried again after a second first, then ever more rarely.
pub(super) const HEAL_FIRST: Duration = Duration::from_secs(1);
const HEAL_LAST: Duration = Duration::from_secs(30);
/// How soon again after the socket failed.
const SOCKET_RETRY: Duration = Duration::from_millis(500);
/// How soon a conflict with an unknown route leads to a dump, at the earliest.
const CONFLICT_DUMP: Duration = Duration::from_secs(5);

impl Fib {
    /// Writes at most `budget` prefixes. What the kernel refuses is recorded with its own words, see [`Fib::get`], and
    /// tried again: after a second first, after a minute at the latest, or when a link or address changes.
    pub fn write(&mut self, budget: usize) -> WriteProgress {
        let mut progress = WriteProgress::default();
        if let Err(error) = self.write_all(budget, &mut progress) {
            tracing::warn!(%error, "writing to the kernel failed");
            progress.retry_after = Some(SOCKET_RETRY);
        } else {
            progress.retry_after = self.next_retry();
        }
        progress.pending = self.pending();
        progress.removals = self.book.removals;
        progress
    }

    fn write_all(&mut self, budget: usize, progress: &mut WriteProgress) -> io::Result<()> {
        let now = Instant::now();
        if self.resync_at.is_some_and(|at| at <= now) {
            self.resync().map_err(io::Error::other)?;
        }
        self.read_new_tables().map_err(io::Error::other)?;
        self.tend_objects(now)?;
        self.book.unblock();
        self.rules.tend(now, &mut self.channel, &mut self.batch)?;
        self.neighbors.restore(&mut self.channel, &mut self.batch)?;
        for place in self.book.failures.due(now) {
            self.book.retry(place);
        }
        let dropped = self.book.objects.drop_routes(&mut self.channel, &mut self.batch)?;
        self.book.dropped(&dropped);
        self.book.queue.promote();
        let mut left = budget;
        while left > 0 && !self.book.queue.is_empty() {
            for family in Family::ALL {
                let shared = Family::ALL.into_iter().all(|f| self.book.queue.len(f) > 0);
                let share = if shared { left.div_ceil(2) } else { left };
                left -= self.write_slice(family, share.min(SLICE), now, progress)?;
            }
        }
        self.tidy()
    }

    /// Finds out what became of doubtful objects, and makes those anew that can be.
    fn tend_objects(&mut self, now: Instant) -> io::Result<()> {
        let objects = &mut self.book.objects;
        if !objects.enabled {
            return Ok(());
        }
        if objects.suspect {
            let lost = objects.verify(&mut self.channel).map_err(io::Error::other)?;
            self.book.lost(&lost);
            self.heal_at = Some(now);
        }
        if self.heal_at.is_some_and(|at| at <= now) {
            let usable = self.book.objects.heal(&mut self.channel, &mut self.batch)?;
            self.book.unblocked(&usable);
            self.heal_at = self.book.objects.incomplete.then(|| now + self.heal_wait);
            self.heal_wait =
                if self.heal_at.is_some() { (self.heal_wait * 2).min(HEAL_LAST) } else { HEAL_FIRST };
        }
        Ok(())
    }

    /// Writes up to `limit` prefixes of a family; returns how many it took from the queue.
    fn write_slice(
        &mut self,
        family: Family,
        limit: usize,
        now: Instant,
        progress: &mut WriteProgress,
    ) -> io::Result<usize> {
        let mut taken = 0;
        let mut steps: Vec<(Place, Step)> = Vec::with_capacity(limit.min(self.book.queue.len(family)));
        while taken < limit
            && let Some(place) = self.book.queue.pop(family)
        {
            taken += 1;
            match self.book.step(place) {
                Step::Nothing => self.book.settled(place),
                step => steps.push((place, step)),
            }
        }
        if let Err(error) = self.make_groups(&steps) {
            for (place, _) in steps {
                self.book.queue.push(place);
            }
            return Err(error);
        }
        let mut rest = steps.as_slice();
        while !rest.is_empty() {
            let (sent, count) = self.encode(rest, now, progress);
            rest = rest.get(count..).unwrap_or_default();
            if let Err(error) = self.send(&sent, now, progress) {
                for (place, _) in rest {
                    self.book.queue.push(*place);
                }
                return Err(error);
            }
        }
        Ok(taken)
    }

    /// Makes the next-hop objects these steps need.
    fn make_groups(&mut self, steps: &[(Place, Step)]) -> io::Result<()> {
        let mut groups: Vec<GroupId> = Vec::new();
        for (_, step) in steps {
            if let Step::Create(id) | Step::Replace(id) = step
                && groups.last() != Some(id)
            {
                groups.push(*id);
            }
        }
        groups.sort_unstable();
        groups.dedup();
        groups.retain(|id| self.book.objects.needs_making(*id));
        if groups.is_empty() {
            return Ok(());
        }
        self.book.objects.ensure(&groups, &mut self.channel, &mut self.batch)?;
        self.book.unblock();
        if self.book.objects.incomplete && self.heal_at.is_none() {
            self.heal_at = Some(Instant::now() + self.heal_wait);
        }
        Ok(())
    }

    /// Fills the batch; returns what is in it, and how many steps it covers. The others were settled here: the group has
    /// no usable hop, or replacing might hit a foreign route. Creating needs no such care: it is exclusive.
    fn encode(
        &mut self,
        steps: &[(Place, Step)],
        now: Instant,
        progress: &mut WriteProgress,
    ) -> (Vec<(Place, Step)>, usize) {
        self.channel.prepare(&mut self.batch);
        let mut sent = Vec::with_capacity(steps.len());
        for (covered, (place, step)) in steps.iter().enumerate() {
            if self.batch.is_full() {
                return (sent, covered);
            }
            let frame = self.book.frame(place.table, place.family());
            let (group, flags) = match step {
                Step::Create(group) => (*group, flag::CREATE | flag::EXCL),
                Step::Replace(group) => (*group, flag::CREATE | flag::REPLACE),
                Step::Remove | Step::Nothing => {
                    route::remove(&mut self.batch, place.prefix, &frame);
                    sent.push((*place, *step));
                    continue;
                }
            };
            if matches!(step, Step::Replace(_)) && self.book.foreign.contains_key(place) {
                let error = self.in_the_way(*place, now);
                self.book.refused(*place, error, now);
                progress.refused += 1;
            } else if let Ok(way) = self.book.objects.way(group) {
                route::put(&mut self.batch, flags, place.prefix, &frame, way);
                sent.push((*place, *step));
            } else {
                self.book.blocked(*place);
                progress.refused += 1;
            }
        }
        (sent, steps.len())
    }

    /// Sends the batch and notes what became of each prefix in it.
    fn send(&mut self, sent: &[(Place, Step)], now: Instant, progress: &mut WriteProgress) -> io::Result<()> {
        let mut refusals: Vec<(usize, KernelError)> = Vec::new();
        let result = self.channel.exchange(&mut self.batch, |number, error| refusals.push((number, error)));
        if let Err(error) = result {
            for (place, _) in sent {
                self.book.unsure(*place);
            }
            return Err(error);
        }
        let lost = self.check_objects(sent, &refusals);
        let objects_gone = !lost.is_empty();
        let mut refusals = refusals.into_iter().peekable();
        for (number, (place, step)) in sent.iter().enumerate() {
            match refusals.next_if(|(refused, _)| *refused == number) {
                None => {
                    if matches!(step, Step::Create(_)) {
                        // Whatever was in the way is gone, though nobody said so.
                        self.book.foreign.remove(place);
                    }
                    if *step == Step::Remove {
                        self.book.removed(*place)
                    } else {
                        self.book.done(*place)
                    }
                    progress.written += 1;
                }
                // Gone already: that is what was wanted.
                Some((_, error)) if *step == Step::Remove && error.errno == libc::ESRCH => {
                    self.book.nothing_left(*place);
                    progress.written += 1;
                }
                Some(_) if objects_gone => self.book.queue.push(*place),
                Some((_, error)) => {
                    let exclusive = error.errno == libc::EEXIST && matches!(step, Step::Create(_));
                    let error = if exclusive { self.in_the_way(*place, now) } else { error };
                    self.book.refused(*place, error, now);
                    progress.refused += 1;
                }
            }
        }
        // Last, since the kernel took routes of this batch along with their objects, too: first it had them.
        self.book.lost(&lost);
        Ok(())
    }

    /// If installs were refused, the cause may be a next-hop object that vanished. Returns the groups that did: the refused
    /// routes are then written again at once, with new objects, and so are those that the kernel took along.
    fn check_objects(
        &mut self,
        sent: &[(Place, Step)],
        refusals: &[(usize, KernelError)],
    ) -> HashSet<GroupId> {
        let put = |number: &usize| matches!(sent.get(*number), Some((_, Step::Create(_) | Step::Replace(_))));
        let suspicious =
            refusals.iter().any(|(n, e)| put(n) && [libc::EINVAL, libc::ENOENT].contains(&e.errno));
        if !suspicious || !self.book.objects.enabled {
            return HashSet::default();
        }
        match self.book.objects.verify(&mut self.channel) {
            Ok(lost) => {
                self.heal_at.get_or_insert_with(Instant::now);
                lost
            }
            Err(error) => {
                tracing::debug!(%error, "looking for lost next-hop objects");
                self.book.objects.suspect = true;
                HashSet::default()
            }
        }
    }

    /// What there is to say about a route of somebody else where ours should be: more than the kernel's "File exists".
    /// If we do not know it, or cannot be sure that it still is there, a dump will tell.
    fn in_the_way(&mut self, place: Place, now: Instant) -> KernelError {
        let metric = self.book.metric(place.family());
        let known = self.book.foreign.get(&place);
        let text = match known {
            Some(protocol) => {
                let name = protocol_name(*protocol);
                format!("a route of protocol {name} with the same metric {metric} exists")
            }
            None => format!("another route with the same metric {metric} exists"),
        };
        if known.is_none() || self.book.cell(place).is(state::REWRITE) {
            self.resync_at.get_or_insert(now + CONFLICT_DUMP);
        }
        KernelError::new(libc::EEXIST, text)
    }

    /// When the queue is empty: removes what a previous configuration left, and objects without use.
    fn tidy(&mut self) -> io::Result<()> {
        if !self.book.queue.is_empty() || !self.book.swept {
            return Ok(());
        }
        self.remove_leftovers()?;
        // A route that could not be rewritten may still use an object that is otherwise of no use.
        let surplus = self.book.counts().iter().all(|(_, counts)| counts.failed == 0);
        if self.book.objects.has_garbage(surplus) {
            self.book.objects.collect(&mut self.channel, &mut self.batch, surplus)?;
            self.book.shrink();
        }
        Ok(())
    }

    /// Removes routes of ours that carry the metric of an earlier configuration.
    fn remove_leftovers(&mut self) -> io::Result<()> {
        let leftovers = std::mem::take(&mut self.book.leftovers);
        for part in leftovers.chunks(SLICE) {
            self.channel.prepare(&mut self.batch);
            for (place, metric) in part {
                let frame = self.book.frame(place.table, place.family());
                let frame = route::Frame { metric: *metric, ..frame };
                route::remove(&mut self.batch, place.prefix, &frame);
            }
            self.channel
                .exchange(&mut self.batch, |_, error| tracing::debug!(%error, "removing an old route"))?;
        }
        Ok(())
    }

    fn next_retry(&self) -> Option<Duration> {
        let next = [self.heal_at, self.resync_at, self.rules.next_look(), self.book.failures.next_due()]
            .into_iter()
            .flatten()
            .min();
        next.map(|at| at.saturating_duration_since(Instant::now()))
    }
}

/// The names iproute2 gives route protocols (`/etc/iproute2/rt_protos`).
fn protocol_name(protocol: u8) -> String {
    let name = match protocol {
        1 => "redirect",
        2 => "kernel",
        3 => "boot",
        4 => "static",
        9 => "ra",
        11 => "zebra",
        12 => "bird",
        16 => "dhcp",
        18 => "keepalived",
        42 => "babel",
        186 => "bgp",
        187 => "isis",
        188 => "ospf",
        189 => "rip",
        192 => "eigrp",
        _ => return protocol.to_string(),
    };
    name.to_owned()
}
