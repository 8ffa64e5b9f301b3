//! What hypervisors tell each other of a VM's address, as large communities (RFC 8092) of its route, so that it passes
//! through routers that know nothing of it: how often the address has moved (as RFC 7432 section 7.7 counts it), whose it
//! is, and who announces it.
//!
//! The Global Administrator is the announcer's AS number; what is read is read whosesoever it is, since a path may have
//! lost its origin AS on the way. Where other large communities with these values of Local Data Part 1 are in use, import
//! policies have to remove them from host routes.

use siskin_bgp::PathAttributes;
use siskin_bgp::attr::LargeCommunity;
use siskin_net::{Asn, BgpIdentifier};

/// Local Data Part 1 of the sequence number.
const SEQUENCE: u32 = 100;
/// Local Data Part 1 of the CRC-32 of the VM's MAC address.
const BINDING: u32 = 101;
/// Local Data Part 1 of the announcer's BGP Identifier.
const ORIGINATOR: u32 = 102;

/// What a host route says of its VM.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct HostMark {
    /// How often the address has moved; the higher one is right. 0: never, or it is not said.
    pub sequence: u32,
    /// The CRC-32 of the VM's MAC address, where it is said.
    pub binding: Option<u32>,
    /// Who announces it, where it is said: of equal sequence numbers that of the lower identifier is right.
    pub originator: Option<BgpIdentifier>,
}

impl HostMark {
    /// Adds it to a route of ours.
    pub fn add_to(&self, attributes: &mut PathAttributes, asn: Asn) {
        let sequence = (self.sequence != 0).then_some((SEQUENCE, self.sequence));
        let binding = self.binding.map(|binding| (BINDING, binding));
        let originator = self.originator.map(|originator| (ORIGINATOR, originator.0));
        for (kind, value) in [sequence, binding, originator].into_iter().flatten() {
            let community = LargeCommunity(asn.0, kind, value);
            if let Err(at) = attributes.large_communities.binary_search(&community) {
                attributes.large_communities.insert(at, community);
            }
        }
    }

    /// Reads it off a route.
    #[must_use]
    pub fn of(attributes: &PathAttributes) -> HostMark {
        let told = |kind| {
            let of_kind = attributes.large_communities.iter().filter(move |c| c.1 == kind);
            of_kind.map(|community| community.2).max()
        };
        HostMark {
            sequence: told(SEQUENCE).unwrap_or(0),
            binding: told(BINDING),
            originator: told(ORIGINATOR).map(BgpIdentifier),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_read_as_it_was_written() {
        let attributes = || PathAttributes::originated([192, 0, 2, 1].into());
        let whole = HostMark { sequence: 7, binding: Some(9), originator: Some(BgpIdentifier(3)) };
        for mark in [whole, HostMark { sequence: 0, ..whole }, HostMark::default()] {
            let mut marked = attributes();
            mark.add_to(&mut marked, Asn(64500));
            mark.add_to(&mut marked, Asn(64500));
            assert_eq!(HostMark::of(&marked), mark);
            assert!(marked.large_communities.is_sorted());
        }
        let mut twice = attributes();
        whole.add_to(&mut twice, Asn(64500));
        HostMark { sequence: 8, ..HostMark::default() }.add_to(&mut twice, Asn(64501));
        assert_eq!(HostMark::of(&twice).sequence, 8, "whoever says so");
        let mut other = attributes();
        other.large_communities.push(LargeCommunity(64500, 1, 100));
        assert_eq!(HostMark::of(&other), HostMark::default());
    }
}
