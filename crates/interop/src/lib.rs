//! Black-box harness: Siskin, FRR and BIRD in network namespaces, a player of full tables and a sink
//! that counts them, and stand-ins for registries, for the tests of this crate, the demo and the benchmark.
//!
//! It starts programs and looks at them from outside only: their command lines, the kernel's tables and
//! what a peer receives. Its BGP (`wire`) is its own minimal one, so that a mistake of Siskin's codec
//! cannot hide behind the same mistake here. It leaves out all that a peer need not know to feed and to
//! count: no decision, no collision handling, no attribute decoding.

pub mod bird;
pub mod cluster;
pub mod container;
pub mod debian;
mod error;
pub mod fabric;
pub mod feed;
pub mod fleet;
pub mod frames;
pub mod frr;
pub mod guest;
pub mod hypervisor;
pub mod install;
pub mod irrd;
pub mod kernel;
pub mod lab;
pub mod loss;
pub mod make;
pub mod mrt;
pub mod peeringdb;
pub mod plain;
pub mod ports;
pub mod process;
pub mod router;
pub mod show;
pub mod siskin;
pub mod speaker;
pub mod stayrtr;
pub mod stream;
pub mod table;
pub mod tool;
pub mod vm;
pub mod wait;
pub mod watch;
pub mod wire;
pub mod world;

pub use error::{Error, Result, fail};
