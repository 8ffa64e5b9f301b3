//! PDUs by hand, and whatever else a network may bring.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::pdus;

fn one(octets: &[u8]) -> Result<Pdu<'_>, Malformed> {
    let decoded = decode(octets, 100)?;
    let (frame, length) = decoded.expect("a whole PDU");
    assert_eq!((length, frame.octets), (octets.len(), octets));
    Ok(frame.pdu)
}

#[test]
fn every_pdu_of_a_cache_is_understood() {
    let intervals = |a, b, c| {
        let [refresh, retry, expire] = [a, b, c].map(Duration::from_secs);
        Some(Intervals { refresh, retry, expire })
    };
    assert_eq!(one(&pdus::notify(1, 7, 9)), Ok(Pdu::SerialNotify { session: 7, serial: 9 }));
    assert_eq!(one(&pdus::response(1, 7)), Ok(Pdu::CacheResponse { session: 7 }));
    assert_eq!(one(&pdus::reset(1)), Ok(Pdu::CacheReset));
    assert_eq!(
        one(&pdus::end_timed(1, 7, 9, [1, 2, 3])),
        Ok(Pdu::EndOfData { session: 7, serial: 9, intervals: intervals(1, 2, 3) })
    );
    assert_eq!(one(&pdus::end(0, 7, 9)), Ok(Pdu::EndOfData { session: 7, serial: 9, intervals: None }));
    let vrp = |text: &str, max_len, asn| Vrp { prefix: text.parse().unwrap(), max_len, asn: Asn(asn) };
    assert_eq!(
        one(&pdus::vrp(1, true, "192.0.2.0/24", 32, 64500)),
        Ok(Pdu::Vrp { announce: true, vrp: vrp("192.0.2.0/24", 32, 64500) })
    );
    assert_eq!(
        one(&pdus::vrp(1, false, "2001:db8::/32", 48, 64500)),
        Ok(Pdu::Vrp { announce: false, vrp: vrp("2001:db8::/32", 48, 64500) })
    );
    assert_eq!(one(&pdus::error(1, 2, "not yet")), Ok(Pdu::ErrorReport { code: 2, text: b"not yet" }));
}

#[test]
fn both_forms_of_an_aspa_are_understood() {
    let told = |octets: &[u8]| match one(octets) {
        Ok(Pdu::Aspa { announce, customer, family, providers }) => {
            (announce, customer.0, family, providers.iter().map(|p| p.0).collect::<Vec<_>>())
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(told(&pdus::aspa(64500, &[1, 2])), (true, 64500, None, vec![1, 2]));
    assert_eq!(told(&pdus::aspa(64500, &[])), (false, 64500, None, vec![]));
    // As StayRTR 0.5.1 sends them.
    let old = [2, 11, 0, 0, 0, 0, 0, 24, 1, 1, 0, 2, 0, 0, 0xfb, 0xf4, 0, 0, 0, 1, 0, 0, 0, 2];
    assert_eq!(told(&old), (true, 64500, Some(Family::Ipv6), vec![1, 2]));
    let gone = [2, 11, 0, 0, 0, 0, 0, 16, 0, 0, 0, 0, 0, 0, 0xfb, 0xf4];
    assert_eq!(told(&gone), (false, 64500, Some(Family::Ipv4), vec![]));
    let mut lies = old;
    lies[11] = 3;
    assert_eq!(one(&lies).unwrap_err().code, ErrorCode::CorruptData);
    let mut nobody = pdus::aspa(64500, &[]);
    nobody[2] = 1;
    assert_eq!(one(&nobody).unwrap_err().code, ErrorCode::CorruptData);
}

#[test]
fn a_lying_length_is_seen_in_the_header_alone() {
    let header = |version, kind, length: u32| {
        let mut octets = vec![version, kind, 0, 0];
        octets.extend(length.to_be_bytes());
        octets
    };
    for kind in [0, 1, 2, 3, 4, 6, 7, 8, 9, 10, 11] {
        for length in [0, 7, u32::MAX, 1 << 20] {
            let fault = decode(&header(2, kind, length), 10_000).unwrap_err();
            assert_eq!(fault.code, ErrorCode::CorruptData, "type {kind}, length {length}");
        }
    }
    for (version, kind) in [(2, 5), (2, 12), (2, 255), (1, 11), (0, 9)] {
        let fault = decode(&header(version, kind, 8), 10_000).unwrap_err();
        assert_eq!(fault.code, ErrorCode::UnsupportedPdu, "version {version}, type {kind}");
    }
    assert!(decode(&header(2, 11, 12 + 4 * 10_000), 10_000).unwrap().is_none(), "an ASPA at the limit");
}

#[test]
fn impossible_prefixes_are_refused() {
    for (prefix, max_len) in [("192.0.2.0/24", 23), ("192.0.2.0/24", 33), ("2001:db8::/32", 129)] {
        assert!(one(&pdus::vrp(1, true, prefix, max_len, 1)).is_err(), "{prefix} max {max_len}");
    }
}

#[test]
fn inner_lengths_of_an_error_report_are_not_believed() {
    for at in [8, 12] {
        let mut octets = pdus::error(1, 0, "text");
        octets[at] = 0xff;
        assert!(one(&octets).is_err(), "octet {at}");
    }
}

#[test]
fn what_we_send_is_what_we_would_read() {
    let mut out = Vec::new();
    serial_query(&mut out, 2, 7, 9);
    assert_eq!(one(&out), Ok(Pdu::SerialQuery { session: 7, serial: 9 }));
    out.clear();
    reset_query(&mut out, 2);
    assert_eq!(one(&out), Ok(Pdu::ResetQuery));
    out.clear();
    error_report_to(&mut out, 2, ErrorCode::DuplicateAnnouncement, &[7; 5000], "twice");
    assert_eq!(one(&out), Ok(Pdu::ErrorReport { code: 7, text: b"twice" }));
    assert!(is_error_report(&out));
}

proptest! {
    #[test]
    fn any_octets_are_a_pdu_or_a_fault_or_too_few(octets in vec(any::<u8>(), 0..80)) {
        if let Ok(Some((frame, length))) = decode(&octets, 10) {
            prop_assert_eq!(frame.octets.len(), length);
            prop_assert!(length <= octets.len());
        }
    }

    #[test]
    fn headers_that_nearly_fit_are_a_pdu_or_a_fault(
        version in 0u8..4, kind in 0u8..13, length in 0u8..70, body in vec(any::<u8>(), 0..70)
    ) {
        let mut octets = vec![version, kind, 0, 0, 0, 0, 0, length];
        octets.extend(&body);
        match decode(&octets, 10) {
            Ok(Some((_, used))) => prop_assert_eq!(used, usize::from(length)),
            Ok(None) => prop_assert!(octets.len() < usize::from(length)),
            Err(_) => {}
        }
    }
}
