//! Patterns over communities: each field a number, a range, or `*`.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use siskin_bgp::attr::{Community, ExtendedCommunity, LargeCommunity};

use crate::CommunityValue;
use crate::community::{Administrator, ExtendedKind, RouteOrigin, well_known};
use crate::error::{SyntaxError, did_you_mean};
use crate::numbers::Range;

/// Which communities match: `64500:100`, `64500:*`, `64500:100-199`, `64500:0:*`, `rt:64500:1`, `rt:192.0.2.1:*`,
/// `soo:*:*`, `ext:0002fbf400000001`, or a well-known name such as `no-export`.
///
/// A pattern of two fields matches standard communities only, one of three fields large ones only.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct CommunityPattern(Form);

#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
enum Form {
    Standard(Range, Range),
    Large(Range, Range, Range),
    /// A route target or origin by what it says, in whichever encoding.
    Extended(ExtendedKind, AdministratorPattern, Range),
    /// The eight octets of what has no other text.
    Raw(ExtendedCommunity),
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
enum AdministratorPattern {
    Any,
    Asn(Range),
    Address(Ipv4Addr),
}

const SHORT: u32 = 0xffff;

impl CommunityPattern {
    /// Whether the community matches.
    #[must_use]
    pub fn matches(self, community: CommunityValue) -> bool {
        match (self.0, community) {
            (Form::Standard(high, low), CommunityValue::Standard(c)) => {
                high.contains(c.0 >> 16) && low.contains(c.0 & SHORT)
            }
            (Form::Large(a, b, c), CommunityValue::Large(l)) => {
                a.contains(l.0) && b.contains(l.1) && c.contains(l.2)
            }
            (Form::Raw(raw), CommunityValue::Extended(c)) => raw == c,
            (Form::Extended(kind, administrator, local), CommunityValue::Extended(c)) => {
                RouteOrigin::decode(c).is_some_and(|c| {
                    c.kind == kind && administrator.contains(c.administrator) && local.contains(c.local)
                })
            }
            _ => false,
        }
    }

    /// The community itself, if the pattern is one and no wildcard or range.
    #[must_use]
    pub fn value(self) -> Option<CommunityValue> {
        Some(match self.0 {
            Form::Standard(high, low) => {
                CommunityValue::Standard(Community(high.single()? << 16 | low.single()?))
            }
            Form::Large(a, b, c) => {
                CommunityValue::Large(LargeCommunity(a.single()?, b.single()?, c.single()?))
            }
            Form::Raw(raw) => CommunityValue::Extended(raw),
            Form::Extended(kind, administrator, local) => {
                let administrator = match administrator {
                    AdministratorPattern::Any => return None,
                    AdministratorPattern::Asn(asn) => Administrator::Asn(asn.single()?),
                    AdministratorPattern::Address(address) => Administrator::Address(address),
                };
                CommunityValue::Extended(
                    RouteOrigin { kind, administrator, local: local.single()? }.encode()?,
                )
            }
        })
    }

    /// The pattern of a well-known name.
    pub(crate) fn well_known(name: &str) -> Option<CommunityPattern> {
        well_known(name).map(CommunityPattern::standard)
    }

    fn standard(community: Community) -> CommunityPattern {
        CommunityPattern(Form::Standard(Range::exact(community.0 >> 16), Range::exact(community.0 & SHORT)))
    }
}

impl From<CommunityValue> for CommunityPattern {
    fn from(value: CommunityValue) -> CommunityPattern {
        match value {
            CommunityValue::Standard(c) => CommunityPattern::standard(c),
            CommunityValue::Large(c) => {
                CommunityPattern(Form::Large(Range::exact(c.0), Range::exact(c.1), Range::exact(c.2)))
            }
            CommunityValue::Extended(c) => {
                match RouteOrigin::decode(c).filter(|parts| parts.encode() == Some(c)) {
                    Some(RouteOrigin { kind, administrator, local }) => {
                        let administrator = match administrator {
                            Administrator::Asn(asn) => AdministratorPattern::Asn(Range::exact(asn)),
                            Administrator::Address(address) => AdministratorPattern::Address(address),
                        };
                        CommunityPattern(Form::Extended(kind, administrator, Range::exact(local)))
                    }
                    None => CommunityPattern(Form::Raw(c)),
                }
            }
        }
    }
}

impl AdministratorPattern {
    fn contains(self, administrator: Administrator) -> bool {
        match (self, administrator) {
            (AdministratorPattern::Any, _) => true,
            (AdministratorPattern::Asn(range), Administrator::Asn(asn)) => range.contains(asn),
            (AdministratorPattern::Address(wanted), Administrator::Address(address)) => wanted == address,
            _ => false,
        }
    }

