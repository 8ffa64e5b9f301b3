//! What the RIB tells of itself: peers that reach a limit, and what a change of facts came to.

use siskin_net::{Family, PeerId};

/// News for the daemon.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RibEvent {
    /// A peer's prefixes and its limits.
    Limit {
        /// The peer.
        peer: PeerId,
        /// The family.
        family: Family,
        /// Which limit, and how it stands.
        limit: LimitEvent,
    },
    /// All routes that a change of facts could touch were judged again.
    Judged(Judged),
}

/// How a peer's prefixes stand to a limit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LimitEvent {
    /// The news.
    pub kind: LimitKind,
    /// What is limited.
    pub of: LimitOf,
    /// The limit.
    pub limit: u32,
    /// How many there are, those beyond the limit included as far as they are known.
    pub count: u64,
}

/// What a limit counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LimitOf {
    /// Prefixes received, rejected ones included.
    Received,
    /// Prefixes accepted by import.
    Accepted,
    /// Prefixes sent.
    Advertised,
}

/// News of a limit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LimitKind {
    /// It comes near.
    Near,
    /// It is exceeded: the action is taken.
    Over,
    /// It is not exceeded any more, nor near.
    Below,
    /// Prefixes that were never stored would fit again: the peer is to be asked for them.
    Room,
}

/// What judging again came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Judged {
    /// Paths that were judged.
    pub paths: u64,
    /// Of these, rejected before and accepted now.
    pub now_accepted: u64,
    /// Accepted before and rejected now.
    pub now_rejected: u64,
}

impl Judged {
    /// One path was judged.
    pub(crate) fn note(&mut self, before: bool, now: bool) {
        self.paths += 1;
        self.now_accepted += u64::from(!before && now);
        self.now_rejected += u64::from(before && !now);
    }
}
