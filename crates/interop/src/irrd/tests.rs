use std::io::Read;

use super::*;

const DATA: &str = "
set AS-TOP AS112 AS-NESTED AS64512   # a private number
set AS-NESTED AS3333 AS-TOP
set AS-EMPTY
route AS112 192.0.2.0/24
route AS3333 193.0.0.0/21 2001:db8::/32
source RADB
set AS-NESTED AS174
route AS112 192.0.2.0/24 198.51.100.0/24
route AS174 203.0.113.0/24
";

fn ask(irrd: &Irrd, queries: &str) -> String {
    let mut stream = TcpStream::connect(irrd.address()).unwrap();
    stream.write_all(queries.as_bytes()).unwrap();
    let mut text = Vec::new();
    // A failing server may reset the connection; what came before counts.
    let _ = stream.read_to_end(&mut text);
    String::from_utf8_lossy(&text).into_owned()
}

fn start() -> Irrd {
    Irrd::start("127.0.0.1:0".parse().unwrap(), Registry::read(DATA).unwrap()).unwrap()
}

#[test]
fn it_answers_as_irrd_does() {
    let irrd = start();
    let hello = "!!\n!ntest\n!a\n";
    let begun = "C\nF Missing required set name for A query\n";
    let cases = [
        ("!s-lc\n", "A10\nRIPE,RADB\nC\n"),
        ("!gAS112\n", "A29\n192.0.2.0/24 198.51.100.0/24\nC\n"),
        ("!gas112\n", "A29\n192.0.2.0/24 198.51.100.0/24\nC\n"),
        ("!6AS3333\n", "A14\n2001:db8::/32\nC\n"),
        ("!6AS112\n", "D\n"),
        ("!iAS-TOP\n", "A24\nAS112 AS-NESTED AS64512\nC\n"),
        ("!iAS-TOP,1\n", "A21\nAS112 AS3333 AS64512\nC\n"),
        ("!a6as-top\n", "A14\n2001:db8::/32\nC\n"),
        ("!iAS-EMPTY\n", "D\n"),
        ("!sRADB\n!iAS-NESTED,1\n!gAS112\n", "C\nA6\nAS174\nC\nA29\n192.0.2.0/24 198.51.100.0/24\nC\n"),
        ("!sNONE\n", "F One or more selected sources are unavailable.\n"),
        ("!zzz\n", "F Unrecognised command\n"),
    ];
    for (query, reply) in cases {
        assert_eq!(ask(&irrd, &format!("{hello}{query}!q\n")), format!("{begun}{reply}"), "{query}");
    }
    assert_eq!(ask(&irrd, "!gAS174\n!gAS112\n"), "A15\n203.0.113.0/24\nC\n", "without !! it closes");
    irrd.resolves_sets(false);
    assert_eq!(ask(&irrd, "!a4AS-TOP\n"), "F Unrecognised command\n");
}

#[test]
fn it_fails_as_told_and_recovers() {
    let irrd = start();
    let whole = "A14\n2001:db8::/32\nC\n";
    for (word, reply) in [
        ("refuse", "%% Access denied"),
        ("close", "A14\n2001:"),
        ("failed", "F An internal error occurred while processing this query.\n"),
        ("not-found", "D\n"),
        ("long-length", "A16\n2001:db8::/32\nC\n"),
        ("short-length", "A12\n2001:db8::/32\nC\n"),
        ("junk", "A21\n2001:db8::/32 <junk>\nC\n"),
        ("split", whole),
    ] {
        irrd.fail(Some(word.parse().unwrap()));
        assert!(ask(&irrd, "!6AS3333\n").starts_with(reply), "{word}: {:?}", ask(&irrd, "!6AS3333\n"));
    }
    irrd.fail(None);
    assert_eq!(ask(&irrd, "!6AS3333\n"), whole);
    irrd.update(|registry| registry.remove_routes(3333));
    assert_eq!(ask(&irrd, "!6AS3333\n"), "D\n");
    assert!("nothing".parse::<Failure>().is_err());
}

#[test]
fn a_dropped_server_is_gone() {
    let irrd = start();
    let address = irrd.address();
    let mut open = TcpStream::connect(address).unwrap();
    open.write_all(b"!!\n").unwrap();
    irrd.fail(Some(Failure::Hang));
    drop(irrd);
    let mut rest = Vec::new();
    let _ = open.read_to_end(&mut rest);
    let gone = || TcpStream::connect(address).is_err();
    assert!((0..100).any(|_| gone() || {
        thread::sleep(Duration::from_millis(10));
        false
    }));
}
