//! The RIB itself: peers come and go, batches are applied, and turns of bounded work carry changes to the kernel's table
//! and to the peers.

mod apply;
mod event;
mod explain;
mod kernel;
mod limits;
mod query;
mod recursion;
mod restart;
mod scope;
mod turn;
mod walk;
mod watch;

use std::sync::Arc;

use siskin_net::{Family, FamilyMap, FamilySet, NextHop, NextHopAnswer, PeerId};

use crate::attrs::Interner;
use crate::config::{PeerInfo, RibConfig};
use crate::decision::Candidate;
use crate::export::{ExportProfile, Groups, OWN_DEFAULT, Outbox, Tables};
use crate::import::{Facts, ImportProfile, Touched};
use crate::nexthop::{GroupMove, NextHopRequest};
use crate::peers::{Peer, Peers};
use crate::table::Table;
use kernel::KernelState;
use recursion::Recursion;
use walk::Walks;
use watch::Watch;

pub use event::{Judged, LimitEvent, LimitKind, LimitOf, RibEvent};
pub use explain::{CheckOutcome, ExplainedPath, Explanation, ExportOutcome, Lost, PolicyTrace};
pub use kernel::{FibUpdate, KernelVerdict};
pub use query::{
    Cursor, ExportedRoute, Memory, NextHopView, Page, PathView, PeerCounts, Route, TableCounts, View,
};
pub use watch::{HostNews, RemoteHost};

/// Dead sessions of a peer whose paths may be in the tables at the same time; sessions are told apart by a `u8`.
const MAX_UNSWEPT: u8 = 200;

/// All routes, and what is done with them.
#[derive(Debug)]
pub struct Rib {
    config: RibConfig,
    attrs: Interner,
    peers: Peers,
    tables: FamilyMap<Table>,
    groups: Groups,
    walks: Walks,
    kernel: KernelState,
    recursion: Recursion,
    watch: Watch,
    facts: Arc<Facts>,
    events: Vec<RibEvent>,
    /// We have restarted and wait for the peers' tables: nothing is decided or sent (RFC 4724 section 4.1).
    held: bool,
    /// Used by the decision, and kept for its memory.
    candidates: Vec<Candidate>,
}

/// The parts of the RIB that groups need when they are made or changed.
macro_rules! world {
    ($rib:expr) => {
        Tables { tables: &mut $rib.tables, attrs: &mut $rib.attrs, hash_seed: $rib.config.hash_seed }
    };
}

impl Rib {
    /// An empty RIB.
    #[must_use]
    pub fn new(config: RibConfig) -> Rib {
        Rib {
            config,
            attrs: Interner::new(config.hash_seed),
            peers: Peers::default(),
            tables: FamilyMap::from_fn(|family| Table::new(family, config.hash_seed)),
            groups: Groups::default(),
            walks: Walks::default(),
            kernel: KernelState::default(),
            recursion: Recursion::default(),
            watch: Watch::default(),
            facts: Arc::default(),
            events: Vec::new(),
            held: false,
            candidates: Vec::new(),
        }
    }

    /// Changes the settings; everything is decided again. The seed stays what it was.
    pub fn configure(&mut self, config: RibConfig) {
        let config = RibConfig { hash_seed: self.config.hash_seed, ..config };
        if config != self.config {
            self.config = config;
            self.walks.waiting().everything = true;
        }
    }

    /// What is known of the routing system changed: what that can touch is judged again, in slices, and
    /// [`RibEvent::Judged`] says what came of it.
    pub fn set_facts(&mut self, facts: Arc<Facts>, touched: Touched) {
        self.facts = facts;
        for (id, peer) in self.peers.iter_mut() {
            peer.info.import = self.facts.given_to(&peer.info.import);
            if matches!(touched, Touched::Everything) && peer.info.import.asks_facts() {
                self.walks.waiting().judge.insert(id.0.into());
            }
        }
        let walk = self.walks.waiting();
        walk.facts = true;
        match touched {
            Touched::Within(prefixes) => walk.touched.extend(prefixes),
            Touched::Everything => {
                walk.kernel |= self.kernel.asks_facts();
                self.groups.doubt_asking(&mut world!(self));
            }
        }
    }

    /// News since the last call.
    pub fn take_events(&mut self) -> Vec<RibEvent> {
        std::mem::take(&mut self.events)
    }

