//! What a cache may do wrong, one after the other: its good data stand, and it is asked again.

use crate::pdus;
use crate::site::{Cache, Conversation, Query, Site, config, ms};

const A: (&str, u32) = ("192.0.2.0/24", 64496);
const B: (&str, u32) = ("2001:db8::/32", 64497);

/// A cache whose client has A of serial 1, and the connection they speak on.
async fn loaded() -> (Cache, Conversation, Site) {
    let cache = Cache::start().await;
    let mut site = Site::start(config(&[&cache]));
    let mut talk = cache.accept().await;
    assert_eq!(talk.query().await, Query::Reset(2));
    talk.send(&pdus::answer(2, 7, 1, &[A])).await;
    let update = site.expect(&[A], &[]).await;
    assert!(update.complete);
    (cache, talk, site)
}

/// The client has asked for what changed since serial 1.
async fn asked(talk: &mut Conversation) {
    talk.send(&pdus::notify(2, 7, 2)).await;
    assert_eq!(talk.query().await, Query::Serial(2, 7, 1));
}

#[tokio::test]
async fn a_connection_lost_in_the_middle_of_an_answer_loses_nothing() {
    let (cache, mut talk, mut site) = loaded().await;
    asked(&mut talk).await;
    let delta = [pdus::response(2, 7), pdus::vrp(2, true, B.0, 32, B.1)].concat();
    talk.send(&delta).await;
    drop(talk);
    let mut talk = cache.accept().await;
    assert_eq!(talk.query().await, Query::Serial(2, 7, 1));
    site.expect_nothing().await;
    talk.send(&[delta, pdus::end(2, 7, 2)].concat()).await;
    site.expect(&[B], &[]).await;
    let status = site.client.status();
    let server = &status.servers[0];
    assert_eq!((server.version, server.session, server.serial), (Some(2), Some(7), Some(2)));
    assert!(server.connected && server.usable && server.failures == 1, "{server:?}");
    assert_eq!(server.last_error, None);
}

#[tokio::test]
async fn a_whole_set_cut_off_at_every_place_is_taken_once_it_is_whole() {
    let cache = Cache::start().await;
    let mut site = Site::start(config(&[&cache]));
    let whole = pdus::answer(2, 7, 1, &[A, B]);
    for cut in [8, 9, 28, 40, whole.len() - 1] {
        let mut talk = cache.accept().await;
        assert_eq!(talk.query().await, Query::Reset(2));
        talk.send(&whole[..cut]).await;
    }
    let mut talk = cache.accept().await;
    talk.query().await;
    talk.send(&whole).await;
    site.expect(&[A, B], &[]).await;
}

#[tokio::test]
async fn nonsense_of_each_kind_costs_one_connection() {
    let (cache, mut talk, mut site) = loaded().await;
    let opened = |pdu: Vec<u8>| [pdus::response(2, 7), pdu].concat();
    for (octets, code) in [
        (opened(vec![2, 4, 0, 0, 0xff, 0xff, 0xff, 0xff]), 0),
        (opened(vec![2, 4, 0, 0, 0, 0, 0, 7]), 0),
        (opened(vec![2, 11, 1, 0, 0x7f, 0xff, 0xff, 0xfc]), 0),
        (opened(pdus::vrp(2, true, A.0, 33, A.1)), 0),
        (pdus::answer(2, 7, 2, &[A]), 7),
        (opened([pdus::vrp(2, false, B.0, 32, B.1), pdus::end(2, 7, 2)].concat()), 6),
        (pdus::response(1, 7), 8),
        (pdus::end(2, 7, 2), 0),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_vec(), 5),
    ] {
        drop(talk);
        talk = cache.accept().await;
        assert_eq!(talk.query().await, Query::Serial(2, 7, 1));
        talk.send(&octets).await;
        assert_eq!(talk.query().await, Query::Error(2, code), "{octets:?}");
        assert_eq!(talk.query().await, Query::Closed);
        let status = site.status(|s| s.servers[0].last_error.is_some()).await;
        assert!(status.servers[0].usable, "what was good stands");
        talk = cache.accept().await;
        let query = talk.query().await;
        assert!(matches!(query, Query::Reset(2) | Query::Serial(2, 7, 1)), "{query:?}");
        // A whole set, or an empty delta.
        let same = if query == Query::Reset(2) { vec![A] } else { vec![] };
        talk.send(&pdus::answer(2, 7, 1, &same)).await;
        site.status(|s| s.servers[0].connected && s.servers[0].last_error.is_none()).await;
        site.expect_nothing().await;
    }
}

#[tokio::test]
async fn a_stalled_cache_times_out_before_and_within_an_answer() {
    let cache = Cache::start().await;
    let mut config = config(&[&cache]);
    config.timers.response = ms(150);
    let mut site = Site::start(config);
    for opening in [vec![], pdus::response(2, 7), [pdus::response(2, 7), vec![2, 4, 0, 0]].concat()] {
        let mut talk = cache.accept().await;
        assert_eq!(talk.query().await, Query::Reset(2));
        talk.send(&opening).await;
        assert_eq!(talk.query().await, Query::Closed);
        let status = site.status(|s| s.servers[0].last_error.is_some()).await;
        assert!(status.servers[0].last_error.as_ref().unwrap().contains("silent for 150ms"), "{status:?}");
    }
    let mut talk = cache.accept().await;
    talk.query().await;
    talk.send(&pdus::answer(2, 7, 1, &[A])).await;
    site.expect(&[A], &[]).await;
}

