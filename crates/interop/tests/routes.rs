//! Routes with FRR and BIRD: every attribute in and out, withdrawal, route refresh, policy by default, our own
//! prefixes, and malformed UPDATEs.

use std::time::Duration;

use siskin_interop::Result;
use siskin_interop::lab::{Ns, lab};
use siskin_interop::router::{Announcement, Attributes, Kind};
use siskin_interop::siskin::Siskin;
use siskin_interop::tool::Tool;
use siskin_interop::wait::{SOON, stays, wait_for};

use siskin_interop::plain::{
    OPEN, OUR_AS, PEER, PEER_AS, ROUTER, US, at_peer, best, chain, gone, gone_at_peer, ip, open_to_both,
    open_to_peer, pair, peer, peer_config, second_config,
};

const V4: &str = "10.1.0.0/24";
const V6: &str = "2001:db8:f::/48";

/// All that must survive, whatever kind of session the route came by.
fn assert_carried(got: &Attributes, as_path: &str, next_hop: &str) {
    assert_eq!(got.origin, "incomplete", "{got:?}");
    assert_eq!(got.as_path, as_path, "{got:?}");
    assert_eq!(got.next_hop, Some(ip(next_hop)), "{got:?}");
    assert_eq!(got.communities.iter().collect::<Vec<_>>(), ["64900:1", "65000:65001"], "{got:?}");
    let large: Vec<_> = got.large_communities.iter().collect();
    assert_eq!(large, ["4200000001:2:3", "64900:0:4294967295"], "{got:?}");
    assert_eq!(got.ext_communities.iter().collect::<Vec<_>>(), ["rt:64900:77"], "{got:?}");
}

/// An external route comes in whole and goes on to an internal peer of the other make as it came.
fn external_to_internal(from: Kind, to: Kind) -> Result {
    lab("ebgp-ibgp", |lab| {
        let (peer_ns, us, second_ns) = chain(lab)?;
        let internal = peer("second", "10.0.1.1", OUR_AS, &format!("{OPEN}\nnext-hop-self = true"));
        let siskin = Siskin::start(&us, &format!("{}{internal}", open_to_peer()))?;
        let routes = vec![Announcement::rich(V4)?, Announcement::rich(V6)?];
        let mut first = from.start(&peer_ns, &peer_config(routes))?;
        let second = to.start(&second_ns, &second_config(OUR_AS, Vec::new()))?;
        for (prefix, theirs, ours) in [(V4, PEER, "10.0.1.2"), (V6, "2001:db8::1", "2001:db8:1::2")] {
            let got = best(&siskin, prefix)?;
            assert_carried(&got, "65001 64999 64999", theirs);
            assert_eq!(got.med, Some(4_000_000_001), "{got:?}");
            let got = at_peer(second.as_ref(), prefix)?;
            assert_carried(&got, "65001 64999 64999", ours);
            assert_eq!((got.med, got.local_pref), (Some(4_000_000_001), Some(100)), "{got:?}");
        }
        // One route changes, the other goes: the peer behind us follows.
        first.announce(&[Announcement::plain(V4)?])?;
        gone(&siskin, V6)?;
        gone_at_peer(second.as_ref(), V6)?;
        wait_for("the plain route", SOON, || {
            let got = second.route(V4.parse()?)?;
            Ok(got.is_some_and(|got| got.communities.is_empty() && got.med.unwrap_or(0) == 0))
        })?;
        first.announce(&[])?;
        gone_at_peer(second.as_ref(), V4)
    })
}

#[test]
fn from_frr_outside_to_bird_inside() -> Result {
    external_to_internal(Kind::Frr, Kind::Bird)
}

#[test]
fn from_bird_outside_to_frr_inside() -> Result {
    external_to_internal(Kind::Bird, Kind::Frr)
}

