//! The whole of what is wanted in the kernel, and the text that makes it so: one transaction each.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::net::IpAddr;
use std::sync::Arc;

use super::elements::{self, Element, Key, Set};
use super::{Hook, Reason, View, is_plain_name, rules};
use crate::Mac;

/// The name of our tables.
pub const TABLE: &str = "siskin";

/// What the kernel counted: of each reason, and of each port that was refused something.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Counts {
    /// Frames and octets dropped for a reason.
    pub reasons: BTreeMap<(Hook, Reason), (u64, u64)>,
    /// The same for one port.
    pub ports: Vec<PortCount>,
}

/// What one port was refused for one reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortCount {
    /// Where it is judged.
    pub hook: Hook,
    /// Its name.
    pub port: String,
    /// Why.
    pub reason: Reason,
    /// Frames.
    pub packets: u64,
    /// Octets.
    pub bytes: u64,
}

/// Our tables.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Ruleset {
    tables: BTreeMap<Hook, Table>,
}

#[derive(Clone, Debug, PartialEq, Eq, Default)]
struct Table {
    /// All but elements and counts.
    rules: String,
    /// Interfaces with a hook of their own, which may come and go.
    interfaces: BTreeMap<u32, Arc<str>>,
    elements: BTreeSet<Element>,
}

impl Ruleset {
    /// What is wanted for `view`.
    #[must_use]
    pub fn of(view: &View) -> Ruleset {
        let used = Hook::ALL.into_iter().filter(|hook| view.at(*hook).next().is_some());
        let tables = used.map(|hook| {
            let mut text = rules::shared();
            let mut interfaces = BTreeMap::new();
            let mut written = BTreeSet::new();
            for (number, domain) in view.at(hook) {
                if written.insert(number) {
                    text += &rules::domain(number, domain);
                }
                if hook == Hook::Netdev {
                    let plain = domain.ports.iter().filter(|port| is_plain_name(&port.name));
                    interfaces.extend(plain.map(|port| (port.index, port.name.clone())));
                }
            }
            if hook == Hook::Bridge {
                text += &rules::bridge_hook();
            }
            (hook, Table { rules: text, interfaces, elements: elements::of(view, hook) })
        });
        Ruleset { tables: tables.collect() }
    }

    /// What a previous run left: its elements are known, its rules are not.
    #[must_use]
    pub fn left_behind(tables: impl IntoIterator<Item = (Hook, BTreeSet<Element>)>) -> Ruleset {
        let tables = tables.into_iter();
        let unknown = |elements| Table { elements, ..Table::default() };
        Ruleset { tables: tables.map(|(hook, elements)| (hook, unknown(elements))).collect() }
    }

    /// Where there are tables.
    pub fn hooks(&self) -> impl Iterator<Item = Hook> {
        self.tables.keys().copied()
    }

    /// The elements of the table at `hook`.
    #[must_use]
    pub fn elements(&self, hook: Hook) -> Option<&BTreeSet<Element>> {
        self.tables.get(&hook).map(|table| &table.elements)
    }

    /// The chains on single interfaces of the table at `hook`.
    #[must_use]
    pub fn interface_chains(&self, hook: Hook) -> BTreeSet<String> {
        let table = self.tables.get(&hook).into_iter();
        table.flat_map(|table| table.interfaces.keys()).map(|index| rules::interface_chain(*index)).collect()
    }

    /// Whether a port may speak with that MAC address from that address.
    #[must_use]
    pub fn allowed(&self, port: &Arc<str>, mac: Mac, address: IpAddr) -> bool {
        let set = if address.is_ipv4() { Set::Ipv4 } else { Set::Ipv6 };
        let key = |mac, address| Key { port: Some(port.clone()), mac, address, domain: None };
        let mac = Element { set: Set::Macs, key: key(Some(mac), None) };
        let address = Element { set, key: key(None, Some(address)) };
        self.tables.values().any(|t| t.elements.contains(&mac) && t.elements.contains(&address))
    }

