//! Scenarios of one RIB with its peers. Random ones are in `siskin-sim`.

mod filters;

use std::collections::{BTreeMap, BTreeSet};

use bytes::{Bytes, BytesMut};
use siskin_bgp::PathAttributes;
use siskin_bgp::attr::{AsPath, Community};
use siskin_bgp::wire::{
    DecodeContext, EncodeContext, HEADER_LEN, MAX_LEN, MessageType, RefreshKind, RouteRefresh, decode_update,
    frame, message_type,
};
use siskin_net::{Asn, BgpIdentifier, Hop, Prefix, Resolution, RouteSource};
use siskin_policy::{Builtin, Compiled, PolicySet, PolicySource, RuleSource, Sets};

mod recursion;
mod restart;
mod tables;
mod watch;

use super::*;
use crate::batch::BatchBuilder;
use crate::config::{FibAction, Multipath};
use crate::decision::Step;
use crate::export::{Drain, NextHopMode};

const LOCAL: Asn = Asn(64500);

/// What a peer hears, in order.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Heard {
    Announced(Prefix),
    Withdrawn(Prefix),
    EndOfRib(Family),
    Mark(Family, RefreshKind),
}

/// Queues that remember everything; peers in `full` have no room.
#[derive(Default)]
struct Queues {
    heard: BTreeMap<PeerId, Vec<Heard>>,
    full: BTreeSet<PeerId>,
}

impl Outbox for Queues {
    fn room(&self, peer: PeerId) -> bool {
        !self.full.contains(&peer)
    }
    fn send(&mut self, peer: PeerId, bytes: Bytes) {
        assert!(self.room(peer), "no message without room");
        let heard = self.heard.entry(peer).or_default();
        let mut buffer = BytesMut::from(&bytes[..]);
        while let Some(message) = frame(&mut buffer, MAX_LEN).unwrap() {
            if message_type(&message) == Some(MessageType::RouteRefresh) {
                let mark = RouteRefresh::decode(&message).unwrap().unwrap();
                heard.push(Heard::Mark(mark.family, mark.kind));
                continue;
            }
            let update = decode_update(&message[HEADER_LEN..], &decode_context()).unwrap();
            heard.extend(update.unreach.iter().flat_map(|u| &u.prefixes).copied().map(Heard::Withdrawn));
            heard.extend(update.reach.iter().flat_map(|r| &r.prefixes).copied().map(Heard::Announced));
            heard.extend(update.end_of_rib.map(Heard::EndOfRib));
        }
    }
}

fn decode_context() -> DecodeContext {
    DecodeContext {
        four_octet_as: true,
        families: FamilySet::BOTH,
        add_path: FamilySet::EMPTY,
        external: true,
        extended_next_hop: false,
        interface: 0,
    }
}

fn policy(rules: &[&str]) -> Option<Arc<Compiled>> {
    let rules = rules.iter().map(|text| RuleSource { text: (*text).into(), location: "test".into() });
    let source = PolicySource { name: "test".into(), rules: rules.collect() };
    PolicySet::compile(vec![source], &Sets::default()).unwrap().get("test")
}

fn import(peer: u16, generation: u32, rules: &[&str]) -> Arc<ImportProfile> {
    let name = format!("p{peer}").into();
    let mut import = ImportProfile::local(name, RouteSource::Bgp, Asn(64600 + u32::from(peer)), 7);
    import.external = true;
    import.generation = generation;
    import.policy = policy(rules);
    Arc::new(import)
}

fn export(rules: &[&str]) -> ExportProfile {
    ExportProfile {
        families: FamilySet::BOTH,
        local_asn: LOCAL,
        external: true,
        role: None,
        policy: policy(rules),
        next_hop: NextHopMode::Default,
        self_next_hop: FamilyMap::from_fn(|family| {
            let own = if family == Family::Ipv4 { "192.0.2.254" } else { "2001:db8::fe" };
            Some(NextHop::new(own.parse().unwrap()))
        }),
        peer_address: None,
        remove_private_as: false,
        prepend: 0,
        med: None,
        communities: Vec::new(),
        ext_communities: true,
        default_originate: FamilySet::EMPTY,
        reflector_client: false,
        cluster_id: 1,
        identifier: BgpIdentifier(1),
        limits: FamilyMap::default(),
        drain: Drain::No,
        encode: EncodeContext {
            four_octet_as: true,
            max_len: MAX_LEN,
            extended_next_hop: false,
            add_path: FamilySet::EMPTY,
            external: true,
        },
    }
}

