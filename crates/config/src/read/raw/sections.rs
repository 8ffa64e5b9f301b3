//! The router itself, the kernel, where routes begin, sets and policies.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use siskin_net::{Asn, BgpIdentifier, FamilyMap, NamePattern, Prefix};
use toml::de::DeValue;

use super::peer::pattern;
use crate::diagnostic::Report;
use crate::model::{
    Communities, CompatMode, Guard, HostLimits, HostTimers, MacAddress, Multipath, OnStop, OriginateKernel,
    ResilientGroups,
};
use crate::read::{Section, Value, host_values};
use crate::source::{Location, Spanned};

/// A key that may be absent.
pub(crate) type Key<T> = Option<Spanned<T>>;

/// A list whose members have places.
pub(crate) type List<T> = Vec<Spanned<T>>;

/// `[router]`.
pub(crate) struct RawRouter {
    pub(crate) asn: Key<Asn>,
    /// `asn` stands there, right or wrong.
    pub(crate) has_asn: bool,
    pub(crate) router_id: Key<BgpIdentifier>,
    pub(crate) listen: Key<List<SocketAddr>>,
    pub(crate) multipath: Key<Multipath>,
    pub(crate) state_dir: Key<PathBuf>,
    pub(crate) drain: Key<bool>,
}

impl RawRouter {
    pub(crate) fn read(mut section: Section<'_>, report: &mut Report) -> RawRouter {
        let raw = RawRouter {
            asn: section.get("asn", report, Value::asn),
            has_asn: section.entry("asn").is_some(),
            router_id: section.get("router-id", report, router_id),
            listen: section
                .get("listen", report, |v, r| v.list("addresses with ports", r, Value::socket_address)),
            multipath: section.get("multipath", report, |v, r| {
                v.word(&[("relaxed", Multipath::Relaxed), ("same-as", Multipath::SameAs)], r)
            }),
            state_dir: section.get("state-dir", report, path),
            drain: section.get("drain", report, Value::boolean),
        };
        section.finish(report);
        raw
    }
}

fn router_id(value: Value<'_>, report: &mut Report) -> Option<BgpIdentifier> {
    let id: BgpIdentifier = value.parsed("a router id", report, |text| {
        text.parse::<BgpIdentifier>().map_err(|_| "expected a dotted quad like 192.0.2.10")
    })?;
    if id.0 == 0 {
        report.error(value.at, "the router id must not be zero (RFC 6286)").label("zero");
        return None;
    }
    Some(id)
}

/// A path that is not empty.
pub(super) fn path(value: Value<'_>, report: &mut Report) -> Option<PathBuf> {
    value.text("a path", report).map(PathBuf::from)
}

/// The name of something declared elsewhere.
pub(crate) fn name(value: Value<'_>, report: &mut Report) -> Option<String> {
    value.text("a name", report)
}

/// `{ ipv4 = …, ipv6 = … }` of addresses, each of its family.
fn family_addresses(value: Value<'_>, report: &mut Report) -> Option<FamilyMap<Option<IpAddr>>> {
    let mut section = match value.toml {
        DeValue::Table(_) => Section::new(value, "{ ipv4 = …, ipv6 = … }", value.at, report)?,
        _ => return value.expected("a table like { ipv4 = \"192.0.2.1\", ipv6 = \"2001:db8::1\" }", report),
    };
    let map = FamilyMap::from_fn(|family| {
        let address = section.get(family.name(), report, Value::address)?;
        if Prefix::host(address.value).family() != family {
            report
                .error(address.at, format!("`{}` is not an {} address", address.value, family.name()))
                .label(format!("expected an {} address", family.name()));
            return None;
        }
        Some(address.value)
    });
    section.finish(report);
    Some(map)
}

/// `[kernel]`.
#[derive(Default)]
pub(crate) struct RawKernel {
    pub(crate) install: Key<bool>,
    pub(crate) table: Key<u32>,
    pub(crate) metric: Key<u32>,
    pub(crate) max_paths: Key<u16>,
    pub(crate) nexthop_groups: Key<bool>,
    pub(crate) resilient_groups: Key<Option<ResilientGroups>>,
    pub(crate) nexthop_compat_mode: Key<CompatMode>,
    pub(crate) mtu: Key<u16>,
    pub(crate) prefsrc: Key<FamilyMap<Option<IpAddr>>>,
    pub(crate) on_stop: Key<OnStop>,
    pub(crate) policy: Key<String>,
    pub(crate) resolve_via_default: Key<bool>,
}

