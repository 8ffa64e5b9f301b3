//! What a peer's task prepares of an attribute set, so that the RIB thread only compares and copies.

use std::hash::BuildHasher;

use foldhash::fast::FixedState;
use siskin_bgp::PathAttributes;
use siskin_bgp::attr::compact;
use siskin_net::NextHop;

use super::DecisionKey;
use crate::nexthop::NhId;

/// LOCAL_PREF of a path that has none (RFC 4271 section 9.1.1 leaves it open; everybody uses 100).
pub(crate) const DEFAULT_LOCAL_PREF: u32 = 100;

/// The numbers of the decision, with the next hop by value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Summary {
    pub(crate) next_hop: NextHop,
    local_pref: u32,
    med: u32,
    neighbor_as: u32,
    path_len: u16,
    origin: u8,
    flags: u8,
}

impl Summary {
    fn of(attributes: &PathAttributes) -> Summary {
        let path = &attributes.as_path;
        let rare = attributes.weight != 0
            || attributes.originator_id.is_some()
            || !attributes.cluster_list.is_empty();
        let bandwidth = attributes.link_bandwidth().is_some();
        Summary {
            next_hop: attributes.next_hop,
            local_pref: attributes.local_pref.unwrap_or(DEFAULT_LOCAL_PREF),
            med: attributes.med.unwrap_or(0),
            neighbor_as: path.neighbor_as().map_or(0, |a| a.0),
            path_len: u16::try_from(path.decision_len()).unwrap_or(u16::MAX),
            origin: attributes.origin as u8,
            flags: if rare { DecisionKey::RARE } else { 0 }
                | if bandwidth { DecisionKey::BANDWIDTH } else { 0 }
                | if attributes.table != 0 { DecisionKey::TABLE } else { 0 },
        }
    }

    pub(super) fn key(&self, next_hop: NhId) -> DecisionKey {
        DecisionKey {
            local_pref: self.local_pref,
            med: self.med,
            neighbor_as: self.neighbor_as,
            next_hop,
            path_len: self.path_len,
            origin: self.origin,
            flags: self.flags,
        }
    }
}

/// The hash and the summary of a compact set.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Encoded {
    pub(crate) hash: u32,
    pub(crate) summary: Summary,
}

/// Appends the compact form of `attributes` to `out`, and says what the interner needs beside it. The same seed must
/// be used for all sets of one RIB.
#[expect(clippy::cast_possible_truncation, reason = "half of the hash is kept")]
pub(crate) fn encode(attributes: &PathAttributes, hash_seed: u64, out: &mut Vec<u8>) -> Encoded {
    let start = out.len();
    compact::encode(attributes, out);
    let hash = FixedState::with_seed(hash_seed).hash_one(&out[start..]) as u32;
    Encoded { hash, summary: Summary::of(attributes) }
}
