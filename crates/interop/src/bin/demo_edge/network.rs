//! The edge and its neighbours: who is linked to whom, and what each announces.
//!
//! Prefixes and AS numbers look like real ones: those of documentation are bogons to an edge.

use siskin_interop::bird::Bird;
use siskin_interop::frr::Frr;
use siskin_interop::lab::{Lab, Ns};
use siskin_interop::plain::ip;
use siskin_interop::router::{Announcement, Config, Neighbor};
use siskin_interop::siskin::Siskin;
use siskin_interop::{Error, Result};

use crate::services::Services;
use crate::speaker::{Route, Router, Speaker, behind, own};

/// The drawing for the reader.
pub(crate) const DRAWING: &str = "
   upstream-a (FRR, AS 401001)   upstream-b (FRR, AS 401002)
                \\                 /
                 edge (Siskin, AS 401000; on it StayRTR and stand-ins for IRRd and PeeringDB)
                /                 \\
   customer (BIRD, AS 401005)     the exchange's network
                                   |-- route-server (BIRD, AS 401003)
                                   `-- neighbour    (BIRD, AS 401004)";

/// The whole configuration of the edge.
pub(crate) const CONFIG: &str = r#"router = { asn = 401000, router-id = "10.1.1.2" }
originate = [{ prefix = "20.200.0.0/16" }, { prefix = "2a0e:200::/32" }]
rpki.servers = ["127.0.0.1:3323"]
irr = { server = "127.0.0.1:4343", sources = ["RIPE"] }
peeringdb.url = "http://127.0.0.1:8080/api"
[peer]
upstream-a = { address = "10.1.1.1", asn = 401001, role = "provider" }
upstream-b = { address = "10.1.2.1", asn = 401002, role = "provider" }
route-server = { address = "10.1.3.1", asn = 401003, role = "route-server", max-prefix = "peeringdb" }
neighbour = { address = "10.1.3.4", asn = 401004, role = "peer", irr = { as-set = "auto" }, max-prefix = "peeringdb" }
customer = { address = "10.1.5.1", asn = 401005, role = "customer", irr = { as-set = "AS401005:AS-CUSTOMERS" }, max-prefix = { ipv4 = 50, ipv6 = 50 } }
"#;

/// The peers, in the order of the configuration.
pub(crate) const PEERS: [&str; 5] = ["upstream-a", "upstream-b", "route-server", "neighbour", "customer"];

/// Everything that runs.
pub(crate) struct Network {
    pub(crate) edge: Ns,
    pub(crate) siskin: Siskin,
    /// `None` once they are dead.
    pub(crate) services: Option<Services>,
    /// In the order of [`PEERS`].
    pub(crate) routers: Vec<Router>,
}

impl Network {
    /// Makes the machines and cables and starts everything on them; the peers last.
    pub(crate) fn start(lab: &Lab) -> Result<Network> {
        let wires = Wires::new(lab)?;
        let services = Services::start(&wires.edge)?;
        let siskin = Siskin::start(&wires.edge, CONFIG)?;
        let [exchange, neighbour, customer] = [
            bird(&wires.exchange, route_server())?,
            bird(&wires.neighbour, self::neighbour())?,
            bird(&wires.customer, self::customer())?,
        ];
        let upstreams = [upstream(&wires.upstreams[0], 1)?, upstream(&wires.upstreams[1], 2)?];
        let routers = upstreams.into_iter().chain([exchange, neighbour, customer]).collect();
        Ok(Network { edge: wires.edge, siskin, services: Some(services), routers })
    }

    /// The sources, to change what they say.
    pub(crate) fn services(&mut self) -> Result<&mut Services> {
        self.services.as_mut().ok_or_else(|| Error::new("the sources are dead"))
    }

    /// A peer's router.
    pub(crate) fn router(&self, peer: &str) -> Result<&Router> {
        self.routers.get(index(peer)?).ok_or_else(|| Error::new(format!("no router {peer}")))
    }

    /// Changes what a peer announces.
    pub(crate) fn announce(&mut self, peer: &str, change: impl FnOnce(&mut Vec<Route>)) -> Result {
        let found = self.routers.get_mut(index(peer)?);
        found.ok_or_else(|| Error::new(format!("no router {peer}")))?.announce(change)
    }
}

fn index(peer: &str) -> Result<usize> {
    PEERS.iter().position(|name| *name == peer).ok_or_else(|| Error::new(format!("no peer {peer}")))
}

struct Wires {
    edge: Ns,
    upstreams: [Ns; 2],
    exchange: Ns,
    neighbour: Ns,
    customer: Ns,
}

impl Wires {
    /// The route server's machine is the exchange's switch, too.
    fn new(lab: &Lab) -> Result<Wires> {
        let edge = lab.ns("edge")?;
        let cable = |name: &str, interface: &str, net: u8| -> Result<Ns> {
            let ns = lab.ns(name)?;
            let [theirs, ours] = [1, 2].map(|host| addresses(net, host));
            lab.link((&ns, "eth0", &[&theirs[0], &theirs[1]]), (&edge, interface, &[&ours[0], &ours[1]]))?;
            Ok(ns)
        };
        let upstreams = [cable("upstream-a", "upstream-a", 1)?, cable("upstream-b", "upstream-b", 2)?];
        let customer = cable("customer", "customer", 5)?;
        let (exchange, neighbour) = (lab.ns("route-server")?, lab.ns("neighbour")?);
        exchange.bridge("lan0")?;
        for address in addresses(3, 1) {
            exchange.addr("lan0", &address)?;
        }
        for (port, ns, interface, host) in [("port1", &edge, "exchange", 2), ("port2", &neighbour, "eth0", 4)]
        {
            let its = addresses(3, host);
            lab.link((&exchange, port, &[]), (ns, interface, &[&its[0], &its[1]]))?;
            exchange.ip(&format!("link set {port} master lan0"))?;
        }
        Ok(Wires { edge, upstreams, exchange, neighbour, customer })
    }
}

/// A machine's addresses on a network.
fn addresses(net: u8, host: u8) -> [String; 2] {
    [format!("10.1.{net}.{host}/24"), format!("2001:db8:{net}::{host}/64")]
}

/// FRR; upstream-a (1) has a route that is not its own to announce, and both have a network in common.
fn upstream(ns: &Ns, net: u8) -> Result<Router> {
    let asn = 401_000 + u32::from(net);
    let edge = format!("10.1.{net}.2");
    let mut routes = vec![
        Announcement::plain(&format!("20.1{net}.0.0/16"))?,
        Announcement::plain(&format!("2a0e:1{net}::/32"))?,
    ];
    if net == 1 {
        routes.push(Announcement::plain("20.66.0.0/16")?);
    }
    let config = Config::new(asn, [10, 1, net, 1], vec![Neighbor::new(ip(&edge), 401_000)], routes);
    // Without the list FRR tells the edge its own routes again.
    let more = format!(
        "bgp as-path access-list echo deny _401000_\nbgp as-path access-list echo permit .*\n\
         route-map behind permit 10\n set as-path prepend 401055\nexit\n\
         router bgp {asn}\n neighbor {edge} local-role provider\n \
         address-family ipv4 unicast\n  network 20.55.0.0/16 route-map behind\n  neighbor {edge} filter-list echo out\n \
         exit-address-family\n address-family ipv6 unicast\n  neighbor {edge} filter-list echo out\n exit-address-family\nexit\n"
    );
    Ok(Router::Frr(Frr::start_with(ns, &config, &more)?))
}

fn bird(ns: &Ns, speaker: Speaker) -> Result<Router> {
    let config = Config::new(speaker.asn, [10, 1, 0, 1], Vec::new(), Vec::new());
    Ok(Router::Bird(Bird::start_raw(ns, &config, &speaker.text())?, Box::new(speaker)))
}

/// A route server adds no AS number of its own. Of its members one leaks its transit, one wants no route server.
fn route_server() -> Speaker {
    Speaker {
        asn: 401_003,
        net: 3,
        host: 1,
        session: "rs client; local role rs_server;",
        routes: vec![
            behind("20.31.0.0/16", &[401_031]),
            behind("2a0e:31::/32", &[401_031]),
            behind("20.32.0.0/16", &[401_031, 3356, 401_032]),
            behind("20.33.0.0/16", &[401_033]),
        ],
    }
}

fn neighbour() -> Speaker {
    Speaker { asn: 401_004, net: 3, host: 4, session: "local role peer;", routes: vec![own("20.40.0.0/16")] }
}

/// 20.51.0.0/16 is nowhere registered.
fn customer() -> Speaker {
    let routes: Vec<Route> = vec![
        own("20.50.0.0/16"),
        own("2a0e:50::/32"),
        behind("20.52.0.0/16", &[401_052]),
        own("20.51.0.0/16"),
    ];
    Speaker { asn: 401_005, net: 5, host: 1, session: "local role customer;", routes }
}
