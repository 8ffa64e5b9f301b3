//! What is known from PeeringDB, and what to ask it next. No I/O.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use serde::{Deserialize, Serialize};
use siskin_net::{Asn, Family, FamilyMap};

use crate::backoff::{after_failures, jittered};
use crate::peeringdb::{MAX_BATCH, PeeringDbError};
use crate::store::seconds;
use crate::{NetRecord, PeeringDbConfig, PeeringDbStatus};

/// Records of AS numbers, and the list of those never behind a route server.
#[derive(Debug)]
pub(crate) struct Networks {
    known: BTreeMap<Asn, Network>,
    /// The AS numbers that are of interest now.
    wanted: BTreeSet<Asn>,
    never: Option<Never>,
    never_wanted: bool,
    never_sent: bool,
    never_due: Instant,
    never_failures: u32,
    last_attempt: Option<SystemTime>,
    last_error: Option<String>,
    /// Queries in the last minute, as the one who asks says.
    pub(crate) queries_last_minute: usize,
}

/// One AS number.
#[derive(Debug)]
struct Network {
    /// The last good record.
    record: Option<NetRecord>,
    /// Since when PeeringDB says that there is none.
    absent: Option<SystemTime>,
    due: Instant,
    failures: u32,
}

#[derive(Debug)]
struct Never {
    asns: Arc<[Asn]>,
    fetched: SystemTime,
}

/// What is known of an AS number.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Known<'a> {
    /// Its record. Once there is one, it stays in force even if PeeringDB has none any more.
    Record(&'a NetRecord),
    /// PeeringDB has none, and never had one that we saw.
    Absent,
    /// It could not be asked yet, and why.
    Unknown(String),
}

/// What to ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Question {
    /// The records of these, at most [`MAX_BATCH`].
    Records(Vec<Asn>),
    /// Who is never behind a route server.
    Never,
}

impl Networks {
    pub(super) fn new(now: Instant) -> Networks {
        Networks {
            known: BTreeMap::new(),
            wanted: BTreeSet::new(),
            never: None,
            never_wanted: false,
            never_sent: false,
            never_due: now,
            never_failures: 0,
            last_attempt: None,
            last_error: None,
            queries_last_minute: 0,
        }
    }

    pub(super) fn want(&mut self, asns: BTreeSet<Asn>, now: Instant) {
        for asn in &asns {
            self.known.entry(*asn).or_insert(Network { record: None, absent: None, due: now, failures: 0 });
        }
        self.wanted = asns;
    }

    pub(super) fn want_never(&mut self, wanted: bool) {
        self.never_sent &= wanted;
        self.never_wanted = wanted;
    }

    pub(super) fn refresh(&mut self, asns: &BTreeSet<Asn>, now: Instant) {
        for (_, network) in self.known.iter_mut().filter(|(asn, _)| asns.contains(asn)) {
            network.due = now;
        }
    }

    pub(super) fn reconfigure(&mut self, new: &PeeringDbConfig, old: &PeeringDbConfig, now: Instant) {
        let elsewhere = new.url != old.url || new.api_key != old.api_key;
        for network in self.known.values_mut() {
            let latest = if elsewhere && network.failures > 0 { now } else { now + new.refresh };
            network.due = network.due.min(latest);
        }
        self.never_due =
            self.never_due.min(if elsewhere && self.never_failures > 0 { now } else { now + new.refresh });
    }

    pub(super) fn record(&self, asn: Asn) -> Option<&NetRecord> {
        self.known.get(&asn)?.record.as_ref()
    }

