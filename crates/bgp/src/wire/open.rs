//! OPEN (RFC 4271 section 4.2), with extended optional parameters (RFC 9072). What the fields mean for a session is
//! judged in `session`; here only that they can be read.

use bytes::{BufMut, BytesMut};
use nom::bytes::complete::take;
use nom::combinator::{all_consuming, rest};
use nom::multi::{length_data, many0};
use nom::number::complete::{be_u8, be_u16, be_u32};
use nom::{IResult, Parser};
use siskin_net::{Asn, BgpIdentifier};

use super::header::{put_counted, put_message};
use super::{Capabilities, ErrorCode, MessageType, Notification};

/// The only protocol version there is.
const VERSION: u8 = 4;
/// The optional parameter that holds capabilities (RFC 5492).
const CAPABILITIES: u8 = 2;
/// Stands in the length and the first type where RFC 9072's form follows.
const EXTENDED: u8 = 255;

/// An OPEN.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Open {
    /// My Autonomous System: two octets, AS_TRANS where the number does not fit.
    pub my_as: u16,
    /// The Hold Time the sender proposes, in seconds.
    pub hold_time: u16,
    /// The sender's identifier.
    pub identifier: BgpIdentifier,
    /// All capabilities, of one parameter or several.
    pub capabilities: Capabilities,
}

impl Open {
    /// The sender's AS: of the four-octet capability (RFC 6793), else of the fixed field.
    #[must_use]
    pub fn asn(&self) -> Asn {
        self.capabilities.four_octet_as.unwrap_or(Asn(u32::from(self.my_as)))
    }

    /// Reads the body.
    ///
    /// # Errors
    /// OPEN Message Error: another version, an optional parameter that is no capability, or parameters that do not add
    /// up (subcode 0, as RFC 4271 section 6.2 says for those).
    pub fn decode(body: &[u8]) -> Result<Open, Notification> {
        let malformed = || Notification::new(ErrorCode { code: 2, subcode: 0 });
        if body.first().is_some_and(|version| *version != VERSION) {
            // The data is the highest version we speak.
            return Err(Notification::with_data(
                ErrorCode::UNSUPPORTED_VERSION,
                &u16::from(VERSION).to_be_bytes(),
            ));
        }
        let (_, (_, my_as, hold_time, identifier, parameters)) =
            (be_u8, be_u16, be_u16, be_u32, rest).parse(body).map_err(|_: NomError<'_>| malformed())?;
        let (_, parameters) = parameters_of(parameters).map_err(|_| malformed())?;
        let mut capabilities = Capabilities::default();
        for (kind, value) in parameters {
            if kind != CAPABILITIES {
                return Err(Notification::new(ErrorCode::UNSUPPORTED_OPTIONAL_PARAMETER));
            }
            capabilities.read(value).map_err(|_| malformed())?;
        }
        Ok(Open { my_as, hold_time, identifier: BgpIdentifier(identifier), capabilities })
    }

    /// Writes the whole message: one capability a parameter, as the oldest speakers want it; RFC 9072's form only where
    /// 255 octets do not hold them.
    pub fn encode(&self, out: &mut BytesMut) {
        let capabilities = self.capabilities.encode();
        let mut plain = Vec::new();
        for capability in &capabilities {
            plain.extend([CAPABILITIES, u8::try_from(capability.len()).unwrap_or(u8::MAX)]);
            plain.extend_from_slice(capability);
        }
        put_message(out, MessageType::Open, |out| {
            out.put_u8(VERSION);
            out.put_u16(self.my_as);
            out.put_u16(self.hold_time);
            out.put_u32(self.identifier.0);
            if let Some(length) = u8::try_from(plain.len()).ok().filter(|length| *length != EXTENDED) {
                out.put_u8(length);
                out.put_slice(&plain);
                return;
            }
            out.put_slice(&[EXTENDED, EXTENDED]);
            put_counted(out, |out| {
                for capability in &capabilities {
                    out.put_u8(CAPABILITIES);
                    put_counted(out, |out| out.put_slice(capability));
                }
            });
        });
    }
}

type NomError<'a> = nom::Err<nom::error::Error<&'a [u8]>>;

/// The optional parameters, from their length to the message's end, in either form.
fn parameters_of(input: &[u8]) -> IResult<&[u8], Vec<(u8, &[u8])>> {
    match input {
        [EXTENDED, EXTENDED, body @ ..] => {
            let (after, block) = length_data(be_u16).parse(body)?;
            nom::combinator::eof(after)?;
            all_consuming(many0((be_u8, length_data(be_u16)))).parse(block)
        }
        _ => {
            let (input, length) = be_u8(input)?;
            let (after, block) = take(length)(input)?;
            nom::combinator::eof(after)?;
            all_consuming(many0((be_u8, length_data(be_u8)))).parse(block)
        }
    }
}
