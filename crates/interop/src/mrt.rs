//! TABLE_DUMP_V2 (RFC 6396 section 4.3), plain or compressed with gzip: the peers and their routes.
//!
//! IPv4 and IPv6 unicast RIB records alone; other records are passed over. The writer makes the small tables
//! of tests.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::Path;

use flate2::read::MultiGzDecoder;
use siskin_net::{Family, Prefix};

use crate::{Error, Result, fail};

const TABLE_DUMP_V2: u16 = 13;
const PEER_INDEX_TABLE: u16 = 1;
const RIB_IPV4_UNICAST: u16 = 2;
const RIB_IPV6_UNICAST: u16 = 4;

/// The AS number of every peer entry of a file, in the file's order.
///
/// # Errors
/// When the file cannot be read or does not begin with its peers.
pub fn peers(path: &Path) -> Result<Vec<u32>> {
    let mut peers = None;
    read(path, |_, _| false, |_, _, _| Ok(()), |found| peers = Some(found.to_vec()), true)?;
    peers.ok_or_else(|| Error::new(format!("{}: no peer index table", path.display())))
}

/// Calls `each(prefix, path attributes)` for every route of the peer with this AS number.
///
/// # Errors
/// When the file cannot be read, is cut off, or `each` fails.
pub fn routes(path: &Path, asn: u32, mut each: impl FnMut(Prefix, &[u8]) -> Result) -> Result {
    let wanted = |peers: &[u32], index: usize| peers.get(index) == Some(&asn);
    read(path, wanted, |prefix, attributes, _| each(prefix, attributes), |_| {}, false)
}

fn read(
    path: &Path,
    wanted: impl Fn(&[u32], usize) -> bool,
    mut each: impl FnMut(Prefix, &[u8], usize) -> Result,
    mut index_table: impl FnMut(&[u32]),
    only_peers: bool,
) -> Result {
    let during = |e: Error| e.during(path.display());
    let mut input = open(path).map_err(during)?;
    let (mut header, mut body) = ([0; 12], Vec::new());
    let mut peers = Vec::new();
    loop {
        match input.read(&mut header[..1])? {
            0 => return Ok(()),
            _ => input.read_exact(&mut header[1..])?,
        }
        let [_, _, _, _, t0, t1, s0, s1, length @ ..] = header;
        let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
        if length > 1 << 24 {
            return fail(format!("{}: a record of {length} octets", path.display()));
        }
        body.resize(length, 0);
        input.read_exact(&mut body)?;
        if u16::from_be_bytes([t0, t1]) != TABLE_DUMP_V2 {
            continue;
        }
        let short = || Error::new("a record that is cut off").during(path.display());
        match u16::from_be_bytes([s0, s1]) {
            PEER_INDEX_TABLE => {
                peers = peer_table(&body).ok_or_else(short)?;
                index_table(&peers);
                if only_peers {
                    return Ok(());
                }
            }
            RIB_IPV4_UNICAST => rib(&body, Family::Ipv4, |i| wanted(&peers, i), &mut each, short)?,
            RIB_IPV6_UNICAST => rib(&body, Family::Ipv6, |i| wanted(&peers, i), &mut each, short)?,
            _ => {}
        }
    }
}

fn open(path: &Path) -> Result<Box<dyn Read>> {
    let file = BufReader::with_capacity(1 << 20, File::open(path)?);
    if path.extension().is_some_and(|e| e == "gz") {
        return Ok(Box::new(BufReader::with_capacity(1 << 20, MultiGzDecoder::new(file))));
    }
    Ok(Box::new(file))
}

/// Takes octets from the front of a slice, and never more than there are.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (head, tail) = self.0.split_at_checked(count)?;
        self.0 = tail;
        Some(head)
    }

    fn number(&mut self, octets: usize) -> Option<u32> {
        Some(self.take(octets)?.iter().fold(0, |n, octet| n << 8 | u32::from(*octet)))
    }
}

