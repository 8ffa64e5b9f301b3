//! The claims themselves, their indexes by port, MAC address and deadline, and what follows from a change of one.
//!
//! Every change of a claim goes through [`Claims::settle`], which compares what was in the kernel and in BGP with what
//! has to be: the order of installing and removing is written there, once.

use std::net::IpAddr;
use std::time::Duration;

use siskin_net::{IfIndex, Timestamp};

use super::domain::{DomainId, forget};
use super::machine::{self, Binding, Deadline, Event, Remark, Rival, State, Step};
use super::mobility::Mobility;
use super::output::{Action, NoticeKind, Output, Refusal};
use super::rate::Bucket;
use super::remote::Window;
use super::view::may_speak;
use super::{
    ARRIVAL_BURST, ARRIVAL_INTERVAL, Claims, EvidenceKind, MAX_CLAIMS, NOTICE_BURST, NOTICE_INTERVAL,
};
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
    /// The end of what marks a claim's route: elevated or leaving.
    Mark(Key),
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
    pub(super) notice_budget: Bucket,
    /// Ours; while it is elsewhere, the highest seen of routes that are no more.
    pub(super) sequence: u32,
    /// Until when it is announced elevated.
    pub(super) elevated: Option<Timestamp>,
    /// Until when its owner is about to move away.
    pub(super) leaving: Option<Timestamp>,
    /// Its last moves between routers.
    pub(super) window: Window,
    pub(super) arrivals: Bucket,
    /// That its owner is silent was told, and it has not spoken since.
    pub(super) silence_told: bool,
}

impl Claim {
    pub(super) fn new(
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
            sequence: 0,
            elevated: None,
            leaving: None,
            window: Window::default(),
            arrivals: Bucket::default(),
            silence_told: false,
        }
    }

    /// What a claim that ended hands on to the one that waits for its VM.
    pub(super) fn ended(self, next: Claim) -> Claim {
        Claim {
            state: next.state,
            owner: next.owner,
            since: next.since,
            deadline: None,
            elevated: None,
            leaving: None,
            ..self
        }
    }

    /// What goes with its route.
    pub(super) fn mobility(&self) -> Mobility {
        Mobility {
            sequence: self.sequence,
            elevated: self.elevated.is_some(),
            leaving: self.leaving.is_some(),
            mac: self.owner.mac,
        }
    }

    /// It is not announced any more.
    fn depart(&mut self, now: Timestamp) {
        (self.elevated, self.leaving) = (None, None);
        if matches!(self.state, State::Moved { .. } | State::Frozen { .. }) {
            self.window.record(now);
        }
    }

    /// When the first of its marks ends.
    fn mark_ends(&self) -> Option<Timestamp> {
        [self.elevated, self.leaving].into_iter().flatten().min()
    }

    fn in_kernel(&self) -> Option<(IfIndex, Mac)> {
        self.state.in_kernel().then_some((self.interface, self.owner.mac))
    }
}

/// Deadlines that are so far away come at ticks, so that thousands of owners are probed by a few wake-ups a second, and
/// their answers are read by as many.
const COARSE: Duration = Duration::from_secs(5);
const COARSE_TICK: Duration = Duration::from_millis(100);

fn rounded_up(at: Timestamp) -> Timestamp {
    let tick = u64::try_from(COARSE_TICK.as_micros()).unwrap_or(1);
    Timestamp(at.0.checked_next_multiple_of(tick).unwrap_or(at.0))
}

