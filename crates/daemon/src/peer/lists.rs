//! Lists that many peers share, compiled once: the configuration has one value for all peers that have the same list.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use siskin_config::{AsnRanges, Patterns};
use siskin_policy::{AsnSet, PrefixSet};

use super::lock;

/// Compiled lists, by the list of the configuration in force that they were made of.
#[derive(Default)]
pub(crate) struct Lists {
    prefixes: Mutex<HashMap<usize, (Patterns, Arc<PrefixSet>)>>,
    asns: Mutex<HashMap<usize, (AsnRanges, Arc<AsnSet>)>>,
}

impl Lists {
    /// The set of a list of prefixes.
    pub(super) fn prefixes(&self, list: &Patterns) -> Arc<PrefixSet> {
        let mut known = lock(&self.prefixes);
        let (_, set) = known
            .entry(Arc::as_ptr(list).addr())
            .or_insert_with(|| (list.clone(), Arc::new(list.iter().copied().collect())));
        set.clone()
    }

    /// The set of a list of AS numbers.
    pub(super) fn asns(&self, list: &AsnRanges) -> Arc<AsnSet> {
        let mut known = lock(&self.asns);
        let (_, set) = known
            .entry(Arc::as_ptr(list).addr())
            .or_insert_with(|| (list.clone(), Arc::new(list.iter().cloned().collect())));
        set.clone()
    }
}
