//! From a peer's configuration to what the session, import and export are told.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use siskin_bgp::attr::LargeCommunity;
use siskin_bgp::session::{Negotiated, PeerAs, SessionConfig};
use siskin_bgp::wire::Fqdn;
use siskin_config::{AsnRule, NextHopMode, Peer, PeerKind};
use siskin_fib::KernelState;
use siskin_net::{Asn, BgpIdentifier, Family, FamilyMap, FamilySet, IfIndex, NextHop, RouteSource};
use siskin_policy::{CommunityValue, Compiled};
use siskin_rib::{ExportProfile, Facts, FibAction, ImportProfile, PeerInfo};
use smallvec::SmallVec;

use super::edge;
use super::extras::Extras;
use super::lists::Lists;
use super::task::PeerSetup;
use crate::kernel::{KernelCommand, KernelHandle};
use crate::restart::Restart;

/// What is the same for all peers.
#[derive(Clone)]
pub(crate) struct Router {
    pub(crate) asn: Asn,
    pub(crate) identifier: BgpIdentifier,
    pub(crate) hash_seed: u64,
    /// Counts the profiles that were made, so that each has a generation of its own.
    pub(crate) generations: Arc<AtomicU32>,
    pub(crate) kernel: KernelHandle,
    /// What is known of the routing system.
    pub(crate) facts: Arc<ArcSwap<Facts>>,
    /// Lists of built-in rules.
    pub(crate) lists: Arc<Lists>,
    /// The large community that asks for a blackhole beside BLACKHOLE.
    pub(crate) blackhole_community: LargeCommunity,
    /// The large community that routes of our own get; `None`: none.
    pub(crate) own_community: Option<LargeCommunity>,
    pub(crate) restart: Arc<Restart>,
    /// Routes outlive us in the kernel.
    pub(crate) keeps: bool,
}

impl Router {
    fn next_generation(&self) -> u32 {
        self.generations.fetch_add(1, Ordering::Relaxed)
    }
}

/// A peer's configuration, with what is needed to make profiles of it once a session is established.
#[derive(Clone)]
pub(crate) struct Profiles {
    router: Router,
    peer: Arc<Peer>,
    extras: Extras,
    generation: u32,
}

/// Our addresses as a session over one of them needs them.
#[derive(Debug, Default)]
struct Addresses {
    /// All of this machine's, sorted.
    own: Vec<IpAddr>,
    /// On the interface of the session: a global address of each family, and the link-local one.
    global: FamilyMap<Option<IpAddr>>,
    link_local: Option<std::net::Ipv6Addr>,
    interface: IfIndex,
    /// The peer is on a network of that interface.
    on_link: bool,
}

/// What import knows of the two ends of a session.
struct Ends {
    asn: Asn,
    external: bool,
    address: Option<IpAddr>,
    local: Option<IpAddr>,
    /// Our addresses, sorted.
    own: Arc<[IpAddr]>,
}

impl Profiles {
    pub(crate) fn new(router: Router, peer: Arc<Peer>, extras: Extras) -> Profiles {
        let generation = router.next_generation();
        Profiles { router, peer, extras, generation }
    }

    /// The session's settings.
    pub(crate) fn session(&self, scope: IfIndex) -> SessionConfig {
        let settings = &self.peer.session;
        let hold_time = u16::try_from(settings.hold_time.as_secs()).unwrap_or(u16::MAX);
        SessionConfig {
            hold_time,
            families: settings.families,
            passive: settings.passive,
            fqdn: hostname(),
            graceful_restart: settings.graceful_restart.map(|restart| {
                // Without a family that outlives us, End-of-RIB is all that is asked for.
                if self.router.keeps { u16::try_from(restart.time.as_secs()).unwrap_or(u16::MAX) } else { 0 }
            }),
            forwarding: if self.router.keeps { settings.families } else { FamilySet::EMPTY },
            extended_next_hop: if settings.extended_next_hop {
                FamilySet::EMPTY.with(Family::Ipv4)
            } else {
                FamilySet::EMPTY
            },
            interface: scope,
            role: settings.role,
            strict_role: settings.role_strict,
            jitter_seed: jitter(&self.peer.name),
            ..SessionConfig::new(settings.local_asn, peer_as(&settings.asn), self.router.identifier)
        }
    }

    /// How long stale routes of the peer are kept; `None`: not at all.
    pub(crate) fn stale_time(&self) -> Option<Duration> {
        self.peer.session.graceful_restart.map(|restart| restart.stale)
    }

    /// What the next OPEN says of our restart: that it is under way, and that forwarding was preserved. `before`: the
    /// session was up already in this run.
    pub(crate) fn restart(&self, before: bool) -> (bool, bool) {
        let restart = &self.router.restart;
        (restart.is_under_way() && !before, restart.is_preserved() || before)
    }

    /// The kernel leaves these next hops wherever a route has another.
    pub(crate) fn fail_next_hops(&self, next_hops: Vec<NextHop>) {
        self.router.kernel.send(KernelCommand::FailNextHops(next_hops));
    }

