//! The life of thousands of VMs by chance: they are born, die, change their port, and move between three hypervisors,
//! often with a port left behind in which nobody is any more. At the end each is reached where it is, at its own port, and
//! nothing is left of the others anywhere.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use siskin_interop::Result;
use siskin_interop::cluster::Cluster;
use siskin_interop::lab::lab;
use siskin_interop::ports::{bridges_for, prefixes};
use siskin_interop::wait::{SOON, wait_for};

/// VMs at the start; as many more may be born as the last number allows.
const VMS: u16 = 4_000;
const LAST: u16 = 4_400;
const EVENTS: usize = 1_200;
const SITES: usize = 3;
/// More moves in three minutes are damped.
const MOST_MOVES: u8 = 3;

/// The same numbers every time.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap_or(0) % limit.max(1)
    }
}

/// Where the living are, and what the dead and the departed left.
struct World {
    cluster: Cluster,
    numbers: Numbers,
    alive: BTreeMap<u16, usize>,
    moves: BTreeMap<u16, u8>,
    /// Ports with carrier in which nobody is.
    left: BTreeSet<(u16, usize)>,
    next: u16,
    counts: BTreeMap<&'static str, usize>,
}

impl World {
    fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    /// A new port for a VM, where one of it may have been left.
    fn plug(&mut self, vm: u16, site: usize) -> Result {
        let ports = &mut self.cluster.sites[site].ports;
        if self.left.remove(&(vm, site)) {
            ports.unplug(vm)?;
            ports.wait_unplugged(vm)?;
        }
        ports.plug([vm])?;
        self.alive.insert(vm, site);
        Ok(())
    }

    fn speak(&self, vm: u16) -> Result {
        self.alive.get(&vm).map_or(Ok(()), |site| self.cluster.sites[*site].ports.speak(vm))
    }

    fn event(&mut self) -> Result {
        let at = self.numbers.below(self.alive.len());
        let Some((vm, site)) = self.alive.iter().nth(at).map(|(vm, site)| (*vm, *site)) else {
            return Ok(());
        };
        match self.numbers.below(10) {
            0 | 1 if self.next < LAST => {
                let (born, site) = (self.next, self.numbers.below(SITES));
                self.next += 1;
                self.plug(born, site)?;
                self.speak(born)?;
                self.count("births");
            }
            2 | 3 => {
                self.cluster.sites[site].ports.unplug(vm)?;
                self.alive.remove(&vm);
                self.count("deaths");
            }
            4..=7 if self.moves.get(&vm).is_none_or(|moves| *moves < MOST_MOVES) => {
                let to = (site + 1 + self.numbers.below(SITES - 1)) % SITES;
                self.plug(vm, to)?;
                let from = &mut self.cluster.sites[site].ports;
                from.silence(vm)?;
                self.speak(vm)?;
                if self.numbers.below(2) == 0 {
                    self.cluster.sites[site].ports.unplug(vm)?;
                } else {
                    self.left.insert((vm, site));
                    self.count("ports left behind");
                }
                *self.moves.entry(vm).or_default() += 1;
                self.count("moves");
            }
            // It stops and starts again: another port of the same name.
            8 => {
                let ports = &mut self.cluster.sites[site].ports;
                ports.unplug(vm)?;
                ports.wait_unplugged(vm)?;
                self.plug(vm, site)?;
                self.speak(vm)?;
                self.count("new ports");
            }
            _ => self.speak(vm)?,
        }
        Ok(())
    }

    /// Each address of the living, and its VM and hypervisor.
    fn expected(&self) -> BTreeMap<IpAddr, (u16, usize)> {
        let addresses = |vm: u16| prefixes(vm).map(|prefix| prefix.address());
        self.alive.iter().flat_map(|(vm, site)| addresses(*vm).map(|a| (a, (*vm, *site)))).collect()
    }

