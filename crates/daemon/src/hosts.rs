//! The host-route thread: hears VMs on the configured interfaces, keeps their neighbour entries in the kernel, and gives
//! their addresses to the RIB as routes of a peer of their own kind.

mod bindings;
mod declared;
mod route;

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use siskin_fib::{KernelEvent, KernelState};
use siskin_neighbor::{Action, Adopted, DomainConfig, HostRoutes, LinkInfo, Mac, Waker, precedence};
use siskin_net::{IfIndex, NamePattern, PeerId, PortVlans, Prefix};
use siskin_rib::{BatchBuilder, HostNews, ImportProfile};
use tokio::sync::oneshot;

use crate::clock;
use crate::core::{RibCommand, RibHandle};
use crate::guard::GuardHandle;
use crate::kernel::{KernelCommand, KernelHandle};
use crate::peer::lock;
use bindings::Keeper;
pub(crate) use declared::{Declaration, Declarations};
pub(crate) use route::Identity;
use route::PendingNews;

/// Rest after an error of the packet sockets.
const PAUSE: Duration = Duration::from_millis(200);

/// One `[host-routes.*]` as the thread needs it.
pub(crate) struct Domain {
    pub(crate) name: String,
    pub(crate) config: DomainConfig,
    /// The source of its routes in the RIB.
    pub(crate) peer: PeerId,
    pub(crate) import: Arc<ImportProfile>,
}

/// The kernel's state when host routes begin.
pub(crate) struct Baseline {
    pub(crate) links: Vec<LinkInfo>,
    pub(crate) vlans: Vec<(IfIndex, PortVlans)>,
    pub(crate) own: Vec<IpAddr>,
    pub(crate) left_behind: Vec<Adopted>,
}

impl Baseline {
    /// Reads it off the kernel thread's mirror.
    pub(crate) fn of(view: &mut crate::kernel::View<'_>) -> Baseline {
        Baseline {
            links: view.state.links().map(|l| link_info(l, false)).collect(),
            vlans: all_vlans(view.state),
            own: view.state.addresses().map(|a| a.address).collect(),
            left_behind: view
                .fib
                .as_ref()
                .map(|fib| fib.neighbors_of_ours())
                .unwrap_or_default()
                .into_iter()
                .map(adopted)
                .collect(),
        }
    }
}

fn all_vlans(state: &KernelState) -> Vec<(IfIndex, PortVlans)> {
    state.vlans().map(|(port, vlans)| (port, vlans.clone())).collect()
}

fn adopted(neighbor: siskin_fib::OurNeighbor) -> Adopted {
    Adopted { interface: neighbor.interface, address: neighbor.address, mac: Mac(neighbor.mac) }
}

/// Everything the thread works by.
pub(crate) struct Setup {
    pub(crate) domains: Vec<Domain>,
    pub(crate) identity: Identity,
    /// At the first time.
    pub(crate) baseline: Option<Baseline>,
}

enum Command {
    Links(Vec<LinkInfo>),
    /// All there are: those not named are gone.
    AllLinks(Vec<LinkInfo>),
    /// VLANs of bridges' ports; with `true` of all: those not named have none.
    Vlans(Vec<(IfIndex, PortVlans)>, bool),
    OwnAddresses(Vec<IpAddr>),
    Mismatch(IfIndex, IpAddr),
    Configure(Box<Setup>),
    Query(Box<dyn FnOnce(&mut HostRoutes) + Send>),
    Stop,
}

/// The way to the host-route thread.
#[derive(Clone)]
pub(crate) struct HostsHandle {
    sender: mpsc::Sender<Command>,
    waker: Arc<Mutex<Option<Waker>>>,
    /// Whether any interface is configured: if not, the thread is told nothing.
    active: Arc<AtomicBool>,
    /// What others announce, not taken in yet.
    news: Arc<Mutex<PendingNews>>,
    /// VMs declared at run time.
    declared: Arc<Declarations>,
}

impl HostsHandle {
    fn send(&self, command: Command) {
        if self.sender.send(command).is_ok()
            && let Some(waker) = &*lock(&self.waker)
        {
            waker.wake();
        }
    }

    /// Whether host routes are configured.
    pub(crate) fn is_active(&self) -> bool {
        self.active.load(Ordering::Acquire)
    }

    /// The interfaces from now on; with a baseline at the first time.
    pub(crate) fn configure(&self, setup: Setup) {
        self.active.store(!setup.domains.is_empty(), Ordering::Release);
        self.send(Command::Configure(Box::new(setup)));
    }

