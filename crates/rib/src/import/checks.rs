//! The checks before policy, in the order they are made: those of the attributes once an UPDATE, those of the prefix once
//! a prefix. RFC 4271 sections 6.3 and 9.1.2, RFC 4456 section 8, RFC 6811, RFC 7999, RFC 8212, RFC 9234 section 5, and
//! the built-in rules of an edge ([`EdgeRules`](super::EdgeRules)).

use std::net::IpAddr;
use std::sync::Arc;

use siskin_bgp::PathAttributes;
use siskin_net::{Asn, Family, NextHop, Prefix, Role};
use siskin_policy::{Aspa, Builtin, PrefixSet, Rpki};

use super::facts::{IrrState, origin_state};
use super::{ImportProfile, RpkiMode};

/// One of the checks of attributes, in the order of [`Check::ALL`].
#[derive(Clone, Copy, Debug)]
pub struct Check {
    /// What a path that fails it is rejected with.
    pub reason: Builtin,
    /// The peer has it.
    applies: fn(&ImportProfile) -> bool,
    fails: fn(&ImportProfile, &PathAttributes) -> bool,
}

const ALWAYS: fn(&ImportProfile) -> bool = |_| true;

impl Check {
    /// The checks of attributes, in order. Those of [`PrefixCheck::ALL`] follow for each prefix.
    pub const ALL: [Check; 15] = [
        Check { reason: Builtin::AsLoop, applies: ALWAYS, fails: as_loop },
        Check { reason: Builtin::FirstAs, applies: |p| p.enforce_first_as && p.external, fails: first_as },
        Check {
            reason: Builtin::OriginatorLoop,
            applies: ALWAYS,
            fails: |p, a| a.originator_id == Some(p.identifier),
        },
        Check {
            reason: Builtin::ClusterLoop,
            applies: ALWAYS,
            fails: |p, a| a.cluster_list.contains(&p.cluster_id),
        },
        Check { reason: Builtin::OwnNextHop, applies: ALWAYS, fails: own_next_hop },
        Check { reason: Builtin::Martian, applies: ALWAYS, fails: |_, a| is_martian_next_hop(a.next_hop) },
        Check {
            reason: Builtin::RoleLeak,
            applies: |p| p.role.is_some() && !p.edge.leaks_allowed,
            fails: role_leak,
        },
        Check { reason: Builtin::NextHop, applies: |p| p.edge.next_hop, fails: foreign_next_hop },
        Check {
            reason: Builtin::BogonAsn,
            applies: |p| p.edge.bogon_asns.is_some(),
            fails: |p, a| p.bogon_asn(a).is_some(),
        },
        Check { reason: Builtin::PathLength, applies: |p| p.edge.path_length.is_some(), fails: long_path },
        Check {
            reason: Builtin::TransitAsn,
            applies: |p| p.edge.transit_asns.is_some(),
            fails: |p, a| p.transit_asn(a).is_some(),
        },
        Check {
            reason: Builtin::NeverViaRouteServer,
            applies: |p| p.edge.never_via_route_server && p.facts.never_via_route_servers.is_some(),
            fails: |p, a| p.shy_asn(a).is_some(),
        },
        Check {
            reason: Builtin::Blocklist,
            applies: |p| p.edge.blocked_asns.is_some(),
            fails: |p, a| p.blocked_asn(a).is_some(),
        },
        Check {
            reason: Builtin::RpkiGate,
            applies: |p| p.edge.rpki != RpkiMode::Off,
            fails: |p, _| p.facts.gate_closed,
        },
        Check {
            reason: Builtin::AspaInvalid,
            applies: |p| p.edge.aspa && p.facts.aspas.is_some(),
            fails: aspa_invalid,
        },
    ];

    /// Whether a path of the peer passes.
    #[must_use]
    pub fn passes(&self, profile: &ImportProfile, attributes: &PathAttributes) -> bool {
        !((self.applies)(profile) && (self.fails)(profile, attributes))
    }

    /// Whether the peer has this check.
    #[must_use]
    pub fn applies(&self, profile: &ImportProfile) -> bool {
        (self.applies)(profile)
    }
}

impl ImportProfile {
    /// The AS number that `bogon-asn` objects to.
    pub(super) fn bogon_asn(&self, attributes: &PathAttributes) -> Option<Asn> {
        let set = self.edge.bogon_asns.as_ref()?;
        attributes.as_path.asns().find(|asn| set.contains(*asn))
    }

    /// The AS number that `transit-asn` objects to; the peer itself may be one.
    pub(super) fn transit_asn(&self, attributes: &PathAttributes) -> Option<Asn> {
        let set = self.edge.transit_asns.as_ref()?;
        attributes.as_path.asns().find(|asn| *asn != self.asn && set.contains(*asn))
    }

    /// The AS number that `never-via-route-server` objects to.
    pub(super) fn shy_asn(&self, attributes: &PathAttributes) -> Option<Asn> {
        let set = self.facts.never_via_route_servers.as_ref()?;
        attributes.as_path.asns().find(|asn| set.contains(*asn))
    }

