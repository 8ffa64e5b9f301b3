//! The second half of a rule: when it applies. `not` binds closer than `and`, `and` closer than `or`.

use siskin_net::BgpIdentifier;

use super::action::{asn as asn_number, community_item};
use super::{Parse, lex};
use crate::as_path_regex::AsPathRegex;
use crate::ast::{
    AsnField, CommunityItem, Comparison, Condition, FAMILIES, Irr, Number, ORIGINS, Parsed, PrefixList,
    ROLES, SOURCES,
};
use crate::error::did_you_mean;
use crate::numbers::{AsnSet, Range};
use crate::{Aspa, PrefixPattern, Rpki};

/// How deep parentheses and `not` may nest.
const MAX_DEPTH: usize = 32;

#[derive(Clone, Copy)]
enum Subject {
    Prefix,
    NextHop,
    Community,
    Number(Number),
    AsPath,
    OriginAs,
    NeighborAs,
    Family,
    Origin,
    Source,
    Peer,
    PeerRole,
    Rpki,
    Aspa,
    Irr,
    Otc,
    OriginatorId,
    ClusterList,
}

const SUBJECTS: &[(&str, Subject)] = &[
    ("prefix", Subject::Prefix),
    ("prefix.len", Subject::Number(Number::PrefixLen)),
    ("family", Subject::Family),
    ("rpki", Subject::Rpki),
    ("aspa", Subject::Aspa),
    ("irr", Subject::Irr),
    ("as-path", Subject::AsPath),
    ("as-path.len", Subject::Number(Number::AsPathLen)),
    ("origin-as", Subject::OriginAs),
    ("neighbor-as", Subject::NeighborAs),
    ("community", Subject::Community),
    ("peer", Subject::Peer),
    ("peer-role", Subject::PeerRole),
    ("source", Subject::Source),
    ("next-hop", Subject::NextHop),
    ("local-pref", Subject::Number(Number::LocalPref)),
    ("med", Subject::Number(Number::Med)),
    ("weight", Subject::Number(Number::Weight)),
    ("origin", Subject::Origin),
    ("otc", Subject::Otc),
    ("originator-id", Subject::OriginatorId),
    ("cluster-list", Subject::ClusterList),
];

pub(super) fn condition(input: &str) -> Parse<'_, Condition<Parsed>> {
    any_of(input, 0)
}

fn any_of(input: &str, depth: usize) -> Parse<'_, Condition<Parsed>> {
    let (input, parts) = joined(input, "or", |input| all_of(input, depth))?;
    Ok((input, one_or(parts, Condition::Or)))
}

fn all_of(input: &str, depth: usize) -> Parse<'_, Condition<Parsed>> {
    let (input, parts) = joined(input, "and", |input| term(input, depth))?;
    Ok((input, one_or(parts, Condition::And)))
}

fn joined<'a, T>(
    mut input: &'a str,
    word: &str,
    part: impl Fn(&'a str) -> Parse<'a, T>,
) -> Parse<'a, Vec<T>> {
    let mut parts = Vec::new();
    loop {
        let (rest, value) = part(input)?;
        parts.push(value);
        match lex::keyword(rest, word) {
            Some(rest) => input = rest,
            None => return Ok((rest, parts)),
        }
    }
}

fn one_or<T>(mut parts: Vec<T>, many: fn(Vec<T>) -> T) -> T {
    match (parts.len(), parts.pop()) {
        (1, Some(only)) => only,
        (_, last) => {
            parts.extend(last);
            many(parts)
        }
    }
}

fn term(input: &str, depth: usize) -> Parse<'_, Condition<Parsed>> {
    let opened = lex::sign(input, "(");
    let Some(rest) = lex::keyword(input, "not").or(opened) else { return subject(input) };
    if depth >= MAX_DEPTH {
        let here = lex::skip_blanks(input);
        return lex::fail(here, here.len() - rest.len(), "the condition is nested too deeply", None);
    }
    if opened.is_none() {
        let (input, inner) = term(rest, depth + 1)?;
        return Ok((input, Condition::Not(Box::new(inner))));
    }
    let (input, inner) = any_of(rest, depth + 1)?;
    match lex::sign(input, ")") {
        Some(input) => Ok((input, inner)),
        None => lex::expected(input, "`and`, `or` or `)`"),
    }
}