fn info(peer: u16) -> PeerInfo {
    let import = import(peer, 0, &["accept"]);
    let local = PeerInfo::local(import, BgpIdentifier(u32::from(peer)), FibAction::Resolve);
    let address = Some([192, 0, 2, u8::try_from(peer).unwrap()].into());
    PeerInfo { external: true, enhanced_refresh: true, export: Some(export(&["accept"])), address, ..local }
}

fn next_hop(peer: u16) -> NextHop {
    NextHop::new([198, 51, 100, u8::try_from(peer).unwrap()].into())
}

fn prefix(n: u32) -> Prefix {
    Prefix::from_bits(Family::Ipv4, u128::from(0x0a00_0000 + (n << 8)) << 96, 24)
}

fn route(peer: u16) -> PathAttributes {
    let mut attributes = PathAttributes::originated(next_hop(peer).address);
    attributes.as_path = AsPath::from_sequence([Asn(64600 + u32::from(peer)), Asn(64700)]);
    attributes
}

impl Heard {
    /// Announcements, then withdrawals, then marks; each in order.
    fn rank(&self) -> (u8, Option<Prefix>) {
        match self {
            Heard::Announced(prefix) => (0, Some(*prefix)),
            Heard::Withdrawn(prefix) => (1, Some(*prefix)),
            Heard::EndOfRib(_) => (2, None),
            Heard::Mark(..) => (3, None),
        }
    }
}

struct World {
    rib: Rib,
    queues: Queues,
    kernel: BTreeMap<Prefix, siskin_net::NextHopGroup>,
    /// The same by table.
    places: BTreeMap<(u32, Prefix), siskin_net::NextHopGroup>,
    /// Next hops that cannot be reached.
    lost: BTreeSet<NextHop>,
}

impl World {
    fn new(peers: &[u16]) -> World {
        let config = RibConfig {
            asn: LOCAL,
            identifier: BgpIdentifier(1),
            cluster_id: 1,
            multipath: Multipath::Relaxed,
            max_paths: 1,
            resolve_via_default: false,
            kernel_table: 254,
            hash_seed: 7,
        };
        let mut world = World {
            rib: Rib::new(config),
            queues: Queues::default(),
            kernel: BTreeMap::new(),
            places: BTreeMap::new(),
            lost: BTreeSet::new(),
        };
        for peer in peers {
            world.rib.peer_up(PeerId(*peer), info(*peer));
        }
        world.settle();
        world.queues.heard.clear();
        world
    }

    fn announce(&mut self, peer: u16, prefixes: impl IntoIterator<Item = u32>, attributes: &PathAttributes) {
        let import = self.rib.peer_info(PeerId(peer)).unwrap().import.clone();
        let mut builder = BatchBuilder::new(PeerId(peer), import);
        prefixes.into_iter().for_each(|n| builder.announce_local(prefix(n), attributes));
        self.rib.apply(builder.take());
    }

    fn withdraw(&mut self, peer: u16, prefixes: impl IntoIterator<Item = u32>) {
        let mut builder = BatchBuilder::new(PeerId(peer), import(peer, 0, &["accept"]));
        prefixes.into_iter().for_each(|n| builder.withdraw(prefix(n)));
        self.rib.apply(builder.take());
    }

    fn resolve(&mut self, next_hop: NextHop) {
        let hop = Hop { gateway: Some(next_hop.address), interface: 2, weight: 1, onlink: false };
        let found = Resolution { metric: 0, hops: [hop].into_iter().collect() };
        self.rib.set_next_hop(next_hop, (!self.lost.contains(&next_hop)).then_some(found));
    }

