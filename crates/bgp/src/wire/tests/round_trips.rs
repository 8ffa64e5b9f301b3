//! What is written is read as it was meant, by every kind of peer.

use std::net::IpAddr;

use super::*;
use crate::attr::tests::any_attributes;

fn any_prefixes(family: Family) -> impl Strategy<Value = Vec<Prefix>> {
    let one = (any::<u128>(), 0..=family.max_len())
        .prop_map(move |(bits, len)| Prefix::from_bits(family, bits, len));
    proptest::collection::vec(one, 1..1500)
}

/// All UPDATEs of a stream, read; each within the limit.
fn read_all(mut stream: BytesMut, ctx: &DecodeContext, max_len: usize) -> Vec<Update> {
    let mut updates = Vec::new();
    while let Some(message) = frame(&mut stream, max_len).unwrap() {
        updates.push(decode_update(&message[19..], ctx).unwrap());
    }
    assert!(stream.is_empty());
    updates
}

/// The attributes as such a peer will have them.
fn as_received(attributes: &PathAttributes, decode: &DecodeContext) -> PathAttributes {
    let mut expected = PathAttributes { weight: 0, table: 0, border_prepend: 0, ..attributes.clone() };
    if decode.external {
        expected.local_pref = None;
        expected.originator_id = None;
        expected.cluster_list.clear();
    } else {
        expected.local_pref = Some(expected.local_pref_or_default());
    }
    expected
}

/// A next hop that a message can carry for a family.
fn next_hop(family: Family, local: bool) -> NextHop {
    let address: IpAddr = match family {
        Family::Ipv4 => [192, 0, 2, 1].into(),
        Family::Ipv6 => "2001:db8::1".parse().unwrap(),
    };
    match family {
        Family::Ipv6 if local => {
            NextHop { address, link_local: "fe80::1".parse().ok(), interface: DECODE.interface }
        }
        _ => NextHop::new(address),
    }
}

