use siskin_net::Family;

use super::*;
use crate::testing::{Say, Server, data, polite};

const SOON: Duration = Duration::from_millis(300);
const ALL: Ask = Ask { prefixes: FamilySet::BOTH, members: true };
const V4: Part = Part::Prefixes(Family::Ipv4);
const V6: Part = Part::Prefixes(Family::Ipv6);

fn query(name: &str) -> Query {
    Query { name: name.into(), source: None, sources: vec![] }
}

/// What a registry with one set says; sources, names and idle time are accepted.
fn registry(query: &str) -> Option<String> {
    polite(query).or_else(|| match query {
        "!a4AS-X" => Some(data("193.0.0.0/21 192.0.2.0/24 193.0.0.0/21")),
        "!a6AS-X" => Some(data("2001:db8::/32")),
        "!iAS-X,1" => Some(data("AS3333 AS112 AS64512")),
        "!gAS3333" => Some(data("193.0.0.0/21")),
        "!gAS112" => Some(data("192.0.2.0/24 193.0.0.0/21")),
        "!6AS3333" => Some(data("2001:db8::/32")),
        "!6AS112" => Some("D\n".into()),
        "!iRS-X,1" => Some(data("192.0.2.0/24 10.0.0.0/8^- 2001:db8::/32 AS3333")),
        "!q" => Some(String::new()),
        _ if query.starts_with("!a") || query.starts_with("!i") => Some("D\n".into()),
        _ => None,
    })
}

fn well(query: &str) -> Say {
    Say::Bytes(registry(query).unwrap_or_else(|| "F unknown\n".into()))
}

/// As [`well`], without `!a`.
fn old(query: &str) -> Say {
    if query.starts_with("!a") { Say::Bytes("F unrecognized command\n".into()) } else { well(query) }
}

fn shown(answer: &Result<Answer, FetchError>) -> Vec<String> {
    match answer {
        Ok(Answer::Prefixes(list)) => list.iter().map(ToString::to_string).collect(),
        Ok(Answer::Members(list)) => list.iter().map(|asn| format!("AS{asn}")).collect(),
        other => vec![format!("{other:?}")],
    }
}

fn of(answers: &[(Part, Result<Answer, FetchError>)], part: Part) -> Vec<String> {
    answers.iter().find(|(p, _)| *p == part).map(|(_, answer)| shown(answer)).unwrap_or_default()
}

#[tokio::test]
async fn a_server_resolves_a_set() {
    let server = Server::start(well);
    let asked = Query { name: "AS-X".into(), source: None, sources: vec!["RIPE".into(), "ARIN".into()] };
    let answers = fetch(&server.address, SOON, &asked, ALL).await.unwrap();
    assert_eq!(of(&answers, V4), ["192.0.2.0/24", "193.0.0.0/21"]);
    assert_eq!(of(&answers, V6), ["2001:db8::/32"]);
    assert_eq!(of(&answers, Part::Members), ["AS112", "AS3333"], "a private number is no member");
    let queries = server.queries.lock().unwrap().clone();
    assert_eq!(queries[0], "!!");
    assert!(queries[1].starts_with("!nsiskin "));
    assert_eq!(queries[2..8], ["!t30", "!a", "!sRIPE,ARIN", "!a4AS-X", "!a6AS-X", "!iAS-X,1"]);
}

#[tokio::test]
async fn an_old_server_has_its_numbers_resolved_here() {
    let server = Server::start(old);
    let answers = fetch(&server.address, SOON, &query("AS-X"), ALL).await.unwrap();
    assert_eq!(of(&answers, V4), ["192.0.2.0/24", "193.0.0.0/21"]);
    assert_eq!(of(&answers, V6), ["2001:db8::/32"]);
    assert_eq!(server.count("!gAS64512"), 0, "a private number is not asked for");
}

