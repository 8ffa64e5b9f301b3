//! What a new configuration changes, in words, for the log of a reload and for `siskin config plan`.
//!
//! What differs is told as it would be shown (the effective configuration), so no key can be forgotten; only secrets,
//! which are not shown, are compared apart.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;
use toml::{Table, Value};

use crate::diagnostic::shown;
use crate::model::{Blocklist, Config, Originate, Redistribute, Redistribution, Rule, Secret};

/// What happened to a part of the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    /// It is new.
    Added,
    /// It is gone.
    Removed,
    /// It is different.
    Changed,
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// What happened.
    pub kind: ChangeKind,
    /// The part: `peer.transit-a`, `kernel.metric`, `originate.203.0.113.0/24`.
    pub what: String,
    /// What of it: `hold-time: "90s" → "30s"`; empty if it was added or removed as a whole.
    pub detail: String,
    /// The change closes a session that may be up.
    pub restarts_session: bool,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = match self.kind {
            ChangeKind::Added => '+',
            ChangeKind::Removed => '-',
            ChangeKind::Changed => '~',
        };
        write!(f, "{sign} {}", self.what)?;
        if !self.detail.is_empty() {
            write!(f, ": {}", self.detail)?;
        }
        if self.restarts_session {
            let verb = if self.kind == ChangeKind::Removed { "ends" } else { "restarts" };
            write!(f, " (the session {verb})")?;
        }
        Ok(())
    }
}

impl Config {
    /// What going from this configuration to `new` changes, in the order of the parts' names.
    #[must_use]
    pub fn diff(&self, new: &Config) -> Vec<Change> {
        // Taken apart in full, so that a new section cannot be forgotten here.
        let Config {
            router,
            kernel,
            api,
            originate,
            rules,
            redistribute,
            host_routes,
            edge,
            rpki,
            irr,
            peeringdb,
            peers,
            dynamic_peers,
            policies: _,
            policy_rules,
            prefix_sets,
            community_sets,
            not_yet: _,
        } = self;
        let mut changes = Vec::new();
        compare("router", router, &new.router, &mut changes);
        compare("kernel", kernel, &new.kernel, &mut changes);
        compare("api", api, &new.api, &mut changes);
        compare("edge", edge, &new.edge, &mut changes);
        compare("rpki", rpki, &new.rpki, &mut changes);
        compare("irr", irr, &new.irr, &mut changes);
        compare("peeringdb", peeringdb, &new.peeringdb, &mut changes);
        let (old_prefixes, new_prefixes) = (by_prefix(originate), by_prefix(&new.originate));
        compare_each("originate", &old_prefixes, &new_prefixes, &mut changes);
        compare_each("rule", &by_number(rules), &by_number(&new.rules), &mut changes);
        compare_each("redistribute", &by_kind(redistribute), &by_kind(&new.redistribute), &mut changes);
        compare_each("host-routes", host_routes, &new.host_routes, &mut changes);
        compare_each("peer", peers, &new.peers, &mut changes);
        compare_each("dynamic-peer", dynamic_peers, &new.dynamic_peers, &mut changes);
        compare_lists("policy", "rules", policy_rules, &new.policy_rules, &mut changes);
        compare_lists("prefix-set", "prefixes", prefix_sets, &new.prefix_sets, &mut changes);
        compare_lists("community-set", "communities", community_sets, &new.community_sets, &mut changes);
        self.tell_blocklist(new, &mut changes);
        self.tell_secrets(new, &mut changes);
        self.tell_sessions(new, &mut changes);
        changes.sort_by(|one, other| one.what.cmp(&other.what));
        changes
    }

    /// The blocklist is shown by its files and size; what it gained and lost is told apart.
    fn tell_blocklist(&self, new: &Config, changes: &mut Vec<Change>) {
        let entries = |config: &Config| -> BTreeSet<String> {
            let Blocklist { asns, prefixes } = &*config.edge.blocklist;
            asns.iter()
                .map(|asn| format!("AS{asn}"))
                .chain(prefixes.iter().map(ToString::to_string))
                .collect()
        };
        if self.edge.blocklist != new.edge.blocklist {
            changes.push(changed("edge", list_detail("blocklist", entries(self), entries(new))));
        }
    }

    /// Secrets of sections; those of peers are told with their sessions.
    fn tell_secrets(&self, new: &Config, changes: &mut Vec<Change>) {
        for old in &self.rpki.servers {
            let new = new.rpki.servers.iter().find(|server| server.server == old.server);
            if differ(old.password.as_ref(), new.and_then(|server| server.password.as_ref())) {
                changes.push(changed("rpki", format!("password of {} changed", old.server)));
            }
        }
        if differ(self.peeringdb.api_key.as_ref(), new.peeringdb.api_key.as_ref()) {
            changes.push(changed("peeringdb", "api-key changed".to_owned()));
        }
    }

    /// Adds the peers of which only the secret changed, and marks those whose session cannot stay.
    fn tell_sessions(&self, new: &Config, changes: &mut Vec<Change>) {
        let mut closed: BTreeSet<String> = BTreeSet::new();
        for (name, peer) in &self.peers {
            let what = format!("peer.{name}");
            let other = new.peers.get(name);
            if let Some(other) = other
                && differ(peer.session.password.as_ref(), other.session.password.as_ref())
            {
                changes.push(changed(&what, "password changed".to_owned()));
            }
            if peer.enabled && other.is_none_or(|other| peer.session_differs(other) || !other.enabled) {
                closed.insert(what);
            }
        }
        for change in changes {
            change.restarts_session = closed.contains(&change.what);
        }
    }
}

