//! The RIB after any sequence of events equals one rebuilt from Adj-RIB-In; what each peer was sent equals the export of
//! Loc-RIB; the kernel has what the decision says; and nothing is left when all are gone.

use std::collections::BTreeMap;

use proptest::prelude::*;
use siskin_bgp::wire::{RefreshKind, Update};
use siskin_rib::{Cursor, PathView, View};

use super::*;
use crate::{Listener, Node, through_the_wire};

/// What happens.
#[derive(Clone, Debug)]
enum Event {
    Announce {
        peer: u16,
        prefixes: Vec<usize>,
        variant: u32,
    },
    Withdraw {
        peer: u16,
        prefix: usize,
    },
    Up(u16),
    Down(u16),
    /// The session is lost, and these families are kept as stale.
    Restart {
        peer: u16,
        families: FamilySet,
    },
    EndOfRib {
        peer: u16,
        family: bool,
    },
    /// The time of what is stale is over.
    EndStale {
        peer: u16,
        families: FamilySet,
    },
    /// We wait for the peers' tables, or do no longer.
    Hold(bool),
    NextHop {
        family: bool,
        number: u8,
        metric: Option<u32>,
    },
    Import {
        peer: u16,
        policy: usize,
    },
    Export {
        peers: Vec<u16>,
        policy: usize,
        next_hop_self: bool,
        default_originate: bool,
    },
    Refresh {
        peer: u16,
        family: bool,
    },
    Send(u16),
    Deliver,
    Turn(usize),
    Export1(usize),
    Kernel(usize),
    Answer,
    Read {
        peer: u16,
        messages: usize,
    },
    Configure {
        same_as: bool,
        max_paths: u16,
    },
}

fn event() -> impl Strategy<Value = Event> {
    let peer = 0..PEERS;
    prop_oneof![
        12 => (peer.clone(), prop::collection::vec(0usize..16, 1..6), any::<u32>())
            .prop_map(|(peer, prefixes, variant)| Event::Announce { peer, prefixes, variant }),
        4 => (peer.clone(), 0usize..16).prop_map(|(peer, prefix)| Event::Withdraw { peer, prefix }),
        4 => peer.clone().prop_map(Event::Up),
        2 => peer.clone().prop_map(Event::Down),
        3 => (peer.clone(), families()).prop_map(|(peer, families)| Event::Restart { peer, families }),
        2 => (peer.clone(), any::<bool>()).prop_map(|(peer, family)| Event::EndOfRib { peer, family }),
        1 => (peer.clone(), families()).prop_map(|(peer, families)| Event::EndStale { peer, families }),
        1 => any::<bool>().prop_map(Event::Hold),
        3 => (any::<bool>(), 1u8..4, prop::option::weighted(0.8, prop_oneof![Just(0u32), Just(10), Just(20)]))
            .prop_map(|(family, number, metric)| Event::NextHop { family, number, metric }),
        2 => (peer.clone(), 0usize..6).prop_map(|(peer, policy)| Event::Import { peer, policy }),
        2 => (prop::collection::vec(peer.clone(), 1..4), 0usize..6, any::<bool>(), prop::bool::weighted(0.2))
            .prop_map(|(peers, policy, next_hop_self, default_originate)| Event::Export {
                peers, policy, next_hop_self, default_originate }),
        1 => (peer.clone(), any::<bool>()).prop_map(|(peer, family)| Event::Refresh { peer, family }),
        6 => peer.clone().prop_map(Event::Send),
        6 => Just(Event::Deliver),
        6 => (1usize..8).prop_map(Event::Turn),
        6 => (1usize..6).prop_map(Event::Export1),
        3 => (1usize..6).prop_map(Event::Kernel),
        5 => Just(Event::Answer),
        6 => (peer, 1usize..4).prop_map(|(peer, messages)| Event::Read { peer, messages }),
        1 => (any::<bool>(), 1u16..4).prop_map(|(same_as, max_paths)| Event::Configure { same_as, max_paths }),
    ]
}

fn families() -> impl Strategy<Value = FamilySet> {
    (any::<bool>(), any::<bool>()).prop_map(|(v4, v6)| {
        let pairs = [(v4, Family::Ipv4), (v6, Family::Ipv6)];
        pairs.iter().filter(|(there, _)| *there).fold(FamilySet::EMPTY, |set, (_, f)| set.with(*f))
    })
}

