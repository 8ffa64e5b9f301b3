//! One cache as a machine without sockets: octets and the time are arguments, queries and answers come out.
//!
//! RFC 8210 sections 6 (timers), 7 (versions) and 8 (sequences), RFC 6810 and draft-ietf-sidrops-8210bis for versions
//! 0 and 2. A [`Session`] outlives its connections: it knows which serial to ask from, which version to open with, and
//! when to try again. Where a cache is at fault its last good data stand until they expire or a whole new set replaces
//! them; RFC 8210 section 5.1 would have them flushed at once when the session id changes, which would open filters
//! for the moment in between.

use std::time::Duration;

use siskin_net::Timestamp;

use crate::end::End;
use crate::payload::{Limits, Payload, Refused};
use crate::timers::{Intervals, Timers};
use crate::wire::{self, ErrorCode, Frame, MAX_VERSION, Pdu};

/// How soon after an answer a Serial Notify is followed: a cache that notifies without end is asked ten times a second.
const NOTIFY_GAP: Duration = Duration::from_millis(100);
/// The first pause after a failure; it doubles up to the retry interval.
const FIRST_RETRY: Duration = Duration::from_secs(1);
/// After this time a cache that once spoke only an older version is asked in the newest one again.
const FORGET_VERSION: Duration = Duration::from_secs(24 * 3600);
/// How long after an answer in a version found by guessing the newest one is tried once more.
const PROBE: Duration = Duration::from_secs(60);

/// What a session needs from whoever drives it.
pub(crate) trait Host {
    /// Sends octets to the cache.
    fn send(&mut self, octets: &[u8]);

    /// Takes a whole answer, which counts until `expires`.
    ///
    /// # Errors
    ///
    /// It does not fit what the cache said before.
    fn apply(&mut self, payload: Payload, expires: Timestamp) -> Result<(), Refused>;
}

/// Where the last good answer left us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Resume {
    version: u8,
    session: u16,
    serial: u32,
}

#[derive(Debug)]
enum Phase {
    /// No connection until then.
    Down { retry: Timestamp },
    /// A query is out.
    Asked { full: bool, deadline: Timestamp },
    /// An answer comes in: a PDU by `silent`, End of Data by `slow`.
    Loading { payload: Payload, session: u16, silent: Timestamp, slow: Timestamp },
    /// All is well until the refresh timer asks again.
    Idle { refresh: Timestamp, answered: Timestamp },
}

/// One cache, over all its connections.
#[derive(Debug)]
pub(crate) struct Session {
    timers: Timers,
    limits: Limits,
    intervals: Intervals,
    /// The version of the next query.
    version: u8,
    /// Since when the version is not the highest.
    lowered: Option<Timestamp>,
    /// The version of the last good answer.
    proven: Option<u8>,
    /// The version is low because connections were hung up, which may have had another reason.
    guessed: bool,
    /// The cache has answered on this connection: the version is settled.
    settled: bool,
    resume: Option<Resume>,
    /// When the data of the last answer expire.
    expires: Option<Timestamp>,
    failures: u32,
    phase: Phase,
}

impl Session {
    /// A cache that nothing is known of; it wants a connection at once.
    pub(crate) fn new(timers: Timers, limits: Limits, now: Timestamp) -> Session {
        Session {
            timers,
            limits,
            intervals: Intervals::of(None, &timers),
            version: MAX_VERSION,
            lowered: None,
            proven: None,
            guessed: false,
            settled: false,
            resume: None,
            expires: None,
            failures: 0,
            phase: Phase::Down { retry: now },
        }
    }

    /// When to connect next; `None` while connected.
    pub(crate) fn retry_at(&self) -> Option<Timestamp> {
        match self.phase {
            Phase::Down { retry } => Some(retry),
            _ => None,
        }
    }

    /// The version spoken, once the cache has answered.
    pub(crate) fn version(&self) -> Option<u8> {
        self.settled.then_some(self.version)
    }

    /// Session id and serial of the last good answer.
    pub(crate) fn position(&self) -> Option<(u16, u32)> {
        self.resume.map(|r| (r.session, r.serial))
    }

