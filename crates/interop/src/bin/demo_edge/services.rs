//! Where the edge's facts come from, all on the edge's own machine: StayRTR, stand-ins for an IRRd server and PeeringDB.

use std::net::{Ipv4Addr, SocketAddr};

use siskin_interop::Result;
use siskin_interop::irrd::{Failure, Irrd, Registry};
use siskin_interop::lab::Ns;
use siskin_interop::peeringdb::{PeeringDb, record};
use siskin_interop::stayrtr::{StayRtr, Vrp};

/// The VRPs. The first makes a route of upstream-a invalid.
const VRPS: [Vrp<'static>; 8] = [
    ("20.66.0.0/16", 16, 401_066),
    ("20.11.0.0/16", 16, 401_001),
    ("20.31.0.0/16", 16, 401_031),
    ("20.40.0.0/16", 16, 401_004),
    ("20.50.0.0/16", 16, 401_005),
    ("20.200.0.0/16", 16, 401_000),
    ("2a0e:50::/32", 32, 401_005),
    ("2a0e:200::/32", 32, 401_000),
];

/// What the registry knows: the customer's set and the neighbour's, and their route objects.
const REGISTRY: &str = "source RIPE
set AS401005:AS-CUSTOMERS AS401005 AS401052
route AS401005 20.50.0.0/16 2a0e:50::/32
route AS401052 20.52.0.0/16
set AS-NEIGHBOUR AS401004
route AS401004 20.40.0.0/16
";

/// The three servers.
pub(crate) struct Services {
    rtr: StayRtr,
    irrd: Irrd,
    _peeringdb: PeeringDb,
}

impl Services {
    /// Starts them in the edge's namespace.
    pub(crate) fn start(edge: &Ns) -> Result<Services> {
        let rtr = StayRtr::start(edge, 3323, &VRPS)?;
        let mut registry = Registry::read(REGISTRY)?;
        for prefix in neighbour_routes() {
            registry.route("RIPE", 401_004, prefix.parse()?);
        }
        let mut shy = record(401_033, "", 10, 0);
        shy["info_never_via_route_servers"] = true.into();
        let records = vec![record(401_004, "RIPE::AS-NEIGHBOUR", 2, 0), record(401_003, "", 100, 100), shy];
        let at = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let irrd = edge.within(|| Irrd::start(at(4343), registry))?;
        let peeringdb = edge.within(|| PeeringDb::start(at(8080), records))?;
        Ok(Services { rtr, irrd, _peeringdb: peeringdb })
    }

    /// The first VRP goes; returns when StayRTR has told its routers.
    pub(crate) fn withdraw_vrp(&mut self) -> Result {
        let [_, rest @ ..] = &VRPS;
        self.rtr.set(rest)
    }

    /// Whether the registry says that no set exists.
    pub(crate) fn forget_sets(&self, does: bool) {
        self.irrd.fail(does.then_some(Failure::NotFound));
    }
}

/// What the neighbour announces when it leaks: more than its PeeringDB record allows, all registered.
pub(crate) fn neighbour_routes() -> Vec<String> {
    (0..16).map(|n| format!("20.41.{n}.0/24")).collect()
}
