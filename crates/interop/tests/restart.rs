//! Restarts with traffic through the hypervisor: 1,000 packets a second and family in both directions between a VM and
//! what lies behind the upstream, while Siskin or the upstream goes and comes back (RFC 4724). What is lost is counted
//! and printed; where forwarding outlives the restart nothing may be.

use std::time::{Duration, Instant};

use siskin_interop::kernel::siskin_route;
use siskin_interop::lab::{Lab, Ns, lab};
use siskin_interop::plain::{OPEN, PEER, PEER_AS, at_peer, first_link, ip, peer};
use siskin_interop::router::{Announcement, Config, Kind, Neighbor, Router};
use siskin_interop::siskin::Siskin;
use siskin_interop::stream::{Loss, Streams};
use siskin_interop::vm::{Vm, hypervisor_bridge, hypervisor_tables};
use siskin_interop::wait::{SOON, wait_for};
use siskin_interop::{Error, Result};

const V4: &str = "10.100.0.0/16";
const V6: &str = "2001:db8:f::/48";
/// Hosts within, at the upstream.
const BEYOND: [&str; 2] = ["10.100.0.1", "2001:db8:f::1"];
const HYPERVISOR_AS: u32 = 65_002;

/// A VM on a hypervisor with Siskin, and an upstream of some kind that forwards what it learns.
struct World {
    kind: Kind,
    upstream_ns: Ns,
    hypervisor: Ns,
    upstream: Box<dyn Router>,
    siskin: Siskin,
    vm: Vm,
}

impl World {
    /// `keys`: more of Siskin's peer.
    fn new(lab: &Lab, kind: Kind, keys: &str) -> Result<World> {
        let (upstream_ns, hypervisor) = (lab.ns("upstream")?, lab.ns("hypervisor")?);
        first_link(lab, &upstream_ns, &hypervisor)?;
        upstream_ns.addr("lo", "10.100.0.1/32")?;
        upstream_ns.addr("lo", "2001:db8:f::1/128")?;
        hypervisor_bridge(&hypervisor)?;
        let open = format!("{OPEN}\n{keys}");
        let toml = format!(
            "asn = {HYPERVISOR_AS}\nrouter-id = \"10.0.0.2\"\n{}{}",
            hypervisor_tables(),
            peer("upstream", PEER, PEER_AS, &open)
        );
        let siskin = Siskin::start(&hypervisor, &toml)?;
        let neighbor = Neighbor::new(ip("10.0.0.2"), HYPERVISOR_AS).next_hop(ip("2001:db8::1"));
        let routes = vec![Announcement::plain(V4)?, Announcement::plain(V6)?];
        let config = Config::new(PEER_AS, [10, 0, 0, 1], vec![neighbor], routes).with_kernel().with_restart();
        let upstream = kind.start(&upstream_ns, &config)?;
        let vm = Vm::new(lab, "vm", 10)?;
        vm.plug(&hypervisor)?;
        vm.speak()?;
        let world = World { kind, upstream_ns, hypervisor, upstream, siskin, vm };
        world.is_whole()?;
        // The first packets resolve neighbours, on all links and in both families.
        for (ns, to) in
            [(world.vm.ns(), BEYOND), (&world.upstream_ns, [&*world.vm.address4(), &*world.vm.address6()])]
        {
            for address in to {
                wait_for(&format!("an answer from {address}"), SOON, || ns.pings(address, 3))?;
            }
        }
        Ok(world)
    }

    /// Waits until both sides have each other's routes.
    fn is_whole(&self) -> Result {
        self.siskin.wait_established("upstream")?;
        for prefix in [V4, V6] {
            wait_for(&format!("{prefix} in the hypervisor's kernel"), SOON, || {
                Ok(siskin_route(&self.hypervisor, prefix)?.is_some())
            })?;
        }
        for (prefix, flag) in [(self.vm.v4(), "-4"), (self.vm.v6(), "-6")] {
            at_peer(self.upstream.as_ref(), &prefix)?;
            wait_for(&format!("{prefix} in the upstream's kernel"), SOON, || {
                Ok(!self.upstream_ns.ip(&format!("{flag} route show {prefix}"))?.trim().is_empty())
            })?;
        }
        Ok(())
    }

