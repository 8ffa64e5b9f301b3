//! From raw to checked: names resolved, groups merged, defaults applied, what contradicts itself reported.

mod blocklist;
mod builtin;
mod checks;
mod data;
mod edge;
mod local;
mod peer;
mod policy;
mod routes;
mod rule;
mod secret;
mod session;

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use siskin_net::{Asn, FamilyMap};
use siskin_policy::PrefixPattern;

use crate::diagnostic::Report;
use crate::model::{Api, CompatMode, Config, Edge, Kernel, Multipath, OnStop, Router, Rpki};
use crate::not_yet::{self, NotYet};
use crate::read::raw::{Raw, RawApi, RawKernel, RawRouter};
use crate::source::{Location, Spanned};

/// The most peers: their dense numbers are 16 bits wide, some of which local sources need.
const MAX_PEERS: usize = 60_000;

/// What checking carries along.
struct Checker<'r> {
    report: &'r mut Report,
    /// Where relative paths begin.
    base: &'r Path,
    not_yet: Vec<NotYet>,
    /// Which warning was given for which place: a group's key is used by many peers but written once.
    warned: BTreeSet<(&'static str, Location)>,
    patterns: checks::Shared<PrefixPattern>,
    asn_ranges: checks::Shared<RangeInclusive<Asn>>,
}

/// The most octets of a TCP MD5 key, as the kernel has it.
const MAX_MD5_KEY: usize = 80;

/// What the peers are checked against.
struct Context {
    policies: policy::Policies,
    edge: Edge,
    rpki: Rpki,
    local_asn: Asn,
}

/// Checks everything. `None`: something is wrong and reported.
/// `running` is the configuration in whose place this one comes.
pub(crate) fn check(
    mut raw: Raw,
    base: &Path,
    running: Option<&Config>,
    report: &mut Report,
) -> Option<Config> {
    let mut checker = Checker {
        report,
        base,
        not_yet: Vec::new(),
        warned: BTreeSet::new(),
        patterns: checks::Shared::default(),
        asn_ranges: checks::Shared::default(),
    };
    if let Some(extra) = raw.peers.get(MAX_PEERS) {
        checker
            .report
            .error(extra.name.at, format!("there are more than {MAX_PEERS} peers"))
            .label("the first too many");
        return None;
    }
    checker.inherit_all(&mut raw);
    let router = checker.router(raw.router.take());
    // Without a router AS the peers are still worth checking; AS 0 stands in and goes nowhere.
    let local_asn = router.as_ref().map(|r| r.asn).unwrap_or_default();
    let policies = policy::compile(&raw, local_asn, running.map(|config| &*config.policies), checker.report);
    let kernel = checker.kernel(raw.kernel.map(|(_, raw)| raw).unwrap_or_default(), &policies);
    let api = api(raw.api.map(|(_, raw)| raw).unwrap_or_default());
    let rpki = checker.rpki(raw.rpki);
    checker.conditions_without_data(&raw.policies, &policies, &rpki);
    let irr = data::irr(raw.irr);
    let peeringdb = checker.peeringdb(raw.peeringdb);
    let originate = checker.originate(raw.originate);
    let rules = checker.rules(raw.rules);
    let redistribute = checker.redistribute(raw.redistribute, &policies);
    let host_routes = checker.host_routes(raw.host_routes, &policies);
    let own = edge::own_prefixes(&originate, &host_routes);
    let all_keys =
        raw.peers.iter().map(|p| &p.value.keys).chain(raw.dynamic_peers.iter().map(|p| &p.value.keys));
    let any_role = all_keys.into_iter().any(|keys| keys.role.is_some());
    let edge = checker.edge(raw.edge.map(|(_, raw)| raw).unwrap_or_default(), local_asn, own, any_role)?;
    let context = Context { policies, edge, rpki, local_asn };
    let peers = checker.peers(raw.peers, &context);
    let dynamic_peers = checker.dynamic_peers(raw.dynamic_peers, &context);
    let Context { policies, edge, rpki, .. } = context;
    let not_yet = checker.not_yet;
    if report.failed() {
        return None;
    }
    Some(Config {
        router: router?,
        kernel,
        api,
        originate,
        rules,
        redistribute,
        host_routes,
        edge,
        rpki,
        irr,
        peeringdb,
        peers,
        dynamic_peers,
        policies: Arc::clone(policies.set.as_ref()?),
        policy_rules: policies.rules,
        prefix_sets: policies.prefix_sets,
        community_sets: policies.community_sets,
        not_yet,
    })
}

