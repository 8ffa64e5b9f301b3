//! The union of what all sources say, under the local exceptions, as changes against what was given out before.
//!
//! No union is stored: a source's change counts where no other source has the VRP, which a binary search in each of
//! them tells. Changes wait in `pending` for whoever takes them; a change and its contrary cancel, so that a slow
//! taker costs at most the difference between what he has and what there is.

use std::collections::BTreeMap;
use std::sync::Arc;

use siskin_net::{Aspa, FamilyMap, Timestamp, Vrp};

use crate::entry::{Entry, V4, V6};
use crate::payload::{Data, Payload, Refused};
use crate::set::{Delta, Set, Sets};
use crate::slurm::{Slurm, unite};

/// Who says something.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Source {
    /// The file of the last good union.
    Persisted,
    /// A cache, by its name.
    Cache(String),
}

/// What one source says, and until when it counts.
#[derive(Debug)]
struct Said {
    data: Data,
    expires: Timestamp,
}

/// The changes that one taker gets.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    /// Of the VRPs.
    pub(crate) delta: Delta,
    /// All ASPAs, if they changed.
    pub(crate) aspas: Option<Arc<[Aspa]>>,
}

/// All sources, the exceptions, and what has not been taken yet.
#[derive(Default)]
pub(crate) struct Union {
    sources: BTreeMap<Source, Said>,
    slurm: Slurm,
    pending: Delta,
    counts: FamilyMap<usize>,
    aspas: Arc<[Aspa]>,
    aspas_pending: bool,
    /// Counts the changes of the union before exceptions: what is worth writing to disk.
    changes: u64,
}

impl Union {
    /// Puts an answer of `source` in the place of, or on top of, what it said before. Says whether anything changed
    /// in what it says.
    ///
    /// # Errors
    ///
    /// As [`Payload::apply_to`]; what the source said before stands.
    pub(crate) fn apply(
        &mut self,
        source: &Source,
        payload: Payload,
        expires: Timestamp,
    ) -> Result<bool, Refused> {
        let mut data = self.sources.remove(source).map(|said| (said.data, said.expires)).unzip();
        let applied = payload.apply_to(&mut data.0);
        let until = if applied.is_ok() { Some(expires) } else { data.1 };
        if let (Some(data), Some(expires)) = (data.0, until) {
            self.sources.insert(source.clone(), Said { data, expires });
        }
        let (delta, aspas) = applied?;
        Ok(self.changed(source, delta, aspas))
    }

    /// Takes in a whole set at once, in the place of what `source` said before.
    pub(crate) fn replace(&mut self, source: Source, data: Data, expires: Timestamp) {
        let old = self.sources.remove(&source).map(|said| said.data).unwrap_or_default();
        let delta = old.vrps.changes_to(&data.vrps);
        let aspas = old.aspas != data.aspas;
        self.sources.insert(source.clone(), Said { data, expires });
        self.changed(&source, delta, aspas);
    }

    /// Forgets what `source` said.
    pub(crate) fn remove(&mut self, source: &Source) {
        let Some(said) = self.sources.remove(source) else { return };
        let delta = said.data.vrps.changes_to(&Sets::default());
        self.changed(source, delta, !said.data.aspas.is_empty());
    }

    /// Lets `source` expire at `at`, if it would later.
    pub(crate) fn shorten(&mut self, source: &Source, at: Timestamp) {
        if let Some(said) = self.sources.get_mut(source) {
            said.expires = said.expires.min(at);
        }
    }

    /// When the first source expires that has not yet.
    pub(crate) fn next_expiry(&self) -> Option<Timestamp> {
        self.sources.values().map(|said| said.expires).min()
    }

    /// Forgets the sources whose time is over, and names them.
    pub(crate) fn expire(&mut self, now: Timestamp) -> Vec<Source> {
        let late = self.sources.iter().filter(|(_, said)| said.expires <= now);
        let late: Vec<Source> = late.map(|(source, _)| source.clone()).collect();
        late.iter().for_each(|source| self.remove(source));
        late
    }

    /// What `source` says now; `None`: nothing, not even an empty set.
    pub(crate) fn said(&self, source: &Source) -> Option<&Data> {
        self.sources.get(source).map(|said| &said.data)
    }

    /// How many VRPs have been given out or wait for it.
    pub(crate) fn counts(&self) -> FamilyMap<usize> {
        self.counts
    }

    /// The ASPAs, exceptions applied.
    pub(crate) fn aspas(&self) -> &Arc<[Aspa]> {
        &self.aspas
    }

    /// A number that grows with every change of the union before exceptions.
    pub(crate) fn changes(&self) -> u64 {
        self.changes
    }

    /// The exceptions in force.
    pub(crate) fn slurm(&self) -> &Slurm {
        &self.slurm
    }

