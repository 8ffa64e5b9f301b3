//! Runs `nft` and `bridge`, within a time, and asks the kernel whether anybody changed its rules.

use std::io::{self, Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};

/// A program that takes longer is ended. 4,000 ports at once take a fraction of a second.
const PATIENCE: Duration = Duration::from_secs(20);
/// How much of a program's complaint is kept.
const MOST_COMPLAINT: usize = 400;

/// A program could not be run, or said no.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RunError {
    /// There is no such program.
    #[error("there is no `{0}`: install the package {1}")]
    Missing(&'static str, &'static str),
    /// It could not be run to its end.
    #[error("`{0}`: {1}")]
    Failed(&'static str, String),
    /// It ended with an error.
    #[error("`{0}` says: {1}")]
    Refused(&'static str, String),
}

/// Gives `text` to `nft -f -`, as one transaction.
pub(crate) fn nft(text: &str) -> Result<(), RunError> {
    run(("nft", "nftables"), &["-f", "-"], text).map(drop)
}

/// Asks `nft` for something, as JSON.
pub(crate) fn nft_json(arguments: &[&str]) -> Result<serde_json::Value, RunError> {
    let arguments: Vec<&str> = ["-j"].into_iter().chain(arguments.iter().copied()).collect();
    let said = run(("nft", "nftables"), &arguments, "")?;
    serde_json::from_slice(&said)
        .map_err(|e| RunError::Failed("nft", format!("its JSON cannot be read: {e}")))
}

/// Gives lines to `program -batch -`; those that are refused do not keep it from the others, and are no error: what they
/// were about is gone.
pub(crate) fn batch(program: &'static str, lines: &[String]) -> Result<(), RunError> {
    if lines.is_empty() {
        return Ok(());
    }
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    match run((program, "iproute2"), &["-force", "-batch", "-"], &text) {
        Err(RunError::Refused(_, complaint)) => tracing::debug!(complaint, "some flags were not set"),
        result => drop(result?),
    }
    Ok(())
}

/// Runs a program from start to end; what it wrote to standard output.
fn run(
    (program, package): (&'static str, &'static str),
    arguments: &[&str],
    input: &str,
) -> Result<Vec<u8>, RunError> {
    let spawned = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = spawned.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => RunError::Missing(program, package),
        _ => RunError::Failed(program, error.to_string()),
    })?;
    let (said, complaint) =
        converse(&mut child, input).map_err(|e| RunError::Failed(program, e.to_string()))?;
    let status = child.wait().map_err(|error| RunError::Failed(program, error.to_string()))?;
    if status.success() {
        return Ok(said);
    }
    let complaint = String::from_utf8_lossy(&complaint);
    let complaint = match complaint.trim() {
        "" => status.to_string(),
        words => words.chars().take(MOST_COMPLAINT).collect(),
    };
    Err(RunError::Refused(program, complaint))
}

/// Feeds a child and hears it out; ends it when its time is over.
fn converse(child: &mut Child, input: &str) -> io::Result<(Vec<u8>, Vec<u8>)> {
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (ended, end) = mpsc::channel();
    thread::scope(|scope| {
        scope.spawn(move || {
            if let Some(mut stdin) = stdin {
                // A program that ends early has said why.
                drop(stdin.write_all(input.as_bytes()));
            }
        });
        let complaint = scope.spawn(move || read_all(stderr));
        let said = scope.spawn(move || {
            let said = read_all(stdout);
            let _ = ended.send(());
            said
        });
        let in_time = end.recv_timeout(PATIENCE).is_ok();
        if !in_time {
            child.kill()?;
        }
        let lost = |_| io::Error::other("a reader of its output is gone");
        let (said, complaint) = (said.join().map_err(lost)??, complaint.join().map_err(lost)??);
        if in_time {
            Ok((said, complaint))
        } else {
            child.wait()?;
            Err(io::Error::new(io::ErrorKind::TimedOut, format!("no end after {} s", PATIENCE.as_secs())))
        }
    })
}

fn read_all(stream: Option<impl Read>) -> io::Result<Vec<u8>> {
    let mut all = Vec::new();
    if let Some(mut stream) = stream {
        stream.read_to_end(&mut all)?;
    }
    Ok(all)
}

/// The number of transactions that the kernel's rules have seen; each grows it by one, whoever made it.
#[derive(Debug)]
pub(crate) struct Generation(Socket);

/// `NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETGEN`, and its answer.
const GET_GENERATION: u16 = 10 << 8 | 16;
const NEW_GENERATION: u16 = 10 << 8 | 15;
const NETLINK_NETFILTER: i32 = 12;
/// The attribute that holds the number.
const ID: u16 = 1;

impl Generation {
    /// A socket to ask on.
    pub(crate) fn open() -> io::Result<Generation> {
        let socket = Socket::new(
            Domain::from(libc::AF_NETLINK),
            Type::from(libc::SOCK_RAW),
            Some(Protocol::from(NETLINK_NETFILTER)),
        )?;
        socket.set_read_timeout(Some(Duration::from_secs(1)))?;
        Ok(Generation(socket))
    }

    /// Asks.
    pub(crate) fn read(&self) -> io::Result<u32> {
        let mut request = Vec::with_capacity(20);
        request.extend_from_slice(&20_u32.to_ne_bytes());
        request.extend_from_slice(&GET_GENERATION.to_ne_bytes());
        request.extend_from_slice(&1_u16.to_ne_bytes()); // NLM_F_REQUEST
        request.extend_from_slice(&[0; 8 + 4]); // sequence and sender; family, version and resource
        self.0.send(&request)?;
        let mut answer = [0; 256];
        let len = (&self.0).read(&mut answer)?;
        generation(answer.get(..len).unwrap_or(&[])).ok_or_else(|| {
            io::Error::new(io::ErrorKind::Unsupported, "the kernel does not say the generation of its rules")
        })
    }
}

/// The number in an answer.
fn generation(answer: &[u8]) -> Option<u32> {
    let (header, mut rest) = answer.split_at_checked(20)?;
    if u16::from_ne_bytes(header.get(4..6)?.try_into().ok()?) != NEW_GENERATION {
        return None;
    }
    loop {
        let len = usize::from(u16::from_ne_bytes(rest.get(..2)?.try_into().ok()?));
        if u16::from_ne_bytes(rest.get(2..4)?.try_into().ok()?) == ID {
            return Some(u32::from_be_bytes(rest.get(4..8)?.try_into().ok()?));
        }
        rest = rest.get(len.next_multiple_of(4).max(4)..)?;
    }
}
