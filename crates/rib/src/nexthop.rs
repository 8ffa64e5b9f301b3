//! Next-hop tracking: which next hops paths use, whether they can be reached, and the groups they make in the kernel.
//!
//! The table asks for a next hop to be tracked when the first usable path names it, and lets it go with the last. How it
//! is resolved by connected networks and kernel routes is the matter of who answers; by routes here, of `rib::recursion`.
//! Groups through next hops that are on no link of ours are bundles, each with a number of its own, and change together.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use siskin_net::{Family, Hop, NextHop, NextHopAnswer, NextHopGroup, Prefix, Resolution};
use smallvec::SmallVec;

use crate::slab::{Slab, Slot};
use crate::table::DestId;

/// A change of interest in a next hop.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NextHopRequest {
    /// Say how it is reached, now and whenever that changes ([`Rib::set_next_hop`](crate::Rib::set_next_hop)).
    Track(NextHop),
    /// No path uses it any more.
    Untrack(NextHop),
}

/// All routes of a group go another way from now on: their next hops are reached otherwise.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GroupMove {
    /// The group as it was handed over.
    pub from: Arc<NextHopGroup>,
    /// The same bundle's from now on.
    pub to: Arc<NextHopGroup>,
}

/// The number of a next hop.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub(crate) struct NhId(pub(crate) u32);

#[derive(Clone, Copy, Default, Debug)]
struct Entry {
    /// Attribute sets that name it.
    sets: u32,
    /// Paths in use that name it.
    users: u32,
    /// Index into `NextHopTable::details`.
    link: u32,
}

impl Slot for Entry {
    fn link(&self) -> u32 {
        self.link
    }
    fn set_link(&mut self, link: u32) {
        self.link = link;
    }
}

#[derive(Clone, Debug)]
struct Details {
    next_hop: NextHop,
    /// What the kernel's routes say.
    answer: NextHopAnswer,
    resolution: Option<Resolution>,
    /// The destination whose route says so.
    via: Option<(Family, DestId)>,
    /// Somebody was asked to track it.
    tracked: bool,
    /// And has answered.
    answered: bool,
    /// It stands in `NextHopTable::touched`.
    touched: bool,
}

/// Next hops that share the load, each with the bandwidth of its link in octets a second; 0: the load is shared equally.
pub(crate) type Ways = SmallVec<[(NhId, u64); 4]>;

/// Groups are remembered up to this many combinations of next hops.
const MAX_GROUPS: usize = 4096;

/// All next hops that attribute sets name.
#[derive(Debug)]
pub(crate) struct NextHopTable {
    entries: Slab<Entry>,
    details: Vec<Option<Details>>,
    index: HashMap<NextHop, NhId, FixedState>,
    touched: Vec<NhId>,
    groups: HashMap<Ways, Option<Arc<NextHopGroup>>, FixedState>,
    /// Groups that became other ones since they were last taken.
    moved: Vec<GroupMove>,
    /// The newest number of a bundle.
    bundle: u32,
    /// Tracked next hops that are on no link of ours, so that routes here may lead to them: family and bits of the address.
    open: BTreeSet<(Family, u128, NhId)>,
}

impl NextHopTable {
    pub(crate) fn new(hash_seed: u64) -> NextHopTable {
        let state = || FixedState::with_seed(hash_seed);
        NextHopTable {
            entries: Slab::default(),
            details: Vec::new(),
            index: HashMap::with_hasher(state()),
            touched: Vec::new(),
            groups: HashMap::with_hasher(state()),
            moved: Vec::new(),
            bundle: 0,
            open: BTreeSet::new(),
        }
    }

    /// The number of a next hop that one more attribute set names.
    pub(crate) fn acquire(&mut self, next_hop: NextHop) -> NhId {
        if let Some(id) = self.index.get(&next_hop) {
            self.entries.get_mut(id.0).sets += 1;
            return *id;
        }
        let id = NhId(self.entries.insert(Entry { sets: 1, users: 0, link: 0 }));
        let slot = id.0 as usize;
        if slot >= self.details.len() {
            self.details.resize(slot + 1, None);
        }
        // Nowhere is always reached, and nobody need be asked the way.
        let resolution = next_hop.is_discard().then(Resolution::default);
        self.details[slot] = Some(Details {
            next_hop,
            answer: NextHopAnswer::default(),
            resolution,
            via: None,
            tracked: false,
            answered: false,
            touched: false,
        });
        self.index.insert(next_hop, id);
        id
    }

