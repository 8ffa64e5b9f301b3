//! RFC 7606, fault by fault: an UPDATE with one thing wrong, and what comes of it.

use super::*;
use Disposition::{Accept, DisableFamily, DiscardAttribute, ResetSession, TreatAsWithdraw};

const ORIGIN: &[u8] = &[0x40, 1, 1, 0];
const PATH: &[u8] = &[0x40, 2, 6, 2, 1, 0, 0, 0xfb, 0xf5];
const NEXT_HOP: &[u8] = &[0x40, 3, 4, 192, 0, 2, 1];
const NLRI: &[u8] = &[24, 203, 0, 113];
const MP_REACH: &[u8] = &[
    0x80, 14, 26, 0, 2, 1, 16, 0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 32, 0x20, 1, 0x0d,
    0xb8,
];
const MP_UNREACH: &[u8] = &[0x80, 15, 8, 0, 2, 1, 32, 0x20, 1, 0x0d, 0xb8];

/// The body of an UPDATE.
fn body(withdrawn: &[u8], attributes: &[&[u8]], nlri: &[u8]) -> Vec<u8> {
    let attributes = attributes.concat();
    let length = |octets: &[u8]| u16::try_from(octets.len()).unwrap().to_be_bytes();
    [&length(withdrawn)[..], withdrawn, &length(&attributes), &attributes, nlri].concat()
}

fn judge(octets: &[u8], ctx: &DecodeContext) -> Disposition {
    decode_update(octets, ctx).map_or(ResetSession, |update| update.disposition)
}

/// What becomes of an ordinary announcement with this attribute more.
fn with(attribute: &[u8]) -> Disposition {
    judge(&body(&[], &[ORIGIN, PATH, NEXT_HOP, attribute], NLRI), &DECODE)
}

#[test]
fn each_attribute_s_faults_lead_where_section_7_says() {
    #[rustfmt::skip]
    let cases: [(&str, Disposition, &[u8]); 33] = [
        ("MULTI_EXIT_DISC", Accept, &[0x80, 4, 4, 0, 0, 0, 1]),
        ("MULTI_EXIT_DISC of 3", TreatAsWithdraw, &[0x80, 4, 3, 0, 0, 1]),
        ("MULTI_EXIT_DISC transitive", TreatAsWithdraw, &[0xc0, 4, 4, 0, 0, 0, 1]),
        ("LOCAL_PREF, external", DiscardAttribute, &[0x40, 5, 4, 0, 0, 0, 1]),
        ("LOCAL_PREF, external, malformed", DiscardAttribute, &[0x40, 5, 1, 0]),
        ("ATOMIC_AGGREGATE", Accept, &[0x40, 6, 0]),
        ("ATOMIC_AGGREGATE of 1", DiscardAttribute, &[0x40, 6, 1, 0]),
        ("AGGREGATOR", Accept, &[0xc0, 7, 8, 0, 0, 0xfb, 0xf5, 192, 0, 2, 9]),
        ("AGGREGATOR of 6", DiscardAttribute, &[0xc0, 7, 6, 0xfb, 0xf5, 192, 0, 2, 9]),
        ("AGGREGATOR of AS 0", DiscardAttribute, &[0xc0, 7, 8, 0, 0, 0, 0, 192, 0, 2, 9]),
        ("COMMUNITIES", Accept, &[0xc0, 8, 4, 0xfb, 0xf4, 0, 1]),
        ("COMMUNITIES of 5", TreatAsWithdraw, &[0xc0, 8, 5, 0xfb, 0xf4, 0, 1, 2]),
        ("COMMUNITIES of 0", TreatAsWithdraw, &[0xc0, 8, 0]),
        ("COMMUNITIES not transitive", TreatAsWithdraw, &[0x80, 8, 4, 0xfb, 0xf4, 0, 1]),
        ("COMMUNITIES partial", Accept, &[0xe0, 8, 4, 0xfb, 0xf4, 0, 1]),
        ("ORIGINATOR_ID, external", DiscardAttribute, &[0x80, 9, 4, 192, 0, 2, 9]),
        ("CLUSTER_LIST, external", DiscardAttribute, &[0x80, 10, 4, 192, 0, 2, 9]),
        ("EXTENDED_COMMUNITIES", Accept, &[0xc0, 16, 8, 0, 2, 0xfb, 0xf4, 0, 0, 0, 1]),
        ("EXTENDED_COMMUNITIES of 7", TreatAsWithdraw, &[0xc0, 16, 7, 0, 2, 0xfb, 0xf4, 0, 0, 0]),
        ("AS4_PATH from a four-octet peer", DiscardAttribute, &[0xc0, 17, 6, 2, 1, 0, 1, 0, 0]),
        ("LARGE_COMMUNITY", Accept, &[0xc0, 32, 12, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3]),
        ("LARGE_COMMUNITY of 11", TreatAsWithdraw, &[0xc0, 32, 11, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0]),
        ("OTC", Accept, &[0xc0, 35, 4, 0, 0, 0xfb, 0xf5]),
        ("OTC of 3", TreatAsWithdraw, &[0xc0, 35, 3, 0, 0xfb, 0xf5]),
        ("IPv6 extended communities of 19", TreatAsWithdraw, &[0xc0, 25, 2, 0, 0]),
        ("a second ORIGIN", DiscardAttribute, ORIGIN),
        ("an unknown optional attribute", Accept, &[0xc0, 99, 2, 1, 2]),
        ("an unknown well-known attribute", ResetSession, &[0x40, 99, 2, 1, 2]),
        ("MP_UNREACH_NLRI beside NLRI", Accept, MP_UNREACH),
        ("MP_REACH_NLRI too short for a family", ResetSession, &[0x80, 14, 2, 0, 2]),
        ("MP_REACH_NLRI without next hop", DisableFamily, &[0x80, 14, 5, 0, 2, 1, 0, 0]),
        ("MP_REACH_NLRI of another family", DiscardAttribute, &[0x80, 14, 5, 0, 25, 70, 0, 0]),
        ("an attribute that overruns", TreatAsWithdraw, &[0xc0, 8, 200, 0, 0]),
    ];
    for (what, expected, attribute) in cases {
        assert_eq!(with(attribute), expected, "{what}");
    }
}

