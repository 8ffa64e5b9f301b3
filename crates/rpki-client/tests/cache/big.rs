//! A set of the world's size, and a delta of ten to it. Times are printed, not judged: `--nocapture`, with `--release`.

use std::time::Instant;

use siskin_net::Family;

use crate::pdus;
use crate::site::{Cache, Query, Site, config};

/// The world's VRPs of 2025, by family.
const IPV4: usize = 580_366;
const IPV6: usize = 143_155;

/// One octet string with a whole set: distinct prefixes in an order that is not the client's.
fn world() -> Vec<u8> {
    let mut out = pdus::response(2, 7);
    let mixed = |n: usize| (n as u32).wrapping_mul(0x9e37_79b1);
    for n in 0..IPV4 {
        let bits = (mixed(n) >> 12) << 12 | (n as u32 & 0xff) << 4;
        out.extend([2, 4, 0, 0, 0, 0, 0, 20, 1, 28, 28, 0]);
        out.extend(bits.to_be_bytes());
        out.extend((n as u32).to_be_bytes());
    }
    for n in 0..IPV6 {
        out.extend([2, 6, 0, 0, 0, 0, 0, 32, 1, 48, 48, 0, 0x20, 1]);
        out.extend(mixed(n).to_be_bytes());
        out.extend([0; 10]);
        out.extend((n as u32).to_be_bytes());
    }
    out.extend(pdus::end(2, 7, 1));
    out
}

/// Ten operations: five new VRPs, and five of the world's withdrawn.
fn delta(serial: u32) -> Vec<u8> {
    let mut out = pdus::response(2, 7);
    for n in 0..5 {
        out.extend(pdus::vrp(2, true, &format!("{}.{n}.{serial}.0/24", 20 * n + 3), 24, 64496));
        let asn = serial * 1000 + n;
        out.extend([2, 6, 0, 0, 0, 0, 0, 32, 0, 48, 48, 0, 0x20, 1]);
        out.extend(asn.wrapping_mul(0x9e37_79b1).to_be_bytes());
        out.extend([0; 10]);
        out.extend(asn.to_be_bytes());
    }
    out.extend(pdus::end(2, 7, serial));
    out
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_changes_to_the_world() {
    let cache = Cache::start().await;
    let mut site = Site::start(config(&[&cache]));
    let mut talk = cache.accept().await;
    assert_eq!(talk.query().await, Query::Reset(2));
    let octets = world();
    let begin = Instant::now();
    talk.send(&octets).await;
    let update = site.updates.recv().await.unwrap();
    println!("{} VRPs from the socket to the update: {:?}", update.announced.len(), begin.elapsed());
    assert_eq!(update.announced.len(), IPV4 + IPV6);
    drop(update);
    let mut times = Vec::new();
    for serial in 2..12 {
        talk.send(&pdus::notify(2, 7, serial)).await;
        assert_eq!(talk.query().await, Query::Serial(2, 7, serial - 1));
        let octets = delta(serial);
        let begin = Instant::now();
        talk.send(&octets).await;
        let update = site.updates.recv().await.unwrap();
        times.push(begin.elapsed());
        assert_eq!((update.announced.len(), update.withdrawn.len()), (5, 5));
    }
    times.sort();
    println!("a delta of ten: median {:?}, slowest {:?}", times[5], times[9]);
    let vrps = site.client.status().vrps;
    assert_eq!((vrps[Family::Ipv4], vrps[Family::Ipv6]), (IPV4 + 50, IPV6 - 50));
}
