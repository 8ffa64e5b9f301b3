use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;
use siskin_api::{Event, EventBody};

use super::fake::Fake;
use super::listen::BindError;
use super::*;

/// A server on a socket of its own, with its fake daemon, for the time of one test.
struct World {
    fake: Arc<Fake>,
    server: Server,
    socket: PathBuf,
    _folder: tempfile::TempDir,
}

fn config(folder: &Path) -> ServerConfig {
    ServerConfig {
        socket: folder.join("run/siskin.sock"),
        group: "no-such-group".into(),
        daemon_uid: 4711,
        http: Some("127.0.0.1:0".parse().unwrap()),
        limits: Limits::default(),
    }
}

fn world(change: impl FnOnce(&mut ServerConfig)) -> World {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(folder.path());
    change(&mut config);
    let fake = Arc::new(Fake::new());
    let server = Server::start(Listeners::bind(&config).unwrap(), fake.clone()).unwrap();
    World { fake, server, socket: config.socket, _folder: folder }
}

/// What came back: status, head, body.
struct Reply {
    status: u16,
    head: String,
    body: String,
}

impl Reply {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    fn error(&self) -> String {
        self.json()["error"]["code"].as_str().unwrap().to_owned()
    }
}

/// Sends octets and reads until the server closes. On a thread of its own: the server runs on this one.
async fn exchange(mut stream: impl Read + Write + Send + 'static, request: String) -> Reply {
    let all = tokio::task::spawn_blocking(move || {
        let mut all = Vec::new();
        // A server that closes while we still send resets the connection: what came before counts.
        let _ = stream.write_all(request.as_bytes());
        let _ = stream.read_to_end(&mut all);
        String::from_utf8(all).unwrap()
    });
    let all = all.await.unwrap();
    let (head, body) = all.split_once("\r\n\r\n").unwrap_or((&all, ""));
    let status = head.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or(0);
    Reply { status, head: head.to_owned(), body: body.to_owned() }
}

fn request(method: &str, path: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    )
}

impl World {
    async fn unix(&self, method: &str, path: &str, body: &str) -> Reply {
        exchange(UnixStream::connect(&self.socket).unwrap(), request(method, path, body)).await
    }

    async fn tcp(&self, method: &str, path: &str) -> Reply {
        let address = self.server.http_address().unwrap();
        exchange(std::net::TcpStream::connect(address).unwrap(), request(method, path, "")).await
    }
}

#[tokio::test]
async fn every_read_answers_on_both_listeners() {
    let world = world(|_| ());
    for path in [
        "/v1/status",
        "/v1/peers",
        "/v1/peers/transit-a",
        "/v1/routes",
        "/v1/explain?prefix=203.0.113.0/24",
        "/v1/fib",
        "/v1/fib/check",
        "/v1/nexthops",
        "/v1/host-routes",
        "/v1/rpki",
        "/v1/rpki/check?prefix=192.0.2.0/25&asn=64496",
        "/v1/irr",
        "/v1/irr/sets/RIPE%3A%3AAS-EXAMPLE?limit=2&family=ipv4",
        "/v1/policy/ix-neighbour",
        "/v1/config",
        "/metrics",
        "/healthz",
        "/openapi.json",
    ] {
        assert_eq!(world.unix("GET", path, "").await.status, 200, "{path}");
        assert_eq!(world.tcp("GET", path).await.status, 200, "{path}");
    }
    let explain = world.unix("GET", "/v1/explain?prefix=203.0.113.0%2F24&peer=transit-b", "").await.json();
    assert!(explain["summary"].as_str().unwrap().contains("transit-a's AS path is shorter"));
    let metrics = world.tcp("GET", "/metrics").await;
    assert!(metrics.head.contains("text/plain; version=0.0.4"));
    let ready = world.tcp("GET", "/readyz").await;
    assert_eq!((ready.status, ready.body.as_str()), (503, "kernel: 1204 routes wait to be written\n"));
}

