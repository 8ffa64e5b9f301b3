use super::*;

const CLOCK: SystemTime = SystemTime::UNIX_EPOCH;
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

fn record(asn: u32) -> NetRecord {
    NetRecord {
        asn: Asn(asn),
        name: format!("network {asn}"),
        irr_as_set: "AS-X".into(),
        prefixes: FamilyMap::from_fn(|_| Some(asn)),
        never_via_route_servers: false,
        fetched: CLOCK,
    }
}

fn wanting(asns: impl IntoIterator<Item = u32>, now: Instant) -> Networks {
    let mut networks = Networks::new(now);
    networks.want(asns.into_iter().map(Asn).collect(), now);
    networks
}

#[test]
fn at_most_so_many_are_asked_at_once_and_again_after_a_day() {
    let now = Instant::now();
    let mut networks = wanting(1..=200, now);
    let Ok(Question::Records(first)) = networks.next(now) else { panic!("a question") };
    assert_eq!(first.len(), MAX_BATCH);
    networks.records(&first, Ok(first.iter().map(|asn| record(asn.0)).collect()), DAY, (now, CLOCK), 1000);
    let Ok(Question::Records(rest)) = networks.next(now) else { panic!("a question") };
    assert_eq!(rest.len(), 50);
    networks.records(&rest, Ok(vec![]), DAY, (now, CLOCK), 1000);
    assert_eq!(networks.next(now), Err(Some(now + DAY)));
    assert_eq!((networks.known(Asn(200)), networks.record(Asn(1))), (Known::Absent, Some(&record(1))));
}

#[test]
fn a_record_stays_whatever_peeringdb_says_later() {
    let now = Instant::now();
    let mut networks = wanting([1], now);
    assert_eq!(networks.known(Asn(1)), Known::Unknown("not asked yet".into()));
    networks.records(&[Asn(1)], Err(PeeringDbError::Timeout), DAY, (now, CLOCK), 1000);
    assert_eq!(networks.known(Asn(1)), Known::Unknown("no answer in time".into()));
    assert_eq!(networks.next(now), Err(Some(now + Duration::from_secs(30))));
    networks.records(&[Asn(1)], Ok(vec![record(1)]), DAY, (now, CLOCK), 1000);
    networks.records(&[Asn(1)], Ok(vec![]), DAY, (now, CLOCK), 1000);
    assert_eq!(networks.known(Asn(1)), Known::Record(&record(1)));
    assert_eq!(networks.status(CLOCK + HOUR).without_record, [Asn(1)]);
}

#[test]
fn too_many_requests_wait_as_long_as_asked_and_at_least_a_minute() {
    let wait = |retry_after| {
        let error = PeeringDbError::Status { status: 429, retry_after };
        wait_after(&error, 1, DAY).as_secs()
    };
    assert_eq!([None, Some(1), Some(3540), Some(u64::MAX)].map(wait), [60, 60, 3540, 86_400]);
}

#[test]
fn an_empty_list_of_never_via_route_servers_is_a_failure() {
    let now = Instant::now();
    let mut networks = Networks::new(now);
    networks.want_never(true);
    assert_eq!(networks.next(now), Ok(Question::Never));
    networks.never(Ok(vec![Asn(174)]), DAY, (now, CLOCK), 1000);
    assert_eq!(networks.new_never().as_deref(), Some(&[Asn(174)][..]));
    assert_eq!(networks.new_never(), None, "told once");
    networks.never(Ok(vec![]), DAY, (now, CLOCK), 1000);
    assert!(networks.status(CLOCK).last_error.is_some());
    assert_eq!(networks.new_never(), None);
    networks.want_never(false);
    networks.want_never(true);
    assert_eq!(networks.new_never().as_deref(), Some(&[Asn(174)][..]), "asked anew, told anew");
}

#[test]
fn what_is_on_disk_comes_back_and_is_due_by_its_age() {
    let now = Instant::now();
    let mut networks = wanting([1, 2], now);
    networks.want_never(true);
    networks.records(&[Asn(1), Asn(2)], Ok(vec![record(1)]), DAY, (now, CLOCK + HOUR), 1000);
    networks.never(Ok(vec![Asn(174)]), DAY, (now, CLOCK), 1000);
    let file = serde_json::to_value(networks.to_file()).unwrap();
    let mut again = Networks::new(now);
    again.load(serde_json::from_value(file).unwrap(), DAY, (now, CLOCK + 10 * HOUR), 1000);
    again.want([1, 2, 3].map(Asn).into(), now);
    again.want_never(true);
    assert_eq!(again.next(now), Ok(Question::Records(vec![Asn(3)])));
    assert_eq!(again.next(now + 14 * HOUR), Ok(Question::Never));
    assert_eq!((again.known(Asn(1)), again.known(Asn(2))), (Known::Record(&record(1)), Known::Absent));
}
