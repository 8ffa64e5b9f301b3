//! `GET /v1/fib` and `GET /v1/nexthops`.

use std::collections::HashMap;

use siskin_api::{
    ApiError, FibCheck, FibDifference, FibError, FibFault, FibPage, FibQuery, FibRoute, FibState, Hop,
    KernelMode, NextHopObject, NextHops, RouteKind, Selector, TrackedNextHop,
};
use siskin_fib::{DifferenceKind, Fib, InstalledRoute, KernelState, RouteState};
use siskin_net::{Family, GroupTarget, NextHopGroup, Prefix};
use siskin_rib::NextHopView;

use super::stopping;
use crate::daemon::Daemon;
use crate::http::Answer;
use crate::kernel::View;

/// Routes looked at in one visit of the kernel thread.
const SLICE: usize = 4096;

impl Daemon {
    /// A page of our routes in the kernel.
    pub(super) async fn fib_page(&self, query: FibQuery) -> Answer<FibPage> {
        let limit = query.page_limit();
        let mut from = query.cursor.as_deref().map(cursor).transpose()?;
        if let Some(selector) = query.prefix {
            let found =
                self.kernel.query(move |view| fib_lookup(view, selector)).await.ok_or_else(stopping)?;
            return Ok(FibPage { total: Some(found.len() as u64), routes: found, next_cursor: None });
        }
        let mut page = FibPage { total: self.fib_total(&query).await?, ..FibPage::default() };
        while page.routes.len() < limit {
            let (filter, room) = (query.clone(), limit - page.routes.len());
            let slice = self
                .kernel
                .query(move |view| fib_slice(view, &filter, from, room))
                .await
                .ok_or_else(stopping)?;
            page.routes.extend(slice.0);
            from = slice.1;
            if from.is_none() {
                return Ok(page);
            }
        }
        page.next_cursor = from.map(|(table, prefix)| format!("{table}@{prefix}")).filter(|_| limit > 0);
        Ok(page)
    }

    /// Compares our routes with the kernel's.
    pub(super) async fn check_fib(&self) -> Answer<FibCheck> {
        if !self.config().config.kernel.install {
            return Err(ApiError::bad_request("no routes are installed: kernel.install is false"));
        }
        let found = self.kernel.compare().await;
        let found = found.ok_or_else(|| ApiError::unavailable("the comparison failed; the log says why"))?;
        let fault = |kind| match kind {
            DifferenceKind::Missing => FibFault::Missing,
            DifferenceKind::Changed => FibFault::Changed,
            DifferenceKind::Surplus => FibFault::Surplus,
        };
        Ok(FibCheck {
            routes: found.routes as u64,
            different: found.different as u64,
            objects: found.objects as u64,
            failed: found.failed as u64,
            differences: found
                .differences
                .into_iter()
                .map(|d| FibDifference { table: d.table, prefix: d.prefix, fault: fault(d.kind) })
                .collect(),
        })
    }

    async fn fib_total(&self, query: &FibQuery) -> Answer<Option<u64>> {
        let (family, state) = (query.family, query.state);
        let count = move |view: &mut View<'_>| {
            let counts = view.fib.as_ref().map(|f| f.counts()).unwrap_or_default();
            let of = |f: Family| match state {
                None => counts[f].installed + counts[f].failed,
                Some(FibState::Installed) => counts[f].installed,
                Some(FibState::Pending) => counts[f].pending,
                Some(FibState::Failed) => counts[f].failed,
            };
            Family::ALL
                .into_iter()
                .filter(|f| family.is_none_or(|wanted| wanted == *f))
                .map(of)
                .sum::<usize>() as u64
        };
        self.kernel.query(count).await.map(Some).ok_or_else(stopping)
    }
}

/// Where a walk stands: the table and the prefix last seen.
type Position = (u32, Prefix);

fn cursor(text: &str) -> Answer<Position> {
    let parsed = text.split_once('@').and_then(|(table, p)| Some((table.parse().ok()?, p.parse().ok()?)));
    parsed.ok_or_else(|| ApiError::bad_request("the cursor is not one of ours"))
}

