//! What the caches' tasks and the client share: one union behind one lock, held for the time of a change and never
//! across an await.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use siskin_net::Timestamp;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::payload::{Data, Payload, Refused};
use crate::status::{ServerStatus, SlurmStatus, Status};
use crate::union::{Source, Union};
use crate::{Origin, Update};

/// The process's clock as a [`Timestamp`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock(Instant);

impl Clock {
    /// A clock that starts now.
    pub(crate) fn new() -> Clock {
        Clock(Instant::now())
    }

    /// The time. It starts at a day, so that a moment before the start can be named.
    pub(crate) fn now(self) -> Timestamp {
        Timestamp::default() + Duration::from_secs(86400) + self.0.elapsed()
    }

    /// Sleeps until `at`; without one, for ever.
    pub(crate) async fn sleep_until(self, at: Option<Timestamp>) {
        match at {
            Some(at) => tokio::time::sleep(at.since(self.now())).await,
            None => std::future::pending().await,
        }
    }
}

/// What is known of one cache besides its data.
#[derive(Debug, Default)]
pub(crate) struct Cache {
    /// The number of its task: what an older one still says is void.
    pub(crate) task: u64,
    /// It has given a whole set since the start.
    pub(crate) answered: bool,
    /// The last good answer.
    pub(crate) updated: Option<Timestamp>,
    /// The next attempt.
    pub(crate) retry: Option<Timestamp>,
    /// All else, as the status shows it.
    pub(crate) status: ServerStatus,
}

/// Local exceptions as configured.
#[derive(Debug, Default)]
pub(crate) struct SlurmState {
    /// The file; `None`: not configured.
    pub(crate) path: Option<PathBuf>,
    /// Why it is not in force as it is.
    pub(crate) error: Option<String>,
}

/// All under the lock.
#[derive(Default)]
pub(crate) struct State {
    /// The data.
    pub(crate) union: Union,
    /// The configured caches, by name.
    pub(crate) caches: BTreeMap<String, Cache>,
    /// When the persisted data were read, and their age then; `None`: there were none.
    pub(crate) persisted: Option<(Timestamp, Duration)>,
    /// See [`Status::persist_error`].
    pub(crate) persist_error: Option<String>,
    /// The count of the union's changes that is on disk.
    pub(crate) kept: u64,
    /// The local exceptions.
    pub(crate) slurm: SlurmState,
    /// How long persisted data count once a cache has answered.
    pub(crate) grace: Duration,
    /// A cache has answered.
    pub(crate) live: bool,
    /// The last good answer of any cache.
    pub(crate) confirmed: Option<Timestamp>,
    /// Origin (live) and completeness as last sent.
    sent: (bool, bool),
}

/// The lock, and a bell for whoever waits for a change.
pub(crate) struct Shared {
    state: Mutex<State>,
    /// Rung after every change.
    pub(crate) changed: Notify,
    /// The clock of all.
    pub(crate) clock: Clock,
}

impl Shared {
    /// Nothing is known.
    pub(crate) fn new() -> Shared {
        Shared { state: Mutex::default(), changed: Notify::new(), clock: Clock::new() }
    }

    /// The state. A panic of another holder leaves it as it was: data of one source at worst, which it will replace.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Takes an answer of the cache `name`, if `task` is still its task.
    ///
    /// # Errors
    ///
    /// The answer does not fit.
    pub(crate) fn answer(
        &mut self,
        name: &str,
        task: u64,
        payload: Payload,
        (now, expires): (Timestamp, Timestamp),
    ) -> Result<(), Refused> {
        let Some(cache) = self.caches.get_mut(name).filter(|c| c.task == task) else { return Ok(()) };
        self.union.apply(&Source::Cache(name.to_string()), payload, expires)?;
        cache.answered = true;
        cache.updated = Some(now);
        cache.status.last_error = None;
        self.live = true;
        self.confirmed = Some(now);
        self.retire_persisted(now);
        Ok(())
    }

    /// Takes in the file of the last run.
    pub(crate) fn restore(&mut self, data: Data, age: Duration, now: Timestamp, max_age: Duration) {
        self.union.replace(Source::Persisted, data, now + max_age.saturating_sub(age));
        self.persisted = Some((now, age));
    }

    /// Persisted data go when every cache has answered, or some time after the first: a cache that stays away keeps
    /// what it said a while, and no VRP that the world has withdrawn lives for long.
    pub(crate) fn retire_persisted(&mut self, now: Timestamp) {
        if self.persisted.is_none() || !self.live {
            return;
        }
        if self.caches.values().all(|c| c.answered) {
            self.union.remove(&Source::Persisted);
        } else {
            self.union.shorten(&Source::Persisted, now + self.grace);
        }
    }

    /// Whether a cache's data count now: only then is the union worth keeping.
    pub(crate) fn worth_keeping(&self) -> bool {
        self.caches.keys().any(|name| self.union.said(&Source::Cache(name.clone())).is_some())
    }

    fn complete(&self) -> bool {
        self.live || self.persisted.is_some() || self.caches.is_empty() || self.sent.1
    }

    fn is_live(&self) -> bool {
        self.live || self.persisted.is_none()
    }

    /// Whether there is an update to send.
    pub(crate) fn has_update(&self) -> bool {
        let complete = self.complete();
        self.union.has_pending() || (complete && self.sent != (self.is_live(), complete))
    }

    /// The update to send, as a call that is made without the lock: it takes time for a whole set.
    pub(crate) fn take_update(&mut self) -> impl FnOnce() -> Update + use<> {
        let complete = self.complete();
        self.sent = (self.is_live(), complete);
        let origin = match self.persisted {
            Some((_, age)) if !self.live => Origin::Persisted { age },
            _ => Origin::Live,
        };
        let taken = self.union.take();
        move || {
            let (announced, withdrawn) = taken.delta.into_vrps();
            Update { announced, withdrawn, aspas: taken.aspas, origin, complete }
        }
    }

    /// The status at `now`.
    pub(crate) fn status(&self, now: Timestamp) -> Status {
        let slurm = self.slurm.path.as_ref().map(|path| SlurmStatus {
            path: path.clone(),
            filters: self.union.slurm().filters,
            assertions: self.union.slurm().assertions,
            error: self.slurm.error.clone(),
        });
        let persisted = self.persisted.filter(|_| self.union.said(&Source::Persisted).is_some());
        Status {
            servers: self.caches.iter().map(|(name, cache)| self.server(name, cache, now)).collect(),
            vrps: self.union.counts(),
            aspas: self.union.aspas().len(),
            persisted_age: persisted.map(|(read, age)| age + now.since(read)),
            persist_error: self.persist_error.clone(),
            slurm,
            complete: self.complete(),
        }
    }

    fn server(&self, name: &str, cache: &Cache, now: Timestamp) -> ServerStatus {
        let data = self.union.said(&Source::Cache(name.to_string()));
        ServerStatus {
            name: name.to_string(),
            vrps: data.map(|d| d.vrps.counts()).unwrap_or_default(),
            aspas: data.map_or(0, |d| d.aspas.len()),
            usable: data.is_some(),
            last_update: cache.updated.map(|at| now.since(at)),
            next_retry: cache.retry.map(|at| at.since(now)),
            ..cache.status.clone()
        }
    }
}
