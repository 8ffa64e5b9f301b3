//! Three hypervisors below one leaf, and thousands of VMs that are born, die and move between them; and a look at who is
//! reached where.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;

use serde_json::Value;
use siskin_net::Family;

use crate::hypervisor::{Uplink, upstream};
use crate::lab::{Lab, Ns};
use crate::ports::{Ports, tables};
use crate::process::run;
use crate::router::{Kind, Router};
use crate::siskin::Siskin;
use crate::{Error, Result};

/// The port that test packets go to.
const PORT: u16 = 5001;
/// So many packets are sent without a pause: no queue on their way is full after that.
const BURST: usize = 50;

/// One hypervisor.
pub struct Site {
    /// Its namespace.
    pub hv: Ns,
    /// Its VMs.
    pub ports: Ports,
    /// Siskin.
    pub siskin: Siskin,
}

/// The hypervisors and the leaf.
pub struct Cluster {
    /// The leaf's namespace.
    pub leaf_ns: Ns,
    /// The leaf.
    pub leaf: Box<dyn Router>,
    /// The hypervisors.
    pub sites: Vec<Site>,
}

impl Cluster {
    /// So many hypervisors with so many bridges each and no VM; `keys` go into each bridge's section.
    ///
    /// # Errors
    /// When something does not start.
    pub fn new(lab: &Lab, hypervisors: u8, bridges: u16, keys: &str) -> Result<Cluster> {
        let leaf_ns = lab.ns("leaf")?;
        let mut sites = Vec::new();
        for number in 1..=hypervisors {
            let uplink = Uplink { number };
            let hv = uplink.plug(lab, &leaf_ns)?;
            let ports = Ports::new(lab, &hv, &format!("vms{number}"), bridges)?;
            let siskin = uplink.start(&hv, &tables(bridges, keys))?;
            sites.push(Site { hv, ports, siskin });
        }
        let leaf = upstream(&leaf_ns, Kind::Bird, hypervisors)?;
        for site in &sites {
            site.siskin.wait_established("up")?;
        }
        Ok(Cluster { leaf_ns, leaf, sites })
    }

    /// The interface by which the leaf's kernel reaches each VM's address: `hv1` and so on.
    ///
    /// # Errors
    /// When the kernel cannot be asked.
    pub fn leaf_routes(&self) -> Result<BTreeMap<IpAddr, String>> {
        routes(&self.leaf_ns, "proto bird")
    }

    /// Sends a packet to each address from the leaf.
    ///
    /// # Errors
    /// When a socket cannot be made; a packet without a way is lost in silence.
    pub fn send_to_all(&self, addresses: impl Iterator<Item = IpAddr>) -> Result {
        let addresses: Vec<IpAddr> = addresses.collect();
        self.leaf_ns.within(|| {
            let (four, six) = (UdpSocket::bind("0.0.0.0:0")?, UdpSocket::bind("[::]:0")?);
            for burst in addresses.chunks(BURST) {
                for address in burst {
                    let socket = if address.is_ipv4() { &four } else { &six };
                    let _no_way = socket.send_to(&[0; 32], SocketAddr::new(*address, PORT));
                }
                std::thread::sleep(Duration::from_millis(2));
            }
            Ok(())
        })
    }
}

impl Site {
    /// The interface by which this kernel reaches each VM's address, of Siskin's routes: a bridge or `up0`.
    ///
    /// # Errors
    /// When the kernel cannot be asked.
    pub fn routes(&self) -> Result<BTreeMap<IpAddr, String>> {
        routes(&self.hv, "proto 201")
    }

    /// The addresses with a neighbour entry of Siskin's.
    ///
    /// # Errors
    /// When the kernel cannot be asked.
    pub fn neighbors(&self) -> Result<BTreeSet<IpAddr>> {
        let text = self.hv.ip("neigh show nud permanent")?;
        let ours = text.lines().filter(|line| line.contains("proto 201"));
        ours.map(|line| Ok(line.split_whitespace().next().unwrap_or_default().parse()?)).collect()
    }

    /// Notes from now on what packets arrive at which VM.
    ///
    /// # Errors
    /// When the kernel has no nftables.
    pub fn note_arrivals(&self) -> Result {
        let rules = format!(
            "table inet arrived {{
                set four {{ typeof iifname . ip daddr; size 65535; flags dynamic; }}
                set six {{ typeof iifname . ip6 daddr; size 65535; flags dynamic; }}
                chain note {{ type filter hook prerouting priority 0;
                    meta nfproto ipv4 udp dport {PORT} add @four {{ iifname . ip daddr }}
                    meta nfproto ipv6 udp dport {PORT} add @six {{ iifname . ip6 daddr }}
                }}
            }}"
        );
        run(self.ports.vms().command("nft").arg(rules)).map(drop)
    }

    /// The VM's end and the destination of each packet that arrived so far.
    ///
    /// # Errors
    /// When [`Site::note_arrivals`] was not called.
    pub fn arrivals(&self) -> Result<BTreeSet<(String, IpAddr)>> {
        let mut all = BTreeSet::new();
        for set in ["four", "six"] {
            let text =
                run(self.ports.vms().command("nft").args(["-j", "list", "set", "inet", "arrived", set]))?;
            let listed: Value = serde_json::from_str(&text)?;
            let objects = listed["nftables"].as_array().cloned().unwrap_or_default();
            for element in objects.iter().filter_map(|object| object["set"]["elem"].as_array()).flatten() {
                let part = |at: usize| element["concat"][at].as_str();
                let (Some(end), Some(address)) = (part(0), part(1)) else {
                    return Err(Error::new(format!("an element that is no pair: {element}")));
                };
                all.insert((end.to_owned(), address.parse()?));
            }
        }
        Ok(all)
    }
}

/// The interface of each host route in a kernel that a selector finds.
fn routes(ns: &Ns, selector: &str) -> Result<BTreeMap<IpAddr, String>> {
    let mut found = BTreeMap::new();
    for (family, length) in [(Family::Ipv4, "/32"), (Family::Ipv6, "/128")] {
        let flag = if family == Family::Ipv4 { "-4" } else { "-6" };
        for line in ns.ip(&format!("{flag} route show {selector}"))?.lines() {
            let mut words = line.split_whitespace();
            let Some(Ok(address)) = words.next().map(|w| w.trim_end_matches(length).parse()) else {
                continue;
            };
            let device = words.skip_while(|word| *word != "dev").nth(1).unwrap_or_default();
            found.insert(address, device.to_owned());
        }
    }
    Ok(found)
}