/// An internal route keeps LOCAL_PREF with us; LOCAL_PREF and MED stay inside when it leaves the AS.
fn internal_to_external(from: Kind, to: Kind) -> Result {
    lab("ibgp-ebgp", |lab| {
        let (peer_ns, us, second_ns) = chain(lab)?;
        let tables =
            format!("{}{}", peer("first", PEER, OUR_AS, OPEN), peer("second", "10.0.1.1", 65_003, OPEN));
        let siskin = Siskin::start(&us, &format!("{ROUTER}{tables}"))?;
        let mut config = peer_config(vec![Announcement::rich(V4)?, Announcement::rich(V6)?]);
        config.asn = OUR_AS;
        let _first = from.start(&peer_ns, &config)?;
        let second = to.start(&second_ns, &second_config(65_003, Vec::new()))?;
        for (prefix, theirs, ours) in [(V4, PEER, "10.0.1.2"), (V6, "2001:db8::1", "2001:db8:1::2")] {
            let got = best(&siskin, prefix)?;
            assert_carried(&got, "64999 64999", theirs);
            assert_eq!((got.med, got.local_pref), (Some(4_000_000_001), Some(250)), "{got:?}");
            let got = at_peer(second.as_ref(), prefix)?;
            assert_carried(&got, "65002 64999 64999", ours);
            assert!(got.med.unwrap_or(0) == 0, "MED is for the neighbouring AS alone: {got:?}");
            assert_ne!(got.local_pref, Some(250), "{got:?}");
        }
        Ok(())
    })
}

#[test]
fn from_frr_inside_to_bird_outside() -> Result {
    internal_to_external(Kind::Frr, Kind::Bird)
}

#[test]
fn from_bird_inside_to_frr_outside() -> Result {
    internal_to_external(Kind::Bird, Kind::Frr)
}

/// What our own policy sets is what the peer sees.
fn our_own_prefixes(kind: Kind) -> Result {
    lab("originate", |lab| {
        let (peer_ns, us) = pair(lab)?;
        us.ip("link add anycast0 type veth peer name anycast1")?;
        us.ip("link set anycast0 up")?;
        us.ip("link set anycast1 up")?;
        us.addr("anycast0", "192.0.2.77/32")?;
        us.addr("anycast0", "2001:db8:77::77/128")?;
        let tables = r#"
[[originate]]
prefix = "203.0.113.0/24"
kernel = "blackhole"
communities = ["65002:100", "65002:1:2"]

[[originate]]
prefix = "2001:db8:e::/48"
kernel = "none"

[redistribute.connected]
policy = "loopbacks"

[redistribute.static]

[redistribute.kernel]
policy = "not-the-default"

[policy.not-the-default]
rules = ["reject if prefix.len = 0", "accept"]

[policy.loopbacks]
rules = [
  "accept if prefix in [192.0.2.77/32, 2001:db8:77::77/128]",
  "reject",
]

[policy.out]
rules = [
  "set med 50",
  "add community rt:65002:9",
  "prepend 65002 x2 if prefix in [203.0.113.0/24]",
  "add community 65002:4200000000:7 if source = connected",
  "accept",
]
"#;
        let keys = "import = \"accept-all\"\nexport = \"out\"";
        let siskin = Siskin::start(&us, &format!("{ROUTER}{tables}{}", peer("first", PEER, PEER_AS, keys)))?;
        let router = kind.start(&peer_ns, &peer_config(Vec::new()))?;
        let got = at_peer(router.as_ref(), "203.0.113.0/24")?;
        assert_eq!(got.as_path, "65002 65002 65002", "{got:?}");
        assert_eq!((got.med, got.next_hop), (Some(50), Some(ip(US))), "{got:?}");
        assert_eq!(got.communities.iter().collect::<Vec<_>>(), ["65002:100"], "{got:?}");
        assert_eq!(got.large_communities.iter().collect::<Vec<_>>(), ["65002:1:2"], "{got:?}");
        assert_eq!(got.ext_communities.iter().collect::<Vec<_>>(), ["rt:65002:9"], "{got:?}");
        let got = at_peer(router.as_ref(), "2001:db8:e::/48")?;
        assert_eq!(got.next_hop, Some(ip("2001:db8::2")), "{got:?}");
        for prefix in ["192.0.2.77/32", "2001:db8:77::77/128"] {
            let got = at_peer(router.as_ref(), prefix)?;
            assert_eq!(got.large_communities.iter().collect::<Vec<_>>(), ["65002:4200000000:7"], "{got:?}");
        }
        assert_eq!(router.route("10.0.0.0/24".parse()?)?, None, "not in the policy of redistribution");
        // A connected address that goes is withdrawn; one that comes is announced.
        us.ip("address del 192.0.2.77/32 dev anycast0")?;
        gone_at_peer(router.as_ref(), "192.0.2.77/32")?;
        us.addr("anycast0", "192.0.2.77/32")?;
        at_peer(router.as_ref(), "192.0.2.77/32")?;
        // Static and kernel routes come and go as well.
        us.ip("route add blackhole 198.51.100.0/24 proto static")?;
        us.ip("-6 route add 2001:db8:57::/48 via 2001:db8::1 proto boot")?;
        us.ip("route add 198.18.0.0/15 via 10.0.0.1 proto zebra metric 20")?;
        us.ip("route add default via 10.0.0.1 proto dhcp")?;
        for prefix in ["198.51.100.0/24", "2001:db8:57::/48", "198.18.0.0/15"] {
            at_peer(router.as_ref(), prefix)?;
        }
        assert_eq!(router.route("0.0.0.0/0".parse()?)?, None, "the policy says so");
        us.ip("route del blackhole 198.51.100.0/24 proto static")?;
        us.ip("link set anycast1 down")?;
        gone_at_peer(router.as_ref(), "198.51.100.0/24")?;
        gone_at_peer(router.as_ref(), "192.0.2.77/32")?;
        us.ip("route del 198.18.0.0/15 metric 20")?;
        gone_at_peer(router.as_ref(), "198.18.0.0/15")?;
        assert!(siskin.cli_text(&["explain", "203.0.113.0/24"])?.contains("first"));
        Ok(())
    })
}

