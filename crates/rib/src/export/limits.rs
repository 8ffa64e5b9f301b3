//! The limit of prefixes sent: what is beyond it is held back until there is room again.

use siskin_net::Family;

use super::group::Group;
use super::groups::Groups;
use crate::import::LimitAction;
use crate::rib::{LimitEvent, LimitKind, LimitOf, RibEvent};
use crate::table::DestId;

impl Group {
    /// Whether the limit leaves no room for one more prefix.
    pub(super) fn is_full(&self, family: Family) -> bool {
        let limits = self.profile.limits[family];
        limits.action != LimitAction::Warn
            && limits.accepted.is_some_and(|limit| self.state[family].sent.count() >= u64::from(limit))
    }

    /// Looks again at what was held back, as far as there is room now; true if there was any.
    pub(super) fn release_held(&mut self, family: Family) -> bool {
        let limit = self.profile.limits[family].accepted.map_or(u64::MAX, u64::from);
        let state = &mut self.state[family];
        if state.held.is_empty() || !state.dirty.is_empty() {
            return false;
        }
        let mut room = limit.saturating_sub(state.sent.count());
        let mut at: DestId = 0;
        let mut released = false;
        while room > 0
            && let Some(dest) = state.held.next(at)
        {
            at = dest + 1;
            room -= 1;
            released = true;
            state.held.remove(dest);
            state.dirty.insert(dest);
        }
        released
    }

    fn limit_news(&mut self, family: Family) -> Option<LimitEvent> {
        let limits = self.profile.limits[family];
        let limit = limits.accepted?;
        let state = &mut self.state[family];
        let count = state.sent.count() + state.held.count() as u64;
        let over = count > u64::from(limit);
        let near = over || limits.is_near(count, limit);
        let kind = match (over, near) {
            (true, _) if !state.told.over => Some(LimitKind::Over),
            (false, true) if !state.told.near => Some(LimitKind::Near),
            (false, false) if state.told.near || state.told.over => Some(LimitKind::Below),
            _ => None,
        };
        (state.told.over, state.told.near) = (over, near);
        kind.map(|kind| LimitEvent { kind, of: LimitOf::Advertised, limit, count })
    }
}

impl Groups {
    /// Tells what is new about the limits of what is sent, once for each member.
    pub(crate) fn limit_news(&mut self, events: &mut Vec<RibEvent>) {
        for group in self.list_mut() {
            for family in Family::ALL {
                if let Some(limit) = group.limit_news(family) {
                    let members = group.members.iter();
                    events.extend(members.map(|m| RibEvent::Limit { peer: m.peer, family, limit }));
                }
            }
        }
    }
}
