//! IPv4 routes by way of IPv6 (RFC 8950) in both directions, with packets that take them, over links without any IPv4
//! address; and links of different bandwidth.

use siskin_interop::Result;
use siskin_interop::bird::{self, Bird};
use siskin_interop::frr::Frr;
use siskin_interop::kernel::siskin_route;
use siskin_interop::lab::{Lab, Ns, lab};
use siskin_interop::plain::{
    OPEN, OUR_AS, PEER_AS, ROUTER, at_peer, best, chain, ip, open_to_both, peer, peer_config, second_config,
};
use siskin_interop::router::{Announcement, Config, Kind, Neighbor, Router};
use siskin_interop::siskin::Siskin;
use siskin_interop::wait::{SOON, wait_for, wait_some};

const V4: &str = "10.100.0.0/16";
const V6: &str = "2001:db8:f::/48";
const OURS: &str = "203.0.113.0/24";

/// Hosts on both sides that have IPv4 addresses, on loopback alone.
const THEIR_HOST: &str = "10.100.0.1";
const OUR_HOST: &str = "203.0.113.1";

const ORIGINATED: &str = "\n[[originate]]\nprefix = \"203.0.113.0/24\"\nkernel = \"none\"\n";

fn announced() -> Result<Vec<Announcement>> {
    Ok(vec![Announcement::plain(V4)?, Announcement::plain(V6)?])
}

/// Two namespaces whose link has IPv6 addresses alone, and hosts with IPv4 addresses behind both.
fn ipv6_link(lab: &Lab) -> Result<(Ns, Ns)> {
    let (peer_ns, us) = (lab.ns("peer")?, lab.ns("us")?);
    lab.link((&peer_ns, "eth0", &["2001:db8::1/64"]), (&us, "up0", &["2001:db8::2/64"]))?;
    peer_ns.addr("lo", &format!("{THEIR_HOST}/32"))?;
    us.addr("lo", &format!("{OUR_HOST}/32"))?;
    Ok((peer_ns, us))
}

/// Both have the other's route, in the kernel by an IPv6 gateway, and packets take them.
fn goes_both_ways(peer_ns: &Ns, us: &Ns, siskin: &Siskin, router: &dyn Router) -> Result {
    best(siskin, V4)?;
    let route = wait_some("an IPv4 route by an IPv6 gateway", SOON, || siskin_route(us, V4))?;
    assert!(route.hops.iter().all(|hop| hop.contains(':') && hop.ends_with("%up0")), "{route:?}");
    let theirs = at_peer(router, OURS)?;
    assert!(theirs.next_hop.is_none_or(|hop| hop.is_ipv6()), "{theirs:?}");
    wait_for("the same at the peer", SOON, || {
        Ok(peer_ns.ip(&format!("-4 route show {OURS}"))?.contains("via inet6"))
    })?;
    wait_for("an answer from the peer's host", SOON, || us.pings(THEIR_HOST, 3))?;
    wait_for("an answer from our host", SOON, || peer_ns.pings(OUR_HOST, 3))?;
    let negotiated = siskin.api("/v1/peers/first")?["capabilities"]["negotiated"].clone();
    assert!(negotiated.to_string().contains("extended next hop (ipv4-unicast)"), "{negotiated}");
    Ok(())
}

fn by_ipv6(kind: Kind) -> Result {
    lab("rfc8950", |lab| {
        let (peer_ns, us) = ipv6_link(lab)?;
        let keys =
            format!("{OPEN}\nfamilies = {{ ipv4-unicast = {{ next-hop = \"ipv6\" }}, ipv6-unicast = {{}} }}");
        let toml = format!("{ROUTER}{ORIGINATED}{}", peer("first", "2001:db8::1", PEER_AS, &keys));
        let siskin = Siskin::start(&us, &toml)?;
        let mut neighbor = Neighbor::new(ip("2001:db8::2"), OUR_AS);
        neighbor.extended_next_hop = true;
        let config = Config::new(PEER_AS, [10, 0, 0, 1], vec![neighbor], announced()?).with_kernel();
        let mut router = kind.start(&peer_ns, &config)?;
        goes_both_ways(&peer_ns, &us, &siskin, router.as_ref())?;
        // And it goes as it came.
        router.announce(&[])?;
        wait_for("the end of the route", SOON, || Ok(siskin_route(&us, V4)?.is_none()))
    })
}

