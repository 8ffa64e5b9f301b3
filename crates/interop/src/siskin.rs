//! The daemon under test: `siskind` with a socket and a state folder of its own, asked through the `siskin`
//! command and through its API's Unix socket, as users and their automation do.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Output};
use std::time::Duration;

use serde_json::Value;
use siskin_net::{Family, Prefix};

use crate::install::our_binary;
use crate::lab::Ns;
use crate::process::{Daemon, output};
use crate::router::Attributes;
use crate::wait::{SOON, wait_for};
use crate::{Error, Result, fail};

/// How long one answer of the API may take.
const ANSWER: Duration = Duration::from_secs(30);

/// A running `siskind`.
#[derive(Debug)]
pub struct Siskin {
    ns: Ns,
    name: String,
    config: PathBuf,
    socket: PathBuf,
    daemon: Daemon,
}

impl Siskin {
    /// Starts `siskind` in `ns` and waits until its API answers. `toml` begins with the keys of `[router]`
    /// (asn, router-id) and the tables follow, or it begins with `router = {` on a line. The harness adds the state folder
    /// and the socket.
    ///
    /// # Errors
    /// When it is not built, ends at once, or does not answer.
    pub fn start(ns: &Ns, toml: &str) -> Result<Siskin> {
        Siskin::start_as(ns, "siskind", toml)
    }

    /// The same under another name for its files, for a second daemon in one namespace.
    ///
    /// # Errors
    /// As [`Siskin::start`].
    pub fn start_as(ns: &Ns, name: &str, toml: &str) -> Result<Siskin> {
        let mut siskin = Siskin::spawn(ns, name, toml)?;
        wait_for("the API of siskind", SOON, || {
            siskin.daemon.check_alive()?;
            Ok(siskin.api("/v1/status").is_ok())
        })?;
        Ok(siskin)
    }

