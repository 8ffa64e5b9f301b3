//! The tables of the file as written: typed, each value with its place, names unresolved, nothing defaulted.

mod data;
mod edge;
mod peer;
mod rule;
mod sections;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use toml::de::DeTable;

pub(crate) use data::{RawIrr, RawPeeringDb, RawRpki, RawRtrServer};
pub(crate) use edge::RawEdge;
pub(crate) use peer::{PeerKeys, RawDynamicPeer, RawPeer, RawPeerGroup, is_interface};
pub(crate) use rule::RawRule;
pub(crate) use sections::{
    Key, List, RawApi, RawHostRoutes, RawKernel, RawOriginate, RawPolicy, RawRedistribution, RawRouter,
    RawSet, RawVm,
};

use super::{Section, Value};
use crate::diagnostic::Report;
use crate::source::{Location, Spanned};

/// A table with a name the user chose.
pub(crate) struct Named<T> {
    pub(crate) name: Spanned<String>,
    pub(crate) value: T,
}

/// All files, put together.
#[derive(Default)]
pub(crate) struct Raw {
    pub(crate) router: Option<(Location, RawRouter)>,
    pub(crate) kernel: Option<(Location, RawKernel)>,
    pub(crate) api: Option<(Location, RawApi)>,
    pub(crate) edge: Option<(Location, RawEdge)>,
    pub(crate) rpki: Option<(Location, RawRpki)>,
    pub(crate) irr: Option<(Location, RawIrr)>,
    pub(crate) peeringdb: Option<(Location, RawPeeringDb)>,
    pub(crate) originate: Vec<RawOriginate>,
    pub(crate) rules: Vec<RawRule>,
    pub(crate) redistribute: Vec<Named<RawRedistribution>>,
    pub(crate) host_routes: Vec<Named<RawHostRoutes>>,
    pub(crate) peer_groups: Vec<Named<RawPeerGroup>>,
    pub(crate) peers: Vec<Named<RawPeer>>,
    pub(crate) dynamic_peers: Vec<Named<RawDynamicPeer>>,
    pub(crate) prefix_sets: Vec<Named<RawSet>>,
    pub(crate) community_sets: Vec<Named<RawSet>>,
    pub(crate) policies: Vec<Named<RawPolicy>>,
    names: Names,
}

impl Raw {
    /// Adds one file. Only the main one, file 0, may include others.
    pub(crate) fn read_file(&mut self, table: &DeTable<'_>, file: usize, report: &mut Report) {
        let mut top = Section::top(table, file);
        let names = &mut self.names;
        if let Some((at, _)) = top.entry("include")
            && file != 0
        {
            report.error(at, "an included file cannot include others").label("only the main file can");
        }
        once(&mut self.router, "router", &mut top, report, RawRouter::read);
        once(&mut self.kernel, "kernel", &mut top, report, RawKernel::read);
        once(&mut self.api, "api", &mut top, report, RawApi::read);
        once(&mut self.edge, "edge", &mut top, report, RawEdge::read);
        once(&mut self.rpki, "rpki", &mut top, report, RawRpki::read);
        once(&mut self.irr, "irr", &mut top, report, RawIrr::read);
        once(&mut self.peeringdb, "peeringdb", &mut top, report, RawPeeringDb::read);
        if let Some((_, value)) = top.entry("originate") {
            self.originate.extend(RawOriginate::read_all(value, report));
        }
        if let Some((_, value)) = top.entry("rule") {
            self.rules.extend(RawRule::read_all(value, report));
        }
        if let Some(mut section) = top.sub("redistribute", report) {
            for key in ["connected", "static", "kernel"] {
                if let Some(section) = section.sub(key, report) {
                    let name = Spanned { value: key.to_owned(), at: section.at };
                    if names.is_new("redistribute", &name, report) {
                        self.redistribute
                            .push(Named { name, value: RawRedistribution::read(section, report) });
                    }
                }
            }
            section.finish(report);
        }
        each(&mut self.host_routes, names, "host-routes", &mut top, report, RawHostRoutes::read);
        each(&mut self.peer_groups, names, "peer-group", &mut top, report, RawPeerGroup::read);
        each(&mut self.peers, names, "peer", &mut top, report, RawPeer::read);
        each(&mut self.dynamic_peers, names, "dynamic-peer", &mut top, report, RawDynamicPeer::read);
        each(&mut self.prefix_sets, names, "prefix-set", &mut top, report, |s, r| {
            RawSet::read(s, "prefixes", r)
        });
        each(&mut self.community_sets, names, "community-set", &mut top, report, |s, r| {
            RawSet::read(s, "communities", r)
        });
        each(&mut self.policies, names, "policy", &mut top, report, RawPolicy::read);
        top.finish(report);
    }
}

/// A section that stands once in all files.
fn once<'t, T>(
    slot: &mut Option<(Location, T)>,
    key: &'static str,
    top: &mut Section<'t>,
    report: &mut Report,
    read: impl FnOnce(Section<'t>, &mut Report) -> T,
) {
    let Some(section) = top.sub(key, report) else { return };
    let at = section.at;
    match slot {
        Some((first, _)) => {
            report.error(at, format!("[{key}] stands twice")).label("again here").also(*first, "first here");
        }
        None => *slot = Some((at, read(section, report))),
    }
}

/// Tables with names: `[key.NAME]`, distinct over all files.
fn each<'t, T>(
    list: &mut Vec<Named<T>>,
    names: &mut Names,
    key: &'static str,
    top: &mut Section<'t>,
    report: &mut Report,
    mut read: impl FnMut(Section<'t>, &mut Report) -> T,
) {
    let Some(section) = top.sub(key, report) else { return };
    for (name, at, value) in section.named() {
        let name = Spanned { value: name.to_owned(), at };
        // An interface's name has rules of its own, which the check of its section knows.
        if key != "host-routes" && !is_name(&name.value) {
            bad_name(&name, key, report);
        }
        let Some(section) = named_table(value, key, &name, report) else { continue };
        if names.is_new(key, &name, report) {
            list.push(Named { name, value: read(section, report) });
        }
    }
}

/// A key straight in `[peer]` is usually a forgotten name.
fn named_table<'t>(
    value: Value<'t>,
    key: &str,
    name: &Spanned<String>,
    report: &mut Report,
) -> Option<Section<'t>> {
    if matches!(value.toml, toml::de::DeValue::Table(_)) {
        return Section::new(value, format!("{key}.{}", name.value), name.at, report);
    }
    report
        .error(name.at, format!("[{key}] holds tables with names, not keys"))
        .label("a key without a table")
        .help(format!("give the table a name: [{key}.NAME]"));
    None
}

/// Which names are taken, and where.
#[derive(Default)]
struct Names(BTreeMap<(&'static str, String), Location>);

impl Names {
    fn is_new(&mut self, key: &'static str, name: &Spanned<String>, report: &mut Report) -> bool {
        match self.0.entry((key, name.value.clone())) {
            Entry::Vacant(entry) => {
                entry.insert(name.at);
                true
            }
            Entry::Occupied(first) => {
                report
                    .error(name.at, format!("[{key}.{}] stands twice", name.value))
                    .label("again here")
                    .also(*first.get(), "first here");
                false
            }
        }
    }
}

/// Names of peers, groups, policies and sets: `[a-zA-Z0-9_.-]{1,64}`.
fn is_name(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
}

fn bad_name(name: &Spanned<String>, key: &str, report: &mut Report) {
    report
        .error(name.at, format!("\"{}\" cannot be a name in [{key}.…]", name.value))
        .label("expected 1 to 64 letters, digits, '_', '.' or '-'");
}
