//! The daemon's API over its Unix socket: one connection a request, answers read whole or line by line.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use siskin_api::{ApiError, ErrorBody, ErrorCode};
use tokio::net::UnixStream;

use crate::failure::Failure;

/// Longer than the daemon gives itself for an answer.
const PATIENCE: Duration = Duration::from_secs(40);
/// Longer than the daemon gives itself for work that takes minutes.
const LONG_PATIENCE: Duration = Duration::from_secs(620);

/// A way to the daemon.
#[derive(Debug)]
pub(crate) struct Client {
    socket: PathBuf,
}

impl Client {
    /// By this socket.
    pub(crate) fn new(socket: PathBuf) -> Client {
        Client { socket }
    }

    /// Reads; the answer's octets as they came.
    pub(crate) async fn get(&self, path: &str) -> Result<Bytes, Failure> {
        self.whole(Method::GET, path, Bytes::new(), PATIENCE).await
    }

    /// Reads and understands.
    pub(crate) async fn get_as<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        understand(&self.get(path).await?)
    }

    /// Acts; the answer's octets as they came.
    pub(crate) async fn post(&self, path: &str, body: Vec<u8>) -> Result<Bytes, Failure> {
        self.whole(Method::POST, path, body.into(), PATIENCE).await
    }

    /// Puts something in its place; the answer's octets as they came.
    pub(crate) async fn put(&self, path: &str, body: Vec<u8>) -> Result<Bytes, Failure> {
        self.whole(Method::PUT, path, body.into(), PATIENCE).await
    }

    /// Takes something away; the answer's octets as they came.
    pub(crate) async fn delete(&self, path: &str) -> Result<Bytes, Failure> {
        self.whole(Method::DELETE, path, Bytes::new(), PATIENCE).await
    }

    /// As [`Client::post`], for work that may take minutes.
    pub(crate) async fn post_long(&self, path: &str, body: Vec<u8>) -> Result<Bytes, Failure> {
        self.whole(Method::POST, path, body.into(), LONG_PATIENCE).await
    }

    async fn whole(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
        patience: Duration,
    ) -> Result<Bytes, Failure> {
        let whole = async {
            let response = self.send(method, path, body).await?;
            Ok(response.into_body().collect().await.map_err(|e| self.broken(&e))?.to_bytes())
        };
        tokio::time::timeout(patience, whole).await.unwrap_or_else(|_| {
            Err(Failure::Unreachable(format!(
                "the daemon at {} takes more than {} s to answer: see its log",
                self.socket.display(),
                patience.as_secs()
            )))
        })
    }

    /// Reads an answer that does not end, piece by piece.
    pub(crate) async fn follow(
        &self,
        path: &str,
        mut each: impl FnMut(&[u8]) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let mut body = self.send(Method::GET, path, Bytes::new()).await?.into_body();
        while let Some(frame) = body.frame().await {
            if let Ok(data) = frame.map_err(|e| self.broken(&e))?.into_data() {
                each(&data)?;
            }
        }
        Err(Failure::Unreachable("the daemon has ended the stream: it stops, or has been stopped".to_owned()))
    }

    async fn send(&self, method: Method, path: &str, body: Bytes) -> Result<Response<Incoming>, Failure> {
        let stream = UnixStream::connect(&self.socket).await.map_err(|e| unreachable(&self.socket, &e))?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|e| self.broken(&e))?;
        // Its errors come out of the request, too.
        tokio::spawn(connection);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(hyper::header::HOST, "siskin")
            .body(Full::new(body))
            .map_err(|e| Failure::Usage(format!("this cannot be asked: {e}")))?;
        let response = sender.send_request(request).await.map_err(|e| self.broken(&e))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        let body = response.into_body().collect().await.map_err(|e| self.broken(&e))?.to_bytes();
        Err(match serde_json::from_slice::<ErrorBody>(&body) {
            Ok(body) => body.error.into(),
            Err(_) => ApiError::new(ErrorCode::Internal, format!("the daemon answered {status}")).into(),
        })
    }

    fn broken(&self, error: &hyper::Error) -> Failure {
        Failure::Unreachable(format!("the connection to {} broke: {error}", self.socket.display()))
    }
}

/// An answer as its type.
pub(crate) fn understand<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(bytes).map_err(|e| {
        let text =
            format!("the daemon's answer is not understood ({e}): are siskin and siskind of one version?");
        ApiError::new(ErrorCode::Internal, text).into()
    })
}

/// What to do when the socket cannot be used.
fn unreachable(socket: &Path, error: &io::Error) -> Failure {
    let socket = socket.display();
    Failure::Unreachable(match error.kind() {
        io::ErrorKind::NotFound => format!(
            "the daemon is not running: there is no {socket}. Start it with `systemctl start siskin`; if it listens \
             elsewhere, name its socket with --socket or SISKIN_SOCKET"
        ),
        io::ErrorKind::ConnectionRefused => format!(
            "the daemon is not running: nobody answers at {socket}. Start it with `systemctl start siskin`, and see \
             `journalctl -u siskin` for why it ended"
        ),
        io::ErrorKind::PermissionDenied => format!(
            "you may not use {socket}: use sudo, or join the group that may (`usermod -aG siskin USER`, then log in \
             again)"
        ),
        _ => format!("the daemon cannot be reached at {socket}: {error}"),
    })
}

/// A value inside a path or query: everything but letters, digits and `-._~` is escaped.
pub(crate) fn escape(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for byte in value.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                text.push(char::from(byte))
            }
            other => text.push_str(&format!("%{other:02X}")),
        }
    }
    text
}

/// `?name=value&…` of those that have a value.
pub(crate) fn query<const N: usize>(parameters: [(&str, Option<String>); N]) -> String {
    let mut text = String::new();
    for (name, value) in parameters {
        if let Some(value) = value {
            text.push(if text.is_empty() { '?' } else { '&' });
            text.push_str(name);
            text.push('=');
            text.push_str(&escape(&value));
        }
    }
    text
}
