//! The claims themselves, their indexes by port, MAC address and deadline, and what follows from a change of one.
//!
//! Every change of a claim goes through [`Claims::settle`], which compares what was in the kernel and in BGP with what
//! has to be: the order of installing and removing is written there, once.

use std::net::IpAddr;
use std::time::Duration;

use siskin_net::{IfIndex, Timestamp};

use super::domain::DomainId;
use super::machine::{self, Binding, Deadline, Event, Remark, State, Step};
use super::output::{Action, NoticeKind, Output, Refusal};
use super::rate::Bucket;
use super::{Claims, EvidenceKind, MAX_CLAIMS, NOTICE_BURST, NOTICE_INTERVAL};
use crate::Mac;

/// What a claim is about.
pub(super) type Key = (DomainId, IpAddr);

/// What a deadline belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// A claim's next look.
    Claim(Key),
    /// A port without carrier.
    Carrier(IfIndex),
    /// The gateway's next announcement on a port.
    Greeting(IfIndex),
    /// The next round of looking for silent declared VMs.
    Seek(DomainId),
}

/// One address and its owner.
#[derive(Clone, Copy, Debug)]
pub(super) struct Claim {
    pub(super) state: State,
    pub(super) owner: Binding,
    /// The domain's interface when the claim was made; it does not outlive it.
    pub(super) interface: IfIndex,
    pub(super) deadline: Option<Timestamp>,
    /// When it came into its state.
    pub(super) since: Timestamp,
    pub(super) evidence: EvidenceKind,
    pub(super) evidence_at: Timestamp,
    pub(super) probes_sent: u64,
    pub(super) moves: u64,
    pub(super) move_budget: Bucket,
    pub(super) mend_budget: Bucket,
    notice_budget: Bucket,
    /// That its owner is silent was told, and it has not spoken since.
    silence_told: bool,
}

impl Claim {
    fn new(
        interface: IfIndex,
        (state, owner): (State, Binding),
        evidence: EvidenceKind,
        now: Timestamp,
    ) -> Claim {
        Claim {
            state,
            owner,
            interface,
            deadline: None,
            since: now,
            evidence,
            evidence_at: now,
            probes_sent: 0,
            moves: 0,
            move_budget: Bucket::default(),
            mend_budget: Bucket::default(),
            notice_budget: Bucket::default(),
            silence_told: false,
        }
    }

    fn in_kernel(&self) -> Option<(IfIndex, Mac)> {
        self.state.in_kernel().then_some((self.interface, self.owner.mac))
    }
}

fn due(deadline: Deadline, before: Option<Timestamp>, now: Timestamp) -> Option<Timestamp> {
    match deadline {
        Deadline::Keep => before,
        // A configured zero must not make a timer that is due again at once.
        Deadline::In(wait) => Some(now + wait.max(Duration::from_millis(1))),
    }
}

impl Claims {
    /// A first claim to an address nobody has.
    pub(super) fn begin(
        &mut self,
        key: Key,
        at: Binding,
        kind: EvidenceKind,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let domain = self.domains.get(&key.0).ok_or(Refusal::InterfaceDown)?;
        let interface = domain.link_up().ok_or(Refusal::InterfaceDown)?.index;
        let step = machine::begin(at, kind.is_tentative(), &domain.rules(key.1));
        self.enter(key, &step, at, (interface, kind), now)
    }

    fn enter(
        &mut self,
        key: Key,
        step: &Step,
        at: Binding,
        (interface, kind): (IfIndex, EvidenceKind),
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let tentative = matches!(step.next, Some((State::Candidate { .. }, _)));
        if self.claims.len() >= MAX_CLAIMS {
            return Err(Refusal::TotalLimit);
        }
        if let Some(port) = at.port {
            self.make_room(port, tentative, now)?;
        }
        if let Some(next) = step.next {
            let mut claim = Claim::new(interface, next, kind, now);
            claim.deadline = due(step.deadline, None, now);
            self.settle(key, Some(claim), now);
        }
        Ok(())
    }

    pub(super) fn insert_adopted(&mut self, key: Key, step: Step, interface: IfIndex, now: Timestamp) {
        if let Some(next) = step.next {
            let mut claim = Claim::new(interface, next, EvidenceKind::Adopted, now);
            claim.deadline = due(step.deadline, None, now);
            self.settle(key, Some(claim), now);
        }
    }

