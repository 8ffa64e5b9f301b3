//! Community sets: exact communities by binary search, patterns one after the other.

use siskin_bgp::attr::PathAttributes;

use crate::{CommunityPattern, CommunityValue};

/// A compiled set of [`CommunityPattern`]s; sets of the same patterns compare equal.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub(crate) struct CommunitySet {
    /// Sorted and distinct. Extended communities are left to `patterns`: one text may stand for two encodings.
    exact: Box<[CommunityValue]>,
    patterns: Box<[CommunityPattern]>,
}

impl CommunitySet {
    pub(crate) fn contains(&self, community: CommunityValue) -> bool {
        self.exact.binary_search(&community).is_ok() || self.patterns.iter().any(|p| p.matches(community))
    }

    /// Whether the attributes carry a community of the set.
    pub(crate) fn intersects(&self, attributes: &PathAttributes) -> bool {
        attributes.communities.iter().any(|c| self.contains(CommunityValue::Standard(*c)))
            || attributes.large_communities.iter().any(|c| self.contains(CommunityValue::Large(*c)))
            || attributes.ext_communities.iter().any(|c| self.contains(CommunityValue::Extended(*c)))
    }

    /// Takes the set's communities out of the attributes.
    pub(crate) fn remove_from(&self, attributes: &mut PathAttributes) {
        attributes.communities.retain(|c| !self.contains(CommunityValue::Standard(*c)));
        attributes.large_communities.retain(|c| !self.contains(CommunityValue::Large(*c)));
        attributes.ext_communities.retain(|c| !self.contains(CommunityValue::Extended(*c)));
    }
}

impl FromIterator<CommunityPattern> for CommunitySet {
    fn from_iter<I: IntoIterator<Item = CommunityPattern>>(all: I) -> CommunitySet {
        let mut exact = Vec::new();
        let mut patterns = Vec::new();
        for pattern in all {
            match pattern.value() {
                Some(value @ (CommunityValue::Standard(_) | CommunityValue::Large(_))) => exact.push(value),
                Some(CommunityValue::Extended(_)) | None => patterns.push(pattern),
            }
        }
        exact.sort_unstable();
        exact.dedup();
        patterns.sort_unstable();
        patterns.dedup();
        CommunitySet { exact: exact.into(), patterns: patterns.into() }
    }
}
