//! The ways routes go: next-hop groups with their kernel objects, shared by all routes and counted by them.
//!
//! Each distinct hop is one kernel object, each set of several hops a kernel group of those. A set of one hop needs no
//! group, unless it is a bundle's: that may get other hops, and with it all its routes. The kernel takes objects away silently when their link goes down, and edits the groups; [`Objects::verify`]
//! finds that out, [`Objects::heal`] makes them anew. Without object support everything is written inline, and the
//! same bookkeeping says which hops are usable.

mod failover;
mod find;
mod make;
mod remove;
mod retarget;

use std::hash::BuildHasher;
use std::sync::Arc;

use foldhash::fast::RandomState;
use foldhash::{HashMap, HashSet};
use hashbrown::HashTable;
use siskin_net::{Family, GroupTarget, Hop, IfIndex, NextHopGroup};
use smallvec::SmallVec;

pub(super) use remove::Stand;

use super::ResilientGroups;
use super::table::GroupId;
use crate::error::KernelError;
use crate::wire::nexthop::SingleHop;
use crate::wire::route::Way;
use crate::wire::{family_of_address, route};

/// Names a hop in [`Objects::hops`].
type HopId = u32;

#[derive(Debug)]
struct HopObject {
    hop: SingleHop,
    id: u32,
    /// The groups that use it.
    refs: u32,
    present: bool,
    error: Option<KernelError>,
}

#[derive(Debug)]
struct Group {
    group: Arc<NextHopGroup>,
    /// The routes' family, where the group has a hop without gateway: such a hop's object must be of it.
    family: Option<Family>,
    /// Cells that want it or have it installed.
    refs: u32,
    /// Cells that have it installed.
    installed: u32,
    /// Of these, cells that wait to be removed and want nothing instead.
    leaving: u32,
    /// Distinct hops with their weights, at most `max_paths`.
    members: SmallVec<[(HopId, u16); 2]>,
    /// The id of its kernel group; 0 where one hop needs none.
    id: u32,
    /// The members the kernel's group has now.
    present: SmallVec<[HopId; 2]>,
    /// Members to be kept out of the kernel's group for now: see [`Objects::fail`].
    failed: SmallVec<[HopId; 2]>,
    /// Inline form without objects: the hops whose link is up.
    inline: SmallVec<[Hop; 2]>,
    /// Why the kernel refused the group.
    error: Option<KernelError>,
}

impl Group {
    /// The only hop of a group that needs no kernel group.
    fn lone(&self) -> Option<HopId> {
        match self.members.as_slice() {
            [(only, _)] if self.group.bundle == 0 => Some(*only),
            _ => None,
        }
    }

    /// Whether all its members are on these interfaces.
    fn all_on(&self, interfaces: &HashSet<IfIndex>, hops: &[Option<HopObject>]) -> bool {
        let hop = |id: HopId| hops.get(id as usize).and_then(Option::as_ref);
        let on = |id: HopId| hop(id).is_some_and(|h| interfaces.contains(&h.hop.interface));
        !interfaces.is_empty() && self.members.iter().all(|(id, _)| on(*id))
    }

    /// The object of a member that belongs in the kernel's group now.
    fn alive<'a>(&self, id: HopId, hops: &'a [Option<HopObject>]) -> Option<&'a HopObject> {
        let hop = hops.get(id as usize)?.as_ref()?;
        (hop.present && !self.failed.contains(&id)).then_some(hop)
    }
}

/// A next-hop object of ours, for display.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NextHopObject {
    /// Its kernel id.
    pub id: u32,
    /// The hops it leads to: one, or those of the group.
    pub hops: SmallVec<[Hop; 2]>,
    /// Of the hops, those that the kernel uses now (a hop whose link is down, or whose gateway failed, drops out).
    pub active: usize,
    /// How many routes use it, wanted and installed counted once each; of a single hop, how many groups.
    pub refs: u32,
    /// Whether it is a group.
    pub group: bool,
}

