//! Many networks out of one BIRD: each has an address, an AS number and tables of its own, says what a test wants said in
//! BIRD's words, and remembers all it was ever told. They share one link with Siskin. Network N is 10.0.N.1 and
//! 2001:db8::N, and Siskin is 10.0.N.2 to it, because BIRD has but one session with an address; for all it is 2001:db8::2.
//!
//! AS numbers and prefixes are public ones, because the checks of an edge refuse others.

use std::fmt::Write as _;

use siskin_net::{Family, Prefix};

use crate::bird::{Bird, attributes};
use crate::lab::{Lab, Ns};
use crate::router::{Attributes, Config};
use crate::wait::{SOON, stays, wait_for, wait_some};
use crate::{Error, Result};

/// Siskin's AS number.
pub const US: u32 = 401_000;

/// The `[router]` keys that go with [`US`].
pub const ROUTER: &str = "asn = 401000\nrouter-id = \"10.0.0.2\"\n";

/// Numbers that networks may have.
const HOSTS: std::ops::RangeInclusive<u8> = 11..=18;

/// A network of the world.
#[derive(Debug, Clone, Default)]
pub struct Network {
    /// Its name with Siskin.
    pub name: String,
    /// Its number, 11 to 18, which is in its addresses.
    pub host: u8,
    /// Its AS number.
    pub asn: u32,
    /// What it announces: a prefix and the statements that set attributes, as `bgp_med = 5;`.
    pub routes: Vec<(String, String)>,
    /// Lines of the BGP protocol, as `local role customer;`.
    pub session: String,
    /// Statements of its export filter, before what it announces goes out.
    pub filter: String,
}

impl Network {
    /// A network that announces these prefixes as its own.
    #[must_use]
    pub fn new(name: &str, host: u8, asn: u32, prefixes: &[&str]) -> Network {
        let routes = prefixes.iter().map(|prefix| ((*prefix).to_owned(), String::new())).collect();
        Network { name: name.to_owned(), host, asn, routes, ..Network::default() }
    }

    /// One more prefix, with attributes.
    #[must_use]
    pub fn with(mut self, prefix: &str, attributes: &str) -> Network {
        self.routes.push((prefix.to_owned(), attributes.to_owned()));
        self
    }

    /// One more prefix, behind these AS numbers, the nearest first.
    #[must_use]
    pub fn behind(self, prefix: &str, path: &[u32]) -> Network {
        let mut text = String::new();
        for asn in path.iter().rev() {
            // Writing to a string cannot fail.
            let _ = write!(text, "bgp_path.prepend({asn}); ");
        }
        self.with(prefix, &text)
    }

    /// With these lines in its BGP protocol.
    #[must_use]
    pub fn session(mut self, lines: &str) -> Network {
        lines.clone_into(&mut self.session);
        self
    }

    /// With these statements in its export filter.
    #[must_use]
    pub fn filter(mut self, statements: &str) -> Network {
        statements.clone_into(&mut self.filter);
        self
    }

    /// Siskin's `[peer.NAME]` table for it, with further keys.
    #[must_use]
    pub fn peer(&self, keys: &str) -> String {
        format!("\n[peer.{}]\naddress = \"10.0.{}.1\"\nasn = {}\n{keys}\n", self.name, self.host, self.asn)
    }

    fn text(&self, out: &mut String) -> std::fmt::Result {
        let Network { name, host, asn, session, filter, .. } = self;
        let word = word(name);
        writeln!(out, "filter f_{word} {{ if source != RTS_STATIC then reject; {filter} accept; }}")?;
        for family in Family::ALL {
            let kind = family.name();
            writeln!(out, "{kind} table {word}_{kind};")?;
            writeln!(out, "protocol static s_{word}_{kind} {{\n  {kind} {{ table {word}_{kind}; }};")?;
            for (prefix, attributes) in &self.routes {
                if prefix.contains(':') == (family == Family::Ipv6) {
                    writeln!(out, "  route {prefix} blackhole {{ {attributes} }};")?;
                }
            }
            out.push_str("}\n");
        }
        writeln!(
            out,
            "protocol bgp {word} {{\n  local 10.0.{host}.1 as {asn};\n  neighbor 10.0.{host}.2 as {US};\n  hold time 90;\n  \
             connect delay time 1;\n  connect retry time 1;\n  error wait time 1, 2;\n  {session}"
        )?;
        writeln!(out, "  ipv4 {{ table {word}_ipv4; import all; export filter f_{word}; }};")?;
        writeln!(
            out,
            "  ipv6 {{ table {word}_ipv6; import all; next hop address 2001:db8::{host}; export filter f_{word}; }};\n}}"
        )
    }
}

/// The running world.
#[derive(Debug)]
pub struct World {
    networks: Vec<Network>,
    bird: Bird,
}

