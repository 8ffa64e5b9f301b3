//! Routes out of MRT files (RFC 6396): TABLE_DUMP_V2 tables of IPv4 and IPv6 unicast and the UPDATEs of BGP4MP and
//! BGP4MP_ET, both also with ADD-PATH (RFC 8050). The attributes go through the decoder that sessions use, with RFC 7606
//! applied: a route that a session would treat as withdrawn is no route here.
//!
//! Bytes are arguments: whoever has the file cuts it with [`Header`] (or [`next_record`], if it is all in memory) and
//! gives each record to [`Reader::record`]. Unpacking is theirs, too. Leaves out the old TABLE_DUMP, multicast and other
//! families, state changes, and withdrawals.
#![deny(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

use std::net::{IpAddr, Ipv4Addr};

use siskin_net::{Asn, BgpIdentifier, Family, FamilySet, Prefix};

use crate::PathAttributes;
use crate::attr::compact::next_attribute;
use crate::wire::{
    DecodeContext, HEADER_LEN as MESSAGE_HEADER_LEN, MessageType, decode_update, message_type,
};

/// Octets of a record's header.
pub const HEADER_LEN: usize = 12;
/// The longest record that is read, in octets: a RIB record of all 65,535 peers with 200 octets of attributes each has
/// not more.
pub const MAX_RECORD_LEN: usize = 1 << 24;

/// Why a record or a file cannot be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum MrtError {
    /// The file ends inside a record.
    #[error("the file ends inside a record")]
    Cut,
    /// A record says it is longer than [`MAX_RECORD_LEN`].
    #[error("a record says it has {0} octets: this is no MRT file, or a broken one")]
    TooLong(u32),
    /// A record's fields do not add up.
    #[error("a record's fields do not add up")]
    Malformed,
    /// A RIB record names a peer that no PEER_INDEX_TABLE before it has.
    #[error("a RIB record names peer {0}, which the file does not have")]
    UnknownPeer(u16),
}

/// The header of a record (RFC 6396 section 2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    /// When, in seconds of Unix time.
    pub timestamp: u32,
    /// The record's type.
    pub kind: u16,
    /// The type's subtype.
    pub subtype: u16,
    /// Octets that follow the header; no more than [`MAX_RECORD_LEN`].
    pub len: usize,
}

impl Header {
    /// Reads a header.
    ///
    /// # Errors
    /// [`MrtError::TooLong`], before anybody makes room for the record.
    pub fn decode(octets: &[u8; HEADER_LEN]) -> Result<Header, MrtError> {
        let [t0, t1, t2, t3, k0, k1, s0, s1, len @ ..] = *octets;
        let claimed = u32::from_be_bytes(len);
        let len = usize::try_from(claimed).ok().filter(|len| *len <= MAX_RECORD_LEN);
        Ok(Header {
            timestamp: u32::from_be_bytes([t0, t1, t2, t3]),
            kind: u16::from_be_bytes([k0, k1]),
            subtype: u16::from_be_bytes([s0, s1]),
            len: len.ok_or(MrtError::TooLong(claimed))?,
        })
    }
}

/// Takes the first record off a file in memory; `None` at its end.
///
/// # Errors
/// [`MrtError::Cut`], [`MrtError::TooLong`]; what follows cannot be read.
pub fn next_record<'a>(file: &mut &'a [u8]) -> Result<Option<(Header, &'a [u8])>, MrtError> {
    if file.is_empty() {
        return Ok(None);
    }
    let (header, rest) = file.split_first_chunk::<HEADER_LEN>().ok_or(MrtError::Cut)?;
    let header = Header::decode(header)?;
    let (body, rest) = rest.split_at_checked(header.len).ok_or(MrtError::Cut)?;
    *file = rest;
    Ok(Some((header, body)))
}

/// A peer of the collector.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct CollectorPeer {
    /// Its AS number.
    pub asn: Asn,
    /// Its address.
    pub address: IpAddr,
    /// Its BGP Identifier; of a BGP4MP message, which has none, 0.
    pub identifier: BgpIdentifier,
}

/// One route of one peer of the collector.
#[derive(Clone, Copy, Debug)]
pub struct Route<'a> {
    /// Who gave it to the collector.
    pub peer: &'a CollectorPeer,
    /// The prefix.
    pub prefix: Prefix,
    /// The ADD-PATH identifier (RFC 7911), where the record has them.
    pub path_id: Option<u32>,
    /// Its attributes, the next hop included.
    pub attributes: &'a PathAttributes,
}

