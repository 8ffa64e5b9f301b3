//! A hostile VM beside an honest one, attack by attack, with what must not happen: the kernel's routes and permanent
//! neighbours, what is announced to a peer and the victim's traffic stay as they were, and the attempt is counted.
//!
//! The ports are isolated from each other and the bridge answers strictly (`rp_filter = 1`), as the guide has it. Every
//! case runs under `pinned` and under `provisioned`, with and without the filter.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use siskin_interop::frames::{
    Arp, BROADCAST, Discovery, Mac, Wire, arp_request, ethernet, gratuitous_reply, rarp, tagged,
};
use siskin_interop::hypervisor::{Uplink, upstream};
use siskin_interop::lab::{Lab, Ns, lab};
use siskin_interop::router::{Kind, Router};
use siskin_interop::siskin::Siskin;
use siskin_interop::vm::{Vm, hypervisor_bridge, hypervisor_tables};
use siskin_interop::wait::{SOON, wait_for};
use siskin_interop::watch::Watch;
use siskin_interop::{Error, Result};
use siskin_net::Prefix;

const GATEWAY4: Ipv4Addr = Ipv4Addr::new(169, 254, 0, 1);
const OVERRIDE: u8 = 0x20;
const WATCH_AS: u32 = 65_009;
/// VMs of the last octet of their addresses.
const VICTIM: u8 = 10;
const ATTACKER: u8 = 66;
const BYSTANDER: u8 = 30;

/// Whom an attack is by and against.
struct Actors {
    me: Mac,
    victim: Mac,
    bridge: Mac,
    mine6: Ipv6Addr,
    local: Ipv6Addr,
    victim4: Ipv4Addr,
    victim6: Ipv6Addr,
    gateway6: Ipv6Addr,
}

/// What becomes of an attack's frames, besides changing nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Counted {
    /// They are counted as refused.
    Refused,
    /// They do not even reach user space, or claim nothing.
    Unseen,
}

struct Attack {
    name: &'static str,
    counted: Counted,
    frames: fn(&Actors) -> Vec<Vec<u8>>,
}

fn ip6(text: &str) -> Ipv6Addr {
    text.parse().unwrap_or(Ipv6Addr::UNSPECIFIED)
}

/// The frame, cut at so many places, never whole.
fn cuts(frame: &[u8]) -> Vec<Vec<u8>> {
    [15, 20, 30, 41, 53, 60, 70].iter().filter_map(|at| frame.get(..*at)).map(<[u8]>::to_vec).collect()
}

