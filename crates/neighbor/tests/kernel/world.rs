//! A hypervisor in a network namespace of its own: a bridge with the gateway's addresses, VMs as further namespaces
//! behind veths, and [`HostRoutes`] fed and obeyed as the daemon does it, through `ip`.
//!
//! A test runs itself again under `unshare -n`; VM namespaces are those of sleeping children. Nothing has a name, so
//! nothing is left behind.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use siskin_neighbor::{
    Action, DomainConfig, Gateway, HostRoute, HostRoutes, LinkInfo, Mac, NoticeKind, PortStatus, Refusal,
};
use siskin_net::{IfIndex, Timestamp};

/// The bridge's MAC address.
pub(crate) const BRIDGE_MAC: &str = "02:00:a9:fe:00:01";

/// Runs `body` in a new network namespace, as root; a failure there is one here.
pub(crate) fn in_namespace(test: &str, body: impl FnOnce()) {
    const INSIDE: &str = "SISKIN_TEST_INSIDE";
    if std::env::var_os(INSIDE).is_some() {
        return body();
    }
    let this = std::env::current_exe().unwrap();
    let mut again = Command::new("unshare");
    again.arg("-n").arg(this).args([test, "--exact", "--nocapture", "--test-threads=1"]).env(INSIDE, "1");
    let output = again.output().unwrap();
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    println!("{said}");
    assert!(output.status.success(), "{test}: failed in its namespace (is this root?)");
    assert!(said.contains("1 passed"), "{test}: is not the test's name");
}

/// Runs a command; it must succeed.
pub(crate) fn run(line: &str) -> String {
    let (output, success) = attempt(line);
    assert!(success, "`{line}` failed: {output}");
    output
}

/// Runs a command; what it said, and whether it succeeded.
pub(crate) fn attempt(line: &str) -> (String, bool) {
    let mut words = line.split_whitespace();
    let output = Command::new(words.next().unwrap()).args(words).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (String::from_utf8_lossy(&said).into_owned(), output.status.success())
}

/// The documentation prefixes of the tests.
pub(crate) fn config() -> DomainConfig {
    DomainConfig {
        prefixes: vec!["198.51.100.0/24".parse().unwrap(), "2001:db8:100::/56".parse().unwrap()],
        gateway: Gateway {
            ipv4: Some("169.254.0.1".parse().unwrap()),
            ipv6: Some("fe80::1".parse().unwrap()),
        },
        ..DomainConfig::default()
    }
}

/// A VM: a namespace with one interface, `eth0`, whose other end is the port.
pub(crate) struct Vm {
    keeper: Child,
}

impl Vm {
    /// Starts VM `number` behind port `tap<number>`, its MAC address ending in `mac`; not yet on a bridge, no address.
    pub(crate) fn start(number: u8, mac: u8) -> Vm {
        let mut keeper = Command::new("unshare");
        keeper.args(["-n", "sh", "-c", "echo; exec sleep 120"]).stdout(Stdio::piped());
        let mut keeper = keeper.spawn().unwrap();
        let mut said = [0];
        std::io::Read::read_exact(keeper.stdout.as_mut().unwrap(), &mut said).unwrap();
        let vm = Vm { keeper };
        let pid = vm.keeper.id();
        run(&format!("ip link add tap{number} type veth peer name eth0 netns {pid}"));
        run(&format!("ip link set tap{number} addrgenmode none up"));
        vm.run(&format!("ip link set eth0 address 52:00:00:00:00:{mac:02x}"));
        vm.run("ip link set lo up");
        vm.run("ip link set eth0 up");
        vm
    }

    /// As [`Vm::start`], on the bridge.
    pub(crate) fn on_bridge(number: u8, mac: u8) -> Vm {
        let vm = Vm::start(number, mac);
        run(&format!("ip link set tap{number} master vmbr1"));
        vm
    }

    /// Runs a command in the VM.
    pub(crate) fn run(&self, line: &str) -> String {
        run(&format!("nsenter -t {} -n {line}", self.keeper.id()))
    }

    /// Gives the VM its /32 and /128, and the routes of the hypervisor guide.
    pub(crate) fn addresses(&self, host: u8) {
        self.run(&format!("ip addr add 198.51.100.{host}/32 dev eth0"));
        self.run(&format!("ip addr add 2001:db8:100::{host}/128 dev eth0"));
        self.run("ip route replace 169.254.0.1 dev eth0 scope link");
        self.run(&format!("ip route replace default via 169.254.0.1 src 198.51.100.{host}"));
        self.run("ip -6 route replace default via fe80::1 dev eth0");
    }

    /// Starts a ping that nobody waits for.
    pub(crate) fn ping(&self, arguments: &str) -> Background {
        let line = format!("-t {} -n ping -c 3 -i 0.3 -W 1 {arguments}", self.keeper.id());
        let mut command = Command::new("nsenter");
        Background(
            command
                .args(line.split_whitespace())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap(),
        )
    }

