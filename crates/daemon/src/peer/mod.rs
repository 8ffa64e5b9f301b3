//! The peers: a task each, found by name and by address.

mod connection;
mod edge;
mod extras;
mod helping;
mod lists;
mod log;
mod profile;
mod status;
mod task;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use siskin_api::{Event, EventBody};
use siskin_bgp::session::{AdminStop, State};
use siskin_config::{Endpoint, Peer};
use siskin_net::{IfIndex, PeerId, Timestamp};
use tokio::net::TcpStream;
use tokio::sync::{broadcast, mpsc};
use tokio::task::JoinHandle;

use crate::core::RibHandle;
use crate::tcp::ConnectionOptions;

pub(crate) use extras::Extras;
pub(crate) use lists::Lists;
pub(crate) use profile::{Profiles, Router, local_import};
pub(crate) use status::{PeerShared, SessionView};
pub(crate) use task::{Control, PeerSetup};

/// Commands that may wait for a peer's task; connections beyond are refused.
const CONTROL: usize = 64;
/// Peers get numbers from here on; below are the sources of local routes.
const FIRST_PEER: u16 = 256;

/// Locks a mutex. What it guards is changed by single assignments, so it is whole even after a panic elsewhere.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Where peers' tasks tell of state changes.
#[derive(Clone)]
pub(crate) struct EventSink(broadcast::Sender<Event>);

impl EventSink {
    pub(crate) fn new(sender: broadcast::Sender<Event>) -> EventSink {
        EventSink(sender)
    }

    /// A session went from one state to another.
    fn peer_state(&self, peer: &str, from: State, to: State, error: Option<siskin_api::LastError>) {
        let body =
            EventBody::PeerState { peer: peer.into(), from: api_state(from), to: api_state(to), error };
        drop(self.0.send(Event { at_ms: crate::clock::unix_ms(), body }));
    }
}

/// One peer.
pub(crate) struct Entry {
    pub(crate) id: PeerId,
    pub(crate) config: Arc<Peer>,
    pub(crate) shared: Arc<PeerShared>,
    /// Switched off by the operator, by `enabled = false`, or by a prefix limit.
    pub(crate) down: bool,
    /// A prefix limit ended the session, and it is tried again then.
    pub(crate) restart_at: Option<Timestamp>,
    /// What is known of it beside its configuration.
    pub(crate) extras: Extras,
    /// The running task; `None` while the peer waits for its interface.
    running: Option<Running>,
}

struct Running {
    control: mpsc::Sender<Control>,
    task: JoinHandle<()>,
    scope: IfIndex,
}

impl Entry {
    /// Tells the peer's task something; false if it waits for its interface or has too much to do.
    pub(crate) fn tell(&self, control: Control) -> bool {
        self.running.as_ref().is_some_and(|r| r.control.try_send(control).is_ok())
    }

    /// Whether it has a task, or waits for its interface.
    pub(crate) fn is_waiting(&self) -> bool {
        self.running.is_none()
    }
}

/// All peers.
#[derive(Default)]
pub(crate) struct Peers {
    entries: BTreeMap<String, Entry>,
    next_id: u16,
}

impl Peers {
    /// Every peer, by name.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&String, &Entry)> {
        self.entries.iter()
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Entry> {
        self.entries.get(name)
    }

    pub(crate) fn get_mut(&mut self, name: &str) -> Option<&mut Entry> {
        self.entries.get_mut(name)
    }