#[tokio::test]
async fn an_as_number_and_a_route_set_are_sets_too() {
    let server = Server::start(well);
    let answers = fetch(&server.address, SOON, &query("AS112"), ALL).await.unwrap();
    assert_eq!(of(&answers, V4), ["192.0.2.0/24", "193.0.0.0/21"]);
    assert_eq!(of(&answers, V6), [""; 0], "no routes, but an AS number that exists");
    assert_eq!(of(&answers, Part::Members), ["AS112"]);
    let answers = fetch(&server.address, SOON, &query("RS-X"), ALL).await.unwrap();
    assert_eq!(of(&answers, V4), ["192.0.2.0/24", "193.0.0.0/21"]);
    assert_eq!(of(&answers, V6), ["2001:db8::/32"]);
}

#[tokio::test]
async fn a_set_of_one_registry_is_followed_down_here() {
    let server = Server::start(|query| match query {
        "!iAS-TOP" => Say::Bytes(data("AS112 AS-LEFT AS-RIGHT AS64512")),
        "!iAS-LEFT" => Say::Bytes(data("AS3333 AS-TOP AS-UNKNOWN")),
        "!iAS-RIGHT" => Say::Bytes(data("AS-LEFT")),
        _ => well(query),
    });
    let ask = Ask { prefixes: FamilySet::EMPTY.with(Family::Ipv4), members: true };
    let asked = Query { source: Some("RIPE".into()), ..query("AS-TOP") };
    let answers = fetch(&server.address, SOON, &asked, ask).await.unwrap();
    assert_eq!(of(&answers, V4), ["192.0.2.0/24", "193.0.0.0/21"]);
    assert_eq!(of(&answers, Part::Members), ["AS112", "AS3333"]);
    let queries = server.queries.lock().unwrap()[4..].join(" ");
    let expected = "!s-lc !sRIPE !iAS-TOP !sRIPE,RADB !iAS-LEFT !iAS-RIGHT !iAS-UNKNOWN !gAS112 !gAS3333 !q";
    assert!(expected.starts_with(&queries) && queries.contains("!gAS3333"), "{queries}");
    // A circle ends; a set that the registry does not have is none, even if others have it.
    let asked = Query { source: Some("RIPE".into()), ..query("AS-NONE") };
    let answers = fetch(&server.address, SOON, &asked, ask).await.unwrap();
    assert!(answers.iter().all(|(_, answer)| *answer == Ok(Answer::NotFound)));
}

#[tokio::test]
async fn an_as_number_of_one_registry_has_only_its_routes() {
    let server = Server::start(well);
    let asked = Query { source: Some("RIPE".into()), ..query("AS112") };
    let answers = fetch(&server.address, SOON, &asked, ALL).await.unwrap();
    assert_eq!(of(&answers, V4), ["192.0.2.0/24", "193.0.0.0/21"]);
    assert_eq!(server.count("!sRIPE"), 1);
}

#[tokio::test]
async fn no_such_set_is_told_from_a_set_without_routes() {
    let server = Server::start(|query| match query {
        "!a6AS-X" => Say::Bytes("D\n".into()),
        _ => well(query),
    });
    let v6 = Ask { prefixes: FamilySet::EMPTY.with(Family::Ipv6), members: false };
    let answers = fetch(&server.address, SOON, &query("AS-X"), v6).await.unwrap();
    assert_eq!(answers, [(V6, Ok(Answer::Prefixes(Arc::new([]))))], "its members are there");
    let answers = fetch(&server.address, SOON, &query("AS-NONE"), ALL).await.unwrap();
    assert!(answers.iter().all(|(_, answer)| *answer == Ok(Answer::NotFound)));
}

#[tokio::test]
async fn many_numbers_are_asked_ahead_and_split_replies_understood() {
    let server = Server::start(|query| {
        let asn = query.strip_prefix("!gAS").and_then(|n| n.parse::<u32>().ok());
        match (query, asn) {
            ("!iAS-BIG,1", _) => {
                Say::Pieces(data(&(1..=1000).map(|n| format!("AS{n}")).collect::<Vec<_>>().join(" ")))
            }
            (_, Some(n)) => Say::Pieces(data(&format!("10.{}.{}.0/24 11.{0}.{1}.0/24", n / 256, n % 256))),
            _ => old(query),
        }
    });
    let v4 = Ask { prefixes: FamilySet::EMPTY.with(Family::Ipv4), members: false };
    let answers = fetch(&server.address, 10 * SOON, &query("AS-BIG"), v4).await.unwrap();
    assert_eq!(of(&answers, V4).len(), 2000);
}

