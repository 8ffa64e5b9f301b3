//! The whole transition table, row by row, and what must hold of every row.

use super::*;

const OWNER: Binding = Binding { port: Some(1), mac: Mac([2, 0, 0, 0, 0, 1]) };
const RIVAL: Binding = Binding { port: Some(2), mac: OWNER.mac };
const OTHER: Binding = Binding { port: Some(3), mac: Mac([2, 0, 0, 0, 0, 3]) };
const ADOPTED: Binding = Binding { port: None, mac: OWNER.mac };

const STANDBY: State = State::Standby { quiet: false };
const RELEASED: State = State::Standby { quiet: true };
const CANDIDATE: State = State::Candidate { probes: 1 };
const UNVERIFIED: State = State::Unverified { announced: true, probes: 1 };
const VERIFY: State = State::Verify { probes: 2 };
const CONTESTED: State = State::Contested { probes: 2, rival: Rival::Here(RIVAL) };
const DISPUTED: State = State::Contested { probes: 2, rival: Rival::Elsewhere };
const LINGERING: State = State::Moved { lingering: true, probes: 0 };
const MOVED: State = State::Moved { lingering: false, probes: 2 };
const FROZEN: State = State::Frozen { stand: Stand::Here };
const FROZEN_LEAVING: State = State::Frozen { stand: Stand::Leaving };
const FROZEN_AWAY: State = State::Frozen { stand: Stand::Away };

const STATES: [State; 14] = [
    STANDBY,
    RELEASED,
    CANDIDATE,
    UNVERIFIED,
    State::Active,
    VERIFY,
    CONTESTED,
    DISPUTED,
    LINGERING,
    MOVED,
    State::Gone,
    FROZEN,
    FROZEN_LEAVING,
    FROZEN_AWAY,
];

const EVENTS: [Event; 14] = [
    Event::Owner(OWNER),
    Event::OwnerTentative(OWNER),
    Event::Rival(RIVAL),
    Event::Takeover(OTHER),
    Event::Timeout,
    Event::RivalLost,
    Event::PortBack,
    Event::PortLost,
    Event::PortGone,
    Event::Presumed(OWNER),
    Event::Yield,
    Event::Dispute,
    Event::RemoteGone,
    Event::Release,
];

fn rules() -> Rules {
    let timers = Timers::default();
    Rules {
        timers,
        probe_interval: timers.probe_interval,
        can_probe: true,
        declared: false,
        remote: false,
        exhausted: false,
    }
}

/// A step as a line: state, who owns it unless it is the owner of before, deadline in milliseconds, probe, remark.
fn line(step: Step, owner: Binding) -> String {
    let Some((state, now)) = step.next else {
        return format!("dropped{}", step.remark.map_or(String::new(), |r| format!(" {r:?}")));
    };
    let who = match now {
        now if now == owner => String::new(),
        OWNER => " of owner".to_owned(),
        RIVAL => " of rival".to_owned(),
        OTHER => " of other".to_owned(),
        ADOPTED => " of no port".to_owned(),
        now => panic!("{now:?} is nobody"),
    };
    let count = match state {
        State::Candidate { probes }
        | State::Verify { probes }
        | State::Contested { probes, rival: Rival::Here(_) } => format!("/{probes}"),
        State::Contested { probes, rival: Rival::Elsewhere } => format!("/{probes} elsewhere"),
        State::Unverified { announced, probes } => {
            format!("/{probes}{}", if announced { " announced" } else { "" })
        }
        State::Moved { lingering, probes } => {
            format!("/{probes}{}", if lingering { " lingering" } else { "" })
        }
        State::Frozen { stand } => format!("/{stand:?}").to_lowercase(),
        State::Standby { quiet } => if quiet { "/quiet" } else { "" }.to_owned(),
        State::Active | State::Gone => String::new(),
    };
    let deadline = match step.deadline {
        Deadline::Keep => String::new(),
        Deadline::In(time) => format!(" {}", time.as_millis()),
    };
    let probe = if step.probe { " probe" } else { "" };
    let remark = step.remark.map_or(String::new(), |remark| format!(" {remark:?}"));
    format!("{}{count}{who}{deadline}{probe}{remark}", state.name())
}

fn row(state: State, rules: &Rules) -> Vec<String> {
    let owner = if matches!(state, State::Unverified { .. }) { ADOPTED } else { OWNER };
    EVENTS.iter().map(|event| line(step(state, owner, *event, rules), owner)).collect()
}

