//! FRR: `zebra` and `bgpd` with private sockets, in the foreground, configured from our [`Config`].
//!
//! Of FRR's daemons only these two run; the Debian service is not touched.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use siskin_net::{Family, Prefix};

use crate::install::FRR_DIR;
use crate::lab::Ns;
use crate::process::{Daemon, run};
use crate::router::{Announcement, Attributes, Config, Router};
use crate::wait::{SOON, wait_for};
use crate::{Result, fail};

/// A running FRR.
#[derive(Debug)]
pub struct Frr {
    /// Where it runs, unless that is a container.
    ns: Option<Ns>,
    dir: PathBuf,
    config: Config,
    bgpd: Daemon,
    zebra: Option<Daemon>,
}

impl Frr {
    /// Starts zebra and bgpd in `ns`.
    ///
    /// # Errors
    /// When they do not start.
    pub fn start(ns: &Ns, config: &Config) -> Result<Frr> {
        Frr::start_with(ns, config, "")
    }

    /// The same, with further lines of FRR's own configuration at the end of bgpd's.
    ///
    /// # Errors
    /// When they do not start.
    pub fn start_with(ns: &Ns, config: &Config, extra: &str) -> Result<Frr> {
        let dir = ns.dir().join("frr");
        std::fs::create_dir_all(&dir)?;
        // A socket of a run before, in the same namespace, would look like a zebra that is up.
        let _ = std::fs::remove_file(dir.join("zserv.api"));
        ns.file("frr/zebra.conf", "ip nht resolve-via-default\nipv6 nht resolve-via-default\n")?;
        ns.file("frr/bgpd.conf", &format!("{}{extra}", text(config)))?;
        run(Command::new("chown").args(["-R", "frr:frr"]).arg(&dir))?;
        let zebra = spawn(ns, &dir, "zebra", &[])?;
        wait_for("zebra's socket", SOON, || Ok(dir.join("zserv.api").exists()))?;
        let bgpd = spawn_bgpd(ns, &dir, config)?;
        let mut frr = Frr { ns: Some(ns.clone()), dir, config: config.clone(), bgpd, zebra: Some(zebra) };
        frr.wait()?;
        Ok(frr)
    }

    fn wait(&mut self) -> Result {
        wait_for("bgpd's socket", SOON, || {
            self.bgpd.check_alive()?;
            Ok(self.vtysh(&["show bgp summary json"]).is_ok_and(|text| text.contains('{')))
        })
    }

    /// An FRR that runs elsewhere (a container); its vty sockets are in `dir`, `bgpd` is its process here.
    #[must_use]
    pub fn adopt(dir: &Path, config: &Config, bgpd: Daemon) -> Frr {
        Frr { ns: None, dir: dir.to_owned(), config: config.clone(), bgpd, zebra: None }
    }

    /// Runs commands in `vtysh`, one after the other in one session.
    ///
    /// # Errors
    /// When FRR refuses one.
    pub fn vtysh(&self, commands: &[&str]) -> Result<String> {
        let mut vtysh = Command::new("vtysh");
        vtysh.arg("--vty_socket").arg(&self.dir);
        commands.iter().for_each(|command| {
            vtysh.args(["-c", command]);
        });
        let text = run(&mut vtysh)?;
        match text.lines().find(|line| line.starts_with("% ")) {
            Some(refusal) if !refusal.contains("not in table") => fail(format!("{commands:?}: {refusal}")),
            _ => Ok(text),
        }
    }

    /// Adds to the running configuration what is new in this one, and then takes away the neighbours that it lacks.
    ///
    /// # Errors
    /// When `vtysh` cannot be started.
    pub fn reconfigure(&mut self, config: &Config) -> Result {
        self.load(&text(config))?;
        let addresses: Vec<IpAddr> = config.neighbors.iter().map(|n| n.address).collect();
        let gone = self.config.neighbors.iter().filter(|n| !addresses.contains(&n.address));
        let lines: String = gone.map(|n| format!(" no neighbor {}\n", n.address)).collect();
        self.load(&format!("router bgp {}\n{lines}exit\n", config.asn))?;
        self.config = config.clone();
        Ok(())
    }

    /// Lets `vtysh` read lines of configuration; what FRR refuses it passes over.
    fn load(&self, lines: &str) -> Result {
        let file = self.dir.join("change.conf");
        std::fs::write(&file, lines)?;
        let mut vtysh = Command::new("vtysh");
        vtysh.arg("--vty_socket").arg(&self.dir).arg("-f").arg(&file);
        crate::process::output(&mut vtysh).map(drop)
    }

