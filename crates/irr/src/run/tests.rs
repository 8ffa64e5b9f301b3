//! The client as the daemon sees it, against a registry and a PeeringDB of the test.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use siskin_net::{Asn, Family, FamilySet};
use tokio::sync::mpsc::{Receiver, channel};

use super::*;
use crate::testing::{Say, Server, data, http, polite, response};
use crate::{
    AcceptError, Client, Config, HostPort, Names, PeerLists, PeerRequest, PeeringDbConfig, SetRequest, State,
    start,
};

const SOON: Duration = Duration::from_secs(20);

/// What the registry says of AS-X: the test changes it while the client runs.
const GOOD: usize = 0;
const FAILED: usize = 1;
const GONE: usize = 2;
const SHRUNK: usize = 3;
const CLOSED: usize = 4;

fn many(count: u32) -> String {
    (0..count).map(|n| format!("10.{}.{}.0/24", n / 256, n % 256)).collect::<Vec<_>>().join(" ")
}

/// A registry in which AS-X has 100 IPv4 prefixes and none of IPv6.
fn registry(mood: Arc<AtomicUsize>) -> Server {
    Server::start(move |query| {
        let mood = mood.load(Ordering::SeqCst);
        let reply = match (query, mood) {
            ("!a4AS-X", GOOD) => data(&many(100)),
            ("!a4AS-X", SHRUNK) => data(&many(30)),
            ("!a4AS-X", FAILED) => "F internal error\n".into(),
            ("!a4AS-X", CLOSED) => return Say::Last("A1000\n10.0".into()),
            ("!iAS-X,1" | "!iAS-X", GOOD | SHRUNK) => data("AS112 AS3333"),
            ("!a4AS-Y", _) => data("192.0.2.0/24 10.0.0.0/24"),
            ("!iAS-Y", _) => data("AS64496 AS25152"),
            ("!gAS25152", _) => data("192.0.2.0/24 10.0.0.0/24"),
            ("!gAS3333", _) => data(&many(100)),
            ("!gAS112", _) => data("192.0.2.0/24"),
            _ => polite(query).unwrap_or_else(|| "D\n".into()),
        };
        Say::Bytes(reply)
    })
}

fn config(server: &HostPort, folder: Option<&Path>) -> Config {
    Config {
        server: server.clone(),
        refresh: Duration::from_millis(300),
        timeout: Duration::from_secs(5),
        state_dir: folder.map(Path::to_path_buf),
        peeringdb: PeeringDbConfig { url: "http://127.0.0.1:1/api".into(), ..Default::default() },
        ..Config::default()
    }
}

fn request(names: &[&str], members: bool) -> PeerRequest {
    let names = Names::Sets(names.iter().map(|name| name.parse().unwrap()).collect());
    let sets = SetRequest { names, sources: None, families: FamilySet::BOTH, members };
    PeerRequest { asn: Asn(112), sets: Some(sets), peeringdb: false }
}

fn ask(client: &Client, peers: &[(&str, PeerRequest)]) {
    client.set_requests(
        peers.iter().map(|(name, request)| ((*name).to_owned(), request.clone())).collect(),
        false,
    );
}

/// The next lists of `peer` that fulfil `wanted`.
async fn lists(
    updates: &mut Receiver<Update>,
    name: &str,
    wanted: impl Fn(&PeerLists) -> bool,
) -> Arc<PeerLists> {
    let wait = async {
        loop {
            match updates.recv().await {
                Some(Update::Lists { peer, lists }) if peer == name && wanted(&lists) => return lists,
                Some(_) => {}
                None => panic!("the client ended"),
            }
        }
    };
    tokio::time::timeout(SOON, wait).await.expect("the lists in time")
}

fn count(lists: &PeerLists) -> Option<usize> {
    lists.prefixes[Family::Ipv4].as_ref().map(|list| list.len())
}

