//! Pings that run beside a step of the demo, and how many of them were answered.

use std::process::{Child, Command, Stdio};

use siskin_interop::lab::Ns;
use siskin_interop::show::Show;
use siskin_interop::{Error, Result, fail};

use crate::MAX_OUTAGE;

/// Pings a second.
const RATE: u32 = 10;

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
