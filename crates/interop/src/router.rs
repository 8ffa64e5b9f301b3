//! What all routers under test have in common: a configuration in our words, the attributes a route has as
//! a peer shows them, and the questions a test asks.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use siskin_net::{Family, Prefix};

use crate::Result;
use crate::bird::Bird;
use crate::frr::Frr;
use crate::lab::Ns;
use crate::process::Daemon;

/// The two implementations every test talks to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// FRR's `bgpd` and `zebra`.
    Frr,
    /// BIRD 2.
    Bird,
}

impl Kind {
    /// Both of them.
    pub const ALL: [Kind; 2] = [Kind::Frr, Kind::Bird];

    /// Starts a router of this kind.
    ///
    /// # Errors
    /// When it does not start or refuses its configuration.
    pub fn start(self, ns: &Ns, config: &Config) -> Result<Box<dyn Router>> {
        Ok(match self {
            Kind::Frr => Box::new(Frr::start(ns, config)?),
            Kind::Bird => Box::new(Bird::start(ns, config)?),
        })
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Frr => "frr",
            Kind::Bird => "bird",
        })
    }
}

/// The configuration of a peer.
#[derive(Debug, Clone)]
pub struct Config {
    /// Its AS number.
    pub asn: u32,
    /// Its BGP identifier.
    pub router_id: Ipv4Addr,
    /// Its sessions.
    pub neighbors: Vec<Neighbor>,
    /// What it announces.
    pub routes: Vec<Announcement>,
    /// Whether it writes what it learns into its namespace's kernel.
    pub kernel: bool,
    /// Whether it keeps the routes of a neighbour that dies for a while (RFC 4724), as BIRD does by default.
    pub graceful_restart: bool,
    /// Whether its own routes outlive a restart of it, in its kernel and at its neighbours (RFC 4724).
    pub restarts: bool,
    /// Whether its kernel gets all of the equally good paths or one; `None`: as the implementation does by itself.
    pub multipath: Option<bool>,
}

/// One session of a peer.
#[derive(Debug, Clone)]
pub struct Neighbor {
    /// The other side.
    pub address: IpAddr,
    /// Our own address of the session; `None`: the kernel chooses.
    pub source: Option<IpAddr>,
    /// Its AS number.
    pub asn: u32,
    /// Never connects, only listens.
    pub passive: bool,
    /// The families it negotiates.
    pub families: Vec<Family>,
    /// The hold time to propose, seconds.
    pub hold: u16,
    /// The next hop of the family that the session's own address cannot be.
    pub other_next_hop: Option<IpAddr>,
    /// IPv4 routes with IPv6 next hops (RFC 8950).
    pub extended_next_hop: bool,
}

/// A route a peer originates, and the attributes it gives it.
#[derive(Debug, Clone)]
pub struct Announcement {
    /// The destination.
    pub prefix: Prefix,
    /// ORIGIN incomplete instead of IGP.
    pub incomplete: bool,
    /// MULTI_EXIT_DISC.
    pub med: Option<u32>,
    /// LOCAL_PREF (iBGP).
    pub local_pref: Option<u32>,
    /// How often the AS number is prepended beyond the usual once.
    pub prepend: u8,
    /// COMMUNITIES.
    pub communities: Vec<(u16, u16)>,
    /// LARGE_COMMUNITY.
    pub large: Vec<(u32, u32, u32)>,
    /// EXTENDED COMMUNITIES: route targets of the two-octet AS form.
    pub targets: Vec<(u16, u32)>,
}

impl Config {
    /// A router that learns from `neighbors` and announces `routes`, without a kernel table.
    #[must_use]
    pub fn new(asn: u32, id: [u8; 4], neighbors: Vec<Neighbor>, routes: Vec<Announcement>) -> Config {
        Config {
            asn,
            router_id: Ipv4Addr::from(id),
            neighbors,
            routes,
            kernel: false,
            graceful_restart: true,
            restarts: false,
            multipath: None,
        }
    }

    /// The same, but a neighbour that dies is missed at once. BIRD then sends no End-of-RIB either.
    #[must_use]
    pub fn without_graceful_restart(mut self) -> Config {
        self.graceful_restart = false;
        self
    }

    /// The same, and it asks its neighbours to keep its routes while it restarts.
    #[must_use]
    pub fn with_restart(mut self) -> Config {
        self.restarts = true;
        self
    }

    /// The same, and its kernel gets all equally good paths, or one of them.
    #[must_use]
    pub fn with_multipath(mut self, multipath: bool) -> Config {
        self.multipath = Some(multipath);
        self
    }

