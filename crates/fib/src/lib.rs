//! Everything between the daemon and the kernel's routing, by netlink: synchronous, on the caller's threads.
//!
//! - [`Monitor`] tells what changes, as [`KernelEvent`]s.
//! - [`KernelState`] mirrors links, addresses and the routes of others; it resolves BGP next hops, and a [`Tracker`]
//!   turns its changes into differences.
//! - [`Fib`] owns our routes, next-hop objects and neighbour entries.
//!
//! The order at the start: open the [`Monitor`], then [`Fib::open`], [`Monitor::ignore_port`] with [`Fib::port`], then
//! [`KernelState::load`]; then hand every event to both.

mod channel;
mod error;
mod event;
mod fib;
mod monitor;
mod os;
mod state;
mod tracker;
mod wire;

pub use error::{FibError, KernelError};
pub use event::{KernelEvent, KernelRoute};
pub use fib::{
    Difference, DifferenceKind, Fib, FibChange, FibCheck, FibConfig, FibCounts, InstalledRoute,
    NextHopObject, OurNeighbor, ResilientGroups, RouteState, WriteProgress,
};
pub use monitor::{Monitor, MonitorFilter};
pub use state::{Connected, KernelState, StateConfig};
pub use tracker::Tracker;
pub use wire::link::{BridgeNote, InterfaceAddress, Link};
pub use wire::neighbor::KernelNeighbor;
pub use wire::nexthop::{KernelNextHop, NextHopKind};
pub use wire::route::{MAIN_TABLE, RouteKind};
pub use wire::rule::PolicyRule;

/// Our number among the route protocols (`rtm_protocol`, `nh_protocol`, `NDA_PROTOCOL`): free in iproute2's list.
pub const PROTOCOL: u8 = 201;
/// Where our range of next-hop ids starts unless configured: 2,010,000,000, far from the kernel's own, which count
/// from 1, and easy to tell in `ip nexthop`.
pub const DEFAULT_NEXTHOP_ID_BASE: u32 = 2_010_000_000;
/// How many next-hop ids our range holds.
pub const NEXTHOP_IDS: u32 = 1 << 24;
