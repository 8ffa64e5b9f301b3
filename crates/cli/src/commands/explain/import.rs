//! The import section: the checks and rules each path met, and what they changed.

use siskin_api::{AttributeChange, Check, ExplainedPath, PolicyStep, PolicyTrace, Rejection};

use crate::output::{Look, Tone};
use crate::table::{Cell, Table};
use crate::words::giver;

/// From so many on, rules without a match that follow each other share a line.
const COLLAPSED: usize = 5;

/// What checks and policy did with a path.
#[derive(Clone, Copy, Debug)]
pub(in crate::commands) struct Judgement<'a> {
    /// The checks, to the first that failed.
    pub(in crate::commands) checks: &'a [Check],
    /// What the policy did, if it was asked.
    pub(in crate::commands) policy: Option<&'a PolicyTrace>,
    /// Why it was rejected, if it was.
    pub(in crate::commands) rejected: Option<&'a Rejection>,
    /// What was changed.
    pub(in crate::commands) changes: &'a [AttributeChange],
}

/// A block for each path: checks in one line, each rule in a line, changes in a line.
pub(super) fn render(paths: &[ExplainedPath], look: Look) -> String {
    let mut table = Table::new(["", "", "", "", ""]).indented(2);
    for path in paths {
        let judgement = Judgement {
            checks: &path.checks,
            policy: path.policy.as_ref(),
            rejected: path.path.rejected.as_ref(),
            changes: &path.changes,
        };
        let mut lines = lines(judgement).into_iter();
        let from = giver(path.path.source, &path.path.peer);
        table.row(std::iter::once(Cell::toned(Tone::Bold, from)).chain(lines.next().into_iter().flatten()));
        for line in lines {
            table.row(std::iter::once(Cell::default()).chain(line));
        }
    }
    table.take(look)
}

/// What happened, what did it, what it says, what it changed.
pub(in crate::commands) fn lines(path: Judgement<'_>) -> Vec<Vec<Cell>> {
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
    if let Some(policy) = path.policy {
        lines.extend(rules(path.rejected, policy));
    } else if let (Some(rejected), true) = (path.rejected, failed.is_empty()) {
        lines.push(vec![
            Cell::toned(Tone::Bad, "rejects"),
            rejected.rule.as_str().into(),
            rejected.text.as_str().into(),
        ]);
    }
    if !path.changes.is_empty() {
        // The length follows from the path.
        let changes = path.changes.iter().filter(|c| c.attribute != "as_path_length");
        let changes: Vec<String> = changes.map(change).collect();
        lines.push(vec![Cell::toned(Tone::Plain, "changed"), changes.join("; ").into()]);
    }
    if lines.is_empty() {
        lines.push(vec![Cell::toned(Tone::Dim, "as it came")]);
    }
    lines
}

/// The rules that ran, and the verdict where none of them gave it, as when the run falls off the end.
fn rules(rejected: Option<&Rejection>, policy: &PolicyTrace) -> Vec<Vec<Cell>> {
    let verdict = rejected.map_or(&policy.rule, |r| &r.rule);
    let mut lines = Vec::new();
    for run in policy.steps.chunk_by(|a, b| !a.matched && !b.matched) {
        if let ([first, .., last], true) = (run, run.len() >= COLLAPSED) {
            let (first, last) = (&first.rule, &last.rule);
            let (word, rules) = (Cell::toned(Tone::Dim, "no match"), format!("{} rules", run.len()));
            lines.push(vec![word, rules.into(), Cell::toned(Tone::Dim, format!("{first} to {last}"))]);
            continue;
        }
        lines.extend(run.iter().map(|step| rule(step, &step.rule == verdict, policy.accepted)));
    }
    if let Some(rejected) = rejected.filter(|_| policy.steps.iter().all(|s| &s.rule != verdict)) {
        let (rule, text) = (rejected.rule.as_str(), rejected.text.as_str());
        lines.push(vec![Cell::toned(Tone::Bad, "rejects"), rule.into(), text.into()]);
    }
    lines
}

/// One rule: whether it matched, where it stands, what it says, what it did.
fn rule(step: &PolicyStep, ends: bool, accepted: bool) -> Vec<Cell> {
    let (tone, word) = match (step.matched, ends, accepted) {
        (false, ..) => (Tone::Dim, "no match"),
        (true, true, true) => (Tone::Good, "accepts"),
        (true, true, false) => (Tone::Bad, "rejects"),
        (true, false, _) => (Tone::Plain, "matches"),
    };
    let effect = step.effect.as_deref().filter(|_| !ends).unwrap_or_default();
    vec![Cell::toned(tone, word), step.rule.as_str().into(), step.text.as_str().into(), effect.into()]
}

/// `local_pref: none -> 100`.
fn change(change: &AttributeChange) -> String {
    let side = |s: &Option<String>| s.as_deref().filter(|s| !s.is_empty()).unwrap_or("none").to_owned();
    format!("{}: {} -> {}", change.attribute, side(&change.from), side(&change.to))
}
