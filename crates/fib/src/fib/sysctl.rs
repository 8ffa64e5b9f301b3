//! `net.ipv4.nexthop_compat_mode`: with 1, the kernel's default, every change of a next-hop group is announced once for
//! each route that uses it, for listeners that know no next-hop objects. The files under `/proc/sys/net` show the
//! network namespace of the thread that opens them.

use std::fs;

const COMPAT_MODE: &str = "/proc/sys/net/ipv4/nexthop_compat_mode";

/// Whether it is on; `None`: the kernel has no such switch (before 5.6), or it cannot be read.
pub(super) fn compat_mode() -> Option<bool> {
    match fs::read_to_string(COMPAT_MODE).ok()?.trim() {
        "0" => Some(false),
        "1" => Some(true),
        _ => None,
    }
}

/// Switches it off and says so. Refusal is no error: all works, more slowly.
pub(super) fn switch_compat_mode_off() {
    if compat_mode() != Some(true) {
        return;
    }
    match fs::write(COMPAT_MODE, "0") {
        Ok(()) => tracing::info!(
            "switched net.ipv4.nexthop_compat_mode off: changes of groups cost the same for any number of routes"
        ),
        Err(error) => {
            tracing::warn!(%error, "net.ipv4.nexthop_compat_mode stays on: failover takes longer the more routes there are")
        }
    }
}
