//! Connections: accepted up to the limit, served one request after the other, ended in good order.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tower::Service;

use super::Limits;
use super::listen::Listener;
use super::progress::Progress;

/// Who is at the other end of a connection.
#[derive(Clone, Copy, Debug)]
pub(super) enum Caller {
    /// A process on this machine, by the Unix socket.
    Local {
        /// Its user.
        uid: u32,
        /// The daemon's user.
        daemon_uid: u32,
    },
    /// Somebody, by TCP.
    Remote,
}

impl Caller {
    /// Whether changing verbs are for it.
    pub(super) fn may_change(self) -> bool {
        match self {
            Caller::Local { uid, daemon_uid } => uid == 0 || uid == daemon_uid,
            Caller::Remote => false,
        }
    }
}

/// What a connection of any kind needs of its stream.
trait Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> Stream for S {}

/// What a connection that is one too many is told before it is closed.
const TOO_MANY: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\n\
    connection: close\r\ncontent-length: 89\r\n\r\n\
    {\"error\":{\"code\":\"unavailable\",\"message\":\"too many connections; try again\",\"report\":null}}";

/// Accepts and serves until told to stop.
pub(super) async fn serve(listener: Listener, router: Router, limits: Limits, stop: CancellationToken) {
    let places = Arc::new(Semaphore::new(limits.connections));
    let mut connections: JoinSet<()> = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
        };
        let (stream, caller) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors, say: it will not be better at once.
                tracing::warn!(%error, "the API cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let Ok(place) = places.clone().try_acquire_owned() else {
            stream.refuse();
            continue;
        };
        let (router, stop) = (router.clone(), stop.clone());
        connections.spawn(async move {
            let _place = place;
            match stream {
                Accepted::Unix(stream) => converse(stream, caller, router, limits, stop).await,
                Accepted::Tcp(stream) => converse(stream, caller, router, limits, stop).await,
            }
        });
    }
    // The address is free from here on, and the socket's file is gone.
    drop(listener);
    let drained = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(limits.drain, drained).await.is_err() {
        connections.shutdown().await;
    }
}

/// An accepted stream.
enum Accepted {
    Unix(tokio::net::UnixStream),
    Tcp(tokio::net::TcpStream),
}

impl Accepted {
    /// Tells it that it is one too many, if that can be done without waiting.
    fn refuse(self) {
        // A client that cannot take these few octets sees the connection close instead.
        let _ = match &self {
            Accepted::Unix(stream) => stream.try_write(TOO_MANY),
            Accepted::Tcp(stream) => stream.try_write(TOO_MANY),
        };
    }
}

impl Listener {
    async fn accept(&self) -> io::Result<(Accepted, Caller)> {
        match self {
            Listener::Unix { listener, daemon_uid, .. } => {
                let (stream, _) = listener.accept().await?;
                let uid = stream.peer_cred()?.uid();
                Ok((Accepted::Unix(stream), Caller::Local { uid, daemon_uid: *daemon_uid }))
            }
            Listener::Tcp(listener) => {
                let (stream, _): (_, SocketAddr) = listener.accept().await?;
                Ok((Accepted::Tcp(stream), Caller::Remote))
            }
        }
    }
}

/// Serves one connection to its end.
async fn converse<S: Stream>(
    stream: S,
    caller: Caller,
    router: Router,
    limits: Limits,
    stop: CancellationToken,
) {
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(caller);
        let mut router = router.clone();
        async move { Ok::<_, Infallible>(infallible(router.call(request.map(Body::new)).await)) }
    });
    let stream = TokioIo::new(Progress::new(stream, limits.stall));
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .max_buf_size(64 << 10)
        .serve_connection(stream, service);
    tokio::pin!(connection);
    let outcome = tokio::select! {
        outcome = connection.as_mut() => outcome,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = outcome {
        tracing::debug!(?caller, %error, "an API connection ended early");
    }
}

fn infallible<T>(result: Result<T, Infallible>) -> T {
    match result {
        Ok(value) => value,
        Err(never) => match never {},
    }
}
