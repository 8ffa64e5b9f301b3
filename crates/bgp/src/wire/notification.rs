//! NOTIFICATION (RFC 4271 sections 4.5 and 6, RFC 4486, 6608, 7313, 8538, 9003, 9234, 9384, 9687): codes, names, data.

use std::fmt;

use bytes::{BufMut, BytesMut};

use super::MessageType;
use super::header::put_message;

/// An error code with its subcode; 0 where the code has none, or none fits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ErrorCode {
    /// The error code.
    pub code: u8,
    /// The error subcode.
    pub subcode: u8,
}

macro_rules! error_codes {
    ($($konst:ident = $code:literal / $subcode:literal, $name:literal;)*) => {
        impl ErrorCode {
            $(#[doc = concat!("Code ", $code, ", subcode ", $subcode, ": ", $name, ".")]
            pub const $konst: ErrorCode = ErrorCode { code: $code, subcode: $subcode };)*

            /// The name of the subcode, as the registry has it; `None` of subcode 0 and of unassigned ones.
            #[must_use]
            pub const fn subcode_name(self) -> Option<&'static str> {
                match (self.code, self.subcode) {
                    $(($code, $subcode) => Some($name),)*
                    _ => None,
                }
            }
        }
    };
}

error_codes! {
    CONNECTION_NOT_SYNCHRONIZED = 1 / 1, "Connection Not Synchronized";
    BAD_MESSAGE_LENGTH = 1 / 2, "Bad Message Length";
    BAD_MESSAGE_TYPE = 1 / 3, "Bad Message Type";
    UNSUPPORTED_VERSION = 2 / 1, "Unsupported Version Number";
    BAD_PEER_AS = 2 / 2, "Bad Peer AS";
    BAD_BGP_IDENTIFIER = 2 / 3, "Bad BGP Identifier";
    UNSUPPORTED_OPTIONAL_PARAMETER = 2 / 4, "Unsupported Optional Parameter";
    UNACCEPTABLE_HOLD_TIME = 2 / 6, "Unacceptable Hold Time";
    UNSUPPORTED_CAPABILITY = 2 / 7, "Unsupported Capability";
    ROLE_MISMATCH = 2 / 11, "Role Mismatch";
    MALFORMED_ATTRIBUTE_LIST = 3 / 1, "Malformed Attribute List";
    UNRECOGNIZED_WELL_KNOWN_ATTRIBUTE = 3 / 2, "Unrecognized Well-known Attribute";
    MISSING_WELL_KNOWN_ATTRIBUTE = 3 / 3, "Missing Well-known Attribute";
    ATTRIBUTE_FLAGS_ERROR = 3 / 4, "Attribute Flags Error";
    ATTRIBUTE_LENGTH_ERROR = 3 / 5, "Attribute Length Error";
    INVALID_ORIGIN = 3 / 6, "Invalid ORIGIN Attribute";
    INVALID_NEXT_HOP = 3 / 8, "Invalid NEXT_HOP Attribute";
    OPTIONAL_ATTRIBUTE_ERROR = 3 / 9, "Optional Attribute Error";
    INVALID_NETWORK_FIELD = 3 / 10, "Invalid Network Field";
    MALFORMED_AS_PATH = 3 / 11, "Malformed AS_PATH";
    UNEXPECTED_IN_OPEN_SENT = 5 / 1, "Receive Unexpected Message in OpenSent State";
    UNEXPECTED_IN_OPEN_CONFIRM = 5 / 2, "Receive Unexpected Message in OpenConfirm State";
    UNEXPECTED_IN_ESTABLISHED = 5 / 3, "Receive Unexpected Message in Established State";
    MAX_PREFIXES = 6 / 1, "Maximum Number of Prefixes Reached";
    ADMINISTRATIVE_SHUTDOWN = 6 / 2, "Administrative Shutdown";
    PEER_DECONFIGURED = 6 / 3, "Peer De-configured";
    ADMINISTRATIVE_RESET = 6 / 4, "Administrative Reset";
    CONNECTION_REJECTED = 6 / 5, "Connection Rejected";
    OTHER_CONFIGURATION_CHANGE = 6 / 6, "Other Configuration Change";
    CONNECTION_COLLISION = 6 / 7, "Connection Collision Resolution";
    OUT_OF_RESOURCES = 6 / 8, "Out of Resources";
    HARD_RESET = 6 / 9, "Hard Reset";
    BFD_DOWN = 6 / 10, "BFD Down";
    INVALID_REFRESH_LENGTH = 7 / 1, "Invalid Message Length";
}

impl ErrorCode {
    /// Code 4: the peer was silent for the Hold Time.
    pub const HOLD_TIMER_EXPIRED: ErrorCode = ErrorCode { code: 4, subcode: 0 };
    /// Code 8: the peer took no octet for the Send Hold Time (RFC 9687).
    pub const SEND_HOLD_TIMER_EXPIRED: ErrorCode = ErrorCode { code: 8, subcode: 0 };

