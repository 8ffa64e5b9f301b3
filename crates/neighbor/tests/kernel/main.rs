//! Host routes against the real kernel. `moves`: another router claims a VM. `vms`: VMs are network namespaces whose kernels speak ARP and neighbour
//! discovery. `wire`: frames made by hand, the filter, rates and latency. Needs root, `ip`, `unshare`, `nsenter` and
//! `ping`, and fails without.

#![expect(clippy::disallowed_methods, reason = "the tests are the clock")]
#![expect(clippy::unwrap_used, reason = "a test that cannot set up its world fails")]

mod moves;
mod vlans;
mod vms;
mod wire;
mod world;
