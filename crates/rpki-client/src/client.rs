//! The client as the daemon sees it, and the task behind it: it sends updates, lets data expire, reads local exceptions
//! again when they change, and writes the last good union.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use siskin_net::Timestamp;
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::task::{AbortHandle, JoinHandle, spawn_blocking};
use tracing::{info, warn};

use crate::shared::Shared;
use crate::slurm::{Slurm, SlurmError};
use crate::status::Status;
use crate::task::CacheTask;
use crate::union::Source;
use crate::{Config, Connector, Server, Update, store};

/// The file is written again after this time though nothing changed, so that its age says when it was last true.
const CONFIRM_EVERY: Duration = Duration::from_secs(3600);

/// A running client. Dropped without [`Client::stop`] it ends without writing the last good data.
pub struct Client {
    shared: Arc<Shared>,
    config: watch::Sender<Config>,
    reload: Arc<Notify>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

/// Starts the client on the current tokio runtime: a task for each cache, and one that sends `updates`. The persisted
/// data, if they can be used, come as the first update. A receiver that is slow gets fewer and larger updates; when it
/// is dropped, the client ends.
#[must_use]
pub fn start(config: Config, connector: Connector, updates: mpsc::Sender<Update>) -> Client {
    let shared = Arc::new(Shared::new());
    for server in &config.servers {
        shared.lock().caches.entry(server.name.clone()).or_default();
    }
    let (sender, receiver) = watch::channel(config.clone());
    let reload = Arc::new(Notify::new());
    let (stop, stopped) = oneshot::channel();
    let manager = Manager {
        shared: shared.clone(),
        config,
        connector,
        caches: BTreeMap::new(),
        next_task: 0,
        slurm: SlurmFile::default(),
        keeper: Keeper::default(),
    };
    let task = tokio::spawn(manager.run(receiver, reload.clone(), updates, stopped));
    Client { shared, config: sender, reload, stop, task }
}

impl Client {
    /// What there is to say now.
    #[must_use]
    pub fn status(&self) -> Status {
        self.shared.lock().status(self.shared.clock.now())
    }

    /// Runs with another configuration from now on. Caches that stay keep their connections, and those whose address
    /// or password changed their data until the next answer; the data of those that go leave the union.
    pub fn reconfigure(&self, config: Config) {
        self.config.send_replace(config);
    }

    /// Ends all tasks and writes the last good data.
    pub async fn stop(self) {
        let _ = self.stop.send(());
        if let Err(error) = self.task.await {
            warn!("RPKI: the client ended badly: {error}");
        }
    }

    /// Reads the file of local exceptions again, changed or not.
    pub fn reload_slurm(&self) {
        self.reload.notify_one();
    }
}

/// The file of local exceptions as last seen: time, length and inode; `None`: not there.
type Seen = Option<(SystemTime, u64, u64)>;

#[derive(Default)]
struct SlurmFile {
    /// As last read.
    seen: Seen,
    next: Timestamp,
}

/// When the last good union was last written, or tried to be.
#[derive(Default)]
struct Keeper {
    written: Option<Timestamp>,
    writing: Option<JoinHandle<()>>,
}

struct Manager {
    shared: Arc<Shared>,
    config: Config,
    connector: Connector,
    caches: BTreeMap<String, (Server, AbortHandle)>,
    next_task: u64,
    slurm: SlurmFile,
    keeper: Keeper,
}

impl Drop for Manager {
    fn drop(&mut self) {
        self.caches.values().for_each(|(_, task)| task.abort());
    }
}

impl Manager {
    async fn run(
        mut self,
        mut config: watch::Receiver<Config>,
        reload: Arc<Notify>,
        updates: mpsc::Sender<Update>,
        mut stop: oneshot::Receiver<()>,
    ) {
        let clock = self.shared.clock;
        self.read_slurm(true).await;
        self.restore().await;
        self.set_caches();
        loop {
            let has_update = self.shared.lock().has_update();
            let due = self.due(clock.now());
            tokio::select! {
                permit = updates.reserve(), if has_update => {
                    let Ok(permit) = permit else { break };
                    let update = self.shared.lock().take_update();
                    permit.send(update());
                }
                () = updates.closed() => break,
                () = self.shared.changed.notified() => {}
                () = clock.sleep_until(due) => self.tick(clock.now()).await,
                () = reload.notified() => self.read_slurm(true).await,
                changed = config.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    let new = config.borrow_and_update().clone();
                    self.reconfigure(new).await;
                }
                result = &mut stop => {
                    if result.is_err() {
                        return;
                    }
                    break;
                }
            }
        }
        self.caches.values().for_each(|(_, task)| task.abort());
        self.keep_last().await;
    }

