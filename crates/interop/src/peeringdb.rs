//! A stand-in for PeeringDB's API: `GET …/net` with the filters `asn`, `asn__in` and `info_never_via_route_servers`, `fields`, and
//! the ways in which the real one fails. Records are given by the test, or are pages as the API sends them.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use serde_json::{Map, Value, json};
use socket2::SockRef;

use crate::{Error, Result};

/// The most AS numbers that one query may name.
const MAX_BATCH: usize = 150;
/// The longest head of a request that is read, octets.
const MAX_HEAD: u64 = 64 << 10;

/// How the server fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// 429 with `Retry-After` of so many seconds.
    TooMany(u32),
    /// Another status than 200, such as 500 or 404.
    Status(u16),
    /// 200 with `meta.error`.
    Meta,
    /// 200 with a page that is no JSON.
    Garbage,
    /// Half of a reply, then the end.
    Close,
    /// Right replies, each a while later.
    Slow(Duration),
}

impl FromStr for Failure {
    type Err = Error;

    /// `429`, another status, `meta`, `garbage`, `close` or `slow`.
    fn from_str(text: &str) -> Result<Failure> {
        match (text, text.parse::<u16>()) {
            (_, Ok(429)) => Ok(Failure::TooMany(60)),
            (_, Ok(status)) => Ok(Failure::Status(status)),
            ("meta", _) => Ok(Failure::Meta),
            ("garbage", _) => Ok(Failure::Garbage),
            ("close", _) => Ok(Failure::Close),
            ("slow", _) => Ok(Failure::Slow(Duration::from_secs(2))),
            _ => {
                Err(Error::new(format!("no failure {text}: expected a status, meta, garbage, close or slow")))
            }
        }
    }
}

/// A running server. Dropping it closes the port.
#[derive(Debug)]
pub struct PeeringDb {
    listener: TcpListener,
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    stopped: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    records: Vec<Value>,
    failure: Option<Failure>,
    /// The heads of all requests.
    requests: Vec<String>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A record as a test needs it.
#[must_use]
pub fn record(asn: u32, as_set: &str, prefixes4: u32, prefixes6: u32) -> Value {
    json!({
        "asn": asn, "name": format!("AS{asn}"), "irr_as_set": as_set, "info_prefixes4": prefixes4,
        "info_prefixes6": prefixes6, "info_never_via_route_servers": false, "status": "ok",
    })
}

/// The records of a page as the API sends it, plain or gzip.
///
/// # Errors
/// The file cannot be read, or has no `data`.
pub fn read_page(path: &Path) -> Result<Vec<Value>> {
    let bytes = std::fs::read(path).map_err(|e| Error::from(e).during(path.display()))?;
    let mut text = Vec::new();
    if bytes.starts_with(&[0x1f, 0x8b]) {
        flate2::read::GzDecoder::new(bytes.as_slice()).read_to_end(&mut text)?;
    } else {
        text = bytes;
    }
    let mut page: Value = serde_json::from_slice(&text)?;
    match page.get_mut("data").map(Value::take) {
        Some(Value::Array(records)) => Ok(records),
        _ => Err(Error::new(format!("{}: no page of PeeringDB", path.display()))),
    }
}

impl PeeringDb {
    /// Starts a server; port 0 is one of the system's choice.
    ///
    /// # Errors
    /// The address cannot be listened on.
    pub fn start(listen: SocketAddr, records: Vec<Value>) -> Result<PeeringDb> {
        let listener =
            TcpListener::bind(listen).map_err(|e| Error::from(e).during(format!("listening on {listen}")))?;
        let address = listener.local_addr()?;
        let state = Mutex::new(State { records, ..State::default() });
        let shared = Arc::new(Shared { state, stopped: AtomicBool::new(false) });
        let (served, accepting) = (shared.clone(), listener.try_clone()?);
        thread::spawn(move || {
            while !served.stopped.load(Ordering::SeqCst) {
                let Ok((stream, _)) = accepting.accept() else { continue };
                let shared = served.clone();
                thread::spawn(move || {
                    // An error here is the client's going away.
                    let _ = serve(stream, &shared);
                });
            }
        });
        Ok(PeeringDb { listener, address, shared })
    }

