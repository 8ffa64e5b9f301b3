//! What of a route a peer is sent: RFC 4271 sections 5.1 and 9.1.3, RFC 1997, RFC 4456 section 8, RFC 8212, RFC 9234
//! section 5, and the export policy. Leaves out that a route never goes back to the peer it came from: members of a
//! group differ in that.

use siskin_bgp::PathAttributes;
use siskin_bgp::attr::{AsPath, Community, ExtendedCommunity};
use siskin_net::{Asn, Family, NextHop, Prefix, Role, RouteSource};
use siskin_policy::{Builtin, Facts, NextHopAction, NoFacts, Outcome, PeerView, RouteView, RuleId, evaluate};
use smallvec::SmallVec;

use super::profile::{Drain, ExportProfile, NextHopMode};
use crate::attrs::DEFAULT_LOCAL_PREF;
use crate::config::PeerInfo;

const GRACEFUL_SHUTDOWN: Community = Community(0xffff_0000);
const NO_EXPORT: Community = Community(0xffff_ff01);
const NO_ADVERTISE: Community = Community(0xffff_ff02);
const NO_EXPORT_SUBCONFED: Community = Community(0xffff_ff03);

/// A route on its way out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outgoing<'a> {
    pub(crate) prefix: Prefix,
    pub(crate) attributes: &'a PathAttributes,
    /// Who it came from; `None`: the default route of `default_originate`.
    pub(crate) source: Option<&'a PeerInfo>,
}

/// The outcome of export, with the rule that decided.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Exported {
    /// What is sent; `None`: nothing.
    pub(crate) attributes: Option<PathAttributes>,
    pub(crate) rule: RuleId,
}

impl Exported {
    fn refused(rule: impl Into<RuleId>) -> Exported {
        Exported { attributes: None, rule: rule.into() }
    }
}

impl ExportProfile {
    /// Whether prefixes of one family with equal attributes may be treated differently.
    pub(crate) fn depends_on_prefix(&self) -> bool {
        self.policy.as_ref().is_some_and(|policy| policy.depends_on_prefix())
    }

    /// Judges a route.
    pub(crate) fn export(&self, route: Outgoing<'_>) -> Exported {
        let family = route.prefix.family();
        if let Some(reason) = self.refusal(family, route) {
            return Exported::refused(reason);
        }
        let mut attributes = self.prepare(route);
        let learned = route.source.is_some_and(|source| !source.is_local());
        let (rule, action) = match self.judge(route, &mut attributes) {
            Ok(accepted) => accepted,
            Err(rule) => return Exported::refused(rule),
        };
        match self.next_hop_of(family, &attributes, learned, action) {
            Some(next_hop) => attributes.next_hop = next_hop,
            None => return Exported::refused(Builtin::NoNextHop),
        }
        self.finish(route, &mut attributes);
        Exported { attributes: Some(attributes), rule }
    }

    /// The attributes policy gets to see.
    pub(crate) fn prepare(&self, route: Outgoing<'_>) -> PathAttributes {
        let mut attributes = route.attributes.clone();
        if self.external && route.source.is_some_and(|source| !source.is_local()) {
            // MED goes no further than the neighbouring AS (RFC 4271 section 5.1.4), unless policy sets one.
            attributes.med = None;
        }
        attributes
    }

    /// What forbids the route before policy is asked.
    fn refusal(&self, family: Family, route: Outgoing<'_>) -> Option<Builtin> {
        let communities = &route.attributes.communities;
        let has = |community| communities.binary_search(&community).is_ok();
        let internal = route.source.is_some_and(|s| !s.is_local() && !s.external);
        let reflected = self.reflector_client || route.source.is_some_and(|s| s.reflector_client);
        let upward = matches!(self.role, Some(Role::Provider | Role::Peer | Role::RouteServer));
        if !self.families.contains(family) {
            Some(Builtin::FamilyNotNegotiated)
        } else if self.drain == Drain::Silent {
            Some(Builtin::Drain)
        } else if has(NO_ADVERTISE) {
            Some(Builtin::NoAdvertise)
        } else if self.external && (has(NO_EXPORT) || has(NO_EXPORT_SUBCONFED)) {
            Some(Builtin::NoExport)
        } else if internal && !self.external && !reflected {
            Some(Builtin::NoReflection)
        } else if upward && route.attributes.otc.is_some() {
            Some(Builtin::RoleLeak)
        } else {
            None
        }
    }

    fn judge(
        &self,
        route: Outgoing<'_>,
        attributes: &mut PathAttributes,
    ) -> Result<(RuleId, NextHopAction), RuleId> {
        let policy = match &self.policy {
            _ if route.source.is_none() => return Ok((Builtin::AcceptAll.into(), NextHopAction::Default)),
            None if self.external => return Err(Builtin::NoPolicy.into()),
            None => return Ok((Builtin::AcceptAll.into(), NextHopAction::Default)),
            Some(policy) => policy,
        };
        let verdict = evaluate(policy, source_view(route, attributes), facts_of(route));
        if verdict.outcome == Outcome::Reject {
            return Err(verdict.rule);
        }
        if let Some(changed) = verdict.attributes {
            *attributes = changed;
        }
        Ok((verdict.rule, verdict.next_hop))
    }

