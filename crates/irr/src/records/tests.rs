use std::collections::BTreeMap;

use siskin_net::{Asn, Family};
use tokio::sync::mpsc::{Receiver, channel};

use super::*;
use crate::testing::{http, response};
use crate::{Client, Config, PeerRequest, start};

const SOON: Duration = Duration::from_secs(20);

fn begin(url: &str, folder: Option<&std::path::Path>, never: bool) -> (Client, Receiver<Update>) {
    let peeringdb = PeeringDbConfig { url: url.into(), api_key: None, refresh: Duration::from_millis(200) };
    let (sender, updates) = channel(8);
    let client = start(Config { peeringdb, state_dir: folder.map(Into::into), ..Config::default() }, sender);
    let request = PeerRequest { asn: Asn(112), sets: None, peeringdb: true };
    client.set_requests(BTreeMap::from([("a".to_owned(), request)]), never);
    (client, updates)
}

async fn next(updates: &mut Receiver<Update>) -> Update {
    tokio::time::timeout(SOON, updates.recv()).await.expect("an update in time").expect("a client that runs")
}

/// The error that the status shows, once there is one.
async fn error(client: &Client) -> String {
    let wait = async {
        loop {
            if let Some(error) = client.status().peeringdb.last_error {
                return error;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(SOON, wait).await.expect("an error in time")
}

#[tokio::test]
async fn a_record_outlives_peeringdb() {
    let body =
        r#"{"data": [{"asn": 112, "name": "DNS-OARC-112", "info_prefixes4": 2, "info_prefixes6": 0}]}"#;
    let (url, _) = http(move |_| response("200 OK", "", body));
    let folder = tempfile::tempdir().unwrap();
    let (client, mut updates) = begin(&url, Some(folder.path()), false);
    let Update::Record { peer, record } = next(&mut updates).await else { panic!("a record") };
    assert_eq!((peer.as_str(), record.name.as_str()), ("a", "DNS-OARC-112"));
    assert_eq!((record.prefixes[Family::Ipv4], record.prefixes[Family::Ipv6]), (Some(2), None));
    let file = folder.path().join(FILE);
    tokio::time::timeout(SOON, async {
        while !file.exists() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await
    .unwrap();
    client.stop().await;
    let (client, mut updates) = begin("http://127.0.0.1:1/api", Some(folder.path()), false);
    let Update::Record { record: again, .. } = next(&mut updates).await else { panic!("a record") };
    assert_eq!((again.name, again.prefixes), (record.name, record.prefixes));
    assert!(error(&client).await.contains("refused"));
    assert_eq!(client.status().peeringdb.records, 1);
    client.stop().await;
}

#[tokio::test]
async fn failures_are_told_apart() {
    for (answer, words) in [
        (response("500 Internal Server Error", "", ""), "HTTP status 500"),
        (response("404 Not Found", "", ""), "HTTP status 404"),
        (response("200 OK", "", "<html>"), "cannot be read"),
        (
            response("200 OK", "", r#"{"data": [], "meta": {"error": "throttled"}}"#),
            "PeeringDB says: throttled",
        ),
        (
            response("301 Moved", "Location: https://www.peeringdb.com/\r\n", ""),
            "moved to https://www.peeringdb.com/",
        ),
        ("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{".to_owned(), "body"),
        ("SSH-2.0-OpenSSH\r\n".to_owned(), "HTTP"),
    ] {
        let (url, _) = http(move |_| answer.clone());
        let (client, _updates) = begin(&url, None, false);
        let error = error(&client).await;
        assert!(error.contains(words), "{error:?} lacks {words:?}");
        assert_eq!(client.status().peeringdb.without_record, [], "a failure is no missing record");
        client.stop().await;
    }
}

#[tokio::test]
async fn too_many_requests_end_all_questions_for_a_minute() {
    let (url, requests) = http(|_| response("429 Too Many Requests", "Retry-After: 1\r\n", ""));
    let (client, _updates) = begin(&url, None, true);
    assert_eq!(error(&client).await, "HTTP status 429");
    tokio::time::sleep(Duration::from_millis(2500)).await;
    assert_eq!(requests.lock().unwrap().len(), 1);
    client.stop().await;
}

#[tokio::test]
async fn never_via_route_servers_is_asked_for_if_wanted_and_never_emptied() {
    let (url, requests) = http(|head| {
        let first = head.contains("info_never_via_route_servers=1");
        response(
            "200 OK",
            "",
            if first { r#"{"data": [{"asn": 701}, {"asn": 174}]}"# } else { r#"{"data": []}"# },
        )
    });
    let (client, mut updates) = begin(&url, None, true);
    let Update::NeverViaRouteServers(asns) = next(&mut updates).await else { panic!("the list") };
    assert_eq!(*asns, [Asn(174), Asn(701)]);
    assert!(
        requests.lock().unwrap()[0].starts_with("GET /api/net?info_never_via_route_servers=1&fields=asn ")
    );
    client.stop().await;
}
