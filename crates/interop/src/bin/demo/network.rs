//! The demo's network: who is linked to whom, and the configurations of all.

use siskin_interop::bird::Bird;
use siskin_interop::frr::Frr;
use siskin_interop::lab::{Lab, Ns};
use siskin_interop::plain::ip;
use siskin_interop::router::{Announcement, Config, Neighbor};
use siskin_interop::siskin::Siskin;
use siskin_interop::table::{PEERS, Table};
use siskin_interop::tool::Tool;
use siskin_interop::vm::{Vm, hypervisor_bridge, hypervisor_tables};
use siskin_interop::{Error, Result};
use siskin_net::Family;

/// The client's addresses in the upstreams' network.
pub(crate) const CLIENT4: &str = "192.0.2.100";
/// See [`CLIENT4`].
pub(crate) const CLIENT6: &str = "2001:db8:c::100";
/// AS number of the client's router.
const CLIENT_AS: u32 = 64_700;

/// The drawing for the reader.
pub(crate) const DRAWING: &str = "
      full table          full table
          |                   |
   up1 (FRR, AS 64601)  up2 (FRR, AS 64602)      client 192.0.2.100 / 2001:db8:c::100
          |  \\                |  \\               (BIRD, on one network with up1 and up2)
          |   +---------------|-+ \\
          |  +----------------+  \\ \\
    hv1 (Siskin, AS 65101)   hv2 (Siskin, AS 65102)
          | vmbr1                 | vmbr1
     web01, web02            (later: web01)";

/// An upstream: FRR, and the player that feeds it.
pub(crate) struct Upstream {
    pub(crate) frr: Frr,
    pub(crate) play: Tool,
    /// Routes it is fed, IPv4 and IPv6.
    pub(crate) size: (u64, u64),
}

/// A hypervisor with its Siskin.
pub(crate) struct Hypervisor {
    pub(crate) ns: Ns,
    pub(crate) siskin: Siskin,
}

/// Everything that runs.
pub(crate) struct Network {
    pub(crate) upstreams: Vec<Upstream>,
    pub(crate) client: Ns,
    pub(crate) _client_router: Bird,
    pub(crate) hypervisors: Vec<Hypervisor>,
    pub(crate) vms: Vec<Vm>,
}

/// Namespaces and links alone.
pub(crate) struct Wires {
    upstreams: Vec<Ns>,
    feeders: Vec<Ns>,
    hypervisors: Vec<Ns>,
    client: Ns,
}

fn up_as(up: usize) -> u32 {
    if up == 1 { 64_601 } else { 64_602 }
}

fn hv_as(hv: usize) -> u32 {
    if hv == 1 { 65_101 } else { 65_102 }
}

impl Wires {
    /// Every upstream is linked to its feeder, to both hypervisors and to the client's network.
    pub(crate) fn new(lab: &Lab) -> Result<Wires> {
        let many = |name: &str| (1..=2).map(|n| lab.ns(&format!("{name}{n}"))).collect::<Result<Vec<_>>>();
        let (upstreams, feeders, hypervisors) = (many("up")?, many("feed")?, many("hv")?);
        let client = lab.ns("client")?;
        client.bridge("lan0")?;
        client.addr("lan0", &format!("{CLIENT4}/24"))?;
        client.addr("lan0", &format!("{CLIENT6}/64"))?;
        for (up, (ns, feeder)) in (1..).zip(upstreams.iter().zip(&feeders)) {
            lab.link(
                (feeder, "eth0", &[&format!("10.9.{up}.9/24"), &format!("2001:db8:9{up}::9/64")]),
                (ns, "feed0", &[&format!("10.9.{up}.1/24"), &format!("2001:db8:9{up}::1/64")]),
            )?;
            let port = format!("port{up}");
            let lan = [format!("192.0.2.{up}/24"), format!("2001:db8:c::{up}/64")];
            lab.link((&client, &port, &[]), (ns, "lan0", &[&lan[0], &lan[1]]))?;
            client.ip(&format!("link set {port} master lan0"))?;
            for (hv, host) in (1..).zip(&hypervisors) {
                lab.link(
                    (ns, &format!("hv{hv}"), &[&link4(hv, up, 1), &link6(hv, up, 1)]),
                    (host, &format!("up{up}"), &[&link4(hv, up, 2), &link6(hv, up, 2)]),
                )?;
            }
        }
        hypervisors.iter().try_for_each(hypervisor_bridge)?;
        Ok(Wires { upstreams, feeders, hypervisors, client })
    }

