//! `[peer.*]` and `[dynamic-peer.*]`: whom to speak with, the group merged in.

use std::collections::BTreeMap;
use std::net::IpAddr;

use siskin_net::Prefix;

use super::{Checker, Context};
use crate::model::{DynamicPeer, Endpoint, Peer};
use crate::read::raw::{Named, PeerKeys, Raw, RawDynamicPeer, RawPeer, RawPeerGroup};
use crate::source::{Location, Spanned};
use crate::suggest;

/// The peer groups by name.
type Groups = BTreeMap<String, RawPeerGroup>;

/// The table a peer is declared in: `peer.transit-a`, and where its name stands.
pub(super) struct Table {
    pub(super) path: String,
    pub(super) at: Location,
}

impl Table {
    fn new(key: &str, name: &Spanned<String>) -> Table {
        Table { path: format!("{key}.{}", name.value), at: name.at }
    }

    /// A key's whole name: `peer.transit-a.bfd`.
    pub(super) fn key(&self, key: &str) -> String {
        format!("{}.{key}", self.path)
    }
}

impl Checker<'_> {
    /// Gives every peer the keys of its group.
    pub(super) fn inherit_all(&mut self, raw: &mut Raw) {
        let groups: Groups = raw.peer_groups.drain(..).map(|group| (group.name.value, group.value)).collect();
        for peer in &mut raw.peers {
            self.inherit(&mut peer.value.keys, peer.value.group.as_ref(), &groups);
        }
        for peer in &mut raw.dynamic_peers {
            self.inherit(&mut peer.value.keys, peer.value.group.as_ref(), &groups);
        }
    }

    pub(super) fn peers(&mut self, list: Vec<Named<RawPeer>>, context: &Context) -> BTreeMap<String, Peer> {
        let mut endpoints = BTreeMap::new();
        let mut peers = BTreeMap::new();
        for Named { name, value: RawPeer { group, keys } } in list {
            let table = Table::new("peer", &name);
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
            let session = self.session(&keys, &table, endpoint.as_ref(), context.local_asn);
            let routes = self.routes(&keys, &table, session.as_ref(), context);
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
        context: &Context,
    ) -> BTreeMap<String, DynamicPeer> {
        let mut peers = BTreeMap::new();
        let mut ranges: BTreeMap<Prefix, Location> = BTreeMap::new();
        for Named { name, value: raw } in list {
            let table = Table::new("dynamic-peer", &name);
            self.not_yet("dynamic-peer", &table.path, raw.at);
            if !raw.has_range {
                self.report
                    .error(raw.at, format!("[{}] needs `range` or `interfaces`", table.path))
                    .label("nobody could be accepted");
            }
            for range in &raw.range {
                self.is_first(&mut ranges, *range, |r| format!("two dynamic peers take `{r}`"));
            }
            let session = self.session(&raw.keys, &table, None, context.local_asn);
            let routes = self.routes(&raw.keys, &table, session.as_ref(), context);
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
        match groups.get(&name.value) {
            Some(group) => keys.inherit(&group.keys),
            None => {
                let known = groups.keys().map(String::as_str);
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
}

/// What tells two peers apart when one connects: the address, with the interface where it is link-local.
fn identity(endpoint: &Endpoint) -> (Option<IpAddr>, Option<String>) {
    let interface = if endpoint.is_link_local() { endpoint.interface().map(str::to_owned) } else { None };
    (endpoint.address(), interface)
}