/// All groups and hops.
#[derive(Debug)]
pub(super) struct Objects {
    /// Kernel objects are used.
    pub(super) enabled: bool,
    /// Groups are resilient.
    pub(super) resilient: Option<ResilientGroups>,
    /// Some may have vanished or been changed: ask the kernel.
    pub(super) suspect: bool,
    /// Some group lacks a member that might be made now.
    pub(super) incomplete: bool,
    base: u32,
    next: u32,
    max_paths: usize,
    groups: Vec<Option<Group>>,
    free_groups: Vec<GroupId>,
    index: HashTable<GroupId>,
    hasher: RandomState,
    hops: Vec<Option<HopObject>>,
    free_hops: Vec<HopId>,
    hop_index: HashMap<SingleHop, HopId>,
    /// How many hops use an interface.
    interfaces: HashMap<IfIndex, u32>,
    down: HashSet<IfIndex>,
    /// Kernel ids that are taken: ours, and strangers' in our range.
    taken: HashSet<u32>,
    /// Objects of our protocol that we have no use for.
    surplus: Vec<u32>,
    garbage: Vec<GroupId>,
    /// Ids of ours that others deleted: whatever stands there now, the routes went.
    pub(super) struck: HashSet<u32>,
    /// Interfaces that went down since the kernel was last asked: their objects went, and routes with them, though they
    /// may have been made anew since.
    fallen: HashSet<IfIndex>,
    /// Groups whose routes the kernel may have dropped although their object is there.
    pub(super) doubtful: HashSet<GroupId>,
    /// Groups that all their many routes were about to leave when last counted: see [`Objects::drop_routes`].
    emptied: Vec<GroupId>,
    /// The last group of each family: most changes in a row go the same way.
    last: [GroupId; 2],
}

impl Objects {
    pub(super) fn new(enabled: bool, base: u32, max_paths: u16) -> Objects {
        Objects {
            enabled,
            resilient: None,
            suspect: false,
            incomplete: false,
            base,
            next: 0,
            max_paths: usize::from(max_paths.max(1)),
            groups: Vec::new(),
            free_groups: Vec::new(),
            index: HashTable::new(),
            hasher: RandomState::default(),
            hops: Vec::new(),
            free_hops: Vec::new(),
            hop_index: HashMap::default(),
            interfaces: HashMap::default(),
            down: HashSet::default(),
            taken: HashSet::default(),
            surplus: Vec::new(),
            garbage: Vec::new(),
            struck: HashSet::default(),
            fallen: HashSet::default(),
            doubtful: HashSet::default(),
            emptied: Vec::new(),
            last: [GroupId::MAX; 2],
        }
    }

    fn group(&self, id: GroupId) -> Option<&Group> {
        self.groups.get(id as usize)?.as_ref()
    }

    fn hop(&self, id: HopId) -> Option<&HopObject> {
        self.hops.get(id as usize)?.as_ref()
    }

    fn hop_mut(&mut self, id: HopId) -> Option<&mut HopObject> {
        self.hops.get_mut(id as usize)?.as_mut()
    }

    /// The value a group stands for.
    pub(super) fn value(&self, id: GroupId) -> Option<Arc<NextHopGroup>> {
        self.group(id).map(|g| g.group.clone())
    }

    /// The group of a value for routes of `family`. It lives as long as it is counted; a new one must be counted soon
    /// ([`Objects::count`]), or the next clean-up takes it.
    pub(super) fn intern(&mut self, group: &Arc<NextHopGroup>, family: Family) -> GroupId {
        let last = self.last[family as usize];
        if self.group(last).is_some_and(|g| Arc::ptr_eq(&g.group, group)) {
            return last;
        }
        let variant = group.hops().iter().any(|h| h.gateway.is_none()).then_some(family);
        let hash = self.hasher.hash_one((group, variant));
        let same = |id: &GroupId| self.group(*id).is_some_and(|g| g.family == variant && g.group == *group);
        let id = match self.index.find(hash, same) {
            Some(id) => *id,
            None => self.insert(group.clone(), variant, family),
        };
        self.last[family as usize] = id;
        id
    }

