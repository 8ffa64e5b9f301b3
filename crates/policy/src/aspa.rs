//! AS path verification by ASPA (draft-ietf-sidrops-aspa-verification, sections 4 to 6 of its later versions): who said
//! whom it buys transit from, and whether a path can have come up and down that way.
//!
//! Routes from customers, lateral peers, route servers and their clients must have come upward all the way; routes
//! from providers may have come up and then down. Left out: mutual transit, which the draft leaves to operators too,
//! and confederation segments, which no verifier outside can judge and which are passed over.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use siskin_bgp::attr::{AsPath, SegmentKind};
use siskin_net::{Asn, Role};
use smallvec::SmallVec;

use crate::Aspa;

/// All validated ASPA payloads, ready to be asked. A clone is the same table.
#[derive(Clone, Default)]
pub struct AspaTable {
    /// Customers, sorted, each with where its providers end in `providers`; they begin where the one before ends.
    customers: Arc<[(Asn, u32)]>,
    /// The providers of each customer, sorted.
    providers: Arc<[Asn]>,
}

/// Whether an AS said that another is its provider.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Attestation {
    Provider,
    NotProvider,
    /// It said nothing at all.
    None,
}

/// A step of a path: from a customer to the one that would have to be its provider.
#[derive(Clone, Copy, Debug)]
struct Hop {
    customer: Asn,
    provider: Asn,
}

/// How far a path can be followed from one of its ends, from customer to provider.
#[derive(Clone, Copy, Debug)]
struct Ramp {
    /// How many AS numbers at most: up to the first hop that is denied, and that hop.
    longest: usize,
    denied: Option<Hop>,
    /// How many for certain: up to the first hop that is not attested, and that hop.
    shortest: usize,
    open: Option<Hop>,
}

/// What a verification found.
#[derive(Clone, Copy, Debug)]
enum Finding {
    Valid,
    NoRole,
    Open(Hop),
    EmptyPath,
    AsSet,
    /// The path does not begin with the neighbor's AS number.
    Neighbor(Asn),
    /// A hop of the way up is denied; where the path may turn, so is one of the way down.
    Denied(Hop, Option<Hop>),
}

/// The AS numbers of a path, the neighbor's first, each once where it was prepended.
type Numbers = SmallVec<[Asn; 16]>;

impl AspaTable {
    /// A table of these records; several of one customer count as one with all their providers.
    #[must_use]
    pub fn new(records: impl IntoIterator<Item = siskin_net::Aspa>) -> AspaTable {
        let mut all: BTreeMap<Asn, Vec<Asn>> = BTreeMap::new();
        for record in records {
            all.entry(record.customer).or_default().extend(record.providers);
        }
        let (mut customers, mut providers) = (Vec::with_capacity(all.len()), Vec::new());
        for (customer, mut named) in all {
            named.sort_unstable();
            named.dedup();
            providers.extend(named);
            customers.push((customer, u32::try_from(providers.len()).unwrap_or(u32::MAX)));
        }
        AspaTable { customers: customers.into(), providers: providers.into() }
    }

