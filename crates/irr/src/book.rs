//! Who wants which sets, what is known of them, and what is to be done next. No I/O: time, random numbers and the answers
//! of servers and disk are arguments; `run` and `records` carry out what is said here.

mod compose;
mod networks;
mod peer;
mod view;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant, SystemTime};

use tracing::{info, warn};

use crate::backoff::{after_failures, jittered};
use crate::list::{Data, Good, List};
use crate::{Answer, Config, FetchError, HostPort, NetRecord, Part, PeerRequest, Query, State};
pub(crate) use compose::Snapshot;
pub(crate) use networks::{Networks, NetworksFile, Question};
use peer::Peer;

/// What one fetch gave: each part with its own result, or what hindered all.
pub(crate) type Fetched = Result<Vec<(Part, Result<Answer, FetchError>)>, FetchError>;

/// Everything the client knows.
#[derive(Debug)]
pub(crate) struct Book {
    pub(crate) config: Config,
    peers: BTreeMap<String, Peer>,
    sets: BTreeMap<Query, Set>,
    pub(crate) networks: Networks,
    /// Fetches under way.
    running: usize,
    /// Whether a task writes lists; one at a time, so that an older list never overwrites a newer one.
    saving: bool,
    /// Whether the records on disk were read; before that nobody knows which sets `auto` means.
    ready: bool,
}

/// A set, asked of certain registries, for all peers that want it so.
#[derive(Debug)]
struct Set {
    lists: BTreeMap<Part, List>,
    loading: bool,
    fetching: bool,
    due: Instant,
    /// Attempts in a row that left something to be desired.
    failures: u32,
}

/// What to do now.
#[derive(Debug, Default)]
pub(crate) struct Work {
    /// Lists to read from disk.
    pub(crate) loads: Vec<(Query, Vec<Part>)>,
    /// Sets to ask for.
    pub(crate) fetches: Vec<Job>,
    /// Lists to write to disk, if any.
    pub(crate) saves: Vec<(Query, Part, Good)>,
    /// Peers whose lists are to be put together and sent.
    pub(crate) snapshots: Vec<Snapshot>,
    /// Records to send.
    pub(crate) records: Vec<(String, NetRecord)>,
    /// When there is more to do, if nothing happens before.
    pub(crate) until: Option<Instant>,
}

/// A set to ask for.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) query: Query,
    pub(crate) parts: BTreeSet<Part>,
    pub(crate) server: HostPort,
    pub(crate) timeout: Duration,
    /// What is in force: an equal answer need not be kept twice.
    pub(crate) old: Vec<(Part, Data)>,
}

impl Book {
    pub(crate) fn new(config: Config, now: Instant) -> Book {
        Book {
            config,
            peers: BTreeMap::new(),
            sets: BTreeMap::new(),
            networks: Networks::new(now),
            running: 0,
            saving: false,
            ready: false,
        }
    }

    /// The records on disk were read, or there are none.
    pub(crate) fn set_ready(&mut self, now: Instant) {
        self.ready = true;
        self.resolve_all(now);
    }

    /// Replaces what is wanted. A peer whose request stays as it was is left alone.
    pub(crate) fn set_requests(
        &mut self,
        requests: BTreeMap<String, PeerRequest>,
        never: bool,
        now: Instant,
    ) {
        self.networks.want_never(never);
        self.peers.retain(|name, _| requests.contains_key(name));
        for (name, request) in requests {
            match self.peers.get_mut(&name) {
                Some(peer) => peer.change(request),
                None => {
                    self.peers.insert(name, Peer::new(request));
                }
            }
        }
        self.resolve_all(now);
    }

    /// Replaces the configuration. Nothing in force changes by that alone.
    pub(crate) fn reconfigure(&mut self, config: Config, now: Instant) {
        let elsewhere = self.config.server != config.server;
        self.networks.reconfigure(&config.peeringdb, &self.config.peeringdb, now);
        self.config = config;
        for set in self.sets.values_mut() {
            // Another server may well do what the last one failed to.
            let latest = if elsewhere && set.failures > 0 { now } else { now + self.config.refresh };
            set.due = set.due.min(latest);
        }
        self.resolve_all(now);
    }

