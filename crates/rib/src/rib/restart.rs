//! Graceful restart (RFC 4724): the paths of a peer that restarts, kept until it has announced them again or its time is
//! over, and our own restart, in which nothing is decided or sent before the peers' tables are here.
//!
//! Who is kept, for how long, and which peers are waited for is the session's and the daemon's to know. Leaves out
//! long-lived graceful restart (RFC 9494): a stale path counts like any other.

use siskin_net::{FamilyMap, FamilySet, PeerId};

use super::{MAX_UNSWEPT, Rib};
use crate::config::PeerInfo;

impl Rib {
    /// The session of a peer that restarts ended: its routes of `families` are kept as stale until they are announced
    /// again, [`Rib::end_stale`] is said, or its End-of-RIB comes; all others go.
    pub fn peer_restarts(&mut self, id: PeerId, families: FamilySet) {
        self.end_session(id, families);
    }

    /// What is still stale of a peer's routes of `families` goes: its time is over, or it did not keep forwarding.
    pub fn end_stale(&mut self, id: PeerId, families: FamilySet) {
        let Some(peer) = self.peers.get_mut(id) else { return };
        let mut left = 0;
        for family in families.iter() {
            left += peer.stale[family].take().map_or(0, |counts| counts.received);
        }
        if left > 0 {
            peer.unswept += 1;
            self.sweep(id);
        }
    }

    /// How many routes of a peer are stale.
    #[must_use]
    pub fn stale(&self, id: PeerId) -> FamilyMap<u64> {
        let peer = self.peers.get(id);
        FamilyMap::from_fn(|family| {
            peer.and_then(|peer| peer.stale[family]).map_or(0, |counts| counts.received)
        })
    }

    /// Holds decisions, the kernel's changes and everything to the peers back, End-of-RIB included, or lets all of it go
    /// at once. A restarted speaker waits so for its peers' tables (RFC 4724 section 4.1); one that is about to stop says
    /// nothing any more.
    pub fn hold(&mut self, held: bool) {
        self.held = held;
    }

    /// Whether [`Rib::hold`] is in force.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.held
    }

    pub(super) fn end_session(&mut self, id: PeerId, kept: FamilySet) {
        let Some(peer) = self.peers.get_mut(id).filter(|peer| peer.up) else {
            // One that is not up may have left stale routes.
            if kept.is_empty() {
                self.end_stale(id, FamilySet::BOTH);
            }
            return;
        };
        peer.end(kept);
        self.groups.leave(id, &mut self.attrs);
        self.sweep(id);
    }

    /// A peer is back. Its stale routes are judged again where its policy is another, and go where the peer is another.
    pub(super) fn greet_restarted(&mut self, id: PeerId, info: &PeerInfo) {
        let Some(peer) = self.peers.get(id).filter(|peer| !peer.up) else { return };
        if peer.stale.iter().all(|(_, stale)| stale.is_none()) {
            return;
        }
        if peer.info.is_another(info) {
            self.end_stale(id, FamilySet::BOTH);
        } else if peer.info.import.generation != info.import.generation {
            self.walks.waiting().judge.insert(id.0.into());
        }
    }

    /// Dead paths of a peer are swept out in slices.
    fn sweep(&mut self, id: PeerId) {
        self.walks.waiting().gone.push(id);
        if self.peers.get(id).is_some_and(|peer| peer.unswept >= MAX_UNSWEPT) {
            self.finish_walks();
        }
    }
}
