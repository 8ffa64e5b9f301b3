//! Our IRRd client beside bgpq4, against the same stand-in: the same prefixes from the same registry, and where the registry
//! fails, an error where bgpq4 may print nothing and exit 0.
#![expect(clippy::panic, reason = "helpers of tests fail as tests do")]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::process::Command;
use std::time::Duration;

use siskin_interop::irrd::{Failure, Irrd, Registry};
use siskin_interop::{Error, Result, fail};
use siskin_irr::{Answer, Ask, FetchError, HostPort, Part, Query, SetName, fetch};
use siskin_net::{Family, FamilySet};

const PATIENCE: Duration = Duration::from_millis(800);

/// Two registries with a set of the same name, a circle, a private number, and IPv6 in some places only.
const DATA: &str = "
source RIPE
set AS-TOP AS112 AS-NESTED AS-OTHER AS64512
set AS-NESTED AS3333 AS-TOP AS-UNKNOWN
set AS-OTHER AS25152
set AS12654:AS-RIS AS12654
set AS-EMPTY
set RS-X 192.0.2.0/24 2001:db8::/32
route AS112 192.0.2.0/24 192.175.48.0/24 2001:4:112::/48
route AS3333 193.0.0.0/21 193.0.10.0/23 193.0.22.0/23 2001:67c:2e8::/48
route AS12654 84.205.64.0/24 84.205.65.0/24 2001:7fb:fe00::/48
route AS64512 10.0.0.0/8
source ARIN
route AS112 198.51.100.0/24
route AS25152 193.0.14.0/24 193.0.14.0/23 2001:7fd::/32
source RADB
set AS-TOP AS174
set AS-NESTED AS666
route AS174 38.0.0.0/8
route AS666 203.0.113.0/24
";

fn stand_in(registry: Registry) -> Result<Irrd> {
    Irrd::start("127.0.0.1:0".parse()?, registry)
}

/// The prefixes that bgpq4 prints.
fn bgpq4(irrd: &Irrd, sources: &str, set: &str, family: Family) -> Result<BTreeSet<String>> {
    let mut command = Command::new("bgpq4");
    command.args(["-h", &irrd.address().to_string(), "-F", "%n/%l\n"]);
    command.arg(if family == Family::Ipv4 { "-4" } else { "-6" });
    if !sources.is_empty() {
        command.args(["-S", sources]);
    }
    let output = command.arg(set).output().map_err(|e| Error::from(e).during("bgpq4"))?;
    if !output.status.success() {
        return fail(format!("bgpq4 {set}: {}", String::from_utf8_lossy(&output.stderr)));
    }
    // An empty line ends its output.
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect())
}

fn query(sources: &str, set: &str) -> Query {
    let Ok(name) = set.parse::<SetName>() else { panic!("{set} is no set") };
    let sources = sources.split(',').filter(|s| !s.is_empty()).map(str::to_owned).collect();
    Query { name: name.name, source: name.source, sources }
}

/// What our client says of one family.
async fn ours(irrd: &Irrd, query: &Query, family: Family) -> std::result::Result<Answer, FetchError> {
    let address = irrd.address();
    let server = HostPort { host: address.ip().to_string(), port: address.port() };
    let ask = Ask { prefixes: FamilySet::EMPTY.with(family), members: false };
    let mut answers = fetch(&server, PATIENCE, query, ask).await?;
    assert_eq!((answers.len(), answers[0].0), (1, Part::Prefixes(family)));
    answers.remove(0).1
}

fn shown(answer: std::result::Result<Answer, FetchError>) -> BTreeSet<String> {
    match answer {
        Ok(Answer::Prefixes(list)) => list.iter().map(ToString::to_string).collect(),
        Ok(Answer::Members(_) | Answer::NotFound) => BTreeSet::new(),
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_prefixes_as_bgpq4() -> Result {
    let irrd = stand_in(Registry::read(DATA)?)?;
    let cases = [
        ("", "AS-TOP"),
        ("RIPE", "AS-TOP"),
        ("RADB,RIPE", "AS-TOP"),
        ("", "RIPE::AS-TOP"),
        ("RADB,RIPE,ARIN", "RIPE::AS-TOP"),
        ("", "RADB::AS-TOP"),
        ("", "AS12654:AS-RIS"),
        ("", "AS112"),
        ("ARIN", "AS112"),
        ("", "AS-EMPTY"),
        ("", "AS-NONE"),
    ];
    let mut filled = 0;
    for resolves in [true, false] {
        irrd.resolves_sets(resolves);
        for (sources, set) in cases {
            for family in Family::ALL {
                let theirs = bgpq4(&irrd, sources, set, family)?;
                let mine = shown(ours(&irrd, &query(sources, set), family).await);
                assert_eq!(mine, theirs, "{set} of {sources:?}, {family}, `!a` known: {resolves}");
                filled += usize::from(!mine.is_empty());
            }
        }
    }
    assert_eq!(filled, 30, "lists that are not empty");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_set_is_the_same_by_both_ways() -> Result {
    let mut text = String::from("set AS-BIG");
    for asn in 1..=2000 {
        let _ = write!(text, " AS{asn}");
    }
    for asn in 1..=2000u32 {
        let _ = write!(text, "\nroute AS{asn}");
        for n in 0..=asn % 20 {
            let _ = write!(text, " {}.{}.{}.0/24 2001:{asn:x}:{n:x}::/48", 11 + asn % 100, n, asn / 100);
        }
    }
    let irrd = stand_in(Registry::read(&text)?)?;
    for resolves in [true, false] {
        irrd.resolves_sets(resolves);
        for family in Family::ALL {
            let mine = shown(ours(&irrd, &query("", "AS-BIG"), family).await);
            assert!(mine.len() > 10_000, "{}", mine.len());
            assert!(mine == bgpq4(&irrd, "", "AS-BIG", family)?, "{family}, `!a` known: {resolves}");
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_failure_is_an_error_or_the_right_list() -> Result {
    let irrd = stand_in(Registry::read(DATA)?)?;
    let (wanted, top) = (bgpq4(&irrd, "", "AS-TOP", Family::Ipv4)?, query("", "AS-TOP"));
    for resolves in [true, false] {
        irrd.resolves_sets(resolves);
        for failure in [Failure::Split, Failure::Slow(Duration::from_millis(20))] {
            irrd.fail(Some(failure));
            assert_eq!(
                shown(ours(&irrd, &top, Family::Ipv4).await).len() + usize::from(!resolves),
                wanted.len()
            );
        }
        for failure in [
            Failure::Refuse,
            Failure::Hang,
            Failure::Close,
            Failure::Failed,
            Failure::LongLength,
            Failure::ShortLength,
            Failure::Garbage,
            Failure::Junk,
            Failure::Slow(2 * PATIENCE),
        ] {
            irrd.fail(Some(failure));
            let answer = ours(&irrd, &top, Family::Ipv4).await;
            assert!(answer.is_err(), "{failure:?}: {answer:?}");
        }
        irrd.fail(Some(Failure::NotFound));
        assert_eq!(ours(&irrd, &top, Family::Ipv4).await, Ok(Answer::NotFound));
    }
    // Where bgpq4 cannot be told from a set without routes, we can.
    irrd.fail(Some(Failure::Failed));
    assert_eq!(bgpq4(&irrd, "", "AS-TOP", Family::Ipv4)?, BTreeSet::new());
    Ok(())
}