#[test]
fn the_whole_table() {
    // In the order of EVENTS: owner, owner tentative, rival, takeover, timeout, rival lost, port back, lost, gone,
    // presumed, yield, dispute, remote gone, release.
    let table: [(State, [&str; 14]); 14] = [
        (
            STANDBY,
            [
                "active 15000",
                "candidate/0 1200",
                "active of rival 15000",
                "active of other 15000",
                "dropped",
                "standby",
                "standby",
                "standby",
                "dropped",
                "verify/1 1000 probe",
                "standby",
                "standby",
                "standby",
                "standby/quiet 600000",
            ],
        ),
        (
            RELEASED,
            [
                "active 15000",
                "candidate/0 1200",
                "active of rival 15000",
                "active of other 15000",
                "dropped",
                "standby/quiet",
                "standby/quiet",
                "standby/quiet",
                "dropped",
                "standby/quiet",
                "standby/quiet",
                "standby/quiet",
                "standby/quiet",
                "standby/quiet 600000",
            ],
        ),
        (
            CANDIDATE,
            [
                "active 15000",
                "candidate/1",
                "active of rival 15000",
                "active of other 15000",
                "candidate/2 666 probe",
                "candidate/1",
                "candidate/1",
                "dropped",
                "dropped",
                "candidate/1",
                "candidate/1",
                "candidate/1",
                "candidate/1",
                "dropped",
            ],
        ),
        (
            UNVERIFIED,
            [
                "active of owner 15000",
                "unverified/1 announced",
                "unverified/1 announced",
                "active of other 15000 Moved",
                "unverified/2 announced 5000 probe",
                "unverified/1 announced",
                "unverified/1 announced",
                "unverified/1 announced",
                "unverified/1 announced",
                "unverified/1 announced",
                "moved/0 lingering 1000 Yielded",
                "contested/1 elsewhere 100 probe",
                "unverified/1 announced",
                "standby/quiet 600000",
            ],
        ),
        (
            State::Active,
            [
                "active 15000",
                "active 15000",
                "contested/1 100 probe",
                "active of other 15000 Moved",
                "verify/1 1000 probe",
                "active",
                "verify/1 1000 probe",
                "gone 600000",
                "dropped",
                "active",
                "moved/0 lingering 1000 Yielded",
                "contested/1 elsewhere 100 probe",
                "active",
                "standby/quiet 600000",
            ],
        ),
        (
            VERIFY,
            [
                "active 15000",
                "verify/2",
                "contested/1 100 probe",
                "active of other 15000 Moved",
                "verify/3 1000 probe",
                "verify/2",
                "verify/1 1000 probe",
                "gone 600000",
                "dropped",
                "verify/2",
                "moved/0 lingering 1000 Yielded",
                "contested/1 elsewhere 100 probe",
                "verify/2",
                "standby/quiet 600000",
            ],
        ),
        (
            CONTESTED,
            [
                "active 15000 Defended",
                "contested/2",
                "contested/2",
                "active of other 15000 Moved",
                "contested/3 100 probe",
                "verify/1 1000 probe",
                "contested/2",
                "active of rival 15000 Moved",
                "active of rival 15000 Moved",
                "contested/2",
                "moved/0 lingering 1000 Yielded",
                "contested/2",
                "contested/2",
                "standby/quiet 600000",
            ],
        ),
        (
            DISPUTED,
            [
                "active 15000 Duplicate",
                "contested/2 elsewhere",
                "contested/2 elsewhere",
                "active of other 15000 Moved",
                "contested/3 elsewhere 100 probe",
                "contested/2 elsewhere",
                "contested/2 elsewhere",
                "moved/0 lingering 1000 Yielded",
                "dropped",
                "contested/2 elsewhere",
                "moved/0 lingering 1000 Yielded",
                "contested/2 elsewhere",
                "verify/1 1000 probe",
                "standby/quiet 600000",
            ],
        ),
        (
            LINGERING,
            [
                "moved/0 lingering",
                "moved/0 lingering",
                "moved/0 lingering",
                "active of other 15000 Moved",
                "moved/1 100 probe",
                "moved/0 lingering",
                "moved/0 lingering",
                "moved/0 lingering",
                "moved/0 lingering of no port",
                "moved/0 lingering",
                "moved/0 lingering",
                "moved/0 lingering",
                "moved/1 100 probe",
                "standby/quiet 600000",
            ],
        ),
        (
            MOVED,
            [
                "active 15000",
                "candidate/0 1200",
                "active of rival 15000 Moved",
                "active of other 15000 Moved",
                "moved/3 100 probe",
                "moved/2",
                "moved/1 100 probe",
                "moved/2",
                "dropped",
                "moved/2",
                "moved/2",
                "moved/2",
                "moved/1 100 probe",
                "standby/quiet 600000",
            ],
        ),
        (
            State::Gone,
            [
                "active 15000",
                "candidate/0 1200",
                "active of rival 15000 Moved",
                "active of other 15000 Moved",
                "dropped",
                "gone",
                "gone probe",
                "gone",
                "dropped",
                "verify/1 1000 probe",
                "gone",
                "gone",
                "gone probe",
                "standby/quiet 600000",
            ],
        ),
        (
            FROZEN,
            [
                "frozen/here",
                "frozen/here",
                "frozen/here",
                "frozen/here",
                "verify/1 1000 probe",
                "frozen/here",
                "frozen/here",
                "gone 600000",
                "dropped",
                "frozen/here",
                "frozen/leaving 1000 Yielded",
                "frozen/here",
                "frozen/here",
                "standby/quiet 600000",
            ],
        ),
        (
            FROZEN_LEAVING,
            [
                "frozen/leaving",
                "frozen/leaving",
                "frozen/leaving",
                "frozen/leaving",
                "frozen/away 1800000",
                "frozen/leaving",
                "frozen/leaving",
                "frozen/leaving",
                "frozen/leaving of no port",
                "frozen/leaving",
                "frozen/leaving",
                "frozen/leaving",
                "frozen/away 1800000 probe",
                "standby/quiet 600000",
            ],
        ),
        (
            FROZEN_AWAY,
            [
                "active 15000",
                "frozen/away",
                "frozen/away",
                "frozen/away",
                "moved/1 100 probe",
                "frozen/away",
                "frozen/away",
                "frozen/away",
                "dropped",
                "frozen/away",
                "frozen/away",
                "frozen/away",
                "frozen/away probe",
                "standby/quiet 600000",
            ],
        ),
    ];
    assert_eq!(table.map(|(state, _)| state), STATES);
    for (state, expected) in table {
        assert_eq!(row(state, &rules()), expected, "{state:?}");
    }
}

