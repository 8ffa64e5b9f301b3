//! A stand-in for an IRRd server: sets and route objects given by the test, the queries of IRRd's whois protocol that filter
//! generators send, and each way in which real servers fail. It leaves out RPSL objects, mirroring and range operators.
//!
//! Two things are as in IRRd 4 and matter to clients: `D` is also said of what exists and leads to nothing, and the length of an
//! `A` reply counts the newline after the data.

mod registry;

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use siskin_net::Family;
use socket2::SockRef;

use crate::{Error, Result, fail};
pub use registry::Registry;

/// How the server fails, from the next query or connection on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// `%% Access denied` to every new connection.
    Refuse,
    /// Says nothing more to a question about data.
    Hang,
    /// Closes in the middle of the data.
    Close,
    /// `F`: an internal error.
    Failed,
    /// `D` to everything.
    NotFound,
    /// Announces more octets than come, then goes on.
    LongLength,
    /// Announces fewer octets than come.
    ShortLength,
    /// Bytes that are no reply.
    Garbage,
    /// Data that hold what is no prefix and no AS number.
    Junk,
    /// Right replies, in segments of 1 to 7 octets.
    Split,
    /// Right replies, each a while later.
    Slow(Duration),
}

/// The failures that need no number, with the words for them.
const WORDS: &[(&str, Failure)] = &[
    ("refuse", Failure::Refuse),
    ("hang", Failure::Hang),
    ("close", Failure::Close),
    ("failed", Failure::Failed),
    ("not-found", Failure::NotFound),
    ("long-length", Failure::LongLength),
    ("short-length", Failure::ShortLength),
    ("garbage", Failure::Garbage),
    ("junk", Failure::Junk),
    ("split", Failure::Split),
    ("slow", Failure::Slow(Duration::from_secs(2))),
];

impl FromStr for Failure {
    type Err = Error;

    fn from_str(text: &str) -> Result<Failure> {
        let known = || WORDS.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(", ");
        WORDS
            .iter()
            .find(|(word, _)| *word == text)
            .map(|(_, failure)| *failure)
            .ok_or_else(|| Error::new(format!("no failure {text}: expected one of {}", known())))
    }
}

/// A running server. Dropping it closes the port and its connections.
#[derive(Debug)]
pub struct Irrd {
    listener: TcpListener,
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    stopped: AtomicBool,
}

#[derive(Debug)]
struct State {
    registry: Registry,
    failure: Option<Failure>,
    /// Whether `!a` is known.
    has_a: bool,
    /// Every query that came.
    queries: Vec<String>,
    connections: Vec<TcpStream>,
    /// Data once made, by sources and query: large sets take longer to resolve than to send.
    made: HashMap<(Vec<String>, String), Arc<str>>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Irrd {
    /// Starts a server; port 0 is one of the system's choice.
    ///
    /// # Errors
    /// The address cannot be listened on.
    pub fn start(listen: SocketAddr, registry: Registry) -> Result<Irrd> {
        let listener =
            TcpListener::bind(listen).map_err(|e| Error::from(e).during(format!("listening on {listen}")))?;
        let address = listener.local_addr()?;
        let state = State {
            registry,
            failure: None,
            has_a: true,
            queries: Vec::new(),
            connections: Vec::new(),
            made: HashMap::new(),
        };
        let shared = Arc::new(Shared { state: Mutex::new(state), stopped: AtomicBool::new(false) });
        let (served, accepting) = (shared.clone(), listener.try_clone()?);
        thread::spawn(move || {
            while !served.stopped.load(Ordering::SeqCst) {
                let Ok((stream, _)) = accepting.accept() else { continue };
                let shared = served.clone();
                thread::spawn(move || serve(stream, &shared));
            }
        });
        Ok(Irrd { listener, address, shared })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Fails from now on, or no longer.
    pub fn fail(&self, failure: Option<Failure>) {
        self.shared.state().failure = failure;
    }

    /// Whether it resolves whole sets (`!a`), as IRRd 4 does and older servers do not.
    pub fn resolves_sets(&self, does: bool) {
        self.shared.state().has_a = does;
    }

    /// Changes what it knows.
    pub fn update(&self, change: impl FnOnce(&mut Registry)) {
        let mut state = self.shared.state();
        change(&mut state.registry);
        state.made.clear();
    }

    /// The queries that came, oldest first, over all connections.
    #[must_use]
    pub fn queries(&self) -> Vec<String> {
        self.shared.state().queries.clone()
    }
}

impl Drop for Irrd {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        for connection in self.shared.state().connections.drain(..) {
            // One that is closed already is as good.
            let _ = connection.shutdown(std::net::Shutdown::Both);
        }
        // Closes the port and wakes the thread that accepts, from whatever network namespace.
        let _ = SockRef::from(&self.listener).shutdown(std::net::Shutdown::Both);
    }
}

/// One connection. An error ends it: the client has gone.
fn serve(stream: TcpStream, shared: &Shared) {
    let _ = converse(stream, shared);
}

fn converse(mut stream: TcpStream, shared: &Shared) -> Result {
    stream.set_nodelay(true)?;
    {
        let mut state = shared.state();
        state.connections.push(stream.try_clone()?);
        if state.failure == Some(Failure::Refuse) {
            drop(state);
            stream.write_all(b"%% Access denied")?;
            return Ok(stream.shutdown(std::net::Shutdown::Both)?);
        }
    }
    let mut sources: Option<Vec<String>> = None;
    let mut stays = false;
    for line in BufReader::new(stream.try_clone()?).lines() {
        let line = line?;
        let query = line.trim_end();
        let (reply, failure) = {
            let mut state = shared.state();
            state.queries.push(query.to_owned());
            (state.answer(query, &mut sources), state.failure)
        };
        match reply {
            Reply::None => stays = true,
            Reply::Quit => break,
            Reply::Status(text) => stream.write_all(text.as_bytes())?,
            Reply::Data(data) => {
                if !send(&mut stream, data.as_deref(), failure)? {
                    break;
                }
            }
        }
        if !stays {
            break;
        }
    }
    Ok(stream.shutdown(std::net::Shutdown::Both)?)
}

/// What a query leads to.
enum Reply {
    /// Nothing is said.
    None,
    /// The end.
    Quit,
    /// A line about the conversation; no failure touches it.
    Status(String),
    /// Data, or none of it (`D`).
    Data(Option<Arc<str>>),
}

impl State {
    fn answer(&mut self, query: &str, sources: &mut Option<Vec<String>>) -> Reply {
        let done = || Reply::Status("C\n".into());
        let failed = |text: &str| Reply::Status(format!("F {text}\n"));
        let Some(rest) = query.strip_prefix('!') else { return failed("Unrecognised command") };
        let mut letters = rest.chars();
        match (letters.next(), letters.as_str()) {
            (Some('!'), "") => Reply::None,
            (Some('q'), "") => Reply::Quit,
            (Some('n' | 't'), argument) if !argument.is_empty() => done(),
            (Some('v'), "") => Reply::Status(framed("IRRd -- a stand-in", 0)),
            (Some('s'), "-lc") => {
                let sources = sources.clone().unwrap_or_else(|| self.registry.sources());
                Reply::Status(framed(&sources.join(","), 0))
            }
            (Some('s'), list) => match self.registry.choose(list) {
                Some(chosen) => {
                    *sources = Some(chosen);
                    done()
                }
                None => failed("One or more selected sources are unavailable."),
            },
            (Some('a'), _) if !self.has_a => failed("Unrecognised command"),
            (Some('a'), "") => failed("Missing required set name for A query"),
            (Some('a' | 'i' | 'g' | '6'), _) => {
                let sources = sources.clone().unwrap_or_else(|| self.registry.sources());
                Reply::Data(self.made(query, &sources))
            }
            _ => failed("Unrecognised command"),
        }
    }

