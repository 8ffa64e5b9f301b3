//! One error for the whole harness: a sentence that says what did not happen, and the cause where one is.

use std::fmt;

/// What went wrong, as a sentence; causes follow after a colon.
#[derive(thiserror::Error)]
#[error("{0}")]
pub struct Error(String);

/// The result of every step of the harness.
pub type Result<T = ()> = std::result::Result<T, Error>;

/// `Err` with this sentence.
///
/// # Errors
/// Always: that is its purpose.
pub fn fail<T>(text: impl Into<String>) -> Result<T> {
    Err(Error(text.into()))
}

impl Error {
    /// From a sentence.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Error {
        Error(text.into())
    }

    /// The same error, with what was being done put before it.
    #[must_use]
    pub fn during(self, what: impl fmt::Display) -> Error {
        Error(format!("{what}: {}", self.0))
    }
}

/// As it is displayed: `cargo test` shows the debug form of a test's error.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Error {
        Error(error.to_string())
    }
}

impl From<serde_json::Error> for Error {
    fn from(error: serde_json::Error) -> Error {
        Error(format!("not the expected JSON: {error}"))
    }
}

impl From<siskin_net::ParsePrefixError> for Error {
    fn from(error: siskin_net::ParsePrefixError) -> Error {
        Error(error.to_string())
    }
}

impl From<std::net::AddrParseError> for Error {
    fn from(error: std::net::AddrParseError) -> Error {
        Error(error.to_string())
    }
}

impl From<std::num::ParseIntError> for Error {
    fn from(error: std::num::ParseIntError) -> Error {
        Error(error.to_string())
    }
}