    fn insert(&mut self, group: Arc<NextHopGroup>, variant: Option<Family>, family: Family) -> GroupId {
        let members = self.members_of(&group, family);
        let group = Group {
            group,
            family: variant,
            refs: 0,
            installed: 0,
            leaving: 0,
            members,
            id: 0,
            present: SmallVec::new(),
            failed: SmallVec::new(),
            inline: SmallVec::new(),
            error: None,
        };
        let id = match self.free_groups.pop() {
            Some(id) => id,
            None => {
                self.groups.push(None);
                GroupId::try_from(self.groups.len() - 1).unwrap_or(GroupId::MAX)
            }
        };
        if let Some(slot) = self.groups.get_mut(id as usize) {
            *slot = Some(group);
        }
        self.remember_index(id);
        self.garbage.push(id);
        self.refresh_inline(id);
        id
    }

    /// Lets a group be found by its value.
    fn remember_index(&mut self, id: GroupId) {
        let (groups, hasher) = (&self.groups, &self.hasher);
        let hash = |id: &GroupId| {
            let group = groups.get(*id as usize).and_then(Option::as_ref);
            group.map_or(0, |g| hasher.hash_one((&g.group, g.family)))
        };
        self.index.insert_unique(hash(&id), id, hash);
    }

    /// Lets a group be found no more.
    fn forget_index(&mut self, id: GroupId) {
        let Some(group) = self.group(id) else { return };
        let hash = self.hasher.hash_one((&group.group, group.family));
        if let Ok(entry) = self.index.find_entry(hash, |other| *other == id) {
            entry.remove();
        }
    }

    /// The distinct hops of a group with their weights, each with one use more.
    fn members_of(&mut self, group: &NextHopGroup, family: Family) -> SmallVec<[(HopId, u16); 2]> {
        let mut members: SmallVec<[(HopId, u16); 2]> = SmallVec::new();
        for hop in group.hops() {
            if members.len() == self.max_paths {
                break;
            }
            let id = self.intern_hop(single(hop, family));
            // The kernel refuses a hop twice in a group; twice the hop is twice the weight.
            if let Some((_, weight)) = members.iter_mut().find(|(member, _)| *member == id) {
                *weight = weight.saturating_add(hop.weight).min(256);
            } else {
                members.push((id, hop.weight.clamp(1, 256)));
            }
        }
        for (id, _) in &members {
            if let Some(hop) = self.hop_mut(*id) {
                hop.refs += 1;
            }
        }
        members
    }

    fn intern_hop(&mut self, hop: SingleHop) -> HopId {
        if let Some(id) = self.hop_index.get(&hop) {
            return *id;
        }
        let object = HopObject { hop, id: 0, refs: 0, present: false, error: None };
        let id = match self.free_hops.pop() {
            Some(id) => id,
            None => {
                self.hops.push(None);
                HopId::try_from(self.hops.len() - 1).unwrap_or(HopId::MAX)
            }
        };
        if let Some(slot) = self.hops.get_mut(id as usize) {
            *slot = Some(object);
        }
        self.hop_index.insert(hop, id);
        *self.interfaces.entry(hop.interface).or_default() += 1;
        id
    }

    /// Counts a use of a group, or (`more` false) one use less.
    pub(super) fn count(&mut self, id: GroupId, more: bool) {
        let Some(group) = self.groups.get_mut(id as usize).and_then(Option::as_mut) else { return };
        if group.refs == 0 {
            // Nobody used it any more: who wants it now knows of the failure, and means all of it.
            group.failed.clear();
        }
        group.refs = if more { group.refs.saturating_add(1) } else { group.refs.saturating_sub(1) };
        if group.refs == 0 {
            self.garbage.push(id);
        }
    }

