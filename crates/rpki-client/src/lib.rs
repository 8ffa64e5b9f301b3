//! RTR caches (RFC 8210, RFC 6810, draft-ietf-sidrops-8210bis) become VRP and ASPA deltas: sessions with any number of
//! caches, the union of what they say, local exceptions (SLURM, RFC 8416), and the last good data on disk.
//!
//! [`start`] spawns the tasks and hands out [`Update`]s: the first holds everything, each further one what changed.
//! Below, everything is pure: [`session`] is one cache as a machine, [`union`] what all say together, [`wire`] the
//! PDUs; time and octets are arguments. [`task`] and [`client`] put sockets, files and clocks around them.
//!
//! Left out: RTR over SSH or TLS, BGPsec router keys.

#[cfg(test)]
#[path = "../tests/cache/pdus.rs"]
mod pdus;

pub mod check;
mod client;
mod end;
mod entry;
mod payload;
mod session;
mod set;
mod shared;
mod slurm;
mod status;
mod store;
mod task;
mod timers;
mod union;
mod wire;

use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use siskin_net::{Aspa, Vrp};
use tokio::net::TcpStream;

pub use client::{Client, start};
pub use status::{ServerStatus, SlurmStatus, Status};
pub use timers::Timers;

/// What a client runs with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// The caches: all are used, and their union counts. With none, local exceptions alone make the set.
    pub servers: Vec<Server>,
    /// A file of local exceptions (RFC 8416), read again when it changes.
    pub slurm: Option<PathBuf>,
    /// Where the last good union is kept for the next start.
    pub state_file: Option<PathBuf>,
    /// Timers; the default is right for real caches.
    pub timers: Timers,
}

/// One cache.
#[derive(Clone, PartialEq, Eq)]
pub struct Server {
    /// Its name in messages and status: `host:port` as configured. One name is one cache.
    pub name: String,
    /// A name or an address, without brackets.
    pub host: String,
    /// The TCP port; 323 is IANA's.
    pub port: u16,
    /// The TCP MD5 password (RFC 2385), for the [`Connector`] to use.
    pub password: Option<String>,
}

/// The password is left out: this goes to logs.
impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("name", &self.name).finish_non_exhaustive()
    }
}

/// What [`Connector`] returns: a stream to the cache, or why there is none.
pub type Connecting = Pin<Box<dyn Future<Output = io::Result<TcpStream>> + Send>>;

/// Makes a connection to a cache. It comes from the daemon, as TCP MD5 needs socket options that only it may set.
pub type Connector = Arc<dyn Fn(Server) -> Connecting + Send + Sync>;

/// A connector without TCP MD5: resolves the name and tries every address. A server with a password is refused, rather
/// than spoken to without protection.
#[must_use]
pub fn plain_connector() -> Connector {
    Arc::new(|server| {
        Box::pin(async move {
            if server.password.is_some() {
                return Err(io::Error::new(io::ErrorKind::Unsupported, "no TCP MD5 in this connector"));
            }
            let stream = TcpStream::connect((server.host.as_str(), server.port)).await?;
            stream.set_nodelay(true)?;
            Ok(stream)
        })
    })
}

/// Where the data of an update come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// From the file of the last run: no cache has answered yet.
    Persisted {
        /// How old the data were when they were read.
        age: Duration,
    },
    /// From caches (and, with none configured, from local exceptions).
    Live,
}

/// What changed since the update before; the first one holds everything. An update without a change says that `origin`
/// or `complete` has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Update {
    /// VRPs that are new, each once.
    pub announced: Vec<Vrp>,
    /// VRPs that are gone, each once; none of them is in `announced`.
    pub withdrawn: Vec<Vrp>,
    /// All ASPAs in order of customers, when any of them changed.
    pub aspas: Option<Arc<[Aspa]>>,
    /// Where the data come from.
    pub origin: Origin,
    /// A whole set has been there: of at least one cache, or of the file. Stays true. With no cache configured there
    /// is nothing to wait for, and it is true at once.
    pub complete: bool,
}
