//! Text to tree, with nom. `lex` has the words and signs, `action` and `condition` the two halves of a rule.
//!
//! The grammar needs no way back: a word decides what must follow, so the first thing that does not fit is the
//! error, with its place and what was expected there.

mod action;
mod condition;
mod lex;

use crate::SyntaxError;
use crate::ast::{Parsed, Rule};
pub(crate) use lex::is_word;

/// The longest rule, in bytes: a long list belongs into a set.
const MAX_LEN: usize = 65_536;

/// What a parser gives back; `nom::Err::Error` is used for nothing but 'not here', all faults are failures.
type Parse<'a, T> = nom::IResult<&'a str, T, Fault>;

/// An error before its span is known: parsers see only what is left of the text.
#[derive(Debug)]
struct Fault {
    /// How many bytes were left where it begins.
    left: usize,
    error: SyntaxError,
}

impl nom::error::ParseError<&str> for Fault {
    fn from_error_kind(input: &str, _: nom::error::ErrorKind) -> Fault {
        Fault { left: input.len(), error: SyntaxError::new(0, 0, "expected a rule") }
    }

    fn append(_: &str, _: nom::error::ErrorKind, other: Fault) -> Fault {
        other
    }
}

/// Reads one rule.
pub(crate) fn parse_rule(text: &str) -> Result<Rule<Parsed>, SyntaxError> {
    if text.len() > MAX_LEN {
        let error = SyntaxError::new(0, text.len(), format!("the rule is longer than {MAX_LEN} bytes"));
        return Err(error.with_help(Some("put the list into a set".to_owned())));
    }
    match rule(text) {
        Ok((_, rule)) => Ok(rule),
        Err(nom::Err::Error(fault) | nom::Err::Failure(fault)) => {
            Err(fault.error.shifted(text.len().saturating_sub(fault.left)))
        }
        Err(nom::Err::Incomplete(_)) => Err(SyntaxError::new(0, text.len(), "the rule is incomplete")),
    }
}

fn rule(input: &str) -> Parse<'_, Rule<Parsed>> {
    let (input, action) = action::action(input)?;
    let (input, condition) = match lex::keyword(input, "if") {
        Some(rest) => {
            let (input, condition) = condition::condition(rest)?;
            (input, Some(condition))
        }
        None => (input, None),
    };
    let rest = lex::skip_blanks(input);
    if rest.is_empty() {
        return Ok((rest, Rule { action, condition }));
    }
    let expected = match (&condition, &action) {
        (Some(_), _) => "`and`, `or` or the end of the rule",
        (None, crate::ast::Action::AddCommunities(_) | crate::ast::Action::RemoveCommunities(_)) => {
            "`,`, `if` or the end of the rule"
        }
        (None, _) => "`if` or the end of the rule",
    };
    lex::expected(rest, expected)
}

/// Reads a rule and writes it in normal form: one blank between words, lists sorted where order has no meaning,
/// well-known communities by name. What it gives reads back as the same rule.
///
/// # Errors
/// The first thing that is wrong with the text. Names are not looked up.
pub fn normalize(text: &str) -> Result<String, SyntaxError> {
    parse_rule(text).map(|rule| rule.to_string())
}
