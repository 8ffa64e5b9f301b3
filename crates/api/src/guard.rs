//! `GET /v1/guard`: what VM ports were refused, and what their filter dropped.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The guard of every VM port.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct GuardView {
    /// The filter as a whole.
    pub filter: FilterView,
    /// What the filter dropped, by reason, all ports together; reasons that dropped nothing are there, too.
    pub dropped: Vec<GuardDrops>,
    /// Each port of an interface with host routes, by interface and name.
    pub ports: Vec<GuardPort>,
}

/// The nftables rules of VM ports.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct FilterView {
    /// Where its rules are.
    pub state: FilterState,
    /// Why they are not in the kernel, or not as they should be.
    pub error: Option<String>,
    /// Times somebody else's change was undone since the start.
    pub mended: u64,
    /// Transactions since the start.
    pub transactions: u64,
}

/// Where the filter's rules are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FilterState {
    /// No interface has `filter = true`, or none of those is there.
    #[default]
    Off,
    /// In the kernel.
    Installed,
    /// Removed by hand, until the configuration is applied again.
    Removed,
    /// Not in the kernel, though they should be.
    Failed,
}

/// Frames that were dropped for a reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GuardDrops {
    /// The reason, like `source-mac`.
    pub reason: String,
    /// Frames.
    pub packets: u64,
    /// Their octets.
    pub bytes: u64,
}

/// Claims that were not believed for a reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GuardRefusals {
    /// The reason, like `wrong-mac`.
    pub reason: String,
    /// Frames.
    pub frames: u64,
}

/// One port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GuardPort {
    /// Its name.
    pub port: String,
    /// The interface of the configuration it belongs to.
    pub interface: String,
    /// Up, with carrier.
    pub up: bool,
    /// Whether the filter judges it.
    pub filtered: bool,
    /// Addresses bound to it.
    pub addresses: Vec<std::net::IpAddr>,
    /// ARP and neighbour-discovery frames that were read.
    pub frames: u64,
    /// Times it sent more of them than are read.
    pub throttled: u64,
    /// Router advertisements among them.
    pub router_advertisements: u64,
    /// Claims that were not believed, by reason; reasons without any are left out.
    pub refused: Vec<GuardRefusals>,
    /// What the filter dropped of it, by reason; reasons without any are left out.
    pub dropped: Vec<GuardDrops>,
}