    /// Waits until the leaf has each of the living where it is, and nobody else. Frames may have been faster than the
    /// news of their ports; guests say it again.
    fn settle(&self, patience: Duration) -> Result {
        let expected = self.expected();
        let wanted: BTreeMap<IpAddr, String> =
            expected.iter().map(|(address, (_, site))| (*address, format!("hv{}", site + 1))).collect();
        let mut wrong = Vec::new();
        let settled = wait_for("the leaf to know the living and nobody else", patience, || {
            let there = self.cluster.leaf_routes()?;
            let missing = wanted.iter().filter(|(address, by)| there.get(address) != Some(by));
            wrong = missing.map(|(address, _)| *address).collect();
            for address in &wrong {
                self.speak(expected[address].0)?;
            }
            Ok(there == wanted)
        });
        if settled.is_err() {
            let there = self.cluster.leaf_routes()?;
            for address in wrong.iter().take(5) {
                println!("{address}: wanted by {:?}, is by {:?}", wanted.get(address), there.get(address));
                for site in &self.cluster.sites {
                    let all = site.siskin.cli_json(&["host-routes"])?;
                    let of_address = |route: &&serde_json::Value| route["address"] == address.to_string();
                    println!(
                        "  {:?}",
                        all["routes"].as_array().and_then(|list| list.iter().find(of_address))
                    );
                }
            }
            let stale: Vec<_> = there.keys().filter(|a| !wanted.contains_key(a)).take(5).collect();
            println!("of nobody: {stale:?}");
        }
        settled
    }
}

#[test]
fn births_deaths_and_moves_of_thousands_leave_nothing_behind() -> Result {
    lab("life", |lab| {
        let start = Instant::now();
        let keys = "timers = { takeover-hold = \"3s\" }";
        let cluster = Cluster::new(lab, 3, bridges_for(LAST), keys)?;
        let mut world = World {
            cluster,
            numbers: Numbers(5),
            alive: BTreeMap::new(),
            moves: BTreeMap::new(),
            left: BTreeSet::new(),
            next: VMS + 1,
            counts: BTreeMap::new(),
        };
        for site in 0..SITES {
            let here: Vec<u16> = (1..=VMS).filter(|vm| usize::from(*vm) % SITES == site).collect();
            world.cluster.sites[site].ports.plug(here.iter().copied())?;
            world.alive.extend(here.into_iter().map(|vm| (vm, site)));
        }
        println!("{VMS} ports after {:.1} s", start.elapsed().as_secs_f64());
        // The kernel tells of a hundred links a second.
        world.settle(Duration::from_secs(120))?;
        println!("all announced after {:.1} s", start.elapsed().as_secs_f64());
        for _ in 0..EVENTS {
            world.event()?;
        }
        println!(
            "{:?} after {:.1} s, {} alive",
            world.counts,
            start.elapsed().as_secs_f64(),
            world.alive.len()
        );
        world.settle(Duration::from_secs(60))?;
        println!("settled after {:.1} s", start.elapsed().as_secs_f64());

        let expected = world.expected();
        for (number, site) in world.cluster.sites.iter().enumerate() {
            let here = |address: &IpAddr| expected[address].1 == number;
            let way = |address: &IpAddr| {
                let bridge = || format!("vmbr{}", expected[address].0 / 1_000);
                if here(address) { bridge() } else { "up0".to_owned() }
            };
            let routes: BTreeMap<IpAddr, String> = expected.keys().map(|a| (*a, way(a))).collect();
            let neighbors: BTreeSet<IpAddr> = expected.keys().copied().filter(here).collect();
            wait_for("each kernel to have the routes and no other", SOON, || Ok(site.routes()? == routes))?;
            // Entries that the kernel changed without a word are found by the comparison, every half minute.
            wait_for("its neighbour entries, and no other", SOON, || Ok(site.neighbors()? == neighbors))?;
            site.note_arrivals()?;
        }
        world.cluster.send_to_all(expected.keys().copied())?;
        let mut wanted = vec![BTreeSet::new(); SITES];
        for (address, (vm, site)) in &expected {
            wanted[*site].insert((format!("vm{vm}"), *address));
        }
        wait_for("a packet at each VM, at its port and nowhere else", SOON, || {
            let arrived =
                world.cluster.sites.iter().map(|site| site.arrivals()).collect::<Result<Vec<_>>>()?;
            Ok(arrived == wanted)
        })?;
        println!("{} addresses reached after {:.1} s", expected.len(), start.elapsed().as_secs_f64());
        // Killed, each would take the kernel a quarter of a minute, for it closes socket by socket.
        for site in &mut world.cluster.sites {
            assert!(site.siskin.stop()?.success());
        }
        Ok(())
    })
}
