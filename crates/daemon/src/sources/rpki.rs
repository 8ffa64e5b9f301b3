//! RPKI: the client's deltas become the table that origin validation looks into, and the gate that import waits at until
//! there are data. RFC 6811, RFC 8210; ASPA.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use siskin_api::{EventBody, Gate};
use siskin_config::{Config, HostPort};
use siskin_net::{Prefix, Timestamp};
use siskin_policy::{AspaTable, VrpTable};
use siskin_rib::{Judged, Touched};
use siskin_rpki_client::{Client, Connector, Origin, Server, Timers, Update};
use tokio::sync::mpsc;

use crate::clock;
use crate::daemon::Daemon;
use crate::peer::lock;
use crate::tcp;

/// Updates that may wait; the client joins what comes meanwhile.
const UPDATES: usize = 4;
/// A change of more VRPs than this is cheaper to judge by a look at everything.
const MANY: usize = 50_000;

/// The state of RPKI in the daemon.
#[derive(Default)]
pub(crate) struct Rpki {
    client: Mutex<Option<Client>>,
    /// All that the client has said so far: its updates are differences to that.
    table: Mutex<VrpTable>,
    gate: Mutex<Option<GateState>>,
    /// What changed since the RIB said last that it has judged everything again.
    pending: Mutex<Option<Change>>,
    last_change: Mutex<Option<LastChange>>,
    /// Where the data in force came from; `None`: there are none.
    origin: Mutex<Option<Origin>>,
}

/// Whether import waits for data.
#[derive(Clone, Debug)]
struct GateState {
    open: bool,
    text: String,
}

/// VRPs that came and went.
#[derive(Clone, Copy, Debug)]
struct Change {
    announced: usize,
    withdrawn: usize,
    begun: Instant,
}

/// A change and what it came to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LastChange {
    /// When everything was judged.
    pub(crate) at: Timestamp,
    /// VRPs that came.
    pub(crate) announced: usize,
    /// VRPs that went.
    pub(crate) withdrawn: usize,
    /// Paths judged, and how many of them changed.
    pub(crate) judged: Judged,
    /// From the client's word to the last verdict.
    pub(crate) took: Duration,
}

impl Rpki {
    /// How the sessions with the caches stand; `None`: no cache is configured.
    pub(crate) fn status(&self) -> Option<siskin_rpki_client::Status> {
        lock(&self.client).as_ref().map(Client::status)
    }

    /// The last change of the data.
    pub(crate) fn last_change(&self) -> Option<LastChange> {
        *lock(&self.last_change)
    }

    /// Where the data in force came from.
    pub(crate) fn origin(&self) -> Option<Origin> {
        *lock(&self.origin)
    }

    /// The gate as the API shows it; `None`: nothing waits for RPKI data in this configuration.
    pub(crate) fn gate(&self) -> Option<Gate> {
        let gate = lock(&self.gate).clone()?;
        Some(Gate { name: "rpki".into(), open: gate.open, text: gate.text })
    }

    /// Whether import waits for data.
    pub(crate) fn waits(&self) -> bool {
        lock(&self.gate).as_ref().is_some_and(|gate| !gate.open)
    }

    pub(super) fn take_client(&self) -> Option<Client> {
        lock(&self.client).take()
    }

    fn open_gate(&self, text: String) -> bool {
        let mut gate = lock(&self.gate);
        match &mut *gate {
            Some(gate) => {
                gate.text = text;
                !std::mem::replace(&mut gate.open, true)
            }
            None => false,
        }
    }

    fn note_change(&self, update: &Update) {
        let (announced, withdrawn) = (update.announced.len(), update.withdrawn.len());
        let mut pending = lock(&self.pending);
        let change = pending.get_or_insert(Change { announced: 0, withdrawn: 0, begun: Instant::now() });
        change.announced += announced;
        change.withdrawn += withdrawn;
    }
}

impl Daemon {
    /// Starts, changes or ends the sessions with the caches as the configuration says.
    pub(crate) async fn apply_rpki(self: &Arc<Self>, config: &Config) {
        let wanted = client_config(config);
        if config.rpki.servers.is_empty() {
            let Some(client) = self.sources.rpki.take_client() else { return };
            client.stop().await;
            *lock(&self.sources.rpki.table) = VrpTable::new();
            *lock(&self.sources.rpki.gate) = None;
            *lock(&self.sources.rpki.origin) = None;
            tracing::warn!("no RPKI cache is configured any more: no origin is validated");
            self.change_facts(Touched::Everything, |facts| {
                (facts.vrps, facts.aspas, facts.gate_closed) = (None, None, false);
            })
            .await;
            return;
        }
        if let Some(client) = &*lock(&self.sources.rpki.client) {
            client.reconfigure(wanted);
            return;
        }
        self.close_gate(config.rpki.startup_deadline).await;
        let (sender, updates) = mpsc::channel(UPDATES);
        *lock(&self.sources.rpki.client) = Some(siskin_rpki_client::start(wanted, connector(), sender));
        tokio::spawn(self.clone().take_rpki(updates));
    }