    /// How a route of this group is written now, or why it cannot be.
    pub(super) fn way(&self, id: GroupId) -> Result<Way<'_>, KernelError> {
        let missing = || KernelError::new(libc::ENOENT, "the next-hop group is not known");
        let group = self.group(id).ok_or_else(missing)?;
        match group.group.target {
            GroupTarget::Blackhole => return Ok(Way::Blackhole),
            GroupTarget::Unreachable => return Ok(Way::Unreachable),
            GroupTarget::Prohibit => return Ok(Way::Prohibit),
            GroupTarget::Hops(_) => {}
        }
        if !self.enabled {
            if group.inline.is_empty() {
                return Err(self.why_blocked(group));
            }
            return Ok(Way::Hops(&group.inline));
        }
        let link = group.group.hops().iter().all(|h| h.gateway.is_none());
        match group.lone() {
            Some(only) => match self.hop(only).filter(|h| h.present) {
                Some(hop) => Ok(Way::Object { id: hop.id, link }),
                None => Err(self.why_blocked(group)),
            },
            None if group.present.is_empty() => Err(self.why_blocked(group)),
            None => Ok(Way::Object { id: group.id, link }),
        }
    }

    fn why_blocked(&self, group: &Group) -> KernelError {
        let hops = || group.members.iter().filter_map(|(id, _)| self.hop(*id));
        let refused = group.error.clone().or_else(|| hops().find_map(|h| h.error.clone()));
        refused.unwrap_or_else(|| KernelError::new(libc::ENETDOWN, "the next hop's interface is down"))
    }

    /// Whether something of a group is missing in the kernel that we have not tried to make.
    pub(super) fn needs_making(&self, id: GroupId) -> bool {
        self.enabled && self.group(id).is_some_and(|group| self.lacks(group, false))
    }

    /// Whether something is missing in the kernel that may be made now; `again`: even if it was refused before.
    fn lacks(&self, group: &Group, again: bool) -> bool {
        let missing = |h: &HopObject| !h.present && !self.down.contains(&h.hop.interface);
        let hops = || group.members.iter().filter_map(|(id, _)| self.hop(*id));
        hops().any(|h| missing(h) && (again || h.error.is_none()))
            || (self.lacks_members(group) && (again || group.error.is_none()))
    }

    /// Whether hops are there that the kernel's group lacks, or the other way round.
    fn lacks_members(&self, group: &Group) -> bool {
        if group.lone().is_some() {
            return false;
        }
        let alive = group.members.iter().filter(|(id, _)| group.alive(*id, &self.hops).is_some()).count();
        let intruder = group.failed.iter().any(|id| group.present.contains(id));
        alive > 0 && (intruder || alive != group.present.len())
    }

    /// Notes whether a link can be used; says whether any group cares.
    pub(super) fn link(&mut self, interface: IfIndex, usable: bool, deleted: bool) -> bool {
        let cares = self.interfaces.contains_key(&interface);
        let changed =
            if usable || deleted { self.down.remove(&interface) } else { self.down.insert(interface) };
        if cares && self.enabled {
            // The kernel drops the objects of a link without carrier, and a fast flap may show as one event.
            self.suspect = true;
            self.incomplete |= usable;
            if !usable {
                self.fallen.insert(interface);
            }
        }
        if cares && !self.enabled && (changed || deleted) {
            for id in 0..self.groups.len() {
                self.refresh_inline(GroupId::try_from(id).unwrap_or(GroupId::MAX));
            }
        }
        cares && (changed || deleted)
    }

    /// What is known of links may be out of date: the kernel will say when one is down.
    pub(super) fn forget_links(&mut self) {
        for interface in std::mem::take(&mut self.down) {
            self.incomplete |= self.interfaces.contains_key(&interface);
        }
        for id in 0..self.groups.len() {
            self.refresh_inline(GroupId::try_from(id).unwrap_or(GroupId::MAX));
        }
    }

    /// The groups with a hop on an interface.
    pub(super) fn groups_on(&self, interface: IfIndex) -> HashSet<GroupId> {
        let groups = self.groups.iter().zip(0..).filter_map(|(g, id)| Some((g.as_ref()?, id)));
        groups
            .filter(|(g, _)| g.group.hops().iter().any(|h| h.interface == interface))
            .map(|(_, id)| id)
            .collect()
    }

    fn refresh_inline(&mut self, id: GroupId) {
        if self.enabled {
            return;
        }
        let (hops, down) = (&self.hops, &self.down);
        let Some(group) = self.groups.get_mut(id as usize).and_then(Option::as_mut) else { return };
        let usable = |(id, weight): &(HopId, u16)| {
            let hop = hops.get(*id as usize)?.as_ref()?.hop;
            let SingleHop { gateway, interface, onlink, .. } = hop;
            (!down.contains(&interface)).then_some(Hop { gateway, interface, weight: *weight, onlink })
        };
        group.inline = group.members.iter().filter_map(usable).collect();
    }

    /// The group that each kernel id of ours stands for; a single hop's object for a group of that hop alone.
    pub(super) fn kernel_index(&self) -> HashMap<u32, GroupId> {
        let groups = self.groups.iter().zip(0..).filter_map(|(g, slot)| Some((g.as_ref()?, slot)));
        let id = |group: &Group| match group.lone() {
            Some(only) => self.hop(only).map(|h| h.id),
            None => Some(group.id),
        };
        groups.filter_map(|(group, slot)| Some((id(group).filter(|id| *id != 0)?, slot))).collect()
    }

    /// Whether an id lies in our range or is one of ours.
    pub(super) fn owns(&self, id: u32) -> bool {
        self.taken.contains(&id)
    }

    /// What the kernel has of ours, for display, by id.
    pub(super) fn list(&self) -> Vec<NextHopObject> {
        let mut list = Vec::new();
        for hop in self.hops.iter().flatten().filter(|h| h.present) {
            let hops = SmallVec::from_elem(as_hop(&hop.hop, 1), 1);
            list.push(NextHopObject { id: hop.id, hops, active: 1, refs: hop.refs, group: false });
        }
        for group in self.groups.iter().flatten().filter(|g| !g.present.is_empty()) {
            let hops =
                group.members.iter().filter_map(|(id, w)| Some(as_hop(&self.hop(*id)?.hop, *w))).collect();
            let (active, refs) = (group.present.len(), group.refs);
            list.push(NextHopObject { id: group.id, hops, active, refs, group: true });
        }
        list.sort_unstable_by_key(|o| o.id);
        list
    }

    /// Whether a kernel route is just what we would write for a group.
    pub(super) fn is_written_as(&self, id: GroupId, route: &route::RouteMessage<'_>) -> bool {
        match self.way(id) {
            Ok(Way::Object { id, .. }) => route.nexthop_id == id,
            Ok(Way::Hops(hops)) => {
                route.nexthop_id == 0 && route.hops().as_slice() == sorted(hops).as_slice()
            }
            Ok(Way::Blackhole) => route.kind == route::RouteKind::Blackhole && route.nexthop_id == 0,
            Ok(Way::Unreachable) => route.kind == route::RouteKind::Unreachable && route.nexthop_id == 0,
            Ok(Way::Prohibit) => route.kind == route::RouteKind::Prohibit && route.nexthop_id == 0,
            Err(_) => false,
        }
    }
}

fn sorted(hops: &[Hop]) -> SmallVec<[Hop; 2]> {
    let mut hops: SmallVec<[Hop; 2]> = hops.iter().copied().collect();
    // A single inline hop has no weight in the kernel.
    if let [only] = hops.as_mut_slice() {
        only.weight = 1;
    }
    hops.sort_unstable();
    hops
}

fn single(hop: &Hop, family: Family) -> SingleHop {
    let family = hop.gateway.map_or(family, family_of_address);
    SingleHop { family, gateway: hop.gateway, interface: hop.interface, onlink: hop.onlink }
}

fn as_hop(hop: &SingleHop, weight: u16) -> Hop {
    Hop { gateway: hop.gateway, interface: hop.interface, weight, onlink: hop.onlink }
}
