//! Requests, put one behind the other into a buffer that one `send` hands to the kernel.

use std::net::IpAddr;

use super::{ALIGN, HEADER, flag};

/// How full a batch gets before it is sent: beyond 64 KiB nothing is gained.
pub(crate) const BATCH: usize = 64 * 1024;
/// Room that the largest single request may need: a multipath route of 256 hops.
const LARGEST: usize = 8 * 1024;

/// Requests with consecutive sequence numbers.
#[derive(Debug)]
pub(crate) struct Batch {
    buffer: Vec<u8>,
    /// Where the request that is being written starts.
    start: usize,
    first_seq: u32,
    count: u32,
}

/// An open nested attribute, to be closed by [`Batch::close`].
#[must_use]
pub(crate) struct Nest(usize);

impl Batch {
    pub(crate) fn new() -> Batch {
        Batch { buffer: Vec::with_capacity(BATCH), start: 0, first_seq: 0, count: 0 }
    }

    /// Empties it; the first request gets the sequence number `first_seq`.
    pub(crate) fn reset(&mut self, first_seq: u32) {
        self.buffer.clear();
        self.start = 0;
        self.first_seq = first_seq;
        self.count = 0;
    }

    /// The number of requests.
    pub(crate) fn count(&self) -> u32 {
        self.count
    }

    pub(crate) fn first_seq(&self) -> u32 {
        self.first_seq
    }

    /// The sequence number behind the last request's.
    pub(crate) fn end_seq(&self) -> u32 {
        self.first_seq.wrapping_add(self.count)
    }

    /// Whether another request might not fit.
    pub(crate) fn is_full(&self) -> bool {
        self.buffer.len() + LARGEST > BATCH
    }

    /// The bytes as they are.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.buffer
    }

    /// The bytes, with an acknowledgement asked of the last request alone: refusals come for each, successes are
    /// silent, and the last answer says that all were worked through.
    pub(crate) fn seal(&mut self) -> &[u8] {
        if self.count > 0
            && let Some(flags) = self.buffer.get(self.start + 6..).and_then(<[u8]>::first_chunk)
        {
            let flags = u16::from_ne_bytes(*flags) | flag::ACK;
            self.patch(self.start + 6, &flags.to_ne_bytes());
        }
        &self.buffer
    }

    /// Starts a request with its fixed header; `flags` besides `REQUEST`.
    pub(crate) fn begin(&mut self, kind: u16, flags: u16, fixed: &[u8]) {
        self.start = self.buffer.len();
        let mut header = [0; HEADER];
        let fields: [&[u8]; 3] =
            [&kind.to_ne_bytes(), &(flags | flag::REQUEST).to_ne_bytes(), &self.end_seq().to_ne_bytes()];
        for (slot, byte) in header.iter_mut().skip(4).zip(fields.iter().flat_map(|f| f.iter())) {
            *slot = *byte;
        }
        self.buffer.extend_from_slice(&header);
        self.buffer.extend_from_slice(fixed);
        self.pad();
    }

    /// Ends the request that [`Batch::begin`] started.
    pub(crate) fn end(&mut self) {
        let length = u32::try_from(self.buffer.len() - self.start).unwrap_or(0);
        self.patch(self.start, &length.to_ne_bytes());
        self.count = self.count.wrapping_add(1);
    }

    pub(crate) fn attribute(&mut self, kind: u16, data: &[u8]) {
        let length = u16::try_from(data.len() + 4).unwrap_or(0);
        self.buffer.extend_from_slice(&length.to_ne_bytes());
        self.buffer.extend_from_slice(&kind.to_ne_bytes());
        self.buffer.extend_from_slice(data);
        self.pad();
    }

    pub(crate) fn u32(&mut self, kind: u16, value: u32) {
        self.attribute(kind, &value.to_ne_bytes());
    }

    pub(crate) fn address(&mut self, kind: u16, address: IpAddr) {
        match address {
            IpAddr::V4(a) => self.attribute(kind, &a.octets()),
            IpAddr::V6(a) => self.attribute(kind, &a.octets()),
        }
    }

    /// Opens a nested attribute, or a `struct rtnexthop` whose first two bytes are its length as well.
    pub(crate) fn open(&mut self, head: &[u8]) -> Nest {
        let at = self.buffer.len();
        self.buffer.extend_from_slice(head);
        Nest(at)
    }

    /// Closes it: writes its length.
    pub(crate) fn close(&mut self, nest: Nest) {
        let length = u16::try_from(self.buffer.len() - nest.0).unwrap_or(0);
        self.patch(nest.0, &length.to_ne_bytes());
    }

    fn pad(&mut self) {
        let length = self.buffer.len().next_multiple_of(ALIGN);
        self.buffer.resize(length, 0);
    }

    fn patch(&mut self, at: usize, bytes: &[u8]) {
        if let Some(slot) = self.buffer.get_mut(at..at + bytes.len()) {
            slot.copy_from_slice(bytes);
        }
    }
}
