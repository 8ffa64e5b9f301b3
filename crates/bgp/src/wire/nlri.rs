//! NLRI: prefixes as (length, octets) one after the other (RFC 4271 section 4.3), with path identifiers where ADD-PATH
//! was agreed (RFC 7911). A loop over left-aligned bits: this is where a full table spends its parsing time.

use bytes::{BufMut, BytesMut};
use siskin_net::{Family, Prefix};

/// Why a run of NLRI cannot be read (RFC 7606 section 5.3). Everything before the fault is lost with it: nobody can say
/// where the next prefix would begin.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NlriError {
    /// A length beyond the family's.
    #[error("prefix length {0} is beyond the family's")]
    Length(u8),
    /// The octets end inside a prefix.
    #[error("the NLRI end inside a prefix")]
    Truncated,
}

/// Reads NLRI to their end into `prefixes`, and with ADD-PATH their identifiers into `path_ids` (else it stays empty).
/// Bits beyond a prefix's length are ignored.
///
/// # Errors
/// A length beyond the family's, or octets that end inside a prefix; what was pushed by then is to be dropped.
pub fn decode_nlri(
    family: Family,
    mut octets: &[u8],
    add_path: bool,
    prefixes: &mut Vec<Prefix>,
    path_ids: &mut Vec<u32>,
) -> Result<(), NlriError> {
    prefixes.reserve(if add_path { octets.len() / 8 } else { octets.len() / 4 });
    while !octets.is_empty() {
        if add_path {
            let (id, rest) = octets.split_first_chunk::<4>().ok_or(NlriError::Truncated)?;
            path_ids.push(u32::from_be_bytes(*id));
            octets = rest;
        }
        let (&len, rest) = octets.split_first().ok_or(NlriError::Truncated)?;
        if len > family.max_len() {
            return Err(NlriError::Length(len));
        }
        let (address, rest) =
            rest.split_at_checked(usize::from(len.div_ceil(8))).ok_or(NlriError::Truncated)?;
        prefixes.push(Prefix::from_bits(family, left_aligned(address, octets), len));
        octets = rest;
    }
    Ok(())
}

/// The bits of `address` at the top of 128. `run` begins with the length octet before it: while enough octets follow,
/// they are loaded at once, and the caller's mask drops those of the next prefix.
#[inline]
fn left_aligned(address: &[u8], run: &[u8]) -> u128 {
    if address.len() <= 4
        && let Some((&[_, a, b, c, d], _)) = run.split_first_chunk::<5>()
    {
        return u128::from(u32::from_be_bytes([a, b, c, d])) << 96;
    }
    if let Some(bits) = run.get(1..17).and_then(|s| s.first_chunk::<16>()) {
        return u128::from_be_bytes(*bits);
    }
    let mut bits = [0; 16];
    for (to, from) in bits.iter_mut().zip(address) {
        *to = *from;
    }
    u128::from_be_bytes(bits)
}

/// Writes one prefix, with `path_id` before it where ADD-PATH was agreed.
pub fn encode_nlri(prefix: Prefix, path_id: Option<u32>, out: &mut BytesMut) {
    let mut staged = Staged::default();
    staged.push(prefix, path_id, out);
    staged.flush(out);
}

/// NLRI on their way into a message. Copies of fixed size into a small array and one long copy out of it are several
/// times faster than one or two short copies a prefix.
pub(super) struct Staged {
    octets: [u8; Staged::SIZE],
    filled: usize,
}

impl Default for Staged {
    fn default() -> Staged {
        Staged { octets: [0; Staged::SIZE], filled: 0 }
    }
}

impl Staged {
    const SIZE: usize = 256;
    /// Path identifier, length octet, 128 bits.
    const LONGEST: usize = 21;

    /// Takes one prefix; may write earlier ones to `out`.
    pub(super) fn push(&mut self, prefix: Prefix, path_id: Option<u32>, out: &mut BytesMut) {
        if self.filled > Self::SIZE - Self::LONGEST {
            self.flush(out);
        }
        if let (Some(id), Some(place)) = (path_id, self.place::<4>(0)) {
            *place = id.to_be_bytes();
            self.filled = self.filled.saturating_add(4);
        }
        if let Some([length]) = self.place::<1>(0) {
            *length = prefix.len();
        }
        if let Some(address) = self.place::<16>(1) {
            *address = prefix.bits().to_be_bytes();
        }
        self.filled = self.filled.saturating_add(encoded_len(prefix, None));
    }

    fn place<const N: usize>(&mut self, offset: usize) -> Option<&mut [u8; N]> {
        self.octets.get_mut(self.filled.saturating_add(offset)..)?.first_chunk_mut::<N>()
    }

    /// Writes what is left to `out`.
    pub(super) fn flush(&mut self, out: &mut BytesMut) {
        out.put_slice(self.octets.get(..self.filled).unwrap_or(&[]));
        self.filled = 0;
    }
}

/// The octets [`encode_nlri`] writes for a prefix.
pub(super) fn encoded_len(prefix: Prefix, path_id: Option<u32>) -> usize {
    let fixed: usize = if path_id.is_some() { 5 } else { 1 };
    fixed.saturating_add(usize::from(prefix.len().div_ceil(8)))
}