#[test]
fn the_mandatory_attributes_faults() {
    let path = |value: &[u8]| [&[0x40, 2, u8::try_from(value.len()).unwrap()], value].concat();
    let cases: [(&str, Disposition, [&[u8]; 3]); 12] = [
        ("all well", Accept, [ORIGIN, PATH, NEXT_HOP]),
        ("ORIGIN 3", TreatAsWithdraw, [&[0x40, 1, 1, 3], PATH, NEXT_HOP]),
        ("ORIGIN of 2", TreatAsWithdraw, [&[0x40, 1, 2, 0, 0], PATH, NEXT_HOP]),
        ("ORIGIN optional", TreatAsWithdraw, [&[0xc0, 1, 1, 0], PATH, NEXT_HOP]),
        ("no ORIGIN", TreatAsWithdraw, [&[], PATH, NEXT_HOP]),
        ("no AS_PATH", TreatAsWithdraw, [ORIGIN, &[], NEXT_HOP]),
        ("no NEXT_HOP", TreatAsWithdraw, [ORIGIN, PATH, &[]]),
        ("segment type 7", TreatAsWithdraw, [ORIGIN, &path(&[7, 1, 0, 0, 0, 1]), NEXT_HOP]),
        ("confederation from outside", TreatAsWithdraw, [ORIGIN, &path(&[3, 1, 0, 0, 0, 1]), NEXT_HOP]),
        ("AS 0", TreatAsWithdraw, [ORIGIN, &path(&[2, 1, 0, 0, 0, 0]), NEXT_HOP]),
        ("NEXT_HOP of 3", TreatAsWithdraw, [ORIGIN, PATH, &[0x40, 3, 3, 192, 0, 2]]),
        ("NEXT_HOP 127.0.0.1", TreatAsWithdraw, [ORIGIN, PATH, &[0x40, 3, 4, 127, 0, 0, 1]]),
    ];
    for (what, expected, attributes) in cases {
        let octets = body(&[], &attributes, NLRI);
        assert_eq!(judge(&octets, &DECODE), expected, "{what}");
        let update = decode_update(&octets, &DECODE).unwrap();
        let (announced, withdrawn) = (update.reach.len(), update.unreach.len());
        assert_eq!((announced, withdrawn), if expected == Accept { (1, 0) } else { (0, 1) }, "{what}");
        assert_eq!(update.attributes.is_some(), expected == Accept);
        assert_eq!(update.faults.is_empty(), expected == Accept);
    }
}