#[test]
fn our_own_prefixes_at_frr() -> Result {
    our_own_prefixes(Kind::Frr)
}

#[test]
fn our_own_prefixes_at_bird() -> Result {
    our_own_prefixes(Kind::Bird)
}

/// ROUTE-REFRESH asked by us, and asked of us.
fn route_refresh(kind: Kind) -> Result {
    lab("refresh", |lab| {
        let (peer_ns, us) = pair(lab)?;
        let own = "\n[[originate]]\nprefix = \"203.0.113.0/24\"\nkernel = \"none\"\n";
        let siskin = Siskin::start(&us, &format!("{}{own}", open_to_peer()))?;
        let router = kind.start(&peer_ns, &peer_config(vec![Announcement::rich(V4)?]))?;
        best(&siskin, V4)?;
        at_peer(router.as_ref(), "203.0.113.0/24")?;
        let count = |direction: &str, kind: &str| -> Result<u64> {
            Ok(siskin.api("/v1/peers/first")?["messages"][direction][kind].as_u64().unwrap_or(0))
        };
        let (updates, refreshes) = (count("received", "update")?, count("sent", "route_refresh")?);
        siskin.cli_text(&["peer", "first", "refresh-in"])?;
        wait_for("our request, and the routes again", SOON, || {
            Ok(count("sent", "route_refresh")? > refreshes && count("received", "update")? > updates)
        })?;
        let (updates, refreshes) = (count("sent", "update")?, count("received", "route_refresh")?);
        router.refresh_in(ip(US))?;
        wait_for("their request, and our routes again", SOON, || {
            Ok(count("received", "route_refresh")? > refreshes && count("sent", "update")? > updates)
        })?;
        assert_eq!(siskin.api("/v1/peers/first")?["established_count"], 1, "no session was lost by it");
        best(&siskin, V4)?;
        at_peer(router.as_ref(), "203.0.113.0/24").map(drop)
    })
}

#[test]
fn route_refresh_with_frr() -> Result {
    route_refresh(Kind::Frr)
}

#[test]
fn route_refresh_with_bird() -> Result {
    route_refresh(Kind::Bird)
}

