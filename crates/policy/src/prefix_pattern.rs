//! One entry of a prefix set: a prefix and which lengths below it match.

use std::fmt;
use std::str::FromStr;

use siskin_net::{ParsePrefixError, Prefix};

use crate::error::SyntaxError;

/// A prefix and the lengths that match under it: `10.0.0.0/8` itself alone, `2001:db8::/32+` itself and everything
/// within, `10.0.0.0/8{24,28}` what lies within and is 24 to 28 bits long.
///
/// The lengths lie between the prefix's own and the longest of its family.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct PrefixPattern {
    prefix: Prefix,
    shortest: u8,
    longest: u8,
}

impl PrefixPattern {
    /// The prefix itself and nothing else.
    #[must_use]
    pub const fn exact(prefix: Prefix) -> PrefixPattern {
        PrefixPattern { prefix, shortest: prefix.len(), longest: prefix.len() }
    }

    /// The prefix and everything within it.
    #[must_use]
    pub const fn or_longer(prefix: Prefix) -> PrefixPattern {
        PrefixPattern { prefix, shortest: prefix.len(), longest: prefix.family().max_len() }
    }

    /// What lies within `prefix` and has `shortest` to `longest` bits; `None` unless
    /// `prefix.len() <= shortest <= longest <=` the longest of the family.
    #[must_use]
    pub fn with_lengths(prefix: Prefix, shortest: u8, longest: u8) -> Option<PrefixPattern> {
        let fits = prefix.len() <= shortest && shortest <= longest && longest <= prefix.family().max_len();
        fits.then_some(PrefixPattern { prefix, shortest, longest })
    }

    /// The prefix everything that matches lies in.
    #[must_use]
    pub const fn prefix(self) -> Prefix {
        self.prefix
    }

    /// The shortest and the longest length that match.
    #[must_use]
    pub const fn lengths(self) -> (u8, u8) {
        (self.shortest, self.longest)
    }

    /// Whether `prefix` matches.
    #[must_use]
    pub fn matches(self, prefix: Prefix) -> bool {
        self.prefix.covers(prefix) && (self.shortest..=self.longest).contains(&prefix.len())
    }
}

impl FromStr for PrefixPattern {
    type Err = SyntaxError;

    fn from_str(text: &str) -> Result<PrefixPattern, SyntaxError> {
        if let Some(prefix) = text.strip_suffix('+') {
            return parse_prefix(prefix).map(PrefixPattern::or_longer);
        }
        match text.split_once('{') {
            None => parse_prefix(text).map(PrefixPattern::exact),
            Some((prefix, braces)) => {
                let lengths = braces.strip_suffix('}').ok_or_else(|| {
                    SyntaxError::new(text.len(), text.len(), "expected `}` after the prefix lengths")
                })?;
                parse_lengths(parse_prefix(prefix)?, lengths, prefix.len() + 1)
            }
        }
    }
}

fn parse_prefix(text: &str) -> Result<Prefix, SyntaxError> {
    text.parse().map_err(|error| {
        let address_end = text.find('/').unwrap_or(text.len());
        match error {
            ParsePrefixError::HostBits(meant) => {
                SyntaxError::new(0, text.len(), format!("`{text}` has bits set beyond its length"))
                    .with_help(Some(format!("did you mean `{meant}`?")))
            }
            ParsePrefixError::Length(_) => SyntaxError::new(address_end + 1, text.len(), error.to_string()),
            ParsePrefixError::Syntax => {
                let is_address = text.parse::<std::net::IpAddr>().is_ok();
                let help = is_address.then(|| {
                    let full = if text.contains(':') { 128 } else { 32 };
                    format!("a single address is `{text}/{full}`")
                });
                let message = format!("expected a prefix like 192.0.2.0/24 or 2001:db8::/32, found `{text}`");
                SyntaxError::new(0, text.len(), message).with_help(help)
            }
        }
    })
}

/// Reads `24,28` or `24`; `offset` is where it stands in the whole text.
fn parse_lengths(prefix: Prefix, text: &str, offset: usize) -> Result<PrefixPattern, SyntaxError> {
    let end = offset + text.len();
    let (first, last) = text.split_once(',').unwrap_or((text, text));
    let length = |text: &str| text.trim().parse::<u8>().ok().filter(|_| !text.contains('+'));
    let (Some(shortest), Some(longest)) = (length(first), length(last)) else {
        let message = format!("expected two prefix lengths like {{24,28}}, found `{{{text}}}`");
        return Err(SyntaxError::new(offset, end, message));
    };
    PrefixPattern::with_lengths(prefix, shortest, longest).ok_or_else(|| {
        let (own, max) = (prefix.len(), prefix.family().max_len());
        let message = format!("the lengths must rise and lie between {own} and {max}");
        SyntaxError::new(offset, end, message)
    })
}

impl fmt::Display for PrefixPattern {
    /// The shortest text that reads back as this pattern.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (own, max) = (self.prefix.len(), self.prefix.family().max_len());
        match (self.shortest, self.longest) {
            (shortest, longest) if shortest == own && longest == own => write!(f, "{}", self.prefix),
            (shortest, longest) if shortest == own && longest == max => write!(f, "{}+", self.prefix),
            (shortest, longest) if shortest == longest => write!(f, "{}{{{longest}}}", self.prefix),
            (shortest, longest) => write!(f, "{}{{{shortest},{longest}}}", self.prefix),
        }
    }
}