    /// The JSON answer to a `show … json`.
    ///
    /// # Errors
    /// When there is no answer or it is not JSON.
    pub fn json(&self, command: &str) -> Result<Value> {
        let text = self.vtysh(&[command])?;
        Ok(serde_json::from_str(text.get(text.find('{').unwrap_or(0)..).unwrap_or_default())?)
    }

    /// zebra's process, unless FRR runs in a container.
    #[must_use]
    pub fn zebra(&self) -> Option<&Daemon> {
        self.zebra.as_ref()
    }
}

fn spawn_bgpd(ns: &Ns, dir: &Path, config: &Config) -> Result<Daemon> {
    spawn(ns, dir, "bgpd", if config.kernel { &[] } else { &["-n"] })
}

fn spawn(ns: &Ns, dir: &Path, name: &str, more: &[&str]) -> Result<Daemon> {
    let mut command = ns.command(Path::new(FRR_DIR).join(name));
    command.arg("-f").arg(dir.join(format!("{name}.conf")));
    command.arg("-i").arg(dir.join(format!("{name}.pid")));
    command.arg("-z").arg(dir.join("zserv.api")).arg("--vty_socket").arg(dir);
    command.args(["--log", "stdout", "--log-level", "debug"]).args(more);
    Daemon::spawn(name, &mut command, &ns.dir().join(format!("{name}.log")))
}

/// bgpd's configuration for ours.
#[must_use]
pub fn text(config: &Config) -> String {
    let mut out = String::from("debug bgp neighbor-events\n");
    route_maps(&mut out, &config.routes);
    let _ = writeln!(
        out,
        "router bgp {}\n bgp router-id {}\n no bgp ebgp-requires-policy\n no bgp network import-check\n \
         no bgp default ipv4-unicast\n bgp bestpath as-path multipath-relax\n timers bgp 30 90",
        config.asn, config.router_id
    );
    if config.restarts {
        out.push_str(" bgp graceful-restart\n bgp graceful-restart preserve-fw-state\n");
    }
    for n in &config.neighbors {
        let _ = writeln!(out, " neighbor {} remote-as {}", n.address, n.asn);
        if let Some(source) = n.source {
            let _ = writeln!(out, " neighbor {} update-source {source}", n.address);
        }
        if n.extended_next_hop {
            let _ = writeln!(out, " neighbor {} capability extended-nexthop", n.address);
        }
        let _ = writeln!(out, " neighbor {} timers {} {}", n.address, (n.hold / 3).max(1), n.hold);
        let _ = writeln!(out, " neighbor {} timers connect 2", n.address);
        let _ = writeln!(out, " neighbor {} advertisement-interval 0", n.address);
        if n.passive {
            let _ = writeln!(out, " neighbor {} passive", n.address);
        }
    }
    for family in Family::ALL {
        let _ = writeln!(out, " address-family {} unicast", family.name());
        if let Some(multipath) = config.multipath {
            let _ = writeln!(out, "  maximum-paths {}", if multipath { 8 } else { 1 });
        }
        for n in config.neighbors.iter().filter(|n| n.families.contains(&family)) {
            let _ = writeln!(out, "  neighbor {} activate", n.address);
            let _ = writeln!(out, "  neighbor {} send-community all", n.address);
        }
        for (index, route) in config.routes.iter().enumerate().filter(|(_, r)| r.prefix.family() == family) {
            let _ = writeln!(out, "  network {} route-map set{index}", route.prefix);
        }
        out.push_str(" exit-address-family\n");
    }
    out.push_str("exit\n");
    out
}

/// One route-map for each announced route, with its attributes.
fn route_maps(out: &mut String, routes: &[Announcement]) {
    for (index, route) in routes.iter().enumerate() {
        let _ = writeln!(out, "route-map set{index} permit 10");
        if route.incomplete {
            out.push_str(" set origin incomplete\n");
        }
        if let Some(med) = route.med {
            let _ = writeln!(out, " set metric {med}");
        }
        if let Some(preference) = route.local_pref {
            let _ = writeln!(out, " set local-preference {preference}");
        }
        if route.prepend > 0 {
            let _ = writeln!(out, " set as-path prepend{}", " 64999".repeat(route.prepend.into()));
        }
        line(out, " set community", route.communities.iter().map(|(a, b)| format!("{a}:{b}")));
        line(out, " set large-community", route.large.iter().map(|(a, b, c)| format!("{a}:{b}:{c}")));
        line(out, " set extcommunity rt", route.targets.iter().map(|(a, b)| format!("{a}:{b}")));
        out.push_str("exit\n");
    }
}

