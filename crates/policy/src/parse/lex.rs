//! Words, numbers, quoted texts, lists; and what to say when something else stands there.

use nom::Parser;
use nom::bytes::complete::{tag, take_while, take_while1};
use nom::character::complete::multispace0;
use nom::combinator::verify;
use nom::sequence::preceded;

use super::{Fault, Parse};
use crate::SyntaxError;
use crate::ast::Name;
use crate::error::{did_you_mean, one_of};

/// What words and bare names are made of.
pub(crate) fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')
}

pub(super) fn skip_blanks(input: &str) -> &str {
    input.trim_start_matches([' ', '\t', '\r', '\n'])
}

/// A failure at the beginning of `at` over `width` bytes.
pub(super) fn fail<T>(
    at: &str,
    width: usize,
    message: impl Into<String>,
    help: Option<String>,
) -> Parse<'_, T> {
    let error = SyntaxError::new(0, width, message).with_help(help);
    Err(nom::Err::Failure(Fault { left: at.len(), error }))
}

/// A failure inside a literal that begins where `at` does.
pub(super) fn fail_inside<T>(at: &str, error: SyntaxError) -> Parse<'_, T> {
    Err(nom::Err::Failure(Fault { left: at.len(), error }))
}

/// A failure that says what was expected and what stands there instead.
pub(super) fn expected<'a, T>(input: &'a str, what: &str) -> Parse<'a, T> {
    expected_or(input, what, None)
}

/// As [`expected`], with help.
pub(super) fn expected_or<'a, T>(input: &'a str, what: &str, help: Option<String>) -> Parse<'a, T> {
    let here = skip_blanks(input);
    let found = found(here);
    match found {
        "" => fail(here, 0, format!("expected {what}, found the end of the rule"), help),
        _ => fail(here, found.len(), format!("expected {what}, found `{found}`"), help),
    }
}

/// What stands here, as far as it belongs together.
fn found(here: &str) -> &str {
    let is_first = |c: char| here.starts_with(c);
    let word = literal_width(here);
    let width = match here.chars().next() {
        None => 0,
        Some('=' | '!' | '<' | '>') => {
            here.find(|c| !matches!(c, '=' | '!' | '<' | '>')).unwrap_or(here.len())
        }
        Some(c) if word == 0 || is_first('"') || is_first('\'') => c.len_utf8(),
        Some(_) => word,
    };
    here.get(..width).unwrap_or(here)
}

/// A word, not yet looked at; empty if there is none.
fn peek_word(input: &str) -> (&str, &str) {
    let word = preceded(multispace0::<&str, Fault>, take_while(is_word)).parse(input);
    word.map_or((input, ""), |(rest, word)| (rest, word))
}

/// The text after `word`, if that is the next word.
pub(super) fn keyword<'a>(input: &'a str, word: &str) -> Option<&'a str> {
    let mut parser = preceded(multispace0::<&str, Fault>, verify(take_while1(is_word), |w: &str| w == word));
    parser.parse(input).ok().map(|(rest, _)| rest)
}

/// The text after `sign`, if it comes next.
pub(super) fn sign<'a>(input: &'a str, sign: &str) -> Option<&'a str> {
    preceded(multispace0::<&str, Fault>, tag(sign)).parse(input).ok().map(|(rest, _)| rest)
}

/// One word of a table; else a failure with those that were meant to stand here.
pub(super) fn word_in<'a, T: Copy>(input: &'a str, table: &[(&str, T)]) -> Parse<'a, T> {
    let (rest, word) = peek_word(input);
    if let Some((_, value)) = table.iter().find(|(known, _)| *known == word) {
        return Ok((rest, *value));
    }
    let words = || table.iter().map(|(known, _)| *known);
    let help = if word.is_empty() { None } else { did_you_mean(word, words()) };
    expected_or(input, &one_of(words()), help)
}

/// A decimal number from `range`.
pub(super) fn number<'a>(input: &'a str, range: std::ops::RangeInclusive<u32>, what: &str) -> Parse<'a, u32> {
    let (rest, word) = peek_word(input);
    if word.is_empty() || !word.bytes().all(|b| b.is_ascii_digit()) {
        return expected(input, what);
    }
    match word.parse() {
        Ok(value) if range.contains(&value) => Ok((rest, value)),
        _ => {
            let message = format!("{word} is out of range: {} to {}", range.start(), range.end());
            fail(skip_blanks(input), word.len(), message, None)
        }
    }
}

