//! `siskin rpki`: caches and their data, and what it says about a route.

use siskin_api::{DataOrigin, RpkiCheck, RpkiServer, RpkiState, RpkiStatus};

use super::show;
use crate::args::RpkiAction;
use crate::client::{Client, query, understand};
use crate::failure::Failure;
use crate::output::{Look, Output, Tone};
use crate::table::{Cell, Table};
use crate::words::{count, duration, microseconds, number, or_dash};

/// Runs `siskin rpki …`.
pub(super) async fn run(client: &Client, output: &Output, action: Option<RpkiAction>) -> Result<(), Failure> {
    let (prefix, asn) = match action {
        None | Some(RpkiAction::Status) => return show(client, output, "/v1/rpki", render).await,
        Some(RpkiAction::Check { prefix, asn }) => (prefix, asn),
    };
    let parameters = [("prefix", Some(prefix.to_string())), ("asn", Some(asn.to_string()))];
    let answer = client.get(&format!("/v1/rpki/check{}", query(parameters))).await?;
    let check: RpkiCheck = understand(&answer)?;
    if output.is_json() {
        output.answer(&answer)?;
    } else {
        output.text(&render_check(&check, output.look()))?;
    }
    if check.state == RpkiState::Valid { Ok(()) } else { Err(Failure::Negative(None)) }
}

/// The data in use, then the caches.
pub(super) fn render(status: &RpkiStatus, look: Look) -> String {
    if !status.configured {
        return "Origins are not validated: there is no [rpki] in the configuration.\n".to_owned();
    }
    let mut table = Table::new(["CACHE", "STATE", "RTR", "SESSION", "SERIAL", "IPV4", "IPV6", "ASPA", "AGE"]);
    for server in &status.servers {
        table.row(server_cells(server));
    }
    let mut text = format!("{}\n{}", facts(status).take(look), table.take(look));
    let notes: Vec<String> = status.servers.iter().filter_map(|s| server_note(s, look)).collect();
    if !notes.is_empty() {
        text += &format!("\n{}", notes.concat());
    }
    text
}

fn facts(status: &RpkiStatus) -> Table {
    let mut table = Table::new(["", ""]);
    let data = format!(
        "{} VRPs (IPv4 {}, IPv6 {}), {}",
        number(status.vrps.ipv4.saturating_add(status.vrps.ipv6)),
        number(status.vrps.ipv4),
        number(status.vrps.ipv6),
        count(status.aspas, "ASPA record")
    );
    table.row(["Data".into(), data.into()]);
    let age = status.age_s.map(|s| format!(", confirmed {} ago", duration(s))).unwrap_or_default();
    let (tone, origin) = match status.origin {
        DataOrigin::Live => (Tone::Good, format!("from the caches{age}")),
        DataOrigin::Persisted => {
            (Tone::Warn, format!("the last good data on disk{age}: no cache has answered since the start"))
        }
        DataOrigin::None => (Tone::Bad, "there is none".to_owned()),
    };
    table.row(["Source".into(), Cell::toned(tone, origin)]);
    if let Some(gate) = status.gate.as_ref().filter(|gate| !gate.open) {
        table.row(["Import".into(), Cell::toned(Tone::Warn, format!("waits: {}", gate.text))]);
    }
    if let Some(slurm) = &status.slurm {
        let (filters, assertions) = (count(slurm.filters, "filter"), count(slurm.assertions, "assertion"));
        table.row(["SLURM".into(), format!("{}: {filters}, {assertions}", slurm.path).into()]);
        if let Some(error) = &slurm.error {
            let kept = format!("the file as it is now is not in force: {error}");
            table.row(["".into(), Cell::toned(Tone::Bad, kept)]);
        }
    }
    if let Some(change) = &status.last_change {
        let what = format!(
            "{} ago: {} came, {} went; of {} judged again {} changed, in {}",
            duration(change.age_s),
            number(change.announced),
            number(change.withdrawn),
            count(change.paths_judged, "path"),
            number(change.changed),
            microseconds(change.took_us)
        );
        table.row(["Last change".into(), what.into()]);
    }
    table
}

fn server_cells(server: &RpkiServer) -> [Cell; 9] {
    let state =
        if server.connected { Cell::toned(Tone::Good, "connected") } else { Cell::toned(Tone::Bad, "down") };
    [
        server.server.as_str().into(),
        state,
        Cell::number(or_dash(server.version)),
        Cell::number(or_dash(server.session_id)),
        Cell::number(or_dash(server.serial)),
        Cell::number(number(server.vrps.ipv4)),
        Cell::number(number(server.vrps.ipv6)),
        Cell::number(number(server.aspas)),
        Cell::number(or_dash(server.age_s.map(duration))),
    ]
}

/// Why a cache is down, and when it is tried again.
fn server_note(server: &RpkiServer, look: Look) -> Option<String> {
    let error = server.last_error.as_ref().filter(|_| !server.connected)?;
    let retry = server.retry_in_s.map(|s| format!("; next attempt in {}", duration(s))).unwrap_or_default();
    let note = crate::words::clean(&format!("{}: {error}{retry}", server.server));
    Some(format!("{}\n", look.paint(Tone::Bad, &note)))
}

/// The verdict in a sentence, then the VRPs it rests on.
pub(super) fn render_check(check: &RpkiCheck, look: Look) -> String {
    let (tone, why) = match check.state {
        RpkiState::Valid => (Tone::Good, "a VRP permits it"),
        RpkiState::Invalid => (Tone::Bad, "VRPs cover the prefix, and none permits this length from this AS"),
        RpkiState::NotFound => (Tone::Warn, "no VRP covers the prefix"),
        RpkiState::Unknown => (Tone::Warn, "there is no validated data"),
    };
    let state = look.paint(tone, check.state.name());
    let mut text = format!("{} from AS{} is {state}: {why}\n", check.prefix, check.asn);
    if check.covering.is_empty() {
        return text;
    }
    text.push('\n');
    let mut table = Table::new(["VRP", "MAX", "AS", ""]);
    for vrp in &check.covering {
        let verdict = match (vrp.matches, vrp.asn == check.asn) {
            (true, _) => Cell::toned(Tone::Good, "permits it"),
            (false, true) => Cell::toned(Tone::Bad, "too long"),
            (false, false) if vrp.max_length >= check.prefix.len() => Cell::toned(Tone::Bad, "other AS"),
            (false, false) => Cell::toned(Tone::Bad, "other AS, and too long"),
        };
        table.row([
            vrp.prefix.to_string().into(),
            Cell::number(vrp.max_length.to_string()),
            Cell::number(vrp.asn.to_string()),
            verdict,
        ]);
    }
    text + &table.take(look)
}
