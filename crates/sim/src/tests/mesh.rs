//! Several routers that talk to each other: what one sends is what the other reads. They come to rest, agree, and a flap
//! leaves nothing behind.

use std::collections::BTreeSet;

use proptest::prelude::*;
use siskin_rib::View;

use super::*;
use crate::{Listener, Node};

/// One direction of a session: what `from` sends is read by `to`.
struct Way {
    from: usize,
    to: usize,
    listener: Listener,
}

/// A router with its AS.
struct Router {
    node: Node,
    asn: Asn,
    /// It reflects routes to these routers.
    clients: BTreeSet<usize>,
}

/// Routers, numbered from 0; to each other they are peers of that number.
struct Mesh {
    routers: Vec<Router>,
    ways: Vec<Way>,
}

/// The source of a router's own routes.
const OWN: PeerId = PeerId(100);

fn identifier(router: usize) -> BgpIdentifier {
    BgpIdentifier(0x0a00_0001 + u32::try_from(router).unwrap())
}

fn address(router: usize) -> IpAddr {
    [192, 0, 2, 1 + u8::try_from(router).unwrap()].into()
}

fn number(router: usize) -> PeerId {
    PeerId(u16::try_from(router).unwrap())
}

impl Mesh {
    fn new(asns: &[u32]) -> Mesh {
        let router = |(at, asn): (usize, &u32)| {
            let own = RibConfig {
                asn: Asn(*asn),
                identifier: identifier(at),
                cluster_id: identifier(at).0,
                ..config(Multipath::Relaxed, 1)
            };
            let mut node = Node::new(own, 400);
            for other in 0..asns.len() {
                node.set_next_hop(NextHop::new(address(other)), Some(resolution(1, 10)));
            }
            let import = ImportProfile::local("own".into(), RouteSource::Originate, Asn(*asn), SEED);
            node.peer_up(OWN, PeerInfo::local(Arc::new(import), identifier(at), FibAction::Blackhole));
            Router { node, asn: Asn(*asn), clients: BTreeSet::new() }
        };
        Mesh { routers: asns.iter().enumerate().map(router).collect(), ways: Vec::new() }
    }

    /// How `at` sees `other`.
    fn info(&self, at: usize, other: usize) -> PeerInfo {
        let (own, far) = (&self.routers[at], &self.routers[other]);
        let settings =
            Settings { import: 1, export: 1, next_hop_self: false, default_originate: false, generation: 0 };
        // Number 0 is external there, 4 internal: the rest is set here.
        let mut info = info(if own.asn == far.asn { 4 } else { 0 }, settings);
        let mut import = (*info.import).clone();
        import.asn = far.asn;
        import.local_asns = [own.asn].into_iter().collect();
        import.identifier = identifier(at);
        import.cluster_id = identifier(at).0;
        import.own_addresses = Arc::new([address(at)]);
        let client = own.clients.contains(&other);
        let export = info.export.as_mut().unwrap();
        export.local_asn = own.asn;
        export.reflector_client = client;
        export.cluster_id = identifier(at).0;
        export.identifier = identifier(at);
        export.self_next_hop[Family::Ipv4] = Some(NextHop::new(address(at)));
        PeerInfo {
            asn: far.asn,
            identifier: identifier(other),
            address: Some(address(other)),
            reflector_client: client,
            import: Arc::new(import),
            ..info
        }
    }

    fn connect(&mut self, a: usize, b: usize) {
        for (from, to) in [(a, b), (b, a)] {
            let info = self.info(from, to);
            let listener = Listener::new(info.external);
            self.routers[from].node.peer_up(number(to), info);
            self.ways.push(Way { from, to, listener });
        }
    }

    fn disconnect(&mut self, a: usize, b: usize) {
        self.ways.retain(|way| (way.from, way.to) != (a, b) && (way.from, way.to) != (b, a));
        self.routers[a].node.peer_down(number(b));
        self.routers[b].node.peer_down(number(a));
    }

    fn originate(&mut self, at: usize, prefix: Prefix) {
        let attributes = PathAttributes::originated(address(at));
        self.routers[at].node.builder(OWN).unwrap().announce_local(prefix, &attributes);
    }

    fn withdraw(&mut self, at: usize, prefix: Prefix) {
        self.routers[at].node.builder(OWN).unwrap().withdraw(prefix);
    }

    /// Until nobody has anything to say.
    fn settle(&mut self) {
        for _ in 0..1000 {
            self.routers.iter_mut().for_each(|router| router.node.settle());
            let mut talked = false;
            for way in &mut self.ways {
                while let Some(bytes) = self.routers[way.from].node.outboxes.take(number(way.to)) {
                    talked = true;
                    way.listener.hear(&bytes);
                }
                for update in way.listener.heard.drain(..) {
                    self.routers[way.to].node.push(number(way.from), update);
                }
            }
            if !talked {
                return;
            }
        }
        unreachable!("the mesh does not come to rest");
    }

    /// The best path to a prefix: the AS numbers on it, and the router it came from.
    fn best(&self, at: usize, prefix: Prefix) -> Option<(Vec<u32>, PeerId)> {
        let route = self.routers[at].node.rib.lookup(prefix)?;
        let best = route.paths.into_iter().find(|path| path.best)?;
        let asns = best.accepted.as_ref()?.as_path.asns().map(|asn| asn.0).collect();
        Some((asns, best.peer))
    }

