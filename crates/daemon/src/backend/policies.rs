//! Policies for the API: what a peer's import and export do as text, and what becomes of made-up routes.

use siskin_api::{
    ApiError, PolicyMrtReport, PolicyMrtRequest, PolicyTestRequest, PolicyTestResult, PolicyView,
};

use crate::daemon::Daemon;
use crate::http::Answer;

impl Daemon {
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
}
