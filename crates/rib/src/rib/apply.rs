//! Batches become paths: Adj-RIB-In of every peer, with import's verdict.

use std::borrow::Cow;

use siskin_net::{Family, FamilyMap, FamilySet, PeerId, Prefix};
use siskin_policy::{Builtin, RuleId};
use smallvec::SmallVec;

use super::Rib;
use crate::attrs::{AttrId, DecisionKey, Interner, encode};
use crate::batch::{Batch, Judged, Operation};
use crate::import::{ImportProfile, LimitAction, PrefixLimits, SetVerdict};
use crate::peers::{PathCounts, Peer, Peers};
use crate::table::{DestId, Path, PathFlags, PathId, Table};

/// Import's verdict on a path.
pub(super) type Accepted = Result<AttrId, RuleId>;

/// What keeps a path out that is beyond the limit of accepted ones.
const BLOCKED: RuleId = RuleId(Builtin::MaxPrefix as u32);

/// Destinations looked up before the first of them is written to.
const AHEAD: usize = 64;

/// The prefixes of a batch with their destinations, looked up some time ahead: one lookup does not depend on another, so
/// the processor waits for many cache misses at once.
struct Ahead<'a> {
    prefixes: std::slice::Iter<'a, Prefix>,
    found: SmallVec<[Option<DestId>; AHEAD]>,
    next: usize,
}

impl Ahead<'_> {
    fn new(prefixes: &[Prefix]) -> Ahead<'_> {
        Ahead { prefixes: prefixes.iter(), found: SmallVec::new(), next: 0 }
    }

    /// The next prefix. One without a destination may have been given one since it was looked up.
    #[inline]
    fn next(&mut self, tables: &FamilyMap<Table>) -> Option<(Prefix, Option<DestId>)> {
        if self.next == self.found.len() {
            let ahead = self.prefixes.as_slice().iter().take(AHEAD);
            self.found.clear();
            self.found.extend(ahead.map(|prefix| tables[prefix.family()].dests.find(*prefix)));
            self.next = 0;
        }
        let prefix = *self.prefixes.next()?;
        let found = *self.found.get(self.next)?;
        self.next += 1;
        Some((prefix, found))
    }
}

/// What all prefixes of a run have in common.
struct Arrival {
    peer: PeerId,
    session: u8,
    /// The peer's packets need a next hop.
    resolves: bool,
    received: AttrId,
    accepted: Accepted,
}

impl Rib {
    /// Applies a batch. One of a peer that is not up is ignored; one that an older generation of the peer's profile
    /// judged is judged again.
    pub fn apply(&mut self, batch: Batch) {
        let Some(peer) = self.peers.get(batch.peer).filter(|peer| peer.up) else { return };
        let import = peer.info.import.clone();
        self.recursion.news();
        let mut arrival = Arrival {
            peer: batch.peer,
            session: peer.session,
            resolves: peer.resolves(),
            received: AttrId::NONE,
            accepted: Err(Builtin::DefaultReject.into()),
        };
        let outdated = batch.generation != import.generation
            || batch.facts != import.facts.generation && import.asks_facts();
        let mut ids = vec![AttrId::NONE; batch.sets.len()];
        let mut prefixes = Ahead::new(&batch.prefixes);
        let mut judge = Judge::default();
        for operation in &batch.operations {
            match *operation {
                Operation::Announce { received, judged, count } => {
                    arrival.received = intern(&batch, received, &mut ids, &mut self.attrs);
                    if outdated {
                        self.store_outdated(&mut arrival, &import, count, &mut prefixes, &mut judge);
                        continue;
                    }
                    arrival.accepted = match judged {
                        Judged::Accepted(set) => Ok(intern(&batch, set, &mut ids, &mut self.attrs)),
                        Judged::Rejected(rule) => Err(rule),
                    };
                    for _ in 0..count {
                        let Some((prefix, dest)) = prefixes.next(&self.tables) else { break };
                        self.store(&arrival, prefix, dest);
                    }
                }
                Operation::Withdraw { count } => {
                    for _ in 0..count {
                        let Some((prefix, dest)) = prefixes.next(&self.tables) else { break };
                        self.withdraw(batch.peer, prefix, dest);
                    }
                }
                Operation::EndOfRib(family) => {
                    if let Some(peer) = self.peers.get_mut(batch.peer) {
                        peer.end_of_rib = peer.end_of_rib.with(family);
                    }
                    // What was not announced again is gone (RFC 4724 section 4.2).
                    self.end_stale(batch.peer, FamilySet::EMPTY.with(family));
                }
                Operation::Drop(family) => self.drop_family(batch.peer, family),
            }
        }
        judge.finish(&mut self.attrs);
        for id in ids {
            self.attrs.release(id);
        }
        self.check_limits(batch.peer);
    }

