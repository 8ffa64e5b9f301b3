//! What stands in the kernel: ECMP over two upstreams as next-hop objects, next hops and links that go and
//! come back, stopping and starting again, and routes that are not ours.

use std::time::{Duration, Instant};

use siskin_interop::Result;
use siskin_interop::kernel::{KernelRoute, routes, siskin_route};
use siskin_interop::lab::{Lab, Ns, lab};
use siskin_interop::plain::{
    OPEN, OUR_AS, PEER, ROUTER, US, best, chain, gone, open_to_both, open_to_peer, pair, peer, peer_config,
    second_config,
};
use siskin_interop::router::{Announcement, Kind, Router};
use siskin_interop::siskin::Siskin;
use siskin_interop::table;
use siskin_interop::tool::Tool;
use siskin_interop::wait::{SOON, stays, wait_for, wait_some};
use siskin_net::Family;

const V4: &str = "10.100.0.0/16";
const V6: &str = "2001:db8:f::/48";

/// AS number of the second upstream.
const SECOND_AS: u32 = 65_003;

fn announced() -> Result<Vec<Announcement>> {
    Ok(vec![Announcement::plain(V4)?, Announcement::plain(V6)?])
}

/// Waits for a kernel route with exactly these next hops. A gateway's link-local address will do for its global one:
/// peers on the link may send both (RFC 2545).
fn installed(ns: &Ns, dst: &str, hops: &[&str]) -> Result<KernelRoute> {
    let interface = |hop: &str| hop.split_once('%').map(|(_, interface)| interface.to_owned());
    let same = |have: &[String]| {
        let mut have: Vec<&String> = have.iter().collect();
        let mut wanted = hops.to_vec();
        have.sort_by_key(|hop| interface(hop));
        wanted.sort_by_key(|hop| interface(hop));
        let one = |(have, wanted): (&&String, &&str)| {
            have == wanted || have.starts_with("fe80:") && interface(have) == interface(wanted)
        };
        have.len() == wanted.len() && have.iter().zip(&wanted).all(one)
    };
    wait_some(&format!("kernel route {dst} with {hops:?}"), SOON, || {
        Ok(siskin_route(ns, dst)?.filter(|route| same(&route.hops)))
    })
}

/// Waits until no route of Siskin's is there.
fn not_installed(ns: &Ns, dst: &str) -> Result {
    wait_for(&format!("no kernel route {dst}"), SOON, || Ok(siskin_route(ns, dst)?.is_none()))
}

/// FRR and BIRD as upstreams of one Siskin, the same routes from both.
struct Upstreams {
    us: Ns,
    first_ns: Ns,
    first: Box<dyn Router>,
    second: Box<dyn Router>,
    siskin: Siskin,
}

fn upstreams(lab: &Lab, tables: &str) -> Result<Upstreams> {
    let (first_ns, us, second_ns) = chain(lab)?;
    let first = Kind::Frr.start(&first_ns, &peer_config(announced()?))?;
    let second = Kind::Bird.start(&second_ns, &second_config(SECOND_AS, announced()?))?;
    let siskin = Siskin::start(&us, &format!("{}{tables}", open_to_both(SECOND_AS)))?;
    Ok(Upstreams { us, first_ns, first, second, siskin })
}

const BOTH4: [&str; 2] = ["10.0.0.1%up0", "10.0.1.1%up1"];
const BOTH6: [&str; 2] = ["2001:db8:1::1%up1", "2001:db8::1%up0"];

