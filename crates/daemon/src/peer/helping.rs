//! How long a peer that restarts is helped (RFC 4724 section 4.2): its routes stay until it is back and has sent its table
//! again, at most for the time it asked for, and for the time the configuration allows.

use std::time::Duration;

use siskin_bgp::wire::GracefulRestart;
use siskin_net::{FamilySet, Timestamp};

/// A peer whose routes are kept as stale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Helping {
    /// Families with stale routes.
    families: FamilySet,
    /// The session is to be back by then; `None`: it is.
    back_by: Option<Timestamp>,
    /// The whole table is to be here by then.
    until: Timestamp,
}

impl Helping {
    /// The session was lost: `restart_time` is what the peer asked for, in seconds, `stale` what we allow.
    pub(super) fn begin(families: FamilySet, restart_time: u16, stale: Duration, now: Timestamp) -> Helping {
        let until = now + stale;
        let back_by = Some(until.min(now + Duration::from_secs(restart_time.into())));
        Helping { families, back_by, until }
    }

    /// When [`Helping::expired`] is to be asked.
    pub(super) fn deadline(&self) -> Timestamp {
        self.back_by.unwrap_or(self.until)
    }

    /// Whether its time is over.
    pub(super) fn expired(&self, now: Timestamp) -> bool {
        self.deadline() <= now
    }

    /// The session is back with this capability: the families whose stale routes go, for the peer did not keep forwarding
    /// them.
    pub(super) fn back(&mut self, capability: Option<GracefulRestart>) -> FamilySet {
        self.back_by = None;
        let kept = capability.map_or(FamilySet::EMPTY, |c| c.families.intersection(c.forwarding));
        let gone = self.families.iter().filter(|f| !kept.contains(*f));
        let gone = gone.fold(FamilySet::EMPTY, FamilySet::with);
        self.families = self.families.intersection(kept);
        gone
    }

    /// Families with routes that are still stale lose one: its table is here.
    pub(super) fn end_of_rib(&mut self, families: FamilySet) {
        self.families = families.iter().fold(self.families, FamilySet::without);
    }

    /// Whether nothing is stale any more.
    pub(super) fn is_over(&self) -> bool {
        self.families.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use siskin_net::Family;

    use super::*;

    const START: Timestamp = Timestamp(5_000_000);

    fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    fn helping(restart_time: u16, stale: u64) -> Helping {
        Helping::begin(FamilySet::BOTH, restart_time, seconds(stale), START)
    }

    #[test]
    fn the_session_has_the_peer_s_time_and_the_table_has_ours() {
        let mut help = helping(60, 300);
        assert!(!help.expired(START + seconds(59)) && help.expired(START + seconds(60)));
        assert_eq!(helping(600, 300).deadline(), START + seconds(300));
        let families = FamilySet::BOTH;
        let capability = GracefulRestart { families, forwarding: families, ..GracefulRestart::default() };
        assert_eq!(help.back(Some(capability)), FamilySet::EMPTY);
        assert!(!help.expired(START + seconds(299)) && help.expired(START + seconds(300)));
        help.end_of_rib(FamilySet::EMPTY.with(Family::Ipv4));
        assert!(!help.is_over());
        help.end_of_rib(FamilySet::EMPTY.with(Family::Ipv6));
        assert!(help.is_over());
    }

    #[test]
    fn what_was_not_forwarded_on_goes_at_once() {
        let ipv6 = FamilySet::EMPTY.with(Family::Ipv6);
        let families = FamilySet::BOTH;
        let capability = GracefulRestart { families, forwarding: ipv6, ..GracefulRestart::default() };
        let mut help = helping(60, 300);
        assert_eq!(help.back(Some(capability)), FamilySet::EMPTY.with(Family::Ipv4));
        assert!(!help.is_over());
        let mut help = helping(60, 300);
        assert_eq!(help.back(None), FamilySet::BOTH);
        assert!(help.is_over());
    }
}