    /// Asks for the sets of `peer`, or of all, as soon as possible.
    pub(crate) fn refresh(&mut self, peer: Option<&str>, now: Instant) {
        let peers = self.peers.iter().filter(|(name, _)| peer.is_none_or(|p| p == name.as_str()));
        let mut asns = BTreeSet::new();
        let mut queries = BTreeSet::new();
        for (_, peer) in peers {
            asns.extend(peer.wants_record().then_some(peer.request.asn));
            queries.extend(peer.queries().cloned());
        }
        for (_, set) in self.sets.iter_mut().filter(|(query, _)| queries.contains(query)) {
            set.due = now;
        }
        self.networks.refresh(&asns, now);
    }

    /// Works out anew which sets every peer wants; records or the configuration have changed.
    pub(crate) fn resolve_all(&mut self, now: Instant) {
        for peer in self.peers.values_mut() {
            peer.resolve(&self.config, &self.networks);
        }
        let asns = self.peers.values().filter(|p| p.wants_record()).map(|p| p.request.asn);
        self.networks.want(asns.collect(), now);
        self.settle(now);
    }

    /// Puts newly wanted sets in force where their lists are there, and brings the sets in line with what peers need.
    fn settle(&mut self, now: Instant) {
        let sets = &self.sets;
        for peer in self.peers.values_mut() {
            peer.promote(|query, part| {
                sets.get(query).is_some_and(|s| s.lists.get(&part).is_some_and(|l| l.good().is_some()))
            });
        }
        let mut needed: BTreeMap<&Query, BTreeSet<Part>> = BTreeMap::new();
        for peer in self.peers.values() {
            for query in peer.queries() {
                needed.entry(query).or_default().extend(peer.parts());
            }
        }
        self.sets.retain(|query, _| needed.contains_key(query));
        for (query, parts) in needed {
            let set = self.sets.entry(query.clone()).or_insert_with(|| Set {
                lists: BTreeMap::new(),
                loading: false,
                fetching: false,
                due: now,
                failures: 0,
            });
            set.lists.retain(|part, _| parts.contains(part));
            for part in parts {
                set.lists.entry(part).or_insert_with(|| List::new(part));
            }
        }
    }

    /// What to do at `now`.
    pub(crate) fn next(&mut self, now: Instant) -> Work {
        let mut work = Work::default();
        if !self.ready {
            return work;
        }
        for (query, set) in &mut self.sets {
            let parts: Vec<Part> =
                set.lists.iter().filter(|(_, list)| !list.loaded).map(|(part, _)| *part).collect();
            if !set.loading && !parts.is_empty() {
                set.loading = true;
                work.loads.push((query.clone(), parts));
            }
        }
        self.next_fetches(now, &mut work);
        if !self.saving && self.config.state_dir.is_some() {
            for (query, set) in &mut self.sets {
                for (part, list) in set.lists.iter_mut().filter(|(_, list)| list.unsaved) {
                    list.unsaved = false;
                    work.saves.extend(list.good().map(|good| (query.clone(), *part, good.clone())));
                }
            }
            self.saving = !work.saves.is_empty();
        }
        for (name, peer) in &mut self.peers {
            work.snapshots.extend(peer.snapshot(name, |query| self.sets.get(query).map(|set| &set.lists)));
            work.records.extend(peer.new_record(&self.networks).map(|record| (name.clone(), record)));
        }
        work
    }

    fn next_fetches(&mut self, now: Instant, work: &mut Work) {
        let idle = |set: &Set| !set.loading && !set.fetching && set.lists.values().all(|list| list.loaded);
        let mut idle: Vec<(&Query, &mut Set)> = self.sets.iter_mut().filter(|(_, set)| idle(set)).collect();
        idle.sort_by_key(|(_, set)| set.due);
        for (query, set) in idle {
            if set.due > now {
                work.until = Some(set.due);
                break;
            }
            if self.running >= self.config.parallel.max(1) {
                break; // The end of a running one is the next occasion.
            }
            self.running += 1;
            set.fetching = true;
            // Should the task die without a word, this is when the set is asked for again.
            set.due = now + after_failures(set.failures + 1, self.config.refresh);
            let old = |(part, list): (&Part, &List)| list.good().map(|good| (*part, good.data.clone()));
            work.fetches.push(Job {
                query: query.clone(),
                parts: set.lists.keys().copied().collect(),
                server: self.config.server.clone(),
                timeout: self.config.timeout,
                old: set.lists.iter().filter_map(old).collect(),
            });
        }
    }