const ATTACKS: &[Attack] = &[
    Attack {
        name: "gratuitous ARP, request and reply, for the victim's address",
        counted: Counted::Refused,
        frames: |a| vec![arp_request(a.me, a.victim4, a.victim4), gratuitous_reply(a.me, a.victim4)],
    },
    Attack {
        name: "ARP from the victim's address to the gateway, and an answer nobody asked for",
        counted: Counted::Refused,
        frames: |a| {
            let answer = Arp {
                operation: 2,
                sender_mac: a.me,
                sender: a.victim4,
                target_mac: a.bridge,
                target: GATEWAY4,
            };
            vec![arp_request(a.me, a.victim4, GATEWAY4), ethernet(a.bridge, a.me, 0x0806, &answer.octets())]
        },
    },
    Attack {
        name: "unsolicited NA for the victim's address",
        counted: Counted::Refused,
        frames: |a| {
            vec![
                Discovery::advertisement(a.me, a.local, a.victim6, OVERRIDE).frame(),
                Discovery::advertisement(a.me, a.victim6, a.victim6, OVERRIDE).frame(),
            ]
        },
    },
    Attack {
        name: "NS from the victim's address",
        counted: Counted::Refused,
        frames: |a| vec![Discovery::solicitation(a.me, a.victim6, a.gateway6).frame()],
    },
    Attack {
        name: "duplicate address detection on the victim's addresses",
        counted: Counted::Refused,
        frames: |a| {
            vec![
                Discovery::duplicate_detection(a.me, a.victim6).frame(),
                arp_request(a.me, Ipv4Addr::UNSPECIFIED, a.victim4),
            ]
        },
    },
    Attack {
        name: "RARP with the victim's MAC address",
        counted: Counted::Refused,
        frames: |a| vec![rarp(a.victim)],
    },
    Attack {
        name: "the victim's MAC address and addresses",
        counted: Counted::Refused,
        frames: |a| {
            vec![
                arp_request(a.victim, a.victim4, GATEWAY4),
                Discovery::solicitation(a.victim, a.victim6, a.gateway6).frame(),
            ]
        },
    },
    Attack {
        name: "the victim's MAC address inside, the attacker's outside",
        counted: Counted::Refused,
        frames: |a| {
            let inside = Arp {
                operation: 1,
                sender_mac: a.victim,
                sender: a.victim4,
                target_mac: [0; 6],
                target: GATEWAY4,
            };
            vec![ethernet(BROADCAST, a.me, 0x0806, &inside.octets())]
        },
    },
    Attack {
        name: "the gateway's addresses: ARP, NA, duplicate address detection",
        counted: Counted::Refused,
        frames: |a| {
            vec![
                arp_request(a.me, GATEWAY4, GATEWAY4),
                gratuitous_reply(a.me, GATEWAY4),
                Discovery::advertisement(a.me, a.gateway6, a.gateway6, 0x80 | OVERRIDE).frame(),
                Discovery::duplicate_detection(a.me, a.gateway6).frame(),
            ]
        },
    },
    Attack {
        name: "the gateway's MAC address",
        counted: Counted::Refused,
        frames: |a| vec![arp_request(a.bridge, a.victim4, GATEWAY4), rarp(a.bridge)],
    },
    Attack {
        name: "router advertisements",
        counted: Counted::Unseen,
        frames: |a| {
            vec![
                Discovery::router_advertisement(a.me, a.gateway6).frame(),
                Discovery::router_advertisement(a.me, a.local).frame(),
            ]
        },
    },
    Attack {
        name: "the hypervisor's own addresses",
        counted: Counted::Refused,
        frames: |a| {
            let own6 = ip6("2001:db8:100::1");
            vec![
                arp_request(a.me, Ipv4Addr::new(198, 51, 100, 1), GATEWAY4),
                arp_request(a.me, Ipv4Addr::new(10, 0, 1, 2), GATEWAY4),
                Discovery::advertisement(a.me, own6, own6, OVERRIDE).frame(),
            ]
        },
    },
    Attack {
        name: "addresses outside the prefixes",
        counted: Counted::Refused,
        frames: |a| {
            let outside = ip6("2001:db8:bad::1");
            vec![
                arp_request(a.me, Ipv4Addr::new(203, 0, 113, 66), GATEWAY4),
                arp_request(a.me, Ipv4Addr::new(10, 0, 1, 1), Ipv4Addr::new(10, 0, 1, 1)),
                Discovery::advertisement(a.me, outside, outside, OVERRIDE).frame(),
            ]
        },
    },
    Attack {
        name: "link-local, loopback, multicast, broadcast and mapped addresses",
        counted: Counted::Refused,
        frames: |a| {
            let four = ["169.254.0.9", "127.0.0.1", "224.0.0.5", "255.255.255.255", "0.0.0.9"];
            let six = ["::1", "::ffff:198.51.100.9", "ff02::9"].map(ip6);
            let arps = four.iter().map(|text| text.parse().unwrap_or(Ipv4Addr::BROADCAST));
            let discovery =
                six.iter().map(|address| Discovery::advertisement(a.me, a.local, *address, OVERRIDE));
            arps.map(|address| arp_request(a.me, address, address))
                .chain(discovery.map(|d| d.frame()))
                .collect()
        },
    },
    Attack {
        name: "truncated frames",
        counted: Counted::Refused,
        frames: |a| {
            let arp = arp_request(a.me, a.victim4, GATEWAY4);
            let na = Discovery::advertisement(a.me, a.victim6, a.victim6, OVERRIDE).frame();
            cuts(arp.get(..42).unwrap_or_default()).into_iter().chain(cuts(&na)).collect()
        },
    },
    Attack {
        name: "wrong checksum, hop limit, option length",
        counted: Counted::Refused,
        frames: |a| {
            let good = Discovery::advertisement(a.me, a.victim6, a.victim6, OVERRIDE);
            let mut sum = good.frame();
            if let Some(octet) = sum.get_mut(56) {
                *octet ^= 1;
            }
            let routed = Discovery { hop_limit: 64, ..good.clone() };
            let mut option = good;
            if let Some(octet) = option.message.get_mut(25) {
                *octet = 0;
            }
            vec![sum, routed.frame(), option.frame()]
        },
    },
    Attack {
        name: "neighbour discovery in fragments",
        counted: Counted::Unseen,
        frames: |a| {
            let taken = Discovery::advertisement(a.me, a.victim6, a.victim6, OVERRIDE).fragments();
            let free = ip6("2001:db8:100::77");
            let free = Discovery::advertisement(a.me, free, free, OVERRIDE).fragments();
            taken.into_iter().chain(free).collect()
        },
    },
    Attack {
        name: "a VLAN tag on a port without VLANs",
        counted: Counted::Refused,
        frames: |a| {
            let frame = arp_request(a.me, a.victim4, GATEWAY4);
            let free = arp_request(a.me, Ipv4Addr::new(198, 51, 100, 77), GATEWAY4);
            vec![tagged(&frame, &[5]), tagged(&free, &[4095]), tagged(&frame, &[0xe000])]
        },
    },
    Attack {
        name: "two VLAN tags",
        counted: Counted::Unseen,
        frames: |a| {
            let free = arp_request(a.me, Ipv4Addr::new(198, 51, 100, 77), GATEWAY4);
            vec![tagged(&free, &[5, 6]), tagged(&free, &[0, 6]), tagged(&free, &[1, 0])]
        },
    },
];

