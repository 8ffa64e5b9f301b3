//! StayRTR: an RTR cache that serves what the test says, from a file in the form of `rpki-client`.
//!
//! A change is served at once: the file is replaced, and StayRTR is told by SIGHUP to read it. It leaves out TLS and SSH.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::Result;
use crate::lab::Ns;
use crate::process::Daemon;
use crate::wait::{SOON, wait_for};

/// A validated ROA payload: prefix, longest length, AS number.
pub type Vrp<'a> = (&'a str, u8, u32);

/// A validated ASPA payload: the customer AS, its providers.
pub type Aspa<'a> = (u32, &'a [u32]);

/// A running `stayrtr`, on a port of 127.0.0.1 of its namespace.
#[derive(Debug)]
pub struct StayRtr {
    name: String,
    file: PathBuf,
    ns: Ns,
    daemon: Daemon,
    /// How often it has read a file that differed.
    serials: usize,
}

impl StayRtr {
    /// Starts a cache with these data.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start(ns: &Ns, port: u16, vrps: &[Vrp<'_>]) -> Result<StayRtr> {
        StayRtr::start_with(ns, port, vrps, &[])
    }

    /// The same, with ASPA records, which version 2 of the protocol carries.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start_with(ns: &Ns, port: u16, vrps: &[Vrp<'_>], aspas: &[Aspa<'_>]) -> Result<StayRtr> {
        let name = format!("stayrtr-{port}");
        let file = ns.file(&format!("{name}.json"), &page(vrps, aspas).to_string())?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let mut command = ns.command("stayrtr");
        // Of two caches in a namespace each has metrics of its own: the port beside.
        let metrics = SocketAddr::from((Ipv4Addr::LOCALHOST, port.wrapping_add(1000)));
        command.arg("-bind").arg(address.to_string()).arg("-metrics.addr").arg(metrics.to_string());
        command.arg("-cache").arg(&file).args(["-checktime=false", "-loglevel", "debug"]);
        let log = ns.dir().join(format!("{name}.log"));
        // The log of a run before would be taken for this one's.
        let _ = std::fs::remove_file(&log);
        let mut daemon = Daemon::spawn(&name, &mut command, &log)?;
        wait_for("StayRTR", SOON, || {
            daemon.check_alive()?;
            Ok(daemon.log().contains("Server started"))
        })?;
        Ok(StayRtr { name, file, ns: ns.clone(), daemon, serials: 1 })
    }

    /// Replaces the VRPs, and returns once the cache has them and has told its clients (Serial Notify).
    ///
    /// # Errors
    /// When the cache does not take them. They must differ from those before.
    pub fn set(&mut self, vrps: &[Vrp<'_>]) -> Result {
        self.set_with(vrps, &[])
    }

    /// The same, with ASPA records.
    ///
    /// # Errors
    /// As [`StayRtr::set`].
    pub fn set_with(&mut self, vrps: &[Vrp<'_>], aspas: &[Aspa<'_>]) -> Result {
        let fresh = self.ns.file(&format!("{}.new", self.name), &page(vrps, aspas).to_string())?;
        std::fs::rename(fresh, &self.file)?;
        self.daemon.signal("HUP")?;
        self.serials += 1;
        let Self { daemon, serials, .. } = self;
        wait_for("StayRTR to take other data", SOON, || {
            daemon.check_alive()?;
            Ok(daemon.log().matches("Sending notifications to clients").count() >= *serials)
        })
    }

    /// The process.
    pub fn daemon(&mut self) -> &mut Daemon {
        &mut self.daemon
    }
}

/// A page as `rpki-client` writes it, but with ASPA records where StayRTR 0.5 looks for them.
fn page(vrps: &[Vrp<'_>], aspas: &[Aspa<'_>]) -> Value {
    /// A day in 2096: nothing expires in a test.
    const EXPIRES: u64 = 4_000_000_000;
    let roas = vrps.iter().map(|(prefix, max, asn)| {
        json!({ "asn": asn, "prefix": prefix, "maxLength": max, "ta": "test", "expires": EXPIRES })
    });
    let aspas: Vec<Value> = aspas
        .iter()
        .map(|(customer, providers)| {
            json!({ "customer_asid": customer, "expires": EXPIRES, "providers": providers })
        })
        .collect();
    json!({
        "metadata": { "buildtime": "2025-07-20T09:31:33Z" },
        "roas": roas.collect::<Vec<_>>(),
        "provider_authorizations": { "ipv4": aspas, "ipv6": aspas },
    })
}
