//! Why a connection to a cache ends, in words for the operator and as the code of an Error Report for the cache.

use std::time::Duration;

use crate::payload::Refused;
use crate::set::Conflict;
use crate::wire::{ErrorCode, Malformed};

/// Why a connection ends.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum End {
    /// No connection came about.
    #[error("cannot connect: {0}")]
    Connect(String),
    /// The transport failed.
    #[error("the connection failed: {0}")]
    Transport(String),
    /// The cache closed it.
    #[error("the cache closed the connection{}", if *.0 { "" } else { " without a word" })]
    Closed(bool),
    /// Nothing came for too long.
    #[error("the cache was silent for {0:?} {1}")]
    Silent(Duration, &'static str),
    /// The whole answer took too long.
    #[error("an answer was not complete after {0:?}")]
    Slow(Duration),
    /// The cache sent what is no PDU.
    #[error("the cache sent {}", .0.reason)]
    Malformed(Malformed),
    /// The cache sent a PDU where it has no place.
    #[error("the cache sent {0} where it has no place")]
    Unexpected(&'static str),
    /// The cache changed its version in the middle.
    #[error("the cache answered in version {0}, not {1}")]
    Version(u8, u8),
    /// The cache wants another version.
    #[error("the cache speaks version {0} at most")]
    Downgrade(u8),
    /// The version was guessed: the newest one is worth another try.
    #[error("to ask in the newest version once more")]
    Probe,
    /// The cache took another session id.
    #[error("the cache changed its session id from {0} to {1}")]
    SessionChanged(u16, u16),
    /// The cache went back in time.
    #[error("the cache went back from serial {0} to {1}")]
    OldSerial(u32, u32),
    /// An answer that cannot be used.
    #[error("the cache sent {0}")]
    Refused(Refused),
    /// The cache says it has nothing yet.
    #[error("the cache has no data yet")]
    NoData,
    /// The cache reports an error of ours.
    #[error("the cache reported error {0}: {1}")]
    Reported(u16, String),
}

impl End {
    /// The code of the Error Report that tells the cache.
    pub(crate) fn code(&self) -> ErrorCode {
        match self {
            End::Malformed(fault) => fault.code,
            End::Version(..) => ErrorCode::UnexpectedVersion,
            End::Refused(Refused::Conflict(Conflict::Unknown)) => ErrorCode::UnknownWithdrawal,
            End::Refused(Refused::Conflict(Conflict::Duplicate)) => ErrorCode::DuplicateAnnouncement,
            _ => ErrorCode::CorruptData,
        }
    }
}
