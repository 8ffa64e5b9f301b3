//! Attributes and paths in the API's words.

use std::net::{IpAddr, Ipv4Addr};

use siskin_api::{AggregatorView, Attributes, UnknownView};
use siskin_bgp::PathAttributes;
use siskin_bgp::attr::Origin;

/// Path attributes in text; `interface` names the interface of a link-local next hop.
pub(super) fn attributes(a: &PathAttributes, interface: impl Fn(u32) -> Option<String>) -> Attributes {
    let local = a.next_hop.address.is_unspecified();
    Attributes {
        origin: origin(a.origin).into(),
        as_path: a.as_path.to_string(),
        as_path_length: a.as_path.decision_len(),
        next_hop: Some(a.next_hop.address).filter(|_| !local),
        link_local_next_hop: a.next_hop.link_local.map(IpAddr::V6),
        next_hop_interface: Some(a.next_hop.interface).filter(|i| *i != 0).and_then(interface),
        med: a.med,
        local_pref: a.local_pref,
        weight: a.weight,
        table: Some(a.table).filter(|table| *table != 0),
        communities: a.communities.iter().map(ToString::to_string).collect(),
        large_communities: a.large_communities.iter().map(ToString::to_string).collect(),
        ext_communities: a.ext_communities.iter().map(ToString::to_string).collect(),
        atomic_aggregate: a.atomic_aggregate,
        aggregator: a
            .aggregator
            .map(|g| AggregatorView { asn: g.asn, router_id: Ipv4Addr::from_bits(g.identifier.0) }),
        originator_id: a.originator_id.map(|id| Ipv4Addr::from_bits(id.0)),
        cluster_list: a.cluster_list.iter().map(|c| Ipv4Addr::from_bits(*c)).collect(),
        otc: a.otc,
        unknown: a
            .unknown
            .iter()
            .map(|u| UnknownView {
                code: u.code,
                flags: u.flags,
                value: u.value.iter().map(|b| format!("{b:02x}")).collect(),
            })
            .collect(),
    }
}

fn origin(origin: Origin) -> &'static str {
    match origin {
        Origin::Igp => "igp",
        Origin::Egp => "egp",
        Origin::Incomplete => "incomplete",
    }
}
