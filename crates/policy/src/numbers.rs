//! Ranges of numbers, and sets of AS numbers made of them.

use std::fmt;
use std::ops::RangeInclusive;

use siskin_net::Asn;

use crate::error::SyntaxError;

/// An inclusive range, `first <= last`. Written `N`, `N-M`, or `*` where it spans all that the field can hold.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub(crate) struct Range {
    pub(crate) first: u32,
    pub(crate) last: u32,
}

impl Range {
    pub(crate) const fn exact(value: u32) -> Range {
        Range { first: value, last: value }
    }

    pub(crate) const fn contains(self, value: u32) -> bool {
        self.first <= value && value <= self.last
    }

    /// The only member, if there is but one.
    pub(crate) fn single(self) -> Option<u32> {
        (self.first == self.last).then_some(self.first)
    }

    /// Reads `N` or `N-M`, and `*` if `wildcard`; no number may exceed `max`. Spans are those of `text`.
    pub(crate) fn parse(text: &str, max: u32, wildcard: bool) -> Result<Range, SyntaxError> {
        if wildcard && text == "*" {
            return Ok(Range { first: 0, last: max });
        }
        match text.split_once('-') {
            None => number(text, max, 0).map(Range::exact),
            Some((first, last)) => {
                let range =
                    Range { first: number(first, max, 0)?, last: number(last, max, first.len() + 1)? };
                if range.first > range.last {
                    let help = format!("write `{last}-{first}`");
                    return Err(SyntaxError::new(0, text.len(), format!("the range `{text}` is empty"))
                        .with_help(Some(help)));
                }
                Ok(range)
            }
        }
    }

    /// The text [`Range::parse`] reads, for a field that holds up to `max`.
    pub(crate) fn show(self, max: u32) -> impl fmt::Display {
        std::fmt::from_fn(move |f| match (self.first, self.last) {
            (0, last) if last == max => f.write_str("*"),
            (first, last) if first == last => write!(f, "{first}"),
            (first, last) => write!(f, "{first}-{last}"),
        })
    }
}

fn number(text: &str, max: u32, offset: usize) -> Result<u32, SyntaxError> {
    let end = offset + text.len();
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(SyntaxError::new(offset, end, format!("expected a number, found `{text}`")));
    }
    text.parse::<u32>()
        .ok()
        .filter(|n| *n <= max)
        .ok_or_else(|| SyntaxError::new(offset, end, format!("{text} is too large: at most {max}")))
}

/// A set of AS numbers: sorted ranges that neither overlap nor touch, so equal sets are equal values.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct AsnSet(Box<[Range]>);

impl AsnSet {
    pub(crate) fn new(ranges: impl IntoIterator<Item = Range>) -> AsnSet {
        let mut sorted: Vec<Range> = ranges.into_iter().collect();
        sorted.sort_unstable();
        let mut merged: Vec<Range> = Vec::with_capacity(sorted.len());
        for range in sorted {
            match merged.last_mut() {
                Some(last) if range.first <= last.last.saturating_add(1) => {
                    last.last = last.last.max(range.last)
                }
                _ => merged.push(range),
            }
        }
        AsnSet(merged.into())
    }

    /// Whether the number is a member.
    #[must_use]
    pub fn contains(&self, asn: Asn) -> bool {
        let after = self.0.partition_point(|r| r.first <= asn.0);
        after.checked_sub(1).and_then(|i| self.0.get(i)).is_some_and(|r| r.contains(asn.0))
    }

    /// Whether it has no member.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Its members as inclusive ranges, which neither overlap nor touch, in order.
    pub fn ranges(&self) -> impl Iterator<Item = (u32, u32)> + '_ {
        self.0.iter().map(|range| (range.first, range.last))
    }

    /// The only member, if there is but one.
    pub(crate) fn single(&self) -> Option<Asn> {
        match &*self.0 {
            [range] => range.single().map(Asn),
            _ => None,
        }
    }
}

impl FromIterator<RangeInclusive<Asn>> for AsnSet {
    fn from_iter<I: IntoIterator<Item = RangeInclusive<Asn>>>(ranges: I) -> AsnSet {
        AsnSet::new(ranges.into_iter().map(|r| Range { first: r.start().0, last: r.end().0 }))
    }
}

impl FromIterator<Asn> for AsnSet {
    fn from_iter<I: IntoIterator<Item = Asn>>(asns: I) -> AsnSet {
        AsnSet::new(asns.into_iter().map(|asn| Range::exact(asn.0)))
    }
}

impl fmt::Display for AsnSet {
    /// `[64500, 64512-65534]`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        for (i, range) in self.0.iter().enumerate() {
            let comma = if i > 0 { ", " } else { "" };
            match range.single() {
                Some(asn) => write!(f, "{comma}{asn}")?,
                None => write!(f, "{comma}{}-{}", range.first, range.last)?,
            }
        }
        f.write_str("]")
    }
}
