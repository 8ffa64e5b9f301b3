//! Three hypervisors that hear of each other late: VMs that start, move, die, hypervisors that crash and daemons that
//! restart, in any order. When all is quiet again each address is announced by the hypervisor that has its VM, and by
//! nobody else.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const HOSTS: usize = 3;
const VMS: u8 = 4;
const MILLI: Duration = Duration::from_millis(1);
/// What BGP takes to miss a router.
const HOLD: Duration = Duration::from_secs(9);

/// A generator of numbers: the seed is the test's only randomness.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

/// A hypervisor: its machine, and what the others announce as it knows it.
struct Host {
    claims: Claims,
    /// What it announces now.
    announced: BTreeMap<IpAddr, Mobility>,
    kernel: BTreeMap<IpAddr, Mac>,
    heard: BTreeMap<(IpAddr, usize), Mobility>,
    /// Announcements and withdrawals so far.
    changes: u64,
    up: bool,
}

enum Happening {
    /// Host `to` hears of an announcement or withdrawal by `from`.
    News {
        from: usize,
        to: usize,
        address: IpAddr,
        mobility: Option<Mobility>,
    },
    Frame {
        host: usize,
        vm: u8,
        address: Option<IpAddr>,
    },
    /// A VM says something, and will again.
    Speak {
        vm: u8,
        life: u64,
    },
    Resume {
        vm: u8,
        host: usize,
    },
    TwinSpeak {
        vm: u8,
        host: usize,
    },
    PortGone {
        host: usize,
        vm: u8,
    },
    Boot(usize),
}

struct Vm {
    host: Option<usize>,
    /// Counts its moves, so that what it was about to say elsewhere is not said.
    life: u64,
    talkative: bool,
    /// Where it runs a second time, by somebody's mistake.
    twin: Option<usize>,
}

struct Fleet {
    hosts: Vec<Host>,
    vms: BTreeMap<u8, Vm>,
    agenda: BTreeMap<(Timestamp, u64), Happening>,
    /// When the last news from one host to another arrives: sessions keep the order.
    arrival: BTreeMap<(usize, usize), Timestamp>,
    count: u64,
    now: Timestamp,
    dice: Dice,
}

fn addresses(vm: u8) -> [IpAddr; 2] {
    [ip(&format!("198.51.100.{vm}")), ip(&format!("2001:db8:100::{vm:x}"))]
}

fn port_of(vm: u8) -> IfIndex {
    100 + IfIndex::from(vm)
}

fn boot(host: usize, now: Timestamp) -> Claims {
    let mut claims = Claims::new();
    claims.configure(vec![("vmbr1".to_owned(), config(Guard::Pinned))], now);
    claims.set_identifier(identifier(host), now);
    let link = DomainLink { index: BRIDGE, mac: BRIDGE_MAC, up: true };
    claims.set_link(claims.domain("vmbr1").unwrap(), Some(link), now);
    claims
}

fn identifier(host: usize) -> BgpIdentifier {
    BgpIdentifier(10 + u32::try_from(host).unwrap())
}

impl Fleet {
    fn new(seed: u64) -> Fleet {
        let now = Timestamp(1_000_000_000);
        let host = |host| Host {
            claims: boot(host, now),
            announced: BTreeMap::new(),
            kernel: BTreeMap::new(),
            heard: BTreeMap::new(),
            changes: 0,
            up: true,
        };
        let mut fleet = Fleet {
            hosts: (0..HOSTS).map(host).collect(),
            vms: BTreeMap::new(),
            agenda: BTreeMap::new(),
            arrival: BTreeMap::new(),
            count: 0,
            now,
            dice: Dice(seed | 1),
        };
        for vm in 1..=VMS {
            let talkative = vm != 1;
            fleet.vms.insert(vm, Vm { host: None, life: 0, talkative, twin: None });
            let host = fleet.any_host();
            fleet.resume(vm, host);
        }
        fleet
    }

    fn any_host(&mut self) -> usize {
        usize::try_from(self.dice.below(HOSTS as u64)).unwrap()
    }

    fn after(&mut self, wait: Duration, what: Happening) {
        self.count += 1;
        self.agenda.insert((self.now + wait, self.count), what);
    }

    fn millis(&mut self, limit: u64) -> Duration {
        MILLI * u32::try_from(self.dice.below(limit)).unwrap()
    }

