//! `[edge]`: the lists of the built-in rules, shipped or the user's.

use std::collections::BTreeMap;
use std::sync::Arc;

use siskin_net::{Asn, Prefix};
use siskin_policy::PrefixPattern;

use super::{Checker, blocklist};
use crate::model::{Blocklist, Edge, HostRoutes, Originate};
use crate::read::raw::{List, RawEdge};
use crate::shipped;
use crate::source::Spanned;

/// The most files of `blocklist-files`.
const MAX_FILES: usize = 64;

impl Checker<'_> {
    /// `None`: too much of something, which is reported.
    pub(super) fn edge(
        &mut self,
        raw: RawEdge,
        local_asn: Asn,
        own: Vec<PrefixPattern>,
        any_role: bool,
    ) -> Option<Edge> {
        let files = raw.blocklist_files.map_or_else(Vec::new, |list| list.value);
        if let Some(extra) = files.get(MAX_FILES) {
            self.report.error(extra.at, format!("more than {MAX_FILES} blocklist files")).label("too many");
            return None;
        }
        let mut blocklist = Blocklist::default();
        for file in &files {
            self.blocklist(file, &mut blocklist);
        }
        blocklist.asns.sort_unstable();
        blocklist.asns.dedup();
        blocklist.prefixes.sort_unstable();
        blocklist.prefixes.dedup();
        Some(Edge {
            bogon_prefixes: raw.bogon_prefixes.map_or_else(shipped::bogon_prefixes, |l| given(l.value)),
            bogon_asns: raw.bogon_asns.map_or_else(shipped::bogon_asns, |l| given(l.value)),
            transit_asns: raw.transit_asns.map_or_else(shipped::transit_asns, |l| given(l.value)),
            own_prefixes: raw.own_prefixes.map_or_else(|| Arc::new(own), |l| given(l.value)),
            blocklist_files: files.into_iter().map(|f| f.value).collect(),
            blocklist: Arc::new(blocklist),
            communities: raw.communities.map_or(any_role, |c| c.value),
            blackhole_community: raw
                .blackhole_community
                .map_or_else(|| shipped::blackhole_community(local_asn), |b| b.value),
        })
    }

    /// Reads one file; what is wrong in it, or that it cannot be read, is an error at its name: nothing is let
    /// through because a list was not there.
    fn blocklist(&mut self, file: &Spanned<std::path::PathBuf>, into: &mut Blocklist) {
        let path = self.base.join(&file.value);
        match blocklist::read(&path) {
            Ok((list, faults)) => {
                into.asns.extend(list.asns);
                into.prefixes.extend(list.prefixes);
                for fault in faults {
                    let place = format!("{}:{}", path.display(), fault.line);
                    self.report
                        .error(file.at, format!("{place}: `{}` is nothing that can be blocked", fault.token))
                        .label(fault.why);
                }
            }
            Err(why) => {
                self.report
                    .error(file.at, format!("the blocklist `{}` cannot be read", path.display()))
                    .label(why);
            }
        }
    }
}

fn given<T>(list: List<T>) -> Arc<Vec<T>> {
    Arc::new(list.into_iter().map(|member| member.value).collect())
}

/// What is ours as far as the configuration says it: originated prefixes and those of host routes, and what lies
/// within them. A default route that is originated makes nothing ours.
pub(super) fn own_prefixes(
    originate: &[Originate],
    host_routes: &BTreeMap<String, HostRoutes>,
) -> Vec<PrefixPattern> {
    let hosts = host_routes.values().flat_map(|domain| domain.prefixes.iter().copied());
    let all: std::collections::BTreeSet<Prefix> =
        originate.iter().map(|originate| originate.prefix).chain(hosts).collect();
    all.into_iter().filter(|prefix| prefix.len() > 0).map(PrefixPattern::or_longer).collect()
}
