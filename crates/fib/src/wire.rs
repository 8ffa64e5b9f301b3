//! The netlink format (RFC 3549; linux/netlink.h, rtnetlink.h): headers and attributes, read from raw buffers.
//!
//! Reading never panics: what is cut short ends the iteration. Numbers are in the host's byte order unless said.
//! Codecs of the message kinds are in the modules below; attributes we have no use for are passed over.

pub(crate) mod batch;
pub(crate) mod link;
pub(crate) mod neighbor;
pub(crate) mod nexthop;
pub(crate) mod route;
pub(crate) mod rule;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use siskin_net::Family;

use crate::error::KernelError;

/// `struct nlmsghdr`: length, kind, flags, sequence number, port id.
pub(crate) const HEADER: usize = 16;
const ALIGN: usize = 4;

pub(crate) const AF_UNSPEC: u8 = 0;
pub(crate) const AF_INET: u8 = 2;
pub(crate) const AF_BRIDGE: u8 = 7;
pub(crate) const AF_INET6: u8 = 10;

pub(crate) const NLMSG_ERROR: u16 = 2;
pub(crate) const NLMSG_DONE: u16 = 3;

/// Flags of a request.
pub(crate) mod flag {
    pub(crate) const REQUEST: u16 = 1;
    pub(crate) const ACK: u16 = 4;
    /// In answers: the table changed while it was dumped.
    pub(crate) const DUMP_INTERRUPTED: u16 = 0x10;
    pub(crate) const DUMP: u16 = 0x300;
    pub(crate) const REPLACE: u16 = 0x100;
    pub(crate) const EXCL: u16 = 0x200;
    pub(crate) const CREATE: u16 = 0x400;
    /// In errors: the request is not repeated beyond its header.
    pub(crate) const CAPPED: u16 = 0x100;
    /// In errors: attributes follow.
    pub(crate) const ACK_TLVS: u16 = 0x200;
}

/// One message of a buffer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Message<'a> {
    pub(crate) kind: u16,
    pub(crate) flags: u16,
    pub(crate) seq: u32,
    pub(crate) port: u32,
    pub(crate) body: &'a [u8],
}

/// The messages of a datagram.
pub(crate) struct Messages<'a>(pub(crate) &'a [u8]);

impl<'a> Iterator for Messages<'a> {
    type Item = Message<'a>;

    fn next(&mut self) -> Option<Message<'a>> {
        let length = u32_at(self.0, 0)? as usize;
        let body = self.0.get(HEADER..length)?;
        let message = Message {
            kind: u16_at(self.0, 4)?,
            flags: u16_at(self.0, 6)?,
            seq: u32_at(self.0, 8)?,
            port: u32_at(self.0, 12)?,
            body,
        };
        self.0 = self.0.get(length.next_multiple_of(ALIGN)..).unwrap_or_default();
        Some(message)
    }
}

impl<'a> Message<'a> {
    /// The attributes behind a fixed header of `skip` bytes.
    pub(crate) fn attributes(&self, skip: usize) -> Attributes<'a> {
        Attributes(self.body.get(skip..).unwrap_or_default())
    }

    /// Of `NLMSG_ERROR` or `NLMSG_DONE`: `None` when it is an acknowledgement, else the refusal with its text.
    pub(crate) fn refusal(&self) -> Option<KernelError> {
        let code = u32_at(self.body, 0).map_or(0, u32::cast_signed);
        if code == 0 {
            return None;
        }
        let errno = code.saturating_neg();
        match self.refusal_text() {
            Some(text) => Some(KernelError::new(errno, text)),
            None => Some(KernelError::from_errno(errno)),
        }
    }

    fn refusal_text(&self) -> Option<String> {
        const NLMSGERR_ATTR_MSG: u16 = 1;
        if self.flags & flag::ACK_TLVS == 0 {
            return None;
        }
        let repeated = match self.kind {
            NLMSG_DONE => 0,
            _ if self.flags & flag::CAPPED != 0 => HEADER,
            _ => u32_at(self.body, 4)? as usize,
        };
        let start = repeated.next_multiple_of(ALIGN).checked_add(4)?;
        let text = self.attributes(start).find(|a| a.kind == NLMSGERR_ATTR_MSG)?;
        Some(String::from_utf8_lossy(text.data.strip_suffix(&[0]).unwrap_or(text.data)).into_owned())
    }
}

/// One attribute: `struct rtattr` or `nlattr` without the flag bits of its type.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attribute<'a> {
    pub(crate) kind: u16,
    pub(crate) data: &'a [u8],
}

impl<'a> Attribute<'a> {
    pub(crate) fn u8(&self) -> Option<u8> {
        self.data.first().copied()
    }

    pub(crate) fn u32(&self) -> Option<u32> {
        u32_at(self.data, 0)
    }

    pub(crate) fn nested(&self) -> Attributes<'a> {
        Attributes(self.data)
    }

    /// Text up to the terminating zero.
    pub(crate) fn text(&self) -> String {
        let end = self.data.iter().position(|b| *b == 0).unwrap_or(self.data.len());
        String::from_utf8_lossy(self.data.get(..end).unwrap_or_default()).into_owned()
    }
}

/// A row of attributes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attributes<'a>(pub(crate) &'a [u8]);

impl<'a> Iterator for Attributes<'a> {
    type Item = Attribute<'a>;

    fn next(&mut self) -> Option<Attribute<'a>> {
        let length = usize::from(u16_at(self.0, 0)?);
        let kind = u16_at(self.0, 2)? & 0x3fff;
        let data = self.0.get(4..length)?;
        self.0 = self.0.get(length.next_multiple_of(ALIGN)..).unwrap_or_default();
        Some(Attribute { kind, data })
    }
}

/// The number at `offset`, in the host's order.
pub(crate) fn u16_at(bytes: &[u8], offset: usize) -> Option<u16> {
    bytes.get(offset..)?.first_chunk().copied().map(u16::from_ne_bytes)
}

/// The number at `offset`, in the host's order.
pub(crate) fn u32_at(bytes: &[u8], offset: usize) -> Option<u32> {
    bytes.get(offset..)?.first_chunk().copied().map(u32::from_ne_bytes)
}

/// The byte at `offset`.
pub(crate) fn u8_at(bytes: &[u8], offset: usize) -> Option<u8> {
    bytes.get(offset).copied()
}

/// An address by the number of its bytes: 4 or 16.
pub(crate) fn address(bytes: &[u8]) -> Option<IpAddr> {
    if let Ok(v4) = <[u8; 4]>::try_from(bytes) {
        return Some(IpAddr::V4(Ipv4Addr::from(v4)));
    }
    <[u8; 16]>::try_from(bytes).ok().map(|v6| IpAddr::V6(Ipv6Addr::from(v6)))
}

/// The kernel's number of a family.
pub(crate) fn af(family: Family) -> u8 {
    match family {
        Family::Ipv4 => AF_INET,
        Family::Ipv6 => AF_INET6,
    }
}

/// The family of the kernel's number, if it is one of ours.
pub(crate) fn family_of(af: u8) -> Option<Family> {
    match af {
        AF_INET => Some(Family::Ipv4),
        AF_INET6 => Some(Family::Ipv6),
        _ => None,
    }
}

/// The family of an address.
pub(crate) fn family_of_address(address: IpAddr) -> Family {
    if address.is_ipv4() { Family::Ipv4 } else { Family::Ipv6 }
}

#[cfg(test)]
mod tests;
