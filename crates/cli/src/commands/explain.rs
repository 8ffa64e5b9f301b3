//! `siskin explain`: why a prefix is routed as it is. Five sections in the order a route takes, then one sentence.

mod decision;
mod export;
pub(super) mod import;

use siskin_api::{DecisionStep, ExplainedPath, Explanation, KernelState, RouteKind, Selector};

use super::peer_name;
use super::routes::{as_path, mark, mark_tone, next_hop};
use crate::client::{Client, query, understand};
use crate::failure::Failure;
use crate::output::{Look, Output, Tone};
use crate::table::{Cell, Table};
use crate::words::{giver, or_dash};

/// Asks and shows.
pub(super) async fn run(
    client: &Client,
    output: &Output,
    prefix: Selector,
    peer: Option<String>,
) -> Result<(), Failure> {
    let peer = match peer {
        Some(given) => Some(peer_name(client, &given).await?),
        None => None,
    };
    let path = format!("/v1/explain{}", query([("prefix", Some(prefix.to_string())), ("peer", peer)]));
    let answer = client.get(&path).await?;
    if output.is_json() {
        return output.answer(&answer);
    }
    output.text(&render(&understand(&answer)?, output.look()))
}

/// The whole explanation.
pub(super) fn render(explanation: &Explanation, look: Look) -> String {
    let mut text = format!("{}\n", look.paint(Tone::Bold, &explanation.prefix.to_string()));
    let mut section = |title: &str, body: String| {
        if !body.is_empty() {
            text += &format!("\n{}\n{body}", look.paint(Tone::Bold, title));
        }
    };
    section("Paths", paths(explanation, look));
    section("Import", import::render(&explanation.paths, look));
    section("Decision", decision::render(&explanation.paths, look));
    section("Kernel", kernel(explanation, look));
    section("Export", export::render(&explanation.exports, look));
    let sentence =
        if explanation.summary.is_empty() { explanation.sentence() } else { explanation.summary.clone() };
    format!("{text}\n{}\n", look.paint(Tone::Bold, &sentence))
}

/// Who offers the prefix, and what became of each offer.
fn paths(explanation: &Explanation, look: Look) -> String {
    let mut table = Table::new(["", "FROM", "AS", "NEXT HOP", "AS PATH", "VERDICT"]).indented(2);
    for path in &explanation.paths {
        let (tone, verdict) = verdict(path);
        table.row([
            Cell::toned(mark_tone(&path.path), mark(&path.path)),
            giver(path.path.source, &path.path.peer).into(),
            Cell::number(or_dash(path.peer_asn)),
            next_hop(&path.path.attributes).into(),
            as_path(&path.path.attributes).into(),
            Cell::toned(tone, verdict),
        ]);
    }
    table.take(look)
}

/// What became of a path, in a few words.
fn verdict(path: &ExplainedPath) -> (Tone, String) {
    if let Some(rejected) = &path.path.rejected {
        return (Tone::Bad, format!("rejected by {}", rejected.rule));
    }
    if !path.path.next_hop_reachable {
        return (Tone::Bad, "not usable: next hop unreachable".to_owned());
    }
    if path.path.best {
        return (Tone::Good, "best".to_owned());
    }
    if path.path.multipath {
        return (Tone::Good, "shares the load".to_owned());
    }
    let mut text = match &path.lost {
        Some(lost) if matches!(lost.step, DecisionStep::External | DecisionStep::LocalOrigin) => {
            format!("loses to {}: {}", lost.to, lost.step.title())
        }
        Some(lost) => {
            format!("loses to {}: {} {} against {}", lost.to, lost.step.title(), lost.own, lost.winner)
        }
        None => "not used".to_owned(),
    };
    if let Some(why) = &path.no_multipath {
        text += &format!("; no multipath: {why}");
    }
    (Tone::Plain, text)
}

fn kernel(explanation: &Explanation, look: Look) -> String {
    let kernel = &explanation.kernel;
    let (tone, state) = match kernel.state {
        KernelState::Installed => (Tone::Good, "installed"),
        KernelState::Pending => (Tone::Warn, "waits to be written"),
        KernelState::Failed => (Tone::Bad, "refused"),
        KernelState::NotInstalled => (Tone::Dim, "not installed"),
    };
    let place = [
        kernel.table.map(|t| if t == 254 { "table main".to_owned() } else { format!("table {t}") }),
        kernel.metric.map(|m| format!("metric {m}")),
        kernel.nexthop_id.map(|id| format!("next-hop object {id}")),
    ];
    let place = place.into_iter().flatten().collect::<Vec<_>>().join(", ");
    let mut ways = match kernel.kind {
        Some(RouteKind::Blackhole) => vec!["blackhole".to_owned()],
        Some(RouteKind::Unreachable) => vec!["unreachable".to_owned()],
        Some(RouteKind::Prohibit) => vec!["prohibit".to_owned()],
        Some(RouteKind::Unicast) | None => super::fib::hop_list(&kernel.hops),
    }
    .into_iter();
    let mut table = Table::new(["", "", ""]).indented(2);
    let first = ways.next().or_else(|| kernel.reason.clone()).unwrap_or_default();
    table.row([Cell::toned(tone, state), first.into(), place.into()]);
    for way in ways {
        table.row([Cell::default(), way.into()]);
    }
    if let Some(error) = &kernel.error {
        table.row([Cell::default(), Cell::toned(Tone::Bad, error.as_str())]);
    }
    let mut text = table.take(look);
    if let Some(policy) = &kernel.policy {
        let judgement = import::Judgement { checks: &[], policy: Some(policy), rejected: None, changes: &[] };
        let mut rules = Table::new(["", "", "", ""]).indented(2);
        import::lines(judgement).into_iter().for_each(|line| rules.row(line));
        text += &rules.take(look);
    }
    text
}
