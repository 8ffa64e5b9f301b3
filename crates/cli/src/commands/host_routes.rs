//! `siskin host-routes`.

use siskin_api::{HostRouteMoveKind, HostRouteRequest, HostRouteState, HostRoutes};

use super::{Client, Failure, Output, body, doctor, done, show};
use crate::args::{HostRouteArguments, HostRoutesAction};
use crate::output::{Look, Tone};
use crate::table::{Cell, Table};
use crate::words::{duration, number};

pub(super) async fn run(
    client: &Client,
    output: &Output,
    action: Option<HostRoutesAction>,
) -> Result<(), Failure> {
    match action {
        None | Some(HostRoutesAction::List) => show(client, output, "/v1/host-routes", render).await,
        Some(HostRoutesAction::History) => show(client, output, "/v1/host-routes", history).await,
        Some(HostRoutesAction::Doctor { fix, config }) => doctor::run(output, &config, fix),
        Some(HostRoutesAction::Add { of, mac, port, name, standby }) => {
            let request = body(&HostRouteRequest { mac, port, name, standby })?;
            each(&of, async |path| done(output, &client.put(&path, request.clone()).await?)).await
        }
        Some(HostRoutesAction::Remove { of }) => {
            each(&of, async |path| done(output, &client.delete(&path).await?)).await
        }
        Some(HostRoutesAction::Migrate { of }) => {
            each(&of, async |path| done(output, &client.post(&format!("{path}/migrate"), Vec::new()).await?))
                .await
        }
        Some(HostRoutesAction::Release { of }) => {
            each(&of, async |path| done(output, &client.post(&format!("{path}/release"), Vec::new()).await?))
                .await
        }
    }
}

/// Does the same to each address, all of them whatever becomes of one; the first failure is the command's.
async fn each(
    of: &HostRouteArguments,
    act: impl AsyncFn(String) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut result = Ok(());
    for address in &of.addresses {
        let one = act(format!("/v1/host-routes/{}/{address}", segment(&of.interface))).await;
        if result.is_ok() {
            result = one;
        }
    }
    result
}

/// A name as one part of a path.
fn segment(name: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~@".contains(&b);
    name.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

/// The last moves, the newest first.
pub(super) fn history(host_routes: &HostRoutes, look: Look) -> String {
    let mut moves = Table::new(["AGO", "ADDRESS", "INTERFACE", "MAC", "WHAT", "ROUTER", "SEQUENCE"]);
    for one in host_routes.history.iter().rev() {
        let what = match one.kind {
            HostRouteMoveKind::Moved => Cell::toned(Tone::Dim, "another port"),
            HostRouteMoveKind::TakenOver => Cell::toned(Tone::Good, "came from"),
            HostRouteMoveKind::Yielded => Cell::toned(Tone::Dim, "went to"),
            HostRouteMoveKind::Duplicate => Cell::toned(Tone::Bad, "here, and at"),
            HostRouteMoveKind::Frozen => Cell::toned(Tone::Bad, "frozen"),
        };
        moves.row([
            Cell::number(duration(one.age_s)),
            one.address.to_string().into(),
            one.interface.as_str().into(),
            one.mac.as_str().into(),
            what,
            one.originator.as_deref().unwrap_or("-").into(),
            Cell::number(number(one.sequence.into())),
        ]);
    }
    if moves.is_empty() {
        "No address has moved since the daemon started.\n".to_owned()
    } else {
        moves.take(look)
    }
}

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
    let mut routes = Table::new([
        "ADDRESS",
        "VM",
        "INTERFACE",
        "PORT",
        "MAC",
        "STATE",
        "ANNOUNCED",
        "SEQUENCE",
        "AGE",
        "LAST HEARD",
    ]);
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
        let state = match &route.remote {
            _ if route.elevated => format!("{state}, fresh"),
            _ if route.leaving => format!("{state}, leaving"),
            Some(remote) if route.state == HostRouteState::Moved => format!("moved to {}", remote.originator),
            _ => state.to_owned(),
        };
        routes.row([
            route.address.to_string().into(),
            route.vm.as_deref().unwrap_or("-").into(),
            route.interface.as_str().into(),
            route.port.as_str().into(),
            route.mac.as_str().into(),
            Cell::toned(tone, state),
            if route.announced { "yes" } else { "no" }.into(),
            Cell::number(number(route.sequence.into())),
            Cell::number(duration(route.age_s)),
            format!("{heard}{probes}").into(),
        ]);
    }
    if routes.is_empty() {
        text += "No address has been heard.\n";
    }
    text + &routes.take(look)
}