    /// The interface our end of a connection is on.
    pub(crate) async fn interface_of(&self, local: SocketAddr) -> Option<IfIndex> {
        let address = local.ip().to_canonical();
        self.router.kernel.query(move |view| interface_of(view.state, address)).await.flatten()
    }

    /// The peer as the RIB sees it, once its session is established.
    pub(crate) async fn peer_info(
        &self,
        setup: &PeerSetup,
        negotiated: &Negotiated,
        local: SocketAddr,
    ) -> PeerInfo {
        let local = local.ip().to_canonical();
        let (remote, scope) = (setup.remote.ip(), setup.scope);
        let query = move |view: &mut crate::kernel::View<'_>| addresses(view.state, local, remote, scope);
        let addresses = self.router.kernel.query(query).await.unwrap_or_default();
        PeerInfo {
            name: setup.name.clone(),
            source: RouteSource::Bgp,
            asn: negotiated.peer_asn,
            identifier: negotiated.peer_identifier,
            address: Some(remote),
            external: negotiated.external,
            role: self.peer.session.role,
            reflector_client: self.peer.session.route_reflector_client,
            enhanced_refresh: negotiated.enhanced_refresh,
            import: Arc::new(self.import(Ends {
                asn: negotiated.peer_asn,
                external: negotiated.external,
                address: Some(remote),
                local: Some(local),
                own: addresses.own.clone().into(),
            })),
            export: Some(self.export(negotiated, local, remote, &addresses)),
            fib: FibAction::Resolve,
        }
    }

    /// Import as it would be in a session, for tests of policies while there is none. `None`: the configuration does not
    /// say which AS number the peer has.
    pub(crate) fn import_without_session(&self) -> Option<ImportProfile> {
        let settings = &self.peer.session;
        let asn = match &settings.asn {
            AsnRule::Is(asn) => *asn,
            AsnRule::Internal => settings.local_asn,
            AsnRule::External | AsnRule::OneOf(_) => return None,
        };
        let ends = Ends {
            asn,
            external: settings.kind() == PeerKind::External,
            address: self.peer.endpoint.address(),
            local: settings.source,
            own: Arc::new([]),
        };
        Some(self.import(ends))
    }

    fn import(&self, ends: Ends) -> ImportProfile {
        let (routes, settings) = (&self.peer.routes, &self.peer.session);
        let mut local_asns: SmallVec<[Asn; 2]> = SmallVec::from_slice(&[settings.local_asn]);
        if self.router.asn != settings.local_asn {
            local_asns.push(self.router.asn);
        }
        ImportProfile {
            hash_seed: self.router.hash_seed,
            generation: self.generation,
            name: self.peer.name.as_str().into(),
            source: RouteSource::Bgp,
            asn: ends.asn,
            role: settings.role,
            external: ends.external,
            local_asns,
            allow_own_as: routes.allow_own_as,
            identifier: self.router.identifier,
            cluster_id: self.router.identifier.0,
            enforce_first_as: routes.enforce_first_as,
            local_pref: routes.local_pref,
            table: routes.table.unwrap_or(0),
            communities: routes.communities_in.iter().collect(),
            own_addresses: ends.own,
            address: ends.address,
            local_address: ends.local,
            policy: routes.import.policy().cloned(),
            edge: edge::rules(&self.peer, &self.router, &self.extras),
            irr: edge::irr_filter(&self.peer, &self.extras),
            limits: self.extras.limits(routes.max_prefix.as_ref()),
            facts: self.router.facts.load_full(),
        }
    }

    fn export(
        &self,
        negotiated: &Negotiated,
        local: IpAddr,
        remote: IpAddr,
        addresses: &Addresses,
    ) -> ExportProfile {
        let routes = &self.peer.routes;
        ExportProfile {
            families: negotiated.families,
            local_asn: negotiated.local_asn,
            external: negotiated.external,
            role: self.peer.session.role,
            policy: routes.export.policy().cloned(),
            next_hop: match routes.next_hop {
                NextHopMode::Default => siskin_rib::NextHopMode::Default,
                NextHopMode::SelfAddress => siskin_rib::NextHopMode::SelfAddress,
                NextHopMode::Unchanged => siskin_rib::NextHopMode::Unchanged,
            },
            self_next_hop: self_next_hop(negotiated, local, addresses),
            peer_address: routes.export.policy().filter(|p| p.sets_next_hop_peer()).map(|_| remote),
            remove_private_as: routes.remove_private_as,
            prepend: routes.prepend,
            med: routes.med,
            communities: routes.communities_out.iter().collect(),
            ext_communities: true,
            default_originate: routes.default_originate,
            reflector_client: self.peer.session.route_reflector_client,
            cluster_id: self.router.identifier.0,
            identifier: self.router.identifier,
            limits: self.extras.limits(routes.max_prefix_out.as_ref()),
            drain: self.extras.drain,
            encode: negotiated.encode,
        }
    }

