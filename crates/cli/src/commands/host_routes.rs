//! `siskin host-routes`.

use siskin_api::{HostRouteState, HostRoutes};

use crate::output::{Look, Tone};
use crate::table::{Cell, Table};
use crate::words::{duration, number};

/// Each interface, then each address.
pub(super) fn render(host_routes: &HostRoutes, look: Look) -> String {
    if host_routes.interfaces.is_empty() {
        return "No interface has host routes: there is no [host-routes.…] in the configuration.\n"
            .to_owned();
    }
    let mut interfaces = Table::new(["INTERFACE", "PRESENT", "PORTS", "ANNOUNCED", "REFUSED", "GUARD"]);
    for interface in &host_routes.interfaces {
        let present = if interface.present {
            Cell::toned(Tone::Good, "yes")
        } else {
            Cell::toned(Tone::Warn, "no, awaited")
        };
        interfaces.row([
            interface.name.as_str().into(),
            present,
            Cell::number(number(interface.ports)),
            Cell::number(number(interface.active)),
            Cell::number(number(interface.refused)),
            interface.guard.as_str().into(),
        ]);
    }
    let mut text = interfaces.take(look);
    text.push('\n');
    let mut routes =
        Table::new(["ADDRESS", "VM", "INTERFACE", "PORT", "MAC", "STATE", "ANNOUNCED", "AGE", "LAST HEARD"]);
    for route in &host_routes.routes {
        let heard = match (&route.evidence, route.evidence_age_s) {
            (Some(evidence), Some(age)) => format!("{evidence}, {} ago", duration(age)),
            (Some(evidence), None) => evidence.clone(),
            _ => "-".to_owned(),
        };
        let probes =
            if route.probes > 0 { format!(" ({} probes unanswered)", route.probes) } else { String::new() };
        let (tone, state) = match route.state {
            HostRouteState::Standby => (Tone::Dim, "standby"),
            HostRouteState::Candidate => (Tone::Warn, "candidate"),
            HostRouteState::Active => (Tone::Good, "active"),
            HostRouteState::Verify => (Tone::Warn, "verify"),
            HostRouteState::Moved => (Tone::Dim, "moved"),
            HostRouteState::Gone => (Tone::Dim, "gone"),
            HostRouteState::Frozen => (Tone::Bad, "frozen"),
        };
        routes.row([
            route.address.to_string().into(),
            route.vm.as_deref().unwrap_or("-").into(),
            route.interface.as_str().into(),
            route.port.as_str().into(),
            route.mac.as_str().into(),
            Cell::toned(tone, state),
            if route.announced { "yes" } else { "no" }.into(),
            Cell::number(duration(route.age_s)),
            format!("{heard}{probes}").into(),
        ]);
    }
    if routes.is_empty() {
        text += "No address has been heard.\n";
    }
    text + &routes.take(look)
}
