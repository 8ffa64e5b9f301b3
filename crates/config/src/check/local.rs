//! `[[originate]]`, `[redistribute.*]`, `[host-routes.*]`.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::net::IpAddr;

use siskin_net::{FamilyMap, NamePattern, Prefix};

use super::Checker;
use super::policy::Policies;
use crate::model::{
    Guard, HostLimits, HostRoutes, Originate, OriginateKernel, Redistribute, Redistribution, Vm,
};
use crate::read::raw::{Named, RawHostRoutes, RawOriginate, RawRedistribution, RawVm, is_interface};
use crate::source::{Location, Spanned};

impl Checker<'_> {
    pub(super) fn originate(&mut self, list: Vec<RawOriginate>) -> Vec<Originate> {
        let mut seen: BTreeMap<Prefix, Location> = BTreeMap::new();
        let mut originate = Vec::with_capacity(list.len());
        for raw in list {
            let Some(prefix) = raw.prefix else { continue };
            if !self.is_first(&mut seen, prefix, |p| format!("`{p}` is originated twice")) {
                continue;
            }
            originate.push(Originate {
                prefix: prefix.value,
                kernel: raw.kernel.map_or(OriginateKernel::Blackhole, |k| k.value),
                communities: raw.communities.map(|c| c.value).unwrap_or_default(),
            });
        }
        originate
    }

    /// Whether `key` was not seen before; if it was, that is reported.
    pub(super) fn is_first<K: Ord + Clone>(
        &mut self,
        seen: &mut BTreeMap<K, Location>,
        key: Spanned<K>,
        message: impl FnOnce(&K) -> String,
    ) -> bool {
        match seen.entry(key.value) {
            Entry::Vacant(entry) => {
                entry.insert(key.at);
                true
            }
            Entry::Occupied(first) => {
                let message = message(first.key());
                self.report.error(key.at, message).label("again here").also(*first.get(), "first here");
                false
            }
        }
    }

    pub(super) fn redistribute(
        &mut self,
        list: Vec<Named<RawRedistribution>>,
        policies: &Policies,
    ) -> Redistribute {
        let mut redistribute = Redistribute::default();
        for Named { name, value } in list {
            let policy = value.policy.and_then(|policy| policies.find(&policy, self.report));
            let slot = match name.value.as_str() {
                "connected" => &mut redistribute.connected,
                "static" => &mut redistribute.static_routes,
                _ => &mut redistribute.kernel,
            };
            *slot = Some(Redistribution { policy });
        }
        redistribute
    }

    pub(super) fn host_routes(
        &mut self,
        list: Vec<Named<RawHostRoutes>>,
        policies: &Policies,
    ) -> BTreeMap<String, HostRoutes> {
        let mut all = BTreeMap::new();
        for Named { name, value } in list {
            if !is_interface(&name.value) {
                self.report
                    .error(name.at, format!("\"{}\" cannot be an interface's name", name.value))
                    .label("expected 1 to 15 characters, like vmbr1, or a pattern like tap*");
            }
            if let Some(domain) = self.host_route(&name, value, policies) {
                all.insert(name.value, domain);
            }
        }
        all
    }

    fn host_route(
        &mut self,
        name: &Spanned<String>,
        raw: RawHostRoutes,
        policies: &Policies,
    ) -> Option<HostRoutes> {
        let title = format!("[host-routes.{}]", name.value);
        if !raw.has_prefixes || raw.prefixes.as_ref().is_some_and(|p| p.value.is_empty()) {
            let at = raw.prefixes.as_ref().map_or(name.at, |p| p.at);
            self.report.error(at, format!("{title} needs `prefixes`")).label("no prefix here").help(
                "no address outside `prefixes` is ever learned, so without them there is nothing to do",
            );
        }
        let prefixes: Vec<Prefix> = raw.prefixes?.value.into_iter().map(|p| p.value).collect();
        let gateway = raw.gateway.map_or_else(FamilyMap::default, |g| g.value);
        let policy = raw.policy.and_then(|policy| policies.find(&policy, self.report));
        let vms = self.vms(raw.vms, &prefixes, &gateway);
        let guard = raw.guard.map_or(Guard::Pinned, |g| g.value);
        let filter = raw.filter.is_some_and(|f| f.value);
        if let Some(vlan) = raw.vlan.as_ref().filter(|_| NamePattern::is_pattern(&name.value)) {
            self.report
                .error(vlan.at, format!("{title} is a pattern and has a `vlan`"))
                .label("needs a bridge's name")
                .help("name the bridge and its VLAN, or a pattern that VLAN devices match, like vmbr*.100");
        }
        let vlan = raw.vlan.map(|v| v.value);
        let ports = raw.ports.map_or_else(Vec::new, |list| list.value.into_iter().map(|p| p.value).collect());
        let isolate = raw.isolate.map_or(filter, |i| i.value);
        if let Some(set) = raw.isolate.filter(|i| i.value && !filter) {
            self.report
                .error(set.at, format!("{title} has `isolate` without `filter`"))
                .label("does nothing alone")
                .help("`filter = true` watches over the ports and sets their flags");
        }
        let bridge_mac = raw.bridge_mac.map(|mac| mac.value);
        let unseen = raw.announce_without_evidence.filter(|unseen| unseen.value);
        if let Some(unseen) = &unseen
            && !vms.iter().any(|vm| vm.port.is_some())
        {
            self.report
                .warning(unseen.at, format!("`announce-without-evidence` of {title} does nothing"))
                .label("no VM here has a `port`")
                .help("a VM is announced before it is heard only where its port is known");
        }
        Some(HostRoutes {
            prefixes,
            gateway,
            policy,
            vlan,
            ports,
            guard,
            filter,
            isolate,
            bridge_mac,
            announce_without_evidence: unseen.is_some(),
            timers: raw.timers,
            limits: raw.limits.map_or_else(HostLimits::default, |limits| limits.value),
            vms,
        })
    }

    fn vms(&mut self, list: Vec<RawVm>, prefixes: &[Prefix], gateway: &FamilyMap<Option<IpAddr>>) -> Vec<Vm> {
        let mut names = BTreeMap::new();
        let mut taken = BTreeMap::new();
        let mut vms = Vec::with_capacity(list.len());
        for raw in list {
            let (Some(name), Some(mac), Some(addresses)) = (raw.name, raw.mac, raw.addresses) else {
                continue;
            };
            let mut mine = Vec::with_capacity(addresses.value.len());
            if addresses.value.is_empty() {
                self.report.error(addresses.at, "a VM needs at least one address").label("none is here");
            }
            for address in addresses.value {
                if !prefixes.iter().any(|prefix| prefix.contains(address.value)) {
                    self.report
                        .error(address.at, format!("`{}` is outside the interface's prefixes", address.value))
                        .label("would never be learned");
                }
                if gateway.iter().any(|(_, gateway)| *gateway == Some(address.value)) {
                    self.report
                        .error(address.at, format!("`{}` is the gateway's own address", address.value))
                        .label("not a VM's");
                }
                let value = address.value;
                if self.is_first(&mut taken, address, |a| format!("`{a}` is declared twice")) {
                    mine.push(value);
                }
            }
            let key = Spanned { value: name.value.clone(), at: name.at };
            if self.is_first(&mut names, key, |n| format!("there are two VMs `{n}`")) {
                if let Some(port) = raw.port.as_ref().filter(|port| !is_interface(&port.value)) {
                    self.report
                        .error(port.at, format!("\"{}\" cannot be an interface's name", port.value))
                        .label("expected the name of the VM's port, like tap100i0");
                }
                let port = raw.port.map(|port| port.value);
                vms.push(Vm { name: name.value, mac: mac.value, addresses: mine, port });
            }
        }
        vms
    }
}
