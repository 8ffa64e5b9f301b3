//! The book as people and programs see it, and the operator's word on doubtful lists.

use std::collections::BTreeSet;
use std::time::{Instant, SystemTime};

use siskin_net::{Family, FamilyMap};

use super::{Book, Set};
use crate::list::{Data, List};
use crate::{
    AcceptError, Accepted, AcceptedList, Part, PeerStatus, Query, SetName, SetStatus, SetView, Status,
};

impl Book {
    /// How everything stands.
    pub(crate) fn status(&self, clock: SystemTime) -> Status {
        let rows = |(query, set): (&Query, &Set)| {
            let peers = self.users(&BTreeSet::from([query.clone()]));
            set.lists.iter().map(|(part, list)| row(query, *part, list, &peers, clock)).collect::<Vec<_>>()
        };
        Status {
            sets: self.sets.iter().flat_map(rows).collect(),
            peers: self
                .peers
                .keys()
                .filter_map(|name| Some((name.clone(), self.peer_status(name)?)))
                .collect(),
            peeringdb: self.networks.status(clock),
        }
    }

    /// `None`: there is no such peer, or it did not ask for sets.
    fn peer_status(&self, name: &str) -> Option<PeerStatus> {
        let peer = self.peers.get(name)?;
        let request = peer.request.sets.as_ref()?;
        let entries = FamilyMap::from_fn(|family| {
            peer.sent.as_ref().and_then(|lists| lists.prefixes[family].as_ref()).map(|list| list.len())
        });
        let names = |wishes: &[super::peer::Wish]| {
            wishes.iter().map(|wish| wish.name.to_string()).collect::<Vec<_>>()
        };
        let (wanted, in_force) = (names(&peer.wanted), names(&peer.active));
        let mut notes = peer.notes.clone();
        if !wanted.is_empty() && wanted != in_force {
            notes.push(format!(
                "{} stays in force until all lists of {} are there",
                in_force.join(", "),
                wanted.join(", ")
            ));
        }
        let imports_nothing: Vec<Family> =
            request.families.iter().filter(|f| entries[*f].is_none()).collect();
        Some(PeerStatus { asn: peer.request.asn, wanted, in_force, notes, entries, imports_nothing })
    }

    /// One set by its name, `SOURCE::NAME` included.
    pub(crate) fn view(&self, set: &str, clock: SystemTime) -> Option<SetView> {
        let name: SetName = set.parse().ok()?;
        let matches = |query: &&Query| query.name == name.name && query.source == name.source;
        let usual = |query: &&Query| query.sources == self.config.sources;
        let query =
            self.sets.keys().filter(matches).find(usual).or_else(|| self.sets.keys().find(matches))?;
        let lists = &self.sets.get(query)?.lists;
        let good = |part: Part| lists.get(&part).and_then(List::good);
        let fetched = lists.values().filter_map(List::good).map(|good| good.fetched).min();
        Some(SetView {
            name: written(query),
            sources: query.sources.clone(),
            prefixes: FamilyMap::from_fn(|family| match &good(Part::Prefixes(family))?.data {
                Data::Prefixes(list) => Some(list.clone()),
                Data::Members(_) => None,
            }),
            members: good(Part::Members).and_then(|good| match &good.data {
                Data::Members(list) => Some(list.clone()),
                Data::Prefixes(_) => None,
            }),
            age: fetched.map(|fetched| clock.duration_since(fetched).unwrap_or_default()),
            states: lists.iter().map(|(part, list)| (*part, list.state().clone())).collect(),
            peers: self.users(&BTreeSet::from([query.clone()])),
        })
    }

    /// Puts the doubtful lists of a peer in force.
    pub(crate) fn accept(&mut self, peer: &str, now: Instant) -> Result<Accepted, AcceptError> {
        let unknown = || AcceptError::UnknownPeer(peer.to_owned());
        let asked = self.peers.get(peer).filter(|peer| peer.request.sets.is_some()).ok_or_else(unknown)?;
        let parts: BTreeSet<Part> = asked.parts().collect();
        let queries: BTreeSet<Query> = asked.queries().cloned().collect();
        let mut lists = Vec::new();
        let mut changed = BTreeSet::new();
        for query in queries {
            let Some(set) = self.sets.get_mut(&query) else { continue };
            for (part, list) in set.lists.iter_mut().filter(|(part, _)| parts.contains(part)) {
                if let Some((from, to)) = list.accept() {
                    tracing::info!(set = %query, %part, from, to, "doubtful list accepted by the operator");
                    lists.push(AcceptedList { name: written(&query), part: *part, from, to });
                    changed.insert(query.clone());
                }
            }
        }
        if lists.is_empty() {
            return Err(AcceptError::Nothing(peer.to_owned()));
        }
        changed.iter().for_each(|query| self.touched(query, now));
        let also = self.users(&changed).into_iter().filter(|name| name != peer).collect();
        Ok(Accepted { lists, also })
    }

    /// The peers that use one of these sets.
    fn users(&self, queries: &BTreeSet<Query>) -> Vec<String> {
        let uses = |peer: &super::Peer| peer.queries().any(|query| queries.contains(query));
        self.peers.iter().filter(|(_, peer)| uses(peer)).map(|(name, _)| name.clone()).collect()
    }

    /// What a peer was sent; for the next one to share what did not change.
    pub(crate) fn sent(&mut self, peer: &str, lists: &std::sync::Arc<crate::PeerLists>) {
        if let Some(peer) = self.peers.get_mut(peer) {
            peer.sent = Some(lists.clone());
        }
    }
}

/// The set as it is written: `RIPE::AS-X`.
fn written(query: &Query) -> String {
    SetName { source: query.source.clone(), name: query.name.clone() }.to_string()
}

fn row(query: &Query, part: Part, list: &List, peers: &[String], clock: SystemTime) -> SetStatus {
    SetStatus {
        name: written(query),
        sources: query.sources.clone(),
        part,
        entries: list.good().map(|good| good.data.len()),
        offered: list.offered(),
        peers: peers.to_vec(),
        age: list.good().map(|good| clock.duration_since(good.fetched).unwrap_or_default()),
        last_attempt: list.last_attempt(),
        state: list.state().clone(),
    }
}
