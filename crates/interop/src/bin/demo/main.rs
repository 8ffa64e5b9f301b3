//! `siskin-demo`: Siskin's main job in two minutes, in namespaces of this machine.
//!
//! Two FRR upstreams give a hypervisor the full table; Siskin installs it as ECMP routes, learns two VMs and
//! announces them; an upstream stops and a VM moves while a client keeps pinging. Each step checks what it
//! shows: the first that fails ends the demo with status 1. The namespaces go in any case.

mod network;
mod pings;

use std::time::{Duration, Instant};

use clap::Parser;
use siskin_interop::kernel::{count, first_multipath, siskin_route};
use siskin_interop::lab::{Lab, clean_up_on_signals};
use siskin_interop::process::last_lines;
use siskin_interop::router::Router;
use siskin_interop::show::Show;
use siskin_interop::wait::{SOON, wait_for, wait_some};
use siskin_interop::{Error, Result, fail, table};
use siskin_net::Family;

use network::{DRAWING, Network, Wires};
use pings::Pings;

/// Two FRR routers work on a full table for some ten seconds each, on two cores.
const TABLE: Duration = Duration::from_secs(90);

/// The most pings that may get lost while an upstream stops or a VM moves, seconds' worth.
const MAX_OUTAGE: Duration = Duration::from_secs(3);

/// Siskin between two upstreams and two virtual machines.
///
/// Needs root, frr and bird2 (`make setup`). Example: siskin-demo
#[derive(Debug, Parser)]
struct Arguments {
    /// Use a small table of this many prefixes of each family even where the full one is there.
    #[arg(long)]
    small: Option<u32>,
    /// Wait for Enter after every step, and before cleaning up after a failure.
    #[arg(long)]
    pause: bool,
}

fn main() {
    let arguments = Arguments::parse();
    let show = Show::new(arguments.pause);
    clean_up_on_signals();
    match run(&arguments, &show) {
        Ok(()) => show.say("Done: all steps worked. The namespaces are gone."),
        Err(error) => {
            show.say(&format!("FAILED: {error}"));
            std::process::exit(1);
        }
    }
}

fn run(arguments: &Arguments, show: &Show) -> Result {
    let table = match arguments.small {
        Some(size) => table::Table { path: table::make_own(size)?, full: false },
        None => table::full_or_own(1000)?,
    };
    let lab = Lab::new("demo")?;
    let result = steps(&lab, &table, show);
    if result.is_err() {
        lab.keep();
    }
    show.pause();
    result
}

fn steps(lab: &Lab, table: &table::Table, show: &Show) -> Result {
    show.step(
        "The network",
        "Eight namespaces stand for machines, veth pairs for cables. Both hypervisors run siskind with one \
         short file; this is all of hv1's:",
    );
    println!("{DRAWING}\n");
    show.quote("siskin.toml", &network::siskin_config(1));
    let mut net = Wires::new(lab)?.start(lab, table)?;
    sessions(&net, show)?;
    full_table(&mut net, table, show)?;
    virtual_machines(&net, show)?;
    upstream_stops(&mut net, show)?;
    vm_moves(&net, show)
}

fn sessions(net: &Network, show: &Show) -> Result {
    show.step("Sessions", "One session to each upstream carries IPv4 and IPv6.");
    for (hv, host) in (1..).zip(&net.hypervisors) {
        for peer in ["up1", "up2"] {
            host.siskin.wait_established(peer).map_err(|e| e.during(format!("hv{hv}")))?;
        }
    }
    show.command("hv1# siskin peers", &net.hypervisors[0].siskin.cli_text(&["peers"])?);
    Ok(())
}