    /// Whether something waits to be taken.
    pub(crate) fn has_pending(&self) -> bool {
        self.aspas_pending || !self.pending.is_empty()
    }

    /// Gives out what changed since the last call.
    pub(crate) fn take(&mut self) -> Taken {
        let aspas = std::mem::take(&mut self.aspas_pending).then(|| self.aspas.clone());
        Taken { delta: std::mem::take(&mut self.pending), aspas }
    }

    /// A change of one source becomes one of the union, and that one of what is given out. Says whether the union
    /// changed.
    fn changed(&mut self, source: &Source, mut delta: Delta, aspas: bool) -> bool {
        for (other, said) in &self.sources {
            if other != source {
                delta = said.data.vrps.hide(delta);
            }
        }
        let changed = !delta.is_empty() || aspas;
        self.changes += u64::from(changed);
        if !self.slurm.hides_nothing() {
            delta.retain(|vrp| !self.slurm.hides(vrp));
        }
        self.give(self.slurm.asserted().hide(delta));
        if aspas {
            self.unite_aspas();
        }
        changed
    }

    fn give(&mut self, delta: Delta) {
        delta.count(&mut self.counts);
        self.pending.then(delta);
    }

    fn unite_aspas(&mut self) {
        let said = self.all_aspas().filter(|aspa| !self.slurm.hides_customer(aspa.customer));
        let united: Arc<[Aspa]> = unite(said.chain(self.slurm.aspas())).into();
        if united != self.aspas {
            self.aspas = united;
            self.aspas_pending = true;
        }
    }

    fn all_aspas(&self) -> impl Iterator<Item = Aspa> {
        self.sources
            .values()
            .flat_map(|said| &said.data.aspas)
            .map(|((customer, _), providers)| Aspa { customer: *customer, providers: providers.to_vec() })
    }

    /// Puts other exceptions in force.
    pub(crate) fn set_slurm(&mut self, slurm: Slurm) {
        let old = std::mem::replace(&mut self.slurm, slurm);
        let (mut announced, mut withdrawn) = (Vec::new(), Vec::new());
        let given = |slurm: &Slurm, vrp| slurm.asserted().contains(vrp) || !slurm.hides(vrp);
        let filters = !(old.hides_nothing() && self.slurm.hides_nothing());
        if filters {
            self.for_each(|vrp| match (given(&old, vrp), given(&self.slurm, vrp)) {
                (false, true) => announced.push(vrp),
                (true, false) => withdrawn.push(vrp),
                _ => {}
            });
        }
        let assertions = old.asserted().changes_to(self.slurm.asserted());
        let (more, less) = assertions.into_vrps();
        let said = |vrp: &Vrp| self.sources.values().any(|said| said.data.vrps.contains(*vrp));
        announced.extend(more.into_iter().filter(|vrp| !said(vrp)));
        withdrawn.extend(less.into_iter().filter(|vrp| !said(vrp)));
        self.give(Delta::of(&announced, &withdrawn));
        self.unite_aspas();
    }

    /// Calls `visit` with each VRP of the union before exceptions, once, in no order.
    fn for_each(&self, mut visit: impl FnMut(Vrp)) {
        self.distinct(|sets| &sets.v4, |e: V4| visit(e.vrp()));
        self.distinct(|sets| &sets.v6, |e: V6| visit(e.vrp()));
    }

    fn distinct<E: Entry>(&self, table: impl Fn(&Sets) -> &Set<E>, mut visit: impl FnMut(E)) {
        let tables: Vec<&Set<E>> = self.sources.values().map(|said| table(&said.data.vrps)).collect();
        for (index, set) in tables.iter().enumerate() {
            let earlier = tables.get(..index).unwrap_or_default();
            set.iter().filter(|e| !earlier.iter().any(|t| t.contains(*e))).for_each(&mut visit);
        }
    }

    /// The union before exceptions as one source could say it: what goes to disk.
    pub(crate) fn snapshot(&self) -> Data {
        fn all<E: Entry>(union: &Union, table: impl Fn(&Sets) -> &Set<E>) -> Set<E> {
            let longest = union.sources.values().map(|said| table(&said.data.vrps).len()).max().unwrap_or(0);
            let mut entries = Vec::with_capacity(longest);
            union.distinct(table, |e| entries.push(e));
            Set::from_unsorted(entries)
        }
        let united = unite(self.all_aspas());
        let aspas = united.into_iter().map(|a| ((a.customer, None), a.providers.into_boxed_slice()));
        Data { vrps: Sets { v4: all(self, |s| &s.v4), v6: all(self, |s| &s.v6) }, aspas: aspas.collect() }
    }
}

#[cfg(test)]
mod tests;
