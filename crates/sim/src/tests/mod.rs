//! Property tests of the RIB, and what they share.

mod links;
mod mesh;
mod promises;
mod rebuild;
mod scenarios;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Arc, LazyLock};

use siskin_bgp::PathAttributes;
use siskin_bgp::attr::{AsPath, Community, ExtendedCommunity, Origin};
use siskin_net::{
    Asn, BgpIdentifier, Family, FamilyMap, FamilySet, Hop, NextHop, PeerId, Prefix, Resolution, RouteSource,
};
use siskin_policy::{Compiled, PolicySet, PolicySource, RuleSource, Sets};
use siskin_rib::{ExportProfile, FibAction, ImportProfile, Multipath, NextHopMode, PeerInfo, RibConfig};

use crate::encode_context;

const LOCAL: Asn = Asn(64500);
const SEED: u64 = 0x5eed;

fn config(multipath: Multipath, max_paths: u16) -> RibConfig {
    RibConfig {
        asn: LOCAL,
        identifier: BgpIdentifier(0x0a00_0001),
        cluster_id: 0x0a00_0001,
        multipath,
        max_paths,
        resolve_via_default: false,
        kernel_table: 254,
        hash_seed: SEED,
    }
}

/// Policies of every kind: none, by attributes, by prefix, by the peer a route came from.
static POLICIES: LazyLock<Vec<Option<Arc<Compiled>>>> = LazyLock::new(|| {
    let policies = [
        ("all", vec!["accept"]),
        (
            "by-community",
            vec!["reject if community has 64500:9", "set local-pref 200 if community has 64500:1", "accept"],
        ),
        (
            "by-prefix",
            vec![
                "reject if prefix in [10.1.0.0/16+, 2001:db8:1::/48+]",
                "add community 64500:7 if prefix.len > 16",
                "accept",
            ],
        ),
        (
            "by-peer",
            vec![
                "set med 5 if peer = p1",
                "reject if peer = p2",
                "prepend 64500 x2 if source = originate",
                "accept",
            ],
        ),
        (
            "next-hop",
            vec![
                "set next-hop self if community has 64500:1",
                "set weight 5 if community has 64500:7",
                "accept",
            ],
        ),
    ];
    let sources = policies.into_iter().map(|(name, rules)| PolicySource {
        name: name.into(),
        rules: rules
            .into_iter()
            .map(|text| RuleSource { text: text.into(), location: name.into() })
            .collect(),
    });
    let set = PolicySet::compile(sources.collect(), &Sets::default()).unwrap();
    let names = ["all", "by-community", "by-prefix", "by-peer", "next-hop"];
    std::iter::once(None).chain(names.into_iter().map(|name| set.get(name))).collect()
});

/// Kinds of peers, by number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    External,
    Client,
    Internal,
    Local,
}

/// What may change in the profiles of a peer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Settings {
    import: usize,
    export: usize,
    next_hop_self: bool,
    default_originate: bool,
    generation: u32,
}

fn kind(peer: u16) -> Kind {
    match peer {
        0..=2 => Kind::External,
        3 => Kind::Client,
        4 | 5 => Kind::Internal,
        _ => Kind::Local,
    }
}

fn peer_asn(peer: u16) -> Asn {
    match kind(peer) {
        // Two of them in one AS, for MED.
        Kind::External => Asn(64600 + u32::from(peer / 2)),
        _ => LOCAL,
    }
}

fn self_next_hop() -> FamilyMap<Option<NextHop>> {
    FamilyMap::from_fn(|family| {
        Some(NextHop::new(match family {
            Family::Ipv4 => IpAddr::V4(Ipv4Addr::new(192, 0, 2, 254)),
            Family::Ipv6 => IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0xff, 0, 0, 0, 0, 0xfe)),
        }))
    })
}

