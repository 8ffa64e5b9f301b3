//! What policies may ask that is not in the route: RPKI origin validation (RFC 6811), ASPA path verification, IRR
//! membership. The answers come from outside; here is only how they are asked for and what to do without them.

use std::fmt;
use std::ops::BitOr;

use siskin_bgp::attr::AsPath;
use siskin_net::{Asn, Prefix};

use crate::PeerView;

/// The state of origin validation (RFC 6811 section 2).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Rpki {
    /// A VRP covers the prefix and matches length and origin.
    Valid,
    /// VRPs cover the prefix, none matches.
    Invalid,
    /// No VRP covers the prefix.
    NotFound,
}

impl Rpki {
    pub(crate) const WORDS: &'static [(&'static str, Rpki)] =
        &[("valid", Rpki::Valid), ("invalid", Rpki::Invalid), ("not-found", Rpki::NotFound)];
}

/// The state of ASPA path verification (draft-ietf-sidrops-aspa-verification).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Aspa {
    /// Every hop is attested.
    Valid,
    /// At least one hop contradicts an attestation.
    Invalid,
    /// Some hop is not attested, none contradicts.
    Unknown,
}

impl Aspa {
    pub(crate) const WORDS: &'static [(&'static str, Aspa)] =
        &[("valid", Aspa::Valid), ("invalid", Aspa::Invalid), ("unknown", Aspa::Unknown)];
}

/// The data policies may ask for. `None` always means that there is no data to judge by (no cache answered yet, no
/// IRR set for this peer), never that nothing matches.
pub trait Facts {
    /// The origin validation state of `prefix` from `origin`; `None` as an origin: the path ends in an AS_SET or is empty.
    fn rpki(&self, prefix: Prefix, origin: Option<Asn>) -> Option<Rpki>;
    /// The ASPA state of a path learned from `peer`.
    fn aspa(&self, path: &AsPath, peer: Option<PeerView<'_>>) -> Option<Aspa>;
    /// Whether the IRR set of `peer` allows `prefix` from `origin`.
    fn irr(&self, peer: &str, prefix: Prefix, origin: Option<Asn>) -> Option<bool>;
    /// Whether `prefix` is in the IRR set of `peer` or lies within a prefix of it, however long it is.
    fn irr_covers(&self, _peer: &str, _prefix: Prefix) -> Option<bool> {
        None
    }
    /// Whether `origin` is a member of the as-set of `peer`; `None` as an origin: as in [`Facts::rpki`].
    fn irr_origin(&self, _peer: &str, _origin: Option<Asn>) -> Option<bool> {
        None
    }
}

/// No data at all: every question is unknown.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoFacts;

impl Facts for NoFacts {
    fn rpki(&self, _: Prefix, _: Option<Asn>) -> Option<Rpki> {
        None
    }
    fn aspa(&self, _: &AsPath, _: Option<PeerView<'_>>) -> Option<Aspa> {
        None
    }
    fn irr(&self, _: &str, _: Prefix, _: Option<Asn>) -> Option<bool> {
        None
    }
}

/// Which facts a policy asks for, or which were missing when it ran: a set of three.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Needs(u8);

impl Needs {
    /// None.
    pub const NONE: Needs = Needs(0);
    /// RPKI origin validation.
    pub const RPKI: Needs = Needs(1);
    /// ASPA path verification.
    pub const ASPA: Needs = Needs(2);
    /// IRR prefix sets.
    pub const IRR: Needs = Needs(4);

    /// Whether every fact of `other` is in the set.
    #[must_use]
    pub const fn contains(self, other: Needs) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether the set has no member.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The names of the members: `rpki`, `aspa`, `irr`.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        [("rpki", Needs::RPKI), ("aspa", Needs::ASPA), ("irr", Needs::IRR)]
            .into_iter()
            .filter(move |(_, need)| self.contains(*need))
            .map(|(name, _)| name)
    }
}

impl BitOr for Needs {
    type Output = Needs;
    fn bitor(self, other: Needs) -> Needs {
        Needs(self.0 | other.0)
    }
}

impl fmt::Debug for Needs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}
