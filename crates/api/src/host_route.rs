//! `GET /v1/host-routes`: addresses of virtual machines on this host's interfaces.

use std::net::IpAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Interfaces of `[host-routes.*]` and the addresses seen on them.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct HostRoutes {
    /// Each interface of the configuration.
    pub interfaces: Vec<HostRouteInterface>,
    /// Each address, by interface and address.
    pub routes: Vec<HostRoute>,
    /// The last 20 moves of addresses, the oldest first.
    #[serde(default)]
    pub history: Vec<HostRouteMove>,
}

/// What happened to an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HostRouteMoveKind {
    /// It went from one port to another here.
    Moved,
    /// It came from another router.
    TakenOver,
    /// It went to another router.
    Yielded,
    /// Its VM is alive here, and another router announces it too.
    Duplicate,
    /// It moved between routers too often.
    Frozen,
}

/// A move of an address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HostRouteMove {
    /// Seconds since then.
    pub age_s: u64,
    /// The interface of the configuration.
    pub interface: String,
    /// The address.
    pub address: IpAddr,
    /// The MAC address of its VM, as known here.
    pub mac: String,
    /// What happened.
    pub kind: HostRouteMoveKind,
    /// The BGP Identifier of the other router.
    pub originator: Option<String>,
    /// The sequence number after it.
    pub sequence: u32,
}

/// One interface of `[host-routes.*]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HostRouteInterface {
    /// Its name.
    pub name: String,
    /// Whether it exists now; if not it is waited for.
    pub present: bool,
    /// Ports that are watched.
    pub ports: u64,
    /// Addresses that are announced.
    pub active: u64,
    /// Claims that were not believed since the start: wrong port or MAC, outside the prefixes, over a limit.
    pub refused: u64,
    /// `open`, `pinned` or `provisioned`.
    pub guard: String,
}

/// Where a claim to an address stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HostRouteState {
    /// Declared and not heard, or released by the operator.
    Standby,
    /// Seen, not announced yet.
    Candidate,
    /// Announced.
    Active,
    /// Announced, and being probed.
    Verify,
    /// Withdrawn: another router announces it.
    Moved,
    /// Withdrawn: its VM is silent, or its port is down.
    Gone,
    /// It moved between routers too often and stays where it is for a while.
    Frozen,
}

/// An address of a virtual machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HostRoute {
    /// The interface of the configuration.
    pub interface: String,
    /// The address.
    pub address: IpAddr,
    /// The MAC address, like `52:02:45:76:d2:35`.
    pub mac: String,
    /// The port it is behind: a tap or veth, or the interface itself.
    pub port: String,
    /// The VM's name, where it is declared.
    pub vm: Option<String>,
    /// Where its claim stands.
    pub state: HostRouteState,
    /// Whether it is announced by BGP.
    pub announced: bool,
    /// Seconds since it came to this port.
    pub age_s: u64,
    /// What was last heard of it, like `arp-request`, `neighbor-advertisement`.
    pub evidence: Option<String>,
    /// Seconds since then.
    pub evidence_age_s: Option<u64>,
    /// Probes without an answer.
    pub probes: u32,
    /// How often the address moved between hypervisors, as its route says.
    pub sequence: u32,
    /// Whether its route is to be preferred for a while, since it was just taken over.
    pub elevated: bool,
    /// Whether its VM is about to move away, as somebody said.
    pub leaving: bool,
    /// Times it moved from port to port here.
    pub moves: u64,
    /// What another router announces for the address, if one does.
    pub remote: Option<RemoteRoute>,
}

/// A route to an address of ours that another router announces.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RemoteRoute {
    /// The BGP Identifier of who announces it, like `192.0.2.10`.
    pub originator: String,
    /// Its sequence number; the higher one is right, of equal ones that of the lower identifier.
    pub sequence: u32,
}

/// What is declared of an address with `PUT /v1/host-routes/{interface}/{address}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HostRouteRequest {
    /// The VM's MAC address: the address is accepted from no other.
    pub mac: String,
    /// The name of its port; absent: any port of the interface.
    #[serde(default)]
    pub port: Option<String>,
    /// The VM's name, for people; absent: its MAC address.
    #[serde(default)]
    pub name: Option<String>,
    /// The VM is still on another hypervisor and about to come: nothing is asked or announced before it is heard here.
    #[serde(default)]
    pub standby: bool,
}
