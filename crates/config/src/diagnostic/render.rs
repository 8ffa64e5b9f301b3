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
    for (index, mark) in diagnostic.marks.iter().enumerate() {
        let kind = if index == 0 { AnnotationKind::Primary } else { AnnotationKind::Context };
        group = match snippet(sources, mark, kind) {
            Some(snippet) => group.element(snippet),
            None => group.element(Origin::path(sources.name(mark.at.file))),
        };
    }
    if let Some(help) = &diagnostic.help {
        group = group.element(Level::HELP.message(help.as_str()));
    }
    renderer.render(&[group])
}

/// The line of a mark with its caret; `None` for a file without text.
fn snippet<'a>(
    sources: &'a Sources,
    mark: &'a Mark,
    kind: AnnotationKind,
) -> Option<Snippet<'a, annotate_snippets::Annotation<'a>>> {
    let text = sources.text(mark.at.file);
    if mark.at.is_whole_file() || text.is_empty() {
        return None;
    }
    let (line, _) = sources.line_column(mark.at);
    let start = mark.at.start.min(text.len());
    let line_start = text.get(..start)?.rfind('\n').map_or(0, |at| at + 1);
    let line_end = text.get(start..)?.find('\n').map_or(text.len(), |at| start + at);
    let (from, to) = window(text, line_start, line_end, start);
    let excerpt = text.get(from..to)?.trim_end_matches('\r');
    let caret_start = start - from;
    let caret_end = mark.at.end.saturating_sub(from).clamp(caret_start, excerpt.len().max(caret_start));
    let annotation = kind.span(caret_start..caret_end);
    let annotation = if mark.label.is_empty() { annotation } else { annotation.label(mark.label.as_str()) };
    Some(
        Snippet::source(excerpt)
            .line_start(usize::try_from(line).unwrap_or(1))
            .path(sources.name(mark.at.file))
            .annotation(annotation),
    )
}

/// The part of a very long line around its caret, at character boundaries.
fn window(text: &str, line_start: usize, line_end: usize, caret: usize) -> (usize, usize) {
    if line_end - line_start <= MAX_LINE {
        return (line_start, line_end);
    }
    let from = caret.saturating_sub(MAX_LINE / 2).max(line_start);
    let to = (caret + MAX_LINE / 2).min(line_end);
    (text.floor_char_boundary(from), text.ceil_char_boundary(to))
}
