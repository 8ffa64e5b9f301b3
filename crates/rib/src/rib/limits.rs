//! Prefix limits: what is told about them, and when paths that they kept out are looked at again. They are enforced where
//! paths are stored (`apply`).

use siskin_net::{Family, PeerId};

use super::Rib;
use super::event::{LimitEvent, LimitKind, LimitOf, RibEvent};
use crate::import::{LimitAction, PrefixLimits};
use crate::peers::PathCounts;

/// How one limit stands.
#[derive(Clone, Copy)]
struct Standing {
    of: LimitOf,
    limit: u32,
    count: u64,
    over: bool,
}

impl Standing {
    fn all(limits: PrefixLimits, counts: &PathCounts) -> impl Iterator<Item = Standing> {
        let warns = limits.action == LimitAction::Warn;
        let received = limits.received.map(|limit| {
            let over = if warns { counts.received > u64::from(limit) } else { counts.refused > 0 };
            Standing { of: LimitOf::Received, limit, count: counts.received + counts.refused, over }
        });
        let accepted = limits.accepted.map(|limit| {
            let over = if warns { counts.accepted > u64::from(limit) } else { counts.blocked > 0 };
            Standing { of: LimitOf::Accepted, limit, count: counts.accepted + counts.blocked, over }
        });
        received.into_iter().chain(accepted)
    }

    fn event(self, kind: LimitKind) -> LimitEvent {
        let Standing { of, limit, count, .. } = self;
        LimitEvent { kind, of, limit, count }
    }
}

impl Rib {
    /// Tells what is new about the limits of a peer.
    pub(super) fn check_limits(&mut self, id: PeerId) {
        let Some(peer) = self.peers.get_mut(id).filter(|peer| peer.up) else { return };
        for family in Family::ALL {
            let limits = peer.info.import.limits[family];
            let counts = &mut peer.counts[family];
            let told = &mut peer.limits_told[family];
            let standings = || Standing::all(limits, counts);
            let over = standings().find(|s| s.over);
            let near = standings().find(|s| limits.is_near(s.count, s.limit));
            let news = match (over, near) {
                (Some(standing), _) if !told.over => Some(standing.event(LimitKind::Over)),
                (None, Some(standing)) if !told.near => Some(standing.event(LimitKind::Near)),
                (None, None) if told.near || told.over => {
                    standings().next().map(|standing| standing.event(LimitKind::Below))
                }
                _ => None,
            };
            (told.over, told.near) = (over.is_some(), over.is_some() || near.is_some());
            self.events.extend(news.map(|limit| RibEvent::Limit { peer: id, family, limit }));
            if limits.action == LimitAction::End {
                continue;
            }
            let fits =
                |limit: Option<u32>| limit.is_none_or(|l| counts.accepted + counts.blocked <= u64::from(l));
            if counts.blocked > 0 && fits(limits.accepted) {
                self.walks.waiting().judge.insert(id.0.into());
            }
            let roomy = limits.received.is_none_or(|limit| !limits.is_near(counts.received, limit));
            if counts.refused > 0 && roomy {
                let (limit, count) = (limits.received.unwrap_or(u32::MAX), counts.received);
                let limit = LimitEvent { kind: LimitKind::Room, of: LimitOf::Received, limit, count };
                counts.refused = 0;
                self.events.push(RibEvent::Limit { peer: id, family, limit });
            }
        }
    }

    /// As [`Rib::check_limits`], for everybody.
    pub(super) fn check_all_limits(&mut self) {
        let ids: Vec<PeerId> = self.peers.iter().map(|(id, _)| id).collect();
        ids.into_iter().for_each(|id| self.check_limits(id));
    }
}
