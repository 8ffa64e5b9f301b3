//! Replies of IRRd, cut out of a stream that may be split anywhere: `A<length>` with data and a status line, `C`, `D`, `E`,
//! `F <text>`; and the refusal of an access list, which has no end of line. Bytes are arguments here; no socket.

use bytes::{Bytes, BytesMut};

/// The longest status line we read; IRRd's own error texts are shorter.
const MAX_LINE: usize = 4096;

/// One whole reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    /// `A`: data, without its last newline.
    Data(Bytes),
    /// `C`: done, no data.
    Done,
    /// `D`: no such key, or (IRRd 4) a key that leads to nothing.
    NotFound,
    /// `E`: several objects of one key. Old servers only.
    Several,
    /// `F`: the server could not answer, with its reason.
    Failed(String),
}

/// What came is no reply; nothing after it can be understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ReplyError {
    /// A line that no reply begins with.
    #[error("not a reply of an IRRd server: {0:?}")]
    Unknown(String),
    /// The announced length does not fit what came.
    #[error("the length of a reply does not fit its data")]
    Length,
    /// More than the limit was announced.
    #[error("a reply of {0} octets, more than the limit")]
    TooLarge(u64),
    /// `%% Access denied`, or another remark in place of a reply.
    #[error("the server refuses us: {0}")]
    Refused(String),
}

/// Cuts replies.
#[derive(Debug)]
pub(crate) struct Replies {
    buffer: BytesMut,
    /// How many octets one reply may have.
    limit: usize,
    /// The length of the `A` reply that is being read, newline included.
    data: Option<usize>,
}

impl Replies {
    pub(crate) fn new(limit: usize) -> Replies {
        Replies { buffer: BytesMut::new(), limit, data: None }
    }

    /// Where the next bytes of the stream go.
    pub(crate) fn buffer(&mut self) -> &mut BytesMut {
        &mut self.buffer
    }

    /// The next reply, if all of it is there.
    ///
    /// # Errors
    /// What came is no reply. The connection is then of no more use.
    pub(crate) fn next(&mut self) -> Result<Option<Reply>, ReplyError> {
        if let Some(len) = self.data {
            return self.data(len);
        }
        let Some(line) = self.line()? else { return Ok(None) };
        let rest = line.get(1..).unwrap_or_default();
        match (line.first(), rest) {
            (Some(b'A'), digits) => {
                let len = self.length(digits)?;
                self.data = Some(len);
                self.data(len)
            }
            (Some(b'C'), b"") => Ok(Some(Reply::Done)),
            (Some(b'D'), b"") => Ok(Some(Reply::NotFound)),
            (Some(b'E'), b"") => Ok(Some(Reply::Several)),
            (Some(b'F'), text) => Ok(Some(Reply::Failed(shown(text)))),
            (Some(b'%'), _) => Err(ReplyError::Refused(shown(&line))),
            _ => Err(ReplyError::Unknown(shown(&line))),
        }
    }

    /// What to make of the end of the stream: a refusal has no end of line.
    pub(crate) fn at_end(&self) -> Option<ReplyError> {
        let refused = self.data.is_none() && self.buffer.starts_with(b"%");
        refused.then(|| ReplyError::Refused(shown(&self.buffer)))
    }

    /// A whole line without its end.
    fn line(&mut self) -> Result<Option<Bytes>, ReplyError> {
        let searched = self.buffer.len().min(MAX_LINE);
        match self.buffer.iter().take(searched).position(|b| *b == b'\n') {
            Some(end) => {
                let line = self.buffer.split_to(end + 1).freeze();
                let end = if line.get(..end).is_some_and(|l| l.ends_with(b"\r")) { end - 1 } else { end };
                Ok(Some(line.slice(..end)))
            }
            None if searched == MAX_LINE => Err(ReplyError::Unknown(shown(&self.buffer))),
            None => Ok(None),
        }
    }

    fn length(&self, digits: &[u8]) -> Result<usize, ReplyError> {
        let text = std::str::from_utf8(digits).unwrap_or_default();
        let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let len: u64 = text
            .parse()
            .ok()
            .filter(|_| plain)
            .ok_or_else(|| ReplyError::Unknown(format!("A{}", shown(digits))))?;
        usize::try_from(len).ok().filter(|l| *l <= self.limit).ok_or(ReplyError::TooLarge(len))
    }

    /// The data of an `A` reply and the line that closes it. Room is taken as the data comes, not as it is announced.
    fn data(&mut self, len: usize) -> Result<Option<Reply>, ReplyError> {
        let Some(after) = self.buffer.get(len..) else { return Ok(None) };
        let closing = match after {
            [b'C', b'\n', ..] => 2,
            [b'C', b'\r', b'\n', ..] => 3,
            [] | [b'C'] | [b'C', b'\r'] => return Ok(None),
            _ => return Err(ReplyError::Length),
        };
        let mut data = self.buffer.split_to(len).freeze();
        let _closed = self.buffer.split_to(closing);
        self.data = None;
        match data.last() {
            Some(b'\n') => data.truncate(len - 1),
            None => {}
            Some(_) => return Err(ReplyError::Length),
        }
        Ok(Some(Reply::Data(data)))
    }
}

/// Bytes of a stranger, for people: at most 100 characters, none that moves a cursor.
fn shown(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes.get(..bytes.len().min(400)).unwrap_or(bytes));
    text.trim().chars().take(100).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests;
