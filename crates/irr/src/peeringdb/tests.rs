use proptest::prelude::*;

use super::*;

const NOW: SystemTime = SystemTime::UNIX_EPOCH;

#[test]
fn headroom_is_a_tenth_and_at_least_ten() {
    let limits = [0, 1, 99, 100, 101, 12_000, u32::MAX].map(limit_with_headroom);
    assert_eq!(limits, [10, 11, 109, 110, 112, 13_200, u32::MAX]);
}

#[test]
fn records_are_read_and_unset_numbers_are_none() {
    let body = br#"{"data": [
        {"id": 2, "name": "Example", "asn": 112, "irr_as_set": "RIPE::AS-X AS-Y", "info_prefixes4": 20, "info_prefixes6": 0,
         "info_never_via_route_servers": true, "notes": "more"},
        {"asn": 3333, "name": null, "irr_as_set": null, "info_prefixes4": null},
        {"asn": "none"}, 17], "meta": {}}"#;
    let records = parse_records(body, NOW).unwrap();
    assert_eq!(records.len(), 2);
    assert_eq!(records[0].prefixes[Family::Ipv4], Some(20));
    assert_eq!(records[0].prefixes[Family::Ipv6], None);
    assert!(records[0].never_via_route_servers);
    assert_eq!((records[1].asn, records[1].irr_as_set.as_str()), (Asn(3333), ""));
    assert_eq!(records[1].prefixes, FamilyMap::default());
    assert_eq!(parse_asns(body).unwrap(), [Asn(112), Asn(3333)]);
}

#[test]
fn failures_are_told_from_no_record() {
    assert_eq!(parse_records(br#"{"data": [], "meta": {}}"#, NOW), Ok(vec![]));
    assert_eq!(
        parse_records(br#"{"data": [], "meta": {"error": "throttled"}}"#, NOW),
        Err(PeeringDbError::Meta("throttled".into()))
    );
    for body in ["", "<html>", "[]", "{}", r#"{"data": 7}"#, r#"{"data": [{"asn": 1"#] {
        assert!(matches!(parse_records(body.as_bytes(), NOW), Err(PeeringDbError::Json(_))), "{body}");
    }
}

#[test]
fn a_query_names_all_numbers() {
    assert!(records_query(&[Asn(112), Asn(3333)]).starts_with("/net?asn__in=112,3333&fields=asn,name,"));
}

proptest! {
    #[test]
    fn no_body_makes_it_panic(body in "\\PC{0,200}") {
        let _ = parse_records(body.as_bytes(), NOW);
        let _ = parse_asns(body.as_bytes());
    }
}