impl Checker<'_> {
    /// Notes the use of a key that does nothing yet; `row` is its row in the table, `path` what the user wrote.
    fn not_yet(&mut self, row: &str, path: &str, at: Location) {
        let Some(instead) = not_yet::instead_of(row) else { return };
        if !self.warned.insert((instead, at)) {
            return;
        }
        let message = format!("`{path}` is configured, but this version does not do it yet: {instead}");
        let (line, column) = self.report.sources().line_column(at);
        self.not_yet.push(NotYet {
            key: path.to_owned(),
            file: self.report.sources().name(at.file).to_owned(),
            line,
            column,
            message,
        });
        self.report
            .warning(at, format!("`{path}` is configured, but this version does not do it yet"))
            .label(instead);
    }

    fn router(&mut self, raw: Option<(Location, RawRouter)>) -> Option<Router> {
        let Some((at, raw)) = raw else {
            self.report
                .error(Location::file(0), "there is no [router] section")
                .help("the least there must be: [router] with `asn = …`");
            return None;
        };
        if !raw.has_asn {
            self.report.error(at, "`asn` is missing in [router]").label("our AS number is needed");
        }
        let listen = match raw.listen {
            Some(list) => self.listen(list.value),
            None => vec![
                SocketAddr::from((Ipv4Addr::UNSPECIFIED, 179)),
                SocketAddr::from((Ipv6Addr::UNSPECIFIED, 179)),
            ],
        };
        Some(Router {
            asn: raw.asn?.value,
            router_id: raw.router_id.map(|id| id.value),
            listen,
            multipath: raw.multipath.map_or(Multipath::Relaxed, |m| m.value),
            state_dir: raw.state_dir.map_or_else(|| PathBuf::from("/var/lib/siskin"), |d| d.value),
            drain: raw.drain.is_some_and(|d| d.value),
        })
    }

    fn listen(&mut self, list: Vec<Spanned<SocketAddr>>) -> Vec<SocketAddr> {
        let mut seen: Vec<Spanned<SocketAddr>> = Vec::new();
        for address in list {
            if let Some(first) = seen.iter().find(|s| s.value == address.value) {
                self.report
                    .error(address.at, format!("`{}` stands twice in `listen`", address.value))
                    .label("again here")
                    .also(first.at, "first here");
            } else {
                seen.push(address);
            }
        }
        seen.into_iter().map(|address| address.value).collect()
    }

    fn kernel(&mut self, raw: RawKernel, policies: &policy::Policies) -> Kernel {
        let max_paths = raw.max_paths.map_or(16, |m| m.value);
        if let Some(groups) = &raw.resilient_groups
            && groups.value.is_some_and(|groups| groups.buckets < max_paths)
        {
            self.report
                .error(groups.at, "a resilient group needs a bucket for each next hop")
                .label(format!("fewer than `max-paths`, which is {max_paths}"));
        }
        Kernel {
            install: raw.install.is_none_or(|i| i.value),
            table: raw.table.map_or(254, |t| t.value),
            metric: raw.metric.map_or(32, |m| m.value),
            max_paths,
            nexthop_groups: raw.nexthop_groups.is_none_or(|n| n.value),
            resilient_groups: raw.resilient_groups.and_then(|r| r.value),
            nexthop_compat_mode: raw.nexthop_compat_mode.map_or(CompatMode::Keep, |m| m.value),
            mtu: raw.mtu.map(|m| m.value),
            prefsrc: raw.prefsrc.map_or_else(|| FamilyMap::<Option<IpAddr>>::from_fn(|_| None), |p| p.value),
            on_stop: raw.on_stop.map_or(OnStop::Keep, |o| o.value),
            policy: raw.policy.and_then(|policy| policies.find(&policy, self.report)),
            resolve_via_default: raw.resolve_via_default.is_some_and(|r| r.value),
        }
    }
}

fn api(raw: RawApi) -> Api {
    Api {
        socket: raw.socket.map_or_else(|| PathBuf::from("/run/siskin/siskin.sock"), |s| s.value),
        http: raw.http.map(|h| h.value),
    }
}
