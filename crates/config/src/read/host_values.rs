//! `timers` and `limits` of `[host-routes.INTERFACE]`: what is not given is as in the preset.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::{Section, Value};
use crate::diagnostic::Report;
use crate::model::{HostLimits, HostTimers};

/// `preset`.
pub(crate) fn preset(value: Value<'_>, report: &mut Report) -> Option<HostTimers> {
    value.word(&[("rdnbrd", HostTimers::rdnbrd())], report)
}

/// `timers`, beginning with those of the preset.
pub(crate) fn timers(value: Value<'_>, base: HostTimers, report: &mut Report) -> Option<HostTimers> {
    const SHORT: RangeInclusive<Duration> = Duration::from_millis(10)..=Duration::from_secs(60);
    const SOME: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(300);
    const LONG: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(30 * 86_400);
    let mut section = Section::new(value, "timers", value.at, report)?;
    let mut timers = base;
    let mut time = |key, range: RangeInclusive<Duration>, slot: &mut Duration| {
        if let Some(time) = section.get(key, report, |v, r| v.duration(range, r)) {
            *slot = time.value;
        }
    };
    time("probe-interval", LONG, &mut timers.probe_interval);
    time("probe-gap", SHORT, &mut timers.probe_gap);
    time("challenge-gap", SHORT, &mut timers.challenge_gap);
    time("candidate-wait", SOME, &mut timers.candidate_wait);
    time("candidate-timeout", SHORT, &mut timers.candidate_timeout);
    time("carrier-delay", SOME, &mut timers.carrier_delay);
    time("adopt-sweep", LONG, &mut timers.adopt_sweep);
    time("forget", LONG, &mut timers.forget);
    time("takeover-hold", LONG, &mut timers.takeover_hold);
    time("linger", SHORT, &mut timers.linger);
    time("freeze", LONG, &mut timers.freeze);
    if let Some(count) = section.get("probe-count", report, |v, r| v.integer(1..=20, r)) {
        timers.probe_count = count.value;
    }
    section.finish(report);
    Some(timers)
}

/// `limits`.
pub(crate) fn limits(value: Value<'_>, report: &mut Report) -> Option<HostLimits> {
    let mut section = Section::new(value, "limits", value.at, report)?;
    let mut limits = HostLimits::default();
    for (key, slot) in
        [("per-port", &mut limits.per_port), ("candidates-per-port", &mut limits.candidates_per_port)]
    {
        *slot = section.get(key, report, |v, r| v.integer(1..=4096, r)).map_or(*slot, |n| n.value);
    }
    for (key, slot) in [("frames-per-second", &mut limits.frames_per_second), ("burst", &mut limits.burst)] {
        *slot = section.get(key, report, |v, r| v.integer(1..=100_000, r)).map_or(*slot, |n| n.value);
    }
    section.finish(report);
    Some(limits)
}
