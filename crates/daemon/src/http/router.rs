//! The router, made from the table of endpoints.

use std::sync::Arc;

use axum::Router;
use axum::extract::{RawPathParams, Request};
use axum::http::{HeaderValue, Method as HttpMethod, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, on};
use siskin_api::{ApiError, ENDPOINTS, Endpoint, ErrorCode, Method, Operation, PeerAction};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::answer::{Failure, body, in_time, json, query, required_body, text};
use super::connection::Caller;
use super::{Answer, Backend, HostRouteVerb, Limits, events};

/// What every request needs.
struct Context<B> {
    backend: Arc<B>,
    limits: Limits,
    streams: Arc<Semaphore>,
    stop: CancellationToken,
}

/// The router of all endpoints. Requests carry their [`Caller`] as an extension.
pub(super) fn build<B: Backend>(backend: Arc<B>, limits: Limits, stop: CancellationToken) -> Router {
    let streams = Arc::new(Semaphore::new(limits.streams));
    let context = Arc::new(Context { backend, limits, streams, stop });
    let mut router = Router::new();
    for endpoint in ENDPOINTS {
        let context = context.clone();
        let handler = move |parameters: RawPathParams, request: Request| async move {
            dispatch(&context, endpoint, &parameters, request).await
        };
        let filter = match endpoint.method {
            Method::Get => MethodFilter::GET,
            Method::Post => MethodFilter::POST,
            Method::Put => MethodFilter::PUT,
            Method::Delete => MethodFilter::DELETE,
        };
        router = router.route(endpoint.path, on(filter, handler));
    }
    router
        .fallback(async |request: Request| {
            Failure(ApiError::not_found(format!(
                "there is no {}; /openapi.json lists what there is",
                request.uri().path()
            )))
        })
        .method_not_allowed_fallback(async |request: Request| {
            Failure(ApiError::new(
                ErrorCode::MethodNotAllowed,
                format!("{} does not go with {}", request.method(), request.uri().path()),
            ))
        })
        .layer(middleware::from_fn(reads_alone_by_tcp))
}

/// By TCP everything but a read is refused before it is looked at.
async fn reads_alone_by_tcp(request: Request, next: Next) -> Response {
    let local = matches!(request.extensions().get(), Some(Caller::Local { .. }));
    if local || matches!(*request.method(), HttpMethod::GET | HttpMethod::HEAD) {
        return next.run(request).await;
    }
    let error = ApiError::new(
        ErrorCode::MethodNotAllowed,
        "this address only reads; what changes something goes through the Unix socket",
    );
    let mut response = Failure(error).into_response();
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
    response
}

