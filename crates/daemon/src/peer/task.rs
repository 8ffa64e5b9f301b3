//! The task of one peer: moves bytes between its sockets and its session, routes between its session and the RIB.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use siskin_bgp::session::{AdminStop, Direction, DownReason, Input, Negotiated, Output, Session, State};
use siskin_bgp::wire::{RefreshKind, Update, frame};
use siskin_net::{Family, FamilySet, IfIndex, NextHop, PeerId};
use siskin_rib::{Batch, BatchBuilder, Facts};
use smallvec::SmallVec;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::connection::Connection;
use super::helping::Helping;
use super::log::FaultLog;
use super::profile::Profiles;
use super::status::PeerShared;
use crate::clock;
use crate::core::{RibCommand, RibHandle};
use crate::tcp::{self, ConnectionOptions};

/// A connect that takes longer is given up; the session tries again.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// A batch of this many prefixes goes to the RIB before more is read.
const BATCH_PREFIXES: usize = 4_096;

/// A peer with more next hops than this speaks for others.
const MAX_OWN_NEXT_HOPS: usize = 4;

/// What the supervisor tells a peer's task.
pub(crate) enum Control {
    /// The session may run.
    Start,
    /// The session ends, and stays down until [`Control::Start`].
    Stop(AdminStop),
    /// The session ends, and the task with it.
    Remove(AdminStop),
    /// A connection from the peer.
    Incoming(TcpStream),
    /// Ask the peer for its routes again (RFC 2918).
    RefreshIn,
    /// Send the peer everything again.
    RefreshOut,
    /// Policies changed; the session stays.
    Profiles(Arc<Profiles>),
    /// What is known of the routing system changed.
    Facts(Arc<Facts>),
}

/// What a task needs to know of its peer.
pub(crate) struct PeerSetup {
    pub(crate) id: PeerId,
    pub(crate) name: Arc<str>,
    pub(crate) remote: SocketAddr,
    pub(crate) scope: IfIndex,
    pub(crate) options: ConnectionOptions,
    pub(crate) session: siskin_bgp::session::SessionConfig,
    pub(crate) profiles: Arc<Profiles>,
    pub(crate) events: super::EventSink,
}

/// A session with what belongs to it only while it is established.
struct Established {
    negotiated: Negotiated,
    builder: BatchBuilder,
}

pub(super) struct PeerTask {
    setup: PeerSetup,
    session: Session,
    rib: RibHandle,
    shared: Arc<PeerShared>,
    control: mpsc::Receiver<Control>,
    outgoing: Option<Connection>,
    incoming: Option<Connection>,
    connecting: Option<JoinHandle<io::Result<TcpStream>>>,
    established: Option<Established>,
    /// A batch that waits for a place in the RIB's queue; nothing is read meanwhile.
    pending: Option<Batch>,
    /// Buffers may hold whole messages that were not looked at when a batch was full.
    unfinished: bool,
    outputs: Vec<Output>,
    faults: FaultLog,
    end_of_rib: FamilySet,
    bytes_received: u64,
    told: State,
    /// The peer restarts, and its routes are stale.
    helping: Option<Helping>,
    /// The session was up before, in this run.
    was_up: bool,
    /// The next hops of this session's routes, as long as they are few.
    next_hops: SmallVec<[NextHop; 4]>,
}

/// What woke the task.
enum Event {
    Control(Option<Control>),
    Permit(Option<mpsc::OwnedPermit<RibCommand>>),
    Unfinished,
    Read(Direction, io::Result<usize>),
    Connected(io::Result<TcpStream>),
    Timer,
}

impl PeerTask {
    pub(super) fn new(
        setup: PeerSetup,
        rib: RibHandle,
        shared: Arc<PeerShared>,
        control: mpsc::Receiver<Control>,
    ) -> PeerTask {
        let session = Session::new(setup.session.clone());
        PeerTask {
            setup,
            session,
            rib,
            shared,
            control,
            outgoing: None,
            incoming: None,
            connecting: None,
            established: None,
            pending: None,
            unfinished: false,
            outputs: Vec::new(),
            faults: FaultLog::default(),
            end_of_rib: FamilySet::EMPTY,
            bytes_received: 0,
            told: State::Idle,
            helping: None,
            was_up: false,
            next_hops: SmallVec::new(),
        }
    }

