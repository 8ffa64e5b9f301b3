//! Regular expressions over AS paths, as operators of other routers write them: `_65001_`, `^65001$`, `^$`,
//! `^65001_[0-9]+$`. The path is matched in its text form without ever being written out: the automaton is fed digit
//! by digit.
//!
//! `_` stands for the start, the end, or what separates two numbers (blanks and the brackets of sets). The syntax
//! is checked here, so that an error names the character; the automaton's size is bounded, its time is linear.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use regex_automata::dfa::{Automaton, StartKind, dense};
use regex_automata::nfa::thompson;
use regex_automata::util::{primitives::StateID, syntax};
use regex_automata::{Input, MatchKind};
use siskin_bgp::attr::{AsPath, SegmentKind};

use crate::error::SyntaxError;

/// The longest expression, in bytes.
const MAX_LEN: usize = 1024;
/// The largest repetition count.
const MAX_REPEAT: u32 = 255;
/// How deep groups may nest.
const MAX_DEPTH: usize = 32;
/// The largest automaton, in bytes.
const MAX_SIZE: usize = 1 << 20;

/// A compiled expression; equal if its text is.
#[derive(Clone)]
pub(crate) struct AsPathRegex {
    pattern: Arc<str>,
    automaton: Arc<dense::DFA<Vec<u32>>>,
    start: StateID,
}

impl AsPathRegex {
    /// Compiles the expression; spans are those of `pattern`.
    pub(crate) fn new(pattern: &str) -> Result<AsPathRegex, SyntaxError> {
        let whole = |message: &str| SyntaxError::new(0, pattern.len(), message);
        if pattern.len() > MAX_LEN {
            return Err(whole("the expression is too long: at most 1024 characters"));
        }
        let translated = Translator::new(pattern).run()?;
        let config = dense::Config::new()
            .start_kind(StartKind::Unanchored)
            .match_kind(MatchKind::All)
            .dfa_size_limit(Some(MAX_SIZE))
            .determinize_size_limit(Some(4 * MAX_SIZE));
        let automaton = dense::Builder::new()
            .configure(config)
            .syntax(syntax::Config::new().unicode(false).utf8(false))
            .thompson(thompson::Config::new().utf8(false).nfa_size_limit(Some(MAX_SIZE)))
            .build(&translated)
            .map_err(|_| whole("the expression is too complex: write fewer or smaller repetitions"))?;
        let start = automaton
            .start_state_forward(&Input::new(b""))
            .map_err(|_| whole("the expression cannot be searched for"))?;
        Ok(AsPathRegex { pattern: pattern.into(), automaton: Arc::new(automaton), start })
    }

    /// Whether the expression matches anywhere in the path's text.
    pub(crate) fn is_match(&self, path: &AsPath) -> bool {
        let mut scan = Scan { automaton: &self.automaton, state: self.start, done: None };
        scan.path(path);
        scan.finish()
    }
}

/// A search under way.
struct Scan<'a> {
    automaton: &'a dense::DFA<Vec<u32>>,
    state: StateID,
    /// The answer, as soon as it is certain.
    done: Option<bool>,
}

impl Scan<'_> {
    fn byte(&mut self, byte: u8) {
        if self.done.is_none() {
            self.state = self.automaton.next_state(self.state, byte);
            if self.automaton.is_special_state(self.state) {
                self.settle();
            }
        }
    }

    fn settle(&mut self) {
        if self.automaton.is_match_state(self.state) {
            self.done = Some(true);
        } else if self.automaton.is_dead_state(self.state) || self.automaton.is_quit_state(self.state) {
            self.done = Some(false);
        }
    }

    fn finish(mut self) -> bool {
        if self.done.is_none() {
            self.state = self.automaton.next_eoi_state(self.state);
            self.settle();
        }
        self.done.unwrap_or(false)
    }

    /// The text that `AsPath`'s `Display` gives.
    fn path(&mut self, path: &AsPath) {
        for (i, (kind, asns)) in path.segments().enumerate() {
            if i > 0 {
                self.byte(b' ');
            }
            let brackets = match kind {
                SegmentKind::Sequence => None,
                SegmentKind::Set => Some((b'{', b'}')),
                SegmentKind::ConfedSequence => Some((b'(', b')')),
                SegmentKind::ConfedSet => Some((b'[', b']')),
            };
            if let Some((open, _)) = brackets {
                self.byte(open);
            }
            for (j, asn) in asns.enumerate() {
                if self.done.is_some() {
                    return;
                }
                if j > 0 {
                    self.byte(b' ');
                }
                self.number(asn.0);
            }
            if let Some((_, close)) = brackets {
                self.byte(close);
            }
        }
    }

    fn number(&mut self, number: u32) {
        let mut divisor = 1_000_000_000;
        while divisor > 1 && number < divisor {
            divisor /= 10;
        }
        while divisor > 0 {
            let digit = u8::try_from(number / divisor % 10).unwrap_or(0);
            self.byte(b'0' + digit);
            divisor /= 10;
        }
    }
}

/// Checks an expression and rewrites it for the library: one pass over its characters.
struct Translator<'a> {
    text: &'a str,
    out: String,
    /// Offsets of the groups that are open.
    groups: Vec<usize>,
    /// Whether what came last can be repeated.
    repeatable: bool,
}

