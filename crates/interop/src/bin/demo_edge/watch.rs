//! Looking at the edge: waiting for what a step is about, and failing with what is there instead.

use std::collections::BTreeSet;

use serde_json::Value;
use siskin_interop::Result;
use siskin_interop::kernel::{KernelRoute, count, siskin_route};
use siskin_interop::siskin::Siskin;
use siskin_interop::wait::{SOON, wait_for, wait_some};
use siskin_net::Family;

use crate::network::{Network, PEERS};

/// Waits until a route is rejected by this rule, and returns what more is said of it.
pub(crate) fn rejected(siskin: &Siskin, peer: &str, prefix: &str, rule: &str) -> Result<String> {
    let mut seen = Value::Null;
    let found = wait_some(&format!("{prefix} of {peer} to be rejected by {rule}"), SOON, || {
        seen = siskin.filtered_from(prefix, peer)?.unwrap_or_default()["rejected"].clone();
        Ok((seen["rule"] == rule).then(|| seen["text"].as_str().unwrap_or_default().to_owned()))
    });
    found.map_err(|error| error.during(format!("rejected: {seen}")))
}

/// Waits until a route is accepted.
pub(crate) fn accepted(siskin: &Siskin, peer: &str, prefix: &str) -> Result<Value> {
    wait_some(&format!("{prefix} of {peer} to be accepted"), SOON, || siskin.path_from(prefix, peer))
}

/// Waits until the edge's kernel has a route as it should be.
pub(crate) fn in_kernel(
    net: &Network,
    prefix: &str,
    right: impl Fn(&KernelRoute) -> bool,
) -> Result<KernelRoute> {
    wait_some(
        &format!("{prefix} in the kernel"),
        SOON,
        || Ok(siskin_route(&net.edge, prefix)?.filter(&right)),
    )
}

/// Who has which prefixes from the edge, in the order of [`PEERS`].
pub(crate) fn heard(net: &Network) -> Result<Vec<BTreeSet<String>>> {
    net.routers.iter().map(crate::speaker::Router::hears).collect()
}

/// The state of a set, as `siskin irr` has it.
pub(crate) fn wait_set(siskin: &Siskin, name: &str, state: &str) -> Result {
    wait_for(&format!("{name} to be {state}"), SOON, || {
        let all = siskin.cli_json(&["irr"])?;
        let mut sets =
            all["sets"].as_array().into_iter().flatten().filter(|set| set["as_set"] == name).peekable();
        Ok(sets.peek().is_some() && sets.all(|set| set["state"] == state))
    })
}

/// What must not change while a source is away: sessions and accepted routes by peer, and the kernel's routes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct State {
    peers: Vec<(Value, Vec<(Value, Value)>)>,
    kernel: Vec<u64>,
}

/// The state at this moment.
pub(crate) fn state(net: &Network) -> Result<State> {
    let peer = |name: &&str| -> Result<(Value, Vec<(Value, Value)>)> {
        let peer = net.siskin.api(&format!("/v1/peers/{name}"))?;
        let families = peer["families"].as_array().cloned().unwrap_or_default();
        let counts = families.iter().map(|f| (f["accepted"].clone(), f["filtered"].clone())).collect();
        Ok((peer["established_count"].clone(), counts))
    };
    let routes = |family| Ok(count(&net.edge, family, "proto 201")?.routes);
    Ok(State {
        peers: PEERS.iter().map(peer).collect::<Result<_>>()?,
        kernel: Family::ALL.into_iter().map(routes).collect::<Result<_>>()?,
    })
}