impl RawKernel {
    pub(crate) fn read(mut section: Section<'_>, report: &mut Report) -> RawKernel {
        let raw = RawKernel {
            install: section.get("install", report, Value::boolean),
            table: section.get("table", report, table),
            metric: section.get("metric", report, |v, r| v.integer(1..=u64::from(u32::MAX), r)),
            max_paths: section.get("max-paths", report, |v, r| v.integer(1..=256, r)),
            nexthop_groups: section.get("nexthop-groups", report, Value::boolean),
            resilient_groups: section.get("resilient-groups", report, resilient_groups),
            nexthop_compat_mode: section.get("nexthop-compat-mode", report, |v, r| {
                v.word(&[("keep", CompatMode::Keep), ("off", CompatMode::Off)], r)
            }),
            mtu: section.get("mtu", report, |v, r| v.integer(68..=65_535, r)),
            prefsrc: section.get("prefsrc", report, family_addresses),
            on_stop: section.get("on-stop", report, |v, r| {
                v.word(&[("keep", OnStop::Keep), ("flush", OnStop::Flush)], r)
            }),
            policy: section.get("policy", report, name),
            resolve_via_default: section.get("resolve-via-default", report, Value::boolean),
        };
        section.finish(report);
        raw
    }
}

/// `resilient-groups`; off is `Some(None)`.
fn resilient_groups(value: Value<'_>, report: &mut Report) -> Option<Option<ResilientGroups>> {
    let default = ResilientGroups::default();
    if let DeValue::Boolean(on) = value.toml {
        return Some(on.then_some(default));
    }
    if !matches!(value.toml, DeValue::Table(_)) {
        return value.expected("`true`, `false` or a table like { buckets = 128, idle = \"60s\" }", report);
    }
    let mut section = Section::new(value, "resilient-groups", value.at, report)?;
    let times = Duration::ZERO..=Duration::from_secs(86_400);
    let buckets = section.get("buckets", report, |v, r| v.integer(1..=65_535, r));
    let idle = section.get("idle", report, |v, r| v.duration(times.clone(), r));
    let unbalanced = section.get("unbalanced", report, |v, r| v.duration(times.clone(), r));
    section.finish(report);
    Some(Some(ResilientGroups {
        buckets: buckets.map_or(default.buckets, |b| b.value),
        idle: idle.map_or(default.idle, |i| i.value),
        unbalanced: unbalanced.map_or(default.unbalanced, |u| u.value),
    }))
}

/// A kernel table: `"main"` (254), `"default"` (253), or a number; never `local` (255), which is the kernel's.
pub(super) fn table(value: Value<'_>, report: &mut Report) -> Option<u32> {
    let table = match value.toml {
        DeValue::String(_) => value.word(&[("main", 254), ("default", 253)], report)?,
        DeValue::Integer(_) => value.integer(1..=u64::from(u32::MAX), report)?,
        _ => return value.expected("\"main\" or a table's number", report),
    };
    if table == 255 {
        report.error(value.at, "table 255 (`local`) belongs to the kernel").label("take another");
        return None;
    }
    Some(table)
}

/// `[api]`.
#[derive(Default)]
pub(crate) struct RawApi {
    pub(crate) socket: Key<PathBuf>,
    pub(crate) http: Key<SocketAddr>,
}

impl RawApi {
    pub(crate) fn read(mut section: Section<'_>, report: &mut Report) -> RawApi {
        let raw = RawApi {
            socket: section.get("socket", report, path),
            http: section.get("http", report, Value::socket_address),
        };
        section.finish(report);
        raw
    }
}

/// One `[[originate]]`.
pub(crate) struct RawOriginate {
    pub(crate) prefix: Key<Prefix>,
    pub(crate) kernel: Key<OriginateKernel>,
    pub(crate) communities: Key<Communities>,
}

impl RawOriginate {
    pub(crate) fn read_all(value: Value<'_>, report: &mut Report) -> Vec<RawOriginate> {
        if matches!(value.toml, DeValue::Table(_)) {
            report
                .error(value.at, "`originate` is a list of tables")
                .label("a single table")
                .help("write [[originate]] with double brackets");
            return Vec::new();
        }
        let list = value.list("tables", report, |value, report| {
            let mut section = Section::new(value, "[originate]", value.at, report)?;
            let raw = RawOriginate {
                prefix: section.get("prefix", report, Value::prefix),
                kernel: section.get("kernel", report, |v, r| {
                    let words = [
                        ("blackhole", OriginateKernel::Blackhole),
                        ("unreachable", OriginateKernel::Unreachable),
                        ("prohibit", OriginateKernel::Prohibit),
                        ("none", OriginateKernel::None),
                    ];
                    v.word(&words, r)
                }),
                communities: section.get("communities", report, Value::communities),
            };
            missing(&mut section, &["prefix"], report);
            section.finish(report);
            Some(raw)
        });
        list.unwrap_or_default().into_iter().map(|raw| raw.value).collect()
    }
}

/// Reports keys that must be there and are not.
pub(super) fn missing(section: &mut Section<'_>, keys: &[&'static str], report: &mut Report) {
    for key in keys {
        if section.entry(key).is_none() {
            report
                .error(section.at, format!("`{key}` is missing {}", section.title()))
                .label(format!("no `{key}` here"));
        }
    }
}

/// One `[redistribute.…]`.
pub(crate) struct RawRedistribution {
    pub(crate) policy: Key<String>,
}

