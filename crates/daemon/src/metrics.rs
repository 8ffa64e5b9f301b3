//! Prometheus metrics: counters that live as long as the process, and gauges read off the daemon at each scrape.

use prometheus::{Encoder, IntCounter, IntCounterVec, IntGaugeVec, Opts, Registry, TextEncoder};
use siskin_api::{HostRoutes, MessageCounts, PeerDetail, PeerState, Status};
use siskin_net::Family;

/// Counters of the process.
pub(crate) struct Counters {
    registry: Registry,
    /// Connections from addresses that no peer has.
    pub(crate) refused_connections: IntCounter,
    /// Configurations that came into force.
    pub(crate) reloads: IntCounter,
    /// Configurations that were refused.
    pub(crate) failed_reloads: IntCounter,
}

/// What a scrape shows beside the counters.
pub(crate) struct Snapshot {
    pub(crate) status: Status,
    pub(crate) peers: Vec<PeerDetail>,
    pub(crate) host_routes: HostRoutes,
    pub(crate) memory: siskin_rib::Memory,
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
        Counters {
            refused_connections: counter(
                "siskin_bgp_refused_connections_total",
                "TCP connections from addresses that no peer has.",
            ),
            reloads: counter(
                "siskin_config_reloads_total",
                "Configurations that came into force after the first.",
            ),
            failed_reloads: counter(
                "siskin_config_failed_reloads_total",
                "Configurations that were refused.",
            ),
            registry,
        }
    }

    /// Everything in the Prometheus text format.
    pub(crate) fn render(&self, snapshot: &Snapshot) -> String {
        let gauges = Registry::new();
        status(&gauges, &snapshot.status);
        peers(&gauges, &snapshot.peers);
        host_routes(&gauges, &snapshot.host_routes);
        memory(&gauges, &snapshot.memory);
        let mut families = self.registry.gather();
        families.extend(gauges.gather());
        let mut text = Vec::new();
        drop(TextEncoder::new().encode(&families, &mut text));
        String::from_utf8(text).unwrap_or_default()
    }
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
    let set = |name: &str, help: &str, value: u64| {
        gauges(registry, name, help, &[]).with_label_values::<&str>(&[]).set(signed(value))
    };
    set("siskin_uptime_seconds", "Seconds since the daemon started.", status.uptime_s);
    set("siskin_ready", "1 when every gate of readiness is open.", u64::from(status.ready));
    set("siskin_config_generation", "Counts up with each configuration in force.", status.config.generation);
    let info = gauges(registry, "siskin_build_info", "Always 1; the version is the label.", &["version"]);
    info.with_label_values(&[status.version.as_str()]).set(1);
    let prefixes = gauges(registry, "siskin_rib_prefixes", "Prefixes with at least one path.", &["family"]);
    let paths = gauges(registry, "siskin_rib_paths", "Paths, rejected ones included.", &["family"]);
    let fib = gauges(
        registry,
        "siskin_fib_routes",
        "Our routes, by how they stand with the kernel.",
        &["family", "state"],
    );
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

fn peers(registry: &Registry, peers: &[PeerDetail]) {
    let up = gauges(registry, "siskin_peer_up", "1 in state Established.", &["peer"]);
    let state =
        gauges(registry, "siskin_peer_state", "1 at the state the session is in.", &["peer", "state"]);
    let prefixes = gauges(
        registry,
        "siskin_peer_prefixes",
        "Prefixes exchanged: received, accepted, filtered, advertised.",
        &["peer", "family", "kind"],
    );
    let messages = counters(
        registry,
        "siskin_peer_messages_total",
        "Messages, by type.",
        &["peer", "direction", "type"],
    );
    let bytes = counters(registry, "siskin_peer_bytes_total", "Octets of messages.", &["peer", "direction"]);
    let established =
        counters(registry, "siskin_peer_established_total", "How often the session came up.", &["peer"]);
    let dropped =
        counters(registry, "siskin_peer_dropped_total", "How often the session went down.", &["peer"]);
    for peer in peers {
        let name = peer.summary.name.as_str();
        up.with_label_values(&[name]).set(i64::from(peer.summary.state == PeerState::Established));
        state.with_label_values(&[name, peer.summary.state.title()]).set(1);
        for family in &peer.summary.families {
            for (kind, count) in [
                ("received", family.received),
                ("accepted", family.accepted),
                ("filtered", family.filtered),
                ("advertised", family.advertised),
            ] {
                prefixes.with_label_values(&[name, family.family.name(), kind]).set(signed(count));
            }
        }
        for (direction, counts) in [("received", &peer.messages.received), ("sent", &peer.messages.sent)] {
            for (kind, count) in by_type(counts) {
                messages.with_label_values(&[name, direction, kind]).inc_by(count);
            }
            bytes.with_label_values(&[name, direction]).inc_by(counts.bytes);
        }
        established.with_label_values(&[name]).inc_by(peer.established_count);
        dropped.with_label_values(&[name]).inc_by(peer.dropped_count);
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
        "siskin_host_route_refused_total",
        "Claims that were not believed.",
        &["interface"],
    );
    for interface in &hosts.interfaces {
        active.with_label_values(&[interface.name.as_str()]).set(signed(interface.active));
        ports.with_label_values(&[interface.name.as_str()]).set(signed(interface.ports));
        refused.with_label_values(&[interface.name.as_str()]).inc_by(interface.refused);
    }
}

fn memory(registry: &Registry, memory: &siskin_rib::Memory) {
    let bytes =
        gauges(registry, "siskin_rib_bytes", "Bytes of memory the tables hold, by what for.", &["part"]);
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
