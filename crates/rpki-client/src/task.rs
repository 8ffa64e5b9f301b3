//! The task of one cache: a socket and a clock around [`Session`].

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use siskin_net::Timestamp;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tracing::{debug, error, info, warn};

use crate::end::End;
use crate::payload::{Limits, Payload, Refused};
use crate::session::{Host, Session};
use crate::shared::{Cache, Shared};
use crate::union::Source;
use crate::{Connector, Server, Timers};

/// Octets read at once.
const READ: usize = 64 << 10;

/// How long a task rests that has panicked.
const REST: Duration = Duration::from_secs(10);

/// What a task needs.
#[derive(Clone)]
pub(crate) struct CacheTask {
    /// The cache.
    pub(crate) server: Server,
    /// Its number.
    pub(crate) id: u64,
    /// Timers.
    pub(crate) timers: Timers,
    /// Makes connections.
    pub(crate) connector: Connector,
    /// Where answers go.
    pub(crate) shared: Arc<Shared>,
}

/// The machine's view of the task: what it sends is gathered, what it got is put under the lock.
struct TaskHost<'a> {
    task: &'a CacheTask,
    now: Timestamp,
    out: Vec<u8>,
}

impl Host for TaskHost<'_> {
    fn send(&mut self, octets: &[u8]) {
        self.out.extend_from_slice(octets);
    }

    fn apply(&mut self, payload: Payload, expires: Timestamp) -> Result<(), Refused> {
        let CacheTask { server, id, shared, .. } = self.task;
        let full = payload.is_full();
        let mut state = shared.lock();
        state.answer(&server.name, *id, payload, (self.now, expires))?;
        let counts = state.union.said(&Source::Cache(server.name.clone())).map(|d| d.vrps.counts());
        drop(state);
        shared.changed.notify_one();
        if let Some(counts) = counts.filter(|_| full) {
            let [ipv4, ipv6] = siskin_net::Family::ALL.map(|f| counts[f]);
            info!(cache = server.name, ipv4, ipv6, "RPKI: a whole set of VRPs");
        }
        Ok(())
    }
}

impl CacheTask {
    /// Runs for ever. A panic costs this cache its connection and nobody else anything.
    pub(crate) async fn run(self) {
        let mut one = JoinSet::new();
        loop {
            one.spawn(self.clone().hold());
            if let Some(Err(error)) = one.join_next().await {
                error!(cache = self.server.name, "RPKI: {error}; again in {REST:?}");
            }
            tokio::time::sleep(REST).await;
        }
    }

    async fn hold(self) {
        let clock = self.shared.clock;
        let mut session = Session::new(self.timers, Limits::default(), clock.now());
        loop {
            clock.sleep_until(session.retry_at()).await;
            let end = match self.connect().await {
                Ok(stream) => self.serve(&mut session, stream).await,
                Err(error) => End::Connect(error.to_string()),
            };
            session.closed(clock.now(), &end);
            self.tell(&end, &session);
        }
    }

    async fn connect(&self) -> io::Result<TcpStream> {
        self.note(|cache| cache.retry = None);
        let connecting = (self.connector)(self.server.clone());
        tokio::time::timeout(self.timers.connect, connecting)
            .await
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }

    /// Drives one connection to its end.
    async fn serve(&self, session: &mut Session, mut stream: TcpStream) -> End {
        let clock = self.shared.clock;
        let mut input = BytesMut::with_capacity(READ);
        let mut host = TaskHost { task: self, now: clock.now(), out: Vec::new() };
        session.connected(host.now, &mut host);
        self.note(|cache| cache.status.connected = true);
        loop {
            if let Err(end) = self.flush(&mut stream, &mut host.out).await {
                return end;
            }
            input.reserve(READ / 2);
            let deadline = session.deadline();
            let outcome = tokio::select! {
                read = stream.read_buf(&mut input) => {
                    host.now = clock.now();
                    match read {
                        Ok(0) => Err(session.hung_up()),
                        Ok(_) => session.received(host.now, &input, &mut host).map(|used| input.advance(used)),
                        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Err(session.hung_up()),
                        Err(error) => Err(End::Transport(error.to_string())),
                    }
                }
                () = clock.sleep_until(deadline) => {
                    host.now = clock.now();
                    session.tick(host.now, &mut host)
                }
            };
            self.note_session(session);
            if let Err(end) = outcome {
                // The Error Report, if there is one: what the socket takes of it at once will do.
                if !host.out.is_empty() {
                    let _ = stream.try_write(&host.out);
                }
                return end;
            }
        }
    }

    async fn flush(&self, stream: &mut TcpStream, out: &mut Vec<u8>) -> Result<(), End> {
        if out.is_empty() {
            return Ok(());
        }
        let written = tokio::time::timeout(self.timers.response, stream.write_all(out)).await;
        out.clear();
        match written {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(End::Transport(error.to_string())),
            Err(_) => Err(End::Silent(self.timers.response, "and read nothing")),
        }
    }

    fn note(&self, change: impl FnOnce(&mut Cache)) {
        let mut state = self.shared.lock();
        if let Some(cache) = state.caches.get_mut(&self.server.name).filter(|c| c.task == self.id) {
            change(cache);
        }
    }

    fn note_session(&self, session: &Session) {
        self.note(|cache| {
            cache.status.version = session.version();
            if let Some((id, serial)) = session.position() {
                cache.status.session = Some(id);
                cache.status.serial = Some(serial);
            }
        });
    }

    /// An end is told once: the same one again is for whoever debugs.
    fn tell(&self, end: &End, session: &Session) {
        let text = end.to_string();
        let mut news = false;
        self.note(|cache| {
            news = cache.status.last_error.as_deref() != Some(&text);
            cache.status.connected = false;
            cache.status.version = None;
            cache.status.failures += 1;
            cache.status.last_error = Some(text.clone());
            cache.retry = session.retry_at();
        });
        if news {
            warn!(cache = self.server.name, "RPKI: {text}");
        } else {
            debug!(cache = self.server.name, "RPKI: {text}");
        }
    }
}