#[tokio::test]
async fn errors_have_one_shape_and_the_right_status() {
    let world = world(|_| ());
    for (method, path, status, code) in [
        ("GET", "/v1/peers/nobody", 404, "not_found"),
        ("GET", "/v2/peers", 404, "not_found"),
        ("GET", "/v1/explain", 400, "bad_request"),
        ("GET", "/v1/explain?prefix=192.0.2.1/24", 400, "bad_request"),
        ("GET", "/v1/routes?prefx=192.0.2.0/24", 400, "bad_request"),
        ("GET", "/v1/routes?view=exported", 400, "bad_request"),
        ("GET", "/v1/routes?prefix=192.0.2.1&longer=true", 400, "bad_request"),
        ("GET", "/v1/routes?cursor=x", 400, "bad_request"),
        ("GET", "/v1/rpki/check?prefix=192.0.2.0/24", 400, "bad_request"),
        ("GET", "/v1/rpki/check?prefix=192.0.2.0/24&asn=AS64496", 400, "bad_request"),
        ("GET", "/v1/irr/sets/AS-NOBODY", 404, "not_found"),
        ("GET", "/v1/policy/nobody", 404, "not_found"),
        ("POST", "/v1/policy/ix-neighbour/test", 400, "bad_request"),
        ("POST", "/v1/policy/ix-neighbour/test-mrt", 400, "bad_request"),
        ("POST", "/v1/irr/accept/transit-a", 409, "refused"),
        ("GET", "/v1/drain", 405, "method_not_allowed"),
        ("DELETE", "/v1/status", 405, "method_not_allowed"),
        ("POST", "/v1/peers/transit-a/explode", 404, "not_found"),
        ("POST", "/v1/peers/down-already/restart", 409, "refused"),
        ("POST", "/v1/config/apply", 422, "config_invalid"),
    ] {
        let reply = world.unix(method, path, "").await;
        assert_eq!((reply.status, reply.error().as_str()), (status, code), "{method} {path}: {}", reply.body);
        assert!(!reply.json()["error"]["message"].as_str().unwrap().is_empty());
    }
    let wrong = world.unix("GET", "/v1/routes?prefix=192.0.2.1/24", "").await;
    assert!(wrong.body.contains("did you mean 192.0.2.0/24?"), "{}", wrong.body);
    let invalid = world.unix("POST", "/v1/config/apply", "").await.json();
    assert_eq!(invalid["error"]["report"]["diagnostics"][0]["line"], 12);
}

#[tokio::test]
async fn what_changes_something_needs_the_socket_and_the_right_user() {
    let world = world(|_| ());
    // Tests run as root, who may; the fake's user is another.
    let done = world.unix("POST", "/v1/peers/transit-a/refresh-in", "").await;
    assert_eq!(done.json()["action"], "refresh-in");
    let done = world.unix("POST", "/v1/config/apply", "{\"file\": \"/etc/good\"}").await;
    assert_eq!(done.json()["applied"], true);
    assert_eq!(*world.fake.changes.lock().unwrap(), ["transit-a refresh-in", "apply /etc/good"]);
    for path in [
        "/v1/peers/transit-a/up",
        "/v1/config/apply",
        "/v1/drain",
        "/v1/policy/ix-neighbour/test",
        "/nowhere",
    ] {
        let reply = world.tcp("POST", path).await;
        assert_eq!((reply.status, reply.error().as_str()), (405, "method_not_allowed"));
        assert!(reply.head.to_lowercase().contains("allow: get, head"));
    }
    assert_eq!(world.fake.changes.lock().unwrap().len(), 2);
    let stranger = connection::Caller::Local { uid: 1000, daemon_uid: 4711 };
    assert!(!stranger.may_change());
    assert!(connection::Caller::Local { uid: 4711, daemon_uid: 4711 }.may_change());
    assert!(!connection::Caller::Remote.may_change());
}

