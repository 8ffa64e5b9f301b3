//! The process from start to stop: what is started in which order, what signals do, and what everything else shares.

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::atomic::AtomicU32;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwap;
use siskin_api::{Event, EventBody};
use siskin_bgp::session::AdminStop;
use siskin_config::{CompatMode, Config, Loaded, OnStop};
use siskin_fib::{FibConfig, KernelState, ResilientGroups, StateConfig};
use siskin_net::{BgpIdentifier, IfIndex, Timestamp};
use siskin_rib::RibConfig;
use tokio::net::TcpStream;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{Notify, broadcast, mpsc};

use crate::backend::Api;
use crate::clock;
use crate::core::{self, RibCommand, RibHandle};
use crate::guard::{self, GuardHandle};
use crate::hosts::{self, HostsHandle};
use crate::http::{Limits, Listeners, Server, ServerConfig};
use crate::kernel::{self, KernelCommand, KernelHandle, KernelSetup};
use crate::listener::{self, Listener};
use crate::local::LocalSources;
use crate::metrics::{Counters, KernelCounters};
use crate::peer::{Lists, Peers, lock};
use crate::privileges;
use crate::readiness::{Readiness, TABLES_DEADLINE};
use crate::restart::Restart;
use crate::sources::Sources;

/// Sessions have this long to say goodbye at a clean stop.
const FAREWELL: Duration = Duration::from_secs(3);
/// How often readiness is looked at, and peers whose interface is missing are tried.
const TICK: Duration = Duration::from_secs(1);
/// The same while a restart is under way, when peers wait for us.
const QUICK_TICK: Duration = Duration::from_millis(50);
/// Events a slow reader of `/v1/events` may be behind.
const EVENT_BACKLOG: usize = 1024;

/// The configuration in force.
pub(crate) struct Running {
    pub(crate) config: Config,
    pub(crate) warnings: siskin_config::Diagnostics,
    pub(crate) generation: u32,
    pub(crate) since: Timestamp,
    /// The lists of its built-in rules, compiled.
    pub(crate) lists: Arc<Lists>,
}

impl Running {
    pub(crate) fn new(
        config: Config,
        warnings: siskin_config::Diagnostics,
        generation: u32,
        since: Timestamp,
    ) -> Running {
        Running { config, warnings, generation, since, lists: Arc::default() }
    }
}

/// What all parts of the daemon share.
pub(crate) struct Daemon {
    pub(crate) file: PathBuf,
    pub(crate) started: Timestamp,
    pub(crate) router_id: BgpIdentifier,
    /// The kernel's table of routes that name none.
    pub(crate) kernel_table: u32,
    /// Of every hash whose keys peers choose.
    pub(crate) hash_seed: u64,
    pub(crate) running: ArcSwap<Running>,
    pub(crate) last_error: Mutex<Option<String>>,
    pub(crate) rib: RibHandle,
    pub(crate) kernel: KernelHandle,
    pub(crate) hosts: HostsHandle,
    pub(crate) guard: GuardHandle,
    pub(crate) peers: Mutex<Peers>,
    pub(crate) local: tokio::sync::Mutex<LocalSources>,
    pub(crate) events: broadcast::Sender<Event>,
    pub(crate) sources: Sources,
    /// Counts the profiles that were made.
    pub(crate) generations: Arc<AtomicU32>,
    /// The whole router is drained by hand, since then.
    pub(crate) drained: Mutex<Option<Timestamp>>,
    pub(crate) readiness: Readiness,
    pub(crate) restart: Arc<Restart>,
    pub(crate) counters: Counters,
    pub(crate) links: Arc<Links>,
    pub(crate) listeners: Mutex<Vec<Listener>>,
    /// Only one configuration is applied at a time.
    pub(crate) applying: tokio::sync::Mutex<()>,
}

/// Interfaces by name, kept by the kernel thread for whoever asks.
#[derive(Default)]
pub(crate) struct Links {
    names: Mutex<HashMap<String, IfIndex>>,
    changed: Notify,
}

impl Links {
    /// The index of an interface; `None` while it does not exist.
    pub(crate) fn index(&self, name: &str) -> Option<IfIndex> {
        lock(&self.names).get(name).copied()
    }

    /// Names by index.
    pub(crate) fn names(&self) -> HashMap<IfIndex, String> {
        lock(&self.names).iter().map(|(name, index)| (*index, name.clone())).collect()
    }

