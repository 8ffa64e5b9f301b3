//! A token bucket in eight bytes (the generic cell rate algorithm): what is kept is the moment at which the bucket
//! would be full again.

use std::time::Duration;

use siskin_net::Timestamp;

/// A bucket; its size and rate are arguments, so that a new configuration needs no new bucket.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Bucket {
    full_at: Timestamp,
}

impl Bucket {
    /// Takes a token if there is one: one comes back every `interval`, `burst` fit.
    pub(crate) fn take(&mut self, now: Timestamp, interval: Duration, burst: u32) -> bool {
        let full_at = self.full_at.max(now);
        let taken = full_at.since(now);
        if taken > interval.saturating_mul(burst.saturating_sub(1)) {
            return false;
        }
        self.full_at = full_at + interval;
        true
    }
}
