//! What the daemon tells host routes of other routers, of declared VMs and of a previous run; all of it in the machine.

use std::net::IpAddr;

use siskin_net::{BgpIdentifier, Timestamp};

use super::HostRoutes;
use crate::claims::{DeclareError, MoveRecord, Remote, SavedBinding, Vm};

impl HostRoutes {
    /// Our BGP Identifier: of two routes with the same sequence number the one of the lower identifier wins.
    pub fn set_identifier(&mut self, identifier: BgpIdentifier, now: Timestamp) {
        self.claims.set_identifier(identifier, now);
    }

    /// The best route to an address within the domains' prefixes that another router announces, whenever it changes;
    /// `None`: nobody announces one any more.
    pub fn remote(&mut self, address: IpAddr, remote: Option<Remote>, now: Timestamp) {
        self.claims.remote(address, remote, now);
    }

    /// Declares a VM besides the configured ones, until it is undeclared. `standby`: it is still on another hypervisor
    /// and about to come; nothing is asked or announced before it is heard here.
    pub fn declare(
        &mut self,
        domain: &str,
        vm: &Vm,
        standby: bool,
        now: Timestamp,
    ) -> Result<(), DeclareError> {
        self.claims.declare(domain, vm, standby, now)
    }

    /// Ends a declaration made at run time; `false`: there is none. Where the guard does not need it, the address
    /// stays with whom it has.
    pub fn undeclare(&mut self, domain: &str, address: IpAddr, now: Timestamp) -> bool {
        self.claims.undeclare(domain, address, now)
    }

    /// The owner of an address is about to move to another router: the route is announced as leaving and yields to the
    /// first other one, within the next hour; what is forwarded does not change. `false`: the address is not announced here.
    pub fn migrate(&mut self, domain: &str, address: IpAddr, now: Timestamp) -> bool {
        self.claims.migrate(domain, address, now)
    }

    /// Withdraws an address until its VM is heard again, and ends its freeze; `false`: it is not known.
    pub fn release(&mut self, domain: &str, address: IpAddr, now: Timestamp) -> bool {
        self.claims.release(domain, address, now)
    }

    /// What the daemon keeps over a restart.
    #[must_use]
    pub fn bindings(&self) -> Vec<SavedBinding> {
        self.claims.bindings()
    }

    /// Takes in what [`HostRoutes::bindings`] gave an earlier run, after the configuration and best before
    /// [`HostRoutes::adopt`].
    pub fn restore(&mut self, saved: Vec<SavedBinding>, now: Timestamp) {
        self.claims.restore(saved, now);
    }

    /// The last 20 moves and duplicates, the oldest first.
    #[must_use]
    pub fn history(&self) -> Vec<MoveRecord> {
        self.claims.history().iter().cloned().collect()
    }
}
