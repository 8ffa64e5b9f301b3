//! Answers the API's questions from the threads that know.

mod explain;
mod fib;
mod filters;
mod guard;
mod host_routes;
mod peers;
mod policies;
mod routes;
mod view;

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use siskin_api::{
    ActionDone, ApiError, ConfigDiagnostic, ConfigReport, ConfigRequest, ConfigState, ConfigView, Done,
    Event, ExplainQuery, Explanation, FibCheck, FibCounts, FibPage, FibQuery, Gate, GuardView, HostRoute,
    HostRouteInterface, HostRouteRequest, HostRouteState, HostRoutes, IrrRefreshRequest, IrrSetQuery,
    IrrSetView, IrrStatus, NextHops, PeerAction, PeerCounts, PeerDetail, PeerState, PeerSummary, PerFamily,
    PolicyMrtReport, PolicyMrtRequest, PolicyTestRequest, PolicyTestResult, PolicyView, RemoteRoute,
    RibCounts, RoutesPage, RoutesQuery, RpkiCheck, RpkiCheckQuery, RpkiStatus, Severity, Status,
};
use siskin_config::{Diagnostics, Guard};
use siskin_neighbor::StateName;
use tokio::sync::broadcast;

use crate::clock;
use crate::daemon::Daemon;
use crate::http::{Answer, Backend, HostRouteVerb};
use crate::metrics::Snapshot;
use crate::peer::lock;

/// The RIB or kernel thread is gone: the daemon is stopping.
fn stopping() -> ApiError {
    ApiError::unavailable("the daemon is stopping")
}

/// The daemon as the API sees it.
pub(crate) struct Api(pub(crate) Arc<Daemon>);

impl Backend for Api {
    async fn status(&self) -> Answer<Status> {
        let running = self.0.config();
        let rib = self.0.rib.query(siskin_rib::Rib::counts).await.ok_or_else(stopping)?;
        let (fib, kernel) = self
            .0
            .kernel
            .query(|view| {
                let counts = view.fib.as_ref().map(|fib| fib.counts()).unwrap_or_default();
                (counts, fib::kernel_mode(view))
            })
            .await
            .ok_or_else(stopping)?;
        let host_routes =
            self.0.hosts.query(|h| h.snapshot().iter().filter(|r| r.announced).count()).await.unwrap_or(0);
        let peers = {
            let peers = lock(&self.0.peers);
            let established =
                peers.iter().filter(|(_, e)| e.shared.state(e.down) == PeerState::Established).count();
            PeerCounts { configured: peers.iter().count() as u64, established: established as u64 }
        };
        let gates = self.gates();
        let now = clock::now();
        Ok(Status {
            version: env!("CARGO_PKG_VERSION").into(),
            asn: running.config.router.asn,
            router_id: std::net::Ipv4Addr::from_bits(self.0.router_id.0),
            hostname: hostname(),
            uptime_s: now.since(self.0.started).as_secs(),
            ready: gates.iter().all(|g| g.open),
            gates,
            drained: lock(&self.0.drained).is_some() || running.config.router.drain,
            peers,
            rib: PerFamily::from_fn(|f| RibCounts { prefixes: rib[f].prefixes, paths: rib[f].paths }),
            fib: PerFamily::from_fn(|f| FibCounts {
                installed: fib[f].installed as u64,
                pending: fib[f].pending as u64,
                failed: fib[f].failed as u64,
            }),
            kernel,
            host_routes: host_routes as u64,
            config: ConfigState {
                file: self.0.file.display().to_string(),
                generation: u64::from(running.generation),
                age_s: now.since(running.since).as_secs(),
                warnings: running.warnings.iter().count() as u64,
                last_error: lock(&self.0.last_error).clone(),
            },
        })
    }

    fn gates(&self) -> Vec<Gate> {
        self.0.sources.rpki.gate().into_iter().chain(self.0.readiness.gates()).collect()
    }

    async fn peers(&self) -> Answer<Vec<PeerSummary>> {
        Ok(self.0.peer_details(None).await?.into_iter().map(|p| p.summary).collect())
    }