    pub(super) fn known(&self, asn: Asn) -> Known<'_> {
        match self.known.get(&asn) {
            Some(Network { record: Some(record), .. }) => Known::Record(record),
            Some(Network { absent: Some(_), .. }) => Known::Absent,
            _ => Known::Unknown(self.last_error.clone().unwrap_or_else(|| "not asked yet".into())),
        }
    }

    /// What to ask at `now`, or when there will be something.
    pub(crate) fn next(&self, now: Instant) -> Result<Question, Option<Instant>> {
        if self.never_wanted && self.never_due <= now {
            return Ok(Question::Never);
        }
        let wanted = || self.known.iter().filter(|(asn, _)| self.wanted.contains(asn));
        let due: Vec<Asn> =
            wanted().filter(|(_, n)| n.due <= now).map(|(asn, _)| *asn).take(MAX_BATCH).collect();
        if due.is_empty() {
            let never = self.never_wanted.then_some(self.never_due);
            Err(wanted().map(|(_, network)| network.due).chain(never).min())
        } else {
            Ok(Question::Records(due))
        }
    }

    /// The records that came for `asns`, or why none did.
    pub(crate) fn records(
        &mut self,
        asns: &[Asn],
        answer: Result<Vec<NetRecord>, PeeringDbError>,
        refresh: Duration,
        now: (Instant, SystemTime),
        random: u64,
    ) {
        self.attempt(answer.as_ref().err(), now.1);
        let mut found: BTreeMap<Asn, NetRecord> = answer
            .as_ref()
            .map(|records| records.iter().map(|r| (r.asn, r.clone())).collect())
            .unwrap_or_default();
        for asn in asns {
            let Some(network) = self.known.get_mut(asn) else { continue };
            if let Err(error) = &answer {
                network.failures = network.failures.saturating_add(1);
                network.due = now.0 + wait_after(error, network.failures, refresh);
                continue;
            }
            network.failures = 0;
            network.due = now.0 + jittered(refresh, random);
            match found.remove(asn) {
                Some(record) => (network.record, network.absent) = (Some(record), None),
                None => network.absent = Some(now.1),
            }
        }
    }

    /// The list of those never behind a route server, or why it did not come.
    pub(crate) fn never(
        &mut self,
        answer: Result<Vec<Asn>, PeeringDbError>,
        refresh: Duration,
        now: (Instant, SystemTime),
        random: u64,
    ) {
        self.attempt(answer.as_ref().err(), now.1);
        match answer {
            // Thousands say so; none at all is a failure in disguise, and would open the filter.
            Ok(asns) if asns.is_empty() => {
                self.last_error = Some("an empty list of never-via-route-servers".into())
            }
            Ok(asns) => {
                self.never_sent &= self.never.as_ref().is_some_and(|never| *never.asns == *asns);
                self.never = Some(Never { asns: asns.into(), fetched: now.1 });
                self.never_failures = 0;
                self.never_due = now.0 + jittered(refresh, random);
                return;
            }
            Err(error) => {
                self.never_failures = self.never_failures.saturating_add(1);
                self.never_due = now.0 + wait_after(&error, self.never_failures, refresh);
                return;
            }
        }
        self.never_failures = self.never_failures.saturating_add(1);
        self.never_due = now.0 + after_failures(self.never_failures, refresh);
    }

    /// The list of those never behind a route server, if it is wanted and was not sent yet.
    pub(crate) fn new_never(&mut self) -> Option<Arc<[Asn]>> {
        if !self.never_wanted || self.never_sent {
            return None;
        }
        let never = self.never.as_ref()?;
        self.never_sent = true;
        Some(never.asns.clone())
    }

    fn attempt(&mut self, error: Option<&PeeringDbError>, clock: SystemTime) {
        self.last_attempt = Some(clock);
        self.last_error = error.map(ToString::to_string);
    }

    pub(super) fn status(&self, clock: SystemTime) -> PeeringDbStatus {
        let wanted = || self.known.iter().filter(|(asn, _)| self.wanted.contains(asn));
        let oldest = wanted().filter_map(|(_, n)| n.record.as_ref()).map(|record| record.fetched).min();
        PeeringDbStatus {
            records: wanted().filter(|(_, n)| n.record.is_some()).count(),
            without_record: wanted().filter(|(_, n)| n.absent.is_some()).map(|(asn, _)| *asn).collect(),
            oldest: oldest.map(|fetched| clock.duration_since(fetched).unwrap_or_default()),
            last_attempt: self.last_attempt,
            last_error: self.last_error.clone(),
            queries_last_minute: self.queries_last_minute,
        }
    }

    /// For the disk.
    pub(crate) fn to_file(&self) -> NetworksFile {
        let absent = |(asn, network): (&Asn, &Network)| network.absent.map(|since| (*asn, seconds(since)));
        NetworksFile {
            records: self.known.values().filter_map(|n| n.record.as_ref()).map(RecordFile::from).collect(),
            without_record: self.known.iter().filter_map(absent).collect(),
            never: self.never.as_ref().map(|never| (seconds(never.fetched), never.asns.to_vec())),
        }
    }

    /// From the disk. What is younger than a refresh is not asked for again.
    pub(crate) fn load(
        &mut self,
        file: NetworksFile,
        refresh: Duration,
        now: (Instant, SystemTime),
        random: u64,
    ) {
        let age = |time: SystemTime| now.1.duration_since(time).unwrap_or_default();
        let due = |time: SystemTime| now.0 + jittered(refresh, random).saturating_sub(age(time));
        for record in file.records.into_iter().map(NetRecord::from) {
            let due = due(record.fetched);
            self.known.insert(record.asn, Network { record: Some(record), absent: None, due, failures: 0 });
        }
        for (asn, since) in file.without_record {
            let since = time(since);
            let network = || Network { record: None, absent: None, due: due(since), failures: 0 };
            self.known.entry(asn).or_insert_with(network).absent = Some(since);
        }
        if let Some((fetched, asns)) = file.never {
            let fetched = time(fetched);
            self.never_due = due(fetched);
            self.never = Some(Never { asns: asns.into(), fetched });
        }
    }
}

