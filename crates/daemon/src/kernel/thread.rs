//! The loops of the kernel thread and of the monitor thread that feeds it.

use std::ops::ControlFlow;
use std::sync::mpsc::RecvTimeoutError;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use siskin_fib::{
    Fib, FibChange, FibConfig, FibError, KernelEvent, KernelState, Monitor, StateConfig, Tracker,
};
use siskin_net::{IfIndex, NextHop, NextHopAnswer, Resolution};
use siskin_rib::{FibUpdate, NextHopRequest};

use super::comparison::Comparison;
use super::gateways::Gateways;
use super::{KernelCommand, KernelHandle, KernelInbox, RedistributeSource, View};
use crate::core::{RibCommand, RibHandle};
use crate::metrics::KernelCounters;

/// Routes written before the thread looks at its queue again: some milliseconds.
const WRITE_A_TURN: usize = 4_096;
/// Commands handled before routes are written again.
const COMMANDS_A_TURN: usize = 64;
/// The longest wait when there is nothing to retry.
const IDLE: Duration = Duration::from_secs(60);
/// Rest between two batches of news: the first is passed on at once, and what follows on its heels (some forty events for
/// each virtual machine that comes or goes) costs one wake-up instead of many.
const BREATH: Duration = Duration::from_millis(2);
/// Rest after an error of the monitor.
const PAUSE: Duration = Duration::from_secs(1);

/// Told of every change of links and addresses, on the kernel thread: must be quick. [`KernelEvent::Overrun`] says that
/// everything may have changed; it also comes once at the start.
pub(crate) type Subscriber = Box<dyn FnMut(&KernelState, &[KernelEvent]) + Send>;

/// What the thread starts with.
pub(crate) struct KernelSetup {
    /// Which foreign routes count for next hops.
    pub(crate) state: StateConfig,
    /// What is counted here.
    pub(crate) counters: KernelCounters,
    /// How routes are installed; `None`: not at all.
    pub(crate) fib: Option<FibConfig>,
    /// Who wants to know of links and addresses.
    pub(crate) subscribers: Vec<Subscriber>,
}

struct KernelThread {
    inbox: KernelInbox,
    rib: RibHandle,
    state: KernelState,
    fib: Option<Fib>,
    retry: Duration,
    /// Gateways failed, and groups are to be made whole again once everything is written.
    recovering: bool,
    tracker: Tracker,
    gateways: Gateways,
    comparison: Comparison,
    redistributed: Vec<RedistributeSource>,
    subscribers: Vec<Subscriber>,
    counters: KernelCounters,
}

/// Reads the kernel's state, adopts our routes, and starts both threads; says how many routes a previous run left.
///
/// # Errors
/// What the kernel refused, with what to do about it.
pub(crate) fn start(
    setup: KernelSetup,
    inbox: KernelInbox,
    handle: KernelHandle,
    rib: RibHandle,
) -> Result<(JoinHandle<()>, usize), String> {
    let (monitor, fib, state) = open(&setup).map_err(|e| e.to_string())?;
    let adopted = fib.as_ref().map_or(0, |fib| fib.counts().iter().map(|(_, c)| c.installed).sum());
    if adopted > 0 {
        tracing::info!(routes = adopted, "adopted the routes that a previous run left in the kernel");
    }
    let mut kernel = KernelThread {
        inbox,
        rib,
        state,
        fib,
        retry: IDLE,
        recovering: false,
        tracker: Tracker::default(),
        gateways: Gateways::new(monitor.filter()),
        comparison: Comparison::new(),
        redistributed: Vec::new(),
        subscribers: setup.subscribers,
        counters: setup.counters,
    };
    kernel.watch_bridges();
    kernel.tell(&[KernelEvent::Overrun]);
    let spawned = thread::Builder::new().name("netlink".into()).spawn(move || listen(monitor, &handle));
    spawned.map_err(|e| format!("cannot start the netlink thread: {e}"))?;
    let spawned = thread::Builder::new().name("kernel".into()).spawn(move || kernel.run());
    spawned.map(|thread| (thread, adopted)).map_err(|e| format!("cannot start the kernel thread: {e}"))
}

