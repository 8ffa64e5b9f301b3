//! A hypervisor of the tests: a namespace with an uplink to a router above all of them, and Siskin on it.

use crate::Result;
use crate::lab::{Lab, Ns};
use crate::plain::ip;
use crate::router::{Config, Kind, Neighbor, Router};
use crate::siskin::Siskin;

/// AS number of the router above the hypervisors.
pub const UPSTREAM_AS: u32 = 65_001;

/// A hypervisor's uplink: addresses and AS number follow from its number.
#[derive(Debug, Clone, Copy)]
pub struct Uplink {
    /// The hypervisor's number, from 1.
    pub number: u8,
}

impl Uplink {
    /// The hypervisor's address.
    #[must_use]
    pub fn ours(&self) -> String {
        format!("10.0.{}.2", self.number)
    }

    /// The router's address.
    #[must_use]
    pub fn theirs(&self) -> String {
        format!("10.0.{}.1", self.number)
    }

    /// The hypervisor's AS number.
    #[must_use]
    pub fn asn(&self) -> u32 {
        65_100 + u32::from(self.number)
    }

    /// Makes the hypervisor's namespace with its `up0`, and the router's `hvN`.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn plug(&self, lab: &Lab, upstream: &Ns) -> Result<Ns> {
        let ns = lab.ns(&format!("hv{}", self.number))?;
        let six = |host: u8| format!("2001:db8:{}::{host}/64", self.number);
        lab.link(
            (upstream, &format!("hv{}", self.number), &[&format!("{}/24", self.theirs()), &six(1)]),
            (&ns, "up0", &[&format!("{}/24", self.ours()), &six(2)]),
        )?;
        Ok(ns)
    }

    /// Siskin's configuration: a session `up` with the router, open both ways, and these tables.
    #[must_use]
    pub fn config(&self, tables: &str) -> String {
        format!(
            "asn = {}\nrouter-id = \"{}\"\n{tables}\n[peer.up]\naddress = \"{}\"\nasn = {UPSTREAM_AS}\n\
             import = \"accept-all\"\nexport = \"accept-all\"\n",
            self.asn(),
            self.ours(),
            self.theirs()
        )
    }

    /// Starts Siskin.
    ///
    /// # Errors
    /// As [`Siskin::start`].
    pub fn start(&self, ns: &Ns, tables: &str) -> Result<Siskin> {
        Siskin::start(ns, &self.config(tables))
    }
}

/// What the router above so many hypervisors is configured to: it passes on what it learns, to its kernel, too.
#[must_use]
pub fn upstream_config(hypervisors: u8) -> Config {
    let neighbors = (1..=hypervisors)
        .map(|number| {
            let uplink = Uplink { number };
            Neighbor::new(ip(&uplink.ours()), uplink.asn()).next_hop(ip(&format!("2001:db8:{number}::1")))
        })
        .collect();
    Config::new(UPSTREAM_AS, [10, 0, 0, 1], neighbors, Vec::new()).with_kernel()
}

/// The router above so many hypervisors; the kernel of `ns` forwards by its routes.
///
/// # Errors
/// When it does not start.
pub fn upstream(ns: &Ns, kind: Kind, hypervisors: u8) -> Result<Box<dyn Router>> {
    kind.start(ns, &upstream_config(hypervisors))
}