    /// Starts `siskind` and waits for nothing: it may well end at once.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub fn spawn(ns: &Ns, name: &str, toml: &str) -> Result<Siskin> {
        Siskin::spawn_under(ns, name, toml, &[])
    }

    /// The same, run by another program (and its arguments) that takes something away from it.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub fn spawn_under(ns: &Ns, name: &str, toml: &str, under: &[&str]) -> Result<Siskin> {
        let socket = ns.dir().join(format!("{name}.sock"));
        let config = ns.file(&format!("{name}.toml"), &complete(ns, name, &socket, toml))?;
        let siskind = our_binary("siskind")?;
        let mut command = match under.split_first() {
            Some((program, arguments)) => {
                let mut command = ns.command(program);
                command.args(arguments).arg(siskind);
                command
            }
            None => ns.command(siskind),
        };
        command.arg("--config").arg(&config).env("NO_COLOR", "1");
        let daemon = Daemon::spawn(name, &mut command, &ns.dir().join(format!("{name}.log")))?;
        Ok(Siskin { ns: ns.clone(), name: name.to_owned(), config, socket, daemon })
    }

    /// Starts it again after it ended, with the same files.
    ///
    /// # Errors
    /// As [`Siskin::start`].
    pub fn start_again(&mut self) -> Result {
        let mut command = self.ns.command(our_binary("siskind")?);
        command.arg("--config").arg(&self.config);
        let log = self.ns.dir().join(format!("{}.log", self.name));
        self.daemon = Daemon::spawn(&self.name, &mut command, &log)?;
        wait_for("the API of siskind after its restart", SOON, || {
            self.daemon.check_alive()?;
            Ok(self.api("/v1/status").is_ok())
        })
    }

    /// The process.
    pub fn daemon(&mut self) -> &mut Daemon {
        &mut self.daemon
    }

    /// The configuration file.
    #[must_use]
    pub fn config_file(&self) -> &Path {
        &self.config
    }

    /// Replaces the configuration file; nothing is loaded yet.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write_config(&self, toml: &str) -> Result {
        std::fs::write(&self.config, complete(&self.ns, &self.name, &self.socket, toml))?;
        Ok(())
    }

    /// Runs the `siskin` command against this daemon, inside its namespace.
    ///
    /// # Errors
    /// When the command cannot be started; its exit status is in the answer.
    pub fn cli(&self, arguments: &[&str]) -> Result<Output> {
        let mut command = self.ns.command(our_binary("siskin")?);
        output(command.arg("--socket").arg(&self.socket).args(arguments).env("NO_COLOR", "1"))
    }

    /// What a command prints, when it ends with 0.
    ///
    /// # Errors
    /// When it ends with another status.
    pub fn cli_text(&self, arguments: &[&str]) -> Result<String> {
        let output = self.cli(arguments)?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        if output.status.success() {
            return Ok(text);
        }
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        fail(format!("siskin {}: {}: {text}{error}", arguments.join(" "), output.status))
    }

    /// What a command with `--json` prints.
    ///
    /// # Errors
    /// When it ends with another status than 0 or prints no JSON.
    pub fn cli_json(&self, arguments: &[&str]) -> Result<Value> {
        Ok(serde_json::from_str(&self.cli_text(&[arguments, &["--json"]].concat())?)?)
    }

    /// `GET path` over the Unix socket.
    ///
    /// # Errors
    /// When there is no answer, another status than 200, or no JSON.
    pub fn api(&self, path: &str) -> Result<Value> {
        match http(&self.socket, "GET", path)? {
            (200, body) => Ok(serde_json::from_str(&body)?),
            (status, body) => fail(format!("GET {path}: {status} {body}")),
        }
    }

    /// Any request over the Unix socket: the status and the body of the answer, whatever they are.
    ///
    /// # Errors
    /// When there is no answer.
    pub fn request(&self, method: &str, path: &str) -> Result<(u16, String)> {
        http(&self.socket, method, path)
    }

    /// One peer as `/v1/peers` lists it.
    ///
    /// # Errors
    /// When there is no peer of this name.
    pub fn peer(&self, name: &str) -> Result<Value> {
        let all = self.api("/v1/peers")?;
        let list = all.as_array().or_else(|| all["peers"].as_array()).cloned().unwrap_or_default();
        let found = list.into_iter().find(|peer| peer["name"] == name);
        found.ok_or_else(|| Error::new(format!("/v1/peers names no `{name}`")))
    }

    /// Whether the session with this peer is Established.
    ///
    /// # Errors
    /// When the API does not answer.
    pub fn established(&self, peer: &str) -> Result<bool> {
        Ok(self.peer(peer)?["state"] == "established")
    }

    /// Waits for a session.
    ///
    /// # Errors
    /// When it is not there in time.
    pub fn wait_established(&self, peer: &str) -> Result {
        wait_for(&format!("session {peer}"), SOON, || self.established(peer))
    }

    /// All paths of exactly this prefix.
    ///
    /// # Errors
    /// When the API does not answer.
    pub fn paths(&self, prefix: &str) -> Result<Vec<Value>> {
        self.paths_of(prefix, "all")
    }

    fn paths_of(&self, prefix: &str, view: &str) -> Result<Vec<Value>> {
        let parsed: Prefix = prefix.parse()?;
        let (status, body) = http(&self.socket, "GET", &format!("/v1/routes?prefix={parsed}&view={view}"))?;
        if status == 404 {
            return Ok(Vec::new());
        }
        let page: Value = serde_json::from_str(&body)?;
        let routes = page["routes"].as_array().cloned().unwrap_or_default();
        let route = routes.iter().find(|route| route["prefix"] == prefix);
        Ok(route.and_then(|route| route["paths"].as_array().cloned()).unwrap_or_default())
    }

    /// The path that a peer sent, if it is there.
    ///
    /// # Errors
    /// When the API does not answer.
    pub fn path_from(&self, prefix: &str, peer: &str) -> Result<Option<Value>> {
        Ok(self.paths(prefix)?.into_iter().find(|path| path["peer"] == peer))
    }

    /// The path that a peer sent and import rejected, if there is one.
    ///
    /// # Errors
    /// When the API does not answer.
    pub fn filtered_from(&self, prefix: &str, peer: &str) -> Result<Option<Value>> {
        Ok(self.paths_of(prefix, "filtered")?.into_iter().find(|path| path["peer"] == peer))
    }

    /// The attributes of the best path, if there is one.
    ///
    /// # Errors
    /// When the API does not answer.
    pub fn best(&self, prefix: &str) -> Result<Option<Attributes>> {
        Ok(self.paths(prefix)?.iter().find(|path| path["best"] == true).map(|p| attributes(&p["attributes"])))
    }

    /// Prefixes in the RIB.
    ///
    /// # Errors
    /// When the API does not answer.
    pub fn count(&self, family: Family) -> Result<u64> {
        let status = self.api("/v1/status")?;
        let count = status["rib"][family.name()]["prefixes"].as_u64();
        count.ok_or_else(|| Error::new("no rib.FAMILY.prefixes in /v1/status"))
    }

    /// Loads the configuration file again (SIGHUP).
    ///
    /// # Errors
    /// When the signal cannot be sent.
    pub fn reload(&self) -> Result {
        self.daemon.signal("HUP")
    }

    /// SIGTERM, and waits for the end.
    ///
    /// # Errors
    /// When it does not end in time.
    pub fn stop(&mut self) -> Result<ExitStatus> {
        self.daemon.stop(SOON)
    }
}