    /// The AS number that `blocklist` objects to.
    pub(super) fn blocked_asn(&self, attributes: &PathAttributes) -> Option<Asn> {
        let set = self.edge.blocked_asns.as_ref()?;
        attributes.as_path.asns().find(|asn| set.contains(*asn))
    }
}

fn as_loop(profile: &ImportProfile, attributes: &PathAttributes) -> bool {
    let own = attributes.as_path.asns().filter(|asn| profile.local_asns.contains(asn)).count();
    own > usize::from(profile.allow_own_as)
}

fn first_as(profile: &ImportProfile, attributes: &PathAttributes) -> bool {
    attributes.as_path.neighbor_as() != Some(profile.asn)
}

fn own_next_hop(profile: &ImportProfile, attributes: &PathAttributes) -> bool {
    profile.own_addresses.binary_search(&attributes.next_hop.address).is_ok()
}

/// RFC 9234 section 5, ingress: OTC from below, or from a lateral peer that did not set it, is a leak.
fn role_leak(profile: &ImportProfile, attributes: &PathAttributes) -> bool {
    match (profile.role, attributes.otc) {
        (Some(Role::Customer | Role::RouteServerClient), Some(_)) => true,
        (Some(Role::Peer), Some(otc)) => otc != profile.asn,
        _ => false,
    }
}

/// The next hop is another than the peer. One of the other family than the session's cannot be compared.
fn foreign_next_hop(profile: &ImportProfile, attributes: &PathAttributes) -> bool {
    let Some(peer) = profile.address else { return false };
    let next_hop = attributes.next_hop;
    next_hop.address.is_ipv4() == peer.is_ipv4()
        && next_hop.address != peer
        && next_hop.link_local.map(IpAddr::V6) != Some(peer)
        // A session over link-local addresses says nothing of the global address behind it.
        && !matches!(peer, IpAddr::V6(a) if a.is_unicast_link_local())
}

fn long_path(profile: &ImportProfile, attributes: &PathAttributes) -> bool {
    profile.edge.path_length.is_some_and(|longest| attributes.as_path.decision_len() > longest)
}

fn aspa_invalid(profile: &ImportProfile, attributes: &PathAttributes) -> bool {
    let verified =
        profile.facts.aspas.as_ref().map(|t| t.verify(&attributes.as_path, profile.asn, profile.role));
    verified == Some(Aspa::Invalid)
}

fn is_martian_next_hop(next_hop: NextHop) -> bool {
    match next_hop.address {
        IpAddr::V4(a) => a.is_unspecified() || a.is_loopback() || a.is_multicast() || a.is_broadcast(),
        IpAddr::V6(a) => a.is_unspecified() || a.is_loopback() || a.is_multicast(),
    }
}

/// What the checks of prefixes want to know beside the prefix, found out once for all prefixes of an attribute set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Stage {
    /// The origin AS (RFC 6811 section 2): our own of an empty path, none behind an AS_SET.
    pub(crate) origin: Option<Asn>,
    /// The route is to be discarded.
    pub(crate) blackhole: bool,
    /// A bit for each check that the peer has, in the order of [`PrefixCheck::ALL`].
    checks: u16,
}

impl Stage {
    pub(crate) fn of(profile: &ImportProfile, attributes: &PathAttributes) -> Stage {
        let path = &attributes.as_path;
        let origin = if path.is_empty() { profile.local_asns.first().copied() } else { path.origin_as() };
        let applied = (0u16..).zip(&PrefixCheck::ALL).filter(|(_, check)| check.applies(profile));
        Stage {
            origin,
            blackhole: profile.edge.is_blackhole(attributes),
            checks: applied.fold(0, |bits, (at, _)| bits | 1 << at),
        }
    }
}

/// One of the checks of prefixes, in the order of [`PrefixCheck::ALL`].
#[derive(Clone, Copy, Debug)]
pub struct PrefixCheck {
    /// What a path that fails it is rejected with, if it has no nearer reason: its name.
    pub reason: Builtin,
    applies: fn(&ImportProfile) -> bool,
    objection: fn(&ImportProfile, Prefix, Stage) -> Option<Builtin>,
}

