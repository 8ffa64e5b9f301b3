//! The timers of RFC 8210 section 6: what the cache says, within bounds, unless the configuration says otherwise.

use std::time::Duration;

use crate::wire;

/// What the configuration sets; the default leaves RFC 8210's timers to the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timers {
    /// From one answer to the next Serial Query; `None`: as the cache says, else 3600 s.
    pub refresh: Option<Duration>,
    /// The longest pause between failed attempts, which start at 1 s and double; `None`: as the cache says, else 600 s.
    pub retry: Option<Duration>,
    /// How long a cache's data live without an answer; `None`: as the cache says, else 7200 s.
    pub expire: Option<Duration>,
    /// How long a connection may take to come about.
    pub connect: Duration,
    /// How long a cache may be silent after a query or within an answer.
    pub response: Duration,
    /// How long a whole answer may take.
    pub payload: Duration,
    /// The age at which the file of the last good data is refused.
    pub persisted: Duration,
    /// How long that file counts beside the first caches that answer, until all have.
    pub grace: Duration,
    /// The shortest time from one writing of that file to the next.
    pub persist_every: Duration,
    /// How often the SLURM file is looked at.
    pub slurm_poll: Duration,
}

impl Default for Timers {
    fn default() -> Self {
        Timers {
            refresh: None,
            retry: None,
            expire: None,
            connect: Duration::from_secs(10),
            response: Duration::from_secs(30),
            payload: Duration::from_secs(600),
            persisted: Duration::from_secs(48 * 3600),
            grace: Duration::from_secs(60),
            persist_every: Duration::from_secs(60),
            slurm_poll: Duration::from_secs(3),
        }
    }
}

/// The three timers in force for one cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Intervals {
    /// From one answer to the next question.
    pub(crate) refresh: Duration,
    /// The longest pause between failed attempts.
    pub(crate) retry: Duration,
    /// How long data live without an answer.
    pub(crate) expire: Duration,
}

/// Lower bound, default and upper bound in seconds (RFC 8210 section 6).
const REFRESH: (u64, u64, u64) = (1, 3600, 86400);
const RETRY: (u64, u64, u64) = (1, 600, 7200);
const EXPIRE: (u64, u64, u64) = (600, 7200, 172_800);

impl Intervals {
    /// The configuration's, else the cache's within the bounds, else the defaults. Data never expire before the next
    /// question is due: RFC 8210 wants the expire interval above the others.
    pub(crate) fn of(sent: Option<wire::Intervals>, timers: &Timers) -> Intervals {
        let choose =
            |set: Option<Duration>, sent: Option<Duration>, (low, default, high): (u64, u64, u64)| {
                let bounded = |d: Duration| d.clamp(Duration::from_secs(low), Duration::from_secs(high));
                set.unwrap_or_else(|| sent.map_or(Duration::from_secs(default), bounded))
            };
        let refresh = choose(timers.refresh, sent.map(|s| s.refresh), REFRESH);
        let retry = choose(timers.retry, sent.map(|s| s.retry), RETRY);
        let expire = choose(timers.expire, sent.map(|s| s.expire), EXPIRE);
        Intervals { refresh: refresh.min(expire / 2), retry: retry.min(expire / 2), expire }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn the_cache_decides_within_bounds_and_the_configuration_above_it() {
        let none = Timers::default();
        let of = |refresh, retry, expire| {
            Some(wire::Intervals { refresh: s(refresh), retry: s(retry), expire: s(expire) })
        };
        let is =
            |refresh, retry, expire| Intervals { refresh: s(refresh), retry: s(retry), expire: s(expire) };
        assert_eq!(Intervals::of(None, &none), is(3600, 600, 7200));
        assert_eq!(Intervals::of(of(900, 90, 172_800), &none), is(900, 90, 172_800));
        assert_eq!(Intervals::of(of(0, 0, 0), &none), is(1, 1, 600));
        let huge = u64::from(u32::MAX);
        assert_eq!(Intervals::of(of(huge, huge, huge), &none), is(86_400, 7200, 172_800));
        assert_eq!(Intervals::of(of(7200, 600, 7200), &none), is(3600, 600, 7200));
        let set = Timers { refresh: Some(s(5)), expire: Some(s(20)), ..none };
        assert_eq!(Intervals::of(of(900, 90, 7200), &set), is(5, 10, 20));
    }
}
