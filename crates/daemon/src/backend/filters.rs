//! Filters for the API: validated data, routing registries, policies as text, and tests of policies.

use siskin_api::{
    ApiError, Done, IrrRefreshRequest, IrrSetQuery, IrrSetView, IrrStatus, PolicyMrtReport, PolicyMrtRequest,
    PolicyTestRequest, PolicyTestResult, PolicyView, RpkiCheck, RpkiCheckQuery, RpkiState, RpkiStatus,
};

use crate::daemon::Daemon;
use crate::http::Answer;

impl Daemon {
    /// Relying-party caches and their data.
    pub(super) async fn rpki_status(&self) -> Answer<RpkiStatus> {
        Ok(RpkiStatus::default())
    }

    /// What validated data says about an origin.
    pub(super) async fn rpki_check(&self, query: RpkiCheckQuery) -> Answer<RpkiCheck> {
        let RpkiCheckQuery { prefix, asn } = query;
        Ok(RpkiCheck { prefix, asn, state: RpkiState::Unknown, covering: Vec::new() })
    }

    /// Routing registries and PeeringDB.
    pub(super) async fn irr_status(&self) -> Answer<IrrStatus> {
        Ok(IrrStatus::default())
    }

    /// Prefixes and members of an as-set.
    pub(super) async fn irr_set(&self, name: &str, _: IrrSetQuery) -> Answer<IrrSetView> {
        Err(ApiError::not_found(format!("no peer uses {name}")))
    }

    /// Asks registries and PeeringDB again.
    pub(super) async fn irr_refresh(&self, _: IrrRefreshRequest) -> Answer<Done> {
        Err(ApiError::refused("no peer uses registry data"))
    }

    /// Puts a peer's lists in force that were kept back.
    pub(super) async fn irr_accept(&self, peer: &str) -> Answer<Done> {
        Err(ApiError::refused(format!("{peer} uses no registry data")))
    }

    /// What a peer's import and export do.
    pub(super) async fn policy_view(&self, _: &str) -> Answer<PolicyView> {
        Err(ApiError::unavailable("policies cannot be shown yet"))
    }

    /// What becomes of a made-up route.
    pub(super) async fn policy_test(&self, _: &str, _: PolicyTestRequest) -> Answer<PolicyTestResult> {
        Err(ApiError::unavailable("policies cannot be tested yet"))
    }

    /// What becomes of the routes of a file.
    pub(super) async fn policy_test_mrt(&self, _: &str, _: PolicyMrtRequest) -> Answer<PolicyMrtReport> {
        Err(ApiError::unavailable("policies cannot be tested yet"))
    }

    /// Drains the whole router, or announces again.
    pub(super) async fn drain(&self, _: bool) -> Answer<Done> {
        Err(ApiError::unavailable("the router cannot be drained yet"))
    }
}