    /// A connection stands: asks for what changed since the last answer, or for everything.
    pub(crate) fn connected(&mut self, now: Timestamp, host: &mut impl Host) {
        self.settled = false;
        if self.lowered.is_some_and(|since| now.since(since) > FORGET_VERSION) {
            self.lowered = None;
            self.version = MAX_VERSION;
        }
        self.ask(now, host);
    }

    fn ask(&mut self, now: Timestamp, host: &mut impl Host) {
        if self.expires.is_none_or(|at| at <= now) {
            self.resume = None;
        }
        let mut query = Vec::with_capacity(12);
        // A session id belongs to one version (8210bis section 5.1).
        let resume = self.resume.filter(|r| r.version == self.version);
        match resume {
            Some(r) => wire::serial_query(&mut query, self.version, r.session, r.serial),
            None => wire::reset_query(&mut query, self.version),
        }
        host.send(&query);
        self.phase = Phase::Asked { full: resume.is_none(), deadline: now + self.timers.response };
    }

    /// When [`Session::tick`] is due; `None` while there is no connection.
    pub(crate) fn deadline(&self) -> Option<Timestamp> {
        match &self.phase {
            Phase::Down { .. } => None,
            Phase::Asked { deadline, .. } => Some(*deadline),
            Phase::Loading { silent, slow, .. } => Some(*silent.min(slow)),
            Phase::Idle { refresh, .. } => Some(*refresh),
        }
    }