fn peer_table(body: &[u8]) -> Option<Vec<u32>> {
    let mut reader = Reader(body);
    reader.take(4)?;
    let name = reader.number(2)?;
    reader.take(usize::try_from(name).ok()?)?;
    let count = reader.number(2)?;
    let mut peers = Vec::new();
    for _ in 0..count {
        let kind = reader.number(1)?;
        reader.take(4)?;
        reader.take(if kind & 1 == 1 { 16 } else { 4 })?;
        peers.push(reader.number(if kind & 2 == 2 { 4 } else { 2 })?);
    }
    Some(peers)
}

fn rib(
    body: &[u8],
    family: Family,
    wanted: impl Fn(usize) -> bool,
    each: &mut impl FnMut(Prefix, &[u8], usize) -> Result,
    short: impl Fn() -> Error,
) -> Result {
    let mut reader = Reader(body);
    let mut entries = || -> Option<(Prefix, Reader<'_>, u32)> {
        reader.take(4)?;
        let length = u8::try_from(reader.number(1)?).ok()?;
        let octets = reader.take(length.div_ceil(8).into())?;
        let bits = octets.iter().fold(0u128, |bits, octet| bits << 8 | u128::from(*octet));
        let bits = bits.checked_shl(128 - 8 * u32::from(length.div_ceil(8))).unwrap_or(0);
        let count = reader.number(2)?;
        Some((Prefix::from_bits(family, bits, length), Reader(reader.0), count))
    };
    let (prefix, mut reader, count) = entries().ok_or_else(&short)?;
    for _ in 0..count {
        let mut entry = || -> Option<(usize, &[u8])> {
            let peer = reader.number(2)?;
            reader.take(4)?;
            let length = reader.number(2)?;
            Some((usize::try_from(peer).ok()?, reader.take(usize::try_from(length).ok()?)?))
        };
        let (peer, attributes) = entry().ok_or_else(&short)?;
        if wanted(peer) {
            each(prefix, attributes, peer)?;
        }
    }
    Ok(())
}

/// A route of [`write`]: its prefix, and for each peer its path attributes, if it has the route.
pub type Entry = (Prefix, Vec<Option<Vec<u8>>>);

/// Writes a table of these peers (AS numbers) and routes.
///
/// # Errors
/// When the file cannot be written, or there are more peers than the format can count.
pub fn write(path: &Path, peers: &[u32], entries: &[Entry]) -> Result {
    let long = |_| Error::new("too long for MRT");
    let mut out = BufWriter::new(File::create(path)?);
    let mut record = |subtype: u16, body: &[u8]| -> Result {
        out.write_all(&[0; 4])?;
        out.write_all(&TABLE_DUMP_V2.to_be_bytes())?;
        out.write_all(&subtype.to_be_bytes())?;
        out.write_all(&u32::try_from(body.len()).map_err(long)?.to_be_bytes())?;
        Ok(out.write_all(body)?)
    };
    let mut table = vec![192, 0, 2, 254, 0, 0];
    table.extend(u16::try_from(peers.len()).map_err(long)?.to_be_bytes());
    for asn in peers {
        table.extend([2, 192, 0, 2, 1, 192, 0, 2, 1]);
        table.extend(asn.to_be_bytes());
    }
    record(PEER_INDEX_TABLE, &table)?;
    for (prefix, routes) in entries {
        let mut body = vec![0; 4];
        crate::wire::nlri(&mut body, *prefix);
        let present = routes.iter().flatten().count();
        body.extend(u16::try_from(present).map_err(long)?.to_be_bytes());
        for (index, attributes) in routes.iter().enumerate() {
            let Some(attributes) = attributes else { continue };
            body.extend(u16::try_from(index).map_err(long)?.to_be_bytes());
            body.extend([0; 4]);
            body.extend(u16::try_from(attributes.len()).map_err(long)?.to_be_bytes());
            body.extend(attributes);
        }
        let subtype = if prefix.family() == Family::Ipv4 { RIB_IPV4_UNICAST } else { RIB_IPV6_UNICAST };
        record(subtype, &body)?;
    }
    Ok(out.flush()?)
}

#[cfg(test)]
mod tests;
