//! Routes that begin here: originated prefixes, and the sources of redistributed and host routes in the RIB.

use std::collections::BTreeMap;
use std::sync::Arc;

use siskin_bgp::PathAttributes;
use siskin_bgp::attr::Origin;
use siskin_config::{Communities, Config, Guard, HostRoutes, HostTimers, OriginateKernel};
use siskin_neighbor::{DomainConfig, Filter, Gateway, Limits, Mac, Timers, Vm};
use siskin_net::{Family, PeerId, Prefix, RouteSource};
use siskin_rib::{BatchBuilder, FibAction, ImportProfile, PeerInfo};

use crate::core::{RibCommand, RibHandle};
use crate::hosts::{Baseline, Domain, HostsHandle, Identity, Setup};
use crate::kernel::{KernelCommand, KernelHandle, RedistributeSource, local_attributes};
use crate::peer::{Router, local_import};

/// The source of originated prefixes of each kind.
const ORIGINATE: [(OriginateKernel, PeerId, FibAction); 4] = [
    (OriginateKernel::Blackhole, PeerId(0), FibAction::Blackhole),
    (OriginateKernel::Unreachable, PeerId(1), FibAction::Unreachable),
    (OriginateKernel::None, PeerId(2), FibAction::None),
    (OriginateKernel::Prohibit, PeerId(4), FibAction::Prohibit),
];
/// The sources of redistributed routes.
const REDISTRIBUTE: [(RouteSource, PeerId); 3] =
    [(RouteSource::Connected, PeerId(3)), (RouteSource::Static, PeerId(5)), (RouteSource::Kernel, PeerId(6))];
/// The sources of host routes get numbers from here on; peers begin at 256.
const FIRST_HOST_ROUTES: u16 = 16;
/// So many interfaces can have host routes.
const MAX_HOST_ROUTES: u16 = 240;

/// What local sources have announced so far.
#[derive(Default)]
pub(crate) struct LocalSources {
    originated: BTreeMap<Prefix, (OriginateKernel, PathAttributes)>,
    begun: Vec<PeerId>,
    redistributed: Vec<PeerId>,
    host_routes: BTreeMap<String, PeerId>,
    listening: bool,
}

impl LocalSources {
    /// Announces what `[[originate]]` has that is new or different, and withdraws what it has no longer.
    pub(crate) async fn originate(&mut self, config: &Config, rib: &RibHandle, router: &Router) {
        let wanted: BTreeMap<Prefix, (OriginateKernel, PathAttributes)> = config
            .originate
            .iter()
            .map(|o| (o.prefix, (o.kernel, attributes(o.prefix.family(), &o.communities))))
            .collect();
        for (kind, peer, action) in ORIGINATE {
            let of_kind = |routes: &BTreeMap<Prefix, (OriginateKernel, PathAttributes)>| {
                routes
                    .iter()
                    .filter(|(_, (k, _))| *k == kind)
                    .map(|(p, (_, a))| (*p, a.clone()))
                    .collect::<BTreeMap<_, _>>()
            };
            let (before, now) = (of_kind(&self.originated), of_kind(&wanted));
            if before.is_empty() && now.is_empty() {
                continue;
            }
            let import = local_import(router, "originate", RouteSource::Originate, None);
            self.begin(peer, import.clone(), action, rib, router).await;
            let mut builder = BatchBuilder::new(peer, import);
            for gone in before.keys().filter(|p| !now.contains_key(p)) {
                builder.withdraw(*gone);
            }
            for (prefix, attributes) in now.iter().filter(|(p, a)| before.get(p) != Some(a)) {
                builder.announce_local(*prefix, attributes);
            }
            if !builder.is_empty() {
                rib.send(RibCommand::Batch(builder.take())).await;
            }
        }
        self.originated = wanted;
    }

    /// Begins, changes and ends redistribution as the configuration says.
    pub(crate) async fn redistribute(
        &mut self,
        config: &Config,
        rib: &RibHandle,
        kernel: &KernelHandle,
        router: &Router,
    ) {
        for (kind, peer) in REDISTRIBUTE {
            let section = match kind {
                RouteSource::Connected => &config.redistribute.connected,
                RouteSource::Static => &config.redistribute.static_routes,
                _ => &config.redistribute.kernel,
            };
            let Some(section) = section else {
                if self.redistributed.contains(&peer) {
                    self.redistributed.retain(|p| *p != peer);
                    kernel.send(KernelCommand::Redistribute(kind, None));
                    self.end(peer, rib).await;
                }
                continue;
            };
            if !self.redistributed.contains(&peer) {
                self.redistributed.push(peer);
            }
            let import = local_import(router, kind.name(), kind, section.policy.as_ref());
            self.begin(peer, import.clone(), FibAction::None, rib, router).await;
            let source = Box::new(RedistributeSource::new(kind, peer, import));
            kernel.send(KernelCommand::Redistribute(kind, Some(source)));
        }
    }