    fn store_outdated(
        &mut self,
        arrival: &mut Arrival,
        import: &ImportProfile,
        count: u32,
        prefixes: &mut Ahead<'_>,
        judge: &mut Judge,
    ) {
        for _ in 0..count {
            let Some((prefix, dest)) = prefixes.next(&self.tables) else { break };
            arrival.accepted = judge.judge(import, arrival.peer, arrival.received, prefix, &mut self.attrs);
            self.store(arrival, prefix, dest);
        }
    }

    /// Puts a path into the table, in the place of what the peer sent before for this prefix.
    fn store(&mut self, arrival: &Arrival, prefix: Prefix, dest: Option<DestId>) {
        let family = prefix.family();
        let Some(peer) = self.peers.get_mut(arrival.peer) else { return };
        if peer.dropped.contains(family) {
            return;
        }
        let limits = peer.info.import.limits[family];
        let (table, attrs) = (&mut self.tables[family], &mut self.attrs);
        let full = is_full(limits, peer.counts[family].received, limits.received);
        // A prefix that comes twice has a destination by now, though it had none when it was looked up.
        let dest = match dest {
            None if full => table.dests.find(prefix),
            None => Some(table.find_or_insert(prefix)),
            known => known,
        };
        let path = dest.and_then(|dest| Some((dest, table.path_of(dest, arrival.peer)?)));
        if let Some((dest, id)) = path {
            revive(table, peer, arrival.session, dest, id);
        }
        let counts = &mut peer.counts[family];
        match (path, dest) {
            (Some((dest, id)), _) => replace(table, attrs, counts, limits, arrival, dest, id),
            (None, Some(dest)) if !full => {
                let mut path = Path {
                    received: arrival.received,
                    peer: arrival.peer,
                    session: arrival.session,
                    ..Path::default()
                };
                attrs.retain(arrival.received);
                counts.received += 1;
                match limit(arrival.accepted, limits, counts) {
                    Ok(accepted) => {
                        path.accepted = accepted;
                        use_set(attrs, accepted, arrival.resolves);
                        counts.accepted += 1;
                        table.dirty.insert(dest);
                    }
                    Err(rule) => {
                        path.accepted = AttrId(rule.0);
                        path.flags.set(PathFlags::REJECTED, true);
                        counts.blocked += u64::from(rule == BLOCKED);
                    }
                }
                table.link(dest, path);
            }
            (None, _) => counts.refused += 1,
        }
    }

    fn withdraw(&mut self, peer: PeerId, prefix: Prefix, dest: Option<DestId>) {
        let table = &mut self.tables[prefix.family()];
        if let Some(dest) = dest.or_else(|| table.dests.find(prefix))
            && let Some(path) = table.path_of(dest, peer)
        {
            remove(table, &mut self.attrs, &mut self.peers, dest, path);
        }
    }

    /// All routes of one family of a peer go, and no more are taken in this session.
    fn drop_family(&mut self, id: PeerId, family: Family) {
        if let Some(peer) = self.peers.get_mut(id) {
            peer.dropped = peer.dropped.with(family);
            peer.counts[family] = PathCounts::default();
            peer.stale[family] = None;
            self.walks.waiting().sweep = true;
        }
    }
}

/// The id of a set of a batch, interned when it is first asked for. The batch holds one reference.
fn intern(batch: &Batch, set: u32, ids: &mut [AttrId], attrs: &mut Interner) -> AttrId {
    let id = &mut ids[set as usize];
    if *id == AttrId::NONE {
        let set = &batch.sets[set as usize];
        *id = attrs.intern(batch.set_bytes(set), &set.encoded);
    }
    *id
}

