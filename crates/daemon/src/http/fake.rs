//! A daemon without a daemon, for tests: it answers from the fixtures of `siskin-api` and remembers what it was told.

use std::net::IpAddr;
use std::sync::Mutex;

use serde::de::DeserializeOwned;
use siskin_api::{
    ActionDone, ApiError, ConfigReport, ConfigRequest, ConfigView, Done, Event, ExplainQuery, Explanation,
    FibCheck, FibPage, FibQuery, Gate, GuardView, HostRouteRequest, HostRoutes, IrrRefreshRequest,
    IrrSetQuery, IrrSetView, IrrStatus, NextHops, PeerAction, PeerDetail, PeerSummary, PolicyDirection,
    PolicyMrtReport, PolicyMrtRequest, PolicyTestRequest, PolicyTestResult, PolicyView, RoutesPage,
    RoutesQuery, RpkiCheck, RpkiCheckQuery, RpkiState, RpkiStatus, Selector, Status, View,
};
use tokio::sync::broadcast;

use super::{Answer, Backend, HostRouteVerb};

/// The fake daemon.
pub(crate) struct Fake {
    /// Where its events come from.
    pub(crate) events: broadcast::Sender<Event>,
    /// Every changing call it got.
    pub(crate) changes: Mutex<Vec<String>>,
    /// Every query of routes it got.
    pub(crate) queries: Mutex<Vec<RoutesQuery>>,
    /// Every route it was asked to test, with the peer.
    pub(crate) tests: Mutex<Vec<(String, PolicyTestRequest)>>,
}

impl Fake {
    /// A fake daemon whose event channel holds four events.
    pub(crate) fn new() -> Fake {
        Fake {
            events: broadcast::channel(4).0,
            changes: Mutex::default(),
            queries: Mutex::default(),
            tests: Mutex::default(),
        }
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

    /// Everything is on vmbr1, and 198.51.100.99 is another's.
    async fn declare_host_route(
        &self,
        interface: &str,
        address: IpAddr,
        request: HostRouteRequest,
    ) -> Answer<Done> {
        if interface != "vmbr1" {
            return Err(ApiError::not_found(format!(
                "host routes are not configured on interface {interface}"
            )));
        }
        if address == IpAddr::from([198, 51, 100, 99]) {
            return Err(ApiError::refused(format!("{address} is declared for db01 already")));
        }
        let request = serde_json::to_string(&request).unwrap();
        self.changes.lock().unwrap().push(format!("declare {address} {request}"));
        Ok(Done { text: format!("{address} is declared") })
    }

    async fn act_on_host_route(&self, interface: &str, address: IpAddr, verb: HostRouteVerb) -> Answer<Done> {
        if interface != "vmbr1" {
            return Err(ApiError::not_found(format!("{address} is not known on {interface}")));
        }
        self.changes.lock().unwrap().push(format!("{verb:?} {address}"));
        Ok(Done { text: format!("{address}: done") })
    }

    async fn guard(&self) -> Answer<GuardView> {
        Ok(fixture!("guard"))
    }

    async fn remove_guard(&self) -> Answer<Done> {
        self.changes.lock().unwrap().push("guard remove".to_owned());
        Ok(Done { text: "the filter is out of the kernel".to_owned() })
    }

    async fn rpki(&self) -> Answer<RpkiStatus> {
        Ok(fixture!("rpki"))
    }

    /// The fixture's prefix is invalid from AS 64511, valid from AS 64496; of others nothing is known.
    async fn rpki_check(&self, query: RpkiCheckQuery) -> Answer<RpkiCheck> {
        let mut check: RpkiCheck = fixture!("rpki-check");
        if query.prefix != check.prefix {
            return Ok(RpkiCheck {
                prefix: query.prefix,
                asn: query.asn,
                state: RpkiState::NotFound,
                covering: Vec::new(),
            });
        }
        check.asn = query.asn;
        for vrp in &mut check.covering {
            vrp.matches = vrp.asn == query.asn;
        }
        let valid = check.covering.iter().any(|vrp| vrp.matches);
        check.state = if valid { RpkiState::Valid } else { RpkiState::Invalid };
        Ok(check)
    }

    async fn irr(&self) -> Answer<IrrStatus> {
        Ok(fixture!("irr"))
    }

    async fn irr_set(&self, name: &str, query: IrrSetQuery) -> Answer<IrrSetView> {
        let mut set: IrrSetView = fixture!("irr-set");
        if name != set.as_set {
            return Err(ApiError::not_found(format!("no peer uses {name}")));
        }
        set.truncated |= set.prefixes.len() > query.page_limit();
        set.prefixes.truncate(query.page_limit());
        Ok(set)
    }

    async fn irr_refresh(&self, request: IrrRefreshRequest) -> Answer<Done> {
        let whose = request.peer.unwrap_or_else(|| "all".to_owned());
        self.changes.lock().unwrap().push(format!("irr refresh {whose}"));
        Ok(Done { text: "2 sets are asked for again".to_owned() })
    }

    async fn irr_accept(&self, peer: &str) -> Answer<Done> {
        if peer == "transit-a" {
            return Err(ApiError::refused("transit-a has no list that waits for a confirmation"));
        }
        self.changes.lock().unwrap().push(format!("irr accept {peer}"));
        Ok(Done { text: "AS-EXAMPLE:CUSTOMERS ipv4 is in force with 41 prefixes".to_owned() })
    }

    async fn policy(&self, peer: &str) -> Answer<PolicyView> {
        match peer {
            "ix-neighbour" => Ok(fixture!("policy")),
            _ => Err(ApiError::not_found(format!("there is no peer {peer}"))),
        }
    }

    /// Import rejects, export accepts.
    async fn policy_test(&self, peer: &str, request: PolicyTestRequest) -> Answer<PolicyTestResult> {
        self.tests.lock().unwrap().push((peer.to_owned(), request.clone()));
        let result: PolicyTestResult = match request.direction {
            PolicyDirection::Import => fixture!("policy-test-rejected"),
            PolicyDirection::Export => fixture!("policy-test-accepted"),
        };
        Ok(PolicyTestResult { peer: peer.to_owned(), prefix: request.prefix, ..result })
    }

    /// A file named `good` has no route that is rejected; one named `slow` takes for ever.
    async fn policy_test_mrt(&self, peer: &str, request: PolicyMrtRequest) -> Answer<PolicyMrtReport> {
        let mut report: PolicyMrtReport = fixture!("policy-mrt");
        if request.file.ends_with("slow") {
            std::future::pending::<()>().await;
        }
        if request.file.ends_with("good") {
            report.by_rule.retain(|r| r.outcome == siskin_api::PolicyOutcome::Accepted);
            (report.routes, report.rejected) = (report.accepted, 0);
        }
        Ok(PolicyMrtReport { peer: peer.to_owned(), file: request.file, ..report })
    }

    async fn drain(&self, drained: bool) -> Answer<Done> {
        self.changes.lock().unwrap().push(if drained { "drain" } else { "undrain" }.to_owned());
        Ok(Done { text: "3 peers are told to send traffic elsewhere".to_owned() })
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