fn subject(input: &str) -> Parse<'_, Condition<Parsed>> {
    let here = lex::skip_blanks(input);
    let Ok((rest, subject)) = lex::word_in(here, SUBJECTS) else { return unknown_subject(here) };
    match subject {
        Subject::Prefix => {
            let (rest, list) = in_prefixes(rest)?;
            Ok((rest, Condition::PrefixIn(list)))
        }
        Subject::NextHop => {
            let (rest, list) = in_prefixes(rest)?;
            Ok((rest, Condition::NextHopIn(list)))
        }
        Subject::Community => {
            let (rest, ()) = lex::word_in(rest, &[("has", ())])?;
            let (rest, items) = community_items(rest)?;
            Ok((rest, Condition::CommunityHas(items)))
        }
        Subject::Number(number) => compare(rest, number),
        Subject::AsPath => as_path(rest),
        Subject::OriginAs => asn(rest, AsnField::Origin),
        Subject::NeighborAs => asn(rest, AsnField::Neighbor),
        Subject::Family => equal(rest, |input| lex::word_in(input, FAMILIES), Condition::Family),
        Subject::Origin => equal(rest, |input| lex::word_in(input, ORIGINS), Condition::Origin),
        Subject::Source => equal(rest, |input| lex::word_in(input, SOURCES), Condition::Source),
        Subject::Peer => equal(rest, |input| lex::name(input, "the name of a peer"), Condition::Peer),
        Subject::PeerRole => equal(rest, |input| lex::word_in(input, ROLES), Condition::PeerRole),
        Subject::Rpki => lex::word_in(rest, Rpki::WORDS).map(|(rest, state)| (rest, Condition::Rpki(state))),
        Subject::Aspa => lex::word_in(rest, Aspa::WORDS).map(|(rest, state)| (rest, Condition::Aspa(state))),
        Subject::Irr => lex::word_in(rest, Irr::WORDS).map(|(rest, state)| (rest, Condition::Irr(state))),
        Subject::Otc => otc(rest),
        Subject::OriginatorId => equal(rest, identifier, Condition::OriginatorId),
        Subject::ClusterList => {
            let (rest, ()) = lex::word_in(rest, &[("has", ())])?;
            identifier(rest).map(|(rest, id)| (rest, Condition::ClusterHas(id)))
        }
    }
}

/// All words in one message would be no help: only what is close is named.
fn unknown_subject(here: &str) -> Parse<'_, Condition<Parsed>> {
    let (_, text) = lex::literal(here, "a condition like `prefix in [192.0.2.0/24]`")?;
    let help = did_you_mean(text, SUBJECTS.iter().map(|(word, _)| *word).chain(["not"]));
    let list = "conditions begin with prefix, family, rpki, aspa, irr, as-path, origin-as, neighbor-as, community, peer, \
                peer-role, source, next-hop, local-pref, med, weight, origin, otc, originator-id or cluster-list";
    lex::expected_or(here, "a condition", help.or_else(|| Some(list.to_owned())))
}

/// `= VALUE` or `!= VALUE`.
fn equal<'a, T>(
    input: &'a str,
    value: impl Fn(&'a str) -> Parse<'a, T>,
    make: impl Fn(T) -> Condition<Parsed>,
) -> Parse<'a, Condition<Parsed>> {
    let (input, negated) = lex::equals(input)?;
    let (input, value) = value(input)?;
    Ok((input, negated_if(negated, make(value))))
}

fn negated_if(negated: bool, condition: Condition<Parsed>) -> Condition<Parsed> {
    if negated { Condition::Not(Box::new(condition)) } else { condition }
}

fn in_word(input: &str) -> Parse<'_, ()> {
    if lex::keyword(input, "not").is_some() {
        return lex::expected_or(input, "`in`", Some("`not` stands before the whole condition".to_owned()));
    }
    lex::word_in(input, &[("in", ())])
}

fn in_prefixes(input: &str) -> Parse<'_, PrefixList> {
    const WHAT: &str = "the name of a prefix set or `[`";
    let (input, ()) = in_word(input)?;
    if let Some(rest) = lex::sign(input, "[") {
        let (rest, patterns) = lex::list(rest, prefix_pattern)?;
        return Ok((rest, PrefixList::Literals(patterns)));
    }
    let here = lex::skip_blanks(input);
    if let Ok((_, text)) = lex::literal(here, WHAT)
        && text.contains(['/', ':'])
    {
        return lex::expected_or(here, WHAT, Some(format!("did you mean `[{text}]`?")));
    }
    lex::name(here, WHAT).map(|(rest, name)| (rest, PrefixList::Set(name)))
}

fn prefix_pattern(input: &str) -> Parse<'_, PrefixPattern> {
    let here = lex::skip_blanks(input);
    let (rest, text) = lex::literal(here, "a prefix like 192.0.2.0/24")?;
    match text.parse() {
        Ok(pattern) => Ok((rest, pattern)),
        Err(error) => lex::fail_inside(here, error),
    }
}

