//! One BGP session of the player or the sink: connect or listen, open, keep alive, read messages.
//!
//! A session that cannot be opened is tried again; a NOTIFICATION is reported as an event. There is no
//! collision handling: only one of `connect` and `listen` is ever in use, and the other side's second
//! connection is refused.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use siskin_net::Family;
use socket2::{Domain, Socket, Type};

use crate::{Error, Result, fail, wire};

/// How long to wait between two attempts to connect.
const RETRY: Duration = Duration::from_millis(200);

/// How long the other side may take over each step of opening.
const PATIENCE: Duration = Duration::from_secs(20);

/// Who we are and whom we talk to.
#[derive(Debug, Clone)]
pub struct Options {
    /// Our AS number.
    pub asn: u32,
    /// Our BGP identifier.
    pub router_id: Ipv4Addr,
    /// The hold time we propose, seconds.
    pub hold: u16,
    /// The families we negotiate.
    pub families: Vec<Family>,
    /// The source address, where it matters.
    pub local: Option<IpAddr>,
    /// The other side: connect to it; none: listen.
    pub connect: Option<SocketAddr>,
    /// Where to listen.
    pub listen: Option<SocketAddr>,
}

/// Prints an event: one JSON object a line, with the time in seconds since the epoch.
pub fn emit(name: &str, mut fields: Value) {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    fields["event"] = json!(name);
    fields["at"] = json!(now.as_secs_f64());
    // One write a line: other threads print too. Nobody reads a broken pipe's error.
    let _ = std::io::stdout().lock().write_all(format!("{fields}\n").as_bytes());
}

/// An established session.
#[derive(Debug)]
pub struct Session {
    /// To read from.
    pub reader: MessageReader<TcpStream>,
    writer: Writer,
}

/// The sending half, shared by whoever sends.
#[derive(Debug, Clone)]
pub struct Writer(Arc<Mutex<TcpStream>>);

impl Writer {
    fn lock(&self) -> MutexGuard<'_, TcpStream> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends whole messages.
    ///
    /// # Errors
    /// When the connection is gone.
    pub fn send(&self, messages: &[u8]) -> Result {
        Ok(self.lock().write_all(messages)?)
    }

    /// Sends a KEEPALIVE every `period`, from a thread of its own, as long as the connection lasts.
    pub fn keep_alive(&self, period: Duration) {
        let writer = self.clone();
        thread::spawn(move || {
            let Ok(keepalive) = wire::message(wire::KEEPALIVE, &[]) else { return };
            while writer.send(&keepalive).is_ok() {
                thread::sleep(period);
            }
        });
    }
}

impl Session {
    /// Opens a session, as often as it takes.
    ///
    /// # Errors
    /// When we cannot listen at all. A refused connection, a NOTIFICATION or silence is reported as an event
    /// and tried again.
    pub fn establish(options: &Options) -> Result<Session> {
        let listener = options.listen.map(listener).transpose()?;
        loop {
            let stream = match (&listener, options.connect) {
                (Some(listener), _) => listener.accept()?.0,
                (None, Some(address)) => match connect(address, options.local) {
                    Ok(stream) => stream,
                    Err(_) => {
                        thread::sleep(RETRY);
                        continue;
                    }
                },
                (None, None) => return fail("neither an address to connect to nor one to listen on"),
            };
            match open(stream, options) {
                Ok(session) => {
                    emit("established", json!({}));
                    return Ok(session);
                }
                Err(error) => emit("refused", json!({ "text": error.to_string() })),
            }
            thread::sleep(RETRY);
        }
    }

    /// The sending half.
    #[must_use]
    pub fn writer(&self) -> Writer {
        self.writer.clone()
    }
}

fn listener(address: SocketAddr) -> Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(4)?;
    Ok(socket.into())
}

fn connect(address: SocketAddr, local: Option<IpAddr>) -> Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    if let Some(local) = local {
        socket.bind(&SocketAddr::new(local, 0).into())?;
    }
    socket.connect_timeout(&address.into(), Duration::from_secs(2))?;
    Ok(socket.into())
}

/// OPEN and KEEPALIVE, both ways.
fn open(stream: TcpStream, options: &Options) -> Result<Session> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let writer = Writer(Arc::new(Mutex::new(stream.try_clone()?)));
    let mut reader = MessageReader::new(stream);
    writer.send(&wire::open(options.asn, options.hold, options.router_id, &options.families)?)?;
    expect(&mut reader, wire::OPEN)?;
    writer.send(&wire::message(wire::KEEPALIVE, &[])?)?;
    expect(&mut reader, wire::KEEPALIVE)?;
    reader.stream.set_read_timeout(None)?;
    Ok(Session { reader, writer })
}

fn expect(reader: &mut MessageReader<TcpStream>, wanted: u8) -> Result {
    match reader.message()? {
        Some((kind, _)) if kind == wanted => Ok(()),
        Some((wire::NOTIFICATION, body)) => {
            notification(body);
            fail("a NOTIFICATION")
        }
        Some((kind, _)) => fail(format!("message type {kind} instead of {wanted}")),
        None => fail("the connection was closed"),
    }
}

/// Reports a NOTIFICATION.
pub fn notification(body: &[u8]) {
    let data: String = body.iter().skip(2).map(|octet| format!("{octet:02x}")).collect();
    emit("notification", json!({ "code": body.first(), "subcode": body.get(1), "data": data }));
}

/// Cuts a stream into messages.
#[derive(Debug)]
pub struct MessageReader<S> {
    stream: S,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
}

impl<S: Read> MessageReader<S> {
    /// From the beginning of a stream.
    #[must_use]
    pub fn new(stream: S) -> Self {
        MessageReader { stream, buffer: vec![0; 1 << 18], start: 0, end: 0 }
    }

    /// The next message's type and body; `None` at the end of the stream.
    ///
    /// # Errors
    /// When reading fails or a header is impossible.
    pub fn message(&mut self) -> Result<Option<(u8, &[u8])>> {
        loop {
            let waiting = self.buffer.get(self.start..self.end).unwrap_or_default();
            if let [high, low, kind, ..] = waiting.get(16..).unwrap_or_default() {
                let (kind, length) = (*kind, usize::from(u16::from_be_bytes([*high, *low])));
                if length < wire::HEADER {
                    return fail(format!("a message of {length} octets"));
                }
                if waiting.len() >= length {
                    let body = self.start + wire::HEADER..self.start + length;
                    self.start += length;
                    let body = self.buffer.get(body).ok_or_else(|| Error::new("a hole in the buffer"))?;
                    return Ok(Some((kind, body)));
                }
            }
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
            let room = self.buffer.get_mut(self.end..).unwrap_or_default();
            match self.stream.read(room)? {
                0 => return Ok(None),
                count => self.end += count,
            }
        }
    }
}