fn info(peer: u16, settings: Settings) -> PeerInfo {
    let (kind, asn) = (kind(peer), peer_asn(peer));
    let name: Arc<str> = format!("p{peer}").into();
    let mut import = ImportProfile::local(name.clone(), RouteSource::Originate, LOCAL, SEED);
    import.generation = settings.generation;
    import.policy = POLICIES[settings.import].clone();
    let identifier = BgpIdentifier(0x0a00_0100 + u32::from(peer));
    if kind == Kind::Local {
        return PeerInfo::local(Arc::new(import), identifier, FibAction::Blackhole);
    }
    let external = kind == Kind::External;
    import.source = RouteSource::Bgp;
    import.asn = asn;
    import.external = external;
    import.local_asns = [LOCAL].into_iter().collect();
    import.identifier = BgpIdentifier(0x0a00_0001);
    import.cluster_id = 0x0a00_0001;
    import.enforce_first_as = true;
    let local: IpAddr = [192, 0, 2, 254].into();
    import.own_addresses = Arc::new([local]);
    import.local_address = None;
    let export = ExportProfile {
        families: FamilySet::BOTH,
        local_asn: LOCAL,
        external,
        role: None,
        policy: POLICIES[settings.export].clone(),
        next_hop: if settings.next_hop_self { NextHopMode::SelfAddress } else { NextHopMode::Default },
        self_next_hop: self_next_hop(),
        peer_address: None,
        remove_private_as: false,
        prepend: 0,
        med: None,
        communities: Vec::new(),
        ext_communities: true,
        default_originate: if settings.default_originate { FamilySet::BOTH } else { FamilySet::EMPTY },
        reflector_client: kind == Kind::Client,
        cluster_id: 0x0a00_0001,
        identifier: BgpIdentifier(0x0a00_0001),
        encode: encode_context(external),
        limits: FamilyMap::default(),
        drain: siskin_rib::Drain::No,
    };
    PeerInfo {
        name,
        source: RouteSource::Bgp,
        asn,
        identifier,
        address: Some([192, 0, 2, u8::try_from(peer).unwrap()].into()),
        external,
        role: None,
        reflector_client: kind == Kind::Client,
        enhanced_refresh: peer.is_multiple_of(2),
        import: Arc::new(import),
        export: Some(export),
        fib: FibAction::Resolve,
    }
}

/// Eight prefixes of each family, some inside others.
fn prefix(n: usize) -> Prefix {
    let texts = [
        "0.0.0.0/0",
        "10.0.0.0/8",
        "10.1.0.0/16",
        "10.1.2.0/24",
        "10.2.0.0/16",
        "10.2.3.0/24",
        "198.51.100.0/24",
        "203.0.113.7/32",
        "::/0",
        "2001:db8::/32",
        "2001:db8:1::/48",
        "2001:db8:1:2::/64",
        "2001:db8:2::/48",
        "2001:db8:3::/48",
        "2001:db8:4::1/128",
        "2001:db8:5::/48",
    ];
    texts[n % texts.len()].parse().unwrap()
}

fn next_hop(family: Family, n: u8) -> NextHop {
    NextHop::new(match family {
        Family::Ipv4 => [198, 18, 0, n].into(),
        Family::Ipv6 => IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0xfe, 0, 0, 0, 0, u16::from(n))),
    })
}

fn resolution(n: u8, metric: u32) -> Resolution {
    let hop = Hop {
        gateway: Some([198, 18, 0, n].into()),
        interface: 2 + u32::from(metric > 10),
        weight: 1,
        onlink: false,
    };
    Resolution { metric, hops: [hop].into_iter().collect() }
}

/// One of many attribute sets a peer could send.
fn attributes(peer: u16, family: Family, variant: u32) -> PathAttributes {
    let bit = |n: u32| variant >> n & 1 == 1;
    let next_hop_number = u8::try_from(variant % 3).unwrap();
    let mut attributes = PathAttributes::originated(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    attributes.next_hop = next_hop(family, next_hop_number + 1);
    let path = [64700, 64701].into_iter().take(1 + usize::from(bit(2))).map(Asn);
    match kind(peer) {
        Kind::External => {
            attributes.as_path = AsPath::from_sequence(std::iter::once(peer_asn(peer)).chain(path))
        }
        Kind::Client | Kind::Internal => {
            attributes.as_path = AsPath::from_sequence(path);
            attributes.local_pref = Some(if bit(3) { 200 } else { 100 });
            if bit(4) {
                attributes.originator_id = Some(BgpIdentifier(0x0a00_0200));
                attributes.cluster_list = [77].into_iter().collect();
            }
        }
        Kind::Local => {}
    }
    attributes.origin = if bit(5) { Origin::Incomplete } else { Origin::Igp };
    attributes.med = bit(6).then_some(variant >> 7 & 1);
    let communities = [0xffff_ff01, 0xffff_ff02, 64500 << 16 | 1, 64500 << 16 | 9];
    attributes.communities =
        (8..12).filter(|n| bit(*n)).map(|n| Community(communities[n as usize - 8])).collect();
    attributes.communities.sort();
    if bit(20) {
        // Links of 1,000 or 2,000 octets a second.
        let bandwidth = if bit(21) { 2000_f32 } else { 1000_f32 };
        let community = ExtendedCommunity(0x0004_fbf4 << 32 | u64::from(bandwidth.to_bits()));
        attributes.add_ext_community(community);
    }
    if bit(12) && bit(13) && kind(peer) == Kind::External {
        attributes.as_path = attributes.as_path.prepended(LOCAL, 1);
    }
    attributes
}

const PEERS: u16 = 7;

fn id(peer: u16) -> PeerId {
    PeerId(peer)
}
