//! `GET /v1/events`: server-sent events (the HTML Living Standard's `text/event-stream`).
//!
//! Each client has a task that carries events from the daemon's broadcast channel to its connection. Where the client
//! is too slow the channel drops what it has not taken, and the client is told how many.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use hyper::body::Frame;
use siskin_api::{Event, EventBody};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{OwnedSemaphorePermit, broadcast, mpsc};
use tokio_util::sync::CancellationToken;

/// How often a quiet stream says that it is alive: proxies close what is silent for a minute.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// Events between the task and its connection.
const BUFFER: usize = 16;

/// The response: a body that lives as long as the client, the place and the daemon do.
pub(super) fn stream(
    events: broadcast::Receiver<Event>,
    place: OwnedSemaphorePermit,
    stop: CancellationToken,
) -> Response {
    let (sender, receiver) = mpsc::channel(BUFFER);
    tokio::spawn(carry(events, sender, place, stop));
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    ];
    (headers, Body::new(Stream(receiver))).into_response()
}

async fn carry(
    mut events: broadcast::Receiver<Event>,
    client: mpsc::Sender<Bytes>,
    _place: OwnedSemaphorePermit,
    stop: CancellationToken,
) {
    // A first comment makes the head go out at once.
    let mut next = Bytes::from_static(b": events from now on\n\n");
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            sent = client.send(next) => if sent.is_err() { return },
        }
        next = tokio::select! {
            () = stop.cancelled() => return,
            () = client.closed() => return,
            () = tokio::time::sleep(HEARTBEAT) => Bytes::from_static(b": alive\n\n"),
            event = events.recv() => match event {
                Ok(event) => frame(&event),
                Err(RecvError::Lagged(missed)) => frame(&lagged(missed)),
                Err(RecvError::Closed) => return,
            },
        };
    }
}

fn lagged(missed: u64) -> Event {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Event { at_ms: u64::try_from(now.as_millis()).unwrap_or(u64::MAX), body: EventBody::Lagged { missed } }
}

/// One event. JSON has no line breaks, so the data is one line.
fn frame(event: &Event) -> Bytes {
    match serde_json::to_string(event) {
        Ok(json) => format!("event: {}\ndata: {json}\n\n", event.body.name()).into(),
        Err(error) => {
            tracing::warn!(%error, "an event has no JSON form");
            Bytes::from_static(b": an event was lost\n\n")
        }
    }
}

/// The body: what the task sends.
struct Stream(mpsc::Receiver<Bytes>);

impl hyper::body::Body for Stream {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(cx).map(|bytes| bytes.map(|b| Ok(Frame::data(b))))
    }
}
