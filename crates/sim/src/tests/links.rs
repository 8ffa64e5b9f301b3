//! Several RIBs that are peers of each other, with links that fail and messages that are late: when all comes to rest,
//! each knows what its neighbours export, along shortest paths, and nothing of prefixes nobody announces.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::{Listener, Node};

const NODES: u16 = 5;
/// The number of each node's own routes.
const OWN: PeerId = PeerId(100);

#[derive(Clone, Debug)]
enum Event {
    Originate { node: u16, prefix: usize },
    Withdraw { node: u16, prefix: usize },
    Link { a: u16, b: u16, up: bool },
    Work { node: u16, budget: usize },
    Carry { from: u16, to: u16, messages: usize },
}

fn event() -> impl Strategy<Value = Event> {
    let node = 0..NODES;
    let pair = || (0..NODES, 0..NODES);
    prop_oneof![
        4 => (node.clone(), 0usize..16).prop_map(|(node, prefix)| Event::Originate { node, prefix }),
        1 => (node.clone(), 0usize..16).prop_map(|(node, prefix)| Event::Withdraw { node, prefix }),
        5 => (pair(), prop::bool::weighted(0.75)).prop_map(|((a, b), up)| Event::Link { a, b, up }),
        5 => (node, 1usize..6).prop_map(|(node, budget)| Event::Work { node, budget }),
        5 => (pair(), 1usize..4).prop_map(|((from, to), messages)| Event::Carry { from, to, messages }),
    ]
}

fn asn(node: u16) -> Asn {
    Asn(64500 + u32::from(node))
}

/// The addresses of a node.
fn address(node: u16, family: Family) -> NextHop {
    next_hop(family, u8::try_from(node).unwrap() + 1)
}

/// What `node` knows of its peer `other`.
fn session(node: u16, other: u16) -> PeerInfo {
    let mut info = info(
        0,
        Settings { import: 1, export: 1, next_hop_self: false, default_originate: false, generation: 0 },
    );
    let mut import = (*info.import).clone();
    import.asn = asn(other);
    import.local_asns = [asn(node)].into_iter().collect();
    import.own_addresses = Family::ALL.into_iter().map(|family| address(node, family).address).collect();
    info.import = Arc::new(import);
    info.asn = asn(other);
    info.identifier = BgpIdentifier(u32::from(other) + 1);
    info.address = Some(address(other, Family::Ipv4).address);
    if let Some(export) = &mut info.export {
        export.local_asn = asn(node);
        export.self_next_hop = FamilyMap::from_fn(|family| Some(address(node, family)));
    }
    info
}

struct Mesh {
    nodes: Vec<Node>,
    /// Links that are up, with the reader of each direction by (reader, writer).
    readers: BTreeMap<(u16, u16), Listener>,
    origins: BTreeSet<(u16, Prefix)>,
}

impl Mesh {
    fn new() -> Mesh {
        let node = |number: u16| {
            let mut node = Node::new(RibConfig { asn: asn(number), ..config(Multipath::Relaxed, 4) }, 200);
            for (other, family) in (0..NODES).flat_map(|n| Family::ALL.map(|family| (n, family))) {
                node.set_next_hop(address(other, family), Some(resolution(1, 10)));
            }
            let import = ImportProfile::local("own".into(), RouteSource::Originate, asn(number), SEED);
            node.peer_up(
                OWN,
                PeerInfo::local(Arc::new(import), BgpIdentifier(number.into()), FibAction::Blackhole),
            );
            node
        };
        Mesh { nodes: (0..NODES).map(node).collect(), readers: BTreeMap::new(), origins: BTreeSet::new() }
    }

    fn node(&mut self, node: u16) -> &mut Node {
        &mut self.nodes[usize::from(node)]
    }