/// At which query, what is said, and words of the error.
type Case = (&'static str, fn() -> Say, &'static str);

/// Each way to fail, and the words it must be told with.
#[tokio::test]
async fn every_failure_is_an_error_and_never_a_list() {
    let cases: [Case; 12] = [
        ("!a4AS-X", || Say::Bytes("F internal error\n".into()), "the server failed: internal error"),
        ("!a4AS-X", || Say::Last("A100\n192.0.2.0/24 ".into()), "closed the connection"),
        ("!a4AS-X", || Say::Last(String::new()), "closed the connection"),
        ("!a4AS-X", || Say::Bytes("A10\n192.0.2.0/24\nC\n".into()), "does not fit"),
        ("!a4AS-X", || Say::Bytes("A14\n192.0.2.0/24\nC\n".into()), "does not fit"),
        ("!a4AS-X", || Say::Bytes("A99999999999\n".into()), "more than the limit"),
        ("!a4AS-X", || Say::Bytes("<html>\n".into()), "not a reply"),
        ("!a4AS-X", || Say::Bytes(data("192.0.2.0/24 <html>")), "damaged list"),
        ("!a4AS-X", || Say::Nothing, "said nothing for"),
        ("!a4AS-X", || Say::Bytes("E\n".into()), "unexpected reply to !a4AS-X"),
        ("!a", || Say::Last("%% Access denied".into()), "Access denied"),
        ("!sRIPE", || Say::Bytes("F One or more selected sources are unavailable.\n".into()), "sources RIPE"),
    ];
    for (at, say, words) in cases {
        let server = Server::start(move |query| if query == at { say() } else { well(query) });
        let asked = Query { name: "AS-X".into(), source: None, sources: vec!["RIPE".into()] };
        let told = match fetch(&server.address, SOON, &asked, ALL).await {
            Ok(answers) => answers[0].1.as_ref().unwrap_err().to_string(),
            Err(error) => error.to_string(),
        };
        assert!(told.contains(words), "{at}: {told:?} lacks {words:?}");
    }
}

#[tokio::test]
async fn one_failing_number_fails_the_family_but_not_the_other() {
    let server =
        Server::start(|query| if query == "!gAS112" { Say::Bytes("F broken\n".into()) } else { old(query) });
    let answers = fetch(&server.address, SOON, &query("AS-X"), ALL).await.unwrap();
    assert_eq!(answers[0].1, Err(FetchError::Failed("AS112: broken".into())));
    assert_eq!(of(&answers, V6), ["2001:db8::/32"]);
}

#[tokio::test]
async fn after_silence_nothing_on_the_connection_is_believed() {
    let server = Server::start(|query| if query == "!a4AS-X" { Say::Nothing } else { well(query) });
    let answers = fetch(&server.address, SOON, &query("AS-X"), ALL).await.unwrap();
    assert!(answers.iter().all(|(_, answer)| *answer == Err(FetchError::Silent(SOON))));
}

#[tokio::test]
async fn nobody_listens_and_names_that_are_none() {
    let nowhere = HostPort { host: "127.0.0.1".into(), port: 1 };
    assert!(matches!(fetch(&nowhere, SOON, &query("AS-X"), ALL).await, Err(FetchError::Connect(_))));
    assert!(matches!(fetch(&nowhere, SOON, &query("AS-X\n!q"), ALL).await, Err(FetchError::Name(_))));
    let odd = Query { name: "AS-X".into(), source: None, sources: vec!["RIPE\n!q".into()] };
    assert!(matches!(fetch(&nowhere, SOON, &odd, ALL).await, Err(FetchError::Name(_))));
}
