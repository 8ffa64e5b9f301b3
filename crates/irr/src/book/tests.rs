use siskin_net::{Family, FamilySet, Prefix};

use super::*;
use crate::{Names, SetRequest};

const CLOCK: SystemTime = SystemTime::UNIX_EPOCH;
const HOUR: Duration = Duration::from_secs(3600);
const V4: Part = Part::Prefixes(Family::Ipv4);

fn request(names: &[&str]) -> PeerRequest {
    let names = Names::Sets(names.iter().map(|name| name.parse().unwrap()).collect());
    let families = FamilySet::EMPTY.with(Family::Ipv4);
    let sets = SetRequest { names, sources: None, families, members: false };
    PeerRequest { asn: siskin_net::Asn(112), sets: Some(sets), peeringdb: false }
}

fn requests(peers: &[(&str, &[&str])]) -> BTreeMap<String, PeerRequest> {
    peers.iter().map(|(peer, names)| ((*peer).to_owned(), request(names))).collect()
}

/// A book whose disk is empty and whose records are read.
fn book(peers: &[(&str, &[&str])], now: Instant) -> Book {
    let mut book = Book::new(Config { refresh: 12 * HOUR, parallel: 2, ..Config::default() }, now);
    book.set_requests(requests(peers), false, now);
    book.set_ready(now);
    load(&mut book, now);
    book
}

/// Lets the disk say that it has nothing.
fn load(book: &mut Book, now: Instant) -> Work {
    let work = book.next(now);
    for (query, parts) in &work.loads {
        book.loaded(query, parts.iter().map(|part| (*part, Ok(None))).collect(), now, CLOCK, 1000);
    }
    work
}

fn prefixes(count: u128) -> Answer {
    Answer::Prefixes((0..count).map(|n| Prefix::from_bits(Family::Ipv4, n << 104, 24)).collect())
}

fn answer(book: &mut Book, job: &Job, answer: Result<Answer, FetchError>, now: Instant) {
    book.fetched(&job.query, Ok(vec![(V4, answer)]), now, CLOCK, 1000);
    book.released(&job.query);
}

#[test]
fn nothing_happens_before_the_records_are_read() {
    let now = Instant::now();
    let mut book = Book::new(Config::default(), now);
    book.set_requests(requests(&[("a", &["AS-X"])]), false, now);
    let work = book.next(now);
    assert!(work.loads.is_empty() && work.fetches.is_empty() && work.snapshots.is_empty());
    book.set_ready(now);
    assert_eq!(book.next(now).loads.len(), 1);
    assert!(book.next(now).loads.is_empty(), "a load under way is not begun again");
}

#[test]
fn fetches_are_limited_and_the_longest_due_goes_first() {
    let now = Instant::now();
    let mut book = book(&[("a", &["AS-A", "AS-B", "AS-C"]), ("b", &["AS-A"])], now);
    let first = book.next(now).fetches;
    assert_eq!(first.len(), 2);
    assert!(book.next(now).fetches.is_empty());
    answer(&mut book, &first[0], Ok(prefixes(3)), now);
    let second = book.next(now).fetches;
    assert_eq!((second.len(), second[0].query.name.as_str()), (1, "AS-C"));
    // A task that dies gives its place back and is asked for again later.
    book.released(&first[1].query);
    assert!(book.next(now).fetches.is_empty());
    assert_eq!(book.next(now + HOUR).fetches[0].query.name, "AS-B");
}

