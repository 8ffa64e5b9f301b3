//! `[peer.*]` and `[dynamic-peer.*]`: group merged in, defaults of the kind of peer applied.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use siskin_net::{Asn, FamilySet, Prefix, Role};

use super::Checker;
use super::policy::Policies;
use crate::model::{
    AddPath, AddPathSend, AsnRule, DynamicPeer, Endpoint, GracefulRestart, NextHopMode, Peer, PeerKind,
    PolicyChoice, RouteSettings, RpkiMode, Secret, SessionSettings, Ttl,
};
use crate::read::TtlSecurity;
use crate::read::raw::{Named, PeerKeys, RawDynamicPeer, RawPeer, RawPeerGroup};
use crate::source::{Location, Spanned};
use crate::suggest;

/// The peer groups by name.
pub(super) struct Groups(BTreeMap<String, RawPeerGroup>);

impl Groups {
    pub(super) fn new(list: Vec<Named<RawPeerGroup>>) -> Groups {
        Groups(list.into_iter().map(|group| (group.name.value, group.value)).collect())
    }
}

/// The table a peer is declared in: `peer.transit-a`, and where its name stands.
struct Table {
    path: String,
    at: Location,
}

impl Table {
    fn new(key: &str, name: &Spanned<String>) -> Table {
        Table { path: format!("{key}.{}", name.value), at: name.at }
    }

    fn key(&self, key: &str) -> String {
        format!("{}.{key}", self.path)
    }
}