/// The monitor comes first: what happens while the state is read is heard again, and applying it twice does no harm.
fn open(setup: &KernelSetup) -> Result<(Monitor, Option<Fib>, KernelState), FibError> {
    let monitor = Monitor::open()?;
    let fib = setup.fib.clone().map(Fib::open).transpose()?;
    if let Some(fib) = &fib {
        monitor.ignore_port(fib.port())?;
    }
    let state = KernelState::load(setup.state)?;
    Ok((monitor, fib, state))
}

/// Passes the kernel's notifications on until the kernel thread is gone.
fn listen(mut monitor: Monitor, kernel: &KernelHandle) {
    loop {
        match monitor.recv(None) {
            Ok(events) => {
                if kernel.sender.send(KernelCommand::Events(events)).is_err() {
                    return;
                }
                thread::sleep(BREATH);
            }
            Err(error) => {
                tracing::error!(%error, "the kernel's notifications cannot be read; trying again");
                thread::sleep(PAUSE);
            }
        }
    }
}

/// Carries out a first command and those that follow it, as many as one turn may: what is not carried out stays where
/// `next` takes it from. `execute` adds to the number it is given how many route changes a command held; the turn ends
/// with their sum.
fn turn<T, C>(
    thread: &mut T,
    first: Option<C>,
    next: impl Fn(&mut T) -> Option<C>,
    execute: impl Fn(&mut T, C, &mut usize) -> ControlFlow<()>,
) -> ControlFlow<(), usize> {
    let (mut received, mut taken) = (0, 0);
    let mut command = first;
    while let Some(current) = command {
        execute(thread, current, &mut received)?;
        taken += 1;
        command = if taken < COMMANDS_A_TURN && received < WRITE_A_TURN { next(thread) } else { None };
    }
    ControlFlow::Continue(received)
}

impl KernelThread {
    fn run(&mut self) {
        while let Some(first) = self.wait() {
            let next = |thread: &mut Self| thread.inbox.receiver.try_recv().ok();
            let ControlFlow::Continue(received) = turn(self, first, next, Self::execute) else { return };
            self.write(received);
            if let Some(fib) = &mut self.fib {
                self.comparison.turn(fib, &self.counters);
            }
        }
    }

    /// The next command; `Some(None)` when it is time to write again, `None` when nobody is left to command.
    fn wait(&mut self) -> Option<Option<KernelCommand>> {
        let patience = match &mut self.fib {
            Some(fib) if fib.pending() > 0 && self.retry.is_zero() => Duration::ZERO,
            Some(fib) => {
                let ask = self.gateways.ask(&self.state, fib).unwrap_or(IDLE);
                ask.min(self.retry).min(self.comparison.patience(fib))
            }
            None => IDLE,
        };
        match self.inbox.receiver.recv_timeout(patience) {
            Ok(command) => Some(Some(command)),
            Err(RecvTimeoutError::Timeout) => Some(None),
            Err(RecvTimeoutError::Disconnected) => None,
        }
    }