/// The hypervisor with its VMs, under one guard.
struct World {
    hv: Ns,
    upstream: Ns,
    _router: Box<dyn Router>,
    watch: Watch,
    siskin: Siskin,
    victim: Vm,
    attacker: Vm,
    wire: Wire,
    actors: Actors,
}

fn declared(vm: u8, more: &[u8]) -> String {
    let addresses: Vec<String> = std::iter::once(vm)
        .chain(more.iter().copied())
        .flat_map(|n| [format!("\"198.51.100.{n}\""), format!("\"2001:db8:100::{n}\"")])
        .collect();
    format!(
        "[[host-routes.vmbr1.vm]]\nname = \"vm{vm}\"\nmac = \"52:02:45:76:d2:{vm:02x}\"\naddresses = [{}]\n",
        addresses.join(", ")
    )
}

impl World {
    fn new(lab: &Lab, guard: &str, filter: bool) -> Result<World> {
        let upstream_ns = lab.ns("upstream")?;
        let uplink = Uplink { number: 1 };
        let hv = uplink.plug(lab, &upstream_ns)?;
        hypervisor_bridge(&hv)?;
        hv.addr("lo", "198.51.100.1/32")?;
        hv.addr("lo", "2001:db8:100::1/128")?;
        sysctl(&hv, "net.ipv4.conf.vmbr1.rp_filter=1")?;
        let beside = lab.ns("beside")?;
        lab.link(
            (&beside, "eth0", &["10.9.0.1/24", "2001:db8:9::1/64"]),
            (&hv, "up9", &["10.9.0.2/24", "2001:db8:9::2/64"]),
        )?;
        let watch = Watch::start(&beside, "10.9.0.1".parse()?, WATCH_AS);
        let mut tables = hypervisor_tables() + &format!("guard = \"{guard}\"\nfilter = {filter}\n");
        if guard == "provisioned" {
            tables += &declared(VICTIM, &[]);
            tables += &declared(ATTACKER, &[]);
            tables += &declared(BYSTANDER, &(BYSTANDER + 1..BYSTANDER + 8).collect::<Vec<u8>>());
        }
        tables += &format!(
            "[peer.watch]\naddress = \"10.9.0.1\"\nasn = {WATCH_AS}\nimport = \"accept-all\"\nexport = \"accept-all\"\n"
        );
        let siskin = uplink.start(&hv, &tables)?;
        let router = upstream(&upstream_ns, Kind::Bird, 1)?;
        siskin.wait_established("up")?;
        watch.wait_established(SOON)?;
        let (victim, attacker) = (Vm::new(lab, "victim", VICTIM)?, Vm::new(lab, "attacker", ATTACKER)?);
        for vm in [&victim, &attacker] {
            plug_isolated(vm, &hv)?;
            vm.speak()?;
            announced(&watch, vm)?;
        }
        let wire = Wire::open(attacker.ns(), "eth0")?;
        let actors = Actors {
            me: attacker.mac(),
            victim: victim.mac(),
            bridge: mac_of(&hv, "vmbr1")?,
            mine6: attacker.address6().parse()?,
            local: ip6("fe80::66"),
            victim4: victim.address4().parse()?,
            victim6: victim.address6().parse()?,
            gateway6: ip6("fe80::1"),
        };
        Ok(World {
            hv,
            upstream: upstream_ns,
            _router: router,
            watch,
            siskin,
            victim,
            attacker,
            wire,
            actors,
        })
    }

