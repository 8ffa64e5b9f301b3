//! The states of one claim, and the table of what moves it from one to the other.
//!
//! The table knows no address and no port list: [`step`] takes a state and an event that the guard has already
//! classified, and answers with the next state, the next deadline and at most one probe. What is in the kernel and in
//! BGP follows from the state alone ([`State::in_kernel`], [`State::announced`]), so no path through the table can
//! forget to withdraw. Moves between hypervisors will add rows here (standby, moved, frozen); nothing else changes.

use std::fmt;
use std::time::Duration;

use siskin_net::IfIndex;

use super::config::Timers;
use crate::Mac;

/// Where an owner is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Binding {
    /// Its port; `None`: it came from a previous run and has not been heard yet.
    pub port: Option<IfIndex>,
    /// Its MAC address.
    pub mac: Mac,
}

/// What a claim is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Its VM asks whether the address is free (duplicate address detection); not ours to announce yet.
    Candidate {
        /// Probes sent since it may answer.
        probes: u8,
    },
    /// A previous run left it: in the kernel, and in BGP as soon as its interface has a live port.
    Unverified {
        /// Whether a live port was seen.
        announced: bool,
        /// Probes sent.
        probes: u8,
    },
    /// Alive and announced.
    Active,
    /// Announced, silent for a while, and being probed.
    Verify {
        /// Probes sent and not answered.
        probes: u8,
    },
    /// Announced, and claimed from another port with the same MAC address: the owner is asked first.
    Contested {
        /// Probes sent and not answered.
        probes: u8,
        /// Who gets it if the owner is silent.
        rival: Binding,
    },
    /// Withdrawn, but still bound to its owner.
    Gone,
}

/// The names of the states.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StateName {
    /// [`State::Candidate`].
    Candidate,
    /// [`State::Unverified`].
    Unverified,
    /// [`State::Active`].
    Active,
    /// [`State::Verify`].
    Verify,
    /// [`State::Contested`].
    Contested,
    /// [`State::Gone`].
    Gone,
}

impl StateName {
    /// The word used in tables, JSON and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            StateName::Candidate => "candidate",
            StateName::Unverified => "unverified",
            StateName::Active => "active",
            StateName::Verify => "verify",
            StateName::Contested => "contested",
            StateName::Gone => "gone",
        }
    }
}

impl fmt::Display for StateName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl State {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> StateName {
        match self {
            State::Candidate { .. } => StateName::Candidate,
            State::Unverified { .. } => StateName::Unverified,
            State::Active => StateName::Active,
            State::Verify { .. } => StateName::Verify,
            State::Contested { .. } => StateName::Contested,
            State::Gone => StateName::Gone,
        }
    }

    /// Whether route and neighbour entry are in the kernel.
    #[must_use]
    pub const fn in_kernel(self) -> bool {
        !matches!(self, State::Candidate { .. } | State::Gone)
    }

    /// Whether the address is announced.
    #[must_use]
    pub const fn announced(self) -> bool {
        match self {
            State::Candidate { .. } | State::Gone => false,
            State::Unverified { announced, .. } => announced,
            State::Active | State::Verify { .. } | State::Contested { .. } => true,
        }
    }
}

/// What happens to a claim, as the guard sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The owner spoke from its port; the binding names that port.
    Owner(Binding),
    /// The owner asked whether the address is free: it starts anew.
    OwnerTentative(Binding),
    /// The owner's MAC address spoke from another port; it gets the address if the owner is silent there.
    Rival(Binding),
    /// Somebody else spoke, and the guard lets it have the address at once.
    Takeover(Binding),
    /// The claim's deadline has come.
    Timeout,
    /// The rival of a contested claim is not there any more.
    RivalLost,
    /// The owner's port is back, or the interface is.
    PortBack,
    /// The owner's port has lost its carrier, or the interface is down.
    PortLost,
    /// The owner's port is not there any more.
    PortGone,
}

/// What people should hear of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remark {
    /// The owner answered no probe.
    Silent,
    /// The owner was asked and is there: the rival claims it wrongly.
    Defended,
    /// Another port has the address now.
    Moved,
}

