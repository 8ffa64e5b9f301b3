//! RIBs in one deterministic world, for tests: no thread, no clock, no socket, and every queue in plain sight.
//!
//! A [`Node`] is a RIB with what the daemon puts around it: batches on their way, queues of bounded room, somebody who
//! answers for next hops, a kernel. A [`Listener`] is the far end of a session: it reads what was sent, byte for byte.
//!
//! The tests here are the ones that matter most: the RIB after any sequence of events equals one rebuilt from
//! Adj-RIB-In, and what each peer was sent equals the export of Loc-RIB.

mod listener;
mod node;

pub use listener::{Listener, encode_context, through_the_wire};
pub use node::{Node, Outboxes};

#[cfg(test)]
mod tests;
