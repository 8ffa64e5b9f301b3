//! Address families that carry unicast routes (RFC 4760: AFI and SAFI), and small tables indexed by them.

use std::fmt;
use std::ops::{Index, IndexMut};
use std::str::FromStr;

/// An AFI/SAFI pair we speak: IPv4 unicast (1/1) or IPv6 unicast (2/1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[repr(u8)]
pub enum Family {
    /// AFI 1, SAFI 1.
    #[serde(rename = "ipv4")]
    Ipv4 = 0,
    /// AFI 2, SAFI 1.
    #[serde(rename = "ipv6")]
    Ipv6 = 1,
}

impl Family {
    /// Both, in the order tables show them.
    pub const ALL: [Family; 2] = [Family::Ipv4, Family::Ipv6];

    /// The Address Family Identifier on the wire.
    #[must_use]
    pub const fn afi(self) -> u16 {
        match self {
            Family::Ipv4 => 1,
            Family::Ipv6 => 2,
        }
    }

    /// The Subsequent Address Family Identifier on the wire: unicast.
    #[must_use]
    pub const fn safi(self) -> u8 {
        1
    }

    /// The family of an AFI/SAFI pair, if we speak it.
    #[must_use]
    pub const fn from_wire(afi: u16, safi: u8) -> Option<Family> {
        match (afi, safi) {
            (1, 1) => Some(Family::Ipv4),
            (2, 1) => Some(Family::Ipv6),
            _ => None,
        }
    }

    /// The longest prefix length: 32 or 128.
    #[must_use]
    pub const fn max_len(self) -> u8 {
        match self {
            Family::Ipv4 => 32,
            Family::Ipv6 => 128,
        }
    }

    /// The short name used in JSON and metrics: `ipv4`, `ipv6`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Family::Ipv4 => "ipv4",
            Family::Ipv6 => "ipv6",
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Family {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "ipv4" | "ipv4-unicast" => Ok(Family::Ipv4),
            "ipv6" | "ipv6-unicast" => Ok(Family::Ipv6),
            _ => Err(()),
        }
    }
}

/// A set of families, two bits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, PartialOrd, Ord)]
pub struct FamilySet(u8);

impl FamilySet {
    /// No family.
    pub const EMPTY: FamilySet = FamilySet(0);
    /// IPv4 and IPv6.
    pub const BOTH: FamilySet = FamilySet(3);

    /// The set with one more member.
    #[must_use]
    pub const fn with(self, family: Family) -> FamilySet {
        FamilySet(self.0 | 1 << family as u8)
    }

    /// The set without a member.
    #[must_use]
    pub const fn without(self, family: Family) -> FamilySet {
        FamilySet(self.0 & !(1 << family as u8))
    }

    /// Whether `family` is a member.
    #[must_use]
    pub const fn contains(self, family: Family) -> bool {
        self.0 & 1 << family as u8 != 0
    }

    /// The members both sets have.
    #[must_use]
    pub const fn intersection(self, other: FamilySet) -> FamilySet {
        FamilySet(self.0 & other.0)
    }

    /// Whether the set has no member.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The members, IPv4 first.
    pub fn iter(self) -> impl Iterator<Item = Family> {
        Family::ALL.into_iter().filter(move |f| self.contains(*f))
    }
}

impl FromIterator<Family> for FamilySet {
    fn from_iter<I: IntoIterator<Item = Family>>(iter: I) -> Self {
        iter.into_iter().fold(FamilySet::EMPTY, FamilySet::with)
    }
}

impl fmt::Debug for FamilySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

/// One value a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Hash)]
pub struct FamilyMap<T>([T; 2]);

impl<T> FamilyMap<T> {
    /// Builds the value of each family with `make`.
    pub fn from_fn(mut make: impl FnMut(Family) -> T) -> Self {
        FamilyMap([make(Family::Ipv4), make(Family::Ipv6)])
    }

    /// Each family with its value.
    pub fn iter(&self) -> impl Iterator<Item = (Family, &T)> {
        Family::ALL.into_iter().zip(&self.0)
    }

    /// Each family with its value, to change it.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (Family, &mut T)> {
        Family::ALL.into_iter().zip(&mut self.0)
    }
}

impl<T> Index<Family> for FamilyMap<T> {
    type Output = T;
    fn index(&self, family: Family) -> &T {
        match family {
            Family::Ipv4 => &self.0[0],
            Family::Ipv6 => &self.0[1],
        }
    }
}

impl<T> IndexMut<Family> for FamilyMap<T> {
    fn index_mut(&mut self, family: Family) -> &mut T {
        match family {
            Family::Ipv4 => &mut self.0[0],
            Family::Ipv6 => &mut self.0[1],
        }
    }
}
