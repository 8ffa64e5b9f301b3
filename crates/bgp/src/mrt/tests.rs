//! Tables and update files made here, as RFC 6396 and RFC 8050 draw them; then broken in every way that comes to hand.
#![expect(clippy::arithmetic_side_effects, reason = "the numbers of a test are its own")]

use proptest::prelude::*;

use super::*;
use crate::attr::Origin;

const V4: [u8; 4] = [24, 192, 0, 2];
const V6: [u8; 7] = [48, 0x20, 0x01, 0x0d, 0xb8, 0x47, 0x11];
const GLOBAL: [u8; 16] = [0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
const LINK_LOCAL: [u8; 16] = [0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7];

fn record(kind: u16, subtype: u16, body: &[u8]) -> Vec<u8> {
    let len = u32::try_from(body.len()).unwrap();
    [&[0, 0, 0, 9][..], &kind.to_be_bytes(), &subtype.to_be_bytes(), &len.to_be_bytes(), body].concat()
}

/// Two peers: 64496 at 192.0.2.1 with two octets of AS number, 4200000001 at 2001:db8::1 with four.
fn peer_table() -> Vec<u8> {
    let mut body = vec![192, 0, 2, 9, 0, 4];
    body.extend_from_slice(b"view");
    body.extend_from_slice(&[0, 2, 0, 10, 0, 0, 1, 192, 0, 2, 1]);
    body.extend_from_slice(&64496u16.to_be_bytes());
    body.extend_from_slice(&[3, 10, 0, 0, 2]);
    body.extend_from_slice(&GLOBAL);
    body.extend_from_slice(&4_200_000_001u32.to_be_bytes());
    record(13, 1, &body)
}

fn attribute(flags: u8, code: u8, value: &[u8]) -> Vec<u8> {
    [&[flags, code, u8::try_from(value.len()).unwrap()], value].concat()
}

/// ORIGIN, AS_PATH of one four-octet number, MED, LOCAL_PREF.
fn common(asn: u32) -> Vec<u8> {
    let path = [&[2, 1][..], &asn.to_be_bytes()].concat();
    [
        attribute(0x40, 1, &[1]),
        attribute(0x40, 2, &path),
        attribute(0x80, 4, &[0, 0, 0, 5]),
        attribute(0x40, 5, &[0, 0, 0, 200]),
    ]
    .concat()
}

fn with_next_hop(asn: u32) -> Vec<u8> {
    [common(asn), attribute(0x40, 3, &[192, 0, 2, 1])].concat()
}

fn with_mp_reach(asn: u32, value: &[u8]) -> Vec<u8> {
    [common(asn), attribute(0x80, 14, value)].concat()
}

fn entry(peer: u16, path_id: Option<u32>, attributes: &[u8]) -> Vec<u8> {
    let id = path_id.map(|id| id.to_be_bytes().to_vec()).unwrap_or_default();
    let len = u16::try_from(attributes.len()).unwrap();
    [&peer.to_be_bytes()[..], &[0, 0, 0, 1], &id, &len.to_be_bytes(), attributes].concat()
}

fn rib(subtype: u16, nlri: &[u8], entries: &[Vec<u8>]) -> Vec<u8> {
    let count = u16::try_from(entries.len()).unwrap();
    record(13, subtype, &[&[0, 0, 0, 1][..], nlri, &count.to_be_bytes(), &entries.concat()].concat())
}

/// An UPDATE in a BGP4MP record from 64496 (or its four-octet form) at 192.0.2.1.
fn update(kind: u16, subtype: u16, four_octets: bool, attributes: &[u8], nlri: &[u8]) -> Vec<u8> {
    let asn = if four_octets { 64496u32.to_be_bytes().to_vec() } else { 64496u16.to_be_bytes().to_vec() };
    let body =
        [&[0, 0][..], &u16::try_from(attributes.len()).unwrap().to_be_bytes(), attributes, nlri].concat();
    let len = u16::try_from(19 + body.len()).unwrap();
    let message = [&[0xff; 16][..], &len.to_be_bytes(), &[2], &body].concat();
    let microseconds: &[u8] = if kind == 17 { &[0, 0, 0, 1] } else { &[] };
    let head = [microseconds, &asn, &asn, &[0, 1, 0, 1], &[192, 0, 2, 1], &[192, 0, 2, 9]].concat();
    record(kind, subtype, &[head, message].concat())
}

/// All routes of a file as text, the errors of its records, and the counts.
fn read(file: &[u8], external: bool) -> (Vec<String>, Vec<MrtError>, Counts) {
    let (mut reader, mut routes, mut errors) = (Reader::new(external), Vec::new(), Vec::new());
    let mut rest = file;
    loop {
        let (header, body) = match next_record(&mut rest) {
            Ok(Some(record)) => record,
            Ok(None) => break,
            Err(error) => {
                errors.push(error);
                break;
            }
        };
        let result = reader.record(&header, body, |route| {
            let id = route.path_id.map(|id| format!(" id {id}")).unwrap_or_default();
            let a = route.attributes;
            assert_eq!(a.origin, Origin::Egp);
            let hop = a.next_hop.link_local.map(|l| format!(" {l}")).unwrap_or_default();
            let (peer, hop) = (route.peer, format!("{}{hop}", a.next_hop.address));
            let pref = a.local_pref.map(|p| format!(" pref {p}")).unwrap_or_default();
            let (prefix, path) = (route.prefix, &a.as_path);
            routes.push(format!("{prefix}{id} from AS{} {}: {path} via {hop}{pref}", peer.asn, peer.address));
        });
        errors.extend(result.err());
    }
    (routes, errors, reader.counts())
}

#[test]
fn a_table_reads_as_the_routes_in_it() {
    let short = [&[16][..], &GLOBAL].concat();
    let both = [&[32][..], &GLOBAL, &LINK_LOCAL].concat();
    let whole = [&[0, 2, 1, 16][..], &GLOBAL, &[0], &V6].concat();
    let mapped = [&[16][..], &GLOBAL].concat();
    let file = [
        peer_table(),
        rib(2, &V4, &[entry(0, None, &with_next_hop(64496)), entry(1, None, &with_next_hop(4_200_000_001))]),
        rib(4, &V6, &[entry(1, None, &with_mp_reach(1, &short)), entry(0, None, &with_mp_reach(2, &both))]),
        rib(4, &V6, &[entry(1, None, &with_mp_reach(3, &whole))]),
        rib(2, &V4, &[entry(1, None, &with_mp_reach(4, &mapped))]),
        rib(2, &[0], &[entry(0, None, &with_next_hop(5))]),
    ]
    .concat();
    let (routes, errors, counts) = read(&file, true);
    let expected = [
        "192.0.2.0/24 from AS64496 192.0.2.1: 64496 via 192.0.2.1",
        "192.0.2.0/24 from AS4200000001 2001:db8::1: 4200000001 via 192.0.2.1",
        "2001:db8:4711::/48 from AS4200000001 2001:db8::1: 1 via 2001:db8::1",
        "2001:db8:4711::/48 from AS64496 192.0.2.1: 2 via 2001:db8::1 fe80::7",
        "2001:db8:4711::/48 from AS4200000001 2001:db8::1: 3 via 2001:db8::1",
        "192.0.2.0/24 from AS4200000001 2001:db8::1: 4 via 2001:db8::1",
        "0.0.0.0/0 from AS64496 192.0.2.1: 5 via 192.0.2.1",
    ];
    assert_eq!(routes, expected);
    assert!(errors.is_empty());
    assert_eq!(counts, Counts { records: 6, skipped: 0, routes: 7, unreadable: 0 });
    let internal = read(&file, false).0;
    assert_eq!(internal[0], "192.0.2.0/24 from AS64496 192.0.2.1: 64496 via 192.0.2.1 pref 200");
}

#[test]
fn what_other_routers_leave_out_is_made_up_for() {
    let file = [
        peer_table(),
        // The router's own route has no attributes; an IPv6 route of BIRD has no next hop.
        rib(4, &V6, &[entry(0, None, &[]), entry(1, None, &common(1)), entry(0, None, &common(2))]),
    ]
    .concat();
    let (routes, errors, counts) = read(&file, true);
    let expected = [
        "2001:db8:4711::/48 from AS4200000001 2001:db8::1: 1 via 2001:db8::1",
        "2001:db8:4711::/48 from AS64496 192.0.2.1: 2 via ::ffff:192.0.2.1",
    ];
    assert_eq!(routes, expected);
    assert!(errors.is_empty());
    assert_eq!(counts, Counts { records: 2, skipped: 1, routes: 2, unreadable: 0 });
}

#[test]
fn path_identifiers_are_kept() {
    let short = [&[16][..], &GLOBAL].concat();
    let file = [
        peer_table(),
        rib(8, &V4, &[entry(0, Some(7), &with_next_hop(1)), entry(0, Some(8), &with_next_hop(2))]),
        rib(10, &V6, &[entry(1, Some(9), &with_mp_reach(3, &short))]),
        update(16, 9, true, &with_next_hop(4), &[&[0, 0, 0, 6][..], &V4].concat()),
    ]
    .concat();
    let expected = [
        "192.0.2.0/24 id 7 from AS64496 192.0.2.1: 1 via 192.0.2.1",
        "192.0.2.0/24 id 8 from AS64496 192.0.2.1: 2 via 192.0.2.1",
        "2001:db8:4711::/48 id 9 from AS4200000001 2001:db8::1: 3 via 2001:db8::1",
        "192.0.2.0/24 id 6 from AS64496 192.0.2.1: 4 via 192.0.2.1",
    ];
    assert_eq!(read(&file, true).0, expected);
}

#[test]
fn updates_are_read_in_all_their_forms() {
    let two =
        [attribute(0x40, 1, &[1]), attribute(0x40, 2, &[2, 1, 0, 9]), attribute(0x40, 3, &[192, 0, 2, 1])];
    let two = two.concat();
    let four = with_next_hop(70_000);
    let second = [24, 198, 51, 100];
    let keepalive = record(16, 4, &[&[0; 8][..], &[0, 1, 0, 1], &[0; 8], &[0xff; 16], &[0, 19, 4]].concat());
    let file = [
        update(16, 1, false, &two, &[V4, second].concat()),
        update(16, 4, true, &four, &V4),
        update(17, 4, true, &four, &V4),
        update(16, 7, true, &four, &V4),
        // End-of-RIB, a KEEPALIVE, a change of state, the old kind of table.
        update(16, 4, true, &[], &[]),
        keepalive,
        record(16, 5, &[0; 24]),
        record(12, 1, &[0; 30]),
    ]
    .concat();
    let (routes, errors, counts) = read(&file, true);
    assert_eq!(routes.len(), 5);
    assert_eq!(routes[1], "198.51.100.0/24 from AS64496 192.0.2.1: 9 via 192.0.2.1");
    assert!(routes[2..].iter().all(|r| r == "192.0.2.0/24 from AS64496 192.0.2.1: 70000 via 192.0.2.1"));
    assert!(errors.is_empty());
    assert_eq!(counts, Counts { records: 8, skipped: 3, routes: 5, unreadable: 0 });
}

#[test]
fn what_cannot_be_read_is_counted_and_the_next_is_read() {
    let good = with_next_hop(1);
    let no_next_hop = common(1);
    let cut = &good[..good.len() - 2];
    let odd_next_hop = with_mp_reach(1, &[3, 1, 2, 3]);
    let nothing = with_mp_reach(1, &[]);
    let full: Vec<u8> = [0xd0, 99, 0xff, 0xf0].into_iter().chain(std::iter::repeat_n(0, 0xfff0)).collect();
    let file = [
        peer_table(),
        rib(2, &V4, &[entry(0, None, &no_next_hop), entry(0, None, cut), entry(0, None, &good)]),
        rib(4, &V6, &[entry(0, None, &odd_next_hop), entry(0, None, &nothing), entry(0, None, &full)]),
        rib(2, &V4, &[entry(0, None, &good), entry(9, None, &good)]),
        rib(2, &[33, 1, 2, 3, 4, 5], &[entry(0, None, &good)]),
        record(13, 2, &[0, 0, 0, 1, 24, 192]),
        record(13, 1, &[0, 0, 0, 1, 0, 0, 0xff, 0xff, 0]),
        record(16, 4, &[0; 40]),
        update(16, 4, true, &no_next_hop, &V4),
        rib(2, &V4, &[entry(1, None, &good)]),
    ]
    .concat();
    let (routes, errors, counts) = read(&file, true);
    assert_eq!(routes.len(), 3);
    let malformed = MrtError::Malformed;
    assert_eq!(errors, [MrtError::UnknownPeer(9), malformed, malformed, malformed]);
    assert_eq!(counts, Counts { records: 10, skipped: 0, routes: 3, unreadable: 7 });
}

#[test]
fn a_torn_file_says_so_after_what_is_whole() {
    let file = [peer_table(), rib(2, &V4, &[entry(0, None, &with_next_hop(1))])].concat();
    let (routes, errors, _) = read(&[&file[..], &file[..20]].concat(), true);
    assert_eq!((routes.len(), errors), (1, vec![MrtError::Cut]));
    let (_, errors, _) = read(&file[..5], true);
    assert_eq!(errors, [MrtError::Cut]);
    let long = [0, 0, 0, 0, 0, 13, 0, 2, 1, 0, 0, 1];
    assert_eq!(Header::decode(&long), Err(MrtError::TooLong((1 << 24) + 1)));
    assert!(read(&[], true).1.is_empty());
}

proptest! {
    #[test]
    fn no_bytes_do_harm(kind in prop_oneof![Just(13u16), Just(16), Just(17)], subtype in 0..12u16,
                        body in proptest::collection::vec(any::<u8>(), 0..200)) {
        let file = [peer_table(), record(kind, subtype, &body)].concat();
        let mut reader = Reader::new(true);
        let mut rest = &file[..];
        let mut routes = 0;
        while let Ok(Some((header, body))) = next_record(&mut rest) {
            let _ = reader.record(&header, body, |_| routes += 1);
        }
        prop_assert_eq!(reader.counts().routes, routes);
    }

    #[test]
    fn a_flipped_octet_does_no_harm(at in 0..400usize, with in any::<u8>()) {
        let short = [&[16][..], &GLOBAL].concat();
        let mut file = [
            peer_table(),
            rib(2, &V4, &[entry(0, None, &with_next_hop(1)), entry(1, None, &with_next_hop(2))]),
            rib(4, &V6, &[entry(1, None, &with_mp_reach(3, &short))]),
            update(16, 4, true, &with_next_hop(4), &V4),
        ]
        .concat();
        let at = at % file.len();
        file[at] = with;
        let mut reader = Reader::new(false);
        let mut rest = &file[..];
        while let Ok(Some((header, body))) = next_record(&mut rest) {
            let family = if header.subtype == 4 { Family::Ipv6 } else { Family::Ipv4 };
            let table = header.kind == 13 && matches!(header.subtype, 2 | 4);
            let _ = reader.record(&header, body, |route| {
                assert!(!table || route.prefix.family() == family);
            });
        }
        prop_assert!(reader.counts().routes <= 8);
    }
}