    /// Why a peer takes or gives nothing, in words for `siskin peers`.
    pub(crate) fn hint(peer: &Peer, extras: &Extras) -> Option<String> {
        if peer.session.kind() == PeerKind::Internal {
            return None;
        }
        let (import, export) = (peer.routes.import.policy(), peer.routes.export.policy());
        let lacks = match (import, export) {
            (None, None) => "no import or export policy: takes and gives nothing",
            (None, Some(_)) => "no import policy: takes nothing",
            (Some(_), None) => "no export policy: gives nothing",
            (Some(_), Some(_)) => return edge::hint(peer, extras),
        };
        Some(format!("{lacks} (RFC 8212)"))
    }
}

/// Import of a source of local routes.
pub(crate) fn local_import(
    router: &Router,
    name: &str,
    source: RouteSource,
    policy: Option<&Arc<Compiled>>,
) -> Arc<ImportProfile> {
    let profile = ImportProfile::local(name.into(), source, router.asn, router.hash_seed);
    Arc::new(ImportProfile {
        generation: router.next_generation(),
        communities: router.own_community.map(CommunityValue::Large).into_iter().collect(),
        policy: policy.cloned(),
        local_asns: SmallVec::from_slice(&[router.asn]),
        facts: router.facts.load_full(),
        ..profile
    })
}

/// Our next hop of each family, as RFC 4271 section 5.1.3 and RFC 2545 section 2 want it.
fn self_next_hop(
    negotiated: &Negotiated,
    local: IpAddr,
    addresses: &Addresses,
) -> FamilyMap<Option<NextHop>> {
    FamilyMap::from_fn(|family| {
        let of_session = (family_of(local) == family).then_some(local);
        let global = of_session.filter(|a| !is_link_local(*a)).or(addresses.global[family]);
        let link_local = addresses.link_local.filter(|_| addresses.on_link);
        // Where it was agreed on: over IPv6, as the others do it, and where there is no IPv4 address.
        let by_ipv6 =
            negotiated.extended_next_hop.contains(Family::Ipv4) && (local.is_ipv6() || global.is_none());
        match (family, global) {
            (Family::Ipv6, Some(address)) => {
                Some(NextHop { address, link_local, interface: addresses.interface })
            }
            (Family::Ipv4, Some(address)) if !by_ipv6 => Some(NextHop::new(address)),
            (Family::Ipv6, None) => link_local.map(|address| NextHop {
                address: address.into(),
                link_local: None,
                interface: addresses.interface,
            }),
            (Family::Ipv4, _) if by_ipv6 => {
                let address = addresses.global[Family::Ipv6].or(link_local.map(IpAddr::V6))?;
                Some(NextHop { address, link_local, interface: addresses.interface })
            }
            (Family::Ipv4, _) => None,
        }
    })
}

fn addresses(state: &KernelState, local: IpAddr, remote: IpAddr, scope: IfIndex) -> Addresses {
    let interface = if scope != 0 { scope } else { interface_of(state, local).unwrap_or(0) };
    let mut own: Vec<IpAddr> = state.addresses().map(|a| a.address).collect();
    own.sort_unstable();
    own.dedup();
    let here: Vec<_> = state.addresses().filter(|a| a.interface == interface).collect();
    let of_lo = |a: &siskin_fib::InterfaceAddress| state.link(a.interface).is_some_and(|l| l.loopback);
    let global = |family: Family| {
        let usable = |a: &IpAddr| family_of(*a) == family && !is_link_local(*a) && !a.is_loopback();
        let on_interface = here.iter().map(|a| a.address).find(usable);
        // A session over an address of lo, or over an interface without one of the family: any address of lo.
        on_interface.or_else(|| state.addresses().filter(|a| of_lo(a)).map(|a| a.address).find(usable))
    };
    Addresses {
        global: FamilyMap::from_fn(global),
        link_local: here.iter().find_map(|a| match a.address {
            IpAddr::V6(v6) if v6.is_unicast_link_local() => Some(v6),
            _ => None,
        }),
        interface,
        on_link: is_link_local(remote) || here.iter().any(|a| a.prefix.contains(remote)),
        own,
    }
}

fn interface_of(state: &KernelState, address: IpAddr) -> Option<IfIndex> {
    state.addresses().find(|a| a.address == address).map(|a| a.interface)
}

fn family_of(address: IpAddr) -> Family {
    if address.is_ipv4() { Family::Ipv4 } else { Family::Ipv6 }
}

fn is_link_local(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(a) if a.is_unicast_link_local())
}

fn peer_as(rule: &AsnRule) -> PeerAs {
    match rule {
        AsnRule::Is(asn) => PeerAs::Exactly(*asn),
        AsnRule::External => PeerAs::External,
        AsnRule::Internal => PeerAs::Internal,
        AsnRule::OneOf(ranges) => PeerAs::OneOf(ranges.iter().map(|r| r.start().0..=r.end().0).collect()),
    }
}

fn hostname() -> Option<Fqdn> {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").ok()?.trim().to_owned();
    Some(Fqdn { host, domain: String::new() })
}

/// Different for each peer, so that many sessions do not retry in step.
fn jitter(name: &str) -> u32 {
    use std::hash::{BuildHasher, RandomState};
    u32::try_from(RandomState::new().hash_one(name) >> 32).unwrap_or(1).max(1)
}
