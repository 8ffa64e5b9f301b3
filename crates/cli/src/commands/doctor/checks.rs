//! What host routes need of a host, and why. Every check makes nothing or one [`Finding`]; none changes anything.

use std::fmt::Display;
use std::fs;
use std::net::IpAddr;
use std::process::Command;

use serde_json::Value;
use siskin_config::{Config, HostRoutes, OriginateKernel};
use siskin_net::{Family, NamePattern, Prefix};

use super::host::Host;

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    /// The interface of the configuration, or `host`.
    pub(super) interface: String,
    /// What.
    pub(super) what: String,
    /// Why it matters.
    pub(super) why: &'static str,
    /// The value now.
    pub(super) now: String,
    /// The value wanted.
    pub(super) wanted: String,
    /// What mends it; empty where a person must decide.
    pub(super) mends: Vec<Mend>,
    /// Nothing is wrong, but it could be better.
    pub(super) advice: bool,
}

/// One step of mending.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Mend {
    /// Write a value below `/proc/sys`.
    Parameter(String, String),
    /// Run a program.
    Run(Vec<String>),
}

impl Finding {
    /// Whether it is about the same thing.
    pub(super) fn same_as(&self, other: &Finding) -> bool {
        self.interface == other.interface && self.what == other.what
    }
}

impl Mend {
    /// As one would type it.
    pub(super) fn command(&self) -> String {
        match self {
            // A dot in an interface's name is a slash in `sysctl`'s.
            Mend::Parameter(path, value) => {
                let name: String = path
                    .chars()
                    .map(|c| match c {
                        '/' => '.',
                        '.' => '/',
                        c => c,
                    })
                    .collect();
                format!("sysctl -w {name}={value}")
            }
            Mend::Run(words) => words.join(" "),
        }
    }

    /// Does it.
    pub(super) fn apply(&self) -> Result<(), String> {
        match self {
            Mend::Parameter(path, value) => {
                fs::write(format!("/proc/sys/{path}"), value).map_err(|error| error.to_string())
            }
            Mend::Run(words) => {
                let Some((program, arguments)) = words.split_first() else { return Ok(()) };
                let output = Command::new(program).args(arguments).output().map_err(|e| e.to_string())?;
                let complaint = String::from_utf8_lossy(&output.stderr).trim().to_owned();
                if output.status.success() { Ok(()) } else { Err(complaint) }
            }
        }
    }
}

fn words(line: &str) -> Vec<Mend> {
    vec![Mend::Run(line.split(' ').map(str::to_owned).collect())]
}

/// Kinds of links that VMs are behind, where no names are configured.
const VM_PORTS: [&str; 3] = ["tun", "veth", "macvtap"];

/// Looks at everything.
pub(super) fn all(config: &Config, host: &Host) -> Vec<Finding> {
    let mut found = Vec::new();
    for (section, domain) in &config.host_routes {
        let interfaces = host.interfaces(section, domain);
        // A pattern may match nothing, as long as no VM runs.
        if interfaces.is_empty() && !NamePattern::is_pattern(section) {
            Checks { host, config, name: section, domain, found: &mut found }.wrong(
                "the interface",
                "not there",
                "there",
                "without it no VM is heard",
                Vec::new(),
            );
        }
        for (name, bridge) in interfaces {
            Checks { host, config, name, domain, found: &mut found }.run(bridge);
        }
    }
    if !config.host_routes.is_empty() {
        whole_host(host, &mut found);
    }
    found
}

struct Checks<'a> {
    host: &'a Host,
    config: &'a Config,
    name: &'a str,
    domain: &'a HostRoutes,
    found: &'a mut Vec<Finding>,
}

