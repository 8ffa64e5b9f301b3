//! Moves between hypervisors: what a route says besides its address, what others say of it, and who has to yield.
//!
//! A sequence number orders the owners of an address, as in RFC 7432 section 7.7 (MAC mobility): whoever takes an
//! address over from another router announces it with the highest number seen and one more. Of equal numbers the
//! router with the lower BGP Identifier wins. The binding is a digest of the owner's MAC address: it tells a VM that
//! moved from another that wants its address.

use std::net::IpAddr;

use siskin_net::BgpIdentifier;

use crate::Mac;

/// What other daemons learn of an address with its route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mobility {
    /// How often the address moved; 0: never.
    pub sequence: u32,
    /// Whether the route is to be preferred to a normal one: its owner has just taken the address over.
    pub elevated: bool,
    /// Whether its owner is about to move away: the route counts less than any other (GRACEFUL_SHUTDOWN).
    pub leaving: bool,
    /// The owner's MAC address; its [`binding_of`] goes with the route.
    pub mac: Mac,
}

/// The best route to an address that another router announces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remote {
    /// Its sequence number; 0 if it tells none.
    pub sequence: u32,
    /// The digest of its owner's MAC address, if it tells one.
    pub binding: Option<u32>,
    /// The router that announces it.
    pub originator: BgpIdentifier,
    /// Whether it is elevated, if that can be seen. It decides nothing here: the sequence number does.
    pub elevated: Option<bool>,
}

impl Remote {
    /// Whether it has precedence over a route of ours with `sequence`.
    #[must_use]
    pub fn beats(&self, sequence: u32, ours: BgpIdentifier) -> bool {
        self.sequence > sequence || self.sequence == sequence && self.originator < ours
    }

    /// Whether it says that another MAC address than `mac` owns the address.
    #[must_use]
    pub fn contradicts(&self, mac: Mac) -> bool {
        self.binding.is_some_and(|binding| binding != binding_of(mac))
    }

    /// Whether it says that `mac` owns the address.
    #[must_use]
    pub fn confirms(&self, mac: Mac) -> bool {
        self.binding == Some(binding_of(mac))
    }
}

/// What the daemon keeps of a claim over a restart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavedBinding {
    /// The domain: the name of its interface.
    pub domain: String,
    /// The address.
    pub address: IpAddr,
    /// Its owner's MAC address.
    pub mac: Mac,
    /// The name of its owner's port.
    pub port: Option<String>,
    /// Its sequence number.
    pub sequence: u32,
}

/// Why a VM cannot be declared.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeclareError {
    /// There is no such domain.
    #[error("host routes are not configured on interface {0}")]
    UnknownDomain(String),
    /// The VM has no address.
    #[error("the VM has no address")]
    NoAddress,
    /// The MAC address is a group's, or zero.
    #[error("{0} cannot be a VM's MAC address")]
    NoStation(Mac),
    /// The address is outside the domain's prefixes, the gateway's, or our own.
    #[error("{0} cannot be a VM's address here")]
    Forbidden(IpAddr),
    /// The address is another VM's.
    #[error("{address} is declared for {name} already")]
    Taken {
        /// The address.
        address: IpAddr,
        /// Its VM.
        name: String,
    },
    /// There are [`super::MAX_CLAIMS`] addresses.
    #[error("there are as many addresses as can be")]
    Full,
}

/// The binding of a MAC address: CRC-32 (IEEE 802.3) of its six octets.
#[must_use]
pub fn binding_of(mac: Mac) -> u32 {
    let Mac(octets) = mac;
    let crc = octets.iter().fold(u32::MAX, |crc, octet| {
        (0..8).fold(crc ^ u32::from(*octet), |crc, _| (crc >> 1) ^ if crc & 1 == 1 { 0xedb8_8320 } else { 0 })
    });
    !crc
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bindings_are_crc32() {
        // What zlib's crc32 says.
        assert_eq!(binding_of(Mac(*b"123456")), 0x0972_d361);
        assert_eq!(binding_of(Mac::ZERO), 0xb1c2_a1a3);
        assert_eq!(binding_of(Mac([0x52, 0x02, 0x45, 0x76, 0xd2, 0x35])), 0x934f_846c);
    }

    #[test]
    fn sequence_then_identifier_decide() {
        let remote =
            |sequence, id| Remote { sequence, binding: None, originator: BgpIdentifier(id), elevated: None };
        let ours = BgpIdentifier(5);
        assert!(remote(2, 9).beats(1, ours) && !remote(1, 9).beats(2, ours));
        assert!(remote(2, 4).beats(2, ours) && !remote(2, 6).beats(2, ours) && !remote(2, 5).beats(2, ours));
        let told = Remote { binding: Some(binding_of(Mac([2; 6]))), ..remote(0, 1) };
        assert!(told.confirms(Mac([2; 6])) && told.contradicts(Mac([4; 6])));
        assert!(!remote(0, 1).confirms(Mac([2; 6])) && !remote(0, 1).contradicts(Mac([4; 6])));
    }
}