#[test]
fn ipv4_by_ipv6_with_frr() -> Result {
    by_ipv6(Kind::Frr)
}

#[test]
fn ipv4_by_ipv6_with_bird() -> Result {
    by_ipv6(Kind::Bird)
}

/// Without the capability on one side no IPv4 route passes, and none is sent.
#[test]
fn without_the_capability_ipv4_stays_at_home() -> Result {
    lab("rfc8950-off", |lab| {
        let (peer_ns, us) = ipv6_link(lab)?;
        let toml = format!("{ROUTER}{ORIGINATED}{}", peer("first", "2001:db8::1", PEER_AS, OPEN));
        let siskin = Siskin::start(&us, &toml)?;
        let mut neighbor = Neighbor::new(ip("2001:db8::2"), OUR_AS);
        neighbor.extended_next_hop = true;
        let config = Config::new(PEER_AS, [10, 0, 0, 1], vec![neighbor], announced()?).with_kernel();
        let router = Kind::Bird.start(&peer_ns, &config)?;
        best(&siskin, V6)?;
        assert_eq!(siskin.best(V4)?, None);
        assert_eq!(router.route(OURS.parse()?)?, None);
        Ok(())
    })
}

/// A session between link-local addresses: the capability is implied, the next hop a link-local address alone.
fn over_link_local(kind: Kind) -> Result {
    lab("rfc8950-ll", |lab| {
        let (peer_ns, us) = (lab.ns("peer")?, lab.ns("us")?);
        lab.veth((&peer_ns, "eth0"), (&us, "up0"))?;
        for (ns, interface, address) in [(&peer_ns, "eth0", "fe80::1/64"), (&us, "up0", "fe80::2/64")] {
            ns.ip(&format!("-6 address flush dev {interface} scope link"))?;
            ns.addr(interface, address)?;
        }
        peer_ns.addr("lo", &format!("{THEIR_HOST}/32"))?;
        us.addr("lo", &format!("{OUR_HOST}/32"))?;
        let keys = format!("{OPEN}\ninterface = \"up0\"");
        let toml = format!("{ROUTER}{ORIGINATED}{}", peer("first", "fe80::1", PEER_AS, &keys));
        let siskin = Siskin::start(&us, &toml)?;
        let mut neighbor = Neighbor::new(ip("fe80::2"), OUR_AS);
        neighbor.extended_next_hop = true;
        let config = Config::new(PEER_AS, [10, 0, 0, 1], vec![neighbor], announced()?).with_kernel();
        let router: Box<dyn Router> = match kind {
            Kind::Bird => {
                let text = bird::text(&config).replace("neighbor fe80::2 as", "neighbor fe80::2%eth0 as");
                Box::new(Bird::start_raw(&peer_ns, &config, &text)?)
            }
            Kind::Frr => {
                let extra = format!("router bgp {PEER_AS}\n neighbor fe80::2 interface eth0\nexit\n");
                Box::new(Frr::start_with(&peer_ns, &config, &extra)?)
            }
        };
        goes_both_ways(&peer_ns, &us, &siskin, router.as_ref())?;
        let route = siskin_route(&us, V4)?;
        assert_eq!(route.map(|route| route.hops), Some(vec!["fe80::1%up0".to_owned()]));
        Ok(())
    })
}

#[test]
fn ipv4_over_a_link_local_session_with_bird() -> Result {
    over_link_local(Kind::Bird)
}

#[test]
fn ipv4_over_a_link_local_session_with_frr() -> Result {
    over_link_local(Kind::Frr)
}