    /// One attribute set less names it.
    pub(crate) fn dismiss(&mut self, id: NhId) {
        self.entries.get_mut(id.0).sets -= 1;
        self.forget_unused(id);
    }

    /// One more path in use names it.
    #[inline]
    pub(crate) fn add_user(&mut self, id: NhId) {
        let entry = self.entries.get_mut(id.0);
        entry.users += 1;
        if entry.users == 1 {
            self.touch(id);
        }
    }

    /// One path in use less names it.
    #[inline]
    pub(crate) fn remove_user(&mut self, id: NhId) {
        let entry = self.entries.get_mut(id.0);
        entry.users -= 1;
        if entry.users == 0 {
            self.touch(id);
        }
    }

    fn touch(&mut self, id: NhId) {
        if let Some(Some(details)) = self.details.get_mut(id.0 as usize)
            && !details.touched
            && !details.next_hop.is_discard()
        {
            details.touched = true;
            self.touched.push(id);
        }
    }

    /// Next hops live as long as a set names them, somebody tracks them, or a request about them is due.
    fn forget_unused(&mut self, id: NhId) {
        let unused = self.entries.get(id.0).sets == 0
            && self.details(id).is_some_and(|details| !details.tracked && !details.touched);
        if unused && let Some(details) = self.details.get_mut(id.0 as usize).and_then(Option::take) {
            self.index.remove(&details.next_hop);
            self.entries.remove(id.0);
            self.groups.clear();
            self.give_back();
        }
    }

    /// A peer that named a million next hops shall not be remembered for it.
    fn give_back(&mut self) {
        let end = self.entries.end() as usize;
        if self.details.len() > 1024 && end < self.details.len() / 8 {
            self.details.truncate(end);
            self.details.shrink_to_fit();
            self.index.shrink_to_fit();
        }
    }

    fn details(&self, id: NhId) -> Option<&Details> {
        self.details.get(id.0 as usize)?.as_ref()
    }

    /// The changes of interest since the last call.
    pub(crate) fn take_requests(&mut self) -> Vec<NextHopRequest> {
        let mut requests = Vec::new();
        for id in std::mem::take(&mut self.touched) {
            let used = self.entries.get(id.0).users > 0;
            let Some(Some(details)) = self.details.get_mut(id.0 as usize) else { continue };
            details.touched = false;
            if used != details.tracked {
                details.tracked = used;
                details.answered = false;
                requests.push(if used {
                    NextHopRequest::Track(details.next_hop)
                } else {
                    // The answer would grow old unseen.
                    (details.answer, details.resolution, details.via) = Default::default();
                    let host = Prefix::host(details.next_hop.address);
                    self.open.remove(&(host.family(), host.bits(), id));
                    NextHopRequest::Untrack(details.next_hop)
                });
            }
            self.forget_unused(id);
        }
        requests
    }

    /// Notes what the kernel's routes say of a tracked next hop; its number if that is news.
    pub(crate) fn set(&mut self, next_hop: NextHop, answer: NextHopAnswer) -> Option<NhId> {
        let id = *self.index.get(&next_hop)?;
        let details = self.details.get_mut(id.0 as usize)?.as_mut()?;
        if !details.tracked || details.answered && details.answer == answer {
            return None;
        }
        details.answered = true;
        details.answer = answer;
        let host = Prefix::host(next_hop.address);
        let key = (host.family(), host.bits(), id);
        if details.is_open() {
            self.open.insert(key)
        } else {
            self.open.remove(&key)
        };
        Some(id)
    }

    /// Notes where a next hop leads, by all that is known; true if it did not before.
    pub(crate) fn update(
        &mut self,
        id: NhId,
        resolution: Option<Resolution>,
        via: Option<(Family, DestId)>,
    ) -> bool {
        let Some(details) = self.details.get_mut(id.0 as usize).and_then(Option::as_mut) else {
            return false;
        };
        if !details.tracked || (&details.resolution, details.via) == (&resolution, via) {
            return false;
        }
        (details.resolution, details.via) = (resolution, via);
        self.regroup(id);
        true
    }

