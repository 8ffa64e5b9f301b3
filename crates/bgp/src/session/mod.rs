//! A session with one peer: the finite state machine of RFC 4271 section 8 over two connections, one of each direction,
//! with collision (section 6.8), negotiation and timers. Nothing here reads a socket or a clock.
//!
//! The driver hands in what happened ([`Input`]) and when, and does what comes out ([`Output`]), in order. It calls again
//! with [`Input::Timer`] when [`Session::deadline`] has come. A connection is named by its [`Direction`]: there is never
//! more than one of each, which [`Session::accepts`] sees to.
//!
//! After an error the session stays Idle for a while that doubles, so that a broken peer is not hammered; from the second
//! error in a row on it accepts no connection in that time. What is sent in Established is the driver's own business, but for KEEPALIVE and NOTIFICATION.
//!
//! Graceful restart (RFC 4724, RFC 8538): which routes outlive a session is said by [`Negotiated::kept_after`]; to keep them,
//! for how long, is the driver's.
//!
//! Leaves out: DelayOpen.

mod config;
mod event;
mod machine;
mod negotiate;
mod receive;
mod timers;

#[cfg(test)]
mod tests;

pub use config::{PeerAs, SessionConfig};
pub use event::{AdminStop, Counters, Direction, DownReason, Input, LastError, Output, SendQueue, State};
pub use machine::Session;
pub use negotiate::Negotiated;
