//! `GET /v1/routes`: walks over the table in slices, each a short visit to the RIB thread.

use std::collections::HashMap;
use std::sync::Arc;

use siskin_api::{ApiError, Path, Rejection, Route, RoutesPage, RoutesQuery, Selector, View};
use siskin_net::{Family, PeerId, Prefix, RouteSource};
use siskin_policy::{PolicySet, RuleId};
use siskin_rib::{Cursor, ExportedRoute, PathView, Rib};

use super::stopping;
use super::view::attributes;
use crate::clock;
use crate::daemon::{Daemon, Running};
use crate::http::Answer;
use crate::peer::lock;

/// Destinations looked at in one visit to the RIB thread: some milliseconds at the most.
const BUDGET: usize = 20_000;
/// Routes decoded in one visit.
const SLICE: usize = 1_000;

/// What is needed to put paths into the API's words.
pub(super) struct Words {
    running: Arc<Running>,
    interfaces: HashMap<u32, String>,
}

/// A walk's question, resolved.
#[derive(Clone, Copy)]
struct Ask {
    view: View,
    peer: Option<PeerId>,
    within: Option<Prefix>,
}

impl Daemon {
    /// Interface names and rule texts as they are now.
    pub(super) fn words(&self) -> Words {
        Words { running: self.config(), interfaces: self.links.names() }
    }

    /// The number of a peer, or of a source of local routes.
    pub(super) async fn peer_id(&self, name: &str) -> Answer<PeerId> {
        if let Some(id) = lock(&self.peers).get(name).map(|e| e.id) {
            return Ok(id);
        }
        let local = self.local.lock().await.find(name);
        local.ok_or_else(|| ApiError::not_found(format!("there is no peer named {name}")))
    }

    /// A page of the routing table.
    pub(super) async fn routes_page(&self, query: RoutesQuery) -> Answer<RoutesPage> {
        let peer = match &query.peer {
            Some(name) => Some(self.peer_id(name).await?),
            None => None,
        };
        if query.view == View::Exported && peer.is_none() {
            return Err(ApiError::bad_request("`exported` needs a peer"));
        }
        let limit = query.page_limit();
        let mut ask = Ask { view: query.view, peer, within: None };
        let mut families = query.family.map_or(Family::ALL.to_vec(), |f| vec![f]);
        if let Some(selector) = query.prefix {
            let found = self.rib.query(move |rib| find(rib, selector)).await.ok_or_else(stopping)?;
            match (found, selector) {
                (_, Selector::Prefix(prefix)) if query.longer => ask.within = Some(prefix),
                (Some(prefix), _) if query.longer => ask.within = Some(prefix),
                (Some(prefix), _) => return self.one_prefix(prefix, ask).await,
                (None, _) => return Ok(RoutesPage { total: Some(0), ..RoutesPage::default() }),
            }
            families = vec![selector.family()];
        }
        if limit == 0 {
            return self.count(&families, ask).await;
        }
        let start = match &query.cursor {
            Some(text) => parse_cursor(text)?,
            None => Cursor::start(families.first().copied().unwrap_or(Family::Ipv4)),
        };
        self.walk(start, families.last().copied().unwrap_or(Family::Ipv6), ask, limit).await
    }

    async fn one_prefix(&self, prefix: Prefix, ask: Ask) -> Answer<RoutesPage> {
        let words = self.words();
        let found = self.rib.query(move |rib| exact_route(rib, prefix, ask)).await.ok_or_else(stopping)?;
        let routes: Vec<Route> = found.into_iter().map(|item| words.item(item, ask.view)).collect();
        Ok(RoutesPage { total: Some(routes.len() as u64), routes, next_cursor: None })
    }

    async fn walk(&self, start: Cursor, last: Family, ask: Ask, limit: usize) -> Answer<RoutesPage> {
        let words = self.words();
        let mut page = RoutesPage::default();
        let mut cursor = Some(start);
        while let Some(at) = cursor.filter(|_| page.routes.len() < limit) {
            let room = (limit - page.routes.len()).min(SLICE);
            let (items, next) =
                self.rib.query(move |rib| slice(rib, at, ask, room)).await.ok_or_else(stopping)?;
            page.routes.extend(items.into_iter().map(|item| words.item(item, ask.view)));
            cursor = next.or_else(|| following(at.family, last));
        }
        page.routes.sort_by_key(|r| r.prefix);
        page.next_cursor = cursor.map(|c| format!("{}:{}", c.family, c.next));
        Ok(page)
    }

    async fn count(&self, families: &[Family], ask: Ask) -> Answer<RoutesPage> {
        let mut total = 0;
        let last = families.last().copied().unwrap_or(Family::Ipv6);
        let mut cursor = families.first().map(|f| Cursor::start(*f));
        while let Some(at) = cursor {
            let (found, next) =
                self.rib.query(move |rib| count_slice(rib, at, ask)).await.ok_or_else(stopping)?;
            total += found;
            cursor = next.or_else(|| following(at.family, last));
        }
        Ok(RoutesPage { total: Some(total), ..RoutesPage::default() })
    }
}

/// A route of Adj-RIB-In and Loc-RIB, or of Adj-RIB-Out.
enum Item {
    Route(siskin_rib::Route),
    Exported(Box<ExportedRoute>, Option<(Arc<str>, RouteSource)>),
}

fn find(rib: &Rib, selector: Selector) -> Option<Prefix> {
    match selector {
        Selector::Prefix(prefix) => rib.lookup(prefix).map(|r| r.prefix),
        Selector::Address(address) => rib.longest_match(address),
    }
}

