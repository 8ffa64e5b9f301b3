//! Questions about the tables. They change nothing; a walk over a table is resumable and has a budget.

use std::net::IpAddr;
use std::sync::Arc;

use siskin_bgp::PathAttributes;
use siskin_net::{
    Family, FamilyMap, FamilySet, NextHop, NextHopGroup, PeerId, Prefix, Resolution, RouteSource,
};
use siskin_policy::RuleId;

use super::Rib;
use super::turn::{Unusable, candidate};
use crate::config::PeerInfo;
use crate::export::{Exported, Input, OWN_DEFAULT, Outgoing};
use crate::import::ImportProfile;
use crate::peers::PathCounts;
use crate::table::{DestId, Path, PathFlags, PathId};

/// A prefix with its paths.
#[derive(Clone, Debug)]
pub struct Route {
    /// The prefix.
    pub prefix: Prefix,
    /// Best, multipaths, other usable paths, unusable ones, rejected ones.
    pub paths: Vec<PathView>,
}

/// One path.
#[derive(Clone, Debug)]
pub struct PathView {
    /// The prefix.
    pub prefix: Prefix,
    /// Who sent it.
    pub peer: PeerId,
    /// The peer's or source's name.
    pub name: Arc<str>,
    /// How it entered.
    pub source: RouteSource,
    /// As received.
    pub received: PathAttributes,
    /// After import; `None`: rejected.
    pub accepted: Option<PathAttributes>,
    /// The rule that rejected it.
    pub rejected: Option<RuleId>,
    /// Of a rejected path, who judged it: knows what the rule objects to.
    pub judge: Option<Arc<ImportProfile>>,
    /// It is the best path.
    pub best: bool,
    /// It shares the load with the best path (the best path itself included).
    pub multipath: bool,
    /// It is kept from before its peer's restart (RFC 4724).
    pub stale: bool,
    /// The cost of its next hop; `None`: not reachable (or not asked, of a rejected path). 0 of routes that need none.
    pub igp_metric: Option<u32>,
}

impl PathView {
    /// Whether its next hop can be reached, of an accepted path.
    #[must_use]
    pub fn next_hop_reachable(&self) -> bool {
        self.igp_metric.is_some()
    }
}

/// Which paths a walk shows.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum View {
    /// Accepted ones.
    #[default]
    All,
    /// Rejected ones, too.
    Received,
    /// Rejected ones alone.
    Filtered,
    /// The best alone.
    Best,
    /// The best and those that share the load with it, of prefixes that the kernel is to have.
    Fib,
}

/// Where a walk goes on.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Cursor {
    /// The family.
    pub family: Family,
    /// The next destination's number.
    pub next: u32,
}

impl Cursor {
    /// The beginning of a family's table.
    #[must_use]
    pub const fn start(family: Family) -> Cursor {
        Cursor { family, next: 0 }
    }
}

/// A part of a walk.
#[derive(Clone, Debug)]
pub struct Page<T> {
    /// What was found, in the order of the table (not of prefixes).
    pub items: Vec<T>,
    /// Where to go on; `None`: the family's table ends here.
    pub next: Option<Cursor>,
}

/// What a peer was sent.
#[derive(Clone, Debug)]
pub struct ExportedRoute {
    /// The prefix.
    pub prefix: Prefix,
    /// Whose path it was; `None`: made for `default-originate`.
    pub source: Option<PeerId>,
    /// The attributes as sent.
    pub attributes: PathAttributes,
    /// The rule that let it pass.
    pub rule: RuleId,
    /// Something newer waits to be sent.
    pub pending: bool,
}

/// A next hop of paths in use.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NextHopView {
    /// The next hop.
    pub next_hop: NextHop,
    /// Where it leads; `None`: it cannot be reached.
    pub resolution: Option<Resolution>,
    /// The route of ours by which it is reached, or by which it is not.
    pub via: Option<Prefix>,
}

/// Sizes of one family's table.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct TableCounts {
    /// Prefixes known, those included whose last path is gone but not yet told to everybody.
    pub prefixes: u64,
    /// Paths, rejected ones included.
    pub paths: u64,
}