async fn dispatch<B: Backend>(
    context: &Context<B>,
    endpoint: &Endpoint,
    parameters: &RawPathParams,
    request: Request,
) -> Result<Response, Failure> {
    if endpoint.changing {
        permit(endpoint, &request)?;
    }
    let (backend, limits) = (&*context.backend, context.limits);
    let parameter = |name| parameters.iter().find(|(n, _)| *n == name).map_or("", |(_, value)| value);
    let uri = request.uri();
    let time = limits.answer;
    match endpoint.operation {
        Operation::GetStatus => json(time, backend.status()).await,
        Operation::ListPeers => json(time, backend.peers()).await,
        Operation::GetPeer => json(time, backend.peer(parameter("name"))).await,
        Operation::PeerAction => {
            let action: PeerAction = parameter("action").parse().map_err(ApiError::not_found)?;
            json(time, backend.peer_action(parameter("name"), action)).await
        }
        Operation::ListRoutes => json(time, backend.routes(routes_query(uri)?)).await,
        Operation::Explain => json(time, backend.explain(query(uri)?)).await,
        Operation::ListFib => json(time, backend.fib(query(uri)?)).await,
        Operation::CheckFib => json(time, backend.check_fib()).await,
        Operation::ListNextHops => json(time, backend.nexthops()).await,
        Operation::ListHostRoutes => json(time, backend.host_routes()).await,
        Operation::DeclareHostRoute => {
            let (interface, address) = (parameter("interface"), address(parameter("address"))?);
            let body = required_body(request.into_body(), limits).await?;
            json(time, backend.declare_host_route(interface, address, body)).await
        }
        Operation::RemoveHostRoute | Operation::MigrateHostRoute | Operation::ReleaseHostRoute => {
            let (interface, address) = (parameter("interface"), address(parameter("address"))?);
            let verb = match endpoint.operation {
                Operation::MigrateHostRoute => HostRouteVerb::Migrate,
                Operation::ReleaseHostRoute => HostRouteVerb::Release,
                _ => HostRouteVerb::Remove,
            };
            json(time, backend.act_on_host_route(interface, address, verb)).await
        }
        Operation::GetGuard => json(time, backend.guard()).await,
        Operation::RemoveGuard => json(time, backend.remove_guard()).await,
        Operation::GetRpki => json(time, backend.rpki()).await,
        Operation::CheckRpki => json(time, backend.rpki_check(query(uri)?)).await,
        Operation::GetIrr => json(time, backend.irr()).await,
        Operation::GetIrrSet => json(time, backend.irr_set(parameter("name"), query(uri)?)).await,
        Operation::RefreshIrr => {
            let body = body(request.into_body(), limits).await?;
            json(time, backend.irr_refresh(body)).await
        }
        Operation::AcceptIrr => json(time, backend.irr_accept(parameter("peer"))).await,
        Operation::GetPolicy => json(time, backend.policy(parameter("peer"))).await,
        Operation::TestPolicy => {
            let body = required_body(request.into_body(), limits).await?;
            json(time, backend.policy_test(parameter("peer"), body)).await
        }
        Operation::TestPolicyMrt => {
            let body = required_body(request.into_body(), limits).await?;
            json(limits.work, backend.policy_test_mrt(parameter("peer"), body)).await
        }
        Operation::Drain => json(time, backend.drain(true)).await,
        Operation::Undrain => json(time, backend.drain(false)).await,
        Operation::GetConfig => json(time, backend.config()).await,
        Operation::CheckConfig => {
            let body = body(request.into_body(), limits).await?;
            json(time, backend.check_config(body)).await
        }
        Operation::ApplyConfig => {
            let body = body(request.into_body(), limits).await?;
            json(time, backend.apply_config(body)).await
        }
        Operation::Events => {
            let place = context.streams.clone().try_acquire_owned();
            let place = place.map_err(|_| ApiError::unavailable("too many event streams; try again"))?;
            Ok(events::stream(backend.events(), place, context.stop.clone()))
        }
        Operation::Metrics => {
            let metrics = in_time(time, backend.metrics()).await?;
            Ok(text("text/plain; version=0.0.4; charset=utf-8", metrics))
        }
        Operation::Healthz => Ok(text("text/plain; charset=utf-8", "ok\n".to_owned())),
        Operation::Readyz => Ok(readiness(backend)),
        Operation::OpenApi => {
            Ok(axum::Json(siskin_api::openapi_document(env!("CARGO_PKG_VERSION"))).into_response())
        }
    }
}

/// An address in a path.
fn address(text: &str) -> Answer<std::net::IpAddr> {
    text.parse().map_err(|_| ApiError::bad_request(format!("{text} is not an address")))
}

/// The routing table's query, with what its parts must be together.
fn routes_query(uri: &axum::http::Uri) -> Answer<siskin_api::RoutesQuery> {
    let query: siskin_api::RoutesQuery = query(uri)?;
    if query.view == siskin_api::View::Exported && query.peer.is_none() {
        return Err(ApiError::bad_request("view=exported needs peer=NAME: what was sent to whom?"));
    }
    if query.longer && !matches!(query.prefix, Some(siskin_api::Selector::Prefix(_))) {
        return Err(ApiError::bad_request("longer=true needs prefix=PREFIX with its length"));
    }
    Ok(query)
}

/// Lets root and the daemon's user change things, and writes down that they did.
fn permit(endpoint: &Endpoint, request: &Request) -> Answer<()> {
    let caller: Option<Caller> = request.extensions().get().copied();
    if caller.is_some_and(Caller::may_change) {
        tracing::info!(?caller, path = request.uri().path(), operation = ?endpoint.operation, "asked by the API");
        return Ok(());
    }
    Err(ApiError::new(ErrorCode::Forbidden, "only root and the daemon's user may change anything: try sudo"))
}

fn readiness<B: Backend>(backend: &B) -> Response {
    let closed: Vec<_> = backend.gates().into_iter().filter(|gate| !gate.open).collect();
    if closed.is_empty() {
        return text("text/plain; charset=utf-8", "ready\n".to_owned());
    }
    let lines = closed.iter().map(|gate| format!("{}: {}\n", gate.name, gate.text)).collect();
    let mut response = text("text/plain; charset=utf-8", lines);
    *response.status_mut() = axum::http::StatusCode::SERVICE_UNAVAILABLE;
    response
}