/// What was read so far.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Counts {
    /// Records that were given.
    pub records: u64,
    /// What has no route of BGP for us: records of other kinds, messages that are no UPDATE, RIB entries without attributes
    /// (the collector's own routes).
    pub skipped: u64,
    /// Routes that were handed on.
    pub routes: u64,
    /// Messages and RIB entries whose attributes cannot be read, and that therefore gave no route.
    pub unreadable: u64,
}

/// Reads records one after another, and remembers the peers that RIB records refer to.
#[derive(Clone, Debug)]
pub struct Reader {
    external: bool,
    peers: Vec<CollectorPeer>,
    counts: Counts,
    /// The UPDATE that a RIB entry is made into.
    update: Vec<u8>,
}

const TABLE_DUMP_V2: u16 = 13;
const BGP4MP: u16 = 16;
const BGP4MP_ET: u16 = 17;

impl Reader {
    /// A reader at the beginning of a file. `external`: attributes count as coming from another AS, so that what is only
    /// for speakers of one AS (LOCAL_PREF, ORIGINATOR_ID, CLUSTER_LIST) is left out, as a session does.
    #[must_use]
    pub const fn new(external: bool) -> Reader {
        let counts = Counts { records: 0, skipped: 0, routes: 0, unreadable: 0 };
        Reader { external, peers: Vec::new(), counts, update: Vec::new() }
    }

    /// What was read so far.
    #[must_use]
    pub const fn counts(&self) -> Counts {
        self.counts
    }

    /// The peers of the last PEER_INDEX_TABLE.
    #[must_use]
    pub fn peers(&self) -> &[CollectorPeer] {
        &self.peers
    }

