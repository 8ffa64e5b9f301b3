//! Both ends of a test: a cache that does as it is told, and a client whose updates are checked against a table.

use std::collections::BTreeSet;
use std::time::Duration;

use siskin_net::{Asn, Prefix, Vrp};
use siskin_rpki_client::{Client, Config, Origin, Server, Status, Timers, Update, plain_connector, start};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::timeout;

/// How long anything that must happen may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long nothing happens where nothing should.
pub(crate) const QUIET: Duration = Duration::from_millis(200);

/// Milliseconds.
pub(crate) const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// A VRP of its prefix's own length.
pub(crate) fn vrp((prefix, asn): (&str, u32)) -> Vrp {
    let prefix: Prefix = prefix.parse().unwrap();
    Vrp { prefix, max_len: prefix.len(), asn: Asn(asn) }
}

/// What a client asks.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Query {
    Reset(u8),
    Serial(u8, u16, u32),
    Error(u8, u16),
    Closed,
}

/// A listener that is a cache.
pub(crate) struct Cache {
    listener: TcpListener,
    pub(crate) server: Server,
}

impl Cache {
    pub(crate) async fn start() -> Cache {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let host = "127.0.0.1".to_string();
        Cache { server: Server { name: format!("{host}:{port}"), host, port, password: None }, listener }
    }

    pub(crate) async fn accept(&self) -> Conversation {
        let (stream, _) = timeout(PATIENCE, self.listener.accept()).await.expect("a connection").unwrap();
        Conversation(stream)
    }
}

/// One connection, from the cache's side.
pub(crate) struct Conversation(TcpStream);

impl Conversation {
    pub(crate) async fn query(&mut self) -> Query {
        timeout(PATIENCE, self.read()).await.expect("a query").unwrap_or(Query::Closed)
    }

    async fn read(&mut self) -> std::io::Result<Query> {
        let mut header = [0; 8];
        self.0.read_exact(&mut header).await?;
        let [version, kind, high, low, ..] = header;
        let mut body = vec![0; u32::from_be_bytes(header[4..].try_into().unwrap()) as usize - 8];
        self.0.read_exact(&mut body).await?;
        let session = u16::from_be_bytes([high, low]);
        Ok(match kind {
            1 => Query::Serial(version, session, u32::from_be_bytes(body.try_into().unwrap())),
            2 => Query::Reset(version),
            10 => Query::Error(version, session),
            other => panic!("a client sent type {other}"),
        })
    }

    pub(crate) async fn send(&mut self, octets: &[u8]) {
        self.0.write_all(octets).await.unwrap();
    }

    /// Sends what the client may no longer want.
    pub(crate) async fn send_in_vain(&mut self, octets: &[u8]) {
        let _ = self.0.write_all(octets).await;
    }
}

/// Timers that make failures short.
pub(crate) fn quick() -> Timers {
    Timers { retry: Some(ms(50)), slurm_poll: ms(50), persist_every: ms(100), ..Timers::default() }
}

/// A configuration of these caches.
pub(crate) fn config(caches: &[&Cache]) -> Config {
    let servers = caches.iter().map(|c| c.server.clone()).collect();
    Config { servers, timers: quick(), ..Config::default() }
}

/// A client, and the table that its updates make.
pub(crate) struct Site {
    pub(crate) client: Client,
    pub(crate) updates: mpsc::Receiver<Update>,
    pub(crate) table: BTreeSet<Vrp>,
}

impl Site {
    pub(crate) fn start(config: Config) -> Site {
        let (sender, updates) = mpsc::channel(1);
        Site { client: start(config, plain_connector(), sender), updates, table: BTreeSet::new() }
    }

    /// The next update, put into the table.
    pub(crate) async fn next(&mut self) -> Update {
        let update = timeout(PATIENCE, self.updates.recv()).await.expect("an update").expect("a client");
        for vrp in &update.withdrawn {
            assert!(self.table.remove(vrp), "{vrp:?} is withdrawn and was not there");
        }
        for vrp in &update.announced {
            assert!(self.table.insert(*vrp), "{vrp:?} is announced and was there");
        }
        update
    }

    /// The next update changes exactly this.
    pub(crate) async fn expect(&mut self, announced: &[(&str, u32)], withdrawn: &[(&str, u32)]) -> Update {
        let update = self.next().await;
        let set = |list: &[(&str, u32)]| list.iter().copied().map(vrp).collect::<BTreeSet<_>>();
        let of = |list: &[Vrp]| list.iter().copied().collect::<BTreeSet<_>>();
        assert_eq!(of(&update.announced), set(announced), "announced");
        assert_eq!(of(&update.withdrawn), set(withdrawn), "withdrawn");
        update
    }

    /// No update comes for a while.
    pub(crate) async fn expect_nothing(&mut self) {
        if let Ok(update) = timeout(QUIET, self.updates.recv()).await {
            panic!("{update:?}");
        }
    }

    /// Waits until the status is as `wanted`.
    pub(crate) async fn status(&self, wanted: impl Fn(&Status) -> bool) -> Status {
        let mut status = self.client.status();
        for _ in 0..400 {
            if wanted(&status) {
                return status;
            }
            tokio::time::sleep(ms(20)).await;
            status = self.client.status();
        }
        panic!("the status stays {status:#?}");
    }
}

/// Whether an update is from the file of the last run.
pub(crate) fn is_persisted(update: &Update) -> bool {
    matches!(update.origin, Origin::Persisted { .. })
}
