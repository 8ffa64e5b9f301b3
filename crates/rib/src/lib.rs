//! The routing tables: Adj-RIB-In, Loc-RIB and Adj-RIB-Out of every peer, with the decision between them.
//!
//! A peer's task turns UPDATEs into a [`Batch`] (import runs there, see [`ImportProfile`]); the [`Rib`] takes batches,
//! decides every touched destination once ([`Rib::turn`]), hands changes to the kernel's table ([`Rib::drain_fib`]) and
//! messages to the peers' queues ([`Rib::export_turn`]). It needs no clock, lock, thread or socket, and each of its
//! calls has a budget.
//!
//! What it leaves out: sessions and messages other than UPDATE and ROUTE-REFRESH (`siskin-bgp`), the kernel
//! (`siskin-fib`), ADD-PATH, aggregation.

mod attrs;
mod batch;
mod bitmap;
mod config;
mod decision;
mod export;
mod import;
mod mobility;
mod nexthop;
mod peers;
mod rib;
mod slab;
mod table;

pub use batch::{Batch, BatchBuilder};
pub use config::{FibAction, Multipath, PeerInfo, RibConfig};
pub use decision::{NotShared, Step};
pub use export::{Drain, ExportProfile, NextHopMode, Outbox};
pub use import::{
    Check, EdgeRules, Facts, ImportProfile, IrrFilter, IrrList, LimitAction, PrefixCheck, PrefixLimits,
    RpkiMode, Touched,
};
pub use mobility::HostMark;
pub use nexthop::{GroupMove, NextHopRequest};
pub use peers::PathCounts;
pub use rib::{
    CheckOutcome, Cursor, ExplainedPath, Explanation, ExportOutcome, ExportedRoute, FibUpdate, HostNews,
    Judged, KernelVerdict, LimitEvent, LimitKind, LimitOf, Lost, Memory, NextHopView, Page, PathView,
    PeerCounts, PolicyTrace, RemoteHost, Rib, RibEvent, Route, TableCounts, View,
};