    /// Every peer, to change it.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (&String, &mut Entry)> {
        self.entries.iter_mut()
    }

    /// The peer of a number.
    pub(crate) fn by_id(&mut self, id: PeerId) -> Option<(&String, &mut Entry)> {
        self.entries.iter_mut().find(|(_, entry)| entry.id == id)
    }

    /// Takes a peer up, without a task yet.
    ///
    /// Numbers are not reused while the RIB may still hold paths of the peer that had one: they count up, and wrap
    /// after 65,000 peers have come and gone.
    pub(crate) fn insert(&mut self, config: Arc<Peer>) {
        let taken = |id: u16, entries: &BTreeMap<String, Entry>| entries.values().any(|e| e.id == PeerId(id));
        loop {
            self.next_id = self.next_id.checked_add(1).unwrap_or(0).max(FIRST_PEER);
            if !taken(self.next_id, &self.entries) {
                break;
            }
        }
        let entry = Entry {
            id: PeerId(self.next_id),
            shared: Arc::new(PeerShared::new()),
            down: !config.enabled,
            restart_at: None,
            extras: Extras::default(),
            config: config.clone(),
            running: None,
        };
        self.entries.insert(config.name.clone(), entry);
    }

    /// Starts the tasks of peers whose interface is there now; `resolve` finds an interface.
    pub(crate) fn start_waiting(
        &mut self,
        rib: &RibHandle,
        router: &Router,
        events: &EventSink,
        resolve: impl Fn(&str) -> Option<IfIndex>,
    ) {
        for (name, entry) in self.entries.iter_mut().filter(|(_, e)| e.running.is_none()) {
            let Some((remote, scope)) = address_of(&entry.config, &resolve) else { continue };
            let profiles =
                Arc::new(Profiles::new(router.clone(), entry.config.clone(), entry.extras.clone()));
            let (control, inbox) = mpsc::channel(CONTROL);
            let setup = PeerSetup {
                id: entry.id,
                name: name.as_str().into(),
                remote,
                scope,
                options: connection_options(&entry.config),
                session: profiles.session(scope),
                profiles,
                events: events.clone(),
            };
            let task = task::PeerTask::new(setup, rib.clone(), entry.shared.clone(), inbox);
            let task = tokio::spawn(supervised(name.clone(), entry.id, rib.clone(), task));
            if !entry.down {
                drop(control.try_send(Control::Start));
            }
            entry.running = Some(Running { control, task, scope });
        }
    }

    /// Ends a peer and its task, which says goodbye first.
    pub(crate) fn remove(&mut self, name: &str, stop: AdminStop) -> Option<JoinHandle<()>> {
        let running = self.entries.remove(name)?.running?;
        drop(running.control.try_send(Control::Remove(stop)));
        Some(running.task)
    }

    /// Ends all peers.
    pub(crate) fn remove_all(&mut self, stop: &AdminStop) -> Vec<JoinHandle<()>> {
        let names: Vec<String> = self.entries.keys().cloned().collect();
        names.iter().filter_map(|name| self.remove(name, stop.clone())).collect()
    }

    /// Gives an accepted connection to the peer of that address; false if there is none.
    pub(crate) fn deliver(&self, address: IpAddr, scope: IfIndex, stream: TcpStream) -> bool {
        let found = self.entries.values().find(|entry| {
            let Some(running) = &entry.running else { return false };
            entry.config.endpoint.address() == Some(address)
                && (!entry.config.endpoint.is_link_local() || running.scope == scope)
        });
        found.is_some_and(|entry| entry.tell(Control::Incoming(stream)))
    }

    /// The peers whose first table is not complete: not established, or without an End-of-RIB.
    pub(crate) fn without_table(&self) -> Vec<String> {
        let open = |e: &&Entry| !e.down && !e.shared.has_table();
        self.entries.values().filter(open).map(|e| e.config.name.clone()).collect()
    }

    /// The peers whose tables a restart waits for (RFC 4724 section 4.1), `age` after the start: those that keep our routes
    /// meanwhile, or may, and do not restart themselves.
    pub(crate) fn awaited(&self, age: Duration) -> Vec<String> {
        let graceful = |e: &&Entry| !e.down && e.config.session.graceful_restart.is_some();
        let open = |e: &&Entry| e.shared.is_awaited(age < crate::restart::SESSIONS);
        self.entries.values().filter(graceful).filter(open).map(|e| e.config.name.clone()).collect()
    }

    /// The longest time a peer was asked to keep our routes for, while we restart; `None`: nobody was.
    pub(crate) fn restart_time(&self) -> Option<Duration> {
        let times =
            self.entries.values().filter(|e| !e.down).filter_map(|e| e.config.session.graceful_restart);
        times.map(|restart| restart.time).max()
    }

    /// Peers with a TCP MD5 key, for the listening sockets.
    pub(crate) fn passwords(&self) -> Vec<(IpAddr, IfIndex, String)> {
        let keyed = |e: &Entry| {
            let password = e.config.session.password.as_ref()?;
            Some((e.config.endpoint.address()?, e.running.as_ref()?.scope, password.expose().to_owned()))
        };
        self.entries.values().filter_map(keyed).collect()
    }
}

/// Runs a peer's task; a panic there costs its session and nothing else.
async fn supervised(name: String, id: PeerId, rib: RibHandle, task: task::PeerTask) {
    if let Err(error) = tokio::spawn(task.run()).await
        && error.is_panic()
    {
        tracing::error!(peer = %name, "the peer's task failed; its session is gone until the next restart of it");
        rib.send(crate::core::RibCommand::PeerDown { id }).await;
    }
}

/// Where the peer is, once its interface exists; `None` before that.
fn address_of(peer: &Peer, resolve: impl Fn(&str) -> Option<IfIndex>) -> Option<(SocketAddr, IfIndex)> {
    let Endpoint::Address { address, interface } = &peer.endpoint else { return None };
    let scope = match interface {
        Some(interface) => resolve(interface)?,
        None => 0,
    };
    Some((SocketAddr::new(*address, peer.session.port), scope))
}

fn connection_options(peer: &Peer) -> ConnectionOptions {
    use siskin_config::Ttl;
    ConnectionOptions {
        source: peer.session.source,
        interface: peer.endpoint.interface().map(str::to_owned),
        password: peer.session.password.as_ref().map(|p| p.expose().to_owned()),
        ttl_security: match peer.session.ttl {
            Ttl::Security(hops) => Some(hops),
            Ttl::Send(_) => None,
        },
        ttl: peer.session.ttl.send(),
    }
}

/// The API's word for a session's state.
pub(crate) fn api_state(state: State) -> siskin_api::PeerState {
    match state {
        State::Idle => siskin_api::PeerState::Idle,
        State::Connect => siskin_api::PeerState::Connect,
        State::Active => siskin_api::PeerState::Active,
        State::OpenSent => siskin_api::PeerState::OpenSent,
        State::OpenConfirm => siskin_api::PeerState::OpenConfirm,
        State::Established => siskin_api::PeerState::Established,
    }
}
