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