    /// VMs declared at run time, as they are kept.
    pub(crate) fn declared(&self) -> &Declarations {
        &self.declared
    }

    /// What others announce of our VMs' addresses is different now.
    pub(crate) fn remote_news(&self, news: Vec<HostNews>) {
        let found = news.into_iter().map(|news| (news.address, news.remote.map(route::remote)));
        lock(&self.news).extend(found);
        if let Some(waker) = &*lock(&self.waker) {
            waker.wake();
        }
    }

    /// Passes on what concerns VMs: links, our own addresses, neighbour entries of ours that somebody removed.
    pub(crate) fn kernel_events(&self, state: &KernelState, events: &[KernelEvent]) {
        if !self.is_active() {
            return;
        }
        let (mut links, mut mismatches, mut addresses) = (Vec::new(), Vec::new(), false);
        let (mut vlans, mut all_read) = (Vec::new(), false);
        for event in events {
            match event {
                KernelEvent::Link { link, deleted } => {
                    // The VLANs were read when this came.
                    all_read |= link.vlan_filtering;
                    links.push(link_info(link, *deleted));
                }
                KernelEvent::Bridge(note) => match &note.vlans {
                    Some(of_port) => vlans.push((note.port, of_port.clone())),
                    None => all_read = true,
                },
                KernelEvent::Address { .. } => addresses = true,
                KernelEvent::Neighbor { neighbor, deleted: true }
                    if neighbor.protocol == siskin_fib::PROTOCOL =>
                {
                    mismatches.extend(neighbor.address.map(|address| (neighbor.interface, address)));
                }
                KernelEvent::Overrun => {
                    self.send(Command::AllLinks(state.links().map(|l| link_info(l, false)).collect()));
                    addresses = true;
                    all_read = true;
                }
                _ => {}
            }
        }
        // Links first: entries that went with their link need no mending.
        if !links.is_empty() {
            self.send(Command::Links(links));
        }
        if all_read {
            self.send(Command::Vlans(all_vlans(state), true));
        } else if !vlans.is_empty() {
            self.send(Command::Vlans(vlans, false));
        }
        for (interface, address) in mismatches {
            self.send(Command::Mismatch(interface, address));
        }
        if addresses {
            self.send(Command::OwnAddresses(state.addresses().map(|a| a.address).collect()));
        }
    }

    /// Runs a short query on the thread; `None` when no interface is configured.
    pub(crate) async fn query<T: Send + 'static>(
        &self,
        query: impl FnOnce(&mut HostRoutes) -> T + Send + 'static,
    ) -> Option<T> {
        if !self.is_active() {
            return None;
        }
        let (answer, result) = oneshot::channel();
        self.send(Command::Query(Box::new(move |hosts| drop(answer.send(query(hosts))))));
        result.await.ok()
    }

    /// What the filter needs, asked from a thread that may wait; `None` when no interface is configured.
    pub(crate) fn filter_view(&self) -> Option<siskin_neighbor::guard::View> {
        if !self.is_active() {
            return None;
        }
        let (answer, result) = mpsc::channel();
        self.send(Command::Query(Box::new(move |hosts| drop(answer.send(hosts.filter_view())))));
        result.recv().ok()
    }

    /// Ends the thread; entries and routes stay.
    pub(crate) fn stop(&self) {
        self.send(Command::Stop);
    }
}

fn link_info(link: &siskin_fib::Link, deleted: bool) -> LinkInfo {
    LinkInfo {
        index: link.index,
        name: link.name.clone(),
        mac: Mac(link.mac.unwrap_or_default()),
        up: link.up,
        carrier: link.carrier,
        master: link.master,
        kind: link.kind.clone(),
        lower: link.lower,
        vlan: link.vlan,
        vlan_filtering: link.vlan_filtering,
        deleted,
    }
}

