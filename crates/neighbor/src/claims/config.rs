//! What the operator says of one domain: an interface, and the addresses its VMs may have.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use siskin_net::{Family, NamePattern, Prefix};

use crate::Mac;

/// Who may have an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Guard {
    /// The last to speak has it. For labs: a VM can take another's address.
    Open,
    /// First come: bound to port and MAC address until the port goes, the owner was silent for
    /// [`Timers::forget`], or an operator removes it. The same MAC address on another port may take over if the owner
    /// does not answer.
    #[default]
    Pinned,
    /// As pinned, and for declared addresses alone.
    Provisioned,
}

/// A declared VM. Its addresses are accepted from its MAC address alone, whatever the guard; they stay announced
/// while its port is there, even when it answers no probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vm {
    /// Its name, for people.
    pub name: String,
    /// Its MAC address.
    pub mac: Mac,
    /// Its addresses; those outside the domain's prefixes are never announced.
    pub addresses: Vec<IpAddr>,
    /// The name of its port: what comes from another is refused.
    pub port: Option<String>,
}

/// The gateway's addresses as VMs know them: the source of probes, and never claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Gateway {
    /// Such as 169.254.0.1. Without it IPv4 addresses are not probed: they stay until their port goes.
    pub ipv4: Option<Ipv4Addr>,
    /// Such as fe80::1. Without it IPv6 addresses are not probed.
    pub ipv6: Option<Ipv6Addr>,
}

impl Gateway {
    /// Whether addresses of `family` can be probed.
    #[must_use]
    pub const fn speaks(&self, family: Family) -> bool {
        match family {
            Family::Ipv4 => self.ipv4.is_some(),
            Family::Ipv6 => self.ipv6.is_some(),
        }
    }

    /// Whether `address` is the gateway's.
    #[must_use]
    pub fn is(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(a) => self.ipv4 == Some(a),
            IpAddr::V6(a) => self.ipv6 == Some(a),
        }
    }
}

/// How long things take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timers {
    /// Silence after which an owner is probed; spread by up to an eighth to either side. Default 15 s.
    pub probe_interval: Duration,
    /// Probes without an answer after which an owner is gone. Default 3.
    pub probe_count: u8,
    /// Time between these probes. Default 1 s.
    pub probe_gap: Duration,
    /// Time between the probes that challenge an owner whose address is claimed elsewhere; as many as
    /// `probe_count`. Default 100 ms.
    pub challenge_gap: Duration,
    /// How long an address under duplicate address detection is left alone. Default 1.2 s.
    pub candidate_wait: Duration,
    /// How long it may then take to answer probes. Default 2 s.
    pub candidate_timeout: Duration,
    /// How long a port may be without carrier before its VM counts as gone. Default 1 s.
    pub carrier_delay: Duration,
    /// How long entries of a previous run may go unproven. Default 60 s.
    pub adopt_sweep: Duration,
    /// How long an address whose owner fell silent stays bound to it. Default 10 min.
    pub forget: Duration,
    /// How long an address taken over from another router is announced elevated. Default 30 s.
    pub takeover_hold: Duration,
    /// How long the neighbour entry of an address outlives a withdrawal in favour of another router, whose route has
    /// to take its place; claims within this time are in-flight frames of before. Default 1 s.
    pub linger: Duration,
    /// How long an address that moved [`MOVES`] times within [`MOVES_WITHIN`] stays where it is. Default 30 min.
    pub freeze: Duration,
}

/// So many moves of an address within [`MOVES_WITHIN`], and it is frozen (RFC 7432 section 15.1).
pub const MOVES: usize = 5;
/// See [`MOVES`].
pub const MOVES_WITHIN: Duration = Duration::from_secs(180);

impl Timers {
    /// The timers of rdnbrd as Cumulus Linux ships it: asked each second, gone after three seconds of silence.
    pub const RDNBRD: Timers = Timers {
        probe_interval: Duration::from_secs(1),
        probe_count: 2,
        probe_gap: Duration::from_secs(1),
        ..Timers::DEFAULT
    };

    const DEFAULT: Timers = Timers {
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
    };
}

impl Default for Timers {
    fn default() -> Timers {
        Timers::DEFAULT
    }
}

/// How much there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Addresses bound to one port. Default 16.
    pub per_port: usize,
    /// Of these, addresses still under duplicate address detection. Default 8.
    pub candidates_per_port: usize,
    /// Frames read from one port: so many a second once `burst` is used up. Default 50.
    pub frames_per_second: u32,
    /// Frames read from one port at once. Default 100.
    pub burst: u32,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { per_port: 16, candidates_per_port: 8, frames_per_second: 50, burst: 100 }
    }
}

/// Interfaces that patterns may have made domains of.
pub const MAX_INSTANCES: usize = 16_384;

/// Addresses in all domains together.
pub const MAX_CLAIMS: usize = 65_536;

/// One `[host-routes.INTERFACE]`.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct DomainConfig {
    /// Nothing outside these is ever learned.
    pub prefixes: Vec<Prefix>,
    /// Names of a bridge's ports that are VMs'; empty: all but those whose kind says that they lead elsewhere.
    pub ports: Vec<NamePattern>,
    /// The VLAN of the bridge that the section names. Its interface is then the bridge's device of that VLAN.
    pub vlan: Option<u16>,
    /// The gateway the VMs use.
    pub gateway: Gateway,
    /// Who may have an address.
    pub guard: Guard,
    /// Declared VMs.
    pub vms: Vec<Vm>,
    /// Times.
    pub timers: Timers,
    /// Limits.
    pub limits: Limits,
    /// Whether a declared VM whose port is named is announced as soon as that port is up, before it says anything;
    /// never one that another router announces, nor an incoming migration.
    pub announce_without_evidence: bool,
    /// Whether the filter judges what its ports send; `None`: they send what they like.
    pub filter: Option<Filter>,
}

/// How a domain's ports are filtered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Filter {
    /// Whether the ports of a bridge are kept apart from each other.
    pub isolate: bool,
}

impl DomainConfig {
    /// Whether a VM may ever have `address`: inside the prefixes, a host's address, and not the gateway's.
    #[must_use]
    pub fn permits(&self, address: IpAddr) -> bool {
        is_host_address(address)
            && !self.gateway.is(address)
            && self.prefixes.iter().any(|prefix| prefix.contains(address))
    }
}

/// Whether an address could be a VM's in any domain: not unspecified, loopback, link-local, multicast or broadcast,
/// nor an IPv4 address in IPv6 clothes.
#[must_use]
pub fn is_host_address(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(a) => {
            let [first, ..] = a.octets();
            first != 0 && !a.is_loopback() && !a.is_link_local() && first < 224
        }
        IpAddr::V6(a) => {
            !a.is_unspecified()
                && !a.is_loopback()
                && !a.is_multicast()
                && !a.is_unicast_link_local()
                && a.to_ipv4_mapped().is_none()
        }
    }
}