fn full_table(net: &mut Network, table: &table::Table, show: &Show) -> Result {
    let what = if table.full { "a full Internet table" } else { "a small table of our own" };
    show.step(
        "The table, as ECMP routes in the kernel",
        &format!("Both upstreams get {what} and give it on. FRR takes most of the time here."),
    );
    let start = Instant::now();
    for upstream in &mut net.upstreams {
        upstream.play.event("established", SOON)?;
        upstream.play.send("go")?;
    }
    let host = &net.hypervisors[0];
    let sizes: Vec<(u64, u64)> = net.upstreams.iter().map(|up| up.size).collect();
    for (name, size) in ["up1", "up2"].iter().zip(&sizes) {
        wait_for(&format!("the table of {name}"), TABLE, || {
            let peer = host.siskin.peer(name)?;
            let received = |family: &str| {
                let list = peer["families"].as_array().cloned().unwrap_or_default();
                list.iter().find(|f| f["family"] == family).and_then(|f| f["received"].as_u64()).unwrap_or(0)
            };
            // The client's network comes on top.
            Ok(received("ipv4") > size.0 && received("ipv6") > size.1)
        })?;
    }
    wait_for("the kernel to have it all", TABLE, || {
        let status = host.siskin.api("/v1/status")?;
        Ok(Family::ALL.iter().all(|family| {
            let (fib, rib) = (&status["fib"][family.name()], &status["rib"][family.name()]);
            fib["pending"] == 0 && fib["failed"] == 0 && fib["installed"] == rib["prefixes"]
        }))
    })?;
    show.say(&format!("All in RIB and kernel after {:.1} s.", start.elapsed().as_secs_f64()));
    show.command("hv1# siskin status", &host.siskin.cli_text(&["status"])?);
    for family in Family::ALL {
        let counts = count(&host.ns, family, "proto 201")?;
        let Some(sample) = first_multipath(&host.ns, family, "proto 201")? else {
            return fail(format!("no {} route with two next hops", family.name()));
        };
        show.say(&format!(
            "{}: {} kernel routes, {} of them over both upstreams (the others have a shorter path on one side). \
             One of them:",
            family.name(),
            counts.routes,
            counts.multipath
        ));
        show.command("hv1# ip route show proto 201", &sample);
        let prefix = sample.split_whitespace().next().unwrap_or_default().to_owned();
        if family == Family::Ipv4 {
            show.command(
                &format!("hv1# siskin explain {prefix}"),
                &host.siskin.cli_text(&["explain", &prefix])?,
            );
        }
    }
    Ok(())
}

fn virtual_machines(net: &Network, show: &Show) -> Result {
    show.step(
        "Two VMs on hv1",
        "Each has a /32 and a /128 and the gateways 169.254.0.1 and fe80::1. Nothing is configured for them: \
         Siskin hears their ARP and neighbour discovery, installs the host routes and announces them.",
    );
    let host = &net.hypervisors[0];
    for vm in &net.vms {
        vm.plug(&host.ns)?;
        vm.speak()?;
    }
    for vm in &net.vms {
        for prefix in [vm.v4(), vm.v6()] {
            let parsed = prefix.parse()?;
            for upstream in &net.upstreams {
                wait_some(&format!("{prefix} at an upstream"), SOON, || upstream.frr.route(parsed))?;
            }
            wait_some(&format!("{prefix} in hv1's kernel"), SOON, || siskin_route(&host.ns, &prefix))?;
        }
    }
    show.command("hv1# siskin host-routes", &host.siskin.cli_text(&["host-routes"])?);
    let up1 = &net.upstreams[0].frr;
    show.command("up1# show ip route bgp (FRR)", &last_lines(&up1.vtysh(&["show ip route bgp"])?, 3));
    show.command("up1# show ipv6 route bgp (FRR)", &last_lines(&up1.vtysh(&["show ipv6 route bgp"])?, 3));
    for vm in &net.vms {
        for address in [vm.address4(), vm.address6()] {
            wait_for(&format!("an answer from {address}"), SOON, || net.client.pings(&address, 2))?;
            show.say(&format!("client: ping {address} is answered."));
        }
    }
    Ok(())
}

