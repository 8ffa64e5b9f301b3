//! The peer key `checks`: the built-in rules by name, each switched, extended or given other numbers.

use std::ops::RangeInclusive;

use siskin_net::{Asn, FamilyMap};
use siskin_policy::PrefixPattern;
use toml::de::DeValue;

use super::raw::Key;
use super::value::within;
use super::{Section, Value};
use crate::diagnostic::Report;

/// A rule that goes by a list.
#[derive(Clone, Debug)]
pub(crate) enum ListCheck<T> {
    Off,
    /// The list of `[edge]`.
    On,
    /// The list of `[edge]`, and these.
    Extra(Vec<T>),
    /// These alone.
    Only(Vec<T>),
}

/// The shortest and longest prefixes by family, where they are given.
pub(crate) type RawLengths = FamilyMap<Option<(u8, u8)>>;

/// One row a rule: its field, its name, its type, how it is read.
macro_rules! checks {
    ($($field:ident $key:literal $type:ty = $read:expr;)*) => {
        /// The rules that are mentioned.
        #[derive(Clone, Default, Debug)]
        pub(crate) struct RawChecks {
            $(pub(crate) $field: Key<$type>,)*
        }

        impl RawChecks {
            /// Takes from `group` the rules that are not mentioned here.
            pub(crate) fn inherit(&mut self, group: RawChecks) {
                $(self.$field = self.$field.take().or(group.$field);)*
            }
        }

        /// `checks`.
        pub(crate) fn checks(value: Value<'_>, report: &mut Report) -> Option<RawChecks> {
            if !matches!(value.toml, DeValue::Table(_)) {
                return value.expected("a table like { transit-asn = false }", report);
            }
            let mut section = Section::new(value, "checks", value.at, report)?;
            let checks = RawChecks { $($field: section.get($key, report, $read),)* };
            section.finish(report);
            Some(checks)
        }
    };
}

checks! {
    bogon_prefix "bogon-prefix" ListCheck<PrefixPattern> = |v, r| list_check(v, r, pattern);
    bogon_asn "bogon-asn" ListCheck<RangeInclusive<Asn>> = |v, r| list_check(v, r, any_asn_range);
    prefix_length "prefix-length" Option<RawLengths> = prefix_length;
    path_length "path-length" Option<Option<u32>> = path_length;
    own_prefix "own-prefix" bool = Value::boolean;
    next_hop "next-hop" bool = Value::boolean;
    transit_asn "transit-asn" ListCheck<RangeInclusive<Asn>> = |v, r| list_check(v, r, any_asn_range);
    never_via_route_server "never-via-route-server" bool = Value::boolean;
    blocklist "blocklist" bool = Value::boolean;
    aspa "aspa" bool = Value::boolean;
    blackhole "blackhole" bool = Value::boolean;
    role_leak "role-leak" bool = Value::boolean;
}

