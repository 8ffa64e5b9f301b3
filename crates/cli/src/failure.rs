//! Why a command did not do what was asked, with its exit code.

use siskin_api::{ApiError, ErrorBody, ErrorCode};

use crate::output::Output;

/// A command's failure.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The answer is no, or nothing was found; the text says what, unless it has been said. 1.
    Negative(Option<String>),
    /// The command line is wrong. 2.
    Usage(String),
    /// The daemon does not answer; the text says what to do. 3.
    Unreachable(String),
    /// The configuration is invalid, and that has been shown. 4.
    Invalid,
    /// The daemon answered with an error.
    Api(ApiError),
    /// Standard output is closed: whoever read it has seen enough. 0.
    Closed,
}

impl Failure {
    /// The exit code of the contract.
    pub(crate) fn code(&self) -> u8 {
        match self {
            Failure::Closed => 0,
            Failure::Negative(_) => 1,
            Failure::Usage(_) => 2,
            Failure::Unreachable(_) => 3,
            Failure::Invalid => 4,
            Failure::Api(error) => match error.code {
                ErrorCode::NotFound => 1,
                ErrorCode::BadRequest | ErrorCode::MethodNotAllowed | ErrorCode::TooLarge => 2,
                ErrorCode::Unavailable | ErrorCode::Timeout | ErrorCode::Internal => 3,
                ErrorCode::ConfigInvalid => 4,
                ErrorCode::Refused | ErrorCode::Forbidden => 5,
            },
        }
    }

    /// Tells the operator, on standard error; programs get the API's error on standard output, too.
    pub(crate) fn show(&self, output: &Output) {
        match self {
            Failure::Negative(None) | Failure::Invalid | Failure::Closed => {}
            Failure::Negative(Some(text)) | Failure::Usage(text) | Failure::Unreachable(text) => {
                output.complain(text);
            }
            Failure::Api(error) => {
                if output.is_json() {
                    // Standard output may be closed; the exit code says the same.
                    let _ = output.json(&ErrorBody { error: error.clone() });
                }
                if let Some(report) = &error.report {
                    output.complain_raw(&crate::words::clean(&report.rendered));
                }
                output.complain(&error.message);
            }
        }
    }
}

impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Failure {
        Failure::Api(error)
    }
}