fn due(deadline: Deadline, before: Option<Timestamp>, now: Timestamp) -> Option<Timestamp> {
    match deadline {
        Deadline::Keep => before,
        // A configured zero must not make a timer that is due again at once.
        Deadline::In(wait) if wait >= COARSE => Some(rounded_up(now + wait)),
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
        let rules = self.rules(key, at.mac, now).ok_or(Refusal::InterfaceDown)?;
        let step = machine::begin(at, kind.is_tentative(), &rules);
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
        let sequence = self.remembered(key, now);
        self.insert(key, step, (interface, kind, sequence), now);
        Ok(())
    }

    /// Stores a new claim.
    pub(super) fn insert(
        &mut self,
        key: Key,
        step: &Step,
        (interface, kind, sequence): (IfIndex, EvidenceKind, u32),
        now: Timestamp,
    ) {
        let Some(next) = step.next else { return };
        let mut claim = Claim::new(interface, next, kind, now);
        claim.deadline = due(step.deadline, None, now);
        claim.sequence = sequence;
        let heard = !matches!(kind, EvidenceKind::Adopted | EvidenceKind::Declared);
        let arrives = heard && claim.state.announced();
        let told = if arrives { self.arrive(key, &mut claim, now) } else { None };
        self.settle(key, Some(claim), now);
        if let Some(kind) = told {
            self.tell(key, claim.owner, kind, now);
        }
    }

    /// A claim is about to be announced, because its VM was heard. Where another router announces the address, that is
    /// a move: one more than the highest sequence number, and elevated.
    fn arrive(&self, key: Key, claim: &mut Claim, now: Timestamp) -> Option<NoticeKind> {
        let remote = self.remotes.get(&key.1)?;
        let hold = self.domains.get(&key.0)?.config.timers.takeover_hold;
        claim.sequence = claim.sequence.max(remote.sequence).saturating_add(1);
        claim.elevated = Some(now + hold);
        claim.window.record(now);
        Some(NoticeKind::TakenOver)
    }

    /// Moves a claim through the table. `kind`: the evidence behind the event, if it is evidence.
    pub(super) fn advance(
        &mut self,
        key: Key,
        event: Event,
        kind: Option<EvidenceKind>,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let Some(mut before) = self.claims.get(&key).copied() else { return Ok(()) };
        let Some(rules) = self.rules(key, before.owner.mac, now) else { return Ok(()) };
        let mut step = machine::step(before.state, before.owner, event, &rules);
        if let Some((_, owner)) = step.next
            && let Some(there) = owner.port.and_then(|port| self.ports.get(&port)).map(|port| port.domain)
            && there != key.0
        {
            return self.change_domain(key, (there, key.1), (owner, kind), now);
        }
        let arrives = kind.is_some()
            && !before.state.is_here()
            && step.next.is_some_and(|(state, _)| state.announced());
        if arrives && !before.arrivals.take(now, ARRIVAL_INTERVAL, ARRIVAL_BURST) {
            return Err(Refusal::Damped);
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
        let mut after = step.next.map(|next| before.stepped(next, &step, kind, now));
        let mut told = None;
        if let Some(after) = &mut after {
            if !before.state.in_kernel()
                && let Some(link) = self.domains.get(&key.0).and_then(|domain| domain.link)
            {
                after.interface = link.index;
            }
            if arrives {
                told = self.arrive(key, after, now);
            }
            if before.state.is_here() && !after.state.is_here() {
                after.depart(now);
            }
            if event == Event::Release {
                after.window = Window::default();
            }
        }
        self.settle(key, after, now);
        let asked = step.next.map_or(before.owner, |(_, owner)| owner);
        if step.probe
            && self.probe(key.0, asked.port, asked.mac, key.1)
            && let Some(claim) = self.claims.get_mut(&key)
        {
            claim.probes_sent += 1;
        }
        if let Some(kind) = told {
            self.tell(key, before.owner, kind, now);
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
        let rules = self.rules(to, owner.mac, now).ok_or(Refusal::InterfaceDown)?;
        let step = machine::begin(owner, false, &rules);
        self.remember(to, before.sequence, now);
        self.enter(to, &step, owner, (interface, kind.unwrap_or(before.evidence)), now)?;
        if let Some(claim) = self.claims.get_mut(&to) {
            claim.moves = before.moves.saturating_add(1);
            claim.move_budget = before.move_budget;
            claim.notice_budget = before.notice_budget;
            claim.window = before.window;
        }
        self.remark(to, &before, Some(Remark::Moved), now);
        Ok(())
    }

    fn remark(&mut self, key: Key, before: &Claim, remark: Option<Remark>, now: Timestamp) {
        let kind = match remark {
            Some(Remark::Silent) if !before.silence_told => NoticeKind::Silent,
            Some(Remark::Moved) => NoticeKind::Moved,
            Some(Remark::Duplicate) => NoticeKind::Duplicate,
            Some(Remark::Yielded) => NoticeKind::Yielded,
            Some(Remark::Frozen) => NoticeKind::Frozen,
            Some(Remark::Defended) => {
                if let State::Contested { rival: Rival::Here(rival), .. } = before.state {
                    self.refuse(rival, Some(key.1), Refusal::WrongPort, now);
                }
                return;
            }
            Some(Remark::Silent) | None => return,
        };
        self.tell(key, before.owner, kind, now);
    }

    /// Counts something that happened to a claim, and tells of it unless there was too much to tell.
    pub(super) fn tell(&mut self, key: Key, before: Binding, kind: NoticeKind, now: Timestamp) {
        let mut owner = before;
        let mut told = true;
        if let Some(claim) = self.claims.get_mut(&key) {
            owner = claim.owner;
            told = claim.notice_budget.take(now, NOTICE_INTERVAL, NOTICE_BURST);
        }
        self.record(key, owner.mac, kind, now);
        if told {
            self.notice(key.0, owner.port, owner.mac, Some(key.1), kind);
        }
    }

    /// The time for which a claim's route is marked is over.
    pub(super) fn mark_due(&mut self, key: Key, now: Timestamp) {
        let Some(before) = self.claims.get(&key).copied() else { return };
        let later = |at: &Timestamp| *at > now;
        let claim = Claim {
            elevated: before.elevated.filter(later),
            leaving: before.leaving.filter(later),
            ..before
        };
        self.settle(key, Some(claim), now);
        // By now whoever had it should have heard.
        if before.elevated != claim.elevated && self.remotes.contains_key(&key.1) {
            self.tell(key, claim.owner, NoticeKind::Duplicate, now);
        }
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
        let contested = self.claims.get(&key).map(|c| c.state);
        let Some(State::Contested { rival: Rival::Here(rival), .. }) = contested else { return false };
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

    /// Stores a claim, or drops it, and puts out what kernel, BGP and VM must hear of it. A declared address whose
    /// claim is dropped waits for its VM again.
    pub(super) fn settle(&mut self, key: Key, after: Option<Claim>, now: Timestamp) {
        let before = self.claims.get(&key).copied();
        let after = after.or_else(|| self.awaited(key, before, now));
        match after {
            Some(claim) => self.claims.insert(key, claim),
            None => self.claims.remove(&key),
        };
        match (before, after) {
            (Some(claim), None) => self.remember(key, claim.sequence, now),
            (_, Some(claim)) if !claim.state.is_here() => self.seek_later(key.0, now),
            _ => {}
        }
        self.index(key, before.as_ref(), after.as_ref());
        // What of a claim the filter goes by: not whether its owner is being probed, which is all the time with somebody.
        let seen =
            |claim: Option<Claim>| claim.map(|c| (c.owner, may_speak(c.state.name()), c.state.in_kernel()));
        if seen(before) != seen(after) {
            self.revision += 1;
        }
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
            let mobility = claim.mobility();
            if !was_announced || before.is_none_or(|b| b.mobility() != mobility) {
                act(Action::Announce { domain, interface: claim.interface, address, mobility });
            }
            if let Some(port) = claim.owner.port.filter(|_| !was_announced || !same_port) {
                // A VM that moved here may know the gateway by another MAC address, and is lost until it hears ours.
                if claim.elevated.is_some() {
                    self.greet(port, now);
                } else {
                    self.greet_arrival(port, now);
                }
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
                forget(&mut self.by_mac, &(key.0, owner.mac), key.1);
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
        let (was, is) = (before.and_then(Claim::mark_ends), after.and_then(Claim::mark_ends));
        if was != is {
            self.set_timer(Timer::Mark(key), was, is);
        }
        if after.is_none_or(|claim| claim.owner.port.is_some()) {
            self.expected.remove(&key);
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
