//! What the stand-in knows: sets and route objects of several sources, and how it resolves them.

use std::collections::{BTreeMap, BTreeSet};

use siskin_net::{Asn, Family, Prefix};

use crate::{Error, Result};

/// Sets and route objects, by source.
#[derive(Clone, Debug, Default)]
pub struct Registry {
    /// Sources in the order of their first mention, which is their priority.
    sources: Vec<String>,
    /// Members of sets, by name and source. Route-sets have prefixes among them.
    sets: BTreeMap<String, BTreeMap<String, Vec<String>>>,
    /// Prefixes of route objects, by origin and source.
    routes: BTreeMap<u32, BTreeMap<String, Vec<Prefix>>>,
}

impl Registry {
    /// Reads lines: `source RIPE` (for what follows), `set AS-X AS112 AS-NESTED`, `route AS112 192.0.2.0/24 …`; `#` begins a
    /// remark.
    ///
    /// # Errors
    /// A line that is none of these, with its number.
    pub fn read(text: &str) -> Result<Registry> {
        let mut registry = Registry::default();
        let mut source = "RIPE".to_owned();
        for (number, line) in text.lines().enumerate() {
            let line = line.split('#').next().unwrap_or_default();
            let words: Vec<&str> = line.split_whitespace().collect();
            let wrong = || Error::new(format!("line {}: {line:?} is no source, set or route", number + 1));
            match words.as_slice() {
                [] => {}
                ["source", name] => source = (*name).to_owned(),
                ["set", name, members @ ..] => registry.set(&source, name, members),
                ["route", origin, prefixes @ ..] => {
                    let origin: Asn = origin.parse().map_err(|_| wrong())?;
                    for prefix in prefixes {
                        registry.route(&source, origin.0, prefix.parse().map_err(|_| wrong())?);
                    }
                }
                _ => return Err(wrong()),
            }
        }
        Ok(registry)
    }

    /// Adds or replaces a set.
    pub fn set(&mut self, source: &str, name: &str, members: &[&str]) {
        self.know(source);
        let members = members.iter().map(|member| member.to_ascii_uppercase()).collect();
        self.sets.entry(name.to_ascii_uppercase()).or_default().insert(source.to_owned(), members);
    }

    /// Removes a set from every source.
    pub fn remove_set(&mut self, name: &str) {
        self.sets.remove(&name.to_ascii_uppercase());
    }

    /// Adds a route object.
    pub fn route(&mut self, source: &str, origin: u32, prefix: Prefix) {
        self.know(source);
        self.routes.entry(origin).or_default().entry(source.to_owned()).or_default().push(prefix);
    }

    /// Removes all route objects of an origin.
    pub fn remove_routes(&mut self, origin: u32) {
        self.routes.remove(&origin);
    }

    fn know(&mut self, source: &str) {
        if !self.sources.iter().any(|known| known == source) {
            self.sources.push(source.to_owned());
        }
    }

    pub(super) fn sources(&self) -> Vec<String> {
        self.sources.clone()
    }

    /// The sources of a list; `None` if one is not known.
    pub(super) fn choose(&self, list: &str) -> Option<Vec<String>> {
        let chosen: Vec<String> = list.split(',').map(str::to_ascii_uppercase).collect();
        chosen.iter().all(|source| self.sources.contains(source)).then_some(chosen)
    }

    /// The prefixes of an origin (`AS112`, `as112`), without doubles, as `!g` and `!6` say them.
    pub(super) fn routes(&self, sources: &[String], origin: &str, family: Family) -> Vec<String> {
        let Ok(Asn(origin)) = origin.to_ascii_uppercase().parse() else { return Vec::new() };
        self.of_origin(sources, origin, family).map(|prefix| prefix.to_string()).collect()
    }

    fn of_origin<'a>(
        &'a self,
        sources: &'a [String],
        origin: u32,
        family: Family,
    ) -> impl Iterator<Item = Prefix> + 'a {
        let by_source = self.routes.get(&origin);
        let prefixes: BTreeSet<Prefix> = sources
            .iter()
            .filter_map(|source| by_source?.get(source))
            .flatten()
            .copied()
            .filter(|prefix| prefix.family() == family)
            .collect();
        prefixes.into_iter()
    }

    /// The members of a set: in the first source that has it; with `deep`, resolved down to AS numbers and prefixes.
    pub(super) fn members(&self, sources: &[String], set: &str, deep: bool) -> Vec<String> {
        let set = set.to_ascii_uppercase();
        if !deep {
            return self.direct(sources, &set).map(<[String]>::to_vec).unwrap_or_default();
        }
        let mut seen = BTreeSet::from([set.clone()]);
        let mut open = vec![set];
        let mut found = BTreeSet::new();
        while let Some(set) = open.pop() {
            for member in self.direct(sources, &set).unwrap_or_default() {
                if member.contains('/') || member.parse::<Asn>().is_ok() {
                    found.insert(member.clone());
                } else if seen.insert(member.clone()) {
                    open.push(member.clone());
                }
            }
        }
        found.into_iter().collect()
    }

    fn direct(&self, sources: &[String], set: &str) -> Option<&[String]> {
        let by_source = self.sets.get(set)?;
        sources.iter().find_map(|source| by_source.get(source)).map(Vec::as_slice)
    }

    /// The prefixes that a set leads to.
    pub(super) fn resolve(&self, sources: &[String], set: &str, families: &[Family]) -> Vec<String> {
        let mut prefixes = BTreeSet::new();
        for member in self.members(sources, set, true) {
            match (member.parse::<Asn>(), member.parse::<Prefix>()) {
                (Ok(Asn(origin)), _) => {
                    prefixes
                        .extend(families.iter().flat_map(|family| self.of_origin(sources, origin, *family)));
                }
                (_, Ok(prefix)) if families.contains(&prefix.family()) => {
                    prefixes.insert(prefix);
                }
                _ => {}
            }
        }
        prefixes.iter().map(ToString::to_string).collect()
    }
}
