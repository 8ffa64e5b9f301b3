//! Origin validation (RFC 6811): the table of VRPs, and which of them judge a route.
//!
//! A table never changes: [`VrpTable::apply`] makes the next one, which shares with this one whatever the change did
//! not touch. So one table can be read by many while the next is made, and ten VRPs cost ten shards, not a table.
//! VRPs are sharded by their leading bits (8 of IPv4, 16 of IPv6); those too short for that stand in a shard of their
//! own. A VRP takes 12 octets (IPv4) or 32 (IPv6), and about one more for the index.
//!
//! What this leaves out: where VRPs come from, and what becomes of a route that is invalid.

mod shard;

use std::collections::BTreeMap;
use std::fmt;
use std::iter;
use std::sync::Arc;

use siskin_net::{Asn, Family, Prefix, Vrp};

use crate::Rpki;
use shard::{Found, Item, Key, Shard};

/// How many VRPs [`explain_origin`] names before it only counts them.
const EXPLAINED: usize = 2;

/// All VRPs, ready to be asked. A clone is the same table and costs one counter.
#[derive(Clone, Default)]
pub struct VrpTable(Arc<Tables>);

#[derive(Default)]
struct Tables {
    v4: Half<u32>,
    v6: Half<u128>,
}

/// The VRPs of one family.
#[derive(Clone)]
struct Half<K> {
    /// Those with fewer bits than a shard's name has.
    short: Arc<Shard<K>>,
    /// Where in `shards` the shard of some leading bits is, counted from 1; 0: there is none. Empty without shards.
    slots: Arc<[u32]>,
    shards: Vec<Arc<Shard<K>>>,
}

impl<K> Default for Half<K> {
    fn default() -> Half<K> {
        Half { short: Arc::default(), slots: Arc::new([]), shards: Vec::new() }
    }
}

/// The name of a shard: its leading bits; `None` is the one of the short prefixes.
type ShardId = Option<usize>;

/// What becomes of one shard.
struct Change<K> {
    withdrawn: Vec<Item<K>>,
    announced: Vec<Item<K>>,
}

impl VrpTable {
    /// A table of no VRPs: every route is not found.
    #[must_use]
    pub fn new() -> VrpTable {
        VrpTable::default()
    }

    /// This table without `withdrawn`, then with `announced`; the order within each means nothing, what is there
    /// already or was never there changes nothing. Costs the shards that are touched.
    #[must_use]
    pub fn apply(&self, withdrawn: &[Vrp], announced: &[Vrp]) -> VrpTable {
        VrpTable(Arc::new(Tables {
            v4: self.0.v4.apply(withdrawn, announced),
            v6: self.0.v6.apply(withdrawn, announced),
        }))
    }

    /// The state of a route (RFC 6811 section 2). Without an `origin` (the path ends in an AS_SET or is empty) no VRP
    /// matches, and none of AS 0 ever does.
    #[must_use]
    pub fn validate(&self, prefix: Prefix, origin: Option<Asn>) -> Rpki {
        match prefix.family() {
            Family::Ipv4 => self.0.v4.validate(prefix, origin),
            Family::Ipv6 => self.0.v6.validate(prefix, origin),
        }
    }

    /// The VRPs whose prefix is `prefix` or covers it, the longest prefixes first.
    pub fn covering(&self, prefix: Prefix) -> impl Iterator<Item = Vrp> + '_ {
        let (v4, v6) = match prefix.family() {
            Family::Ipv4 => (Some(self.0.v4.walk(prefix)), None),
            Family::Ipv6 => (None, Some(self.0.v6.walk(prefix))),
        };
        let v4 = v4.into_iter().flatten().map(Found::vrp);
        v4.chain(v6.into_iter().flatten().map(Found::vrp))
    }

    /// How many VRPs of a family there are.
    #[must_use]
    pub fn len(&self, family: Family) -> usize {
        match family {
            Family::Ipv4 => self.0.v4.all().map(Shard::len).sum(),
            Family::Ipv6 => self.0.v6.all().map(Shard::len).sum(),
        }
    }

    /// Whether there is no VRP at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }

    /// The memory it takes, in octets, shards shared with other tables included.
    #[must_use]
    pub fn bytes(&self) -> usize {
        size_of::<Tables>() + self.0.v4.bytes() + self.0.v6.bytes()
    }

    /// All VRPs: IPv4 before IPv6, in no other order.
    pub fn iter(&self) -> impl Iterator<Item = Vrp> + '_ {
        let v4 = self.0.v4.all().flat_map(Shard::iter).map(Found::vrp);
        v4.chain(self.0.v6.all().flat_map(Shard::iter).map(Found::vrp))
    }
}

impl FromIterator<Vrp> for VrpTable {
    fn from_iter<I: IntoIterator<Item = Vrp>>(vrps: I) -> VrpTable {
        let all: Vec<Vrp> = vrps.into_iter().collect();
        VrpTable::new().apply(&[], &all)
    }
}

impl fmt::Debug for VrpTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VrpTable")
            .field("ipv4", &self.len(Family::Ipv4))
            .field("ipv6", &self.len(Family::Ipv6))
            .finish()
    }
}