    /// Everything each router knows, in words.
    fn knowledge(&self) -> Vec<Vec<String>> {
        let routes = |router: &Router| {
            let start = siskin_rib::Cursor::start(Family::Ipv4);
            let page = router.node.rib.walk_routes(start, View::Received, None, None, 1000, 10_000);
            let mut all: Vec<String> = page.items.iter().map(|route| format!("{route:?}")).collect();
            all.sort();
            all
        };
        self.routers.iter().map(routes).collect()
    }
}

#[test]
fn a_triangle_of_as_takes_the_short_way_and_the_long_one_when_that_is_cut() {
    let mut mesh = Mesh::new(&[64601, 64602, 64603]);
    mesh.connect(0, 1);
    mesh.connect(1, 2);
    mesh.connect(2, 0);
    mesh.originate(0, prefix(3));
    mesh.settle();
    assert_eq!(mesh.best(1, prefix(3)), Some((vec![64601], PeerId(0))));
    assert_eq!(mesh.best(2, prefix(3)), Some((vec![64601], PeerId(0))));
    let before = mesh.knowledge();
    mesh.disconnect(2, 0);
    mesh.settle();
    assert_eq!(mesh.best(2, prefix(3)), Some((vec![64602, 64601], PeerId(1))));
    mesh.connect(2, 0);
    mesh.settle();
    assert_eq!(mesh.knowledge(), before, "a flap leaves nothing");
    mesh.withdraw(0, prefix(3));
    mesh.settle();
    for router in &mesh.routers {
        assert!(router.node.rib.lookup(prefix(3)).is_none(), "no ghost of a path goes round");
        assert_eq!(router.node.rib.counts()[Family::Ipv4].prefixes, 0);
        assert!(router.node.kernel.is_empty());
    }
}

/// 0 is outside; 1, 2 and 3 are one AS, 2 reflects to 1 and 3, which do not know each other.
fn reflected() -> Mesh {
    let mut mesh = Mesh::new(&[64601, 64500, 64500, 64500]);
    mesh.routers[2].clients = [1, 3].into_iter().collect();
    mesh.connect(0, 1);
    mesh.connect(1, 2);
    mesh.connect(2, 3);
    mesh
}

#[test]
fn a_reflector_carries_routes_between_its_clients() {
    let mut mesh = reflected();
    for router in [2, 3] {
        mesh.routers[router].node.set_next_hop(NextHop::new(address(0)), None);
    }
    mesh.originate(0, prefix(3));
    mesh.originate(3, prefix(4));
    mesh.settle();
    assert_eq!(mesh.best(2, prefix(3)), None, "the next hop outside means nothing without a way there");
    for router in [2, 3] {
        mesh.routers[router].node.set_next_hop(NextHop::new(address(0)), Some(resolution(1, 10)));
    }
    mesh.settle();
    assert_eq!(mesh.best(3, prefix(3)), Some((vec![64601], PeerId(2))));
    let route = mesh.routers[3].node.rib.lookup(prefix(3)).unwrap();
    let received = &route.paths[0].received;
    assert_eq!(received.originator_id, Some(identifier(1)));
    assert_eq!(received.cluster_list.to_vec(), [identifier(2).0]);
    assert_eq!(received.next_hop, NextHop::new(address(0)));
    assert_eq!(mesh.best(0, prefix(4)), Some((vec![64500], PeerId(1))), "and out again");
}

#[test]
fn without_reflection_routes_of_internal_peers_stay() {
    let mut mesh = reflected();
    mesh.disconnect(1, 2);
    mesh.disconnect(2, 3);
    mesh.routers[2].clients.clear();
    mesh.connect(1, 2);
    mesh.connect(2, 3);
    mesh.originate(1, prefix(3));
    mesh.settle();
    assert_eq!(mesh.best(2, prefix(3)), Some((vec![], PeerId(1))));
    assert_eq!(mesh.best(3, prefix(3)), None);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Links of five AS go and come in any order: in the end all is as if they had come at once.
    #[test]
    fn what_a_mesh_knows_depends_on_its_links_alone(
        flaps in prop::collection::vec((0usize..5, 0usize..5, any::<bool>()), 0..40),
    ) {
        let asns = [64601, 64602, 64603, 64604, 64605];
        let build = || {
            let mut mesh = Mesh::new(&asns);
            (0..5).for_each(|at| mesh.originate(at, prefix(at + 1)));
            mesh
        };
        let (mut mesh, mut links) = (build(), BTreeSet::new());
        for (a, b, rest) in flaps {
            let link = (a.min(b), a.max(b));
            if a == b {
                continue;
            }
            if links.remove(&link) {
                mesh.disconnect(a, b);
            } else {
                links.insert(link);
                mesh.connect(a, b);
            }
            if rest {
                mesh.settle();
            }
        }
        mesh.settle();
        let mut fresh = build();
        links.iter().for_each(|(a, b)| fresh.connect(*a, *b));
        fresh.settle();
        prop_assert_eq!(mesh.knowledge(), fresh.knowledge());
        // Who is connected at all has a route, and no path has a loop.
        for (a, b) in &links {
            prop_assert!(mesh.best(*a, prefix(b + 1)).is_some() && mesh.best(*b, prefix(a + 1)).is_some());
        }
        for (at, asn) in asns.iter().enumerate() {
            for n in 1..6 {
                if let Some((path, _)) = mesh.best(at, prefix(n)) {
                    prop_assert!(!path.contains(asn));
                    prop_assert_eq!(path.iter().collect::<BTreeSet<_>>().len(), path.len());
                }
            }
        }
    }
}
