//! BIRD 2: one process in the foreground with a private control socket, configured from our [`Config`].

use std::fmt::Write as _;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use siskin_net::{Family, Prefix};

use crate::lab::Ns;
use crate::process::{Daemon, run};
use crate::router::{Announcement, Attributes, Config, Neighbor, Router};
use crate::wait::{SOON, wait_for};
use crate::{Error, Result, fail};

/// A running BIRD.
#[derive(Debug)]
pub struct Bird {
    ns: Ns,
    socket: PathBuf,
    config: Config,
    daemon: Daemon,
}

impl Bird {
    /// Starts `bird` in `ns`.
    ///
    /// # Errors
    /// When it does not start or refuses its configuration.
    pub fn start(ns: &Ns, config: &Config) -> Result<Bird> {
        Bird::start_raw(ns, config, &text(config))
    }

    /// Starts `bird` with a configuration of BIRD's own text; `config` is what questions refer to.
    ///
    /// # Errors
    /// As [`Bird::start`].
    pub fn start_raw(ns: &Ns, config: &Config, raw: &str) -> Result<Bird> {
        ns.file("bird.conf", raw)?;
        let socket = ns.dir().join("bird.ctl");
        let daemon = spawn(ns, &socket, &[])?;
        let mut bird = Bird { ns: ns.clone(), socket, config: config.clone(), daemon };
        bird.wait()?;
        Ok(bird)
    }

    fn wait(&mut self) -> Result {
        wait_for("BIRD's control socket", SOON, || {
            self.daemon.check_alive()?;
            Ok(self.birdc("show status").is_ok())
        })
    }

    /// Runs one command in `birdc`.
    ///
    /// # Errors
    /// When BIRD does not answer.
    pub fn birdc(&self, command: &str) -> Result<String> {
        run(Command::new("birdc").arg("-s").arg(&self.socket).args(command.split_whitespace()))
    }

    /// Loads a configuration of BIRD's own text.
    ///
    /// # Errors
    /// When BIRD refuses it.
    pub fn configure(&self, text: &str) -> Result {
        self.ns.file("bird.conf", text)?;
        let answer = self.birdc("configure")?;
        if answer.contains("Reconfigur") { Ok(()) } else { fail(format!("BIRD: {answer}")) }
    }

    /// All it wrote so far.
    #[must_use]
    pub fn log(&self) -> String {
        self.daemon.log()
    }

    fn protocol(&self, neighbor: IpAddr) -> Result<String> {
        let at = self.config.neighbors.iter().position(|n| n.address == neighbor);
        at.map(|index| format!("peer{index}")).ok_or_else(|| Error::new(format!("no neighbor {neighbor}")))
    }
}

fn spawn(ns: &Ns, socket: &Path, more: &[&str]) -> Result<Daemon> {
    let _ = std::fs::remove_file(socket);
    let mut command = ns.command("bird");
    command.arg("-f").arg("-c").arg(ns.dir().join("bird.conf")).arg("-s").arg(socket).args(more);
    Daemon::spawn("bird", &mut command, &ns.dir().join("bird.log"))
}

/// `bird.conf` for our configuration.
#[must_use]
pub fn text(config: &Config) -> String {
    // BIRD sends MED to another AS only where the export filter itself sets it.
    let mut out = format!(
        "filter ours {{\n  if source = RTS_STATIC && defined(bgp_med) then bgp_med = bgp_med;\n  \
         if source = RTS_STATIC || source = RTS_BGP then accept;\n  reject;\n}}\nlog stderr all;\nrouter id {};\nprotocol device {{ scan time 1; }}\nprotocol direct {{ ipv4; ipv6; }}\n",
        config.router_id
    );
    let keep = if config.restarts { "persist; graceful restart;" } else { "" };
    for family in Family::ALL {
        let name = family.name();
        if config.kernel {
            // Without `merge paths` by itself: BIRD 2.0 leaves a lost next hop in the kernel's IPv6 multipath routes.
            let merge = if config.multipath == Some(true) { "merge paths on;" } else { "" };
            let _ = writeln!(
                out,
                "protocol kernel {{ {merge} {keep} {name} {{ import none; export where source = RTS_BGP; }}; }}"
            );
        }
        let _ = writeln!(out, "protocol static static_{name} {{\n  {name};");
        for route in config.routes.iter().filter(|r| r.prefix.family() == family) {
            let _ = writeln!(out, "  route {} blackhole {{{}}};", route.prefix, assignments(route));
        }
        out.push_str("}\n");
    }
    for (index, neighbor) in config.neighbors.iter().enumerate() {
        session(&mut out, config, index, neighbor);
    }
    out
}

/// The attribute assignments of one static route.
fn assignments(route: &Announcement) -> String {
    let mut out = String::new();
    let origin = if route.incomplete { "ORIGIN_INCOMPLETE" } else { "ORIGIN_IGP" };
    let _ = write!(out, " bgp_origin = {origin};");
    if let Some(med) = route.med {
        let _ = write!(out, " bgp_med = {med};");
    }
    if let Some(preference) = route.local_pref {
        let _ = write!(out, " bgp_local_pref = {preference};");
    }
    for _ in 0..route.prepend {
        out.push_str(" bgp_path.prepend(64999);");
    }
    for (a, b) in &route.communities {
        let _ = write!(out, " bgp_community.add(({a},{b}));");
    }
    for (a, b, c) in &route.large {
        let _ = write!(out, " bgp_large_community.add(({a},{b},{c}));");
    }
    for (a, b) in &route.targets {
        let _ = write!(out, " bgp_ext_community.add((rt,{a},{b}));");
    }
    out
}

