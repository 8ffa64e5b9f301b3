//! The next hops of BGP paths, and what changes about them when links, addresses, routes or neighbours change.

use std::collections::BTreeSet;
use std::net::IpAddr;

use foldhash::HashMap;
use siskin_net::{IfIndex, NextHop, NextHopAnswer, Resolution};

use crate::state::KernelState;

#[derive(Debug)]
struct Tracked {
    /// Where it leads if every gateway answers.
    way: Option<Resolution>,
    /// Where it leads.
    answer: NextHopAnswer,
}

impl Tracked {
    fn new(next_hop: &NextHop, state: &KernelState) -> Tracked {
        let NextHopAnswer { found: way, matched } = state.way(next_hop);
        let found = way.as_ref().and_then(|way| state.answering(way));
        Tracked { way, answer: NextHopAnswer { found, matched } }
    }
}

/// The registered next hops with their last known resolution.
#[derive(Debug, Default)]
pub struct Tracker {
    known: HashMap<NextHop, Tracked>,
    generation: u64,
    link_generation: u64,
    /// The gateways may be others than those last asked for.
    moved: bool,
}

impl Tracker {
    /// A tracker of nothing.
    #[must_use]
    pub fn new() -> Tracker {
        Tracker::default()
    }

    /// Follows a next hop from now on (once, however often it is registered), and says where it leads now.
    pub fn register(&mut self, next_hop: NextHop, state: &KernelState) -> NextHopAnswer {
        let tracked = self.known.entry(next_hop).or_insert_with(|| {
            self.moved = true;
            Tracked::new(&next_hop, state)
        });
        tracked.answer.clone()
    }

    /// Follows it no longer.
    pub fn unregister(&mut self, next_hop: &NextHop) {
        self.moved |= self.known.remove(next_hop).is_some();
    }

    /// Every registered next hop with what is known of it, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = (&NextHop, Option<&Resolution>)> {
        self.known.iter().map(|(next_hop, tracked)| (next_hop, tracked.answer.found.as_ref()))
    }

    /// How many next hops are followed.
    #[must_use]
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether none is followed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// The gateways on the way to all next hops, those that do not answer included; `None` if they are the same as the
    /// last time.
    pub fn gateways(&mut self) -> Option<BTreeSet<(IfIndex, IpAddr)>> {
        if !std::mem::take(&mut self.moved) {
            return None;
        }
        let hops = self.known.values().filter_map(|tracked| tracked.way.as_ref()).flat_map(|way| &way.hops);
        Some(hops.filter_map(|hop| Some((hop.interface, hop.gateway?))).collect())
    }

    /// What changed since the last call. Costs nothing while nothing that matters happened, and little when only links
    /// without addresses and routes came and went.
    pub fn refresh(&mut self, state: &KernelState) -> Vec<(NextHop, NextHopAnswer)> {
        let (all, links) = (state.generation(), state.link_generation());
        if (self.generation, self.link_generation) == (all, links) {
            return Vec::new();
        }
        let everything = std::mem::replace(&mut self.generation, all) != all;
        let since = std::mem::replace(&mut self.link_generation, links);
        let mut changes = Vec::new();
        for (next_hop, tracked) in &mut self.known {
            let named = next_hop.interface != 0 && state.link_changed(next_hop.interface, since);
            if !everything && !named {
                continue;
            }
            let now = Tracked::new(next_hop, state);
            self.moved |= now.way != tracked.way;
            if now.answer != tracked.answer {
                changes.push((*next_hop, now.answer.clone()));
            }
            *tracked = now;
        }
        changes.sort_unstable_by_key(|(next_hop, _)| *next_hop);
        changes
    }
}
