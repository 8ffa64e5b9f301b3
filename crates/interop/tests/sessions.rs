//! Sessions with FRR and BIRD: who connects, what ends them, and what Siskin says about it.

use std::time::{Duration, Instant};

use siskin_interop::Result;
use siskin_interop::lab::lab;
use siskin_interop::plain::{
    OPEN, OUR_AS, PEER, PEER_AS, ROUTER, US, at_peer, best, gone, ip, open_to_peer, pair, peer, peer_config,
};
use siskin_interop::router::{Announcement, Config, Kind, Neighbor};
use siskin_interop::siskin::Siskin;
use siskin_interop::wait::{SOON, stays, wait_for};
use siskin_net::Family;

const V4: &str = "10.1.0.0/24";
const V6: &str = "2001:db8:f::/48";

fn routes() -> Result<Vec<Announcement>> {
    Ok(vec![Announcement::plain(V4)?, Announcement::plain(V6)?])
}

fn comes_up(kind: Kind, peer_passive: bool, we_passive: bool) -> Result {
    lab("connect", |lab| {
        let (peer_ns, us) = pair(lab)?;
        let mut config = peer_config(routes()?);
        config.neighbors[0].passive = peer_passive;
        let keys = format!("{OPEN}\npassive = {we_passive}");
        let siskin = Siskin::start(&us, &format!("{ROUTER}{}", peer("first", PEER, PEER_AS, &keys)))?;
        let router = kind.start(&peer_ns, &config)?;
        siskin.wait_established("first")?;
        wait_for("the peer to agree", SOON, || router.established(ip(US)))?;
        best(&siskin, V4)?;
        best(&siskin, V6)?;
        stays("the session", Duration::from_secs(2), || siskin.established("first"))
    })
}

#[test]
fn we_connect_to_frr() -> Result {
    comes_up(Kind::Frr, true, false)
}

#[test]
fn we_connect_to_bird() -> Result {
    comes_up(Kind::Bird, true, false)
}

#[test]
fn frr_connects_to_us() -> Result {
    comes_up(Kind::Frr, false, true)
}

#[test]
fn bird_connects_to_us() -> Result {
    comes_up(Kind::Bird, false, true)
}

#[test]
fn both_connect_with_frr() -> Result {
    comes_up(Kind::Frr, false, false)
}

#[test]
fn both_connect_with_bird() -> Result {
    comes_up(Kind::Bird, false, false)
}

/// A peer that dies takes its routes with it, and brings them back.
fn restarts(kind: Kind) -> Result {
    lab("restart", |lab| {
        let (peer_ns, us) = pair(lab)?;
        let siskin = Siskin::start(&us, &open_to_peer())?;
        let router = kind.start(&peer_ns, &peer_config(routes()?))?;
        best(&siskin, V6)?;
        drop(router);
        wait_for("the session to end", SOON, || Ok(!siskin.established("first")?))?;
        gone(&siskin, V4)?;
        gone(&siskin, V6)?;
        let router = kind.start(&peer_ns, &peer_config(routes()?))?;
        best(&siskin, V4)?;
        best(&siskin, V6)?;
        router.reset(ip(US))?;
        wait_for("the second session", SOON, || {
            Ok(siskin.api("/v1/peers/first")?["established_count"].as_u64() >= Some(3))
        })?;
        best(&siskin, V4).map(drop)
    })
}

#[test]
fn frr_restarts() -> Result {
    restarts(Kind::Frr)
}

#[test]
fn bird_restarts() -> Result {
    restarts(Kind::Bird)
}

/// A peer that freezes is given up when the hold time is over, not sooner and not much later.
fn hold_time_expires(kind: Kind) -> Result {
    lab("hold", |lab| {
        let (peer_ns, us) = pair(lab)?;
        let siskin = Siskin::start(&us, &open_to_peer())?;
        let mut config = peer_config(routes()?);
        config.neighbors[0].hold = 6;
        let mut router = kind.start(&peer_ns, &config)?;
        best(&siskin, V4)?;
        assert_eq!(siskin.api("/v1/peers/first")?["timers"]["hold_time_s"], 6);
        stays("the session at rest", Duration::from_secs(7), || siskin.established("first"))?;
        router.daemon().freeze()?;
        let start = Instant::now();
        wait_for("the hold timer", Duration::from_secs(20), || Ok(!siskin.established("first")?))?;
        let took = start.elapsed();
        assert!(took > Duration::from_secs(3), "given up after {took:?}");
        assert!(took < Duration::from_secs(12), "given up only after {took:?}");
        let error = siskin.peer("first")?["last_error"].clone();
        assert_eq!((&error["code"], &error["direction"]), (&4.into(), &"sent".into()), "{error}");
        gone(&siskin, V4)?;
        router.daemon().thaw()?;
        best(&siskin, V4).map(drop)
    })
}

#[test]
fn hold_time_of_frr_expires() -> Result {
    hold_time_expires(Kind::Frr)
}

#[test]
fn hold_time_of_bird_expires() -> Result {
    hold_time_expires(Kind::Bird)
}