    /// What the kernel's routes say of a next hop.
    pub(crate) fn answer(&self, id: NhId) -> Option<&Resolution> {
        self.details(id)?.answer.found.as_ref()
    }

    /// The destination by whose route a next hop is reached.
    #[inline]
    pub(crate) fn via(&self, id: NhId) -> Option<(Family, DestId)> {
        self.details(id)?.via
    }

    /// The address of a next hop that routes here may lead to, and how long the kernel's match is.
    pub(crate) fn open(&self, id: NhId) -> Option<(IpAddr, Option<u8>)> {
        let details = self.details(id).filter(|details| details.tracked && details.answered)?;
        details.is_open().then_some((details.next_hop.address, details.answer.matched))
    }

    /// Whether a next hop is in use and nobody has said how it is reached.
    pub(crate) fn is_unanswered(&self, id: NhId) -> bool {
        self.details(id).is_some_and(|d| !d.next_hop.is_discard() && (d.touched || d.tracked && !d.answered))
    }

    /// Whether routes here matter to no next hop.
    #[inline]
    pub(crate) fn all_found(&self) -> bool {
        self.open.is_empty()
    }

    /// The next hops within a prefix that routes here may lead to.
    pub(crate) fn within(&self, prefix: Prefix) -> impl Iterator<Item = NhId> + '_ {
        let rest = u128::MAX.checked_shr(prefix.len().into()).unwrap_or(0);
        let first = (prefix.family(), prefix.bits(), NhId(0));
        let last = (prefix.family(), prefix.bits() | rest, NhId(u32::MAX));
        self.open.range(first..=last).map(|(_, _, id)| *id)
    }

    /// Every next hop that is tracked, where it leads, and by which destination.
    pub(crate) fn tracked(
        &self,
    ) -> impl Iterator<Item = (NextHop, Option<&Resolution>, Option<(Family, DestId)>)> {
        let tracked = self.details.iter().flatten().filter(|details| details.tracked);
        tracked.map(|details| (details.next_hop, details.resolution.as_ref(), details.via))
    }

    /// Whether nobody is to be asked, and all who were have answered.
    pub(crate) fn is_settled(&self) -> bool {
        let waits = |details: &Details| details.tracked && !details.answered;
        self.touched.is_empty() && !self.details.iter().flatten().any(waits)
    }

    /// The address of a next hop.
    #[cfg(test)]
    pub(crate) fn next_hop(&self, id: NhId) -> NextHop {
        self.details(id).map_or(NextHop::new(std::net::Ipv4Addr::UNSPECIFIED.into()), |d| d.next_hop)
    }

    /// What is known of a next hop; `None`: it cannot be reached, or nobody answered yet.
    pub(crate) fn resolution(&self, id: NhId) -> Option<&Resolution> {
        self.details(id)?.resolution.as_ref()
    }

    /// Whether packets are to be dropped.
    pub(crate) fn is_discard(&self, id: NhId) -> bool {
        self.details(id).is_some_and(|details| details.next_hop.is_discard())
    }

    /// The cost to reach a next hop; `None` as above.
    #[inline]
    pub(crate) fn metric(&self, id: NhId) -> Option<u32> {
        self.resolution(id).map(|r| r.metric)
    }

    /// The group made of the hops of several next hops; `None` where there is no hop (nothing to install).
    pub(crate) fn group(&mut self, ways: &[(NhId, u64)]) -> Option<Arc<NextHopGroup>> {
        if let Some(group) = self.groups.get(ways) {
            return group.clone();
        }
        // Ways over links of ours change with their links; of all others what leads to them may.
        let bundled = ways.iter().any(|(id, _)| self.open(*id).is_some());
        if bundled {
            self.bundle = self.bundle.wrapping_add(1).max(1);
        }
        let bundle = if bundled { self.bundle } else { 0 };
        let group = self.build_group(ways).map(|group| Arc::new(NextHopGroup { bundle, ..group }));
        if self.groups.len() >= MAX_GROUPS {
            self.groups.clear();
        }
        self.groups.insert(SmallVec::from_slice(ways), group.clone());
        group
    }

    /// Makes the groups anew in which a next hop has a part, each within its bundle.
    fn regroup(&mut self, id: NhId) {
        let concerned = |ways: &&Ways| ways.iter().any(|(way, _)| *way == id);
        let ways: Vec<Ways> = self.groups.keys().filter(concerned).cloned().collect();
        for ways in ways {
            let Some(Some(from)) = self.groups.remove(&ways) else { continue };
            if from.bundle == 0 {
                continue;
            }
            if let Some(group) = self.build_group(&ways) {
                let to = Arc::new(NextHopGroup { bundle: from.bundle, ..group });
                if to != from {
                    // Nobody takes them; what each route is told later says the same.
                    if self.moved.len() >= MAX_GROUPS {
                        self.moved.clear();
                    }
                    self.moved.push(GroupMove { from, to: to.clone() });
                }
                self.groups.insert(ways, Some(to));
            }
        }
    }

    /// The groups that became other ones since the last call.
    pub(crate) fn take_moved(&mut self) -> Vec<GroupMove> {
        std::mem::take(&mut self.moved)
    }

    /// As [`NextHopTable::group`], without remembering it.
    pub(crate) fn build_group(&self, ways: &[(NhId, u64)]) -> Option<NextHopGroup> {
        let known = ways.iter().filter_map(|(id, bandwidth)| Some((self.resolution(*id)?, *bandwidth)));
        NextHopGroup::from_hops(share(&known.collect::<SmallVec<[_; 4]>>()))
    }

    /// How many next hops are known.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Bytes on the heap.
    pub(crate) fn memory(&self) -> usize {
        self.entries.memory()
            + self.details.capacity() * size_of::<Option<Details>>()
            + self.index.allocation_size()
            + self.groups.allocation_size()
    }
}

