//! What acts before the import policy: RPKI mode, IRR filter, prefix limits.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use siskin_net::{FamilyMap, Prefix};

use super::serialize;
use crate::duration;

/// The peer key `rpki`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RpkiMode {
    /// RPKI-invalid routes are rejected (RFC 6811).
    RejectInvalid,
    /// Only RPKI-valid routes are accepted.
    RequireValid,
    /// RPKI does not matter.
    Off,
}

/// The peer key `irr`: prefixes must be registered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct IrrFilter {
    /// Which as-sets name the peer's customers.
    pub as_set: IrrSource,
    /// More specific routes of a registered prefix are accepted down to this length; `None`: exact matches alone.
    #[serde(serialize_with = "serialize::family_options")]
    pub max_length: FamilyMap<Option<u8>>,
    /// Prefixes accepted besides.
    pub extra: Vec<Prefix>,
    /// The databases asked for this peer; `None`: those of `[irr]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sources: Option<Vec<String>>,
    /// An RPKI-valid route is accepted although no object registers it.
    pub accept_rpki_valid: bool,
    /// The origin AS must be a member of the as-set too.
    pub check_origin: bool,
}

/// Where a peer's as-set comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum IrrSource {
    /// PeeringDB's `irr_as_set` of the peer's AS.
    Auto,
    /// These; their union counts.
    #[serde(untagged)]
    Sets(Vec<AsSet>),
}

/// An as-set's name, perhaps with the database it must come from: `AS-EXAMPLE`, `RIPE::AS-EXAMPLE`, `AS64500`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AsSet {
    /// The database, in capitals.
    pub source: Option<String>,
    /// The set's name, or an AS number with `AS` before it, in capitals.
    pub name: String,
}

impl std::fmt::Display for AsSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.source {
            Some(source) => write!(f, "{source}::{}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

impl Serialize for AsSet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The peer keys `max-prefix` and `max-prefix-out`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MaxPrefix {
    /// Where the numbers come from.
    pub source: MaxPrefixSource,
    /// Percent of a limit at which a warning is logged, 1 to 100.
    pub warn_at: u8,
    /// What happens beyond a limit.
    pub action: LimitAction,
}

impl Serialize for MaxPrefix {
    /// As the file has it: the table with every default filled in.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        let (MaxPrefixSource::Limits(limits) | MaxPrefixSource::PeeringDb(limits)) = &self.source;
        if matches!(self.source, MaxPrefixSource::PeeringDb(_)) {
            map.serialize_entry("peeringdb", &true)?;
        }
        for (family, limit) in limits.accepted.iter() {
            if let Some(limit) = limit {
                map.serialize_entry(family.name(), limit)?;
            }
        }
        let received: BTreeMap<&str, u32> =
            limits.received.iter().filter_map(|(family, limit)| Some((family.name(), (*limit)?))).collect();
        if !received.is_empty() {
            map.serialize_entry("received", &received)?;
        }
        map.serialize_entry("warn-at", &self.warn_at)?;
        map.serialize_entry("action", self.action.name())?;
        if let LimitAction::Restart { after } = self.action {
            map.serialize_entry("restart-after", &duration::format(after))?;
        }
        map.end()
    }
}

/// Where the limits come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MaxPrefixSource {
    /// PeeringDB's `info_prefixes4` and `info_prefixes6` of the peer's AS, and numbers of the file, which win where
    /// they are.
    PeeringDb(Limits),
    /// Numbers of the file.
    Limits(Limits),
}

/// Limits of prefixes, by family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Limits {
    /// Of accepted prefixes (`max-prefix`) or announced ones (`max-prefix-out`).
    pub accepted: FamilyMap<Option<u32>>,
    /// Of received prefixes, before any policy.
    pub received: FamilyMap<Option<u32>>,
}

/// What happens beyond a prefix limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitAction {
    /// A warning alone.
    Warn,
    /// The session stays, further prefixes are not taken.
    Block,
    /// The session ends (RFC 4486 Maximum Number of Prefixes Reached) and comes back after a time.
    Restart {
        /// That time.
        after: Duration,
    },
    /// The session ends until the operator brings it up.
    Shutdown,
}

impl LimitAction {
    /// The word of the file.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            LimitAction::Warn => "warn",
            LimitAction::Block => "block",
            LimitAction::Restart { .. } => "restart",
            LimitAction::Shutdown => "shutdown",
        }
    }
}