    fn settle(&mut self) {
        for _ in 0..10_000 {
            let mut more = self.rib.turn(500);
            for request in self.rib.take_next_hop_requests() {
                more = true;
                if let NextHopRequest::Track(next_hop) = request {
                    self.resolve(next_hop);
                }
            }
            let mut updates = Vec::new();
            more |= self.rib.drain_fib(500, &mut updates);
            for FibUpdate { prefix, table, target, leaves } in updates {
                leaves.and_then(|table| self.places.remove(&(table, prefix)));
                match target {
                    Some(group) => {
                        self.places.insert((table, prefix), (*group).clone());
                        self.kernel.insert(prefix, (*group).clone())
                    }
                    None => {
                        self.places.remove(&(table, prefix));
                        self.kernel.remove(&prefix)
                    }
                };
            }
            more |= self.rib.export_turn(&mut self.queues, 500);
            if !more {
                return;
            }
        }
        unreachable!("no rest");
    }

    /// What a peer heard since the last question, sorted.
    fn heard(&mut self, peer: u16) -> Vec<Heard> {
        let mut heard = self.queues.heard.remove(&PeerId(peer)).unwrap_or_default();
        heard.sort_by_key(Heard::rank);
        heard
    }

    fn best(&self, n: u32) -> Option<u16> {
        let route = self.rib.lookup(prefix(n))?;
        route.paths.iter().find(|path| path.best).map(|path| path.peer.0)
    }
}

fn announced(prefixes: impl IntoIterator<Item = u32>) -> Vec<Heard> {
    prefixes.into_iter().map(|n| Heard::Announced(prefix(n))).collect()
}

fn withdrawn(prefixes: impl IntoIterator<Item = u32>) -> Vec<Heard> {
    prefixes.into_iter().map(|n| Heard::Withdrawn(prefix(n))).collect()
}

#[test]
fn a_route_goes_to_all_but_its_sender_and_leaves_with_it() {
    let mut world = World::new(&[1, 2, 3]);
    world.announce(1, 0..10, &route(1));
    world.settle();
    assert_eq!(world.heard(1), []);
    assert_eq!(world.heard(2), announced(0..10));
    assert_eq!(world.heard(3), announced(0..10));
    assert_eq!(world.kernel.len(), 10);
    world.announce(2, 0..5, &route(2));
    world.settle();
    assert_eq!((world.best(0), world.heard(1), world.heard(3)), (Some(1), vec![], vec![]));
    world.rib.peer_down(PeerId(1));
    world.queues.heard.clear();
    assert_eq!(world.rib.lookup(prefix(9)).map(|route| route.paths.len()), None, "dead before it is swept");
    world.settle();
    assert_eq!(world.best(0), Some(2));
    assert_eq!(world.heard(3), [announced(0..5), withdrawn(5..10)].concat());
    assert_eq!(world.heard(2), withdrawn(0..10), "its own routes are not told to it");
    assert_eq!(world.rib.counts()[Family::Ipv4], TableCounts { prefixes: 5, paths: 5 });
    assert_eq!(world.kernel.len(), 5);
}

#[test]
fn sessions_that_flap_more_often_than_sweeps_run_are_told_apart() {
    let mut world = World::new(&[1, 2]);
    for round in 0..600 {
        world.announce(1, [round % 7], &route(1));
        world.rib.peer_down(PeerId(1));
        world.rib.peer_up(PeerId(1), info(1));
    }
    world.settle();
    assert_eq!(world.rib.counts()[Family::Ipv4], TableCounts::default());
    assert_eq!(world.rib.memory().attribute_sets, 0);
}

#[test]
fn a_new_policy_judges_what_was_received_and_sends_only_differences() {
    let mut world = World::new(&[1, 2]);
    world.announce(1, 0..10, &route(1));
    world.settle();
    world.heard(2);
    let narrow = import(1, 1, &["reject if prefix in [10.0.0.0/22+]", "accept"]);
    world.rib.update_profiles(PeerId(1), narrow, Some(export(&["accept"])));
    world.settle();
    assert_eq!(world.heard(2), withdrawn(0..4));
    let counts = world.rib.peer_counts(PeerId(1))[Family::Ipv4].paths;
    assert_eq!((counts.received, counts.accepted, counts.selected), (10, 6, 6));
    let rejected = world.rib.lookup(prefix(0)).unwrap().paths.remove(0);
    assert!(rejected.accepted.is_none() && rejected.rejected.is_some());
    world.rib.update_profiles(PeerId(1), import(1, 2, &["accept"]), Some(export(&["accept"])));
    world.settle();
    assert_eq!(world.heard(2), announced(0..4), "they come back without a refresh");
    // Export: only what comes out differently.
    let rules =
        ["add community 64500:1 if prefix in [10.0.0.0/23+]", "reject if prefix in [10.0.9.0/24]", "accept"];
    world.rib.update_profiles(PeerId(2), import(2, 0, &["accept"]), Some(export(&rules)));
    world.settle();
    assert_eq!(world.heard(2), [announced(0..2), withdrawn([9])].concat());
    let sent = world.rib.exported(PeerId(2), prefix(1)).unwrap();
    assert_eq!(sent.attributes.communities.to_vec(), [Community(64500 << 16 | 1)]);
    assert!(world.rib.exported(PeerId(2), prefix(9)).is_none());
    assert_eq!(world.rib.peer_counts(PeerId(2))[Family::Ipv4].advertised, 9);
}

