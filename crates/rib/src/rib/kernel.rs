//! The way to the kernel's table: the newest route of each prefix whose forwarding may have changed.

use std::sync::Arc;

use siskin_net::{Family, FamilyMap, NextHopGroup, Prefix};

use super::Rib;
use crate::attrs::DecisionKey;
use crate::config::FibAction;
use crate::nexthop::Ways;
use crate::table::{DestId, PathFlags};

/// What the kernel's table is to hold for a prefix from now on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FibUpdate {
    /// The prefix.
    pub prefix: Prefix,
    /// Where packets go; `None`: no route of ours.
    pub target: Option<Arc<NextHopGroup>>,
}

/// What is kept for the way to the kernel.
#[derive(Debug)]
pub(super) struct KernelState {
    /// Somebody takes the changes; until then there is nothing in the kernel that would have to be taken back.
    pub(super) in_use: bool,
    cursor: FamilyMap<DestId>,
    pub(super) idle_cursor: FamilyMap<DestId>,
    blackhole: Arc<NextHopGroup>,
    unreachable: Arc<NextHopGroup>,
    prohibit: Arc<NextHopGroup>,
}

impl Default for KernelState {
    fn default() -> Self {
        KernelState {
            in_use: false,
            cursor: FamilyMap::default(),
            idle_cursor: FamilyMap::default(),
            blackhole: Arc::new(NextHopGroup::BLACKHOLE),
            unreachable: Arc::new(NextHopGroup::UNREACHABLE),
            prohibit: Arc::new(NextHopGroup::PROHIBIT),
        }
    }
}

impl Rib {
    /// Appends up to `max` changes to `out`, each prefix with its newest state; true if there are more. A change that
    /// is no change may be among them.
    pub fn drain_fib(&mut self, max: usize, out: &mut Vec<FibUpdate>) -> bool {
        self.kernel.in_use = true;
        let mut left = max;
        for family in Family::ALL {
            let start = self.kernel.cursor[family];
            self.drain_range(family, start, DestId::MAX, &mut left, out);
            self.drain_range(family, 0, start, &mut left, out);
        }
        left == 0 && Family::ALL.into_iter().any(|family| !self.tables[family].fib.is_empty())
    }

    fn drain_range(
        &mut self,
        family: Family,
        from: DestId,
        to: DestId,
        left: &mut usize,
        out: &mut Vec<FibUpdate>,
    ) {
        let mut at = from;
        while *left > 0
            && let Some(dest) = self.tables[family].fib.next(at).filter(|dest| *dest < to)
        {
            at = dest + 1;
            // What is to be decided first follows with its decision.
            if !self.tables[family].dirty.contains(dest) {
                *left -= 1;
                self.tables[family].fib.remove(dest);
                let target = self.target(family, dest);
                out.push(FibUpdate { prefix: self.tables[family].dests.prefix(dest), target });
            }
            self.kernel.cursor[family] = at;
        }
    }

    /// Where packets to a destination go.
    fn target(&mut self, family: Family, dest: DestId) -> Option<Arc<NextHopGroup>> {
        match self.action(family, dest)? {
            FibAction::Blackhole => Some(self.kernel.blackhole.clone()),
            FibAction::Unreachable => Some(self.kernel.unreachable.clone()),
            FibAction::Prohibit => Some(self.kernel.prohibit.clone()),
            FibAction::None => None,
            FibAction::Resolve => {
                let ways = self.selected_next_hops(family, dest);
                self.attrs.next_hops.group(&ways)
            }
        }
    }

    /// What the kernel is to do with packets to a destination.
    fn action(&self, family: Family, dest: DestId) -> Option<FibAction> {
        let best = self.tables[family].best(dest)?;
        let action = self.peers.get(best.peer)?.info.fib;
        let discards =
            || self.attrs.next_hops.is_discard(self.attrs.key(best.accepted().unwrap_or_default()).next_hop);
        Some(if action == FibAction::Resolve && discards() { FibAction::Blackhole } else { action })
    }

    /// The next hops of the paths that share the load, sorted and distinct, with the bandwidth of their links where all
    /// have one.
    fn selected_next_hops(&self, family: Family, dest: DestId) -> Ways {
        let selected =
            self.tables[family].chain(dest).filter(|(_, path)| path.flags.has(PathFlags::MULTIPATH));
        let accepted = selected.filter_map(|(_, path)| path.accepted());
        let mut ways: Ways = accepted
            .map(|id| {
                let key = self.attrs.key(id);
                let told = key.has(DecisionKey::BANDWIDTH);
                (key.next_hop, if told { self.attrs.decode(id).link_bandwidth().unwrap_or(0) } else { 0 })
            })
            .collect();
        if ways.len() == 1 || ways.iter().any(|(_, bandwidth)| *bandwidth == 0) {
            ways.iter_mut().for_each(|(_, bandwidth)| *bandwidth = 0);
        }
        // Of paths over one link the widest counts.
        ways.sort_unstable_by_key(|(id, bandwidth)| (*id, std::cmp::Reverse(*bandwidth)));
        ways.dedup_by_key(|(id, _)| *id);
        ways
    }

    /// As [`FibUpdate::target`], for questions.
    pub(super) fn fib_target(&self, family: Family, dest: DestId) -> Option<NextHopGroup> {
        match self.action(family, dest)? {
            FibAction::Blackhole => Some(NextHopGroup::BLACKHOLE),
            FibAction::Unreachable => Some(NextHopGroup::UNREACHABLE),
            FibAction::Prohibit => Some(NextHopGroup::PROHIBIT),
            FibAction::None => None,
            FibAction::Resolve => self.attrs.next_hops.build_group(&self.selected_next_hops(family, dest)),
        }
    }
}