/// Routes exchanged with a peer in one family.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct PeerCounts {
    /// Adj-RIB-In.
    pub paths: PathCounts,
    /// Prefixes in Adj-RIB-Out.
    pub advertised: u64,
    /// Prefixes to look at before everything is sent.
    pub pending: u64,
    /// Prefixes that the limit of what is sent holds back.
    pub held: u64,
}

/// Bytes on the heap, by what they are for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Memory {
    /// Prefixes and their index.
    pub destinations: usize,
    /// Paths.
    pub paths: usize,
    /// Attribute sets: entries and index.
    pub attribute_index: usize,
    /// Attribute sets: their bytes.
    pub attribute_bytes: usize,
    /// Next hops and their groups.
    pub next_hops: usize,
    /// Update groups: Adj-RIB-Out and bitmaps.
    pub groups: usize,
    /// Number of attribute sets.
    pub attribute_sets: usize,
}

impl Rib {
    /// All paths of a prefix; `None`: there is none.
    #[must_use]
    pub fn lookup(&self, prefix: Prefix) -> Option<Route> {
        let dest = self.tables[prefix.family()].dests.find(prefix)?;
        let route = self.route(prefix.family(), dest, View::Received, None);
        (!route.paths.is_empty()).then_some(route)
    }

    /// The most specific prefix with a path that covers an address.
    #[must_use]
    pub fn longest_match(&self, address: IpAddr) -> Option<Prefix> {
        let host = Prefix::host(address);
        let table = &self.tables[host.family()];
        let has_path = |dest| table.chain(dest).any(|(_, path)| self.peers.lives(path, table.family));
        table.longest_match(host, has_path).map(|dest| table.dests.prefix(dest))
    }

    /// Prefixes with a path that `view` shows: only those from `peer` and within `within`, if given. Ends with `limit`
    /// found or `budget` looked at.
    #[must_use]
    pub fn walk_routes(
        &self,
        cursor: Cursor,
        view: View,
        peer: Option<PeerId>,
        within: Option<Prefix>,
        limit: usize,
        budget: usize,
    ) -> Page<Route> {
        self.walk_dests(cursor, within, limit, budget, |dest| {
            let route = self.route(cursor.family, dest, view, peer);
            (!route.paths.is_empty()).then_some(route)
        })
    }

    /// As [`Rib::walk_routes`], but what a peer was sent.
    #[must_use]
    pub fn walk_exported(
        &self,
        cursor: Cursor,
        peer: PeerId,
        within: Option<Prefix>,
        limit: usize,
        budget: usize,
    ) -> Page<ExportedRoute> {
        self.walk_dests(cursor, within, limit, budget, |dest| self.exported_dest(peer, cursor.family, dest))
    }

    /// How many prefixes [`Rib::walk_routes`] would show, without looking at their attributes.
    #[must_use]
    pub fn count_routes(
        &self,
        cursor: Cursor,
        view: View,
        peer: Option<PeerId>,
        within: Option<Prefix>,
        budget: usize,
    ) -> (u64, Option<Cursor>) {
        let family = cursor.family;
        let page = self.walk_dests(cursor, within, usize::MAX, budget, |dest| {
            self.tables[family]
                .chain(dest)
                .any(|(_, path)| self.shows(family, dest, path, view, peer))
                .then_some(())
        });
        (page.items.len() as u64, page.next)
    }

    fn walk_dests<T>(
        &self,
        cursor: Cursor,
        within: Option<Prefix>,
        limit: usize,
        budget: usize,
        mut show: impl FnMut(DestId) -> Option<T>,
    ) -> Page<T> {
        let table = &self.tables[cursor.family];
        let mut items = Vec::new();
        for dest in (cursor.next..table.dests.end()).take(budget) {
            if items.len() >= limit {
                return Page { items, next: Some(Cursor { next: dest, ..cursor }) };
            }
            let wanted = table.dests.in_use(dest)
                && within.is_none_or(|within| within.covers(table.dests.prefix(dest)));
            if wanted {
                items.extend(show(dest));
            }
        }
        let next = u32::try_from(budget).unwrap_or(u32::MAX).saturating_add(cursor.next);
        let more = next < table.dests.end();
        Page { items, next: more.then_some(Cursor { next, ..cursor }) }
    }

