//! What the client says of itself: for `siskin rpki status`, the API and metrics.

use std::path::PathBuf;
use std::time::Duration;

use siskin_net::FamilyMap;

/// All of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Every cache, by name.
    pub servers: Vec<ServerStatus>,
    /// VRPs in force: the union, exceptions applied.
    pub vrps: FamilyMap<usize>,
    /// Customers with an ASPA in force.
    pub aspas: usize,
    /// The age of the persisted data, while they count.
    pub persisted_age: Option<Duration>,
    /// Why the persisted data were not used, or not written; `None`: no fault.
    pub persist_error: Option<String>,
    /// The local exceptions, if configured.
    pub slurm: Option<SlurmStatus>,
    /// See [`Update::complete`](crate::Update::complete).
    pub complete: bool,
}

/// One cache.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerStatus {
    /// As configured.
    pub name: String,
    /// Whether there is a connection.
    pub connected: bool,
    /// The RTR version spoken on it, once the cache has answered.
    pub version: Option<u8>,
    /// The session id of the last good answer.
    pub session: Option<u16>,
    /// The serial of the last good answer.
    pub serial: Option<u32>,
    /// VRPs it has sent.
    pub vrps: FamilyMap<usize>,
    /// ASPAs it has sent.
    pub aspas: usize,
    /// Whether its data count: there was a whole set, and it has not expired.
    pub usable: bool,
    /// Time since its last good answer.
    pub last_update: Option<Duration>,
    /// Why the last connection ended, or did not come about; stays until the next good answer.
    pub last_error: Option<String>,
    /// Time until the next attempt, while there is no connection.
    pub next_retry: Option<Duration>,
    /// Connections that ended or did not come about, since the start.
    pub failures: u64,
}

/// The local exceptions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SlurmStatus {
    /// The file.
    pub path: PathBuf,
    /// Filters in force.
    pub filters: usize,
    /// Assertions in force.
    pub assertions: usize,
    /// Why the file could not be used as it is now; what was read before stands.
    pub error: Option<String>,
}