impl RawRedistribution {
    pub(crate) fn read(mut section: Section<'_>, report: &mut Report) -> RawRedistribution {
        let raw = RawRedistribution { policy: section.get("policy", report, name) };
        section.finish(report);
        raw
    }
}

/// One `[host-routes.INTERFACE]`.
pub(crate) struct RawHostRoutes {
    pub(crate) prefixes: Key<List<Prefix>>,
    /// `prefixes` stands there, right or wrong.
    pub(crate) has_prefixes: bool,
    pub(crate) gateway: Key<FamilyMap<Option<IpAddr>>>,
    pub(crate) policy: Key<String>,
    pub(crate) vlan: Key<u16>,
    pub(crate) ports: Key<List<NamePattern>>,
    pub(crate) guard: Key<Guard>,
    pub(crate) filter: Key<bool>,
    pub(crate) isolate: Key<bool>,
    pub(crate) bridge_mac: Key<MacAddress>,
    pub(crate) announce_without_evidence: Key<bool>,
    pub(crate) timers: HostTimers,
    pub(crate) limits: Key<HostLimits>,
    pub(crate) vms: Vec<RawVm>,
}

impl RawHostRoutes {
    pub(crate) fn read(mut section: Section<'_>, report: &mut Report) -> RawHostRoutes {
        let guards = [("open", Guard::Open), ("pinned", Guard::Pinned), ("provisioned", Guard::Provisioned)];
        let preset = section.get("preset", report, host_values::preset);
        let preset = preset.map_or_else(HostTimers::default, |preset| preset.value);
        let timers = section.get("timers", report, |v, r| host_values::timers(v, preset, r));
        let raw = RawHostRoutes {
            timers: timers.map_or(preset, |timers| timers.value),
            limits: section.get("limits", report, host_values::limits),
            announce_without_evidence: section.get("announce-without-evidence", report, Value::boolean),
            prefixes: section.get("prefixes", report, |v, r| v.list("prefixes", r, Value::prefix)),
            has_prefixes: section.entry("prefixes").is_some(),
            gateway: section.get("gateway", report, family_addresses),
            policy: section.get("policy", report, name),
            vlan: section.get("vlan", report, |v, r| v.integer(1..=4094, r)),
            ports: section.get("ports", report, |v, r| v.list("interface names", r, pattern)),
            guard: section.get("guard", report, |v, r| v.word(&guards, r)),
            filter: section.get("filter", report, Value::boolean),
            isolate: section.get("isolate", report, Value::boolean),
            bridge_mac: section.get("bridge-mac", report, mac_address),
            vms: match section.entry("vm") {
                Some((_, value)) => RawVm::read_all(value, &section.place, report),
                None => Vec::new(),
            },
        };
        section.finish(report);
        raw
    }
}

fn mac_address(value: Value<'_>, report: &mut Report) -> Option<MacAddress> {
    value.parsed("a MAC address", report, str::parse)
}

/// One `[[host-routes.INTERFACE.vm]]`.
pub(crate) struct RawVm {
    pub(crate) name: Key<String>,
    pub(crate) mac: Key<MacAddress>,
    pub(crate) addresses: Key<List<IpAddr>>,
    pub(crate) port: Key<String>,
}

impl RawVm {
    fn read_all(value: Value<'_>, place: &str, report: &mut Report) -> Vec<RawVm> {
        let list = value.list("tables", report, |value, report| {
            let mut section = Section::new(value, format!("[{place}.vm]"), value.at, report)?;
            let raw = RawVm {
                name: section.get("name", report, name),
                mac: section.get("mac", report, mac_address),
                addresses: section.get("addresses", report, |v, r| v.list("addresses", r, Value::address)),
                port: section.get("port", report, name),
            };
            missing(&mut section, &["name", "mac", "addresses"], report);
            section.finish(report);
            Some(raw)
        });
        list.unwrap_or_default().into_iter().map(|raw| raw.value).collect()
    }
}

/// `[prefix-set.NAME]` or `[community-set.NAME]`: texts whose syntax the policy language owns.
pub(crate) struct RawSet {
    pub(crate) members: List<String>,
}

impl RawSet {
    pub(crate) fn read(mut section: Section<'_>, key: &'static str, report: &mut Report) -> RawSet {
        let members = section.get(key, report, |v, r| v.list(key, r, |v, r| v.text("a string", r)));
        missing(&mut section, &[key], report);
        section.finish(report);
        RawSet { members: members.map_or_else(Vec::new, |list| list.value) }
    }
}

/// `[policy.NAME]`.
pub(crate) struct RawPolicy {
    pub(crate) at: Location,
    pub(crate) rules: List<String>,
}

impl RawPolicy {
    pub(crate) fn read(mut section: Section<'_>, report: &mut Report) -> RawPolicy {
        let rules = section.get("rules", report, |v, r| v.list("rules", r, |v, r| v.text("a rule", r)));
        missing(&mut section, &["rules"], report);
        let at = section.at;
        section.finish(report);
        RawPolicy { at, rules: rules.map_or_else(Vec::new, |list| list.value) }
    }
}
