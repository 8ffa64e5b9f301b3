//! What is wrong with a text and where, and the search for the word that was probably meant.

use std::fmt;

/// A range of byte offsets inside the text that was parsed: `start` is part of it, `end` is not. Both lie on
/// character boundaries; an empty span at the end says that something is missing there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Span {
    /// The first byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

impl Span {
    /// The same range in a text in which this one starts at `offset`.
    #[must_use]
    pub fn shifted(self, offset: usize) -> Span {
        Span { start: self.start.saturating_add(offset), end: self.end.saturating_add(offset) }
    }
}

/// A rule or a pattern that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SyntaxError {
    /// Where in the text.
    pub span: Span,
    /// What was expected there and what was found.
    pub message: String,
    /// What to do about it, if that can be told: a word that was probably meant, another way to write it.
    pub help: Option<String>,
}

impl SyntaxError {
    /// An error without help.
    pub(crate) fn new(start: usize, end: usize, message: impl Into<String>) -> SyntaxError {
        SyntaxError { span: Span { start, end }, message: message.into(), help: None }
    }

    /// The same error with help.
    pub(crate) fn with_help(mut self, help: Option<String>) -> SyntaxError {
        self.help = help;
        self
    }

    /// The error in a text in which the one it is about starts at `offset`.
    pub(crate) fn shifted(mut self, offset: usize) -> SyntaxError {
        self.span = self.span.shifted(offset);
        self
    }
}

/// What is wrong with a rule of a policy, or worth a warning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyError {
    /// The policy's name.
    pub policy: String,
    /// Which of its rules, counted from 0.
    pub rule: usize,
    /// Where in the rule's text.
    pub span: Span,
    /// What is wrong.
    pub message: String,
    /// What to do about it, if that can be told.
    pub help: Option<String>,
}

impl fmt::Display for PolicyError {
    /// `policy fabric-in rule 3: expected …`; rules are counted from 1, as operators do.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "policy {} rule {}: {}", self.policy, self.rule.saturating_add(1), self.message)?;
        match &self.help {
            Some(help) => write!(f, " ({help})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for PolicyError {}

/// ``did you mean `community`?``, if one of `candidates` is close enough to `word`.
pub(crate) fn did_you_mean<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let allowed = (word.chars().count() / 3).clamp(1, 3);
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&word.to_lowercase(), candidate), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min()
        .map(|(_, candidate)| format!("did you mean `{candidate}`?"))
}

/// `a`, `b` or `c`.
pub(crate) fn one_of<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    let quoted: Vec<String> = words.into_iter().map(|w| format!("`{w}`")).collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, first)) => format!("{} or {last}", first.join(", ")),
        None => String::new(),
    }
}
