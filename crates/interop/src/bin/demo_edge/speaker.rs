//! The peers as the demo sees them: BIRD with routes of any path, and what each router hears from the edge.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use siskin_interop::bird::Bird;
use siskin_interop::frr::Frr;
use siskin_interop::router::{Attributes, Router as _};
use siskin_interop::{Result, fail};
use siskin_net::Family;

/// The edge's AS number.
const US: u32 = 401_000;

/// A static route of BIRD's: the prefix, and statements that set its attributes.
pub(crate) type Route = (String, String);

/// A route that begins here.
pub(crate) fn own(prefix: &str) -> Route {
    (prefix.to_owned(), String::new())
}

/// A route with this path behind the speaker.
pub(crate) fn behind(prefix: &str, path: &[u32]) -> Route {
    let statements = path.iter().rev().map(|asn| format!("bgp_path.prepend({asn}); "));
    (prefix.to_owned(), statements.collect())
}

/// A BIRD with one session, to the edge.
pub(crate) struct Speaker {
    pub(crate) asn: u32,
    /// The number of the network it shares with the edge, and its own there.
    pub(crate) net: u8,
    pub(crate) host: u8,
    /// Lines of its session.
    pub(crate) session: &'static str,
    pub(crate) routes: Vec<Route>,
}

impl Speaker {
    /// `bird.conf`.
    pub(crate) fn text(&self) -> String {
        let Speaker { asn, net, host, session, routes } = self;
        let mut out =
            format!("log stderr all;\nrouter id 10.1.{net}.{host};\nprotocol device {{ scan time 10; }}\n");
        for family in Family::ALL {
            let name = family.name();
            // Writing to a string cannot fail.
            let _ = writeln!(out, "protocol static own_{name} {{\n  {name};");
            for (prefix, statements) in routes {
                if prefix.contains(':') == (family == Family::Ipv6) {
                    let _ = writeln!(out, "  route {prefix} blackhole {{ {statements} }};");
                }
            }
            out.push_str("}\n");
        }
        let _ = writeln!(
            out,
            "protocol bgp edge {{\n  local 10.1.{net}.{host} as {asn};\n  neighbor 10.1.{net}.2 as {US};\n  \
             connect delay time 1;\n  connect retry time 1;\n  error wait time 1, 2;\n  {session}\n  \
             ipv4 {{ import all; export where source = RTS_STATIC; }};\n  \
             ipv6 {{ import all; next hop address 2001:db8:{net}::{host}; export where source = RTS_STATIC; }};\n}}"
        );
        out
    }
}

/// A peer of the edge.
pub(crate) enum Router {
    Frr(Frr),
    Bird(Bird, Box<Speaker>),
}

impl Router {
    /// Every prefix that it has from the edge.
    pub(crate) fn hears(&self) -> Result<BTreeSet<String>> {
        let mut heard = BTreeSet::new();
        match self {
            Router::Frr(frr) => {
                for family in Family::ALL {
                    let table = frr.json(&format!("show bgp {} unicast json", family.name()))?;
                    for (prefix, paths) in table["routes"].as_object().into_iter().flatten() {
                        let ours = format!("{US}");
                        let begins = |path: &str| path.split(' ').next() == Some(ours.as_str());
                        let mut paths = paths.as_array().into_iter().flatten();
                        if paths.any(|path| path["path"].as_str().is_some_and(begins)) {
                            heard.insert(prefix.clone());
                        }
                    }
                }
            }
            Router::Bird(bird, _) => {
                let table = bird.birdc("show route where source = RTS_BGP")?;
                let first = |line: &str| line.split(' ').next().map(str::to_owned);
                heard.extend(table.lines().filter_map(first).filter(|word| word.contains('/')));
            }
        }
        Ok(heard)
    }

    /// What it has for a prefix.
    pub(crate) fn route(&self, prefix: &str) -> Result<Option<Attributes>> {
        let prefix = prefix.parse()?;
        match self {
            Router::Frr(frr) => frr.route(prefix),
            Router::Bird(bird, _) => bird.route(prefix),
        }
    }

    /// Changes what it announces; the session stays.
    pub(crate) fn announce(&mut self, change: impl FnOnce(&mut Vec<Route>)) -> Result {
        match self {
            Router::Frr(_) => fail("FRR's routes stay as they are"),
            Router::Bird(bird, speaker) => {
                change(&mut speaker.routes);
                bird.configure(&speaker.text())
            }
        }
    }
}
