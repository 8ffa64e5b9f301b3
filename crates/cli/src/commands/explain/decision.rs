//! The decision section: the steps as rows, the candidates as columns, until every loser is out.

use std::collections::BTreeSet;

use siskin_api::{DecisionStep, ExplainedPath, PeerKind};
use siskin_net::RouteSource;

use crate::output::{Look, Tone};
use crate::table::{Cell, Table};

/// More candidates than this do not fit beside each other: then a line says how each lost.
const COLUMNS: usize = 5;

/// How the best path was found; empty if there was nothing to decide.
pub(super) fn render(paths: &[ExplainedPath], look: Look) -> String {
    let candidates: Vec<&ExplainedPath> =
        paths.iter().filter(|p| p.path.rejected.is_none() && p.path.next_hop_reachable).collect();
    // Of a single path that was asked about, the comparison it lost is all there is to show.
    if candidates.len() > COLUMNS || candidates.len() == 1 {
        return losses(&candidates, look);
    }
    // The last step that told two candidates apart, in the order of the decision.
    let Some(last) = candidates.iter().filter_map(|p| Some(p.lost.as_ref()?.step)).max() else {
        return String::new();
    };
    let mut table = Table::new(["", "", "", "", "", "", ""]).indented(2);
    let heading = candidates.iter().map(|p| Cell::toned(Tone::Bold, p.path.peer.as_str()));
    table.row(std::iter::once(Cell::default()).chain(heading));
    for step in DecisionStep::ALL.into_iter().filter(|s| *s <= last) {
        let decides = candidates.iter().any(|p| p.lost.as_ref().is_some_and(|l| l.step == step));
        let tone = if decides { Tone::Plain } else { Tone::Dim };
        let cells = candidates.iter().map(|path| cell(path, step, tone));
        let note = note(&candidates, step).map(|n| Cell::toned(Tone::Dim, n));
        table.row(std::iter::once(Cell::toned(tone, step.title())).chain(cells).chain(note));
    }
    let shared = candidates.iter().filter(|p| p.path.multipath).count();
    let mut text = table.take(look);
    if shared > 1 {
        text += "  Paths that are equal to the cost of the next hop share the load; the rest only finds the first.\n";
    }
    text
}

/// A candidate's value in a step: empty once it is out, marked where it goes out.
fn cell(path: &ExplainedPath, step: DecisionStep, tone: Tone) -> Cell {
    match &path.lost {
        Some(lost) if lost.step < step => Cell::default(),
        Some(lost) if lost.step == step && path.path.multipath => format!("{} (not first)", lost.own).into(),
        Some(lost) if lost.step == step => Cell::toned(Tone::Bad, format!("{} (out)", lost.own)),
        _ => Cell::toned(tone, value(path, step)),
    }
}

/// What the values of a step do not say by themselves.
fn note(candidates: &[&ExplainedPath], step: DecisionStep) -> Option<&'static str> {
    let neighbor = |p: &ExplainedPath| p.path.attributes.as_path.split(' ').next().map(str::to_owned);
    let in_play = || candidates.iter().filter(|p| p.lost.as_ref().is_none_or(|l| l.step >= step));
    let values: BTreeSet<String> = in_play().map(|p| value(p, step)).collect();
    let neighbors: BTreeSet<_> = in_play().map(|p| neighbor(p)).collect();
    (step == DecisionStep::Med && values.len() > 1 && neighbors.len() > 1)
        .then_some("compared only within one neighbouring AS")
}

/// A path's value in a step, as the decision counts it.
fn value(path: &ExplainedPath, step: DecisionStep) -> String {
    let attributes = &path.path.attributes;
    match step {
        DecisionStep::Weight => attributes.weight.to_string(),
        DecisionStep::LocalPref => attributes.local_pref.unwrap_or(100).to_string(),
        DecisionStep::LocalOrigin => {
            if path.path.source == RouteSource::Bgp { "no" } else { "yes" }.to_owned()
        }
        DecisionStep::AsPathLength => attributes.as_path_length.to_string(),
        DecisionStep::Origin => attributes.origin.clone(),
        DecisionStep::Med => attributes.med.unwrap_or(0).to_string(),
        DecisionStep::External => match path.kind {
            Some(PeerKind::External) => "external".to_owned(),
            Some(PeerKind::Internal) => "internal".to_owned(),
            None => "-".to_owned(),
        },
        DecisionStep::IgpMetric => path.igp_metric.map_or_else(|| "-".to_owned(), |m| m.to_string()),
        DecisionStep::RouterId => {
            let id = attributes.originator_id.or(path.peer_router_id);
            id.map_or_else(|| "-".to_owned(), |i| i.to_string())
        }
        DecisionStep::ClusterListLength => attributes.cluster_list.len().to_string(),
        DecisionStep::PeerAddress => path.peer_address.map_or_else(|| "-".to_owned(), |a| a.to_string()),
    }
}

/// A line for each path that lost.
fn losses(candidates: &[&ExplainedPath], look: Look) -> String {
    let mut table = Table::new(["", "", "", ""]).indented(2);
    for path in candidates {
        if let Some(lost) = &path.lost {
            table.row([
                Cell::toned(Tone::Bold, path.path.peer.as_str()),
                format!("loses to {}", lost.to).into(),
                lost.step.title().into(),
                format!("{} against {}, {} wins", lost.own, lost.winner, lost.step.preference()).into(),
            ]);
        }
    }
    table.take(look)
}
