//! The search for declared VMs that say nothing: a VM that was running before the daemon, or that was resumed, may
//! have no reason to speak. When a port comes up, every declared address that is nowhere is probed three times
//! through the interface, which knows or finds the port of the VM's MAC address; the answer is evidence like any other.
//!
//! Ports that come up together share one search, and a search sends so many probes a tick: 4,000 ports of a host that
//! starts are not 4,000 searches.

use std::net::IpAddr;
use std::ops::Bound;
use std::time::Duration;

use siskin_net::Timestamp;

use super::Claims;
use super::domain::DomainId;
use super::table::Timer;
use crate::Mac;

/// Time between two parts of a search, and before the first.
const TICK: Duration = Duration::from_millis(200);
/// Times each address is probed.
const ROUNDS: u8 = 3;
/// Probes sent in one part.
const BATCH: usize = 256;

/// Where a search stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Search {
    rounds_left: u8,
    /// The last address probed in this round.
    after: Option<IpAddr>,
    due: Timestamp,
}

impl Claims {
    /// Starts a search, or makes a running one begin its rounds again.
    pub(super) fn seek(&mut self, id: DomainId, now: Timestamp) {
        let Some(domain) = self.domains.get_mut(&id).filter(|d| !d.vm_by_address.is_empty()) else { return };
        if let Some(search) = &mut domain.search {
            search.rounds_left = ROUNDS;
        } else {
            let due = now + TICK;
            domain.search = Some(Search { rounds_left: ROUNDS, after: None, due });
            self.set_timer(Timer::Seek(id), None, Some(due));
        }
    }

    pub(super) fn end_search(&mut self, id: DomainId) {
        let search = self.domains.get_mut(&id).and_then(|domain| domain.search.take());
        self.set_timer(Timer::Seek(id), search.map(|search| search.due), None);
    }

    pub(super) fn seek_due(&mut self, id: DomainId, now: Timestamp) {
        let Some(domain) = self.domains.get_mut(&id) else { return };
        let Some(mut search) = domain.search.take() else { return };
        let start = search.after.map_or(Bound::Unbounded, Bound::Excluded);
        let absent: Vec<(IpAddr, Mac)> = domain
            .vm_by_address
            .range((start, Bound::Unbounded))
            .filter(|(address, _)| !self.claims.get(&(id, **address)).is_some_and(|c| c.state.in_kernel()))
            .filter_map(|(address, vm)| Some((*address, domain.config.vms.get(*vm)?.mac)))
            .filter(|(address, mac)| {
                domain.permits(*address, *mac).is_ok() && domain.rules(*address).can_probe
            })
            .take(BATCH)
            .collect();
        search.after = absent.last().map(|(address, _)| *address).filter(|_| absent.len() == BATCH);
        if search.after.is_none() {
            search.rounds_left = search.rounds_left.saturating_sub(1);
        }
        if search.rounds_left > 0 && domain.live_ports > 0 {
            search.due = now + TICK;
            domain.search = Some(search);
            self.set_timer(Timer::Seek(id), None, Some(search.due));
        }
        for (address, mac) in absent {
            self.probe(id, None, mac, address);
        }
    }
}
