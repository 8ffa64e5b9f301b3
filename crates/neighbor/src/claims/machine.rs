//! The table of what moves a claim from one state to the other.
//!
//! The table knows no address and no port list: [`step`] takes a state and an event that the guard has already
//! classified, and answers with the next state, the next deadline and at most one probe. What is in the kernel and in
//! BGP follows from the state alone ([`State::in_kernel`], [`State::announced`]), so no path through the table can
//! forget to withdraw. Whether a route is elevated, and its sequence number, are no states: they go with every
//! announced state alike ([`super::Mobility`]), and are set when a claim becomes announced.

use std::time::Duration;

use super::config::Timers;
pub use super::state::{Binding, Rival, Stand, State, StateName};
use crate::Mac;

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
    /// The owner's port is up, and the operator trusts that the owner is there though it said nothing.
    Presumed(Binding),
    /// Another router announces the address with precedence, and nothing says that it means another VM.
    Yield,
    /// Another router announces the address with precedence, for another MAC address.
    Dispute,
    /// No other router announces the address any more.
    RemoteGone,
    /// The operator withdraws the address until its VM speaks again.
    Release,
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
    /// The owner is there, and another router announces the address too.
    Duplicate,
    /// Another router has the address now.
    Yielded,
    /// The address moved too often.
    Frozen,
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
    /// Whether the owner is probed.
    pub probe: bool,
    /// What to say.
    pub remark: Option<Remark>,
}

/// What [`step`] must know besides state and event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// The domain's timers.
    pub timers: Timers,
    /// `timers.probe_interval`, spread so that owners are not all probed at once.
    pub probe_interval: Duration,
    /// Whether there is a gateway address to probe from.
    pub can_probe: bool,
    /// Whether the address is declared: such an owner may be silent while its port is there.
    pub declared: bool,
    /// Whether another router announces the address.
    pub remote: bool,
    /// Whether one more move between routers is one too many.
    pub exhausted: bool,
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

/// The owner is here, and was not announced: where another router announces the address, that is a move.
fn arrive(owner: Binding, rules: &Rules) -> Step {
    if rules.remote && rules.exhausted {
        freeze(Stand::Here, owner, rules.timers.freeze)
    } else {
        active(owner, rules)
    }
}

fn freeze(stand: Stand, owner: Binding, time: Duration) -> Step {
    let step = stay(State::Frozen { stand }, owner);
    Step { deadline: Deadline::In(time), remark: Some(Remark::Frozen), ..step }
}

/// Another router has the address now.
fn yielded(owner: Binding, rules: &Rules) -> Step {
    if rules.exhausted {
        return freeze(Stand::Leaving, owner, rules.timers.linger);
    }
    let step = stay(State::Moved { lingering: true, probes: 0 }, owner);
    Step { deadline: Deadline::In(rules.timers.linger), remark: Some(Remark::Yielded), ..step }
}

/// Withdrawn in favour of another router, and asked whether it is here all the same.
fn seek(probes: u8, owner: Binding, rules: &Rules) -> Step {
    if rules.can_probe && probes <= rules.timers.probe_count {
        probing(State::Moved { lingering: false, probes }, owner, rules.timers.challenge_gap)
    } else {
        let probes = rules.timers.probe_count.saturating_add(1);
        let step = stay(State::Moved { lingering: false, probes }, owner);
        Step { deadline: Deadline::In(rules.timers.forget), ..step }
    }
}

