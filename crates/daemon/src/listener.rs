//! Accepts BGP connections and hands each to the peer it comes from.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::daemon::Daemon;
use crate::tcp;

/// Rest after an error of `accept`, like too many open files.
const PAUSE: Duration = Duration::from_millis(200);

/// An open listening socket and the task that accepts on it.
pub(crate) struct Listener {
    pub(crate) address: SocketAddr,
    pub(crate) socket: Arc<TcpListener>,
    task: Option<JoinHandle<()>>,
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

/// Opens a listening socket.
///
/// # Errors
/// A sentence that says what is wrong and what to do.
pub(crate) fn open(address: SocketAddr) -> Result<Listener, String> {
    let socket = tcp::listen(address).map_err(|error| explain(address, &error))?;
    Ok(Listener { address, socket: Arc::new(socket), task: None })
}

fn explain(address: SocketAddr, error: &io::Error) -> String {
    let advice = match error.kind() {
        io::ErrorKind::AddrInUse => {
            "; another BGP daemon (bird, bgpd, gobgpd) may be running: stop it, or change router.listen"
        }
        io::ErrorKind::AddrNotAvailable => "; no interface has this address: change router.listen",
        io::ErrorKind::PermissionDenied => {
            "; ports below 1024 need CAP_NET_BIND_SERVICE: start siskind as root, or change router.listen"
        }
        _ => "",
    };
    format!("cannot listen on {address} for BGP: {error}{advice}")
}

impl Listener {
    /// Begins to accept.
    pub(crate) fn start(&mut self, daemon: Arc<Daemon>) {
        let socket = self.socket.clone();
        self.task = Some(tokio::spawn(async move {
            loop {
                match socket.accept().await {
                    Ok((stream, remote)) => accept(&daemon, stream, remote),
                    Err(error) => {
                        tracing::warn!(%error, "cannot accept a BGP connection");
                        tokio::time::sleep(PAUSE).await;
                    }
                }
            }
        }));
    }
}

fn accept(daemon: &Daemon, stream: TcpStream, remote: SocketAddr) {
    let scope = match remote {
        SocketAddr::V6(v6) => v6.scope_id(),
        SocketAddr::V4(_) => 0,
    };
    let address: IpAddr = remote.ip().to_canonical();
    if !daemon.deliver(address, scope, stream) {
        tracing::info!(%address, "refused a BGP connection: no peer has this address");
        daemon.counters.refused_connections.inc();
    }
}
