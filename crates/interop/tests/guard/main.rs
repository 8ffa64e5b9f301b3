//! The filter of VM ports: what a hostile VM sends by raw sockets is dropped and counted, honest traffic passes, and the
//! rules are there whatever is done to them or to the daemon.

mod frames;

use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use serde_json::Value;
use siskin_interop::Result;
use siskin_interop::frames::{BROADCAST, Mac, ethernet};
use siskin_interop::lab::{Lab, Ns, lab};
use siskin_interop::process;
use siskin_interop::siskin::Siskin;
use siskin_interop::vm::{Vm, hypervisor_bridge, hypervisor_tables};
use siskin_interop::wait::{SOON, stays, wait_for};

use frames::{arp, icmpv6, ipv4, ipv6, send, udp};

const MINE: Mac = [0x52, 0x02, 0x45, 0x76, 0xd2, 10];
const THEIRS: Mac = [0x52, 0x02, 0x45, 0x76, 0xd2, 11];
const MY_ADDRESS: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 10);
const THEIR_ADDRESS: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 11);
const FREE_ADDRESS: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 77);
const GATEWAY: Ipv4Addr = Ipv4Addr::new(169, 254, 0, 1);

#[expect(clippy::unwrap_used, reason = "a constant of a test, wrong only when the test is")]
fn six(text: &str) -> Ipv6Addr {
    text.parse().unwrap()
}

fn config(keys: &str) -> String {
    format!("asn = 65101\nrouter-id = \"10.0.1.2\"\n{}{keys}\n", hypervisor_tables())
}

/// A hypervisor without an uplink.
fn hypervisor(lab: &Lab, keys: &str) -> Result<(Ns, Siskin)> {
    let ns = lab.ns("hv")?;
    hypervisor_bridge(&ns)?;
    let siskin = Siskin::start(&ns, &config(keys))?;
    Ok((ns, siskin))
}

fn plugged(lab: &Lab, hv: &Ns, name: &str, number: u8) -> Result<Vm> {
    let vm = Vm::new(lab, name, number)?;
    vm.plug(hv)?;
    vm.speak()?;
    wait_for("its pings", SOON, || Ok(hv.pings(&vm.address4(), 1)? && hv.pings(&vm.address6(), 1)?))?;
    Ok(vm)
}

fn guard(siskin: &Siskin) -> Result<Value> {
    siskin.cli_json(&["guard"])
}

fn dropped(siskin: &Siskin, port: &str, reason: &str) -> Result<u64> {
    let view = guard(siskin)?;
    let all = view["ports"].as_array().cloned().unwrap_or_default();
    let drops = all.iter().filter(|p| p["port"] == port).filter_map(|p| p["dropped"].as_array()).flatten();
    Ok(drops.filter(|d| d["reason"] == reason).filter_map(|d| d["packets"].as_u64()).sum())
}

fn state(siskin: &Siskin) -> Result<String> {
    Ok(guard(siskin)?["filter"]["state"].as_str().unwrap_or_default().to_owned())
}