    /// The name of the code, as the registry has it; `None` of an unassigned one.
    #[must_use]
    pub const fn name(self) -> Option<&'static str> {
        match self.code {
            1 => Some("Message Header Error"),
            2 => Some("OPEN Message Error"),
            3 => Some("UPDATE Message Error"),
            4 => Some("Hold Timer Expired"),
            5 => Some("Finite State Machine Error"),
            6 => Some("Cease"),
            7 => Some("ROUTE-REFRESH Message Error"),
            8 => Some("Send Hold Timer Expired"),
            _ => None,
        }
    }
}

impl fmt::Display for ErrorCode {
    /// `Cease / Administrative Shutdown`; numbers where there is no name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name)?,
            None => write!(f, "code {}", self.code)?,
        }
        match (self.subcode_name(), self.subcode) {
            (Some(name), _) => write!(f, " / {name}"),
            (None, 0) => Ok(()),
            (None, subcode) => write!(f, " / subcode {subcode}"),
        }
    }
}

/// A NOTIFICATION, sent or received: as a value the reason a session ends.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Notification {
    /// Code and subcode.
    pub error: ErrorCode,
    /// The data field.
    pub data: Vec<u8>,
}

impl Notification {
    /// Without data.
    #[must_use]
    pub const fn new(error: ErrorCode) -> Notification {
        Notification { error, data: Vec::new() }
    }

    /// With data, of which at most what an ordinary message can carry is kept.
    #[must_use]
    pub fn with_data(error: ErrorCode, data: &[u8]) -> Notification {
        let room = super::MAX_LEN - super::HEADER_LEN - 2;
        Notification { error, data: data.get(..room).unwrap_or(data).to_vec() }
    }

    /// With a text for the peer's operator (RFC 9003), cut to 255 octets at a character's end. An empty text sends no
    /// data, as before RFC 9003.
    #[must_use]
    pub fn with_text(error: ErrorCode, text: &str) -> Notification {
        let mut end = text.len().min(255);
        while !text.is_char_boundary(end) {
            end = end.saturating_sub(1);
        }
        let text = text.get(..end).unwrap_or("");
        let mut data = Vec::new();
        if let (Ok(length @ 1..), bytes) = (u8::try_from(text.len()), text.as_bytes()) {
            data.push(length);
            data.extend_from_slice(bytes);
        }
        Notification { error, data }
    }

    /// The same as a Hard Reset (RFC 8538 section 3), which no route outlives.
    #[must_use]
    pub fn hardened(&self) -> Notification {
        let data = [&[self.error.code, self.error.subcode], self.data.as_slice()].concat();
        Notification::with_data(ErrorCode::HARD_RESET, &data)
    }

    /// Reads the body; a body too short for its codes (which framing does not let through) reads as code 0.
    #[must_use]
    pub fn decode(body: &[u8]) -> Notification {
        match body.split_first_chunk::<2>() {
            Some((&[code, subcode], data)) => {
                Notification { error: ErrorCode { code, subcode }, data: data.to_vec() }
            }
            None => Notification::new(ErrorCode { code: 0, subcode: 0 }),
        }
    }

    /// Writes the whole message.
    pub fn encode(&self, out: &mut BytesMut) {
        put_message(out, MessageType::Notification, |out| {
            out.put_u8(self.error.code);
            out.put_u8(self.error.subcode);
            out.put_slice(&self.data);
        });
    }

    /// Names of code and subcode, and of those inside a Hard Reset (RFC 8538): `Cease / Hard Reset (Cease / Administrative
    /// Shutdown)`.
    #[must_use]
    pub fn name(&self) -> String {
        if self.error == ErrorCode::HARD_RESET && self.data.len() >= 2 {
            return format!("{} ({})", self.error, Notification::decode(&self.data).error);
        }
        self.error.to_string()
    }

    /// The operator's text of an Administrative Shutdown or Reset (RFC 9003), what is not printable made visible;
    /// `None` if there is none. A text that is not UTF-8 is shown with replacement characters.
    #[must_use]
    pub fn shutdown_text(&self) -> Option<String> {
        if self.error == ErrorCode::HARD_RESET {
            return Notification::decode(&self.data).shutdown_text_of_inner();
        }
        self.shutdown_text_of_inner()
    }

    /// As [`Self::shutdown_text`], without looking into a Hard Reset (RFC 8538), which may hold no other.
    fn shutdown_text_of_inner(&self) -> Option<String> {
        if !matches!(self.error, ErrorCode::ADMINISTRATIVE_SHUTDOWN | ErrorCode::ADMINISTRATIVE_RESET) {
            return None;
        }
        let (length, rest) = self.data.split_first()?;
        let text = String::from_utf8_lossy(rest.get(..usize::from(*length))?);
        if text.is_empty() {
            return None;
        }
        Some(
            text.chars()
                .flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] })
                .collect(),
        )
    }
}

impl fmt::Display for Notification {
    /// Names, then the operator's text or the data: `Cease / Administrative Shutdown: "rack move"`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())?;
        if let Some(text) = self.shutdown_text() {
            return write!(f, ": \"{text}\"");
        }
        if !self.data.is_empty() {
            f.write_str(" (data ")?;
            for octet in self.data.iter().take(32) {
                write!(f, "{octet:02x}")?;
            }
            f.write_str(if self.data.len() > 32 { "…)" } else { ")" })?;
        }
        Ok(())
    }
}

impl std::error::Error for Notification {}
