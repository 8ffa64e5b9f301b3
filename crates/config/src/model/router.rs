//! `[router]`, `[kernel]` and `[api]`: the speaker itself, what it does to the kernel, where it is asked.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use siskin_net::{Asn, BgpIdentifier, FamilyMap};
use siskin_policy::Compiled;

use super::serialize;

/// `[router]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Router {
    /// Our AS number.
    pub asn: Asn,
    /// Our BGP Identifier; `None`: the daemon takes the highest IPv4 address of `lo`, else of any interface.
    #[serde(serialize_with = "serialize::display_option", skip_serializing_if = "Option::is_none")]
    pub router_id: Option<BgpIdentifier>,
    /// Where connections are accepted; empty: nowhere, every session is opened from here.
    pub listen: Vec<SocketAddr>,
    /// Which paths of equal length may share the load.
    pub multipath: Multipath,
    /// Where what must survive a restart is kept.
    pub state_dir: PathBuf,
    /// Every peer is drained (RFC 8326).
    pub drain: bool,
}

/// Which of several equally good paths may share the load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Multipath {
    /// Also paths through different neighbouring AS.
    Relaxed,
    /// Only paths through the same neighbouring AS.
    SameAs,
}

/// `[kernel]`: what becomes of routes in the kernel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Kernel {
    /// Whether routes are installed at all.
    pub install: bool,
    /// The kernel table's number; `main` is 254.
    pub table: u32,
    /// The metric (priority) of our routes, at least 1.
    pub metric: u32,
    /// The ECMP width, 1 to 256; 1: a single path.
    pub max_paths: u16,
    /// Whether kernel next-hop objects are used; otherwise next hops stand in every route.
    pub nexthop_groups: bool,
    /// Groups that keep flows on their next hops; `None`: the kernel's usual ones.
    #[serde(serialize_with = "serialize::off_option")]
    pub resilient_groups: Option<ResilientGroups>,
    /// What becomes of `net.ipv4.nexthop_compat_mode`.
    pub nexthop_compat_mode: CompatMode,
    /// The largest packet along our routes, in bytes; `None`: that of the link.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mtu: Option<u16>,
    /// The preferred source address of installed routes, by family.
    #[serde(serialize_with = "serialize::family_options")]
    pub prefsrc: FamilyMap<Option<IpAddr>>,
    /// What happens to our routes at a clean stop.
    pub on_stop: OnStop,
    /// Which routes are installed, and in which table; `None`: all, in the table they are for.
    #[serde(serialize_with = "serialize::policy_option", skip_serializing_if = "Option::is_none")]
    pub policy: Option<Arc<Compiled>>,
    /// Whether a next hop may be reached by a default route.
    pub resolve_via_default: bool,
}

/// Groups of the kernel that keep flows on their next hops where others come and go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct ResilientGroups {
    /// How many buckets a group has, at least `max-paths`.
    pub buckets: u16,
    /// How long a bucket must be without traffic before it may go to another next hop.
    #[serde(serialize_with = "serialize::duration")]
    pub idle: Duration,
    /// After how long a next hop gets the buckets it lacks although they have traffic; zero: never.
    #[serde(serialize_with = "serialize::duration")]
    pub unbalanced: Duration,
}

impl Default for ResilientGroups {
    /// 128 buckets, which move after a minute without traffic.
    fn default() -> ResilientGroups {
        ResilientGroups { buckets: 128, idle: Duration::from_secs(60), unbalanced: Duration::ZERO }
    }
}

/// What becomes of `net.ipv4.nexthop_compat_mode` at the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CompatMode {
    /// It stays as it is.
    Keep,
    /// It is switched off, in the daemon's network namespace.
    Off,
}

/// What happens to our kernel routes at a clean stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnStop {
    /// They stay; the next start adopts them.
    Keep,
    /// They are removed.
    Flush,
}

/// `[api]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Api {
    /// The Unix socket of the command line.
    pub socket: PathBuf,
    /// Where reads, metrics and health are served over TCP; `None`: nowhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http: Option<SocketAddr>,
}
