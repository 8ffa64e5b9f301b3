//! Next hops: as BGP names them ([`NextHop`]), and as they are once resolved to an interface ([`Hop`]).

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use smallvec::SmallVec;

use crate::IfIndex;

/// The next hop of a path as BGP carries it: a global address, and with IPv6 perhaps a link-local one beside it
/// (RFC 2545 section 3). A link-local address is worth something only together with `interface`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct NextHop {
    /// The global address, or the link-local one where the peer sent only that.
    pub address: IpAddr,
    /// The link-local address that came with a global one.
    pub link_local: Option<Ipv6Addr>,
    /// The interface a link-local address is valid on; 0: none known.
    pub interface: IfIndex,
}

impl NextHop {
    /// A next hop of one address.
    #[must_use]
    pub const fn new(address: IpAddr) -> NextHop {
        NextHop { address, link_local: None, interface: 0 }
    }

    /// Nowhere: packets are dropped without a word. Import sets it on BLACKHOLE routes (RFC 7999); no peer can send it.
    pub const DISCARD: NextHop =
        NextHop { address: IpAddr::V6(Ipv6Addr::UNSPECIFIED), link_local: None, interface: IfIndex::MAX };

    /// Whether it is [`NextHop::DISCARD`].
    #[must_use]
    pub fn is_discard(&self) -> bool {
        *self == NextHop::DISCARD
    }
}

impl fmt::Display for NextHop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address.fmt(f)
    }
}

/// Where a packet goes next: a gateway on an interface, or the interface alone (on-link).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Hop {
    /// The gateway's address; `None`: the destination is on the link.
    pub gateway: Option<IpAddr>,
    /// The interface.
    pub interface: IfIndex,
    /// Share of the load, 1 to 256.
    pub weight: u16,
    /// The gateway counts as on-link even if no interface address covers it.
    pub onlink: bool,
}

/// Everything packets of one route may be sent to. Hops are sorted and distinct, so equal sets are equal values.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum GroupTarget {
    /// One hop or several that share the load.
    Hops(SmallVec<[Hop; 2]>),
    /// Dropped without a word.
    Blackhole,
    /// Dropped, and the sender is told (ICMP unreachable).
    Unreachable,
    /// Dropped, and the sender is told that it is forbidden (ICMP administratively prohibited).
    Prohibit,
}

/// The resolved next-hop set of a route, shared by all routes that go the same way.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct NextHopGroup {
    /// Where packets go.
    pub target: GroupTarget,
    /// What the routes that use it have in common beside where they go: those of one bundle may be sent elsewhere all
    /// together. 0: nothing.
    pub bundle: u32,
}

impl NextHopGroup {
    /// A group of hops, brought into order and made distinct; `None` if there is none.
    pub fn from_hops(hops: impl IntoIterator<Item = Hop>) -> Option<NextHopGroup> {
        let mut hops: SmallVec<[Hop; 2]> = hops.into_iter().collect();
        hops.sort_unstable();
        hops.dedup();
        if hops.is_empty() { None } else { Some(NextHopGroup { target: GroupTarget::Hops(hops), bundle: 0 }) }
    }

    /// A route that discards silently.
    pub const BLACKHOLE: NextHopGroup = NextHopGroup { target: GroupTarget::Blackhole, bundle: 0 };
    /// A route that discards with an ICMP error.
    pub const UNREACHABLE: NextHopGroup = NextHopGroup { target: GroupTarget::Unreachable, bundle: 0 };
    /// A route that discards with an ICMP error that names a prohibition.
    pub const PROHIBIT: NextHopGroup = NextHopGroup { target: GroupTarget::Prohibit, bundle: 0 };

    /// The hops; empty for what discards.
    #[must_use]
    pub fn hops(&self) -> &[Hop] {
        match &self.target {
            GroupTarget::Hops(hops) => hops,
            GroupTarget::Blackhole | GroupTarget::Unreachable | GroupTarget::Prohibit => &[],
        }
    }
}

/// What next-hop tracking knows of a reachable next hop.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Resolution {
    /// The cost to reach it, for the IGP step of the decision: 0 when connected, else the kernel route's metric.
    pub metric: u32,
    /// Where packets for it go.
    pub hops: SmallVec<[Hop; 2]>,
}

/// What the kernel's routes say of a next hop.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct NextHopAnswer {
    /// Where it leads; `None`: nowhere.
    pub found: Option<Resolution>,
    /// The length of the kernel route that says so; `None`: there is none. [`NextHopAnswer::FINAL`]: it is on a link of
    /// ours, and no route counts.
    pub matched: Option<u8>,
}

impl NextHopAnswer {
    /// More than any prefix is long.
    pub const FINAL: Option<u8> = Some(u8::MAX);
}

impl From<Option<Resolution>> for NextHopAnswer {
    /// What is found is on a link; where nothing is, no route covers the next hop.
    fn from(found: Option<Resolution>) -> NextHopAnswer {
        let matched = if found.is_some() { NextHopAnswer::FINAL } else { None };
        NextHopAnswer { found, matched }
    }
}
