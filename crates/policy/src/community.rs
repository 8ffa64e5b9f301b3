//! Communities as values: their text and back, and the names that IANA gave to some of them.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use siskin_bgp::attr::{Community, ExtendedCommunity, LargeCommunity, PathAttributes};

use crate::CommunityPattern;
use crate::error::SyntaxError;

/// A community of any of the three kinds.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum CommunityValue {
    /// RFC 1997: `64500:100`, `no-export`.
    Standard(Community),
    /// RFC 8092: `64500:1:2`.
    Large(LargeCommunity),
    /// RFC 4360: `rt:64500:1`, `soo:192.0.2.1:1`, `ext:0002fbf400000001`.
    Extended(ExtendedCommunity),
}

/// The community of a well-known name; upper case and `_` are as good (`NO_EXPORT`).
pub(crate) fn well_known(name: &str) -> Option<Community> {
    let plain = name.to_ascii_lowercase().replace('_', "-");
    Community::well_known().find(|(known, _)| *known == plain).map(|(_, community)| community)
}

impl CommunityValue {
    /// Whether the attributes carry it.
    #[must_use]
    pub fn is_in(self, attributes: &PathAttributes) -> bool {
        match self {
            CommunityValue::Standard(c) => attributes.communities.contains(&c),
            CommunityValue::Large(c) => attributes.large_communities.contains(&c),
            CommunityValue::Extended(c) => attributes.ext_communities.contains(&c),
        }
    }

    /// Adds it to the attributes, which stay sorted and distinct.
    pub fn add_to(self, attributes: &mut PathAttributes) {
        match self {
            CommunityValue::Standard(c) => insert(&mut attributes.communities, c),
            CommunityValue::Large(c) => insert(&mut attributes.large_communities, c),
            CommunityValue::Extended(c) => insert(&mut attributes.ext_communities, c),
        }
    }
}

fn insert<T: Ord + Copy, const N: usize>(sorted: &mut smallvec::SmallVec<[T; N]>, value: T)
where
    [T; N]: smallvec::Array<Item = T>,
{
    if let Err(place) = sorted.binary_search(&value) {
        sorted.insert(place, value);
    }
}

impl FromStr for CommunityValue {
    type Err = SyntaxError;

    fn from_str(text: &str) -> Result<CommunityValue, SyntaxError> {
        let pattern: CommunityPattern = text.parse()?;
        pattern.value().ok_or_else(|| {
            let message = format!("`{text}` is a pattern; one community is expected here");
            SyntaxError::new(0, text.len(), message)
        })
    }
}

impl fmt::Display for CommunityValue {
    /// The text [`CommunityValue::from_str`] reads; well-known communities by name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CommunityValue::Standard(c) => c.fmt(f),
            CommunityValue::Large(c) => c.fmt(f),
            CommunityValue::Extended(c) => match RouteOrigin::decode(*c) {
                Some(parts) if parts.encode() == Some(*c) => parts.fmt(f),
                _ => write!(f, "ext:{:016x}", c.0),
            },
        }
    }
}

/// The kinds of extended community that have a name here (RFC 4360 sections 4 and 5).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub(crate) enum ExtendedKind {
    /// Route Target.
    RouteTarget,
    /// Route Origin, or site of origin.
    SiteOfOrigin,
}

impl ExtendedKind {
    /// The word before the first colon.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            ExtendedKind::RouteTarget => "rt",
            ExtendedKind::SiteOfOrigin => "soo",
        }
    }

    const fn subtype(self) -> u8 {
        match self {
            ExtendedKind::RouteTarget => 2,
            ExtendedKind::SiteOfOrigin => 3,
        }
    }
}

/// Who gave out the number: the global administrator.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub(crate) enum Administrator {
    Asn(u32),
    Address(Ipv4Addr),
}

/// A transitive route target or route origin, taken apart (RFC 4360 section 3.1 and 3.2, RFC 5668).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct RouteOrigin {
    pub(crate) kind: ExtendedKind,
    pub(crate) administrator: Administrator,
    pub(crate) local: u32,
}

impl RouteOrigin {
    /// The parts; `None` if the community is of another kind.
    pub(crate) fn decode(community: ExtendedCommunity) -> Option<RouteOrigin> {
        let [format, subtype, a, b, c, d, e, f] = community.0.to_be_bytes();
        let kind = match subtype {
            2 => ExtendedKind::RouteTarget,
            3 => ExtendedKind::SiteOfOrigin,
            _ => return None,
        };
        let short = u32::from(u16::from_be_bytes([e, f]));
        let (administrator, local) = match format {
            0 => {
                (Administrator::Asn(u32::from(u16::from_be_bytes([a, b]))), u32::from_be_bytes([c, d, e, f]))
            }
            1 => (Administrator::Address(Ipv4Addr::new(a, b, c, d)), short),
            2 => (Administrator::Asn(u32::from_be_bytes([a, b, c, d])), short),
            _ => return None,
        };
        Some(RouteOrigin { kind, administrator, local })
    }

    /// The community, with a two-octet AS number where it fits; `None` if the local part is too large for its form.
    pub(crate) fn encode(self) -> Option<ExtendedCommunity> {
        let subtype = self.kind.subtype();
        let short = u16::try_from(self.local).ok().map(u16::to_be_bytes);
        let bytes = match self.administrator {
            Administrator::Asn(asn) => match u16::try_from(asn) {
                Ok(asn) => {
                    let ([a, b], [c, d, e, f]) = (asn.to_be_bytes(), self.local.to_be_bytes());
                    [0, subtype, a, b, c, d, e, f]
                }
                Err(_) => {
                    let ([a, b, c, d], [e, f]) = (asn.to_be_bytes(), short?);
                    [2, subtype, a, b, c, d, e, f]
                }
            },
            Administrator::Address(address) => {
                let ([a, b, c, d], [e, f]) = (address.octets(), short?);
                [1, subtype, a, b, c, d, e, f]
            }
        };
        Some(ExtendedCommunity(u64::from_be_bytes(bytes)))
    }
}

impl fmt::Display for RouteOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.administrator {
            Administrator::Asn(asn) => write!(f, "{}:{asn}:{}", self.kind.word(), self.local),
            Administrator::Address(address) => write!(f, "{}:{address}:{}", self.kind.word(), self.local),
        }
    }
}