impl World {
    /// The world's namespace and Siskin's, on one link: `eth0` there, `up0` here.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn place(lab: &Lab) -> Result<(Ns, Ns)> {
        let (world, us) = (lab.ns("world")?, lab.ns("us")?);
        lab.link((&world, "eth0", &[]), (&us, "up0", &["2001:db8::2/64"]))?;
        for host in HOSTS {
            world.addr("eth0", &format!("10.0.{host}.1/24"))?;
            world.addr("eth0", &format!("2001:db8::{host}/64"))?;
            us.addr("up0", &format!("10.0.{host}.2/24"))?;
        }
        Ok((world, us))
    }

    /// Starts these networks in `ns`.
    ///
    /// # Errors
    /// When BIRD refuses what they say.
    pub fn start(ns: &Ns, networks: Vec<Network>) -> Result<World> {
        let config = Config::new(0, [10, 0, 0, 1], Vec::new(), Vec::new());
        let bird = Bird::start_raw(ns, &config, &text(&networks)?)?;
        Ok(World { networks, bird })
    }

    /// One of the networks.
    ///
    /// # Errors
    /// When there is none of this name.
    pub fn network(&self, name: &str) -> Result<&Network> {
        let found = self.networks.iter().find(|network| network.name == name);
        found.ok_or_else(|| Error::new(format!("no network {name}")))
    }

    /// Changes what a network says; sessions stay where their lines stay.
    ///
    /// # Errors
    /// When BIRD refuses it.
    pub fn change(&mut self, name: &str, change: impl FnOnce(&mut Network)) -> Result {
        let found = self.networks.iter_mut().find(|network| network.name == name);
        change(found.ok_or_else(|| Error::new(format!("no network {name}")))?);
        self.bird.configure(&text(&self.networks)?)
    }

    /// What a network has from Siskin for exactly this prefix.
    ///
    /// # Errors
    /// When BIRD does not answer.
    pub fn route(&self, name: &str, prefix: &str) -> Result<Option<Attributes>> {
        Ok(attributes(&self.shown(name, prefix)?))
    }

    /// The same as BIRD shows it, with attributes that not every router has; empty without a route.
    ///
    /// # Errors
    /// When BIRD does not answer.
    pub fn shown(&self, name: &str, prefix: &str) -> Result<String> {
        let family = prefix.parse::<Prefix>()?.family().name();
        let word = word(name);
        match self.bird.birdc(&format!("show route table {word}_{family} protocol {word} {prefix} all")) {
            // birdc ends with 1 when the network is not in the table.
            Err(error) if error.to_string().contains("Network not found") => Ok(String::new()),
            other => other,
        }
    }

    /// Waits until a network has a route from Siskin.
    ///
    /// # Errors
    /// When it does not happen in time.
    pub fn gets(&self, name: &str, prefix: &str) -> Result<Attributes> {
        wait_some(&format!("{name} to be told of {prefix}"), SOON, || self.route(name, prefix))
    }

    /// Waits until a network has no such route from Siskin.
    ///
    /// # Errors
    /// When it does not happen in time.
    pub fn loses(&self, name: &str, prefix: &str) -> Result {
        wait_for(&format!("{name} to lose {prefix}"), SOON, || Ok(self.route(name, prefix)?.is_none()))
    }

    /// Whether a network was ever told of a prefix.
    #[must_use]
    pub fn ever_had(&self, name: &str, prefix: &str) -> bool {
        let word = word(name);
        // `word.ipv4 > added [best] 192.0.2.0/24 …`, as BIRD's `debug routes` writes it.
        let (from, what) = (format!("{word}."), format!(" {prefix} "));
        self.bird
            .log()
            .lines()
            .any(|line| line.contains(&from) && line.contains("> added") && line.contains(&what))
    }

    /// Whether the session of a network is Established, as it sees it.
    ///
    /// # Errors
    /// When BIRD does not answer.
    pub fn established(&self, name: &str) -> Result<bool> {
        Ok(self.protocol(name)?.contains("Established"))
    }

    /// `show protocols all` of a network's session.
    ///
    /// # Errors
    /// When BIRD does not answer.
    pub fn protocol(&self, name: &str) -> Result<String> {
        self.bird.birdc(&format!("show protocols all {}", word(name)))
    }

    /// Waits until no session is left that is not Established.
    ///
    /// # Errors
    /// When it does not happen in time.
    pub fn all_established(&self) -> Result {
        self.networks.iter().try_for_each(|network| {
            wait_for(&format!("the session of {}", network.name), SOON, || self.established(&network.name))
        })
    }

    /// Checks for a second that a network does not have a route.
    ///
    /// # Errors
    /// When it has it.
    pub fn stays_without(&self, name: &str, prefix: &str) -> Result {
        let span = std::time::Duration::from_secs(1);
        stays(&format!("{name} is not told of {prefix}"), span, || Ok(self.route(name, prefix)?.is_none()))
    }

    /// The BIRD behind it all.
    #[must_use]
    pub fn bird(&self) -> &Bird {
        &self.bird
    }
}

/// A name as BIRD's symbols may be, and none of its own words.
fn word(name: &str) -> String {
    format!("n_{}", name.replace('-', "_"))
}

fn text(networks: &[Network]) -> Result<String> {
    let mut out = String::from(
        "log stderr all;\ndebug protocols { routes };\nrouter id 10.0.0.1;\nprotocol device { scan time 10; }\n",
    );
    for network in networks {
        network.text(&mut out).map_err(|e| Error::new(e.to_string()))?;
    }
    Ok(out)
}