    /// A VM starts to run on a host; its port comes with it, or was there before.
    fn resume(&mut self, vm: u8, host: usize) {
        if !self.hosts[host].up {
            return;
        }
        let id = self.hosts[host].claims.domain("vmbr1").unwrap();
        let name = Arc::from(format!("tap{vm}"));
        self.hosts[host].claims.set_port(port_of(vm), &name, id, true, self.now);
        let state = self.vms.get_mut(&vm).unwrap();
        state.host = Some(host);
        state.life += 1;
        let life = state.life;
        // What QEMU and the guest say when it was moved.
        self.after(MILLI, Happening::Frame { host, vm, address: None });
        for address in addresses(vm) {
            let wait = self.millis(50);
            self.after(wait, Happening::Frame { host, vm, address: Some(address) });
        }
        self.after(SECOND, Happening::Speak { vm, life });
    }

    fn pause(&mut self, vm: u8) -> Option<usize> {
        let state = self.vms.get_mut(&vm).unwrap();
        state.life += 1;
        state.host.take()
    }

    /// A live migration: the VM stops at one host and runs at another; its old port goes a little later.
    fn migrate(&mut self, vm: u8, to: usize) {
        let Some(from) = self.pause(vm) else { return };
        if self.dice.below(3) == 0 {
            for address in addresses(vm) {
                self.hosts[from].claims.migrate("vmbr1", address, self.now);
            }
        }
        // A frame of before may still be on its way.
        let late = self.millis(20);
        self.after(late, Happening::Frame { host: from, vm, address: Some(addresses(vm)[0]) });
        let pause = self.millis(300);
        self.after(pause, Happening::Resume { vm, host: to });
        if from != to {
            let gone = pause + self.millis(3000);
            self.after(gone, Happening::PortGone { host: from, vm });
        }
    }

    /// A VM runs twice.
    fn twin(&mut self, vm: u8, host: usize) {
        if self.hosts[host].up && self.vms[&vm].twin.is_none() {
            let id = self.hosts[host].claims.domain("vmbr1").unwrap();
            let name = Arc::from(format!("tap{vm}"));
            self.hosts[host].claims.set_port(port_of(vm), &name, id, true, self.now);
            self.vms.get_mut(&vm).unwrap().twin = Some(host);
            self.after(MILLI, Happening::TwinSpeak { vm, host });
        }
    }

    fn end_twins(&mut self) {
        for vm in 1..=VMS {
            if let Some(host) = self.vms.get_mut(&vm).unwrap().twin.take() {
                self.after(MILLI, Happening::PortGone { host, vm });
            }
        }
    }

    fn changes(&self) -> Vec<u64> {
        self.hosts.iter().map(|host| host.changes).collect()
    }

    /// A hypervisor dies with its VMs, which somebody starts elsewhere, and is back later.
    fn crash(&mut self, host: usize) {
        if self.hosts.iter().filter(|h| h.up).count() < 2 || !self.hosts[host].up {
            return;
        }
        let there: Vec<u8> = self.vms.iter().filter(|(_, v)| v.host == Some(host)).map(|(n, _)| *n).collect();
        for state in self.vms.values_mut().filter(|state| state.twin == Some(host)) {
            state.twin = None;
        }
        for vm in there {
            self.pause(vm);
            let to = (0..HOSTS).find(|h| *h != host && self.hosts[*h].up).unwrap();
            let wait = SECOND + self.millis(20_000);
            self.after(wait, Happening::Resume { vm, host: to });
        }
        let dead = &mut self.hosts[host];
        dead.up = false;
        dead.kernel.clear();
        dead.heard.clear();
        for address in std::mem::take(&mut dead.announced).into_keys() {
            self.tell(host, address, None, HOLD);
        }
        let wait = HOLD + SECOND + self.millis(30_000);
        self.after(wait, Happening::Boot(host));
    }

    fn boot(&mut self, host: usize) {
        let now = self.now;
        self.hosts[host].claims = boot(host, now);
        self.hosts[host].up = true;
        for other in (0..HOSTS).filter(|h| *h != host) {
            for (address, mobility) in self.hosts[other].announced.clone() {
                self.tell_one(other, host, address, Some(mobility), MILLI);
            }
        }
    }

    /// The daemon starts again; its routes stay announced, by graceful restart.
    fn restart(&mut self, host: usize) {
        if !self.hosts[host].up {
            return;
        }
        let now = self.now;
        let saved = self.hosts[host].claims.bindings();
        let ports: Vec<(IfIndex, Arc<str>)> =
            self.hosts[host].claims.ports().map(|p| (p.index, p.name.clone())).collect();
        let mut claims = boot(host, now);
        let id = claims.domain("vmbr1").unwrap();
        for (index, name) in ports {
            claims.set_port(index, &name, id, true, now);
        }
        claims.restore(saved, now);
        let it = &mut self.hosts[host];
        let kernel = std::mem::take(&mut it.kernel);
        let before = std::mem::take(&mut it.announced);
        for (address, mac) in &kernel {
            claims.adopt(BRIDGE, *address, *mac, now);
        }
        it.claims = claims;
        self.obey(host);
        // What it does not announce again is swept.
        for (address, mobility) in before {
            match self.hosts[host].announced.get(&address) {
                Some(again) => assert_eq!(again.sequence, mobility.sequence, "{address}"),
                None => self.tell(host, address, None, MILLI),
            }
        }
        let heard: std::collections::BTreeSet<IpAddr> =
            self.hosts[host].heard.keys().map(|(address, _)| *address).collect();
        for address in heard {
            self.weigh(host, address);
        }
    }

