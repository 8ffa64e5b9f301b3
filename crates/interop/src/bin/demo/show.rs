//! What the demo prints: numbered steps with their reason, quoted files and commands, and the pings that run
//! beside a step.

use std::cell::Cell;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use siskin_interop::lab::Ns;
use siskin_interop::{Error, Result, fail};

use crate::MAX_OUTAGE;

/// Lines of a command's answer that are shown.
const LINES: usize = 40;

/// Pings a second.
const RATE: u32 = 10;

/// The printer.
pub(crate) struct Show {
    start: Instant,
    step: Cell<u32>,
    pause: bool,
}

impl Show {
    /// The clock starts now.
    pub(crate) fn new(pause: bool) -> Show {
        Show { start: Instant::now(), step: Cell::new(0), pause }
    }

    /// Waits for Enter, when that was asked for.
    pub(crate) fn pause(&self) {
        if self.pause {
            println!("   [Enter]");
            let _ = std::io::stdin().read_line(&mut String::new());
        }
    }

    /// A numbered heading, the time since the start, and why this is shown.
    pub(crate) fn step(&self, title: &str, why: &str) {
        if self.step.get() > 0 {
            self.pause();
        }
        self.step.set(self.step.get() + 1);
        println!("\n== {}. {title}  ({:.0} s)", self.step.get(), self.start.elapsed().as_secs_f64());
        self.say(why);
    }

    /// A sentence.
    pub(crate) fn say(&self, text: &str) {
        let mut line = String::new();
        for word in text.split_whitespace() {
            if line.len() + word.len() > 100 {
                println!("   {line}");
                line.clear();
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        println!("   {line}");
    }

    /// A file.
    pub(crate) fn quote(&self, name: &str, text: &str) {
        self.command(name, text.trim());
    }

    /// A command and its answer.
    pub(crate) fn command(&self, command: &str, answer: &str) {
        println!("\n   {command}");
        let lines: Vec<&str> = answer.lines().collect();
        for line in lines.iter().take(LINES) {
            println!("   | {line}");
        }
        if lines.len() > LINES {
            println!("   | … {} more lines", lines.len() - LINES);
        }
        println!();
    }
}

/// Pings that go on while something happens.
pub(crate) struct Pings(Vec<(String, Child)>);

impl Pings {
    /// Starts pinging these addresses.
    pub(crate) fn start(from: &Ns, addresses: &[String]) -> Result<Pings> {
        let interval = (1.0 / f64::from(RATE)).to_string();
        let start = |address: &String| -> Result<(String, Child)> {
            let mut ping = from.command("ping");
            ping.args(["-n", "-q", "-i", &interval, "-W", "1", address]);
            let child = ping.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
            Ok((address.clone(), child))
        };
        addresses.iter().map(start).collect::<Result<Vec<_>>>().map(Pings)
    }

    /// Stops them and says how many were answered.
    pub(crate) fn finish(self, show: &Show) -> Result {
        for (address, child) in self.0 {
            // On SIGINT ping prints its summary.
            siskin_interop::process::run(Command::new("kill").args(["-INT", &child.id().to_string()]))?;
            let output = child.wait_with_output()?;
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            let line = text.lines().find(|line| line.contains("transmitted"));
            let line =
                line.ok_or_else(|| Error::new(format!("ping {address} printed no summary: {text}")))?;
            let mut numbers = line.split(|c: char| !c.is_ascii_digit()).filter_map(|n| n.parse::<u32>().ok());
            let (sent, answered) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
            let outage = f64::from(sent.saturating_sub(answered)) / f64::from(RATE);
            show.say(&format!(
                "client: {address}: {answered} of {sent} pings answered, {outage:.1} s without."
            ));
            if answered == 0 || outage > MAX_OUTAGE.as_secs_f64() {
                return fail(format!("{address} was away for {outage:.1} s"));
            }
        }
        Ok(())
    }
}