impl Details {
    /// Whether routes here may lead to it: it is on no link of ours.
    fn is_open(&self) -> bool {
        let link_local =
            matches!(self.next_hop.address, IpAddr::V6(address) if address.is_unicast_link_local());
        self.tracked
            && !link_local
            && !self.next_hop.is_discard()
            && !self.next_hop.address.is_unspecified()
            && self.answer.matched != NextHopAnswer::FINAL
    }
}

/// What stands for a bandwidth where none is told, and divides well.
const EQUAL: u64 = 720_720;

/// The hops of next hops that share the load, each next hop with its bandwidth; where none is told (0) all parts are equal.
/// A next hop that itself has several ways shares its part out among them.
pub(crate) fn share(known: &[(&Resolution, u64)]) -> Vec<Hop> {
    if known.iter().any(|(_, bandwidth)| *bandwidth != 0) {
        return weighted(known.iter().copied());
    }
    if known.len() > 1 && known.iter().any(|(way, _)| way.hops.len() > 1) {
        return weighted(known.iter().map(|(way, _)| (*way, EQUAL)));
    }
    let mut hops: Vec<Hop> = known.iter().flat_map(|(way, _)| way.hops.iter().copied()).collect();
    hops.sort_unstable();
    hops.dedup();
    hops
}

/// Hops with weights in proportion to the bandwidth of their links: exactly where that can be, else as near as 1 to 256
/// allow. A next hop that itself has several ways shares its bandwidth out among them.
fn weighted<'a>(known: impl Iterator<Item = (&'a Resolution, u64)>) -> Vec<Hop> {
    let mut shares: Vec<(Hop, u128)> = Vec::new();
    for (resolution, bandwidth) in known {
        let whole: u128 = resolution.hops.iter().map(|hop| u128::from(hop.weight)).sum();
        for hop in &resolution.hops {
            let share = u128::from(bandwidth) * u128::from(hop.weight) / whole.max(1);
            match shares.iter_mut().find(|(other, _)| Hop { weight: hop.weight, ..*other } == *hop) {
                Some((_, sum)) => *sum += share,
                None => shares.push((*hop, share)),
            }
        }
    }
    let divisor = shares.iter().fold(0, |divisor, (_, share)| gcd(divisor, *share)).max(1);
    let largest = shares.iter().map(|(_, share)| share / divisor).max().unwrap_or(1).max(MAX_WEIGHT);
    let weight = |share: u128| ((share / divisor * MAX_WEIGHT + largest / 2) / largest).max(1);
    let narrow = |weight: u128| u16::try_from(weight).unwrap_or(u16::MAX);
    shares.into_iter().map(|(hop, share)| Hop { weight: narrow(weight(share)), ..hop }).collect()
}