    /// Carries out a command; adds to `received` how many route changes it took out of the queue.
    fn execute(&mut self, command: KernelCommand, received: &mut usize) -> ControlFlow<()> {
        match command {
            KernelCommand::Routes(changes) => {
                *received += changes.len();
                if let Some(fib) = &mut self.fib {
                    for change in changes {
                        let table = |number: u32| Some(number).filter(|number| *number != 0);
                        let FibUpdate { prefix, table: number, target, leaves } = change;
                        let wish = FibChange { table: table(number), prefix, target };
                        match leaves {
                            Some(from) => fib.want_moved(wish, table(from)),
                            None => fib.want(wish),
                        }
                    }
                }
            }
            KernelCommand::NextHops(requests) => self.track(requests),
            KernelCommand::Groups(moves) => {
                if let Some(fib) = &mut self.fib {
                    let moved = moves.iter().filter(|group| fib.retarget(&group.from, &group.to)).count();
                    tracing::debug!(moved, of = moves.len(), "groups go another way");
                }
            }
            KernelCommand::Events(events) => self.events(&events),
            KernelCommand::Neighbor { interface, address, mac } => self.neighbor(interface, address, mac),
            KernelCommand::Sweep => {
                let swept = self.fib.as_mut().map_or(0, Fib::sweep);
                if swept > 0 {
                    tracing::info!(
                        routes = swept,
                        "sweeping what a previous run left and nobody wants any more"
                    );
                }
            }
            KernelCommand::FailNextHops(next_hops) => self.fail(&next_hops),
            KernelCommand::Recover => self.recovering = true,
            KernelCommand::Rules(rules) => {
                if let Some(fib) = &mut self.fib {
                    fib.set_rules(rules);
                }
            }
            KernelCommand::Redistribute(kind, source) => {
                self.redistributed.retain(|s| s.kind() != kind);
                self.redistributed.extend(source.map(|s| *s));
                self.redistribute();
            }
            KernelCommand::Query(query) => {
                query(&mut View { state: &self.state, fib: self.fib.as_mut(), tracker: &self.tracker });
            }
            KernelCommand::Compare(asker) => {
                if self.fib.is_some() {
                    self.comparison.ask(asker);
                }
            }
            KernelCommand::Stop { flush } => {
                self.stop(flush);
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    }

    fn write(&mut self, received: usize) {
        let Some(fib) = &mut self.fib else { return };
        let progress = fib.write(WRITE_A_TURN);
        self.counters.writes.with_label_values(&["done"]).inc_by(progress.written as u64);
        self.counters.writes.with_label_values(&["refused"]).inc_by(progress.refused as u64);
        if progress.refused > 0 {
            tracing::warn!(routes = progress.refused, "the kernel refused routes; see `siskin fib --failed`");
        }
        self.retry = match progress.retry_after {
            Some(after) => after.min(IDLE),
            None if progress.pending > 0 => Duration::ZERO,
            None => IDLE,
        };
        if self.recovering && progress.pending == 0 {
            self.recovering = false;
            fib.restore_gateways();
            self.retry = Duration::ZERO;
        }
        if self.inbox.settle(received, &progress) {
            self.rib.wake();
        }
    }

    /// One message a group takes a lost peer out of the forwarding of all its routes.
    fn fail(&mut self, next_hops: &[NextHop]) {
        let Some(fib) = &mut self.fib else { return };
        let hops = next_hops.iter().filter_map(|n| self.state.resolve(n)).flat_map(|r| r.hops);
        let gateways: Vec<_> = hops.filter_map(|h| Some((h.interface, h.gateway?))).collect();
        let groups = fib.fail_gateways(&gateways);
        if groups > 0 {
            tracing::info!(groups, "took a lost peer's next hops out of the kernel's groups");
        }
    }

    fn track(&mut self, requests: Vec<NextHopRequest>) {
        let mut answers: Vec<(NextHop, NextHopAnswer)> = Vec::new();
        for request in requests {
            match request {
                NextHopRequest::Track(next_hop) => {
                    let found = self.tracker.register(next_hop, &self.state);
                    answers.push((next_hop, self.answer(found)));
                }
                NextHopRequest::Untrack(next_hop) => self.tracker.unregister(&next_hop),
            }
        }
        if !answers.is_empty() {
            self.rib.send_blocking(RibCommand::NextHops(answers));
        }
        self.follow();
    }

    /// With no routes to install every next hop counts as reachable: a route server or reflector need not have a way
    /// to what it passes on.
    fn answer(&self, answer: NextHopAnswer) -> NextHopAnswer {
        match answer.found {
            None if self.fib.is_none() => {
                Some(Resolution { metric: 0, hops: smallvec::SmallVec::new() }).into()
            }
            _ => answer,
        }
    }

    fn events(&mut self, events: &[KernelEvent]) {
        let silent = self.state.silent().collect();
        for event in events {
            if *event == KernelEvent::Overrun {
                self.counters.overruns.inc();
            }
            if let Err(error) = self.state.apply(event) {
                tracing::error!(%error, "cannot read the kernel's state again");
            }
            if let Some(fib) = &mut self.fib {
                fib.on_event(event);
            }
        }
        if let Some(fib) = &mut self.fib {
            self.gateways.events(events, &silent, &mut self.state, fib);
        }
        let changes = self.tracker.refresh(&self.state);
        if !changes.is_empty() {
            let changes = changes.into_iter().map(|(n, answer)| (n, self.answer(answer))).collect();
            self.rib.send_blocking(RibCommand::NextHops(changes));
        }
        self.follow();
        if events.iter().any(|e| matches!(e, KernelEvent::Link { .. } | KernelEvent::Overrun)) {
            self.watch_bridges();
        }
        self.tell(events);
        self.redistribute();
    }

    fn watch_bridges(&mut self) {
        let port = self.fib.as_ref().map_or(0, Fib::port);
        self.gateways.watch_bridges(&mut self.state, port);
    }

    fn follow(&mut self) {
        if let Some(fib) = &self.fib {
            self.gateways.follow(&mut self.tracker, &mut self.state, fib);
        }
    }

    fn tell(&mut self, events: &[KernelEvent]) {
        for subscriber in &mut self.subscribers {
            subscriber(&self.state, events);
        }
    }

    fn redistribute(&mut self) {
        for batch in self.redistributed.iter_mut().filter_map(|source| source.refresh(&self.state)) {
            self.rib.send_blocking(RibCommand::Batch(batch));
        }
    }

    fn neighbor(&mut self, interface: IfIndex, address: std::net::IpAddr, mac: Option<[u8; 6]>) {
        let Some(fib) = &mut self.fib else { return };
        let result = match mac {
            Some(mac) => fib.set_neighbor(interface, address, mac),
            None => fib.remove_neighbor(interface, address),
        };
        if let Err(error) = result {
            tracing::warn!(%address, %error, "the kernel refused a neighbour entry");
        }
    }

    fn stop(&mut self, flush: bool) {
        let Some(fib) = &mut self.fib else { return };
        if flush {
            let left = fib.flush();
            tracing::info!(left, "removed our routes from the kernel");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A queue of numbers, and what was carried out of it.
    struct Queue {
        waiting: std::ops::Range<usize>,
        done: Vec<usize>,
    }

    fn next(queue: &mut Queue) -> Option<usize> {
        queue.waiting.next()
    }

    /// What each turn carries out until the queue is empty; each command counts as `routes` changes.
    fn turns(commands: usize, routes: usize) -> Vec<Vec<usize>> {
        let mut queue = Queue { waiting: 0..commands, done: Vec::new() };
        let mut all = Vec::new();
        while let Some(first) = next(&mut queue) {
            let ended = turn(&mut queue, Some(first), next, |queue, command, received| {
                queue.done.push(command);
                *received += routes;
                ControlFlow::Continue(())
            });
            let done = std::mem::take(&mut queue.done);
            assert_eq!(ended, ControlFlow::Continue(done.len() * routes));
            all.push(done);
        }
        all
    }

    #[test]
    fn what_a_turn_takes_it_carries_out() {
        for routes in [0, 1, 100, WRITE_A_TURN, WRITE_A_TURN + 1] {
            let all = turns(1_000, routes);
            assert!(all.iter().all(|turn| turn.len() <= COMMANDS_A_TURN), "{routes} routes each");
            assert_eq!(all.concat(), (0..1_000).collect::<Vec<_>>(), "{routes} routes each");
        }
    }

    #[test]
    fn a_turn_ends_when_it_has_enough_to_write() {
        assert_eq!(turns(10, WRITE_A_TURN).len(), 10);
        assert_eq!(turns(10, WRITE_A_TURN / 2).len(), 5);
        assert_eq!(turns(COMMANDS_A_TURN + 1, 0).len(), 2);
    }

    #[test]
    fn a_command_to_stop_ends_the_turn() {
        let mut queue = Queue { waiting: 1..10, done: Vec::new() };
        let ended = turn(&mut queue, Some(0), next, |_, command, _| match command {
            3 => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        });
        assert_eq!((ended, next(&mut queue)), (ControlFlow::Break(()), Some(4)));
    }
}
