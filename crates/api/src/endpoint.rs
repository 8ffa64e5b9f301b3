//! The table of endpoints. The router, the OpenAPI document and the check of the reference are all made from it, so
//! none can know an endpoint the others do not.

use schemars::{JsonSchema, Schema, SchemaGenerator};

use crate::{
    ActionDone, ConfigReport, ConfigRequest, ConfigView, Done, Event, ExplainQuery, Explanation, FibCheck,
    FibPage, FibQuery, GuardView, HostRouteRequest, HostRoutes, IrrRefreshRequest, IrrSetQuery, IrrSetView,
    IrrStatus, NextHops, PeerDetail, PeerSummary, PolicyMrtReport, PolicyMrtRequest, PolicyTestRequest,
    PolicyTestResult, PolicyView, RoutesPage, RoutesQuery, RpkiCheck, RpkiCheckQuery, RpkiStatus, Status,
};

/// HTTP methods in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Reads.
    Get,
    /// Acts, or asks with a body.
    Post,
    /// Puts something in a place.
    Put,
    /// Takes it away.
    Delete,
}

impl Method {
    /// As in a request line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Post => "POST",
            Method::Put => "PUT",
            Method::Delete => "DELETE",
        }
    }
}

/// What an endpoint does. The server matches on it without a wildcard: an endpoint without a handler does not compile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each is described by its summary in the table")]
pub enum Operation {
    GetStatus,
    ListPeers,
    GetPeer,
    PeerAction,
    ListRoutes,
    Explain,
    ListFib,
    CheckFib,
    ListNextHops,
    ListHostRoutes,
    DeclareHostRoute,
    RemoveHostRoute,
    MigrateHostRoute,
    ReleaseHostRoute,
    GetGuard,
    RemoveGuard,
    GetRpki,
    CheckRpki,
    GetIrr,
    GetIrrSet,
    RefreshIrr,
    AcceptIrr,
    GetPolicy,
    TestPolicy,
    TestPolicyMrt,
    Drain,
    Undrain,
    GetConfig,
    CheckConfig,
    ApplyConfig,
    Events,
    Metrics,
    Healthz,
    Readyz,
    OpenApi,
}

impl Operation {
    /// The `operationId` of the OpenAPI document.
    #[must_use]
    pub fn id(self) -> String {
        let name = format!("{self:?}");
        let mut chars = name.chars();
        chars.next().map(|first| first.to_ascii_lowercase()).into_iter().chain(chars).collect()
    }
}

/// Adds a type's schema to a generator.
pub(crate) type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

fn of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

/// What a successful answer looks like.
#[derive(Clone, Copy, Debug)]
pub enum BodyKind {
    /// `application/json` of this schema.
    Json(SchemaOf),
    /// `text/plain` for people and scrapers.
    Text,
    /// `text/event-stream`; the data of each event has this schema.
    Events(SchemaOf),
}

/// One endpoint.
#[derive(Clone, Copy, Debug)]
pub struct Endpoint {
    /// What it does.
    pub operation: Operation,
    /// Its method.
    pub method: Method,
    /// Its path; `{name}` stands for a parameter.
    pub path: &'static str,
    /// One sentence.
    pub summary: &'static str,
    /// Schema of the query, if it takes one.
    pub query: Option<SchemaOf>,
    /// Schema of the request's body, if it takes one.
    pub request: Option<SchemaOf>,
    /// Whether the body must be there; if not, an absent one means that every field has its default.
    pub request_required: bool,
    /// The answer.
    pub response: BodyKind,
    /// Whether it changes something: then only root and the daemon's user may call it, on the Unix socket alone.
    pub changing: bool,
}

const fn get(
    operation: Operation,
    path: &'static str,
    summary: &'static str,
    response: BodyKind,
) -> Endpoint {
    Endpoint {
        operation,
        method: Method::Get,
        path,
        summary,
        query: None,
        request: None,
        request_required: false,
        response,
        changing: false,
    }
}

