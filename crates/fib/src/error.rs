//! What can go wrong: with the whole (`FibError`), or with one request (`KernelError`).

use std::fmt;
use std::io;
use std::sync::Arc;

/// Why the kernel's routing cannot be used at all.
#[derive(Debug, thiserror::Error)]
pub enum FibError {
    /// The process may not change routes.
    #[error(
        "changing kernel routes needs CAP_NET_ADMIN: run as root, or give the service \
         AmbientCapabilities=CAP_NET_ADMIN (or set kernel.install = false)"
    )]
    Permission,
    /// The configuration names what cannot be.
    #[error("{0}")]
    Config(&'static str),
    /// The netlink socket failed.
    #[error("netlink, {action}: {source}")]
    Io {
        /// What was being done.
        action: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The kernel refused a request as a whole, such as a dump.
    #[error("netlink, {action}: {source}")]
    Kernel {
        /// What was being done.
        action: &'static str,
        /// The kernel's refusal.
        source: KernelError,
    },
}

impl FibError {
    pub(crate) fn io(action: &'static str) -> impl FnOnce(io::Error) -> FibError {
        move |source| FibError::Io { action, source }
    }
}

/// The kernel's refusal of one request: the error number and, where it gave one, its own explanation (extended ACK).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KernelError {
    /// The error number (`errno`), positive.
    pub errno: i32,
    /// The explanation in words: the kernel's own, else the meaning of the number.
    pub text: Arc<str>,
}

impl KernelError {
    /// From a number alone, with the system's words for it.
    #[must_use]
    pub fn from_errno(errno: i32) -> KernelError {
        let text = io::Error::from_raw_os_error(errno).to_string();
        let text = text.split(" (os error").next().unwrap_or(&text);
        KernelError { errno, text: text.into() }
    }

    pub(crate) fn new(errno: i32, text: impl Into<Arc<str>>) -> KernelError {
        KernelError { errno, text: text.into() }
    }
}

impl From<io::Error> for KernelError {
    fn from(error: io::Error) -> KernelError {
        match error.raw_os_error() {
            Some(errno) => KernelError::from_errno(errno),
            None => KernelError::new(libc::EIO, error.to_string()),
        }
    }
}

impl fmt::Display for KernelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for KernelError {}
