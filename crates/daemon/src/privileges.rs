//! What the process is allowed to do: the capabilities a configuration needs, checked before anything starts.

use caps::{CapSet, Capability};
use siskin_config::Config;

/// The capabilities that are missing, each with what it is for and how to give it.
pub(crate) fn missing_capabilities(config: &Config) -> Vec<String> {
    needed(config)
        .into_iter()
        .filter(|(capability, _)| !caps::has_cap(None, CapSet::Effective, *capability).unwrap_or(false))
        .map(|(capability, why)| {
            format!(
                "{capability} is missing, which is needed {why}; start siskind as root, or give the unit \
                 AmbientCapabilities={capability}"
            )
        })
        .collect()
}

fn needed(config: &Config) -> Vec<(Capability, &'static str)> {
    let mut needed = Vec::new();
    let kernel = config.kernel.install || !config.host_routes.is_empty();
    if kernel {
        needed.push((Capability::CAP_NET_ADMIN, "to write kernel routes (or set kernel.install = false)"));
    }
    if !config.host_routes.is_empty() {
        needed.push((Capability::CAP_NET_RAW, "to snoop ARP and neighbour discovery (host-routes)"));
    }
    if config.router.listen.iter().any(|a| (1..1024).contains(&a.port())) {
        needed.push((Capability::CAP_NET_BIND_SERVICE, "to listen on a port below 1024 (router.listen)"));
    }
    needed
}

/// The user the process acts as.
pub(crate) fn effective_uid() -> u32 {
    // SAFETY: geteuid has no preconditions and cannot fail.
    unsafe { libc::geteuid() }
}