#[test]
fn two_upstreams_share_the_load_as_a_next_hop_group() -> Result {
    lab("ecmp", |lab| {
        let tables = "\n[kernel]\nmetric = 77\nprefsrc = { ipv4 = \"10.0.0.2\", ipv6 = \"2001:db8::2\" }\n";
        let up = upstreams(lab, tables)?;
        let four = installed(&up.us, V4, &BOTH4)?;
        assert_eq!(four.metric, Some(77), "{four:?}");
        assert_eq!(four.prefsrc.as_deref(), Some("10.0.0.2"), "{four:?}");
        assert!(four.nhid.is_some(), "{four:?}");
        let six = installed(&up.us, V6, &BOTH6)?;
        assert_eq!(six.metric, Some(77), "{six:?}");
        let objects = up.us.ip("nexthop show")?;
        assert!(objects.lines().any(|line| line.contains("group")), "{objects}");
        let views = up.siskin.paths(V4)?;
        assert_eq!(views.iter().filter(|path| path["multipath"] == true || path["best"] == true).count(), 2);
        // One upstream dies: the other carries on alone; it comes back: both again.
        let Upstreams { us, first_ns, first, second: _second, .. } = up;
        drop(first);
        installed(&us, V4, &BOTH4[1..])?;
        installed(&us, V6, &BOTH6[..1])?;
        let _first = Kind::Frr.start(&first_ns, &peer_config(announced()?))?;
        installed(&us, V4, &BOTH4)?;
        installed(&us, V6, &BOTH6).map(drop)
    })
}

#[test]
fn without_groups_the_next_hops_stand_in_the_route() -> Result {
    lab("inline", |lab| {
        let up = upstreams(lab, "\n[kernel]\nnexthop-groups = false\nmetric = 40\n")?;
        let four = installed(&up.us, V4, &BOTH4)?;
        assert_eq!((four.nhid, four.metric), (None, Some(40)), "{four:?}");
        let six = installed(&up.us, V6, &BOTH6)?;
        assert_eq!(six.nhid, None, "{six:?}");
        Ok(())
    })
}

#[test]
fn one_path_alone_with_max_paths_1_or_one_neighbouring_as() -> Result {
    lab("single", |lab| {
        let up = upstreams(lab, "\n[kernel]\nmax-paths = 1\n")?;
        wait_for("both paths", SOON, || Ok(up.siskin.paths(V4)?.len() == 2))?;
        let route = wait_some("the route", SOON, || siskin_route(&up.us, V4))?;
        assert_eq!(route.hops.len(), 1, "{route:?}");
        stays("one hop", Duration::from_secs(2), || {
            Ok(siskin_route(&up.us, V4)?.is_some_and(|route| route.hops.len() == 1))
        })
    })
}

/// The load is shared among paths through one neighbouring AS alone when the configuration says so.
#[test]
fn same_as_multipath_keeps_to_one_neighbouring_as() -> Result {
    lab("same-as", |lab| {
        let (first_ns, us, second_ns) = chain(lab)?;
        let _first = Kind::Frr.start(&first_ns, &peer_config(announced()?))?;
        let _second = Kind::Bird.start(&second_ns, &second_config(SECOND_AS, announced()?))?;
        let config =
            open_to_both(SECOND_AS).replacen("asn = 65002", "asn = 65002\nmultipath = \"same-as\"", 1);
        let siskin = Siskin::start(&us, &config)?;
        wait_for("both paths", SOON, || Ok(siskin.paths(V4)?.len() == 2))?;
        wait_for("one hop", SOON, || Ok(siskin_route(&us, V4)?.is_some_and(|route| route.hops.len() == 1)))
    })
}

/// A gateway that answers no ARP any more is left within seconds while its session still stands, and taken again when it
/// answers: the kernel's word is enough, no timer of BGP need run out.
#[test]
fn a_gateway_that_answers_no_more_is_left_before_its_session() -> Result {
    lab("silent", |lab| {
        let up = upstreams(lab, "\n[kernel]\nnexthop-compat-mode = \"off\"\n")?;
        installed(&up.us, V4, &BOTH4)?;
        let switch = up.us.command("cat").arg("/proc/sys/net/ipv4/nexthop_compat_mode").output()?.stdout;
        assert_eq!(String::from_utf8_lossy(&switch).trim(), "0", "the key is obeyed");
        let mode = up.siskin.api("/v1/status")?["kernel"].clone();
        assert_eq!((&mode["nexthop_compat_mode"], &mode["nexthop_objects"]), (&false.into(), &true.into()));
        up.first_ns.ip("link set eth0 arp off")?;
        // What the kernel knows it would believe for some 30 s; a packet that gets no answer is another matter.
        up.us.ip("neighbor replace 10.0.0.1 lladdr 02:00:00:00:00:99 dev up0 nud probe")?;
        let start = Instant::now();
        installed(&up.us, V4, &BOTH4[1..])?;
        println!("left after {:?}", start.elapsed());
        let state = up.siskin.cli_json(&["peers"])?;
        assert_eq!(
            state.as_array().map(|l| l.iter().filter(|p| p["state"] == "established").count()),
            Some(2)
        );
        up.first_ns.ip("link set eth0 arp on")?;
        let start = Instant::now();
        installed(&up.us, V4, &BOTH4)?;
        println!("taken again after {:?}", start.elapsed());
        Ok(())
    })
}

