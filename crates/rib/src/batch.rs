//! What goes from a peer's task (or a source of local routes) to the RIB thread: attribute sets already judged, encoded
//! and hashed, and runs of prefixes that share them.

use std::mem;
use std::sync::Arc;

use siskin_bgp::PathAttributes;
use siskin_bgp::wire::Update;
use siskin_net::{Family, PeerId, Prefix};
use siskin_policy::RuleId;

use crate::attrs::{Encoded, encode};
use crate::import::{Facts, ImportProfile, PolicyWord, SetVerdict};

/// What import made of a run of prefixes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Judged {
    /// Accepted, with the attributes of this set.
    Accepted(u32),
    /// Rejected by this rule.
    Rejected(RuleId),
}

/// What happens to the next `count` prefixes of a batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Operation {
    Announce {
        received: u32,
        judged: Judged,
        count: u32,
    },
    Withdraw {
        count: u32,
    },
    EndOfRib(Family),
    /// The family cannot be read any more (RFC 7606 section 7.11): all of the peer's routes in it go.
    Drop(Family),
}

/// An attribute set in a batch: where its bytes lie.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BatchSet {
    start: u32,
    len: u32,
    pub(crate) encoded: Encoded,
}

/// Changes of one peer's routes, in order.
#[derive(Debug)]
pub struct Batch {
    /// Whose routes.
    pub peer: PeerId,
    /// The generation of the [`ImportProfile`] that judged them.
    pub generation: u32,
    /// The generation of the [`Facts`](crate::Facts) that they were judged by.
    pub facts: u32,
    pub(crate) sets: Vec<BatchSet>,
    pub(crate) bytes: Vec<u8>,
    pub(crate) operations: Vec<Operation>,
    pub(crate) prefixes: Vec<Prefix>,
}

impl Batch {
    fn new(peer: PeerId, profile: &ImportProfile) -> Batch {
        let (generation, facts) = (profile.generation, profile.facts.generation);
        let (sets, bytes, operations, prefixes) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Batch { peer, generation, facts, sets, bytes, operations, prefixes }
    }

    /// The compact bytes of a set.
    pub(crate) fn set_bytes(&self, set: &BatchSet) -> &[u8] {
        &self.bytes[set.start as usize..][..set.len as usize]
    }

    /// How many prefixes are announced or withdrawn.
    #[must_use]
    pub fn len(&self) -> usize {
        self.prefixes.len()
    }

    /// Whether nothing happens in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.operations.is_empty()
    }
}

/// Collects changes of one peer's routes into a [`Batch`]; import runs here.
#[derive(Debug)]
pub struct BatchBuilder {
    profile: Arc<ImportProfile>,
    batch: Batch,
}

impl BatchBuilder {
    /// A builder for one peer's session, or one source of local routes.
    #[must_use]
    pub fn new(peer: PeerId, profile: Arc<ImportProfile>) -> BatchBuilder {
        let batch = Batch::new(peer, &profile);
        BatchBuilder { profile, batch }
    }