    /// Starts all routers, the VMs and the players; the players wait for their `go`.
    pub(crate) fn start(self, lab: &Lab, table: &Table) -> Result<Network> {
        let mut upstreams = Vec::new();
        for (up, (ns, feeder)) in (1..).zip(self.upstreams.iter().zip(&self.feeders)) {
            upstreams.push(upstream(up, ns, feeder, table)?);
        }
        let neighbors = (1..=2)
            .map(|up| {
                let address = ip(&format!("192.0.2.{up}"));
                Neighbor::new(address, up_as(up)).next_hop(ip(CLIENT6))
            })
            .collect();
        let config = Config::new(CLIENT_AS, [192, 0, 2, 100], neighbors, Vec::new());
        let config = config.with_kernel().without_graceful_restart();
        let client_router = Bird::start(&self.client, &config)?;
        let mut hypervisors = Vec::new();
        for (hv, ns) in (1..).zip(self.hypervisors) {
            let siskin = Siskin::start(&ns, &siskin_config(hv))?;
            hypervisors.push(Hypervisor { ns, siskin });
        }
        let vms = vec![Vm::new(lab, "web01", 30)?, Vm::new(lab, "web02", 31)?];
        for upstream in &mut upstreams {
            let event = upstream.play.event("encoded", std::time::Duration::from_secs(60))?;
            let size = |key: &str| event[key].as_u64().ok_or_else(|| Error::new("a feed without its size"));
            upstream.size = (size("ipv4")?, size("ipv6")?);
        }
        let client = self.client;
        Ok(Network { upstreams, client, _client_router: client_router, hypervisors, vms })
    }
}

fn link4(hv: usize, up: usize, host: u8) -> String {
    format!("10.{hv}.{up}.{host}/24")
}

fn link6(hv: usize, up: usize, host: u8) -> String {
    format!("2001:db8:{hv}0{up}::{host}/64")
}

fn upstream(up: usize, ns: &Ns, feeder: &Ns, table: &Table) -> Result<Upstream> {
    let peer_as = PEERS.get(up - 1).copied().unwrap_or(PEERS[0]);
    let neighbors = vec![
        Neighbor::new(ip(&format!("10.9.{up}.9")), peer_as).passive(),
        Neighbor::new(ip(&format!("10.1.{up}.2")), hv_as(1)),
        Neighbor::new(ip(&format!("10.2.{up}.2")), hv_as(2)),
        Neighbor::new(ip(CLIENT4), CLIENT_AS),
    ];
    let routes = vec![Announcement::plain("192.0.2.0/24")?, Announcement::plain("2001:db8:c::/64")?];
    let id = [192, 0, 2, u8::try_from(up).unwrap_or(0)];
    let config = Config::new(up_as(up), id, neighbors, routes).with_kernel();
    let frr = Frr::start_with(ns, &config, &frr_filters(up))?;
    let play = format!(
        "--connect 10.9.{up}.1 --asn {peer_as} --mrt {} --next-hop4 10.9.{up}.9 --next-hop6 2001:db8:9{up}::9",
        table.path.display()
    );
    Ok(Upstream { frr, play: Tool::play(feeder, "play", &play)?, size: (0, 0) })
}

/// FRR passes the whole table on to hv1; the others get what they need. Its own kernel gets the VMs' routes
/// alone: a million more would cost a minute and show nothing.
fn frr_filters(up: usize) -> String {
    let mut out = String::from(
        "ip prefix-list VMS permit 198.51.100.0/24 le 32\nipv6 prefix-list VMS permit 2001:db8:100::/56 le 128\n\
         ip prefix-list LAN permit 192.0.2.0/24\nipv6 prefix-list LAN permit 2001:db8:c::/64\n",
    );
    let map = |name: &str, list: &str, sequence: u8| {
        format!(
            "route-map {name} permit {sequence}\n match ip address prefix-list {list}\nexit\n\
             route-map {name} permit {}\n match ipv6 address prefix-list {list}\nexit\n",
            sequence + 1
        )
    };
    out += &(map("VMS", "VMS", 10) + &map("SMALL", "VMS", 10) + &map("SMALL", "LAN", 20));
    out += &format!("router bgp {}\n", up_as(up));
    for family in Family::ALL {
        out += &format!(
            " address-family {} unicast\n  table-map VMS\n  neighbor {CLIENT4} route-map VMS out\n  \
             neighbor 10.2.{up}.2 route-map SMALL out\n exit-address-family\n",
            family.name()
        );
    }
    out + "exit\n"
}

/// What a hypervisor's operator writes.
pub(crate) fn siskin_config(hv: usize) -> String {
    let peer = |up: usize| {
        format!(
            "\n[peer.up{up}]\naddress = \"10.{hv}.{up}.1\"\nasn = {}\nimport = \"accept-all\"\nexport = \"vms\"\n",
            up_as(up)
        )
    };
    format!(
        "asn = {}\nrouter-id = \"10.{hv}.1.2\"\n{}{}{}\n[policy.vms]\n\
         rules = [\"accept if source = host-route\", \"reject\"]\n",
        hv_as(hv),
        hypervisor_tables(),
        peer(1),
        peer(2)
    )
}