/// A path in use takes a reference to its set and an interest in its next hop.
fn use_set(attrs: &mut Interner, id: AttrId, resolves: bool) {
    attrs.retain(id);
    if resolves {
        let next_hop = attrs.key(id).next_hop;
        attrs.next_hops.add_user(next_hop);
    }
}

/// The reverse of [`use_set`].
fn leave_set(attrs: &mut Interner, id: AttrId, resolves: bool) {
    if resolves {
        let next_hop = attrs.key(id).next_hop;
        attrs.next_hops.remove_user(next_hop);
    }
    attrs.release(id);
}

/// Whether one more does not fit a limit that is enforced.
fn is_full(limits: PrefixLimits, count: u64, limit: Option<u32>) -> bool {
    limits.action != LimitAction::Warn && limit.is_some_and(|limit| count >= u64::from(limit))
}

/// The verdict on a path that is not among the accepted ones, as the limit of these allows it.
fn limit(accepted: Accepted, limits: PrefixLimits, counts: &PathCounts) -> Accepted {
    accepted.and_then(
        |set| {
            if is_full(limits, counts.accepted, limits.accepted) { Err(BLOCKED) } else { Ok(set) }
        },
    )
}

/// A path of an earlier session counts for this one from now on: a stale one is confirmed, and one of a dead session that
/// was not swept yet comes to life again.
fn revive(table: &mut Table, peer: &mut Peer, session: u8, dest: DestId, id: PathId) {
    let path = table.paths.get_mut(id);
    if path.session == session {
        return;
    }
    let own = PathCounts {
        received: 1,
        accepted: path.accepted().is_some().into(),
        selected: path.flags.has(PathFlags::MULTIPATH).into(),
        blocked: (path.rejected_by() == Some(BLOCKED)).into(),
        refused: 0,
    };
    match peer.counts_of(path.session, table.family) {
        Some(stale) => stale.subtract(own),
        None => {
            table.dirty.insert(dest);
        }
    }
    path.session = session;
    peer.counts[table.family].add(own);
}

/// A path the peer sent for a prefix takes the place of the one it sent before.
fn replace(
    table: &mut Table,
    attrs: &mut Interner,
    counts: &mut PathCounts,
    limits: PrefixLimits,
    arrival: &Arrival,
    dest: DestId,
    id: PathId,
) {
    let path = table.paths.get_mut(id);
    if path.received != arrival.received {
        attrs.retain(arrival.received);
        attrs.release(std::mem::replace(&mut path.received, arrival.received));
    }
    set_accepted(table, attrs, counts, limits, arrival.resolves, dest, id, arrival.accepted);
}

/// Notes a new verdict on a path.
#[expect(clippy::too_many_arguments, reason = "the table's and the peer's parts of one change")]
pub(super) fn set_accepted(
    table: &mut Table,
    attrs: &mut Interner,
    counts: &mut PathCounts,
    limits: PrefixLimits,
    resolves: bool,
    dest: DestId,
    id: PathId,
    accepted: Accepted,
) {
    let path = table.paths.get_mut(id);
    let old = path.accepted();
    counts.blocked -= u64::from(path.rejected_by() == Some(BLOCKED));
    let accepted = if old.is_none() { limit(accepted, limits, counts) } else { accepted };
    counts.blocked += u64::from(accepted == Err(BLOCKED));
    let new = accepted.ok();
    if let Err(rule) = accepted {
        path.accepted = AttrId(rule.0);
        path.flags.set(PathFlags::REJECTED, true);
    }
    if old == new {
        return;
    }
    if let Some(new) = new {
        use_set(attrs, new, resolves);
        path.accepted = new;
        path.flags.set(PathFlags::REJECTED, false);
        path.flags.set(PathFlags::CHANGED, true);
        let moved = |old: AttrId| {
            let (old, new) = (attrs.key(old), attrs.key(new));
            // What is looked for in the bytes may be another.
            let elsewhere = DecisionKey::BANDWIDTH | DecisionKey::TABLE;
            old.next_hop != new.next_hop || (old.flags | new.flags) & elsewhere != 0
        };
        if old.is_none_or(moved) {
            path.flags.set(PathFlags::MOVED, true);
        }
    } else if path.flags.has(PathFlags::SELECTED) {
        counts.selected -= u64::from(path.flags.has(PathFlags::MULTIPATH));
        path.flags.set(PathFlags::SELECTED, false);
        table.dests.disturb(dest);
    }
    if let Some(old) = old {
        leave_set(attrs, old, resolves);
    }
    counts.accepted += u64::from(new.is_some());
    counts.accepted -= u64::from(old.is_some());
    table.dirty.insert(dest);
}