    /// Tells the host-route thread which interfaces there are now.
    pub(crate) async fn host_routes(
        &mut self,
        config: &Config,
        rib: &RibHandle,
        kernel: &KernelHandle,
        hosts: &HostsHandle,
        router: &Router,
    ) {
        let gone: Vec<String> =
            self.host_routes.keys().filter(|n| !config.host_routes.contains_key(*n)).cloned().collect();
        let mut domains = Vec::new();
        for (name, section) in &config.host_routes {
            let Some(peer) = self.host_route_source(name) else {
                tracing::error!(interface = %name, "more than {MAX_HOST_ROUTES} interfaces have host routes; left out");
                continue;
            };
            let import = local_import(router, name, RouteSource::HostRoute, section.policy.as_ref());
            self.begin(peer, import.clone(), FibAction::Resolve, rib, router).await;
            domains.push(Domain { name: name.clone(), config: domain(section), peer, import });
        }
        if domains.is_empty() && !self.listening {
            return;
        }
        let baseline = if self.listening { None } else { kernel.query(Baseline::of).await };
        self.listening = true;
        let prefixes = domains.iter().flat_map(|domain| domain.config.prefixes.iter().copied()).collect();
        let identity = Identity { asn: router.asn, identifier: router.identifier };
        hosts.configure(Setup { domains, identity, baseline });
        rib.send(RibCommand::WatchHosts { prefixes, told: hosts.clone() }).await;
        for name in gone {
            if let Some(peer) = self.host_routes.remove(&name) {
                self.end(peer, rib).await;
            }
        }
    }

    /// The number of a source by its name in tables.
    pub(crate) fn find(&self, name: &str) -> Option<PeerId> {
        let kinds = REDISTRIBUTE.into_iter().find(|(kind, _)| kind.name() == name);
        let redistributed = kinds.map(|(_, peer)| peer).filter(|peer| self.redistributed.contains(peer));
        redistributed.or_else(|| self.host_routes.get(name).copied())
    }

    fn host_route_source(&mut self, name: &str) -> Option<PeerId> {
        if let Some(peer) = self.host_routes.get(name) {
            return Some(*peer);
        }
        let taken = |id| self.host_routes.values().any(|p| *p == PeerId(id));
        let free = (FIRST_HOST_ROUTES..FIRST_HOST_ROUTES + MAX_HOST_ROUTES).find(|id| !taken(*id))?;
        self.host_routes.insert(name.to_owned(), PeerId(free));
        Some(PeerId(free))
    }

    /// A source's routes may come from now on; if it is there already, they are judged by `import` again.
    async fn begin(
        &mut self,
        id: PeerId,
        import: Arc<ImportProfile>,
        action: FibAction,
        rib: &RibHandle,
        router: &Router,
    ) {
        if self.begun.contains(&id) {
            rib.send(RibCommand::Profiles { id, import, export: None }).await;
            return;
        }
        self.begun.push(id);
        let info = Box::new(PeerInfo::local(import, router.identifier, action));
        rib.send(RibCommand::PeerUp { id, info, queue: None }).await;
    }

    async fn end(&mut self, id: PeerId, rib: &RibHandle) {
        self.begun.retain(|b| *b != id);
        rib.send(RibCommand::PeerDown { id }).await;
    }
}

fn attributes(family: Family, communities: &Communities) -> PathAttributes {
    let mut attributes = local_attributes(family, Origin::Igp);
    attributes.communities = communities.standard.iter().copied().collect();
    attributes.ext_communities = communities.extended.iter().copied().collect();
    attributes.large_communities = communities.large.iter().copied().collect();
    attributes
}

fn domain(section: &HostRoutes) -> DomainConfig {
    use std::net::IpAddr;
    DomainConfig {
        prefixes: section.prefixes.clone(),
        ports: section.ports.clone(),
        vlan: section.vlan,
        gateway: Gateway {
            ipv4: section.gateway[Family::Ipv4].and_then(|a| match a {
                IpAddr::V4(a) => Some(a),
                IpAddr::V6(_) => None,
            }),
            ipv6: section.gateway[Family::Ipv6].and_then(|a| match a {
                IpAddr::V6(a) => Some(a),
                IpAddr::V4(_) => None,
            }),
        },
        guard: match section.guard {
            Guard::Open => siskin_neighbor::Guard::Open,
            Guard::Pinned => siskin_neighbor::Guard::Pinned,
            Guard::Provisioned => siskin_neighbor::Guard::Provisioned,
        },
        vms: section
            .vms
            .iter()
            .map(|vm| Vm {
                name: vm.name.clone(),
                mac: Mac(vm.mac.0),
                addresses: vm.addresses.clone(),
                port: vm.port.clone(),
            })
            .collect(),
        timers: timers(&section.timers),
        limits: Limits {
            per_port: section.limits.per_port,
            candidates_per_port: section.limits.candidates_per_port,
            frames_per_second: section.limits.frames_per_second,
            burst: section.limits.burst,
        },
        filter: section.filter.then_some(Filter { isolate: section.isolate }),
        announce_without_evidence: section.announce_without_evidence,
    }
}

fn timers(timers: &HostTimers) -> Timers {
    Timers {
        probe_interval: timers.probe_interval,
        probe_count: timers.probe_count,
        probe_gap: timers.probe_gap,
        challenge_gap: timers.challenge_gap,
        candidate_wait: timers.candidate_wait,
        candidate_timeout: timers.candidate_timeout,
        carrier_delay: timers.carrier_delay,
        adopt_sweep: timers.adopt_sweep,
        forget: timers.forget,
        takeover_hold: timers.takeover_hold,
        linger: timers.linger,
        freeze: timers.freeze,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_mean_the_same_by_their_defaults() {
        assert_eq!(timers(&HostTimers::default()), Timers::default());
        assert_eq!(timers(&HostTimers::rdnbrd()), Timers::RDNBRD);
        let (told, is) = (siskin_config::HostLimits::default(), Limits::default());
        assert_eq!(
            (told.per_port, told.candidates_per_port, told.frames_per_second, told.burst),
            (is.per_port, is.candidates_per_port, is.frames_per_second, is.burst)
        );
    }
}
