//! Gateways that answer ARP and ND no more: they leave the kernel's groups at once, count as no way for next hops, and
//! are asked for until they answer again.
//!
//! A session with such a gateway would end with its hold time, and one with a route server never: the kernel knows
//! after some three seconds of asking in vain.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use siskin_fib::{Fib, KernelEvent, KernelState, MonitorFilter, Tracker};
use siskin_net::IfIndex;

/// How often a gateway is asked for that does not answer.
const ASK: Duration = Duration::from_secs(1);

type Gateway = (IfIndex, IpAddr);

/// The gateways of all tracked next hops.
pub(super) struct Gateways {
    filter: MonitorFilter,
    known: BTreeSet<Gateway>,
    interfaces: Vec<IfIndex>,
    bridge_notes: bool,
    ask_at: Instant,
}

impl Gateways {
    /// Follows no gateway so far.
    pub(super) fn new(filter: MonitorFilter) -> Gateways {
        Gateways {
            filter,
            known: BTreeSet::new(),
            interfaces: Vec::new(),
            bridge_notes: false,
            ask_at: Instant::now(),
        }
    }

    /// Follows the gateways that next hops have now.
    pub(super) fn follow(&mut self, tracker: &mut Tracker, state: &mut KernelState, fib: &Fib) {
        let Some(known) = tracker.gateways() else { return };
        self.known = known;
        let forgotten: Vec<Gateway> = state.silent().filter(|g| !self.known.contains(g)).collect();
        for (interface, gateway) in forgotten {
            state.set_answers(interface, gateway, true);
        }
        let mut interfaces: Vec<IfIndex> = self.known.iter().map(|(interface, _)| *interface).collect();
        interfaces.dedup();
        if interfaces != self.interfaces {
            match self.filter.set(fib.port(), &interfaces, self.bridge_notes) {
                Ok(()) => self.interfaces = interfaces,
                Err(error) => tracing::warn!(%error, "gateways that stop answering go unnoticed"),
            }
        }
    }

    /// Hears bridges' notes on their ports while a bridge heeds VLANs; `port` is our writer's.
    pub(super) fn watch_bridges(&mut self, state: &mut KernelState, port: u32) {
        let wanted = state.heeds_vlans();
        if wanted == self.bridge_notes {
            return;
        }
        let heard = self.filter.set(port, &self.interfaces, wanted).and_then(|()| {
            self.bridge_notes = wanted;
            state.reload_vlans()
        });
        if let Err(error) = heard {
            tracing::warn!(%error, "changes of bridges' VLANs go unnoticed");
        }
    }

    /// Takes gateways out of the kernel's groups that answer no more, and puts those back that do again; `before`: those
    /// that did not answer when the events came.
    pub(super) fn events(
        &mut self,
        events: &[KernelEvent],
        before: &BTreeSet<Gateway>,
        state: &mut KernelState,
        fib: &mut Fib,
    ) {
        let (mut lost, mut back, mut unsure) = (Vec::new(), Vec::new(), Vec::new());
        if events.contains(&KernelEvent::Overrun) {
            // Everything was read again. Who answered meanwhile is back; who fell silent is not known, and asked for.
            let usable = |gateway: &&Gateway| state.link(gateway.0).is_some_and(|l| l.up && l.carrier);
            back.extend(before.intersection(&self.known).filter(usable));
            unsure.extend(self.known.difference(before));
        }
        for event in events {
            let KernelEvent::Neighbor { neighbor, deleted } = event else { continue };
            let Some(gateway) = neighbor.address.map(|a| (neighbor.interface, a)) else { continue };
            if !self.known.contains(&gateway) {
                continue;
            }
            let silent = state.silent().any(|g| g == gateway);
            match (*deleted, neighbor.failed, neighbor.valid) {
                (true, ..) if silent => unsure.push(gateway),
                (false, true, _) if !silent => lost.push(gateway),
                (false, _, true) if silent => back.push(gateway),
                _ => continue,
            }
            state.set_answers(gateway.0, gateway.1, *deleted && !silent || !*deleted && neighbor.valid);
        }
        lost.retain(|g| state.silent().any(|s| s == *g));
        back.retain(|g| state.silent().all(|s| s != *g));
        if !lost.is_empty() {
            let groups = fib.fail_gateways(&lost);
            self.ask_at = Instant::now() + ASK;
            tracing::warn!(gateways = %names(&lost, state), groups, "gateways do not answer any more");
        }
        if !back.is_empty() {
            fib.gateways_are_back(&back);
            tracing::info!(gateways = %names(&back, state), "gateways answer again");
        }
        fib.ask_for(&unsure);
    }

    /// Asks for those that do not answer, when it is time; says when to come again.
    pub(super) fn ask(&mut self, state: &KernelState, fib: &mut Fib) -> Option<Duration> {
        let silent: Vec<Gateway> = state.silent().collect();
        if silent.is_empty() {
            return None;
        }
        let now = Instant::now();
        if self.ask_at <= now {
            fib.ask_for(&silent);
            self.ask_at = now + ASK;
        }
        Some(self.ask_at.saturating_duration_since(now))
    }
}

fn names(gateways: &[Gateway], state: &KernelState) -> String {
    let name = |(interface, gateway): &Gateway| match state.link(*interface) {
        Some(link) => format!("{gateway} on {}", link.name),
        None => gateway.to_string(),
    };
    gateways.iter().map(name).collect::<Vec<_>>().join(", ")
}
