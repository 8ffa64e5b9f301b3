//! Two sessions that talk to each other: either connects, both connect at once, one goes away.

use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;

/// What is under way to a side.
enum Parcel {
    Connected(Direction),
    Refused,
    Octets(Direction, Bytes),
    Closed(Direction),
}

/// Two sides, and two possible connections between them, each named by who opened it.
struct World {
    sides: [Session; 2],
    /// A queue for each side and direction, and one for what has none: parcels of one stay in order.
    queues: [[VecDeque<Parcel>; 3]; 2],
    logs: [Vec<Output>; 2],
    now: Timestamp,
}

impl World {
    fn new(first: SessionConfig, second: SessionConfig) -> World {
        World {
            sides: [Session::new(first), Session::new(second)],
            queues: Default::default(),
            logs: Default::default(),
            now: START,
        }
    }

    fn post(&mut self, side: usize, parcel: Parcel) {
        let queue = match &parcel {
            Parcel::Connected(d) | Parcel::Octets(d, _) | Parcel::Closed(d) => *d as usize,
            Parcel::Refused => 2,
        };
        self.queues[side][queue].push_back(parcel);
    }

    fn give(&mut self, side: usize, input: Input<'_>) {
        let mut out = Vec::new();
        self.sides[side].handle(input, self.now, &mut out);
        let other = 1 - side;
        for output in &out {
            match output {
                Output::Connect => self.post(other, Parcel::Connected(Incoming)),
                Output::Send(direction, octets) => {
                    self.post(other, Parcel::Octets(direction.other(), octets.clone()));
                }
                Output::Close(direction) => {
                    // What was under way on it arrives no more.
                    self.queues[side][*direction as usize].clear();
                    self.post(other, Parcel::Closed(direction.other()));
                }
                _ => {}
            }
        }
        self.logs[side].extend(out);
    }

    fn deliver(&mut self, side: usize, queue: usize) {
        let Some(parcel) = self.queues[side][queue].pop_front() else { return };
        match parcel {
            Parcel::Connected(Incoming) => {
                if self.sides[side].accepts(Incoming) {
                    self.post(1 - side, Parcel::Connected(Outgoing));
                    self.give(side, Input::Connected(Incoming));
                } else {
                    self.post(1 - side, Parcel::Refused);
                }
            }
            Parcel::Connected(Outgoing) => self.give(side, Input::Connected(Outgoing)),
            Parcel::Refused => self.give(side, Input::ConnectFailed("refused")),
            Parcel::Octets(direction, octets) => self.give(side, Input::Message(direction, &octets)),
            Parcel::Closed(direction) => self.give(side, Input::Closed(direction, "closed")),
        }
    }

    /// Delivers all that is under way, the order between queues given by `choices`.
    fn settle(&mut self, choices: &mut impl Iterator<Item = usize>) {
        loop {
            let places = (0..2).flat_map(|side| (0..3).map(move |queue| (side, queue)));
            let full: Vec<(usize, usize)> = places.filter(|(s, q)| !self.queues[*s][*q].is_empty()).collect();
            if full.is_empty() {
                return;
            }
            let (side, queue) = full[choices.next().unwrap_or(0) % full.len()];
            self.deliver(side, queue);
        }
    }

    /// Lets `duration` go by.
    fn run(&mut self, duration: Duration, choices: &mut impl Iterator<Item = usize>) {
        let end = self.now + duration;
        self.settle(choices);
        while let Some(at) = self.sides.iter().filter_map(Session::deadline).min().filter(|at| *at <= end) {
            self.now = at.max(self.now);
            for side in 0..2 {
                self.give(side, Input::Timer);
            }
            self.settle(choices);
        }
        self.now = end;
    }

    fn states(&self) -> [State; 2] {
        [self.sides[0].state(), self.sides[1].state()]
    }

    /// The direction the session came up over last, seen from a side.
    fn up_over(&self, side: usize) -> Option<Direction> {
        self.logs[side].iter().rev().find_map(|o| match o {
            Output::Established(direction, _) => Some(*direction),
            _ => None,
        })
    }
}

fn passive(config: SessionConfig) -> SessionConfig {
    SessionConfig { passive: true, ..config }
}

#[test]
fn either_side_may_connect() {
    for (first, second, over) in
        [(config(), passive(peer_config()), Outgoing), (passive(config()), peer_config(), Incoming)]
    {
        let mut world = World::new(first, second);
        world.give(1, Input::Start);
        world.give(0, Input::Start);
        world.run(seconds(20), &mut std::iter::repeat(0));
        assert_eq!(world.states(), [State::Established; 2]);
        assert_eq!((world.up_over(0), world.up_over(1)), (Some(over), Some(over.other())));
    }
}

#[test]
fn of_two_connections_the_one_of_the_higher_identifier_stays() {
    for (ours, theirs, over) in [(10, 20, Incoming), (20, 10, Outgoing), (20, 20, Incoming)] {
        let with = |config, id| SessionConfig { identifier: BgpIdentifier(id), ..config };
        let mut world = World::new(with(config(), ours), with(peer_config(), theirs));
        // Both connections are there before either side has heard an OPEN on them.
        for side in 0..2 {
            world.give(side, Input::Start);
        }
        world.deliver(0, 1);
        world.deliver(1, 1);
        world.deliver(0, 0);
        world.deliver(1, 0);
        world.settle(&mut (0..).map(|n| n / 2));
        assert_eq!(world.states(), [State::Established; 2], "{ours} and {theirs}");
        assert_eq!((world.up_over(0), world.up_over(1)), (Some(over), Some(over.other())));
        let lost = world.logs.iter().flatten().any(|o| matches!(o, Output::Failed(..)));
        assert!(lost, "there was no collision to settle");
    }
}

proptest! {
    /// Whatever the order in which things arrive, both sides come up over the same connection and stay up.
    #[test]
    fn two_active_sides_agree(
        choices in proptest::collection::vec(any::<usize>(), 0..60),
        ids in (1..4u32, 1..4u32),
        seeds in any::<(u32, u32)>(),
    ) {
        let with = |config, id, jitter_seed| SessionConfig { identifier: BgpIdentifier(id), jitter_seed, ..config };
        let mut world = World::new(with(config(), ids.0, seeds.0), with(peer_config(), ids.1, seeds.1));
        world.give(0, Input::Start);
        world.give(1, Input::Start);
        let mut choices = choices.into_iter().chain(std::iter::repeat(1));
        world.run(seconds(300), &mut choices);
        prop_assert_eq!(world.states(), [State::Established; 2]);
        prop_assert_eq!(world.up_over(0), world.up_over(1).map(Direction::other));
        let since = world.sides[0].established_since().unwrap();
        prop_assert!(since.since(START) < seconds(60), "{:?}", since.since(START));
    }
}

#[test]
fn a_peer_that_was_restarted_is_back_within_seconds() {
    let mut world = World::new(config(), passive(peer_config()));
    world.give(1, Input::Start);
    world.give(0, Input::Start);
    world.run(seconds(20), &mut std::iter::repeat(0));
    world.give(1, Input::Stop(AdminStop::Reset(String::new())));
    world.give(1, Input::Start);
    world.run(seconds(3), &mut std::iter::repeat(0));
    assert_eq!(world.states(), [State::Established; 2]);
}
