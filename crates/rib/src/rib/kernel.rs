//! The way to the kernel's table: the newest route of each prefix whose forwarding may have changed.

use std::sync::Arc;

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use siskin_net::{Family, FamilyMap, NextHopGroup, Prefix};
use siskin_policy::{Compiled, Facts, Outcome, RouteView, RuleId, Verdict, evaluate, trace};

use super::Rib;
use super::explain::PolicyTrace;
use crate::attrs::{AttrId, DecisionKey};
use crate::config::FibAction;
use crate::export::{Outgoing, facts_of, source_view};
use crate::nexthop::Ways;
use crate::table::{DestId, PathFlags};

/// What the kernel's table is to hold for a prefix from now on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FibUpdate {
    /// The prefix.
    pub prefix: Prefix,
    /// The kernel's table; 0: that of the configuration.
    pub table: u32,
    /// Where packets go; `None`: no route of ours.
    pub target: Option<Arc<NextHopGroup>>,
    /// The table in which it stood so far, and which it leaves once the other has it.
    pub leaves: Option<u32>,
}

/// What the kernel's table gets of a best path.
#[derive(Clone, Debug)]
pub struct KernelVerdict {
    /// The kernel's table; 0: that of the configuration.
    pub table: u32,
    /// The rule of the kernel's policy that keeps the route out.
    pub rejected: Option<RuleId>,
    /// The kernel's policy, and what each of its rules did; `None`: there is no such policy.
    pub policy: Option<PolicyTrace>,
}

/// What is to become of a best path in the kernel.
struct Disposition {
    action: FibAction,
    table: u32,
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
    /// Which routes the kernel gets; `None`: all.
    pub(super) policy: Option<Arc<Compiled>>,
    /// The tables of the routes handed over that do not stand in that of the configuration: few, so they are kept apart.
    tables: FamilyMap<HashMap<DestId, u32, FixedState>>,
}

impl KernelState {
    /// Whether a change of facts can change what the kernel gets.
    pub(super) fn asks_facts(&self) -> bool {
        self.policy.as_ref().is_some_and(|policy| !policy.needs().is_empty())
    }
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
            policy: None,
            tables: FamilyMap::default(),
        }
    }
}

impl Rib {
    /// Sets which routes the kernel gets from now on (`None`: all), and in which tables; what that changes follows from
    /// [`Rib::drain_fib`].
    pub fn set_kernel_policy(&mut self, policy: Option<Arc<Compiled>>) {
        if policy != self.kernel.policy {
            self.kernel.policy = policy;
            self.walks.waiting().kernel = true;
        }
    }

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
                let update = self.update_of(family, dest);
                out.push(update);
            }
            self.kernel.cursor[family] = at;
        }
    }

    /// The newest state of a destination, and in which table it stands from now on.
    fn update_of(&mut self, family: Family, dest: DestId) -> FibUpdate {
        let prefix = self.tables[family].dests.prefix(dest);
        let (target, table) = match self.disposition(family, dest) {
            Some(Disposition { action, table }) => (self.target(family, dest, action), table),
            None => (None, 0),
        };
        let tables = &mut self.kernel.tables[family];
        let before = if tables.is_empty() { 0 } else { tables.get(&dest).copied().unwrap_or(0) };
        if target.is_none() || table == 0 {
            tables.remove(&dest);
        } else if table != before {
            tables.insert(dest, table);
        }
        if target.is_none() {
            return FibUpdate { prefix, table: before, target, leaves: None };
        }
        FibUpdate { prefix, table, target, leaves: (table != before).then_some(before) }
    }

    /// Where packets to a destination go.
    fn target(&mut self, family: Family, dest: DestId, action: FibAction) -> Option<Arc<NextHopGroup>> {
        match action {
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

    /// What the kernel is to do with packets to a destination, and in which table; `None`: it gets no route.
    fn disposition(&self, family: Family, dest: DestId) -> Option<Disposition> {
        let (action, set) = self.action(family, dest)?;
        let mut table = self.table_of(set);
        if let Some(policy) = &self.kernel.policy {
            let (verdict, _) = self.ask_policy(policy, family, dest, set, |_, _| ())?;
            if verdict.outcome == Outcome::Reject {
                return None;
            }
            table = verdict.attributes.map_or(table, |changed| self.named(changed.table));
        }
        Some(Disposition { action, table })
    }

    /// What the kernel is to do with packets to a destination, and the best path's attributes; `None`: nothing.
    pub(super) fn action(&self, family: Family, dest: DestId) -> Option<(FibAction, AttrId)> {
        let best = self.tables[family].best(dest)?;
        let set = best.accepted()?;
        let discards = || self.attrs.next_hops.is_discard(self.attrs.key(set).next_hop);
        match self.peers.get(best.peer)?.info.fib {
            FibAction::None => None,
            FibAction::Resolve if discards() => Some((FibAction::Blackhole, set)),
            action => Some((action, set)),
        }
    }

    /// The kernel's table that a set is for; 0: that of the configuration, named or not.
    pub(super) fn table_of(&self, set: AttrId) -> u32 {
        self.named(self.attrs.table(set))
    }

    fn named(&self, table: u32) -> u32 {
        if table == self.config.kernel_table { 0 } else { table }
    }

    /// What the kernel's policy says of the best path, and what `look` says of the same.
    fn ask_policy<T>(
        &self,
        policy: &Compiled,
        family: Family,
        dest: DestId,
        set: AttrId,
        look: impl FnOnce(RouteView<'_>, &dyn Facts) -> T,
    ) -> Option<(Verdict, T)> {
        let source = &self.peers.get(self.tables[family].best(dest)?.peer)?.info;
        let attributes = self.attrs.decode(set);
        let prefix = self.tables[family].dests.prefix(dest);
        let route = Outgoing { prefix, attributes: &attributes, source: Some(source) };
        let (view, facts) = (source_view(route, &attributes), facts_of(route));
        Some((evaluate(policy, view, facts), look(view, facts)))
    }

    /// What is decided about the best path's way into the kernel; `None`: there is none, or it is nothing for the kernel.
    pub(super) fn explain_kernel(&self, family: Family, dest: DestId) -> Option<KernelVerdict> {
        let (_, set) = self.action(family, dest)?;
        let table = self.table_of(set);
        let Some(policy) = &self.kernel.policy else {
            return Some(KernelVerdict { table, rejected: None, policy: None });
        };
        let steps = |view: RouteView<'_>, facts: &dyn Facts| trace(policy, view, facts);
        let (verdict, steps) = self.ask_policy(policy, family, dest, set, steps)?;
        Some(KernelVerdict {
            table: verdict.attributes.map_or(table, |changed| self.named(changed.table)),
            rejected: (verdict.outcome == Outcome::Reject).then_some(verdict.rule),
            policy: Some((policy.name().to_owned(), steps)),
        })
    }

    /// The next hops of the paths that share the load, sorted and distinct, with the bandwidth of their links where all
    /// have one.
    pub(super) fn selected_next_hops(&self, family: Family, dest: DestId) -> Ways {
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
        match self.disposition(family, dest)?.action {
            FibAction::Blackhole => Some(NextHopGroup::BLACKHOLE),
            FibAction::Unreachable => Some(NextHopGroup::UNREACHABLE),
            FibAction::Prohibit => Some(NextHopGroup::PROHIBIT),
            FibAction::None => None,
            FibAction::Resolve => self.attrs.next_hops.build_group(&self.selected_next_hops(family, dest)),
        }
    }
}
