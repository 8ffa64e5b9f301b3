//! Prometheus metrics: counters that live as long as the process, and gauges read off the daemon at each scrape.

mod filters;
mod hosts;

use prometheus::{Encoder, IntCounter, IntCounterVec, IntGaugeVec, Opts, Registry, TextEncoder};
use siskin_api::{HostRoutes, IrrStatus, MessageCounts, PeerDetail, PeerState, RpkiStatus, Status};
use siskin_neighbor::guard::Reason;
use siskin_net::Family;

use crate::guard::FilterStatus;

/// Counters of the process.
pub(crate) struct Counters {
    registry: Registry,
    /// Connections from addresses that no peer has.
    pub(crate) refused_connections: IntCounter,
    /// Configurations that came into force after the first, and those that were refused.
    pub(crate) reloads: IntCounterVec,
    /// What the kernel thread counts.
    pub(crate) kernel: KernelCounters,
}

/// What the kernel thread counts.
#[derive(Clone)]
pub(crate) struct KernelCounters {
    /// Routes written, by result.
    pub(crate) writes: IntCounterVec,
    /// Times the kernel's news overran our buffer.
    pub(crate) overruns: IntCounter,
    /// Comparisons of wanted and kernel.
    pub(crate) checks: IntCounter,
    /// Routes and next-hop objects that differed.
    pub(crate) differences: IntCounter,
}

/// What a scrape shows beside the counters.
pub(crate) struct Snapshot {
    pub(crate) status: Status,
    pub(crate) peers: Vec<PeerDetail>,
    pub(crate) host_routes: HostRoutes,
    pub(crate) host_statistics: siskin_neighbor::Statistics,
    pub(crate) filter: FilterStatus,
    pub(crate) memory: siskin_rib::Memory,
    pub(crate) nexthops: usize,
    pub(crate) subscribers: usize,
    pub(crate) rpki: RpkiStatus,
    pub(crate) irr: IrrStatus,
}

impl Counters {
    pub(crate) fn new() -> Counters {
        let registry = Registry::new();
        let counter = |name: &str, help: &str| {
            // The names are constants of this file: valid, and each registered once.
            let counter = IntCounter::new(name, help).unwrap_or_else(|_| unreachable!("{name}"));
            drop(registry.register(Box::new(counter.clone())));
            counter
        };
        let reloads =
            counters(&registry, "siskin_config_reloads_total", "Configurations applied.", &["result"]);
        let writes =
            counters(&registry, "siskin_fib_writes_total", "Routes written to the kernel.", &["result"]);
        for result in ["done", "refused"] {
            reloads.with_label_values(&[result]);
            writes.with_label_values(&[result]);
        }
        Counters {
            refused_connections: counter(
                "siskin_bgp_refused_connections_total",
                "TCP connections from addresses that no peer has.",
            ),
            reloads,
            kernel: KernelCounters {
                writes,
                overruns: counter("siskin_kernel_overruns_total", "Times everything was read again."),
                checks: counter("siskin_fib_checks_total", "Comparisons of wanted and kernel."),
                differences: counter("siskin_fib_differences_total", "Routes and objects that differed."),
            },
            registry,
        }
    }

    /// Everything in the Prometheus text format.
    pub(crate) fn render(&self, snapshot: &Snapshot) -> String {
        let gauges = Registry::new();
        status(&gauges, &snapshot.status);
        peers(&gauges, &snapshot.peers);
        host_routes(&gauges, &snapshot.host_routes);
        hosts::moves(&gauges, &snapshot.host_statistics);
        filter(&gauges, &snapshot.filter);
        filters::rpki(&gauges, &snapshot.rpki);
        filters::irr(&gauges, &snapshot.irr);
        filters::limits(&gauges, &snapshot.peers);
        memory(&gauges, &snapshot.memory);
        set(&gauges, "siskin_fib_nexthops", "Our next-hop objects.", snapshot.nexthops as u64);
        set(&gauges, "siskin_api_event_subscribers", "Open event streams.", snapshot.subscribers as u64);
        let mut families = self.registry.gather();
        families.extend(gauges.gather());
        let mut text = Vec::new();
        drop(TextEncoder::new().encode(&families, &mut text));
        String::from_utf8(text).unwrap_or_default()
    }
}