fn session(out: &mut String, config: &Config, index: usize, neighbor: &Neighbor) {
    let Neighbor { address, asn, passive, hold, .. } = neighbor;
    let passive = if *passive { "on" } else { "off" };
    let graceful = match config.graceful_restart {
        _ if config.restarts => "on",
        true => "aware",
        false => "off",
    };
    let _ = writeln!(
        out,
        "protocol bgp peer{index} {{\n  local as {};\n  neighbor {address} as {asn};\n  hold time {hold};\n  \
         passive {passive};\n  connect delay time 1;\n  connect retry time 2;\n  error wait time 1, 4;\n  \
         graceful restart {graceful};",
        config.asn
    );
    if let Some(source) = neighbor.source {
        let _ = writeln!(out, "  source address {source};");
    }
    for family in &neighbor.families {
        let hop = neighbor.other_next_hop.filter(|hop| hop.is_ipv6() == (*family == Family::Ipv6));
        let hop = hop.map(|hop| format!(" next hop address {hop};")).unwrap_or_default();
        let extended = *family == Family::Ipv4 && neighbor.extended_next_hop;
        let extended = if extended { " extended next hop on;" } else { "" };
        let _ = writeln!(out, "  {} {{ import all;{hop}{extended} export filter ours; }};", family.name());
    }
    out.push_str("}\n");
}

impl Router for Bird {
    fn established(&self, neighbor: IpAddr) -> Result<bool> {
        let text = self.birdc(&format!("show protocols {}", self.protocol(neighbor)?))?;
        Ok(text.contains("Established"))
    }

    fn route(&self, prefix: Prefix) -> Result<Option<Attributes>> {
        let answer = run(Command::new("birdc")
            .arg("-s")
            .arg(&self.socket)
            .args(["show", "route"])
            .arg(prefix.to_string())
            .args(["primary", "all"]));
        match answer {
            Ok(text) => Ok(attributes(&text)),
            // birdc ends with 1 when the network is not in the table.
            Err(error) if error.to_string().contains("Network not found") => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn count(&self, family: Family) -> Result<u64> {
        let table = if family == Family::Ipv4 { "master4" } else { "master6" };
        let text = self.birdc(&format!("show route table {table} primary where source = RTS_BGP count"))?;
        let line = text.lines().find(|line| line.contains("routes for")).unwrap_or_default();
        // `2000 of 2001 routes for 2001 networks in table master4`
        let number = line.split_whitespace().next().and_then(|word| word.parse().ok());
        number.ok_or_else(|| Error::new(format!("no count in: {text}")))
    }

    fn announce(&mut self, routes: &[Announcement]) -> Result {
        self.config.routes = routes.to_vec();
        self.configure(&text(&self.config))
    }

    fn refresh_in(&self, neighbor: IpAddr) -> Result {
        self.birdc(&format!("reload in {}", self.protocol(neighbor)?)).map(drop)
    }

    fn reset(&self, neighbor: IpAddr) -> Result {
        self.birdc(&format!("restart {}", self.protocol(neighbor)?)).map(drop)
    }

    fn start_again(&mut self) -> Result {
        // -R: it was killed, and looks for what the kernel has of its routes.
        self.daemon = spawn(&self.ns, &self.socket, &["-R"])?;
        self.wait()
    }

    fn daemon(&mut self) -> &mut Daemon {
        &mut self.daemon
    }
}

/// The attributes in the answer to `show route … all`; `None` when no BGP route is in it.
pub(crate) fn attributes(text: &str) -> Option<Attributes> {
    let field = |key: &str| {
        text.lines().find_map(|line| line.trim().strip_prefix(key)?.strip_prefix(": ")).map(str::trim)
    };
    // `(64900,1) (rt, 64900, 77)`: one word each, colons between.
    let tuples = |key: &str| {
        let all = field(key).unwrap_or_default();
        let words = all.split(')').filter_map(|part| part.split_once('(').map(|(_, inner)| inner));
        words.map(|inner| inner.split(',').map(str::trim).collect::<Vec<_>>().join(":")).collect()
    };
    Some(Attributes {
        origin: field("BGP.origin")?.to_lowercase(),
        as_path: field("BGP.as_path").unwrap_or_default().to_owned(),
        next_hop: field("BGP.next_hop")
            .and_then(|hops| hops.split_whitespace().next())
            .and_then(|hop| hop.parse().ok()),
        med: field("BGP.med").and_then(|n| n.parse().ok()),
        local_pref: field("BGP.local_pref").and_then(|n| n.parse().ok()),
        communities: tuples("BGP.community"),
        large_communities: tuples("BGP.large_community"),
        ext_communities: tuples("BGP.ext_community"),
    })
}