fn table(hv: &Ns) -> Result<String> {
    let mut nft = hv.command("nft");
    nft.args(["list", "table", "bridge", "siskin"]);
    let output = process::output(&mut nft)?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn nft(hv: &Ns, words: &str) -> Result {
    let mut nft = hv.command("nft");
    nft.args(words.split(' '));
    process::run(&mut nft).map(drop)
}

/// Extension headers before a neighbour advertisement, and fragments of one.
fn hidden(advertisement: &[u8]) -> Vec<(&'static str, u8, Vec<u8>)> {
    let options = |next: u8| [next, 0, 1, 4, 0, 0, 0, 0];
    let fragment = |next: u8, more: u8| [next, 0, 0, more, 0, 0, 0, 9];
    vec![
        ("destination options before it", 60, [&options(58)[..], advertisement].concat()),
        ("an atomic fragment", 44, [&fragment(58, 0)[..], advertisement].concat()),
        ("its first fragment", 44, [&fragment(58, 1)[..], advertisement].concat()),
        ("a chain that goes on in the next fragment", 44, [&fragment(60, 1)[..], &options(58)].concat()),
    ]
}

/// Every row: what is sent, why it is dropped, the frame.
fn hostile() -> Vec<(String, &'static str, Vec<u8>)> {
    let (mine6, theirs6, router6) = (six("2001:db8:100::10"), six("2001:db8:100::11"), six("fe80::1"));
    let local = six("fe80::5002:45ff:fe76:d20a");
    let none = Ipv6Addr::UNSPECIFIED;
    let nd = |from: Ipv6Addr, kind, target| ipv6(MINE, from, 58, &icmpv6(from, kind, target));
    let to = Ipv4Addr::new(10, 0, 1, 2);
    let tagged = |kind: u16| {
        let inner = arp(MINE, 1, (MINE, MY_ADDRESS), GATEWAY);
        [&inner[..12], &kind.to_be_bytes(), &[0, 7], &inner[12..]].concat()
    };
    let mut rows = vec![
        ("a tag", "vlan-tag", tagged(0x8100)),
        ("a service tag", "vlan-tag", tagged(0x88a8)),
        ("another's MAC address", "source-mac", arp(THEIRS, 1, (THEIRS, MY_ADDRESS), GATEWAY)),
        ("a MAC address of nobody", "source-mac", arp([2, 0, 0, 0, 0, 9], 1, (MINE, MY_ADDRESS), GATEWAY)),
        (
            "802.1X in another's name",
            "link-control",
            ethernet([1, 0x80, 0xc2, 0, 0, 3], THEIRS, 0x888e, &[0; 46]),
        ),
        (
            "a bridge's spanning tree",
            "link-control",
            ethernet([1, 0x80, 0xc2, 0, 0, 0], MINE, 39, &[0x42; 46]),
        ),
        ("PPPoE", "protocol", ethernet(BROADCAST, MINE, 0x8863, &[0; 46])),
        ("gratuitous ARP for another", "arp-sender", arp(MINE, 1, (MINE, THEIR_ADDRESS), THEIR_ADDRESS)),
        ("ARP reply for another", "arp-sender", arp(MINE, 2, (MINE, THEIR_ADDRESS), GATEWAY)),
        ("ARP in another's hardware name", "arp-sender", arp(MINE, 2, (THEIRS, MY_ADDRESS), GATEWAY)),
        (
            "ARP from outside the prefixes",
            "arp-sender",
            arp(MINE, 1, (MINE, Ipv4Addr::new(192, 0, 2, 1)), GATEWAY),
        ),
        ("ARP probe of another", "arp-sender", arp(MINE, 1, (MINE, Ipv4Addr::UNSPECIFIED), THEIR_ADDRESS)),
        ("ARP as the gateway", "gateway-address", arp(MINE, 2, (MINE, GATEWAY), MY_ADDRESS)),
        ("ARP probe of the gateway", "gateway-address", arp(MINE, 1, (MINE, Ipv4Addr::UNSPECIFIED), GATEWAY)),
        ("ARP of another hardware", "arp-malformed", {
            let mut frame = arp(MINE, 1, (MINE, MY_ADDRESS), GATEWAY);
            frame[15] = 6;
            frame
        }),
        ("IPv4 from another", "ipv4-source", ipv4(MINE, THEIR_ADDRESS, to, 17, &udp(9, 9))),
        ("IPv4 from a free address", "ipv4-source", ipv4(MINE, FREE_ADDRESS, to, 17, &udp(9, 9))),
        ("a redirect", "redirect", ipv4(MINE, MY_ADDRESS, to, 1, &[5, 1, 0, 0, 0, 0, 0, 0])),
        ("a DHCP offer", "dhcp-server", ipv4(MINE, MY_ADDRESS, Ipv4Addr::BROADCAST, 17, &udp(67, 68))),
        ("IPv6 from another", "ipv6-source", ipv6(MINE, theirs6, 17, &udp(9, 9))),
        ("a ping without a source", "ipv6-source", ipv6(MINE, none, 58, &icmpv6(none, 128, None))),
        ("a DHCPv6 answer", "dhcp-server", ipv6(MINE, local, 17, &udp(547, 546))),
        ("data as the gateway", "gateway-address", ipv6(MINE, router6, 17, &udp(9, 9))),
        ("a router advertisement", "router-advertisement", nd(local, 134, None)),
        ("a redirect of IPv6", "redirect", nd(local, 137, Some(mine6))),
        ("an advertisement for another", "neighbor-target", nd(local, 136, Some(theirs6))),
        ("an advertisement as the gateway", "gateway-address", nd(local, 136, Some(router6))),
        ("a DAD attack on the gateway", "gateway-address", nd(none, 135, Some(router6))),
        ("DAD of another's address", "neighbor-target", nd(none, 135, Some(theirs6))),
        ("a solicitation in another's name", "neighbor-source", nd(theirs6, 135, Some(router6))),
        ("a solicitation as the gateway", "gateway-address", nd(router6, 135, Some(mine6))),
        ("a short advertisement", "hidden-discovery", {
            let mut frame = nd(local, 136, Some(theirs6));
            frame.truncate(14 + 40 + 16);
            frame
        }),
    ];
    rows.extend(
        hidden(&icmpv6(local, 136, Some(theirs6)))
            .into_iter()
            .map(|(what, next, body)| (what, "hidden-discovery", ipv6(MINE, local, next, &body))),
    );
    rows.into_iter().map(|(what, why, frame)| (what.to_owned(), why, frame)).collect()
}

#[test]
fn what_is_not_the_ports_own_is_dropped_and_counted() -> Result {
    lab("guard", |lab| {
        let (hv, siskin) = hypervisor(lab, "filter = true")?;
        let hostile_vm = plugged(lab, &hv, "hostile", 10)?;
        let victim = plugged(lab, &hv, "victim", 11)?;
        assert_eq!(state(&siskin)?, "installed");
        let before = siskin.cli_json(&["host-routes"])?["routes"].as_array().map(Vec::len);
        let mut failed = Vec::new();
        let rows = hostile();
        let count = rows.len();
        for (what, why, frame) in rows {
            // Neighbour discovery and ARP are limited, also when they are false.
            std::thread::sleep(Duration::from_millis(110));
            let known = dropped(&siskin, "tap10i0", why)?;
            send(hostile_vm.ns(), &[frame])?;
            let mut now = dropped(&siskin, "tap10i0", why)?;
            for _ in 0..20 {
                if now == known {
                    std::thread::sleep(Duration::from_millis(50));
                    now = dropped(&siskin, "tap10i0", why)?;
                }
            }
            if now != known + 1 {
                failed.push(format!(
                    "{what}: {why} went from {known} to {now}; {}",
                    siskin.cli_text(&["guard"])?
                ));
            }
        }
        assert!(failed.is_empty(), "of {count}:\n{}", failed.join("\n"));
        println!("{count} kinds of hostile frames dropped, each for its reason");
        // LLDP's group address passes no hook; so the bridge must not learn from it.
        send(hostile_vm.ns(), &[ethernet([1, 0x80, 0xc2, 0, 0, 0x0e], THEIRS, 0x88cc, &[0; 46])])?;
        let fdb = process::run(hv.command("bridge").args(["fdb", "show", "br", "vmbr1"]))?;
        assert!(fdb.lines().any(|l| l.starts_with("52:02:45:76:d2:0b dev tap11i0")), "{fdb}");
        // Nothing came of it: the same addresses, the same owners, and both VMs go on.
        let after = siskin.cli_json(&["host-routes"])?["routes"].as_array().map(Vec::len);
        assert_eq!(before, after);
        for vm in [&hostile_vm, &victim] {
            assert!(hv.pings(&vm.address4(), 3)? && hv.pings(&vm.address6(), 3)?, "honest traffic passes");
        }
        assert_eq!(dropped(&siskin, "tap11i0", "source-mac")?, 0, "the victim did no wrong");
        let links = process::run(hv.command("bridge").args(["-d", "link", "show", "dev", "tap10i0"]))?;
        assert!(links.contains("isolated on") && links.contains("learning on"), "{links}");
        let metrics = siskin.request("GET", "/metrics")?.1;
        let line =
            metrics.lines().find(|l| l.starts_with("siskin_guard_dropped_frames_total{reason=\"redirect\"}"));
        assert_eq!(line, Some("siskin_guard_dropped_frames_total{reason=\"redirect\"} 2"));
        assert!(metrics.contains("siskin_guard_installed 1"));
        let text = siskin.cli_text(&["guard"])?;
        assert!(text.contains("tap10i0") && text.contains("router-advertisement"), "{text}");
        Ok(())
    })
}

/// More ARP and neighbour discovery than a port may send is dropped, and what is left is enough for the VM.
#[test]
fn a_flood_is_limited() -> Result {
    lab("guard-flood", |lab| {
        let (hv, siskin) = hypervisor(lab, "filter = true")?;
        let vm = plugged(lab, &hv, "flood", 10)?;
        let other = plugged(lab, &hv, "other", 11)?;
        let frames: Vec<Vec<u8>> = (0..500)
            .map(|n: u16| {
                let [high, low] = n.to_be_bytes();
                arp(MINE, 1, (MINE, Ipv4Addr::new(198, 51, 100 + high, low)), GATEWAY)
            })
            .collect();
        send(vm.ns(), &frames)?;
        wait_for("the limit", SOON, || Ok(dropped(&siskin, "tap10i0", "arp-nd-rate")? >= 400))?;
        let neighbors = hv.ip("-4 neigh show dev vmbr1")?;
        assert!(neighbors.lines().count() < 30, "{neighbors}");
        assert!(hv.pings(&other.address4(), 5)? && hv.pings(&other.address6(), 5)?);
        wait_for("the flooder itself", SOON, || hv.pings(&vm.address4(), 1))
    })
}

/// A port that nobody has spoken on yet makes its first claim, and sends no data before.
#[test]
fn a_newcomer_claims_first() -> Result {
    lab("guard-new", |lab| {
        let (hv, siskin) = hypervisor(lab, "filter = true")?;
        let first = plugged(lab, &hv, "first", 11)?;
        let new = Vm::new(lab, "new", 10)?;
        new.plug(&hv)?;
        new.ns().ip("link set eth0 down")?;
        new.ns().ip("link set eth0 up")?;
        wait_for("the port's rules", SOON, || Ok(table(&hv)?.contains("\"tap10i0\" : goto")))?;
        let to = Ipv4Addr::new(10, 0, 1, 2);
        send(
            new.ns(),
            &[ipv4(MINE, MY_ADDRESS, to, 17, &udp(9, 9)), ipv4(MINE, THEIR_ADDRESS, to, 17, &udp(9, 9))],
        )?;
        wait_for("two drops", SOON, || Ok(dropped(&siskin, "tap10i0", "ipv4-source")? >= 2))?;
        send(new.ns(), &[arp(MINE, 1, (MINE, THEIR_ADDRESS), GATEWAY)])?;
        wait_for("a refusal", SOON, || Ok(dropped(&siskin, "tap10i0", "arp-sender")? >= 1))?;
        // Its own address it may have.
        send(new.ns(), &[arp(MINE, 1, (MINE, MY_ADDRESS), GATEWAY)])?;
        wait_for("its address among the port's", SOON, || {
            Ok(table(&hv)?.contains("\"tap10i0\" . 198.51.100.10"))
        })?;
        assert!(hv.pings(&first.address4(), 2)?);
        // A port that goes takes its elements and its counts along.
        new.unplug()?;
        wait_for("nothing of the port", SOON, || {
            // Until a minute later the kernel remembers how much ARP it sent.
            let all = table(&hv)?;
            let left =
                ["\"tap10i0\" .", "\"tap10i0\" :", "\"tap10i0\" counter"].iter().any(|of| all.contains(of));
            Ok(!left && dropped(&siskin, "tap10i0", "ipv4-source")? == 0)
        })
    })
}

/// Whoever removes or changes the rules finds them back within seconds; and a filter of somebody else is let alone.
#[test]
fn the_rules_are_mended() -> Result {
    lab("guard-mend", |lab| {
        let (hv, siskin) = hypervisor(lab, "filter = true")?;
        let vm = plugged(lab, &hv, "web01", 10)?;
        nft(&hv, "add table inet mine")?;
        nft(&hv, "add chain inet mine c")?;
        for harm in [
            "delete table bridge siskin",
            "flush chain bridge siskin prerouting",
            "flush chain bridge siskin d0_arp",
            "delete element bridge siskin port_mac { \"tap10i0\" . 52:02:45:76:d2:0a }",
            "add element bridge siskin port_ipv4 { \"tap10i0\" . 198.51.100.99 }",
            "insert rule bridge siskin prerouting accept",
        ] {
            let before = guard(&siskin)?["filter"]["mended"].as_u64().unwrap_or(0);
            nft(&hv, harm)?;
            wait_for(harm, Duration::from_secs(5), || {
                Ok(guard(&siskin)?["filter"]["mended"].as_u64() == Some(before + 1)
                    && state(&siskin)? == "installed")
            })?;
            let mut look = hv.command("nft");
            look.args(["list", "chain", "bridge", "siskin", "prerouting"]);
            let rules = process::run(&mut look)?;
            assert!(rules.contains("vmap @ports") && !rules.contains("\taccept"), "{harm}: {rules}");
            let all = table(&hv)?;
            assert!(
                all.contains("\"tap10i0\" . 52:02:45:76:d2:0a") && !all.contains("198.51.100.99"),
                "{harm}: {all}"
            );
            assert!(hv.pings(&vm.address4(), 2)?, "{harm}");
        }
        // Others may do what they like with theirs.
        let before = guard(&siskin)?["filter"]["transactions"].clone();
        nft(&hv, "add chain inet mine d")?;
        stays(
            "as it is",
            Duration::from_secs(3),
            || Ok(guard(&siskin)?["filter"]["transactions"] == before),
        )?;
        let mine = process::run(hv.command("nft").args(["list", "table", "inet", "mine"]))?;
        assert!(mine.contains("chain d"), "{mine}");
        Ok(())
    })
}

/// Whether a stream of pings loses anything while `harm` is done.
fn while_pinging(hv: &Ns, vm: &Vm, harm: impl FnOnce() -> Result) -> Result<String> {
    let mut ping = hv.command("ping");
    ping.args(["-q", "-i", "0.02", "-w", "6", &vm.address4()]);
    let child = ping.stdout(std::process::Stdio::piped()).spawn()?;
    std::thread::sleep(Duration::from_millis(500));
    harm()?;
    let output = child.wait_with_output()?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Stop with keep, crash, start: the filter is there all the time, nobody loses a packet, and counts go on.
#[test]
fn a_restart_leaves_no_gap() -> Result {
    lab("guard-restart", |lab| {
        let (hv, mut siskin) = hypervisor(lab, "filter = true")?;
        let vm = plugged(lab, &hv, "web01", 10)?;
        // What it sent between its first claim and the rules for it was dropped, too.
        let early = dropped(&siskin, "tap10i0", "ipv4-source")?;
        send(vm.ns(), &[ipv4(MINE, THEIR_ADDRESS, GATEWAY, 17, &udp(9, 9))])?;
        let count = early + 1;
        wait_for("a drop", SOON, || Ok(dropped(&siskin, "tap10i0", "ipv4-source")? == count))?;
        for crash in [false, true] {
            let said = while_pinging(&hv, &vm, || {
                if crash {
                    siskin.daemon().kill();
                } else {
                    siskin.stop()?;
                }
                assert!(table(&hv)?.contains("\"tap10i0\" . 198.51.100.10"), "the filter stays");
                siskin.start_again()
            })?;
            assert!(said.contains(" 0% packet loss"), "crash: {crash}: {said}");
            wait_for("the filter", SOON, || Ok(state(&siskin)? == "installed"))?;
            assert_eq!(dropped(&siskin, "tap10i0", "ipv4-source")?, count, "crash: {crash}: counts go on");
        }
        send(vm.ns(), &[ipv4(MINE, THEIR_ADDRESS, GATEWAY, 17, &udp(9, 9))])?;
        wait_for("one more drop", SOON, || Ok(dropped(&siskin, "tap10i0", "ipv4-source")? == count + 1))
    })
}

/// Removed by a reload, by hand, and by a stop with flush; flags of ports go with it.
#[test]
fn it_is_removed_on_request() -> Result {
    lab("guard-off", |lab| {
        let (hv, mut siskin) = hypervisor(lab, "filter = true")?;
        let vm = plugged(lab, &hv, "web01", 10)?;
        let isolated = || -> Result<bool> {
            let link = process::run(hv.command("bridge").args(["-d", "link", "show", "dev", "tap10i0"]))?;
            Ok(link.contains("isolated on"))
        };
        wait_for("the flag", SOON, &isolated)?;
        siskin.cli_text(&["guard", "remove"])?;
        assert!(table(&hv)?.is_empty() && !isolated()?);
        assert_eq!(state(&siskin)?, "removed");
        vm.speak()?;
        stays("removed", Duration::from_secs(2), || Ok(table(&hv)?.is_empty()))?;
        siskin.cli_text(&["config", "apply"])?;
        wait_for("it is back", SOON, || Ok(!table(&hv)?.is_empty() && isolated()?))?;
        siskin.write_config(&config("filter = true\nisolate = false"))?;
        siskin.reload()?;
        wait_for("ports together", SOON, || Ok(!table(&hv)?.is_empty() && !isolated()?))?;
        siskin.write_config(&config(""))?;
        siskin.reload()?;
        wait_for("it is gone", SOON, || Ok(table(&hv)?.is_empty()))?;
        assert_eq!(state(&siskin)?, "off");
        siskin.write_config(&config("filter = true\n[kernel]\non-stop = \"flush\""))?;
        siskin.reload()?;
        wait_for("it is back again", SOON, || Ok(!table(&hv)?.is_empty()))?;
        siskin.stop()?;
        assert!(table(&hv)?.is_empty() && !isolated()?);
        Ok(())
    })
}

/// Under `provisioned` the bridge learns nothing, owners have sticky entries, and what is not declared claims nothing.
#[test]
fn provisioned_ports_learn_nothing() -> Result {
    lab("guard-prov", |lab| {
        let vm = "\n[[host-routes.vmbr1.vm]]\nname = \"web01\"\nmac = \"52:02:45:76:d2:0a\"\n\
                  addresses = [\"198.51.100.10\", \"2001:db8:100::10\"]\n";
        let (hv, siskin) = hypervisor(lab, &format!("guard = \"provisioned\"\nfilter = true\n{vm}"))?;
        let web = plugged(lab, &hv, "web01", 10)?;
        wait_for("a sticky entry", SOON, || {
            let fdb = process::run(hv.command("bridge").args(["-d", "fdb", "show", "br", "vmbr1"]))?;
            Ok(fdb.lines().any(|l| l.starts_with("52:02:45:76:d2:0a dev tap10i0") && l.contains("sticky")))
        })?;
        let link = process::run(hv.command("bridge").args(["-d", "link", "show", "dev", "tap10i0"]))?;
        assert!(link.contains("learning off"), "{link}");
        let stranger = Vm::new(lab, "stranger", 11)?;
        stranger.plug(&hv)?;
        stranger.speak()?;
        wait_for("a drop", SOON, || Ok(dropped(&siskin, "tap11i0", "arp-sender")? > 0))?;
        assert!(hv.pings(&web.address4(), 2)? && !hv.pings(&stranger.address4(), 1)?);
        Ok(())
    })
}

/// Without `nft` the daemon says so, and host routes work as ever.
#[test]
fn without_nft_only_the_filter_is_missing() -> Result {
    lab("guard-nonft", |lab| {
        let ns = lab.ns("hv")?;
        hypervisor_bridge(&ns)?;
        let siskin = Siskin::spawn_under(&ns, "siskin", &config("filter = true"), &["env", "PATH=/nowhere"])?;
        wait_for("the API", SOON, || Ok(siskin.api("/v1/status").is_ok()))?;
        let vm = plugged(lab, &ns, "web01", 10)?;
        wait_for("the complaint", SOON, || Ok(state(&siskin)? == "failed"))?;
        let error = guard(&siskin)?["filter"]["error"].as_str().unwrap_or_default().to_owned();
        assert!(error.contains("nftables"), "{error}");
        assert!(ns.pings(&vm.address4(), 2)?);
        Ok(())
    })
}

/// A VM declared at run time: by its port alone, over a restart of the daemon, until it is removed.
#[test]
fn a_declared_vm_is_kept_until_it_is_removed() -> Result {
    lab("declared", |lab| {
        let (hv, mut siskin) = hypervisor(lab, "guard = \"provisioned\"\nfilter = true")?;
        let add = |standby: &str, port: &str| -> Vec<String> {
            let line = format!(
                "host-routes add vmbr1 198.51.100.10 2001:db8:100::10 --mac 52:02:45:76:d2:0a --name web01 --port {port} {standby}"
            );
            line.split_whitespace().map(str::to_owned).collect()
        };
        let run = |siskin: &Siskin, words: Vec<String>| {
            siskin.cli_text(&words.iter().map(String::as_str).collect::<Vec<_>>())
        };
        assert!(run(&siskin, add("--standby", "tap99i0"))?.contains("awaited"));
        let vm = Vm::new(lab, "web01", 10)?;
        vm.plug(&hv)?;
        vm.speak()?;
        let announced = |siskin: &Siskin| -> Result<bool> {
            let routes = siskin.cli_json(&["host-routes"])?["routes"].as_array().cloned().unwrap_or_default();
            Ok(routes.iter().any(|r| r["address"] == "198.51.100.10" && r["announced"] == true))
        };
        assert!(!announced(&siskin)?, "it is declared for another port");
        run(&siskin, add("", "tap10i0"))?;
        vm.speak()?;
        wait_for("its announcement", SOON, || announced(&siskin))?;
        wait_for("its pings", SOON, || Ok(hv.pings(&vm.address4(), 1)? && hv.pings(&vm.address6(), 1)?))?;
        siskin.stop()?;
        siskin.start_again()?;
        vm.speak()?;
        wait_for("its announcement again", SOON, || announced(&siskin))?;
        // Whoever is not declared stays out, and a name that is taken is refused.
        let taken =
            siskin.cli(&["host-routes", "add", "vmbr1", "198.51.100.10", "--mac", "52:00:00:00:00:01"])?;
        assert_eq!(taken.status.code(), Some(5));
        let outside =
            siskin.cli(&["host-routes", "add", "vmbr1", "192.0.2.1", "--mac", "52:00:00:00:00:01"])?;
        assert_eq!(outside.status.code(), Some(2));
        siskin.cli_text(&["host-routes", "migrate", "vmbr1", "198.51.100.10"])?;
        siskin.cli_text(&["host-routes", "release", "vmbr1", "198.51.100.10", "2001:db8:100::10"])?;
        siskin.cli_text(&["host-routes", "remove", "vmbr1", "198.51.100.10", "2001:db8:100::10"])?;
        vm.speak()?;
        stays("silence", Duration::from_secs(2), || Ok(!announced(&siskin)?))?;
        let again = siskin.cli(&["host-routes", "remove", "vmbr1", "198.51.100.10"])?;
        assert_eq!(again.status.code(), Some(1));
        siskin.stop()?;
        siskin.start_again()?;
        vm.speak()?;
        stays("silence after a restart", Duration::from_secs(2), || Ok(!announced(&siskin)?))
    })
}

/// The doctor on a host fresh from `ip link add`: each thing it finds is set by `--fix`, and found again when it is broken.
#[test]
fn the_doctor_finds_and_sets() -> Result {
    lab("doctor", |lab| {
        let hv = lab.ns("hv")?;
        hypervisor_bridge(&hv)?;
        let vm = Vm::new(lab, "web01", 10)?;
        vm.plug(&hv)?;
        let toml = format!(
            "[router]\nasn = 65101\nrouter-id = \"10.0.1.2\"\n{}filter = true\nbridge-mac = \"02:00:a9:fe:00:01\"\n",
            hypervisor_tables()
        );
        let file = hv.file("doctor.toml", &toml)?;
        let doctor = |fix: bool| -> Result<(Option<i32>, Value)> {
            let mut command = hv.command(siskin_interop::install::our_binary("siskin")?);
            command.args(["host-routes", "doctor", "--json", "--config"]).arg(&file);
            if fix {
                command.arg("--fix");
            }
            let output = process::output(&mut command)?;
            Ok((output.status.code(), serde_json::from_slice(&output.stdout)?))
        };
        let names = |found: &Value| -> Vec<String> {
            let all = found.as_array().cloned().unwrap_or_default();
            all.iter().filter_map(|f| f["what"].as_str().map(str::to_owned)).collect()
        };
        let (code, found) = doctor(false)?;
        assert_eq!(code, Some(1), "{found}");
        assert!(names(&found).len() >= 10, "{found}");
        let (code, found) = doctor(true)?;
        assert_eq!(code, Some(0), "{found:#}");
        assert!(found.as_array().into_iter().flatten().all(|f| f["fixed"] == true), "{found:#}");
        let (code, found) = doctor(false)?;
        assert_eq!((code, names(&found)), (Some(0), Vec::new()), "{found:#}");
        let breaks = [
            ("ip link set dev vmbr1 address 02:00:00:00:00:99", "the MAC address"),
            ("ip addr del 169.254.0.1/32 dev vmbr1", "the gateway's address 169.254.0.1"),
            ("ip -6 addr del fe80::1/64 dev vmbr1", "the gateway's address fe80::1"),
            ("ip link set dev vmbr1 addrgenmode eui64", "addrgenmode"),
            ("ip link set dev vmbr1 type bridge mcast_snooping 1", "mcast_snooping"),
            ("ip link set dev vmbr1 type bridge stp_state 1", "stp_state"),
            ("ip link set dev vmbr1 type bridge forward_delay 1500", "forward_delay"),
            ("ip link set dev vmbr1 type bridge no_linklocal_learn 0", "no_linklocal_learn"),
            ("bridge link set dev tap10i0 isolated off", "port tap10i0"),
            ("ip route del unreachable 198.51.100.0/24", "an unreachable route for 198.51.100.0/24"),
            ("sysctl -w net.ipv4.conf.vmbr1.rp_filter=0", "ipv4/conf/vmbr1/rp_filter"),
            ("sysctl -w net.ipv4.conf.all.rp_filter=2", "ipv4/conf/vmbr1/rp_filter"),
            ("sysctl -w net.ipv4.conf.vmbr1.forwarding=0", "ipv4/conf/vmbr1/forwarding"),
            ("sysctl -w net.ipv6.conf.all.forwarding=0", "ipv6/conf/all/forwarding"),
            ("sysctl -w net.ipv4.conf.vmbr1.proxy_arp=1", "ipv4/conf/vmbr1/proxy_arp"),
            ("sysctl -w net.ipv4.conf.vmbr1.arp_accept=1", "ipv4/conf/vmbr1/arp_accept"),
            ("sysctl -w net.ipv4.conf.all.send_redirects=1", "ipv4/conf/all/send_redirects"),
            ("sysctl -w net.ipv6.conf.vmbr1.accept_ra=2", "ipv6/conf/vmbr1/accept_ra"),
            ("sysctl -w net.ipv6.conf.vmbr1.accept_untracked_na=1", "ipv6/conf/vmbr1/accept_untracked_na"),
            ("sysctl -w net.ipv6.conf.vmbr1.keep_addr_on_down=0", "ipv6/conf/vmbr1/keep_addr_on_down"),
            ("sysctl -w net.ipv6.conf.tap10i0.disable_ipv6=0", "ipv6/conf/tap10i0/disable_ipv6"),
        ];
        for (harm, what) in breaks {
            let (program, words) = harm.split_once(' ').unwrap_or((harm, ""));
            process::run(hv.command(program).args(words.split(' ')))?;
            let (code, found) = doctor(false)?;
            assert!(code == Some(1) && names(&found).contains(&what.to_owned()), "{harm}: {found:#}");
            let (code, found) = doctor(true)?;
            assert_eq!(code, Some(0), "{harm}: {found:#}");
            assert_eq!(doctor(false)?.0, Some(0), "{harm}");
        }
        println!("{} ways to break a host found and mended", breaks.len());
        Ok(())
    })
}