/// Waits until the IPv4 list of AS-X is in the state `name`.
async fn until_state(client: &Client, updates: &mut Receiver<Update>, name: &str) -> State {
    let wait = async {
        loop {
            let status = client.status();
            let row =
                status.sets.iter().find(|row| row.name == "AS-X" && row.part == Part::Prefixes(Family::Ipv4));
            if let Some(row) = row.filter(|row| row.state.name() == name) {
                return row.state.clone();
            }
            let _ = tokio::time::timeout(Duration::from_millis(20), updates.recv()).await;
        }
    };
    tokio::time::timeout(SOON, wait).await.expect("the state in time")
}

#[tokio::test]
async fn lists_come_and_two_peers_with_one_set_ask_once() {
    let server = registry(Arc::default());
    let (sender, mut updates) = channel(8);
    let client = start(Config { refresh: SOON, ..config(&server.address, None) }, sender);
    ask(&client, &[("a", request(&["AS-X"], true)), ("b", request(&["as-x"], false))]);
    let a = lists(&mut updates, "a", |lists| count(lists).is_some()).await;
    assert_eq!((a.label.as_str(), count(&a)), ("AS-X", Some(100)));
    assert_eq!(a.prefixes[Family::Ipv6].as_deref(), Some(&[][..]), "known to have none");
    assert_eq!(a.members.as_deref(), Some(&[Asn(112), Asn(3333)][..]));
    let b = lists(&mut updates, "b", |lists| count(lists).is_some()).await;
    assert_eq!(b.members, None);
    let (one, other) = (a.prefixes[Family::Ipv4].as_ref(), b.prefixes[Family::Ipv4].as_ref());
    assert!(Arc::ptr_eq(one.unwrap(), other.unwrap()), "one list in memory");
    assert_eq!(server.count("!a4AS-X"), 1);
    let view = client.list("AS-X").unwrap();
    assert_eq!((view.peers.len(), view.prefixes[Family::Ipv4].as_ref().map(|l| l.len())), (2, Some(100)));
    assert!(client.list("AS-Z").is_none());
    client.stop().await;
}

#[tokio::test]
async fn several_sets_are_united_and_each_may_have_its_source() {
    let server = registry(Arc::default());
    let (sender, mut updates) = channel(8);
    let sources = vec!["RADB".into(), "NTTCOM".into()];
    let client = start(Config { sources, refresh: SOON, ..config(&server.address, None) }, sender);
    ask(&client, &[("a", request(&["AS-X", "RIPE::AS-Y"], true))]);
    let both = lists(&mut updates, "a", |lists| count(lists) == Some(101)).await;
    assert_eq!(both.label, "AS-X, RIPE::AS-Y");
    assert_eq!(both.members.as_deref(), Some(&[Asn(112), Asn(3333), Asn(25152)][..]));
    assert_eq!(
        (server.count("!sRADB,NTTCOM"), server.count("!sRIPE")),
        (2, 1),
        "the set is RIPE's, its routes are anybody's"
    );
    client.stop().await;
}

#[tokio::test]
async fn no_failure_touches_what_is_in_force() {
    let mood = Arc::new(AtomicUsize::new(GOOD));
    let server = registry(mood.clone());
    let (sender, mut updates) = channel(8);
    let client = start(config(&server.address, None), sender);
    ask(&client, &[("a", request(&["AS-X"], false))]);
    let first = lists(&mut updates, "a", |lists| count(lists) == Some(100)).await;
    for failure in [FAILED, CLOSED] {
        mood.store(failure, Ordering::SeqCst);
        until_state(&client, &mut updates, "kept").await;
        mood.store(GOOD, Ordering::SeqCst);
        until_state(&client, &mut updates, "fresh").await;
    }
    mood.store(GONE, Ordering::SeqCst);
    until_state(&client, &mut updates, "alarm").await;
    assert_eq!(client.status().peers["a"].entries[Family::Ipv4], Some(100));
    mood.store(GOOD, Ordering::SeqCst);
    until_state(&client, &mut updates, "fresh").await;
    let last = lists(&mut updates, "a", |_| true).await;
    let (first, last) = (first.prefixes[Family::Ipv4].as_ref(), last.prefixes[Family::Ipv4].as_ref());
    assert!(Arc::ptr_eq(first.unwrap(), last.unwrap()), "the same list, not an equal one");
    client.stop().await;
}

