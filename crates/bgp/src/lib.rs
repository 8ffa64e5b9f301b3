//! The BGP protocol without I/O: messages, path attributes, sessions.

pub mod attr;

pub use attr::PathAttributes;
