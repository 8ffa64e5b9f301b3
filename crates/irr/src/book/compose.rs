//! From the lists of several sets to those of a peer. Unions of large lists take a while; this runs where it holds nobody up.

use std::sync::Arc;
use std::time::SystemTime;

use siskin_net::{Asn, FamilyMap, Prefix};

use crate::list::{Data, Good};
use crate::parse::sort;
use crate::{Part, PeerLists};

/// What a peer's lists are made of, at one moment.
#[derive(Debug)]
pub(crate) struct Snapshot {
    /// The peer.
    pub(crate) peer: String,
    label: String,
    prefixes: FamilyMap<Vec<Arc<[Prefix]>>>,
    members: Vec<Arc<[Asn]>>,
    fetched: Option<SystemTime>,
    sent: Option<Arc<PeerLists>>,
}

impl Snapshot {
    pub(super) fn new(peer: &str, label: String, sent: Option<Arc<PeerLists>>) -> Snapshot {
        Snapshot {
            peer: peer.to_owned(),
            label,
            prefixes: FamilyMap::default(),
            members: Vec::new(),
            fetched: None,
            sent,
        }
    }

    /// One list of one set; `None`: there is none yet, and the others count alone.
    pub(super) fn add(&mut self, part: Part, good: Option<&Good>) {
        let Some(good) = good else { return };
        match (part, &good.data) {
            (Part::Prefixes(family), Data::Prefixes(list)) => self.prefixes[family].push(list.clone()),
            (Part::Members, Data::Members(list)) => self.members.push(list.clone()),
            _ => return,
        }
        self.fetched = Some(self.fetched.map_or(good.fetched, |fetched| fetched.min(good.fetched)));
    }

    /// Puts the lists together. A list that is as it was sent before is the same one, not an equal one.
    pub(crate) fn compose(mut self) -> PeerLists {
        let sent = self.sent.take();
        let prefixes = FamilyMap::from_fn(|family| {
            let before = sent.as_ref().and_then(|lists| lists.prefixes[family].as_ref());
            union(std::mem::take(&mut self.prefixes[family]), before)
        });
        let before = sent.as_ref().and_then(|lists| lists.members.as_ref());
        PeerLists {
            label: self.label,
            prefixes,
            members: union(self.members, before),
            fetched: self.fetched.unwrap_or(SystemTime::UNIX_EPOCH),
        }
    }
}

/// The union of sorted lists, `None` of none. One list alone is shared, not copied.
fn union<T: Ord + Copy>(mut lists: Vec<Arc<[T]>>, before: Option<&Arc<[T]>>) -> Option<Arc<[T]>> {
    let list = if lists.len() <= 1 {
        lists.pop()?
    } else {
        let mut all: Vec<T> = Vec::with_capacity(lists.iter().map(|list| list.len()).sum());
        lists.iter().for_each(|list| all.extend_from_slice(list));
        sort(&mut all);
        all.into()
    };
    Some(before.filter(|before| **before == list).cloned().unwrap_or(list))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arc(numbers: &[u32]) -> Arc<[u32]> {
        numbers.into()
    }

    #[test]
    fn a_union_has_each_entry_once_and_one_list_is_shared() {
        let (a, b) = (arc(&[1, 3, 5]), arc(&[2, 3]));
        assert_eq!(union(vec![a.clone(), b], None).as_deref(), Some(&[1, 2, 3, 5][..]));
        assert!(union(vec![a.clone()], None).is_some_and(|u| Arc::ptr_eq(&u, &a)));
        assert_eq!(union::<u32>(vec![], None), None);
        assert_eq!(union(vec![arc(&[])], None).as_deref(), Some(&[][..]), "known to be empty is not unknown");
    }

    #[test]
    fn what_did_not_change_is_the_same_list() {
        let before = arc(&[1, 2, 3]);
        let same = union(vec![arc(&[1, 3]), arc(&[2])], Some(&before));
        assert!(same.is_some_and(|list| Arc::ptr_eq(&list, &before)));
    }
}
