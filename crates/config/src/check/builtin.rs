//! The policies of the roles: which of them the peers of a file need, and under which names they are compiled. Their
//! rules are texts of the rule language, from `siskin-policy`.

use std::collections::BTreeMap;

use siskin_net::{Asn, Role};
use siskin_policy::{PolicySource, RuleSource};

use super::checks;
use crate::model::AsnRule;
use crate::read::raw::{PeerKeys, Raw};
use crate::read::role_name;
use crate::shipped::{self, Own};

/// Whether a policy's name is one of these: a name of a file has no parentheses.
pub(super) fn is_name(name: &str) -> bool {
    name.starts_with('(')
}

/// The role's import policy and its name, `(customer import)`, with what is not as usual in this role; `None` without
/// a role.
pub(super) fn import_of(role: Option<Role>, keys: &PeerKeys) -> Option<(Role, String)> {
    let role = role?;
    let mut name = format!("({} import", role_name(role));
    if let Some(local_pref) = local_pref(keys) {
        name.push_str(&format!(" local-pref {local_pref}"));
    }
    match (checks::blackhole(Some(role), keys), checks::honours_blackhole(role)) {
        (true, false) => name.push_str(" with blackhole"),
        (false, true) => name.push_str(" without blackhole"),
        (true, true) | (false, false) => {}
    }
    name.push(')');
    Some((role, name))
}

/// The role's export policy and its name, `(customer export AS64496)`; `None` without a role.
pub(super) fn export_of(role: Option<Role>, keys: &PeerKeys) -> Option<(Role, String)> {
    let role = role?;
    let word = role_name(role);
    let name = match peer_asn(keys) {
        Some(asn) => format!("({word} export AS{asn})"),
        None => format!("({word} export)"),
    };
    Some((role, name))
}

/// What the peers need, each once.
pub(super) fn sources(raw: &Raw, local_asn: Asn) -> Vec<PolicySource> {
    let blackhole = raw.edge.as_ref().and_then(|(_, edge)| edge.blackhole_community.as_ref());
    let own = Own {
        asn: local_asn,
        blackhole: blackhole.map_or(shipped::blackhole_community(local_asn), |b| b.value),
    };
    let mut texts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let peers = raw.peers.iter().map(|peer| &peer.value.keys);
    for keys in peers.chain(raw.dynamic_peers.iter().map(|peer| &peer.value.keys)) {
        let role = keys.role.map(|role| role.value);
        if let Some((role, name)) = import_of(role, keys).filter(|_| keys.import.is_none()) {
            let blackhole = checks::blackhole(Some(role), keys);
            let rules = || shipped::import_rules(role, own, local_pref(keys), blackhole);
            texts.entry(name).or_insert_with(rules);
        }
        if let Some((role, name)) = export_of(role, keys).filter(|_| keys.export.is_none()) {
            texts.entry(name).or_insert_with(|| shipped::export_rules(role, own, peer_asn(keys)));
        }
    }
    let rule = |text| RuleSource { text, location: "built-in".to_owned() };
    texts
        .into_iter()
        .map(|(name, rules)| PolicySource { name, rules: rules.into_iter().map(rule).collect() })
        .collect()
}

/// LOCAL_PREF that is set before the policy, and which the policy leaves then.
fn local_pref(keys: &PeerKeys) -> Option<u32> {
    keys.local_pref.map(|local_pref| local_pref.value)
}

/// The peer's AS number, where there is one alone: action communities name it.
fn peer_asn(keys: &PeerKeys) -> Option<Asn> {
    match keys.asn.as_ref().map(|asn| &asn.value) {
        Some(AsnRule::Is(asn)) => Some(*asn),
        _ => None,
    }
}