    /// Runs `event` under traffic, and some seconds more; prints what was lost.
    fn under_traffic(&mut self, name: &str, event: impl FnOnce(&mut World) -> Result) -> Result<[Loss; 2]> {
        let own = [self.vm.address4(), self.vm.address6()];
        let own = [&*own[0], &*own[1]];
        let streams = Streams::start((&self.upstream_ns, &BEYOND), (self.vm.ns(), &own))?;
        pause(1);
        event(self)?;
        pause(3);
        let losses = streams.finish()?;
        for loss in &losses {
            println!("{name:28} {:5} {loss}", self.kind.to_string());
        }
        Ok(losses)
    }
}

fn pause(seconds: u64) {
    std::thread::sleep(Duration::from_secs(seconds));
}

fn nothing_lost(losses: &[Loss]) -> Result {
    assert!(losses.iter().all(|loss| loss.sent > 6_000), "{losses:?}");
    match losses.iter().find(|loss| loss.lost > 0) {
        Some(loss) => Err(Error::new(format!("packets were lost: {loss}"))),
        None => Ok(()),
    }
}

/// Waits for the end of our restart: the first tables are in, and the kernel has them.
fn ready(siskin: &Siskin) -> Result {
    wait_for("siskind to be ready", SOON, || Ok(siskin.api("/v1/status")?["ready"] == true))
}

fn stopped_and_started(kind: Kind) -> Result {
    lab("restart-term", |lab| {
        let mut world = World::new(lab, kind, "")?;
        let losses = world.under_traffic("SIGTERM, on-stop = keep", |world| {
            assert!(world.siskin.stop()?.success());
            pause(3);
            at_peer(world.upstream.as_ref(), &world.vm.v4())?;
            world.siskin.start_again()?;
            world.is_whole()?;
            ready(&world.siskin)
        })?;
        let log = world.siskin.daemon().log();
        assert!(log.contains("the restart is over"), "decisions were held");
        nothing_lost(&losses)
    })
}

#[test]
fn frr_keeps_our_routes_while_we_are_stopped() -> Result {
    stopped_and_started(Kind::Frr)
}

#[test]
fn bird_keeps_our_routes_while_we_are_stopped() -> Result {
    stopped_and_started(Kind::Bird)
}

fn killed(kind: Kind) -> Result {
    lab("restart-kill", |lab| {
        let mut world = World::new(lab, kind, "")?;
        let losses = world.under_traffic("SIGKILL", |world| {
            world.siskin.daemon().kill();
            pause(3);
            world.siskin.start_again()?;
            world.is_whole()?;
            ready(&world.siskin)
        })?;
        nothing_lost(&losses)
    })
}

#[test]
fn frr_keeps_our_routes_when_we_are_killed() -> Result {
    killed(Kind::Frr)
}

#[test]
fn bird_keeps_our_routes_when_we_are_killed() -> Result {
    killed(Kind::Bird)
}

/// The upstream's daemon dies and is started again: its routes stay here, marked, until it has confirmed them.
fn upstream_restarts(kind: Kind) -> Result {
    lab("restart-help", |lab| {
        let mut world = World::new(lab, kind, "")?;
        let losses = world.under_traffic("the upstream restarts", |world| {
            world.upstream.daemon().kill();
            let is_stale = |siskin: &Siskin, prefix: &str| -> Result<Option<bool>> {
                Ok(siskin.path_from(prefix, "upstream")?.and_then(|path| path["stale"].as_bool()))
            };
            for prefix in [V4, V6] {
                wait_for("a stale route", SOON, || Ok(is_stale(&world.siskin, prefix)? == Some(true)))?;
                assert!(siskin_route(&world.hypervisor, prefix)?.is_some(), "still in the kernel");
            }
            assert!(!world.siskin.established("upstream")?);
            pause(2);
            world.upstream.start_again()?;
            world.is_whole()?;
            for prefix in [V4, V6] {
                wait_for("a confirmed route", SOON, || Ok(is_stale(&world.siskin, prefix)? == Some(false)))?;
            }
            Ok(())
        })?;
        // What goes to the VM takes the upstream's own kernel, whose IPv6 route zebra writes anew, not always in one step.
        let theirs = |loss: &&Loss| kind == Kind::Frr && loss.way.starts_with("upstream");
        let allowed = losses.iter().find(theirs).map_or(0, |loss| loss.lost);
        assert!(allowed < 500, "{losses:?}");
        let ours: Vec<Loss> = losses.iter().filter(|loss| !theirs(loss)).cloned().collect();
        nothing_lost(&ours)
    })
}