const fn post(
    operation: Operation,
    path: &'static str,
    summary: &'static str,
    response: BodyKind,
) -> Endpoint {
    Endpoint { method: Method::Post, changing: true, ..get(operation, path, summary, response) }
}

impl Endpoint {
    const fn by(self, method: Method) -> Endpoint {
        Endpoint { method, ..self }
    }

    const fn query(self, schema: SchemaOf) -> Endpoint {
        Endpoint { query: Some(schema), ..self }
    }

    const fn request(self, schema: SchemaOf) -> Endpoint {
        Endpoint { request: Some(schema), ..self }
    }

    const fn requires(self, schema: SchemaOf) -> Endpoint {
        Endpoint { request: Some(schema), request_required: true, ..self }
    }

    /// Asks with a body, and changes nothing.
    const fn asking(self) -> Endpoint {
        Endpoint { changing: false, ..self }
    }

    /// The names of the path's parameters, in order.
    pub fn parameters(&self) -> impl Iterator<Item = &'static str> {
        self.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
    }
}

use BodyKind::{Events, Json, Text};

/// Every endpoint, in the order of the reference.
pub static ENDPOINTS: &[Endpoint] = &[
    get(Operation::GetStatus, "/v1/status", "The daemon at a glance.", Json(of::<Status>)),
    get(Operation::ListPeers, "/v1/peers", "Every BGP peer, by name.", Json(of::<Vec<PeerSummary>>)),
    get(Operation::GetPeer, "/v1/peers/{name}", "One BGP peer in full.", Json(of::<PeerDetail>)),
    post(
        Operation::PeerAction,
        "/v1/peers/{name}/{action}",
        "Does something to a peer: up, down, restart, refresh-in, refresh-out, drain, undrain.",
        Json(of::<ActionDone>),
    ),
    get(
        Operation::ListRoutes,
        "/v1/routes",
        "Prefixes with their paths, in pages; empty where nothing matches.",
        Json(of::<RoutesPage>),
    )
    .query(of::<RoutesQuery>),
    get(
        Operation::Explain,
        "/v1/explain",
        "Why a prefix is routed as it is: received, checks, policy, decision, kernel, export.",
        Json(of::<Explanation>),
    )
    .query(of::<ExplainQuery>),
    get(
        Operation::ListFib,
        "/v1/fib",
        "Our routes in the kernel, with their state, in pages.",
        Json(of::<FibPage>),
    )
    .query(of::<FibQuery>),
    get(
        Operation::CheckFib,
        "/v1/fib/check",
        "Compares our routes with the kernel's, and mends what differs.",
        Json(of::<FibCheck>),
    ),
    get(
        Operation::ListNextHops,
        "/v1/nexthops",
        "Next-hop objects in the kernel, and the next hops of BGP paths.",
        Json(of::<NextHops>),
    ),
    get(
        Operation::ListHostRoutes,
        "/v1/host-routes",
        "Addresses of virtual machines, and the interfaces they are learned on.",
        Json(of::<HostRoutes>),
    ),
    post(
        Operation::DeclareHostRoute,
        "/v1/host-routes/{interface}/{address}",
        "Declares that a VM has an address, until that is removed; also after a restart.",
        Json(of::<Done>),
    )
    .by(Method::Put)
    .requires(of::<HostRouteRequest>),
    post(
        Operation::RemoveHostRoute,
        "/v1/host-routes/{interface}/{address}",
        "Ends a declaration that was made while the daemon ran.",
        Json(of::<Done>),
    )
    .by(Method::Delete),
    post(
        Operation::MigrateHostRoute,
        "/v1/host-routes/{interface}/{address}/migrate",
        "Tells that a VM is about to move to another hypervisor: its route yields to the first other one.",
        Json(of::<Done>),
    ),
    post(
        Operation::ReleaseHostRoute,
        "/v1/host-routes/{interface}/{address}/release",
        "Withdraws an address until its VM is heard again, and ends its freeze.",
        Json(of::<Done>),
    ),
    get(
        Operation::GetGuard,
        "/v1/guard",
        "What ports of virtual machines were refused, and what their filter dropped.",
        Json(of::<GuardView>),
    ),
    post(
        Operation::RemoveGuard,
        "/v1/guard/remove",
        "Takes the filter of all ports out of the kernel, until the configuration is applied again.",
        Json(of::<Done>),
    ),
    get(Operation::GetRpki, "/v1/rpki", "Relying-party caches and their data.", Json(of::<RpkiStatus>)),
    get(
        Operation::CheckRpki,
        "/v1/rpki/check",
        "What validated data says about a prefix and its origin.",
        Json(of::<RpkiCheck>),
    )
    .query(of::<RpkiCheckQuery>),
    get(
        Operation::GetIrr,
        "/v1/irr",
        "Routing registries and PeeringDB, and what of their data is in force.",
        Json(of::<IrrStatus>),
    ),
    get(
        Operation::GetIrrSet,
        "/v1/irr/sets/{name}",
        "Prefixes and members of an as-set in use.",
        Json(of::<IrrSetView>),
    )
    .query(of::<IrrSetQuery>),
    post(
        Operation::RefreshIrr,
        "/v1/irr/refresh",
        "Asks the registries and PeeringDB again, for one peer or for all.",
        Json(of::<Done>),
    )
    .request(of::<IrrRefreshRequest>),
    post(
        Operation::AcceptIrr,
        "/v1/irr/accept/{peer}",
        "Puts the lists in force that a peer's registries offer and that were kept back as an alarm.",
        Json(of::<Done>),
    ),
    get(
        Operation::GetPolicy,
        "/v1/policy/{peer}",
        "What a peer's import and export do: built-in checks and policy rules, as text.",
        Json(of::<PolicyView>),
    ),
    post(
        Operation::TestPolicy,
        "/v1/policy/{peer}/test",
        "Runs a made-up route through a peer's import or export, and changes nothing.",
        Json(of::<PolicyTestResult>),
    )
    .requires(of::<PolicyTestRequest>)
    .asking(),
    post(
        Operation::TestPolicyMrt,
        "/v1/policy/{peer}/test-mrt",
        "Runs a table from a file through a peer's import; work for the daemon, so not for everyone.",
        Json(of::<PolicyMrtReport>),
    )
    .requires(of::<PolicyMrtRequest>),
    post(
        Operation::Drain,
        "/v1/drain",
        "Moves traffic away from the whole router: announces with GRACEFUL_SHUTDOWN, then nothing.",
        Json(of::<Done>),
    ),
    post(Operation::Undrain, "/v1/undrain", "Announces to all peers again.", Json(of::<Done>)),
    get(
        Operation::GetConfig,
        "/v1/config",
        "The configuration in force, groups merged, defaults filled in, secrets hidden.",
        Json(of::<ConfigView>),
    ),
    post(
        Operation::CheckConfig,
        "/v1/config/check",
        "Checks a configuration file and changes nothing; the answer is 200 also where it has errors.",
        Json(of::<ConfigReport>),
    )
    .request(of::<ConfigRequest>),
    post(
        Operation::ApplyConfig,
        "/v1/config/apply",
        "Reads the configuration again and puts it in force; 422 and no change where it has errors.",
        Json(of::<ConfigReport>),
    )
    .request(of::<ConfigRequest>),
    get(
        Operation::Events,
        "/v1/events",
        "What happens, as server-sent events, from now on.",
        Events(of::<Event>),
    ),
    get(Operation::Metrics, "/metrics", "Metrics in the Prometheus text format.", Text),
    get(Operation::Healthz, "/healthz", "200 as long as the daemon answers.", Text),
    get(Operation::Readyz, "/readyz", "200 when every gate is open, else 503 with those that are not.", Text),
    get(
        Operation::OpenApi,
        "/openapi.json",
        "This interface as an OpenAPI 3.1 document.",
        Json(of::<serde_json::Value>),
    ),
];
