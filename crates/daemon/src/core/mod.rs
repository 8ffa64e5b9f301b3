//! The RIB thread: owns every table, takes commands from one bounded queue, and gives each kind of work its budget,
//! so that neither a dump nor a query delays an UPDATE.

mod queue;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use siskin_net::{Family, FamilySet, NextHop, NextHopAnswer, PeerId, Prefix};
use siskin_policy::Compiled;
use siskin_rib::{
    Batch, ExportProfile, Facts, FibUpdate, ImportProfile, PeerInfo, Rib, RibConfig, RibEvent, Touched,
};
use tokio::sync::{mpsc, oneshot};

use crate::hosts::HostsHandle;
use crate::kernel::{KernelCommand, KernelHandle};

pub(crate) use queue::{QueueReceiver, QueueSender, queue};

/// Commands that may wait for the RIB; when they do, peers stop reading their sockets.
const INBOX: usize = 16;
/// Commands taken before the RIB decides what they changed.
const COMMANDS_A_TURN: usize = 64;
/// Destinations decided, or swept, in one turn.
const DECIDE_A_TURN: usize = 65_536;
/// Destinations an update group exports in one turn.
const EXPORT_A_TURN: usize = 16_384;
/// Changes handed to the FIB thread at once.
const FIB_A_TURN: usize = 8_192;

/// What the RIB thread is told.
pub(crate) enum RibCommand {
    /// A session is established, or a source of local routes begins.
    PeerUp { id: PeerId, info: Box<PeerInfo>, queue: Option<QueueSender> },
    /// The session ended: its routes go. The kernel was told which next hops failed with it.
    PeerDown { id: PeerId },
    /// The session ended and the peer is to come back: its routes of these families stay as stale.
    PeerRestarts { id: PeerId, families: FamilySet },
    /// What is still stale of a peer's routes of these families goes.
    EndStale { id: PeerId, families: FamilySet },
    /// Nothing is decided or sent, until it is again.
    Hold(bool),
    /// Policies changed while the session stays.
    Profiles { id: PeerId, import: Arc<ImportProfile>, export: Option<Box<ExportProfile>> },
    /// The peer asked for a route refresh.
    RefreshOut { id: PeerId, family: Family },
    /// Routes.
    Batch(Batch),
    /// What next-hop tracking found.
    NextHops(Vec<(NextHop, NextHopAnswer)>),
    /// What is known of the routing system changed.
    Facts { facts: Arc<Facts>, touched: Touched },
    /// What others announce of single addresses within these prefixes is told from now on.
    WatchHosts { prefixes: Vec<Prefix>, told: HostsHandle },
    /// The kernel's table follows this configuration from now on.
    Configure(RibConfig),
    /// Which routes the kernel gets; `None`: all.
    KernelPolicy(Option<Arc<Compiled>>),
    /// A look at the tables; short, or a slice of a walk.
    Query(Box<dyn FnOnce(&Rib) + Send>),
    /// A queue has room again.
    Wake,
    /// The thread ends.
    Stop,
}

/// The way to the RIB thread.
#[derive(Clone)]
pub(crate) struct RibHandle {
    sender: mpsc::Sender<RibCommand>,
    wake_pending: Arc<AtomicBool>,
}

impl RibHandle {
    /// Sends a command, waiting while the RIB is behind.
    pub(crate) async fn send(&self, command: RibCommand) {
        drop(self.sender.send(command).await);
    }

    /// As [`RibHandle::send`], from a thread that is no task.
    pub(crate) fn send_blocking(&self, command: RibCommand) {
        drop(self.sender.blocking_send(command));
    }

    /// A place in the queue, for a task that must not block while it waits for one.
    pub(crate) async fn reserve(&self) -> Option<mpsc::OwnedPermit<RibCommand>> {
        self.sender.clone().reserve_owned().await.ok()
    }

    /// Tells the RIB that somebody has room again. A full inbox needs no wake-up: the RIB is at work.
    pub(crate) fn wake(&self) {
        if !self.wake_pending.swap(true, Ordering::AcqRel) && self.sender.try_send(RibCommand::Wake).is_err()
        {
            self.wake_pending.store(false, Ordering::Release);
        }
    }

    /// Sends a batch if there is room, else gives it back.
    pub(crate) fn try_send_batch(&self, batch: Batch) -> Result<(), Batch> {
        match self.sender.try_reserve() {
            Ok(permit) => {
                permit.send(RibCommand::Batch(batch));
                Ok(())
            }
            // When the RIB is gone, so is the daemon, in a moment.
            Err(_) => Err(batch),
        }
    }

    /// Runs a short query on the RIB thread and returns its answer; `None` when the daemon is stopping.
    pub(crate) async fn query<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Rib) -> T + Send + 'static,
    ) -> Option<T> {
        let (answer, result) = oneshot::channel();
        let query = Box::new(move |rib: &Rib| drop(answer.send(query(rib))));
        self.sender.send(RibCommand::Query(query)).await.ok()?;
        result.await.ok()
    }
}