/// `true`, `false`, `{ extra = […] }` or `{ only = […] }`.
fn list_check<T>(
    value: Value<'_>,
    report: &mut Report,
    read: fn(Value<'_>, &mut Report) -> Option<T>,
) -> Option<ListCheck<T>> {
    match value.toml {
        DeValue::Boolean(on) => return Some(if *on { ListCheck::On } else { ListCheck::Off }),
        DeValue::Table(_) => {}
        _ => return value.expected("`true`, `false` or a table like { extra = […] }", report),
    }
    let mut section = Section::new(value, "{ extra = […] }", value.at, report)?;
    let extra = section.get("extra", report, |v, r| v.list("members", r, read));
    let only = section.get("only", report, |v, r| v.list("members", r, read));
    section.finish(report);
    let members = |list: Vec<crate::source::Spanned<T>>| list.into_iter().map(|m| m.value).collect();
    match (extra, only) {
        (Some(extra), Some(only)) => {
            report
                .error(only.at, "`extra` and `only` exclude each other")
                .label("one too many")
                .also(extra.at, "the other");
            None
        }
        (Some(extra), None) => Some(ListCheck::Extra(members(extra.value))),
        (None, Some(only)) => Some(ListCheck::Only(members(only.value))),
        (None, None) => {
            report.error(value.at, "the table is empty").label("expected `extra` or `only`");
            None
        }
    }
}

/// A pattern of the rule language: `192.0.2.0/24`, `10.0.0.0/8+`, `10.0.0.0/8{24,28}`.
pub(crate) fn pattern(value: Value<'_>, report: &mut Report) -> Option<PrefixPattern> {
    let Some(text) = value.as_text() else { return value.expected("a prefix or a pattern", report) };
    match text.parse::<PrefixPattern>() {
        Ok(pattern) => Some(pattern),
        Err(error) => {
            let at = within(value.at, text, error.span.start, error.span.end, report);
            report.error(at, error.message).maybe_help(error.help);
            None
        }
    }
}

/// A number or a range of AS numbers, reserved ones too: a list of what must not be seen names them.
pub(crate) fn any_asn_range(value: Value<'_>, report: &mut Report) -> Option<RangeInclusive<Asn>> {
    if let DeValue::Integer(_) = value.toml {
        let asn = Asn(value.integer(0..=u64::from(u32::MAX), report)?);
        return Some(asn..=asn);
    }
    value.parsed("an AS number or a range", report, |text| {
        const EXPECTED: &str = "expected a number like 64500 or a range like \"64496-64511\"";
        let number = |text: &str| text.trim().parse::<Asn>().map_err(|_| EXPECTED);
        match text.split_once('-') {
            None => number(text).map(|asn| asn..=asn),
            Some((low, high)) => match (number(low)?, number(high)?) {
                (low, high) if low <= high => Ok(low..=high),
                _ => Err("the range is empty: the first number is greater than the last"),
            },
        }
    })
}

/// `true`, `false` or `{ ipv4 = [8, 24], ipv6 = [12, 48] }`; off is `Some(None)`.
fn prefix_length(value: Value<'_>, report: &mut Report) -> Option<Option<RawLengths>> {
    match value.toml {
        DeValue::Boolean(on) => return Some(on.then(FamilyMap::default)),
        DeValue::Table(_) => {}
        _ => return value.expected("`true`, `false` or a table like { ipv4 = [8, 24] }", report),
    }
    let mut section = Section::new(value, "{ ipv4 = […], ipv6 = […] }", value.at, report)?;
    let lengths = FamilyMap::from_fn(|family| {
        let max = u64::from(family.max_len());
        section.get(family.name(), report, |v, r| shortest_and_longest(v, max, r)).map(|l| l.value)
    });
    section.finish(report);
    Some(Some(lengths))
}

fn shortest_and_longest(value: Value<'_>, max: u64, report: &mut Report) -> Option<(u8, u8)> {
    let list =
        value.list("two lengths, the shortest and the longest", report, |v, r| v.integer(0..=max, r))?;
    match list.as_slice() {
        [shortest, longest] if shortest.value <= longest.value => Some((shortest.value, longest.value)),
        [shortest, longest] => {
            report
                .error(value.at, "no prefix is so long and so short")
                .label("the first is greater than the last")
                .help(format!("did you mean [{}, {}]?", longest.value, shortest.value));
            None
        }
        _ => {
            report
                .error(value.at, "expected two lengths")
                .label("expected [SHORTEST, LONGEST], like [8, 24]");
            None
        }
    }
}

/// `true`, `false` or the most AS numbers of a path; off is `Some(None)`, `true` is `Some(Some(None))`.
#[expect(clippy::option_option, reason = "read or not, on or off, with a number or without")]
fn path_length(value: Value<'_>, report: &mut Report) -> Option<Option<Option<u32>>> {
    match value.toml {
        DeValue::Boolean(on) => Some(on.then_some(None)),
        DeValue::Integer(_) => value.integer(1..=65_535, report).map(|most| Some(Some(most))),
        _ => value.expected("`true`, `false` or the most AS numbers of a path", report),
    }
}