#[tokio::test]
async fn a_shrunk_list_waits_for_the_operator() {
    let mood = Arc::new(AtomicUsize::new(GOOD));
    let server = registry(mood.clone());
    let (sender, mut updates) = channel(8);
    let client = start(config(&server.address, None), sender);
    ask(&client, &[("a", request(&["AS-X"], false)), ("b", request(&["AS-X"], false))]);
    lists(&mut updates, "a", |lists| count(lists) == Some(100)).await;
    assert_eq!(client.accept("a"), Err(AcceptError::Nothing("a".into())));
    assert_eq!(client.accept("z"), Err(AcceptError::UnknownPeer("z".into())));
    mood.store(SHRUNK, Ordering::SeqCst);
    let state = until_state(&client, &mut updates, "alarm").await;
    assert_eq!(state.reason(), Some("shrank from 100 to 30"));
    let row = client.status().sets.remove(0);
    assert_eq!((row.entries, row.offered, row.peers), (Some(100), Some(30), vec!["a".into(), "b".into()]));
    let accepted = client.accept("a").unwrap();
    assert_eq!((accepted.lists.len(), accepted.lists[0].from, accepted.lists[0].to), (1, 100, 30));
    assert_eq!(accepted.also, ["b"]);
    lists(&mut updates, "a", |lists| count(lists) == Some(30)).await;
    client.stop().await;
}

