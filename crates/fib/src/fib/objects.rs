//! The ways routes go: next-hop groups with their kernel objects, shared by all routes and counted by them.
//!
//! Each distinct hop is one kernel object, each set of several hops a kernel group of those. A set of one hop needs no
//! group. The kernel takes objects away silently when their link goes down, and edits the groups; [`Objects::verify`]
//! finds that out, [`Objects::heal`] makes them anew. Without object support everything is written inline, and the
//! same bookkeeping says which hops are usable.

use std::hash::BuildHasher;
use std::io;
use std::sync::Arc;

use foldhash::fast::RandomState;
use foldhash::{HashMap, HashSet};
use hashbrown::HashTable;
use siskin_net::{Family, GroupTarget, Hop, IfIndex, NextHopGroup};
use smallvec::SmallVec;

use super::table::GroupId;
use crate::channel::Channel;
use crate::error::{FibError, KernelError};
use crate::wire::batch::Batch;
use crate::wire::nexthop::{self, KernelNextHop, NextHopKind, SingleHop};
use crate::wire::route::Way;
use crate::wire::{family_of_address, route};
use crate::{NEXTHOP_IDS, PROTOCOL};

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
    /// Distinct hops with their weights, at most `max_paths`.
    members: SmallVec<[(HopId, u16); 2]>,
    /// The id of its kernel group; 0 where one hop needs none.
    id: u32,
    /// The members the kernel's group has now.
    present: SmallVec<[HopId; 2]>,
    /// Inline form without objects: the hops whose link is up.
    inline: SmallVec<[Hop; 2]>,
    /// Why the kernel refused the group.
    error: Option<KernelError>,
}

/// A next-hop object of ours, for display.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NextHopObject {
    /// Its kernel id.
    pub id: u32,
    /// The hops it leads to: one, or those of the group.
    pub hops: SmallVec<[Hop; 2]>,
    /// Of the hops, those that the kernel uses now (a hop whose link is down drops out).
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
    /// The last group of each family: most changes in a row go the same way.
    last: [GroupId; 2],
}

impl Objects {
    pub(super) fn new(enabled: bool, base: u32, max_paths: u16) -> Objects {
        Objects {
            enabled,
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
            None => self.insert(group.clone(), variant, family, hash),
        };
        self.last[family as usize] = id;
        id
    }

