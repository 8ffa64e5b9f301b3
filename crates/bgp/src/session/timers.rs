//! The timers of a session: an array of deadlines, and the jitter that keeps many sessions from acting at once.

use std::time::Duration;

use siskin_net::Timestamp;

use super::Direction;

/// What a deadline is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Timer {
    /// Idle after an error.
    IdleHold,
    /// The next attempt to connect, or the end of patience with this one.
    ConnectRetry,
    /// Nothing came from the peer.
    Hold(Direction),
    /// A KEEPALIVE is due.
    Keepalive(Direction),
    /// The peer takes no octet (RFC 9687).
    SendHold,
}

impl Timer {
    /// All of them, the ones that end a connection before those that keep it.
    const ALL: [Timer; 7] = [
        Timer::Hold(Direction::Outgoing),
        Timer::Hold(Direction::Incoming),
        Timer::SendHold,
        Timer::Keepalive(Direction::Outgoing),
        Timer::Keepalive(Direction::Incoming),
        Timer::ConnectRetry,
        Timer::IdleHold,
    ];

    fn place(self) -> usize {
        Self::ALL.iter().position(|timer| *timer == self).unwrap_or(0)
    }
}

/// The deadlines of a session.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Timers([Option<Timestamp>; Timer::ALL.len()]);

impl Timers {
    /// Sets a deadline, or takes it away.
    pub(super) fn set(&mut self, timer: Timer, at: Option<Timestamp>) {
        if let Some(deadline) = self.0.get_mut(timer.place()) {
            *deadline = at;
        }
    }

    /// Takes away what belongs to a connection.
    pub(super) fn clear_connection(&mut self, direction: Direction) {
        self.set(Timer::Hold(direction), None);
        self.set(Timer::Keepalive(direction), None);
    }

    /// Whether a deadline is set.
    pub(super) fn is_set(&self, timer: Timer) -> bool {
        self.0.get(timer.place()).is_some_and(Option::is_some)
    }

    /// Takes the first timer whose deadline has come.
    pub(super) fn take_expired(&mut self, now: Timestamp) -> Option<Timer> {
        let (timer, deadline) = Timer::ALL
            .into_iter()
            .zip(&mut self.0)
            .find(|(_, deadline)| deadline.is_some_and(|at| at <= now))?;
        *deadline = None;
        Some(timer)
    }

    /// The earliest deadline.
    pub(super) fn next(&self) -> Option<Timestamp> {
        self.0.iter().copied().flatten().min()
    }
}

/// A little generator (xorshift) for jitter alone: the same seed gives the same session.
#[derive(Clone, Copy, Debug)]
pub(super) struct Jitter(u32);

impl Jitter {
    /// Any seed will do; 0 counts as 1.
    pub(super) fn new(seed: u32) -> Jitter {
        // Spread first: seeds that are small and near each other would stay so for some steps.
        Jitter(seed.wrapping_mul(0x9e37_79b9).max(1))
    }

    /// A number from 0 to 65535.
    fn next(&mut self) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0 >> 16
    }

    /// Three to five quarters of `duration`.
    pub(super) fn around(&mut self, duration: Duration) -> Duration {
        duration * 3 / 4 + duration / 2 * self.next() / 65536
    }

    /// Three to four quarters of `duration` (RFC 4271 section 10).
    pub(super) fn below(&mut self, duration: Duration) -> Duration {
        duration * 3 / 4 + duration / 4 * self.next() / 65536
    }
}
