//! A VM's address as a route: the attributes that carry it over a move between hypervisors.
//!
//! Routers that know nothing of moves must prefer the hypervisor that has just taken an address over: inside the AS its
//! LOCAL_PREF is higher, and to other AS a settled route carries our AS number once more than a fresh one. Ours tell
//! each other the rest ([`HostMark`]).

use std::net::IpAddr;

use siskin_bgp::PathAttributes;
use siskin_bgp::attr::{Community, Origin};
use siskin_neighbor::{Mobility, Remote, binding_of};
use siskin_net::{Asn, BgpIdentifier, Family, IfIndex};
use siskin_rib::{HostMark, RemoteHost};

use crate::kernel::local_attributes;

/// LOCAL_PREF of an address that was just taken over; a settled one has none, which counts 100.
const ELEVATED_LOCAL_PREF: u32 = 200;
/// How often our AS number is put before the path of a settled route, beside the once that every route has.
const SETTLED_PREPEND: u8 = 1;
/// The first route to leave (RFC 8326).
const GRACEFUL_SHUTDOWN: Community = Community(0xffff_0000);

/// Who announces.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Identity {
    pub(crate) asn: Asn,
    pub(crate) identifier: BgpIdentifier,
}

/// The attributes of a host route on `interface`.
pub(super) fn attributes(
    family: Family,
    interface: IfIndex,
    mobility: Mobility,
    identity: Identity,
) -> PathAttributes {
    let mut attributes = local_attributes(family, Origin::Igp);
    attributes.next_hop.interface = interface;
    if mobility.elevated {
        attributes.local_pref = Some(ELEVATED_LOCAL_PREF);
    } else {
        attributes.border_prepend = SETTLED_PREPEND;
    }
    if mobility.leaving {
        attributes.communities.push(GRACEFUL_SHUTDOWN);
    }
    let mark = HostMark {
        sequence: mobility.sequence,
        binding: Some(binding_of(mobility.mac)),
        originator: Some(identity.identifier),
    };
    mark.add_to(&mut attributes, identity.asn);
    attributes
}

/// What the RIB found, as the machine takes it.
pub(super) fn remote(found: RemoteHost) -> Remote {
    let RemoteHost { sequence, binding, originator } = found;
    Remote { sequence, binding, originator, elevated: None }
}

/// Addresses and what others announce of them, newest first to go: as many as there are addresses, however many changes.
pub(super) type PendingNews = std::collections::BTreeMap<IpAddr, Option<Remote>>;

#[cfg(test)]
mod tests {
    use siskin_neighbor::Mac;

    use super::*;

    #[test]
    fn a_fresh_route_is_preferred_to_a_settled_one_and_a_leaving_one_to_none() {
        let identity = Identity { asn: Asn(64500), identifier: BgpIdentifier(9) };
        let mac = Mac([2, 0, 0, 0, 0, 1]);
        let of = |elevated, leaving| {
            let mobility = Mobility { sequence: 3, elevated, leaving, mac };
            attributes(Family::Ipv4, 4, mobility, identity)
        };
        let (fresh, settled, leaving) = (of(true, false), of(false, false), of(false, true));
        assert_eq!((fresh.local_pref, fresh.border_prepend), (Some(200), 0));
        assert_eq!((settled.local_pref, settled.border_prepend), (None, 1));
        assert_eq!(leaving.communities.as_slice(), [GRACEFUL_SHUTDOWN]);
        let expected =
            HostMark { sequence: 3, binding: Some(binding_of(mac)), originator: Some(BgpIdentifier(9)) };
        assert_eq!(HostMark::of(&fresh), expected);
        assert_eq!(HostMark::of(&settled), expected);
    }
}
