//! What a new configuration changes, in words, for the log of a reload and for `siskin config plan`.
//!
//! Both are compared as they would be shown (the effective configuration), so no key can be forgotten; only
//! secrets, which are not shown, are compared apart.

use std::collections::BTreeSet;
use std::fmt;

use serde::Serialize;
use toml::{Table, Value};

use crate::model::{Config, Peer};

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
            f.write_str(" (the session restarts)")?;
        }
        Ok(())
    }
}

/// Sections of tables with names: a change is told by name.
const NAMED: [&str; 7] =
    ["host-routes", "peer", "dynamic-peer", "policy", "prefix-set", "community-set", "redistribute"];

impl Config {
    /// What going from this configuration to `new` changes, in the order of the parts' names.
    #[must_use]
    pub fn diff(&self, new: &Config) -> Vec<Change> {
        let (old_table, new_table) = (table(self), table(new));
        let mut changes = Vec::new();
        for section in keys(&old_table, &new_table) {
            let (old_section, new_section) = (old_table.get(section), new_table.get(section));
            if section == "originate" {
                compare_named(section, &originated(old_section), &originated(new_section), &mut changes);
            } else if NAMED.contains(&section) {
                let (old_section, new_section) = (as_table(old_section), as_table(new_section));
                compare_named(section, &old_section, &new_section, &mut changes);
            } else {
                for detail in details(&as_table(old_section), &as_table(new_section)) {
                    changes.push(changed(section, detail));
                }
            }
        }
        self.tell_sessions(new, &mut changes);
        changes.sort_by(|one, other| one.what.cmp(&other.what));
        changes
    }

    /// Marks the peers whose session restarts, and adds those of which only the secret changed.
    fn tell_sessions(&self, new: &Config, changes: &mut Vec<Change>) {
        for (name, peer) in &self.peers {
            let Some(other) = new.peers.get(name) else { continue };
            let what = format!("peer.{name}");
            if peer.session.password != other.session.password
                && peer.session.password.is_some() == other.session.password.is_some()
            {
                changes.push(changed(&what, "password changed".to_owned()));
            }
            let restarts = peer.enabled && (peer.session_differs(other) || !other.enabled);
            if restarts && let Some(change) = changes.iter_mut().rfind(|change| change.what == what) {
                change.restarts_session = true;
            }
        }
        for change in changes.iter_mut().filter(|c| c.kind == ChangeKind::Removed) {
            let name = change.what.strip_prefix("peer.");
            change.restarts_session = name.and_then(|n| self.peers.get(n)).is_some_and(|p: &Peer| p.enabled);
        }
    }
}

fn changed(what: &str, detail: String) -> Change {
    Change { kind: ChangeKind::Changed, what: what.to_owned(), detail, restarts_session: false }
}

/// The effective configuration as a table.
fn table(config: &Config) -> Table {
    Table::try_from(config).unwrap_or_default()
}

fn as_table(value: Option<&Value>) -> Table {
    value.and_then(Value::as_table).cloned().unwrap_or_default()
}

/// `[[originate]]` by prefix.
fn originated(value: Option<&Value>) -> Table {
    let list = value.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let named = |value: &Value| Some((value.get("prefix")?.as_str()?.to_owned(), value.clone()));
    list.iter().filter_map(named).collect()
}

fn keys<'t>(old: &'t Table, new: &'t Table) -> BTreeSet<&'t str> {
    old.keys().chain(new.keys()).map(String::as_str).collect()
}

fn compare_named(section: &str, old: &Table, new: &Table, changes: &mut Vec<Change>) {
    for name in keys(old, new) {
        let what = format!("{section}.{name}");
        let whole =
            |kind| Change { kind, what: what.clone(), detail: String::new(), restarts_session: false };
        match (old.get(name), new.get(name)) {
            (None, _) => changes.push(whole(ChangeKind::Added)),
            (_, None) => changes.push(whole(ChangeKind::Removed)),
            (Some(old), Some(new)) => {
                let details = details(&as_table(Some(old)), &as_table(Some(new)));
                if !details.is_empty() {
                    changes.push(changed(&what, details.join(", ")));
                }
            }
        }
    }
}

/// Key by key what differs between two tables.
fn details(old: &Table, new: &Table) -> Vec<String> {
    let text = |value: Option<&Value>| value.map_or_else(|| "unset".to_owned(), short);
    keys(old, new)
        .into_iter()
        .filter(|key| old.get(*key) != new.get(*key))
        .map(|key| match (old.get(key), new.get(key)) {
            (Some(Value::Array(old)), Some(Value::Array(new))) => list_detail(key, old, new),
            (old, new) => format!("{key}: {} → {}", text(old), text(new)),
        })
        .collect()
}

/// Lists are told by what they gained and lost, or that their order changed.
fn list_detail(key: &str, old: &[Value], new: &[Value]) -> String {
    let gained = new.iter().filter(|value| !old.contains(value)).map(|v| format!("+{}", short(v)));
    let lost = old.iter().filter(|value| !new.contains(value)).map(|v| format!("-{}", short(v)));
    let all: Vec<String> = lost.chain(gained).collect();
    match all.len() {
        0 => format!("{key}: another order"),
        1..=6 => format!("{key}: {}", all.join(" ")),
        n => format!("{key}: {n} members differ"),
    }
}

/// A value in a line.
fn short(value: &Value) -> String {
    crate::diagnostic::shown(&value.to_string(), 80)
}