fn family(v6: bool) -> Family {
    if v6 { Family::Ipv6 } else { Family::Ipv4 }
}

/// One peer of the world.
struct Session {
    settings: Settings,
    up: bool,
    /// Adj-RIB-In: what it announced in this session, and what is kept of the one before.
    announced: BTreeMap<Prefix, Announced>,
    /// The settings of the last session that was up: what is stale was judged by them.
    judged_by: Settings,
    listener: Listener,
}

struct Announced {
    update: Update,
    stale: bool,
}

struct World {
    node: Node,
    config: RibConfig,
    sessions: Vec<Session>,
    next_hops: BTreeMap<NextHop, Resolution>,
}

impl Session {
    fn forget_stale(&mut self, families: FamilySet) {
        self.announced.retain(|prefix, sent| !(sent.stale && families.contains(prefix.family())));
    }
}

impl World {
    fn new() -> World {
        let config = config(Multipath::Relaxed, 2);
        let settings =
            Settings { import: 1, export: 1, next_hop_self: false, default_originate: false, generation: 0 };
        let session = |_| Session {
            settings,
            judged_by: settings,
            up: false,
            announced: BTreeMap::new(),
            listener: Listener::default(),
        };
        let sessions = (0..PEERS).map(session).collect();
        let mut world = World { node: Node::new(config, 150), config, sessions, next_hops: BTreeMap::new() };
        for family in Family::ALL {
            for number in 1..4 {
                world.next_hop(next_hop(family, number), Some(resolution(number, 10)));
            }
        }
        world
    }

    fn session(&mut self, peer: u16) -> &mut Session {
        &mut self.sessions[usize::from(peer)]
    }

    fn next_hop(&mut self, next_hop: NextHop, resolution: Option<Resolution>) {
        match resolution.clone() {
            Some(resolution) => self.next_hops.insert(next_hop, resolution),
            None => self.next_hops.remove(&next_hop),
        };
        self.node.set_next_hop(next_hop, resolution);
    }

    fn run(&mut self, event: Event) {
        match event {
            Event::Announce { peer, prefixes, variant } => self.announce(peer, &prefixes, variant),
            Event::Withdraw { peer, prefix: n } => {
                let prefix = prefix(n);
                let session = self.session(peer);
                if session.up && session.announced.remove(&prefix).is_some() {
                    self.node.builder(id(peer)).unwrap().withdraw(prefix);
                }
            }
            Event::Up(peer) => self.up(peer),
            Event::Down(peer) => {
                self.session(peer).up = false;
                self.session(peer).announced.clear();
                self.node.peer_down(id(peer));
            }
            Event::Restart { peer, families } => self.restart(peer, families),
            Event::EndOfRib { peer, family: v6 } => {
                if self.session(peer).up {
                    self.node.builder(id(peer)).unwrap().end_of_rib(family(v6));
                    self.session(peer).forget_stale(FamilySet::EMPTY.with(family(v6)));
                }
            }
            Event::EndStale { peer, families } => {
                // What is on its way was sent before.
                self.node.deliver();
                self.session(peer).forget_stale(families);
                self.node.rib.end_stale(id(peer), families);
            }
            Event::Hold(held) => self.node.rib.hold(held),
            Event::NextHop { family: v6, number, metric } => {
                let resolved = metric.map(|metric| resolution(number, metric));
                self.next_hop(next_hop(family(v6), number), resolved);
            }
            Event::Import { peer, policy } => {
                let session = self.session(peer);
                session.settings.import = policy;
                session.settings.generation += 1;
                self.update(peer);
            }
            Event::Export { peers, policy, next_hop_self, default_originate } => {
                for peer in peers {
                    let settings = &mut self.session(peer).settings;
                    (settings.export, settings.next_hop_self) = (policy, next_hop_self);
                    settings.default_originate = default_originate;
                    self.update(peer);
                }
            }
            Event::Refresh { peer, family: v6 } => self.node.rib.refresh_out(id(peer), family(v6)),
            Event::Send(peer) => self.node.send(id(peer)),
            Event::Deliver => self.node.deliver(),
            Event::Turn(budget) => drop(self.node.rib.turn(budget)),
            Event::Export1(budget) => drop(self.node.export(budget)),
            Event::Kernel(max) => drop(self.node.drain_fib(max)),
            Event::Answer => drop(self.node.answer_next_hops()),
            Event::Read { peer, messages } => {
                for _ in 0..messages {
                    self.read(peer);
                }
            }
            Event::Configure { same_as, max_paths } => {
                let multipath = if same_as { Multipath::SameAs } else { Multipath::Relaxed };
                self.config = config(multipath, max_paths);
                self.node.rib.configure(self.config);
            }
        }
    }