#[test]
fn we_help_frr_to_restart() -> Result {
    upstream_restarts(Kind::Frr)
}

#[test]
fn we_help_bird_to_restart() -> Result {
    upstream_restarts(Kind::Bird)
}

/// What a peer that restarts does not announce any more goes with its End-of-RIB.
#[test]
fn what_is_not_confirmed_goes_with_end_of_rib() -> Result {
    lab("restart-sweep", |lab| {
        let mut world = World::new(lab, Kind::Bird, "")?;
        world.upstream.daemon().kill();
        let file = world.upstream_ns.dir().join("bird.conf");
        let text = std::fs::read_to_string(&file)?;
        std::fs::write(&file, text.lines().filter(|l| !l.contains(V6)).collect::<Vec<_>>().join("\n"))?;
        pause(1);
        assert!(world.siskin.best(V6)?.is_some(), "still there");
        world.upstream.start_again()?;
        wait_for("the end of the route", SOON, || Ok(world.siskin.paths(V6)?.is_empty()))?;
        assert!(world.siskin.best(V4)?.is_some());
        wait_for("the kernel without it", SOON, || Ok(siskin_route(&world.hypervisor, V6)?.is_none()))
    })
}

/// A peer that does not come back has the time it asked for, or ours where that is shorter.
#[test]
fn a_peer_that_stays_away_is_helped_for_a_time() -> Result {
    lab("restart-away", |lab| {
        let mut world = World::new(lab, Kind::Bird, "graceful-restart = { stale = \"6s\" }")?;
        world.upstream.daemon().kill();
        let start = Instant::now();
        pause(3);
        assert!(world.siskin.best(V4)?.is_some() && siskin_route(&world.hypervisor, V4)?.is_some());
        wait_for("the end of its routes", SOON, || Ok(siskin_route(&world.hypervisor, V4)?.is_none()))?;
        assert!(start.elapsed() >= Duration::from_secs(5), "{:?}", start.elapsed());
        assert!(world.siskin.paths(V4)?.is_empty());
        Ok(())
    })
}

/// We restart, and the peer whose routes the kernel has never comes back: they stay for the time that peers were asked
/// for, and not longer.
#[test]
fn what_nobody_confirms_is_swept_after_the_deadline() -> Result {
    lab("restart-alone", |lab| {
        let mut world = World::new(lab, Kind::Bird, "graceful-restart = { time = \"8s\" }")?;
        world.siskin.daemon().kill();
        world.upstream.daemon().kill();
        world.siskin.start_again()?;
        let start = Instant::now();
        pause(4);
        for prefix in [V4, V6] {
            assert!(siskin_route(&world.hypervisor, prefix)?.is_some(), "adopted and kept");
        }
        for prefix in [V4, V6] {
            wait_for("the sweep", SOON, || Ok(siskin_route(&world.hypervisor, prefix)?.is_none()))?;
        }
        let took = start.elapsed();
        assert!((7..15).contains(&took.as_secs()), "{took:?}");
        println!("what nobody confirmed was swept {:.1} s after the start (time = 8 s)", took.as_secs_f64());
        for prefix in [world.vm.v4(), world.vm.v6()] {
            assert!(siskin_route(&world.hypervisor, &prefix)?.is_some(), "the VM's routes stay");
        }
        Ok(())
    })
}