fn upstream_stops(net: &mut Network, show: &Show) -> Result {
    show.step(
        "An upstream stops",
        "FRR on up1 is killed while the client pings both addresses of web01, ten times a second.",
    );
    let vm = &net.vms[0];
    let pings = Pings::start(&net.client, &[vm.address4(), vm.address6()])?;
    std::thread::sleep(Duration::from_secs(1));
    let stopped = Instant::now();
    net.upstreams[0].frr.daemon().kill();
    let host = &net.hypervisors[0];
    wait_for("the session to up1 to end", SOON, || Ok(!host.siskin.established("up1")?))?;
    wait_for("the paths through up1 to go", TABLE, || {
        let status = host.siskin.api("/v1/status")?;
        Ok(Family::ALL.iter().all(|family| {
            let (fib, rib) = (&status["fib"][family.name()], &status["rib"][family.name()]);
            let (prefixes, paths) = (rib["prefixes"].as_u64(), rib["paths"].as_u64());
            // Of two paths a prefix, one is left; the VMs' may have another that is not used.
            fib["pending"] == 0
                && paths.zip(prefixes).is_some_and(|(paths, prefixes)| paths * 2 < prefixes * 3)
        }))
    })?;
    show.say(&format!("No route uses up1 any more after {:.1} s.", stopped.elapsed().as_secs_f64()));
    for family in Family::ALL {
        let counts = count(&host.ns, family, "proto 201")?;
        if counts.multipath > 0 {
            return fail(format!(
                "the kernel still has {} {} routes over up1",
                counts.multipath,
                family.name()
            ));
        }
        show.say(&format!("{}: {} kernel routes, all over up2.", family.name(), counts.routes));
    }
    std::thread::sleep(Duration::from_secs(1));
    pings.finish(show)?;
    show.command("hv1# siskin peers", &host.siskin.cli_text(&["peers"])?);
    Ok(())
}

fn vm_moves(net: &Network, show: &Show) -> Result {
    show.step(
        "A VM moves to hv2",
        "web01 leaves hv1 and appears on hv2 with the same MAC and addresses, as after a live migration. hv2 \
         hears it and announces it; hv1 withdraws.",
    );
    let vm = &net.vms[0];
    let pings = Pings::start(&net.client, &[vm.address4(), vm.address6()])?;
    std::thread::sleep(Duration::from_secs(1));
    let moved = Instant::now();
    vm.unplug()?;
    vm.plug(&net.hypervisors[1].ns)?;
    vm.speak()?;
    let up2 = net.upstreams.get(1).ok_or_else(|| Error::new("no second upstream"))?;
    for prefix in [vm.v4(), vm.v6()] {
        let parsed = prefix.parse()?;
        wait_for(&format!("{prefix} through hv2"), SOON, || {
            Ok(up2.frr.route(parsed)?.is_some_and(|got| got.as_path.starts_with("65102")))
        })?;
        // hv1 has a route again, the one that up2 tells it of; it no longer leads to its own bridge.
        wait_for("hv1 to let go of it", SOON, || {
            let route = siskin_route(&net.hypervisors[0].ns, &prefix)?;
            Ok(route.is_none_or(|route| !route.hops.iter().any(|hop| hop.ends_with("%vmbr1"))))
        })?;
    }
    show.say(&format!("up2 routes both addresses to hv2 after {:.1} s.", moved.elapsed().as_secs_f64()));
    std::thread::sleep(Duration::from_secs(2));
    pings.finish(show)?;
    show.command("hv2# siskin host-routes", &net.hypervisors[1].siskin.cli_text(&["host-routes"])?);
    let staying = &net.vms[1];
    for address in [staying.address4(), staying.address6()] {
        wait_for("web02, which stayed", SOON, || net.client.pings(&address, 2))?;
    }
    show.say("web02, which stayed on hv1, answers all the while.");
    Ok(())
}
