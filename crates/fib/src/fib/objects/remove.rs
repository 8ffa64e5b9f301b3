//! Removing many routes at once: the kernel drops the routes of an object with it, several times as fast as one by one.

use std::io;

use super::{Group, Objects};
use crate::channel::Channel;
use crate::fib::table::GroupId;
use crate::wire::batch::Batch;
use crate::wire::nexthop;

/// From so many routes on a group is deleted with its routes; below, the walk over all cells would cost more.
const MANY: u32 = 4_096;

/// How a cell stands to a group: whether it has it installed, and whether it is about to leave it for nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::fib) struct Stand {
    pub(in crate::fib) installed: GroupId,
    pub(in crate::fib) leaving: bool,
}

impl Objects {
    /// Counts that a cell stands otherwise to its installed group now.
    pub(in crate::fib) fn moved(&mut self, was: Stand, is: Stand) {
        if was == is {
            return;
        }
        if let Some(group) = self.group_mut(was.installed) {
            group.installed = group.installed.saturating_sub(1);
            group.leaving = group.leaving.saturating_sub(u32::from(was.leaving));
        }
        if let Some(group) = self.group_mut(is.installed) {
            group.installed = group.installed.saturating_add(1);
            group.leaving = group.leaving.saturating_add(u32::from(is.leaving));
            if is.leaving && group.is_deserted() {
                self.emptied.push(is.installed);
            }
        }
    }

    fn group_mut(&mut self, id: GroupId) -> Option<&mut Group> {
        self.groups.get_mut(id as usize)?.as_mut()
    }

    /// Deletes the objects of groups that all their many routes are about to leave; the kernel drops the routes with
    /// them. Not of an object that other groups use too. Returns the groups.
    ///
    /// # Errors
    /// When the exchange with the kernel failed.
    pub(in crate::fib) fn drop_routes(
        &mut self,
        channel: &mut Channel,
        batch: &mut Batch,
    ) -> io::Result<Vec<GroupId>> {
        let mut dropped = Vec::new();
        for id in std::mem::take(&mut self.emptied) {
            let Some(object) = self.lone_object(id) else { continue };
            channel.prepare(batch);
            nexthop::remove(batch, object);
            let mut refusal = None;
            channel.exchange(batch, |_, error| refusal = Some(error))?;
            if let Some(error) = refusal {
                tracing::debug!(%error, "deleting a next-hop object with its routes");
                self.suspect = true;
                continue;
            }
            self.forget_object(id);
            dropped.push(id);
        }
        Ok(dropped)
    }

    /// The kernel object that nothing but the routes of a deserted group uses.
    fn lone_object(&self, id: GroupId) -> Option<u32> {
        let group = self.group(id).filter(|g| self.enabled && g.is_deserted())?;
        match group.lone() {
            Some(only) => self.hop(only).filter(|h| h.present && h.refs == 1).map(|h| h.id),
            None => Some(group.id).filter(|_| !group.present.is_empty()),
        }
    }

    fn forget_object(&mut self, id: GroupId) {
        let only = self.group(id).and_then(Group::lone);
        if let Some(hop) = only.and_then(|only| self.hop_mut(only)) {
            hop.present = false;
        } else if let Some(group) = self.group_mut(id) {
            group.present.clear();
        }
    }
}

impl Group {
    /// Whether all its routes, and many, are about to be removed.
    fn is_deserted(&self) -> bool {
        self.installed >= MANY && self.leaving == self.installed && self.refs == self.installed
    }
}