fn exact_route(rib: &Rib, prefix: Prefix, ask: Ask) -> Option<Item> {
    if ask.view == View::Exported {
        return rib.exported(ask.peer?, prefix).map(|route| exported(rib, route));
    }
    let mut route = rib.lookup(prefix)?;
    let view = table_view(ask.view);
    route.paths.retain(|p| ask.peer.is_none_or(|peer| peer == p.peer) && shows(view, p));
    (!route.paths.is_empty()).then_some(Item::Route(route))
}

fn shows(view: siskin_rib::View, path: &PathView) -> bool {
    match view {
        siskin_rib::View::All => path.accepted.is_some(),
        siskin_rib::View::Received => true,
        siskin_rib::View::Filtered => path.accepted.is_none(),
        siskin_rib::View::Best => path.best,
        siskin_rib::View::Fib => path.multipath,
    }
}

/// With it whose path it was.
fn exported(rib: &Rib, route: ExportedRoute) -> Item {
    let source = route.source.and_then(|id| rib.peer_info(id)).map(|info| (info.name.clone(), info.source));
    Item::Exported(Box::new(route), source)
}

fn slice(rib: &Rib, at: Cursor, ask: Ask, room: usize) -> (Vec<Item>, Option<Cursor>) {
    if let (View::Exported, Some(peer)) = (ask.view, ask.peer) {
        let page = rib.walk_exported(at, peer, ask.within, room, BUDGET);
        return (page.items.into_iter().map(|route| exported(rib, route)).collect(), page.next);
    }
    let page = rib.walk_routes(at, table_view(ask.view), ask.peer, ask.within, room, BUDGET);
    (page.items.into_iter().map(Item::Route).collect(), page.next)
}

fn count_slice(rib: &Rib, at: Cursor, ask: Ask) -> (u64, Option<Cursor>) {
    match (ask.view, ask.peer) {
        (View::Exported, Some(peer)) if ask.within.is_none() => {
            (rib.peer_counts(peer)[at.family].advertised, None)
        }
        (View::Exported, Some(peer)) => {
            let page = rib.walk_exported(at, peer, ask.within, usize::MAX, BUDGET);
            (page.items.len() as u64, page.next)
        }
        _ => rib.count_routes(at, table_view(ask.view), ask.peer, ask.within, BUDGET * 4),
    }
}

fn table_view(view: View) -> siskin_rib::View {
    match view {
        View::All | View::Exported => siskin_rib::View::All,
        View::Received => siskin_rib::View::Received,
        View::Filtered => siskin_rib::View::Filtered,
        View::Best => siskin_rib::View::Best,
        View::Fib => siskin_rib::View::Fib,
    }
}

fn following(family: Family, last: Family) -> Option<Cursor> {
    (family < last).then_some(Cursor::start(Family::Ipv6))
}

fn parse_cursor(text: &str) -> Answer<Cursor> {
    let parsed = text
        .split_once(':')
        .and_then(|(family, next)| Some(Cursor { family: family.parse().ok()?, next: next.parse().ok()? }));
    parsed.ok_or_else(|| ApiError::bad_request("the cursor is not one of ours"))
}

impl Words {
    fn item(&self, item: Item, view: View) -> Route {
        match item {
            Item::Route(route) => Route {
                prefix: route.prefix,
                paths: route.paths.iter().map(|p| self.path(p, view == View::Received)).collect(),
            },
            Item::Exported(route, source) => {
                Route { prefix: route.prefix, paths: vec![self.exported(&route, source)] }
            }
        }
    }

    /// A path; `received`: with its attributes as the peer sent them.
    pub(super) fn path(&self, path: &PathView, received: bool) -> Path {
        let shown = path.accepted.as_ref().filter(|_| !received).unwrap_or(&path.received);
        Path {
            peer: path.name.to_string(),
            source: path.source,
            path_id: None,
            attributes: self.attributes(shown),
            best: path.best,
            multipath: path.multipath,
            rejected: path.rejected.map(|rule| self.rejection(rule, path)),
            next_hop_reachable: path.next_hop_reachable(),
            stale: path.stale,
            age_s: None,
        }
    }

    fn exported(&self, route: &ExportedRoute, source: Option<(Arc<str>, RouteSource)>) -> Path {
        let (name, source) = source.unwrap_or_else(|| ("default-originate".into(), RouteSource::Originate));
        Path {
            peer: name.to_string(),
            source,
            path_id: None,
            attributes: self.attributes(&route.attributes),
            best: true,
            multipath: false,
            rejected: None,
            next_hop_reachable: true,
            stale: false,
            age_s: None,
        }
    }

    pub(super) fn attributes(&self, a: &siskin_bgp::PathAttributes) -> siskin_api::Attributes {
        attributes(a, |index| self.interfaces.get(&index).cloned())
    }

    /// The rules of the configuration in force.
    pub(super) fn policies(&self) -> &PolicySet {
        &self.running.config.policies
    }

    /// A rule that rejected a path: its name, and what it objects to.
    fn rejection(&self, rule: RuleId, path: &PathView) -> Rejection {
        let reason = path
            .judge
            .as_ref()
            .and_then(|judge| judge.reason(rule, path.prefix, &path.received, clock::unix_ms() / 1000));
        let (rule, text) = self.rule(rule);
        Rejection { rule, text: reason.unwrap_or(text) }
    }

    /// A rule's short name (`fabric-in rule 3`, `as-loop`) and its description.
    pub(super) fn rule(&self, rule: RuleId) -> (String, String) {
        if let Some(builtin) = rule.builtin() {
            return (builtin.name().to_owned(), builtin.text().to_owned());
        }
        match self.policies().rule(rule) {
            Some(info) => {
                (format!("{} rule {}", info.policy, info.index + 1), self.policies().describe(rule))
            }
            None => ("an earlier configuration's rule".to_owned(), self.policies().describe(rule)),
        }
    }
}