/// BIRD with a route whose link has this bandwidth (octets a second, as the bits of a float; the transitive form).
fn with_bandwidth(ns: &Ns, config: &Config, bits: u32) -> Result<Bird> {
    let origin = "bgp_origin = ORIGIN_IGP;";
    let community = format!("{origin} bgp_ext_community.add((generic, 0x0004fde9, {bits:#x}));");
    Bird::start_raw(ns, config, &bird::text(config).replace(origin, &community))
}

/// The load is shared in proportion to what the links carry, as long as all are known.
#[test]
fn link_bandwidth_sets_the_weights() -> Result {
    lab("bandwidth", |lab| {
        let (first_ns, us, second_ns) = chain(lab)?;
        let routes = vec![Announcement::plain(V4)?];
        let first = with_bandwidth(&first_ns, &peer_config(routes.clone()), 100e6_f32.to_bits())?;
        let second_config = second_config(65_003, routes);
        let second = with_bandwidth(&second_ns, &second_config, 300e6_f32.to_bits())?;
        let siskin = Siskin::start(&us, &open_to_both(65_003))?;
        let weights = || -> Result<Vec<u64>> {
            let text = us.ip(&format!("-j route show exact {V4} proto 201"))?;
            let list: serde_json::Value =
                serde_json::from_str(if text.trim().is_empty() { "[]" } else { &text })?;
            let hops = list[0]["nexthops"].as_array().cloned().unwrap_or_default();
            let mut weights: Vec<u64> = hops.iter().filter_map(|hop| hop["weight"].as_u64()).collect();
            weights.sort_unstable();
            Ok(weights)
        };
        wait_for("weights of 1 and 3", SOON, || Ok(weights()? == [1, 3]))?;
        let path = siskin.path_from(V4, "second")?.unwrap_or_default();
        assert!(path["attributes"]["ext_communities"].to_string().contains("0004fde9"), "{path}");
        // Another bandwidth is another weight; one that is not known makes all equal.
        second.configure(&bird::text(&second_config).replace(
            "bgp_origin = ORIGIN_IGP;",
            &format!(
                "bgp_origin = ORIGIN_IGP; bgp_ext_community.add((generic, 0x0004fde9, {:#x}));",
                50e6_f32.to_bits()
            ),
        ))?;
        wait_for("weights of 2 and 1", SOON, || Ok(weights()? == [1, 2]))?;
        second.configure(&bird::text(&second_config))?;
        wait_for("equal weights", SOON, || Ok(weights()? == [1, 1]))?;
        drop(first);
        Ok(())
    })
}

/// A loopback behind two upstreams, and what it announces by a session with it: the far router's side.
const FAR: &str = "203.0.113.9";
const OUR_LOOPBACK: &str = "10.255.0.2";

/// Two upstreams in the middle that forward, and a router behind both whose loopback they announce.
fn far_router(lab: &Lab, kind: Kind) -> Result<(Ns, Ns, Ns, Ns)> {
    let (first, us, second) = chain(lab)?;
    let far = lab.ns("far")?;
    lab.link((&first, "eth1", &["10.1.0.1/24"]), (&far, "left", &["10.1.0.9/24"]))?;
    lab.link((&second, "eth1", &["10.1.1.1/24"]), (&far, "right", &["10.1.1.9/24"]))?;
    us.addr("lo", &format!("{OUR_LOOPBACK}/32"))?;
    far.addr("lo", &format!("{FAR}/32"))?;
    far.addr("lo", &format!("{THEIR_HOST}/32"))?;
    for (ns, to_us, to_far) in [(&first, "10.0.0.2", "10.1.0.9"), (&second, "10.0.1.2", "10.1.1.9")] {
        ns.ip(&format!("route add {OUR_LOOPBACK}/32 via {to_us}"))?;
        ns.ip(&format!("route add {FAR}/32 via {to_far}"))?;
        ns.ip(&format!("route add {V4} via {to_far}"))?;
    }
    for (ours, through) in [("10.0.0.0/24", "10.1.0.1"), ("10.0.1.0/24", "10.1.1.1")] {
        far.ip(&format!("route add {ours} via {through}"))?;
    }
    far.ip(&format!("route add {OUR_LOOPBACK}/32 src {FAR} nexthop via 10.1.0.1 nexthop via 10.1.1.1"))?;
    for ns in [&us, &far] {
        let quiet = "net.ipv4.conf.all.rp_filter=0";
        ns.command("sysctl").args(["-q", "-w", quiet]).status()?;
    }
    println!("the far router is {kind:?}");
    Ok((first, us, second, far))
}

