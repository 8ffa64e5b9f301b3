//! The peers and sources the RIB knows, and how many routes each has.

use siskin_net::{Family, FamilyMap, FamilySet, PeerId};

use crate::config::{FibAction, PeerInfo};
use crate::table::Path;

/// Routes of one family from one peer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct PathCounts {
    /// Prefixes in Adj-RIB-In.
    pub received: u64,
    /// Of these, accepted by import; the others are kept with the rule that rejected them.
    pub accepted: u64,
    /// Of the accepted, the best or one that shares the load.
    pub selected: u64,
    /// Of the rejected, those that the limit of accepted prefixes keeps out.
    pub blocked: u64,
    /// Announcements that the limit of received prefixes kept out: they are not in Adj-RIB-In.
    pub refused: u64,
}

impl PathCounts {
    /// These, too.
    pub(crate) fn add(&mut self, other: PathCounts) {
        self.received += other.received;
        self.accepted += other.accepted;
        self.selected += other.selected;
        self.blocked += other.blocked;
        self.refused += other.refused;
    }

    /// Without these.
    pub(crate) fn subtract(&mut self, other: PathCounts) {
        self.received -= other.received;
        self.accepted -= other.accepted;
        self.selected -= other.selected;
        self.blocked -= other.blocked;
        self.refused -= other.refused;
    }
}

/// What was told about a peer's prefix limits.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct LimitsTold {
    pub(crate) near: bool,
    pub(crate) over: bool,
}

/// What is kept of a peer. It stays after the session went, as long as its paths are not all swept out.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) info: PeerInfo,
    pub(crate) up: bool,
    /// Counts sessions, and goes round; paths of an older one are dead.
    pub(crate) session: u8,
    /// Sessions that ended since the tables were last free of this peer's dead paths.
    pub(crate) unswept: u8,
    /// Families the peer cannot use any more in this session.
    pub(crate) dropped: FamilySet,
    /// Families whose End-of-RIB has come.
    pub(crate) end_of_rib: FamilySet,
    pub(crate) counts: FamilyMap<PathCounts>,
    pub(crate) limits_told: FamilyMap<LimitsTold>,
    /// Families whose paths of the session before this one are kept (RFC 4724), and how many there are still.
    pub(crate) stale: FamilyMap<Option<PathCounts>>,
}

impl Peer {
    pub(crate) fn new(info: PeerInfo) -> Peer {
        Peer {
            info,
            up: true,
            session: 0,
            unswept: 0,
            dropped: FamilySet::EMPTY,
            end_of_rib: FamilySet::EMPTY,
            counts: FamilyMap::default(),
            limits_told: FamilyMap::default(),
            stale: FamilyMap::default(),
        }
    }

    /// Whether its packets need a next hop that can be reached.
    #[inline]
    pub(crate) fn resolves(&self) -> bool {
        self.info.fib == FibAction::Resolve
    }

    /// Ends the session: its paths are dead and counted no more, but for those of the families `kept`, which are stale
    /// from now on. What was stale before is dead (RFC 4724 section 4.2).
    pub(crate) fn end(&mut self, kept: FamilySet) {
        self.up = false;
        self.session = self.session.wrapping_add(1);
        self.unswept += 1;
        let counts = std::mem::take(&mut self.counts);
        self.limits_told = FamilyMap::default();
        let kept = |family| kept.contains(family) && !self.dropped.contains(family);
        self.stale = FamilyMap::from_fn(|family| kept(family).then(|| counts[family]));
    }

    /// Whether a path of this peer that came in `session` is stale.
    #[inline]
    pub(crate) fn is_stale(&self, session: u8, family: Family) -> bool {
        session == self.session.wrapping_sub(1) && self.stale[family].is_some()
    }

    /// The counts that a path of this peer from `session` belongs to; `None`: it is dead.
    #[inline]
    pub(crate) fn counts_of(&mut self, session: u8, family: Family) -> Option<&mut PathCounts> {
        if self.up && session == self.session {
            return (!self.dropped.contains(family)).then(|| &mut self.counts[family]);
        }
        let before = session == self.session.wrapping_sub(1);
        self.stale[family].as_mut().filter(|_| before)
    }

    /// Paths of a family that count: of this session, and stale ones.
    pub(crate) fn counts(&self, family: Family) -> PathCounts {
        let mut counts = self.counts[family];
        counts.add(self.stale[family].unwrap_or_default());
        counts
    }
}

/// All peers by their dense number.
#[derive(Debug, Default)]
pub(crate) struct Peers(Vec<Option<Box<Peer>>>);

impl Peers {
    #[inline]
    pub(crate) fn get(&self, id: PeerId) -> Option<&Peer> {
        self.0.get(usize::from(id.0))?.as_deref()
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, id: PeerId) -> Option<&mut Peer> {
        self.0.get_mut(usize::from(id.0))?.as_deref_mut()
    }

    pub(crate) fn insert(&mut self, id: PeerId, peer: Peer) {
        let index = usize::from(id.0);
        if index >= self.0.len() {
            self.0.resize_with(index + 1, || None);
        }
        self.0[index] = Some(Box::new(peer));
    }

    /// Whether a path belongs to a session that is up, or is kept over the peer's restart.
    #[inline]
    pub(crate) fn lives(&self, path: &Path, family: Family) -> bool {
        self.get(path.peer).is_some_and(|peer| {
            peer.up && peer.session == path.session && !peer.dropped.contains(family)
                || peer.is_stale(path.session, family)
        })
    }

    /// The counts a path belongs to; `None` of a dead one.
    #[inline]
    pub(crate) fn counts_of(&mut self, path: &Path, family: Family) -> Option<&mut PathCounts> {
        self.get_mut(path.peer)?.counts_of(path.session, family)
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (PeerId, &mut Peer)> {
        (0..).map(PeerId).zip(&mut self.0).filter_map(|(id, peer)| Some((id, peer.as_deref_mut()?)))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (PeerId, &Peer)> {
        (0..).map(PeerId).zip(&self.0).filter_map(|(id, peer)| Some((id, peer.as_deref()?)))
    }
}