    fn update(&self, state: &KernelState, events: &[siskin_fib::KernelEvent]) {
        use siskin_fib::KernelEvent::{Link, Overrun};
        let mut names = lock(&self.names);
        let mut changed = false;
        for event in events {
            match event {
                Link { link, deleted: true } => {
                    names.retain(|_, index| *index != link.index);
                    changed = true;
                }
                Link { link, .. } if names.get(&link.name) != Some(&link.index) => {
                    names.retain(|_, index| *index != link.index);
                    names.insert(link.name.clone(), link.index);
                    changed = true;
                }
                Overrun => {
                    *names = state.links().map(|l| (l.name.clone(), l.index)).collect();
                    changed = true;
                }
                _ => {}
            }
        }
        if changed {
            self.changed.notify_one();
        }
    }
}

impl Daemon {
    /// The configuration in force.
    pub(crate) fn config(&self) -> Arc<Running> {
        self.running.load_full()
    }

    /// Tells whoever listens on `/v1/events`.
    pub(crate) fn event(&self, body: EventBody) {
        drop(self.events.send(Event { at_ms: clock::unix_ms(), body }));
    }

    /// Gives an accepted connection to the peer of that address; false if there is none.
    pub(crate) fn deliver(&self, address: IpAddr, scope: IfIndex, stream: TcpStream) -> bool {
        lock(&self.peers).deliver(address, scope, stream)
    }
}

/// Runs the daemon until a signal ends it.
///
/// # Errors
/// A sentence: what could not be started, and what to do.
pub(crate) async fn run(file: PathBuf, loaded: Loaded) -> Result<(), String> {
    let mut signals = Signals::new().map_err(|e| format!("cannot watch for signals: {e}"))?;
    let api = Listeners::bind(&server_config(&loaded.config)).map_err(|e| e.to_string())?;
    let (daemon, threads) = start(file, loaded)?;
    let api = Server::start(api, Arc::new(Api(daemon.clone())))
        .map_err(|e| format!("cannot start the API: {e}"))?;
    if let Some(address) = api.http_address() {
        tracing::info!(%address, "API, metrics and health over HTTP");
    }
    if daemon.restart.is_under_way() {
        daemon.rib.send(RibCommand::Hold(true)).await;
    }
    daemon.apply_initial().await;
    drop(sd_notify::notify(&[sd_notify::NotifyState::Ready]));
    loop {
        match signals.next(&daemon).await {
            Wake::Reload => {
                drop(sd_notify::notify(&[sd_notify::NotifyState::Reloading]));
                daemon.reload_from_signal().await;
                drop(sd_notify::notify(&[sd_notify::NotifyState::Ready]));
            }
            Wake::Stop => break,
            Wake::Tick => daemon.tick().await,
        }
    }
    drop(sd_notify::notify(&[sd_notify::NotifyState::Stopping]));
    api.shutdown().await;
    stop(&daemon, threads).await;
    Ok(())
}

/// The group that may use the API's socket, where it exists.
const GROUP: &str = "siskin";

fn server_config(config: &Config) -> ServerConfig {
    ServerConfig {
        socket: config.api.socket.clone(),
        group: GROUP.into(),
        daemon_uid: privileges::effective_uid(),
        http: config.api.http,
        limits: Limits::default(),
    }
}

struct Threads {
    rib: std::thread::JoinHandle<()>,
    kernel: std::thread::JoinHandle<()>,
    hosts: std::thread::JoinHandle<()>,
    guard: std::thread::JoinHandle<()>,
}

