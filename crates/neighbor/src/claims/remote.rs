//! Other routers: what they announce of our addresses, who yields to whom, and what is remembered of moves.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;

use siskin_net::{BgpIdentifier, Timestamp};

use super::config::{Guard, MOVES, MOVES_WITHIN};
use super::domain::forget;
use super::machine::{Event, Rival, Rules, State};
use super::mobility::{Remote, binding_of};
use super::output::NoticeKind;
use super::table::Key;
use super::{Claims, Refusal};
use crate::Mac;

/// Addresses of which other routers' routes are known. What comes beyond is not taken in, and counted.
pub const MAX_REMOTES: usize = 262_144;

/// Moves remembered for people.
const HISTORY: usize = 20;

/// The last moves of one address between routers: one less than freezes it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Window([Option<Timestamp>; MOVES - 1]);

impl Window {
    /// Whether one more move now is one too many.
    pub(super) fn exhausted(&self, now: Timestamp) -> bool {
        self.0.iter().all(|at| at.is_some_and(|at| now.since(at) < MOVES_WITHIN))
    }

    pub(super) fn record(&mut self, now: Timestamp) {
        self.0.rotate_left(1);
        if let Some(last) = self.0.last_mut() {
            *last = Some(now);
        }
    }
}

/// What was counted of moves between routers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MoveCounters {
    /// Addresses taken over from another router.
    pub taken_over: u64,
    /// Addresses withdrawn in favour of another router.
    pub yielded: u64,
    /// Addresses that moved too often and were frozen.
    pub frozen: u64,
    /// Times an owner was alive here while another router announced its address.
    pub duplicates: u64,
    /// Addresses of other routers not taken in, because there were too many.
    pub remotes_refused: u64,
}

/// One move, as people see it afterwards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MoveRecord {
    /// When it happened.
    pub at: Timestamp,
    /// The domain: the name of its interface.
    pub domain: Arc<str>,
    /// The address.
    pub address: IpAddr,
    /// Its owner's MAC address, as known here.
    pub mac: Mac,
    /// [`NoticeKind::TakenOver`], [`NoticeKind::Yielded`], [`NoticeKind::Frozen`], [`NoticeKind::Duplicate`] or,
    /// between ports of ours, [`NoticeKind::Moved`].
    pub kind: NoticeKind,
    /// The other router.
    pub remote: Option<BgpIdentifier>,
    /// The sequence number after it.
    pub sequence: u32,
}

impl Claims {
    /// Says which BGP Identifier is ours: between equal sequence numbers the lower one wins.
    pub fn set_identifier(&mut self, identifier: BgpIdentifier, now: Timestamp) {
        if self.identifier == identifier {
            return;
        }
        self.identifier = identifier;
        self.hear_all_remotes(now);
    }

    /// Weighs all claims against what others announce, when the weights have changed.
    pub(super) fn hear_all_remotes(&mut self, now: Timestamp) {
        let known: Vec<(Key, Remote)> = self
            .claims
            .keys()
            .filter_map(|key| self.remotes.get(&key.1).map(|remote| (*key, *remote)))
            .collect();
        for (key, remote) in known {
            self.hear_remote(key, remote, now);
        }
    }

    /// Says what others announce for an address; `None`: nobody does any more. A route of our own that came back is
    /// nobody's.
    pub fn remote(&mut self, address: IpAddr, remote: Option<Remote>, now: Timestamp) {
        let remote = remote.filter(|remote| remote.originator != self.identifier);
        let before = self.remotes.get(&address).copied();
        if before == remote {
            return;
        }
        match remote {
            Some(remote) => {
                if self.remotes.len() >= MAX_REMOTES && !self.remotes.contains_key(&address) {
                    self.move_counters.remotes_refused += 1;
                    return;
                }
                self.forget_remote(address);
                self.remotes.insert(address, remote);
                if let Some(binding) = remote.binding {
                    self.remotes_by_binding.entry(binding).or_default().push(address);
                }
            }
            None => self.forget_remote(address),
        }
        let holders = self.by_address.get(&address).into_iter().flatten();
        let keys: Vec<Key> = holders.map(|id| (*id, address)).collect();
        for key in keys {
            if let Some(claim) = self.claims.get_mut(&key).filter(|claim| !claim.state.is_here()) {
                claim.sequence = claim.sequence.max(before.map_or(0, |before| before.sequence));
            }
            match remote {
                Some(remote) => self.hear_remote(key, remote, now),
                None => self.miss_remote(key, now),
            }
        }
    }

    pub(super) fn forget_remote(&mut self, address: IpAddr) {
        if let Some(binding) = self.remotes.remove(&address).and_then(|remote| remote.binding) {
            forget(&mut self.remotes_by_binding, &binding, address);
        }
    }

