//! What one answer of a cache brings: a whole set (to a Reset Query) or operations on the last one (to a Serial Query).
//! It is kept apart until End of Data, so that half an answer changes nothing, and within limits.

use std::collections::BTreeMap;

use siskin_net::{Asn, Family, Vrp};

use crate::entry::{Entry, V4, V6};
use crate::set::{Conflict, Delta, Set, Sets};

/// What one cache may send. The world has some 700,000 VRPs and a hundred ASPAs in 2025.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// VRPs in one answer, and in the set it makes.
    pub(crate) vrps: usize,
    /// Customers with an ASPA, counted likewise.
    pub(crate) aspas: usize,
    /// Providers of one customer.
    pub(crate) providers: usize,
    /// Providers of all customers.
    pub(crate) all_providers: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { vrps: 2_500_000, aspas: 200_000, providers: 10_000, all_providers: 2_000_000 }
    }
}

/// The ASPAs of one cache. The old form of the PDU has one for each family.
pub(crate) type Aspas = BTreeMap<(Asn, Option<Family>), Box<[Asn]>>;

/// All that one cache has said and not taken back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Data {
    /// VRPs.
    pub(crate) vrps: Sets,
    /// ASPAs.
    pub(crate) aspas: Aspas,
}

/// One operation on ASPAs: the providers, or `None` for a withdrawal.
type AspaOperation = ((Asn, Option<Family>), Option<Box<[Asn]>>);

#[derive(Debug)]
enum Content {
    /// A whole set has announcements alone.
    Full { v4: Vec<V4>, v6: Vec<V6> },
    /// Announcements (true) and withdrawals in the order of their coming.
    Delta { v4: Vec<(V4, bool)>, v6: Vec<(V6, bool)> },
}

/// An answer as it comes in.
#[derive(Debug)]
pub(crate) struct Payload {
    content: Content,
    aspas: Vec<AspaOperation>,
    vrps: usize,
    providers: usize,
    limits: Limits,
}

/// Why an answer cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    /// It does not fit what was there.
    #[error(transparent)]
    Conflict(#[from] Conflict),
    /// It is larger than a cache may send.
    #[error("more than {limit} {what}")]
    Limit {
        /// How many would have been right.
        limit: usize,
        /// Of what.
        what: &'static str,
    },
}

impl Payload {
    /// An empty answer, to a Reset Query if `full`.
    pub(crate) fn new(full: bool, limits: Limits) -> Payload {
        let content = if full {
            Content::Full { v4: Vec::new(), v6: Vec::new() }
        } else {
            Content::Delta { v4: Vec::new(), v6: Vec::new() }
        };
        Payload { content, aspas: Vec::new(), vrps: 0, providers: 0, limits }
    }

    /// Whether it is a whole set.
    pub(crate) fn is_full(&self) -> bool {
        matches!(self.content, Content::Full { .. })
    }

    /// Takes an IPv4 Prefix or IPv6 Prefix PDU.
    ///
    /// # Errors
    ///
    /// A withdrawal in a whole set, or one operation too many.
    pub(crate) fn vrp(&mut self, announce: bool, vrp: Vrp) -> Result<(), Refused> {
        self.vrps += 1;
        if self.vrps > self.limits.vrps {
            return Err(Refused::Limit { limit: self.limits.vrps, what: "VRPs in one answer" });
        }
        match (&mut self.content, vrp.prefix.family()) {
            (Content::Full { .. }, _) if !announce => return Err(Conflict::Unknown.into()),
            (Content::Full { v4, .. }, Family::Ipv4) => v4.push(V4::new(vrp)),
            (Content::Full { v6, .. }, Family::Ipv6) => v6.push(V6::new(vrp)),
            (Content::Delta { v4, .. }, Family::Ipv4) => v4.push((V4::new(vrp), announce)),
            (Content::Delta { v6, .. }, Family::Ipv6) => v6.push((V6::new(vrp), announce)),
        }
        Ok(())
    }

    /// Takes an ASPA PDU; `providers` is empty for a withdrawal.
    ///
    /// # Errors
    ///
    /// One operation too many.
    pub(crate) fn aspa(
        &mut self,
        customer: Asn,
        family: Option<Family>,
        providers: Option<Vec<Asn>>,
    ) -> Result<(), Refused> {
        let providers = providers.map(|mut p| {
            p.sort_unstable();
            p.dedup();
            p.into_boxed_slice()
        });
        self.providers += providers.as_ref().map_or(0, |p| p.len());
        if self.aspas.len() >= self.limits.aspas {
            return Err(Refused::Limit { limit: self.limits.aspas, what: "ASPAs in one answer" });
        }
        if self.providers > self.limits.all_providers {
            return Err(Refused::Limit { limit: self.limits.all_providers, what: "providers in one answer" });
        }
        self.aspas.push(((customer, family), providers));
        Ok(())
    }

    /// At End of Data: puts the answer in the place of `data`, or on top of it, and says what changed in its VRPs and
    /// whether its ASPAs did. A whole set that names a VRP twice is taken as if it named it once: nothing is in doubt.
    ///
    /// # Errors
    ///
    /// A delta that does not fit; `data` is then as it was.
    pub(crate) fn apply_to(self, data: &mut Option<Data>) -> Result<(Delta, bool), Refused> {
        let limits = self.limits;
        match self.content {
            Content::Full { v4, v6 } => {
                let vrps = Sets { v4: Set::from_unsorted(v4), v6: Set::from_unsorted(v6) };
                let mut aspas = Aspas::new();
                change(&mut aspas, self.aspas)?;
                let old = data.replace(Data { vrps, aspas }).unwrap_or_default();
                let new = data.as_ref().map_or(&old, |d| d);
                Ok((old.vrps.changes_to(&new.vrps), old.aspas != new.aspas))
            }
            Content::Delta { v4, v6 } => {
                let data = data.as_mut().ok_or(Conflict::NoBase)?;
                let delta = Delta { v4: data.vrps.v4.resolve(v4)?, v6: data.vrps.v6.resolve(v6)? };
                let size: usize = data.vrps.counts().iter().map(|(_, n)| n).sum();
                let (come, go) = delta.len();
                if size + come > limits.vrps + go {
                    return Err(Refused::Limit { limit: limits.vrps, what: "VRPs" });
                }
                let changed = !self.aspas.is_empty();
                if changed {
                    let mut aspas = data.aspas.clone();
                    change(&mut aspas, self.aspas)?;
                    let providers: usize = aspas.values().map(|p| p.len()).sum();
                    if aspas.len() > limits.aspas || providers > limits.all_providers {
                        return Err(Refused::Limit { limit: limits.aspas, what: "ASPAs or their providers" });
                    }
                    data.aspas = aspas;
                }
                data.vrps.apply(&delta);
                Ok((delta, changed))
            }
        }
    }
}

/// An announcement replaces, a withdrawal takes away.
fn change(aspas: &mut Aspas, operations: Vec<AspaOperation>) -> Result<(), Conflict> {
    for (key, providers) in operations {
        match providers {
            Some(providers) => {
                aspas.insert(key, providers);
            }
            None => {
                aspas.remove(&key).ok_or(Conflict::Unknown)?;
            }
        }
    }
    Ok(())
}
