//! A hypervisor's life by chance: VMs are born, die, and change their port. At the end every VM that is alive is
//! announced and routed, and nothing is left of the others.

use std::collections::BTreeSet;

use siskin_interop::Result;
use siskin_interop::fleet::{Fleet, prefixes};
use siskin_interop::lab::{Ns, lab};
use siskin_interop::wait::{SOON, wait_for};

const VMS: usize = 200;
const EVENTS: usize = 600;

/// The same numbers every time.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap_or(0) % limit.max(1)
    }
}

/// The addresses of our routes, or of our neighbour entries, in the kernel.
fn shown(hv: &Ns, what: &str) -> Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    for family in ["-4", "-6"] {
        let text = hv.ip(&format!("{family} {what}"))?;
        let ours = text.lines().filter(|line| what.starts_with("route") || line.contains("proto 201"));
        found.extend(ours.filter_map(|line| line.split_whitespace().next()).map(str::to_owned));
    }
    Ok(found)
}

#[test]
fn births_deaths_and_new_ports_leave_nothing_behind() -> Result {
    lab("life", |lab| {
        let mut fleet = Fleet::start(lab, 1, "")?;
        let mut numbers = Numbers(5);
        let mut alive: BTreeSet<u16> = BTreeSet::new();
        let (mut births, mut deaths, mut again) = (0, 0, 0);
        let mut next = 1_u16;
        let first: Vec<u16> = (1..=100).collect();
        fleet.plug(first.clone())?;
        next += 100;
        for vm in first {
            fleet.speak(vm)?;
            alive.insert(vm);
        }
        for _ in 0..EVENTS {
            let chosen = alive.iter().nth(numbers.below(alive.len())).copied();
            match (numbers.below(10), chosen) {
                (0..=3, _) if alive.len() < VMS && next < 999 => {
                    fleet.plug([next])?;
                    fleet.speak(next)?;
                    alive.insert(next);
                    next += 1;
                    births += 1;
                }
                (4..=6, Some(vm)) if alive.len() > 20 => {
                    fleet.unplug(vm)?;
                    alive.remove(&vm);
                    deaths += 1;
                }
                // It stops and starts again: another port of the same name.
                (7, Some(vm)) => {
                    fleet.unplug(vm)?;
                    wait_for("the port's end", SOON, || {
                        Ok(fleet.hv.ip(&format!("link show tap{vm}")).is_err())
                    })?;
                    fleet.plug([vm])?;
                    fleet.speak(vm)?;
                    again += 1;
                }
                (_, Some(vm)) => fleet.speak(vm)?,
                _ => {}
            }
        }
        println!("{births} births, {deaths} deaths, {again} new ports, {} alive", alive.len());
        let mut expected: Vec<_> = alive.iter().flat_map(|vm| prefixes(*vm)).collect();
        expected.sort();
        wait_for("the peer to know the living and nobody else", SOON, || {
            // Frames may have been faster than the news of their ports; guests say it again.
            let announced = fleet.watch.announced();
            for vm in &alive {
                if !prefixes(*vm).iter().all(|prefix| announced.contains(prefix)) {
                    fleet.speak(*vm)?;
                }
            }
            Ok(announced == expected)
        })?;
        let addresses: BTreeSet<String> =
            expected.iter().map(|prefix| prefix.address().to_string()).collect();
        for what in ["route show proto 201", "neigh show nud permanent"] {
            // Entries that the kernel changed without a word are found by the comparison, every half minute.
            let same = wait_for(what, SOON, || Ok(shown(&fleet.hv, what)? == addresses));
            if same.is_err() {
                let there = shown(&fleet.hv, what)?;
                for address in addresses.symmetric_difference(&there).take(5) {
                    let entry = fleet.hv.ip(&format!("neigh show {address}"))?;
                    println!("{what}: {address}: {entry} {:?}", fleet.siskin.cli_text(&["fib", address]));
                }
            }
            same?;
        }
        // A ping each would take long: a few stand for all. Their namespace is one, so each says whose answer goes where.
        for vm in alive.iter().step_by(10) {
            let [four, six] = prefixes(*vm);
            for (prefix, way) in [
                (four, format!("-4 route replace 10.0.1.2/32 via 169.254.0.1 dev vm{vm} onlink")),
                (six, format!("-6 route replace 2001:db8:1::2/128 via fe80::1 dev vm{vm} onlink")),
            ] {
                fleet.vms.ip(&way)?;
                let address = prefix.address().to_string();
                let source = if prefix.address().is_ipv4() { "10.0.1.2" } else { "2001:db8:1::2" };
                let mut ping = fleet.hv.command("ping");
                ping.args(["-n", "-q", "-c", "1", "-W", "1", "-I", source, address.as_str()]);
                wait_for(&format!("a ping to {address}"), SOON, || Ok(ping.output()?.status.success()))?;
            }
        }
        Ok(())
    })
}