/// The route of a prefix, or the longest match of an address, in each of our tables.
fn fib_lookup(view: &mut View<'_>, selector: Selector) -> Vec<FibRoute> {
    let Some(fib) = view.fib.as_deref_mut() else { return Vec::new() };
    let names = Names::new(view.state);
    let ids = ids_by_hops(fib);
    let find = |table: u32| match selector {
        Selector::Prefix(prefix) => fib.get_in(table, prefix),
        Selector::Address(address) => {
            let covering = std::iter::successors(Some(Prefix::host(address)), |prefix| prefix.parent());
            covering.into_iter().find_map(|prefix| fib.get_in(table, prefix))
        }
    };
    fib.tables().into_iter().filter_map(find).map(|route| names.route(&route, &ids)).collect()
}

/// Up to `room` routes behind `from` that the filter takes, and where to go on; `None` at the end.
fn fib_slice(
    view: &mut View<'_>,
    query: &FibQuery,
    from: Option<Position>,
    room: usize,
) -> (Vec<FibRoute>, Option<Position>) {
    let Some(fib) = view.fib.as_deref_mut() else { return (Vec::new(), None) };
    let names = Names::new(view.state);
    let ids = ids_by_hops(fib);
    let mut found = Vec::new();
    let slice = fib.routes(from, SLICE);
    let complete = slice.len() < SLICE;
    for route in &slice {
        if found.len() == room {
            return (found, last_before(&slice, position(route), from));
        }
        let wanted = query.family.is_none_or(|f| f == route.prefix.family())
            && query.state.is_none_or(|s| s == state(&route.state).0);
        if wanted {
            found.push(names.route(route, &ids));
        }
    }
    let next = if complete { None } else { slice.last().map(position) };
    (found, next)
}

fn position(route: &InstalledRoute) -> Position {
    (route.table, route.prefix)
}

/// The position before `at` in the slice: where the next page goes on behind.
fn last_before(slice: &[InstalledRoute], at: Position, from: Option<Position>) -> Option<Position> {
    slice.iter().map(position).take_while(|p| *p != at).last().or(from)
}

type ObjectIds = HashMap<Vec<siskin_net::Hop>, u32>;

fn ids_by_hops(fib: &Fib) -> ObjectIds {
    let objects = fib.nexthops();
    let grouped = objects.iter().filter(|o| o.group || o.hops.len() == 1);
    // A single hop's own object comes before a group of one.
    grouped.map(|o| (o.hops.to_vec(), o.id)).collect()
}

/// The kernel's object a route uses.
pub(super) fn nexthop_id(view: &View<'_>, route: &InstalledRoute) -> Option<u32> {
    let ids = ids_by_hops(view.fib.as_deref()?);
    ids.get(route.group.as_ref()?.hops()).copied()
}

/// Names of interfaces.
pub(super) struct Names<'a>(&'a KernelState);

