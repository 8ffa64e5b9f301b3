//! A hypervisor's life by chance: VMs are born, die, and change their port. At the end every VM that is alive is
//! announced and routed, and nothing is left of the others.

use std::collections::BTreeSet;
use std::time::Duration;

use siskin_interop::Result;
use siskin_interop::fleet::{Fleet, prefixes};
use siskin_interop::lab::lab;
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
        // Frames may have been faster than the news of their ports; guests say it again.
        for vm in &alive {
            fleet.speak(*vm)?;
        }
        let mut expected: Vec<_> = alive.iter().flat_map(|vm| prefixes(*vm)).collect();
        expected.sort();
        wait_for("the peer to know the living and nobody else", SOON, || {
            Ok(fleet.watch.announced() == expected)
        })?;
        std::thread::sleep(Duration::from_secs(1));
        let (mut routes, mut neighbors) = (BTreeSet::new(), BTreeSet::new());
        for family in ["-4", "-6"] {
            let first = |text: String| {
                text.lines()
                    .filter_map(|line| line.split_whitespace().next())
                    .map(str::to_owned)
                    .collect::<Vec<_>>()
            };
            routes.extend(first(fleet.hv.ip(&format!("{family} route show proto 201"))?));
            let all = fleet.hv.ip(&format!("{family} neigh show nud permanent"))?;
            let ours = all.lines().filter(|line| line.contains("proto 201")).collect::<Vec<_>>().join("\n");
            neighbors.extend(first(ours));
        }
        let addresses: BTreeSet<String> =
            expected.iter().map(|prefix| prefix.address().to_string()).collect();
        assert_eq!(routes, addresses, "routes");
        assert_eq!(neighbors, addresses, "neighbour entries");
        // A ping each would take long: a few stand for all.
        for vm in alive.iter().step_by(10) {
            let [four, six] = prefixes(*vm);
            for prefix in [four, six] {
                let address = prefix.address().to_string();
                wait_for(&format!("a ping to {address}"), SOON, || fleet.hv.pings(&address, 1))?;
            }
        }
        Ok(())
    })
}
