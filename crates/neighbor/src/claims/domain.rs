//! One domain as the machine holds it: its configuration, indexed, and its interface.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use siskin_net::{IfIndex, Prefix};
use smallvec::SmallVec;

use super::config::{DomainConfig, Gateway, Guard, Vm};
use super::machine::Rules;
use super::output::Refusal;
use super::seek::Search;
use crate::Mac;

/// A dense number of a domain; not used again while the process lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DomainId(pub u32);

/// The interface of a domain, as it is now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DomainLink {
    /// Its index.
    pub index: IfIndex,
    /// Its MAC address: the gateway's, to the VMs.
    pub mac: Mac,
    /// Administratively up.
    pub up: bool,
}

/// What is declared of an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Declared {
    /// Its VM's name.
    pub(super) name: Arc<str>,
    pub(super) mac: Mac,
    /// The name of its VM's port.
    pub(super) port: Option<Arc<str>>,
    /// Declared at run time: a new configuration does not end it.
    pub(super) at_run_time: bool,
    /// An incoming migration: the VM is still elsewhere.
    pub(super) standby: bool,
}

/// A domain.
#[derive(Debug)]
pub(super) struct Domain {
    pub(super) name: Arc<str>,
    pub(super) config: Arc<DomainConfig>,
    /// A pattern made it, for one interface.
    pub(super) instance: bool,
    pub(super) link: Option<DomainLink>,
    /// Ports that are up.
    pub(super) live_ports: usize,
    /// The search for silent declared VMs, while there is one.
    pub(super) search: Option<Search>,
    declared: Arc<BTreeMap<IpAddr, Declared>>,
    declared_by_mac: Arc<BTreeMap<Mac, SmallVec<[IpAddr; 2]>>>,
    declared_by_port: Arc<BTreeMap<Arc<str>, SmallVec<[IpAddr; 2]>>>,
}

impl Declared {
    pub(super) fn of(vm: &Vm, at_run_time: bool, standby: bool) -> Declared {
        Declared {
            name: Arc::from(vm.name.as_str()),
            mac: vm.mac,
            port: vm.port.as_deref().map(Arc::from),
            at_run_time,
            standby,
        }
    }
}

impl Domain {
    pub(super) fn new(name: Arc<str>, config: DomainConfig) -> Domain {
        let mut domain = Domain {
            name,
            config: Arc::default(),
            instance: false,
            link: None,
            live_ports: 0,
            search: None,
            declared: Arc::default(),
            declared_by_mac: Arc::default(),
            declared_by_port: Arc::default(),
        };
        domain.set_config(config);
        domain
    }

    pub(super) fn set_config(&mut self, config: DomainConfig) {
        let configured = self.declared.iter().filter(|(_, d)| !d.at_run_time);
        for address in configured.map(|(address, _)| *address).collect::<Vec<_>>() {
            self.undeclare(address);
        }
        let mut named = BTreeSet::new();
        for vm in &config.vms {
            for address in &vm.addresses {
                // The first declaration of an address counts; that there are two is for the configuration to say.
                if named.insert(*address) {
                    self.declare(*address, Declared::of(vm, false, false));
                }
            }
        }
        self.config = Arc::new(config);
    }

    /// Takes over a template's configuration; all interfaces that a pattern matches share one.
    pub(super) fn follow(&mut self, template: &Domain) {
        let at_run_time: Vec<(IpAddr, Declared)> =
            self.declared.iter().filter(|(_, d)| d.at_run_time).map(|(a, d)| (*a, d.clone())).collect();
        self.config = template.config.clone();
        self.declared = template.declared.clone();
        self.declared_by_mac = template.declared_by_mac.clone();
        self.declared_by_port = template.declared_by_port.clone();
        self.instance = true;
        for (address, declared) in at_run_time {
            self.declare(address, declared);
        }
    }

    /// Declares an address, instead of what was declared of it before.
    pub(super) fn declare(&mut self, address: IpAddr, declared: Declared) {
        self.undeclare(address);
        Arc::make_mut(&mut self.declared_by_mac).entry(declared.mac).or_default().push(address);
        if let Some(port) = &declared.port {
            Arc::make_mut(&mut self.declared_by_port).entry(port.clone()).or_default().push(address);
        }
        Arc::make_mut(&mut self.declared).insert(address, declared);
    }