impl PrefixCheck {
    /// The checks of a prefix, in order.
    pub const ALL: [PrefixCheck; 8] = [
        PrefixCheck {
            reason: Builtin::Martian,
            applies: ALWAYS,
            objection: |_, prefix, _| is_martian(prefix).then_some(Builtin::Martian),
        },
        PrefixCheck {
            reason: Builtin::OwnPrefix,
            applies: |p| p.edge.own_prefixes.is_some(),
            objection: |p, prefix, _| within(p.edge.own_prefixes.as_ref(), prefix, Builtin::OwnPrefix),
        },
        PrefixCheck {
            reason: Builtin::BogonPrefix,
            applies: |p| p.edge.bogon_prefixes.is_some(),
            objection: |p, prefix, _| within(p.edge.bogon_prefixes.as_ref(), prefix, Builtin::BogonPrefix),
        },
        PrefixCheck {
            reason: Builtin::Blackhole,
            applies: |p| p.edge.blackhole.is_some(),
            objection: |p, prefix, stage| {
                (stage.blackhole && !p.may_blackhole(prefix, stage)).then_some(Builtin::Blackhole)
            },
        },
        PrefixCheck {
            reason: Builtin::PrefixLength,
            applies: |p| p.edge.prefix_length.is_some(),
            objection: |p, prefix, stage| {
                (!stage.blackhole && wrong_length(p, prefix)).then_some(Builtin::PrefixLength)
            },
        },
        PrefixCheck {
            reason: Builtin::Blocklist,
            applies: |p| p.edge.blocked_prefixes.is_some(),
            objection: |p, prefix, _| within(p.edge.blocked_prefixes.as_ref(), prefix, Builtin::Blocklist),
        },
        PrefixCheck {
            reason: Builtin::Irr,
            applies: |p| p.irr.is_some(),
            objection: ImportProfile::irr_objection,
        },
        PrefixCheck {
            reason: Builtin::RpkiInvalid,
            applies: |p| p.edge.rpki != RpkiMode::Off,
            objection: ImportProfile::rpki_objection,
        },
    ];

    /// Why a prefix is rejected, by the first check that objects.
    #[inline]
    pub(crate) fn first_objection(profile: &ImportProfile, prefix: Prefix, stage: Stage) -> Option<Builtin> {
        let mut left = stage.checks;
        while let Some(check) = PrefixCheck::ALL.get(left.trailing_zeros() as usize) {
            if let Some(reason) = (check.objection)(profile, prefix, stage) {
                return Some(reason);
            }
            left &= left - 1;
        }
        None
    }

    /// Why a path of the peer fails it; `None`: it passes.
    pub(crate) fn objection(&self, profile: &ImportProfile, prefix: Prefix, stage: Stage) -> Option<Builtin> {
        if self.applies(profile) { (self.objection)(profile, prefix, stage) } else { None }
    }

    /// Whether the peer has this check.
    #[must_use]
    pub fn applies(&self, profile: &ImportProfile) -> bool {
        (self.applies)(profile)
    }
}

impl ImportProfile {
    /// The state of origin validation; `None` without data.
    pub(super) fn origin_state(&self, prefix: Prefix, stage: Stage) -> Option<Rpki> {
        origin_state(&self.facts, prefix, stage.origin, stage.blackhole)
    }

    /// BLACKHOLE asks for single addresses, within the prefixes that the registry gives to the peer (RFC 7999 section 3.3).
    /// Whether the origin is a member is asked with the rest of `irr`.
    fn may_blackhole(&self, prefix: Prefix, stage: Stage) -> bool {
        let own = |irr: &super::IrrFilter| {
            matches!(irr.look_up(prefix, stage.origin, true), IrrState::Match | IrrState::NoMember)
        };
        prefix.is_host() && self.irr.as_ref().is_some_and(own)
    }

    fn irr_objection(&self, prefix: Prefix, stage: Stage) -> Option<Builtin> {
        let irr = self.irr.as_ref()?;
        let state = match irr.look_up(prefix, stage.origin, stage.blackhole) {
            IrrState::NoObject
                if irr.accept_rpki_valid && self.origin_state(prefix, stage) == Some(Rpki::Valid) =>
            {
                irr.look_up_excused(stage.origin)
            }
            state => state,
        };
        match state {
            IrrState::Match => None,
            IrrState::Missing => Some(Builtin::IrrMissing),
            IrrState::NoObject => Some(Builtin::Irr),
            IrrState::NoMember => Some(Builtin::IrrOrigin),
        }
    }

    fn rpki_objection(&self, prefix: Prefix, stage: Stage) -> Option<Builtin> {
        match self.origin_state(prefix, stage) {
            Some(Rpki::Invalid) => Some(Builtin::RpkiInvalid),
            Some(Rpki::Valid) => None,
            _ => (self.edge.rpki == RpkiMode::RequireValid).then_some(Builtin::RpkiNotValid),
        }
    }
}

fn within(set: Option<&Arc<PrefixSet>>, prefix: Prefix, reason: Builtin) -> Option<Builtin> {
    set.is_some_and(|set| set.contains(prefix)).then_some(reason)
}

fn wrong_length(profile: &ImportProfile, prefix: Prefix) -> bool {
    profile.edge.prefix_length.is_some_and(|lengths| {
        let (shortest, longest) = lengths[prefix.family()];
        !(shortest..=longest).contains(&prefix.len())
    })
}

/// Prefixes no table should hold: "this network" and its parts, loopback, multicast, link-local of IPv6.
fn is_martian(prefix: Prefix) -> bool {
    let (bits, len) = (prefix.bits(), prefix.len());
    match prefix.family() {
        Family::Ipv4 => {
            let first = bits >> 120;
            len >= 8 && (first == 0 || first == 127) || len >= 4 && bits >> 124 == 0xe
        }
        Family::Ipv6 => {
            len >= 8 && bits >> 120 == 0xff
                || len >= 10 && bits >> 118 == 0xfe80 >> 6
                || len >= 127 && bits >> 1 == 0
        }
    }
}
