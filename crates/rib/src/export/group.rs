//! One update group: its members, what it was sent, and what it must look at again.

use std::sync::Arc;

use bytes::BytesMut;
use siskin_bgp::wire::{RefreshKind, RouteRefresh, encode_end_of_rib};
use siskin_net::{Family, FamilyMap, FamilySet, PeerId};

use super::profile::ExportProfile;
use super::sent::{Input, OWN_DEFAULT, Sent};
use super::{Exported, Outbox, Outgoing};
use crate::attrs::{AttrId, Interner};
use crate::bitmap::Bitmap;
use crate::peers::{LimitsTold, Peers};
use crate::table::{DestId, Table};

/// What export looks at beside the group itself.
pub(crate) struct Context<'a> {
    pub(crate) table: &'a Table,
    pub(crate) peers: &'a Peers,
    pub(crate) attrs: &'a mut Interner,
    /// Where messages are written; what is sent are parts of it.
    pub(crate) buffer: &'a mut BytesMut,
}

/// What one member alone must still be told.
#[derive(Clone, Debug, Default)]
pub(super) struct Pending {
    pub(super) due: Bitmap,
    /// Of `due`, those the member has some route for.
    pub(super) had: Bitmap,
}

impl Pending {
    /// The member was not told of a change; `had` says whether it has a route from before.
    pub(super) fn note(&mut self, dest: DestId, had: bool) {
        if self.due.insert(dest) && had {
            self.had.insert(dest);
        }
    }

    /// The member was told the newest state with all others.
    pub(super) fn settle(&mut self, dest: DestId) {
        if self.due.remove(dest) {
            self.had.remove(dest);
        }
    }
}

/// A peer of the group.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) peer: PeerId,
    pub(super) pending: FamilyMap<Pending>,
    /// It has room, and takes part in the group's turn.
    pub(super) ready: bool,
    /// Families whose End-of-RIB it was not sent yet.
    pub(super) end_of_rib_due: FamilySet,
    /// Families of a route refresh whose beginning is to be marked (RFC 7313).
    pub(super) begin_due: FamilySet,
    /// Families of a route refresh whose end is to be marked.
    pub(super) end_due: FamilySet,
    /// Families asked for again before their End-of-RIB, which goes before the mark (RFC 7313 section 4).
    pub(super) refresh_due: FamilySet,
}

impl Member {
    /// A member that was sent nothing yet.
    pub(crate) fn new(peer: PeerId, families: FamilySet) -> Member {
        Member {
            peer,
            pending: FamilyMap::default(),
            ready: false,
            end_of_rib_due: families,
            begin_due: FamilySet::EMPTY,
            end_due: FamilySet::EMPTY,
            refresh_due: FamilySet::EMPTY,
        }
    }
}

/// A group's state of one family.
#[derive(Debug, Default)]
pub(super) struct FamilyState {
    /// Destinations to look at again.
    pub(super) dirty: Bitmap,
    /// Where the next look begins, so that numbers in front cannot starve those behind.
    pub(super) cursor: DestId,
    pub(super) sent: Sent,
    /// Destinations whose entry in `sent` was exported by `previous`, or by nobody knows what.
    pub(super) unsure: Bitmap,
    pub(super) previous: Option<Arc<ExportProfile>>,
    /// The set of the default route made for this group.
    pub(super) own_default: AttrId,
    /// Destinations that would be sent, were it not for the limit of prefixes.
    pub(super) held: Bitmap,
    /// What was told about that limit.
    pub(super) told: LimitsTold,
}

/// Peers that are sent the same.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) profile: Arc<ExportProfile>,
    pub(crate) members: Vec<Member>,
    pub(super) state: FamilyMap<FamilyState>,
}

/// What exporting an input comes to.
pub(super) fn evaluate(
    profile: &ExportProfile,
    input: Input,
    dest: DestId,
    attributes: &siskin_bgp::PathAttributes,
    context: &Context<'_>,
) -> Exported {
    let source = if input.source == OWN_DEFAULT { None } else { context.peers.get(input.source) };
    let route = Outgoing {
        prefix: context.table.dests.prefix(dest),
        attributes,
        source: source.map(|peer| &peer.info),
    };
    profile.export(route)
}

impl Group {
    pub(super) fn new(profile: Arc<ExportProfile>) -> Group {
        Group { profile, members: Vec::new(), state: FamilyMap::default() }
    }

    /// A destination's route changed.
    #[inline]
    pub(crate) fn mark(&mut self, family: Family, dest: DestId) {
        if self.profile.families.contains(family) {
            self.state[family].dirty.insert(dest);
        }
    }

    /// The route the group is to be told of, as things stand.
    #[inline]
    pub(super) fn input(&self, dest: DestId, context: &Context<'_>) -> Option<Input> {
        let family = context.table.family;
        if self.state[family].own_default != AttrId::NONE
            && let Some(own) = self.own_input(family, context.table.dests.prefix(dest))
        {
            return Some(own);
        }
        let best = context.table.best(dest)?;
        Some(Input { attributes: best.accepted()?, source: best.peer })
    }

    /// The default route made for this group, if the prefix is that and the group has one.
    pub(crate) fn own_input(&self, family: Family, prefix: siskin_net::Prefix) -> Option<Input> {
        let attributes = self.state[family].own_default;
        (attributes != AttrId::NONE && prefix.len() == 0).then_some(Input { attributes, source: OWN_DEFAULT })
    }

