//! RTR PDUs, decode and encode: versions 0 (RFC 6810), 1 (RFC 8210 section 5) and 2 (draft-ietf-sidrops-8210bis).
//!
//! A length is judged as soon as the eight octets of the header are there, so a lying length costs no memory. ASPA
//! PDUs are read in the draft's present form and in that of its revision 10, which StayRTR of Debian sends: the two
//! cannot be confused (see [`aspa`]). Router keys are skipped: nothing here validates BGPsec.

use std::time::Duration;

use siskin_net::{Asn, Family, Prefix, Vrp};

/// The highest version we speak.
pub(crate) const MAX_VERSION: u8 = 2;
/// Octets of the header that all PDUs share.
const HEADER: usize = 8;
/// The longest Error Report we read: a PDU of ours inside and a text, with much room.
const MAX_ERROR_REPORT: usize = 4096;
/// The longest router key PDU: its key is a P-256 key of some 91 octets.
const MAX_ROUTER_KEY: usize = 4096;
/// Octets of an Error Report's text that we keep.
const MAX_TEXT: usize = 256;
/// Octets of a faulty PDU that our Error Report carries.
const MAX_COPY: usize = 64;

/// Error codes (RFC 8210 section 12).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub(crate) enum ErrorCode {
    /// Whatever is wrong and has no code of its own.
    CorruptData = 0,
    /// The cache has no data yet: the one error that is not fatal.
    NoDataAvailable = 2,
    /// The version of a query is not one the cache speaks.
    UnsupportedVersion = 4,
    /// The type is not one the version knows.
    UnsupportedPdu = 5,
    /// A withdrawal of what was not there.
    UnknownWithdrawal = 6,
    /// An announcement of what was there.
    DuplicateAnnouncement = 7,
    /// A version other than the negotiated one.
    UnexpectedVersion = 8,
}

/// The timers that End of Data carries from version 1 on (RFC 8210 section 6), as sent: not yet within bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Intervals {
    /// From one answer to the next question.
    pub(crate) refresh: Duration,
    /// From a failed question to the next.
    pub(crate) retry: Duration,
    /// How long data lives without an answer.
    pub(crate) expire: Duration,
}

/// The providers of one ASPA PDU, still as octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Providers<'a>(&'a [u8]);

impl Providers<'_> {
    /// Each, as sent.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Asn> {
        self.0.chunks_exact(4).map(|c| Asn(word(c, 0)))
    }
}

/// One PDU; the fields are those of RFC 8210 section 5.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pdu<'a> {
    SerialNotify { session: u16, serial: u32 },
    SerialQuery { session: u16, serial: u32 },
    ResetQuery,
    CacheResponse { session: u16 },
    Vrp { announce: bool, vrp: Vrp },
    EndOfData { session: u16, serial: u32, intervals: Option<Intervals> },
    CacheReset,
    RouterKey,
    ErrorReport { code: u16, text: &'a [u8] },
    Aspa { announce: bool, customer: Asn, family: Option<Family>, providers: Providers<'a> },
}

/// A PDU with the version its header names and its octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Frame<'a> {
    /// The version in the header.
    pub(crate) version: u8,
    /// What it says.
    pub(crate) pdu: Pdu<'a>,
    /// The octets, header included.
    pub(crate) octets: &'a [u8],
}

/// Octets that are no PDU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub(crate) struct Malformed {
    /// What the Error Report says.
    pub(crate) code: ErrorCode,
    /// In words.
    pub(crate) reason: &'static str,
}

fn corrupt(reason: &'static str) -> Malformed {
    Malformed { code: ErrorCode::CorruptData, reason }
}

/// The big-endian word at `at`; zero beyond the end, which no caller reaches: lengths are checked first.
fn word(octets: &[u8], at: usize) -> u32 {
    octets.get(at..at + 4).and_then(|b| b.try_into().ok()).map_or(0, u32::from_be_bytes)
}

