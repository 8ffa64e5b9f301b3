//! One error for the whole harness: a sentence that says what did not happen, and the cause where one is.

use std::fmt;

/// What went wrong, as a sentence; causes follow after a colon.
#[derive(thiserror::Error)]
#[error("{text}")]
pub struct Error {
    text: String,
    last: bool,
}

/// The result of every step of the harness.
pub type Result<T = ()> = std::result::Result<T, Error>;

/// `Err` with this sentence.
///
/// # Errors
/// Always: that is its purpose.
pub fn fail<T>(text: impl Into<String>) -> Result<T> {
    Err(Error::new(text))
}

impl Error {
    /// From a sentence.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Error {
        Error { text: text.into(), last: false }
    }

    /// Something that no waiting mends, such as a daemon that has ended.
    #[must_use]
    pub fn last(text: impl Into<String>) -> Error {
        Error { text: text.into(), last: true }
    }

    /// Whether waiting is of no use.
    #[must_use]
    pub fn is_last(&self) -> bool {
        self.last
    }

    /// The same error, with what was being done put before it.
    #[must_use]
    pub fn during(self, what: impl fmt::Display) -> Error {
        Error { text: format!("{what}: {}", self.text), ..self }
    }
}

/// As it is displayed: `cargo test` shows the debug form of a test's error.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Error {
        Error::new(error.to_string())
    }
}

impl From<serde_json::Error> for Error {
    fn from(error: serde_json::Error) -> Error {
        Error::new(format!("not the expected JSON: {error}"))
    }
}

impl From<siskin_net::ParsePrefixError> for Error {
    fn from(error: siskin_net::ParsePrefixError) -> Error {
        Error::new(error.to_string())
    }
}

impl From<std::net::AddrParseError> for Error {
    fn from(error: std::net::AddrParseError) -> Error {
        Error::new(error.to_string())
    }
}

impl From<std::num::ParseIntError> for Error {
    fn from(error: std::num::ParseIntError) -> Error {
        Error::new(error.to_string())
    }
}
