//! The process's clock: pure code gets [`Timestamp`]s that count from the start of the daemon.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use siskin_net::Timestamp;

static ORIGIN: OnceLock<Instant> = OnceLock::new();

/// How far the origin lies before the start, so that 'a while ago' is never before zero.
const HEAD_START: Duration = Duration::from_secs(1);

fn origin() -> Instant {
    *ORIGIN.get_or_init(Instant::now)
}

/// Now, in microseconds since about the start of the daemon.
pub(crate) fn now() -> Timestamp {
    Timestamp(0) + HEAD_START + origin().elapsed()
}

/// The [`Instant`] of a timestamp, for the timers of the runtime.
pub(crate) fn instant(at: Timestamp) -> Instant {
    origin() + at.since(Timestamp(0) + HEAD_START)
}

/// A number nobody can foresee, for the hashes whose keys peers choose.
pub(crate) fn random_seed() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(0u64)
}

/// Unix time in milliseconds.
pub(crate) fn unix_ms() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX))
}
