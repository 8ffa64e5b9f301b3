//! The first half of a rule: what it does.

use super::{Parse, lex};
use crate::ast::{Action, CommunityItem, Number, ORIGINS, Parsed, TABLES};
use crate::error::did_you_mean;
use crate::{CommunityPattern, CommunityValue, NextHopAction};

/// The most times `prepend` puts a number before the path.
const MAX_PREPEND: u32 = 25;

#[derive(Clone, Copy)]
enum Verb {
    Accept,
    Reject,
    Set,
    Add,
    Remove,
    Prepend,
    Call,
}

const VERBS: &[(&str, Verb)] = &[
    ("accept", Verb::Accept),
    ("reject", Verb::Reject),
    ("set", Verb::Set),
    ("add", Verb::Add),
    ("remove", Verb::Remove),
    ("prepend", Verb::Prepend),
    ("call", Verb::Call),
];

#[derive(Clone, Copy)]
enum Target {
    Number(Number),
    NextHop,
    Origin,
    Table,
}

const TARGETS: &[(&str, Target)] = &[
    ("local-pref", Target::Number(Number::LocalPref)),
    ("med", Target::Number(Number::Med)),
    ("weight", Target::Number(Number::Weight)),
    ("next-hop", Target::NextHop),
    ("origin", Target::Origin),
    ("table", Target::Table),
];

pub(super) fn action(input: &str) -> Parse<'_, Action<Parsed>> {
    let (input, verb) = lex::word_in(input, VERBS)?;
    match verb {
        Verb::Accept => Ok((input, Action::Accept)),
        Verb::Reject if lex::skip_blanks(input).starts_with(['"', '\'']) => {
            let (input, (text, _)) = lex::quoted(input, "a text in quotes")?;
            Ok((input, Action::Reject(Some(text))))
        }
        Verb::Reject => Ok((input, Action::Reject(None))),
        Verb::Set => set(input),
        Verb::Add => {
            let (input, ()) = community_word(input)?;
            let (input, values) = lex::comma_separated(input, community_value)?;
            Ok((input, Action::AddCommunities(values)))
        }
        Verb::Remove => {
            let (input, ()) = community_word(input)?;
            let (input, items) = lex::comma_separated(input, community_item)?;
            Ok((input, Action::RemoveCommunities(items)))
        }
        Verb::Prepend => prepend(input),
        Verb::Call => {
            let (input, name) = lex::name(input, "the name of a policy")?;
            Ok((input, Action::Call(name)))
        }
    }
}

fn community_word(input: &str) -> Parse<'_, ()> {
    lex::word_in(input, &[("community", ())])
}

fn set(input: &str) -> Parse<'_, Action<Parsed>> {
    let (input, target) = lex::word_in(input, TARGETS)?;
    match target {
        Target::Number(number) => {
            let (input, value) = lex::number(input, 0..=u32::MAX, "a number")?;
            Ok((input, Action::SetNumber(number, value)))
        }
        Target::Origin => {
            let (input, origin) = lex::word_in(input, ORIGINS)?;
            Ok((input, Action::SetOrigin(origin)))
        }
        Target::NextHop => {
            let (input, next_hop) = next_hop(input)?;
            Ok((input, Action::SetNextHop(next_hop)))
        }
        Target::Table => {
            let (input, table) = table(input)?;
            Ok((input, Action::SetTable(table)))
        }
    }
}

fn next_hop(input: &str) -> Parse<'_, NextHopAction> {
    const WORDS: &[(&str, NextHopAction)] = &[
        ("self", NextHopAction::SelfAddress),
        ("unchanged", NextHopAction::Unchanged),
        ("peer", NextHopAction::Peer),
        ("blackhole", NextHopAction::Blackhole),
    ];
    const WHAT: &str = "an address, `self`, `unchanged`, `peer` or `blackhole`";
    let (rest, text) = lex::literal(input, WHAT)?;
    if let Some((_, action)) = WORDS.iter().find(|(word, _)| *word == text) {
        return Ok((rest, *action));
    }
    match text.parse() {
        Ok(address) => Ok((rest, NextHopAction::Address(address))),
        Err(_) => lex::expected_or(input, WHAT, did_you_mean(text, WORDS.iter().map(|(word, _)| *word))),
    }
}

