//! The client against StayRTR, another's cache: each version, changes, a restart with a new session id, two at once.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use siskin_net::{Asn, Prefix, Vrp};
use siskin_rpki_client::{Client, Config, Server, Status, Timers, Update, plain_connector, start};
use tokio::sync::mpsc;
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(30);

/// A running StayRTR; it ends with the value.
struct StayRtr {
    child: Child,
    port: u16,
    json: PathBuf,
}

impl Drop for StayRtr {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

type Roa<'a> = (&'a str, u8, u32);

/// The JSON that rpki-client writes and StayRTR serves. It changes the file in one step: StayRTR reads every second.
fn write(json: &Path, roas: &[Roa<'_>], aspas: &[(u32, &[u32])]) {
    let roas: Vec<String> = roas
        .iter()
        .map(|(prefix, max, asn)| {
            format!(r#"{{"prefix": "{prefix}", "maxLength": {max}, "asn": {asn}, "ta": "test"}}"#)
        })
        .collect();
    let aspas: Vec<String> = aspas
        .iter()
        .map(|(customer, providers)| {
            format!(r#"{{"customer_asid": {customer}, "expires": 4000000000, "providers": {providers:?}}}"#)
        })
        .collect();
    let (roas, aspas) = (roas.join(","), aspas.join(","));
    let text = format!(
        r#"{{"metadata": {{"buildtime": "2026-01-01T00:00:00Z"}}, "roas": [{roas}],
        "provider_authorizations": {{"ipv4": [{aspas}], "ipv6": [{aspas}]}}}}"#
    );
    let new = json.with_extension("new");
    std::fs::write(&new, text).unwrap();
    std::fs::rename(&new, json).unwrap();
}

impl StayRtr {
    fn start(json: &Path, port: Option<u16>, protocol: u8) -> StayRtr {
        let port =
            port.unwrap_or_else(|| TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port());
        let child = Command::new("stayrtr")
            .args(["-bind", &format!("127.0.0.1:{port}"), "-cache", json.to_str().unwrap()])
            .args(["-checktime=false", "-metrics.addr", "", "-refresh", "1", "-loglevel", "error"])
            .args(["-protocol", &protocol.to_string()])
            .stdin(Stdio::null())
            .spawn()
            .unwrap_or_else(|e| panic!("stayrtr cannot be started ({e}); `make setup` installs it"));
        StayRtr { child, port, json: json.to_path_buf() }
    }

    fn server(&self) -> Server {
        let name = format!("127.0.0.1:{}", self.port);
        Server { name, host: "127.0.0.1".into(), port: self.port, password: None }
    }
}

struct Site {
    client: Client,
    updates: mpsc::Receiver<Update>,
    table: BTreeSet<Vrp>,
}

fn table(roas: &[Roa<'_>]) -> BTreeSet<Vrp> {
    let vrp = |(prefix, max_len, asn): &Roa<'_>| Vrp {
        prefix: prefix.parse::<Prefix>().unwrap(),
        max_len: *max_len,
        asn: Asn(*asn),
    };
    roas.iter().map(vrp).collect()
}

impl Site {
    fn start(caches: &[&StayRtr]) -> Site {
        let timers = Timers { retry: Some(Duration::from_millis(100)), ..Timers::default() };
        let servers = caches.iter().map(|c| c.server()).collect();
        let (sender, updates) = mpsc::channel(4);
        let client = start(Config { servers, timers, ..Config::default() }, plain_connector(), sender);
        Site { client, updates, table: BTreeSet::new() }
    }

    /// Follows updates until the table is as wanted; returns how many VRPs went and came.
    async fn becomes(&mut self, roas: &[Roa<'_>]) -> (usize, usize) {
        let wanted = table(roas);
        let (mut gone, mut come) = (0, 0);
        while self.table != wanted {
            let update = timeout(PATIENCE, self.updates.recv())
                .await
                .unwrap_or_else(|_| panic!("the table stays {:?}", self.table))
                .expect("a client");
            gone += update.withdrawn.len();
            come += update.announced.len();
            assert!(update.withdrawn.iter().all(|v| self.table.remove(v)));
            assert!(update.announced.iter().all(|v| self.table.insert(*v)));
        }
        (gone, come)
    }

    async fn status(&self, wanted: impl Fn(&Status) -> bool) -> Status {
        for _ in 0..1000 {
            let status = self.client.status();
            if wanted(&status) {
                return status;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("the status stays {:#?}", self.client.status());
    }
}

const ROAS: &[Roa<'_>] = &[
    ("192.0.2.0/24", 24, 64496),
    ("192.0.2.0/24", 32, 64496),
    ("198.51.100.0/22", 24, 4_200_000_000),
    ("2001:db8::/32", 48, 64497),
    ("203.0.113.128/25", 25, 0),
];

#[tokio::test]
async fn every_version_of_stayrtr_gives_the_same_table() {
    let directory = tempfile::tempdir().unwrap();
    let json = directory.path().join("vrps.json");
    write(&json, ROAS, &[(64496, &[64499, 64498]), (64500, &[0])]);
    for protocol in [2, 1, 0] {
        let cache = StayRtr::start(&json, None, protocol);
        let mut site = Site::start(&[&cache]);
        assert_eq!(site.becomes(ROAS).await, (0, ROAS.len()), "version {protocol}");
        let status = site.status(|s| s.servers[0].version.is_some()).await;
        assert_eq!(status.servers[0].version, Some(protocol));
        assert_eq!(status.aspas, if protocol == 2 { 2 } else { 0 });
        assert_eq!(status.servers[0].last_error, None);
    }
}

#[tokio::test]
async fn changes_come_as_deltas_and_a_restart_of_the_cache_withdraws_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let json = directory.path().join("vrps.json");
    write(&json, ROAS, &[]);
    let cache = StayRtr::start(&json, None, 2);
    let mut site = Site::start(&[&cache]);
    site.becomes(ROAS).await;
    let changed: Vec<Roa<'_>> = ROAS[1..].iter().copied().chain([("203.0.113.0/24", 24, 64511)]).collect();
    write(&json, &changed, &[]);
    assert_eq!(site.becomes(&changed).await, (1, 1));
    let before = site.status(|s| s.servers[0].serial == Some(1)).await.servers[0].session;

    let (port, json) = (cache.port, cache.json.clone());
    drop(cache);
    site.status(|s| !s.servers[0].connected).await;
    let more: Vec<Roa<'_>> = changed.iter().copied().chain([("10.0.0.0/8", 8, 1)]).collect();
    write(&json, &more, &[]);
    let _cache = StayRtr::start(&json, Some(port), 2);
    assert_eq!(site.becomes(&more).await, (0, 1), "nothing is withdrawn on the way");
    let status = site.status(|s| s.servers[0].connected && s.servers[0].usable).await;
    assert_ne!(status.servers[0].session, before);
}

#[tokio::test]
async fn two_caches_unite() {
    let directory = tempfile::tempdir().unwrap();
    let (one, two) = (directory.path().join("one.json"), directory.path().join("two.json"));
    write(&one, &ROAS[..3], &[]);
    write(&two, &ROAS[2..], &[]);
    let (first, second) = (StayRtr::start(&one, None, 2), StayRtr::start(&two, None, 1));
    let mut site = Site::start(&[&first, &second]);
    assert_eq!(site.becomes(ROAS).await, (0, ROAS.len()));
    write(&two, &ROAS[4..], &[]);
    let left: Vec<Roa<'_>> = ROAS.iter().enumerate().filter(|(n, _)| *n != 3).map(|(_, r)| *r).collect();
    assert_eq!(site.becomes(&left).await, (1, 0), "the one that both had stays");
}