    /// What a peer was sent for a prefix.
    #[must_use]
    pub fn exported(&self, peer: PeerId, prefix: Prefix) -> Option<ExportedRoute> {
        let dest = self.tables[prefix.family()].dests.find(prefix)?;
        self.exported_dest(peer, prefix.family(), dest)
    }

    fn exported_dest(&self, peer: PeerId, family: Family, dest: DestId) -> Option<ExportedRoute> {
        let group = self.groups.of(peer)?;
        let input = group.sent_to(family, dest, peer)?;
        let Exported { attributes, rule } = self.export_input(peer, family, dest, input)?;
        Some(ExportedRoute {
            prefix: self.tables[family].dests.prefix(dest),
            source: (input.source != OWN_DEFAULT).then_some(input.source),
            attributes: attributes?,
            rule,
            pending: group.waits(family, dest, peer),
        })
    }

    /// What export to a peer makes of an input.
    pub(super) fn export_input(
        &self,
        peer: PeerId,
        family: Family,
        dest: DestId,
        input: Input,
    ) -> Option<Exported> {
        let attributes = self.attrs.decode(input.attributes);
        let source = self.peers.get(input.source).map(|peer| &peer.info);
        let prefix = self.tables[family].dests.prefix(dest);
        let route = Outgoing { prefix, attributes: &attributes, source };
        Some(self.groups.of(peer)?.profile.export(route))
    }

    /// Every next hop that is tracked, in order, where it leads, and by which route of ours.
    #[must_use]
    pub fn next_hops(&self) -> Vec<NextHopView> {
        let view = |(next_hop, resolution, via): (NextHop, Option<&Resolution>, Option<(Family, DestId)>)| {
            let via = via.map(|(family, dest)| self.tables[family].dests.prefix(dest));
            NextHopView { next_hop, resolution: resolution.cloned(), via }
        };
        let mut views: Vec<NextHopView> = self.attrs.next_hops.tracked().map(view).collect();
        views.sort_unstable_by_key(|view| view.next_hop);
        views
    }

    /// Prefixes and paths of each family.
    #[must_use]
    pub fn counts(&self) -> FamilyMap<TableCounts> {
        FamilyMap::from_fn(|family| {
            let table = &self.tables[family];
            TableCounts { prefixes: table.dests.len() as u64, paths: table.paths.len() as u64 }
        })
    }

    /// What is known of a peer whose session is up, or of a source.
    #[must_use]
    pub fn live_peer(&self, id: PeerId) -> Option<&PeerInfo> {
        self.peers.get(id).filter(|peer| peer.up).map(|peer| &peer.info)
    }

    /// What is known of a peer or source; `None`: nothing, and no path of it is left.
    #[must_use]
    pub fn peer_info(&self, id: PeerId) -> Option<&PeerInfo> {
        self.peers.get(id).map(|peer| &peer.info)
    }

    /// Routes exchanged with a peer; zeros where it is not up.
    #[must_use]
    pub fn peer_counts(&self, id: PeerId) -> FamilyMap<PeerCounts> {
        let group = self.groups.of(id);
        FamilyMap::from_fn(|family| PeerCounts {
            paths: self.peers.get(id).map(|peer| peer.counts(family)).unwrap_or_default(),
            advertised: group.map_or(0, |group| group.advertised(family, id)),
            pending: group.map_or(0, |group| group.pending(family, id)),
            held: group.map_or(0, |group| group.held(family)),
        })
    }

    /// Families whose End-of-RIB has come from a peer that is up.
    #[must_use]
    pub fn end_of_rib(&self, id: PeerId) -> FamilySet {
        self.peers.get(id).filter(|peer| peer.up).map_or(FamilySet::EMPTY, |peer| peer.end_of_rib)
    }