    /// Moves a claim through the table. `kind`: the evidence behind the event, if it is evidence.
    pub(super) fn advance(
        &mut self,
        key: Key,
        event: Event,
        kind: Option<EvidenceKind>,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let Some(before) = self.claims.get(&key).copied() else { return Ok(()) };
        let Some(rules) = self.domains.get(&key.0).map(|d| d.rules(key.1)) else { return Ok(()) };
        let mut step = machine::step(before.state, before.owner, event, &rules);
        if let Some((_, owner)) = step.next
            && let Some(there) = owner.port.and_then(|port| self.ports.get(&port)).map(|port| port.domain)
            && there != key.0
        {
            return self.change_domain(key, (there, key.1), (owner, kind), now);
        }
        if let Some((state, Binding { port: Some(port), .. })) = step.next
            && before.owner.port != Some(port)
        {
            match self.make_room(port, matches!(state, State::Candidate { .. }), now) {
                Ok(()) => {}
                Err(refusal) if kind.is_some() => return Err(refusal),
                // A rival that may not have one more address leaves nobody to own it.
                Err(_) => step.next = None,
            }
        }
        let after = step.next.map(|next| before.stepped(next, &step, kind, now));
        self.settle(key, after, now);
        if step.probe
            && self.probe(key.0, before.owner.port, before.owner.mac, key.1)
            && let Some(claim) = self.claims.get_mut(&key)
        {
            claim.probes_sent += 1;
        }
        self.remark(key, &before, step.remark, now);
        Ok(())
    }

    /// The address goes to a port of another domain: to another interface, that is.
    fn change_domain(
        &mut self,
        from: Key,
        to: Key,
        (owner, kind): (Binding, Option<EvidenceKind>),
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let Some(before) = self.claims.get(&from).copied() else { return Ok(()) };
        self.settle(from, None, now);
        let domain = self.domains.get(&to.0).ok_or(Refusal::InterfaceDown)?;
        domain.permits(to.1, owner.mac)?;
        let interface = domain.link_up().ok_or(Refusal::InterfaceDown)?.index;
        let step = machine::begin(owner, false, &domain.rules(to.1));
        self.enter(to, &step, owner, (interface, kind.unwrap_or(before.evidence)), now)?;
        if let Some(claim) = self.claims.get_mut(&to) {
            claim.moves = before.moves.saturating_add(1);
            claim.move_budget = before.move_budget;
            claim.notice_budget = before.notice_budget;
        }
        self.remark(to, &before, Some(Remark::Moved), now);
        Ok(())
    }

    fn remark(&mut self, key: Key, before: &Claim, remark: Option<Remark>, now: Timestamp) {
        let kind = match remark {
            Some(Remark::Silent) if !before.silence_told => NoticeKind::Silent,
            Some(Remark::Moved) => NoticeKind::Moved,
            Some(Remark::Defended) => {
                if let State::Contested { rival, .. } = before.state {
                    self.refuse(rival, Some(key.1), Refusal::WrongPort, now);
                }
                return;
            }
            Some(Remark::Silent) | None => return,
        };
        let mut owner = before.owner;
        if let Some(claim) = self.claims.get_mut(&key) {
            owner = claim.owner;
            if !claim.notice_budget.take(now, NOTICE_INTERVAL, NOTICE_BURST) {
                return;
            }
        }
        self.notice(key.0, owner.port, owner.mac, Some(key.1), kind);
    }

    /// A deadline of a claim has come.
    pub(super) fn claim_due(&mut self, key: Key, now: Timestamp) {
        if let Some(claim) = self.claims.get_mut(&key) {
            claim.deadline = None;
        }
        if !self.drop_lost_rival(key, now) {
            let _never_refused = self.advance(key, Event::Timeout, None, now);
        }
    }

    /// A port event of a claim's owner.
    pub(super) fn port_event(&mut self, key: Key, event: Event, now: Timestamp) {
        self.drop_lost_rival(key, now);
        let _never_refused = self.advance(key, event, None, now);
    }

    /// Ends a contest whose rival is not there any more; whether it was so.
    fn drop_lost_rival(&mut self, key: Key, now: Timestamp) -> bool {
        let Some(State::Contested { rival, .. }) = self.claims.get(&key).map(|c| c.state) else {
            return false;
        };
        let lost = !rival.port.and_then(|p| self.ports.get(&p)).is_some_and(|p| p.up);
        if lost {
            let _never_refused = self.advance(key, Event::RivalLost, None, now);
        }
        lost
    }

    /// Makes sure that one more address fits `port`: the oldest one that is gone, or only wanted, makes room.
    fn make_room(&mut self, port: IfIndex, candidate: bool, now: Timestamp) -> Result<(), Refusal> {
        let Some(at) = self.ports.get(&port) else { return Err(Refusal::PortLimit) };
        let Some(domain) = self.domains.get(&at.domain) else { return Err(Refusal::PortLimit) };
        let limits = domain.config.limits;
        let bound = || {
            let keys = at.addresses.iter().map(|address| (at.domain, *address));
            keys.filter_map(|key| self.claims.get(&key).map(|claim| (key, claim)))
        };
        let is_candidate = |claim: &Claim| matches!(claim.state, State::Candidate { .. });
        let candidates = bound().filter(|(_, claim)| is_candidate(claim)).count();
        let oldest = |wanted: &dyn Fn(&Claim) -> bool| {
            bound().filter(|(_, c)| wanted(c)).min_by_key(|(_, c)| c.since).map(|(key, _)| key)
        };
        let victim = if candidate && candidates >= limits.candidates_per_port {
            oldest(&is_candidate)
        } else if at.addresses.len() >= limits.per_port {
            oldest(&|claim| !claim.state.in_kernel())
        } else {
            return Ok(());
        };
        let victim = victim.ok_or(Refusal::PortLimit)?;
        self.settle(victim, None, now);
        Ok(())
    }