fn standby(owner: Binding, rules: &Rules) -> Step {
    Step { deadline: Deadline::In(rules.timers.forget), ..stay(State::Standby { quiet: true }, owner) }
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
    if event == Event::Release && !matches!(state, State::Candidate { .. }) {
        return standby(owner, rules);
    }
    match state {
        State::Standby { quiet } => match event {
            Event::Owner(at) | Event::Rival(at) | Event::Takeover(at) => arrive(at, rules),
            Event::OwnerTentative(at) => candidate_anew(at, rules),
            Event::Presumed(at) if !quiet => verify(1, at, rules),
            Event::Presumed(_)
            | Event::RivalLost
            | Event::PortBack
            | Event::PortLost
            | Event::Yield
            | Event::Dispute
            | Event::RemoteGone
            | Event::Release => stay(state, owner),
            Event::Timeout | Event::PortGone => DROP,
        },
        State::Candidate { probes } => candidate(probes, owner, event, rules),
        State::Unverified { announced, probes } => unverified(announced, probes, owner, event, rules),
        State::Active => match event {
            Event::Owner(at) | Event::OwnerTentative(at) => active(at, rules),
            Event::Rival(rival) => contest(Rival::Here(rival), owner, rules),
            Event::Takeover(by) => moved(by, rules),
            Event::Timeout if !rules.can_probe => active(owner, rules),
            Event::Timeout | Event::PortBack => verify(1, owner, rules),
            Event::PortLost => gone(owner, rules),
            Event::PortGone => DROP,
            Event::Yield => yielded(owner, rules),
            Event::Dispute => contest(Rival::Elsewhere, owner, rules),
            Event::RivalLost | Event::Presumed(_) | Event::RemoteGone | Event::Release => stay(state, owner),
        },
        State::Verify { probes } => match event {
            Event::Owner(at) => active(at, rules),
            Event::Rival(rival) => contest(Rival::Here(rival), owner, rules),
            Event::Takeover(by) => moved(by, rules),
            Event::Timeout if probes < rules.timers.probe_count => {
                verify(probes.saturating_add(1), owner, rules)
            }
            Event::Timeout if rules.declared => Step { remark: Some(Remark::Silent), ..active(owner, rules) },
            Event::Timeout => Step { remark: Some(Remark::Silent), ..gone(owner, rules) },
            Event::PortBack => verify(1, owner, rules),
            Event::PortLost => gone(owner, rules),
            Event::PortGone => DROP,
            Event::Yield => yielded(owner, rules),
            Event::Dispute => contest(Rival::Elsewhere, owner, rules),
            Event::OwnerTentative(_)
            | Event::RivalLost
            | Event::Presumed(_)
            | Event::RemoteGone
            | Event::Release => stay(state, owner),
        },
        State::Contested { probes, rival } => contested(probes, rival, owner, event, rules),
        State::Moved { lingering, probes } => away(lingering, probes, owner, event, rules),
        State::Gone => match event {
            Event::Owner(at) => arrive(at, rules),
            Event::OwnerTentative(at) => candidate_anew(at, rules),
            Event::Rival(by) | Event::Takeover(by) => {
                Step { remark: Some(Remark::Moved), ..arrive(by, rules) }
            }
            Event::Presumed(at) => verify(1, at, rules),
            Event::PortBack | Event::RemoteGone => Step { probe: rules.can_probe, ..stay(state, owner) },
            Event::Timeout | Event::PortGone => DROP,
            Event::RivalLost | Event::PortLost | Event::Yield | Event::Dispute | Event::Release => {
                stay(state, owner)
            }
        },
        State::Frozen { stand } => frozen(stand, owner, event, rules),
    }
}

/// A claim's first step, from evidence for an address nobody has.
#[must_use]
pub fn begin(owner: Binding, tentative: bool, rules: &Rules) -> Step {
    if tentative { candidate_anew(owner, rules) } else { arrive(owner, rules) }
}

/// A declared address that nobody has been heard to have.
#[must_use]
pub fn await_declared(mac: Mac, quiet: bool) -> Step {
    stay(State::Standby { quiet }, Binding { port: None, mac })
}

/// A claim's first step, from a binding that the daemon kept over a restart.
#[must_use]
pub fn restore(mac: Mac, rules: &Rules) -> Step {
    gone(Binding { port: None, mac }, rules)
}

