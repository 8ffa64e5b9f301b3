//! Comparing wanted and kernel: every ten minutes, and whenever somebody asks; in slices between the thread's other work.

use std::time::{Duration, Instant};

use siskin_fib::{Fib, FibCheck};
use tokio::sync::oneshot;

use crate::metrics::KernelCounters;

/// How often the thread compares by itself.
const EVERY: Duration = Duration::from_secs(600);
/// Netlink datagrams read in a turn: about a thousand routes, a millisecond.
const DATAGRAMS: usize = 4;
/// After a comparison that found something, the next one comes sooner: something is at work there.
const SOONER: Duration = Duration::from_secs(60);

/// How often the neighbour entries of VMs are compared: they are few, and one that is missing cuts a VM off.
const NEIGHBORS_EVERY: Duration = Duration::from_secs(30);

/// Where an asker waits for the result; nothing comes if the comparison failed.
pub(crate) type Asker = oneshot::Sender<FibCheck>;

/// When to compare next, and for whom.
pub(super) struct Comparison {
    due: Instant,
    neighbors_due: Instant,
    /// Those who asked since the comparison under way began: they want a fresh one.
    waiting: Vec<Asker>,
    serving: Vec<Asker>,
}

impl Comparison {
    /// The first comparison comes after the usual time.
    pub(super) fn new() -> Comparison {
        let now = Instant::now();
        let neighbors_due = now + NEIGHBORS_EVERY;
        Comparison { due: now + EVERY, neighbors_due, waiting: Vec::new(), serving: Vec::new() }
    }

    /// Somebody wants to know.
    pub(super) fn ask(&mut self, asker: Asker) {
        self.waiting.push(asker);
    }

    /// How long the thread may rest.
    pub(super) fn patience(&self, fib: &Fib) -> Duration {
        if fib.is_checking() || !self.waiting.is_empty() {
            return Duration::ZERO;
        }
        self.due.min(self.neighbors_due).saturating_duration_since(Instant::now())
    }

    /// Starts or goes on, if it is time to.
    pub(super) fn turn(&mut self, fib: &mut Fib, counters: &KernelCounters) {
        if Instant::now() >= self.neighbors_due {
            self.compare_neighbors(fib, counters);
        }
        if !self.patience(fib).is_zero() {
            return;
        }
        let result = if fib.is_checking() {
            fib.check_slice(DATAGRAMS)
        } else {
            self.serving = std::mem::take(&mut self.waiting);
            fib.begin_check().map(|()| None)
        };
        match result {
            Ok(None) => {}
            Ok(Some(found)) => self.conclude(&found, counters),
            Err(error) => {
                tracing::warn!(%error, "comparing our routes with the kernel's failed");
                self.serving.clear();
                self.due = Instant::now() + EVERY;
            }
        }
    }

    fn compare_neighbors(&mut self, fib: &mut Fib, counters: &KernelCounters) {
        self.neighbors_due = Instant::now() + NEIGHBORS_EVERY;
        match fib.compare_neighbors() {
            Ok(0) => {}
            Ok(different) => {
                counters.differences.inc_by(different as u64);
                tracing::warn!(different, "neighbour entries differed from what is wanted; they are mended");
            }
            Err(error) => tracing::warn!(%error, "comparing our neighbour entries with the kernel's failed"),
        }
    }

    fn conclude(&mut self, found: &FibCheck, counters: &KernelCounters) {
        counters.checks.inc();
        counters.differences.inc_by((found.different + found.objects) as u64);
        let differs = found.different + found.objects > 0;
        self.due = Instant::now() + if differs { SOONER } else { EVERY };
        if differs {
            let (routes, objects) = (found.different, found.objects);
            let first = found.differences.first().map(|d| format!("{} ({:?})", d.prefix, d.kind));
            tracing::warn!(routes, objects, ?first, "the kernel differed from what is wanted; it is mended");
        }
        for asker in self.serving.drain(..) {
            drop(asker.send(found.clone()));
        }
    }
}