    /// Runs until the peer is removed.
    pub(super) async fn run(mut self) {
        loop {
            let event = self.next_event().await;
            let last = matches!(event, Event::Control(None | Some(Control::Remove(_))));
            self.handle_event(event).await;
            self.flush();
            if last {
                return;
            }
        }
    }

    async fn next_event(&mut self) -> Event {
        let free = self.pending.is_none();
        let reading = free && !self.unfinished;
        let deadlines = [self.session.deadline(), self.helping.map(|helping| helping.deadline())];
        let deadline = deadlines.into_iter().flatten().min().map(clock::instant);
        tokio::select! {
            biased;
            control = self.control.recv() => Event::Control(control),
            permit = self.rib.reserve(), if self.pending.is_some() => Event::Permit(permit),
            () = sleep_until(deadline) => Event::Timer,
            () = std::future::ready(()), if free && self.unfinished => Event::Unfinished,
            result = join(&mut self.connecting) => Event::Connected(result),
            result = read(&mut self.outgoing), if reading => Event::Read(Direction::Outgoing, result),
            result = read(&mut self.incoming), if reading => Event::Read(Direction::Incoming, result),
        }
    }

    async fn handle_event(&mut self, event: Event) {
        match event {
            Event::Control(control) => self.handle_control(control).await,
            Event::Permit(permit) => {
                if let (Some(permit), Some(batch)) = (permit, self.pending.take()) {
                    permit.send(RibCommand::Batch(batch));
                }
            }
            Event::Unfinished => {
                self.unfinished = false;
                self.process_buffered(Direction::Outgoing).await;
                self.process_buffered(Direction::Incoming).await;
            }
            Event::Timer => self.timer().await,
            Event::Connected(Ok(stream)) => {
                self.connecting = None;
                self.attach(Direction::Outgoing, stream).await;
            }
            Event::Connected(Err(error)) => {
                self.connecting = None;
                tracing::debug!(peer = %self.setup.name, %error, "connect failed");
                let text = error.to_string();
                self.shared.note_error(&DownReason::ConnectFailed(text.clone()));
                self.input(Input::ConnectFailed(&text)).await;
            }
            Event::Read(direction, Ok(count)) if count > 0 => {
                self.bytes_received += count as u64;
                self.process_buffered(direction).await;
            }
            Event::Read(direction, result) => {
                let text = result.err().map_or_else(|| "the peer closed it".into(), |e| e.to_string());
                self.drop_connection(direction);
                self.input(Input::Closed(direction, &text)).await;
            }
        }
    }

    async fn handle_control(&mut self, control: Option<Control>) {
        match control {
            Some(Control::Start) => self.input(Input::Start).await,
            Some(Control::Stop(stop) | Control::Remove(stop)) => self.stop(stop).await,
            None => self.stop(AdminStop::PeerDeconfigured).await,
            Some(Control::Incoming(stream)) => {
                if let Some(lost) = self.session.yields(clock::now()) {
                    self.drop_connection(lost);
                    self.input(Input::Closed(lost, "the peer opened another connection")).await;
                }
                if let Err(error) = tcp::prepare_accepted(&stream, &self.setup.options) {
                    tracing::warn!(peer = %self.setup.name, %error, "cannot prepare an accepted connection");
                } else if self.session.accepts(Direction::Incoming) {
                    self.attach(Direction::Incoming, stream).await;
                } else if let Ok(connection) = Connection::new(stream, self.rib.clone()) {
                    connection.queue.send(Session::rejection());
                }
            }
            Some(Control::RefreshIn) => {
                for family in Family::ALL {
                    self.input(Input::SendRefresh(family)).await;
                }
            }
            Some(Control::RefreshOut) => {
                for family in Family::ALL {
                    self.rib.send(RibCommand::RefreshOut { id: self.setup.id, family }).await;
                }
            }
            Some(Control::Profiles(profiles)) => self.change_profiles(profiles).await,
            Some(Control::Facts(facts)) => {
                if let Some(established) = &mut self.established {
                    established.builder.set_facts(facts);
                }
            }
        }
    }

