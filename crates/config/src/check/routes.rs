//! What happens to a peer's routes, with the defaults of its kind and role.

use siskin_net::{FamilySet, Role};

use super::Checker;
use super::peer::Table;
use super::policy::Policies;
use crate::model::{NextHopMode, PeerKind, PolicyChoice, RouteSettings, RpkiMode};
use crate::read::raw::PeerKeys;
use crate::source::Spanned;

impl Checker<'_> {
    pub(super) fn routes(
        &mut self,
        keys: &PeerKeys,
        table: &Table,
        kind: Option<PeerKind>,
        policies: &Policies,
    ) -> Option<RouteSettings> {
        let role = self.role(keys, table, kind);
        let import = self.policy(keys.import.as_ref(), role, kind, policies);
        let export = self.policy(keys.export.as_ref(), role, kind, policies);
        if let Some(raw) = keys.role.filter(|_| role.is_some()) {
            let by_role = [&import, &export].iter().any(|p| matches!(p, Some(PolicyChoice::Role(_))));
            let row = if by_role { "peer.role" } else { "peer.role-with-policy" };
            self.not_yet(row, &table.key("role"), raw.at);
        }
        self.filters_not_yet(keys, table);
        if let Some(client) = keys.route_reflector_client.filter(|c| c.value)
            && kind == Some(PeerKind::External)
        {
            self.report
                .error(client.at, "only an internal peer can be a route reflection client (RFC 4456)")
                .label(format!("[{}] is external", table.path));
        }
        let next_hop = self.next_hop(keys);
        let external = kind == Some(PeerKind::External);
        let (communities_in, communities_out) = keys.communities.clone().map(|c| c.value).unwrap_or_default();
        Some(RouteSettings {
            import: import?,
            export: export?,
            rpki: keys
                .rpki
                .map_or(if role.is_some() { RpkiMode::RejectInvalid } else { RpkiMode::Off }, |r| r.value),
            irr: keys.irr.clone().and_then(|i| i.value),
            bogons: keys.bogons.map_or(role.is_some(), |b| b.value),
            max_prefix: keys.max_prefix.clone().and_then(|m| m.value),
            max_prefix_out: keys.max_prefix_out.clone().and_then(|m| m.value),
            default_originate: keys.default_originate.map_or(FamilySet::EMPTY, |d| d.value),
            next_hop,
            route_reflector_client: keys.route_reflector_client.is_some_and(|c| c.value),
            remove_private_as: keys.remove_private_as.is_some_and(|r| r.value),
            allow_own_as: keys.allow_own_as.map_or(0, |a| a.value),
            enforce_first_as: keys
                .enforce_first_as
                .map_or(external && role != Some(Role::RouteServer), |e| e.value),
            local_pref: keys.local_pref.map(|l| l.value),
            med: keys.med.map(|m| m.value),
            prepend: keys.prepend.map_or(0, |p| p.value),
            communities_in,
            communities_out,
            bfd: keys.bfd.and_then(|b| b.value),
        })
    }

    fn role(&mut self, keys: &PeerKeys, table: &Table, kind: Option<PeerKind>) -> Option<Role> {
        let role = keys.role?;
        if kind == Some(PeerKind::Internal) {
            self.report
                .error(role.at, "a role is between two AS (RFC 9234)")
                .label(format!("[{}] is internal", table.path));
            return None;
        }
        Some(role.value)
    }

    /// The policy of one direction: named, else the role's, else everything inside our AS and nothing outside it.
    fn policy(
        &mut self,
        name: Option<&Spanned<String>>,
        role: Option<Role>,
        kind: Option<PeerKind>,
        policies: &Policies,
    ) -> Option<PolicyChoice> {
        match (name, role, kind) {
            (Some(name), ..) => policies.find(name, self.report).map(PolicyChoice::Named),
            (None, Some(role), _) => Some(PolicyChoice::Role(role)),
            (None, None, Some(PeerKind::Internal)) => policies.accept_all().map(PolicyChoice::Named),
            (None, None, _) => Some(PolicyChoice::None),
        }
    }

    fn filters_not_yet(&mut self, keys: &PeerKeys, table: &Table) {
        let used = [
            ("rpki", keys.rpki.filter(|r| r.value != RpkiMode::Off).map(|r| r.at)),
            ("irr", keys.irr.as_ref().filter(|i| i.value.is_some()).map(|i| i.at)),
            ("bogons", keys.bogons.filter(|b| b.value).map(|b| b.at)),
            ("max-prefix", keys.max_prefix.as_ref().filter(|m| m.value.is_some()).map(|m| m.at)),
            ("max-prefix-out", keys.max_prefix_out.as_ref().filter(|m| m.value.is_some()).map(|m| m.at)),
            ("bfd", keys.bfd.filter(|b| b.value.is_some()).map(|b| b.at)),
        ];
        if let Some(communities) = &keys.communities
            && [&communities.value.0, &communities.value.1]
                .iter()
                .any(|c| !c.large.is_empty() || !c.extended.is_empty())
        {
            self.not_yet("peer.communities", &table.key("communities"), communities.at);
        }
        for (key, at) in used {
            if let Some(at) = at {
                self.not_yet(&format!("peer.{key}"), &table.key(key), at);
            }
        }
    }

    fn next_hop(&mut self, keys: &PeerKeys) -> NextHopMode {
        match (keys.next_hop_self.filter(|n| n.value), keys.next_hop_unchanged.filter(|n| n.value)) {
            (Some(own), Some(unchanged)) => {
                self.report
                    .error(unchanged.at, "`next-hop-self` and `next-hop-unchanged` exclude each other")
                    .label("one too many")
                    .also(own.at, "the other");
                NextHopMode::Default
            }
            (Some(_), None) => NextHopMode::SelfAddress,
            (None, Some(_)) => NextHopMode::Unchanged,
            (None, None) => NextHopMode::Default,
        }
    }
}
