//! The last good union on disk, so that a restart does not begin with nothing.
//!
//! One file: eight octets of magic, a version, the time of the last good answer, three counts, IPv4 VRPs (10 octets
//! each), IPv6 VRPs (22), ASPAs, and a CRC-32 of all before it; numbers are big-endian, VRPs in order. It is written
//! beside its place, synced and renamed, so that a crash leaves the old file or the new one. The union is that before
//! local exceptions: those are read again.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;
use std::time::Duration;

use siskin_net::{Asn, Family, Prefix, Vrp};

use crate::entry::Entry;
use crate::payload::{Aspas, Data};
use crate::set::{Set, Sets};

const MAGIC: &[u8; 8] = b"siskvrps";
const VERSION: u32 = 1;
/// Magic, version, time, three counts.
const HEADER: usize = 8 + 4 + 8 + 3 * 4;
/// The largest file that is read, in octets: ten times the world.
const MAX_FILE: u64 = 256 << 20;
/// How far the clock may have gone back since the file was written.
const MAX_AHEAD: Duration = Duration::from_secs(3600);

/// Why a file is not used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    /// It cannot be read.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// It is damaged, or was never ours.
    #[error("the file is damaged: {0}")]
    Damaged(&'static str),
    /// It was written by another version.
    #[error("the file has format {0}, not {VERSION}")]
    Version(u32),
    /// It is too old.
    #[error("the data are {0} h old, more than {1} h")]
    TooOld(u64, u64),
    /// It is from the future.
    #[error("the data are from {0} h in the future: the clock was, or is, wrong")]
    Future(u64),
}

/// The octets of a file; `time` is that of the last good answer, in seconds since 1970.
pub(crate) fn encode(data: &Data, time: u64) -> Vec<u8> {
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX).to_be_bytes();
    let size = HEADER + data.vrps.v4.len() * 10 + data.vrps.v6.len() * 22 + data.aspas.len() * 64 + 4;
    let mut out = Vec::with_capacity(size);
    out.extend(MAGIC);
    out.extend(VERSION.to_be_bytes());
    out.extend(time.to_be_bytes());
    out.extend(count(data.vrps.v4.len()));
    out.extend(count(data.vrps.v6.len()));
    out.extend(count(data.aspas.len()));
    for vrp in data.vrps.v4.iter().map(Entry::vrp).chain(data.vrps.v6.iter().map(Entry::vrp)) {
        let bits = vrp.prefix.bits().to_be_bytes();
        out.extend(bits.iter().take(usize::from(vrp.prefix.family().max_len()) / 8));
        out.extend([vrp.prefix.len(), vrp.max_len]);
        out.extend(vrp.asn.0.to_be_bytes());
    }
    for ((customer, _), providers) in &data.aspas {
        out.extend(customer.0.to_be_bytes());
        out.extend(count(providers.len()));
        out.extend(providers.iter().flat_map(|p| p.0.to_be_bytes()));
    }
    out.extend(crc32fast::hash(&out).to_be_bytes());
    out
}

/// Takes numbers from the front of octets.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, n: usize) -> Result<&'a [u8], StoreError> {
        let (front, rest) = self.0.split_at_checked(n).ok_or(StoreError::Damaged("it ends too soon"))?;
        self.0 = rest;
        Ok(front)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], StoreError> {
        self.take(N)?.try_into().map_err(|_| StoreError::Damaged("it ends too soon"))
    }

    fn u32(&mut self) -> Result<u32, StoreError> {
        self.array().map(u32::from_be_bytes)
    }

    /// A count; whether there is room for so many is seen when they are taken.
    fn count(&mut self) -> Result<usize, StoreError> {
        usize::try_from(self.u32()?).map_err(|_| StoreError::Damaged("a count is too large"))
    }
}

