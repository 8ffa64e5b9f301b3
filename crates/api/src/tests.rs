use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::*;

/// A fixture read as its type and written again must be the fixture: no name has changed, nothing is lost.
fn round_trip<T: DeserializeOwned + Serialize>(json: &str) -> T {
    let expected: Value = serde_json::from_str(json).unwrap();
    let typed: T = serde_json::from_str(json).unwrap();
    assert_eq!(serde_json::to_value(&typed).unwrap(), expected);
    typed
}

fn explanation(json: &str) -> Explanation {
    round_trip(json)
}

#[test]
fn field_names_are_those_clients_rely_on() {
    round_trip::<Status>(include_str!("../fixtures/status.json"));
    round_trip::<Vec<PeerSummary>>(include_str!("../fixtures/peers.json"));
    round_trip::<PeerDetail>(include_str!("../fixtures/peer.json"));
    round_trip::<RoutesPage>(include_str!("../fixtures/routes.json"));
    round_trip::<RoutesPage>(include_str!("../fixtures/routes-filtered.json"));
    round_trip::<FibCheck>(include_str!("../fixtures/fib-check.json"));
    round_trip::<FibPage>(include_str!("../fixtures/fib.json"));
    round_trip::<NextHops>(include_str!("../fixtures/nexthops.json"));
    round_trip::<HostRoutes>(include_str!("../fixtures/host-routes.json"));
    round_trip::<GuardView>(include_str!("../fixtures/guard.json"));
    round_trip::<RpkiStatus>(include_str!("../fixtures/rpki.json"));
    round_trip::<RpkiCheck>(include_str!("../fixtures/rpki-check.json"));
    round_trip::<IrrStatus>(include_str!("../fixtures/irr.json"));
    round_trip::<IrrSetView>(include_str!("../fixtures/irr-set.json"));
    round_trip::<PolicyView>(include_str!("../fixtures/policy.json"));
    round_trip::<PolicyTestResult>(include_str!("../fixtures/policy-test-accepted.json"));
    round_trip::<PolicyTestResult>(include_str!("../fixtures/policy-test-rejected.json"));
    round_trip::<PolicyMrtReport>(include_str!("../fixtures/policy-mrt.json"));
    round_trip::<ConfigView>(include_str!("../fixtures/config.json"));
    round_trip::<ConfigReport>(include_str!("../fixtures/config-invalid.json"));
}

#[test]
fn one_sentence_says_what_becomes_of_a_prefix() {
    for (json, sentence) in [
        (
            include_str!("../fixtures/explain-best.json"),
            "203.0.113.0/24 goes to transit-a: the AS path is shorter than transit-b's (2 against 3); the kernel has it \
             via 192.0.2.1 dev eth0; sent to 1 of 3 peers.",
        ),
        (
            include_str!("../fixtures/explain-losing.json"),
            "203.0.113.0/24 from transit-b is not used: transit-a's AS path is shorter (2 against 3).",
        ),
        (
            include_str!("../fixtures/explain-filtered.json"),
            "10.0.0.0/8 from transit-a is filtered by transit-in rule 1: reject \"martian\" if prefix in (martians) \
             (siskin.toml:88).",
        ),
        (
            include_str!("../fixtures/explain-host-route.json"),
            "2001:db8:100::80/128 is a host route of vmbr1; the kernel has it via dev vmbr1; sent to transit-a.",
        ),
        (
            include_str!("../fixtures/explain-shared.json"),
            "203.0.114.0/23 is shared by transit-a and transit-b: an external peer comes before ibgp-rr, an internal one; the kernel has \
             it via 192.0.2.1 dev eth0 and 198.51.100.1 dev eth1; sent to tor-left.",
        ),
    ] {
        assert_eq!(explanation(json).sentence(), sentence);
    }
}

#[test]
fn a_sentence_is_found_for_what_is_not_used() {
    let mut explanation = explanation(include_str!("../fixtures/explain-best.json"));
    explanation.peer = Some("tor-left".into());
    assert_eq!(
        explanation.sentence(),
        "203.0.113.0/24 did not come from tor-left; it was sent to it: accept if source = bgp (siskin.toml:97)."
    );
    explanation.peer = None;
    for path in &mut explanation.paths {
        path.path.best = false;
        path.path.next_hop_reachable = false;
    }
    assert_eq!(
        explanation.sentence(),
        "203.0.113.0/24 is not used: import rejected 1 of 3 paths, the next hops of 2 cannot be reached."
    );
    explanation.paths.clear();
    assert_eq!(explanation.sentence(), "203.0.113.0/24 has no path.");
}