fn half(octets: &[u8], at: usize) -> u16 {
    octets.get(at..at + 2).and_then(|b| b.try_into().ok()).map_or(0, u16::from_be_bytes)
}

fn octet(octets: &[u8], at: usize) -> u8 {
    octets.get(at).copied().unwrap_or(0)
}

/// The PDU at the start of `input` and its length; `None`: more octets are needed. An ASPA may have `max_providers`.
///
/// # Errors
///
/// What the octets are instead of a PDU; a session that meets one ends.
pub(crate) fn decode(input: &[u8], max_providers: usize) -> Result<Option<(Frame<'_>, usize)>, Malformed> {
    let Some(header) = input.get(..HEADER) else { return Ok(None) };
    let (version, kind) = (octet(header, 0), octet(header, 1));
    let length = usize::try_from(word(header, 4)).unwrap_or(usize::MAX);
    check_length(version, kind, length, max_providers)?;
    let Some(octets) = input.get(..length) else { return Ok(None) };
    let session = half(octets, 2);
    let serial = word(octets, 8);
    let pdu = match kind {
        0 => Pdu::SerialNotify { session, serial },
        1 => Pdu::SerialQuery { session, serial },
        2 => Pdu::ResetQuery,
        3 => Pdu::CacheResponse { session },
        4 => vrp(Family::Ipv4, octets)?,
        6 => vrp(Family::Ipv6, octets)?,
        7 => Pdu::EndOfData { session, serial, intervals: intervals(octets) },
        8 => Pdu::CacheReset,
        9 => Pdu::RouterKey,
        10 => error_report(session, octets)?,
        _ => aspa(octets)?,
    };
    Ok(Some((Frame { version, pdu, octets }, length)))
}

/// Judges a header alone. The version is taken as it is: whether it is the negotiated one is the session's business.
fn check_length(version: u8, kind: u8, length: usize, max_providers: usize) -> Result<(), Malformed> {
    let fits = match kind {
        0 | 1 => length == 12,
        2 | 3 | 8 => length == 8,
        4 => length == 20,
        6 => length == 32,
        7 => length == if version == 0 { 12 } else { 24 },
        9 if version >= 1 => (32..=MAX_ROUTER_KEY).contains(&length),
        10 => (16..=MAX_ERROR_REPORT).contains(&length),
        11 if version >= 2 => {
            if length / 4 > max_providers.saturating_add(4) {
                return Err(corrupt("an ASPA with more providers than the limit"));
            }
            length >= 12 && length.is_multiple_of(4)
        }
        _ => return Err(Malformed { code: ErrorCode::UnsupportedPdu, reason: "a PDU of an unknown type" }),
    };
    if fits { Ok(()) } else { Err(corrupt("a PDU with an impossible length")) }
}

/// IPv4 Prefix and IPv6 Prefix (RFC 8210 sections 5.6, 5.7). Host bits are cleared, as they name no other prefix.
fn vrp(family: Family, octets: &[u8]) -> Result<Pdu<'static>, Malformed> {
    let (flags, len, max_len) = (octet(octets, 8), octet(octets, 9), octet(octets, 10));
    let (bits, asn) = match family {
        Family::Ipv4 => (u128::from(word(octets, 12)) << 96, word(octets, 16)),
        Family::Ipv6 => {
            let bits = (12..28).step_by(4).fold(0, |b, at| b << 32 | u128::from(word(octets, at)));
            (bits, word(octets, 28))
        }
    };
    if len > max_len || max_len > family.max_len() {
        return Err(corrupt("a prefix with an impossible length or maximum length"));
    }
    let vrp = Vrp { prefix: Prefix::from_bits(family, bits, len), max_len, asn: Asn(asn) };
    Ok(Pdu::Vrp { announce: flags & 1 == 1, vrp })
}