/// Starts every thread; nothing is announced or installed yet.
fn start(file: PathBuf, loaded: Loaded) -> Result<(Arc<Daemon>, Threads), String> {
    let config = loaded.config;
    let state = KernelState::load(StateConfig::default())
        .map_err(|e| format!("cannot read the kernel's state: {e}"))?;
    let router_id = config.router.router_id.or_else(|| state.router_id_candidate()).ok_or(
        "no BGP Identifier: no interface has an IPv4 address; set router.router-id in the configuration",
    )?;
    let listeners = config.router.listen.iter().map(|a| listener::open(*a)).collect::<Result<Vec<_>, _>>()?;
    let hash_seed = clock::random_seed();
    let (kernel, kernel_inbox) = kernel::channel(config.kernel.install);
    let failed = |what: &str, error: std::io::Error| format!("cannot start the {what} thread: {error}");
    let (news, rib_events) = mpsc::unbounded_channel();
    let (rib, rib_thread) =
        core::start(rib_config(&config, router_id, config.kernel.table, hash_seed), kernel.clone(), news)
            .map_err(|e| failed("RIB", e))?;
    let (guard, guard_inbox) = guard::channel();
    let state_dir = &config.router.state_dir;
    let (hosts, hosts_thread) = hosts::start(kernel.clone(), rib.clone(), guard.clone(), state_dir)
        .map_err(|e| failed("host-route", e))?;
    let guard_thread = guard::start(guard_inbox, hosts.clone()).map_err(|e| failed("guard", e))?;
    let links = Arc::new(Links::default());
    let counters = Counters::new();
    let setup = kernel_setup(&config, links.clone(), hosts.clone(), counters.kernel.clone());
    let (kernel_thread, adopted) = kernel::start(setup, kernel_inbox, kernel.clone(), rib.clone())?;
    let started = clock::now();
    let kernel_table = config.kernel.table;
    let running = Running::new(config, loaded.warnings, 1, started);
    let daemon = Daemon {
        file,
        started,
        router_id,
        kernel_table,
        hash_seed,
        running: ArcSwap::from_pointee(running),
        last_error: Mutex::new(None),
        rib,
        kernel,
        hosts,
        guard,
        peers: Mutex::new(Peers::default()),
        local: tokio::sync::Mutex::new(LocalSources::default()),
        events: broadcast::channel(EVENT_BACKLOG).0,
        sources: Sources::default(),
        generations: Arc::new(AtomicU32::new(1)),
        drained: Mutex::new(None),
        readiness: Readiness::new(started),
        restart: Arc::new(Restart::new(started, adopted > 0)),
        counters,
        links,
        listeners: Mutex::new(listeners),
        applying: tokio::sync::Mutex::new(()),
    };
    let daemon = Arc::new(daemon);
    tokio::spawn(daemon.clone().take_rib_events(rib_events));
    for listener in lock(&daemon.listeners).iter_mut() {
        listener.start(daemon.clone());
    }
    let threads =
        Threads { rib: rib_thread, kernel: kernel_thread, hosts: hosts_thread, guard: guard_thread };
    Ok((daemon, threads))
}

/// What the RIB follows of a configuration.
/// Routes that name no table stand in `kernel_table`, whatever the configuration has by now: it is read at the start alone.
pub(crate) fn rib_config(
    config: &Config,
    router_id: BgpIdentifier,
    kernel_table: u32,
    hash_seed: u64,
) -> RibConfig {
    RibConfig {
        asn: config.router.asn,
        identifier: router_id,
        cluster_id: router_id.0,
        multipath: match config.router.multipath {
            siskin_config::Multipath::Relaxed => siskin_rib::Multipath::Relaxed,
            siskin_config::Multipath::SameAs => siskin_rib::Multipath::SameAs,
        },
        max_paths: config.kernel.max_paths,
        kernel_table,
        resolve_via_default: config.kernel.resolve_via_default,
        hash_seed,
    }
}

fn kernel_setup(
    config: &Config,
    links: Arc<Links>,
    hosts: HostsHandle,
    counters: KernelCounters,
) -> KernelSetup {
    let kernel = &config.kernel;
    let fib = kernel.install.then(|| FibConfig {
        table: kernel.table,
        metric: kernel.metric,
        prefsrc: kernel.prefsrc,
        mtu: kernel.mtu.map_or(0, u32::from),
        compat_mode_off: kernel.nexthop_compat_mode == CompatMode::Off,
        nexthop_groups: kernel.nexthop_groups,
        resilient: kernel.resilient_groups.map(|groups| ResilientGroups {
            buckets: groups.buckets,
            idle: groups.idle,
            unbalanced: groups.unbalanced,
        }),
        max_paths: kernel.max_paths,
        ..FibConfig::default()
    });
    KernelSetup {
        state: StateConfig { table: kernel.table, resolve_via_default: kernel.resolve_via_default },
        counters,
        fib,
        subscribers: vec![
            Box::new(move |state, events| links.update(state, events)),
            Box::new(move |state, events| hosts.kernel_events(state, events)),
        ],
    }
}