    /// When [`Manager::tick`] has something to do.
    fn due(&self, now: Timestamp) -> Option<Timestamp> {
        let slurm = self.config.slurm.is_some().then_some(self.slurm.next);
        let expiry = self.shared.lock().union.next_expiry();
        [slurm, expiry, self.keep_at(now)].into_iter().flatten().min()
    }

    async fn tick(&mut self, now: Timestamp) {
        for source in self.shared.lock().union.expire(now) {
            match source {
                Source::Persisted => info!("RPKI: the data of the last run are no longer used"),
                Source::Cache(cache) => {
                    warn!(cache, "RPKI: the cache has not answered for too long, its data have expired");
                }
            }
        }
        if self.config.slurm.is_some() && self.slurm.next <= now {
            self.read_slurm(false).await;
        }
        if self.keep_at(now).is_some_and(|at| at <= now) {
            self.keep();
        }
    }

    async fn reconfigure(&mut self, new: Config) {
        let old = std::mem::replace(&mut self.config, new);
        if old.timers != self.config.timers {
            self.caches.values().for_each(|(_, task)| task.abort());
            self.caches.clear();
        }
        if old.slurm != self.config.slurm {
            self.read_slurm(true).await;
        }
        self.set_caches();
    }

    /// Brings the tasks in line with the configuration.
    fn set_caches(&mut self) {
        let wanted: BTreeMap<String, Server> =
            self.config.servers.iter().map(|s| (s.name.clone(), s.clone())).collect();
        self.caches.retain(|name, (server, task)| {
            let stays = wanted.get(name) == Some(server);
            if !stays {
                task.abort();
            }
            stays
        });
        let now = self.shared.clock.now();
        {
            let mut state = self.shared.lock();
            state.grace = self.config.timers.grace;
            let gone: Vec<String> =
                state.caches.keys().filter(|name| !wanted.contains_key(*name)).cloned().collect();
            for name in gone {
                state.caches.remove(&name);
                state.union.remove(&Source::Cache(name));
            }
        }
        for (name, server) in wanted {
            if !self.caches.contains_key(&name) {
                self.spawn(name, server);
            }
        }
        self.shared.lock().retire_persisted(now);
    }

    fn spawn(&mut self, name: String, server: Server) {
        self.next_task += 1;
        let id = self.next_task;
        {
            let mut state = self.shared.lock();
            let cache = state.caches.entry(name.clone()).or_default();
            cache.task = id;
            cache.status.connected = false;
        }
        let (timers, connector, shared) = (self.config.timers, self.connector.clone(), self.shared.clone());
        let task = CacheTask { server: server.clone(), id, timers, connector, shared };
        let handle = tokio::spawn(task.run()).abort_handle();
        self.caches.insert(name, (server, handle));
    }

    /// Reads the local exceptions if the file is another than last time, or in any case if `anyway`.
    async fn read_slurm(&mut self, anyway: bool) {
        self.slurm.next = self.shared.clock.now() + self.config.timers.slurm_poll;
        let Some(path) = self.config.slurm.clone() else {
            let mut state = self.shared.lock();
            state.slurm = Default::default();
            state.union.set_slurm(Slurm::default());
            return;
        };
        let (before, target) = (self.slurm.seen, path.clone());
        let read = spawn_blocking(move || {
            let seen = look(&target);
            (anyway || seen != before).then(|| (seen, Slurm::read(&target)))
        });
        let Ok(Some((seen, result))) = read.await else { return };
        self.slurm.seen = seen;
        self.take_slurm(path, result);
    }