impl Checker<'_> {
    pub(super) fn peers(
        &mut self,
        list: Vec<Named<RawPeer>>,
        groups: &Groups,
        policies: &Policies,
        local_asn: Asn,
    ) -> BTreeMap<String, Peer> {
        let mut endpoints = BTreeMap::new();
        let mut peers = BTreeMap::new();
        for Named { name, value: RawPeer { group, mut keys } } in list {
            let table = Table::new("peer", &name);
            self.inherit(&mut keys, group.as_ref(), groups);
            let endpoint = self.endpoint(&keys, &table);
            if let Some(endpoint) = &endpoint {
                let key = Spanned { value: identity(&endpoint.value), at: endpoint.at };
                self.is_first(&mut endpoints, key, |e| match e {
                    (Some(address), _) => format!("two peers have the address `{address}`"),
                    (None, interface) => {
                        format!("two peers are on interface `{}`", interface.as_deref().unwrap_or(""))
                    }
                });
            }
            let endpoint = endpoint.map(|e| e.value);
            let session = self.session(&keys, &table, endpoint.as_ref(), local_asn);
            let kind = session.as_ref().map(SessionSettings::kind);
            let routes = self.routes(&keys, &table, kind, policies);
            let (Some(endpoint), Some(session), Some(routes)) = (endpoint, session, routes) else { continue };
            let peer = Peer {
                name: name.value.clone(),
                description: keys.description.map(|d| d.value),
                enabled: keys.enabled.is_none_or(|e| e.value),
                group: group.map(|g| g.value),
                endpoint,
                session,
                routes,
            };
            peers.insert(name.value, peer);
        }
        peers
    }

    pub(super) fn dynamic_peers(
        &mut self,
        list: Vec<Named<RawDynamicPeer>>,
        groups: &Groups,
        policies: &Policies,
        local_asn: Asn,
    ) -> BTreeMap<String, DynamicPeer> {
        let mut peers = BTreeMap::new();
        let mut ranges: BTreeMap<Prefix, Location> = BTreeMap::new();
        for Named { name, value: mut raw } in list {
            let table = Table::new("dynamic-peer", &name);
            self.not_yet("dynamic-peer", &table.path, raw.at);
            self.inherit(&mut raw.keys, raw.group.as_ref(), groups);
            if !raw.has_range {
                self.report
                    .error(raw.at, format!("[{}] needs `range` or `interfaces`", table.path))
                    .label("nobody could be accepted");
            }
            for range in &raw.range {
                self.is_first(&mut ranges, *range, |r| format!("two dynamic peers take `{r}`"));
            }
            let session = self.session(&raw.keys, &table, None, local_asn);
            let kind = session.as_ref().map(SessionSettings::kind);
            let routes = self.routes(&raw.keys, &table, kind, policies);
            let (Some(session), Some(routes)) = (session, routes) else { continue };
            let peer = DynamicPeer {
                name: name.value.clone(),
                range: raw.range.into_iter().map(|r| r.value).collect(),
                interfaces: raw.interfaces.into_iter().map(|i| i.value).collect(),
                limit: raw.limit.map_or(100, |l| l.value),
                description: raw.keys.description.map(|d| d.value),
                enabled: raw.keys.enabled.is_none_or(|e| e.value),
                group: raw.group.map(|g| g.value),
                session,
                routes,
            };
            peers.insert(name.value, peer);
        }
        peers
    }

    fn inherit(&mut self, keys: &mut PeerKeys, group: Option<&Spanned<String>>, groups: &Groups) {
        let Some(name) = group else { return };
        match groups.0.get(&name.value) {
            Some(group) => keys.inherit(&group.keys),
            None => {
                let known = groups.0.keys().map(String::as_str);
                self.report
                    .error(name.at, format!("there is no peer group `{}`", name.value))
                    .label("not declared")
                    .maybe_help(suggest::help(&name.value, known, "declared groups"));
                // What the group would have given is unknown; do not report it as missing too.
                keys.wrong.extend(["asn", "interface"]);
            }
        }
    }

    fn endpoint(&mut self, keys: &PeerKeys, table: &Table) -> Option<Spanned<Endpoint>> {
        let interface = keys.interface.as_ref();
        let Some(address) = keys.address else {
            if let Some(interface) = interface {
                self.not_yet("peer.interface", &table.key("interface"), interface.at);
                let value = Endpoint::Unnumbered { interface: interface.value.clone() };
                return Some(Spanned { value, at: interface.at });
            }
            if !keys.wrong.iter().any(|key| matches!(*key, "address" | "interface")) {
                self.report
                    .error(table.at, format!("[{}] has neither `address` nor `interface`", table.path))
                    .label("whom to speak with?")
                    .help("`address = \"192.0.2.1\"` names a peer; `interface = \"eth0\"` finds the one on that link");
            }
            return None;
        };
        if address.value.is_unspecified() || address.value.is_multicast() {
            self.report
                .error(address.at, format!("`{}` cannot be a peer's address", address.value))
                .label("not a unicast address");
            return None;
        }
        let value =
            Endpoint::Address { address: address.value, interface: interface.map(|i| i.value.clone()) };
        if value.is_link_local() && interface.is_none() {
            self.report
                .error(address.at, format!("the link-local address `{}` needs an `interface`", address.value))
                .label("on which link?");
            return None;
        }
        Some(Spanned { value, at: address.at })
    }

    fn session(
        &mut self,
        keys: &PeerKeys,
        table: &Table,
        endpoint: Option<&Endpoint>,
        router_asn: Asn,
    ) -> Option<SessionSettings> {
        let source = self.source(keys, endpoint);
        let password = self.password(keys);
        let local_asn = keys.local_asn.map_or(router_asn, |l| l.value);
        let asn = self.asn(keys, table, local_asn);
        let ttl = self.ttl(keys, asn.as_ref().is_some_and(|rule| is_internal(rule, local_asn)));
        if let Some(add_path) = keys.add_path.filter(|a| a.value.receive || a.value.send != AddPathSend::Off)
        {
            self.not_yet("peer.add-path", &table.key("add-path"), add_path.at);
        }
        if let Some(restart) = keys.graceful_restart.filter(|g| g.value.is_some()) {
            self.not_yet("peer.graceful-restart", &table.key("graceful-restart"), restart.at);
        }
        if let Some(families) = keys.families.filter(|f| f.value.extended_next_hop) {
            self.not_yet("peer.extended-next-hop", &table.key("families"), families.at);
        }
        let default_restart =
            GracefulRestart { time: Duration::from_secs(120), stale: Duration::from_secs(300) };
        Some(SessionSettings {
            asn: asn?,
            local_asn,
            port: keys.port.map_or(179, |p| p.value),
            source,
            passive: keys.passive.is_some_and(|p| p.value),
            password,
            ttl,
            hold_time: keys.hold_time.map_or(Duration::from_secs(90), |h| h.value),
            families: keys.families.map_or(FamilySet::BOTH, |f| f.value.set),
            extended_next_hop: keys.families.is_some_and(|f| f.value.extended_next_hop)
                || endpoint.is_some_and(Endpoint::is_link_local),
            add_path: keys.add_path.map_or(AddPath { receive: false, send: AddPathSend::Off }, |a| a.value),
            graceful_restart: keys.graceful_restart.map_or(Some(default_restart), |g| g.value),
            role: keys.role.map(|r| r.value),
        })
    }

    fn asn(&mut self, keys: &PeerKeys, table: &Table, local_asn: Asn) -> Option<AsnRule> {
        let Some(asn) = &keys.asn else {
            if !keys.wrong.contains(&"asn") {
                self.report
                    .error(table.at, format!("`asn` is missing in [{}]", table.path))
                    .label("the peer's AS number is needed")
                    .help("a number, or \"external\" (any but ours), or \"internal\" (ours)");
            }
            return None;
        };
        let mixed = match &asn.value {
            AsnRule::OneOf(ranges) => {
                ranges.iter().any(|r| r.contains(&local_asn))
                    && ranges.iter().any(|r| *r.start() != local_asn || *r.end() != local_asn)
            }
            AsnRule::Is(_) | AsnRule::External | AsnRule::Internal => false,
        };
        if mixed {
            self.report
                .error(asn.at, format!("the list mixes our own AS {local_asn} with others"))
                .label("internal and external peers are treated differently")
                .help("make two sections of it");
            return None;
        }
        Some(asn.value.clone())
    }

    fn source(&mut self, keys: &PeerKeys, endpoint: Option<&Endpoint>) -> Option<IpAddr> {
        let source = keys.source?;
        match endpoint {
            Some(Endpoint::Unnumbered { .. }) => {
                self.report
                    .error(source.at, "an unnumbered session runs between link-local addresses")
                    .label("`source` has no place here");
                None
            }
            Some(Endpoint::Address { address, .. }) if address.is_ipv4() != source.value.is_ipv4() => {
                let draft = self
                    .report
                    .error(source.at, "`source` and `address` are of different families")
                    .label("of the other family");
                if let Some(address) = &keys.address {
                    draft.also(address.at, "the peer's address");
                }
                None
            }
            _ => Some(source.value),
        }
    }

    fn ttl(&mut self, keys: &PeerKeys, internal: bool) -> Ttl {
        let multihop = keys.multihop.and_then(|m| m.value.map(|hops| Spanned { value: hops, at: m.at }));
        let security = keys.ttl_security.map(|t| t.value);
        match (security, multihop) {
            (Some(TtlSecurity::Hops(hops)), Some(multihop)) => {
                self.report
                    .error(multihop.at, "`multihop` and `ttl-security` both say how far away the peer may be")
                    .label("say it once");
                Ttl::Security(hops)
            }
            (Some(TtlSecurity::Hops(hops)), None) => Ttl::Security(hops),
            (Some(TtlSecurity::On), multihop) => Ttl::Security(multihop.map_or(1, |m| m.value)),
            (_, Some(multihop)) => Ttl::Send(multihop.value),
            (_, None) => Ttl::Send(if internal { 64 } else { 1 }),
        }
    }

    fn password(&mut self, keys: &PeerKeys) -> Option<Secret> {
        match (&keys.password, &keys.password_file) {
            (Some(password), Some(file)) => {
                self.report
                    .error(file.at, "`password` and `password-file` exclude each other")
                    .label("one too many")
                    .also(password.at, "the other");
                None
            }
            (Some(password), None) => Some(Secret::new(password.value.clone())),
            (None, Some(file)) => {
                let path = self.base.join(&file.value);
                match super::secret::read(&path) {
                    Ok(secret) => {
                        if super::secret::is_world_readable(&path) {
                            self.report
                                .warning(file.at, format!("`{}` can be read by everybody", path.display()))
                                .label("a secret")
                                .help("chmod o-r it");
                        }
                        Some(secret)
                    }
                    Err(why) => {
                        self.report
                            .error(file.at, format!("the password cannot be read from `{}`", path.display()))
                            .label(why);
                        None
                    }
                }
            }
            (None, None) => None,
        }
    }

    fn routes(
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

fn is_internal(rule: &AsnRule, local_asn: Asn) -> bool {
    match rule {
        AsnRule::Is(asn) => *asn == local_asn,
        AsnRule::Internal => true,
        AsnRule::External => false,
        AsnRule::OneOf(ranges) => ranges.iter().any(|range| range.contains(&local_asn)),
    }
}

/// What tells two peers apart when one connects: the address, with the interface where it is link-local.
fn identity(endpoint: &Endpoint) -> (Option<IpAddr>, Option<String>) {
    let interface = if endpoint.is_link_local() { endpoint.interface().map(str::to_owned) } else { None };
    (endpoint.address(), interface)
}
