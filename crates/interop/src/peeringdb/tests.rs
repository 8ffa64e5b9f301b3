use super::*;

fn get(server: &PeeringDb, target: &str) -> String {
    let mut stream = TcpStream::connect(server.address).unwrap();
    stream.write_all(format!("GET {target} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

fn asns(response: &str) -> Vec<u64> {
    let (_, body) = response.split_once("\r\n\r\n").unwrap();
    let page: Value = serde_json::from_str(body).unwrap();
    page["data"].as_array().unwrap().iter().map(|record| record["asn"].as_u64().unwrap()).collect()
}

fn start() -> PeeringDb {
    let mut never = record(174, "", 0, 0);
    never["info_never_via_route_servers"] = json!(true);
    let records = vec![record(112, "AS112", 2, 2), never, record(3333, "RIPE::AS-RIPENCC", 20, 10)];
    PeeringDb::start("127.0.0.1:0".parse().unwrap(), records).unwrap()
}

#[test]
fn filters_and_fields_work_as_in_the_api() {
    let server = start();
    assert_eq!(asns(&get(&server, "/api/net?asn__in=3333,112,9")), [112, 3333]);
    assert_eq!(asns(&get(&server, "/api/net?asn=3333")), [3333]);
    let never = get(&server, "/api/net?info_never_via_route_servers=1&fields=asn");
    assert!(never.ends_with("{\"data\":[{\"asn\":174}],\"meta\":{}}"), "{never}");
    assert!(get(&server, "/api/org?asn=1").starts_with("HTTP/1.1 404"));
    let many: Vec<String> = (1..=151).map(|n| n.to_string()).collect();
    assert!(get(&server, &format!("/api/net?asn__in={}", many.join(","))).starts_with("HTTP/1.1 400"));
    assert_eq!(server.requests().len(), 5);
}

#[test]
fn it_fails_as_told() {
    let server = start();
    for (word, begin, end) in [
        ("429", "HTTP/1.1 429 Too Many Requests\r\n", "throttled.\"}"),
        ("500", "HTTP/1.1 500 ", "</html>"),
        ("meta", "HTTP/1.1 200 ", "fails\"}}"),
        ("garbage", "HTTP/1.1 200 ", "</html>"),
    ] {
        server.fail(Some(word.parse().unwrap()));
        let response = get(&server, "/api/net?asn=112");
        assert!(response.starts_with(begin) && response.ends_with(end), "{word}: {response}");
    }
    server.fail(None);
    assert_eq!(asns(&get(&server, "/api/net?asn=112")), [112]);
    assert!("nothing".parse::<Failure>().is_err());
}