    /// The addresses that other routers announce for `mac`.
    pub(super) fn announced_elsewhere_for(&self, mac: Mac) -> impl Iterator<Item = IpAddr> {
        self.remotes_by_binding.get(&binding_of(mac)).into_iter().flatten().copied()
    }

    pub(super) fn hear_remote(&mut self, key: Key, remote: Remote, now: Timestamp) {
        let (identifier, open) = (self.identifier, self.is_open(key));
        let Some(claim) = self.claims.get(&key) else { return };
        if !claim.state.is_here() {
            return;
        }
        let event = if claim.leaving.is_none() && !remote.beats(claim.sequence, identifier) {
            if !matches!(claim.state, State::Contested { rival: Rival::Elsewhere, .. }) {
                return;
            }
            // It is no rival any more.
            Event::RemoteGone
        } else if !open && claim.leaving.is_none() && remote.contradicts(claim.owner.mac) {
            Event::Dispute
        } else {
            Event::Yield
        };
        let _never_refused = self.advance(key, event, None, now);
    }

    fn miss_remote(&mut self, key: Key, now: Timestamp) {
        match self.claims.get(&key).map(|claim| claim.state) {
            // One search for all that a router that is gone announced.
            Some(State::Standby { quiet: false }) => self.seek(key.0, now),
            Some(_) => self.port_event(key, Event::RemoteGone, now),
            None => {}
        }
    }

    pub(super) fn is_open(&self, key: Key) -> bool {
        self.domains.get(&key.0).is_some_and(|domain| domain.config.guard == Guard::Open)
    }

    /// The rules of the machine for a claim now.
    pub(super) fn rules(&self, key: Key, mac: Mac, now: Timestamp) -> Option<Rules> {
        let rules = self.domains.get(&key.0)?.rules(key.1, mac);
        let exhausted = self.claims.get(&key).is_some_and(|claim| claim.window.exhausted(now));
        Some(Rules { remote: self.remotes.contains_key(&key.1), exhausted, ..rules })
    }

    /// Whether `mac` may take `key` over from the router that announces it, if one does: it has to be the MAC address
    /// that router names, one declared here, or, where that router names none, the one bound here before.
    pub(super) fn may_take_over(&self, key: Key, mac: Mac) -> Result<(), Refusal> {
        let Some(remote) = self.remotes.get(&key.1) else { return Ok(()) };
        let claim = self.claims.get(&key);
        let declared = self.domains.get(&key.0).is_some_and(|d| d.declared(key.1).is_some());
        if declared || self.is_open(key) || claim.is_some_and(|claim| claim.state.is_here()) {
            return Ok(());
        }
        let bound = claim.is_some_and(|c| c.owner.mac == mac && !matches!(c.state, State::Candidate { .. }));
        if remote.confirms(mac) || bound && !remote.contradicts(mac) {
            Ok(())
        } else {
            Err(Refusal::Conflict)
        }
    }

    /// Counts and remembers something that happened between routers, or between ports.
    pub(super) fn record(&mut self, key: Key, mac: Mac, kind: NoticeKind, now: Timestamp) {
        match kind {
            NoticeKind::TakenOver => self.move_counters.taken_over += 1,
            NoticeKind::Yielded => self.move_counters.yielded += 1,
            NoticeKind::Frozen => self.move_counters.frozen += 1,
            NoticeKind::Duplicate => self.move_counters.duplicates += 1,
            NoticeKind::Moved => {}
            NoticeKind::Refused(..) | NoticeKind::Silent | NoticeKind::Mended => return,
        }
        let Some(domain) = self.domains.get(&key.0).map(|domain| domain.name.clone()) else { return };
        let remote = self.remotes.get(&key.1);
        let sequence = self.claims.get(&key).map_or(0, |claim| claim.sequence);
        if self.history.len() >= HISTORY {
            self.history.pop_front();
        }
        let remote = remote.filter(|_| kind != NoticeKind::Moved).map(|remote| remote.originator);
        self.history.push_back(MoveRecord { at: now, domain, address: key.1, mac, kind, remote, sequence });
    }

    /// The last 20 moves and duplicates, the oldest first.
    #[must_use]
    pub fn history(&self) -> &VecDeque<MoveRecord> {
        &self.history
    }

    /// What was counted since the start.
    #[must_use]
    pub fn move_counters(&self) -> MoveCounters {
        self.move_counters
    }

    /// What another router announces for an address.
    #[must_use]
    pub fn remote_of(&self, address: IpAddr) -> Option<Remote> {
        self.remotes.get(&address).copied()
    }
}