    /// A session is established, or a source of local routes begins. The number 65535 is not to be used. A peer that is
    /// up already is taken as having gone down before.
    pub fn peer_up(&mut self, id: PeerId, mut info: PeerInfo) {
        debug_assert_ne!(id, OWN_DEFAULT);
        info.import = self.facts.given_to(&info.import);
        if self.peers.get(id).is_some_and(|peer| peer.up) {
            self.peer_down(id);
        }
        self.greet_restarted(id, &info);
        let export = info.export.clone();
        let mut other_face = false;
        match self.peers.get(id) {
            None => self.peers.insert(id, Peer::new(info)),
            Some(peer) => {
                other_face = peer.info.differs_for_others(&info);
                if peer.unswept > 0 && peer.info.fib != info.fib {
                    // Dead paths are counted as users of their next hop by what the peer was when they came.
                    self.finish_walks();
                }
                if let Some(peer) = self.peers.get_mut(id) {
                    peer.info = info;
                    peer.up = true;
                    peer.dropped = FamilySet::EMPTY;
                    peer.end_of_rib = FamilySet::EMPTY;
                }
            }
        }
        if other_face {
            self.groups.doubt_everything(&mut world!(self));
            if self.kernel.policy.is_some() {
                self.walks.waiting().kernel = true;
            }
        }
        if let Some(profile) = export {
            self.groups.join(id, profile, &mut world!(self));
        }
    }

    /// The session ended. Its routes count for nothing from now on, and are swept out by [`Rib::turn`].
    pub fn peer_down(&mut self, id: PeerId) {
        self.end_session(id, FamilySet::EMPTY);
    }

    /// Policies or other settings changed while the session stays: what was received is judged again, what was sent is
    /// exported again, and only differences are told.
    pub fn update_profiles(&mut self, id: PeerId, import: Arc<ImportProfile>, export: Option<ExportProfile>) {
        let Some(peer) = self.peers.get_mut(id).filter(|peer| peer.up) else { return };
        if peer.info.import.generation != import.generation {
            self.walks.waiting().judge.insert(id.0.into());
        }
        peer.info.import = self.facts.given_to(&import);
        let exported_before = peer.info.export.is_some();
        peer.info.export.clone_from(&export);
        match export {
            Some(profile) if exported_before => self.groups.change(id, profile),
            Some(profile) => self.groups.join(id, profile, &mut world!(self)),
            None => self.groups.leave(id, &mut self.attrs),
        }
    }

    /// The peer asked for everything again (RFC 2918), with marks around it where it understands them (RFC 7313).
    pub fn refresh_out(&mut self, id: PeerId, family: Family) {
        if let Some(peer) = self.peers.get(id).filter(|peer| peer.up) {
            self.groups.refresh(id, family, peer.info.enhanced_refresh);
        }
    }

    /// What next-hop tracking found out about a next hop it was asked to track. One that is on no link may be reached by
    /// a route here, too.
    pub fn set_next_hop(&mut self, next_hop: NextHop, answer: impl Into<NextHopAnswer>) {
        if let Some(id) = self.attrs.next_hops.set(next_hop, answer.into()) {
            self.recursion.news();
            self.resolve(id);
        }
    }

    /// Next hops to begin or cease to track. Paths through one that was not answered for are not used.
    #[must_use]
    pub fn take_next_hop_requests(&mut self) -> Vec<NextHopRequest> {
        self.attrs.next_hops.take_requests()
    }

    /// Groups of which all routes go another way since the last call, in order. It is what [`Rib::drain_fib`] says of each
    /// route later, in short, and may be ignored.
    #[must_use]
    pub fn take_group_moves(&mut self) -> Vec<GroupMove> {
        self.attrs.next_hops.take_moved()
    }

    /// A turn of the work inside: changes of profiles, sweeps and new judgements (up to `budget` destinations), and the
    /// decision (up to `budget` destinations). True if there is more to do.
    pub fn turn(&mut self, budget: usize) -> bool {
        let changing = self.groups.apply_changes(&mut world!(self));
        let walking = self.walk(budget);
        let deciding = !self.held && self.decide_dirty(budget);
        let resolving = self.resolve_due();
        changing | walking | deciding | resolving
    }

    /// A turn of export: each update group takes up to `budget` destinations of each family to those of its members
    /// that have room. True if there is more to do; a queue that gets room again is a reason to call it, too.
    pub fn export_turn(&mut self, outbox: &mut impl Outbox, budget: usize) -> bool {
        let more = !self.held && self.groups.turn(&self.tables, &self.peers, &mut self.attrs, outbox, budget);
        self.groups.limit_news(&mut self.events);
        self.free_idle(budget) | more
    }

    fn finish_walks(&mut self) {
        while self.walk(usize::MAX) {}
    }
}

#[cfg(test)]
mod tests;
