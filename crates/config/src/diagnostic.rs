//! What is wrong with a configuration, where, and what to do: collected, ordered, shown as rustc shows its own.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;

use crate::source::{Location, Sources};

mod render;

/// The most diagnostics kept; what comes after is only counted.
const MAX: usize = 200;

/// How bad a diagnostic is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The configuration is refused.
    Error,
    /// It is taken, but something in it will not do what it seems to.
    Warning,
}

/// One thing wrong. Serializes to `severity, file, line, column, message, help`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// The file it is in, as named on the command line or by the include that found it.
    pub file: String,
    /// The line, from 1; 0: it concerns the file as a whole.
    pub line: u32,
    /// The column in characters, from 1; 0: the file as a whole.
    pub column: u32,
    /// What is wrong.
    pub message: String,
    /// What to do, what was expected, or what was probably meant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    #[serde(skip)]
    marks: Vec<Mark>,
}

/// A place to show, with a word at its caret. The first of a diagnostic is the one that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Mark {
    at: Location,
    label: String,
}

/// Diagnostics in the order of files and lines, with the texts they point into.
#[derive(Clone, Default)]
pub struct Diagnostics {
    sources: Arc<Sources>,
    list: Vec<Diagnostic>,
    dropped: usize,
}

impl Diagnostics {
    /// Whether there is nothing to say.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// How many there are, with those beyond the limit of 200 that is kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.list.len() + self.dropped
    }

    /// Each, in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Diagnostic> {
        self.list.iter()
    }

    /// Text for people: excerpt, caret, help, and a last line that counts. `color`: with ANSI colours.
    #[must_use]
    pub fn render(&self, color: bool) -> String {
        render::all(self, color)
    }
}

impl<'a> IntoIterator for &'a Diagnostics {
    type Item = &'a Diagnostic;
    type IntoIter = std::slice::Iter<'a, Diagnostic>;
    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl fmt::Debug for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.list).finish()
    }
}

impl std::error::Error for Diagnostics {}

impl Serialize for Diagnostics {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(&self.list)
    }
}

/// Collects diagnostics while a configuration is read.
pub(crate) struct Report {
    sources: Arc<Sources>,
    list: Vec<Diagnostic>,
    dropped: usize,
    failed: bool,
}

/// A diagnostic being written; it counts once it goes out of scope.
pub(crate) struct Draft<'r> {
    report: &'r mut Report,
    diagnostic: Diagnostic,
}

impl Report {
    pub(crate) fn new(sources: Arc<Sources>) -> Report {
        Report { sources, list: Vec::new(), dropped: 0, failed: false }
    }

    pub(crate) fn sources(&self) -> &Arc<Sources> {
        &self.sources
    }

    /// Whether an error was reported.
    pub(crate) fn failed(&self) -> bool {
        self.failed
    }

    pub(crate) fn error(&mut self, at: Location, message: impl Into<String>) -> Draft<'_> {
        self.draft(Severity::Error, at, message.into())
    }

    pub(crate) fn warning(&mut self, at: Location, message: impl Into<String>) -> Draft<'_> {
        self.draft(Severity::Warning, at, message.into())
    }

    fn draft(&mut self, severity: Severity, at: Location, message: String) -> Draft<'_> {
        let (line, column) = self.sources.line_column(at);
        let diagnostic = Diagnostic {
            severity,
            file: self.sources.name(at.file).to_owned(),
            line,
            column,
            message: shown(&message, 500),
            help: None,
            marks: vec![Mark { at, label: String::new() }],
        };
        Draft { report: self, diagnostic }
    }

    /// Everything reported, in the order of files and lines.
    pub(crate) fn into_diagnostics(mut self) -> Diagnostics {
        self.list.sort_by_key(|d| (d.severity, d.marks.first().map(|mark| (mark.at.file, mark.at.start))));
        Diagnostics { sources: self.sources, list: self.list, dropped: self.dropped }
    }
}

impl Draft<'_> {
    /// The word at the caret.
    pub(crate) fn label(mut self, label: impl Into<String>) -> Self {
        if let Some(mark) = self.diagnostic.marks.first_mut() {
            mark.label = shown(&label.into(), 200);
        }
        self
    }

    /// Another place that matters, perhaps in another file.
    pub(crate) fn also(mut self, at: Location, label: impl Into<String>) -> Self {
        self.diagnostic.marks.push(Mark { at, label: label.into() });
        self
    }

    /// What to do about it.
    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.diagnostic.help = Some(shown(&help.into(), 500));
        self
    }

    /// As [`Draft::help`], if there is something to say.
    pub(crate) fn maybe_help(self, help: Option<String>) -> Self {
        match help {
            Some(help) => self.help(help),
            None => self,
        }
    }
}

impl Drop for Draft<'_> {
    fn drop(&mut self) {
        self.report.failed |= self.diagnostic.severity == Severity::Error;
        if self.report.list.len() < MAX {
            self.report.list.push(self.diagnostic.clone());
        } else {
            self.report.dropped += 1;
        }
    }
}

/// Text that may come from the file, made safe for a terminal: control characters escaped, the end cut.
pub(crate) fn shown(text: &str, max: usize) -> String {
    let mut out = String::with_capacity(text.len().min(max));
    for (count, c) in text.chars().enumerate() {
        if count == max {
            out.push('…');
            break;
        }
        if c.is_control() && c != '\n' {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}
