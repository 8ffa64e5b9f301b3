//! A real guest boots behind the bridge with the netplan of the hypervisor guide: announced in both families, and it
//! reaches what lies beyond the upstream. The first run makes the guest's image, which takes minutes.

use siskin_interop::guest::{BOOT, Guest};
use siskin_interop::kernel::siskin_route;
use siskin_interop::lab::lab;
use siskin_interop::plain::{OPEN, PEER, PEER_AS, at_peer, first_link, ip, peer};
use siskin_interop::router::{Announcement, Config, Kind, Neighbor};
use siskin_interop::siskin::Siskin;
use siskin_interop::vm::{hypervisor_bridge, hypervisor_tables};
use siskin_interop::wait::{SOON, wait_for};
use siskin_interop::{Error, Result};

const GUIDE: &str = include_str!("../../../docs/guides/hypervisor.md");
const ADDRESSES: [&str; 2] = ["198.51.100.30", "2001:db8:100::30"];
const BEYOND: [&str; 2] = ["10.100.0.1", "2001:db8:f::1"];

/// The netplan file that the guide gives a VM.
fn netplan() -> Result<&'static str> {
    let block = GUIDE.split("```").find(|block| block.contains("network:\n  version: 2"));
    let text = block.and_then(|block| block.split_once('\n')).map(|(_language, text)| text);
    text.ok_or_else(|| Error::new("the guide has no netplan"))
}

#[test]
fn a_guest_with_the_guides_netplan_is_announced_and_reaches_the_world() -> Result {
    lab("guest", |lab| {
        let (upstream_ns, hypervisor) = (lab.ns("upstream")?, lab.ns("hypervisor")?);
        first_link(lab, &upstream_ns, &hypervisor)?;
        upstream_ns.addr("lo", "10.100.0.1/32")?;
        upstream_ns.addr("lo", "2001:db8:f::1/128")?;
        hypervisor_bridge(&hypervisor)?;
        let toml = format!(
            "asn = 65002\nrouter-id = \"10.0.0.2\"\n{}{}",
            hypervisor_tables(),
            peer("upstream", PEER, PEER_AS, OPEN)
        );
        let siskin = Siskin::start(&hypervisor, &toml)?;
        let neighbor = Neighbor::new(ip("10.0.0.2"), 65_002).next_hop(ip("2001:db8::1"));
        let routes = vec![Announcement::plain("10.100.0.0/16")?, Announcement::plain("2001:db8:f::/48")?];
        let config = Config::new(PEER_AS, [10, 0, 0, 1], vec![neighbor], routes).with_kernel();
        let upstream = Kind::Bird.start(&upstream_ns, &config)?;
        siskin.wait_established("upstream")?;

        hypervisor.ip("tuntap add tap101i0 mode tap")?;
        hypervisor.ip("link set tap101i0 master vmbr1 up")?;
        let mac = "52:02:45:76:d2:35";
        let mut guest = Guest::boot(lab, &hypervisor, "tap101i0", mac, netplan()?, &BEYOND)?;
        for target in BEYOND {
            wait_for(&format!("the guest to reach {target}"), BOOT, || guest.has_reached(target))
                .inspect_err(|_| println!("--- console\n{}", guest.console()))?;
        }
        for (address, len) in ADDRESSES.into_iter().zip([32, 128]) {
            let prefix = format!("{address}/{len}");
            at_peer(upstream.as_ref(), &prefix)?;
            let route = siskin_route(&hypervisor, &prefix)?.ok_or_else(|| Error::new("no kernel route"))?;
            assert!(route.hops.iter().all(|hop| hop.ends_with("%vmbr1")), "{route:?}");
            wait_for("an answer from the guest", SOON, || upstream_ns.pings(address, 3))?;
        }
        let text = siskin.cli_text(&["host-routes"])?;
        assert!(text.contains("tap101i0") && text.contains(mac), "{text}");
        Ok(())
    })
}