    /// Speaks in both families from the addresses of `host`.
    pub(crate) fn speak(&self, host: u8) -> [Background; 2] {
        [
            self.ping(&format!("-I 198.51.100.{host} 169.254.0.1")),
            self.ping(&format!("-6 -I 2001:db8:100::{host} fe80::1%eth0")),
        ]
    }
}

impl Drop for Vm {
    fn drop(&mut self) {
        let _gone = self.keeper.kill();
        let _reaped = self.keeper.wait();
    }
}

/// A command that runs beside the test.
pub(crate) struct Background(Child);

impl Drop for Background {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _reaped = self.0.wait();
    }
}

/// The bridge `vmbr1`, as the hypervisor guide has it.
pub(crate) fn bridge() {
    run("ip link set lo up");
    run(&format!(
        "ip link add vmbr1 address {BRIDGE_MAC} type bridge forward_delay 0 stp_state 0 mcast_snooping 0"
    ));
    run("ip link set vmbr1 addrgenmode none up");
    run("ip addr add 169.254.0.1/32 dev vmbr1");
    run("ip addr add fe80::1/64 dev vmbr1 nodad");
}

/// The daemon's part: feeds links, turns, obeys, and remembers.
pub(crate) struct Hypervisor {
    pub(crate) routes: HostRoutes,
    start: Instant,
    links: BTreeMap<IfIndex, LinkInfo>,
    /// All actions so far.
    pub(crate) actions: Vec<(Timestamp, Action)>,
}

impl Hypervisor {
    pub(crate) fn new(interface: &str, config: DomainConfig) -> Hypervisor {
        let routes = HostRoutes::new(vec![(interface.to_owned(), config)]).unwrap();
        let mut hypervisor =
            Hypervisor { routes, start: Instant::now(), links: BTreeMap::new(), actions: Vec::new() };
        hypervisor.feed_links();
        hypervisor
    }

    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::default() + Duration::from_secs(1) + self.start.elapsed()
    }

    /// What changed among the links since the last call.
    pub(crate) fn feed_links(&mut self) {
        let now = self.now();
        let links = links();
        for index in self.links.keys().copied().filter(|i| !links.contains_key(i)).collect::<Vec<_>>() {
            let gone = self.links.remove(&index).unwrap();
            self.routes.link_event(LinkInfo { deleted: true, ..gone }, now);
        }
        for (index, link) in links {
            if self.links.get(&index) != Some(&link) {
                self.links.insert(index, link.clone());
                self.routes.link_event(link, now);
            }
        }
    }

    /// Turns until `done`, which must be so within `limit`; how long it took.
    pub(crate) fn until(
        &mut self,
        what: &str,
        limit: Duration,
        done: impl Fn(&[HostRoute]) -> bool,
    ) -> Duration {
        let start = Instant::now();
        loop {
            self.turn();
            if done(&self.routes.snapshot()) {
                return start.elapsed();
            }
            let (seen, ports) = (self.routes.snapshot(), self.routes.ports());
            assert!(
                start.elapsed() < limit,
                "not so within {limit:?}: {what}; there is {seen:#?} {ports:#?}"
            );
        }
    }

    /// Turns for a while.
    pub(crate) fn run_for(&mut self, time: Duration) {
        let start = Instant::now();
        while start.elapsed() < time {
            self.turn();
        }
    }

    fn turn(&mut self) {
        self.feed_links();
        let start = self.start;
        let clock = move || Timestamp::default() + Duration::from_secs(1) + start.elapsed();
        let actions = self.routes.turn(clock, Some(Duration::from_millis(5))).unwrap();
        let now = self.now();
        for action in actions {
            obey(&action);
            self.actions.push((now, action));
        }
    }

    /// The state of an address, `""` if there is none.
    pub(crate) fn state(&self, address: &str) -> &'static str {
        let address: IpAddr = address.parse().unwrap();
        self.routes.snapshot().iter().find(|r| r.address == address).map_or("", |r| r.state.name())
    }

    /// The counters of a port.
    pub(crate) fn port(&mut self, name: &str) -> PortStatus {
        self.routes.ports().into_iter().find(|port| &*port.name == name).unwrap()
    }

    /// Whether a refusal for `reason` was told.
    pub(crate) fn told(&self, reason: Refusal) -> bool {
        self.actions.iter().any(|(_, action)| match action {
            Action::Notice(notice) => matches!(notice.kind, NoticeKind::Refused(why, _) if why == reason),
            _ => false,
        })
    }

    /// The actions about an address, without notices, as words.
    pub(crate) fn history(&self, address: &str) -> Vec<&'static str> {
        let wanted: IpAddr = address.parse().unwrap();
        let about = self.actions.iter().filter_map(|(_, action)| match action {
            Action::Install { address, .. } => Some((*address, "install")),
            Action::Remove { address, .. } => Some((*address, "remove")),
            Action::Announce { address, .. } => Some((*address, "announce")),
            Action::Withdraw { address, .. } => Some((*address, "withdraw")),
            Action::Notice(_) => None,
        });
        about.filter(|(address, _)| *address == wanted).map(|(_, word)| word).collect()
    }
}