#[test]
fn probes_run_out() {
    let timeout = |state, rules: &Rules| line(step(state, OWNER, Event::Timeout, rules), OWNER);
    let learned = rules();
    assert_eq!(timeout(State::Candidate { probes: 0 }, &learned), "candidate/1 666 probe");
    assert_eq!(timeout(State::Candidate { probes: 3 }, &learned), "dropped");
    assert_eq!(timeout(State::Verify { probes: 3 }, &learned), "gone 600000 Silent");
    assert_eq!(
        timeout(State::Contested { probes: 3, rival: Rival::Here(RIVAL) }, &learned),
        "active of rival 15000 Moved"
    );
    let adopted = |probes| State::Unverified { announced: false, probes };
    assert_eq!(
        line(step(adopted(11), ADOPTED, Event::Timeout, &learned), ADOPTED),
        "unverified/12 5000 probe"
    );
    assert_eq!(line(step(adopted(12), ADOPTED, Event::Timeout, &learned), ADOPTED), "dropped Silent");
    let back = step(adopted(1), ADOPTED, Event::PortBack, &learned);
    assert_eq!(line(back, ADOPTED), "unverified/1 announced", "a live port is what announcing waited for");
}

#[test]
fn a_declared_owner_may_be_silent_but_not_against_a_rival() {
    let declared = Rules { declared: true, ..rules() };
    let timeout = |state| line(step(state, OWNER, Event::Timeout, &declared), OWNER);
    assert_eq!(timeout(State::Verify { probes: 3 }), "active 15000 Silent");
    assert_eq!(
        timeout(State::Contested { probes: 3, rival: Rival::Here(RIVAL) }),
        "active of rival 15000 Moved"
    );
}

#[test]
fn without_a_gateway_address_nobody_is_probed_and_owners_keep_what_they_have() {
    let mute = Rules { can_probe: false, ..rules() };
    assert_eq!(line(step(State::Active, OWNER, Event::Timeout, &mute), OWNER), "active 15000");
    assert_eq!(line(step(State::Active, OWNER, Event::Rival(RIVAL), &mute), OWNER), "active 15000");
    assert_eq!(line(step(CANDIDATE, OWNER, Event::Timeout, &mute), OWNER), "dropped");
    for state in STATES {
        for event in EVENTS {
            if matches!(state, CONTESTED | DISPUTED) && event == Event::Timeout {
                continue;
            }
            assert!(!step(state, OWNER, event, &mute).probe, "{state:?} {event:?}");
        }
    }
}

