//! How often PeeringDB may be asked: so many queries in any minute, and a pause between two. Time is an argument.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

const MINUTE: Duration = Duration::from_secs(60);

/// What is allowed, and what was used of it.
#[derive(Debug)]
pub(crate) struct Pace {
    /// Queries in the last minute, oldest first.
    recent: VecDeque<Instant>,
    between: Duration,
    /// Nothing before this, because PeeringDB said so.
    not_before: Option<Instant>,
}

impl Pace {
    /// `between`: the pause between two queries.
    pub(crate) fn new(between: Duration) -> Pace {
        Pace { recent: VecDeque::new(), between, not_before: None }
    }

    /// When the next query may go out, given so many in a minute.
    pub(crate) fn next(&mut self, now: Instant, a_minute: usize) -> Instant {
        self.forget(now);
        let after_last = self.recent.back().map(|last| *last + self.between);
        let over = self.recent.len().saturating_sub(a_minute.max(1) - 1);
        let room = over.checked_sub(1).and_then(|n| self.recent.get(n)).map(|oldest| *oldest + MINUTE);
        [Some(now), after_last, room, self.not_before].into_iter().flatten().max().unwrap_or(now)
    }

    /// A query went out.
    pub(crate) fn used(&mut self, now: Instant) {
        self.recent.push_back(now);
    }

    /// Asks nothing for `wait`.
    pub(crate) fn hold(&mut self, now: Instant, wait: Duration) {
        self.not_before = self.not_before.max(now.checked_add(wait));
    }

    /// How many went out in the last minute.
    pub(crate) fn last_minute(&mut self, now: Instant) -> usize {
        self.forget(now);
        self.recent.len()
    }

    fn forget(&mut self, now: Instant) {
        while self.recent.front().is_some_and(|t| now.duration_since(*t) >= MINUTE) {
            self.recent.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PAUSE: Duration = Duration::from_secs(2);

    #[test]
    fn a_hold_is_kept() {
        let now = Instant::now();
        let mut pace = Pace::new(PAUSE);
        assert_eq!(pace.next(now, 20), now);
        pace.hold(now, Duration::from_secs(90));
        pace.hold(now, Duration::from_secs(60));
        assert_eq!(pace.next(now, 20), now + Duration::from_secs(90));
    }

    proptest! {
        #[test]
        fn no_minute_has_more_than_its_share(steps in prop::collection::vec(0u64..5000, 1..120), share in 1usize..25) {
            let mut now = Instant::now();
            let mut pace = Pace::new(PAUSE);
            let mut sent: Vec<Instant> = Vec::new();
            for step in steps {
                now = pace.next(now + Duration::from_millis(step), share);
                if let Some(last) = sent.last() {
                    prop_assert!(now - *last >= PAUSE);
                }
                pace.used(now);
                sent.push(now);
                let minute = sent.iter().filter(|t| now - **t < MINUTE).count();
                prop_assert!(minute <= share, "{} in a minute", minute);
                prop_assert_eq!(pace.last_minute(now), minute);
            }
        }
    }
}
