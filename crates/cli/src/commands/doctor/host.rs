//! The host as the doctor sees it: what `ip` says as JSON, and the values below `/proc/sys/net`.

use std::fs;
use std::process::Command;

use serde_json::Value;
use siskin_config::HostRoutes;
use siskin_net::NamePattern;

/// Links, addresses and routes; kernel parameters are read when they are asked for.
#[derive(Clone, Debug, Default)]
pub(super) struct Host {
    pub(super) links: Vec<Value>,
    pub(super) addresses: Vec<Value>,
    /// Routes to nowhere, of both families.
    pub(super) sinks: Vec<Value>,
    /// Parameters instead of the kernel's, for tests.
    #[cfg(test)]
    pub(super) parameters: Option<std::collections::BTreeMap<String, String>>,
}

impl Host {
    /// Asks `ip`.
    pub(super) fn read() -> Result<Host, String> {
        let mut sinks = Vec::new();
        for family in ["-4", "-6"] {
            for kind in ["unreachable", "blackhole", "prohibit"] {
                sinks.extend(ip(&[family, "route", "show", "table", "all", "type", kind])?);
            }
        }
        Ok(Host {
            links: ip(&["-d", "link"])?,
            addresses: ip(&["addr"])?,
            sinks,
            #[cfg(test)]
            parameters: None,
        })
    }

    /// A link by its name.
    pub(super) fn link(&self, name: &str) -> Option<&Value> {
        self.links.iter().find(|link| link["ifname"] == name)
    }

    /// The interfaces that a section of the configuration is about, each with the bridge that its VMs are behind.
    pub(super) fn interfaces(&self, section: &str, domain: &HostRoutes) -> Vec<(&str, Option<&str>)> {
        let name = |link: &'_ Value| link["ifname"].as_str().map(str::to_owned);
        let is_bridge = |link: &Value| link["linkinfo"]["info_kind"] == "bridge";
        let bridge = |name: &Value| self.links.iter().find(|link| link["ifname"] == *name && is_bridge(link));
        let pattern = NamePattern::is_pattern(section).then(|| NamePattern::new(section));
        let wanted = |link: &&Value| match &pattern {
            // What is a port of a bridge is the bridge's section's.
            Some(pattern) => {
                name(link).is_some_and(|n| pattern.matches(&n)) && bridge(&link["master"]).is_none()
            }
            None => link["ifname"] == *section,
        };
        let found = self.links.iter().filter(wanted).filter_map(|link| {
            let vlan = domain.vlan.filter(|_| is_bridge(link));
            // The VLAN has its gateway on its device, whatever that is called.
            let device = vlan.and_then(|vlan| {
                let of_vlan =
                    |l: &&Value| l["link"] == link["ifname"] && l["linkinfo"]["info_data"]["id"] == vlan;
                self.links.iter().find(of_vlan)
            });
            let lower = if is_bridge(link) { Some(link) } else { bridge(&link["link"]) };
            Some((device.unwrap_or(link)["ifname"].as_str()?, lower.and_then(|l| l["ifname"].as_str())))
        });
        found.collect()
    }

    /// The names of a bridge's ports.
    pub(super) fn ports<'a>(&'a self, bridge: &'a str) -> impl Iterator<Item = (&'a str, &'a Value)> {
        let ports = self.links.iter().filter(move |link| link["master"] == bridge);
        ports.filter_map(|link| Some((link["ifname"].as_str()?, link)))
    }

    /// The addresses of a link.
    pub(super) fn addresses_of<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Value> {
        let link = self.addresses.iter().filter(move |link| link["ifname"] == name);
        link.filter_map(|link| link["addr_info"].as_array()).flatten()
    }

    /// A parameter by its path below `/proc/sys`; `None` where the kernel, or this namespace, does not have it.
    pub(super) fn parameter(&self, path: &str) -> Option<String> {
        #[cfg(test)]
        if let Some(parameters) = &self.parameters {
            return parameters.get(path).cloned();
        }
        fs::read_to_string(format!("/proc/sys/{path}")).ok().map(|value| value.trim().to_owned())
    }
}

/// What `ip -j` says.
fn ip(arguments: &[&str]) -> Result<Vec<Value>, String> {
    let output = Command::new("ip").arg("-j").args(arguments).output();
    let output = output.map_err(|error| format!("`ip` cannot be run: {error}"))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).trim().to_owned());
    }
    if output.stdout.iter().all(u8::is_ascii_whitespace) {
        return Ok(Vec::new());
    }
    serde_json::from_slice(&output.stdout)
        .map_err(|error| format!("`ip -j {}`: {error}", arguments.join(" ")))
}