    /// What to write as `peeringdb.url`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/api", self.address)
    }

    /// Fails from now on, or no longer.
    pub fn fail(&self, failure: Option<Failure>) {
        self.shared.state().failure = failure;
    }

    /// Replaces the records.
    pub fn set_records(&self, records: Vec<Value>) {
        self.shared.state().records = records;
    }

    /// The heads of the requests that came, oldest first.
    #[must_use]
    pub fn requests(&self) -> Vec<String> {
        self.shared.state().requests.clone()
    }
}

impl Drop for PeeringDb {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        // Closes the port and wakes the thread that accepts, from whatever network namespace.
        let _ = SockRef::from(&self.listener).shutdown(std::net::Shutdown::Both);
    }
}

fn serve(mut stream: TcpStream, shared: &Shared) -> Result {
    let mut head = String::new();
    let mut reader = BufReader::new(stream.try_clone()?.take(MAX_HEAD));
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head)? == 0 {
            return Ok(());
        }
    }
    let (answer, failure) = {
        let mut state = shared.state();
        state.requests.push(head.clone());
        (answer(&head, &state.records), state.failure)
    };
    let mut response = match failure {
        Some(Failure::TooMany(after)) => respond(
            "429 Too Many Requests",
            &format!("Retry-After: {after}\r\n"),
            "{\"message\": \"Request was throttled.\"}",
        ),
        Some(Failure::Status(status)) => respond(&format!("{status} Failed"), "", "<html>failed</html>"),
        Some(Failure::Meta) => {
            respond("200 OK", "", "{\"data\": [], \"meta\": {\"error\": \"the stand-in fails\"}}")
        }
        Some(Failure::Garbage) => respond("200 OK", "", "<html>maintenance</html>"),
        _ => answer,
    };
    match failure {
        Some(Failure::Close) => response.truncate(response.len() / 2),
        Some(Failure::Slow(wait)) => thread::sleep(wait),
        _ => {}
    }
    stream.write_all(response.as_bytes())?;
    Ok(stream.shutdown(std::net::Shutdown::Write)?)
}

fn respond(status: &str, headers: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n{headers}\r\n{body}",
        body.len()
    )
}

/// The right answer to a request.
fn answer(head: &str, records: &[Value]) -> String {
    let target = head.split_whitespace().nth(1).unwrap_or_default();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    if !head.starts_with("GET ") || path.rsplit('/').next() != Some("net") {
        return respond("404 Not Found", "", "{\"meta\": {\"error\": \"Not found\"}}");
    }
    let argument =
        |name: &str| query.split('&').filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == name);
    let asns: Option<Vec<u64>> = argument("asn__in")
        .or_else(|| argument("asn"))
        .map(|(_, list)| list.replace("%2C", ",").split(',').filter_map(|asn| asn.parse().ok()).collect());
    if asns.as_ref().is_some_and(|asns| asns.len() > MAX_BATCH) {
        return respond("400 Bad Request", "", "{\"meta\": {\"error\": \"too many AS numbers\"}}");
    }
    let never = argument("info_never_via_route_servers").is_some_and(|(_, value)| value == "1");
    let fields: Option<Vec<&str>> = argument("fields").map(|(_, list)| list.split(',').collect());
    let found = records
        .iter()
        .filter(|r| asns.as_ref().is_none_or(|asns| r["asn"].as_u64().is_some_and(|asn| asns.contains(&asn))))
        .filter(|r| !never || r["info_never_via_route_servers"] == json!(true))
        .map(|r| cut(r, fields.as_deref()))
        .collect::<Vec<Value>>();
    respond("200 OK", "", &json!({ "data": found, "meta": {} }).to_string())
}

/// The record with the fields that were asked for.
fn cut(record: &Value, fields: Option<&[&str]>) -> Value {
    let (Some(fields), Some(all)) = (fields, record.as_object()) else { return record.clone() };
    let some: Map<String, Value> = all
        .iter()
        .filter(|(key, _)| fields.contains(&key.as_str()))
        .map(|(k, v)| (k.clone(), v.clone()))
        .collect();
    some.into()
}

#[cfg(test)]
mod tests;
