//! One RIB with what the daemon puts around it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use siskin_bgp::wire::Update;
use siskin_net::{FamilySet, NextHop, NextHopGroup, PeerId, Prefix, Resolution};
use siskin_rib::{Batch, BatchBuilder, FibUpdate, NextHopRequest, Outbox, PeerInfo, Rib, RibConfig};

/// Queues to peers, each with a limit in bytes.
#[derive(Debug)]
pub struct Outboxes {
    queues: BTreeMap<PeerId, VecDeque<Bytes>>,
    /// A queue that holds this much has no room.
    pub limit: usize,
}

impl Outboxes {
    fn queued(&self, peer: PeerId) -> Option<usize> {
        Some(self.queues.get(&peer)?.iter().map(Bytes::len).sum())
    }

    /// Takes the first messages out of a peer's queue.
    pub fn take(&mut self, peer: PeerId) -> Option<Bytes> {
        self.queues.get_mut(&peer)?.pop_front()
    }
}

impl Outbox for Outboxes {
    fn room(&self, peer: PeerId) -> bool {
        self.queued(peer).is_some_and(|queued| queued < self.limit)
    }

    fn send(&mut self, peer: PeerId, bytes: Bytes) {
        assert!(!bytes.is_empty(), "an empty message");
        let queue = self.queues.get_mut(&peer);
        assert!(queue.is_some(), "a message to {peer:?}, which is not up");
        if let Some(queue) = queue {
            queue.push_back(bytes);
        }
    }
}

/// A RIB in the world.
#[derive(Debug)]
pub struct Node {
    /// The RIB.
    pub rib: Rib,
    /// Queues to its peers.
    pub outboxes: Outboxes,
    /// The kernel's table.
    pub kernel: BTreeMap<Prefix, NextHopGroup>,
    /// How next hops are resolved; one that is missing cannot be reached.
    next_hops: BTreeMap<NextHop, Resolution>,
    /// Next hops the RIB wants to hear of.
    pub tracked: BTreeSet<NextHop>,
    builders: BTreeMap<PeerId, BatchBuilder>,
    /// Batches on their way to the RIB.
    inbox: VecDeque<Batch>,
}

impl Node {
    /// A node without peers, whose queues hold `limit` bytes.
    #[must_use]
    pub fn new(config: RibConfig, limit: usize) -> Node {
        Node {
            rib: Rib::new(config),
            outboxes: Outboxes { queues: BTreeMap::new(), limit },
            kernel: BTreeMap::new(),
            next_hops: BTreeMap::new(),
            tracked: BTreeSet::new(),
            builders: BTreeMap::new(),
            inbox: VecDeque::new(),
        }
    }

    /// A session comes up.
    pub fn peer_up(&mut self, peer: PeerId, info: PeerInfo) {
        self.builders.insert(peer, BatchBuilder::new(peer, info.import.clone()));
        if info.export.is_some() {
            self.outboxes.queues.insert(peer, VecDeque::new());
        }
        self.rib.peer_up(peer, info);
    }

    /// A session ends, after what it had sent on its way arrived.
    pub fn peer_down(&mut self, peer: PeerId) {
        self.hang_up(peer);
        self.rib.peer_down(peer);
    }

    /// The same, and the peer's routes of `families` are kept as stale (RFC 4724).
    pub fn peer_restarts(&mut self, peer: PeerId, families: FamilySet) {
        self.hang_up(peer);
        self.rib.peer_restarts(peer, families);
    }

    fn hang_up(&mut self, peer: PeerId) {
        self.deliver();
        self.builders.remove(&peer);
        self.outboxes.queues.remove(&peer);
    }

    /// Policies change. What is on its way was judged by the old ones.
    pub fn update_profiles(&mut self, peer: PeerId, info: &PeerInfo) {
        self.send(peer);
        self.builders.insert(peer, BatchBuilder::new(peer, info.import.clone()));
        self.rib.update_profiles(peer, info.import.clone(), info.export.clone());
    }

    /// The builder of a peer that is up.
    pub fn builder(&mut self, peer: PeerId) -> Option<&mut BatchBuilder> {
        self.builders.get_mut(&peer)
    }

    /// A peer's UPDATE arrives.
    pub fn push(&mut self, peer: PeerId, update: Update) {
        if let Some(builder) = self.builders.get_mut(&peer) {
            builder.push(update);
        }
    }

    /// A peer's task sends its batch on the way.
    pub fn send(&mut self, peer: PeerId) {
        if let Some(builder) = self.builders.get_mut(&peer)
            && !builder.is_empty()
        {
            self.inbox.push_back(builder.take());
        }
    }

    /// All batches arrive.
    pub fn deliver(&mut self) {
        let peers: Vec<PeerId> = self.builders.keys().copied().collect();
        for peer in peers {
            self.send(peer);
        }
        for batch in self.inbox.drain(..) {
            self.rib.apply(batch);
        }
    }

    /// A next hop can be reached, or cannot any more.
    pub fn set_next_hop(&mut self, next_hop: NextHop, resolution: Option<Resolution>) {
        match resolution.clone() {
            Some(resolution) => self.next_hops.insert(next_hop, resolution),
            None => self.next_hops.remove(&next_hop),
        };
        if self.tracked.contains(&next_hop) {
            self.rib.set_next_hop(next_hop, resolution);
        }
    }

    /// Answers what the RIB asks about next hops; true if it asked anything.
    pub fn answer_next_hops(&mut self) -> bool {
        let requests = self.rib.take_next_hop_requests();
        let asked = !requests.is_empty();
        for request in requests {
            match request {
                NextHopRequest::Track(next_hop) => {
                    assert!(self.tracked.insert(next_hop), "asked twice for {next_hop}");
                    self.rib.set_next_hop(next_hop, self.next_hops.get(&next_hop).cloned());
                }
                NextHopRequest::Untrack(next_hop) => {
                    assert!(self.tracked.remove(&next_hop), "{next_hop} was never asked for");
                }
            }
        }
        asked
    }

    /// Takes up to `max` changes to the kernel.
    pub fn drain_fib(&mut self, max: usize) -> bool {
        let mut updates = Vec::new();
        let more = self.rib.drain_fib(max, &mut updates);
        for FibUpdate { prefix, target, .. } in updates {
            match target {
                Some(group) => self.kernel.insert(prefix, (*group).clone()),
                None => self.kernel.remove(&prefix),
            };
        }
        more
    }

    /// Lets peers' queues be written as far as there is room.
    pub fn export(&mut self, budget: usize) -> bool {
        self.rib.export_turn(&mut self.outboxes, budget)
    }

    /// Does all there is to do, short of reading the queues.
    ///
    /// # Panics
    /// If it does not come to an end.
    pub fn settle(&mut self) {
        for _ in 0..10_000 {
            self.deliver();
            let more = self.rib.turn(1000) | self.drain_fib(1000) | self.export(1000);
            let more = self.answer_next_hops() | more;
            if !more {
                return;
            }
        }
        unreachable!("the node does not come to rest");
    }
}