    /// The session ends, and whoever ends it on purpose wants the peer's routes gone.
    async fn stop(&mut self, stop: AdminStop) {
        let keep = stop == AdminStop::Restart;
        self.input(Input::Stop(stop)).await;
        if !keep {
            self.end_stale(FamilySet::BOTH).await;
        }
    }

    async fn attach(&mut self, direction: Direction, stream: TcpStream) {
        match Connection::new(stream, self.rib.clone()) {
            Ok(connection) => {
                let interface = self.setup.profiles.interface_of(connection.local).await;
                self.session.set_interface(interface.unwrap_or(self.setup.scope));
                let (restarting, preserved) = self.setup.profiles.restart(self.was_up);
                self.session.set_restart(restarting, preserved);
                *self.connection(direction) = Some(connection);
                self.input(Input::Connected(direction)).await;
            }
            Err(error) => {
                tracing::debug!(peer = %self.setup.name, %error, "connection lost at once");
                if direction == Direction::Outgoing {
                    self.input(Input::ConnectFailed(&error.to_string())).await;
                }
            }
        }
    }

    /// Cuts and handles whole messages, until the buffer holds none or a batch waits for the RIB.
    async fn process_buffered(&mut self, direction: Direction) {
        loop {
            if self.pending.is_some() {
                self.unfinished = true;
                return;
            }
            let max_len = self.session.max_len(direction);
            let Some(connection) = self.connection(direction) else { return };
            match frame(&mut connection.buffer, max_len) {
                Ok(Some(message)) => self.input(Input::Message(direction, &message)).await,
                Ok(None) => break,
                Err(notification) => {
                    self.input(Input::Framing(direction, notification)).await;
                    return;
                }
            }
            if self.established.as_ref().is_some_and(|e| e.builder.len() >= BATCH_PREFIXES) {
                self.hand_over();
            }
        }
    }

    /// Takes the batch out of the builder; it goes to the RIB as soon as there is a place in its queue.
    fn hand_over(&mut self) {
        if let Some(established) = &mut self.established
            && self.pending.is_none()
            && !established.builder.is_empty()
        {
            self.pending = Some(established.builder.take());
        }
    }

    /// At the end of each event: what was learned goes to the RIB, at once if it has room, and what the API shows is
    /// brought up to date.
    fn flush(&mut self) {
        self.hand_over();
        if let Some(batch) = self.pending.take()
            && let Err(batch) = self.rib.try_send_batch(batch)
        {
            self.pending = Some(batch);
        }
        let sent = self.outgoing.as_ref().or(self.incoming.as_ref()).map_or((0, 0), |c| c.queue.sent());
        self.shared.publish(&self.session, self.end_of_rib, sent, self.bytes_received);
    }

    /// Tells the session what the sockets did since the last time, and that a deadline may have come.
    async fn timer(&mut self) {
        if self.helping.is_some_and(|helping| helping.expired(clock::now())) {
            tracing::warn!(peer = %self.setup.name, "the peer's restart took too long: its stale routes go");
            self.end_stale(FamilySet::BOTH).await;
        }
        for direction in Direction::ALL {
            let Some(connection) = self.connection(direction).as_mut() else { continue };
            let queue = connection.queue_state();
            if connection.has_unread() {
                self.input(Input::Readable(direction)).await;
            }
            self.input(Input::SendQueue(direction, queue)).await;
        }
        self.input(Input::Timer).await;
    }

    async fn input(&mut self, input: Input<'_>) {
        let mut outputs = std::mem::take(&mut self.outputs);
        self.session.handle(input, clock::now(), &mut outputs);
        for output in outputs.drain(..) {
            self.output(output).await;
        }
        self.outputs = outputs;
    }