/// When the claim wants to be looked at again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deadline {
    /// As before.
    Keep,
    /// From now.
    In(Duration),
}

/// What comes of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// The next state and owner; `None`: the claim is dropped, and nobody is bound.
    pub next: Option<(State, Binding)>,
    /// The next deadline.
    pub deadline: Deadline,
    /// Whether the owner (of before the step) is probed.
    pub probe: bool,
    /// What to say.
    pub remark: Option<Remark>,
}

/// What [`step`] must know besides state and event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// The domain's timers.
    pub timers: Timers,
    /// `timers.probe_interval`, spread so that claims do not all probe at once.
    pub probe_interval: Duration,
    /// Whether there is a gateway address to probe from.
    pub can_probe: bool,
    /// Whether the address is declared: such an owner may be silent while its port is there.
    pub declared: bool,
}

/// Time between probes of an entry that a previous run left.
pub(super) const ADOPT_GAP: Duration = Duration::from_secs(5);

impl Rules {
    /// Time between probes of a candidate.
    fn candidate_gap(&self) -> Duration {
        self.timers.candidate_timeout / u32::from(self.timers.probe_count.max(1))
    }

    /// Looks at an adopted entry before it is swept, each with a probe.
    fn adopt_looks(&self) -> u8 {
        let looks = self.timers.adopt_sweep.as_micros() / ADOPT_GAP.as_micros();
        u8::try_from(looks).unwrap_or(u8::MAX).max(1)
    }
}

fn stay(state: State, owner: Binding) -> Step {
    Step { next: Some((state, owner)), deadline: Deadline::Keep, probe: false, remark: None }
}

const DROP: Step = Step { next: None, deadline: Deadline::Keep, probe: false, remark: None };

fn active(owner: Binding, rules: &Rules) -> Step {
    Step { deadline: Deadline::In(rules.probe_interval), ..stay(State::Active, owner) }
}

fn moved(to: Binding, rules: &Rules) -> Step {
    Step { remark: Some(Remark::Moved), ..active(to, rules) }
}

fn gone(owner: Binding, rules: &Rules) -> Step {
    Step { deadline: Deadline::In(rules.timers.forget), ..stay(State::Gone, owner) }
}

/// A state in which the owner is probed, and looked at again after `gap`.
fn probing(state: State, owner: Binding, gap: Duration) -> Step {
    Step { deadline: Deadline::In(gap), probe: true, ..stay(state, owner) }
}

/// The transition table: one row a state, in the order of the enumeration.
#[must_use]
pub fn step(state: State, owner: Binding, event: Event, rules: &Rules) -> Step {
    match state {
        State::Candidate { probes } => candidate(probes, owner, event, rules),
        State::Unverified { announced, probes } => unverified(announced, probes, owner, event, rules),
        State::Active => match event {
            Event::Owner(at) | Event::OwnerTentative(at) => active(at, rules),
            Event::Rival(rival) => contest(rival, owner, rules),
            Event::Takeover(by) => moved(by, rules),
            Event::Timeout if !rules.can_probe => active(owner, rules),
            Event::Timeout | Event::PortBack => verify(1, owner, rules),
            Event::RivalLost => stay(state, owner),
            Event::PortLost => gone(owner, rules),
            Event::PortGone => DROP,
        },
        State::Verify { probes } => match event {
            Event::Owner(at) => active(at, rules),
            Event::OwnerTentative(_) | Event::RivalLost => stay(state, owner),
            Event::Rival(rival) => contest(rival, owner, rules),
            Event::Takeover(by) => moved(by, rules),
            Event::Timeout if probes < rules.timers.probe_count => {
                verify(probes.saturating_add(1), owner, rules)
            }
            Event::Timeout if rules.declared => Step { remark: Some(Remark::Silent), ..active(owner, rules) },
            Event::Timeout => Step { remark: Some(Remark::Silent), ..gone(owner, rules) },
            Event::PortBack => verify(1, owner, rules),
            Event::PortLost => gone(owner, rules),
            Event::PortGone => DROP,
        },
        State::Contested { probes, rival } => contested(probes, rival, owner, event, rules),
        State::Gone => match event {
            Event::Owner(at) => active(at, rules),
            Event::OwnerTentative(at) => candidate_anew(at, rules),
            Event::Rival(by) | Event::Takeover(by) => moved(by, rules),
            Event::PortBack => Step { probe: rules.can_probe, ..stay(state, owner) },
            Event::RivalLost | Event::PortLost => stay(state, owner),
            Event::Timeout | Event::PortGone => DROP,
        },
    }
}