    fn run(&mut self, event: Event) {
        match event {
            Event::Originate { node, prefix: n } => {
                let prefix = prefix(n);
                self.origins.insert((node, prefix));
                let attributes = PathAttributes::originated(Ipv4Addr::UNSPECIFIED.into());
                self.node(node).builder(OWN).unwrap().announce_local(prefix, &attributes);
            }
            Event::Withdraw { node, prefix: n } => {
                if self.origins.remove(&(node, prefix(n))) {
                    self.node(node).builder(OWN).unwrap().withdraw(prefix(n));
                }
            }
            Event::Link { a, b, up } if a != b && up != self.readers.contains_key(&(a, b)) => {
                for (node, other) in [(a, b), (b, a)] {
                    if up {
                        self.readers.insert((node, other), Listener::new(true));
                        self.node(node).peer_up(id(other), session(node, other));
                    } else {
                        self.readers.remove(&(node, other));
                        self.node(node).peer_down(id(other));
                    }
                }
            }
            Event::Link { .. } => {}
            Event::Work { node, budget } => {
                let node = self.node(node);
                node.deliver();
                node.answer_next_hops();
                node.rib.turn(budget);
                node.export(budget);
            }
            Event::Carry { from, to, messages } => {
                for _ in 0..messages {
                    self.carry(from, to);
                }
            }
        }
    }

    /// One message goes over a link; true if there was one.
    fn carry(&mut self, from: u16, to: u16) -> bool {
        let Some(bytes) = self.node(from).outboxes.take(id(to)) else { return false };
        let Some(reader) = self.readers.get_mut(&(to, from)) else { return false };
        reader.hear(&bytes);
        for update in std::mem::take(&mut reader.heard) {
            self.nodes[usize::from(to)].push(id(from), update);
        }
        true
    }

    fn settle(&mut self) {
        for _ in 0..1000 {
            self.nodes.iter_mut().for_each(Node::settle);
            let links: Vec<(u16, u16)> = self.readers.keys().copied().collect();
            let carried = links.into_iter().filter(|(to, from)| self.carry(*from, *to)).count();
            if carried == 0 {
                return;
            }
        }
        panic!("the mesh does not come to rest");
    }

    /// How many links each node is away from the nearest that announces the prefix.
    fn distances(&self, prefix: Prefix) -> BTreeMap<u16, u32> {
        let mut front: Vec<u16> = (0..NODES).filter(|node| self.origins.contains(&(*node, prefix))).collect();
        let mut distances: BTreeMap<u16, u32> = front.iter().map(|node| (*node, 0)).collect();
        while let Some(node) = (!front.is_empty()).then(|| front.remove(0)) {
            for next in (0..NODES).filter(|next| self.readers.contains_key(&(*next, node))) {
                if !distances.contains_key(&next) {
                    distances.insert(next, distances[&node] + 1);
                    front.push(next);
                }
            }
        }
        distances
    }

    fn check(&self) {
        for prefix in (0..16).map(prefix) {
            let distances = self.distances(prefix);
            for (number, node) in (0..NODES).zip(&self.nodes) {
                let route = node.rib.lookup(prefix);
                let best = route.iter().flat_map(|route| &route.paths).find(|path| path.best);
                let length = best.map(|path| path.received.as_path.decision_len());
                assert_eq!(length, distances.get(&number).copied(), "{prefix} at node {number}");
                assert_eq!(node.rib.forwarding(prefix).is_some(), best.is_some());
            }
            for (to, from) in self.readers.keys() {
                let sent = self.nodes[usize::from(*from)].rib.exported(id(*to), prefix);
                let route = self.nodes[usize::from(*to)].rib.lookup(prefix);
                let known =
                    route.into_iter().flat_map(|route| route.paths).find(|path| path.peer == id(*from));
                let known = known.map(|path| path.received);
                assert_eq!(sent.map(|sent| sent.attributes), known, "{prefix} from {from} to {to}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn a_mesh_comes_to_rest_on_shortest_paths(events in prop::collection::vec(event(), 1..120)) {
        let mut mesh = Mesh::new();
        for event in events {
            mesh.run(event);
        }
        mesh.settle();
        mesh.check();
        // Everybody withdraws: no route may survive by being passed round.
        for (node, prefix) in std::mem::take(&mut mesh.origins) {
            mesh.node(node).builder(OWN).unwrap().withdraw(prefix);
        }
        mesh.settle();
        mesh.check();
    }
}