    async fn output(&mut self, output: Output) {
        match output {
            Output::Update(update) => {
                self.faults.note(&self.setup.name, &update, clock::now());
                if let Some(family) = update.end_of_rib {
                    self.end_of_rib = self.end_of_rib.with(family);
                    self.helped(|helping| helping.end_of_rib(FamilySet::EMPTY.with(family)));
                }
                self.note_next_hops(&update);
                if let Some(established) = &mut self.established {
                    established.builder.push(*update);
                }
            }
            Output::Send(direction, bytes) => self.send(direction, bytes),
            Output::Connect => self.connect(),
            Output::CancelConnect => {
                if let Some(connecting) = self.connecting.take() {
                    connecting.abort();
                }
            }
            Output::Close(direction) => self.drop_connection(direction),
            Output::Established(direction, negotiated) => self.establish(direction, *negotiated).await,
            Output::RouteRefresh { family, kind: RefreshKind::Request } => {
                self.rib.send(RibCommand::RefreshOut { id: self.setup.id, family }).await;
            }
            Output::RouteRefresh { .. } => {}
            Output::FamilyDisabled(family) => {
                tracing::warn!(peer = %self.setup.name, %family, "the family is beyond reading and ignored from now on");
            }
            Output::Failed(direction, reason) => {
                self.shared.note_error(&reason);
                super::log::failed(&self.setup.name, direction, &reason);
            }
            Output::Down(reason) => self.down(&reason).await,
            Output::StateChanged(state) => self.state_changed(state),
        }
    }

    /// Remembers which next hops the peer announces, so that they can be left at once when the session is lost. More than
    /// a few are a route server's or reflector's, whose loss says nothing of them.
    fn note_next_hops(&mut self, update: &Update) {
        for reach in &update.reach {
            if self.next_hops.len() <= MAX_OWN_NEXT_HOPS && !self.next_hops.contains(&reach.next_hop) {
                self.next_hops.push(reach.next_hop);
            }
        }
    }

    fn send(&mut self, direction: Direction, bytes: Bytes) {
        if let Some(connection) = self.connection(direction) {
            connection.queue.send(bytes);
        }
    }

    fn connect(&mut self) {
        let (remote, scope, options) = (self.setup.remote, self.setup.scope, self.setup.options.clone());
        self.connecting = Some(tokio::spawn(async move {
            tokio::time::timeout(CONNECT_TIMEOUT, tcp::connect(remote, scope, &options))
                .await
                .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
        }));
    }

    async fn establish(&mut self, direction: Direction, negotiated: Negotiated) {
        let Some(connection) = self.connection(direction) else { return };
        let (queue, ends) = (connection.queue.clone(), (connection.local, connection.remote));
        let info = self.setup.profiles.peer_info(&self.setup, &negotiated, ends.0).await;
        let builder = BatchBuilder::new(self.setup.id, info.import.clone());
        self.end_of_rib = FamilySet::EMPTY;
        self.shared.established(&negotiated, ends, clock::now());
        tracing::info!(
            peer = %self.setup.name, asn = %negotiated.peer_asn, local = %ends.0, remote = %ends.1, families = ?negotiated.families,
            "session established"
        );
        let id = self.setup.id;
        if let Some(helping) = &mut self.helping {
            let gone = helping.back(negotiated.graceful_restart);
            self.end_stale(gone).await;
        }
        self.rib.send(RibCommand::PeerUp { id, info: Box::new(info), queue: Some(queue) }).await;
        self.established = Some(Established { negotiated, builder });
        self.was_up = true;
    }

    /// Stale routes go, and are known to be gone.
    async fn end_stale(&mut self, families: FamilySet) {
        if self.helping.is_some() && !families.is_empty() {
            self.rib.send(RibCommand::EndStale { id: self.setup.id, families }).await;
            self.helped(|helping| helping.end_of_rib(families));
        }
    }

    fn helped(&mut self, note: impl FnOnce(&mut Helping)) {
        if let Some(helping) = &mut self.helping {
            note(helping);
            if helping.is_over() {
                self.helping = None;
            }
        }
    }