/// How long to wait after an error. PeeringDB's own limits are by the minute, so there is no use in asking sooner.
fn wait_after(error: &PeeringDbError, failures: u32, refresh: Duration) -> Duration {
    after_failures(failures, refresh).max(error.hold().unwrap_or_default())
}

/// What is kept on disk.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct NetworksFile {
    records: Vec<RecordFile>,
    without_record: Vec<(Asn, u64)>,
    never: Option<(u64, Vec<Asn>)>,
}

/// One record on disk; times in seconds since 1970.
#[derive(Debug, Serialize, Deserialize)]
struct RecordFile {
    asn: Asn,
    name: String,
    irr_as_set: String,
    prefixes4: Option<u32>,
    prefixes6: Option<u32>,
    never_via_route_servers: bool,
    fetched: u64,
}

fn time(seconds: u64) -> SystemTime {
    // A file may say what it will; a time that cannot be is as good as very old.
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds)).unwrap_or(SystemTime::UNIX_EPOCH)
}

impl From<&NetRecord> for RecordFile {
    fn from(record: &NetRecord) -> RecordFile {
        RecordFile {
            asn: record.asn,
            name: record.name.clone(),
            irr_as_set: record.irr_as_set.clone(),
            prefixes4: record.prefixes[Family::Ipv4],
            prefixes6: record.prefixes[Family::Ipv6],
            never_via_route_servers: record.never_via_route_servers,
            fetched: seconds(record.fetched),
        }
    }
}

impl From<RecordFile> for NetRecord {
    fn from(file: RecordFile) -> NetRecord {
        NetRecord {
            asn: file.asn,
            name: file.name,
            irr_as_set: file.irr_as_set,
            prefixes: FamilyMap::from_fn(|family| match family {
                Family::Ipv4 => file.prefixes4,
                Family::Ipv6 => file.prefixes6,
            }),
            never_via_route_servers: file.never_via_route_servers,
            fetched: time(file.fetched),
        }
    }
}

#[cfg(test)]
mod tests;
