//! What is packed is complete, fits into messages, and shares them.

use super::*;
use crate::wire::{HEADER, Parts};

/// ORIGIN IGP, an AS path and NEXT_HOP as MRT has them.
fn attributes(asn: u8, hop: bool) -> Vec<u8> {
    let mut out = Vec::new();
    wire::attribute(&mut out, 0x40, 1, &[0]);
    wire::attribute(&mut out, 0x40, 2, &[2, 1, 0, 0, 0, asn]);
    if hop {
        wire::attribute(&mut out, 0x40, 3, &[192, 0, 2, 1]);
    }
    out
}

fn table(dir: &Path) -> std::path::PathBuf {
    let path = dir.join("t.mrt");
    let mut entries: Vec<mrt::Entry> = Vec::new();
    for index in 0..3000u32 {
        let prefix = Prefix::v4((0x0a00_0000 + (index << 8)).into(), 24);
        entries.push((prefix, vec![Some(attributes(if index % 2 == 0 { 1 } else { 2 }, true))]));
    }
    for index in 0..1000u128 {
        let prefix = Prefix::v6(((0x2001_0db8 << 96) + (index << 80)).into(), 48);
        entries.push((prefix, vec![Some(attributes(1, false))]));
    }
    mrt::write(&path, &[65_001], &entries).unwrap();
    path
}

fn messages(bytes: &[u8]) -> Vec<Parts<'_>> {
    let mut out = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let length = usize::from(u16::from_be_bytes([rest[16], rest[17]]));
        assert!(length <= wire::MAX_MESSAGE);
        out.push(wire::parts(&rest[HEADER..length]).unwrap());
        rest = &rest[length..];
    }
    out
}

fn count(octets: &[u8], family: Family) -> u64 {
    let mut count = 0;
    wire::walk_nlri(octets, family, |_, _| count += 1).unwrap();
    count
}

#[test]
fn every_route_is_announced_once_in_few_messages() {
    let dir = tempfile::tempdir().unwrap();
    let hop4 = Some("10.0.0.1".parse().unwrap());
    let hop6 = Some("2001:db8::1".parse().unwrap());
    let options = Options { asn: 65_001, next_hop4: hop4, next_hop6: hop6, limit: u64::MAX };
    let feed = announce(&table(dir.path()), &options).unwrap();
    assert_eq!((feed.ipv4, feed.ipv6), (3000, 1000));
    let all = messages(&feed.bytes);
    assert_eq!(all.len() as u64, feed.messages);
    assert_eq!(all.iter().map(|m| count(m.reach4, Family::Ipv4)).sum::<u64>(), 3000);
    assert_eq!(all.iter().map(|m| count(m.reach6, Family::Ipv6)).sum::<u64>(), 1000);
    assert_eq!(feed.messages, 2 + 2 + 2 + 2, "two per group, two groups and one, two ends of RIB");
}

#[test]
fn withdrawing_names_the_same_routes() {
    let dir = tempfile::tempdir().unwrap();
    let hop4 = Some("10.0.0.1".parse().unwrap());
    let options = Options { asn: 65_001, next_hop4: hop4, next_hop6: None, limit: 100 };
    let feed = withdraw(&table(dir.path()), &options).unwrap();
    assert_eq!((feed.ipv4, feed.ipv6, feed.messages), (100, 0, 1));
    assert_eq!(count(messages(&feed.bytes)[0].unreach4, Family::Ipv4), 100);
}

#[test]
fn the_next_hop_is_replaced() {
    let out = rewrite(&attributes(1, true), Some(&[10, 9, 8, 7]), &[]).unwrap();
    assert!(out.windows(7).any(|w| w == [0x40, 3, 4, 10, 9, 8, 7]));
    assert!(rewrite(&[0x40, 3, 200, 1], None, &[]).is_err());
}