#[test]
fn an_internal_peer_s_attributes_are_read_and_judged() {
    let internal = DecodeContext { external: false, ..DECODE };
    let one = |attribute: &[u8]| judge(&body(&[], &[ORIGIN, PATH, NEXT_HOP, attribute], NLRI), &internal);
    assert_eq!(one(&[0x40, 5, 4, 0, 0, 0, 1]), Accept);
    assert_eq!(one(&[0x40, 5, 3, 0, 0, 1]), TreatAsWithdraw);
    assert_eq!(one(&[0x80, 9, 4, 192, 0, 2, 9]), Accept);
    assert_eq!(one(&[0x80, 9, 3, 192, 0, 2]), TreatAsWithdraw);
    assert_eq!(one(&[0x80, 10, 8, 192, 0, 2, 9, 192, 0, 2, 8]), Accept);
    assert_eq!(one(&[0x80, 10, 0]), TreatAsWithdraw);
}

#[test]
fn fields_that_do_not_add_up_end_the_session() {
    let refused = |octets: &[u8]| decode_update(octets, &DECODE).unwrap_err().error;
    assert_eq!(refused(&[0, 9, 0, 0]), ErrorCode::MALFORMED_ATTRIBUTE_LIST);
    assert_eq!(refused(&[0, 0, 0, 9]), ErrorCode::MALFORMED_ATTRIBUTE_LIST);
    assert_eq!(refused(&body(&[33, 1, 2, 3, 4, 5], &[], &[])), ErrorCode::INVALID_NETWORK_FIELD);
    assert_eq!(refused(&body(&[], &[ORIGIN, PATH, NEXT_HOP], &[24, 1, 2])), ErrorCode::INVALID_NETWORK_FIELD);
    assert_eq!(refused(&body(&[], &[MP_UNREACH, MP_UNREACH], &[])), ErrorCode::MALFORMED_ATTRIBUTE_LIST);
    let unknown = [0x40, 99, 2, 1, 2];
    let refused = decode_update(&body(&[], &[&unknown], &[]), &DECODE).unwrap_err();
    assert_eq!(
        (refused.error, &refused.data[..]),
        (ErrorCode::UNRECOGNIZED_WELL_KNOWN_ATTRIBUTE, &unknown[..])
    );
}

#[test]
fn broken_attributes_and_nothing_announced_end_the_session() {
    // RFC 7606 section 5.2: the NLRI were probably lost with them.
    assert_eq!(judge(&body(&[], &[&[0x40, 1, 1, 9], MP_UNREACH], &[]), &DECODE), ResetSession);
    assert_eq!(judge(&body(&[], &[&[0xc0, 8, 200, 0]], &[]), &DECODE), ResetSession);
    assert_eq!(judge(&body(&[], &[&[0x40, 6, 1, 0], MP_UNREACH], &[]), &DECODE), DiscardAttribute);
    assert_eq!(judge(&body(&[], &[MP_UNREACH], &[]), &DECODE), Accept);
}

#[test]
fn as_0_aggregates_nothing_by_either_name() {
    let old = DecodeContext { four_octet_as: false, ..DECODE };
    let path: &[u8] = &[0x40, 2, 4, 2, 1, 0xfb, 0xf5];
    let aggregator: &[u8] = &[0xc0, 7, 6, 0x5b, 0xa0, 192, 0, 2, 9];
    for (asn, disposition, taken) in [(0u32, DiscardAttribute, 23456), (65537, Accept, 65537)] {
        let as4 = [&[0xc0, 18, 8], &asn.to_be_bytes()[..], &[192, 0, 2, 9]].concat();
        let octets = body(&[], &[ORIGIN, path, NEXT_HOP, aggregator, &as4], NLRI);
        let update = decode_update(&octets, &old).unwrap();
        assert_eq!(update.disposition, disposition);
        assert_eq!(update.attributes.unwrap().aggregator.unwrap().asn, Asn(taken));
    }
}

/// The loss of one family is no reason to overlook what the other lacks.
#[test]
fn a_missing_next_hop_beside_a_lost_family_withdraws() {
    let lost: &[u8] = &[0x80, 14, 5, 0, 2, 1, 0, 0];
    let update = decode_update(&body(&[], &[ORIGIN, PATH, lost], NLRI), &DECODE).unwrap();
    assert_eq!(update.disposition, DisableFamily);
    assert!(update.reach.is_empty() && update.attributes.is_none());
    assert_eq!(
        update.unreach.iter().map(|u| (u.family, u.prefixes.len())).collect::<Vec<_>>(),
        [(Family::Ipv4, 1)]
    );
}

