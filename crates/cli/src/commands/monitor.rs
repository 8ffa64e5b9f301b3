//! `siskin monitor`: the daemon's events, a line each, until interrupted.

use siskin_api::{Event, EventBody, HostRouteChange};

use crate::args::EventKind;
use crate::client::{Client, understand};
use crate::failure::Failure;
use crate::output::Output;
use crate::words::{clean, count, family, microseconds, number};

/// Follows the event stream.
pub(super) async fn run(client: &Client, output: &Output, kind: Option<EventKind>) -> Result<(), Failure> {
    let mut lines = Lines::default();
    client
        .follow("/v1/events", |octets| {
            for json in lines.data(octets) {
                let event: Event = understand(&json)?;
                if !wanted(kind, &event.body) {
                    continue;
                }
                if output.is_json() {
                    output.text(&format!("{}\n", String::from_utf8_lossy(&json)))?;
                } else {
                    output.text(&format!("{}\n", render(&event)))?;
                }
            }
            Ok(())
        })
        .await
}

/// Cuts a stream of octets into lines and keeps the `data:` ones; an event of ours is one such line.
#[derive(Debug, Default)]
pub(super) struct Lines {
    rest: Vec<u8>,
}

impl Lines {
    /// The JSON of every event that is whole now.
    pub(super) fn data(&mut self, octets: &[u8]) -> Vec<Vec<u8>> {
        self.rest.extend_from_slice(octets);
        let Some(end) = self.rest.iter().rposition(|b| *b == b'\n') else { return Vec::new() };
        let rest = self.rest.split_off(end + 1);
        let whole = std::mem::replace(&mut self.rest, rest);
        whole.split(|b| *b == b'\n').filter_map(|line| Some(line.strip_prefix(b"data: ")?.to_vec())).collect()
    }
}

fn wanted(kind: Option<EventKind>, event: &EventBody) -> bool {
    let of = match event {
        EventBody::PeerState { .. } | EventBody::Drain { .. } => EventKind::Peers,
        EventBody::HostRoute { .. } => EventKind::HostRoutes,
        EventBody::FibRefused { .. } => EventKind::Fib,
        EventBody::Config { .. } => EventKind::Config,
        EventBody::Rpki { .. } => EventKind::Rpki,
        EventBody::Irr { .. } => EventKind::Irr,
        EventBody::Limit { .. } => EventKind::Limits,
        // Whatever was asked for may be among what was missed.
        EventBody::Lagged { .. } => return true,
    };
    kind.is_none_or(|kind| kind == of)
}

/// One line: time of day in UTC, subject, what happened.
pub(super) fn render(event: &Event) -> String {
    let seconds = event.at_ms / 1000 % 86_400;
    let (h, m, s, ms) = (seconds / 3600, seconds / 60 % 60, seconds % 60, event.at_ms % 1000);
    format!("{h:02}:{m:02}:{s:02}.{ms:03}Z  {}", clean(&body(&event.body)))
}

fn body(event: &EventBody) -> String {
    match event {
        EventBody::PeerState { peer, from, to, error } => {
            let why = error.as_ref().map(|e| {
                let text = e.text.as_deref().map(|t| format!(": {t}")).unwrap_or_default();
                format!(" ({}{text})", e.name)
            });
            format!("peer {peer}: {} -> {}{}", from.title(), to.title(), why.unwrap_or_default())
        }
        EventBody::HostRoute { interface, address, mac, port, change, text } => {
            let change = match change {
                HostRouteChange::Announced => "announced",
                HostRouteChange::Withdrawn => "withdrawn",
                HostRouteChange::Moved => "moved",
                HostRouteChange::Refused => "refused",
            };
            format!("host route {address} on {interface}: {change}, port {port}, {mac}: {text}")
        }
        EventBody::FibRefused { prefix, text } => format!("kernel refused {prefix}: {text}"),
        EventBody::Config { text, .. } => format!("configuration: {text}"),
        EventBody::Rpki { announced, withdrawn, paths_judged, changed, took_us } => format!(
            "rpki: {} came, {} went; of {} judged again {} changed, in {}",
            count(*announced, "record"),
            number(*withdrawn),
            count(*paths_judged, "path"),
            number(*changed),
            microseconds(*took_us)
        ),
        EventBody::Irr { peer, state, text } => format!("irr {peer}: {}: {text}", state.name()),
        EventBody::Limit { peer, family: f, state, text } => {
            format!("limit {peer} {}: {}: {text}", family(*f), state.name())
        }
        EventBody::Drain { peer, drained } => {
            let who = peer.as_ref().map_or_else(|| "router".to_owned(), |p| format!("peer {p}"));
            format!("{who}: {}", if *drained { "drained" } else { "announces again" })
        }
        EventBody::Lagged { missed } => {
            format!("{missed} events were left out: this client reads too slowly")
        }
    }
}