    /// Stores a claim, or drops it, and puts out what kernel, BGP and VM must hear of it.
    pub(super) fn settle(&mut self, key: Key, after: Option<Claim>, now: Timestamp) {
        let before = match after {
            Some(claim) => self.claims.insert(key, claim),
            None => self.claims.remove(&key),
        };
        self.index(key, before.as_ref(), after.as_ref());
        let Some(domain) = self.domains.get(&key.0).map(|d| d.name.clone()) else { return };
        let address = key.1;
        let was_announced = before.is_some_and(|c| c.state.announced());
        let is_announced = after.is_some_and(|c| c.state.announced());
        let was_installed = before.and_then(|c| c.in_kernel());
        let is_installed = after.and_then(|c| c.in_kernel());
        let mut act = |action| self.outputs.push(Output::Action(action));
        if was_announced && !is_announced {
            act(Action::Withdraw { domain: domain.clone(), address });
        }
        if was_installed != is_installed {
            match (was_installed, is_installed) {
                (_, Some((interface, mac))) => act(Action::Install { interface, address, mac }),
                (Some((interface, _)), None) => act(Action::Remove { interface, address }),
                (None, None) => {}
            }
        }
        if let Some(claim) = after.filter(|_| is_announced) {
            let same_port = before.is_some_and(|b| b.owner.port == claim.owner.port);
            if !was_announced {
                act(Action::Announce { domain, interface: claim.interface, address });
            }
            if let Some(port) = claim.owner.port.filter(|_| !was_announced || !same_port) {
                self.greet(port, now);
            }
        }
    }

    fn index(&mut self, key: Key, before: Option<&Claim>, after: Option<&Claim>) {
        let (was, is) = (before.map(|c| c.owner), after.map(|c| c.owner));
        if was != is {
            if let Some(owner) = was {
                if let Some(port) = owner.port.and_then(|port| self.ports.get_mut(&port)) {
                    port.unbind(key.1);
                }
                let place = (key.0, owner.mac);
                if let Some(addresses) = self.by_mac.get_mut(&place) {
                    addresses.retain(|a| *a != key.1);
                    if addresses.is_empty() {
                        self.by_mac.remove(&place);
                    }
                }
            }
            if let Some(owner) = is {
                if let Some(port) = owner.port.and_then(|port| self.ports.get_mut(&port)) {
                    port.addresses.push(key.1);
                }
                self.by_mac.entry((key.0, owner.mac)).or_default().push(key.1);
            }
        }
        if before.is_some() != after.is_some() {
            let holders = self.by_address.entry(key.1).or_default();
            holders.retain(|id| *id != key.0);
            if after.is_some() {
                holders.push(key.0);
            } else if holders.is_empty() {
                self.by_address.remove(&key.1);
            }
        }
        let (was, is) = (before.and_then(|c| c.deadline), after.and_then(|c| c.deadline));
        if was != is {
            self.set_timer(Timer::Claim(key), was, is);
        }
    }

    /// Moves a timer from one deadline to another.
    pub(super) fn set_timer(&mut self, timer: Timer, was: Option<Timestamp>, is: Option<Timestamp>) {
        if let Some(at) = was {
            self.deadlines.remove(&(at, timer));
        }
        if let Some(at) = is {
            self.deadlines.insert((at, timer));
        }
    }

    /// Puts out a probe; `false`: there is no interface or gateway address to probe from.
    pub(super) fn probe(&mut self, id: DomainId, port: Option<IfIndex>, mac: Mac, address: IpAddr) -> bool {
        let Some(domain) = self.domains.get(&id) else { return false };
        let Some((link, from)) = domain.link_up().zip(domain.gateway()) else { return false };
        self.outputs.push(Output::Probe { via: port.unwrap_or(link.index), from, mac, address });
        true
    }
}

impl Claim {
    /// The claim after a step.
    fn stepped(
        mut self,
        next: (State, Binding),
        step: &Step,
        kind: Option<EvidenceKind>,
        now: Timestamp,
    ) -> Claim {
        let owner_spoke = kind.is_some() && next.1 == (Binding { port: next.1.port, mac: self.owner.mac });
        if next.0.name() != self.state.name() {
            self.since = now;
        }
        if next.1 != self.owner && self.owner.port.is_some() {
            self.moves += 1;
        }
        if let Some(kind) = kind {
            // A rival's evidence is not the owner's.
            if !matches!(next.0, State::Contested { .. }) {
                (self.evidence, self.evidence_at) = (kind, now);
            }
        }
        self.silence_told = match step.remark {
            Some(Remark::Silent) => true,
            _ => self.silence_told && !owner_spoke,
        };
        (self.state, self.owner) = next;
        self.deadline = due(step.deadline, self.deadline, now);
        self
    }
}
