//! The player, the sink and the stream as child processes of a test: commands go to their standard input, events come
//! from their standard output, one JSON object a line.

use std::io::Write;
use std::process::ChildStdin;
use std::time::Duration;

use serde_json::Value;

use crate::install::our_binary;
use crate::lab::Ns;
use crate::process::Daemon;
use crate::wait::wait_some;
use crate::{Error, Result};

/// A running `siskin-play`, `siskin-sink` or `siskin-stream`.
#[derive(Debug)]
pub struct Tool {
    daemon: Daemon,
    input: ChildStdin,
}

impl Tool {
    /// Starts `siskin-play` in `ns` under a name of the lab; `arguments` are split at blanks.
    ///
    /// # Errors
    /// When it is not built.
    pub fn play(ns: &Ns, name: &str, arguments: &str) -> Result<Tool> {
        Tool::start(ns, "siskin-play", name, arguments)
    }

    /// Starts `siskin-sink`, alike.
    ///
    /// # Errors
    /// When it is not built.
    pub fn sink(ns: &Ns, name: &str, arguments: &str) -> Result<Tool> {
        Tool::start(ns, "siskin-sink", name, arguments)
    }

    /// Starts `siskin-stream`, alike.
    ///
    /// # Errors
    /// When it is not built.
    pub fn stream(ns: &Ns, name: &str, arguments: &str) -> Result<Tool> {
        Tool::start(ns, "siskin-stream", name, arguments)
    }

    fn start(ns: &Ns, program: &str, name: &str, arguments: &str) -> Result<Tool> {
        let mut command = ns.command(our_binary(program)?);
        command.args(arguments.split_whitespace());
        let log = ns.dir().join(format!("{name}.log"));
        let (daemon, input) = Daemon::spawn_with_input(name, &mut command, &log)?;
        Ok(Tool { daemon, input })
    }

    /// Gives it a command.
    ///
    /// # Errors
    /// When it has ended.
    pub fn send(&mut self, command: &str) -> Result {
        Ok(writeln!(self.input, "{command}")?)
    }

    /// Every event so far with this name.
    #[must_use]
    pub fn events(&self, name: &str) -> Vec<Value> {
        let log = self.daemon.log();
        let complete = log.rsplit_once('\n').map_or("", |(lines, _)| lines);
        let all = complete.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        all.filter(|event| event["event"] == name).collect()
    }

    /// Waits for the `number`th event of this name, counted from 1.
    ///
    /// # Errors
    /// When it does not come in time, or the program has ended without it.
    pub fn nth_event(&mut self, name: &str, number: usize, limit: Duration) -> Result<Value> {
        wait_some(&format!("event `{name}`"), limit, || {
            let found = self.events(name).into_iter().nth(number.saturating_sub(1));
            if found.is_none() {
                self.daemon.check_alive()?;
            }
            Ok(found)
        })
    }

    /// Waits for the first event of this name.
    ///
    /// # Errors
    /// As [`Tool::nth_event`].
    pub fn event(&mut self, name: &str, limit: Duration) -> Result<Value> {
        self.nth_event(name, 1, limit)
    }

    /// The prefixes it has at the moment, IPv4 and IPv6 (of a sink).
    ///
    /// # Errors
    /// When it does not answer.
    pub fn counts(&mut self) -> Result<(u64, u64)> {
        let before = self.events("count").len();
        self.send("count")?;
        let event = self.nth_event("count", before + 1, Duration::from_secs(10))?;
        let number = |key: &str| event[key].as_u64().ok_or_else(|| Error::new("a count without a number"));
        Ok((number("ipv4")?, number("ipv6")?))
    }

    /// Its process.
    pub fn daemon(&mut self) -> &mut Daemon {
        &mut self.daemon
    }
}

/// The time of an event, seconds since the epoch.
///
/// # Errors
/// When the event has none.
pub fn at(event: &Value) -> Result<f64> {
    event["at"].as_f64().ok_or_else(|| Error::new("an event without a time"))
}