impl<K: Key> Half<K> {
    fn validate(&self, prefix: Prefix, origin: Option<Asn>) -> Rpki {
        let mut state = Rpki::NotFound;
        for found in self.walk(prefix) {
            state = Rpki::Invalid;
            let asn = found.asn();
            if Some(asn) == origin && asn.0 != 0 && prefix.len() <= found.max_len() {
                return Rpki::Valid;
            }
        }
        state
    }

    /// The VRPs that cover `prefix`, the longest first.
    fn walk(&self, prefix: Prefix) -> impl Iterator<Item = Found<'_, K>> {
        let shard = shard_id::<K>(prefix).and_then(|id| self.shard(id));
        shard.into_iter().flat_map(move |shard| shard.covering(prefix)).chain(self.short.covering(prefix))
    }

    fn shard(&self, id: usize) -> Option<&Arc<Shard<K>>> {
        let number = *self.slots.get(id)? as usize;
        self.shards.get(number.checked_sub(1)?)
    }

    fn all(&self) -> impl Iterator<Item = &Shard<K>> {
        iter::once(&self.short).chain(&self.shards).map(|shard| &**shard)
    }

    fn bytes(&self) -> usize {
        let shards: usize = self.all().map(Shard::bytes).sum();
        shards + size_of_val(&*self.slots) + size_of_val(self.shards.as_slice())
    }

    fn apply(&self, withdrawn: &[Vrp], announced: &[Vrp]) -> Half<K> {
        let mut changes: BTreeMap<ShardId, Change<K>> = BTreeMap::new();
        let mut note = |vrps: &[Vrp], list: fn(&mut Change<K>) -> &mut Vec<Item<K>>| {
            for vrp in vrps.iter().filter(|vrp| vrp.prefix.family() == K::FAMILY) {
                let id = shard_id::<K>(vrp.prefix);
                let change = changes.entry(id).or_default();
                list(change).push(Item::new(*vrp, id.is_some()));
            }
        };
        note(withdrawn, |change| &mut change.withdrawn);
        note(announced, |change| &mut change.announced);
        let mut next = self.clone();
        for (id, change) in changes {
            next.change(id, change);
        }
        next
    }

    fn change(&mut self, id: ShardId, change: Change<K>) {
        let Some(id) = id else {
            self.short = Arc::new(self.short.changed(0, 0, change.withdrawn, change.announced));
            return;
        };
        let leading = u128::try_from(id).unwrap_or(0) << (128 - u32::from(K::SHARD_BITS));
        let old = self.shard(id).cloned().unwrap_or_default();
        let new = Arc::new(old.changed(leading, K::SHARD_BITS, change.withdrawn, change.announced));
        let number = self.slots.get(id).map_or(0, |number| *number as usize);
        match number.checked_sub(1).and_then(|index| self.shards.get_mut(index)) {
            Some(place) => *place = new,
            None => self.add(id, new),
        }
    }

    fn add(&mut self, id: usize, shard: Arc<Shard<K>>) {
        if self.slots.is_empty() {
            self.slots = iter::repeat_n(0, 1 << K::SHARD_BITS).collect();
        }
        self.shards.push(shard);
        let number = u32::try_from(self.shards.len()).unwrap_or(u32::MAX);
        if let Some(slot) = Arc::make_mut(&mut self.slots).get_mut(id) {
            *slot = number;
        }
    }
}

impl<K> Default for Change<K> {
    fn default() -> Change<K> {
        Change { withdrawn: Vec::new(), announced: Vec::new() }
    }
}

/// The shard that a prefix of this length belongs into, and in which what covers it is looked for first.
fn shard_id<K: Key>(prefix: Prefix) -> ShardId {
    let leading = prefix.bits() >> (128 - u32::from(K::SHARD_BITS));
    (prefix.len() >= K::SHARD_BITS).then(|| usize::try_from(leading).unwrap_or(0))
}

/// The VRPs that judge a route, for people: `VRP 192.0.2.0/24 max 24 AS 64496`. Those of the route's own origin come
/// first (the prefix is too long for them, or they make it valid), then the closest; of many, two are named and the
/// rest counted.
#[must_use]
pub fn explain_origin(table: &VrpTable, prefix: Prefix, origin: Option<Asn>) -> String {
    let mut vrps: Vec<Vrp> = table.covering(prefix).collect();
    let matches = |vrp: &Vrp| Some(vrp.asn) == origin && vrp.asn.0 != 0;
    vrps.sort_by_key(|vrp| (!(matches(vrp) && prefix.len() <= vrp.max_len), !matches(vrp)));
    if vrps.is_empty() {
        return format!("no VRP covers {prefix}");
    }
    let named: Vec<String> = vrps
        .iter()
        .take(EXPLAINED)
        .map(|vrp| format!("VRP {} max {} AS {}", vrp.prefix, vrp.max_len, vrp.asn))
        .collect();
    match vrps.len().saturating_sub(EXPLAINED) {
        0 => named.join(" and "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}

#[cfg(test)]
mod tests;
