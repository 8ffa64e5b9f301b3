//! One domain as the machine holds it: its configuration, indexed, and its interface.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use siskin_net::{IfIndex, Prefix};
use smallvec::SmallVec;

use super::config::{DomainConfig, Gateway, Guard};
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
    pub(super) vm_by_address: Arc<BTreeMap<IpAddr, usize>>,
    vms_by_mac: Arc<BTreeMap<Mac, SmallVec<[usize; 1]>>>,
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
            vm_by_address: Arc::default(),
            vms_by_mac: Arc::default(),
        };
        domain.set_config(config);
        domain
    }

    pub(super) fn set_config(&mut self, config: DomainConfig) {
        let mut vm_by_address = BTreeMap::new();
        let mut vms_by_mac: BTreeMap<Mac, SmallVec<[usize; 1]>> = BTreeMap::new();
        for (index, vm) in config.vms.iter().enumerate() {
            vms_by_mac.entry(vm.mac).or_default().push(index);
            for address in &vm.addresses {
                // The first declaration of an address counts; that there are two is for the configuration to say.
                vm_by_address.entry(*address).or_insert(index);
            }
        }
        self.vm_by_address = Arc::new(vm_by_address);
        self.vms_by_mac = Arc::new(vms_by_mac);
        self.config = Arc::new(config);
    }

    /// Takes over a template's configuration; all interfaces that a pattern matches share one.
    pub(super) fn follow(&mut self, template: &Domain) {
        self.config = template.config.clone();
        self.vm_by_address = template.vm_by_address.clone();
        self.vms_by_mac = template.vms_by_mac.clone();
        self.instance = true;
    }

    pub(super) fn link_up(&self) -> Option<DomainLink> {
        self.link.filter(|link| link.up)
    }

    /// The declared owner of `address`: its name and MAC address.
    pub(super) fn declared(&self, address: IpAddr) -> Option<(&str, Mac)> {
        let vm = self.config.vms.get(*self.vm_by_address.get(&address)?)?;
        Some((vm.name.as_str(), vm.mac))
    }

    /// The addresses declared for `mac`.
    pub(super) fn declared_of(&self, mac: Mac) -> impl Iterator<Item = IpAddr> {
        let vms = self.vms_by_mac.get(&mac).into_iter().flatten();
        vms.filter_map(|index| self.config.vms.get(*index)).flat_map(|vm| vm.addresses.iter().copied())
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
            Some((_, owner)) if owner != mac => Err(Refusal::WrongMac),
            None if self.config.guard == Guard::Provisioned => Err(Refusal::NotDeclared),
            _ => Ok(()),
        }
    }

    /// The rules of the machine for `address`.
    pub(super) fn rules(&self, address: IpAddr) -> Rules {
        let timers = self.config.timers;
        Rules {
            timers,
            probe_interval: spread(timers.probe_interval, address),
            can_probe: self.config.gateway.speaks(Prefix::host(address).family()),
            declared: self.vm_by_address.contains_key(&address),
        }
    }

    pub(super) fn gateway(&self) -> Option<(Mac, Gateway)> {
        self.link.map(|link| (link.mac, self.config.gateway))
    }
}

/// A number from 0 to 255 that differs between neighbouring addresses.
pub(super) fn scatter(address: IpAddr) -> u8 {
    let bits = match address {
        IpAddr::V4(a) => u64::from(a.to_bits()),
        IpAddr::V6(a) => {
            let [.., a, b, c, d, e, f, g, h] = a.octets();
            u64::from_be_bytes([a, b, c, d, e, f, g, h])
        }
    };
    let [top, ..] = bits.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes();
    top
}

/// `interval`, from 7/8 to 9/8 of it, the same for the same address.
fn spread(interval: Duration, address: IpAddr) -> Duration {
    interval / 1024 * (896 + u32::from(scatter(address)))
}
