//! `GET /v1/status`: the daemon at a glance.

use std::net::Ipv4Addr;
use std::ops::{Index, IndexMut};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use siskin_net::{Asn, Family};

use crate::{KernelMode, schema};

/// One value for each address family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct PerFamily<T> {
    /// IPv4 unicast.
    pub ipv4: T,
    /// IPv6 unicast.
    pub ipv6: T,
}

impl<T> PerFamily<T> {
    /// Builds the value of each family with `make`.
    pub fn from_fn(mut make: impl FnMut(Family) -> T) -> Self {
        PerFamily { ipv4: make(Family::Ipv4), ipv6: make(Family::Ipv6) }
    }
}

impl<T> Index<Family> for PerFamily<T> {
    type Output = T;
    fn index(&self, family: Family) -> &T {
        match family {
            Family::Ipv4 => &self.ipv4,
            Family::Ipv6 => &self.ipv6,
        }
    }
}

impl<T> IndexMut<Family> for PerFamily<T> {
    fn index_mut(&mut self, family: Family) -> &mut T {
        match family {
            Family::Ipv4 => &mut self.ipv4,
            Family::Ipv6 => &mut self.ipv6,
        }
    }
}

/// The daemon at a glance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Status {
    /// The daemon's version, like `0.1.0`.
    pub version: String,
    /// Our AS number.
    #[schemars(with = "schema::Asn")]
    pub asn: Asn,
    /// Our BGP Identifier.
    pub router_id: Ipv4Addr,
    /// The machine's name.
    pub hostname: Option<String>,
    /// Seconds since the daemon started.
    pub uptime_s: u64,
    /// Whether every gate is open: the daemon may be given traffic.
    pub ready: bool,
    /// What readiness depends on.
    pub gates: Vec<Gate>,
    /// Sessions, counted.
    pub peers: PeerCounts,
    /// The routing table.
    pub rib: PerFamily<RibCounts>,
    /// The kernel's table, as far as it is ours.
    pub fib: PerFamily<FibCounts>,
    /// How routes go to the kernel; `null`: they do not.
    pub kernel: Option<KernelMode>,
    /// Host routes that are announced.
    pub host_routes: u64,
    /// The configuration in force.
    pub config: ConfigState,
}

/// One condition of readiness.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Gate {
    /// A stable word, like `initial_tables` or `kernel`.
    pub name: String,
    /// Whether the condition holds.
    pub open: bool,
    /// What it waits for, or that it is done.
    pub text: String,
}

/// Sessions, counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct PeerCounts {
    /// In the configuration, or accepted by a dynamic peer.
    pub configured: u64,
    /// In state Established.
    pub established: u64,
}

/// The routing table of one family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct RibCounts {
    /// Prefixes with at least one path.
    pub prefixes: u64,
    /// Paths, rejected ones included.
    pub paths: u64,
}

/// Our routes in the kernel, of one family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct FibCounts {
    /// The kernel has them.
    pub installed: u64,
    /// Still to be written.
    pub pending: u64,
    /// The kernel refused them; they are tried again.
    pub failed: u64,
}

/// The configuration in force.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct ConfigState {
    /// The main file.
    pub file: String,
    /// Counts up with each configuration that came into force; 1 at the start.
    pub generation: u64,
    /// Seconds since it came into force.
    pub age_s: u64,
    /// Warnings it gave.
    pub warnings: u64,
    /// Why the last reload failed, when it did: the configuration before it stays in force.
    pub last_error: Option<String>,
}