    fn take_slurm(&self, path: PathBuf, result: Result<Slurm, SlurmError>) {
        let mut state = self.shared.lock();
        let old = state.slurm.error.take();
        match result {
            Ok(slurm) => {
                let (filters, assertions) = (slurm.filters, slurm.assertions);
                info!(file = %path.display(), filters, assertions, "RPKI: local exceptions read");
                state.union.set_slurm(slurm);
            }
            Err(error) => {
                let error = error.to_string();
                if old.as_deref() != Some(&error) {
                    warn!(file = %path.display(), "RPKI: local exceptions stay as they were: {error}");
                }
                state.slurm.error = Some(error);
            }
        }
        state.slurm.path = Some(path);
    }

    /// Takes in the file of the last run.
    async fn restore(&self) {
        let Some(path) = self.config.state_file.clone() else { return };
        let max_age = self.config.timers.persisted;
        let target = path.clone();
        let loaded = spawn_blocking(move || store::load(&target, unix_time(), max_age)).await;
        let mut state = self.shared.lock();
        match loaded {
            Ok(Ok(Some((data, age)))) => {
                let [ipv4, ipv6] = siskin_net::Family::ALL.map(|f| data.vrps.counts()[f]);
                info!(ipv4, ipv6, age_s = age.as_secs(), "RPKI: starting from the VRPs of the last run");
                state.restore(data, age, self.shared.clock.now(), max_age);
            }
            Ok(Ok(None)) => info!("RPKI: no VRPs of a run before"),
            Ok(Err(error)) => {
                warn!(file = %path.display(), "RPKI: the VRPs of the last run are not used: {error}");
                state.persist_error = Some(error.to_string());
            }
            Err(error) => warn!("RPKI: {error}"),
        }
    }

    /// When to write next: after a change, or to renew the date of data that are confirmed but do not change.
    fn keep_at(&self, now: Timestamp) -> Option<Timestamp> {
        self.config.state_file.as_ref()?;
        let state = self.shared.lock();
        if !state.worth_keeping() {
            return None;
        }
        let every = self.config.timers.persist_every;
        match self.keeper.written {
            None => Some(now),
            Some(written) if state.union.changes() != state.kept => Some(written + every),
            Some(written) if state.confirmed > Some(written) => Some(written + CONFIRM_EVERY.max(every)),
            Some(_) => None,
        }
    }

    /// Writes in the background, unless that is still going on.
    fn keep(&mut self) {
        self.keeper.written = Some(self.shared.clock.now());
        let busy = self.keeper.writing.as_ref().is_some_and(|w| !w.is_finished());
        if let Some(path) = self.config.state_file.clone().filter(|_| !busy) {
            let shared = self.shared.clone();
            self.keeper.writing = Some(spawn_blocking(move || write(&shared, &path)));
        }
    }

    async fn finish_writing(&mut self) {
        if let Some(writing) = self.keeper.writing.take()
            && let Err(error) = writing.await
        {
            warn!("RPKI: {error}");
        }
    }

    /// The last writing, waited for.
    async fn keep_last(&mut self) {
        self.finish_writing().await;
        if self.keep_at(self.shared.clock.now()).is_some() {
            self.keep();
            self.finish_writing().await;
        }
    }
}

/// Writes the union as it is now, dated by its last good answer.
fn write(shared: &Shared, path: &Path) {
    let (data, changes, confirmed) = {
        let state = shared.lock();
        (state.union.snapshot(), state.union.changes(), state.confirmed)
    };
    let now = shared.clock.now();
    let age = now.since(confirmed.unwrap_or(now));
    let written = store::save(path, &store::encode(&data, unix_time().saturating_sub(age.as_secs())));
    let mut state = shared.lock();
    match written {
        Ok(()) => {
            state.kept = changes;
            state.persist_error = None;
        }
        Err(error) => {
            let error = error.to_string();
            if state.persist_error.as_ref() != Some(&error) {
                warn!(file = %path.display(), "RPKI: the last good VRPs cannot be written: {error}");
            }
            state.persist_error = Some(error);
        }
    }
}

fn look(path: &Path) -> Seen {
    use std::os::unix::fs::MetadataExt;
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len(), metadata.ino()))
}

/// Seconds since 1970, by the system's clock: the one clock that two runs share.
fn unix_time() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs())
}
