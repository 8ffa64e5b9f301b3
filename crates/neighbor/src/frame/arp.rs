//! ARP for IPv4 over Ethernet (RFC 826) and RARP (RFC 903), one layout. Left out: every other hardware or protocol
//! type, and operations beyond request and reply.

use std::net::Ipv4Addr;

use super::FrameError;
use super::ethernet::{EtherType, be16};
use crate::Mac;

/// What a message wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArpOperation {
    /// ARP operation 1.
    Request,
    /// ARP operation 2.
    Reply,
    /// RARP operation 3: 'this is my MAC address'.
    ReverseRequest,
}

/// An ARP or RARP message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arp {
    /// What it wants.
    pub operation: ArpOperation,
    /// ar$sha.
    pub sender_mac: Mac,
    /// ar$spa.
    pub sender: Ipv4Addr,
    /// ar$tha.
    pub target_mac: Mac,
    /// ar$tpa.
    pub target: Ipv4Addr,
}

/// Hardware type 1 (Ethernet), protocol type IPv4, lengths 6 and 4.
const FIXED: [u8; 6] = [0, 1, 8, 0, 6, 4];

impl Arp {
    /// Reads a message; bytes beyond it are Ethernet padding.
    pub fn parse(ether_type: EtherType, bytes: &[u8]) -> Result<Arp, FrameError> {
        let (fixed, rest) = bytes.split_first_chunk().ok_or(FrameError::Truncated)?;
        if *fixed != FIXED {
            return Err(FrameError::Malformed("not IPv4 over Ethernet"));
        }
        let (operation, rest) = be16(rest)?;
        let operation = match (ether_type, operation) {
            (EtherType::ARP, 1) => ArpOperation::Request,
            (EtherType::ARP, 2) => ArpOperation::Reply,
            (EtherType::RARP, 3) => ArpOperation::ReverseRequest,
            _ => return Err(FrameError::Unrelated),
        };
        let (sender_mac, rest) = rest.split_first_chunk().ok_or(FrameError::Truncated)?;
        let (sender, rest) = rest.split_first_chunk::<4>().ok_or(FrameError::Truncated)?;
        let (target_mac, rest) = rest.split_first_chunk().ok_or(FrameError::Truncated)?;
        let (target, _padding) = rest.split_first_chunk::<4>().ok_or(FrameError::Truncated)?;
        Ok(Arp {
            operation,
            sender_mac: Mac(*sender_mac),
            sender: Ipv4Addr::from(*sender),
            target_mac: Mac(*target_mac),
            target: Ipv4Addr::from(*target),
        })
    }

    /// The message's 28 bytes.
    pub(super) fn push_to(self, frame: &mut Vec<u8>) {
        let operation: u16 = match self.operation {
            ArpOperation::Request => 1,
            ArpOperation::Reply => 2,
            ArpOperation::ReverseRequest => 3,
        };
        frame.extend_from_slice(&FIXED);
        frame.extend_from_slice(&operation.to_be_bytes());
        frame.extend_from_slice(&self.sender_mac.0);
        frame.extend_from_slice(&self.sender.octets());
        frame.extend_from_slice(&self.target_mac.0);
        frame.extend_from_slice(&self.target.octets());
    }
}