/// An internal session with a loopback that only BGP leads to; its routes go where the loopback's route goes, follow it at
/// once and together, and end with it.
fn behind_a_loopback(kind: Kind) -> Result {
    lab("recursive", |lab| {
        let (first_ns, us, second_ns, far_ns) = far_router(lab, kind)?;
        let loopback = |prepend: u8| -> Result<Vec<Announcement>> {
            Ok(vec![Announcement { prepend, ..Announcement::plain(&format!("{FAR}/32"))? }])
        };
        let mut first = Kind::Frr.start(&first_ns, &peer_config(loopback(0)?))?;
        let mut second = Kind::Bird.start(&second_ns, &second_config(65_003, loopback(2)?))?;
        let keys = format!("source = \"{OUR_LOOPBACK}\"\nfamilies = [\"ipv4-unicast\"]\n{OPEN}");
        let session = peer("far", FAR, OUR_AS, &keys);
        let siskin = Siskin::start(&us, &format!("{}{session}", open_to_both(65_003)))?;
        let neighbor = Neighbor::new(ip(OUR_LOOPBACK), OUR_AS).only(siskin_net::Family::Ipv4);
        let mut routes = vec![Announcement::plain(V4)?];
        for n in 0..200 {
            routes.push(Announcement::plain(&format!("10.99.{n}.0/24"))?);
        }
        let _far = kind.start(&far_ns, &Config::new(OUR_AS, [203, 0, 113, 9], vec![neighbor], routes))?;
        siskin.wait_established("far")?;
        let by = |dst: &str, hop: &str| -> Result<Option<siskin_interop::kernel::KernelRoute>> {
            Ok(siskin_route(&us, dst)?.filter(|route| route.hops == [hop.to_owned()]))
        };
        wait_some("the loopback", SOON, || by(&format!("{FAR}/32"), "10.0.0.1%up0"))?;
        let before = wait_some("a route by the loopback", SOON, || by(V4, "10.0.0.1%up0"))?;
        wait_for("the last of them", SOON, || Ok(by("10.99.199.0/24", "10.0.0.1%up0")?.is_some()))?;
        wait_for("an answer", SOON, || us.pings(THEIR_HOST, 3))?;
        let shown = siskin.cli_text(&["nexthops"])?;
        assert!(shown.contains(&format!("(route {FAR}/32)")), "{shown}");
        // The resolving route goes another way: the routes stay as they are, and what they share follows it.
        first.announce(&[])?;
        let after = wait_some("the other way", SOON, || by(V4, "10.0.1.1%up1"))?;
        assert!(before.nhid.is_some() && before.nhid == after.nhid, "{before:?} {after:?}");
        wait_for("the last of them", SOON, || Ok(by("10.99.199.0/24", "10.0.1.1%up1")?.is_some()))?;
        wait_for("an answer that way", SOON, || us.pings(THEIR_HOST, 3))?;
        first.announce(&loopback(0)?)?;
        wait_for("the first way again", SOON, || Ok(by(V4, "10.0.0.1%up0")?.is_some()))?;
        let explained = siskin.cli_text(&["explain", V4])?;
        assert!(explained.contains("10.0.0.1"), "{explained}");
        first.announce(&[])?;
        second.announce(&[])?;
        wait_for("no way at all", SOON, || Ok(siskin_route(&us, V4)?.is_none()))?;
        let path = siskin.path_from(V4, "far")?;
        assert!(path.is_none_or(|path| path["next_hop_reachable"] == false));
        Ok(())
    })
}

#[test]
fn next_hops_behind_a_loopback_with_frr() -> Result {
    behind_a_loopback(Kind::Frr)
}

#[test]
fn next_hops_behind_a_loopback_with_bird() -> Result {
    behind_a_loopback(Kind::Bird)
}
