//! A connection to an IRRd server: opening it, sending queries ahead of their replies, waiting no longer than allowed.

use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

use super::reply::{Replies, Reply};
use super::{FetchError, MAX_REPLY};
use crate::{HostPort, name};

/// The longest wait for a connection; it is a matter of round trips, not of the server's work.
const CONNECT: Duration = Duration::from_secs(10);
/// How many addresses of a name are tried.
const MAX_ADDRESSES: usize = 8;
/// The idle time that IRRd accepts at most, seconds.
const MAX_IDLE: u64 = 1000;
/// The text of IRRd's answer to a bare `!a`, by which the query is known to exist.
const HAS_A: &str = "missing required set name";

/// Connects to the first address of a server that takes it, `patience` for each: a name with a dead IPv6 address is common.
async fn connect(server: &HostPort, patience: Duration) -> Result<TcpStream, FetchError> {
    let failed = |why: &str| FetchError::Connect(format!("{server}: {why}"));
    let found = timeout(patience, lookup_host((server.host.as_str(), server.port))).await;
    let addresses = found
        .map_err(|_| failed("its name was not resolved in time"))?
        .map_err(|e| failed(&e.to_string()))?;
    let mut error = failed("its name has no address");
    for address in addresses.take(MAX_ADDRESSES) {
        match timeout(patience, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(why)) => error = failed(&why.to_string()),
            Err(_) => error = failed("no answer"),
        }
    }
    Err(error)
}

/// An open connection that stays open between queries (`!!`).
#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    replies: Replies,
    /// How long the server may say nothing.
    timeout: Duration,
    /// Whether the server resolves whole sets (`!a4`, `!a6`).
    pub(super) has_a: bool,
    /// Why nothing can be asked any more. A late reply must not pass for the reply to another query.
    broken: Option<FetchError>,
}

impl Connection {
    /// Connects, introduces us, and finds out whether the server resolves whole sets.
    pub(super) async fn open(server: &HostPort, patience: Duration) -> Result<Connection, FetchError> {
        let stream = connect(server, patience.min(CONNECT)).await?;
        // Queries are small and go out in one write; waiting for more would only cost round trips.
        stream.set_nodelay(true).map_err(|e| FetchError::Io(e.to_string()))?;
        let replies = Replies::new(MAX_REPLY);
        let mut connection = Connection { stream, replies, timeout: patience, has_a: false, broken: None };
        let idle = patience.as_secs().saturating_add(10).clamp(30, MAX_IDLE);
        let hello = format!("!!\n!nsiskin {}\n!t{idle}\n!a\n", env!("CARGO_PKG_VERSION"));
        connection.send(&hello).await?;
        // A server that knows neither a name nor an idle time is as good; their replies only count as replies.
        connection.receive().await?;
        connection.receive().await?;
        connection.has_a = matches!(connection.receive().await?, Reply::Failed(text) if text.to_ascii_lowercase().contains(HAS_A));
        Ok(connection)
    }

    /// Restricts the following queries to `sources`, in this order; none: the server's own choice.
    pub(super) async fn choose(&mut self, sources: &[String]) -> Result<(), FetchError> {
        if sources.is_empty() {
            return Ok(());
        }
        let sources = sources.join(",");
        self.send(&format!("!s{sources}\n")).await?;
        match self.receive().await? {
            Reply::Done => Ok(()),
            Reply::Failed(text) => Err(FetchError::Sources { sources, text }),
            _ => Err(FetchError::Unexpected(format!("!s{sources}"))),
        }
    }

    /// The registries that the server asks by itself.
    pub(super) async fn usual_sources(&mut self) -> Result<Vec<String>, FetchError> {
        self.send("!s-lc\n").await?;
        match self.receive().await? {
            Reply::Data(data) => {
                let text = String::from_utf8_lossy(&data);
                Ok(text
                    .split(',')
                    .map(|source| source.trim().to_owned())
                    .filter(|s| name::is_source(s))
                    .collect())
            }
            Reply::Failed(text) => Err(FetchError::Failed(text)),
            _ => Err(FetchError::Unexpected("!s-lc".into())),
        }
    }

    /// Sends queries, each with its newline.
    pub(super) async fn send(&mut self, queries: &str) -> Result<(), FetchError> {
        if let Some(error) = &self.broken {
            return Err(error.clone());
        }
        let error = match timeout(self.timeout, self.stream.write_all(queries.as_bytes())).await {
            Ok(Ok(())) => return Ok(()),
            // A server that refuses us says so before it closes; the reading side finds it.
            Ok(Err(error)) => match self.receive().await {
                Err(refusal @ FetchError::Reply(_)) => refusal,
                _ => FetchError::Io(error.to_string()),
            },
            Err(_) => FetchError::Silent(self.timeout),
        };
        self.broken = Some(error.clone());
        Err(error)
    }

    /// The next reply. After an error there is no other.
    pub(super) async fn receive(&mut self) -> Result<Reply, FetchError> {
        if let Some(error) = &self.broken {
            return Err(error.clone());
        }
        let reply = self.read().await;
        self.broken = reply.as_ref().err().cloned();
        reply
    }

    async fn read(&mut self) -> Result<Reply, FetchError> {
        loop {
            if let Some(reply) = self.replies.next()? {
                return Ok(reply);
            }
            let buffer: &mut BytesMut = self.replies.buffer();
            buffer.reserve(64 << 10);
            match timeout(self.timeout, self.stream.read_buf(buffer)).await {
                Ok(Ok(0)) => return Err(self.replies.at_end().map_or(FetchError::Closed, FetchError::from)),
                Ok(Ok(_)) => {}
                Ok(Err(error)) => {
                    let refusal = self.replies.at_end().map(FetchError::from);
                    return Err(refusal.unwrap_or_else(|| FetchError::Io(error.to_string())));
                }
                Err(_) => return Err(FetchError::Silent(self.timeout)),
            }
        }
    }

    /// Says good-bye. Nothing depends on it.
    pub(super) async fn close(mut self) {
        let _ = timeout(Duration::from_secs(1), self.stream.write_all(b"!q\n")).await;
    }
}