#[tokio::test]
async fn another_user_reads_but_does_not_change() {
    let world = world(|_| ());
    std::fs::set_permissions(&world.socket, std::fs::Permissions::from_mode(0o666)).unwrap();
    let mut folder = world.socket.as_path();
    while let Some(parent) = folder.parent().filter(|p| *p != std::env::temp_dir()) {
        std::fs::set_permissions(parent, std::fs::Permissions::from_mode(0o755)).unwrap();
        folder = parent;
    }
    let ask = |method: &str, path: &str| {
        let mut command = std::process::Command::new("setpriv");
        command.args([
            "--reuid=65534",
            "--clear-groups",
            "curl",
            "--silent",
            "--request",
            method,
            "--unix-socket",
        ]);
        command.arg(&world.socket).arg(format!("http://localhost{path}"));
        async move {
            let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
            String::from_utf8(output.stdout).unwrap()
        }
    };
    assert!(ask("GET", "/v1/status").await.contains("64500"));
    for path in ["peers/transit-a/down", "drain", "irr/refresh", "policy/ix-neighbour/test-mrt"] {
        let answer = ask("POST", &format!("/v1/{path}")).await;
        assert!(answer.contains("\"forbidden\""), "{path}: {answer}");
    }
    // A made-up route costs nothing and changes nothing: only its body is missing.
    let answer = ask("POST", "/v1/policy/ix-neighbour/test").await;
    assert!(answer.contains("this needs a JSON body"), "{answer}");
    assert!(world.fake.changes.lock().unwrap().is_empty());
}

