//! Times and limits of `[host-routes.INTERFACE]`.

use std::time::Duration;

use super::{check, config, with_router};
use crate::*;

fn domain(keys: &str) -> HostRoutes {
    let text = with_router(&format!("[host-routes.vmbr1]\nprefixes = ['198.51.100.0/24']\n{keys}"));
    config(&text).host_routes["vmbr1"].clone()
}

#[test]
fn what_is_not_given_is_as_in_the_preset() {
    assert_eq!(domain("").timers, HostTimers::default());
    assert_eq!(domain("preset = 'rdnbrd'").timers, HostTimers::rdnbrd());
    let told = domain("preset = 'rdnbrd'\ntimers = { probe-count = 5, linger = '200ms' }").timers;
    assert_eq!((told.probe_interval, told.probe_count), (Duration::from_secs(1), 5));
    assert_eq!(told.linger, Duration::from_millis(200));
    let limits = domain("limits = { per-port = 4, burst = 7 }").limits;
    assert_eq!(limits, HostLimits { per_port: 4, burst: 7, ..HostLimits::default() });
    assert!(!domain("").announce_without_evidence);
}

#[test]
fn a_vm_may_name_its_port() {
    let vm =
        "[[host-routes.vmbr1.vm]]\nname = 'a'\nmac = '52:02:45:76:d2:35'\naddresses = ['198.51.100.2']\n";
    let named = domain(&format!("announce-without-evidence = true\n{vm}port = 'tap100i0'\n"));
    assert_eq!(named.vms[0].port.as_deref(), Some("tap100i0"));
    assert!(named.announce_without_evidence);
    // Without a port nothing would be announced: that is said.
    let text = with_router(&format!(
        "[host-routes.vmbr1]\nprefixes = ['198.51.100.0/24']\nannounce-without-evidence = true\n{vm}"
    ));
    let warnings = check(&text).unwrap().warnings.render(false);
    assert!(
        warnings.contains("`announce-without-evidence` of [host-routes.vmbr1] does nothing"),
        "{warnings}"
    );
}