/// RFC 8212: without policy nothing comes in and nothing goes out, and Siskin says why.
#[test]
fn without_policy_nothing_passes() -> Result {
    lab("rfc8212", |lab| {
        let (peer_ns, us) = pair(lab)?;
        let own = "\n[[originate]]\nprefix = \"203.0.113.0/24\"\nkernel = \"none\"\n";
        let siskin = Siskin::start(&us, &format!("{ROUTER}{own}{}", peer("first", PEER, PEER_AS, "")))?;
        let router = Kind::Frr.start(&peer_ns, &peer_config(vec![Announcement::plain(V4)?]))?;
        siskin.wait_established("first")?;
        wait_for("the rejected route", SOON, || {
            Ok(siskin.filtered_from(V4, "first")?.is_some_and(|path| !path["rejected"].is_null()))
        })?;
        assert_eq!(siskin.best(V4)?, None);
        let family = siskin.peer("first")?["families"][0].clone();
        assert_eq!(
            (&family["received"], &family["accepted"], &family["filtered"]),
            (&1.into(), &0.into(), &1.into())
        );
        stays("silence towards the peer", Duration::from_secs(3), || {
            Ok(router.route("203.0.113.0/24".parse()?)?.is_none())
        })?;
        assert!(siskin.cli_text(&["peers"])?.contains("8212"));
        assert!(siskin.cli_text(&["routes", V4, "--filtered"])?.contains(V4));
        Ok(())
    })
}

/// A longer path loses, a higher LOCAL_PREF by our own rule wins, a rejected route is kept with its rule.
#[test]
fn import_policy_decides_and_is_explained() -> Result {
    lab("import", |lab| {
        let (peer_ns, us, second_ns) = chain(lab)?;
        let tables = format!(
            "\n[policy.in]\nrules = [\"reject \\\"not from here\\\" if prefix in [10.66.0.0/16]\", \
             \"set local-pref 300 if community has 64900:1\", \"accept\"]\n{}{}",
            peer("first", PEER, PEER_AS, "import = \"in\"\nexport = \"accept-all\""),
            peer("second", "10.0.1.1", 65_003, OPEN)
        );
        let siskin = Siskin::start(&us, &format!("{ROUTER}{tables}"))?;
        let routes = vec![Announcement::rich(V4)?, Announcement::plain("10.66.0.0/16")?];
        let _first = Kind::Frr.start(&peer_ns, &peer_config(routes))?;
        let plain = vec![Announcement::plain(V4)?];
        let _second = Kind::Bird.start(&second_ns, &second_config(65_003, plain))?;
        wait_for("both paths", SOON, || Ok(siskin.paths(V4)?.len() == 2))?;
        wait_for("the preferred one", SOON, || {
            Ok(siskin.best(V4)?.is_some_and(|best| best.local_pref == Some(300)))
        })?;
        let text = siskin.cli_text(&["explain", V4])?;
        assert!(text.contains("first") && text.contains("second"), "{text}");
        let text = siskin.cli_text(&["explain", "10.66.0.0/16"])?;
        assert!(text.contains("not from here"), "{text}");
        assert_eq!(siskin.cli(&["explain", "192.0.2.0/24"])?.status.code(), Some(1));
        Ok(())
    })
}

/// ORIGIN IGP, AS_PATH 65001, NEXT_HOP 10.0.0.1.
const GOOD: &str = "400101 00 400206 0201 0000fde9 400304 0a000001";
/// 198.51.100.0/24 as NLRI.
const NLRI: &str = "18 c63364";

/// An UPDATE for the player's `raw`, from its attributes and NLRI in hexadecimal.
fn raw_update(attributes: &str, nlri: &str) -> String {
    let octets = attributes.chars().filter(|c| c.is_ascii_hexdigit()).count() / 2;
    format!("raw 02 0000 {octets:04x} {attributes} {nlri}")
}

fn scripted(ns: &Ns) -> Result<Tool> {
    let mut tool = Tool::play(ns, "speaker", &format!("--connect {US} --asn {PEER_AS}"))?;
    tool.event("established", SOON)?;
    Ok(tool)
}