/// A link without carrier is left at once, long before its session's hold time is over.
#[test]
fn a_link_that_goes_down_is_left_at_once() -> Result {
    lab("link-down", |lab| {
        let up = upstreams(lab, "")?;
        installed(&up.us, V4, &BOTH4)?;
        up.first_ns.ip("link set eth0 down")?;
        let start = Instant::now();
        installed(&up.us, V4, &BOTH4[1..])?;
        installed(&up.us, V6, &BOTH6[..1])?;
        assert!(start.elapsed() < Duration::from_secs(10), "took {:?}", start.elapsed());
        up.first_ns.ip("link set eth0 up")?;
        // Taking a link down drops its IPv6 addresses.
        up.first_ns.addr("eth0", "2001:db8::1/64")?;
        installed(&up.us, V4, &BOTH4)?;
        installed(&up.us, V6, &BOTH6)?;
        Ok(())
    })
}

/// A next hop that nothing leads to is not used, and is used as soon as something does.
#[test]
fn an_unreachable_next_hop_comes_back_by_itself() -> Result {
    lab("next-hop", |lab| {
        let (peer_ns, us) = pair(lab)?;
        let siskin = Siskin::start(&us, &format!("{ROUTER}{}", peer("first", PEER, OUR_AS, OPEN)))?;
        let mrt = table::make_own(10)?;
        let play = format!(
            "--connect {US} --asn {OUR_AS} --as-peer 1299 --mrt {} --next-hop4 10.9.9.1 \
             --next-hop6 2001:db8:9::1 --go",
            mrt.display()
        );
        let _play = Tool::play(&peer_ns, "play", &play)?;
        let (four, six) = ("32.0.5.0/24", "2a00:0:5::/48");
        for prefix in [four, six] {
            wait_for("an unreachable next hop", SOON, || {
                let path = siskin.path_from(prefix, "first")?;
                Ok(path.is_some_and(|path| path["next_hop_reachable"] == false))
            })?;
            assert_eq!(siskin.best(prefix)?, None);
            assert_eq!(siskin_route(&us, prefix)?, None);
        }
        us.ip("route add 10.9.9.0/24 via 10.0.0.1")?;
        us.ip("-6 route add 2001:db8:9::/64 via 2001:db8::1")?;
        installed(&us, four, &["10.0.0.1%up0"])?;
        installed(&us, six, &["2001:db8::1%up0"])?;
        assert!(siskin.best(four)?.is_some());
        us.ip("route del 10.9.9.0/24 via 10.0.0.1")?;
        not_installed(&us, four)?;
        assert!(siskin_route(&us, six)?.is_some(), "the other next hop is still there");
        us.ip("route add 10.9.9.0/24 via 10.0.0.1")?;
        installed(&us, four, &["10.0.0.1%up0"]).map(drop)
    })
}