#[test]
fn a_set_is_due_after_a_refresh_or_sooner_after_a_failure() {
    let now = Instant::now();
    let mut book = book(&[("a", &["AS-A"])], now);
    let job = book.next(now).fetches.remove(0);
    answer(&mut book, &job, Err(FetchError::Closed), now);
    assert_eq!(book.next(now).until, Some(now + Duration::from_secs(30)));
    let job = book.next(now + Duration::from_secs(30)).fetches.remove(0);
    answer(&mut book, &job, Err(FetchError::Closed), now);
    assert_eq!(book.next(now).until, Some(now + Duration::from_secs(60)));
    book.refresh(Some("other"), now);
    assert!(book.next(now).fetches.is_empty());
    book.refresh(Some("a"), now);
    let job = book.next(now).fetches.remove(0);
    answer(&mut book, &job, Ok(prefixes(3)), now);
    assert_eq!(book.next(now).until, Some(now + 12 * HOUR));
    book.reconfigure(Config { refresh: HOUR, ..book.config.clone() }, now);
    assert_eq!(book.next(now).until, Some(now + HOUR));
}

#[test]
fn what_the_disk_has_is_told_first_and_asked_for_when_it_is_old() {
    let now = Instant::now();
    let mut book = Book::new(Config { refresh: 12 * HOUR, ..Config::default() }, now);
    book.set_requests(requests(&[("a", &["AS-A"]), ("b", &["AS-B"])]), false, now);
    book.set_ready(now);
    let work = book.next(now);
    assert!(work.snapshots.is_empty(), "the disk was not read yet");
    let Answer::Prefixes(list) = prefixes(7) else { unreachable!() };
    let good = |fetched| Good { data: Data::Prefixes(list.clone()), fetched };
    let clock = CLOCK + 100 * HOUR;
    book.loaded(&work.loads[0].0, vec![(V4, Ok(Some(good(clock - 4 * HOUR))))], now, clock, 1000);
    book.loaded(&work.loads[1].0, vec![(V4, Ok(Some(good(clock - 40 * HOUR))))], now, clock, 1000);
    let work = book.next(now);
    assert_eq!(work.snapshots.len(), 2);
    assert_eq!(work.fetches.iter().map(|job| job.query.name.as_str()).collect::<Vec<_>>(), ["AS-B"]);
    assert_eq!(work.until, Some(now + 8 * HOUR));
    let states: Vec<_> = book.status(clock).sets.into_iter().map(|row| row.state.name()).collect();
    assert_eq!(states, ["fresh", "kept"]);
}

#[test]
fn other_sources_leave_the_old_lists_in_force_until_the_new_are_there() {
    let now = Instant::now();
    let mut book = book(&[("a", &["AS-A"])], now);
    let job = book.next(now).fetches.remove(0);
    answer(&mut book, &job, Ok(prefixes(3)), now);
    assert_eq!(book.next(now).snapshots.len(), 1);
    book.reconfigure(Config { sources: vec!["ripe".into()], ..book.config.clone() }, now);
    let work = load(&mut book, now);
    assert_eq!(work.loads[0].0.sources, ["RIPE"]);
    let job = book.next(now).fetches.remove(0);
    answer(&mut book, &job, Err(FetchError::Closed), now);
    let lists = book.next(now).snapshots.pop().map(Snapshot::compose);
    assert!(lists.is_none_or(|lists| lists.prefixes[Family::Ipv4].as_ref().is_some_and(|l| l.len() == 3)));
    answer(&mut book, &job, Ok(prefixes(5)), now);
    let lists = book.next(now).snapshots.pop().map(Snapshot::compose);
    assert!(lists.is_some_and(|lists| lists.prefixes[Family::Ipv4].as_ref().is_some_and(|l| l.len() == 5)));
    assert_eq!(book.status(CLOCK).sets.len(), 1, "the old set is forgotten");
}

#[test]
fn a_peer_that_goes_takes_its_sets_along() {
    let now = Instant::now();
    let mut book = book(&[("a", &["AS-A"]), ("b", &["AS-B"])], now);
    let jobs = book.next(now).fetches;
    book.set_requests(requests(&[("b", &["AS-B"])]), false, now);
    answer(&mut book, &jobs[0], Ok(prefixes(3)), now);
    assert_eq!(book.status(CLOCK).sets.iter().map(|row| row.name.as_str()).collect::<Vec<_>>(), ["AS-B"]);
    assert!(book.view("AS-A", CLOCK).is_none());
}
