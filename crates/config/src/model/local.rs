//! Routes that begin here: `[[originate]]`, `[redistribute.*]`, `[host-routes.*]`.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use serde::{Serialize, Serializer};
use siskin_bgp::attr::{Community, ExtendedCommunity, LargeCommunity};
use siskin_net::{FamilyMap, NamePattern, Prefix};
use siskin_policy::{CommunityValue, Compiled};

use super::{HostLimits, HostTimers, MacAddress, serialize};

/// Communities of all three kinds, each sorted and distinct.
#[derive(Clone, Debug, PartialEq, Eq, Default, Hash)]
pub struct Communities {
    /// Standard communities (RFC 1997).
    pub standard: Vec<Community>,
    /// Extended communities (RFC 4360).
    pub extended: Vec<ExtendedCommunity>,
    /// Large communities (RFC 8092).
    pub large: Vec<LargeCommunity>,
}

impl Communities {
    /// Whether there is none of any kind.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.standard.is_empty() && self.extended.is_empty() && self.large.is_empty()
    }

    /// All of them: standard, extended, large.
    pub fn iter(&self) -> impl Iterator<Item = CommunityValue> + '_ {
        let standard = self.standard.iter().copied().map(CommunityValue::Standard);
        let extended = self.extended.iter().copied().map(CommunityValue::Extended);
        standard.chain(extended).chain(self.large.iter().copied().map(CommunityValue::Large))
    }
}

impl FromIterator<CommunityValue> for Communities {
    fn from_iter<I: IntoIterator<Item = CommunityValue>>(iter: I) -> Communities {
        let mut communities = Communities::default();
        let distinct: BTreeSet<CommunityValue> = iter.into_iter().collect();
        for community in distinct {
            match community {
                CommunityValue::Standard(c) => communities.standard.push(c),
                CommunityValue::Extended(c) => communities.extended.push(c),
                CommunityValue::Large(c) => communities.large.push(c),
            }
        }
        communities
    }
}

impl Serialize for Communities {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter().map(|community| community.to_string()))
    }
}

/// One `[[originate]]`: a prefix announced from here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Originate {
    /// The prefix.
    pub prefix: Prefix,
    /// The kernel route that goes with it.
    pub kernel: OriginateKernel,
    /// Communities of the announcement.
    #[serde(skip_serializing_if = "Communities::is_empty")]
    pub communities: Communities,
}

/// The kernel route of an originated prefix: what happens to packets that no more specific route takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum OriginateKernel {
    /// They are dropped.
    Blackhole,
    /// They are dropped and the sender is told.
    Unreachable,
    /// They are dropped and the sender is told that it is forbidden.
    Prohibit,
    /// No kernel route is made.
    None,
}

/// `[redistribute.*]`: routes of the kernel that BGP announces; `None`: not redistributed.
#[derive(Clone, Debug, PartialEq, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Redistribute {
    /// The prefixes of interface addresses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connected: Option<Redistribution>,
    /// Routes an administrator set (kernel protocols `static` and `boot`).
    #[serde(rename = "static", skip_serializing_if = "Option::is_none")]
    pub static_routes: Option<Redistribution>,
    /// All other routes that are not ours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kernel: Option<Redistribution>,
}

/// One `[redistribute.…]`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Redistribution {
    /// Which routes, and with which attributes; `None`: all, unchanged.
    #[serde(serialize_with = "serialize::policy_option", skip_serializing_if = "Option::is_none")]
    pub policy: Option<Arc<Compiled>>,
}

/// `[host-routes.INTERFACE]`: addresses of VMs behind an interface, or behind each one that a pattern matches.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct HostRoutes {
    /// Nothing outside is ever learned; never empty.
    pub prefixes: Vec<Prefix>,
    /// The addresses VMs use as their gateway.
    #[serde(serialize_with = "serialize::family_options")]
    pub gateway: FamilyMap<Option<IpAddr>>,
    /// Attributes of the announcement; `None`: as originated.
    #[serde(serialize_with = "serialize::policy_option", skip_serializing_if = "Option::is_none")]
    pub policy: Option<Arc<Compiled>>,
    /// The VLAN of the bridge named; `None`: the interface itself, or the VLAN of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vlan: Option<u16>,
    /// Which of a bridge's ports are VMs'; empty: all but those that are uplinks by their kind.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<NamePattern>,
    /// Who may claim an address.
    pub guard: Guard,
    /// Whether nftables rules keep each VM's port honest.
    pub filter: bool,
    /// Whether the bridge's VM ports are kept apart from each other.
    pub isolate: bool,
    /// The MAC address the interface has on every hypervisor; `None`: not checked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bridge_mac: Option<MacAddress>,
    /// Whether a declared VM whose port is named is announced as soon as that port is up.
    pub announce_without_evidence: bool,
    /// How long things take, with the preset in it.
    pub timers: HostTimers,
    /// How much one port may have and say.
    pub limits: HostLimits,
    /// Declared VMs, in the file's order; names and addresses are distinct.
    #[serde(rename = "vm", skip_serializing_if = "Vec::is_empty")]
    pub vms: Vec<Vm>,
}

/// Who may claim an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Guard {
    /// Whoever speaks last.
    Open,
    /// First come, then bound to port and MAC.
    Pinned,
    /// Only what is declared.
    Provisioned,
}

/// One `[[host-routes.INTERFACE.vm]]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Vm {
    /// Its name.
    pub name: String,
    /// Its MAC address.
    pub mac: MacAddress,
    /// Its addresses, each within the interface's prefixes; never empty.
    pub addresses: Vec<IpAddr>,
    /// The name of its port; `None`: it may be behind any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<String>,
}
