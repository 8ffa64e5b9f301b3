//! Putting a configuration in force: at the start, by SIGHUP, by `siskin config apply`. What did not change is not
//! touched.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use siskin_api::{ConfigDiagnostic, ConfigReport, EventBody, Severity};
use siskin_bgp::attr::LargeCommunity;
use siskin_bgp::session::AdminStop;
use siskin_config::{Config, Diagnostics, Loaded, OnStop};

use crate::clock;
use crate::core::RibCommand;
use crate::daemon::{Daemon, Running, rib_config};
use crate::kernel::{KernelCommand, policy_rules};
use crate::listener;
use crate::peer::{Control, EventSink, Extras, Profiles, Router, lock};

/// The last part of the informational large community of routes that are our own.
const OWN_ROUTE: u32 = 100;

impl Daemon {
    /// Brings everything of the first configuration to life.
    pub(crate) async fn apply_initial(self: &Arc<Self>) {
        let running = self.config();
        log_not_yet(&running.config);
        self.rib.send(RibCommand::KernelPolicy(running.config.kernel.policy.clone())).await;
        self.apply_rpki(&running.config).await;
        self.apply_local(&running.config).await;
        {
            let mut peers = lock(&self.peers);
            for peer in running.config.peers.values() {
                peers.insert(Arc::new(peer.clone()));
            }
        }
        self.prepare_extras(&running.config).await;
        self.apply_registry(&running.config);
        self.start_waiting_peers();
    }

    /// SIGHUP: reads the file again. What is wrong goes to the log, and the old configuration stays in force.
    pub(crate) async fn reload_from_signal(self: &Arc<Self>) {
        match self.apply_file(None).await {
            Ok(report) => {
                tracing::info!(generation = report.generation, changes = report.changes.len(), "reloaded")
            }
            Err(report) => tracing::error!(
                errors = report.errors(),
                "the configuration is invalid and the one before stays in force:\n{}",
                report.rendered
            ),
        }
    }

    /// Checks a file and changes nothing.
    pub(crate) fn check_file(&self, file: Option<PathBuf>) -> ConfigReport {
        let file = file.unwrap_or_else(|| self.file.clone());
        let running = self.config();
        match siskin_config::load(&file) {
            Ok(loaded) => {
                let changes = changes_between(&running.config, &loaded.config);
                report(&file, true, running.generation, &loaded.warnings, changes)
            }
            Err(errors) => report(&file, false, running.generation, &errors, Vec::new()),
        }
    }

    /// Reads a file and puts it in force.
    ///
    /// # Errors
    /// The report of what is wrong; nothing was changed.
    pub(crate) async fn apply_file(
        self: &Arc<Self>,
        file: Option<PathBuf>,
    ) -> Result<ConfigReport, ConfigReport> {
        let _one_at_a_time = self.applying.lock().await;
        let file = file.unwrap_or_else(|| self.file.clone());
        let path = file.clone();
        let before = self.config();
        let loaded = tokio::task::spawn_blocking(move || siskin_config::reload(&path, &before.config)).await;
        let generation = self.config().generation;
        let errors = match loaded {
            Ok(Ok(loaded)) => match self.open_listeners(&loaded.config) {
                Ok(()) => return Ok(self.put_in_force(&file, loaded).await),
                Err(text) => {
                    let mut report = report(&file, false, generation, &Diagnostics::default(), Vec::new());
                    report.rendered = format!("error: {text}\n");
                    report.diagnostics.push(ConfigDiagnostic {
                        severity: Severity::Error,
                        file: file.display().to_string(),
                        line: 1,
                        column: 1,
                        message: text,
                        help: None,
                    });
                    report
                }
            },
            Ok(Err(errors)) => report(&file, false, generation, &errors, Vec::new()),
            Err(error) => {
                let mut report = report(&file, false, generation, &Diagnostics::default(), Vec::new());
                report.rendered = format!("error: {error}\n");
                report
            }
        };
        self.counters.reloads.with_label_values(&["refused"]).inc();
        *lock(&self.last_error) = Some(errors.rendered.clone());
        self.event(EventBody::Config {
            applied: false,
            generation: u64::from(generation),
            text: errors.rendered.clone(),
        });
        Err(errors)
    }

