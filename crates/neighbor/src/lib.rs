//! The link layer: which VM owns which address, learned from the ARP and neighbour discovery it speaks.
//!
//! Five rooms. [`frame`] reads and builds Ethernet, ARP, RARP and neighbour discovery frames; [`claims`] is the
//! machine that decides who owns an address; both are pure: bytes and time are arguments. [`guard`] writes the filter of what ports may send, as text for
//! nftables, and is pure too. [`snoop`] holds the packet sockets, and [`engine`] joins the three to the [`engine::HostRoutes`] that the daemon's thread turns. Left out:
//! the kernel's routes and neighbour entries (they are asked for as [`engine::Action`]s), BGP, running `nft`.

pub mod claims;
pub mod engine;
pub mod frame;
pub mod guard;
mod mac;
pub mod snoop;

pub use claims::{
    DeclareError, DomainConfig, EvidenceKind, Filter, Gateway, Guard, Limits, Mobility, MoveCounters,
    MoveRecord, Refusal, Remote, SavedBinding, StateName, Timers, Vm, binding_of, precedence,
};
pub use engine::{
    Action, Adopted, HostRoute, HostRoutes, Latency, LinkInfo, Notice, NoticeKind, PortStatus, Statistics,
};
pub use mac::{Mac, ParseMacError};
pub use snoop::Waker;