    fn tell(&mut self, from: usize, address: IpAddr, mobility: Option<Mobility>, least: Duration) {
        for to in (0..HOSTS).filter(|to| *to != from) {
            self.tell_one(from, to, address, mobility, least);
        }
    }

    fn tell_one(
        &mut self,
        from: usize,
        to: usize,
        address: IpAddr,
        mobility: Option<Mobility>,
        least: Duration,
    ) {
        let at = self.now + least + self.millis(40);
        let at = at.max(self.arrival.get(&(from, to)).copied().unwrap_or_default());
        self.arrival.insert((from, to), at);
        self.after(at.since(self.now), Happening::News { from, to, address, mobility });
    }

    /// What a host's BGP thinks best of an address, given to its machine.
    fn weigh(&mut self, host: usize, address: IpAddr) {
        let it = &mut self.hosts[host];
        let others = it.heard.range((address, 0)..=(address, HOSTS));
        let best = others.max_by_key(|((_, from), m)| (m.elevated, !m.leaving, std::cmp::Reverse(*from)));
        let remote = best.map(|((_, from), mobility)| Remote {
            sequence: mobility.sequence,
            binding: Some(binding_of(mobility.mac)),
            originator: identifier(*from),
            elevated: Some(mobility.elevated),
        });
        it.claims.remote(address, remote, self.now);
        self.obey(host);
    }

    /// Does what a host's machine wants, and lets its VMs answer.
    fn obey(&mut self, host: usize) {
        for output in self.hosts[host].claims.take_outputs() {
            let it = &mut self.hosts[host];
            match output {
                Output::Probe { via, mac, address, .. } => {
                    let vm = mac.0[5];
                    let behind = via == port_of(vm) || via == BRIDGE;
                    if behind && [self.vms[&vm].host, self.vms[&vm].twin].contains(&Some(host)) {
                        self.after(MILLI, Happening::Frame { host, vm, address: Some(address) });
                    }
                }
                Output::Action(Action::Install { address, mac, .. }) => {
                    it.kernel.insert(address, mac);
                }
                Output::Action(Action::Remove { address, .. }) => {
                    it.kernel.remove(&address);
                }
                Output::Action(Action::Announce { address, mobility, .. }) => {
                    it.changes += 1;
                    it.announced.insert(address, mobility);
                    self.tell(host, address, Some(mobility), MILLI);
                }
                Output::Action(Action::Withdraw { address, .. }) => {
                    it.changes += 1;
                    it.announced.remove(&address);
                    self.tell(host, address, None, MILLI);
                }
                Output::Action(Action::Notice(_)) | Output::AnnounceGateway { .. } => {}
            }
        }
    }

