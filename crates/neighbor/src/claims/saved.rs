//! What outlives the process: bindings and sequence numbers.

use std::sync::Arc;

use siskin_net::Timestamp;

use super::machine;
use super::mobility::SavedBinding;
use super::table::Claim;
use super::{Claims, EvidenceKind, MAX_CLAIMS, MAX_INSTANCES, State};

impl Claims {
    /// The bindings to keep over a restart: all of addresses that were heard here, or that have moved.
    #[must_use]
    pub fn bindings(&self) -> Vec<SavedBinding> {
        let kept = self.claims.iter().filter(|(_, claim)| match claim.state {
            State::Candidate { .. } => false,
            State::Standby { .. } => claim.sequence > 0 || claim.owner.port.is_some(),
            _ => true,
        });
        kept.filter_map(|(key, claim)| {
            let port = claim.owner.port.and_then(|port| self.ports.get(&port)).map(|port| &port.name);
            Some(SavedBinding {
                domain: self.domains.get(&key.0)?.name.to_string(),
                address: key.1,
                mac: claim.owner.mac,
                port: port.or_else(|| self.expected.get(key)).map(|name| name.to_string()),
                sequence: claim.sequence,
            })
        })
        .collect()
    }

    /// Takes in what [`Claims::bindings`] gave an earlier run; before or after [`Claims::adopt`]. What the
    /// configuration does not allow any more is left out. A binding is kept for [`super::Timers::forget`] if its VM
    /// says nothing.
    pub fn restore(&mut self, saved: Vec<SavedBinding>, now: Timestamp) {
        for binding in saved {
            let known = self.domain(&binding.domain).is_some();
            if known || self.section_of(&binding.domain).is_none() {
                self.restore_one(&binding, now);
            } else if self.unplaced.len() < MAX_INSTANCES {
                self.unplaced.entry(Arc::from(binding.domain.as_str())).or_default().push(binding);
            }
        }
    }

    /// The interface of bindings that waited for it is there.
    pub(super) fn restore_on(&mut self, interface: &str, now: Timestamp) {
        for binding in self.unplaced.remove(interface).unwrap_or_default() {
            self.restore_one(&binding, now);
        }
    }

    fn restore_one(&mut self, saved: &SavedBinding, now: Timestamp) {
        let Some(id) = self.domain(&saved.domain) else { return };
        let Some(domain) = self.domains.get(&id) else { return };
        let key = (id, saved.address);
        if domain.permits(saved.address, saved.mac).is_err() || self.own.contains(&saved.address) {
            return;
        }
        let interface = domain.link.map_or(0, |link| link.index);
        if let Some(claim) = self.claims.get(&key).copied() {
            if claim.owner.mac == saved.mac {
                let sequence = claim.sequence.max(saved.sequence);
                self.settle(key, Some(Claim { sequence, ..claim }), now);
                self.expect(key, saved);
                if let Some(remote) = self.remote_of(saved.address) {
                    self.hear_remote(key, remote, now);
                }
            }
        } else if self.claims.len() < MAX_CLAIMS {
            let step = machine::restore(saved.mac, &domain.rules(saved.address, saved.mac));
            self.insert(key, &step, (interface, EvidenceKind::Adopted, saved.sequence), now);
            self.expect(key, saved);
        }
    }

    /// While the owner's port is not known, it is the one of this name if there is one.
    fn expect(&mut self, key: super::table::Key, saved: &SavedBinding) {
        let unknown = self.claims.get(&key).is_some_and(|claim| claim.owner.port.is_none());
        if let Some(name) = saved.port.as_deref().filter(|_| unknown) {
            self.expected.insert(key, name.into());
        }
    }
}
