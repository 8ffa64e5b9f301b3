//! `siskin irr`: as-sets in use, where their lists stand, and PeeringDB.

use siskin_api::{
    IrrRefreshRequest, IrrSet, IrrSetState, IrrSetView, IrrStatus, PeeringDbRecord, PeeringDbStatus,
};

use super::{peer_name, show};
use crate::args::IrrAction;
use crate::client::{Client, escape, query};
use crate::failure::Failure;
use crate::output::{Look, Output, Tone};
use crate::table::{Cell, Table};
use crate::words::{clean, count, duration, family, number, or_dash};

/// AS numbers in a line.
const IN_A_LINE: usize = 10;

/// Runs `siskin irr …`.
pub(super) async fn run(client: &Client, output: &Output, action: Option<IrrAction>) -> Result<(), Failure> {
    match action {
        None | Some(IrrAction::Status) => show(client, output, "/v1/irr", render).await,
        Some(IrrAction::Show(arguments)) => {
            let parameters = [
                ("family", arguments.family().map(|f| f.to_string())),
                ("limit", arguments.limit.map(|n| n.to_string())),
            ];
            // Registries know no case; the configuration has capitals.
            let name = arguments.name.to_uppercase();
            let path = format!("/v1/irr/sets/{}{}", escape(&name), query(parameters));
            show(client, output, &path, render_set).await
        }
        Some(IrrAction::Refresh { peer }) => {
            let peer = match peer {
                Some(given) => Some(peer_name(client, &given).await?),
                None => None,
            };
            super::act(client, output, "/v1/irr/refresh", super::body(&IrrRefreshRequest { peer })?).await
        }
        Some(IrrAction::Accept { peer }) => {
            let peer = peer_name(client, &peer).await?;
            super::act(client, output, &format!("/v1/irr/accept/{}", escape(&peer)), Vec::new()).await
        }
    }
}

/// Sources, then each set, then what PeeringDB says.
pub(super) fn render(status: &IrrStatus, look: Look) -> String {
    if !status.configured {
        return "No peer uses routing registries or PeeringDB.\n".to_owned();
    }
    let mut facts = Table::new(["", ""]);
    if let Some(server) = &status.server {
        let sources = if status.sources.is_empty() {
            "the sources of the server".to_owned()
        } else {
            format!("sources {}", status.sources.join(", "))
        };
        facts.row(["Registry".into(), format!("{server}, {sources}").into()]);
    }
    if let Some(peeringdb) = &status.peeringdb {
        facts.row(["PeeringDB".into(), peeringdb_text(peeringdb).into()]);
        if let Some(error) = &peeringdb.last_error {
            facts.row(["".into(), Cell::toned(Tone::Warn, format!("it failed last: {error}"))]);
        }
    }
    let mut text = facts.take(look);
    for section in [sets(&status.sets, look), records(&status.records, look)] {
        if !section.is_empty() {
            text += &format!("\n{section}");
        }
    }
    text
}

fn peeringdb_text(peeringdb: &PeeringDbStatus) -> String {
    let age = peeringdb
        .age_s
        .map_or_else(|| "has never answered".to_owned(), |s| format!("answered {} ago", duration(s)));
    format!(
        "{}, {age}, {}, {} in the last minute",
        peeringdb.url,
        count(peeringdb.records, "network"),
        match peeringdb.queries_last_minute {
            1 => "1 query".to_owned(),
            n => format!("{} queries", number(n)),
        }
    )
}

/// A line for each as-set and family, and below what needs a sentence.
fn sets(sets: &[IrrSet], look: Look) -> String {
    let mut table = Table::new(["AS-SET", "FAMILY", "PREFIXES", "MEMBERS", "STATE", "AGE", "ASKED", "PEERS"]);
    for set in sets {
        table.row([
            set.as_set.as_str().into(),
            family(set.family).into(),
            Cell::number(number(set.entries)),
            // A set is asked for its members only where something needs them.
            Cell::number(or_dash((set.members > 0).then(|| number(set.members)))),
            Cell::toned(set_tone(set.state), set.state.name()),
            Cell::number(or_dash(set.age_s.map(duration))),
            Cell::number(or_dash(set.last_attempt_s.map(duration))),
            some_of(&set.peers).into(),
        ]);
    }
    let notes: String = sets.iter().filter_map(|set| note(set, look)).collect();
    let gap = if notes.is_empty() { "" } else { "\n" };
    format!("{}{gap}{notes}", table.take(look))
}

fn set_tone(state: IrrSetState) -> Tone {
    match state {
        IrrSetState::Fresh => Tone::Good,
        IrrSetState::Kept => Tone::Warn,
        IrrSetState::Alarm | IrrSetState::Missing => Tone::Bad,
    }
}

/// The first three names, and how many more there are.
fn some_of(names: &[String]) -> String {
    match names {
        [a, b, c, rest @ ..] if rest.len() > 1 => format!("{a}, {b}, {c} and {} more", rest.len()),
        names => names.join(", "),
    }
}

/// Why a list is not fresh, what that means for routes, and what to do.
fn note(set: &IrrSet, look: Look) -> Option<String> {
    let means = match set.state {
        IrrSetState::Fresh => return None,
        IrrSetState::Kept => "the list before is in force".to_owned(),
        IrrSetState::Alarm => format!(
            "the list before is in force until `siskin irr accept {}`",
            set.peers.first().map_or("PEER", String::as_str)
        ),
        IrrSetState::Missing => "there is no list: nothing is imported".to_owned(),
    };
    let reason = set.reason.as_deref().map(|r| format!("{r}; ")).unwrap_or_default();
    let text = clean(&format!("{} {}: {reason}{means}", set.as_set, family(set.family)));
    Some(format!("{}\n", look.paint(set_tone(set.state), &text)))
}

fn records(records: &[PeeringDbRecord], look: Look) -> String {
    let mut table = Table::new(["PEER", "AS", "IPV4", "IPV6", "AS-SET", "AGE", "NETWORK IN PEERINGDB"]);
    for record in records {
        let name = match &record.name {
            Some(name) => Cell::from(name.as_str()),
            None => Cell::toned(Tone::Warn, "not known"),
        };
        table.row([
            record.peer.as_str().into(),
            Cell::number(record.asn.to_string()),
            Cell::number(or_dash(record.info_prefixes.ipv4.map(number))),
            Cell::number(or_dash(record.info_prefixes.ipv6.map(number))),
            record.irr_as_set.as_deref().unwrap_or("-").into(),
            Cell::number(or_dash(record.age_s.map(duration))),
            name,
        ]);
    }
    table.take(look)
}

/// One as-set: where it stands, its members, its prefixes.
pub(super) fn render_set(view: &IrrSetView, look: Look) -> String {
    let mut text = sets(&view.sets, look);
    if !view.members.is_empty() {
        text += &format!("\n{}\n", look.paint(Tone::Bold, "Members"));
        for line in view.members.chunks(IN_A_LINE) {
            let line: Vec<String> = line.iter().map(|asn| format!("AS{asn}")).collect();
            text += &format!("  {}\n", line.join(" "));
        }
    }
    if !view.prefixes.is_empty() {
        text += &format!("\n{}\n", look.paint(Tone::Bold, "Prefixes"));
        for prefix in &view.prefixes {
            text += &format!("  {prefix}\n");
        }
    }
    if view.truncated {
        text += "\nThere are more: --limit N shows up to 10,000.\n";
    }
    text
}