fn intervals(octets: &[u8]) -> Option<Intervals> {
    let seconds = |at| Duration::from_secs(u64::from(word(octets, at)));
    (octets.len() == 24).then(|| Intervals { refresh: seconds(12), retry: seconds(16), expire: seconds(20) })
}

/// Error Report (RFC 8210 section 5.11): two counted fields, of which only the text is kept.
fn error_report(code: u16, octets: &[u8]) -> Result<Pdu<'_>, Malformed> {
    let lies = corrupt("an Error Report whose inner lengths do not fit");
    let copied = usize::try_from(word(octets, 8)).map_err(|_| lies)?;
    let rest = octets.get(12..).and_then(|r| r.get(copied..)).ok_or(lies)?;
    let length = rest.get(..4).map(|r| usize::try_from(word(r, 0)).unwrap_or(usize::MAX)).ok_or(lies)?;
    let text = rest.get(4..).and_then(|r| r.get(..length)).ok_or(lies)?;
    Ok(Pdu::ErrorReport { code, text: text.get(..MAX_TEXT).unwrap_or(text) })
}

/// ASPA PDUs of two revisions of the draft.
///
/// The present one has its flags in the header, then the customer and its providers; a withdrawal has none, so it is
/// twelve octets long. Revision 10 leaves the header's field zero and has flags, an AFI and a count before the
/// customer: at least sixteen octets. So a zero field with sixteen octets or more can only be the older form.
fn aspa(octets: &[u8]) -> Result<Pdu<'_>, Malformed> {
    let old = half(octets, 2) == 0 && octets.len() >= 16;
    let (flags, family, customer, list) = if old {
        let family = if octet(octets, 9) & 1 == 0 { Family::Ipv4 } else { Family::Ipv6 };
        let list = octets.get(16..).unwrap_or_default();
        if usize::from(half(octets, 10)) != list.len() / 4 {
            return Err(corrupt("an ASPA whose count of providers does not fit its length"));
        }
        (octet(octets, 8), Some(family), word(octets, 12), list)
    } else {
        (octet(octets, 2), None, word(octets, 8), octets.get(12..).unwrap_or_default())
    };
    let announce = flags & 1 == 1;
    // The older form may name in a withdrawal whom it withdraws.
    if announce == list.is_empty() && (announce || !old) {
        return Err(corrupt("an ASPA that announces nobody, or withdraws somebody"));
    }
    Ok(Pdu::Aspa { announce, customer: Asn(customer), family, providers: Providers(list) })
}

/// Whether the octets begin an Error Report, which is never answered with another (RFC 8210 section 5.11).
pub(crate) fn is_error_report(octets: &[u8]) -> bool {
    octets.get(1) == Some(&10)
}

/// Appends a Serial Query.
pub(crate) fn serial_query(out: &mut Vec<u8>, version: u8, session: u16, serial: u32) {
    out.extend([version, 1]);
    out.extend(session.to_be_bytes());
    out.extend(12u32.to_be_bytes());
    out.extend(serial.to_be_bytes());
}

/// Appends a Reset Query.
pub(crate) fn reset_query(out: &mut Vec<u8>, version: u8) {
    out.extend([version, 2, 0, 0, 0, 0, 0, 8]);
}

/// Appends an Error Report about `octets`, of which the first ones are copied.
pub(crate) fn error_report_to(out: &mut Vec<u8>, version: u8, code: ErrorCode, octets: &[u8], text: &str) {
    let copy = octets.get(..MAX_COPY).unwrap_or(octets);
    let text = text.as_bytes().get(..MAX_TEXT).unwrap_or(text.as_bytes());
    let count = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap_or(0);
    out.extend([version, 10]);
    out.extend((code as u16).to_be_bytes());
    out.extend((16 + count(copy) + count(text)).to_be_bytes());
    out.extend(count(copy).to_be_bytes());
    out.extend(copy);
    out.extend(count(text).to_be_bytes());
    out.extend(text);
}

#[cfg(test)]
mod tests;