/// Starts the thread; it does nothing until it is configured.
pub(crate) fn start(
    kernel: KernelHandle,
    rib: RibHandle,
    guard: GuardHandle,
    state_dir: &Path,
) -> std::io::Result<(HostsHandle, JoinHandle<()>)> {
    let (sender, commands) = mpsc::channel();
    let waker = Arc::new(Mutex::new(None));
    let news = Arc::<Mutex<PendingNews>>::default();
    let declared = Arc::new(Declarations::load(state_dir));
    let handle = HostsHandle {
        sender,
        waker: waker.clone(),
        active: Arc::default(),
        news: news.clone(),
        declared: declared.clone(),
    };
    let mut hosts = HostsThread {
        commands,
        waker,
        news,
        kernel,
        rib,
        guard,
        declared,
        revision: 0,
        state_dir: state_dir.to_owned(),
        engine: None,
        keeper: None,
        identity: None,
        sources: Sources::default(),
    };
    let thread = thread::Builder::new().name("host-routes".into()).spawn(move || hosts.run())?;
    Ok((handle, thread))
}

/// The builder of each section's routes: all interfaces that a pattern matches are one source in the RIB.
#[derive(Default)]
struct Sources {
    named: HashMap<String, BatchBuilder>,
    patterns: Vec<(NamePattern, BatchBuilder)>,
}

impl Sources {
    fn insert(&mut self, section: &str, builder: BatchBuilder) {
        if NamePattern::is_pattern(section) {
            self.patterns.push((NamePattern::new(section), builder));
            self.patterns.sort_by_key(|(pattern, _)| precedence(pattern));
        } else {
            self.named.insert(section.to_owned(), builder);
        }
    }

    /// The builder of the section that an interface belongs to.
    fn of(&mut self, interface: &str) -> Option<&mut BatchBuilder> {
        if let Some(builder) = self.named.get_mut(interface) {
            return Some(builder);
        }
        self.patterns.iter_mut().find(|(pattern, _)| pattern.matches(interface)).map(|(_, builder)| builder)
    }

    fn all(&mut self) -> impl Iterator<Item = &mut BatchBuilder> {
        self.named.values_mut().chain(self.patterns.iter_mut().map(|(_, builder)| builder))
    }
}

struct HostsThread {
    commands: mpsc::Receiver<Command>,
    waker: Arc<Mutex<Option<Waker>>>,
    news: Arc<Mutex<PendingNews>>,
    kernel: KernelHandle,
    rib: RibHandle,
    guard: GuardHandle,
    declared: Arc<Declarations>,
    /// What the guard was last told of.
    revision: u64,
    state_dir: PathBuf,
    engine: Option<HostRoutes>,
    /// There as long as the engine is, if the state folder can be written to at all.
    keeper: Option<Keeper>,
    identity: Option<Identity>,
    /// The builders of routes.
    sources: Sources,
}

impl HostsThread {
    fn run(&mut self) {
        loop {
            let first = if self.engine.is_some() { None } else { self.commands.recv().ok() };
            if self.engine.is_none() && first.is_none() {
                return;
            }
            for command in first
                .into_iter()
                .chain(std::iter::from_fn(|| self.commands.try_recv().ok()))
                .collect::<Vec<_>>()
            {
                if matches!(command, Command::Stop) {
                    if let (Some(keeper), Some(engine)) = (self.keeper.take(), &self.engine) {
                        keeper.finish(engine);
                    }
                    return;
                }
                self.execute(command);
            }
            let Some(engine) = &mut self.engine else { continue };
            let now = clock::now();
            for (address, remote) in std::mem::take(&mut *lock(&self.news)) {
                engine.remote(address, remote, now);
            }
            let patience = self.keeper.as_ref().and_then(|keeper| keeper.patience(now));
            match engine.turn(clock::now, patience) {
                Ok(actions) => self.perform(actions),
                Err(error) => {
                    tracing::error!(%error, "cannot hear the VMs' ports; trying again");
                    thread::sleep(PAUSE);
                }
            }
            if let (Some(keeper), Some(engine)) = (&mut self.keeper, &self.engine) {
                keeper.tend(engine, clock::now());
            }
            self.tell_guard();
        }
    }

    fn tell_guard(&mut self) {
        let revision = self.engine.as_ref().map_or(0, HostRoutes::revision);
        if std::mem::replace(&mut self.revision, revision) != revision {
            self.guard.changed();
        }
    }

    fn execute(&mut self, command: Command) {
        let now = clock::now();
        match (command, &mut self.engine) {
            (Command::Configure(setup), _) => self.configure(*setup),
            (Command::Links(links), Some(engine)) => {
                for link in links {
                    engine.link_event(link, now);
                }
            }
            (Command::AllLinks(links), Some(engine)) => engine.resync_links(links, now),
            (Command::Vlans(vlans, all), Some(engine)) => engine.set_vlans(vlans, all, now),
            (Command::OwnAddresses(own), Some(engine)) => engine.set_own_addresses(own, now),
            (Command::Mismatch(interface, address), Some(engine)) => {
                engine.kernel_mismatch(interface, address, now);
            }
            (Command::Query(query), Some(engine)) => query(engine),
            // Without an engine there is nothing to tell; `Stop` ends the loop before.
            (_, None) | (Command::Stop, _) => {}
        }
    }

