//! The tree back to text, in one normal form: what `policy show` prints, and what reads back as the same tree.

use std::fmt::{self, Display, Formatter, Write};

use crate::ast::{
    Action, AsnField, Comparison, Condition, FAMILIES, Irr, Name, ORIGINS, Parsed, PrefixList, ROLES, Rule,
    SOURCES, TABLES, word_of,
};
use crate::ast::{CommunityItem, Number};
use crate::parse::is_word;
use crate::{Aspa, NextHopAction, Rpki};

impl Display for Rule<Parsed> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.action.fmt(f)?;
        match &self.condition {
            Some(condition) => write!(f, " if {condition}"),
            None => Ok(()),
        }
    }
}

impl Display for Action<Parsed> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Action::Accept => f.write_str("accept"),
            Action::Reject(None) => f.write_str("reject"),
            Action::Reject(Some(text)) => {
                f.write_str("reject ")?;
                quoted(f, text)
            }
            Action::SetNumber(number, value) => write!(f, "set {number} {value}"),
            Action::SetTable(table) => match TABLES.iter().find(|(_, number)| number == table) {
                Some((name, _)) => write!(f, "set table {name}"),
                None => write!(f, "set table {table}"),
            },
            Action::SetOrigin(origin) => write!(f, "set origin {}", word_of(ORIGINS, origin)),
            Action::SetNextHop(next_hop) => write!(f, "set next-hop {next_hop}"),
            Action::AddCommunities(values) => {
                f.write_str("add community ")?;
                separated(f, values)
            }
            Action::RemoveCommunities(items) => {
                f.write_str("remove community ")?;
                separated(f, items)
            }
            Action::Prepend { asn, times } => write!(f, "prepend {asn} x{times}"),
            Action::Call(name) => write!(f, "call {name}"),
        }
    }
}

impl Display for Condition<Parsed> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Condition::And(parts) => joined(f, parts, " and "),
            Condition::Or(parts) => joined(f, parts, " or "),
            Condition::Not(inner) => {
                f.write_str("not ")?;
                grouped(f, inner, matches!(**inner, Condition::And(_) | Condition::Or(_)))
            }
            Condition::PrefixIn(list) => write!(f, "prefix in {list}"),
            Condition::NextHopIn(list) => write!(f, "next-hop in {list}"),
            Condition::CommunityHas(items) => match items.as_slice() {
                [item] => write!(f, "community has {item}"),
                items => {
                    f.write_str("community has [")?;
                    separated(f, items)?;
                    f.write_str("]")
                }
            },
            Condition::Compare(number, comparison, value) => write!(f, "{number} {comparison} {value}"),
            Condition::AsPath(regex) => {
                f.write_str("as-path ~ ")?;
                quoted(f, &regex.to_string())
            }
            Condition::Asn(field, set) => {
                let (list, one) = match field {
                    AsnField::Anywhere => ("as-path has", "as-path has"),
                    AsnField::Origin => ("origin-as in", "origin-as ="),
                    AsnField::Neighbor => ("neighbor-as in", "neighbor-as ="),
                };
                match set.single() {
                    Some(asn) => write!(f, "{one} {asn}"),
                    None => write!(f, "{list} {set}"),
                }
            }
            Condition::Family(family) => write!(f, "family = {}", word_of(FAMILIES, family)),
            Condition::Origin(origin) => write!(f, "origin = {}", word_of(ORIGINS, origin)),
            Condition::Source(source) => write!(f, "source = {}", word_of(SOURCES, source)),
            Condition::Peer(name) => write!(f, "peer = {name}"),
            Condition::PeerRole(role) => write!(f, "peer-role = {}", word_of(ROLES, role)),
            Condition::Rpki(state) => write!(f, "rpki {}", word_of(Rpki::WORDS, state)),
            Condition::Aspa(state) => write!(f, "aspa {}", word_of(Aspa::WORDS, state)),
            Condition::Irr(question) => write!(f, "irr {}", word_of(Irr::WORDS, question)),
            Condition::Otc(None) => f.write_str("otc"),
            Condition::Otc(Some(asn)) => write!(f, "otc = {asn}"),
            Condition::OriginatorId(id) => write!(f, "originator-id = {id}"),
            Condition::ClusterHas(id) => write!(f, "cluster-list has {id}"),
        }
    }
}

/// Parts that bind no closer than what joins them stand in parentheses.
fn joined(f: &mut Formatter<'_>, parts: &[Condition<Parsed>], word: &str) -> fmt::Result {
    for (i, part) in parts.iter().enumerate() {
        if i > 0 {
            f.write_str(word)?;
        }
        let is_or = matches!(part, Condition::Or(_));
        grouped(f, part, is_or || (word == " and " && matches!(part, Condition::And(_))))?;
    }
    Ok(())
}

fn grouped(f: &mut Formatter<'_>, condition: &Condition<Parsed>, parentheses: bool) -> fmt::Result {
    if parentheses { write!(f, "({condition})") } else { condition.fmt(f) }
}

fn separated<T: Display>(f: &mut Formatter<'_>, items: &[T]) -> fmt::Result {
    for (i, item) in items.iter().enumerate() {
        if i > 0 {
            f.write_str(", ")?;
        }
        item.fmt(f)?;
    }
    Ok(())
}

fn quoted(f: &mut Formatter<'_>, text: &str) -> fmt::Result {
    f.write_char('"')?;
    for c in text.chars() {
        if matches!(c, '"' | '\\') {
            f.write_char('\\')?;
        }
        f.write_char(c)?;
    }
    f.write_char('"')
}

impl Display for Name {
    /// Bare where it can be, else in quotes.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if !self.text.is_empty() && self.text.chars().all(is_word) {
            f.write_str(&self.text)
        } else {
            quoted(f, &self.text)
        }
    }
}

impl Display for PrefixList {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            PrefixList::Set(name) => name.fmt(f),
            PrefixList::Literals(patterns) => {
                f.write_str("[")?;
                separated(f, patterns)?;
                f.write_str("]")
            }
        }
    }
}

impl Display for CommunityItem {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            CommunityItem::Pattern(pattern) => pattern.fmt(f),
            CommunityItem::Set(name) => name.fmt(f),
        }
    }
}

impl Display for Number {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl Display for Comparison {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(word_of(Comparison::SIGNS, self))
    }
}

impl Display for NextHopAction {
    /// The words of `set next-hop`; `default` where no rule set it.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            NextHopAction::Default => f.write_str("default"),
            NextHopAction::SelfAddress => f.write_str("self"),
            NextHopAction::Unchanged => f.write_str("unchanged"),
            NextHopAction::Peer => f.write_str("peer"),
            NextHopAction::Blackhole => f.write_str("blackhole"),
            NextHopAction::Address(address) => address.fmt(f),
        }
    }
}