    /// The data of a query; `None` of nothing.
    fn made(&mut self, query: &str, sources: &[String]) -> Option<Arc<str>> {
        let key = (sources.to_vec(), query.to_owned());
        if let Some(data) = self.made.get(&key) {
            return Some(data.clone());
        }
        let (verb, argument) = query.get(1..2).zip(query.get(2..))?;
        let registry = &self.registry;
        let data = match verb {
            "g" => registry.routes(sources, argument, Family::Ipv4),
            "6" => registry.routes(sources, argument, Family::Ipv6),
            "i" => match argument.strip_suffix(",1") {
                Some(set) => registry.members(sources, set, true),
                None => registry.members(sources, argument, false),
            },
            _ => {
                let of = |families: &[Family], set| registry.resolve(sources, set, families);
                match (argument.strip_prefix('4'), argument.strip_prefix('6')) {
                    (Some(set), _) => of(&[Family::Ipv4], set),
                    (_, Some(set)) => of(&[Family::Ipv6], set),
                    _ => of(&Family::ALL, argument),
                }
            }
        };
        let data: Arc<str> = Some(data.join(" ")).filter(|data| !data.is_empty())?.into();
        self.made.insert(key, data.clone());
        Some(data)
    }
}

/// An `A` reply whose length is wrong by `off`.
fn framed(data: &str, off: isize) -> String {
    format!("A{}\n{data}\nC\n", (data.len() + 1).saturating_add_signed(off))
}

/// Sends data as the failure has it; `false` ends the connection.
fn send(stream: &mut TcpStream, data: Option<&str>, failure: Option<Failure>) -> Result<bool> {
    let reply = match (failure, data) {
        (Some(Failure::Hang), _) => {
            // Until the other side, or the end of the server, closes the connection.
            let _ = std::io::copy(stream, &mut std::io::sink());
            return Ok(false);
        }
        (Some(Failure::Failed), _) => {
            "F An internal error occurred while processing this query.\n".to_owned()
        }
        (Some(Failure::NotFound), _) | (_, None) => "D\n".to_owned(),
        (Some(Failure::Garbage), _) => "\u{1}\u{2}garbage\u{7}\n<html>\n".to_owned(),
        (Some(Failure::Junk), Some(data)) => framed(&format!("{data} <junk>"), 0),
        (Some(Failure::LongLength), Some(data)) => framed(data, 2),
        (Some(Failure::ShortLength), Some(data)) => framed(data, -2),
        (_, Some(data)) => framed(data, 0),
    };
    match failure {
        Some(Failure::Close) => {
            stream.write_all(reply.as_bytes().get(..reply.len() / 2).unwrap_or_default())?;
            return Ok(false);
        }
        Some(Failure::Split) => {
            let mut rest = reply.as_bytes();
            for size in (1..=7).cycle() {
                let (piece, after) = rest.split_at(size.min(rest.len()));
                stream.write_all(piece)?;
                rest = after;
                if rest.is_empty() {
                    break;
                }
            }
        }
        Some(Failure::Slow(wait)) => {
            thread::sleep(wait);
            stream.write_all(reply.as_bytes())?;
        }
        _ => stream.write_all(reply.as_bytes())?,
    }
    Ok(true)
}

/// The server's data from a file: see [`Registry::read`].
///
/// # Errors
/// The file cannot be read, or a line of it is none.
pub fn read_file(path: &std::path::Path) -> Result<Registry> {
    match std::fs::read_to_string(path) {
        Ok(text) => Registry::read(&text).map_err(|e| e.during(path.display())),
        Err(error) => fail(format!("{}: {error}", path.display())),
    }
}

#[cfg(test)]
mod tests;
