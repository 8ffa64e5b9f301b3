//! The API server: HTTP/1.1 on a Unix socket (all verbs) and, where configured, on TCP (reads alone).
//!
//! The endpoints are those of the table in `siskin_api`; the answers come from a [`Backend`]. A client can cost no more
//! than its connection: each listener has its own limit of connections, a head or body that does not arrive and an
//! answer that is not read end the connection, answers are pages, and event streams leave out what is not read in time.
//! TLS is left to a proxy.

mod answer;
mod backend;
mod connection;
mod events;
mod listen;
mod progress;
mod router;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub(crate) use backend::{Answer, Backend, HostRouteVerb};
pub(crate) use listen::Listeners;

/// Where to listen and how much to bear.
#[derive(Clone, Debug)]
pub(crate) struct ServerConfig {
    /// The Unix socket; its folder is made if it is missing.
    pub(crate) socket: PathBuf,
    /// The group that may use the socket, if it exists.
    pub(crate) group: String,
    /// The user who may use changing verbs, besides root: the daemon's own.
    pub(crate) daemon_uid: u32,
    /// The TCP address of the read-only API, if wanted.
    pub(crate) http: Option<SocketAddr>,
    /// Limits.
    pub(crate) limits: Limits,
}

/// What clients may cost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Connections of each listener; more are told 503.
    pub(crate) connections: usize,
    /// Event streams of all clients; more are told 503.
    pub(crate) streams: usize,
    /// Octets of a request's body.
    pub(crate) body: usize,
    /// Time for a request's head, counted from the end of the request before it: an idle connection ends then, too.
    pub(crate) head: Duration,
    /// Time for a request's body.
    pub(crate) body_time: Duration,
    /// Time for the daemon to answer.
    pub(crate) answer: Duration,
    /// Time for work that only root and the daemon's user may ask for.
    pub(crate) work: Duration,
    /// Time for a client to read some of the answer.
    pub(crate) stall: Duration,
    /// Time for requests under way when the server stops.
    pub(crate) drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            connections: 256,
            streams: 64,
            body: 1 << 20,
            head: Duration::from_secs(15),
            body_time: Duration::from_secs(10),
            answer: Duration::from_secs(30),
            work: Duration::from_secs(600),
            stall: Duration::from_secs(30),
            drain: Duration::from_secs(2),
        }
    }
}

/// A running server. Dropping it ends its tasks at once; [`Server::shutdown`] ends them in good order.
#[derive(Debug)]
pub(crate) struct Server {
    stop: CancellationToken,
    tasks: JoinSet<()>,
    http: Option<SocketAddr>,
}

impl Server {
    /// Serves on listeners that were opened before. Must run inside a tokio runtime.
    pub(crate) fn start<B: Backend>(listeners: Listeners, backend: Arc<B>) -> std::io::Result<Server> {
        let stop = CancellationToken::new();
        let limits = listeners.limits;
        let router = router::build(backend, limits, stop.clone());
        let mut tasks = JoinSet::new();
        let http = listeners.http_address();
        let (unix, tcp) = listeners.into_tokio()?;
        tasks.spawn(connection::serve(unix, router.clone(), limits, stop.clone()));
        if let Some(tcp) = tcp {
            tasks.spawn(connection::serve(tcp, router, limits, stop.clone()));
        }
        Ok(Server { stop, tasks, http })
    }

    /// The TCP address in use: that of the configuration, with the port the system chose where it said 0.
    pub(crate) fn http_address(&self) -> Option<SocketAddr> {
        self.http
    }

    /// Takes no more connections, lets requests under way finish for a short time, removes the socket.
    pub(crate) async fn shutdown(mut self) {
        self.stop.cancel();
        while self.tasks.join_next().await.is_some() {}
    }
}

#[cfg(test)]
pub(crate) mod fake;
#[cfg(test)]
mod tests;
