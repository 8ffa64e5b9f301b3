//! What the API server asks of the daemon: one method for each thing that can be asked. The server knows nothing of
//! tables and threads, and the daemon nothing of HTTP.

use std::future::Future;
use std::net::IpAddr;

use siskin_api::{
    ActionDone, ApiError, ConfigReport, ConfigRequest, ConfigView, Done, Event, ExplainQuery, Explanation,
    FibCheck, FibPage, FibQuery, Gate, GuardView, HostRouteRequest, HostRoutes, IrrRefreshRequest,
    IrrSetQuery, IrrSetView, IrrStatus, NextHops, PeerAction, PeerDetail, PeerSummary, PolicyMrtReport,
    PolicyMrtRequest, PolicyTestRequest, PolicyTestResult, PolicyView, RoutesPage, RoutesQuery, RpkiCheck,
    RpkiCheckQuery, RpkiStatus, Status,
};
use tokio::sync::broadcast;

/// The answer to a question, or why there is none.
pub(crate) type Answer<T> = Result<T, ApiError>;

/// What can be done to an address of a VM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HostRouteVerb {
    /// End its declaration.
    Remove,
    /// It is about to move away.
    Migrate,
    /// Withdraw it until it is heard.
    Release,
}

/// Answers the API's questions. Each answer is given a limited time by the server, after which the future is dropped:
/// an implementation must stand that at every await.
pub(crate) trait Backend: Send + Sync + 'static {
    /// The daemon at a glance.
    fn status(&self) -> impl Future<Output = Answer<Status>> + Send;

    /// What readiness depends on. Must not wait for another thread: load balancers ask often.
    fn gates(&self) -> Vec<Gate>;

    /// Every peer, by name.
    fn peers(&self) -> impl Future<Output = Answer<Vec<PeerSummary>>> + Send;

    /// One peer; `not_found` if there is none of that name.
    fn peer(&self, name: &str) -> impl Future<Output = Answer<PeerDetail>> + Send;

    /// Does something to a peer; `refused` where its state does not permit it.
    fn peer_action(&self, name: &str, action: PeerAction) -> impl Future<Output = Answer<ActionDone>> + Send;

    /// A page of the routing table: at most `query.page_limit()` prefixes. `bad_request` for a cursor it did not give,
    /// `not_found` for a peer that does not exist; nothing found is an empty page.
    fn routes(&self, query: RoutesQuery) -> impl Future<Output = Answer<RoutesPage>> + Send;

    /// Why a prefix is routed as it is; `not_found` if no table has it.
    fn explain(&self, query: ExplainQuery) -> impl Future<Output = Answer<Explanation>> + Send;

    /// A page of our routes in the kernel: at most `query.page_limit()`.
    fn fib(&self, query: FibQuery) -> impl Future<Output = Answer<FibPage>> + Send;

    /// Compares our routes with the kernel's.
    fn check_fib(&self) -> impl Future<Output = Answer<FibCheck>> + Send;

    /// Next hops in the kernel and of BGP paths.
    fn nexthops(&self) -> impl Future<Output = Answer<NextHops>> + Send;

    /// Addresses of virtual machines.
    fn host_routes(&self) -> impl Future<Output = Answer<HostRoutes>> + Send;

    /// Declares that a VM has an address; `not_found` for an interface without host routes, `bad_request` for what can be
    /// no VM's, `refused` for what is another's.
    fn declare_host_route(
        &self,
        interface: &str,
        address: IpAddr,
        request: HostRouteRequest,
    ) -> impl Future<Output = Answer<Done>> + Send;

    /// Does something to an address; `not_found` where there is nothing to do it to.
    fn act_on_host_route(
        &self,
        interface: &str,
        address: IpAddr,
        verb: HostRouteVerb,
    ) -> impl Future<Output = Answer<Done>> + Send;

    /// What VM ports were refused, and what their filter dropped.
    fn guard(&self) -> impl Future<Output = Answer<GuardView>> + Send;

    /// Takes the filter out of the kernel until the configuration is applied again.
    fn remove_guard(&self) -> impl Future<Output = Answer<Done>> + Send;

    /// Relying-party caches.
    fn rpki(&self) -> impl Future<Output = Answer<RpkiStatus>> + Send;

    /// What validated data says about an origin; without data the answer is `unknown`, not an error.
    fn rpki_check(&self, query: RpkiCheckQuery) -> impl Future<Output = Answer<RpkiCheck>> + Send;

    /// Routing registries and PeeringDB.
    fn irr(&self) -> impl Future<Output = Answer<IrrStatus>> + Send;

    /// Prefixes and members of an as-set: at most `query.page_limit()` of each. `not_found` if no peer uses it.
    fn irr_set(&self, name: &str, query: IrrSetQuery) -> impl Future<Output = Answer<IrrSetView>> + Send;

    /// Asks registries and PeeringDB again, and does not wait for them; `not_found` for an unknown peer, `refused` for
    /// one that needs neither.
    fn irr_refresh(&self, request: IrrRefreshRequest) -> impl Future<Output = Answer<Done>> + Send;

    /// Puts a peer's lists in force that were kept back; `refused` where none is.
    fn irr_accept(&self, peer: &str) -> impl Future<Output = Answer<Done>> + Send;

    /// What a peer's import and export do; `not_found` if there is no such peer.
    fn policy(&self, peer: &str) -> impl Future<Output = Answer<PolicyView>> + Send;

    /// What becomes of a made-up route; `bad_request` for an attribute that cannot be read.
    fn policy_test(
        &self,
        peer: &str,
        request: PolicyTestRequest,
    ) -> impl Future<Output = Answer<PolicyTestResult>> + Send;

    /// What becomes of the routes of a file. It may take minutes; when the future is dropped the work must end soon.
    /// `bad_request` for a file that cannot be read or is no MRT.
    fn policy_test_mrt(
        &self,
        peer: &str,
        request: PolicyMrtRequest,
    ) -> impl Future<Output = Answer<PolicyMrtReport>> + Send;

    /// Drains the whole router (`true`) or announces again; done already is no error.
    fn drain(&self, drained: bool) -> impl Future<Output = Answer<Done>> + Send;

    /// The configuration in force.
    fn config(&self) -> impl Future<Output = Answer<ConfigView>> + Send;

    /// Checks a configuration and changes nothing: errors are part of the answer.
    fn check_config(&self, request: ConfigRequest) -> impl Future<Output = Answer<ConfigReport>> + Send;

    /// Puts a configuration in force; `config_invalid` where it has errors.
    fn apply_config(&self, request: ConfigRequest) -> impl Future<Output = Answer<ConfigReport>> + Send;

    /// Events from now on. A receiver that lags is told so and goes on.
    fn events(&self) -> broadcast::Receiver<Event>;

    /// Metrics in the Prometheus text format.
    fn metrics(&self) -> impl Future<Output = Answer<String>> + Send;
}
