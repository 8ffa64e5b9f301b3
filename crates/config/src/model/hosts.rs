//! Times and limits of `[host-routes.INTERFACE]`.

use std::time::Duration;

use serde::Serialize;

use super::serialize;

/// `timers`: how long things take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct HostTimers {
    /// Silence after which a VM is probed.
    #[serde(serialize_with = "serialize::duration")]
    pub probe_interval: Duration,
    /// Probes without an answer after which it is gone.
    pub probe_count: u8,
    /// Time between these probes.
    #[serde(serialize_with = "serialize::duration")]
    pub probe_gap: Duration,
    /// Time between the probes that ask an owner whose address somebody else claims.
    #[serde(serialize_with = "serialize::duration")]
    pub challenge_gap: Duration,
    /// How long an address under duplicate address detection is left alone.
    #[serde(serialize_with = "serialize::duration")]
    pub candidate_wait: Duration,
    /// How long it may then take to answer.
    #[serde(serialize_with = "serialize::duration")]
    pub candidate_timeout: Duration,
    /// How long a port may be without carrier before its VM is gone.
    #[serde(serialize_with = "serialize::duration")]
    pub carrier_delay: Duration,
    /// How long entries of a previous run may go unproven.
    #[serde(serialize_with = "serialize::duration")]
    pub adopt_sweep: Duration,
    /// How long an address whose owner fell silent stays bound to it.
    #[serde(serialize_with = "serialize::duration")]
    pub forget: Duration,
    /// How long an address taken over from another router is announced elevated.
    #[serde(serialize_with = "serialize::duration")]
    pub takeover_hold: Duration,
    /// How long the neighbour entry outlives a withdrawal in favour of another router.
    #[serde(serialize_with = "serialize::duration")]
    pub linger: Duration,
    /// How long an address that moved too often stays where it is.
    #[serde(serialize_with = "serialize::duration")]
    pub freeze: Duration,
}

impl Default for HostTimers {
    fn default() -> HostTimers {
        HostTimers {
            probe_interval: Duration::from_secs(15),
            probe_count: 3,
            probe_gap: Duration::from_secs(1),
            challenge_gap: Duration::from_millis(100),
            candidate_wait: Duration::from_millis(1200),
            candidate_timeout: Duration::from_secs(2),
            carrier_delay: Duration::from_secs(1),
            adopt_sweep: Duration::from_secs(60),
            forget: Duration::from_secs(600),
            takeover_hold: Duration::from_secs(30),
            linger: Duration::from_secs(1),
            freeze: Duration::from_secs(1800),
        }
    }
}

impl HostTimers {
    /// `preset = "rdnbrd"`: its keepalive of one second and its holdtime of three.
    #[must_use]
    pub fn rdnbrd() -> HostTimers {
        let second = Duration::from_secs(1);
        HostTimers { probe_interval: second, probe_count: 2, probe_gap: second, ..HostTimers::default() }
    }
}

/// `limits`: how much one port may have and say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct HostLimits {
    /// Addresses.
    pub per_port: usize,
    /// Of these, addresses under duplicate address detection.
    pub candidates_per_port: usize,
    /// ARP and neighbour discovery frames read a second, once `burst` is used up.
    pub frames_per_second: u32,
    /// Frames read at once.
    pub burst: u32,
}

impl Default for HostLimits {
    fn default() -> HostLimits {
        HostLimits { per_port: 16, candidates_per_port: 8, frames_per_second: 50, burst: 100 }
    }
}
