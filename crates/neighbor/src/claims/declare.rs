//! What is declared while the daemon runs, by the API and by hooks, and the operator's word on single addresses.

use std::net::IpAddr;
use std::time::Duration;

use siskin_net::{IfIndex, Timestamp};

use super::config::Vm;
use super::domain::{Declared, DomainId};
use super::machine::{self, Binding, Event, State};
use super::mobility::DeclareError;
use super::table::{Claim, Key};
use super::{Claims, EvidenceKind, MAX_CLAIMS, Refusal};
use crate::Mac;

/// How long a planned move may take.
const LEAVING: Duration = Duration::from_secs(3600);

/// How long the sequence number of an address without a claim is kept.
const MEMORY: Duration = Duration::from_secs(24 * 3600);

impl Claims {
    /// Declares a VM besides the configured ones; what was declared at run time of the same MAC address or name for
    /// the same addresses is replaced. `standby`: the VM is still on another hypervisor and about to come; nothing is
    /// asked or announced before it is heard here.
    pub fn declare(
        &mut self,
        domain: &str,
        vm: &Vm,
        standby: bool,
        now: Timestamp,
    ) -> Result<(), DeclareError> {
        let unknown = || DeclareError::UnknownDomain(domain.to_owned());
        let id = self.domain(domain).ok_or_else(unknown)?;
        self.declarable(id, vm)?;
        self.revision += 1;
        for address in &vm.addresses {
            let Some(domain) = self.domains.get_mut(&id) else { return Err(unknown()) };
            let at_run_time = domain.declared(*address).is_none_or(|before| before.at_run_time);
            domain.declare(*address, Declared::of(vm, at_run_time, standby));
            self.redeclared((id, *address), now);
        }
        if !standby {
            self.seek(id, now);
            self.presume_all(id, now);
        }
        Ok(())
    }

    fn declarable(&self, id: DomainId, vm: &Vm) -> Result<(), DeclareError> {
        let Some(domain) = self.domains.get(&id) else { return Err(DeclareError::NoAddress) };
        if vm.addresses.is_empty() {
            return Err(DeclareError::NoAddress);
        }
        if !vm.mac.is_station() {
            return Err(DeclareError::NoStation(vm.mac));
        }
        for address in &vm.addresses {
            if !domain.config.permits(*address) || self.own.contains(address) {
                return Err(DeclareError::Forbidden(*address));
            }
            match domain.declared(*address) {
                // A VM of the same name may have got another MAC address, unless the configuration says which.
                Some(before) if before.mac != vm.mac && (*before.name != *vm.name || !before.at_run_time) => {
                    return Err(DeclareError::Taken { address: *address, name: before.name.to_string() });
                }
                None if self.claims.len() >= MAX_CLAIMS => return Err(DeclareError::Full),
                Some(_) | None => {}
            }
        }
        Ok(())
    }

    /// Ends a declaration made at run time; `false`: there is none. An address that was announced stays so if the
    /// guard does not need the declaration.
    pub fn undeclare(&mut self, domain: &str, address: IpAddr, now: Timestamp) -> bool {
        let Some(id) = self.domain(domain) else { return false };
        let Some(domain) = self.domains.get_mut(&id) else { return false };
        if domain.declared(address).is_none_or(|declared| !declared.at_run_time) {
            return false;
        }
        domain.undeclare(address);
        self.revision += 1;
        self.redeclared((id, address), now);
        true
    }

    /// Brings the claim to an address in line with a declaration that came, changed or went.
    fn redeclared(&mut self, key: Key, now: Timestamp) {
        let claim = self.claims.get(&key).copied();
        let waits =
            |claim: &Claim| matches!(claim.state, State::Standby { .. }) && claim.owner.port.is_none();
        match claim {
            Some(claim) if self.allows(key, &claim) && !waits(&claim) => {
                // Whoever declares a VM as here does not move it away.
                let leaving = claim.leaving.filter(|_| self.is_awaited_elsewhere(key));
                self.settle(key, Some(Claim { leaving, ..claim }), now);
            }
            _ => self.settle(key, None, now),
        }
    }

    /// Whether what is declared of an address is an incoming migration.
    fn is_awaited_elsewhere(&self, key: Key) -> bool {
        self.domains.get(&key.0).and_then(|d| d.declared(key.1)).is_some_and(|declared| declared.standby)
    }

    /// Whether configuration, declarations and own addresses allow a claim.
    pub(super) fn allows(&self, key: Key, claim: &Claim) -> bool {
        let Some(domain) = self.domains.get(&key.0) else { return false };
        let declared = domain.declared(key.1);
        let nobodys = matches!(claim.state, State::Standby { .. }) && claim.owner.port.is_none();
        let name = claim.owner.port.and_then(|port| self.ports.get(&port)).map(|port| &port.name);
        let elsewhere = declared.and_then(|d| d.port.as_ref()).zip(name).is_some_and(|(told, is)| told != is);
        domain.permits(key.1, claim.owner.mac).is_ok()
            && !self.own.contains(&key.1)
            && !elsewhere
            && (declared.is_some() || !nobodys)
    }