    /// How many AS numbers have said who their providers are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.customers.len()
    }

    /// Whether nobody said anything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.customers.is_empty()
    }

    /// The state of a path learned from `neighbor`, which is `role` to us. Without a role, and for internal peers,
    /// nothing can be said.
    #[must_use]
    pub fn verify(&self, path: &AsPath, neighbor: Asn, role: Option<Role>) -> Aspa {
        match self.find(path, neighbor, role) {
            Finding::Valid => Aspa::Valid,
            Finding::NoRole | Finding::Open(_) => Aspa::Unknown,
            Finding::EmptyPath | Finding::AsSet | Finding::Neighbor(_) | Finding::Denied(..) => Aspa::Invalid,
        }
    }

    /// Why [`AspaTable::verify`] says what it says: `AS 64500 does not name AS 64501 as a provider`.
    #[must_use]
    pub fn detail(&self, path: &AsPath, neighbor: Asn, role: Option<Role>) -> String {
        match self.find(path, neighbor, role) {
            Finding::Valid => "every hop is attested".to_owned(),
            Finding::NoRole => "the peer has no role, so the direction is not known".to_owned(),
            Finding::Open(hop) => format!("AS {} has no ASPA record", hop.customer),
            Finding::EmptyPath => "the AS path is empty".to_owned(),
            Finding::AsSet => "the AS path has an AS_SET".to_owned(),
            Finding::Neighbor(first) => format!("the AS path begins with AS {first}, not with AS {neighbor}"),
            Finding::Denied(up, None) => up.to_string(),
            Finding::Denied(up, Some(down)) => format!("{up} and {down}"),
        }
    }

    fn find(&self, path: &AsPath, neighbor: Asn, role: Option<Role>) -> Finding {
        let Some(role) = role else { return Finding::NoRole };
        if path.segments().any(|(kind, _)| matches!(kind, SegmentKind::Set | SegmentKind::ConfedSet)) {
            return Finding::AsSet;
        }
        let numbers = collapsed(path);
        match numbers.first() {
            None => return Finding::EmptyPath,
            // A route server need not put its own number into the path.
            Some(first) if *first != neighbor && role != Role::RouteServer => {
                return Finding::Neighbor(*first);
            }
            Some(_) => {}
        }
        let up = self.ramp(numbers.windows(2).rev().filter_map(|pair| Hop::new(pair.last(), pair.first())));
        if role != Role::Provider {
            return match (up.denied, up.open) {
                (Some(denied), _) => Finding::Denied(denied, None),
                (None, Some(open)) => Finding::Open(open),
                (None, None) => Finding::Valid,
            };
        }
        let down = self.ramp(numbers.windows(2).filter_map(|pair| Hop::new(pair.first(), pair.last())));
        match (up.denied, up.open) {
            (Some(denied), _) if up.longest.saturating_add(down.longest) < numbers.len() => {
                Finding::Denied(denied, down.denied)
            }
            (_, Some(open)) if up.shortest.saturating_add(down.shortest) < numbers.len() => {
                // The hop that is open on the way up may be denied; then it is the way down that is not certain.
                Finding::Open(self.unattested(open, down.open))
            }
            _ => Finding::Valid,
        }
    }

    fn ramp(&self, hops: impl Iterator<Item = Hop>) -> Ramp {
        let mut ramp = Ramp { longest: 1, denied: None, shortest: 1, open: None };
        for hop in hops {
            let attestation = self.attestation(hop);
            if attestation != Attestation::Provider {
                ramp.open.get_or_insert(hop);
            }
            if attestation == Attestation::NotProvider {
                ramp.denied = Some(hop);
                return ramp;
            }
            ramp.longest = ramp.longest.saturating_add(1);
            if ramp.open.is_none() {
                ramp.shortest = ramp.longest;
            }
        }
        ramp
    }

    /// The first of two hops whose customer said nothing.
    fn unattested(&self, first: Hop, second: Option<Hop>) -> Hop {
        match second {
            Some(second) if self.attestation(first) == Attestation::NotProvider => second,
            _ => first,
        }
    }

    fn attestation(&self, hop: Hop) -> Attestation {
        let Ok(at) = self.customers.binary_search_by_key(&hop.customer, |(customer, _)| *customer) else {
            return Attestation::None;
        };
        let end =
            |at: Option<usize>| at.and_then(|at| self.customers.get(at)).map_or(0, |(_, end)| *end as usize);
        let providers = self.providers.get(end(at.checked_sub(1))..end(Some(at))).unwrap_or_default();
        match providers.binary_search(&hop.provider) {
            Ok(_) => Attestation::Provider,
            Err(_) => Attestation::NotProvider,
        }
    }
}

impl Hop {
    fn new(customer: Option<&Asn>, provider: Option<&Asn>) -> Option<Hop> {
        Some(Hop { customer: *customer?, provider: *provider? })
    }
}

impl fmt::Display for Hop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AS {} does not name AS {} as a provider", self.customer, self.provider)
    }
}

impl fmt::Debug for AspaTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AspaTable").field("customers", &self.len()).finish_non_exhaustive()
    }
}

fn collapsed(path: &AsPath) -> Numbers {
    let mut numbers = Numbers::new();
    for (_, asns) in path.segments().filter(|(kind, _)| !kind.is_confederation()) {
        numbers.extend(asns);
    }
    numbers.dedup();
    numbers
}

#[cfg(test)]
mod tests;
