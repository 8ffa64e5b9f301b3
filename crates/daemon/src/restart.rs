//! Our own restart (RFC 4724 section 4.1): whether the kernel still has the routes of a previous run, and how long the RIB
//! holds its decisions back for the tables of the peers that kept ours.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use siskin_net::Timestamp;

/// A peer without a session by then is not waited for: our own attempts to reach it are seconds apart.
pub(crate) const SESSIONS: Duration = Duration::from_secs(30);
/// Local routes, host routes above all, have this long to be announced again before the peers are told that they were.
const LOCAL_ROUTES: Duration = Duration::from_secs(1);

/// What is known of our restart.
#[derive(Debug)]
pub(crate) struct Restart {
    started: Timestamp,
    /// The kernel has routes of a previous run, and forwards by them.
    adopted: bool,
    /// Nobody is waited for any more.
    over: AtomicBool,
}

impl Restart {
    /// `adopted`: routes of a previous run were found in the kernel.
    pub(crate) fn new(started: Timestamp, adopted: bool) -> Restart {
        Restart { started, adopted, over: AtomicBool::new(!adopted) }
    }

    /// Whether forwarding outlived the restart.
    pub(crate) fn is_preserved(&self) -> bool {
        self.adopted
    }

    /// Whether peers are still waited for.
    pub(crate) fn is_under_way(&self) -> bool {
        !self.over.load(Ordering::Acquire)
    }

    /// How long ago the start was.
    pub(crate) fn age(&self, now: Timestamp) -> Duration {
        now.since(self.started)
    }

    /// Looks whether the wait is over: nobody is `awaited`, or `longest` has gone by. True once, when it is.
    pub(crate) fn ends(&self, now: Timestamp, awaited: &[String], longest: Duration) -> bool {
        let age = self.age(now);
        let done = awaited.is_empty() && age >= LOCAL_ROUTES || age >= longest;
        done && !self.over.swap(true, Ordering::AcqRel)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp(1_000_000);
    const LONGEST: Duration = Duration::from_secs(120);

    fn after(seconds: u64) -> Timestamp {
        START + Duration::from_secs(seconds)
    }

    #[test]
    fn a_restart_waits_for_peers_or_the_deadline() {
        let restart = Restart::new(START, true);
        assert!(restart.is_under_way() && restart.is_preserved());
        assert!(!restart.ends(START, &[], LONGEST), "local routes are not there yet");
        assert!(!restart.ends(after(119), &["slow".into()], LONGEST));
        assert!(restart.ends(after(5), &[], LONGEST));
        assert!(!restart.ends(after(6), &[], LONGEST), "once");
        assert!(!restart.is_under_way());
        let late = Restart::new(START, true);
        assert!(late.ends(after(120), &["slow".into()], LONGEST));
    }

    #[test]
    fn a_first_start_waits_for_nobody() {
        let first = Restart::new(START, false);
        assert!(!first.is_under_way() && !first.is_preserved());
        assert!(!first.ends(after(200), &[], LONGEST));
    }
}