#[test]
fn every_endpoint_is_in_the_document_and_every_reference_resolves() {
    let document = openapi_document("1.2.3");
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(document["info"]["version"], "1.2.3");
    let mut ids = BTreeSet::new();
    for endpoint in ENDPOINTS {
        let operation = &document["paths"][endpoint.path][endpoint.method.name().to_lowercase()];
        assert_eq!(operation["summary"], endpoint.summary);
        assert!(ids.insert(operation["operationId"].as_str().unwrap().to_owned()), "{}", endpoint.path);
        let asks_alone = endpoint.operation == Operation::TestPolicy;
        assert_eq!(operation["x-changing"], endpoint.method != Method::Get && !asks_alone);
        let body = &operation["requestBody"];
        assert_eq!(body["required"].as_bool(), endpoint.request.map(|_| endpoint.request_required));
    }
    let mut references = Vec::new();
    collect_references(&document, &mut references);
    assert!(references.len() > 30);
    for reference in references {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
    }
    let routes = document["paths"]["/v1/routes"]["get"]["parameters"].as_array().unwrap();
    let names: Vec<_> = routes.iter().map(|p| p["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["cursor", "family", "limit", "longer", "peer", "prefix", "view"]);
    let explain = &document["paths"]["/v1/explain"]["get"]["parameters"];
    let required: BTreeMap<_, _> = explain
        .as_array()
        .unwrap()
        .iter()
        .map(|p| (p["name"].as_str().unwrap(), p["required"].as_bool().unwrap()))
        .collect();
    assert_eq!(required, BTreeMap::from([("peer", false), ("prefix", true)]));
}

fn collect_references(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(object) => {
            found.extend(object.get("$ref").and_then(Value::as_str).map(str::to_owned));
            object.values().for_each(|v| collect_references(v, found));
        }
        Value::Array(items) => items.iter().for_each(|v| collect_references(v, found)),
        _ => {}
    }
}

/// The words of enums in the JSON are those their `name` says, and those of the rule language where it has one.
#[test]
fn words_are_spelled_as_named() {
    let word = |value: Value| value.as_str().unwrap().to_owned();
    for action in PeerAction::ALL {
        assert_eq!(word(serde_json::to_value(action).unwrap()), action.name());
        assert_eq!(action.name().parse(), Ok(action));
    }
    assert!("explode".parse::<PeerAction>().unwrap_err().contains("drain, undrain"));
    for state in [RpkiState::Valid, RpkiState::Invalid, RpkiState::NotFound, RpkiState::Unknown] {
        assert_eq!(word(serde_json::to_value(state).unwrap()), state.name());
    }
    for state in [IrrSetState::Fresh, IrrSetState::Kept, IrrSetState::Alarm, IrrSetState::Missing] {
        assert_eq!(word(serde_json::to_value(state).unwrap()), state.name());
    }
    for state in [LimitState::Ok, LimitState::Warning, LimitState::Blocked, LimitState::Over] {
        assert_eq!(word(serde_json::to_value(state).unwrap()), state.name());
    }
    assert_eq!(word(serde_json::to_value(LimitSource::PeeringDb).unwrap()), "peeringdb");
}

/// The shortest question is a prefix: all else has a default.
#[test]
fn a_test_of_a_policy_needs_no_more_than_a_prefix() {
    let request: PolicyTestRequest = serde_json::from_str(r#"{"prefix": "192.0.2.0/24"}"#).unwrap();
    assert_eq!(request.direction, PolicyDirection::Import);
    assert_eq!((request.as_path, request.communities.len()), (None, 0));
    let misspelled =
        serde_json::from_str::<PolicyTestRequest>(r#"{"prefix": "192.0.2.0/24", "as-path": "1"}"#);
    assert!(misspelled.unwrap_err().to_string().contains("as-path"));
}

#[test]
fn selectors_tell_addresses_from_prefixes() {
    assert_eq!("192.0.2.1".parse(), Ok(Selector::Address("192.0.2.1".parse().unwrap())));
    assert_eq!("2001:db8::/32".parse(), Ok(Selector::Prefix("2001:db8::/32".parse().unwrap())));
    let error = "192.0.2.1/24".parse::<Selector>().unwrap_err();
    assert_eq!(error.to_string(), "bits beyond the prefix length are set; did you mean 192.0.2.0/24?");
}

#[test]
fn pages_have_a_largest_size() {
    let query = |limit| RoutesQuery { limit, ..RoutesQuery::default() };
    assert_eq!(query(None).page_limit(), 1000);
    assert_eq!(query(Some(0)).page_limit(), 0);
    assert_eq!(query(Some(u32::MAX)).page_limit(), 10_000);
}

/// The reference names every endpoint and no other.
#[test]
fn the_reference_has_every_endpoint() {
    let reference = include_str!("../../../docs/api.md");
    for endpoint in ENDPOINTS {
        let line = format!("| `{} {}` |", endpoint.method.name(), endpoint.path);
        assert!(reference.contains(&line), "docs/api.md lacks {line}");
    }
    let methods = ["GET", "POST", "PUT", "DELETE"].map(|method| format!("| `{method} "));
    let rows = reference.lines().filter(|l| methods.iter().any(|method| l.starts_with(method))).count();
    assert_eq!(rows, ENDPOINTS.len());
}
