//! What happens to a peer's routes, with the defaults of its kind and role.

use siskin_net::{FamilyMap, FamilySet, Role};
use siskin_policy::{Compiled, Needs};

use super::peer::Table;
use super::{Checker, Context, builtin, checks};
use crate::model::{
    AsnRule, IrrFilter, IrrSource, Limits, MaxPrefix, MaxPrefixSource, NextHopMode, PeerKind, PolicyChoice,
    RouteSettings, Rpki, RpkiMode, SessionSettings,
};
use crate::read::raw::PeerKeys;
use crate::source::Spanned;

impl Checker<'_> {
    /// `session` is `None` where it is wrong, which is reported.
    pub(super) fn routes(
        &mut self,
        keys: &PeerKeys,
        table: &Table,
        session: Option<&SessionSettings>,
        context: &Context,
    ) -> Option<RouteSettings> {
        let kind = session.map(SessionSettings::kind);
        let external = kind == Some(PeerKind::External);
        let role = self.role(keys, table, kind);
        let import = self.policy(keys.import.as_ref(), context, kind, || builtin::import_of(role, keys));
        let export = self.policy(keys.export.as_ref(), context, kind, || builtin::export_of(role, keys));
        if let Some(client) = keys.route_reflector_client.filter(|c| c.value)
            && external
        {
            self.report
                .error(client.at, "only an internal peer can be a route reflection client (RFC 4456)")
                .label(format!("[{}] is external", table.path));
        }
        if let Some(bfd) = keys.bfd.filter(|b| b.value.is_some()) {
            self.not_yet("peer.bfd", &table.key("bfd"), bfd.at);
        }
        self.what_one_as_alone_can_have(keys, table);
        self.irr_without_set(keys, table, import.as_ref());
        let direct = session.is_some_and(|session| session.ttl.is_direct());
        let of = checks::Of { role, external, direct };
        let checks = self.checks(keys, table, &of, &context.edge);
        let rpki = self.rpki_mode(keys, table, role, &context.rpki);
        let next_hop = self.next_hop(keys);
        let (communities_in, communities_out) = keys.communities.clone().map(|c| c.value).unwrap_or_default();
        let hides_private = matches!(role, Some(Role::Provider | Role::Peer | Role::RouteServer));
        Some(RouteSettings {
            import: import?,
            export: export?,
            rpki,
            irr: keys.irr.clone().and_then(|i| i.value),
            checks,
            drain: keys.drain.is_some_and(|d| d.value),
            max_prefix: keys.max_prefix.clone().and_then(|m| m.value),
            max_prefix_out: self.max_prefix_out(keys, table),
            default_originate: keys.default_originate.map_or(FamilySet::EMPTY, |d| d.value),
            next_hop,
            remove_private_as: keys.remove_private_as.map_or(hides_private, |r| r.value),
            allow_own_as: keys.allow_own_as.map_or(0, |a| a.value),
            enforce_first_as: keys
                .enforce_first_as
                .map_or(external && role != Some(Role::RouteServer), |e| e.value),
            local_pref: keys.local_pref.map(|l| l.value),
            med: keys.med.map(|m| m.value),
            table: keys.table.map(|t| t.value),
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
        context: &Context,
        kind: Option<PeerKind>,
        of_role: impl FnOnce() -> Option<(Role, String)>,
    ) -> Option<PolicyChoice> {
        let policies = &context.policies;
        if let Some(name) = name {
            return policies.find(name, self.report).map(PolicyChoice::Named);
        }
        match (of_role(), kind) {
            (Some((role, name)), _) => Some(PolicyChoice::Role(role, policies.built_in(&name)?)),
            (None, Some(PeerKind::Internal)) => policies.built_in("accept-all").map(PolicyChoice::Named),
            (None, _) => Some(PolicyChoice::None),
        }
    }

    /// `rpki`, and that it needs data if it was asked for.
    fn rpki_mode(&mut self, keys: &PeerKeys, table: &Table, role: Option<Role>, rpki: &Rpki) -> RpkiMode {
        let Some(mode) = keys.rpki else {
            return if role.is_some() { RpkiMode::RejectInvalid } else { RpkiMode::Off };
        };
        let effect = match mode.value {
            RpkiMode::RejectInvalid => "no route is validated, so none is rejected",
            RpkiMode::RequireValid => "no route is valid, so none is accepted",
            RpkiMode::Off => return RpkiMode::Off,
        };
        if rpki.servers.is_empty() && self.warned.insert((effect, mode.at)) {
            self.report
                .warning(mode.at, format!("`{}` is set, but [rpki] has no `servers`", table.key("rpki")))
                .label(effect)
                .help("add [rpki] with `servers = [\"HOST:PORT\"]`, the RTR caches to ask");
        }
        mode.value
    }

    /// `max-prefix-out`, without what says nothing about the way out: a PeeringDB record has the number of prefixes its
    /// network announces, and `received` counts what is taken.
    fn max_prefix_out(&mut self, keys: &PeerKeys, table: &Table) -> Option<MaxPrefix> {
        let given = keys.max_prefix_out.as_ref()?;
        let limit = given.value.as_ref()?;
        let (limits, from_record) = match limit.source {
            MaxPrefixSource::Limits(limits) => (limits, false),
            MaxPrefixSource::PeeringDb(limits) => (limits, true),
        };
        let counts_received = limits.received.iter().any(|(_, limit)| limit.is_some());
        for (word, there, why) in [
            ("peeringdb", from_record, "it says how many prefixes the peer announces"),
            ("received", counts_received, "it counts what the peer announces"),
        ] {
            if there && self.warned.insert((word, given.at)) {
                let message = format!("`{word}` in `{}` limits nothing", table.key("max-prefix-out"));
                self.report.warning(given.at, message).label(why);
            }
        }
        let limits = Limits { received: FamilyMap::default(), ..limits };
        (limits != Limits::default())
            .then(|| MaxPrefix { source: MaxPrefixSource::Limits(limits), ..limit.clone() })
    }

    /// An import policy that asks for the peer's IRR set needs one.
    fn irr_without_set(&mut self, keys: &PeerKeys, table: &Table, import: Option<&PolicyChoice>) {
        let asks = |policy: &Compiled| policy.needs().contains(Needs::IRR);
        let (Some(PolicyChoice::Named(policy)), Some(name)) = (import, &keys.import) else { return };
        let no_set = keys.irr.as_ref().is_none_or(|irr| irr.value.is_none());
        if no_set && asks(policy) && self.warned.insert(("irr match", name.at)) {
            self.report
                .warning(name.at, format!("policy `{}` asks for the IRR set of the peer", name.value))
                .label(format!("[{}] has no `irr`, so nothing matches", table.path));
        }
    }

    /// PeeringDB is asked by AS number, so what comes from there needs a peer of a single one.
    fn what_one_as_alone_can_have(&mut self, keys: &PeerKeys, table: &Table) {
        if keys.asn.as_ref().is_none_or(|asn| matches!(asn.value, AsnRule::Is(_))) {
            return;
        }
        let auto = |irr: &IrrFilter| irr.as_set == IrrSource::Auto;
        let irr = keys.irr.as_ref().filter(|irr| irr.value.as_ref().is_some_and(auto));
        let asks = |limit: &MaxPrefix| matches!(limit.source, MaxPrefixSource::PeeringDb(_));
        let limit = keys.max_prefix.as_ref().filter(|limit| limit.value.as_ref().is_some_and(asks));
        let found = [("irr", irr.map(|irr| irr.at)), ("max-prefix", limit.map(|limit| limit.at))];
        for (key, at) in found {
            let Some(at) = at else { continue };
            let draft = self
                .report
                .error(at, format!("`{}` asks PeeringDB, which is asked by AS number", table.key(key)))
                .label("which AS is meant?");
            if let Some(asn) = &keys.asn {
                draft.also(asn.at, "the peer's AS number is not given");
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
