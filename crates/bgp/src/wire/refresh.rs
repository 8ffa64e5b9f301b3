//! ROUTE-REFRESH (RFC 2918) with the demarcation of RFC 7313. Leaves out outbound route filters (RFC 5291): entries
//! behind a plain request are ignored, as that capability is never announced.

use bytes::{BufMut, BytesMut};
use siskin_net::Family;

use super::header::{HEADER_LEN, put_message};
use super::{ErrorCode, MessageType, Notification};

/// What a ROUTE-REFRESH says.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum RefreshKind {
    /// Send your routes again (RFC 2918).
    Request = 0,
    /// Beginning of Route Refresh (RFC 7313).
    Begin = 1,
    /// End of Route Refresh (RFC 7313).
    End = 2,
}

/// A ROUTE-REFRESH of a family we speak.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct RouteRefresh {
    /// The family it is about.
    pub family: Family,
    /// What it says.
    pub kind: RefreshKind,
}

impl RouteRefresh {
    /// Reads a whole message, header included; `None` where it is to be ignored: a family we do not speak, an unknown
    /// subtype (RFC 7313 section 5).
    ///
    /// # Errors
    /// ROUTE-REFRESH Message Error with the message as its data, if a demarcation has a wrong length.
    pub fn decode(message: &[u8]) -> Result<Option<RouteRefresh>, Notification> {
        let bad_length = || Notification::with_data(ErrorCode::INVALID_REFRESH_LENGTH, message);
        let body = message.get(HEADER_LEN..).ok_or_else(bad_length)?;
        let (&[afi_high, afi_low, subtype, safi], rest) =
            body.split_first_chunk::<4>().ok_or_else(bad_length)?;
        let kind = match subtype {
            0 => RefreshKind::Request,
            1 | 2 if !rest.is_empty() => return Err(bad_length()),
            1 => RefreshKind::Begin,
            2 => RefreshKind::End,
            _ => return Ok(None),
        };
        let family = Family::from_wire(u16::from_be_bytes([afi_high, afi_low]), safi);
        Ok(family.map(|family| RouteRefresh { family, kind }))
    }

    /// Writes the whole message.
    pub fn encode(self, out: &mut BytesMut) {
        put_message(out, MessageType::RouteRefresh, |out| {
            out.put_u16(self.family.afi());
            out.put_u8(self.kind as u8);
            out.put_u8(self.family.safi());
        });
    }
}
