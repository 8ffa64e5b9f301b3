//! The file of the last good union: a restart begins with it, and nothing damaged or old is believed.

use std::path::Path;

use siskin_net::Family;
use siskin_rpki_client::{Config, Origin};

use crate::pdus;
use crate::site::{Cache, Conversation, Query, Site, config, is_persisted, ms};

const A: (&str, u32) = ("192.0.2.0/24", 64496);
const B: (&str, u32) = ("2001:db8::/32", 64497);
const C: (&str, u32) = ("198.51.100.0/24", 64498);

async fn serve(cache: &Cache, vrps: &[(&str, u32)]) -> Conversation {
    let mut talk = cache.accept().await;
    assert_eq!(talk.query().await, Query::Reset(2));
    talk.send(&pdus::answer(2, 7, 1, vrps)).await;
    talk
}

fn with_file(caches: &[&Cache], file: &Path) -> Config {
    Config { state_file: Some(file.to_path_buf()), ..config(caches) }
}

/// A file that a run left whose cache had `vrps`.
async fn left_by(vrps: &[(&str, u32)], file: &Path) {
    let cache = Cache::start().await;
    let mut site = Site::start(with_file(&[&cache], file));
    let _talk = serve(&cache, vrps).await;
    site.expect(vrps, &[]).await;
    site.client.stop().await;
}

#[tokio::test]
async fn a_restart_begins_with_the_last_good_union() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("rpki.bin");
    left_by(&[A, B], &file).await;

    let cache = Cache::start().await;
    let mut site = Site::start(with_file(&[&cache], &file));
    let update = site.expect(&[A, B], &[]).await;
    assert!(is_persisted(&update) && update.complete, "{update:?}");
    let status = site.client.status();
    assert!(status.persisted_age.is_some_and(|age| age < ms(60_000)), "{status:?}");
    assert_eq!((status.vrps[Family::Ipv4], status.vrps[Family::Ipv6]), (1, 1));

    let _talk = serve(&cache, &[B, C]).await;
    let update = site.expect(&[C], &[A]).await;
    assert_eq!(update.origin, Origin::Live);
    assert_eq!(site.client.status().persisted_age, None);
}

#[tokio::test]
async fn the_same_data_live_are_told_by_an_update_without_a_change() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("rpki.bin");
    left_by(&[A], &file).await;
    let cache = Cache::start().await;
    let mut site = Site::start(with_file(&[&cache], &file));
    assert!(is_persisted(&site.expect(&[A], &[]).await));
    let _talk = serve(&cache, &[A]).await;
    assert_eq!(site.expect(&[], &[]).await.origin, Origin::Live);
    site.expect_nothing().await;
}

#[tokio::test]
async fn old_data_stay_a_while_for_a_cache_that_is_late() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("rpki.bin");
    left_by(&[A, B], &file).await;
    let (prompt, late) = (Cache::start().await, Cache::start().await);
    let mut config = with_file(&[&prompt, &late], &file);
    config.timers.grace = ms(600);
    let mut site = Site::start(config);
    site.expect(&[A, B], &[]).await;
    let _talk = serve(&prompt, &[A, C]).await;
    let update = site.expect(&[C], &[]).await;
    assert_eq!(update.origin, Origin::Live);
    site.expect(&[], &[B]).await;
}

#[tokio::test]
async fn a_run_without_an_answer_leaves_the_file_as_it_was() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("rpki.bin");
    left_by(&[A], &file).await;
    let before = std::fs::read(&file).unwrap();
    let cache = Cache::start().await;
    let mut site = Site::start(with_file(&[&cache], &file));
    site.expect(&[A], &[]).await;
    site.client.stop().await;
    assert_eq!(std::fs::read(&file).unwrap(), before);
}

#[tokio::test]
async fn changes_reach_the_file_without_a_stop() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("rpki.bin");
    let cache = Cache::start().await;
    let mut site = Site::start(with_file(&[&cache], &file));
    let mut talk = serve(&cache, &[A]).await;
    site.expect(&[A], &[]).await;
    let size = async |wanted: u64| {
        for _ in 0..400 {
            if std::fs::metadata(&file).is_ok_and(|m| m.len() == wanted) {
                return;
            }
            tokio::time::sleep(ms(20)).await;
        }
        panic!("the file does not get {wanted} octets");
    };
    size(32 + 10 + 4).await;
    talk.send(&pdus::notify(2, 7, 2)).await;
    talk.query().await;
    talk.send(&[pdus::response(2, 7), pdus::vrp(2, true, B.0, 32, B.1), pdus::end(2, 7, 2)].concat()).await;
    size(32 + 10 + 22 + 4).await;
}

#[tokio::test]
async fn a_damaged_file_is_refused_with_its_reason_and_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("rpki.bin");
    left_by(&[A, B], &file).await;
    let mut octets = std::fs::read(&file).unwrap();
    octets[40] ^= 1;
    std::fs::write(&file, octets).unwrap();

    let cache = Cache::start().await;
    let mut site = Site::start(with_file(&[&cache], &file));
    let status = site.status(|s| s.persist_error.is_some()).await;
    assert_eq!(status.persist_error.as_deref(), Some("the file is damaged: the checksum is wrong"));
    assert!(!status.complete);
    let _talk = serve(&cache, &[C]).await;
    assert_eq!(site.expect(&[C], &[]).await.origin, Origin::Live);
    site.status(|s| s.persist_error.is_none()).await;
}

#[tokio::test]
async fn a_file_that_is_too_old_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("rpki.bin");
    left_by(&[A], &file).await;
    tokio::time::sleep(ms(1100)).await;
    let cache = Cache::start().await;
    let mut config = with_file(&[&cache], &file);
    config.timers.persisted = ms(10);
    let site = Site::start(config);
    let status = site.status(|s| s.persist_error.is_some()).await;
    assert!(status.persist_error.as_ref().unwrap().contains("old, more than"), "{status:?}");
}

#[tokio::test]
async fn a_directory_that_cannot_be_written_is_told() {
    let cache = Cache::start().await;
    let mut site = Site::start(with_file(&[&cache], Path::new("/proc/siskin-rpki/rpki.bin")));
    let _talk = serve(&cache, &[A]).await;
    site.expect(&[A], &[]).await;
    let status = site.status(|s| s.persist_error.is_some()).await;
    assert!(status.persist_error.as_ref().unwrap().contains("No such file"), "{status:?}");
}
