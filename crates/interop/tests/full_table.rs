//! A full table from two peers: afterwards every prefix is in the RIB, in the kernel with two next hops, and at
//! a BIRD peer; and when one of the two withdraws all, the other carries every prefix alone.
//!
//! Both peers are routers of one neighbouring AS and have the same table, so each prefix has two equal paths.
//! The table is the shared data's where that is there, else 20,000 prefixes of each family of our own.

use std::time::{Duration, Instant};

use siskin_interop::kernel::{Counts, count};
use siskin_interop::lab::lab;
use siskin_interop::plain::{OPEN, PEER, ROUTER, US, chain, ip, peer};
use siskin_interop::router::{Config, Kind, Neighbor};
use siskin_interop::siskin::Siskin;
use siskin_interop::tool::Tool;
use siskin_interop::wait::wait_for;
use siskin_interop::{Error, Result, table};
use siskin_net::Family;

/// For each step; a debug build on a busy machine is slow.
const LIMIT: Duration = Duration::from_secs(240);

#[test]
fn a_full_table_arrives_everywhere() -> Result {
    let table = table::full_or_own(20_000)?;
    if !table.full {
        eprintln!("no shared data here: a table of our own of 20,000 prefixes of each family");
    }
    lab("full", |lab| {
        let (first_ns, us, second_ns) = chain(lab)?;
        let third_ns = lab.ns("third")?;
        lab.link(
            (&third_ns, "eth0", &["10.0.2.1/24", "2001:db8:2::1/64"]),
            (&us, "up2", &["10.0.2.2/24", "2001:db8:2::2/64"]),
        )?;
        let asn = table::PEERS[0];
        let player = |us: &str, peer: &str, six: &str| {
            let mrt = table.path.display();
            format!("--connect {us} --asn {asn} --mrt {mrt} --next-hop4 {peer} --next-hop6 {six}")
        };
        let mut first = Tool::play(&first_ns, "play", &player(US, PEER, "2001:db8::1"))?;
        let mut second = Tool::play(&second_ns, "play", &player("10.0.1.2", "10.0.1.1", "2001:db8:1::1"))?;
        let encoded = first.event("encoded", LIMIT)?;
        second.event("encoded", LIMIT)?;
        let size = |key: &str| encoded[key].as_u64().ok_or_else(|| Error::new("a feed without its size"));
        let sizes = [(Family::Ipv4, size("ipv4")?), (Family::Ipv6, size("ipv6")?)];

        let tables = format!(
            "{}{}{}",
            peer("first", PEER, asn, OPEN),
            peer("second", "10.0.1.1", asn, OPEN),
            peer("bird", "10.0.2.1", 65_004, OPEN)
        );
        // Not the AS number of the other tests: a real path holds it, in a leaked set of private numbers.
        let router = ROUTER.replacen("asn = 65002", "asn = 64999", 1);
        let siskin = Siskin::start(&us, &format!("{router}{tables}"))?;
        let neighbor = Neighbor::new(ip("10.0.2.2"), 64_999).next_hop(ip("2001:db8:2::1"));
        let config = Config::new(65_004, [10, 0, 2, 1], vec![neighbor], Vec::new());
        let bird = Kind::Bird.start(&third_ns, &config)?;
        ["first", "second", "bird"].iter().try_for_each(|name| siskin.wait_established(name))?;

        let start = Instant::now();
        first.send("go")?;
        second.send("go")?;
        for (family, size) in sizes {
            wait_for("every prefix in the RIB", LIMIT, || Ok(siskin.count(family)? >= size))?;
            wait_for("every prefix at BIRD", LIMIT, || Ok(bird.count(family)? == size))?;
            wait_for("every prefix in the kernel, with two next hops", LIMIT, || {
                Ok(count(&us, family, "proto 201")? == Counts { routes: size, multipath: size })
            })?;
        }
        eprintln!("RIB, kernel and BIRD are complete after {:.1} s", start.elapsed().as_secs_f64());
        let status = siskin.api("/v1/status")?;
        for (family, size) in sizes {
            let (rib, fib) = (&status["rib"][family.name()], &status["fib"][family.name()]);
            assert_eq!(
                (rib["paths"].as_u64(), fib["failed"].as_u64()),
                (Some(2 * size), Some(0)),
                "{status}"
            );
        }
        counted(&siskin, sizes.map(|(_, size)| size))?;

        first.send("withdraw")?;
        for (family, size) in sizes {
            wait_for("every prefix with the other next hop", LIMIT, || {
                Ok(count(&us, family, "proto 201")? == Counts { routes: size, multipath: 0 })
            })?;
            assert_eq!((siskin.count(family)?, bird.count(family)?), (size, size));
        }
        second.send("withdraw")?;
        for (family, _) in sizes {
            wait_for("an empty kernel", LIMIT, || Ok(count(&us, family, "proto 201")? == Counts::default()))?;
            wait_for("an empty BIRD", LIMIT, || Ok(bird.count(family)? == 0))?;
        }
        Ok(())
    })
}

/// `siskin routes --count` says how many there are, of each family or in all.
fn counted(siskin: &Siskin, [four, six]: [u64; 2]) -> Result {
    let text = siskin.cli_text(&["routes", "--count"])?;
    // Thousands may be separated for people.
    let bare: String = text.chars().filter(|c| !matches!(c, ',' | '_' | '\'' | '\u{202f}')).collect();
    let numbers: Vec<u64> =
        bare.split(|c: char| !c.is_ascii_digit()).filter_map(|word| word.parse().ok()).collect();
    assert!(numbers.contains(&(four + six)) || (numbers.contains(&four) && numbers.contains(&six)), "{text}");
    Ok(())
}
