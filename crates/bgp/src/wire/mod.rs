//! Messages on the wire (RFC 4271 section 4), one a file, decode and encode side by side.
//!
//! [`frame`] cuts whole messages from a stream; [`Message::decode`] reads all but UPDATE, whose reading needs what the
//! session agreed on ([`decode_update`]).
#![deny(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

mod capability;
mod header;
mod nlri;
mod notification;
mod open;
mod refresh;
mod update;
mod update_encode;

#[cfg(test)]
mod tests;

pub(crate) use capability::local_role;
pub use capability::{AddPath, Capabilities, Fqdn, GracefulRestart};
pub use header::{
    EXTENDED_MAX_LEN, HEADER_LEN, MAX_LEN, Message, MessageType, encode_keepalive, frame, message_type,
};
pub use nlri::{NlriError, decode_nlri, encode_nlri};
pub use notification::{ErrorCode, Notification};
pub use open::Open;
pub use refresh::{RefreshKind, RouteRefresh};
pub use update::{DecodeContext, Reach, Unreach, Update, decode_update};
pub use update_encode::{
    EncodeContext, EncodeError, encode_end_of_rib, encode_update, encode_update_compact, encode_withdraw,
};