    async fn put_in_force(self: &Arc<Self>, file: &Path, loaded: Loaded) -> ConfigReport {
        let old = self.config();
        let mut changes = changes_between(&old.config, &loaded.config);
        changes.extend(needs_restart(&old.config, &loaded.config));
        let generation = old.generation + 1;
        let report = report(file, true, generation, &loaded.warnings, changes);
        log_not_yet(&loaded.config);
        for change in &report.changes {
            tracing::info!(generation, "{change}");
        }
        let running = Running::new(loaded.config, loaded.warnings, generation, clock::now());
        self.counters.reloads.with_label_values(&["done"]).inc();
        self.running.store(Arc::new(running));
        let new = self.config();
        self.rib
            .send(RibCommand::Configure(rib_config(
                &new.config,
                self.router_id,
                self.kernel_table,
                self.hash_seed,
            )))
            .await;
        self.rib.send(RibCommand::KernelPolicy(new.config.kernel.policy.clone())).await;
        self.apply_rpki(&new.config).await;
        self.apply_local(&new.config).await;
        self.apply_peers(&old.config, &new.config).await;
        self.apply_registry(&new.config);
        *lock(&self.last_error) = None;
        let text = format!("generation {generation} is in force");
        self.event(EventBody::Config { applied: true, generation: u64::from(generation), text });
        ConfigReport { applied: true, ..report }
    }

    /// Peers that went, came, need a new session, or only other policies.
    async fn apply_peers(self: &Arc<Self>, old: &Config, new: &Config) {
        let mut ending = Vec::new();
        // What is known of a peer outlives its session.
        let mut known: BTreeMap<String, Extras> = BTreeMap::new();
        {
            let mut peers = lock(&self.peers);
            known.extend(peers.iter().map(|(name, entry)| (name.clone(), entry.extras.clone())));
            for (name, before) in &old.peers {
                match new.peers.get(name) {
                    None => ending.extend(peers.remove(name, AdminStop::PeerDeconfigured)),
                    Some(after) if before.session_differs(after) || before.enabled != after.enabled => {
                        ending.extend(peers.remove(name, AdminStop::ConfigurationChange));
                    }
                    Some(_) => {}
                }
            }
        }
        for task in ending {
            drop(task.await);
        }
        {
            let mut peers = lock(&self.peers);
            for (name, peer) in &new.peers {
                match peers.get_mut(name) {
                    Some(entry) => entry.config = Arc::new(peer.clone()),
                    None => {
                        peers.insert(Arc::new(peer.clone()));
                        if let Some(entry) = peers.get_mut(name) {
                            entry.extras = known.remove(name).unwrap_or_default();
                        }
                    }
                }
            }
        }
        self.prepare_extras(new).await;
        for name in new.peers.keys() {
            self.refresh_profile(name);
        }
        self.start_waiting_peers();
    }

    /// Makes what peers need beside their configuration: their lists with the prefixes that it adds, and their drains.
    async fn prepare_extras(self: &Arc<Self>, config: &Config) {
        for (name, peer) in &config.peers {
            let lists = lock(&self.peers).get(name).and_then(|entry| entry.extras.lists.clone());
            let irr = self.build_list(peer, lists).await;
            if let Some(entry) = lock(&self.peers).get_mut(name) {
                entry.extras.irr = irr;
                entry.extras.drain = self.drain_of(&entry.extras, &entry.config);
            }
        }
    }

    /// Tells a peer's task what is known of the peer now; the session stays.
    pub(crate) fn refresh_profile(&self, name: &str) {
        let router = self.router(&self.config());
        let peers = lock(&self.peers);
        let Some(entry) = peers.get(name) else { return };
        let profiles = Profiles::new(router, entry.config.clone(), entry.extras.clone());
        if !entry.tell(Control::Profiles(Arc::new(profiles))) && !entry.is_waiting() {
            tracing::error!(peer = %name, "the peer's task is stuck; restart the peer");
        }
    }

