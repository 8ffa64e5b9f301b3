//! The decision process (RFC 4271 section 9.1.2.2, RFC 4456 section 9, RFC 5004 left out): which path of a destination
//! is the best, which share the load with it, and why the others do not.
//!
//! MED compares only paths of one neighbouring AS and is therefore no order of paths: each step takes out of the field
//! what it beats, so the outcome does not depend on the order in which paths came. `explain` runs the same code.

use std::cmp::Ordering;
use std::net::IpAddr;

use siskin_net::PeerId;

use crate::attrs::DecisionKey;
use crate::config::Multipath;
use crate::table::PathId;

/// A step of the decision, in order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Step {
    /// Higher local weight.
    Weight,
    /// Higher LOCAL_PREF.
    LocalPref,
    /// A route of our own before a learned one.
    LocalOrigin,
    /// Shorter AS_PATH.
    AsPathLength,
    /// Lower ORIGIN.
    Origin,
    /// Lower MULTI_EXIT_DISC, among paths of one neighbouring AS; a missing one counts 0.
    Med,
    /// From an external peer before an internal one.
    External,
    /// Lower cost to the next hop. Paths that are equal up to here may share the load.
    IgpMetric,
    /// Lower ORIGINATOR_ID, or BGP Identifier of the peer where there is none.
    RouterId,
    /// Shorter CLUSTER_LIST.
    ClusterListLength,
    /// Lower address of the peer; between sources without one the lower number.
    PeerAddress,
}

/// Steps a path must not lose to share the load.
const PREFERENCE: [Step; 8] = [
    Step::Weight,
    Step::LocalPref,
    Step::LocalOrigin,
    Step::AsPathLength,
    Step::Origin,
    Step::Med,
    Step::External,
    Step::IgpMetric,
];
/// Steps that choose one of equally good paths.
const TIE_BREAK: [Step; 3] = [Step::RouterId, Step::ClusterListLength, Step::PeerAddress];

/// Why a path that is as good as the best does not share the load.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum NotShared {
    /// It leads through another neighbouring AS than the best, and `multipath` is `same-as`.
    OtherNeighborAs,
    /// It is for another table of the kernel.
    OtherTable,
    /// `max-paths` others share it already.
    MaxPaths,
    /// It, or the best, is not forwarded to next hops.
    NotForwarded,
}

/// A usable path, with what the steps compare.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Candidate {
    pub(crate) path: PathId,
    pub(crate) peer: PeerId,
    pub(crate) key: DecisionKey,
    pub(crate) weight: u32,
    /// The kernel's table it is for.
    pub(crate) table: u32,
    /// It is a route of our own.
    pub(crate) local: bool,
    pub(crate) external: bool,
    /// The kernel sends its packets to next hops.
    pub(crate) forwarded: bool,
    pub(crate) metric: u32,
    /// ORIGINATOR_ID, or the sender's identifier.
    pub(crate) identifier: u32,
    pub(crate) cluster_list_len: u32,
    pub(crate) address: Option<IpAddr>,
}

impl Step {
    /// The value a step compares: the lower one wins.
    #[inline]
    fn rank(self, candidate: &Candidate) -> u32 {
        match self {
            Step::Weight => u32::MAX - candidate.weight,
            Step::LocalPref => u32::MAX - candidate.key.local_pref,
            Step::LocalOrigin => u32::from(!candidate.local),
            Step::AsPathLength => u32::from(candidate.key.path_len),
            Step::Origin => u32::from(candidate.key.origin),
            Step::Med => candidate.key.med,
            Step::External => u32::from(!candidate.external && !candidate.local),
            Step::IgpMetric => candidate.metric,
            Step::RouterId => candidate.identifier,
            Step::ClusterListLength => candidate.cluster_list_len,
            // Wider than all others, and compared by `order` alone.
            Step::PeerAddress => 0,
        }
    }

    /// Which of two candidates a step prefers: the lesser.
    fn order(self, a: &Candidate, b: &Candidate) -> Ordering {
        let address = |candidate: &Candidate| match candidate.address {
            None => (0, candidate.peer),
            Some(IpAddr::V4(address)) => (u128::from(address.to_bits()), candidate.peer),
            Some(IpAddr::V6(address)) => (address.to_bits(), candidate.peer),
        };
        match self {
            Step::PeerAddress => address(a).cmp(&address(b)),
            step => step.rank(a).cmp(&step.rank(b)),
        }
    }

    /// The value a step compares, as people read it.
    pub(crate) fn value(self, candidate: &Candidate) -> String {
        match self {
            Step::Weight => candidate.weight.to_string(),
            Step::LocalPref => candidate.key.local_pref.to_string(),
            Step::LocalOrigin => (if candidate.local { "own" } else { "learned" }).to_owned(),
            Step::AsPathLength => candidate.key.path_len.to_string(),
            Step::Origin => {
                ["igp", "egp"].get(usize::from(candidate.key.origin)).unwrap_or(&"incomplete").to_string()
            }
            Step::Med => candidate.key.med.to_string(),
            Step::External => {
                (if candidate.external || candidate.local { "external" } else { "internal" }).to_owned()
            }
            Step::IgpMetric => candidate.metric.to_string(),
            Step::RouterId => siskin_net::BgpIdentifier(candidate.identifier).to_string(),
            Step::ClusterListLength => candidate.cluster_list_len.to_string(),
            Step::PeerAddress => match candidate.address {
                Some(address) => address.to_string(),
                None => format!("source {}", candidate.peer.0),
            },
        }
    }
}