    /// How many prefixes the batch holds so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.batch.len()
    }

    /// Whether there is nothing to take.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.batch.is_empty()
    }

    /// From now on prefixes are judged by these facts. A batch that has begun counts as judged by the old ones.
    pub fn set_facts(&mut self, facts: Arc<Facts>) {
        self.profile = facts.given_to(&self.profile);
        if self.is_empty() {
            self.batch.facts = self.profile.facts.generation;
        }
    }

    /// What was collected; the builder goes on with an empty batch.
    pub fn take(&mut self) -> Batch {
        let next = Batch::new(self.batch.peer, &self.profile);
        mem::replace(&mut self.batch, next)
    }

    /// Adds a decoded UPDATE. Path identifiers are not looked at: a later path of a prefix replaces an earlier one.
    pub fn push(&mut self, mut update: Update) {
        for unreach in update.unreach {
            self.withdraw_all(&unreach.prefixes);
        }
        if let Some(attributes) = &mut update.attributes {
            for reach in &update.reach {
                attributes.next_hop = reach.next_hop;
                self.announce(attributes, &reach.prefixes);
            }
        }
        self.batch.operations.extend(update.disabled.iter().map(Operation::Drop));
        if let Some(family) = update.end_of_rib {
            self.end_of_rib(family);
        }
    }

    /// Announces a route of our own.
    pub fn announce_local(&mut self, prefix: Prefix, attributes: &PathAttributes) {
        self.announce(attributes, &[prefix]);
    }

    /// Withdraws one prefix.
    pub fn withdraw(&mut self, prefix: Prefix) {
        self.withdraw_all(&[prefix]);
    }

    /// The source has announced all it has.
    pub fn end_of_rib(&mut self, family: Family) {
        self.batch.operations.push(Operation::EndOfRib(family));
    }

    fn withdraw_all(&mut self, prefixes: &[Prefix]) {
        let added = count(prefixes);
        if added == 0 {
            return;
        }
        self.batch.prefixes.extend_from_slice(prefixes);
        match self.batch.operations.last_mut() {
            Some(Operation::Withdraw { count }) => *count += added,
            _ => self.batch.operations.push(Operation::Withdraw { count: added }),
        }
    }

    fn announce(&mut self, attributes: &PathAttributes, prefixes: &[Prefix]) {
        if prefixes.is_empty() {
            return;
        }
        let profile = self.profile.clone();
        let received = self.add_set(attributes);
        let verdict = profile.judge(attributes);
        // Encoded once for all prefixes, where the policy does not look at them.
        let whole = match &verdict {
            SetVerdict::Passed { word: PolicyWord::Accepts(_), attributes: accepted, .. } => {
                Some(if **accepted == *attributes { received } else { self.add_set(accepted) })
            }
            _ => None,
        };
        let mut latest = Accepted { set: received, attributes: None };
        for prefix in prefixes {
            let judged = match (profile.judge_prefix(&verdict, *prefix), whole) {
                ((Err(()), rule), _) => Judged::Rejected(rule),
                ((Ok(_), _), Some(set)) => Judged::Accepted(set),
                ((Ok(accepted), _), None) => {
                    latest = self.accepted_set(latest, received, attributes, &accepted);
                    Judged::Accepted(latest.set)
                }
            };
            self.add_prefix(received, judged, *prefix);
        }
    }

    /// The set of accepted attributes: the received one, the one of the prefix before, or a new one.
    fn accepted_set(
        &mut self,
        latest: Accepted,
        received: u32,
        original: &PathAttributes,
        accepted: &PathAttributes,
    ) -> Accepted {
        if accepted == original {
            return Accepted { set: received, ..latest };
        }
        match latest.attributes {
            Some((set, attributes)) if *attributes == *accepted => {
                Accepted { set, attributes: Some((set, attributes)) }
            }
            _ => {
                let set = self.add_set(accepted);
                Accepted { set, attributes: Some((set, Box::new(accepted.clone()))) }
            }
        }
    }

    fn add_set(&mut self, attributes: &PathAttributes) -> u32 {
        let start = self.batch.bytes.len();
        let encoded = encode(attributes, self.profile.hash_seed, &mut self.batch.bytes);
        let len = self.batch.bytes.len() - start;
        let narrow = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        self.batch.sets.push(BatchSet { start: narrow(start), len: narrow(len), encoded });
        narrow(self.batch.sets.len() - 1)
    }

    #[inline]
    fn add_prefix(&mut self, set: u32, verdict: Judged, prefix: Prefix) {
        self.batch.prefixes.push(prefix);
        match self.batch.operations.last_mut() {
            Some(Operation::Announce { received, judged, count })
                if *received == set && *judged == verdict =>
            {
                *count += 1;
            }
            _ => {
                self.batch.operations.push(Operation::Announce { received: set, judged: verdict, count: 1 });
            }
        }
    }
}

/// The accepted set of the prefix before.
struct Accepted {
    set: u32,
    /// The last set that differs from the received one, with its value.
    attributes: Option<(u32, Box<PathAttributes>)>,
}

fn count(prefixes: &[Prefix]) -> u32 {
    u32::try_from(prefixes.len()).unwrap_or(u32::MAX)
}
