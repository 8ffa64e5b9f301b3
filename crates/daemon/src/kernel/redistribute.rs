//! `[redistribute.*]`: the prefixes of our interfaces, and the kernel's routes that others made, as routes.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use siskin_bgp::attr::{Origin, PathAttributes};
use siskin_fib::KernelState;
use siskin_net::{Family, PeerId, Prefix, RouteSource};
use siskin_rib::{Batch, BatchBuilder, ImportProfile};

/// The weight of our own routes, as FRR has it: no received path hides them unless a policy gives it more.
const LOCAL_WEIGHT: u32 = 32_768;

/// Turns the set of prefixes of one kind into announcements and withdrawals.
pub(crate) struct RedistributeSource {
    kind: RouteSource,
    /// The kernel's state when it was last looked at.
    generation: Option<u64>,
    builder: BatchBuilder,
    announced: BTreeSet<Prefix>,
}

impl RedistributeSource {
    /// A source that has announced nothing yet.
    pub(crate) fn new(kind: RouteSource, peer: PeerId, import: Arc<ImportProfile>) -> RedistributeSource {
        let builder = BatchBuilder::new(peer, import);
        RedistributeSource { kind, generation: None, builder, announced: BTreeSet::new() }
    }

    /// Connected, static or kernel routes.
    pub(super) fn kind(&self) -> RouteSource {
        self.kind
    }

    /// What changed since the last time, if anything did.
    pub(super) fn refresh(&mut self, state: &KernelState) -> Option<Batch> {
        if self.generation.replace(state.generation()) == Some(state.generation()) {
            return None;
        }
        let now = state.redistributable(self.kind);
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