    /// Ends the declaration of an address.
    pub(super) fn undeclare(&mut self, address: IpAddr) -> Option<Declared> {
        let declared = self.declared.get(&address)?.clone();
        Arc::make_mut(&mut self.declared).remove(&address);
        forget(Arc::make_mut(&mut self.declared_by_mac), &declared.mac, address);
        if let Some(port) = &declared.port {
            forget(Arc::make_mut(&mut self.declared_by_port), port, address);
        }
        Some(declared)
    }

    /// Ends every declaration.
    pub(super) fn undeclare_all(&mut self) {
        self.declared = Arc::default();
        self.declared_by_mac = Arc::default();
        self.declared_by_port = Arc::default();
    }

    pub(super) fn link_up(&self) -> Option<DomainLink> {
        self.link.filter(|link| link.up)
    }

    /// What is declared of `address`.
    pub(super) fn declared(&self, address: IpAddr) -> Option<&Declared> {
        self.declared.get(&address)
    }

    /// All that is declared, by address; from after `after` on.
    pub(super) fn declared_after(&self, after: Option<IpAddr>) -> impl Iterator<Item = (IpAddr, &Declared)> {
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.declared.range((start, Bound::Unbounded)).map(|(address, declared)| (*address, declared))
    }

    /// Whether a declared VM has to be waited for here. One that may be behind any interface that a pattern matches is
    /// waited for behind none: it is known when it speaks.
    pub(super) fn awaits(&self, declared: &Declared) -> bool {
        !self.instance || declared.port.as_ref() == Some(&self.name)
    }

    /// The addresses whose VMs are waited for.
    pub(super) fn awaited(&self) -> impl Iterator<Item = IpAddr> {
        let all = (!self.instance).then(|| self.declared.keys().copied());
        let here = self.instance.then(|| self.declared_behind(&self.name));
        all.into_iter().flatten().chain(here.into_iter().flatten())
    }

    /// The addresses declared for `mac`.
    pub(super) fn declared_of(&self, mac: Mac) -> impl Iterator<Item = IpAddr> {
        self.declared_by_mac.get(&mac).into_iter().flatten().copied()
    }

    /// The addresses declared to be behind the port of this name.
    pub(super) fn declared_behind(&self, port: &str) -> impl Iterator<Item = IpAddr> {
        self.declared_by_port.get(port).into_iter().flatten().copied()
    }

    /// Whether `mac` may have `address` at all, whoever has it now.
    pub(super) fn permits(&self, address: IpAddr, mac: Mac) -> Result<(), Refusal> {
        if self.config.gateway.is(address) || !super::config::is_host_address(address) {
            return Err(Refusal::Forbidden);
        }
        if !self.config.permits(address) {
            return Err(Refusal::OutsidePrefixes);
        }
        match self.declared(address) {
            Some(declared) if declared.mac != mac => Err(Refusal::WrongMac),
            None if self.config.guard == Guard::Provisioned => Err(Refusal::NotDeclared),
            _ => Ok(()),
        }
    }

    /// The rules of the machine for an owner's `address`, as far as they do not depend on other routers.
    pub(super) fn rules(&self, address: IpAddr, mac: Mac) -> Rules {
        let timers = self.config.timers;
        Rules {
            timers,
            probe_interval: spread(timers.probe_interval, mac),
            can_probe: self.config.gateway.speaks(Prefix::host(address).family()),
            declared: self.declared.contains_key(&address),
            remote: false,
            exhausted: false,
        }
    }

    pub(super) fn gateway(&self) -> Option<(Mac, Gateway)> {
        self.link.map(|link| (link.mac, self.config.gateway))
    }
}

/// Takes an address off the list of `key`.
pub(super) fn forget<K: Ord>(index: &mut BTreeMap<K, SmallVec<[IpAddr; 2]>>, key: &K, address: IpAddr) {
    if let Some(addresses) = index.get_mut(key) {
        addresses.retain(|a| *a != address);
        if addresses.is_empty() {
            index.remove(key);
        }
    }
}

/// A number from 0 to 255 that differs between neighbouring MAC addresses.
pub(super) fn scatter(mac: Mac) -> u8 {
    let Mac([a, b, c, d, e, f]) = mac;
    let bits = u64::from_be_bytes([0, 0, a, b, c, d, e, f]);
    let [top, ..] = bits.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes();
    top
}

/// `interval`, from 7/8 to 9/8 of it, the same for all addresses of a MAC address: what one wake-up asks a VM it asks it
/// of all of them.
fn spread(interval: Duration, mac: Mac) -> Duration {
    interval / 1024 * (896 + u32::from(scatter(mac)))
}