    /// Our routes and neighbour entries, in the kernel's own words.
    fn kernel(&self) -> Result<String> {
        let mut text = String::new();
        for family in ["-4", "-6"] {
            let mut lines: Vec<String> = Vec::new();
            for what in ["route show proto 201", "neigh show nud permanent"] {
                lines.extend(self.hv.ip(&format!("{family} {what}"))?.lines().map(str::to_owned));
            }
            lines.sort();
            text += &lines.join("\n");
        }
        Ok(text)
    }

    fn refused(&self) -> Result<u64> {
        let shown = self.siskin.cli_json(&["host-routes"])?;
        shown["interfaces"][0]["refused"].as_u64().ok_or_else(|| Error::new("no count of refusals"))
    }

    fn victim_is_reached(&self) -> Result {
        for address in [self.victim.address4(), self.victim.address6()] {
            wait_for(&format!("a ping to {address}"), SOON, || self.upstream.pings(&address, 2))?;
        }
        Ok(())
    }

    fn attack(&self, attack: &Attack) -> Result {
        let (kernel, changes, refused) = (self.kernel()?, self.watch.changes(), self.refused()?);
        for _ in 0..3 {
            for frame in (attack.frames)(&self.actors) {
                // Some are too short for the kernel to send at all.
                let _sent = self.wire.send(&frame);
            }
        }
        // Longer than an owner has to answer, and than a candidate waits.
        let wait = Duration::from_millis(if attack.counted == Counted::Unseen { 1_500 } else { 600 });
        std::thread::sleep(wait);
        assert_eq!(self.kernel()?, kernel, "routes and neighbours after: {}", attack.name);
        assert_eq!(self.watch.changes(), changes, "announcements after: {}", attack.name);
        let more = self.refused()? - refused;
        match attack.counted {
            Counted::Refused => assert!(more > 0, "not counted: {}", attack.name),
            Counted::Unseen => assert_eq!(more, 0, "counted: {}", attack.name),
        }
        self.victim_is_reached()?;
        println!("{}: nothing changed, {more} refused", attack.name);
        Ok(())
    }
}

fn sysctl(ns: &Ns, setting: &str) -> Result {
    siskin_interop::process::run(ns.command("sysctl").args(["-qw", setting])).map(drop)
}

fn mac_of(ns: &Ns, interface: &str) -> Result<Mac> {
    let text = ns.ip(&format!("link show dev {interface}"))?;
    let mac = text.split_whitespace().skip_while(|word| *word != "link/ether").nth(1).unwrap_or_default();
    let octets: Vec<u8> = mac.split(':').filter_map(|octet| u8::from_str_radix(octet, 16).ok()).collect();
    octets.try_into().map_err(|_| Error::new(format!("no MAC address in {text}")))
}

fn plug_isolated(vm: &Vm, hv: &Ns) -> Result {
    vm.plug(hv)?;
    let set = ["link", "set", "dev", &vm.port(), "isolated", "on"].map(str::to_owned);
    siskin_interop::process::run(hv.command("bridge").args(set)).map(drop)
}

fn announced(watch: &Watch, vm: &Vm) -> Result {
    for prefix in [vm.v4(), vm.v6()] {
        watch.wait_for(prefix.parse()?, true, SOON)?;
    }
    Ok(())
}

fn every_attack(guard: &str, filter: bool) -> Result {
    lab(&format!("hostile-{guard}"), |lab| {
        let world = World::new(lab, guard, filter)?;
        world.victim_is_reached()?;
        for attack in ATTACKS {
            world.attack(attack)?;
        }
        // The bridge's own address has survived, and the attacker, who is somebody's VM too, is still served.
        let own = world.hv.ip("-6 address show dev vmbr1")?;
        assert!(own.contains("fe80::1/64") && !own.contains("dadfailed"), "{own}");
        assert!(world.upstream.pings(&world.attacker.address6(), 3)?);
        assert!(world.watch.announced().contains(&Prefix::host(world.actors.mine6.into())));
        Ok(())
    })
}