    /// The same, and with the kernel's table.
    #[must_use]
    pub fn with_kernel(mut self) -> Config {
        self.kernel = true;
        self
    }
}

impl Neighbor {
    /// An active session with both families and a hold time of 90 s.
    #[must_use]
    pub fn new(address: impl Into<IpAddr>, asn: u32) -> Neighbor {
        let families = Family::ALL.to_vec();
        Neighbor {
            address: address.into(),
            source: None,
            asn,
            passive: false,
            families,
            hold: 90,
            other_next_hop: None,
            extended_next_hop: false,
        }
    }

    /// From this address of ours.
    #[must_use]
    pub fn from(mut self, source: impl Into<IpAddr>) -> Neighbor {
        self.source = Some(source.into());
        self
    }

    /// Waits for the other side to connect.
    #[must_use]
    pub fn passive(mut self) -> Neighbor {
        self.passive = true;
        self
    }

    /// This family alone.
    #[must_use]
    pub fn only(mut self, family: Family) -> Neighbor {
        self.families = vec![family];
        self
    }

    /// With this hold time, seconds.
    #[must_use]
    pub fn hold(mut self, seconds: u16) -> Neighbor {
        self.hold = seconds;
        self
    }

    /// Our own address of the family that the session does not run over, as the next hop for its routes.
    #[must_use]
    pub fn next_hop(mut self, address: impl Into<IpAddr>) -> Neighbor {
        self.other_next_hop = Some(address.into());
        self
    }
}

impl Announcement {
    /// A route without optional attributes.
    ///
    /// # Errors
    /// When `prefix` is not one.
    pub fn plain(prefix: &str) -> Result<Announcement> {
        Ok(Announcement {
            prefix: prefix.parse()?,
            incomplete: false,
            med: None,
            local_pref: None,
            prepend: 0,
            communities: Vec::new(),
            large: Vec::new(),
            targets: Vec::new(),
        })
    }

    /// A route with every attribute that a peer can set.
    ///
    /// # Errors
    /// When `prefix` is not one.
    pub fn rich(prefix: &str) -> Result<Announcement> {
        Ok(Announcement {
            incomplete: true,
            med: Some(4_000_000_001),
            local_pref: Some(250),
            prepend: 2,
            communities: vec![(64_900, 1), (65_000, 65_001)],
            large: vec![(4_200_000_001, 2, 3), (64_900, 0, 4_294_967_295)],
            targets: vec![(64_900, 77)],
            ..Announcement::plain(prefix)?
        })
    }
}

/// The attributes of a route, as some router shows them, in one form for all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attributes {
    /// `igp`, `egp` or `incomplete`.
    pub origin: String,
    /// AS numbers, blanks between; an AS_SET in braces.
    pub as_path: String,
    /// The (global) next hop.
    pub next_hop: Option<IpAddr>,
    /// MULTI_EXIT_DISC.
    pub med: Option<u32>,
    /// LOCAL_PREF.
    pub local_pref: Option<u32>,
    /// As `64900:1`.
    pub communities: BTreeSet<String>,
    /// As `64900:0:1`.
    pub large_communities: BTreeSet<String>,
    /// As `rt:64900:77`.
    pub ext_communities: BTreeSet<String>,
}

/// A running router of some make.
pub trait Router {
    /// Whether its session with this neighbour is Established.
    ///
    /// # Errors
    /// When it cannot be asked.
    fn established(&self, neighbor: IpAddr) -> Result<bool>;

    /// The attributes of its best route for exactly this prefix; `None` without one.
    ///
    /// # Errors
    /// When it cannot be asked.
    fn route(&self, prefix: Prefix) -> Result<Option<Attributes>>;

    /// How many prefixes of a family are in its BGP table.
    ///
    /// # Errors
    /// When it cannot be asked.
    fn count(&self, family: Family) -> Result<u64>;

    /// Replaces what it announces.
    ///
    /// # Errors
    /// When it refuses the new configuration.
    fn announce(&mut self, routes: &[Announcement]) -> Result;

    /// Asks a neighbour for its routes again (ROUTE-REFRESH, RFC 2918).
    ///
    /// # Errors
    /// When it refuses.
    fn refresh_in(&self, neighbor: IpAddr) -> Result;

    /// Resets a session.
    ///
    /// # Errors
    /// When it refuses.
    fn reset(&self, neighbor: IpAddr) -> Result;

    /// Starts its process that speaks BGP again, after it was killed.
    ///
    /// # Errors
    /// When it does not come up.
    fn start_again(&mut self) -> Result;

    /// Its process that speaks BGP.
    fn daemon(&mut self) -> &mut Daemon;
}