#[test]
fn stopped_with_keep_the_routes_stay_and_are_adopted() -> Result {
    lab("keep", |lab| {
        let mut up = upstreams(lab, "\n[kernel]\non-stop = \"keep\"\n")?;
        installed(&up.us, V4, &BOTH4)?;
        installed(&up.us, V6, &BOTH6)?;
        let status = up.siskin.stop()?;
        assert!(status.success(), "{status}");
        assert!(siskin_route(&up.us, V4)?.is_some() && siskin_route(&up.us, V6)?.is_some());
        // While it is away one route goes for good. The other must never be missing from here on.
        up.first.announce(&[Announcement::plain(V4)?])?;
        up.second.announce(&[Announcement::plain(V4)?])?;
        let watch = Watch::start(&up.us, V4)?;
        up.siskin.start_again()?;
        installed(&up.us, V4, &BOTH4)?;
        not_installed(&up.us, V6)?;
        assert!(watch.never_missing(), "the route was away during the restart");
        Ok(())
    })
}

/// Looks for a route all the time, from another thread.
struct Watch {
    end: std::sync::Arc<std::sync::atomic::AtomicBool>,
    thread: std::thread::JoinHandle<bool>,
}

impl Watch {
    fn start(ns: &Ns, dst: &'static str) -> Result<Watch> {
        let end = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        let (ns, flag) = (ns.clone(), end.clone());
        let thread = std::thread::spawn(move || {
            let mut there = true;
            while !flag.load(std::sync::atomic::Ordering::Relaxed) {
                there &= matches!(siskin_route(&ns, dst), Ok(Some(_)));
                std::thread::sleep(Duration::from_millis(20));
            }
            there
        });
        Ok(Watch { end, thread })
    }

    fn never_missing(self) -> bool {
        self.end.store(true, std::sync::atomic::Ordering::Relaxed);
        self.thread.join().unwrap_or(false)
    }
}

#[test]
fn killed_outright_it_adopts_all_the_same() -> Result {
    lab("killed", |lab| {
        let mut up = upstreams(lab, "")?;
        installed(&up.us, V4, &BOTH4)?;
        let watch = Watch::start(&up.us, V4)?;
        up.siskin.daemon().kill();
        up.siskin.start_again()?;
        up.siskin.wait_established("first")?;
        up.siskin.wait_established("second")?;
        installed(&up.us, V4, &BOTH4)?;
        assert!(watch.never_missing(), "the route was away during the restart");
        Ok(())
    })
}

#[test]
fn stopped_with_flush_nothing_of_ours_stays() -> Result {
    lab("flush", |lab| {
        let mut up = upstreams(lab, "\n[kernel]\non-stop = \"flush\"\n")?;
        installed(&up.us, V4, &BOTH4)?;
        installed(&up.us, V6, &BOTH6)?;
        up.us.ip("route add 10.200.0.0/16 via 10.0.0.1 proto static")?;
        assert!(up.siskin.stop()?.success());
        assert!(siskin_route(&up.us, V4)?.is_none() && siskin_route(&up.us, V6)?.is_none());
        let objects = up.us.ip("nexthop show")?;
        assert!(!objects.contains("proto 201"), "{objects}");
        assert_eq!(routes(&up.us, Family::Ipv4, "10.200.0.0/16")?.len(), 1, "a foreign route stays");
        Ok(())
    })
}

/// A route that somebody else put there with our metric is never replaced nor deleted; the operator is told.
#[test]
fn a_foreign_route_with_our_metric_is_left_alone() -> Result {
    lab("foreign", |lab| {
        let (peer_ns, us) = pair(lab)?;
        us.ip("route add 10.100.0.0/16 via 10.0.0.9 proto static metric 32")?;
        us.ip("-6 route add 2001:db8:f::/48 via 2001:db8::9 proto static metric 32")?;
        let siskin = Siskin::start(&us, &open_to_peer())?;
        let mut plain = announced()?;
        plain.push(Announcement::plain("10.101.0.0/16")?);
        let mut router = Kind::Bird.start(&peer_ns, &peer_config(plain))?;
        installed(&us, "10.101.0.0/16", &["10.0.0.1%up0"])?;
        wait_for("the refusal in `siskin fib`", SOON, || {
            Ok(siskin.api("/v1/status")?["fib"]["ipv4"]["failed"] == 1)
        })?;
        let foreign = |dst: &str| -> Result<usize> {
            let family = if dst.contains(':') { Family::Ipv6 } else { Family::Ipv4 };
            let all = routes(&us, family, "proto static")?;
            Ok(all.iter().filter(|route| route.dst == dst).count())
        };
        assert_eq!((foreign(V4)?, foreign(V6)?), (1, 1));
        assert!(siskin_route(&us, V4)?.is_none() && siskin_route(&us, V6)?.is_none());
        router.announce(&[])?;
        gone(&siskin, V4)?;
        gone(&siskin, V6)?;
        assert_eq!((foreign(V4)?, foreign(V6)?), (1, 1), "not deleted either");
        Ok(())
    })
}