    /// The transaction that makes this of `before`, which is in the kernel; empty if nothing is to be done. A table whose
    /// rules differ is replaced, and keeps what it counted (`counts`).
    #[must_use]
    pub fn change_from(&self, before: &Ruleset, counts: &Counts) -> String {
        let mut text = String::new();
        for hook in Hook::ALL {
            match (before.tables.get(&hook), self.tables.get(&hook)) {
                (Some(was), Some(is)) if was.rules == is.rules => {
                    let interfaces =
                        |table: &Table| table.interfaces.clone().into_iter().collect::<BTreeSet<_>>();
                    let (before, now) = (interfaces(was), interfaces(is));
                    for (index, _) in before.difference(&now) {
                        text += &rules::no_interface_hook(*index);
                    }
                    difference(&mut text, hook, &was.elements, &is.elements);
                    for (index, name) in now.difference(&before) {
                        text += &rules::interface_hook(*index, name);
                    }
                }
                (_, Some(is)) => {
                    text += &remove(hook);
                    is.write(&mut text, hook, counts);
                }
                (Some(_), None) => text += &remove(hook),
                (None, None) => {}
            }
        }
        text
    }

    /// Whether [`Ruleset::change_from`] would replace a table, and so needs what it counted.
    #[must_use]
    pub fn replaces(&self, before: &Ruleset) -> bool {
        self.tables.iter().any(|(hook, is)| before.tables.get(hook).is_some_and(|was| was.rules != is.rules))
    }
}

/// The transaction that removes our table at `hook`, whether or not it is there.
#[must_use]
pub fn remove(hook: Hook) -> String {
    let family = hook.family();
    format!("table {family} {TABLE}\ndelete table {family} {TABLE}\n")
}

impl Table {
    fn write(&self, text: &mut String, hook: Hook, counts: &Counts) {
        let _ = writeln!(text, "table {} {TABLE} {{", hook.family());
        for reason in Reason::ALL {
            let (packets, bytes) = counts.reasons.get(&(hook, reason)).copied().unwrap_or_default();
            let _ = writeln!(text, "  counter {} {{ packets {packets} bytes {bytes} }}", reason.counter());
            *text += &rules::by_port_set(reason);
            let of_reason = counts.ports.iter().filter(|c| (c.hook, c.reason) == (hook, reason));
            let ports = of_reason.filter(|count| self.has_port(&count.port));
            let known: Vec<String> = ports
                .map(|c| format!("\"{}\" counter packets {} bytes {}", c.port, c.packets, c.bytes))
                .collect();
            close_set(text, &known);
        }
        *text += &rules::dynamic_sets();
        // The chains that a map names must be there before its elements; so the elements come last.
        for set in Set::ALL {
            *text += &rules::owner_set(set);
            *text += " }\n";
        }
        *text += &self.rules;
        *text += "}\n";
        difference(text, hook, &BTreeSet::new(), &self.elements);
        for (index, name) in &self.interfaces {
            *text += &rules::interface_hook(*index, name);
        }
    }

    fn has_port(&self, name: &str) -> bool {
        let key = |domain| Key { port: Some(Arc::from(name)), domain, ..Key::default() };
        let first = Element { set: Set::Ports, key: key(None) };
        self.elements
            .range(first..)
            .next()
            .is_some_and(|e| e.set == Set::Ports && e.key.port.as_deref() == Some(name))
    }
}

fn close_set(text: &mut String, elements: &[String]) {
    if !elements.is_empty() {
        let _ = write!(text, " elements = {{ {} }}", elements.join(", "));
    }
    *text += " }\n";
}

/// Elements that went, then those that came. A port that went loses its counts.
fn difference(text: &mut String, hook: Hook, was: &BTreeSet<Element>, is: &BTreeSet<Element>) {
    let gone: Vec<&Element> = was.difference(is).collect();
    let come: Vec<&Element> = is.difference(was).collect();
    let family = hook.family();
    let mut write = |verb: &str, set: &str, elements: &[String]| {
        if !elements.is_empty() {
            let _ = writeln!(text, "{verb} element {family} {TABLE} {set} {{ {} }}", elements.join(", "));
        }
    };
    let of = |all: &[&Element], set: Set| -> Vec<String> {
        all.iter().filter(|e| e.set == set).map(|e| e.key.to_string()).collect()
    };
    for set in Set::ALL {
        write("delete", set.name(), &of(&gone, set));
    }
    let ports: Vec<String> = gone
        .iter()
        .filter(|e| e.set == Set::Ports)
        .filter_map(|e| e.key.port.as_ref())
        .map(|port| format!("\"{port}\""))
        .collect();
    for reason in Reason::ALL {
        // Whether it counted anything is not known here, and deleting what is not there fails.
        write("add", &reason.by_port(), &ports);
        write("delete", &reason.by_port(), &ports);
    }
    for set in Set::ALL {
        write("add", set.name(), &of(&come, set));
    }
}