    fn insert(
        &mut self,
        group: Arc<NextHopGroup>,
        variant: Option<Family>,
        family: Family,
        hash: u64,
    ) -> GroupId {
        let mut members: SmallVec<[(HopId, u16); 2]> = SmallVec::new();
        for hop in group.hops() {
            let id = self.intern_hop(single(hop, family));
            // The kernel refuses a hop twice in a group; twice the hop is twice the weight.
            if let Some((_, weight)) = members.iter_mut().find(|(member, _)| *member == id) {
                *weight = weight.saturating_add(hop.weight).min(256);
            } else if members.len() < self.max_paths {
                members.push((id, hop.weight.clamp(1, 256)));
            }
        }
        let members_used: HashSet<HopId> = members.iter().map(|(id, _)| *id).collect();
        for id in &members_used {
            if let Some(hop) = self.hop_mut(*id) {
                hop.refs += 1;
            }
        }
        let (present, inline) = (SmallVec::new(), SmallVec::new());
        let group = Group { group, family: variant, refs: 0, members, id: 0, present, inline, error: None };
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
        let (groups, hasher) = (&self.groups, &self.hasher);
        self.index.insert_unique(hash, id, |id| {
            let group = groups.get(*id as usize).and_then(Option::as_ref);
            group.map_or(0, |g| hasher.hash_one((&g.group, g.family)))
        });
        self.garbage.push(id);
        self.refresh_inline(id);
        id
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
            GroupTarget::Hops(_) => {}
        }
        if !self.enabled {
            if group.inline.is_empty() {
                return Err(self.why_blocked(group));
            }
            return Ok(Way::Hops(&group.inline));
        }
        let link = group.group.hops().iter().all(|h| h.gateway.is_none());
        match group.members.as_slice() {
            [(only, _)] => match self.hop(*only).filter(|h| h.present) {
                Some(hop) => Ok(Way::Object { id: hop.id, link }),
                None => Err(self.why_blocked(group)),
            },
            _ if group.present.is_empty() => Err(self.why_blocked(group)),
            _ => Ok(Way::Object { id: group.id, link }),
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

    /// Makes in the kernel what the groups lack. What it refuses is remembered with the hop.
    ///
    /// # Errors
    /// When the exchange with the kernel failed and nothing is known.
    pub(super) fn ensure(
        &mut self,
        ids: &[GroupId],
        channel: &mut Channel,
        batch: &mut Batch,
    ) -> io::Result<()> {
        if !self.enabled {
            return Ok(());
        }
        let mut hops: Vec<HopId> = ids
            .iter()
            .filter_map(|id| self.group(*id))
            .flat_map(|g| g.members.iter().map(|(id, _)| *id))
            .filter(|id| self.hop(*id).is_some_and(|h| !h.present && !self.down.contains(&h.hop.interface)))
            .collect();
        hops.sort_unstable();
        hops.dedup();
        self.make(&hops, channel, batch, Self::put_hop, Self::note_hop)?;
        let groups: Vec<GroupId> =
            ids.iter().copied().filter(|id| self.group(*id).is_some_and(|g| self.lacks_members(g))).collect();
        self.make(&groups, channel, batch, Self::put_group, Self::note_group)?;
        self.incomplete |= ids.iter().filter_map(|id| self.group(*id)).any(|g| self.lacks(g, true));
        Ok(())
    }

    /// Whether hops are there that the kernel's group lacks, or the other way round.
    fn lacks_members(&self, group: &Group) -> bool {
        if group.members.len() < 2 {
            return false;
        }
        let alive = group.members.iter().filter(|(id, _)| self.hop(*id).is_some_and(|h| h.present)).count();
        alive > 0 && alive != group.present.len()
    }

    /// Sends one request for each of `ids` and notes what became of it.
    fn make(
        &mut self,
        ids: &[u32],
        channel: &mut Channel,
        batch: &mut Batch,
        put: fn(&mut Self, u32, &mut Batch),
        note: fn(&mut Self, u32, Option<KernelError>),
    ) -> io::Result<()> {
        // Sixteen of the widest groups (256 members of 8 bytes) fit a batch.
        for part in ids.chunks(16) {
            channel.prepare(batch);
            for id in part {
                put(self, *id, batch);
            }
            let mut results: Vec<Option<KernelError>> = vec![None; part.len()];
            channel.exchange(batch, |number, error| {
                if let Some(result) = results.get_mut(number) {
                    *result = Some(error);
                }
            })?;
            for (id, error) in part.iter().zip(results) {
                note(self, *id, error);
            }
        }
        Ok(())
    }

    fn put_hop(&mut self, id: HopId, batch: &mut Batch) {
        let fresh = self.hop(id).is_some_and(|h| h.id == 0).then(|| self.allocate());
        if let Some(hop) = self.hop_mut(id) {
            hop.id = fresh.unwrap_or(hop.id);
            nexthop::put_single(batch, hop.id, PROTOCOL, &hop.hop);
        }
    }

    fn note_hop(&mut self, id: HopId, error: Option<KernelError>) {
        if let Some(hop) = self.hop_mut(id) {
            hop.present = error.is_none();
            hop.error = error;
        }
    }

    fn put_group(&mut self, id: GroupId, batch: &mut Batch) {
        let fresh = self.group(id).is_some_and(|g| g.id == 0).then(|| self.allocate());
        let Some(group) = self.groups.get_mut(id as usize).and_then(Option::as_mut) else { return };
        group.id = fresh.unwrap_or(group.id);
        let alive = |(id, weight): &(HopId, u16)| {
            let hop = self.hops.get(*id as usize)?.as_ref().filter(|h| h.present)?;
            Some((hop.id, *weight))
        };
        let members: SmallVec<[(u32, u16); 4]> = group.members.iter().filter_map(alive).collect();
        nexthop::put_group(batch, group.id, PROTOCOL, &members);
    }

    fn note_group(&mut self, id: GroupId, error: Option<KernelError>) {
        let hops = &self.hops;
        let present = |id: &HopId| hops.get(*id as usize).and_then(Option::as_ref).is_some_and(|h| h.present);
        let Some(group) = self.groups.get_mut(id as usize).and_then(Option::as_mut) else { return };
        if let Some(error) = &error {
            tracing::warn!(id = group.id, %error, "the kernel refused a next-hop group");
            // Perhaps a member vanished without a word.
            self.suspect = true;
        } else {
            group.present = group.members.iter().map(|(id, _)| *id).filter(present).collect();
        }
        group.error = error;
    }

    fn allocate(&mut self) -> u32 {
        loop {
            let id = self.base.wrapping_add(self.next % NEXTHOP_IDS);
            self.next = self.next.wrapping_add(1);
            if self.taken.insert(id) {
                return id;
            }
        }
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
        }
        if cares && !self.enabled && (changed || deleted) {
            for id in 0..self.groups.len() {
                self.refresh_inline(GroupId::try_from(id).unwrap_or(GroupId::MAX));
            }
        }
        cares && (changed || deleted)
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

    /// Tries to complete all groups that lack members; returns those that can be used and could not before.
    ///
    /// # Errors
    /// When the exchange with the kernel failed.
    pub(super) fn heal(&mut self, channel: &mut Channel, batch: &mut Batch) -> io::Result<HashSet<GroupId>> {
        let ids = 0..GroupId::try_from(self.groups.len()).unwrap_or(GroupId::MAX);
        let lacking: Vec<(GroupId, bool)> = ids
            .filter(|id| self.group(*id).is_some_and(|g| g.refs > 0 && self.lacks(g, true)))
            .map(|id| (id, self.way(id).is_ok()))
            .collect();
        let all: Vec<GroupId> = lacking.iter().map(|(id, _)| *id).collect();
        self.incomplete = false;
        self.ensure(&all, channel, batch)?;
        Ok(lacking.into_iter().filter(|(id, was)| !was && self.way(*id).is_ok()).map(|(id, _)| id).collect())
    }

    /// Compares with what the kernel has. Returns the groups that are gone, and with them their routes.
    ///
    /// # Errors
    /// As of a dump.
    pub(super) fn verify(&mut self, channel: &mut Channel) -> Result<HashSet<GroupId>, FibError> {
        let kernel = read(channel)?;
        self.suspect = false;
        let mut lost_hops = HashSet::default();
        for (hop, id) in self.hops.iter_mut().zip(0..).filter_map(|(h, id)| Some((h.as_mut()?, id))) {
            let found = kernel.get(&hop.id);
            if hop.present && found.is_none() {
                lost_hops.insert(id);
            }
            hop.present = hop.present && found.is_some_and(|k| is_hop(k, &hop.hop));
        }
        let mut lost = HashSet::default();
        for (group, id) in self.groups.iter_mut().zip(0..).filter_map(|(g, id)| Some((g.as_mut()?, id))) {
            if let [(only, _)] = group.members.as_slice() {
                if lost_hops.contains(only) {
                    lost.insert(id);
                }
            } else if !group.present.is_empty() {
                let found = kernel.get(&group.id);
                if found.is_none() {
                    lost.insert(id);
                }
                group.present = members_in(found, &group.members, &self.hops);
            }
        }
        self.incomplete = true;
        self.note_strangers(&kernel);
        Ok(lost)
    }

    /// Notes ids in our range that others use, and objects of our protocol that nothing of ours names.
    fn note_strangers(&mut self, kernel: &HashMap<u32, KernelNextHop>) {
        let hops = self.hops.iter().flatten().map(|h| h.id);
        let ours: HashSet<u32> = hops.chain(self.groups.iter().flatten().map(|g| g.id)).collect();
        self.surplus.clear();
        for object in kernel.values().filter(|o| !ours.contains(&o.id)) {
            self.taken.insert(object.id);
            if object.protocol == PROTOCOL {
                self.surplus.push(object.id);
            }
        }
    }

    /// Takes over the objects a previous run left, so that its routes are recognised.
    ///
    /// # Errors
    /// As of a dump.
    pub(super) fn adopt(&mut self, channel: &mut Channel) -> Result<(), FibError> {
        let kernel = read(channel)?;
        if !self.enabled {
            // Routes are rewritten inline, and then nothing needs these any more.
            self.note_strangers(&kernel);
            return Ok(());
        }
        let mut objects: Vec<&KernelNextHop> = kernel.values().filter(|o| o.protocol == PROTOCOL).collect();
        objects.sort_unstable_by_key(|o| o.id);
        let mut single: HashMap<u32, HopId> = HashMap::default();
        for object in &objects {
            let Some(hop) = single_of(object) else { continue };
            let id = self.intern_hop(hop);
            single.insert(object.id, id);
            if let Some(hop) = self.hop_mut(id).filter(|h| !h.present) {
                (hop.id, hop.present) = (object.id, true);
                self.taken.insert(object.id);
            }
            // A group of its own lets a single hop's object be found, and cleaned up if no route uses it.
            let family = hop.family;
            let value = NextHopGroup::from_hops([as_hop(&hop, 1)]).map(Arc::new);
            value.inspect(|v| {
                self.intern(v, family);
            });
        }
        for object in &objects {
            if let NextHopKind::Group(members) = &object.kind {
                self.adopt_group(object.id, members, &single);
            }
        }
        self.note_strangers(&kernel);
        Ok(())
    }

    fn adopt_group(&mut self, id: u32, members: &[(u32, u16)], single: &HashMap<u32, HopId>) {
        let hops: Option<Vec<SingleHop>> =
            members.iter().map(|(m, _)| self.hop(*single.get(m)?).map(|h| h.hop)).collect();
        let Some(hops) = hops.filter(|h| h.len() > 1) else { return };
        let Some(family) = hops.first().map(|h| h.family) else { return };
        let weights = members.iter().map(|(_, weight)| *weight);
        let value = NextHopGroup::from_hops(hops.iter().zip(weights).map(|(h, w)| as_hop(h, w)));
        let Some(value) = value.map(Arc::new) else { return };
        let slot = self.intern(&value, family);
        let Some(group) = self.groups.get_mut(slot as usize).and_then(Option::as_mut) else { return };
        if group.id == 0 {
            group.id = id;
            group.present = group.members.iter().map(|(hop, _)| *hop).collect();
            self.taken.insert(id);
        }
    }

    /// The group that each kernel id of ours stands for; a single hop's object for a group of that hop alone.
    pub(super) fn kernel_index(&self) -> HashMap<u32, GroupId> {
        let groups = self.groups.iter().zip(0..).filter_map(|(g, slot)| Some((g.as_ref()?, slot)));
        let id = |group: &Group| match group.members.as_slice() {
            [(only, _)] => self.hop(*only).map(|h| h.id),
            _ => Some(group.id),
        };
        groups.filter_map(|(group, slot)| Some((id(group).filter(|id| *id != 0)?, slot))).collect()
    }

    /// Whether an id lies in our range or is one of ours.
    pub(super) fn owns(&self, id: u32) -> bool {
        self.taken.contains(&id)
    }

    /// Deletes what nothing uses any more, groups before their hops. Only to be called when no route is about to be
    /// written: what a route in the kernel still used would take the route with it.
    ///
    /// # Errors
    /// When the exchange with the kernel failed; what is then left is found by the next [`Objects::verify`].
    pub(super) fn collect(
        &mut self,
        channel: &mut Channel,
        batch: &mut Batch,
        surplus: bool,
    ) -> io::Result<()> {
        let mut doomed = if surplus { std::mem::take(&mut self.surplus) } else { Vec::new() };
        let mut hops = Vec::new();
        for id in std::mem::take(&mut self.garbage) {
            if self.group(id).is_some_and(|g| g.refs == 0)
                && let Some(group) = self.remove(id)
            {
                if !group.present.is_empty() {
                    doomed.push(group.id);
                }
                self.taken.remove(&group.id);
                hops.extend(group.members.iter().map(|(hop, _)| *hop));
            }
        }
        for id in hops {
            doomed.extend(self.release_hop(id));
        }
        for part in doomed.chunks(512) {
            channel.prepare(batch);
            for id in part {
                nexthop::remove(batch, *id);
            }
            channel.exchange(batch, |_, error| tracing::debug!(%error, "deleting a next-hop object"))?;
        }
        Ok(())
    }

    /// Whether [`Objects::collect`] would find something.
    pub(super) fn has_garbage(&self, surplus: bool) -> bool {
        !self.garbage.is_empty() || (surplus && !self.surplus.is_empty())
    }

    fn remove(&mut self, id: GroupId) -> Option<Group> {
        let group = self.groups.get_mut(id as usize)?.take()?;
        let hash = self.hasher.hash_one((&group.group, group.family));
        if let Ok(entry) = self.index.find_entry(hash, |other| *other == id) {
            entry.remove();
        }
        self.free_groups.push(id);
        Some(group)
    }

    /// One use of a hop less; its kernel id if it must be deleted.
    fn release_hop(&mut self, id: HopId) -> Option<u32> {
        let hop = self.hop_mut(id)?;
        hop.refs = hop.refs.saturating_sub(1);
        if hop.refs > 0 {
            return None;
        }
        let hop = self.hops.get_mut(id as usize)?.take()?;
        self.free_hops.push(id);
        self.hop_index.remove(&hop.hop);
        self.taken.remove(&hop.id);
        if let Some(uses) = self.interfaces.get_mut(&hop.hop.interface) {
            *uses -= 1;
            if *uses == 0 {
                self.interfaces.remove(&hop.hop.interface);
            }
        }
        hop.present.then_some(hop.id)
    }

    /// All kernel ids of ours, groups first.
    pub(super) fn kernel_ids(&self) -> Vec<u32> {
        let groups = self.groups.iter().flatten().filter(|g| !g.present.is_empty()).map(|g| g.id);
        let hops = self.hops.iter().flatten().filter(|h| h.present).map(|h| h.id);
        groups.chain(hops).chain(self.surplus.iter().copied()).collect()
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

fn single_of(object: &KernelNextHop) -> Option<SingleHop> {
    match object.kind {
        NextHopKind::Single { family: Some(family), gateway, interface, onlink } => {
            Some(SingleHop { family, gateway, interface, onlink })
        }
        _ => None,
    }
}

fn is_hop(object: &KernelNextHop, hop: &SingleHop) -> bool {
    single_of(object).is_some_and(|found| found == *hop)
}

/// Which of our members the kernel's group has; none, so that it is written anew, if it has anything else.
fn members_in(
    found: Option<&KernelNextHop>,
    members: &[(HopId, u16)],
    hops: &[Option<HopObject>],
) -> SmallVec<[HopId; 2]> {
    let Some(KernelNextHop { kind: NextHopKind::Group(kernel), .. }) = found else { return SmallVec::new() };
    let member = |entry: &(u32, u16)| {
        members.iter().find_map(|(id, weight)| {
            let hop = hops.get(*id as usize)?.as_ref().filter(|h| h.present)?;
            ((hop.id, *weight) == *entry).then_some(*id)
        })
    };
    kernel.iter().map(member).collect::<Option<SmallVec<[HopId; 2]>>>().unwrap_or_default()
}

fn read(channel: &mut Channel) -> Result<HashMap<u32, KernelNextHop>, FibError> {
    let mut kernel = HashMap::default();
    channel.dump(
        "reading next-hop objects",
        nexthop::dump,
        &mut kernel,
        HashMap::clear,
        |kernel, message| {
            if let Some(object) = KernelNextHop::decode(message) {
                kernel.insert(object.id, object);
            }
        },
    )?;
    Ok(kernel)
}
