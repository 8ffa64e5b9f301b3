//! `GET /v1/rpki`, `GET /v1/irr`: outside sources of facts about routes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::PerFamily;

/// Relying-party caches.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct RpkiStatus {
    /// Whether validated data is in use; `false`: `rpki valid`, `invalid` and `not-found` are all false in policies.
    pub configured: bool,
    /// VRPs in use.
    pub vrps: PerFamily<u64>,
    /// Each cache of the configuration.
    pub servers: Vec<RpkiServer>,
}

/// One cache (RFC 8210).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RpkiServer {
    /// `host:port` of the configuration.
    pub server: String,
    /// Whether the session is up.
    pub connected: bool,
    /// Serial number of the data.
    pub serial: Option<u32>,
    /// Seconds since the last change or confirmation.
    pub age_s: Option<u64>,
    /// Why it is not connected.
    pub last_error: Option<String>,
}

/// Routing registries.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct IrrStatus {
    /// Whether registry data is in use; `false`: `irr match` is false in policies.
    pub configured: bool,
    /// `host` of the configuration.
    pub server: Option<String>,
}
