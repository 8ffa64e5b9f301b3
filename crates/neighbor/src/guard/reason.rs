//! Why the filter drops a frame.

use std::fmt;

/// Each has a counter, a set that counts by port, and a chain that frames go to to be counted and dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// It carries an IEEE 802.1Q or 802.1ad tag.
    VlanTag,
    /// It goes to a group address that ends at the bridge (LLDP, pause, 802.1X): the bridge learns from it unasked.
    LinkControl,
    /// Its source is not the port's MAC address, or belongs to another port, or to us.
    SourceMac,
    /// It is neither IPv4, IPv6, ARP nor RARP.
    Protocol,
    /// ARP that is not about IPv4 over Ethernet.
    ArpMalformed,
    /// ARP whose sender, or address that it probes, is not the port's and cannot become it.
    ArpSender,
    /// It speaks as the gateway or the router.
    Gateway,
    /// An IPv4 source that is not the port's.
    Ipv4Source,
    /// An IPv6 source that is not the port's.
    Ipv6Source,
    /// A link-local source or target that another MAC address has.
    LinkLocal,
    /// Neighbour discovery from a source that is not the port's and cannot become it.
    NeighborSource,
    /// A neighbour advertisement, or duplicate address detection, for an address that cannot be the port's.
    NeighborTarget,
    /// A router advertisement.
    RouterAdvertisement,
    /// An ICMP or ICMPv6 redirect.
    Redirect,
    /// DHCP or DHCPv6 to a client.
    DhcpServer,
    /// Neighbour discovery behind extension headers or in fragments, or a first fragment that hides what it carries.
    Hidden,
    /// More ARP or neighbour discovery than a port may send.
    Rate,
}

impl Reason {
    /// All.
    pub const ALL: [Reason; 17] = [
        Reason::VlanTag,
        Reason::LinkControl,
        Reason::SourceMac,
        Reason::Protocol,
        Reason::ArpMalformed,
        Reason::ArpSender,
        Reason::Gateway,
        Reason::Ipv4Source,
        Reason::Ipv6Source,
        Reason::LinkLocal,
        Reason::NeighborSource,
        Reason::NeighborTarget,
        Reason::RouterAdvertisement,
        Reason::Redirect,
        Reason::DhcpServer,
        Reason::Hidden,
        Reason::Rate,
    ];

    /// The word used in tables, JSON and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Reason::VlanTag => "vlan-tag",
            Reason::LinkControl => "link-control",
            Reason::SourceMac => "source-mac",
            Reason::Protocol => "protocol",
            Reason::ArpMalformed => "arp-malformed",
            Reason::ArpSender => "arp-sender",
            Reason::Gateway => "gateway-address",
            Reason::Ipv4Source => "ipv4-source",
            Reason::Ipv6Source => "ipv6-source",
            Reason::LinkLocal => "link-local",
            Reason::NeighborSource => "neighbor-source",
            Reason::NeighborTarget => "neighbor-target",
            Reason::RouterAdvertisement => "router-advertisement",
            Reason::Redirect => "redirect",
            Reason::DhcpServer => "dhcp-server",
            Reason::Hidden => "hidden-discovery",
            Reason::Rate => "arp-nd-rate",
        }
    }

    /// Its counter and its chain in the ruleset.
    #[must_use]
    pub fn counter(self) -> String {
        format!("drop_{}", self.name().replace('-', "_"))
    }

    /// The set that counts it by port.
    #[must_use]
    pub fn by_port(self) -> String {
        format!("by_port_{}", self.name().replace('-', "_"))
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