/// One who is told why paths lose.
pub(crate) trait Observer {
    /// `loser` was beaten at `step`.
    fn lost(&mut self, _loser: &Candidate, _step: Step, _winner: &Candidate) {}
    /// `candidate` is as good as the best up to the cost of its next hop, and still does not share the load.
    fn not_shared(&mut self, _candidate: &Candidate, _why: NotShared) {}
}

/// Nobody wants to know.
impl Observer for () {}

/// What decides which paths share the load.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sharing {
    pub(crate) multipath: Multipath,
    pub(crate) max_paths: u16,
}

/// Brings the candidates into order: the best first, behind it those that share the load with it. Returns how many
/// that are together.
pub(crate) fn decide(candidates: &mut [Candidate], sharing: Sharing, observer: &mut impl Observer) -> usize {
    let mut alive = candidates.len();
    if alive <= 1 {
        return alive;
    }
    for step in PREFERENCE {
        alive = if step == Step::Med {
            eliminate_by_med(candidates, alive, observer)
        } else {
            eliminate(candidates, alive, step, observer)
        };
        if alive == 1 {
            return 1;
        }
    }
    break_ties(&mut candidates[..alive], observer);
    share(&mut candidates[..alive], sharing, observer)
}

/// Moves what `step` beats behind the first `alive`; returns how many are left.
fn eliminate(
    candidates: &mut [Candidate],
    mut alive: usize,
    step: Step,
    observer: &mut impl Observer,
) -> usize {
    let ranks = candidates[..alive].iter().map(|candidate| step.rank(candidate));
    let Some((best, worst)) = ranks.fold(None, |range: Option<(u32, u32)>, rank| {
        Some(range.map_or((rank, rank), |(best, worst)| (best.min(rank), worst.max(rank))))
    }) else {
        return 0;
    };
    if best == worst {
        return alive;
    }
    let Some(winner) = candidates[..alive].iter().find(|c| step.rank(c) == best).copied() else { return 0 };
    let mut at = 0;
    while at < alive {
        if step.rank(&candidates[at]) == best {
            at += 1;
        } else {
            observer.lost(&candidates[at], step, &winner);
            alive -= 1;
            candidates.swap(at, alive);
        }
    }
    alive
}

/// As [`eliminate`], each neighbouring AS for itself.
fn eliminate_by_med(candidates: &mut [Candidate], mut alive: usize, observer: &mut impl Observer) -> usize {
    let mut at = 0;
    while at < alive {
        let (own, med) = (candidates[at].key.neighbor_as, candidates[at].key.med);
        // The lowest of its AS is never taken out, so the order of elimination does not matter.
        let winner = candidates[..alive]
            .iter()
            .filter(|other| other.key.neighbor_as == own && other.key.med < med)
            .min_by_key(|other| other.key.med);
        match winner {
            Some(winner) => {
                observer.lost(&candidates[at], Step::Med, winner);
                alive -= 1;
                candidates.swap(at, alive);
            }
            None => at += 1,
        }
    }
    alive
}

fn break_ties(candidates: &mut [Candidate], observer: &mut impl Observer) {
    candidates.sort_unstable_by(|a, b| {
        TIE_BREAK.iter().map(|step| step.order(a, b)).find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
    });
    if let Some((best, others)) = candidates.split_first() {
        for other in others {
            let step = TIE_BREAK.into_iter().find(|step| step.order(best, other).is_ne());
            observer.lost(other, step.unwrap_or(Step::PeerAddress), best);
        }
    }
}

/// Of equally good candidates, in order of preference, moves those that share the load to the front.
fn share(candidates: &mut [Candidate], sharing: Sharing, observer: &mut impl Observer) -> usize {
    let mut selected = 1;
    for at in 1..candidates.len() {
        let (best, own) = (&candidates[0], &candidates[at]);
        let refusal = if !best.forwarded || !own.forwarded {
            Some(NotShared::NotForwarded)
        } else if sharing.multipath == Multipath::SameAs && own.key.neighbor_as != best.key.neighbor_as {
            Some(NotShared::OtherNeighborAs)
        } else if own.table != best.table {
            Some(NotShared::OtherTable)
        } else if selected >= usize::from(sharing.max_paths) {
            Some(NotShared::MaxPaths)
        } else {
            None
        };
        match refusal {
            Some(why) => observer.not_shared(own, why),
            None => {
                candidates.swap(selected, at);
                selected += 1;
            }
        }
    }
    selected
}

#[cfg(test)]
mod tests;