fn any_family() -> impl Strategy<Value = Family> {
    prop_oneof![Just(Family::Ipv4), Just(Family::Ipv6)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn announcements_arrive_whole(
        mut attributes in any_attributes(),
        (family, prefixes) in any_family().prop_flat_map(|f| (Just(f), any_prefixes(f))),
        (external, add_path, large, local) in any::<(bool, bool, bool, bool)>(),
    ) {
        attributes.next_hop = next_hop(family, local);
        if external {
            attributes.as_path = attributes.as_path.without_confederation();
        }
        let add_path = if add_path { FamilySet::BOTH } else { FamilySet::EMPTY };
        let max_len = if large { EXTENDED_MAX_LEN } else { MAX_LEN };
        let encode = EncodeContext { external, add_path, max_len, ..ENCODE };
        let decode = DecodeContext { external, add_path, ..DECODE };
        let mut out = BytesMut::new();
        let messages = encode_update(&attributes, family, &prefixes, &encode, &mut out).unwrap();
        let updates = read_all(out, &decode, max_len);
        prop_assert_eq!(updates.len(), messages);
        let expected = as_received(&attributes, &decode);
        let mut arrived = Vec::new();
        for update in updates {
            prop_assert!(update.faults.is_empty(), "{:?}", update.faults);
            prop_assert_eq!(update.attributes.as_ref(), Some(&expected));
            prop_assert_eq!(update.reach.len(), 1);
            let reach = &update.reach[0];
            prop_assert_eq!((reach.family, reach.next_hop), (family, attributes.next_hop));
            prop_assert_eq!(reach.path_ids.len(), if add_path.is_empty() { 0 } else { reach.prefixes.len() });
            arrived.extend_from_slice(&reach.prefixes);
        }
        prop_assert_eq!(arrived, prefixes);
    }

    #[test]
    fn an_old_speaker_gets_four_octet_numbers_through(
        mut attributes in any_attributes(),
        prefixes in any_prefixes(Family::Ipv4),
    ) {
        attributes.next_hop = next_hop(Family::Ipv4, false);
        // What RFC 6793 can carry: no confederations, whose numbers it drops; the AGGREGATOR's must be from the path's time.
        attributes.as_path = attributes.as_path.without_confederation();
        attributes.aggregator = attributes.aggregator.filter(|a| a.asn.0 > 65535);
        let encode = EncodeContext { four_octet_as: false, ..ENCODE };
        let decode = DecodeContext { four_octet_as: false, ..DECODE };
        let mut out = BytesMut::new();
        encode_update(&attributes, Family::Ipv4, &prefixes, &encode, &mut out).unwrap();
        let expected = as_received(&attributes, &decode);
        for update in read_all(out, &decode, MAX_LEN) {
            prop_assert_eq!(update.attributes.as_ref(), Some(&expected));
        }
    }

    #[test]
    fn withdrawals_arrive_whole((family, prefixes) in any_family().prop_flat_map(|f| (Just(f), any_prefixes(f))), add_path in any::<bool>()) {
        let add_path = if add_path { FamilySet::BOTH } else { FamilySet::EMPTY };
        let mut out = BytesMut::new();
        let messages = encode_withdraw(family, &prefixes, &EncodeContext { add_path, ..ENCODE }, &mut out);
        let updates = read_all(out, &DecodeContext { add_path, ..DECODE }, MAX_LEN);
        prop_assert_eq!(updates.len(), messages);
        let arrived: Vec<Prefix> = updates.iter().flat_map(|u| u.unreach[0].prefixes.clone()).collect();
        prop_assert_eq!(arrived, prefixes);
        prop_assert!(updates.iter().all(|u| u.reach.is_empty() && u.end_of_rib.is_none() && u.faults.is_empty()));
    }

    #[test]
    fn a_damaged_update_is_read_or_refused(
        attributes in any_attributes(),
        prefixes in any_prefixes(Family::Ipv6),
        damage in proptest::collection::vec((any::<usize>(), any::<u8>()), 1..4),
        (four_octet_as, external, add_path) in any::<(bool, bool, bool)>(),
    ) {
        let attributes = PathAttributes { next_hop: next_hop(Family::Ipv6, true), ..attributes };
        let mut out = BytesMut::new();
        encode_update(&attributes, Family::Ipv6, &prefixes[..prefixes.len().min(20)], &ENCODE, &mut out).unwrap();
        let mut body = out[19..].to_vec();
        for (at, to) in damage {
            let at = at % body.len();
            body[at] = to;
        }
        let add_path = if add_path { FamilySet::BOTH } else { FamilySet::EMPTY };
        let ctx = DecodeContext { four_octet_as, external, add_path, ..DECODE };
        if let Ok(update) = decode_update(&body, &ctx) {
            // Whatever is let through can be kept and sent on.
            prop_assert!(update.disposition < Disposition::ResetSession);
            prop_assert_eq!(update.attributes.is_some(), !update.reach.is_empty());
            if let Some(attributes) = &update.attributes {
                let mut form = Vec::new();
                crate::compact::encode(attributes, &mut form);
                prop_assert_eq!(&crate::compact::decode(&form), attributes);
            }
        }
    }

    #[test]
    fn any_octets_are_read_or_refused(octets in proptest::collection::vec(any::<u8>(), 0..300), external in any::<bool>()) {
        let _ = decode_update(&octets, &DecodeContext { external, ..DECODE });
        let length = u16::try_from(octets.len()).unwrap().to_be_bytes();
        let as_attributes = [&[0, 0], &length[..], &octets].concat();
        let _ = decode_update(&as_attributes, &DecodeContext { external, ..DECODE });
    }
}

#[test]
fn ipv4_may_go_by_way_of_ipv6_where_agreed() {
    let mut attributes = PathAttributes::originated("fe80::1".parse().unwrap());
    attributes.next_hop.interface = DECODE.interface;
    let prefixes = [prefix("203.0.113.0/24")];
    let mut out = BytesMut::new();
    assert_eq!(encode_update(&attributes, Family::Ipv4, &prefixes, &ENCODE, &mut out), Ok(1));
    let update = read_all(out, &DECODE, MAX_LEN).remove(0);
    assert_eq!(
        (&update.reach[0].prefixes[..], update.reach[0].next_hop),
        (&prefixes[..], attributes.next_hop)
    );
    let mut out = BytesMut::new();
    let not_agreed = EncodeContext { extended_next_hop: false, ..ENCODE };
    let refused = encode_update(&attributes, Family::Ipv4, &prefixes, &not_agreed, &mut out);
    assert_eq!((refused, out.len()), (Err(EncodeError::NextHop), 0));
}

#[test]
fn attributes_that_fit_no_message_are_refused_and_nothing_written() {
    let mut attributes = PathAttributes::originated([192, 0, 2, 1].into());
    attributes.communities.extend((0..1100).map(crate::attr::Community));
    let prefixes = [prefix("203.0.113.0/24")];
    let mut out = BytesMut::new();
    let refused = encode_update(&attributes, Family::Ipv4, &prefixes, &ENCODE, &mut out);
    assert!(matches!(refused, Err(EncodeError::TooLarge(octets)) if octets > 4400), "{refused:?}");
    assert!(out.is_empty());
    let large = EncodeContext { max_len: EXTENDED_MAX_LEN, ..ENCODE };
    assert_eq!(encode_update(&attributes, Family::Ipv4, &prefixes, &large, &mut out), Ok(1));
}

#[test]
fn attributes_are_sent_in_the_order_of_their_codes() {
    let mut attributes = PathAttributes::originated([192, 0, 2, 1].into());
    attributes.as_path = AsPath::from_sequence([Asn(64500), Asn(70000)]);
    attributes.med = Some(5);
    attributes.otc = Some(Asn(64500));
    let codes = |ctx: &EncodeContext| {
        let mut out = BytesMut::new();
        encode_update(&attributes, Family::Ipv4, &[prefix("203.0.113.0/24")], ctx, &mut out).unwrap();
        let length = usize::from(u16::from_be_bytes([out[21], out[22]]));
        let mut run = &out[23..23 + length];
        std::iter::from_fn(move || crate::compact::next_attribute(&mut run).map(|a| a.code))
            .collect::<Vec<_>>()
    };
    assert_eq!(codes(&ENCODE), [1, 2, 3, 4, 35]);
    assert_eq!(codes(&EncodeContext { external: false, ..ENCODE }), [1, 2, 3, 4, 5, 35]);
    assert_eq!(codes(&EncodeContext { four_octet_as: false, ..ENCODE }), [1, 2, 3, 4, 17, 35]);
}

#[test]
fn prefixes_beyond_the_family_s_length_and_host_bits() {
    let read = |octets: &[u8]| {
        let (mut prefixes, mut ids) = (Vec::new(), Vec::new());
        decode_nlri(Family::Ipv4, octets, false, &mut prefixes, &mut ids).map(|()| prefixes)
    };
    assert_eq!(read(&[20, 192, 0, 0x2f, 8, 10]), Ok(vec![prefix("192.0.32.0/20"), prefix("10.0.0.0/8")]));
    assert_eq!(read(&[0]), Ok(vec![prefix("0.0.0.0/0")]));
    assert_eq!(read(&[33, 1, 2, 3, 4, 5]), Err(NlriError::Length(33)));
    assert_eq!(read(&[24, 1, 2]), Err(NlriError::Truncated));
}
