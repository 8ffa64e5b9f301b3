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
    // In the order of EVENTS: owner, owner tentative, rival, takeover, timeout, rival lost, port back, lost, gone.
    let table: [(State, [&str; 9]); 6] = [
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
            ],
        ),
    ];
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
            assert!(!step(state, OWNER, event, &mute).probe, "{state:?} {event:?}");
        }
    }
}

#[test]
fn every_state_that_waits_has_a_deadline_and_only_owners_are_announced() {
    for state in STATES {
        for event in EVENTS {
            let next = step(state, OWNER, event, &rules());
            if let Some((to, _)) = next.next {
                let moved = to.name() != state.name();
                assert!(!moved || next.deadline != Deadline::Keep, "{state:?} {event:?}: no deadline");
                assert!(!to.announced() || to.in_kernel(), "{state:?} {event:?}: announced and not routed");
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
fn print_table() {
    for state in STATES {
        println!("{state:?}");
        for (event, line) in EVENTS.iter().zip(row(state, &rules())) {
            println!("   {event:?}: {line}");
        }
    }
}