fn community_items(input: &str) -> Parse<'_, Vec<CommunityItem>> {
    match lex::sign(input, "[") {
        Some(rest) => lex::list(rest, community_item),
        None => community_item(input).map(|(rest, item)| (rest, vec![item])),
    }
}

fn compare(input: &str, number: Number) -> Parse<'_, Condition<Parsed>> {
    let comparison =
        Comparison::SIGNS.iter().find_map(|(text, comparison)| Some((lex::sign(input, text)?, *comparison)));
    let is_doubled = lex::sign(input, "==").is_some();
    let Some((rest, comparison)) = comparison.filter(|_| !is_doubled) else {
        let help = is_doubled.then(|| "equality is a single `=`".to_owned());
        return lex::expected_or(input, "`=`, `!=`, `<`, `<=`, `>` or `>=`", help);
    };
    let (rest, value) = lex::number(rest, 0..=u32::MAX, "a number")?;
    Ok((rest, Condition::Compare(number, comparison, value)))
}

fn as_path(input: &str) -> Parse<'_, Condition<Parsed>> {
    let Some(rest) = lex::sign(input, "~") else {
        let Some(rest) = lex::keyword(input, "has") else { return lex::expected(input, "`~` or `has`") };
        let (rest, set) = asn_set(rest)?;
        return Ok((rest, Condition::Asn(AsnField::Anywhere, set)));
    };
    let here = lex::skip_blanks(rest);
    let (rest, (pattern, width)) = lex::quoted(here, "a regular expression in quotes")?;
    match AsPathRegex::new(&pattern) {
        Ok(regex) => Ok((rest, Condition::AsPath(regex))),
        Err(mut error) => {
            let source = here.get(..width).unwrap_or(here);
            error.span.start = lex::offset_in_source(source, error.span.start);
            error.span.end = lex::offset_in_source(source, error.span.end);
            lex::fail_inside(here, error)
        }
    }
}

/// Nothing more: there is one; `= ASN` or `!= ASN`.
fn otc(input: &str) -> Parse<'_, Condition<Parsed>> {
    if lex::sign(input, "=").is_none() && lex::sign(input, "!").is_none() {
        return Ok((input, Condition::Otc(None)));
    }
    let (rest, negated) = lex::equals(input)?;
    let (rest, asn) = asn_number(rest)?;
    Ok((rest, negated_if(negated, Condition::Otc(Some(asn)))))
}

/// A BGP Identifier or a cluster id, which is one by habit.
fn identifier(input: &str) -> Parse<'_, BgpIdentifier> {
    const WHAT: &str = "an identifier like 192.0.2.1";
    let (rest, text) = lex::literal(input, WHAT)?;
    match text.parse() {
        Ok(id) => Ok((rest, id)),
        Err(_) => lex::expected(input, WHAT),
    }
}

/// `= ASN`, `!= ASN` or `in [ASN, …]`.
fn asn(input: &str, field: AsnField) -> Parse<'_, Condition<Parsed>> {
    if let Ok((rest, ())) = in_word(input) {
        let (rest, set) = asn_set(rest)?;
        return Ok((rest, Condition::Asn(field, set)));
    }
    let Ok((rest, negated)) = lex::equals(input) else { return lex::expected(input, "`=`, `!=` or `in`") };
    let (rest, range) = asn_range(rest)?;
    Ok((rest, negated_if(negated, Condition::Asn(field, AsnSet::new([range])))))
}

fn asn_set(input: &str) -> Parse<'_, AsnSet> {
    let (rest, ranges) = match lex::sign(input, "[") {
        Some(rest) => lex::list(rest, asn_range)?,
        None => asn_range(input).map(|(rest, range)| (rest, vec![range]))?,
    };
    Ok((rest, AsnSet::new(ranges)))
}

/// `64500` or `64512-65534`.
fn asn_range(input: &str) -> Parse<'_, Range> {
    const WHAT: &str = "an AS number like 64500 or a range like 64512-65534";
    let here = lex::skip_blanks(input);
    let (rest, text) = lex::literal(here, WHAT)?;
    if let Ok(asn) = text.parse::<siskin_net::Asn>() {
        return Ok((rest, Range::exact(asn.0)));
    }
    if !text.contains('-') || !text.bytes().all(|b| b.is_ascii_digit() || b == b'-') {
        return lex::expected(here, WHAT);
    }
    match Range::parse(text, u32::MAX, false) {
        Ok(range) => Ok((rest, range)),
        Err(error) => lex::fail_inside(here, error),
    }
}
