//! Diagnostics as text: the excerpt by annotate-snippets, cut to the lines that matter so that a large file
//! costs no more than a small one.

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};

use super::{Diagnostic, Diagnostics, Mark, Severity};
use crate::source::Sources;

/// Longer lines are shown as an excerpt around the caret.
const MAX_LINE: usize = 400;

pub(super) fn all(diagnostics: &Diagnostics, color: bool) -> String {
    let renderer = if color { Renderer::styled() } else { Renderer::plain() };
    let mut out = String::new();
    for diagnostic in diagnostics {
        out.push_str(&one(&diagnostics.sources, diagnostic, &renderer));
        out.push_str("\n\n");
    }
    out.push_str(&summary(diagnostics));
    out
}

fn summary(diagnostics: &Diagnostics) -> String {
    let count = |severity| diagnostics.iter().filter(|d| d.severity == severity).count();
    let errors = count(Severity::Error) + diagnostics.dropped;
    let plural = |n: usize, noun: &str| format!("{n} {noun}{}", if n == 1 { "" } else { "s" });
    let mut parts = Vec::new();
    if errors > 0 {
        parts.push(plural(errors, "error"));
    }
    if count(Severity::Warning) > 0 {
        parts.push(plural(count(Severity::Warning), "warning"));
    }
    if parts.is_empty() {
        return String::new();
    }
    let cut = if diagnostics.dropped > 0 {
        format!(" (the first {} are shown)", diagnostics.list.len())
    } else {
        String::new()
    };
    format!("{}{cut}\n", parts.join(", "))
}

fn one(sources: &Sources, diagnostic: &Diagnostic, renderer: &Renderer) -> String {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let mut group = Group::with_title(level.primary_title(diagnostic.message.as_str()));
    let mut rest = diagnostic.marks.as_slice();
    let mut kind = AnnotationKind::Primary;
    while let [first, others @ ..] = rest {
        let together = others.iter().take_while(|mark| are_near(sources, first, mark)).count();
        let (marks, left) = rest.split_at(together + 1);
        group = match snippet(sources, marks, kind) {
            Some(snippet) => group.element(snippet),
            None => group.element(Origin::path(sources.name(first.at.file))),
        };
        kind = AnnotationKind::Context;
        rest = left;
    }
    if let Some(help) = &diagnostic.help {
        group = group.element(Level::HELP.message(help.as_str()));
    }
    renderer.render(&[group])
}

/// Whether two marks fit into one excerpt.
fn are_near(sources: &Sources, one: &Mark, other: &Mark) -> bool {
    let (one_line, other_line) = (sources.line_column(one.at).0, sources.line_column(other.at).0);
    let whole = one.at.is_whole_file() || other.at.is_whole_file();
    let (start, end) = (one.at.start.min(other.at.start), one.at.start.max(other.at.start));
    !whole && one.at.file == other.at.file && one_line.abs_diff(other_line) <= 8 && end - start <= MAX_LINE
}

/// The lines of marks that are near each other, with their carets; `None` for a file without text.
fn snippet<'a>(
    sources: &'a Sources,
    marks: &'a [Mark],
    kind: AnnotationKind,
) -> Option<Snippet<'a, annotate_snippets::Annotation<'a>>> {
    let primary = marks.first()?;
    let text = sources.text(primary.at.file);
    if primary.at.is_whole_file() || text.is_empty() {
        return None;
    }
    let top = marks.iter().min_by_key(|mark| mark.at.start)?;
    let bottom = marks.iter().max_by_key(|mark| mark.at.start)?;
    let (first, last) = (top.at.start.min(text.len()), bottom.at.start.min(text.len()));
    let line_start = text.get(..first)?.rfind('\n').map_or(0, |at| at + 1);
    let line_end = text.get(last..)?.find('\n').map_or(text.len(), |at| last + at);
    let from = if first - line_start > MAX_LINE { first - MAX_LINE / 2 } else { line_start };
    let from = text.floor_char_boundary(from);
    let to = text.ceil_char_boundary(line_end.min(last + MAX_LINE));
    let excerpt = text.get(from..to)?.trim_end_matches('\r');
    let (line, _) = sources.line_column(top.at);
    let snippet = Snippet::source(excerpt)
        .line_start(usize::try_from(line).unwrap_or(1))
        .path(sources.name(primary.at.file));
    Some(marks.iter().enumerate().fold(snippet, |snippet, (index, mark)| {
        let start = (mark.at.start - from).min(excerpt.len());
        let line_end =
            excerpt.get(start..).and_then(|rest| rest.find('\n')).map_or(excerpt.len(), |at| start + at);
        let end = mark.at.end.saturating_sub(from).clamp(start, line_end);
        let kind = if index == 0 { kind } else { AnnotationKind::Context };
        let annotation = kind.span(start..end);
        snippet.annotation(match mark.label.as_str() {
            "" => annotation,
            label => annotation.label(label),
        })
    }))
}