    fn next_hop_of(
        &self,
        family: Family,
        attributes: &PathAttributes,
        learned: bool,
        action: NextHopAction,
    ) -> Option<NextHop> {
        let own = self.self_next_hop[family];
        // What came with it is known on the link it came over alone.
        let kept = NextHop::new(attributes.next_hop.address);
        let means_something = match kept.address {
            std::net::IpAddr::V4(address) => !address.is_unspecified(),
            std::net::IpAddr::V6(address) => !address.is_unspecified() && !address.is_unicast_link_local(),
        };
        let keep = || if means_something { Some(kept) } else { own };
        let next_hop = match (action, self.next_hop) {
            (NextHopAction::SelfAddress, _) | (NextHopAction::Default, NextHopMode::SelfAddress) => own,
            (NextHopAction::Peer, _) => self.peer_address.map(NextHop::new),
            (NextHopAction::Address(address), _) => Some(NextHop::new(address)),
            // Where packets are dropped is nothing a peer could use.
            (NextHopAction::Blackhole, _) => None,
            (NextHopAction::Unchanged, _) | (NextHopAction::Default, NextHopMode::Unchanged) => keep(),
            (NextHopAction::Default, NextHopMode::Default) if self.external || !learned => own,
            (NextHopAction::Default, NextHopMode::Default) => keep(),
        }?;
        let carried = match family {
            Family::Ipv4 => next_hop.address.is_ipv4() || self.encode.extended_next_hop,
            Family::Ipv6 => next_hop.address.is_ipv6(),
        };
        carried.then_some(next_hop)
    }

    /// What the kind of the session asks for, whatever the policy said.
    fn finish(&self, route: Outgoing<'_>, attributes: &mut PathAttributes) {
        attributes.weight = 0;
        attributes.table = 0;
        attributes.med = attributes.med.or(self.med);
        if self.external {
            self.cross_border(attributes);
        } else {
            attributes.local_pref.get_or_insert(DEFAULT_LOCAL_PREF);
            if let Some(source) = route.source.filter(|s| !s.is_local() && !s.external) {
                attributes.originator_id.get_or_insert(source.identifier);
                attributes.cluster_list.insert(0, self.cluster_id);
            }
        }
        attributes.border_prepend = 0;
        for community in &self.communities {
            if !community.is_in(attributes) {
                community.add_to(attributes);
            }
        }
        if self.drain == Drain::Graceful
            && let Err(at) = attributes.communities.binary_search(&GRACEFUL_SHUTDOWN)
        {
            attributes.communities.insert(at, GRACEFUL_SHUTDOWN);
        }
        if !self.ext_communities {
            attributes.ext_communities.clear();
        }
    }

    /// Attributes as another AS may see them.
    fn cross_border(&self, attributes: &mut PathAttributes) {
        if self.remove_private_as {
            attributes.as_path = without_private(&attributes.as_path);
        }
        attributes.as_path = attributes.as_path.prepended(
            self.local_asn,
            1 + usize::from(self.prepend) + usize::from(attributes.border_prepend),
        );
        attributes.local_pref = None;
        attributes.originator_id = None;
        attributes.cluster_list.clear();
        attributes.ext_communities.retain(|community| is_transitive(*community));
        if matches!(self.role, Some(Role::Customer | Role::Peer | Role::RouteServerClient)) {
            attributes.otc.get_or_insert(self.local_asn);
        }
    }
}

/// What an export policy may ask beside the route: what was known when it was imported.
pub(crate) fn facts_of<'a>(route: Outgoing<'a>) -> &'a dyn Facts {
    route.source.map_or(&NoFacts, |source| &*source.import)
}

/// A route as an export policy sees it: by where it came from.
pub(crate) fn source_view<'a>(route: Outgoing<'a>, attributes: &'a PathAttributes) -> RouteView<'a> {
    let peer = route.source.filter(|source| !source.is_local());
    RouteView {
        prefix: route.prefix,
        attributes,
        source: route.source.map_or(RouteSource::Originate, |source| source.source),
        peer: peer.map(|peer| PeerView { name: &peer.name, asn: peer.asn, role: peer.role }),
    }
}

/// RFC 4360 section 2: a bit of the type says that the community stays inside the AS.
fn is_transitive(community: ExtendedCommunity) -> bool {
    community.0 & 1 << 62 == 0
}

fn without_private(path: &AsPath) -> AsPath {
    let mut cleaned = AsPath::default();
    for (kind, asns) in path.segments() {
        cleaned.push_segment(kind, &asns.filter(|asn| !asn.is_private()).collect::<SmallVec<[Asn; 16]>>());
    }
    cleaned
}

#[cfg(test)]
mod tests;
