//! Packet streams between two namespaces in both directions and both families, and what of them was lost.

use std::fmt;
use std::thread;
use std::time::Duration;

use crate::lab::Ns;
use crate::tool::Tool;
use crate::{Error, Result};

/// Packets a second of each stream.
pub const RATE: u32 = 1000;

/// The port of both ends.
const PORT: u16 = 5000;

/// How long the last packets may be on their way.
const TAIL: Duration = Duration::from_millis(500);

/// How long an end may take over a command.
const ANSWER: Duration = Duration::from_secs(10);

/// One end: its namespace and the addresses the other end sends to, which it also sends from.
pub type End<'a> = (&'a Ns, &'a [&'a str]);

/// Streams between two ends that run until they are counted.
#[derive(Debug)]
pub struct Streams {
    ends: [Tool; 2],
    names: [String; 2],
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
    /// The longest time without a packet, in milliseconds; a busy machine shows here, too.
    pub longest_gap_ms: u64,
}

impl Streams {
    /// Begins to send from each end to all addresses of the other.
    ///
    /// # Errors
    /// When the program is not built or does not start.
    pub fn start(a: End<'_>, b: End<'_>) -> Result<Streams> {
        let mut ends = [start(a.0, b.1)?, start(b.0, a.1)?];
        for end in &mut ends {
            end.event("started", ANSWER)?;
        }
        // Both listen by now.
        for end in &mut ends {
            end.send("go")?;
        }
        Ok(Streams { ends, names: [a.0.name.clone(), b.0.name.clone()] })
    }

    /// Ends the streams and counts, one line a direction.
    ///
    /// # Errors
    /// When an end does not answer.
    pub fn finish(mut self) -> Result<Vec<Loss>> {
        let mut sent = [0; 2];
        for (end, sent) in self.ends.iter_mut().zip(&mut sent) {
            end.send("stop")?;
            end.event("stopped", ANSWER)?;
            *sent = sum(end, "sent", "packets")?;
        }
        thread::sleep(TAIL);
        let mut losses = Vec::new();
        for (receiver, sent) in [(1, sent[0]), (0, sent[1])] {
            let end = &mut self.ends[receiver];
            end.send("count")?;
            end.event("counted", ANSWER)?;
            let received = sum(end, "received", "packets")?;
            let gaps = end.events("received").into_iter().filter_map(|e| e["longest_gap_ms"].as_u64());
            losses.push(Loss {
                way: format!("{} to {}", self.names[1 - receiver], self.names[receiver]),
                sent,
                lost: sent.saturating_sub(received),
                longest_gap_ms: gaps.max().unwrap_or(0),
            });
        }
        Ok(losses)
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:24} {:>7} sent {:>7} lost   longest gap {:>5} ms",
            self.way, self.sent, self.lost, self.longest_gap_ms
        )
    }
}

fn start(ns: &Ns, to: &[&str]) -> Result<Tool> {
    let to: String = to.iter().map(|address| format!(" --to {address}")).collect();
    Tool::stream(ns, "stream", &format!("--port {PORT} --rate {RATE}{to}"))
}

fn sum(end: &Tool, event: &str, key: &str) -> Result<u64> {
    let numbers = end.events(event).into_iter().map(|e| e[key].as_u64());
    numbers.sum::<Option<u64>>().ok_or_else(|| Error::new(format!("`{event}` without `{key}`")))
}
