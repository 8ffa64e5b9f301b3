//! Why a set could not be fetched. All of these leave the old list in force.

use std::time::Duration;

use super::reply::ReplyError;
use crate::parse::ParseListError;

/// Why a set could not be fetched.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// The name is no name of a set or registry, so no server is asked.
    #[error("{0:?} is no name of a set or a registry")]
    Name(String),
    /// No connection.
    #[error("cannot connect: {0}")]
    Connect(String),
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Io(String),
    /// The server ended the connection before its answer was whole.
    #[error("the server closed the connection before its answer was whole")]
    Closed,
    /// The server said nothing for so long.
    #[error("the server said nothing for {} s", .0.as_secs_f32())]
    Silent(Duration),
    /// The whole set took longer than this.
    #[error("the set was not there after {} s", .0.as_secs_f32())]
    TooSlow(Duration),
    /// The server does not have one of the registries.
    #[error("the server does not have the sources {sources}: {text}")]
    Sources {
        /// What was asked for.
        sources: String,
        /// What it said.
        text: String,
    },
    /// `F`: the server failed, with its reason.
    #[error("the server failed: {0}")]
    Failed(String),
    /// What came is no reply, or too large.
    #[error("{0}")]
    Reply(String),
    /// A reply to another question than ours, such as data where none can be.
    #[error("an unexpected reply to {0}")]
    Unexpected(String),
    /// The list in the reply is damaged.
    #[error("a damaged list: {0}")]
    List(#[from] ParseListError),
    /// The replies to one question are too large together.
    #[error("the set has more than {0} octets")]
    TooLarge(usize),
}

impl From<ReplyError> for FetchError {
    fn from(error: ReplyError) -> FetchError {
        FetchError::Reply(error.to_string())
    }
}
