//! Export: what peers are sent, and in which order it leaves.
//!
//! Peers with equal [`ExportProfile`]s form an update group. A group has one bit a destination for what it must look at
//! again, runs export once for all its members, and hands the same bytes to each. A member that has no room, or to whom
//! a route must not go back, has bits of its own; it neither holds the others back nor loses anything.

mod catch_up;
mod evaluate;
mod group;
mod groups;
mod limits;
mod profile;
mod run;
mod sent;

use bytes::Bytes;
use siskin_net::PeerId;

pub(crate) use evaluate::{Exported, Outgoing, facts_of, source_view};

pub(crate) use groups::{Groups, Tables};
pub use profile::{Drain, ExportProfile, NextHopMode};
pub(crate) use sent::{Input, OWN_DEFAULT};

/// Where messages go: the peers' queues.
pub trait Outbox {
    /// Whether a peer's queue takes more. One that says no is asked again in every turn.
    fn room(&self, peer: PeerId) -> bool;
    /// Puts whole messages into a peer's queue. It must not fail: a peer that is gone is told by
    /// [`Rib::peer_down`](crate::Rib::peer_down).
    fn send(&mut self, peer: PeerId, bytes: Bytes);
}
