//! The client against caches that are scripted here: they drop, lie, stall, go back in time, and tell the truth.
//!
//! Each test drives its cache by hand over TCP on the loopback. Long times are in the unit tests of the session, where
//! they cost nothing; here timers are set to fractions of a second.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::cast_possible_truncation,
    reason = "a test"
)]

mod big;
mod failures;
mod pdus;
mod restart;
mod site;
mod slurm;
mod union;