/// What a file of `octets` says, and its age at `now` (seconds since 1970).
///
/// # Errors
///
/// Whatever makes it unusable.
pub(crate) fn decode(octets: &[u8], now: u64, max_age: Duration) -> Result<(Data, Duration), StoreError> {
    let (body, sum) = octets.split_last_chunk::<4>().ok_or(StoreError::Damaged("it ends too soon"))?;
    let mut reader = Reader(body);
    if &reader.array::<8>()? != MAGIC {
        return Err(StoreError::Damaged("it does not begin as it should"));
    }
    let version = reader.u32()?;
    if version != VERSION {
        return Err(StoreError::Version(version));
    }
    if crc32fast::hash(body) != u32::from_be_bytes(*sum) {
        return Err(StoreError::Damaged("the checksum is wrong"));
    }
    let age = age(u64::from_be_bytes(reader.array()?), now, max_age)?;
    let (v4, v6, aspas) = (reader.count()?, reader.count()?, reader.count()?);
    let vrps = Sets { v4: vrps(&mut reader, Family::Ipv4, v4)?, v6: vrps(&mut reader, Family::Ipv6, v6)? };
    let aspas = read_aspas(&mut reader, aspas)?;
    if !reader.0.is_empty() {
        return Err(StoreError::Damaged("it goes on where it should end"));
    }
    Ok((Data { vrps, aspas }, age))
}

fn age(time: u64, now: u64, max_age: Duration) -> Result<Duration, StoreError> {
    let hours = |seconds: u64| seconds / 3600;
    if time > now + MAX_AHEAD.as_secs() {
        return Err(StoreError::Future(hours(time - now)));
    }
    let age = Duration::from_secs(now.saturating_sub(time));
    if age > max_age {
        return Err(StoreError::TooOld(hours(age.as_secs()), hours(max_age.as_secs())));
    }
    Ok(age)
}

fn vrps<E: Entry>(reader: &mut Reader<'_>, family: Family, count: usize) -> Result<Set<E>, StoreError> {
    let width = usize::from(family.max_len()) / 8;
    let octets = reader.take(count.saturating_mul(width + 6))?;
    let mut entries = Vec::with_capacity(count);
    for record in octets.chunks_exact(width + 6) {
        let mut record = Reader(record);
        let bits = record.take(width)?.iter().fold(0u128, |bits, octet| bits << 8 | u128::from(*octet));
        let bits = if family == Family::Ipv4 { bits << 96 } else { bits };
        let [len, max_len] = record.array()?;
        let asn = Asn(record.u32()?);
        let prefix = Prefix::from_bits(family, bits, len);
        if len > max_len || max_len > family.max_len() || prefix.bits() != bits {
            return Err(StoreError::Damaged("a VRP is impossible"));
        }
        entries.push(E::new(Vrp { prefix, max_len, asn }));
    }
    Set::from_sorted(entries).ok_or(StoreError::Damaged("VRPs are out of order"))
}

fn read_aspas(reader: &mut Reader<'_>, count: usize) -> Result<Aspas, StoreError> {
    let mut aspas = Aspas::new();
    for _ in 0..count {
        let (customer, providers) = (Asn(reader.u32()?), reader.count()?);
        let octets = reader.take(providers.saturating_mul(4))?;
        let list = octets.as_chunks::<4>().0.iter().map(|c| Asn(u32::from_be_bytes(*c)));
        aspas.insert((customer, None), list.collect());
    }
    Ok(aspas)
}

/// Reads the file; `None`: there is none.
///
/// # Errors
///
/// As [`decode`], or it cannot be read.
pub(crate) fn load(path: &Path, now: u64, max_age: Duration) -> Result<Option<(Data, Duration)>, StoreError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let mut octets = Vec::new();
    file.take(MAX_FILE + 1).read_to_end(&mut octets)?;
    if octets.len() as u64 > MAX_FILE {
        return Err(StoreError::Damaged("it is too large"));
    }
    decode(&octets, now, max_age).map(Some)
}

/// Writes the file in one step: a temporary file beside it, synced, renamed, and the rename synced. The first to write makes
/// the directory.
///
/// # Errors
///
/// Whatever the file system says; the old file then stands.
pub(crate) fn save(path: &Path, octets: &[u8]) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".tmp");
    let temporary = path.with_file_name(name);
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory)?;
    }
    let mut file = File::create(&temporary)?;
    file.write_all(octets)?;
    file.sync_all()?;
    drop(file);
    std::fs::rename(&temporary, path)?;
    match path.parent() {
        Some(directory) if !directory.as_os_str().is_empty() => File::open(directory)?.sync_all(),
        _ => File::open(".")?.sync_all(),
    }
}

#[cfg(test)]
mod tests;
