//! Servers for the tests: what they say is a closure of the test.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use crate::HostPort;

/// What a server does with a query.
pub(crate) enum Say {
    /// These bytes.
    Bytes(String),
    /// These bytes, three at a time.
    Pieces(String),
    /// These bytes, then the end of the connection.
    Last(String),
    /// Nothing, ever.
    Nothing,
}

/// A server of lines.
pub(crate) struct Server {
    /// Where it listens.
    pub(crate) address: HostPort,
    /// The queries that came, in their order.
    pub(crate) queries: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Answers each line with what `answer` says; `!!` gets no answer.
    pub(crate) fn start(answer: impl Fn(&str) -> Say + Send + Sync + 'static) -> Server {
        let queries = Arc::new(Mutex::new(Vec::new()));
        let seen = queries.clone();
        let address = listen(move |stream| talk(stream, &answer, &seen));
        Server { address, queries }
    }

    pub(crate) fn count(&self, query: &str) -> usize {
        self.queries.lock().unwrap().iter().filter(|q| *q == query).count()
    }
}

/// Serves each connection on a port of the system's choice in a thread of its own, until the test's process ends.
fn listen(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> HostPort {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let serve = Arc::new(serve);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let serve = serve.clone();
            thread::spawn(move || serve(stream));
        }
    });
    HostPort { host: "127.0.0.1".into(), port }
}

fn talk(mut stream: TcpStream, answer: &dyn Fn(&str) -> Say, seen: &Mutex<Vec<String>>) {
    stream.set_nodelay(true).unwrap();
    let lines = BufReader::new(stream.try_clone().unwrap()).lines();
    for line in lines.map_while(Result::ok) {
        seen.lock().unwrap().push(line.clone());
        if line == "!!" {
            continue;
        }
        let (text, pieces, last) = match answer(&line) {
            Say::Bytes(text) => (text, usize::MAX, false),
            Say::Pieces(text) => (text, 3, false),
            Say::Last(text) => (text, usize::MAX, true),
            Say::Nothing => {
                thread::sleep(Duration::from_secs(60));
                return;
            }
        };
        for piece in text.as_bytes().chunks(pieces) {
            let _ = stream.write_all(piece);
        }
        if last {
            return;
        }
    }
}

/// An `A` reply.
pub(crate) fn data(text: &str) -> String {
    format!("A{}\n{text}\nC\n", text.len() + 1)
}

/// What a well-behaved IRRd 4 says before anybody asks for a set; `None`: another query.
pub(crate) fn polite(query: &str) -> Option<String> {
    match query {
        "!a" => Some("F Missing required set name for A query\n".into()),
        "!s-lc" => Some(data("RIPE,RADB")),
        _ if query.starts_with("!n") || query.starts_with("!t") || query.starts_with("!s") => {
            Some("C\n".into())
        }
        _ => None,
    }
}

/// An HTTP server: `answer` gets the head of each request and says what goes back, status line included.
pub(crate) fn http(
    answer: impl Fn(&str) -> String + Send + Sync + 'static,
) -> (String, Arc<Mutex<Vec<String>>>) {
    let requests = Arc::new(Mutex::new(Vec::new()));
    let seen = requests.clone();
    let address = listen(move |mut stream| {
        let mut head = Vec::new();
        let mut octet = [0u8];
        while !head.ends_with(b"\r\n\r\n") && stream.read(&mut octet).is_ok_and(|n| n == 1) {
            head.push(octet[0]);
        }
        let head = String::from_utf8(head).unwrap();
        seen.lock().unwrap().push(head.clone());
        let _ = stream.write_all(answer(&head).as_bytes());
    });
    (format!("http://{address}/api"), requests)
}

/// A whole HTTP response.
pub(crate) fn response(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n{headers}\r\n{body}", body.len())
}