/// The kernel keeps 0 (unspecified) and 255 (`local`) for itself.
fn table(input: &str) -> Parse<'_, u32> {
    const WHAT: &str = "a kernel table: `main` or a number";
    let here = lex::skip_blanks(input);
    if here.starts_with(|c: char| c.is_ascii_digit()) {
        let (rest, table) = lex::number(here, 1..=u32::MAX, WHAT)?;
        return if table == 255 {
            let width = here.len().saturating_sub(rest.len());
            lex::fail(here, width, "table 255 (`local`) belongs to the kernel".to_owned(), None)
        } else {
            Ok((rest, table))
        };
    }
    let (rest, text) = lex::literal(here, WHAT)?;
    match TABLES.iter().find(|(name, _)| *name == text) {
        Some((_, table)) => Ok((rest, *table)),
        None => lex::expected_or(here, WHAT, did_you_mean(text, TABLES.iter().map(|(name, _)| *name))),
    }
}

fn prepend(input: &str) -> Parse<'_, Action<Parsed>> {
    let (input, asn) = asn(input)?;
    let here = lex::skip_blanks(input);
    if lex::keyword(here, "if").is_some() || here.is_empty() {
        return Ok((input, Action::Prepend { asn, times: 1 }));
    }
    let (rest, text) = lex::literal(here, "how often, like `x3`")?;
    let Some(digits) = text.strip_prefix('x').filter(|d| d.bytes().all(|b| b.is_ascii_digit())) else {
        let help = text.parse::<u8>().is_ok().then(|| format!("did you mean `x{text}`?"));
        return lex::expected_or(here, "how often, like `x3`", help);
    };
    match digits.parse::<u8>() {
        Ok(times) if (1..=MAX_PREPEND).contains(&u32::from(times)) => {
            Ok((rest, Action::Prepend { asn, times }))
        }
        _ => lex::fail(here, text.len(), format!("`{text}` is out of range: x1 to x{MAX_PREPEND}"), None),
    }
}

pub(super) fn asn(input: &str) -> Parse<'_, siskin_net::Asn> {
    const WHAT: &str = "an AS number like 64500";
    let (rest, text) = lex::literal(input, WHAT)?;
    match text.parse() {
        Ok(asn) => Ok((rest, asn)),
        Err(_) => lex::expected(input, WHAT),
    }
}

/// One community, for `add`.
fn community_value(input: &str) -> Parse<'_, CommunityValue> {
    let here = lex::skip_blanks(input);
    let (rest, text) = lex::literal(here, "a community like 64500:100")?;
    match text.parse() {
        Ok(value) => Ok((rest, value)),
        Err(error) => lex::fail_inside(here, error),
    }
}

/// A community, a pattern or the name of a set.
pub(super) fn community_item(input: &str) -> Parse<'_, CommunityItem> {
    const WHAT: &str = "a community like 64500:100, a pattern or the name of a community set";
    let here = lex::skip_blanks(input);
    if here.starts_with(['"', '\'']) {
        return lex::name(here, WHAT).map(|(rest, name)| (rest, CommunityItem::Set(name)));
    }
    let (rest, text) = lex::literal(here, WHAT)?;
    if let Some(pattern) = CommunityPattern::well_known(text) {
        return Ok((rest, CommunityItem::Pattern(pattern)));
    }
    if !text.contains(':') {
        let (rest, name) = lex::name(here, WHAT)?;
        return Ok((rest, CommunityItem::Set(name)));
    }
    match text.parse() {
        Ok(pattern) => Ok((rest, CommunityItem::Pattern(pattern))),
        Err(error) => lex::fail_inside(here, error),
    }
}