    fn announce(&mut self, peer: u16, prefixes: &[usize], variant: u32) {
        if !self.session(peer).up {
            return;
        }
        for family in Family::ALL {
            let prefixes: Vec<Prefix> =
                prefixes.iter().map(|n| prefix(*n)).filter(|p| p.family() == family).collect();
            let attributes = attributes(peer, family, variant);
            for updates in through_the_wire(&attributes, &prefixes, kind(peer) == Kind::External) {
                for prefix in updates.reach.iter().flat_map(|reach| &reach.prefixes) {
                    let mut alone = updates.clone();
                    alone.reach[0].prefixes = vec![*prefix];
                    let fresh = Announced { update: alone, stale: false };
                    self.session(peer).announced.insert(*prefix, fresh);
                }
                self.node.push(id(peer), updates);
            }
        }
    }

    fn restart(&mut self, peer: u16, families: FamilySet) {
        let session = self.session(peer);
        if !std::mem::take(&mut session.up) {
            return;
        }
        session.judged_by = session.settings;
        session.announced.retain(|prefix, sent| !sent.stale && families.contains(prefix.family()));
        session.announced.values_mut().for_each(|sent| sent.stale = true);
        self.node.peer_restarts(id(peer), families);
    }

    fn up(&mut self, peer: u16) {
        if self.session(peer).up {
            return;
        }
        let session = self.session(peer);
        session.up = true;
        session.listener = Listener::new(kind(peer) == Kind::External);
        let info = info(peer, session.settings);
        self.node.peer_up(id(peer), info);
    }

    fn update(&mut self, peer: u16) {
        if self.session(peer).up {
            let info = info(peer, self.session(peer).settings);
            self.node.update_profiles(id(peer), &info);
        }
    }

    fn read(&mut self, peer: u16) -> bool {
        let Some(bytes) = self.node.outboxes.take(id(peer)) else { return false };
        self.session(peer).listener.hear(&bytes);
        true
    }

    /// Everything comes to rest.
    fn settle(&mut self) {
        self.node.rib.hold(false);
        loop {
            self.node.settle();
            let mut heard = false;
            for peer in 0..PEERS {
                while self.read(peer) {
                    heard = true;
                }
            }
            if !heard {
                return;
            }
        }
    }

    /// A node that learns what Adj-RIB-In holds from scratch, peers in the reverse order.
    fn rebuilt(&self) -> Node {
        let mut node = Node::new(self.config, usize::MAX);
        for (next_hop, resolution) in &self.next_hops {
            node.set_next_hop(*next_hop, Some(resolution.clone()));
        }
        for (peer, session) in (0..PEERS).zip(&self.sessions).rev() {
            if !session.up && session.announced.is_empty() {
                continue;
            }
            let settings = if session.up { session.settings } else { session.judged_by };
            node.peer_up(id(peer), info(peer, settings));
            for sent in session.announced.values().rev() {
                node.push(id(peer), sent.update.clone());
            }
            if !session.up {
                node.peer_restarts(id(peer), FamilySet::BOTH);
            }
        }
        node.settle();
        node
    }

