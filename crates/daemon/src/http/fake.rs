//! A daemon without a daemon, for tests: it answers from the fixtures of `siskin-api` and remembers what it was told.

use std::sync::Mutex;

use serde::de::DeserializeOwned;
use siskin_api::{
    ActionDone, ApiError, ConfigReport, ConfigRequest, ConfigView, Event, ExplainQuery, Explanation,
    FibCheck, FibPage, FibQuery, Gate, HostRoutes, IrrStatus, NextHops, PeerAction, PeerDetail, PeerSummary,
    RoutesPage, RoutesQuery, RpkiStatus, Selector, Status, View,
};
use tokio::sync::broadcast;

use super::{Answer, Backend};

/// The fake daemon.
pub(crate) struct Fake {
    /// Where its events come from.
    pub(crate) events: broadcast::Sender<Event>,
    /// Every changing call it got.
    pub(crate) changes: Mutex<Vec<String>>,
    /// Every query of routes it got.
    pub(crate) queries: Mutex<Vec<RoutesQuery>>,
}

impl Fake {
    /// A fake daemon whose event channel holds four events.
    pub(crate) fn new() -> Fake {
        Fake { events: broadcast::channel(4).0, changes: Mutex::default(), queries: Mutex::default() }
    }
}

fn fixture<T: DeserializeOwned>(json: &str) -> T {
    serde_json::from_str(json).unwrap()
}

macro_rules! fixture {
    ($name:literal) => {
        fixture(include_str!(concat!("../../../api/fixtures/", $name, ".json")))
    };
}

impl Backend for Fake {
    async fn status(&self) -> Answer<Status> {
        Ok(fixture!("status"))
    }

    fn gates(&self) -> Vec<Gate> {
        fixture::<Status>(include_str!("../../../api/fixtures/status.json")).gates
    }

    async fn peers(&self) -> Answer<Vec<PeerSummary>> {
        Ok(fixture!("peers"))
    }

    async fn peer(&self, name: &str) -> Answer<PeerDetail> {
        match name {
            "transit-a" => Ok(fixture!("peer")),
            _ => Err(ApiError::not_found(format!("there is no peer {name}"))),
        }
    }

    async fn peer_action(&self, name: &str, action: PeerAction) -> Answer<ActionDone> {
        if name == "down-already" {
            return Err(ApiError::refused("the session is not established"));
        }
        self.changes.lock().unwrap().push(format!("{name} {action}"));
        Ok(ActionDone { peer: name.to_owned(), action, text: "the session starts again".to_owned() })
    }

    /// Pages of one prefix each; an unknown prefix has no routes; the peer `slow` never answers.
    async fn routes(&self, query: RoutesQuery) -> Answer<RoutesPage> {
        self.queries.lock().unwrap().push(query.clone());
        if query.peer.as_deref() == Some("slow") {
            std::future::pending::<()>().await;
        }
        let mut page: RoutesPage =
            if query.view == View::Filtered { fixture!("routes-filtered") } else { fixture!("routes") };
        match query.prefix {
            Some(Selector::Prefix(prefix)) => page.routes.retain(|r| r.prefix == prefix),
            Some(Selector::Address(address)) => page.routes.retain(|r| r.prefix.contains(address)),
            None => {}
        }
        page.total = Some(page.routes.len() as u64);
        if query.limit == Some(0) {
            page.routes.clear();
            return Ok(page);
        }
        let start: usize = match &query.cursor {
            Some(cursor) => cursor.parse().map_err(|_| ApiError::bad_request("that is no cursor"))?,
            None => 0,
        };
        let more = page.routes.len() > start + 1;
        page.routes = page.routes.into_iter().skip(start).take(1).collect();
        page.next_cursor = more.then(|| (start + 1).to_string());
        Ok(page)
    }

    async fn explain(&self, query: ExplainQuery) -> Answer<Explanation> {
        let mut explanation: Explanation = match (query.prefix.to_string().as_str(), query.peer.as_deref()) {
            ("203.0.113.0/24" | "203.0.113.1", None) => fixture!("explain-best"),
            ("203.0.113.0/24", Some("transit-b")) => fixture!("explain-losing"),
            ("10.0.0.0/8", _) => fixture!("explain-filtered"),
            (other, _) => return Err(ApiError::not_found(format!("no table has {other}"))),
        };
        explanation.summary = explanation.sentence();
        Ok(explanation)
    }

    async fn fib(&self, _: FibQuery) -> Answer<FibPage> {
        Ok(fixture!("fib"))
    }

    async fn check_fib(&self) -> Answer<FibCheck> {
        Ok(fixture!("fib-check"))
    }

    async fn nexthops(&self) -> Answer<NextHops> {
        Ok(fixture!("nexthops"))
    }

    async fn host_routes(&self) -> Answer<HostRoutes> {
        Ok(fixture!("host-routes"))
    }

    async fn rpki(&self) -> Answer<RpkiStatus> {
        Ok(RpkiStatus::default())
    }

    async fn irr(&self) -> Answer<IrrStatus> {
        Ok(IrrStatus::default())
    }

    async fn config(&self) -> Answer<ConfigView> {
        Ok(fixture!("config"))
    }

    async fn check_config(&self, _: ConfigRequest) -> Answer<ConfigReport> {
        Ok(fixture!("config-invalid"))
    }

    /// A file named `good` is in force at once; any other has errors.
    async fn apply_config(&self, request: ConfigRequest) -> Answer<ConfigReport> {
        let file = request.file.unwrap_or_default();
        if !file.ends_with("good") {
            return Err(ApiError::config_invalid(fixture!("config-invalid")));
        }
        self.changes.lock().unwrap().push(format!("apply {file}"));
        let changes = vec!["peer transit-a: import changed".to_owned()];
        Ok(ConfigReport {
            file,
            valid: true,
            applied: true,
            generation: 4,
            changes,
            ..ConfigReport::default()
        })
    }

    fn events(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }

    async fn metrics(&self) -> Answer<String> {
        Ok("# TYPE siskin_up gauge\nsiskin_up 1\n".to_owned())
    }
}