    /// Where packets to a prefix go, as last decided; `None`: no route of ours.
    #[must_use]
    pub fn forwarding(&self, prefix: Prefix) -> Option<NextHopGroup> {
        let family = prefix.family();
        self.fib_target(family, self.tables[family].dests.find(prefix)?)
    }

    /// Whether nothing is under way inside: every next hop was asked about and answered for, every destination is decided
    /// by that, and the kernel's table has been told of every change.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        let told = |table: &crate::table::Table| !self.kernel.in_use || table.fib.is_empty();
        self.walks.is_empty()
            && self.attrs.next_hops.is_settled()
            && self.recursion.is_settled()
            && self.tables.iter().all(|(_, table)| table.dirty.is_empty() && told(table))
    }

    /// Whether every path was judged by the newest policies and facts.
    #[must_use]
    pub fn is_judged(&self) -> bool {
        self.walks.is_empty()
    }

    /// Update groups at work.
    #[must_use]
    pub fn group_count(&self) -> usize {
        self.groups.iter().count()
    }

    /// Bytes in use.
    #[must_use]
    pub fn memory(&self) -> Memory {
        let tables = || self.tables.iter().map(|(_, table)| table);
        let bitmaps = |t: &crate::table::Table| t.dirty.memory() + t.fib.memory() + t.idle.memory();
        let (attribute_index, attribute_bytes) = self.attrs.memory();
        Memory {
            destinations: tables().map(|t| t.dests.memory() + bitmaps(t)).sum(),
            paths: tables().map(|t| t.paths.memory()).sum(),
            attribute_index,
            attribute_bytes,
            next_hops: self.attrs.next_hops.memory(),
            groups: self.groups.memory(),
            attribute_sets: self.attrs.len(),
        }
    }

    fn shows(&self, family: Family, dest: DestId, path: &Path, view: View, peer: Option<PeerId>) -> bool {
        let rejected = path.rejected_by().is_some();
        let shown = match view {
            View::All => !rejected,
            View::Received => true,
            View::Filtered => rejected,
            View::Best => path.flags.has(PathFlags::BEST),
            View::Fib => path.flags.has(PathFlags::MULTIPATH) && self.fib_target(family, dest).is_some(),
        };
        shown && peer.is_none_or(|peer| path.peer == peer) && self.peers.lives(path, family)
    }

    /// The paths of a destination that a view shows, in the order of [`Route::paths`].
    fn route(&self, family: Family, dest: DestId, view: View, peer: Option<PeerId>) -> Route {
        let table = &self.tables[family];
        let shown = table.chain(dest).filter(|(_, path)| self.shows(family, dest, path, view, peer));
        let mut paths: Vec<PathView> =
            shown.filter_map(|(id, path)| self.path_view((family, dest), id, path)).collect();
        paths.sort_by_key(|path| {
            (!path.best, !path.multipath, path.igp_metric.is_none(), path.rejected.is_some(), path.peer)
        });
        Route { prefix: table.dests.prefix(dest), paths }
    }

    pub(super) fn path_view(
        &self,
        (family, dest): (Family, DestId),
        id: PathId,
        path: &Path,
    ) -> Option<PathView> {
        let peer = self.peers.get(path.peer)?;
        let candidate = candidate(id, path, family, dest, &self.world());
        if candidate.as_ref().err() == Some(&Unusable::Dead) {
            return None;
        }
        Some(PathView {
            prefix: self.tables[family].dests.prefix(dest),
            peer: path.peer,
            name: peer.info.name.clone(),
            source: peer.info.source,
            received: self.attrs.decode(path.received),
            accepted: path.accepted().map(|id| self.attrs.decode(id)),
            rejected: path.rejected_by(),
            judge: path.rejected_by().map(|_| peer.info.import.clone()),
            best: path.flags.has(PathFlags::BEST),
            multipath: path.flags.has(PathFlags::MULTIPATH),
            stale: peer.is_stale(path.session, family),
            igp_metric: candidate.ok().map(|candidate| candidate.metric),
        })
    }
}