    /// Gives every declared address that has none a claim that waits for its VM.
    pub(super) fn await_declared(&mut self, now: Timestamp) {
        let declared =
            self.domains.iter().flat_map(|(id, domain)| domain.awaited().map(|address| (*id, address)));
        let new: Vec<Key> = declared.filter(|key| !self.claims.contains_key(key)).collect();
        for key in new {
            self.settle(key, None, now);
        }
    }

    /// What is left of a claim to a declared address when it ends: the wait for its VM.
    pub(super) fn awaited(&self, key: Key, before: Option<Claim>, now: Timestamp) -> Option<Claim> {
        let domain = self.domains.get(&key.0)?;
        let declared = domain.declared(key.1).filter(|declared| domain.awaits(declared))?;
        let room = before.is_some() || self.claims.len() < MAX_CLAIMS;
        if !room || domain.permits(key.1, declared.mac).is_err() || self.own.contains(&key.1) {
            return None;
        }
        let (state, owner) = machine::await_declared(declared.mac, declared.standby).next?;
        let interface = domain.link.map_or(0, |link| link.index);
        let new = Claim::new(interface, (state, owner), EvidenceKind::Declared, now);
        Some(match before {
            // How often it moved is no less true for its port's end.
            Some(before) => before.ended(new),
            None => Claim { sequence: self.remembered(key, now), ..new },
        })
    }

    /// A declared address is accepted from its VM's port alone, and one of a previous run from the port it had if that
    /// is still there.
    pub(super) fn expected_at(&self, key: Key, here: Binding) -> Result<(), Refusal> {
        let name = here.port.and_then(|port| self.ports.get(&port)).map(|port| &port.name);
        let declared = self.domains.get(&key.0).and_then(|d| d.declared(key.1)).and_then(|d| d.port.as_ref());
        let before = self.expected.get(&key).filter(|name| self.port_names.contains_key(*name));
        match declared.or(before) {
            Some(expected) if Some(expected) != name => Err(Refusal::WrongPort),
            _ => Ok(()),
        }
    }

    /// A port is up: the VMs declared behind it count as here if the operator wants it so.
    pub(super) fn presume(&mut self, index: IfIndex, now: Timestamp) {
        let Some(port) = self.ports.get(&index).filter(|port| port.up) else { return };
        let id = port.domain;
        let Some(domain) = self.domains.get(&id).filter(|domain| domain.link_up().is_some()) else { return };
        if !domain.config.announce_without_evidence {
            return;
        }
        let behind: Vec<(IpAddr, Mac)> = domain
            .declared_behind(&port.name)
            .filter(|address| !self.remotes.contains_key(address))
            .filter_map(|address| domain.declared(address).filter(|d| !d.standby).map(|d| (address, d.mac)))
            .collect();
        for (address, mac) in behind {
            let here = Binding { port: Some(index), mac };
            if self.free_elsewhere((id, address), here, EvidenceKind::Declared, now) == Ok(true) {
                // A port that may have no more addresses has none the less for it.
                let _refused = self.advance((id, address), Event::Presumed(here), None, now);
            }
        }
    }

    pub(super) fn presume_all(&mut self, id: DomainId, now: Timestamp) {
        if self.domains.get(&id).is_some_and(|domain| domain.config.announce_without_evidence) {
            for port in self.ports_of(id) {
                self.presume(port, now);
            }
        }
    }

    /// The owner of an address is about to move to another router: the route says so, and yields to the first other
    /// one, within the next hour. `false`: the address is not announced here.
    pub fn migrate(&mut self, domain: &str, address: IpAddr, now: Timestamp) -> bool {
        let Some(key) = self.domain(domain).map(|id| (id, address)) else { return false };
        let Some(claim) = self.claims.get(&key).copied().filter(|c| c.state.announced()) else {
            return false;
        };
        self.settle(key, Some(Claim { leaving: Some(now + LEAVING), ..claim }), now);
        true
    }

    /// Withdraws an address until its VM is heard again, and ends its freeze; `false`: it is not known.
    pub fn release(&mut self, domain: &str, address: IpAddr, now: Timestamp) -> bool {
        let Some(key) = self.domain(domain).map(|id| (id, address)) else { return false };
        let known = self.claims.contains_key(&key);
        self.port_event(key, Event::Release, now);
        known
    }

    /// Keeps the sequence number of an address that has no claim any more.
    pub(super) fn remember(&mut self, key: Key, sequence: u32, now: Timestamp) {
        if sequence == 0 {
            return;
        }
        if self.memory.len() >= MAX_CLAIMS {
            self.memory.retain(|_, (_, at)| now.since(*at) < MEMORY);
        }
        if self.memory.len() < MAX_CLAIMS {
            self.memory.insert(key.1, (sequence, now));
        }
    }

    /// The sequence number that an address without a claim had.
    pub(super) fn remembered(&self, key: Key, now: Timestamp) -> u32 {
        let known = self.memory.get(&key.1).filter(|(_, at)| now.since(*at) < MEMORY);
        known.map_or(0, |(sequence, _)| *sequence)
    }
}