/// A claim's first step, from an entry a previous run left. `doubtful`: the port it was on is not there any more, so
/// it has one look to prove itself.
#[must_use]
pub fn adopt(mac: Mac, announced: bool, doubtful: bool, first_look: Duration, rules: &Rules) -> Step {
    let probes = if doubtful { rules.adopt_looks().saturating_sub(1) } else { 0 };
    let state = State::Unverified { announced, probes };
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

/// Nobody can be asked without a gateway address: then the owner keeps what it has. So does one that is declared,
/// against a MAC address that another router names.
fn contest(rival: Rival, owner: Binding, rules: &Rules) -> Step {
    if rival == Rival::Elsewhere && (rules.declared || !rules.can_probe) {
        Step { remark: Some(Remark::Duplicate), ..active(owner, rules) }
    } else if rules.can_probe {
        probing(State::Contested { probes: 1, rival }, owner, rules.timers.challenge_gap)
    } else {
        active(owner, rules)
    }
}

fn candidate(probes: u8, owner: Binding, event: Event, rules: &Rules) -> Step {
    let state = State::Candidate { probes };
    match event {
        Event::Owner(at) => arrive(at, rules),
        // A candidate owns nothing yet: whoever has the address says so first.
        Event::Rival(by) | Event::Takeover(by) => arrive(by, rules),
        Event::Timeout if rules.can_probe && probes < rules.timers.probe_count => {
            probing(State::Candidate { probes: probes.saturating_add(1) }, owner, rules.candidate_gap())
        }
        Event::Timeout | Event::PortLost | Event::PortGone | Event::Release => DROP,
        Event::OwnerTentative(_)
        | Event::RivalLost
        | Event::PortBack
        | Event::Presumed(_)
        | Event::Yield
        | Event::Dispute
        | Event::RemoteGone => stay(state, owner),
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
        Event::Yield => yielded(owner, rules),
        Event::Dispute if rules.can_probe => probing(
            State::Contested { probes: 1, rival: Rival::Elsewhere },
            owner,
            rules.timers.challenge_gap,
        ),
        // It has no port yet that could be lost, and no rival: its MAC address is its owner on any port.
        Event::OwnerTentative(_)
        | Event::Rival(_)
        | Event::RivalLost
        | Event::PortLost
        | Event::PortGone
        | Event::Presumed(_)
        | Event::Dispute
        | Event::RemoteGone
        | Event::Release => stay(state, owner),
    }
}

fn contested(probes: u8, rival: Rival, owner: Binding, event: Event, rules: &Rules) -> Step {
    let state = State::Contested { probes, rival };
    match event {
        Event::Owner(at) => {
            let remark = match rival {
                Rival::Here(_) => Remark::Defended,
                Rival::Elsewhere => Remark::Duplicate,
            };
            Step { remark: Some(remark), ..active(at, rules) }
        }
        Event::Takeover(by) => moved(by, rules),
        Event::Timeout if probes < rules.timers.probe_count => {
            let next = State::Contested { probes: probes.saturating_add(1), rival };
            probing(next, owner, rules.timers.challenge_gap)
        }
        Event::Yield => yielded(owner, rules),
        Event::Timeout | Event::PortLost | Event::PortGone => match rival {
            Rival::Here(rival) => moved(rival, rules),
            Rival::Elsewhere if event == Event::PortGone => DROP,
            Rival::Elsewhere => yielded(owner, rules),
        },
        Event::RivalLost if rival != Rival::Elsewhere => verify(1, owner, rules),
        // One of a previous run that has no port yet is as unproven as before.
        Event::RemoteGone if rival == Rival::Elsewhere && owner.port.is_none() => {
            probing(State::Unverified { announced: true, probes: 1 }, owner, ADOPT_GAP)
        }
        Event::RemoteGone if rival == Rival::Elsewhere => verify(1, owner, rules),
        Event::OwnerTentative(_)
        | Event::Rival(_)
        | Event::RivalLost
        | Event::PortBack
        | Event::Presumed(_)
        | Event::Dispute
        | Event::RemoteGone
        | Event::Release => stay(state, owner),
    }
}

fn away(lingering: bool, probes: u8, owner: Binding, event: Event, rules: &Rules) -> Step {
    let state = State::Moved { lingering, probes };
    match event {
        // While it lingers it may be a frame of before; the probes that follow tell.
        Event::Timeout if lingering => seek(1, owner, rules),
        Event::Timeout if probes <= rules.timers.probe_count => seek(probes.saturating_add(1), owner, rules),
        // Its port is there: when the other router's route goes, it is asked again.
        Event::Timeout if rules.remote => {
            Step { deadline: Deadline::In(rules.timers.forget), ..stay(state, owner) }
        }
        Event::Timeout => DROP,
        Event::Owner(at) if !lingering => arrive(at, rules),
        Event::OwnerTentative(at) if !lingering => candidate_anew(at, rules),
        Event::Rival(by) if !lingering => Step { remark: Some(Remark::Moved), ..arrive(by, rules) },
        Event::Takeover(by) => Step { remark: Some(Remark::Moved), ..arrive(by, rules) },
        Event::PortBack if !lingering => seek(1, owner, rules),
        Event::RemoteGone => seek(1, owner, rules),
        // The neighbour entry must outlive the route also where the VM's port goes at once.
        Event::PortGone if lingering => stay(state, Binding { port: None, ..owner }),
        Event::PortGone => DROP,
        Event::Owner(_)
        | Event::OwnerTentative(_)
        | Event::Rival(_)
        | Event::RivalLost
        | Event::PortBack
        | Event::PortLost
        | Event::Presumed(_)
        | Event::Yield
        | Event::Dispute
        | Event::Release => stay(state, owner),
    }
}

/// A frozen claim yields, but takes nothing over: so of all routers one announces it in the end, the last winner.
/// With nobody else left to announce it, its VM is believed again.
fn frozen(stand: Stand, owner: Binding, event: Event, rules: &Rules) -> Step {
    let state = State::Frozen { stand };
    match (event, stand) {
        (Event::Owner(at), Stand::Here) => stay(state, at),
        (Event::Owner(at), Stand::Away) if !rules.remote => active(at, rules),
        (Event::Timeout, Stand::Here) => verify(1, owner, rules),
        (Event::Timeout, Stand::Leaving) => {
            Step { remark: None, ..freeze(Stand::Away, owner, rules.timers.freeze) }
        }
        (Event::Timeout, Stand::Away) => seek(1, owner, rules),
        (Event::Yield, Stand::Here) => {
            Step { remark: Some(Remark::Yielded), ..freeze(Stand::Leaving, owner, rules.timers.linger) }
        }
        (Event::RemoteGone, Stand::Leaving) => {
            let step = freeze(Stand::Away, owner, rules.timers.freeze);
            Step { probe: rules.can_probe, remark: None, ..step }
        }
        (Event::RemoteGone, Stand::Away) => Step { probe: rules.can_probe, ..stay(state, owner) },
        (Event::PortLost, Stand::Here) => gone(owner, rules),
        (Event::PortGone, Stand::Leaving) => stay(state, Binding { port: None, ..owner }),
        (Event::PortGone, _) => DROP,
        _ => stay(state, owner),
    }
}

#[cfg(test)]
mod tests;
