//! The prefixes that wait to be written, handed out in sorted order: it keeps the kernel's trie warm and makes
//! installs 1.2 to 2 times as fast.
//!
//! What arrives is collected unsorted; when the sorted run is used up, the collection becomes the next run. A few
//! prefixes that arrive while a long run lasts (a host that moved, in the middle of a full table) go first.

use std::net::Ipv4Addr;

use siskin_net::{Family, Prefix};

use super::place::Place;

/// How many arrivals at once still count as few.
const EXPRESS: usize = 64;

/// An IPv4 place in 8 bytes that sort like the place; IPv6 ones stay as they are.
fn pack(place: Place) -> u64 {
    let bits = u64::try_from(place.prefix.bits() >> 96).unwrap_or(0);
    u64::from(place.table) << 40 | bits << 8 | u64::from(place.prefix.len())
}

#[expect(clippy::cast_possible_truncation, reason = "takes apart what `pack` put together")]
fn unpack(key: u64) -> Place {
    let prefix = Prefix::v4(Ipv4Addr::from_bits((key >> 8) as u32), key as u8);
    Place { table: (key >> 40) as u16, prefix }
}

#[derive(Debug)]
struct Lane<K> {
    fresh: Vec<K>,
    /// Sorted from last to first, so that the end is next.
    run: Vec<K>,
    express: Vec<K>,
}

impl<K: Ord + Copy> Lane<K> {
    const fn new() -> Lane<K> {
        Lane { fresh: Vec::new(), run: Vec::new(), express: Vec::new() }
    }

    fn len(&self) -> usize {
        self.fresh.len() + self.run.len() + self.express.len()
    }

    fn pop(&mut self) -> Option<K> {
        if let Some(key) = self.express.pop().or_else(|| self.run.pop()) {
            return Some(key);
        }
        self.run = std::mem::take(&mut self.fresh);
        self.run.sort_unstable_by(|a, b| b.cmp(a));
        self.run.pop()
    }

    fn promote(&mut self) {
        if self.express.is_empty() && !self.run.is_empty() && self.fresh.len() <= EXPRESS {
            self.express.append(&mut self.fresh);
            self.express.sort_unstable_by(|a, b| b.cmp(a));
        }
    }
}

/// The waiting prefixes of both families.
#[derive(Debug)]
pub(super) struct Queue {
    v4: Lane<u64>,
    v6: Lane<Place>,
}

impl Queue {
    pub(super) const fn new() -> Queue {
        Queue { v4: Lane::new(), v6: Lane::new() }
    }

    pub(super) fn push(&mut self, place: Place) {
        match place.family() {
            Family::Ipv4 => self.v4.fresh.push(pack(place)),
            Family::Ipv6 => self.v6.fresh.push(place),
        }
    }

    pub(super) fn pop(&mut self, family: Family) -> Option<Place> {
        match family {
            Family::Ipv4 => self.v4.pop().map(unpack),
            Family::Ipv6 => self.v6.pop(),
        }
    }

    /// Lets few new arrivals overtake a run.
    pub(super) fn promote(&mut self) {
        self.v4.promote();
        self.v6.promote();
    }

    pub(super) fn len(&self, family: Family) -> usize {
        match family {
            Family::Ipv4 => self.v4.len(),
            Family::Ipv6 => self.v6.len(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        Family::ALL.into_iter().all(|family| self.len(family) == 0)
    }
}

#[cfg(test)]
mod tests;