/// RFC 7606: what is wrong with one route costs that route, not the session.
#[test]
fn a_malformed_attribute_costs_its_routes_alone() -> Result {
    lab("rfc7606", |lab| {
        let (peer_ns, us) = pair(lab)?;
        let siskin = Siskin::start(&us, &open_to_peer())?;
        let mut speaker = scripted(&peer_ns)?;
        let other = "18 c63365";
        speaker.send(&raw_update(GOOD, &format!("{NLRI} {other}")))?;
        best(&siskin, "198.51.100.0/24")?;
        // ORIGIN 9: treat-as-withdraw (section 7.1).
        speaker.send(&raw_update(&GOOD.replace("400101 00", "400101 09"), NLRI))?;
        gone(&siskin, "198.51.100.0/24")?;
        best(&siskin, "198.51.101.0/24")?;
        // NEXT_HOP missing: treat-as-withdraw (section 3).
        speaker.send(&raw_update("400101 00 400206 0201 0000fde9", other))?;
        gone(&siskin, "198.51.101.0/24")?;
        // AGGREGATOR of 5 octets: the attribute is discarded and the route stays (section 7.7).
        speaker.send(&raw_update(&format!("{GOOD} c00705 0102030405"), NLRI))?;
        best(&siskin, "198.51.100.0/24")?;
        assert!(siskin.established("first")?);
        assert_eq!(siskin.api("/v1/peers/first")?["established_count"], 1);
        assert!(speaker.events("notification").is_empty());
        Ok(())
    })
}

/// RFC 4271 section 6: what cannot be parsed ends the session with the right NOTIFICATION.
fn ends_with(raw: &str, code: u8, subcode: u8) -> Result {
    lab("malformed", |lab| {
        let (peer_ns, us) = pair(lab)?;
        let siskin = Siskin::start(&us, &open_to_peer())?;
        let mut speaker = scripted(&peer_ns)?;
        speaker.send(&raw_update(GOOD, NLRI))?;
        best(&siskin, "198.51.100.0/24")?;
        speaker.send(raw)?;
        let event = speaker.event("notification", SOON)?;
        assert_eq!((&event["code"], &event["subcode"]), (&code.into(), &subcode.into()), "{event}");
        gone(&siskin, "198.51.100.0/24")?;
        let error = siskin.peer("first")?["last_error"].clone();
        assert_eq!((&error["code"], &error["subcode"]), (&code.into(), &subcode.into()), "{error}");
        Ok(())
    })
}

#[test]
fn attributes_longer_than_the_message_end_the_session() -> Result {
    ends_with("raw 02 0000 0040 400101 00", 3, 1)
}

#[test]
fn an_unknown_message_type_ends_the_session() -> Result {
    ends_with("raw 09", 1, 3)
}

#[test]
fn a_keepalive_with_a_body_ends_the_session() -> Result {
    ends_with("raw 04 00", 1, 2)
}

/// The same route from two sides: one goes, the other takes over at the third.
#[test]
fn the_other_path_takes_over() -> Result {
    lab("take-over", |lab| {
        let (peer_ns, us, second_ns) = chain(lab)?;
        let siskin = Siskin::start(&us, &open_to_both(65_003))?;
        let mut long = Announcement::plain(V4)?;
        long.prepend = 3;
        let mut first = Kind::Bird.start(&peer_ns, &peer_config(vec![Announcement::plain(V4)?]))?;
        let _second = Kind::Frr.start(&second_ns, &second_config(65_003, vec![long]))?;
        wait_for("both paths", SOON, || Ok(siskin.paths(V4)?.len() == 2))?;
        assert_eq!(best(&siskin, V4)?.as_path, "65001");
        first.announce(&[])?;
        wait_for("the longer path", SOON, || {
            Ok(siskin.best(V4)?.is_some_and(|b| b.as_path.starts_with("65003")))
        })?;
        let back = at_peer(first.as_ref(), V4)?;
        assert_eq!(back.as_path, "65002 65003 64999 64999 64999", "{back:?}");
        Ok(())
    })
}
