//! When to ask again: pure arithmetic, the random part an argument.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

/// The first wait after a failure.
const FIRST: Duration = Duration::from_secs(30);
/// The longest wait after failures.
const LONGEST: Duration = Duration::from_secs(3600);

/// The wait after the `failures`th failure in a row (from 1): doubled each time, never longer than a refresh.
pub(crate) fn after_failures(failures: u32, refresh: Duration) -> Duration {
    let doubled = FIRST.saturating_mul(1 << failures.saturating_sub(1).min(10));
    doubled.min(LONGEST).min(refresh)
}

/// `wait` with up to a tenth added or taken off, so that routers that were started together do not ask together.
pub(crate) fn jittered(wait: Duration, random: u64) -> Duration {
    // 0 ..= 2000 thousandths of a tenth.
    let part = u32::try_from(random % 2001).unwrap_or(1000);
    wait - wait / 10 + wait / 10_000 * part
}

/// A number nobody can guess; the hasher's keys are random.
pub(crate) fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_limit() {
        let day = Duration::from_secs(86_400);
        let waits: Vec<u64> = [1, 2, 3, 7, 8, 40].iter().map(|n| after_failures(*n, day).as_secs()).collect();
        assert_eq!(waits, [30, 60, 120, 1920, 3600, 3600]);
        assert_eq!(after_failures(9, Duration::from_secs(60)).as_secs(), 60);
    }

    #[test]
    fn jitter_is_a_tenth_either_way() {
        let hour = Duration::from_secs(3600);
        assert_eq!(jittered(hour, 0), Duration::from_secs(3240));
        assert_eq!(jittered(hour, 1000), hour);
        assert_eq!(jittered(hour, 2000), Duration::from_secs(3960));
        assert!((0..50).map(|_| random()).collect::<std::collections::BTreeSet<_>>().len() > 1);
    }
}
