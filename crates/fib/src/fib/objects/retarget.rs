//! Giving a group other hops in place: one message, however many routes use it.

use std::hash::BuildHasher;
use std::io;
use std::sync::Arc;

use siskin_net::NextHopGroup;

use super::{HopId, Objects};
use crate::channel::Channel;
use crate::fib::table::GroupId;
use crate::wire::batch::Batch;
use crate::wire::nexthop;

impl Objects {
    /// Makes a bundle's group another one, with all its routes. Says whether it did: not without kernel objects, where
    /// nothing uses the group, where the other one is in use already, or where none of its hops can be used; then each
    /// route has to be changed.
    ///
    /// # Errors
    /// When the exchange with the kernel failed: what is not done then is left to [`Objects::heal`].
    pub(in crate::fib) fn retarget(
        &mut self,
        from: &NextHopGroup,
        to: &Arc<NextHopGroup>,
        channel: &mut Channel,
        batch: &mut Batch,
    ) -> io::Result<bool> {
        let gateways = |group: &NextHopGroup| group.hops().iter().all(|hop| hop.gateway.is_some());
        if !self.enabled || from.bundle == 0 || to.hops().is_empty() || !gateways(from) || !gateways(to) {
            return Ok(false);
        }
        let Some(id) = self.find(from).filter(|_| self.find(to).is_none()) else { return Ok(false) };
        let members = self.members_of(to, siskin_net::Family::Ipv4);
        let hops: Vec<HopId> = members.iter().map(|(hop, _)| *hop).collect();
        let made = self.make_hops(&hops, channel, batch);
        let usable = hops.iter().any(|hop| self.hop(*hop).is_some_and(|hop| hop.present));
        if made.is_err() || !usable {
            self.dismiss(&hops, channel, batch)?;
            return made.map(|()| false);
        }
        self.forget_index(id);
        let Some(group) = self.groups.get_mut(id as usize).and_then(Option::as_mut) else { return Ok(false) };
        group.group = to.clone();
        let old = std::mem::replace(&mut group.members, members);
        let in_kernel = !group.present.is_empty();
        group.present.clear();
        group.failed.clear();
        group.error = None;
        self.remember_index(id);
        if in_kernel {
            self.make(&[id], channel, batch, Self::put_group, Self::note_group)?;
            self.incomplete |= self.group(id).is_some_and(|group| self.lacks(group, true));
        }
        // What the kernel's group may still name must not be deleted under it.
        if self.group(id).is_some_and(|group| group.error.is_none()) {
            self.dismiss(&old.iter().map(|(hop, _)| *hop).collect::<Vec<_>>(), channel, batch)?;
        }
        Ok(true)
    }

    /// The group of a value all of whose hops have gateways.
    fn find(&self, value: &NextHopGroup) -> Option<GroupId> {
        let family: Option<siskin_net::Family> = None;
        let hash = self.hasher.hash_one((value, family));
        let same = |id: &GroupId| self.group(*id).is_some_and(|g| g.family.is_none() && *g.group == *value);
        self.index.find(hash, same).copied()
    }

    /// One use of each of these hops less; what nobody uses any more goes.
    fn dismiss(&mut self, hops: &[HopId], channel: &mut Channel, batch: &mut Batch) -> io::Result<()> {
        let doomed: Vec<u32> = hops.iter().filter_map(|hop| self.release_hop(*hop)).collect();
        if doomed.is_empty() {
            return Ok(());
        }
        channel.prepare(batch);
        for id in doomed {
            nexthop::remove(batch, id);
        }
        channel.exchange(batch, |_, error| tracing::debug!(%error, "deleting a next-hop object"))
    }
}