#[test]
fn both_families_may_come_in_one_message() {
    let octets = body(&[16, 198, 51], &[MP_REACH, ORIGIN, PATH, NEXT_HOP], NLRI);
    let update = decode_update(&octets, &DECODE).unwrap();
    let seen: Vec<_> =
        update.reach.iter().map(|r| (r.next_hop.to_string(), r.prefixes[0].to_string())).collect();
    let expected = [("192.0.2.1", "203.0.113.0/24"), ("2001:db8::1", "2001:db8::/32")];
    assert_eq!(seen, expected.map(|(a, b)| (a.to_owned(), b.to_owned())));
    assert_eq!(update.unreach[0].prefixes, [prefix("198.51.0.0/16")]);
    assert_eq!(update.attributes.unwrap().next_hop, update.reach[0].next_hop);
    // A fault withdraws both.
    let octets = body(&[], &[MP_REACH, &[0x40, 1, 1, 9], PATH, NEXT_HOP], NLRI);
    let update = decode_update(&octets, &DECODE).unwrap();
    assert_eq!((update.reach.len(), update.unreach.len()), (0, 2));
    // NLRI beyond reading give up their family alone.
    let mut broken = MP_REACH.to_vec();
    broken[24] = 129;
    let update = decode_update(&body(&[], &[&broken, ORIGIN, PATH, NEXT_HOP], NLRI), &DECODE).unwrap();
    assert_eq!((update.disposition, update.reach.len()), (DisableFamily, 1));
    assert_eq!(update.disabled, FamilySet::EMPTY.with(Family::Ipv6));
}

