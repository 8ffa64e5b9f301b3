//! Fuzz targets: a function for each kind of octets that may come from strangers. A target feeds a decoder and checks
//! what must hold whatever came: no panic (nor a debug build's overflow), no answer larger than its input allows, and
//! that what was understood survives being written and read again.
//!
//! `corpus/TARGET/` has a few inputs of each; tests replay them and many mutations of them, and `fuzz/` is the harness
//! of cargo-fuzz, which searches for more. Left out is netlink: its room tests that.

mod bgp;
mod frames;
mod policy;
mod sources;

/// A target by its name, which is that of its corpus.
#[derive(Clone, Copy)]
pub struct Target {
    /// The name.
    pub name: &'static str,
    /// Panics if something does not hold.
    pub run: fn(&[u8]),
}

/// All targets.
pub const TARGETS: &[Target] = &[
    Target { name: "rule_language", run: policy::rule_language },
    Target { name: "patterns", run: policy::patterns },
    Target { name: "bgp_message", run: bgp::message },
    Target { name: "bgp_update", run: bgp::update },
    Target { name: "irr_replies", run: sources::irr_replies },
    Target { name: "irr_lists", run: sources::irr_lists },
    Target { name: "peeringdb", run: sources::peeringdb },
    Target { name: "slurm", run: sources::slurm },
    Target { name: "rtr_pdus", run: sources::rtr_pdus },
    Target { name: "vm_frames", run: frames::vm_frames },
];

/// The target of that name.
#[must_use]
pub fn target(name: &str) -> Option<Target> {
    TARGETS.iter().copied().find(|target| target.name == name)
}

/// Runs the target of that name, for the harness.
///
/// # Panics
/// Where something does not hold, which is what a fuzzer looks for.
pub fn run(name: &str, data: &[u8]) {
    if let Some(target) = target(name) {
        (target.run)(data);
    }
}