#[test]
fn a_batch_judged_by_an_older_policy_is_judged_again() {
    let mut world = World::new(&[1, 2]);
    let mut builder = BatchBuilder::new(PeerId(1), import(1, 0, &["accept"]));
    builder.announce_local(prefix(1), &route(1));
    world.rib.update_profiles(PeerId(1), import(1, 1, &["reject"]), Some(export(&["accept"])));
    world.rib.apply(builder.take());
    world.settle();
    assert_eq!((world.heard(2), world.best(1)), (vec![], None));
}

#[test]
fn a_slow_member_holds_nobody_back_and_misses_nothing() {
    let mut world = World::new(&[1, 2, 3]);
    assert_eq!(world.rib.group_count(), 1);
    world.queues.full.insert(PeerId(3));
    world.announce(1, 0..2000, &route(1));
    world.settle();
    world.withdraw(1, 0..1990);
    world.settle();
    assert_eq!(world.heard(2).len(), 2000 + 1990);
    assert_eq!(world.heard(3), []);
    assert_eq!(world.rib.peer_counts(PeerId(3))[Family::Ipv4].pending, 2000);
    world.queues.full.clear();
    world.settle();
    assert_eq!(world.heard(3), announced(1990..2000), "what came and went is not told");
    assert_eq!(world.rib.counts()[Family::Ipv4].prefixes, 10);
}

#[test]
fn end_of_rib_comes_once_for_each_family_behind_the_routes() {
    let mut world = World::new(&[1]);
    world.announce(1, 0..1200, &route(1));
    world.settle();
    world.rib.peer_up(PeerId(2), info(2));
    world.settle();
    world.announce(1, 2000..2001, &route(1));
    world.settle();
    let heard = world.queues.heard.remove(&PeerId(2)).unwrap();
    let position = |mark| heard.iter().position(|h| *h == Heard::EndOfRib(mark)).unwrap();
    assert_eq!(heard.iter().filter(|h| matches!(h, Heard::EndOfRib(_))).count(), 2);
    assert_eq!(
        heard[..position(Family::Ipv4)].iter().filter(|h| matches!(h, Heard::Announced(_))).count(),
        1200
    );
    assert_eq!(heard.len(), 1203);
    assert!(position(Family::Ipv6) < 1203);
}

#[test]
fn a_refresh_is_marked_at_both_ends_and_waits_for_the_end_of_rib() {
    let mut world = World::new(&[1, 2]);
    world.announce(1, 0..700, &route(1));
    world.settle();
    world.heard(2);
    world.rib.refresh_out(PeerId(2), Family::Ipv4);
    world.settle();
    let heard = world.queues.heard.remove(&PeerId(2)).unwrap();
    assert_eq!(heard.first(), Some(&Heard::Mark(Family::Ipv4, RefreshKind::Begin)));
    assert_eq!(heard.last(), Some(&Heard::Mark(Family::Ipv4, RefreshKind::End)));
    assert_eq!(heard.len(), 702);
    assert_eq!(world.heard(1), []);
    // RFC 2918 alone: no marks, and no second End-of-RIB.
    world.rib.peer_up(PeerId(3), PeerInfo { enhanced_refresh: false, ..info(3) });
    world.settle();
    world.heard(3);
    world.rib.refresh_out(PeerId(3), Family::Ipv4);
    world.settle();
    assert_eq!(world.heard(3), announced(0..700));
    // Asked before the first End-of-RIB: the marks come behind it.
    world.rib.peer_up(PeerId(4), info(4));
    world.rib.refresh_out(PeerId(4), Family::Ipv4);
    world.settle();
    let heard = world.queues.heard.remove(&PeerId(4)).unwrap();
    let position = |what: Heard| heard.iter().position(|h| *h == what).unwrap();
    let begin = position(Heard::Mark(Family::Ipv4, RefreshKind::Begin));
    assert!(position(Heard::EndOfRib(Family::Ipv4)) < begin);
    assert_eq!(position(Heard::Mark(Family::Ipv4, RefreshKind::End)), begin + 701);
    assert_eq!(heard.len(), 700 + 700 + 4);
}