/// Starts the RIB thread.
///
/// A panic there ends the process: tables that are half changed serve nobody, and the kernel keeps forwarding.
pub(crate) fn start(
    config: RibConfig,
    kernel: KernelHandle,
    events: mpsc::UnboundedSender<RibEvent>,
) -> std::io::Result<(RibHandle, thread::JoinHandle<()>)> {
    let (sender, inbox) = mpsc::channel(INBOX);
    let wake_pending = Arc::new(AtomicBool::new(false));
    let handle = RibHandle { sender, wake_pending: wake_pending.clone() };
    let mut core = Core {
        rib: Rib::new(config),
        queues: queue::Queues::default(),
        kernel,
        hosts: None,
        events,
        inbox,
        wake_pending,
        recovering: false,
    };
    let thread = thread::Builder::new().name("rib".into()).spawn(move || {
        let guard = AbortOnPanic;
        core.run();
        std::mem::forget(guard);
    })?;
    Ok((handle, thread))
}

struct AbortOnPanic;

impl Drop for AbortOnPanic {
    fn drop(&mut self) {
        if thread::panicking() {
            tracing::error!("the RIB thread failed; the process ends, kernel routes stay");
            std::process::abort();
        }
    }
}

struct Core {
    rib: Rib,
    queues: queue::Queues,
    kernel: KernelHandle,
    /// Who wants to know what others announce of our VMs' addresses.
    hosts: Option<HostsHandle>,
    /// News of limits (at most a few for each peer and turn) and of walks that ended.
    events: mpsc::UnboundedSender<RibEvent>,
    inbox: mpsc::Receiver<RibCommand>,
    wake_pending: Arc<AtomicBool>,
    /// A session was lost, and what follows from it is not decided yet.
    recovering: bool,
}

impl Core {
    fn run(&mut self) {
        let mut commands = Vec::with_capacity(COMMANDS_A_TURN);
        let mut busy = false;
        loop {
            if busy {
                while commands.len() < COMMANDS_A_TURN {
                    match self.inbox.try_recv() {
                        Ok(command) => commands.push(command),
                        Err(_) => break,
                    }
                }
            } else if self.inbox.blocking_recv_many(&mut commands, COMMANDS_A_TURN) == 0 {
                return;
            }
            for command in commands.drain(..) {
                if self.execute(command).is_break() {
                    return;
                }
            }
            busy = self.turn();
        }
    }

    fn execute(&mut self, command: RibCommand) -> std::ops::ControlFlow<()> {
        match command {
            RibCommand::PeerUp { id, info, queue } => {
                if let Some(queue) = queue {
                    self.queues.insert(id, queue);
                }
                self.rib.peer_up(id, *info);
            }
            RibCommand::PeerDown { id } => {
                self.recovering = true;
                self.queues.remove(id);
                self.rib.peer_down(id);
            }
            RibCommand::PeerRestarts { id, families } => {
                self.queues.remove(id);
                self.rib.peer_restarts(id, families);
            }
            RibCommand::EndStale { id, families } => self.rib.end_stale(id, families),
            RibCommand::Hold(held) => self.rib.hold(held),
            RibCommand::Profiles { id, import, export } => {
                self.rib.update_profiles(id, import, export.map(|e| *e))
            }
            RibCommand::RefreshOut { id, family } => self.rib.refresh_out(id, family),
            RibCommand::Batch(batch) => self.rib.apply(batch),
            RibCommand::NextHops(changes) => {
                for (next_hop, answer) in changes {
                    self.rib.set_next_hop(next_hop, answer);
                }
            }
            RibCommand::Facts { facts, touched } => self.rib.set_facts(facts, touched),
            RibCommand::WatchHosts { prefixes, told } => {
                self.hosts = Some(told);
                self.rib.watch_hosts(prefixes);
            }
            RibCommand::Configure(config) => self.rib.configure(config),
            RibCommand::KernelPolicy(policy) => self.rib.set_kernel_policy(policy),
            RibCommand::Query(query) => query(&self.rib),
            RibCommand::Wake => self.wake_pending.store(false, Ordering::Release),
            RibCommand::Stop => return std::ops::ControlFlow::Break(()),
        }
        std::ops::ControlFlow::Continue(())
    }

    /// One turn: decide, then who must yield an address, then the kernel (a lost next hop must not wait for exports),
    /// then the peers.
    fn turn(&mut self) -> bool {
        let mut more = self.rib.turn(DECIDE_A_TURN);
        let news = self.rib.take_host_news();
        if let Some(hosts) = self.hosts.as_ref().filter(|_| !news.is_empty()) {
            hosts.remote_news(news);
        }
        more |= self.serve_kernel();
        more |= self.rib.export_turn(&mut self.queues, EXPORT_A_TURN);
        for event in self.rib.take_events() {
            // Nobody listens any more when the daemon is stopping.
            let _ = self.events.send(event);
        }
        if self.recovering && self.rib.is_settled() {
            self.recovering = false;
            self.kernel.send(KernelCommand::Recover);
        }
        more
    }

    /// Hands next-hop requests and table changes to the kernel thread, as far as it has room.
    fn serve_kernel(&mut self) -> bool {
        let requests = self.rib.take_next_hop_requests();
        if !requests.is_empty() {
            self.kernel.send(KernelCommand::NextHops(requests));
        }
        let moves = self.rib.take_group_moves();
        if !moves.is_empty() && self.kernel.installs() {
            self.kernel.send(KernelCommand::Groups(moves));
        }
        if !self.kernel.wants_routes() {
            return false;
        }
        let mut changes: Vec<FibUpdate> = Vec::new();
        let more = self.rib.drain_fib(FIB_A_TURN, &mut changes);
        if !changes.is_empty() {
            self.kernel.send(KernelCommand::Routes(changes));
        }
        more
    }
}
