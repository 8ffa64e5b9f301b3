//! What the daemon and the command line say to each other: the JSON types of the HTTP API, and the one table of
//! its endpoints from which the router, the OpenAPI document and the reference are made.
//!
//! Field names are snake_case and stable: fields are added, never renamed or removed. Words that also stand in the
//! configuration (roles, sources) are spelled as there. Every field is always present, `null` where there is no
//! value. Nothing here does I/O.

mod config;
mod endpoint;
mod error;
mod event;
mod explain;
mod fib;
mod guard;
mod host_route;
mod irr;
mod limit;
mod openapi;
mod peer;
mod policy;
mod route;
mod rpki;
mod schema;
mod sentence;
mod status;

pub use config::{ConfigDiagnostic, ConfigReport, ConfigRequest, ConfigView, Severity};
pub use endpoint::{BodyKind, ENDPOINTS, Endpoint, Method, Operation};
pub use error::{ApiError, ErrorBody, ErrorCode};
pub use event::{Event, EventBody, HostRouteChange};
pub use explain::{
    AttributeChange, Check, DecisionStep, ExplainQuery, ExplainedPath, Explanation, ExportOutcome,
    KernelOutcome, KernelState, Lost, PolicyStep, PolicyTrace,
};
pub use fib::{
    FibCheck, FibDifference, FibError, FibFault, FibPage, FibQuery, FibRoute, FibState, Hop, KernelMode,
    NextHopObject, NextHops, RouteKind, TrackedNextHop,
};
pub use guard::{FilterState, FilterView, GuardDrops, GuardPort, GuardRefusals, GuardView};
pub use host_route::{
    HostRoute, HostRouteInterface, HostRouteMove, HostRouteMoveKind, HostRouteRequest, HostRouteState,
    HostRoutes, RemoteRoute,
};
pub use irr::{
    IrrRefreshRequest, IrrSet, IrrSetQuery, IrrSetState, IrrSetView, IrrStatus, PeeringDbRecord,
    PeeringDbStatus,
};
pub use limit::{LimitSource, LimitState, MaxPrefix};
pub use openapi::document as openapi_document;
pub use peer::{
    ActionDone, Capabilities, Direction, Done, LastError, MessageCounts, Messages, PeerAction, PeerDetail,
    PeerFamily, PeerKind, PeerState, PeerSummary, RoleState, Timers,
};
pub use policy::{
    PolicyCheck, PolicyDirection, PolicyMrtReport, PolicyMrtRequest, PolicyOutcome, PolicyRule, PolicySide,
    PolicyTestRequest, PolicyTestResult, PolicyView, RuleCount,
};
pub use route::{
    AggregatorView, Attributes, DEFAULT_LIMIT, MAX_LIMIT, Path, Rejection, Route, RoutesPage, RoutesQuery,
    Selector, UnknownView, View,
};
pub use rpki::{
    CoveringVrp, DataOrigin, RpkiChange, RpkiCheck, RpkiCheckQuery, RpkiServer, RpkiState, RpkiStatus,
    SlurmStatus,
};
pub use status::{ConfigState, FibCounts, Gate, PeerCounts, PerFamily, RibCounts, Status};

#[cfg(test)]
mod tests;
