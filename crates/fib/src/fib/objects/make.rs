//! Making next-hop objects in the kernel, completing them, and deleting those of no more use.

use std::io;

use foldhash::HashSet;
use smallvec::SmallVec;

use super::{Group, HopId, HopObject, Objects};
use crate::channel::Channel;
use crate::error::KernelError;
use crate::fib::table::GroupId;
use crate::wire::batch::Batch;
use crate::wire::nexthop;
use crate::{NEXTHOP_IDS, PROTOCOL};

impl Objects {
    /// Makes in the kernel what the groups lack. What it refuses is remembered with the hop.
    ///
    /// # Errors
    /// When the exchange with the kernel failed and nothing is known.
    pub(in crate::fib) fn ensure(
        &mut self,
        ids: &[GroupId],
        channel: &mut Channel,
        batch: &mut Batch,
    ) -> io::Result<()> {
        if !self.enabled {
            return Ok(());
        }
        let groups = ids.iter().filter_map(|id| self.group(*id));
        let mut hops: Vec<HopId> = groups.flat_map(|g| g.members.iter().map(|(id, _)| *id)).collect();
        hops.sort_unstable();
        hops.dedup();
        self.make_hops(&hops, channel, batch)?;
        let groups: Vec<GroupId> =
            ids.iter().copied().filter(|id| self.group(*id).is_some_and(|g| self.lacks_members(g))).collect();
        self.make(&groups, channel, batch, Self::put_group, Self::note_group)?;
        self.incomplete |= ids.iter().filter_map(|id| self.group(*id)).any(|g| self.lacks(g, true));
        Ok(())
    }

    /// Makes those of these hops that are missing and whose link is not down.
    pub(super) fn make_hops(
        &mut self,
        hops: &[HopId],
        channel: &mut Channel,
        batch: &mut Batch,
    ) -> io::Result<()> {
        let missing = |h: &HopObject| !h.present && !self.down.contains(&h.hop.interface);
        let missing: Vec<HopId> =
            hops.iter().copied().filter(|id| self.hop(*id).is_some_and(missing)).collect();
        self.make(&missing, channel, batch, Self::put_hop, Self::note_hop)
    }

    /// Sends one request for each of `ids` and notes what became of it.
    pub(super) fn make(
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
            // Perhaps its id is somebody else's by now.
            let doubtful = error.as_ref().is_some_and(|e| e.errno == libc::EINVAL);
            hop.error = error;
            self.suspect |= doubtful;
        }
    }

    pub(super) fn put_group(&mut self, id: GroupId, batch: &mut Batch) {
        let fresh = self.group(id).is_some_and(|g| g.id == 0).then(|| self.allocate());
        let Some(group) = self.groups.get_mut(id as usize).and_then(Option::as_mut) else { return };
        group.id = fresh.unwrap_or(group.id);
        let alive = |(id, weight): &(HopId, u16)| Some((group.alive(*id, &self.hops)?.id, *weight));
        let members: SmallVec<[(u32, u16); 4]> = group.members.iter().filter_map(alive).collect();
        nexthop::put_group(batch, group.id, PROTOCOL, &members, self.resilient.as_ref());
    }

    pub(super) fn note_group(&mut self, id: GroupId, error: Option<KernelError>) {
        let Some(group) = self.groups.get_mut(id as usize).and_then(Option::as_mut) else { return };
        if let Some(error) = &error {
            tracing::warn!(id = group.id, %error, "the kernel refused a next-hop group");
            // Perhaps a member vanished without a word.
            self.suspect = true;
        } else {
            let members = group.members.iter().map(|(id, _)| *id);
            group.present = members.filter(|id| group.alive(*id, &self.hops).is_some()).collect();
        }
        group.error = error;
    }

    pub(super) fn allocate(&mut self) -> u32 {
        loop {
            let id = self.base.wrapping_add(self.next % NEXTHOP_IDS);
            self.next = self.next.wrapping_add(1);
            if self.taken.insert(id) {
                return id;
            }
        }
    }

    /// Tries to complete all groups that lack members; returns those that can be used and could not before.
    ///
    /// # Errors
    /// When the exchange with the kernel failed.
    pub(in crate::fib) fn heal(
        &mut self,
        channel: &mut Channel,
        batch: &mut Batch,
    ) -> io::Result<HashSet<GroupId>> {
        let ids = 0..GroupId::try_from(self.groups.len()).unwrap_or(GroupId::MAX);
        let lacking: Vec<GroupId> =
            ids.filter(|id| self.group(*id).is_some_and(|g| g.refs > 0 && self.lacks(g, true))).collect();
        self.incomplete = false;
        self.complete(&lacking, channel, batch)
    }

    /// Tries to complete these groups; returns those that can be used and could not before.
    pub(super) fn complete(
        &mut self,
        ids: &[GroupId],
        channel: &mut Channel,
        batch: &mut Batch,
    ) -> io::Result<HashSet<GroupId>> {
        let blocked: Vec<GroupId> = ids.iter().copied().filter(|id| self.way(*id).is_err()).collect();
        self.ensure(ids, channel, batch)?;
        Ok(blocked.into_iter().filter(|id| self.way(*id).is_ok()).collect())
    }

    /// Deletes what nothing uses any more, groups before their hops. Only to be called when no route is about to be
    /// written: what a route in the kernel still used would take the route with it.
    ///
    /// # Errors
    /// When the exchange with the kernel failed; what is then left is found by the next [`Objects::verify`].
    pub(in crate::fib) fn collect(
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
    pub(in crate::fib) fn has_garbage(&self, surplus: bool) -> bool {
        !self.garbage.is_empty() || (surplus && !self.surplus.is_empty())
    }

    fn remove(&mut self, id: GroupId) -> Option<Group> {
        self.forget_index(id);
        let group = self.groups.get_mut(id as usize)?.take()?;
        self.free_groups.push(id);
        Some(group)
    }

    /// One use of a hop less; its kernel id if it must be deleted.
    pub(super) fn release_hop(&mut self, id: HopId) -> Option<u32> {
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
    pub(in crate::fib) fn kernel_ids(&self) -> Vec<u32> {
        let groups = self.groups.iter().flatten().filter(|g| !g.present.is_empty()).map(|g| g.id);
        let hops = self.hops.iter().flatten().filter(|h| h.present).map(|h| h.id);
        groups.chain(hops).chain(self.surplus.iter().copied()).collect()
    }
}
