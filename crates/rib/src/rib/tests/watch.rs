//! What others announce of watched addresses.

use std::net::IpAddr;

use siskin_bgp::attr::LargeCommunity;

use super::*;
use crate::mobility::HostMark;

/// The source of our own host routes.
const OWN: u16 = 16;

fn host(last: u8) -> IpAddr {
    [198, 18, 0, last].into()
}

fn marked(peer: u16, sequence: u32, originator: u32) -> PathAttributes {
    let originator = Some(BgpIdentifier(originator));
    let mut attributes = route(peer);
    HostMark { sequence, binding: Some(5), originator }.add_to(&mut attributes, Asn(64700));
    attributes
}

/// A router with two peers and its own host routes, that watches 198.18.0.0/24.
fn watching() -> World {
    let mut world = World::new(&[1, 2]);
    let own = ImportProfile::local("vmbr1".into(), RouteSource::HostRoute, LOCAL, 7);
    world.rib.peer_up(PeerId(OWN), PeerInfo::local(Arc::new(own), BgpIdentifier(1), FibAction::Resolve));
    world.rib.watch_hosts(vec!["198.18.0.0/24".parse().unwrap()]);
    world.settle();
    world
}

impl World {
    fn tell(&mut self, peer: u16, prefix: Prefix, attributes: Option<&PathAttributes>) {
        let import = self.rib.peer_info(PeerId(peer)).unwrap().import.clone();
        let mut builder = BatchBuilder::new(PeerId(peer), import);
        match attributes {
            Some(attributes) => builder.announce_local(prefix, attributes),
            None => builder.withdraw(prefix),
        }
        self.rib.apply(builder.take());
        self.settle();
    }

    fn news(&mut self) -> Vec<(IpAddr, Option<(u32, u32)>)> {
        let told =
            |news: HostNews| (news.address, news.remote.map(|remote| (remote.sequence, remote.originator.0)));
        self.rib.take_host_news().into_iter().map(told).collect()
    }
}

#[test]
fn the_latest_announcement_of_others_is_told_whichever_path_wins() {
    let mut world = watching();
    let address = host(7);
    let own = PathAttributes { weight: 32_768, ..PathAttributes::originated([0, 0, 0, 0].into()) };
    world.tell(OWN, Prefix::host(address), Some(&own));
    assert_eq!(world.news(), [], "our own is no news");
    world.tell(1, Prefix::host(address), Some(&marked(1, 3, 9)));
    assert_eq!(world.news(), [(address, Some((3, 9)))], "although ours wins");
    world.tell(2, Prefix::host(address), Some(&marked(2, 3, 9)));
    assert_eq!(world.news(), [], "the same by another way");
    world.tell(2, Prefix::host(address), Some(&marked(2, 3, 4)));
    assert_eq!(world.news(), [(address, Some((3, 4)))], "of equals the lower originator");
    world.tell(2, Prefix::host(address), Some(&marked(2, 2, 4)));
    assert_eq!(world.news(), [(address, Some((3, 9)))], "and the higher sequence before it");
    world.tell(1, Prefix::host(address), None);
    assert_eq!(world.news(), [(address, Some((2, 4)))]);
    world.rib.peer_down(PeerId(2));
    world.settle();
    assert_eq!(world.news(), [(address, None)]);
}

#[test]
fn only_single_addresses_within_the_watch_count() {
    let mut world = watching();
    world.tell(1, "198.18.0.0/24".parse().unwrap(), Some(&marked(1, 1, 1)));
    world.tell(1, "198.18.1.1/32".parse().unwrap(), Some(&marked(1, 1, 1)));
    assert_eq!(world.news(), []);
    world.rib.watch_hosts(vec!["198.18.0.0/23".parse().unwrap()]);
    world.settle();
    assert_eq!(world.news(), [("198.18.1.1".parse().unwrap(), Some((1, 1)))], "what is there already");
    world.rib.watch_hosts(Vec::new());
    world.tell(1, Prefix::host(host(1)), Some(&marked(1, 1, 1)));
    assert_eq!(world.news(), []);
}

#[test]
fn a_route_without_a_mark_is_one_by_its_peer() {
    let mut world = watching();
    let mut plain = route(1);
    plain.large_communities.push(LargeCommunity(64700, 1, 2));
    world.tell(1, Prefix::host(host(1)), Some(&plain));
    assert_eq!(world.news(), [(host(1), Some((0, 1)))]);
    world.lost.insert(next_hop(2));
    world.resolve(next_hop(2));
    world.tell(2, Prefix::host(host(1)), Some(&marked(2, 9, 2)));
    assert_eq!(world.news(), [], "what cannot be reached has nothing to say");
}