/// Takes a path out of the table.
pub(super) fn remove(table: &mut Table, attrs: &mut Interner, peers: &mut Peers, dest: DestId, id: PathId) {
    let path = table.unlink(dest, id);
    let resolves = peers.get(path.peer).is_some_and(|peer| peer.resolves());
    attrs.release(path.received);
    if let Some(accepted) = path.accepted() {
        leave_set(attrs, accepted, resolves);
        table.dirty.insert(dest);
    }
    if let Some(counts) = peers.counts_of(&path, table.family) {
        counts.received -= 1;
        counts.accepted -= u64::from(path.accepted().is_some());
        counts.selected -= u64::from(path.flags.has(PathFlags::MULTIPATH));
        counts.blocked -= u64::from(path.rejected_by() == Some(BLOCKED));
    }
    if path.flags.has(PathFlags::SELECTED) {
        table.dests.disturb(dest);
    }
}

/// Attribute sets whose verdict is remembered: paths of several peers alternate in a walk.
const REMEMBERED: usize = 64;

/// Import once more, on what was received. Remembers the verdicts on the last attribute sets.
#[derive(Default)]
pub(super) struct Judge {
    known: Vec<Option<Known>>,
}

/// The verdict on an attribute set of a peer.
struct Known {
    peer: PeerId,
    received: AttrId,
    verdict: SetVerdict<'static>,
    /// The verdict's attributes, interned once some prefix was accepted with them as they are. A reference is held.
    unchanged: AttrId,
    /// The set last made for one prefix alone, which holds a reference, too.
    made: AttrId,
}

impl Judge {
    /// Judges what a peer sent for a prefix. The set returned stays valid until the next call.
    pub(super) fn judge(
        &mut self,
        import: &ImportProfile,
        peer: PeerId,
        received: AttrId,
        prefix: Prefix,
        attrs: &mut Interner,
    ) -> Accepted {
        let known = self.known_of(import, peer, received, attrs);
        let (outcome, rule) = import.judge_prefix(&known.verdict, prefix);
        let Ok(accepted) = outcome else { return Err(rule) };
        let as_is = match &accepted {
            Cow::Borrowed(_) => true,
            Cow::Owned(_) => false,
        };
        if as_is && known.unchanged != AttrId::NONE {
            return Ok(known.unchanged);
        }
        let mut bytes = Vec::new();
        let encoded = encode(&accepted, import.hash_seed, &mut bytes);
        let id = attrs.intern(&bytes, &encoded);
        let slot = if as_is { &mut known.unchanged } else { &mut known.made };
        attrs.release(std::mem::replace(slot, id));
        Ok(id)
    }

    fn known_of(
        &mut self,
        import: &ImportProfile,
        peer: PeerId,
        received: AttrId,
        attrs: &mut Interner,
    ) -> &mut Known {
        self.known.resize_with(REMEMBERED, || None);
        let at = (received.0 as usize ^ usize::from(peer.0)) % REMEMBERED;
        let slot = &mut self.known[at];
        if let Some(old) = slot.take_if(|known| (known.peer, known.received) != (peer, received)) {
            old.release(attrs);
        }
        slot.get_or_insert_with(|| Known {
            peer,
            received,
            verdict: import.judge(&attrs.decode(received)).into_owned(),
            unchanged: AttrId::NONE,
            made: AttrId::NONE,
        })
    }

    /// Gives back what is held.
    pub(super) fn finish(self, attrs: &mut Interner) {
        self.known.into_iter().flatten().for_each(|known| known.release(attrs));
    }
}

impl Known {
    fn release(self, attrs: &mut Interner) {
        attrs.release(self.unchanged);
        attrs.release(self.made);
    }
}
