//! The link layer: which VM owns which address, learned from the ARP and neighbour discovery it speaks.
//!
//! Four rooms. [`frame`] reads and builds Ethernet, ARP, RARP and neighbour discovery frames; [`claims`] is the
//! machine that decides who owns an address; both are pure: bytes and time are arguments. [`snoop`] holds the packet
//! sockets, and [`engine`] joins the three to the [`engine::HostRoutes`] that the daemon's thread turns. Left out:
//! the kernel's routes and neighbour entries (they are asked for as [`engine::Action`]s), BGP, nftables.

pub mod claims;
pub mod engine;
pub mod frame;
mod mac;
pub mod snoop;

pub use claims::{
    DeclareError, DomainConfig, EvidenceKind, Gateway, Guard, Limits, Mobility, MoveCounters, MoveRecord,
    Refusal, Remote, SavedBinding, StateName, Timers, Vm, binding_of,
};
pub use engine::{
    Action, Adopted, HostRoute, HostRoutes, Latency, LinkInfo, Notice, NoticeKind, PortStatus, Statistics,
};
pub use mac::{Mac, ParseMacError};
pub use snoop::Waker;