/// Is `address` announced and alive on `port`?
pub(crate) fn active(routes: &[HostRoute], address: &str, port: &str) -> bool {
    let address: IpAddr = address.parse().unwrap();
    let port: Arc<str> = port.into();
    routes.iter().any(|route| {
        route.address == address
            && route.port_name.as_ref() == Some(&port)
            && route.announced
            && route.state.name() == "active"
    })
}

/// Does to the kernel what the daemon does.
fn obey(action: &Action) {
    match action {
        Action::Install { interface, address, mac } => {
            let Some(device) = name_of(*interface) else { return };
            let family = if address.is_ipv4() { "-4" } else { "-6" };
            run(&format!(
                "ip {family} neigh replace {address} lladdr {mac} dev {device} nud permanent protocol 201"
            ));
            run(&format!("ip {family} route replace {address} dev {device} proto 201"));
        }
        Action::Remove { interface, address } => {
            let Some(device) = name_of(*interface) else { return };
            let family = if address.is_ipv4() { "-4" } else { "-6" };
            attempt(&format!("ip {family} route del {address} dev {device} proto 201"));
            attempt(&format!("ip {family} neigh del {address} dev {device}"));
        }
        Action::Announce { .. } | Action::Withdraw { .. } | Action::Notice(_) => {}
    }
}

fn name_of(index: IfIndex) -> Option<String> {
    links().remove(&index).map(|link| link.name)
}

/// All links, as `ip -o link` shows them.
pub(crate) fn links() -> BTreeMap<IfIndex, LinkInfo> {
    let text = run("ip -d -o link show");
    let all: Vec<(LinkInfo, Option<&str>)> = text.lines().filter_map(link).collect();
    let index_of = |name: &str| all.iter().find(|(link, _)| link.name == name).map(|(link, _)| link.index);
    let with_master = all
        .iter()
        .map(|(link, master)| (link.index, LinkInfo { master: master.and_then(index_of), ..link.clone() }));
    with_master.collect()
}

fn link(line: &str) -> Option<(LinkInfo, Option<&str>)> {
    let mut words = line.split_whitespace();
    let index = words.next()?.trim_end_matches(':').parse().ok()?;
    let name = words.next()?.trim_end_matches(':').split('@').next()?.to_owned();
    let flags: Vec<&str> = words.next()?.trim_matches(['<', '>']).split(',').collect();
    let after = |word: &str| line.split_whitespace().skip_while(|w| *w != word).nth(1);
    let link = LinkInfo {
        index,
        name,
        mac: after("link/ether").and_then(|m| m.parse().ok()).unwrap_or(Mac::ZERO),
        up: flags.contains(&"UP"),
        carrier: flags.contains(&"LOWER_UP"),
        kind: after_details(line).unwrap_or_default().to_owned(),
        ..LinkInfo::default()
    };
    Some((link, after("master")))
}

/// The word that the details begin with: the link's kind, if it has one.
fn after_details(line: &str) -> Option<&str> {
    let word = line.split_whitespace().skip_while(|w| *w != "maxmtu").skip(2).find(|w| *w != "\\")?;
    ["bridge", "veth", "tun", "vlan"].into_iter().find(|kind| *kind == word)
}

/// A port on the bridge whose other end is in the same namespace, for frames made by hand.
pub(crate) struct Wire {
    end: IfIndex,
    speaker: siskin_neighbor::snoop::Snooper,
}

impl Wire {
    /// A port of this name.
    pub(crate) fn on_bridge(name: &str) -> Wire {
        let far = format!("{name}-end");
        run(&format!("ip link add {name} type veth peer name {far}"));
        run(&format!("ip link set {name} addrgenmode none up master vmbr1"));
        run(&format!("ip link set {far} addrgenmode none up"));
        let end = links().into_values().find(|link| link.name == far).unwrap().index;
        Wire { end, speaker: siskin_neighbor::snoop::Snooper::open().unwrap() }
    }

    /// Sends a frame into the port.
    pub(crate) fn send(&self, frame: &[u8]) {
        self.speaker.send(self.end, frame).unwrap();
    }

    /// A gratuitous ARP request for `address`.
    pub(crate) fn claim(mac: Mac, address: std::net::Ipv4Addr) -> Vec<u8> {
        siskin_neighbor::frame::gratuitous_arp((mac, address))
    }
}
