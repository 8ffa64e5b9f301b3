//! What happens to the routes of a session: the settings that apply while it runs.

use std::sync::Arc;
use std::time::Duration;

use serde::{Serialize, Serializer};
use siskin_net::{FamilySet, Role};
use siskin_policy::Compiled;

use super::{Checks, Communities, IrrFilter, MaxPrefix, RpkiMode, serialize};

/// Everything that may change without a new session.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct RouteSettings {
    /// Which routes are taken.
    pub import: PolicyChoice,
    /// Which routes are given.
    pub export: PolicyChoice,
    /// RPKI before `import`.
    pub rpki: RpkiMode,
    /// IRR filter before `import`.
    #[serde(serialize_with = "serialize::off_option")]
    pub irr: Option<IrrFilter>,
    /// The built-in rules before `import`.
    pub checks: Checks,
    /// The peer is drained: it gets no routes of ours, and traffic leaves before anything is taken down (RFC 8326).
    pub drain: bool,
    /// Limits of what is taken.
    #[serde(serialize_with = "serialize::off_option")]
    pub max_prefix: Option<MaxPrefix>,
    /// Limits of what is given.
    #[serde(serialize_with = "serialize::off_option")]
    pub max_prefix_out: Option<MaxPrefix>,
    /// A default route of these families is given, whether or not we have one.
    #[serde(serialize_with = "serialize::families")]
    pub default_originate: FamilySet,
    /// The next hop given.
    pub next_hop: NextHopMode,
    /// Private AS numbers are removed from what is given.
    pub remove_private_as: bool,
    /// How often our own AS may stand in a received path.
    pub allow_own_as: u8,
    /// The first AS of a received path must be the peer's.
    pub enforce_first_as: bool,
    /// LOCAL_PREF of what is taken, before `import`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub local_pref: Option<u32>,
    /// MED of what is given, after `export`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub med: Option<u32>,
    /// How often our AS is prepended to what is given, 0 to 25.
    pub prepend: u8,
    /// The kernel's table of what is taken, before `import`; `None`: `kernel.table`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub table: Option<u32>,
    /// Communities added to what is taken, before `import`.
    #[serde(skip_serializing_if = "Communities::is_empty")]
    pub communities_in: Communities,
    /// Communities added to what is given, after `export`.
    #[serde(skip_serializing_if = "Communities::is_empty")]
    pub communities_out: Communities,
    /// BFD watches the peer; `None`: off.
    #[serde(serialize_with = "serialize::off_option")]
    pub bfd: Option<Bfd>,
}

/// Which policy judges routes in one direction.
#[derive(Clone, Debug, PartialEq)]
pub enum PolicyChoice {
    /// A policy of the file, or a built-in one by name. An internal peer without `import` or `export` has
    /// `accept-all` there.
    Named(Arc<Compiled>),
    /// The built-in edge policy of a role, compiled for this peer.
    Role(Role, Arc<Compiled>),
    /// None at all: nothing passes (RFC 8212).
    None,
}

impl PolicyChoice {
    /// The policy, if there is one.
    #[must_use]
    pub fn policy(&self) -> Option<&Arc<Compiled>> {
        match self {
            PolicyChoice::Named(policy) | PolicyChoice::Role(_, policy) => Some(policy),
            PolicyChoice::None => None,
        }
    }
}

impl Serialize for PolicyChoice {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            PolicyChoice::Named(policy) | PolicyChoice::Role(_, policy) => {
                serializer.serialize_str(policy.name())
            }
            PolicyChoice::None => serializer.serialize_str("(none)"),
        }
    }
}

/// The next hop given to a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum NextHopMode {
    /// As RFC 4271 section 5.1.3 says: our own towards external peers, unchanged towards internal ones.
    Default,
    /// Always our own.
    #[serde(rename = "self")]
    SelfAddress,
    /// Always as received.
    Unchanged,
}

/// The peer key `bfd` (RFC 5880).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Bfd {
    /// Desired Min TX Interval.
    #[serde(serialize_with = "serialize::duration")]
    pub min_tx: Duration,
    /// Required Min RX Interval.
    #[serde(serialize_with = "serialize::duration")]
    pub min_rx: Duration,
    /// Detect Mult.
    pub multiplier: u8,
    /// The BGP session waits for BFD to be up.
    pub strict: bool,
}
