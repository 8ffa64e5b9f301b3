//! One peer: what it asked for, which sets that means now, and which of them are in force.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Networks, Snapshot};
use crate::book::networks::Known;
use crate::list::List;
use crate::{Config, Names, NetRecord, Part, PeerLists, PeerRequest, Query, SetName, from_peeringdb};

/// A peer.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) request: PeerRequest,
    /// What it should have.
    pub(super) wanted: Vec<Wish>,
    /// What is in force; differs from `wanted` only until that has lists.
    pub(super) active: Vec<Wish>,
    /// What people should know.
    pub(super) notes: Vec<String>,
    /// Whether its lists are to be sent.
    pub(super) changed: bool,
    /// What was sent last.
    pub(super) sent: Option<Arc<PeerLists>>,
    record_sent: Option<NetRecord>,
}

/// A set as it was named, and as it is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wish {
    pub(super) name: SetName,
    pub(super) query: Query,
}

impl Peer {
    pub(super) fn new(request: PeerRequest) -> Peer {
        Peer {
            request,
            wanted: Vec::new(),
            active: Vec::new(),
            notes: Vec::new(),
            changed: true,
            sent: None,
            record_sent: None,
        }
    }

    /// Takes another request. What is in force stays until the new sets have lists.
    pub(super) fn change(&mut self, request: PeerRequest) {
        if self.request == request {
            return;
        }
        if self.request.asn != request.asn || request.sets.is_none() {
            *self = Peer::new(request); // Another network: the old one's lists are of no use.
            return;
        }
        if !self.request.peeringdb {
            self.record_sent = None;
        }
        self.request = request;
        self.changed = true;
    }

    /// Whether its PeeringDB record is needed.
    pub(super) fn wants_record(&self) -> bool {
        self.request.peeringdb || self.request.sets.as_ref().is_some_and(|sets| sets.names == Names::Auto)
    }

    /// The parts it wants of each set.
    pub(super) fn parts(&self) -> impl Iterator<Item = Part> {
        let wanted = self.request.sets.as_ref().map(|sets| (sets.families, sets.members));
        Part::ALL.into_iter().filter(move |part| match (part, wanted) {
            (_, None) => false,
            (Part::Prefixes(family), Some((families, _))) => families.contains(*family),
            (Part::Members, Some((_, members))) => members,
        })
    }

    /// The sets in force and the wanted ones; a set may come twice.
    pub(super) fn queries(&self) -> impl Iterator<Item = &Query> {
        self.active.iter().chain(&self.wanted).map(|wish| &wish.query)
    }

    /// Works out which sets are wanted.
    pub(super) fn resolve(&mut self, config: &Config, networks: &Networks) {
        self.notes.clear();
        self.wanted.clear();
        let Some(sets) = &self.request.sets else { return };
        let names = match &sets.names {
            Names::Sets(names) => names.clone(),
            Names::Auto => automatic(&self.request, networks, &mut self.notes),
        };
        for name in names {
            let sources = sets.sources.as_ref().unwrap_or(&config.sources);
            let sources = sources.iter().map(|s| s.to_ascii_uppercase()).collect();
            let source = name.source.as_ref().map(|s| s.to_ascii_uppercase());
            let query = Query { name: name.name.to_ascii_uppercase(), source, sources };
            if self.wanted.iter().all(|wish| wish.query != query) {
                self.wanted.push(Wish { name, query });
            }
        }
    }

    /// Puts the wanted sets in force if nothing is, or if all of their lists are there (`has`).
    pub(super) fn promote(&mut self, has: impl Fn(&Query, Part) -> bool) {
        if self.request.sets.is_none() || self.wanted == self.active || self.wanted.is_empty() {
            return;
        }
        let whole = self.wanted.iter().all(|wish| self.parts().all(|part| has(&wish.query, part)));
        if self.active.is_empty() || whole {
            self.active.clone_from(&self.wanted);
            self.changed = true;
        }
    }

    /// What to put together for it, if it is to be told something and the disk was asked for all of it.
    pub(super) fn snapshot<'a>(
        &mut self,
        name: &str,
        lists: impl Fn(&Query) -> Option<&'a BTreeMap<Part, List>>,
    ) -> Option<Snapshot> {
        let loaded = |query| lists(query).is_some_and(|lists| lists.values().all(|list| list.loaded));
        if !self.changed || self.request.sets.is_none() || !self.queries().all(loaded) {
            return None;
        }
        self.changed = false;
        let mut snapshot = Snapshot::new(name, self.label(), self.sent.clone());
        for wish in &self.active {
            for part in self.parts() {
                let good = lists(&wish.query).and_then(|lists| lists.get(&part)).and_then(List::good);
                snapshot.add(part, good);
            }
        }
        Some(snapshot)
    }

    /// Its record, if it wants it and was not sent this one yet.
    pub(super) fn new_record(&mut self, networks: &Networks) -> Option<NetRecord> {
        let record = networks.record(self.request.asn).filter(|_| self.request.peeringdb)?;
        if self.record_sent.as_ref() == Some(record) {
            return None;
        }
        self.record_sent = Some(record.clone());
        self.record_sent.clone()
    }

    /// The sets in force, for people.
    fn label(&self) -> String {
        if self.active.is_empty() {
            return format!("the as-set of AS{} in PeeringDB", self.request.asn);
        }
        let names: Vec<String> = self.active.iter().map(|wish| wish.name.to_string()).collect();
        names.join(", ")
    }
}

/// The sets that PeeringDB names for the peer, and remarks.
fn automatic(request: &PeerRequest, networks: &Networks, notes: &mut Vec<String>) -> Vec<SetName> {
    let itself = SetName::of_asn(request.asn);
    match networks.known(request.asn) {
        Known::Record(record) => {
            let (sets, ignored) = from_peeringdb(&record.irr_as_set);
            if !ignored.is_empty() {
                notes.push(format!("PeeringDB's as-set holds words that are none: {}", ignored.join(" ")));
            }
            if sets.is_empty() {
                notes.push(format!("PeeringDB names no as-set: {itself} itself is used"));
                return vec![itself];
            }
            sets
        }
        Known::Absent => {
            notes.push(format!("no PeeringDB record: {itself} itself is used"));
            vec![itself]
        }
        Known::Unknown(reason) => {
            notes.push(format!("its PeeringDB record is not known ({reason}): it imports nothing"));
            Vec::new()
        }
    }
}