/// A claim's first step, from evidence for an address nobody has.
#[must_use]
pub fn begin(owner: Binding, tentative: bool, rules: &Rules) -> Step {
    if tentative { candidate_anew(owner, rules) } else { active(owner, rules) }
}

/// A claim's first step, from an entry a previous run left.
#[must_use]
pub fn adopt(mac: Mac, announced: bool, first_look: Duration) -> Step {
    let state = State::Unverified { announced, probes: 0 };
    Step { deadline: Deadline::In(first_look), ..stay(state, Binding { port: None, mac }) }
}

fn candidate_anew(owner: Binding, rules: &Rules) -> Step {
    let deadline = Deadline::In(rules.timers.candidate_wait);
    Step { deadline, ..stay(State::Candidate { probes: 0 }, owner) }
}

fn verify(probes: u8, owner: Binding, rules: &Rules) -> Step {
    if rules.can_probe {
        probing(State::Verify { probes }, owner, rules.timers.probe_gap)
    } else {
        active(owner, rules)
    }
}

/// Nobody can be asked without a gateway address: then the owner keeps what it has.
fn contest(rival: Binding, owner: Binding, rules: &Rules) -> Step {
    if rules.can_probe {
        probing(State::Contested { probes: 1, rival }, owner, rules.timers.challenge_gap)
    } else {
        active(owner, rules)
    }
}

fn candidate(probes: u8, owner: Binding, event: Event, rules: &Rules) -> Step {
    let state = State::Candidate { probes };
    match event {
        Event::Owner(at) => active(at, rules),
        // A candidate owns nothing yet: whoever has the address says so first.
        Event::Rival(by) | Event::Takeover(by) => active(by, rules),
        Event::OwnerTentative(_) | Event::RivalLost | Event::PortBack => stay(state, owner),
        Event::Timeout if rules.can_probe && probes < rules.timers.probe_count => {
            probing(State::Candidate { probes: probes.saturating_add(1) }, owner, rules.candidate_gap())
        }
        Event::Timeout | Event::PortLost | Event::PortGone => DROP,
    }
}

fn unverified(announced: bool, probes: u8, owner: Binding, event: Event, rules: &Rules) -> Step {
    let state = State::Unverified { announced, probes };
    match event {
        Event::Owner(at) => active(at, rules),
        Event::Takeover(by) => moved(by, rules),
        Event::Timeout if probes < rules.adopt_looks() => {
            let next = State::Unverified { announced, probes: probes.saturating_add(1) };
            Step { probe: rules.can_probe, ..probing(next, owner, ADOPT_GAP) }
        }
        Event::Timeout => Step { remark: Some(Remark::Silent), ..DROP },
        Event::PortBack => stay(State::Unverified { announced: true, probes }, owner),
        // It has no port yet that could be lost, and no rival: its MAC address is its owner on any port.
        Event::OwnerTentative(_) | Event::Rival(_) | Event::RivalLost | Event::PortLost | Event::PortGone => {
            stay(state, owner)
        }
    }
}

fn contested(probes: u8, rival: Binding, owner: Binding, event: Event, rules: &Rules) -> Step {
    let state = State::Contested { probes, rival };
    match event {
        Event::Owner(at) => Step { remark: Some(Remark::Defended), ..active(at, rules) },
        Event::Takeover(by) => moved(by, rules),
        Event::Timeout if probes < rules.timers.probe_count => {
            let next = State::Contested { probes: probes.saturating_add(1), rival };
            probing(next, owner, rules.timers.challenge_gap)
        }
        Event::Timeout | Event::PortLost | Event::PortGone => moved(rival, rules),
        Event::RivalLost => verify(1, owner, rules),
        Event::OwnerTentative(_) | Event::Rival(_) | Event::PortBack => stay(state, owner),
    }
}

#[cfg(test)]
mod tests;