impl<'a> Names<'a> {
    pub(super) fn new(state: &'a KernelState) -> Names<'a> {
        Names(state)
    }

    pub(super) fn interface(&self, index: u32) -> String {
        self.0.link(index).map_or_else(|| format!("if{index}"), |l| l.name.clone())
    }

    pub(super) fn hops(&self, hops: &[siskin_net::Hop]) -> Vec<Hop> {
        let one = |h: &siskin_net::Hop| Hop {
            gateway: h.gateway,
            interface: self.interface(h.interface),
            weight: h.weight,
        };
        hops.iter().map(one).collect()
    }

    /// What a route does, in the API's words.
    pub(super) fn target(&self, group: Option<&NextHopGroup>) -> (RouteKind, Vec<Hop>) {
        match group.map(|g| &g.target) {
            Some(GroupTarget::Blackhole) => (RouteKind::Blackhole, Vec::new()),
            Some(GroupTarget::Unreachable) => (RouteKind::Unreachable, Vec::new()),
            Some(GroupTarget::Prohibit) => (RouteKind::Prohibit, Vec::new()),
            Some(GroupTarget::Hops(hops)) => (RouteKind::Unicast, self.hops(hops)),
            None => (RouteKind::Unicast, Vec::new()),
        }
    }

    fn route(&self, route: &InstalledRoute, ids: &ObjectIds) -> FibRoute {
        let (kind, hops) = self.target(route.group.as_deref());
        let (state, error) = state(&route.state);
        let nexthop_id = route.group.as_ref().and_then(|g| ids.get(g.hops()).copied());
        FibRoute { table: route.table, prefix: route.prefix, state, kind, hops, nexthop_id, error }
    }
}

pub(super) fn state(state: &RouteState) -> (FibState, Option<FibError>) {
    match state {
        RouteState::Installed | RouteState::Adopted => (FibState::Installed, None),
        RouteState::Pending => (FibState::Pending, None),
        RouteState::Failed { errno, text } => (
            FibState::Failed,
            Some(FibError { errno: Some(*errno).filter(|e| *e != 0), text: text.to_string() }),
        ),
    }
}

/// How routes go to the kernel, and what of that is slow.
pub(super) fn kernel_mode(view: &View<'_>) -> Option<KernelMode> {
    let fib = view.fib.as_deref()?;
    let nexthop_objects = fib.config().nexthop_groups;
    let nexthop_compat_mode = fib.compat_mode();
    let mut advice = Vec::new();
    if nexthop_compat_mode == Some(true) {
        advice.push(
            "net.ipv4.nexthop_compat_mode is 1: after a failure the kernel announces every route of a changed next-hop \
             group, which takes most of a second for a million routes instead of less than a millisecond; \
             kernel.nexthop-compat-mode = \"off\" ends that"
                .to_owned(),
        );
    }
    if fib.lacks_resilient_groups() {
        advice.push(
            "the kernel refuses resilient next-hop groups: plain ones are used, and flows may move when a next hop comes \
             or goes"
                .to_owned(),
        );
    }
    if !nexthop_objects {
        advice
            .push("next-hop objects are not in use: after a failure every route is written anew".to_owned());
    }
    Some(KernelMode { nexthop_objects, nexthop_compat_mode, advice })
}

/// Next hops in the kernel and of BGP paths; `found` is where the RIB has those lead, by its own routes, too.
pub(super) fn nexthops(view: &mut View<'_>, found: &[NextHopView]) -> NextHops {
    let names = Names::new(view.state);
    let objects = view.fib.as_ref().map(|f| f.nexthops()).unwrap_or_default();
    let singles: HashMap<siskin_net::Hop, u32> =
        objects.iter().filter(|o| !o.group).filter_map(|o| Some((*o.hops.first()?, o.id))).collect();
    let object = |o: &siskin_fib::NextHopObject| NextHopObject {
        id: o.id,
        members: if o.group {
            o.hops.iter().filter_map(|h| singles.get(h).copied()).collect()
        } else {
            Vec::new()
        },
        hops: names.hops(&o.hops),
        routes: u64::from(o.refs),
    };
    let tracked = view.tracker.iter().map(|(next_hop, resolution)| {
        let known = found.binary_search_by_key(next_hop, |known| known.next_hop);
        let known = known.ok().and_then(|at| found.get(at));
        let resolution = known.map_or(resolution, |known| known.resolution.as_ref());
        TrackedNextHop {
            address: next_hop.address,
            interface: Some(next_hop.interface).filter(|i| *i != 0).map(|i| names.interface(i)),
            reachable: resolution.is_some(),
            metric: resolution.map(|r| r.metric),
            hops: resolution.map(|r| names.hops(&r.hops)).unwrap_or_default(),
            via: known.and_then(|known| known.via),
            paths: None,
        }
    });
    let (objects, tracked) = (objects.iter().map(object).collect(), tracked.collect());
    NextHops { objects, kernel: kernel_mode(view), tracked }
}
