//! `[redistribute.connected]`: the prefixes of our interfaces as routes.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use siskin_bgp::attr::{Origin, PathAttributes};
use siskin_fib::KernelState;
use siskin_net::{Family, PeerId, Prefix};
use siskin_rib::{Batch, BatchBuilder, ImportProfile};

/// The weight of our own routes, as FRR has it: no received path hides them unless a policy gives it more.
const LOCAL_WEIGHT: u32 = 32_768;

/// Turns the set of connected prefixes into announcements and withdrawals.
pub(crate) struct ConnectedSource {
    builder: BatchBuilder,
    announced: BTreeSet<Prefix>,
}

impl ConnectedSource {
    /// A source that has announced nothing yet.
    pub(crate) fn new(peer: PeerId, import: Arc<ImportProfile>) -> ConnectedSource {
        ConnectedSource { builder: BatchBuilder::new(peer, import), announced: BTreeSet::new() }
    }

    /// What changed since the last time, if anything did.
    pub(super) fn refresh(&mut self, state: &KernelState) -> Option<Batch> {
        let now: BTreeSet<Prefix> = state.connected().into_iter().map(|c| c.prefix).collect();
        if now == self.announced {
            return None;
        }
        for gone in self.announced.difference(&now) {
            self.builder.withdraw(*gone);
        }
        for new in now.difference(&self.announced) {
            self.builder.announce_local(*new, &local_attributes(new.family(), Origin::Incomplete));
        }
        self.announced = now;
        Some(self.builder.take())
    }
}

/// The attributes of a route of our own: no path, and a next hop that export replaces by our address.
pub(crate) fn local_attributes(family: Family, origin: Origin) -> PathAttributes {
    let unspecified: IpAddr = match family {
        Family::Ipv4 => Ipv4Addr::UNSPECIFIED.into(),
        Family::Ipv6 => Ipv6Addr::UNSPECIFIED.into(),
    };
    PathAttributes { origin, weight: LOCAL_WEIGHT, ..PathAttributes::originated(unspecified) }
}