    /// From now on import waits for data, but no longer than the deadline.
    async fn close_gate(self: &Arc<Self>, deadline: Duration) {
        if deadline.is_zero() {
            return;
        }
        let text = format!("waiting for RPKI data, {} s at most", deadline.as_secs());
        *lock(&self.sources.rpki.gate) = Some(GateState { open: false, text });
        self.change_facts(Touched::Everything, |facts| facts.gate_closed = true).await;
        let daemon = self.clone();
        tokio::spawn(async move {
            tokio::time::sleep(deadline).await;
            let text = format!("no RPKI data came within {} s: import goes on without", deadline.as_secs());
            if daemon.sources.rpki.open_gate(text.clone()) {
                tracing::error!("{text}");
                daemon.change_facts(Touched::Everything, |facts| facts.gate_closed = false).await;
            }
        });
    }

    /// Puts what the client says in force, until it ends.
    async fn take_rpki(self: Arc<Self>, mut updates: mpsc::Receiver<Update>) {
        while let Some(update) = updates.recv().await {
            self.take_rpki_update(update).await;
        }
    }

    async fn take_rpki_update(&self, update: Update) {
        let rpki = &self.sources.rpki;
        rpki.note_change(&update);
        *lock(&rpki.origin) = Some(update.origin);
        let opened = update.complete && rpki.open_gate(gate_text(&update.origin));
        let everything =
            opened || update.aspas.is_some() || update.announced.len() + update.withdrawn.len() > MANY;
        let touched = if everything { Touched::Everything } else { Touched::Within(prefixes(&update)) };
        let before = lock(&rpki.table).clone();
        let (aspas, complete) = (update.aspas.clone(), update.complete);
        let built = tokio::task::spawn_blocking(move || {
            let table = before.apply(&update.withdrawn, &update.announced);
            let aspas = aspas.map(|records| Arc::new(AspaTable::new(records.iter().cloned())));
            (table, aspas)
        });
        let Ok((table, aspas)) = built.await else {
            tracing::error!("RPKI data could not be put in order; those before stay in force");
            return;
        };
        lock(&rpki.table).clone_from(&table);
        self.change_facts(touched, |facts| {
            facts.vrps = complete.then_some(table);
            facts.aspas = aspas.or(facts.aspas.take()).filter(|table| !table.is_empty());
            facts.gate_closed &= !opened;
        })
        .await;
    }

    /// The RIB has judged again what a change could touch.
    pub(crate) fn rpki_judged(&self, judged: Judged) {
        let Some(change) = lock(&self.sources.rpki.pending).take() else { return };
        let took = change.begun.elapsed();
        let (announced, withdrawn) = (change.announced, change.withdrawn);
        tracing::info!(
            announced,
            withdrawn,
            paths = judged.paths,
            now_accepted = judged.now_accepted,
            now_rejected = judged.now_rejected,
            took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            "RPKI data changed"
        );
        let last = LastChange { at: clock::now(), announced, withdrawn, judged, took };
        *lock(&self.sources.rpki.last_change) = Some(last);
        self.event(EventBody::Rpki {
            announced: announced as u64,
            withdrawn: withdrawn as u64,
            paths_judged: judged.paths,
            changed: judged.now_accepted + judged.now_rejected,
            took_us: u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
        });
    }
}

fn gate_text(origin: &Origin) -> String {
    match origin {
        Origin::Live => "a cache has given all its data".to_owned(),
        Origin::Persisted { age } => {
            format!("the data of the last run are in force, {} s old", age.as_secs())
        }
    }
}

fn prefixes(update: &Update) -> Vec<Prefix> {
    update.announced.iter().chain(&update.withdrawn).map(|vrp| vrp.prefix).collect()
}

fn client_config(config: &Config) -> siskin_rpki_client::Config {
    let rpki = &config.rpki;
    let server = |s: &siskin_config::RtrServer| {
        let HostPort { host, port } = &s.server;
        Server {
            name: s.server.to_string(),
            host: host.clone(),
            port: *port,
            password: s.password.as_ref().map(|p| p.expose().to_owned()),
        }
    };
    siskin_rpki_client::Config {
        servers: rpki.servers.iter().map(server).collect(),
        slurm: rpki.slurm.clone(),
        state_file: rpki.state.then(|| config.router.state_dir.join("rpki.vrps")),
        timers: Timers { refresh: rpki.refresh, retry: rpki.retry, expire: rpki.expire, ..Timers::default() },
    }
}

/// Connects to a cache: every address of the name in turn, with its TCP MD5 key.
fn connector() -> Connector {
    Arc::new(|server: Server| {
        Box::pin(async move {
            let mut failure = std::io::Error::from(std::io::ErrorKind::NotFound);
            for address in tokio::net::lookup_host((server.host.as_str(), server.port)).await? {
                match tcp::connect_plain(address, server.password.as_deref()).await {
                    Ok(stream) => return Ok(stream),
                    Err(error) => failure = error,
                }
            }
            Err(failure)
        })
    })
}
