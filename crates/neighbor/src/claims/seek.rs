//! The search for declared VMs that say nothing: a VM that was running before the daemon, or that was resumed, may
//! have no reason to speak. When a port comes up, every declared address that is nowhere is probed three times, and
//! then every ten seconds: through its VM's port if that is declared, else through the interface, which knows or finds
//! the port of the VM's MAC address. The answer is evidence like any other. What another router announces is asked for
//! through its declared port alone, and when that comes up.
//!
//! Ports that come up together share one search, and a search sends so many probes a tick: 4,000 ports of a host that
//! starts are not 4,000 searches. A probe through the interface for a VM that is nowhere reaches every port, so later
//! rounds send few of them at a time.

use std::net::IpAddr;
use std::time::Duration;

use siskin_net::Timestamp;

use super::Claims;
use super::domain::DomainId;
use super::machine::State;
use super::table::Timer;

/// Time between two parts of a search, and before the first.
const TICK: Duration = Duration::from_millis(200);
/// Times each address is probed.
const ROUNDS: u8 = 3;
/// Time between later rounds.
const ROUND: Duration = Duration::from_secs(10);
/// Probes sent in one part.
const BATCH: usize = 256;
/// Probes that every port may see, sent in one part of a later round.
const FLOODED: usize = 32;
/// Declarations looked at in one part.
const SCAN: usize = 2048;

/// Where a search stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Search {
    /// Rounds left that follow each other at once.
    rounds_left: u8,
    /// The last address looked at in this round.
    after: Option<IpAddr>,
    /// Whether anybody is missed in this round.
    missed: bool,
    due: Timestamp,
}

impl Claims {
    /// Starts a search, or makes a running one begin its rounds again.
    pub(super) fn seek(&mut self, id: DomainId, now: Timestamp) {
        let hurried = self.domains.get(&id).and_then(|d| d.search).is_some_and(|s| s.rounds_left > 0);
        if hurried {
            if let Some(search) = self.domains.get_mut(&id).and_then(|d| d.search.as_mut()) {
                search.rounds_left = ROUNDS;
            }
        } else {
            self.end_search(id);
            self.begin_search(id, ROUNDS, now + TICK);
        }
    }

    /// A declared address may be missed: it is looked for with the others, if a search is not on already.
    pub(super) fn seek_later(&mut self, id: DomainId, now: Timestamp) {
        if self.domains.get(&id).is_some_and(|d| d.search.is_none() && d.live_ports > 0) {
            self.begin_search(id, 0, now + ROUND);
        }
    }

    fn begin_search(&mut self, id: DomainId, rounds_left: u8, due: Timestamp) {
        if let Some(domain) = self.domains.get_mut(&id).filter(|d| d.declared_after(None).next().is_some()) {
            domain.search = Some(Search { rounds_left, after: None, missed: false, due });
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
        let Some(domain) = self.domains.get(&id).filter(|domain| domain.live_ports > 0) else { return };
        let hurried = search.rounds_left > 0;
        let (mut looked_at, mut flooded, mut probes) = (0, 0, Vec::new());
        for (address, declared) in domain.declared_after(search.after).take(SCAN) {
            looked_at += 1;
            search.after = Some(address);
            let state = self.claims.get(&(id, address)).map(|claim| claim.state);
            if !matches!(state, Some(State::Standby { quiet: false } | State::Gone)) {
                continue;
            }
            search.missed = true;
            let elsewhere = self.remotes.contains_key(&address);
            if elsewhere && (!hurried || declared.port.is_none())
                || !domain.rules(address, declared.mac).can_probe
            {
                continue;
            }
            let port = declared.port.as_ref().map(|name| self.port_names.get(name));
            match port {
                Some(Some(port)) if self.ports.get(port).is_some_and(|port| port.up) => {
                    probes.push((Some(*port), declared.mac, address));
                }
                // There is nobody to ask.
                Some(_) => {}
                None => {
                    flooded += 1;
                    probes.push((None, declared.mac, address));
                }
            }
            if probes.len() >= BATCH || !hurried && flooded >= FLOODED {
                break;
            }
        }
        let mut wait = TICK;
        if !hurried && flooded >= FLOODED {
            wait = ROUND;
        } else if looked_at < SCAN && probes.len() < BATCH {
            search.after = None;
            if search.rounds_left <= 1 {
                wait = ROUND;
            }
            search.rounds_left = search.rounds_left.saturating_sub(1);
            if !std::mem::take(&mut search.missed) {
                return;
            }
        }
        search.due = now + wait;
        if let Some(domain) = self.domains.get_mut(&id) {
            domain.search = Some(search);
            self.set_timer(Timer::Seek(id), None, Some(search.due));
        }
        for (port, mac, address) in probes {
            self.probe(id, port, mac, address);
        }
    }
}