#[tokio::test]
async fn the_last_good_list_survives_a_restart_without_the_server() {
    let folder = tempfile::tempdir().unwrap();
    let server = registry(Arc::default());
    let (sender, mut updates) = channel(8);
    let client = start(Config { refresh: SOON, ..config(&server.address, Some(folder.path())) }, sender);
    ask(&client, &[("a", request(&["AS-X"], true))]);
    let first = lists(&mut updates, "a", |lists| count(lists) == Some(100)).await;
    let written = |file: &std::fs::DirEntry| !file.file_name().to_string_lossy().ends_with(".new");
    let files = || {
        let folder = std::fs::read_dir(folder.path().join("irr"));
        folder.map_or(0, |files| files.flatten().filter(written).count())
    };
    tokio::time::timeout(SOON, async {
        while files() < 3 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await
    .unwrap();
    client.stop().await;
    let nowhere = HostPort { host: "127.0.0.1".into(), port: 1 };
    let (sender, mut updates) = channel(8);
    let client = start(config(&nowhere, Some(folder.path())), sender);
    ask(&client, &[("a", request(&["AS-X"], true)), ("b", request(&["AS-NEW"], false))]);
    let mut first_of = BTreeMap::new();
    while first_of.len() < 2 {
        if let Some(Update::Lists { peer, lists }) = tokio::time::timeout(SOON, updates.recv()).await.unwrap()
        {
            first_of.entry(peer).or_insert(lists);
        }
    }
    let (again, none) = (&first_of["a"], &first_of["b"]);
    assert_eq!(
        (&again.prefixes, &again.members),
        (&first.prefixes, &first.members),
        "the first update has it"
    );
    assert_eq!((count(none), none.fetched), (None, SystemTime::UNIX_EPOCH));
    until_state(&client, &mut updates, "kept").await;
    assert_eq!(client.status().peers["b"].imports_nothing, Family::ALL);
    client.stop().await;
}

#[tokio::test]
async fn other_names_take_over_when_their_lists_are_there() {
    let server = registry(Arc::default());
    let (sender, mut updates) = channel(8);
    let client = start(config(&server.address, None), sender);
    ask(&client, &[("a", request(&["AS-X"], false))]);
    lists(&mut updates, "a", |lists| count(lists) == Some(100)).await;
    ask(&client, &[("a", request(&["AS-MISTYPED"], false))]);
    let kept = lists(&mut updates, "a", |_| true).await;
    assert_eq!((kept.label.as_str(), count(&kept)), ("AS-X", Some(100)));
    let status = client.status().peers.remove("a").unwrap();
    assert_eq!((status.wanted, status.in_force), (vec!["AS-MISTYPED".into()], vec!["AS-X".to_owned()]));
    assert!(status.notes[0].contains("stays in force"), "{:?}", status.notes);
    ask(&client, &[("a", request(&["AS-Y"], false))]);
    let new = lists(&mut updates, "a", |lists| lists.label == "AS-Y").await;
    assert_eq!(count(&new), Some(2));
    client.stop().await;
}

#[tokio::test]
async fn auto_takes_the_sets_from_peeringdb_or_the_number_itself() {
    let server = registry(Arc::default());
    let (url, requests) = http(|_| {
        let body = r#"{"data": [{"asn": 3333, "name": "X", "irr_as_set": "RIPE::AS-X, AS-Y", "info_prefixes4": 7},
            {"asn": 112, "name": "Y", "irr_as_set": ""}], "meta": {}}"#;
        response("200 OK", "", body)
    });
    let folder = tempfile::tempdir().unwrap();
    let mut config = Config { refresh: SOON, ..config(&server.address, Some(folder.path())) };
    config.peeringdb = PeeringDbConfig { url, api_key: Some("secret".into()), ..Default::default() };
    let (sender, mut updates) = channel(8);
    let client = start(config, sender);
    let auto = |asn| {
        let sets = SetRequest { names: Names::Auto, ..request(&[], false).sets.unwrap() };
        PeerRequest { asn: Asn(asn), sets: Some(sets), peeringdb: false }
    };
    let limits = PeerRequest { asn: Asn(3333), sets: None, peeringdb: true };
    ask(&client, &[("a", auto(3333)), ("b", auto(112)), ("c", auto(25152)), ("d", limits)]);
    let nothing = lists(&mut updates, "a", |_| true).await;
    assert_eq!((count(&nothing), nothing.label.as_str()), (None, "the as-set of AS3333 in PeeringDB"));
    let mut labels = BTreeMap::new();
    let mut record = None;
    while labels.len() < 3 || record.is_none() {
        match tokio::time::timeout(SOON, updates.recv()).await.unwrap().unwrap() {
            Update::Lists { peer, lists } if count(&lists).is_some() => {
                labels.insert(peer, (lists.label.clone(), count(&lists)));
            }
            Update::Record { peer, record: found } => record = Some((peer, found.prefixes[Family::Ipv4])),
            _ => {}
        }
        if labels.get("a").is_some_and(|(_, n)| *n != Some(101)) {
            labels.remove("a"); // One of its two sets came first.
        }
    }
    assert_eq!(labels["a"], ("RIPE::AS-X, AS-Y".into(), Some(101)));
    assert_eq!(labels["b"], ("AS112".into(), Some(1)));
    assert_eq!(labels["c"], ("AS25152".into(), Some(2)));
    assert_eq!(record, Some(("d".into(), Some(7))));
    let status = client.status();
    assert!(status.peers["b"].notes[0].contains("names no as-set"));
    assert!(status.peers["c"].notes[0].contains("no PeeringDB record"));
    assert_eq!(status.peeringdb.without_record, [Asn(25152)]);
    assert_eq!((status.peeringdb.records, status.peeringdb.queries_last_minute), (2, 1), "one query for all");
    let head = requests.lock().unwrap()[0].to_ascii_lowercase();
    assert!(head.starts_with("get /api/net?asn__in=112,3333,25152&fields="), "{head}");
    assert!(head.contains("authorization: api-key secret") && head.contains("user-agent: siskin/"), "{head}");
    client.stop().await;
}