/// Whether two secrets look the same and are not.
fn differ(old: Option<&Secret>, new: Option<&Secret>) -> bool {
    old.zip(new).is_some_and(|(old, new)| old != new)
}

fn changed(what: &str, detail: String) -> Change {
    Change { kind: ChangeKind::Changed, what: what.to_owned(), detail, restarts_session: false }
}

/// `[[originate]]` by prefix.
fn by_prefix(list: &[Originate]) -> BTreeMap<String, &Originate> {
    list.iter().map(|originate| (originate.prefix.to_string(), originate)).collect()
}

/// `[[rule]]` by its place in the file, from 1.
fn by_number(list: &[Rule]) -> BTreeMap<String, &Rule> {
    list.iter().zip(1..).map(|(rule, number)| (number.to_string(), rule)).collect()
}

/// `[redistribute.*]` by its last word.
fn by_kind(redistribute: &Redistribute) -> BTreeMap<String, &Redistribution> {
    let Redistribute { connected, static_routes, kernel } = redistribute;
    let kinds = [("connected", connected), ("static", static_routes), ("kernel", kernel)];
    kinds.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value.as_ref()?))).collect()
}

/// A section that stands once.
fn compare<T: Serialize + PartialEq>(section: &str, old: &T, new: &T, changes: &mut Vec<Change>) {
    for detail in differences(old, new) {
        changes.push(changed(section, detail));
    }
}

/// Tables with names.
fn compare_each<T: Serialize + PartialEq>(
    section: &str,
    old: &BTreeMap<String, T>,
    new: &BTreeMap<String, T>,
    changes: &mut Vec<Change>,
) {
    compare_named(section, old, new, changes, |old, new| differences(old, new));
}

/// Tables with names that hold one list.
fn compare_lists(
    section: &str,
    key: &str,
    old: &BTreeMap<String, Vec<String>>,
    new: &BTreeMap<String, Vec<String>>,
    changes: &mut Vec<Change>,
) {
    compare_named(section, old, new, changes, |old, new| {
        if old == new { Vec::new() } else { vec![list_detail(key, quoted(old), quoted(new))] }
    });
}

fn compare_named<T>(
    section: &str,
    old: &BTreeMap<String, T>,
    new: &BTreeMap<String, T>,
    changes: &mut Vec<Change>,
    details: impl Fn(&T, &T) -> Vec<String>,
) {
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    for name in names {
        let what = format!("{section}.{name}");
        let whole = |kind, what| Change { kind, what, detail: String::new(), restarts_session: false };
        match (old.get(name), new.get(name)) {
            (None, _) => changes.push(whole(ChangeKind::Added, what)),
            (_, None) => changes.push(whole(ChangeKind::Removed, what)),
            (Some(old), Some(new)) => {
                let details = details(old, new);
                if !details.is_empty() {
                    changes.push(changed(&what, details.join(", ")));
                }
            }
        }
    }
}

/// Key by key what differs between two values, as they would be shown.
fn differences<T: Serialize + PartialEq>(old: &T, new: &T) -> Vec<String> {
    if old == new {
        return Vec::new();
    }
    let table = |value: &T| Table::try_from(value).unwrap_or_default();
    details(&table(old), &table(new))
}

/// Key by key what differs between two tables.
fn details(old: &Table, new: &Table) -> Vec<String> {
    let text = |value: Option<&Value>| value.map_or_else(|| "unset".to_owned(), short);
    let keys: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    keys.into_iter()
        .filter(|key| old.get(*key) != new.get(*key))
        .flat_map(|key| match (old.get(key), new.get(key)) {
            (Some(Value::Array(old)), Some(Value::Array(new))) => {
                vec![list_detail(key, texts(old), texts(new))]
            }
            // A table of a dozen keys: the one that differs would not be seen in it.
            (Some(Value::Table(old)), Some(Value::Table(new))) if key == "checks" => {
                details(old, new).into_iter().map(|detail| format!("{key}.{detail}")).collect()
            }
            (old, new) => vec![format!("{key}: {} → {}", text(old), text(new))],
        })
        .collect()
}

/// Lists are told by what they gained and lost, or that their order changed.
fn list_detail(key: &str, old: BTreeSet<String>, new: BTreeSet<String>) -> String {
    let lost = old.difference(&new).map(|text| format!("-{}", shown(text, SHORT)));
    let gained = new.difference(&old).map(|text| format!("+{}", shown(text, SHORT)));
    let all: Vec<String> = lost.chain(gained).collect();
    match all.len() {
        0 => format!("{key}: another order"),
        1..=6 => format!("{key}: {}", all.join(" ")),
        n => format!("{key}: {n} members differ"),
    }
}

fn texts(list: &[Value]) -> BTreeSet<String> {
    list.iter().map(Value::to_string).collect()
}

fn quoted(list: &[String]) -> BTreeSet<String> {
    list.iter().map(|text| format!("\"{text}\"")).collect()
}

/// The most characters of a value that is shown.
const SHORT: usize = 80;

/// A value in a line.
fn short(value: &Value) -> String {
    shown(&value.to_string(), SHORT)
}
