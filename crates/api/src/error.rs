//! Errors as every endpoint gives them: `{"error": {"code", "message", "report"}}` and the HTTP status of the code.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ConfigReport;

/// What kind of error it is. Programs act on this word, people read the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// A parameter is missing or wrong. 400.
    BadRequest,
    /// The caller may not do this: a changing verb without the right user. 403.
    Forbidden,
    /// No such peer, prefix or endpoint. 404.
    NotFound,
    /// The endpoint exists, but not with this method, or not on this listener. 405.
    MethodNotAllowed,
    /// The request did not arrive in time. 408.
    Timeout,
    /// It was understood, and cannot be done in the present state. 409.
    Refused,
    /// The request is longer than the limit. 413.
    TooLarge,
    /// The configuration has errors; `report` lists them. 422.
    ConfigInvalid,
    /// A fault of the daemon. 500.
    Internal,
    /// The daemon is starting, stopping or too busy; try again. 503.
    Unavailable,
}

impl ErrorCode {
    /// The HTTP status that goes with it.
    #[must_use]
    pub const fn http_status(self) -> u16 {
        match self {
            ErrorCode::BadRequest => 400,
            ErrorCode::Forbidden => 403,
            ErrorCode::NotFound => 404,
            ErrorCode::MethodNotAllowed => 405,
            ErrorCode::Timeout => 408,
            ErrorCode::Refused => 409,
            ErrorCode::TooLarge => 413,
            ErrorCode::ConfigInvalid => 422,
            ErrorCode::Internal => 500,
            ErrorCode::Unavailable => 503,
        }
    }
}

/// An error as an endpoint returns it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ApiError {
    /// Its kind.
    pub code: ErrorCode,
    /// One sentence for people: what is wrong and, where known, what to do.
    pub message: String,
    /// What the check of a configuration found; with `config_invalid` alone.
    #[serde(default)]
    pub report: Option<Box<ConfigReport>>,
}

impl ApiError {
    /// An error of any kind.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> ApiError {
        ApiError { code, message: message.into(), report: None }
    }

    /// A parameter is missing or wrong.
    pub fn bad_request(message: impl Into<String>) -> ApiError {
        ApiError::new(ErrorCode::BadRequest, message)
    }

    /// There is no such thing.
    pub fn not_found(message: impl Into<String>) -> ApiError {
        ApiError::new(ErrorCode::NotFound, message)
    }

    /// The present state does not permit it.
    pub fn refused(message: impl Into<String>) -> ApiError {
        ApiError::new(ErrorCode::Refused, message)
    }

    /// Not now: starting, stopping, too busy.
    pub fn unavailable(message: impl Into<String>) -> ApiError {
        ApiError::new(ErrorCode::Unavailable, message)
    }

    /// A fault of the daemon.
    pub fn internal(message: impl Into<String>) -> ApiError {
        ApiError::new(ErrorCode::Internal, message)
    }

    /// The configuration has errors.
    #[must_use]
    pub fn config_invalid(report: ConfigReport) -> ApiError {
        let errors = report.errors();
        let plural = if errors == 1 { "" } else { "s" };
        ApiError {
            code: ErrorCode::ConfigInvalid,
            message: format!("the configuration has {errors} error{plural}; nothing was changed"),
            report: Some(Box::new(report)),
        }
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ApiError {}

/// The body of every answer that is not a success.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ErrorBody {
    /// The error.
    pub error: ApiError,
}
