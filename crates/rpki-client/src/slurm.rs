//! Local exceptions: SLURM files of version 1 (RFC 8416) and 2 (draft-ietf-sidrops-aspa-slurm).
//!
//! As RFC 8416 section 3.1 asks, whatever it does not define is an error, so that a misspelt member is told and not
//! ignored. BGPsec filters and assertions are read past: nothing here validates BGPsec. An ASPA assertion adds its
//! providers to those the caches name; a filter for the customer beside it makes it replace them.

use std::path::Path;

use hashbrown::{HashMap, HashSet};
use serde::Deserialize;
use serde::de::IgnoredAny;
use siskin_net::{Asn, Aspa, FamilyMap, Prefix, Vrp};

use crate::set::{Delta, Sets};

/// The longest file we read, in octets.
const MAX_FILE: u64 = 64 << 20;
/// The most filters, and the most assertions, a file may have.
const MAX_ENTRIES: usize = 1_000_000;

/// Why a file is no SLURM file.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SlurmError {
    /// It cannot be read.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// It is not the JSON that RFC 8416 describes; with line and column.
    #[error("{0}")]
    Json(#[from] serde_json::Error),
    /// What a JSON parser cannot see.
    #[error("{0}")]
    Rule(String),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RawFile {
    slurm_version: u8,
    #[serde(default)]
    validation_output_filters: RawFilters,
    #[serde(default)]
    locally_added_assertions: RawAssertions,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct RawFilters {
    prefix_filters: Vec<RawPrefixFilter>,
    #[serde(rename = "bgpsecFilters")]
    _bgpsec: Vec<IgnoredAny>,
    aspa_filters: Vec<RawAspaFilter>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct RawAssertions {
    prefix_assertions: Vec<RawPrefixAssertion>,
    #[serde(rename = "bgpsecAssertions")]
    _bgpsec: Vec<IgnoredAny>,
    aspa_assertions: Vec<RawAspaAssertion>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPrefixFilter {
    prefix: Option<Prefix>,
    asn: Option<Asn>,
    #[serde(rename = "comment", default)]
    _comment: IgnoredAny,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RawPrefixAssertion {
    prefix: Prefix,
    asn: Asn,
    max_prefix_length: Option<u8>,
    #[serde(rename = "comment", default)]
    _comment: IgnoredAny,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RawAspaFilter {
    // The draft's revisions differ in the name.
    #[serde(alias = "customerAsid")]
    customer_asn: Asn,
    #[serde(rename = "comment", default)]
    _comment: IgnoredAny,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RawAspaAssertion {
    #[serde(alias = "customerAsid")]
    customer_asn: Asn,
    #[serde(alias = "providerSet", alias = "providers")]
    provider_asns: Vec<Asn>,
    #[serde(rename = "comment", default)]
    _comment: IgnoredAny,
}

type Map<K, V> = HashMap<K, V, foldhash::fast::RandomState>;
type HashedSet<K> = HashSet<K, foldhash::fast::RandomState>;

/// The rules of one file. The default has none.
#[derive(Default)]
pub(crate) struct Slurm {
    /// Filters with a prefix; the AS, if they name one.
    prefixes: HashedSet<(Prefix, Option<Asn>)>,
    /// The lengths that filters with a prefix have, so that a look-up tries only those.
    lengths: FamilyMap<Vec<u8>>,
    /// Filters with an AS alone.
    asns: HashedSet<Asn>,
    /// Filters of customers.
    customers: HashedSet<Asn>,
    /// Assertions of VRPs.
    asserted: Sets,
    /// Assertions of ASPAs: one a customer, providers in order.
    aspas: Map<Asn, Vec<Asn>>,
    /// How many filters the file has.
    pub(crate) filters: usize,
    /// How many assertions the file has.
    pub(crate) assertions: usize,
}

impl Slurm {
    /// Reads a file.
    ///
    /// # Errors
    ///
    /// See [`SlurmError`].
    pub(crate) fn read(path: &Path) -> Result<Slurm, SlurmError> {
        use std::io::Read;
        let mut octets = Vec::new();
        std::fs::File::open(path)?.take(MAX_FILE + 1).read_to_end(&mut octets)?;
        if octets.len() as u64 > MAX_FILE {
            return Err(SlurmError::Rule(format!("the file is larger than {} MiB", MAX_FILE >> 20)));
        }
        Slurm::parse(&octets)
    }

    /// Reads the text of a file.
    ///
    /// # Errors
    ///
    /// See [`SlurmError`].
    pub(crate) fn parse(text: &[u8]) -> Result<Slurm, SlurmError> {
        let raw: RawFile = serde_json::from_slice(text)?;
        raw.check()?;
        let (filters, assertions) = (raw.validation_output_filters, raw.locally_added_assertions);
        let mut slurm = Slurm {
            filters: filters.prefix_filters.len() + filters.aspa_filters.len(),
            assertions: assertions.prefix_assertions.len() + assertions.aspa_assertions.len(),
            customers: filters.aspa_filters.iter().map(|f| f.customer_asn).collect(),
            ..Slurm::default()
        };
        for filter in filters.prefix_filters {
            slurm.filter(&filter)?;
        }
        let vrps: Result<Vec<Vrp>, SlurmError> =
            assertions.prefix_assertions.iter().map(RawPrefixAssertion::vrp).collect();
        slurm.asserted.apply(&Delta::of(&vrps?, &[]));
        for assertion in assertions.aspa_assertions {
            let providers = slurm.aspas.entry(assertion.customer_asn).or_default();
            providers.extend(assertion.provider_asns);
            providers.sort_unstable();
            providers.dedup();
        }
        Ok(slurm)
    }

    fn filter(&mut self, filter: &RawPrefixFilter) -> Result<(), SlurmError> {
        match (filter.prefix, filter.asn) {
            (Some(prefix), asn) => {
                self.prefixes.insert((prefix, asn));
                let lengths = &mut self.lengths[prefix.family()];
                if let Err(at) = lengths.binary_search(&prefix.len()) {
                    lengths.insert(at, prefix.len());
                }
            }
            (None, Some(asn)) => {
                self.asns.insert(asn);
            }
            (None, None) => {
                return Err(SlurmError::Rule("a prefix filter with neither a prefix nor an AS".into()));
            }
        }
        Ok(())
    }

    /// Whether a filter hides `vrp` (RFC 8416 section 3.3.1: the prefix is the filter's or lies within it, and the
    /// AS is the filter's, as far as the filter names them).
    pub(crate) fn hides(&self, vrp: Vrp) -> bool {
        if self.asns.contains(&vrp.asn) {
            return true;
        }
        let (family, bits) = (vrp.prefix.family(), vrp.prefix.bits());
        self.lengths[family].iter().take_while(|len| **len <= vrp.prefix.len()).any(|len| {
            let covering = Prefix::from_bits(family, bits, *len);
            self.prefixes.contains(&(covering, None)) || self.prefixes.contains(&(covering, Some(vrp.asn)))
        })
    }

    /// Whether no filter can hide a VRP.
    pub(crate) fn hides_nothing(&self) -> bool {
        self.prefixes.is_empty() && self.asns.is_empty()
    }

    /// The VRPs that stand whatever the caches say.
    pub(crate) fn asserted(&self) -> &Sets {
        &self.asserted
    }

    /// Whether a filter hides the ASPA of `customer`.
    pub(crate) fn hides_customer(&self, customer: Asn) -> bool {
        self.customers.contains(&customer)
    }

    /// The ASPAs that stand whatever the caches say.
    pub(crate) fn aspas(&self) -> impl Iterator<Item = Aspa> {
        self.aspas
            .iter()
            .map(|(customer, providers)| Aspa { customer: *customer, providers: providers.clone() })
    }
}

impl RawFile {
    /// What types cannot say.
    fn check(&self) -> Result<(), SlurmError> {
        let (filters, assertions) = (&self.validation_output_filters, &self.locally_added_assertions);
        match self.slurm_version {
            1 if !filters.aspa_filters.is_empty() || !assertions.aspa_assertions.is_empty() => {
                return Err(SlurmError::Rule("ASPA filters and assertions need slurmVersion 2".into()));
            }
            1 | 2 => {}
            other => {
                return Err(SlurmError::Rule(format!("slurmVersion is {other}; 1 and 2 are known")));
            }
        }
        let counts = [
            filters.prefix_filters.len(),
            filters.aspa_filters.len(),
            assertions.prefix_assertions.len(),
            assertions.aspa_assertions.len(),
        ];
        if counts.iter().any(|n| *n > MAX_ENTRIES) {
            return Err(SlurmError::Rule(format!("more than {MAX_ENTRIES} entries in one list")));
        }
        if let Some(empty) = assertions.aspa_assertions.iter().find(|a| a.provider_asns.is_empty()) {
            let customer = empty.customer_asn;
            return Err(SlurmError::Rule(format!(
                "the ASPA assertion of {customer} has no provider; [0] says that it has none"
            )));
        }
        Ok(())
    }
}

impl RawPrefixAssertion {
    fn vrp(&self) -> Result<Vrp, SlurmError> {
        let (len, max) = (self.prefix.len(), self.prefix.family().max_len());
        let max_len = self.max_prefix_length.unwrap_or(len);
        if max_len < len || max_len > max {
            return Err(SlurmError::Rule(format!(
                "maxPrefixLength of {} must be from {len} to {max}, not {max_len}",
                self.prefix
            )));
        }
        Ok(Vrp { prefix: self.prefix, max_len, asn: self.asn })
    }
}

/// The union of ASPAs: `all` may name a customer often; each gets one, in order, with the providers of all of them.
/// AS 0 ("no provider") yields to a provider that another source names.
pub(crate) fn unite(all: impl Iterator<Item = Aspa>) -> Vec<Aspa> {
    let mut all: Vec<Aspa> = all.collect();
    all.sort_unstable();
    let mut united: Vec<Aspa> = Vec::with_capacity(all.len());
    for aspa in all {
        match united.last_mut() {
            Some(last) if last.customer == aspa.customer => last.providers.extend(aspa.providers),
            _ => united.push(aspa),
        }
    }
    for aspa in &mut united {
        aspa.providers.sort_unstable();
        aspa.providers.dedup();
        if aspa.providers.len() > 1 {
            aspa.providers.retain(|p| *p != Asn(0));
        }
    }
    united
}

#[cfg(test)]
mod tests;