#[tokio::test]
async fn requests_have_limits() {
    let world = world(|c| {
        c.limits.body = 100;
        c.limits.answer = Duration::from_millis(50);
        c.limits.work = Duration::from_millis(50);
        c.limits.head = Duration::from_millis(200);
        c.limits.body_time = Duration::from_millis(50);
    });
    let long = world.unix("POST", "/v1/config/apply", &" ".repeat(101)).await;
    assert_eq!(long.status, 413);
    let slow = world.unix("GET", "/v1/routes?peer=slow", "").await;
    assert_eq!((slow.status, slow.error().as_str()), (503, "unavailable"));
    let slow = world.unix("POST", "/v1/policy/ix-neighbour/test-mrt", "{\"file\": \"/slow\"}").await;
    assert_eq!((slow.status, slow.error().as_str()), (503, "unavailable"));
    let half =
        "POST /v1/config/apply HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 10\r\n\r\n{";
    let half = exchange(UnixStream::connect(&world.socket).unwrap(), half.into()).await;
    assert_eq!(half.status, 408);

    // Neither half a head nor an idle connection keeps its place.
    let start = Instant::now();
    let none = exchange(UnixStream::connect(&world.socket).unwrap(), "GET /v1/st".into()).await;
    assert_ne!(none.status, 200);
    let idle = "GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n";
    let idle = exchange(UnixStream::connect(&world.socket).unwrap(), idle.into()).await;
    assert_eq!(idle.status, 200);
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn one_connection_too_many_is_told_so_and_the_other_listener_goes_on() {
    let world = world(|c| c.limits.connections = 2);
    let address = world.server.http_address().unwrap();
    let held: Vec<_> = (0..2).map(|_| std::net::TcpStream::connect(address).unwrap()).collect();
    let reply = world.tcp("GET", "/healthz").await;
    assert_eq!((reply.status, reply.error().as_str()), (503, "unavailable"));
    assert_eq!(world.unix("GET", "/healthz", "").await.status, 200);
    drop(held);
    let free = async { while world.tcp("GET", "/healthz").await.status != 200 {} };
    tokio::time::timeout(Duration::from_secs(5), free).await.unwrap();
}

#[tokio::test]
async fn a_client_that_reads_nothing_loses_its_connection() {
    let world = world(|c| {
        c.limits.connections = 1;
        c.limits.stall = Duration::from_millis(100);
    });
    let mut deaf = UnixStream::connect(&world.socket).unwrap();
    // Answers that nobody reads fill the socket, then the writer stalls.
    let asks = "GET /openapi.json HTTP/1.1\r\nhost: x\r\n\r\n".repeat(200);
    let asking = tokio::task::spawn_blocking(move || {
        let outcome = deaf.write_all(asks.as_bytes());
        (deaf, outcome)
    });
    let free = async { while world.unix("GET", "/healthz", "").await.status != 200 {} };
    tokio::time::timeout(Duration::from_secs(5), free).await.unwrap();
    drop(asking.await.unwrap());
}

#[tokio::test]
async fn events_arrive_and_a_slow_client_is_told_what_it_missed() {
    let world = world(|c| c.limits.streams = 1);
    let socket = world.socket.clone();
    let (first, started) = tokio::sync::oneshot::channel();
    let client = tokio::task::spawn_blocking(move || {
        let mut stream = UnixStream::connect(socket).unwrap();
        stream.write_all(b"GET /v1/events HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
        let mut text = String::new();
        let mut buffer = [0; 4096];
        let mut first = Some(first);
        while !text.contains("\"generation\":9") {
            let read = stream.read(&mut buffer).unwrap();
            assert_ne!(read, 0, "closed after {text}");
            text += std::str::from_utf8(&buffer[..read]).unwrap();
            if text.contains("from now on") {
                first.take().map(|f| f.send(()));
            }
        }
        text
    });
    started.await.unwrap();
    assert_eq!(world.unix("GET", "/v1/events", "").await.status, 503);
    // The test's runtime has one thread: none of these is taken before all are there, and the channel holds four.
    for generation in 0..10 {
        let body = EventBody::Config { applied: true, generation, text: "reloaded".into() };
        world.fake.events.send(Event { at_ms: 1, body }).unwrap();
    }
    let text = client.await.unwrap();
    assert!(text.to_lowercase().contains("content-type: text/event-stream"));
    assert!(text.contains("event: lagged\ndata: {") && text.contains("\"missed\":6"), "{text}");
    assert!(text.contains("event: config\ndata: {") && text.contains("\"type\":\"config\""), "{text}");
}

#[tokio::test]
async fn a_leftover_socket_is_replaced_a_live_one_and_a_file_are_not() {
    let world = world(|_| ());
    assert_eq!(std::fs::metadata(&world.socket).unwrap().permissions().mode() & 0o777, 0o660);
    let mut second = config(world.socket.parent().unwrap().parent().unwrap());
    second.http = None;
    let error = Listeners::bind(&second).unwrap_err();
    assert!(matches!(error, BindError::InUse(_)), "{error}");
    assert!(error.to_string().contains("another daemon answers"));

    // A daemon that was killed leaves its socket behind.
    second.socket = world.socket.with_file_name("dead.sock");
    drop(std::os::unix::net::UnixListener::bind(&second.socket).unwrap());
    assert!(second.socket.exists());
    Listeners::bind(&second).unwrap();

    second.socket = world.socket.with_file_name("file");
    std::fs::write(&second.socket, "precious").unwrap();
    assert!(matches!(Listeners::bind(&second), Err(BindError::NoSocket(_))));
    assert_eq!(std::fs::read_to_string(&second.socket).unwrap(), "precious");
}

#[tokio::test]
async fn a_stop_lets_requests_finish_and_removes_the_socket() {
    let world = world(|c| {
        c.limits.answer = Duration::from_millis(300);
        c.limits.drain = Duration::from_millis(2000);
    });
    let address = world.server.http_address().unwrap();
    let under_way = tokio::spawn(exchange(
        UnixStream::connect(&world.socket).unwrap(),
        request("GET", "/v1/routes?peer=slow", ""),
    ));
    let stream = tokio::spawn(exchange(
        UnixStream::connect(&world.socket).unwrap(),
        "GET /v1/events HTTP/1.1\r\nhost: x\r\n\r\n".into(),
    ));
    while world.fake.queries.lock().unwrap().is_empty() || world.fake.events.receiver_count() == 0 {
        tokio::task::yield_now().await;
    }
    let start = Instant::now();
    world.server.shutdown().await;
    assert!(start.elapsed() < Duration::from_secs(2));
    assert_eq!(under_way.await.unwrap().status, 503);
    assert_eq!(stream.await.unwrap().status, 200);
    assert!(!world.socket.exists());
    assert!(std::net::TcpStream::connect(address).is_err());
}

#[test]
fn groups_are_found_by_their_whole_name() {
    let groups = "root:x:0:\nsiskin-x:x:7:a,b\nsiskin:x:991:alice\n";
    assert_eq!(listen::find_group(groups, "siskin"), Some(991));
    assert_eq!(listen::find_group(groups, "bird"), None);
}