    /// One turn of a family: the group's changes, then what single members missed, then the marks at their ends. True
    /// if there is more to do.
    pub(crate) fn turn(
        &mut self,
        context: &mut Context<'_>,
        outbox: &mut impl Outbox,
        budget: usize,
    ) -> bool {
        let family = context.table.family;
        self.mark_beginnings(family, outbox);
        let mut more = self.broadcast(context, outbox, budget);
        more |= self.release_held(family);
        for member in 0..self.members.len() {
            let waits = !self.members[member].pending[family].due.is_empty()
                && !self.members[member].begin_due.contains(family);
            if waits && outbox.room(self.members[member].peer) {
                more |= self.catch_up(member, context, outbox, budget);
            }
        }
        self.mark_ends(family, outbox);
        more | self.begin_late_refreshes(family)
    }

    fn mark_beginnings(&mut self, family: Family, outbox: &mut impl Outbox) {
        for member in &mut self.members {
            if member.begin_due.contains(family) && outbox.room(member.peer) {
                member.begin_due = member.begin_due.without(family);
                member.end_due = member.end_due.with(family);
                let mut out = BytesMut::new();
                RouteRefresh { family, kind: RefreshKind::Begin }.encode(&mut out);
                outbox.send(member.peer, out.freeze());
            }
        }
    }

    /// Sends End-of-RIB, and the end of a route refresh, to members that were told everything.
    fn mark_ends(&mut self, family: Family, outbox: &mut impl Outbox) {
        if !self.state[family].dirty.is_empty() {
            return;
        }
        for member in &mut self.members {
            let (first, refreshed) =
                (member.end_of_rib_due.contains(family), member.end_due.contains(family));
            let told = member.pending[family].due.is_empty() && !member.begin_due.contains(family);
            if !(first || refreshed) || !told || !outbox.room(member.peer) {
                continue;
            }
            let mut out = BytesMut::new();
            if first {
                encode_end_of_rib(family, &mut out);
            }
            if refreshed {
                RouteRefresh { family, kind: RefreshKind::End }.encode(&mut out);
            }
            member.end_of_rib_due = member.end_of_rib_due.without(family);
            member.end_due = member.end_due.without(family);
            outbox.send(member.peer, out.freeze());
        }
    }

    /// Begins refreshes that waited for the End-of-RIB; true if there are any.
    fn begin_late_refreshes(&mut self, family: Family) -> bool {
        let due = |m: &Member| m.refresh_due.contains(family) && !m.end_of_rib_due.contains(family);
        let peers: Vec<PeerId> = self.members.iter().filter(|m| due(m)).map(|m| m.peer).collect();
        for peer in &peers {
            self.refresh(family, *peer, true);
        }
        !peers.is_empty()
    }

    /// Whether anything of this group names a destination.
    pub(crate) fn names(&self, family: Family, dest: DestId) -> bool {
        let state = &self.state[family];
        state.dirty.contains(dest)
            || state.sent.get(dest).is_some()
            || self.members.iter().any(|member| member.pending[family].due.contains(dest))
    }

    /// The member that is `peer`.
    pub(crate) fn member(&self, peer: PeerId) -> Option<&Member> {
        self.members.iter().find(|member| member.peer == peer)
    }

    /// Prefixes the peer has been sent, as far as the group as a whole was.
    pub(crate) fn advertised(&self, family: Family, peer: PeerId) -> u64 {
        self.state[family].sent.count_for(peer)
    }

    /// Prefixes that the limit of what is sent holds back.
    pub(crate) fn held(&self, family: Family) -> u64 {
        self.state[family].held.count() as u64
    }

    /// Prefixes that wait to be sent to the peer.
    pub(crate) fn pending(&self, family: Family, peer: PeerId) -> u64 {
        let own = self.member(peer).map_or(0, |member| member.pending[family].due.count());
        (own + self.state[family].dirty.count()) as u64
    }

    /// Whether the newest state of a destination still waits to be sent to the peer.
    pub(crate) fn waits(&self, family: Family, dest: DestId, peer: PeerId) -> bool {
        self.state[family].dirty.contains(dest)
            || self.member(peer).is_some_and(|member| member.pending[family].due.contains(dest))
    }

    /// The input whose export the peer was sent, as far as the group as a whole was.
    pub(crate) fn sent_to(&self, family: Family, dest: DestId, peer: PeerId) -> Option<Input> {
        self.state[family].sent.get(dest).filter(|input| input.source != peer)
    }

    /// Resends everything to one member (RFC 2918); `enhanced`: with marks around it (RFC 7313).
    pub(crate) fn refresh(&mut self, family: Family, peer: PeerId, enhanced: bool) {
        let state = &self.state[family];
        let Some(member) = self.members.iter_mut().find(|member| member.peer == peer) else { return };
        if !self.profile.families.contains(family) {
            return;
        }
        let early = enhanced && member.end_of_rib_due.contains(family);
        member.refresh_due =
            if early { member.refresh_due.with(family) } else { member.refresh_due.without(family) };
        if early {
            return;
        }
        for (dest, input) in state.sent.iter() {
            if input.source != peer {
                member.pending[family].note(dest, true);
            }
        }
        if enhanced {
            member.begin_due = member.begin_due.with(family);
        }
    }

    /// Bytes on the heap.
    pub(crate) fn memory(&self) -> usize {
        let states = self.state.iter().map(|(_, s)| s.dirty.memory() + s.unsure.memory() + s.sent.memory());
        let members = self.members.iter().flat_map(|m| m.pending.iter());
        states.sum::<usize>() + members.map(|(_, p)| p.due.memory() + p.had.memory()).sum::<usize>()
    }
}
