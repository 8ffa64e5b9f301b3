//! The harness itself: FRR against BIRD, the player through BIRD to the sink, and FRR in a container. What
//! fails here is not Siskin's fault.

use std::time::Duration;

use siskin_interop::container::Docker;
use siskin_interop::lab::{Lab, Ns, lab};
use siskin_interop::plain::ip;
use siskin_interop::router::{Announcement, Config, Kind, Neighbor, Router};
use siskin_interop::tool::Tool;
use siskin_interop::wait::{SOON, wait_for, wait_some};
use siskin_interop::{Result, table};
use siskin_net::Family;

const LEFT: &str = "10.0.0.1";
const RIGHT: &str = "10.0.0.2";

/// Two machines on one link.
fn two(lab: &Lab) -> Result<(Ns, Ns)> {
    let (left, right) = (lab.ns("left")?, lab.ns("right")?);
    lab.link(
        (&left, "eth0", &["10.0.0.1/24", "2001:db8::1/64"]),
        (&right, "eth0", &["10.0.0.2/24", "2001:db8::2/64"]),
    )?;
    Ok((left, right))
}

fn exchange(kind: [Kind; 2]) -> Result {
    lab(&format!("{}-{}", kind[0], kind[1]), |lab| {
        let (left_ns, right_ns) = two(lab)?;
        let routes = vec![Announcement::rich("10.1.0.0/24")?, Announcement::rich("2001:db8:1::/48")?];
        let six = |text| Neighbor::next_hop(Neighbor::new(ip(RIGHT), 65_002), ip(text));
        let left = Config::new(65_001, [10, 0, 0, 1], vec![six("2001:db8::1")], routes);
        let neighbor = Neighbor::new(ip(LEFT), 65_001).next_hop(ip("2001:db8::2"));
        let right = Config::new(65_002, [10, 0, 0, 2], vec![neighbor], vec![]);
        let mut left = kind[0].start(&left_ns, &left)?;
        let right = kind[1].start(&right_ns, &right)?;
        wait_for("the session", SOON, || right.established(ip(LEFT)))?;
        for (prefix, hop) in [("10.1.0.0/24", LEFT), ("2001:db8:1::/48", "2001:db8::1")] {
            let prefix = prefix.parse()?;
            let got = wait_some("the route", SOON, || right.route(prefix))?;
            assert_eq!(got.origin, "incomplete", "{got:?}");
            assert_eq!(got.as_path, "65001 64999 64999", "{got:?}");
            assert_eq!(got.next_hop, Some(ip(hop)), "{got:?}");
            assert_eq!(got.med, Some(4_000_000_001), "{got:?}");
            assert_eq!(got.communities.into_iter().collect::<Vec<_>>(), ["64900:1", "65000:65001"]);
            assert_eq!(
                got.large_communities.into_iter().collect::<Vec<_>>(),
                ["4200000001:2:3", "64900:0:4294967295"]
            );
            assert_eq!(got.ext_communities.into_iter().collect::<Vec<_>>(), ["rt:64900:77"]);
        }
        left.announce(&[Announcement::plain("10.2.0.0/24")?])?;
        wait_for("the new route instead of the old", SOON, || {
            let old = right.route("10.1.0.0/24".parse()?)?;
            Ok(old.is_none() && right.route("10.2.0.0/24".parse()?)?.is_some())
        })
    })
}

#[test]
fn frr_and_bird_exchange_all_attributes() -> Result {
    exchange([Kind::Frr, Kind::Bird])
}

#[test]
fn bird_and_frr_exchange_all_attributes() -> Result {
    exchange([Kind::Bird, Kind::Frr])
}

#[test]
fn the_player_feeds_bird_and_bird_feeds_the_sink() -> Result {
    lab("tools", |lab| {
        let (tools, bird) = two(lab)?;
        tools.addr("eth0", "10.0.0.3/24")?;
        let mrt = table::make_own(2000)?;
        let neighbors = vec![
            Neighbor::new(ip(LEFT), 1299).passive().next_hop(ip("2001:db8::2")),
            Neighbor::new(ip("10.0.0.3"), 64_999).passive().next_hop(ip("2001:db8::2")),
        ];
        let config = Config::new(65_002, [10, 0, 0, 2], neighbors, vec![]);
        let bird = Kind::Bird.start(&bird, &config)?;
        let expect = "--expect4 2000 --expect6 2000";
        let sink = format!("--connect {RIGHT} --local 10.0.0.3 --asn 64999 {expect}");
        let mut sink = Tool::sink(&tools, "sink", &sink)?;
        let play = format!(
            "--connect {RIGHT} --local {LEFT} --asn 1299 --mrt {} --next-hop4 {LEFT} --next-hop6 2001:db8::1",
            mrt.display()
        );
        let mut play = Tool::play(&tools, "play", &play)?;
        play.event("established", SOON)?;
        sink.event("established", SOON)?;
        assert_eq!(bird.count(Family::Ipv4)?, 0, "nothing is sent before it is asked for");
        play.send("go")?;
        sink.event("reached", SOON)?;
        assert_eq!(sink.counts()?, (2000, 2000));
        assert_eq!((bird.count(Family::Ipv4)?, bird.count(Family::Ipv6)?), (2000, 2000));
        play.send("withdraw")?;
        sink.event("empty", SOON)?;
        // There is no message type 9: RFC 4271 section 6.1 ends the session with 1/3.
        play.send("raw 09")?;
        let end = play.event("notification", Duration::from_secs(10))?;
        assert_eq!((&end["code"], &end["subcode"]), (&1.into(), &3.into()), "{end}");
        play.event("closed", SOON).map(drop)
    })
}

/// The first run makes the container's file system, which takes minutes.
#[test]
fn frr_in_a_container_talks_to_bird() -> Result {
    lab("container", |lab| {
        let outside = lab.ns("outside")?;
        let docker = Docker::start(lab)?;
        let routes = vec![Announcement::rich("10.1.0.0/24")?];
        let config = Config::new(65_001, [10, 0, 0, 1], vec![Neighbor::new(ip(RIGHT), 65_002)], routes);
        let inside = docker.frr(lab, "box", &config, |inside| {
            lab.link((inside, "eth0", &["10.0.0.1/24"]), (&outside, "eth0", &["10.0.0.2/24"]))
        })?;
        let config = Config::new(65_002, [10, 0, 0, 2], vec![Neighbor::new(ip(LEFT), 65_001)], vec![]);
        let bird = Kind::Bird.start(&outside, &config)?;
        wait_for("the session with the container", SOON, || inside.frr.established(ip(RIGHT)))?;
        let got = wait_some("the container's route", SOON, || bird.route("10.1.0.0/24".parse()?))?;
        assert_eq!(got.as_path, "65001 64999 64999");
        docker.remove(inside)
    })
}
