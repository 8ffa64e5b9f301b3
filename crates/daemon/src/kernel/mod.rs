//! The kernel thread: the mirror of links and addresses, next-hop tracking, our routes, neighbour entries; and the
//! thread that listens to the kernel's notifications.

mod comparison;
mod gateways;
mod redistribute;
mod rules;
mod thread;

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;

use siskin_fib::{Fib, KernelEvent, KernelState, PolicyRule, WriteProgress};
use siskin_net::{IfIndex, NextHop, RouteSource};
use siskin_rib::{FibUpdate, GroupMove, NextHopRequest};
use tokio::sync::oneshot;

pub(crate) use comparison::Asker;
pub(crate) use redistribute::{RedistributeSource, local_attributes};
pub(crate) use rules::policy_rules;
pub(crate) use thread::{KernelSetup, start};

/// Changes that may wait, in the queue and in the FIB, before the RIB keeps the rest in its own bitmap. Large enough
/// that what is written at once is a sorted run of some length.
const BACKLOG: usize = 65_536;

/// What the kernel thread is told.
pub(crate) enum KernelCommand {
    /// Table changes for the kernel.
    Routes(Vec<FibUpdate>),
    /// Next hops to track, or not any more.
    NextHops(Vec<NextHopRequest>),
    /// Groups all of whose routes go another way.
    Groups(Vec<GroupMove>),
    /// What the kernel told.
    Events(Vec<KernelEvent>),
    /// A permanent neighbour entry, or with no MAC its removal.
    Neighbor { interface: IfIndex, address: IpAddr, mac: Option<[u8; 6]> },
    /// Everything wanted has been said: what a previous run left and nobody wants goes.
    Sweep,
    /// A session is lost: groups lose the ways to these next hops at once, before the RIB has said so of each route.
    FailNextHops(Vec<NextHop>),
    /// The RIB has said all that followed from lost sessions.
    Recover,
    /// The policy rules that are wanted from now on.
    Rules(Vec<PolicyRule>),
    /// Redistribution of connected, static or kernel routes changed; `None`: it ended.
    Redistribute(RouteSource, Option<Box<RedistributeSource>>),
    /// A look at the state; short, or a slice of a walk.
    Query(Box<dyn FnOnce(&mut View<'_>) + Send>),
    /// Compares what is wanted with what the kernel has.
    Compare(Asker),
    /// The thread ends, with `flush` after removing our routes.
    Stop { flush: bool },
}

/// What queries see.
pub(crate) struct View<'a> {
    /// The mirror of the kernel.
    pub(crate) state: &'a KernelState,
    /// Our routes; `None` with `kernel.install = false`.
    pub(crate) fib: Option<&'a mut Fib>,
    /// The next hops that are tracked.
    pub(crate) tracker: &'a siskin_fib::Tracker,
}

#[derive(Debug, Default)]
struct Backlog {
    queued: AtomicUsize,
    pending: AtomicUsize,
    /// Of the pending ones, removals: the kernel thread wants to know of all, so that it can make many with one message.
    removals: AtomicUsize,
    starved: AtomicBool,
}

impl Backlog {
    fn len(&self) -> usize {
        self.queued.load(Ordering::SeqCst) + self.pending.load(Ordering::SeqCst)
    }
}

/// The way to the kernel thread. Sending never blocks: routes are limited by [`KernelHandle::wants_routes`], the rest
/// by the number of next hops, host routes and queries there are. So the RIB, which the kernel thread does wait for,
/// never waits for the kernel thread.
#[derive(Clone)]
pub(crate) struct KernelHandle {
    sender: mpsc::Sender<KernelCommand>,
    backlog: Arc<Backlog>,
    install: bool,
}

/// The receiving end, for [`start`].
pub(crate) struct KernelInbox {
    receiver: mpsc::Receiver<KernelCommand>,
    backlog: Arc<Backlog>,
}

/// The two ends of the queue to the kernel thread; `install` says whether it takes routes at all.
pub(crate) fn channel(install: bool) -> (KernelHandle, KernelInbox) {
    let (sender, receiver) = mpsc::channel();
    let backlog = Arc::new(Backlog::default());
    (KernelHandle { sender, backlog: backlog.clone(), install }, KernelInbox { receiver, backlog })
}

impl KernelHandle {
    /// Sends a command.
    pub(crate) fn send(&self, command: KernelCommand) {
        if let KernelCommand::Routes(changes) = &command {
            self.backlog.queued.fetch_add(changes.len(), Ordering::SeqCst);
        }
        drop(self.sender.send(command));
    }

    /// Whether the kernel thread takes routes at all.
    pub(crate) fn installs(&self) -> bool {
        self.install
    }

    /// Whether the kernel thread takes route changes now; if not, it wakes the RIB when it does again.
    pub(crate) fn wants_routes(&self) -> bool {
        if !self.install {
            return false;
        }
        if self.backlog.len() < BACKLOG {
            return true;
        }
        self.backlog.starved.store(true, Ordering::SeqCst);
        // The thread may have caught up just before the flag was set, and would then wake nobody.
        self.backlog.len() < BACKLOG / 2
    }

    /// Route changes that have not reached the kernel yet.
    pub(crate) fn backlog(&self) -> usize {
        self.backlog.len() + self.backlog.removals.load(Ordering::SeqCst)
    }

    /// Runs a short query on the kernel thread; `None` when the daemon is stopping.
    pub(crate) async fn query<T: Send + 'static>(
        &self,
        query: impl FnOnce(&mut View<'_>) -> T + Send + 'static,
    ) -> Option<T> {
        let (answer, result) = oneshot::channel();
        let query = Box::new(move |view: &mut View<'_>| drop(answer.send(query(view))));
        self.sender.send(KernelCommand::Query(query)).ok()?;
        result.await.ok()
    }
}

impl KernelHandle {
    /// Compares what is wanted with what the kernel has; `None` when it cannot be: no routes are installed, the kernel
    /// refused, or the daemon is stopping.
    pub(crate) async fn compare(&self) -> Option<siskin_fib::FibCheck> {
        let (answer, result) = oneshot::channel();
        self.send(KernelCommand::Compare(answer));
        result.await.ok()
    }
}

impl KernelInbox {
    /// The changes of a received command are no longer in the queue but in the FIB, where some wait now; true
    /// when the RIB waits for room and has it.
    fn settle(&self, received: usize, progress: &WriteProgress) -> bool {
        self.backlog.removals.store(progress.removals, Ordering::SeqCst);
        self.backlog.pending.store(progress.pending - progress.removals, Ordering::SeqCst);
        self.backlog.queued.fetch_sub(received, Ordering::SeqCst);
        self.backlog.len() < BACKLOG / 2 && self.backlog.starved.swap(false, Ordering::SeqCst)
    }
}