    fn check(&mut self) {
        let rebuilt = self.rebuilt();
        for prefix in (0..16).map(prefix) {
            assert_eq!(view(&self.node, prefix), view(&rebuilt, prefix), "{prefix}");
            let forwarding = self.node.rib.forwarding(prefix);
            assert_eq!(forwarding, rebuilt.rib.forwarding(prefix), "{prefix}");
            // Which routes are changed together is no matter of where they go.
            let installed = self.node.kernel.get(&prefix).map(|group| &group.target);
            assert_eq!(installed, forwarding.as_ref().map(|group| &group.target), "{prefix} in the kernel");
        }
        assert_eq!(self.node.tracked, rebuilt.tracked);
        assert_eq!(self.node.rib.counts(), rebuilt.rib.counts());
        for (peer, session) in (0u16..).zip(&self.sessions) {
            for (family, stale) in self.node.rib.stale(id(peer)).iter() {
                let kept = session.announced.iter().filter(|(p, sent)| p.family() == family && sent.stale);
                assert_eq!(*stale, kept.count() as u64, "stale {family} routes of peer {peer}");
            }
            let counts = self.node.rib.peer_counts(id(peer));
            assert_eq!(counts, rebuilt.rib.peer_counts(id(peer)), "counts of peer {peer}");
            if session.up && kind(peer) != Kind::Local {
                check_sent(peer, session, &self.node, &rebuilt);
                let advertised: u64 = counts.iter().map(|(_, counts)| counts.advertised).sum();
                assert_eq!(advertised, session.listener.routes.len() as u64);
            }
        }
        for family in Family::ALL {
            let (count, next) =
                self.node.rib.count_routes(Cursor::start(family), View::Best, None, None, 1000);
            let kernel = self.node.rib.walk_routes(Cursor::start(family), View::Best, None, None, 100, 1000);
            assert_eq!((count, next), (kernel.items.len() as u64, None));
        }
    }

    /// Everybody leaves; nothing may stay behind.
    fn empty(&mut self) {
        for peer in 0..PEERS {
            self.run(Event::Down(peer));
        }
        self.settle();
        assert!(self.node.kernel.is_empty());
        assert!(self.node.tracked.is_empty());
        for (family, counts) in self.node.rib.counts().iter() {
            assert_eq!((counts.prefixes, counts.paths), (0, 0), "{family}");
        }
        assert_eq!(self.node.rib.memory().attribute_sets, 0);
        assert_eq!(self.node.rib.group_count(), 0);
    }
}

/// What a peer knows is what the rebuilt Loc-RIB exports to it, and was marked as the RFCs want it.
fn check_sent(peer: u16, session: &Session, node: &Node, rebuilt: &Node) {
    let external = kind(peer) == Kind::External;
    let mut expected = BTreeMap::new();
    for prefix in (0..16).map(prefix) {
        let sent = node.rib.exported(id(peer), prefix);
        let exported = rebuilt.rib.exported(id(peer), prefix);
        assert_eq!(
            sent.as_ref().map(|e| &e.attributes),
            exported.as_ref().map(|e| &e.attributes),
            "{prefix}"
        );
        assert!(!sent.is_some_and(|sent| sent.pending));
        if let Some(exported) = exported {
            // What the peer reads: attributes that stay inside an AS are not on the wire.
            for update in through_the_wire(&exported.attributes, &[prefix], external) {
                let mut attributes = update.attributes.unwrap();
                attributes.next_hop = update.reach[0].next_hop;
                expected.insert(prefix, attributes);
            }
        }
        let explained = node.rib.explain(prefix, Some(id(peer)));
        let outcome = explained.and_then(|e| e.exports.into_iter().next()).and_then(|e| e.attributes);
        assert_eq!(outcome.is_some(), expected.contains_key(&prefix), "explain agrees about {prefix}");
    }
    assert_eq!(session.listener.routes, expected, "Adj-RIB-Out of peer {peer}");
    assert_eq!(session.listener.end_of_rib, FamilyMap::from_fn(|_| 1), "End-of-RIB of peer {peer}");
    let marks = &session.listener.marks;
    assert!(
        marks.iter().all(|mark| marks.iter().rev().find(|m| m.family == mark.family).map(|m| m.kind)
            == Some(RefreshKind::End))
    );
}

/// All that can be asked about a prefix, in an order that does not depend on history.
fn view(node: &Node, prefix: Prefix) -> Vec<String> {
    let route = node.rib.lookup(prefix);
    // Whether a route is stale is not the rebuilt one's to know, and must make no other difference.
    let describe = |path: PathView| format!("{:?}", PathView { stale: false, ..path });
    let mut paths: Vec<String> = route.into_iter().flat_map(|route| route.paths).map(describe).collect();
    paths.sort();
    paths
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), max_shrink_iters: 20_000, ..ProptestConfig::default() })]

    #[test]
    fn after_any_events_the_rib_equals_one_rebuilt(
        events in prop::collection::vec(event(), 1..150),
        ups in prop::collection::vec(0..PEERS, 0..8),
    ) {
        let mut world = World::new();
        for peer in ups {
            world.up(peer);
        }
        for event in events {
            world.run(event);
        }
        world.settle();
        world.check();
        world.empty();
    }
}

/// More with `PROPTEST_CASES`, for a long night.
fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(400)
}
