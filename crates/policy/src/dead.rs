//! Rules that can never do anything, for warnings: what stands after a rule that ends every run, conditions that cannot
//! hold, and conditions that an earlier rule has decided on already.
//!
//! Only what follows from the words is found, never by trying routes: a set within another is not seen. A rule that is
//! warned of is dead for certain; one that is not may be dead all the same.

use std::ops::BitOr;

use siskin_net::Family;

use crate::ast::{Action, Comparison, Condition, Number};
use crate::compiled::{Bound, BoundRule};

/// How many conditions one policy has compared with each other at most; rules after that are not looked at.
const MAX_COMPARISONS: u32 = 1_000_000;

/// How many parts of one `and` are compared with each other.
const MAX_PARTS: usize = 64;

/// Attributes that rules can change: a set of them.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Attributes(u8);

impl Attributes {
    const NONE: Attributes = Attributes(0);
    const ALL: Attributes = Attributes(0xff);
    const COMMUNITIES: Attributes = Attributes(1);
    const AS_PATH: Attributes = Attributes(2);
    const LOCAL_PREF: Attributes = Attributes(4);
    const MED: Attributes = Attributes(8);
    const WEIGHT: Attributes = Attributes(16);
    const ORIGIN: Attributes = Attributes(32);
    const NEXT_HOP: Attributes = Attributes(64);

    fn intersects(self, other: Attributes) -> bool {
        self.0 & other.0 != 0
    }

    /// What a number is taken from.
    fn of(number: Number) -> Attributes {
        match number {
            Number::LocalPref => Attributes::LOCAL_PREF,
            Number::Med => Attributes::MED,
            Number::Weight => Attributes::WEIGHT,
            Number::PrefixLen => Attributes::NONE,
            Number::AsPathLen => Attributes::AS_PATH,
        }
    }

    fn read_by(condition: &Condition<Bound>) -> Attributes {
        match condition {
            Condition::And(parts) | Condition::Or(parts) => {
                parts.iter().map(Attributes::read_by).fold(Attributes::NONE, BitOr::bitor)
            }
            Condition::Not(inner) => Attributes::read_by(inner),
            Condition::NextHopIn(_) => Attributes::NEXT_HOP,
            Condition::CommunityHas(_) => Attributes::COMMUNITIES,
            Condition::Compare(number, ..) => Attributes::of(*number),
            Condition::Origin(_) => Attributes::ORIGIN,
            Condition::AsPath(_)
            | Condition::Asn(..)
            | Condition::Rpki(_)
            | Condition::Aspa(_)
            | Condition::Irr(_) => Attributes::AS_PATH,
            Condition::PrefixIn(_)
            | Condition::Family(_)
            | Condition::Source(_)
            | Condition::Peer(_)
            | Condition::PeerRole(_)
            | Condition::Otc(_)
            | Condition::OriginatorId(_)
            | Condition::ClusterHas(_) => Attributes::NONE,
        }
    }

    fn changed_by(action: &Action<Bound>) -> Attributes {
        match action {
            Action::Accept | Action::Reject(_) | Action::SetTable(_) => Attributes::NONE,
            Action::SetNumber(number, _) => Attributes::of(*number),
            Action::SetOrigin(_) => Attributes::ORIGIN,
            Action::SetNextHop(_) => Attributes::NEXT_HOP,
            Action::AddCommunities(_) | Action::RemoveCommunities(_) => Attributes::COMMUNITIES,
            Action::Prepend { .. } => Attributes::AS_PATH,
            Action::Call(_) => Attributes::ALL,
        }
    }
}

impl BitOr for Attributes {
    type Output = Attributes;
    fn bitor(self, other: Attributes) -> Attributes {
        Attributes(self.0 | other.0)
    }
}

/// The rules that never do anything, by their places from 0, each with the reason in words.
pub(crate) fn dead_rules(rules: &[BoundRule]) -> Vec<(usize, String)> {
    let mut dead = Vec::new();
    let mut search = Search { left: MAX_COMPARISONS };
    // Places and conditions that end the run where they hold, unless what they look at may have changed since.
    let mut decided: Vec<(usize, &Condition<Bound>)> = Vec::new();
    let mut ended = None;
    for (index, BoundRule { rule, .. }) in rules.iter().enumerate() {
        if let Some(end) = ended {
            dead.push((index, format!("this rule is never reached: rule {end} ends every run")));
            continue;
        }
        if let Some(condition) = &rule.condition {
            if impossible(condition) {
                dead.push((index, "this rule never applies: its condition cannot hold".to_owned()));
                continue;
            }
            let before = decided.iter().find(|(_, earlier)| search.implies(condition, earlier));
            if let Some((earlier, _)) = before {
                let number = earlier.saturating_add(1);
                let message =
                    format!("this rule never applies: rule {number} decides on these routes before it");
                dead.push((index, message));
                continue;
            }
        }
        let decides = match &rule.action {
            Action::Accept | Action::Reject(_) => true,
            Action::Call(called) => called.decides(),
            _ => false,
        };
        match &rule.condition {
            None if decides => ended = Some(index.saturating_add(1)),
            Some(condition) if decides => decided.push((index, condition)),
            _ => {
                let changed = Attributes::changed_by(&rule.action);
                decided.retain(|(_, condition)| !Attributes::read_by(condition).intersects(changed));
            }
        }
    }
    dead
}