impl<'a> Translator<'a> {
    fn new(text: &'a str) -> Translator<'a> {
        Translator { text, out: String::with_capacity(text.len() * 2), groups: Vec::new(), repeatable: false }
    }

    fn run(mut self) -> Result<String, SyntaxError> {
        let mut at = 0;
        while let Some(c) = self.text.get(at..).and_then(|rest| rest.chars().next()) {
            let error = |message: &str| SyntaxError::new(at, at + c.len_utf8(), message);
            at = match c {
                '0'..='9' | ' ' | ',' | '.' => self.plain(c, at),
                '_' => {
                    self.out.push_str(r"(?:^|$|[ ,{}()\[\]]+)");
                    self.repeatable = true;
                    at + 1
                }
                '^' | '$' | '|' => {
                    self.out.push(c);
                    self.repeatable = false;
                    at + 1
                }
                '(' if self.groups.len() >= MAX_DEPTH => return Err(error("groups nest too deeply")),
                '(' => {
                    self.groups.push(at);
                    self.out.push_str("(?:");
                    self.repeatable = false;
                    at + 1
                }
                ')' => {
                    self.groups.pop().ok_or_else(|| error("this `)` closes no group"))?;
                    self.out.push(')');
                    self.repeatable = true;
                    at + 1
                }
                '*' | '+' | '?' | '{' if !self.repeatable => {
                    return Err(error(&format!("`{c}` has nothing before it to repeat")));
                }
                '*' | '+' | '?' => {
                    self.out.push(c);
                    self.repeatable = false;
                    at + 1
                }
                '{' => self.counted(at)?,
                '[' => self.class(at)?,
                '\\' => self.escape(at)?,
                _ => {
                    let message = format!(
                        "`{c}` never stands in an AS path: expected digits, `_` or one of . ^ $ * + ? | ( ) [ ]"
                    );
                    return Err(error(&message));
                }
            };
        }
        match self.groups.pop() {
            Some(open) => Err(SyntaxError::new(open, open + 1, "this `(` is never closed")),
            None => Ok(self.out),
        }
    }

    fn plain(&mut self, c: char, at: usize) -> usize {
        self.out.push(c);
        self.repeatable = true;
        at + 1
    }

    fn escape(&mut self, at: usize) -> Result<usize, SyntaxError> {
        match self.text.as_bytes().get(at + 1) {
            Some(b'd') => {
                self.out.push_str("[0-9]");
                self.repeatable = true;
                Ok(at + 2)
            }
            Some(&c) if c.is_ascii_punctuation() && c != b'_' => {
                self.out.push('\\');
                self.plain(char::from(c), at);
                Ok(at + 2)
            }
            _ => Err(SyntaxError::new(at, at + 1, "`\\` makes only brackets and signs plain")),
        }
    }

    /// `[0-9]`, `[^1-3]`, `[13]`.
    fn class(&mut self, at: usize) -> Result<usize, SyntaxError> {
        let unclosed = || SyntaxError::new(at, at + 1, "this `[` is never closed");
        let len = self.text.get(at..).and_then(|rest| rest.find(']')).ok_or_else(unclosed)?;
        let body = self.text.get(at + 1..at + len).unwrap_or_default();
        let members = body.strip_prefix('^').unwrap_or(body);
        let start = at + 1 + (body.len() - members.len());
        if members.is_empty() {
            return Err(SyntaxError::new(at, at + len + 1, "the class has no member"));
        }
        if let Some((i, c)) = members.char_indices().find(|(_, c)| !matches!(c, '0'..='9' | '-' | ' ')) {
            let message = format!("`{c}` cannot stand in a class: expected digits and ranges of them");
            return Err(SyntaxError::new(start + i, start + i + c.len_utf8(), message));
        }
        let bytes = members.as_bytes();
        let misplaced = bytes.iter().enumerate().find(|(i, b)| {
            let around = (i.checked_sub(1).and_then(|i| bytes.get(i)), bytes.get(i + 1));
            let is_range = matches!(around, (Some(a @ b'0'..=b'9'), Some(z @ b'0'..=b'9')) if a <= z);
            **b == b'-' && !is_range
        });
        if let Some((i, _)) = misplaced {
            return Err(SyntaxError::new(
                start + i,
                start + i + 1,
                "`-` must stand between two rising digits",
            ));
        }
        self.out.push('[');
        self.out.push_str(body);
        self.out.push(']');
        self.repeatable = true;
        Ok(at + len + 1)
    }

    /// `{2}`, `{2,}`, `{2,5}`.
    fn counted(&mut self, at: usize) -> Result<usize, SyntaxError> {
        let unclosed = || SyntaxError::new(at, at + 1, "this `{` is never closed");
        let len = self.text.get(at..).and_then(|rest| rest.find('}')).ok_or_else(unclosed)?;
        let body = self.text.get(at + 1..at + len).unwrap_or_default();
        let count = |text: &str| {
            text.parse::<u32>().ok().filter(|n| *n <= MAX_REPEAT && text.bytes().all(|b| b.is_ascii_digit()))
        };
        let good = match body.split_once(',') {
            None => count(body).is_some(),
            Some((low, "")) => count(low).is_some(),
            Some((low, high)) => count(low).zip(count(high)).is_some_and(|(low, high)| low <= high),
        };
        if !good {
            let message = format!("expected a count like {{2}} or {{1,5}}, at most {MAX_REPEAT}");
            return Err(SyntaxError::new(at, at + len + 1, message));
        }
        self.out.push('{');
        self.out.push_str(body);
        self.out.push('}');
        self.repeatable = false;
        Ok(at + len + 1)
    }
}

impl PartialEq for AsPathRegex {
    fn eq(&self, other: &Self) -> bool {
        self.pattern == other.pattern
    }
}

impl Eq for AsPathRegex {}

impl Hash for AsPathRegex {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.pattern.hash(state);
    }
}

impl fmt::Display for AsPathRegex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.pattern)
    }
}

impl fmt::Debug for AsPathRegex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.pattern, f)
    }
}
