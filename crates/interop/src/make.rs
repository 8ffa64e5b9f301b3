//! The daemon of a hypervisor between two upstreams, of any of three makes with the same configuration: two paths that
//! share the load, its VM announced, its routes kept over a restart.
//!
//! The left upstream is on the plain topology's first link, the right one on its second (see [`crate::plain`]).

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use crate::Result;
use crate::bird::{self, Bird};
use crate::frr::Frr;
use crate::lab::Ns;
use crate::plain::{OPEN, OUR_AS, PEER_AS, ROUTER, peer};
use crate::process::Daemon;
use crate::router::{Announcement, Config, Neighbor, Router};
use crate::siskin::Siskin;
use crate::vm::{Vm, hypervisor_tables};
use crate::wait::{SOON, wait_for};

/// The right upstream's AS number.
pub const RIGHT_AS: u32 = 65_003;

/// The hold time of both sessions, seconds.
pub const HOLD: u16 = 30;

/// What a reload adds.
pub const MORE: &str = "203.0.113.0/24";

/// Whose daemon it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Make {
    /// Ours.
    Siskin,
    /// BIRD 2.
    Bird,
    /// FRR's `bgpd` and `zebra`.
    Frr,
}

impl Make {
    /// All of them, the others first.
    pub const ALL: [Make; 3] = [Make::Bird, Make::Frr, Make::Siskin];
}

impl fmt::Display for Make {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Make::Siskin => "siskin",
            Make::Bird => "bird",
            Make::Frr => "frr",
        })
    }
}

/// What of the configuration changes while it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setup {
    /// The left upstream's address.
    pub left: Ipv4Addr,
    /// Our own addresses on the left link.
    pub own: (Ipv4Addr, Ipv6Addr),
    /// Whether [`MORE`] is announced.
    pub more: bool,
}

/// The last numbers of the left upstream's addresses, before and after a renumbering.
pub const LEFT: [u8; 2] = [1, 11];
/// The last numbers of our own addresses on the left link, before and after.
pub const OWN: [u8; 2] = [2, 3];

/// An address of the first link.
#[must_use]
pub const fn first_link4(host: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, 0, host)
}

/// The same for IPv6. The number is written as if it were decimal.
#[must_use]
pub fn first_link6(host: u8) -> Ipv6Addr {
    let host = u16::from(host / 10 * 16 + host % 10);
    Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, host)
}

impl Default for Setup {
    fn default() -> Setup {
        Setup { left: first_link4(LEFT[0]), own: (first_link4(OWN[0]), first_link6(OWN[0])), more: false }
    }
}

/// A running daemon.
#[derive(Debug)]
pub struct Hypervisor {
    vm: [String; 2],
    setup: Setup,
    running: Running,
}

#[derive(Debug)]
enum Running {
    Siskin(Siskin),
    Bird(Bird),
    Frr(Frr),
}

impl Hypervisor {
    /// Starts it. Siskin learns of the VM by itself; the others are told, and the kernel has its route already.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start(make: Make, ns: &Ns, vm: &Vm) -> Result<Hypervisor> {
        let (vm, setup) = ([vm.v4(), vm.v6()], Setup::default());
        if make != Make::Siskin {
            ns.ip(&format!("-4 route add {} dev vmbr1", vm[0]))?;
            ns.ip(&format!("-6 route add {} dev vmbr1", vm[1]))?;
        }
        let running = match make {
            Make::Siskin => Running::Siskin(Siskin::start(ns, &toml(&setup))?),
            Make::Bird => {
                let config = config(&vm, &setup)?;
                Running::Bird(Bird::start_raw(ns, &config, &bird::text(&config))?)
            }
            Make::Frr => Running::Frr(Frr::start(ns, &config(&vm, &setup)?)?),
        };
        Ok(Hypervisor { vm, setup, running })
    }

    /// What it is configured to now.
    #[must_use]
    pub fn setup(&self) -> Setup {
        self.setup
    }

    /// Loads another configuration, as its operator would.
    ///
    /// # Errors
    /// When it refuses.
    pub fn reload(&mut self, setup: Setup) -> Result {
        self.setup = setup;
        let config = config(&self.vm, &setup)?;
        match &mut self.running {
            Running::Siskin(siskin) => {
                siskin.write_config(&toml(&setup))?;
                siskin.reload()
            }
            Running::Bird(bird) => bird.configure(&bird::text(&config)),
            Running::Frr(frr) => frr.reconfigure(&config),
        }
    }

    /// Stops it in the way that is meant to keep the routes.
    ///
    /// # Errors
    /// When it does not end.
    pub fn stop(&mut self) -> Result {
        match &mut self.running {
            Running::Siskin(siskin) => siskin.stop().map(drop),
            Running::Bird(bird) => {
                bird.birdc("graceful restart")?;
                bird.daemon().wait(SOON).map(drop)
            }
            Running::Frr(frr) => frr.daemon().stop(SOON).map(drop),
        }
    }

    /// Kills it: of FRR `bgpd`, for `zebra` has its routes.
    pub fn kill(&mut self) {
        self.daemon().kill();
    }

    /// Starts it again after it ended.
    ///
    /// # Errors
    /// When it does not come up, or (Siskin says so) does not end its restart.
    pub fn start_again(&mut self) -> Result {
        match &mut self.running {
            Running::Siskin(siskin) => {
                siskin.start_again()?;
                wait_for("siskind to be ready", SOON, || Ok(siskin.api("/v1/status")?["ready"] == true))
            }
            Running::Bird(bird) => bird.start_again(),
            Running::Frr(frr) => frr.start_again(),
        }
    }

    fn daemon(&mut self) -> &mut Daemon {
        match &mut self.running {
            Running::Siskin(siskin) => siskin.daemon(),
            Running::Bird(bird) => bird.daemon(),
            Running::Frr(frr) => frr.daemon(),
        }
    }
}

fn toml(setup: &Setup) -> String {
    let left = format!("{OPEN}\nsource = \"{}\"", setup.own.0);
    let more = if setup.more { format!("\n[[originate]]\nprefix = \"{MORE}\"\n") } else { String::new() };
    format!(
        "{ROUTER}{}{more}{}{}",
        hypervisor_tables(),
        peer("left", &setup.left.to_string(), PEER_AS, &left),
        peer("right", "10.0.1.1", RIGHT_AS, OPEN)
    )
}

fn config(vm: &[String; 2], setup: &Setup) -> Result<Config> {
    let left = Neighbor::new(setup.left, PEER_AS).from(setup.own.0).next_hop(setup.own.1).hold(HOLD);
    let right6 = Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 2);
    let right = Neighbor::new([10, 0, 1, 1], RIGHT_AS).next_hop(right6).hold(HOLD);
    let more = setup.more.then_some(MORE);
    let routes = vm.iter().map(String::as_str).chain(more).map(Announcement::plain).collect::<Result<_>>()?;
    Ok(Config::new(OUR_AS, [10, 0, 0, 2], vec![left, right], routes)
        .with_kernel()
        .with_restart()
        .with_multipath(true))
}