#[test]
fn a_prefix_that_comes_twice_in_a_batch_has_one_path() {
    let mut world = World::new(&[1, 2]);
    world.announce(1, [0, 0, 1, 0], &route(1));
    world.settle();
    assert_eq!(world.rib.lookup(prefix(0)).unwrap().paths.len(), 1);
    assert_eq!(world.rib.peer_counts(PeerId(1))[Family::Ipv4].paths.received, 2);
    world.withdraw(1, 0..2);
    world.settle();
    assert_eq!((world.rib.lookup(prefix(0)).is_none(), world.kernel.len()), (true, 0));
}

#[test]
fn a_lost_next_hop_takes_its_paths_out_until_it_is_back() {
    let mut world = World::new(&[1, 2, 3]);
    world.announce(1, 0..3, &route(1));
    world.announce(2, 0..1, &route(2));
    world.settle();
    world.heard(3);
    world.lost.insert(next_hop(1));
    world.resolve(next_hop(1));
    assert!(!world.rib.is_settled(), "a walk is due");
    world.settle();
    assert!(world.rib.is_settled());
    assert_eq!((world.best(0), world.best(1)), (Some(2), None));
    assert_eq!(world.heard(3), [announced(0..1), withdrawn(1..3)].concat());
    assert_eq!(world.kernel.len(), 1);
    let path = world.rib.lookup(prefix(1)).unwrap().paths.remove(0);
    assert!(path.accepted.is_some() && !path.next_hop_reachable());
    world.lost.clear();
    world.resolve(next_hop(1));
    world.settle();
    assert_eq!(world.heard(3), announced(0..3));
    assert_eq!(world.kernel.len(), 3);
}

#[test]
fn nothing_is_settled_before_a_next_hop_is_answered_for() {
    let mut world = World::new(&[1]);
    world.announce(1, 0..1, &route(1));
    while world.rib.turn(100) || world.rib.drain_fib(100, &mut Vec::new()) {}
    assert!(!world.rib.is_settled(), "nobody has asked yet");
    let requests = world.rib.take_next_hop_requests();
    assert_eq!(requests, [NextHopRequest::Track(next_hop(1))]);
    assert!(!world.rib.is_settled(), "nobody has answered yet");
    world.rib.set_next_hop(next_hop(1), None);
    assert!(world.rib.is_settled(), "it cannot be reached: that is an answer");
}

#[test]
fn walks_are_resumable_and_see_every_prefix_once() {
    let mut world = World::new(&[1, 2]);
    world.announce(1, 0..50, &route(1));
    world.announce(2, 40..60, &route(2));
    world.settle();
    for (limit, budget) in [(1000, 1000), (7, 1000), (1000, 3), (1, 1)] {
        let (mut seen, mut counted) = (Vec::new(), 0);
        let mut cursor = Some(Cursor::start(Family::Ipv4));
        while let Some(at) = cursor {
            let page = world.rib.walk_routes(at, View::All, Some(PeerId(2)), None, limit, budget);
            assert!(page.items.len() <= limit);
            seen.extend(page.items.iter().map(|route| route.prefix));
            cursor = page.next;
        }
        cursor = Some(Cursor::start(Family::Ipv4));
        while let Some(at) = cursor {
            let (n, next) = world.rib.count_routes(at, View::All, Some(PeerId(2)), None, budget);
            (counted, cursor) = (counted + n, next);
        }
        seen.sort();
        assert_eq!(seen, (40..60).map(prefix).collect::<Vec<_>>());
        assert_eq!(counted, 20);
    }
    let within = Some("10.0.0.0/22".parse().unwrap());
    let exported = world.rib.walk_exported(Cursor::start(Family::Ipv4), PeerId(2), within, 100, 1000);
    assert_eq!(exported.items.len(), 4);
    let best = |peer| {
        world.rib.count_routes(Cursor::start(Family::Ipv4), View::Best, Some(PeerId(peer)), None, 999).0
    };
    assert_eq!((best(1), best(2)), (50, 10));
    assert_eq!(world.rib.longest_match("10.0.3.9".parse().unwrap()), Some(prefix(3)));
    assert_eq!(world.rib.longest_match("10.0.99.9".parse().unwrap()), None);
}

