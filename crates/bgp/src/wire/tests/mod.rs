//! Tests of the messages.
#![expect(clippy::arithmetic_side_effects, reason = "the numbers of a test are its own")]

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;
use siskin_net::{Asn, BgpIdentifier, Family, FamilySet, NextHop, Prefix};

use super::*;
use crate::PathAttributes;
use crate::attr::{AsPath, Disposition};

mod faults;
mod round_trips;

const DECODE: DecodeContext = DecodeContext {
    four_octet_as: true,
    families: FamilySet::BOTH,
    add_path: FamilySet::EMPTY,
    external: true,
    extended_next_hop: true,
    interface: 7,
};

const ENCODE: EncodeContext = EncodeContext {
    four_octet_as: true,
    max_len: MAX_LEN,
    extended_next_hop: true,
    add_path: FamilySet::EMPTY,
    external: true,
};

fn prefix(text: &str) -> Prefix {
    text.parse().unwrap()
}

/// A message of a type with this body.
fn message(kind: u8, body: &[u8]) -> BytesMut {
    let length = u16::try_from(19 + body.len()).unwrap().to_be_bytes();
    BytesMut::from(&[&[0xff; 16][..], &length, &[kind], body].concat()[..])
}

#[test]
fn the_framer_cuts_whole_messages_however_they_come() {
    let mut stream = BytesMut::new();
    encode_keepalive(&mut stream);
    encode_end_of_rib(Family::Ipv6, &mut stream);
    encode_keepalive(&mut stream);
    let whole = stream.clone();
    let mut buffer = BytesMut::new();
    let mut kinds = Vec::new();
    for octet in whole {
        buffer.extend_from_slice(&[octet]);
        while let Some(message) = frame(&mut buffer, MAX_LEN).unwrap() {
            kinds.push(message_type(&message).unwrap());
        }
    }
    assert_eq!(kinds, [MessageType::Keepalive, MessageType::Update, MessageType::Keepalive]);
    assert!(buffer.is_empty());
}

#[test]
fn the_framer_refuses_as_rfc_4271_section_6_1_says() {
    let header = |length: u16, kind: u8| {
        let [high, low] = length.to_be_bytes();
        BytesMut::from(&[&[0xff; 16][..], &[high, low, kind]].concat()[..])
    };
    let refused = |mut octets: BytesMut, max_len| frame(&mut octets, max_len).unwrap_err();
    let mut unsynchronized = header(19, 4);
    unsynchronized[3] = 0;
    assert_eq!(refused(unsynchronized, MAX_LEN), Notification::new(ErrorCode::CONNECTION_NOT_SYNCHRONIZED));
    let bad_lengths = [
        (18, 4, MAX_LEN),
        (20, 4, MAX_LEN),
        (28, 1, MAX_LEN),
        (4097, 1, EXTENDED_MAX_LEN),
        (22, 2, MAX_LEN),
        (4097, 2, MAX_LEN),
        (20, 3, MAX_LEN),
        (22, 5, MAX_LEN),
    ];
    for (length, kind, max_len) in bad_lengths {
        let refused = refused(header(length, kind), max_len);
        assert_eq!(refused.error, ErrorCode::BAD_MESSAGE_LENGTH, "{length} octets of type {kind}");
        assert_eq!(refused.data, length.to_be_bytes());
    }
    assert_eq!(refused(header(19, 9), MAX_LEN), Notification::with_data(ErrorCode::BAD_MESSAGE_TYPE, &[9]));
    assert_eq!(frame(&mut header(4097, 2), EXTENDED_MAX_LEN), Ok(None), "the rest is to come");
}

#[test]
fn names_stand_for_codes() {
    let text = |code, subcode| ErrorCode { code, subcode }.to_string();
    assert_eq!(text(6, 2), "Cease / Administrative Shutdown");
    assert_eq!(text(4, 0), "Hold Timer Expired");
    assert_eq!(text(6, 99), "Cease / subcode 99");
    assert_eq!(text(99, 1), "code 99 / subcode 1");
}

#[test]
fn a_shutdown_text_is_cut_at_a_character_and_shown_without_controls() {
    let long = Notification::with_text(ErrorCode::ADMINISTRATIVE_SHUTDOWN, &"ü".repeat(200));
    assert_eq!((long.data.len(), long.data[0]), (255, 254));
    assert_eq!(long.shutdown_text().unwrap().chars().count(), 127);
    let sly = Notification::with_text(ErrorCode::ADMINISTRATIVE_RESET, "a\x1b[31m\nb");
    assert_eq!(sly.to_string(), "Cease / Administrative Reset: \"a\\u{1b}[31m\\nb\"");
    let torn = Notification::with_data(ErrorCode::ADMINISTRATIVE_SHUTDOWN, &[9, b'a']);
    assert_eq!(torn.shutdown_text(), None);
    assert_eq!(torn.to_string(), "Cease / Administrative Shutdown (data 0961)");
    // RFC 8538: the shutdown stands inside.
    let inner = [&[6, 2][..], &[4], b"move"].concat();
    let hard = Notification::with_data(ErrorCode::HARD_RESET, &inner);
    assert_eq!(hard.to_string(), "Cease / Hard Reset (Cease / Administrative Shutdown): \"move\"");
}

