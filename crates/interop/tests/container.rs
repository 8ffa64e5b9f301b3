//! Siskin with FRR in a container, as most labs run it. The first run makes the container's file system, which
//! takes a minute or two; later runs find it.

use siskin_interop::Result;
use siskin_interop::container::Docker;
use siskin_interop::kernel::siskin_route;
use siskin_interop::lab::lab;
use siskin_interop::plain::{US, best, first_link, gone_at_peer, ip, open_to_peer, peer_config};
use siskin_interop::router::{Announcement, Router};
use siskin_interop::siskin::Siskin;
use siskin_interop::wait::{SOON, wait_for, wait_some};

#[test]
fn frr_in_a_container_exchanges_routes() -> Result {
    lab("container", |lab| {
        let us = lab.ns("us")?;
        let docker = Docker::start(lab)?;
        let routes = vec![Announcement::rich("10.1.0.0/24")?, Announcement::rich("2001:db8:f::/48")?];
        let inside = docker.frr(lab, "box", &peer_config(routes), |inside| first_link(lab, inside, &us))?;
        let own = "\n[[originate]]\nprefix = \"203.0.113.0/24\"\nkernel = \"none\"\n";
        let mut siskin = Siskin::start(&us, &format!("{}{own}", open_to_peer()))?;
        for prefix in ["10.1.0.0/24", "2001:db8:f::/48"] {
            assert_eq!(best(&siskin, prefix)?.as_path, "65001 64999 64999");
            wait_some("the kernel's route", SOON, || siskin_route(&us, prefix))?;
        }
        let got =
            wait_some("our prefix in the container", SOON, || inside.frr.route("203.0.113.0/24".parse()?))?;
        assert_eq!((got.as_path.as_str(), got.next_hop), ("65002", Some(ip(US))));
        wait_for("FRR's view of the session", SOON, || inside.frr.established(ip(US)))?;
        // A stop alone would be a graceful restart, over which FRR keeps our routes.
        siskin.cli_text(&["peer", "first", "down"])?;
        gone_at_peer(&inside.frr, "203.0.113.0/24")?;
        siskin.stop()?;
        docker.remove(inside)
    })
}