impl Daemon {
    /// Once a second, more often during a restart, and when a link changed: peers that wait for an interface or after a
    /// limit, drains, readiness, the sweep.
    async fn tick(self: &Arc<Self>) {
        self.start_waiting_peers();
        self.restart_limited_peers();
        self.advance_drains();
        if self.readiness.is_kernel_done() {
            return;
        }
        // What waits for RPKI data is no table yet: nobody is to hear of routes that only wait.
        let judged = self.rib.query(siskin_rib::Rib::is_judged).await.unwrap_or(true);
        if self.sources.rpki.waits() || !judged {
            return;
        }
        let now = clock::now();
        let (missing, awaited, restart_time) = {
            let peers = lock(&self.peers);
            (peers.without_table(), peers.awaited(self.restart.age(now)), peers.restart_time())
        };
        // Who kept our routes drops them after this time.
        let deadline = restart_time.filter(|_| self.restart.is_preserved()).unwrap_or(TABLES_DEADLINE);
        if self.restart.ends(now, &awaited, deadline) {
            self.rib.send(RibCommand::Hold(false)).await;
            tracing::info!(missing = ?awaited, "the restart is over: routes are decided and announced again");
        }
        let tables = self.readiness.tables(now, &missing, deadline);
        if !tables || self.restart.is_under_way() {
            return;
        }
        // The routes of the first tables must have reached the kernel before what nobody wants is swept.
        let idle =
            self.rib.query(|rib| rib.is_settled()).await.unwrap_or(false) && self.kernel.backlog() == 0;
        if idle {
            self.kernel.send(KernelCommand::Sweep);
            self.readiness.kernel_done();
            tracing::info!("ready: the first tables are in, and in the kernel");
        }
    }
}

/// A clean stop. With `on-stop = "keep"` the kernel thread ends first: the routes that go with the sessions stay in the
/// kernel, and traffic flows on until the next start adopts them; peers with graceful restart keep ours meanwhile.
async fn stop(daemon: &Arc<Daemon>, threads: Threads) {
    let flush = daemon.config().config.kernel.on_stop == OnStop::Flush;
    tracing::info!(kernel_routes = if flush { "flush" } else { "keep" }, "stopping");
    daemon.stop_sources().await;
    // Before the host routes: a filter without owners would be an empty one.
    daemon.guard.stop(flush);
    drop(tokio::task::spawn_blocking(move || threads.guard.join()).await);
    daemon.hosts.stop();
    drop(tokio::task::spawn_blocking(move || threads.hosts.join()).await);
    let farewell = if flush {
        AdminStop::Shutdown(String::new())
    } else {
        // Nobody shall hear of routes that go because a session went before another.
        daemon.rib.send(RibCommand::Hold(true)).await;
        daemon.kernel.send(KernelCommand::Stop { flush });
        AdminStop::Restart
    };
    let tasks = lock(&daemon.peers).remove_all(&farewell);
    let farewell = async {
        for task in tasks {
            drop(task.await);
        }
    };
    if tokio::time::timeout(FAREWELL, farewell).await.is_err() {
        tracing::warn!("some peers did not take our goodbye in time");
    }
    if flush {
        daemon.kernel.send(KernelCommand::Stop { flush });
    }
    drop(tokio::task::spawn_blocking(move || threads.kernel.join()).await);
    daemon.rib.send(RibCommand::Stop).await;
    drop(tokio::task::spawn_blocking(move || threads.rib.join()).await);
}

enum Wake {
    Reload,
    Stop,
    Tick,
}

struct Signals {
    hangup: Signal,
    terminate: Signal,
    interrupt: Signal,
    tick: tokio::time::Interval,
}

impl Signals {
    fn new() -> std::io::Result<Signals> {
        Ok(Signals {
            hangup: signal(SignalKind::hangup())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            tick: tokio::time::interval(TICK),
        })
    }

    async fn next(&mut self, daemon: &Daemon) -> Wake {
        tokio::select! {
            _ = self.terminate.recv() => Wake::Stop,
            _ = self.interrupt.recv() => Wake::Stop,
            _ = self.hangup.recv() => Wake::Reload,
            () = daemon.links.changed.notified() => Wake::Tick,
            _ = self.tick.tick() => Wake::Tick,
            () = tokio::time::sleep(QUICK_TICK), if daemon.restart.is_under_way() => Wake::Tick,
        }
    }
}
