//! A watch on routes to single hosts: whether others announce an address that a VM of ours may have. News are collected
//! when a destination is decided, whichever path wins, since our own hides those of others.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::net::IpAddr;

use siskin_net::{BgpIdentifier, Prefix};

use super::Rib;
use super::scope::Scope;
use crate::attrs::Interner;
use crate::decision::Candidate;
use crate::mobility::HostMark;
use crate::table::Table;

/// What others announce of a watched address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HostNews {
    /// The address.
    pub address: IpAddr,
    /// The latest of the usable routes that others announce: of the highest sequence number, and of these of the lowest
    /// originator. `None`: nobody does any more.
    pub remote: Option<RemoteHost>,
}

/// A route to a host that another router announces.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RemoteHost {
    /// How often the address has moved, as far as that is said.
    pub sequence: u32,
    /// The CRC-32 of the VM's MAC address, where it is said.
    pub binding: Option<u32>,
    /// Who announces it: as it says itself, else ORIGINATOR_ID or the BGP Identifier of the peer.
    pub originator: BgpIdentifier,
}

/// What is watched, and what was told of it.
#[derive(Debug, Default)]
pub(super) struct Watch {
    prefixes: Vec<Prefix>,
    scope: Scope,
    /// Of addresses that others announce, the latest news.
    told: BTreeMap<IpAddr, RemoteHost>,
    news: Vec<HostNews>,
}

impl Watch {
    /// Whether anything is watched.
    pub(super) fn is_active(&self) -> bool {
        !self.prefixes.is_empty()
    }

    /// Looks at a destination that is being decided.
    pub(super) fn look(&mut self, prefix: Prefix, candidates: &[Candidate], table: &Table, attrs: &Interner) {
        if !prefix.is_host() || !self.scope.contains(prefix) {
            return;
        }
        let told_by = |candidate: &Candidate| {
            let accepted = table.paths.get(candidate.path).accepted()?;
            let mark = HostMark::of(&attrs.decode(accepted));
            let originator = mark.originator.unwrap_or(BgpIdentifier(candidate.identifier));
            Some(RemoteHost { sequence: mark.sequence, binding: mark.binding, originator })
        };
        let remote = candidates
            .iter()
            .filter(|candidate| !candidate.local)
            .filter_map(told_by)
            .max_by_key(|remote| (remote.sequence, Reverse(remote.originator)));
        let address = prefix.address();
        let before = match remote {
            Some(remote) => self.told.insert(address, remote),
            None => self.told.remove(&address),
        };
        if before != remote {
            self.news.push(HostNews { address, remote });
        }
    }
}

impl Rib {
    /// Watches the addresses within `prefixes` from now on. What was told of others is not taken back.
    pub fn watch_hosts(&mut self, mut prefixes: Vec<Prefix>) {
        prefixes.sort_unstable();
        if prefixes == self.watch.prefixes {
            return;
        }
        let mut scope = Scope::default();
        scope.extend(prefixes.clone());
        self.watch.told.retain(|address, _| scope.contains(Prefix::host(*address)));
        self.watch.scope = scope;
        if !prefixes.is_empty() {
            self.walks.waiting().everything = true;
        }
        self.watch.prefixes = prefixes;
    }

    /// News of watched addresses since the last call, in order.
    pub fn take_host_news(&mut self) -> Vec<HostNews> {
        std::mem::take(&mut self.watch.news)
    }
}
