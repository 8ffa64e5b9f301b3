//! VLANs of a bridge's port (IEEE 802.1Q), as `bridge vlan` shows them.

/// VLANs from `first` to `last` that a port is a member of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct VlanRange {
    /// The first, 1 to 4094.
    pub first: u16,
    /// The last, not below the first.
    pub last: u16,
    /// Frames of these leave the port without a tag.
    pub untagged: bool,
}

/// The VLANs of one port.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub struct PortVlans {
    /// The VLAN of frames that come in without a tag; `None`: they are dropped.
    pub pvid: Option<u16>,
    /// Its memberships.
    pub ranges: Vec<VlanRange>,
}

impl PortVlans {
    /// Whether frames of VLAN `vlan` leave the port without a tag; `None`: the port is no member of it.
    #[must_use]
    pub fn leaves_untagged(&self, vlan: u16) -> Option<bool> {
        self.ranges.iter().find(|r| (r.first..=r.last).contains(&vlan)).map(|r| r.untagged)
    }

    /// The VLAN of a frame that comes in with this tag (`None`: without one); `None`: the bridge drops it.
    #[must_use]
    pub fn of_frame(&self, tag: Option<u16>) -> Option<u16> {
        tag.or(self.pvid).filter(|vlan| self.leaves_untagged(*vlan).is_some())
    }
}