    fn parse(text: &str) -> Result<AdministratorPattern, SyntaxError> {
        if text == "*" {
            return Ok(AdministratorPattern::Any);
        }
        match text.parse() {
            Ok(address) => Ok(AdministratorPattern::Address(address)),
            Err(_) => Range::parse(text, u32::MAX, false).map(AdministratorPattern::Asn),
        }
    }

    /// The largest local part that can stand beside it.
    fn local_max(self) -> u32 {
        match self {
            AdministratorPattern::Asn(range) if range.last > SHORT => SHORT,
            AdministratorPattern::Address(_) => SHORT,
            AdministratorPattern::Asn(_) | AdministratorPattern::Any => u32::MAX,
        }
    }
}

/// One field: where it starts in the text, and itself.
type Field<'a> = (usize, &'a str);

fn range((offset, text): Field<'_>, max: u32) -> Result<Range, SyntaxError> {
    Range::parse(text, max, true).map_err(|error| error.shifted(offset))
}

impl FromStr for CommunityPattern {
    type Err = SyntaxError;

    fn from_str(text: &str) -> Result<CommunityPattern, SyntaxError> {
        let mut offset = 0;
        let fields: Vec<Field<'_>> = text
            .splitn(5, ':')
            .map(|field| {
                let start = offset;
                offset += field.len() + 1;
                (start, field)
            })
            .collect();
        let form = match *fields.as_slice() {
            [(_, name)] => {
                return CommunityPattern::well_known(name).ok_or_else(|| {
                    let help = did_you_mean(name, Community::well_known().map(|(known, _)| known));
                    let message = format!("expected a community like 64500:100, found `{name}`");
                    SyntaxError::new(0, text.len(), message).with_help(help)
                });
            }
            [(_, "ext"), raw] => return Ok(CommunityValue::Extended(parse_raw(raw)?).into()),
            [high, low] => Form::Standard(range(high, SHORT)?, range(low, SHORT)?),
            [(_, "rt"), global, local] => parse_extended(ExtendedKind::RouteTarget, global, local)?,
            [(_, "soo" | "ro"), global, local] => parse_extended(ExtendedKind::SiteOfOrigin, global, local)?,
            [a, b, c] => Form::Large(range(a, u32::MAX)?, range(b, u32::MAX)?, range(c, u32::MAX)?),
            _ => {
                let message = format!("expected a community of two or three numbers, found `{text}`");
                return Err(SyntaxError::new(0, text.len(), message));
            }
        };
        Ok(CommunityPattern(form))
    }
}

fn parse_extended(kind: ExtendedKind, global: Field<'_>, local: Field<'_>) -> Result<Form, SyntaxError> {
    let administrator = AdministratorPattern::parse(global.1).map_err(|error| error.shifted(global.0))?;
    Ok(Form::Extended(kind, administrator, range(local, administrator.local_max())?))
}

fn parse_raw((offset, text): Field<'_>) -> Result<ExtendedCommunity, SyntaxError> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    let is_hex = digits.len() == 16 && digits.bytes().all(|b| b.is_ascii_hexdigit());
    u64::from_str_radix(digits, 16).ok().filter(|_| is_hex).map(ExtendedCommunity).ok_or_else(|| {
        let message = format!("expected 16 hexadecimal digits, found `{text}`");
        SyntaxError::new(offset, offset + text.len(), message)
    })
}

impl fmt::Display for CommunityPattern {
    /// The text [`CommunityPattern::from_str`] reads; well-known communities by name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(value) = self.value() {
            return value.fmt(f);
        }
        match self.0 {
            Form::Standard(high, low) => write!(f, "{}:{}", high.show(SHORT), low.show(SHORT)),
            Form::Large(a, b, c) => {
                write!(f, "{}:{}:{}", a.show(u32::MAX), b.show(u32::MAX), c.show(u32::MAX))
            }
            Form::Raw(raw) => write!(f, "ext:{:016x}", raw.0),
            Form::Extended(kind, administrator, local) => {
                let local = local.show(administrator.local_max());
                match administrator {
                    AdministratorPattern::Any => write!(f, "{}:*:{local}", kind.word()),
                    AdministratorPattern::Asn(range) => match range.single() {
                        Some(asn) => write!(f, "{}:{asn}:{local}", kind.word()),
                        None => write!(f, "{}:{}-{}:{local}", kind.word(), range.first, range.last),
                    },
                    AdministratorPattern::Address(address) => write!(f, "{}:{address}:{local}", kind.word()),
                }
            }
        }
    }
}