    /// Starts the tasks of peers whose interface exists now, and tells the listening sockets their TCP MD5 keys.
    pub(crate) fn start_waiting_peers(self: &Arc<Self>) {
        let running = self.config();
        let mut peers = lock(&self.peers);
        if peers.iter().all(|(_, e)| !e.is_waiting()) {
            return;
        }
        let router = self.router(&running);
        let sink = EventSink::new(self.events.clone());
        peers.start_waiting(&self.rib, &router, &sink, |name| self.links.index(name));
        for (address, scope, password) in peers.passwords() {
            for listener in lock(&self.listeners).iter().filter(|l| l.address.is_ipv4() == address.is_ipv4())
            {
                if let Err(error) =
                    crate::tcp::set_md5_key(&*listener.socket, address, scope, Some(&password))
                {
                    tracing::error!(%address, %error, "cannot set the TCP MD5 key for connections from the peer");
                }
            }
        }
    }

    /// What is the same for all peers.
    pub(crate) fn router(&self, running: &Running) -> Router {
        Router {
            asn: running.config.router.asn,
            identifier: self.router_id,
            hash_seed: self.hash_seed,
            generations: self.generations.clone(),
            kernel: self.kernel.clone(),
            facts: self.sources.facts.clone(),
            lists: running.lists.clone(),
            blackhole_community: running.config.edge.blackhole_community,
            own_community: running.config.edge.communities.then_some(LargeCommunity(
                running.config.router.asn.0,
                0,
                OWN_ROUTE,
            )),
            restart: self.restart.clone(),
            keeps: running.config.kernel.install && running.config.kernel.on_stop == OnStop::Keep,
        }
    }

    /// Opens and closes listening sockets as the configuration says.
    fn open_listeners(self: &Arc<Self>, config: &Config) -> Result<(), String> {
        let wanted: BTreeSet<_> = config.router.listen.iter().copied().collect();
        let mut listeners = lock(&self.listeners);
        let have: BTreeSet<_> = listeners.iter().map(|l| l.address).collect();
        let mut new = wanted.difference(&have).map(|a| listener::open(*a)).collect::<Result<Vec<_>, _>>()?;
        for listener in &mut new {
            listener.start(self.clone());
        }
        listeners.retain(|l| wanted.contains(&l.address));
        listeners.extend(new);
        Ok(())
    }

    /// Originated, redistributed and host routes.
    async fn apply_local(self: &Arc<Self>, config: &Config) {
        let router = self.router(&self.config());
        self.kernel.send(KernelCommand::Rules(policy_rules(config)));
        let mut local = self.local.lock().await;
        local.originate(config, &self.rib, &router).await;
        local.redistribute(config, &self.rib, &self.kernel, &router).await;
        local.host_routes(config, &self.rib, &self.kernel, &self.hosts, &router).await;
        self.guard.resume();
    }
}

fn changes_between(old: &Config, new: &Config) -> Vec<String> {
    old.diff(new).iter().map(ToString::to_string).collect()
}

/// Settings that are read only at the start.
fn needs_restart(old: &Config, new: &Config) -> Vec<String> {
    let mut lines = Vec::new();
    let kernel = |c: &Config| {
        let k = &c.kernel;
        let routes = (k.table, k.metric, k.mtu, k.prefsrc);
        let groups = (k.nexthop_groups, k.resilient_groups, k.nexthop_compat_mode);
        (k.install, routes, groups, k.resolve_via_default)
    };
    if kernel(old) != kernel(new) {
        lines.push(
            "kernel: install, table, metric, nexthop-groups, resilient-groups, nexthop-compat-mode, mtu, prefsrc and \
             resolve-via-default take effect at the next start"
                .into(),
        );
    }
    if old.api != new.api {
        lines.push("api: takes effect at the next start".into());
    }
    if old.router.router_id != new.router.router_id {
        lines.push("router.router-id: takes effect at the next start".into());
    }
    lines
}

fn log_not_yet(config: &Config) {
    for missing in config.not_yet() {
        tracing::warn!("{}", missing.message);
    }
}

fn report(
    file: &Path,
    valid: bool,
    generation: u32,
    diagnostics: &Diagnostics,
    changes: Vec<String>,
) -> ConfigReport {
    ConfigReport {
        file: file.display().to_string(),
        valid,
        applied: false,
        generation: u64::from(generation),
        diagnostics: crate::backend::diagnostics(diagnostics),
        rendered: diagnostics.render(false),
        changes,
    }
}
