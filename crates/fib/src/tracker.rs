//! The next hops of BGP paths, and what changes about them when links, addresses or routes change.

use foldhash::HashMap;
use siskin_net::{NextHop, Resolution};

use crate::state::KernelState;

/// The registered next hops with their last known resolution.
#[derive(Debug, Default)]
pub struct Tracker {
    known: HashMap<NextHop, Option<Resolution>>,
    generation: u64,
}

impl Tracker {
    /// A tracker of nothing.
    #[must_use]
    pub fn new() -> Tracker {
        Tracker::default()
    }

    /// Follows a next hop from now on (once, however often it is registered), and says where it leads now.
    pub fn register(&mut self, next_hop: NextHop, state: &KernelState) -> Option<Resolution> {
        self.known.entry(next_hop).or_insert_with(|| state.resolve(&next_hop)).clone()
    }

    /// Follows it no longer.
    pub fn unregister(&mut self, next_hop: &NextHop) {
        self.known.remove(next_hop);
    }

    /// Every registered next hop with what is known of it, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = (&NextHop, Option<&Resolution>)> {
        self.known.iter().map(|(next_hop, resolution)| (next_hop, resolution.as_ref()))
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

    /// What changed since the last call. Costs nothing while the state's generation stands.
    pub fn refresh(&mut self, state: &KernelState) -> Vec<(NextHop, Option<Resolution>)> {
        if self.generation == state.generation() {
            return Vec::new();
        }
        self.generation = state.generation();
        let mut changes = Vec::new();
        for (next_hop, known) in &mut self.known {
            let now = state.resolve(next_hop);
            if now != *known {
                known.clone_from(&now);
                changes.push((*next_hop, now));
            }
        }
        changes.sort_unstable_by_key(|(next_hop, _)| *next_hop);
        changes
    }
}