/// A search for conditions that follow from each other, with a limit to its work.
struct Search {
    left: u32,
}

impl Search {
    /// Whether `other` certainly holds wherever `condition` does.
    fn implies(&mut self, condition: &Condition<Bound>, other: &Condition<Bound>) -> bool {
        let Some(left) = self.left.checked_sub(1) else { return false };
        self.left = left;
        if condition == other {
            return true;
        }
        match (condition, other) {
            (Condition::Or(parts), _) => parts.iter().all(|part| self.implies(part, other)),
            (_, Condition::And(parts)) => parts.iter().all(|part| self.implies(condition, part)),
            (Condition::And(parts), _) if parts.iter().any(|part| self.implies(part, other)) => true,
            (_, Condition::Or(parts)) => parts.iter().any(|part| self.implies(condition, part)),
            _ => match (Interval::of(condition), Interval::of(other)) {
                (Some(inner), Some(outer)) => {
                    inner.number == outer.number && outer.first <= inner.first && inner.last <= outer.last
                }
                _ => false,
            },
        }
    }
}

/// A comparison as the values it allows; `!=` is none.
#[derive(Clone, Copy)]
struct Interval {
    number: Number,
    first: u64,
    last: u64,
}

impl Interval {
    fn of(condition: &Condition<Bound>) -> Option<Interval> {
        let (number, comparison, value) = match condition {
            Condition::Compare(number, comparison, value) => (*number, *comparison, u64::from(*value)),
            Condition::Not(inner) => match **inner {
                Condition::Compare(number, comparison, value) => {
                    (number, comparison.opposite(), value.into())
                }
                _ => return None,
            },
            _ => return None,
        };
        let (none, max) = ((1, 0), u64::from(u32::MAX));
        let (first, last) = match comparison {
            Comparison::Equal => (value, value),
            Comparison::NotEqual => return None,
            Comparison::Less => value.checked_sub(1).map_or(none, |last| (0, last)),
            Comparison::AtMost => (0, value),
            Comparison::Greater => (value.saturating_add(1), max),
            Comparison::AtLeast => (value, max),
        };
        Some(Interval { number, first, last })
    }
}

/// Whether the condition holds for no route at all.
fn impossible(condition: &Condition<Bound>) -> bool {
    match condition {
        Condition::Or(parts) => parts.iter().all(impossible),
        Condition::And(parts) => {
            let mut flat = Vec::new();
            flatten(parts, &mut flat);
            parts.iter().any(impossible) || contradictory(&flat)
        }
        one => contradictory(&[one]),
    }
}

fn flatten<'a>(parts: &'a [Condition<Bound>], flat: &mut Vec<&'a Condition<Bound>>) {
    for part in parts {
        match part {
            Condition::And(inner) => flatten(inner, flat),
            other => flat.push(other),
        }
    }
}

/// Whether these cannot hold together.
fn contradictory(parts: &[&Condition<Bound>]) -> bool {
    let ipv4 = parts.iter().any(|part| **part == Condition::Family(Family::Ipv4));
    let longest = if ipv4 { Family::Ipv4.max_len() } else { Family::Ipv6.max_len() };
    let numbers = [Number::LocalPref, Number::Med, Number::Weight, Number::PrefixLen, Number::AsPathLen];
    let out_of_range = numbers.into_iter().any(|number| {
        let most = if number == Number::PrefixLen { u64::from(longest) } else { u32::MAX.into() };
        let intervals = parts.iter().filter_map(|part| Interval::of(part)).filter(|i| i.number == number);
        let (first, last) =
            intervals.fold((0, most), |(first, last), i| (first.max(i.first), last.min(i.last)));
        first > last
    });
    let compared = parts.get(..MAX_PARTS).unwrap_or(parts);
    out_of_range
        || compared
            .iter()
            .enumerate()
            .any(|(i, one)| compared.iter().skip(i).any(|other| exclusive(one, other)))
}

/// Whether one of the two is false wherever the other is true.
fn exclusive(one: &Condition<Bound>, other: &Condition<Bound>) -> bool {
    match (one, other) {
        (Condition::Not(inner), positive) | (positive, Condition::Not(inner)) => **inner == *positive,
        (Condition::Family(_), Condition::Family(_))
        | (Condition::Origin(_), Condition::Origin(_))
        | (Condition::Source(_), Condition::Source(_))
        | (Condition::Peer(_), Condition::Peer(_))
        | (Condition::PeerRole(_), Condition::PeerRole(_))
        | (Condition::Rpki(_), Condition::Rpki(_))
        | (Condition::Aspa(_), Condition::Aspa(_))
        | (Condition::Otc(Some(_)), Condition::Otc(Some(_)))
        | (Condition::OriginatorId(_), Condition::OriginatorId(_)) => one != other,
        _ => false,
    }
}

#[cfg(test)]
mod tests;