    async fn peer(&self, name: &str) -> Answer<PeerDetail> {
        let found = self.0.peer_details(Some(name)).await?.into_iter().next();
        found.ok_or_else(|| ApiError::not_found(format!("there is no peer named {name}")))
    }

    async fn peer_action(&self, name: &str, action: PeerAction) -> Answer<ActionDone> {
        self.0.act_on_peer(name, action)
    }

    async fn routes(&self, query: RoutesQuery) -> Answer<RoutesPage> {
        self.0.routes_page(query).await
    }

    async fn explain(&self, query: ExplainQuery) -> Answer<Explanation> {
        self.0.explanation(query).await
    }

    async fn fib(&self, query: FibQuery) -> Answer<FibPage> {
        self.0.fib_page(query).await
    }

    async fn check_fib(&self) -> Answer<FibCheck> {
        self.0.check_fib().await
    }

    async fn nexthops(&self) -> Answer<NextHops> {
        let found = self.0.rib.query(siskin_rib::Rib::next_hops).await.ok_or_else(stopping)?;
        self.0.kernel.query(move |view| fib::nexthops(view, &found)).await.ok_or_else(stopping)
    }

    async fn host_routes(&self) -> Answer<HostRoutes> {
        let running = self.0.config();
        let found = self.0.hosts.query(|hosts| (hosts.snapshot(), hosts.ports(), hosts.history())).await;
        let (routes, ports, history) = found.unwrap_or_default();
        let interfaces = running.config.host_routes.iter().map(|(name, config)| HostRouteInterface {
            name: name.clone(),
            present: self.0.links.index(name).is_some() || ports.iter().any(|p| *p.section == **name),
            ports: ports.iter().filter(|p| *p.section == **name).count() as u64,
            active: routes.iter().filter(|r| *r.section == **name && r.announced).count() as u64,
            refused: ports.iter().filter(|p| *p.section == **name).map(|p| refused(&p.counters)).sum(),
            guard: match config.guard {
                Guard::Open => "open".into(),
                Guard::Pinned => "pinned".into(),
                Guard::Provisioned => "provisioned".into(),
            },
        });
        Ok(HostRoutes {
            interfaces: interfaces.collect(),
            routes: routes.into_iter().map(host_route).collect(),
            history: history.iter().filter_map(host_routes::moved).collect(),
        })
    }

    async fn declare_host_route(
        &self,
        interface: &str,
        address: IpAddr,
        request: HostRouteRequest,
    ) -> Answer<Done> {
        self.0.declare_host_route(interface, address, request).await
    }

    async fn act_on_host_route(&self, interface: &str, address: IpAddr, verb: HostRouteVerb) -> Answer<Done> {
        self.0.act_on_host_route(interface, address, verb).await
    }

    async fn guard(&self) -> Answer<GuardView> {
        self.0.guard_view().await
    }

    async fn remove_guard(&self) -> Answer<Done> {
        self.0.remove_guard().await
    }

    async fn rpki(&self) -> Answer<RpkiStatus> {
        self.0.rpki_status().await
    }

    async fn rpki_check(&self, query: RpkiCheckQuery) -> Answer<RpkiCheck> {
        self.0.rpki_check(query).await
    }

    async fn irr(&self) -> Answer<IrrStatus> {
        self.0.irr_status().await
    }

    async fn irr_set(&self, name: &str, query: IrrSetQuery) -> Answer<IrrSetView> {
        self.0.irr_set(name, query).await
    }

    async fn irr_refresh(&self, request: IrrRefreshRequest) -> Answer<Done> {
        self.0.irr_refresh(request).await
    }

    async fn irr_accept(&self, peer: &str) -> Answer<Done> {
        self.0.irr_accept(peer).await
    }

    async fn policy(&self, peer: &str) -> Answer<PolicyView> {
        self.0.policy_view(peer).await
    }

    async fn policy_test(&self, peer: &str, request: PolicyTestRequest) -> Answer<PolicyTestResult> {
        self.0.policy_test(peer, request).await
    }