#[test]
fn under_pinned_no_attack_changes_anything() -> Result {
    every_attack("pinned", false)
}

#[test]
fn under_provisioned_no_attack_changes_anything() -> Result {
    every_attack("provisioned", false)
}

#[test]
fn under_pinned_with_the_filter_no_attack_changes_anything() -> Result {
    every_attack("pinned", true)
}

#[test]
fn under_provisioned_with_the_filter_no_attack_changes_anything() -> Result {
    every_attack("provisioned", true)
}

/// A VM that restarts its interface asks whether its address is free; an attacker says it is not.
#[test]
fn an_answer_to_a_restarting_vms_duplicate_detection_gains_nothing() -> Result {
    lab("hostile-dad", |lab| {
        let world = World::new(lab, "pinned", false)?;
        let (kernel, refused) = (world.kernel()?, world.refused()?);
        let Actors { me, victim6, local, victim, .. } = world.actors;
        let victims = Wire::open(world.victim.ns(), "eth0")?;
        for _ in 0..3 {
            victims.send(&Discovery::duplicate_detection(victim, victim6).frame())?;
            world.wire.send(&Discovery::advertisement(me, local, victim6, OVERRIDE).frame())?;
            world.wire.send(&Discovery::duplicate_detection(me, victim6).frame())?;
            std::thread::sleep(Duration::from_millis(500));
        }
        assert_eq!(world.kernel()?, kernel);
        assert!(world.refused()? >= refused + 6);
        world.victim_is_reached()
    })
}

/// A new VM whose declared address an attacker claims while it is still being asked for.
#[test]
fn a_declared_address_cannot_be_claimed_before_its_vm_has_it() -> Result {
    lab("hostile-first", |lab| {
        let world = World::new(lab, "provisioned", false)?;
        let vm = Vm::new(lab, "bystander", BYSTANDER)?;
        let address: Ipv6Addr = vm.address6().parse()?;
        let claim = Discovery::advertisement(world.actors.me, world.actors.local, address, OVERRIDE).frame();
        let claim4 = arp_request(world.actors.me, vm.address4().parse()?, vm.address4().parse()?);
        let before = world.watch.changes();
        for frame in [&claim, &claim4, &claim] {
            world.wire.send(frame)?;
        }
        std::thread::sleep(Duration::from_millis(500));
        assert_eq!(world.watch.changes(), before);
        plug_isolated(&vm, &world.hv)?;
        world.wire.send(&claim)?;
        vm.speak()?;
        announced(&world.watch, &vm)?;
        assert!(world.upstream.pings(&vm.address4(), 3)? && world.upstream.pings(&vm.address6(), 3)?);
        world.victim_is_reached()
    })
}

/// More addresses than a port may have: the rest is refused, and nobody else has fewer for it.
#[test]
fn a_port_has_so_many_addresses_and_no_more() -> Result {
    lab("hostile-many", |lab| {
        let world = World::new(lab, "pinned", false)?;
        let before = world.watch.announced();
        for n in 100..160_u8 {
            world.wire.send(&arp_request(world.actors.me, Ipv4Addr::new(198, 51, 100, n), GATEWAY4))?;
            std::thread::sleep(Duration::from_millis(20));
        }
        std::thread::sleep(Duration::from_millis(500));
        let now = world.watch.announced();
        assert!(before.iter().all(|prefix| now.contains(prefix)), "{now:?}");
        // Its own two are among the sixteen.
        assert_eq!(now.len(), before.len() + 14, "{now:?}");
        world.victim_is_reached()
    })
}

