//! All that the kernel told, our own changes too, in its order: for the reader of a test that failed.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use siskin_fib::{KernelEvent, Monitor};
use siskin_net::Prefix;

/// So many of the last events are printed.
const SHOWN: usize = 40;

/// Events with the time they were read at.
type Log = Vec<(Instant, KernelEvent)>;

/// A listener on a thread of its own, in the namespace of the thread that starts it.
pub(crate) struct History {
    stop: Arc<AtomicBool>,
    log: Arc<Mutex<Log>>,
    port: u32,
}

impl History {
    /// Listens from now on; `port` is the writer's whose changes are called ours.
    pub(crate) fn start(port: u32) -> History {
        let mut monitor = Monitor::open().unwrap();
        let history = History { stop: Arc::default(), log: Arc::default(), port };
        let (log, stop) = (history.log.clone(), history.stop.clone());
        std::thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                let events = monitor.recv(Some(Duration::from_millis(100))).unwrap();
                log.lock().unwrap().extend(events.into_iter().map(|event| (Instant::now(), event)));
            }
        });
        history
    }

    /// Prints what was told of a prefix, and of links and next-hop objects besides.
    pub(crate) fn print(&self, prefix: Prefix) {
        let log = self.log.lock().unwrap();
        let Some((start, _)) = log.first() else { return };
        let told = log.iter().zip(0..).filter_map(|((at, event), number)| {
            let text = self.text(event, prefix)?;
            Some(format!("    {number:6} {:9.6} {text}", (*at - *start).as_secs_f64()))
        });
        let lines: Vec<String> = told.collect();
        for line in &lines[lines.len().saturating_sub(SHOWN)..] {
            println!("{line}");
        }
    }

    fn text(&self, event: &KernelEvent, prefix: Prefix) -> Option<String> {
        match event {
            KernelEvent::Route { route, deleted, replaced, port } if route.prefix == prefix => {
                let who = if *port == self.port { "ours" } else { "theirs" };
                Some(format!("{who}: deleted {deleted}, replaced {replaced}, {route:?}"))
            }
            KernelEvent::Link { link, deleted } => {
                Some(format!("link {}: usable {}, deleted {deleted}", link.index, link.usable()))
            }
            KernelEvent::NextHop { .. } | KernelEvent::NextHopDeleted { .. } | KernelEvent::Overrun => {
                Some(format!("{event:?}"))
            }
            _ => None,
        }
    }
}

impl Drop for History {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}
