//! What a peer's task tells the log. A peer cannot fill it: malformed UPDATEs are counted and named once in a while.

use std::time::Duration;

use siskin_bgp::session::{Direction, DownReason};
use siskin_bgp::wire::Update;
use siskin_net::Timestamp;

/// At most one line about malformed UPDATEs in this time.
const INTERVAL: Duration = Duration::from_secs(10);

/// Rations the lines about malformed UPDATEs of one peer.
#[derive(Debug, Default)]
pub(super) struct FaultLog {
    next: Timestamp,
    unsaid: u64,
}

impl FaultLog {
    /// Names the faults of an UPDATE, unless that was done a moment ago.
    pub(super) fn note(&mut self, peer: &str, update: &Update, now: Timestamp) {
        let Some(worst) = update.faults.iter().max_by_key(|f| f.disposition) else { return };
        if now < self.next {
            self.unsaid += 1;
            return;
        }
        tracing::warn!(
            peer,
            attribute = worst.name,
            fault = worst.text,
            disposition = worst.disposition.name(),
            octets = %hex(&worst.excerpt),
            more = std::mem::take(&mut self.unsaid),
            "malformed UPDATE (RFC 7606)"
        );
        self.next = now + INTERVAL;
    }
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|o| format!("{o:02x}")).collect()
}

/// The established session ended.
pub(super) fn down(peer: &str, reason: &DownReason) {
    tracing::warn!(peer, reason = %reason, "session down");
}

/// A connection ended before the session was established.
pub(super) fn failed(peer: &str, direction: Direction, reason: &DownReason) {
    tracing::info!(peer, direction = direction.name(), reason = %reason, "session did not come up");
}