    /// What the disk had of a set.
    pub(crate) fn loaded(
        &mut self,
        query: &Query,
        found: Vec<(Part, Result<Option<Good>, String>)>,
        now: Instant,
        clock: SystemTime,
        random: u64,
    ) {
        let refresh = self.config.refresh;
        let Some(set) = self.sets.get_mut(query) else { return };
        set.loading = false;
        for (part, found) in found {
            if let Err(reason) = &found {
                warn!("{reason}; refused, {query} is asked for anew");
            }
            if let Some(list) = set.lists.get_mut(&part) {
                list.load(found, refresh, clock);
            }
        }
        let oldest = set.lists.values().map(|list| list.good().map(|good| good.fetched)).min().flatten();
        let wait = oldest.map_or(Duration::ZERO, |fetched| {
            jittered(refresh, random).saturating_sub(clock.duration_since(fetched).unwrap_or_default())
        });
        set.due = now + wait;
        self.touched(query, now);
    }

    /// A fetch came to its end.
    pub(crate) fn fetched(
        &mut self,
        query: &Query,
        result: Fetched,
        now: Instant,
        clock: SystemTime,
        random: u64,
    ) {
        let refresh = self.config.refresh;
        let Some(set) = self.sets.get_mut(query) else { return };
        let mut changed = false;
        for (part, list) in &mut set.lists {
            let result = match &result {
                Ok(parts) => parts.iter().find(|(p, _)| p == part).map(|(_, result)| result.clone()),
                Err(error) => Some(Err(error.clone())),
            };
            let before = (list.state().clone(), list.good().map(|g| g.data.len()));
            match result {
                Some(Ok(answer)) => changed |= list.answer(answer, clock),
                Some(Err(error)) => list.fail(&error, clock),
                None => continue, // It was not wanted yet when the fetch began; the next one asks.
            }
            tell(query, *part, &before, list);
        }
        let fine = set.lists.values().all(|list| *list.state() == State::Fresh);
        set.failures = if fine { 0 } else { set.failures.saturating_add(1) };
        let wait = if fine { refresh } else { after_failures(set.failures, refresh) };
        set.due = now + jittered(wait, random);
        if changed {
            self.touched(query, now);
        }
    }

    /// A fetch is over, whatever became of it.
    pub(crate) fn released(&mut self, query: &Query) {
        self.running = self.running.saturating_sub(1);
        if let Some(set) = self.sets.get_mut(query) {
            set.fetching = false;
        }
    }

    /// The lists handed out for writing are written, or could not be.
    pub(crate) fn saved(&mut self) {
        self.saving = false;
    }

    /// Every list that is wanted.
    pub(crate) fn lists(&self) -> Vec<(Query, Part)> {
        let of =
            |(query, set): (&Query, &Set)| set.lists.keys().map(|p| (query.clone(), *p)).collect::<Vec<_>>();
        self.sets.iter().flat_map(of).collect()
    }

    /// What a set has is new: its peers are to be told.
    fn touched(&mut self, query: &Query, now: Instant) {
        for peer in self.peers.values_mut().filter(|peer| peer.queries().any(|q| q == query)) {
            peer.changed = true;
        }
        self.settle(now);
    }
}

/// One line in the log where something changed for a list.
fn tell(query: &Query, part: Part, before: &(State, Option<usize>), list: &List) {
    let entries = list.good().map(|good| good.data.len());
    match list.state() {
        state if *state == before.0 && entries == before.1 => {}
        State::Fresh => info!(set = %query, %part, entries = entries.unwrap_or_default(), "list is fresh"),
        State::Kept { reason } => warn!(set = %query, %part, "old list is kept: {reason}"),
        State::Alarm { reason } => {
            warn!(set = %query, %part, "ALARM, old list is kept until `siskin irr accept`: {reason}");
        }
        State::Missing { reason } => {
            warn!(set = %query, %part, "no list, its peers import nothing of it: {reason}")
        }
    }
}

#[cfg(test)]
mod tests;
