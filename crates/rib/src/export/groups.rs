//! All update groups: who is in which, and how peers come, go and change their profile.

use std::sync::Arc;

use bytes::BytesMut;
use siskin_bgp::PathAttributes;
use siskin_net::{Family, FamilyMap, PeerId, Prefix};

use super::Outbox;
use super::group::{Context, Group, Member};
use super::profile::ExportProfile;
use super::sent::Sent;
use crate::attrs::{AttrId, Interner, encode};
use crate::peers::Peers;
use crate::table::{DestId, Table};

/// All update groups.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    list: Vec<Group>,
    /// What groups without members were sent: given back in slices.
    remains: Vec<Sent>,
    /// Changes of profiles that wait for the next turn, so that members that change together stay together.
    moves: Vec<(PeerId, ExportProfile)>,
    /// The group whose turn begins the next round.
    first: usize,
    buffer: BytesMut,
}

/// What joining and moving look at.
pub(crate) struct Tables<'a> {
    pub(crate) tables: &'a mut FamilyMap<Table>,
    pub(crate) attrs: &'a mut Interner,
    pub(crate) hash_seed: u64,
}

impl Groups {
    /// A destination's route changed.
    #[inline]
    pub(crate) fn mark(&mut self, family: Family, dest: DestId) {
        for group in &mut self.list {
            group.mark(family, dest);
        }
    }

    /// The group of a peer.
    pub(crate) fn of(&self, peer: PeerId) -> Option<&Group> {
        self.list.iter().find(|group| group.member(peer).is_some())
    }

