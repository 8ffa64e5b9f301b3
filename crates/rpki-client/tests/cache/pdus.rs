//! What a cache sends, as octets: made by hand from RFC 8210 section 5, so that tests do not read what they wrote.

use std::net::IpAddr;

/// A length as it goes on the wire.
fn length(octets: &[u8]) -> u32 {
    octets.len().try_into().unwrap()
}

fn pdu(version: u8, kind: u8, session: u16, body: &[u8]) -> Vec<u8> {
    let mut out = vec![version, kind];
    out.extend(session.to_be_bytes());
    out.extend((8 + length(body)).to_be_bytes());
    out.extend(body);
    out
}

/// Serial Notify.
pub(crate) fn notify(version: u8, session: u16, serial: u32) -> Vec<u8> {
    pdu(version, 0, session, &serial.to_be_bytes())
}

/// Cache Response.
pub(crate) fn response(version: u8, session: u16) -> Vec<u8> {
    pdu(version, 3, session, &[])
}

/// IPv4 Prefix or IPv6 Prefix: `prefix` is like `192.0.2.0/24`.
pub(crate) fn vrp(version: u8, announce: bool, prefix: &str, max_len: u8, asn: u32) -> Vec<u8> {
    let (address, len) = prefix.split_once('/').unwrap();
    let mut body = vec![u8::from(announce), len.parse().unwrap(), max_len, 0];
    let kind = match address.parse().unwrap() {
        IpAddr::V4(a) => {
            body.extend(a.octets());
            4
        }
        IpAddr::V6(a) => {
            body.extend(a.octets());
            6
        }
    };
    body.extend(asn.to_be_bytes());
    pdu(version, kind, 0, &body)
}

/// End of Data with refresh, retry and expire; version 0 has no room for them.
pub(crate) fn end_timed(version: u8, session: u16, serial: u32, timers: [u32; 3]) -> Vec<u8> {
    let mut body = serial.to_be_bytes().to_vec();
    if version > 0 {
        body.extend(timers.iter().flat_map(|t| t.to_be_bytes()));
    }
    pdu(version, 7, session, &body)
}

/// End of Data with the timers of most caches.
pub(crate) fn end(version: u8, session: u16, serial: u32) -> Vec<u8> {
    end_timed(version, session, serial, [3600, 600, 7200])
}

/// Cache Reset.
pub(crate) fn reset(version: u8) -> Vec<u8> {
    pdu(version, 8, 0, &[])
}

/// An ASPA; without providers a withdrawal.
pub(crate) fn aspa(customer: u32, providers: &[u32]) -> Vec<u8> {
    let mut body = customer.to_be_bytes().to_vec();
    body.extend(providers.iter().flat_map(|p| p.to_be_bytes()));
    pdu(2, 11, u16::from(!providers.is_empty()) << 8, &body)
}

/// Error Report that copies no PDU.
pub(crate) fn error(version: u8, code: u16, text: &str) -> Vec<u8> {
    let mut body = vec![0; 4];
    body.extend(length(text.as_bytes()).to_be_bytes());
    body.extend(text.as_bytes());
    pdu(version, 10, code, &body)
}

/// A whole answer: Cache Response, announcements (prefix, AS) of the prefix's own length, End of Data.
pub(crate) fn answer(version: u8, session: u16, serial: u32, vrps: &[(&str, u32)]) -> Vec<u8> {
    let mut out = response(version, session);
    for (prefix, asn) in vrps {
        let len = prefix.split_once('/').unwrap().1.parse().unwrap();
        out.extend(vrp(version, true, prefix, len, *asn));
    }
    out.extend(end(version, session, serial));
    out
}
