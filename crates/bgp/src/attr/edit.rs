//! Reading and changing attributes: what policies and the decision ask for, keeping sets sorted and distinct.

use std::net::{IpAddr, Ipv4Addr};

use siskin_net::Asn;
use smallvec::{Array, SmallVec};

use super::table::Gathered;
use super::{Community, ExtendedCommunity, LargeCommunity, PathAttributes};

/// Puts `item` into a sorted set; whether it was new.
fn insert<A: Array<Item: Ord>>(set: &mut SmallVec<A>, item: A::Item) -> bool {
    match set.binary_search(&item) {
        Ok(_) => false,
        Err(at) => {
            set.insert(at, item);
            true
        }
    }
}

/// Takes out what `matches`; whether anything was.
fn remove<A: Array>(set: &mut SmallVec<A>, mut matches: impl FnMut(&A::Item) -> bool) -> bool {
    let before = set.len();
    set.retain(|item| !matches(item));
    set.len() != before
}

impl PathAttributes {
    /// LOCAL_PREF as the decision counts it: 100 where there is none.
    #[must_use]
    pub fn local_pref_or_default(&self) -> u32 {
        self.local_pref.unwrap_or(Self::DEFAULT_LOCAL_PREF)
    }

    /// MULTI_EXIT_DISC as the decision counts it: 0, the best, where there is none (RFC 4271 section 9.1.2.2).
    #[must_use]
    pub fn med_or_zero(&self) -> u32 {
        self.med.unwrap_or(0)
    }

    /// What LOCAL_PREF counts where there is none.
    pub const DEFAULT_LOCAL_PREF: u32 = 100;

    /// Whether the standard community is there.
    #[must_use]
    pub fn has_community(&self, community: Community) -> bool {
        self.communities.binary_search(&community).is_ok()
    }

    /// Whether the extended community is there.
    #[must_use]
    pub fn has_ext_community(&self, community: ExtendedCommunity) -> bool {
        self.ext_communities.binary_search(&community).is_ok()
    }

    /// The bandwidth of the link the path leads over, in octets a second (draft-ietf-idr-link-bandwidth); `None`: none
    /// is told, or none that is more than nothing. Of several the least counts.
    #[must_use]
    pub fn link_bandwidth(&self) -> Option<u64> {
        self.ext_communities.iter().filter_map(|community| community.link_bandwidth()).min()
    }

    /// Whether the large community is there.
    #[must_use]
    pub fn has_large_community(&self, community: LargeCommunity) -> bool {
        self.large_communities.binary_search(&community).is_ok()
    }

    /// Adds a standard community; whether it was new.
    pub fn add_community(&mut self, community: Community) -> bool {
        insert(&mut self.communities, community)
    }

    /// Adds an extended community; whether it was new.
    pub fn add_ext_community(&mut self, community: ExtendedCommunity) -> bool {
        insert(&mut self.ext_communities, community)
    }

    /// Adds a large community; whether it was new.
    pub fn add_large_community(&mut self, community: LargeCommunity) -> bool {
        insert(&mut self.large_communities, community)
    }

    /// Takes out the standard communities that match; whether there were any.
    pub fn remove_communities(&mut self, matches: impl FnMut(&Community) -> bool) -> bool {
        remove(&mut self.communities, matches)
    }

    /// Takes out the extended communities that match; whether there were any.
    pub fn remove_ext_communities(&mut self, matches: impl FnMut(&ExtendedCommunity) -> bool) -> bool {
        remove(&mut self.ext_communities, matches)
    }

    /// Takes out the large communities that match; whether there were any.
    pub fn remove_large_communities(&mut self, matches: impl FnMut(&LargeCommunity) -> bool) -> bool {
        remove(&mut self.large_communities, matches)
    }

    /// Puts `asn` before the path `times` times.
    pub fn prepend(&mut self, asn: Asn, times: usize) {
        self.as_path = self.as_path.prepended(asn, times);
    }
}

impl Gathered {
    /// Nothing said yet.
    pub(crate) fn new(has_nlri: bool) -> Gathered {
        Gathered {
            attributes: PathAttributes::originated(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
            next_hop: None,
            as4_path: None,
            as4_aggregator: None,
            reach: None,
            unreach: None,
            has_nlri,
        }
    }

    /// Brings the four-octet numbers that an old speaker passed on beside the two-octet ones into place (RFC 6793
    /// section 4.2.3).
    pub(crate) fn merge_four_octet(&mut self) {
        if let Some(aggregator) = &mut self.attributes.aggregator {
            if aggregator.asn != Asn::TRANS {
                // Somebody on the way aggregated without knowing of four octets: what stands beside is older.
                return;
            }
            if let Some(as4) = self.as4_aggregator {
                *aggregator = as4;
            }
        }
        if let Some(as4) = &self.as4_path
            && let Some(merged) = self.attributes.as_path.merged_with(as4)
        {
            self.attributes.as_path = merged;
        }
    }
}
