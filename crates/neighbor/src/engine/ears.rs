//! What is heard on one device: a port of a bridge is a port of several domains if it carries several VLANs, and has
//! one socket all the same.
//!
//! The machine of claims knows ports by number. A port that carries one domain's frames, untagged, has its interface's
//! index; one of a VLAN has a number of its own, above all indexes.

use std::collections::BTreeMap;

use foldhash::HashMap;
use siskin_net::IfIndex;

use crate::claims::DomainId;

/// Interface indexes are positive C ints; numbers from here on are free.
const FIRST_OF_OURS: IfIndex = 0x8000_0000;

/// Which frames of a device a port is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Lane {
    /// All; those with a tag are for the machine to refuse.
    All,
    /// Those of one VLAN of a bridge.
    Vlan {
        /// Its number.
        id: u16,
        /// Frames without a tag come into it.
        takes_untagged: bool,
        /// Frames of it go out without a tag.
        leaves_untagged: bool,
    },
}

/// A port as the machine of claims knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Port {
    pub(super) number: IfIndex,
    pub(super) domain: DomainId,
    pub(super) lane: Lane,
}

/// The ports of all devices.
#[derive(Debug, Default)]
pub(super) struct Ears {
    devices: HashMap<IfIndex, Vec<Port>>,
    /// Of ports with numbers of ours: their device, and the tag of frames that go out.
    numbered: BTreeMap<IfIndex, (IfIndex, Option<u16>)>,
    given: u32,
}

impl Ears {
    /// The ports of a device.
    pub(super) fn of(&self, device: IfIndex) -> &[Port] {
        self.devices.get(&device).map_or(&[], Vec::as_slice)
    }

    /// The port that a frame with this tag is for; `None`: no domain's.
    pub(super) fn port_of(&self, device: IfIndex, tag: Option<u16>) -> Option<Port> {
        let tag = tag.map(|control| control & 0x0fff).filter(|id| *id != 0);
        let is_for = |port: &&Port| match port.lane {
            Lane::All => true,
            Lane::Vlan { id, takes_untagged, .. } => tag.map_or(takes_untagged, |tag| tag == id),
        };
        self.of(device).iter().find(is_for).copied()
    }

    /// Whether a device is a port of one domain alone, whose frames come without a tag.
    pub(super) fn is_untagged(&self, device: IfIndex) -> bool {
        let untagged = |port: &Port| matches!(port.lane, Lane::All | Lane::Vlan { takes_untagged: true, .. });
        matches!(self.of(device), [port] if untagged(port))
    }

    /// The device behind a port, and the tag that frames out of it carry.
    pub(super) fn device_of(&self, port: IfIndex) -> (IfIndex, Option<u16>) {
        self.numbered.get(&port).copied().unwrap_or((port, None))
    }

    /// Gives a device the ports of these domains: the numbers of those that it has no longer.
    pub(super) fn set(&mut self, device: IfIndex, wanted: &[(DomainId, Lane)]) -> Vec<IfIndex> {
        let mut before = self.devices.remove(&device).unwrap_or_default();
        let mut now = Vec::with_capacity(wanted.len());
        for (domain, lane) in wanted {
            let same = |port: &Port| port.domain == *domain && same_number(port.lane, *lane);
            let number = match before.iter().position(same) {
                Some(at) => before.swap_remove(at).number,
                None if *lane == Lane::All => device,
                None => self.new_number(),
            };
            if let Lane::Vlan { id, leaves_untagged, .. } = *lane {
                self.numbered.insert(number, (device, (!leaves_untagged).then_some(id)));
            }
            now.push(Port { number, domain: *domain, lane: *lane });
        }
        if !now.is_empty() {
            self.devices.insert(device, now);
        }
        // A device whose one port goes from one domain to another keeps that port's number.
        let kept = self.of(device).iter().map(|port| port.number).collect::<Vec<_>>();
        let gone: Vec<IfIndex> =
            before.iter().map(|port| port.number).filter(|n| !kept.contains(n)).collect();
        for number in &gone {
            self.numbered.remove(number);
        }
        gone
    }

    fn new_number(&mut self) -> IfIndex {
        loop {
            let number = FIRST_OF_OURS | self.given;
            self.given = (self.given + 1) & (FIRST_OF_OURS - 1);
            if !self.numbered.contains_key(&number) {
                return number;
            }
        }
    }
}

/// Whether a port stays the same one when its lane changes so.
fn same_number(one: Lane, other: Lane) -> bool {
    match (one, other) {
        (Lane::All, Lane::All) => true,
        (Lane::Vlan { id, .. }, Lane::Vlan { id: same, .. }) => id == same,
        _ => false,
    }
}

/// The frame with an 802.1Q tag.
pub(super) fn tagged(mut frame: Vec<u8>, vlan: u16) -> Vec<u8> {
    const ADDRESSES: usize = 12;
    if frame.len() >= ADDRESSES {
        let [high, low] = vlan.to_be_bytes();
        frame.splice(ADDRESSES..ADDRESSES, [0x81, 0, high, low]);
    }
    frame
}

#[cfg(test)]
mod tests;