/// `siskind --check` of this text: no daemon, no namespace.
///
/// # Errors
/// When the program cannot be started.
pub fn check(dir: &Path, toml: &str) -> Result<Output> {
    let file = dir.join("check.toml");
    std::fs::write(&file, toml)?;
    output(
        Command::new(our_binary("siskind")?).arg("--check").arg("--config").arg(&file).env("NO_COLOR", "1"),
    )
}

/// The whole configuration file: what the harness owns put into the text of the test.
fn complete(ns: &Ns, name: &str, socket: &Path, toml: &str) -> String {
    if let Some(rest) = toml.strip_prefix("router = {") {
        let state = ns.dir().join(format!("{name}-state"));
        return format!("api.socket = {socket:?}\nrouter = {{ state-dir = {state:?},{rest}");
    }
    let (router, tables) = match toml.find("\n[") {
        Some(at) => toml.split_at(at),
        None => (toml, ""),
    };
    let state = ns.dir().join(format!("{name}-state"));
    let api = format!("[api]\nsocket = {socket:?}\n");
    let tables = if tables.contains("[api]\n") {
        tables.replace("[api]\n", &api)
    } else {
        format!("{tables}\n\n{api}")
    };
    format!("[router]\nstate-dir = {state:?}\n{}\n{tables}", router.trim())
}

fn attributes(from: &Value) -> Attributes {
    let number = |key: &str| from[key].as_u64().and_then(|n| u32::try_from(n).ok());
    let set = |key: &str| -> BTreeSet<String> {
        let list = from[key].as_array().cloned().unwrap_or_default();
        list.iter().filter_map(|item| item.as_str().map(str::to_owned)).collect()
    };
    Attributes {
        origin: from["origin"].as_str().unwrap_or_default().to_owned(),
        as_path: from["as_path"].as_str().unwrap_or_default().to_owned(),
        next_hop: from["next_hop"].as_str().and_then(|hop| hop.parse().ok()),
        med: number("med"),
        local_pref: number("local_pref"),
        communities: set("communities"),
        large_communities: set("large_communities"),
        ext_communities: set("ext_communities"),
    }
}

/// One HTTP/1.1 exchange over a Unix socket: the status and the body.
///
/// # Errors
/// When nobody listens, or the answer is not HTTP.
pub fn http(socket: &Path, method: &str, path: &str) -> Result<(u16, String)> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(ANSWER))?;
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: siskin\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    )?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let text = String::from_utf8_lossy(&answer);
    let (head, body) = text.split_once("\r\n\r\n").ok_or_else(|| Error::new("an answer without a head"))?;
    let status = head.split_whitespace().nth(1).unwrap_or_default().parse()?;
    let chunked = head.to_lowercase().contains("transfer-encoding: chunked");
    Ok((status, if chunked { unchunk(body)? } else { body.to_owned() }))
}

/// The body of a chunked answer (RFC 9112 section 7.1), without trailers.
fn unchunk(mut body: &str) -> Result<String> {
    let mut out = String::new();
    while let Some((size, rest)) = body.split_once("\r\n") {
        let size = usize::from_str_radix(size.trim(), 16)?;
        if size == 0 {
            return Ok(out);
        }
        let (chunk, after) =
            rest.split_at_checked(size).ok_or_else(|| Error::new("a chunk that is cut off"))?;
        out.push_str(chunk);
        body = after.trim_start_matches("\r\n");
    }
    fail("an answer without its last chunk")
}