/// One gauge without labels.
fn set(registry: &Registry, name: &str, help: &str, value: u64) {
    gauges(registry, name, help, &[]).with_label_values::<&str>(&[]).set(signed(value));
}

/// A family of gauges, registered in `registry`.
fn gauges(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> IntGaugeVec {
    // The names and labels are constants of this file: valid, and each registered once.
    let gauges = IntGaugeVec::new(Opts::new(name, help), labels).unwrap_or_else(|_| unreachable!("{name}"));
    drop(registry.register(Box::new(gauges.clone())));
    gauges
}

/// A family of counters whose values are read elsewhere.
fn counters(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
    let counters =
        IntCounterVec::new(Opts::new(name, help), labels).unwrap_or_else(|_| unreachable!("{name}"));
    drop(registry.register(Box::new(counters.clone())));
    counters
}

fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn status(registry: &Registry, status: &Status) {
    let start = crate::clock::unix_ms() / 1000 - status.uptime_s;
    set(registry, "siskin_start_time_seconds", "Unix time of the start.", start);
    set(registry, "siskin_ready", "1 when every gate of readiness is open.", u64::from(status.ready));
    set(registry, "siskin_config_generation", "Counts up with each configuration.", status.config.generation);
    let good = u64::from(status.config.last_error.is_none());
    set(registry, "siskin_config_last_reload_successful", "0 after a refused configuration.", good);
    let info = gauges(registry, "siskin_build_info", "Always 1; the version is the label.", &["version"]);
    info.with_label_values(&[status.version.as_str()]).set(1);
    let gate = gauges(registry, "siskin_gate_open", "1 when this condition of readiness holds.", &["gate"]);
    for of in &status.gates {
        gate.with_label_values(&[of.name.as_str()]).set(i64::from(of.open));
    }
    let prefixes = gauges(registry, "siskin_rib_prefixes", "Prefixes with at least one path.", &["family"]);
    let paths = gauges(registry, "siskin_rib_paths", "Paths, rejected ones included.", &["family"]);
    let fib = gauges(registry, "siskin_fib_routes", "Our routes in the kernel.", &["family", "state"]);
    for family in Family::ALL {
        prefixes.with_label_values(&[family.name()]).set(signed(status.rib[family].prefixes));
        paths.with_label_values(&[family.name()]).set(signed(status.rib[family].paths));
        let counts = &status.fib[family];
        for (state, count) in
            [("installed", counts.installed), ("pending", counts.pending), ("failed", counts.failed)]
        {
            fib.with_label_values(&[family.name(), state]).set(signed(count));
        }
    }
}

const STATES: [PeerState; 7] = [
    PeerState::Down,
    PeerState::Idle,
    PeerState::Connect,
    PeerState::Active,
    PeerState::OpenSent,
    PeerState::OpenConfirm,
    PeerState::Established,
];

fn peers(registry: &Registry, peers: &[PeerDetail]) {
    let state = gauges(registry, "siskin_peer_state", "1 for the present state.", &["peer", "state"]);
    let uptime = gauges(registry, "siskin_peer_uptime_seconds", "Time in Established.", &["peer"]);
    let established =
        counters(registry, "siskin_peer_established_total", "How often the session came up.", &["peer"]);
    let dropped =
        counters(registry, "siskin_peer_dropped_total", "How often the session went down.", &["peer"]);
    for peer in peers {
        let name = peer.summary.name.as_str();
        for of in STATES {
            let word = of.title().to_ascii_lowercase();
            state.with_label_values(&[name, &word]).set(i64::from(of == peer.summary.state));
        }
        uptime.with_label_values(&[name]).set(signed(peer.summary.uptime_s.unwrap_or(0)));
        established.with_label_values(&[name]).inc_by(peer.established_count);
        dropped.with_label_values(&[name]).inc_by(peer.dropped_count);
    }
    peer_prefixes(registry, peers);
    peer_messages(registry, peers);
}

fn peer_prefixes(registry: &Registry, peers: &[PeerDetail]) {
    let labels = ["peer", "family", "kind"];
    let prefixes = gauges(registry, "siskin_peer_prefixes", "Prefixes exchanged.", &labels);
    let pending =
        gauges(registry, "siskin_peer_pending_prefixes", "Prefixes still to be sent.", &labels[..2]);
    for peer in peers {
        let name = peer.summary.name.as_str();
        for of in &peer.summary.families {
            let family = of.family.name();
            for (kind, count) in [
                ("received", of.received),
                ("accepted", of.accepted),
                ("filtered", of.filtered),
                ("advertised", of.advertised),
                ("stale", of.stale),
            ] {
                prefixes.with_label_values(&[name, family, kind]).set(signed(count));
            }
            pending.with_label_values(&[name, family]).set(signed(of.pending));
        }
    }
}

fn peer_messages(registry: &Registry, peers: &[PeerDetail]) {
    let labels = ["peer", "direction", "type"];
    let messages = counters(registry, "siskin_peer_messages_total", "Messages, by type.", &labels);
    let bytes = counters(registry, "siskin_peer_bytes_total", "Octets of messages.", &labels[..2]);
    for peer in peers {
        let name = peer.summary.name.as_str();
        for (direction, counts) in [("received", &peer.messages.received), ("sent", &peer.messages.sent)] {
            for (kind, count) in by_type(counts) {
                messages.with_label_values(&[name, direction, kind]).inc_by(count);
            }
            bytes.with_label_values(&[name, direction]).inc_by(counts.bytes);
        }
    }
}

fn by_type(counts: &MessageCounts) -> [(&'static str, u64); 5] {
    [
        ("open", counts.open),
        ("update", counts.update),
        ("notification", counts.notification),
        ("keepalive", counts.keepalive),
        ("route_refresh", counts.route_refresh),
    ]
}

fn host_routes(registry: &Registry, hosts: &HostRoutes) {
    let active =
        gauges(registry, "siskin_host_routes", "Addresses of virtual machines announced.", &["interface"]);
    let ports = gauges(registry, "siskin_host_route_ports", "Ports watched.", &["interface"]);
    let refused = counters(
        registry,
        "siskin_host_route_claims_refused_total",
        "Claims that were not believed.",
        &["interface"],
    );
    for interface in &hosts.interfaces {
        active.with_label_values(&[interface.name.as_str()]).set(signed(interface.active));
        ports.with_label_values(&[interface.name.as_str()]).set(signed(interface.ports));
        refused.with_label_values(&[interface.name.as_str()]).inc_by(interface.refused);
    }
}

fn filter(registry: &Registry, filter: &FilterStatus) {
    let dropped = counters(
        registry,
        "siskin_guard_dropped_frames_total",
        "Frames of VM ports that the filter dropped.",
        &["reason"],
    );
    for reason in Reason::ALL {
        dropped.with_label_values(&[reason.name()]).inc_by(filter.dropped(reason).0);
    }
    let installed = u64::from(filter.installed);
    set(registry, "siskin_guard_installed", "1 when the filter of VM ports is in the kernel.", installed);
    let failed = u64::from(filter.error.is_some());
    set(registry, "siskin_guard_failed", "1 when the filter could not be brought into the kernel.", failed);
    let mended = counters(registry, "siskin_guard_mended_total", "Changes by others that were undone.", &[]);
    mended.with_label_values::<&str>(&[]).inc_by(filter.mended);
}

fn memory(registry: &Registry, memory: &siskin_rib::Memory) {
    let sets = memory.attribute_sets as u64;
    set(registry, "siskin_rib_attribute_sets", "Distinct sets of path attributes.", sets);
    let bytes = gauges(registry, "siskin_rib_memory_bytes", "Memory of the tables.", &["part"]);
    let parts = [
        ("destinations", memory.destinations),
        ("paths", memory.paths),
        ("attribute_index", memory.attribute_index),
        ("attribute_bytes", memory.attribute_bytes),
        ("next_hops", memory.next_hops),
        ("groups", memory.groups),
    ];
    for (part, size) in parts {
        bytes.with_label_values(&[part]).set(signed(size as u64));
    }
}

#[cfg(test)]
mod tests;