#[test]
fn every_state_that_waits_has_a_deadline_and_only_owners_are_announced() {
    for state in STATES {
        assert!(!state.announced() || state.in_kernel() && state.is_here(), "{state:?}");
        for event in EVENTS {
            let next = step(state, OWNER, event, &rules());
            if let Some((to, _)) = next.next {
                let moved = to.name() != state.name();
                assert!(!moved || next.deadline != Deadline::Keep, "{state:?} {event:?}: no deadline");
            }
        }
        let timeout = step(state, OWNER, Event::Timeout, &rules());
        assert!(
            timeout.next.is_none() || timeout.deadline != Deadline::Keep,
            "{state:?} would wait for ever"
        );
    }
}

#[test]
fn another_router_is_yielded_to_at_once_by_every_state_that_is_here() {
    for state in STATES {
        let (after, _) = step(state, OWNER, Event::Yield, &rules()).next.unwrap();
        assert!(!after.announced(), "{state:?}");
        // The neighbour entry outlives the route.
        assert_eq!(after.in_kernel(), state.in_kernel(), "{state:?}");
        let (released, _) = step(state, OWNER, Event::Release, &rules()).next.unwrap_or((RELEASED, OWNER));
        assert!(!released.announced() && !released.in_kernel(), "{state:?}");
    }
}

#[test]
fn a_router_that_was_yielded_to_is_believed_only_if_the_owner_is_silent() {
    let mut state = step(State::Active, OWNER, Event::Yield, &rules()).next.unwrap().0;
    let mut said = Vec::new();
    loop {
        let next = step(state, OWNER, Event::Timeout, &rules());
        said.push(line(next, OWNER));
        let Some((to, _)) = next.next else { break };
        state = to;
    }
    let expected =
        ["moved/1 100 probe", "moved/2 100 probe", "moved/3 100 probe", "moved/4 600000", "dropped"];
    assert_eq!(said, expected);
    let settled = State::Moved { lingering: false, probes: 4 };
    let elsewhere = Rules { remote: true, ..rules() };
    assert_eq!(line(step(settled, OWNER, Event::Timeout, &elsewhere), OWNER), "moved/4 600000");
    let mute = Rules { can_probe: false, ..rules() };
    assert_eq!(line(step(LINGERING, OWNER, Event::Timeout, &mute), OWNER), "moved/4 600000");
}

#[test]
fn a_declared_owner_is_kept_against_another_mac_elsewhere_and_others_are_asked() {
    let declared = Rules { declared: true, ..rules() };
    let dispute = |state, rules: &Rules| line(step(state, OWNER, Event::Dispute, rules), OWNER);
    assert_eq!(dispute(State::Active, &declared), "active 15000 Duplicate");
    assert_eq!(dispute(VERIFY, &declared), "active 15000 Duplicate");
    assert_eq!(dispute(State::Active, &rules()), "contested/1 elsewhere 100 probe");
    let mute = Rules { can_probe: false, ..rules() };
    assert_eq!(dispute(State::Active, &mute), "active 15000 Duplicate");
    let silent = State::Contested { probes: 3, rival: Rival::Elsewhere };
    let unproven = line(step(DISPUTED, ADOPTED, Event::RemoteGone, &rules()), ADOPTED);
    assert_eq!(unproven, "unverified/1 announced 5000 probe");
    let given_up = line(step(silent, OWNER, Event::Timeout, &rules()), OWNER);
    assert_eq!(given_up, "moved/0 lingering 1000 Yielded");
}

#[test]
fn one_move_too_many_freezes_the_address_where_it_went() {
    let tired = Rules { remote: true, exhausted: true, ..rules() };
    let after = |state, event| line(step(state, OWNER, event, &tired), OWNER);
    for state in [STANDBY, RELEASED, CANDIDATE, MOVED, State::Gone] {
        assert_eq!(after(state, Event::Owner(OWNER)), "frozen/here 1800000 Frozen", "{state:?}");
    }
    for state in [UNVERIFIED, State::Active, VERIFY, CONTESTED, DISPUTED] {
        assert_eq!(after(state, Event::Yield), "frozen/leaving 1000 Frozen", "{state:?}");
    }
    assert_eq!(after(FROZEN_AWAY, Event::Owner(OWNER)), "frozen/away", "nothing is taken over");
    // With nobody else to announce it there is no duplicate.
    let alone = Rules { remote: false, ..tired };
    assert_eq!(line(step(MOVED, OWNER, Event::Owner(OWNER), &alone), OWNER), "active 15000");
    assert_eq!(line(begin(OWNER, false, &tired), OWNER), "frozen/here 1800000 Frozen");
}