#[test]
fn next_hops_of_ipv6_come_in_three_shapes() {
    let global = [0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    let local = [0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5];
    let read = |next_hop: &[u8]| {
        let value =
            [&[0, 2, 1, u8::try_from(next_hop.len()).unwrap()], next_hop, &[0, 32, 0x20, 1, 0x0d, 0xb8]]
                .concat();
        let attribute = [&[0x80, 14, u8::try_from(value.len()).unwrap()], &value[..]].concat();
        decode_update(&body(&[], &[&attribute, ORIGIN, PATH], &[]), &DECODE).map(|u| {
            u.reach
                .first()
                .map(|r| (r.next_hop.to_string(), r.next_hop.link_local.is_some(), r.next_hop.interface))
        })
    };
    let shape = |text: &str, both, interface| Ok(Some((text.to_owned(), both, interface)));
    assert_eq!(read(&global), shape("2001:db8::1", false, 0));
    assert_eq!(read(&[global, local].concat()), shape("2001:db8::1", true, 7));
    assert_eq!(read(&local), shape("fe80::5", false, 7));
    assert_eq!(read(&[local, local].concat()), shape("fe80::5", false, 7));
    assert_eq!(read(&[[0; 16], local].concat()), shape("fe80::5", false, 7));
    assert_eq!(read(&[global, global].concat()), shape("2001:db8::1", false, 0));
    assert_eq!(read(&[0; 16]), Ok(None), "withdrawn");
    assert_eq!(read(&global[..12]), Ok(None), "the family is given up");
}

#[test]
fn next_hops_of_ipv4_may_be_of_ipv6() {
    let global = [0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    let local = [0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5];
    let mapped = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 1];
    let read_by = |next_hop: &[u8], ctx: &DecodeContext| {
        let value =
            [&[0, 1, 1, u8::try_from(next_hop.len()).unwrap()], next_hop, &[0, 24, 198, 51, 100]].concat();
        let attribute = [&[0x80, 14, u8::try_from(value.len()).unwrap()], &value[..]].concat();
        let update = decode_update(&body(&[], &[&attribute, ORIGIN, PATH], &[]), ctx).unwrap();
        update.reach.first().map(|r| (r.next_hop.to_string(), r.next_hop.interface))
    };
    let read = |next_hop: &[u8]| read_by(next_hop, &DECODE);
    let hop = |text: &str, interface| Some((text.to_owned(), interface));
    assert_eq!(read(&global), hop("2001:db8::1", 0));
    assert_eq!(read(&[global, local].concat()), hop("2001:db8::1", 7));
    assert_eq!(read(&local), hop("fe80::5", 7));
    assert_eq!(read(&mapped), hop("192.0.2.1", 0), "it means its IPv4 address");
    assert_eq!(read(&[mapped, local].concat()), hop("fe80::5", 7), "on the link");
    assert_eq!(read(&[192, 0, 2, 1]), hop("192.0.2.1", 0));
    let unspecified = [&mapped[..12], &[0, 0, 0, 0]].concat();
    assert_eq!(read(&unspecified), None, "no host's address");
    let not_agreed = DecodeContext { extended_next_hop: false, ..DECODE };
    assert_eq!(read_by(&global, &not_agreed), None, "not agreed on");
}

#[test]
fn an_end_of_rib_is_nothing_else() {
    let of = |octets: &[u8]| decode_update(octets, &DECODE).unwrap().end_of_rib;
    assert_eq!(of(&[0, 0, 0, 0]), Some(Family::Ipv4));
    assert_eq!(of(&body(&[], &[&[0x80, 15, 3, 0, 2, 1]], &[])), Some(Family::Ipv6));
    assert_eq!(of(&body(&[], &[MP_UNREACH], &[])), None);
    assert_eq!(of(&body(&[8, 10], &[&[0x80, 15, 3, 0, 2, 1]], &[])), None);
    for family in Family::ALL {
        let mut out = BytesMut::new();
        encode_end_of_rib(family, &mut out);
        let framed = frame(&mut out, MAX_LEN).unwrap().unwrap();
        assert_eq!(of(&framed[19..]), Some(family));
    }
}

#[test]
fn what_was_not_negotiated_is_ignored() {
    let ipv6 = DecodeContext { families: FamilySet::EMPTY.with(Family::Ipv6), ..DECODE };
    let update = decode_update(&body(&[8, 10], &[ORIGIN, PATH, NEXT_HOP], NLRI), &ipv6).unwrap();
    assert!(update.reach.is_empty() && update.unreach.is_empty() && update.attributes.is_none());
    assert_eq!(update.disposition, DiscardAttribute);
}

#[test]
fn an_unknown_transitive_attribute_goes_on_marked_partial() {
    let octets = body(
        &[],
        &[ORIGIN, PATH, NEXT_HOP, &[0xc0, 99, 2, 1, 2], &[0x80, 98, 1, 0], &[0xd0, 50, 0, 1, 7]],
        NLRI,
    );
    let attributes = decode_update(&octets, &DECODE).unwrap().attributes.unwrap();
    let kept: Vec<_> = attributes.unknown.iter().map(|a| (a.code, a.flags, &a.value[..])).collect();
    assert_eq!(kept, [(50, 0xe0, &[7][..]), (99, 0xe0, &[1, 2][..])]);
}

#[test]
fn the_log_says_which_attribute_and_what() {
    let update = decode_update(
        &body(&[], &[ORIGIN, PATH, NEXT_HOP, &[0xc0, 8, 5, 0xfb, 0xf4, 0, 1, 2]], NLRI),
        &DECODE,
    );
    let text = update.unwrap().faults[0].to_string();
    assert_eq!(text, "COMMUNITIES (8): length is no multiple of 4, or 0: treat-as-withdraw [fbf4000102]");
}

#[test]
fn an_old_speaker_s_path_is_made_whole() {
    let two_octets = DecodeContext { four_octet_as: false, ..DECODE };
    let path = [0x40, 2, 8, 2, 3, 0xfb, 0xf5, 0x5b, 0xa0, 0x5b, 0xa0];
    let as4_path = [0xc0, 17, 10, 2, 2, 0, 1, 0x11, 0x70, 0, 1, 0x11, 0x71];
    let aggregator = [0xc0, 7, 6, 0x5b, 0xa0, 192, 0, 2, 9];
    let as4_aggregator = [0xc0, 18, 8, 0, 1, 0x11, 0x70, 192, 0, 2, 9];
    let read = |attributes: &[&[u8]]| {
        let all = [&[ORIGIN, &path, NEXT_HOP, &as4_path], attributes].concat();
        let attributes = decode_update(&body(&[], &all, NLRI), &two_octets).unwrap().attributes.unwrap();
        (attributes.as_path.to_string(), attributes.aggregator.map(|a| a.asn))
    };
    assert_eq!(read(&[]), ("64501 70000 70001".into(), None));
    assert_eq!(read(&[&aggregator, &as4_aggregator]), ("64501 70000 70001".into(), Some(Asn(70000))));
    let newer = [0xc0, 7, 6, 0xfb, 0xf5, 192, 0, 2, 9];
    assert_eq!(read(&[&newer, &as4_aggregator]), ("64501 23456 23456".into(), Some(Asn(64501))));
}
