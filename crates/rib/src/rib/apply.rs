//! Batches become paths: Adj-RIB-In of every peer, with import's verdict.

use siskin_net::{Family, FamilyMap, FamilySet, PeerId, Prefix, RouteSource};
use siskin_policy::{Builtin, RuleId};
use smallvec::SmallVec;

use super::Rib;
use crate::attrs::{AttrId, Interner, encode};
use crate::batch::{Batch, Judged, Operation};
use crate::import::{Check, ImportProfile, SetVerdict};
use crate::peers::{PathCounts, Peer, Peers};
use crate::table::{DestId, Path, PathFlags, PathId, Table};

/// Import's verdict on a path.
pub(super) type Accepted = Result<AttrId, RuleId>;

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
        let mut arrival = Arrival {
            peer: batch.peer,
            session: peer.session,
            resolves: peer.resolves(),
            received: AttrId::NONE,
            accepted: Err(Builtin::DefaultReject.into()),
        };
        let outdated = batch.generation != import.generation;
        let mut ids = vec![AttrId::NONE; batch.sets.len()];
        let mut prefixes = Ahead::new(&batch.prefixes);
        for operation in &batch.operations {
            match *operation {
                Operation::Announce { received, judged, count } => {
                    arrival.received = intern(&batch, received, &mut ids, &mut self.attrs);
                    if outdated {
                        self.store_outdated(&mut arrival, &import, count, &mut prefixes);
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
        for id in ids {
            self.attrs.release(id);
        }
    }

    fn store_outdated(
        &mut self,
        arrival: &mut Arrival,
        import: &ImportProfile,
        count: u32,
        prefixes: &mut Ahead<'_>,
    ) {
        let mut judge = Judge::default();
        for _ in 0..count {
            let Some((prefix, dest)) = prefixes.next(&self.tables) else { break };
            arrival.accepted = judge.judge(import, arrival.peer, arrival.received, prefix, &mut self.attrs);
            self.store(arrival, prefix, dest);
        }
        judge.finish(&mut self.attrs);
    }

    /// Puts a path into the table, in the place of what the peer sent before for this prefix.
    fn store(&mut self, arrival: &Arrival, prefix: Prefix, dest: Option<DestId>) {
        let family = prefix.family();
        let Some(peer) = self.peers.get_mut(arrival.peer) else { return };
        if peer.dropped.contains(family) {
            return;
        }
        let (table, attrs) = (&mut self.tables[family], &mut self.attrs);
        let dest = dest.unwrap_or_else(|| table.find_or_insert(prefix));
        let known = table.path_of(dest, arrival.peer);
        if let Some(id) = known {
            revive(table, peer, arrival.session, dest, id);
        }
        let counts = &mut peer.counts[family];
        match known {
            Some(id) => replace(table, attrs, counts, arrival, dest, id),
            None => {
                let mut path = Path {
                    received: arrival.received,
                    peer: arrival.peer,
                    session: arrival.session,
                    ..Path::default()
                };
                attrs.retain(arrival.received);
                counts.received += 1;
                match arrival.accepted {
                    Ok(accepted) => {
                        path.accepted = accepted;
                        use_set(attrs, accepted, arrival.resolves);
                        counts.accepted += 1;
                        table.dirty.insert(dest);
                    }
                    Err(rule) => {
                        path.accepted = AttrId(rule.0);
                        path.flags.set(PathFlags::REJECTED, true);
                    }
                }
                table.link(dest, path);
            }
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
    };
    match peer.counts_of(path.session, table.family) {
        Some(stale) => {
            stale.received -= own.received;
            stale.accepted -= own.accepted;
            stale.selected -= own.selected;
        }
        None => {
            table.dirty.insert(dest);
        }
    }
    path.session = session;
    let counts = &mut peer.counts[table.family];
    counts.received += own.received;
    counts.accepted += own.accepted;
    counts.selected += own.selected;
}

/// A path the peer sent for a prefix takes the place of the one it sent before.
fn replace(
    table: &mut Table,
    attrs: &mut Interner,
    counts: &mut PathCounts,
    arrival: &Arrival,
    dest: DestId,
    id: PathId,
) {
    let path = table.paths.get_mut(id);
    if path.received != arrival.received {
        attrs.retain(arrival.received);
        attrs.release(std::mem::replace(&mut path.received, arrival.received));
    }
    set_accepted(table, attrs, counts, arrival.resolves, dest, id, arrival.accepted);
}

/// Notes a new verdict on a path.
pub(super) fn set_accepted(
    table: &mut Table,
    attrs: &mut Interner,
    counts: &mut PathCounts,
    resolves: bool,
    dest: DestId,
    id: PathId,
    accepted: Accepted,
) {
    let path = table.paths.get_mut(id);
    let old = path.accepted();
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
        if old.is_none_or(|old| attrs.key(old).next_hop != attrs.key(new).next_hop) {
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
    }
    if path.flags.has(PathFlags::SELECTED) {
        table.dests.disturb(dest);
    }
}

/// Import once more, on what was received. Remembers the last attribute set, where its verdict holds for every prefix.
#[derive(Default)]
pub(super) struct Judge {
    known: Option<(PeerId, AttrId, Accepted)>,
    /// The set given out last, which holds a reference.
    held: AttrId,
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
        if let Some((known_peer, known_set, accepted)) = self.known
            && (known_peer, known_set) == (peer, received)
        {
            return match accepted {
                Ok(_) if import.source == RouteSource::Bgp && !Check::prefix(prefix) => {
                    Err(Builtin::Martian.into())
                }
                accepted => accepted,
            };
        }
        let attributes = attrs.decode(received);
        let verdict = import.judge(&attributes);
        let (outcome, rule) = match &verdict {
            SetVerdict::Accepted(rule, accepted) => (Ok(std::borrow::Cow::Borrowed(&**accepted)), *rule),
            verdict => import.judge_prefix(verdict, prefix),
        };
        let accepted = match outcome {
            Err(()) => Err(rule),
            Ok(accepted) => {
                let mut bytes = Vec::new();
                let encoded = encode(&accepted, import.hash_seed, &mut bytes);
                let id = attrs.intern(&bytes, &encoded);
                attrs.release(std::mem::replace(&mut self.held, id));
                Ok(id)
            }
        };
        self.known = None;
        if matches!(verdict, SetVerdict::AskPolicy(..)) {
            return accepted;
        }
        self.known = Some((peer, received, accepted));
        self.judge(import, peer, received, prefix, attrs)
    }

    /// Gives back what is held.
    pub(super) fn finish(self, attrs: &mut Interner) {
        attrs.release(self.held);
    }
}
