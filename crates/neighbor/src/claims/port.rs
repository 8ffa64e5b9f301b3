//! What is kept of a port: who may speak how often, and what it did.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use siskin_net::Timestamp;
use smallvec::SmallVec;

use super::domain::DomainId;
use super::output::Refusal;
use super::rate::Bucket;

/// After a VM's arrival on a port the gateway is announced there, and again after each of these.
pub(super) const GREETING_GAPS: [Duration; 2] = [Duration::from_millis(100), Duration::from_millis(900)];

/// An arrival's first announcement waits so long: it has the VM send what it has to say, and where the kernel is strict
/// about sources (`rp_filter = 1`) that is lost while there is no route to the VM.
pub(super) const GREETING_DELAY: Duration = Duration::from_millis(10);

/// The announcements of the gateway that a port still gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Greeting {
    /// Gaps that will have passed when the next is made.
    pub(super) passed: usize,
    /// When that is.
    pub(super) due: Timestamp,
}

/// Refusals told of one port: one in this time.
const NOTICE_INTERVAL: Duration = Duration::from_secs(10);

/// What one port did since it came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PortCounters {
    /// Frames read.
    pub frames: u64,
    /// Frames that were evidence for an address the port has or got.
    pub accepted: u64,
    /// Frames of a protocol or message that claims nothing, or link-local addresses.
    pub unrelated: u64,
    /// Router Advertisements: no VM should send any.
    pub router_advertisements: u64,
    /// Times the port had used up its rate, and was not read for a while.
    pub throttled: u64,
    refused: [u64; Refusal::ALL.len()],
}

impl PortCounters {
    /// Frames refused for `reason`.
    #[must_use]
    pub fn refused(&self, reason: Refusal) -> u64 {
        self.refused.get(reason as usize).copied().unwrap_or(0)
    }

    fn count(&mut self, reason: Refusal) {
        if let Some(counter) = self.refused.get_mut(reason as usize) {
            *counter += 1;
        }
    }
}

/// A VM-facing port: of a bridge, or the interface itself.
#[derive(Debug)]
pub(super) struct Port {
    pub(super) domain: DomainId,
    pub(super) name: Arc<str>,
    /// Administratively up, with carrier.
    pub(super) up: bool,
    /// When the VM counts as gone, while the carrier is away.
    pub(super) carrier_deadline: Option<Timestamp>,
    /// The next of the gateway's announcements.
    pub(super) greeting: Option<Greeting>,
    /// Addresses bound to the port, gone ones too.
    pub(super) addresses: SmallVec<[IpAddr; 2]>,
    pub(super) frames: Bucket,
    pub(super) counters: PortCounters,
    notices: Bucket,
    untold: u64,
}

impl Port {
    pub(super) fn new(domain: DomainId, name: Arc<str>) -> Port {
        Port {
            domain,
            name,
            up: false,
            carrier_deadline: None,
            greeting: None,
            addresses: SmallVec::new(),
            frames: Bucket::default(),
            counters: PortCounters::default(),
            notices: Bucket::default(),
            untold: 0,
        }
    }

    /// Counts a refusal; if it should be told of, with how many others were not.
    pub(super) fn refuse(&mut self, reason: Refusal, now: Timestamp) -> Option<u64> {
        self.counters.count(reason);
        if self.notices.take(now, NOTICE_INTERVAL, 1) {
            Some(std::mem::take(&mut self.untold))
        } else {
            self.untold += 1;
            None
        }
    }

    pub(super) fn unbind(&mut self, address: IpAddr) {
        self.addresses.retain(|a| *a != address);
    }
}
