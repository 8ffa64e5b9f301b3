//! The import section: the checks and rules each path met, and what they changed.

use siskin_api::{AttributeChange, ExplainedPath};

use crate::output::{Look, Tone};
use crate::table::{Cell, Table};
use crate::words::giver;

/// A block for each path: checks in one line, each rule in a line, changes in a line.
pub(super) fn render(paths: &[ExplainedPath], look: Look) -> String {
    let mut table = Table::new(["", "", "", "", ""]).indented(2);
    for path in paths {
        let mut lines = lines(path).into_iter();
        let from = giver(path.path.source, &path.path.peer);
        table.row(std::iter::once(Cell::toned(Tone::Bold, from)).chain(lines.next().into_iter().flatten()));
        for line in lines {
            table.row(std::iter::once(Cell::default()).chain(line));
        }
    }
    table.take(look)
}

/// What happened, what did it, what it says, what it changed.
fn lines(path: &ExplainedPath) -> Vec<Vec<Cell>> {
    let mut lines = Vec::new();
    let (passed, failed): (Vec<_>, Vec<_>) = path.checks.iter().partition(|c| c.passed);
    if !passed.is_empty() {
        let names: Vec<&str> = passed.iter().map(|c| c.name.as_str()).collect();
        lines.push(vec![Cell::toned(Tone::Good, "passes"), names.join(", ").into()]);
    }
    for check in &failed {
        lines.push(vec![
            Cell::toned(Tone::Bad, "fails"),
            check.name.as_str().into(),
            Cell::from(check.text.as_str()),
        ]);
    }
    if let Some(policy) = &path.policy {
        for step in &policy.steps {
            let ends = step.rule == policy.rule;
            let (tone, word) = match (step.matched, ends, policy.accepted) {
                (false, ..) => (Tone::Dim, "no match"),
                (true, true, true) => (Tone::Good, "accepts"),
                (true, true, false) => (Tone::Bad, "rejects"),
                (true, false, _) => (Tone::Plain, "matches"),
            };
            let effect = step.effect.as_deref().filter(|_| !ends).unwrap_or_default();
            lines.push(vec![
                Cell::toned(tone, word),
                step.rule.as_str().into(),
                step.text.as_str().into(),
                effect.into(),
            ]);
        }
        if !policy.steps.iter().any(|s| s.rule == policy.rule) {
            let word = if policy.accepted { (Tone::Good, "accepts") } else { (Tone::Bad, "rejects") };
            lines.push(vec![Cell::toned(word.0, word.1), policy.rule.as_str().into(), ending(path)]);
        }
    } else if let (Some(rejected), true) = (&path.path.rejected, failed.is_empty()) {
        lines.push(vec![
            Cell::toned(Tone::Bad, "rejects"),
            rejected.rule.as_str().into(),
            rejected.text.as_str().into(),
        ]);
    }
    if !path.changes.is_empty() {
        let changes: Vec<String> = path.changes.iter().map(change).collect();
        lines.push(vec![Cell::toned(Tone::Plain, "changed"), changes.join("; ").into()]);
    }
    if lines.is_empty() {
        lines.push(vec![Cell::toned(Tone::Dim, "as it came")]);
    }
    lines
}

/// The text of a verdict no listed rule gave, like falling off the end.
fn ending(path: &ExplainedPath) -> Cell {
    path.path.rejected.as_ref().map(|r| r.text.as_str()).unwrap_or_default().into()
}

/// `local_pref: none -> 100`.
pub(super) fn change(change: &AttributeChange) -> String {
    let side = |s: &Option<String>| s.as_deref().filter(|s| !s.is_empty()).unwrap_or("none").to_owned();
    format!("{}: {} -> {}", change.attribute, side(&change.from), side(&change.to))
}