    async fn policy_test_mrt(&self, peer: &str, request: PolicyMrtRequest) -> Answer<PolicyMrtReport> {
        self.0.policy_test_mrt(peer, request).await
    }

    async fn drain(&self, drained: bool) -> Answer<Done> {
        self.0.drain(drained).await
    }

    async fn config(&self) -> Answer<ConfigView> {
        let running = self.0.config();
        Ok(ConfigView {
            file: self.0.file.display().to_string(),
            generation: u64::from(running.generation),
            age_s: clock::now().since(running.since).as_secs(),
            diagnostics: diagnostics(&running.warnings),
            effective: serde_json::to_value(&running.config)
                .map_err(|e| ApiError::internal(e.to_string()))?,
        })
    }

    async fn check_config(&self, request: ConfigRequest) -> Answer<ConfigReport> {
        Ok(self.0.check_file(request.file.map(PathBuf::from)))
    }

    async fn apply_config(&self, request: ConfigRequest) -> Answer<ConfigReport> {
        self.0.apply_file(request.file.map(PathBuf::from)).await.map_err(ApiError::config_invalid)
    }

    fn events(&self) -> broadcast::Receiver<Event> {
        self.0.events.subscribe()
    }

    async fn metrics(&self) -> Answer<String> {
        let snapshot = Snapshot {
            status: self.status().await?,
            peers: self.0.peer_details(None).await?,
            host_routes: self.host_routes().await?,
            host_statistics: self.0.hosts.query(|hosts| hosts.statistics()).await.unwrap_or_default(),
            filter: self.0.filter_counts().await,
            memory: self.0.rib.query(|rib| rib.memory()).await.ok_or_else(stopping)?,
            nexthops: self.nexthops().await?.objects.len(),
            subscribers: self.0.events.receiver_count(),
            rpki: self.0.rpki_status().await?,
            irr: self.0.irr_status().await?,
        };
        Ok(self.0.counters.render(&snapshot))
    }
}

/// Diagnostics in the API's form.
pub(crate) fn diagnostics(diagnostics: &Diagnostics) -> Vec<ConfigDiagnostic> {
    let one = |d: &siskin_config::Diagnostic| ConfigDiagnostic {
        severity: match d.severity {
            siskin_config::Severity::Error => Severity::Error,
            siskin_config::Severity::Warning => Severity::Warning,
        },
        file: d.file.clone(),
        line: d.line,
        column: d.column,
        message: d.message.clone(),
        help: d.help.clone(),
    };
    diagnostics.iter().map(one).collect()
}

fn host_route(route: siskin_neighbor::HostRoute) -> HostRoute {
    let now = clock::now();
    HostRoute {
        interface: route.interface.to_string(),
        address: route.address,
        mac: route.mac.to_string(),
        port: route.port_name.map(|p| p.to_string()).unwrap_or_default(),
        vm: route.vm,
        state: match route.state {
            StateName::Standby => HostRouteState::Standby,
            StateName::Candidate => HostRouteState::Candidate,
            StateName::Active => HostRouteState::Active,
            StateName::Verify | StateName::Unverified | StateName::Contested => HostRouteState::Verify,
            StateName::Moved => HostRouteState::Moved,
            StateName::Gone => HostRouteState::Gone,
            StateName::Frozen => HostRouteState::Frozen,
        },
        announced: route.announced,
        age_s: now.since(route.since).as_secs(),
        evidence: Some(route.last_evidence.name().into()),
        evidence_age_s: Some(now.since(route.last_evidence_at).as_secs()),
        probes: 0,
        sequence: route.mobility.sequence,
        elevated: route.mobility.elevated,
        leaving: route.mobility.leaving,
        moves: route.moves,
        remote: route.remote.map(|remote| RemoteRoute {
            originator: remote.originator.to_string(),
            sequence: remote.sequence,
        }),
    }
}

fn refused(counters: &siskin_neighbor::claims::PortCounters) -> u64 {
    siskin_neighbor::Refusal::ALL.iter().map(|why| counters.refused(*why)).sum()
}

fn hostname() -> Option<String> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
    Some(name.trim().to_owned()).filter(|n| !n.is_empty())
}