    fn happen(&mut self, what: Happening) {
        match what {
            Happening::News { from, to, address, mobility } => {
                if self.hosts[to].up {
                    match mobility {
                        Some(mobility) => self.hosts[to].heard.insert((address, from), mobility),
                        None => self.hosts[to].heard.remove(&(address, from)),
                    };
                    self.weigh(to, address);
                }
            }
            Happening::Frame { host, .. } | Happening::PortGone { host, .. } if !self.hosts[host].up => {}
            Happening::Frame { host, vm, address } => {
                let kind = address.map_or(EvidenceKind::Rarp, |_| EvidenceKind::GratuitousArp);
                let seen = Sighting { mac: mac(vm), vlan: None, address, kind };
                self.hosts[host].claims.sighted(port_of(vm), Ok(seen), self.now);
                self.obey(host);
            }
            Happening::Speak { vm, life } => {
                let Some(host) = self.vms[&vm].host.filter(|_| self.vms[&vm].life == life) else { return };
                let silent = !self.vms[&vm].talkative;
                if !silent {
                    for address in addresses(vm) {
                        self.after(MILLI, Happening::Frame { host, vm, address: Some(address) });
                    }
                }
                let wait = SECOND * 10 + self.millis(5000);
                self.after(wait, Happening::Speak { vm, life });
            }
            Happening::TwinSpeak { vm, host } => {
                if self.vms[&vm].twin == Some(host) && self.hosts[host].up {
                    for address in addresses(vm) {
                        self.after(MILLI, Happening::Frame { host, vm, address: Some(address) });
                    }
                    let wait = SECOND + self.millis(20_000);
                    self.after(wait, Happening::TwinSpeak { vm, host });
                }
            }
            Happening::Resume { vm, host } => {
                // Whoever moves a VM does so to a host that lives.
                let to = (0..HOSTS).map(|n| (host + n) % HOSTS).find(|h| self.hosts[*h].up).unwrap();
                if self.vms[&vm].host.is_none() {
                    self.resume(vm, to);
                    self.obey(to);
                }
            }
            Happening::PortGone { host, vm } => {
                if ![self.vms[&vm].host, self.vms[&vm].twin].contains(&Some(host)) {
                    self.hosts[host].claims.port_gone(port_of(vm), self.now);
                    self.obey(host);
                }
            }
            Happening::Boot(host) => self.boot(host),
        }
    }

    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let next = self.agenda.first_key_value().map(|((at, _), _)| *at);
            let deadlines = self.hosts.iter().filter(|h| h.up).filter_map(|h| h.claims.next_deadline());
            let Some(at) = deadlines.chain(next).min().filter(|at| *at <= end) else { break };
            self.now = at.max(self.now);
            for host in 0..HOSTS {
                if self.hosts[host].up {
                    self.hosts[host].claims.expire(self.now);
                    self.obey(host);
                }
            }
            while let Some(entry) = self.agenda.first_entry().filter(|entry| entry.key().0 <= self.now) {
                let what = entry.remove();
                self.happen(what);
            }
        }
        self.now = end;
    }

    fn settled(&self) -> Result<(), String> {
        for (vm, state) in &self.vms {
            for address in addresses(*vm) {
                for (index, host) in self.hosts.iter().enumerate() {
                    let here = state.host == Some(index);
                    let views: Vec<_> = host.claims.iter().filter(|c| c.address == address).collect();
                    let place = format!("{address} of VM {vm} at {:?}, host {index}: {views:?}", state.host);
                    if host.announced.contains_key(&address) != here {
                        return Err(format!("announced wrongly: {place}"));
                    }
                    if host.kernel.contains_key(&address) != here {
                        return Err(format!("in the kernel wrongly: {place}"));
                    }
                    if host.announced.get(&address).is_some_and(|m| m.elevated || m.leaving) {
                        return Err(format!("still elevated: {place}"));
                    }
                }
            }
        }
        Ok(())
    }
}

#[derive(Clone, Copy, Debug)]
enum Op {
    Migrate { vm: u8, to: usize },
    Crash(usize),
    Restart(usize),
    Twin { vm: u8, host: usize },
    Run(u64),
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        6 => (1..=VMS, 0..HOSTS).prop_map(|(vm, to)| Op::Migrate { vm, to }),
        1 => (0..HOSTS).prop_map(Op::Crash),
        1 => (0..HOSTS).prop_map(Op::Restart),
        // VM 1 says nothing by itself: after half an hour its other half has forgotten it.
        1 => (2..=VMS, 0..HOSTS).prop_map(|(vm, host)| Op::Twin { vm, host }),
        6 => prop_oneof![0u64..100, 100u64..3000, 3000u64..60_000].prop_map(Op::Run),
    ];
    proptest::collection::vec(op, 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn the_host_that_has_the_vm_announces_it_in_the_end(seed: u64, ops in ops()) {
        let mut fleet = Fleet::new(seed);
        fleet.run(SECOND);
        for op in ops {
            match op {
                Op::Migrate { vm, to } => fleet.migrate(vm, to),
                Op::Crash(host) => fleet.crash(host),
                Op::Restart(host) => fleet.restart(host),
                Op::Twin { vm, host } => fleet.twin(vm, host),
                Op::Run(millis) => fleet.run(Duration::from_millis(millis)),
            }
        }
        // Whatever is alive twice changes hands a few times in half an hour.
        fleet.run(SECOND * 300);
        let before = fleet.changes();
        fleet.run(SECOND * 1800);
        let most = before.iter().zip(fleet.changes()).map(|(before, after)| after - before).max();
        prop_assert!(most <= Some(u64::from(VMS) * 2 * 12), "{most:?} changes in half an hour");
        fleet.end_twins();
        // Longer than a freeze and than a planned move.
        fleet.run(SECOND * 4000);
        prop_assert_eq!(fleet.settled(), Ok(()));
        let changes = fleet.changes();
        fleet.run(SECOND * 600);
        prop_assert_eq!(fleet.settled(), Ok(()));
        prop_assert_eq!(changes, fleet.changes(), "nobody changes anything any more");
    }
}