fn line(out: &mut String, head: &str, items: impl Iterator<Item = String>) {
    let items: Vec<String> = items.collect();
    if !items.is_empty() {
        let _ = writeln!(out, "{head} {}", items.join(" "));
    }
}

impl Router for Frr {
    fn established(&self, neighbor: IpAddr) -> Result<bool> {
        let all = self.json(&format!("show bgp neighbors {neighbor} json"))?;
        Ok(all.get(neighbor.to_string()).is_some_and(|n| n["bgpState"] == "Established"))
    }

    fn route(&self, prefix: Prefix) -> Result<Option<Attributes>> {
        let answer = self.json(&format!("show bgp {} unicast {prefix} json", prefix.family().name()))?;
        let paths = answer["paths"].as_array().cloned().unwrap_or_default();
        let best = paths.iter().find(|path| path["bestpath"]["overall"] == true);
        Ok(best.map(attributes))
    }

    fn count(&self, family: Family) -> Result<u64> {
        let summary = self.json("show bgp summary json")?;
        Ok(summary[format!("{}Unicast", family.name())]["ribCount"].as_u64().unwrap_or(0))
    }

    fn announce(&mut self, routes: &[Announcement]) -> Result {
        let head = format!("router bgp {}", self.config.asn);
        let mut commands = vec!["configure terminal".to_owned(), head];
        for old in &self.config.routes {
            commands.push(format!("address-family {} unicast", old.prefix.family().name()));
            commands.push(format!("no network {}", old.prefix));
            commands.push("exit-address-family".to_owned());
        }
        self.config.routes = routes.to_vec();
        let fresh = text(&self.config);
        let mut maps = String::new();
        routes.iter().enumerate().for_each(|(index, _)| {
            let _ = writeln!(maps, "no route-map set{index}");
        });
        commands.push("exit".to_owned());
        let lines = commands.iter().map(String::as_str).chain(maps.lines()).chain(fresh.lines());
        // An unknown route-map cannot be deleted; the first list may be shorter than this one.
        self.load(&lines.map(|l| format!("{l}\n")).collect::<String>())
    }

    fn refresh_in(&self, neighbor: IpAddr) -> Result {
        // Without `soft` FRR would reset the session; `in` sends ROUTE-REFRESH when it was negotiated.
        for family in Family::ALL {
            self.vtysh(&[&format!("clear bgp {} unicast {neighbor} in", family.name())])?;
        }
        Ok(())
    }

    fn reset(&self, neighbor: IpAddr) -> Result {
        self.vtysh(&[&format!("clear bgp {neighbor}")]).map(drop)
    }

    fn start_again(&mut self) -> Result {
        let ns = self.ns.clone().ok_or_else(|| crate::Error::new("this FRR runs in a container"))?;
        self.bgpd = spawn_bgpd(&ns, &self.dir, &self.config)?;
        self.wait()
    }

    fn daemon(&mut self) -> &mut Daemon {
        &mut self.bgpd
    }
}

/// A path of `show bgp … PREFIX json` in our form.
fn attributes(path: &Value) -> Attributes {
    let words = |key: &str| -> Vec<String> {
        let text = path[key]["string"].as_str().unwrap_or_default();
        text.split_whitespace().map(str::to_owned).collect()
    };
    let number = |key: &str| path[key].as_u64().and_then(|n| u32::try_from(n).ok());
    let hops = path["nexthops"].as_array().cloned().unwrap_or_default();
    let global = hops.iter().find(|hop| hop["scope"] != "link-local");
    Attributes {
        origin: path["origin"].as_str().unwrap_or_default().to_lowercase(),
        as_path: path["aspath"]["string"].as_str().filter(|p| *p != "Local").unwrap_or_default().to_owned(),
        next_hop: global.and_then(|hop| hop["ip"].as_str()).and_then(|ip| ip.parse().ok()),
        med: number("metric").or_else(|| number("med")),
        local_pref: number("locPrf").or_else(|| number("localpref")),
        communities: words("community").into_iter().collect(),
        large_communities: words("largeCommunity").into_iter().collect(),
        ext_communities: words("extendedCommunity").iter().map(|c| c.to_lowercase()).collect(),
    }
}