/// Delays of a bystander's first words, from the frame to the peer.
fn delays(world: &World, wire: &Wire, mac: Mac, numbers: std::ops::Range<u8>) -> Result<Vec<Duration>> {
    let mut delays = Vec::new();
    for n in numbers {
        let (four, six) = (Ipv4Addr::new(198, 51, 100, n), ip6(&format!("2001:db8:100::{n}")));
        for (frame, prefix) in [
            (arp_request(mac, four, GATEWAY4), Prefix::host(four.into())),
            (Discovery::solicitation(mac, six, world.actors.gateway6).frame(), Prefix::host(six.into())),
        ] {
            let start = Instant::now();
            wire.send(&frame)?;
            delays.push(world.watch.wait_for(prefix, true, SOON)?.saturating_duration_since(start));
            std::thread::sleep(Duration::from_millis(50));
        }
    }
    delays.sort_unstable();
    Ok(delays)
}

fn flooded(guard: &str) -> Result {
    lab(&format!("flood-{guard}"), |lab| {
        let world = World::new(lab, guard, false)?;
        let vm = Vm::new(lab, "bystander", BYSTANDER)?;
        plug_isolated(&vm, &world.hv)?;
        vm.speak()?;
        announced(&world.watch, &vm)?;
        let wire = Wire::open(vm.ns(), "eth0")?;
        let quiet = delays(&world, &wire, vm.mac(), BYSTANDER + 1..BYSTANDER + 4)?;
        let (kernel, refused) = (world.kernel()?, world.refused()?);
        let hostile = Wire::open(world.attacker.ns(), "eth0")?;
        let stop = Arc::new(AtomicBool::new(false));
        let Actors { me, victim4, victim6, local, .. } = world.actors;
        let flood = std::thread::spawn({
            let stop = stop.clone();
            move || {
                let (mut sent, start) = (0, Instant::now());
                while !stop.load(Ordering::Relaxed) {
                    sent += hostile.flood(100_000, Duration::from_millis(100), |n| {
                        let [.., high, low] = n.to_be_bytes();
                        let mac = [0x52, 0x66, 0, 0, high, low];
                        let nobodys =
                            Ipv6Addr::new(0x2001, 0xdb8, 0xbad, 0, 0, 0, u16::from(high), u16::from(low));
                        match n % 4 {
                            0 => arp_request(me, victim4, victim4),
                            1 => Discovery::advertisement(me, local, victim6, OVERRIDE).frame(),
                            2 => arp_request(mac, Ipv4Addr::new(203, 0, high, low), GATEWAY4),
                            _ => Discovery::advertisement(mac, nobodys, nobodys, OVERRIDE).frame(),
                        }
                    });
                }
                (sent, start.elapsed())
            }
        });
        std::thread::sleep(Duration::from_millis(500));
        let loud = delays(&world, &wire, vm.mac(), BYSTANDER + 4..BYSTANDER + 7);
        stop.store(true, Ordering::Relaxed);
        let (sent, took) = flood.join().map_err(|_| Error::new("the flood panicked"))?;
        let loud = loud?;
        println!(
            "{sent} frames in {took:?}; a bystander's delays quiet {quiet:?}, during the flood {loud:?}"
        );
        let after = world.kernel()?;
        let new: Vec<&str> = after.lines().filter(|line| !kernel.contains(line)).collect();
        assert!(new.iter().all(|line| !line.contains("203.0.") && !line.contains(":bad:")), "{new:?}");
        assert!(kernel.lines().all(|line| after.contains(line)), "what was there is there");
        let all = world.watch.announced();
        assert!(all.iter().all(|prefix| !prefix.to_string().contains(":bad:")), "{all:?}");
        assert_eq!(all.len(), 6 + 2 * 6, "two for each VM, and the bystander's: {all:?}");
        // Kernel entries: none learned from the flood (strict for ARP; unsolicited NA makes none).
        let learned = world.hv.ip("neigh show dev vmbr1")?;
        assert!(learned.lines().filter(|line| !line.contains("PERMANENT")).count() < 8, "{learned}");
        assert!(world.refused()? > refused + 50);
        // The target is 10 ms; this machine's two processors are the flood's, others' tests' and ours.
        let (before, during) = (quiet.get(3), loud.get(3));
        assert!(
            during.zip(before).is_some_and(|(d, b)| *d < *b + Duration::from_millis(100)),
            "{quiet:?} {loud:?}"
        );
        world.victim_is_reached()
    })
}

#[test]
fn a_flood_under_pinned_costs_its_own_port_alone() -> Result {
    flooded("pinned")
}

#[test]
fn a_flood_under_provisioned_costs_its_own_port_alone() -> Result {
    flooded("provisioned")
}
