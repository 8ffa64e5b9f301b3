//! A packet every millisecond from the daemon's machine to an address behind both peers, on the second peer's side first.

use std::time::Duration;

use siskin_interop::lab::Ns;
use siskin_interop::stream::{PORT, RATE};
use siskin_interop::tool::Tool;
use siskin_interop::wait::SOON;
use siskin_interop::{Error, Result};

use super::super::number;
use super::look::Look;

/// From the start of a flow to the event, and from the event to its end, at least.
const PART: Duration = Duration::from_secs(1);

/// A flow, and both places where it may arrive.
pub(super) struct Flow {
    sender: Tool,
    receivers: Vec<Tool>,
}

impl Flow {
    /// Starts one that goes by the second peer's link: both peers take its destination for their own address.
    pub(super) fn start(us: &Ns, peers: &[Ns; 2], look: &Look<'_>) -> Result<Flow> {
        for prefix in look.prefixes() {
            let to = prefix.split('/').next().unwrap_or_default();
            let mut receivers = Vec::new();
            for ns in peers {
                ns.ip(&format!("route replace local {to}/32 dev lo"))?;
                receivers.push(Tool::stream(ns, &format!("flow-{to}"), &format!("--port {PORT}"))?);
            }
            let mut sender =
                Tool::stream(us, &format!("flow-{to}"), &format!("--port {PORT} --rate {RATE} --to {to}"))?;
            for tool in receivers.iter_mut().chain([&mut sender]) {
                tool.event("started", SOON)?;
            }
            sender.send("go")?;
            std::thread::sleep(PART);
            let mut flow = Flow { sender, receivers };
            if flow.arrived(1)?.last().is_some_and(|packets| *packets > 0) {
                return Ok(flow);
            }
        }
        Err(Error::new("no route of the sample leads a flow to the second peer"))
    }

    /// Packets that each peer has, when it is asked for the `time`th time.
    fn arrived(&mut self, time: usize) -> Result<Vec<u64>> {
        let one = |tool: &mut Tool| {
            tool.send("count")?;
            tool.nth_event("counted", time, SOON)?;
            let heard = tool.events("received");
            heard.last().map_or(Ok(0), |event| number(event, "packets"))
        };
        self.receivers.iter_mut().map(one).collect()
    }

    /// Ends it: the seconds whose packets did not arrive.
    pub(super) fn finish(mut self) -> Result<f64> {
        std::thread::sleep(PART);
        self.sender.send("stop")?;
        let sent = number(&self.sender.event("sent", SOON)?, "packets")?;
        std::thread::sleep(PART);
        let arrived: u64 = self.arrived(2)?.iter().sum();
        #[expect(clippy::cast_precision_loss, reason = "packets of a minute fit a double")]
        let lost = sent.saturating_sub(arrived) as f64;
        Ok(lost / f64::from(RATE))
    }
}
