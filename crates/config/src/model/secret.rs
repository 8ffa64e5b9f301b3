//! Secrets that no log, dump or API answer can show by accident.

use std::fmt;

use serde::{Serialize, Serializer};

/// A password. Debug and serialization show `***`; only [`Secret::expose`] gives it away.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a password.
    #[must_use]
    pub const fn new(text: String) -> Secret {
        Secret(text)
    }

    /// The password itself, at most 80 octets (the kernel's limit of a TCP MD5 key).
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("***")
    }
}
