//! What import knows of the routing system beside the routes: VRPs, ASPAs, the AS numbers that are never reached through
//! route servers, and the registry's list of a peer. Where they come from, and how old they are, is the daemon's matter.

use std::sync::Arc;

use siskin_bgp::attr::AsPath;
use siskin_net::{Asn, FamilyMap, Prefix};
use siskin_policy::{AsnSet, Aspa, AspaTable, PeerView, PrefixSet, Rpki, VrpTable};

use super::ImportProfile;

/// Facts that are the same for all peers. A new value takes the place of the old one as a whole
/// ([`Rib::set_facts`](crate::Rib::set_facts)).
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// Counts up with each change, and goes round.
    pub generation: u32,
    /// Data are awaited: until they come, peers that validate origins give nothing.
    pub gate_closed: bool,
    /// Validated ROA payloads; `None`: there are none to judge by, and every origin is unknown.
    pub vrps: Option<VrpTable>,
    /// Validated ASPA payloads; `None`: every path is unknown.
    pub aspas: Option<Arc<AspaTable>>,
    /// AS numbers that say of themselves that they are never reached through route servers.
    pub never_via_route_servers: Option<Arc<AsnSet>>,
}

impl Facts {
    /// A profile with these facts in the place of its own.
    pub(crate) fn given_to(self: &Arc<Facts>, profile: &Arc<ImportProfile>) -> Arc<ImportProfile> {
        if Arc::ptr_eq(self, &profile.facts) {
            return profile.clone();
        }
        Arc::new(ImportProfile { facts: self.clone(), ..(**profile).clone() })
    }
}

/// Which prefixes a change of [`Facts`] can touch.
#[derive(Clone, Debug)]
pub enum Touched {
    /// All of them.
    Everything,
    /// These and what lies within them.
    Within(Vec<Prefix>),
}

/// The peer key `irr`: what of a peer's prefixes the registry knows.
#[derive(Clone, Debug)]
pub struct IrrFilter {
    /// The as-sets in words: `AS-EXAMPLE`, `RIPE::AS-A, AS-B`.
    pub label: Arc<str>,
    /// What the registry said last; `None`: nothing yet, so nothing is imported.
    pub list: Option<Arc<IrrList>>,
    /// A route that is RPKI valid needs no object.
    pub accept_rpki_valid: bool,
    /// The origin AS must be a member of the as-set.
    pub check_origin: bool,
}

/// The registry's answer for one peer.
#[derive(Clone, Debug, Default)]
pub struct IrrList {
    /// What may be announced, with the lengths that the configuration allows.
    pub prefixes: PrefixSet,
    /// How many objects each family has; `None`: there is no list of that family yet.
    pub entries: FamilyMap<Option<usize>>,
    /// The members of the as-set, where they were asked for.
    pub members: Option<AsnSet>,
    /// When the oldest part was fetched, in seconds since 1970.
    pub fetched: u64,
}

/// How a registry's list looks at a route.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum IrrState {
    /// There is no list of the family.
    Missing,
    /// No object allows the prefix.
    NoObject,
    /// The origin is not a member.
    NoMember,
    /// It may be announced.
    Match,
}

impl IrrFilter {
    /// Looks a route up; `host_route`: it is enough that an object covers the prefix.
    pub(crate) fn look_up(&self, prefix: Prefix, origin: Option<Asn>, host_route: bool) -> IrrState {
        let Some(list) = &self.list else { return IrrState::Missing };
        // What the configuration adds is among the prefixes even where there is no list yet.
        let allowed = if host_route {
            list.prefixes.contains_address(prefix.address())
        } else {
            list.prefixes.contains(prefix)
        };
        if !allowed {
            let missing = list.entries[prefix.family()].is_none();
            return if missing { IrrState::Missing } else { IrrState::NoObject };
        }
        self.look_up_origin(list, origin)
    }

    /// As [`IrrFilter::look_up`], of a route that needs no object: its origin must be a member all the same.
    pub(crate) fn look_up_excused(&self, origin: Option<Asn>) -> IrrState {
        self.list.as_ref().map_or(IrrState::Missing, |list| self.look_up_origin(list, origin))
    }

    fn look_up_origin(&self, list: &IrrList, origin: Option<Asn>) -> IrrState {
        match &list.members {
            _ if !self.check_origin => IrrState::Match,
            None => IrrState::Missing,
            Some(members) if origin.is_some_and(|asn| members.contains(asn)) => IrrState::Match,
            Some(_) => IrrState::NoMember,
        }
    }
}

/// How origin validation looks at a route; without VRPs, unknown.
pub(crate) fn origin_state(
    facts: &Facts,
    prefix: Prefix,
    origin: Option<Asn>,
    host_route: bool,
) -> Option<Rpki> {
    let table = facts.vrps.as_ref()?;
    let state = table.validate(prefix, origin);
    if state == Rpki::Invalid && host_route {
        // RFC 7999 section 3.3: the length of a BLACKHOLE route is not what its ROA was made for; the origin is.
        let allowed = |asn| table.covering(prefix).any(|vrp| vrp.asn == asn && asn != Asn(0));
        return Some(if origin.is_some_and(allowed) { Rpki::Valid } else { Rpki::Invalid });
    }
    Some(state)
}

impl siskin_policy::Facts for ImportProfile {
    fn rpki(&self, prefix: Prefix, origin: Option<Asn>) -> Option<Rpki> {
        origin_state(&self.facts, prefix, origin, false)
    }

    fn aspa(&self, path: &AsPath, peer: Option<PeerView<'_>>) -> Option<Aspa> {
        let peer = peer?;
        Some(self.facts.aspas.as_ref()?.verify(path, peer.asn, peer.role))
    }

    fn irr_covers(&self, _: &str, prefix: Prefix) -> Option<bool> {
        let list = self.irr.as_ref()?.list.as_ref()?;
        list.entries[prefix.family()].map(|_| list.prefixes.contains_address(prefix.address()))
    }

    fn irr_origin(&self, _: &str, origin: Option<Asn>) -> Option<bool> {
        let members = self.irr.as_ref()?.list.as_ref()?.members.as_ref()?;
        Some(origin.is_some_and(|asn| members.contains(asn)))
    }

    fn irr(&self, _: &str, prefix: Prefix, origin: Option<Asn>) -> Option<bool> {
        match self.irr.as_ref()?.look_up(prefix, origin, false) {
            IrrState::Missing => None,
            state => Some(state == IrrState::Match),
        }
    }
}
