//! The export section: whom the route was sent to, and what kept it from the others.

use siskin_api::ExportOutcome;

use crate::commands::routes::attribute_list;
use crate::output::{Look, Tone};
use crate::table::{Cell, Table};

/// Up to this many peers each has its own line; of more, those with the same outcome share one.
const OWN_LINES: usize = 12;
/// Peers named in a shared line.
const NAMED: usize = 3;

/// Whom the route was sent to.
pub(super) fn render(exports: &[ExportOutcome], look: Look) -> String {
    let mut table = Table::new(["", "TO", "RULE", ""]).indented(2);
    for group in groups(exports) {
        let [first, ..] = group.as_slice() else { continue };
        let (tone, word) = match (first.sent, first.pending) {
            (true, false) => (Tone::Good, "sent"),
            (true, true) => (Tone::Warn, "to be sent"),
            (false, false) => (Tone::Dim, "not sent"),
            (false, true) => (Tone::Warn, "to be withdrawn"),
        };
        table.row([
            Cell::toned(tone, word),
            names(&group).into(),
            first.rule.as_str().into(),
            first.text.as_str().into(),
        ]);
        if let Some(attributes) = first.attributes.as_ref().filter(|_| first.sent && group.len() == 1) {
            let list = attribute_list(attributes).into_iter().filter(|(name, _)| *name != "ORIGIN");
            let list: Vec<String> = list.map(|(name, value)| format!("{name} {value}")).collect();
            table.row([
                Cell::default(),
                Cell::default(),
                Cell::toned(Tone::Dim, "as sent"),
                list.join(", ").into(),
            ]);
        }
    }
    table.take(look)
}

/// Each outcome alone, or where there are many the equal ones together.
fn groups(exports: &[ExportOutcome]) -> Vec<Vec<&ExportOutcome>> {
    let mut groups: Vec<Vec<&ExportOutcome>> = Vec::new();
    for export in exports {
        let same = groups.iter_mut().find(|group| {
            exports.len() > OWN_LINES
                && group.first().is_some_and(|f| {
                    (f.sent, f.pending, &f.rule, &f.text)
                        == (export.sent, export.pending, &export.rule, &export.text)
                })
        });
        match same {
            Some(group) => group.push(export),
            None => groups.push(vec![export]),
        }
    }
    groups
}

fn names(group: &[&ExportOutcome]) -> String {
    let named: Vec<&str> = group.iter().take(NAMED).map(|e| e.peer.as_str()).collect();
    let more = group.len() - named.len();
    if more == 0 { named.join(", ") } else { format!("{} and {more} more", named.join(", ")) }
}