    /// Reads one record and calls `each` for every route in it, in the record's order.
    ///
    /// # Errors
    /// [`MrtError::Malformed`], [`MrtError::UnknownPeer`]: routes before the fault were handed on, and the next record can
    /// be read. What is wrong with a route's attributes alone is no error but counted.
    pub fn record(
        &mut self,
        header: &Header,
        body: &[u8],
        each: impl FnMut(Route<'_>),
    ) -> Result<(), MrtError> {
        self.counts.records = self.counts.records.saturating_add(1);
        match (header.kind, header.subtype) {
            (TABLE_DUMP_V2, 1) => {
                self.peers = peer_index_table(body).ok_or(MrtError::Malformed)?;
                Ok(())
            }
            // The second of each pair is the one with ADD-PATH.
            (TABLE_DUMP_V2, subtype @ (2 | 8)) => self.rib(Family::Ipv4, subtype == 8, body, each),
            (TABLE_DUMP_V2, subtype @ (4 | 10)) => self.rib(Family::Ipv6, subtype == 10, body, each),
            // MESSAGE, MESSAGE_AS4, the two of our own router, and all four with ADD-PATH.
            (BGP4MP, 1 | 4 | 6..=11) => self.message(header.subtype, body, each),
            // The ET form has microseconds before the same record.
            (BGP4MP_ET, 1 | 4 | 6..=11) => {
                let (_, body) = body.split_first_chunk::<4>().ok_or(MrtError::Malformed)?;
                self.message(header.subtype, body, each)
            }
            _ => {
                self.counts.skipped = self.counts.skipped.saturating_add(1);
                Ok(())
            }
        }
    }

    /// RIB_IPV4_UNICAST and its like (RFC 6396 section 4.3.2, RFC 8050 section 4.1).
    fn rib(
        &mut self,
        family: Family,
        add_path: bool,
        body: &[u8],
        mut each: impl FnMut(Route<'_>),
    ) -> Result<(), MrtError> {
        let mut rest = body;
        let mut entries = || {
            // The sequence number.
            take::<4>(&mut rest)?;
            let (&bits, _) = rest.split_first()?;
            let nlri = take_slice(&mut rest, usize::from(bits.div_ceil(8)).saturating_add(1))?;
            Some((nlri, u16::from_be_bytes(take(&mut rest)?)))
        };
        let (nlri, count) = entries().ok_or(MrtError::Malformed)?;
        for _ in 0..count {
            let entry = RibEntry::take(&mut rest, add_path).ok_or(MrtError::Malformed)?;
            let peer = self.peers.get(usize::from(entry.peer)).ok_or(MrtError::UnknownPeer(entry.peer))?;
            if entry.attributes.is_empty() {
                self.counts.skipped = self.counts.skipped.saturating_add(1);
                continue;
            }
            let ctx = self.context(true, false);
            let written = write_update(family, nlri, peer.address, entry.attributes, &mut self.update);
            let read = written.and_then(|()| decode_update(&self.update, &ctx).ok());
            let route = read.as_ref().and_then(|update| {
                let prefix = *update.reach.first()?.prefixes.first()?;
                Some(Route { peer, prefix, path_id: entry.path_id, attributes: update.attributes.as_ref()? })
            });
            match route {
                Some(route) => {
                    self.counts.routes = self.counts.routes.saturating_add(1);
                    each(route);
                }
                None => self.counts.unreadable = self.counts.unreadable.saturating_add(1),
            }
        }
        Ok(())
    }

    /// BGP4MP_MESSAGE and its like (RFC 6396 section 4.4, RFC 8050 section 3); what is no UPDATE has no routes.
    fn message(
        &mut self,
        subtype: u16,
        body: &[u8],
        mut each: impl FnMut(Route<'_>),
    ) -> Result<(), MrtError> {
        let four_octet_as = matches!(subtype, 4 | 7 | 9 | 11);
        let (peer, message) = message_of(body, four_octet_as).ok_or(MrtError::Malformed)?;
        let Some(update) = message.get(MESSAGE_HEADER_LEN..) else { return Err(MrtError::Malformed) };
        if message_type(message) != Some(MessageType::Update) {
            self.counts.skipped = self.counts.skipped.saturating_add(1);
            return Ok(());
        }
        let Ok(update) = decode_update(update, &self.context(four_octet_as, subtype > 7)) else {
            self.counts.unreadable = self.counts.unreadable.saturating_add(1);
            return Ok(());
        };
        let Some(mut attributes) = update.attributes else {
            let broken = u64::from(!update.faults.is_empty());
            self.counts.unreadable = self.counts.unreadable.saturating_add(broken);
            return Ok(());
        };
        for reach in &update.reach {
            attributes.next_hop = reach.next_hop;
            for (i, prefix) in reach.prefixes.iter().enumerate() {
                let path_id = reach.path_ids.get(i).copied();
                self.counts.routes = self.counts.routes.saturating_add(1);
                each(Route { peer: &peer, prefix: *prefix, path_id, attributes: &attributes });
            }
        }
        Ok(())
    }

    const fn context(&self, four_octet_as: bool, add_path: bool) -> DecodeContext {
        DecodeContext {
            four_octet_as,
            families: FamilySet::BOTH,
            add_path: if add_path { FamilySet::BOTH } else { FamilySet::EMPTY },
            external: self.external,
            extended_next_hop: true,
            interface: 0,
        }
    }
}

/// One entry of a RIB record.
struct RibEntry<'a> {
    peer: u16,
    path_id: Option<u32>,
    attributes: &'a [u8],
}

impl<'a> RibEntry<'a> {
    fn take(rest: &mut &'a [u8], add_path: bool) -> Option<RibEntry<'a>> {
        let peer = u16::from_be_bytes(take(rest)?);
        // When the collector got it.
        take::<4>(rest)?;
        let path_id = if add_path { Some(u32::from_be_bytes(take(rest)?)) } else { None };
        let len = u16::from_be_bytes(take(rest)?);
        Some(RibEntry { peer, path_id, attributes: take_slice(rest, usize::from(len))? })
    }
}

/// Writes the body of the UPDATE that a RIB entry was once, so that there is one decoder of attributes and not two.
/// `nlri` is the prefix as it stands in the record, which is as it stands in a message. BIRD's IPv6 tables have no next
/// hop: the peer's address stands in. `None`: an UPDATE has no room.
fn write_update(
    family: Family,
    nlri: &[u8],
    peer: IpAddr,
    mut attributes: &[u8],
    out: &mut Vec<u8>,
) -> Option<()> {
    out.clear();
    out.extend_from_slice(&[0; 4]);
    let mut inside = false;
    while let Some(attribute) = next_attribute(&mut attributes) {
        if attribute.code == MP_REACH {
            inside = true;
            put_mp_reach(family, attribute.flags, next_hop_of(attribute.value), nlri, out)?;
        } else {
            out.extend_from_slice(attribute.octets);
        }
    }
    if !inside && family == Family::Ipv6 {
        inside = true;
        let address = match peer {
            IpAddr::V4(address) => address.to_ipv6_mapped(),
            IpAddr::V6(address) => address,
        };
        put_mp_reach(family, OPTIONAL, &address.octets(), nlri, out)?;
    }
    // What ends inside an attribute is for the decoder to judge.
    out.extend_from_slice(attributes);
    let len = u16::try_from(out.len().checked_sub(4)?).ok()?;
    out.get_mut(2..4)?.copy_from_slice(&len.to_be_bytes());
    if !inside {
        out.extend_from_slice(nlri);
    }
    Some(())
}

const MP_REACH: u8 = 14;
const OPTIONAL: u8 = 0x80;
const EXTENDED_LENGTH: u8 = 0x10;

/// Appends MP_REACH_NLRI as a message has it.
fn put_mp_reach(family: Family, flags: u8, next_hop: &[u8], nlri: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let len = next_hop.len().checked_add(nlri.len())?.checked_add(5)?;
    out.extend_from_slice(&[flags | EXTENDED_LENGTH, MP_REACH]);
    out.extend_from_slice(&u16::try_from(len).ok()?.to_be_bytes());
    out.extend_from_slice(&family.afi().to_be_bytes());
    out.extend_from_slice(&[family.safi(), u8::try_from(next_hop.len()).ok()?]);
    out.extend_from_slice(next_hop);
    // The reserved octet.
    out.push(0);
    out.extend_from_slice(nlri);
    Some(())
}

/// The next hop of an entry's MP_REACH_NLRI: RFC 6396 section 4.3.4 leaves nothing but it and its length; some collectors
/// write the attribute whole, and then it begins with the 0 of its address family.
fn next_hop_of(value: &[u8]) -> &[u8] {
    let (&first, rest) = value.split_first().unwrap_or((&0, &[]));
    if usize::from(first) == rest.len() {
        return rest;
    }
    let len = value.get(3).map_or(0, |len| usize::from(*len));
    value.get(4..).and_then(|octets| octets.get(..len)).unwrap_or(&[])
}

/// PEER_INDEX_TABLE (RFC 6396 section 4.3.1).
fn peer_index_table(body: &[u8]) -> Option<Vec<CollectorPeer>> {
    const IPV6: u8 = 1;
    const FOUR_OCTET_AS: u8 = 2;
    let mut rest = body;
    // The collector's own identifier and the name of the view.
    take::<4>(&mut rest)?;
    let name = u16::from_be_bytes(take(&mut rest)?);
    take_slice(&mut rest, usize::from(name))?;
    let count = u16::from_be_bytes(take(&mut rest)?);
    let mut peers = Vec::new();
    for _ in 0..count {
        let [kind] = take(&mut rest)?;
        let identifier = BgpIdentifier(u32::from_be_bytes(take(&mut rest)?));
        let address = take_address(&mut rest, kind & IPV6 != 0)?;
        let asn = take_asn(&mut rest, kind & FOUR_OCTET_AS != 0)?;
        peers.push(CollectorPeer { asn, address, identifier });
    }
    Some(peers)
}

/// The peer and the message of a BGP4MP record.
fn message_of(body: &[u8], four_octet_as: bool) -> Option<(CollectorPeer, &[u8])> {
    let mut rest = body;
    let asn = take_asn(&mut rest, four_octet_as)?;
    take_asn(&mut rest, four_octet_as)?;
    // The collector's interface.
    take::<2>(&mut rest)?;
    let ipv6 = match u16::from_be_bytes(take(&mut rest)?) {
        1 => false,
        2 => true,
        _ => return None,
    };
    let address = take_address(&mut rest, ipv6)?;
    take_address(&mut rest, ipv6)?;
    Some((CollectorPeer { asn, address, identifier: BgpIdentifier(0) }, rest))
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (octets, after) = rest.split_first_chunk::<N>()?;
    *rest = after;
    Some(*octets)
}

fn take_slice<'a>(rest: &mut &'a [u8], len: usize) -> Option<&'a [u8]> {
    let (octets, after) = rest.split_at_checked(len)?;
    *rest = after;
    Some(octets)
}

fn take_address(rest: &mut &[u8], ipv6: bool) -> Option<IpAddr> {
    if ipv6 { take::<16>(rest).map(IpAddr::from) } else { take::<4>(rest).map(|a| Ipv4Addr::from(a).into()) }
}

fn take_asn(rest: &mut &[u8], four_octets: bool) -> Option<Asn> {
    Some(Asn(if four_octets {
        u32::from_be_bytes(take(rest)?)
    } else {
        u32::from(u16::from_be_bytes(take(rest)?))
    }))
}

#[cfg(test)]
mod tests;
