//! What the kernel of a namespace has, read through iproute2: a second pair of eyes beside Siskin's own.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use serde_json::Value;
use siskin_net::Family;

use crate::lab::Ns;
use crate::{Error, Result, fail};

/// The routing protocol number of Siskin's routes.
pub const PROTOCOL: &str = "201";

/// A route as `ip -json route` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KernelRoute {
    /// Destination, `default` for the default route.
    pub dst: String,
    /// `unicast`, `blackhole`, `unreachable`.
    pub kind: String,
    /// Gateways with their interfaces, as `GATEWAY%INTERFACE`, sorted; on-link hops have an empty gateway.
    pub hops: Vec<String>,
    /// The next-hop object, where the route has one.
    pub nhid: Option<u64>,
    /// Priority.
    pub metric: Option<u64>,
    /// Preferred source.
    pub prefsrc: Option<String>,
    /// Protocol number or name.
    pub protocol: String,
}

fn flag(family: Family) -> &'static str {
    match family {
        Family::Ipv4 => "-4",
        Family::Ipv6 => "-6",
    }
}

/// Routes of a namespace; `filter` is more words for `ip route show`, for example `proto 201`.
///
/// # Errors
/// When `ip` fails or prints no JSON.
pub fn routes(ns: &Ns, family: Family, filter: &str) -> Result<Vec<KernelRoute>> {
    let text = ns.ip(&format!("-N -j {} route show {filter}", flag(family)))?;
    let list: Value = serde_json::from_str(if text.trim().is_empty() { "[]" } else { &text })?;
    Ok(list.as_array().into_iter().flatten().map(route).collect())
}

/// The one route of Siskin's to `dst`, if it is there.
///
/// # Errors
/// As [`routes`].
pub fn siskin_route(ns: &Ns, dst: &str) -> Result<Option<KernelRoute>> {
    let family = if dst.contains(':') { Family::Ipv6 } else { Family::Ipv4 };
    // iproute2 writes host routes without their length.
    let short = dst.strip_suffix("/32").or_else(|| dst.strip_suffix("/128")).unwrap_or(dst);
    // `ip` itself picks the one out of a million.
    let found = routes(ns, family, &format!("exact {dst} proto {PROTOCOL}"))?;
    Ok(found.into_iter().find(|route| route.dst == short || route.dst == dst))
}

fn route(from: &Value) -> KernelRoute {
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let hop = |value: &Value| {
        let gateway = if value["gateway"].is_null() { &value["via"]["host"] } else { &value["gateway"] };
        format!("{}%{}", word(gateway), word(&value["dev"]))
    };
    let mut hops: Vec<String> = match from["nexthops"].as_array() {
        Some(list) => list.iter().map(hop).collect(),
        None if from["dev"].is_null() => Vec::new(),
        None => vec![hop(from)],
    };
    hops.sort();
    // With `-N` the type is a number where it is not unicast.
    let kind = match word(&from["type"]).as_str() {
        "" | "1" => "unicast".to_owned(),
        "6" => "blackhole".to_owned(),
        "7" => "unreachable".to_owned(),
        other => other.to_owned(),
    };
    KernelRoute {
        dst: word(&from["dst"]),
        kind,
        hops,
        nhid: from["nhid"].as_u64(),
        metric: from["metric"].as_u64(),
        prefsrc: from["prefsrc"].as_str().map(str::to_owned),
        protocol: word(&from["protocol"]),
    }
}

/// How many routes match, and how many of these have at least two next hops.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// All of them.
    pub routes: u64,
    /// Those with two next hops or more.
    pub multipath: u64,
}

/// Counts routes without keeping them: a full table is a million lines.
///
/// # Errors
/// When `ip` cannot be started or fails.
pub fn count(ns: &Ns, family: Family, filter: &str) -> Result<Counts> {
    let mut counts = Counts::default();
    each_line(ns, family, filter, |line| {
        counts.routes += 1;
        counts.multipath += u64::from(is_multipath(line));
        true
    })?;
    Ok(counts)
}

/// The first route with two next hops, as `ip route` prints it, its next hops on lines of their own.
///
/// # Errors
/// As [`count`].
pub fn first_multipath(ns: &Ns, family: Family, filter: &str) -> Result<Option<String>> {
    let mut found = None;
    each_line(ns, family, filter, |line| {
        if is_multipath(line) {
            found = Some(line.trim_end().replace('\\', "\n   "));
        }
        found.is_none()
    })?;
    Ok(found)
}

fn is_multipath(line: &str) -> bool {
    line.matches("nexthop ").take(2).count() == 2
}

/// Reads the lines of `ip -oneline route show` as long as `more` wants them.
fn each_line(ns: &Ns, family: Family, filter: &str, mut more: impl FnMut(&str) -> bool) -> Result {
    let mut child = Command::new("ip")
        .args(["-n", ns.full_name(), flag(family), "-o", "route", "show"])
        .args(filter.split_whitespace())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    let output = child.stdout.take().ok_or_else(|| Error::new("no output of `ip`"))?;
    let mut reader = BufReader::with_capacity(1 << 20, output);
    let mut line = String::new();
    while reader.read_line(&mut line)? > 0 {
        if !more(&line) {
            child.kill()?;
            child.wait()?;
            return Ok(());
        }
        line.clear();
    }
    if child.wait()?.success() { Ok(()) } else { fail("`ip route show` failed") }
}
