//! The BGP protocol without I/O: messages ([`wire`]), path attributes ([`attr`]), sessions ([`session`]), and routes of
//! other routers' files ([`mrt`]).
//!
//! Time and bytes are arguments; nothing here opens a socket, reads a clock or keeps a lock. Decoders take whatever a
//! peer may send: they neither panic nor grow beyond the message they were given.

pub mod attr;
pub mod mrt;
pub mod session;
pub mod wire;

pub use attr::{PathAttributes, compact};