/// Another AS number than ours: Bad Peer AS, and the operator can read it.
fn wrong_as(kind: Kind) -> Result {
    lab("wrong-as", |lab| {
        let (peer_ns, us) = pair(lab)?;
        let siskin = Siskin::start(&us, &format!("{ROUTER}{}", peer("first", PEER, 65_009, OPEN)))?;
        let mut config = peer_config(routes()?);
        config.neighbors[0].passive = true;
        let _router = kind.start(&peer_ns, &config)?;
        wait_for("a NOTIFICATION 2/2", SOON, || {
            let error = &siskin.peer("first")?["last_error"];
            Ok(error["code"] == 2 && error["subcode"] == 2 && error["direction"] == "sent")
        })?;
        assert!(!siskin.established("first")?);
        let text = siskin.cli_text(&["peers", "first"])?;
        assert!(text.contains("Bad Peer AS"), "{text}");
        assert!(text.contains("65001") && text.contains("65009"), "both numbers help: {text}");
        let json = siskin.cli_json(&["peers", "first"])?;
        assert_eq!(json["last_error"]["subcode"], 2, "{json}");
        Ok(())
    })
}

#[test]
fn wrong_as_of_frr() -> Result {
    wrong_as(Kind::Frr)
}

#[test]
fn wrong_as_of_bird() -> Result {
    wrong_as(Kind::Bird)
}

/// The same the other way: the peer refuses us, and we say what it said.
#[test]
fn a_refusal_that_we_receive_is_shown() -> Result {
    lab("refused", |lab| {
        let (peer_ns, us) = pair(lab)?;
        let siskin = Siskin::start(&us, &open_to_peer())?;
        let neighbor = Neighbor::new(ip(US), 65_009).passive();
        let config = Config::new(PEER_AS, [10, 0, 0, 1], vec![neighbor], Vec::new());
        let _router = Kind::Bird.start(&peer_ns, &config)?;
        wait_for("BIRD's NOTIFICATION 2/2", SOON, || {
            let error = &siskin.peer("first")?["last_error"];
            Ok(error["code"] == 2 && error["subcode"] == 2 && error["direction"] == "received")
        })
    })
}

/// A session over IPv6 with IPv6 routes alone, and one over IPv6 that carries both families.
fn over_ipv6(kind: Kind, both: bool) -> Result {
    lab("ipv6", |lab| {
        let (peer_ns, us) = pair(lab)?;
        let families = if both { "" } else { "\nfamilies = [\"ipv6-unicast\"]" };
        let tables = "\n[[originate]]\nprefix = \"2001:db8:e::/48\"\nkernel = \"none\"\n\
                      \n[[originate]]\nprefix = \"203.0.113.0/24\"\nkernel = \"none\"\n";
        let peer = peer("first", "2001:db8::1", PEER_AS, &format!("{OPEN}{families}"));
        let siskin = Siskin::start(&us, &format!("{ROUTER}{tables}{peer}"))?;
        let neighbor = Neighbor::new(ip("2001:db8::2"), OUR_AS).next_hop(ip(PEER));
        let neighbor = if both { neighbor } else { neighbor.only(Family::Ipv6) };
        let config = Config::new(PEER_AS, [10, 0, 0, 1], vec![neighbor], routes()?);
        let router = kind.start(&peer_ns, &config)?;
        let got = best(&siskin, V6)?;
        assert_eq!(got.next_hop, Some(ip("2001:db8::1")));
        let theirs = at_peer(router.as_ref(), "2001:db8:e::/48")?;
        assert_eq!(theirs.next_hop, Some(ip("2001:db8::2")), "{theirs:?}");
        assert_eq!(theirs.as_path, "65002");
        if both {
            assert_eq!(best(&siskin, V4)?.next_hop, Some(ip(PEER)));
            assert_eq!(at_peer(router.as_ref(), "203.0.113.0/24")?.next_hop, Some(ip(US)));
        } else {
            assert!(siskin.paths(V4)?.is_empty());
            let families = siskin.peer("first")?["families"].clone();
            let negotiated: Vec<_> =
                families.as_array().into_iter().flatten().filter(|f| f["negotiated"] == true).collect();
            assert_eq!(negotiated.len(), 1, "{families}");
        }
        Ok(())
    })
}

#[test]
fn frr_with_ipv6_alone() -> Result {
    over_ipv6(Kind::Frr, false)
}

#[test]
fn bird_with_ipv6_alone() -> Result {
    over_ipv6(Kind::Bird, false)
}

#[test]
fn frr_with_both_families_over_ipv6() -> Result {
    over_ipv6(Kind::Frr, true)
}

#[test]
fn bird_with_both_families_over_ipv6() -> Result {
    over_ipv6(Kind::Bird, true)
}

/// `siskin peer NAME down|up|restart` on a live session.
#[test]
fn the_operator_takes_a_session_down_and_up() -> Result {
    lab("up-down", |lab| {
        let (peer_ns, us) = pair(lab)?;
        let siskin = Siskin::start(&us, &open_to_peer())?;
        let _router = Kind::Frr.start(&peer_ns, &peer_config(routes()?))?;
        best(&siskin, V4)?;
        siskin.cli_text(&["peer", "first", "down"])?;
        wait_for("the session to go down", SOON, || Ok(siskin.peer("first")?["state"] == "down"))?;
        gone(&siskin, V4)?;
        stays("it stays down", Duration::from_secs(4), || Ok(!siskin.established("first")?))?;
        siskin.cli_text(&["peer", "first", "up"])?;
        best(&siskin, V4)?;
        siskin.cli_text(&["peer", "first", "restart"])?;
        wait_for("the third session", SOON, || {
            Ok(siskin.api("/v1/peers/first")?["established_count"].as_u64() >= Some(3))
        })?;
        assert_eq!(siskin.cli(&["peer", "nobody", "down"])?.status.code(), Some(1));
        Ok(())
    })
}