    /// The session is lost, but the peer restarts and forwards on: its routes stay, with what was learned to the last.
    async fn help(&mut self, families: FamilySet, restart_time: u16, stale: Duration) {
        self.hand_over();
        if let Some(batch) = self.pending.take() {
            self.rib.send(RibCommand::Batch(batch)).await;
        }
        self.hand_over();
        if let Some(batch) = self.pending.take() {
            self.rib.send(RibCommand::Batch(batch)).await;
        }
        tracing::info!(peer = %self.setup.name, ?families, seconds = restart_time, "keeping the peer's routes while it restarts");
        self.helping = Some(Helping::begin(families, restart_time, stale, clock::now()));
        self.established = None;
        self.next_hops.clear();
        self.rib.send(RibCommand::PeerRestarts { id: self.setup.id, families }).await;
    }

    async fn down(&mut self, reason: &DownReason) {
        self.shared.down(clock::now());
        self.shared.note_error(reason);
        self.end_of_rib = FamilySet::EMPTY;
        super::log::down(&self.setup.name, reason);
        if let (Some(established), Some(stale)) = (&self.established, self.setup.profiles.stale_time()) {
            let kept = established.negotiated.kept_after(reason);
            let time = established.negotiated.graceful_restart.map_or(0, |restart| restart.restart_time);
            if !kept.is_empty() {
                return self.help(kept, time, stale).await;
            }
        }
        self.helping = None;
        if self.established.take().is_some() {
            // What was not handed over goes with the session.
            self.pending = None;
            let next_hops = std::mem::take(&mut self.next_hops);
            if !next_hops.is_empty() && next_hops.len() <= MAX_OWN_NEXT_HOPS {
                self.setup.profiles.fail_next_hops(next_hops.into_vec());
            }
            self.rib.send(RibCommand::PeerDown { id: self.setup.id }).await;
        }
    }

    fn state_changed(&mut self, state: State) {
        tracing::debug!(peer = %self.setup.name, %state, "state");
        let before = std::mem::replace(&mut self.told, state);
        let error = if state < before { self.shared.view().last_error } else { None };
        self.setup.events.peer_state(&self.setup.name, before, state, error);
    }

    async fn change_profiles(&mut self, profiles: Arc<Profiles>) {
        self.setup.profiles = profiles;
        let Some(negotiated) = self.established.as_ref().map(|e| e.negotiated.clone()) else { return };
        let Some(local) = self.outgoing.as_ref().or(self.incoming.as_ref()).map(|c| c.local) else { return };
        let info = self.setup.profiles.peer_info(&self.setup, &negotiated, local).await;
        // What was judged by the old policy must reach the RIB before the new one does.
        self.hand_over();
        if let Some(batch) = self.pending.take() {
            self.rib.send(RibCommand::Batch(batch)).await;
        }
        if let Some(established) = &mut self.established {
            established.builder = BatchBuilder::new(self.setup.id, info.import.clone());
        }
        let export = info.export.map(Box::new);
        self.rib.send(RibCommand::Profiles { id: self.setup.id, import: info.import, export }).await;
    }

    fn connection(&mut self, direction: Direction) -> &mut Option<Connection> {
        match direction {
            Direction::Outgoing => &mut self.outgoing,
            Direction::Incoming => &mut self.incoming,
        }
    }

    fn drop_connection(&mut self, direction: Direction) {
        *self.connection(direction) = None;
    }
}

async fn read(connection: &mut Option<Connection>) -> io::Result<usize> {
    match connection {
        Some(connection) => connection.read().await,
        None => std::future::pending().await,
    }
}

async fn join(connecting: &mut Option<JoinHandle<io::Result<TcpStream>>>) -> io::Result<TcpStream> {
    match connecting {
        Some(handle) => handle.await.unwrap_or_else(|e| Err(io::Error::other(e))),
        None => std::future::pending().await,
    }
}

async fn sleep_until(deadline: Option<std::time::Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}