impl Checks<'_> {
    fn run(mut self, bridge: Option<&str>) {
        let Some(link) = self.host.link(self.name) else { return };
        let name = self.name;
        let up = link["flags"].as_array().is_some_and(|flags| flags.iter().any(|flag| flag == "UP"));
        if !up {
            let why = "an interface that is down has no routes and no neighbours";
            self.wrong("the interface", "down", "up", why, words(&format!("ip link set dev {name} up")));
        }
        self.mac(link);
        self.gateways(link);
        self.parameters();
        if let Some((bridge, link)) = bridge.and_then(|name| Some((name, self.host.link(name)?))) {
            self.bridge(bridge, link);
        }
        self.aggregates();
    }

    fn wrong(
        &mut self,
        what: impl Display,
        now: impl Display,
        wanted: impl Display,
        why: &'static str,
        mends: Vec<Mend>,
    ) {
        self.found.push(Finding {
            interface: self.name.to_owned(),
            what: what.to_string(),
            why,
            now: now.to_string(),
            wanted: wanted.to_string(),
            mends,
            advice: false,
        });
    }

    fn mac(&mut self, link: &Value) {
        const WHY: &str = "a VM that moves here sends to the gateway's MAC address that it knows: if it differs, IPv4 \
                           stands still for 30 s and IPv6 for 51 s unless the VM believes our announcements";
        let is = link["address"].as_str().unwrap_or_default();
        match self.domain.bridge_mac.map(|mac| mac.to_string()) {
            Some(wanted) if wanted != is => {
                let mend = words(&format!("ip link set dev {} address {wanted}", self.name));
                self.wrong("the MAC address", is, &wanted, WHY, mend);
            }
            Some(_) => {}
            None => {
                let wanted = "the same on every hypervisor: name it in `bridge-mac`";
                self.wrong("the MAC address", is, wanted, WHY, Vec::new());
                if let Some(finding) = self.found.last_mut() {
                    finding.advice = true;
                }
            }
        }
    }

    fn gateways(&mut self, link: &Value) {
        let name = self.name;
        for family in Family::ALL {
            let Some(gateway) = self.domain.gateway[family] else { continue };
            let text = gateway.to_string();
            let here = self.host.addresses_of(name).find(|address| address["local"] == *text);
            let what = format!("the gateway's address {gateway}");
            match (here, gateway) {
                (None, IpAddr::V4(_)) => {
                    let why = "VMs ask for it by ARP, and nobody answers";
                    let mend = words(&format!("ip addr add {gateway}/32 dev {name}"));
                    self.wrong(what, "not there", "there", why, mend);
                }
                (None, IpAddr::V6(_)) => {
                    let why = "VMs ask for it by neighbour discovery, and nobody answers";
                    let mend = words(&format!("ip -6 addr add {gateway}/64 dev {name} nodad"));
                    self.wrong(what, "not there", "there, with nodad", why, mend);
                }
                (Some(address), IpAddr::V6(_)) if address["nodad"] != true => {
                    let why = "duplicate address detection keeps it silent for up to 2 s after the first port is up, and \
                               a hostile VM can make it fail";
                    let mend = words(&format!("ip -6 addr replace {gateway}/64 dev {name} nodad"));
                    self.wrong(what, "without nodad", "with nodad", why, mend);
                }
                _ => {}
            }
        }
        if self.domain.gateway[Family::Ipv6].is_some() && link["inet6_addr_gen_mode"] != "none" {
            let why = "a second link-local address is made, and the kernel asks VMs from it";
            let now = link["inet6_addr_gen_mode"].as_str().unwrap_or("unknown");
            let mend = words(&format!("ip link set dev {name} addrgenmode none"));
            self.wrong("addrgenmode", now, "none", why, mend);
        }
    }

    /// One parameter that must have one value.
    fn parameter(&mut self, path: &str, wanted: &str, why: &'static str) {
        // What this kernel does not have does no harm.
        let Some(now) = self.host.parameter(path).filter(|now| now != wanted) else { return };
        let what = path.strip_prefix("net/").unwrap_or(path).to_owned();
        let mend = vec![Mend::Parameter(path.to_owned(), wanted.to_owned())];
        self.wrong(what, now, wanted, why, mend);
    }

    fn parameters(&mut self) {
        const FORWARD: &str = "without forwarding VMs reach this host alone";
        const REDIRECT: &str = "a redirect sends traffic past the router, to where nobody forwards it";
        const LEARN: &str = "VMs must not fill the kernel's table of neighbours; Siskin makes the entries";
        const PROXY: &str = "the host answers ARP of a VM for its own address while its route is missing: the guest sees \
                             an address conflict";
        let v4 = |interface: &str, key: &str| format!("net/ipv4/conf/{interface}/{key}");
        let v6 = |interface: &str, key: &str| format!("net/ipv6/conf/{interface}/{key}");
        let name = self.name;
        let serves = |family| self.domain.prefixes.iter().any(|prefix| prefix.family() == family);
        if serves(Family::Ipv4) {
            self.parameter("net/ipv4/ip_forward", "1", FORWARD);
            self.parameter(&v4(name, "forwarding"), "1", FORWARD);
            self.reverse_path();
            for interface in ["all", name] {
                self.parameter(&v4(interface, "arp_accept"), "0", LEARN);
                self.parameter(&v4(interface, "proxy_arp"), "0", PROXY);
                self.parameter(&v4(interface, "send_redirects"), "0", REDIRECT);
            }
            self.parameter(&v4(name, "accept_redirects"), "0", REDIRECT);
        }
        if serves(Family::Ipv6) {
            self.parameter(&v6("all", "forwarding"), "1", FORWARD);
            self.parameter(&v6(name, "forwarding"), "1", FORWARD);
            self.parameter(&v6(name, "disable_ipv6"), "0", "without IPv6 there are no IPv6 host routes");
            let why = "when the interface goes down and up, its IPv6 addresses go, fe80::1 too";
            self.parameter(&v6(name, "keep_addr_on_down"), "1", why);
            self.parameter(
                &v6(name, "accept_ra"),
                "0",
                "a VM that sends router advertisements becomes our router",
            );
            self.parameter(&v6(name, "accept_redirects"), "0", REDIRECT);
            self.parameter(&v6(name, "accept_untracked_na"), "0", LEARN);
            for interface in ["all", name] {
                self.parameter(&v6(interface, "proxy_ndp"), "0", PROXY);
            }
        }
    }

    /// The larger of `all` and the interface's own counts. Where `all` is too large it is given to each interface of
    /// its own, so that nothing changes for the others.
    fn reverse_path(&mut self) {
        const WHY: &str = "with 0 each false sender makes an entry in the host's one table of neighbours, which is then \
                           full for the uplinks too; the larger of `all` and the interface's own counts";
        let path = |interface: &str| format!("net/ipv4/conf/{interface}/rp_filter");
        let value =
            |interface: &str| self.host.parameter(&path(interface)).and_then(|v| v.parse::<u8>().ok());
        let (Some(all), Some(own)) = (value("all"), value(self.name)) else { return };
        if all.max(own) == 1 {
            return;
        }
        let mut mends = Vec::new();
        let set = |interface: &str, to: u8| Mend::Parameter(path(interface), to.to_string());
        if all > 1 {
            let others = self.host.links.iter().filter_map(|link| link["ifname"].as_str());
            for other in others.filter(|other| *other != self.name).chain(["default"]) {
                if value(other).is_some_and(|of| of < all) {
                    mends.push(set(other, all));
                }
            }
            mends.push(set("all", 0));
        }
        mends.push(set(self.name, 1));
        let what = format!("ipv4/conf/{}/rp_filter", self.name);
        self.wrong(what, format!("{} (all {all}, own {own})", all.max(own)), 1, WHY, mends);
    }

    fn bridge(&mut self, name: &str, link: &Value) {
        let data = &link["linkinfo"]["info_data"];
        let on = |value: &Value| value.as_u64().unwrap_or(0);
        let set = |what: &str| words(&format!("ip link set dev {name} type bridge {what}"));
        if on(&data["mcast_snooping"]) != 0 {
            let why = "neighbour discovery is multicast: a bridge that snoops may keep it from ports, and from the host";
            self.wrong("mcast_snooping", 1, 0, why, set("mcast_snooping 0"));
        }
        if on(&data["stp_state"]) != 0 {
            let why = "a port that comes waits for the spanning tree before it forwards";
            self.wrong("stp_state", on(&data["stp_state"]), 0, why, set("stp_state 0"));
        }
        if on(&data["forward_delay"]) != 0 {
            let why = "ifupdown waits that long when a port comes, and a spanning tree would";
            self.wrong("forward_delay", on(&data["forward_delay"]), 0, why, set("forward_delay 0"));
        }
        if self.domain.filter && on(&data["no_linklocal_learn"]) == 0 {
            let why = "frames to LLDP's group address pass no filter, and the bridge would learn from them";
            self.wrong("no_linklocal_learn", 0, 1, why, set("no_linklocal_learn 1"));
        }
        for (port, of) in self.host.ports(name) {
            if !self.is_vm_port(port, of) {
                continue;
            }
            if self.domain.isolate && of["linkinfo"]["info_slave_data"]["isolated"] != true {
                let why = "VMs reach each other as neighbours, past the router and its rules";
                let mend = words(&format!("bridge link set dev {port} isolated on"));
                self.wrong(format!("port {port}"), "not isolated", "isolated", why, mend);
            }
            let why =
                "the host speaks on the port of a VM by itself: an address of its own, listener reports";
            self.parameter(&format!("net/ipv6/conf/{port}/disable_ipv6"), "1", why);
        }
    }

    /// As the configuration says, else by what VMs' ports are on every hypervisor.
    fn is_vm_port(&self, name: &str, link: &Value) -> bool {
        match self.domain.ports.as_slice() {
            [] => link["linkinfo"]["info_kind"].as_str().is_some_and(|kind| VM_PORTS.contains(&kind)),
            patterns => patterns.iter().any(|pattern| pattern.matches(name)),
        }
    }

    fn aggregates(&mut self) {
        for prefix in &self.domain.prefixes {
            let covers = |sink: &Value| {
                let family = if prefix.family() == Family::Ipv4 { "0.0.0.0/0" } else { "::/0" };
                let text = sink["dst"].as_str().unwrap_or_default();
                let text = if text == "default" { family } else { text };
                let of: Option<Prefix> =
                    text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(Prefix::host));
                // The default sink of IPv6 is on every host, behind every other route.
                of.is_some_and(|of| of.len() > 0 && of.covers(*prefix))
            };
            let originated = self.config.kernel.install
                && self
                    .config
                    .originate
                    .iter()
                    .any(|o| o.kernel != OriginateKernel::None && o.prefix.covers(*prefix));
            if !originated && !self.host.sinks.iter().any(covers) {
                let why = "packets to addresses without a VM circle between this host and its default route";
                let mend = words(&format!("ip route add unreachable {prefix} metric 8192"));
                let wanted = "there (or `[[originate]]` it)";
                self.wrong(format!("an unreachable route for {prefix}"), "not there", wanted, why, mend);
            }
        }
    }
}

/// Limits that are one for the whole host, in its first namespace alone.
fn whole_host(host: &Host, found: &mut Vec<Finding>) {
    for family in ["ipv4", "ipv6"] {
        for (key, least) in [("gc_thresh3", 32_768), ("gc_thresh2", 16_384), ("gc_thresh1", 4_096)] {
            let path = format!("net/{family}/neigh/default/{key}");
            let now = host.parameter(&path).and_then(|value| value.parse::<u32>().ok());
            if let Some(now) = now.filter(|now| *now < least) {
                found.push(Finding {
                    interface: "host".to_owned(),
                    what: format!("{family}/neigh/default/{key}"),
                    why: "the table of neighbours is one for the whole host: when it is full, uplinks lose their gateways",
                    now: now.to_string(),
                    wanted: format!("{least} or more"),
                    mends: vec![Mend::Parameter(path, least.to_string())],
                    advice: false,
                });
            }
        }
    }
}
