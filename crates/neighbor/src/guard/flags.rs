//! Flags of bridge ports: VMs are kept apart, and where every MAC address is declared the bridge learns none.
//!
//! `isolated` lets frames go between a port and the bridge itself alone. Under the guard `provisioned` learning is off,
//! and each owner's MAC address has a `sticky` entry: a plain `static` one would follow whoever uses the address.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Hook, View, is_plain_name};
use crate::Mac;
use crate::claims::Guard;

/// What was set on each port, by its index.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct PortFlags {
    ports: BTreeMap<u32, Flags>,
    bridges: BTreeSet<Arc<str>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Flags {
    name: Arc<str>,
    domain: Arc<str>,
    isolated: bool,
    deaf: bool,
    sticky: BTreeSet<Mac>,
}

impl PortFlags {
    /// What is wanted for `view`.
    #[must_use]
    pub fn of(view: &View) -> PortFlags {
        let domains = view.domains.iter().filter(|domain| domain.hook == Hook::Bridge);
        let ports = domains.flat_map(|domain| {
            let deaf = domain.guard == Guard::Provisioned;
            let ports = domain.ports.iter().filter(|port| is_plain_name(&port.name));
            ports.map(move |port| {
                let macs = port.owners.iter().map(|(mac, _)| *mac);
                let flags = Flags {
                    name: port.name.clone(),
                    domain: domain.name.clone(),
                    isolated: domain.isolate,
                    deaf,
                    sticky: macs.filter(|_| deaf).collect(),
                };
                (port.index, flags)
            })
        });
        let ports = ports.collect();
        let bridges = view.domains.iter().filter(|domain| domain.hook == Hook::Bridge);
        let bridges = bridges.filter_map(|domain| domain.bridge.clone()).filter(|name| is_plain_name(name));
        PortFlags { ports, bridges: bridges.collect() }
    }

    /// Lines for `ip -batch -` that make the bridges this of `before`: none of them learns from frames to LLDP's group
    /// address, which no hook of the filter sees.
    #[must_use]
    pub fn bridges_from(&self, before: &PortFlags) -> Vec<String> {
        let line =
            |name: &Arc<str>, on: u8| format!("link set dev {name} type bridge no_linklocal_learn {on}");
        let given_back = before.bridges.difference(&self.bridges).map(|name| line(name, 0));
        given_back.chain(self.bridges.difference(&before.bridges).map(|name| line(name, 1))).collect()
    }

    /// Lines for `bridge -batch -` that make this of `before`. Ports that left their bridge lost their flags with it; those
    /// of a domain that is not filtered any more are given back as they were.
    #[must_use]
    pub fn change_from(&self, before: &PortFlags) -> Vec<String> {
        let mut lines = Vec::new();
        let domains: BTreeSet<&Arc<str>> = self.ports.values().map(|flags| &flags.domain).collect();
        for (index, was) in &before.ports {
            match self.ports.get(index) {
                Some(is) if is.name == was.name => is.lines(was, &mut lines),
                _ if domains.contains(&was.domain) => {}
                _ => was.plain().lines(was, &mut lines),
            }
        }
        for (index, is) in &self.ports {
            if before.ports.get(index).is_none_or(|was| was.name != is.name) {
                is.lines(&is.plain(), &mut lines);
            }
        }
        lines
    }
}

impl Flags {
    /// A port nobody set anything on.
    fn plain(&self) -> Flags {
        Flags { isolated: false, deaf: false, sticky: BTreeSet::new(), ..self.clone() }
    }

    fn lines(&self, was: &Flags, lines: &mut Vec<String>) {
        let name = &self.name;
        let on_off = |on: bool| if on { "on" } else { "off" };
        if self.isolated != was.isolated {
            lines.push(format!("link set dev {name} isolated {}", on_off(self.isolated)));
        }
        if self.deaf != was.deaf {
            lines.push(format!("link set dev {name} learning {}", on_off(!self.deaf)));
        }
        for mac in was.sticky.difference(&self.sticky) {
            lines.push(format!("fdb del {mac} dev {name} master"));
        }
        for mac in self.sticky.difference(&was.sticky) {
            lines.push(format!("fdb replace {mac} dev {name} master static sticky"));
        }
    }
}