/// The largest weight a hop may have.
const MAX_WEIGHT: u128 = 256;

fn gcd(a: u128, b: u128) -> u128 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next_hop(n: u8) -> NextHop {
        NextHop::new([192, 0, 2, n].into())
    }

    #[test]
    fn interest_is_reported_once_and_cancels_out() {
        let mut table = NextHopTable::new(1);
        let id = table.acquire(next_hop(1));
        table.add_user(id);
        table.add_user(id);
        assert_eq!(table.take_requests(), [NextHopRequest::Track(next_hop(1))]);
        table.remove_user(id);
        table.remove_user(id);
        table.add_user(id);
        assert_eq!(table.take_requests(), [], "gone and back before anybody looked");
        table.remove_user(id);
        table.dismiss(id);
        assert_eq!(table.take_requests(), [NextHopRequest::Untrack(next_hop(1))]);
        assert_eq!(table.len(), 0);
    }

    /// The weights of as many links, each by a gateway of its own.
    fn weights(bandwidths: &[u64]) -> Vec<u16> {
        let hop = |n: usize| {
            let gateway = std::net::IpAddr::from([192, 0, 2, u8::try_from(n).unwrap()]);
            Hop { gateway: Some(gateway), interface: 1, weight: 1, onlink: false }
        };
        let resolved: Vec<Resolution> = (0..bandwidths.len())
            .map(|n| Resolution { metric: 0, hops: smallvec::smallvec![hop(n)] })
            .collect();
        weighted(resolved.iter().zip(bandwidths.iter().copied())).iter().map(|hop| hop.weight).collect()
    }

    #[test]
    fn weights_are_in_proportion_to_bandwidth() {
        assert_eq!(weights(&[1_250_000_000, 1_250_000_000]), [1, 1]);
        assert_eq!(weights(&[1_250_000_000, 5_000_000_000]), [1, 4]);
        assert_eq!(weights(&[3_000, 9_000, 6_000]), [1, 3, 2]);
        assert_eq!(weights(&[1, u64::MAX]), [1, 256], "as near as there is");
        assert_eq!(weights(&[1_000, 3_001]), [85, 256]);
        let gateway = std::net::IpAddr::from([192, 0, 2, 1]);
        let hop = |interface, weight| Hop { gateway: Some(gateway), interface, weight, onlink: false };
        let two = Resolution { metric: 0, hops: smallvec::smallvec![hop(1, 1), hop(2, 1)] };
        let one = Resolution { metric: 0, hops: smallvec::smallvec![hop(3, 1)] };
        let shared = weighted([(&two, 10), (&one, 10)].into_iter());
        assert_eq!(shared, [hop(1, 1), hop(2, 1), hop(3, 2)], "a next hop with two ways");
        let merged = weighted([(&one, 10), (&one, 20), (&two, 20)].into_iter());
        assert_eq!(merged, [hop(3, 3), hop(1, 1), hop(2, 1)], "two next hops that are one way");
    }

    #[test]
    fn an_answer_nobody_asked_for_is_ignored() {
        let mut table = NextHopTable::new(1);
        let answer = NextHopAnswer::from(Some(Resolution { metric: 5, hops: SmallVec::new() }));
        assert_eq!(table.set(next_hop(1), answer.clone()), None);
        let id = table.acquire(next_hop(1));
        assert_eq!(table.set(next_hop(1), answer.clone()), None);
        table.add_user(id);
        table.take_requests();
        assert_eq!(table.set(next_hop(1), answer.clone()), Some(id));
        assert_eq!(table.set(next_hop(1), answer.clone()), None, "no news");
        assert!(table.update(id, answer.found.clone(), None) && !table.update(id, answer.found, None));
        assert_eq!(table.metric(id), Some(5));
    }
}