#[test]
fn a_refresh_is_read_or_ignored_or_refused() {
    let read = |body: &[u8]| RouteRefresh::decode(&message(5, body));
    let of = |kind| Ok(Some(RouteRefresh { family: Family::Ipv6, kind }));
    assert_eq!(read(&[0, 2, 0, 1]), of(RefreshKind::Request));
    assert_eq!(read(&[0, 2, 1, 1]), of(RefreshKind::Begin));
    assert_eq!(read(&[0, 2, 2, 1]), of(RefreshKind::End));
    assert_eq!(read(&[0, 25, 0, 70]), Ok(None), "EVPN");
    assert_eq!(read(&[0, 2, 3, 1]), Ok(None), "an unknown subtype");
    let refused = read(&[0, 2, 1, 1, 9]).unwrap_err();
    assert_eq!(refused.error, ErrorCode::INVALID_REFRESH_LENGTH);
    assert_eq!(refused.data, message(5, &[0, 2, 1, 1, 9]));
}

#[test]
fn parameters_of_either_form_give_the_same_open() {
    let plain = [4, 0xfb, 0xf5, 0, 90, 0, 0, 0, 20, 8, 2, 6, 1, 4, 0, 2, 0, 1];
    let extended = [4, 0xfb, 0xf5, 0, 90, 0, 0, 0, 20, 255, 255, 0, 9, 2, 0, 6, 1, 4, 0, 2, 0, 1];
    let read = Open::decode(&plain).unwrap();
    assert_eq!(Open::decode(&extended), Ok(read.clone()));
    assert_eq!(read.capabilities.families, Some(FamilySet::EMPTY.with(Family::Ipv6)));
    assert_eq!(read.asn(), Asn(64501));
    for cut in 1..plain.len() {
        assert!(Open::decode(&plain[..cut]).is_err(), "{cut} octets");
    }
    let mut other_parameter = plain;
    other_parameter[10] = 1;
    assert_eq!(Open::decode(&other_parameter).unwrap_err().error, ErrorCode::UNSUPPORTED_OPTIONAL_PARAMETER);
}

#[test]
fn an_open_of_many_capabilities_takes_the_extended_form() {
    let unknown = (0..40u8).map(|n| (200 + n, vec![n; 10])).collect();
    let capabilities = Capabilities { unknown, ..Capabilities::default() };
    let open = Open { my_as: 64500, hold_time: 90, identifier: BgpIdentifier(1), capabilities };
    let mut out = BytesMut::new();
    open.encode(&mut out);
    assert_eq!(out[28..30], [255, 255]);
    assert_eq!(Open::decode(&out[19..]), Ok(open));
}

#[test]
fn capabilities_with_a_wrong_length_are_ignored() {
    let mut capabilities = Capabilities::default();
    // Multiprotocol of 3 octets, four-octet AS of 2, ADD-PATH of 3, then a good route refresh.
    capabilities.read(&[1, 3, 0, 1, 0, 65, 2, 0, 1, 69, 3, 0, 1, 1, 2, 0]).unwrap();
    let expected = Capabilities { route_refresh: true, ..Capabilities::default() };
    assert_eq!(capabilities, expected);
    assert!(capabilities.read(&[1, 4, 0]).is_err(), "overruns its parameter");
}

proptest! {
    #[test]
    fn any_octets_frame_and_decode_without_panic(octets in proptest::collection::vec(any::<u8>(), 0..600), kind in 0..7u8) {
        let mut buffer = message(kind, &octets);
        if let Ok(Some(message)) = frame(&mut buffer, EXTENDED_MAX_LEN) {
            let _ = Message::decode(&message);
        }
        let mut raw = BytesMut::from(&octets[..]);
        let _ = frame(&mut raw, EXTENDED_MAX_LEN);
        let _ = Open::decode(&octets);
        let _ = Notification::decode(&octets).to_string();
    }

    #[test]
    fn a_damaged_open_is_read_or_refused(at in any::<usize>(), to in any::<u8>()) {
        let body = [4, 0xfb, 0xf5, 0, 90, 0, 0, 0, 20, 26, 2, 6, 1, 4, 0, 2, 0, 1, 2, 6, 65, 4, 0, 0, 0xfb, 0xf5, 2, 8, 73, 6, 2, b'h', b'v', 2, b'a', b'b'];
        prop_assert!(Open::decode(&body).is_ok());
        let mut damaged = body;
        damaged[at % body.len()] = to;
        let _ = Open::decode(&damaged);
    }

    #[test]
    fn opens_come_back((my_as, hold_time, id) in any::<(u16, u16, u32)>(), families in 0..4u8, asn in any::<Option<u32>>(), flags in any::<[bool; 3]>()) {
        let families: FamilySet = Family::ALL.into_iter().filter(|f| families & 1 << *f as u8 != 0).collect();
        let capabilities = Capabilities {
            families: Some(families).filter(|f| !f.is_empty()),
            route_refresh: flags[0],
            enhanced_refresh: flags[1],
            extended_message: flags[2],
            extended_next_hop: families,
            four_octet_as: asn.map(Asn),
            add_path: AddPath { receive: families, send: FamilySet::BOTH },
            ..Capabilities::default()
        };
        let open = Open { my_as, hold_time, identifier: BgpIdentifier(id), capabilities };
        let mut out = BytesMut::new();
        open.encode(&mut out);
        let framed: Bytes = frame(&mut out, MAX_LEN).unwrap().unwrap();
        prop_assert_eq!(Message::decode(&framed), Ok(Message::Open(Box::new(open))));
    }
}
