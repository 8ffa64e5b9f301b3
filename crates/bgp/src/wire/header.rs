//! The message header and its framing (RFC 4271 sections 4.1 and 6.1, RFC 8654), and KEEPALIVE, which is nothing else.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::{ErrorCode, Notification, Open, RouteRefresh};

/// The header: marker, length, type.
pub const HEADER_LEN: usize = 19;
/// The longest message without RFC 8654.
pub const MAX_LEN: usize = 4096;
/// The longest message where both sides announced RFC 8654.
pub const EXTENDED_MAX_LEN: usize = 65535;

const MARKER: [u8; 16] = [0xff; 16];

/// The kinds of message.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum MessageType {
    /// OPEN.
    Open = 1,
    /// UPDATE.
    Update = 2,
    /// NOTIFICATION.
    Notification = 3,
    /// KEEPALIVE.
    Keepalive = 4,
    /// ROUTE-REFRESH (RFC 2918).
    RouteRefresh = 5,
}

impl MessageType {
    /// All kinds, by their code.
    pub const ALL: [MessageType; 5] = [
        MessageType::Open,
        MessageType::Update,
        MessageType::Notification,
        MessageType::Keepalive,
        MessageType::RouteRefresh,
    ];

    /// The kind of a type octet.
    #[must_use]
    pub const fn from_wire(code: u8) -> Option<MessageType> {
        match code {
            1 => Some(MessageType::Open),
            2 => Some(MessageType::Update),
            3 => Some(MessageType::Notification),
            4 => Some(MessageType::Keepalive),
            5 => Some(MessageType::RouteRefresh),
            _ => None,
        }
    }

    /// The name used in JSON and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            MessageType::Open => "open",
            MessageType::Update => "update",
            MessageType::Notification => "notification",
            MessageType::Keepalive => "keepalive",
            MessageType::RouteRefresh => "route-refresh",
        }
    }

    /// The lengths a message of this kind may have, `max_len` being the session's limit.
    fn lengths(self, max_len: usize) -> std::ops::RangeInclusive<usize> {
        match self {
            // RFC 8654 section 4: OPEN and KEEPALIVE never grow.
            MessageType::Open => 29..=MAX_LEN.min(max_len),
            MessageType::Keepalive => HEADER_LEN..=HEADER_LEN,
            MessageType::Update | MessageType::RouteRefresh => 23..=max_len,
            MessageType::Notification => 21..=max_len,
        }
    }
}

/// Cuts one whole message, header included, from the front of `buf`; `None`: not all of it is there yet. The length is
/// judged as soon as the header is there, so that a peer never makes us wait for, or keep, more than `max_len` octets.
///
/// # Errors
/// What RFC 4271 section 6.1 says to send: a wrong marker, a length the kind cannot have, an unknown type.
pub fn frame(buf: &mut BytesMut, max_len: usize) -> Result<Option<Bytes>, Notification> {
    let Some((header, _)) = buf.split_first_chunk::<HEADER_LEN>() else { return Ok(None) };
    let [marker @ .., length_high, length_low, kind] = header;
    if *marker != MARKER {
        return Err(Notification::new(ErrorCode::CONNECTION_NOT_SYNCHRONIZED));
    }
    let length = u16::from_be_bytes([*length_high, *length_low]);
    let bad_length = || Notification::with_data(ErrorCode::BAD_MESSAGE_LENGTH, &length.to_be_bytes());
    if !(HEADER_LEN..=max_len).contains(&usize::from(length)) {
        return Err(bad_length());
    }
    let Some(kind) = MessageType::from_wire(*kind) else {
        return Err(Notification::with_data(ErrorCode::BAD_MESSAGE_TYPE, &[*kind]));
    };
    if !kind.lengths(max_len).contains(&usize::from(length)) {
        return Err(bad_length());
    }
    if buf.len() < usize::from(length) {
        return Ok(None);
    }
    Ok(Some(buf.split_to(usize::from(length)).freeze()))
}

/// The kind of a framed message; `None` if it is no framed message.
#[must_use]
pub fn message_type(message: &[u8]) -> Option<MessageType> {
    message.get(HEADER_LEN - 1).copied().and_then(MessageType::from_wire)
}

/// A message, read. An UPDATE is left as it is: reading it needs a [`super::DecodeContext`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Message {
    /// OPEN.
    Open(Box<Open>),
    /// The body of an UPDATE, for [`super::decode_update`].
    Update(Bytes),
    /// NOTIFICATION.
    Notification(Notification),
    /// KEEPALIVE.
    Keepalive,
    /// ROUTE-REFRESH; `None` where it is to be ignored (an address family or subtype we do not speak).
    RouteRefresh(Option<RouteRefresh>),
}

impl Message {
    /// Reads one framed message.
    ///
    /// # Errors
    /// The NOTIFICATION to answer with.
    pub fn decode(message: &Bytes) -> Result<Message, Notification> {
        let Some(kind) = message_type(message) else {
            return Err(Notification::with_data(
                ErrorCode::BAD_MESSAGE_TYPE,
                message.get(18..19).unwrap_or(&[]),
            ));
        };
        let mut body = message.clone();
        body.advance(HEADER_LEN);
        Ok(match kind {
            MessageType::Open => Message::Open(Box::new(Open::decode(&body)?)),
            MessageType::Update => Message::Update(body),
            MessageType::Notification => Message::Notification(Notification::decode(&body)),
            MessageType::Keepalive => Message::Keepalive,
            MessageType::RouteRefresh => Message::RouteRefresh(RouteRefresh::decode(message)?),
        })
    }

    /// Which kind it is.
    #[must_use]
    pub const fn kind(&self) -> MessageType {
        match self {
            Message::Open(_) => MessageType::Open,
            Message::Update(_) => MessageType::Update,
            Message::Notification(_) => MessageType::Notification,
            Message::Keepalive => MessageType::Keepalive,
            Message::RouteRefresh(_) => MessageType::RouteRefresh,
        }
    }
}

/// Writes a message whose body is `body`.
pub(super) fn put_message(out: &mut BytesMut, kind: MessageType, body: impl FnOnce(&mut BytesMut)) {
    let start = out.len();
    out.put_slice(&MARKER);
    let length_at = out.len();
    out.put_u16(0);
    out.put_u8(kind as u8);
    body(out);
    set_length(out, length_at, start);
}

/// Writes two octets of length, and behind them the octets of `body` that they count.
pub(super) fn put_counted(out: &mut BytesMut, body: impl FnOnce(&mut BytesMut)) {
    let length_at = out.len();
    out.put_u16(0);
    let start = out.len();
    body(out);
    set_length(out, length_at, start);
}

/// Sets the length field at `at` to the number of octets from `start` to the end.
fn set_length(out: &mut BytesMut, at: usize, start: usize) {
    let length = u16::try_from(out.len().saturating_sub(start)).unwrap_or(u16::MAX);
    if let Some(field) = out.get_mut(at..).and_then(<[u8]>::first_chunk_mut::<2>) {
        *field = length.to_be_bytes();
    }
}

/// Writes a KEEPALIVE.
pub fn encode_keepalive(out: &mut BytesMut) {
    put_message(out, MessageType::Keepalive, |_| ());
}
