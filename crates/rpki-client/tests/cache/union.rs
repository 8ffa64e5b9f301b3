//! Several caches: their union, their expiry, their coming and going; and a receiver that does not keep up.

use siskin_rpki_client::Config;
use tokio::time::timeout;

use crate::pdus;
use crate::site::{Cache, Conversation, Query, Site, config, ms, quick};

const A: (&str, u32) = ("192.0.2.0/24", 64496);
const B: (&str, u32) = ("2001:db8::/32", 64497);
const C: (&str, u32) = ("198.51.100.0/24", 64498);

/// Accepts, and answers the first query with a whole set of serial 1.
async fn serve(cache: &Cache, vrps: &[(&str, u32)]) -> Conversation {
    let mut talk = cache.accept().await;
    assert_eq!(talk.query().await, Query::Reset(2));
    talk.send(&pdus::answer(2, 7, 1, vrps)).await;
    talk
}

#[tokio::test]
async fn two_caches_unite_and_the_one_that_dies_expires() {
    let (one, two) = (Cache::start().await, Cache::start().await);
    let mut config = config(&[&one, &two]);
    config.timers.expire = Some(ms(1500));
    config.timers.refresh = Some(ms(200));
    let mut site = Site::start(config);
    let talk_one = serve(&one, &[A, B]).await;
    site.expect(&[A, B], &[]).await;
    let mut talk_two = serve(&two, &[B, C]).await;
    site.expect(&[C], &[]).await;
    drop((one, talk_one));
    let keep_two = async {
        loop {
            match talk_two.query().await {
                Query::Serial(2, 7, 1) => talk_two.send(&pdus::answer(2, 7, 1, &[])).await,
                other => panic!("{other:?}"),
            }
        }
    };
    tokio::select! {
        () = keep_two => {}
        update = site.expect(&[], &[A]) => assert!(update.complete, "it stays true"),
    }
    let status = site.client.status();
    let usable: Vec<bool> = status.servers.iter().map(|s| s.usable).collect();
    assert_eq!(usable.iter().filter(|u| **u).count(), 1, "{status:?}");
}

#[tokio::test]
async fn aspas_come_whole_when_they_change() {
    let cache = Cache::start().await;
    let mut site = Site::start(config(&[&cache]));
    let mut talk = cache.accept().await;
    talk.query().await;
    talk.send(
        &[pdus::response(2, 7), pdus::aspa(10, &[2, 1]), pdus::aspa(11, &[0]), pdus::end(2, 7, 1)].concat(),
    )
    .await;
    let aspas = site.next().await.aspas.expect("ASPAs");
    assert_eq!(format!("{aspas:?}").matches("Aspa").count(), 2);
    assert_eq!(aspas[0].providers.iter().map(|p| p.0).collect::<Vec<_>>(), [1, 2]);
    talk.send(&pdus::notify(2, 7, 2)).await;
    assert_eq!(talk.query().await, Query::Serial(2, 7, 1));
    talk.send(&[pdus::response(2, 7), pdus::aspa(10, &[]), pdus::end(2, 7, 2)].concat()).await;
    let aspas = site.next().await.aspas.expect("ASPAs");
    assert_eq!(aspas.iter().map(|a| a.customer.0).collect::<Vec<_>>(), [11]);
    assert_eq!(site.client.status().aspas, 1);
}

#[tokio::test]
async fn a_new_configuration_adds_and_removes_caches() {
    let (one, two) = (Cache::start().await, Cache::start().await);
    let mut site = Site::start(config(&[&one]));
    let mut talk_one = serve(&one, &[A]).await;
    site.expect(&[A], &[]).await;
    site.client.reconfigure(config(&[&one, &two]));
    let _talk_two = serve(&two, &[B]).await;
    site.expect(&[B], &[]).await;
    talk_one.send(&pdus::notify(2, 7, 2)).await;
    assert_eq!(talk_one.query().await, Query::Serial(2, 7, 1), "its connection has stayed");
    site.client.reconfigure(config(&[&two]));
    site.expect(&[], &[A]).await;
    assert_eq!(talk_one.query().await, Query::Closed);
    assert_eq!(site.client.status().servers.len(), 1);
}

#[tokio::test]
async fn a_cache_with_new_timers_keeps_its_data_until_it_answers_again() {
    let cache = Cache::start().await;
    let mut site = Site::start(config(&[&cache]));
    let _talk = serve(&cache, &[A, B]).await;
    site.expect(&[A, B], &[]).await;
    let mut changed = config(&[&cache]);
    changed.timers.response = ms(5000);
    site.client.reconfigure(changed);
    let _talk = serve(&cache, &[B, C]).await;
    site.expect(&[C], &[A]).await;
}

#[tokio::test]
async fn with_no_cache_there_is_nothing_to_wait_for() {
    let mut site = Site::start(Config { timers: quick(), ..Config::default() });
    let update = site.expect(&[], &[]).await;
    assert!(update.complete && update.aspas.is_none());
    site.expect_nothing().await;
}

#[tokio::test]
async fn a_slow_receiver_gets_fewer_updates_and_the_same_table() {
    let cache = Cache::start().await;
    let mut site = Site::start(config(&[&cache]));
    let mut talk = serve(&cache, &[A]).await;
    site.expect(&[A], &[]).await;
    // Nobody receives while B comes, goes, comes, and C comes, and B goes.
    talk.send(&pdus::notify(2, 7, 2)).await;
    assert_eq!(talk.query().await, Query::Serial(2, 7, 1));
    let first = [pdus::response(2, 7), pdus::vrp(2, true, B.0, 32, B.1), pdus::end(2, 7, 2)].concat();
    talk.send(&[first, pdus::notify(2, 7, 3)].concat()).await;
    for (serial, prefix, announce) in [(3, B, false), (4, B, true), (5, C, true), (6, B, false)] {
        assert_eq!(talk.query().await, Query::Serial(2, 7, serial - 1));
        let change =
            pdus::vrp(2, announce, prefix.0, prefix.0[prefix.0.len() - 2..].parse().unwrap(), prefix.1);
        let delta =
            [pdus::response(2, 7), change, pdus::end(2, 7, serial), pdus::notify(2, 7, serial + 1)].concat();
        talk.send(&delta).await;
    }
    site.status(|s| s.servers[0].serial == Some(6)).await;
    // One update was already in the channel, one more holds all the rest.
    site.expect(&[B], &[]).await;
    site.expect(&[C], &[B]).await;
    site.expect_nothing().await;
}

#[tokio::test]
async fn a_client_whose_receiver_is_gone_ends() {
    let cache = Cache::start().await;
    let site = Site::start(config(&[&cache]));
    let mut talk = serve(&cache, &[A]).await;
    drop(site.updates);
    assert_eq!(talk.query().await, Query::Closed);
    timeout(ms(5000), site.client.stop()).await.expect("stop returns");
}
