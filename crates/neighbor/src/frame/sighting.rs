//! What a frame says about an address: who claims it, with which MAC address, and how firmly.
//!
//! A frame whose link-layer address inside differs from the Ethernet source says two things at once and is refused.

use std::fmt;
use std::net::IpAddr;

use super::{Arp, ArpOperation, Body, Discovery, Frame, FrameError, Message};
use crate::Mac;

/// The kind of frame a claim rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EvidenceKind {
    /// The sender of an ARP request.
    ArpRequest,
    /// The sender of an ARP reply.
    ArpReply,
    /// ARP whose sender and target are the same address (RFC 5227 section 3).
    GratuitousArp,
    /// ARP from 0.0.0.0: the target is wanted, not yet owned (RFC 5227 section 2.1.1).
    ArpProbe,
    /// RARP: the MAC address is here; no address is named.
    Rarp,
    /// The source of a Neighbor Solicitation.
    NeighborSolicitation,
    /// The target of a Neighbor Advertisement.
    NeighborAdvertisement,
    /// The target of a Neighbor Solicitation from `::`: wanted, not yet owned (RFC 4862 section 5.4).
    DuplicateAddressDetection,
    /// The source of a Router Solicitation.
    RouterSolicitation,
    /// None was seen yet: a previous run of the daemon left the entry.
    Adopted,
    /// None was seen yet: the VM is declared.
    Declared,
}

impl EvidenceKind {
    /// Whether the sender only asks if it may have the address.
    #[must_use]
    pub const fn is_tentative(self) -> bool {
        matches!(self, EvidenceKind::ArpProbe | EvidenceKind::DuplicateAddressDetection)
    }

    /// The word used in tables and JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            EvidenceKind::ArpRequest => "arp-request",
            EvidenceKind::ArpReply => "arp-reply",
            EvidenceKind::GratuitousArp => "gratuitous-arp",
            EvidenceKind::ArpProbe => "arp-probe",
            EvidenceKind::Rarp => "rarp",
            EvidenceKind::NeighborSolicitation => "ns",
            EvidenceKind::NeighborAdvertisement => "na",
            EvidenceKind::DuplicateAddressDetection => "dad",
            EvidenceKind::RouterSolicitation => "rs",
            EvidenceKind::Adopted => "adopted",
            EvidenceKind::Declared => "declared",
        }
    }
}

impl fmt::Display for EvidenceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// What a frame claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// The claimant's MAC address: the frame's Ethernet source.
    pub mac: Mac,
    /// The frame's VLAN.
    pub vlan: Option<u16>,
    /// The address claimed; `None` of RARP, which names only the MAC address.
    pub address: Option<IpAddr>,
    /// What the claim rests on.
    pub kind: EvidenceKind,
}

/// The claim a frame makes; [`FrameError::Unrelated`] of a frame that makes none (a solicitation from a link-local
/// address makes one too: which addresses count is not decided here).
pub fn sighting(frame: &Frame) -> Result<Sighting, FrameError> {
    let mac = frame.ethernet.source;
    if !mac.is_station() {
        return Err(FrameError::Malformed("source MAC address is no station's"));
    }
    let (address, kind, inner_mac) = match &frame.body {
        Body::Arp(arp) => of_arp(arp),
        Body::Discovery(discovery) => of_discovery(discovery)?,
    };
    if inner_mac.is_some_and(|inner| inner != mac) {
        return Err(FrameError::Malformed("two link-layer addresses"));
    }
    Ok(Sighting { mac, vlan: frame.ethernet.vlan, address, kind })
}

type Found = (Option<IpAddr>, EvidenceKind, Option<Mac>);

fn of_arp(arp: &Arp) -> Found {
    let (address, kind) = match arp.operation {
        // A reverse request names the MAC address it is about in the target field too; the sender's is enough.
        ArpOperation::ReverseRequest => (None, EvidenceKind::Rarp),
        ArpOperation::Request if arp.sender.is_unspecified() => (Some(arp.target), EvidenceKind::ArpProbe),
        _ if arp.sender == arp.target => (Some(arp.sender), EvidenceKind::GratuitousArp),
        ArpOperation::Request => (Some(arp.sender), EvidenceKind::ArpRequest),
        ArpOperation::Reply => (Some(arp.sender), EvidenceKind::ArpReply),
    };
    (address.map(IpAddr::V4), kind, Some(arp.sender_mac))
}

fn of_discovery(discovery: &Discovery) -> Result<Found, FrameError> {
    let source = discovery.source;
    let (address, kind, inner_mac) = match discovery.message {
        Message::NeighborSolicitation { target, .. } if source.is_unspecified() => {
            (target, EvidenceKind::DuplicateAddressDetection, None)
        }
        Message::NeighborSolicitation { source_mac, .. } => {
            (source, EvidenceKind::NeighborSolicitation, source_mac)
        }
        Message::NeighborAdvertisement { target, target_mac, .. } => {
            (target, EvidenceKind::NeighborAdvertisement, target_mac)
        }
        Message::RouterSolicitation { source_mac } if !source.is_unspecified() => {
            (source, EvidenceKind::RouterSolicitation, source_mac)
        }
        Message::RouterSolicitation { .. } | Message::RouterAdvertisement => {
            return Err(FrameError::Unrelated);
        }
    };
    Ok((Some(IpAddr::V6(address)), kind, inner_mac))
}