/// `=` or `!=`; the value says whether it was the latter.
pub(super) fn equals(input: &str) -> Parse<'_, bool> {
    match (sign(input, "=="), sign(input, "!="), sign(input, "=")) {
        (None, Some(rest), _) => Ok((rest, true)),
        (None, None, Some(rest)) => Ok((rest, false)),
        (Some(_), ..) => expected_or(input, "`=` or `!=`", Some("equality is a single `=`".to_owned())),
        (None, None, None) => expected(input, "`=` or `!=`"),
    }
}

/// A literal: up to a blank, a comma, a bracket or a comparison, but whole braces (`10.0.0.0/8{24,28}`).
/// The value is the literal and where it begins, for errors inside it.
pub(super) fn literal<'a>(input: &'a str, what: &str) -> Parse<'a, &'a str> {
    let here = skip_blanks(input);
    let width = literal_width(here);
    match here.split_at_checked(width) {
        Some((literal, rest)) if width > 0 => Ok((rest, literal)),
        _ => expected(here, what),
    }
}

fn literal_width(here: &str) -> usize {
    let mut in_braces = false;
    let end = here.find(|c: char| match c {
        '{' => {
            in_braces = true;
            false
        }
        '}' => {
            in_braces = false;
            false
        }
        ',' | ' ' => !in_braces,
        c if c.is_whitespace() => true,
        '[' | ']' | '(' | ')' | '"' | '\'' | '=' | '!' | '<' | '>' | '~' => true,
        _ => false,
    });
    end.unwrap_or(here.len())
}

/// A text in double or single quotes. `\"`, `\'` and `\\` stand for the sign itself; any other `\` is kept.
/// The value is the text and the width of its source.
pub(super) fn quoted<'a>(input: &'a str, what: &str) -> Parse<'a, (String, usize)> {
    let here = skip_blanks(input);
    let Some(quote @ ('"' | '\'')) = here.chars().next() else { return expected(here, what) };
    let mut text = String::new();
    let mut escaped = false;
    for (i, c) in here.char_indices().skip(1) {
        match c {
            '"' | '\'' | '\\' if escaped => {
                text.pop();
                text.push(c);
                escaped = false;
            }
            c if c == quote => {
                let width = i.saturating_add(1);
                return Ok((here.get(width..).unwrap_or_default(), (text, width)));
            }
            _ => {
                text.push(c);
                escaped = c == '\\';
            }
        }
    }
    fail(here, 1, "this quote is never closed", None)
}

/// Where the byte at `offset` of a quoted text's value stands in its source, whose first byte is the quote.
pub(super) fn offset_in_source(source: &str, offset: usize) -> usize {
    let mut produced = 0;
    let mut chars = source.char_indices().skip(1).peekable();
    while let Some((i, c)) = chars.next() {
        if produced >= offset {
            return i;
        }
        produced += c.len_utf8();
        if c == '\\'
            && let Some((_, next)) = chars.peek().copied()
            && matches!(next, '"' | '\'' | '\\')
        {
            chars.next();
        }
    }
    source.len()
}

/// A name: a bare word, or anything in quotes.
pub(super) fn name<'a>(input: &'a str, what: &str) -> Parse<'a, Name> {
    let here = skip_blanks(input);
    if here.starts_with(['"', '\'']) {
        let (rest, (text, width)) = quoted(here, what)?;
        return Ok((rest, Name { text, left: here.len(), width }));
    }
    let (rest, word) = peek_word(here);
    if word.is_empty() {
        return expected(here, what);
    }
    Ok((rest, Name { text: word.to_owned(), left: here.len(), width: word.len() }))
}

/// Items with commas between them.
pub(super) fn comma_separated<T>(mut input: &str, item: impl Fn(&str) -> Parse<'_, T>) -> Parse<'_, Vec<T>> {
    let mut items = Vec::new();
    loop {
        let (rest, value) = item(input)?;
        items.push(value);
        match sign(rest, ",") {
            Some(rest) => input = rest,
            None => return Ok((rest, items)),
        }
    }
}

/// Items in square brackets, the opening one of which is read already; a comma may stand after the last.
pub(super) fn list<T>(mut input: &str, item: impl Fn(&str) -> Parse<'_, T>) -> Parse<'_, Vec<T>> {
    let mut items = Vec::new();
    loop {
        let (rest, value) = item(input)?;
        items.push(value);
        let after_comma = sign(rest, ",");
        if let Some(rest) = sign(after_comma.unwrap_or(rest), "]") {
            return Ok((rest, items));
        }
        match after_comma {
            Some(rest) => input = rest,
            None => return expected(rest, "`,` or `]`"),
        }
    }
}