    pub(super) fn list_mut(&mut self) -> impl Iterator<Item = &mut Group> {
        self.list.iter_mut()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Group> {
        self.list.iter()
    }

    /// A peer that was sent nothing yet.
    pub(crate) fn join(&mut self, peer: PeerId, profile: ExportProfile, world: &mut Tables<'_>) {
        let mut member = Member::new(peer, profile.families);
        let index = self.position(&profile).unwrap_or_else(|| self.create(Arc::new(profile), world));
        let group = &mut self.list[index];
        for (family, state) in group.state.iter() {
            for (dest, input) in state.sent.iter() {
                if input.source != peer {
                    member.pending[family].note(dest, false);
                }
            }
        }
        group.members.push(member);
    }

    fn position(&self, profile: &ExportProfile) -> Option<usize> {
        self.list.iter().position(|group| *group.profile == *profile)
    }

    /// A new group that must look at everything.
    fn create(&mut self, profile: Arc<ExportProfile>, world: &mut Tables<'_>) -> usize {
        let mut group = Group::new(profile);
        group.look_at_everything(world);
        self.list.push(group);
        self.list.len() - 1
    }

    /// A peer that is gone.
    pub(crate) fn leave(&mut self, peer: PeerId, attrs: &mut Interner) {
        self.moves.retain(|(id, _)| *id != peer);
        if let Some(index) = self.list.iter().position(|group| group.member(peer).is_some()) {
            self.list[index].members.retain(|member| member.peer != peer);
            self.remove_if_empty(index, attrs);
        }
    }

    fn remove_if_empty(&mut self, index: usize, attrs: &mut Interner) {
        if self.list[index].members.is_empty() {
            let mut group = self.list.swap_remove(index);
            for (_, state) in group.state.iter_mut() {
                attrs.release(state.own_default);
                self.remains.push(std::mem::take(&mut state.sent));
            }
        }
    }

    /// A peer's profile changes with the next turn.
    pub(crate) fn change(&mut self, peer: PeerId, profile: ExportProfile) {
        self.moves.retain(|(id, _)| *id != peer);
        self.moves.push((peer, profile));
    }

    /// Carries out changes of profiles until one cost a look at a whole table; true if there are more.
    pub(crate) fn apply_changes(&mut self, world: &mut Tables<'_>) -> bool {
        let mut moves = std::mem::take(&mut self.moves);
        while let Some((peer, profile)) = moves.pop() {
            let Some(from) = self.list.iter().position(|group| group.member(peer).is_some()) else {
                continue;
            };
            if *self.list[from].profile == profile {
                // Equal, but the rules may have new numbers.
                self.list[from].profile = Arc::new(profile);
                continue;
            }
            let together = |member: &Member| {
                member.peer == peer || moves.iter().any(|(id, other)| *id == member.peer && *other == profile)
            };
            let all = self.list[from].members.iter().all(together);
            match self.position(&profile) {
                Some(to) => self.transfer(peer, from, to, world.attrs),
                None if all => {
                    let members: Vec<PeerId> = self.list[from].members.iter().map(|m| m.peer).collect();
                    moves.retain(|(id, _)| !members.contains(id));
                    self.list[from].change_profile(Arc::new(profile), world);
                }
                None => self.split(peer, from, Arc::new(profile), world),
            }
            break;
        }
        self.moves = moves;
        !self.moves.is_empty()
    }

    /// Moves a member to a group that exists: it is told everything of that group again.
    fn transfer(&mut self, peer: PeerId, from: usize, to: usize, attrs: &mut Interner) {
        let Some(at) = self.list[from].members.iter().position(|member| member.peer == peer) else { return };
        let mut member = self.list[from].members.swap_remove(at);
        for family in Family::ALL {
            let pending = &mut member.pending[family];
            for (dest, input) in self.list[from].state[family].sent.iter() {
                if input.source != peer {
                    pending.note(dest, true);
                }
            }
            for (dest, input) in self.list[to].state[family].sent.iter() {
                if input.source != peer {
                    pending.note(dest, false);
                }
            }
        }
        self.list[to].members.push(member);
        self.remove_if_empty(from, attrs);
    }

    /// Makes a new group of one member of another, that remembers what was sent to it.
    fn split(&mut self, peer: PeerId, from: usize, profile: Arc<ExportProfile>, world: &mut Tables<'_>) {
        let old = &mut self.list[from];
        let Some(at) = old.members.iter().position(|member| member.peer == peer) else { return };
        let mut group = Group::new(old.profile.clone());
        group.members.push(old.members.swap_remove(at));
        for (family, state) in group.state.iter_mut() {
            state.sent = old.state[family].sent.clone();
            state.unsure = old.state[family].unsure.clone();
            state.previous = old.state[family].previous.clone();
            for (_, input) in state.sent.iter() {
                world.attrs.retain(input.attributes);
            }
        }
        group.change_profile(profile, world);
        self.list.push(group);
    }

    /// Who a route came from changed its face: nothing that was exported can be relied on.
    pub(crate) fn doubt_everything(&mut self, world: &mut Tables<'_>) {
        for group in &mut self.list {
            group.doubt_everything(world);
        }
    }

    /// Facts changed that the route of a destination may depend on: groups whose policy asks for facts look at it again.
    pub(crate) fn mark_asking(&mut self, family: Family, dest: DestId) {
        for group in self.list.iter_mut().filter(|group| group.profile.asks_facts()) {
            group.mark(family, dest);
            let state = &mut group.state[family];
            state.previous = None;
            state.unsure.insert(dest);
        }
    }

    /// As [`Groups::mark_asking`], for every destination.
    pub(crate) fn doubt_asking(&mut self, world: &mut Tables<'_>) {
        for group in self.list.iter_mut().filter(|group| group.profile.asks_facts()) {
            group.doubt_everything(world);
        }
    }

    /// Sends a peer everything again.
    pub(crate) fn refresh(&mut self, peer: PeerId, family: Family, enhanced: bool) {
        if let Some(group) = self.list.iter_mut().find(|group| group.member(peer).is_some()) {
            group.refresh(family, peer, enhanced);
        }
    }

    /// Gives every group its turn. True if there is more to do.
    pub(crate) fn turn(
        &mut self,
        tables: &FamilyMap<Table>,
        peers: &Peers,
        attrs: &mut Interner,
        outbox: &mut impl Outbox,
        budget: usize,
    ) -> bool {
        let mut more = self.release_remains(attrs, budget);
        let count = self.list.len();
        for n in 0..count {
            let group = &mut self.list[(self.first + n) % count];
            for (_, table) in tables.iter() {
                let mut context = Context { table, peers, attrs, buffer: &mut self.buffer };
                more |= group.turn(&mut context, outbox, budget);
            }
        }
        self.first = (self.first + 1) % count.max(1);
        more
    }

    fn release_remains(&mut self, attrs: &mut Interner, budget: usize) -> bool {
        let mut left = budget;
        while left > 0 {
            let Some(sent) = self.remains.last_mut() else { return false };
            if !sent.release_some(&mut left, |input| attrs.release(input.attributes)) {
                self.remains.pop();
            }
        }
        !self.remains.is_empty()
    }

    /// Whether any group names a destination.
    pub(crate) fn names(&self, family: Family, dest: DestId) -> bool {
        self.list.iter().any(|group| group.names(family, dest))
    }

    /// Bytes on the heap.
    pub(crate) fn memory(&self) -> usize {
        self.list.iter().map(Group::memory).sum::<usize>()
            + self.remains.iter().map(Sent::memory).sum::<usize>()
            + self.buffer.capacity()
    }
}

impl Group {
    fn look_at_everything(&mut self, world: &mut Tables<'_>) {
        for family in self.profile.families.iter() {
            let table = &mut world.tables[family];
            let state = &mut self.state[family];
            world.attrs.release(state.own_default);
            state.own_default = AttrId::NONE;
            if self.profile.default_originate.contains(family)
                && let Some(own) = self.profile.self_next_hop[family]
            {
                let mut attributes = PathAttributes::originated(own.address);
                attributes.next_hop = own;
                let mut bytes = Vec::new();
                let encoded = encode(&attributes, world.hash_seed, &mut bytes);
                state.own_default = world.attrs.intern(&bytes, &encoded);
                table.reserve(Prefix::default_route(family));
            }
            state.dirty.extend((0..table.dests.end()).filter(|dest| table.dests.in_use(*dest)));
        }
    }

    /// Looks at everything again, with no memory of how it was exported.
    fn doubt_everything(&mut self, world: &mut Tables<'_>) {
        for (_, state) in self.state.iter_mut() {
            state.previous = None;
            let sent = &state.sent;
            state.unsure.extend(sent.iter().map(|(dest, _)| dest));
        }
        self.look_at_everything(world);
    }

    /// Exports everything by another profile from now on; what comes out the same is not sent again.
    fn change_profile(&mut self, profile: Arc<ExportProfile>, world: &mut Tables<'_>) {
        let old = std::mem::replace(&mut self.profile, profile);
        for (_, state) in self.state.iter_mut() {
            state.previous = state.unsure.is_empty().then(|| old.clone());
            let sent = &state.sent;
            state.unsure.extend(sent.iter().map(|(dest, _)| dest));
        }
        self.look_at_everything(world);
    }
}
