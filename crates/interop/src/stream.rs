//! Packet streams between two namespaces in both directions and both families, and what of them was lost.

use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::lab::Ns;
use crate::tool::Tool;
use crate::{Error, Result};

/// Packets a second of each end in each family, shared by the streams of the family.
pub const RATE: u32 = 1000;

/// The port of both ends.
pub const PORT: u16 = 5000;

/// Numbers the ends of this process.
static STARTED: AtomicU32 = AtomicU32::new(0);

/// How long the last packets may be on their way.
const TAIL: Duration = Duration::from_millis(500);

/// How long an end may take over a command.
const ANSWER: Duration = Duration::from_secs(10);

/// One end: its namespace and the addresses the other end sends to.
pub type End<'a> = (&'a Ns, &'a [&'a str]);

/// Streams between two ends that run until they are counted.
#[derive(Debug)]
pub struct Streams {
    ends: [Sender; 2],
}

/// An end, and how fast each of its streams is.
#[derive(Debug)]
struct Sender {
    tool: Tool,
    name: String,
    rate: u32,
}

/// What became of all streams of one direction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loss {
    /// From where to where.
    pub way: String,
    /// Packets sent.
    pub sent: u64,
    /// Packets that did not arrive.
    pub lost: u64,
    /// The longest time in which all packets of a stream were lost, in milliseconds.
    pub gap_ms: u64,
}

impl Streams {
    /// Begins to send from each end to all addresses of the other.
    ///
    /// # Errors
    /// When the program is not built or does not start.
    pub fn start(a: End<'_>, b: End<'_>) -> Result<Streams> {
        let mut ends = [Sender::start(a.0, b.1)?, Sender::start(b.0, a.1)?];
        for end in &mut ends {
            end.tool.event("started", ANSWER)?;
        }
        // Both listen by now.
        for end in &mut ends {
            end.tool.send("go")?;
        }
        Ok(Streams { ends })
    }

    /// Ends the streams and counts, one loss a direction: from the first end, and from the second.
    ///
    /// # Errors
    /// When an end does not answer.
    pub fn finish(self) -> Result<[Loss; 2]> {
        let ends = self.ends.each_ref().map(|end| end.name.clone());
        let [there, back] = self.finish_each()?;
        let [a, b] = ends;
        Ok([Loss::all(format!("{a} to {b}"), &there), Loss::all(format!("{b} to {a}"), &back)])
    }

    /// The same, one loss a stream, in the order of the addresses the ends were given.
    ///
    /// # Errors
    /// When an end does not answer.
    pub fn finish_each(mut self) -> Result<[Vec<Loss>; 2]> {
        for end in &mut self.ends {
            end.tool.send("stop")?;
        }
        for end in &mut self.ends {
            end.tool.event("stopped", ANSWER)?;
        }
        thread::sleep(TAIL);
        for end in &mut self.ends {
            end.tool.send("count")?;
            end.tool.event("counted", ANSWER)?;
        }
        let [a, b] = &self.ends;
        Ok([losses(a, b)?, losses(b, a)?])
    }
}

impl Sender {
    fn start(ns: &Ns, to: &[&str]) -> Result<Sender> {
        let six = to.iter().filter(|address| address.contains(':')).count();
        let streams = u32::try_from(six.max(to.len() - six)).unwrap_or(u32::MAX);
        let rate = RATE.checked_div(streams).ok_or_else(|| Error::new("a stream to nowhere"))?;
        let to: String = to.iter().map(|address| format!(" --to {address}")).collect();
        // A name of its own: a log that is there already is continued, and would be counted again.
        let name = format!("stream{}", STARTED.fetch_add(1, Ordering::Relaxed));
        let tool = Tool::stream(ns, &name, &format!("--port {PORT} --rate {rate}{to}"))?;
        Ok(Sender { tool, name: ns.name.clone(), rate })
    }
}

/// What became of what one end sent to the other.
fn losses(from: &Sender, to: &Sender) -> Result<Vec<Loss>> {
    let number = |event: &Value, key: &str| {
        event[key].as_u64().ok_or_else(|| Error::new(format!("an event without `{key}`: {event}")))
    };
    let heard = to.tool.events("received");
    let one = |sent: &Value| {
        let packets = number(sent, "packets")?;
        let (received, run) = match heard.iter().find(|event| event["stream"] == sent["stream"]) {
            Some(event) => {
                let last = packets.saturating_sub(number(event, "next")?);
                (number(event, "packets")?, number(event, "longest_run")?.max(last))
            }
            None => (0, packets),
        };
        Ok(Loss {
            way: format!("{} to {}", from.name, sent["to"].as_str().unwrap_or(&to.name)),
            sent: packets,
            lost: packets.saturating_sub(received),
            gap_ms: run * 1000 / u64::from(from.rate),
        })
    };
    from.tool.events("sent").iter().map(one).collect()
}

impl Loss {
    /// All streams of a way together; the longest gap is that of one of them.
    fn all(way: String, streams: &[Loss]) -> Loss {
        Loss {
            way,
            sent: streams.iter().map(|loss| loss.sent).sum(),
            lost: streams.iter().map(|loss| loss.lost).sum(),
            gap_ms: streams.iter().map(|loss| loss.gap_ms).max().unwrap_or(0),
        }
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Loss { way, sent, lost, gap_ms } = self;
        write!(f, "{way:24} {sent:>7} sent {lost:>7} lost, at most {gap_ms:>5} ms long")
    }
}