/// A prefix of our own stands in the kernel as the configuration says.
#[test]
fn originated_prefixes_are_blackholes_or_unreachable() -> Result {
    lab("blackhole", |lab| {
        let (_peer, us) = pair(lab)?;
        let tables = "\n[[originate]]\nprefix = \"203.0.113.0/24\"\nkernel = \"blackhole\"\n\
                      \n[[originate]]\nprefix = \"2001:db8:e::/48\"\nkernel = \"unreachable\"\n\
                      \n[[originate]]\nprefix = \"198.51.100.0/24\"\nkernel = \"none\"\n";
        let siskin = Siskin::start(&us, &format!("{ROUTER}{tables}"))?;
        let kind = |dst| -> Result<Option<String>> { Ok(siskin_route(&us, dst)?.map(|route| route.kind)) };
        wait_for("the blackhole", SOON, || Ok(kind("203.0.113.0/24")?.as_deref() == Some("blackhole")))?;
        wait_for("the unreachable", SOON, || Ok(kind("2001:db8:e::/48")?.as_deref() == Some("unreachable")))?;
        best(&siskin, "198.51.100.0/24")?;
        assert_eq!(kind("198.51.100.0/24")?, None);
        Ok(())
    })
}

/// Another table than main, and `install = false`.
#[test]
fn routes_go_to_the_table_of_the_configuration_or_nowhere() -> Result {
    lab("table", |lab| {
        let (peer_ns, us) = pair(lab)?;
        let mut siskin = Siskin::start(&us, &format!("{}\n[kernel]\ntable = 100\n", open_to_peer()))?;
        let _router = Kind::Bird.start(&peer_ns, &peer_config(announced()?))?;
        wait_for("the routes in table 100", SOON, || {
            // `ip` calls a table that holds nothing yet an error.
            let there = |family, dst| {
                routes(&us, family, "table 100").unwrap_or_default().iter().any(|route| route.dst == dst)
            };
            Ok(there(Family::Ipv4, V4) && there(Family::Ipv6, V6))
        })?;
        assert_eq!(siskin_route(&us, V4)?, None);
        siskin.stop()?;
        us.ip("route del 10.100.0.0/16 table 100 proto 201")?;
        us.ip("-6 route del 2001:db8:f::/48 table 100 proto 201")?;
        siskin.write_config(&format!("{}\n[kernel]\ninstall = false\n", open_to_peer()))?;
        siskin.start_again()?;
        best(&siskin, V4)?;
        stays("an empty kernel", Duration::from_secs(2), || {
            Ok(routes(&us, Family::Ipv4, "table all proto 201")?.is_empty())
        })
    })
}

/// What the next hops of peers resolve to is shown.
#[test]
fn a_connected_route_resolves_next_hops_of_both_families() -> Result {
    lab("resolve", |lab| {
        let (peer_ns, us) = pair(lab)?;
        let siskin = Siskin::start(&us, &open_to_peer())?;
        let _router = Kind::Frr.start(&peer_ns, &peer_config(announced()?))?;
        installed(&us, V4, &["10.0.0.1%up0"])?;
        installed(&us, V6, &["2001:db8::1%up0"])?;
        let hops = siskin.api("/v1/nexthops")?;
        let tracked = hops["tracked"].as_array().cloned().unwrap_or_default();
        assert!(tracked.iter().any(|hop| hop["address"] == PEER && hop["reachable"] == true), "{hops}");
        Ok(())
    })
}