    fn configure(&mut self, setup: Setup) {
        let Setup { domains, identity, baseline } = setup;
        let now = clock::now();
        self.identity = Some(identity);
        let mut fresh = false;
        let mut configs = Vec::new();
        let mut sources = Sources::default();
        for domain in domains {
            sources.insert(&domain.name, BatchBuilder::new(domain.peer, domain.import));
            configs.push((domain.name, domain.config));
        }
        match &mut self.engine {
            Some(engine) => {
                engine.reconfigure(configs, now);
                // Withdrawals of what is no longer allowed still go by the old sources.
                if let Ok(actions) = engine.turn(clock::now, Some(Duration::ZERO)) {
                    self.perform(actions);
                }
            }
            None if configs.is_empty() => {}
            None => match HostRoutes::new(configs) {
                Ok(engine) => {
                    *lock(&self.waker) = Some(engine.waker());
                    fresh = true;
                    self.engine = Some(engine);
                    self.keeper = Keeper::start(&self.state_dir)
                        .inspect_err(
                            |error| tracing::warn!(%error, "host routes are not kept for the next start"),
                        )
                        .ok();
                }
                Err(error) => tracing::error!(%error, "host routes cannot be learned"),
            },
        }
        let before = std::mem::replace(&mut self.sources, sources);
        if let Some(engine) = &mut self.engine {
            engine.set_identifier(identity.identifier, now);
            // Of interfaces that are configured from now on; the others' were never forgotten.
            let new = |d: &Declaration| !before.named.contains_key(d.interface.as_str());
            for declaration in self.declared.list().into_iter().filter(new) {
                let Some(vm) = declaration.vm() else { continue };
                if let Err(error) = engine.declare(&declaration.interface, &vm, declaration.standby, now) {
                    tracing::warn!(address = %declaration.address, "a VM declared earlier is left out: {error}");
                }
            }
        }
        let Some(engine) = &mut self.engine else { return };
        let mut left_behind = Vec::new();
        if let Some(baseline) = baseline {
            engine.set_own_addresses(baseline.own, now);
            engine.set_vlans(baseline.vlans, true, now);
            for link in baseline.links {
                engine.link_event(link, now);
            }
            left_behind = baseline.left_behind;
        }
        // Interfaces that patterns match are domains once their links are known.
        if fresh {
            engine.restore(bindings::load(&self.state_dir), now);
        }
        engine.adopt(left_behind, now);
    }

    /// Does what the machine asks for, in its order. The kernel thread takes commands in order too, so a neighbour entry
    /// is there before the route that the RIB will ask for.
    fn perform(&mut self, actions: Vec<Action>) {
        let Some(identity) = self.identity else { return };
        if let Some(keeper) = self.keeper.as_mut().filter(|_| !actions.is_empty()) {
            keeper.note();
        }
        for action in actions {
            match action {
                Action::Install { interface, address, mac } => {
                    self.kernel.send(KernelCommand::Neighbor { interface, address, mac: Some(mac.0) });
                }
                Action::Remove { interface, address } => {
                    self.kernel.send(KernelCommand::Neighbor { interface, address, mac: None });
                }
                Action::Announce { domain, interface, address, mobility } => {
                    let prefix = Prefix::host(address);
                    let attributes = route::attributes(prefix.family(), interface, mobility, identity);
                    if let Some(source) = self.sources.of(&domain) {
                        source.announce_local(prefix, &attributes);
                    }
                    tracing::info!(
                        %address,
                        interface = %domain,
                        sequence = mobility.sequence,
                        elevated = mobility.elevated,
                        "host route announced"
                    );
                }
                Action::Withdraw { domain, address } => {
                    if let Some(source) = self.sources.of(&domain) {
                        source.withdraw(Prefix::host(address));
                    }
                    tracing::info!(%address, interface = %domain, "host route withdrawn");
                }
                Action::Notice(_) => {}
            }
        }
        for source in self.sources.all() {
            if !source.is_empty() {
                self.rib.send_blocking(RibCommand::Batch(source.take()));
            }
        }
    }
}
