//! The built-in rules of a peer's configuration, in the form that import looks into.

use std::sync::Arc;

use siskin_config::{IrrSource, Peer, RpkiMode};
use siskin_net::Family;
use siskin_policy::PrefixSet;
use siskin_rib::{Drain, EdgeRules, IrrFilter};

use super::extras::Extras;
use super::profile::Router;

/// Which built-in rules a peer has, with their lists.
pub(super) fn rules(peer: &Peer, router: &Router, extras: &Extras) -> EdgeRules {
    let checks = &peer.routes.checks;
    let prefixes = |list: &siskin_config::Patterns| router.lists.prefixes(list);
    let asns = |list: &siskin_config::AsnRanges| router.lists.asns(list);
    let blocked = checks.blocklist.as_ref();
    EdgeRules {
        rpki: match peer.routes.rpki {
            RpkiMode::Off => siskin_rib::RpkiMode::Off,
            RpkiMode::RejectInvalid => siskin_rib::RpkiMode::RejectInvalid,
            RpkiMode::RequireValid => siskin_rib::RpkiMode::RequireValid,
        },
        bogon_prefixes: checks.bogon_prefixes.as_ref().map(prefixes),
        bogon_asns: checks.bogon_asns.as_ref().map(asns),
        prefix_length: checks.prefix_length,
        path_length: checks.path_length,
        own_prefixes: checks.own_prefixes.as_ref().map(prefixes),
        transit_asns: checks.transit_asns.as_ref().map(asns),
        next_hop: checks.next_hop,
        never_via_route_server: checks.never_via_route_server,
        blocked_asns: blocked
            .filter(|list| !list.asns.is_empty())
            .map(|list| Arc::new(list.asns.iter().copied().collect())),
        blocked_prefixes: blocked
            .filter(|list| !list.prefixes.is_empty())
            .map(|list| Arc::new(list.prefixes.iter().copied().collect::<PrefixSet>())),
        aspa: checks.aspa,
        leaks_allowed: !checks.role_leak,
        blackhole: checks.blackhole.then_some(router.blackhole_community),
        drained: extras.drain != Drain::No,
    }
}

/// The peer's IRR filter, with what the registries said so far.
pub(super) fn irr_filter(peer: &Peer, extras: &Extras) -> Option<IrrFilter> {
    let filter = peer.routes.irr.as_ref()?;
    let label = match (&extras.lists, &filter.as_set) {
        (Some(lists), _) => lists.label.clone(),
        (None, IrrSource::Auto) => "the as-set of PeeringDB".to_owned(),
        (None, IrrSource::Sets(sets)) => sets.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
    };
    Some(IrrFilter {
        label: label.into(),
        list: extras.irr.clone(),
        accept_rpki_valid: filter.accept_rpki_valid,
        check_origin: filter.check_origin,
    })
}

/// What an operator should know of the peer's filter.
pub(super) fn hint(peer: &Peer, extras: &Extras) -> Option<String> {
    let filter = irr_filter(peer, extras)?;
    let missing: Vec<&str> = peer
        .session
        .families
        .iter()
        .filter(|family| filter.list.as_ref().is_none_or(|list| list.entries[*family].is_none()))
        .map(Family::name)
        .collect();
    if missing.is_empty() {
        return None;
    }
    Some(format!(
        "there is no {} list of {} yet: nothing of it is imported",
        missing.join(" or "),
        filter.label
    ))
}