#[tokio::test]
async fn an_answer_that_trickles_has_an_end() {
    let cache = Cache::start().await;
    let mut config = config(&[&cache]);
    config.timers.payload = ms(300);
    let site = Site::start(config);
    let mut talk = cache.accept().await;
    talk.query().await;
    talk.send(&pdus::response(2, 7)).await;
    let trickle = async {
        loop {
            talk.send_in_vain(&pdus::vrp(2, true, A.0, 24, A.1)).await;
            tokio::time::sleep(ms(20)).await;
        }
    };
    let ended = site
        .status(|s| s.servers[0].last_error.as_ref().is_some_and(|e| e.contains("not complete after 300ms")));
    tokio::select! {
        () = trickle => {}
        status = ended => assert_eq!(status.servers[0].last_update, None),
    }
}

#[tokio::test]
async fn an_endless_answer_ends_at_the_limit() {
    let cache = Cache::start().await;
    let site = Site::start(config(&[&cache]));
    let mut talk = cache.accept().await;
    talk.query().await;
    talk.send(&pdus::response(2, 7)).await;
    let block = pdus::vrp(2, true, A.0, 24, A.1).repeat(10_000);
    let flood = async {
        loop {
            talk.send_in_vain(&block).await;
            tokio::task::yield_now().await;
        }
    };
    let ended = site.status(|s| {
        s.servers[0].last_error.as_ref().is_some_and(|e| e.contains("more than 2500000 VRPs in one answer"))
    });
    tokio::select! {
        () = flood => {}
        status = ended => assert!(!status.servers[0].usable),
    }
}

#[tokio::test]
async fn session_changes_and_old_serials_lead_to_a_whole_set() {
    let (cache, mut talk, mut site) = loaded().await;
    asked(&mut talk).await;
    talk.send(&pdus::reset(2)).await;
    assert_eq!(talk.query().await, Query::Reset(2), "on the same connection");
    talk.send(&pdus::answer(2, 8, 5, &[A, B])).await;
    site.expect(&[B], &[]).await;

    talk.send(&pdus::notify(2, 9, 6)).await;
    assert_eq!(talk.query().await, Query::Error(2, 0));
    let mut talk = cache.accept().await;
    assert_eq!(talk.query().await, Query::Reset(2));
    talk.send(&pdus::answer(2, 9, 6, &[B])).await;
    site.expect(&[], &[A]).await;

    drop(talk);
    let mut talk = cache.accept().await;
    assert_eq!(talk.query().await, Query::Serial(2, 9, 6));
    talk.send(&pdus::answer(2, 9, 3, &[A])).await;
    assert_eq!(talk.query().await, Query::Error(2, 0));
    let mut talk = cache.accept().await;
    assert_eq!(talk.query().await, Query::Reset(2));
    site.expect_nothing().await;
    talk.send(&pdus::answer(2, 9, 3, &[A])).await;
    site.expect(&[A], &[B]).await;
}

#[tokio::test]
async fn versions_go_down_by_errors_by_hanging_up_and_by_answers() {
    let cache = Cache::start().await;
    let mut site = Site::start(config(&[&cache]));
    let mut talk = cache.accept().await;
    assert_eq!(talk.query().await, Query::Reset(2));
    talk.send(&pdus::error(1, 4, "version 1 at most")).await;
    let mut talk = cache.accept().await;
    assert_eq!(talk.query().await, Query::Reset(1));
    drop(talk);
    let mut talk = cache.accept().await;
    assert_eq!(talk.query().await, Query::Reset(0));
    talk.send(&pdus::answer(0, 7, 1, &[A])).await;
    site.expect(&[A], &[]).await;
    assert_eq!(site.status(|s| s.servers[0].connected).await.servers[0].version, Some(0));

    let cache = Cache::start().await;
    let mut site = Site::start(config(&[&cache]));
    let mut talk = cache.accept().await;
    assert_eq!(talk.query().await, Query::Reset(2));
    talk.send(&pdus::answer(1, 7, 1, &[A])).await;
    site.expect(&[A], &[]).await;
    talk.send(&pdus::notify(1, 7, 2)).await;
    assert_eq!(talk.query().await, Query::Serial(1, 7, 1));
}

#[tokio::test]
async fn a_cache_that_is_not_there_yet_is_found_when_it_comes() {
    let gone = Cache::start().await;
    let server = gone.server.clone();
    drop(gone);
    let mut site = Site::start(siskin_rpki_client::Config {
        servers: vec![server.clone()],
        timers: crate::site::quick(),
        ..Default::default()
    });
    let status = site.status(|s| s.servers[0].last_error.is_some() && s.servers[0].failures > 1).await;
    assert!(status.servers[0].last_error.as_ref().unwrap().contains("refused"), "{status:?}");
    assert!(!status.complete);
    let listener = tokio::net::TcpListener::bind((server.host.as_str(), server.port)).await.unwrap();
    let (mut stream, _) = listener.accept().await.unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut stream, &pdus::answer(2, 7, 1, &[A])).await.unwrap();
    assert!(site.expect(&[A], &[]).await.complete);
}

#[tokio::test]
async fn a_password_is_never_left_out() {
    let cache = Cache::start().await;
    let mut config = config(&[&cache]);
    config.servers[0].password = Some("secret".into());
    assert!(!format!("{config:?}").contains("secret"));
    let site = Site::start(config);
    let status = site.status(|s| s.servers[0].last_error.is_some()).await;
    assert!(status.servers[0].last_error.as_ref().unwrap().contains("no TCP MD5"));
}
