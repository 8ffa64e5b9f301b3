//! Taking failed gateways out of the kernel's groups: one message a group, however many routes use it.

use std::io;
use std::net::IpAddr;

use foldhash::HashSet;
use siskin_net::IfIndex;
use smallvec::SmallVec;

use super::{Group, HopId, Objects};
use crate::channel::Channel;
use crate::fib::table::GroupId;
use crate::wire::batch::Batch;

/// What [`Objects::fail`] did.
pub(in crate::fib) struct Failover {
    /// Groups that the kernel took without the failed members.
    pub(in crate::fib) edited: usize,
    /// Groups that it refused: they are as they were, and another member may be gone.
    pub(in crate::fib) refused: usize,
}

impl Objects {
    /// Takes failed gateways out of the groups that keep another member. [`Objects::restore`] ends it, or that the
    /// group falls out of use; until then nothing puts them back. Called again, it does what was not done before.
    ///
    /// # Errors
    /// When the exchange with the kernel failed: what is not done then is left to [`Objects::heal`].
    pub(in crate::fib) fn fail(
        &mut self,
        gateways: &[(IfIndex, IpAddr)],
        channel: &mut Channel,
        batch: &mut Batch,
    ) -> io::Result<Failover> {
        let failed = self.hops_by(gateways);
        let mut marked = Vec::new();
        if !failed.is_empty() {
            for (group, id) in self.groups.iter_mut().zip(0..).filter_map(|(g, id)| Some((g.as_mut()?, id))) {
                let members = group.dispensable(&failed);
                group.failed.extend_from_slice(&members);
                // What the kernel's group lacks already, since its link is down, only must not come back.
                if members.iter().any(|hop| group.present.contains(hop)) {
                    marked.push((id, members));
                }
            }
        }
        let ids: Vec<GroupId> = marked.iter().map(|(id, _)| *id).collect();
        self.make(&ids, channel, batch, Self::put_group, Self::note_group)?;
        let mut done = Failover { edited: 0, refused: 0 };
        for (id, members) in marked {
            let Some(group) = self.groups.get_mut(id as usize).and_then(Option::as_mut) else { continue };
            if group.error.is_some() {
                group.failed.retain(|hop| !members.contains(hop));
                done.refused += 1;
            } else {
                done.edited += 1;
            }
        }
        Ok(done)
    }

    /// Makes the groups complete again that [`Objects::fail`] changed and that are still in use, and forgets what had
    /// failed: all of it, or these gateways alone. Returns the groups that can be used and could not before.
    ///
    /// # Errors
    /// When the exchange with the kernel failed: what is not done then is left to [`Objects::heal`].
    pub(in crate::fib) fn restore(
        &mut self,
        gateways: Option<&[(IfIndex, IpAddr)]>,
        channel: &mut Channel,
        batch: &mut Batch,
    ) -> io::Result<HashSet<GroupId>> {
        let back = gateways.map(|gateways| self.hops_by(gateways));
        let mut changed = Vec::new();
        for (group, id) in self.groups.iter_mut().zip(0..).filter_map(|(g, id)| Some((g.as_mut()?, id))) {
            let failed = group.failed.len();
            group.failed.retain(|hop| back.as_ref().is_some_and(|back| !back.contains(hop)));
            if group.failed.len() < failed && group.refs > 0 {
                changed.push(id);
            }
        }
        self.complete(&changed, channel, batch)
    }

    /// The hops by these gateways.
    fn hops_by(&self, gateways: &[(IfIndex, IpAddr)]) -> HashSet<HopId> {
        let gateways: HashSet<(IfIndex, IpAddr)> = gateways.iter().copied().collect();
        let hops = self.hops.iter().zip(0..).filter_map(|(h, id)| Some((h.as_ref()?.hop, id)));
        hops.filter(|(h, _)| h.gateway.is_some_and(|gateway| gateways.contains(&(h.interface, gateway))))
            .map(|(_, id)| id)
            .collect()
    }
}

impl Group {
    /// The failed members that are not marked yet, if the kernel's group has another besides.
    fn dispensable(&self, failed: &HashSet<HopId>) -> SmallVec<[HopId; 2]> {
        let gone = |id: &HopId| failed.contains(id) || self.failed.contains(id);
        if self.refs == 0 || self.present.iter().all(gone) {
            return SmallVec::new();
        }
        let members = self.members.iter().map(|(id, _)| *id);
        members.filter(|id| failed.contains(id) && !self.failed.contains(id)).collect()
    }
}
