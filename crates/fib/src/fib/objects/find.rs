//! Reading the kernel's next-hop objects: what a previous run left, and what became of ours.

use std::sync::Arc;

use foldhash::{HashMap, HashSet};
use siskin_net::NextHopGroup;
use smallvec::SmallVec;

use super::{HopId, HopObject, Objects, as_hop};
use crate::PROTOCOL;
use crate::channel::Channel;
use crate::error::FibError;
use crate::fib::table::GroupId;
use crate::wire::nexthop::{self, KernelNextHop, NextHopKind, SingleHop};

impl Objects {
    /// Compares with what the kernel has. Returns the groups that are gone, and with them their routes; notes those that
    /// are there and yet may have lost them, because they were gone in between.
    ///
    /// # Errors
    /// As of a dump.
    pub(in crate::fib) fn verify(&mut self, channel: &mut Channel) -> Result<HashSet<GroupId>, FibError> {
        let kernel = read(channel)?;
        self.suspect = false;
        let (struck, fallen) = (std::mem::take(&mut self.struck), std::mem::take(&mut self.fallen));
        let (mut lost_hops, mut odd_hops) = (HashSet::default(), HashSet::default());
        for (hop, id) in self.hops.iter_mut().zip(0..).filter_map(|(h, id)| Some((h.as_mut()?, id))) {
            let found = kernel.get(&hop.id);
            let usurped = found.is_some_and(|k| matches!(k.kind, NextHopKind::Group(_)));
            if hop.present && (found.is_none() || usurped) {
                lost_hops.insert(id);
            }
            let fell = fallen.contains(&hop.hop.interface);
            if hop.present && found.is_some_and(|k| fell || struck.contains(&k.id) || !is_hop(k, &hop.hop)) {
                odd_hops.insert(id);
            }
            if usurped {
                // Ours was deleted and its id given to a group, which none of ours may replace.
                (hop.id, hop.error) = (0, None);
            }
            hop.present = hop.present && found.is_some_and(|k| is_hop(k, &hop.hop));
        }
        let mut lost = HashSet::default();
        for (group, id) in self.groups.iter_mut().zip(0..).filter_map(|(g, id)| Some((g.as_mut()?, id))) {
            if let Some(only) = group.lone() {
                if lost_hops.contains(&only) {
                    lost.insert(id);
                } else if odd_hops.contains(&only) {
                    self.doubtful.insert(id);
                }
            } else {
                let found = kernel.get(&group.id);
                let usurped = found.is_some_and(|k| !matches!(k.kind, NextHopKind::Group(_)));
                if !group.present.is_empty() {
                    if found.is_none() || usurped {
                        lost.insert(id);
                    } else if struck.contains(&group.id) || group.all_on(&fallen, &self.hops) {
                        self.doubtful.insert(id);
                    }
                    group.present = members_in(found, &group.members, &self.hops);
                    if group.present.is_empty() && !lost.contains(&id) {
                        // Its ids lead elsewhere, and its routes go when that does, of which nobody will tell.
                        self.doubtful.insert(id);
                    }
                }
                if usurped {
                    (group.id, group.error) = (0, None);
                }
            }
        }
        self.incomplete = true;
        self.note_strangers(&kernel);
        Ok(lost)
    }

    /// How many hops and members of groups the kernel has, as far as we know.
    pub(in crate::fib) fn count_present(&self) -> usize {
        let members: usize = self.groups.iter().flatten().map(|g| g.present.len()).sum();
        members + self.hops.iter().flatten().filter(|h| h.present).count()
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
    pub(in crate::fib) fn adopt(&mut self, channel: &mut Channel) -> Result<(), FibError> {
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
            // One of another kind cannot be changed into what is wanted.
            let kind = self.resilient.map(|resilient| resilient.buckets);
            if let NextHopKind::Group(members) = &object.kind
                && object.buckets == kind
            {
                self.adopt_group(object.id, members, &single);
            }
        }
        self.note_strangers(&kernel);
        Ok(())
    }

    /// Makes a next-hop object and takes it away again: a kernel, or a sandbox around it, may show objects and yet refuse
    /// to make them.
    ///
    /// # Errors
    /// The kernel's refusal.
    pub(in crate::fib) fn probe(&mut self, channel: &mut Channel) -> Result<(), FibError> {
        if !self.enabled {
            return Ok(());
        }
        let next = self.next;
        let id = self.allocate();
        self.next = next;
        let refused = |source| FibError::Kernel { action: "trying next-hop objects", source };
        channel.request(|batch| nexthop::put_blackhole(batch, id, PROTOCOL)).map_err(refused)?;
        self.taken.remove(&id);
        let tried = self.resilient.map(|resilient| {
            let group = id.wrapping_add(1);
            let put = channel
                .request(|batch| nexthop::put_group(batch, group, PROTOCOL, &[(id, 1)], Some(&resilient)));
            put.and_then(|()| channel.request(|batch| nexthop::remove(batch, group)))
        });
        if let Some(Err(error)) = tried {
            tracing::warn!(%error, "the kernel refuses resilient next-hop groups: plain ones are used");
            self.resilient = None;
        }
        channel.request(|batch| nexthop::remove(batch, id)).map_err(refused)
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