#[test]
fn explain_tells_checks_rules_decision_and_exports() {
    let mut world = World::new(&[1, 2, 3]);
    let mut longer = route(2);
    longer.as_path = longer.as_path.prepended(Asn(64602), 1);
    let mut looped = route(3);
    looped.next_hop = NextHop::new([127, 0, 0, 1].into());
    world.announce(1, [5], &route(1));
    world.announce(2, [5], &longer);
    world.announce(3, [5], &looped);
    world.settle();
    let explained = world.rib.explain(prefix(5), None).unwrap();
    let path = |peer| explained.paths.iter().find(|p| p.path.peer == PeerId(peer)).unwrap();
    assert!(path(1).path.best && path(1).lost.is_none());
    let lost = path(2).lost.clone().unwrap();
    assert_eq!((lost.to, lost.step), (PeerId(1), Step::AsPathLength));
    assert_eq!((lost.winner.as_str(), lost.own.as_str()), ("2", "3"));
    let failed = CheckOutcome { reason: Builtin::Martian, passed: false };
    assert_eq!(path(3).checks.last(), Some(&failed));
    assert!(path(3).policy.is_none() && path(1).policy.is_some());
    assert_eq!(explained.forwarding, world.kernel.get(&prefix(5)).cloned());
    let to = |peer| explained.exports.iter().find(|e| e.peer == PeerId(peer)).unwrap();
    assert_eq!(to(1).rule.and_then(siskin_policy::RuleId::builtin), Some(Builtin::SplitHorizon));
    assert!(to(2).attributes.is_some() && to(3).attributes.is_some());
    let one = world.rib.explain(prefix(5), Some(PeerId(2))).unwrap();
    assert_eq!((one.paths.len(), one.exports.len()), (1, 1));
    assert!(world.rib.explain(prefix(6), None).is_none());
}

#[test]
fn memory_is_given_back_after_a_big_drop() {
    let mut world = World::new(&[1, 2]);
    for n in 0..60_000 {
        let mut attributes = route(1);
        attributes.med = Some(n / 2);
        world.announce(1, [n], &attributes);
    }
    world.settle();
    let full = world.rib.memory();
    assert_eq!(full.attribute_sets, 30_000);
    world.rib.peer_down(PeerId(1));
    world.settle();
    let left = world.rib.memory();
    assert_eq!((left.attribute_sets, world.rib.counts()[Family::Ipv4].prefixes), (0, 0));
    let sum = |m: Memory| m.destinations + m.paths + m.attribute_index + m.attribute_bytes + m.groups;
    assert!(sum(left) < sum(full) / 10, "{left:?} of {full:?}");
}

#[test]
fn a_default_route_is_made_for_those_who_are_to_have_one() {
    let mut world = World::new(&[1]);
    let profile =
        ExportProfile { default_originate: FamilySet::EMPTY.with(Family::Ipv4), ..export(&["reject"]) };
    world.rib.peer_up(PeerId(2), PeerInfo { export: Some(profile), ..info(2) });
    world.announce(1, 0..3, &route(1));
    world.settle();
    let default = Prefix::default_route(Family::Ipv4);
    let heard = world.heard(2);
    assert!(heard.contains(&Heard::Announced(default)));
    assert_eq!(heard.iter().filter(|h| matches!(h, Heard::Announced(_))).count(), 1);
    assert!(world.rib.exported(PeerId(2), default).unwrap().source.is_none());
    world.rib.update_profiles(PeerId(2), import(2, 0, &["accept"]), Some(export(&["reject"])));
    world.settle();
    assert_eq!(world.heard(2), [Heard::Withdrawn(default)]);
    assert!(world.rib.lookup(default).is_none());
}