    /// The time has come to `now`: asks again when the refresh timer is over.
    ///
    /// # Errors
    ///
    /// The cache was silent or slow, so the connection must end.
    pub(crate) fn tick(&mut self, now: Timestamp, host: &mut impl Host) -> Result<(), End> {
        match &self.phase {
            Phase::Asked { deadline, .. } if *deadline <= now => {
                Err(End::Silent(self.timers.response, "after a query"))
            }
            Phase::Loading { silent, .. } if *silent <= now => {
                Err(End::Silent(self.timers.response, "in the middle of an answer"))
            }
            Phase::Loading { slow, .. } if *slow <= now => Err(End::Slow(self.timers.payload)),
            Phase::Idle { refresh, .. } if *refresh <= now => {
                if self.guessed {
                    return Err(End::Probe);
                }
                self.ask(now, host);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Octets came in: takes the whole PDUs at the start of `input` and says how many octets they were.
    ///
    /// # Errors
    ///
    /// Why the connection must end; an Error Report has been sent where RFC 8210 section 12 asks for one.
    pub(crate) fn received(
        &mut self,
        now: Timestamp,
        input: &[u8],
        host: &mut impl Host,
    ) -> Result<usize, End> {
        let mut used = 0;
        while let Some(rest) = input.get(used..) {
            let (frame, length) = match wire::decode(rest, self.limits.providers) {
                Ok(Some(decoded)) => decoded,
                Ok(None) => break,
                Err(fault) => {
                    if !wire::is_error_report(rest) {
                        self.report(self.version, rest, &End::Malformed(fault), host);
                    }
                    return Err(End::Malformed(fault));
                }
            };
            used += length;
            if let Err(end) = self.frame(now, &frame, host) {
                // Never an answer to an Error Report (RFC 8210 section 5.11).
                if !matches!(frame.pdu, Pdu::ErrorReport { .. }) {
                    self.report(self.version, frame.octets, &end, host);
                }
                return Err(end);
            }
        }
        if let Phase::Loading { silent, .. } = &mut self.phase
            && used > 0
        {
            *silent = now + self.timers.response;
        }
        Ok(used)
    }

    /// The end of a connection that the cache closed.
    pub(crate) fn hung_up(&self) -> End {
        End::Closed(self.settled)
    }

    fn report(&self, version: u8, octets: &[u8], end: &End, host: &mut impl Host) {
        let mut out = Vec::new();
        wire::error_report_to(&mut out, version, end.code(), octets, &end.to_string());
        host.send(&out);
    }

    fn frame(&mut self, now: Timestamp, frame: &Frame<'_>, host: &mut impl Host) -> Result<(), End> {
        if let Pdu::ErrorReport { code, text } = frame.pdu {
            return Err(self.reported(frame.version, code, text));
        }
        self.settle(now, frame)?;
        match frame.pdu {
            Pdu::Vrp { announce, vrp } => self.loading("a prefix")?.vrp(announce, vrp).map_err(End::Refused),
            Pdu::Aspa { announce, customer, family, providers } => {
                let list = announce.then(|| providers.iter().collect());
                self.loading("an ASPA")?.aspa(customer, family, list).map_err(End::Refused)
            }
            Pdu::RouterKey => self.loading("a router key").map(drop),
            Pdu::SerialNotify { session, .. } => self.notified(now, session),
            Pdu::CacheResponse { session } => self.response(now, session),
            Pdu::EndOfData { session, serial, intervals } => {
                self.end_of_data(now, session, serial, intervals, host)
            }
            Pdu::CacheReset => self.cache_reset(now, host),
            Pdu::SerialQuery { .. } | Pdu::ResetQuery => Err(End::Unexpected("a query")),
            Pdu::ErrorReport { .. } => Ok(()),
        }
    }

    /// Versions (RFC 8210 section 7): the first answer may be in a lower one than a Reset Query, and settles it; a
    /// session id, and so the answer to a Serial Query, belongs to one version. A Serial Notify before the first
    /// answer settles nothing.
    fn settle(&mut self, now: Timestamp, frame: &Frame<'_>) -> Result<(), End> {
        if frame.version == self.version {
            self.settled = self.settled || !matches!(frame.pdu, Pdu::SerialNotify { .. });
            return Ok(());
        }
        if !self.settled && matches!(frame.pdu, Pdu::SerialNotify { .. }) {
            return Ok(());
        }
        let serial = matches!(self.phase, Phase::Asked { full: false, .. });
        if self.settled || serial || frame.version > self.version {
            return Err(End::Version(frame.version, self.version));
        }
        self.version = frame.version;
        self.lowered.get_or_insert(now);
        self.settled = true;
        Ok(())
    }

    fn loading(&mut self, what: &'static str) -> Result<&mut Payload, End> {
        match &mut self.phase {
            Phase::Loading { payload, .. } => Ok(payload),
            _ => Err(End::Unexpected(what)),
        }
    }

    fn notified(&mut self, now: Timestamp, session: u16) -> Result<(), End> {
        if let Phase::Idle { refresh, answered } = &mut self.phase {
            if let Some(resume) = self.resume.filter(|r| r.session != session) {
                return Err(End::SessionChanged(resume.session, session));
            }
            *refresh = (*refresh).min(now.max(*answered + NOTIFY_GAP));
        }
        Ok(())
    }

    fn response(&mut self, now: Timestamp, session: u16) -> Result<(), End> {
        let Phase::Asked { full, .. } = self.phase else {
            return Err(End::Unexpected("a Cache Response"));
        };
        if let Some(resume) = self.resume.filter(|r| !full && r.session != session) {
            return Err(End::SessionChanged(resume.session, session));
        }
        self.phase = Phase::Loading {
            payload: Payload::new(full, self.limits),
            session,
            silent: now + self.timers.response,
            slow: now + self.timers.payload,
        };
        Ok(())
    }

    fn end_of_data(
        &mut self,
        now: Timestamp,
        session: u16,
        serial: u32,
        intervals: Option<wire::Intervals>,
        host: &mut impl Host,
    ) -> Result<(), End> {
        let phase = std::mem::replace(&mut self.phase, Phase::Idle { refresh: now, answered: now });
        let Phase::Loading { payload, session: opened, .. } = phase else {
            return Err(End::Unexpected("an End of Data"));
        };
        if opened != session {
            return Err(End::SessionChanged(opened, session));
        }
        if let Some(resume) = self.resume.filter(|r| !payload.is_full() && is_before(serial, r.serial)) {
            return Err(End::OldSerial(resume.serial, serial));
        }
        let intervals = Intervals::of(intervals, &self.timers);
        let expires = now + intervals.expire;
        host.apply(payload, expires).map_err(End::Refused)?;
        self.intervals = intervals;
        self.resume = Some(Resume { version: self.version, session, serial });
        self.proven = Some(self.version);
        self.expires = Some(expires);
        self.failures = 0;
        let refresh = if self.guessed { PROBE.min(intervals.refresh) } else { intervals.refresh };
        self.phase = Phase::Idle { refresh: now + refresh, answered: now };
        Ok(())
    }

    /// The cache cannot tell what changed since our serial (RFC 8210 section 8.3): everything, then.
    fn cache_reset(&mut self, now: Timestamp, host: &mut impl Host) -> Result<(), End> {
        match self.phase {
            Phase::Asked { full: false, .. } => {
                self.resume = None;
                self.ask(now, host);
                Ok(())
            }
            _ => Err(End::Unexpected("a Cache Reset")),
        }
    }

    fn reported(&self, version: u8, code: u16, text: &[u8]) -> End {
        if code == ErrorCode::NoDataAvailable as u16 {
            return End::NoData;
        }
        if code == ErrorCode::UnsupportedVersion as u16 && !self.settled && self.version > 0 {
            return End::Downgrade(version.min(self.version - 1));
        }
        let text: String = String::from_utf8_lossy(text).chars().filter(|c| !c.is_control()).collect();
        End::Reported(code, text)
    }

    /// The connection is over, or did not come about. Decides when to try again, and how.
    pub(crate) fn closed(&mut self, now: Timestamp, end: &End) {
        let settled = std::mem::take(&mut self.settled);
        let serial = matches!(self.phase, Phase::Asked { full: false, .. });
        let mut again = None;
        match end {
            End::Downgrade(version) => {
                self.lower(now, *version);
                again = Some(Duration::ZERO);
            }
            End::Probe => {
                self.raise();
                again = Some(Duration::ZERO);
            }
            // A cache that knows no version but its own may just hang up, or find fault with the query. The next is in
            // a version that has worked, else in the one below, unless this one has worked before.
            End::Closed(false) | End::Reported(..) if !settled && self.proven != Some(self.version) => {
                again = self.guess(now);
            }
            // A cache that does not know our session id ought to send Cache Reset. StayRTR reports corrupt data and
            // hangs up, and the report may be lost on the way.
            End::Closed(_) if serial => self.resume = None,
            End::Reported(..) if serial => again = self.forget(),
            End::SessionChanged(..) | End::OldSerial(..) | End::Refused(Refused::Conflict(_)) => {
                again = self.forget();
            }
            End::Malformed(_) | End::Refused(_) | End::Version(..) => self.resume = None,
            _ => {}
        }
        let pause = again.unwrap_or_else(|| {
            self.failures = (self.failures + 1).min(16);
            FIRST_RETRY * 2u32.pow(self.failures - 1)
        });
        self.phase = Phase::Down { retry: now + pause.min(self.intervals.retry) };
    }

    /// The next question is for everything: once at once; if that fails too, after the pause that failures get.
    fn forget(&mut self) -> Option<Duration> {
        self.resume.take().map(|_| Duration::ZERO)
    }

    fn lower(&mut self, now: Timestamp, version: u8) {
        self.version = version;
        self.lowered.get_or_insert(now);
    }

    /// Picks a version after one that was not answered, and says when to try it.
    fn guess(&mut self, now: Timestamp) -> Option<Duration> {
        if let Some(proven) = self.proven.filter(|p| *p < self.version) {
            self.lower(now, proven);
            return Some(Duration::ZERO);
        }
        let Some(below) = self.version.checked_sub(1) else {
            self.raise();
            return None;
        };
        self.lower(now, below);
        self.guessed = true;
        Some(FIRST_RETRY)
    }

    /// From the top again.
    fn raise(&mut self) {
        self.guessed = false;
        self.version = MAX_VERSION;
        self.lowered = None;
    }
}

/// Whether serial `a` is before `b` (RFC 1982).
fn is_before(a: u32, b: u32) -> bool {
    a != b && b.wrapping_sub(a) < 1 << 31
}

#[cfg(test)]
mod tests;
