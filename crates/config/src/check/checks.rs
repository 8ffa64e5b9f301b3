//! Which built-in rules hold for a peer, by its role and by what its `checks` say, with their lists resolved.

use std::collections::HashSet;
use std::hash::Hash;
use std::sync::Arc;

use siskin_net::{FamilyMap, Role};

use super::Checker;
use super::peer::Table;
use crate::model::{Checks, Edge};
use crate::read::checks::{ListCheck, RawChecks, RawLengths};
use crate::read::raw::{Key, PeerKeys};
use crate::shipped;

/// What the defaults of the rules hang on.
pub(super) struct Of {
    pub(super) role: Option<Role>,
    pub(super) external: bool,
    /// The peer is on a network of ours.
    pub(super) direct: bool,
}

/// Lists that are equal are one.
pub(super) struct Shared<T>(HashSet<Arc<Vec<T>>>);

impl<T> Default for Shared<T> {
    fn default() -> Self {
        Shared(HashSet::new())
    }
}

impl<T: Clone + Eq + Hash> Shared<T> {
    fn get(&mut self, list: Vec<T>) -> Arc<Vec<T>> {
        if let Some(known) = self.0.get(&list) {
            return Arc::clone(known);
        }
        let list = Arc::new(list);
        self.0.insert(Arc::clone(&list));
        list
    }

    /// The list of one rule; `base` is that of `[edge]`.
    fn list(&mut self, check: &Key<ListCheck<T>>, default: bool, base: &Arc<Vec<T>>) -> Option<Arc<Vec<T>>> {
        match check.as_ref().map(|check| &check.value) {
            None => default.then(|| Arc::clone(base)),
            Some(ListCheck::Off) => None,
            Some(ListCheck::On) => Some(Arc::clone(base)),
            Some(ListCheck::Extra(extra)) => Some(self.get(base.iter().chain(extra).cloned().collect())),
            Some(ListCheck::Only(only)) => Some(self.get(only.clone())),
        }
    }
}

impl Checker<'_> {
    pub(super) fn checks(&mut self, keys: &PeerKeys, table: &Table, of: &Of, edge: &Edge) -> Checks {
        let raw = keys.checks.clone().map(|checks| checks.value).unwrap_or_default();
        let role = of.role.is_some();
        let is = |roles: &[Role]| of.role.is_some_and(|role| roles.contains(&role));
        let bogons = keys.bogons.map_or(role, |b| b.value);
        let transits = is(&[Role::Peer, Role::Customer, Role::RouteServer, Role::RouteServerClient]);
        let next_hop = is(&[Role::Provider, Role::Peer, Role::Customer]) && of.direct;
        self.checks_that_need_more(&raw, table, of, edge);
        let switched = |check: &Key<bool>, default: bool| check.map_or(default, |check| check.value);
        Checks {
            bogon_prefixes: self.patterns.list(&raw.bogon_prefix, bogons, &edge.bogon_prefixes),
            bogon_asns: self.asn_ranges.list(&raw.bogon_asn, bogons, &edge.bogon_asns),
            prefix_length: raw.prefix_length.map_or(role.then(FamilyMap::default), |l| l.value).map(lengths),
            path_length: raw
                .path_length
                .map_or(role.then_some(None), |l| l.value)
                .map(|most| most.unwrap_or(shipped::MAX_PATH_LEN)),
            own_prefixes: switched(&raw.own_prefix, role).then(|| Arc::clone(&edge.own_prefixes)),
            transit_asns: self.asn_ranges.list(&raw.transit_asn, transits, &edge.transit_asns),
            next_hop: switched(&raw.next_hop, next_hop),
            never_via_route_server: switched(&raw.never_via_route_server, is(&[Role::RouteServer])),
            blocklist: (switched(&raw.blocklist, of.external) && !edge.blocklist.is_empty())
                .then(|| Arc::clone(&edge.blocklist)),
            aspa: switched(&raw.aspa, role),
            blackhole: blackhole(of.role, keys),
            role_leak: switched(&raw.role_leak, role),
        }
    }

    /// Rules that were switched on and have nothing to go by.
    fn checks_that_need_more(&mut self, raw: &RawChecks, table: &Table, of: &Of, edge: &Edge) {
        let no_role = of.role.is_none();
        let rows = [
            ("aspa", &raw.aspa, no_role, "it goes by the `role`, and there is none"),
            ("role-leak", &raw.role_leak, no_role, "it goes by the `role`, and there is none"),
            (
                "blocklist",
                &raw.blocklist,
                edge.blocklist_files.is_empty(),
                "there are no `blocklist-files` in [edge]",
            ),
        ];
        for (name, check, lacks, why) in rows {
            let Some(check) = check.as_ref().filter(|check| check.value && lacks) else { continue };
            if self.warned.insert((name, check.at)) {
                let path = table.key(&format!("checks.{name}"));
                self.report.warning(check.at, format!("`{path}` rejects nothing")).label(why);
            }
        }
    }
}

/// Whether a peer of that role may ask for a blackhole where nothing else is configured.
pub(super) fn honours_blackhole(role: Role) -> bool {
    matches!(role, Role::Customer | Role::RouteServerClient)
}

/// Whether the peer may ask for a blackhole.
pub(super) fn blackhole(role: Option<Role>, keys: &PeerKeys) -> bool {
    let given = keys.checks.as_ref().and_then(|checks| checks.value.blackhole.as_ref());
    given.map_or(role.is_some_and(honours_blackhole), |given| given.value)
}

/// What is not given is as shipped.
fn lengths(given: RawLengths) -> FamilyMap<(u8, u8)> {
    FamilyMap::from_fn(|family| given[family].unwrap_or(shipped::prefix_lengths(family)))
}
