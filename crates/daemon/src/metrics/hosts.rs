//! Metrics of moves between hypervisors.

use prometheus::{Counter, Gauge, Registry};
use siskin_neighbor::{StateName, Statistics};

use super::{counters, gauges, set, signed};

pub(super) fn moves(registry: &Registry, hosts: &Statistics) {
    let claims = gauges(registry, "siskin_host_route_claims", "Addresses known.", &["state"]);
    for (state, count) in StateName::ALL.iter().zip(hosts.states) {
        claims.with_label_values(&[state.name()]).set(signed(count));
    }
    set(registry, "siskin_host_routes_elevated", "Addresses announced elevated.", hosts.elevated);
    let moves = counters(registry, "siskin_host_route_moves_total", "Moves between routers.", &["kind"]);
    let kinds = [
        ("taken_over", hosts.moves.taken_over),
        ("yielded", hosts.moves.yielded),
        ("frozen", hosts.moves.frozen),
    ];
    for (kind, count) in kinds {
        moves.with_label_values(&[kind]).inc_by(count);
    }
    let total = |name: &str, help: &str, value: u64| {
        counters(registry, name, help, &[]).with_label_values::<&str>(&[]).inc_by(value);
    };
    let duplicates = "VMs alive here whose address another router announces.";
    total("siskin_host_route_duplicates_total", duplicates, hosts.moves.duplicates);
    let refused = "Addresses of other routers not followed.";
    total("siskin_host_route_remotes_refused_total", refused, hosts.moves.remotes_refused);
    let latency = hosts.latency;
    let announced = "Announcements that a VM's frame caused.";
    total("siskin_host_route_announcements_total", announced, latency.count);
    let name = "siskin_host_route_announce_seconds_total";
    let time = Counter::new(name, "From frame to announcement.").unwrap_or_else(|_| unreachable!("{name}"));
    time.inc_by(latency.total.as_secs_f64());
    drop(registry.register(Box::new(time)));
    let name = "siskin_host_route_announce_longest_seconds";
    let longest = Gauge::new(name, "The longest of these.").unwrap_or_else(|_| unreachable!("{name}"));
    longest.set(latency.longest.as_secs_f64());
    drop(registry.register(Box::new(longest)));
}
